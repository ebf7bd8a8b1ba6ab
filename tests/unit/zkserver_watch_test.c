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

START_TEST(a_list_that_is_null_ends_set_watches_where_it_stands)
{
	struct client *c = &clients[0];

	join(c);
	do_create(c, "/old", 0);
	header(ZK_XID_SET_WATCHES, ZK_OP_SET_WATCHES);
	jute_put_i64(&request, 2);
	put_paths("/old", "/gone");
	jute_put_i32(&request, -1);
	put_paths("/old", "/");
	send_request(c);
	expect_event(c, WATCH_NODE_DELETED, "/gone");
	ck_assert_int_eq(next_reply(c).error, ZK_MARSHALLINGERROR);
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 1);
	ck_assert_uint_eq(server.watches.count[WATCH_CHILD], 0);
}
END_TEST

static struct reply
do_watch(struct client *c, int32_t op, const char *path, int32_t number)
{
	header(5, op);
	jute_put_text(&request, path);
	jute_put_i32(&request, number);
	send_request(c);
	return next_reply(c);
}

START_TEST(a_persistent_watch_is_told_again_and_again)
{
	struct client *c = &clients[0];
	struct reply reply;

	join(c);
	join(&clients[1]);
	reply = do_watch(c, ZK_OP_ADD_WATCH, "/a", ZK_ADD_WATCH_PERSISTENT); /* no node yet */
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert_int_eq(jute_get_i32(&reply.r), 0);
	ck_assert_uint_eq(jute_left(&reply.r), 0);
	do_create(&clients[1], "/a", 0);
	do_create(&clients[1], "/a/b", 0);
	do_version(&clients[1], ZK_OP_SET_DATA, "/a", -1);
	do_version(&clients[1], ZK_OP_SET_DATA, "/a/b", -1);
	do_version(&clients[1], ZK_OP_DELETE, "/a/b", -1);
	do_version(&clients[1], ZK_OP_DELETE, "/a", -1);
	expect_event(c, WATCH_NODE_CREATED, "/a");
	expect_event(c, WATCH_CHILDREN_CHANGED, "/a");
	expect_event(c, WATCH_DATA_CHANGED, "/a");
	expect_event(c, WATCH_CHILDREN_CHANGED, "/a");
	expect_event(c, WATCH_NODE_DELETED, "/a");
	ck_assert(!has_reply(c));
}
END_TEST

START_TEST(a_recursive_watch_names_the_node_that_changed)
{
	struct client *c = &clients[0];

	join(c);
	join(&clients[1]);
	do_watch(c, ZK_OP_ADD_WATCH, "/a", ZK_ADD_WATCH_RECURSIVE);
	do_create(&clients[1], "/a", 0);
	do_create(&clients[1], "/a/b", 0);
	do_create(&clients[1], "/ab", 0);
	do_version(&clients[1], ZK_OP_SET_DATA, "/a/b", -1);
	do_version(&clients[1], ZK_OP_DELETE, "/a/b", -1);
	expect_event(c, WATCH_NODE_CREATED, "/a");
	expect_event(c, WATCH_NODE_CREATED, "/a/b");
	expect_event(c, WATCH_DATA_CHANGED, "/a/b");
	expect_event(c, WATCH_NODE_DELETED, "/a/b");
	ck_assert(!has_reply(c));
	close_client(c);
	ck_assert_uint_eq(server.watches.recursive_count[WATCH_DATA], 0);
	do_version(&clients[1], ZK_OP_SET_DATA, "/a", -1);
}
END_TEST

START_TEST(a_one_shot_watch_takes_the_place_of_a_persistent_one)
{
	struct client *c = &clients[0];

	join(c);
	join(&clients[1]);
	do_create(c, "/a", 0);
	do_watch(c, ZK_OP_ADD_WATCH, "/a", ZK_ADD_WATCH_PERSISTENT);
	do_read(c, ZK_OP_GET_DATA, "/a", true); /* of data only: children stay persistent */
	do_version(&clients[1], ZK_OP_SET_DATA, "/a", -1);
	do_version(&clients[1], ZK_OP_SET_DATA, "/a", -1);
	do_create(&clients[1], "/a/b", 0);
	do_create(&clients[1], "/a/c", 0);
	expect_event(c, WATCH_DATA_CHANGED, "/a");
	expect_event(c, WATCH_CHILDREN_CHANGED, "/a");
	expect_event(c, WATCH_CHILDREN_CHANGED, "/a");
	ck_assert(!has_reply(c));
}
END_TEST

START_TEST(watches_are_asked_for_and_taken_off_by_table)
{
	struct client *c = &clients[0];

	join(c);
	join(&clients[1]);
	do_create(c, "/a", 0);
	ck_assert_int_eq(
	    do_watch(c, ZK_OP_CHECK_WATCHES, "/a", ZK_WATCHER_ANY).error, ZK_NOWATCHER);
	do_read(c, ZK_OP_GET_DATA, "/a", true);
	ck_assert_int_eq(
	    do_watch(&clients[1], ZK_OP_CHECK_WATCHES, "/a", ZK_WATCHER_ANY).error, ZK_NOWATCHER);
	ck_assert_int_eq(do_watch(c, ZK_OP_CHECK_WATCHES, "/a", ZK_WATCHER_DATA).error, ZK_OK);
	ck_assert_int_eq(
	    do_watch(c, ZK_OP_CHECK_WATCHES, "/a", ZK_WATCHER_CHILDREN).error, ZK_NOWATCHER);
	ck_assert_int_eq(
	    do_watch(c, ZK_OP_REMOVE_WATCHES, "/a", ZK_WATCHER_CHILDREN).error, ZK_NOWATCHER);
	do_watch(c, ZK_OP_ADD_WATCH, "/a", ZK_ADD_WATCH_RECURSIVE);
	ck_assert_int_eq(do_watch(c, ZK_OP_REMOVE_WATCHES, "/a", ZK_WATCHER_DATA).error, ZK_OK);
	ck_assert_int_eq(do_watch(c, ZK_OP_CHECK_WATCHES, "/a", ZK_WATCHER_ANY).error, ZK_OK);
	ck_assert_int_eq(do_watch(c, ZK_OP_REMOVE_WATCHES, "/a", ZK_WATCHER_ANY).error, ZK_OK);
	ck_assert_int_eq(
	    do_watch(c, ZK_OP_REMOVE_WATCHES, "/a", ZK_WATCHER_ANY).error, ZK_NOWATCHER);
	do_version(&clients[1], ZK_OP_DELETE, "/a", -1);
	ck_assert(!has_reply(c));
	ck_assert_int_eq(
	    do_watch(c, ZK_OP_ADD_WATCH, "/a", 2).error, ZK_MARSHALLINGERROR); /* no such mode */
	ck_assert_int_eq(do_watch(c, ZK_OP_REMOVE_WATCHES, "/a", 0).error, ZK_MARSHALLINGERROR);
	ck_assert_int_eq(do_watch(c, ZK_OP_CHECK_WATCHES, "/a", 4).error, ZK_MARSHALLINGERROR);
	ck_assert_uint_eq(server.watches.count[WATCH_DATA] + server.watches.count[WATCH_CHILD], 0);
}
END_TEST

START_TEST(persistent_watches_are_set_again_without_what_they_missed)
{
	struct client *c = &clients[0];

	join(c);
	do_create(c, "/a", 0);
	do_create(c, "/a/b", 0);
	header(ZK_XID_SET_WATCHES, ZK_OP_SET_WATCHES2);
	jute_put_i64(&request, 1);
	jute_put_i32(&request, 0);
	jute_put_i32(&request, 0);
	jute_put_i32(&request, 0);
	put_paths("/a", "/gone");
	put_paths("/a/b", "/later");
	send_request(c);
	ck_assert_int_eq(next_reply(c).error, ZK_OK); /* and nothing before it */
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 4);
	ck_assert_uint_eq(server.watches.count[WATCH_CHILD], 4);
	ck_assert_uint_eq(server.watches.recursive_count[WATCH_DATA], 2);
	header(ZK_XID_SET_WATCHES, ZK_OP_SET_WATCHES2); /* the old record does not do */
	jute_put_i64(&request, 1);
	for (int i = 0; i < 3; i++)
		jute_put_i32(&request, 0);
	send_request(c);
	ck_assert_int_eq(next_reply(c).error, ZK_MARSHALLINGERROR);
}
END_TEST

START_TEST(who_waits_for_a_reply_is_served_before_who_is_told_of_a_change)
{
	for (int i = 0; i < 4; i++)
		join(&clients[i]);
	do_create(&clients[0], "/a", 0);
	for (int i = 1; i < 4; i++)
		do_read(&clients[i], ZK_OP_GET_DATA, "/a", true);
	while (server_next_dirty(&server) != NULL)
		;
	header(1, ZK_OP_SET_DATA);
	jute_put_text(&request, "/a");
	jute_put_i32(&request, -1);
	jute_put_i32(&request, -1);
	send_request(&clients[0]);
	header(2, ZK_OP_SYNC); /* behind the event, but asked for */
	jute_put_text(&request, "/");
	sync_log();
	send_request(&clients[3]);
	expect_event(&clients[3], WATCH_DATA_CHANGED, "/a");
	ck_assert_int_eq(next_reply(&clients[3]).xid, 2);
	ck_assert_ptr_eq(server_next_dirty(&server), &clients[0].conn);
	ck_assert(!server_only_tells(&server));
	ck_assert_ptr_eq(server_next_dirty(&server), &clients[3].conn);
	ck_assert(server_only_tells(&server));
	ck_assert_ptr_eq(server_next_dirty(&server), &clients[1].conn);
	close_client(&clients[2]);
	ck_assert_ptr_null(server_next_dirty(&server));
}
END_TEST

/* Three clients watch /a, and that is too many to be told at once. */
static void
three_watch(void)
{
	server.watches.at_once_max = 1;
	for (int i = 0; i < 4; i++)
		join(&clients[i]);
	do_create(&clients[0], "/a", 0);
	for (int i = 1; i < 4; i++)
		do_read(&clients[i], ZK_OP_GET_DATA, "/a", true);
}

START_TEST(where_many_watch_the_writer_is_answered_first_and_each_told_before_its_own_replies)
{
	three_watch();
	while (server_next_dirty(&server) != NULL)
		;
	ck_assert(!server_has_more(&server));
	ck_assert_int_eq(do_version(&clients[0], ZK_OP_SET_DATA, "/a", -1).error, ZK_OK);
	ck_assert_ptr_eq(server_next_dirty(&server), &clients[0].conn);
	ck_assert(server_only_tells(&server));
	ck_assert(server_has_more(&server));
	for (int i = 1; i < 4; i++)
		ck_assert(!has_reply(&clients[i]));
	header(1, ZK_OP_SYNC); /* any request: what it sees is behind the change */
	jute_put_text(&request, "/");
	send_request(&clients[3]);
	expect_event(&clients[3], WATCH_DATA_CHANGED, "/a");
	ck_assert_int_eq(next_reply(&clients[3]).xid, 1);
	ck_assert_ptr_eq(server_next_dirty(&server), &clients[3].conn);
	ck_assert_ptr_eq(server_next_dirty(&server), &clients[1].conn);
	expect_event(&clients[1], WATCH_DATA_CHANGED, "/a");
	close_client(&clients[2]);
	ck_assert_ptr_null(server_next_dirty(&server));
	ck_assert(!server_has_more(&server));
	ck_assert_uint_eq(server.metrics.summaries[ZK_SUMMARY_NODE_CHANGED_WATCH_COUNT].sum, 2);
}
END_TEST

/* A ping's reply says how far its client has seen everything: no event up to there may follow. */
START_TEST(etcd15220_a_pings_reply_is_behind_all_events_up_to_its_zxid)
{
	struct reply reply;
	int64_t zxid;

	three_watch();
	ck_assert_int_eq(do_version(&clients[0], ZK_OP_SET_DATA, "/a", -1).error, ZK_OK);
	zxid = db.last_zxid;
	header(-2, ZK_OP_PING);
	send_request(&clients[3]);
	expect_event(&clients[3], WATCH_DATA_CHANGED, "/a");
	reply = next_reply(&clients[3]);
	ck_assert_int_eq(reply.xid, -2);
	ck_assert_int_eq(reply.zxid, zxid);
}
END_TEST

START_TEST(an_acl_that_ended_with_its_node_still_says_who_is_told)
{
	size_t before;

	server.watches.at_once_max = 0;
	join(&clients[0]);
	join(&clients[1]);
	join(&clients[2]);
	ck_assert(server_conn_identify(&clients[0].conn, "digest", "me:x"));
	do_create_acl(&clients[0], "/a", AUTH_ALL, sizeof AUTH_ALL - 1, 0);
	do_read(&clients[0], ZK_OP_EXISTS, "/a", true);
	do_read(&clients[1], ZK_OP_EXISTS, "/a", true);
	before = acl_count(&db.tree.acls);
	ck_assert_int_eq(do_version(&clients[2], ZK_OP_DELETE, "/a", -1).error, ZK_OK);
	ck_assert_uint_eq(acl_count(&db.tree.acls), before);
	while (server_next_dirty(&server) != NULL)
		;
	expect_event(&clients[0], WATCH_NODE_DELETED, "/a");
	ck_assert(!has_reply(&clients[1]));
	ck_assert_uint_eq(acl_count(&db.tree.acls), before - 1);
}
END_TEST

/* ZOOKEEPER-4799. */
START_TEST(who_may_not_read_a_node_is_not_told_of_it)
{
	join(&clients[0]);
	join(&clients[1]);
	join(&clients[2]);
	ck_assert(server_conn_identify(&clients[0].conn, "digest", "u:hash"));
	do_read(&clients[1], ZK_OP_EXISTS, "/secret", true);
	do_watch(&clients[2], ZK_OP_ADD_WATCH, "/", ZK_ADD_WATCH_RECURSIVE);
	do_create_acl(&clients[0], "/secret", AUTH_ALL, sizeof AUTH_ALL - 1, 0);
	ck_assert(!has_reply(&clients[1]));
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 1); /* and yet the watch is used up */
	do_version(&clients[0], ZK_OP_DELETE, "/secret", -1);
	ck_assert(!has_reply(&clients[2]));
}
END_TEST

/* What its own end does it is told of, and nothing that comes behind the answer. */
START_TEST(nobody_is_told_of_what_comes_behind_the_end_of_its_session)
{
	struct client *c = &clients[0], *other = &clients[1];

	join(c);
	join(other);
	do_create(c, "/a", 0);
	do_create(c, "/a/e", ZK_EPHEMERAL);
	do_watch(c, ZK_OP_ADD_WATCH, "/a", ZK_ADD_WATCH_RECURSIVE);
	header(7, ZK_OP_CLOSE_SESSION);
	send_request(c);
	header(8, ZK_OP_DELETE);
	jute_put_text(&request, "/a");
	jute_put_i32(&request, -1);
	send_request(other);
	sync_log();
	ck_assert_int_eq(next_reply(other).error, ZK_OK);
	expect_event(c, WATCH_NODE_DELETED, "/a/e");
	ck_assert_int_eq(next_reply(c).xid, 7);
	ck_assert(!has_reply(c));
	ck_assert_int_eq(c->conn.end, SERVER_CLOSE_FLUSHED);
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
	tcase_add_test(c, a_list_that_is_null_ends_set_watches_where_it_stands);
	tcase_add_test(c, a_persistent_watch_is_told_again_and_again);
	tcase_add_test(c, a_recursive_watch_names_the_node_that_changed);
	tcase_add_test(c, a_one_shot_watch_takes_the_place_of_a_persistent_one);
	tcase_add_test(c, watches_are_asked_for_and_taken_off_by_table);
	tcase_add_test(c, persistent_watches_are_set_again_without_what_they_missed);
	tcase_add_test(c, who_waits_for_a_reply_is_served_before_who_is_told_of_a_change);
	tcase_add_test(
	    c, where_many_watch_the_writer_is_answered_first_and_each_told_before_its_own_replies);
	tcase_add_test(c, etcd15220_a_pings_reply_is_behind_all_events_up_to_its_zxid);
	tcase_add_test(c, an_acl_that_ended_with_its_node_still_says_who_is_told);
	tcase_add_test(c, who_may_not_read_a_node_is_not_told_of_it);
	tcase_add_test(c, nobody_is_told_of_what_comes_behind_the_end_of_its_session);
	suite_add_tcase(s, c);
	return s;
}
