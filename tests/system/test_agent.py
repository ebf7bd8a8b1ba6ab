# SPDX-License-Identifier: Apache-2.0
"""An agent and its executors, real processes, under a master that the test plays."""
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import BUILD, TOP, processes_naming, until

sys.path.insert(0, str(TOP / "tests/lib"))
from corralpb import Schema  # noqa: E402
from fakemaster import FakeMaster  # noqa: E402

PROTO = TOP / "proto/corral.proto"


def text_of(pid, file):
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return ""


def comm(pid):
    return text_of(pid, "comm").strip()


class Agent:
    """A node with a master of ours, in a directory of its own."""

    def __init__(self, home, *settings):
        self.home = home
        home.mkdir(exist_ok=True)
        self.state = home / "state"
        tls = ["--dir", str(home / "tls")]
        for words in (["init"], ["issue", "master", "m1", "--ip", "127.0.0.1"], ["issue", "agent", "n1"]):
            subprocess.run([BUILD / "corral", "tls", *tls, *words], check=True, capture_output=True, timeout=30)
        self.master = FakeMaster(PROTO, home / "tls")
        self.conf = home / "corral.conf"
        self.conf.write_text("\n".join([
            "[tls]", f"ca={home}/tls/ca.pem", f"cert={home}/tls/agent-n1.pem", f"key={home}/tls/agent-n1-key.pem",
            "[agent]", "name=n1", f"masters={self.master.address}", f"state_dir={self.state}",
            "executor_listen=127.0.0.1:0", "cpus=1", "memory=1G", "disk=10G", "user=root", "default_user=root",
            f"executor={BUILD}/corral-executor", *settings, ""]))
        self.process = None

    def register(self):
        self.start()
        self.registered = self.master.welcome()

    def start(self):
        with open(self.home / "log", "ab") as log:
            self.process = subprocess.Popen([BUILD / "corral-agent", "run", "--config", self.conf], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True)

    def restart(self, signo=signal.SIGKILL):
        self.process.send_signal(signo)
        self.process.wait(30)
        self.start()
        return self.master.welcome()

    def executors(self):
        return [pid for pid, words in processes_naming("corral-executor")
                if f" attempt {self.master.incarnation:x}-" in words and comm(pid) != "corral-init"]

    def cgroups(self):
        return [path for path, _, _ in os.walk("/sys/fs/cgroup") if f"/{self.master.incarnation:x}-" in path]

    def log(self):
        return (self.home / "log").read_text()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) == 0, self.log()
        self.master.close()

    def kill(self):
        if self.process is not None:
            self.process.kill()
        for pid in self.executors():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def agent(home):
    a = Agent(home)
    try:
        a.register()
        yield a
        # Nothing is left behind: no process, no cgroup.
        until(lambda: not a.executors(), lambda: f"executors left: {processes_naming('corral-executor')}")
        until(lambda: not a.cgroups(), lambda: f"cgroups left: {a.cgroups()}\n{a.log()}")
        a.stop()
    finally:
        a.kill()
        print(a.log())


def test_a_task_runs_and_its_output_and_status_come_back(agent):
    m, key = agent.master, agent.master.key(0)
    assert agent.registered["capacity"]["cpu_milli"] == 1000
    m.launch(key, argv=["sh", "-c", "echo out $X; echo err >&2; exit 3"], environment=["X=42"])
    running = m.update()
    assert (running["state"], running["sequence"]) == ("RUNNING", 1)
    end = m.outcome(key)
    assert (end["state"], end["reason"], end["exit_code"], end["sequence"]) == ("FAILED", "REASON_EXIT", 3, 2)
    assert m.output(key) == (b"out 42\n", b"err\n", None)
    until(lambda: not agent.executors(), "the executor leaves when its final status is acknowledged")


def test_a_command_that_is_not_there_is_127(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["/no/such/program"])
    end = m.outcome(key)
    assert (end["state"], end["reason"], end["exit_code"]) == ("FAILED", "REASON_CANNOT_EXECUTE", 127)
    assert "/no/such/program" in end["message"]


def wait_recovered(m, register):
    """The only task of this registration runs: an executor that was back before it is in it, another in an update.
    LAUNCHING: it was back, and had not had its word before."""
    if register["tasks"][0]["state"] != "RUNNING":
        assert register["tasks"][0]["state"] in ("RECOVERING", "LAUNCHING")
        assert m.update()["state"] == "RUNNING"


def test_an_agent_that_was_killed_adopts_its_executors_and_reports_their_end(agent):
    m, key = agent.master, agent.master.key(0)
    gate = agent.home / "gate"
    m.launch(key, argv=["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done; exit 5"])
    assert m.update()["state"] == "RUNNING"
    [executor] = agent.executors()
    register = agent.restart()
    assert [t["key"] for t in register["tasks"]] == [key]
    wait_recovered(m, register)
    assert agent.executors() == [executor]
    gate.touch()
    assert m.outcome(key)["exit_code"] == 5


def helper_of(agent):
    start, parent = "Name:\tcorral-helper\n", f"\nPPid:\t{agent.process.pid}\n"
    [helper] = [pid for pid in os.listdir("/proc") if (t := text_of(pid, "status")).startswith(start) and parent in t]
    return int(helper)


def test_an_agent_waits_for_the_helper_of_the_one_that_was_killed_needs_root(agent):
    if os.geteuid() != 0:
        pytest.skip("without root there is no helper of its own")
    m, key = agent.master, agent.master.key(0)
    left = helper_of(agent)
    os.kill(left, signal.SIGSTOP)  # as if the machine were slow
    try:
        m.launch(key, argv=["sleep", "1025"])
        for n in (1, 2):  # by the second, it has been asked for the launch
            agent.process.send_signal(signal.SIGUSR1)
            until(lambda: agent.log().count(": launching, executor") == n, agent.log)
        agent.process.kill()
        agent.process.wait(30)
        agent.start()
        until(lambda: "helper.lock: waiting for another helper to end" in agent.log(), agent.log)
        assert agent.process.poll() is None
    finally:
        os.kill(left, signal.SIGCONT)
    wait_recovered(m, m.welcome())  # launched by the first, and known to the second
    m.send(kill={"keys": [key]})
    assert m.outcome(key)["state"] == "KILLED"


def test_a_task_that_ends_while_the_agent_is_down_is_reported_by_the_next_one(agent):
    m, key = agent.master, agent.master.key(0)
    gate = agent.home / "gate"
    m.launch(key, argv=["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done; exit 6"])
    assert m.update()["state"] == "RUNNING"
    agent.process.kill()
    agent.process.wait()
    gate.touch()
    status = until(lambda: list(agent.state.glob("run/*/status")), "the executor writes the final status")
    assert len(status) == 1
    agent.start()
    m.welcome()
    assert m.outcome(key)["exit_code"] == 6


def running(*commands):
    return [w.strip() for _, w in processes_naming("sleep 10") if w.strip() in commands]


def lose_checkpoint(agent):
    agent.process.kill()
    agent.process.wait(30)
    (agent.state / "checkpoint/checkpoint").unlink()


def test_what_a_lost_checkpoint_had_is_ended_before_the_node_registers(agent):
    m, other = agent.master, None
    m.launch(m.key(0), argv=["sh", "-c", "trap '' TERM HUP; sleep 1021 & wait"])
    assert m.update()["state"] == "RUNNING"
    m.launch(m.key(1), argv=["sleep", "1022"])
    assert m.update()["state"] == "RUNNING"
    try:
        # Another agent's on this machine, of another cluster with the same numbers.
        other = Agent(agent.home / "other")
        other.master.incarnation = m.incarnation
        other.register()
        other.master.launch(m.key(0), argv=["sleep", "1023"])
        assert other.master.update()["state"] == "RUNNING"
        until(lambda: len(running("sleep 1021", "sleep 1022", "sleep 1023")) == 3, "all run")
        lose_checkpoint(agent)
        agent.start()
        register = m.next("register")
        # Now, and not a moment later: what it offers is free.
        assert running("sleep 1021", "sleep 1022", "sleep 1023") == ["sleep 1023"]
        assert "tasks" not in register
        assert register["capacity"]["cpu_milli"] == 1000
        assert not [p for p in agent.cgroups() if f"/{m.incarnation:x}-1-" in p]
        # It was done once and for all: the next start has nothing of it to do.
        agent.process.kill()
        agent.process.wait(30)
        agent.start()
        m.welcome()
        m.launch(m.key(2), argv=["true"], resources={"cpu_milli": 1000, "memory_bytes": 64 << 20})
        assert m.outcome(m.key(2))["state"] == "FINISHED"
        wait_recovered(other.master, other.restart())
        other.master.send(kill={"keys": [m.key(0)]})
        assert other.master.outcome(m.key(0))["state"] == "KILLED"
        until(lambda: not agent.cgroups(), "what is over is cleaned up")
        other.stop()
    finally:
        if other is not None:
            other.kill()
            print(other.log())


def test_a_damaged_checkpoint_keeps_what_stands_in_it(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "1024"])
    assert m.update()["state"] == "RUNNING"
    [executor] = agent.executors()
    until(lambda: running("sleep 1024"), "it runs")
    agent.process.kill()
    agent.process.wait(30)
    with open(agent.state / "checkpoint/checkpoint", "ab") as f:
        f.write(b"\x08\0\0\0rotten..rotten..")
    agent.start()
    wait_recovered(m, m.welcome())
    assert "damaged at byte" in agent.log()
    assert agent.executors() == [executor] and running("sleep 1024")
    m.send(kill={"keys": [key]})
    assert m.outcome(key)["state"] == "KILLED"


def test_a_killed_executor_is_a_lost_task_and_a_dead_tree(agent):
    m, key = agent.master, agent.master.key(0)
    pids = agent.home / "pids"
    # Without root, what opens a session of its own escapes: corral-executor(8) says so.
    escape = "(setsid sleep 1002 &)" if os.geteuid() == 0 else ":"
    m.launch(key, argv=["sh", "-c", f"trap '' TERM HUP; sleep 1001 & {escape}; touch {pids}; wait"])
    assert m.update()["state"] == "RUNNING"
    until(pids.exists, "the task runs")
    [executor] = agent.executors()
    os.kill(executor, signal.SIGKILL)
    end = m.outcome(key)
    assert (end["state"], end["reason"]) == ("LOST", "REASON_EXECUTOR_LOST")
    assert [w for p, w in processes_naming("sleep 100") if w.startswith("sleep 100")] == []


def test_an_executor_killed_while_the_agent_is_down_is_lost_as_well(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "1003"])
    assert m.update()["state"] == "RUNNING"
    agent.process.kill()
    agent.process.wait()
    [executor] = agent.executors()
    os.kill(executor, signal.SIGKILL)
    agent.start()
    m.welcome()
    assert m.outcome(key)["state"] == "LOST"
    assert processes_naming("sleep 1003") == []


def test_a_kill_is_graceful_then_hard_and_repeats_its_answer(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sh", "-c", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done"])
    assert m.update()["state"] == "RUNNING"
    until(lambda: any(f.read_bytes() for f in agent.state.glob("sandbox/*/stdout")), "it is ready")
    m.send(kill={"keys": [key]})
    end = m.outcome(key)
    assert (end["state"], end["reason"]) == ("KILLED", "REASON_STOPPED")
    assert m.output(key)[0] == b"ready\nbye\n"
    m.send(kill={"keys": [key]})
    assert m.update()["state"] == "KILLED"

    stubborn = m.key(1)
    m.launch(stubborn, argv=["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], timeout_stop_ms=100)
    assert m.update()["state"] == "RUNNING"
    m.send(kill={"keys": [stubborn]})
    assert m.outcome(stubborn)["state"] == "KILLED"


def test_a_launch_after_its_kill_is_never_started(agent):
    m, key = agent.master, agent.master.key(0)
    m.send(kill={"keys": [key]})
    assert m.outcome(key)["state"] == "KILLED"
    m.launch(key, argv=["touch", str(agent.home / "started")])
    assert m.update()["state"] == "KILLED"
    agent.restart()
    m.launch(key, argv=["touch", str(agent.home / "started")])
    assert m.update()["state"] == "KILLED"
    assert not (agent.home / "started").exists()


def test_more_than_the_node_has_is_refused(agent):
    m = agent.master
    m.launch(m.key(0), argv=["sleep", "1004"], resources={"cpu_milli": 700})
    assert m.update()["state"] == "RUNNING"
    m.launch(m.key(1), argv=["true"], resources={"cpu_milli": 400})
    end = m.outcome(m.key(1))
    assert (end["state"], end["reason"]) == ("LOST", "REASON_REFUSED")
    assert "700 of 1000" in end["message"]
    m.send(kill={"keys": [m.key(0)]})
    assert m.outcome(m.key(0))["state"] == "KILLED"


def test_an_older_term_is_refused_also_after_a_restart(agent):
    m = agent.master
    agent.restart()
    m.term = {"era": 1, "czxid": 6}
    m.launch(m.key(0), argv=["true"])
    m.next("gone")
    assert "is older than (1, 0x7)" in agent.log()
    m.term = {"era": 1, "czxid": 7}


def test_input_reaches_an_interactive_task(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sh", "-c", "cat; echo end"], interactive=True)
    m.send(stream_open={"stream": 5, "key": key, "follow": True, "input": True})
    m.send(stream_data={"stream": 5, "fd": 0, "data": b"hello\n"})
    m.send(stream_data={"stream": 5, "fd": 0, "eof": True})
    got, acked = b"", 0
    while True:
        _, message = m.inbox.get(timeout=30)
        if "stream_data" in message:
            got += message["stream_data"]["data"]
        elif "stream_ack" in message:
            acked += message["stream_ack"]["bytes"]
        elif "updates" in message:
            for u in message["updates"]["updates"]:
                m.ack(u)
        elif "stream_close" in message:
            break
    assert (got, acked) == (b"hello\nend\n", 6)


def test_much_output_is_streamed_whole_within_the_window(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x"])
    out, err, error = m.output(key)
    assert (len(out), set(out), err, error) == (5000000, {ord("x")}, b"", None)


def test_a_port_that_is_taken_and_a_wrong_setting_have_statuses_of_their_own(agent):
    conf, text = agent.home / "other.conf", agent.conf.read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for settings, status, word in ((f"executor_listen=127.0.0.1:{port}", 69, f"127.0.0.1:{port}"),
                                       ("attributes=rack", 78, "NAME=VALUE"),
                                       ("cert=/nonexistent\nkey=/nonexistent", 78, "/nonexistent"),
                                       (f"state_dir={agent.state}", 73, "another agent")):
            conf.write_text(f"{text}\nstate_dir={agent.home}/other\n{settings}\n")
            done = subprocess.run([BUILD / "corral-agent", "run", "--config", conf], capture_output=True, text=True, timeout=30)
            assert (done.returncode, word in done.stderr) == (status, True), done.stderr


def test_its_unit_hears_that_it_is_ready_and_that_it_lives(agent):
    agent.process.terminate()
    agent.process.wait(30)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unit, open(agent.home / "log", "ab") as log:
        unit.bind(str(agent.home / "notify"))
        unit.settimeout(30)
        agent.process = subprocess.Popen([BUILD / "corral-agent", "run", "--config", agent.conf], stdout=log, stderr=log,
                                         stdin=subprocess.DEVNULL, start_new_session=True,
                                         env={**os.environ, "NOTIFY_SOCKET": unit.getsockname(), "WATCHDOG_USEC": "1000000"})
        words = unit.recv(4096).decode().splitlines()
        agent.master.welcome()
        while not {"READY=1", "WATCHDOG=1", "STATUS=registered"} <= set(words):
            words += unit.recv(4096).decode().splitlines()


def test_output_that_cannot_be_opened_is_said(agent):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sh", "-c", "echo lost; rm stdout; mkfifo stdout; echo kept >&2"])
    assert m.outcome(key)["state"] == "FINISHED"
    out, err, error = m.output(key)
    [path] = agent.state.glob("sandbox/*/stdout")
    assert (out, err, error) == (b"", b"kept\n", f"{path}: Permission denied")
    assert error in agent.log()


def test_too_much_memory_is_said_needs_root(agent):
    if os.geteuid() != 0:
        pytest.skip("memory limits need root")
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv="dd bs=256M count=1 if=/dev/zero of=/dev/null".split(), memory_max_bytes=32 << 20)
    end = m.outcome(key)
    assert (end["state"], end["reason"]) == ("FAILED", "REASON_OUT_OF_MEMORY")


@pytest.mark.parametrize("user", ["daemon", "nobody-of-that-name", "4294967296", "-1", "../root", "x" * 5000])
def test_an_account_that_is_none_or_that_run_as_does_not_allow_is_refused(agent, user):
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["id"], user=user)
    end = m.outcome(key)
    assert (end["state"], end["reason"]) == ("FAILED", "REASON_REFUSED")
    assert user[:50] in end["message"]


def test_a_tasks_environment_is_the_tasks_alone(agent):
    """What runs with privilege has nothing of it: no LD_PRELOAD of a task's reaches the executor."""
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "60"], environment=["LD_PRELOAD=/nowhere/x.so"])
    m.update()
    [executor] = agent.executors()
    assert b"LD_PRELOAD" not in Path(f"/proc/{executor}/environ").read_bytes()
    m.send(kill={"keys": [key]})
    m.outcome(key)


def test_an_executor_is_small_needs_root(agent):
    if os.geteuid() != 0:
        pytest.skip("the memory of a process that is not dumpable is shown to root only")
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "1005"])
    assert m.update()["state"] == "RUNNING"
    [executor] = agent.executors()
    lines = Path(f"/proc/{executor}/smaps_rollup").read_text().splitlines()
    private = sum(int(l.split()[1]) for l in lines if l.startswith("Private_"))
    assert "asan" in BUILD.name or private < 3 * 1024, private
    m.send(kill={"keys": [key]})
    m.outcome(key)


def test_an_executor_keeps_no_privilege_but_signals_needs_root(agent):
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's executor has no privilege to give up")
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "1009"])
    assert m.update()["state"] == "RUNNING"
    [executor] = agent.executors()
    status = Path(f"/proc/{executor}/status").read_text()
    assert "CapEff:\t0000000000000020\n" in status and "CapPrm:\t0000000000000020\n" in status
    m.send(kill={"keys": [key]})
    assert m.outcome(key)["state"] == "KILLED"


def test_helper_and_agent_end_together_and_tasks_go_on_needs_root(agent):
    if os.geteuid() != 0:
        pytest.skip("the helper is a process of its own only as root")
    m, key = agent.master, agent.master.key(0)
    m.launch(key, argv=["sleep", "1006"])
    assert m.update()["state"] == "RUNNING"
    [helper] = [int(p) for p in Path(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children").read_text().split()
                if comm(p) == "corral-helper"]
    os.kill(helper, signal.SIGKILL)
    assert agent.process.wait(30) == 75
    assert len(agent.executors()) == 1
    agent.start()
    wait_recovered(m, m.welcome())
    m.send(kill={"keys": [key]})
    assert m.outcome(key)["state"] == "KILLED"


def run_spec(tmp_path, **spec):
    """`corral-executor run` of this spec: the finished process."""
    path = tmp_path / "spec"
    path.write_bytes(Schema(PROTO).encode("TaskSpec", spec))
    return subprocess.run([BUILD / "corral-executor", "run", "--spec", path], capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("spec, status", [
    ({"argv": ["true"]}, 0),
    ({"argv": ["sh", "-c", "exit 9"]}, 9),
    ({"argv": ["sh", "-c", "kill -9 $$"]}, 137),
    ({"argv": ["/no/such/program"]}, 127),
    ({"argv": ["/etc/passwd"]}, 126),
    ({"argv": ["sleep", "1007"], "runtime_max_ms": 50}, 143),
    ({"argv": ["true"], "exec_start_pre": [{"argv": ["false"]}]}, 1),
    ({"argv": ["true"], "exec_start_pre": [{"argv": ["false"], "ignore_failure": True}]}, 0),
    ({"argv": ["true"], "working_directory": "/no/such/directory"}, 125),
    ({"argv": []}, 125),
])
def test_an_executor_in_the_foreground_passes_the_status_through(tmp_path, spec, status):
    done = run_spec(tmp_path, **spec)
    assert done.returncode == status, done.stderr
    assert status not in (125, 126, 127) or done.stderr


def test_an_executor_in_the_foreground_leaves_no_process_behind(tmp_path):
    done = run_spec(tmp_path, argv=["sh", "-c", "(setsid sleep 1008 >/dev/null 2>&1 &); sleep 1008 >/dev/null 2>&1 & echo done"])
    assert (done.returncode, done.stdout) == (0, b"done\n")
    assert processes_naming("sleep 1008") == []


def copy_with_libraries(program, root):
    """The program and what it loads, at the same places below root."""
    text = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    for path in [str(program), *(w for w in text.split() if w.startswith("/"))]:
        to = Path(f"{root}/{path}")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(Path(path).read_bytes())
        to.chmod(0o755)


def test_a_task_runs_in_a_plain_chroot_needs_root(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    root = tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    (root / "sys").mkdir()
    (root / "dev").mkdir()
    for program in (BUILD / "corral-executor", "/bin/sh", "/bin/readlink"):
        copy_with_libraries(program, root)
    task = ["/bin/sh", "-c", "echo $$; readlink /proc/self/ns/pid"]
    (root / "spec").write_bytes(Schema(PROTO).encode("TaskSpec", {"argv": task}))
    # Its / is no mount point, and the mount that holds it is shared, as systemd makes all.
    script = """mount --make-rshared / && mount -t proc proc $1/proc && mount --rbind /sys $1/sys &&
            mount --rbind /dev $1/dev || exit 99
        chroot $1 $2 run --spec /spec; status=$?
        echo $(readlink /proc/self/ns/pid) $(grep -c " $1/proc " /proc/self/mountinfo); exit $status"""
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "-", root, BUILD / "corral-executor"], capture_output=True,
                          text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    pid, namespace, outside, mounts = done.stdout.split()
    assert int(pid) < 10 and namespace != outside
    assert mounts == "1", "the task's /proc is seen outside"
