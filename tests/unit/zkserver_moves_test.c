/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of an ensemble: they are made, move, live and end at any of its servers. */
#include <string.h>

#include "tests/lib/ensemble_rig.h"
#include "tests/lib/unit.h"

static struct client *const at_leader = &clients[0], *const at_learner = &clients[1],
			    *const elsewhere = &clients[2];

static int64_t
join_with(struct client *c, int n, uint8_t password[SESSION_PASSWORD_BYTES])
{
	int32_t timeout, size;

	ensemble_connect(c, n, 0, 0, NULL);
	ensemble_settle();
	return connect_reply(c, &timeout, password, &size);
}

static int64_t
answered_session(struct client *c)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;

	return connect_reply(c, &timeout, password, &size);
}

START_TEST(reads_wait_behind_their_own_sessions_writes_and_no_others)
{
	ensemble_join(at_learner, 1);
	ensemble_join(elsewhere, 1);
	ensemble_create(at_learner, 1, "/a", 0);
	ensemble_ask(at_learner, 2, ZK_OP_EXISTS, "/a");
	ensemble_create(at_learner, 3, "/b", 0);
	ensemble_ask(elsewhere, 9, ZK_OP_EXISTS, "/a");
	ensemble_expect(elsewhere, 9, ZK_NONODE);
	ck_assert(!has_reply(at_learner));
	ensemble_settle();
	ensemble_expect(at_learner, 1, ZK_OK);
	ensemble_expect(at_learner, 2, ZK_OK);
	ensemble_expect(at_learner, 3, ZK_OK);
}
END_TEST

START_TEST(session_ids_carry_the_server_that_made_them)
{
	ck_assert_int_eq(ensemble_join(at_leader, 0) >> 56 & 0xff, 1);
	ck_assert_int_eq(ensemble_join(at_learner, 1) >> 56 & 0xff, 2);
	ck_assert_int_eq(ensemble_join(elsewhere, 2) >> 56 & 0xff, 3);
	for (int i = 0; i < NODES; i++)
		ck_assert_uint_eq(session_count(&nodes[i].db.sessions), 3);
}
END_TEST

START_TEST(many_new_sessions_at_one_learner_are_each_answered)
{
	int64_t ids[CLIENTS];

	for (int i = 0; i < CLIENTS; i++)
		ensemble_connect(&clients[i], 1, 0, 0, NULL);
	ensemble_close(&clients[1]);
	ensemble_settle();
	for (int i = 0; i < CLIENTS; i++)
		ids[i] = i != 1 ? answered_session(&clients[i]) : 0;
	ck_assert_int_eq(ids[2], ids[0] + 2);
	ck_assert_int_eq(ids[3], ids[0] + 3);
	ck_assert_uint_eq(session_count(&nodes[0].db.sessions), CLIENTS);
}
END_TEST

START_TEST(a_session_moves_between_learners_and_the_old_one_may_write_no_more)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(at_learner, 1, password);

	ensemble_create(at_learner, 1, "/a", 0);
	ensemble_settle();
	ensemble_expect(at_learner, 1, ZK_OK);
	ensemble_connect(elsewhere, 2, 0, id, password);
	ck_assert(!has_reply(elsewhere));
	ensemble_settle();
	ck_assert_int_eq(answered_session(elsewhere), id);
	/* Reads are not asked, as at Apache's servers. */
	ensemble_ask(at_learner, 2, ZK_OP_EXISTS, "/a");
	ensemble_expect(at_learner, 2, ZK_OK);
	ensemble_create(at_learner, 3, "/b", 0);
	ensemble_create(elsewhere, 4, "/c", 0);
	ensemble_settle();
	ensemble_expect(elsewhere, 4, ZK_OK);
	ck_assert(ensemble_ended(at_learner) && !has_reply(at_learner));
	ck_assert(!ensemble_has_any("/b"));
}
END_TEST

/* Else another server may have the session by the time that the second question is answered. */
START_TEST(who_comes_twice_waits_for_the_answer_to_the_second_question)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(elsewhere, 2, password);

	ensemble_connect(at_learner, 1, 0, id, password);
	ensemble_close(at_learner);
	ensemble_connect(at_learner, 1, 0, id, password);
	ck_assert(ensemble_to_leader(1));
	while (ensemble_from_leader(1))
		;
	ck_assert(!has_reply(at_learner));
	ensemble_settle();
	ck_assert_int_eq(answered_session(at_learner), id);
}
END_TEST

/* A client that comes again and again while the leader says nothing. */
START_TEST(sessions_that_come_back_wait_until_the_leader_has_answered_for_others)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(elsewhere, 2, password);
	struct server *s = &nodes[1].server;

	for (unsigned i = 0; i < SERVER_QUESTIONS_MAX; i++) {
		ensemble_connect(at_learner, 1, 0, id, password);
		ck_assert(at_learner->conn.connecting);
		ensemble_close(at_learner);
	}
	ensemble_connect(at_learner, 1, 0, id, password);
	ck_assert(!at_learner->conn.connecting && server_conn_blocked(s, &at_learner->conn));
	ensemble_settle();
	ck_assert(!list_empty(&at_learner->conn.dirty)); /* it may go on */
	ensemble_close(at_learner);
	ensemble_connect(at_learner, 1, 0, id, password);
	ensemble_settle();
	ck_assert_int_eq(answered_session(at_learner), id);
}
END_TEST

START_TEST(a_session_moves_from_the_leader_to_a_learner_and_back)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(at_leader, 0, password);

	ensemble_connect(at_learner, 1, 0, id, password);
	ensemble_settle();
	ck_assert_int_eq(answered_session(at_learner), id);
	ck_assert(ensemble_ended(at_leader));
	ensemble_close(at_leader);
	ensemble_connect(at_leader, 0, 0, id, password);
	ck_assert_int_eq(answered_session(at_leader), id);
	ensemble_create(at_learner, 1, "/late", 0);
	ensemble_create(at_leader, 2, "/now", 0);
	ensemble_settle();
	ensemble_expect(at_leader, 2, ZK_OK);
	ck_assert(ensemble_ended(at_learner));
	ck_assert(ensemble_has(2, "/now") && !ensemble_has_any("/late"));
}
END_TEST

START_TEST(a_session_comes_back_at_the_same_learner_and_its_old_connection_ends)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(at_learner, 1, password);

	ensemble_create(at_learner, 5, "/a", 0); /* on its way */
	ensemble_connect(elsewhere, 1, 0, id, password);
	ensemble_settle();
	ck_assert_int_eq(answered_session(elsewhere), id);
	ck_assert(ensemble_ended(at_learner));
	ck_assert(ensemble_has(1, "/a"));
	ensemble_create(elsewhere, 6, "/b", 0);
	ensemble_settle();
	ensemble_expect(elsewhere, 6, ZK_OK);
}
END_TEST

/*
 * The leader takes what comes behind the question for the session's, and it may have moved on to
 * another server meanwhile: nothing of the old connection may come behind it, nor of an observer's
 * (5) that is connected to this follower.
 */
START_TEST(what_was_asked_on_an_old_connection_does_not_come_behind_the_question)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(at_learner, 1, password);

	ensemble_connect(elsewhere, 1, 0, id, password);
	ck_assert(ensemble_ended(at_learner) && !has_reply(elsewhere));
	server_passed_on(&nodes[1].server, 5, id, 4000);
	ck_assert(server_passes(&nodes[1].server, 5, id, ZK_OP_CREATE));
	ensemble_connect(at_leader, 1, 0, id, password);
	ck_assert(!has_reply(at_leader));
	ck_assert(!server_passes(&nodes[1].server, 5, id, ZK_OP_CREATE));
}
END_TEST

START_TEST(a_wrong_password_and_an_unknown_session_get_the_same_answer_at_a_learner)
{
	uint8_t password[SESSION_PASSWORD_BYTES], right[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(at_learner, 1, password);

	password[0] ^= 1;
	ensemble_connect(elsewhere, 2, 0, id, password);
	ck_assert_int_eq(answered_session(elsewhere), 0);
	ck_assert_int_eq(elsewhere->conn.end, SERVER_CLOSE_FLUSHED);
	ensemble_close(elsewhere);
	session_password(id + 77, right);
	ensemble_connect(elsewhere, 2, 0, id + 77, right);
	ensemble_settle();
	ck_assert_int_eq(answered_session(elsewhere), 0);
	ck_assert_int_eq(elsewhere->conn.end, SERVER_CLOSE_FLUSHED);
	ck_assert_int_eq(at_learner->conn.end, SERVER_OPEN);
}
END_TEST

/* Two learners are a majority: what they have is committed, and used, before the leader has it. */
START_TEST(a_session_is_known_to_the_leader_before_its_own_disk_has_it)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;
	int64_t id;

	ensemble_connect(at_learner, 1, 0, 0, NULL);
	while (ensemble_to_leader(1) || ensemble_from_leader(1) || ensemble_disk(1) ||
	       ensemble_to_leader(2) || ensemble_from_leader(2) || ensemble_disk(2))
		;
	id = connect_reply(at_learner, &timeout, password, &size);
	ck_assert_ptr_null(session_find(&nodes[0].db.sessions, id));
	ensemble_create(at_learner, 1, "/a", 0);
	ensemble_connect(elsewhere, 2, 0, id, password);
	while (ensemble_to_leader(1) || ensemble_from_leader(1) || ensemble_disk(1) ||
	       ensemble_to_leader(2) || ensemble_from_leader(2) || ensemble_disk(2))
		;
	ensemble_expect(at_learner, 1, ZK_OK);
	ck_assert_int_eq(answered_session(elsewhere), id);
	ensemble_create(elsewhere, 2, "/b", ZK_EPHEMERAL);
	ensemble_connect(at_leader, 0, 0, id, password); /* and to the leader itself */
	ck_assert_int_eq(answered_session(at_leader), id);
	ensemble_settle();
	ck_assert_uint_eq(session_count(&nodes[0].db.sessions), 1);
	ck_assert(ensemble_ended(elsewhere));
	ensemble_create(at_leader, 3, "/c", ZK_EPHEMERAL);
	ensemble_settle();
	ensemble_expect(at_leader, 3, ZK_OK);
}
END_TEST

START_TEST(who_comes_back_is_answered_when_what_the_leader_knew_is_applied_here)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(at_learner, 1, password);

	ensemble_create(at_learner, 1, "/a", 0);
	ensemble_to_leader(1);
	while (ensemble_disk(0) || ensemble_disk(1) || ensemble_to_leader(1) ||
	       ensemble_from_leader(1))
		;
	ensemble_expect(at_learner, 1, ZK_OK);
	ensemble_connect(elsewhere, 2, 0, id, password);
	while (ensemble_to_leader(2) || ensemble_from_leader(2))
		;
	ck_assert(!has_reply(elsewhere)); /* its disk does not have /a yet */
	ensemble_disk(2);
	ck_assert_int_eq(answered_session(elsewhere), id);
	ck_assert(ensemble_has(2, "/a"));
}
END_TEST

START_TEST(pings_at_a_learner_keep_a_session_and_silence_ends_it_everywhere)
{
	ensemble_join(at_learner, 1);
	ensemble_create(at_learner, 1, "/e", ZK_EPHEMERAL);
	ensemble_settle();
	ensemble_expect(at_learner, 1, ZK_OK);
	for (int i = 0; i < 30; i++) {
		ensemble_pass(TICK_MS);
		ensemble_ping(at_learner);
		ensemble_expect(at_learner, ZK_XID_PING, ZK_OK);
	}
	ck_assert(ensemble_has(0, "/e"));
	for (int i = 0; i < 9; i++)
		ensemble_pass(TICK_MS);
	ck_assert(ensemble_has(0, "/e"));
	for (int i = 0; i < 4; i++)
		ensemble_pass(TICK_MS);
	ck_assert(!ensemble_has_any("/e"));
	for (int i = 0; i < NODES; i++)
		ck_assert_uint_eq(session_count(&nodes[i].db.sessions), 0);
	ck_assert(ensemble_ended(at_learner) && !has_reply(at_learner));
}
END_TEST

START_TEST(each_touch_is_told_the_leader_once)
{
	struct buf touched;
	struct jute_reader r;
	int64_t id = ensemble_join(at_learner, 1);

	buf_init(&touched, 1000);
	server_take_touched(&nodes[1].server, &touched);
	buf_clear(&touched);
	ensemble_pass(5);
	ensemble_ping(at_learner);
	ensemble_ping(at_learner);
	server_take_touched(&nodes[1].server, &touched);
	ck_assert_uint_eq(touched.len, 12);
	r = jute_reader(touched.data, touched.len);
	ck_assert_int_eq(jute_get_i64(&r), id);
	ck_assert_int_eq(jute_get_i32(&r), 10 * TICK_MS);
	server_take_touched(&nodes[1].server, &touched);
	ck_assert_uint_eq(touched.len, 12);
	ck_assert(!server_remote_touch(&nodes[0].server, id + 1, 1000));
	buf_fini(&touched);
}
END_TEST

START_TEST(a_session_closed_at_a_learner_is_answered_and_its_nodes_are_gone)
{
	ensemble_join(at_learner, 1);
	ensemble_create(at_learner, 1, "/e", ZK_EPHEMERAL);
	header(2, ZK_OP_CLOSE_SESSION);
	ensemble_send(at_learner);
	ensemble_settle();
	ensemble_expect(at_learner, 1, ZK_OK);
	ensemble_expect(at_learner, 2, ZK_OK);
	ck_assert_int_eq(at_learner->conn.end, SERVER_CLOSE_FLUSHED);
	ck_assert(!ensemble_has_any("/e"));
}
END_TEST

/* ZOOKEEPER-2926. */
START_TEST(a_request_behind_its_sessions_end_is_refused_by_the_leader)
{
	int64_t id = ensemble_join(at_learner, 1);

	header(1, ZK_OP_CLOSE_SESSION);
	ensemble_send(at_learner);
	ensemble_create(at_learner, 2, "/late", ZK_EPHEMERAL);
	ensemble_settle();
	ensemble_expect(at_learner, 1, ZK_OK);
	ck_assert(!has_reply(at_learner) && !ensemble_has_any("/late"));
	ck_assert_ptr_null(session_find_any(&nodes[0].db.sessions, id));
}
END_TEST

START_TEST(under_a_new_leader_sessions_have_their_whole_timeout_and_come_back)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(at_learner, 1, password);

	ensemble_create(at_learner, 1, "/e", ZK_EPHEMERAL);
	ensemble_settle();
	for (int i = 0; i < 9; i++)
		ensemble_pass(TICK_MS);
	ensemble_elect(2);
	ck_assert_int_eq(leader, 2);
	ck_assert_int_eq(nodes[2].db.last_zxid, (int64_t)2 << 32);
	for (int i = 0; i < 9; i++)
		ensemble_pass(TICK_MS);
	ck_assert(ensemble_has(2, "/e"));
	ensemble_connect(elsewhere, 0, 0, id, password);
	ensemble_settle();
	ck_assert_int_eq(answered_session(elsewhere), id);
	ensemble_create(elsewhere, 2, "/f", ZK_EPHEMERAL);
	ensemble_settle();
	ensemble_expect(elsewhere, 2, ZK_OK);
	ck_assert_int_eq(nodes[1].db.last_zxid, ((int64_t)2 << 32) + 1);
	for (int i = 0; i < 13; i++)
		ensemble_pass(TICK_MS);
	ck_assert(!ensemble_has_any("/e") && !ensemble_has_any("/f"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_moves");
	TCase *c = tcase_create("ensemble");

	tcase_add_checked_fixture(c, ensemble_setup, ensemble_teardown);
	tcase_add_test(c, reads_wait_behind_their_own_sessions_writes_and_no_others);
	tcase_add_test(c, session_ids_carry_the_server_that_made_them);
	tcase_add_test(c, many_new_sessions_at_one_learner_are_each_answered);
	tcase_add_test(c, a_session_moves_between_learners_and_the_old_one_may_write_no_more);
	tcase_add_test(c, who_comes_twice_waits_for_the_answer_to_the_second_question);
	tcase_add_test(c, sessions_that_come_back_wait_until_the_leader_has_answered_for_others);
	tcase_add_test(c, a_session_moves_from_the_leader_to_a_learner_and_back);
	tcase_add_test(c, a_session_comes_back_at_the_same_learner_and_its_old_connection_ends);
	tcase_add_test(c, what_was_asked_on_an_old_connection_does_not_come_behind_the_question);
	tcase_add_test(c, a_wrong_password_and_an_unknown_session_get_the_same_answer_at_a_learner);
	tcase_add_test(c, a_session_is_known_to_the_leader_before_its_own_disk_has_it);
	tcase_add_test(c, who_comes_back_is_answered_when_what_the_leader_knew_is_applied_here);
	tcase_add_test(c, pings_at_a_learner_keep_a_session_and_silence_ends_it_everywhere);
	tcase_add_test(c, each_touch_is_told_the_leader_once);
	tcase_add_test(c, a_session_closed_at_a_learner_is_answered_and_its_nodes_are_gone);
	tcase_add_test(c, a_request_behind_its_sessions_end_is_refused_by_the_leader);
	tcase_add_test(c, under_a_new_leader_sessions_have_their_whole_timeout_and_come_back);
	suite_add_tcase(s, c);
	return s;
}
