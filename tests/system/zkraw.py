# SPDX-License-Identifier: Apache-2.0
"""ZooKeeper's client protocol byte by byte, and a zkserver of one's own."""
import re
import signal
import struct
import subprocess

from certificates import make_tls, write_store
from conftest import DEADLINE_S, until
from hostile import ENV, Watched, answer_of, connect, frame, tls_context
from waiting import program

CREATE, DELETE, EXISTS, GET, SET, PING, MULTI, CREATE2, AUTH, SET_WATCHES, CLOSE = 1, 2, 3, 4, 5, 11, 14, 15, 100, 101, -11
WORLD = struct.pack(">iii5si6s", 1, 31, 5, b"world", 6, b"anyone")
FRAME_MAX = 0xFFFFF  # jute.maxbuffer's default


def text(value):
    return struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value


def connect_request(seen=0, timeout_ms=10000, session=0, password=bytes(16), tail=b"\0"):
    return struct.pack(">iqiq", 0, seen, timeout_ms, session) + text(password) + tail


def request(xid, op, body=b""):
    return frame(struct.pack(">ii", xid, op) + body)


def exactly(s, size):
    got = b""
    while len(got) < size:
        more = s.recv(size - len(got))
        if not more:
            raise ConnectionResetError("closed")
        got += more
    return got


def receive(s):
    return exactly(s, struct.unpack(">I", exactly(s, 4))[0])


def receive_error(s):
    """(xid, error) of the next reply."""
    xid, _, error = struct.unpack(">iqi", receive(s)[:16])
    return xid, error


def session(port, context=None, **more):
    """An open session on a socket."""
    s = connect(port, context)
    s.sendall(frame(connect_request(**more)))
    assert struct.unpack(">iiq", receive(s)[:16])[2] != 0
    return s


class Zkserver(Watched):
    """zkserver in a directory, with a plain and a TLS port."""

    def __init__(self, directory, more="", data=None, ready=True, prefix=()):
        self.directory, self.data = directory, data or directory / "data"
        self.config = directory / "zoo.cfg"
        self.tls = directory / "tls"
        self.prefix = prefix
        if not self.tls.exists():
            make_tls(self.tls, "test", ("zkserver", "zk", "--ip", "127.0.0.1"), ("user", "eve"), ("master", "m"))
            self.show("zkserver-zk")
        self.config.write_text(
            f"tickTime=1000\ndataDir={self.data}\nclientPort=0\nclientPortAddress=127.0.0.1\nsecureClientPort=0\n"
            "admin.enableServer=false\n"
            f"secureClientPortAddress=127.0.0.1\nssl.keyStore.location={self.tls}/store.pem\n"
            f"ssl.trustStore.location={self.tls}/ca.pem\n4lw.commands.whitelist=*\npreAllocSize=64\n{more}")
        super().__init__(0, directory / "log")
        self.start(ready)

    def show(self, who):
        """This certificate, from the next start or SIGHUP on."""
        write_store(self.tls / "store.pem", self.tls, who)

    def start(self, ready=True):
        (self.data / "ports").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.mark = log.tell()
            self.process = subprocess.Popen([*self.prefix, program("zkserver"), "run", "--config", self.config], stderr=log,
                                            env=ENV)
        self.pid = self.process.pid
        if ready:
            self.wait_ready()

    def wait_ready(self):
        until(lambda: "ready: client port" in self.text() or self.process.poll() is not None, self.text)
        assert self.process.poll() is None, self.text()
        self.port, self.secure = map(int, re.search(r"client port (\d+), secure port (\d+)", self.text()).groups())

    def stop(self, signo=signal.SIGTERM):
        self.process.send_signal(signo)
        return self.process.wait(DEADLINE_S)

    def context(self, who="user-eve"):
        return tls_context(self.tls / "ca.pem", self.tls / f"{who}.pem", self.tls / f"{who}-key.pem")

    def word(self, word):
        """The answer to a four-letter word."""
        return answer_of(self.port, word).decode()

    def serves(self):
        """A client with good manners is served, on both ports."""
        for port, context in (self.port, None), (self.secure, self.context()):
            with session(port, context) as s:
                s.sendall(request(1, GET, text(b"/zookeeper") + b"\0") + request(2, CLOSE))
                assert receive_error(s) == (1, 0)
                assert receive_error(s) == (2, 0)
