#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every manual page is clean under mandoc's lint, and is installed. TAP.
top=${srcdir:-..}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
number=0
for page in "$top"/man/*.[1-8]; do
	name=$(basename "$page")
	number=$((number + 2))
	if mandoc -Tlint -Wwarning "$page" >"$out" 2>&1; then
		echo "ok $((number - 1)) - $name is clean"
	else
		echo "not ok $((number - 1)) - $name is clean"
		sed 's/^/# /' "$out"
	fi
	if grep -q "man/$name\\b" "$top/man/local.mk"; then
		echo "ok $number - $name is in the list of man/local.mk"
	else
		echo "not ok $number - $name is in the list of man/local.mk"
	fi
done
echo "1..$number"
