# SPDX-License-Identifier: Apache-2.0
"""Sessions as Apache ZooKeeper's server has them: what is negotiated, resumed, refused, and when they end."""
import contextlib
import struct

import pytest

import wire
from servers import KINDS, TICK_MS, wait_until
from wire import Connection, Line, i32, i64, text

INVALID = i32(0) + i32(0) + i64(0) + text(bytes(16)) + b"\0"
ASKED_MS = (0, 1, 999, 1000, 1234, 2500, 9999, 10_000_000, 0x7FFFFFFF, -5, -0x80000000)


@contextlib.contextmanager
def pair(settings):
    made = [KINDS[name](settings) for name in ("apache", "corral")]
    try:
        yield [one.start() for one in made]
    finally:
        for one in made:
            one.remove()


def negotiated(server):
    times = []
    for asked in ASKED_MS:
        with Connection(server.port, timeout_ms=asked) as c:
            times.append(c.timeout_ms)
            c.call(wire.CLOSE, b"")
    return times


def test_time_outs_are_negotiated_alike(both):
    apache, corral = [negotiated(server) for server in both]
    assert corral == apache and {2 * TICK_MS, 20 * TICK_MS} <= set(corral)


@pytest.mark.parametrize("settings", ["minSessionTimeout=1500\n", "maxSessionTimeout=3000\n",
                                      "minSessionTimeout=1200\nmaxSessionTimeout=1300\n"])
def test_time_outs_have_the_bounds_of_the_configuration(settings):
    with pair(settings) as servers:
        apache, corral = [negotiated(server) for server in servers]
        assert corral == apache


def connect(server, body):
    """What a server says to a connect request of these bytes: the frame, and whether it then closes."""
    with Line(server.port) as c:
        c.send(body)
        first = c.receive()
        if first is not None and struct.unpack(">i", first[4:8])[0] > 0:
            c.send(i32(wire.XID_PING) + i32(wire.PING))
            assert c.receive() is not None
            return first[:8] + first[16:20] + first[36:], "open"
        return first, c.receive()


REQUEST = i32(0) + i64(0) + i32(5000) + i64(0)
ODD_REQUESTS = {
    "empty": b"", "28 bytes": REQUEST + text(bytes(16))[:4], "29 bytes": REQUEST + text(bytes(16))[:5],
    "44 bytes": REQUEST + text(bytes(16)), "45 bytes": REQUEST + text(bytes(16)) + b"\0",
    "read only 2": REQUEST + text(bytes(16)) + b"\2", "bytes behind": REQUEST + text(bytes(16)) + b"\0more",
    "no password": REQUEST + i32(-1) + b"\0", "empty password": REQUEST + text(b"") + b"\0",
    "long password": REQUEST + text(bytes(17)) + b"\0", "negative length": REQUEST + i32(-2) + b"\0",
    "huge length": REQUEST + i32(10**9) + b"\0", "protocol 9": i32(9) + REQUEST[4:] + text(bytes(16)) + b"\0",
    "seen -1": i32(0) + i64(-1) + REQUEST[12:] + text(bytes(16)) + b"\0",
    "seen too much": i32(0) + i64(1 << 40) + REQUEST[12:] + text(bytes(16)) + b"\0",
    "session -1": REQUEST[:16] + i64(-1) + text(bytes(16)) + b"\0",
    "session that is unknown": REQUEST[:16] + i64(0x123456789) + text(bytes(16)) + b"\0",
    "unknown, old client": REQUEST[:16] + i64(0x123456789) + text(bytes(16)),
}


@pytest.mark.parametrize("name", sorted(ODD_REQUESTS))
def test_connect_requests_are_answered_alike(both, name):
    apache, corral = [connect(server, ODD_REQUESTS[name]) for server in both]
    assert corral == apache


@pytest.mark.parametrize("password", [b"x" * 16, b"", None, bytes(15), bytes(17)],
                         ids=["other", "empty", "none", "short", "long"])
def test_a_wrong_password_is_told_that_the_session_is_over(both, password):
    for server in both:
        with Connection(server.port) as live:
            with Connection(server.port, session=live.session, password=password) as wrong:
                assert (wrong.welcome, wrong.receive()) == (INVALID, None)
            if server.name == "corral":  # Apache's closes the connection of who does know the password
                assert live.ping()[1][2] == 0


def test_a_session_moves_to_the_connection_that_knows_its_password(both):
    for server in both:
        with Connection(server.port, timeout_ms=5000) as first:
            first.call(wire.CREATE, text(f"/moved-{server.name}") + text("") + wire.acls(wire.WORLD) + i32(1))
            with Connection(server.port, timeout_ms=3000, session=first.session, password=first.password) as second:
                assert (second.session, second.password, second.timeout_ms) == (first.session, first.password, 3000)
                assert first.receive() is None
                _, reply = second.call(wire.EXISTS, text(f"/moved-{server.name}") + b"\0")
                assert reply[2] == 0 and reply[3].stat()["ephemeralOwner"] == first.session
                assert second.call(wire.CLOSE, b"")[1][2] == 0 and second.receive() is None
            with Connection(server.port, session=first.session, password=first.password) as gone:
                assert (gone.welcome, gone.receive()) == (INVALID, None)


def test_a_second_connect_request_is_an_unknown_operation(both):
    answers = []
    for server in both:
        with Connection(server.port) as c:
            c.send(REQUEST + text(bytes(16)) + b"\0")
            answers.append((c.receive(), c.receive()))
    assert answers[1] == answers[0] and answers[0][0][12:] == i32(-6)


def test_what_is_sent_behind_the_connect_request_is_answered(both):
    for server in both:
        with Line(server.port) as c:
            frames = [REQUEST + text(bytes(16)) + b"\0", i32(1) + i32(wire.EXISTS) + text("/") + b"\0",
                      i32(2) + i32(wire.CLOSE)]
            c.socket.sendall(b"".join(i32(len(frame)) + frame for frame in frames))
            assert [c.receive()[:4] for _ in frames] == [i32(0), i32(1), i32(2)]
            assert c.receive() is None


def test_a_client_that_is_silent_loses_its_session_and_its_nodes(both):
    for server in both:
        with Connection(server.port, timeout_ms=1) as silent, Connection(server.port) as other:
            path = silent.create("/of-the-silent", b"", flags=1)
            other.call(wire.EXISTS, text(path) + b"\1")
            wait_until(lambda: other.call(wire.EXISTS, text(path) + b"\0")[1][2] == -101, 20, "the node is gone")
            assert silent.receive() is None
            with Connection(server.port, session=silent.session, password=silent.password) as late:
                assert (late.welcome, late.receive()) == (INVALID, None)


def test_clients_that_come_too_fast_are_closed_without_a_word():
    with pair("connection_throttle_tokens=3\nconnection_throttle_fill_time=86400000\n") as servers:
        for server in servers:
            with Connection(server.port) as first, Connection(server.port) as second:
                first.ping(), second.ping()
                with Connection(server.port, session=first.session, password=first.password) as again:
                    assert again.session == first.session  # the third token
                    with Connection(server.port) as refused:
                        assert refused.welcome is None
                    assert second.ping()[1][2] == 0
