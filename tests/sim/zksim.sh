#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The simulated server in `make check`: seeds that failed once, a fixed range, fresh ones for some seconds,
# and planted bugs, each of which must be found within so many seeds. Sanitizers look at fewer lives, and at no
# planted bugs.
sim=${ZKSIM:-tests/sim/zksim}
. "${srcdir:-.}/tests/sim/seeds.sh"

# 7: a log went on behind records that were in the page cache only. 424594359: a spare file was made anew
# while a batch had it.
if [ -n "$SANITIZED" ]; then
	run "fixed seeds" --seeds 20 --from 1
	run "fresh seeds" --seeds 100000 --time 8
	finish
fi
for seed in 7 20 31 97 424594359; do
	run "seed $seed, which failed once" --twice "$seed"
done
run "fixed seeds" --twice --seeds 150 --from 1
run "fresh seeds" --seeds 100000 --time "${ZKSIM_SECONDS:-8}"
for bug in early-ack no-sync no-dir-sync; do
	run "a planted bug is found within 60 seeds: $bug" --plant "$bug" --seeds 60 --from 1
done
finish
