# SPDX-License-Identifier: Apache-2.0
"""Tasks by the hundred while processes are killed: a short storm in every check, 10,000 tasks and ten minutes with --long."""
import subprocess
import sys

from conftest import TOP


def test_every_task_runs_and_ends_as_it_should(request):
    long = request.config.getoption("--long")
    words, seconds = (["10000", "600"], 3000) if long else (["120", "5", "1"], 300)
    run = subprocess.run([sys.executable, TOP / "tests/system/task_storm.py", *words], capture_output=True, text=True,
                         timeout=seconds)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "every task ran" in run.stdout
