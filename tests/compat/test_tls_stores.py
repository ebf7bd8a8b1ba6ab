# SPDX-License-Identifier: Apache-2.0
"""The TLS port of both servers with stores of each kind, through Python's ssl, kazoo and Java's client; and what only
zkserver has: revocation lists from files, reload without a restart, one port for plaintext and TLS over IPv6."""
import signal
import socket
import ssl
import subprocess

import pytest
from kazoo.client import KazooClient

from servers import JAVA, KINDS, free_port, wait_until
from wire import WHO_AM_I, Connection, i32

SECONDS = 20
PASSWORD = "store pw"


def run(*words, cwd=None):
    subprocess.run(words, cwd=cwd, check=True, capture_output=True, timeout=60)


def openssl(path, *words):
    run("openssl", *words, cwd=path)


def issue(path, name, subject, ca="ca"):
    """NAME.key, NAME.pem, both in NAME-both.pem and NAME.p12."""
    openssl(path, "req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (path / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n")
    openssl(path, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
            "-days", "2", "-extfile", "ext", "-out", f"{name}.pem")
    (path / f"{name}-both.pem").write_text((path / f"{name}.key").read_text() + (path / f"{name}.pem").read_text())
    openssl(path, "pkcs12", "-export", "-inkey", f"{name}.key", "-in", f"{name}.pem", "-passout", f"pass:{PASSWORD}",
            "-out", f"{name}.p12")
    for file in path.glob(f"{name}*"):
        file.chmod(0o600)


def make_ca(path, name):
    openssl(path, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout",
            f"{name}.key", "-out", f"{name}.pem")
    (path / f"{name}.index").write_text("")
    (path / f"{name}.cnf").write_text(f"[ca]\ndefault_ca=x\n[x]\ndatabase={path}/{name}.index\ndefault_md=sha256\n"
                                      "default_crl_days=1\n")


def revoke(path, name=None, ca="ca"):
    """ca.crl, with NAME in it."""
    words = ("-config", f"{ca}.cnf", "-keyfile", f"{ca}.key", "-cert", f"{ca}.pem")
    if name:
        openssl(path, "ca", *words, "-revoke", f"{name}.pem")
    openssl(path, "ca", *words, "-gencrl", "-out", f"{ca}.crl")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores")
    make_ca(path, "ca")
    make_ca(path, "other")
    issue(path, "server", "/O=demo/CN=zkserver")
    issue(path, "client", "/O=demo/CN=root")
    issue(path, "fallen", "/O=demo/CN=fallen")
    issue(path, "stranger", "/O=demo/CN=root", ca="other")
    run("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", "ca.pem", "-keystore", "trust.p12", "-storetype",
        "PKCS12", "-storepass", PASSWORD, cwd=path)
    run("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", "ca.pem", "-keystore", "trust.jks", "-storetype",
        "JKS", "-storepass", PASSWORD, cwd=path)
    (path / "pw").write_text(PASSWORD + "\n")
    (path / "pw").chmod(0o600)
    revoke(path)
    return path


STORES = {
    "pem": "ssl.keyStore.location={k}/server-both.pem\nssl.trustStore.location={k}/ca.pem\n",
    "pkcs12": "ssl.keyStore.location={k}/server.p12\nssl.keyStore.password=" + PASSWORD + "\n"
              "ssl.trustStore.location={k}/trust.p12\nssl.trustStore.password=" + PASSWORD + "\n",
}


def secure_server(kind, settings):
    one = KINDS[kind]()
    one.secure_port = free_port()
    with open(one.config, "a", encoding="utf-8") as config:
        config.write(f"secureClientPort={one.secure_port}\nsecureClientPortAddress=127.0.0.1\n"
                     "authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider\n" + settings)
        if kind == "apache":
            config.write("serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n")
    return one


@pytest.fixture
def make(request):
    made = []

    def start(kind, settings):
        made.append(secure_server(kind, settings))
        return made[-1].start()

    yield start
    for one in made:
        one.remove()


@pytest.fixture(scope="module", params=[(kind, store) for kind in sorted(KINDS) for store in STORES], ids="-".join)
def secure(request, keys):
    kind, store = request.param
    one = secure_server(kind, STORES[store].format(k=keys) + "X509AuthenticationProvider.superUser=CN=root,O=demo\n")
    try:
        yield one.start()
    finally:
        one.remove()


def context(keys, name="client"):
    made = ssl.create_default_context(cafile=keys / "ca.pem")
    if name:
        made.load_cert_chain(keys / f"{name}.pem", keys / f"{name}.key")
    return made


class Secure(Connection):
    """A connection over TLS."""

    def __init__(self, port, tls, host="127.0.0.1"):
        self.tls, self.host = tls, host
        create = socket.create_connection
        try:
            socket.create_connection = lambda _, timeout: tls.wrap_socket(
                create((host, port), timeout=timeout), server_hostname="localhost")
            super().__init__(port)
        finally:
            socket.create_connection = create


def gets_in(port, tls):
    try:
        with Secure(port, tls) as line:
            return line.session != 0
    except (OSError, AssertionError):
        return False


def test_each_kind_of_store_serves_kazoo(secure, keys):
    client = KazooClient(f"127.0.0.1:{secure.secure_port}", timeout=10, use_ssl=True, ca=f"{keys}/ca.pem",
                         certfile=f"{keys}/client.pem", keyfile=f"{keys}/client.key")
    client.start(SECONDS)
    try:
        client.create("/kazoo", b"x")
        assert client.get("/kazoo")[0] == b"x"
        client.delete("/kazoo")
    finally:
        client.stop()
        client.close()


def test_each_kind_of_store_serves_javas_client(secure, keys):
    properties = {"zookeeper.clientCnxnSocket": "org.apache.zookeeper.ClientCnxnSocketNetty", "zookeeper.client.secure": "true",
                  "zookeeper.ssl.keyStore.location": keys / "client.p12", "zookeeper.ssl.keyStore.password": PASSWORD,
                  "zookeeper.ssl.trustStore.location": keys / "trust.p12", "zookeeper.ssl.trustStore.password": PASSWORD}
    done = subprocess.run(JAVA[:1] + [f"-D{key}={value}" for key, value in properties.items()] + JAVA[1:] +
                          ["org.apache.zookeeper.ZooKeeperMain", "-server", f"localhost:{secure.secure_port}"],
                          input="create /java x auth::cdrwa\ngetAcl /java\ndelete /java\nquit\n", capture_output=True,
                          text=True, timeout=120, check=False)
    assert "'x509,'CN=root%2CO=demo" in done.stdout + done.stderr, done


def test_the_subject_that_is_named_is_the_super_user(secure, keys):
    with Secure(secure.secure_port, context(keys)) as line:
        r = line.call(WHO_AM_I, b"")[1][3]
        schemes = sorted(ident[0] for ident in [(r.buf(), r.buf()) for _ in range(r.i32())])
        assert schemes == [b"ip", b"super", b"x509"]


def test_strangers_and_those_without_a_certificate_stay_out(secure, keys):
    assert not gets_in(secure.secure_port, context(keys, "stranger"))
    assert not gets_in(secure.secure_port, context(keys, None))
    assert gets_in(secure.secure_port, context(keys))


def pem(keys):
    return STORES["pem"].format(k=keys)


def test_who_is_on_the_list_stays_out_and_is_put_out_by_a_reload(make, keys, tmp_path):
    crl = tmp_path / "crl"
    revoke(keys)
    crl.write_text((keys / "ca.crl").read_text())
    one = make("corral", pem(keys) + f"ssl.crl=true\nssl.crl.location={crl}\n")
    with Secure(one.secure_port, context(keys, "fallen")) as fallen, Secure(one.secure_port, context(keys)) as kept:
        assert fallen.session and kept.session
        revoke(keys, "fallen")
        crl.write_text((keys / "ca.crl").read_text())
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not gets_in(one.secure_port, context(keys, "fallen")), SECONDS, "the list is read")
        try:
            assert fallen.receive() is None
        except OSError:
            pass
        assert kept.ping()[1][2] == 0
    assert gets_in(one.secure_port, context(keys))


def served_subject(port, tls):
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain:
        with tls.wrap_socket(plain, server_hostname="localhost") as line:
            return dict(pair[0] for pair in line.getpeercert()["subject"])["commonName"]


@pytest.mark.parametrize("how", ["SIGHUP", "certReload"])
def test_a_new_certificate_is_shown_and_standing_connections_stay(make, keys, tmp_path, how):
    store = tmp_path / "server.pem"
    store.write_text((keys / "server-both.pem").read_text())
    store.chmod(0o600)
    one = make("corral", f"ssl.keyStore.location={store}\nssl.trustStore.location={keys}/ca.pem\n"
               f"client.certReload={'true' if how == 'certReload' else 'false'}\n")
    with Secure(one.secure_port, context(keys)) as line:
        assert served_subject(one.secure_port, context(keys)) == "zkserver"
        store.write_text((keys / "fallen-both.pem").read_text())
        if how == "SIGHUP":
            one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: served_subject(one.secure_port, context(keys)) == "fallen", SECONDS, "the new one is shown")
        assert line.ping()[1][2] == 0
        store.write_text("nonsense")
        if how == "SIGHUP":
            one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the certificates in use stay" in (one.dir / "log").read_text(), SECONDS, "the fault is said")
        assert served_subject(one.secure_port, context(keys)) == "fallen"
        assert line.ping()[1][2] == 0


def test_settings_that_can_change_do_and_others_are_named(make, keys):
    one = make("corral", pem(keys))
    text = one.config.read_text()
    one.config.write_text(text.replace("4lw.commands.whitelist=*", "4lw.commands.whitelist=srvr") +
                          "maxClientCnxns=1\nmaxSessionTimeout=3000\njute.maxbuffer=4096\n")
    with Connection(one.port) as line:
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "jute.maxbuffer has changed: in force after a restart" in (one.dir / "log").read_text(), SECONDS,
                   "the file is read")
        log = (one.dir / "log").read_text()
        for key in ("4lw.commands.whitelist", "maxClientCnxns", "maxSessionTimeout"):
            assert f"{key} has changed: in force\n" in log, key
        assert line.ping()[1][2] == 0
        with pytest.raises((OSError, AssertionError, AttributeError)):
            with Connection(one.port) as second:
                assert second.session
    def negotiated():
        try:
            with Connection(one.port, timeout_ms=100000) as line:
                return line.timeout_ms
        except (OSError, AssertionError):
            return 0  # the one before has not gone yet
    assert wait_until(negotiated, SECONDS, "there is room again") == 3000


def test_a_file_with_a_fault_changes_nothing(make, keys):
    one = make("corral", pem(keys))
    one.config.write_text(one.config.read_text() + "maxClientCnxns=1\ntickTime=soon\n")
    one.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "nothing has changed" in (one.dir / "log").read_text(), SECONDS, "the fault is said")
    with Connection(one.port) as line, Connection(one.port) as second:
        assert line.session and second.session


def test_one_port_takes_plaintext_and_tls(make, keys):
    one = make("corral", pem(keys) + "client.portUnification=true\n")
    with Connection(one.port) as line, Secure(one.port, context(keys)) as secure, Secure(one.secure_port, context(keys)) as both:
        assert line.session and secure.session and both.session
        assert "Mode: standalone" in one.four_letters("srvr")
    assert not gets_in(one.port, context(keys, "stranger"))
    with socket.create_connection(("127.0.0.1", one.port), timeout=SECONDS) as slow:
        slow.sendall(b"\x16")
        assert one.four_letters("ruok") == "imok"
    with pytest.raises((OSError, AssertionError)):
        with Connection(one.secure_port) as line:
            assert line.session


def test_a_certificate_for_another_address_stays_out_if_that_is_asked_for(make, keys):
    openssl(keys, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=away", "-keyout", "away.key", "-out", "away.csr")
    (keys / "ext").write_text("subjectAltName=IP:192.0.2.1,DNS:localhost\n")
    openssl(keys, "x509", "-req", "-in", "away.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "ext", "-out", "away.pem")
    one = make("corral", pem(keys) + "ssl.clientHostnameVerification=true\n")
    assert gets_in(one.secure_port, context(keys))
    assert not gets_in(one.secure_port, context(keys, "away"))


@pytest.mark.parametrize("setting, wanted", [("ssl.protocol=TLSv1.2", "TLSv1.2"), ("ssl.enabledProtocols=TLSv1.3", "TLSv1.3"),
                                             ("ssl.ciphersuites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\nssl.protocol=TLSv1.2",
                                              "ECDHE-RSA-AES256-GCM-SHA384")])
def test_protocols_and_suites_are_those_of_the_settings(make, keys, setting, wanted):
    one = make("corral", pem(keys) + setting + "\n")
    with Secure(one.secure_port, context(keys)) as line:
        assert wanted in (line.socket.version(), line.socket.cipher()[0])


def test_clients_need_no_certificate_if_none_is_asked_for(make, keys):
    one = make("corral", f"ssl.keyStore.location={keys}/server-both.pem\nssl.clientAuth=none\n")
    assert gets_in(one.secure_port, context(keys, None))


@pytest.mark.parametrize("kind, resumes", [("apache", True), ("corral", False)])
def test_a_session_is_resumed_by_apaches_server_only(make, keys, kind, resumes):
    """Without being asked for a certificate again, which may be worth nothing by then: zkserver(8)."""
    one = make(kind, STORES["pem"].format(k=keys))
    tls = context(keys)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2  # the other one's tickets come when they like
    wait_until(lambda: gets_in(one.secure_port, tls), SECONDS, "the port with TLS serves")  # Apache's comes later
    with Secure(one.secure_port, tls) as line:
        first = line.socket.session
    with socket.create_connection(("127.0.0.1", one.secure_port), timeout=SECONDS) as plain:
        with tls.wrap_socket(plain, server_hostname="localhost", session=first) as again:
            assert again.session_reused == resumes


def test_the_chain_of_the_store_is_sent(make, keys):
    openssl(keys, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=middle", "-keyout", "middle.key", "-out", "middle.csr")
    (keys / "ext").write_text("basicConstraints=critical,CA:TRUE\n")
    openssl(keys, "x509", "-req", "-in", "middle.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "ext", "-out", "middle.pem")
    issue(keys, "below", "/CN=below", ca="middle")
    for chain, works in (("middle.pem", True), ("other.pem", False)):
        store = keys / f"below-{chain}"
        store.write_text((keys / "below-both.pem").read_text() + (keys / chain).read_text())
        store.chmod(0o600)
        one = make("corral", f"ssl.keyStore.location={store}\nssl.trustStore.location={keys}/ca.pem\n")
        assert gets_in(one.secure_port, context(keys)) == works


def test_javas_own_kind_is_refused_with_the_command_that_converts_it(keys):
    one = secure_server("corral", f"ssl.keyStore.location={keys}/server.p12\nssl.keyStore.passwordPath={keys}/pw\n"
                        f"ssl.trustStore.location={keys}/trust.jks\nssl.trustStore.password={PASSWORD}\n")
    try:
        done = subprocess.run([one.command()[0], "check", "--config", one.config], capture_output=True, text=True, check=False)
        assert done.returncode == 78 and f"keytool -importkeystore -srckeystore {keys}/trust.jks" in done.stderr, done
    finally:
        one.remove()


def test_ipv6_has_plaintext_tls_and_its_own_acls(make, keys):
    one = make("corral", pem(keys) + "client.portUnification=true\n")
    one.stop()
    one.config.write_text(one.config.read_text().replace("clientPortAddress=127.0.0.1", "clientPortAddress=[::1]", 1)
                          .replace("secureClientPortAddress=127.0.0.1", "secureClientPortAddress=::1"))
    one.process = subprocess.Popen(one.command(), stderr=subprocess.DEVNULL)

    def serves():
        try:
            with Secure(one.port, context(keys), "::1") as line:
                return line.session != 0
        except OSError:
            return False
    wait_until(serves, SECONDS, "it listens on ::1")
    with Secure(one.secure_port, context(keys), "::1") as line:
        line.create("/v6", b"x", acl=[(31, "ip", "::/64")])
        assert line.call(4, i32(3) + b"/v6" + b"\0")[1][2] == 0
        line.create("/v4", b"x", acl=[(31, "ip", "127.0.0.0/8")])
        assert line.call(4, i32(3) + b"/v4" + b"\0")[1][2] == -102
