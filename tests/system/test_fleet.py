# SPDX-License-Identifier: Apache-2.0
"""The load programs of bench/, in a form that is over soon: they compare what a master says with what its agents did."""
import os
import re
import subprocess
import sys

from conftest import BUILD, DEADLINE_S, TOP


def test_a_master_that_is_killed_under_a_fleet_loses_no_outcome_and_launches_nothing_twice(tmp_path):
    words = ("--agents 40 --slots 16 --tasks 6000 --job-tasks 500 --mark 2000 --hold 0 --run-min-ms 0 --run-max-ms 200"
             " --session 4").split()
    run = subprocess.run([sys.executable, TOP / "bench/fleet_bench.py", "--limit", str(3 * DEADLINE_S), *words], text=True,
                         capture_output=True, env=os.environ | {"CORRAL_BUILD": str(BUILD), "FLEET_DIR": str(tmp_path)},
                         timeout=6 * DEADLINE_S)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    counted = dict(re.findall(r"(\w+)=(\d+)", re.search("^counted (.*)$", run.stdout, re.M)[1]))
    assert [counted[k] for k in ("launched", "ended", "acked")] == ["6000"] * 3, counted
    assert [counted[k] for k in ("relaunched", "killed", "overcommitted", "strange")] == ["0"] * 4, counted
    assert re.search(r"^back agents=40 ", run.stdout, re.M), run.stdout[-3000:]


def test_the_core_alone_has_its_books_in_order_with_thousands_of_agents():
    run = subprocess.run([BUILD / "bench/core_bench", "2000", "20000"], capture_output=True, text=True, timeout=2 * DEADLINE_S)
    assert run.returncode == 0 and "another core" in run.stdout, run
