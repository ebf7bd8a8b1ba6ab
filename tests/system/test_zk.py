# SPDX-License-Identifier: Apache-2.0
"""zk where a server is not as it should be: of the wrong kind of port, gone, or without a leader."""
import re
import signal
import subprocess

import pytest
from conftest import BUILD, until
from test_ensemble import SERVERS, Ensemble, free_ports
from zkraw import Zkserver

ZK = BUILD / "zk"


def zk(port, *words):
    return subprocess.run([ZK, *words, "--hosts", f"127.0.0.1:{port}", "--timeout", "300s"], capture_output=True, text=True,
                          timeout=60)


@pytest.fixture
def start(tmp_path):
    made = []

    def begin(more=""):
        made.append(Zkserver(tmp_path, more))
        return made[-1]

    yield begin
    for server in made:
        server.process.kill()
        server.process.wait()


def hold(port):
    held = subprocess.Popen([ZK, "create", "-e", "/e", "--hosts", f"127.0.0.1:{port}"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    assert held.stdout.readline() == "/e\n"
    return held


def test_a_port_with_tls_and_one_without_are_told_apart_at_once(start):
    """Not after the 300 s."""
    server = start()
    plain = zk(server.secure, "ls")
    assert plain.returncode == 69 and "the peer speaks TLS, and this connection does not" in plain.stderr, plain
    certificate = ("--ca", server.tls / "ca.pem", "--cert", server.tls / "user-eve.pem", "--key", server.tls / "user-eve-key.pem")
    secure = zk(server.port, "ls", *certificate)
    assert secure.returncode == 69 and "without an answer to TLS: it may not speak it there" in secure.stderr, secure
    listed = zk(server.secure, "ls", *certificate)
    assert listed.stdout == "zookeeper\n", listed


def test_who_holds_an_ephemeral_node_ends_when_its_session_cannot_be_alive(start):
    server = start("minSessionTimeout=1000\nmaxSessionTimeout=1000\n")
    held = hold(server.port)
    server.stop(signal.SIGKILL)
    said = held.communicate(timeout=60)[1]
    assert held.returncode == 75 and "no server answered for the session's time-out of 1000 ms" in said, said


def test_who_holds_an_ephemeral_node_waits_for_a_server_that_comes_back(start):
    server = start("minSessionTimeout=1000\nmaxSessionTimeout=60000\n")
    text = server.config.read_text()
    server.stop()
    server.config.write_text(text.replace("clientPort=0", f"clientPort={free_ports(1)[0]}"))
    server.start()
    held = hold(server.port)
    server.stop(signal.SIGKILL)
    server.start()
    assert zk(server.port, "ls").stdout == "e\nzookeeper\n"
    owner = re.search("ephemeral of session (0x[0-9a-f]+)", zk(server.port, "stat", "/e").stdout)[1]
    until(lambda: f"sid={owner}," in server.word(b"cons"), "the holder is back: else it could not end its session")
    held.send_signal(signal.SIGTERM)
    held.communicate(timeout=60)
    assert held.returncode == 0
    assert zk(server.port, "ls").stdout == "zookeeper\n"


def test_a_server_without_a_leader_is_read_where_that_is_asked_for(tmp_path):
    e = Ensemble(tmp_path, "readonlymode.enabled=true")
    try:
        e.start(*SERVERS)
        leader = e.settle()
        e.zk(leader, "create", "/a", "x")
        for i in SERVERS:
            if i != leader:
                e.kill(i)
        assert zk(e.clients[leader], "--read-only", "get", "/a").stdout == "x"
        written = zk(e.clients[leader], "set", "/a", "y", "--read-only")
        assert written.returncode == 75 and "read-only" in written.stderr, written
    finally:
        for process in e.processes.values():
            process.kill()
            process.wait()
