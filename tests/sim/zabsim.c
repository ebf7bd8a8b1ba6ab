/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulates an ensemble: one to seven voters and observers, under faults of every kind. One seed is
 * one life; the same seed is the same life, to the last byte (the trace's hash shows it).
 */
#include <stdio.h>

#include "tests/sim/ens_life.h"
#include "tests/sim/seeds.h"
#include "zkserver/core/mark.h"
#include "libcommon/base/plants.h"

/* A life counts if so much happened in it. */
#define FAULTS_MIN 3
#define WRITES_MIN 200

int zab_plant; /* the bug in the cores */

extern struct core_mark __start_core_marks[], __stop_core_marks[];

struct totals {
	uint64_t lives, counted, steps, writes, reads, syncs, sessions, expired, leads, starts,
	    reconfigs, refused_reconfigs, removed_leaders, rescues, reloads, snapshots, fatals,
	    refusals, repairs, compared, simulated_ms, faults[FAULT_KINDS];
};

static struct totals totals;

static void
add_totals(struct totals *t, const struct life *l)
{
	uint64_t faults = 0;

	t->lives++;
	t->steps += l->e.world.steps;
	t->simulated_ms += l->e.world.now_ms;
	t->writes += l->e.check.acked_writes;
	t->reads += l->e.check.reads;
	t->syncs += l->e.check.syncs;
	t->reconfigs += l->e.check.reconfigs;
	t->refused_reconfigs += l->e.check.refused_reconfigs;
	t->removed_leaders += l->e.check.removed_leaders;
	t->rescues += l->e.rescues;
	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		t->sessions += l->e.clients[i].sessions;
		t->expired += l->e.clients[i].expired;
	}
	for (unsigned i = 0; i < l->e.count; i++) {
		t->leads += l->e.nodes[i].leads;
		t->starts += l->e.nodes[i].starts;
		t->reloads += l->e.nodes[i].reloads;
		t->snapshots += l->e.nodes[i].snapshots;
		t->fatals += l->e.nodes[i].fatals;
		t->refusals += l->e.nodes[i].refusals;
		t->repairs += l->e.nodes[i].repairs;
		t->compared += l->e.nodes[i].compared;
	}
	for (int i = 0; i < FAULT_KINDS; i++) {
		t->faults[i] += l->faults[i];
		faults += l->faults[i];
	}
	t->counted += faults >= FAULTS_MIN && l->e.check.acked_writes >= WRITES_MIN;
}

enum { BUGS = 12 };

static const char *const plant_names[BUGS] = {"early-ack", "no-sync", "no-dir-sync",
    "early-agreement", "epoch-first", "always-diff", "snapshot-stays", "no-drain",
    "learner-early-ack", "adopt-in-place", "one-quorum", "forgets-proposed"};

/* Where each of them is planted. */
static const struct {
	enum ens_plant world; /* in the simulation's disk and shell */
	enum zab_plant core;
} plants[BUGS] = {
    {ENS_PLANT_EARLY_ACK, PLANT_NOTHING},
    {ENS_PLANT_NO_SYNC, PLANT_NOTHING},
    {ENS_PLANT_NO_DIR_SYNC, PLANT_NOTHING},
    {ENS_PLANT_NONE, PLANT_EARLY_AGREEMENT},
    {ENS_PLANT_NONE, PLANT_EPOCH_FIRST},
    {ENS_PLANT_NONE, PLANT_ALWAYS_DIFF},
    {ENS_PLANT_NONE, PLANT_SNAPSHOT_STAYS},
    {ENS_PLANT_NONE, PLANT_NO_DRAIN},
    {ENS_PLANT_NONE, PLANT_EARLY_ACK},
    {ENS_PLANT_NONE, PLANT_ADOPT_IN_PLACE},
    {ENS_PLANT_NONE, PLANT_ONE_QUORUM},
    {ENS_PLANT_FORGETS, PLANT_NOTHING},
};

static bool
live(const struct seeds_life *life, uint64_t *hash)
{
	enum ens_plant world = life->plant >= 0 ? plants[life->plant].world : ENS_PLANT_NONE;
	struct life *l;
	bool good;

	zab_plant = (int)(life->plant >= 0 ? plants[life->plant].core : PLANT_NOTHING);
	l = life_new(life->seed, world, life->trace);
	life_live(l);
	good = l->e.world.violation[0] == '\0';
	if (!good && life->explain)
		world_explain(&l->e.world);
	if (life->counts)
		add_totals(&totals, l);
	*hash = l->e.world.hash;
	life_free(l);
	return good;
}

static void
print_marks(void)
{
	unsigned never = 0, all = 0;

	for (const struct core_mark *m = __start_core_marks; m < __stop_core_marks; m++, all++)
		if (m->count == 0) {
			printf("never: %s\n", m->name);
			never++;
		}
	printf("%u rare branches, %u of them never taken\n", all, never);
}

static void
print_totals(void)
{
	const struct totals *t = &totals;

	printf("%llu lives, %llu of them with at least %d faults and %d writes; %llu simulated "
	       "seconds, %llu steps\n",
	    (unsigned long long)t->lives, (unsigned long long)t->counted, FAULTS_MIN, WRITES_MIN,
	    (unsigned long long)t->simulated_ms / 1000, (unsigned long long)t->steps);
	printf(
	    "%llu writes, %llu reads, %llu syncs, %llu sessions, %llu refused; %llu leaderships, "
	    "%llu starts, %llu reloads, %llu snapshots, %llu stops at a failure, %llu refused to "
	    "start with damage, %llu emptied; memory held against the disk %llu times\n",
	    (unsigned long long)t->writes, (unsigned long long)t->reads,
	    (unsigned long long)t->syncs, (unsigned long long)t->sessions,
	    (unsigned long long)t->expired, (unsigned long long)t->leads,
	    (unsigned long long)t->starts, (unsigned long long)t->reloads,
	    (unsigned long long)t->snapshots, (unsigned long long)t->fatals,
	    (unsigned long long)t->refusals, (unsigned long long)t->repairs,
	    (unsigned long long)t->compared);
	printf("%llu reconfigs, %llu of which remove the leader, %llu refused; %llu members were "
	       "told of one "
	       "by hand\n",
	    (unsigned long long)t->reconfigs, (unsigned long long)t->removed_leaders,
	    (unsigned long long)t->refused_reconfigs, (unsigned long long)t->rescues);
	printf("faults:");
	for (int i = 0; i < FAULT_KINDS; i++)
		printf(" %s %llu%s", fault_names[i], (unsigned long long)t->faults[i],
		    i + 1 < FAULT_KINDS ? "," : "\n");
	print_marks();
}

int
main(int argc, char **argv)
{
	static const struct seeds_sim sim = {"zabsim", plant_names, BUGS, live, print_totals};

	return seeds_main(argc, argv, &sim);
}
