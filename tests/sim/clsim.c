/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulates a cluster: one to four masters, three to twelve agents, their executors and tasks, over
 * a model of an ensemble, under faults of every kind. One seed is one life; the same seed is the
 * same life, to the last line of its trace.
 */
#include <stdio.h>

#include "libcommon/base/plants.h"
#include "tests/sim/cl_life.h"
#include "tests/sim/marks.h"
#include "tests/sim/seeds.h"

/* A life counts if so much happened in it. */
#define LIFE_MS_MIN 600000
#define AGENTS_MIN 5
#define MASTERS_MIN 2
#define TASKS_MIN 50
#define FAULTS_MIN 3

struct totals {
	uint64_t lives, counted, steps, simulated_ms, faults[CLF_KINDS], deeds[CLD_KINDS], lates,
	    master_starts, agent_starts, gathered;
	struct cl_totals seen;
};

static struct totals totals;

static void
add_totals(struct totals *t, const struct cl_life *l)
{
	const struct cl_totals *seen = cl_check_totals(l->c);
	uint64_t faults = 0;

	t->lives++;
	t->steps += l->c->world.steps;
	t->simulated_ms += l->c->world.now_ms;
	t->lates += l->c->lates;
	t->gathered += l->c->gathered;
	t->seen.tasks += seen->tasks;
	t->seen.starts += seen->starts;
	t->seen.ended += seen->ended;
	t->seen.acks += seen->acks;
	t->seen.kills += seen->kills;
	t->seen.elections += seen->elections;
	t->seen.marks += seen->marks;
	for (unsigned i = 0; i < l->c->conf.masters; i++)
		t->master_starts += l->c->masters[i]->starts;
	for (unsigned i = 0; i < l->c->conf.agents; i++)
		t->agent_starts += l->c->hosts[i]->starts;
	for (int i = 0; i < CLD_KINDS; i++)
		t->deeds[i] += l->deeds[i];
	t->seen.compared += seen->compared;
	for (int i = 0; i < CLF_KINDS; i++) {
		t->faults[i] += l->faults[i];
		faults += l->faults[i];
	}
	t->counted += l->c->world.now_ms >= LIFE_MS_MIN && l->c->conf.agents >= AGENTS_MIN &&
		      l->c->conf.masters >= MASTERS_MIN && seen->tasks >= TASKS_MIN &&
		      faults >= FAULTS_MIN;
}

int zab_plant; /* the bug in the cores */

#define BUGS 28

static const char *const plant_names[BUGS] = {"output-first", "pings-prove", "ack-first",
    "registration-ignored", "end-early", "recovering-untold", "term-unchecked",
    "lease-from-arrival", "lease-duration", "grace-forgotten", "launch-uncommitted",
    "limit-unstored", "limit-forgets", "weights-ignored", "drain-ignored", "mark-ends-singles",
    "term-in-memory", "era-ignored", "pid-alone", "need-wraps", "words-outlive", "launch-at-once",
    "lease-kept", "rot-is-cut", "first-candidates", "strangers-stay", "unread-forgotten",
    "newest-own"};

/* Where each of them is planted. */
static const struct {
	enum cl_plant world;
	enum zab_plant core;
} plants[BUGS] = {
    {CL_PLANT_OUTPUT_FIRST, PLANT_NOTHING},
    {CL_PLANT_PINGS_PROVE, PLANT_NOTHING},
    {CL_PLANT_ACK_FIRST, PLANT_NOTHING},
    {CL_PLANT_REGISTRATION_IGNORED, PLANT_NOTHING},
    {CL_PLANT_END_EARLY, PLANT_NOTHING},
    {CL_PLANT_RECOVERING_UNTOLD, PLANT_NOTHING},
    {CL_PLANT_NONE, PLANT_TERM_UNCHECKED},
    {CL_PLANT_NONE, PLANT_LEASE_FROM_ARRIVAL},
    {CL_PLANT_NONE, PLANT_LEASE_DURATION},
    {CL_PLANT_NONE, PLANT_GRACE_FORGOTTEN},
    {CL_PLANT_NONE, PLANT_LAUNCH_UNCOMMITTED},
    {CL_PLANT_NONE, PLANT_LIMIT_UNSTORED},
    {CL_PLANT_NONE, PLANT_LIMIT_FORGETS},
    {CL_PLANT_NONE, PLANT_WEIGHTS_IGNORED},
    {CL_PLANT_NONE, PLANT_DRAIN_IGNORED},
    {CL_PLANT_NONE, PLANT_MARK_ENDS_SINGLES},
    {CL_PLANT_NONE, PLANT_TERM_IN_MEMORY},
    {CL_PLANT_NONE, PLANT_ERA_IGNORED},
    {CL_PLANT_NONE, PLANT_PID_ALONE},
    {CL_PLANT_NONE, PLANT_NEED_WRAPS},
    {CL_PLANT_NONE, PLANT_WORDS_OUTLIVE},
    {CL_PLANT_NONE, PLANT_LAUNCH_AT_ONCE},
    {CL_PLANT_NONE, PLANT_LEASE_KEPT},
    {CL_PLANT_NONE, PLANT_ROT_IS_CUT},
    {CL_PLANT_NONE, PLANT_FIRST_CANDIDATES},
    {CL_PLANT_NONE, PLANT_STRANGERS_STAY},
    {CL_PLANT_NONE, PLANT_UNREAD_FORGOTTEN},
    {CL_PLANT_NONE, PLANT_NEWEST_OWN},
};

static bool
live(const struct seeds_life *life, uint64_t *hash)
{
	enum cl_plant world = life->plant >= 0 ? plants[life->plant].world : CL_PLANT_NONE;
	struct cl_life *l;
	bool good;

	zab_plant = (int)(life->plant >= 0 ? plants[life->plant].core : PLANT_NOTHING);
	l = cl_life_new(life->seed, world, life->trace);
	cl_life_live(l);
	good = l->c->world.violation[0] == '\0';
	if (!good && life->explain)
		world_explain(&l->c->world);
	if (life->counts)
		add_totals(&totals, l);
	*hash = l->c->world.hash;
	cl_life_free(l);
	return good;
}

static void
print_totals(void)
{
	const struct totals *t = &totals;

	printf("%llu lives, %llu of them count (%d minutes, %d agents, %d masters, %d tasks, %d "
	       "faults at least); %llu simulated seconds, %llu steps\n",
	    (unsigned long long)t->lives, (unsigned long long)t->counted, LIFE_MS_MIN / 60000,
	    AGENTS_MIN, MASTERS_MIN, TASKS_MIN, FAULTS_MIN,
	    (unsigned long long)t->simulated_ms / 1000, (unsigned long long)t->steps);
	printf("%llu tasks, %llu ended, %llu programs started, %llu acknowledgements, %llu kills; "
	       "%llu elections, %llu agents marked unreachable, %llu starts of masters, %llu of "
	       "agents, %llu messages read too late, %llu events in the turn of another\n",
	    (unsigned long long)t->seen.tasks, (unsigned long long)t->seen.ended,
	    (unsigned long long)t->seen.starts, (unsigned long long)t->seen.acks,
	    (unsigned long long)t->seen.kills, (unsigned long long)t->seen.elections,
	    (unsigned long long)t->seen.marks, (unsigned long long)t->master_starts,
	    (unsigned long long)t->agent_starts, (unsigned long long)t->lates,
	    (unsigned long long)t->gathered);
	printf("operators:");
	for (int i = 0; i < CLD_KINDS; i++)
		printf(" %s %llu,", cl_deed_names[i], (unsigned long long)t->deeds[i]);
	printf(" %llu turns beside the oracle\n", (unsigned long long)t->seen.compared);
	printf("faults:");
	for (int i = 0; i < CLF_KINDS; i++)
		printf(" %s %llu%s", cl_fault_names[i], (unsigned long long)t->faults[i],
		    i + 1 < CLF_KINDS ? "," : "\n");
	marks_print();
}

int
main(int argc, char **argv)
{
	static const struct seeds_sim sim = {"clsim",
	    "Lives of a cluster: masters, agents and executors as they are shipped, over a model "
	    "of "
	    "an ensemble (zabsim has the real one).",
	    plant_names, BUGS, live, print_totals};

	return seeds_main(argc, argv, &sim);
}
