#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""differential.py COUNT [FIRST]: so many seeds of random requests to Apache's server and to zkserver, and what was seen.

A seed that differs is shown with the requests before; the seeds after it go on with fresh servers, and it can be had alone
again. CORRAL_BUILD names the build folder."""
import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("CORRAL_BUILD", os.getcwd())
from lockstep import Differs, Pair, Tally  # noqa: E402 (needs it)

PAIRS = Path(__file__).resolve().parent / "pairs"
DIFFERENCES_MAX = 10


def wanted():
    lines = (line.partition("#")[0].split() for line in PAIRS.read_text().splitlines())
    return [tuple(words) for words in lines if words]


def run(seeds, tally, say):
    """The seeds' differences, which are said as they come."""
    seeds, found = iter(seeds), []
    while len(found) < DIFFERENCES_MAX:
        with Pair(tally) as pair:
            try:
                for seed in seeds:
                    pair.run(seed)
                return found
            except Differs as e:
                found.append(seed)
                say(str(e))
    return found


def table(tally):
    yield f"{tally.requests} requests, {tally.failed} of them failed; how often each was answered with what:"
    names = {}
    for (name, code), count in sorted(tally.counts.items()):
        names.setdefault(name, []).append(f"{code} {count}")
    for name, seen in names.items():
        yield f"  {name:24} " + ", ".join(seen)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("count", metavar="COUNT", type=int, help="so many seeds")
    options.add_argument("first", metavar="FIRST", type=int, nargs="?", default=1, help="the first of them (1)")
    options = options.parse_args()
    count, first = options.count, options.first
    tally = Tally()
    found = run(range(first, first + count), tally, print)
    print(*table(tally), sep="\n")
    never = [" ".join(pair) for pair in wanted() if tally.counts[pair] == 0]
    print(f"{count} seeds, {len(found)} differ {found}, never seen: {', '.join(never) or 'nothing'}")
    return 1 if found or never else 0


if __name__ == "__main__":
    sys.exit(main())
