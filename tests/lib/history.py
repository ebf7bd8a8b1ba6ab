# SPDX-License-Identifier: Apache-2.0
"""Is what clients saw (tests/lib/recorder.py) what an ensemble may show them?

The transaction logs say in which order the writes took effect; they are replayed on a small tree, and every answer is
held against it: the result of each write, the state that each read saw, real time, each session's order and end, sync,
watches."""
import bisect
import collections
import json
import struct
import zlib
from pathlib import Path

CREATE, DELETE, SET, MULTI, CREATE2, ERROR, CREATE_SESSION, CLOSE_SESSION = 1, 2, 5, 14, 15, -1, -10, -11
NONODE, BADVERSION, NODEEXISTS, SESSIONEXPIRED, SESSIONMOVED = -101, -103, -110, -112, -118
EPHEMERAL, SEQUENTIAL = 1, 2
LOG_HEADER_BYTES = 16

Txn = collections.namedtuple("Txn", "session cxid zxid type parts error")
ERROR_BYTES = 4
Node = collections.namedtuple("Node", "data czxid mzxid version owner")


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0]

    def buf(self):
        size = self.take("i")
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size:self.at]

    def text(self):
        return self.buf().decode()


def parse_part(kind, b, owner):
    """(type, path, data, version or owner) of one change."""
    if kind in (CREATE, CREATE2):
        path, data = b.text(), b.buf()
        for _ in range(b.take("i")):
            b.take("i"), b.buf(), b.buf()
        return (CREATE, path, data, owner if b.take("?") else 0)
    if kind == DELETE:
        return (DELETE, b.text(), None, None)
    if kind == SET:
        return (SET, b.text(), b.buf(), b.take("i"))
    if kind == ERROR:
        # Apache's leader may write its log behind applying a multi that failed, which has marked what stood before the
        # failed part as an error as well, and left the part's own bytes.
        return (ERROR, None, None, b.take("i") if len(b.data) == ERROR_BYTES else 0)
    raise ValueError(f"a transaction of type {kind}, which nobody asked for")


def parse(data):
    b = Bytes(data)
    session, cxid, zxid, _, kind = (b.take(f) for f in "qiqqi")
    parts, error = [], 0
    if kind == MULTI:
        for _ in range(b.take("i")):
            sub = b.take("i")
            parts.append(parse_part(sub, Bytes(b.buf()), session))
        failed = [p[3] for p in parts if p[0] == ERROR]
        if failed:
            error, parts = next((e for e in failed if e), failed[0]), []
    elif kind == CLOSE_SESSION:
        parts = [(DELETE, b.text(), None, None) for _ in range(b.take("i"))] if b.at < len(data) else None
    elif kind == ERROR:
        error = b.take("i")
    elif kind != CREATE_SESSION:
        parts = [parse_part(kind, b, session)]
    return Txn(session, cxid, zxid, kind, parts, error)


def log_records(directory):
    """{zxid: bytes} of all log files below a directory, as far as they are whole."""
    found = {}
    for path in sorted(Path(directory).glob("version-2/log.*"), key=lambda p: int(p.suffix[1:], 16)):
        data, at = path.read_bytes(), LOG_HEADER_BYTES
        while at + 12 < len(data):
            checksum, size = struct.unpack_from(">qi", data, at)
            record = data[at + 12:at + 12 + size]
            if size <= 0 or len(record) < size or zlib.adler32(record) != checksum:
                break
            found[struct.unpack_from(">q", record, 12)[0]] = record
            at += 12 + size + 1
    return found


def agreed(directories, replaced=None):
    """The transactions in order, from the logs of servers that are equal now: what most of them have at a zxid.

    replaced: for each, the zxid of the last snapshot that it was given instead of what it had. Apache's servers leave the
    log of what they had beside it; what only such a log has never came about."""
    votes, firm = collections.defaultdict(collections.Counter), set()
    for directory, snapshot in zip(directories, replaced or [0] * len(directories)):
        for zxid, record in log_records(directory).items():
            votes[zxid][record] += 1
            if zxid > snapshot:
                firm.add(zxid)
    txns = [parse(votes[z].most_common(1)[0][0]) for z in sorted(votes) if z in firm or votes[z].total() > 1]
    for before, txn in zip(txns, txns[1:]):
        assert txn.zxid == before.zxid + 1 or txn.zxid >> 32 > before.zxid >> 32, \
            f"no log has what came between 0x{before.zxid:x} and 0x{txn.zxid:x}"
    return txns


class Tree:
    """What each path was, at any zxid, and where each session ended."""

    def __init__(self, txns):
        self.now, self.changes, self.owned = {}, collections.defaultdict(list), collections.defaultdict(set)
        self.ended = {}
        for txn in txns:
            if txn.type == CLOSE_SESSION:
                self.end(txn)
                continue
            for part in txn.parts if not txn.error else []:
                self.apply(txn, part)

    def end(self, txn):
        """A session ends with what is its own. Logs from before ZooKeeper 3.6 do not name that."""
        own = set(self.owned.pop(txn.session, ()))
        if txn.parts is not None:
            named = {part[1] for part in txn.parts}
            assert named == own, f"the end of 0x{txn.session:x} removes {named}, its own was {own}"
        for path in own:
            self.put(path, txn.zxid, None)
        self.ended.setdefault(txn.session, txn.zxid)

    def put(self, path, zxid, node):
        old = self.now.pop(path, None)
        if old is not None and old.owner:
            self.owned[old.owner].discard(path)
        if node is not None:
            self.now[path] = node
            if node.owner:
                self.owned[node.owner].add(path)
        self.changes[path].append((zxid, node))

    def apply(self, txn, part):
        kind, path, data, extra = part
        old = self.now.get(path)
        if kind == CREATE:
            assert old is None, f"0x{txn.zxid:x} makes {path}, which exists"
            self.put(path, txn.zxid, Node(data, txn.zxid, txn.zxid, 0, extra))
        elif kind == DELETE:
            assert old is not None, f"0x{txn.zxid:x} removes {path}, which does not exist"
            self.put(path, txn.zxid, None)
        elif kind == SET:
            assert old is not None and extra == old.version + 1, f"0x{txn.zxid:x} sets {path} to version {extra}, it was {old}"
            self.put(path, txn.zxid, old._replace(data=data, mzxid=txn.zxid, version=extra))

    def at(self, path, zxid):
        changes = self.changes.get(path, [])
        n = bisect.bisect_right(changes, zxid, key=lambda c: c[0])
        return changes[n - 1][1] if n else None

    def next_change(self, path, zxid):
        changes = self.changes.get(path, [])
        n = bisect.bisect_right(changes, zxid, key=lambda c: c[0])
        return changes[n][0] if n < len(changes) else None


WRITES = ("set", "create", "delete", "multi")


def due(op, tree, zxid):
    """The error that a write must have that takes effect at a zxid; 0: it must succeed."""
    def error(path, version):
        node = tree.at(path, zxid - 1)
        return NONODE if node is None else BADVERSION if version not in (-1, node.version) else 0

    if op["op"] == "multi":
        return next((e for e in (error(path, -1) for path, _ in op["parts"]) if e), 0)
    if op["op"] == "create":
        return NODEEXISTS if not op["flags"] & SEQUENTIAL and tree.at(op["path"], zxid - 1) is not None else 0
    return error(op["path"], op["version"])


def asked(op):
    """The changes that a write asks for, without versions."""
    if op["op"] == "multi":
        return [(SET, path, data.encode()) for path, data in op["parts"]]
    if op["op"] == "create":
        return [(CREATE, op["made"], op["data"].encode())]
    return [(SET, op["path"], op["data"].encode()) if op["op"] == "set" else (DELETE, op["path"], None)]


def check_write(op, txn, tree):
    """An answered write against its transaction, and that against what there was before it."""
    assert txn is not None and (txn.session, txn.cxid) == (op["s"], op["xid"]), f"{op} is not what the log has: {txn}"
    if op["op"] == "multi":
        assert op["failed"] == bool(txn.error), f"{op}: {txn}"
    else:
        assert op["err"] == txn.error, f"{op}: {txn}"
    if txn.error in (SESSIONEXPIRED, SESSIONMOVED):
        return
    assert txn.error == due(op, tree, txn.zxid), f"{op}: {txn}, though its error should be {due(op, tree, txn.zxid)}"
    if txn.error:
        return
    assert [part[:3] for part in txn.parts] == asked(op), f"{op}: {txn}"
    if op["op"] == "set":
        assert op["stat"][1] == txn.zxid and op["stat"][4] == txn.parts[0][3], f"{op}: {txn}"
    elif op["op"] == "create":
        number = op["made"].removeprefix(op["path"])
        assert op["made"].startswith(op["path"]) and bool(number) == bool(op["flags"] & SEQUENTIAL), f"{op}"
        assert txn.parts[0][3] == (op["s"] if op["flags"] & EPHEMERAL else 0), f"{op}: {txn}"


def check_read(op, tree):
    node = tree.at(op["path"], op["zxid"])
    if op["err"] == NONODE:
        assert node is None, f"{op} missed {node}"
        return
    assert op["err"] == 0 and node is not None, f"{op}: there is {node}"
    seen = op["stat"]
    assert (seen[0], seen[1], seen[4], seen[7]) == (node.czxid, node.mzxid, node.version, node.owner), f"{op}: it was {node}"
    if op["op"] == "get":
        assert op["got"] == node.data.decode(), f"{op}: it was {node}"


def check_real_time(ops, syncs):
    """What was answered before another was asked for comes before it: for writes, and for what stands behind a sync."""
    ends = sorted((op["ret"], op["zxid"]) for op in ops if op["op"] in WRITES and op["ret"] and op["zxid"] > 0)
    highest, top = [], 0
    for _, zxid in ends:
        top = max(top, zxid)
        highest.append(top)
    synced = {}
    for op in ops:
        n = bisect.bisect_left(ends, (op["inv"], 0))
        must = highest[n - 1] if n else 0
        where = (op["c"], op["conn"])
        if op["op"] == "sync" and op["ret"] and op["err"] == 0:
            synced[where] = max(synced.get(where, 0), must)
        if op["op"] in WRITES and op.get("zxid"):
            assert op["zxid"] > must, f"{op} comes before 0x{must:x}, which was answered before it was asked for"
        elif op["ret"] and op["zxid"] >= 0:
            assert not syncs or op["zxid"] >= synced.get(where, 0), f"{op} is older than the sync before it: 0x{synced[where]:x}"


def check_sessions(ops, tree):
    """A client sees time go forward, and nothing of a session that has ended."""
    seen = {}
    for op in ops:
        if op["ret"] and op["zxid"] > 0:
            assert op["zxid"] >= seen.get(op["c"], 0), f"{op} goes back behind 0x{seen[op['c']]:x}"
            seen[op["c"]] = op["zxid"]
            end = tree.ended.get(op["s"])
            assert end is None or op["err"] == SESSIONEXPIRED or op["zxid"] < end, f"{op}, though its session ended at 0x{end:x}"


def check_order(ops, txns, made):
    """What a session asked for took effect in the order in which it was asked, and on one connection none after a gap."""
    last, gaps = {}, {}
    for txn in txns:
        if txn.type not in (CREATE_SESSION, CLOSE_SESSION) and not txn.error:
            assert txn.cxid > last.get(txn.session, 0), f"{txn} comes after {last[txn.session]} of the same session"
            last[txn.session] = txn.cxid
    for op in ops:
        if op["op"] not in WRITES:
            continue
        where = (op["c"], op["conn"])
        if (op["s"], op["xid"]) not in made:
            gaps.setdefault(where, op["xid"])
        else:
            assert where not in gaps, f"{op} took effect, though {gaps[where]} before it did not"


def check_watches(ops, events, tree):
    """A change is told of before an answer shows it."""
    told = collections.defaultdict(list)
    for e in events:
        told[e["c"], e["conn"], e["path"]].append(e["order"])
    later = collections.defaultdict(list)
    for op in ops:
        if op["ret"]:
            later[op["c"], op["conn"]].append((op["order"], op["zxid"]))
    for op in ops:
        if op["op"] != "get" or not op.get("watch") or not op["ret"] or op["err"] != 0:
            continue
        change = tree.next_change(op["path"], op["zxid"])
        if change is None:
            continue
        shown = [order for order, zxid in later[op["c"], op["conn"]] if order > op["order"] and zxid >= change]
        if shown:
            assert any(op["order"] < n < min(shown) for n in told[op["c"], op["conn"], op["path"]]), \
                f"{op}: 0x{change:x} was shown by an answer before the event"


def check(history, directories, replaced=None, syncs=True):
    """Raise AssertionError with what is wrong; return the figures and the tree that all servers must have.

    replaced: see agreed(). syncs: a sync promises something; with a leader of Apache's it does not, who answers its own
    clients' without a look at what it has yet to apply, or at whether it leads still."""
    entries = [json.loads(line) for line in Path(history).read_text(encoding="utf-8").splitlines()]
    ops = sorted((e for e in entries if "op" in e), key=lambda e: (e["inv"], e["xid"]))
    txns = agreed(directories, replaced)
    tree, by_zxid, made = Tree(txns), {t.zxid: t for t in txns}, {}
    for txn in txns:
        if txn.type not in (CREATE_SESSION, CLOSE_SESSION):
            assert (txn.session, txn.cxid) not in made, f"{txn} took effect twice: 0x{made[txn.session, txn.cxid]:x}"
            made[txn.session, txn.cxid] = txn.zxid
    unknown = taken = 0
    for op in ops:
        if op["op"] in WRITES and op["ret"] is None:
            unknown += 1
            if (op["s"], op["xid"]) in made:
                taken += 1
                op["zxid"] = made[op["s"], op["xid"]]
        elif op["op"] in WRITES:
            check_write(op, by_zxid.get(op["zxid"]), tree)
        elif op["ret"] and op["op"] != "sync":
            check_read(op, tree)
    check_real_time(ops, syncs)
    check_sessions(ops, tree)
    check_order(ops, txns, made)
    check_watches(ops, [e for e in entries if "event" in e], tree)
    answered = [op for op in ops if op["ret"]]
    return {"answered": len(answered), "writes": sum(op["op"] in WRITES and op["err"] == 0 for op in answered),
            "unknown": unknown, "unknown that took effect": taken, "transactions": len(txns),
            "sessions": len({op["s"] for op in ops})}, tree.now
