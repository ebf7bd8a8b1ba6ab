# SPDX-License-Identifier: Apache-2.0
"""The program zk, the same against Apache ZooKeeper and zkserver."""
import base64
import hashlib
import json
import os
import signal
import subprocess
import threading

from servers import free_port, wait_until


def test_data_goes_in_and_comes_out_byte_by_byte(zk, root):
    data = os.urandom(100_000)
    zk("set", root, "-", data=data)
    assert zk.run("get", root).stdout == data
    zk("set", root, "text")
    assert zk("get", root) == "text"


def test_the_largest_request_passes_and_a_larger_one_is_named(zk, root):
    room = 0xFFFFF - (8 + 4 + len(root) + 4 + 4)
    zk("set", root, "-", data=b"x" * room)
    assert json.loads(zk("stat", "--json", root))["data_bytes"] == room
    too_large = zk.run("set", root, "-", data=b"x" * (room + 1))
    assert too_large.returncode == 65 and b"too large" in too_large.stderr


def test_a_tree_is_listed_in_order_and_removed(zk, root):
    assert zk("create", "-p", f"{root}/b/c/d", "x") == f"{root}/b/c/d\n"
    zk("create", f"{root}/a")
    assert zk("ls", root) == "a\nb\n"
    assert zk("ls", "-R", root) == "".join(f"{root}/{name}\n" for name in ("a", "b", "b/c", "b/c/d"))
    assert json.loads(zk("ls", "--json", root)) == ["a", "b"]
    assert "children" in zk.fails(1, "rm", f"{root}/b")
    zk("rm", "-r", f"{root}/b")
    assert zk("ls", root) == "a\n"


def test_the_listing_with_facts_is_a_table(zk, root):
    zk("create", f"{root}/a", "12345")
    head, row = zk("ls", "-s", root).splitlines()
    assert head.split() == ["VERSION", "BYTES", "CHILDREN", "OWNER", "MODIFIED", "NAME"]
    assert row.split()[:4] == ["0", "5", "0", "-"] and row.split()[-1] == "a"


def test_sequential_nodes_are_numbered(zk, root):
    assert zk("create", "-s", f"{root}/n-") == f"{root}/n-0000000000\n"
    assert zk("create", "-s", f"{root}/n-") == f"{root}/n-0000000001\n"


def test_errors_name_the_node_and_have_their_statuses(zk, root):
    assert zk.fails(1, "get", f"{root}/none") == f"zk: {root}/none: no such node\n"
    assert zk.fails(1, "create", root) == f"zk: {root}: node exists\n"
    assert "version" in zk.fails(1, "set", "-v", "7", root, "x")
    assert "version" in zk.fails(1, "rm", "-v", "7", root)
    assert "not a path" in zk.fails(64, "get", root + "/")
    assert "no command" in zk.fails(64, "frobnicate")
    assert "cannot be removed" in zk.fails(64, "rm", "-r", "/zookeeper")


def test_nobody_listening_is_said_at_once(zk):
    zk.hosts = f"127.0.0.1:{free_port()}"
    assert "cannot reach" in zk.fails(69, "ls")


def test_one_server_of_the_list_is_enough(zk):
    zk.hosts = f"127.0.0.1:{free_port()},{zk.hosts},127.0.0.1:{free_port()}"
    assert "zookeeper" in zk("ls").split()


def test_access_control_is_set_shown_and_obeyed(zk, root):
    digest = base64.b64encode(hashlib.sha1(b"ann:pw").digest()).decode()
    path = zk("create", "-a", f"digest:ann:{digest}:cdrwa", "-a", "world:anyone:r", f"{root}/secret", "x").strip()
    assert zk("--auth", "digest:ann:pw", "acl", path).splitlines() == [f"digest:ann:{digest}:cdrwa", "world:anyone:r"]
    assert "permission" in zk.fails(77, "set", path, "y")
    zk("--auth", "digest:ann:pw", "set", path, "y")
    zk("--auth", "digest:ann:pw", "acl", path, "world:anyone:r")
    assert zk("acl", path) == "world:anyone:r\n"
    assert "access control entry" in zk.fails(64, "acl", path, "world:anyone:xyz")


def test_no_data_is_not_empty_data(zk, root):
    zk("set", "-n", root)
    assert json.loads(zk("get", "--json", root))["data"] is None
    zk("set", root, "")
    assert json.loads(zk("get", "--json", root))["data"] == ""
    assert "missing" in zk.fails(64, "set", root)


def test_a_script_of_changes_is_done_as_a_whole(zk, root):
    script = f'# first\ncreate {root}/a "x y"\ncreate -s {root}/n-\nset -v 0 {root}/a "\\x00"\ncheck {root}/a\nrm {root}/a\n'
    assert zk("multi", data=script.encode()).split() == [
        "create", f"{root}/a", "create", f"{root}/n-0000000001", "set", f"{root}/a", "check", f"{root}/a", "rm", f"{root}/a"]
    assert zk("ls", root) == "n-0000000001\n"


def test_a_script_with_a_bad_change_changes_nothing(zk, root):
    said = zk.fails(1, "multi", data=f"create {root}/a\nset -v 7 {root} x\n".encode())
    assert said == f"zk: standard input:2: {root}: version does not match; nothing was changed\n"
    assert "standard input:2: 'frob'" in zk.fails(65, "multi", data=f"create {root}/a\nfrob\n".encode())
    assert zk("ls", root) == ""


def test_a_tree_goes_out_as_text_and_comes_in_again(zk, root):
    data = bytes(range(256))
    zk("create", "-p", f"{root}/from/b/c", "-", data=data)
    zk("create", "-n", "-a", "world:anyone:cdrwa", "-a", "ip:127.0.0.1:r", f"{root}/from/with space")
    text = zk("export", f"{root}/from")
    assert text.splitlines()[0] == "# zk export 1"
    assert 'create -n -a "world:anyone:cdrwa" -a "ip:127.0.0.1:r" "/with space"' in text
    zk("import", "-p", f"{root}/to/here", data=text.encode())
    assert zk("export", f"{root}/to/here") == text
    assert zk.run("get", f"{root}/to/here/b/c").stdout == data


def test_an_import_overwrites_only_when_asked(zk, root):
    zk("create", f"{root}/a", "old")
    script = b'create "/a" "new"\n'
    assert "standard input:1" in zk.fails(1, "import", root, data=script)
    assert zk("get", f"{root}/a") == "old"
    zk("import", "--replace", root, data=script)
    assert zk("get", f"{root}/a") == "new"
    assert "creates nodes" in zk.fails(65, "import", root, data=b"rm /a\n")
    assert zk("ls", root) == "a\n"


def test_ephemeral_nodes_are_left_out_of_an_export(zk, root):
    hold = Lines(zk.argv("create", "-e", f"{root}/e"))
    hold.expect(f"{root}/e")
    done = zk.run("export", root)
    assert done.returncode == 0 and b"1 ephemeral" in done.stderr and b"/e" not in done.stdout
    assert hold.end(signal.SIGTERM) == 0


def test_all_below_a_node_is_read_at_once(zk, root):
    zk("set", root, "top")
    zk("create", "-p", f"{root}/a/b", "x")
    assert zk("get", "-R", root) == f"==> {root} <==\ntop\n==> {root}/a <==\n\n==> {root}/a/b <==\nx\n"
    assert [node["path"] for node in json.loads(zk("get", "-R", "--json", root))] == [root, f"{root}/a", f"{root}/a/b"]
    assert zk("count", root) == "2\n"


def test_the_server_says_who_we_are(zk):
    assert sorted(zk("--auth", "digest:ann:pw", "whoami").splitlines()) == ["digest:ann", "ip:127.0.0.1"]


def test_sync_returns(zk):
    assert zk("sync") == ""


class Lines:
    """The lines that a program writes, as they come."""

    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def expect(self, *lines):
        wait_until(lambda: len(self.lines) >= len(lines) or self.process.poll() is not None, 20, f"lines {lines}")
        assert self.lines[:len(lines)] == list(lines)

    def end(self, signo=None):
        if signo is not None:
            self.process.send_signal(signo)
        status = self.process.wait(20)
        self.reader.join(20)
        self.process.stdout.close()
        return status


def test_watch_prints_each_change(zk, root):
    path = f"{root}/w"
    watch = Lines(zk.argv("watch", path))
    lines = [f"zk: watching {path}, which does not exist"]
    watch.expect(*lines)
    for command, event in ((("create", path), "created"), (("set", path, "1"), "changed"),
                           (("create", f"{path}/c"), "children"), (("set", path, "2"), "changed"),
                           (("rm", f"{path}/c"), "children"), (("rm", path), "deleted"),
                           (("create", path), "created")):
        zk(*command)
        lines.append(f"{event:8} {path}")
        watch.expect(*lines)
    assert watch.end(signal.SIGINT) == 130


def test_watch_ends_after_one_event_when_asked(zk, root):
    watch = Lines(zk.argv("watch", "-1", "--json", root))
    watch.expect(f"zk: watching {root}")
    zk("set", root, "x")
    assert watch.end() == 0
    assert json.loads(watch.lines[1]) == {"event": "changed", "path": root}


def test_an_ephemeral_node_lives_as_long_as_its_command(zk, root):
    hold = Lines(zk.argv("create", "-e", f"{root}/e"))
    hold.expect(f"{root}/e")
    assert json.loads(zk("stat", "--json", f"{root}/e"))["ephemeral_owner"] != 0
    assert hold.end(signal.SIGTERM) == 0
    assert "no such node" in zk.fails(1, "stat", f"{root}/e")
