# SPDX-License-Identifier: Apache-2.0
"""The ports between servers, attacked with bytes: each attack costs its own connection, and the ensemble goes on."""
import contextlib
import shutil
import socket
import struct
import subprocess
import time

import pytest
from conftest import until
from hostile import SANITIZER
from test_ensemble import PROGRAM, SERVERS, Ensemble

V1, V2 = -65536, -65535
FOLLOWERINFO, OBSERVERINFO, ACKEPOCH, REQUEST, ACK, PING, REVALIDATE = 11, 16, 18, 1, 3, 5, 6
NULL = struct.pack(">i", -1)


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    e = Ensemble(tmp_path_factory.mktemp("ensemble"))
    e.start(*SERVERS)
    e.leader = e.settle()
    e.zk(e.leader, "create", "/n", "0")
    e.count = 0
    yield e
    e.stop()


def ports(ensemble, sid):
    """(quorum port, election port)."""
    for line in ensemble.members.splitlines():
        if line.startswith(f"server.{sid}="):
            return tuple(int(p) for p in line.split(":")[1:3])
    raise KeyError(sid)


@contextlib.contextmanager
def unharmed(ensemble):
    """The same processes with the same roles, who take a write and have no more to say than a little."""
    pids = {i: p.pid for i, p in ensemble.processes.items()}
    before = {i: len(ensemble.log(i)) for i in SERVERS}
    yield
    assert {i: p.pid for i, p in ensemble.processes.items() if p.poll() is None} == pids, ensemble.logs()
    ensemble.count += 1
    until(lambda: ensemble.settle() == ensemble.leader, ensemble.logs)
    for i in SERVERS:
        ensemble.zk(i, "set", "/n", str(ensemble.count))
    ensemble.agree()
    for i in SERVERS:
        said = ensemble.log(i)[before[i]:]
        assert not SANITIZER.search(said), said
        assert said.count("\n") < 120, said


def hello(protocol, sid, address, length=None):
    size = len(address) if length is None else length
    return struct.pack(">qqi", protocol, sid, size) + address


def notification(state=0, leader=1, zxid=0, round_=1, epoch=0, version=2, config=b"", size=None):
    body = struct.pack(">iqqqqii", state, leader, zxid, round_, epoch, version, len(config) if size is None else size) + config
    return struct.pack(">i", len(body)) + body


def packet(kind, zxid, data=None, ids=NULL):
    return struct.pack(">iq", kind, zxid) + (NULL if data is None else struct.pack(">i", len(data)) + data) + ids


def info(sid, protocol=0x10000, version=0):
    return struct.pack(">qiq", sid, protocol, version)


def attack(port, sent):
    """Send all of it, and wait until the server closes, or has nothing to say for a moment."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as s, contextlib.suppress(OSError):
        s.sendall(sent)
        s.settimeout(0.3)
        while s.recv(65536):
            pass


ADDRESS = b"127.0.0.1:1"
ELECTION = {
    "nothing": b"",
    "three bytes": b"abc",
    "a stranger": hello(V1, 77, ADDRESS) + notification(leader=77, zxid=1 << 62, epoch=1 << 30),
    "an old stranger": struct.pack(">q", 77),
    "a negative id": hello(V1, -5, ADDRESS),
    "the anonymous id": hello(V1, (1 << 63) - 1, ADDRESS),
    "another protocol": hello(-65000, 1, ADDRESS),
    "no address": hello(V1, 1, b""),
    "an address longer than it is": hello(V1, 1, ADDRESS, 2049),
    "an address of 2 GB": hello(V1, 1, ADDRESS, 0x7FFFFFFF),
    "an address of negative length": hello(V1, 1, ADDRESS, -1),
    "ten thousand addresses": hello(V2, 1, b"|".join([ADDRESS] * 150)),
    "a bracket": hello(V2, 1, b"[::1"),
    "noise": bytes(range(256)) * 64,
}

VOTES = {
    "a state that is none": notification(state=4),
    "a negative state": notification(state=-1),
    "a round of nought": notification(round_=0),
    "a round of the far future": notification(round_=(1 << 63) - 1),
    "an epoch of the far future": notification(epoch=(1 << 63) - 1, zxid=(1 << 63) - 1),
    "a negative epoch": notification(epoch=-1),
    "a vote for a stranger": notification(leader=99, zxid=1 << 60, epoch=9),
    "a configuration longer than its frame": notification(config=b"x", size=1 << 20),
    "a configuration of negative length": notification(size=-7),
    "a configuration of ours that is none": notification(config=b"server.1=nonsense\nversion=ffffffffff"),
    "a newer configuration without us": notification(config=b"server.9=127.0.0.1:1:2:participant\nversion=7fffffffffffffff"),
    "a frame of no length": struct.pack(">i", 0),
    "a frame of negative length": struct.pack(">i", -1),
    "a frame of 512 KiB and one": struct.pack(">i", (512 << 10) + 1) + bytes(1000),
    "a frame that is too short": struct.pack(">i", 12) + bytes(12),
}

QUORUM = {
    "nothing": b"",
    "noise": bytes(range(256)) * 64,
    "a packet of 2 GB": struct.pack(">iqi", FOLLOWERINFO, 0, 0x7FFFFFFF),
    "a packet of negative length": struct.pack(">iqi", FOLLOWERINFO, 0, -2),
    "ids without number": packet(FOLLOWERINFO, 0, info(1), struct.pack(">i", 0x7FFFFFFF)),
    "a stranger": packet(FOLLOWERINFO, 0, info(77)),
    "a negative id": packet(FOLLOWERINFO, 0, info(-3)),
    "nobody": packet(FOLLOWERINFO, 0),
    "short information": packet(FOLLOWERINFO, 0, b"\0\0\0"),
    "a newer configuration": packet(FOLLOWERINFO, 0, info(1, version=(1 << 62))),
    "an epoch of the far future": packet(FOLLOWERINFO, 0x7FFFFFFF << 32, info(1)),
    "an acknowledgement first": packet(ACK, 1 << 32),
    "a request first": packet(REQUEST, -1, struct.pack(">qii", 1, 1, 1) + b"\0" * 40),
    "two greetings": packet(FOLLOWERINFO, 0, info(1)) * 2,
    "a type that is none": packet(99, 0, info(1)),
}


@pytest.mark.parametrize("what", ELECTION)
def test_the_election_port_is_greeted_badly(ensemble, what):
    with unharmed(ensemble):
        for sid in SERVERS:
            attack(ports(ensemble, sid)[1], ELECTION[what])


@pytest.mark.parametrize("what", VOTES)
def test_a_member_votes_badly(ensemble, what):
    """Whoever has no TLS between servers believes an id; and then what?"""
    liar = next(i for i in SERVERS if i != ensemble.leader)
    with unharmed(ensemble):
        for sid in SERVERS:
            if sid != liar:
                attack(ports(ensemble, sid)[1], hello(V1, liar, ADDRESS) + VOTES[what])


@pytest.mark.parametrize("what", QUORUM)
def test_the_quorum_port_is_greeted_badly(ensemble, what):
    with unharmed(ensemble):
        for sid in SERVERS:
            attack(ports(ensemble, sid)[0], QUORUM[what])


def test_what_comes_behind_a_greeting_is_nonsense(ensemble):
    """A stranger that got as far as being a learner: its link ends, nobody else's."""
    greeting = packet(OBSERVERINFO, 0, info(250))
    with unharmed(ensemble):
        for rest in (packet(ACKEPOCH, (1 << 63) - 1, struct.pack(">i", 1 << 30)), packet(ACKEPOCH, 0, b"\0"),
                     packet(PING, 0, b"\0" * 7), packet(REVALIDATE, -1, b"\0"), packet(ACK, 5) * 1000, bytes(4096)):
            attack(ports(ensemble, ensemble.leader)[0], greeting + rest)


def test_many_connections_at_once_cost_nobody_a_link(ensemble):
    with unharmed(ensemble), contextlib.ExitStack() as stack:
        for port in ports(ensemble, ensemble.leader):
            for _ in range(300):
                with contextlib.suppress(OSError):
                    stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=2))
        for i in SERVERS:
            ensemble.zk(i, "get", "/n")


def refused(ensemble, directory, sid, says):
    """A further server with this directory, which must end and say why."""
    config = directory / "zoo.cfg"
    config.write_text("tickTime=500\ninitLimit=20\nsyncLimit=10\nclientPort=0\nclientPortAddress=127.0.0.1\n"
                      f"admin.enableServer=false\ndataDir={sid}\n{ensemble.members}")
    done = subprocess.run([PROGRAM, "run", "--config", config], capture_output=True, text=True, timeout=60)
    assert done.returncode not in (0, -6, -11) and says in done.stderr, (done.returncode, done.stderr)


def test_a_second_server_on_a_directory_is_refused(ensemble, tmp_path):
    with unharmed(ensemble):
        refused(ensemble, tmp_path, ensemble.directory / "1", "another zkserver uses this data directory")


def test_a_directory_of_a_server_that_is_no_member_is_refused(ensemble, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "myid").write_text("9\n")
    with unharmed(ensemble):
        refused(ensemble, tmp_path, tmp_path / "data", "9")


def test_a_second_server_with_the_same_number_does_no_harm(ensemble, tmp_path):
    """It cannot have the ports, and says so."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "myid").write_text("1\n")
    with unharmed(ensemble):
        refused(ensemble, tmp_path, tmp_path / "data", "Address already in use")


def test_two_servers_with_one_number_are_told_of_once(ensemble):
    with unharmed(ensemble):
        for _ in range(12):
            attack(ports(ensemble, 1)[1], hello(V1, 3, ADDRESS))
        said = ensemble.log(1)
        assert said.count("server 3: its election link comes and goes") == 1, said
        assert "do two servers have this number?" in said


def test_a_directory_of_another_ensemble_does_not_take_over(ensemble):
    """It has been in epochs that this ensemble has not seen. Whoever leads here goes on, as long as it wants."""
    follower = next(i for i in SERVERS if i != ensemble.leader)
    ensemble.kill(follower)
    ensemble.zk(ensemble.leader, "create", "/precious", "x")
    own = ensemble.directory / str(follower) / "version-2"
    shutil.copytree(own, own.with_name("kept"))
    for name in ("acceptedEpoch", "currentEpoch"):
        (own / name).write_text("30")
    ensemble.start(follower)
    # Who only promises more is made way for when a leader has led for initLimit, 10 s.
    late = time.monotonic() + 11
    refused_at = [ensemble.log(follower).count("another ensemble's")]

    def refused_late():
        if time.monotonic() < late:
            refused_at[0] = ensemble.log(follower).count("another ensemble's")
        return ensemble.log(follower).count("another ensemble's") > refused_at[0] > 0
    until(refused_late, ensemble.logs)
    assert f"server {follower} has been in epoch 30" in ensemble.log(ensemble.leader)
    assert ensemble.roles() == {follower: None, ensemble.leader: "leader",
                                next(i for i in SERVERS if i not in (follower, ensemble.leader)): "follower"}
    assert ensemble.zk(ensemble.leader, "get", "/precious") == "x"
    ensemble.kill(follower)
    shutil.rmtree(own)
    own.with_name("kept").rename(own)
    ensemble.start(follower)
    until(lambda: ensemble.settle() == ensemble.leader, ensemble.logs)
    ensemble.agree()


def test_epoch_files_of_another_history_are_refused(ensemble, tmp_path):
    """A directory whose newest transaction is above the accepted epoch was put together from two."""
    follower = next(i for i in SERVERS if i != ensemble.leader)
    ensemble.kill(follower)
    accepted = ensemble.directory / str(follower) / "version-2" / "acceptedEpoch"
    current = accepted.with_name("currentEpoch")
    saved = accepted.read_text(), current.read_text()
    try:
        for text in ("0", "", "x", "-1", "9999999999"):
            accepted.write_text(text)
            current.write_text("0")
            done = subprocess.run([PROGRAM, "run", "--config", ensemble.directory / f"{follower}.cfg"], capture_output=True,
                                  text=True, timeout=60)
            assert done.returncode not in (0, -6, -11) and "poch" in done.stderr, (text, done.returncode, done.stderr)
    finally:
        accepted.write_text(saved[0])
        current.write_text(saved[1])
        ensemble.start(follower)
        ensemble.settle()
    ensemble.agree()
