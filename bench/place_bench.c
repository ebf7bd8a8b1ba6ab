/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What first-fit placement costs: ns and tree nodes looked at per placement, for three workloads
 * and three sizes of cluster. Each workload is run three times from one seed: for the mean, for the
 * percentiles (with a clock read around each call), and against a linear first-fit, which has a
 * time limit of its own; the last column says how many placements it compared. And the same with
 * roles: whose turn it is, for each placement, and the books by role.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "libcommon/base/rng.h"
#include "libcommon/base/str.h"
#include "master/core/books.h"

#define MIB (UINT64_C(1) << 20)
#define LINEAR_LIMIT_NS (UINT64_C(2) * 1000000000)
#define SEED 20260101
#define CALLS 200000

enum workload { ALIKE, MIXED, ADVERSARIAL };
enum pass { PASS_MEAN, PASS_EACH, PASS_LINEAR };

struct task {
	struct resources need;
	uint32_t node;
};

struct world {
	enum workload workload;
	enum pass pass;
	struct rng rng;
	struct place place;
	uint32_t nodes;
	size_t tasks, tasks_capacity;
	struct task *task;
	struct resources *linear; /* what is free, for the linear pass */
	uint32_t *ns, *visits;	  /* per placement, PASS_EACH */
	uint64_t placed, failed, compared, place_ns;
};

/* Five kinds of node. The adversarial cluster's nodes are full in cpu or in memory, in turns. */
static struct resources
node_amount(struct world *w, uint32_t i)
{
	static const struct resources kinds[5] = {
	    {4000, 16384 * MIB, 102400 * MIB},
	    {16000, 65536 * MIB, 512000 * MIB},
	    {32000, 65536 * MIB, 512000 * MIB},
	    {64000, 262144 * MIB, 1024000 * MIB},
	    {128000, 1048576 * MIB, 2048000 * MIB},
	};
	struct resources a = kinds[w->workload == ALIKE ? 1 : rng_below(&w->rng, 5)];

	if (w->workload == ADVERSARIAL && i % 2 == 0)
		a.cpu_milli = rng_below(&w->rng, 100);
	else if (w->workload == ADVERSARIAL)
		a.memory_bytes = rng_below(&w->rng, 64) * MIB;
	return a;
}

/* 8 cpu sizes by 5 memory sizes; an adversarial request is balanced, of any size, and fits nowhere.
 */
static struct resources
task_amount(struct world *w)
{
	static const uint64_t cpu[8] = {100, 250, 500, 1000, 1500, 2000, 3000, 4000};
	static const uint64_t memory[5] = {128, 512, 1024, 2048, 8192};
	uint64_t c, m;

	switch (w->workload) {
	case ALIKE:
		return (struct resources){500, 1024 * MIB, 0};
	case MIXED:
		c = cpu[rng_below(&w->rng, 8)];
		m = memory[rng_below(&w->rng, 5)];
		return (struct resources){c, m * MIB, 100 * MIB};
	default:
		c = 200 + rng_below(&w->rng, 3800);
		return (struct resources){c, (100 + 2 * c) * MIB, 0};
	}
}

static void
world_init(struct world *w, enum workload workload, uint32_t nodes, enum pass pass)
{
	*w = (struct world){.workload = workload, .nodes = nodes, .pass = pass};
	rng_init(&w->rng, SEED);
	place_init(&w->place);
	w->linear = bench_must(calloc(nodes, sizeof *w->linear));
	for (uint32_t i = 0; i < nodes; i++) {
		struct resources a = node_amount(w, i);
		uint32_t node = place_node_add(&w->place, &a);

		if (node != i)
			bench_die("no memory for the nodes");
		place_node_open(&w->place, node, true);
		w->linear[i] = a;
	}
}

static void
world_fini(struct world *w)
{
	place_fini(&w->place);
	free(w->task);
	free(w->linear);
}

static void
add_task(struct world *w, const struct resources *need, uint32_t node)
{
	if (w->tasks == w->tasks_capacity) {
		w->tasks_capacity = w->tasks_capacity == 0 ? 1024 : 2 * w->tasks_capacity;
		w->task = realloc(w->task, w->tasks_capacity * sizeof *w->task);
		if (w->task == NULL)
			bench_die("no memory for the tasks");
	}
	w->task[w->tasks++] = (struct task){*need, node};
	resources_subtract(&w->linear[node], need, 1);
}

static void
release_one(struct world *w)
{
	size_t i = rng_below(&w->rng, w->tasks);

	place_give(&w->place, w->task[i].node, &w->task[i].need, 1);
	resources_add(&w->linear[w->task[i].node], &w->task[i].need, 1);
	w->task[i] = w->task[--w->tasks];
}

static void
compare(struct world *w, const struct resources *need, uint32_t node)
{
	uint32_t i = 0;

	while (i < w->nodes && !resources_fits(need, &w->linear[i]))
		i++;
	if (node != (i == w->nodes ? PLACE_NONE : i))
		bench_die("the tree and a linear first-fit differ");
	w->compared++;
}

static void
place_one(struct world *w, uint32_t op)
{
	struct resources need = task_amount(w);
	uint32_t cursor = 0, node = PLACE_NONE;
	uint64_t visited = w->place.visited,
		 began = w->pass == PASS_EACH ? bench_ns(CLOCK_MONOTONIC) : 0;
	uint32_t times = place_fill(&w->place, &need, 1, &cursor, &node);

	if (w->pass == PASS_EACH) {
		w->ns[op] = (uint32_t)(bench_ns(CLOCK_MONOTONIC) - began);
		w->visits[op] = (uint32_t)(w->place.visited - visited);
		w->place_ns += w->ns[op];
	}
	if (w->pass == PASS_LINEAR)
		compare(w, &need, times == 0 ? PLACE_NONE : node);
	if (times == 0) {
		w->failed++;
		return;
	}
	w->placed++;
	add_task(w, &need, node);
}

/* Fill the cluster until 50 calls found nothing, then release half of it at random. */
static void
prepare(struct world *w)
{
	enum pass pass = w->pass;
	size_t full;

	if (w->workload == ADVERSARIAL)
		return;
	w->pass = PASS_MEAN;
	while (w->failed < 50)
		place_one(w, 0);
	for (full = w->tasks; w->tasks > full / 2;)
		release_one(w);
	w->pass = pass;
	w->placed = w->failed = 0;
}

/* Runs `ops` placements, and as many releases; gives the ns for all. */
static uint64_t
run(struct world *w, uint32_t ops)
{
	uint64_t began;

	prepare(w);
	began = bench_ns(CLOCK_MONOTONIC);
	for (uint32_t op = 0; op < ops; op++) {
		place_one(w, op);
		/* Without anything freed, a shape that failed would be answered from memory. */
		if (w->workload == ADVERSARIAL)
			w->place.failed_count = w->place.failed_next = 0;
		else if (w->tasks > 0)
			release_one(w);
		if (w->pass == PASS_LINEAR && op % 64 == 0 &&
		    bench_ns(CLOCK_MONOTONIC) - began > LINEAR_LIMIT_NS)
			break;
	}
	return bench_ns(CLOCK_MONOTONIC) - began;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double
mean_of(const uint32_t *values, uint32_t count)
{
	double sum = 0;

	for (uint32_t i = 0; i < count; i++)
		sum += values[i];
	return sum / count;
}

static void
measure(enum workload workload, uint32_t nodes, uint32_t ops)
{
	static const char *const names[] = {"alike", "40 shapes, 5 kinds", "adversarial"};
	uint32_t *ns = bench_must(calloc(ops, sizeof *ns)),
		 *visits = bench_must(calloc(ops, sizeof *visits));
	struct world w;
	uint64_t total_ns, fits;
	double visits_mean;

	world_init(&w, workload, nodes, PASS_MEAN);
	total_ns = run(&w, ops);
	fits = w.placed;
	world_fini(&w);
	world_init(&w, workload, nodes, PASS_EACH);
	w.ns = ns;
	w.visits = visits;
	run(&w, ops);
	world_fini(&w);
	visits_mean = mean_of(visits, ops);
	qsort(ns, ops, sizeof *ns, by_value);
	qsort(visits, ops, sizeof *visits, by_value);
	world_init(&w, workload, nodes, PASS_LINEAR);
	run(&w, ops);
	printf("%-19s %7u %8u %8llu %7.0f %6u %6u %8.1f %6u %6u %9llu\n", names[workload], nodes,
	    ops, (unsigned long long)fits, (double)total_ns / ops, ns[ops / 2], ns[ops - ops / 100],
	    visits_mean, visits[ops / 2], visits[ops - ops / 100], (unsigned long long)w.compared);
	fflush(stdout);
	world_fini(&w);
	free(ns);
	free(visits);
}

/* Equal tasks of one job on an empty cluster: one descent that goes on from the last node. */
static void
measure_one_descent(uint32_t nodes)
{
	struct world w;
	struct resources need;
	uint32_t cursor = 0, node, n;
	uint64_t began, placed = 0;

	world_init(&w, ALIKE, nodes, PASS_MEAN);
	need = task_amount(&w);
	began = bench_ns(CLOCK_MONOTONIC);
	while ((n = place_fill(&w.place, &need, UINT32_MAX, &cursor, &node)) > 0)
		placed += n;
	printf("%-19s %7u %8llu %8llu %7.1f\n", "alike, one call", nodes,
	    (unsigned long long)placed, (unsigned long long)placed,
	    (double)(bench_ns(CLOCK_MONOTONIC) - began) / (double)placed);
	world_fini(&w);
}

static void
measure_goal(void)
{
	struct world w;
	uint64_t ns;

	world_init(&w, MIXED, 6100, PASS_MEAN);
	ns = run(&w, 2000000);
	printf("6,100 nodes, 2,000,000 placements of 40 shapes and as many releases: %.2f s on one "
	       "core\n",
	    (double)ns / 1e9);
	world_fini(&w);
}

/* --- the same through the books, each task to the role whose turn it is --- */

enum { ROLES = 20, TURN = 4096 };

struct lease {
	struct resources need;
	struct role *role;
	uint32_t node;
};

struct shared {
	struct world world; /* what comes next */
	struct books books;
	struct role *roles[ROLES];
	struct lease *leases;
	size_t count, capacity;
};

static void
shared_init(struct shared *x, uint32_t nodes, size_t capacity)
{
	char name[16];

	*x = (struct shared){.world = {.workload = MIXED}, .capacity = capacity};
	rng_init(&x->world.rng, SEED);
	books_init(&x->books);
	x->leases = bench_must(calloc(capacity, sizeof *x->leases));
	for (uint32_t i = 0; i < nodes; i++) {
		struct resources a = node_amount(&x->world, i);
		uint32_t node = books_node_add(&x->books, &a);

		if (node != i)
			bench_die("no memory for the nodes");
		place_node_open(&x->books.place, node, true);
	}
	for (int i = 0; i < ROLES; i++) {
		snprintf(name, sizeof name, "r%d/s%d", i / 4, i % 4);
		if ((x->roles[i] = share_take(&x->books.share, name)) == NULL)
			bench_die("no memory for the roles");
	}
}

static void
shared_turn(struct shared *x)
{
	struct resources available = books_available(&x->books);

	share_begin(&x->books.share, &available);
	for (int i = 0; i < ROLES; i++)
		share_contend(&x->books.share, x->roles[i]);
	share_ready(&x->books.share);
}

static bool
shared_place(struct shared *x)
{
	struct share *s = &x->books.share;
	struct lease l = {task_amount(&x->world), share_pick(s), 0};
	struct share_barred why;
	uint32_t cursor = 0;

	if (share_room(s, l.role, &l.need, 1, &why) == 0 || x->count == x->capacity ||
	    books_fill(&x->books, l.role, &l.need, 1, &cursor, &l.node) == 0)
		return false;
	share_granted(s, l.role, &l.need);
	x->leases[x->count++] = l;
	return true;
}

static void
shared_release(struct shared *x)
{
	size_t i = rng_below(&x->world.rng, x->count);
	struct lease *l = &x->leases[i];

	books_release(&x->books, l->role, l->node, &l->need);
	*l = x->leases[--x->count];
}

static void
measure_goal_with_roles(void)
{
	struct shared x;
	uint64_t began;
	size_t full;

	shared_init(&x, 6100, 4000000);
	shared_turn(&x);
	for (int failed = 0; failed < 50;)
		failed += !shared_place(&x);
	for (full = x.count; x.count > full / 2;)
		shared_release(&x);
	began = bench_ns(CLOCK_MONOTONIC);
	for (uint32_t op = 0; op < 2000000; op++) {
		if (op % TURN == 0)
			shared_turn(&x);
		shared_place(&x);
		shared_release(&x);
	}
	printf("the same with %d roles below %d: %.2f s\n\n", ROLES, ROLES / 4,
	    (double)(bench_ns(CLOCK_MONOTONIC) - began) / 1e9);
	books_fini(&x.books);
	free(x.leases);
}

int
main(int argc, char **argv)
{
	static const uint32_t sizes[] = {1000, 10000, 100000};
	uint64_t calls = CALLS;

	if (argc > 2 || (argc == 2 && !str_to_u64(argv[1], 1, CALLS, &calls)))
		bench_die("usage: place_bench [CALLS], at most 200000 a row");
	measure_goal();
	measure_goal_with_roles();
	printf("ns: a placement (mean: with its release; p50, p99: alone, with two clock reads).\n"
	       "visits: tree nodes looked at by a placement; never more than 2 x nodes.\n\n");
	printf("%-19s %7s %8s %8s %7s %6s %6s %8s %6s %6s %9s\n", "workload", "nodes", "calls",
	    "fit", "ns", "p50", "p99", "visits", "p50", "p99", "compared");
	for (int i = 0; i < 3; i++)
		measure_one_descent(sizes[i]);
	for (int i = 0; i < 3; i++)
		measure(ALIKE, sizes[i], (uint32_t)calls);
	for (int i = 0; i < 3; i++)
		measure(MIXED, sizes[i], (uint32_t)calls);
	for (int i = 0; i < 3; i++)
		measure(ADVERSARIAL, sizes[i], (uint32_t)calls);
	return EXIT_SUCCESS;
}
