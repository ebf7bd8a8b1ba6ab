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
from certificates import corral_tls
from conftest import BUILD, until
from hostile import SANITIZER, answer_of, connect, frame, read_to_end, tls_context
from zkraw import CREATE, GET, WORLD, Zkserver, receive, receive_error, request, session, text

PROGRAM = BUILD / "zkserver" / "zkserver"


@pytest.fixture
def server(tmp_path):
    s = Zkserver(tmp_path)
    yield s
    if s.process.poll() is None:
        assert s.stop() == 0
    assert not SANITIZER.search(s.log.read_text())


def creation(xid, path, data, acl=WORLD):
    return request(xid, CREATE, text(path) + text(data) + acl + struct.pack(">i", 0))


def reading(xid, path):
    return request(xid, GET, text(path) + b"\0")


def error_of(s, asked):
    """Of the answer to this request."""
    s.sendall(asked)
    return receive_error(s)[1]


def size_of(s, path):
    """How many bytes a node has."""
    s.sendall(reading(1, path))
    return len(receive(s)) - 16 - 4 - 68  # header, length and stat


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
    good = session(server.port)
    hostile = {
        "2 GB announced": struct.pack(">i", 0x7fffffff),
        "negative length": struct.pack(">i", -5),
        "one byte above the limit": struct.pack(">i", 0x100000),
        "no connect request": frame(b"\1\2\3"),
        "http": b"GET / HTTP/1.1\r\n\r\n",
        "noise": os.urandom(4).replace(b"\0", b"\1") + os.urandom(5000),
    }
    for what, data in hostile.items():
        assert answer_of(server.port, data) == b"", what
    with session(server.port) as s:
        s.sendall(frame(b"\0\0"))
        assert read_to_end(s) == b""
    assert error_of(good, creation(1, b"/a", b"x")) == 0
    good.close()


def test_a_frame_in_pieces_is_put_together(server):
    with session(server.port) as s:
        data = creation(1, b"/big", b"y" * 900000)
        for at in range(0, len(data), 100001):
            s.sendall(data[at:at + 100001])
        assert receive_error(s) == (1, 0)
        assert size_of(s, b"/big") == 900000


def test_a_client_that_never_reads_is_held_back_and_others_are_served(server):
    with session(server.port) as s, session(server.port) as good:
        assert error_of(s, creation(1, b"/big", b"y" * 900000)) == 0
        s.setblocking(False)
        sent = 0
        try:
            for xid in range(100000):
                s.sendall(reading(xid, b"/big"))
                sent += 1
        except BlockingIOError:
            pass
        assert size_of(good, b"/big") == 900000
        assert sent > 100 and server.rss_mib() < 400


def test_many_connections_of_one_address_are_limited(tmp_path):
    server = Zkserver(tmp_path, "maxClientCnxns=3\n")
    try:
        three = [session(server.port) for _ in range(3)]
        assert answer_of(server.port, b"") == b""
        three[0].close()
        until(lambda: server_takes(server), "a place for the next connection")
    finally:
        server.stop()


def server_takes(server):
    try:
        session(server.port).close()
        return True
    except OSError:
        return False


def test_a_certificate_is_an_identity_that_closes_nodes_to_others(server):
    only_me = struct.pack(">iii", 1, 31, 4) + b"auth" + struct.pack(">i", 0)
    with session(server.secure, server.context("master-m")) as s:
        assert error_of(s, creation(1, b"/mine", b"y" * 700000, only_me)) == 0
        assert size_of(s, b"/mine") == 700000
    for port, context in (server.port, None), (server.secure, server.context("user-eve")):
        with session(port, context) as other:
            assert error_of(other, reading(1, b"/mine")) == -102


def test_a_client_without_a_certificate_is_refused(server):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        session(server.secure, tls_context(server.tls / "ca.pem"))
    # No TLS at all: an alert and the end, or a reset.
    assert b"imok" not in answer_of(server.secure, b"ruok" * 100)
    assert server.word(b"ruok") == "imok"


def test_hangup_reads_the_certificates_again(server):
    with session(server.secure, server.context()) as standing:
        corral_tls("issue", server.tls, "zkserver", "new")
        server.show("zkserver-new")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "were read again" in server.text(), server.text)
        with connect(server.secure, server.context()) as s:
            assert s.getpeercert(True) == ssl.PEM_cert_to_DER_cert((server.tls / "zkserver-new.pem").read_text())
        assert error_of(standing, reading(1, b"/zookeeper")) == 0


def test_what_was_acknowledged_survives_kill_9(server):
    acknowledged = 0
    for _ in range(3):
        with session(server.port) as s:
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                assert error_of(s, creation(1, b"/n%d" % acknowledged, b"x" * 100)) == 0
                acknowledged += 1
        server.stop(signal.SIGKILL)
        server.start()
    with session(server.port) as s:
        for n in range(acknowledged):
            assert error_of(s, reading(n, b"/n%d" % n)) == 0
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
