# SPDX-License-Identifier: Apache-2.0
"""Limits of zkserver's configuration, seen from outside: who is refused, with what, and what the log says."""
import json
import signal
import socket
import ssl
import struct
import subprocess
import urllib.request

import pytest
from conftest import BUILD, DEADLINE_S, until
from hostile import connect, frame
from zkraw import CREATE, EXISTS, GET, WORLD, Zkserver, connect_request, receive, receive_error, request, session, text

QUOTA_EXCEEDED = -125


@pytest.fixture
def make(tmp_path):
    made = []

    def start(more):
        made.append(Zkserver(tmp_path, more))
        return made[-1]

    yield start
    for server in made:
        server.stop()


def create(s, xid, path, data=b"", flags=0):
    s.sendall(request(xid, CREATE, text(path) + text(data) + WORLD + struct.pack(">i", flags)))
    return receive_error(s)


def turned_away(port):
    with connect(port) as s:
        try:
            s.sendall(frame(connect_request()))
            return s.recv(100) == b""
        except ConnectionResetError:
            return True


def log_says(server, *words):
    until(lambda: all(word in server.text() for word in words), f"the log says {words}")


def test_a_tree_with_as_many_nodes_as_it_may_have_refuses_more(make):
    server = make("maxNodes=6\n")  # four are there from the start
    with session(server.port) as s:
        assert [create(s, i, b"/n%d" % i)[1] for i in range(1, 5)] == [0, 0, QUOTA_EXCEEDED, QUOTA_EXCEEDED]
        s.sendall(request(9, EXISTS, text(b"/n2") + b"\0"))
        assert receive_error(s) == (9, 0)
    log_says(server, "creates were refused", "maxNodes")


def test_a_tree_that_takes_its_memory_refuses_more(make):
    server = make("maxMemoryInMb=1\n")
    with session(server.port) as s:
        errors = [create(s, i, b"/n%d" % i, bytes(300_000))[1] for i in range(1, 6)]
        assert errors == [0, 0, 0, 0, QUOTA_EXCEEDED]
    log_says(server, "writes were refused", "maxMemoryInMb")


def test_requests_may_be_as_large_as_the_limit_says_and_outlive_a_kill(make):
    server = make("jute.maxbuffer=0x2000000\nmaxMemoryInMb=1000\n")
    data = bytes(range(256)) * (32 << 12)
    data = data[:(32 << 20) - 100]
    with session(server.port) as s:
        assert create(s, 1, b"/large", data)[1] == 0
    server.stop(signal.SIGKILL)
    server.start()
    with session(server.port) as s:
        s.sendall(request(1, GET, text(b"/large") + b"\0"))
        reply = receive(s)
        assert struct.unpack(">i", reply[16:20])[0] == len(data) and reply[20:20 + len(data)] == data
        s.sendall(struct.pack(">i", (32 << 20) + 1))
        assert s.recv(1) == b""
    log_says(server, "at most 33554432 are taken")
    zk = [BUILD / "zk", "--hosts", f"127.0.0.1:{server.port}"]
    subprocess.run([*zk, "set", "/large", "-"], input=data[:2 << 20], check=True, timeout=DEADLINE_S)
    got = subprocess.run([*zk, "get", "/large"], stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S)
    assert got.stdout == data[:2 << 20]


def test_slow_writes_of_the_log_are_said_and_counted(make):
    server = make("fsync.warningthresholdms=0\nadmin.enableServer=yes\nadmin.serverPort=0\n")
    port = dict(line.split() for line in (server.data / "ports").read_text().splitlines())["admin"]

    def counted():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/commands/srvr", timeout=DEADLINE_S) as reply:
            return json.load(reply)["server_stats"]["fsync_threshold_exceed_count"]

    with session(server.port) as s:
        xids = iter(range(1, 1 << 30))

        def is_said():
            """Some write takes a millisecond."""
            xid = next(xids)
            assert create(s, xid, b"/n%d" % xid)[1] == 0
            return "fsync.warningthresholdms" in server.text()
        until(is_said, "a write was slow")
    assert counted() == server.text().count("fsync.warningthresholdms")


def test_a_session_has_so_many_ephemeral_nodes(make):
    server = make("maxEphemeralsPerSession=2\n")
    with session(server.port) as s:
        assert [create(s, i, b"/n%d" % i, flags=1)[1] for i in range(1, 4)] == [0, 0, QUOTA_EXCEEDED]
    log_says(server, "maxEphemeralsPerSession")


def test_sessions_beyond_the_limit_are_turned_away(make):
    server = make("maxSessions=2\n")
    with session(server.port), session(server.port):
        assert turned_away(server.port)
    log_says(server, "1 clients were turned away", "maxSessions")


def test_clients_that_come_too_fast_are_turned_away(make):
    server = make("connection_throttle_tokens=2\nzookeeper.connection_throttle_fill_time=86400000\n")
    with session(server.port), session(server.port):
        assert turned_away(server.port)
    log_says(server, "they come too fast")


def test_tls_handshakes_of_one_address_have_a_rate(make):
    server = make("maxTlsHandshakesPerSecond=1\n")

    def refused():
        try:
            with session(server.secure, server.context()):
                return False
        except (ConnectionResetError, ssl.SSLError):
            return True

    until(refused, "a handshake is refused")
    log_says(server, "maxTlsHandshakesPerSecond")
    with session(server.port):
        pass  # the plain port is not concerned


@pytest.mark.parametrize("address", ["::1", "127.0.0.1", ""], ids=["v6", "v4", "any"])
def test_clients_of_both_families_are_counted_by_their_address(make, address):
    server = make(f"clientPortAddress={address}\nmaxClientCnxns=1\n")
    families = {"::1": ["::1"], "127.0.0.1": ["127.0.0.1"], "": ["::1", "127.0.0.1"]}[address]
    for host in families:
        with socket.create_connection((host, server.port), timeout=20) as s:
            s.sendall(frame(connect_request()))
            assert receive(s)
            s.sendall(request(1, 107))
            reply = receive(s)
            assert b"ip" in reply and host.encode() in reply, reply
            with socket.create_connection((host, server.port), timeout=20) as second:
                assert second.recv(1) == b""
