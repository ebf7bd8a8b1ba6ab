#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""fleet_bench.py [--agents N] [--tasks N] [--rate N] ...: a real master, or two, under the load of bench/fleet, which plays all
agents of a cluster in one process over mutual TLS; outcomes go to a real zkserver, which syncs them before they are
acknowledged. Prints how many tasks a second went through, how long it took until they were placed, what that cost the master,
what it keeps in memory for each agent and each task, and how soon another master has them all again when it is killed. With
--mark N it is killed, besides, when N outcomes are acknowledged; then --masters must be 3.

The load program takes as much of the machine as the master does: rates are those of all three together, the rest is the
master's alone."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/lib"))
from processes import cpu_s, memory_bytes, resident  # noqa: E402
from waiting import BUILD, program, until  # noqa: E402

WAIT_S = 60
CLUSTER = "fleet"
SESSION_S, LIMIT_S = 10, 3600
FLEET_SESSION_S = 20  # it is one process, and busy while thousands of agents shake hands


def private(pid):
    return memory_bytes(pid, "Private_Clean", "Private_Dirty")


class Cluster:
    """A zkserver and masters in a directory, with certificates for all."""

    def __init__(self, home, masters, session_s):
        self.home, self.tls, self.session_s = home, home / "tls", session_s
        self.processes = {}
        self.run("corral", "tls", "init", "--dir", self.tls, "--cluster", CLUSTER)
        for role, name in [("zkserver", "zk"), ("operator", "op")] + [("master", f"m{n}") for n in range(masters)]:
            self.run("corral", "tls", "issue", "--dir", self.tls, role, name, "--ip", "127.0.0.1")
        store = self.tls / "store.pem"
        store.touch(0o600)
        store.write_bytes(b"".join((self.tls / f"zkserver-zk{part}.pem").read_bytes() for part in ("", "-key")))
        self.start_zkserver()
        for n in range(masters):
            self.start_master(f"m{n}")

    def run(self, name, *words):
        done = subprocess.run([program(name), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done

    def start(self, name, *words):
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(words, stderr=log, stdout=log)

    def log(self, name):
        return (self.home / f"{name}.log").read_text(errors="replace")

    def start_zkserver(self):
        config = self.home / "zoo.cfg"
        config.write_text(
            f"tickTime=1000\ndataDir={self.home}/zk\nclientPort=0\nclientPortAddress=127.0.0.1\nsecureClientPort=0\n"
            "admin.enableServer=false\nautopurge.purgeInterval=1\n"
            f"secureClientPortAddress=127.0.0.1\nssl.keyStore.location={self.tls}/store.pem\n"
            f"ssl.trustStore.location={self.tls}/ca.pem\n")
        self.start("zkserver", program("zkserver"), "run", "--config", config)
        ports = self.home / "zk/ports"
        until(lambda: ports.exists() and "secure" in ports.read_text(), lambda: f"zkserver is ready:\n{self.log('zkserver')}",
              WAIT_S)
        self.ensemble = "127.0.0.1:" + re.search(r"secure\S* (\d+)", ports.read_text())[1]

    def config(self, name, more, session_s=None):
        path = self.home / f"{name}.conf"
        path.write_text(f"[cluster]\nname={CLUSTER}\nensemble={self.ensemble}\nsession_timeout={session_s or self.session_s}s\n"
                        f"[tls]\nca={self.tls}/ca.pem\n{more}")
        return path

    def start_master(self, name):
        state = self.home / name
        path = self.config(name, f"cert={self.tls}/master-{name}.pem\nkey={self.tls}/master-{name}-key.pem\n[master]\n"
                           f"name={name}\nlisten=127.0.0.1:0\nagent_listen=127.0.0.1:0\nstate_dir={state}\n")
        self.start(name, program("corral-master"), "run", "--config", path)
        until(lambda: (state / "ports").exists() and "session 0x" in self.log(name), f"{name} is ready", WAIT_S)

    def masters(self):
        return [n for n in self.processes if n.startswith("m")]

    def address(self, name):
        return "127.0.0.1:" + (self.home / name / "ports").read_text().split()[1]

    def leaders(self):
        return [n for n in self.masters() if self.processes[n].poll() is None and "leading: term" in self.log(n)]

    def leader(self):
        """The one of those that live that leads; of those that once did none goes on living here."""
        return until(self.leaders, "one leads", WAIT_S)[0]

    def kill_leader(self):
        process = self.processes[self.leader()]
        process.kill()
        process.wait(30)

    def pid(self, name):
        return self.processes[name].pid

    def stop(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait(30)


class Bench:
    def __init__(self, cluster, words, limit_s=LIMIT_S):
        self.cluster, self.limit_s = cluster, limit_s
        pair = f"cert={cluster.tls}/operator-op.pem\nkey={cluster.tls}/operator-op-key.pem\n"
        addresses = ",".join(map(cluster.address, cluster.masters()))
        config = cluster.config("fleet", f"{pair}[client]\nmaster={addresses}\n{pair}", session_s=FLEET_SESSION_S)
        self.words = [BUILD / "bench/fleet", "--config", config, "--tls", cluster.tls, *words]
        self.figures = []
        self.pid = cluster.pid(cluster.leader())

    def note(self, what, text):
        self.figures.append((what, text))

    def sample(self):
        pids = {"master": self.pid, "zkserver": self.cluster.pid("zkserver"), "fleet": self.fleet.pid}
        return {name: cpu_s(pid) for name, pid in pids.items()}, resident(self.pid)

    def run(self):
        """Until the fleet has ended; its lines are printed, and those with figures noted."""
        self.cpu, self.rss = {}, resident(self.pid)
        with subprocess.Popen(self.words, stdout=subprocess.PIPE, text=True) as self.fleet:
            limit = threading.Timer(self.limit_s, self.fleet.kill)
            limit.start()
            for line in self.fleet.stdout:
                self.take(line)
            limit.cancel()
        assert self.fleet.returncode == 0, f"fleet: {self.fleet.returncode}"
        self.note("load of the machine meanwhile", f"{os.getloadavg()[1]:.1f} on {os.cpu_count()} processors")
        print()
        for what, text in self.figures:
            print(f"{what:<56} {text}")

    def take(self, line):
        print(line, end="", flush=True)
        word, _, rest = line.partition(" ")
        note = getattr(self, "on_" + word, None)
        if note is not None:
            note({k: float(v) for k, v in re.findall(r"(\w+)=([\d.]+)", rest)})

    def on_registered(self, v):
        self.cpu, rss = self.sample()
        self.note("agents registered", f"{v['agents']:.0f} in {v['seconds']:.1f} s")
        self.note("CPU of the master for a registration", f"{self.cpu['master'] / v['agents'] * 1e3:.2f} ms")
        self.note("memory of the master for an agent", f"{(rss - self.rss) / v['agents'] / 1024:.1f} KiB")
        self.note("private memory of the master with these", f"{private(self.pid) / 2**20:.1f} MiB")
        self.rss = rss

    def on_marked(self, v):
        self.cluster.kill_leader()
        self.pid = self.cluster.pid(self.cluster.leader())
        self.cpu = {}  # there is no telling what the first one had used

    def on_back(self, v):
        self.note("leader killed under load, all agents there again", f"{v['seconds']:.1f} s")

    def on_ran(self, v):
        cpu, rss = self.sample()
        used = {name: cpu[name] - self.cpu[name] for name in self.cpu}
        self.note("tasks submitted, started, finished", f"{v['tasks']:.0f} in {v['seconds']:.1f} s")
        self.note("tasks a second", f"{v['tasks'] / v['seconds']:.0f}")
        for name in used:
            self.note(f"CPU of {name} for a task", f"{used[name] / v['tasks'] * 1e6:.1f} us")
        self.note("memory of the master for a task that is over", f"{(rss - self.rss) / v['tasks']:.0f} bytes")
        self.rss = rss

    def on_delays(self, v):
        self.note("from submission to placed, p50, p99, worst",
                  f"{v['placed_p50_ms']:.0f}, {v['placed_p99_ms']:.0f}, {v['placed_max_ms']:.0f} ms")
        self.note("from an outcome to its acknowledgement, p50, p99",
                  f"{v['committed_p50_ms']:.0f}, {v['committed_p99_ms']:.0f} ms")
        self.note("from a job's submission to its answer, p50, p99",
                  f"{v['accepted_p50_ms']:.0f}, {v['accepted_p99_ms']:.0f} ms")

    def on_holding(self, v):
        rss = resident(self.pid)
        self.note("memory of the master for a running task", f"{(rss - self.rss) / v['tasks']:.0f} bytes")
        self.note("private memory of the master with agents and tasks", f"{private(self.pid) / 2**20:.1f} MiB")
        self.cluster.kill_leader()

    def on_again(self, v):
        self.note("leader killed, all agents and their tasks there again", f"{v['seconds']:.1f} s")

    def on_counted(self, v):
        self.note("over-committed, launched twice, leases ended, resent",
                  ", ".join(f"{v[k]:.0f}" for k in ("overcommitted", "relaunched", "leases_ended", "repeated")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masters", type=int, default=2)
    parser.add_argument("--session", type=int, default=SESSION_S, metavar="SECONDS", help="of the masters with the ensemble")
    parser.add_argument("--limit", type=int, default=LIMIT_S, metavar="SECONDS", help="then the fleet is ended")
    parser.add_argument("--keep", action="store_true", help="leave the logs, and say where")
    options, words = parser.parse_known_args()
    home = Path(tempfile.mkdtemp(prefix="fleet.", dir=os.environ.get("FLEET_DIR", "/var/tmp")))
    cluster = None
    try:
        cluster = Cluster(home, options.masters, options.session)
        Bench(cluster, words, options.limit).run()
    finally:
        if cluster is not None:
            cluster.stop()
        if options.keep:
            print(f"logs: {home}")
        else:
            shutil.rmtree(home)


if __name__ == "__main__":
    sys.exit(main())
