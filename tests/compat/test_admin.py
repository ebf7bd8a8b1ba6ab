# SPDX-License-Identifier: Apache-2.0
"""What operators' tools ask for, of Apache's server and of zkserver: four-letter words and the AdminServer's JSON, each
beside the other. Lines, keys and their order are the same; values too, where they do not depend on clocks, on addresses
or on what a Java machine is."""
import json
import re
import socket
import struct
import urllib.request
from contextlib import closing

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError

from servers import KINDS, free_port
from wire import CLOSE, Connection

WATCHED = ("/a/b", "/none", "/a/f")
# Of mntr, what must grow by as much, and what must be as much, after the same requests. (Apache's server counts in
# packets_sent the pieces in which it sends mntr itself.)
COUNTED = ("packets_received bytes_received_count response_bytes watch_bytes connection_request_count "
           "cnt_readlatency cnt_updatelatency cnt_node_changed_watch_count sum_node_changed_watch_count "
           "cnt_propagation_latency prep_processor_request_queued").split()
PING = {"packets_received": 1, "prep_processor_request_queued": 1, "cnt_readlatency": 1, "bytes_received_count": 12}
SAME_FIGURES = ("ephemerals_count num_alive_connections outstanding_requests znode_count global_sessions watch_count "
                "approximate_data_size local_sessions last_client_response_size max_client_response_size "
                "min_client_response_size").split()
NAMES = ("configuration connections dirs dump environment get_trace_mask hash initial_configuration is_read_only "
         "last_snapshot leader monitor observer_connection_stat_reset observers ruok server_stats set_trace_mask stats "
         "system_properties voting_view watch_summary watches watches_by_path zabstate").split()
ALIASES = ("conf config cons env envi gtmk icfg isro lsnp lead mntr orst stmk srvr stat srst obsr sysp wchc wchp wchs "
           "crst").split()


@pytest.fixture(scope="module")
def pair():
    """Both kinds, with the same sessions, nodes and watches."""
    made, clients = [], []
    try:
        for name in ("apache", "corral"):
            admin = free_port()
            one = KINDS[name](f"admin.enableServer=true\nadmin.serverPort={admin}\nadmin.serverAddress=127.0.0.1\n")
            one.admin = admin
            made.append(one)
            one.start()
        for one in made:
            one.before = figures(one)
            clients += use(one)
            one.after = figures(one)
        yield made
    finally:
        for client in clients:
            client.stop()
            client.close()
        for one in made:
            one.remove()


def figures(server):
    return dict(line.split("\t") for line in server.four_letters("mntr").splitlines())


def use(server):
    one, two = (KazooClient(server.hosts, timeout=seconds) for seconds in (9, 6))
    one.start()
    two.start()
    one.create("/a", b"")
    one.create("/a/b", b"")
    one.create("/a/e", b"x" * 10, ephemeral=True)
    two.create("/a/f", b"yy", ephemeral=True)
    for client, path in ((one, "/a/b"), (two, "/a/b"), (two, "/a/f")):
        client.get(path, watch=lambda event: None)
    two.exists("/none", watch=lambda event: None)
    one.get_children("/a", watch=lambda event: None)
    for i in range(300):
        one.set("/a/b", b"%d" % i)
    one.get("/a/b", watch=lambda event: None)
    with pytest.raises(NoNodeError):
        one.delete("/nonode")
    return one, two


def masked(text):
    """Numbers and what names the machine and the moment do not count."""
    text = re.sub(r"(version[=:] ?).*", r"\1V", text)
    text = re.sub(r"(host\.name|user\.dir|dataDir|dataLogDir)=.*", r"\1=X", text)
    text = re.sub(r"lop=\w+", "lop=OP", text)  # a ping may have come between
    text = re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "N", text)
    return re.sub(r"N expire at \w+ \w+ N N:N:N \w+ N", "N expire at DATE", text)


def words(pair, word):
    return [one.four_letters(word) for one in pair]


@pytest.mark.parametrize("word", ("ruok", "isro", "srvr", "conf", "dirs", "wchs", "gtmk"))
def test_a_word_has_the_same_lines(pair, word):
    apache, corral = words(pair, word)
    assert masked(corral) == masked(apache)


@pytest.mark.parametrize("word", ("stat", "cons"))
def test_the_lines_of_connections_are_the_same_in_whatever_order(pair, word):
    apache, corral = (masked(text).split("\n") for text in words(pair, word))
    assert sorted(corral) == sorted(apache)


def test_pings_do_not_count_in_response_bytes(pair):
    for one in pair:
        with Connection(one.port) as line:
            before = figures(one)["zk_response_bytes"]
            for _ in range(5):
                assert line.ping()[1][2] == 0
            assert figures(one)["zk_response_bytes"] == before, one.name
            line.call(CLOSE, b"")  # so that others do not see its session


def test_envi_is_the_same_but_for_java(pair):
    apache, corral = (masked(text).split("\n") for text in words(pair, "envi"))
    assert corral == [line for line in apache if not line.startswith("java.")]


def test_figures_after_the_same_requests_are_the_same(pair):
    """What was counted before (the test's own questions whether it serves) does not count."""
    apache, corral = ({key: int(one.after["zk_" + key]) for key in SAME_FIGURES} |
                      {key: int(one.after["zk_" + key]) - int(one.before["zk_" + key]) for key in COUNTED}
                      for one in pair)
    pings = corral["packets_received"] - apache["packets_received"]  # of clients that took their time
    for key, each in PING.items():
        apache[key] += pings * each
    assert corral == apache


def test_mntr_has_the_same_keys_in_the_same_order(pair):
    apache, corral = ([line.split("\t")[0] for line in text.splitlines()] for text in words(pair, "mntr"))
    assert corral == [key for key in apache if not key.endswith("_per_namespace")]


def test_every_line_of_mntr_is_one_that_telegraf_reads(pair):
    for line in pair[1].four_letters("mntr").splitlines():
        assert re.match(r"^zk_(\w+)\s+([\w\.\-]+)", line), line


def test_hash_names_the_digest_of_every_128th_zxid(pair):
    for text in words(pair, "hash"):  # the digests themselves have times and session ids in them
        assert re.fullmatch(r"80: \d+\n100: \d+\n", text)


def sections(text):
    """wchp, wchc and the ephemerals of dump: what stands below each line that is not indented; session ids aside."""
    found = []
    for line in re.sub(r"0x[0-9a-f]+", "ID", text).split("\n"):
        if line.startswith("\t"):
            found[-1][1].append(line)
        else:
            found.append((line, []))
    return sorted((head, sorted(lines)) for head, lines in found)


@pytest.mark.parametrize("word", ("wchp", "wchc"))
def test_watches_are_listed_alike(pair, word):
    apache, corral = words(pair, word)
    assert sections(corral) == sections(apache)
    assert all(path in corral for path in WATCHED)


def test_dump_has_the_same_parts(pair):
    """Sets of sessions may fall apart differently: what is in them does not."""
    heads = re.compile(r"^(?:\t0x[0-9a-f]+|\d+ expire at \w{3} \w{3} \d\d \d\d:\d\d:\d\d \w+ \d{4}:)\n", re.M)
    apache, corral = words(pair, "dump")
    assert heads.search(corral)
    for text in (apache, corral):
        assert len(re.findall(r"^\t0x[0-9a-f]+$", text, re.M)) == 2
        assert len(re.findall(r"^\tip: /127\.0\.0\.1:\d+ sessionId: 0x[0-9a-f]+$", text, re.M)) == 3
    parts = [re.sub(r"\(\d+\)", "(N)", heads.sub("", re.sub(r"^\tip:.*\n", "", text, flags=re.M))) for text in
             (apache, corral)]
    assert sections(parts[1]) == sections(parts[0])


def test_a_trace_mask_is_eight_bytes_behind_its_word_and_is_told(pair):
    for one in pair:
        with closing(connect(one)) as s:
            s.sendall(b"stmk" + struct.pack(">q", 306))
            assert b"".join(iter(lambda: s.recv(100), b"")) == b"306"


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_what_no_server_knows_is_no_word(pair):
    for one in pair:
        with closing(connect(one)) as s:
            s.sendall(b"xxxx")
            try:
                assert s.recv(100) == b""
            except ConnectionResetError:
                pass


def get(server, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin}/commands{name}", timeout=10) as reply:
        return reply.headers["Content-Type"], reply.read().decode()


def shape(value):
    """The keys and the kinds of values; a list's elements, and objects with ids for keys, as one of each kind."""
    if isinstance(value, dict):
        keys = ["ID" if re.fullmatch(r"-?\d+|/.*", key) else key for key in value]
        return {key: shape(each) for key, each in zip(keys, value.values())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize("name", NAMES)
def test_json_has_the_same_shape(pair, name):
    (apache_type, apache), (corral_type, corral) = (get(one, "/" + name) for one in pair)
    assert corral_type == apache_type == "application/json"
    apache, corral = json.loads(apache), json.loads(corral)
    if name == "monitor":
        apache = {key: value for key, value in apache.items() if not key.endswith("_per_namespace")}
    if name == "environment":
        apache = {key: value for key, value in apache.items() if not key.startswith("java.")}
    if name == "dump":
        apache["expiry_time_to_session_ids"] = {
            key: ids for key, ids in apache["expiry_time_to_session_ids"].items() if ids}
    if name == "system_properties":
        assert set(corral) <= set(apache)
        return
    assert shape(corral) == shape(apache)
    assert list(corral) == list(apache)


@pytest.mark.parametrize("name", ("get_trace_mask", "is_read_only", "leader", "observers", "ruok",
                                  "set_trace_mask", "set_trace_mask?traceMask=306", "set_trace_mask?traceMask=x",
                                  "voting_view", "watch_summary", "zabstate", "nosuch", "/", "observer_connection_"
                                  "stat_reset"))
def test_json_is_the_same_text(pair, name):
    assert get(pair[1], "/" + name) == get(pair[0], "/" + name)


@pytest.mark.parametrize("alias", ALIASES)
def test_a_short_name_is_the_same_command(pair, alias):
    apache, corral = (json.loads(get(one, "/" + alias)[1]) for one in pair)
    assert corral["command"] == apache["command"]
    assert corral["error" if "error" in corral else "command"] == apache["error"]


def test_the_list_of_commands_is_the_same(pair):
    assert get(pair[1], "")[1] == get(pair[0], "")[1]


def test_the_words_that_may_be_answered(pair):
    made = [KINDS[name]("4lw.commands.whitelist=ruok , mntr\n") for name in ("apache", "corral")]
    try:
        for one in made:
            one.start()
        for word in ("ruok", "mntr", "srvr", "stat", "isro", "conf", "wchp", "hash", "stmk"):
            apache, corral = (masked(one.four_letters(word)) for one in made)
            if word == "mntr":
                assert corral.startswith("zk_version")
            else:
                assert corral == apache, word
    finally:
        for one in made:
            one.remove()
