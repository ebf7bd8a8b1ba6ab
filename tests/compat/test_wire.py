# SPDX-License-Identifier: Apache-2.0
"""Requests that are broken in ways of their own, to Apache ZooKeeper and to zkserver: the answers must be the same."""
import struct

import pytest

import wire
from wire import Connection, i32, i64, text


def raw(server, *frames):
    """What comes back for frames on a connection that is new: the frames' count until it closes or is silent."""
    with Connection(server.port) as connection:
        answers = []
        for frame in frames:
            connection.send(frame)
            answers.append(connection.receive())
        return answers


def alike(both, *frames):
    apache, corral = [raw(server, *frames) for server in both]
    masked = [[None if a is None else (a[:4], a[12:]) for a in answers] for answers in (apache, corral)]
    assert masked[1] == masked[0]
    return apache


@pytest.mark.parametrize("body", [b"", b"\0", text("/a"), i32(5) + b"/a", i32(-2), i32(0x7FFFFFFF),
                                  text("/a") + i32(4) + b"x"],
                         ids=["empty", "one-byte", "path-only", "long-length", "negative", "huge", "short-data"])
@pytest.mark.parametrize("op", [wire.CREATE, wire.DELETE, wire.EXISTS, wire.GET, wire.SET, wire.CHILDREN, wire.MULTI,
                                wire.SET_WATCHES, wire.SET_WATCHES2, wire.ADD_WATCH, wire.CHECK_WATCHES,
                                wire.REMOVE_WATCHES])
def test_truncated_requests_are_answered_alike(both, op, body):
    alike(both, i32(7) + i32(op) + body)


@pytest.mark.parametrize("op", [wire.EXISTS, wire.GET, wire.GET_ACL, wire.CHILDREN, wire.CHILDREN2, wire.SYNC, wire.COUNT,
                                wire.EPHEMERALS, wire.CHECK_WATCHES, wire.REMOVE_WATCHES, wire.ADD_WATCH])
def test_reads_of_no_path_are_answered_alike(both, op):
    watching = op in (wire.CHECK_WATCHES, wire.REMOVE_WATCHES, wire.ADD_WATCH)
    alike(both, i32(7) + i32(op) + text(None) + (i32(1) if watching else b"\1"), i32(8) + i32(wire.EXISTS) + text("/no") + b"\0")


@pytest.mark.parametrize("op", [0, -1, 10, 23, 99, 108, 1000, -9])
def test_unknown_operations_are_answered_alike(both, op):
    assert alike(both, i32(7) + i32(op) + text("/a"))[0][12:] == i32(-6)


def test_a_failed_digest_and_an_unknown_scheme_are_answered_alike(both):
    for scheme, data in (("digest", b"a:b"), ("digest", b"a:b:c"), ("digest", b"nocolon"), ("digest", b""),
                         ("digest", b":"), ("nosuch", b"x"), ("world", b"anyone"), ("", b"")):
        alike(both, i32(wire.XID_AUTH) + i32(wire.AUTH) + i32(0) + text(scheme) + text(data))


def test_watches_set_again_catch_up_alike(both):
    seen = []
    for server in both:
        with Connection(server.port) as c:
            root = c.create("/again", b"")
            for name in "abcd":
                c.create(f"{root}/{name}", b"")
            zxid = c.ping()[1][1]
            c.call(wire.SET, text(f"{root}/a") + text("1") + i32(-1))
            c.call(wire.DELETE, text(f"{root}/b") + i32(-1))
            c.create(f"{root}/e", b"")
            c.create(f"{root}/c/x", b"")
            paths = [f"{root}/{name}" for name in "abcde"]
            lists = i32(4) + b"".join(map(text, paths[:4])) + i32(2) + text(paths[4]) + text(f"{root}/f")
            lists += i32(5) + b"".join(map(text, [root, *paths[:4]]))
            events, reply = c.call(wire.SET_WATCHES, i64(zxid) + lists, xid=wire.XID_SET_WATCHES)
            later, _ = c.call(wire.SET, text(paths[2]) + text("2") + i32(-1))
            seen.append((events, reply[0], reply[2], later))
            for path in (f"{root}/c/x", *[f"{root}/{name}" for name in "acde"], root):
                c.call(wire.DELETE, text(path) + i32(-1))
    assert seen[1] == seen[0] and len(seen[0][0]) >= 5


def test_too_long_frames_close_the_connection(both):
    for server in both:
        for length in (0x100000, 0x7FFFFFFF, -1):
            with Connection(server.port) as connection:
                connection.socket.sendall(struct.pack(">i", length))
                assert connection.receive() is None
        with Connection(server.port) as connection:
            assert connection.ping()[1][2] == 0
