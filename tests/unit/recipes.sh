#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each test that `recipes` names passes, and fails with the bug planted that is named beside it.
recipes=${srcdir:-.}/tests/unit/recipes
count=0

# verdict PROGRAM TEST [PLANT]: prints passed, failed, or what went wrong.
verdict()
{
	out=$(UNIT_TEST=$2 CK_VERBOSITY=normal ${3:+env "ZAB_PLANT=$3"} "tests/unit/planted_$1" 2>&1)
	code=$?
	case $out in
	*"Checks: 0,"*) echo "there is no such test" ;;
	*"Checks: "*) [ "$code" -eq 0 ] && echo passed || echo failed ;;
	*) echo "it does not run: $out" ;;
	esac
}

# expect WHAT VERDICT TITLE
expect()
{
	count=$((count + 1))
	if [ "$1" = "$2" ]; then
		echo "ok $count - $3"
	else
		echo "not ok $count - $3: $2"
	fi
}

while read -r issues program test plant; do
	case $issues in
	'' | '#'*) continue ;;
	esac
	[ "$program" = - ] && continue
	expect passed "$(verdict "$program" "$test")" "$test"
	expect failed "$(verdict "$program" "$test" "$plant")" "$test fails with $plant"
done <"$recipes"
echo "1..$count"
