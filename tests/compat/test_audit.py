# SPDX-License-Identifier: Apache-2.0
"""The audit trail of Apache's server and of zkserver: the same requests leave the same lines."""
import re
import signal

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

from servers import KINDS, wait_until

PROPERTIES = {"zookeeper.audit.enable": "true"}  # also a line of zoo.cfg, for zkserver
LINE = re.compile(r"audit\.Slf4jAuditLogger(?::| -) (.*)")


def attempt(call, *args, **words):
    try:
        call(*args, **words)
    except KazooException:
        pass


def work(hosts):
    """Every operation that is audited, done and refused."""
    zk = KazooClient(hosts, timeout=10)
    zk.start()
    zk.add_auth("digest", "ann:secret")
    attempt(zk.create, "/a", b"")
    attempt(zk.create, "/a", b"")
    attempt(zk.create, "/a/s-", b"", sequence=True)
    attempt(zk.create, "/a/e", b"", ephemeral=True)
    attempt(zk.create, "/a/es-", b"", ephemeral=True, sequence=True)
    attempt(zk.create, "/nowhere/x", b"")
    attempt(zk.set, "/a", b"x")
    attempt(zk.set, "/a", b"x", version=7)
    attempt(zk.set_acls, "/a/s-0000000000", [make_digest_acl("bob", "pw", read=True, admin=True)] + OPEN_ACL_UNSAFE)
    attempt(zk.set_acls, "/nowhere", OPEN_ACL_UNSAFE)
    attempt(zk.delete, "/a/s-0000000000")
    attempt(zk.delete, "/nowhere")
    good, bad = zk.transaction(), zk.transaction()
    good.create("/m", b"")
    good.create("/m/s-", b"", sequence=True)
    good.set_data("/m", b"1")
    good.check("/m", 1)
    good.delete("/a/e")
    good.commit()
    bad.create("/n", b"")
    bad.delete("/nowhere")
    bad.commit()
    zk.get("/a")
    zk.stop()
    zk.close()


def lines(text):
    """Without session ids; users are a set."""
    found = [re.sub(r"0x[0-9a-f]+", "ID", line) for line in LINE.findall(text)]
    return [re.sub(r"user=(\S+)", lambda m: "user=" + ",".join(sorted(m[1].split(","))), line) for line in found]


@pytest.fixture
def trails(tmp_path):
    """What each kind wrote, from its start to its end."""
    made = []
    try:
        for name in ("apache", "corral"):
            one = KINDS[name](f"audit.file={tmp_path}/{name}.log\n", PROPERTIES)
            made.append(one)
            one.start()
            work(one.hosts)
            one.stop()
        yield lines(made[0].log()), lines((tmp_path / "corral.log").read_text())
    finally:
        for one in made:
            one.remove()


def test_the_same_requests_leave_the_same_lines(trails):
    apache, corral = trails
    assert len(corral) >= 20
    assert corral == apache


def test_a_renamed_trail_goes_on_in_a_new_file(tmp_path):
    trail, old = tmp_path / "audit.log", tmp_path / "audit.log.1"
    one = KINDS["corral"](f"audit.file={trail}\n", PROPERTIES)
    try:
        one.start()
        work(one.hosts)
        trail.rename(old)
        one.process.send_signal(signal.SIGHUP)
        wait_until(trail.exists, 10, "the new trail")
        before = old.read_text()
        work(one.hosts)
        assert old.read_text() == before
        assert "operation=setData\tznode=/a\tresult=failure" in trail.read_text()
        assert trail.stat().st_mode & 0o777 == 0o600
    finally:
        one.remove()


def test_without_a_file_the_trail_is_in_the_log(tmp_path):
    one = KINDS["corral"]("", PROPERTIES)
    try:
        one.start()
        work(one.hosts)
        assert re.search(r"audit: session=0x[0-9a-f]+ user=127\.0\.0\.1,ann ip=127\.0\.0\.1 operation=create znode=/a "
                         r"znode_type=persistent result=failure", one.log())
    finally:
        one.remove()
