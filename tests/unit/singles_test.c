/* SPDX-License-Identifier: Apache-2.0 */
/* Singletons in the master's core: when the next attempt at one may be sent. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/cluster_rig.h"

#define LEASE_MS 15000
#define STOP_MS 5000
/* (L + G)(1 + 3d), d = 1 %, and a millisecond. */
#define WAIT_MS ((LEASE_MS + STOP_MS + 2000) * 103 / 100 + 1)

static const struct job_policy singleton = {.service = true,
    .restart = JOB_RESTART_ALWAYS,
    .retries_max = UINT32_MAX,
    .need = {1000, 64 * MIB, 0},
    .singleton = true,
    .stop_ms = STOP_MS};

/* A singleton that runs on that agent. */
static struct job *
running_on(struct fake_agent *a)
{
	struct job *j = fake_submit(f, "one", 1, &singleton);

	ck_assert_ptr_nonnull(j);
	work();
	ck_assert_uint_eq(a->task_count, 1);
	return j;
}

START_TEST(an_attempt_is_sent_when_the_store_names_its_agent_and_not_before)
{
	struct fake_agent *a = ready_agent(1000);

	fake_submit(f, "one", 1, &singleton);
	fake_turn(f);
	fake_commit(f, true); /* the job */
	fake_turn(f);	      /* it is placed */
	ck_assert_ptr_nonnull(f->batch);
	ck_assert_uint_eq(f->launches, 0);
	fake_commit(f, true);
	ck_assert_uint_eq(f->launches, 1);
	ck_assert_str_eq(fake_find(f, "/corral/jobs/one/singleton-0")->data,
	    "attempt=1\nnode=n0\nagent=1-65-0\nterm=1 65\nlease_ms=15000\n");
	fake_read_all(f, a);
	ck_assert_uint_eq(a->task_count, 1);
}
END_TEST

START_TEST(the_next_attempt_waits_for_lease_and_grace_from_the_last_heartbeat)
{
	struct fake_agent *a = ready_agent(1000), *b = ready_agent(1000);
	struct job *j = running_on(a);
	uint64_t heard_ms = f->now_ms;

	fake_heartbeat(f, a);
	fake_cut(f, a);
	pass(WAIT_MS - 1);
	ck_assert_uint_eq(f->launches, 1);
	ck_assert_uint_eq(
	    cluster_give_up_at_ms(&f->cluster, cluster_live_attempt(&f->cluster, j, 0)),
	    heard_ms + WAIT_MS);
	pass(SCAN_MS);
	ck_assert_uint_eq(f->launches, 2);
	fake_read_all(f, b);
	ck_assert_uint_eq(b->task_count, 1);
	ck_assert_uint_eq(b->tasks[0].key.attempt, 2);
	ck_assert_ptr_nonnull(
	    strstr(fake_find(f, "/corral/jobs/one/singleton-0")->data, "attempt=2\nnode=n1\n"));
}
END_TEST

/*
 * In true time the node's clock is as slow as it may be, so that its lease and all that follows
 * lasts longest (lease_test), and the master's as fast, so that it waits least.
 */
START_TEST(clocks_that_run_apart_leave_no_moment_for_two)
{
	static const uint32_t drifts[] = {0, 1, 10, 100, CLUSTER_DRIFT_PERMILLE_MAX};
	uint32_t d = drifts[_i];
	uint64_t heard_ms, wait_ms, gone_us, given_up_us;
	struct fake_agent *a;
	struct job *j;

	f->drift_permille = d;
	fake_elect(f);
	a = ready_agent(1000);
	j = running_on(a);
	fake_heartbeat(f, a); /* received as soon as it was sent: nobody has more than that */
	heard_ms = f->now_ms;
	wait_ms =
	    cluster_give_up_at_ms(&f->cluster, cluster_live_attempt(&f->cluster, j, 0)) - heard_ms;
	fake_cut(f, a);
	while (j->in_state[CELL_LIVE] > 0) {
		f->now_ms++;
		fake_turn(f);
	}
	given_up_us = (f->now_ms - heard_ms) * 1000 * 1000 / (1000 + d);
	gone_us = (uint64_t)(LEASE_MS + STOP_MS + 2000) * 1000 * 1000 / (1000 - d);
	ck_assert_uint_lt(gone_us, given_up_us);
	/* And at twice that drift, it would not do. */
	given_up_us = wait_ms * 1000 * 1000 / (1000 + 2 * d);
	gone_us = (uint64_t)(LEASE_MS + STOP_MS + 2000) * 1000 * 1000 / (1000 - 2 * d);
	ck_assert(d == 0 || gone_us > given_up_us);
}
END_TEST

START_TEST(an_unreachable_mark_does_not_end_a_singletons_lease)
{
	struct fake_agent *a = ready_agent(1000), *b = ready_agent(1000);
	struct agent *known;

	running_on(a);
	fake_cut(f, a);
	known = node("n0");
	ck_assert(cluster_mark_unreachable(&f->cluster, known));
	pass(1000);
	ck_assert_int_eq(known->state, AGENT_UNREACHABLE);
	pass(WAIT_MS - 1001);
	ck_assert_uint_eq(f->launches, 1);
	pass(1000);
	ck_assert_uint_eq(f->launches, 2);
	fake_read_all(f, b);
	ck_assert_uint_eq(b->task_count, 1);
}
END_TEST

START_TEST(a_new_leader_waits_for_the_agent_that_the_store_names_and_for_no_other)
{
	struct fake_agent *a = ready_agent(1000), *b = ready_agent(1000);

	running_on(a);
	fake_submit(f, "other", 1, &singleton);
	work();
	fake_exit(f, b, &b->tasks[0], 0); /* over: nobody is to be waited for */
	fake_turn(f);
	fake_commit(f, true);
	fake_elect(f);
	fake_connect(f, b);
	work();
	ck_assert_uint_eq(b->task_count, 1); /* though the other agent has not come back */
	ck_assert_str_eq(b->tasks[0].key.job, "other");
	ck_assert_uint_ge(b->tasks[0].key.attempt, 2);
	ck_assert_int_eq(
	    cluster_live_attempt(&f->cluster, cluster_job(&f->cluster, "one"), 0)->state,
	    CORRAL__TASK_STATE__RECOVERING);
	pass(WAIT_MS - 1); /* from the election */
	ck_assert_int_eq(
	    cluster_live_attempt(&f->cluster, cluster_job(&f->cluster, "one"), 0)->attempt, 1);
	fake_exit(f, b, &b->tasks[0], 0); /* room for one */
	cluster_stop(&f->cluster, f->now_ms, cluster_job(&f->cluster, "other"), "test");
	work();
	pass(1000);
	fake_read_all(f, b);
	ck_assert_uint_eq(b->task_count, 1);
	ck_assert_str_eq(b->tasks[0].key.job, "one");
	ck_assert_uint_eq(b->tasks[0].key.attempt, 2);
}
END_TEST

START_TEST(a_new_leader_takes_over_what_the_agent_reports)
{
	struct fake_agent *a = ready_agent(1000);
	uint64_t launches;

	running_on(a);
	fake_elect(f);
	launches = f->launches;
	fake_connect(f, a);
	work();
	ck_assert_int_eq(
	    cluster_live_attempt(&f->cluster, cluster_job(&f->cluster, "one"), 0)->state,
	    CORRAL__TASK_STATE__RUNNING);
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, 1000);
	pass(2 * WAIT_MS);
	ck_assert_uint_eq(f->launches, launches);
}
END_TEST

START_TEST(a_new_leader_whose_predecessor_failed_before_the_launch_hears_so_from_the_agent)
{
	struct fake_agent *a = ready_agent(1000);

	fake_submit(f, "one", 1, &singleton);
	fake_turn(f);
	fake_commit(f, true);
	fake_turn(f);
	fake_commit(f, false); /* stored, and nobody was told */
	fake_elect(f);
	fake_connect(f, a);
	work();
	pass(2000);
	fake_read_all(f, a);
	ck_assert_uint_eq(a->task_count, 1);
	ck_assert_uint_eq(a->tasks[0].key.attempt, 2); /* a number is given once */
}
END_TEST

START_TEST(what_was_given_up_and_comes_back_is_killed_and_never_taken_over)
{
	struct fake_agent *a = ready_agent(1000);
	uint64_t kills;

	running_on(a);
	fake_cut(f, a);
	pass(WAIT_MS + SCAN_MS); /* given up, and there is no room for another attempt */
	ck_assert_int_eq(cluster_job(&f->cluster, "one")->cells[0].state, CELL_PENDING);
	kills = f->kills;
	fake_connect(f, a);
	ck_assert_uint_eq(f->kills, kills + 1);
	ck_assert_int_eq(cluster_job(&f->cluster, "one")->cells[0].state, CELL_PENDING);
	fake_read_all(f, a); /* it is killed, and that frees its room */
	work();
	ck_assert_uint_eq(a->task_count, 1);
	ck_assert_uint_eq(a->tasks[0].key.attempt, 2);
}
END_TEST

/* Its machine slept through lease and grace, and has only now begun to end it. */
START_TEST(what_was_given_up_and_lives_keeps_its_index_from_the_next)
{
	struct fake_agent *a = ready_agent(1000), *b;

	running_on(a);
	fake_cut(f, a);
	pass(_i == 0 ? WAIT_MS + SCAN_MS : 31000); /* not marked; and marked */
	ck_assert_int_eq(cluster_job(&f->cluster, "one")->cells[0].state, CELL_PENDING);
	ck_assert(cluster_agent(&f->cluster, a->name)->marked == (_i == 1));
	b = fake_add_agent(f, 1000, 4096);
	fake_connect(f, b);
	fake_connect(f, a); /* one that is marked has to be admitted first */
	fake_settle(f);
	fake_read_all(f, b);
	fake_read(f, a); /* the welcome, and not yet the kill */
	for (int i = 0; i < 20; i++)
		scan(1000);
	ck_assert_uint_eq(f->launches, 1);
	fake_read_all(f, a);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 2);
}
END_TEST

START_TEST(one_that_is_marked_keeps_its_index_before_it_is_admitted)
{
	struct fake_agent *a = ready_agent(1000), *b = ready_agent(1000);

	running_on(a);
	fake_cut(f, a);
	fake_cut(f, b);
	pass(31000);
	pass(61000); /* one a minute */
	ck_assert(cluster_agent(&f->cluster, a->name)->marked);
	fake_connect(f, a);
	fake_turn(f);
	ck_assert_int_eq(cluster_agent(&f->cluster, a->name)->state, AGENT_ADMITTING);
	ck_assert_uint_eq(f->cluster.doomed.count, 1);
	fake_cut(f, a);
	fake_connect(f, a); /* it counts once, however often it comes */
	ck_assert_uint_eq(f->cluster.doomed.count, 1);
	ck_assert(cluster_check(&f->cluster));
}
END_TEST

START_TEST(what_comes_back_while_the_next_ones_place_is_on_its_way_calls_that_off)
{
	struct fake_agent *a = ready_agent(1000), *b = ready_agent(1000);
	struct job *j = running_on(a);

	fake_cut(f, a);
	while (cluster_live_attempt(&f->cluster, j, 0)->attempt == 1) {
		f->now_ms += SCAN_MS;
		fake_heartbeat(f, b);
		fake_turn(f);
	}
	ck_assert(cluster_live_attempt(&f->cluster, j, 0)->unsent);
	fake_connect(f, a);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 1);
	fake_read_all(f, a);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 2);
	ck_assert_uint_eq(cluster_live_attempt(&f->cluster, j, 0)->attempt, 3);
}
END_TEST

START_TEST(what_a_whole_report_does_not_name_is_over)
{
	struct fake_agent *a = ready_agent(1000);

	running_on(a);
	fake_cut(f, a);
	a->task_count = 0; /* its executor ended, and that was acknowledged */
	fake_connect(f, a);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 2);
}
END_TEST

/* It has ended all that ran there, and has no id any more. */
START_TEST(what_an_agent_had_that_lost_its_checkpoint_is_over)
{
	struct fake_agent *a = ready_agent(1000);
	char id[CLUSTER_ID_MAX + 1];
	struct job *j = running_on(a);

	memcpy(id, a->id, sizeof id);
	fake_cut(f, a);
	if (_i == 1) { /* or a new leader knows only from the store what may run there */
		fake_elect(f);
		work();
		ck_assert_uint_eq(f->launches, 1);
		j = cluster_job(&f->cluster, "one");
	}
	a->id[0] = '\0';
	a->task_count = 0;
	fake_connect(f, a);
	ck_assert_uint_eq(j->cells[0].state, CELL_PENDING);
	ck_assert_uint_eq(j->cells[0].reason, CORRAL__TASK_REASON__REASON_AGENT_LOST);
	work();
	ck_assert_str_eq(a->id, id);
	ck_assert_uint_eq(f->launches, 2);
	ck_assert_uint_eq(a->tasks[0].key.attempt, 2);
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, 1000);
}
END_TEST

START_TEST(a_node_that_cannot_end_a_singleton_gets_none)
{
	static const char *const missing[] = {"user", "cgroup", "pid-namespace"};

	for (size_t i = 0; i < 3; i++) {
		struct fake_agent *a = fake_add_agent(f, 1000, 4096);

		a->missing = missing[i];
		fake_connect(f, a);
		fake_settle(f);
		ck_assert_ptr_nonnull(
		    cluster_lacks_for_singletons(cluster_agent(&f->cluster, a->name)));
	}
	fake_submit(f, "one", 1, &singleton);
	pass(1000);
	ck_assert_uint_eq(f->launches, 0);
	ready_agent(1000);
	pass(1000);
	ck_assert_uint_eq(f->launches, 1);
	ck_assert_ptr_nonnull(
	    strstr(fake_find(f, "/corral/jobs/one/singleton-0")->data, "node=n3\n"));
}
END_TEST

START_TEST(a_stop_or_a_cut_while_the_place_is_on_its_way_means_that_it_is_never_sent)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j = fake_submit(f, "one", 1, &singleton);

	fake_turn(f);
	fake_commit(f, true);
	fake_turn(f);
	cluster_stop(&f->cluster, f->now_ms, j, "test");
	fake_settle(f);
	ck_assert_int_eq(j->state, JOB_STOPPED);
	ck_assert_uint_eq(f->launches + f->kills, 0);

	j = fake_submit(f, "two", 1, &singleton);
	fake_turn(f);
	fake_commit(f, true);
	fake_turn(f);
	fake_cut(f, a);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 0);
	fake_connect(f, a);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 1);
	fake_read_all(f, a);
	ck_assert_uint_eq(a->tasks[0].key.attempt, 2);
	ck_assert_int_eq(j->state, JOB_RUNNING);
}
END_TEST

START_TEST(an_agent_that_registers_anew_while_the_place_is_on_its_way_gets_it)
{
	struct fake_agent *a = ready_agent(1000);

	fake_submit(f, "one", 1, &singleton);
	fake_turn(f);
	fake_commit(f, true);
	fake_turn(f);
	fake_cut(f, a);
	fake_connect(f, a);
	fake_commit(f, true);
	ck_assert_uint_eq(f->launches, 1);
	fake_read_all(f, a);
	ck_assert_uint_eq(a->task_count, 1);
	ck_assert_uint_eq(a->tasks[0].key.attempt, 1);
}
END_TEST

START_TEST(an_agent_that_offers_less_meanwhile_gets_what_still_fits)
{
	static const struct job_policy plain = {.need = {1000, 64 * MIB, 0}};
	struct fake_agent *a = ready_agent(2000), *b;

	fake_submit(f, "plain", 1, &plain);
	work();
	ck_assert_uint_eq(a->task_count, 1);
	fake_submit(f, "one", 1, &singleton);
	fake_turn(f);
	fake_commit(f, true);
	fake_turn(f);
	a->capacity.cpu_milli = 1000;
	fake_cut(f, a);
	fake_connect(f, a);
	ck_assert_uint_eq(f->cluster.books.total.cpu_milli, 1000);
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, 1000);
	work();
	ck_assert_uint_eq(f->refusals, 0);
	ck_assert_uint_eq(a->task_count, 1);
	b = ready_agent(1000);
	pass(SCAN_MS);
	ck_assert_uint_eq(b->task_count, 1);
}
END_TEST

/* What waits is stored, and the answer comes in a turn that goes on. */
static void
store_within_a_turn(void)
{
	static const int64_t no_czxids[COMMIT_OPS_MAX];

	fake_turn(f);
	ck_assert_ptr_nonnull(f->batch);
	fake_commit(f, false);
	cluster_committed(&f->cluster, f->now_ms, no_czxids);
}

START_TEST(an_agent_that_registers_in_the_turn_in_which_its_place_is_stored_gets_it)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j = fake_submit(f, "one", 1, &singleton);

	fake_turn(f);
	fake_commit(f, true);
	store_within_a_turn();
	fake_connect(f, a);
	fake_turn(f);
	ck_assert_uint_eq(j->lost, 0);
	ck_assert_uint_eq(a->inbox_count, 2);
	ck_assert_int_eq(a->inbox[0].kind, OUT_WELCOME);
	ck_assert_int_eq(a->inbox[1].kind, OUT_LAUNCH);
	fake_read_all(f, a);
	ck_assert_uint_eq(a->task_count, 1);
	ck_assert_uint_eq(a->tasks[0].key.attempt, 1);
}
END_TEST

/* The one before it is heard of in the turn in which the place of the next one is stored. */
START_TEST(a_place_that_is_stored_with_an_earlier_attempt_reported_is_never_sent)
{
	struct fake_agent *a = ready_agent(1000), *b;
	struct job *j = fake_submit(f, "one", 1, &singleton);

	work();
	ck_assert_uint_eq(a->task_count, 1);
	b = ready_agent(1000);
	fake_cut(f, a);
	f->now_ms += WAIT_MS + SCAN_MS;
	fake_heartbeat(f, b);
	store_within_a_turn();
	fake_connect(f, a);
	fake_turn(f);
	ck_assert_uint_eq(b->inbox_count, 0);
	ck_assert_uint_eq(j->lost, 2);
	pass(SCAN_MS);
	ck_assert_uint_eq(a->task_count + b->task_count, 1);
	ck_assert_uint_eq((a->task_count == 1 ? a : b)->tasks[0].key.attempt, 3);
}
END_TEST

/* It was said of a connection that was over by the end of the turn. */
START_TEST(what_was_to_be_sent_to_a_registration_before_is_never_sent)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j = fake_submit(f, "one", 1, &singleton);

	work();
	ck_assert(cluster_stop(&f->cluster, f->now_ms, j, "operator:x"));
	store_within_a_turn();
	ck_assert_uint_gt(f->cluster.out.count, 0);
	ck_assert_int_eq(f->cluster.out.items[0].kind, OUT_KILL);
	a->task_count = 0;
	fake_connect(f, a);
	ck_assert_uint_eq(a->inbox_count, 1);
	ck_assert_int_eq(a->inbox[0].kind, OUT_WELCOME);
}
END_TEST

/* It takes nothing before its welcome, and its report cannot name what was sent behind it. */
START_TEST(an_agent_that_has_to_be_admitted_anew_is_sent_nothing_before_that)
{
	struct fake_agent *a = ready_agent(1000);

	fake_submit(f, "one", 1, &singleton);
	fake_turn(f);
	fake_commit(f, true);
	fake_turn(f); /* the place is on its way */
	ck_assert_ptr_nonnull(f->batch);
	fake_cut(f, a);
	f->now_ms += 60000;
	fake_turn(f); /* marked, which the next batch stores */
	fake_connect(f, a);
	ck_assert_int_eq(node("n0")->state, AGENT_ADMITTING);
	fake_commit(f, true);
	ck_assert_uint_eq(f->launches, 0);
	work();
	ck_assert_int_eq(node("n0")->state, AGENT_READY);
	ck_assert_uint_eq(f->launches, 1);
	ck_assert_uint_eq(a->task_count, 1);
	ck_assert_uint_eq(f->kills, 0);
}
END_TEST

START_TEST(a_lease_that_ended_is_not_the_tasks_failure)
{
	struct job_policy once = singleton;
	struct fake_agent *a = ready_agent(1000);
	struct job *j;

	once.service = false;
	once.restart = JOB_RESTART_NO;
	j = fake_submit(f, "one", 1, &once);
	work();
	a->tasks[0].state = CORRAL__TASK_STATE__KILLED;
	a->tasks[0].reason = CORRAL__TASK_REASON__REASON_LEASE_ENDED;
	a->tasks[0].sequence++;
	a->tasks[0].uuid[0] ^= 1;
	fake_send_update(f, a, &a->tasks[0]);
	fake_settle(f);
	ck_assert_int_eq(j->state, JOB_RUNNING);
	ck_assert_uint_eq(f->launches, 2);
}
END_TEST

START_TEST(the_fence_grows_over_attempts_leaders_and_jobs_of_the_name)
{
	struct fake_agent *a = ready_agent(1000);
	uint64_t last = 0;

	for (int job = 0; job < 3; job++) {
		struct job *j = fake_submit(f, "one", 1, &singleton);

		ck_assert_ptr_nonnull(j);
		for (int attempt = 0; attempt < 4; attempt++) {
			work();
			ck_assert_uint_gt(cluster_fence(&a->tasks[0].key), last);
			last = cluster_fence(&a->tasks[0].key);
			fake_exit(f, a, &a->tasks[0], 1);
			if (attempt == 1) {
				fake_elect(f);
				fake_connect(f, a);
				work();
				j = cluster_job(&f->cluster, "one");
			}
		}
		cluster_stop(&f->cluster, f->now_ms, j, "test");
		work();
	}
}
END_TEST

/* The agent says that it cannot end the job's first attempt, its only task. */
static void
heard_stuck(struct agent *known, const struct job *j, const struct fake_agent *a)
{
	Corral__Term term = CORRAL__TERM__INIT;
	Corral__TaskKey key = CORRAL__TASK_KEY__INIT, *keys[] = {&key};
	char name[] = "one";

	term.era = a->tasks[0].key.term.era;
	term.czxid = a->tasks[0].key.term.czxid;
	key.job = name;
	key.incarnation = j->incarnation;
	key.attempt = 1;
	key.term = &term;
	cluster_stuck(&f->cluster, known, keys, 1);
}

START_TEST(what_does_not_die_is_given_up_by_people_only)
{
	struct fake_agent *a = ready_agent(1000), *b = ready_agent(1000);
	struct job *j = running_on(a);
	struct agent *known = node("n0");

	heard_stuck(known, j, a);
	ck_assert_uint_eq(known->stuck_count, 1);
	fake_settle(f);
	ck_assert_ptr_nonnull(
	    strstr(fake_find(f, "/corral/jobs/one/singleton-0")->data, "stuck=yes\n"));
	fake_cut(f, a);
	pass(3 * WAIT_MS);
	ck_assert_uint_eq(f->launches, 1);
	fake_elect(f); /* the next leader knows it, too */
	fake_connect(f, b);
	work();
	pass(3 * WAIT_MS);
	known = node("n0");
	ck_assert_int_eq(known->state, AGENT_UNREACHABLE);
	ck_assert_uint_eq(f->launches, 1);
	ck_assert(cluster_powered_off(&f->cluster, f->now_ms, known));
	work();
	ck_assert_uint_eq(b->task_count, 1);
	ck_assert(!cluster_powered_off(&f->cluster, f->now_ms, node("n1")));
}
END_TEST

START_TEST(what_died_after_all_is_no_longer_stuck)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j = running_on(a);
	struct agent *known = node("n0");

	heard_stuck(known, j, a);
	cluster_stuck(&f->cluster, known, NULL, 0);
	ck_assert_uint_eq(known->stuck_count, 0);
	heard_stuck(known, j, a);
	fake_exit(f, a, &a->tasks[0], 1);
	ck_assert_uint_eq(known->stuck_count, 0);
}
END_TEST

START_TEST(a_job_of_many_singletons_leaves_nothing_behind_when_it_goes)
{
	struct job_policy many = singleton;
	struct fake_agent *a = fake_add_agent(f, 1000, 4096);
	struct job *j;
	char path[64];

	a->capacity.cpu_milli = 1000000;
	a->capacity.memory_bytes = 1 << 30;
	many.need = (struct resources){1, MIB, 0};
	fake_connect(f, a);
	work();
	j = fake_submit(f, "many", 200, &many);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 200);
	fake_read_all(f, a);
	cluster_stop(&f->cluster, f->now_ms, j, "test");
	for (int i = 0; i < 3; i++) {
		work();
	}
	ck_assert_int_eq(j->state, JOB_STOPPED);
	ck_assert_ptr_nonnull(fake_find(f, "/corral/jobs/many/singleton-199"));
	ck_assert_ptr_nonnull(fake_submit(f, "many", 1, &many));
	fake_settle(f);
	for (uint32_t i = 1; i < 200; i++) {
		snprintf(path, sizeof path, "/corral/jobs/many/singleton-%u", i);
		ck_assert_ptr_null(fake_find(f, path));
	}
}
END_TEST

START_TEST(leaders_with_other_leases_wait_for_the_longest)
{
	struct fake_agent *a = ready_agent(1000), *b = ready_agent(1000);
	uint64_t welcomes, launches;

	running_on(a);
	f->lease_ms = 60000;
	fake_elect(f);
	welcomes = f->welcomes;
	if (_i == 1)
		fake_turn(f); /* it is on its way there when the agent comes */
	fake_connect(f, a);
	fake_turn(f);
	/* Not before the store knows that it may have such a lease. */
	ck_assert_uint_eq(f->welcomes, welcomes);
	fake_commit(f, true);
	ck_assert_uint_eq(f->welcomes, welcomes + 1);
	ck_assert_ptr_nonnull(
	    strstr(fake_find(f, "/corral/jobs/one/singleton-0")->data, "lease_ms=60000\n"));
	fake_read_all(f, a);
	fake_cut(f, a);
	fake_connect(f, a); /* and from then on at once */
	ck_assert_uint_eq(f->welcomes, welcomes + 2);

	f->lease_ms = 2000;
	fake_elect(f);
	launches = f->launches;
	fake_connect(f, b);
	work();
	pass((60000 + STOP_MS + 2000) * 103 / 100);
	ck_assert_uint_eq(f->launches, launches);
	pass(1000);
	ck_assert_uint_eq(f->launches, launches + 1);
	ck_assert_ptr_nonnull(
	    strstr(fake_find(f, "/corral/jobs/one/singleton-0")->data, "lease_ms=2000\n"));
}
END_TEST

/* What the store names may run, and counts against the limit of its role. */
START_TEST(a_limit_counts_what_may_still_run_after_a_failover)
{
	static const struct quota q = {.limit = {2000, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	const bool back = _i == 0;
	struct job_policy two = singleton;
	struct fake_agent *a = ready_agent(2000);
	struct job *other;
	char error[200];

	two.role = "eng";
	two.need = (struct resources){2000, 64 * MIB, 0};
	ck_assert(cluster_set_quota(&f->cluster, "eng", &q, false, error, sizeof error));
	fake_submit(f, "one", 1, &two);
	work();
	ck_assert_uint_eq(a->task_count, 1);
	fake_elect(f);
	ready_agent(2000);
	other = submit("other", "eng", 90, 1, 1000);
	ck_assert_uint_eq(other->in_state[CELL_LIVE], 0);
	if (back)
		fake_connect(f, a);
	else
		a->task_count = 0;
	pass(WAIT_MS + 1000);
	ck_assert_uint_eq(other->in_state[CELL_LIVE], !back);
	ck_assert(share_find(&f->cluster.books.share, "eng")->unsettled[0] == 0);
	ck_assert_uint_eq(f->launches, back ? 1 : 2);
}
END_TEST

START_TEST(a_place_in_the_store_that_cannot_be_read_is_never_filled_again)
{
	struct fake_agent *a = ready_agent(1000);
	struct fake_node *n;

	running_on(a);
	n = (struct fake_node *)(uintptr_t)fake_find(f, "/corral/jobs/one/singleton-0");
	n->data[0] = 'x';
	f->unreadable = true;
	fake_elect(f);
	a->task_count = 0;
	fake_connect(f, a);
	pass(3 * WAIT_MS);
	ck_assert_uint_eq(f->launches, 1);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("singles");
	TCase *t = tcase_create("singles");

	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_test(t, an_attempt_is_sent_when_the_store_names_its_agent_and_not_before);
	tcase_add_test(t, the_next_attempt_waits_for_lease_and_grace_from_the_last_heartbeat);
	tcase_add_loop_test(t, clocks_that_run_apart_leave_no_moment_for_two, 0, 5);
	tcase_add_test(t, an_unreachable_mark_does_not_end_a_singletons_lease);
	tcase_add_test(t, a_new_leader_waits_for_the_agent_that_the_store_names_and_for_no_other);
	tcase_add_test(t, a_new_leader_takes_over_what_the_agent_reports);
	tcase_add_test(
	    t, a_new_leader_whose_predecessor_failed_before_the_launch_hears_so_from_the_agent);
	tcase_add_test(t, what_was_given_up_and_comes_back_is_killed_and_never_taken_over);
	tcase_add_loop_test(t, what_was_given_up_and_lives_keeps_its_index_from_the_next, 0, 2);
	tcase_add_test(t, one_that_is_marked_keeps_its_index_before_it_is_admitted);
	tcase_add_test(t, what_comes_back_while_the_next_ones_place_is_on_its_way_calls_that_off);
	tcase_add_test(t, what_a_whole_report_does_not_name_is_over);
	tcase_add_loop_test(t, what_an_agent_had_that_lost_its_checkpoint_is_over, 0, 2);
	tcase_add_test(t, a_node_that_cannot_end_a_singleton_gets_none);
	tcase_add_test(
	    t, a_stop_or_a_cut_while_the_place_is_on_its_way_means_that_it_is_never_sent);
	tcase_add_test(t, an_agent_that_registers_anew_while_the_place_is_on_its_way_gets_it);
	tcase_add_test(t, an_agent_that_offers_less_meanwhile_gets_what_still_fits);
	tcase_add_test(t, an_agent_that_registers_in_the_turn_in_which_its_place_is_stored_gets_it);
	tcase_add_test(t, a_place_that_is_stored_with_an_earlier_attempt_reported_is_never_sent);
	tcase_add_test(t, what_was_to_be_sent_to_a_registration_before_is_never_sent);
	tcase_add_test(t, an_agent_that_has_to_be_admitted_anew_is_sent_nothing_before_that);
	tcase_add_test(t, a_lease_that_ended_is_not_the_tasks_failure);
	tcase_add_test(t, the_fence_grows_over_attempts_leaders_and_jobs_of_the_name);
	tcase_add_test(t, what_does_not_die_is_given_up_by_people_only);
	tcase_add_test(t, what_died_after_all_is_no_longer_stuck);
	tcase_add_test(t, a_job_of_many_singletons_leaves_nothing_behind_when_it_goes);
	tcase_add_loop_test(t, leaders_with_other_leases_wait_for_the_longest, 0, 2);
	tcase_add_test(t, a_place_in_the_store_that_cannot_be_read_is_never_filled_again);
	tcase_add_loop_test(t, a_limit_counts_what_may_still_run_after_a_failover, 0, 2);
	suite_add_tcase(s, t);
	return s;
}
