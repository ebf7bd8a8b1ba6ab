# SPDX-License-Identifier: Apache-2.0
"""A data directory changes hands: what Apache ZooKeeper wrote, zkserver opens, and the other way round."""
import shutil
import signal

import pytest
from kazoo.client import KazooClient
from kazoo.security import make_acl, make_digest_acl

from servers import KINDS, wait_until

SECONDS = 20
MISMATCH = {"apache": ("Digests are not matching", "First digest mismatch", "of snapshot digest does not exist"),
            "corral": ("differs from the digest",)}
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


def hand_over(old, new):
    shutil.copytree(old.dir / "data" / "version-2", new.dir / "data" / "version-2")


def no_digest_mismatch(server):
    log = server.log()
    for words in MISMATCH[server.name]:
        assert words not in log, log[-3000:]


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
            server.stop()
            no_digest_mismatch(server)
    finally:
        for server in servers:
            server.remove()
