# SPDX-License-Identifier: Apache-2.0
"""The same requests to Apache ZooKeeper and to zkserver: replies, errors, Stats and events must be the same, byte by
byte but for clocks, session ids, the order of children, and the zxid at which each began."""
import random
import struct

import pytest

import wire
from wire import Connection, acls, i32, i64, text

SEEDS = range(1, 9)
STEPS = 600
NAMES = ["a", "a", "b", "c-"]
ACLS = [wire.WORLD] * 40 + [[(1, "world", "anyone")], [], None, [(31, "nosuch", "x")],
        [(31, "auth", "")], [(31, "digest", "ann:x"), (1, "world", "anyone")], [(31, "ip", "127.0.0.1")] * 2,
        [(31, "ip", "10.0.0.0/8"), (17, "world", "anyone")], [(31, "world", "someone")]]


class Plan:
    """A seeded sequence of requests, as bytes, so that each server gets the same."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.root = f"/t{seed}"
        self.made = 0

    def path(self):
        depth = self.rng.choice((1, 1, 1, 1, 2, 2, 3))
        path = "/".join([self.root] + [self.rng.choice(NAMES) for _ in range(depth)])
        if self.rng.random() < 0.03:
            path = self.rng.choice(("", "a", "/", "//", path + "/", path + "//x", path + "/../x", path + "/./x",
                                    path + "/\0", path + "/\x01", "/zookeeper", "/zookeeper/quota",
                                    "/zookeeper/config"))
        if self.rng.random() < 0.05:
            path += f"{self.rng.randrange(4):010}"
        return text(path)

    def data(self):
        return text(self.rng.choice((None, b"", b"x", b"hello", bytes(self.rng.randrange(300)))))

    def version(self):
        return i32(self.rng.choice((-1, -1, -1, 0, 0, 1, 2, 5)))

    def watch(self):
        return bytes([self.rng.random() < 0.7])

    def create(self):
        flags = self.rng.choice((0, 0, 0, 0, 1, 2, 3, 3, 9, -1)) if self.rng.random() < 0.5 else 0
        return self.path() + self.data() + acls(self.rng.choice(ACLS)) + i32(flags)

    def multi(self):
        parts = b""
        for _ in range(self.rng.randrange(5)):
            op = self.rng.choice((wire.CREATE, wire.CREATE2, wire.DELETE, wire.SET, wire.CHECK))
            parts += i32(op) + b"\0" + i32(-1) + self.body(op)
        return parts + i32(-1) + b"\1" + i32(-1)

    def multi_read(self):
        parts = b""
        for _ in range(self.rng.randrange(5)):
            op = self.rng.choice((wire.GET, wire.CHILDREN, wire.GET, wire.CHILDREN, wire.GET, wire.EXISTS))
            parts += i32(op) + b"\0" + i32(-1) + self.body(op)
        return parts + i32(-1) + b"\1" + i32(-1)

    def paths(self):
        return (lambda paths: i32(len(paths)) + b"".join(paths))([self.path() for _ in range(self.rng.randrange(3))])

    def set_watches(self, lists):
        """A zxid among those that the plan has made so far, as an offset, and the lists."""
        return self.rng.randrange(self.made + 1), b"".join(self.paths() for _ in range(lists))

    def body(self, op):
        if op in (wire.CREATE, wire.CREATE2):
            return self.create()
        if op in (wire.DELETE, wire.CHECK):
            return self.path() + self.version()
        if op == wire.SET:
            return self.path() + self.data() + self.version()
        if op == wire.SET_ACL:
            return self.path() + acls(self.rng.choice(ACLS)) + self.version()
        if op in (wire.GET_ACL, wire.SYNC, wire.COUNT, wire.EPHEMERALS):
            return self.path()
        if op == wire.MULTI_READ:
            return self.multi_read()
        if op == wire.WHO_AM_I:
            return b""
        if op == wire.MULTI:
            return self.multi()
        if op in (wire.SET_WATCHES, wire.SET_WATCHES2):
            return self.set_watches(3 if op == wire.SET_WATCHES else 5)
        if op == wire.ADD_WATCH:
            return self.path() + i32(self.rng.choice((0, 0, 0, 1, 1, 1, 2, -1)))
        if op in (wire.CHECK_WATCHES, wire.REMOVE_WATCHES):
            return self.path() + i32(self.rng.choice((1, 1, 2, 2, 3, 3, 0, 4, 5)))
        return self.path() + self.watch()

    def requests(self):
        """(connection, op, body), 0 and 1 taking turns at random."""
        yield 0, wire.CREATE, text(self.root) + text("") + acls(wire.WORLD) + i32(0)
        ops = [wire.CREATE] * 5 + [wire.CREATE2] * 3 + [wire.DELETE] * 3 + [wire.SET] * 3 + [
            wire.EXISTS, wire.GET, wire.CHILDREN, wire.CHILDREN2, wire.GET_ACL, wire.SET_ACL, wire.SYNC, wire.MULTI,
            wire.MULTI, wire.EXISTS, wire.GET, wire.CHILDREN, wire.EXISTS, wire.GET,
            wire.MULTI_READ, wire.EPHEMERALS, wire.COUNT, wire.WHO_AM_I, wire.SET_WATCHES, wire.SET_WATCHES2,
            wire.ADD_WATCH, wire.ADD_WATCH, wire.CHECK_WATCHES, wire.REMOVE_WATCHES]
        for self.made in range(STEPS):
            op = self.rng.choice(ops)
            yield self.rng.randrange(2), op, self.body(op)


class Recorder:
    """One server's answers, with what may differ made equal."""

    def __init__(self, port):
        self.connections = [Connection(port) for _ in range(2)]
        self.sessions = {connection.session: i for i, connection in enumerate(self.connections)}
        self.base = self.connections[0].ping()[1][1]

    def close(self):
        for connection in self.connections:
            connection.call(wire.CLOSE, b"")
            connection.socket.close()

    def zxid(self, zxid):
        return zxid - self.base if zxid > self.base else ("old", zxid) if zxid <= 0 else "before"

    def stat(self, r):
        s = r.stat()
        for key in ("czxid", "mzxid", "pzxid"):
            s[key] = self.zxid(s[key])
        s["same time"] = s.pop("ctime") == s.pop("mtime") if s["version"] == 0 else None
        s.pop("mtime", None), s.pop("ctime", None)
        s["ephemeralOwner"] = self.sessions.get(s["ephemeralOwner"], s["ephemeralOwner"])
        return s

    def multi(self, r):
        results = []
        while True:
            op, done, err = r.i32(), r.flag(), r.i32()
            if done:
                return results + [(op, err)]
            results.append((op, err, self.record(op, r)))

    def record(self, op, r):
        if op == -1:
            return r.i32()
        if op in (wire.CREATE, wire.SYNC):
            return r.buf()
        if op == wire.CREATE2:
            return r.buf(), self.stat(r)
        if op in (wire.SET, wire.SET_ACL, wire.EXISTS):
            return self.stat(r)
        if op == wire.GET:
            return r.buf(), self.stat(r)
        if op == wire.CHILDREN:
            return sorted(r.texts())
        if op == wire.CHILDREN2:
            return sorted(r.texts()), self.stat(r)
        if op == wire.GET_ACL:
            return r.acls(), self.stat(r)
        if op == wire.EPHEMERALS:
            return sorted(r.texts())
        if op == wire.COUNT:
            return r.i32()
        if op == wire.WHO_AM_I:
            return sorted((r.buf(), r.buf()) for _ in range(r.i32()))
        if op == wire.ADD_WATCH:
            return r.i32()
        return self.multi(r) if op in (wire.MULTI, wire.MULTI_READ) else None

    def step(self, number, op, body):
        """The answer to one request, and the events that both connections have seen by then."""
        connection, other = self.connections[number], self.connections[1 - number]
        if isinstance(body, tuple):
            body = i64(self.base + body[0]) + body[1]
        events, reply = connection.call(op, body)
        if reply is None:
            return "closed", events
        xid, zxid, err, r = reply
        record = self.record(op, r) if err == 0 else None
        r.end()
        seen, pong = other.ping()
        return xid, self.zxid(zxid), err, record, events, seen, pong[2]


def describe(number, op, body):
    return f"connection {number}, op {op}, body {body!r:.200}"


def foreign(op, apache):
    """Apache's 3.8 answers checkWatches by anybody's watches at the path; zkserver, as its 3.9, by the caller's own."""
    if op != wire.CHECK_WATCHES or apache[2] != 0:
        return apache
    return *apache[:2], wire.NOWATCHER, *apache[3:]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_requests_are_answered_alike(both, seed):
    recorders = [Recorder(server.port) for server in both]
    past = []
    for number, op, body in Plan(seed).requests():
        past.append(describe(number, op, body))
        apache, corral = [recorder.step(number, op, body) for recorder in recorders]
        assert corral in (apache, foreign(op, apache)), "\n".join([*past[-8:], f"{corral}", f"{apache}"])
        if apache[0] == "closed":
            break
    for recorder in recorders:
        recorder.close()


def raw(server, *frames):
    """What comes back for frames on a connection that is new: the frames' count until it closes or is silent."""
    with Connection(server.port) as connection:
        answers = []
        for frame in frames:
            connection.send(frame)
            answers.append(connection.receive())
        return answers


def alike(both, *frames):
    apache, corral = [raw(server, *frames) for server in both]
    masked = [[None if a is None else (a[:4], a[12:]) for a in answers] for answers in (apache, corral)]
    assert masked[1] == masked[0]
    return apache


@pytest.mark.parametrize("body", [b"", b"\0", text("/a"), i32(5) + b"/a", i32(-2), i32(0x7FFFFFFF),
                                  text("/a") + i32(4) + b"x"],
                         ids=["empty", "one-byte", "path-only", "long-length", "negative", "huge", "short-data"])
@pytest.mark.parametrize("op", [wire.CREATE, wire.DELETE, wire.EXISTS, wire.GET, wire.SET, wire.CHILDREN, wire.MULTI,
                                wire.SET_WATCHES, wire.SET_WATCHES2, wire.ADD_WATCH, wire.CHECK_WATCHES,
                                wire.REMOVE_WATCHES])
def test_truncated_requests_are_answered_alike(both, op, body):
    alike(both, i32(7) + i32(op) + body)


@pytest.mark.parametrize("op", [wire.EXISTS, wire.GET, wire.GET_ACL, wire.CHILDREN, wire.CHILDREN2, wire.SYNC, wire.COUNT,
                                wire.EPHEMERALS, wire.CHECK_WATCHES, wire.REMOVE_WATCHES, wire.ADD_WATCH])
def test_reads_of_no_path_are_answered_alike(both, op):
    watching = op in (wire.CHECK_WATCHES, wire.REMOVE_WATCHES, wire.ADD_WATCH)
    alike(both, i32(7) + i32(op) + text(None) + (i32(1) if watching else b"\1"), i32(8) + i32(wire.EXISTS) + text("/no") + b"\0")


@pytest.mark.parametrize("op", [0, -1, 10, 23, 99, 108, 1000, -9])
def test_unknown_operations_are_answered_alike(both, op):
    assert alike(both, i32(7) + i32(op) + text("/a"))[0][12:] == i32(-6)


def test_a_failed_digest_and_an_unknown_scheme_are_answered_alike(both):
    for scheme, data in (("digest", b"a:b"), ("digest", b"a:b:c"), ("digest", b"nocolon"), ("digest", b""),
                         ("digest", b":"), ("nosuch", b"x"), ("world", b"anyone"), ("", b"")):
        alike(both, i32(wire.XID_AUTH) + i32(wire.AUTH) + i32(0) + text(scheme) + text(data))


def test_watches_set_again_catch_up_alike(both):
    seen = []
    for server in both:
        with Connection(server.port) as c:
            root = c.create("/again", b"")
            for name in "abcd":
                c.create(f"{root}/{name}", b"")
            zxid = c.ping()[1][1]
            c.call(wire.SET, text(f"{root}/a") + text("1") + i32(-1))
            c.call(wire.DELETE, text(f"{root}/b") + i32(-1))
            c.create(f"{root}/e", b"")
            c.create(f"{root}/c/x", b"")
            paths = [f"{root}/{name}" for name in "abcde"]
            lists = i32(4) + b"".join(map(text, paths[:4])) + i32(2) + text(paths[4]) + text(f"{root}/f")
            lists += i32(5) + b"".join(map(text, [root, *paths[:4]]))
            events, reply = c.call(wire.SET_WATCHES, i64(zxid) + lists, xid=wire.XID_SET_WATCHES)
            later, _ = c.call(wire.SET, text(paths[2]) + text("2") + i32(-1))
            seen.append((events, reply[0], reply[2], later))
            for path in (f"{root}/c/x", *[f"{root}/{name}" for name in "acde"], root):
                c.call(wire.DELETE, text(path) + i32(-1))
    assert seen[1] == seen[0] and len(seen[0][0]) >= 5


def test_too_long_frames_close_the_connection(both):
    for server in both:
        for length in (0x100000, 0x7FFFFFFF, -1):
            with Connection(server.port) as connection:
                connection.socket.sendall(struct.pack(">i", length))
                assert connection.receive() is None
        with Connection(server.port) as connection:
            assert connection.ping()[1][2] == 0
