# SPDX-License-Identifier: Apache-2.0
"""Clients that write down what they asked for and what they were told: recorder.py OPTIONS, one JSON line each, until
standard input ends.

A program of its own, so that it can run on a host of tests/lib/network.py. tests/lib/history.py judges what it writes.
Times are CLOCK_MONOTONIC in nanoseconds, which all processes of a machine share."""
import argparse
import contextlib
import json
import random
import select
import socket
import ssl
import struct
import sys
import threading
import time

CREATE, DELETE, EXISTS, GET, SET, SYNC, PING, CHECK, MULTI, CREATE2, CLOSE = 1, 2, 3, 4, 5, 9, 11, 13, 14, 15, -11
EPHEMERAL, SEQUENTIAL = 1, 2
WORLD = struct.pack(">i", 1) + struct.pack(">i", 31) + struct.pack(">i", 5) + b"world" + struct.pack(">i", 6) + b"anyone"
KEYS, ANSWER_S = 8, 15


def text(value):
    return struct.pack(">i", len(value)) + value.encode()


def stat_of(data):
    """czxid, mzxid, ctime, mtime, version, cversion, aversion, owner, length, children, pzxid."""
    return list(struct.unpack(">qqqqiiiqiiq", data[:68]))


class Lost(Exception):
    """The connection is gone, or was refused."""


class Client:
    def __init__(self, number, options, write):
        self.number, self.options, self.write = number, options, write
        self.random = random.Random(f"{options.seed} {number}")
        self.session, self.password, self.seen = 0, bytes(16), 0
        self.socket, self.connection, self.xid, self.order = None, 0, 0, 0
        self.values = 0
        self.own = []  # sequential and ephemeral nodes that were made, to be removed again

    # ---- the connection ----

    def connect(self):
        host, _, port = self.random.choice(self.options.hosts.split(",")).rpartition(":")
        try:
            s = socket.create_connection((host, int(port)), timeout=2)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.options.cert:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.load_verify_locations(self.options.ca)
                context.load_cert_chain(self.options.cert, self.options.key)
                s = context.wrap_socket(s)
            self.socket, self.bytes = s, b""
            self.connection += 1
            self.order = 0
            s.settimeout(ANSWER_S)
            ask = struct.pack(">iqiqi", 0, self.seen, self.options.timeout, self.session, 16) + self.password + b"\0"
            s.sendall(struct.pack(">i", len(ask)) + ask)
            answer = self.receive(time.monotonic() + ANSWER_S)
        except (OSError, Lost):
            self.drop()
            raise Lost from None
        _, timeout, session = struct.unpack(">iiq", answer[:16])
        if timeout <= 0:
            self.write({"c": self.number, "expired": self.session, "at": time.monotonic_ns()})
            self.session, self.password = 0, bytes(16)
            self.drop()
            raise Lost
        self.write({"c": self.number, "session": session, "resumed": session == self.session,
                    "conn": self.connection, "at": time.monotonic_ns(), "to": f"{host}:{port}"})
        self.session, self.password = session, answer[20:36]

    def drop(self):
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.close()
        self.socket = None

    def receive(self, until):
        """The next frame."""
        while len(self.bytes) < 4 or len(self.bytes) < 4 + struct.unpack(">i", self.bytes[:4])[0]:
            if not getattr(self.socket, "pending", lambda: 0)():
                ready, _, _ = select.select([self.socket], [], [], max(0, until - time.monotonic()))
                if not ready:
                    raise Lost
            try:
                more = self.socket.recv(65536)
            except OSError:
                raise Lost from None
            if not more:
                raise Lost
            self.bytes += more
        size = struct.unpack(">i", self.bytes[:4])[0]
        frame, self.bytes = self.bytes[4:4 + size], self.bytes[4 + size:]
        self.order += 1
        return frame

    # ---- requests ----

    def value(self):
        self.values += 1
        return f"{self.number}-{self.values}"

    def draw(self):
        """One operation: what is written down, and its bytes."""
        r = self.random
        key = f"/h/{r.randrange(KEYS)}"
        kind = r.choices(["set", "cas", "create", "delete", "get", "exists", "sync", "multi", "seq", "eph", "clean",
                          "own"], [20, 10, 8, 4, 24, 6, 6, 6, 4, 2, 4, 3])[0]
        if kind in ("set", "cas"):
            version = -1 if kind == "set" else r.randrange(12)
            data = self.value()
            return {"op": "set", "path": key, "version": version, "data": data}, SET, \
                text(key) + text(data) + struct.pack(">i", version)
        if kind == "create":
            return self.creation(key, 0)
        if kind == "seq":
            return self.creation("/h/q-", SEQUENTIAL)
        if kind == "eph":
            return self.creation("/h/e-", SEQUENTIAL | EPHEMERAL)
        if kind == "delete" or kind == "clean" and not self.own:
            return {"op": "delete", "path": key, "version": -1}, DELETE, text(key) + struct.pack(">i", -1)
        if kind == "clean":
            path = self.own.pop(0)
            return {"op": "delete", "path": path, "version": -1}, DELETE, text(path) + struct.pack(">i", -1)
        if kind == "get":
            watch = r.random() < 0.3
            return {"op": "get", "path": key, "watch": watch}, GET, text(key) + bytes([watch])
        if kind in ("exists", "own"):
            path = r.choice(self.own) if kind == "own" and self.own else key
            return {"op": "exists", "path": path}, EXISTS, text(path) + b"\0"
        if kind == "sync":
            return {"op": "sync", "path": "/h"}, SYNC, text("/h")
        other = f"/h/{r.randrange(KEYS)}"
        parts = [(key, self.value()), (other, self.value())]
        body = b"".join(struct.pack(">i?i", SET, False, -1) + text(p) + text(d) + struct.pack(">i", -1) for p, d in parts)
        return {"op": "multi", "parts": parts}, MULTI, body + struct.pack(">i?i", -1, True, -1)

    def creation(self, path, flags):
        data = self.value()
        return {"op": "create", "path": path, "flags": flags, "data": data}, CREATE, \
            text(path) + text(data) + WORLD + struct.pack(">i", flags)

    def burst(self):
        """Some requests at once, the answers to them, and what came in between."""
        asked = []
        for _ in range(self.random.choice((1, 1, 2, 4))):
            entry, op, body = self.draw()
            self.xid += 1
            entry |= {"c": self.number, "s": self.session, "conn": self.connection, "xid": self.xid}
            asked.append((entry, struct.pack(">ii", self.xid, op) + body))
        invoked = time.monotonic_ns()
        for entry, _ in asked:
            entry |= {"inv": invoked, "ret": None}
        try:
            self.socket.sendall(b"".join(struct.pack(">i", len(b)) + b for _, b in asked))
            waiting = [entry for entry, _ in asked]
            until = time.monotonic() + ANSWER_S
            while waiting:
                if self.take(self.receive(until), waiting[0]):
                    waiting.pop(0)
        except (OSError, Lost):
            self.drop()
        for entry, _ in asked:
            self.write(entry)

    def take(self, frame, entry):
        """A frame that came; true if it answers the entry."""
        xid, zxid, error = struct.unpack(">iqi", frame[:16])
        if xid == -1:
            kind, _, size = struct.unpack(">iii", frame[16:28])
            self.write({"c": self.number, "conn": self.connection, "event": kind, "path": frame[28:28 + size].decode(),
                        "order": self.order})
            return False
        if xid == -2:
            return False
        assert xid == entry["xid"], f"the answer to {xid} came before that to {entry['xid']}"
        entry |= {"ret": time.monotonic_ns(), "err": error, "zxid": zxid, "order": self.order}
        self.seen = max(self.seen, zxid)
        if error == 0:
            self.read(entry, frame[16:])
        return True

    def read(self, entry, body):
        op = entry["op"]
        if op in ("set", "exists"):
            entry["stat"] = stat_of(body)
        elif op == "get":
            size = struct.unpack(">i", body[:4])[0]
            entry["got"] = None if size < 0 else body[4:4 + size].decode()
            entry["stat"] = stat_of(body[4 + max(size, 0):])
        elif op == "create":
            entry["made"] = body[4:].decode()
            if entry["flags"]:
                self.own.append(entry["made"])
        elif op == "multi":
            entry["failed"] = struct.unpack(">i", body[:4])[0] == -1

    def live(self, over):
        while not over.is_set():
            try:
                if self.socket is None:
                    self.connect()
                self.burst()
            except Lost:
                time.sleep(self.random.uniform(0.01, 0.1))
                continue
            time.sleep(self.random.uniform(0, self.options.pause))
            if self.random.random() < 0.01:
                self.drop()
        self.drop()


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    for name in ("hosts", "out", "seed"):
        ap.add_argument("--" + name, required=True)
    for name in ("ca", "cert", "key"):
        ap.add_argument("--" + name, default="")
    ap.add_argument("--clients", type=int, default=8)
    ap.add_argument("--timeout", type=int, default=6000)
    ap.add_argument("--pause", type=float, default=0.02)
    options = ap.parse_args()
    lock, failed = threading.Lock(), []
    over = threading.Event()
    with open(options.out, "w", buffering=1, encoding="utf-8") as out:
        def write(entry):
            with lock:
                out.write(json.dumps(entry) + "\n")

        def live(client):
            try:
                client.live(over)
            except BaseException as e:  # noqa: B902
                failed.append(f"client {client.number}: {type(e).__name__}: {e}")
                raise

        threads = [threading.Thread(target=live, args=(Client(n, options, write),)) for n in range(options.clients)]
        for t in threads:
            t.start()
        sys.stdin.read()
        over.set()
        for t in threads:
            t.join()
    sys.exit("\n".join(failed) if failed else 0)


if __name__ == "__main__":
    main()
