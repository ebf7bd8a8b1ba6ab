/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/cluster_rig.h"

static const struct job_policy batch = {.need = {1000, 64 * MIB, 0}};
static const struct job_policy retrying = {.restart = JOB_RESTART_ON_FAILURE,
    .restart_ms = 100,
    .retries_max = 2,
    .need = {1000, 64 * MIB, 0}};
static const struct job_policy service = {
    .service = true, .restart = JOB_RESTART_ALWAYS, .retries_max = 1, .need = {500, 64 * MIB, 0}};

START_TEST(an_agent_is_welcomed_when_the_registry_has_it_and_not_before)
{
	struct fake_agent *a = fake_add_agent(f, 2000, 1024);

	fake_connect(f, a);
	fake_turn(f);
	ck_assert_uint_eq(f->welcomes, 0);
	ck_assert_int_eq(node("n0")->state, AGENT_ADMITTING);
	fake_commit(f, true);
	ck_assert_uint_eq(f->welcomes, 1);
	ck_assert_int_eq(node("n0")->state, AGENT_READY);
	ck_assert_ptr_nonnull(
	    strstr(fake_find(f, "/corral/registry/agents-0")->data, " admitted n0\n"));
	fake_cut(f, a);
	fake_connect(f, a);
	ck_assert_uint_eq(f->welcomes, 2); /* known: at once */
}
END_TEST

START_TEST(a_job_is_accepted_stored_launched_and_finished)
{
	struct fake_agent *a = ready_agent(2000);
	struct job *j = fake_submit(f, "hello", 3, &batch);

	ck_assert_ptr_nonnull(j);
	fake_turn(f);
	ck_assert_uint_eq(f->accepted, 0);
	ck_assert_uint_eq(f->launches, 0);
	fake_commit(f, true);
	ck_assert_uint_eq(f->accepted, 1);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 2); /* the third waits: two cpus */
	fake_read_all(f, a);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 2);
	while (a->task_count > 0) {
		fake_exit(f, a, &a->tasks[0], 0);
		fake_settle(f);
		fake_read_all(f, a);
	}
	ck_assert_int_eq(j->state, JOB_FINISHED);
	ck_assert_str_eq(
	    fake_find(f, "/corral/jobs/hello/results-0")->data, "0-2 finished 1 0 1 0 0 1 65\n");
	ck_assert_ptr_nonnull(
	    strstr(fake_find(f, "/corral/jobs/hello/state")->data, "state=finished\n"));
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, 0);
}
END_TEST

START_TEST(a_need_that_cannot_be_counted_with_its_executors_fits_nowhere)
{
	struct job_policy p = {.need = {100, UINT64_MAX, 0}};
	struct job *j;

	agents_ready(1, 4000);
	f->cluster.settings.executor.memory_bytes = 2 * MIB;
	j = fake_submit(f, "j", 1, &p);
	work();
	ck_assert_uint_eq(j->need.memory_bytes, UINT64_MAX);
	ck_assert_uint_eq(j->in_state[CELL_PENDING], 1);
	ck_assert_uint_eq(f->launches, 0);
}
END_TEST

static void
add_task(struct fake_agent *a, const struct job *j, uint32_t attempt, struct term term,
    Corral__TaskState state)
{
	struct fake_task *t = &a->tasks[a->task_count++];

	*t = (struct fake_task){.need = {100, MIB, 0}, .state = state, .sequence = 1};
	t->key = (struct task_key){.incarnation = j->incarnation, .attempt = attempt, .term = term};
	snprintf(t->key.job, sizeof t->key.job, "%s", j->name);
	t->reason = CORRAL__TASK_REASON__REASON_AGENT_LOST;
	t->uuid[0] = (uint8_t)(attempt + 1);
}

START_TEST(what_is_stored_of_the_last_attempt_is_its_number_whatever_was_made_before)
{
	struct job_policy p = {.need = {100, MIB, 0}, .retries_max = 9};
	struct term older = f->term, later = {f->term.era, f->term.czxid + 1};
	struct job *j;

	agents_ready(2, 4000);
	fake_cut(f, &f->agents[0]);
	fake_cut(f, &f->agents[1]);
	j = fake_submit(f, "j", 1, &p);
	fake_settle(f);
	add_task(&f->agents[0], j, 3, older, CORRAL__TASK_STATE__LOST);
	add_task(&f->agents[1], j, 1, later, CORRAL__TASK_STATE__RUNNING);
	fake_elect(f);
	fake_connect(f, &f->agents[0]);
	work();
	fake_connect(f, &f->agents[1]);
	work();
	j = cluster_job(&f->cluster, "j");
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(j->cells[0].attempts, 1);
}
END_TEST

START_TEST(an_end_is_acknowledged_only_when_its_outcome_is_stored)
{
	struct fake_agent *a = ready_agent(2000);

	fake_submit(f, "hello", 1, &batch);
	fake_settle(f);
	fake_read_all(f, a);
	fake_read_all(f, a);
	f->acks = 0;
	fake_exit(f, a, &a->tasks[0], 0);
	fake_turn(f);
	fake_send_update(f, a, &a->tasks[0]); /* once more, while the batch is out */
	ck_assert_uint_eq(f->acks, 0);
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, 0); /* free when it arrives */
	fake_commit(f, true);
	ck_assert_uint_eq(f->acks, 1);
	fake_read_all(f, a);
	ck_assert_uint_eq(a->task_count, 0);
}
END_TEST

START_TEST(a_failure_is_retried_after_its_pause_and_then_final)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j = fake_submit(f, "flaky", 1, &retrying);

	for (uint32_t attempt = 1; attempt <= 3; attempt++) {
		fake_settle(f);
		fake_read_all(f, a);
		ck_assert_uint_eq(f->launches, attempt);
		ck_assert_uint_eq(a->tasks[0].key.attempt, attempt);
		fake_exit(f, a, &a->tasks[0], 7);
		fake_settle(f);
		fake_read_all(f, a);
		ck_assert_uint_eq(f->launches, attempt); /* not before the pause is over */
		f->now_ms += 100;
	}
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 3);
	ck_assert_int_eq(j->state, JOB_FAILED);
	ck_assert_uint_eq(j->retries, 2);
	ck_assert_uint_eq(j->cells[0].code, 7);
	ck_assert_str_eq(
	    fake_find(f, "/corral/jobs/flaky/results-0")->data, "0 failed 3 2 1 7 0 1 65\n");
}
END_TEST

START_TEST(a_service_is_started_again_when_it_exits_and_a_steady_one_for_ever)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j = fake_submit(f, "web", 1, &service);

	for (int i = 0; i < 5; i++) {
		fake_settle(f);
		fake_read_all(f, a);
		f->now_ms += CLUSTER_STEADY_MS;
		fake_heartbeat(f, a);
		fake_exit(f, a, &a->tasks[0], i % 2 == 0 ? 0 : 1);
		fake_settle(f);
		fake_read_all(f, a);
	}
	ck_assert_int_eq(j->state, JOB_RUNNING);
	ck_assert_uint_eq(j->retries, 5);
	for (int i = 0; i < 2; i++) { /* at once twice: beyond its limit of one */
		ck_assert_int_eq(j->state, JOB_RUNNING);
		fake_exit(f, a, &a->tasks[0], 1);
		fake_settle(f);
		fake_read_all(f, a);
	}
	ck_assert_int_eq(j->state, JOB_FAILED);
}
END_TEST

START_TEST(stop_kills_what_runs_cancels_what_waits_and_frees_the_name)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j = fake_submit(f, "hello", 3, &batch);

	fake_settle(f);
	fake_read_all(f, a);
	ck_assert(cluster_stop(&f->cluster, f->now_ms, j, "operator:test"));
	ck_assert_uint_eq(f->kills, 0);
	ck_assert_ptr_null(fake_submit(f, "hello", 1, &batch));
	fake_settle(f);
	ck_assert_uint_eq(f->kills, 1);
	ck_assert_int_eq(j->state, JOB_STOPPING);
	fake_read_all(f, a);
	fake_settle(f);
	ck_assert_int_eq(j->state, JOB_STOPPED);
	ck_assert_uint_eq(j->in_state[CELL_STOPPED], 3);
	ck_assert_uint_eq(j->stopped_live, 1);
	ck_assert(!cluster_stop(&f->cluster, f->now_ms, j, "again"));
	fake_read_all(f, a);
	ck_assert_ptr_nonnull(fake_submit(f, "hello", 1, &batch));
	fake_settle(f);
	ck_assert_ptr_null(strstr(fake_find(f, "/corral/jobs/hello/state")->data, "stopped"));
	ck_assert_uint_eq(f->launches, 2);
}
END_TEST

START_TEST(a_new_leader_adopts_what_agents_report_and_launches_nothing_twice)
{
	struct fake_agent *a = ready_agent(2000), *b = ready_agent(2000);
	struct job *j;

	fake_submit(f, "hello", 4, &retrying);
	fake_settle(f);
	fake_read_all(f, a);
	fake_read_all(f, b);
	fake_exit(f, a, &a->tasks[0], 0);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 4);
	fake_elect(f);
	j = cluster_job(&f->cluster, "hello");
	ck_assert_uint_eq(j->in_state[CELL_FINISHED], 1);
	ck_assert_uint_eq(j->in_state[CELL_UNKNOWN], 3);
	fake_connect(f, a);
	fake_settle(f);
	fake_read_all(f, a);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(f->launches, 4); /* b has not come back yet: its tasks may run */
	fake_connect(f, b);
	fake_settle(f);
	fake_read_all(f, b);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 3);
	ck_assert_uint_eq(f->launches, 4);
	ck_assert_uint_eq(f->kills, 0);
	/* A job of the new leader's does not wait for anybody. */
	fake_exit(f, b, &b->tasks[0], 0);
	fake_settle(f);
	ck_assert_uint_eq(j->in_state[CELL_FINISHED], 2);
}
END_TEST

START_TEST(an_end_that_nobody_acknowledged_before_the_failover_counts_once)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j;

	fake_submit(f, "hello", 1, &retrying);
	fake_settle(f);
	fake_read_all(f, a);
	fake_exit(f, a, &a->tasks[0], 0);
	fake_turn(f);
	fake_commit(f, _i == 0 ? true : false); /* stored, and the master heard of it or not */
	fake_elect(f);
	j = cluster_job(&f->cluster, "hello");
	fake_connect(f, a);
	fake_settle(f);
	fake_read_all(f, a);
	fake_settle(f);
	fake_read_all(f, a);
	ck_assert_int_eq(j->state, JOB_FINISHED);
	ck_assert_uint_eq(f->launches, 1);
	ck_assert_uint_eq(a->task_count, 0);
}
END_TEST

/* The older attempt's end is known to its agent only; the newer one runs there, or elsewhere. */
START_TEST(after_a_failover_the_newest_attempt_at_an_index_counts)
{
	struct job_policy at_once = retrying;
	struct fake_agent *a, *b;
	struct job *j;

	a = ready_agent(1000);
	b = ready_agent(1000);
	at_once.restart_ms = 0;
	fake_submit(f, "hello", 1, &at_once);
	fake_settle(f);
	fake_read_all(f, a);
	fake_exit(f, a, &a->tasks[0], 3);
	if (_i == 1)
		fake_cut(f, a);
	fake_turn(f);
	fake_read_all(f, _i == 0 ? a : b);
	ck_assert_uint_eq(f->launches, 2);
	fake_elect(f);
	j = cluster_job(&f->cluster, "hello");
	fake_connect(f, a);
	fake_settle(f);
	fake_read_all(f, a);
	fake_settle(f);
	fake_connect(f, b);
	fake_settle(f);
	fake_read_all(f, a);
	fake_read_all(f, b);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 2);
	ck_assert_uint_eq(f->kills, 0);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(cluster_live_attempt(&f->cluster, j, 0)->attempt, 2);
	ck_assert(cluster_check(&f->cluster));
}
END_TEST

START_TEST(an_agent_that_stays_away_is_given_up_and_its_tasks_go_elsewhere)
{
	struct fake_agent *a = ready_agent(1000), *b;
	struct job *j = fake_submit(f, "hello", 1, &retrying);

	fake_settle(f);
	fake_read_all(f, a);
	fake_cut(f, a);
	b = ready_agent(1000);
	f->now_ms += 29000;
	fake_heartbeat(f, b);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 1);
	f->now_ms += 2000;
	fake_turn(f);
	ck_assert_uint_eq(f->launches, 1); /* marked, and the mark not stored yet */
	fake_commit(f, true);
	f->now_ms += 200;
	fake_settle(f);
	ck_assert_ptr_nonnull(
	    strstr(fake_find(f, "/corral/registry/agents-0")->data, " unreachable n0\n"));
	ck_assert_uint_eq(f->launches, 2);
	fake_read_all(f, b);
	fake_connect(f, a); /* it comes back: the attempt was replaced and is killed */
	fake_settle(f);
	fake_read_all(f, a);
	ck_assert_uint_ge(f->kills, 1);
	fake_settle(f);
	fake_read_all(f, a);
	ck_assert_uint_eq(a->task_count, 0);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, 1000);
}
END_TEST

START_TEST(an_attempt_that_comes_back_before_it_was_replaced_goes_on)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j = fake_submit(f, "hello", 1, &retrying);

	fake_settle(f);
	fake_read_all(f, a);
	fake_cut(f, a);
	f->now_ms += 31000;
	fake_settle(f);
	ck_assert_int_eq(node("n0")->state, AGENT_UNREACHABLE);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 0);
	fake_connect(f, a);
	fake_settle(f);
	fake_read_all(f, a);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(f->kills, 0);
	f->now_ms += 1000;
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 1);
}
END_TEST

/* A job of one task, whose attempt on n0 was replaced by one on n1 while n0 was cut off. */
static struct job *
replaced_job(void)
{
	struct fake_agent *a = ready_agent(1000), *b;
	struct job *j = fake_submit(f, "hello", 1, &retrying);

	fake_settle(f);
	fake_read_all(f, a);
	fake_cut(f, a);
	b = ready_agent(1000);
	scan(31000);
	f->now_ms += retrying.restart_ms;
	fake_settle(f);
	fake_read_all(f, b);
	return j;
}

/* Also when its replacement has ended by then, and the index waits to be tried again. */
START_TEST(an_attempt_that_comes_back_after_it_was_replaced_is_killed)
{
	struct job *j = replaced_job();
	struct fake_agent *a = &f->agents[0], *b = &f->agents[1];

	ck_assert_uint_eq(f->launches, 2);
	fake_exit(f, b, &b->tasks[0], 3);
	fake_settle(f);
	ck_assert_uint_eq(j->in_state[CELL_DELAYED], 1);
	fake_connect(f, a);
	fake_settle(f);
	ck_assert_uint_eq(f->kills, 1);
	ck_assert_uint_eq(j->in_state[CELL_DELAYED], 1);
	ck_assert_uint_eq(j->cells[0].attempts, 2);
}
END_TEST

/* A new leader hears of the replaced one first. */
START_TEST(an_attempt_that_was_replaced_gives_way_after_a_failover_as_well)
{
	struct fake_agent *a = &f->agents[0], *b = &f->agents[1];
	struct job *j;

	replaced_job();
	fake_elect(f);
	j = cluster_job(&f->cluster, "hello");
	fake_connect(f, a);
	fake_settle(f);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	fake_connect(f, b);
	fake_turn(f);
	ck_assert_uint_eq(f->kills, 1);
	ck_assert(cluster_check(&f->cluster));
	fake_read_all(f, a);
	fake_settle(f);
	ck_assert_uint_eq(f->launches, 2);
	ck_assert_uint_eq(b->task_count, 1);
	ck_assert_str_eq(cluster_live_attempt(&f->cluster, j, 0)->agent->name, b->name);
	ck_assert(cluster_check(&f->cluster));
}
END_TEST

/* Each is the first of its leader's: the terms say which of them is newer. */
START_TEST(the_end_of_a_later_leaders_attempt_counts_before_an_earlier_ones)
{
	struct fake_agent *a = ready_agent(1000), *b;
	struct job *j;

	fake_submit(f, "hello", 1, &retrying);
	fake_settle(f);
	fake_read_all(f, a);
	b = ready_agent(1000);
	fake_elect(f);
	fake_connect(f, b);
	fake_settle(f);
	fake_read_all(f, b);
	f->now_ms += 31000;
	fake_heartbeat(f, b);
	fake_settle(f);
	fake_read_all(f, b);
	ck_assert_uint_eq(b->task_count, 1);
	ck_assert_uint_eq(b->tasks[0].key.attempt, 1);
	fake_exit(f, b, &b->tasks[0], 0);
	fake_elect(f);
	j = cluster_job(&f->cluster, "hello");
	fake_connect(f, a);
	fake_settle(f);
	fake_connect(f, b);
	fake_settle(f);
	fake_read_all(f, b);
	fake_settle(f);
	ck_assert_uint_eq(f->kills, 1);
	ck_assert_int_eq(j->state, JOB_FINISHED);
	ck_assert_uint_eq(f->launches, 2);
}
END_TEST

START_TEST(a_launch_that_never_arrived_is_lost_at_registration_and_made_again)
{
	struct fake_agent *a = ready_agent(1000);
	struct job *j = fake_submit(f, "hello", 1, &retrying);

	fake_settle(f);
	ck_assert_uint_eq(a->inbox_count, 1);
	fake_cut(f, a); /* unread */
	fake_connect(f, a);
	f->now_ms += 200;
	fake_settle(f);
	fake_read_all(f, a);
	ck_assert_uint_eq(j->lost, 1);
	ck_assert_uint_eq(f->launches, 2);
	ck_assert_uint_eq(a->tasks[0].key.attempt, 2);
}
END_TEST

/* As one that a later master made: until that leads again, nothing of it is lost. */
START_TEST(a_job_that_a_leader_cannot_read_goes_on_and_keeps_its_name)
{
	struct fake_agent *a = ready_agent(1000);
	struct fake_node *n;
	uint64_t kills, acks;
	char first;

	fake_submit(f, "hello", 1, &retrying);
	work();
	ck_assert_uint_eq(a->task_count, 1);
	n = (struct fake_node *)(uintptr_t)fake_find(f, "/corral/jobs/hello");
	first = n->data[0];
	n->data[0] = '?';
	f->unreadable = true;
	kills = f->kills;
	fake_elect(f);
	fake_connect(f, a);
	work();
	ck_assert_ptr_null(cluster_job(&f->cluster, "hello"));
	ck_assert_uint_eq(f->kills, kills);
	ck_assert_int_eq(a->tasks[0].state, CORRAL__TASK_STATE__RUNNING);
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, 1000);
	ck_assert_ptr_null(fake_submit(f, "hello", 1, &retrying));
	acks = f->acks;
	fake_exit(f, a, &a->tasks[0], 0);
	work();
	ck_assert_uint_eq(f->acks, acks);
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, 0);

	n = (struct fake_node *)(uintptr_t)fake_find(f, "/corral/jobs/hello");
	n->data[0] = first;
	fake_elect(f);
	fake_connect(f, a);
	work();
	ck_assert_int_eq(cluster_job(&f->cluster, "hello")->state, JOB_FINISHED);
	ck_assert_uint_eq(f->launches, 1);
}
END_TEST

/* Made by hand, say: it keeps nobody from leading. */
START_TEST(a_job_without_a_state_is_left_alone)
{
	struct fake_agent *a = ready_agent(1000);
	struct fake_node *n;

	fake_submit(f, "whole", 1, &retrying);
	fake_submit(f, "half", 1, &retrying);
	work();
	n = (struct fake_node *)(uintptr_t)fake_find(f, "/corral/jobs/half/state");
	snprintf(n->path, sizeof n->path, "/corral/jobs/half/other");
	f->unreadable = true;
	fake_elect(f);
	fake_connect(f, a);
	work();
	ck_assert_ptr_nonnull(cluster_job(&f->cluster, "whole"));
	ck_assert_ptr_null(cluster_job(&f->cluster, "half"));
}
END_TEST

/* Results that cannot be read, say: of an index nobody knows that it is over. */
START_TEST(what_comes_back_of_a_job_that_has_ended_is_killed_also_the_second_time)
{
	struct fake_agent *a = ready_agent(1000);
	struct fake_node *n;

	fake_submit(f, "over", 1, &retrying);
	work();
	ck_assert_uint_eq(a->task_count, 1);
	n = (struct fake_node *)(uintptr_t)fake_find(f, "/corral/jobs/over/state");
	ck_assert_uint_gt(n->size, strlen("state=failed"));
	memcpy(n->data, "state=failed\n", n->size = strlen("state=failed\n"));
	fake_elect(f);
	fake_connect(f, a);
	fake_turn(f);
	fake_cut(f, a); /* before it has read what the master wants */
	ck_assert_int_eq(cluster_job(&f->cluster, "over")->state, JOB_FAILED);
	fake_connect(f, a);
	work();
	ck_assert_uint_eq(f->kills, 2);
	ck_assert_uint_eq(a->task_count, 0);
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, 0);
}
END_TEST

START_TEST(with_most_agents_silent_none_is_marked_and_otherwise_one_a_minute)
{
	struct fake_agent *a[6];

	for (int i = 0; i < 6; i++)
		a[i] = ready_agent(1000);
	for (int i = 0; i < 4; i++)
		fake_cut(f, a[i]);
	f->now_ms += 120000;
	fake_heartbeat(f, a[4]);
	fake_heartbeat(f, a[5]);
	fake_settle(f);
	ck_assert(f->cluster.alarm);
	ck_assert_ptr_null(strstr(fake_find(f, "/corral/registry/agents-0")->data, "unreachable"));
	fake_connect(f, a[0]);
	fake_connect(f, a[1]);
	fake_settle(f);
	f->now_ms += 1000;
	fake_settle(f);
	ck_assert(!f->cluster.alarm);
	ck_assert_int_eq(cluster_agent(&f->cluster, "n2")->state, AGENT_UNREACHABLE);
	ck_assert_int_eq(cluster_agent(&f->cluster, "n3")->state, AGENT_SILENT);
	ck_assert(cluster_mark_unreachable(&f->cluster, cluster_agent(&f->cluster, "n3")));
	ck_assert(!cluster_mark_unreachable(&f->cluster, node("n0")));
	fake_settle(f);
	ck_assert_int_eq(cluster_agent(&f->cluster, "n3")->state, AGENT_UNREACHABLE);
}
END_TEST

START_TEST(no_agent_is_unreachable_before_its_lease_is_over_whatever_is_set)
{
	cluster_set_unreachable_after(&f->cluster, 1);
	ck_assert_uint_eq(f->cluster.settings.unreachable_after_ms, 15000 * 103 / 100);
	cluster_set_unreachable_after(&f->cluster, 60000);
	ck_assert_uint_eq(f->cluster.settings.unreachable_after_ms, 60000);
}
END_TEST

START_TEST(constraints_are_kept_in_first_fit_order)
{
	struct fake_agent *a = ready_agent(4000), *b = ready_agent(4000);
	struct job_policy p = batch;
	struct job *j;

	p.constrained = true;
	ck_assert_int_eq(
	    cluster_submit(&f->cluster, f->now_ms, "only", 2, &p, strdup("@n1"), "x", 1, "", 1, &j),
	    SUBMIT_OK);
	fake_settle(f);
	ck_assert_uint_eq(a->inbox_count, 0);
	ck_assert_uint_eq(b->inbox_count, 2);
}
END_TEST

START_TEST(a_registration_that_cannot_be_is_refused_with_a_reason)
{
	static const char *const reasons[] = {
	    "was the ensemble restored", "offers no cpu", "less than its running tasks"};
	struct fake_agent *a = ready_agent(1000);
	Corral__Register *r = malloc(sizeof *r);
	char error[400] = "";

	fake_submit(f, "hello", 1, &batch);
	fake_settle(f);
	fake_read_all(f, a);
	corral__register__init(r);
	r->node = strdup("n0");
	r->boot_id = strdup("b");
	r->capacity = malloc(sizeof *r->capacity);
	corral__resources__init(r->capacity);
	r->capacity->cpu_milli = _i == 1 ? 0 : 500;
	r->capacity->memory_bytes = MIB;
	if (_i == 0) {
		r->highest_term = malloc(sizeof *r->highest_term);
		corral__term__init(r->highest_term);
		r->highest_term->era = 2;
	}
	r->tasks = malloc(sizeof *r->tasks);
	r->tasks[0] = malloc(sizeof *r->tasks[0]);
	corral__task_report__init(r->tasks[0]);
	r->tasks[0]->key = malloc(sizeof *r->tasks[0]->key);
	corral__task_key__init(r->tasks[0]->key);
	r->tasks[0]->key->job = strdup("hello");
	r->tasks[0]->key->attempt = 1;
	r->tasks[0]->key->incarnation = a->tasks[0].key.incarnation;
	r->tasks[0]->key->term = malloc(sizeof *r->tasks[0]->key->term);
	corral__term__init(r->tasks[0]->key->term);
	r->tasks[0]->state = CORRAL__TASK_STATE__RUNNING;
	r->n_tasks = 1;
	ck_assert_ptr_null(
	    cluster_register(&f->cluster, f->now_ms, "n0", r, NULL, error, sizeof error));
	ck_assert_msg(strstr(error, reasons[_i]) != NULL, "%s", error);
}
END_TEST

START_TEST(ended_jobs_are_kept_up_to_a_bound_and_their_nodes_go_with_them)
{
	struct fake_agent *a = ready_agent(1000);
	char name[32], path[64];

	for (int i = 0; i < CLUSTER_ENDED_MAX + 20; i++) {
		snprintf(name, sizeof name, "run-%d", i);
		ck_assert_ptr_nonnull(fake_submit(f, name, 1, &batch));
		fake_settle(f);
		fake_read_all(f, a);
		fake_exit(f, a, &a->tasks[0], 0);
		fake_settle(f);
		fake_read_all(f, a);
	}
	ck_assert_uint_le(f->cluster.ended_count, CLUSTER_ENDED_MAX + 1);
	ck_assert_ptr_null(cluster_job(&f->cluster, "run-0"));
	ck_assert_ptr_null(fake_find(f, "/corral/jobs/run-0"));
	ck_assert_ptr_null(fake_find(f, "/corral/jobs/run-0/results-0"));
	snprintf(path, sizeof path, "/corral/jobs/run-%d", CLUSTER_ENDED_MAX + 19);
	ck_assert_ptr_nonnull(fake_find(f, path));
}
END_TEST

START_TEST(a_run_that_is_over_goes_soon_and_is_never_made_twice)
{
	struct fake_agent *a = ready_agent(1000);
	struct job_policy once = {
	    .once = true, .restart = JOB_RESTART_ALWAYS, .need = {1000, 64 * MIB, 0}};

	fake_submit(f, "run-1", 1, &once);
	fake_settle(f);
	fake_cut(f, a); /* the launch is lost with its connection */
	fake_connect(f, a);
	f->now_ms += 5000;
	fake_settle(f);
	ck_assert_int_eq(cluster_job(&f->cluster, "run-1")->state, JOB_FAILED);
	ck_assert_uint_eq(f->launches, 1);
	fake_submit(f, "other", 1, &batch);
	ck_assert_ptr_nonnull(cluster_job(&f->cluster, "run-1"));
	f->now_ms += CLUSTER_ONCE_KEPT_MS;
	fake_submit(f, "third", 1, &batch);
	ck_assert_ptr_null(cluster_job(&f->cluster, "run-1"));
}
END_TEST

START_TEST(records_that_are_damaged_are_refused_and_named)
{
	static const char *const bad[] = {"0 finished 1 0 0\n", "0-9 finished 1 0 0 0 -1 1 65\n",
	    "2-1 failed 1 0 0 0 -1 1 65\n", "0 dancing 1 0 0 0 -1 1 65\n",
	    "0 failed 1 0 0 256 -1 1 65\n", "x\n"};
	static const char good[] = "0-1 open 2 1 1 9 -1 1 65\n2 failed 1 0 2 9 -1 1 64\n";
	static const char state[] = "state=running\nsubmitted_ms=1\nby=me\n";
	char error[300];
	struct job *j = cluster_load_job(&f->cluster, "j", 5, 3, &batch, strdup("d"), "t", 1, state,
	    sizeof state - 1, error, sizeof error);

	ck_assert_ptr_nonnull(j);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert(!cluster_load_results(
		    &f->cluster, j, 0, bad[i], strlen(bad[i]), error, sizeof error));
	ck_assert(
	    cluster_load_results(&f->cluster, j, 0, good, sizeof good - 1, error, sizeof error));
	ck_assert_uint_eq(j->cells[1].attempts, 2);
	ck_assert_uint_eq(j->in_state[CELL_FAILED], 1);
	ck_assert_uint_eq(j->retries, 2 + 2);
	ck_assert_ptr_null(cluster_load_job(&f->cluster, "k", 6, 3, &batch, strdup("d"), "t", 1,
	    "state=odd\n", 10, error, sizeof error));
	ck_assert(!cluster_load_agents(&f->cluster, 0, "a admitted\n", 11, error, sizeof error));
	ck_assert(!cluster_load_agents(&f->cluster, 1, "a admitted n\n", 13, error, sizeof error));
	ck_assert(cluster_load_agents(
	    &f->cluster, 0, "a admitted n\nb unreachable m\n", 29, error, sizeof error));
	ck_assert_int_eq(cluster_agent(&f->cluster, "m")->state, AGENT_UNREACHABLE);
}
END_TEST

START_TEST(a_node_offers_less_as_soon_as_what_it_says_is_over_made_room_for_that)
{
	struct fake_agent *a;
	struct job *j;

	agents_ready(1, 2000);
	a = &f->agents[0];
	submit("j", NULL, 0, 2, 1000);
	ck_assert_uint_eq(a->task_count, 2);
	fake_cut(f, a);
	a->tasks[0].state = CORRAL__TASK_STATE__FINISHED; /* while nobody heard of it */
	a->capacity.cpu_milli = 1000;
	fake_connect(f, a);
	ck_assert_uint_eq(f->cluster.books.total.cpu_milli, 1000);
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, 1000);
	fake_exit(f, a, &a->tasks[0], 0);
	j = submit("next", NULL, 0, 1, 1000);
	ck_assert_uint_eq(f->refusals, 0);
	ck_assert_uint_eq(j->in_state[CELL_PENDING], 1);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("cluster");
	TCase *t = tcase_create("cluster");

	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_test(t, an_agent_is_welcomed_when_the_registry_has_it_and_not_before);
	tcase_add_test(t, a_job_is_accepted_stored_launched_and_finished);
	tcase_add_test(t, a_need_that_cannot_be_counted_with_its_executors_fits_nowhere);
	tcase_add_test(
	    t, what_is_stored_of_the_last_attempt_is_its_number_whatever_was_made_before);
	tcase_add_test(t, an_end_is_acknowledged_only_when_its_outcome_is_stored);
	tcase_add_test(t, a_failure_is_retried_after_its_pause_and_then_final);
	tcase_add_test(t, a_service_is_started_again_when_it_exits_and_a_steady_one_for_ever);
	tcase_add_test(t, stop_kills_what_runs_cancels_what_waits_and_frees_the_name);
	tcase_add_test(t, a_new_leader_adopts_what_agents_report_and_launches_nothing_twice);
	tcase_add_loop_test(
	    t, an_end_that_nobody_acknowledged_before_the_failover_counts_once, 0, 2);
	tcase_add_loop_test(t, after_a_failover_the_newest_attempt_at_an_index_counts, 0, 2);
	tcase_add_test(t, an_agent_that_stays_away_is_given_up_and_its_tasks_go_elsewhere);
	tcase_add_test(t, an_attempt_that_comes_back_before_it_was_replaced_goes_on);
	tcase_add_test(t, an_attempt_that_comes_back_after_it_was_replaced_is_killed);
	tcase_add_test(t, an_attempt_that_was_replaced_gives_way_after_a_failover_as_well);
	tcase_add_test(t, the_end_of_a_later_leaders_attempt_counts_before_an_earlier_ones);
	tcase_add_test(t, a_launch_that_never_arrived_is_lost_at_registration_and_made_again);
	tcase_add_test(t, a_job_that_a_leader_cannot_read_goes_on_and_keeps_its_name);
	tcase_add_test(t, a_job_without_a_state_is_left_alone);
	tcase_add_test(t, what_comes_back_of_a_job_that_has_ended_is_killed_also_the_second_time);
	tcase_add_test(t, with_most_agents_silent_none_is_marked_and_otherwise_one_a_minute);
	tcase_add_test(t, no_agent_is_unreachable_before_its_lease_is_over_whatever_is_set);
	tcase_add_test(t, constraints_are_kept_in_first_fit_order);
	tcase_add_loop_test(t, a_registration_that_cannot_be_is_refused_with_a_reason, 0, 3);
	tcase_add_test(t, ended_jobs_are_kept_up_to_a_bound_and_their_nodes_go_with_them);
	tcase_add_test(t, a_run_that_is_over_goes_soon_and_is_never_made_twice);
	tcase_add_test(t, records_that_are_damaged_are_refused_and_named);
	tcase_add_test(t, a_node_offers_less_as_soon_as_what_it_says_is_over_made_room_for_that);
	suite_add_tcase(s, t);
	return s;
}
