# SPDX-License-Identifier: Apache-2.0
"""Every key of Apache's server, as its jar has them, is known to zkserver: honoured, or said to have no effect, or
refused with a reason."""
import re
import struct
import subprocess
import zipfile

from servers import BUILD

JAR = "/usr/share/java/zookeeper.jar"
UTF8, LONG, DOUBLE, CLASS, STRING, HANDLE, METHOD_TYPE, MODULE, PACKAGE = 1, 5, 6, 7, 8, 15, 16, 19, 20
SIZES = {CLASS: 3, STRING: 3, METHOD_TYPE: 3, MODULE: 3, PACKAGE: 3, HANDLE: 4, LONG: 9, DOUBLE: 9}
FAMILIES = {"authProvider", "group", "metricsProvider", "server", "weight"}  # what stands before a dot and more
OTHERS = {"jute.maxbuffer", "znode.container.checkIntervalMs", "znode.container.maxPerMinute", "readonlymode.enabled",
          "znode.container.maxNeverUsedIntervalMs", "java.security.auth.login.config"}  # properties without its prefix
NO_KEYS = {"false", "myid", "observer", "participant", "true", "version", "x509", "configuration", "ssl", "ssl.quorum",
           "org.apache.zookeeper.server.auth.X509AuthenticationProvider"}  # other words of the same classes


def strings(data):
    """The string constants of a class file."""
    count, = struct.unpack_from(">H", data, 8)
    texts, used, at, index = {}, [], 10, 1
    while index < count:
        tag = data[at]
        size = SIZES.get(tag, 5)
        if tag == UTF8:
            length, = struct.unpack_from(">H", data, at + 1)
            size = 3 + length
            texts[index] = data[at + 3:at + size].decode(errors="replace")
        elif tag == STRING:
            used += struct.unpack_from(">H", data, at + 1)
        index += 2 if tag in (LONG, DOUBLE) else 1
        at += size
    return [texts[index] for index in used]


def apaches_keys():
    found = set()
    with zipfile.ZipFile(JAR) as jar:
        for name in jar.namelist():
            if not name.endswith(".class") or "/cli/" in name or "ZooKeeperMain" in name:
                continue
            texts = strings(jar.read(name))
            found |= {m[1] for t in texts if (m := re.fullmatch(r"zookeeper\.([\w.]*\w)\.?", t))}
            if name.endswith("/QuorumPeerConfig.class"):
                found |= {t.rstrip(".") for t in texts if re.fullmatch(r"[a-z0-9][\w.]*[\w.]", t) and "zookeeper." not in t}
    return (found | OTHERS) - NO_KEYS


def said(path, lines):
    path.write_text("dataDir=/d\nclientPort=1\n" + "".join(f"{line}\n" for line in lines))
    run = subprocess.run([BUILD / "zkserver/zkserver", "check", "--config", path], capture_output=True, text=True, timeout=60,
                         check=False)
    return run.stderr


def test_every_key_of_apaches_server_is_known(tmp_path):
    keys = apaches_keys()
    assert {"tickTime", "snapCount", "txnLogSizeLimitInKb", "initLimit", "admin.serverPort"} <= keys
    assert len(keys) > 180
    lines = [f"{key}.1=1" if key in FAMILIES else f"{key}=1" for key in sorted(keys)]
    text = said(tmp_path / "zoo.cfg", lines)
    assert "has no effect" in text
    assert re.findall(r'unknown key "([^"]*)"', text) == []


def test_what_a_key_without_effect_says_has_its_place_and_reason(tmp_path):
    text = said(tmp_path / "zoo.cfg", sorted(f"{key}=1" for key in apaches_keys() - FAMILIES))
    without = [line for line in text.splitlines() if "has no effect" in line]
    assert len(without) > 80
    for line in without:
        assert re.search(r"zoo\.cfg:\d+: [\w.]+ has no effect: \w.{10,}", line), line


def test_an_unknown_key_is_warned_of_with_its_place(tmp_path):
    assert re.search(r'warning: .*zoo\.cfg:4: unknown key "tickTme" is ignored; did you mean tickTime\?',
                     said(tmp_path / "zoo.cfg", ["initLimit=5", "tickTme=7"]))
