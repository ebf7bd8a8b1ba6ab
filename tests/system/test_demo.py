# SPDX-License-Identifier: Apache-2.0
"""What the README promises: the demo, on a cluster whose agent and leading master are killed in the middle."""
import os
import subprocess

from conftest import BUILD, SLOW, TOP


def test_the_demo_counts_right_though_an_agent_and_the_leading_master_are_killed(tmp_path):
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    tmp_path.chmod(0o755)
    run = subprocess.run([TOP / "examples/wordcount/demo", BUILD], env=env, capture_output=True, text=True, timeout=180 * SLOW)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "the results are equal" in run.stdout
    assert run.stdout.count("kill -9: ") == 2
    assert os.listdir(tmp_path) == []
