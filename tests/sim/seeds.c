/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/seeds.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "libcommon/base/hash.h"
#include "libcommon/base/str.h"

#define ROUNDS_MAX 101
#define FRESH_BELOW 1000000000

struct options {
	uint64_t from, seeds, seconds; /* seconds > 0: no new seed after so long */
	uint64_t rounds;	       /* a planted bug is to be found so many times */
	bool trace, twice;
	int plant;
};

static bool
time_is_left(const struct options *o, time_t end)
{
	return o->seconds == 0 || time(NULL) < end;
}

/* A number that is the same only for the same program; 0: it cannot be read. */
static uint64_t
hash_program(void)
{
	static const struct hash_key key = {0, 0};
	FILE *f = fopen("/proc/self/exe", "rb");
	uint8_t chunk[4096];
	uint64_t hash = 0;
	size_t n;

	while (f != NULL && (n = fread(chunk, 1, sizeof chunk, f)) > 0)
		hash = hash_u64(hash ^ hash_bytes(&key, chunk, n));
	if (f != NULL)
		fclose(f);
	return hash;
}

/* What must be the same for the same life, and how to have it again. */
static void
print_origin(const struct seeds_sim *sim, const struct seeds_life *life)
{
	const char *plant = life->plant >= 0 ? sim->plants[life->plant] : NULL;

	printf("build: corral %s, compiler %s, program %016llx\n"
	       "replay: %s --trace %s%s%s%llu\n",
	    PACKAGE_VERSION, __VERSION__, (unsigned long long)hash_program(), sim->name,
	    plant != NULL ? "--plant " : "", plant != NULL ? plant : "", plant != NULL ? " " : "",
	    (unsigned long long)life->seed);
}

static int
run_many(const struct seeds_sim *sim, const struct options *o)
{
	time_t end = time(NULL) + (time_t)o->seconds;

	for (uint64_t i = 0; i < o->seeds && time_is_left(o, end); i++) {
		struct seeds_life life = {o->from + i, o->plant, o->trace, true, true},
				  again = life;
		uint64_t hash, hash_again;

		if (!sim->live(&life, &hash)) {
			print_origin(sim, &life);
			return 1;
		}
		again.trace = again.counts = false;
		if (o->twice && (!sim->live(&again, &hash_again) || hash_again != hash)) {
			printf("seed %llu is not the same life twice\n",
			    (unsigned long long)life.seed);
			return 1;
		}
		if (o->seeds == 1)
			printf("seed %llu: trace hash %016llx\n", (unsigned long long)life.seed,
			    (unsigned long long)hash);
	}
	sim->print_totals();
	return 0;
}

/* A life of its own process: an assertion that fails finds the bug, too. */
static bool
run_apart(const struct seeds_sim *sim, uint64_t seed, int plant)
{
	const struct seeds_life life = {.seed = seed, .plant = plant};
	uint64_t hash;
	int status;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(71);
		_exit(!sim->live(&life, &hash));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		exit(71);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int
by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* How many seeds it takes to find the planted bug, again and again; the median must do. */
static int
find_plant(const struct seeds_sim *sim, const struct options *o)
{
	time_t end = time(NULL) + (time_t)o->seconds;
	uint64_t seed = o->from, took[ROUNDS_MAX], median;

	for (uint64_t i = 0; i < o->rounds; i++) {
		bool good = true;

		for (took[i] = 0; good && took[i] < o->seeds && time_is_left(o, end); took[i]++)
			good = run_apart(sim, seed++, o->plant);
		if (good)
			took[i] = UINT64_MAX;
		else if (o->rounds == 1)
			printf("found with seed %llu\n", (unsigned long long)seed - 1);
	}
	qsort(took, (size_t)o->rounds, sizeof took[0], by_size);
	median = took[o->rounds / 2];
	if (median == UINT64_MAX) {
		printf("a planted bug was not found within %llu seeds\n",
		    (unsigned long long)o->seeds);
		return 1;
	}
	printf("found within %llu seeds (median of %llu)\n", (unsigned long long)median,
	    (unsigned long long)o->rounds);
	return 0;
}

static int
usage(const struct seeds_sim *sim, FILE *to)
{
	fprintf(to,
	    "usage: %s [--trace] [--twice] [--plant BUG] SEED\n"
	    "       %s [--twice] [--time SECONDS] --seeds N [--from SEED]\n"
	    "       %s --plant BUG [--rounds N] --seeds N [--from SEED]\n"
	    "%s\n"
	    "A seed alone is replayed, step by step as it was; --trace prints all that happens. "
	    "When "
	    "something that must hold does not, the last events, the build, the seed and the "
	    "predicate are printed, and the exit status is 1.\n"
	    "--seeds lives through so many; without --from the first one is random, and is "
	    "printed; "
	    "--time begins none after so long. --twice lives each twice, and holds them against "
	    "each "
	    "other. --plant puts a bug in, and with --seeds succeeds when it is found within so "
	    "many "
	    "(in the median of the rounds):",
	    sim->name, sim->name, sim->name, sim->about);
	for (size_t i = 0; i < sim->plant_count; i++)
		fprintf(to, " %s", sim->plants[i]);
	fputs(".\n", to);
	return to == stdout ? 0 : 64;
}

static bool
parse_plant(const struct seeds_sim *sim, const char *text, int *plant)
{
	for (size_t i = 0; i < sim->plant_count; i++)
		if (strcmp(text, sim->plants[i]) == 0) {
			*plant = (int)i;
			return true;
		}
	return false;
}

static bool
draw_from(struct options *o)
{
	if (getrandom(&o->from, sizeof o->from, 0) != sizeof o->from)
		return false;
	o->from %= FRESH_BELOW;
	printf("from seed %llu\n", (unsigned long long)o->from);
	return true;
}

static bool
parse(int argc, char **argv, const struct seeds_sim *sim, struct options *o)
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

	while (ok && (c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 't')
			o->trace = true;
		else if (c == '2')
			o->twice = true;
		else if (c == 'p')
			ok = parse_plant(sim, optarg, &o->plant);
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
	return ok && optind == argc && o->seeds > 0 && (from || draw_from(o));
}

int
seeds_main(int argc, char **argv, const struct seeds_sim *sim)
{
	struct options o = {.rounds = 1, .plant = -1};

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(sim, stdout);
	if (!parse(argc, argv, sim, &o))
		return usage(sim, stderr);
	/* A single seed is replayed, bug and all. */
	return o.plant >= 0 && o.seeds > 1 ? find_plant(sim, &o) : run_many(sim, &o);
}
