# SPDX-License-Identifier: Apache-2.0
"""What every test of real processes needs: where the programs are, how patient to be with them, and how to wait."""
import os
import time
from pathlib import Path

BUILD = Path(os.environ.get("CORRAL_BUILD", Path(__file__).resolve().parents[2] / "build"))
SLOW = 4 if "asan" in BUILD.name else 1
DEADLINE_S = 30 * SLOW


def program(name):
    """A program of the build tree; zkserver lies in a folder of its own name."""
    path = BUILD / name
    return path / name if path.is_dir() else path


def until(condition, what, seconds=DEADLINE_S):
    """Wait until condition() is true and return its value; `what` names it when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.02)
