/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulates an ensemble: one to seven voters and observers, under faults of every kind. One seed is
 * one life; the same seed is the same life, to the last byte (the trace's hash shows it).
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "tests/sim/ens_life.h"
#include "zkserver/core/mark.h"
#include "zkserver/core/zab_plants.h"

/* A life counts if so much happened in it. */
#define FAULTS_MIN 3
#define WRITES_MIN 200

#define ROUNDS_MAX 101

int zab_plant; /* the bug in the cores */

extern struct core_mark __start_core_marks[], __stop_core_marks[];

struct totals {
	uint64_t lives, counted, steps, writes, reads, syncs, sessions, expired, leads, starts,
	    reloads, snapshots, fatals, refusals, repairs, compared,
	    simulated_ms, faults[FAULT_KINDS];
};

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

/* One life. True: nothing was violated; *hash is its trace's. */
static bool
run_seed(uint64_t seed, enum ens_plant plant, bool trace, bool explain, struct totals *totals,
    uint64_t *hash)
{
	struct life *l = life_new(seed, plant, trace);
	bool good;

	life_live(l);
	good = l->e.world.violation[0] == '\0';
	if (!good && explain)
		world_explain(&l->e.world);
	if (totals != NULL)
		add_totals(totals, l);
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
print_totals(const struct totals *t)
{
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
	printf("faults:");
	for (int i = 0; i < FAULT_KINDS; i++)
		printf(" %s %llu%s", fault_names[i], (unsigned long long)t->faults[i],
		    i + 1 < FAULT_KINDS ? "," : "\n");
}

struct options {
	uint64_t from, seeds, seconds; /* seconds > 0: no new seed after so long */
	uint64_t rounds;	       /* a planted bug is to be found so many times */
	bool trace, twice, expect_found;
	enum ens_plant plant;
};

static bool
time_is_left(const struct options *o, time_t end)
{
	return o->seconds == 0 || time(NULL) < end;
}

static int
run_many(const struct options *o)
{
	struct totals totals = {0};
	time_t end = time(NULL) + (time_t)o->seconds;

	for (uint64_t i = 0; i < o->seeds && time_is_left(o, end); i++) {
		uint64_t seed = o->from + i, hash, again;

		if (!run_seed(seed, o->plant, o->trace, true, &totals, &hash))
			return 1;
		if (o->twice &&
		    (!run_seed(seed, o->plant, false, true, NULL, &again) || again != hash)) {
			printf("seed %llu is not the same life twice\n", (unsigned long long)seed);
			return 1;
		}
		if (o->seeds == 1)
			printf("seed %llu: trace hash %016llx\n", (unsigned long long)seed,
			    (unsigned long long)hash);
	}
	print_totals(&totals);
	print_marks();
	return 0;
}

static int
by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* A life of its own process: an assertion that fails finds the bug, too. */
static bool
run_apart(uint64_t seed, enum ens_plant plant)
{
	uint64_t hash;
	int status;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(71);
		_exit(!run_seed(seed, plant, false, false, NULL, &hash));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		exit(71);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* How many seeds it takes to find the planted bug, again and again; the median must do. */
static int
find_plant(const struct options *o)
{
	time_t end = time(NULL) + (time_t)o->seconds;
	uint64_t seed = o->from, took[ROUNDS_MAX];

	for (uint64_t i = 0; i < o->rounds; i++) {
		bool good = true;

		for (took[i] = 0; good && took[i] < o->seeds && time_is_left(o, end); took[i]++)
			good = run_apart(seed++, o->plant);
		if (good)
			took[i] = UINT64_MAX;
		else if (o->rounds == 1)
			printf("found with seed %llu\n", (unsigned long long)seed - 1);
	}
	qsort(took, (size_t)o->rounds, sizeof took[0], by_size);
	if (took[o->rounds / 2] == UINT64_MAX) {
		printf("a planted bug was not found within %llu seeds\n",
		    (unsigned long long)o->seeds);
		return 1;
	}
	printf("found within %llu seeds (median of %llu)\n",
	    (unsigned long long)took[o->rounds / 2], (unsigned long long)o->rounds);
	return 0;
}

static const struct {
	const char *name;
	enum ens_plant world; /* in the simulation's disk and shell */
	enum zab_plant core;
} plants[] = {
    {"early-ack", ENS_PLANT_EARLY_ACK, PLANT_NOTHING},
    {"no-sync", ENS_PLANT_NO_SYNC, PLANT_NOTHING},
    {"no-dir-sync", ENS_PLANT_NO_DIR_SYNC, PLANT_NOTHING},
    {"early-agreement", ENS_PLANT_NONE, PLANT_EARLY_AGREEMENT},
    {"epoch-first", ENS_PLANT_NONE, PLANT_EPOCH_FIRST},
    {"always-diff", ENS_PLANT_NONE, PLANT_ALWAYS_DIFF},
    {"snapshot-stays", ENS_PLANT_NONE, PLANT_SNAPSHOT_STAYS},
    {"no-drain", ENS_PLANT_NONE, PLANT_NO_DRAIN},
    {"learner-early-ack", ENS_PLANT_NONE, PLANT_EARLY_ACK},
    {"adopt-in-place", ENS_PLANT_NONE, PLANT_ADOPT_IN_PLACE},
};

#define PLANTS (sizeof plants / sizeof plants[0])

static int
usage(FILE *to)
{
	fputs("usage: zabsim [--trace] [--twice] SEED\n"
	      "       zabsim [--twice] [--time SECONDS] --seeds N [--from SEED]\n"
	      "       zabsim --plant BUG [--rounds N] --seeds N [--from SEED]\n"
	      "Without --from the first seed is random, and is printed. --plant puts a bug in, and "
	      "succeeds when it is found within so many seeds (in the median of the rounds):",
	    to);
	for (size_t i = 0; i < PLANTS; i++)
		fprintf(to, " %s", plants[i].name);
	fputs(".\n", to);
	return to == stdout ? 0 : 64;
}

static bool
parse_plant(const char *text, enum ens_plant *plant)
{
	for (size_t i = 0; i < PLANTS; i++)
		if (strcmp(text, plants[i].name) == 0) {
			*plant = plants[i].world;
			zab_plant = (int)plants[i].core;
			return true;
		}
	return false;
}

static bool
parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
	    {"trace", no_argument, NULL, 't'},
	    {"twice", no_argument, NULL, '2'},
	    {"plant", required_argument, NULL, 'p'},
	    {"rounds", required_argument, NULL, 'r'},
	    {"time", required_argument, NULL, 's'},
	    {"seeds", required_argument, NULL, 'n'},
	    {"from", required_argument, NULL, 'f'},
	    {NULL, 0, NULL, 0},
	};
	bool ok = true, from = false;
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1 && ok) {
		if (c == 't')
			o->trace = true;
		else if (c == '2')
			o->twice = true;
		else if (c == 'p')
			ok = o->expect_found = parse_plant(optarg, &o->plant);
		else if (c == 'r')
			ok = str_to_u64(optarg, 1, ROUNDS_MAX, &o->rounds);
		else if (c == 's')
			ok = str_to_u64(optarg, 1, 1000000, &o->seconds);
		else if (c == 'n')
			ok = str_to_u64(optarg, 1, UINT32_MAX, &o->seeds);
		else if (c == 'f')
			ok = from = str_to_u64(optarg, 0, UINT64_MAX / 2, &o->from);
		else
			ok = false;
	}
	if (ok && optind + 1 == argc && o->seeds == 0) {
		o->seeds = 1;
		return str_to_u64(argv[optind], 0, UINT64_MAX / 2, &o->from);
	}
	if (!ok || optind != argc || o->seeds == 0)
		return false;
	if (!from) {
		if (getrandom(&o->from, sizeof(o->from), 0) != sizeof(o->from))
			return false;
		o->from %= 1000000000;
		printf("from seed %llu\n", (unsigned long long)o->from);
	}
	return true;
}

int
main(int argc, char **argv)
{
	struct options o = {.rounds = 1};

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout);
	if (!parse(argc, argv, &o))
		return usage(stderr);
	return o.expect_found && o.seeds > 1 ? find_plant(&o) : run_many(&o);
}
