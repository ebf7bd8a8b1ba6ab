# SPDX-License-Identifier: Apache-2.0
"""What tests need that hand a data directory from one server to another."""
import re
import shutil

import wire
from load import Pipe
from wire import text

MISMATCH = {"apache": ("Digests are not matching", "First digest mismatch", "of snapshot digest does not exist"),
            "corral": ("differs from the digest",)}
BATCH = 64


def hand_over(old, new):
    shutil.copytree(old.dir / "data" / "version-2", new.dir / "data" / "version-2")


def no_digest_mismatch(server):
    log = server.log()
    for words in MISMATCH[server.name]:
        assert words not in log, log[-3000:]
    assert "zk_digest_mismatches_count\t0\n" in server.four_letters("mntr")


def dump(server):
    """{path: (data, ACL, Stat)} of all nodes, by one who may read those of load.py."""
    nodes, level = {}, ["/"]
    with Pipe(server.port) as pipe:
        while level:
            below = []
            for at in range(0, len(level), BATCH):
                for path in level[at:at + BATCH]:
                    pipe.ask(wire.GET, text(path) + b"\0")
                    pipe.ask(wire.GET_ACL, text(path))
                    pipe.ask(wire.CHILDREN, text(path) + b"\0")
                for path in level[at:at + BATCH]:
                    (error, data), (_, acl), (_, children) = pipe.answer(), pipe.answer(), pipe.answer()
                    assert error == 0, (path, error)
                    entries = [(perms, scheme.decode(), ident.decode()) for perms, scheme, ident in acl_of(acl)]
                    nodes[path] = (data.buf(), entries, data.stat())
                    below += [f"{path.rstrip('/')}/{name.decode()}" for name in children.texts()]
            level = below
        pipe.call(wire.CLOSE, b"")
    return nodes


def acl_of(reader):
    return reader.acls()


def below(nodes, root):
    """What Session.check() of load.py compares."""
    return {path: (data, acl, s["version"], s["aversion"], s["ephemeralOwner"], s["dataLength"], s["numChildren"], s["cversion"])
            for path, (data, acl, s) in nodes.items() if path == root or path.startswith(root + "/")}


def sessions(server):
    """{session: its ephemeral nodes}, as the four letters `dump` have them."""
    told = server.four_letters("dump").partition("\nConnections dump")[0]
    head, _, tail = told.partition("ephemeral nodes dump")
    found = {int(word, 16): [] for word in re.findall(r"^\t?(0x[0-9a-f]+)", head, re.M)}
    for session, paths in re.findall(r"^(0x[0-9a-f]+):\n((?:\t.*\n?)*)", tail, re.M):
        found[int(session, 16)] = sorted(paths.split())
    return found
