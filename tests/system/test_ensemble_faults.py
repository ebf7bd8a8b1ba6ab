# SPDX-License-Identifier: Apache-2.0
"""Ensembles of real processes on hosts of their own, with TLS, while members are killed, stopped, cut off, and out of room.

Clients write down what they see all the while; afterwards it must be a history that an ensemble may show, and all members
must be equal (tests/lib/history.py)."""
import json
import os
import random
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

from certificates import corral_tls, make_tls, write_store
from members import SYNC_TICKS, TICK_MS, Ensemble, wait_until
from network import Network

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts of their own, in network namespaces, need root")
CLIENTS = 8  # that record
LOST_S = SYNC_TICKS * TICK_MS / 1000  # a leader that hears nothing for so long gives up


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Certificates for five members and the clients."""
    folder = tmp_path_factory.mktemp("certificates") / "tls"
    make_tls(folder, "test", ("user", "eve"))
    for sid in range(1, 6):
        corral_tls("issue", folder, "--ip", Network.address(sid), "zkserver", str(sid))
        write_store(folder / f"store-{sid}.pem", folder, f"zkserver-{sid}")
    (folder / "user-eve.pem").rename(folder / "user.pem")
    (folder / "user-eve-key.pem").rename(folder / "user-key.pem")
    return folder


@pytest.fixture
def ensemble(tls, request):
    """Three members, or as many as the test asks for."""
    made = Ensemble({sid: "corral" for sid in range(1, getattr(request, "param", 3) + 1)}, tls=tls)
    try:
        yield made.start()
    finally:
        made.remove()


def test_the_leader_is_killed(ensemble):
    ensemble.record()
    for _ in range(3):
        leader = ensemble.wait_leader()
        leader.stop(signal.SIGKILL)
        ensemble.wait_leader(other_than=leader)
        leader.start()
        ensemble.wait_whole()
        ensemble.work()
    assert ensemble.judge()["writes"] > 100


def test_all_are_killed_at_once(ensemble):
    ensemble.record()
    for _ in range(2):
        for member in ensemble.members.values():
            member.process.send_signal(signal.SIGKILL)
        for member in ensemble.members.values():
            member.stop()
            member.start()
        ensemble.wait_whole()
        ensemble.work()
    assert ensemble.judge()["writes"] > 100


@pytest.mark.long
def test_members_restart_in_turn(ensemble):
    ensemble.record()
    for member in list(ensemble.members.values()):
        member.stop(signal.SIGTERM)
        member.start()
        ensemble.wait_whole()
        ensemble.work()
    assert ensemble.judge()["writes"] > 100


def test_the_leader_is_paused(ensemble):
    """It wakes up as a leader whom nobody follows, with requests in its sockets."""
    ensemble.record()
    leader = ensemble.wait_leader()
    leader.pause()
    ensemble.wait_leader(other_than=leader)
    ensemble.work()
    leader.resume()
    ensemble.wait_whole()
    assert ensemble.judge()["writes"] > 100


@pytest.mark.long
def test_a_follower_is_paused(ensemble):
    ensemble.record()
    leader = ensemble.wait_leader()
    follower = next(m for m in ensemble.members.values() if m is not leader)
    follower.pause()
    time.sleep(2 * LOST_S)
    follower.resume()
    ensemble.wait_whole()
    assert ensemble.judge()["writes"] > 100


CUTS = {
    "the leader from all": lambda net, leader, other: net.isolate(leader),
    "what the leader sends": lambda net, leader, other: [net.cut_one_way(leader, n) for n in (1, 2, 3) if n != leader],
    "what the leader hears": lambda net, leader, other: [net.cut_one_way(n, leader) for n in (1, 2, 3) if n != leader],
    "the leader from one": lambda net, leader, other: net.cut(leader, other),
    "one from all": lambda net, leader, other: net.isolate(other),
    "what one hears": lambda net, leader, other: [net.cut_one_way(n, other) for n in (1, 2, 3) if n != other],
    "what one sends to the leader": lambda net, leader, other: net.cut_one_way(other, leader),
    "what the leader sends to one": lambda net, leader, other: net.cut_one_way(leader, other),
    "the two followers": lambda net, leader, other: net.cut(*[n for n in (1, 2, 3) if n != leader]),
}


SHORT = ("the leader from all", "what the leader hears")


@pytest.mark.parametrize("what", [what if what in SHORT else pytest.param(what, marks=pytest.mark.long) for what in CUTS])
def test_links_are_cut(ensemble, what):
    ensemble.record()
    leader = ensemble.wait_leader().sid
    CUTS[what](ensemble.network, leader, leader % 3 + 1)
    time.sleep(2 * LOST_S)
    ensemble.network.heal()
    ensemble.wait_whole()
    assert ensemble.judge()["writes"] > 100


@pytest.mark.parametrize("ensemble", [5], indirect=True)
def test_five_under_random_faults(ensemble):
    """Never more than two at a time."""
    draw = random.Random(os.environ.get("CORRAL_SEED", "7"))
    ensemble.record()
    for _ in range(6):
        victims = draw.sample(sorted(ensemble.members), draw.choice((1, 2)))
        how = draw.choice(("kill", "stop", "cut", "pair", "half a pair"))
        for sid in victims:
            member = ensemble.members[sid]
            if how == "kill":
                member.stop(signal.SIGKILL)
            elif how == "stop":
                member.pause()
            elif how == "cut":
                ensemble.network.isolate(sid)
            elif how == "pair":
                ensemble.network.cut(sid, sid % 5 + 1)
            else:
                ensemble.network.cut_one_way(sid, sid % 5 + 1)
        time.sleep(draw.uniform(0.5, 2 * LOST_S))
        ensemble.network.heal()
        for sid in victims:
            member = ensemble.members[sid]
            if how == "kill":
                member.start()
            elif how == "stop":
                member.resume()
        ensemble.wait_whole()
    assert ensemble.judge()["writes"] > 100


@pytest.fixture
def small_disk(ensemble):
    """A follower on a disk of 24 MB."""
    leader = ensemble.wait_leader()
    member = next(m for m in ensemble.members.values() if m is not leader)
    member.stop(signal.SIGTERM)
    saved = member.directory / "saved"
    member.data.rename(saved)
    member.data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", member.data], check=True)
    try:
        subprocess.run(["cp", "-a", f"{saved}/.", member.data], check=True)
        member.start()
        ensemble.wait_whole()
        yield member
    finally:
        member.stop(signal.SIGKILL)
        subprocess.run(["umount", member.data], check=True)


def test_a_disk_fills(ensemble, small_disk):
    """The member leaves and says why, the others go on; with room again it comes back."""
    ensemble.record()
    block = small_disk.data / "block"
    with open(block, "wb") as f, pytest.raises(OSError):
        while True:
            f.write(bytes(65536))
            f.flush()
    big = "x" * 500_000
    for n in range(12):
        ensemble.zk("create", f"/big-{n}", "-", input=big, check=False)  # it may be at the member that leaves
    wait_until(lambda: not small_disk.running() or small_disk.mode() is None, lambda: "it leaves\n" + small_disk.log())
    assert "No space left" in small_disk.log(), small_disk.log()
    assert ensemble.leader() is not None
    block.unlink()
    if not small_disk.running():
        small_disk.stop()
        small_disk.start()
    ensemble.wait_whole()
    assert ensemble.judge()["writes"] > 100


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    """What shifts the wall clock of a process."""
    library = tmp_path_factory.mktemp("clock") / "shift_clock.so"
    source = Path(__file__).resolve().parents[1] / "lib" / "shift_clock.c"
    subprocess.run([os.environ.get("CC", "cc"), "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def told_days(ensemble):
    """By how much the leader's clock is ahead, as a new node has it."""
    ensemble.zk("create", "/now", "x", check=False)
    ensemble.zk("set", "/now", "y")
    return (json.loads(ensemble.zk("stat", "--json", "/now"))["mtime_ms"] / 1000 - time.time()) / 86400


def test_clocks_differ_by_days_and_step(tls, clock):
    """Those of the leader and of a follower step while clients work, forwards and back, within the year of the certificates."""
    ensemble = Ensemble({1: "corral", 2: "corral", 3: "corral"}, tls=tls)

    def shift(member, days):
        with open(member.directory / "shift", "r+b") as f:  # in place: it is mapped
            f.write(struct.pack("=q", days * 86400))

    try:
        for member, days in zip(ensemble.members.values(), (100, 0, 1)):
            (member.directory / "shift").write_bytes(bytes(8))
            shift(member, days)
            member.prefix = ["env", f"LD_PRELOAD={clock}", f"SHIFT_CLOCK={member.directory / 'shift'}",
                             "ASAN_OPTIONS=verify_asan_link_order=0"]
        ensemble.start()
        ensemble.record()
        leader = ensemble.wait_leader()
        for days in (300, 2):
            shift(leader, days)
            ensemble.work()
            assert abs(told_days(ensemble) - days) < 1
            shift(ensemble.members[leader.sid % 3 + 1], 302 - days)
            ensemble.work()
        leader.stop(signal.SIGKILL)
        ensemble.wait_leader(other_than=leader)
        leader.start()
        ensemble.wait_whole()
        figures = ensemble.judge()
        assert figures["writes"] > 100
        assert figures["sessions"] < 2 * CLIENTS  # no step makes them all run out
    finally:
        ensemble.remove()
