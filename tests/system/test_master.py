# SPDX-License-Identifier: Apache-2.0
"""A master alone with an ensemble."""
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from certificates import corral_tls
from conftest import until
from hostile import connect, read_to_end, tls_context
from waiting import program
from zkraw import Zkserver


def test_a_session_shorter_than_four_ticks_is_refused(tmp_path):
    server = Zkserver(tmp_path, more="minSessionTimeout=12000\n")
    conf = tmp_path / "corral.conf"
    conf.write_text(f"[cluster]\nname=test\nensemble=127.0.0.1:{server.port}\nensemble_tls=no\nsession_timeout=10s\n"
                    f"[tls]\nca={tmp_path}/tls/ca.pem\ncert={tmp_path}/tls/master-m.pem\nkey={tmp_path}/tls/master-m-key.pem\n"
                    f"[master]\nlisten=127.0.0.1:0\nagent_listen=127.0.0.1:0\nstate_dir={tmp_path}/m\n")
    try:
        run = subprocess.run([program("corral-master"), "run", "--config", conf], capture_output=True, text=True, timeout=30)
    finally:
        server.stop()
    assert run.returncode == 78 and "session_timeout= to 24000 ms" in run.stderr, run


def test_an_ensemble_that_cannot_be_reached_is_said_with_the_reason(tmp_path):
    server = Zkserver(tmp_path)
    corral_tls("issue", server.tls, "zkserver", "nowhere")  # its certificate names no address
    server.show("zkserver-nowhere")
    server.stop()
    server.start()
    conf = tmp_path / "corral.conf"
    conf.write_text(f"[cluster]\nname=test\nensemble=127.0.0.1:{server.secure}\n"
                    f"[tls]\nca={tmp_path}/tls/ca.pem\ncert={tmp_path}/tls/master-m.pem\nkey={tmp_path}/tls/master-m-key.pem\n"
                    f"[master]\nlisten=127.0.0.1:0\nagent_listen=127.0.0.1:0\nstate_dir={tmp_path}/m\n")
    log = tmp_path / "master.log"
    with log.open("wb") as out:
        master = subprocess.Popen([program("corral-master"), "run", "--config", conf], stderr=out)
    try:
        until(lambda: f"127.0.0.1:{server.secure}" in log.read_text(), log.read_text)
        assert "certificate" in log.read_text()
    finally:
        master.terminate()
        master.wait(30)
        server.stop()


def test_an_ensemble_of_too_many_names_is_refused(tmp_path):
    server = Zkserver(tmp_path)
    conf = tmp_path / "corral.conf"
    hosts = ",".join(f"{'h' * 60}{n}.example:2181" for n in range(80))
    conf.write_text(f"[cluster]\nname=test\nensemble={hosts}\nensemble_tls=no\n"
                    f"[tls]\nca={tmp_path}/tls/ca.pem\ncert={tmp_path}/tls/master-m.pem\nkey={tmp_path}/tls/master-m-key.pem\n"
                    f"[master]\nlisten=127.0.0.1:0\nagent_listen=127.0.0.1:0\nstate_dir={tmp_path}/m\n")
    server.stop()
    run = subprocess.run([program("corral-master"), "run", "--config", conf], capture_output=True, text=True, timeout=30)
    assert run.returncode == 78 and "ensemble=: longer than 4096 bytes" in run.stderr, run


STOP_WAIT_S = 15  # master/http_api.c: so long a stop's answer waits for the tasks' end
SESSION_S = 6


class Master:
    """An ensemble of one and a master that leads; both can be paused."""

    def __init__(self, directory, env=None):
        self.zk = Zkserver(directory)
        self.tls = directory / "tls"
        self.state = directory / "m"
        self.log = directory / "master.log"
        conf = directory / "corral.conf"
        conf.write_text(f"[cluster]\nname=test\nensemble=127.0.0.1:{self.zk.port}\nensemble_tls=no\n"
                        f"session_timeout={SESSION_S}s\n[tls]\nca={self.tls}/ca.pem\ncert={self.tls}/master-m.pem\n"
                        f"key={self.tls}/master-m-key.pem\n[master]\nlisten=127.0.0.1:0\nagent_listen=127.0.0.1:0\n"
                        f"state_dir={self.state}\n")
        with self.log.open("wb") as out:
            self.process = subprocess.Popen([program("corral-master"), "run", "--config", conf], stderr=out,
                                            env={**os.environ, **(env or {})})
        try:
            until(lambda: "leading: term" in self.log.read_text(), self.log.read_text)
        except AssertionError:
            self.stop()
            raise
        self.port = int((self.state / "ports").read_text().split()[1])

    def connect(self):
        return connect(self.port, tls_context(cert=self.tls / "user-eve.pem", key=self.tls / "user-eve-key.pem"))

    def candidates(self):
        run = subprocess.run([program("zk"), "--hosts", f"127.0.0.1:{self.zk.port}", "ls", "/corral/master"],
                             capture_output=True, text=True, timeout=30)
        assert run.returncode == 0, run
        return run.stdout.split()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.resume()
        self.zk.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(30)
        self.zk.stop()


@pytest.fixture
def master(tmp_path):
    m = Master(tmp_path)
    yield m
    m.stop()


def test_its_unit_hears_that_it_is_ready_and_that_it_lives(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unit:
        unit.bind(str(tmp_path / "notify"))
        unit.settimeout(30)
        m = Master(tmp_path, {"NOTIFY_SOCKET": unit.getsockname(), "WATCHDOG_USEC": "100000"})
        try:
            words = []
            while words.count("WATCHDOG=1") < 2 or not {"READY=1", "STATUS=leader, 0 agents in the registry"} <= set(words):
                words += unit.recv(4096).decode().splitlines()
        finally:
            m.stop()


def post(s, path, body=None):
    """Ask, and leave the answer for later; the connection is closed after it."""
    text = json.dumps(body or {}).encode()
    s.sendall(b"POST /corral/v1/%s HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
              % (path.encode(), len(text), text))


def answer(s):
    """(status, message) of the answer to come."""
    head, _, body = read_to_end(s).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def job(name, after=""):
    return {"name": name, "text": f"[Unit]\n{after}[Task]\nExecStart=/bin/true\n"}


def test_a_leader_answers_as_long_as_it_leads(master):
    with master.connect() as s:
        post(s, "jobs", job("one"))
        assert answer(s)[0] == 201
    with master.connect() as s:
        post(s, "jobs/one/stop")
        assert (lambda a: (a[0], a[1]["state"]))(answer(s)) == (200, "stopped")


def test_a_leader_paused_past_its_bound_does_not_answer_what_waits_in_its_socket(master):
    with master.connect() as s, master.connect() as t:
        master.pause()
        post(s, "jobs", job("two"))
        t.sendall(b"GET /corral/v1/jobs HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n")
        until(lambda: not master.candidates(), "its session is over")
        master.resume()
        assert answer(s)[0] == 503
        assert answer(t)[0] == 503


@pytest.mark.parametrize("what", ["submit", "stop"])
def test_a_leader_that_lost_its_right_while_an_answer_waited_does_not_give_it(master, what):
    if what == "stop":
        with master.connect() as s:
            post(s, "jobs", job("three"))
            assert answer(s)[0] == 201
    with master.connect() as s:
        master.zk.process.send_signal(signal.SIGSTOP)
        post(s, *(("jobs", job("three")) if what == "submit" else ("jobs/three/stop",)))
        until(lambda: ("stopped by" if what == "stop" else "1 tasks, by") in master.log.read_text(), master.log.read_text)
        master.pause()
        began = time.monotonic()
        master.zk.process.send_signal(signal.SIGCONT)  # what it wrote is stored, and the answer comes to its socket
        until(lambda: not master.candidates(), "its session is over")
        while what == "stop" and time.monotonic() < began + STOP_WAIT_S + 1:  # so that the stop's own time is over, too
            time.sleep(1)
        master.resume()
        status, message = answer(s)
        assert status == 503 and "may or may not" in message["error"], message
