# SPDX-License-Identifier: Apache-2.0
"""Work for a server by one session, whose every request is known beforehand, so that after a kill it can be said what
must be there: what was answered, and of what was still on its way the first few, in order, or none."""
import threading

from kazoo.security import make_digest_acl_credential

import wire
from wire import Connection, Reader, acls, i32, text

WINDOW = 16  # requests on their way
TIMEOUT_MS = 120000  # no session ends by itself while a test looks
USER = "user:password"
DIGEST = ("digest", make_digest_acl_credential(*USER.split(":")))
ACLS = [wire.WORLD] * 12 + [[(31, *DIGEST)], [(31, "auth", "")], [(31, "ip", "127.0.0.1"), (1, *DIGEST)],
                            [(1, "world", "anyone"), (31, *DIGEST)], [(31, *DIGEST), (5, "digest", "someone:else=")]]
BAD_VERSION = -103
EPHEMERAL, SEQUENTIAL = 1, 2
MULTI_END = i32(-1) + b"\1" + i32(-1)


class Node:
    def __init__(self, data, acl, owner):
        self.data, self.acl, self.owner = data, acl, owner
        self.version = self.aversion = self.made = self.removed = 0

    def seen(self):
        """As a dump() shows it."""
        return (self.data, self.acl, self.version, self.aversion, self.owner, len(self.data), self.made - self.removed,
                self.made + self.removed)


def parent_of(path):
    return path.rpartition("/")[0]


class Model:
    """The nodes below one root."""

    def __init__(self):
        self.nodes = {}

    def apply(self, what, path, *more):
        if what == "create":
            data, acl, owner = more
            self.nodes[path] = Node(data, acl, owner)
            if parent_of(path) in self.nodes:
                self.nodes[parent_of(path)].made += 1
        elif what == "delete":
            del self.nodes[path]
            self.nodes[parent_of(path)].removed += 1
        elif what == "set":
            self.nodes[path].data = more[0]
            self.nodes[path].version += 1
        elif what == "acl":
            self.nodes[path].acl = more[0]
            self.nodes[path].aversion += 1
        elif what == "close":
            for each in [p for p, node in self.nodes.items() if node.owner == more[0]]:
                self.apply("delete", each)

    def seen(self):
        return {path: node.seen() for path, node in self.nodes.items()}


class Pipe(Connection):
    """A connection that shows who it is, and on which several requests may be on their way."""

    def __init__(self, port, **more):
        super().__init__(port, timeout_ms=TIMEOUT_MS, **more)
        self.stream = self.socket.makefile("rb")
        if self.welcome is not None:
            self.call(wire.AUTH, i32(0) + text("digest") + text(USER), xid=wire.XID_AUTH)

    def read(self, count):
        if not hasattr(self, "stream"):
            return super().read(count)
        try:
            data = self.stream.read(count)
        except OSError:
            return None
        return data if len(data) == count else None

    def ask(self, op, body):
        self.send(i32(next(self.xids)) + i32(op) + body)

    def answer(self):
        """(error, Reader) of the next reply; None when the server is gone."""
        frame = self.receive()
        if frame is None:
            return None
        r = Reader(frame)
        r.i32(), r.i64()
        return r.i32(), r


class Planner:
    """Chooses requests that make sense in the state that the ones before will have left."""

    def __init__(self, rng, root):
        self.rng, self.root = rng, root
        self.model = Model()
        self.owner = 0

    def data(self):
        size = self.rng.choice((0, 1, 10, 100, 100, 1000))
        if self.rng.random() < 0.01:
            size = self.rng.randrange(100000, 600000)
        return (self.rng.randbytes(50) * (size // 50 + 1))[:size]

    def acl(self):
        """What is sent, and what the server makes of it for us."""
        sent = self.rng.choice(ACLS)
        return sent, [(31, *DIGEST)] if sent[0][1] == "auth" else sent

    def any(self, wanted):
        return self.rng.choice([path for path, node in self.model.nodes.items() if wanted(node, path)] or [None])

    def create(self):
        parent = self.any(lambda node, path: not node.owner and path.count("/") < 5)
        flags = self.rng.choice((0, 0, 0, EPHEMERAL, SEQUENTIAL, EPHEMERAL | SEQUENTIAL))
        name = self.rng.choice(("a", "b", "c", "d-", "Grüße")) + str(self.rng.randrange(30))
        path = f"{parent}/{name}"
        if flags & SEQUENTIAL:
            path = f"{parent}/{name}-"
        sent, kept = self.acl()
        data = self.data()
        body = text(path) + text(data) + acls(sent) + i32(flags)
        if flags & SEQUENTIAL:
            path += f"{self.model.nodes[parent].made:010}"
        elif path in self.model.nodes:
            return self.set()
        return (self.rng.choice((wire.CREATE, wire.CREATE2)), body,
                ("create", path, data, kept, self.owner if flags & EPHEMERAL else 0))

    def set(self):
        path, data = self.any(lambda node, path: True), self.data()
        version = self.rng.choice((-1, self.model.nodes[path].version))
        return wire.SET, text(path) + text(data) + i32(version), ("set", path, data)

    def delete(self):
        path = self.any(lambda node, path: node.made == node.removed and path != self.root)
        if path is None:
            return self.create()
        return wire.DELETE, text(path) + i32(self.rng.choice((-1, self.model.nodes[path].version))), ("delete", path)

    def set_acl(self):
        path = self.any(lambda node, path: True)
        sent, kept = self.acl()
        return wire.SET_ACL, text(path) + acls(sent) + i32(self.model.nodes[path].aversion), ("acl", path, kept)

    def step(self, *kinds):
        """One request, whose effect the model has from now on."""
        op, body, effect = self.rng.choice(kinds)()
        self.model.apply(*effect)
        return op, body, effect

    def check(self, wrong):
        path = self.any(lambda node, path: True)
        return i32(wire.CHECK) + b"\0" + i32(-1) + text(path) + i32(9999 if wrong else self.model.nodes[path].version)

    def multi(self):
        parts, effects = self.check(False), []
        for _ in range(self.rng.randrange(1, 6)):
            op, body, effect = self.step(self.create, self.create, self.set, self.delete)
            parts += i32(op) + b"\0" + i32(-1) + body
            effects.append(effect)
        return wire.MULTI, parts + self.check(False) + MULTI_END, effects, 0

    def failing(self):
        """Is answered with an error, and changes nothing."""
        path = self.any(lambda node, path: True)
        if self.rng.random() < 0.5:
            return wire.SET, text(path) + text("no") + i32(9999), [], BAD_VERSION
        create = i32(wire.CREATE) + b"\0" + i32(-1) + text(f"{self.root}/never-") + text("") + acls(wire.WORLD) + i32(SEQUENTIAL)
        return wire.MULTI, create + self.check(True) + MULTI_END, [], 0

    def request(self):
        """(op, body, effects, error)"""
        if not self.model.nodes:
            effect = ("create", self.root, b"", wire.WORLD, 0)
            self.model.apply(*effect)
            return wire.CREATE, text(self.root) + text(b"") + acls(wire.WORLD) + i32(0), [effect], 0
        kind = self.rng.random()
        if kind < 0.15:
            return self.multi()
        if kind < 0.2:
            return self.failing()
        op, body, effect = self.step(*[self.create] * 5, *[self.set] * 4, *[self.delete] * 4, self.set_acl)
        return op, body, [effect], 0

    def close(self):
        effect = ("close", "", self.owner)
        self.model.apply(*effect)
        return wire.CLOSE, b"", [effect], 0


class Session(threading.Thread):
    """Works below `root` until the server is gone."""

    def __init__(self, port, rng, root):
        super().__init__(daemon=True)
        self.port, self.rng, self.planner = port, rng, Planner(rng, root)
        self.sent = []  # (effects, error)
        self.answered = 0
        self.fault = None
        assert self.open(), "the server does not take a session"

    def open(self):
        """False: the server is gone."""
        self.pipe = Pipe(self.port)
        if self.pipe.welcome is None:
            return False
        self.id, self.password = self.pipe.session, self.pipe.password
        self.planner.owner = self.id
        return True

    def send(self, op, body, effects, error):
        self.sent.append((effects, error))
        self.pipe.ask(op, body)

    def take(self):
        """False: the server is gone."""
        answer = self.pipe.answer()
        if answer is None:
            return False
        effects, error = self.sent[self.answered]
        assert answer[0] == error, f"answer {self.answered}: error {answer[0]}, expected {error}: {effects!r:.300}"
        self.answered += 1
        return True

    def work(self):
        while True:
            self.send(*self.planner.request())
            if len(self.sent) - self.answered >= WINDOW and not self.take():
                return
            if self.rng.random() < 0.002 and not self.reopen():
                return

    def reopen(self):
        """Another session, with which the ephemeral nodes of the one before are gone."""
        while self.answered < len(self.sent):
            if not self.take():
                return False
        self.id = None  # nobody knows, from here to the answer
        self.send(*self.planner.close())
        if not self.take():
            return False
        return self.open()

    def run(self):
        try:
            self.work()
        except OSError:
            pass  # the server is gone
        except Exception as e:  # shown by check()
            self.fault = e

    def check(self, seen):
        """That the nodes below root are what the answers said, and perhaps what was sent after."""
        assert self.fault is None, self.fault
        model = Model()
        for effects, _ in self.sent[:self.answered]:
            for effect in effects:
                model.apply(*effect)
        answered = difference(model.seen(), seen)
        left = answered
        for effects, _ in self.sent[self.answered:]:
            if not left:
                break
            for effect in effects:
                model.apply(*effect)
            left = difference(model.seen(), seen)
        assert not left, f"{self.planner.root}: {len(self.sent)} sent, {self.answered} answered; after these: {answered!r:.2000}"


def difference(expected, seen):
    """{path: (expected, seen)} of what is not the same."""
    return {path: (expected.get(path), seen.get(path)) for path in expected.keys() | seen.keys()
            if expected.get(path) != seen.get(path)}
