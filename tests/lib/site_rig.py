# SPDX-License-Identifier: Apache-2.0
"""A cluster whose daemons live on the hosts of a Network: the ensemble's server on host 1, masters there or each on a host of
its own, an agent on each other one. Each is a real process, started again only by the test. Needs root."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from network import Network
from processes import cgroups, processes_naming
from waiting import BUILD, SLOW, until

NAME = "site"
PROGRAMS = {"zkserver": "zkserver/zkserver", "master": "corral-master", "agent": "corral-agent"}
SECONDS = 60 * SLOW
SERVER = 1  # the host of zkserver, and of masters that are not apart


class Daemon:
    def __init__(self, site, kind, name, host, config, weak, words):
        self.site, self.kind, self.name, self.host, self.process = site, kind, name, host, None
        self.config, self.log_path = site.home / f"{name}.conf", site.home / f"{name}.log"
        self.config.write_text(config)
        self.words = [BUILD / PROGRAMS[kind], "run", "--config", self.config, *words]
        if weak:
            state = site.home / name
            state.mkdir()
            for path in [state, *site.tls.glob(f"{kind}-{name}-key.pem")]:
                shutil.chown(path, "nobody")
            self.words = ["setpriv", "--reuid=nobody", "--clear-groups", *self.words]

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.site.network.enter(self.host, *self.words),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.site.home)

    def signal(self, signo):
        os.kill(self.process.pid, signo)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


class Site:
    """nodes: {name: attributes}, each on a host of its own from 2 on; those in `weak` have agents without root's rights.
    lease: as corral.conf(5) has it; agent_words: to each agent's command line; agent_lines: {name: more settings}."""

    def __init__(self, nodes, masters=1, lease="2s", weak=(), apart=False, agent_words=(), agent_lines=None):
        self.home = Path(tempfile.mkdtemp(prefix="cst.", dir="/tmp"))
        self.home.chmod(0o755)
        self.nodes = list(nodes)
        self.tls = self.home / "tls"
        self.corral_tls("init", "--cluster", NAME)
        server = Network.address(SERVER)
        hosts = [SERVER + 1 + n if apart else SERVER for n in range(masters)]
        self.masters = [f"{Network.address(host)}:{5050 + n}" for n, host in enumerate(hosts)]
        self.daemons = {}
        (self.home / "zk").mkdir()
        self.add("zkserver", "zk", SERVER, f"tickTime=500\ndataDir={self.home}/zk\nclientPort=2181\nclientPortAddress={server}\n"
                 "admin.enableServer=false\npreAllocSize=1024\n")
        for n, host in enumerate(hosts):
            self.add("master", f"m{n + 1}", host, self.settings(
                "master", f"m{n + 1}", f"listen={self.masters[n]}", f"agent_listen={self.agents_door(n)}", "socket=",
                f"lease={lease}"))
        for n, (name, attributes) in enumerate(nodes.items()):
            self.add("agent", name, max(hosts) + 1 + n, self.settings(
                "agent", name, "executor_listen=127.0.0.1:0", "cpus=1", "memory=1G", "disk=10G",
                f"user={'nobody' if name in weak else 'root'}", "default_user=root", *(["helper="] if name in weak else []),
                f"executor={BUILD}/corral-executor", f"attributes={attributes}", *(agent_lines or {}).get(name, ())),
                weak=name in weak, words=agent_words)
        (self.home / "corral.conf").write_text(
            self.common(self.issue("operator", "tester")) + f"[client]\nmaster={','.join(self.masters)}\n")
        self.network = Network(max(hosts) + len(nodes))

    def corral_tls(self, *words):
        subprocess.run([BUILD / "corral", "tls", "--dir", self.tls, *words], check=True, capture_output=True, timeout=SECONDS)

    def issue(self, role, name):
        addresses = {m.partition(":")[0] for m in self.masters} | {Network.address(SERVER)}
        self.corral_tls("issue", role, name, *[word for a in sorted(addresses) for word in ("--ip", a)])
        return self.tls / f"{role}-{name}.pem", self.tls / f"{role}-{name}-key.pem"

    def common(self, pair):
        return "\n".join([
            "[cluster]", f"name={NAME}", f"ensemble={Network.address(SERVER)}:2181", "ensemble_tls=no", "session_timeout=2s",
            "[tls]", f"ca={self.tls}/ca.pem", f"cert={pair[0]}", f"key={pair[1]}", ""])

    def settings(self, kind, name, *lines):
        return self.common(self.issue(kind, name)) + "\n".join([
            f"[{kind}]", f"name={name}", f"state_dir={self.home}/{name}", *lines, ""])

    def add(self, kind, name, host, config, weak=False, words=()):
        self.daemons[name] = Daemon(self, kind, name, host, config, weak, words)

    def agents_door(self, n):
        """Where agents find that master."""
        return f"{self.masters[n].partition(':')[0]}:{5060 + n}"

    def host(self, node):
        return self.daemons[node].host

    def until(self, condition, what, seconds=SECONDS):
        """Its first true value; the daemons' logs are shown when the time is over."""
        return until(condition, lambda: "\n".join([what() if callable(what) else what] + [
            f"== {d.name}\n{d.log()[-3000:]}" for d in self.daemons.values()]), seconds)

    def start(self):
        for daemon in self.daemons.values():
            daemon.start()
        self.nodes_ready()
        return self

    def corral(self, *words, status=0, data=None):
        """From host 0, which is never cut off."""
        run = subprocess.run(self.network.enter(0, BUILD / "corral", *words), capture_output=True, text=True, input=data,
                             env={**os.environ, "CORRAL_CONFIG_DIR": str(self.home)}, cwd=self.home, timeout=SECONDS, check=False)
        assert status is None or run.returncode == status, (words, run)
        return run

    def start_corral(self, *words):
        """The same, and leave it running."""
        return subprocess.Popen(self.network.enter(0, BUILD / "corral", *words), stdout=subprocess.DEVNULL,
                                env={**os.environ, "CORRAL_CONFIG_DIR": str(self.home)}, cwd=self.home)

    def ask(self, *words):
        """What a command says in JSON; {} while nobody answers."""
        run = self.corral(*words, "--json", status=None)
        return json.loads(run.stdout) if run.returncode == 0 else {}

    def node_states(self):
        return {n["name"]: n["state"] for n in self.ask("nodes").get("nodes", [])}

    def nodes_ready(self, names=None):
        self.until(lambda: all(self.node_states().get(n) == "ready" for n in names or self.nodes),
                   lambda: f"nodes are ready: {self.node_states()}")

    def address(self, master):
        """Where clients find a master."""
        return self.masters[int(master.name[1:]) - 1]

    def leader(self):
        """The leading master's daemon; waits for one."""
        def look():
            address = self.ask("status").get("leader")
            return next((self.daemons[f"m{n + 1}"] for n, a in enumerate(self.masters) if a == address), None)
        return self.until(look, "a master leads")

    def job_state(self, name):
        return next((j["state"] for j in self.ask("jobs").get("jobs", []) if j["name"] == name), None)

    def submit(self, name, text):
        """A leader may take it, and end before it has said so."""
        def taken():
            run = self.corral("submit", "--name", name, "-", data=text, status=None)
            return run.returncode == 0 or self.job_state(name) in ("running", "finished")
        self.until(taken, f"{name} is taken")

    def task(self, job, index=0):
        return next((t for t in self.ask("ps", job).get("tasks", []) if t["index"] == index), {})

    def stop(self):
        """Agents and masters end as their units would end them; then nothing runs that is ours."""
        try:
            for daemon in reversed(self.daemons.values()):
                if daemon.process.poll() is None:
                    daemon.signal(signal.SIGCONT)
                    daemon.signal(signal.SIGTERM)
                    status = daemon.process.wait(SECONDS)
                    assert status == 0, (daemon.name, status, daemon.log()[-3000:])
        finally:
            self.remove()

    def remove(self):
        if not self.home.exists():
            return
        for daemon in self.daemons.values():
            daemon.kill()
        self.until(self.swept, "what was killed is gone")
        for group in cgroups(self.home, [d.name for d in self.daemons.values() if d.kind == "agent"]):
            for path, _, _ in os.walk(group, topdown=False):
                os.rmdir(path)
        self.network.remove()
        shutil.rmtree(self.home)

    def swept(self):
        """Kill what is left; true when nothing was."""
        left = processes_naming(str(self.home))
        for pid, _ in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not left
