# SPDX-License-Identifier: Apache-2.0
"""Kazoo, the usual Python client, against zkserver; and against Apache ZooKeeper, which proves the tests."""
import queue
import threading

import pytest
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (BadVersionError, InvalidACLError, NoAuthError, NoChildrenForEphemeralsError,
                              NodeExistsError, NoNodeError, NotEmptyError, RolledBackError, RuntimeInconsistency)
from kazoo.retry import KazooRetry
from kazoo.security import make_acl, make_digest_acl

from servers import TICK_MS, wait_until
from wire import Connection

SECONDS = 20


@pytest.fixture
def clients(server):
    """Makes clients of the server; they are stopped at the end of the test."""
    made = []

    def make(hosts=server.hosts, **settings):
        # A JVM takes its time to start: whoever waits longer and longer between attempts comes after his session's end.
        again = KazooRetry(max_tries=-1, delay=0.1, backoff=1)
        client = KazooClient(hosts, **{"timeout": 10, "connection_retry": again, **settings})
        made.append(client)
        client.start(SECONDS)
        return client

    yield make
    for client in made:
        client.stop()
        client.close()


@pytest.fixture
def client(clients):
    return clients()


def test_a_node_is_made_read_changed_and_removed(client, root):
    path = client.create(f"{root}/a", b"one")
    data, stat = client.get(path)
    assert (data, stat.version, stat.dataLength, stat.ephemeralOwner) == (b"one", 0, 3, 0)
    assert stat.czxid == stat.mzxid == stat.pzxid and stat.ctime == stat.mtime
    changed = client.set(path, b"three", version=0)
    assert (changed.version, changed.dataLength, changed.czxid) == (1, 5, stat.czxid) and changed.mzxid > stat.mzxid
    assert client.exists(path) == changed
    assert client.get_children(root) == ["a"]
    client.delete(path, version=1)
    assert client.exists(path) is None


def test_errors_are_those_of_zookeeper(client, root):
    client.create(f"{root}/a")
    client.create(f"{root}/a/b")
    client.create(f"{root}/e", ephemeral=True)
    for error, call in ((NodeExistsError, lambda: client.create(f"{root}/a")),
                        (NoNodeError, lambda: client.create(f"{root}/x/y")),
                        (NoNodeError, lambda: client.get(f"{root}/x")),
                        (NoNodeError, lambda: client.get_children(f"{root}/x")),
                        (NoNodeError, lambda: client.delete(f"{root}/x")),
                        (NotEmptyError, lambda: client.delete(f"{root}/a")),
                        (BadVersionError, lambda: client.set(f"{root}/a", b"", version=9)),
                        (BadVersionError, lambda: client.delete(f"{root}/a/b", version=9)),
                        (NoChildrenForEphemeralsError, lambda: client.create(f"{root}/e/x")),
                        (InvalidACLError, lambda: client.create(f"{root}/i", acl=[make_acl("nosuch", "x", all=True)]))):
        with pytest.raises(error):
            call()


def test_children_come_with_the_parents_stat(client, root):
    for name in "abc":
        client.create(f"{root}/{name}")
    client.delete(f"{root}/b")
    names, stat = client.get_children(root, include_data=True)
    assert sorted(names) == ["a", "c"] and (stat.numChildren, stat.cversion) == (2, 4)


def test_sequential_names_only_grow(client, root):
    made = [client.create(f"{root}/n-", sequence=True) for _ in range(3)]
    client.delete(made[1])
    made.append(client.create(f"{root}/n-", sequence=True, ephemeral=True))
    assert made == [f"{root}/n-{i:010}" for i in range(4)]


def test_ephemeral_nodes_go_with_their_session(clients, client, root):
    other = clients()
    path = other.create(f"{root}/e", ephemeral=True)
    assert client.exists(path).ephemeralOwner == other.client_id[0]
    other.stop()
    assert client.exists(path) is None


def test_watches_fire_once_and_before_the_reply(client, root):
    events = queue.Queue()
    client.create(f"{root}/a")
    assert client.exists(f"{root}/new", watch=events.put) is None
    client.get(f"{root}/a", watch=events.put)
    client.get_children(root, watch=events.put)
    client.create(f"{root}/new")
    client.set(f"{root}/a", b"1")
    client.set(f"{root}/a", b"2")
    client.delete(f"{root}/a")
    seen = {(e.type, e.path) for e in (events.get(timeout=SECONDS) for _ in range(3))}
    assert seen == {("CREATED", f"{root}/new"), ("CHANGED", f"{root}/a"), ("CHILD", root)}
    client.sync(root)
    assert events.empty()


def test_the_watching_recipes_see_the_last_state(client, clients, root):
    data, children = queue.Queue(), queue.Queue()
    client.DataWatch(f"{root}/d", lambda value, stat: data.put(value))
    client.ChildrenWatch(root, lambda names: children.put(sorted(names)))
    assert data.get(timeout=SECONDS) is None and children.get(timeout=SECONDS) == []
    other = clients()
    other.create(f"{root}/d", b"1")
    assert data.get(timeout=SECONDS) == b"1" and children.get(timeout=SECONDS) == ["d"]
    other.set(f"{root}/d", b"2")
    assert data.get(timeout=SECONDS) == b"2"


def test_a_transaction_is_all_or_nothing(client, root):
    client.create(f"{root}/a", b"old")
    good = client.transaction()
    good.check(f"{root}/a", 0)
    good.set_data(f"{root}/a", b"new")
    good.create(f"{root}/b", b"x")
    good.create(f"{root}/b/c-", sequence=True)
    good.delete(f"{root}/b/c-0000000000")
    results = good.commit()
    assert results[0] is True and results[1].version == 1
    assert results[2:] == [f"{root}/b", f"{root}/b/c-0000000000", True]
    assert client.get(f"{root}/a")[1].mzxid == client.exists(f"{root}/b").czxid
    bad = client.transaction()
    bad.create(f"{root}/z")
    bad.check(f"{root}/a", 7)
    bad.delete(f"{root}/b")
    kinds = [type(result) for result in bad.commit()]
    assert kinds == [RolledBackError, BadVersionError, RuntimeInconsistency]
    assert client.exists(f"{root}/z") is None and client.exists(f"{root}/b") is not None


def test_access_control_admits_by_digest(clients, client, root):
    owner = clients(auth_data=[("digest", "ann:pw")])
    acl = [make_digest_acl("ann", "pw", all=True), make_acl("world", "anyone", read=True)]
    owner.create(f"{root}/a", b"x", acl=acl)
    assert client.get(f"{root}/a")[0] == b"x"
    with pytest.raises(NoAuthError):
        client.set(f"{root}/a", b"y")
    with pytest.raises(NoAuthError):
        client.set_acls(f"{root}/a", [make_acl("world", "anyone", all=True)])
    owner.set(f"{root}/a", b"y")
    client.add_auth("digest", "ann:pw")
    client.set(f"{root}/a", b"z")
    assert set(client.get_acls(f"{root}/a")[0]) == set(acl)
    assert owner.set_acls(f"{root}/a", acl[:1]).aversion == 1
    with pytest.raises(NoAuthError):
        clients().get(f"{root}/a")


def test_a_session_outlives_its_connection(client, root):
    states = queue.Queue()
    events = queue.Queue()
    client.add_listener(lambda state: states.put(state))
    session = client.client_id
    client.create(f"{root}/e", b"1", ephemeral=True)
    client.get(f"{root}/e", watch=events.put)
    client._connection._socket.shutdown(2)
    assert states.get(timeout=SECONDS) == KazooState.SUSPENDED
    assert states.get(timeout=SECONDS) == KazooState.CONNECTED
    assert client.client_id == session
    client.set(f"{root}/e", b"2")
    assert events.get(timeout=SECONDS).type in ("CHANGED", "NONE")
    assert client.get(f"{root}/e")[1].ephemeralOwner == session[0]


def test_another_process_goes_on_with_a_session_by_its_password(server, clients, root):
    with Connection(server.port) as first:
        first.create(f"{root}/e", b"", flags=1)
        other = clients(client_id=(first.session, first.password))
        assert other.client_id == (first.session, first.password)
        assert other.get(f"{root}/e")[1].ephemeralOwner == first.session
        assert first.receive() is None


def test_a_wrong_password_gives_another_session(clients, client):
    session, password = client.client_id
    other = clients(client_id=(session, bytes(16)))
    assert other.client_id[0] != session and password != bytes(16)


def test_a_silent_session_expires_with_its_nodes(server, clients, client, root):
    with Connection(server.port, timeout_ms=2 * TICK_MS) as silent:
        silent.create(f"{root}/e", b"", flags=1)
        assert client.exists(f"{root}/e") is not None
        wait_until(lambda: client.exists(f"{root}/e") is None, SECONDS, "the node of the silent session is gone")
        with Connection(server.port, session=silent.session, password=silent.password) as again:
            assert again.timeout_ms == 0 and again.session == 0


def test_requests_in_flight_are_answered_in_order(client, root):
    answers = []
    made = [client.create_async(f"{root}/n-", b"x" * 100, sequence=True) for _ in range(2000)]
    for result in made:
        answers.append(result.get(timeout=SECONDS))
    assert answers == [f"{root}/n-{i:010}" for i in range(2000)]
    assert len(client.get_children(root)) == 2000


def test_a_lock_has_one_holder(clients, root):
    inside, most, turns = [0], [0], []

    def work(client, name):
        for _ in range(10):
            with client.Lock(f"{root}/lock", name):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                turns.append(name)
                inside[0] -= 1

    threads = [threading.Thread(target=work, args=(clients(), str(i))) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * SECONDS)
    assert len(turns) == 30 and most[0] == 1


def test_an_election_passes_to_the_next_when_the_leader_goes(clients, root):
    led = queue.Queue()
    release = {name: threading.Event() for name in "ab"}
    members = {name: clients() for name in "ab"}

    def lead(name):
        led.put(name)
        release[name].wait(SECONDS)

    threads = [threading.Thread(target=members[name].Election(f"{root}/election", name).run, args=(lead, name))
               for name in "ab"]
    for thread in threads:
        thread.start()
    first = led.get(timeout=SECONDS)
    assert led.empty()
    release[first].set()
    second = led.get(timeout=SECONDS)
    assert {first, second} == {"a", "b"}
    release[second].set()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_what_was_written_is_there_after_a_kill(fresh, clients):
    client = clients(fresh.hosts)
    session = client.client_id[0]
    client.create("/a", b"x" * 1000)
    client.create("/e", ephemeral=True)
    before = client.exists("/a")
    fresh.stop(how=9)
    fresh.start()
    client.retry(client.sync, "/")
    assert client.client_id[0] == session
    assert client.get("/a") == (b"x" * 1000, before) and client.exists("/e").ephemeralOwner == session
