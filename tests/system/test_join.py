# SPDX-License-Identifier: Apache-2.0
"""Join tokens: certificates for hosts that have none, and renewals for those that have."""
import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from certificates import corral_tls, make_tls
from conftest import BUILD, Cluster

NO_TOKEN = "there is no such token"


class Joined(Cluster):
    """Two masters that sign, and hosts that join below `hosts`."""

    def __init__(self):
        super().__init__("--masters", "2")
        self.hosts = self.home / "hosts"
        self.count = 0

    def token(self, *words):
        return self.corral("token", "create", "-q", *words).stdout.strip()

    def tokens(self):
        return {t["id"]: t for t in self.json("token", "list").get("tokens", [])}

    def host(self):
        self.count += 1
        return self.hosts / str(self.count)

    def join(self, token, *words, status=0, directory=None):
        return self.corral("join", token, "--dir", directory or self.host(), *words, status=status)

    def restart_masters(self):
        for name in self.daemons("master"):
            self.kill_daemon(name, signal.SIGTERM)
        self.leader()

    def files(self, directory):
        return ["--ca", directory / "ca.pem", "--cert", directory / "cert.pem", "--key", directory / "key.pem"]


@pytest.fixture(scope="module")
def joined():
    c = Joined()
    yield c
    c.stop()


def id_of(token):
    return token.rpartition(".")[2][:16]


def names(path):
    text = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-text"], check=True, capture_output=True, text=True).stdout
    return text[text.index("Alternative Name"):].splitlines()[1].strip()


def test_a_host_joins_with_a_key_of_its_own_and_its_agent_is_taken(joined):
    directory, token = joined.host(), joined.token()
    run = joined.join(token, "--name", "fresh", directory=directory)
    assert "agent 'fresh' of cluster 'dev'" in run.stdout and "valid 90 days" in run.stdout
    assert {p.name: p.stat().st_mode & 0o777 for p in directory.iterdir()} == {
        "ca.pem": 0o644, "cert.pem": 0o644, "key.pem": 0o600}
    assert (directory / "ca.pem").read_text() == (joined.tls / "ca.pem").read_text()
    assert names(directory / "cert.pem") == "URI:corral://dev/agent/fresh, DNS:fresh"
    conf = joined.home / "fresh.conf"
    masters = [re.search(r"agent_listen=(\S+)", p.read_text())[1] for p in joined.state.glob("master-*.conf")]
    conf.write_text(f"[cluster]\nname=dev\n[tls]\nca={directory}/ca.pem\ncert={directory}/cert.pem\nkey={directory}/key.pem\n"
                    f"[agent]\nname=fresh\nmasters={','.join(masters)}\nstate_dir={joined.home}/fresh\n"
                    f"executor_listen=127.0.0.1:0\ncpus=1\nmemory=64M\ndisk=1G\nuser={'root' if os.geteuid() == 0 else ''}\n")
    with (joined.home / "fresh.log").open("wb") as log:
        agent = subprocess.Popen([BUILD / "corral-agent", "run", "--config", conf], stderr=log, stdin=subprocess.DEVNULL)
    try:
        joined.nodes_ready(2)
    finally:
        agent.terminate()
        agent.wait(30)
    # The name is that node's from now on, for tokens that do not name it.
    run = joined.join(joined.token(), "--name", "fresh", status=1)
    assert "there is a node fresh already" in run.stderr, run.stderr
    joined.join(joined.token("--name", "fresh"), "--name", "fresh")


def test_a_secret_is_stored_as_its_hash_and_shown_once(joined):
    token = joined.token("--uses", "3", "--ttl", "2h")
    secret = token.rpartition(".")[2][16:]
    node = f"/corral/tokens/{id_of(token)}"
    text = joined.zk_as("master-1", "get", node).stdout
    assert re.match(r"hash=[0-9a-f]{64}\nrole=agent\nname=\nuses=3\n", text) and secret not in text
    assert secret not in joined.logs() and secret not in joined.corral("token", "list", "--json").stdout
    joined.zk_as("operator", "get", node, status=77)
    joined.corral("token", "revoke", id_of(token))
    joined.zk_as("master-1", "get", node, status=1)
    assert NO_TOKEN in joined.join(token, "--name", "late", status=77).stderr


def test_of_many_who_join_at_once_with_a_token_of_one_use_one_does(joined):
    token = joined.token()
    hosts = [joined.host() for _ in range(8)]
    runs = [joined.start("join", token, "--dir", h, "--name", f"racer-{n}") for n, h in enumerate(hosts)]
    ends = [(run.wait(30), run.communicate()[1]) for run in runs]
    assert sorted(status for status, _ in ends) == [0] + [77] * 7, ends
    assert all(NO_TOKEN in said for status, said in ends if status)
    for (status, _), host in zip(ends, hosts):
        assert sorted(p.name for p in host.iterdir()) == (["ca.pem", "cert.pem", "key.pem"] if status == 0 else [])


def test_the_count_of_uses_outlives_the_master_that_counted(joined):
    token = joined.token("--uses", "2")
    joined.join(token, "--name", "before")
    leader = joined.leader()
    joined.kill_daemon(leader)
    joined.leader()
    assert joined.tokens()[id_of(token)]["uses"] == 1
    # At whichever master: one that does not lead sends on.
    address = joined.daemons()[leader][1]
    joined.join(token, "--name", "after", "--master", address)
    assert NO_TOKEN in joined.join(token, "--name", "third", status=77).stderr
    assert id_of(token) not in joined.tokens()


@pytest.mark.parametrize("words, ask, status, says", [
    (["--role", "user"], ["--role", "operator", "--name", "eve"], 77, "the token is for another role"),
    (["--role", "user"], ["--name", "eve"], 77, "the token is for another role"),
    (["--name", "n7"], ["--name", "n8"], 77, "the token is for another name"),
    ([], ["--name", "n8", "--dns", "m1"], 77, "further names are for masters and zkservers"),
    ([], ["--name", "n8", "--ip", "10.0.0.1"], 77, "further names are for masters and zkservers"),
    ([], ["--name", "a/b"], 64, "cannot be a holder's name"),
    (["--role", "master"], ["--role", "master", "--name", "m", "--ip", "nowhere"], 64, "'nowhere' is not an IP address"),
    ([], ["--role", "king"], 64, "--role king"),
], ids=str)
def test_what_a_token_is_not_for_is_refused_and_costs_no_use(joined, words, ask, status, says):
    token = joined.token(*words)
    run = joined.join(token, *ask, status=status)
    assert says in run.stderr, run.stderr
    assert joined.tokens()[id_of(token)]["uses"] == 1


@pytest.mark.parametrize("how", ["standard input", "environment"])
def test_a_token_need_not_be_seen_in_a_list_of_processes(joined, how):
    directory, token = joined.host(), joined.token("--role", "user")
    words = ["join", *["-"] * (how == "standard input"), "--role", "user", "--name", "quiet", "--dir", directory]
    joined.corral(*words, input=token + "\n" if how == "standard input" else None,
                  env={"CORRAL_TOKEN": token} if how == "environment" else None)
    assert names(directory / "cert.pem") == "URI:corral://dev/user/quiet, DNS:quiet"
    assert "is no join token" in joined.corral(*words, status=64, env={"CORRAL_TOKEN": ""}, input="").stderr


def test_further_names_are_for_those_who_are_connected_to(joined):
    directory = joined.host()
    joined.join(joined.token("--role", "master"), "--role", "master", "--name", "m9", "--dns", "m9.example", "--ip", "10.0.0.1",
                directory=directory)
    assert names(directory / "cert.pem") == "URI:corral://dev/master/m9, DNS:m9, DNS:m9.example, IP Address:10.0.0.1"


def test_a_present_certificate_is_replaced_only_if_told(joined):
    directory = joined.host()
    joined.join(joined.token("--role", "user"), "--role", "user", "--name", "ann", directory=directory)
    before = (directory / "key.pem").read_text()
    token = joined.token("--role", "user")
    run = joined.join(token, "--role", "user", "--name", "bob", directory=directory, status=73)
    assert "--replace" in run.stderr and (directory / "key.pem").read_text() == before
    joined.join(token, "--role", "user", "--name", "bob", "--replace", directory=directory)
    assert (directory / "key.pem").read_text() != before
    assert "operator:operator" not in joined.corral("jobs", *joined.files(directory)).stdout


@pytest.mark.parametrize("mangle", [
    lambda t: "", lambda t: t[:-1], lambda t: t + "0", lambda t: t.replace("corral1", "corral2"), lambda t: t.upper(),
    lambda t: t.replace(".", ":"), lambda t: "corral1.." + ".".join(t.rsplit(".", 2)[1:]), lambda t: t.rpartition(".")[2],
    lambda t: t[:-49] + "g" + t[-48:], lambda t: "x" * 10000], ids=range(10))
def test_what_is_no_token_is_not_tried(joined, mangle):
    token = "corral1.127.0.0.1:5050." + "0" * 64 + "." + "1" * 48
    run = joined.join(mangle(token), status=64)
    assert "is no join token" in run.stderr, run.stderr


@contextlib.contextmanager
def imposter(cert, key):
    """A TLS server; what it is sent after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    got = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)

        def serve():
            with listener.accept()[0] as raw, contextlib.suppress(OSError):
                raw.settimeout(30)
                with context.wrap_socket(raw, server_side=True) as s:
                    while more := s.recv(65536):
                        got.append(more)
        thread = threading.Thread(target=serve)
        thread.start()
        yield "127.0.0.1:%d" % listener.getsockname()[1], got
        thread.join(30)


@pytest.mark.parametrize("whose", ["another CA's master", "the same CA's agent"])
def test_an_imposter_does_not_get_the_secret(joined, whose):
    token = joined.token()
    directory = joined.tls if whose.startswith("the same") else joined.home / "other"
    role, name = ("agent", "liar") if whose.startswith("the same") else ("master", "fake")
    if not (directory / "ca.pem").exists():
        make_tls(directory, "dev")
    corral_tls("issue", directory, role, name, "--ip", "127.0.0.1")
    chain = joined.home / "chain.pem"
    chain.write_text((directory / f"{role}-{name}.pem").read_text() + (directory / "ca.pem").read_text())
    with imposter(chain, directory / f"{role}-{name}-key.pem") as (address, got):
        run = joined.join(token, "--name", "n8", "--master", address, status=69)
    assert got == []
    assert ("not that of a master" if role == "agent" else "certificate was refused") in run.stderr, run.stderr
    assert joined.tokens()[id_of(token)]["uses"] == 1


def test_only_operators_make_tokens(joined):
    joined.issue("user", "eve")
    eve = joined.certificate("user-eve")
    for words in (["create"], ["list"], ["revoke", "0" * 16]):
        run = joined.corral("token", *words, *eve, status=77)
        assert "user:eve may not do this: it is for operators" in run.stderr
    assert "there is no token" in joined.corral("token", "revoke", "0" * 16, status=1).stderr
    for words, says in ((["create", "--uses", "0"], "1 to 1000000 uses"), (["create", "--ttl", "2000d"], "from a second"),
                        (["create", "--ttl", "0"], "from a second"), (["create", "--name", "a b"], "has a blank"),
                        (["create", "--role", "king"], "role is zkserver, master"), (["revoke", "x"], "no id of a token"),
                        (["make"], "'corral token create'")):
        assert says in joined.corral("token", *words, status=64).stderr, words


@pytest.mark.long
def test_a_master_without_the_cas_key_says_so(joined):
    texts = {path: path.read_text() for path in joined.state.glob("master-*.conf")}
    token = joined.token()
    try:
        for path, text in texts.items():
            path.write_text(re.sub(r"^ca_key=.*$", "", text, flags=re.M))
        joined.restart_masters()
        for run in (joined.corral("token", "create", status=1), joined.join(token, "--name", "n8", status=1)):
            assert "cannot sign certificates: set [tls] ca_key=" in run.stderr, run.stderr
    finally:
        for path, text in texts.items():
            path.write_text(text)
        joined.restart_masters()


def test_a_holder_renews_its_certificate_and_nobody_elses(joined):
    directory, other = joined.host(), joined.host()
    joined.join(joined.token(), "--name", "old", directory=directory)
    joined.join(joined.token(), "--name", "new", directory=other)
    before = [(directory / name).read_text() for name in ("cert.pem", "key.pem")]
    assert "nothing to do" in joined.corral("tls", "renew", "--within", "30d", *joined.files(directory)).stdout
    assert [(directory / name).read_text() for name in ("cert.pem", "key.pem")] == before
    joined.corral("tls", "renew", "--within", "100d", *joined.files(directory))
    assert [(directory / name).read_text() == text for name, text in zip(("cert.pem", "key.pem"), before)] == [False, False]
    assert (directory / "key.pem").stat().st_mode & 0o777 == 0o600
    assert names(directory / "cert.pem") == "URI:corral://dev/agent/old, DNS:old"
    # With its own key, for the certificate of another.
    (directory / "cert.pem").rename(directory / "own.pem")
    (directory / "cert.pem").write_text((other / "cert.pem").read_text())
    run = joined.corral("tls", "renew", *joined.files(directory), status=None)
    assert run.returncode == 78 and "does not belong" in run.stderr
    assert sorted(p.name for p in directory.iterdir()) == ["ca.pem", "cert.pem", "key.pem", "own.pem"]
