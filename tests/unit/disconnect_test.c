/* SPDX-License-Identifier: Apache-2.0 */
/* OnDisconnect= in the master's core: what becomes of a task whose node is unreachable. */
#include <string.h>

#include "tests/lib/cluster_rig.h"

#define UNREACHABLE_MS 30000
#define DELAY_MS 60000

static const struct job_policy replaced_later = {.service = true,
    .restart = JOB_RESTART_ALWAYS,
    .retries_max = UINT32_MAX,
    .need = {1000, 64 * MIB, 0},
    .disconnect_ms = DELAY_MS};
static const struct job_policy waits = {.service = true,
    .restart = JOB_RESTART_ALWAYS,
    .retries_max = UINT32_MAX,
    .need = {1000, 64 * MIB, 0},
    .disconnect_ms = UINT64_MAX};

static const struct job_policy pauses = {.restart = JOB_RESTART_ON_FAILURE,
    .restart_ms = 10000,
    .retries_max = 2,
    .need = {1000, 64 * MIB, 0}};

/* A task that runs on n0, whose node is cut off until it is marked; n1 is free. */
static struct job *
cut_off(const struct job_policy *policy)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j = fake_submit(f, "steady", 1, policy);

	work();
	ck_assert_uint_eq(a->task_count, 1);
	ready_agent(1000);
	fake_cut(f, a);
	pass(UNREACHABLE_MS + SCAN_MS);
	ck_assert_int_eq(node("n0")->state, AGENT_UNREACHABLE);
	ck_assert_uint_eq(f->launches, 1);
	return j;
}

static bool
registry_has(const char *words)
{
	return strstr(fake_find(f, "/corral/registry/agents-0")->data, words) != NULL;
}

START_TEST(a_task_is_made_again_when_its_delay_from_the_mark_is_over)
{
	struct job *j = cut_off(&replaced_later);
	struct attempt *t = cluster_live_attempt(&f->cluster, j, 0);
	uint64_t at_ms = cluster_replaced_at_ms(t);

	ck_assert_int_eq(t->state, CORRAL__TASK_STATE__RECOVERING);
	ck_assert_uint_le(at_ms, f->now_ms + DELAY_MS);
	ck_assert_uint_gt(at_ms, f->now_ms + DELAY_MS - 2 * SCAN_MS);
	ck_assert(registry_has(" away n0\n"));
	pass(at_ms - f->now_ms - 1);
	ck_assert_uint_eq(f->launches, 1);
	pass(2 * SCAN_MS);
	ck_assert_uint_eq(f->launches, 2);
	ck_assert_uint_eq(f->agents[1].task_count, 1);
	ck_assert(registry_has(" unreachable n0\n")); /* no later leader has to wait for it */
	fake_connect(f, &f->agents[0]);
	work();
	ck_assert_uint_eq(f->agents[0].task_count, 0);
	ck_assert_uint_eq(f->agents[1].task_count, 1);
}
END_TEST

START_TEST(a_task_whose_node_is_back_in_time_goes_on)
{
	struct job *j = cut_off(&replaced_later);

	pass(DELAY_MS / 2);
	fake_connect(f, &f->agents[0]);
	work();
	ck_assert_int_eq(
	    cluster_live_attempt(&f->cluster, j, 0)->state, CORRAL__TASK_STATE__RUNNING);
	ck_assert(registry_has(" admitted n0\n"));
	pass(2 * DELAY_MS);
	ck_assert_uint_eq(f->launches, 1);
	ck_assert_uint_eq(f->kills, 0);
	ck_assert_uint_eq(j->lost, 0);
}
END_TEST

START_TEST(a_task_that_its_node_does_not_bring_back_is_made_again_at_once)
{
	cut_off(&waits);
	fake_lose_all(f, &f->agents[0]);
	fake_connect(f, &f->agents[0]);
	pass(SCAN_MS);
	ck_assert_uint_eq(f->launches, 2);
}
END_TEST

START_TEST(a_task_that_ended_while_its_node_was_away_has_that_end)
{
	struct job *j = cut_off(&waits);

	fake_exit(f, &f->agents[0], &f->agents[0].tasks[0], 0);
	fake_connect(f, &f->agents[0]);
	work();
	ck_assert_uint_eq(f->agents[0].task_count + f->agents[1].task_count, 1);
	ck_assert_uint_eq(j->lost, 0);
	ck_assert_uint_eq(f->launches, 2); /* a service is started again */
}
END_TEST

START_TEST(wait_ends_only_when_people_say_that_the_node_is_gone)
{
	struct job *j = cut_off(&waits);
	char error[200];

	ck_assert_uint_eq(
	    cluster_replaced_at_ms(cluster_live_attempt(&f->cluster, j, 0)), UINT64_MAX);
	for (int day = 0; day < 400; day++)
		scan(24 * 3600 * UINT64_C(1000));
	work();
	ck_assert_uint_eq(f->launches, 1);
	if (_i == 0)
		ck_assert(
		    cluster_forget(&f->cluster, f->now_ms, node("n0"), false, error, sizeof error));
	else
		ck_assert(cluster_powered_off(&f->cluster, f->now_ms, node("n0")));
	pass(SCAN_MS);
	ck_assert_uint_eq(f->launches, 2);
	ck_assert_uint_eq(f->agents[1].task_count, 1);
}
END_TEST

START_TEST(a_stopped_job_waits_for_no_node_that_was_given_up)
{
	struct job *j = cut_off(&waits);

	cluster_stop(&f->cluster, f->now_ms, j, "test");
	pass(2 * SCAN_MS);
	ck_assert_int_eq(j->state, JOB_STOPPED);
	fake_connect(f, &f->agents[0]);
	work();
	ck_assert_uint_eq(f->agents[0].task_count, 0);
}
END_TEST

START_TEST(other_jobs_tasks_on_the_node_go_elsewhere_at_once)
{
	static const struct job_policy plain = {.need = {1000, 64 * MIB, 0}};
	struct fake_agent *a = ready_agent(2000);

	fake_submit(f, "steady", 1, &waits);
	fake_submit(f, "plain", 1, &plain);
	work();
	ck_assert_uint_eq(a->task_count, 2);
	ready_agent(2000);
	fake_cut(f, a);
	pass(UNREACHABLE_MS + SCAN_MS);
	ck_assert_uint_eq(f->launches, 3);
	ck_assert_str_eq(f->agents[1].tasks[0].key.job, "plain");
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, 2000);
}
END_TEST

/* --- over an election --- */

/* The next leader hears n1 and not n0, and waits that long. */
static struct job *
next_leader(uint64_t ms)
{
	fake_elect(f);
	fake_connect(f, &f->agents[1]);
	work();
	pass(ms);
	return cluster_job(&f->cluster, "steady");
}

START_TEST(the_next_leader_waits_as_well_for_a_node_that_was_marked)
{
	struct job *j;

	cut_off(&waits);
	j = next_leader(10 * DELAY_MS);
	ck_assert_uint_eq(f->launches, 1);
	ck_assert_uint_eq(j->in_state[CELL_UNKNOWN], 1);
	ck_assert_uint_eq(cluster_unheard_until_ms(&f->cluster, j), UINT64_MAX);
	j = next_leader(10 * DELAY_MS); /* and the one after it */
	ck_assert_uint_eq(f->launches, 1);
	fake_connect(f, &f->agents[0]);
	work();
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(cluster_unheard_until_ms(&f->cluster, j), 0);
	ck_assert(registry_has(" admitted n0\n"));
	pass(DELAY_MS);
	ck_assert_uint_eq(f->launches, 1);
	ck_assert_uint_eq(f->kills, 0);
}
END_TEST

START_TEST(the_next_leader_marks_a_node_that_it_never_heard_and_waits)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j;

	fake_submit(f, "steady", 1, &waits);
	work();
	ready_agent(1000);
	fake_cut(f, a);
	j = next_leader(UNREACHABLE_MS + 10 * SCAN_MS);
	ck_assert_int_eq(node("n0")->state, AGENT_UNREACHABLE);
	ck_assert(registry_has(" away n0\n"));
	ck_assert_uint_eq(f->launches, 1);
	j = next_leader(DELAY_MS);
	ck_assert_uint_eq(f->launches, 1);
	fake_submit(f, "new", 1, &waits); /* what was submitted since is not held up */
	work();
	ck_assert_uint_eq(f->launches, 2);
	fake_exit(f, &f->agents[1], &f->agents[1].tasks[0], 0);
	cluster_stop(&f->cluster, f->now_ms, cluster_job(&f->cluster, "new"), "test");
	cluster_stop(&f->cluster, f->now_ms, j, "test");
	pass(2 * SCAN_MS);
	ck_assert_int_eq(j->state, JOB_STOPPED);
	ck_assert(registry_has(" unreachable n0\n"));
}
END_TEST

/* One of an older release, say: whether the job waits is for a later one to know. */
START_TEST(a_node_is_away_for_a_leader_that_cannot_read_a_job)
{
	struct fake_agent *a = ready_agent(1000);
	struct fake_node *n;
	char first;

	fake_submit(f, "steady", 1, &waits);
	work();
	ck_assert_uint_eq(a->task_count, 1);
	ready_agent(1000);
	n = (struct fake_node *)(uintptr_t)fake_find(f, "/corral/jobs/steady");
	first = n->data[0];
	n->data[0] = '?';
	f->unreadable = true;
	fake_elect(f);
	fake_connect(f, &f->agents[1]);
	if (_i == 0) /* else this leader never hears it */
		fake_connect(f, a);
	work();
	fake_cut(f, a);
	pass(UNREACHABLE_MS + 10 * SCAN_MS);
	ck_assert_int_eq(node("n0")->state, AGENT_UNREACHABLE);
	ck_assert(registry_has(" away n0\n"));
	n = (struct fake_node *)(uintptr_t)fake_find(f, "/corral/jobs/steady");
	n->data[0] = first;
	ck_assert_ptr_nonnull(next_leader(DELAY_MS));
	ck_assert_uint_eq(f->launches, 1);
	fake_connect(f, a);
	work();
	ck_assert_uint_eq(f->launches, 1);
	ck_assert_uint_eq(a->task_count, 1);
	ck_assert(registry_has(" admitted n0\n"));
}
END_TEST

START_TEST(the_next_leader_counts_the_delay_from_its_election)
{
	uint64_t elected_ms;

	cut_off(&replaced_later);
	pass(DELAY_MS / 2);
	elected_ms = f->now_ms;
	next_leader(DELAY_MS - SCAN_MS);
	ck_assert_uint_eq(cluster_unheard_until_ms(&f->cluster, cluster_job(&f->cluster, "steady")),
	    elected_ms + DELAY_MS);
	ck_assert_uint_eq(f->launches, 1);
	pass(3 * SCAN_MS);
	ck_assert_uint_eq(f->launches, 2);
	ck_assert(registry_has(" unreachable n0\n"));
}
END_TEST

START_TEST(a_node_that_is_forgotten_holds_up_nothing_after_an_election)
{
	char error[200];

	cut_off(&waits);
	next_leader(SCAN_MS);
	ck_assert(cluster_forget(&f->cluster, f->now_ms, node("n0"), false, error, sizeof error));
	pass(SCAN_MS);
	ck_assert_uint_eq(f->launches, 2);
}
END_TEST

/*
 * An end that the leader before has not stored: it may have made the next attempt, on a node that
 * is not heard.
 */
START_TEST(an_end_of_an_earlier_leaders_attempt_is_not_made_again_beside_an_unheard_node)
{
	struct fake_agent *a = ready_agent(1000), *b = ready_agent(1000);

	fake_submit(f, "steady", 1, &waits);
	work();
	fake_cut(f, b);
	fake_exit(f, a, &a->tasks[0], 0); /* the next one goes to n0 again, or to n1 */
	fake_elect(f);
	ck_assert(cluster_mark_unreachable(&f->cluster, node("n1")));
	work();
	fake_connect(f, a);
	pass(DELAY_MS);
	ck_assert_uint_eq(f->launches, 1);
	fake_connect(f, b);
	pass(SCAN_MS);
	ck_assert_uint_eq(f->launches, 2);
}
END_TEST

/* Second by second; one after the other falls silent, and it is never more than one in a minute. */
START_TEST(no_minute_has_more_marks_than_one_may_have)
{
	struct fake_agent *a[6];
	uint64_t marked_s[3] = {0};

	for (int i = 0; i < 6; i++)
		a[i] = ready_agent(1000);
	for (uint64_t s = 1; s < 240; s++) {
		f->now_ms += 1000;
		if (s >= 20 && s % 10 == 0 && s / 10 - 2 < 3)
			fake_cut(f, a[s / 10 - 2]);
		for (int i = 0; i < 6; i++)
			if (a[i]->connected)
				fake_heartbeat(f, a[i]);
		fake_settle(f);
		for (int i = 0; i < 3; i++)
			if (marked_s[i] == 0 &&
			    cluster_agent(&f->cluster, a[i]->name)->state == AGENT_UNREACHABLE)
				marked_s[i] = s;
	}
	ck_assert_uint_ge(marked_s[0], 48);
	ck_assert_uint_le(marked_s[0], 52);
	for (int i = 1; i < 3; i++) {
		ck_assert_uint_ge(marked_s[i], marked_s[i - 1] + 60);
		ck_assert_uint_le(marked_s[i], marked_s[i - 1] + 63);
	}
}
END_TEST

START_TEST(the_pause_after_an_attempt_that_came_back_does_not_end_that_of_the_next_one)
{
	struct job *j = cut_off(&pauses);
	struct fake_agent *a = &f->agents[0];

	ck_assert_uint_eq(j->in_state[CELL_DELAYED], 1);
	pass(pauses.restart_ms / 2);
	fake_connect(f, a);
	work();
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	fake_exit(f, a, &a->tasks[0], 3);
	pass(pauses.restart_ms - 1);
	ck_assert_uint_eq(j->in_state[CELL_DELAYED], 1);
	ck_assert_uint_eq(f->launches, 1);
	pass(1);
	ck_assert_uint_eq(f->launches, 2);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("disconnect");
	TCase *t = tcase_create("disconnect");

	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_test(t, a_task_is_made_again_when_its_delay_from_the_mark_is_over);
	tcase_add_test(t, a_task_whose_node_is_back_in_time_goes_on);
	tcase_add_test(
	    t, the_pause_after_an_attempt_that_came_back_does_not_end_that_of_the_next_one);
	tcase_add_test(t, a_task_that_its_node_does_not_bring_back_is_made_again_at_once);
	tcase_add_test(t, a_task_that_ended_while_its_node_was_away_has_that_end);
	tcase_add_loop_test(t, wait_ends_only_when_people_say_that_the_node_is_gone, 0, 2);
	tcase_add_test(t, a_stopped_job_waits_for_no_node_that_was_given_up);
	tcase_add_test(t, other_jobs_tasks_on_the_node_go_elsewhere_at_once);
	tcase_add_test(t, the_next_leader_waits_as_well_for_a_node_that_was_marked);
	tcase_add_test(t, the_next_leader_marks_a_node_that_it_never_heard_and_waits);
	tcase_add_loop_test(t, a_node_is_away_for_a_leader_that_cannot_read_a_job, 0, 2);
	tcase_add_test(t, the_next_leader_counts_the_delay_from_its_election);
	tcase_add_test(t, a_node_that_is_forgotten_holds_up_nothing_after_an_election);
	tcase_add_test(
	    t, an_end_of_an_earlier_leaders_attempt_is_not_made_again_beside_an_unheard_node);
	tcase_add_test(t, no_minute_has_more_marks_than_one_may_have);
	suite_add_tcase(s, t);
	return s;
}
