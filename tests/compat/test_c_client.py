# SPDX-License-Identifier: Apache-2.0
"""Apache ZooKeeper's C client (libzookeeper-mt) against zkserver; and against Apache's own, which proves the test."""
import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def c_client(tmp_path_factory):
    program = tmp_path_factory.mktemp("c-client") / "c_client"
    source = Path(__file__).with_name("c_client.c")
    subprocess.run([*os.environ.get("CC", "cc").split(), "-std=gnu11", "-Wall", "-Werror", "-DTHREADED", "-o", program,
                    source, "-lzookeeper_mt", "-lpthread"], check=True, timeout=120)
    return program


def test_the_c_client_works_and_its_ephemeral_node_goes(c_client, server, zk, root):
    done = subprocess.run([c_client, server.hosts, root], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert zk("ls", root) == ""
