# SPDX-License-Identifier: Apache-2.0
"""What leaves the build: the tarball holds the tree, and an installation has every program working."""
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CORRAL_BUILD", TOP / "build"))


def make(*words):
    run = subprocess.run(["make", "-s", "-C", str(BUILD), *words], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_tarball_holds_every_file_of_the_repository(tmp_path):
    if not (TOP / ".git").exists():
        pytest.skip("not a git clone")
    tracked = subprocess.run(["git", "-C", str(TOP), "ls-files"], capture_output=True, text=True, check=True).stdout
    make("dist")
    tarball = max(BUILD.glob("corral-*.tar.xz"), key=lambda p: p.stat().st_mtime)
    with tarfile.open(tarball) as tar:
        inside = {name.partition("/")[2] for name in tar.getnames()}
    tarball.unlink()
    unneeded = {".gitignore", "m4/.gitkeep"}
    assert sorted(set(tracked.split()) - inside - unneeded) == []


def test_an_installation_below_destdir_has_working_programs(tmp_path):
    make("install", f"DESTDIR={tmp_path}")
    programs = [p for p in tmp_path.rglob("*") if p.is_file() and p.parent.name in ("bin", "corral") and
                os.access(p, os.X_OK) and p.read_bytes()[:4] == b"\x7fELF"]
    assert programs
    for program in programs:
        run = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=10)
        assert run.returncode == 0 and run.stdout.startswith(f"{program.name} (corral) "), (program, run)
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("program", ["corral", "zk", "zkserver/zkserver", "corral-master", "corral-agent",
                                     "corral-executor"])
def test_every_program_is_hardened(program):
    def readelf(*words):
        return subprocess.run(["readelf", "-W", *words, str(BUILD / program)], capture_output=True, text=True,
                              check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    assert "PIE" in readelf("-h") + readelf("-d")
    assert "BIND_NOW" in readelf("-d")
    segments = readelf("-l")
    assert "GNU_RELRO" in segments and " RWE " not in segments
    symbols = readelf("--dyn-syms")
    assert "__stack_chk_fail" in symbols
    if "-D_FORTIFY_SOURCE" in (BUILD / "Makefile").read_text():  # the sanitizers have their own checks
        assert "_chk@GLIBC" in symbols
