#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ensemble_bench.py [SECONDS] [--kills N] [--behind MIB] [--pauses N]: three zkservers on this machine, and beside them three
of Apache's if Debian's jar is there: rates, CPU for each request over all three, latency, memory, and for how long nobody
writes when the leader is killed. With --kills, --behind or --pauses zkserver's alone, or those of --of, in that respect alone:

--kills N   so many leaders are killed, one after the other; each comes back before the next
--pauses N  so many are stopped instead (SIGSTOP), and come back when another leads
--behind N  a member comes back to a tree of so many MiB that it has nothing of, while the others write
--of KINDS  what the servers 1, 2 and 3 are, such as corral,apache,corral; the one with the greatest number leads first

As for what the figures depend on: see zk_bench.py. Three servers and their clients share this machine's processors and disk."""
import argparse
import selectors
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import zk_bench  # noqa: E402
import servers  # noqa: E402
import wire  # noqa: E402
from ensemble import Ensemble  # noqa: E402
from servers import BUILD, KINDS, wait_until  # noqa: E402
from wire import Connection, Line, acls, i32, text  # noqa: E402
from processes import cpu_s, resident  # noqa: E402
from zk_bench import JAR, SETTINGS, table  # noqa: E402

TICK_MS = 2000
AT_LEAST = {"create": 8, "set": 10, "get": 12, "mixed": 12, "delete": 8}  # times Apache's rate
CPU_AT_LEAST = 15
NAMES = {("corral",) * 3: "3 zkservers", ("apache",) * 3: "3 of Apache's"}
KILLS, WARM = 3, 4  # a cold JVM is no measure
RETRY_S, SILENCE_S, WAIT_S = 0.005, 60, 120
SERVER_BYTES, MULTI_BYTES = 1024, 512 << 10
WRITERS, OUTSTANDING, CALM_S = 4, 32, 4


class Three:
    """Three servers, and the figures that they got."""

    def __init__(self, kinds):
        self.kind = kinds[0]
        self.name = NAMES.get(kinds, "mixed: " + ", ".join(kinds))
        each = iter(kinds)
        self.ensemble = Ensemble(3, kind=lambda: KINDS[next(each)](SETTINGS, tick_ms=TICK_MS))
        self.figures = {}

    def note(self, what, number, unit, goal=None):
        self.figures[what] = number, unit, goal

    def running(self):
        return [s for s in self.ensemble.servers if s.process is not None]

    def cpu(self):
        return sum(cpu_s(s.process.pid) for s in self.running())

    def memory(self, what, goal=None):
        self.note(what, sum(resident(s.process.pid) for s in self.running()) / 2**20, "MiB", goal)

    def settled(self):
        """Until one leads and all others follow it."""
        def ask():
            try:
                told = [s.four_letters("srvr") for s in self.running()]
            except OSError:
                return False
            return sum("Mode: leader" in t for t in told) == 1 and sum("Mode: follower" in t for t in told) == len(told) - 1
        wait_until(ask, WAIT_S, f"{self.name}: one leads, the others follow")

    def started(self):
        begun = time.monotonic()
        for server in self.ensemble.servers:
            server.launch()
        first_write([s.port for s in self.running()], begun)
        self.note("start, empty", (time.monotonic() - begun) * 1e3, "ms", ("x", 20))
        self.settled()

    def requests(self, seconds, noted):
        """What `zk bench` says of each kind of request, and what they cost until it says so."""
        words = [str(BUILD / "zk"), "--hosts", self.ensemble.hosts, "bench", "--time", f"{seconds}s"]
        before = self.cpu()
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as bench:
            for line in bench.stdout:
                cells, now = line.split(), self.cpu()
                if cells[0] not in AT_LEAST:
                    continue
                if noted:
                    self.note(cells[0], float(cells[2]), "/s", ("x", AT_LEAST[cells[0]]))
                    self.note(f"CPU of a {cells[0]}, all three", (now - before) / float(cells[1]) * 1e6, "us",
                              ("x", CPU_AT_LEAST) if cells[0] != "get" else None)
                before = now
        assert bench.returncode == 0, self.name

    def one_at_a_time(self, seconds):
        words = [str(BUILD / "zk"), "--hosts", self.ensemble.hosts, "bench", "--time", f"{seconds}s", "--sessions", "1",
                 "--outstanding", "1"]
        for line in subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines():
            cells = line.split()
            if cells[0] in ("get", "set"):
                self.note(f"{cells[0]}, one at a time, p50", float(cells[3]), "ms", ("x", 2))

    def gap(self, how=signal.SIGKILL):
        """Milliseconds from the leader's end to the first write that was asked for after it."""
        self.settled()
        leader = self.ensemble.leader()
        others = [s.port for s in self.running() if s is not leader]
        begun = time.monotonic()
        if how == signal.SIGKILL:
            leader.stop(how)
        else:
            leader.process.send_signal(how)
        first_write(others, begun)
        took = (time.monotonic() - begun) * 1e3
        if how == signal.SIGKILL:
            leader.launch()
        else:
            leader.process.send_signal(signal.SIGCONT)
        return took

    def kills(self, count, goals=(None, None), how=signal.SIGKILL):
        gaps = [self.gap(how) for _ in range(count)]
        what = "leader killed" if how == signal.SIGKILL else "leader stopped"
        self.note(f"{what}, no write for, median", statistics.median(gaps), "ms", goals[0])
        self.note(f"{what}, no write for, worst", max(gaps), "ms", goals[1])
        self.settled()
        return gaps


def first_write(ports, begun):
    """Wait until one of these servers has carried out a write."""
    done = threading.Event()

    def ask(port):
        while not done.is_set() and time.monotonic() < begun + WAIT_S:
            try:
                with Line(port) as line:
                    line.socket.settimeout(SILENCE_S)
                    line.send(zk_bench.CONNECT)
                    line.send(i32(1) + i32(wire.CREATE) + text("/first-") + text(b"") + acls(wire.WORLD) + i32(3))
                    if line.receive() is not None and line.receive() is not None:
                        done.set()
            except OSError:
                pass
            done.wait(RETRY_S)

    for port in ports:
        threading.Thread(target=ask, args=(port,), daemon=True).start()
    assert done.wait(WAIT_S), "nobody writes"


class Writers(threading.Thread):
    """Sets of SERVER_BYTES, so many on their way at once on each connection, until stop()."""

    def __init__(self, ports):
        super().__init__(daemon=True)
        self.acked, self.over = 0, threading.Event()
        self.lines = [Connection(ports[n % len(ports)], timeout_ms=zk_bench.TIMEOUT_MS) for n in range(WRITERS)]
        self.requests = []
        for n, line in enumerate(self.lines):
            line.create(f"/written-{n}", b"")
            body = i32(1) + i32(wire.SET) + text(f"/written-{n}") + text(b"x" * SERVER_BYTES) + i32(-1)
            self.requests.append(i32(len(body)) + body)

    def run(self):
        with selectors.DefaultSelector() as ready:
            rest = {}
            for line, request in zip(self.lines, self.requests):
                line.socket.sendall(request * OUTSTANDING)
                ready.register(line.socket, selectors.EVENT_READ, request)
                rest[line.socket] = b""
            while not self.over.is_set():
                for key, _ in ready.select(0.1):
                    s = key.fileobj
                    got = s.recv(65536)
                    assert got, "a writer lost its connection"
                    data, count = rest[s] + got, 0
                    while len(data) >= 4 and len(data) >= 4 + struct.unpack(">i", data[:4])[0]:
                        data, count = data[4 + struct.unpack(">i", data[:4])[0]:], count + 1
                    rest[s] = data
                    self.acked += count
                    if count:
                        s.sendall(key.data * count)

    def rate(self, until):
        """Writes a second until something holds, and the least of any half second in it."""
        begun, first, seen = time.monotonic(), self.acked, []
        while not until():
            at, before = time.monotonic(), self.acked
            time.sleep(0.5)
            seen.append((self.acked - before) / (time.monotonic() - at))
        return (self.acked - first) / (time.monotonic() - begun), min(seen, default=0)

    def stop(self):
        self.over.set()
        self.join()
        for line in self.lines:
            line.socket.close()


def peak(pid):
    """Bytes that a process has had at most."""
    status = Path(f"/proc/{pid}/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) * 1024


def fill(port, mib):
    """So many MiB in nodes of 1 KiB."""
    parts = MULTI_BYTES // SERVER_BYTES
    with Connection(port, timeout_ms=zk_bench.TIMEOUT_MS) as c:
        for at in range(mib * 1024 // parts):
            if at % 100 == 0:
                c.create(f"/d{at // 100}", b"")
            body = b"".join(i32(wire.CREATE) + b"\0" + i32(-1) + text(f"/d{at // 100}/{at % 100}-{n}") +
                            text(b"x" * SERVER_BYTES) + acls(wire.WORLD) + i32(0) for n in range(parts))
            _, reply = c.call(wire.MULTI, body + i32(-1) + b"\1" + i32(-1))
            assert reply is not None and reply[2] == 0, reply


def behind(three, mib):
    """A member comes back with nothing, while the others write."""
    three.started()
    leader = three.ensemble.leader()
    fill(leader.port, mib)
    late = next(s for s in three.running() if s is not leader)
    late.stop()
    shutil.rmtree(late.dir / "data" / "version-2")
    Path(f"/proc/{leader.process.pid}/clear_refs").write_text("5")  # its peak begins anew
    writers = Writers([s.port for s in three.running()])
    writers.start()
    time.sleep(1)
    end = time.monotonic() + CALM_S
    calm, _ = writers.rate(lambda: time.monotonic() > end)
    weight = peak(leader.process.pid)
    late.launch()
    begun = time.monotonic()

    def there():
        try:
            return "Mode: follower" in late.four_letters("srvr")
        except OSError:
            return False

    meanwhile, least = writers.rate(there)
    three.note(f"writes, without one of three, {mib} MiB", calm, "/s")
    three.note("writes, while it comes back", meanwhile, "/s", (">=", calm / 2))
    three.note("the same, the worst half second", least, "/s")
    three.note("it comes back in", (time.monotonic() - begun) * 1e3, "ms")
    three.note("the leader's memory grows by", (peak(leader.process.pid) - weight) / 2**20, "MiB", ("<=", 64))
    three.note("of", weight / 2**20, "MiB")
    writers.stop()


def measure(measured, seconds):
    for one in measured:
        one.started()
        one.memory("memory, fresh, all three", ("x", 15))
    for one in measured:
        one.requests(seconds if one.kind == "corral" else WARM * seconds, False)
    for one in measured:
        one.requests(seconds, True)
    for one in measured:
        one.one_at_a_time(seconds)
        one.memory("memory after that")
        one.kills(KILLS, (("<=", 60), ("<=", 300)))


def three_kinds(words):
    kinds = tuple(words.split(","))
    if len(kinds) != 3 or not set(kinds) <= set(KINDS):
        raise argparse.ArgumentTypeError(f"three of {', '.join(KINDS)} are wanted, not {words}")
    return kinds


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("seconds", nargs="?", type=int, default=1)
    words.add_argument("--kills", type=int, default=0)
    words.add_argument("--pauses", type=int, default=0)
    words.add_argument("--behind", type=int, default=0)
    words.add_argument("--of", type=three_kinds, default=("corral",) * 3)
    asked = words.parse_args()
    alone = asked.kills or asked.pauses or asked.behind
    servers.JAVA[1] = "-Xmx2g"
    measured = [Three(asked.of)] + ([Three(("apache",) * 3)] if JAR.exists() and not alone else [])
    try:
        if asked.behind:
            behind(measured[0], asked.behind)
        elif alone:
            measured[0].started()
            if asked.kills:
                print(*(f"{gap:.0f}" for gap in measured[0].kills(asked.kills, (("<=", 60), ("<=", 300)))))
            if asked.pauses:
                print(*(f"{gap:.0f}" for gap in measured[0].kills(asked.pauses, (None, ("<=", 10 * TICK_MS + 300)),
                                                                   signal.SIGSTOP)))
        else:
            measure(measured, asked.seconds)
        print(*table(measured), sep="\n")
    finally:
        for one in measured:
            one.ensemble.remove()


if __name__ == "__main__":
    main()
