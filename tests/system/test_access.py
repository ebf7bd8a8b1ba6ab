# SPDX-License-Identifier: Apache-2.0
"""Who may do what: ACLs in the ensemble, roles of certificates, the local socket."""
import http.client
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys

import pytest

from conftest import BUILD, Cluster, until
from hostile import tls_context

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="another account is needed, and so root")


class Guarded(Cluster):
    def __init__(self):
        super().__init__()
        for role, name in ("user", "eve"), ("agent", "ghost"), ("framework", "marathon"):
            self.issue(role, name)
        self.socket = self.state / "master" / "client.sock"


@pytest.fixture(scope="module")
def guarded():
    c = Guarded()
    yield c
    c.stop()


# ---- the ensemble ----

@pytest.mark.parametrize("who", ["operator", "user-eve", "agent-ghost", "framework-marathon", "zkserver"])
def test_only_masters_reach_what_is_below_corral(guarded, who):
    for path in ("/corral/jobs", "/corral/registry", "/corral/era"):
        for words in (["get", path], ["set", path, "1"], ["ls", path], ["acl", path, "world:anyone:cdrwa"]):
            assert guarded.zk_as(who, *words, status=None).returncode == 77, (path, words)
    for path in ("/corral/jobs/x", "/corral/registry/agents-0", "/corral/master/json.info_0", "/corral/x"):
        assert guarded.zk_as(who, "create", path, "x", status=None).returncode == 77, path
    for path in ("/corral/master", "/corral/services"):
        guarded.zk_as(who, "ls", path)
    assert guarded.zk_as(who, "acl", "/corral/master").stdout == "x509:CN=master,O=dev:cdrwa\nworld:anyone:r\n"


# ---- roles ----

@pytest.mark.parametrize("who, named", [("agent-ghost", "agent:ghost of cluster dev"), ("zkserver", "zkserver:zkserver of"),
                                        ("framework-marathon", "framework:marathon of")])
def test_the_api_names_the_role_that_it_does_not_take(guarded, who, named):
    run = guarded.corral("status", *guarded.certificate(who), status=77)
    assert f"{named}" in run.stderr and "is for operators, users and masters of cluster 'dev'" in run.stderr, run.stderr


def test_without_a_certificate_only_what_tells_nothing_is_answered(guarded):
    port = int(guarded.daemons()["master"][1].rsplit(":")[-1])
    for path, status in [("/health", 200), ("/version", 200), ("/metrics", 200), ("/", 404), ("/corral/v1", 401),
                         ("/corral/v1/status", 401), ("/corral/v1/jobs", 401), ("/corral/v1/nodes", 401)]:
        h = http.client.HTTPSConnection("127.0.0.1", port, context=tls_context(), timeout=30)
        h.request("GET", path)
        assert h.getresponse().status == status, path
        h.close()


def test_a_name_that_fits_makes_nobody_a_master(guarded):
    """An agent's certificate that is good for the master's address: neither the command line nor an agent is taken in."""
    guarded.issue("agent", "liar", "--ip", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(guarded.tls / "agent-liar.pem", guarded.tls / "agent-liar-key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = "127.0.0.1:%d" % listener.getsockname()[1]
        asking = guarded.start("status", "--master", address)
        with context.wrap_socket(listener.accept()[0], server_side=True) as s:
            assert s.recv(1000) == b""
        assert asking.wait(30) == 69
        assert "its certificate is that of a agent, and not that of a master" in asking.stderr.read()
        asking.stdout.close()
        asking.stderr.close()


# ---- the local socket ----

def ask_locally(path, account, *words):
    """`corral` as an account that has no certificate, with a configuration that names the socket."""
    home = path.parent.parent
    conf = home / "local.conf"
    conf.write_text(f"[client]\nsocket={path}\ncert=/nonexistent\nkey=/nonexistent\n[tls]\nca=/nonexistent\n")
    conf.chmod(0o644)
    entry = pwd.getpwnam(account)
    return subprocess.run([BUILD / "corral", words[0], "--config", conf, *words[1:]], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], cwd="/")


def test_root_needs_no_certificate_at_the_masters_own_machine(guarded):
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert ask_locally(guarded.socket, me, "status").returncode == 0
    run = ask_locally(guarded.socket, me, "run", "--", "sh", "-c", "echo here; exit 3")
    assert (run.returncode, run.stdout) == (3, "here\n"), run
    assert guarded.socket.stat().st_mode & 0o7 == 0
    # Who named a master meant that one.
    run = ask_locally(guarded.socket, me, "status", "--master", "127.0.0.1:1")
    assert run.returncode == 78 and "/nonexistent" in run.stderr, run


@needs_root
def test_an_account_is_a_user_of_its_name_and_no_more_needs_root(guarded):
    path = guarded.socket
    path.parent.chmod(0o711)
    assert ask_locally(path, "nobody", "status").returncode == 69  # it may not connect
    try:
        shutil.chown(path, group="nogroup")
        path.chmod(0o660)
        guarded.submit("operators", "[Job]\nType=service\n[Task]\nExecStart=/bin/sleep 1000\n")
        assert ask_locally(path, "nobody", "jobs").returncode == 0
        run = ask_locally(path, "nobody", "stop", "operators")
        assert run.returncode == 77 and "is not yours: operator:operator submitted it" in run.stderr, run
        run = ask_locally(path, "nobody", "run", "--user", "root", "--", "true")
        assert run.returncode == 125 and "user nobody may not run tasks as root" in run.stderr, run
    finally:
        shutil.chown(path, group=0)
        guarded.corral("stop", "operators", status=None)


def test_a_standby_asks_the_leader_for_who_comes_by_its_socket(wide_cluster):
    """Lists, jobs, runs with their streams, events: as if the leader were here."""
    leader = wide_cluster.leader()
    other, = (name for name in wide_cluster.daemons("master") if name != leader)
    me = pwd.getpwuid(os.geteuid()).pw_name

    def ask(*words):
        return ask_locally(wide_cluster.state / other / "client.sock", me, *words)

    assert wide_cluster.daemons()[leader][1] in ask("status").stdout
    assert ask("nodes", "-q").stdout.split() == wide_cluster.corral("nodes", "-q").stdout.split()
    run = ask("run", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (run.returncode, run.stdout, run.stderr) == (3, "out\n", "err\n"), run
    job = wide_cluster.home / "passed.job"
    job.write_text("[Job]\nType=batch\n[Task]\nExecStart=/bin/echo passed on\n")
    job.chmod(0o644)
    run = ask("submit", str(job))
    assert run.returncode == 0, run
    wide_cluster.wait_job("passed", "finished")
    assert "passed on\n" in ask("logs", "passed").stdout
    assert wide_cluster.job("passed")["submitted_by"] == f"operator:{me}"
    with socket.socket(socket.AF_UNIX) as s:  # events come as they happen
        s.settimeout(60)
        s.connect(str(wide_cluster.state / other / "client.sock"))
        s.sendall(b"GET /corral/v1/events?job=passed HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while b'"state"' not in got:
            wide_cluster.submit("passed", job.read_text(), status=None)
            got += s.recv(65536)
        assert got.startswith(b"HTTP/1.1 200 "), got
    run = ask("stop", "nothing-of-that-name")
    assert run.returncode == 1 and "there is no job 'nothing-of-that-name'" in run.stderr, run


def standby_socket(cluster):
    """That of the master that does not lead, which every account may use."""
    leader = cluster.leader()
    other, = (name for name in cluster.daemons("master") if name != leader)
    path = cluster.state / other / "client.sock"
    path.parent.chmod(0o711)
    cluster.state.chmod(0o711)
    shutil.chown(path, group="nogroup")
    path.chmod(0o660)
    return path


@needs_root
def test_who_asks_a_standby_is_to_the_leader_who_it_is_here_needs_root(wide_cluster):
    path = standby_socket(wide_cluster)
    run = ask_locally(path, "nobody", "run", "--user", "root", "--", "true")
    assert run.returncode == 125 and "user nobody may not run tasks as root" in run.stderr, run
    run = ask_locally(path, "nobody", "quota", "set", "eng", "--limit", "cpus=1")
    assert run.returncode == 77 and "user:nobody may not do this" in run.stderr, run


def test_nobody_is_certified_as_the_master_that_passes_a_renewal_on(wide_cluster):
    """Over a connection with the standby's own certificate, which anybody is shown; the key would be the asker's."""
    leader = wide_cluster.leader()
    other, = (name for name in wide_cluster.daemons("master") if name != leader)
    host, port = wide_cluster.daemons()[other][1].rsplit("/")[-1].rsplit(":", 1)
    key = wide_cluster.home / "own-key.pem"
    request = subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                              "-batch", "-keyout", key], check=True, capture_output=True, text=True).stdout
    body = json.dumps({"certificate": ssl.get_server_certificate((host, int(port))), "request": request})
    for name in (other, leader):
        h = http.client.HTTPConnection("localhost", timeout=60)
        h.sock = socket.socket(socket.AF_UNIX)
        h.sock.settimeout(60)
        h.sock.connect(str(wide_cluster.state / name / "client.sock"))
        h.request("POST", "/corral/v1/renew", body)
        answer = h.getresponse()
        text = answer.read().decode()
        h.close()
        assert answer.status == 403 and "only a certificate of cluster 'dev' can be renewed" in text, (name, answer.status, text)


def test_only_masters_are_believed_for_whom_they_ask(guarded):
    port = int(guarded.daemons()["master"][1].rsplit(":")[-1])

    def ask(who, said):
        context = tls_context(cert=guarded.tls / f"{who}.pem", key=guarded.tls / f"{who}-key.pem")
        h = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
        h.request("POST", "/corral/v1/quota", json.dumps({"role": "x", "limit": {"cpu_milli": 1000}}), {"Corral-For": said})
        answer = h.getresponse()
        text = answer.read().decode()
        h.close()
        return answer.status, text

    assert ask("user-eve", "operator:root")[0] == 403
    assert ask("master", "operator:root")[0] == 200
    for said in "user:eve", "nobody:eve", "master:m1", ":", "operator", "x" * 1000 + ":eve", "operator:" + "x" * 5000:
        assert ask("master", said)[0] in (403, 431), said


@pytest.mark.long
def test_a_socket_that_cannot_be_made_does_not_keep_a_master_from_its_work(guarded):
    path = guarded.state / "master.conf"
    path.write_text(re.sub(r"^socket=.*$", "socket=/nonexistent/client.sock", path.read_text(), flags=re.M))
    guarded.kill_daemon("master")
    guarded.nodes_ready(1)
    assert "[master] socket=/nonexistent/client.sock: cannot listen" in guarded.log_of("master")


# ---- the ensemble again: the cluster's master ends on the way ----

def test_a_master_that_finds_a_wider_acl_does_not_start_and_says_what_mends_it(guarded):
    guarded.submit("kept", "[Job]\nType=service\n[Task]\nExecStart=/bin/sleep 1000\n")
    wide = {"/corral/master": ("world:anyone:rc", "world:anyone:cr"), "/corral/jobs": ("world:anyone:r", "world:anyone:r"),
            "/corral/jobs/kept": ("x509:CN=agent,O=dev:cw", "x509:CN=agent,O=dev:cw")}
    for path, (grant, _) in wide.items():
        guarded.zk_as("master", "acl", path, "x509:CN=master,O=dev:cdrwa", grant)
    os.kill(guarded.daemons()["master"][0], signal.SIGTERM)
    for path, (_, shown) in wide.items():  # in the order in which a master looks
        line = re.compile(rf"{path} in the ensemble is open to {shown}: .*Mend it with: (zk .*)$", re.M)
        until(lambda: line.search(guarded.log_of("master")), lambda: guarded.log_of("master"))
        until(lambda: guarded.said("master exited with 78"), guarded.screen)
        words = shlex.split(line.search(guarded.log_of("master"))[1])
        guarded.corral(*words[1:], program=words[0])
        assert guarded.zk_as("master", "acl", path).stdout.startswith("x509:CN=master,O=dev:cdrwa\n")
    guarded.wait_job("kept", "running")
    guarded.nodes_ready(1)
    guarded.corral("stop", "kept")


ASK_OFTEN = """
import socket, sys
links = []
for _ in range(int(sys.argv[2])):
    links.append(socket.socket(socket.AF_UNIX))
    links[-1].settimeout(30)
    links[-1].connect(sys.argv[1])
    links[-1].sendall(sys.argv[3].encode())
print(links[-1].recv(65536), flush=True)
sys.stdin.read()
"""


def ask_often(path, uid, count, request):
    """(process that holds the connections, the start of the last one's answer)"""
    asking = subprocess.Popen([sys.executable, "-c", ASK_OFTEN, path, str(count), request + "\r\n\r\n"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, user=uid, group=pwd.getpwnam("nobody").pw_gid, extra_groups=[],
                              cwd="/")
    return asking, asking.stdout.readline()


@needs_root
def test_an_account_has_no_more_than_its_part_of_what_a_standby_passes_on_needs_root(wide_cluster):
    path = standby_socket(wide_cluster)
    asking, said = ask_often(path, pwd.getpwnam("nobody").pw_uid, 33, "GET /corral/v1/events HTTP/1.1\r\nHost: x")
    try:
        assert said.startswith("b'HTTP/1.1 503 ") and "passes on 32 requests of user:nobody to the leader already" in said, said
        assert ask_locally(path, pwd.getpwuid(os.geteuid()).pw_name, "jobs").returncode == 0
    finally:
        asking.communicate("")
    until(lambda: ask_locally(path, "nobody", "jobs").returncode == 0, "room again")


@needs_root
def test_an_account_without_a_name_has_no_more_than_that_either_needs_root(wide_cluster):
    path = standby_socket(wide_cluster)
    leader = wide_cluster.daemons("master")[wide_cluster.leader()][0]
    os.kill(leader, signal.SIGSTOP)  # what it is asked takes long
    try:
        asking, said = ask_often(path, 54321, 33, "POST /corral/v1/join HTTP/1.1\r\nHost: x\r\nContent-Length: 0")
        asking.communicate("")
    finally:
        os.kill(leader, signal.SIGCONT)
    assert said.startswith("b'HTTP/1.1 503 ") and "passes on 32 requests of " in said, said
    until(lambda: ask_locally(path, "nobody", "jobs").returncode == 0, "it leads on, or the other one does")
