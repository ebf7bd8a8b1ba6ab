# SPDX-License-Identifier: Apache-2.0
"""Masters and agents of Corral on an ensemble that somebody else runs: each a real process, restarted only by the test."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from servers import BUILD, STOP_SECONDS, free_port, wait_until

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/lib"))
from processes import cgroups, processes_naming  # noqa: E402

NAME = "compat"
SECONDS = 60
PROGRAMS = {"master": "corral-master", "agent": "corral-agent"}


class Keys:
    """The cluster's CA, and what it signed."""

    def __init__(self, path):
        self.path, self.ca = path, path / "ca.pem"
        self.corral_tls("init", "--cluster", NAME)

    def corral_tls(self, *words):
        subprocess.run([BUILD / "corral", "tls", "--dir", self.path, *words], check=True, capture_output=True, timeout=SECONDS)

    def issue(self, role, name):
        """(certificate, key)"""
        self.corral_tls("issue", role, name, "--ip", "127.0.0.1", "--dns", "localhost")
        return self.path / f"{role}-{name}.pem", self.path / f"{role}-{name}-key.pem"

    def store(self, role, name):
        """Both in one file, the form that Apache's PEM stores have."""
        both = self.path / f"{role}-{name}-store.pem"
        both.touch(0o600)
        both.write_text("".join(path.read_text() for path in reversed(self.issue(role, name))))
        return both


class Daemon:
    def __init__(self, cluster, kind, name, settings):
        self.kind, self.name, self.process = kind, name, None
        self.conf, self.log_path = cluster.home / f"{name}.conf", cluster.home / f"{name}.log"
        self.state = cluster.home / name
        self.conf.write_text(cluster.common(*cluster.keys.issue(kind, name)) + "\n".join([f"[{kind}]", *settings, ""]))

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BUILD / PROGRAMS[self.kind], "run", "--config", self.conf], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=self.conf.parent)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def log(self):
        return self.log_path.read_text(errors="replace")


class Cluster:
    """Two masters and two agents, which find the masters through the ensemble."""

    def __init__(self, keys, hosts, tls):
        self.keys, self.hosts, self.tls = keys, hosts, tls
        self.home = Path(tempfile.mkdtemp(prefix="cct.", dir="/tmp"))
        self.home.chmod(0o755)
        self.addresses = {}
        self.daemons = {}
        for name in ("m1", "m2"):
            self.addresses[name] = f"127.0.0.1:{free_port()}"
            self.add("master", name, f"listen={self.addresses[name]}", "agent_listen=127.0.0.1:0", "heartbeat=1s", "lease=5s",
                     "unreachable_after=10s")
        for name in ("n1", "n2"):
            self.add("agent", name, "executor_listen=127.0.0.1:0", "cpus=1", "memory=1G", "disk=10G",
                     f"executor={BUILD}/corral-executor", *(["user=root", "default_user=root"] if os.geteuid() == 0 else []))
        operator = self.common(*keys.issue("operator", "tester"))
        (self.home / "corral.conf").write_text(f"{operator}[client]\nmaster={','.join(self.addresses.values())}\n")
        self.env = {**os.environ, "CORRAL_CONFIG_DIR": str(self.home)}

    def common(self, cert, key):
        return "\n".join([
            "[cluster]", f"name={NAME}", f"ensemble={self.hosts}", f"ensemble_tls={'yes' if self.tls else 'no'}",
            "session_timeout=2s", "[tls]", f"ca={self.keys.ca}", f"cert={cert}", f"key={key}", ""])

    def add(self, kind, name, *settings):
        self.daemons[name] = Daemon(self, kind, name, [f"name={name}", f"state_dir={self.home}/{name}", *settings])

    def start(self):
        for daemon in self.daemons.values():
            daemon.start()
        self.nodes_ready()
        return self

    def until(self, condition, what, seconds=SECONDS):
        """As wait_until(); the daemons' logs are shown when the time is over."""
        try:
            return wait_until(condition, seconds, what)
        except AssertionError as e:
            logs = "\n".join(f"== {d.name}\n{d.log()[-3000:]}" for d in self.daemons.values())
            raise AssertionError(f"{e}\n{logs}") from e

    def corral(self, *words, status=0, program="corral", data=None):
        run = subprocess.run([BUILD / program, *words], env=self.env, cwd=self.home, capture_output=True, text=True, input=data,
                             timeout=SECONDS, check=False)
        assert status is None or run.returncode == status, (words, run)
        return run

    def ask(self, *words):
        """What a command says in JSON; {} while nobody answers."""
        run = self.corral(*words, "--json", status=None)
        return json.loads(run.stdout) if run.returncode == 0 else {}

    def leader(self, other_than=None):
        """The leading master; waits for one."""
        def look():
            address = self.ask("status").get("leader")
            return next((self.daemons[n] for n, a in self.addresses.items() if a == address and n != other_than), None)
        return self.until(look, f"a master {'' if other_than is None else f'other than {other_than} '}leads")

    def nodes_ready(self):
        self.until(lambda: [n["state"] for n in self.ask("nodes").get("nodes", [])] == ["ready"] * 2, "both nodes are ready")

    def submit(self, name, text):
        """As its user would: a leader that ended meanwhile says 75, and may have taken the job or not."""
        def taken():
            return self.corral("submit", "--name", name, "-", data=text, status=None)
        run = taken()
        while run.returncode == 75:
            self.leader()
            if self.job_state(name) is not None:
                return
            run = taken()
        assert run.returncode == 0, (name, run)

    def tasks(self, job):
        return self.ask("ps", job).get("tasks", [])

    def running(self, job, count):
        self.until(lambda: [t["state"] for t in self.tasks(job)].count("running") == count, f"{count} tasks of {job} run")

    def job_state(self, name):
        return next((j["state"] for j in self.ask("jobs").get("jobs", []) if j["name"] == name), None)

    def wait_job(self, name, state):
        self.until(lambda: self.job_state(name) == state, f"{name} is {state}")

    def stop(self):
        """Agents and masters end as their units would end them; then nothing runs that is ours."""
        try:
            for daemon in reversed(self.daemons.values()):
                daemon.process.send_signal(signal.SIGTERM)
                status = daemon.process.wait(STOP_SECONDS)
                assert status == 0, (daemon.name, status, daemon.log()[-3000:])
            self.until(lambda: not processes_naming(str(self.home)), "executors end with their tasks")
        finally:
            self.remove()

    def remove(self):
        for daemon in self.daemons.values():
            if daemon.process is not None and daemon.process.poll() is None:
                daemon.kill()
        for pid, _ in processes_naming(str(self.home)):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not processes_naming(str(self.home)), SECONDS, "what was killed is gone")
        for group in cgroups(self.home, [d.name for d in self.daemons.values() if d.kind == "agent"]):
            for path, _, _ in os.walk(group, topdown=False):
                os.rmdir(path)
        shutil.rmtree(self.home)
