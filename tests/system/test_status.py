# SPDX-License-Identifier: Apache-2.0
"""zkserver status: what an administrator sees of an ensemble that works, of one that lost a member, of one without a
quorum."""
import json
import re
import signal
import socket
import subprocess

import pytest
from conftest import until
from test_ensemble import PROGRAM, SERVERS, Ensemble, free_ports


@pytest.fixture
def ensemble(tmp_path):
    made = Ensemble(tmp_path)
    ports = free_ports(len(SERVERS))
    members = re.sub(r"^(server\.(\d)=.*)$", lambda m: f"{m[1]};127.0.0.1:{ports[int(m[2]) - 1]}", made.members, flags=re.M)
    for i in SERVERS:
        path = tmp_path / f"{i}.cfg"
        text = path.read_text().replace(made.members, members)
        path.write_text(text.replace("clientPort=0\nclientPortAddress=127.0.0.1\n", ""))
    yield made
    for process in made.processes.values():
        process.kill()
        process.wait()


def status(*words):
    return subprocess.run([PROGRAM, "status", *words], capture_output=True, text=True, timeout=60)


def members(ensemble):
    done = status("--json", "--config", ensemble.directory / "1.cfg")
    told = json.loads(done.stdout)
    assert (done.returncode == 0) == told["quorum"], done
    return {m["sid"]: m for m in told["members"]}, told["quorum"], done.returncode


def test_a_row_for_each_member_and_an_exit_status_for_the_quorum(ensemble):
    assert members(ensemble)[1:] == (False, 69)

    ensemble.start(1)
    rows, quorum, code = until(lambda: (m := members(ensemble)) and m[0][1]["why"] and m, "server 1 is asked")
    assert (quorum, code, rows[1]["role"]) == (False, 1, "looking")
    assert rows[2]["role"] == "" and "cannot be reached" in rows[2]["why"]
    until(lambda: re.fullmatch(r"looking for a leader: 1 of 3 voters agree; server 2: .*refused; server 3: .*refused",
                               members(ensemble)[0][1]["why"]), lambda: members(ensemble)[0][1]["why"])
    told = status(rows[1]["address"])
    assert told.returncode == 1 and "looking for a leader: 1 of 3 voters agree" in told.stdout

    ensemble.start(2, 3)
    leader = ensemble.settle()
    ensemble.zk(leader, "create", "/a", "x")
    rows, quorum, code = until(lambda: (m := members(ensemble)) and len({r["zxid"] for r in m[0].values()}) == 1 and m,
                               "all have all")
    assert (quorum, code) == (True, 0)
    assert {r["role"] for r in rows.values()} == {"leader", "follower"} and rows[leader]["role"] == "leader"
    assert {r["lag"] for r in rows.values()} == {0} and {r["why"] for r in rows.values()} == {""}
    elsewhere = ensemble.directory / "elsewhere.cfg"  # of somebody who is no member and sees no keys
    elsewhere.write_text(re.sub("^dataDir=.*$", "dataDir=/nonexistent\nsslQuorum=true\nssl.quorum.keyStore.location=/no.pem",
                                (ensemble.directory / "2.cfg").read_text(), flags=re.M))
    table = status("--config", elsewhere)
    assert table.returncode == 0, table.stderr
    assert [line.split()[0] for line in table.stdout.splitlines()] == ["SID", "1", "2", "3"]

    port = rows[1]["address"].split(":")[-1]  # whoever has none in its line is asked at this one
    elsewhere.write_text(elsewhere.read_text().replace(";" + rows[2]["address"], "") + f"clientPort={port}\n")
    confused = status("--json", "--config", elsewhere)
    told = {m["sid"]: m for m in json.loads(confused.stdout)["members"]}
    assert "server 1 answers there" in told[2]["why"] and not told[2]["serves"] and told[1]["serves"], told

    ensemble.kill(leader, signal.SIGKILL)
    ensemble.settle()
    rows, quorum, code = members(ensemble)
    assert (quorum, code) == (True, 0) and "cannot be reached" in rows[leader]["why"]

    ensemble.kill(next(iter(ensemble.processes)), signal.SIGKILL)
    until(lambda: members(ensemble)[1:] == (False, 1), lambda: f"no quorum: {members(ensemble)}")
    assert "There is no quorum" in status("--config", ensemble.directory / "1.cfg").stdout
    ensemble.stop()
    log = "".join(ensemble.log(i) for i in SERVERS)
    assert "looking for a leader" in log and "elected to lead" in log


def test_a_member_that_serves_reads_only_is_not_one_that_looks(ensemble):
    config = ensemble.directory / "1.cfg"
    config.write_text(config.read_text() + "readonlymode.enabled=true\n")
    ensemble.start(1)
    rows, quorum, code = until(lambda: (m := members(ensemble)) and m[0][1]["role"] == "read-only" and m, "reads only")
    assert (quorum, code) == (False, 1) and "looking for a leader: 1 of 3 voters agree" in rows[1]["why"]
    assert re.search(r"^1 +\S+ +read-only .* looking for a leader", status("--config", config).stdout, re.M)


def test_a_unit_is_ready_before_there_is_a_quorum_and_systemctl_says_what_it_waits_for(ensemble, monkeypatch, tmp_path):
    """A start that waited for the others would be ended by the unit's time-out."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unit:
        unit.bind(str(tmp_path / "unit"))
        unit.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", unit.getsockname())
        ensemble.start(1)
        monkeypatch.delenv("NOTIFY_SOCKET")
        said = []

        def hear(text):
            while not any(text in line for line in said):
                said.append(unit.recv(4096).decode())

        hear("READY=1")
        hear("STATUS=serving nobody: looking for a leader: 1 of 3 voters agree")
        ensemble.start(2)
        hear("STATUS=follower of server 2 in epoch 1: zxid ")
