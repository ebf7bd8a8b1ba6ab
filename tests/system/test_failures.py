# SPDX-License-Identifier: Apache-2.0
"""What may fail does: daemons are killed, the disk is full, strangers knock, and work goes on."""
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from conftest import DEADLINE_S, Cluster, alive, descendants, processes_naming, until

WAITER = """[Job]
Count={count}
[Task]
ExecStart=/bin/sh -c 'while ! test -e {gate}; do sleep 0.05; done; echo through'
Restart=on-failure
RestartSec=0
StartLimitBurst=20
[Resources]
CPU=0.1
Memory=16M
"""


class Gate:
    """A file that running tasks wait for."""

    def __init__(self, cluster, name):
        self.path = cluster.home / name

    def open(self):
        self.path.write_text("")


def running(cluster, name, count):
    """Until so many tasks run; a job's own count has those, too, that were only just sent to their agents."""
    def states():
        run = cluster.corral("ps", name, "--json", status=None)
        return [t["state"] for t in json.loads(run.stdout)["tasks"]] if run.returncode == 0 else []
    until(lambda: states().count("running") == count, lambda: f"{count} tasks of {name} run: {states()}\n{cluster.logs()}")


def attempts(cluster, name):
    return [t.get("attempt") for t in cluster.json("ps", name)["tasks"]]


def assert_first_attempts(cluster, name, count):
    assert attempts(cluster, name) == [1] * count, cluster.logs()


def test_tasks_survive_kill_9_of_their_agent(cluster):
    gate = Gate(cluster, "gate-agent")
    cluster.submit("a", WAITER.format(count=3, gate=gate.path))
    running(cluster, "a", 3)
    node = next(iter(cluster.daemons("agent")))
    cluster.kill_daemon(node)
    cluster.nodes_ready(1)
    running(cluster, "a", 3)
    gate.open()
    cluster.wait_job("a", "finished")
    assert_first_attempts(cluster, "a", 3)


def test_a_lost_checkpoint_leaves_no_task_behind_that_is_made_again(cluster):
    gate = Gate(cluster, "gate-checkpoint")
    cluster.submit("l", WAITER.format(count=2, gate=gate.path))
    running(cluster, "l", 2)

    def shells():
        return [pid for pid, words in processes_naming(str(gate.path)) if words.startswith("/bin/sh -c while")]
    before = until(lambda: len(shells()) == 2 and shells(), "both run")
    [checkpoint] = cluster.home.rglob("checkpoint/checkpoint")
    checkpoint.unlink()
    cluster.kill_daemon(next(iter(cluster.daemons("agent"))))
    cluster.nodes_ready(1)
    until(lambda: attempts(cluster, "l") == [2, 2], lambda: f"both are made again: {attempts(cluster, 'l')}")
    running(cluster, "l", 2)
    until(lambda: len(shells()) >= 2, "both run again")
    assert len(shells()) == 2 and not set(shells()) & set(before), cluster.logs()
    gate.open()
    cluster.wait_job("l", "finished")


def test_tasks_survive_kill_9_of_the_only_master(cluster):
    gate = Gate(cluster, "gate-master")
    cluster.submit("m", WAITER.format(count=3, gate=gate.path))
    running(cluster, "m", 3)
    cluster.kill_daemon(next(iter(cluster.daemons("master"))))
    cluster.leader()
    cluster.nodes_ready(1)
    running(cluster, "m", 3)
    gate.open()
    cluster.wait_job("m", "finished")
    assert_first_attempts(cluster, "m", 3)


def test_jobs_and_tasks_survive_kill_9_of_the_coordination_server(cluster):
    gate = Gate(cluster, "gate-zk")
    cluster.submit("z", WAITER.format(count=2, gate=gate.path))
    running(cluster, "z", 2)
    cluster.kill_daemon("zkserver")
    cluster.leader()
    cluster.nodes_ready(1)
    gate.open()
    cluster.wait_job("z", "finished")
    assert_first_attempts(cluster, "z", 2)


def test_a_killed_executor_costs_one_attempt(cluster):
    gate = Gate(cluster, "gate-executor")
    cluster.submit("e", WAITER.format(count=1, gate=gate.path))
    running(cluster, "e", 1)
    ours = descendants(cluster.dev.pid)
    executors = [pid for pid, words in processes_naming("corral-executor attempt") if pid in ours]
    assert executors
    for pid in executors:
        with contextlib.suppress(ProcessLookupError):  # the init of one ends with it
            os.kill(pid, signal.SIGKILL)
    until(lambda: attempts(cluster, "e") == [2], lambda: f"a second attempt: {attempts(cluster, 'e')}")
    gate.open()
    cluster.wait_job("e", "finished")


def test_the_second_master_takes_over_and_the_standby_shows_the_way(wide_cluster):
    cluster = wide_cluster
    gate = Gate(cluster, "gate-wide")
    cluster.submit("w", WAITER.format(count=6, gate=gate.path))
    running(cluster, "w", 6)
    old = cluster.leader()
    os.kill(cluster.daemons()[old][0], signal.SIGKILL)
    until(lambda: cluster.leader() != old, "the other master leads")
    cluster.nodes_ready(3)
    until(lambda: cluster.daemons()[old][0] != 0, "the killed one is back")
    until(lambda: cluster.said(f"{old} ready again"), "the killed one is ready")
    standby = cluster.daemons()[old][1]
    new = cluster.leader()
    until(lambda: old in cluster.corral("status", "-q").stdout.split(), "the killed one is listed again")
    rows = cluster.corral("status", "--no-header", "-o", "master,state,address").stdout.splitlines()
    assert [row.split() for row in rows] == [[new, "leading", cluster.daemons()[new][1]], [old, "standby", standby]]
    assert [m["name"] for m in cluster.json("status")["masters"]] == [new, old]
    run = cluster.corral("ps", "w", "-q", "--master", standby)
    assert len(run.stdout.split()) == 6
    gate.open()
    cluster.wait_job("w", "finished")
    assert_first_attempts(cluster, "w", 6)


def context(cluster, certificate=True):
    c = ssl.create_default_context(cafile=cluster.state / "tls/ca.pem")
    if certificate:
        c.load_cert_chain(cluster.state / "tls/operator.pem", cluster.state / "tls/operator-key.pem")
    return c


def get(cluster, path, certificate=True):
    address = next(iter(cluster.daemons("master").values()))[1]
    try:
        with urllib.request.urlopen(f"https://{address}{path}", context=context(cluster, certificate), timeout=DEADLINE_S) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def test_without_a_certificate_only_what_is_open_answers(cluster):
    assert get(cluster, "/health", certificate=False)[0] == 200
    status, metrics = get(cluster, "/metrics", certificate=False)
    assert status == 200 and re.search(r"^corral_\w+", metrics, re.M)
    for path in ("jobs", "tasks", "nodes", "status"):
        assert get(cluster, f"/corral/v1/{path}", certificate=False)[0] == 401
        assert get(cluster, f"/corral/v1/{path}")[0] == 200


def test_a_strangers_certificate_does_not_get_in(cluster, tmp_path):
    cluster.corral("tls", "init", "--dir", str(tmp_path), "--cluster", "dev")
    cluster.corral("tls", "issue", "operator", "eve", "--dir", str(tmp_path))
    run = cluster.corral("ps", "--cert", str(tmp_path / "operator-eve.pem"), "--key", str(tmp_path / "operator-eve-key.pem"),
                         status=None)
    assert run.returncode in (69, 77) and run.stdout == "" and run.stderr.startswith("corral: ")


def test_the_ensemble_shows_strangers_nothing_below_corral(cluster):
    plain = cluster.daemons()["zkserver"][1]
    run = cluster.corral("--hosts", plain, "get", "/corral/era", program="zk", status=None, env={"CORRAL_CONFIG_DIR": ""})
    assert run.returncode != 0 and run.stdout == ""


NONSENSE = {"a frame of 2 GB": b"\x7f\xff\xff\xff" + b"x" * 64, "half a frame": b"\x00\x00\x00\x10abc",
            "random bytes": os.urandom(4096), "plain HTTP": b"GET / HTTP/1.1\r\n\r\n"}


@pytest.mark.parametrize("bytes_", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_on_any_port_costs_its_own_connection_only(cluster, bytes_):
    pids = {name: pid for name, (pid, _) in cluster.daemons().items()}
    ports = set()
    for path in cluster.state.glob("*.c*f*"):
        ports |= {int(p) for p in re.findall(r"(?:listen=127\.0\.0\.1:|lientPort=)(\d+)", path.read_text())}
    assert len(ports) == 5
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as s:
            try:
                s.sendall(bytes_)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass  # it was closed before we were done: just as good
    cluster.corral("run", "--", "true")
    assert {name: pid for name, (pid, _) in cluster.daemons().items()} == pids


def test_clients_that_never_read_do_not_stop_the_others(cluster):
    host, port = cluster.daemons()["zkserver"][1].split(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(struct.pack(">iiqiqi16s", 44, 0, 0, 10000, 0, 16, b"") + struct.pack(">iii", 8, 1, 11) * 1)
        for _ in range(200):
            try:
                silent.settimeout(0.05)
                silent.sendall(struct.pack(">iii", 8, 2, 8) * 1000)
            except (TimeoutError, ConnectionError):
                break
        cluster.corral("run", "--", "true")


def test_a_failure_screen_of_a_dead_cluster_says_what_to_do():
    cluster = Cluster()
    env = {**cluster.env}
    address = cluster.daemons("master")["master"][1]
    keep = {name: (cluster.state / "tls" / name).read_bytes() for name in ("ca.pem", "operator.pem", "operator-key.pem")}
    cluster.stop()
    home = cluster.home
    home.mkdir()
    try:
        for name, data in keep.items():
            path = home / name
            path.touch(0o600)
            path.write_bytes(data)
        cluster.env = {**env, "CORRAL_CONFIG_DIR": "", "CORRAL_TLS_CA": str(home / "ca.pem"),
                       "CORRAL_TLS_CERT": str(home / "operator.pem"), "CORRAL_TLS_KEY": str(home / "operator-key.pem"),
                       "CORRAL_MASTER": address}
        run = cluster.corral("ps", status=69)
        assert address in run.stderr and "Connection refused" in run.stderr and "--master HOST:PORT" in run.stderr
    finally:
        cluster.kill()


@pytest.fixture
def small_disk():
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    with tempfile.TemporaryDirectory(prefix="cst.", dir="/tmp") as path:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m,mode=755", "none", path], check=True)
        yield Path(path)
        subprocess.run(["umount", "-l", path], check=True)


def test_needs_root_a_full_disk_stops_nothing_for_good(small_disk):
    cluster = Cluster(state=small_disk / "state")
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(b"\0" * 4096)
    run = cluster.corral("submit", "--name", "full", "-", input="[Task]\nExecStart=/bin/true\n", status=None)
    assert run.returncode in (0, 1, 69, 70, 75), run
    filler.unlink()
    cluster.leader()
    cluster.nodes_ready(1)
    until(lambda: cluster.corral("run", "--cpus", "0.1", "--", "true", status=None).returncode == 0,
          lambda: f"tasks run again\n{cluster.screen()}\n{cluster.logs()}", 2 * DEADLINE_S)
    until(lambda: all(alive(pid) for pid, _ in cluster.daemons().values()), "all daemons run")
    cluster.dev.send_signal(signal.SIGINT)
    assert cluster.dev.wait(timeout=DEADLINE_S) == 0
