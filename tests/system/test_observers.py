# SPDX-License-Identifier: Apache-2.0
"""Observers of an ensemble of zkservers with TLS between them: those that follow followers
(observerMasterPort), and those that no voter knows."""
import re
import signal
import socket
import subprocess

import pytest
from conftest import BUILD, until
from test_ensemble import free_ports, tls_settings

PROGRAM, ZK = BUILD / "zkserver" / "zkserver", BUILD / "zk"
VOTERS, OBSERVERS = (1, 2, 3), (4, 5)


class Ensemble:
    """Each server on a loopback address of its own, where all have the same ports. The voters know of `listed`."""

    def __init__(self, directory, settings, listed=OBSERVERS):
        self.directory, self.processes = directory, {}
        self.client, self.master, quorum, election = free_ports(4)
        self.lines = {i: f"server.{i}=127.0.0.{i}:{quorum}:{election}{':observer' if i in OBSERVERS else ''}\n"
                      for i in VOTERS + OBSERVERS}
        tls = tls_settings(directory, {i: f"127.0.0.{i}" for i in self.lines})
        for i in self.lines:
            (directory / f"{i}").mkdir()
            (directory / f"{i}" / "myid").write_text(f"{i}\n")
            known = VOTERS + listed + (() if i in VOTERS + listed else (i,))
            (directory / f"{i}.cfg").write_text(
                f"tickTime=500\ninitLimit=20\nsyncLimit=10\ndataDir={directory}/{i}\nclientPort={self.client}\n"
                f"clientPortAddress=127.0.0.{i}\nadmin.enableServer=false\n4lw.commands.whitelist=*\npreAllocSize=64\n"
                f"{tls.replace('SID', str(i))}\n{settings.format(master=self.master)}\n"
                + "".join(self.lines[k] for k in known))

    def start(self, *sids):
        for i in sids:
            with open(self.directory / f"{i}.log", "ab") as log:
                self.processes[i] = subprocess.Popen([PROGRAM, "run", "--config", self.directory / f"{i}.cfg"], stderr=log)

    def kill(self, sid):
        process = self.processes.pop(sid)
        process.kill()
        process.wait(60)

    def logs(self):
        return "\n".join(f"== {p.name}\n{p.read_text()[-3000:]}" for p in sorted(self.directory.glob("*.log")))

    def role(self, sid):
        """What the word `role` says; {} while it does not serve."""
        try:
            with socket.create_connection((f"127.0.0.{sid}", self.client), 5) as s:
                s.sendall(b"role")
                text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        except OSError:
            return {}
        said = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
        return said if said.get("why") == "" else {}

    def settle(self, masters=None):
        """All that run serve; the leader. masters: where observers may be connected, but for the leader."""
        def settled():
            roles = {i: self.role(i) for i in self.processes}
            leader = next((i for i, said in roles.items() if said.get("role") == "leader"), None)
            return all(roles.values()) and leader is not None and (masters is None or all(
                roles[i].get("master") in {str(m) for m in masters if m != leader} for i in OBSERVERS)) and leader
        return until(settled, lambda: f"all serve: { {i: self.role(i) for i in self.processes} }\n{self.logs()}")

    def zk(self, sid, *words):
        done = subprocess.run([ZK, "--hosts", f"127.0.0.{sid}:{self.client}", *words], capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 0, (words, done.stderr, self.logs())
        return done.stdout

    def agree(self):
        for i in self.processes:
            self.zk(i, "sync", "/")
        trees = {i: self.zk(i, "export", "/") for i in self.processes}
        assert len(set(trees.values())) == 1, trees


@pytest.fixture
def make(tmp_path):
    made = []

    def build(*args, **more):
        made.append(Ensemble(tmp_path, *args, **more))
        return made[0]
    yield build
    for e in made:
        for p in e.processes.values():
            p.send_signal(signal.SIGTERM)
        for i, p in e.processes.items():
            assert p.wait(60) == 0, e.logs()
        assert "runtime error" not in e.logs() and "AddressSanitizer" not in e.logs(), e.logs()


def test_an_observer_that_no_voter_knows_is_taken(make):
    e = make("", listed=())
    e.start(*VOTERS, *OBSERVERS)
    e.settle()
    for i in OBSERVERS:
        assert e.role(i)["role"] == "observer"
        e.zk(i, "create", f"/at{i}", "x")
    e.agree()


def test_observers_follow_followers_whoever_dies(make):
    e = make("observerMasterPort={master}")
    e.start(*VOTERS, *OBSERVERS)
    leader = e.settle(VOTERS)
    for turn, dies in enumerate((next(i for i in VOTERS if i != leader), leader)):
        e.kill(dies)
        e.settle([i for i in VOTERS if i != dies])
        for i in OBSERVERS:
            e.zk(i, "create", f"/at{i}-{turn}", "x")
        e.agree()
        e.start(dies)
        e.settle(VOTERS)
    e.kill(OBSERVERS[0])
    e.zk(OBSERVERS[1], "create", "/missed", "x")
    e.start(OBSERVERS[0])
    e.settle(VOTERS)
    e.agree()
