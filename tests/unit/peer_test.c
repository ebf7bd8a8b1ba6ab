/* SPDX-License-Identifier: Apache-2.0 */
/* Whole ensembles of cores: elections, broadcast, synchronization. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/peer_rig.h"
#include "tests/lib/unit.h"

START_TEST(three_servers_elect_one_leader_and_all_serve)
{
	rig_start_all();
	ck_assert_int_eq(rig_settle(), 2); /* all are empty: the highest id wins */
	ck_assert_int_eq(rig_nodes[0].peer.zab.epochs.current, 1);
	rig_check_same();
}
END_TEST

START_TEST(what_is_written_at_any_server_is_at_all)
{
	rig_start_all();
	rig_settle();
	rig_create(0, "/a");
	rig_create(1, "/b");
	rig_create(2, "/c");
	rig_check_same();
	ck_assert(rig_has(0, "/c") && rig_has(1, "/a") && rig_has(2, "/b"));
}
END_TEST

static void
setup_three(void)
{
	rig_setup(3, 0);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("ensemble");
	TCase *t = tcase_create("three");

	tcase_add_checked_fixture(t, setup_three, rig_teardown);
	tcase_add_test(t, three_servers_elect_one_leader_and_all_serve);
	tcase_add_test(t, what_is_written_at_any_server_is_at_all);
	suite_add_tcase(s, t);
	return s;
}
