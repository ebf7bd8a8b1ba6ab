/* SPDX-License-Identifier: Apache-2.0 */
/* What clients may make the server hold, and how fast they may come. */
#include <string.h>

#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"

static struct limits *
limits(void)
{
	return &server.settings.limits;
}

START_TEST(a_bucket_lets_bursts_pass_and_fills_at_its_rate)
{
	const struct throttle_rate rate = {.tokens_max = 4, .fill_ms = 10, .fill_count = 1},
				   none = {.tokens_max = 0, .fill_ms = 1, .fill_count = 1};
	struct throttle t = {0};

	ck_assert(throttle_take(&t, &rate, 3, 1000));
	ck_assert(!throttle_take(&t, &rate, 2, 1000));
	ck_assert(throttle_take(&t, &rate, 1, 1000));
	ck_assert(!throttle_take(&t, &rate, 1, 1010));
	ck_assert(throttle_take(&t, &rate, 2, 1025));
	ck_assert(!throttle_take(&t, &rate, 1, 1025));
	ck_assert(!throttle_take(&t, &rate, 1, 900)); /* a clock that went back gives nothing */
	ck_assert(throttle_take(&t, &rate, 4, 5000));
	ck_assert(!throttle_take(&t, &rate, 1, 5000));
	ck_assert(throttle_take(&t, &rate, 4, UINT64_MAX));
	ck_assert(throttle_take(&t, &none, 1000000, 0));
}
END_TEST

START_TEST(a_full_tree_takes_no_more_nodes_but_lets_go_and_change)
{
	struct client *c = &clients[0];
	struct reply reply;

	join(c);
	limits()->nodes = (uint32_t)db.tree.node_count + 1;
	ck_assert_int_eq(do_create(c, "/a", 0).error, ZK_OK);
	reply = do_create(c, "/b", 0);
	ck_assert_int_eq(reply.error, ZK_QUOTAEXCEEDED);
	ck_assert_int_eq(reply.zxid, db.last_zxid); /* logged as every refusal is */
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/a", -1).error, ZK_OK);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/a", -1).error, ZK_OK);
	ck_assert_int_eq(do_create(c, "/b", 0).error, ZK_OK);
	ck_assert_uint_eq(server.refused.count[LIMIT_NODES], 1);
}
END_TEST

START_TEST(a_tree_at_its_memory_takes_no_data_either)
{
	struct client *c = &clients[0];

	join(c);
	ck_assert_int_eq(do_create(c, "/a", 0).error, ZK_OK);
	limits()->memory_bytes = db.tree.data_bytes + db.tree.node_count * LIMITS_NODE_BYTES;
	ck_assert_int_eq(do_create(c, "/b", 0).error, ZK_QUOTAEXCEEDED);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/a", -1).error, ZK_QUOTAEXCEEDED);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/a", -1).error, ZK_OK);
	ck_assert_int_eq(do_create(c, "/b", 0).error, ZK_OK);
	ck_assert_uint_eq(server.refused.count[LIMIT_MEMORY], 2);
}
END_TEST

START_TEST(a_session_has_so_many_ephemeral_nodes_and_others_have_theirs)
{
	join(&clients[0]);
	join(&clients[1]);
	limits()->ephemerals = 2;
	ck_assert_int_eq(do_create(&clients[0], "/a", ZK_EPHEMERAL).error, ZK_OK);
	ck_assert_int_eq(do_create(&clients[0], "/b-", ZK_EPHEMERAL_SEQUENTIAL).error, ZK_OK);
	ck_assert_int_eq(do_create(&clients[0], "/c", ZK_EPHEMERAL).error, ZK_QUOTAEXCEEDED);
	ck_assert_int_eq(
	    do_create(&clients[0], "/c-", ZK_EPHEMERAL_SEQUENTIAL).error, ZK_QUOTAEXCEEDED);
	ck_assert_int_eq(do_create(&clients[0], "/p", 0).error, ZK_OK);
	ck_assert_int_eq(do_create(&clients[1], "/c", ZK_EPHEMERAL).error, ZK_OK);
	ck_assert_int_eq(do_version(&clients[0], ZK_OP_DELETE, "/a", -1).error, ZK_OK);
	ck_assert_int_eq(do_create(&clients[0], "/d", ZK_EPHEMERAL).error, ZK_OK);
	ck_assert_uint_eq(server.refused.count[LIMIT_EPHEMERALS], 2);
}
END_TEST

START_TEST(a_path_is_neither_very_long_nor_very_deep)
{
	static char path[LIMITS_PATH_BYTES_MAX + 2];
	struct client *c = &clients[0];

	join(c);
	memset(path, 'p', sizeof path - 1);
	path[0] = '/';
	ck_assert_int_eq(do_create(c, path, 0).error, ZK_BADARGUMENTS);
	path[sizeof path - 2] = '\0';
	ck_assert_int_eq(do_create(c, path, 0).error, ZK_OK);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, path, -1).error, ZK_OK);
	for (int i = 0; i <= LIMITS_DEPTH_MAX; i++) {
		memcpy(path + 2 * i, "/d", 3);
		ck_assert_int_eq(
		    do_create(c, path, 0).error, i < LIMITS_DEPTH_MAX ? ZK_OK : ZK_BADARGUMENTS);
	}
	ck_assert_uint_eq(server.refused.count[LIMIT_PATH], 2);
}
END_TEST

START_TEST(sessions_have_a_limit_and_those_that_exist_come_back)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;
	int64_t id;

	open_client(&clients[0]);
	send_connect(&clients[0], 0, 10000, 0, NULL, true);
	id = connect_reply(&clients[0], &timeout, password, &size);
	limits()->sessions = 1;
	open_client(&clients[1]);
	send_connect(&clients[1], 0, 10000, 0, NULL, true);
	ck_assert_int_eq(clients[1].conn.end, SERVER_CLOSE_NOW);
	ck_assert(!has_reply(&clients[1]));
	open_client(&clients[2]);
	send_connect(&clients[2], 0, 10000, id, password, true);
	ck_assert_int_eq(connect_reply(&clients[2], &timeout, password, &size), id);
	ck_assert_uint_eq(server.refused.count[LIMIT_SESSIONS], 1);
}
END_TEST

START_TEST(clients_that_come_too_fast_are_turned_away_until_tokens_are_there)
{
	limits()->connects = (struct throttle_rate){5, 1, 1};
	limits()->connect_cost = 3;
	limits()->reconnect_cost = 2;
	open_client(&clients[0]);
	send_connect(&clients[0], 0, 10000, 0, NULL, true);
	ck_assert(has_reply(&clients[0]));
	open_client(&clients[1]);
	send_connect(&clients[1], 0, 10000, 0, NULL, true);
	ck_assert_int_eq(clients[1].conn.end, SERVER_CLOSE_NOW);
	open_client(&clients[2]);
	send_connect(&clients[2], 0, 10000, 4711, NULL, true); /* dearer than what is left? no */
	ck_assert_int_eq(clients[2].conn.end, SERVER_CLOSE_FLUSHED);
	pass_time(5);
	open_client(&clients[3]);
	send_connect(&clients[3], 0, 10000, 0, NULL, true);
	ck_assert(has_reply(&clients[3]));
	ck_assert_uint_eq(server.refused.count[LIMIT_CONNECTS], 1);
}
END_TEST

START_TEST(a_list_of_very_many_children_fails_and_the_connection_lives)
{
	static char path[1100];
	struct client *c = &clients[0];
	const int count = (int)(SERVER_REPLY_BYTES_MAX / 1000) + 1;
	struct reply reply;

	join(c);
	memset(path, 'n', sizeof path);
	path[0] = '/';
	path[1000] = '\0';
	for (int i = 0; i < count; i++) {
		header(7, ZK_OP_CREATE);
		put_create(path, "", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_SEQUENTIAL);
		ck_assert_uint_eq(send_request(c), 1);
		if (i % 500 == 499 || i == count - 1) {
			sync_log();
			buf_clear(&logged);
			buf_clear(&c->out);
			c->at = 0;
		}
	}
	reply = do_read(c, ZK_OP_GET_CHILDREN, "/", false);
	ck_assert_int_eq(reply.error, ZK_SYSTEMERROR);
	ck_assert_uint_eq(reply.size, 16);
	ck_assert_uint_eq(server.refused.count[LIMIT_REPLY], 1);
	ck_assert_int_eq(do_read(c, ZK_OP_EXISTS, "/", false).error, ZK_OK);
	ck_assert_int_eq(c->conn.end, SERVER_OPEN);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_limits");
	TCase *c = tcase_create("limits");

	tcase_add_checked_fixture(c, rig_setup, rig_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_bucket_lets_bursts_pass_and_fills_at_its_rate);
	tcase_add_test(c, a_full_tree_takes_no_more_nodes_but_lets_go_and_change);
	tcase_add_test(c, a_tree_at_its_memory_takes_no_data_either);
	tcase_add_test(c, a_session_has_so_many_ephemeral_nodes_and_others_have_theirs);
	tcase_add_test(c, a_path_is_neither_very_long_nor_very_deep);
	tcase_add_test(c, sessions_have_a_limit_and_those_that_exist_come_back);
	tcase_add_test(c, clients_that_come_too_fast_are_turned_away_until_tokens_are_there);
	tcase_add_test(c, a_list_of_very_many_children_fails_and_the_connection_lives);
	suite_add_tcase(s, c);
	return s;
}
