# SPDX-License-Identifier: Apache-2.0
"""Masters and agents on Apache ZooKeeper in zkserver's place: one server in plaintext, and an ensemble of three with TLS."""
import tempfile
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import OPEN_ACL_UNSAFE

from cluster import Cluster, Keys
from ensemble import Ensemble

WAITER = """[Job]
Count={count}
[Task]
ExecStart=/bin/sh -c 'while ! test -e {gate}; do sleep 0.05; done; echo through'
[Resources]
CPU=0.1
Memory=16M
"""
RETRIED = """[Job]
Count=3
[Task]
ExecStart=/bin/sh -c 'test %i != 1 || test -e {mark} || {{ touch {mark}; exit 3; }}; echo task %i'
Restart=on-failure
RestartSec=0
[Resources]
CPU=0.1
Memory=16M
"""
SERVICE = """[Job]
Type=service
Count=2
[Task]
ExecStart=/bin/sh -c 'echo up; exec sleep 1000'
TimeoutStopSec=2s
[Resources]
CPU=0.1
Memory=16M
"""


@pytest.fixture(scope="module")
def keys():
    with tempfile.TemporaryDirectory(prefix="cct.", dir="/tmp") as path:
        yield Keys(Path(path))


@pytest.fixture(scope="module", params=["one-plain", "three-tls"])
def ensemble(request, keys):
    tls = request.param == "three-tls"
    one = Ensemble(3, keys.store("zkserver", "z"), keys.ca) if tls else Ensemble(1)
    try:
        yield one.start()
    finally:
        one.remove()


@pytest.fixture(scope="module")
def cluster(ensemble, keys):
    one = Cluster(keys, ensemble.hosts, tls=ensemble.hosts != ensemble.plain_hosts)
    try:
        one.start()
        yield one
        one.stop()
    finally:
        if one.home.exists():
            one.remove()


@pytest.fixture
def stranger(ensemble):
    """A client without a certificate, at the plaintext port."""
    client = KazooClient(ensemble.plain_hosts)
    client.start(20)
    yield client
    client.stop()
    client.close()


def first_attempts(cluster, job):
    return [t["attempt"] for t in cluster.tasks(job)]


def test_a_batch_with_a_retry_and_a_service_run_to_their_end(cluster):
    cluster.submit("retried", RETRIED.format(mark=cluster.home / "mark"))
    cluster.submit("service", SERVICE)
    cluster.wait_job("retried", "finished")
    assert sorted((t["index"], t["attempt"]) for t in cluster.tasks("retried")) == [(0, 1), (1, 2), (2, 1)]
    lines = cluster.corral("logs", "retried").stdout.splitlines()
    assert sorted(lines) == [f"retried.{n} | task {n}" for n in range(3)]
    cluster.running("service", 2)
    cluster.corral("stop", "service")
    cluster.wait_job("service", "stopped")


def test_the_second_master_takes_over_and_tasks_survive(cluster):
    gate = cluster.home / "gate-master"
    cluster.submit("through-master", WAITER.format(count=4, gate=gate))
    cluster.running("through-master", 4)
    old = cluster.leader()
    old.kill()
    cluster.leader(other_than=old.name)
    cluster.nodes_ready()
    cluster.running("through-master", 4)
    old.start()
    gate.touch()
    cluster.wait_job("through-master", "finished")
    assert first_attempts(cluster, "through-master") == [1] * 4


def test_the_cluster_goes_on_when_the_ensembles_leader_is_killed(cluster, ensemble):
    gate = cluster.home / "gate-ensemble"
    cluster.submit("through-ensemble", WAITER.format(count=4, gate=gate))
    cluster.running("through-ensemble", 4)
    killed = ensemble.kill_leader()
    if len(ensemble.servers) > 1:
        ensemble.leader()
        cluster.leader()
        cluster.submit("by-two", WAITER.format(count=1, gate=gate))
        cluster.running("by-two", 1)
    killed.start()
    cluster.leader()
    cluster.nodes_ready()
    cluster.running("through-ensemble", 4)
    gate.touch()
    cluster.wait_job("through-ensemble", "finished")
    assert first_attempts(cluster, "through-ensemble") == [1] * 4


def strangers_may_not(call, *words):
    with pytest.raises(NoAuthError):
        call(*words)


def test_strangers_see_names_and_the_leader_only_where_there_is_tls(cluster, stranger):
    if not cluster.tls:
        assert stranger.get("/corral/era")[0] == b"1"
        assert "ensemble_tls=no" in cluster.daemons["m1"].log()
        return
    for path in ("/corral/era", "/corral/jobs", "/corral/registry"):
        strangers_may_not(stranger.get, path)
        strangers_may_not(stranger.get_children, path)
        strangers_may_not(stranger.delete, path)
    candidates = stranger.get_children("/corral/master")
    assert len(candidates) == 2 and all(name.startswith("json.info_") for name in candidates)
    made = ["/corral"] + [f"/corral/{name}" for name in stranger.get_children("/corral")]
    assert set(made) >= {"/corral", "/corral/era", "/corral/master", "/corral/registry", "/corral/jobs", "/corral/services"}
    for path in made + [f"/corral/master/{name}" for name in candidates]:
        strangers_may_not(stranger.set, path, b"2")
        strangers_may_not(stranger.set_acls, path, OPEN_ACL_UNSAFE)
        strangers_may_not(stranger.create, f"{path}/mine", b"")
