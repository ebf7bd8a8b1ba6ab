# SPDX-License-Identifier: Apache-2.0
"""Who and what the TLS port of zkserver turns away: each costs its own connection only, and the server goes on."""
import os
import socket
import ssl
import subprocess

import pytest

from servers import wait_until
from test_tls_stores import SECONDS, context, gets_in, issue, keys, make_ca, openssl, pem, secure_server  # noqa: F401
from wire import Connection


@pytest.fixture(scope="module")
def port(keys):  # noqa: F811
    one = secure_server("corral", pem(keys))
    try:
        yield one.start()
    finally:
        log = (one.dir / "log").read_text()
        one.remove()
        assert "Sanitizer" not in log


@pytest.fixture(autouse=True)
def it_still_serves(port, keys):  # noqa: F811
    yield
    assert gets_in(port.secure_port, context(keys))


def certify(path, name, *words, extensions="subjectAltName=IP:127.0.0.1\nextendedKeyUsage=clientAuth\n", key="rsa:2048"):
    openssl(path, "req", "-newkey", key, "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (path / "ext").write_text(extensions)
    openssl(path, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile",
            "ext", "-out", f"{name}.pem", *(words or ("-days", "2")))


def shows(path, name):
    """A client that shows NAME's certificate whatever it is, and trusts what it must."""
    made = ssl.create_default_context(cafile=path / "ca.pem")
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.load_cert_chain(path / f"{name}.pem", path / f"{name}.key")
    return made


def said(port, words):
    return wait_until(lambda: words in (port.dir / "log").read_text(), SECONDS, f"the log says {words}")


def test_an_expired_certificate(port, keys):  # noqa: F811
    certify(keys, "expired", "-days", "-1")
    assert not gets_in(port.secure_port, shows(keys, "expired"))
    said(port, "was refused: certificate has expired")


def test_a_certificate_for_servers(port, keys):  # noqa: F811
    certify(keys, "serveronly", extensions="extendedKeyUsage=serverAuth\n")
    assert not gets_in(port.secure_port, shows(keys, "serveronly"))
    said(port, "was refused: unsuitable certificate purpose")


def test_a_certificate_that_signed_itself(port, keys):  # noqa: F811
    openssl(keys, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/O=demo/CN=root", "-keyout",
            "selfmade.key", "-out", "selfmade.pem")
    assert not gets_in(port.secure_port, shows(keys, "selfmade"))
    said(port, "was refused: self-signed certificate")


def test_a_certificate_by_another_ca_of_the_same_name(port, keys, tmp_path):  # noqa: F811
    make_ca(tmp_path, "ca")
    issue(tmp_path, "client", "/O=demo/CN=root")
    made = ssl.create_default_context(cafile=keys / "ca.pem")
    made.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    assert not gets_in(port.secure_port, made)


def test_a_key_of_1024_bits(port, keys):  # noqa: F811
    certify(keys, "short", key="rsa:1024")
    assert not gets_in(port.secure_port, shows(keys, "short"))
    said(port, "was refused: EE certificate key too weak")


def test_a_certificate_by_a_certificate_that_is_no_ca(port, keys):  # noqa: F811
    certify(keys, "notca")
    openssl(keys, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=under", "-keyout", "under.key", "-out", "under.csr")
    openssl(keys, "x509", "-req", "-in", "under.csr", "-CA", "notca.pem", "-CAkey", "notca.key", "-CAcreateserial", "-days",
            "2", "-out", "under1.pem")
    (keys / "under.pem").write_text((keys / "under1.pem").read_text() + (keys / "notca.pem").read_text())
    assert not gets_in(port.secure_port, shows(keys, "under"))
    said(port, "was refused: invalid CA certificate")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_an_old_protocol(port, keys, version):  # noqa: F811
    made = shows(keys, "client")
    made.minimum_version = made.maximum_version = version
    assert not gets_in(port.secure_port, made)


def test_a_suite_without_forward_secrecy(port, keys):  # noqa: F811
    made = context(keys)
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("AES128-GCM-SHA256")
    assert not gets_in(port.secure_port, made)


HELLO = b"\x16\x03\x01"


@pytest.mark.parametrize("first", [
    b"\0\0\0\x2d" + bytes(45),                                  # a connect request in plaintext
    b"ruok",
    HELLO + b"\xff\xff" + bytes(65535),                         # a record longer than may be
    HELLO + b"\x40\x00\x01\xff\xff\xff" + bytes(16380),         # a ClientHello that says 16 MiB
    HELLO + b"\0\0",                                            # an empty record
    b"\x15\x03\x01\0\2\2\x28",                                  # an alert first
    b"\x17\x03\x03\0\x10" + bytes(16),                          # data first
    b"\x80\x2e\1\3\1" + bytes(43),                              # SSL 2's hello
    os.urandom(3000),
], ids=range(9))
def test_bytes_that_are_no_handshake(port, first):
    with socket.create_connection(("127.0.0.1", port.secure_port), timeout=SECONDS) as line:
        try:
            line.sendall(first)
            line.shutdown(socket.SHUT_WR)
            while line.recv(65536):
                pass
        except OSError:
            pass


def test_a_client_hello_in_single_bytes(port, keys):  # noqa: F811
    made, to, out = context(keys), ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = made.wrap_bio(to, out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection(("127.0.0.1", port.secure_port), timeout=SECONDS) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in out.read():
            line.sendall(bytes([byte]))
        assert line.recv(1) == b"\x16"


def test_renegotiation(port, keys):  # noqa: F811
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port.secure_port}", "-tls1_2", "-legacy_renegotiation",
                           "-CAfile", "ca.pem", "-cert", "client.pem", "-key", "client.key"], cwd=keys, input="R\n",
                          capture_output=True, text=True, timeout=60, check=False)
    assert "RENEGOTIATING" in done.stderr and "no renegotiation" in done.stderr, done.stderr


def test_who_does_not_shake_hands_is_closed_after_a_while(keys):  # noqa: F811
    one = secure_server("corral", pem(keys) + "ssl.handshakeDetectionTimeoutMillis=500\n")
    try:
        one.start()
        with socket.create_connection(("127.0.0.1", one.secure_port), timeout=SECONDS) as line:
            line.sendall(HELLO)
            assert line.recv(1) == b""
        with Connection(one.port) as plain:
            assert plain.session
    finally:
        one.remove()
