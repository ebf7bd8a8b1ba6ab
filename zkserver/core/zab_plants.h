/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bugs on purpose, each of which a test must find; they exist in a build of those tests only
 * (ZAB_PLANTS), where `zab_plant` chooses one.
 */
#ifndef CORRAL_ZKSERVER_CORE_ZAB_PLANTS_H
#define CORRAL_ZKSERVER_CORE_ZAB_PLANTS_H

enum zab_plant {
	PLANT_NOTHING,
	PLANT_EARLY_AGREEMENT, /* NEWLEADER is acknowledged before what came is durable */
	PLANT_EPOCH_FIRST,     /* currentEpoch is written before the history is durable */
	PLANT_ALWAYS_DIFF,     /* a learner that has what the leader lacks keeps it */
	PLANT_SNAPSHOT_STAYS,  /* a truncation leaves the snapshots above it */
	PLANT_NO_DRAIN,	       /* a server votes before its log has taken what is pending */
	PLANT_EARLY_ACK,       /* proposals are acknowledged before they are durable */
	PLANT_ADOPT_IN_PLACE,  /* a received snapshot gets its name, and the old files go later */
	PLANT_COUNT,
};

#ifdef ZAB_PLANTS
extern int zab_plant;
#define ZAB_PLANTED(which) (zab_plant == (which))
#else
#define ZAB_PLANTED(which) false
#endif

#endif
