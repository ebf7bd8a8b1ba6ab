# SPDX-License-Identifier: Apache-2.0
"""What an operator does with a running cluster: nodes are drained, changed, forgotten, and the era is raised."""
import os
import re
import signal

import pytest

from conftest import Cluster, until

WEB = "[Job]\nType=service\nCount={count}\n[Task]\nExecStart=/bin/sleep 1000\nTimeoutStopSec=5\n" \
      "[Resources]\nCPU=0.1\nMemory=16M\n{more}"


class Operated(Cluster):
    def __init__(self):
        super().__init__("--agents", "3", "--masters", "2", *["--agent", "cpus=1,memory=1G,disk=1G"] * 3)
        self.issue("user", "eve")

    def node(self, name):
        return next((n for n in self.json("nodes")["nodes"] if n["name"] == name), None)

    def state_of(self, name):
        return (self.node(name) or {}).get("state", "")

    def wait_state(self, name, state):
        until(lambda: self.state_of(name) == state, lambda: f"{name} is {state}: {self.node(name)}\n{self.screen()}")

    def where(self, job):
        """{index: node} of the tasks that run."""
        return {t["index"]: t["node"] for t in self.json("ps", job)["tasks"] if t["state"] == "running"}

    def runs(self, job, count, but=()):
        """So many tasks run, none of them on these nodes; where."""
        def ask():
            found = self.where(job)
            return found if len(found) == count and not set(found.values()) & set(but) else None
        return until(ask, lambda: f"{job} runs: {self.json('ps', job)}")

    def change(self, name, *lines):
        """Lines into a daemon's last section, and SIGHUP."""
        path = self.state / f"{name}.conf"
        path.write_text(path.read_text() + "".join(line + "\n" for line in lines))
        os.kill(self.daemons()[name][0], signal.SIGHUP)

    def another_leader(self):
        self.kill_daemon(self.leader())
        self.leader()

    def hold(self, name):
        """A daemon that is gone for a while: dev starts what dies, not what sleeps."""
        os.kill(self.daemons()[name][0], signal.SIGSTOP)

    def release(self, name):
        os.kill(self.daemons()[name][0], signal.SIGCONT)


@pytest.fixture(scope="module")
def operated():
    c = Operated()
    yield c
    c.stop()


def test_amounts_and_attributes_change_while_tasks_run(operated):
    operated.submit("ssd", WEB.format(count=1, more="[Placement]\nConstraint=attr.disk == ssd\n"))
    assert "no node fits" in operated.corral("why", "ssd.0").stdout
    before = operated.node("n3")["capacity"]
    operated.change("n3", "attributes=disk=ssd,rack=r7", "cpus=3", "memory=2G")
    assert operated.runs("ssd", 1) == {0: "n3"}
    after = operated.node("n3")
    assert (after["capacity"]["cpu_milli"], after["capacity"]["memory_bytes"]) == (3000, 2 << 30) != before
    assert {a["name"]: a["value"] for a in after["attributes"]} == {"disk": "ssd", "rack": "r7"}
    # Never below what runs there.
    operated.change("n3", "memory=10M")
    until(lambda: "[agent] memory=: 10485760 is less than the" in operated.log_of("n3"), lambda: operated.log_of("n3"))
    assert operated.node("n3")["capacity"]["memory_bytes"] == 2 << 30
    operated.change("n3", "memory=1G", "nonsense=1")
    until(lambda: "the configuration is not read again: " in operated.log_of("n3"), lambda: operated.log_of("n3"))
    path = operated.state / "n3.conf"
    path.write_text(path.read_text().replace("nonsense=1\n", ""))
    operated.change("n3")
    until(lambda: operated.node("n3")["capacity"]["memory_bytes"] == 1 << 30, lambda: operated.node("n3"))
    assert operated.runs("ssd", 1) == {0: "n3"}  # all along
    assert operated.json("ps", "ssd")["tasks"][0]["attempt"] == 1
    operated.corral("stop", "ssd")


def test_a_task_that_no_other_node_can_take_waits_and_says_why(operated):
    operated.submit("pinned", WEB.format(count=1, more="[Placement]\nConstraint=node == n2\n"))
    operated.runs("pinned", 1)
    operated.corral("drain", "n2", "--deadline", "0")
    operated.wait_state("n2", "drained")
    why = operated.corral("why", "pinned.0").stdout
    assert re.search(r"n2 +state +is drained, and takes no tasks until it is undrained", why), why
    operated.corral("undrain", "n2")
    operated.runs("pinned", 1)
    operated.corral("stop", "pinned")


def test_a_command_whose_node_is_drained_ends(operated):
    run = operated.start("run", "--", "sh", "-c", "echo here; exec sleep 1000")
    assert run.stdout.readline() == "here\n"
    node = next(n["name"] for n in operated.json("nodes")["nodes"] if n["tasks"])
    operated.corral("drain", node, "--deadline", "0")
    out, err = run.communicate(timeout=30)
    assert run.returncode != 0, (out, err)
    operated.corral("undrain", node)


def test_the_era_is_raised_and_tasks_go_on(operated):
    operated.submit("web4", WEB.format(count=1, more=""))
    operated.runs("web4", 1)
    before = operated.json("era")
    assert "--old-masters-are-stopped" in operated.corral("era", "bump", status=64).stderr
    assert operated.json("era")["era"] == before["era"]
    operated.corral("era", "bump", "--old-masters-are-stopped")
    until(lambda: operated.json("era")["era"] == before["era"] + 1, "the new era")
    operated.nodes_ready(3)
    assert operated.json("era")["term"]["era"] == before["era"] + 1
    assert operated.json("ps", "web4")["tasks"][0]["attempt"] == 1
    assert operated.runs("web4", 1)
    operated.corral("stop", "web4")


# An agent that has lost two masters within seconds waits some before it asks again: the leader is killed last.

def test_a_drain_outlives_its_leader_and_moves_the_tasks_at_its_deadline(operated):
    operated.submit("web", WEB.format(count=3, more=""))
    first, = set(operated.runs("web", 3).values())
    assert f"{first}: draining, 3 tasks" in operated.corral("drain", first, "--for", "1h").stdout
    operated.another_leader()
    operated.wait_state(first, "draining")
    assert set(operated.where("web").values()) == {first}
    operated.submit("more", WEB.format(count=2, more=""))
    operated.runs("more", 2, but=[first])
    run = operated.corral("drain", first, "--deadline", "0")
    assert run.stdout.startswith(f"{first}: dr")
    operated.runs("web", 3, but=[first])
    operated.wait_state(first, "drained")
    tasks = operated.json("ps", "web")["tasks"]
    assert [t["attempt"] for t in tasks] == [2, 2, 2], tasks
    assert f"{first}: ready, 0 tasks" in operated.corral("undrain", first).stdout
    assert "is not drained" in operated.corral("undrain", first, status=1).stderr
    operated.corral("stop", "web", "more")


@pytest.mark.long
def test_a_window_opens_and_closes_by_itself(operated):
    operated.submit("web2", WEB.format(count=2, more=""))
    node, = set(operated.runs("web2", 2).values())
    operated.corral("drain", node, "--from", "1s", "--deadline", "0", "--for", "4s")
    assert "begins in" in operated.corral("nodes", "-o", "node,drain").stdout
    operated.runs("web2", 2, but=[node])
    operated.wait_state(node, "drained")
    operated.wait_state(node, "ready")
    assert operated.node(node)["drain_from_wall_ms"] == 0
    operated.corral("stop", "web2")


@pytest.mark.long
def test_a_silent_node_is_given_up_when_the_operator_says_so_and_forgotten(operated):
    operated.submit("web3", WEB.format(count=2, more=""))
    node, = set(operated.runs("web3", 2).values())
    for words in (["--forget"], ["--mark-unreachable"]):
        assert f"node {node} is connected" in operated.corral("nodes", *words, node, status=1).stderr
    operated.hold(node)
    try:
        operated.wait_state(node, "silent")
        # Its connection stands until the master has waited long enough for it.
        until(lambda: operated.corral("nodes", "--mark-unreachable", node, status=None).returncode == 0, "it is marked")
        operated.runs("web3", 2, but=[node])
        assert f"{node}: gone" in operated.corral("nodes", "--forget", node).stdout
        assert operated.node(node) is None
        operated.another_leader()
        operated.nodes_ready(2)
        operated.runs("web3", 2, but=[node])
        assert operated.node(node) is None
        assert "there is no node" in operated.corral("nodes", "--forget", node, status=1).stderr
    finally:
        operated.release(node)
    operated.wait_state(node, "ready")
    operated.runs("web3", 2, but=[node])
    until(lambda: operated.node(node)["tasks"] == 0, "what was replaced is gone")
    operated.corral("stop", "web3")


def test_of_a_node_that_is_marked_each_job_does_what_it_says_itself(operated):
    jobs = {"plain": "", "later": "[Placement]\nOnDisconnect=replace 1s\n", "waits": "[Placement]\nOnDisconnect=wait\n"}
    for job, more in jobs.items():
        operated.submit(job, WEB.format(count=1, more=more))
    node, = {operated.runs(job, 1)[0] for job in jobs}

    def why():
        return operated.corral("why", "waits.0", status=None).stdout
    operated.hold(node)
    try:
        operated.wait_state(node, "silent")
        until(lambda: operated.corral("nodes", "--mark-unreachable", node, status=None).returncode == 0, "it is marked")
        operated.runs("plain", 1, but=[node])
        operated.runs("later", 1, but=[node])
        task, = operated.json("ps", "waits")["tasks"]
        assert (task["state"], task["node"]) == ("recovering", node)
        assert f"may still run on {node}, which is unreachable" in why() and "(OnDisconnect=wait)" in why(), why()
        operated.another_leader()
        until(lambda: f"may run on {node}, which was not heard since the election" in why(), why)
        operated.corral("nodes", "--forget", node)
        operated.runs("waits", 1, but=[node])
    finally:
        operated.release(node)
    operated.wait_state(node, "ready")
    until(lambda: operated.node(node)["tasks"] == 0, "what was replaced is gone")
    for job in jobs:
        operated.corral("stop", job)


@pytest.mark.parametrize("words, status, says", [
    (["drain", "nix"], 1, "there is no node 'nix'"), (["undrain", "nix"], 1, "there is no node 'nix'"),
    (["nodes", "--forget", "nix"], 1, "there is no node 'nix'"), (["drain", "a/b"], 64, "no name of a node"),
    (["drain", "n" * 100], 1, "there is no node"), (["drain", "n1", "--for", "0"], 64, "must end after it begins"),
    (["drain", "n1", "--from", "100000d"], 64, "within ten years"),
    (["drain", "n1", "--deadline", "soon"], 64, "expected a time"),
    (["nodes", "--forget", "n1", "--mark-unreachable", "n2"], 64, "one at a time"),
    (["nodes", "--i-have-powered-it-off"], 64, "goes with --forget"), (["era", "raise"], 64, "'corral era bump"),
    (["era", "--old-masters-are-stopped"], 64, "'corral era bump"),
], ids=str)
def test_what_makes_no_sense_is_refused(operated, words, status, says):
    run = operated.corral(*words, status=status)
    assert says in run.stderr, run.stderr
    assert operated.state_of("n1") == "ready"


@pytest.mark.parametrize("words", [["drain", "n1"], ["undrain", "n1"], ["nodes", "--forget", "n1"],
                                   ["nodes", "--mark-unreachable", "n1"], ["era", "bump", "--old-masters-are-stopped"]], ids=str)
def test_users_change_nothing_of_it(operated, words):
    run = operated.corral(*words, *operated.certificate("user-eve"), status=77)
    assert "user:eve may not do this: it is for operators" in run.stderr
