# SPDX-License-Identifier: Apache-2.0
"""Container and TTL nodes: the same requests to Apache ZooKeeper and to zkserver, and data that changes hands."""
import shutil

import pytest

import wire
from servers import KINDS, wait_until
from wire import Connection, acls, i32, i64, text

CHECK_MS = 300
PROPERTIES = {"znode.container.checkIntervalMs": CHECK_MS, "zookeeper.extendedTypesEnabled": "true"}
GONE_SECONDS = 10
CREATES = (wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER, wire.CREATE_TTL)
TTLS = (-1, 0, 3600000, 2 ** 40 - 1, 2 ** 40)


def both(properties):
    made = [KINDS[name](properties=properties) for name in ("apache", "corral")]
    try:
        yield [one.start() for one in made]
    finally:
        for one in made:
            one.remove()


@pytest.fixture(scope="module")
def extended():
    yield from both(PROPERTIES)


@pytest.fixture(scope="module")
def plain():
    yield from both({})


def body(op, path, flags, ttl, data=b"x"):
    return text(path) + text(data) + acls(wire.WORLD) + i32(flags) + (i64(ttl) if op == wire.CREATE_TTL else b"")


def crashes_apache(op, flags, ttl):
    """A createTTL of another mode without a TTL, of which Apache's server dies; zkserver refuses it."""
    return op == wire.CREATE_TTL and flags in (0, 1, 2, 3, 4) and ttl < 0


def stat_of(r, session):
    """What must be the same of a Stat."""
    stat = r.stat()
    stat["ephemeralOwner"] = "mine" if stat["ephemeralOwner"] == session else stat["ephemeralOwner"]
    return {k: v for k, v in stat.items() if k not in ("ctime", "mtime", "czxid", "mzxid", "pzxid")}


def answers(server):
    """What each operation answers with each mode and TTL."""
    seen = {}
    with Connection(server.port) as c:
        for op in CREATES:
            for flags in range(-1, 9):
                for ttl in TTLS if op == wire.CREATE_TTL else (-1,):
                    if crashes_apache(op, flags, ttl):
                        continue
                    _, reply = c.call(op, body(op, f"/{op}-{flags}-{ttl}-", flags, ttl))
                    _, zxid, err, r = reply
                    record = (r.buf(), stat_of(r, c.session) if op != wire.CREATE else None) if err == 0 else None
                    seen[op, flags, ttl] = (err, zxid, record)
        c.call(wire.CLOSE, b"")
    return seen


@pytest.mark.parametrize("which", ["extended", "plain"])
def test_every_create_with_every_mode_is_answered_alike(request, which):
    apache, corral = (answers(server) for server in request.getfixturevalue(which))
    for key, answer in apache.items():
        assert corral[key] == answer, key


def part(op, *rest):
    return i32(op) + b"\0" + i32(-1) + body(op, *rest)


def multi_answer(server, parts):
    with Connection(server.port) as c:
        _, (_, zxid, err, r) = c.call(wire.MULTI, b"".join(parts) + i32(-1) + b"\1" + i32(-1))
        seen = []
        while err == 0:
            kind, done, code = r.i32(), r.flag(), r.i32()
            if done:
                break
            if kind == -1:
                seen.append((kind, code, r.i32()))
            else:
                seen.append((kind, code, r.buf(), stat_of(r, c.session) if kind == wire.CREATE2 else None))
        c.call(wire.CLOSE, b"")
    return zxid, err, seen


@pytest.mark.parametrize("which", ["extended", "plain"])
def test_every_create_in_a_multi_is_answered_alike(request, which):
    servers = request.getfixturevalue(which)
    for op in CREATES:
        for flags in range(-1, 9):
            for ttl in TTLS if op == wire.CREATE_TTL else (-1,):
                above = f"/m-{op}-{flags}-{ttl}"
                parts = [part(wire.CREATE, above, 0, 0), part(op, above + "/x", flags, ttl)]
                apache, corral = (multi_answer(server, parts) for server in servers)
                assert corral == apache, (op, flags, ttl)


def test_both_reap_what_is_no_longer_wanted(extended):
    for server in extended:
        with Connection(server.port) as c:
            c.call(wire.CREATE_CONTAINER, body(wire.CREATE_CONTAINER, "/used", 4, -1))
            c.call(wire.CREATE_CONTAINER, body(wire.CREATE_CONTAINER, "/unused", 4, -1))
            c.call(wire.CREATE_TTL, body(wire.CREATE_TTL, "/short", 5, 200))
            c.call(wire.CREATE_TTL, body(wire.CREATE_TTL, "/parent", 5, 200))
            c.create("/parent/kid", b"")
            c.create("/used/kid", b"")
            c.call(wire.DELETE, text("/used/kid") + i32(-1))
            for path in ("/used", "/short"):
                wait_until(lambda: c.call(wire.EXISTS, text(path) + b"\0")[1][2] == -101, GONE_SECONDS, f"{path} goes")
            for path in ("/unused", "/parent"):
                assert c.call(wire.EXISTS, text(path) + b"\0")[1][2] == 0
            c.call(wire.CLOSE, b"")


@pytest.mark.parametrize("kinds", [("apache", "corral"), ("corral", "apache")], ids="-to-".join)
def test_data_with_them_changes_hands(kinds):
    old, new = (KINDS[kind](properties=PROPERTIES) for kind in kinds)
    try:
        old.start()
        with Connection(old.port) as c:
            c.call(wire.CREATE_CONTAINER, body(wire.CREATE_CONTAINER, "/c", 4, -1))
            c.create("/c/kid", b"")
            c.call(wire.CREATE_TTL, body(wire.CREATE_TTL, "/t", 5, 2000))
            c.create("/t/kid", b"")
            c.call(wire.CREATE_TTL, body(wire.CREATE_TTL, "/long", 5, 2 ** 40 - 1))
        old.stop()
        shutil.copytree(old.dir / "data" / "version-2", new.dir / "data" / "version-2")
        new.start()
        with Connection(new.port) as c:
            assert c.call(wire.EXISTS, text("/long") + b"\0")[1][2] == 0
            for path in ("/c", "/t"):
                assert c.call(wire.DELETE, text(path + "/kid") + i32(-1))[1][2] == 0
                wait_until(lambda: c.call(wire.EXISTS, text(path) + b"\0")[1][2] == -101, GONE_SECONDS, f"{path} goes")
        assert "not matching" not in new.log() and "differs from the digest" not in new.log()
    finally:
        old.remove()
        new.remove()


def test_ttl_nodes_are_not_lost_for_want_of_a_setting():
    old, new = KINDS["apache"](properties=PROPERTIES), KINDS["corral"]()
    try:
        old.start()
        with Connection(old.port) as c:
            c.call(wire.CREATE_TTL, body(wire.CREATE_TTL, "/t", 5, 3600000))
        old.stop()
        shutil.copytree(old.dir / "data" / "version-2", new.dir / "data" / "version-2")
        new.launch()
        wait_until(lambda: new.process.poll() is not None, GONE_SECONDS, "zkserver refuses the data")
        new.process = None
        assert "/t is a TTL node" in new.log() and "extendedTypesEnabled" in new.log()
    finally:
        old.remove()
        new.remove()
