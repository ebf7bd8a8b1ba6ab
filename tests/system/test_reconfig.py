# SPDX-License-Identifier: Apache-2.0
"""An ensemble of zkservers on loopback whose members change while clients write: it grows from one to five and shrinks
again, ports and the leader move, and nothing that was acknowledged is lost."""
import re
import signal
import subprocess
import threading

import pytest
from conftest import BUILD, until
from test_ensemble import free_ports

PROGRAM = BUILD / "zkserver" / "zkserver"
ZK = BUILD / "zk"
SERVERS = range(1, 6)
SUPER = "super:secret"
SUPER_DIGEST = "super:lK75jTNcA+U9vtVEw5vB51mj/w4="  # of SUPER, as digest identities have it


class Ensemble:
    def __init__(self, directory, settings=""):
        self.directory, self.processes, self.settings = directory, {}, settings
        self.ports = {i: free_ports(3) for i in SERVERS}

    def member(self, sid, role="participant"):
        quorum, election, client = self.ports[sid]
        return f"server.{sid}=127.0.0.1:{quorum}:{election}:{role};127.0.0.1:{client}"

    def prepare(self, sid, members):
        data = self.directory / str(sid) / "data"
        data.mkdir(parents=True)
        (data / "myid").write_text(f"{sid}\n")
        self.config(sid).write_text(
            f"tickTime=500\ninitLimit=20\nsyncLimit=10\ndataDir={data}\nadmin.enableServer=false\npreAllocSize=64\n"
            f"4lw.commands.whitelist=*\nreconfigEnabled=true\nstandaloneEnabled=false\n{self.settings}\n"
            + "".join(self.member(i) + "\n" for i in members))

    def config(self, sid):
        return self.directory / str(sid) / "zoo.cfg"

    def start(self, sid):
        with open(self.directory / f"{sid}.log", "ab") as log:
            self.processes[sid] = subprocess.Popen([PROGRAM, "run", "--config", self.config(sid)], stderr=log)
        until(lambda: self.mode(sid), lambda: f"server {sid} serves\n{self.logs()}")

    def stop(self, sid, signo=signal.SIGTERM):
        process = self.processes.pop(sid)
        process.send_signal(signo)
        process.wait(60)

    def logs(self):
        return "\n".join(f"== {p.name}\n{p.read_text()[-3000:]}" for p in sorted(self.directory.glob("*.log")))

    def mode(self, sid):
        done = subprocess.run([PROGRAM, "status", f"127.0.0.1:{self.ports[sid][2]}"], capture_output=True, text=True, timeout=60)
        mode = re.search(r"^Mode: (\w+)", done.stdout, re.M)
        return mode and mode[1]

    def leader(self):
        return until(lambda: next((i for i in self.processes if self.mode(i) == "leader"), None),
                     lambda: f"a leader\n{self.logs()}")

    def run(self, *words, sids=None):
        hosts = ",".join(f"127.0.0.1:{self.ports[i][2]}" for i in sids or self.processes)
        return subprocess.run([ZK, "--hosts", hosts, "--auth", f"digest:{SUPER}", *words], capture_output=True, text=True,
                              timeout=120)

    def zk(self, *words, sids=None):
        done = self.run(*words, sids=sids)
        assert done.returncode == 0, (words, done.stderr, self.logs())
        return done.stdout

    def change(self, *words):
        """A reconfig; the answer may be lost with a leader that leaves, and then /zookeeper/config says what came of it."""
        self.run("reconfig", *words)

    def wait_members(self, *sids):
        def there():
            return all(sorted(re.findall(r"^server\.(\d)", self.run("config", sids=[i]).stdout, re.M)) ==
                       [str(s) for s in sids] for i in self.processes)
        until(there, lambda: f"members {sids} at all\n{self.logs()}")


@pytest.fixture
def ensemble(tmp_path):
    made = Ensemble(tmp_path, f"zookeeper.DigestAuthenticationProvider.superDigest={SUPER_DIGEST}")
    yield made
    for process in made.processes.values():
        process.kill()
        process.wait(60)


class Writer:
    """Makes nodes one after the other, and remembers those that were acknowledged."""

    def __init__(self, ensemble):
        self.ensemble, self.made, self.over = ensemble, [], threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        n = 0
        while not self.over.is_set():
            n += 1
            if self.ensemble.run("--timeout", "5s", "create", f"/w{n}", "x").returncode == 0:
                self.made.append(f"w{n}")

    def end(self):
        self.over.set()
        self.thread.join(120)
        return self.made


def test_an_ensemble_grows_to_five_and_shrinks_while_it_is_written_to(ensemble):
    ensemble.prepare(1, [1])
    ensemble.start(1)
    writer = Writer(ensemble)
    try:
        for sid in (2, 3, 4, 5):
            ensemble.prepare(sid, range(1, sid + 1))
            ensemble.start(sid)
            ensemble.zk("reconfig", "--add", ensemble.member(sid))
            ensemble.wait_members(*range(1, sid + 1))
        leader = ensemble.leader()
        rest = [i for i in SERVERS if i != leader]
        ensemble.change("--remove", str(leader))
        ensemble.wait_members(*rest)
        ensemble.stop(leader)
        gone = rest.pop(0)
        ensemble.change("--remove", str(gone))
        ensemble.wait_members(*rest)
        ensemble.stop(gone)
        assert ensemble.leader() in rest
    finally:
        made = writer.end()
    assert len(made) > 10
    for sid in rest:
        ensemble.zk("sync", "/", sids=[sid])
        assert set(made) <= set(ensemble.zk("ls", "/", sids=[sid]).split())
    ensemble.stop(rest[0], signal.SIGKILL)  # the files know who they are three of
    ensemble.leader()
    until(lambda: all(ensemble.mode(i) for i in rest[1:]), lambda: f"both serve\n{ensemble.logs()}")
    ensemble.zk("create", "/two-of-three")
    ensemble.start(rest[0])
    ensemble.zk("sync", "/", sids=[rest[0]])
    assert "two-of-three" in ensemble.zk("ls", "/", sids=[rest[0]])


def test_ports_move_and_the_files_follow(ensemble):
    for sid in (1, 2, 3):
        ensemble.prepare(sid, (1, 2, 3))
    for sid in (1, 2, 3):
        with open(ensemble.directory / f"{sid}.log", "ab") as log:
            ensemble.processes[sid] = subprocess.Popen([PROGRAM, "run", "--config", ensemble.config(sid)], stderr=log)
    for moved in (1, ensemble.leader()):
        ensemble.wait_members(1, 2, 3)
        others = [i for i in (1, 2, 3) if i != moved]
        ensemble.ports[moved] = free_ports(3)
        ensemble.run("reconfig", "--add", ensemble.member(moved), sids=others)
        until(lambda: all(ensemble.member(moved) in ensemble.run("config", sids=[i]).stdout for i in (1, 2, 3)),
              lambda: f"server {moved} at its new ports\n{ensemble.logs()}")
    ensemble.zk("create", "/after")
    version = re.search(r"^version=(\w+)", ensemble.zk("config"), re.M)[1]
    for sid in (1, 2, 3):
        until(lambda: f"zoo.cfg.dynamic.{version}\n" in ensemble.config(sid).read_text(), f"the file of server {sid}")
        assert "server." not in ensemble.config(sid).read_text()
        assert ensemble.member(2) in (ensemble.config(sid).parent / f"zoo.cfg.dynamic.{version}").read_text()
        ensemble.stop(sid, signal.SIGKILL)
    for sid in (1, 2, 3):
        with open(ensemble.directory / f"{sid}.log", "ab") as log:
            ensemble.processes[sid] = subprocess.Popen([PROGRAM, "run", "--config", ensemble.config(sid)], stderr=log)
    ensemble.leader()
    assert "after" in ensemble.zk("ls", "/")
    assert ensemble.zk("config", "--clients").strip() == ",".join(f"127.0.0.1:{ensemble.ports[i][2]}" for i in (1, 2, 3))


def test_a_change_is_refused_for_a_reason(ensemble):
    for sid in (1, 2):
        ensemble.prepare(sid, (1, 2))
    for sid in (1, 2):
        with open(ensemble.directory / f"{sid}.log", "ab") as log:
            ensemble.processes[sid] = subprocess.Popen([PROGRAM, "run", "--config", ensemble.config(sid)], stderr=log)
    ensemble.leader()
    stranger = subprocess.run([ZK, "--hosts", f"127.0.0.1:{ensemble.ports[1][2]}", "reconfig", "--remove", "2"],
                              capture_output=True, text=True, timeout=60)
    assert stranger.returncode == 77 and "zookeeper/config" in stranger.stderr and "--auth" in stranger.stderr
    for status, says, words in ((1, "'zk config' prints", ["--version", "77", "--remove", "2"]),
                                (64, "the leader's log says", ["--add", "server.3=127.0.0.1:1:2"]),
                                (1, "start the servers first", ["--members", f"{ensemble.member(3)},{ensemble.member(4)}"]),
                                (64, "the leader's log says", ["--remove", "1,2"])):
        refused = ensemble.run("reconfig", *words)
        assert refused.returncode == status and says in refused.stderr, (words, refused.stderr)
    assert "a reconfig was refused: " in (ensemble.directory / f"{ensemble.leader()}.log").read_text()
    assert ensemble.run("reconfig").returncode == 64
    assert ensemble.run("reconfig", "--add", "x", "--members", "y").returncode == 64
    ensemble.wait_members(1, 2)


def test_who_may_not_be_changed_says_how_to_let_it(ensemble):
    ensemble.settings += "\nreconfigEnabled=false"
    ensemble.prepare(1, [1])
    ensemble.start(1)
    refused = ensemble.run("reconfig", "--add", ensemble.member(2))
    assert refused.returncode == 1 and "reconfigEnabled" in refused.stderr, refused.stderr
    ensemble.stop(1)
    settings = ensemble.config(1).read_text().replace("standaloneEnabled=false\n", "").replace("reconfigEnabled=false\n", "")
    ensemble.config(1).write_text(settings)
    ensemble.start(1)
    alone = ensemble.run("reconfig", "--add", ensemble.member(2))
    assert alone.returncode == 69 and "standaloneEnabled" in alone.stderr, alone.stderr
