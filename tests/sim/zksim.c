/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulates a standalone server of the ensemble: the shipped core and its files on a disk that
 * loses, tears and fails, under clients that do everything. One seed is one life; the same seed is
 * the same life, to the last byte (the trace's hash shows it).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/seeds.h"
#include "tests/sim/zkclient.h"
#include "tests/sim/zknode.h"
#include "zkserver/core/datadir.h"
#include "zkserver/core/recover.h"

/* How long clients and faults go on, and how long what is then on its way may take. */
#define LIFE_MS 20000
#define CALM_MS 60000

enum fault_kind {
	FAULT_CRASH,
	FAULT_POWER,
	FAULT_POWER_AT, /* during one of the disk's next operations */
	FAULT_ERROR_AT, /* one of the next operations fails */
	FAULT_FULL,
	FAULT_CLOCK,
	FAULT_KINDS
};

struct life {
	struct world world;
	struct zknode node;
	struct rng rng; /* of the faults */
	bool enabled[FAULT_KINDS];
	bool calm;
	uint64_t clock_steps, damage, damage_refused;
};

/* Over all lives. */
struct totals {
	uint64_t lives, steps, replies, events, sessions, expired, starts, replayed, cuts,
	    snapshots, fail_stops, reaped, exceeded;
	uint64_t faults[SIMDISK_FAULT_KINDS], clock_steps, damage, damage_refused;
};

static struct totals totals;

static uint64_t
soon(struct life *l)
{
	return simdisk_ops(l->node.disk) + 1 + rng_below(&l->rng, 25);
}

static void
inject(struct life *l, enum fault_kind kind)
{
	struct simdisk *d = l->node.disk;

	switch (kind) {
	case FAULT_CRASH:
		zknode_crash(&l->node, false, "killed");
		break;
	case FAULT_POWER:
		zknode_crash(&l->node, true, "power loss");
		break;
	case FAULT_POWER_AT:
		simdisk_stop_at(d, soon(l));
		break;
	case FAULT_ERROR_AT:
		simdisk_fail_at(d, soon(l), rng_below(&l->rng, 2) == 0 ? -EIO : -ENOSPC);
		break;
	case FAULT_FULL:
		simdisk_set_capacity(
		    d, rng_below(&l->rng, 3) == 0 ? rng_below(&l->rng, 1 << 20) : UINT64_MAX);
		break;
	case FAULT_CLOCK:
		l->node.wall_offset_ms += (int64_t)rng_below(&l->rng, 2 * 86400000) - 86400000;
		l->clock_steps++;
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
	world_at(&l->world, 1 + rng_below(&l->rng, 3000), on_fault, l, 0);
}

/* Let the world go on until a time, or until the condition holds. */
static bool
run_until(struct life *l, uint64_t end_ms, bool (*done)(const struct life *l))
{
	while (
	    l->world.violation[0] == '\0' && l->world.now_ms < end_ms && (done == NULL || !done(l)))
		if (!world_step(&l->world))
			break;
	return done == NULL || done(l);
}

static bool
all_answered(const struct life *l)
{
	return l->node.up && zkclients_idle(&l->node) && l->node.server.pending_count == 0;
}

static bool
all_expired(const struct life *l)
{
	return l->node.up && session_count(&l->node.db.sessions) == 0;
}

/* What a round is to delete. A node from before the clock went back may have to wait a day. */
static bool
all_reaped(const struct life *l)
{
	return l->node.up && model_reapable(&l->node.model, zknode_wall_ms(&l->node)) == 0;
}

static void
explain_unanswered(struct life *l)
{
	for (unsigned i = 0; i < l->node.client_count; i++) {
		const struct zkclient *c = &l->node.clients[i];

		if (c->request_count > 0 || c->state == ZKCLIENT_CONNECTING)
			world_violation(&l->world,
			    "liveness: client %u %s, %zu requests stay unanswered, the first is "
			    "xid %d, op %d",
			    i, c->state == ZKCLIENT_CONNECTING ? "connects" : "waits",
			    c->request_count, c->requests[0].xid, c->requests[0].op);
	}
	world_violation(&l->world, "liveness: the server is %s, %zu records wait",
	    l->node.up ? "up" : "down", l->node.up ? l->node.server.pending_count : 0);
}

/* No more faults: everything asked is answered, and sessions that nobody keeps end. */
static void
calm_down(struct life *l)
{
	l->calm = true;
	simdisk_stop_at(l->node.disk, 0);
	simdisk_fail_at(l->node.disk, 0, 0);
	simdisk_set_capacity(l->node.disk, UINT64_MAX);
	zkclients_quiet(&l->node, true);
	if (!run_until(l, l->world.now_ms + CALM_MS, all_answered))
		explain_unanswered(l);
	for (unsigned i = 0; i < l->node.client_count; i++)
		zkclient_cut(&l->node.clients[i]);
	if (l->world.violation[0] == '\0' &&
	    !run_until(l, l->world.now_ms + CALM_MS + CALM_MS, all_expired))
		world_violation(&l->world, "S3: sessions that nobody keeps do not end");
	if (l->world.violation[0] == '\0' && l->node.db.tree.ephemeral_count > 0)
		world_violation(&l->world, "S4: ephemeral nodes outlive their sessions");
	if (l->world.violation[0] == '\0' && l->node.kinds &&
	    !run_until(l, l->world.now_ms + CALM_MS, all_reaped))
		world_violation(&l->world, "containers or TTL nodes stay that should go");
}

struct pick {
	struct rng *rng;
	unsigned seen;
	char name[STORE_NAME_MAX + 1];
};

static int
pick_name(void *arg, const char *name)
{
	struct pick *p = arg;

	if (rng_below(p->rng, ++p->seen) == 0)
		snprintf(p->name, sizeof(p->name), "%s", name);
	return 0;
}

/*
 * Flip a bit of a file at rest: recovery must refuse it, or (a file that it does not need, padding)
 * come to the very same state.
 */
static void
damage(struct life *l)
{
	struct zknode *n = &l->node;
	struct recover_options options = {0};
	struct recover_report report;
	struct pick pick = {.rng = &l->rng};
	struct fault fault = {0};
	struct store_file *file;
	uint64_t size = 0;
	struct db db;
	int err;

	store_list(n->store, pick_name, &pick);
	if (pick.name[0] == '\0' || store_open(n->store, pick.name, STORE_OPEN_READ, &file) != 0)
		return;
	store_size(file, &size);
	store_close(file);
	/* The beginning, where the records are: most of a file is padding. */
	if (!simdisk_flip_bit(n->disk, pick.name, rng_below(&l->rng, size > 8192 ? 8192 : size + 1),
		(unsigned)rng_below(&l->rng, 8)))
		return;
	l->damage++;
	if (!zknode_init_db(n, &db))
		return;
	err = recover(n->store, n->store, &options, &db, &report, &fault);
	l->damage_refused += err != 0;
	if (err != 0 && err != DATADIR_CORRUPT)
		world_violation(&l->world, "a flipped bit in %s: %s", pick.name, fault.text);
	if (err == 0 && (db.last_zxid < n->seen_zxid || db.tree.digest != model_digest(&n->model)))
		world_violation(&l->world,
		    "a flipped bit in %s goes unnoticed: zxid 0x%llx of 0x%llx", pick.name,
		    (unsigned long long)db.last_zxid, (unsigned long long)n->seen_zxid);
	db_fini(&db);
}

static void
draw_faults(struct life *l)
{
	for (int i = 0; i < FAULT_KINDS; i++)
		l->enabled[i] = rng_below(&l->rng, 2) == 0;
}

static void
add_totals(struct totals *t, const struct life *l)
{
	const struct zknode *n = &l->node;

	t->lives++;
	t->steps += l->world.steps;
	t->starts += n->starts;
	t->replayed += n->replayed;
	t->cuts += n->cuts;
	t->snapshots += n->snapshots;
	t->fail_stops += n->fail_stops;
	t->reaped += n->reaped;
	t->clock_steps += l->clock_steps;
	t->damage += l->damage;
	t->damage_refused += l->damage_refused;
	for (int i = 0; i < SIMDISK_FAULT_KINDS; i++)
		t->faults[i] += simdisk_fault_count(n->disk, (enum simdisk_fault)i);
	for (unsigned i = 0; i < n->client_count; i++) {
		t->replies += n->clients[i].replies;
		t->events += n->clients[i].events;
		t->sessions += n->clients[i].sessions;
		t->expired += n->clients[i].expired;
		t->exceeded += n->clients[i].exceeded;
	}
}

static void
live_through(struct life *l)
{
	struct zknode *n = &l->node;

	world_rng(&l->world, "faults", &l->rng);
	draw_faults(l);
	zknode_start(n);
	zkclients_start(n);
	world_at(&l->world, rng_below(&l->rng, 2000), on_fault, l, 0);
	run_until(l, LIFE_MS, NULL);
	calm_down(l);
	if (l->world.violation[0] != '\0')
		return;
	zknode_crash(n, rng_below(&l->rng, 2) == 0, "the end");
	zknode_check_disk(n);
	simdisk_settle(n->disk);
	if (l->world.violation[0] == '\0')
		damage(l);
}

static const char *const plant_names[] = {"early-ack", "no-sync", "no-dir-sync"};

static bool
live(const struct seeds_life *life, uint64_t *hash)
{
	enum zksim_plant plant = (enum zksim_plant)(life->plant + 1); /* PLANT_NONE stands first */
	struct life *l = calloc(1, sizeof(*l));
	bool good;

	if (l == NULL)
		exit(71);
	world_init(&l->world, life->seed, life->trace);
	if (!zknode_init(&l->node, &l->world, plant) || !zkclients_init(&l->node))
		exit(71);
	live_through(l);
	good = l->world.violation[0] == '\0';
	if (!good && life->explain)
		world_explain(&l->world);
	if (life->counts)
		add_totals(&totals, l);
	*hash = l->world.hash;
	zknode_fini(&l->node);
	zkclients_fini(&l->node);
	world_fini(&l->world);
	free(l);
	return good;
}

static void
print_totals(void)
{
	const struct totals *t = &totals;

	printf("%llu lives, %llu steps, %llu replies, %llu events, %llu sessions (%llu expired)\n",
	    (unsigned long long)t->lives, (unsigned long long)t->steps,
	    (unsigned long long)t->replies, (unsigned long long)t->events,
	    (unsigned long long)t->sessions, (unsigned long long)t->expired);
	printf("%llu starts, %llu transactions replayed, %llu torn ends cut, %llu snapshots, %llu "
	       "stops after a failed write\n",
	    (unsigned long long)t->starts, (unsigned long long)t->replayed,
	    (unsigned long long)t->cuts, (unsigned long long)t->snapshots,
	    (unsigned long long)t->fail_stops);
	printf("%llu containers and TTL nodes deleted, %llu writes refused for a quota\n",
	    (unsigned long long)t->reaped, (unsigned long long)t->exceeded);
	printf("faults:");
	for (int i = 0; i < SIMDISK_FAULT_KINDS; i++)
		printf(" %s %llu,", simdisk_fault_names[i], (unsigned long long)t->faults[i]);
	printf(" clock step %llu, damage refused %llu of %llu\n",
	    (unsigned long long)t->clock_steps, (unsigned long long)t->damage_refused,
	    (unsigned long long)t->damage);
}

int
main(int argc, char **argv)
{
	static const struct seeds_sim sim = {"zksim",
	    "zksim simulates a server alone, its disk, and clients. zabsim simulates an ensemble.",
	    plant_names, sizeof plant_names / sizeof plant_names[0], live, print_totals};

	return seeds_main(argc, argv, &sim);
}
