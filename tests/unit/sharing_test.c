/* SPDX-License-Identifier: Apache-2.0 */
/* What roles, priorities and quotas make of the master's placement, beside an oracle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "master/core/why.h"
#include "tests/lib/fair_oracle.h"
#include "tests/lib/cluster_rig.h"

START_TEST(a_job_of_higher_priority_goes_first_and_then_the_older_one)
{
	struct job *low, *old, *young, *high;

	low = submit("low", "a", 10, 4, 1000);
	old = submit("old", "a", 50, 4, 1000);
	young = submit("young", "a", 50, 4, 1000);
	high = submit("high", "a", 90, 4, 1000);
	agents_ready(1, 10000);
	ck_assert_uint_eq(high->in_state[CELL_LIVE], 4);
	ck_assert_uint_eq(old->in_state[CELL_LIVE], 4);
	ck_assert_uint_eq(young->in_state[CELL_LIVE], 2);
	ck_assert_uint_eq(low->in_state[CELL_LIVE], 0);
}
END_TEST

START_TEST(roles_share_evenly_whoever_came_first_and_however_many_wait)
{
	struct job *first = submit("first", "a", 50, 100, 1000), *second;

	second = submit("second", "b", 50, 100, 1000);
	agents_ready(2, 10000);
	ck_assert_uint_eq(first->in_state[CELL_LIVE], 10);
	ck_assert_uint_eq(second->in_state[CELL_LIVE], 10);
}
END_TEST

static void
set_quota(const char *role, uint64_t guarantee, uint64_t limit)
{
	struct quota q = {{guarantee, 0, 0}, {limit, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	char error[300] = "";

	ck_assert_msg(
	    cluster_set_quota(&f->cluster, role, &q, false, error, sizeof error), "%s", error);
	fake_settle(f);
}

START_TEST(quotas_and_weights_are_text_in_the_store_and_come_back_with_the_next_leader)
{
	struct quota limit = {{0, 0, 0}, {2500, 4096 * MIB, 0}};
	const struct role *r;
	char error[300];

	agents_ready(1, 10000);
	set_quota("eng", 2000, 4500);
	ck_assert(cluster_set_quota(&f->cluster, "eng/web", &limit, false, error, sizeof error));
	ck_assert(cluster_set_weight(&f->cluster, "eng/web", 2500, error, sizeof error));
	fake_settle(f);
	ck_assert_str_eq(fake_find(f, "/corral/quota")->data,
	    "eng guarantee cpus=2.0 limit cpus=4.5\n"
	    "eng/web guarantee - limit cpus=2.5,memory=4G,disk=0\n");
	ck_assert_str_eq(fake_find(f, "/corral/roles")->data, "eng/web weight 2.5\n");
	fake_elect(f);
	r = share_find(&f->cluster.books.share, "eng/web");
	ck_assert_uint_eq(r->weight, 2500);
	ck_assert_uint_eq(r->limit.cpu_milli, 2500);
	ck_assert_uint_eq(r->limit.disk_bytes, 0);
	ck_assert_uint_eq(r->parent->quota.guarantee.cpu_milli, 2000);
}
END_TEST

START_TEST(a_limit_holds_right_after_a_failover_before_any_agent_is_back)
{
	struct fake_agent *a, *b;
	struct job *old, *new;

	agents_ready(2, 4000);
	a = &f->agents[0];
	b = &f->agents[1];
	set_quota("eng", 0, 5000);
	submit("old", "eng", 50, 5, 1000);
	ck_assert_uint_eq(a->task_count + b->task_count, 5);
	fake_elect(f);
	fake_connect(f, b); /* with one of the five; what runs on a is not known yet */
	fake_settle(f);
	fake_read_all(f, b);
	old = cluster_job(&f->cluster, "old");
	ck_assert_uint_eq(old->in_state[CELL_LIVE], 1);
	new = submit("new", "eng", 90, 4, 1000);
	ck_assert_uint_eq(new->in_state[CELL_LIVE], 0);
	fake_connect(f, a);
	fake_settle(f);
	fake_read_all(f, a);
	ck_assert_uint_eq(old->in_state[CELL_LIVE], 5);
	ck_assert_uint_eq(new->in_state[CELL_LIVE], 0);
	fake_exit(f, a, &a->tasks[0], 0);
	fake_settle(f);
	ck_assert_uint_eq(new->in_state[CELL_LIVE], 1);
}
END_TEST

START_TEST(what_turns_out_not_to_run_makes_room_below_the_limit_at_once)
{
	struct fake_agent *b;
	struct job *new;

	agents_ready(2, 4000);
	b = &f->agents[1];
	set_quota("eng", 0, 5000);
	submit("old", "eng", 50, 5, 1000);
	fake_elect(f);
	fake_connect(f, b); /* with one of the five */
	fake_settle(f);
	fake_read_all(f, b);
	new = submit("new", "eng", 90, 4, 1000);
	ck_assert_uint_eq(new->in_state[CELL_LIVE], 0);
	ck_assert(cluster_stop(&f->cluster, f->now_ms, cluster_job(&f->cluster, "old"), "test"));
	fake_settle(f);
	ck_assert(cluster_mark_unreachable(&f->cluster, node(f->agents[0].name)));
	fake_settle(f); /* the four others are no more */
	ck_assert_uint_eq(new->in_state[CELL_LIVE], 3);
}
END_TEST

START_TEST(a_limit_that_was_raised_lets_nobody_in_before_it_is_stored)
{
	struct quota q = {{0, 0, 0}, {3000, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	struct job *j;
	char error[300];

	agents_ready(1, 8000);
	set_quota("eng", 0, 1000);
	j = submit("j", "eng", 50, 4, 1000);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	ck_assert(cluster_set_quota(&f->cluster, "eng", &q, false, error, sizeof error));
	fake_turn(f);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	fake_commit(f, true);
	fake_settle(f);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 3);
}
END_TEST

START_TEST(quotas_that_cannot_be_are_refused_with_the_reason)
{
	static const struct {
		const char *role, *why;
		struct quota q;
	} bad[] = {
	    {"a b", "no name of a role", {{0, 0, 0}, {1, 1, 1}}},
	    {"a/b", "only a top-level role", {{1, 0, 0}, {1, 1, 1}}},
	    {"a", "above the limit of memory", {{0, 2, 0}, {1, 1, 1}}},
	    {"eng", "more than this limit already", {{0, 0, 0}, {999, MIB << 20, 1}}},
	    {"a", "any cluster could have of memory",
		{{0, UINT64_C(1) << 53, 0}, {1, UINT64_MAX, 1}}},
	    {"a", "more than the cluster has", {{4001, 0, 0}, {9999, 1, 1}}},
	};
	struct quota fits = {{4000, 0, 0}, {9999, 1, 1}};
	char error[300];

	agents_ready(1, 4000);
	submit("j", "eng", 50, 1, 1000);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert(!cluster_set_quota(
		    &f->cluster, bad[i].role, &bad[i].q, false, error, sizeof error));
		ck_assert_msg(strstr(error, bad[i].why) != NULL, "%s", error);
	}
	ck_assert(cluster_set_quota(&f->cluster, "a", &fits, false, error, sizeof error));
	ck_assert(!cluster_set_quota(&f->cluster, "b", &fits, false, error, sizeof error));
	ck_assert(cluster_set_quota(&f->cluster, "b", &fits, true, error, sizeof error));
	ck_assert(!cluster_set_weight(&f->cluster, "b", 0, error, sizeof error));
}
END_TEST

START_TEST(texts_of_quotas_and_weights_that_are_damaged_are_refused_and_named)
{
	static const char *const quotas[] = {"eng\n", "eng guarantee - limit\n",
	    "eng guarantee cpus=x limit -\n", "eng guarantee - limit - more\n",
	    "e ng guarantee - limit -\n", "eng guarantee cpus=2 limit cpus=1\n"};
	static const char *const weights[] = {"eng\n", "eng weight 0\n", "eng weight x\n", "\n"};
	char error[300], line[700];

	for (size_t i = 0; i < sizeof quotas / sizeof *quotas; i++)
		ck_assert(!cluster_load_quota(
		    &f->cluster, quotas[i], strlen(quotas[i]), error, sizeof error));
	for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
		ck_assert(!cluster_load_weights(
		    &f->cluster, weights[i], strlen(weights[i]), error, sizeof error));
	memset(line, 'x', sizeof line);
	ck_assert(!cluster_load_quota(&f->cluster, line, sizeof line, error, sizeof error));
	ck_assert_str_eq(error, "a line is too long");
	ck_assert(cluster_load_quota(&f->cluster, "", 0, error, sizeof error));
}
END_TEST

/* --- preemption, and nodes that are held --- */

START_TEST(a_job_of_higher_priority_has_lower_ones_of_its_role_stopped_and_made_again)
{
	struct job *low, *lower, *other, *high;
	uint32_t said = 0;

	agents_ready(1, 8000);
	low = submit("low", "a", 20, 3, 1000);
	lower = submit("lower", "a", 10, 2, 1000);
	other = submit("other", "b", 0, 3, 1000);
	f->now_ms += 1000;
	high = submit("high", "a", 50, 1, 3000);
	ck_assert_uint_eq(f->kills, 0);
	f->now_ms += 500;
	cluster_turn(&f->cluster, f->now_ms);
	for (size_t i = 0; i < f->cluster.out.count; i++)
		said += f->cluster.out.items[i].kind == OUT_TASK &&
			strcmp(f->cluster.out.items[i].message,
			    "is stopped for job high, of priority 50, and will be made again") == 0;
	ck_assert_uint_eq(said, 3);
	scan(0);
	ck_assert_uint_eq(f->kills, 3);
	ck_assert_uint_eq(high->in_state[CELL_LIVE], 0); /* not before they are over */
	scan(500);
	ck_assert_uint_eq(f->kills, 3);
	work();
	ck_assert_uint_eq(high->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(lower->in_state[CELL_LIVE], 0);
	ck_assert_uint_eq(low->in_state[CELL_LIVE], 2);
	ck_assert_uint_eq(other->in_state[CELL_LIVE], 3);
	ck_assert_uint_eq(lower->in_state[CELL_PENDING], 2);
	ck_assert_uint_eq(lower->cells[0].failures, 0);
	ck_assert_uint_eq(f->cluster.hold_count, 0);
	fake_exit(f, &f->agents[0], &f->agents[0].tasks[0], 0);
	scan(500);
	ck_assert_uint_eq(low->in_state[CELL_LIVE] + other->in_state[CELL_LIVE] +
			      high->in_state[CELL_LIVE] + lower->in_state[CELL_LIVE],
	    6);
}
END_TEST

START_TEST(what_is_stopped_for_another_is_made_again_after_a_failover_too)
{
	struct job *low;

	agents_ready(1, 2000);
	submit("low", "a", 20, 2, 1000);
	submit("high", "a", 50, 1, 1000);
	scan(500);
	ck_assert_uint_eq(f->kills, 1);
	while (f->agents[0].inbox_count > 0)
		fake_read(f, &f->agents[0]); /* it is killed, and nobody hears of that */
	fake_elect(f);
	low = cluster_job(&f->cluster, "low");
	fake_connect(f, &f->agents[0]);
	work();
	ck_assert_int_eq(low->state, JOB_RUNNING);
	ck_assert_uint_eq(low->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(low->in_state[CELL_PENDING] + low->in_state[CELL_DELAYED], 1);
	ck_assert_uint_eq(cluster_job(&f->cluster, "high")->in_state[CELL_LIVE], 1);
}
END_TEST

START_TEST(neither_other_roles_nor_singletons_nor_runs_are_preempted)
{
	struct job_policy single = {.role = "a", .singleton = true, .need = {1000, MIB, 0}},
			  run = {.role = "a", .once = true, .need = {1000, MIB, 0}};

	agents_ready(1, 4000);
	submit("other", "b", 0, 1, 1000);
	submit("child", "a/b", 0, 1, 1000);
	fake_submit(f, "single", 1, &single);
	fake_settle(f);
	fake_submit(f, "run", 1, &run);
	work();
	submit("high", "a", 100, 1, 1000);
	scan(500);
	scan(500);
	ck_assert_uint_eq(f->kills, 0);
}
END_TEST

START_TEST(a_job_that_the_limit_bars_has_no_more_stopped_than_it_needs)
{
	struct job *low, *high;

	agents_ready(2, 8000);
	set_quota("a", 0, 4000);
	low = submit("low", "a", 20, 9, 1000);
	ck_assert_uint_eq(low->in_state[CELL_LIVE], 4);
	high = submit("high", "a", 50, 2, 1000);
	scan(500);
	work();
	ck_assert_uint_eq(f->kills, 2);
	ck_assert_uint_eq(high->in_state[CELL_LIVE], 2);
	ck_assert_uint_eq(low->in_state[CELL_LIVE], 2);
}
END_TEST

static void
exit_one_of(const char *job)
{
	for (size_t i = 0; i < f->agent_count; i++) {
		struct fake_agent *a = &f->agents[i];

		for (size_t t = 0; t < a->task_count; t++)
			if (strcmp(a->tasks[t].key.job, job) == 0 &&
			    !task_state_terminal(a->tasks[t].state)) {
				fake_exit(f, a, &a->tasks[t], 0);
				return;
			}
	}
	ck_abort_msg("nothing of %s runs", job);
}

static void
force_limit(const char *role, uint64_t limit)
{
	struct quota q = {{0, 0, 0}, {limit, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	char error[300] = "";

	ck_assert_msg(
	    cluster_set_quota(&f->cluster, role, &q, true, error, sizeof error), "%s", error);
	fake_settle(f);
}

START_TEST(nothing_is_stopped_for_a_job_that_stays_barred_all_the_same)
{
	struct job *low, *high;

	agents_ready(1, 8000);
	low = submit("low", "a", 20, 4, 1000);
	force_limit("a", 500);
	high = submit("high", "a", 50, 1, 1000);
	pass(4 * SCAN_MS);
	ck_assert_uint_eq(f->kills, 0);
	force_limit("a", QUOTA_NO_LIMIT);
	work();
	ck_assert_uint_eq(high->in_state[CELL_LIVE], 1);
	set_quota("b", 8000, QUOTA_NO_LIMIT); /* all that there is, and more than is free */
	submit("higher", "a", 60, 1, 1000);
	pass(4 * SCAN_MS);
	ck_assert_uint_eq(f->kills, 0);
	ck_assert_uint_eq(low->in_state[CELL_LIVE], 4);
	ck_assert_uint_eq(f->cluster.hold_count, 0);
}
END_TEST

START_TEST(so_many_are_stopped_that_a_role_above_its_limit_may_have_the_job)
{
	struct job *low, *high;

	agents_ready(2, 8000);
	low = submit("low", "a", 20, 4, 1000);
	force_limit("a", 2000);
	high = submit("high", "a", 50, 1, 1000);
	pass(4 * SCAN_MS);
	ck_assert_uint_eq(f->kills, 3);
	ck_assert_uint_eq(high->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(low->in_state[CELL_LIVE], 1);
}
END_TEST

/* What the first node that is held will take of a limit is not there for the second. */
START_TEST(what_a_limit_leaves_is_not_promised_twice)
{
	struct job *low, *high;

	agents_ready(2, 4000);
	submit("first", "b", 50, 1, 2000);
	low = submit("low", "a", 20, 2, 2000);
	exit_one_of("first");
	work();
	set_quota("a", 0, 7000);
	high = submit("high", "a", 50, 2, 4000);
	pass(4 * SCAN_MS);
	ck_assert_uint_eq(f->kills, 1);
	ck_assert_uint_eq(high->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(low->in_state[CELL_LIVE], 1);
}
END_TEST

START_TEST(nothing_is_stopped_for_a_job_that_a_node_has_room_for_which_has_just_come)
{
	struct job *high;

	agents_ready(1, 2000);
	submit("low", "a", 20, 2, 1000);
	high = submit("high", "a", 50, 1, 1000);
	fake_connect(f, fake_add_agent(f, 2000, 4096));
	fake_turn(f);
	f->now_ms += SCAN_MS; /* both are looked at in one turn */
	fake_commit(f, true);
	fake_turn(f);
	ck_assert_uint_eq(f->kills, 0);
	ck_assert_uint_eq(high->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(f->cluster.hold_count, 0);
}
END_TEST

START_TEST(the_large_task_at_the_head_gets_its_node_and_small_ones_go_round_it)
{
	struct job *large, *small;
	uint32_t steps = 0;

	agents_ready(2, 4000);
	small = submit("small", "a", 50, 200, 1000);
	large = submit("large", "a", 60, 1, 4000);
	small->policy.priority = 60; /* nothing to preempt */
	scan(500);
	exit_one_of("small");
	scan(500);
	work();
	ck_assert_uint_eq(small->in_state[CELL_LIVE], 8); /* the place was taken at once */
	scan(CLUSTER_HOLD_AFTER_MS);
	ck_assert_uint_eq(f->cluster.hold_count, 1);
	while (large->in_state[CELL_LIVE] == 0) {
		ck_assert_uint_lt(steps++, 20);
		exit_one_of("small");
		scan(500);
		work();
		ck_assert(cluster_check(&f->cluster));
	}
	ck_assert_uint_eq(small->in_state[CELL_LIVE], 4); /* the other node stayed full */
	ck_assert_uint_eq(large->held_tasks, 0);	  /* (the small ones are the first now) */
}
END_TEST

START_TEST(no_node_is_held_where_services_keep_it_full_nor_longer_than_the_bound)
{
	struct job_policy web = {.role = "a",
	    .priority = 100,
	    .service = true,
	    .restart = JOB_RESTART_ALWAYS,
	    .need = {1000, MIB, 0}};
	struct job *large, *small;

	agents_ready(2, 4000);
	fake_submit(f, "web", 1, &web);
	fake_settle(f);
	small = submit("small", "a", 100, 7, 1000);
	large = submit("large", "a", 100, 1, 4000);
	scan(500);
	scan(CLUSTER_HOLD_AFTER_MS);
	ck_assert_ptr_null(f->cluster.by_node[0]->held_for); /* web runs there */
	ck_assert_ptr_eq(f->cluster.by_node[1]->held_for, large);
	scan(CLUSTER_HOLD_MS);
	ck_assert_uint_eq(f->cluster.hold_count, 0);
	scan(CLUSTER_HOLD_MS - 1000);
	ck_assert_uint_eq(f->cluster.hold_count, 0);
	scan(1000);
	ck_assert_uint_eq(f->cluster.hold_count, 1);
	ck_assert(cluster_stop(&f->cluster, f->now_ms, large, "test"));
	ck_assert_uint_eq(f->cluster.hold_count, 0);
	ck_assert_uint_eq(small->in_state[CELL_LIVE], 7);
}
END_TEST

START_TEST(why_counts_what_nodes_lack_and_names_what_bars_a_role)
{
	struct why_sum sum;
	struct job *j, *barred;

	agents_ready(3, 4000);
	fake_connect(f, fake_add_agent(f, 1000, 64));
	fake_settle(f);
	submit("fill", "b", 50, 3, 3000);
	j = submit("j", "a", 50, 1, 2000);
	cluster_why(&f->cluster, j, &sum);
	ck_assert_uint_eq(sum.looked_at, 4);
	ck_assert_uint_eq(sum.nodes[WHY_CPU], 4);
	ck_assert_uint_eq(sum.most_free.cpu_milli, 1000);
	ck_assert_uint_eq(sum.most_total.cpu_milli, 4000);
	ck_assert_int_eq(sum.barred.bar, SHARE_BAR_NOT);
	fake_cut(f, &f->agents[2]);
	set_quota("a", 0, 1500);
	barred = submit("barred", "a/b", 50, 2, 1000);
	cluster_why(&f->cluster, barred, &sum);
	ck_assert_uint_eq(barred->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(sum.nodes[WHY_STATE], 1);
	ck_assert_uint_eq(sum.nodes[WHY_FITS], 2);
	ck_assert_int_eq(sum.barred.bar, SHARE_BAR_LIMIT);
	ck_assert_str_eq(sum.barred.at->name, "a");
	ck_assert_uint_eq(sum.bound, 1500);
	ck_assert_uint_eq(sum.taken, 1000);
	set_quota("g", 2000, 9000);
	cluster_why(&f->cluster, submit("late", "b", 50, 1, 1000), &sum);
	ck_assert_int_eq(sum.barred.bar, SHARE_BAR_GUARANTEE);
	ck_assert_uint_eq(sum.taken, 2000);
}
END_TEST

/* --- the master beside the oracle --- */

struct pair {
	int seed;
	struct fair fair;
	struct rng rng;
	struct job *jobs[FAIR_JOBS_MAX];
};

static struct pair p;

/* A tree of some roles, with weights of 1 to 3; a role may have jobs and children. */
static void
make_roles(void)
{
	static const char *const names[] = {
	    "*", "a", "a/x", "a/y", "a/y/deep", "b", "b/x", "c", "d"};
	static const int parents[] = {-1, -1, 1, 1, 3, -1, 5, -1, -1};

	p.fair.role_count = 3 + (int)rng_below(&p.rng, 7);
	for (int i = 0; i < p.fair.role_count; i++) {
		struct fair_role *r = &p.fair.roles[i];

		*r = (struct fair_role){.name = names[i],
		    .parent = parents[i],
		    .weight = 1 + rng_below(&p.rng, 3),
		    .limit = {FAIR_NO_LIMIT, FAIR_NO_LIMIT}};
	}
}

/* Guarantees for some of the top, limits for some of all. The oracle reckons in 250 cpu_milli and
 * 2 MiB. */
static void
make_quotas(void)
{
	for (int i = 0; i < p.fair.role_count; i++) {
		struct fair_role *r = &p.fair.roles[i];

		if (r->parent < 0 && rng_below(&p.rng, 3) == 0)
			r->guarantee[0] = rng_below(&p.rng, 40);
		if (r->parent < 0 && rng_below(&p.rng, 3) == 0)
			r->guarantee[1] = rng_below(&p.rng, 4000);
		for (int kind = 0; kind < FAIR_KINDS; kind++)
			if (rng_below(&p.rng, 4) == 0)
				r->limit[kind] =
				    r->guarantee[kind] + rng_below(&p.rng, kind == 0 ? 60 : 8000);
	}
}

static uint64_t
scaled(uint64_t amount, uint64_t unit)
{
	return amount == FAIR_NO_LIMIT ? QUOTA_NO_LIMIT : amount * unit;
}

static void
set_roles(void)
{
	for (int i = 0; i < p.fair.role_count; i++) {
		const struct fair_role *r = &p.fair.roles[i];
		struct role *role = share_take(&f->cluster.books.share, r->name);
		struct quota q = {{r->guarantee[0] * 250, r->guarantee[1] * 2 * MIB, 0},
		    {scaled(r->limit[0], 250), scaled(r->limit[1], 2 * MIB), QUOTA_NO_LIMIT}};

		share_set_weight(role, (uint32_t)r->weight * SHARE_WEIGHT_ONE);
		share_set_quota(role, &q);
	}
}

static void
add_job(void)
{
	int number = p.fair.job_count++;
	struct fair_job *j = &p.fair.jobs[number];
	struct job_policy policy = {0};
	char name[16];

	*j = (struct fair_job){.role = (int)rng_below(&p.rng, (uint64_t)p.fair.role_count),
	    .priority = (uint32_t)rng_below(&p.rng, 3) * 50,
	    .pending = 1 + (uint32_t)rng_below(&p.rng, 30),
	    .need = {1 + rng_below(&p.rng, 6), 1 + rng_below(&p.rng, 500)}};
	policy.role = p.fair.roles[j->role].name;
	policy.priority = j->priority;
	policy.need = (struct resources){j->need[0] * 250, (j->need[1] - 1) * 2 * MIB, 0};
	snprintf(name, sizeof name, "job-%d", number);
	p.jobs[number] = fake_submit(f, name, j->pending, &policy);
	ck_assert_ptr_nonnull(p.jobs[number]);
}

static void
add_node(void)
{
	int node = p.fair.node_count++;

	p.fair.nodes[node][0] = 4 + rng_below(&p.rng, 30);
	p.fair.nodes[node][1] = 100 + rng_below(&p.rng, 3000);
	fake_connect(f, fake_add_agent(f, p.fair.nodes[node][0] * 250, p.fair.nodes[node][1] * 2));
}

static void
end_some(void)
{
	for (int i = 0; i < p.fair.node_count; i++) {
		struct fake_agent *a = &f->agents[i];

		for (size_t t = 0; t < a->task_count; t++) {
			unsigned long job = strtoul(a->tasks[t].key.job + strlen("job-"), NULL, 10);

			if (task_state_terminal(a->tasks[t].state) || rng_below(&p.rng, 4) != 0)
				continue;
			p.fair.jobs[job].on[i]--;
			fake_exit(f, a, &a->tasks[t], 0);
		}
	}
}

static void
compare(void)
{
	for (int i = 0; i < p.fair.job_count; i++) {
		uint32_t live = 0;

		for (int node = 0; node < p.fair.node_count; node++)
			live += p.fair.jobs[i].on[node];
		ck_assert_msg(p.jobs[i]->in_state[CELL_LIVE] == live,
		    "seed %d, %s of role %s: %u tasks, and %u by the oracle", p.seed,
		    p.jobs[i]->name, p.jobs[i]->role->name, p.jobs[i]->in_state[CELL_LIVE], live);
	}
}

/* Whatever happened: the master places, the oracle places, and both say the same. */
static void
both_turn(void)
{
	fake_settle(f);
	for (int i = 0; i < p.fair.node_count; i++)
		fake_read_all(f, &f->agents[i]);
	fake_settle(f);
	for (int i = 0; i < p.fair.node_count; i++)
		fake_read_all(f, &f->agents[i]);
	fair_turn(&p.fair);
	compare();
	ck_assert(cluster_check(&f->cluster));
	for (int i = 0; i < p.fair.role_count; i++)
		for (int kind = 0; kind < FAIR_KINDS; kind++)
			ck_assert_uint_le(fair_used(&p.fair, i, kind), p.fair.roles[i].limit[kind]);
}

START_TEST(the_master_places_as_progressive_filling_by_definition_does)
{
	p = (struct pair){.seed = _i, .fair.own_weight = 1};
	rng_init(&p.rng, 4000 + (uint64_t)_i);
	make_roles();
	if (_i % 2 == 1)
		make_quotas();
	set_roles();
	for (int i = 0; i < 10; i++) {
		add_job();
		both_turn();
	}
	for (int step = 0; step < 40; step++) {
		switch (rng_below(&p.rng, 4)) {
		case 0:
			if (p.fair.job_count < FAIR_JOBS_MAX)
				add_job();
			break;
		case 1:
			for (uint64_t n = rng_below(&p.rng, 4);
			     n > 0 && p.fair.node_count < FAIR_NODES_MAX; n--)
				add_node();
			break;
		default:
			end_some();
		}
		both_turn();
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("sharing");
	TCase *t = tcase_create("sharing");

	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_test(t, a_job_of_higher_priority_goes_first_and_then_the_older_one);
	tcase_add_test(t, roles_share_evenly_whoever_came_first_and_however_many_wait);
	tcase_add_test(
	    t, quotas_and_weights_are_text_in_the_store_and_come_back_with_the_next_leader);
	tcase_add_test(t, a_limit_holds_right_after_a_failover_before_any_agent_is_back);
	tcase_add_test(t, what_turns_out_not_to_run_makes_room_below_the_limit_at_once);
	tcase_add_test(t, a_limit_that_was_raised_lets_nobody_in_before_it_is_stored);
	tcase_add_test(t, quotas_that_cannot_be_are_refused_with_the_reason);
	tcase_add_test(t, texts_of_quotas_and_weights_that_are_damaged_are_refused_and_named);
	tcase_add_test(
	    t, a_job_of_higher_priority_has_lower_ones_of_its_role_stopped_and_made_again);
	tcase_add_test(t, what_is_stopped_for_another_is_made_again_after_a_failover_too);
	tcase_add_test(
	    t, nothing_is_stopped_for_a_job_that_a_node_has_room_for_which_has_just_come);
	tcase_add_test(t, neither_other_roles_nor_singletons_nor_runs_are_preempted);
	tcase_add_test(t, nothing_is_stopped_for_a_job_that_stays_barred_all_the_same);
	tcase_add_test(t, so_many_are_stopped_that_a_role_above_its_limit_may_have_the_job);
	tcase_add_test(t, what_a_limit_leaves_is_not_promised_twice);
	tcase_add_test(t, a_job_that_the_limit_bars_has_no_more_stopped_than_it_needs);
	tcase_add_test(t, the_large_task_at_the_head_gets_its_node_and_small_ones_go_round_it);
	tcase_add_test(t, no_node_is_held_where_services_keep_it_full_nor_longer_than_the_bound);
	tcase_add_test(t, why_counts_what_nodes_lack_and_names_what_bars_a_role);
	tcase_add_loop_test(t, the_master_places_as_progressive_filling_by_definition_does, 0, 24);
	suite_add_tcase(s, t);
	return s;
}
