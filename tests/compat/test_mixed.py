# SPDX-License-Identifier: Apache-2.0
"""Ensembles of zkservers and Apache ZooKeepers: either kind leads, members are killed and come back by each way of
synchronization, kinds change under load, and clients move between them. All must have the same afterwards."""
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import history  # noqa: E402
from members import BUILD, CLIENT, JAVA, SLOW, Ensemble, wait_until  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
LETTERS = {"a": "apache", "c": "corral"}
ZK_SECONDS = 60 * SLOW
MOVER = Path(__file__).resolve().parent / "mover.py"
HISTORY, HISTORY_MB = 500, 17  # a leader has so many transactions in memory if it is Apache's, ours so much of them
SESSION_S = 120  # none expires meanwhile


def kinds_of(letters):
    return {sid: LETTERS[letter] for sid, letter in enumerate(letters, 1)}


@pytest.fixture
def ensemble():
    """Makes ensembles; "ac" is one whose server 1 is Apache's, server 2 ours; the leader is the one that begins."""
    made = []

    def make(letters, leader, **more):
        one = Ensemble(kinds_of(letters), **more)
        made.append(one)
        start_led_by(one, leader)
        return one

    yield make
    for one in made:
        one.remove()


def start_led_by(ensemble, sid):
    """Equal histories: among those that are there, the largest voter leads; larger ones come when it does."""
    voters = [s for s, role in ensemble.roles.items() if not role]
    smaller = [s for s in voters if s < sid][:len(voters) // 2]
    assert len(smaller) == len(voters) // 2, "it cannot lead"
    for s in (sid, *smaller):
        if ensemble.members[s].kind == "apache":
            start_and_look(ensemble.members[s])
    for s in (sid, *smaller):
        if not ensemble.members[s].running():
            ensemble.members[s].start()
    assert ensemble.wait_leader().sid == sid
    for member in ensemble.members.values():
        if not member.running():
            member.start()
    ensemble.wait_whole()
    assert ensemble.leader().sid == sid


def start_and_look(member):
    """Until its election port is open: who comes later finds it."""
    said = len(member.log())
    member.start()
    wait_until(lambda: "LOOKING" in member.log()[said:], member.log)


def digests(member):
    """{zxid: tree's digest} of what a member remembers: one in 128."""
    return {line.split()[0]: line.split()[-1] for line in member.ask("hash").splitlines() if line}


def same_everywhere(ensemble):
    """What the history's judge does not look at: whole trees, and digests of them on the way there."""
    ensemble.wait_equal()
    members = list(ensemble.members.values())
    trees = {m.sid: ensemble.zk("export", "/", sid=m.sid) for m in members}
    assert len(set(trees.values())) == 1, trees
    seen = {m.sid: digests(m) for m in members}
    for one, other in itertools.combinations(members, 2):
        for zxid in seen[one.sid].keys() & seen[other.sid].keys():
            assert seen[one.sid][zxid] == seen[other.sid][zxid], (zxid, seen)
    for m in members:
        ended_in_haste = m.kind == "apache" and "mismatch" in m.log()
        assert ended_in_haste or "zk_digest_mismatches_count\t0\n" in m.ask("mntr"), m.log()
        assert "mismatch" not in without_ends(m.log()), m.log()
    return seen


def without_ends(log):
    """The log without what is said while an Apache ZooKeeper leaves a role: it brings its tree forward to the end of its log,
    and still applies to that what it had in hand, whose digests do not match then. Only a busy machine shows it."""
    return re.sub(r"shutdown of request processor complete((?!- broadcast).)*?CommitProcessor exited loop!", "", log, flags=re.S)


def judge(ensemble):
    figures = ensemble.judge()
    assert figures["writes"] > 100, figures
    print(figures)
    same_everywhere(ensemble)


def kill(ensemble, member):
    leads = ensemble.wait_leader() is member
    member.stop(signal.SIGKILL)
    if leads:
        ensemble.wait_leader(other_than=member)


def bring_back(ensemble, member, kind=None):
    member.kind = kind or member.kind
    member.start()
    ensemble.wait_whole()


# ---- killed and started again ----

ORDERS = ["aac 2", "cca 3"]
ORDERS_LONG = ["acc 2", "acc 3", "cac 2", "cac 3", "cca 2", "cca 3", "aac 2", "aac 3", "aca 2", "aca 3", "caa 2", "caa 3",
               "ccaac 3", "ccaac 4", "aaccc 4", "aaccc 5", "cacac 4"]


def pytest_generate_tests(metafunc):
    if "order" in metafunc.fixturenames:
        metafunc.parametrize("order", ORDERS_LONG if metafunc.config.getoption("--long") else ORDERS)
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(20) if metafunc.config.getoption("--long") else [1])


def test_members_are_killed_in_turn(ensemble, order):
    letters, leader = order.split()
    one = ensemble(letters, int(leader))
    one.record()
    for victim in sorted(one.members.values(), key=lambda m: m.sid != int(leader)):
        kill(one, victim)
        bring_back(one, victim)
    judge(one)


def test_a_leader_is_killed_and_then_all(ensemble, seed):
    """The members come back in any order."""
    draw = random.Random(seed)
    one = ensemble("".join(draw.sample("aac" if seed % 2 else "acc", 3)), 3)
    one.record()
    victim = one.wait_leader()
    kill(one, victim)
    bring_back(one, victim)
    for member in one.members.values():
        member.process.send_signal(signal.SIGKILL)
    for member in draw.sample(list(one.members.values()), len(one.members)):
        member.stop()
        member.start()
    one.wait_whole()
    judge(one)


def test_two_of_five_are_apaches_and_there_are_observers_of_each_kind(ensemble):
    one = ensemble("caccaac", 5, observers=(6, 7))
    one.record()
    for victim in (one.members[5], one.members[2]):
        victim.stop(signal.SIGKILL)
    one.wait_leader(other_than=one.members[5])
    for victim in (one.members[5], one.members[2]):
        victim.start()
    one.wait_whole()
    judge(one)


# ---- ways of synchronization ----

def last_logged(member):
    return max(history.log_records(member.data))


def sessions_begun(member):
    return sum(history.parse(record).type == history.CREATE_SESSION
               for record in history.log_records(member.data).values())


def bench(ensemble, member, seconds):
    """A client that writes as fast as it can, at this member."""
    return subprocess.Popen(ensemble.network.within(
        0, BUILD / "zk", "--hosts", f"{member.address}:{CLIENT}", "--timeout", f"{SESSION_S}s", "bench", "--sessions", 1,
        "--outstanding", 8, "--bytes", 10, "--time", f"{seconds}s"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


WAYS = {"Getting a diff from": "DIFF", "Truncating log to get in sync": "TRUNC", "Getting a snapshot from": "SNAP",
        "the history here was cut behind": "TRUNC", "received a snapshot of zxid": "SNAP"}


def way_of(learner, leader, said):
    """As the learner says since then; of a DIFF, zkserver says nothing, but its leader does, which is Apache's."""
    found = [WAYS[words] for words in re.findall("|".join(WAYS), learner.log()[said:])]
    if not found and f"for peer sid: {learner.sid}" in leader.log():
        found = re.findall(f"Sending (.*) zxid=.* for peer sid: {learner.sid}", leader.log())
    return found[-1] if found else None


@pytest.mark.parametrize("letters", ["cca", "aac"])
def test_each_way_of_synchronization(ensemble, letters):
    """Server 3, of one kind, leads; then it learns from server 2, of the other."""
    one = ensemble(letters, 3, settings=[f"commitLogCount={HISTORY}", "snapshotSizeFactor=-1",
                                                    f"maxSessionTimeout={SESSION_S * 1000}"])
    old, others = one.members[3], [one.members[1], one.members[2]]
    one.zk("create", "/base")
    one.wait_equal()

    # Its history has an end that nobody else has.
    writers = [bench(one, old, 30)]
    began = last_logged(old)
    wait_until(lambda: last_logged(old) > began + 50, old.log)
    one.network.isolate(old.sid)
    sessions = sessions_begun(old)
    writers.append(bench(one, old, 30))  # what the first one waits for may be on its way to the others already
    wait_until(lambda: sessions_begun(old) > sessions, old.log)
    old.stop(signal.SIGKILL)
    assert one.wait_leader(other_than=old) in others
    for writer in writers:
        writer.kill()
        writer.wait()
    assert all(last_logged(old) not in history.log_records(m.data) for m in others)
    one.network.heal()
    said = len(old.log())
    bring_back(one, old)
    assert way_of(old, one.leader(), said) == "TRUNC", one.logs()

    # It misses little, and much.
    one.zk("create", "/kept")
    one.wait_equal()
    for way in ("DIFF", "SNAP"):
        kill(one, old)
        leader = one.wait_leader()
        end = last_logged(leader) + HISTORY
        one.zk("set", "/kept", "x")
        while way == "SNAP" and last_logged(leader) < end:
            bench(one, leader, 1).wait(ZK_SECONDS)
        for _ in range(HISTORY_MB + 2 if way == "SNAP" else 0):
            one.zk("set", "/kept", "-", input="x" * 1_000_000)
        said = len(old.log())
        bring_back(one, old)
        assert way_of(old, leader, said) == way, one.logs()
    same_everywhere(one)


# ---- migration ----

def test_an_ensemble_moves_to_zkserver_and_back_under_load(ensemble):
    """Each kind opens the directories of the other."""
    one = ensemble("aaa", 3)
    one.record()
    for kind in ("corral", "apache"):
        for member in one.members.values():
            member.stop(signal.SIGTERM)
            bring_back(one, member, kind)
    judge(one)


# ---- clients ----

class Mover:
    """A kazoo client on the host of those who look on."""

    def __init__(self, ensemble, *order):
        hosts = ",".join(f"{ensemble.members[sid].address}:{CLIENT}" for sid in order)
        self.process = subprocess.Popen(ensemble.network.within(0, sys.executable, MOVER, hosts), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def server(self, ensemble):
        address = self.ask("server")
        return next(m for m in ensemble.members.values() if m.address == address)


@pytest.mark.parametrize("letters", ["aca", "cac"])
def test_sessions_move_between_kinds(ensemble, letters):
    """With an ephemeral node and a watch, each time that the server is killed that the client has; and then it closes."""
    one = ensemble(letters, 3)
    client, kinds = Mover(one, 2, 1, 3), []
    try:
        session = client.ask("session")
        client.ask("make", "/watched")
        client.ask("make-ephemeral", "/here")
        client.ask("watch", "/watched")
        for n in range(2):
            victim = client.server(one)
            kinds.append(victim.kind)
            kill(one, victim)
            one.zk("set", "/watched", str(n))
            wait_until(lambda n=n: client.ask("seen")[-1] == str(n), lambda: client.ask("seen"))
            assert client.ask("session") == session
            assert f"{session:x}" in one.zk("stat", "/here")
            bring_back(one, victim)
        assert len(set(kinds)) == 2 and "LOST" not in client.ask("states")
        client.ask("close")
        one.wait_equal()
        for sid in one.members:
            assert "here" not in one.zk("ls", "/", sid=sid).split()
    finally:
        client.process.stdin.close()
        client.process.wait(ZK_SECONDS)
        client.process.stdout.close()


def test_apaches_client_moves_with_its_watches(ensemble):
    """It asks the server to which it comes for the watches that it had."""
    one = ensemble("aca", 3)
    one.zk("create", "/watched", "new")
    log = one.directory / "shell"
    with open(log, "wb") as out:
        shell = subprocess.Popen(one.network.within(0, *JAVA[:-1], "org.apache.zookeeper.ZooKeeperMain", "-server", one.hosts()),
                                 stdin=subprocess.PIPE, stdout=out, stderr=out, text=True)

    def say(line):
        shell.stdin.write(line + "\n")
        shell.stdin.flush()

    def server():
        found = re.findall(r"Session establishment complete on server \S*?/([\d.]+):", log.read_text())
        return next(m for m in one.members.values() if m.address == found[-1])

    kinds = set()
    try:
        say("addauth digest me:secret")
        say("create -e /here x auth::cdrwa")
        wait_until(lambda: "Created /here" in log.read_text(), log.read_text)
        for n in range(2):
            say("get -w /watched")
            data = "\n" + ("new", "0")[n] + "\n"
            said = wait_until(lambda d=data: d in log.read_text() and len(log.read_text()), log.read_text)
            victim = server()
            kinds.add(victim.kind)
            kill(one, victim)
            wait_until(lambda s=said: "Session establishment complete" in log.read_text()[s:], log.read_text)
            one.zk("set", "/watched", str(n))
            wait_until(lambda s=said: "type:NodeDataChanged path:/watched" in log.read_text()[s:], log.read_text)
            bring_back(one, victim)
        say("set /here y")
        say("quit")
        assert shell.wait(ZK_SECONDS) == 0, log.read_text()
        one.wait_equal()
        for sid in one.members:
            assert "here" not in one.zk("ls", "/", sid=sid).split()
    finally:
        shell.kill()
        shell.wait()
        shell.stdin.close()
