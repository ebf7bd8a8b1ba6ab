# SPDX-License-Identifier: Apache-2.0
import re
import subprocess

import pytest

from servers import BUILD, KINDS

COMMAND_SECONDS = 60


@pytest.fixture(scope="session", params=sorted(KINDS))
def server(request):
    """Each kind of server in turn, shared by the tests: they keep to nodes of their own."""
    one = KINDS[request.param]()
    try:
        yield one.start()
    finally:
        one.remove()


@pytest.fixture(scope="module")
def both():
    """Apache's server and zkserver, shared by a file's tests."""
    made = [KINDS[name]() for name in ("apache", "corral")]
    try:
        yield [one.start() for one in made]
    finally:
        for one in made:
            one.remove()


@pytest.fixture
def fresh(request, server):
    """A server of the same kind for one test, which may stop and start it."""
    one = KINDS[server.name]()
    try:
        yield one.start()
    finally:
        one.remove()


@pytest.fixture
def root(request, zk):
    """A node below which the test works."""
    path = "/" + re.sub(r"\W+", "-", request.node.name)
    zk("create", path)
    yield path
    zk("rm", "-r", path)


class Command:
    """The program zk, pointed at one server."""

    def __init__(self, hosts):
        self.hosts = hosts

    def argv(self, *words):
        return [str(BUILD / "zk"), "--hosts", self.hosts, *words]

    def run(self, *words, data=None):
        return subprocess.run(self.argv(*words), input=data, capture_output=True, timeout=COMMAND_SECONDS, check=False)

    def __call__(self, *words, data=None):
        """Standard output; anything but success fails the test."""
        done = self.run(*words, data=data)
        assert done.returncode == 0, (words, done)
        return done.stdout.decode()

    def fails(self, status, *words, data=None):
        """What it says on standard error when it ends with this status."""
        done = self.run(*words, data=data)
        assert done.returncode == status, (words, done)
        return done.stderr.decode()


@pytest.fixture
def zk(server):
    return Command(server.hosts)


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the long forms of tests")
