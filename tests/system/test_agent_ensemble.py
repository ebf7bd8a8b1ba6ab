# SPDX-License-Identifier: Apache-2.0
"""An agent that finds its master in the ensemble, when that is restored from an older copy."""
import shutil
import struct

import pytest

from conftest import until
from test_agent import Agent
from zkraw import CREATE, DELETE, SET, WORLD, Zkserver, receive_error, request, session, text

LEADER = b"/corral/master/json.info_0000000001"


def ask(server, *requests):
    """Each is done, in a session that is over then."""
    with session(server.port) as s:
        for xid, (op, body) in enumerate(requests, 1):
            s.sendall(request(xid, op, body))
            assert receive_error(s) == (xid, 0)


def create(path, data=b""):
    return CREATE, text(path) + text(data) + WORLD + struct.pack(">i", 0)


@pytest.fixture
def server(home):
    home.joinpath("zk").mkdir()
    s = Zkserver(home / "zk")
    s.config.write_text(s.config.read_text().replace("clientPort=0\n", f"clientPort={s.port}\n"))
    try:
        yield s
    finally:
        s.process.kill()


@pytest.fixture
def agent(home, server):
    home.joinpath("agent").mkdir()
    a = Agent(home / "agent")
    a.conf.write_text(a.conf.read_text().replace(f"masters={a.master.address}\n", "") +
                      f"[cluster]\nensemble=127.0.0.1:{server.port}\nensemble_tls=no\nsession_timeout=2s\n")
    try:
        yield a
    finally:
        a.kill()
        print(a.log())


def test_a_restored_ensemble_that_knows_less_than_the_agent_has_seen_is_found_again(agent, server):
    info = b'{"agent_address": "%s"}' % agent.master.address.encode()
    ask(server, create(b"/corral"), create(b"/corral/master"), create(LEADER, info))
    server.stop()
    copy = server.directory / "copy"
    shutil.copytree(server.data, copy)
    server.start()
    agent.register()
    # Much is written, and the agent has seen that much: it knows that nobody leads any more.
    ask(server, *[(SET, text(b"/corral") + text(b"x") + struct.pack(">i", -1))] * 200,
        (DELETE, text(LEADER) + struct.pack(">i", -1)))
    agent.master.next("gone")
    server.stop()
    shutil.rmtree(server.data)
    shutil.copytree(copy, server.data)
    server.start()
    agent.master.welcome()
    until(lambda: "opening another" in agent.log(), agent.log)
    agent.stop()
