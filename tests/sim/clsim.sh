#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Simulated clusters in `make check`: lives that are the same twice, a fixed range, fresh ones for some seconds, and
# planted bugs, each of which must be found within so many seeds. Sanitizers look at fewer lives, and at no planted bugs.
sim=${CLSIM:-tests/sim/clsim}
. "${srcdir:-.}/tests/sim/seeds.sh"

if [ -n "$SANITIZED" ]; then
	run "fixed seeds" --seeds 10 --from 1
	run "fresh seeds" --seeds 100000 --time 5
	finish
fi
run "the same life twice" --twice --seeds 5 --from 1
run "fixed seeds" --seeds "${CLSIM_SEEDS:-60}" --from 1
run "fresh seeds" --seeds 100000 --time "${CLSIM_SECONDS:-5}"
for bug in output-first pings-prove ack-first registration-ignored end-early recovering-untold term-unchecked \
	lease-from-arrival lease-duration grace-forgotten launch-uncommitted limit-unstored limit-forgets \
	weights-ignored drain-ignored mark-ends-singles term-in-memory era-ignored pid-alone need-wraps \
	words-outlive launch-at-once lease-kept \
	rot-is-cut first-candidates strangers-stay unread-forgotten newest-own; do
	run "a planted bug is found: $bug" --plant "$bug" --rounds "${CLSIM_ROUNDS:-1}" --seeds 1000 --from 1
done
finish
