# SPDX-License-Identifier: Apache-2.0
"""zkserver after years: whose clock is in 1970 or 2100, and whose data directory nobody purged."""
import os
import shutil
import signal
import struct
import subprocess
import zlib

import pytest
from conftest import until
from waiting import program
from zkraw import CREATE, EXISTS, WORLD, Zkserver, receive, request, session, text

FILES = 10000
CLOCK = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The wall clock, so that it began at CLOCK_START when the process did. */
static long long begun_s;

int
clock_gettime(clockid_t clock, struct timespec *to)
{
	int failed = (int)syscall(SYS_clock_gettime, clock, to);

	if (failed != 0 || clock != CLOCK_REALTIME)
		return failed;
	if (begun_s == 0)
		begun_s = to->tv_sec;
	to->tv_sec += atoll(getenv("CLOCK_START")) - begun_s;
	return 0;
}

int
gettimeofday(struct timeval *restrict to, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*to = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
	return 0;
}

time_t
time(time_t *to)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (to != NULL)
		*to = now.tv_sec;
	return now.tv_sec;
}
"""


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    """What puts a server into another year."""
    path = tmp_path_factory.mktemp("clock")
    (path / "clock.c").write_text(CLOCK)
    subprocess.run([*os.environ.get("CC", "cc").split(), "-shared", "-fPIC", "-o", path / "clock.so", path / "clock.c"],
                   check=True, timeout=60)
    # A sanitizer's library wants to be the first one.
    return lambda seconds: ("env", f"LD_PRELOAD={path}/clock.so", "ASAN_OPTIONS=verify_asan_link_order=0",
                            f"CLOCK_START={seconds}")


@pytest.fixture
def make(tmp_path):
    made = []

    def start(more="", **options):
        made.append(Zkserver(tmp_path, more, **options))
        return made[-1]

    yield start
    for server in made:
        if server.process.poll() is None:
            server.stop()


def create(s, xid, path):
    s.sendall(request(xid, CREATE, text(path) + text(b"x") + WORLD + struct.pack(">i", 0)))
    return struct.unpack(">iqi", receive(s)[:16])[2]


def times(s, xid, path):
    """(ctime, mtime) in seconds."""
    s.sendall(request(xid, EXISTS, text(path) + b"\0"))
    reply = receive(s)
    assert struct.unpack(">iqi", reply[:16])[2] == 0
    return tuple(ms // 1000 for ms in struct.unpack(">qqqq", reply[16:48])[2:])


def printed(server):
    logs = (server.data / "version-2").glob("log.*")
    return "".join(subprocess.run([program("zkserver"), "txnlog", log], capture_output=True, text=True, check=True,
                                  timeout=60).stdout for log in logs)


@pytest.mark.parametrize("seconds, year", [(0, "1970-01-01T"), (4102444800, "2100-01-01T")], ids=["1970", "2100"])
def test_a_server_serves_in_every_year(make, clock, seconds, year):
    server = make(prefix=clock(seconds))
    with session(server.port) as s:
        assert create(s, 1, b"/then") == 0
        ctime, mtime = times(s, 2, b"/then")
        assert ctime == mtime and seconds <= ctime < seconds + 3600
    assert f"\n{year}" in "\n" + server.log.read_text(), "the log's lines have the time"
    server.stop(signal.SIGKILL)
    assert f" {year}" in printed(server)
    # The clock was set right.
    server.prefix = ()
    server.start()
    with session(server.port) as s:
        assert create(s, 1, b"/now") == 0
        assert times(s, 2, b"/then") == (ctime, mtime)
        assert 1700000000 < times(s, 3, b"/now")[0] != ctime
    assert server.stop() == 0


def log_file(zxid):
    """A log with one transaction: a request that failed."""
    txn = struct.pack(">qiqqii", 1, 1, zxid, 1700000000000, -1, -101)
    return b"ZKLG" + struct.pack(">iq", 2, 0) + struct.pack(">qi", zlib.adler32(txn), len(txn)) + txn + b"B" + bytes(100)


def test_a_directory_of_ten_thousand_files_is_read_and_purged(make, tmp_path):
    server = make("snapCount=2\nautopurge.purgeInterval=1\n")
    assert server.stop() == 0
    files = server.data / "version-2"
    snapshot = (files / "snapshot.0").read_bytes()
    for log in files.glob("log.*"):
        log.unlink()
    for zxid in range(1, FILES + 1):
        (files / f"log.{zxid:x}").write_bytes(log_file(zxid))
    server.start()
    assert f"zxid 0x{FILES:x}, 4 nodes, {FILES} transactions replayed" in server.text()

    def newest_snapshot():
        return max(int(path.suffix[1:], 16) for path in files.glob("snapshot.*"))

    with session(server.port) as s:
        assert create(s, 1, b"/a") == 0
        until(lambda: newest_snapshot() > FILES, "a snapshot is written")
    assert server.stop() == 0
    # Many older ones, which are the same but for their names: all but three go, and the logs before these.
    newest = newest_snapshot()
    for zxid in range(newest - FILES // 10, newest):
        (files / f"snapshot.{zxid:x}").write_bytes(snapshot)
    server.start()
    until(lambda: len(list(files.glob("snapshot.*"))) <= 3 + 2, "old snapshots are removed")  # and those of a moment ago
    until(lambda: len(list(files.glob("log.*"))) < 20, "old logs are removed")
    with session(server.port) as s:
        times(s, 1, b"/a")
    assert server.stop() == 0
    kept = tmp_path / "kept"
    shutil.copytree(files, kept)
    verified = subprocess.run([program("zkserver"), "snapshot", "--verify", kept], capture_output=True, text=True, timeout=60,
                              check=False)
    assert verified.returncode == 0, verified
