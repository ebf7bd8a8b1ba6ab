# SPDX-License-Identifier: Apache-2.0
"""A master of one agent, driven by a test: mutual TLS, frames, proto/corral.proto. It decides nothing by itself."""
import contextlib
import os
import queue
import socket
import ssl
import struct
import threading
import time
import uuid

from corralpb import Schema, frame

TERM = {"era": 1, "czxid": 7}


class FakeMaster:
    def __init__(self, schema, tls, name="m1", term=None, lease_ms=15000, heartbeat_ms=1000):
        self.schema = Schema(schema)
        self.term = term or dict(TERM)
        self.lease_ms, self.heartbeat_ms = lease_ms, heartbeat_ms
        self.registration = 0
        self.incarnation = int.from_bytes(os.urandom(7), "big")  # so that its attempts are told from all others
        self.inbox = queue.Queue()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(tls / f"master-{name}.pem", tls / f"master-{name}-key.pem")
        self.context.load_verify_locations(tls / "ca.pem")
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.connection = None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            try:
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = self.context.wrap_socket(raw, server_side=True)
            except (OSError, ssl.SSLError):
                continue
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection):
        try:
            stream = connection.makefile("rb")
            while True:
                head = stream.read(4)
                if len(head) < 4:
                    break
                self.inbox.put((connection, self.schema.decode("AgentToMaster", stream.read(struct.unpack(">I", head)[0]))))
        except OSError:
            pass
        self.inbox.put((connection, {"gone": {}}))

    def send(self, registered=True, **body):
        message = {"term": self.term, **body}
        if registered:
            message["registration"] = self.registration
        self.connection.sendall(frame(self.schema.encode("MasterToAgent", message)))

    def next(self, kind, timeout=30, answer=True):
        """The next message of this kind, within timeout; heartbeats on the way are acknowledged."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                connection, message = self.inbox.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty as e:
                raise AssertionError(f"no {kind} within {timeout} s") from e
            if connection is not self.connection and "register" not in message:
                continue
            if "heartbeat" in message and answer:
                with contextlib.suppress(OSError):  # of an agent that was killed behind it
                    self.send(heartbeat_ack={"sent_boot_ms": message["heartbeat"]["sent_boot_ms"]})
            if kind in message:
                if kind == "register":
                    self.connection = connection
                return message[kind]

    def welcome(self):
        """Take the registration of an agent; what it said."""
        register = self.next("register")
        self.registration += 1
        self.send(welcome={"agent_id": register.get("agent_id") or "A1", "answers": register["number"], "lease_ms": self.lease_ms,
                           "heartbeat_ms": self.heartbeat_ms})
        return register

    def key(self, index, attempt=1, job="job"):
        return {"job": job, "incarnation": self.incarnation, "index": index, "attempt": attempt, "term": self.term}

    def launch(self, key, **spec):
        spec.setdefault("resources", {"cpu_milli": 10, "memory_bytes": 64 << 20})
        self.send(launch={"tasks": [{"key": key, "spec": spec}]})

    def update(self, ack=True):
        """The next update, acknowledged."""
        [u] = self.next("updates")["updates"]
        if ack:
            self.ack(u)
        return u

    def ack(self, u):
        self.send(update_acks={"acks": [{"key": u["key"], "uuid": u["uuid"]}]})

    def outcome(self, key):
        """Take updates of this attempt until a terminal one."""
        while True:
            u = self.update()
            if u["key"] == key and u["state"] in ("FINISHED", "FAILED", "KILLED", "LOST"):
                return u

    def output(self, key, follow=True):
        """stdout and stderr of an attempt, by a stream."""
        stream = uuid.uuid4().int & (1 << 62) - 1
        out = {1: b"", 2: b""}
        self.send(stream_open={"stream": stream, "key": key, "follow": follow})
        while True:
            connection, message = self.inbox.get(timeout=30)
            if "stream_data" in message:
                d = message["stream_data"]
                out[d["fd"]] += d["data"]
                self.send(stream_ack={"stream": stream, "bytes": len(d["data"])})
            elif "stream_close" in message:
                return out[1], out[2], message["stream_close"].get("error")
            elif "updates" in message:
                for u in message["updates"]["updates"]:
                    self.ack(u)

    def close(self):
        self.listener.close()
        if self.connection is not None:
            self.connection.close()
