#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each test that `recipes` names passes, and fails with the bug planted that is named beside it; and each bug that there
# is stands there.
recipes=${srcdir:-.}/tests/unit/recipes
plants=${srcdir:-.}/libcommon/base/plants.h
count=0
failed=0

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
		failed=$((failed + 1))
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
for plant in $(sed -n 's/^\tX([A-Z_]*, "\(.*\)").*/\1/p' "$plants"); do
	grep -q " $plant\$" "$recipes" || expect yes no "$plant is found by a test"
done
echo "1..$count"
[ "$failed" -eq 0 ]
