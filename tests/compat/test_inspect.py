# SPDX-License-Identifier: Apache-2.0
"""`zkserver txnlog` and `zkserver snapshot` over files that Apache ZooKeeper 3.8 wrote: those of the fuzz corpora, whose
snapshots are led by one byte for the fuzz target."""
import subprocess
from pathlib import Path

import pytest

from servers import BUILD

CORPUS = Path(__file__).resolve().parent.parent / "data" / "fuzz"


def inspect(*words):
    return subprocess.run([BUILD / "zkserver" / "zkserver", *map(str, words)], capture_output=True, text=True, timeout=20,
                          check=False)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.1"
    path.write_bytes((CORPUS / "txnlog" / "apache").read_bytes())
    return path


def test_a_log_is_printed_one_transaction_a_line(log):
    done = inspect("txnlog", log)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines if not line.startswith(" ")] == [f"0x{n:x}" for n in range(1, 9)]
    assert " create /b/e 1 bytes ephemeral" in done.stdout
    assert "    set /b 1 bytes" in lines


def test_damage_is_named_with_its_offset(log):
    data = bytearray(log.read_bytes())
    data[230] ^= 1
    log.write_bytes(data)
    done = inspect("txnlog", log)
    assert done.returncode == 1
    assert "log.1: no valid record at offset 202" in done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert log.read_bytes() == bytes(data), "the file is only read"


@pytest.mark.parametrize("kind, name", [("apache", "snapshot.8"), ("apache-gz", "snapshot.8.gz")])
@pytest.mark.parametrize("by_directory", [False, True])
def test_a_snapshot_is_printed(tmp_path, kind, name, by_directory):
    path = tmp_path / name
    path.write_bytes((CORPUS / "snapshot" / kind).read_bytes()[1:])
    done = inspect("snapshot", tmp_path if by_directory else path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("zxid 0x8, 8 nodes, 1 sessions, digest 13074339357\n")
    assert "node /b 1 bytes, czxid 0x3, mzxid 0x7, version 2, owner 0x0" in done.stdout


def test_what_is_not_there_or_is_no_snapshot_is_said(tmp_path):
    assert inspect("snapshot", tmp_path).returncode == 66
    assert inspect("txnlog", tmp_path / "log.1").returncode == 66
    assert inspect("txnlog", tmp_path / "other").returncode == 64
    (tmp_path / "snapshot.1").write_bytes(b"no snapshot at all")
    done = inspect("snapshot", tmp_path / "snapshot.1")
    assert done.returncode == 1 and "snapshot.1: at byte" in done.stderr
