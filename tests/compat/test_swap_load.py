# SPDX-License-Identifier: Apache-2.0
"""A server is killed while it works, and the other kind opens what it left: the same tree, ACLs, sessions and digest as
the server's own kind finds there, and all that was answered."""
import random
import shutil
import signal
import struct
import zlib
from pathlib import Path

import pytest

import wire
from load import TIMEOUT_MS, Pipe, Session
from servers import BUILD, KINDS, wait_until
from swap import below, dump, hand_over, no_digest_mismatch, sessions

ROUNDS, ROUNDS_LONG = 3, 40
SESSIONS = 4
MORE = (f"snapCount=100\npreAllocSize=1024\nmaxSessionTimeout={TIMEOUT_MS}\nmaxClientCnxns=0\n"
        "autopurge.purgeInterval=1\n")  # with each start, so that the directory stays small enough to be copied
SECONDS = 60


def server(kind):
    one = KINDS[kind]()
    with open(one.config, "a", encoding="utf-8") as config:
        config.write(MORE)
    return one


def snapshots(server):
    return {path.name for path in (server.dir / "data" / "version-2").glob("snapshot.*")}


def at_work(server):
    """Processes of the server: zkserver's snapshots are written by a child, which the kernel ends a moment after it."""
    found = []
    for cwd in Path("/proc").glob("[0-9]*/cwd"):
        try:
            found += [cwd] if cwd.samefile(server.dir) else []
        except OSError:  # it has ended, or is not ours
            pass
    return found


def work_until_killed(server, rng, number):
    """The sessions that were at work when the server was killed."""
    before = snapshots(server)
    workers = [Session(server.port, random.Random(rng.random()), f"/round-{number}-{n}") for n in range(SESSIONS)]
    for worker in workers:
        worker.start()
    enough = rng.randrange(500, 4000)

    def done():
        return sum(w.answered for w in workers) >= enough or any(w.fault for w in workers)
    wait_until(done, SECONDS, f"{enough} requests are answered")
    server.stop(signal.SIGKILL)
    wait_until(lambda: not at_work(server), SECONDS, "its children end")
    for worker in workers:
        worker.join(SECONDS)
        assert worker.fault is None, worker.fault
    print(f"round {number}: {sum(w.answered for w in workers)} answered, {len(snapshots(server) - before)} snapshots")
    return workers


def same_tree(expected, found):
    for path in sorted(expected.keys() | found.keys()):
        assert found.get(path) == expected.get(path), path


def compare(old, new, workers):
    """The old kind, started again, is the measure; and the answers that the workers had."""
    # The nodes first: whoever reads them makes a session of his own.
    assert sessions(new) == sessions(old)
    assert {w.id for w in workers if w.id} <= sessions(new).keys()
    expected, found = dump(old), dump(new)
    same_tree(expected, found)
    for worker in workers:
        worker.check(below(found, worker.planner.root))
    no_digest_mismatch(new)
    no_digest_mismatch(old)


def take_up_sessions(server, workers, close):
    for worker in [w for w in workers if w.id]:
        with Pipe(server.port, session=worker.id, password=worker.password) as pipe:
            assert (pipe.session, pipe.timeout_ms) == (worker.id, TIMEOUT_MS)
            if close:
                assert pipe.call(wire.CLOSE, b"")[1][2] == 0


def clear(server, workers):
    """Remove what a round has made, so that the next one has as little to copy and compare."""
    roots = [worker.planner.root for worker in workers]
    paths = [path for path in dump(server) if any(path == root or path.startswith(root + "/") for root in roots)]
    with Pipe(server.port) as pipe:
        for path in sorted(paths, key=len, reverse=True):
            assert pipe.call(wire.DELETE, wire.text(path) + wire.i32(-1))[1][2] == 0
        pipe.call(wire.CLOSE, b"")


def remove_empty_log(server):
    """Apache's server of 3.8 that is killed right after it has made a log does not start again before the empty file is
    removed (3.9 does that itself). zkserver has to cope with the file, and never to leave one."""
    newest = max((server.dir / "data" / "version-2").glob("log.*"), key=lambda path: int(path.suffix[1:], 16))
    if newest.stat().st_size == 0:
        assert server.name == "apache"
        print(f"{newest.name} is empty")
        newest.unlink()


def one_round(old, kind, rng, number):
    workers = work_until_killed(old, rng, number)
    new = server(kind)
    try:
        hand_over(old, new)
        remove_empty_log(old)
        for one in (old, new):
            one.launch()
        for one in (old, new):
            one.wait()
        compare(old, new, workers)
        take_up_sessions(new, workers, close=False)
        take_up_sessions(old, workers, close=True)
        clear(old, workers)
    except AssertionError:
        shutil.copytree(new.dir, BUILD / "swap-failed", dirs_exist_ok=True)
        raise
    finally:
        new.remove()


@pytest.mark.parametrize("way", [("apache", "corral"), ("corral", "apache")], ids="-to-".join)
def test_what_a_killed_server_left_is_the_same_to_the_other_kind(way, request):
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    old = server(way[0])
    try:
        old.start()
        for number in range(ROUNDS_LONG if request.config.getoption("--long") else ROUNDS):
            one_round(old, way[1], rng, number)
    finally:
        old.remove()


def falsify_last_digest(path):
    """Change what the last record of a log says that the tree's digest is, and make its checksum right again."""
    log = bytearray(path.read_bytes())
    at, last = 16, None
    while log[at + 8:at + 12].strip(b"\0"):
        size, = struct.unpack_from(">i", log, at + 8)
        last, at = slice(at + 12, at + 12 + size), at + 12 + size + 1
    log[last.stop - 1] ^= 1
    struct.pack_into(">q", log, last.start - 12, zlib.adler32(log[last]))
    path.write_bytes(log)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_wrong_digest_would_have_been_seen(kind):
    old, new = server("corral"), server(kind)
    try:
        old.start()
        with Pipe(old.port) as pipe:
            pipe.create("/a", b"")
        old.stop(signal.SIGKILL)
        hand_over(old, new)
        falsify_last_digest(max((new.dir / "data" / "version-2").glob("log.*")))
        new.start()
        with pytest.raises(AssertionError):
            no_digest_mismatch(new)
    finally:
        old.remove()
        new.remove()
