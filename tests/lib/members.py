# SPDX-License-Identifier: Apache-2.0
"""An ensemble of real servers on the hosts of a Network: zkservers, Apache ZooKeepers, or some of each."""
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import history
from network import Network
from waiting import BUILD, SLOW, until

LIB = Path(__file__).resolve().parent
TICK_MS, CLIENT, SECURE, QUORUM, ELECTION = 500, 2181, 2281, 2888, 3888
INIT_TICKS, SYNC_TICKS = 10, 4
START_S, STOP_S = 60 * SLOW, 20 * SLOW
JARS = ("slf4j-simple", "zookeeper", "netty-codec", "netty-resolver", "netty-transport-native-unix-common")
JAVA = ["java", "-Xmx128m", "-cp", ":".join(f"/usr/share/java/{jar}.jar" for jar in JARS),
        "org.apache.zookeeper.server.quorum.QuorumPeerMain"]


def wait_until(condition, what, seconds=START_S):
    return until(condition, what, seconds)


class Member:
    def __init__(self, ensemble, sid, kind):
        self.ensemble, self.sid, self.kind = ensemble, sid, kind
        self.directory = ensemble.directory / str(sid)
        self.data = self.directory / "data"
        self.data.mkdir(parents=True)
        self.address = Network.address(sid)
        self.process = None
        self.paused = False
        self.prefix = []
        (self.data / "myid").write_text(f"{sid}\n")
        self.write_config()

    def write_config(self, more=""):
        e = self.ensemble
        lines = [f"tickTime={TICK_MS}", f"initLimit={INIT_TICKS}", f"syncLimit={SYNC_TICKS}", f"dataDir={self.data}",
                 f"clientPort={CLIENT}", "admin.enableServer=false", "4lw.commands.whitelist=*", "preAllocSize=1024",
                 *[f"server.{sid}={Network.address(sid)}:{QUORUM}:{ELECTION}{role}" for sid, role in e.roles.items()],
                 *e.settings]
        if e.tls is not None:
            store, ca = e.tls / f"store-{self.sid}.pem", e.tls / "ca.pem"
            lines += [f"secureClientPort={SECURE}", f"ssl.keyStore.location={store}", f"ssl.trustStore.location={ca}",
                      "sslQuorum=true", f"ssl.quorum.keyStore.location={store}", f"ssl.quorum.trustStore.location={ca}"]
        self.config = self.directory / "zoo.cfg"
        self.config.write_text("\n".join(lines) + "\n" + more)

    def start(self):
        program = [*JAVA, self.config]
        if self.kind == "corral":
            program = [BUILD / "zkserver" / "zkserver", "run", "--config", self.config]
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(self.ensemble.network.within(self.sid, *self.prefix, *program), stdout=log,
                                            stderr=log, cwd=self.directory)
        return self

    def log(self):
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, signo=signal.SIGTERM):
        if self.process is None:
            return
        if self.running():
            self.resume()
            self.process.send_signal(signo)
        self.process.wait(STOP_S)
        self.process = None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def ask(self, word="srvr"):
        """The answer to a four-letter word; "" if there is none. Asked from the host of those who look on."""
        if self.paused or not self.running():
            return ""

        def answer():
            with socket.create_connection((self.address, CLIENT), 2) as s:
                s.settimeout(5)
                s.sendall(word.encode())
                return b"".join(iter(lambda: s.recv(65536), b"")).decode()
        try:
            return self.ensemble.network.look_on(answer)
        except OSError:
            return ""

    def replaced(self):
        """The zxid of the last snapshot from a leader, after which an Apache ZooKeeper keeps the log it had; 0: none."""
        found = re.findall("Getting a snapshot from leader 0x([0-9a-f]+)", self.log())
        return int(found[-1], 16) if found else 0

    def mode(self):
        found = re.search(r"^Mode: (.*)$", self.ask(), re.M)
        return found[1] if found else None

    def zxid(self):
        found = re.search(r"^Zxid: 0x(.*)$", self.ask(), re.M)
        return int(found[1], 16) if found else None


class Ensemble:
    """`kinds`: {sid: "corral" | "apache"}; observers: a set of sids; tls: a folder with store-SID.pem and ca.pem, or None."""

    def __init__(self, kinds, observers=(), settings=(), tls=None):
        self.directory = Path(tempfile.mkdtemp(prefix="corral-ensemble-"))
        self.network = Network(max(kinds))
        self.roles = {sid: ":observer" if sid in observers else "" for sid in kinds}
        self.settings, self.tls = list(settings), tls
        self.members = {sid: Member(self, sid, kind) for sid, kind in kinds.items()}
        self.recorder = None

    def start(self):
        for member in self.members.values():
            member.start()
        self.wait_whole()
        return self

    def logs(self):
        return "\n".join(f"---- {m.sid} ({m.kind})\n{m.log()[-3000:]}" for m in self.members.values())

    def leader(self):
        return next((m for m in self.members.values() if m.mode() == "leader"), None)

    def wait_leader(self, other_than=None):
        def found():
            leader = self.leader()
            return leader if leader is not other_than else None
        return wait_until(found, lambda: "a leader\n" + self.logs())

    def wait_whole(self):
        """Every member that runs serves."""
        def whole():
            modes = [m.mode() for m in self.members.values() if m.running()]
            return None not in modes and modes.count("leader") == 1
        wait_until(whole, lambda: "all members serve: "
                   f"{ {m.sid: m.mode() for m in self.members.values()} }\n{self.logs()}")

    def wait_equal(self):
        """Every member that runs has applied the same."""
        def equal():
            zxids = {m.zxid() for m in self.members.values() if m.running()}
            return len(zxids) == 1 and None not in zxids
        wait_until(equal, lambda: f"equal zxids: { {m.sid: m.zxid() for m in self.members.values()} }\n{self.logs()}")

    # ---- clients ----

    def hosts(self):
        return ",".join(f"{m.address}:{SECURE if self.tls else CLIENT}" for m in self.members.values())

    def identity(self):
        if self.tls is None:
            return []
        return ["--ca", self.tls / "ca.pem", "--cert", self.tls / "user.pem", "--key", self.tls / "user-key.pem"]

    def zk(self, *words, sid=None, input=None, check=True):
        hosts = self.hosts() if sid is None else f"{Network.address(sid)}:{SECURE if self.tls else CLIENT}"
        run = subprocess.run(self.network.within(0, BUILD / "zk", "--hosts", hosts, *self.identity(), *words), text=True,
                             capture_output=True, timeout=60 * SLOW, input=input)
        assert not check or run.returncode == 0, (words, run.returncode, run.stderr, self.logs())
        return run.stdout

    def record(self, clients=8, seed=1, **more):
        """Clients begin, and go on until judge()."""
        self.zk("create", "/h", check=False)
        self.history = self.directory / "history"
        self.history.touch()
        words = [sys.executable, LIB / "recorder.py", "--hosts", self.hosts(), "--clients", clients, "--seed", seed,
                 "--out", self.history, *self.identity()]
        for key, value in more.items():
            words += [f"--{key}", value]
        self.recorder = subprocess.Popen(self.network.within(0, *words), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.work()

    def recorded(self):
        return self.history.read_bytes().count(b"\n")

    def work(self, entries=500):
        """The clients go on until they have written down so much more."""
        enough = self.recorded() + entries
        wait_until(lambda: self.recorded() >= enough, lambda: "the clients work\n" + self.logs())

    def judge(self):
        """All is well again, and the clients come to an end: what they saw was right, and all members have it."""
        self.work()
        _, errors = self.recorder.communicate(timeout=300 * SLOW)
        assert self.recorder.returncode == 0, errors
        self.wait_whole()
        self.wait_equal()
        figures, nodes = history.check(self.history, [m.data for m in self.members.values()],
                                       [m.replaced() for m in self.members.values()],
                                       syncs=all(m.kind == "corral" for m in self.members.values()))
        lasting = {path.removeprefix("/h"): node.data.decode() for path, node in nodes.items()
                   if path.startswith("/h/") and not node.owner}
        for sid in self.members:
            exported = self.zk("export", "/h", sid=sid)  # without what ends with its session
            shown = dict(re.findall(r'^create "(/.+)" "(.*)"$', exported, re.M))
            assert shown == lasting, f"member {sid}"
        return figures

    def remove(self):
        if self.recorder is not None and self.recorder.poll() is None:
            self.recorder.kill()
            self.recorder.communicate()
        for member in self.members.values():
            member.stop(signal.SIGKILL)
        self.network.remove()
        shutil.rmtree(self.directory)
