# SPDX-License-Identifier: Apache-2.0
"""A seeded sequence of turns, valid and invalid, as bytes, so that each server gets the same. About a third of the
requests are meant to fail."""
import random

import wire
from wire import acls, i32, i64, text

SLOTS = 4
REQUESTS = 2000
BATCH = (1, 1, 2, 3, 5, 8, 13, 16)
EXPIRIES = 2
NAMES = ("a", "a", "b", "c-")
READ_ONLY = [(1, "world", "anyone")]
NOBODY = [(31, "digest", "nobody:x")]
ANN = "ann:x"
# Each lets everybody read: Apache's 3.8.0 tells of nodes that one may not read (zkserver(8)). Two nodes that never change,
# and are asked for without a watch, are for nobody.
GOOD_ACLS = ([(31, "auth", ""), (1, "world", "anyone")], [(31, "digest", ANN), (1, "world", "anyone")],
             [(31, "ip", "127.0.0.1")] * 2, READ_ONLY, [(31, "ip", "10.0.0.0/8"), (17, "world", "anyone")],
             [(16, "world", "anyone"), (1, "ip", "127.0.0.1")])
BAD_ACLS = ([], None, [(31, "nosuch", "x")], [(31, "world", "someone")], [(31, "ip", "1.2.3")], [(31, None, "x")])
TTL_MODES = (5, 6)
QUOTAS = ("count=2,bytes=-1=;byteHardLimit=40;countHardLimit=3", "count=1,bytes=5",
          "count=-1,bytes=-1=;byteHardLimit=100;countHardLimit=4")
UNKNOWN = (0, -1, 10, 23, 99, 108, 1000, -9)
BAD_AUTHS = (("nosuch", b"x"), ("world", b"anyone"), ("", b""), ("auth", b"x"))
GOOD_AUTHS = (("digest", b"ann:x"), ("digest", b"bob:y"), ("digest", b"nocolon"), ("ip", b"x"))
CREATES = (wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER, wire.CREATE_TTL)
WEIGHTS = {
    wire.CREATE: 10, wire.CREATE2: 6, wire.CREATE_CONTAINER: 3, wire.CREATE_TTL: 3, wire.DELETE: 10, wire.SET: 8,
    wire.EXISTS: 8, wire.GET: 8, wire.CHILDREN: 6, wire.CHILDREN2: 4, wire.GET_ACL: 3, wire.SET_ACL: 4, wire.SYNC: 2,
    wire.MULTI: 8, wire.MULTI_READ: 3, wire.EPHEMERALS: 2, wire.COUNT: 2, wire.WHO_AM_I: 1, wire.SET_WATCHES: 2,
    wire.SET_WATCHES2: 2, wire.ADD_WATCH: 6, wire.CHECK_WATCHES: 4, wire.REMOVE_WATCHES: 5, wire.RECONFIG: 1,
    wire.PING: 1}
PART_COUNTS = (0, 1, 1, 1, 2, 2, 2, 3, 5)
PARTS = CREATES[:2] * 3 + CREATES[2:] + (wire.DELETE,) * 4 + (wire.SET,) * 4 + (wire.CHECK,) * 3


def is_followed(op, body):
    """Whether Apache's server may look at later requests without what this one did, or with what it did not do (a multi
    with a mode that is none of its kind), as long as it is on its way to the log."""
    return op == wire.SET_ACL or (op == wire.MULTI and any(i32(mode) in body for mode in TTL_MODES))


def apart(batch):
    """The batch in parts, each of them sent when those before are done: what of it is a matter of luck there."""
    part, quota = [], False
    for op, body in batch:
        if part and (is_followed(*part[-1]) or (quota and b"/q" in body)):
            yield part
            part, quota = [], False
        part.append((op, body))
        quota |= b"/q" in body
    yield part


class Plan:
    """Turns: (what, slot, argument). The caller says after each what the servers' last zxid is."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.root = f"/t{seed}"
        self.quota = f"/zookeeper/quota{self.root}/q"
        self.zxid = 0
        self.fixtures = [f"{self.root}/{name}" for name in ("full", "full/kid", "ro", "ro/kid", "no", "no/kid", "e", "e/x",
                                                            "q", "q/a", "q/b", "g")]
        self.hidden = [f"{self.root}/no", f"{self.root}/ro/kid"]
        self.invalid = ["", "a", "//", f"{self.root}/a/", f"{self.root}//x", f"{self.root}/full/../x", f"{self.root}/./x",
                        f"{self.root}/\0", f"{self.root}/full/\x01", f"{self.root}/\ue000", f"{self.root}/none/x",
                        f"{self.root}/none"]
        self.system = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", f"{self.quota}/zookeeper_stats",
                       f"{self.quota}/zookeeper_limits", "/zookeeper/x"]

    def path(self):
        kind = self.rng.random()
        if kind < 0.62:
            depth = self.rng.choice((1, 1, 1, 2, 2, 3))
            path = "/".join([self.root] + [self.rng.choice(NAMES) for _ in range(depth)])
            return f"{path}{self.rng.randrange(4):010}" if kind < 0.03 else path
        if kind < 0.9:
            return self.rng.choice(self.fixtures)
        return self.rng.choice(self.invalid if kind < 0.97 else self.system)

    def watched(self):
        while (path := self.path()) in self.hidden:
            pass
        return path

    def data_of(self, path):
        if path.startswith(self.quota):  # what is no quota: zkserver(8)
            return text(self.rng.choice(QUOTAS))
        return text(self.rng.choice((None, b"", b"x", b"hello", bytes(self.rng.randrange(60)))))

    def version(self):
        return i32(self.rng.choice((-1, -1, -1, -1, 0, 0, 1, 7)))

    def acl(self):
        kind = self.rng.random()
        return acls(wire.WORLD if kind < 0.84 else self.rng.choice(GOOD_ACLS if kind < 0.93 else BAD_ACLS))

    def create(self, op):
        flags = self.rng.choice((0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 7, -1))
        if op == wire.CREATE_CONTAINER and self.rng.random() < 0.8:
            flags = 4
        ttl = b""
        if op == wire.CREATE_TTL:  # another mode without a TTL: zkserver(8)
            flags = self.rng.choice(TTL_MODES if self.rng.random() < 0.9 else (0, 1, 2, 3, 4))
            ttl = i64(self.rng.choice((3600000,) * 6 + (2 ** 40 - 1, 2 ** 40, 0)))
        path = self.path()
        return text(path) + self.data_of(path) + self.acl() + i32(flags) + ttl

    def parts(self, ops, alien):
        chosen = [self.rng.choice(ops) for _ in range(self.rng.choice(PART_COUNTS))]
        if chosen and self.rng.random() < 0.05:
            chosen[self.rng.randrange(len(chosen))] = alien
        return b"".join(i32(op) + b"\0" + i32(-1) + self.body(op) for op in chosen) + i32(-1) + b"\1" + i32(-1)

    def paths(self):
        paths = [text(self.watched()) for _ in range(self.rng.randrange(4))]
        return i32(len(paths)) + b"".join(paths)

    def body(self, op):
        rng = self.rng
        if op in CREATES:
            return self.create(op)
        if op in (wire.DELETE, wire.CHECK):
            return text(self.path()) + self.version()
        if op == wire.SET:
            path = self.path()
            return text(path) + self.data_of(path) + self.version()
        if op == wire.SET_ACL:
            path = self.path()
            return text(path) + (acls(wire.WORLD) if path in self.system else self.acl()) + self.version()
        if op in (wire.GET_ACL, wire.SYNC, wire.COUNT):
            return text(self.path())
        if op == wire.EPHEMERALS:
            return text(rng.choice((None, "", "/", self.root, f"{self.root}/a", self.path())))
        if op == wire.MULTI:
            return self.parts(PARTS, rng.choice((wire.GET, wire.SET_ACL, wire.MULTI, 0)))
        if op == wire.MULTI_READ:
            return self.parts((wire.GET, wire.CHILDREN), rng.choice((wire.EXISTS, wire.SET)))
        if op in (wire.SET_WATCHES, wire.SET_WATCHES2):
            lists = 3 if op == wire.SET_WATCHES else 5
            return i64(max(0, self.zxid - rng.randrange(60))) + b"".join(
                i32(-1) if rng.random() < 0.03 else self.paths() for _ in range(lists))
        if op == wire.ADD_WATCH:
            return text(self.watched()) + i32(rng.choice((0, 0, 0, 1, 1, 1, 2, -1)))
        if op in (wire.CHECK_WATCHES, wire.REMOVE_WATCHES):  # that no path has no watch is 3.8's: zkserver(8)
            return text(self.path() or "/") + i32(rng.choice((1, 1, 2, 2, 3, 3, 3, 0, 4)))
        if op == wire.RECONFIG:
            return text(rng.choice((None, "server.9=x"))) + text(None) + text(rng.choice((None, "server.1=x"))) + i64(-1)
        if op in (wire.WHO_AM_I, wire.PING):
            return b""
        path = self.path()
        return text(path) + bytes([path not in self.hidden and rng.random() < 0.7])

    def request(self):
        """One that may stand among others."""
        op = self.rng.choices(list(WEIGHTS), WEIGHTS.values())[0]
        body = self.body(op)
        if self.rng.random() < 0.03:
            body = body[:self.rng.randrange(len(body) + 1)]
        elif self.rng.random() < 0.01 and op not in (wire.MULTI, wire.MULTI_READ, wire.SET_WATCHES, wire.SET_WATCHES2):
            body = text(None) + body[4:] if body[:4] == i32(0) else text(None) + body[4 + len(self.root):]
        return op, body

    def fixture(self):
        def node(path, data=b"x", acl=wire.WORLD, flags=0):
            return wire.CREATE, text(path) + text(data) + acls(acl) + i32(flags)

        yield node(self.root)
        for path, acl in (("full", wire.WORLD), ("full/kid", wire.WORLD), ("ro", wire.WORLD), ("ro/kid", NOBODY),
                          ("no", wire.WORLD), ("no/kid", wire.WORLD), ("q", wire.WORLD), ("g", GOOD_ACLS[1])):
            yield node(f"{self.root}/{path}", acl=acl)
        for path, acl in (("ro", READ_ONLY), ("no", NOBODY)):
            yield wire.SET_ACL, text(f"{self.root}/{path}") + acls(acl) + i32(-1)
        yield node(f"/zookeeper/quota{self.root}")
        yield node(self.quota)
        yield node(f"{self.quota}/zookeeper_limits", b"count=2,bytes=-1=;byteHardLimit=40;countHardLimit=3")
        yield node(f"{self.quota}/zookeeper_stats", b"count=0,bytes=0")

    def lone(self, slot):
        """Requests that Apache's server answers outside of its pipeline, or that end a connection."""
        kind = self.rng.randrange(8)
        if kind < 3:
            scheme, auth = self.rng.choice(GOOD_AUTHS)
            return "batch", slot, [(wire.AUTH, i32(0) + text(scheme) + text(auth))]
        if kind == 3:
            scheme, auth = self.rng.choice(BAD_AUTHS)
            return "last", slot, [(wire.AUTH, i32(0) + text(scheme) + text(auth))]
        if kind == 4:
            return "last", slot, [(self.rng.choice(UNKNOWN), text(self.path()))]
        return "end", slot, [(wire.CLOSE, b"")]

    def turns(self):
        for slot in range(SLOTS):
            yield "new", slot, None
        yield "batch", 0, list(self.fixture())
        left, expiries = REQUESTS, set(self.rng.sample(range(10, 200), EXPIRIES))
        number = 0
        while left > 0:
            number += 1
            slot, kind = self.rng.randrange(SLOTS), self.rng.random()
            if number in expiries:
                yield "expire", slot, None
            elif kind < 0.88:
                batch = [self.request() for _ in range(min(left, self.rng.choice(BATCH)))]
                if self.rng.random() < 0.2:
                    batch[0] = wire.CREATE, text(f"{self.root}/e") + text("x") + acls(wire.WORLD) + i32(1)
                left -= len(batch)
                for part in apart(batch):
                    yield "batch", slot, part
            elif kind < 0.93:
                left -= 1
                yield self.lone(slot)
            elif kind < 0.98:
                yield "leave", slot, None
            else:
                yield self.rng.choice(("wrong", "future")), slot, None
        for slot in range(SLOTS):
            yield "end", slot, [(wire.CLOSE, b"")]
