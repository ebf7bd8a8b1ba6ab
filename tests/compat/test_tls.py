# SPDX-License-Identifier: Apache-2.0
"""The program zk over mutual TLS, against Apache ZooKeeper's secure port and zkserver's, with keys made by openssl."""
import socket
import ssl
import subprocess

import pytest

from conftest import Command
from servers import KINDS, free_port, wait_until
from wire import CLOSE, PING, SECONDS, XID_PING, i32, i64, text

SUBJECT = {"server": "/O=demo/CN=zkserver", "client": "/O=demo/CN=operator", "ca": "/O=demo/CN=demo CA",
           "stranger-ca": "/CN=stranger CA", "stranger": "/O=demo/CN=operator"}


def openssl(*words, cwd):
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True, timeout=60)


def make_ca(path, name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            SUBJECT[name], "-keyout", f"{name}.key", "-out", f"{name}.pem", cwd=path)


def make_pair(path, name, ca):
    """NAME.key, NAME.pem, and both in NAME-both.pem, the form that Apache's PEM stores have."""
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", SUBJECT[name], "-keyout",
            f"{name}.key", "-out", f"{name}.csr", cwd=path)
    (path / "ext").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-days", "2", "-extfile",
            "ext", "-out", f"{name}.pem", cwd=path)
    (path / f"{name}-both.pem").write_text((path / f"{name}.key").read_text() + (path / f"{name}.pem").read_text())


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys")
    for ca, names in (("ca", ("server", "client")), ("stranger-ca", ("stranger",))):
        make_ca(path, ca)
        for name in names:
            make_pair(path, name, ca)
    for key in path.glob("*.key"):
        key.chmod(0o600)
    for both in path.glob("*-both.pem"):
        both.chmod(0o600)
    return path


@pytest.fixture(scope="module", params=sorted(KINDS))
def secure(request, keys):
    """A server with both ports; .secure_port is the one with TLS."""
    one = KINDS[request.param]()
    one.secure_port = free_port()
    with open(one.config, "a", encoding="utf-8") as config:
        config.write(f"secureClientPort={one.secure_port}\nsecureClientPortAddress=127.0.0.1\n"
                     f"ssl.keyStore.location={keys}/server-both.pem\nssl.trustStore.location={keys}/ca.pem\n")
        if one.name == "apache":
            config.write("serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n"
                         "authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider\n")
    try:
        yield one.start()
    finally:
        one.remove()


def command(secure, keys, name, ca="ca"):
    words = ("--ca", f"{keys}/{ca}.pem", "--cert", f"{keys}/{name}.pem", "--key", f"{keys}/{name}.key")
    zk = Command(f"127.0.0.1:{secure.secure_port}")
    return lambda *verb: zk.run(*words, *verb)


def test_a_client_with_a_certificate_gets_in(secure, keys):
    zk = command(secure, keys, "client")
    wait_until(lambda: zk("sync").returncode == 0, 20, "the secure port serves")
    made = zk("create", "/tls", "over TLS")
    assert (made.returncode, made.stdout) == (0, b"/tls\n"), made
    assert zk("get", "/tls").stdout == b"over TLS"
    assert Command(secure.hosts)("get", "/tls") == "over TLS"


def test_strangers_are_turned_away_on_either_side(secure, keys):
    for name, ca in (("stranger", "ca"), ("client", "stranger-ca")):
        turned_away = command(secure, keys, name, ca)("--timeout", "1h", "get", "/tls")
        assert turned_away.returncode == 69 and b"cannot reach" in turned_away.stderr, (name, ca, turned_away)
        assert b"TLS handshake failed" in turned_away.stderr and b"--cert" in turned_away.stderr, turned_away


def test_a_node_can_be_kept_for_the_holders_of_a_certificate(secure, keys):
    zk = command(secure, keys, "client")
    made = zk("create", "-a", "x509:CN=operator,O=demo:cdrwa", "/kept", "x")
    assert made.returncode == 0, made
    assert zk("get", "/kept").stdout == b"x"
    assert "permission" in Command(secure.hosts).fails(77, "get", "/kept")


def test_requests_of_many_records_that_come_at_once_are_all_answered(secure, keys):
    pings, context = 200, ssl.create_default_context(cafile=keys / "ca.pem")
    context.load_cert_chain(keys / "client.pem", keys / "client.key")
    frames = [i32(0) + i64(0) + i32(10000) + i64(0) + text(bytes(16)) + b"\0"]
    frames += [i32(XID_PING) + i32(PING)] * pings + [i32(1) + i32(CLOSE)]
    got = b""
    with socket.create_connection(("127.0.0.1", secure.secure_port), timeout=SECONDS) as raw:
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        line = context.wrap_bio(coming, going, server_hostname="127.0.0.1")

        def until_done(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    raw.sendall(going.read())
                    coming.write(raw.recv(65536))
        until_done(line.do_handshake)
        for frame in frames:
            line.write(i32(len(frame)) + frame)
        while len(got) < 41 + 20 * (pings + 1):
            got += until_done(line.read)
    replies = [got[at + 4:at + 8] for at in range(41, len(got), 20)]
    assert replies == [i32(XID_PING)] * pings + [i32(1)]
