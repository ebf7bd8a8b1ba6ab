# SPDX-License-Identifier: Apache-2.0
"""A leading master that is cut off from the ensemble only, or frozen with requests in its sockets: what agents obey is in the
order of terms, and what clients were told is true."""
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest
from conftest import TOP
from site_rig import SECONDS, SERVER, Site

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts of their own, in network namespaces, need root")

SESSION_S = 2  # Site's session_timeout
# What makes each agent obey all the time: tasks that end and are made again.
MILL = """[Job]
Type=service
Count=3
[Task]
ExecStart=/bin/sleep 0.3
RestartSec=100ms
[Resources]
CPU=0.1
Memory=8M
[Placement]
Constraint=node == {node}
"""
VICTIM = "[Job]\nType=service\n[Task]\nExecStart=/bin/sleep 1000\n[Resources]\nCPU=0.01\nMemory=8M\n"
NEW = "[Task]\nExecStart=/bin/true\n[Resources]\nCPU=0.01\nMemory=8M\n"
VICTIMS, NEWS = 2, 6  # of each round, asked for right before the fault, and as many in it
KEPT_ROUNDS = 8       # the cluster forgets ended jobs, the oldest first
COMMAND = re.compile(rb"^(\S+)Z corral-agent\[\d+\]: debug: (obeyed|ignored): (\w+) (\S+), term \((\d+), 0x([0-9a-f]+)\)$", re.M)


class Command:
    def __init__(self, node, words):
        at, verdict, what, task, era, czxid = [word.decode() for word in words]
        self.node, self.at, self.obeyed, self.what, self.task = node, datetime.fromisoformat(at), verdict == "obeyed", what, task
        self.term = (int(era), int(czxid, 16))

    def __repr__(self):
        return f"{self.at.time()} {self.node} {'obeyed' if self.obeyed else 'ignored'} {self.what} {self.task} of {self.term}"


class Petitions:
    """Requests on connections to a master that stand before they are sent."""

    def __init__(self, site, master, requests):
        path = site.home / "requests"
        path.write_text(json.dumps(requests))
        self.requests = requests
        self.process = subprocess.Popen(
            site.network.enter(0, sys.executable, TOP / "tests/lib/petitions.py", "--master", site.address(master),
                               "--ca", site.tls / "ca.pem", "--cert", site.tls / "operator-tester.pem",
                               "--key", site.tls / "operator-tester-key.pem", path),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def send(self):
        self.process.stdin.write("now\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "sent\n"

    def granted(self):
        """The paths and bodies of those that were told success."""
        self.process.wait(SECONDS)
        statuses = json.loads(self.process.stdout.read())
        return [request for request, status in zip(self.requests, statuses) if status in (200, 201)]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Terms:
    """A site with two masters. Of three agents one is cut off from the ensemble when the leader's end comes, and so stays with it
    as long as its lease; one knows the masters by a list, and does so, too."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        doors = f"masters={','.join(f'10.77.0.{3 + n}:{5060 + n}' for n in range(2))}"
        self.site = Site({f"n{n}": f"n={n}" for n in range(3)}, masters=2, lease="15s", apart=True,
                         agent_words=["--log-level", "debug"], agent_lines={"n2": [doors]})
        self.told, self.read = [], dict.fromkeys(self.site.nodes, 0)
        self.rounds = self.asked = self.told_success = 0
        self.known = {}  # of what was told success: job, the round, and the states that it may be in

    def start(self):
        self.site.start()
        for node in self.site.nodes:
            self.site.submit(f"mill-{node}", MILL.format(node=node))
        return self

    def commands(self):
        """All that agents were told so far, each one's in order."""
        for node in self.site.nodes:
            with open(self.site.daemons[node].log_path, "rb") as f:
                f.seek(self.read[node])
                data = f.read()
            whole = data[:data.rfind(b"\n") + 1]
            self.read[node] += len(whole)
            self.told += [Command(node, words) for words in COMMAND.findall(whole)]
        return self.told

    def judge_commands(self):
        """On one node in the order in which they came, and over all nodes by the clock, which is one here: no term is obeyed
        behind a later one."""
        obeyed = [c for c in self.commands() if c.obeyed]
        for orders in [[c for c in obeyed if c.node == node] for node in self.site.nodes] + [
                sorted(obeyed, key=lambda c: (c.at, c.term))]:
            for before, after in zip(orders, orders[1:]):
                assert before.term <= after.term, f"obeyed after a later term: {before}, then {after}"

    def newest(self):
        return max(c.term for c in self.commands() if c.obeyed)

    def obeyed_later_than(self, term):
        self.site.until(lambda: self.newest() > term, f"agents obey a later term than {term}")

    def judge_answers(self):
        """What clients were told is so, for a leader that has it from the store."""
        def untrue():
            jobs = {j["name"]: j["state"] for j in self.site.ask("jobs").get("jobs", [])}
            return {name: jobs.get(name) for name, (_, states) in self.known.items() if jobs.get(name) not in states}
        self.site.until(lambda: not untrue(), lambda: f"what was told success is so: {untrue()}")

    def victims(self, when):
        names = [f"{when}-v{self.rounds}-{n}" for n in range(VICTIMS)]
        for name in names:
            self.site.submit(name, VICTIM)

        def running():
            return {t["job"] for t in self.site.ask("ps").get("tasks", []) if t["state"] == "running"}
        self.site.until(lambda: running().issuperset(names), lambda: f"{names} run: {running()}")
        return names

    def petitions(self, leader, when):
        requests = [(f"/corral/v1/jobs/{name}/stop", {}) for name in self.victims(when)]
        for n in range(NEWS):
            requests.append(("/corral/v1/jobs", {"name": f"{when}-q{self.rounds}-{n}", "text": NEW}))
        self.dice.shuffle(requests)
        return Petitions(self.site, leader, requests)

    def note(self, granted):
        self.asked += VICTIMS + NEWS
        self.told_success += len(granted)
        for path, body in granted:
            if path.endswith("/stop"):
                self.known[path.split("/")[-2]] = (self.rounds, ("stopped",))
            else:
                self.known[body["name"]] = (self.rounds, ("running", "finished"))
        self.known = {name: value for name, value in self.known.items() if value[0] > self.rounds - KEPT_ROUNDS}

    @contextlib.contextmanager
    def apart_from_the_ensemble(self, name):
        host = self.site.host(name)
        self.site.network.cut(host, SERVER)
        try:
            yield
        finally:
            self.site.network.heal_host(host)

    def one_round(self, fault):
        """A leader's end, and what came of it."""
        site = self.site
        site.nodes_ready()
        leader, before = site.leader(), self.newest()
        early, late = self.petitions(leader, "early"), self.petitions(leader, "late")
        try:
            early.send()
            time.sleep(self.dice.uniform(0, 0.02))  # some are answered, some stored, some not even read
            with self.apart_from_the_ensemble("n1"):
                fault(self, leader, late)
            self.obeyed_later_than(before)
            self.judge_commands()
            site.nodes_ready()
            for petitions in early, late:
                self.note(petitions.granted())
        finally:
            early.end()
            late.end()
        self.judge_answers()
        self.judge_commands()
        self.rounds += 1

    def last_judgement(self):
        """By a leader that has all from the store."""
        leader = self.site.leader()
        leader.kill()
        self.site.until(lambda: self.site.leader() is not leader, "the other one leads")
        self.judge_answers()

    def summary(self):
        commands = self.commands()
        obeyed = sum(c.obeyed for c in commands)
        return (f"{self.rounds} rounds, {len({c.term for c in commands})} terms, {obeyed} commands obeyed and "
                f"{len(commands) - obeyed} ignored, {self.told_success} of {self.asked} requests told success")


# ---- What happens to a leader. It has begun when the requests are sent, and is over at the return. ----

def cut_from_the_ensemble(terms, leader, petitions):
    """Its agents and its clients reach it."""
    term = terms.newest()
    with terms.apart_from_the_ensemble(leader.name):
        petitions.send()
        # On a busy machine it may have lost its leadership by itself before.
        terms.site.until(lambda: terms.newest() > term or terms.site.leader() is not leader, "another one leads")


def pause(terms, leader, petitions, seconds=None):
    """With the requests in its sockets, and what its agents say meanwhile."""
    leader.signal(signal.SIGSTOP)
    try:
        petitions.send()
        time.sleep(seconds or terms.dice.uniform(0.5, 5) * SESSION_S)  # so long it is frozen, by design
    finally:
        leader.signal(signal.SIGCONT)


def pause_and_take_over(terms, leader, petitions):
    pause(terms, leader, petitions, 2 * SESSION_S)


def run(seed, faults, capsys):
    terms = Terms(seed)
    try:
        terms.start()
        for fault in faults(terms.dice):
            terms.one_round(fault)
        terms.last_judgement()
        with capsys.disabled():
            print(f"\n{terms.summary()}, seed {seed}")
        terms.site.stop()
    except BaseException as e:
        terms.site.remove()
        raise AssertionError(f"seed {seed}, after {terms.rounds} rounds") from e


def test_needs_root_nobody_obeys_a_leader_that_was_replaced(capsys):
    run(1, lambda dice: [cut_from_the_ensemble, pause_and_take_over], capsys)


@pytest.mark.long
def test_needs_root_nobody_obeys_a_leader_that_was_replaced_in_60_rounds(capsys):
    run(int(time.time()), lambda dice: [dice.choice([cut_from_the_ensemble, pause]) for _ in range(60)], capsys)
