# SPDX-License-Identifier: Apache-2.0
"""Identities on both servers: SASL DIGEST-MD5 of kazoo, Java and by hand, digest and its super user, enforced schemes."""
import base64
import hashlib
import hmac
import re
import signal
import struct
import subprocess

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.protocol.states import KeeperState
from kazoo.security import make_acl

from servers import JAVA, KINDS, wait_until
from wire import AUTH, CREATE, EXISTS, GET, WHO_AM_I, XID_AUTH, Connection, acls, i32, text

SECONDS = 20
SASL = 102
AUTHFAILED, NOAUTH, REQUIRES_SASL = -115, -102, -124
SUPER_DIGEST = "boss:" + base64.b64encode(hashlib.sha1(b"boss:secret").digest()).decode()
JAAS = """// users of the tests
Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
        user_super="superpw"
        user_admin="adminpw"
        user_bob="bobs word"
        user_ann="annpw";
};
Client {
    org.apache.zookeeper.server.auth.DigestLoginModule required username="bob" password="%s";
};
"""


def start(kind, settings):
    one = KINDS[kind]()
    jaas = one.dir / "jaas.conf"
    jaas.write_text(JAAS % "bobs word")
    jaas.chmod(0o600)
    one.properties = {**one.properties, "java.security.auth.login.config": jaas}
    with open(one.config, "a", encoding="utf-8") as config:
        config.write(f"java.security.auth.login.config={jaas}\n"
                     "authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n" + settings)
    return one


SUPERS = f"DigestAuthenticationProvider.superDigest={SUPER_DIGEST}\nsuperUser.1=admin\n"


@pytest.fixture(scope="module", params=sorted(KINDS))
def guarded(request):
    one = start(request.param, SUPERS)
    try:
        yield one.start()
    finally:
        one.remove()


@pytest.fixture(scope="module")
def corral():
    """For what Apache's server does otherwise."""
    one = start("corral", SUPERS)
    key = one.dir / "key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    with open(one.config, "a", encoding="utf-8") as config:
        config.write(f"sessionKeyFile={key}\n")
    try:
        yield one.start()
    finally:
        one.remove()


@pytest.fixture(scope="module", params=sorted(KINDS))
def strict(request):
    """One that serves nobody without SASL."""
    one = start(request.param, "sessionRequireClientSASLAuth=true\n")
    try:
        yield one.start()
    finally:
        one.remove()


@pytest.fixture
def kazoo(request):
    made = []

    def connect(server, user, password, wait=True):
        client = KazooClient(server.hosts, timeout=10, sasl_options={
            "mechanism": "DIGEST-MD5", "username": user, "password": password})
        made.append(client)
        if wait:
            client.start(SECONDS)
        else:
            client.start_async()
        return client

    yield connect
    for client in made:
        client.stop()
        client.close()


def md5(*parts):
    return hashlib.md5(b":".join(parts)).digest()


def hexed(*parts):
    return md5(*parts).hex().encode()


def respond(challenge, user, password, change=lambda text: text):
    """A client's response, as RFC 2831 has it; and what the server must say to it."""
    fields = dict(re.findall(rb'(\w+)="?([^",]*)"?', challenge))
    realm, nonce, cnonce, uri = fields[b"realm"], fields[b"nonce"], b"c0nce", b"zookeeper/zk-sasl-md5"
    secret = hexed(md5(user, realm, password), nonce, cnonce)
    value = hexed(secret, nonce, b"00000001", cnonce, b"auth", hexed(b"AUTHENTICATE", uri))
    token = (b'charset=utf-8,username="%s",realm="%s",nonce="%s",nc=00000001,cnonce="%s",digest-uri="%s",response=%s,qop=auth'
             % (user, realm, nonce, cnonce, uri, value))
    return change(token), b"rspauth=" + hexed(secret, nonce, b"00000001", cnonce, b"auth", hexed(b"", uri))


def sasl(line, token):
    """(error, token) of the answer; None when the server closed."""
    _, reply = line.call(SASL, text(token))
    if reply is None:
        return None
    answer = reply[2], reply[3].buf()
    reply[3].end()
    return answer


def closed(line):
    return line.receive() is None


def who(line):
    _, reply = line.call(WHO_AM_I, b"")
    return sorted((reply[3].buf(), reply[3].buf()) for _ in range(reply[3].i32()))


def test_kazoo_gets_in_and_owns_its_nodes(guarded, kazoo):
    bob, ann, admin = (kazoo(guarded, user, word) for user, word in (
        ("bob", "bobs word"), ("ann", "annpw"), ("admin", "adminpw")))
    bob.create("/bobs", b"x", acl=[make_acl("sasl", "bob", all=True)])
    assert bob.get("/bobs")[0] == b"x"
    with pytest.raises(NoAuthError):
        ann.get("/bobs")
    assert admin.get("/bobs")[0] == b"x"
    assert kazoo(guarded, "super", "superpw").get("/bobs")[0] == b"x"
    bob.create("/mine", b"y", acl=[make_acl("auth", "", all=True)])
    assert [(acl.id.scheme, acl.id.id) for acl in bob.get_acls("/mine")[0]] == [("sasl", "bob")]


def test_kazoo_is_turned_away_with_a_wrong_password(guarded, kazoo, caplog):
    """It is connected for a moment before, which start() may miss."""
    client = kazoo(guarded, "bob", "wrong", wait=False)
    wait_until(lambda: "AUTH_FAILED closing" in caplog.text, SECONDS, "the refusal")
    wait_until(lambda: client.client_state == KeeperState.CLOSED, SECONDS, "the end of the session")


def test_an_unknown_user_is_turned_away(corral):
    """Apache's 3.8.0 looks for the password of whoever it asked for last, and lets the stranger in with it."""
    with Connection(corral.port) as line:
        token, _ = respond(sasl(line, b"")[1], b"bob", b"bobs word")
        assert sasl(line, token)[0] == 0
    with Connection(corral.port) as line:
        token, _ = respond(sasl(line, b"")[1], b"nobody", b"bobs word")
        assert sasl(line, token) == (AUTHFAILED, None)
        assert closed(line)


def test_javas_client_gets_in(guarded, tmp_path):
    for password, in_words in (("bobs word", "'sasl,'bob"), ("wrong", "AuthFailed")):
        jaas = tmp_path / "client.conf"
        jaas.write_text(JAAS % password)
        done = subprocess.run(
            JAVA[:1] + [f"-Djava.security.auth.login.config={jaas}"] + JAVA[1:] +
            ["org.apache.zookeeper.ZooKeeperMain", "-server", guarded.hosts],
            input="create /java x auth::cdrwa\ngetAcl /java\ndelete /java\nquit\n", capture_output=True, text=True,
            timeout=120, check=False)
        assert in_words in done.stdout + done.stderr, done


def test_the_exchange_by_hand(guarded):
    with Connection(guarded.port) as line:
        error, challenge = sasl(line, b"")
        assert error == 0 and challenge.startswith(b'realm="zk-sasl-md5",nonce="')
        assert challenge.endswith(b'",charset=utf-8,algorithm=md5-sess')
        token, wanted = respond(challenge, b"bob", b"bobs word")
        assert sasl(line, token) == (0, wanted)
        assert who(line) == [(b"ip", b"127.0.0.1"), (b"sasl", b"bob")]


def test_a_response_cannot_be_used_again(guarded):
    with Connection(guarded.port) as line:
        token, wanted = respond(sasl(line, b"")[1], b"bob", b"bobs word")
        assert sasl(line, token) == (0, wanted)
    with Connection(guarded.port) as line:
        sasl(line, b"")
        assert sasl(line, token) == (AUTHFAILED, None)
        assert closed(line)


def test_a_first_token_says_nothing(guarded):
    with Connection(guarded.port) as line:
        token, wanted = respond(sasl(line, b"x")[1], b"bob", b"bobs word")
        assert sasl(line, token) == (0, wanted)


def test_a_first_token_of_4097_bytes_is_refused(guarded):
    with Connection(guarded.port) as line:
        assert sasl(line, b"x" * 4097) == (AUTHFAILED, None)
        assert closed(line)


def test_kerberos_is_refused_at_once(corral):
    """Apache's server notices at the second token."""
    with Connection(corral.port) as line:
        assert sasl(line, b"\x60\x82\x02\x3c\x06\x09") == (AUTHFAILED, None)
        assert closed(line)
    assert "GSSAPI (Kerberos) is not supported" in (corral.dir / "log").read_text()


@pytest.mark.parametrize("change", [
    lambda token: b"",
    lambda token: token[:60],
    lambda token: token + b',nonce="x"',
    lambda token: token.replace(b"qop=auth", b"qop=auth-conf"),
    lambda token: token.replace(b"zk-sasl-md5", b"elsewhere"),
    lambda token: token.replace(b"response=", b"response=0"),
    lambda token: token.replace(b'username="bob",', b""),
    lambda token: token.replace(b'"bob"', b'"bob'),
    lambda token: token + b"," + b"x" * 100000,
    lambda token: bytes(range(256)),
], ids=range(10))
def test_responses_that_do_not_fit_are_refused(guarded, change):
    with Connection(guarded.port) as line:
        token, _ = respond(sasl(line, b"")[1], b"bob", b"bobs word", change)
        assert sasl(line, token) == (AUTHFAILED, None)
        assert closed(line)


def auth(line, scheme, data):
    _, reply = line.call(AUTH, i32(0) + text(scheme) + text(data), xid=XID_AUTH)
    return reply[:3]


def test_the_super_user_of_digest_may_do_everything(guarded):
    with Connection(guarded.port) as owner, Connection(guarded.port) as boss:
        assert auth(owner, "digest", b"ann:pw") == (XID_AUTH, 0, 0)
        owner.create("/digests", b"x", acl=[(31, "auth", "")])
        assert boss.call(GET, text("/digests") + b"\0")[1][2] == NOAUTH
        assert auth(boss, "digest", b"boss:secret") == (XID_AUTH, 0, 0)
        assert boss.call(GET, text("/digests") + b"\0")[1][2] == 0
        assert who(boss) == [(b"digest", b"boss"), (b"ip", b"127.0.0.1"), (b"super", b"")]


@pytest.mark.parametrize("scheme, data", [("nonsense", b"x"), ("world", b"anyone"), ("sasl", b"bob"), ("super", b""),
                                          ("digest", None), ("x509", b"x")])
def test_what_no_provider_takes_closes_the_connection(guarded, scheme, data):
    with Connection(guarded.port) as line:
        assert auth(line, scheme, data) == (XID_AUTH, 0, AUTHFAILED)
        assert closed(line)


@pytest.mark.parametrize("scheme, data", [("ip", b""), ("digest", b""), ("digest", b"nocolon"), ("digest", b"a:b:c")])
def test_what_a_provider_takes_is_answered_with_nothing(guarded, scheme, data):
    with Connection(guarded.port) as line:
        assert auth(line, scheme, data) == (XID_AUTH, 0, 0)


def test_without_sasl_a_strict_server_answers_once_and_closes(strict):
    for op, body in ((EXISTS, text("/") + b"\0"), (CREATE, text("/x") + text(b"") + acls([(31, "world", "anyone")]) + i32(0))):
        with Connection(strict.port) as line:
            assert auth(line, "digest", b"a:b") == (XID_AUTH, 0, 0)
            assert line.call(op, body)[1][:3] == (1, 0, REQUIRES_SASL)
            assert closed(line)
    with Connection(strict.port) as line:
        assert line.ping()[1][1:3] == (0, REQUIRES_SASL)
        assert closed(line)


def test_a_strict_server_says_that_it_wants_sasl_when_it_fails(strict):
    with Connection(strict.port) as line:
        sasl(line, b"")
        assert sasl(line, b"nonsense") == (REQUIRES_SASL, None)
        assert closed(line)


def test_with_sasl_a_strict_server_serves(strict):
    with Connection(strict.port) as line:
        token, wanted = respond(sasl(line, b"")[1], b"ann", b"annpw")
        assert sasl(line, token) == (0, wanted)
        assert line.create("/strict", b"x") == "/strict"


def test_a_server_without_users_lets_a_client_go_on_as_it_is(server):
    with Connection(server.port) as line:
        assert sasl(line, b"") == (0, None)
        assert who(line) == [(b"ip", b"127.0.0.1")]


def test_with_a_session_key_a_session_is_its_passwords(corral):
    with Connection(corral.port) as line:
        wanted = hmac.new(bytes(range(32)), struct.pack(">q", line.session), hashlib.sha256).digest()[:16]
        assert line.password == wanted
        with Connection(corral.port, session=line.session, password=apaches_password(line.session)) as thief:
            assert thief.session == 0
        with Connection(corral.port, session=line.session, password=wanted) as again:
            assert again.session == line.session


def apaches_password(session):
    """java.util.Random's first four integers."""
    state, draws = ((session ^ 0xB3415C00) ^ 0x5DEECE66D) & (1 << 48) - 1, []
    for _ in range(4):
        state = (state * 0x5DEECE66D + 0xB) & (1 << 48) - 1
        draws.append(state >> 16)
    return struct.pack("<4I", *draws)


def test_without_a_session_key_passwords_are_apaches(guarded):
    with Connection(guarded.port) as line:
        assert line.password == apaches_password(line.session)


def test_a_user_that_is_added_gets_in_after_a_reload():
    one = KINDS["corral"]()
    users = one.dir / "users"
    users.write_text("# none yet\n")
    users.chmod(0o600)
    with open(one.config, "a", encoding="utf-8") as config:
        config.write(f"sasl.usersFile={users}\n")
    try:
        one.start()
        with Connection(one.port) as line:
            assert sasl(line, b"") == (0, None)
        users.write_text("eve:eves word\n")
        one.process.send_signal(signal.SIGHUP)

        def gets_in():
            with Connection(one.port) as line:
                challenge = sasl(line, b"")[1]
                return challenge and sasl(line, respond(challenge, b"eve", b"eves word")[0])[0] == 0
        wait_until(gets_in, SECONDS, "the users are read")
        with Connection(one.port) as line:
            line.create("/eves", b"x", acl=[(31, "sasl", "eve")])
    finally:
        one.remove()
