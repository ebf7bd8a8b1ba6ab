#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Simulated ensembles in `make check`: seeds that failed once, a fixed range, fresh ones for some seconds, and
# planted bugs, each of which must be found within so many seeds.
zabsim=${ZABSIM:-tests/sim/zabsim}
count=0
bad=0

run() {
	title=$1
	shift
	count=$((count + 1))
	if out=$("$zabsim" "$@" 2>&1); then
		echo "ok $count - $title"
	else
		echo "not ok $count - $title"
		bad=1
	fi
	printf '%s\n' "$out" | tail -n 60 | sed 's/^/# /'
}

run "the same life twice" --twice --seeds 5 --from 1
run "fixed seeds" --seeds "${ZABSIM_SEEDS:-100}" --from 1
run "fresh seeds" --seeds 100000 --time "${ZABSIM_SECONDS:-8}"
for bug in early-ack no-sync no-dir-sync early-agreement epoch-first always-diff snapshot-stays no-drain \
	learner-early-ack adopt-in-place; do
	run "a planted bug is found: $bug" --plant "$bug" --rounds "${ZABSIM_ROUNDS:-1}" --seeds 1000 --from 1
done
echo "1..$count"
exit $bad
