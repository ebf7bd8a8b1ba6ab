# SPDX-License-Identifier: Apache-2.0
"""zkserver's ports under attack: each costs its own connection, says so in the log, and leaves nothing behind."""
import concurrent.futures
import contextlib
import random
import socket
import ssl
import struct
import threading
import time

import pytest
from certificates import make_tls
from conftest import DEADLINE_S, SLOW, until
from hostile import LENGTHS, answer_of, connect, frame, read_to_end, tls_context
from zkraw import (AUTH, CLOSE, CREATE, EXISTS, FRAME_MAX, GET, MULTI, SET_WATCHES, WORLD, Zkserver, connect_request,
                   receive, receive_error, request, session, text)

PEER = r"127\.0\.0\.1:\d+: "


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Zkserver(tmp_path_factory.mktemp("zk"))
    yield s
    assert s.stop() == 0  # a sanitizer's build fails here if it lost memory


@pytest.fixture(params=["plain", "tls"])
def port(request, server):
    """(port, TLS context or None)"""
    return (server.port, None) if request.param == "plain" else (server.secure, server.context())


@pytest.mark.parametrize("length", [*LENGTHS.values(), FRAME_MAX + 1], ids=[*LENGTHS, "limit and one"])
def test_a_length_beyond_the_limit_closes_before_anything_is_allocated(server, port, length):
    says = PEER + rf"a frame of {length} bytes was announced \(at most {FRAME_MAX} are taken\)"
    with server.unharmed(server.serves, says, lines=3, rss_mib=8 * SLOW):
        assert answer_of(port[0], struct.pack(">I", length) + b"x" * 100, port[1]) == b""
    with server.unharmed(server.serves, says, lines=3, rss_mib=8 * SLOW), session(*port) as s:
        s.sendall(struct.pack(">I", length))
        assert read_to_end(s) == b""


def test_a_frame_of_exactly_the_limit_is_taken(server, port):
    with server.unharmed(server.serves, lines=0), session(*port) as s:
        overhead = len(request(1, CREATE, text(b"/limit") + text(b"") + WORLD + struct.pack(">i", 0))) - 4
        s.sendall(request(1, CREATE, text(b"/limit") + text(b"x" * (FRAME_MAX - overhead)) + WORLD + struct.pack(">i", 0)))
        assert receive_error(s) in ((1, 0), (1, -110))


@pytest.mark.parametrize("first", [
    b"", b"\0", b"\1\2\3", struct.pack(">ii", 1, GET) + text(b"/") + b"\0", connect_request()[:27], connect_request()[:28],
    connect_request(password=b"", tail=b"")[:24], struct.pack(">iqiqi", 0, 0, 0, 0, 10**9), struct.pack(">iqiqi", 0, 0, 0, 0, -2),
], ids=["empty", "one byte", "three bytes", "get", "27", "28", "24", "huge password", "negative password"])
def test_a_first_frame_that_is_no_connect_request_closes(server, port, first):
    with server.unharmed(server.serves, PEER + "its first frame is no connect request: closing", lines=2):
        assert answer_of(port[0], frame(first), port[1]) == b""


@pytest.mark.parametrize("fields", [
    {"session": -1}, {"session": 12345}, {"session": 0x100000000000001, "password": b"x" * 16}, {"session": 1, "password": None},
    {"session": 1, "password": b""}, {"session": 1, "password": b"p" * 15}, {"session": 1, "password": b"p" * 17},
    {"session": 1, "password": b"p" * 100000, "tail": b"\2"},
], ids=str)
def test_a_session_that_nobody_has_is_answered_as_expired(server, port, fields):
    with server.unharmed(server.serves, lines=2):
        answer = answer_of(port[0], frame(connect_request(**fields)), port[1])
        assert struct.unpack(">iiiq", answer[:20])[1:] == (0, 0, 0)


def test_who_has_seen_a_later_state_is_sent_away(server, port):
    with server.unharmed(server.serves, PEER + "it has seen a later zxid than this server: closing", lines=2):
        assert answer_of(port[0], frame(connect_request(seen=2**63 - 1)), port[1]) == b""


@pytest.mark.parametrize("timeout_ms, granted", [(0, 2000), (-1, 2000), (-2**31, 2000), (2**31 - 1, 20000)])
def test_a_session_timeout_is_brought_within_the_bounds(server, timeout_ms, granted):
    with connect(server.port) as s:
        s.sendall(frame(connect_request(timeout_ms=timeout_ms)))
        assert struct.unpack(">ii", receive(s)[:8])[1] == granted
        s.sendall(request(1, CLOSE))
        assert receive_error(s) == (1, 0)


@pytest.mark.parametrize("body", [b"", b"\0", b"\0" * 7], ids=len)
def test_a_request_shorter_than_its_header_closes(server, port, body):
    with server.unharmed(server.serves, PEER + "a request shorter than its header: closing", lines=2), session(*port) as s:
        s.sendall(frame(body))
        assert read_to_end(s) == b""


@pytest.mark.parametrize("op", [-1, -10, 0, 10, 99, 1000, 2**31 - 1, -2**31])
def test_an_operation_that_is_not_known_is_answered_so_and_closes(server, port, op):
    with server.unharmed(server.serves, PEER + "an operation that is not known here: closing", lines=2), session(*port) as s:
        s.sendall(request(7, op, b"\0" * 100))
        assert receive_error(s) == (7, -6)
        assert read_to_end(s) == b""


def test_a_second_connect_request_costs_the_connection(server, port):
    with server.unharmed(server.serves, "not known here", lines=2), session(*port) as s:
        s.sendall(frame(connect_request()))
        read_to_end(s)


PATHS = [None, b"", b"a", b"//", b"/a/", b"/a//b", b"/.", b"/..", b"/a/./b", b"/a/../b", b"/a\0b", b"/a\x01", b"/a\x7f",
         b"/a\xc2\x80",
         b"/\xed\xa0\x80", b"/\xc0\xaf", b"/\xff\xfe", b"/" + b"a" * 900000 + b"/b", b"/a" * 400000 + b"/"]


@pytest.mark.parametrize("path", PATHS, ids=lambda p: repr(p and p[:12]))
def test_a_bad_path_is_answered_by_an_error_and_the_session_goes_on(server, path):
    writes = {CREATE: text(b"") + WORLD + struct.pack(">i", 0), 15: text(b"") + WORLD + struct.pack(">i", 0),
              2: struct.pack(">i", -1),
              5: text(b"x") + struct.pack(">i", -1), 7: WORLD + struct.pack(">i", -1)}
    reads = {EXISTS: b"\0", GET: b"\0", 6: b"", 8: b"\0", 12: b"\0"}
    with server.unharmed(server.serves, lines=2), session(server.port) as s:
        for xid, (op, rest) in enumerate((writes | reads).items(), 1):
            s.sendall(request(xid, op, text(path) + rest))
            got, error = receive_error(s)
            allowed = (0,) if path == b"" and op in reads else (-5, -8, -101)  # "" is the root, as Apache's server has it
            assert got == xid and error in allowed, (op, error)


CREATES = {"flags -1": (WORLD, -1), "flags 7": (WORLD, 7), "flags 99": (WORLD, 99), "no list": (struct.pack(">i", -1), 0),
           "an empty list": (struct.pack(">i", 0), 0), "a list of -2": (struct.pack(">i", -2), 0),
           "a list of 2^31-1": (struct.pack(">i", 2**31 - 1), 0),
           "no such scheme": (struct.pack(">ii", 1, 31) + text(b"no") + text(b"x"), 0),
           "an ip of 33 bits": (struct.pack(">ii", 1, 31) + text(b"ip") + text(b"1.2.3.4/33"), 0),
           "digest without colon": (struct.pack(">ii", 1, 31) + text(b"digest") + text(b"x"), 0)}


@pytest.mark.parametrize("acl, flags", CREATES.values(), ids=list(CREATES))
def test_a_create_that_cannot_be_is_answered_by_an_error(server, acl, flags):
    with server.unharmed(server.serves, lines=2), session(server.port) as s:
        s.sendall(request(1, CREATE, text(b"/never") + text(b"") + acl + struct.pack(">i", flags)))
        assert receive_error(s)[1] in (-5, -6, -8, -114)
        s.sendall(request(2, EXISTS, text(b"/never") + b"\0"))
        assert receive_error(s) == (2, -101)


def part(op, done=0, error=-1):
    return struct.pack(">ibi", op, done, error)


MULTIS = {"nothing": b"", "no end": part(13) + text(b"/") + struct.pack(">i", -1), "an end in front": part(-1, 1) + part(13),
          "nested": part(MULTI) + part(-1, 1), "an error inside": part(-1) + struct.pack(">i", 0),
          "a read inside": part(GET) + text(b"/") + b"\0" + part(-1, 1), "a cut part": part(CREATE) + text(b"/x")}


@pytest.mark.parametrize("body", MULTIS.values(), ids=list(MULTIS))
def test_a_multi_that_is_none_changes_nothing(server, body):
    with server.unharmed(server.serves, lines=2), session(server.port) as s:
        s.sendall(request(1, MULTI, body) + request(2, GET, text(b"/zookeeper") + b"\0"))
        receive(s)
        assert receive_error(s) == (2, 0)


def test_a_multi_of_as_many_parts_as_fit_is_answered(server):
    one = part(13) + text(b"/") + struct.pack(">i", -1)
    with server.unharmed(server.serves, lines=2), session(server.port) as s:
        s.sendall(request(1, MULTI, one * ((FRAME_MAX - 30) // len(one)) + part(-1, 1)))
        assert receive_error(s) == (1, 0)


def test_watches_beyond_the_bound_are_refused_and_freed_with_their_client(server):
    """One client may hold 64 MiB of watches; paths of 100 KB reach that soon."""
    with server.unharmed(server.serves, lines=2, rss_mib=2 * 64 * SLOW), session(server.port) as s:
        errors = []
        for n in range(0, 700, 5):
            paths = [b"/%d" % (n + i) + b"x" * 100000 for i in range(5)]
            s.sendall(request(n, SET_WATCHES, struct.pack(">qi", 2**62, 0) + struct.pack(">i", 5) + b"".join(map(text, paths)) +
                              struct.pack(">i", 0)))
            errors.append(receive_error(s)[1])
        assert errors[0] == 0 and errors[-1] == -1, errors


@pytest.mark.parametrize("body",
                         [b"", struct.pack(">q", -1), struct.pack(">qi", -1, 2**31 - 1), struct.pack(">qiii", 0, -1, -1, -1),
                          struct.pack(">qii", 0, 1, -1) + struct.pack(">ii", 0, 0)],
                         ids=["empty", "cut", "2^31", "null", "no path"])
def test_set_watches_of_nonsense_is_answered(server, body):
    with server.unharmed(server.serves, lines=2), session(server.port) as s:
        s.sendall(request(1, SET_WATCHES, body) + request(2, GET, text(b"/zookeeper") + b"\0"))
        answers = [a for a in iter(lambda: receive_error(s), (2, 0)) if a[0] != -1]
        assert len(answers) == 1 and answers[0][0] == 1 and answers[0][1] in (0, -5)


@pytest.mark.parametrize("packet",
                         [b"", struct.pack(">i", 0) + text(b"sasl") + text(b"x"),
                          struct.pack(">i", 0) + text(b"digest") + text(None),
                                    struct.pack(">i", 0) + text(b"digest") + text(b"u:" + b"p" * 500000),
                          struct.pack(">i", 0) + text(None) + text(None)],
                         ids=["empty", "sasl", "null", "long", "nulls"])
def test_a_bad_auth_packet_is_refused_and_closes(server, port, packet):
    with server.unharmed(server.serves, PEER + "an auth packet was refused", lines=3), session(*port) as s:
        s.sendall(request(-4, AUTH, packet))
        assert receive_error(s) == (-4, -115)
        assert read_to_end(s) == b""


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes(server, port, seed):
    rng = random.Random(seed)
    with server.unharmed(server.serves, PEER, lines=200):
        for _ in range(30):
            with connect(*port) as s, contextlib.suppress(ConnectionError, ssl.SSLError):
                s.sendall(rng.randbytes(rng.randrange(4, 3000)))
                s.shutdown(socket.SHUT_WR)
                read_to_end(s)


@pytest.mark.parametrize("seed", range(4))
def test_random_requests_in_a_session(server, port, seed):
    """Frames that are well cut, of operations that exist, with bodies that are random or cut short."""
    rng = random.Random(seed)
    good = [(CREATE, text(b"/r") + text(b"x") + WORLD + struct.pack(">i", 0)), (GET, text(b"/r") + b"\1"),
            (5, text(b"/r") + text(b"y") + struct.pack(">i", -1)), (12, text(b"/") + b"\1"),
            (MULTI, part(13) + text(b"/") + struct.pack(">i", -1) + part(-1, 1)),
            (SET_WATCHES, struct.pack(">qi", 0, 1) + text(b"/r") + struct.pack(">ii", 0, 0)), (6, text(b"/r")), (9, text(b"/r")),
            (2, text(b"/r") + struct.pack(">i", -1))]
    with server.unharmed(server.serves, lines=200):
        for _ in range(30):
            with session(*port) as s, contextlib.suppress(ConnectionError, ssl.SSLError):
                for xid in range(20):
                    op, body = rng.choice(good)
                    body = bytearray(body[:rng.randrange(len(body) + 1)] if rng.random() < 0.5 else body)
                    for _ in range(rng.randrange(3)):
                        if body:
                            body[rng.randrange(len(body))] = rng.choice([0, 0x7f, 0x80, 0xff, rng.randrange(256)])
                    s.sendall(request(xid, op, bytes(body)))
                s.shutdown(socket.SHUT_WR)
                read_to_end(s)


def test_silent_and_slow_connections_are_ended_by_the_server(server):
    """Nothing, half a length, half a frame, half a TLS handshake, one byte a second: none lives without a session."""
    beginnings = [(server.port, None, b""), (server.port, None, b"\0\0\0"), (server.port, None, frame(connect_request())[:30]),
                  (server.port, None, struct.pack(">I", FRAME_MAX)), (server.secure, None, b""),
                  (server.secure, None, b"\x16\x03\x01\x02"),
                  (server.secure, server.context(), b""), (server.secure, server.context(), b"\0\0")]
    stop = threading.Event()

    def drip(s):
        with contextlib.suppress(OSError):
            while not stop.wait(1):
                s.sendall(b"\0")

    with server.unharmed(server.serves, PEER + "no session after 10 s: closing", lines=20):
        sockets = [connect(port, context, timeout=DEADLINE_S + 20) for port, context, _ in beginnings]
        for s, (_, _, bytes_) in zip(sockets, beginnings):
            s.sendall(bytes_)
        slow = connect(server.port, timeout=DEADLINE_S + 20)
        slow.sendall(struct.pack(">I", 1000))
        thread = threading.Thread(target=drip, args=(slow,))
        thread.start()
        server.serves()
        with concurrent.futures.ThreadPoolExecutor(len(sockets) + 1) as pool:
            assert set(pool.map(read_to_end, [*sockets, slow])) == {b""}
        stop.set()
        thread.join()
        for s in [*sockets, slow]:
            s.close()


def test_a_client_that_asks_and_never_reads_is_held_back_then_dropped_with_its_session(server):
    with server.unharmed(server.serves, PEER + "its session ended while it was silent: closing", lines=4):
        with session(server.port, timeout_ms=2000) as s, session(server.port) as good:
            good.sendall(request(1, CREATE, text(b"/big") + text(b"y" * 900000) + WORLD + struct.pack(">i", 0)))
            assert receive_error(good)[1] in (0, -110)
            before = server.rss_mib()
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):  # a slow machine's session ends before it is full
                for xid in range(10**6):
                    s.sendall(request(xid, GET, text(b"/big") + b"\0"))
            assert xid < 10**6 - 1
            server.serves()
            assert server.rss_mib() < before + 32 * SLOW
            s.settimeout(DEADLINE_S)
            until(lambda: "was silent" in server.text(), server.text)


def test_a_client_that_goes_on_sending_after_its_end_does_not_hold_the_server(server):
    stop = threading.Event()

    def pump(s):
        with contextlib.suppress(OSError):
            while not stop.is_set():
                s.sendall(b"\xff" * 1000000)

    with server.unharmed(server.serves, lines=30):
        sockets = [session(server.port) for _ in range(8)]
        threads = [threading.Thread(target=pump, args=(s,)) for s in sockets]
        for s, t in zip(sockets, threads):
            s.sendall(request(1, 1000))
            t.start()
        for _ in range(5):
            server.serves()
        stop.set()
        for s, t in zip(sockets, threads):
            s.close()
            t.join()


def test_connections_that_are_reset_in_every_state_leave_nothing(server, port):
    beginnings = [b"", b"\0\0", frame(connect_request())[:9], frame(connect_request()),
                  frame(connect_request()) + request(1, GET)[:6],
                  frame(connect_request()) + request(1, CREATE,
                                                     text(b"/reset") + text(b"x" * 9000) + WORLD + struct.pack(">i", 3)) * 20]
    with server.unharmed(server.serves, lines=100):
        for _ in range(8):  # fewer in all than the 60 per address, in case that the server has yet to see a reset
            for beginning in beginnings:
                with connect(*port) as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    s.sendall(beginning)


def test_a_storm_of_connections_is_logged_in_a_bounded_number_of_lines(server):
    began = time.monotonic()
    with server.unharmed(server.serves, PEER, lines=10**6):
        for _ in range(1500):
            with connect(server.port) as s, contextlib.suppress(ConnectionError):
                s.sendall(b"\xff" * 8)
                s.recv(1)
        seconds = time.monotonic() - began
        assert server.text().count("\n") <= (seconds + 2) * 22


# ---- TLS ----

def test_tls_on_the_plain_port_is_told_so(server):
    with server.unharmed(server.serves, PEER + r"a frame .* \(it speaks TLS: secureClientPort is the one for it\): closing",
                         lines=2):
        with pytest.raises((ssl.SSLError, ConnectionError)), connect(server.port) as s:
            server.context().wrap_socket(s)


def test_plain_on_the_tls_port_fails_the_handshake(server):
    with server.unharmed(server.serves, PEER + "TLS handshake failed", lines=2):
        assert frame(connect_request())[:4] not in answer_of(server.secure, frame(connect_request()))


def strangers(server, tmp_path):
    make_tls(tmp_path / "other", "test", ("user", "eve"))
    return {"none": tls_context(),
            "of another CA": tls_context(cert=tmp_path / "other/user-eve.pem", key=tmp_path / "other/user-eve-key.pem")}


@pytest.mark.parametrize("which", ["none", "of another CA"])
def test_a_certificate_that_does_not_prove_itself_is_refused(server, tmp_path, which):
    context = strangers(server, tmp_path)[which]
    with server.unharmed(server.serves, PEER + "TLS handshake failed: ", lines=2):
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            assert answer_of(server.secure, frame(connect_request()), context) == b""


def test_a_tls_record_that_is_torn_costs_its_connection(server):
    with server.unharmed(server.serves, lines=3):
        raw = connect(server.secure)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = server.context().wrap_bio(incoming, outgoing)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))
        raw.sendall(outgoing.read())
        raw.sendall(b"\x17\x03\x03\x40\x00" + b"\xaa" * 16384)
        read_to_end(raw)
        raw.close()


# ---- limits ----

def test_an_address_with_too_many_connections_is_refused_and_others_are_not(tmp_path):
    server = Zkserver(tmp_path, "maxClientCnxns=3\n")
    held = [connect(server.port) for _ in range(3)]
    with connect(server.port) as s:
        assert read_to_end(s) == b""
    until(lambda: "127.0.0.1: refused: it has 3 connections open (maxClientCnxns)" in server.text(), server.text)
    with connect(server.port, source="127.0.0.2") as s:
        s.sendall(frame(connect_request()))
        receive(s)
    for s in held:
        s.close()
    until(lambda: server.serves() is None, "served again")
    assert server.stop() == 0


def test_clients_never_take_the_descriptors_that_the_log_needs(tmp_path):
    """With 200 descriptors and 300 connections, writes go on through new log files and snapshots."""
    server = Zkserver(tmp_path, "maxClientCnxns=0\nsnapCount=100\n", prefix=["prlimit", "--nofile=200:200"])
    with session(server.port) as good:
        held = [connect(server.port, source=f"127.0.0.{2 + n % 20}") for n in range(300)]
        until(lambda: "refused: 136 connections are open" in server.text(), server.text)
        for first in range(0, 1000, 20):
            several = range(first, first + 20)
            good.sendall(b"".join(request(n, CREATE, text(b"/d%d" % n) + text(b"x" * 500) + WORLD + struct.pack(">i", 0))
                                  for n in several))
            assert [receive_error(good) for _ in several] == [(n, 0) for n in several]
        assert "cannot" not in server.text(), server.text()
        for s in held:
            s.close()
    until(lambda: server.serves() is None, "served again")
    assert server.stop() == 0
