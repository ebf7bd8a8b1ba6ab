#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""zk_bench.py [SECONDS]: what zkserver does in a second, costs and weighs, and beside it Apache's server if Debian's jar is
there, and what is aimed at: so many times as good as Apache's, or at most so much; "*" marks what falls short of it. Each
server is alone and durable, on a disk of this machine; loads come from `zk bench` and from this script.

Rates and times depend on what else the machine does, and on this machine's share for the clients; CPU for each operation,
counted of the server's process alone, hardly does. The servers take turns."""
import json
import os
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
os.environ.setdefault("CORRAL_BUILD", os.getcwd())
sys.path[:0] = [str(TOP / "tests" / "compat"), str(TOP / "tests" / "lib")]
sys.dont_write_bytecode = True
import servers  # noqa: E402
import wire  # noqa: E402
from processes import cpu_s, resident  # noqa: E402
from servers import BUILD, KINDS, free_port  # noqa: E402
from wire import Connection, acls, i32, i64, text  # noqa: E402

JAR = Path("/usr/share/java/zookeeper.jar")
SETTINGS = "maxClientCnxns=0\nmaxSessionTimeout=60000\n"
TIMEOUT_MS = 60000
STORM_SESSIONS, STORM_AT_ONCE = 4000, 50
TLS_SESSIONS, TLS_AT_ONCE = 400, 8
SESSIONS, FAN_OUTS = 2000, 5
ZNODES, ZNODES_MORE, ZNODE_BYTES, ZNODES_A_MULTI = 50000, 1000000, 100, 500
SYNCS, SYNC_BYTES = 200, 4096
SHARE = 0.8  # of what Apache's server does at most
WAIT_S, PROBE_S = 60, 0.2
WELCOME_BYTES, REPLY_BYTES = 41, 20
AT_LEAST = {"create": 8, "set": 7, "get": 12, "mixed": 12, "delete": 8}  # times Apache's rate
CONNECT = i32(0) + i64(0) + i32(TIMEOUT_MS) + i64(0) + text(bytes(16)) + b"\0"


def frame(body):
    return i32(len(body)) + body


def sync_ms():
    """What one write of a block, and its way to the disk, takes here at least."""
    with tempfile.NamedTemporaryFile(dir=tempfile.gettempdir()) as f:
        f.write(bytes(SYNCS * SYNC_BYTES))
        os.fsync(f.fileno())
        times = []
        for at in range(SYNCS):
            begun = time.monotonic()
            os.pwrite(f.fileno(), b"x" * SYNC_BYTES, at * SYNC_BYTES)
            os.fdatasync(f.fileno())
            times.append((time.monotonic() - begun) * 1e3)
    return statistics.median(times)


def make_certificate(path):
    """PATH/both.pem, a key of RSA-2048 and a certificate that it signs itself."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench", "-keyout",
                    "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=IP:127.0.0.1"], cwd=path, check=True,
                   stderr=subprocess.DEVNULL, timeout=WAIT_S)
    (path / "both.pem").write_text((path / "key.pem").read_text() + (path / "cert.pem").read_text())
    (path / "both.pem").chmod(0o600)


def until_closed(sockets):
    """What has come from all, when each was closed by its peer."""
    size = 0
    with selectors.DefaultSelector() as ready:
        for s in sockets:
            ready.register(s, selectors.EVENT_READ)
        while ready.get_map():
            events = ready.select(WAIT_S)
            assert events, "a server is silent"
            for key, _ in events:
                data = key.fileobj.recv(4096)
                size += len(data)
                if not data:
                    ready.unregister(key.fileobj)
                    key.fileobj.close()
    return size


class Measured:
    """One server, and the figures that it got: name: (number, unit, goal). A goal is ("x", times Apache's) or ("<=", most)."""

    def __init__(self, kind, figures=None, settings=SETTINGS):
        self.server = KINDS[kind](settings)
        self.kind = kind
        self.name = "zkserver" if kind == "corral" else "Apache's"
        self.figures = {} if figures is None else figures

    def note(self, what, number, unit, goal=None):
        self.figures[what] = number, unit, goal

    def pid(self):
        return self.server.process.pid

    def started(self, what, goal=None):
        """From the exec to the first answered request."""
        begun = time.monotonic()
        self.server.launch()
        while not self.answers_soon():
            assert time.monotonic() < begun + WAIT_S, self.server.log()[-2000:]
            time.sleep(0.001)
        self.note(f"start, {what}", (time.monotonic() - begun) * 1e3, "ms", goal)

    def answers_soon(self):
        """A server that is about to serve may leave a connection without a word."""
        try:
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=PROBE_S) as s:
                s.sendall(frame(CONNECT) + frame(i32(wire.XID_PING) + i32(wire.PING)) + frame(i32(1) + i32(wire.CLOSE)))
                return len(b"".join(iter(lambda: s.recv(4096), b""))) == WELCOME_BYTES + 2 * REPLY_BYTES
        except OSError:
            return False

    def bench(self, seconds, *words):
        words = [str(BUILD / "zk"), "--hosts", self.server.hosts, "bench", "--time", f"{seconds}s", "--json", *words]
        done = subprocess.run(words, stdout=subprocess.PIPE, timeout=WAIT_S + 10 * seconds, check=True)
        return {phase["request"]: phase for phase in json.loads(done.stdout)}

    def requests(self, seconds, noted):
        before = cpu_s(self.pid())
        phases = self.bench(seconds)
        spent = cpu_s(self.pid()) - before
        if not noted:  # a cold JVM is no measure
            return
        for request, phase in phases.items():
            self.note(request, phase["per_second"], "/s", ("x", AT_LEAST[request]))
            self.note(f"{request}, p99", phase["p99_us"] / 1e3, "ms")
        self.note("CPU of all these, each", spent / sum(phase["count"] for phase in phases.values()) * 1e6, "us")

    def one_at_a_time(self, seconds):
        phases = self.bench(seconds, "--sessions", "1", "--outstanding", "1")
        get, put = phases["get"]["p50_us"] / 1e3, phases["set"]["p50_us"] / 1e3
        self.note("get, one at a time, p50", get, "ms", ("x", 2))
        self.note("set, one at a time, p50", put, "ms", ("<=", get + 1.2 * sync_ms()))

    def at_a_rate(self, seconds, most):
        """Requests that come at their time, as many as keep the slower server busy for so much of it."""
        for request in ("get", "set"):
            phases = self.bench(seconds, "--rate", str(int(SHARE * most[request])))
            self.note(f"{request}, p99 at {SHARE:.0%} of the slower", phases[request]["p99_us"] / 1e3, "ms", ("x", 10))

    def storm(self):
        """Sessions that are opened and closed, so many at once."""
        before, begun = cpu_s(self.pid()), time.monotonic()
        for _ in range(STORM_SESSIONS // STORM_AT_ONCE):
            lines = [wire.Line(self.server.port) for _ in range(STORM_AT_ONCE)]
            for line in lines:
                line.socket.sendall(frame(CONNECT) + frame(i32(1) + i32(wire.CLOSE)))
            assert until_closed([line.socket for line in lines]) == STORM_AT_ONCE * (WELCOME_BYTES + REPLY_BYTES)
        took = time.monotonic() - begun
        self.note("sessions opened and closed", STORM_SESSIONS / took, "/s", ("x", 4))
        self.note("CPU of a session", (cpu_s(self.pid()) - before) / STORM_SESSIONS * 1e6, "us", ("x", 7))

    def storm_over_tls(self, port, context):
        """The same with whole handshakes."""
        def one(_):
            with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as plain:
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as s:
                    s.sendall(frame(CONNECT) + frame(i32(1) + i32(wire.CLOSE)))
                    return len(b"".join(iter(lambda: s.recv(4096), b"")))

        for _ in range(2):  # the second counts
            before, begun = cpu_s(self.pid()), time.monotonic()
            with ThreadPoolExecutor(TLS_AT_ONCE) as pool:
                assert set(pool.map(one, range(TLS_SESSIONS))) == {WELCOME_BYTES + REPLY_BYTES}
            took = time.monotonic() - begun
        self.note("sessions over TLS", TLS_SESSIONS / took, "/s", ("x", 10))
        self.note("CPU of a session over TLS", (cpu_s(self.pid()) - before) / TLS_SESSIONS * 1e6, "us", ("x", 10))

    def watchers(self):
        return [Connection(self.server.port, timeout_ms=TIMEOUT_MS) for _ in range(SESSIONS)]

    def sessions(self):
        """What idle ones weigh."""
        before = resident(self.pid())
        idle = self.watchers()
        self.note("memory of a session", (resident(self.pid()) - before) / SESSIONS / 1024, "KiB", ("<=", 1.1))
        before = cpu_s(self.pid())
        for _ in range(2):
            for one in idle:
                one.ping()
        self.note("CPU of a session's ping", (cpu_s(self.pid()) - before) / SESSIONS / 2 * 1e6, "us", ("x", 10))
        for one in idle:
            one.call(wire.CLOSE, b"")
            one.socket.close()

    def fan_out(self):
        """One change that all sessions watch for."""
        def change():
            begun = time.monotonic()
            c.call(wire.SET, text("/watched") + text("x") + i32(-1))
            return (time.monotonic() - begun) * 1e3

        with Connection(self.server.port, timeout_ms=TIMEOUT_MS) as c:
            c.create("/watched", b"")
            alone = statistics.median(change() for _ in range(20))
            watchers, answered, told, spent = self.watchers(), [], [], []
            for _ in range(FAN_OUTS):
                for watcher in watchers:
                    watcher.call(wire.GET, text("/watched") + b"\1")
                before, begun = cpu_s(self.pid()), time.monotonic()
                answered.append(change())
                for watcher in watchers:
                    assert watcher.receive() is not None
                told.append((time.monotonic() - begun) * 1e3)
                spent.append((cpu_s(self.pid()) - before) * 1e3)
            self.note("a set", alone, "ms")
            self.note(f"a set that {SESSIONS} watch", statistics.median(answered), "ms", ("<=", 2 * alone))
            self.note(f"{SESSIONS} watchers told", statistics.median(told), "ms", ("x", 1.8))
            self.note("CPU of it", statistics.mean(spent), "ms", ("x", 2.8))
            for watcher in watchers:
                watcher.socket.close()
            c.call(wire.DELETE, text("/watched") + i32(-1))

    def znodes(self, top, count):
        with Connection(self.server.port, timeout_ms=TIMEOUT_MS) as c:
            c.create(top, b"")
            for at in range(0, count, ZNODES_A_MULTI):
                parts = [i32(wire.CREATE) + b"\0" + i32(-1) + text(f"{top}/{n}") + text(b"x" * ZNODE_BYTES) +
                         acls(wire.WORLD) + i32(0) for n in range(at, at + ZNODES_A_MULTI)]
                _, reply = c.call(wire.MULTI, b"".join(parts) + i32(-1) + b"\1" + i32(-1))
                assert reply is not None and reply[2] == 0

    def weigh_znodes(self):
        before = resident(self.pid())
        self.znodes("/many", ZNODES)
        self.note(f"memory of a znode of {ZNODE_BYTES} bytes", (resident(self.pid()) - before) / ZNODES, "B", ("<=", 240))


def reaches(goal, number, ratio):
    kind, value = goal
    return number <= value if kind == "<=" else ratio is None or ratio >= value


def table(measured):
    names = [one.name for one in measured]
    yield f"{'':32}" + "".join(f"{name:>16}" for name in names) + (f"{'ratio':>10}" if len(names) > 1 else "") + f"{'goal':>12}"
    for what, (number, unit, goal) in measured[0].figures.items():
        row = [one.figures[what][0] for one in measured if what in one.figures]
        line = f"{what:32}" + "".join(f"{value:>11.{0 if value >= 100 else 2}f} {unit:<4}" for value in row)
        ratio = None
        if len(row) > 1 and min(row) > 0:
            ratio = row[0] / row[1] if unit == "/s" else row[1] / row[0]
        shown = f"{ratio:>9.1f}x" if ratio is not None else " " * (32 + 26 * (len(names) > 1) + 16 - len(line))
        if goal is not None:
            shown += f"{goal[1]:>10g}x" if goal[0] == "x" else f"{'<=':>5}{goal[1]:>6.3g}"
            shown += "" if reaches(goal, number, ratio) else " *"
        yield (line + shown).rstrip()


def measure_tls(measured):
    """A server with a secure port for each, one after the other."""
    with tempfile.TemporaryDirectory() as directory:
        make_certificate(Path(directory))
        context = ssl.create_default_context(cafile=f"{directory}/cert.pem")
        for one in measured:
            port = free_port()
            lines = (f"secureClientPort={port}\nsecureClientPortAddress=127.0.0.1\nssl.clientAuth=none\n"
                     f"ssl.keyStore.location={directory}/both.pem\nssl.trustStore.location={directory}/cert.pem\n")
            if one.kind == "apache":
                lines += "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n"
            else:
                lines += "maxTlsHandshakesPerSecond=100000\n"
            secure = Measured(one.kind, one.figures, SETTINGS + lines)
            try:
                secure.server.start()
                secure.storm_over_tls(port, context)
            finally:
                secure.server.remove()


def measure_start(figures):
    """zkserver's, from a snapshot and a log of many nodes; Apache's would take a minute to fill."""
    full = Measured("corral", figures, f"{SETTINGS}snapCount={ZNODES_MORE // ZNODES_A_MULTI // 4}\n")
    try:
        full.server.start()
        full.znodes("/more", ZNODES_MORE)
        full.server.stop()
        full.started(f"{ZNODES_MORE} znodes", ("<=", 400))
        full.note("CPU of it until then", cpu_s(full.pid()) * 1e3, "ms")
    finally:
        full.server.remove()


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    servers.JAVA[1] = "-Xmx2g"  # it shall not collect for want of room
    measured = [Measured(kind) for kind in (("corral", "apache") if JAR.exists() else ("corral",))]
    try:
        for one in measured:
            one.started("empty", ("x", 100))
            one.note("memory, fresh", resident(one.pid()) / 2**20, "MiB", ("<=", 5))
            one.sessions()
            one.weigh_znodes()
            one.server.stop()
            one.started(f"{ZNODES} znodes", ("x", 40))
        for noted in (False, True):
            for one in measured:
                one.requests(seconds, noted)
        for one in measured:
            one.one_at_a_time(seconds)
        most = {request: measured[-1].figures[request][0] for request in ("get", "set")}
        for one in measured:
            one.at_a_rate(seconds, most)
        for step in (Measured.storm, Measured.fan_out):
            for one in measured:
                step(one)
        measure_tls(measured)
        measure_start(measured[0].figures)
        print(*table(measured), sep="\n")
    finally:
        for one in measured:
            one.server.remove()


if __name__ == "__main__":
    main()
