# SPDX-License-Identifier: Apache-2.0
"""Three zkservers on loopback: they elect, replicate, lose each other and come back, in plain and over TLS."""
import hashlib
import re
import signal
import socket
import ssl
import struct
import subprocess
import zlib

import pytest
from certificates import corral_tls, make_tls, write_store
from conftest import BUILD, until
from zkraw import GET, SET, receive_error, request, session, text

PROGRAM = BUILD / "zkserver" / "zkserver"
ZK = BUILD / "zk"
SERVERS = (1, 2, 3)


def free_ports(count):
    """Ports that nobody has now; kept apart by being held open together."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Ensemble:
    def __init__(self, directory, settings=""):
        self.directory = directory
        ports = free_ports(6)
        self.members = "".join(f"server.{i}=127.0.0.1:{ports[2 * i - 2]}:{ports[2 * i - 1]}\n" for i in SERVERS)
        self.processes, self.clients = {}, {}
        for i in SERVERS:
            (directory / f"{i}").mkdir()
            (directory / f"{i}" / "myid").write_text(f"{i}\n")
            (directory / f"{i}.cfg").write_text(
                f"tickTime=500\ninitLimit=20\nsyncLimit=10\ndataDir={directory}/{i}\nclientPort=0\n"
                f"clientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=*\npreAllocSize=64\n"
                f"{settings.replace('SID', str(i))}\n{self.members}")

    def start(self, *sids):
        for i in sids:
            ports = self.directory / f"{i}" / "ports"
            ports.unlink(missing_ok=True)
            with open(self.directory / f"{i}.log", "ab") as log:
                self.processes[i] = subprocess.Popen([PROGRAM, "run", "--config", self.directory / f"{i}.cfg"], stderr=log)
        for i in sids:
            ports = self.directory / f"{i}" / "ports"
            until(lambda: ports.exists() or self.processes[i].poll() is not None, f"server {i}'s ports")
            assert self.processes[i].poll() is None, self.log(i)
            self.clients[i] = int(dict(line.split() for line in ports.read_text().splitlines())["client"])

    def log(self, sid):
        return (self.directory / f"{sid}.log").read_text()

    def logs(self):
        return "\n".join(f"== {i}\n{self.log(i)[-3000:]}" for i in SERVERS)

    def status(self, sid):
        done = subprocess.run([PROGRAM, "status", f"127.0.0.1:{self.clients[sid]}"], capture_output=True, text=True, timeout=60)
        mode = re.search(r"^Mode: (\w+)", done.stdout, re.M)
        return mode and mode[1]

    def roles(self):
        return {i: self.status(i) for i, p in self.processes.items() if p.poll() is None}

    def settle(self):
        """Wait until one leads and all others that run follow; the leader."""
        def settled():
            roles = self.roles()
            return sorted(roles.values(), key=str) == ["follower"] * (len(roles) - 1) + ["leader"] and roles
        roles = until(settled, lambda: f"a leader with all others: {self.roles()}\n{self.logs()}")
        return next(i for i, role in roles.items() if role == "leader")

    def zk(self, sid, *words, text=None):
        done = subprocess.run([ZK, "--hosts", f"127.0.0.1:{self.clients[sid]}", *words], input=text, capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == 0, (words, done.stderr, self.logs())
        return done.stdout

    def kill(self, sid, signo=signal.SIGKILL):
        self.processes[sid].send_signal(signo)
        status = self.processes.pop(sid).wait(60)
        assert status == (0 if signo == signal.SIGTERM else -signo), self.log(sid)

    def digest(self, sid):
        self.zk(sid, "sync", "/")
        return hashlib.sha256(self.zk(sid, "export", "/").encode()).hexdigest()

    def agree(self):
        digests = {i: self.digest(i) for i in self.processes}
        assert len(set(digests.values())) == 1, (digests, self.logs())

    def stop(self):
        for i in list(self.processes):
            self.kill(i, signal.SIGTERM)
        for i in SERVERS:
            assert "runtime error" not in self.log(i) and "AddressSanitizer" not in self.log(i), self.log(i)


@pytest.fixture
def make(tmp_path):
    made = []

    def build(settings=""):
        made.append(Ensemble(tmp_path, settings))
        return made[0]
    yield build
    for e in made:
        for p in e.processes.values():
            if p.poll() is None:
                p.kill()
                p.wait()


def tls_settings(directory, hosts=dict.fromkeys(SERVERS, "127.0.0.1")):
    """Certificates of one CA for each member's address; in the settings SID stands for the member's number."""
    tls = directory / "tls"
    make_tls(tls, "test")
    for i, host in hosts.items():
        corral_tls("issue", tls, "--ip", host, "zkserver", f"s{i}")
        write_store(tls / f"store-{i}.pem", tls, f"zkserver-s{i}")
    return (f"sslQuorum=true\nssl.quorum.keyStore.location={tls}/store-SID.pem\n"
            f"ssl.quorum.trustStore.location={tls}/ca.pem")


@pytest.fixture(params=["plain", "tls"])
def ensemble(request, make, tmp_path):
    e = make(tls_settings(tmp_path) if request.param == "tls" else "")
    e.start(*SERVERS)
    yield e
    e.stop()


def test_what_one_server_takes_all_have(ensemble):
    ensemble.settle()
    for i in SERVERS:
        ensemble.zk(i, "create", f"/from{i}", f"said at {i}")
    for i in SERVERS:
        ensemble.zk(i, "sync", "/")
        for k in SERVERS:
            assert ensemble.zk(i, "get", f"/from{k}") == f"said at {k}"
    ensemble.agree()


def test_a_leader_that_dies_is_replaced_and_comes_back_as_a_follower(ensemble):
    for turn in range(3):
        leader = ensemble.settle()
        ensemble.zk(leader, "create", f"/before{turn}", "x")
        ensemble.kill(leader)
        other = ensemble.settle()
        assert other != leader and ensemble.zk(other, "get", f"/before{turn}") == "x"
        ensemble.zk(other, "create", f"/while{turn}", "y")
        ensemble.start(leader)
        ensemble.settle()
        ensemble.agree()


def test_a_follower_that_was_away_gets_a_snapshot_while_others_write(make):
    e = make("forceSnapshotSync=true")
    e.start(*SERVERS)
    leader = e.settle()
    away, writer = [i for i in SERVERS if i != leader]
    e.zk(writer, "create", "/many", "x")
    for part in range(10):
        e.zk(writer, "multi", text="".join(f'create /many/{part}-{n} "{"v" * 5000}"\n' for n in range(100)))
    e.kill(away)
    e.zk(writer, "create", "/late", "x")
    e.start(away)
    for n in range(20):
        e.zk(writer, "create", f"/late/{n}", "x")
    e.settle()
    e.agree()
    assert "received a snapshot of zxid" in e.log(away)
    e.kill(away)
    e.start(away)
    e.settle()
    e.agree()
    e.stop()


def error_records(first, last):
    """A log's bytes: what clients asked for in vain."""
    log = struct.pack(">4siq", b"ZKLG", 2, 0)
    for zxid in range(first, last + 1):
        record = struct.pack(">qiqqii", 0, 0, zxid, 0, -1, -101)
        log += struct.pack(">qi", zlib.adler32(record), len(record)) + record + b"B"
    return log


def test_an_epoch_that_was_used_up_is_followed_by_the_next(make):
    """The counter of zxids ends with ffffffff; one member has not even heard of the last ones."""
    e = make()
    e.start(*SERVERS)
    e.zk(e.settle(), "create", "/a", "x")
    e.agree()
    for i in SERVERS:
        e.kill(i, signal.SIGTERM)
    used_up = 0x1FFFFFFF0
    for i, end in zip(SERVERS, (4, 15, 15)):
        files = e.directory / f"{i}" / "version-2"
        newest = max(files.glob("snapshot.*"), key=lambda p: int(p.suffix[1:], 16))
        newest.rename(files / f"snapshot.{used_up:x}")
        for log in files.glob("log.*"):
            log.unlink()
        (files / f"log.{used_up + 1:x}").write_bytes(error_records(used_up + 1, used_up + end))
    e.start(*SERVERS)
    leader = e.settle()
    for i in SERVERS:
        e.zk(i, "create", f"/from{i}", "x")
    e.agree()
    assert "leading epoch 2 from zxid 0x1ffffffff on" in e.log(leader)
    e.stop()


def test_two_that_return_without_the_third_have_everything(make):
    e = make()
    e.start(*SERVERS)
    leader = e.settle()
    e.zk(leader, "create", "/kept", "x")
    for i in SERVERS:
        e.kill(i)
    e.start(*[i for i in SERVERS if i != leader])
    assert e.zk(e.settle(), "get", "/kept") == "x"
    e.start(leader)
    e.settle()
    e.agree()
    e.stop()


def test_one_that_is_alone_serves_nobody(make):
    e = make()
    e.start(*SERVERS)
    leader = e.settle()
    others = [i for i in SERVERS if i != leader]
    for i in others:
        e.kill(i)
    until(lambda: "not currently serving" in subprocess.run(
        [PROGRAM, "status", f"127.0.0.1:{e.clients[leader]}"], capture_output=True, text=True).stdout, "the end of its service")
    e.start(others[0])
    e.zk(e.settle(), "create", "/again", "x")
    e.stop()


def test_one_that_is_alone_is_read_by_those_who_want_no_more(make):
    e = make("readonlymode.enabled=true")
    e.start(*SERVERS)
    leader = e.settle()
    others = [i for i in SERVERS if i != leader]
    e.zk(leader, "create", "/a", "x")
    for i in others:
        e.kill(i)
    until(lambda: e.status(leader) == "read", "reads only")
    with pytest.raises(OSError):
        session(e.clients[leader])
    with session(e.clients[leader], tail=b"\1") as s:
        s.sendall(request(1, GET, text(b"/a") + b"\0"))
        assert receive_error(s) == (1, 0)
        s.sendall(request(2, SET, text(b"/a") + text(b"y") + struct.pack(">i", -1)))
        assert receive_error(s) == (2, -119)
    e.start(others[0])
    e.settle()
    assert e.zk(leader, "get", "/a") == "x"
    e.stop()


def test_a_server_with_a_certificate_of_another_ca_takes_no_part(make, tmp_path):
    e = make(tls_settings(tmp_path))
    (tmp_path / "foreign").mkdir()
    own = [line for line in (tmp_path / "3.cfg").read_text().splitlines() if not line.startswith("ssl")]
    (tmp_path / "3.cfg").write_text("\n".join([*own, tls_settings(tmp_path / "foreign").replace("SID", "3"), ""]))
    e.start(*SERVERS)
    stranger = e.processes.pop(3)
    e.zk(e.settle(), "create", "/a", "x")
    assert e.status(3) is None
    e.processes[3] = stranger
    e.stop()


def refused_at_quorum_port(tls, members, leader, e):
    """Say FOLLOWERINFO as server 3, with server 2's certificate."""
    context = ssl.create_default_context(cafile=tls / "ca.pem")
    context.load_cert_chain(tls / "zkserver-s2.pem", tls / "zkserver-s2-key.pem")
    context.check_hostname = False
    at = int(re.search(rf"server\.{leader}=[^:]*:(\d+):", members)[1])
    with socket.create_connection((f"127.0.0.{leader}", at), timeout=20) as plain, context.wrap_socket(plain) as link:
        info = struct.pack(">qiq", 3, 0x10000, 0)
        link.sendall(struct.pack(">iqi", 11, 0, len(info)) + info + struct.pack(">i", -1))
        assert link.recv(1) == b"", "it was answered"
    return re.search(r"quorum port: \S+ says that it is server 3: its certificate \(CN=.*\) does not name 127\.0\.0\.3, that "
                     r"member's host \(ssl.quorum.clientHostnameVerification asks for it\)", e.log(leader))


@pytest.mark.parametrize("port", ["election", "quorum"])
def test_a_certificate_with_another_members_name_is_refused(make, tmp_path, port):
    """One of our own CA. Server 3 has server 2's; it checks nobody itself."""
    e = make(tls_settings(tmp_path, {i: f"127.0.0.{i}" for i in SERVERS}))
    members = re.sub(r"server\.(\d)=127\.0\.0\.1:", r"server.\1=127.0.0.\1:", e.members)
    for i in SERVERS:
        path = tmp_path / f"{i}.cfg"
        path.write_text(path.read_text().replace(e.members, members))
    cfg = (tmp_path / "3.cfg").read_text().replace("store-3.pem", "store-2.pem")
    (tmp_path / "3.cfg").write_text(cfg)
    e.start(1, 2)
    leader = e.settle()
    e.start(3)
    if port == "election":
        # Whoever of the two connects first.
        until(lambda: re.search("election (port|link):.*does not name", e.log(leader)), "the refusal at the election port")
        # All that the refused one can know.
        until(lambda: "it may have refused our certificate; its log says why" in e.log(3), lambda: e.log(3))
    else:
        until(lambda: refused_at_quorum_port(tmp_path / "tls", members, leader, e), "the refusal at the quorum port")
    e.zk(leader, "create", "/a", "x")
    assert e.status(3) is None
    e.stop()


def shown(tls, port):
    """The certificate that who connects to this port as server 2 is shown."""
    context = ssl.create_default_context(cafile=tls / "ca.pem")
    context.load_cert_chain(tls / "zkserver-s2.pem", tls / "zkserver-s2-key.pem")
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain, context.wrap_socket(plain) as link:
        return link.getpeercert(binary_form=True)


@pytest.mark.parametrize("how", ["SIGHUP", "sslQuorumReloadCertFiles"])
def test_members_take_new_certificates_while_they_serve(make, tmp_path, how):
    e = make(tls_settings(tmp_path) + f"\nsslQuorumReloadCertFiles={'false' if how == 'SIGHUP' else 'true'}")
    tls, store = tmp_path / "tls", tmp_path / "tls" / "store-1.pem"
    ports = [int(p) for p in re.search(r"server\.1=127\.0\.0\.1:(\d+):(\d+)", e.members).groups()]
    e.start(*SERVERS)
    e.settle()
    old = [shown(tls, p) for p in ports]
    assert old[0] == old[1]
    write_store(store, tls, "zkserver-s3")
    if how == "SIGHUP":
        e.processes[1].send_signal(signal.SIGHUP)
    new = ssl.PEM_cert_to_DER_cert((tls / "zkserver-s3.pem").read_text())
    until(lambda: [shown(tls, p) for p in ports] == [new, new], lambda: e.log(1))
    store.write_text("nonsense")
    if how == "SIGHUP":
        e.processes[1].send_signal(signal.SIGHUP)
    until(lambda: "the certificates in use stay" in e.log(1), lambda: e.log(1))
    assert [shown(tls, p) for p in ports] == [new, new]
    e.zk(e.settle(), "create", "/a", "x")
    e.stop()


def test_a_key_store_between_servers_that_is_none_is_found_by_check(make, tmp_path):
    e = make(tls_settings(tmp_path))
    (tmp_path / "tls" / "store-1.pem").write_text("nonsense")
    for words in (["check"], ["run"]):
        done = subprocess.run([PROGRAM, *words, "--config", tmp_path / "1.cfg"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 78 and "store-1.pem" in done.stderr, done
    assert subprocess.run([PROGRAM, "check", "--config", tmp_path / "2.cfg"], timeout=60).returncode == 0
    assert e.processes == {}


def test_commands_wait_for_a_leader_as_long_as_their_time_out_says(make):
    e = make()
    e.start(1)
    hosts = ["--hosts", f"127.0.0.1:{e.clients[1]}"]
    in_vain = subprocess.run([ZK, *hosts, "--timeout", "1s", "ls"], capture_output=True, text=True, timeout=60)
    assert in_vain.returncode == 69 and "no server serves" in in_vain.stderr and "zkserver status" in in_vain.stderr
    with subprocess.Popen([ZK, *hosts, "--timeout", "60s", "create", "/late"], stdout=subprocess.PIPE) as waits:
        e.start(2, 3)
        assert (waits.communicate(timeout=60)[0], waits.returncode) == (b"/late\n", 0), e.logs()
    e.stop()
