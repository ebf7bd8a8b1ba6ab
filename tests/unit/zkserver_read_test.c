/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of more than one node. */
#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"

START_TEST(all_nodes_below_one_are_counted)
{
	static const char *const paths[] = {"/a", "/a/b", "/a/b/c", "/a/b/d", "/a/e", "/ab"};
	struct reply reply;

	join(&clients[0]);
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		ck_assert_int_eq(do_create(&clients[0], paths[i], ZK_PERSISTENT).error, ZK_OK);
	reply = do_read(&clients[0], ZK_OP_GET_ALL_CHILDREN_NUMBER, "/a", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 4);
	reply = do_read(&clients[0], ZK_OP_GET_ALL_CHILDREN_NUMBER, "/a/b/c", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 0);
	reply = do_read(&clients[0], ZK_OP_GET_ALL_CHILDREN_NUMBER, "/", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 9);
	reply = do_read(&clients[0], ZK_OP_GET_ALL_CHILDREN_NUMBER, "", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 10); /* as at Apache's: "/" is below it */
	reply = do_read(&clients[0], ZK_OP_GET_ALL_CHILDREN_NUMBER, "/none", false);
	ck_assert_int_eq(reply.error, ZK_NONODE);
}
END_TEST

START_TEST(a_session_finds_its_own_ephemeral_nodes_by_prefix)
{
	struct reply reply;

	join(&clients[0]);
	join(&clients[1]);
	do_create(&clients[0], "/a", ZK_EPHEMERAL);
	do_create(&clients[0], "/b", ZK_EPHEMERAL);
	do_create(&clients[0], "/bc", ZK_PERSISTENT);
	do_create(&clients[1], "/bd", ZK_EPHEMERAL);
	reply = do_read(&clients[0], ZK_OP_GET_EPHEMERALS, "/", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 2);
	expect_text(&reply.r, "/a");
	expect_text(&reply.r, "/b");
	reply = do_read(&clients[1], ZK_OP_GET_EPHEMERALS, "/b", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 1);
	expect_text(&reply.r, "/bd");
	reply = do_read(&clients[1], ZK_OP_GET_EPHEMERALS, "/a", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_read");
	TCase *c = tcase_create("read");

	tcase_add_checked_fixture(c, rig_setup, rig_teardown);
	tcase_add_test(c, all_nodes_below_one_are_counted);
	tcase_add_test(c, a_session_finds_its_own_ephemeral_nodes_by_prefix);
	suite_add_tcase(s, c);
	return s;
}
