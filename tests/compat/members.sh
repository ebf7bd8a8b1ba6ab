#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Configurations of ensembles, read and written, against Apache ZooKeeper's. SEED=N replays a run; 77 where there is
# no java or no ZooKeeper.
set -eu
jars=/usr/share/java/zookeeper.jar
command -v java >/dev/null && [ -e "$jars" ] || { echo "no java or no $jars on this machine"; exit 77; }
seed=${SEED:-$(date +%s)}
count=${COUNT:-200}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo "seed $seed"
java -Xshare:auto -XX:TieredStopAtLevel=1 -cp "$jars" "$srcdir/tests/compat/MembersOracle.java" "$dir" "$count" "$seed"
./tests/compat/members_check "$dir" "$count"
