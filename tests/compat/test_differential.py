# SPDX-License-Identifier: Apache-2.0
"""Random requests of four sessions, valid and invalid, to Apache ZooKeeper and to zkserver: replies, errors, Stats, zxids,
events and their order are the same, and every pair of request and error that is listed occurs."""
import differential
from lockstep import Tally

SEEDS, SEEDS_LONG = 12, 500


def test_random_requests_are_answered_alike_and_with_every_error(request, capsys):
    tally = Tally()
    seeds = SEEDS_LONG if request.config.getoption("--long") else SEEDS
    with capsys.disabled():
        found = differential.run(range(1, seeds + 1), tally, print)
        print("", *differential.table(tally), sep="\n")
    assert not found
    assert [pair for pair in differential.wanted() if tally.counts[pair] == 0] == []
