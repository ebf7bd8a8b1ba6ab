# SPDX-License-Identifier: Apache-2.0
"""The program zk, the same against Apache ZooKeeper and zkserver."""
import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading

from kazoo.client import KazooClient

from servers import BUILD, free_port, wait_until


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
    assert too_large.returncode == 65 and b"too large" in too_large.stderr and b"jute.maxbuffer" in too_large.stderr
    beyond = zk.run("set", root, "-", data=bytes(32 * 2**20 + 1))
    assert beyond.returncode == 65 and b"33554432 bytes" in beyond.stderr


def test_a_tree_is_listed_in_order_and_removed(zk, root):
    assert zk("create", "-p", f"{root}/b/c/d", "x") == f"{root}/b/c/d\n"
    zk("create", f"{root}/a")
    assert zk("ls", root) == "a\nb\n"
    assert zk("ls", "-R", root) == "".join(f"{root}/{name}\n" for name in ("a", "b", "b/c", "b/c/d"))
    assert json.loads(zk("ls", "--json", root)) == ["a", "b"]
    assert "children" in zk.fails(1, "rm", f"{root}/b")
    zk("rm", "-r", f"{root}/b")
    assert zk("ls", root) == "a\n"


def test_many_children_are_removed_together_and_those_with_children_of_their_own_too(zk, root):
    script = "".join(f"create {root}/w/{n}\n" for n in range(300)) + f"create {root}/w/150/deep\n"
    zk("create", f"{root}/w")
    zk("multi", data=script.encode())
    before = int(json.loads(zk("stat", "--json", root))["pzxid"])
    zk("rm", "-r", f"{root}/w")
    assert zk("ls", root) == "" and json.loads(zk("stat", "--json", root))["pzxid"] - before < 200


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
    assert "no time" in zk.fails(64, "create", "-t", "0", f"{root}/a")
    assert "cannot be removed" in zk.fails(64, "rm", "-r", "/zookeeper")


def test_nobody_listening_is_said_at_once(zk):
    zk.hosts = f"127.0.0.1:{free_port()}"
    assert "cannot reach" in zk.fails(69, "ls")


def test_a_server_that_does_not_answer_is_said(zk):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        zk.hosts = f"127.0.0.1:{silent.getsockname()[1]}"
        assert f"no answer from {zk.hosts} in time" in zk.fails(69, "--timeout", "300ms", "ls")


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
    cut = text[:text.rindex("# zk export ends")].encode()
    assert "cut short" in zk.fails(65, "import", "--replace", f"{root}/to/here", data=cut)
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


def test_an_export_without_the_hashes_of_access_control_is_no_success(zk, root):
    mine = ("--auth", "digest:u:pw")
    zk(*mine, "create", "-a", "auth::cdrwa", "-a", "world:anyone:r", f"{root}/mine", "x")
    shown = zk.run("export", root)
    assert shown.returncode == 77 and b"1 nodes have digest:USER:x" in shown.stderr and b"digest:u:x" in shown.stdout
    assert "digest:u:" in zk(*mine, "export", root)
    zk(*mine, "rm", f"{root}/mine")


def test_ephemeral_nodes_are_left_out_of_an_export(zk, root):
    hold = Lines(zk.argv("create", "-e", f"{root}/e"))
    hold.expect(f"{root}/e")
    done = zk.run("export", root)
    assert done.returncode == 0 and b"1 ephemeral" in done.stderr and b"/e" not in done.stdout
    assert hold.end(signal.SIGTERM) == 0


def test_ephemeral_nodes_of_all_sessions_are_listed_with_their_owners(zk, root):
    zk("create", "-p", f"{root}/a/b")
    zk("create", "-c", f"{root}/container")
    holders = [Lines(zk.argv("create", "-e", "-a", f"world:anyone:{perms}", f"{root}/{name}"))
               for name, perms in (("a/b/e", "cdrwa"), ("z", "r"))]
    for holder, name in zip(holders, ("a/b/e", "z")):
        holder.expect(f"{root}/{name}")
    assert zk("ephemerals", root) == f"{root}/a/b/e\n{root}/z\n"
    assert zk("ephemerals", f"{root}/a") == f"{root}/a/b/e\n"
    owners = {hex(node["ephemeral_owner"]) for node in json.loads(zk("ephemerals", "-s", "--json", root))}
    assert owners == {row.split()[3] for row in zk("ephemerals", "--stat", root).splitlines()[1:]} and len(owners) == 2
    assert [holder.end(signal.SIGTERM) for holder in holders] == [0, 0]
    assert zk("ephemerals", root) == "" and json.loads(zk("ephemerals", "--json", root)) == []
    assert "no such node" in zk.fails(1, "ephemerals", f"{root}/none")


def test_all_below_a_node_is_read_at_once(zk, root):
    zk("set", root, "top")
    zk("create", "-p", f"{root}/a/b", "x")
    assert zk("get", "-R", root) == f"==> {root} <==\ntop\n==> {root}/a <==\n\n==> {root}/a/b <==\nx\n"
    assert [node["path"] for node in json.loads(zk("get", "-R", "--json", root))] == [root, f"{root}/a", f"{root}/a/b"]
    assert zk("count", root) == "2\n"


def test_what_may_not_be_read_is_named_and_the_rest_is_printed(zk, root):
    mine = ("--auth", "digest:u:pw")
    zk(*mine, "create", "-a", "auth::cdrwa", f"{root}/mine", "x")
    zk(*mine, "create", f"{root}/mine/below")
    zk("create", f"{root}/z", "y")
    for words, shown in ((("get", "-R", root), f"==> {root} <==\n\n==> {root}/z <==\ny\n"), (("ephemerals", root), ""),
                         (("ls", "-R", root), f"{root}/mine\n{root}/z\n")):
        done = zk.run(*words)
        assert (done.returncode, done.stdout.decode()) == (77, shown), done
        assert done.stderr.decode() == f"zk: {root}/mine: permission denied\n"
    assert "permission denied" in zk.fails(77, "export", root)
    zk(*mine, "rm", "-r", f"{root}/mine")


def test_the_server_says_who_we_are(zk):
    assert sorted(zk("--auth", "digest:ann:pw", "whoami").splitlines()) == ["digest:ann", "ip:127.0.0.1"]


def test_sync_returns(zk):
    assert zk("sync") == ""


class Lines:
    """The lines that a program writes, as they come."""

    def __init__(self, argv, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
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


def test_a_recursive_watch_sees_all_below_its_node(zk, root):
    watch = Lines(zk.argv("watch", "-R", root))
    lines = [f"zk: watching {root} and all below it"]
    watch.expect(*lines)
    for command, event in ((("create", f"{root}/a"), "created"), (("create", f"{root}/a/b"), "created"),
                           (("set", f"{root}/a/b", "x"), "changed"), (("rm", f"{root}/a/b"), "deleted")):
        zk(*command)
        lines.append(f"{event:8} {command[1]}")
        watch.expect(*lines)
    assert watch.end(signal.SIGINT) == 130


def test_watch_runs_a_command_for_each_change(zk, root):
    watch = Lines(zk.argv("watch", "-x", 'echo "$ZK_EVENT $ZK_NODE"', root))
    watch.expect(f"zk: watching {root}")
    zk("set", root, "x")
    watch.expect(f"zk: watching {root}", f"changed {root}")
    assert watch.end(signal.SIGTERM) == 143


def test_watch_passes_on_the_status_of_its_one_command(zk, root):
    watch = Lines(zk.argv("watch", "-1", "-x", "exit 7", root))
    watch.expect(f"zk: watching {root}")
    zk("set", root, "x")
    assert watch.end() == 7


def test_a_lock_is_held_by_one_command_at_a_time(zk, root):
    first = Lines(zk.argv("lock", root, "--", "sh", "-c", "echo held; read line; exit 7"), stdin=subprocess.PIPE)
    first.expect("held")
    assert f"somebody else holds it: {root}/" in zk.fails(125, "lock", "-w", "0", root, "--", "true")
    second = Lines(zk.argv("lock", root, "--", "echo", "mine"))
    wait_until(lambda: len(zk("ls", root).split()) == 2, 20, "the second in the queue")
    first.process.stdin.close()
    assert first.end() == 7
    second.expect("mine")
    assert second.end() == 0 and zk("ls", root) == ""


def test_a_free_lock_is_had_without_waiting(zk, root):
    assert zk("lock", "-w", "0", root, "--", "echo", "mine") == "mine\n"


def test_the_fence_of_a_lock_grows(zk, root):
    fences = [int(zk("lock", root, "--", "sh", "-c", "echo $ZK_LOCK_FENCE")) for _ in range(3)]
    assert fences == sorted(set(fences))


def test_a_locks_failures_have_the_statuses_of_env(zk, root):
    assert zk.run("lock", root, "--", "/none").returncode == 127
    assert zk.run("lock", root, "--", "/").returncode == 126
    assert zk.run("lock", "--none", root, "--", "true").returncode == 125
    assert zk.run("lock", root, "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_a_lock_passes_signals_on_to_its_command(zk, root):
    lock = Lines(zk.argv("lock", root, "--", "sh", "-c", "trap 'exit 3' TERM; echo held; while :; do sleep 0.1; done"))
    lock.expect("held")
    assert lock.end(signal.SIGTERM) == 3


def test_a_command_is_stopped_when_its_node_is_removed(zk, root):
    lock = Lines(zk.argv("lock", "--session", "2s", root, "--", "sh", "-c",
                         "trap 'echo term; exit 3' TERM; echo held; while :; do sleep 0.1 2>/dev/null; done"))
    lock.expect("held")
    zk("rm", f"{root}/{zk('ls', root).strip()}")
    lock.expect("held", f"zk: {root}: its node was removed: the command is stopped", "term")
    assert lock.end() == 125


def test_a_command_is_gone_before_another_can_have_its_lock(fresh):
    """The server is paused: nobody can know whether the session lives. The command does not heed SIGTERM."""
    zk = type("Zk", (), {"argv": lambda self, *words: [str(BUILD / "zk"), "--hosts", fresh.hosts, *words]})()
    lock = Lines(zk.argv("lock", "--session", "4s", "/l", "--", "sh", "-c",
                         "trap 'echo term' TERM; echo $$; while :; do sleep 0.1; done"))
    wait_until(lambda: lock.lines, 20, "the command")
    pid = int(lock.lines[0])
    fresh.process.send_signal(signal.SIGSTOP)
    try:
        assert lock.end() == 125
        assert not os.path.exists(f"/proc/{pid}") and "term" in lock.lines
    finally:
        fresh.process.send_signal(signal.SIGCONT)
    after = subprocess.run(zk.argv("lock", "-w", "20s", "/l", "--", "echo", "mine"), capture_output=True, timeout=60, check=False)
    assert after.stdout == b"mine\n"


def test_a_leader_that_was_deposed_stands_again(zk, root):
    elect = Lines(zk.argv("elect", "--session", "2s", root, "--", "sh", "-c", "echo leading; exec sleep 60"))
    elect.expect("leading")
    zk("rm", f"{root}/{zk('ls', root).strip()}")
    elect.expect("leading", f"zk: {root}: its node was removed: the command is stopped", "leading")
    assert elect.end(signal.SIGTERM) == 143


def test_kazoo_stands_in_the_same_queue(zk, root):
    client = KazooClient(hosts=zk.hosts)
    client.start(20)
    try:
        held = client.Lock(root, "kazoo")
        assert held.acquire(timeout=20)
        assert zk.run("lock", "-w", "0", root, "--", "true").returncode == 125
        held.release()
        ours = Lines(zk.argv("lock", root, "--", "sh", "-c", "echo held; read line"), stdin=subprocess.PIPE)
        ours.expect("held")
        assert not held.acquire(blocking=False)
        ours.process.stdin.close()
        assert ours.end() == 1
        assert held.acquire(timeout=20)
    finally:
        client.stop()
        client.close()


def test_a_quota_is_set_shown_and_removed(zk, root):
    zk("create", "-p", f"{root}/a/b", "12345")
    assert "no quota" in zk.fails(1, "quota", f"{root}/a")
    zk("quota", "--count", "7", "--bytes-hard", "1M", f"{root}/a")
    zk("quota", "--count-hard", "9", f"{root}/a")
    assert json.loads(zk("quota", "--json", f"{root}/a")) == {
        "path": f"{root}/a", "count": 7, "bytes": -1, "count_hard": 9, "bytes_hard": 1048576,
        "count_used": 2, "bytes_used": 5}
    assert "has a quota already" in zk.fails(1, "quota", "--count", "1", f"{root}/a/b")
    assert "has a quota already" in zk.fails(1, "quota", "--count", "1", root)
    zk("quota", "--remove", f"{root}/a")
    assert "no quota" in zk.fails(1, "quota", "--remove", f"{root}/a")
    assert root.strip("/") not in zk("ls", "-R", "/zookeeper/quota")


def test_bench_measures_and_cleans_up(zk):
    before = zk("ls")
    rows = json.loads(zk("bench", "-s", "2", "-o", "4", "-b", "100", "-t", "200ms", "--json"))
    assert [row["request"] for row in rows] == ["create", "set", "get", "mixed", "delete"]
    assert all(row["count"] > 0 and row["p50_us"] <= row["p99_us"] for row in rows)
    assert zk("ls") == before


def test_bench_sends_no_more_than_its_rate(zk):
    before = zk("ls")
    rows = json.loads(zk("bench", "-s", "3", "-o", "50", "-r", "1000", "-b", "10", "-t", "300ms", "--json"))
    assert [row["request"] for row in rows] == ["create", "set", "get", "mixed", "delete"]
    assert all(0 < row["count"] <= 300 for row in rows), rows
    assert rows[4]["count"] == rows[0]["count"]
    assert zk("ls") == before


def test_an_ephemeral_node_lives_as_long_as_its_command(zk, root):
    hold = Lines(zk.argv("create", "-e", f"{root}/e"))
    hold.expect(f"{root}/e")
    assert json.loads(zk("stat", "--json", f"{root}/e"))["ephemeral_owner"] != 0
    assert hold.end(signal.SIGTERM) == 0
    assert "no such node" in zk.fails(1, "stat", f"{root}/e")
