# SPDX-License-Identifier: Apache-2.0
"""zkserver as a process: its ports, its answers to hostile clients, its end and its return."""
import os
import re
import signal
import socket
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
        self.port = int(re.search(r"client (\d+)", (self.data / "ports").read_text())[1])

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


def session(server):
    s = server.connect()
    s.sendall(frame(struct.pack(">iqiq", 0, 0, 10000, 0), text(PASSWORD), b"\0"))
    assert len(receive(s)) == 37
    return s


def create(s, xid, path, data):
    s.sendall(frame(struct.pack(">ii", xid, 1), text(path), text(data), WORLD, struct.pack(">i", 0)))


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
    assert re.search(r"^zk_znode_count\t4$", server.word(b"mntr"), re.M)
    assert "Clients:" in server.word(b"stat")
    status = subprocess.run([PROGRAM, "status", f"127.0.0.1:{server.port}"], capture_output=True, text=True)
    assert status.returncode == 0 and "Node count: 4" in status.stdout


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
    ("server.1=a:1:2", "zoo.cfg:2: server.1"),
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
    config.write_text(f"dataDir={tmp_path}/data\nclientPort: 2181\ntickTme 3\ninitLimit=5\n")
    check = subprocess.run([PROGRAM, "check", "--config", config], capture_output=True, text=True)
    assert check.returncode == 0
    assert 'zoo.cfg:3: unknown key "tickTme" is ignored; did you mean tickTime?' in check.stderr
    assert "initLimit" not in check.stderr
