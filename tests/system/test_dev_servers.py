# SPDX-License-Identifier: Apache-2.0
"""corral dev with several zkservers: one ensemble, TLS between its members, of which any may die."""
import json
import re
import subprocess

import pytest

from conftest import BUILD, DEADLINE_S, Cluster, until

PROGRAM = BUILD / "zkserver" / "zkserver"
JOB = "[Task]\nExecStart=/bin/sleep 1000\n[Resources]\nCPU=0.1\nMemory=16M\n"


def members(cluster):
    done = subprocess.run([PROGRAM, "status", "--json", "--config", f"{cluster.state}/zkserver-1.cfg"],
                          capture_output=True, text=True, timeout=60)
    told = json.loads(done.stdout)
    return told["quorum"], {f"zkserver-{m['sid']}": m["role"] for m in told["members"]}


def whole(cluster):
    quorum, roles = members(cluster)
    return quorum and sorted(roles.values()) == ["follower", "follower", "leader"] and roles


@pytest.fixture
def three():
    cluster = Cluster("--servers", "3", "--masters", "2")
    yield cluster
    cluster.kill()


def test_three_servers_are_one_ensemble_and_any_of_them_may_be_killed(three):
    assert sorted(three.daemons("zkserver")) == ["zkserver-1", "zkserver-2", "zkserver-3"]
    conf = (three.state / "corral.conf").read_text()
    assert len(re.search(r"^ensemble=(.*)$", conf, re.M)[1].split(",")) == 3
    assert "sslQuorum=true" in (three.state / "zkserver-2.cfg").read_text()
    three.submit("stays", JOB)
    until(lambda: three.job("stays")["running"] == 1, "it runs")
    for turn, role in enumerate(("leader", "follower", "leader")):
        roles = until(lambda: whole(three), lambda: f"the ensemble is whole: {members(three)}\n{three.screen()}")
        name = next(n for n, r in roles.items() if r == role)
        three.kill_daemon(name)
        until(lambda: members(three)[0], lambda: f"the others serve: {members(three)}\n{three.screen()}")
        three.corral("create", f"/turn-{turn}", "x", program="zk")
        assert three.job("stays")["running"] == 1
        until(lambda: whole(three), lambda: f"{name} is back: {members(three)}\n{three.screen()}")
    three.corral("run", "--", "true")
    assert {three.corral("get", f"/turn-{turn}", program="zk").stdout.strip() for turn in range(3)} == {"x"}
    three.stop()


@pytest.mark.parametrize("servers", ("0", "2", "7"))
def test_other_numbers_are_refused(home, servers):
    run = subprocess.run([BUILD / "corral", "dev", "--servers", servers, "--", "true"],
                         env={"PATH": "/usr/bin:/bin", "TMPDIR": str(home), "HOME": str(home)},
                         capture_output=True, text=True, timeout=DEADLINE_S)
    assert run.returncode != 0 and "1, 3 or 5 zkservers" in run.stderr
    assert list(home.iterdir()) == []


def test_a_kept_ensemble_goes_on_and_may_be_of_five(home):
    env = {"PATH": f"{BUILD}:/usr/bin:/bin", "TMPDIR": str(home), "HOME": str(home)}
    for command in ("zk create /kept hello", "zk get /kept"):
        run = subprocess.run([BUILD / "corral", "dev", "--servers", "5", "--agents", "0", "--state", home / "state", "--",
                              "sh", "-c", command], env=env, capture_output=True, text=True, timeout=2 * DEADLINE_S)
        assert run.returncode == 0, run.stdout + run.stderr
    assert "hello" in run.stdout
