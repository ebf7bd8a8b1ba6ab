/* SPDX-License-Identifier: Apache-2.0 */
/* One life of a simulated ensemble: its sizes, the faults that it meets, and its end. */
#ifndef CORRAL_TESTS_SIM_ENS_LIFE_H
#define CORRAL_TESTS_SIM_ENS_LIFE_H

#include "tests/sim/ens.h"

enum fault_kind {
	FAULT_CRASH,
	FAULT_POWER,
	FAULT_POWER_AT, /* during one of the disk's next operations */
	FAULT_ERROR_AT, /* one of the next operations fails */
	FAULT_ALL_POWER,
	FAULT_PAUSE,
	FAULT_ISOLATE,
	FAULT_ONE_WAY,
	FAULT_PAIR,
	FAULT_SPLIT,
	FAULT_RESET,
	FAULT_HEAL,
	FAULT_CLOCK,
	FAULT_FULL,	/* the disk is, for a while */
	FAULT_STUCK,	/* its syncs take seconds */
	FAULT_SLOW,	/* each of a server's turns takes milliseconds, until it is started again */
	FAULT_EMPTY,	/* a server is started again with an empty directory */
	FAULT_ROT,	/* a file is damaged, or gone, when a server is started again */
	FAULT_TORN,	/* a snapshot without its end lies there then */
	FAULT_AHEAD,	/* a leader logs what nobody else hears of, and is killed */
	FAULT_ADOPT,	/* power loss when a server next changes its history at a leader's word */
	FAULT_CONF,	/* power loss when a server next writes a configuration */
	FAULT_RECONFIG, /* one or more of these as soon as a reconfig is proposed */
	FAULT_KINDS
};

extern const char *const fault_names[FAULT_KINDS];

struct life {
	struct ens e;
	struct rng rng;
	bool enabled[FAULT_KINDS];
	uint64_t pace_ms;
	uint64_t faults[FAULT_KINDS];
};

/* Draw the seed's life, and live it to the end, or to the first violation. */
struct life *life_new(uint64_t seed, enum ens_plant plant, bool trace);
void life_live(struct life *l);
void life_free(struct life *l);

#endif
