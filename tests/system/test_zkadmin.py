# SPDX-License-Identifier: Apache-2.0
"""zkserver's four-letter words and HTTP ports as operators and attackers meet them: large answers beside the work, slow and
hostile clients, a port that is taken."""
import contextlib
import json
import re
import socket
import struct
import urllib.error
import urllib.request

import pytest
from conftest import DEADLINE_S, SLOW, until
from hostile import connect, frame, read_to_end
from zkraw import GET, SET_WATCHES, Zkserver, receive_error, request, session, text

CONNECTIONS_MAX = 64  # of each HTTP port
JOBS_MAX = 2          # large answers at a time
REQUEST_S = 5         # for a request to arrive
WATCHES = 200000      # 10 MB of wchp: more than the server keeps unsent and a socket's buffers hold
PER_FRAME = 20000
ADMIN = "admin.enableServer=yes\nadmin.serverPort=0\nmetricsProvider.httpPort=0\n" \
        "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n"


@pytest.fixture
def server(tmp_path):
    s = Zkserver(tmp_path, ADMIN)
    try:
        ports = dict(line.split() for line in (s.data / "ports").read_text().splitlines())
        s.admin, s.metrics = int(ports["admin"]), int(ports["metrics"])
        yield s
    finally:
        assert s.stop() == 0
    assert "runtime error" not in s.log.read_text() and "AddressSanitizer" not in s.log.read_text()


def watch(s, first, count):
    """Watches at paths that do not exist."""
    paths = b"".join(text(b"/a-path-of-some-length/%08d" % i) for i in range(first, first + count))
    none = struct.pack(">i", 0)
    s.sendall(frame(struct.pack(">iiq", -8, SET_WATCHES, 0) + none + struct.pack(">i", count) + paths + none))
    assert receive_error(s) == (-8, 0)


@contextlib.contextmanager
def watching(server):
    with session(server.port) as s:
        for first in range(0, WATCHES, PER_FRAME):
            watch(s, first, PER_FRAME)
        yield s


def get(server, path, port=None):
    url = f"http://127.0.0.1:{port or server.admin}{path}"
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as reply:
        return reply.read().decode()


def http(port, head):
    with connect(port) as s:
        s.sendall(head)
        return read_to_end(s).decode()


def get_word(server, word):
    with connect(server.port) as s:
        s.sendall(word)
        return read_to_end(s).decode()


@contextlib.contextmanager
def asked(server, word):
    """A large answer that has begun, at a client that fetches no more and has little room."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(DEADLINE_S)
        s.connect(("127.0.0.1", server.port))
        s.sendall(word)
        assert s.recv(1) == b"/"
        yield s


def test_a_large_answer_is_made_beside_the_work_and_shows_one_moment(server):
    with watching(server) as s, asked(server, b"wchp") as asker, session(server.port) as other:
        watch(s, WATCHES, 1)  # after that moment
        for xid in range(1, 50):  # the answer is not fetched: others do not mind
            other.sendall(request(xid, GET, text(b"/zookeeper") + b"\0"))
            assert receive_error(other) == (xid, 0)
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        lines = (b"/" + read_to_end(asker)).decode().split("\n")
    paths, watchers = lines[:-2:2], lines[1:-2:2]
    assert paths == ["/a-path-of-some-length/%08d" % i for i in range(WATCHES)]
    assert len(set(watchers)) == 1 and re.fullmatch(r"\t0x[0-9a-f]+", watchers[0])
    assert lines[-2:] == ["", ""]


def test_so_many_large_answers_at_a_time(server):
    with watching(server), contextlib.ExitStack() as stack:
        for _ in range(JOBS_MAX):
            stack.enter_context(asked(server, b"wchp"))
        with connect(server.port) as s:
            s.sendall(b"wchc")
            assert read_to_end(s) == b"wchc cannot be answered now: others are being answered, try again\n"
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(server, "/commands/watches")
        assert refused.value.code == 503
        assert "Mode: standalone" in http(server.port, b"srvr")
    # They go away without having read: their children end, and there is room again.
    until(lambda: "cannot be answered" not in http(server.port, b"wchs"), "room for another answer")


def test_a_large_answer_over_http_is_whole_json(server):
    with watching(server):
        answer = json.loads(get(server, "/commands/watches_by_path"))
        assert len(answer["path_to_session_ids"]) == WATCHES and answer["error"] is None
        assert http(server.port, b"wchs") == f"1 connections watching {WATCHES} paths\nTotal watches:{WATCHES}\n"


def test_a_word_may_come_in_pieces_and_half_closed(server):
    with connect(server.port) as s:
        s.sendall(b"ru")
        s.sendall(b"ok")
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s) == b"imok"
    with watching(server), connect(server.port) as s:
        s.sendall(b"wchp\r\n")
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s).count(b"\n") == 2 * WATCHES + 1
    with connect(server.secure, server.context()) as s:
        s.sendall(b"ruok")
        assert s.recv(100) == b"imok"


def test_metrics_are_prometheus_text(server):
    lines = get(server, "/metrics", server.metrics).splitlines()
    value = re.compile(r'[a-z_0-9]+(\{(quantile="0\.\d+"|value="[^"]+")\})? (-?\d+(\.\d+)?|NaN)')
    assert [line for line in lines if not line.startswith("# ") and not value.fullmatch(line)] == []
    assert "znode_count 5" in lines and 'server_state{value="standalone"} 1' in lines
    assert "# TYPE readlatency summary" in lines and "# TYPE commit_count counter" in lines
    assert len(lines) == len(set(lines))


HOSTILE = {
    "no http": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n", " 400 "),
    "a huge head": (b"GET /commands HTTP/1.1\r\nX: " + b"x" * (1 << 20), " 431 "),
    "a huge body": (b"GET /commands HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", " 413 "),
    "another method": (b"POST /commands/ruok HTTP/1.1\r\nHost: x\r\n\r\n", " 405 "),
    "trace": (b"TRACE /commands/ruok HTTP/1.1\r\nHost: x\r\n\r\n", " 405 "),
    "another path": (b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", " 404 "),
    "a command that breaks lines": (b"GET /commands/a%0d%0ab%22%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                                    "Unknown command: a\\r\\nb\\\""),
    "too many parameters": (b"GET /commands/ruok?" + b"a=b&" * 1000 + b" HTTP/1.1\r\n\r\n", " 400 "),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_request_costs_its_own_connection(server, case):
    sent, expected = HOSTILE[case]
    with server.unharmed(server.serves), connect(server.admin) as s:
        with contextlib.suppress(ConnectionError):
            s.sendall(sent)
        got = read_to_end(s).decode()
        assert expected in got or case == "a huge head" and got == ""
    assert '"error" : null' in get(server, "/commands/ruok")


def test_slow_heads_are_cut_and_do_not_keep_others_out(server):
    with server.unharmed(server.serves), contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(server.admin)) for _ in range(CONNECTIONS_MAX - 1)]
        for s in slow:
            s.sendall(b"GET /commands HTTP/1.1\r\nX-Slow: ")
        assert '"error" : null' in get(server, "/commands/ruok")
        for s in slow:
            s.settimeout(REQUEST_S + DEADLINE_S * SLOW)
            assert b" 408 " in read_to_end(s)


def test_more_connections_than_there_is_room_for_wait_and_the_ensemble_does_not(server):
    with server.unharmed(server.serves, rss_mib=64 * SLOW), contextlib.ExitStack() as stack:
        for port in (server.admin, server.metrics):
            for _ in range(4 * CONNECTIONS_MAX):
                s = stack.enter_context(connect(port))
                s.sendall(b"GET /")
        server.serves()
    assert '"error" : null' in get(server, "/commands/ruok")


def test_an_admin_port_that_is_taken_is_said_and_gone_without(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        s = Zkserver(tmp_path, f"admin.enableServer=yes\nadmin.serverPort={port}\n")
        try:
            s.serves()
            assert re.search(rf"admin server: .*{port}.*: going on without it", s.log.read_text())
            assert "admin" not in (s.data / "ports").read_text()
        finally:
            assert s.stop() == 0


def test_an_admin_port_beyond_loopback_is_warned_of(tmp_path):
    s = Zkserver(tmp_path, ADMIN + "admin.serverAddress=0.0.0.0\n")
    try:
        admin = dict(line.split() for line in (s.data / "ports").read_text().splitlines())["admin"]
        assert f"warning: admin server: port {admin} of 0.0.0.0 answers whoever reaches it, in plaintext" in s.log.read_text()
        assert '"error" : null' in get(s, "/commands/ruok", admin)
    finally:
        assert s.stop() == 0


def test_secrets_of_the_configuration_are_hidden(tmp_path):
    s = Zkserver(tmp_path, ADMIN + "ssl.quorum.keyStore.password = gehe\\\nim\n#a=b\n")
    try:
        admin = dict(line.split() for line in (s.data / "ports").read_text().splitlines())["admin"]
        shown = json.loads(get(s, "/commands/icfg", admin))["initial_configuration"]
        assert "gehe" not in shown and "im\n" not in shown and "tickTime=1000\n" in shown
        assert shown.endswith("ssl.quorum.keyStore.password =***\n#a=b\n")
    finally:
        assert s.stop() == 0


def test_srst_leaves_what_prometheus_collects(server):
    def received():
        """By Prometheus, and by srvr."""
        counter = re.search(r"^bytes_received_count ([\d.]+)", get(server, "/metrics", server.metrics), re.M)
        return float(counter[1]), int(re.search(r"^Received: (\d+)", get_word(server, b"srvr"), re.M)[1])

    with session(server.port) as s:
        for xid in range(100):
            s.sendall(request(xid, GET, text(b"/zookeeper") + b"\0"))
            assert receive_error(s) == (xid, 0)
    before, packets = received()
    assert before > 2000 and packets > 100
    assert get_word(server, b"srst") == "Server stats reset.\n"
    after, packets = received()
    assert after >= before and packets < 100
