# SPDX-License-Identifier: Apache-2.0
"""Tasks where cgroup v2 is all there is: limits that bite, trees that die, nothing left. Run inside the machine."""
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/system"), str(TOP / "tests/lib")]
from conftest import BUILD, DEADLINE_S, processes_naming  # noqa: E402
from corralpb import Schema  # noqa: E402

SCHEMA = Schema(TOP / "proto/corral.proto")
# Prints the named files of the group that it runs in.
SHOW = 'cd "/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)" && head -n 1 "$@"'


@pytest.fixture(autouse=True)
def no_group_is_left():
    yield
    assert list(Path("/sys/fs/cgroup").glob("**/corral*")) == []


def run_task(tmp_path, *argv, **spec):
    """`corral-executor run` of this task to its end."""
    path = tmp_path / "spec"
    path.write_bytes(SCHEMA.encode("TaskSpec", {"argv": list(argv), **spec}))
    return subprocess.run([BUILD / "corral-executor", "run", "--spec", path], capture_output=True, text=True,
                          timeout=2 * DEADLINE_S, stdin=subprocess.DEVNULL)


def test_this_machine_has_cgroup_v2_with_its_controllers_and_no_v1():
    kinds = [line.split()[2] for line in Path("/proc/self/mounts").read_text().splitlines()]
    assert kinds.count("cgroup2") == 1 and "cgroup" not in kinds
    assert {"cpu", "memory", "pids"} <= set(Path("/sys/fs/cgroup/cgroup.controllers").read_text().split())


def test_the_limits_of_a_task_are_those_of_its_group(tmp_path):
    done = run_task(tmp_path, "sh", "-c", SHOW, "sh", "memory.max", "memory.swap.max", "memory.oom.group", "cpu.weight",
                    resources={"cpu_milli": 500, "memory_bytes": 64 << 20})
    assert done.returncode == 0, done.stderr
    values = [line for line in done.stdout.splitlines() if line and not line.startswith("==>")]
    assert values == [str(64 << 20), "0", "1", "50"]
    assert done.stderr == ""  # nothing is missing here


def test_a_task_that_takes_too_much_memory_is_killed_and_told_so(tmp_path):
    done = run_task(tmp_path, *"dd bs=128M count=1 if=/dev/zero of=/dev/null".split(), memory_max_bytes=16 << 20)
    assert done.returncode == 137
    assert "want of memory" in done.stderr and str(16 << 20) in done.stderr


def test_want_of_memory_in_a_child_ends_the_whole_task(tmp_path):
    done = run_task(tmp_path, "sh", "-c", "dd bs=128M count=1 if=/dev/zero of=/dev/null & exec sleep 1101",
                    memory_max_bytes=16 << 20)
    assert done.returncode == 137
    assert "want of memory" in done.stderr
    assert processes_naming("sleep 1101") == []


def test_a_kill_by_its_own_hand_is_not_taken_for_want_of_memory(tmp_path):
    done = run_task(tmp_path, "sh", "-c", "kill -9 $$", memory_max_bytes=64 << 20)
    assert done.returncode == 137
    assert "memory" not in done.stderr


def test_a_tree_that_forks_and_ignores_signals_is_gone_with_its_task(tmp_path):
    tree = "trap '' TERM HUP; for i in 1 2 3 4 5 6 7 8; do (setsid sh -c 'sleep 1102 & sleep 1102' &); done; "
    done = run_task(tmp_path, "sh", "-c", tree + "exit 4")
    assert done.returncode == 4, done.stderr
    assert processes_naming("sleep 1102") == []


def test_a_stop_at_the_time_limit_reaches_the_whole_tree(tmp_path):
    done = run_task(tmp_path, "sh", "-c", "trap '' TERM; (setsid sleep 1103 &); while :; do sleep 0.05; done",
                    runtime_max_ms=500, timeout_stop_ms=200)
    assert done.returncode == 137, done.stderr
    assert processes_naming("sleep 1103") == []
