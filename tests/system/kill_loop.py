#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill_loop.py N SEED: kill -9 any one process of a cluster, N times at random moments, while wordcount runs over and over.

One at a time: the next kill waits until the daemon that was killed runs again (`corral dev` backs off as a unit would),
whatever it is doing then; a cluster that is never whole would test the patience of its clients only.

The result of every run must be right, nothing may hang, and nothing may be left at the end. The seed chooses the victims
and the moments; it is printed with the last kills when something is wrong."""
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from conftest import TOP, Cluster, alive, descendants, until  # noqa: E402

JOB_S = 240


def victims(cluster):
    """{pid: what it is} of everything that may be killed: daemons, helpers, executors, tasks; never `corral dev`."""
    known = {pid: name for name, (pid, _) in cluster.daemons().items() if pid}
    for pid in descendants(cluster.dev.pid):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0]:
            known.setdefault(pid, b" ".join(words[:3]).decode(errors="replace")[:60])
    return known


def whole(cluster):
    return all(pid and alive(pid) for pid, _ in cluster.daemons().values())


def kill_one(cluster, rng, kind_of):
    """Every kind of process gets its share, however many there are of it; kind_of(pid, what) None: it is left alone. A list of
    what was killed; empty: it had ended by then."""
    groups = {}
    for pid, what in victims(cluster).items():
        groups.setdefault(kind_of(pid, what), []).append((pid, what))
    groups.pop(None, None)
    pid, what = rng.choice(sorted(groups[rng.choice(sorted(groups))]))
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return []
    return [f"{what} ({pid})"]


def kind(what):
    return "task" if what.startswith(("/", "sh")) else what.split()[0]


def descriptors(cluster):
    return {name: len(os.listdir(f"/proc/{pid}/fd")) for name, (pid, _) in cluster.daemons().items()}


class Loop:
    def __init__(self, kills, seed):
        self.cluster = Cluster("--agents", "3", "--masters", "2")
        self.rng = random.Random(seed)
        self.kills, self.done, self.runs = kills, [], 0
        self.job = None

    def start_job(self):
        self.runs += 1
        env = {**self.cluster.env, "CORRAL_DEV_STATE": str(self.cluster.state), "NAME": f"wc{self.runs}", "BYTES_MAX": "4000000",
               "SHARDS": "100"}
        self.log = open(self.cluster.home / f"run{self.runs}.log", "w+")
        self.job = subprocess.Popen([TOP / "examples/wordcount/run"], env=env, stdout=self.log, stderr=subprocess.STDOUT,
                                    start_new_session=True)
        self.started = time.monotonic()

    def check_job(self):
        """True while the job runs; raises if it hangs or its result is wrong."""
        if self.job.poll() is None:
            assert time.monotonic() - self.started < JOB_S, self.tell(f"run {self.runs} hangs")
            return True
        self.log.seek(0)
        text = self.log.read()
        assert self.job.returncode == 0 and "the results are equal" in text, self.tell(f"run {self.runs} failed:\n{text}")
        return False

    def tell(self, what):
        self.log.seek(0)
        return "\n".join((what, f"killed: {self.done[-20:]}", self.log.read()[-3000:], self.cluster.screen()[-3000:],
                          self.cluster.logs()))

    def run(self):
        self.start_job()
        next_kill = time.monotonic() + self.rng.uniform(0.1, 1)
        while len(self.done) < self.kills:
            if not self.check_job():
                self.start_job()
            if time.monotonic() >= next_kill and whole(self.cluster):
                self.done += kill_one(self.cluster, self.rng, lambda _, what: kind(what))
                next_kill = time.monotonic() + self.rng.uniform(0.05, 1.5)
            time.sleep(0.01)
        until(lambda: not self.check_job(), lambda: self.tell("the last run ends"), JOB_S)
        self.check_rest()

    def check_rest(self):
        """After all that, the cluster works, and holds no more than one that was just started."""
        c = self.cluster
        c.leader()
        c.nodes_ready(3)
        c.corral("run", "--cpus", "0.1", "--", "true")
        until(lambda: whole(c), "all daemons run")
        until(lambda: max(descriptors(c).values()) < 120, lambda: f"few descriptors: {descriptors(c)}")
        until(lambda: not [w for w in victims(c).values() if "corral-executor" in w],
              lambda: self.tell(f"no executor is left: {victims(c)}"))
        c.stop()


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    loop = Loop(kills, seed)
    try:
        loop.run()
    except BaseException:
        if loop.job is not None and loop.job.poll() is None:
            os.killpg(loop.job.pid, signal.SIGKILL)
        loop.cluster.kill()
        raise
    print(f"{len(loop.done)} kills during {loop.runs} runs, every result right")


if __name__ == "__main__":
    main()
