# SPDX-License-Identifier: Apache-2.0
"""ZooKeeper's client protocol, byte by byte, for tests that compare what servers send."""
import itertools
import socket
import struct

CREATE, DELETE, EXISTS, GET, SET, GET_ACL, SET_ACL, CHILDREN, SYNC = 1, 2, 3, 4, 5, 6, 7, 8, 9
PING, CHILDREN2, CHECK, MULTI, CREATE2, AUTH, SET_WATCHES, CLOSE = 11, 12, 13, 14, 15, 100, 101, -11
MULTI_READ, EPHEMERALS, COUNT, WHO_AM_I = 22, 103, 104, 107
CREATE_CONTAINER, DELETE_CONTAINER, CREATE_TTL, RECONFIG = 19, 20, 21, 16
CHECK_WATCHES, REMOVE_WATCHES, SET_WATCHES2, ADD_WATCH = 17, 18, 105, 106
MARSHALLING, NOAUTH, NOWATCHER = -5, -102, -121
XID_EVENT, XID_PING, XID_AUTH, XID_SET_WATCHES = -1, -2, -4, -8
WORLD = [(31, "world", "anyone")]
SECONDS = 20


def i32(value):
    return struct.pack(">i", value)


def i64(value):
    return struct.pack(">q", value)


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return i32(-1) if data is None else i32(len(data)) + data


def acls(entries):
    if entries is None:
        return i32(-1)
    return i32(len(entries)) + b"".join(i32(perms) + text(scheme) + text(ident) for perms, scheme, ident in entries)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert self.at + count <= len(self.data), "a record is cut short"
        self.at += count
        return self.data[self.at - count:self.at]

    def i32(self):
        return struct.unpack(">i", self.take(4))[0]

    def i64(self):
        return struct.unpack(">q", self.take(8))[0]

    def flag(self):
        return self.take(1) != b"\0"

    def buf(self):
        count = self.i32()
        return None if count == -1 else bytes(self.take(count))

    def texts(self):
        count = self.i32()
        return None if count == -1 else [self.buf() for _ in range(count)]

    def stat(self):
        names = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "ephemeralOwner", "dataLength",
                 "numChildren", "pzxid")
        return dict(zip(names, struct.unpack(">qqqqiiiqiiq", self.take(68))))

    def acls(self):
        return [(self.i32(), self.buf(), self.buf()) for _ in range(self.i32())]

    def end(self):
        assert self.at == len(self.data), f"{len(self.data) - self.at} bytes too many"


class Line:
    """A connection without a session: frames out, frames in."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, frame):
        self.socket.sendall(i32(len(frame)) + frame)

    def read(self, count):
        data = b""
        while len(data) < count:
            try:
                more = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return None
            if not more:
                return None
            data += more
        return data

    def receive(self):
        """The next frame; None when the server has closed the connection."""
        head = self.read(4)
        return None if head is None else self.read(struct.unpack(">i", head)[0])


class Connection(Line):
    """One connection: requests are sent one at a time; events that arrive before a reply are kept with it."""

    def __init__(self, port, timeout_ms=10000, session=0, password=bytes(16), last_zxid=0, read_only=True):
        super().__init__(port)
        self.xids = itertools.count(1)
        self.send(i32(0) + i64(last_zxid) + i32(timeout_ms) + i64(session) + text(password) +
                  (b"\0" if read_only else b""))
        self.welcome = self.receive()
        self.timeout_ms = 0
        self.session = 0
        if self.welcome is not None:
            r = Reader(self.welcome)
            r.i32()
            self.timeout_ms, self.session, self.password = r.i32(), r.i64(), r.buf()

    def call(self, op, body, xid=None):
        """Send a request; the events before its reply, and the reply: (xid, zxid, err, Reader), None when closed."""
        self.send(i32(next(self.xids) if xid is None else xid) + i32(op) + body)
        events = []
        while True:
            frame = self.receive()
            if frame is None:
                return events, None
            r = Reader(frame)
            xid, zxid, err = r.i32(), r.i64(), r.i32()
            if xid != XID_EVENT:
                return events, (xid, zxid, err, r)
            events.append((r.i32(), r.i32(), r.buf()))
            r.end()

    def create(self, path, data, flags=0, acl=WORLD):
        _, reply = self.call(CREATE, text(path) + text(data) + acls(acl) + i32(flags))
        assert reply is not None and reply[2] == 0, reply
        return reply[3].buf().decode()

    def ping(self):
        return self.call(PING, b"", xid=XID_PING)
