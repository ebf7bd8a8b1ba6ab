# SPDX-License-Identifier: Apache-2.0
"""The program zk over mutual TLS, against Apache ZooKeeper's secure port and zkserver's, with keys made by openssl."""
import subprocess

import pytest

from conftest import Command
from servers import KINDS, free_port, wait_until

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
        turned_away = command(secure, keys, name, ca)("--timeout", "5s", "get", "/tls")
        assert turned_away.returncode == 69 and b"cannot reach" in turned_away.stderr, (name, ca, turned_away)


def test_a_node_can_be_kept_for_the_holders_of_a_certificate(secure, keys):
    zk = command(secure, keys, "client")
    made = zk("create", "-a", "x509:CN=operator,O=demo:cdrwa", "/kept", "x")
    assert made.returncode == 0, made
    assert zk("get", "/kept").stdout == b"x"
    assert "permission" in Command(secure.hosts).fails(77, "get", "/kept")
