# SPDX-License-Identifier: Apache-2.0
"""What a cluster's processes leave on a machine: looked up by command line, by descent, by control group; and what one uses."""
import os
import re
from pathlib import Path


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes_naming(text):
    """The pids of all processes that have `text` in their command line, program or working directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in words or text in os.readlink(path / "cwd"):
                found.append((int(path.name), words))
        except OSError:
            pass
    return [(pid, words) for pid, words in found if alive(pid) and pid != os.getpid()]


def descendants(pid):
    """The pids of all processes below this one; `corral dev` adopts the orphans of its daemons."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found, more = set(), {pid}
    while more:
        found |= more
        more = {p for p, parent in parents.items() if parent in more} - found
    return found - {pid}


def siphash13(data):
    """SipHash-1-3 with a key of zeros, by which an agent names its control groups (libcommon/base/hash.c)."""
    mask = (1 << 64) - 1
    v = [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573]

    def rotate(x, n):
        return (x << n | x >> 64 - n) & mask

    def turn():
        v[0] = v[0] + v[1] & mask
        v[1] = rotate(v[1], 13) ^ v[0]
        v[0] = rotate(v[0], 32)
        v[2] = v[2] + v[3] & mask
        v[3] = rotate(v[3], 16) ^ v[2]
        v[0] = v[0] + v[3] & mask
        v[3] = rotate(v[3], 21) ^ v[0]
        v[2] = v[2] + v[1] & mask
        v[1] = rotate(v[1], 17) ^ v[2]
        v[2] = rotate(v[2], 32)

    whole = len(data) // 8 * 8
    words = [int.from_bytes(data[n:n + 8], "little") for n in range(0, whole, 8)]
    for word in [*words, int.from_bytes(data[whole:], "little") | (len(data) & 255) << 56]:
        v[3] ^= word
        turn()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(3):
        turn()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def cgroups(state, nodes):
    """The control groups of these nodes' agents, in any hierarchy."""
    names = [f"corral-{siphash13(f'{state}/{node}'.encode()) & 0xFFFFFFFF:08x}" for node in nodes]
    return [str(p) for name in names for p in Path("/sys/fs/cgroup").glob(f"*/{name}")]


def cpu_s(pid):
    """Processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid, *keys):
    """Of a process, the sum of these in its smaps_rollup: Rss, Pss_Anon, Private_Dirty ..."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(re.search(rf"^{key}:\s+(\d+) kB", text, re.M)[1]) << 10 for key in keys)


def resident(pid):
    return memory_bytes(pid, "Rss")
