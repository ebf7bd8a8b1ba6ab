# SPDX-License-Identifier: Apache-2.0
"""zkserver on a disk that fills, and on data, keys and certificates that are damaged."""
import os
import re
import shutil
import signal
import struct
import subprocess

import pytest
from conftest import until
from zkraw import CREATE, GET, WORLD, Zkserver, receive_error, request, session, text

@pytest.fixture
def small(tmp_path):
    """A file system of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def fill(directory):
    """Take all the room; remove what is returned to give it back."""
    path = directory / "filler"
    with path.open("wb", buffering=0) as f:
        with pytest.raises(OSError):
            while True:
                f.write(bytes(4096))
    return path


def creation(xid):
    return request(xid, CREATE, text(b"/n%d" % xid) + text(b"x" * 1000) + WORLD + struct.pack(">i", 0))


def create(s, xid):
    s.sendall(creation(xid))
    return receive_error(s) == (xid, 0)


def test_needs_root_a_write_that_fails_stops_the_server_and_no_acknowledged_write_is_lost(small, tmp_path):
    server = Zkserver(tmp_path, data=small / "data")
    acknowledged = 0
    with session(server.port) as s:
        while acknowledged < 100:
            assert create(s, acknowledged)
            acknowledged += 1
        filler = fill(small)
        with pytest.raises(ConnectionError):
            while create(s, acknowledged):
                acknowledged += 1
    assert server.process.wait(30) == 74
    says = r"error: .*[Nn]o space left on device.*; stopping, since nothing written now can be trusted"
    assert re.search(says, server.text()), server.text()
    filler.unlink()
    server.start()
    with session(server.port) as s:
        for n in range(acknowledged):
            s.sendall(request(n, GET, text(b"/n%d" % n) + b"\0"))
            assert receive_error(s) == (n, 0)
    assert server.stop() == 0


def test_needs_root_a_server_that_starts_on_a_full_disk_waits_and_comes_back_by_itself(small, tmp_path):
    server = Zkserver(tmp_path, data=small / "data")
    assert server.stop() == 0
    filler = fill(small)
    server.start(ready=False)
    until(lambda: "the disk is full; waiting until there is room" in server.text(), server.text)
    server.process.send_signal(signal.SIGUSR1)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "certificates were read again" in server.text(), server.text)
    assert server.process.poll() is None and "ready" not in server.text()
    filler.unlink()
    server.wait_ready()
    server.serves()
    assert server.stop() == 0


def test_needs_root_a_server_that_waits_for_room_can_be_told_to_stop(small, tmp_path):
    server = Zkserver(tmp_path, data=small / "data")
    assert server.stop() == 0
    fill(small)
    server.start(ready=False)
    until(lambda: "waiting until there is room" in server.text(), server.text)
    assert server.stop() == 0
    assert "signal 15: stopping" in server.text()


def test_needs_root_the_first_start_on_a_full_disk_waits_too(small, tmp_path):
    (small / "data" / "version-2").mkdir(parents=True)
    filler = fill(small)
    server = Zkserver(tmp_path, data=small / "data", ready=False)
    until(lambda: "waiting until there is room" in server.text() or server.process.poll() is not None, server.text)
    filler.unlink()
    server.wait_ready()
    assert server.stop() == 0


# ---- damaged files ----

def refused(server, status):
    server.start(ready=False)
    assert server.process.wait(30) == status, server.text()
    return server.text()


@pytest.fixture
def stopped(tmp_path):
    server = Zkserver(tmp_path)
    with session(server.port) as s:
        s.sendall(b"".join(creation(n) for n in range(300)))
        assert [receive_error(s) for _ in range(300)] == [(n, 0) for n in range(300)]
    assert server.stop() == 0
    return server


def test_a_log_that_is_damaged_in_the_middle_is_named_with_its_offset(stopped):
    log = min((stopped.data / "version-2").glob("log.*"))
    with log.open("r+b") as f:
        f.seek(5000)
        f.write(b"\xff" * 8)
    said = refused(stopped, 74)
    assert re.search(rf"{log.name}.*offset \d+", said), said


def test_a_snapshot_that_is_damaged_is_named(stopped):
    for snapshot in (stopped.data / "version-2").glob("snapshot.*"):
        snapshot.write_bytes(snapshot.read_bytes()[:60] + b"\xff" * 20)
    said = refused(stopped, 74)
    assert re.search(r"snapshot\.[0-9a-f]+", said), said


@pytest.mark.parametrize("spoil, status", [
    (lambda tls: (tls / "store.pem").unlink(), 78), (lambda tls: (tls / "store.pem").write_text("no PEM\n"), 78),
    (lambda tls: (tls / "ca.pem").unlink(), 78), (lambda tls: shutil.copy(tls / "zkserver-zk.pem", tls / "store.pem"), 78),
], ids=["no store", "no PEM", "no CA", "no key"])
def test_a_certificate_that_cannot_be_used_is_named(stopped, spoil, status):
    spoil(stopped.tls)
    said = refused(stopped, status)
    assert re.search(r"store\.pem|ca\.pem", said), said
    assert "AddressSanitizer" not in said
