/* SPDX-License-Identifier: Apache-2.0 */
/* In a test with bugs built in (plants.h), ZAB_PLANT in the environment names the one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/plants.h"

int zab_plant;

static void __attribute__((constructor)) choose(void)
{
	static const struct {
		const char *name;
		enum zab_plant plant;
	} plants[] = {
#define PLANT(name, text) {text, PLANT_##name},
	    ZAB_PLANT_LIST(PLANT)
#undef PLANT
	};
	const char *name = getenv("ZAB_PLANT");

	if (name == NULL)
		return;
	for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
		if (strcmp(name, plants[i].name) == 0)
			zab_plant = (int)plants[i].plant;
	}
	if (zab_plant == PLANT_NOTHING) {
		fprintf(stderr, "ZAB_PLANT=%s: there is no such bug in plants.h\n", name);
		exit(EXIT_FAILURE);
	}
}
