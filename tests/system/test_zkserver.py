# SPDX-License-Identifier: Apache-2.0
"""zkserver as a process: its ports, its answers to hostile clients, its end and its return."""
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest
from conftest import BUILD, until

PROGRAM = BUILD / "zkserver" / "zkserver"
PASSWORD = bytes(16)
WORLD = struct.pack(">iii5si6s", 1, 31, 5, b"world", 6, b"anyone")


class Server:
    def __init__(self, directory, extra=""):
        self.data = directory / "data"
        self.config = directory / "zoo.cfg"
        self.log = directory / "log"
        self.config.write_text(f"tickTime=1000\ndataDir={self.data}\nclientPort=0\nclientPortAddress=127.0.0.1\n"
                               f"4lw.commands.whitelist=*\npreAllocSize=64\n{extra}")
        self.start()

    def start(self):
        (self.data / "ports").unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([PROGRAM, "run", "--config", self.config], stderr=log)
        until(lambda: (self.data / "ports").exists() or self.process.poll() is not None, "zkserver's ports")
        assert self.process.poll() is None, self.log.read_text()
        self.ports = dict(line.split() for line in (self.data / "ports").read_text().splitlines())
        self.port = int(self.ports["client"])

    def stop(self, signo=signal.SIGTERM):
        self.process.send_signal(signo)
        return self.process.wait(20)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def word(self, word):
        with self.connect() as s:
            s.sendall(word)
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()


@pytest.fixture
def server(tmp_path):
    s = Server(tmp_path)
    yield s
    if s.process.poll() is None:
        assert s.stop() == 0
    assert "runtime error" not in s.log.read_text() and "AddressSanitizer" not in s.log.read_text()


def text(value):
    return struct.pack(">i", len(value)) + value


def frame(*parts):
    body = b"".join(parts)
    return struct.pack(">i", len(body)) + body


def receive(s):
    """One frame, or None at the end of the stream."""
    def exactly(size):
        got = b""
        while len(got) < size:
            more = s.recv(size - len(got))
            if not more:
                return None
            got += more
        return got
    head = exactly(4)
    return head and exactly(struct.unpack(">i", head)[0])


def session(server, s=None):
    s = s or server.connect()
    s.sendall(frame(struct.pack(">iqiq", 0, 0, 10000, 0), text(PASSWORD), b"\0"))
    assert len(receive(s)) == 37
    return s


def create(s, xid, path, data, acl=WORLD):
    s.sendall(frame(struct.pack(">ii", xid, 1), text(path), text(data), acl, struct.pack(">i", 0)))


def get(s, xid, path):
    s.sendall(frame(struct.pack(">ii", xid, 4), text(path), b"\0"))


def closed(s):
    try:
        return receive(s) is None
    except ConnectionResetError:
        return True


def test_words_are_answered_and_others_are_not(server):
    assert server.word(b"ruok") == "imok"
    assert "Mode: standalone" in server.word(b"srvr")
    assert re.search(r"^zk_znode_count\t5$", server.word(b"mntr"), re.M)
    assert "Clients:" in server.word(b"stat")
    status = subprocess.run([PROGRAM, "status", f"127.0.0.1:{server.port}"], capture_output=True, text=True)
    assert status.returncode == 0 and "Node count: 5" in status.stdout
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = f"127.0.0.1:{other.getsockname()[1]}"
        asking = subprocess.Popen([PROGRAM, "status", where], stdout=subprocess.PIPE, text=True)
        with other.accept()[0] as s:
            assert s.recv(4) == b"srvr"
            s.sendall(b"This ZooKeeper instance is not currently serving requests\n")
    assert asking.communicate(timeout=20)[0].startswith("This ZooKeeper instance is not") and asking.returncode == 1
    assert subprocess.run([PROGRAM, "status", where], capture_output=True).returncode == 69


def test_hostile_bytes_cost_their_own_connection_only(server):
    good = session(server)
    hostile = {
        "2 GB announced": struct.pack(">i", 0x7fffffff),
        "negative length": struct.pack(">i", -5),
        "one byte above the limit": struct.pack(">i", 0x100000),
        "no connect request": frame(b"\1\2\3"),
        "http": b"GET / HTTP/1.1\r\n\r\n",
        "noise": os.urandom(4).replace(b"\0", b"\1") + os.urandom(5000),
    }
    for what, data in hostile.items():
        with server.connect() as s:
            s.sendall(data)
            assert closed(s), what
    with session(server) as s:
        s.sendall(frame(b"\0\0"))
        assert closed(s)
    create(good, 1, b"/a", b"x")
    assert struct.unpack(">iqi", receive(good)[:16])[2] == 0


def test_a_frame_in_pieces_is_put_together(server):
    with session(server) as s:
        data = frame(struct.pack(">ii", 1, 1), text(b"/big"), text(b"y" * 900000), WORLD, struct.pack(">i", 0))
        for at in range(0, len(data), 100001):
            s.sendall(data[at:at + 100001])
        assert struct.unpack(">iqi", receive(s)[:16])[2] == 0
        get(s, 2, b"/big")
        assert len(receive(s)) == 16 + 4 + 900000 + 68


def test_a_client_that_never_reads_is_held_back_and_others_are_served(server):
    with session(server) as s, session(server) as good:
        create(s, 1, b"/big", b"y" * 900000)
        receive(s)
        s.setblocking(False)
        sent = 0
        try:
            for xid in range(100000):
                get(s, xid, b"/big")
                sent += 1
        except BlockingIOError:
            pass
        get(good, 1, b"/big")
        assert len(receive(good)) == 16 + 4 + 900000 + 68
        rss_kb = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{server.process.pid}/status").read())[1])
        assert sent > 100 and rss_kb < 400 * 1024


def test_many_connections_of_one_address_are_limited(tmp_path):
    server = Server(tmp_path, "maxClientCnxns=3\n")
    try:
        three = [session(server) for _ in range(3)]
        with server.connect() as s:
            assert closed(s)
        three[0].close()
        until(lambda: server_takes(server), "a place for the next connection")
    finally:
        server.stop()


def server_takes(server):
    try:
        session(server).close()
        return True
    except (OSError, TypeError):
        return False


def openssl(directory, *words):
    subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)


def certificate(directory, name):
    """NAME.pem with the key and the certificate of CN=NAME,O=test; the CA's in ca.crt."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    if not (directory / "ca.crt").exists():
        openssl(directory, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca", "-days", "99")
    openssl(directory, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/O=test/CN={name}")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.crt", "-days", "99")
    pem = directory / f"{name}.pem"
    pem.write_text((directory / f"{name}.key").read_text() + (directory / f"{name}.crt").read_text())
    pem.chmod(0o600)
    return pem


@pytest.fixture
def secure(tmp_path):
    pem = certificate(tmp_path, "server")
    server = Server(tmp_path, f"secureClientPort=0\nsecureClientPortAddress=127.0.0.1\nssl.keyStore.location={pem}\n"
                              f"ssl.trustStore.location={tmp_path / 'ca.crt'}\nssl.trustStore.type=PEM\n")
    server.directory = tmp_path
    yield server
    if server.process.poll() is None:
        assert server.stop() == 0
    assert "runtime error" not in server.log.read_text() and "AddressSanitizer" not in server.log.read_text()


def tls_connect(server, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(server.directory / "ca.crt")
    if name:
        context.load_cert_chain(certificate(server.directory, name))
    return context.wrap_socket(socket.create_connection(("127.0.0.1", int(server.ports["secure"])), timeout=20))


def test_a_certificate_is_an_identity_that_closes_nodes_to_others(secure):
    only_me = struct.pack(">iii", 1, 31, 4) + b"auth" + struct.pack(">i", 0)
    with session(secure, tls_connect(secure, "master")) as s:
        create(s, 1, b"/mine", b"y" * 700000, only_me)
        assert struct.unpack(">iqi", receive(s)[:16])[2] == 0
        get(s, 2, b"/mine")
        assert len(receive(s)) == 16 + 4 + 700000 + 68
    for other in (session(secure), session(secure, tls_connect(secure, "stranger"))):
        get(other, 1, b"/mine")
        assert struct.unpack(">iqi", receive(other)[:16])[2] == -102
        other.close()


def test_a_client_without_a_certificate_is_refused(secure):
    with pytest.raises((ssl.SSLError, ConnectionError, TypeError)):
        session(secure, tls_connect(secure, None))
    with socket.create_connection(("127.0.0.1", int(secure.ports["secure"])), timeout=20) as s:
        s.sendall(b"ruok" * 100)  # no TLS at all: an alert and the end, or a reset
        try:
            assert b"imok" not in b"".join(iter(lambda: s.recv(4096), b""))
        except ConnectionResetError:
            pass
    assert secure.word(b"ruok") == "imok"


def test_hangup_reads_the_certificates_again(secure):
    standing = session(secure, tls_connect(secure, "master"))
    before = (secure.directory / "server.pem").read_text()
    certificate(secure.directory, "server")
    assert (secure.directory / "server.pem").read_text() != before
    secure.process.send_signal(signal.SIGHUP)
    until(lambda: "were read again" in secure.log.read_text(), "the certificates are read again")
    with tls_connect(secure, "agent") as s:
        der = ssl.PEM_cert_to_DER_cert((secure.directory / "server.crt").read_text())
        assert s.getpeercert(True) == der
    get(standing, 1, b"/zookeeper")
    assert struct.unpack(">iqi", receive(standing)[:16])[2] == 0
    standing.close()


def test_what_was_acknowledged_survives_kill_9(server):
    acknowledged = 0
    for _ in range(3):
        with session(server) as s:
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                create(s, 1, b"/n%d" % acknowledged, b"x" * 100)
                assert struct.unpack(">iqi", receive(s)[:16])[2] == 0
                acknowledged += 1
        server.stop(signal.SIGKILL)
        server.start()
    with session(server) as s:
        for n in range(acknowledged):
            get(s, n, b"/n%d" % n)
            assert struct.unpack(">iqi", receive(s)[:16])[2] == 0
    assert acknowledged > 10


def test_a_second_server_on_the_same_data_is_refused(server):
    second = subprocess.run([PROGRAM, "run", "--config", server.config], capture_output=True, text=True, timeout=20)
    assert second.returncode == 74 and "another zkserver" in second.stderr


@pytest.mark.parametrize("line, fault", [
    ("tickTime=soon", "zoo.cfg:2: tickTime=soon: not a number"),
    ("forceSync=maybe", "zoo.cfg:2: forceSync=maybe: not yes or no"),
    ("clientPort=70000", "zoo.cfg:2: clientPort=70000"),
    ("secureClientPort=0", "zoo.cfg:2: secureClientPort needs ssl.keyStore.location"),
    ("minSessionTimeout=5000\nmaxSessionTimeout=10", "zoo.cfg:2: minSessionTimeout (5000 ms) is above"),
    ("server.1=a:1:2\nserver.2=b:1", "zoo.cfg:3: server.2=b:1: it is not HOST:QUORUMPORT"),
    ("server.1=a:1:2\nserver.2=b:1:2\n", "/myid: it is missing"),
])
def test_a_fault_in_the_configuration_is_named_with_its_line(tmp_path, line, fault):
    config = tmp_path / "zoo.cfg"
    config.write_text(f"dataDir={tmp_path}/data\n{line}\n")
    check = subprocess.run([PROGRAM, "check", "--config", config], capture_output=True, text=True)
    assert check.returncode == 78 and fault in check.stderr
    run = subprocess.run([PROGRAM, "run", "--config", config], capture_output=True, text=True, timeout=20)
    assert run.returncode == 78 and not (tmp_path / "data").exists()


def test_a_good_configuration_has_no_faults_and_an_unknown_key_is_warned_of(tmp_path):
    config = tmp_path / "zoo.cfg"
    config.write_text(f"dataDir={tmp_path}/data\nclientPort: 2181\ntickTme 3\nleader.nodelay=true\n")
    check = subprocess.run([PROGRAM, "check", "--config", config], capture_output=True, text=True)
    assert check.returncode == 0
    assert 'zoo.cfg:3: unknown key "tickTme" is ignored; did you mean tickTime?' in check.stderr
    assert "zoo.cfg:4: leader.nodelay has no effect" in check.stderr


@pytest.mark.parametrize("words, said", [
    ((), "COMMAND is missing"), (("frob",), "frob is no command"), (("run", "--frob"), "--frob is no option"),
    (("run", "extra"), "extra is one operand too many"), (("run", "--config"), "--config wants a value"),
    (("check",), "--config FILE"), (("snapshot",), "snapshot wants to know"), (("snapshot", "a", "b"), "without --verify")])
def test_a_wrong_command_line_is_named_before_the_usage(words, said):
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 64 and said in done.stderr.splitlines()[0] and "usage: zkserver" in done.stderr
