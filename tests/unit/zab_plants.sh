#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each bug that is planted in zab_plants (core/zab_plants.h) must make a recipe fail; with none all pass.
program=tests/unit/zab_plants
export CK_VERBOSITY=silent
ZAB_PLANT=0 "$program" || { echo "not ok - the recipes fail without a bug" >&2; exit 1; }
for plant in 1 2 3 4 5 6 7; do
	if ZAB_PLANT=$plant "$program" 2>/dev/null; then
		echo "planted bug $plant (core/zab_plants.h) is not found by any recipe" >&2
		exit 1
	fi
done
