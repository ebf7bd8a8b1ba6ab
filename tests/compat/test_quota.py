# SPDX-License-Identifier: Apache-2.0
"""Quotas: Apache's own command line against both servers, the same requests to both, and data that changes hands."""
import shutil
import subprocess

import pytest

import wire
from servers import JAVA, KINDS
from wire import Connection, acls, i32, text

COMMAND_SECONDS = 60
ENFORCED = {"zookeeper.enforceQuota": "true"}
QUOTA_EXCEEDED = -125


@pytest.fixture(scope="module")
def enforcing():
    made = [KINDS[name](properties=ENFORCED) for name in ("apache", "corral")]
    try:
        yield [one.start() for one in made]
    finally:
        for one in made:
            one.remove()


def create(c, path, data=b""):
    return c.call(wire.CREATE, text(path) + text(data) + acls(wire.WORLD) + i32(0))[1][1:3]


def multi(c, *parts):
    body = b"".join(i32(op) + b"\0" + i32(-1) + rest for op, rest in parts)
    _, (_, zxid, err, r) = c.call(wire.MULTI, body + i32(-1) + b"\1" + i32(-1))
    return zxid, err, r.data[:4] == i32(-1)  # a failed multi begins with an error


def script(c):
    """What each request answers: zxids, errors, statistics."""
    def put(path, data, version=-1):
        _, (_, zxid, err, _) = c.call(wire.SET, text(path) + text(data) + i32(version))
        return zxid, err

    def drop(path):
        return c.call(wire.DELETE, text(path) + i32(-1))[1][1:3]

    def stats(path):
        _, (_, _, err, r) = c.call(wire.GET, text(f"/zookeeper/quota{path}/zookeeper_stats") + b"\1")
        if err:
            return err
        data, stat = r.buf(), r.stat()
        return data, {k: v for k, v in stat.items() if k not in ("ctime", "mtime")}

    yield create(c, "/q", b"12345")
    yield create(c, "/q/a", b"123")
    yield create(c, "/zookeeper/quota/q")
    yield create(c, "/zookeeper/quota/q/zookeeper_limits", b"count=4,bytes=-1=;byteHardLimit=20;countHardLimit=4")
    yield create(c, "/q/between")
    yield create(c, "/zookeeper/quota/q/zookeeper_stats", b"count=0,bytes=0")
    yield stats("/q")
    yield create(c, "/q/large", b"x" * 13)
    yield create(c, "/q/fits", b"x" * 12)
    yield create(c, "/q/more")
    yield create(c, "/q")
    yield create(c, "/q/none/x")
    yield put("/q/fits", b"x" * 13)
    yield put("/q/fits", b"x" * 13, 77)
    yield put("/q/fits", b"x" * 11)
    yield stats("/q")
    yield put("/q/fits", None)
    yield stats("/q")
    yield multi(c, (wire.SET, text("/q/fits") + text(b"x" * 6) + i32(-1)),
                (wire.SET, text("/q/a") + text(b"x" * 6) + i32(-1)))
    yield stats("/q")
    new = [(wire.CREATE, text(f"/q/new{i}") + text(b"") + acls(wire.WORLD) + i32(0)) for i in range(3)]
    yield multi(c, (wire.DELETE, text("/q/fits") + i32(-1)), new[0])
    yield drop("/q/fits")
    yield stats("/q")
    yield multi(c, *new)
    yield stats("/q")
    yield put("/zookeeper/quota/q/zookeeper_limits", b"count=4,bytes=-1")
    yield create(c, "/q/soft", b"123")
    yield stats("/q")
    yield put("/zookeeper/quota/q/zookeeper_stats", b"count=1,bytes=1")
    yield stats("/q")
    yield create(c, "/q/soft2", b"123")
    yield stats("/q")
    yield create(c, "/zookeeper/quota/q/a")
    yield create(c, "/zookeeper/quota/q/a/zookeeper_limits", b"count=1,bytes=1")
    yield create(c, "/q/a/deep", b"123")
    yield stats("/q")
    yield create(c, "/zookeeper/quota/q/a/zookeeper_stats", b"")
    yield stats("/q/a")
    yield create(c, "/q/a/deep2", b"123")
    yield stats("/q/a")
    yield drop("/zookeeper/quota/q/a/zookeeper_limits")
    yield create(c, "/q/a/deep3", b"123")
    yield stats("/q/a"), stats("/q")


def test_the_same_requests_are_counted_and_refused_alike(enforcing):
    with Connection(enforcing[0].port) as a, Connection(enforcing[1].port) as b:
        starts = [create(c, "/start")[0] for c in (a, b)]
        both = [list(script(c)) for c in (a, b)]
        assert starts[0] == starts[1]
        for step, (apache, corral) in enumerate(zip(*both)):
            assert corral == apache, step
        assert QUOTA_EXCEEDED in [answer[1] for answer in both[1]]
        for c in (a, b):
            c.call(wire.CLOSE, b"")


def zk_cli(server, *words):
    """Apache's zkCli; its lines on standard output that are no chatter."""
    done = subprocess.run(JAVA + ["org.apache.zookeeper.ZooKeeperMain", "-server", server.hosts, *words],
                          capture_output=True, timeout=COMMAND_SECONDS, check=False)
    lines = done.stdout.decode().splitlines() + done.stderr.decode().splitlines()
    return done.returncode, [line for line in lines if "uota" in line or "limit" in line or "count" in line]


def test_apaches_command_line_sets_lists_and_deletes_quotas(enforcing):
    script = (("create", "/cli", "data"), ("create", "/cli/kid", "data"), ("setquota", "-n", "5", "/cli"),
              ("setquota", "-b", "100", "/cli"), ("setquota", "-N", "3", "/cli"), ("setquota", "-B", "50", "/cli"),
              ("listquota", "/cli"), ("setquota", "-n", "5", "/cli/kid"), ("create", "/cli/kid2"), ("create", "/cli/kid3"),
              ("listquota", "/cli"), ("delquota", "-N", "/cli"), ("create", "/cli/kid3"), ("listquota", "/cli"),
              ("delquota", "/cli"), ("listquota", "/cli"))
    seen = []
    for words in script:
        apache, corral = (zk_cli(server, *words) for server in enforcing)
        seen.append(corral)
        assert corral == apache, words
    assert [status for status, _ in seen] == [0] * 7 + [1, 0, 1] + [0] * 6
    assert "Output quota for /cli count=5,bytes=100=;byteHardLimit=50;countHardLimit=3" in seen[6][1]


@pytest.mark.parametrize("kinds", [("apache", "corral"), ("corral", "apache")], ids="-to-".join)
def test_counts_go_on_under_the_other_server(kinds):
    old, new = (KINDS[kind](properties=ENFORCED) for kind in kinds)
    try:
        old.start()
        with Connection(old.port) as c:
            create(c, "/q", b"12345")
            create(c, "/zookeeper/quota/q")
            create(c, "/zookeeper/quota/q/zookeeper_limits", b"count=2,bytes=-1=;byteHardLimit=20;countHardLimit=3")
            create(c, "/zookeeper/quota/q/zookeeper_stats", b"count=0,bytes=0")
            create(c, "/q/a", b"123")
        old.stop()
        shutil.copytree(old.dir / "data" / "version-2", new.dir / "data" / "version-2")
        new.start()
        with Connection(new.port) as c:
            path = text("/zookeeper/quota/q/zookeeper_stats")
            assert c.call(wire.GET, path + b"\0")[1][3].buf() == b"count=2,bytes=8"
            assert create(c, "/q/b")[1] == 0
            assert create(c, "/q/c")[1] == QUOTA_EXCEEDED
            assert c.call(wire.GET, path + b"\0")[1][3].buf() == b"count=3,bytes=8"
        assert "not matching" not in new.log() and "differs from the digest" not in new.log()
    finally:
        old.remove()
        new.remove()
