# SPDX-License-Identifier: Apache-2.0
"""The wordcount job while processes are killed: a short loop in every check, 200 kills with --long."""
import subprocess
import sys

from conftest import TOP


def test_the_result_is_right_whatever_is_killed(request):
    long = request.config.getoption("--long")
    kills, seconds = ("200", 3000) if long else ("8", 300)
    run = subprocess.run([sys.executable, TOP / "tests/system/kill_loop.py", kills, *([] if long else ["1"])],
                         capture_output=True, text=True, timeout=seconds)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{kills} kills" in run.stdout
