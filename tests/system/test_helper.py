# SPDX-License-Identifier: Apache-2.0
"""The agent without any privilege, and its helper as a service of its own."""
import fcntl
import os
import pwd
import resource
import signal
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, alive, processes_naming, until
from corralpb import Schema
from test_agent import PROTO, Agent, wait_recovered

ACCOUNT = "daemon"  # plays the agent's, which may not be there
PERSON = "nobody"  # on every machine, with a uid above 1000


class SplitAgent(Agent):
    """Agent and helper as their units start them: the helper without network and with mounts of its own."""

    def __init__(self, home, without=None):
        self.helper, self.without = None, without
        self.socket = home / "helper.sock"
        self.account = pwd.getpwnam(ACCOUNT)
        super().__init__(home, f"helper={self.socket}")

    def start(self):
        text = self.conf.read_text().replace("default_user=root\n", "").replace("user=root", f"user={ACCOUNT}")
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
                ["unshare", "-n", "-m", "sh", "-c", f'umount -l {self.without}; exec "$@"' if self.without else 'exec "$@"', "-",
                 BUILD / "corral-agent", "helper", "--namespaces-of", str(os.getpid()), "--config",
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

    def kill(self):
        super().kill()
        if self.helper is not None:
            self.helper.kill()

    def as_the_agent(self):
        """Whoever took the agent's account over: only its process is in the way."""
        self.process.kill()
        self.process.wait(30)
        return HelperLink(self)

    def helper_log(self):
        return (self.home / "helper.log").read_text()


class HelperLink:
    """Requests to a helper, made up by the test."""

    def __init__(self, agent):
        self.agent, self.schema = agent, Schema(PROTO)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(agent.socket))
        self.stream = self.socket.makefile("rb")

    def ask(self, **body):
        request = self.schema.encode("HelperRequest", {"id": 1, **body})
        self.socket.sendall(struct.pack(">I", len(request)) + request)
        return self.schema.decode("HelperReply", self.stream.read(struct.unpack(">I", self.stream.read(4))[0]))

    def launch(self, key, **other):
        name, state = name_of(key), self.agent.state
        request = {"key": key, "spec": {"argv": ["sleep", "1012"]}, "psk": bytes(32), "agent_address": "127.0.0.1:1",
                   "sandbox": f"{state}/sandbox/{name}", "run_directory": f"{state}/run/{name}", **other}
        return self.ask(launch=request)

    def kill(self, key):
        """Until nothing is left; whether there was anything."""
        met = False
        while self.ask(kill={"key": key}).get("alive"):
            met = True
        return met

    def close(self):
        self.stream.close()
        self.socket.close()


def name_of(key):
    return f"{key['incarnation']:x}-{key['index']}-{key['attempt']}-{key['term']['era']}-{key['term']['czxid']:x}"


@pytest.fixture
def agent(home, request):
    if os.geteuid() != 0:
        pytest.skip("the helper needs root")
    a = SplitAgent(home, getattr(request, "param", None))
    try:
        a.register()
        yield a
        until(lambda: not a.executors(), "executors left")
        until(lambda: not a.cgroups(), lambda: f"cgroups left: {a.cgroups()}")
        a.stop()
        assert a.stop_helper() == 0, a.helper_log()
        assert not a.socket.exists()
    finally:
        a.kill()
        print(a.log(), a.helper_log())


def uids(pid):
    [line] = [x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("Uid:")]
    return {int(x) for x in line.split()[1:]}


def test_an_agent_without_privilege_runs_tasks_by_its_helper_needs_root(agent):
    m, key = agent.master, agent.master.key(0)
    assert uids(agent.process.pid) == {agent.account.pw_uid}
    secret = agent.home / "tls" / "agent-n1-key.pem"
    m.launch(key, argv=["sh", "-c", f"id -u; readlink /proc/self/ns/net; ls -d /sys/fs/cgroup; ! cat {secret}"])
    assert m.update()["state"] == "RUNNING"
    assert m.outcome(key)["state"] == "FINISHED"
    out, err = (x.decode() for x in m.output(key)[:2])
    out = out.split("\n")
    assert out[0] == str(pwd.getpwnam(PERSON).pw_uid)
    # The agent's key is none of a task's business.
    assert out[3:] == [""] and f"{secret}: Permission denied" in err, (out, err)
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
    stranger = pwd.getpwnam("bin").pw_uid
    # Whoever gets past the mode of the socket is still asked by the kernel who he is.
    os.chmod(agent.socket, 0o666)
    script = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.exit(len(s.recv(1)))"
    agent.process.terminate()
    agent.process.wait(30)
    subprocess.run(["/usr/bin/python3", "-c", script, agent.socket], check=True, timeout=30, user=stranger)
    assert f"of uid {stranger} connected: only the agent's account" in agent.helper_log()
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


@pytest.mark.parametrize("agent", ["/sys/fs/cgroup"], indirect=True)
def test_without_cgroups_an_attempt_is_killed_by_what_the_helper_noted_needs_root(agent):
    m, key = agent.master, agent.master.key(0)
    assert "cgroup" in agent.registered["missing_isolation"]
    m.launch(key, argv=["sleep", "1013"])
    assert m.update()["state"] == "RUNNING"
    [executor] = agent.executors()
    helper = agent.as_the_agent()
    assert helper.ask(probe={"key": key})["alive"] == 1
    assert helper.kill(key)
    until(lambda: not alive(executor), "it is killed")
    assert helper.ask(probe={"key": key}).get("alive", 0) == 0
    helper.close()
    agent.start()
    m.welcome()
    assert m.outcome(key)["state"] == "LOST"


@pytest.mark.parametrize("agent", ["/sys/fs/cgroup"], indirect=True)
def test_without_cgroups_what_the_helper_cannot_see_is_not_over_needs_root(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "1014"])
    assert m.update()["state"] == "RUNNING"
    [executor] = agent.executors()
    numbers = sorted(int(name) for name in os.listdir(f"/proc/{agent.helper.pid}/fd"))
    assert numbers == list(range(len(numbers)))
    _, most = resource.prlimit(agent.helper.pid, resource.RLIMIT_NOFILE)
    os.kill(executor, signal.SIGSTOP)  # it does not report to the next agent, who asks the helper
    try:
        resource.prlimit(agent.helper.pid, resource.RLIMIT_NOFILE, (len(numbers), most))
        agent.process.kill()
        agent.process.wait(30)
        agent.start()
        m.welcome()
        said = "Too many open files: what runs there cannot be seen or ended: it counts as running, and is looked for again"
        until(lambda: said in agent.helper_log(), lambda: f"{agent.log()}\n{agent.helper_log()}")
        m.send(kill={"keys": [key]})
    finally:
        resource.prlimit(agent.helper.pid, resource.RLIMIT_NOFILE, (most, most))
        os.kill(executor, signal.SIGCONT)
    assert m.outcome(key)["state"] == "KILLED"
    assert agent.helper_log().count(said) == 1


@pytest.mark.parametrize("agent", [None, "/sys/fs/cgroup"], indirect=True)
@pytest.mark.parametrize("noted", [True, False])
def test_a_helper_ends_all_but_what_it_is_told_to_keep_needs_root(agent, noted):
    m, keys = agent.master, [agent.master.key(i) for i in range(3)]
    executors = []
    for i, key in enumerate(keys):
        m.launch(key, argv=["sh", "-c", f"sleep 103{i} & wait"])
        assert m.update()["state"] == "RUNNING"
        executors += [pid for pid in agent.executors() if pid not in executors]
    helper = agent.as_the_agent()
    if not noted:  # as if a helper had been killed between a launch and its note
        for note in agent.state.glob("run/*/executor"):
            note.unlink()
    assert helper.ask(sweep={"keep": keys}).get("alive", 0) == 0
    assert all(alive(pid) for pid in executors)
    # A helper that dies on the way: the next one has as much to do as is left.
    kept = [{**keys[1], "job": ""}]
    assert helper.ask(sweep={"keep": kept})["alive"] == 1
    helper.close()
    agent.helper.kill()
    agent.helper.wait(30)
    agent.start_helper()
    helper = HelperLink(agent)
    until(lambda: not helper.ask(sweep={"keep": kept}).get("alive"), "it meets nothing more")
    assert [alive(pid) for pid in executors] == [False, True, False]
    assert [w.strip() for _, w in processes_naming("sleep 103") if w.startswith("sleep")] == ["sleep 1031"]
    left = {Path(p).parent.name for p in agent.cgroups() if p.endswith("/task")}
    assert left == (set() if agent.without else {name_of(keys[1])})
    assert helper.ask(sweep={"keep": kept}).get("alive", 0) == 0  # again is no error
    helper.close()
    agent.start()
    m.welcome()
    assert {m.outcome(keys[0])["state"], m.outcome(keys[2])["state"]} == {"LOST"}
    m.send(kill={"keys": [keys[1]]})
    assert m.outcome(keys[1])["state"] == "KILLED"


def test_a_node_whose_remains_do_not_die_stays_silent_and_says_why_needs_root(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "1035"])
    assert m.update()["state"] == "RUNNING"
    own = next((Path(p).parent for p in agent.cgroups() if p.endswith("/exec") and Path(p, "cgroup.type").exists()), None)
    if own is None:
        pytest.skip("no cgroup2")
    m.send(kill={"keys": [key]})
    assert m.outcome(key)["state"] == "KILLED"
    until(lambda: not agent.cgroups(), "what is over is cleaned up")
    group = own.parent / f"{m.incarnation:x}-1-1-1-1"
    group.mkdir(parents=True)
    remains = subprocess.Popen(["sleep", "1036"])
    try:
        (group / "cgroup.type").write_text("threaded")  # neither cgroup.kill nor cgroup.procs is of any use there
        (group.parent / "cgroup.procs").write_text(str(remains.pid))
        (group / "cgroup.threads").write_text(str(remains.pid))
        agent.process.kill()
        agent.process.wait(30)
        (agent.state / "checkpoint/checkpoint").unlink()
        agent.start()
        stuck = f"{group.name}: the agent's checkpoint does not have it; it was killed and does not die"
        until(lambda: stuck in agent.helper_log(), agent.helper_log)
        agent.process.send_signal(signal.SIGUSR1)
        until(lambda: "state: not registered before what the checkpoint does not have is ended" in agent.log(), agent.log)
        assert agent.log().count("registered with the master") == 1
    finally:
        remains.kill()
        remains.wait(30)
    m.welcome()
    until(lambda: agent.log().count("registered with the master") == 2, agent.log)


def test_a_sweep_that_cannot_be_is_refused_and_ends_nothing_needs_root(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "1034"])
    assert m.update()["state"] == "RUNNING"
    helper = agent.as_the_agent()
    reply = helper.ask(sweep={"keep": [{**m.key(i), "job": ""} for i in range(65537)]})
    assert "at most 65536" in reply["error"] and not reply.get("alive")
    request = helper.schema.encode("HelperRequest", {"id": 1, "sweep": {"keep": []}})
    for bad in (request + b"\x3a\x02\x0a\x00", b"\x08\x01\x3a\x7f"):  # a key without its parts; one that is cut
        link = HelperLink(agent) if bad is not None else None
        helper.close()
        helper = link
        helper.socket.sendall(struct.pack(">I", len(bad)) + bad)
        assert helper.stream.read(1) == b""
    helper.close()
    assert len(agent.executors()) == 1
    agent.start()
    register = m.welcome()
    assert len(register["tasks"]) == 1
    m.send(kill={"keys": [key]})
    assert m.outcome(key)["state"] == "KILLED"


@pytest.mark.parametrize("agent", ["/sys/fs/cgroup"], indirect=True)
@pytest.mark.parametrize("before, account", [([], "bin"), (["unshare", "--pid", "--fork"], "root")])
def test_who_calls_himself_an_executor_is_not_killed_needs_root(agent, before, account):
    """A user's process, and one of root's in a container, where an agent's state directory may be called as ours."""
    key = agent.master.key(0)
    (agent.home / "attempt").write_text("echo; read x")
    imposter = subprocess.Popen([*before, "/bin/sh", "attempt", name_of(key), agent.state], cwd=agent.home,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
                                user=pwd.getpwnam(account).pw_uid)
    assert imposter.stdout.readline() == b"\n"
    helper = agent.as_the_agent()
    assert helper.ask(probe={"key": key}).get("alive", 0) == 0
    assert not helper.kill(key)
    assert helper.ask(sweep={"keep": []}).get("alive", 0) == 0
    assert imposter.poll() is None
    imposter.communicate(b"\n", timeout=30)
    assert imposter.returncode == 0
    helper.close()
    agent.start()
    agent.master.welcome()


def test_the_helper_refuses_what_is_not_the_attempts_own_needs_root(agent):
    key, helper = agent.master.key(0), agent.as_the_agent()
    name = name_of(key)
    for wrong, word in (({"agent_address": "10.0.0.1:22"}, "executor_listen"),
                        ({"agent_address": "/run/x.sock"}, "executor_listen"),
                        ({"sandbox": "/etc"}, "another directory"),
                        ({"run_directory": f"{agent.state}/run/../{name}"}, "another directory"),
                        ({"spec": {"argv": ["id"], "user": "root"}}, "run_as"),
                        ({"spec": {"argv": ["id"], "user": "0"}}, "account 0"),
                        ({"spec": {"argv": ["id"], "user": ACCOUNT}}, "below uid 1000"),
                        # Users: another account, none, their own where that is the system's.
                        ({"spec": {"argv": ["id"], "user": PERSON, "submitted_by": "user:eve"}}, "of its own name only"),
                        ({"spec": {"argv": ["id"], "user": "", "submitted_by": "user:eve"}}, "of its own name only"),
                        ({"spec": {"argv": ["id"], "user": "root", "submitted_by": "user:root"}}, "below uid 1000"),
                        ({"spec": {"argv": ["id"], "user": "daemon", "submitted_by": "user:daemon"}}, "below uid 1000"),
                        ({"spec": {"argv": ["id"], "user": "bin", "submitted_by": "operator:eve"}}, "run_as")):
        assert word in helper.launch(key, **wrong)["error"]
    assert "error" not in helper.launch(key, spec={"argv": ["id"], "user": PERSON, "submitted_by": f"user:{PERSON}"})
    helper.kill(key)
    helper.ask(remove={"key": key, "sandbox": f"{agent.state}/sandbox/{name}"})
    assert "another directory" in helper.ask(remove={"key": key, "sandbox": "/etc"})["error"]
    assert "not a request" in helper.ask()["error"]
    assert not (agent.state / "sandbox" / name).exists()
    assert agent.executors() == [] and agent.cgroups() == []
    helper.close()
    agent.start()
    agent.master.welcome()


def test_output_under_a_strangers_second_name_is_not_given_away_needs_root(agent):
    key, helper = agent.master.key(0), agent.as_the_agent()
    assert "error" not in helper.launch(key)
    assert helper.kill(key)
    assert "error" not in helper.ask(remove={"key": key})  # the control groups
    # What a task could have put there, where the kernel lets everybody make second names.
    secret = agent.home / "secret"
    secret.write_text("of root")
    stdout = agent.state / "sandbox" / name_of(key) / "stdout"
    stdout.unlink(missing_ok=True)
    os.link(secret, stdout)
    assert "error" not in helper.launch(key)
    until(lambda: f"{stdout}: Operation not permitted" in agent.helper_log(), "the executor refuses")
    until(lambda: not agent.executors(), "it leaves")
    assert secret.stat().st_uid == 0
    assert "error" not in helper.ask(remove={"key": key, "sandbox": f"{agent.state}/sandbox/{name_of(key)}"})
    assert secret.read_text() == "of root"
    helper.close()
    agent.start()
    agent.master.welcome()


def test_an_attempts_groups_are_new_with_each_launch_needs_root(agent):
    key, helper = agent.master.key(0), agent.as_the_agent()
    assert "error" not in helper.launch(key)
    until(agent.executors, "what was launched is an executor's program by now")
    executors, groups = agent.executors(), sorted(agent.cgroups())
    assert "is there already: Device or resource busy" in helper.launch(key)["error"]
    assert (agent.executors(), sorted(agent.cgroups())) == (executors, groups)  # limits included
    assert helper.kill(key)
    # Where a group was killed once, newer kernels let nothing live that is born there.
    assert "error" not in helper.launch(key)
    assert helper.ask(probe={"key": key})["alive"] == 1
    assert helper.kill(key)
    assert "error" not in helper.ask(remove={"key": key, "sandbox": f"{agent.state}/sandbox/{name_of(key)}"})
    helper.close()
    agent.start()
    agent.master.welcome()


def base_of(agent, key):
    """The root of cgroups that the attempt is below, and the agent's part of it."""
    own = next(Path(p) for p in agent.cgroups() if p.endswith(f"/{name_of(key)}/exec"))
    return own.parents[2], own.parents[1].name


def test_a_helper_elsewhere_with_the_same_path_and_cgroups_waits_needs_root(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "1015"])
    assert m.update()["state"] == "RUNNING"
    _, base = base_of(agent, key)
    other, log = agent.home / "other.conf", agent.home / "other.log"
    other.write_text(agent.conf.read_text().replace(f"helper={agent.socket}", f"helper={agent.home}/other.sock"))
    mount = f"mount -t tmpfs -o mode=711 none {agent.state}"
    with open(log, "ab") as to:  # a state directory of its own, in mounts of its own, under the same path
        second = subprocess.Popen(["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "-",
                                   BUILD / "corral-agent", "helper", "--config", other], stdout=to, stderr=to,
                                  stdin=subprocess.DEVNULL)
    try:
        until(lambda: f"cgroup {base}, a lock on" in log.read_text(), log.read_text)
        assert "waiting for another helper to end" in log.read_text()
        assert second.poll() is None
    finally:
        second.kill()
        second.wait(30)
    m.send(kill={"keys": [key]})
    assert m.outcome(key)["state"] == "KILLED"


def test_who_may_only_read_keeps_no_helper_away_needs_root(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "1016"])
    assert m.update()["state"] == "RUNNING"
    root, base = base_of(agent, key)
    agent.process.kill()
    agent.process.wait(30)
    assert agent.stop_helper() == 0
    with open(root / "cgroup.procs", "rb") as shared:
        fcntl.lockf(shared, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, int(base.split("-")[1], 16))
        agent.start()
        wait_recovered(m, m.welcome())
    said = f"cgroup {base}, a lock on {root}/cgroup.procs: locked by somebody who is no helper: not waited for"
    assert said in agent.helper_log()
    m.send(kill={"keys": [key]})
    assert m.outcome(key)["state"] == "KILLED"


def test_its_unit_hears_that_the_helper_is_ready_and_that_it_lives_needs_root(agent, monkeypatch):
    assert agent.stop_helper() == 0
    assert agent.process.wait(30) == 75
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unit:
        unit.bind(str(agent.home / "notify"))
        unit.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", unit.getsockname())
        monkeypatch.setenv("WATCHDOG_USEC", "100000")
        agent.start_helper()
        monkeypatch.undo()
        words = []
        while words.count("WATCHDOG=1") < 2 or "READY=1" not in words:  # with nothing to do
            words += unit.recv(4096).decode().splitlines()
        agent.start()
        agent.master.welcome()
        words = []
        while not {"WATCHDOG=1", f"STATUS=serving the agent, process {agent.process.pid}"} <= set(words):
            words += unit.recv(4096).decode().splitlines()


def test_a_task_starts_in_no_directory_that_its_account_cannot_reach_needs_root(agent):
    m, key = agent.master, agent.master.key(0)
    closed = agent.home / "closed"
    (closed / "inner").mkdir(parents=True)
    os.chmod(closed, 0o700)
    m.launch(key, argv=["pwd"], working_directory=str(closed / "inner"))
    end = m.outcome(key)
    assert (end["state"], end["reason"]) == ("FAILED", "REASON_CANNOT_EXECUTE")
    assert "working directory: Permission denied" in end["message"]


def test_a_state_directory_of_another_account_is_refused_needs_root(agent):
    assert agent.stop_helper() == 0
    assert agent.process.wait(30) == 75
    os.chown(agent.state, agent.account.pw_uid, -1)
    done = subprocess.run([BUILD / "corral-agent", "helper", "--config", agent.conf], capture_output=True, text=True, timeout=30)
    assert done.returncode == 73
    assert f"state_dir={agent.state}: belongs to uid {agent.account.pw_uid}" in done.stderr
    os.chown(agent.state, 0, -1)
    agent.start()
    agent.master.welcome()
