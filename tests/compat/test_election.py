# SPDX-License-Identifier: Apache-2.0
"""zkserver's election port among servers of Apache ZooKeeper: each takes the other's votes, and elects the same."""
import queue
import subprocess
import threading

import pytest

from ensemble import Ensemble
from servers import BUILD, START_SECONDS, free_port, wait_until
from test_tls import make_ca, make_pair

PROGRAM = BUILD / "tests" / "compat" / "election_peer"
SECONDS = 60


@pytest.fixture(scope="session", autouse=True)
def built():
    subprocess.run(["make", "-s", "tests/compat/election_peer"], cwd=BUILD, check=True, timeout=600)


class Peer:
    """An election port of zkserver with an election behind it, and no server: see election_peer.c."""

    def __init__(self, sid, config, zxid=0, epoch=0, stores=()):
        self.log = open(config.parent / f"peer{sid}.log", "ab")
        self.process = subprocess.Popen([PROGRAM, str(sid), str(zxid), str(epoch), str(config), *map(str, stores)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=lambda: [self.lines.put(line.split()) for line in self.process.stdout],
                         daemon=True).start()

    def result(self):
        """(role, leader, round) of the next election that ends."""
        while True:
            words = self.lines.get(timeout=SECONDS)
            if words[0] not in ("up", "down"):
                return words[0], int(words[1]), int(words[2])

    def again(self):
        self.process.stdin.write("again\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(SECONDS) == 0
        self.log.close()


class Mixed:
    """Servers 1, 2 and 3, of which `sid` is ours, and the others Apache's."""

    def __init__(self, sid, settings=""):
        self.sid = sid
        self.others = [n for n in (1, 2, 3) if n != sid]
        self.ensemble = Ensemble(2)
        self.servers = dict(zip(self.others, self.ensemble.servers))
        self.peers = []
        self.members = "".join(f"server.{n}=127.0.0.1:{free_port()}:{free_port()}\n" for n in (1, 2, 3))
        for n, server in self.servers.items():
            text = server.config.read_text()
            kept = "".join(line for line in text.splitlines(True) if not line.startswith("server."))
            server.config.write_text(kept + self.members + settings)
            (server.dir / "data" / "myid").write_text(str(n))
        self.config = self.ensemble.servers[0].dir / "members"
        self.config.write_text(self.members)

    def peer(self, **more):
        self.peers.append(Peer(self.sid, self.config, **more))
        return self.peers[-1]

    def leader(self):
        """The number of the server of Apache's that leads."""
        leader = self.ensemble.leader()
        return next(n for n, server in self.servers.items() if server is leader)

    def says(self, n, text):
        wait_until(lambda: text in self.servers[n].log(), START_SECONDS, f"server {n} says {text}")

    def remove(self):
        try:
            for peer in self.peers:
                if peer.process.poll() is None:
                    peer.stop()
        finally:
            self.ensemble.remove()


@pytest.fixture
def mixed():
    made = []

    def make(*words, **more):
        made.append(Mixed(*words, **more))
        return made[-1]
    yield make
    for one in made:
        one.remove()


@pytest.mark.parametrize("sid", [1, 2, 3])
def test_it_follows_the_leader_that_stands(mixed, sid):
    """Whatever it has, and whichever side has to connect; and again after it has asked anew."""
    m = mixed(sid)
    m.ensemble.start()
    leader = m.leader()
    peer = m.peer(zxid=99 << 32, epoch=99)
    assert peer.result()[:2] == ("follower", leader)
    peer.again()
    assert peer.result()[:2] == ("follower", leader)


def test_with_its_vote_a_server_of_apaches_leads(mixed):
    """And with its word that it follows, the third one follows as well."""
    m = mixed(1)
    peer = m.peer()
    m.servers[2].launch()
    assert peer.result()[:2] == ("follower", 2)
    m.says(2, "LEADING - LEADER ELECTION TOOK")
    m.servers[3].launch()
    m.servers[3].wait()
    assert m.leader() == 2


def test_servers_of_apaches_elect_it_when_it_has_most(mixed):
    m = mixed(1)
    peer = m.peer(zxid=5 << 32, epoch=5)
    for server in m.servers.values():
        server.launch()
    role, leader, number = peer.result()
    assert (role, leader) == ("leader", 1)
    for n in m.others:
        m.says(n, "FOLLOWING - LEADER ELECTION TOOK")
    # It serves nobody, so that they look again, and elect it again in a later round.
    peer.again()
    assert peer.result()[:2] == ("leader", 1)
    peer.stop()
    assert m.leader() == 3
    assert number >= 1


def test_with_its_vote_one_of_two_replaces_the_leader(mixed):
    m = mixed(1)
    m.ensemble.start()
    assert m.leader() == 3
    peer = m.peer()
    assert peer.result()[:2] == ("follower", 3)
    m.ensemble.kill_leader()
    peer.again()
    assert peer.result()[:2] == ("follower", 2)
    m.says(2, "LEADING - LEADER ELECTION TOOK")


def test_they_elect_over_tls(mixed, tmp_path):
    make_ca(tmp_path, "ca")
    make_pair(tmp_path, "server", "ca")
    (tmp_path / "server-both.pem").chmod(0o600)
    store, trusted = tmp_path / "server-both.pem", tmp_path / "ca.pem"
    m = mixed(2, settings=f"sslQuorum=true\nssl.quorum.keyStore.location={store}\n"
                          f"ssl.quorum.trustStore.location={trusted}\n")
    m.ensemble.start()  # without the peer: elected by the first of them, it would be waited for in vain
    leader = m.leader()
    peer = m.peer(stores=(store, trusted))
    assert peer.result()[:2] == ("follower", leader)
    peer.again()
    assert peer.result()[:2] == ("follower", leader)
