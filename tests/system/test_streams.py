# SPDX-License-Identifier: Apache-2.0
"""What is read of tasks goes on where it was when an agent or the leading master is killed: no line is lost, none comes twice."""
import os
import re
import signal
import subprocess
import threading

import pytest

from conftest import DEADLINE_S, Cluster, until

COUNTER = """[Job]
Count={count}
[Task]
ExecStart=/bin/sh -c 'n=0; while ! test -e {gate}; do n=$((n+1)); echo $n; echo $n >&2; sleep 0.01; done; \\
  echo $n last; echo $n last >&2'
[Resources]
CPU=0.1
Memory=16M
"""


class Reader:
    """A command line whose output is read as it comes."""

    def __init__(self, cluster, *words, **more):
        self.process = cluster.start(*words, **more)
        self.out, self.err = [], []
        self.threads = [threading.Thread(target=lambda to, stream: to.extend(iter(stream.readline, "")), args=pair, daemon=True)
                        for pair in ((self.out, self.process.stdout), (self.err, self.process.stderr))]
        for thread in self.threads:
            thread.start()

    def grows(self, lines):
        """Until so many lines more have come."""
        wanted = len(self.out) + lines
        until(lambda: len(self.out) >= wanted, lambda: f"{lines} lines more:\n{''.join(self.out[-5:] + self.err[-5:])}")

    def end(self):
        status = self.process.wait(DEADLINE_S)
        for thread in self.threads:
            thread.join(DEADLINE_S)
        return status

    def said(self, text):
        return any(text in line for line in self.err)


@pytest.fixture(scope="module")
def pair():
    """One node, two masters."""
    c = Cluster("--masters", "2")
    yield c
    c.stop()


def assert_counts(lines):
    """1, 2, 3 ... N, N last."""
    last = len(lines) - 1
    assert last > 0 and lines == [str(n) for n in range(1, last + 1)] + [f"{last} last"]


def kill_leader(cluster):
    os.kill(cluster.daemons()[cluster.leader()][0], signal.SIGKILL)


def kill_agent(cluster):
    cluster.kill_daemon(next(iter(cluster.daemons("agent"))))


@pytest.mark.parametrize("kill, word", [(kill_leader, "looking for the one that leads"), (kill_agent, "is back")])
def test_logs_go_on_where_they_were(pair, kill, word):
    name = kill.__name__.replace("_", "-")
    gate = pair.home / name
    pair.submit(name, COUNTER.format(count=3, gate=gate))
    until(lambda: (pair.job(name) or {}).get("running") == 3, "three tasks run")
    every, one = Reader(pair, "logs", "-f", name), Reader(pair, "logs", "-f", f"{name}.1")
    for reader in (every, one):
        reader.grows(50)
    kill(pair)
    for reader in (every, one):
        until(lambda r=reader: r.said(word), lambda r=reader: f"{word}: {r.err}")
        reader.grows(50)
    gate.write_text("")
    pair.wait_job(name, "finished")
    assert (every.end(), one.end()) == (0, 0), (every.err, one.err)
    for i in range(3):
        for lines in every.out, every.err:
            assert_counts([line.split(" | ")[1].strip() for line in lines if line.startswith(f"{name}.{i} | ")])
    assert_counts([line.strip() for line in one.out])
    assert_counts([line.strip() for line in one.err if re.match(r"\d", line)])


def test_logs_with_a_tail_go_on_where_they_were(pair):
    gate = pair.home / "gate-tail"
    pair.submit("tail", COUNTER.format(count=1, gate=gate))
    until(lambda: len(pair.corral("logs", "tail.0", status=None).stdout.split()) > 20, "it has written some lines")
    reader = Reader(pair, "logs", "-f", "--tail", "3", "tail.0")
    reader.grows(20)
    first = int(reader.out[0])
    assert first > 15
    kill_leader(pair)
    until(lambda: reader.said("looking for the one that leads"), lambda: reader.err)
    reader.grows(50)
    gate.write_text("")
    assert reader.end() == 0, reader.err
    last = first + len(reader.out) - 2
    assert [line.strip() for line in reader.out] == [str(n) for n in range(first, last + 1)] + [f"{last} last"]


def test_the_output_of_a_run_goes_on_where_it_was_when_its_agent_is_killed(pair):
    gate = pair.home / "gate-run"
    script = f"n=0; while ! test -e {gate}; do n=$((n+1)); echo $n; sleep 0.01; done; echo $n last; exit 7"
    reader = Reader(pair, "run", "--cpus", "0.1", "--", "sh", "-c", script)
    reader.grows(50)
    kill_agent(pair)
    until(lambda: reader.said("is back"), lambda: reader.err)
    reader.grows(50)
    gate.write_text("")
    assert reader.end() == 7, reader.err
    assert_counts([line.strip() for line in reader.out])


def test_logs_follow_a_task_through_its_attempts_and_wait_for_one_that_waits(pair):
    gate = pair.home / "gate-again"
    pair.submit("again", f"""[Job]
Count=2
[Task]
ExecStart=/bin/sh -c 'echo attempt $CORRAL_ATTEMPT; while ! test -e {gate}; do sleep 0.05; done; test $CORRAL_ATTEMPT = 3'
Restart=on-failure
RestartSec=0
StartLimitBurst=5
[Resources]
CPU=1.1
Memory=16M
""")
    reader = Reader(pair, "logs", "-f", "again")
    reader.grows(1)
    gate.write_text("")
    assert reader.end() == 0, reader.err
    for i in range(2):
        assert [line.strip() for line in reader.out if line.startswith(f"again.{i}")] == [
            f"again.{i} | attempt {n}" for n in (1, 2, 3)]


def test_a_run_whose_master_is_killed_says_how_to_go_on(pair):
    gate = pair.home / "gate-lost"
    reader = Reader(pair, "run", "--name", "lost", "--cpus", "0.1", "--", "sh", "-c",
                    f"echo up; while ! test -e {gate}; do sleep 0.05; done; echo through")
    reader.grows(1)
    kill_leader(pair)
    assert reader.end() == 125 and reader.said("corral logs -f lost"), reader.err
    pair.leader()
    rest = Reader(pair, "logs", "-f", "lost")
    rest.grows(1)
    gate.write_text("")
    assert rest.end() == 0, rest.err
    assert "".join(rest.out) == "lost.0 | up\nlost.0 | through\n"


def test_what_a_run_reads_while_its_agent_is_away_reaches_the_task_when_it_is_back(pair):
    reader = Reader(pair, "run", "--cpus", "0.1", "--", "sh", "-c", "echo up; cat", stdin=subprocess.PIPE)
    reader.grows(1)
    name = next(iter(pair.daemons("agent")))
    os.kill(pair.daemons()[name][0], signal.SIGKILL)
    until(lambda: reader.said("was lost"), lambda: reader.err)
    reader.process.stdin.write("typed meanwhile\n")
    reader.process.stdin.close()
    assert reader.end() == 0, reader.err
    assert reader.out == ["up\n", "typed meanwhile\n"]


def test_a_task_whose_input_ended_as_its_agent_was_killed_hears_of_the_end(pair):
    reader = Reader(pair, "run", "--cpus", "0.1", "--", "sh", "-c", "echo up; cat; echo through", stdin=subprocess.PIPE)
    reader.grows(1)
    name = next(iter(pair.daemons("agent")))
    os.kill(pair.daemons()[name][0], signal.SIGSTOP)
    reader.process.stdin.close()
    pair.kill_daemon(name)
    assert reader.end() == 0, reader.err
    assert reader.out == ["up\n", "through\n"]
