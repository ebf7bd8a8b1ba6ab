# SPDX-License-Identifier: Apache-2.0
"""The master's and the agent's ports under attack, in a cluster that goes on working."""
import contextlib
import random
import re
import ssl
import struct

import pytest
from certificates import make_tls
from conftest import SLOW, Cluster, until
from hostile import LENGTHS, OWN_FDS, RSS_MIB, Watched, answer_of, connect, frame, read_to_end, tls_context

U64 = 2**64 - 1


def number(field, value):
    """A protobuf field with a varint."""
    out = bytearray()
    for v in (field << 3, value & U64):
        while v > 0x7F:
            out.append(v & 0x7F | 0x80)
            v >>= 7
        out.append(v)
    return bytes(out)


def block(field, value):
    """A protobuf field with bytes, a text or a message."""
    return number(field, 0)[:-1].replace(bytes([field << 3 & 0xFF]), bytes([field << 3 & 0xFF | 2]), 1) + \
        number(0, len(value))[1:] + value


def key(job=b"nobody", incarnation=1, index=0, attempt=1, term=(1, 1)):
    return block(1, job) + number(2, incarnation) + number(3, index) + number(4, attempt) + \
        block(5, number(1, term[0]) + number(2, term[1]))


def register(node, capacity=(1000, 1 << 30, 1 << 30), tasks=b"", agent_id=b"", more=b""):
    resources = b"".join(number(n, v) for n, v in enumerate(capacity, 1))
    return block(2, block(1, agent_id) + block(2, node) + block(3, b"boot") + block(4, resources) + tasks + more)


class Attacked(Cluster):
    def __init__(self):
        super().__init__()
        for role, name in ("user", "eve"), ("agent", "ghost"), ("master", "fake"):
            self.issue(role, name)
        make_tls(self.home / "other", "dev", ("agent", "ghost"), ("operator", "eve"))
        self.agent_name = next(iter(self.daemons("agent")))
        self.masters, self.agents = self.setting("master", "agent_listen"), self.setting(self.agent_name, "executor_listen")
        self.api = self.setting("master", "listen")

    def setting(self, name, word):
        return int(re.search(rf"^{word}=127\.0\.0\.1:(\d+)$", (self.state / f"{name}.conf").read_text(), re.M)[1])

    def watch(self, name):
        return Watched(self.daemons()[name][0], self.state / f"{name}.log")

    def context(self, who):
        return tls_context(cert=self.tls / f"{who}.pem", key=self.tls / f"{who}-key.pem")

    def stranger(self, who):
        directory = self.home / "other"
        return tls_context(cert=directory / f"{who}.pem", key=directory / f"{who}-key.pem")

    def serves(self):
        self.corral("run", "--", "true")


class PlainBytes:
    """Sent to a port that expects TLS, from an address of their own, by which they are told in the log. Some may begin a
    handshake, for all that is known, and are waited for: as long as the other tests take."""

    SOURCE = "127.0.0.9"

    def __init__(self, watched, port):
        self.watched = watched
        self.fds = watched.fds()
        rng, rss = random.Random(1), watched.rss_mib()
        sent = [struct.pack(">I", 0x7FFFFFFF), frame(b"x"), b"GET / HTTP/1.1\r\n\r\n"] + [rng.randbytes(n) for n in (5, 99, 9999)]
        self.streams = [connect(port, source=self.SOURCE) for _ in sent]
        for stream, bytes_ in zip(self.streams, sent):
            with contextlib.suppress(ConnectionError):
                stream.sendall(bytes_)
        until(lambda: watched.rss_mib() <= rss + RSS_MIB, lambda: f"memory: {rss} MiB before, {watched.rss_mib()} MiB after")

    def cost_their_connections(self):
        for stream in self.streams:
            with stream:
                read = read_to_end(stream)
                assert read[:1] in (b"", b"\x15"), read  # nothing, or a TLS alert
        until(lambda: self.watched.fds() <= self.fds + OWN_FDS, lambda: f"{self.fds} descriptors, not {self.watched.fds()}")
        assert re.search(re.escape(self.SOURCE) + r":\d+.*TLS", self.watched.text()), self.watched.text()


@pytest.fixture(scope="module")
def attacked():
    c = Attacked()
    c.serves()
    c.plain = [PlainBytes(c.watch("master"), c.masters), PlainBytes(c.watch(c.agent_name), c.agents)]
    yield c
    c.stop()


def ask(attacked, head, body=b"", who="operator"):
    """(status, rest) of one HTTP request, sent as these bytes."""
    context = attacked.context(who) if who else tls_context()
    got = answer_of(attacked.api, head + body, context)
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", got)
    return int(match[1]) if match else None, got


# ---- frames ----

@pytest.mark.parametrize("length", LENGTHS.values(), ids=list(LENGTHS))
def test_a_frame_of_two_gigabytes_costs_its_connection(attacked, length):
    master = attacked.watch("master")
    with master.unharmed(attacked.serves, r"127\.0\.0\.1:\d+ .* announced a frame larger than the limit", rss_mib=16 * SLOW):
        assert answer_of(attacked.masters, struct.pack(">I", length) + b"x" * 100, attacked.context("agent-ghost")) == b""


@pytest.mark.parametrize("who", [None, "user-eve", "operator", "master-fake", "zkserver"])
def test_a_certificate_of_another_role_is_refused_on_the_agents_port(attacked, who):
    master = attacked.watch("master")
    says = "certificate" if who is None else r"127\.0\.0\.1:\d+ is refused on the agents' port: its certificate is"
    with master.unharmed(attacked.serves, says):
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            assert answer_of(attacked.masters, frame(register(b"eve")), attacked.context(who) if who else tls_context()) == b""


@pytest.mark.parametrize("who", [None, "agent-ghost", "user-eve"])
def test_no_certificate_opens_the_executors_port(attacked, who):
    agent = attacked.watch(attacked.agent_name)
    with agent.unharmed(attacked.serves, r"127\.0\.0\.1:\d+.*TLS"):
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            assert answer_of(attacked.agents, frame(b"x"), attacked.context(who) if who else tls_context()) == b""


def test_a_certificate_of_another_ca_is_refused(attacked):
    master = attacked.watch("master")
    with master.unharmed(attacked.serves, r"127\.0\.0\.1:\d+.*TLS"):
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            assert answer_of(attacked.masters, frame(b"x"), attacked.stranger("agent-ghost")) == b""


GHOST = register(b"ghost")
REPORT = block(7, block(1, key()) + number(2, 2))
BAD_REGISTERS = {
    "another's name": register(b"somebody"), "no name": register(b""), "a path": register(b"../../x"),
    "2^64-1 of everything": register(b"ghost", (U64, U64, U64)), "2^63 cpus": register(b"ghost", (2**63, 1, 1)),
    "tasks beyond its capacity": register(b"ghost", (1, 1, 1),
                                          block(7, block(1, key()) + number(2, 2) + block(3, number(1, U64) + number(2, U64)))),
    "one task twice": register(b"ghost", tasks=REPORT * 2),
    "a state that is none": register(b"ghost", tasks=block(7, block(1, key()) + number(2, 99))),
    "an id with a slash": register(b"ghost", agent_id=b"../jobs"), "a huge id": register(b"ghost", agent_id=b"i" * 100000),
    "another's id": register(b"ghost", agent_id=b"0" * 36),
    "a task of a later term": register(b"ghost", tasks=block(7, block(1, key(term=(U64, 2**63 - 1))) + number(2, 2))),
    "a highest term beyond ours": register(b"ghost", more=block(5, number(1, U64) + number(2, 2**63 - 1))),
    "100,000 attributes": register(b"ghost", more=block(8, block(1, b"a") + block(2, b"b")) * 100000),
    "names of control characters": register(b"ghost", more=block(8, block(1, b"\n\x1b[2J") + block(2, b"\0\xff"))),
}


@pytest.mark.parametrize("message", BAD_REGISTERS.values(), ids=list(BAD_REGISTERS))
def test_a_registration_that_cannot_be_true_is_refused_or_harms_nobody(attacked, message):
    """An agent's certificate is genuine, what it says is not. The other agent and its tasks go on."""
    master = attacked.watch("master")
    with master.unharmed(attacked.serves):
        with connect(attacked.masters, attacked.context("agent-ghost"), timeout=1) as s:
            s.sendall(frame(message))
            with contextlib.suppress(TimeoutError):
                s.recv(65536)
    def seen():
        return {n["name"]: n for n in attacked.json("nodes")["nodes"]}
    until(lambda: seen()[attacked.agent_name]["state"] == "ready", seen)
    nodes = seen()
    total = sum(n["capacity"]["cpu_milli"] for n in nodes.values() if "capacity" in n)
    assert total < 2**40, nodes


def update(state=4, sequence=1, uuid=b"u" * 16, **more):
    return block(1, key(**more)) + number(2, sequence) + block(3, uuid) + number(4, state)


BAD_MESSAGES = {
    "nothing": b"", "noise": b"\xff" * 50, "an open varint": b"\x08\xff", "a length beyond the end": b"\x12\xff\xff\xff\x7f",
    "another's registration": number(1, 1) + block(3, number(1, 0)),
    "registration 2^64-1": number(1, U64) + block(3, number(1, U64)),
    "an update of nobody's task": block(4, block(1, update())), "an update without uuid": block(4, block(1, update(uuid=b""))),
    "a state that is none": block(4, block(1, update(state=4000000000))), "sequence 0": block(4, block(1, update(sequence=0))),
    "10,000 updates": block(4, block(1, update()) * 10000), "a huge job name": block(4, block(1, update(job=b"j" * 1000000))),
    "data of no stream": block(5, number(1, 77) + number(2, 1) + block(3, b"x" * 100000)),
    "an ack of no stream": block(7, number(1, U64) + number(2, U64)),
    "the end of no stream": block(6, number(1, 0)),
    "usage of 2^64-1": block(3, number(1, 0) + block(2, b"".join(number(n, U64) for n in range(1, 4)))),
}


@pytest.mark.parametrize("message", BAD_MESSAGES.values(), ids=list(BAD_MESSAGES))
def test_a_message_of_a_registered_agent_that_makes_no_sense_harms_nobody(attacked, message):
    master = attacked.watch("master")
    with master.unharmed(attacked.serves):
        with connect(attacked.masters, attacked.context("agent-ghost")) as s:
            s.sendall(frame(GHOST))
            size = struct.unpack(">I", s.recv(4))[0]
            welcome = b""
            while len(welcome) < size:
                welcome += s.recv(size - len(welcome))
            numbers = re.search(rb"\x10([\x80-\xff]*[\x00-\x7f])", welcome[welcome.index(b"\x10"):])[1]
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                s.sendall(frame(message))
                s.sendall(frame(b"\x08" + numbers + message))
                for n in range(50):
                    s.sendall(frame(random.Random(n).randbytes(n)))
                s.settimeout(1)
                with contextlib.suppress(TimeoutError):
                    read_to_end(s)


def test_registering_again_and_again_leaves_one_agent_and_no_connection(attacked):
    master = attacked.watch("master")
    with master.unharmed(attacked.serves, lines=200):
        sockets = [connect(attacked.masters, attacked.context("agent-ghost")) for _ in range(20)]
        for s in sockets * 2:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                s.sendall(frame(GHOST))
        for s in sockets:
            s.close()
    assert [n["name"] for n in attacked.json("nodes")["nodes"]].count("ghost") == 1


def test_a_second_registration_that_is_refused_ends_the_first_as_well(attacked):
    master = attacked.watch("master")
    with master.unharmed(attacked.serves, "agent ghost .* is refused: the registry has another agent id"):
        with connect(attacked.masters, attacked.context("agent-ghost")) as s:
            s.sendall(frame(GHOST) + frame(register(b"ghost", agent_id=b"another")))
            read_to_end(s)
        attacked.serves()
    ghost, = (n for n in attacked.json("nodes")["nodes"] if n["name"] == "ghost")
    assert ghost["state"] != "ready"


def test_an_agent_that_never_reads_is_dropped_or_silent_and_others_are_served(attacked):
    master = attacked.watch("master")
    with master.unharmed(attacked.serves, rss_mib=64 * SLOW):
        with connect(attacked.masters, attacked.context("agent-ghost"), timeout=5) as s:
            s.sendall(frame(GHOST))
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                for _ in range(200):
                    s.sendall(frame(number(1, 1) + block(4, block(1, update()) * 2000)))
            attacked.serves()


# ---- HTTP ----

HTTP = b" HTTP/1.1\r\nHost: x\r\n"
END = b"Connection: close\r\n\r\n"
REQUESTS = {
    "a head of 1 MiB": (b"GET /" + HTTP + b"X: " + b"x" * (1 << 20) + b"\r\n\r\n", {400, 414, 431, None}),
    "10,000 headers": (b"GET /" + HTTP + b"X: y\r\n" * 10000 + END, {400, 431}),
    "a target of 10 KiB": (b"GET /corral/v1/jobs/" + b"a" * 10240 + HTTP + END, {400, 404, 414, 431}),
    "a path upwards": (b"GET /corral/v1/jobs/../x" + HTTP + END, {400, 404}),
    "a coded path upwards": (b"GET /corral/v1/jobs/%2e%2e%2f%2e%2e%2fetc%2fpasswd" + HTTP + END, {400, 404}),
    "a NUL": (b"GET /corral/v1/jobs/%00" + HTTP + END, {400, 404}),
    "a bad escape": (b"GET /corral/v1/jobs/%zz" + HTTP + END, {400, 404}),
    "no such method": (b"BREW /corral/v1/jobs" + HTTP + END, {400, 405, 501}),
    "DELETE where there is none": (b"DELETE /corral/v1/status" + HTTP + END, {404, 405}),
    "HTTP/9.9": (b"GET / HTTP/9.9\r\n\r\n", {400, 505, None}),
    "no HTTP": (b"\0\1\2\3\r\n\r\n", {400, None}),
    "a length of -1": (b"POST /corral/v1/jobs" + HTTP + b"Content-Length: -1\r\n" + END, {400}),
    "a length of 2^64": (b"POST /corral/v1/jobs" + HTTP + b"Content-Length: 18446744073709551616\r\n" + END, {400, 413}),
    "2 GB announced": (b"POST /corral/v1/jobs" + HTTP + b"Content-Length: 2147483647\r\n" + END, {413}),
    "two lengths": (b"POST /corral/v1/jobs" + HTTP + b"Content-Length: 1\r\nContent-Length: 2\r\n" + END + b"xx", {400}),
    "length and chunks": (b"POST /corral/v1/jobs" + HTTP +
                          b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n" + END + b"0\r\n\r\n", {400}),
    "a chunk of 2^64": (b"POST /corral/v1/jobs" + HTTP + b"Transfer-Encoding: chunked\r\n" + END + b"ffffffffffffffff\r\nx",
                        {400, 413}),
    "a head that folds": (b"GET /" + HTTP + b"X: y\r\n z\r\n" + END, {400, 200, 404}),
}


@pytest.mark.parametrize("sent, statuses", REQUESTS.values(), ids=list(REQUESTS))
def test_a_bad_request_is_answered_by_its_status(attacked, sent, statuses):
    master = attacked.watch("master")
    with master.unharmed(attacked.serves, rss_mib=16 * SLOW):
        status, got = ask(attacked, sent)
        assert status in statuses, got[:500]
        if status not in (None, 200, 404):
            until(lambda: re.search(rf"HTTP from 127\.0\.0\.1:\d+.*: {status} ", master.text()), master.text)


def test_who_speaks_no_tls_and_who_has_no_certificate_are_logged(attacked):
    master = attacked.watch("master")
    with master.unharmed(attacked.serves, says=r"HTTP from 127\.0\.0\.1:\d+: .*(TLS|SSL|handshake)"):
        answer_of(attacked.api, b"GET / HTTP/1.1\r\n\r\n")
    with master.unharmed(attacked.serves, says=r"HTTP from 127\.0\.0\.1:\d+: GET /corral/v1/jobs: 401 a client cert"):
        ask(attacked, b"GET /corral/v1/jobs" + HTTP + END, who=None)


def post(body, path=b"/corral/v1/jobs", method=b"POST"):
    return method + b" " + path + HTTP + b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body) + END + body


BODIES = {
    "nothing": b"", "no JSON": b"{", "NUL": b"\0", "100,000 deep": b"[" * 100000, "deep objects": b'{"a":' * 100000,
    "a number": b"1", "null": b"null",
    "1e400": b'{"name":1e400}', "lone surrogate": b'{"name":"\\ud800"}', "no UTF-8": b'{"name":"\xff\xfe"}',
    "key twice": b'{"name":"a","name":"b"}',
    "1 MiB of key": b'{"' + b"k" * (1 << 20) + b'":1}',
    "a name with a slash": b'{"name":"a/b","file":"[Task]\\nExecStart=true\\n"}',
    "a name upwards": b'{"name":"..","file":"[Task]\\nExecStart=true\\n"}', "a huge name": b'{"name":"' + b"n" * 100000 + b'"}',
}


@pytest.mark.parametrize("path, method",
                         [(b"/corral/v1/jobs", b"POST"), (b"/corral/v1/jobs/x", b"PUT"), (b"/corral/v1/run", b"POST"),
                          (b"/corral/v1/join", b"POST"), (b"/corral/v1/era/bump", b"POST")], ids=str)
@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_a_body_that_is_no_job_is_refused(attacked, body, path, method):
    master = attacked.watch("master")
    before = attacked.corral("jobs", "-q").stdout
    with master.unharmed(rss_mib=32 * SLOW):
        status, got = ask(attacked, post(body, path, method))
        assert status is not None and 400 <= status < 500, got[:500]
    assert attacked.corral("jobs", "-q").stdout == before


@pytest.mark.parametrize("who", [None, "agent-ghost"])
def test_who_has_no_right_to_submit_is_told_so(attacked, who):
    status, got = ask(attacked, post(b"{}"), who=who)
    assert status in (401, 403), got[:500]


def test_many_silent_http_connections_do_not_keep_others_out(attacked):
    master = attacked.watch("master")
    with master.unharmed(attacked.serves, lines=100):
        held = [connect(attacked.api) for _ in range(100)]
        half = [connect(attacked.api, attacked.context("operator")) for _ in range(20)]
        for s in half:
            s.sendall(b"GET / HT")
        attacked.serves()
        for s in held + half:
            s.close()


# ---- job files ----

@pytest.mark.parametrize("text, fault", [
    ("[Task]\nExecStart=true\nMemory=lots\n", r"bad\.job:3: .*Memory"),
    ("[Task]\nExecStart=true\n[Resources]\nMemory=lots\n", r"bad\.job:4: .*lots"),
    ("[Task]\nExecStart=true\nExecStrat=x\n", r"bad\.job:3: .*ExecStart"),
    ("[Job]\nCount=-1\n[Task]\nExecStart=true\n", r"bad\.job:2: .*Count"),
    ("\0\0\0", r"bad\.job"), ("[" * 100000, r"bad\.job:1"), ("", r"bad\.job"),
], ids=["memory in Task", "Memory=lots", "unknown key", "count", "NULs", "brackets", "empty"])
def test_a_bad_job_file_is_refused_with_its_line(attacked, text, fault):
    run = attacked.submit("bad", text, status=65)
    assert re.search(fault, run.stderr), run.stderr
    attacked.serves()


# ---- what has waited since the first test ----

def test_plain_bytes_on_a_tls_port_cost_their_connection(attacked):
    for plain in attacked.plain:
        plain.cost_their_connections()
    attacked.serves()
