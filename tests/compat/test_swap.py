# SPDX-License-Identifier: Apache-2.0
"""A data directory changes hands: what Apache ZooKeeper wrote, zkserver opens, and the other way round."""
import signal

import pytest
from kazoo.client import KazooClient
from kazoo.security import make_acl, make_digest_acl

import wire
from load import MULTI_END, Pipe
from servers import KINDS, wait_until
from swap import dump as dump_all
from swap import hand_over, no_digest_mismatch
from wire import acls, i32, text

SECONDS = 20
EXPIRY_SECONDS = 30


def connect(server, **settings):
    client = KazooClient(server.hosts, **{"timeout": 10, **settings})
    client.start(SECONDS)
    return client


def populate(client):
    """Nodes of every kind that a snapshot or a log can hold."""
    closed = make_acl("world", "anyone", read=True)
    for path, data, acl in (("/plain", b"data", None), ("/empty", b"", None), ("/large", b"x" * 200000, None),
                            ("/locked", b"secret", [make_digest_acl("user", "password", all=True), closed])):
        client.create(path, data, acl=acl)
    for i in range(300):
        client.create("/plain/child-%03d" % i, b"%d" % i)
    for i in range(0, 300, 3):
        client.delete("/plain/child-%03d" % i)
    for i in range(20):
        client.set("/empty", b"%d" % i)
    client.create("/sequence")
    for _ in range(5):
        client.create("/sequence/n-", b"", sequence=True)
    client.delete("/sequence/n-0000000003")
    multi = client.transaction()
    multi.create("/multi", b"")
    multi.create("/multi/inside", b"1")
    multi.set_data("/plain", b"by multi")
    assert not [e for e in multi.commit() if isinstance(e, Exception)]
    client.create("/unicode-äöü", "Grüße".encode())
    client.create("/owned", b"", ephemeral=True)


def dump(client, path="/"):
    """All nodes with data, ACL and stat; /zookeeper apart, which each kind fills by itself."""
    data, stat = client.get(path)
    acl, _ = client.get_acls(path)
    children = sorted(c for c in client.get_children(path) if path != "/" or c != "zookeeper")
    nodes = {path: (data, stat, acl)}
    for child in children:
        nodes.update(dump(client, path.rstrip("/") + "/" + child))
    return nodes


@pytest.fixture
def pair(request):
    old, new = (KINDS[kind]() for kind in request.param)
    try:
        yield old, new
    finally:
        old.remove()
        new.remove()


WAYS = pytest.mark.parametrize("pair", [("apache", "corral"), ("corral", "apache")], indirect=True,
                               ids=["apache-to-corral", "corral-to-apache"])


@WAYS
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_tree_is_the_same_under_the_other_server(pair, how):
    old, new = pair
    old.start()
    client = connect(old)
    populate(client)
    before, session = dump(client), client.client_id
    old.stop(how)
    client.stop()
    hand_over(old, new)
    new.start()
    client = connect(new, client_id=session)
    assert client.client_id == session, "the session lives on"
    assert dump(client) == before
    client.create("/after", b"written by the other")
    client.set("/plain", b"changed by the other")
    client.delete("/owned")
    last = dump(client)
    client.stop()
    no_digest_mismatch(new)
    # And once more: through a start that reads what it has written itself.
    new.stop(how)
    new.start()
    client = connect(new)
    assert dump(client) == last
    client.stop()
    no_digest_mismatch(new)


@WAYS
def test_ephemeral_nodes_end_with_their_session_under_the_other_server(pair):
    old, new = pair
    old.start()
    client = connect(old, timeout=2)
    client.create("/owned", b"", ephemeral=True)
    _, before = client.get("/")
    old.stop(signal.SIGKILL)
    client.stop()
    hand_over(old, new)
    new.start()
    client = connect(new)
    wait_until(lambda: not client.exists("/owned"), EXPIRY_SECONDS, "the ephemeral node goes")
    # It may have gone before we came; that it was there is seen by what its going changed.
    _, after = client.get("/")
    assert (after.cversion, after.numChildren) == (before.cversion + 1, before.numChildren - 1)
    assert after.pzxid > before.pzxid
    client.stop()


def multi_with_create2(server):
    """What a multi does whose creates ask for a Stat, among all other parts; its results, as they came."""
    def part(op, body):
        return i32(op) + b"\0" + i32(-1) + body

    def create(path, flags=0):
        return part(wire.CREATE2, text(path) + text("data of " + path) + acls(wire.WORLD) + i32(flags))

    with Pipe(server.port) as pipe:
        for path in ("/m", "/m/old", "/m/kept"):
            pipe.create(path, b"")
        parts = (create("/m/new") + part(wire.CHECK, text("/m/new") + i32(0)) + part(wire.DELETE, text("/m/old") + i32(0)) +
                 create("/m/n-", flags=2) + part(wire.SET, text("/m/kept") + text("by multi") + i32(0)) + create("/m/new/below"))
        pipe.ask(wire.MULTI, parts + MULTI_END)
        error, reader = pipe.answer()
        results = reader.data[reader.at:]
        pipe.call(wire.SET, text("/m/new/below") + text("after") + i32(0))
        pipe.call(wire.CLOSE, b"")
    assert error == 0
    return results


def without_stats(results):
    """The parts' types and texts; the Stat of a set has zxids and times."""
    r, parts = wire.Reader(results), []
    while True:
        op, done, error = r.i32(), r.flag(), r.i32()
        if done:
            r.end()
            return parts
        parts.append((op, error, r.buf() if op == wire.CREATE else r.stat()["version"] if op == wire.SET else None))


@WAYS
def test_a_create2_inside_a_multi_is_kept_and_is_answered_as_a_create(pair):
    old, new = pair
    old.start()
    assert without_stats(multi_with_create2(old)) == [
        (wire.CREATE, 0, b"/m/new"), (wire.CHECK, 0, None), (wire.DELETE, 0, None), (wire.CREATE, 0, b"/m/n-0000000003"),
        (wire.SET, 0, 1), (wire.CREATE, 0, b"/m/new/below")]
    before = dump_all(old)
    assert {"/m/new", "/m/new/below", "/m/n-0000000003"} < before.keys() and "/m/old" not in before
    old.stop(signal.SIGKILL)
    hand_over(old, new)
    new.start()
    assert dump_all(new) == before
    no_digest_mismatch(new)


def test_back_and_forth_keeps_the_tree():
    servers = [KINDS[kind]() for kind in ("apache", "corral", "apache", "corral")]
    expected = None
    try:
        for number, server in enumerate(servers):
            if number > 0:
                hand_over(servers[number - 1], server)
            server.start()
            client = connect(server)
            if expected is None:
                populate(client)
                client.delete("/owned")
            else:
                assert dump(client) == expected
            client.create(f"/round-{number}", server.name.encode())
            expected = dump(client)
            client.stop()
            no_digest_mismatch(server)
            server.stop()
    finally:
        for server in servers:
            server.remove()


@pytest.mark.parametrize("kinds", [("apache", "corral"), ("corral", "apache")], ids="-to-".join)
@pytest.mark.parametrize("method", ["gz", "snappy"])
def test_packed_snapshots_change_hands(kinds, method):
    old, new = (KINDS[kind](f"snapshot.compression.method={method}\nsnapCount=100\n") for kind in kinds)
    try:
        old.start()
        client = connect(old)
        populate(client)
        client.delete("/owned")
        before = dump(client)
        suffix = "." + method
        wait_until(lambda: [f for f in (old.dir / "data" / "version-2").iterdir() if f.name.endswith(suffix)], SECONDS,
                   "a packed snapshot is written")
        client.stop()
        old.stop()
        hand_over(old, new)
        new.start()
        client = connect(new)
        after = dump(client)
        assert after == before
        client.stop()
        no_digest_mismatch(new)
    finally:
        old.remove()
        new.remove()
