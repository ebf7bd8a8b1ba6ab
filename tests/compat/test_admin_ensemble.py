# SPDX-License-Identifier: Apache-2.0
"""What operators' tools ask of two participants and an observer, of Apache's and of ours: the same lines, keys and values,
but for addresses, times and what only a Java machine has."""
import json
import re
import signal
import urllib.request

import pytest
from kazoo.client import KazooClient

from ensemble import Ensemble
from servers import START_SECONDS, Apache, Corral, free_port, wait_until

KINDS = {"apache": Apache, "corral": Corral}
ROLES = ("leader", "follower", "observer")
WORDS = ("srvr", "conf", "isro")
COMMANDS = ("configuration", "is_read_only", "leader", "observers", "voting_view", "zabstate")
# Apache's has a queue for each learner and says how long it was; here a learner is a place in the history.
NO_QUEUES = re.compile(r"_\d+_learner_handler_qp_|_per_namespace$")
NO_PACKETS = {"queued_packets", "packets_received", "packets_sent", "requests"}


def by_role(ensemble):
    roles = {}
    for server in ensemble.servers:
        mode = re.search(r"^Mode: (\w+)$", server.four_letters("srvr"), re.M)
        if mode is None:
            return None
        roles[mode[1]] = server
    return roles


def mntr(server):
    return dict(line.split("\t") for line in server.four_letters("mntr").splitlines())


def syncs(figures):
    return int(figures["zk_diff_count"]) + int(figures["zk_snap_count"])


def settled(ensemble):
    """Server 2 leads: the larger id of two that have nothing. Its observer is in sync."""
    roles = by_role(ensemble)
    return roles and set(roles) == set(ROLES) and mntr(roles["leader"])["zk_synced_observers"] == "1" and roles


def make(name):
    ensemble = Ensemble(3, kind=KINDS[name], observers=1)
    for server in ensemble.servers:
        server.admin = free_port()
        text = server.config.read_text().replace("admin.enableServer=false", "admin.enableServer=true")
        server.config.write_text(f"{text}admin.serverPort={server.admin}\nadmin.serverAddress=127.0.0.1\n")
    return ensemble


@pytest.fixture(scope="module")
def both():
    made = {name: make(name) for name in KINDS}
    try:
        for ensemble in made.values():
            # The observer last: how a learner is brought up to date depends on whether its leader is active already.
            for servers in (ensemble.servers[:2], ensemble.servers[2:]):
                for server in servers:
                    server.launch()
                for server in servers:
                    server.wait()
            ensemble.roles = wait_until(lambda e=ensemble: settled(e), START_SECONDS, "a leader, a follower, an observer")
            client = KazooClient(ensemble.servers[0].hosts)
            client.start()
            for i in range(5):
                client.create(f"/{i}", b"x" * 10)
            client.stop()
            client.close()
            last = mntr_zxid(ensemble.roles["leader"])
            for role in ROLES:
                wait_until(lambda s=ensemble.roles[role]: mntr_zxid(s) == last, START_SECONDS, "all have all")
        yield made
    finally:
        for ensemble in made.values():
            ensemble.remove()


def mntr_zxid(server):
    return re.search(r"^Zxid: (\w+)$", server.four_letters("srvr"), re.M)[1]


def plain(text):
    """Without what differs from run to run."""
    text = re.sub(r"^(Zookeeper version:|Latency|Received:|Sent:).*$", r"\1", text, flags=re.M)
    text = re.sub(r"(127\.0\.0\.1|0\.0\.0\.0):\d+(:\d+)?", r"\1:PORT", text)
    text = re.sub(r"(/[\w./-]+)?/data/version-2", "DIR", text)
    return re.sub(r'((?:Port|port|Size|_ports"|established"|queued_packets_size")\W+)-?\d+', r"\g<1>0", text)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("word", WORDS)
def test_words_are_answered_line_by_line_as_apache_does(both, word, role):
    apache, corral = (plain(both[name].roles[role].four_letters(word)) for name in KINDS)
    assert corral == apache


def get(server, command):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/commands/{command}", timeout=20) as reply:
        return reply.read().decode()


def without_packets(answer):
    for observer in answer.get("observers", []):
        for key in NO_PACKETS:
            observer.pop(key, None)
    return answer


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_answered_with_the_same_keys_and_values(both, command, role):
    apache, corral = (without_packets(json.loads(plain(get(both[name].roles[role], command)))) for name in KINDS)
    assert json.dumps(corral) == json.dumps(apache)


@pytest.mark.parametrize("role", ROLES)
def test_mntr_has_the_same_figures_of_the_ensemble(both, role):
    apache, corral = (mntr(both[name].roles[role]) for name in KINDS)
    assert {key for key in apache if not NO_QUEUES.search(key)} - set(corral) == set()
    for key in ("peer_state", "server_state", "quorum_size", "learners", "synced_followers", "synced_observers",
                "synced_non_voting_followers", "pending_syncs", "observer_master_id", "looking_count",
                "cnt_election_time", "cnt_unavailable_time", "cnt_leader_unavailable_time", "cnt_follower_sync_time"):
        assert corral.get(f"zk_{key}") == apache.get(f"zk_{key}"), key
    # Apache's leader sends a snapshot to one that has nothing, even if there is nothing to be had.
    assert syncs(corral) == syncs(apache) == (2 if role == "leader" else 0)


@pytest.mark.parametrize("role", ROLES)
def test_mntr_says_where_a_member_stands(both, role):
    ensemble = both["corral"]
    figures = mntr(ensemble.roles[role])
    assert figures["zk_member_serving"] == "1" and figures["zk_member_lag"] == "0" and "zk_member_waits_for" not in figures
    assert int(figures["zk_member_last_zxid"]) == int(mntr_zxid(ensemble.roles["leader"]), 16)
    assert int(figures["zk_member_epoch"]) == int(figures["zk_member_last_zxid"]) >> 32
    assert figures["zk_member_leader_id"] == "2"


def test_without_a_quorum_both_say_so(both):
    """The last one: it ends the followers."""
    for ensemble in both.values():
        ensemble.roles["follower"].stop(signal.SIGKILL)
    for word in ("srvr", "isro", "mntr", "conf"):
        apache, corral = (wait_until(lambda s=both[name].roles["leader"]: unserved(s, word), START_SECONDS, "it has ended")
                          for name in KINDS)
        assert corral == apache
    apache, corral = (json.loads(get(both[name].roles["leader"], "zabstate")) for name in KINDS)
    assert corral == apache
    role = dict(line.split("=", 1) for line in both["corral"].roles["leader"].four_letters("role").splitlines())
    assert role["role"] == "looking"
    assert re.fullmatch(r"looking for a leader: 1 of 2 voters agree; server \d: .+", role["why"]), role["why"]


def unserved(server, word):
    told = server.four_letters(word)
    return (told == "null" or "not currently serving" in told) and told
