# SPDX-License-Identifier: Apache-2.0
"""Which error comes first: writes that are wrong in several ways, or cut short anywhere, to both kinds of servers."""
import random

import wire
from wire import Connection, acls, i32, i64, text

RECONFIG = 16
READ_ONLY_ACL = [(1, "world", "anyone")]
NOBODY = [(31, "digest", "nobody:x")]
PATHS = (None, "", "/", "a", "/none", "/none/x", "/e", "/e/x", "/f", "/f/x", "/ro", "/ro/x", "/ro/kid", "/full", "/full/kid",
         "//", "/full/", "/full//x", "/full/.", "/full/../x", "/full/x\0", "/full/x\x01", "/full/x\x7f",
         "/full/\ud7ff", "/full/\ue000", "/full/\uf8ff", "/full/\uf900", "/full/\uffef", "/full/\ufff0",
         "/full/\U00010000", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/zookeeper/x",
         "zookeeper", "/no\0ne/x", "/full/x/")
LISTS = (wire.WORLD, None, [], NOBODY, [(31, "world", "somebody")], [(31, None, "x")], [(31, "nosuch", "x")],
         [(31, "auth", "")], [(31, "ip", "1.2.3")], [(31, "ip", "1.2.3.4/33")], [(31, "digest", "x")], [(31, "super", "")],
         [(0, "world", "anyone")], [(31, "world", "anyone")] * 2, [(31, "x509", "CN=x")])
MIXED_PATHS = PATHS[4:15] * 4 + PATHS
MIXED_LISTS = (wire.WORLD,) * len(LISTS) + LISTS
RANDOM_REQUESTS = 2000
WANTED = ([(op, err) for op in (wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER)
           for err in (0, -5, -8, -101, -102, -108, -110, -114)] +
          [(wire.CREATE_TTL, err) for err in (-5, -6, -8)] +
          [(wire.DELETE, err) for err in (0, -5, -8, -101, -102, -103, -111)] +
          [(wire.SET, err) for err in (0, -5, -8, -101, -102, -103)] +
          [(wire.SET_ACL, err) for err in (0, -5, -8, -101, -102, -103, -114)] +
          [(RECONFIG, -5), (RECONFIG, -123), (wire.MULTI, 0), (wire.MULTI, -5)])


def bytes_of(path):
    return text(path if path is None else path.encode("utf-8", "surrogatepass"))


def prepare(c):
    c.create("/e", b"x", 1)
    c.create("/f", b"x")
    c.create("/full", b"x")
    c.create("/full/kid", b"x")
    c.create("/ro", b"x")
    c.create("/ro/kid", b"x", acl=NOBODY)
    assert c.call(wire.SET_ACL, text("/ro") + acls(READ_ONLY_ACL) + i32(-1))[1][2] == 0


def create(rng, op):
    body = pick_path(rng) + text(rng.choice((None, b"", b"x"))) + acls(rng.choice(MIXED_LISTS))
    body += i32(rng.choice((0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, -1)))
    return body + i64(rng.choice((0, 1000, 2 ** 41))) if op == wire.CREATE_TTL else body


chosen = []  # the paths of a request in the making


def pick_path(rng):
    chosen.append(rng.choice(MIXED_PATHS))
    return bytes_of(chosen[-1])


def body_of(rng, op):
    if op in (wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER, wire.CREATE_TTL):
        return create(rng, op)
    path, version = pick_path(rng), i32(rng.choice((-1, 0, 1, 7)))
    if op == wire.SET:
        return path + text(rng.choice((None, b"", b"xyz"))) + version
    if op == wire.SET_ACL:
        return path + acls(rng.choice(MIXED_LISTS)) + version
    if op == RECONFIG:
        return text(None) * 2 + text(rng.choice((None, "server.1=x"))) + i64(-1)
    return path + version


def requests():
    rng = random.Random(1)
    ops = (wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER, wire.CREATE_TTL, wire.DELETE, wire.SET, wire.SET_ACL,
           RECONFIG)
    for op in ops:  # cut short at every byte
        whole = body_of(random.Random(3), op)
        for size in range(len(whole)):
            yield op, whole[:size]
    for step in range(RANDOM_REQUESTS):
        if step % 10 == 0:  # it is deleted now and then
            yield wire.CREATE, text("/e") + text("x") + acls(wire.WORLD) + i32(1)
        op = rng.choice(ops)
        yield op, body_of(rng, op)
    parts = (wire.CREATE, wire.CREATE2, wire.DELETE, wire.SET, wire.CHECK, wire.SET_ACL, RECONFIG, wire.DELETE_CONTAINER, 0)
    for _ in range(RANDOM_REQUESTS // 2):
        chosen.clear()
        body = b"".join(i32(op) + b"\0" + i32(-1) + body_of(rng, op)
                        for op in rng.choices(parts[:5] * 8 + parts, k=rng.randrange(4)))
        if all(path is not None for path in chosen):  # zkserver(8) has what a null path in a multi does
            yield wire.MULTI, body + i32(-1) + b"\1" + i32(-1)


def record_of(op, err, r):
    """What must be the same of a reply's record."""
    if err != 0:
        return r.data[r.at:]
    if op == wire.MULTI:
        seen = []
        while True:
            kind, done, code = r.i32(), r.flag(), r.i32()
            if done:
                return seen
            seen.append((kind, code, record_of(kind, code, r) if kind != -1 else r.i32()))
    path = r.buf() if op in (wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER, wire.CREATE_TTL) else None
    stat = r.stat() if op not in (wire.CREATE, wire.DELETE, wire.CHECK) else {}
    return path, {k: v for k, v in stat.items() if k in ("version", "cversion", "aversion", "dataLength", "numChildren")}


def test_the_first_error_is_the_same(both):
    conns = [Connection(server.port) for server in both]
    starts, seen = [], {}
    for c in conns:
        prepare(c)
        starts.append(c.call(wire.SYNC, text("/"))[1][1])
    for step, (op, body) in enumerate(requests()):
        answers = []
        for i, c in enumerate(conns):
            _, reply = c.call(op, body)
            if reply is None:
                answers.append(None)
                continue
            _, zxid, err, r = reply
            answers.append((err, zxid - starts[i], record_of(op, err, r)))
        apache, corral = answers
        assert corral == apache, (step, op, body)
        if apache is not None:
            seen[op, apache[0]] = seen.get((op, apache[0]), 0) + 1
        assert apache is not None, (step, op, body)
    for c in conns:
        c.call(wire.CLOSE, b"")
    for wanted in WANTED:
        assert wanted in seen, (wanted, sorted(seen.items()))
