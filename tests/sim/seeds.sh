# SPDX-License-Identifier: Apache-2.0
# Read by zksim.sh and zabsim.sh, which set $sim: runs of a simulation as TAP.
count=0
bad=0

# run TITLE OPTION...
run()
{
	title=$1
	shift
	count=$((count + 1))
	if out=$("$sim" "$@" 2>&1); then
		echo "ok $count - $title"
	else
		echo "not ok $count - $title"
		bad=1
	fi
	printf '%s\n' "$out" | tail -n 60 | sed 's/^/# /'
}

finish()
{
	echo "1..$count"
	exit $bad
}
