# SPDX-License-Identifier: Apache-2.0
"""`zkserver txnlog` and `zkserver snapshot` over files that Apache ZooKeeper 3.8 wrote: those of the fuzz corpora, which
are led by one byte for the fuzz targets."""
import json
import struct
import subprocess
import zlib
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
    path.write_bytes((CORPUS / "txnlog" / "apache").read_bytes()[1:])
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


def seal(data):
    return data + struct.pack(">qi", zlib.adler32(data), 1) + b"/"


def empty_snapshot():
    """Of a tree that has its root only."""
    root = struct.pack(">iiq", 0, 0, -1) + bytes(60)
    return seal(b"ZKSN" + struct.pack(">iqii", 2, -1, 0, 0) + root + struct.pack(">i", 1) + b"/")


def starts(directory):
    """The line in which verifying says what a start does."""
    done = inspect("snapshot", "--verify", directory)
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("broken, lost", [(8, ""), (3, ", with 5 whole transactions, 0x4 to 0x8")], ids=["last", "middle"])
def test_what_stands_before_damage_can_be_had(log, broken, lost):
    whole = log.read_bytes()
    (log.parent / "snapshot.0").write_bytes(empty_snapshot())
    offsets = [int(line.split()[0]) for line in inspect("txnlog", log).stdout.splitlines() if not line.startswith(" ")]
    at = offsets[broken - 1]
    data = whole[:at + 20] + bytes([whole[at + 20] ^ 1]) + whole[at + 21:]
    log.write_bytes(data)
    assert starts(log.parent)[0] == 1
    done = inspect("txnlog", "--recover", log)
    assert (done.returncode, done.stderr) == (0, ""), done
    said = done.stdout.splitlines()
    assert said[0].startswith(f"the damage: log.1: no valid record at offset {at}")
    assert said[1] == f"kept: {broken - 1} transactions, 0x1 to 0x{broken - 1:x}, in {log}.recovered"
    assert said[2] == f"dropped: {len(whole) - at} bytes from offset {at} on{lost}"
    assert said[3].startswith("nothing was changed: ") and log.read_bytes() == data
    # A copy that is there stays.
    assert inspect("txnlog", "--recover", log).returncode == 73
    copy = log.parent / "log.1.recovered"
    assert copy.read_bytes() == whole[:at]
    copy.rename(log)
    status, line = starts(log.parent)
    assert status == 0 and f"replays {broken - 1} transactions, and is at zxid 0x{broken - 1:x}" in line
    assert inspect("txnlog", "--recover", log).stdout == f"{log}: {broken - 1} transactions, no damage: nothing is to be done\n"
    assert sorted(path.name for path in log.parent.iterdir()) == ["log.1", "snapshot.0"]


def test_where_nothing_can_be_kept_it_is_said(log):
    log.write_bytes(b"X" + log.read_bytes()[1:])
    done = inspect("txnlog", "--recover", log)
    assert done.returncode == 1 and "nothing can be kept: log.1: begins with" in done.stderr
    assert [path.name for path in log.parent.iterdir()] == ["log.1"]


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


def test_a_log_is_printed_as_json(log):
    done = inspect("txnlog", "--json", log)
    assert (done.returncode, done.stderr) == (0, "")
    transactions = json.loads(done.stdout)["transactions"]
    assert [t["zxid"] for t in transactions] == [f"0x{n:x}" for n in range(1, 9)]
    multi = next(t for t in transactions if t["type"] == "multi")
    assert {"type": "set", "path": "/b", "bytes": 1} in multi["parts"]
    ephemeral = next(t for t in transactions if t.get("path") == "/b/e")
    assert ephemeral["owner"] == ephemeral["session"]


def test_a_snapshot_is_printed_as_json(tmp_path):
    (tmp_path / "snapshot.8").write_bytes((CORPUS / "snapshot" / "apache").read_bytes()[1:])
    done = inspect("snapshot", "--json", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    snapshot = json.loads(done.stdout)
    assert (snapshot["zxid"], snapshot["digest"], snapshot["digest_matches"]) == ("0x8", "13074339357", True)
    assert len(snapshot["sessions"]) == 1 and len(snapshot["nodes"]) == 8
    node = next(n for n in snapshot["nodes"] if n["path"] == "/b")
    assert (node["bytes"], node["mzxid"], node["version"]) == (1, "0x7", 2)


@pytest.fixture
def directory(tmp_path, log):
    """A data directory: an empty tree's snapshot is made by zkserver, the log is Apache's."""
    (tmp_path / "snapshot.8").write_bytes((CORPUS / "snapshot" / "apache").read_bytes()[1:])
    return tmp_path


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_directory_is_verified(directory):
    before = contents(directory)
    done = inspect("snapshot", "--verify", directory)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "snapshot.8: whole: 8 nodes, 1 sessions, its digest matches" in done.stdout
    assert "log.1: 8 transactions, the last is 0x8" in done.stdout
    assert "a start loads snapshot 0x8, replays 0 transactions, and is at zxid 0x8 with 8 nodes" in done.stdout
    assert contents(directory) == before


def test_the_snapshot_of_a_new_directory_of_apaches_is_whole_though_its_digest_is_of_nothing(tmp_path):
    (tmp_path / "snapshot.0").write_bytes(seal(empty_snapshot() + struct.pack(">qiq", 0, 2, 0)))
    done = inspect("snapshot", "--verify", tmp_path)
    assert done.returncode == 0 and "snapshot.0: whole: " in done.stdout, done
    assert "another one" not in inspect("snapshot", tmp_path).stdout
    assert "digest_matches" not in json.loads(inspect("snapshot", "--json", tmp_path).stdout)


def test_verifying_says_what_is_damaged_and_what_a_start_makes_of_it(directory):
    (directory / "snapshot.9").write_bytes((directory / "snapshot.8").read_bytes()[:-10])
    before = contents(directory)
    done = inspect("snapshot", "--verify", directory)
    assert done.returncode == 1
    assert "snapshot.9: damaged: " in done.stdout
    assert "a start loads snapshot 0x8" in done.stdout
    (directory / "snapshot.8").unlink()
    done = inspect("snapshot", "--verify", directory)
    assert done.returncode == 1 and "a start fails: no snapshot is whole" in done.stdout
    (directory / "snapshot.9").unlink()
    done = inspect("snapshot", "--verify", directory)
    assert done.returncode == 1 and "a start fails: 1 log files but no snapshot" in done.stdout
    assert contents(directory) == {"log.1": before["log.1"]}


def test_a_torn_end_is_no_damage_and_stays(directory):
    log = directory / "log.1"
    data = log.read_bytes()
    end = data.rindex(b"B", 0, len(data.rstrip(b"\0")) + 1)
    log.write_bytes(data[:end])
    done = inspect("snapshot", "--verify", directory)
    assert done.returncode == 0, done
    assert "log.1: 7 transactions, the last is 0x7, then a torn end" in done.stdout
    assert log.read_bytes() == data[:end]


def test_a_log_without_a_transaction_has_no_last_one(directory):
    (directory / "log.9").write_bytes(b"ZKLG" + bytes([0, 0, 0, 2]) + bytes(100))
    done = inspect("snapshot", "--verify", directory)
    assert done.returncode == 0, done
    assert "log.9: no transactions\n" in done.stdout and "0x0" not in done.stdout


def test_what_is_no_directory_is_said(tmp_path):
    done = inspect("snapshot", "--verify", tmp_path / "none")
    assert done.returncode == 66 and "none" in done.stderr
