/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into a batch, in which order and when, and how results are told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/core/inside.h"
#include "tests/lib/cluster_rig.h"

#define PIECES 9

/* Too large for any node, so that nothing of it is launched. */
static const struct job_policy waiting = {.need = {1000000, 64 * MIB, 0}};

static void
setup(void)
{
	rig_setup();
	agents_ready(2, 2000);
}

static struct job *
stored_job(const char *name, uint32_t count)
{
	struct job *j = fake_submit(f, name, count, &waiting);

	ck_assert_ptr_nonnull(j);
	fake_settle(f);
	return j;
}

static void
ended(struct job *j, uint32_t index, enum cell_state state, uint8_t code, uint32_t agent)
{
	cell_enter(&f->cluster, j, index, state);
	j->cells[index].attempts = 1;
	j->cells[index].reason = CORRAL__TASK_REASON__REASON_EXIT;
	j->cells[index].code = code;
	j->cells[index].agent = agent;
}

START_TEST(outcomes_alike_are_told_in_short_and_read_again)
{
	static const char text[] = "0 finished 1 0 1 0 0 1 65\n"
				   "1 = 1\n"
				   "2-3 = 0\n"
				   "4 failed 1 0 1 7 0 1 65\n"
				   "8190 = 1\n";
	struct job *j = stored_job("told", RESULTS_PIECE), *k = stored_job("read", RESULTS_PIECE);
	struct buf out;
	char error[200];

	for (uint32_t i = 0; i < 4; i++)
		ended(j, i, CELL_FINISHED, 0, i == 1);
	ended(j, 4, CELL_FAILED, 7, 0);
	ended(j, 8190, CELL_FAILED, 7, 1);
	buf_init(&out, MIB);
	results_encode(&f->cluster, j, 0, &out);
	ck_assert_str_eq(buf_text(&out), text);
	ck_assert(
	    cluster_load_results(&f->cluster, k, 0, text, sizeof text - 1, error, sizeof error));
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_uint_eq(k->cells[i].agent, i == 1);
	ck_assert_uint_eq(k->in_state[CELL_FINISHED], 4);
	ck_assert_uint_eq(k->in_state[CELL_FAILED], 2);
	ck_assert_uint_eq(k->cells[8190].code, 7);
	ck_assert_uint_eq(k->cells[8190].agent, 1);
	ck_assert_uint_eq(k->cells[8190].attempts, 1);
	ck_assert(!cluster_load_results(&f->cluster, k, 0, "5 = 1\n", 6, error, sizeof error));
	buf_fini(&out);
}
END_TEST

/* A job whose pieces are as long as can be, each with a line for each index. */
static struct job *
long_job(void)
{
	struct job *j = stored_job("long", PIECES * RESULTS_PIECE);

	for (uint32_t i = 0; i < j->count; i++)
		ended(j, i, CELL_FAILED, i % 2, 1);
	for (uint32_t p = 0; p < PIECES; p++)
		results_dirty(&f->cluster, j, p * RESULTS_PIECE);
	return j;
}

static bool
is_stored(uint32_t piece)
{
	char path[64];

	snprintf(path, sizeof path, "/corral/jobs/long/results-%u", piece);
	return fake_find(f, path) != NULL;
}

START_TEST(a_batch_goes_on_where_the_one_before_was_full)
{
	struct job *j = long_job();
	uint32_t batches = 0;

	while (!is_stored(PIECES - 1)) {
		ck_assert_uint_lt(batches++, PIECES);
		fake_turn(f);
		ck_assert_ptr_nonnull(f->batch);
		ck_assert_uint_le(f->batch->data.len, COMMIT_BYTES_MAX);
		fake_commit(f, true);
		for (uint32_t p = 0; p < PIECES - 1; p++) /* there is always more of these */
			results_dirty(&f->cluster, j, p * RESULTS_PIECE);
		f->now_ms += 100;
	}
	ck_assert_uint_gt(batches, 1);
}
END_TEST

START_TEST(a_batch_that_fails_the_second_time_for_its_own_nodes_was_stored_the_first_time)
{
	static const struct job_policy policy = {.need = {1000, MIB, 0}};
	struct cluster *c = &f->cluster;
	size_t made = COMMIT_OPS_MAX;

	fake_submit(f, "new", 1, &policy);
	fake_turn(f);
	ck_assert_ptr_nonnull(f->batch);
	/* The job that it makes has an incarnation, which is to be learnt. */
	ck_assert_int_eq(
	    cluster_commit_answered(c, COMMIT_ANSWER_OK, false, 0, &made), COMMIT_LEARN);
	ck_assert_ptr_eq(f->batch->ops[made].job, cluster_job(c, "new"));
	ck_assert_int_eq(
	    cluster_commit_answered(c, COMMIT_ANSWER_UNKNOWN, false, 0, &made), COMMIT_AGAIN);
	ck_assert_int_eq(
	    cluster_commit_answered(c, COMMIT_ANSWER_NODES, true, 1, &made), COMMIT_LEARN);
	/* The first time it cannot be; nor if it is the fence that is gone. */
	ck_assert_int_eq(
	    cluster_commit_answered(c, COMMIT_ANSWER_NODES, false, 1, &made), COMMIT_GIVE_UP);
	ck_assert_int_eq(
	    cluster_commit_answered(c, COMMIT_ANSWER_NODES, true, 0, &made), COMMIT_GIVE_UP);
	ck_assert_int_eq(
	    cluster_commit_answered(c, COMMIT_ANSWER_NO, true, 1, &made), COMMIT_GIVE_UP);
	fake_commit(f, true);
	cluster_stop(c, f->now_ms, cluster_job(c, "new"), "test");
	fake_turn(f);
	ck_assert_int_eq(
	    cluster_commit_answered(c, COMMIT_ANSWER_NODES, true, 1, &made), COMMIT_STORED);
}
END_TEST

START_TEST(after_a_large_batch_there_is_a_pause_and_after_a_small_one_none)
{
	struct job *j = long_job();
	uint64_t until;

	fake_turn(f);
	ck_assert_ptr_nonnull(f->batch);
	fake_commit(f, true);
	ck_assert_int_eq(j->results_dirty, true);
	fake_turn(f);
	ck_assert_ptr_null(f->batch);
	until = cluster_deadline_ms(&f->cluster, f->now_ms);
	ck_assert_uint_gt(until, f->now_ms);
	ck_assert_uint_le(until, f->now_ms + COMMIT_BYTES_MAX / COMMIT_BYTES_PER_MS);
	for (f->now_ms = until; j->results_dirty; f->now_ms += 100)
		fake_settle(f);
	results_dirty(&f->cluster, stored_job("short", 1), 0);
	fake_turn(f);
	ck_assert_ptr_nonnull(f->batch);
	fake_commit(f, true);
	stored_job("another", 1); /* in the same millisecond */
	ck_assert_ptr_nonnull(fake_find(f, "/corral/jobs/another"));
}
END_TEST

/* As if attempts of so many leaders were known. */
static void
fill_terms(struct cluster *c, size_t count)
{
	struct term *terms = realloc(c->terms, count * sizeof *terms);

	ck_assert_ptr_nonnull(terms);
	for (size_t i = c->term_count; i < count; i++)
		terms[i] = (struct term){c->term.era, c->term.czxid + 1 + (int64_t)i};
	c->terms = terms;
	c->term_count = count;
}

/* A number that is another term's would make it that one's attempt: what is of ours is obeyed. */
START_TEST(an_attempt_of_one_leader_too_many_is_nobodys)
{
	static const char state[] = "state=running\nsubmitted_ms=1\nby=me\n";
	static const char results[] = "0 finished 1 0 0 0 0 1 1\n1 finished 1 0 0 0 0 1 2\n2 = 0\n"
				      "3 open 2 1 1 9 0 1 2\n4 finished 1 0 0 0 0 1 1\n";
	static const char *const place =
	    "attempt=1\nnode=n0\nagent=%s\nterm=1 %d\nlease_ms=15000\n";
	struct job_policy single = {.service = true, .singleton = true, .need = {1000, MIB, 0}};
	const struct fake_agent *a = &f->agents[0];
	struct cluster *c = &f->cluster;
	char error[300], text[300];
	struct job *j = cluster_load_job(c, "j", 5, 5, &waiting, strdup("d"), "t", 1, state,
	    sizeof state - 1, error, sizeof error);
	struct job *s = cluster_load_job(c, "s", 6, 2, &single, strdup("d"), "t", 1, state,
	    sizeof state - 1, error, sizeof error);

	ck_assert(j != NULL && s != NULL);
	fill_terms(c, CLUSTER_TERMS_MAX - 1);
	ck_assert(cluster_load_results(c, j, 0, results, sizeof results - 1, error, sizeof error));
	ck_assert_uint_eq(c->term_count, CLUSTER_TERMS_MAX);
	ck_assert_uint_eq(j->in_state[CELL_FINISHED], 4); /* none is run again */
	for (uint32_t i = 0; i < 5; i++)
		ck_assert_uint_eq(j->cells[i].agent, i == 0 || i == 4 ? 0 : CLUSTER_NO_AGENT);
	ck_assert_uint_eq(j->cells[4].term, CLUSTER_TERMS_MAX - 1);
	ck_assert_uint_eq(j->cells[3].attempts, 2);

	snprintf(text, sizeof text, place, a->id, 1);
	ck_assert(cluster_load_single(c, s, 0, text, strlen(text), error, sizeof error));
	ck_assert_uint_eq(s->singles[0].term, CLUSTER_TERMS_MAX - 1);
	snprintf(text, sizeof text, place, a->id, 2);
	ck_assert(!cluster_load_single(c, s, 1, text, strlen(text), error, sizeof error));
	ck_assert_msg(strstr(error, "more than 65535 leaders") != NULL, "%s", error);
	ck_assert_uint_eq(s->singles[1].attempt, 0);
}
END_TEST

START_TEST(results_that_cannot_be_read_are_written_anew)
{
	static const struct job_policy policy = {.need = {1000, MIB, 0}};
	struct fake_agent *a = &f->agents[0];
	struct fake_node *n;

	fake_submit(f, "half", 2, &policy);
	work();
	fake_exit(f, a, &a->tasks[0], 0);
	work();
	n = (struct fake_node *)(uintptr_t)fake_find(f, "/corral/jobs/half/results-0");
	ck_assert_ptr_nonnull(n);
	n->data[0] = 'x';
	f->unreadable = true;
	fake_elect(f);
	for (size_t i = 0; i < f->agent_count; i++)
		fake_connect(f, &f->agents[i]);
	work();
	while (a->task_count > 0) {
		fake_exit(f, a, &a->tasks[0], 0);
		work();
	}
	ck_assert_int_eq(cluster_job(&f->cluster, "half")->state, JOB_FINISHED);
	ck_assert_str_ne(n->data, "x");
}
END_TEST

static bool
state_is(const char *word)
{
	const struct fake_node *n = fake_find(f, "/corral/jobs/long/state");

	ck_assert_ptr_nonnull(n);
	return strstr(n->data, word) != NULL;
}

/* Until then another leader finds a job that goes on, or is being stopped. */
START_TEST(that_a_job_has_ended_is_stored_with_the_last_of_its_results)
{
	static const char *const before[] = {"state=running", "state=stopping"},
				 *const after[] = {"state=failed", "state=stopped"};
	struct job *j = long_job();
	uint32_t batches = 0;

	if (_i == 1) {
		cell_enter(&f->cluster, j, 0, CELL_PENDING);
		cluster_stop(&f->cluster, f->now_ms, j, "test");
	}
	job_settle(&f->cluster, f->now_ms, j);
	while (!state_is(after[_i])) {
		ck_assert(batches == 0 || state_is(before[_i]));
		fake_turn(f);
		ck_assert_ptr_nonnull(f->batch);
		fake_commit(f, true);
		batches++;
		f->now_ms += 100;
	}
	ck_assert_uint_gt(batches, 1);
	for (uint32_t p = 0; p < PIECES; p++)
		ck_assert(is_stored(p));
}
END_TEST

static void
run_done(bool once)
{
	struct job_policy policy = {.once = once, .need = {1000, MIB, 0}};

	ck_assert_ptr_nonnull(fake_submit(f, "done", 1, &policy));
	work();
	fake_exit(f, &f->agents[0], &f->agents[0].tasks[0], 0);
	work();
	ck_assert_int_eq(cluster_job(&f->cluster, "done")->state, JOB_FINISHED);
}

static enum submit_result
submit_done(void)
{
	static const char text[] = "1 0 0 0 0 1000 1048576 0 0 0 0 0 *";
	struct job_policy policy = {.need = {1000, MIB, 0}};
	struct job *j;

	return cluster_submit(&f->cluster, f->now_ms, "done", 1, &policy, strdup(text), text,
	    sizeof text - 1, "operator:test", 1, &j);
}

START_TEST(a_job_below_whose_node_somebody_made_one_is_not_removed_while_that_is_there)
{
	static const char *const strangers[] = {"mine", "results-00", "results-7", "singleton-0"};
	char path[64];

	snprintf(path, sizeof path, "/corral/jobs/done/%s", strangers[_i]);
	run_done(false);
	fake_put(f, path);
	f->unreadable = true;
	fake_elect(f);
	ck_assert_uint_eq(f->left_alone, 1);
	ck_assert_int_eq(submit_done(), SUBMIT_KEPT);
	for (uint32_t i = 0; i <= CLUSTER_ENDED_MAX; i++)
		f->cluster.ended_count++; /* as if there were as many */
	ck_assert_ptr_nonnull(fake_submit(f, "other", 1, &waiting));
	fake_settle(f);
	f->cluster.ended_count -= CLUSTER_ENDED_MAX + 1;
	ck_assert_ptr_nonnull(fake_find(f, "/corral/jobs/done/state"));
	fake_remove(f, path);
	fake_elect(f);
	ck_assert_uint_eq(f->left_alone, 1);
	ck_assert_int_eq(submit_done(), SUBMIT_OK);
	fake_settle(f);
	ck_assert_ptr_nonnull(fake_find(f, "/corral/jobs/done/state"));
}
END_TEST

START_TEST(a_node_below_a_jobs_that_comes_before_its_removal_keeps_only_that_job)
{
	run_done(true);
	fake_put(f, "/corral/jobs/done/mine");
	f->now_ms += CLUSTER_ONCE_KEPT_MS;
	ck_assert_ptr_nonnull(fake_submit(f, "other", 1, &waiting));
	ck_assert_ptr_null(cluster_job(&f->cluster, "done"));
	fake_settle(f);
	ck_assert_ptr_nonnull(fake_find(f, "/corral/jobs/other/state"));
	ck_assert_ptr_nonnull(fake_find(f, "/corral/jobs/done/state"));
	ck_assert_int_eq(cluster_job(&f->cluster, "done")->state, JOB_FINISHED);
	ck_assert_int_eq(submit_done(), SUBMIT_KEPT);
	ck_assert_ptr_nonnull(fake_submit(f, "another", 1, &waiting));
	fake_settle(f);
	ck_assert_ptr_nonnull(fake_find(f, "/corral/jobs/another/state"));
}
END_TEST

/* The next leader knows of the node, and refuses the name. */
START_TEST(where_the_name_was_given_to_another_job_the_leader_gives_up)
{
	size_t made, last;

	run_done(false);
	ck_assert_int_eq(submit_done(), SUBMIT_OK);
	fake_turn(f);
	for (last = 0; strcmp(f->batch->ops[last].path, "/corral/jobs/done") != 0;)
		last++;
	ck_assert_int_eq(f->batch->ops[last].kind, STORE_DELETE);
	ck_assert_int_eq(
	    cluster_commit_answered(&f->cluster, COMMIT_ANSWER_CHILD, false, last + 1, &made),
	    COMMIT_GIVE_UP);
	ck_assert_int_eq(cluster_commit_answered(&f->cluster, COMMIT_ANSWER_CHILD, false, 0, &made),
	    COMMIT_GIVE_UP);
	fake_commit(f, true);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("commit");
	TCase *t = tcase_create("commit");

	tcase_add_checked_fixture(t, setup, rig_teardown);
	tcase_add_test(t, outcomes_alike_are_told_in_short_and_read_again);
	tcase_add_test(
	    t, a_batch_that_fails_the_second_time_for_its_own_nodes_was_stored_the_first_time);
	tcase_add_test(t, a_batch_goes_on_where_the_one_before_was_full);
	tcase_add_test(t, after_a_large_batch_there_is_a_pause_and_after_a_small_one_none);
	tcase_add_test(t, an_attempt_of_one_leader_too_many_is_nobodys);
	tcase_add_test(t, results_that_cannot_be_read_are_written_anew);
	tcase_add_loop_test(
	    t, a_job_below_whose_node_somebody_made_one_is_not_removed_while_that_is_there, 0, 4);
	tcase_add_test(t, a_node_below_a_jobs_that_comes_before_its_removal_keeps_only_that_job);
	tcase_add_test(t, where_the_name_was_given_to_another_job_the_leader_gives_up);
	tcase_add_loop_test(t, that_a_job_has_ended_is_stored_with_the_last_of_its_results, 0, 2);
	suite_add_tcase(s, t);
	return s;
}
