/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the master's core alone costs with tens of thousands of agents: no sockets, no clock but the
 * one of this file, which goes on by STEP_MS. Agents are books and timers; what the core has
 * stored is kept as texts, and read by a second core when the first one is gone.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "libcommon/base/rng.h"
#include "libcommon/base/str.h"
#include "master/core/cluster.h"

enum {
	STEP_MS = 10,
	HEARTBEAT_MS = 5000,
	CPUS = 16,	   /* of an agent: so many tasks at a time */
	JOB_TASKS = 10000, /* of one job */
	RUN_STEPS = 300,   /* at most */
	SLOTS = 512,	   /* of the wheel: more than RUN_STEPS */
	NODES_MAX = 4096,
	AGENTS_MAX = 100000,
	TASKS_MAX = 2000000, /* as many ended jobs as are kept */
};

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* A task that an agent has: it runs from the next step on, and ends when its slot comes round. */
struct task {
	struct task *next;
	struct task_key key;
	uint32_t agent, sequence;
	Corral__TaskState state;
	bool held;
};

struct node {
	char path[160];
	char *data;
	size_t size;
	int64_t czxid;
};

struct agent_side {
	char name[16], id[CLUSTER_ID_MAX + 1];
	struct agent *agent; /* the master's */
	uint32_t cpus;	     /* taken */
	struct task *tasks;  /* held ones, for a report */
};

static struct {
	struct cluster cluster;
	struct rng rng;
	uint64_t now_ms, step;
	int64_t zxid;
	struct node nodes[NODES_MAX];
	size_t node_count;
	struct agent_side *agents;
	uint32_t agent_count, jobs;
	struct task *wheel[SLOTS];
	uint64_t launched, running, ended, acked, welcomes, overcommitted;
	bool hold; /* what is launched now does not end */
	const struct commit *batch;
	uint64_t batches, batch_bytes;
	uint64_t spent_ns[6], began_ns;
} w;

enum spent { REGISTER, HEARTBEAT, UPDATE, TURN, COMMIT, LOAD };

static void
begin(void)
{
	w.began_ns = bench_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void
spend(enum spent on)
{
	w.spent_ns[on] += bench_ns(CLOCK_PROCESS_CPUTIME_ID) - w.began_ns;
}

/* --- the store --- */

static struct node *
find(const char *path)
{
	for (size_t i = w.node_count; i-- > 0;)
		if (strcmp(w.nodes[i].path, path) == 0)
			return &w.nodes[i];
	return NULL;
}

static void
apply(const struct commit *b, int64_t czxids[COMMIT_OPS_MAX])
{
	w.zxid++;
	for (size_t i = 0; i < b->count; i++) {
		const struct store_op *op = &b->ops[i];
		struct node *n = find(op->path);

		if ((n == NULL) != (op->kind == STORE_CREATE) || w.node_count == NODES_MAX)
			bench_die(
			    "a batch creates what exists, or changes what does not, or is too "
			    "many");
		if (n == NULL) {
			n = &w.nodes[w.node_count++];
			str_copy(n->path, sizeof n->path, op->path);
			n->czxid = w.zxid;
		}
		free(n->data);
		n->data = bench_must(malloc(op->size + 1));
		n->size = op->size;
		if (op->size > 0)
			memcpy(n->data, b->data.data + op->offset, op->size);
		n->data[op->size] = '\0';
		czxids[i] = n->czxid;
	}
	w.batches++;
	w.batch_bytes += b->data.len;
}

/* --- agents --- */

static void
put(struct task *t, uint64_t steps)
{
	size_t slot = (w.step + steps) % SLOTS;

	t->next = w.wheel[slot];
	w.wheel[slot] = t;
}

static void
launched(const struct out *o)
{
	struct task *t = bench_must(calloc(1, sizeof *t));

	t->key = o->key;
	t->agent = o->agent->number;
	t->state = CORRAL__TASK_STATE__LAUNCHING;
	t->held = w.hold;
	w.overcommitted += ++w.agents[t->agent].cpus > CPUS;
	w.launched++;
	put(t, 1);
}

static void
carry_out(void)
{
	struct cluster_out *o = &w.cluster.out;

	for (size_t i = 0; i < o->count; i++) {
		const struct out *out = &o->items[i];

		if (out->kind == OUT_LAUNCH)
			launched(out);
		else if (out->kind == OUT_ACK)
			w.acked++;
		else if (out->kind == OUT_WELCOME)
			w.welcomes++;
		else if (out->kind == OUT_KILL)
			bench_die("a task is killed that is wanted");
	}
	cluster_out_clear(&w.cluster);
}

static void
update(struct task *t, Corral__TaskState state)
{
	Corral__StatusUpdate u = CORRAL__STATUS_UPDATE__INIT;
	Corral__TaskKey key = CORRAL__TASK_KEY__INIT;
	Corral__Term term = CORRAL__TERM__INIT;
	uint64_t uuid[2] = {rng_u64(&w.rng), rng_u64(&w.rng)};

	t->state = state;
	term.era = t->key.term.era;
	term.czxid = t->key.term.czxid;
	key.job = t->key.job;
	key.incarnation = t->key.incarnation;
	key.index = t->key.index;
	key.attempt = t->key.attempt;
	key.term = &term;
	u.key = &key;
	u.sequence = ++t->sequence;
	u.uuid.data = (uint8_t *)uuid;
	u.uuid.len = sizeof uuid;
	u.state = state;
	u.reason = task_state_terminal(state) ? CORRAL__TASK_REASON__REASON_EXIT
					      : CORRAL__TASK_REASON__REASON_NONE;
	cluster_update(&w.cluster, w.now_ms, w.agents[t->agent].agent, &u);
}

static void
run_due(void)
{
	struct task *t = w.wheel[w.step % SLOTS], *next;

	w.wheel[w.step % SLOTS] = NULL;
	for (; t != NULL; t = next) {
		struct agent_side *a = &w.agents[t->agent];

		next = t->next;
		if (t->state == CORRAL__TASK_STATE__LAUNCHING) {
			update(t, CORRAL__TASK_STATE__RUNNING);
			w.running++;
			if (!t->held) {
				put(t, 1 + rng_below(&w.rng, RUN_STEPS));
			} else {
				t->next = a->tasks;
				a->tasks = t;
			}
			continue;
		}
		a->cpus--;
		update(t, CORRAL__TASK_STATE__FINISHED);
		w.ended++;
		free(t);
	}
}

static Corral__Register *
report_of(const struct agent_side *a)
{
	Corral__Register *r = bench_must(malloc(sizeof *r));
	size_t count = 0;

	corral__register__init(r);
	r->agent_id = bench_must(strdup(a->id));
	r->node = bench_must(strdup(a->name));
	r->boot_id = bench_must(strdup("boot"));
	r->capacity = bench_must(malloc(sizeof *r->capacity));
	corral__resources__init(r->capacity);
	r->capacity->cpu_milli = CPUS * 1000;
	r->capacity->memory_bytes = CPUS * GIB;
	r->capacity->disk_bytes = CPUS * GIB;
	r->tasks = bench_must(calloc(CPUS, sizeof *r->tasks));
	for (const struct task *t = a->tasks; t != NULL; t = t->next) {
		Corral__TaskReport *told = bench_must(malloc(sizeof *told));

		corral__task_report__init(told);
		told->state = t->state;
		told->key = bench_must(malloc(sizeof *told->key));
		corral__task_key__init(told->key);
		told->key->job = bench_must(strdup(t->key.job));
		told->key->incarnation = t->key.incarnation;
		told->key->index = t->key.index;
		told->key->attempt = t->key.attempt;
		told->key->term = bench_must(malloc(sizeof *told->key->term));
		corral__term__init(told->key->term);
		told->key->term->era = t->key.term.era;
		told->key->term->czxid = t->key.term.czxid;
		r->tasks[count++] = told;
	}
	r->n_tasks = count;
	return r;
}

/* --- steps --- */

static void
commit(void)
{
	int64_t czxids[COMMIT_OPS_MAX];

	if (w.batch != NULL) {
		apply(w.batch, czxids);
		w.batch = NULL;
		begin();
		cluster_committed(&w.cluster, w.now_ms, czxids);
		spend(COMMIT);
	}
	begin();
	w.batch = cluster_commit_begin(&w.cluster);
	spend(COMMIT);
}

static void
heartbeats(void)
{
	Corral__NodeUsage usage = CORRAL__NODE_USAGE__INIT;
	uint64_t rounds = HEARTBEAT_MS / STEP_MS;

	for (uint64_t i = w.step % rounds; i < w.agent_count; i += rounds)
		if (w.agents[i].agent != NULL)
			cluster_heartbeat(&w.cluster, w.now_ms, w.agents[i].agent, &usage);
}

/* All that happens in one step of time: a turn of the master's loop. */
static void
step(void)
{
	w.step++;
	w.now_ms += STEP_MS;
	begin();
	heartbeats();
	spend(HEARTBEAT);
	begin();
	run_due();
	spend(UPDATE);
	begin();
	cluster_turn(&w.cluster, w.now_ms);
	spend(TURN);
	carry_out();
	commit();
	carry_out();
	if (w.cluster.failed)
		bench_die("the core has no memory");
}

static void
elect(void)
{
	static const struct hash_key key = {1, 2};
	const struct cluster_settings settings = {
	    .lease_ms = 15000,
	    .drift_permille = 10,
	    .unreachable_after_ms = 30000,
	    .executor = {0, 2 * MIB, 0},
	};
	const struct cluster_ops ops = {NULL, free};

	if (!cluster_init(&w.cluster, &settings, &ops, &key, (struct term){1, ++w.zxid}, w.now_ms))
		bench_die("no memory for a cluster");
}

static void
register_all(void)
{
	uint64_t want = w.welcomes + w.agent_count;
	char error[400];

	for (uint32_t i = 0; i < w.agent_count; i++) {
		struct agent_side *a = &w.agents[i];
		Corral__Register *report = report_of(a);

		begin();
		a->agent =
		    cluster_register(&w.cluster, w.now_ms, a->name, report, a, error, sizeof error);
		spend(REGISTER);
		if (a->agent == NULL)
			bench_die(error);
		str_copy(a->id, sizeof a->id, a->agent->id);
		if (i % 1000 == 999)
			step();
	}
	while (w.welcomes < want)
		step();
}

static void
submit(uint32_t count)
{
	const struct job_policy policy = {.need = {1000, 256 * MIB, 0}};
	char name[32], text[32];
	struct job *j;

	snprintf(name, sizeof name, "job-%u", w.jobs++);
	snprintf(text, sizeof text, "%u", count);
	if (cluster_submit(&w.cluster, w.now_ms, name, count, &policy, bench_must(strdup("")), text,
		strlen(text), "bench", 0, &j) != SUBMIT_OK)
		bench_die("a job is refused");
}

/* So many tasks, as many at a time as there are places for. */
static void
run_tasks(uint64_t tasks)
{
	uint64_t submitted = 0, most = (uint64_t)w.agent_count * CPUS * 9 / 10;

	while (w.ended < tasks || w.acked < 2 * tasks) {
		while (submitted < tasks && submitted - w.ended + JOB_TASKS <= most) {
			submit(JOB_TASKS);
			submitted += JOB_TASKS;
		}
		step();
	}
}

static void
load_job(const struct node *n)
{
	const struct job_policy policy = {.need = {1000, 256 * MIB, 0}};
	const char *name = strrchr(n->path, '/') + 1;
	char path[160], error[200];
	uint64_t count;
	const struct node *state, *results;
	struct job *j;

	snprintf(path, sizeof path, "%s/state", n->path);
	state = find(path);
	if (state == NULL || !str_to_u64(n->data, 1, UINT32_MAX, &count))
		bench_die("a job was stored that cannot be read");
	j = cluster_load_job(&w.cluster, name, n->czxid, (uint32_t)count, &policy,
	    bench_must(strdup("")), n->data, n->size, state->data, state->size, error,
	    sizeof error);
	for (uint32_t p = 0; j != NULL && p <= count / RESULTS_PIECE; p++) {
		snprintf(path, sizeof path, "%s/results-%u", n->path, p);
		results = find(path);
		if (results != NULL && !cluster_load_results(&w.cluster, j, p, results->data,
					   results->size, error, sizeof error))
			bench_die(error);
	}
	if (j == NULL)
		bench_die(error);
}

/* Another core, which has only what was stored, and what the agents tell it. */
static void
fail_over(void)
{
	char path[64], error[200];
	const struct node *n;

	cluster_fini(&w.cluster);
	w.batch = NULL;
	for (uint32_t i = 0; i < w.agent_count; i++)
		w.agents[i].agent = NULL;
	elect();
	for (uint32_t p = 0; snprintf(path, sizeof path, "/corral/registry/agents-%u", p) > 0 &&
			     (n = find(path)) != NULL;
	     p++)
		if (!cluster_load_agents(&w.cluster, p, n->data, n->size, error, sizeof error))
			bench_die(error);
	for (size_t i = 0; i < w.node_count; i++)
		if (str_starts(w.nodes[i].path, "/corral/jobs/") &&
		    strchr(w.nodes[i].path + strlen("/corral/jobs/"), '/') == NULL)
			load_job(&w.nodes[i]);
	cluster_start(&w.cluster, w.now_ms);
}

/* --- the figures --- */

static double
each(enum spent on, uint64_t count)
{
	double ns = (double)w.spent_ns[on] / (double)count;

	w.spent_ns[on] = 0;
	return ns / 1e3;
}

static size_t
memory(void)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static void
expect(bool good, const char *what)
{
	if (!good || w.overcommitted > 0 || !cluster_check(&w.cluster))
		bench_die(what);
}

static void
measure(uint32_t agents, uint64_t tasks, uint64_t held)
{
	size_t before;
	uint64_t steps;

	before = memory();
	register_all();
	printf("%" PRIu32 " agents registered: %.2f us each, %zu bytes each\n", agents,
	    each(REGISTER, agents), (memory() - before) / agents);
	before = memory();
	steps = w.step;
	memset(w.spent_ns, 0, sizeof w.spent_ns);
	run_tasks(tasks);
	steps = w.step - steps;
	printf("%" PRIu64 " tasks submitted, started, finished: for each %.2f us of updates, %.2f "
	       "us of turns, %.2f us of batches; heartbeats: %.2f us each\n",
	    tasks, each(UPDATE, tasks), each(TURN, tasks), each(COMMIT, tasks),
	    each(HEARTBEAT, steps * agents / (HEARTBEAT_MS / STEP_MS)));
	printf("%" PRIu64 " turns, %" PRIu64 " batches of %" PRIu64
	       " bytes in the mean; %zu bytes for a task that is over\n",
	    steps, w.batches, w.batch_bytes / w.batches, (memory() - before) / tasks);
	expect(w.cluster.in_job_state[JOB_FINISHED] == w.jobs, "not all jobs have finished");

	before = memory();
	w.hold = true;
	for (uint64_t i = 0; i < held; i += JOB_TASKS)
		submit(JOB_TASKS);
	while (w.running < tasks + held || w.acked < 2 * tasks + held)
		step();
	printf("%zu bytes for a task that runs, of these %zu of this program's own\n",
	    (memory() - before) / held, malloc_usable_size(w.agents[0].tasks) + sizeof(size_t));

	memset(w.spent_ns, 0, sizeof w.spent_ns);
	begin();
	fail_over();
	spend(LOAD);
	register_all();
	printf("another core: %.0f ms until the store is read, %.2f us for each of %" PRIu32
	       " agents that register with %" PRIu64 " tasks in all\n",
	    each(LOAD, 1000), each(REGISTER, agents), agents, held);
	expect(w.cluster.in_task_state[CORRAL__TASK_STATE__RUNNING] == held &&
		   w.cluster.in_job_state[JOB_FINISHED] == tasks / JOB_TASKS,
	    "the other core does not have what the first one had");
}

int
main(int argc, char **argv)
{
	uint64_t agents = 50000, tasks = TASKS_MAX / 2, held;

	if (argc > 3 || (argc > 1 && !str_to_u64(argv[1], 2000, AGENTS_MAX, &agents)) ||
	    (argc > 2 && !str_to_u64(argv[2], JOB_TASKS, TASKS_MAX - JOB_TASKS, &tasks)))
		bench_die("usage: core_bench [AGENTS [TASKS]], at least 2000 and at least 10000");
	tasks -= tasks % JOB_TASKS;
	held = agents * 4 - agents * 4 % JOB_TASKS;
	if (held == 0)
		held = JOB_TASKS;
	w.agent_count = (uint32_t)agents;
	w.agents = bench_must(calloc(agents, sizeof *w.agents));
	w.now_ms = 1000;
	rng_init(&w.rng, 1);
	for (uint32_t i = 0; i < agents; i++)
		snprintf(w.agents[i].name, sizeof w.agents[i].name, "c%" PRIu32, i);
	elect();
	cluster_start(&w.cluster, w.now_ms);
	measure((uint32_t)agents, tasks, held);
	return EXIT_SUCCESS;
}
