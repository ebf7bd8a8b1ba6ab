/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every simulation's command line does with seeds: one is replayed, a range or fresh ones are
 * lived through, each twice if asked to, and planted bugs are looked for.
 */
#ifndef CORRAL_TESTS_SIM_SEEDS_H
#define CORRAL_TESTS_SIM_SEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seeds_life {
	uint64_t seed;
	int plant;    /* index of a name in seeds_sim's plants; -1: no bug */
	bool trace;   /* print each event */
	bool explain; /* print what led to a violation */
	bool counts;  /* goes into the totals */
};

struct seeds_sim {
	const char *name;
	const char *about; /* what is simulated, and which program has what is not */
	const char *const *plants;
	size_t plant_count;
	/* One life. True: nothing was violated; *hash is its trace's. */
	bool (*live)(const struct seeds_life *life, uint64_t *hash);
	void (*print_totals)(void);
};

/* The program's exit status. */
int seeds_main(int argc, char **argv, const struct seeds_sim *sim);

#endif
