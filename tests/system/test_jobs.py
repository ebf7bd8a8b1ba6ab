# SPDX-License-Identifier: Apache-2.0
"""Jobs through the command line: submit, ps, why, logs, stop, nodes, status, watch; tables and JSON."""
import json

from conftest import until

SLEEPER = """[Job]
Count={count}
[Task]
ExecStart=/bin/sh -c 'echo task %i of ${{CORRAL_COUNT}} on %H; exec sleep 1000'
TimeoutStopSec=2s
[Resources]
CPU={cpu}
Memory=16M
"""


def batch(command, count=1, more=""):
    return f"[Job]\nCount={count}\n[Task]\nExecStart=/bin/sh -c '{command}'\n{more}\n[Resources]\nCPU=0.1\nMemory=16M\n"


def test_a_batch_runs_to_its_end_and_its_output_is_kept(cluster):
    assert cluster.submit("hello", batch("echo hello from %i", 3)).stdout == "hello: 3 tasks accepted\n"
    cluster.wait_job("hello", "finished")
    lines = cluster.corral("logs", "hello").stdout.splitlines()
    assert sorted(lines) == [f"hello.{n} | hello from {n}" for n in range(3)]
    assert cluster.corral("logs", "hello.1").stdout == "hello from 1\n"
    job = cluster.job("hello")
    assert (job["finished"], job["failed"], job["running"], job["waiting"]) == (3, 0, 0, 0)


def test_a_task_that_fails_is_retried_as_often_as_it_says_and_then_the_job_has_failed(cluster):
    cluster.submit("fails", batch("exit 5", 1, "Restart=on-failure\nRestartSec=0\nStartLimitBurst=2"))
    cluster.wait_job("fails", "failed")
    task = cluster.json("ps", "fails")["tasks"][0]
    assert (task["state"], task["exit_code"], task["attempt"]) == ("failed", 5, 3)
    row = cluster.corral("ps", "fails", "--no-header", "-o", "id,state,exit").stdout.split()
    assert row == ["fails.0", "failed", "5"]


def test_why_says_how_a_task_ended_and_where(cluster):
    for name, command, state, said in (("good", "true", "finished", "exit status 0"),
                                       ("poor", "exit 5", "failed", "exit status 5"),
                                       ("shot", "kill -KILL $$$$", "failed", "killed by signal 9 (Killed)")):
        cluster.submit(f"ended-{name}", batch(command))
        cluster.wait_job(f"ended-{name}", state)
        assert cluster.corral("why", f"ended-{name}.0").stdout.startswith(f"ended-{name}.0 {state}: {said} on ")


def test_what_waits_says_why_and_runs_when_there_is_room(cluster):
    cpus = cluster.json("nodes")["nodes"][0]["capacity"]["cpu_milli"] / 1000
    cluster.submit("fill", SLEEPER.format(count=1, cpu=cpus))
    until(lambda: cluster.job("fill")["running"] == 1, lambda: f"fill runs: {cluster.job('fill')}")
    cluster.submit("late", batch("echo done"))
    until(lambda: cluster.job("late")["waiting"] == 1, "late waits")
    why = cluster.corral("why", "late.0").stdout
    assert why.startswith("late.0 waits") and "cpu" in why and "1 node looked at, 0 fit." in why
    stop = cluster.corral("stop", "fill").stdout
    assert stop.startswith("fill: ") and "1 task stopped" in stop
    cluster.wait_job("late", "finished")
    cluster.wait_job("fill", "stopped")


def test_stopped_tasks_are_gone_with_all_their_processes(cluster):
    marker = "987654"
    cluster.submit("family", batch(f"sleep {marker} & (trap : TERM; sleep {marker}) & wait", 1, "TimeoutStopSec=1s"))
    from conftest import processes_naming
    until(lambda: sum(words.startswith(f"sleep {marker}") for _, words in processes_naming(marker)) == 2, "both sleep")
    cluster.corral("stop", "family")
    cluster.wait_job("family", "stopped")
    assert processes_naming(marker) == []


def test_a_name_in_use_is_refused(cluster):
    cluster.submit("twice", SLEEPER.format(count=1, cpu=0.1))
    run = cluster.submit("twice", batch("true"), status=None)
    assert run.returncode in (1, 75) and "twice" in run.stderr
    cluster.corral("stop", "twice")
    cluster.wait_job("twice", "stopped")


def test_the_master_refuses_a_bad_job_file_as_the_command_line_does(cluster, tmp_path):
    run = cluster.submit("bad", "[Task]\nExecStart=/bin/true\nMemry=1\n", status=65)
    assert "bad.job:3:" in run.stderr


def test_logs_follow_until_the_task_ends(cluster):
    cluster.submit("ticks", batch("for n in 1 2 3; do echo tick $n; sleep 0.1; done"))
    run = cluster.corral("logs", "-f", "ticks.0")
    assert run.stdout == "tick 1\ntick 2\ntick 3\n"


def test_the_last_lines_only(cluster):
    cluster.submit("tail", batch("seq 1 100"))
    cluster.wait_job("tail", "finished")
    assert cluster.corral("logs", "--tail", "2", "tail.0").stdout == "99\n100\n"


def test_watch_ends_with_the_job_and_has_its_outcome(cluster):
    cluster.submit("good", batch("sleep 0.2"))
    run = cluster.corral("watch", "good")
    assert run.stdout == "" and "finished" in run.stderr and "\033" not in run.stderr
    cluster.submit("poor", batch("exit 1"))
    assert "failed" in cluster.corral("watch", "poor", status=1).stderr


def test_submit_can_stay_and_watch_and_take_a_script_from_standard_input(cluster):
    script = "#!/bin/sh\n#CORRAL Resources.CPU=0.1\n#CORRAL Resources.Memory=16M\necho from a script\n"
    run = cluster.corral("submit", "--watch", "--name", "script", "-", input=script)
    assert "script: 1 task accepted" in run.stderr
    assert cluster.corral("logs", "script.0").stdout == "from a script\n"
    assert cluster.corral("submit", "-", input=script, status=64).stderr != ""


def test_unknown_names_are_said_and_are_status_1(cluster):
    for words in (("logs", "nobody"), ("stop", "nobody"), ("why", "nobody.0"), ("watch", "nobody")):
        run = cluster.corral(*words, status=1)
        assert "nobody" in run.stderr, words


def test_nodes_and_status_show_the_machine(cluster):
    table = cluster.corral("nodes").stdout.splitlines()
    assert table[0].split() == ["NODE", "STATE", "CPU", "MEM", "DISK", "TASKS", "SEEN"]
    assert table[1].split()[1] == "ready"
    status = cluster.corral("status").stdout
    assert "1 of 1 node ready" in status and "leader    127.0.0.1:" in status
    data = cluster.json("status")
    assert data["nodes_ready"] == 1 and data["term"]["era"] == 1


def test_json_lines_are_one_object_a_line(cluster):
    cluster.submit("lines", batch("true", 4))
    cluster.wait_job("lines", "finished")
    rows = [json.loads(line) for line in cluster.corral("ps", "lines", "--json-lines").stdout.splitlines()]
    assert sorted(row["index"] for row in rows) == [0, 1, 2, 3]
    assert cluster.corral("ps", "lines", "-q").stdout.split() == [f"lines.{n}" for n in range(4)]


def test_an_unknown_column_is_wrong_usage(cluster):
    assert "no such column" in cluster.corral("jobs", "-o", "job,colour", status=64).stderr
