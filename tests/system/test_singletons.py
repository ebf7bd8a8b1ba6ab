# SPDX-License-Identifier: Apache-2.0
"""Singletons on hosts whose links are cut, whose agents freeze and die: never two attempts at once, and always a next one."""
import os
import random
import signal
import time
from pathlib import Path

import pytest
from conftest import TOP  # noqa: F401: finds tests/lib
from processes import cgroups
from site_rig import SECONDS, Site
from waiting import SLOW

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts of their own, in network namespaces, need root")

LEASE_S, STOP_S = 2, 1
# From a cut on, within this the next one runs: (L + G)(1 + 3d), as corral-job(5) has it, and 5 s for the start.
NEXT_S = (LEASE_S + STOP_S + 2) * 1.03 + 5

# It writes as long as it may: SIGTERM does not end it. One write(2) to a file opened with O_APPEND: lines are in order.
WRITER = """import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
e = os.environ
fd = os.open(DIARY, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
while True:
    os.write(fd, f"{e['CORRAL_NODE']} {e['CORRAL_ATTEMPT']} {e['CORRAL_FENCE']} {time.monotonic_ns()}\\n".encode())
    time.sleep(0.01)
"""
JOB = """[Job]
Type=service
[Task]
ExecStart=/usr/bin/python3 {program}
RestartSec=100ms
TimeoutStopSec={stop}
[Resources]
CPU=0.5
Memory=64M
[Placement]
Constraint=attr.pair == {pair}
Singleton=yes
"""


class Diary:
    """What the attempts at one singleton have written to shared storage."""

    def __init__(self, site, pair):
        self.path = site.home / f"diary-{pair}"
        self.read = 0
        self.lines = []

    def look(self):
        """All lines so far: (node, attempt, fence, time in s)."""
        data = b""
        if self.path.exists():
            with open(self.path, "rb") as f:
                f.seek(self.read)
                data = f.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.read += len(whole)
        for line in whole.decode().splitlines():
            node, attempt, fence, at = line.split()
            self.lines.append((node, int(attempt), int(fence), int(at) / 1e9))
        return self.lines

    def last(self):
        return self.look()[-1] if self.look() else (None, 0, 0, 0)

    def assert_never_two(self):
        """Once a later attempt has written, no earlier one writes; and fences grow with attempts."""
        before = (None, 0, 0, 0)
        for line in self.look():
            assert line[1] >= before[1], f"{self.path.name}: an earlier attempt wrote after a later one: {before}, {line}"
            assert line[2] == before[2] if line[1] == before[1] else line[2] > before[2], (self.path.name, before, line)
            before = line

    def first(self, attempt):
        """When a later attempt than this one first wrote; None: there is none."""
        return next((at for _, a, _, at in self.look() if a > attempt), None)


class Pair:
    """Two nodes, and a singleton that runs on either."""

    def __init__(self, site, number):
        self.site, self.number = site, number
        self.nodes = [f"n{number}a", f"n{number}b"]
        self.diary = Diary(site, number)

    def submit(self):
        program = self.site.home / f"writer-{self.number}.py"
        program.write_text(WRITER.replace("DIARY", repr(str(self.diary.path))))
        self.site.submit(f"one{self.number}", JOB.format(program=program, stop=STOP_S, pair=self.number))

    def running(self):
        """(node, attempt) of the one that runs; waits until it has written."""
        def ask():
            t = self.site.task(f"one{self.number}")
            node, attempt, _, at = self.diary.last()
            ok = t.get("state") == "running" and (t.get("node"), t.get("attempt")) == (node, attempt)
            return (node, attempt) if ok and time.monotonic() - at < 1 else None
        return self.site.until(ask, lambda: f"one{self.number} runs: {self.site.task(f'one{self.number}')}, {self.diary.last()}")

    def agent(self, node):
        return self.site.daemons[node]

    def executors(self, node):
        """The pids of its executors, which outlive their agent."""
        return {int(pid) for group in cgroups(self.site.home, [node]) for path in Path(group).glob("*/exec/cgroup.procs")
                for pid in path.read_text().split()}


# ---- What happens to a node, and how it ends. Each gives what undoes it. ----

def cut(pair, node):
    host = pair.site.host(node)
    pair.site.network.isolate(host)
    return lambda: pair.site.network.heal_host(host)


def deaf(pair, node):
    """It is heard, and hears nothing."""
    host = pair.site.host(node)
    pair.site.network.cut_one_way(1, host)
    return lambda: pair.site.network.heal_host(host)


def mute(pair, node):
    """It hears, and is not heard."""
    host = pair.site.host(node)
    pair.site.network.cut_one_way(host, 1)
    return lambda: pair.site.network.heal_host(host)


def freeze(pair, node):
    pair.agent(node).signal(signal.SIGSTOP)
    return lambda: pair.agent(node).signal(signal.SIGCONT)


def kill_agent(pair, node):
    pair.agent(node).kill()
    return pair.agent(node).start


def kill_executor(pair, node):
    for pid in pair.executors(node):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return lambda: None


KINDS = [cut, deaf, mute, freeze, kill_agent, kill_executor]


def one_round(site, pairs, kinds):
    """All of it at once, a pair each, for three lease lengths; then each singleton runs on, as another attempt. Gives
    the seconds from what happened to a pair to the next attempt's first line."""
    began, times = {}, []
    for pair, kind in zip(pairs, kinds):
        node, attempt = pair.running()
        began[pair] = (kind, node, attempt, time.monotonic(), kind(pair, node))
    time.sleep(3 * LEASE_S)  # this long they last, by design
    for pair, (kind, node, attempt, since, undo) in began.items():
        # What the history shows: the next attempt, on another node, while the first one is still out of reach.
        next_at = site.until(lambda: pair.diary.first(attempt), lambda: f"{kind.__name__} of {node}: another than {attempt}")
        times.append(next_at - since)
        undo()
        pair.diary.assert_never_two()
    site.nodes_ready()
    for pair in pairs:
        pair.running()
        pair.diary.assert_never_two()
    return times


def nodes(*more):
    return {f"n{n}{side}": f"pair={n}" for n in range(len(KINDS)) for side in "ab"} | {n: f"pair={n}" for n in more}


@pytest.fixture(scope="module")
def site():
    s = Site(nodes("alone", "weak"), weak=["weak"])
    try:
        yield s.start()
        s.stop()
    except BaseException:
        s.remove()
        raise


def start_all(site):
    pairs = [Pair(site, n) for n in range(len(KINDS))]
    for pair in pairs:
        pair.submit()
    for pair in pairs:
        pair.running()
    return pairs


def test_needs_root_a_singleton_never_runs_twice(site):
    one_round(site, start_all(site), KINDS)


def launched_into_the_ice(site, alone):
    """Its only node's agent is frozen, and has not missed a lease yet when the attempt is sent to it."""
    agent = site.daemons["alone"]
    site.nodes_ready(["alone"])
    agent.signal(signal.SIGSTOP)
    alone.submit()

    def is_sent():
        return site.task("onealone").get("state") == "launching"
    site.until(lambda: is_sent() or site.node_states().get("alone") == "silent", "the attempt is sent, or it was too late")
    return is_sent()


def test_needs_root_a_frozen_agent_does_not_start_what_lies_in_its_buffer(site):
    alone = Pair(site, "alone")
    for _ in range(20):  # a busy machine may be slower than the lease
        if launched_into_the_ice(site, alone):
            break
        site.daemons["alone"].signal(signal.SIGCONT)
        site.corral("stop", "onealone")
        site.until(lambda: site.job_state("onealone") == "stopped", "the late one is stopped")
    else:
        pytest.fail("the attempt was never sent in time")
    site.until(lambda: site.node_states().get("alone") == "silent", "its lease is over")
    site.daemons["alone"].signal(signal.SIGCONT)
    alone.running()
    assert min(attempt for _, attempt, _, _ in alone.diary.look()) > 1
    alone.diary.assert_never_two()


def test_needs_root_a_node_that_cannot_end_a_singleton_gets_none(site):
    weak = Pair(site, "weak")
    weak.submit()

    def why():
        return site.corral("why", "oneweak.0", status=None).stdout
    site.until(lambda: "takes no singletons: its agent does not run as root" in why(), why)
    assert weak.diary.look() == []
    site.corral("stop", "oneweak")


def test_needs_root_a_stop_that_waits_for_a_node_says_so(site):
    # It ends at once; but it might take a minute, and that long nobody can know.
    site.submit("slow", "[Task]\nExecStart=sleep 1000\nTimeoutStopSec=1min\n[Resources]\nCPU=0.5\nMemory=64M\n"
                "[Placement]\nConstraint=attr.pair == alone\nSingleton=yes\n")
    site.until(lambda: site.task("slow").get("state") == "running", "it runs")
    attempt = site.task("slow")["attempt"]
    undo = cut(Pair(site, "alone"), "alone")
    stop = site.start_corral("stop", "slow")
    site.until(lambda: site.node_states().get("alone") == "silent" and site.job_state("slow") == "stopping", "it waits")
    refused = site.corral("submit", "--name", "slow", "-", data="[Task]\nExecStart=true\n", status=75).stderr
    assert f"attempt {attempt} of its task 0 is not over yet on alone, which is silent" in refused, refused
    why = site.corral("why", "slow.0").stdout
    assert f"its attempt {attempt} may still run on alone, which is not heard" in why, why
    undo()
    assert stop.wait(SECONDS) == 0


@pytest.mark.long
def test_needs_root_200_rounds_in_which_leaders_are_killed_too(capsys):
    site = Site(nodes(), masters=2)
    dice = random.Random(seed := int(time.time()))
    done = 0
    try:
        pairs = start_all(site.start())
        while done < 200:
            leader = site.leader() if dice.random() < 0.25 else None
            if leader is not None:
                leader.kill()
            one_round(site, pairs, [dice.choice(KINDS) for _ in pairs])
            done += len(pairs)
            if leader is not None:
                leader.start()
        with capsys.disabled():
            print(f"\n{done} rounds, {sum(len({a for _, a, _, _ in p.diary.look()}) for p in pairs)} attempts, seed {seed}")
        site.stop()
    except BaseException as e:
        site.remove()
        raise AssertionError(f"seed {seed}, after {done} rounds") from e


@pytest.mark.long
def test_needs_root_200_rounds_of_the_cut_alone(capsys):
    """The promise to the letter: cut off from everything, never two at once, and the next one in time."""
    site, times = Site(nodes()), []
    try:
        pairs = start_all(site.start())
        while len(times) < 200:
            times += one_round(site, pairs, [cut for _ in pairs])
        with capsys.disabled():
            print(f"\n{len(times)} cuts: the next one ran after {sorted(times)[len(times) // 2]:.2f} s (median), "
                  f"{max(times):.2f} s (worst) of at most {NEXT_S:.2f} s")
        assert max(times) <= NEXT_S * SLOW, times
        site.stop()
    except BaseException as e:
        site.remove()
        raise AssertionError(f"after {len(times)} rounds") from e
