/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulates an ensemble: one to seven voters and observers, under faults of every kind. One seed is
 * one life; the same seed is the same life, to the last byte (the trace's hash shows it).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "libcommon/base/str.h"
#include "tests/sim/ens.h"

/* How long clients and faults go on, and how long an ensemble without faults may take to recover.
 */
#define LIFE_MS 120000
#define CALM_MS 120000

/* A life counts if so much happened in it. */
#define FAULTS_MIN 3
#define WRITES_MIN 200

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
	FAULT_KINDS
};

static const char *const fault_names[FAULT_KINDS] = {"kill", "power loss", "power loss in a write",
    "disk error", "power loss of all", "pause", "isolation", "one-way cut", "cut of a pair",
    "split", "reset", "heal", "clock step"};

struct life {
	struct ens e;
	struct rng rng;
	bool enabled[FAULT_KINDS];
	uint64_t pace_ms;
	uint64_t faults[FAULT_KINDS];
	bool calm;
};

struct totals {
	uint64_t lives, counted, steps, writes, reads, syncs, sessions, expired, leads, starts,
	    reloads, snapshots, fatals, simulated_ms, faults[FAULT_KINDS];
};

static struct ens_node *
any_node(struct life *l)
{
	return &l->e.nodes[rng_below(&l->rng, l->e.count)];
}

static void
split(struct life *l)
{
	uint64_t side = rng_u64(&l->rng);

	for (unsigned a = 0; a < l->e.count; a++)
		for (unsigned b = 0; b < l->e.count; b++)
			if ((side >> a & 1) != (side >> b & 1))
				ens_net_block(&l->e, a, b, true);
}

static void
cut_off(struct life *l, unsigned a, bool in, bool out)
{
	for (unsigned b = 0; b < l->e.count; b++) {
		if (in)
			ens_net_block(&l->e, b, a, true);
		if (out)
			ens_net_block(&l->e, a, b, true);
	}
}

static void
inject(struct life *l, enum fault_kind kind)
{
	struct ens_node *n = any_node(l), *other = any_node(l);
	uint64_t way;

	world_trace(&l->e.world, "fault: %s at %lld", fault_names[kind], (long long)n->sid);
	l->faults[kind]++;
	switch (kind) {
	case FAULT_CRASH:
		ens_node_crash(n, false, "killed");
		break;
	case FAULT_POWER:
		ens_node_crash(n, true, "power loss");
		break;
	case FAULT_POWER_AT:
		simdisk_stop_at(n->disk, simdisk_ops(n->disk) + 1 + rng_below(&l->rng, 25));
		break;
	case FAULT_ERROR_AT:
		simdisk_fail_at(n->disk, simdisk_ops(n->disk) + 1 + rng_below(&l->rng, 25),
		    rng_below(&l->rng, 2) == 0 ? -EIO : -ENOSPC);
		break;
	case FAULT_ALL_POWER:
		for (unsigned i = 0; i < l->e.count; i++)
			ens_node_crash(&l->e.nodes[i], true, "power loss of all");
		break;
	case FAULT_PAUSE:
		n->paused_until_ms = l->e.world.now_ms + rng_below(&l->rng, 8 * l->e.tick_ms);
		break;
	case FAULT_ISOLATE:
		cut_off(l, n->index, true, true);
		break;
	case FAULT_ONE_WAY:
		way = rng_below(&l->rng, 2);
		cut_off(l, n->index, way == 0, way == 1);
		break;
	case FAULT_PAIR:
		ens_net_block(&l->e, n->index, other->index, true);
		ens_net_block(&l->e, other->index, n->index, true);
		break;
	case FAULT_SPLIT:
		split(l);
		break;
	case FAULT_RESET:
		ens_net_reset(&l->e, n->index, other->index);
		break;
	case FAULT_HEAL:
		ens_net_heal(&l->e);
		break;
	case FAULT_CLOCK:
		n->wall_offset_ms += (int64_t)rng_below(&l->rng, 2 * 86400000) - 86400000;
		break;
	case FAULT_KINDS:
		break;
	}
}

static void
on_fault(void *arg, uint64_t token)
{
	struct life *l = arg;
	enum fault_kind kind = (enum fault_kind)rng_below(&l->rng, FAULT_KINDS);

	(void)token;
	if (l->calm)
		return;
	if (l->enabled[kind])
		inject(l, kind);
	world_at(&l->e.world, 1 + rng_below(&l->rng, l->pace_ms), on_fault, l, 0);
}

/* Let the world go on until a time, or until the condition holds. */
static bool
run_until(struct life *l, uint64_t end_ms, bool (*done)(const struct life *l))
{
	struct world *w = &l->e.world;

	while (w->violation[0] == '\0' && w->now_ms < end_ms && (done == NULL || !done(l)))
		if (!world_step(w))
			break;
	return done == NULL || done(l);
}

/* One leads, all others follow it, and all have applied the same. */
static bool
is_whole(const struct life *l)
{
	unsigned leaders = 0;
	int64_t zxid = 0;

	for (unsigned i = 0; i < l->e.count; i++) {
		const struct ens_node *n = &l->e.nodes[i];

		if (!n->up || !server_serves(&n->server) || n->server.pending_count > 0)
			return false;
		leaders += n->server.role == SERVER_LEADER;
		/* A leader that has made nothing yet is at its epoch's beginning. */
		if (n->server.role != SERVER_LEADER || (uint32_t)n->db.last_zxid != 0) {
			if (zxid != 0 && n->db.last_zxid != zxid)
				return false;
			zxid = n->db.last_zxid;
		}
	}
	return leaders == 1 && ens_clients_idle(&l->e);
}

static void
explain_not_whole(struct life *l)
{
	for (unsigned i = 0; i < l->e.count; i++) {
		const struct ens_node *n = &l->e.nodes[i];

		world_trace(&l->e.world,
		    "%lld: %s, %s, phase %d, role %d, zxid 0x%llx, %zu pending", (long long)n->sid,
		    n->up ? "up" : "down", n->up ? peer_role_name(&n->peer) : "-",
		    n->up ? (int)n->peer.phase : -1, n->up ? (int)n->server.role : -1,
		    (unsigned long long)(n->up ? n->db.last_zxid : 0),
		    n->up ? n->server.pending_count : 0);
	}
	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		const struct ens_client *c = &l->e.clients[i];

		if (c->node != NULL)
			world_trace(&l->e.world, "client %u at %lld: %s, %zu requests wait", i,
			    (long long)c->node->sid, c->connected ? "connected" : "connecting",
			    c->request_count);
	}
	world_violation(
	    &l->e.world, "liveness: not whole %d s after the last fault", CALM_MS / 1000);
}

static void
compare_all(struct life *l)
{
	for (unsigned i = 1; i < l->e.count; i++)
		if (ens_digest(&l->e.nodes[i].db) != ens_digest(&l->e.nodes[0].db))
			world_violation(
			    &l->e.world, "Z15: in the end servers 1 and %u differ", i + 1);
}

static void
calm_down(struct life *l)
{
	l->calm = true;
	for (unsigned i = 0; i < l->e.count; i++) {
		struct ens_node *n = &l->e.nodes[i];

		simdisk_stop_at(n->disk, 0);
		simdisk_fail_at(n->disk, 0, 0);
	}
	ens_net_heal(&l->e);
	/* First with clients that go on, then to the end of what they asked for. */
	run_until(l, l->e.world.now_ms + 5000, NULL);
	l->e.quiet = true;
	if (!run_until(l, l->e.world.now_ms + CALM_MS, is_whole))
		explain_not_whole(l);
	else if (l->e.world.violation[0] == '\0')
		compare_all(l);
}

static void
draw(struct life *l)
{
	static const unsigned sizes[] = {1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 7};
	struct ens *e = &l->e;
	char text[1024];
	int len = 0;
	struct fault f = {{0}};

	e->voters = sizes[rng_below(&l->rng, sizeof sizes / sizeof sizes[0])];
	e->count =
	    e->voters + (rng_below(&l->rng, 3) == 0 ? 1 + (unsigned)rng_below(&l->rng, 2) : 0);
	if (e->count == 1)
		e->count = e->voters = 2;
	e->tick_ms = 200 + (uint32_t)rng_below(&l->rng, 1800);
	for (unsigned i = 0; i < e->count; i++)
		len += snprintf(text + len, sizeof text - (size_t)len,
		    "server.%u=10.0.0.%u:2888:3888:%s\n", i + 1, i + 1,
		    i < e->voters ? "participant" : "observer");
	if (members_parse(&e->members, text, (size_t)len, &f) != 0) {
		fprintf(stderr, "zabsim: %s\n", f.text);
		exit(70);
	}
	for (int i = 0; i < FAULT_KINDS; i++)
		l->enabled[i] = i == FAULT_HEAL || rng_below(&l->rng, 2) == 0;
	l->pace_ms = 500 + rng_below(&l->rng, 8000);
}

static void
live(struct life *l)
{
	for (unsigned i = 0; i < l->e.count; i++)
		ens_node_start(&l->e.nodes[i]);
	ens_clients_start(&l->e);
	world_at(&l->e.world, rng_below(&l->rng, 4000), on_fault, l, 0);
	run_until(l, LIFE_MS, NULL);
	if (l->e.world.violation[0] == '\0')
		calm_down(l);
}

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
	struct life *l = calloc(1, sizeof *l);
	bool good;

	if (l == NULL)
		exit(71);
	world_init(&l->e.world, seed, trace);
	world_rng(&l->e.world, "faults", &l->rng);
	l->e.plant = plant;
	draw(l);
	ens_net_init(&l->e);
	ens_check_init(&l->e.check);
	ens_clients_init(&l->e);
	for (unsigned i = 0; i < l->e.count; i++)
		if (!ens_node_init(&l->e.nodes[i], &l->e, i))
			exit(71);
	live(l);
	good = l->e.world.violation[0] == '\0';
	if (!good && explain)
		world_explain(&l->e.world);
	if (totals != NULL)
		add_totals(totals, l);
	*hash = l->e.world.hash;
	for (unsigned i = 0; i < l->e.count; i++)
		ens_node_fini(&l->e.nodes[i]);
	ens_net_fini(&l->e);
	ens_clients_fini(&l->e);
	ens_check_fini(&l->e.check);
	world_fini(&l->e.world);
	free(l);
	return good;
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
	    "%llu starts, %llu reloads, %llu snapshots, %llu stops at a failure\n",
	    (unsigned long long)t->writes, (unsigned long long)t->reads,
	    (unsigned long long)t->syncs, (unsigned long long)t->sessions,
	    (unsigned long long)t->expired, (unsigned long long)t->leads,
	    (unsigned long long)t->starts, (unsigned long long)t->reloads,
	    (unsigned long long)t->snapshots, (unsigned long long)t->fatals);
	printf("faults:");
	for (int i = 0; i < FAULT_KINDS; i++)
		printf(" %s %llu%s", fault_names[i], (unsigned long long)t->faults[i],
		    i + 1 < FAULT_KINDS ? "," : "\n");
}

struct options {
	uint64_t from, seeds, seconds; /* seconds > 0: no new seed after so long */
	bool trace, twice, expect_found;
	enum ens_plant plant;
};

static int
run_many(const struct options *o)
{
	struct totals totals = {0};
	time_t end = time(NULL) + (time_t)o->seconds;
	uint64_t i;

	for (i = 0; i < o->seeds && (o->seconds == 0 || time(NULL) < end); i++) {
		uint64_t seed = o->from + i, hash, again;
		bool good = run_seed(seed, o->plant, o->trace, !o->expect_found, &totals, &hash);

		if (!good && o->expect_found) {
			printf("found with seed %llu, the %lluth\n", (unsigned long long)seed,
			    (unsigned long long)i + 1);
			return 0;
		}
		if (!good)
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
	if (o->expect_found)
		printf("a planted bug was not found with %llu seeds\n", (unsigned long long)i);
	return o->expect_found;
}

static int
usage(FILE *to)
{
	fputs("usage: zabsim [--trace] [--twice] SEED\n"
	      "       zabsim [--twice] [--plant early-ack|no-sync|no-dir-sync] [--time SECONDS] "
	      "--seeds N [--from SEED]\n"
	      "Without --from the first seed is random, and is printed. --plant puts a bug in, and "
	      "succeeds when it is found.\n",
	    to);
	return to == stdout ? 0 : 64;
}

static bool
parse_plant(const char *text, enum ens_plant *plant)
{
	static const char *const names[ENS_PLANT_KINDS] = {
	    "none", "early-ack", "no-sync", "no-dir-sync"};

	for (int i = 1; i < ENS_PLANT_KINDS; i++)
		if (strcmp(text, names[i]) == 0) {
			*plant = (enum ens_plant)i;
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
	struct options o = {0};

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout);
	if (!parse(argc, argv, &o))
		return usage(stderr);
	return run_many(&o);
}
