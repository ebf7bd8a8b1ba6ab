#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""zk_bench.py [SECONDS]: what zkserver does in a second, costs and weighs, and beside it Apache's server if Debian's jar is
there. Each server is alone and durable, on a disk of this machine; loads come from `zk bench` and from this script.

Rates depend on what else the machine does, and on this machine's share for the clients; CPU for each operation, counted of the
server's process alone, hardly does. The servers take turns."""
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
os.environ.setdefault("CORRAL_BUILD", os.getcwd())
sys.path.insert(0, str(TOP / "tests" / "compat"))
sys.dont_write_bytecode = True
import wire  # noqa: E402
from servers import BUILD, KINDS  # noqa: E402
from wire import Connection, acls, i32, i64, text  # noqa: E402

JAR = Path("/usr/share/java/zookeeper.jar")
SETTINGS = "maxClientCnxns=0\nmaxSessionTimeout=60000\n"
TIMEOUT_MS = 60000
STORM_SESSIONS, STORM_AT_ONCE = 4000, 50
SESSIONS = 2000
ZNODES, ZNODE_BYTES, ZNODES_A_MULTI = 50000, 100, 500  # as many as fit into the JVM of the tests
WAIT_S, PROBE_S = 60, 0.2
WELCOME_BYTES, REPLY_BYTES = 41, 20
CONNECT = i32(0) + i64(0) + i32(TIMEOUT_MS) + i64(0) + text(bytes(16)) + b"\0"


def frame(body):
    return i32(len(body)) + body


def cpu_s(pid):
    """Processor time that a process has had."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    """Bytes."""
    status = Path(f"/proc/{pid}/status").read_text().split()
    return int(status[status.index("VmRSS:") + 1]) * 1024


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
    """One server, and the figures that it got: name: (number, unit)."""

    def __init__(self, kind):
        self.server = KINDS[kind](SETTINGS)
        self.name = "zkserver" if kind == "corral" else "Apache's"
        self.figures = {}

    def note(self, what, number, unit):
        self.figures[what] = number, unit

    def pid(self):
        return self.server.process.pid

    def started(self, what):
        """From the exec to the first answered request."""
        begun = time.monotonic()
        self.server.launch()
        while not self.answers_soon():
            assert time.monotonic() < begun + WAIT_S, self.server.log()[-2000:]
            time.sleep(0.001)
        self.note(f"start, {what}", (time.monotonic() - begun) * 1e3, "ms")

    def answers_soon(self):
        """A server that is about to serve may leave a connection without a word."""
        try:
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=PROBE_S) as s:
                s.sendall(frame(CONNECT) + frame(i32(wire.XID_PING) + i32(wire.PING)) + frame(i32(1) + i32(wire.CLOSE)))
                return len(b"".join(iter(lambda: s.recv(4096), b""))) == WELCOME_BYTES + 2 * REPLY_BYTES
        except OSError:
            return False

    def requests(self, seconds, noted):
        before = cpu_s(self.pid())
        words = [str(BUILD / "zk"), "--hosts", self.server.hosts, "bench", "--time", f"{seconds}s", "--json"]
        done = subprocess.run(words, stdout=subprocess.PIPE, timeout=WAIT_S + 10 * seconds, check=True)
        spent = cpu_s(self.pid()) - before
        phases = json.loads(done.stdout)
        if not noted:  # a cold JVM is no measure
            return
        for phase in phases:
            self.note(phase["request"], phase["per_second"], "/s")
            self.note(f"{phase['request']}, p99", phase["p99_us"] / 1e3, "ms")
        self.note("CPU of all these, each", spent / sum(phase["count"] for phase in phases) * 1e6, "us")

    def storm(self):
        """Sessions that are opened and closed, so many at once."""
        before, begun = cpu_s(self.pid()), time.monotonic()
        for _ in range(STORM_SESSIONS // STORM_AT_ONCE):
            lines = [wire.Line(self.server.port) for _ in range(STORM_AT_ONCE)]
            for line in lines:
                line.socket.sendall(frame(CONNECT) + frame(i32(1) + i32(wire.CLOSE)))
            assert until_closed([line.socket for line in lines]) == STORM_AT_ONCE * (WELCOME_BYTES + REPLY_BYTES)
        took = time.monotonic() - begun
        self.note("sessions opened and closed", STORM_SESSIONS / took, "/s")
        self.note("CPU of a session", (cpu_s(self.pid()) - before) / STORM_SESSIONS * 1e6, "us")

    def watchers(self):
        return [Connection(self.server.port, timeout_ms=TIMEOUT_MS) for _ in range(SESSIONS)]

    def sessions(self):
        """What idle ones weigh."""
        before = resident(self.pid())
        idle = self.watchers()
        self.note("memory of a session", (resident(self.pid()) - before) / SESSIONS / 1024, "KiB")
        for one in idle:
            one.call(wire.CLOSE, b"")
            one.socket.close()

    def fan_out(self):
        """One change that all sessions watch for."""
        with Connection(self.server.port, timeout_ms=TIMEOUT_MS) as c:
            c.create("/watched", b"")
            watchers = self.watchers()
            for watcher in watchers:
                watcher.call(wire.GET, text("/watched") + b"\1")
            before, begun = cpu_s(self.pid()), time.monotonic()
            c.call(wire.SET, text("/watched") + text("x") + i32(-1))
            for watcher in watchers:
                assert watcher.receive() is not None
            self.note(f"{SESSIONS} watchers told", (time.monotonic() - begun) * 1e3, "ms")
            self.note("CPU of it", (cpu_s(self.pid()) - before) * 1e3, "ms")
            for watcher in watchers:
                watcher.socket.close()
            c.call(wire.DELETE, text("/watched") + i32(-1))

    def znodes(self):
        before = resident(self.pid())
        with Connection(self.server.port, timeout_ms=TIMEOUT_MS) as c:
            c.create("/many", b"")
            for at in range(0, ZNODES, ZNODES_A_MULTI):
                parts = [i32(wire.CREATE) + b"\0" + i32(-1) + text(f"/many/{n}") + text(b"x" * ZNODE_BYTES) +
                         acls(wire.WORLD) + i32(0) for n in range(at, at + ZNODES_A_MULTI)]
                _, reply = c.call(wire.MULTI, b"".join(parts) + i32(-1) + b"\1" + i32(-1))
                assert reply is not None and reply[2] == 0
        self.note(f"memory of a znode of {ZNODE_BYTES} bytes", (resident(self.pid()) - before) / ZNODES, "B")


def table(measured):
    names = [one.name for one in measured]
    yield f"{'':32}" + "".join(f"{name:>16}" for name in names) + (f"{'ratio':>10}" if len(names) > 1 else "")
    for what, (number, unit) in measured[0].figures.items():
        row = [one.figures[what][0] for one in measured]
        line = f"{what:32}" + "".join(f"{value:>11.{0 if value >= 100 else 2}f} {unit:<4}" for value in row)
        if len(row) > 1 and min(row) > 0:
            line += f"{row[0] / row[1] if unit == '/s' else row[1] / row[0]:>9.1f}x"
        yield line


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    measured = [Measured(kind) for kind in (("corral", "apache") if JAR.exists() else ("corral",))]
    try:
        for one in measured:
            one.started("empty")
            one.note("memory, fresh", resident(one.pid()) / 2**20, "MiB")
            one.sessions()
            one.znodes()
            one.server.stop()
            one.started(f"{ZNODES} znodes")
        for noted in (False, True):
            for one in measured:
                one.requests(seconds, noted)
        for step in (Measured.storm, Measured.fan_out):
            for one in measured:
                step(one)
        print(*table(measured), sep="\n")
    finally:
        for one in measured:
            one.server.remove()


if __name__ == "__main__":
    main()
