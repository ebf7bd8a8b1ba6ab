/* SPDX-License-Identifier: Apache-2.0 */
/* Agents whose certificates are good and whose words are not: refused, or without effect. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/cluster_rig.h"

static const struct job_policy batch = {.need = {1000, 64 * MIB, 0}};

#define LAST_NUMBER "1 open 4294967295 0 0 0 -1 1 1\n"

/* A registration that nothing is wrong with. */
static Corral__Register *
new_register(const char *id)
{
	Corral__Register *r = malloc(sizeof *r);

	corral__register__init(r);
	r->agent_id = strdup(id);
	r->node = strdup("x");
	r->boot_id = strdup("boot");
	r->capacity = malloc(sizeof *r->capacity);
	corral__resources__init(r->capacity);
	r->capacity->cpu_milli = 1000;
	r->capacity->memory_bytes = UINT64_C(1) << 30;
	return r;
}

static void
expect_refused(const char *name, Corral__Register *r, const char *reason)
{
	char error[400] = "";

	ck_assert_ptr_null(
	    cluster_register(&f->cluster, f->now_ms, name, r, NULL, error, sizeof error));
	ck_assert_msg(strstr(error, reason) != NULL, "%s", error);
}

static Corral__TaskReport *
new_report(void)
{
	Corral__TaskReport *t = malloc(sizeof *t);

	corral__task_report__init(t);
	t->key = malloc(sizeof *t->key);
	corral__task_key__init(t->key);
	t->key->job = strdup("gone");
	t->key->incarnation = 5;
	t->key->attempt = 1;
	t->key->term = malloc(sizeof *t->key->term);
	corral__term__init(t->key->term);
	t->key->term->era = 1;
	t->state = CORRAL__TASK_STATE__FINISHED;
	return t;
}

/* The one task of a job of one, running on n0. */
static struct fake_task *
running_task(struct fake_agent *a)
{
	fake_submit(f, "hello", 1, &batch);
	work();
	ck_assert_uint_eq(a->task_count, 1);
	return &a->tasks[0];
}

static struct cell
cell_of(const char *job)
{
	return cluster_job(&f->cluster, job)->cells[0];
}

START_TEST(an_id_of_another_agent_is_refused)
{
	agents_ready(1, 1000);
	expect_refused("x", new_register(node("n0")->id), "another agent has this agent id");
	ck_assert_ptr_null(cluster_agent(&f->cluster, "x"));
}
END_TEST

/* A blank would be a line of the registry that no later leader can read. */
START_TEST(a_name_or_an_id_that_the_registry_cannot_hold_is_refused)
{
	static const char *const bad[] = {"a b", "a\tb", "a\nb", "a\rb", "a\vb", "a\fb", "\x7f",
	    "\xc3\xa4", "i-am-longer-than-an-id-can-be-i-am-longer-than-an-id-can-be-i-am"};

	ready_agent(1000);
	expect_refused("x", new_register(bad[_i]), "its name or its agent id");
	if (strlen(bad[_i]) <= CLUSTER_NAME_MAX)
		expect_refused(bad[_i], new_register("fine"), "its name or its agent id");
	work();
	fake_elect(f);
	ck_assert_uint_eq(f->cluster.agent_count, 1);
}
END_TEST

/* Known ones are let in, whatever the bound is by then. */
START_TEST(one_node_more_than_the_bound_is_refused_and_names_the_setting)
{
	struct fake_agent *a;

	agents_ready(2, 1000);
	a = &f->agents[0];
	f->cluster.settings.agents_max = 2;
	expect_refused("x", new_register(""), "[master] agents_max");
	f->cluster.settings.agents_max = 1;
	fake_cut(f, a);
	fake_connect(f, a);
	work();
	ck_assert_int_eq(node("n0")->state, AGENT_READY);
	ck_assert_uint_eq(f->cluster.agent_count, 2);
}
END_TEST

/* More lines than the registry has places would be written behind its end. */
START_TEST(a_registry_of_more_agents_than_there_can_be_is_refused)
{
	struct buf text;
	char error[400] = "";
	uint32_t pieces = CLUSTER_AGENTS_MAX / REGISTRY_PIECE, number = 0;

	buf_init(&text, 16 << 20);
	for (uint32_t piece = 0; piece <= pieces; piece++) {
		buf_clear(&text);
		for (uint32_t i = 0; i < (piece < pieces ? REGISTRY_PIECE : 2 * REGISTRY_PIECE);
		     i++, number++)
			buf_printf(&text, "i%u admitted a%u\n", number, number);
		ck_assert_int_eq(cluster_load_agents(&f->cluster, piece, (const char *)text.data,
				     text.len, error, sizeof error),
		    piece < pieces);
	}
	ck_assert_uint_eq(f->cluster.agent_count, CLUSTER_AGENTS_MAX);
	buf_fini(&text);
}
END_TEST

START_TEST(more_tasks_than_any_node_has_are_refused)
{
	Corral__Register *r = new_register("fine");

	r->n_tasks = 100001;
	r->tasks = malloc(r->n_tasks * sizeof *r->tasks);
	for (size_t i = 0; i < r->n_tasks; i++)
		r->tasks[i] = new_report();
	expect_refused("x", r, "too many tasks");
}
END_TEST

static void
report_one(Corral__Register *r, Corral__TaskReport *t)
{
	r->tasks = malloc(sizeof *r->tasks);
	r->tasks[r->n_tasks++] = t;
}

START_TEST(an_attempt_with_a_number_that_no_master_gives_is_refused)
{
	static const struct {
		uint32_t number;
		const char *text;
	} bad[] = {{0, "attempt 0 at task 3 of job gone"},
	    {CLUSTER_ATTEMPTS_MAX + 1, "attempt 1073741825 at task 3 of job gone"},
	    {UINT32_MAX, "attempt 4294967295 at task 3 of job gone"}};
	Corral__Register *r = new_register("fine");
	Corral__TaskReport *t = new_report();

	t->key->attempt = bad[_i].number;
	t->key->index = 3;
	report_one(r, t);
	expect_refused("x", r, bad[_i].text);
	ck_assert_ptr_null(cluster_agent(&f->cluster, "x"));
}
END_TEST

/* Also where the agent says nothing of the term itself; the operator hears how far to raise the
 * era. */
START_TEST(an_attempt_of_a_later_leader_is_refused)
{
	Corral__Register *r = new_register("fine");
	Corral__TaskReport *t = new_report();

	t->key->term->era = f->cluster.term.era + (_i == 0);
	t->key->term->czxid = f->cluster.term.czxid + 1;
	report_one(r, t);
	expect_refused("x", r, "which the agent has seen");
	ck_assert_uint_eq(f->cluster.seen.era, f->cluster.term.era + (_i == 0));
	ck_assert_int_eq(f->cluster.seen.czxid, f->cluster.term.czxid + 1);
}
END_TEST

/* The next number would be none that is larger: the task is over. */
START_TEST(the_last_number_of_an_attempt_is_followed_by_none)
{
	struct fake_agent *a = ready_agent(1000);
	struct job_policy again = batch;
	struct fake_task *t;

	again.restart = JOB_RESTART_ALWAYS;
	fake_submit(f, "hello", 1, &again);
	work();
	t = &a->tasks[0];
	t->key.attempt = CLUSTER_ATTEMPTS_MAX;
	fake_elect(f);
	fake_connect(f, a);
	work();
	ck_assert_uint_eq(cell_of("hello").attempts, CLUSTER_ATTEMPTS_MAX);
	f->launches = 0;
	if (_i == 0) {
		fake_exit(f, a, t, 0);
	} else {
		fake_cut(f, a);
		fake_lose_all(f, a);
		fake_connect(f, a);
	}
	work();
	ck_assert_uint_eq(f->launches, 0);
	ck_assert_int_eq(cell_of("hello").state, _i == 0 ? CELL_FINISHED : CELL_FAILED);
	ck_assert_int_eq(
	    cluster_job(&f->cluster, "hello")->state, _i == 0 ? JOB_FINISHED : JOB_FAILED);
}
END_TEST

START_TEST(a_stored_attempt_with_the_last_number_is_followed_by_none)
{
	struct fake_agent *a = ready_agent(2000);
	struct job *j;
	char error[200] = "";

	fake_submit(f, "hello", 2, &batch);
	work();
	fake_exit(f, a, &a->tasks[0], 0);
	work();
	a->task_count = 0; /* it knows of nothing */
	fake_elect(f);
	j = cluster_job(&f->cluster, "hello");
	ck_assert(cluster_load_results(
	    &f->cluster, j, 0, LAST_NUMBER, strlen(LAST_NUMBER), error, sizeof error));
	fake_connect(f, a);
	f->launches = 0;
	work();
	ck_assert_uint_eq(f->launches, 0);
	ck_assert_int_eq(j->cells[1].state, CELL_FAILED);
	ck_assert_int_eq(j->state, JOB_FAILED);
}
END_TEST

START_TEST(a_task_that_is_reported_twice_is_booked_once)
{
	struct fake_agent *a = ready_agent(2000);
	struct fake_task *t = running_task(a);
	uint64_t leased = f->cluster.books.leased.cpu_milli;

	fake_cut(f, a);
	a->tasks[a->task_count++] = *t;
	fake_connect(f, a);
	a->task_count--;
	work();
	ck_assert_uint_eq(f->cluster.books.leased.cpu_milli, leased);
	ck_assert(cluster_check(&f->cluster));
}
END_TEST

/* Of a task that is nobody's here its agent is told to end it, and so has the outcome off its
 * hands. */
START_TEST(an_update_from_another_agent_changes_nothing)
{
	struct fake_agent *a = ready_agent(1000), *b = ready_agent(1000);
	struct fake_task stolen = *running_task(a);

	stolen.state = CORRAL__TASK_STATE__FINISHED;
	stolen.sequence = 2;
	fake_send_update(f, b, &stolen);
	work();
	ck_assert_int_eq(cell_of("hello").state, CELL_LIVE);
	ck_assert_int_eq(cluster_job(&f->cluster, "hello")->state, JOB_RUNNING);
}
END_TEST

START_TEST(an_update_with_the_key_of_another_term_or_attempt_changes_nothing)
{
	struct fake_agent *a = ready_agent(1000);
	struct fake_task other = *running_task(a);

	if (_i == 0)
		other.key.term.czxid--;
	else if (_i == 1)
		other.key.term.era++;
	else
		other.key.attempt++;
	other.state = CORRAL__TASK_STATE__FINISHED;
	other.sequence = 2;
	fake_send_update(f, a, &other);
	work();
	ck_assert_int_eq(cell_of("hello").state, CELL_LIVE);
}
END_TEST

START_TEST(an_outcome_with_a_number_of_the_future_counts_once_and_is_acknowledged)
{
	struct fake_agent *a = ready_agent(1000);
	struct fake_task *t = running_task(a);

	t->sequence = UINT32_MAX - 1;
	f->acks = 0;
	fake_exit(f, a, t, 0);
	ck_assert_uint_eq(f->acks, 0);
	fake_settle(f);
	ck_assert_uint_eq(f->acks, 1);
	ck_assert_int_eq(cell_of("hello").state, CELL_FINISHED);
}
END_TEST

/* An agent whose checkpoint has rotted does not know of the one that it told before. */
START_TEST(an_outcome_with_the_number_of_an_earlier_update_counts)
{
	struct fake_agent *a = ready_agent(1000);
	struct fake_task *t = running_task(a);

	t->sequence = 0;
	f->acks = 0;
	fake_exit(f, a, t, 0);
	fake_settle(f);
	ck_assert_uint_eq(f->acks, 1);
	ck_assert_int_eq(cell_of("hello").state, CELL_FINISHED);
}
END_TEST

START_TEST(an_outcome_that_comes_again_with_other_contents_is_the_first_one)
{
	struct fake_agent *a = ready_agent(1000);
	struct fake_task *t = running_task(a), other;

	fake_exit(f, a, t, 0);
	other = *t;
	other.state = CORRAL__TASK_STATE__FAILED;
	other.code = 7;
	fake_send_update(f, a, &other); /* the same number and uuid */
	other.sequence++;
	fake_send_update(f, a, &other);
	work();
	ck_assert_int_eq(cell_of("hello").state, CELL_FINISHED);
	ck_assert_uint_eq(cell_of("hello").code, 0);
	ck_assert_int_eq(cluster_job(&f->cluster, "hello")->state, JOB_FINISHED);
}
END_TEST

/* The names of attempts can be guessed: a singleton's is on its way to the store before it is sent.
 */
START_TEST(what_is_told_of_an_attempt_that_was_not_sent_yet_changes_nothing)
{
	static const Corral__TaskState told[] = {
	    CORRAL__TASK_STATE__RUNNING, CORRAL__TASK_STATE__FINISHED, CORRAL__TASK_STATE__LOST};
	struct fake_agent *a = ready_agent(1000);
	struct fake_task invented = {.state = told[_i], .sequence = 1};
	struct job_policy once = batch;
	struct attempt *t;

	once.singleton = true;
	fake_submit(f, "one", 1, &once);
	fake_turn(f);
	fake_commit(f, true); /* the job */
	fake_turn(f);	      /* it is placed */
	t = cluster_live_attempt(&f->cluster, cluster_job(&f->cluster, "one"), 0);
	ck_assert(t->unsent);
	cluster_key(t, &invented.key);
	f->acks = 0;
	fake_send_update(f, a, &invented);
	ck_assert_int_eq(t->state, CORRAL__TASK_STATE__LAUNCHING);
	ck_assert_uint_eq(f->acks, 0);
	work();
	ck_assert_uint_eq(f->launches, 1);
	ck_assert_uint_eq(a->task_count, 1);
	fake_exit(f, a, &a->tasks[0], 0);
	work();
	ck_assert_int_eq(cell_of("one").state, CELL_FINISHED);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("hostile agent");
	TCase *t = tcase_create("hostile agent");

	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_test(t, an_id_of_another_agent_is_refused);
	tcase_add_loop_test(t, a_name_or_an_id_that_the_registry_cannot_hold_is_refused, 0, 9);
	tcase_add_test(t, one_node_more_than_the_bound_is_refused_and_names_the_setting);
	tcase_add_test(t, a_registry_of_more_agents_than_there_can_be_is_refused);
	tcase_add_test(t, more_tasks_than_any_node_has_are_refused);
	tcase_add_loop_test(t, an_attempt_with_a_number_that_no_master_gives_is_refused, 0, 3);
	tcase_add_loop_test(t, an_attempt_of_a_later_leader_is_refused, 0, 2);
	tcase_add_loop_test(t, the_last_number_of_an_attempt_is_followed_by_none, 0, 2);
	tcase_add_test(t, a_stored_attempt_with_the_last_number_is_followed_by_none);
	tcase_add_test(t, a_task_that_is_reported_twice_is_booked_once);
	tcase_add_test(t, an_update_from_another_agent_changes_nothing);
	tcase_add_loop_test(
	    t, an_update_with_the_key_of_another_term_or_attempt_changes_nothing, 0, 3);
	tcase_add_test(t, an_outcome_with_a_number_of_the_future_counts_once_and_is_acknowledged);
	tcase_add_test(t, an_outcome_with_the_number_of_an_earlier_update_counts);
	tcase_add_test(t, an_outcome_that_comes_again_with_other_contents_is_the_first_one);
	tcase_add_loop_test(
	    t, what_is_told_of_an_attempt_that_was_not_sent_yet_changes_nothing, 0, 3);
	suite_add_tcase(s, t);
	return s;
}
