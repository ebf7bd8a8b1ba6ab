# SPDX-License-Identifier: Apache-2.0
"""Observers that follow a follower (observerMasterPort), ours those of Apache's and the other way round; and one that no voter
knows."""
import re
import socket
import subprocess

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError

from servers import BUILD, JAVA, free_port, wait_until

PROGRAMS = {"corral": [BUILD / "zkserver" / "zkserver", "run", "--config"],
            "apache": [*JAVA, "org.apache.zookeeper.server.quorum.QuorumPeerMain"]}
KINDS = {1: "corral", 2: "apache", 3: "corral", 4: "corral", 5: "apache"}
OBSERVERS = (4, 5)
WAIT_S = 60


class Members:
    """Each on a loopback address of its own, as their ports for observers are one setting."""

    def __init__(self, directory, kinds=None, unknown=None, settings="observerMasterPort={}\n"):
        """unknown: the only observer, that stands in its own file alone."""
        self.kinds = kinds or KINDS
        self.observers = OBSERVERS if unknown is None else (unknown,)
        self.directory, self.processes, self.clients = directory, {}, []
        self.client, self.admin, self.master, quorum, election = (free_port() for _ in range(5))
        lines = {i: f"server.{i}={self.host(i)}:{quorum}:{election}{':observer' if i in self.observers else ''}\n"
                 for i in self.kinds}
        for i in self.kinds:
            (directory / str(i)).mkdir()
            (directory / str(i) / "myid").write_text(f"{i}\n")
            (directory / f"{i}.cfg").write_text(
                f"dataDir={directory}/{i}\ntickTime=500\ninitLimit=20\nsyncLimit=10\nclientPort={self.client}\n"
                f"clientPortAddress={self.host(i)}\nadmin.enableServer=false\n4lw.commands.whitelist=*\n"
                f"preAllocSize=64\n{settings.format(self.master)}"
                + "".join(lines[k] for k in self.kinds if k != unknown or i == unknown))

    @staticmethod
    def host(sid):
        return f"127.0.0.{sid + 1}"

    def start(self, *sids):
        for i in sids:
            with open(self.directory / f"{i}.log", "ab") as log:
                self.processes[i] = subprocess.Popen([*PROGRAMS[self.kinds[i]], self.directory / f"{i}.cfg"], stdout=log,
                                                     stderr=log, cwd=self.directory)

    def kill(self, sid):
        process = self.processes.pop(sid)
        process.kill()
        process.wait(WAIT_S)

    def logs(self):
        return "\n".join(f"== {p.name}\n{p.read_text(errors='replace')[-4000:]}" for p in sorted(self.directory.glob("*.log")))

    def mntr(self, sid):
        try:
            with socket.create_connection((self.host(sid), self.client), 5) as s:
                s.sendall(b"mntr")
                text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        except OSError:
            return {}
        return dict(re.findall(r"^zk_(\w+)\t(.*)$", text, re.M))

    def wait_masters(self, **masters):
        """Every member that runs serves, and the observers get what they have from these members."""
        def there():
            said = {i: self.mntr(i) for i in self.processes}
            return all("server_state" in m for m in said.values()) and all(
                said[int(i[1:])].get("observer_master_id") == str(master) for i, master in masters.items())
        wait_until(there, WAIT_S, f"observers at {masters}\n{self.logs()}")

    def connect(self, *sids):
        """To the first of these that is there."""
        client = KazooClient(",".join(f"{self.host(i)}:{self.client}" for i in sids), timeout=10, randomize_hosts=False,
                             connection_retry={"max_tries": -1, "max_delay": 0.5})
        client.start(WAIT_S)
        self.clients.append(client)
        return client


@pytest.fixture
def make(tmp_path):
    made = []

    def build(*args, **more):
        made.append(Members(tmp_path, *args, **more))
        return made[0]
    yield build
    for one in made:
        for client in one.clients:
            client.stop()
            client.close()
        for sid in list(one.processes):
            one.kill(sid)


def work_through_observers(members, round):
    """Writes, errors, syncs, ephemeral nodes and watches of clients at both observers, seen at each other's."""
    one, other = (members.connect(i) for i in (members.observers * 2)[:2])
    fired = []
    path = f"/n{round}"
    for n in range(20):
        client, watcher = (one, other) if n % 2 else (other, one)
        client.create(f"{path}-{n}", b"x", ephemeral=n % 3 == 0)
        watcher.sync("/")
        assert watcher.exists(f"{path}-{n}", watch=fired.append)
        with pytest.raises(BadVersionError):
            client.set(f"{path}-{n}", b"y", version=7)
        client.set(f"{path}-{n}", b"z")
        watcher.sync("/")
        assert watcher.get(f"{path}-{n}")[0] == b"z"
    wait_until(lambda: len(fired) == 20, WAIT_S, "all watches fire")


def come_back(members, sid, master):
    """A session moves from an observer that dies to the other one, which asks for it through the same follower; and the
    observer gets what it missed from that."""
    other = next(i for i in OBSERVERS if i != sid)
    mover = members.connect(sid, other)
    session = mover.client_id[0]
    mover.create(f"/mine-{sid}", ephemeral=True)
    members.kill(sid)
    assert mover.retry(mover.get, f"/mine-{sid}")[1].ephemeralOwner == session == mover.client_id[0]
    mover.retry(mover.set, f"/mine-{sid}", b"again")
    client = members.connect(master)
    client.create(f"/missed-by-{sid}", b"x" * 1000)
    members.start(sid)
    members.wait_masters(**{f"m{sid}": master})
    assert len(members.connect(sid).get(f"/missed-by-{sid}")[0]) == 1000


def test_observers_of_each_kind_follow_a_follower_of_each_kind(make):
    members = make()
    members.start(*KINDS)
    members.wait_masters()
    assert members.mntr(3)["server_state"] == "leader"  # of equals the largest
    assert members.mntr(3)["synced_observers"] == "0"
    for follower, other, stranger in ((2, 1, 4), (1, 2, 5)):  # Apache's with our observer, ours with Apache's
        members.kill(other)
        members.wait_masters(m4=follower, m5=follower)
        assert members.mntr(follower)["synced_observers"] == "2"
        work_through_observers(members, follower)
        come_back(members, stranger, follower)
        members.start(other)
        members.wait_masters()
    members.kill(3)
    members.wait_masters(m4=1, m5=1)
    assert members.mntr(2)["server_state"] == "leader"  # Apache's
    work_through_observers(members, 3)


def test_an_observer_of_apaches_that_no_voter_knows_is_taken(make):
    """With the lowest number: voters have to call it back where it says that it is."""
    members = make({1: "corral", 2: "corral", 3: "corral", 0: "apache"}, unknown=0, settings="")
    members.start(1, 2, 3, 0)
    members.wait_masters()
    assert members.mntr(0)["server_state"] == "observer"
    work_through_observers(members, 0)
