# SPDX-License-Identifier: Apache-2.0
"""corral run: output, input, signals and the exit status of a command that runs somewhere else."""
import http.client
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, DEADLINE_S, until
from hostile import tls_context


@pytest.mark.parametrize("status", [0, 1, 3, 77, 255])
def test_the_exit_status_is_the_commands(cluster, status):
    run = cluster.corral("run", "--", "sh", "-c", f"exit {status}", status=status)
    assert run.stdout == "" and run.stderr == ""


def test_output_and_errors_come_apart(cluster):
    run = cluster.corral("run", "--", "sh", "-c", "echo out; echo err >&2")
    assert (run.stdout, run.stderr) == ("out\n", "err\n")


def test_a_command_that_dies_of_a_signal_ends_with_128_and_its_number(cluster):
    cluster.corral("run", "--", "sh", "-c", "kill -9 $$", status=128 + 9)


def test_a_command_that_is_not_there_is_127_and_one_that_cannot_run_126(cluster):
    cluster.corral("run", "--", "/no/such/command", status=127)
    cluster.corral("run", "--", "/etc/hostname", status=126)


def test_standard_input_reaches_the_command_to_its_end(cluster):
    text = "".join(f"line {n}\n" for n in range(20000))
    run = cluster.corral("run", "--", "sort", "-r", input=text)
    assert run.stdout.splitlines() == sorted(text.splitlines(), reverse=True)


def test_an_empty_input_ends_at_once(cluster):
    assert cluster.corral("run", "--", "cat").stdout == ""


def test_ten_megabytes_come_through_whole_both_ways(cluster):
    data = os.urandom(10_000_000)
    run = subprocess.run([BUILD / "corral", "run", "--", "cat"], env=cluster.env, input=data, capture_output=True,
                         timeout=2 * DEADLINE_S)
    assert run.returncode == 0, run.stderr
    assert run.stdout == data


def test_a_slow_reader_gets_everything(cluster):
    with cluster.start("run", "--", "sh", "-c", "seq 1 400000") as run:
        until(lambda: os.read(run.stdout.fileno(), 1) == b"1", "the first byte")
        rest = run.stdout.read()
        assert run.wait(timeout=DEADLINE_S) == 0
    assert rest.endswith("\n400000\n") and rest.count("\n") == 400000


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_are_passed_on(cluster, signo):
    name = signal.Signals(signo).name[3:]
    with cluster.start("run", "--", "sh", "-c", f"trap 'echo got; exit 7' {name}; echo up; while :; do sleep 0.05; done") as run:
        assert run.stdout.readline() == "up\n"
        run.send_signal(signo)
        assert run.stdout.read() == "got\n"
        assert run.wait(timeout=DEADLINE_S) == 7


def test_environment_and_working_directory_are_set(cluster):
    run = cluster.corral("run", "--env", "A=b c", "--directory", "/usr", "--", "sh", "-c", 'echo "$A"; pwd')
    assert run.stdout == "b c\n/usr\n"


def test_several_tasks_have_their_names_in_front_of_each_line(cluster):
    run = cluster.corral("run", "--count", "3", "--cpus", "0.1", "--name", "many", "--", "sh", "-c", "echo hello")
    assert sorted(run.stdout.splitlines()) == [f"many.{n} | hello" for n in range(3)]


def test_the_count_has_one_limit_which_help_client_and_master_name(cluster):
    said = "expected 1 to 1000: corral submit takes a job file with a larger Count="
    for count in "0", "1001":
        run = cluster.corral("run", "--count", count, "--", "true", status=None)
        assert run.returncode == 125 and f"--count={count}: {said}" in run.stderr, run
    assert "run so many tasks, 1 to 1000 (1)" in cluster.corral("run", "--help").stdout
    context = tls_context(cert=cluster.tls / "operator.pem", key=cluster.tls / "operator-key.pem")
    h = http.client.HTTPSConnection(cluster.daemons()[cluster.leader()][1], context=context, timeout=DEADLINE_S)
    run = {"name": "toomany", "count": 1001, "spec": {"argv": ["true"], "resources": {"cpu_milli": 1, "memory_bytes": 1}}}
    h.request("POST", "/corral/v1/run", json.dumps(run), {"Connection": "upgrade", "Upgrade": "corral-frames"})
    answer = h.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]) == (400, f"count: {said}")
    h.close()


def test_what_no_node_can_hold_is_given_up_after_the_timeout(cluster):
    run = cluster.corral("run", "--cpus", "100000", "--timeout", "200ms", "--", "true", status=None)
    assert run.returncode == 125 and "not placed in time" in run.stderr


def test_a_launch_that_fails_says_why_at_once(cluster):
    """Its output ends with it: the reason comes through, not that output is missing, and the agent holds no stream of it."""
    node = cluster.nodes[0]
    sandboxes, away = cluster.state / node / "sandbox", cluster.state / node / "away"
    agent = cluster.daemons()[node][0]

    def streams():
        return [fd for fd in Path(f"/proc/{agent}/fd").iterdir() if "/sandbox/" in os.path.realpath(fd)]

    sandboxes.rename(away)
    sandboxes.write_text("a file where the sandboxes should be")
    try:
        run = cluster.corral("run", "--", "true", status=125)
    finally:
        sandboxes.unlink()
        away.rename(sandboxes)
    assert "sandbox" in run.stderr, run.stderr
    assert "did not arrive" not in run.stderr
    assert cluster.corral("run", "--", "echo", "again").stdout == "again\n"
    until(lambda: not streams(), "the agent has closed all streams")
