/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulates an ensemble: one to seven voters and observers, under faults of every kind. One seed is
 * one life; the same seed is the same life, to the last byte (the trace's hash shows it).
 */
#include <stdio.h>

#include "tests/sim/ens_life.h"
#include "tests/sim/marks.h"
#include "tests/sim/seeds.h"
#include "libcommon/base/plants.h"

/* A life counts if so much happened in it. */
#define FAULTS_MIN 3
#define WRITES_MIN 200

int zab_plant; /* the bug in the cores */

struct totals {
	uint64_t lives, counted, steps, writes, reads, syncs, sessions, expired, leads, starts,
	    reconfigs, refused_reconfigs, removed_leaders, rescues, reloads, snapshots, fatals,
	    refusals, epochs_refused, repairs, compared, purged, fuzzies, simulated_ms, sizes[8],
	    observers, faults[FAULT_KINDS];
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
	t->sizes[l->e.voters]++;
	t->observers += l->e.members_count > l->e.voters;
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
		t->purged += l->e.nodes[i].purged;
		t->fuzzies += l->e.nodes[i].fuzzies;
		t->epochs_refused += l->e.nodes[i].epochs_refused;
	}
	for (int i = 0; i < FAULT_KINDS; i++) {
		t->faults[i] += l->faults[i];
		faults += l->faults[i];
	}
	t->counted += faults >= FAULTS_MIN && l->e.check.acked_writes >= WRITES_MIN;
}

/* A bug, and where it is planted. */
struct bug {
	const char *name;
	enum ens_plant world; /* in the simulation's disk and shell */
	enum zab_plant core;
};

static const struct bug bugs[] = {{"early-ack", ENS_PLANT_EARLY_ACK, PLANT_NOTHING},
    {"no-sync", ENS_PLANT_NO_SYNC, PLANT_NOTHING},
    {"no-dir-sync", ENS_PLANT_NO_DIR_SYNC, PLANT_NOTHING},
    {"early-agreement", ENS_PLANT_NONE, PLANT_EARLY_AGREEMENT},
    {"epoch-first", ENS_PLANT_NONE, PLANT_EPOCH_FIRST},
    {"always-diff", ENS_PLANT_NONE, PLANT_ALWAYS_DIFF},
    {"snapshot-stays", ENS_PLANT_NONE, PLANT_SNAPSHOT_STAYS},
    {"no-drain", ENS_PLANT_NONE, PLANT_NO_DRAIN},
    {"learner-early-ack", ENS_PLANT_NONE, PLANT_EARLY_ACK},
    {"adopt-in-place", ENS_PLANT_NONE, PLANT_ADOPT_IN_PLACE},
    {"one-quorum", ENS_PLANT_NONE, PLANT_ONE_QUORUM},
    {"forgets-proposed", ENS_PLANT_FORGETS, PLANT_NOTHING},
    {"observers-count", ENS_PLANT_NONE, PLANT_OBSERVERS_COUNT},
    {"tail-forgotten", ENS_PLANT_NONE, PLANT_TAIL_FORGOTTEN},
    {"lost-write", ENS_PLANT_NONE, PLANT_LOST_WRITE},
    {"zeros-end", ENS_PLANT_NONE, PLANT_ZEROS_END},
    {"damage-ends", ENS_PLANT_NONE, PLANT_DAMAGE_ENDS},
    {"gap-ends", ENS_PLANT_NONE, PLANT_GAP_ENDS},
    {"replay-strict", ENS_PLANT_NONE, PLANT_REPLAY_STRICT},
    {"half-multi", ENS_PLANT_NONE, PLANT_HALF_MULTI},
    {"named-ahead", ENS_PLANT_NONE, PLANT_NAMED_AHEAD},
    {"endless-snapshot", ENS_PLANT_NONE, PLANT_ENDLESS_SNAPSHOT},
    {"purge-counts-all", ENS_PLANT_NONE, PLANT_PURGE_COUNTS_ALL},
    {"epoch-zero", ENS_PLANT_NONE, PLANT_EPOCH_ZERO},
    {"read-only-writes", ENS_PLANT_NONE, PLANT_READ_ONLY_WRITES},
    {"events-for-all", ENS_PLANT_NONE, PLANT_EVENTS_FOR_ALL},
    {"reply-first", ENS_PLANT_NONE, PLANT_REPLY_FIRST},
#define SIM_PLANT(name, text) {text, ENS_PLANT_NONE, PLANT_##name},
    ZAB_SIM_PLANT_LIST(SIM_PLANT)
#undef SIM_PLANT
};

enum { BUGS = sizeof bugs / sizeof bugs[0] };

static bool
live(const struct seeds_life *life, uint64_t *hash)
{
	static const struct bug none = {.world = ENS_PLANT_NONE, .core = PLANT_NOTHING};
	const struct bug *bug = life->plant >= 0 ? &bugs[life->plant] : &none;
	struct life *l;
	bool good;

	zab_plant = (int)bug->core;
	l = life_new(life->seed, bug->world, life->trace);
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
print_totals(void)
{
	const struct totals *t = &totals;

	printf("%llu lives, %llu of them with at least %d faults and %d writes; %llu simulated "
	       "seconds, %llu steps\n",
	    (unsigned long long)t->lives, (unsigned long long)t->counted, FAULTS_MIN, WRITES_MIN,
	    (unsigned long long)t->simulated_ms / 1000, (unsigned long long)t->steps);
	printf(
	    "%llu writes, %llu reads, %llu syncs, %llu sessions, %llu refused; %llu leaderships, "
	    "%llu starts, %llu reloads, %llu snapshots (%llu fuzzy), %llu files purged, %llu stops "
	    "at a "
	    "failure, %llu refused to start with damage (%llu of them for an epoch), %llu emptied; "
	    "memory held against the disk %llu times\n",
	    (unsigned long long)t->writes, (unsigned long long)t->reads,
	    (unsigned long long)t->syncs, (unsigned long long)t->sessions,
	    (unsigned long long)t->expired, (unsigned long long)t->leads,
	    (unsigned long long)t->starts, (unsigned long long)t->reloads,
	    (unsigned long long)t->snapshots, (unsigned long long)t->fuzzies,
	    (unsigned long long)t->purged, (unsigned long long)t->fatals,
	    (unsigned long long)t->refusals, (unsigned long long)t->epochs_refused,
	    (unsigned long long)t->repairs, (unsigned long long)t->compared);
	printf("%llu reconfigs, %llu of which remove the leader, %llu refused; %llu members were "
	       "told of one "
	       "by hand\n",
	    (unsigned long long)t->reconfigs, (unsigned long long)t->removed_leaders,
	    (unsigned long long)t->refused_reconfigs, (unsigned long long)t->rescues);
	printf("voters:");
	for (int i = 1; i <= 7; i++)
		printf(" %d in %llu lives,", i, (unsigned long long)t->sizes[i]);
	printf(" with observers %llu\nfaults:", (unsigned long long)t->observers);
	for (int i = 0; i < FAULT_KINDS; i++)
		printf(" %s %llu%s", fault_names[i], (unsigned long long)t->faults[i],
		    i + 1 < FAULT_KINDS ? "," : "\n");
	marks_print();
}

int
main(int argc, char **argv)
{
	static const char *names[BUGS];
	static const struct seeds_sim sim = {"zabsim",
	    "zabsim simulates an ensemble: one to seven voters, observers, clients, a network, and "
	    "disks. zksim simulates a server alone, and its disk.",
	    names, BUGS, live, print_totals};

	for (int i = 0; i < BUGS; i++)
		names[i] = bugs[i].name;
	return seeds_main(argc, argv, &sim);
}
