# SPDX-License-Identifier: Apache-2.0
"""What leaves the build: the tarball holds the tree, and an installation has every program working."""
import os
import platform
import subprocess
import tarfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CORRAL_BUILD", TOP / "build"))


def make(*words):
    run = subprocess.run(["make", "-s", "-C", str(BUILD), *words], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr


if (TOP / ".git").exists():  # a tarball that was unpacked has no list to compare the next one with
    def test_the_tarball_holds_every_file_of_the_repository():
        tracked = subprocess.run(["git", "-C", str(TOP), "ls-files"], capture_output=True, text=True, check=True).stdout
        make("dist")
        tarball = max(BUILD.glob("corral-*.tar.xz"), key=lambda p: p.stat().st_mtime)
        with tarfile.open(tarball) as tar:
            inside = {name.partition("/")[2] for name in tar.getnames()}
        tarball.unlink()
        unneeded = {".gitignore", "m4/.gitkeep"}
        assert sorted(set(tracked.split()) - inside - unneeded) == []


def test_an_installation_below_destdir_works_and_can_be_taken_back(tmp_path):
    make("install", f"DESTDIR={tmp_path}")
    programs = [p for p in tmp_path.rglob("*") if p.is_file() and p.parent.name in ("bin", "corral") and
                os.access(p, os.X_OK) and p.read_bytes()[:4] == b"\x7fELF"]
    assert programs
    for program in programs:
        run = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=10)
        assert run.returncode == 0 and run.stdout.startswith(f"{program.name} (corral) "), (program, run)
        completion = [p for p in tmp_path.rglob(program.name) if p.parent.name == "completions"]
        assert [p.read_bytes() for p in completion] == [(TOP / "etc/bash-completion/corral").read_bytes()], program
    make("uninstall", f"DESTDIR={tmp_path}")
    assert [p for p in tmp_path.rglob("*") if not p.is_dir()] == []


def readelf(path, *words):
    return subprocess.run(["readelf", "-W", *words, str(BUILD / path)], capture_output=True, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


@pytest.mark.parametrize("program", ["corral", "zk", "zkserver/zkserver", "corral-master", "corral-agent",
                                     "corral-executor"])
def test_every_program_is_hardened(program):
    assert "PIE" in readelf(program, "-h", "-d")
    assert "BIND_NOW" in readelf(program, "-d")
    segments = readelf(program, "-l")
    assert "GNU_RELRO" in segments and " RWE " not in segments
    symbols = readelf(program, "--dyn-syms")
    assert "__stack_chk_fail" in symbols
    if "-D_FORTIFY_SOURCE" in (BUILD / "Makefile").read_text():  # the sanitizers have their own checks
        assert "_chk@GLIBC" in symbols


if platform.machine() == "x86_64":
    def test_our_code_is_built_for_control_flow_protection():
        """A whole program is marked so only where libc's own start files are, and Debian's are not."""
        for library in BUILD.glob("lib*.a"):
            notes = readelf(library, "-n").split("File: ")[1:]
            assert notes and all("x86 feature: IBT, SHSTK" in note for note in notes), library
