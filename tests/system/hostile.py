# SPDX-License-Identifier: Apache-2.0
"""What attacks share: a daemon that is watched while it is attacked, and the raw bytes to do it with."""
import contextlib
import os
import re
import socket
import ssl
import struct
import time
from pathlib import Path

from conftest import DEADLINE_S, SLOW, alive, until

RSS_MIB = 48 * SLOW  # what an attack may leave behind; a sanitizer keeps freed memory for a while
LOG_PER_SECOND = 20
OWN_FDS = 3  # a daemon's own files come and go: the log's next one, a snapshot's pipe
LENGTHS = {"minus one": 0xFFFFFFFF, "2 GB": 0x7FFFFFFF, "2 GB and a bit": 0x80000000}
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion")
ENV = os.environ | {"ASAN_OPTIONS": "quarantine_size_mb=4:" + os.environ.get("ASAN_OPTIONS", ""),
                    "UBSAN_OPTIONS": "print_stacktrace=1"}


class Watched:
    """A daemon while it is attacked: its process, its log, what it holds."""

    def __init__(self, pid, log):
        self.pid, self.log = pid, Path(log)
        self.mark = self.lines = 0

    def text(self):
        with self.log.open("rb") as f:
            f.seek(self.mark)
            return f.read().decode(errors="replace")

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss_mib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1]) >> 10

    @contextlib.contextmanager
    def unharmed(self, client=lambda: None, says=None, lines=60, rss_mib=RSS_MIB):
        """Around an attack. Afterwards: the same process, no descriptor and no memory more, a log of at most `lines`
        lines in which `says` is found, and client() is served."""
        client()
        fds, rss = self.fds(), self.rss_mib()
        self.mark = self.log.stat().st_size
        yield self
        assert alive(self.pid), self.text()
        client()
        until(lambda: self.fds() <= fds + OWN_FDS, lambda: f"descriptors are {fds} again, not {self.fds()}\n{self.text()}")
        if says is not None:
            until(lambda: re.search(says, self.text()), lambda: f"the log says {says!r}:\n{self.text()}")
        text = self.text()
        self.lines += text.count("\n")
        if self.lines > LOG_PER_SECOND // 2:
            time.sleep(1.1)  # a second has a budget of lines about peers: the next attack finds it whole
            self.lines = 0
        assert not SANITIZER.search(text), text
        assert text.count("\n") <= lines, text
        until(lambda: self.rss_mib() <= rss + rss_mib, lambda: f"memory: {rss} MiB before, {self.rss_mib()} MiB after")


def connect(port, context=None, host="127.0.0.1", source=None, timeout=DEADLINE_S):
    s = socket.create_connection((host, port), timeout=timeout, source_address=(source, 0) if source else None)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(s) if context else s


def read_to_end(s):
    """What comes until the peer closes or resets; fails if it does not."""
    got = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError, BrokenPipeError):
        while chunk := s.recv(65536):
            got += chunk
    return got


def answer_of(port, sent, context=None):
    """Send bytes, and return what comes until the peer closes."""
    with connect(port, context) as s:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            s.sendall(sent)
        return read_to_end(s)


def frame(payload):
    return struct.pack(">I", len(payload)) + payload


def tls_context(ca=None, cert=None, key=None):
    """A client that takes any server, or any of this CA, and shows this certificate or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        context.load_verify_locations(ca)
    if cert:
        context.load_cert_chain(cert, key)
    return context
