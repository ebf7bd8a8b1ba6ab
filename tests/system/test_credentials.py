# SPDX-License-Identifier: Apache-2.0
"""Basic credentials in place of a certificate, and who may have tasks in which role."""
import base64
import http.client
import json
import os
import re
import signal
import ssl

import pytest

from conftest import Cluster, until

SLEEPER = "[Job]\nType=service\nRole={}\n[Task]\nExecStart=/bin/sleep 1000\n[Resources]\nCPU=0.1\nMemory=16M\n"


class Secret(Cluster):
    """Users alice and bob have secrets, and so has an operator; role eng is alice's, and eng/web bob's."""

    def __init__(self):
        super().__init__()
        for name in "alice", "bob":
            self.issue("user", name)
        self.file = self.state / "credentials"
        self.file.write_text("# principals\noperator:ci correct horse battery\nalice staple-of-alice\nuser:bob staple:of:bob\n")
        self.file.chmod(0o600)
        conf = self.state / "master.conf"
        conf.write_text(re.sub(r"^\[master\]$", f"[master]\ncredentials={self.file}\nrole_access=eng=alice, eng/web=bob",
                               conf.read_text(), flags=re.M))
        self.kill_daemon("master")
        self.nodes_ready(1)

    def ask(self, path, *who, method="GET", body=None, headers=None):
        """(status, headers, JSON or text) of an answer to somebody without a certificate."""
        context = ssl.create_default_context(cafile=str(self.tls / "ca.pem"))
        context.check_hostname = False
        port = int(self.daemons()["master"][1].rsplit(":")[-1])
        h = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
        headers = dict(headers or {})
        if who:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(who).encode()).decode()
        try:
            h.request(method, path, body=body, headers=headers)
            answer = h.getresponse()
            text = answer.read().decode()
        finally:
            h.close()
        return answer.status, answer.headers, json.loads(text) if text.startswith("{") else text

    def post_job(self, name, role, *who):
        body = json.dumps({"name": name, "file": f"{name}.job", "text": SLEEPER.format(role)})
        return self.ask("/corral/v1/jobs", *who, method="POST", body=body)


@pytest.fixture(scope="module")
def secret():
    c = Secret()
    yield c
    c.stop()


def test_without_or_with_wrong_credentials_there_is_a_challenge(secret):
    for who in (), ("alice", "wrong-secret"), ("mallory", "staple-of-alice"), ("alice", ""), ("user:alice", "staple-of-alice"):
        status, headers, text = secret.ask("/corral/v1/status", *who)
        assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="dev", charset="UTF-8"'), (who, text)
    for value in ("Bearer x", "Basic", "Basic ====", "Basic " + "A" * 4000):
        assert secret.ask("/corral/v1/status", headers={"Authorization": value})[0] == 401, value
    assert secret.ask("/health")[0] == 200
    log = secret.log_of("master")
    assert "401 these are not the credentials of anybody here" in log
    assert "staple" not in log and "horse" not in log  # no secret is in it


def test_credentials_are_an_operators_or_a_users(secret):
    status, _, answer = secret.ask("/corral/v1/status", "ci", "correct horse battery")
    assert status == 200 and answer["leader"], answer
    body = json.dumps({"role": "eng", "limit": {"cpu_milli": 1000000}})
    assert secret.ask("/corral/v1/quota", "ci", "correct horse battery", method="POST", body=body)[0] == 200
    status, _, answer = secret.ask("/corral/v1/quota", "alice", "staple-of-alice", method="POST", body=body)
    assert status == 403 and "user:alice may not do this: it is for operators" in answer["error"], answer
    assert secret.post_job("hers", "eng", "alice", "staple-of-alice")[0] == 201
    status, _, answer = secret.ask("/corral/v1/jobs/hers/stop", "bob", "staple:of:bob", method="POST")
    assert status == 403 and "job hers is not yours: user:alice submitted it" in answer["error"], answer
    assert secret.ask("/corral/v1/jobs/hers/stop", "alice", "staple-of-alice", method="POST")[0] == 200
    # What a certificate is needed for stays so.
    status, _, answer = secret.ask("/corral/v1/renew", "alice", "staple-of-alice", method="POST", body="{}")
    assert status == 403 and "only a certificate of cluster" in answer["error"], answer


def test_a_role_is_for_those_whom_the_setting_names(secret):
    named = "[master] role_access (eng=...) lets alice have them, and operators"
    status, _, answer = secret.post_job("his", "eng/batch", "bob", "staple:of:bob")
    assert status == 403 and f"user bob may not have tasks in role eng/batch: {named}" in answer["error"], answer
    for who in "alice", "bob":  # by certificate, the same
        run = secret.corral("run", "--role", "eng", *secret.certificate(f"user-{who}"), "--user", who, "--", "true", status=None)
        refused = f"user {who} may not have tasks in role eng" in run.stderr
        assert refused == (who == "bob"), run
    assert secret.post_job("web", "eng/web", "bob", "staple:of:bob")[0] == 201
    assert secret.post_job("open", "other", "bob", "staple:of:bob")[0] == 201
    secret.submit("all", SLEEPER.format("eng"))  # an operator's
    for name in "web", "open", "all":
        secret.corral("stop", name)


def test_every_user_reads_what_the_manual_says_that_every_user_reads(secret):
    hers = secret.certificate("user-alice")
    secret.corral("run", "--name", "said", *hers, "--user", "alice", "--", "echo", "hers", status=None)  # no such account here?
    for who in ("alice", "staple-of-alice"), ("bob", "staple:of:bob"):
        status, _, job = secret.ask("/corral/v1/jobs/said", *who)
        assert status == 200 and job["submitted_by"] == "user:alice" and "hers" in job["text"], job
        assert secret.ask("/corral/v1/logs/said", *who)[2]["error"].startswith("logs needs an upgrade"), who


def test_the_file_is_read_again_at_sighup_and_a_bad_one_changes_nothing(secret):
    pid = secret.daemons()["master"][0]
    secret.file.write_text("carol a-secret-of-hers\n")
    os.kill(pid, signal.SIGHUP)
    until(lambda: secret.ask("/corral/v1/jobs", "carol", "a-secret-of-hers")[0] == 200, lambda: secret.log_of("master")[-2000:])
    assert secret.ask("/corral/v1/jobs", "alice", "staple-of-alice")[0] == 401
    secret.file.chmod(0o644)
    os.kill(pid, signal.SIGHUP)
    until(lambda: "credentials are not read again: " in secret.log_of("master"), lambda: secret.log_of("master")[-2000:])
    assert f"{secret.file}: mode 0644 lets others read it: chmod 600" in secret.log_of("master")
    assert secret.ask("/corral/v1/jobs", "carol", "a-secret-of-hers")[0] == 200
    run = secret.corral("check", "--config", secret.state / "master.conf", program="corral-master", status=78)
    assert f"[master] credentials=: {secret.file}: mode 0644" in run.stderr, run
    secret.file.chmod(0o600)
    conf = secret.home / "bad.conf"
    conf.write_text((secret.state / "master.conf").read_text().replace("eng/web=bob", "eng/web"))
    run = secret.corral("check", "--config", conf, program="corral-master", status=78)
    assert "[master] role_access=: 'eng/web' is not ROLE=NAME" in run.stderr, run


def test_role_access_is_read_again_at_sighup_and_a_bad_one_changes_nothing(secret):
    pid = secret.daemons()["master"][0]
    conf = secret.state / "master.conf"
    before = conf.read_text()

    def reread(members, then):
        conf.write_text(re.sub(r"^role_access=.*$", f"role_access={members}", before, flags=re.M))
        os.kill(pid, signal.SIGHUP)
        until(then, lambda: secret.log_of("master")[-2000:])

    def bob_may(role):
        run = secret.corral("run", "--role", role, *secret.certificate("user-bob"), "--user", "bob", "--", "true", status=None)
        return "user bob may not have tasks in role" not in run.stderr

    assert not bob_may("eng")
    reread("eng=bob", lambda: bob_may("eng"))
    reread("eng=alice, eng", lambda: "[master] role_access=: 'eng' is not ROLE=NAME" in secret.log_of("master"))
    assert bob_may("eng")
    reread("eng=alice", lambda: not bob_may("eng"))
