# SPDX-License-Identifier: Apache-2.0
"""Two roles on real daemons: shares, a limit, a guarantee, all of it over a failover."""
import signal

from conftest import Cluster, until

SLEEPER = """[Job]
Role={role}
Count={count}
[Task]
ExecStart=/bin/sleep 1000
TimeoutStopSec=1s
[Resources]
CPU=0.5
Memory=8M
"""


def running(cluster, name):
    return (cluster.job(name) or {}).get("running")


def test_two_roles_share_a_cluster_within_their_quotas_and_over_a_failover():
    amounts = "cpus=4,memory=1G,disk=1G"
    c = Cluster("--masters", "2", "--agents", "2", "--agent", amounts, "--agent", amounts)
    try:
        c.nodes_ready(2)
        row = c.corral("quota", "set", "eng", "--limit", "cpus=1.5", "--no-header").stdout.split()
        assert row == ["eng", "-", "cpus=1.5", "cpus=0.0,memory=0,disk=0"]
        assert "ops: weight 2.0" in c.corral("roles", "set", "ops", "--weight", "2").stdout
        for role in ("eng", "ops"):
            c.submit(role, SLEEPER.format(role=role, count=20))
        until(lambda: (running(c, "eng"), running(c, "ops")) == (3, 13), lambda: f"3 and 13: {c.json('jobs')}")
        roles = {r["name"]: r for r in c.json("roles")["roles"]}
        assert (roles["ops"]["weight_milli"], roles["ops"]["tasks"], roles["eng"]["waiting"]) == (2000, 13, 17)

        c.kill_daemon(c.leader(), signal.SIGTERM)
        c.leader()
        c.nodes_ready(2)
        until(lambda: (running(c, "eng"), running(c, "ops")) == (3, 13), lambda: f"the same: {c.json('jobs')}")
        why = c.corral("why", "eng.19").stdout
        assert "eng.19 waits" in why and "its role is at its limit" in why
        assert "role eng is at its limit of cpu: has 1.5 of 1.5, needs 0.5 more; what would change it: " in why
        why = c.json("why", "ops.19")
        assert [(r["what"], r["nodes"]) for r in why["reasons"]] == [("cpu", 2)], why
        assert "(largest free 0.0, needs 0.5)" in why["reasons"][0]["text"]
        assert c.json("quota")["quotas"][0]["consumed"]["cpu_milli"] == 1500
        c.submit("late", SLEEPER.format(role="eng", count=1))
        c.corral("stop", "ops")
        c.wait_job("ops", "stopped")
        assert (running(c, "eng"), running(c, "late")) == (3, 0)
        c.corral("quota", "remove", "eng")
        until(lambda: (running(c, "eng"), running(c, "late")) == (16, 0), lambda: f"all: {c.json('jobs')}")
        assert c.corral("quota", "-q").stdout == ""
    finally:
        c.stop()


def test_a_job_of_higher_priority_takes_the_place_of_a_lower_one_of_its_role(cluster):
    cpus = int(cluster.json("nodes")["nodes"][0]["capacity"]["cpu_milli"] / 500)
    cluster.submit("low", SLEEPER.format(role="p", count=cpus))
    until(lambda: running(cluster, "low") == cpus, lambda: f"all of low run: {cluster.json('jobs')}")
    cluster.submit("high", SLEEPER.format(role="p\nPriority=80", count=2))
    until(lambda: (running(cluster, "high"), running(cluster, "low")) == (2, cpus - 2),
          lambda: f"two went: {cluster.json('jobs')}")
    low = cluster.job("low")
    assert (low["waiting"], low["failed"], low["lost"]) == (2, 0, 0)
    cluster.corral("stop", "high")
    cluster.wait_job("high", "stopped")
    until(lambda: running(cluster, "low") == cpus, lambda: f"low is made again: {cluster.json('jobs')}")
    cluster.corral("stop", "low")
    cluster.wait_job("low", "stopped")


def test_what_is_reserved_is_kept_for_its_role(cluster):
    node = cluster.json("nodes")["nodes"][0]
    cpus = int(node["capacity"]["cpu_milli"] / 500)
    run = cluster.corral("reserve", "r/web", node["name"], "cpus=0.5,memory=16M")
    assert run.stdout == f"{node['name']}: cpus=0.5,memory=16M for role r/web\n"
    cluster.submit("others", SLEEPER.format(role="r", count=cpus))
    until(lambda: running(cluster, "others") == cpus - 1, lambda: f"one less: {cluster.json('jobs')}")
    cluster.submit("web", SLEEPER.format(role="r/web", count=1))
    until(lambda: running(cluster, "web") == 1, lambda: f"web runs: {cluster.json('jobs')}")
    row = cluster.corral("reserve", "--no-header").stdout.split()
    assert row == [node["name"], "r/web", "cpus=0.5,memory=16M", "cpus=0.5,memory=10M"]
    for name in ("web", "others"):
        cluster.corral("stop", name)
        cluster.wait_job(name, "stopped")
    cluster.corral("unreserve", "r/web", node["name"])
    assert cluster.corral("reserve", "--no-header").stdout == ""
    assert "it has no reservation there" in cluster.corral("unreserve", "r/web", node["name"], status=1).stderr


def test_an_absent_limit_is_none_in_json(cluster):
    cluster.corral("quota", "set", "j", "--limit", "cpus=0")
    [quota] = cluster.json("quota")["quotas"]
    assert (quota["role"], quota["limit"]) == ("j", {"cpu_milli": 0})
    cluster.corral("quota", "remove", "j")
    assert cluster.json("quota") == {"quotas": []}


def test_what_cannot_be_is_refused_with_the_reason(cluster):
    for words, status, said in ((("quota", "set", "a/b", "--guarantee", "cpus=1"), 64, "only a top-level role"),
                                (("quota", "set", "a", "--guarantee", "cpus=100000"), 64, "more than the cluster has"),
                                (("quota", "set", "a", "--limit", "cpu=1"), 64, " --limit 'cpu=1': expected cpus=N"),
                                (("reserve", "a", "n1", "x"), 64, " 'x': expected cpus=N"),
                                (("quota", "set", "a", "--limit", "cpus=1,cpus=2"), 64, "each once"),
                                (("quota", "--limit", "cpus=1"), 64, "expected 'quota'"),
                                (("roles", "--weight", "2"), 64, "expected 'roles'"),
                                (("quota", "set", "a b", "--limit", "cpus=1"), 64, "no name of a role"),
                                (("quota", "remove"), 64, "quota remove ROLE"),
                                (("roles", "set", "a", "--weight", "5000"), 64, "from 0.001 to 1000"),
                                (("run", "--role", "-", "--", "true"), 125, "no name of a role")):
        assert said in cluster.corral(*words, status=status).stderr, words
    run = cluster.submit("bad", "[Job]\nRole=a//b\n[Task]\nExecStart=/bin/true\n", status=65)
    assert "bad.job:2: [Job] Role=a//b: expected the name of a role" in run.stderr
