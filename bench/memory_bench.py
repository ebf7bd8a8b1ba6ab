#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""memory_bench.py: what the cluster's daemons keep in memory that is theirs and no file's (Pss_Anon of /proc/PID/smaps_rollup:
what a fork shares is counted once): an executor with its task's init, an agent and its helper with 100 tasks that sleep, a
master with 1,000 agents of bench/fleet and 10,000 tasks that run. Exit status 1 if one is larger than it may be."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/lib"))
import fleet_bench  # noqa: E402
from processes import descendants, memory_bytes  # noqa: E402
from waiting import BUILD, until  # noqa: E402

TASKS = 100
MIB = 1 << 20
EXECUTOR_MAX, AGENT_MAX, MASTER_MAX = 2 * MIB, 8 * MIB, 64 * MIB
AGENTS, FLEET_TASKS = 1000, 10000


def own(pid):
    return memory_bytes(pid, "Pss_Anon")


class Dev:
    """`corral dev` with one node, in a directory of its own."""

    def __init__(self, home):
        self.state = home / "state"
        self.env = os.environ | {"TMPDIR": str(home), "HOME": str(home), "CORRAL_CONFIG_DIR": str(self.state),
                                 "PATH": f"{BUILD}:{os.environ['PATH']}"}
        self.log = (home / "screen").open("w+")
        self.process = subprocess.Popen([BUILD / "corral", "dev", "--state", self.state], env=self.env, stdout=self.log,
                                        stderr=subprocess.STDOUT)
        until(lambda: "Ready in" in (home / "screen").read_text(), "corral dev is ready")

    def corral(self, *words):
        return subprocess.run([BUILD / "corral", *words], env=self.env, capture_output=True, text=True, check=True).stdout

    def pids(self, program):
        """Of the processes of this program below `corral dev`, which adopts what its daemons leave."""
        found = []
        for pid in descendants(self.process.pid):
            try:
                if Path(f"/proc/{pid}/comm").read_text().strip() == program:
                    found.append(pid)
            except OSError:
                pass  # it has ended meanwhile
        return found

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def executor_and_agent(home):
    job = home / "sleepers.job"
    job.write_text(f"[Job]\nCount={TASKS}\n[Task]\nExecStart=/bin/sleep 600\n[Resources]\nCPU=0.01\nMemory=4M\n")
    dev = Dev(home)
    try:
        dev.corral("submit", job)
        until(lambda: len(dev.pids("sleep")) == TASKS, f"{TASKS} tasks run")
        executors = dev.pids("corral-executor") + dev.pids("corral-init")
        assert len(executors) >= TASKS, executors
        yield "an executor, with the init of its task", sum(map(own, executors)) / TASKS, EXECUTOR_MAX
        for name, what in (("corral-agent", "agent"), ("corral-helper", "agent's helper")):
            [pid] = dev.pids(name)
            yield f"an {what} with {TASKS} tasks", own(pid), AGENT_MAX
    finally:
        dev.stop()


def master(home):
    cluster = fleet_bench.Cluster(home, 1, fleet_bench.SESSION_S)
    words = ["--agents", str(AGENTS), "--tasks", "0", "--hold", str(FLEET_TASKS)]
    try:
        bench = fleet_bench.Bench(cluster, words)
        with subprocess.Popen(bench.words, stdout=subprocess.PIPE, text=True) as fleet:
            assert any(line.startswith("holding") for line in fleet.stdout)
            yield f"a master with {AGENTS} agents and {FLEET_TASKS} tasks", own(bench.pid), MASTER_MAX
            fleet.kill()
    finally:
        cluster.stop()


def main():
    good = True
    for measure in (executor_and_agent, master):
        home = Path(tempfile.mkdtemp(prefix="memory.", dir="/var/tmp"))
        home.chmod(0o755)
        try:
            for what, size, most in measure(home):
                print(f"{what:<52} {size / MIB:6.2f} MiB, at most {most / MIB:.0f}", flush=True)
                good = good and size <= most
        finally:
            shutil.rmtree(home)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
