/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master's core under a seeded scheduler: agents come, go, are cut off and lose their tasks;
 * masters fail before, between and after their writes; messages wait or are lost with their
 * connection; operators drain nodes, give them up and forget them. After each step:
 *   - the books balance, the counts are right, no index has two live attempts (cluster_check());
 *   - no agent is sent more than it has, whatever roles, priorities, quotas and reservations say;
 *   - no key is started twice, and no index twice at a time unless the first one's agent was marked
 *     unreachable in the store before.
 * At the end all is healed, and then each task has reached exactly one end, which the store has,
 * which never changed once it was stored, and which is true: what is stored as finished did exit
 * with 0.
 *
 *     clustersim [SEEDS [FIRST-SEED [STEPS]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "libcommon/base/str.h"
#include "tests/lib/fake_cluster.h"

#define MIB (UINT64_C(1) << 20)

enum { JOBS_MAX = 40, INDEXES_MAX = 24, KEYS_MAX = 65536, HEAL_TURNS = 4000 };

struct known_job {
	int64_t incarnation;
	uint32_t count;
	bool succeeded[INDEXES_MAX];
	uint8_t stored[INDEXES_MAX]; /* the end that the store had at some election; 0: none */
};

struct sim {
	struct fake fake;
	struct rng rng;
	uint64_t seed;
	uint32_t step;
	struct known_job jobs[JOBS_MAX];
	size_t job_count;
	uint32_t submitted;
	struct task_key started[KEYS_MAX];
	size_t started_count;
};

static void fail(const struct sim *s, const char *what) __attribute__((noreturn));

static void
fail(const struct sim *s, const char *what)
{
	fprintf(stderr, "clustersim: seed %llu, step %u: %s\n", (unsigned long long)s->seed,
	    s->step, what);
	exit(EXIT_FAILURE);
}

static struct known_job *
known(struct sim *s, int64_t incarnation)
{
	for (size_t i = 0; i < s->job_count; i++)
		if (s->jobs[i].incarnation == incarnation)
			return &s->jobs[i];
	if (s->job_count == JOBS_MAX)
		fail(s, "more jobs than were submitted");
	s->jobs[s->job_count] = (struct known_job){.incarnation = incarnation};
	return &s->jobs[s->job_count++];
}

static void
on_success(void *arg, const struct task_key *key)
{
	struct sim *s = arg;

	known(s, key->incarnation)->succeeded[key->index] = true;
}

static bool
same_attempt(const struct task_key *a, const struct task_key *b)
{
	return a->incarnation == b->incarnation && a->index == b->index &&
	       a->attempt == b->attempt && term_equal(a->term, b->term);
}

/* On an agent that reads its command late, when the store has it as given up already. */
static bool
starts_forsaken(const struct sim *s, const struct task_key *key)
{
	for (size_t i = 0; i < s->fake.agent_count; i++) {
		const struct fake_agent *a = &s->fake.agents[i];

		for (size_t t = 0; t < a->task_count; t++)
			if (same_attempt(&a->tasks[t].key, key))
				return a->tasks[t].forsaken;
	}
	return false;
}

static void
on_start(void *arg, const struct task_key *key)
{
	struct sim *s = arg;

	for (size_t i = 0; i < s->started_count; i++)
		if (same_attempt(&s->started[i], key))
			fail(s, "an attempt was started twice");
	if (s->started_count == KEYS_MAX)
		fail(s, "attempts without end");
	s->started[s->started_count++] = *key;
	if (starts_forsaken(s, key))
		return;
	for (size_t i = 0; i < s->fake.agent_count; i++) {
		const struct fake_agent *a = &s->fake.agents[i];

		for (size_t t = 0; t < a->task_count; t++)
			if (a->tasks[t].key.incarnation == key->incarnation &&
			    a->tasks[t].key.index == key->index &&
			    !same_attempt(&a->tasks[t].key, key) &&
			    !task_state_terminal(a->tasks[t].state) && !a->tasks[t].forsaken)
				fail(s, "a task was started while another attempt at it runs");
	}
}

static struct fake_agent *
any_agent(struct sim *s)
{
	return &s->fake.agents[rng_below(&s->rng, s->fake.agent_count)];
}

static const char *
any_role(struct sim *s)
{
	static const char *const roles[] = {"*", "a", "a/b", "c"};

	return roles[rng_below(&s->rng, sizeof roles / sizeof *roles)];
}

static void
submit(struct sim *s)
{
	struct job_policy p = {
	    .service = rng_below(&s->rng, 4) == 0,
	    .restart = (enum job_restart)rng_below(&s->rng, 2),
	    .restart_ms = rng_below(&s->rng, 3) * 500,
	    .retries_max = (uint32_t)rng_below(&s->rng, 4),
	    .need = {250 * (1 + rng_below(&s->rng, 6)), 64 * MIB * (1 + rng_below(&s->rng, 4)), 0},
	};
	char name[16];

	if (!s->fake.leading || s->submitted == JOBS_MAX)
		return;
	if (p.service)
		p.restart = JOB_RESTART_ALWAYS;
	p.priority = (uint32_t)rng_below(&s->rng, 3) * 50;
	p.role = any_role(s);
	snprintf(name, sizeof name, "job-%u", s->submitted);
	if (fake_submit(&s->fake, name, 1 + (uint32_t)rng_below(&s->rng, INDEXES_MAX), &p) == NULL)
		fail(s, "a job was refused");
	s->submitted++;
}

static void
stop_some(struct sim *s)
{
	char name[16];
	struct job *j;

	if (!s->fake.leading || s->submitted == 0)
		return;
	snprintf(name, sizeof name, "job-%u", (unsigned)rng_below(&s->rng, s->submitted));
	j = cluster_job(&s->fake.cluster, name);
	if (j != NULL)
		cluster_stop(&s->fake.cluster, s->fake.now_ms, j, "sim");
}

static void
end_a_task(struct sim *s)
{
	struct fake_agent *a = any_agent(s);
	struct fake_task *t =
	    a->task_count == 0 ? NULL : &a->tasks[rng_below(&s->rng, a->task_count)];

	if (t != NULL && !task_state_terminal(t->state))
		fake_exit(&s->fake, a, t, rng_below(&s->rng, 4) == 0 ? 3 : 0);
}

static void
send_again(struct sim *s)
{
	struct fake_agent *a = any_agent(s);

	if (a->task_count > 0)
		fake_send_update(&s->fake, a, &a->tasks[rng_below(&s->rng, a->task_count)]);
}

static bool
is_end(uint8_t cell_state)
{
	return cell_state == CELL_FINISHED || cell_state == CELL_FAILED ||
	       cell_state == CELL_STOPPED;
}

/* What the store says of each job, compared with what it said before and with what happened. */
static void
look_at_store(struct sim *s)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &s->fake.cluster.jobs)
	{
		const struct job *j = HMAP_ENTRY(it, struct job, by_name);
		struct known_job *k = known(s, j->incarnation);

		for (uint32_t i = 0; i < j->count; i++) {
			uint8_t state = j->cells[i].state;

			if (k->stored[i] != 0 && state != k->stored[i])
				fail(s, "an end that was stored has changed");
			if (state == CELL_FINISHED && !k->succeeded[i])
				fail(s, "a task is stored as finished that never exited with 0");
			if (is_end(state))
				k->stored[i] = state;
		}
	}
}

static void
fail_over(struct sim *s)
{
	if (rng_below(&s->rng, 2) == 0)
		fake_commit(&s->fake, false); /* the batch was stored, the master never heard */
	fake_elect(&s->fake);
	look_at_store(s);
}

static void
pass_time(struct sim *s)
{
	s->fake.now_ms += 1 + rng_below(&s->rng, rng_below(&s->rng, 20) == 0 ? 40000 : 400);
	for (size_t i = 0; s->fake.leading && i < s->fake.agent_count; i++)
		fake_heartbeat(&s->fake, &s->fake.agents[i]);
}

/* An operator drains a node, no longer does, gives it up, or forgets it. */
static void
operate(struct sim *s)
{
	struct cluster *c = &s->fake.cluster;
	uint64_t now_ms = s->fake.now_ms, what = rng_below(&s->rng, 8);
	struct drain drain = {.wanted = what < 4,
	    .from_ms = now_ms + rng_below(&s->rng, 3) * 1000,
	    .stop_ms = UINT64_MAX,
	    .until_ms = UINT64_MAX};
	struct agent *a;
	char error[400];

	a = s->fake.leading ? cluster_agent(c, any_agent(s)->name) : NULL;
	if (a == NULL || a->gone)
		return;
	if (rng_below(&s->rng, 3) > 0)
		drain.stop_ms = drain.from_ms + rng_below(&s->rng, 3) * 5000;
	if (rng_below(&s->rng, 3) > 0)
		drain.until_ms = drain.from_ms + 1 + rng_below(&s->rng, 20000);
	if (what < 6)
		cluster_drain(c, now_ms, a, &drain);
	else if (what == 6)
		(void)cluster_mark_unreachable(c, a);
	else
		(void)cluster_forget(c, now_ms, a, rng_below(&s->rng, 2) == 0, error, sizeof error);
}

/* Another quota, weight or reservation; refused where it cannot be. */
static void
share_otherwise(struct sim *s)
{
	struct cluster *c = &s->fake.cluster;
	struct quota q = {
	    {0, 0, 0}, {rng_below(&s->rng, 2) == 0 ? QUOTA_NO_LIMIT : 500 * rng_below(&s->rng, 12),
			   QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	struct resources amount = {500 * rng_below(&s->rng, 4), 0, 0};
	const char *role = any_role(s);
	char error[300];
	struct agent *a;

	if (!s->fake.leading)
		return;
	q.guarantee.cpu_milli = rng_below(&s->rng, 3) == 0 ? 1000 * rng_below(&s->rng, 3) : 0;
	switch (rng_below(&s->rng, 3)) {
	case 0:
		cluster_set_quota(c, role, &q, rng_below(&s->rng, 2) == 0, error, sizeof error);
		break;
	case 1:
		cluster_set_weight(c, role, 500 * (1 + rng_below(&s->rng, 4)), error, sizeof error);
		break;
	default:
		a = cluster_agent(c, any_agent(s)->name);
		if (a != NULL)
			cluster_reserve(c, a, role, &amount, error, sizeof error);
	}
}

/* When all is healed nothing bars any role. */
static void
share_no_more(struct sim *s)
{
	static const char *const roles[] = {"*", "a", "a/b", "c"};
	static const struct quota no_quota = {
	    .limit = {QUOTA_NO_LIMIT, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	static const struct resources nothing;
	struct cluster *c = &s->fake.cluster;
	char error[300];

	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		const struct role *r = share_find(&c->books.share, roles[i]);

		if (r != NULL && !quota_is_none(&r->quota))
			cluster_set_quota(c, roles[i], &no_quota, true, error, sizeof error);
		for (uint32_t n = 0; n < c->agent_count; n++)
			if (!list_empty(&c->by_number[n]->reservations))
				cluster_reserve(
				    c, c->by_number[n], roles[i], &nothing, error, sizeof error);
	}
}

/* What was drained when all is healed takes tasks again. */
static void
undrain_all(struct sim *s)
{
	static const struct drain none;

	for (size_t i = 0; i < s->fake.agent_count; i++) {
		struct agent *a = cluster_agent(&s->fake.cluster, s->fake.agents[i].name);

		if (a != NULL && a->drain.wanted)
			cluster_drain(&s->fake.cluster, s->fake.now_ms, a, &none);
	}
}

static void
change_connection(struct sim *s)
{
	struct fake_agent *a = any_agent(s);

	if (!a->connected || rng_below(&s->rng, 3) == 0)
		fake_connect(&s->fake, a);
	else
		fake_cut(&s->fake, a);
}

static void
step(struct sim *s)
{
	uint64_t dice = rng_below(&s->rng, 1000);

	if (dice < 20)
		submit(s);
	else if (dice < 24)
		stop_some(s);
	else if (dice < 30)
		fail_over(s);
	else if (dice < 34)
		fake_lose_all(&s->fake, any_agent(s));
	else if (dice < 40)
		operate(s);
	else if (dice < 44)
		share_otherwise(s);
	else if (dice < 84)
		change_connection(s);
	else if (dice < 300)
		end_a_task(s);
	else if (dice < 340)
		send_again(s);
	else if (dice < 440)
		pass_time(s);
	else if (dice < 560)
		fake_commit(&s->fake, true);
	else if (dice < 800)
		fake_read(&s->fake, any_agent(s));
	else
		fake_turn(&s->fake);
	if (s->fake.leading && !cluster_check(&s->fake.cluster))
		fail(s, "the books or the counts are wrong");
	if (s->fake.refusals > 0)
		fail(s, "an agent was sent more than it has");
}

static bool
all_over(struct sim *s)
{
	if (!list_empty(&s->fake.cluster.live) || s->fake.batch != NULL)
		return false;
	for (size_t i = 0; i < s->fake.agent_count; i++)
		if (s->fake.agents[i].task_count > 0 || s->fake.agents[i].inbox_count > 0)
			return false;
	return true;
}

/* Everybody is connected and every task ends: nothing may be left over. */
static void
heal(struct sim *s)
{
	struct list *it, *nx;

	for (int i = 0; i < HEAL_TURNS && !all_over(s); i++) {
		s->step++;
		s->fake.now_ms += 200;
		undrain_all(s);
		share_no_more(s);
		LIST_EACH(it, nx, &s->fake.cluster.live)
		{
			struct job *j = CONTAINER_OF(it, struct job, in_order);

			if (j->policy.service)
				cluster_stop(&s->fake.cluster, s->fake.now_ms, j, "sim");
		}
		fake_settle(&s->fake);
		for (size_t a = 0; a < s->fake.agent_count; a++) {
			if (!s->fake.agents[a].connected)
				fake_connect(&s->fake, &s->fake.agents[a]);
			fake_heartbeat(&s->fake, &s->fake.agents[a]);
			fake_read_all(&s->fake, &s->fake.agents[a]);
		}
		end_a_task(s);
		send_again(s);
		if (!cluster_check(&s->fake.cluster))
			fail(s, "the books or the counts are wrong");
	}
	if (!all_over(s))
		fail(s, "something is left over after all was healed");
	if (s->fake.cluster.books.leased.cpu_milli != 0 ||
	    s->fake.cluster.books.leased.memory_bytes != 0)
		fail(s, "resources are leased to nobody");
	fake_elect(&s->fake);
	look_at_store(s);
	if (!list_empty(&s->fake.cluster.live))
		fail(s, "a job that ended is stored as going on");
}

static void
run(uint64_t seed, uint32_t steps)
{
	struct sim *s = calloc(1, sizeof *s);
	uint32_t agents;

	if (s == NULL)
		exit(EXIT_FAILURE);
	s->seed = seed;
	rng_init(&s->rng, seed);
	fake_init(&s->fake);
	s->fake.on_start = on_start;
	s->fake.on_success = on_success;
	s->fake.arg = s;
	agents = 1 + (uint32_t)rng_below(&s->rng, 12);
	for (uint32_t i = 0; i < agents; i++)
		fake_add_agent(&s->fake, 1500 * (1 + rng_below(&s->rng, 4)),
		    512 * (1 + rng_below(&s->rng, 4)));
	fake_elect(&s->fake);
	for (s->step = 0; s->step < steps; s->step++)
		step(s);
	if (s->fake.batch != NULL)
		fake_commit(&s->fake, true);
	heal(s);
	fake_fini(&s->fake);
	free(s);
}

int
main(int argc, char **argv)
{
	uint64_t seeds = 40, first = 1, steps = 4000;

	if ((argc > 1 && !str_to_u64(argv[1], 1, UINT32_MAX, &seeds)) ||
	    (argc > 2 && !str_to_u64(argv[2], 0, UINT64_MAX - UINT32_MAX, &first)) ||
	    (argc > 3 && !str_to_u64(argv[3], 1, UINT32_MAX, &steps))) {
		fputs("usage: clustersim [SEEDS [FIRST-SEED [STEPS]]]\n", stderr);
		return EXIT_FAILURE;
	}
	for (uint64_t i = 0; i < seeds; i++)
		run(first + i, (uint32_t)steps);
	printf("clustersim: %llu seeds from %llu on, %llu steps each\n", (unsigned long long)seeds,
	    (unsigned long long)first, (unsigned long long)steps);
	return EXIT_SUCCESS;
}
