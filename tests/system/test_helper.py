# SPDX-License-Identifier: Apache-2.0
"""The agent without any privilege, and its helper as a service of its own."""
import os
import pwd
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, until
from test_agent import Agent, wait_recovered

ACCOUNT = "nobody"  # on every machine; the agent's own may not be there


class SplitAgent(Agent):
    """Agent and helper as their units start them: the helper without network and with mounts of its own."""

    def __init__(self, home):
        self.helper = None
        self.socket = home / "helper.sock"
        self.account = pwd.getpwnam(ACCOUNT)
        super().__init__(home, f"helper={self.socket}")

    def start(self):
        text = self.conf.read_text().replace("user=root", f"user={ACCOUNT}")
        self.conf.write_text(text)
        for path in (self.home / "tls").iterdir():
            os.chown(path, self.account.pw_uid, self.account.pw_gid)
        if self.helper is None:
            self.start_helper()
        with open(self.home / "log", "ab") as log:
            self.process = subprocess.Popen([BUILD / "corral-agent", "run", "--config", self.conf], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True, user=self.account.pw_uid,
                                            group=self.account.pw_gid, extra_groups=[])

    def start_helper(self):
        with open(self.home / "helper.log", "ab") as log:
            self.helper = subprocess.Popen(
                ["unshare", "-n", "-m", BUILD / "corral-agent", "helper", "--namespaces-of", str(os.getpid()), "--config",
                 self.conf], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        until(self.listens, self.helper_log)
        until(lambda: self.socket.stat().st_mode & 0o777 == 0o660, self.helper_log)

    def listens(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(str(self.socket)) == 0

    def stop_helper(self):
        self.helper.terminate()
        status, self.helper = self.helper.wait(30), None
        return status

    def helper_log(self):
        return (self.home / "helper.log").read_text()


@pytest.fixture
def agent(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("the helper needs root")
    for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        os.chmod(path, 0o755)
    a = SplitAgent(tmp_path)
    yield a
    try:
        until(lambda: not a.executors(), "executors left")
        until(lambda: not a.cgroups(), lambda: f"cgroups left: {a.cgroups()}")
        a.stop()
        assert a.stop_helper() == 0, a.helper_log()
        assert not a.socket.exists()
    finally:
        a.process.kill()
        if a.helper is not None:
            a.helper.kill()
        for pid in a.executors():
            os.kill(pid, signal.SIGKILL)


def uids(pid):
    [line] = [x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("Uid:")]
    return {int(x) for x in line.split()[1:]}


def test_an_agent_without_privilege_runs_tasks_by_its_helper_needs_root(agent):
    m, key = agent.master, agent.master.key(0)
    assert uids(agent.process.pid) == {agent.account.pw_uid}
    m.launch(key, argv=["sh", "-c", "id -u; readlink /proc/self/ns/net; ls -d /sys/fs/cgroup"])
    assert m.update()["state"] == "RUNNING"
    assert m.outcome(key)["state"] == "FINISHED"
    out = m.output(key)[0].decode().split("\n")
    assert out[0] == str(agent.account.pw_uid)
    # The helper is confined, what it starts is not.
    assert out[1] == os.readlink("/proc/self/ns/net") != os.readlink(f"/proc/{agent.helper.pid}/ns/net")


def test_executors_outlive_agent_and_helper_needs_root(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "1011"])
    assert m.update()["state"] == "RUNNING"
    [executor] = agent.executors()
    wait_recovered(m, agent.restart())
    # The agent ends with its helper, as its unit starts it again.
    assert agent.stop_helper() == 0
    assert agent.process.wait(30) == 75
    assert "the helper has ended" in agent.log()
    agent.start()
    wait_recovered(m, m.welcome())
    assert agent.executors() == [executor]
    m.send(kill={"keys": [key]})
    assert m.outcome(key)["state"] == "KILLED"


def test_a_helper_that_was_killed_is_replaced_needs_root(agent):
    agent.helper.kill()
    agent.helper.wait(30)
    assert agent.process.wait(30) == 75
    assert agent.socket.exists()
    agent.helper = None
    agent.start()
    agent.master.welcome()


def test_an_agent_without_its_helper_says_so_and_tries_again_later_needs_root(agent):
    assert agent.stop_helper() == 0
    assert agent.process.wait(30) == 75
    done = subprocess.run([BUILD / "corral-agent", "run", "--config", agent.conf], capture_output=True, text=True, timeout=30,
                          user=agent.account.pw_uid, group=agent.account.pw_gid, extra_groups=[])
    assert done.returncode == 75
    assert f"helper={agent.socket}: no helper can be reached" in done.stderr
    agent.start()
    agent.master.welcome()


def test_the_helper_serves_no_other_account_needs_root(agent):
    daemon = pwd.getpwnam("daemon").pw_uid
    # Whoever gets past the mode of the socket is still asked by the kernel who he is.
    os.chmod(agent.socket, 0o666)
    script = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.exit(len(s.recv(1)))"
    agent.process.terminate()
    agent.process.wait(30)
    subprocess.run(["/usr/bin/python3", "-c", script, agent.socket], check=True, timeout=30, user=daemon)
    assert f"of uid {daemon} connected: only the agent's account" in agent.helper_log()
    agent.start()
    agent.master.welcome()


def test_a_second_helper_on_the_socket_is_refused_needs_root(agent):
    done = subprocess.run([BUILD / "corral-agent", "helper", "--config", agent.conf], capture_output=True, text=True, timeout=30)
    assert done.returncode == 69
    assert "Address already in use" in done.stderr


def test_what_is_no_request_costs_the_connection_only_needs_root(agent):
    agent.process.terminate()
    agent.process.wait(30)
    for bytes_ in (b"\xff\xff\xff\xff", b"\0\0\0\4abcd", b"GET / HTTP/1.1\r\n\r\n"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(30)
        s.connect(str(agent.socket))
        s.sendall(bytes_)
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:  # it left some of it unread
            pass
        s.close()
    agent.start()
    agent.master.welcome()
