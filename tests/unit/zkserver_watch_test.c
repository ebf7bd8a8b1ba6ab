/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: when they are set, when they fire, what is told. */
#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"

START_TEST(an_event_comes_before_the_reply_of_the_write_that_fired_it)
{
	struct client *c = &clients[0];

	join(c);
	do_read(c, ZK_OP_EXISTS, "/a", true);
	do_read(c, ZK_OP_GET_CHILDREN, "/", true);
	header(1, ZK_OP_CREATE);
	put_create("/a", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	send_request(c);
	sync_log();
	expect_event(c, WATCH_NODE_CREATED, "/a");
	expect_event(c, WATCH_CHILDREN_CHANGED, "/");
	ck_assert_int_eq(next_reply(c).xid, 1);
	ck_assert_int_eq(
	    do_version(c, ZK_OP_SET_DATA, "/a", -1).error, ZK_OK); /* one-shot: no event */
}
END_TEST

START_TEST(a_deletion_tells_a_connection_with_both_watches_once)
{
	struct client *c = &clients[0];

	join(c);
	join(&clients[1]);
	do_create(c, "/a", 0);
	do_read(&clients[1], ZK_OP_GET_DATA, "/a", true);
	do_read(&clients[1], ZK_OP_GET_CHILDREN2, "/a", true);
	do_read(&clients[1], ZK_OP_GET_CHILDREN2, "/", true);
	do_version(c, ZK_OP_DELETE, "/a", -1);
	expect_event(&clients[1], WATCH_NODE_DELETED, "/a");
	expect_event(&clients[1], WATCH_CHILDREN_CHANGED, "/");
	ck_assert(!has_reply(&clients[1]));
	ck_assert_uint_eq(server.watches.count[WATCH_DATA] + server.watches.count[WATCH_CHILD], 0);
}
END_TEST

START_TEST(a_read_that_fails_leaves_no_watch_except_exists)
{
	join(&clients[0]);
	ck_assert_int_eq(do_read(&clients[0], ZK_OP_GET_DATA, "/no", true).error, ZK_NONODE);
	ck_assert_int_eq(do_read(&clients[0], ZK_OP_GET_CHILDREN, "/no", true).error, ZK_NONODE);
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 0);
	ck_assert_int_eq(do_read(&clients[0], ZK_OP_EXISTS, "/no", true).error, ZK_NONODE);
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 1);
	close_client(&clients[0]);
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 0);
}
END_TEST

static void
put_paths(const char *a, const char *b)
{
	jute_put_i32(&request, 2);
	jute_put_text(&request, a);
	jute_put_text(&request, b);
}

START_TEST(set_watches_tells_what_was_missed_and_watches_the_rest)
{
	struct client *c = &clients[0];
	struct reply reply;

	join(c);
	do_create(c, "/old", 0); /* zxid 2 */
	do_create(c, "/new", 0); /* zxid 3 */
	header(ZK_XID_SET_WATCHES, ZK_OP_SET_WATCHES);
	jute_put_i64(&request, 2);
	put_paths("/old", "/gone");
	put_paths("/new", "/later");
	put_paths("/old", "/");
	send_request(c);
	expect_event(c, WATCH_NODE_DELETED, "/gone");
	expect_event(c, WATCH_NODE_CREATED, "/new");
	expect_event(c, WATCH_CHILDREN_CHANGED, "/");
	reply = next_reply(c);
	ck_assert_int_eq(reply.xid, ZK_XID_SET_WATCHES);
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 2);
	ck_assert_uint_eq(server.watches.count[WATCH_CHILD], 1);
}
END_TEST

START_TEST(who_may_not_read_a_node_is_not_told_of_it)
{
	join(&clients[0]);
	join(&clients[1]);
	ck_assert(server_conn_identify(&clients[0].conn, "digest", "u:hash"));
	do_read(&clients[1], ZK_OP_EXISTS, "/secret", true);
	do_create_acl(&clients[0], "/secret", AUTH_ALL, sizeof AUTH_ALL - 1, 0);
	ck_assert(!has_reply(&clients[1]));
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 0); /* and yet the watch is used up */
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_watch");
	TCase *c = tcase_create("watch");

	tcase_add_checked_fixture(c, rig_setup, rig_teardown);
	tcase_add_test(c, an_event_comes_before_the_reply_of_the_write_that_fired_it);
	tcase_add_test(c, a_deletion_tells_a_connection_with_both_watches_once);
	tcase_add_test(c, a_read_that_fails_leaves_no_watch_except_exists);
	tcase_add_test(c, set_watches_tells_what_was_missed_and_watches_the_rest);
	tcase_add_test(c, who_may_not_read_a_node_is_not_told_of_it);
	suite_add_tcase(s, c);
	return s;
}
