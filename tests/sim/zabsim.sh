#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Simulated ensembles in `make check`: lives that are the same twice, a fixed range, fresh ones for some seconds, and
# planted bugs, each of which must be found within so many seeds. Sanitizers look at fewer lives, and at no planted bugs.
sim=${ZABSIM:-tests/sim/zabsim}
. "${srcdir:-.}/tests/sim/seeds.sh"

if [ -n "$SANITIZED" ]; then
	run "fixed seeds" --seeds 6 --from 1
	run "fresh seeds" --seeds 100000 --time 8
	finish
fi
run "the same life twice" --twice --seeds 5 --from 1
run "fixed seeds" --seeds "${ZABSIM_SEEDS:-100}" --from 1
run "fresh seeds" --seeds 100000 --time "${ZABSIM_SECONDS:-8}"
# Those that take more than a hundred seeds are looked for by check-long only.
rare=
[ "${ZABSIM_ROUNDS:-1}" -gt 1 ] && rare="gap-ends zeros-end damage-ends half-multi"
for bug in early-ack no-sync no-dir-sync early-agreement epoch-first always-diff snapshot-stays no-drain \
	learner-early-ack adopt-in-place one-quorum forgets-proposed observers-count tail-forgotten lost-write \
	replay-strict named-ahead endless-snapshot purge-counts-all epoch-zero \
	read-only-writes events-for-all reply-first numbers-by-count stat-of-creates silence-is-fine persistent-ends \
	watches-stay events-early missed-untold moved-runs any-password no-upgrade any-timeout ids-begin-anew $rare; do
	run "a planted bug is found: $bug" --plant "$bug" --rounds "${ZABSIM_ROUNDS:-1}" --seeds 1000 --from 1
done
finish
