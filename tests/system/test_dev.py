# SPDX-License-Identifier: Apache-2.0
"""corral dev itself: what it starts, finds, restarts and removes."""
import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, DEADLINE_S, Cluster, alive, cgroups, descendants, until


def test_a_command_line_without_any_flag_finds_the_cluster_and_loses_it_when_it_ends():
    cluster = Cluster()
    env = {k: v for k, v in cluster.env.items() if k != "CORRAL_CONFIG_DIR"}
    run = subprocess.run([BUILD / "corral", "nodes", "-q"], env=env, capture_output=True, text=True, timeout=DEADLINE_S)
    assert run.returncode == 0 and len(run.stdout.split()) == 1
    cluster.stop()


def test_a_second_cluster_beside_the_first_takes_other_ports_and_is_told_apart(cluster):
    env = {**cluster.env}
    del env["CORRAL_CONFIG_DIR"]
    run = subprocess.run([BUILD / "corral", "dev", "--", "sh", "-c", "corral status --json; cat $CORRAL_DEV_STATE/daemons"],
                         env=env, capture_output=True, text=True, timeout=DEADLINE_S)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "CORRAL_CONFIG_DIR=" in run.stdout
    ours = {address for _, address in cluster.daemons().values()}
    assert not any(address in run.stdout for address in ours)


def test_it_runs_a_command_and_exits_with_its_status(home):
    run = subprocess.run([BUILD / "corral", "dev", "--", "sh", "-c", "corral run -- sh -c 'exit 5'; exit $?"],
                         env={"PATH": "/usr/bin:/bin", "TMPDIR": str(home), "HOME": str(home)},
                         capture_output=True, text=True, timeout=DEADLINE_S)
    assert run.returncode == 5, run.stdout + run.stderr
    assert list(home.iterdir()) == []


def test_nodes_offer_what_they_are_told_to():
    cluster = Cluster("--agent", "cpus=3,memory=1G,disk=2G", "--agent", "cpus=0.5,memory=512M")
    nodes = {n["name"]: n["capacity"] for n in cluster.json("nodes")["nodes"]}
    assert nodes["n1"] == {"cpu_milli": 3000, "memory_bytes": 1 << 30, "disk_bytes": 2 << 30}
    assert (nodes["n2"]["cpu_milli"], nodes["n2"]["memory_bytes"]) == (500, 512 << 20)
    cluster.stop()


def test_agents_that_share_a_machine_do_not_offer_more_than_it_has(wide_cluster):
    nodes = wide_cluster.json("nodes")["nodes"]
    assert sum(n["capacity"]["cpu_milli"] for n in nodes) <= os.cpu_count() * 1000
    assert len({n["capacity"]["cpu_milli"] for n in nodes}) == 3


def test_a_killed_daemon_is_started_again_and_says_so(cluster):
    for name in list(cluster.daemons()):
        cluster.kill_daemon(name)
        until(lambda: cluster.said(f"{name} ready again"), lambda: f"{name} is ready again:\n{cluster.screen()}")
        assert cluster.said(f"{name} was killed by signal 9; starting it again")
    cluster.nodes_ready(1)
    cluster.corral("run", "--", "true")


def test_when_it_is_killed_its_daemons_do_not_stay():
    cluster = Cluster()
    pids = [pid for pid, _ in cluster.daemons().values()]
    cluster.dev.kill()
    until(lambda: not any(map(alive, pids)), "the daemons are gone")
    cluster.kill()


def members(group):
    try:
        return [int(pid) for pid in Path(f"{group}/cgroup.procs").read_text().split()]
    except OSError:
        return []


def test_the_next_cluster_removes_what_a_killed_one_left_of_its_control_groups_needs_root():
    if os.geteuid() != 0:
        pytest.skip("control groups need root")
    cluster = Cluster()
    again = [BUILD / "corral", "dev", "--agents", "0", "--", "true"]
    env = {k: v for k, v in cluster.env.items() if k != "CORRAL_CONFIG_DIR"}
    task = cluster.start("run", "--", "sleep", "1021")
    until(lambda: cluster.corral("ps", "--json").stdout.count('"running"'), "the task runs")
    subprocess.run(again, env=env, check=True, capture_output=True, timeout=DEADLINE_S)
    groups = cgroups(cluster.state, cluster.nodes)
    cluster.dev.kill()
    cluster.dev.wait()
    task.kill()
    task.communicate()
    # Its executor lives on: that is no leftover yet.
    subprocess.run(again, env=env, check=True, capture_output=True, timeout=DEADLINE_S)
    assert groups != [] and cgroups(cluster.state, cluster.nodes) == groups
    pids = {pid for group in groups for path, _, _ in os.walk(group) for pid in members(path)}
    assert pids
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it went with its executor
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(alive, pids)), "executor and task are gone")
    subprocess.run(again, env=env, check=True, capture_output=True, timeout=DEADLINE_S)
    assert cgroups(cluster.state, cluster.nodes) == []
    cluster.kill()


def test_a_kept_state_directory_can_be_used_again(home):
    state = home / "state"
    env = {"PATH": "/usr/bin:/bin", "TMPDIR": str(home), "HOME": str(home)}
    for command in ("echo one; zk create /kept hello", "zk get /kept"):
        run = subprocess.run([BUILD / "corral", "dev", "--state", state, "--", "sh", "-c", command], env=env,
                             capture_output=True, text=True, timeout=DEADLINE_S)
        assert run.returncode == 0, run.stdout + run.stderr
    assert "hello" in run.stdout


def test_a_port_that_is_taken_or_that_another_cluster_has_planned_is_left_alone():
    with socket.socket() as taken, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as planned:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody else has it: just as good
            taken.bind(("127.0.0.1", 5050))
            taken.listen()
        with contextlib.suppress(OSError):
            planned.bind("\0corral-dev/2181")
        cluster = Cluster()
        assert cluster.daemons("master")["master"][1] != "127.0.0.1:5050"
        assert cluster.daemons("zkserver")["zkserver"][1] != "127.0.0.1:2181"
        cluster.stop()


def test_sigterm_stops_it_as_ctrl_c_does():
    cluster = Cluster()
    cluster.submit("stays", "[Task]\nExecStart=/bin/sleep 1000\n[Resources]\nCPU=0.1\nMemory=16M\n")
    until(lambda: cluster.job("stays")["running"] == 1, "it runs")
    cluster.dev.send_signal(signal.SIGTERM)
    cluster.stop()


def freeze(pid):
    """The control group of a process, as a helper leaves it that dies between the freezing and the thaw."""
    groups = dict(line.split(":")[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    if groups.get("freezer", "/") != "/":
        Path(f"/sys/fs/cgroup/freezer{groups['freezer']}/freezer.state").write_text("FROZEN")
    else:
        top = next(mount[1] for mount in mounts if mount[2] == "cgroup2")
        Path(f"{top}{groups['']}/cgroup.freeze").write_text("1")


def is_sleep(pid, seconds):
    return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep\0" + seconds)


def test_it_ends_a_task_that_was_left_frozen_needs_root():
    if os.geteuid() != 0:
        pytest.skip("control groups need root")
    cluster = Cluster()
    task = cluster.start("run", "--", "sh", "-c", "echo $$; exec sleep 1022")
    inner = int(task.stdout.readline())
    assert inner > 0
    # The shell has spoken, and becomes a sleep any time now.
    task_pid = until(lambda: next((pid for pid in descendants(cluster.dev.pid) if is_sleep(pid, b"1022")), None),
                     "the task sleeps")
    freeze(task_pid)
    cluster.stop()
    assert not alive(task_pid)
    task.kill()
    task.communicate()
