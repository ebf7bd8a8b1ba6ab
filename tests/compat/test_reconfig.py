# SPDX-License-Identifier: Apache-2.0
"""Members of an ensemble change where one of three is of the other kind: Apache's servers lead and a zkserver joins, changes
its role and leads on, and the other way round."""
import re
import socket
import subprocess

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss

from servers import BUILD, free_port, wait_until

JARS = ("slf4j-simple", "zookeeper", "netty-codec", "netty-resolver", "netty-transport-native-unix-common")
PROGRAMS = {
    "corral": [BUILD / "zkserver" / "zkserver", "run", "--config"],
    "apache": ["java", "-Xmx128m", "-cp", ":".join(f"/usr/share/java/{jar}.jar" for jar in JARS),
               "org.apache.zookeeper.server.quorum.QuorumPeerMain"],
}


class Members:
    def __init__(self, directory):
        self.directory, self.processes, self.clients = directory, {}, []
        self.ports = {sid: [free_port() for _ in range(3)] for sid in (1, 2, 3)}

    def member(self, sid, role="participant"):
        quorum, election, client = self.ports[sid]
        return f"server.{sid}=127.0.0.1:{quorum}:{election}:{role};127.0.0.1:{client}"

    def start(self, sid, kind, members):
        data = self.directory / str(sid) / "data"
        data.mkdir(parents=True)
        (data / "myid").write_text(f"{sid}\n")
        config = data.parent / "zoo.cfg"
        config.write_text(f"dataDir={data}\ntickTime=500\ninitLimit=20\nsyncLimit=10\nadmin.enableServer=false\n"
                          "4lw.commands.whitelist=*\nreconfigEnabled=true\nskipACL=yes\nstandaloneEnabled=false\n"
                          + "".join(self.member(i) + "\n" for i in members))
        with open(self.directory / f"{sid}.log", "ab") as log:
            self.processes[sid] = subprocess.Popen([*PROGRAMS[kind], config], stdout=log, stderr=log, cwd=data.parent)

    def mode(self, sid):
        try:
            with socket.create_connection(("127.0.0.1", self.ports[sid][2]), 5) as s:
                s.sendall(b"srvr")
                text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        except OSError:
            return None
        found = re.search(r"^Mode: (\w+)", text, re.M)
        return found and found[1]

    def wait_modes(self, **modes):
        """All that run serve, one leads, and those named have these roles."""
        def there():
            now = {sid: self.mode(sid) for sid in self.processes}
            return None not in now.values() and list(now.values()).count("leader") == 1 and all(
                now[int(sid[1:])] == mode for sid, mode in modes.items())
        wait_until(there, 60, f"roles {modes}, and one leader")

    def client(self, sid):
        client = KazooClient(f"127.0.0.1:{self.ports[sid][2]}")
        client.start()
        self.clients.append(client)
        return client

    def change(self, client, joining=None, leaving=None):
        """The answer may be lost with a leader that leaves."""
        try:
            client.reconfig(joining=joining, leaving=leaving, new_members=None)
        except ConnectionLoss:
            pass


@pytest.fixture
def members(tmp_path):
    made = Members(tmp_path)
    yield made
    for client in made.clients:
        client.stop()
        client.close()
    for process in made.processes.values():
        process.kill()
        process.wait(60)


@pytest.mark.parametrize("two, third", [("apache", "corral"), ("corral", "apache")])
def test_a_server_of_the_other_kind_joins_and_members_come_and_go(members, two, third):
    for sid in (1, 2):
        members.start(sid, two, (1, 2))
    members.wait_modes()
    members.start(3, third, (1, 2, 3))
    members.wait_modes()
    joined = members.client(3)
    members.change(joined, joining=members.member(3))
    members.change(joined, joining=members.member(3, "observer"))
    members.wait_modes(s3="observer")
    members.change(members.client(1), joining=members.member(3))
    members.wait_modes(s3="follower")
    made = set()
    for _ in range(2):  # whoever leads leaves, and comes back
        leader = next(sid for sid in (1, 2, 3) if members.mode(sid) == "leader")
        other = members.client(leader % 3 + 1)
        members.change(other, leaving=str(leader))
        wait_until(lambda: members.mode(leader) == "follower", 60, "who led follows")
        members.wait_modes()
        made.add(members.client(leader % 3 + 1).create(f"/without-{leader}-", sequence=True)[1:])
        members.change(members.client(leader % 3 + 1), joining=members.member(leader))
        members.wait_modes()
    texts = set()
    for sid in (1, 2, 3):
        client = members.client(sid)
        client.sync("/")
        assert made <= set(client.get_children("/"))
        texts.add(client.get("/zookeeper/config")[0])
    assert len(texts) == 1 and all(members.member(sid).encode() in texts.copy().pop() for sid in (1, 2, 3))
