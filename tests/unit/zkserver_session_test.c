/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of the server: made, moved, expired, closed. */
#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"

START_TEST(a_new_session_is_answered_when_its_txn_is_durable)
{
	uint8_t password[SESSION_PASSWORD_BYTES], right[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;
	int64_t id;

	open_client(&clients[0]);
	buf_clear(&request);
	jute_put_i32(&request, 0);
	jute_put_i64(&request, 0);
	jute_put_i32(&request, 1);
	jute_put_i64(&request, 0);
	jute_put_bytes(&request, (struct jute_bytes){right, sizeof right});
	jute_put_bool(&request, true);
	ck_assert_uint_eq(send_request(&clients[0]), 1);
	take_records();
	ck_assert(!has_reply(&clients[0]));
	header(1, ZK_OP_PING);
	ck_assert_uint_eq(send_request(&clients[0]), 0); /* it has to wait */
	sync_log();
	id = connect_reply(&clients[0], &timeout, password, &size);
	ck_assert_int_eq(size, 37);
	ck_assert_int_eq(timeout, 2 * TICK_MS);
	ck_assert_int_eq((id >> 56) & 0xff, 1);
	session_password(id, right);
	ck_assert_mem_eq(password, right, sizeof right);
	ck_assert_uint_eq(session_count(&db.sessions), 1);
}
END_TEST

START_TEST(an_old_client_gets_no_read_only_byte_and_timeouts_are_clamped_above)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;

	open_client(&clients[0]);
	send_connect(&clients[0], 0, 100000000, 0, NULL, false);
	connect_reply(&clients[0], &timeout, password, &size);
	ck_assert_int_eq(size, 36);
	ck_assert_int_eq(timeout, 20 * TICK_MS);
}
END_TEST

START_TEST(a_session_moves_to_a_new_connection_with_its_password_only)
{
	uint8_t password[SESSION_PASSWORD_BYTES], wrong[SESSION_PASSWORD_BYTES] = {1};
	int32_t timeout, size;
	int64_t id;

	open_client(&clients[0]);
	send_connect(&clients[0], 0, 10000, 0, NULL, true);
	id = connect_reply(&clients[0], &timeout, password, &size);
	open_client(&clients[1]);
	send_connect(&clients[1], 0, 10000, id, wrong, true);
	ck_assert_int_eq(clients[0].conn.end, SERVER_OPEN);
	ck_assert_int_eq(connect_reply(&clients[1], &timeout, wrong, &size), 0);
	ck_assert_int_eq(timeout, 0);
	ck_assert_int_eq(clients[1].conn.end, SERVER_CLOSE_FLUSHED);
	open_client(&clients[2]);
	send_connect(&clients[2], 0, 8000, id, password, true);
	ck_assert_int_eq(connect_reply(&clients[2], &timeout, wrong, &size), id);
	ck_assert_int_eq(timeout, 8000);
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_NOW);
	ck_assert(!has_reply(&clients[0]));
	ck_assert_int_eq(do_create(&clients[2], "/a", 0).error, ZK_OK);
}
END_TEST

static bool
keyed_password(void *arg, int64_t id, uint8_t password[SESSION_PASSWORD_BYTES])
{
	memset(password, *(int *)arg, SESSION_PASSWORD_BYTES);
	memcpy(password, &id, sizeof id);
	return *(int *)arg != 0;
}

START_TEST(with_a_key_apaches_password_opens_nothing)
{
	uint8_t password[SESSION_PASSWORD_BYTES], apaches[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;
	int key = 7;
	int64_t id;

	server.settings.password = keyed_password;
	server.settings.password_arg = &key;
	open_client(&clients[0]);
	send_connect(&clients[0], 0, 10000, 0, NULL, true);
	id = connect_reply(&clients[0], &timeout, password, &size);
	session_password(id, apaches);
	ck_assert_mem_ne(password, apaches, sizeof apaches);
	open_client(&clients[1]);
	send_connect(&clients[1], 0, 10000, id, apaches, true);
	ck_assert_int_eq(connect_reply(&clients[1], &timeout, apaches, &size), 0);
	open_client(&clients[2]);
	send_connect(&clients[2], 0, 10000, id, password, true);
	ck_assert_int_eq(connect_reply(&clients[2], &timeout, password, &size), id);
	key = 0; /* it cannot be computed: nobody gets in */
	open_client(&clients[3]);
	send_connect(&clients[3], 0, 10000, id, password, true);
	ck_assert_int_eq(connect_reply(&clients[3], &timeout, password, &size), 0);
}
END_TEST

START_TEST(a_client_that_has_seen_more_is_sent_away_without_a_word)
{
	open_client(&clients[0]);
	send_connect(&clients[0], 99, 10000, 0, NULL, true);
	ck_assert(!has_reply(&clients[0]));
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_NOW);
}
END_TEST

START_TEST(an_unknown_session_is_told_that_it_is_over)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;

	session_password(4711, password);
	open_client(&clients[0]);
	send_connect(&clients[0], 0, 10000, 4711, password, true);
	ck_assert_int_eq(connect_reply(&clients[0], &timeout, password, &size), 0);
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_FLUSHED);
}
END_TEST

START_TEST(a_silent_session_expires_with_its_ephemeral_nodes)
{
	int64_t id = join(&clients[0]); /* 10 s */

	join(&clients[1]);
	do_create(&clients[0], "/e", ZK_EPHEMERAL);
	ck_assert_int_eq(stat_of(&clients[1], "/e").owner, id);
	do_read(&clients[1], ZK_OP_EXISTS, "/e", true);
	pass_time(9000);
	header(1, ZK_OP_PING);
	send_request(&clients[1]);
	next_reply(&clients[1]);
	ck_assert_int_eq(clients[0].conn.end, SERVER_OPEN);
	pass_time(2500);
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_NOW);
	ck_assert_int_eq(clients[1].conn.end, SERVER_OPEN);
	expect_event(&clients[1], WATCH_NODE_DELETED, "/e");
	ck_assert_int_eq(do_read(&clients[1], ZK_OP_EXISTS, "/e", false).error, ZK_NONODE);
	ck_assert_ptr_null(session_find(&db.sessions, id));
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(closing_a_session_removes_even_what_it_creates_at_that_moment)
{
	struct client *c = &clients[0];
	struct reply reply;

	join(c);
	join(&clients[1]);
	do_create(c, "/e1", ZK_EPHEMERAL);
	header(1, ZK_OP_CREATE);
	put_create("/e2", "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_EPHEMERAL);
	send_request(c);
	header(2, ZK_OP_DELETE);
	jute_put_text(&request, "/e1");
	jute_put_i32(&request, -1);
	send_request(c);
	header(3, ZK_OP_CLOSE_SESSION);
	send_request(c);
	header(4, ZK_OP_CREATE);
	put_create("/late", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	send_request(c);
	sync_log();
	ck_assert_int_eq(next_reply(c).xid, 1);
	ck_assert_int_eq(next_reply(c).xid, 2);
	reply = next_reply(c);
	ck_assert_int_eq(reply.xid, 3);
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert(!has_reply(c));
	ck_assert_int_eq(c->conn.end, SERVER_CLOSE_FLUSHED);
	ck_assert_uint_eq(db.tree.ephemeral_count, 0);
	ck_assert_int_eq(do_read(&clients[1], ZK_OP_EXISTS, "/late", false).error, ZK_NONODE);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_session");
	TCase *c = tcase_create("session");

	tcase_add_checked_fixture(c, rig_setup, rig_teardown);
	tcase_add_test(c, a_new_session_is_answered_when_its_txn_is_durable);
	tcase_add_test(c, an_old_client_gets_no_read_only_byte_and_timeouts_are_clamped_above);
	tcase_add_test(c, a_session_moves_to_a_new_connection_with_its_password_only);
	tcase_add_test(c, with_a_key_apaches_password_opens_nothing);
	tcase_add_test(c, a_client_that_has_seen_more_is_sent_away_without_a_word);
	tcase_add_test(c, an_unknown_session_is_told_that_it_is_over);
	tcase_add_test(c, a_silent_session_expires_with_its_ephemeral_nodes);
	tcase_add_test(c, closing_a_session_removes_even_what_it_creates_at_that_moment);
	suite_add_tcase(s, c);
	return s;
}
