# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin for kazoo's own tests, as Debian installs them: they get the server that CORRAL_SUITE_SERVER names."""
import gc
import os
import sys
import types
import unittest.mock

from kazoo.testing import harness

from servers import KINDS



def count(name):
    """Objects of the class of this name, as objgraph counts them."""
    return sum(type(o).__name__ == name for o in gc.get_objects())


# What they import, where it is not installed: the one is in Python's library by now, of the other they use one function.
sys.modules.setdefault("mock", unittest.mock)
sys.modules.setdefault("objgraph", types.SimpleNamespace(count=count))


class Managed:
    """A server as kazoo's harness starts and stops one."""

    def __init__(self):
        self.server = KINDS[os.environ["CORRAL_SUITE_SERVER"]]()
        with open(self.server.config, "a", encoding="utf-8") as config:
            config.write("maxClientCnxns=0\nmaxSessionTimeout=60000\n")
        self.address, self.client_port = self.server.hosts, self.server.port

    @property
    def running(self):
        return self.server.process is not None

    def run(self):
        if not self.running:
            self.server.start()

    def stop(self):
        self.server.stop()


class Cluster(list):
    """Of one server."""

    def start(self):
        for server in self:
            server.run()

    def stop(self):
        for server in self:
            server.stop()


def pytest_configure():
    harness.CLUSTER = Cluster([Managed()])
    harness.get_global_cluster = lambda: harness.CLUSTER


def pytest_unconfigure():
    for managed in harness.CLUSTER:
        managed.server.remove()
