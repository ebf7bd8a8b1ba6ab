# SPDX-License-Identifier: Apache-2.0
"""What the README promises: the demo, on a cluster whose agent and leading master are killed in the middle."""
import os
import re
import subprocess
import tempfile

from conftest import BUILD, SLOW, TOP


def test_the_demo_counts_right_though_an_agent_and_the_leading_master_are_killed():
    with tempfile.TemporaryDirectory(prefix="cst.", dir="/tmp") as home:  # short: sockets lie in it
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": home, "HOME": home}
        os.chmod(home, 0o755)
        run = subprocess.run([TOP / "examples/wordcount/demo", BUILD], env=env, capture_output=True, text=True,
                             timeout=180 * SLOW)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "the results are equal" in run.stdout
        assert run.stdout.count("kill -9: ") == 2
        assert int(re.search(r"(\d+) times a shard had to be tried again", run.stdout)[1]) >= 3
        assert os.listdir(home) == []


def test_a_missing_shard_fails_the_merge_and_a_killed_part_of_a_shard_fails_the_shard(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "counts").mkdir()
    (tmp_path / "counts/0").write_text("word 2\n")
    run = subprocess.run([TOP / "examples/wordcount/merge", tmp_path, "2"], capture_output=True, text=True, timeout=10)
    assert run.returncode == 1 and "shard 1 is missing" in run.stderr
    assert not (tmp_path / "counts/total").exists()
    (tmp_path / "lists/1").write_text("/no/such/file\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sort").write_text("#!/bin/sh\nkill -9 $$\n")
    (tools / "sort").chmod(0o755)
    env = {"PATH": f"{tools}:/usr/bin:/bin"}
    run = subprocess.run([TOP / "examples/wordcount/shard", tmp_path, "1"], env=env, capture_output=True, timeout=10)
    assert run.returncode != 0 and not (tmp_path / "counts/1").exists()
