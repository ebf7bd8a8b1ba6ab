#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""task_storm.py TASKS SECONDS SEED: so many tasks that each append a line to a file, while masters, agents, helpers, executors
and members of the ensemble are killed at random moments, one at a time, for at least so long.

At the end each task has run at least once, more often only with a retry on record, and has ended as its command did; at no
sample did a node run more tasks than it has room for, nor say so; and nothing is left."""
import json
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from conftest import Cluster, alive, descendants, until  # noqa: E402
from kill_loop import kill_one, victims, whole  # noqa: E402

JOB_TASKS_MAX, JOBS_AT_ONCE = 250, 4
SLOTS, CPUS, TASK_CPU = 8, "0.8", "0.1"  # on each node
FAILING = 5  # every so many indexes the command fails
WHOLE_S, REST_S = 120, 300

JOB = """\
[Job]
Count={count}
[Task]
ExecStart=/bin/sh -c 'echo "$CORRAL_JOB $CORRAL_INDEX $CORRAL_ATTEMPT $$" >>{lines}; sleep 0.$((CORRAL_INDEX %% 4)); \
test $((CORRAL_INDEX %% {failing})) != 1 || exit 7'
[Resources]
CPU={cpu}
Memory=8M
"""
SANDBOX = re.compile(rb"(?:^|\0)CORRAL_SANDBOX=([^\0]*)")


def kind(what):
    return "executor" if "corral-executor" in what else what.split()[0].split("-")[0]


def is_task(pid, what):
    """Is it what the storm leaves alone: a task's command, or the init that it dies with? Killed, it ends by that signal."""
    try:
        return what.startswith(("/", "sh", "sleep")) or Path(f"/proc/{pid}/comm").read_text().strip() == "corral-init"
    except OSError:
        return True


class Storm:
    def __init__(self, tasks, seconds, seed):
        self.cluster = Cluster("--servers", "3", "--masters", "2", *(["--agent", f"cpus={CPUS},memory=1G,disk=1G"] * 3))
        self.rng = random.Random(seed)
        self.tasks, self.seconds = tasks, seconds
        self.lines = self.cluster.home / "lines"
        self.lines.touch()
        self.lines.chmod(0o666)
        self.submitted, self.live, self.ended = 0, [], {}
        self.killed, self.most = [], Counter()

    def tell(self, what):
        return "\n".join((what, f"killed: {self.killed[-20:]}", self.cluster.screen()[-3000:], self.cluster.logs()))

    # ---- the work ----

    def submit(self):
        left = self.tasks - self.submitted
        most = min(JOB_TASKS_MAX, self.tasks // JOBS_AT_ONCE)
        count = min(most, left) if left > 0 else most
        name = f"storm-{len(self.live) + len(self.ended)}"
        text = JOB.format(count=count, lines=self.lines, failing=FAILING, cpu=TASK_CPU)
        # A master that dies before it answers may have taken the job: then its name is in use.
        until(lambda: self.cluster.submit(name, text, status=None).returncode == 0 or self.cluster.job(name) is not None,
              lambda: self.tell(f"{name} is taken"), WHOLE_S)
        self.live.append((name, count))
        self.submitted += count

    def look_at_jobs(self):
        for name, count in list(self.live):
            job = self.cluster.job(name)
            if job is not None and job["state"] in ("finished", "failed"):
                self.live.remove((name, count))
                self.ended[name] = count

    # ---- what is looked at while it goes on ----

    def sample(self):
        """The tasks' processes that each node runs now, by their sandboxes; and what the master says of the books."""
        running = {}
        for pid in descendants(self.cluster.dev.pid):
            try:
                if Path(f"/proc/{pid}/comm").read_text().startswith("corral"):
                    continue
                found = SANDBOX.search(Path(f"/proc/{pid}/environ").read_bytes())
            except OSError:
                continue
            if found and alive(pid):
                sandbox = Path(found[1].decode())
                node = next(part for part in sandbox.parts if part in self.cluster.nodes)
                running.setdefault(node, set()).add(sandbox)
        for node, sandboxes in running.items():
            self.most[node] = max(self.most[node], len(sandboxes))
            assert len(sandboxes) <= SLOTS, self.tell(f"{node} has room for {SLOTS} and runs {sorted(sandboxes)}")
        run = self.cluster.corral("nodes", "--json", status=None)
        for n in json.loads(run.stdout)["nodes"] if run.returncode == 0 else []:
            for what, amount in (n.get("used") or {}).items():
                assert int(amount) <= int(n["capacity"][what]), self.tell(f"over-committed: {n}")

    def run(self):
        end, next_kill = time.monotonic() + self.seconds, time.monotonic() + 1
        while time.monotonic() < end or self.submitted < self.tasks:
            self.look_at_jobs()
            if len(self.live) < JOBS_AT_ONCE:
                self.submit()
            self.sample()
            if time.monotonic() >= next_kill and whole(self.cluster):
                self.killed += kill_one(self.cluster, self.rng, lambda pid, what: None if is_task(pid, what) else kind(what))
                next_kill = time.monotonic() + self.rng.uniform(0.05, 2)
            time.sleep(0.05)
        while self.live:
            name = self.live[0][0]
            until(lambda: self.look_at_jobs() or self.live[:1] != [(name, self.live and self.live[0][1])],
                  lambda: self.tell(f"{name} ends: {self.cluster.job(name)}\n{self.cluster.corral('ps', name).stdout[-2000:]}"),
                  REST_S)
        self.check_outcomes()
        self.check_rest()

    # ---- the end ----

    def check_outcomes(self):
        ran = Counter()
        for line in self.lines.read_text().splitlines():
            job, index, *_ = line.split()
            ran[job, int(index)] += 1
        retries = 0
        for name, count in self.ended.items():
            tasks = self.cluster.json("ps", name)["tasks"]
            assert sorted(t["index"] for t in tasks) == list(range(count)), self.tell(f"{name}: not each task is listed")
            for t in tasks:
                times, more = ran.pop((name, t["index"]), 0), t.get("retries", 0)
                retries += more
                assert times >= 1, self.tell(f"never ran, and is over: {t}")
                assert times <= 1 + more, self.tell(f"ran {times} times: {t}")
                status = 7 if t["index"] % FAILING == 1 else 0
                assert (t["state"], t.get("exit_code", 0)) == ("failed" if status else "finished", status), self.tell(str(t))
        assert not ran, self.tell(f"nobody asked for these: {ran}")
        self.retries = retries

    def check_rest(self):
        c = self.cluster
        c.leader()
        c.nodes_ready(3)
        until(lambda: not [w for w in victims(c).values() if "corral-executor" in w], lambda: self.tell("no executor is left"))
        until(lambda: all(n.get("tasks", 0) == 0 for n in c.json("nodes")["nodes"]), lambda: self.tell("no task is booked"))
        c.stop()


def main():
    tasks, seconds = (int(word) for word in sys.argv[1:3])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    storm = Storm(tasks, seconds, seed)
    try:
        storm.run()
    except BaseException:
        storm.cluster.kill()
        raise
    kinds = Counter(kind(what) for what in storm.killed)
    print(f"{sum(storm.ended.values())} tasks, {storm.retries} retries, {len(storm.killed)} kills {dict(kinds)}, "
          f"at most {dict(storm.most)} at once on a node: every task ran, ended as it should")


if __name__ == "__main__":
    main()
