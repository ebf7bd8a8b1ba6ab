/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do with nodes: drain them, forget them, raise the era. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/cluster_rig.h"

#define NEVER UINT64_MAX

static const struct job_policy batch = {.need = {1000, 64 * MIB, 0}};
static const struct job_policy once = {.need = {1000, 64 * MIB, 0}, .once = true};
static const struct job_policy service = {.service = true,
    .restart = JOB_RESTART_ALWAYS,
    .restart_ms = 100000,
    .retries_max = 1,
    .need = {1000, 64 * MIB, 0}};
static const struct job_policy singleton = {.service = true,
    .restart = JOB_RESTART_ALWAYS,
    .retries_max = UINT32_MAX,
    .need = {1000, 64 * MIB, 0},
    .singleton = true,
    .stop_ms = 1000};

static void
drain(const char *name, uint64_t from_ms, uint64_t stop_ms, uint64_t until_ms)
{
	struct drain d = {.wanted = true,
	    .from_ms = f->now_ms + from_ms,
	    .stop_ms = stop_ms == NEVER ? NEVER : f->now_ms + stop_ms,
	    .until_ms = until_ms == NEVER ? NEVER : f->now_ms + until_ms};

	cluster_drain(&f->cluster, f->now_ms, node(name), &d);
	work();
}

static void
undrain(const char *name)
{
	static const struct drain none;

	cluster_drain(&f->cluster, f->now_ms, node(name), &none);
	work();
}

/* How many tasks run on n0 and on n1. */
static void
expect_tasks(size_t first, size_t second)
{
	ck_assert_uint_eq(f->agents[0].task_count, first);
	ck_assert_uint_eq(f->agents[1].task_count, second);
}

static enum drain_phase
phase(const char *name)
{
	return cluster_drain_phase(node(name));
}

START_TEST(a_drained_node_gets_no_task_and_keeps_those_that_it_has)
{
	agents_ready(2, 2000);
	fake_submit(f, "first", 1, &batch);
	work();
	expect_tasks(1, 0);
	drain("n0", 0, NEVER, NEVER);
	ck_assert_int_eq(phase("n0"), DRAIN_GOING_ON);
	fake_submit(f, "second", 4, &batch);
	pass(60000);
	expect_tasks(1, 2);
	fake_exit(f, &f->agents[0], &f->agents[0].tasks[0], 0);
	work();
	expect_tasks(0, 2);
	ck_assert_int_eq(phase("n0"), DRAIN_DONE);
	undrain("n0");
	ck_assert_int_eq(phase("n0"), DRAIN_NONE);
	expect_tasks(2, 2);
}
END_TEST

START_TEST(at_the_deadline_tasks_are_stopped_and_made_again_elsewhere_at_once)
{
	struct job *j;

	ready_agent(2000);
	j = fake_submit(f, "web", 2, &service);
	work();
	ready_agent(2000);
	expect_tasks(2, 0);
	drain("n0", 0, 10000, NEVER);
	pass(9500);
	expect_tasks(2, 0);
	ck_assert_uint_eq(f->kills, 0);
	pass(SCAN_MS);
	ck_assert_uint_eq(f->kills, 2);
	expect_tasks(0, 2); /* no pause, and none of its failures */
	ck_assert_uint_eq(j->cells[0].failures, 0);
	ck_assert_uint_eq(j->retries, 2);
	ck_assert_int_eq(phase("n0"), DRAIN_DONE);
	pass(5000);
	ck_assert_uint_eq(f->kills, 2); /* told once */
}
END_TEST

START_TEST(a_batch_that_is_stopped_by_a_drain_has_not_failed)
{
	struct job *j;

	ready_agent(2000);
	j = fake_submit(f, "work", 1, &batch);
	work();
	drain("n0", 0, 0, NEVER);
	ck_assert_int_eq(j->state, JOB_RUNNING);
	ck_assert_uint_eq(j->in_state[CELL_PENDING], 1);
	ready_agent(2000);
	work();
	expect_tasks(0, 1);
	fake_exit(f, &f->agents[1], &f->agents[1].tasks[0], 0);
	work();
	ck_assert_int_eq(j->state, JOB_FINISHED);
}
END_TEST

START_TEST(what_a_client_runs_is_not_run_again)
{
	struct job *j;

	ready_agent(2000);
	j = fake_submit(f, "run", 1, &once);
	work();
	drain("n0", 0, 0, NEVER);
	ck_assert_int_eq(j->state, JOB_FAILED);
}
END_TEST

START_TEST(a_stop_of_the_job_goes_before_the_drain)
{
	struct job *j;

	agents_ready(2, 2000);
	j = fake_submit(f, "web", 1, &service);
	work();
	cluster_stop(&f->cluster, f->now_ms, j, "operator:ann");
	drain("n0", 0, 0, NEVER);
	ck_assert_int_eq(j->state, JOB_STOPPED);
	expect_tasks(0, 0);
}
END_TEST

START_TEST(a_maintenance_window_opens_and_closes_by_itself)
{
	ready_agent(2000);
	fake_submit(f, "web", 1, &service);
	work();
	drain("n0", 10000, 20000, 30000);
	ck_assert_int_eq(phase("n0"), DRAIN_PLANNED);
	pass(9500);
	fake_submit(f, "more", 1, &service);
	work();
	ck_assert_uint_eq(f->agents[0].task_count, 2);
	pass(SCAN_MS);
	ck_assert_int_eq(phase("n0"), DRAIN_GOING_ON);
	pass(10000);
	ck_assert_int_eq(phase("n0"), DRAIN_DONE);
	ck_assert_uint_eq(f->agents[0].task_count, 0);
	pass(9500);
	ck_assert_uint_eq(f->agents[0].task_count, 0);
	pass(SCAN_MS);
	ck_assert_int_eq(phase("n0"), DRAIN_NONE);
	ck_assert_uint_eq(f->agents[0].task_count, 2);
	ck_assert_ptr_null(strstr(fake_find(f, "/corral/registry/agents-0")->data, "drain"));
}
END_TEST

START_TEST(the_next_leader_goes_on_with_it_whatever_its_clock)
{
	f->wall_offset_ms = 1700000000000;
	fake_elect(f);
	ready_agent(2000);
	fake_submit(f, "web", 1, &service);
	work();
	drain("n0", 0, 20000, 40000);
	pass(5000);
	fake_depose(f);
	/* Another machine, which was started much later. */
	f->now_ms -= 900000;
	f->wall_offset_ms += 900000;
	fake_elect(f);
	ck_assert_int_eq(phase("n0"), DRAIN_PLANNED); /* not looked at yet */
	fake_connect(f, &f->agents[0]);
	work();
	ck_assert_int_eq(phase("n0"), DRAIN_GOING_ON);
	pass(14500);
	ck_assert_uint_eq(f->agents[0].task_count, 1);
	pass(SCAN_MS);
	ck_assert_int_eq(phase("n0"), DRAIN_DONE);
	pass(19500);
	ck_assert_int_eq(phase("n0"), DRAIN_DONE);
	pass(SCAN_MS);
	ck_assert_int_eq(phase("n0"), DRAIN_NONE);
}
END_TEST

START_TEST(a_kill_that_was_lost_with_its_connection_is_sent_again)
{
	struct fake_agent *a = ready_agent(2000);

	fake_submit(f, "web", 1, &service);
	work();
	node("n0")->drain =
	    (struct drain){.wanted = true, .from_ms = 0, .stop_ms = 0, .until_ms = NEVER};
	f->now_ms += SCAN_MS;
	fake_heartbeat(f, a);
	fake_turn(f);
	ck_assert_uint_eq(f->kills, 1);
	fake_cut(f, a);
	fake_connect(f, a);
	ck_assert_uint_eq(f->kills, 2);
	work();
	ck_assert_uint_eq(a->task_count, 0);
	ck_assert_int_eq(phase("n0"), DRAIN_DONE);
}
END_TEST

START_TEST(a_line_of_the_registry_that_cannot_be_read_is_refused)
{
	static const char *const bad[] = {
	    "id admitted n0 drain\n",
	    "id admitted n0 drain=\n",
	    "id admitted n0 drain=1,2\n",
	    "id admitted n0 drain=1,2,3,4\n",
	    "id admitted n0 drain=1,2,-3\n",
	    "id admitted n0 drain=x,-,-\n",
	    "id admitted n0 drain=99999999999999999999,-,-\n",
	    "id admitted n0 drained\n",
	    "id lost n0\n",
	    "id admitted\n",
	};
	static const char good[] = "i admitted n0 drain=1,-,-\nj off n1\n";
	char error[200];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!cluster_load_agents(
				  &f->cluster, 0, bad[i], strlen(bad[i]), error, sizeof error),
		    "%s", bad[i]);
	ck_assert(cluster_load_agents(&f->cluster, 0, good, strlen(good), error, sizeof error));
	ck_assert(node("n1")->gone && node("n1")->off && !node("n0")->gone);
}
END_TEST

/* ---- forgetting ---- */

static bool
forget(const char *name, bool powered_off)
{
	char error[400];
	bool done =
	    cluster_forget(&f->cluster, f->now_ms, node(name), powered_off, error, sizeof error);

	work();
	return done;
}

START_TEST(only_a_node_that_is_not_connected_is_forgotten)
{
	struct fake_agent *a = ready_agent(2000);

	fake_submit(f, "web", 1, &service);
	work();
	ck_assert(!forget("n0", false));
	ck_assert(!forget("n0", true));
	ck_assert(!node("n0")->gone);
	fake_cut(f, a);
	ck_assert(forget("n0", false));
	ck_assert(node("n0")->gone);
	ck_assert_ptr_nonnull(strstr(fake_find(f, "/corral/registry/agents-0")->data, " gone n0"));
	ck_assert_uint_eq(f->cluster.books.total.cpu_milli, 0);
	ready_agent(2000);
	pass(200000);
	ck_assert_uint_eq(f->agents[1].task_count, 1);
}
END_TEST

START_TEST(a_forgotten_node_that_comes_back_is_the_same_one)
{
	struct fake_agent *a = ready_agent(2000);
	char id[CLUSTER_ID_MAX + 1];

	fake_submit(f, "work", 1, &batch);
	work();
	memcpy(id, node("n0")->id, sizeof id);
	fake_cut(f, a);
	ck_assert(forget("n0", false));
	fake_elect(f); /* the next leader knows it as forgotten, too */
	ck_assert(node("n0")->gone);
	ready_agent(2000);
	work();
	ck_assert_uint_eq(f->agents[1].task_count, 1); /* nobody waits for it */
	fake_connect(f, a);
	work();
	ck_assert(!node("n0")->gone);
	ck_assert_int_eq(node("n0")->state, AGENT_READY);
	ck_assert_str_eq(node("n0")->id, id);
	expect_tasks(0, 1); /* what was replaced is killed */
	ck_assert_uint_eq(f->cluster.books.total.cpu_milli, 4000);
}
END_TEST

START_TEST(a_machine_that_was_installed_anew_takes_the_place_of_the_forgotten_one)
{
	struct fake_agent *a = ready_agent(2000);
	char id[CLUSTER_ID_MAX + 1];

	memcpy(id, node("n0")->id, sizeof id);
	fake_cut(f, a);
	ck_assert(forget("n0", false));
	a->id[0] = '\0';
	fake_connect(f, a);
	work();
	ck_assert_int_eq(node("n0")->state, AGENT_READY);
	ck_assert_str_ne(node("n0")->id, id);
	ready_agent(2000);
	ck_assert_str_ne(node("n0")->id, node("n1")->id);
}
END_TEST

START_TEST(a_singletons_node_is_forgotten_when_its_lease_is_over_or_it_was_powered_off)
{
	struct fake_agent *a = ready_agent(2000);

	fake_submit(f, "one", 1, &singleton);
	work();
	ready_agent(2000);
	ck_assert_uint_eq(a->task_count, 1);
	fake_cut(f, a);
	ck_assert(!forget("n0", false));
	ck_assert(!node("n0")->gone);
	expect_tasks(1, 0);
	ck_assert(forget("n0", true));
	work();
	expect_tasks(1, 1); /* the first is what the operator has switched off */
	ck_assert_ptr_nonnull(strstr(fake_find(f, "/corral/registry/agents-0")->data, " off n0"));
}
END_TEST

START_TEST(a_powered_off_node_is_not_waited_for_by_the_next_leader)
{
	struct fake_agent *a = ready_agent(2000);
	char error[400];

	fake_submit(f, "one", 1, &singleton);
	work();
	ready_agent(2000);
	fake_cut(f, a);
	ck_assert(cluster_forget(&f->cluster, f->now_ms, node("n0"), true, error, sizeof error));
	fake_turn(f);
	fake_commit(f, false); /* the registry has it, and the leader dies before it goes on */
	fake_elect(f);
	fake_connect(f, &f->agents[1]);
	work();
	ck_assert_uint_eq(f->agents[1].task_count, 1);
}
END_TEST

START_TEST(a_node_that_was_given_up_while_it_was_admitted_is_welcomed_when_the_store_has_it_again)
{
	struct fake_agent *a = fake_add_agent(f, 2000, 4096);

	fake_connect(f, a);
	fake_turn(f); /* its admission is on its way to the store */
	fake_cut(f, a);
	ck_assert(cluster_mark_unreachable(&f->cluster, node("n0")));
	fake_commit(f, true);
	fake_turn(f);
	fake_commit(f, true);
	ck_assert_ptr_nonnull(
	    strstr(fake_find(f, "/corral/registry/agents-0")->data, " unreachable n0"));
	fake_connect(f, a);
	ck_assert_uint_eq(f->welcomes, 0);
	work();
	ck_assert_uint_eq(f->welcomes, 1);
	ck_assert_ptr_nonnull(
	    strstr(fake_find(f, "/corral/registry/agents-0")->data, " admitted n0"));
}
END_TEST

/* ---- tickets and the era ---- */

START_TEST(a_ticket_is_good_when_all_that_was_changed_before_it_is_stored)
{
	struct fake_agent *a = ready_agent(2000);
	uint64_t ticket;

	fake_cut(f, a);
	cluster_mark_unreachable(&f->cluster, node("n0"));
	ticket = cluster_ticket(&f->cluster);
	ck_assert(!cluster_has_stored(&f->cluster, ticket));
	fake_turn(f);
	ck_assert(!cluster_has_stored(&f->cluster, ticket));
	fake_commit(f, true);
	ck_assert(cluster_has_stored(&f->cluster, ticket));
	work();
	ticket = cluster_ticket(&f->cluster); /* nothing changed */
	fake_turn(f);
	ck_assert(cluster_has_stored(&f->cluster, ticket));
}
END_TEST

START_TEST(the_era_is_raised_above_all_that_agents_have_seen)
{
	Corral__Register *r = malloc(sizeof *r);
	Corral__Term *seen = malloc(sizeof *seen);
	Corral__Resources *capacity = malloc(sizeof *capacity);
	char error[400];

	ck_assert_uint_eq(cluster_era_bump(&f->cluster), 2);
	work();
	ck_assert_str_eq(fake_find(f, "/corral/era")->data, "2");
	corral__register__init(r);
	corral__term__init(seen);
	corral__resources__init(capacity);
	r->node = strdup("n9");
	r->boot_id = strdup("boot");
	r->capacity = capacity;
	r->highest_term = seen;
	seen->era = 7;
	seen->czxid = 3;
	ck_assert_ptr_null(
	    cluster_register(&f->cluster, f->now_ms, "n9", r, NULL, error, sizeof error));
	ck_assert_ptr_nonnull(strstr(error, "corral-recovery(7)"));
	ck_assert_uint_eq(f->cluster.seen.era, 7);
	ck_assert_uint_eq(cluster_era_bump(&f->cluster), 8);
	work();
	ck_assert_str_eq(fake_find(f, "/corral/era")->data, "8");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("drain");
	TCase *t = tcase_create("drain");

	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_drained_node_gets_no_task_and_keeps_those_that_it_has);
	tcase_add_test(t, at_the_deadline_tasks_are_stopped_and_made_again_elsewhere_at_once);
	tcase_add_test(t, a_batch_that_is_stopped_by_a_drain_has_not_failed);
	tcase_add_test(t, what_a_client_runs_is_not_run_again);
	tcase_add_test(t, a_stop_of_the_job_goes_before_the_drain);
	tcase_add_test(t, a_maintenance_window_opens_and_closes_by_itself);
	tcase_add_test(t, the_next_leader_goes_on_with_it_whatever_its_clock);
	tcase_add_test(t, a_kill_that_was_lost_with_its_connection_is_sent_again);
	tcase_add_test(t, a_line_of_the_registry_that_cannot_be_read_is_refused);
	tcase_add_test(t, only_a_node_that_is_not_connected_is_forgotten);
	tcase_add_test(t, a_forgotten_node_that_comes_back_is_the_same_one);
	tcase_add_test(t, a_machine_that_was_installed_anew_takes_the_place_of_the_forgotten_one);
	tcase_add_test(
	    t, a_singletons_node_is_forgotten_when_its_lease_is_over_or_it_was_powered_off);
	tcase_add_test(t, a_powered_off_node_is_not_waited_for_by_the_next_leader);
	tcase_add_test(t,
	    a_node_that_was_given_up_while_it_was_admitted_is_welcomed_when_the_store_has_it_again);
	tcase_add_test(t, a_ticket_is_good_when_all_that_was_changed_before_it_is_stored);
	tcase_add_test(t, the_era_is_raised_above_all_that_agents_have_seen);
	suite_add_tcase(s, t);
	return s;
}
