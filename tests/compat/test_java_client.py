# SPDX-License-Identifier: Apache-2.0
"""Apache ZooKeeper's shell, zkCli.sh, and with it the Java client, against zkserver and Apache's own server."""
import subprocess

from servers import JAVA

SECONDS = 120


def shell(server, *commands):
    """What the shell prints for these commands; its status is that of some command among them."""
    done = subprocess.run(JAVA + ["org.apache.zookeeper.ZooKeeperMain", "-server", server.hosts],
                          input="".join(f"{line}\n" for line in (*commands, "quit")), capture_output=True, text=True,
                          timeout=SECONDS, check=False)
    return done.stdout + done.stderr


def test_the_shell_makes_reads_changes_and_removes(server, zk, root):
    out = shell(server, f"create {root}/a one", f"create -s {root}/s- x", f"create -e {root}/e x", f"ls {root}",
                f"get -s {root}/a", f"set {root}/a two", f"get {root}/a", f"stat {root}/e", f"getAcl {root}/a",
                f"delete {root}/a", f"get {root}/a", f"create {root}/none/x", f"sync {root}")
    for words in (f"Created {root}/a", f"Created {root}/s-0000000001", f"Created {root}/e",
                  "[a, e, s-0000000001]", "one", "dataLength = 3", "two", "'world,'anyone", "cdrwa", "Sync is OK",
                  f"Node does not exist: {root}/a", f"Node does not exist: {root}/none/x"):
        assert words in out, (words, out)
    assert zk("ls", root) == "s-0000000001\n"


def test_the_shell_sees_watches_fire(server, root):
    out = shell(server, f"create {root}/w one", f"get -w {root}/w", f"set {root}/w two", f"ls -w {root}",
                f"delete {root}/w", f"sync {root}")
    assert f"type:NodeDataChanged path:{root}/w" in out, out
    assert f"type:NodeChildrenChanged path:{root}" in out, out


def test_the_shell_has_persistent_watches_and_takes_them_off(server, root):
    out = shell(server, f"create {root}/p one", f"addWatch -m PERSISTENT {root}/p", f"addWatch -m PERSISTENT_RECURSIVE {root}/r",
                f"set {root}/p two", f"set {root}/p three", f"create {root}/p/c x", f"create {root}/r x",
                f"create {root}/r/below x", f"removewatches {root}/r", f"set {root}/r/below y",
                f"removewatches {root}/none", f"sync {root}")
    assert out.count(f"type:NodeDataChanged path:{root}/p\n") == 2, out
    assert f"type:NodeChildrenChanged path:{root}/p\n" in out, out
    assert f"type:NodeCreated path:{root}/r\n" in out and f"type:NodeCreated path:{root}/r/below\n" in out, out
    assert f"type:NodeDataChanged path:{root}/r/below" not in out, out
    assert f"type:NodeChildrenChanged path:{root}/r" not in out, out
    assert f"type:PersistentWatchRemoved path:{root}/r\n" in out, out
    assert f"No such watcher for {root}/none" in out, out
