/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "master/core/why.h"
#include "tests/lib/cluster_rig.h"

static bool
reserve(const char *role, const char *name, uint64_t cpu_milli, char error[300])
{
	struct resources amount = {cpu_milli, cpu_milli / 1000 * 64 * MIB, 0};
	bool good = cluster_reserve(&f->cluster, node(name), role, &amount, error, 300);

	fake_settle(f);
	return good;
}

static const struct account *
account(uint32_t node)
{
	return &f->cluster.books.accounts[node];
}

START_TEST(what_is_reserved_is_had_by_the_role_and_those_below_it_only)
{
	struct job *other, *above, *web;
	char error[300];

	agents_ready(2, 4000);
	ck_assert_msg(reserve("eng/web", "n1", 3000, error), "%s", error);
	other = submit("other", "ops", 0, 9, 1000);
	above = submit("above", "eng", 0, 9, 1000);
	ck_assert_uint_eq(other->in_state[CELL_LIVE] + above->in_state[CELL_LIVE], 5);
	web = submit("web", "eng/web/front", 0, 9, 1000);
	ck_assert_uint_eq(web->in_state[CELL_LIVE], 3);
	ck_assert_uint_eq(account(1)->held.cpu_milli, 0);
	ck_assert_uint_eq(
	    share_find(&f->cluster.books.share, "eng")->reserved_used.cpu_milli, 3000);
	while (f->agents[1].task_count > 0) {
		fake_exit(f, &f->agents[1], &f->agents[1].tasks[0], 0);
		work();
		ck_assert(cluster_check(&f->cluster));
		if (web->in_state[CELL_FINISHED] + web->in_state[CELL_LIVE] == 9 &&
		    web->in_state[CELL_LIVE] == 0)
			break;
	}
	ck_assert_uint_eq(web->in_state[CELL_FINISHED], 9);
}
END_TEST

START_TEST(a_role_uses_what_is_reserved_for_it_first_wherever_that_is)
{
	char error[300];
	struct job *j;

	agents_ready(3, 4000);
	ck_assert(reserve("eng", "n2", 2000, error));
	j = submit("j", "eng", 0, 3, 1000);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 3);
	ck_assert_uint_eq(f->agents[2].task_count, 2);
	ck_assert_uint_eq(f->agents[0].task_count, 1);
}
END_TEST

START_TEST(a_task_may_stand_on_reserved_and_unreserved_amounts)
{
	char error[300];
	struct job *j;

	agents_ready(1, 4000);
	ck_assert(reserve("eng", "n0", 2000, error));
	ck_assert_uint_eq(submit("other", "ops", 0, 1, 1000)->in_state[CELL_LIVE], 1);
	j = submit("j", "eng", 0, 1, 3000);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(share_consumed(j->role).cpu_milli, 3000);
}
END_TEST

START_TEST(a_limit_counts_what_is_reserved_whether_it_is_used_or_not)
{
	struct quota q = {{0, 0, 0}, {3000, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	char error[300];
	struct job *j;

	agents_ready(2, 4000);
	ck_assert(cluster_set_quota(&f->cluster, "eng", &q, false, error, sizeof error));
	ck_assert(!reserve("eng/web", "n1", 4000, error));
	ck_assert_ptr_nonnull(strstr(error, "above its limit"));
	ck_assert(reserve("eng/web", "n1", 2000, error));
	j = submit("j", "eng", 0, 9, 1000);
	ck_assert_uint_eq(j->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(submit("web", "eng/web", 0, 9, 1000)->in_state[CELL_LIVE], 2);
}
END_TEST

START_TEST(reservations_are_text_in_the_store_and_hold_after_a_failover)
{
	char error[300];
	struct job *web;

	agents_ready(2, 4000);
	ck_assert(reserve("eng/web", "n1", 3000, error));
	ck_assert_str_eq(
	    fake_find(f, "/corral/roles/reserved-0")->data, "n1 eng/web cpus=3.0,memory=192M\n");
	submit("web", "eng/web", 0, 2, 1000);
	fake_elect(f);
	web = cluster_job(&f->cluster, "web");
	submit("other", "ops", 0, 9, 1000);
	fake_connect(f, &f->agents[1]);
	fake_connect(f, &f->agents[0]);
	work();
	ck_assert_uint_eq(web->in_state[CELL_LIVE], 2);
	ck_assert_uint_eq(cluster_job(&f->cluster, "other")->in_state[CELL_LIVE], 5);
	ck_assert_uint_eq(account(0)->held.cpu_milli + account(1)->held.cpu_milli, 1000);
	ck_assert(reserve("eng/web", "n1", 0, error));
	work();
	ck_assert_str_eq(fake_find(f, "/corral/roles/reserved-0")->data, "");
	ck_assert_uint_eq(cluster_job(&f->cluster, "other")->in_state[CELL_LIVE], 6);
	ck_assert(!reserve("eng/web", "n1", 0, error));
}
END_TEST

START_TEST(what_runs_on_a_node_cannot_be_reserved_and_bad_names_are_refused)
{
	static const char *const bad[] = {"n0 eng\n", "n9 eng cpus=1\n", "n0 * cpus=1\n",
	    "n0 eng -\n", "n0 eng cpus=x\n", "n0 eng cpus=1\nn0 eng cpus=1\n"};
	char error[300];

	agents_ready(1, 4000);
	submit("fill", "ops", 0, 3, 1000);
	ck_assert(!reserve("eng", "n0", 2000, error));
	ck_assert_ptr_nonnull(strstr(error, "is not free"));
	ck_assert(!reserve("*", "n0", 1000, error));
	ck_assert(!reserve("a b", "n0", 1000, error));
	ck_assert(reserve("eng", "n0", 1000, error));
	ck_assert(reserve("eng", "n0", 0, error));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_msg(!cluster_load_reserved(
				  &f->cluster, 0, bad[i], strlen(bad[i]), error, sizeof error),
		    "%s", bad[i]);
		if (share_find(&f->cluster.books.share, "eng") != NULL)
			ck_assert(reserve("eng", "n0", 0, error));
	}
}
END_TEST

/* Tasks of four roles come and go, reservations too: whoever was placed had a right to it. */
START_TEST(random_reservations_balance_and_are_never_had_by_others)
{
	static const char *const roles[] = {"a", "a/x", "b", "c"};
	char name[16], error[300];
	struct rng r;

	rng_init(&r, 700 + (uint64_t)_i);
	agents_ready(4, 4000);
	for (int step = 0; step < 60; step++) {
		struct fake_agent *a = &f->agents[rng_below(&r, 4)];

		switch (rng_below(&r, 3)) {
		case 0:
			snprintf(name, sizeof name, "j-%d", step);
			submit(name, roles[rng_below(&r, 4)], 0, 1 + (uint32_t)rng_below(&r, 5),
			    500 * (1 + rng_below(&r, 4)));
			break;
		case 1:
			snprintf(name, sizeof name, "n%u", (unsigned)rng_below(&r, 4));
			reserve(roles[rng_below(&r, 4)], name, 1000 * rng_below(&r, 4), error);
			break;
		default:
			if (a->task_count > 0)
				fake_exit(f, a, &a->tasks[rng_below(&r, a->task_count)], 0);
		}
		work();
		ck_assert(cluster_check(&f->cluster));
		for (uint32_t i = 0; i < 4; i++) /* nothing was pushed out of what is held */
			ck_assert(resources_equal(&account(i)->held, &account(i)->to_hold));
		ck_assert_uint_eq(f->refusals, 0);
	}
}
END_TEST

START_TEST(what_a_role_has_of_a_reservation_above_it_counts_for_its_own_limit)
{
	struct quota q = {{0, 0, 0}, {2000, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	char error[300];
	struct job *web;

	agents_ready(1, 8000);
	ck_assert(reserve("eng", "n0", 4000, error));
	ck_assert(cluster_set_quota(&f->cluster, "eng/web", &q, false, error, sizeof error));
	fake_settle(f);
	web = submit("web", "eng/web", 0, 8, 1000);
	ck_assert_uint_eq(web->in_state[CELL_LIVE], 2);
	ck_assert_uint_eq(submit("eng", "eng", 0, 8, 1000)->in_state[CELL_LIVE], 6);
}
END_TEST

START_TEST(what_preempted_tasks_had_of_a_reservation_is_had_by_who_preempts)
{
	char error[300];
	struct job *low, *high;

	agents_ready(1, 4000);
	ck_assert(reserve("eng", "n0", 4000, error));
	low = submit("low", "eng", 0, 2, 2000);
	ck_assert_uint_eq(low->in_state[CELL_LIVE], 2);
	high = submit("high", "eng", 50, 1, 4000);
	pass(4 * SCAN_MS);
	ck_assert_uint_eq(high->in_state[CELL_LIVE], 1);
	ck_assert_uint_eq(f->cluster.hold_count, 0);
	ck_assert_uint_eq(
	    share_find(&f->cluster.books.share, "eng")->reserved_used.cpu_milli, 4000);
}
END_TEST

START_TEST(no_node_is_held_for_what_others_have_reserved_there)
{
	static const struct job_policy service = {
	    .role = "ops", .service = true, .need = {1000, 62 * MIB, 0}};
	char error[300];
	struct job *big;

	agents_ready(2, 4000);
	ck_assert(reserve("eng", "n1", 4000, error));
	ck_assert_ptr_nonnull(fake_submit(f, "stays", 1, &service));
	work();
	ck_assert_uint_eq(submit("batch", "eng", 0, 2, 2000)->in_state[CELL_LIVE], 2);
	big = submit("big", "ops", 0, 1, 4000);
	pass(CLUSTER_HOLD_AFTER_MS + 4 * SCAN_MS);
	ck_assert_uint_eq(big->in_state[CELL_PENDING], 1);
	ck_assert_uint_eq(f->cluster.hold_count, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("reserve");
	TCase *t = tcase_create("reserve");

	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_test(t, what_is_reserved_is_had_by_the_role_and_those_below_it_only);
	tcase_add_test(t, a_role_uses_what_is_reserved_for_it_first_wherever_that_is);
	tcase_add_test(t, a_task_may_stand_on_reserved_and_unreserved_amounts);
	tcase_add_test(t, a_limit_counts_what_is_reserved_whether_it_is_used_or_not);
	tcase_add_test(t, reservations_are_text_in_the_store_and_hold_after_a_failover);
	tcase_add_test(t, what_runs_on_a_node_cannot_be_reserved_and_bad_names_are_refused);
	tcase_add_test(t, what_a_role_has_of_a_reservation_above_it_counts_for_its_own_limit);
	tcase_add_test(t, what_preempted_tasks_had_of_a_reservation_is_had_by_who_preempts);
	tcase_add_test(t, no_node_is_held_for_what_others_have_reserved_there);
	tcase_add_loop_test(t, random_reservations_balance_and_are_never_had_by_others, 0, 20);
	suite_add_tcase(s, t);
	return s;
}
