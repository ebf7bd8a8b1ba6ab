#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Our reader against java.util.Properties, over random files. SEED=N replays a run; 77 where there is no java.
set -eu
command -v java >/dev/null || { echo "no java on this machine"; exit 77; }
seed=${SEED:-$(date +%s)}
count=${COUNT:-2000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo "seed $seed"
java -Xshare:auto -XX:TieredStopAtLevel=1 "$srcdir/tests/compat/PropertiesOracle.java" "$dir" "$count" "$seed"
./tests/compat/properties_check "$dir" "$count"
