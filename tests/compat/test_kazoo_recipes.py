# SPDX-License-Identifier: Apache-2.0
"""Kazoo's own tests, as Debian installs them with kazoo, against zkserver: its recipes and its client."""
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

RECIPES = ("barrier", "cache", "counter", "election", "lease", "lock", "partitioner", "party", "queue", "watchers")
CLIENT = ("client", "connection", "exceptions", "interrupt")
MODULES = RECIPES + CLIENT
# Those need several servers.
NOT_ALONE = "not TestReconfig and not TestReadOnlyMode and not test_update_host_list"
AT_ONCE = 4
SECONDS = 240


def run(module):
    env = {**os.environ, "CORRAL_SUITE_SERVER": "corral", "ZOOKEEPER_VERSION": "3.8.0", "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "-p", "kazoo_suite",
                           "-k", NOT_ALONE, "--pyargs", f"kazoo.tests.test_{module}"],
                          env=env, cwd="/", capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture(scope="module")
def suite():
    """{module: its run}, all begun: they wait more than they work."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {module: pool.submit(run, module) for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_kazoos_own_tests_pass(suite, module):
    done = suite[module].result()
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-6000:] + done.stderr[-2000:]
