# SPDX-License-Identifier: Apache-2.0
"""A cluster of real processes for system tests: `corral dev` in a directory of its own, and a look at what it leaves."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/lib"))
from processes import alive, cgroups, descendants, processes_naming  # noqa: E402,F401
from waiting import BUILD, DEADLINE_S, SLOW, until  # noqa: E402,F401


class Cluster:
    """`corral dev` with these options, until stop()."""

    alive = []

    def __init__(self, *options, state=None):
        self.home = Path(tempfile.mkdtemp(prefix="cst.", dir="/tmp"))
        self.home.chmod(0o755)
        options = [*options, "--state", str(state)] if state else options
        Cluster.alive.append(self)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("CORRAL_", "XDG_"))}
        self.env |= {"TMPDIR": str(self.home), "HOME": str(self.home), "PATH": f"{BUILD}:{os.environ['PATH']}"}
        self.lines = []
        self.dev = subprocess.Popen([BUILD / "corral", "dev", *options], env=self.env, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.reader = threading.Thread(
            target=lambda: self.lines.extend(iter(self.dev.stdout.readline, "")), daemon=True)
        self.reader.start()
        try:
            until(lambda: self.said("Ready in") or self.dev.poll() is not None, lambda: "ready:\n" + self.screen())
            assert self.dev.poll() is None, self.screen()
        except AssertionError:
            self.kill()
            raise
        self.state = state or next(self.home.glob("corral-dev.*"))
        self.tls = self.state / "tls"
        self.nodes = list(self.daemons("agent"))
        self.env["CORRAL_CONFIG_DIR"] = str(self.state)

    def screen(self):
        return "".join(self.lines)

    def said(self, text):
        return any(text in line for line in self.lines)

    def corral(self, *words, status=0, input=None, timeout=DEADLINE_S, env=None, program="corral"):
        """Run a command line to its end; any other status than `status` fails (None: all are fine)."""
        run = subprocess.run([BUILD / program, *words], env={**self.env, **(env or {})}, capture_output=True,
                             text=not isinstance(input, bytes), input=input, timeout=timeout,
                             stdin=subprocess.DEVNULL if input is None else None)
        assert status is None or run.returncode == status, (words, run.returncode, run.stdout[-2000:], run.stderr[-2000:])
        return run

    def issue(self, role, name, *more):
        """One more certificate of the cluster's CA."""
        self.corral("tls", "issue", "--dir", self.tls, role, name, *more)

    def certificate(self, who):
        """The options for a holder's certificate: operator, user-NAME, master-1 ..."""
        return ["--ca", self.tls / "ca.pem", "--cert", self.tls / f"{who}.pem", "--key", self.tls / f"{who}-key.pem"]

    def zk_as(self, who, *words, status=0):
        """The ensemble, asked with somebody's certificate."""
        hosts = re.search(r"^ensemble=(\S+)$", (self.state / "corral.conf").read_text(), re.M)[1]
        return self.corral(*self.certificate(who), "--hosts", hosts, *words, program="zk", status=status)

    def json(self, *words):
        """What a command says; asked again while no master leads, which may be so for a moment on a busy machine."""
        def ask():
            run = self.corral(*words, "--json", status=None)
            return run if run.returncode != os.EX_TEMPFAIL else None
        run = until(ask, lambda: f"an answer to {words}\n{self.screen()}")
        assert run.returncode == 0, (words, run)
        return json.loads(run.stdout)

    def start(self, *words, **more):
        """Start a command line and leave it running."""
        return subprocess.Popen([BUILD / "corral", *words], env=self.env, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def daemons(self, kind=None):
        """{name: (pid, address)} of the cluster's daemons."""
        rows = [line.split() for line in (self.state / "daemons").read_text().splitlines()]
        return {name: (int(pid), address) for name, k, pid, address in rows if kind in (None, k)}

    def leader(self):
        """The name of the leading master; waits for one."""
        def ask():
            run = self.corral("status", "--json", status=None)
            return json.loads(run.stdout).get("leader") if run.returncode == 0 else None
        address = until(ask, "a leader")
        return next(name for name, (_, a) in self.daemons("master").items() if a == address)

    def kill_daemon(self, name, signo=signal.SIGKILL):
        """End it, by kill -9 as a rule, and wait until it is back."""
        pid = self.daemons()[name][0]
        os.kill(pid, signo)
        until(lambda: self.daemons()[name][0] not in (0, pid), lambda: f"{name} is back\n{self.screen()}")

    def nodes_ready(self, count):
        def ask():
            run = self.corral("nodes", "--json", status=None)
            nodes = json.loads(run.stdout)["nodes"] if run.returncode == 0 else []
            return sum(n["state"] == "ready" for n in nodes) == count
        until(ask, lambda: f"{count} nodes are ready\n{self.screen()}")

    def submit(self, name, text, status=0):
        path = self.home / f"{name}.job"
        path.write_text(text)
        return self.corral("submit", str(path), status=status)

    def job(self, name):
        run = self.corral("jobs", "--json", status=None)
        jobs = json.loads(run.stdout).get("jobs", []) if run.returncode == 0 else []
        return next((j for j in jobs if j["name"] == name), None)

    def wait_job(self, name, state, seconds=2 * DEADLINE_S):
        until(lambda: (self.job(name) or {}).get("state") == state,
              lambda: f"{name} is {state}: {self.job(name)}\n{self.corral('ps', name, status=None).stdout}", seconds)

    def log_of(self, name):
        return (self.state / f"{name}.log").read_text(errors="replace")

    def logs(self):
        return "\n".join(f"== {p.name}\n{p.read_text(errors='replace')[-3000:]}" for p in self.state.glob("*.log"))

    def kill(self):
        if self in Cluster.alive:
            Cluster.alive.remove(self)
        if self.dev.poll() is None:
            self.dev.kill()
        self.dev.wait(timeout=10)
        self.reader.join(timeout=10)
        for pid, _ in processes_naming(str(self.home)):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)

    def stop(self):
        """Ctrl-C; then nothing may be left: processes, mounts, control groups, files."""
        try:
            if self.dev.poll() is None:
                self.dev.send_signal(signal.SIGINT)
            try:
                status = self.dev.wait(timeout=DEADLINE_S)
            except subprocess.TimeoutExpired:
                # What it waits for is gone after kill(): say it here.
                where = Path(f"/proc/{self.dev.pid}/wchan").read_text()
                left = [(pid, line, Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1][:3])
                        for pid, line in processes_naming(str(self.state)) if alive(pid)]
                raise AssertionError(f"corral dev does not stop, waits in {where}; left: {left}\n"
                                     f"{self.screen()[-2000:]}") from None
            self.reader.join(timeout=10)
            assert status == 0, self.screen()
            left = processes_naming(str(self.state))
            assert left == []
            assert str(self.home) not in Path("/proc/self/mounts").read_text()
            assert list(self.home.glob("corral-dev*")) == []
            assert cgroups(self.state, self.nodes) == []
        finally:
            self.kill()


@pytest.fixture(scope="module")
def cluster():
    """One node, one master; shared by the tests of a file."""
    c = Cluster()
    yield c
    c.stop()


@pytest.fixture(scope="module")
def wide_cluster():
    """Three nodes, two masters; shared by the tests of a file."""
    c = Cluster("--agents", "3", "--masters", "2")
    yield c
    c.stop()


@pytest.fixture
def home():
    """A directory that every account may enter. Those below pytest's own are not: each session of pytest closes them anew."""
    with tempfile.TemporaryDirectory(prefix="cst.", dir="/tmp") as path:  # short: sockets lie in it
        os.chmod(path, 0o755)
        yield Path(path)


@pytest.fixture(autouse=True)
def no_cluster_outlives_its_test(request):
    """A test that fails leaves its own cluster to us; those of modules have their fixtures."""
    before = list(Cluster.alive)
    yield
    shared = [request.node.funcargs.get(name) for name in ("cluster", "wide_cluster")]
    for c in [c for c in Cluster.alive if c not in before and c not in shared]:
        c.kill()


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the long forms of tests")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: runs with --long only")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        items[:] = [item for item in items if item.get_closest_marker("long") is None]
