# SPDX-License-Identifier: Apache-2.0
"""Members change where all that servers say to each other is TLS, each certificate being good for one host: a server joins,
votes, changes its role and its ports; and weights decide instead of numbers."""
import signal
import subprocess

import pytest
from conftest import until
from test_ensemble import free_ports, tls_settings
from test_reconfig import PROGRAM, SUPER_DIGEST, Ensemble


class Secure(Ensemble):
    """On a loopback address each; `zk` goes to the client port at 127.0.0.1."""

    def __init__(self, directory, hosts):
        super().__init__(directory)
        self.tls = tls_settings(directory, hosts)

    def member(self, sid, role="participant"):
        quorum, election, client = self.ports[sid]
        return f"server.{sid}=127.0.0.{sid}:{quorum}:{election}:{role};127.0.0.1:{client}"

    def prepare(self, sid, members):
        self.settings = (f"zookeeper.DigestAuthenticationProvider.superDigest={SUPER_DIGEST}\n"
                         + self.tls.replace("SID", str(sid)))
        super().prepare(sid, members)

    def launch(self, *sids):
        for sid in sids:
            with open(self.directory / f"{sid}.log", "ab") as log:
                self.processes[sid] = subprocess.Popen([PROGRAM, "run", "--config", self.config(sid)], stderr=log)

    def wait_mode(self, sid, mode):
        until(lambda: self.mode(sid) == mode, lambda: f"server {sid} as {mode}, not {self.mode(sid)}\n{self.logs()}")

    def wait_told(self, line):
        until(lambda: all(line in self.run("config", sids=[i]).stdout for i in self.processes), lambda: f"{line}\n{self.logs()}")


@pytest.fixture
def make(tmp_path):
    made = []

    def build(hosts):
        made.append(Secure(tmp_path, hosts))
        return made[0]
    yield build
    for e in made:
        for process in e.processes.values():
            process.kill()
            process.wait(60)
        assert "runtime error" not in e.logs() and "AddressSanitizer" not in e.logs(), e.logs()


def test_a_server_joins_votes_and_changes_its_role_and_ports(make):
    e = make({i: f"127.0.0.{i}" for i in (1, 2, 3, 4)})
    for sid in (1, 2, 3):
        e.prepare(sid, (1, 2, 3))
    e.launch(1, 2, 3)
    e.leader()
    e.prepare(4, (1, 2, 3, 4))
    e.start(4)
    e.zk("reconfig", "--add", e.member(4))
    e.wait_members(1, 2, 3, 4)
    leader = e.leader()
    gone = next(i for i in (1, 2, 3) if i != leader)
    e.stop(gone, signal.SIGKILL)  # it is one of the three of four that are needed
    e.zk("create", "/with-its-vote")
    e.launch(gone)
    e.wait_mode(gone, "follower")
    e.zk("reconfig", "--add", e.member(4, "observer"))
    e.wait_mode(4, "observer")
    e.zk("create", "/as-an-observer", sids=[4])
    e.ports[4] = free_ports(3)
    e.zk("reconfig", "--add", e.member(4), sids=[1, 2, 3])
    e.wait_mode(4, "follower")
    e.wait_told(e.member(4))
    assert {"with-its-vote", "as-an-observer"} <= set(e.zk("ls", "/", sids=[4]).split())
    e.stop(4, signal.SIGKILL)
    e.launch(4)
    e.wait_mode(4, "follower")
    assert not e.config(4).with_name("zoo.cfg.dynamic.next").exists()  # what was proposed is in force


def test_who_has_the_certificate_of_another_host_does_not_join(make):
    e = make({1: "127.0.0.1", 2: "127.0.0.2", 3: "127.0.0.9"})
    for sid, members in ((1, (1, 2)), (2, (1, 2)), (3, (1, 2, 3))):
        e.prepare(sid, members)
    e.launch(1, 2)
    e.leader()
    e.zk("create", "/mine")
    e.zk("reconfig", "--add", e.member(3, "observer"))
    e.wait_told(e.member(3, "observer"))  # its host is known
    e.launch(3)
    until(lambda: any("that member's host (ssl.quorum" in (e.directory / f"{i}.log").read_text() for i in (1, 2)), e.logs)
    assert e.mode(3) is None


def test_weights_decide_who_is_a_quorum(make):
    e = make({i: f"127.0.0.{i}" for i in (1, 2, 3)})
    for sid in (1, 2, 3):
        e.prepare(sid, (1, 2, 3))
    e.launch(1, 2, 3)
    e.leader()
    whole = e.directory / "whole"
    whole.write_text("".join(e.member(i) + "\n" for i in (1, 2, 3)) + "group.1=1:2:3\nweight.1=3\nweight.2=1\nweight.3=1\n")
    e.zk("reconfig", "--file", whole)
    e.wait_told("weight.1=3")
    e.leader()
    refused = e.run("reconfig", "--remove", "3")  # groups change as a whole only
    assert refused.returncode == 64, refused
    for sid in (2, 3):
        e.stop(sid, signal.SIGKILL)
    e.wait_mode(1, "leader")  # three of five
    e.zk("create", "/alone", sids=[1])
    e.launch(2, 3)
    for sid in (2, 3):
        e.wait_mode(sid, "follower")
    e.stop(1, signal.SIGKILL)
    until(lambda: e.mode(2) is None and e.mode(3) is None, lambda: f"two of five serve nobody\n{e.logs()}")
    e.launch(1)
    e.leader()
    e.zk("reconfig", "--members", ",".join(e.member(i) for i in (1, 2, 3)))
    until(lambda: "weight" not in e.run("config").stdout, lambda: f"numbers decide again\n{e.logs()}")
    e.stop(e.leader(), signal.SIGKILL)
    e.leader()
    assert "alone" in e.zk("ls", "/")
