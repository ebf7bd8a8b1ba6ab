# SPDX-License-Identifier: Apache-2.0
"""Apache's server and zkserver side by side: each turn of a plan goes to both, and what they say must be the same, byte by
byte but for clocks, session ids, the order of children, of ephemeral nodes and of their deletions at the end of a session,
and what zkserver(8) lists."""
import collections
import itertools
import socket
import struct

import plan
import wire
from servers import KINDS
from wire import i32, i64, text

NAMES = {
    wire.CREATE: "create", wire.CREATE2: "create2", wire.CREATE_CONTAINER: "createContainer", wire.CREATE_TTL: "createTTL",
    wire.DELETE: "delete", wire.EXISTS: "exists", wire.GET: "getData", wire.SET: "setData", wire.GET_ACL: "getACL",
    wire.SET_ACL: "setACL", wire.CHILDREN: "getChildren", wire.CHILDREN2: "getChildren2", wire.COUNT: "getAllChildrenNumber",
    wire.EPHEMERALS: "getEphemerals", wire.SYNC: "sync", wire.CHECK: "check", wire.MULTI: "multi", wire.MULTI_READ: "multiRead",
    wire.ADD_WATCH: "addWatch", wire.CHECK_WATCHES: "checkWatches", wire.REMOVE_WATCHES: "removeWatches",
    wire.SET_WATCHES: "setWatches", wire.SET_WATCHES2: "setWatches2", wire.WHO_AM_I: "whoAmI", wire.AUTH: "auth",
    wire.RECONFIG: "reconfig", wire.PING: "ping", wire.CLOSE: "closeSession"}
EVENTS = {1: "created", 2: "deleted", 3: "changed", 4: "children"}
PROPERTIES = {"znode.container.checkIntervalMs": 3600000, "zookeeper.extendedTypesEnabled": "true",
              "zookeeper.enforceQuota": "true"}
SETTINGS = "minSessionTimeout=100\nmaxSessionTimeout=60000\n"
LIVE_MS = (30000, 60000, 100000000)
SHOWN = 12
HEAD = struct.Struct(">iqi")
STAT = struct.Struct(">qqqqiiiqiiq")
XIDS = {wire.PING: wire.XID_PING, wire.AUTH: wire.XID_AUTH, wire.SET_WATCHES: wire.XID_SET_WATCHES,
        wire.SET_WATCHES2: wire.XID_SET_WATCHES}


class Differs(AssertionError):
    """The servers do not say the same."""


class Line(wire.Line):
    """A connection that reads what is there."""

    def __init__(self, port):
        super().__init__(port)
        self.data, self.at = b"", 0

    def receive(self):
        """The next frame; None when the server has closed the connection."""
        while True:
            if len(self.data) - self.at >= 4:
                end = self.at + 4 + int.from_bytes(self.data[self.at:self.at + 4], "big")
                if end <= len(self.data):
                    frame = self.data[self.at + 4:end]
                    self.at = end
                    return frame
            try:
                more = self.socket.recv(1 << 18)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.data, self.at = self.data[self.at:] + more, 0


class Side:
    """One server's connections, and its answers with what may differ made equal."""

    def __init__(self, server):
        self.server = server
        self.lines = [None] * plan.SLOTS
        self.sessions = {}  # id: what both servers' are called
        self.of_slot = [None] * plan.SLOTS  # (id, password)
        self.told = [0] * plan.SLOTS  # the zxid of each one's last event

    def stat(self, r):
        s = list(STAT.unpack(r.take(68)))
        s[2], s[3] = (s[2] == s[3], None) if s[4] == 0 else (None, None)
        s[7] = self.sessions.get(s[7], s[7])
        return s

    def multi(self, r):
        results = []
        while True:
            op, done, err = r.i32(), r.flag(), r.i32()
            if done:
                return results + [(op, err)]
            results.append((op, err, r.i32() if op == -1 else self.record(op, r)))

    def record(self, op, r):
        if op in (wire.CREATE, wire.SYNC):
            return r.buf()
        if op in (wire.CREATE2, wire.CREATE_CONTAINER, wire.CREATE_TTL, wire.GET):
            return r.buf(), self.stat(r)
        if op in (wire.SET, wire.SET_ACL, wire.EXISTS):
            return self.stat(r)
        if op in (wire.CHILDREN, wire.EPHEMERALS):
            return sorted(r.texts())
        if op == wire.CHILDREN2:
            return sorted(r.texts()), self.stat(r)
        if op == wire.GET_ACL:
            return r.acls(), self.stat(r)
        if op in (wire.COUNT, wire.ADD_WATCH):
            return r.i32()
        if op == wire.WHO_AM_I:
            return sorted((r.buf(), r.buf()) for _ in range(r.i32()))
        return self.multi(r) if op in (wire.MULTI, wire.MULTI_READ) else None

    def event(self, slot, zxid, r):
        """Its zxid is -1 at 3.8's servers; here it is its change's, which never goes back."""
        if zxid != -1:
            assert self.server.name == "corral" and zxid >= self.told[slot], (zxid, self.told)
            self.told[slot] = zxid
        return "event", r.i32(), r.i32(), r.buf()

    def send(self, slot, requests):
        frames = [i32(8 + len(body)) + i32(xid) + i32(op) + body for xid, op, body in requests]
        self.lines[slot].socket.sendall(b"".join(frames))

    def answers(self, slot, requests):
        """Replies and events as they come, until all requests are answered or the connection is closed."""
        seen = []
        for _, op, _ in requests:
            while True:
                frame = self.lines[slot].receive()
                if frame is None:
                    return seen + ["closed"]
                r = wire.Reader(frame)
                xid, zxid, err = HEAD.unpack(r.take(16))
                if xid == wire.XID_EVENT:
                    seen.append(self.event(slot, zxid, r))
                    r.end()
                    continue
                record = self.record(op, r) if err == 0 else None
                if (self.server.name, op, err) == ("apache", wire.MULTI_READ, wire.MARSHALLING) and r.at < len(frame):
                    assert self.multi(r) == [(-1, -1)]  # zkserver(8): no results behind the error
                r.end()
                seen.append((op, xid, zxid, err, record))
                break
        return seen

    def until_closed(self, slot):
        seen = []
        while (frame := self.lines[slot].receive()) is not None:
            seen.append(frame)
        self.leave(slot)
        return seen

    def leave(self, slot):
        self.lines[slot].socket.close()
        self.lines[slot] = None

    def connect(self, slot, timeout_ms, session=0, password=bytes(16), seen_zxid=0):
        self.lines[slot] = line = Line(self.server.port)
        line.send(i32(0) + i64(seen_zxid) + i32(timeout_ms) + i64(session) + text(password) + b"\0")

    def welcome(self, slot, label):
        """What is said to a connect request; a new session gets the label."""
        frame = self.lines[slot].receive()
        if frame is None:
            self.leave(slot)
            return "closed"
        r = wire.Reader(frame)
        version, timeout_ms, session, password, read_only = r.i32(), r.i32(), r.i64(), r.buf(), r.flag()
        r.end()
        if session == 0:
            assert not any(password)
            return "refused", version, timeout_ms, read_only, self.until_closed(slot)
        self.sessions.setdefault(session, label)
        self.of_slot[slot] = session, password
        return "welcome", version, timeout_ms, self.sessions[session], read_only


# What Apache's 3.8.0 and zkserver say where they differ: zkserver(8) has why.
LISTED = {(wire.CHECK_WATCHES, 0, wire.NOWATCHER), (wire.CHECK_WATCHES, wire.MARSHALLING, wire.NOWATCHER),
          (wire.CHECK_WATCHES, wire.MARSHALLING, 0), (wire.EXISTS, 0, wire.NOAUTH)}


def alike(apache, corral):
    if apache == corral:
        return True
    return apache[:3] == corral[:3] and (apache[0], apache[3], corral[3]) in LISTED


def by_path(seen):
    """The events at the end of a session: the order of its nodes is the server's own."""
    events = [answer for answer in seen if answer[0] == "event"]
    return sorted(events, key=lambda event: event[3]) + seen[len(events):]


class Tally:
    """How often each pair of request and error was seen."""

    def __init__(self):
        self.counts = collections.Counter()
        self.requests = self.failed = 0


class Pair:
    """Two fresh servers."""

    def __init__(self, tally):
        self.servers = [KINDS[name](SETTINGS, PROPERTIES, tick_ms=50) for name in ("apache", "corral")]
        self.tally = tally

    def __enter__(self):
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait()
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.remove()

    def run(self, seed):
        Run(self, seed).all()


class Run:
    """One seed."""

    def __init__(self, pair, seed):
        self.tally, self.seed = pair.tally, seed
        self.sides = [Side(server) for server in pair.servers]
        self.plan = plan.Plan(seed)
        self.xids = [None] * plan.SLOTS
        self.past = collections.deque(maxlen=SHOWN)
        self.labels = itertools.count(1)

    def all(self):
        try:
            for number, (what, slot, argument) in enumerate(self.plan.turns()):
                self.number = number
                getattr(self, what)(slot, argument)
        except (AssertionError, socket.timeout) as e:
            raise Differs(f"seed {self.seed}, turn {self.number}: {type(e).__name__} {e}\n" + "\n".join(self.past)) from e
        finally:
            for side in self.sides:
                for slot in range(plan.SLOTS):
                    if side.lines[slot] is not None:
                        side.leave(slot)

    def compare(self, what, both):
        apache, corral = both = list(both)
        if len(apache) != len(corral) or not all(map(alike, apache, corral)):
            at = next((i for i, (a, c) in enumerate(zip(apache, corral)) if not alike(a, c)), min(map(len, both)))
            raise Differs(f"{what}:\n  " + "\n  ".join(
                f"{name} {seen[max(0, at - 2):at + 3]}" for name, seen in zip(("apache", "corral"), both)))
        return corral

    def count(self, seen, sent):
        for answer in seen:
            if answer == "closed":
                continue
            if answer[0] == "event":
                self.tally.counts["event", EVENTS[answer[1]]] += 1
                continue
            op, _, zxid, err, record = answer
            self.plan.zxid = max(self.plan.zxid, zxid)
            name = NAMES.get(op, "unknown")
            self.tally.counts[name, str(err)] += 1
            bad = err != 0
            if op in (wire.MULTI, wire.MULTI_READ) and record is not None:
                for part in record[:-1]:
                    self.tally.counts[f"{name}:{NAMES.get(part[0], 'error')}", str(part[1])] += 1
                    bad |= part[1] != 0
            if sent:
                self.tally.requests += 1
                self.tally.failed += bad

    def others(self, slot, in_order=True):
        """The events that the other connections have seen by now."""
        ping = [(wire.XID_PING, wire.PING, b"")]
        connected = [i for i in range(plan.SLOTS) if i != slot and self.sides[0].lines[i] is not None]
        for side in self.sides:
            for i in connected:
                side.send(i, ping)
        for i in connected:
            both = [side.answers(i, ping) for side in self.sides]
            self.count(self.compare(f"slot {i}, told", both if in_order else map(by_path, both)), False)

    def ready(self, slot):
        """The slot is connected, with its session or a new one."""
        if self.sides[0].lines[slot] is None:
            if self.sides[0].of_slot[slot] is None:
                self.new(slot, None)
            else:
                self.resume(slot)

    def welcomed(self, slot, note):
        label = next(self.labels)
        self.past.append(f"slot {slot} {note}")
        both = [[side.welcome(slot, label)] for side in self.sides]
        said = self.compare(f"slot {slot} {note}", both)[0]
        outcome = said if said == "closed" else said[0]
        self.tally.counts[f"connect:{note}", outcome] += 1
        self.xids[slot] = itertools.count(1)
        for side in self.sides:
            side.told[slot] = 0
        return outcome

    def new(self, slot, _):
        timeout_ms = self.plan.rng.choice(LIVE_MS)
        for side in self.sides:
            side.connect(slot, timeout_ms)
        assert self.welcomed(slot, "new") == "welcome"

    def resume(self, slot, timeout_ms=LIVE_MS[0]):
        for side in self.sides:
            side.connect(slot, timeout_ms, *side.of_slot[slot], seen_zxid=self.plan.zxid)
        return self.welcomed(slot, "resume")

    def leave(self, slot, _=None):
        self.past.append(f"slot {slot} leaves")
        for side in self.sides:
            if side.lines[slot] is not None:
                side.leave(slot)

    def wrong(self, slot, _):
        """With a password that is not the session's."""
        if self.sides[0].of_slot[slot] is None:
            return
        self.leave(slot)  # zkserver(8): Apache's server ends the connection of who does know the password
        for side in self.sides:
            side.connect(slot, LIVE_MS[0], side.of_slot[slot][0], b"x" * 16)
        assert self.welcomed(slot, "other-password") == "refused"

    def future(self, slot, _):
        """From a client that has seen what no server has."""
        self.leave(slot)
        for side in self.sides:
            session, password = side.of_slot[slot] or (0, bytes(16))
            side.connect(slot, LIVE_MS[0], session, password, 1 << 40)
        assert self.welcomed(slot, "from-the-future") == "closed"

    def expire(self, slot, _):
        """The session is silent until it is over; then nobody can take it up."""
        self.ready(slot)
        self.leave(slot)
        assert self.resume(slot, 1) == "welcome"
        both = [side.until_closed(slot) for side in self.sides]
        self.compare(f"slot {slot} expires", both)
        self.others(slot, in_order=False)
        assert self.resume(slot) == "refused"
        self.forget(slot)

    def forget(self, slot):
        for side in self.sides:
            side.of_slot[slot] = None

    def batch(self, slot, requests):
        self.ready(slot)
        requests = [(XIDS.get(op) or next(self.xids[slot]), op, body) for op, body in requests]
        self.past.extend(f"slot {slot} {NAMES.get(op, op)} {body!r:.300}" for _, op, body in requests)
        for side in self.sides:
            side.send(slot, requests)
        in_order = requests[-1][1] != wire.CLOSE
        both = [side.answers(slot, requests) for side in self.sides]
        self.count(self.compare(f"slot {slot}", both if in_order else map(by_path, both)), True)
        self.others(slot, in_order)

    def last(self, slot, requests):
        """Requests after which the server closes the connection; the session lives."""
        self.batch(slot, requests)
        self.compare(f"slot {slot} is closed", [side.until_closed(slot) for side in self.sides])

    def end(self, slot, requests):
        self.last(slot, requests)
        self.forget(slot)
