# SPDX-License-Identifier: Apache-2.0
"""The judge of histories (tests/lib/history.py) lets a right one pass and finds each kind of fault."""
import json
import struct
import zlib

import pytest

import history

SESSION = 0x100000000000001


def text(value):
    return struct.pack(">i", len(value)) + value.encode()


def txn(zxid, kind, cxid, body=b""):
    return struct.pack(">qiqqi", SESSION, cxid, zxid, 0, kind) + body


def create(path, data, ephemeral=False):
    acl = struct.pack(">ii", 1, 31) + text("world") + text("anyone")
    return text(path) + text(data) + acl + struct.pack(">?i", ephemeral, 1)


def end(zxid, *paths):
    return txn(zxid, history.CLOSE_SESSION, 0, struct.pack(">i", len(paths)) + b"".join(text(p) for p in paths))


TXNS = [txn(1, history.CREATE_SESSION, 0, struct.pack(">i", 6000)), txn(2, history.CREATE, 1, create("/h/0", "a")),
        txn(3, history.SET, 3, text("/h/0") + text("b") + struct.pack(">i", 1)),
        txn(4, history.ERROR, 4, struct.pack(">i", -103)), txn(5, history.DELETE, 6, text("/h/0")),
        txn(6, history.CREATE, 9, create("/h/e-1", "d", ephemeral=True)), end(7, "/h/e-1")]


def op(kind, xid, inv, ret, zxid, err=0, **more):
    return {"op": kind, "path": "/h/0", "c": 0, "s": SESSION, "conn": 1, "xid": xid, "inv": inv, "ret": ret, "zxid": zxid,
            "err": err, "order": xid, **more}


def stat(czxid, mzxid, version, owner=0):
    return [czxid, mzxid, 0, 0, version, 0, 0, owner, 1, 0, czxid]


def right():
    return [op("create", 1, 10, 20, 2, made="/h/0", flags=0, data="a"),
            op("get", 2, 21, 25, 2, watch=True, got="a", stat=stat(2, 2, 0)),
            op("set", 3, 30, 40, 3, version=-1, data="b", stat=stat(2, 3, 1), order=4),
            {"c": 0, "conn": 1, "event": 3, "path": "/h/0", "order": 3},
            op("set", 4, 50, 60, 4, err=-103, version=9, data="c", order=5),
            op("get", 5, 61, 65, 4, watch=False, got="b", stat=stat(2, 3, 1), order=6),
            op("delete", 6, 70, 80, 5, version=-1, order=7),
            op("sync", 7, 90, 91, 5, order=8), op("exists", 8, 92, 93, 5, err=-101, order=9),
            op("create", 9, 94, 95, 6, path="/h/e-", made="/h/e-1", flags=3, data="d", order=10),
            op("exists", 10, 96, 97, 6, path="/h/e-1", stat=stat(6, 6, 0, SESSION), order=11)]


def write(folder, entries, txns=TXNS):
    (folder / "version-2").mkdir(exist_ok=True)
    data = struct.pack(">iiq", 0x5A4B4C47, 2, 0)
    data += b"".join(struct.pack(">qi", zlib.adler32(t), len(t)) + t + b"B" for t in txns)
    (folder / "version-2" / "log.1").write_bytes(data + bytes(64))
    (folder / "history").write_text("".join(json.dumps(e) + "\n" for e in entries))
    return history.check(folder / "history", [folder])


def test_a_right_history_passes(tmp_path):
    figures, nodes = write(tmp_path, right())
    assert figures["answered"] == 10 and figures["transactions"] == 7 and nodes == {}


def spoil(index, **changes):
    def spoiled(entries):
        entries[index] |= changes
        return entries
    return spoiled


FAULTS = {
    "a write that no log has": (spoil(6, zxid=6), "not what the log has"),
    "a success that was an error": (spoil(4, err=0, stat=stat(2, 4, 2)), "ERROR|Txn"),
    "a version that was not": (spoil(2, stat=stat(2, 3, 7)), "Txn"),
    "a read of other data": (spoil(5, got="x"), "it was"),
    "a read of an old state": (spoil(5, got="a", stat=stat(2, 2, 0)), "it was"),
    "a read that goes back": (spoil(5, zxid=3), "goes back"),
    "a node that was missed": (spoil(5, err=-101), "missed"),
    "a write out of real time": (spoil(4, inv=5, ret=9), "comes before"),
    "a read older than its sync": (spoil(8, zxid=2, err=0, stat=stat(2, 2, 0)), "older than the sync"),
    "an event after the answer": (spoil(3, order=5), "before the event"),
    "a node of data that nobody sent": (spoil(0, data="z"), "Txn"),
    "a write to another node": (spoil(6, path="/h/1"), "should be -101"),
    "a version that was not asked for": (spoil(2, version=7), "should be -103"),
    "an error without a cause": (spoil(4, version=1), "should be 0"),
    "a node that lasts instead of an ephemeral one": (spoil(9, flags=2), "Txn"),
    "an answer after the end of the session": (spoil(10, zxid=7, err=-101), "its session ended"),
    "no event": (lambda entries: entries[:3] + entries[4:], "before the event"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(tmp_path, name):
    fault, says = FAULTS[name]
    with pytest.raises(AssertionError, match=says):
        write(tmp_path, fault(right()))


def test_a_write_that_took_effect_twice_is_found(tmp_path):
    twice = TXNS[:3] + [txn(4, history.SET, 3, text("/h/0") + text("b") + struct.pack(">i", 2))]
    with pytest.raises(AssertionError, match="twice"):
        write(tmp_path, right()[:4], twice)


def test_a_hole_is_found(tmp_path):
    with pytest.raises(AssertionError, match="came between"):
        write(tmp_path, right()[:2], TXNS[:2] + TXNS[3:])


def test_a_node_that_outlives_its_session_is_found(tmp_path):
    with pytest.raises(AssertionError, match="its own was"):
        write(tmp_path, right(), [*TXNS[:6], end(7)])


def test_writes_of_a_session_in_another_order_are_found(tmp_path):
    turned = TXNS[:2] + [txn(3, history.SET, 9, text("/h/0") + text("b") + struct.pack(">i", 1)), *TXNS[3:5]]
    with pytest.raises(AssertionError, match="comes after 9"):
        write(tmp_path, right()[:2], turned)


def test_a_write_behind_one_that_was_lost_is_found(tmp_path):
    lost = [op("set", 3, 30, None, 0, version=-1, data="b"), op("delete", 6, 30, None, 0, version=-1)]
    write(tmp_path, right()[:2] + lost[:1], TXNS[:2])
    with pytest.raises(AssertionError, match="though 3 before it did not"):
        write(tmp_path, right()[:2] + lost, TXNS[:2] + [txn(3, history.DELETE, 6, text("/h/0"))])


def test_what_apaches_leader_logs_behind_applying_a_multi_that_failed_has_the_error_of_its_cause():
    def part(body):
        return struct.pack(">ii", history.ERROR, len(body)) + body

    kept = text("/h/1") + text("x") + struct.pack(">i", 3)
    record = txn(8, history.MULTI, 1, struct.pack(">i", 2) + part(kept) + part(struct.pack(">i", -101)))
    assert history.parse(record).error == -101
