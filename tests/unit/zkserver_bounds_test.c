/* SPDX-License-Identifier: Apache-2.0 */
/* What is broken, too much or too slow costs its own connection only; the log and the snapshots. */
#include <stdio.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"

START_TEST(a_session_with_very_many_nodes_is_closed_without_naming_them)
{
	static char path[4001];
	struct txn_header h;

	join(&clients[0]);
	memset(path, 'p', sizeof path - 1);
	path[0] = '/';
	for (int i = 0; i < 7000; i++) {
		header(7, ZK_OP_CREATE);
		put_create(path, "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_EPHEMERAL_SEQUENTIAL);
		ck_assert_uint_eq(send_request(&clients[0]), 1);
		if (i % 200 == 199) {
			sync_log();
			buf_clear(&clients[0].out);
		}
	}
	ck_assert_uint_eq(db.tree.ephemeral_count, 7000);
	buf_clear(&logged);
	header(8, ZK_OP_CLOSE_SESSION);
	send_request(&clients[0]);
	sync_log();
	ck_assert(txn_decode_header(&h, logged.data + 4, logged.len - 4));
	ck_assert_int_eq(h.type, ZK_OP_CLOSE_SESSION);
	ck_assert_uint_lt(logged.len, 100);
	ck_assert_uint_eq(db.tree.ephemeral_count, 0);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(an_unknown_operation_is_answered_and_ends_the_connection)
{
	struct reply reply;

	join(&clients[0]);
	header(5, 4242);
	send_request(&clients[0]);
	reply = next_reply(&clients[0]);
	ck_assert_int_eq(reply.xid, 5);
	ck_assert_int_eq(reply.zxid, -1);
	ck_assert_int_eq(reply.error, ZK_UNIMPLEMENTED);
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_FLUSHED);
}
END_TEST

static void
ask_create(struct client *c, const char *path)
{
	header(1, ZK_OP_CREATE);
	put_create(path, "", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_PERSISTENT);
	ck_assert_uint_eq(send_request(c), 1);
}

START_TEST(what_stands_behind_an_unknown_operation_is_carried_out_unanswered)
{
	struct client *c = &clients[0];

	join(c);
	ask_create(c, "/a");
	header(2, 99);
	ck_assert_uint_eq(send_request(c), 1);
	header(ZK_XID_PING, ZK_OP_PING);
	ck_assert_uint_eq(send_request(c), 1);
	ask_create(c, "/b");
	ask_create(c, "/c");
	sync_log();
	ck_assert_int_eq(next_reply(c).error, ZK_OK);
	ck_assert_int_eq(next_reply(c).error, ZK_UNIMPLEMENTED);
	ck_assert(!has_reply(c));
	ck_assert_int_eq(c->conn.end, SERVER_CLOSE_FLUSHED);
	ck_assert_ptr_nonnull(tree_find(&db.tree, (struct jute_bytes){(const uint8_t *)"/c", 2}));
}
END_TEST

START_TEST(every_truncated_request_is_a_marshalling_error_and_harms_nobody)
{
	static const int32_t ops[] = {ZK_OP_CREATE, ZK_OP_DELETE, ZK_OP_SET_DATA, ZK_OP_GET_DATA,
	    ZK_OP_EXISTS, ZK_OP_GET_CHILDREN, ZK_OP_GET_CHILDREN2, ZK_OP_GET_ACL, ZK_OP_SYNC,
	    ZK_OP_SET_ACL, ZK_OP_MULTI, ZK_OP_SET_WATCHES};

	join(&clients[0]);
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		header(1, ops[i]);
		send_request(&clients[0]);
		sync_log();
		ck_assert_int_eq(next_reply(&clients[0]).error, ZK_MARSHALLINGERROR);
		header(1, ops[i]);
		jute_put_i32(&request, 1000); /* a path that is not there */
		send_request(&clients[0]);
		sync_log();
		ck_assert_int_eq(next_reply(&clients[0]).error, ZK_MARSHALLINGERROR);
	}
	ck_assert_int_eq(clients[0].conn.end, SERVER_OPEN);
}
END_TEST

START_TEST(random_bytes_never_break_the_server)
{
	struct rng rng;
	uint8_t bytes[200];

	rng_init(&rng, 99);
	join(&clients[0]);
	for (int i = 0; i < 50000; i++) {
		struct client *c = &clients[1 + rng_below(&rng, 2)];
		size_t size = rng_below(&rng, sizeof bytes);

		if (c->conn.out == NULL)
			join(c);
		for (size_t k = 0; k < size; k++)
			bytes[k] = (uint8_t)(rng_below(&rng, 3) == 0 ? rng_below(&rng, 256) : 0);
		if (size >= 8 && rng_below(&rng, 2) == 0) {
			bytes[4] = bytes[5] = bytes[6] = 0;
			bytes[7] = (uint8_t)rng_below(&rng, 24);
		}
		buf_clear(&request);
		buf_append(&request, bytes, size);
		send_request(c);
		sync_log();
		if (c->conn.end != SERVER_OPEN || c->out.len > 1 << 20)
			close_client(c);
	}
	ck_assert(!server.failed);
	ck_assert_int_eq(do_create(&clients[0], "/alive", 0).error, ZK_OK);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(a_slow_reader_is_not_served_further_and_dropped_at_the_bound)
{
	struct client *c = &clients[0];
	struct reply reply;

	join(c);
	buf_fini(&c->out);
	buf_init(&c->out, 100);
	c->at = 0;
	do_create(c, "/a", 0);
	ck_assert_int_eq(do_read(c, ZK_OP_EXISTS, "/no", false).error, ZK_NONODE);
	header(1, ZK_OP_EXISTS);
	jute_put_text(&request, "/a");
	jute_put_bool(&request, false);
	send_request(c);
	ck_assert_int_eq(c->conn.end, SERVER_CLOSE_NOW);
	join(&clients[1]);
	reply = do_read(&clients[1], ZK_OP_SYNC, "/any", false);
	expect_text(&reply.r, "/any");
}
END_TEST

START_TEST(a_full_pipeline_stalls_connections_until_there_is_room)
{
	struct client *c = &clients[0];

	join(c);
	server.settings.outstanding_max = 3;
	for (int i = 0; i < 3; i++) {
		header(i, ZK_OP_CREATE);
		put_create("/a", "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_SEQUENTIAL);
		ck_assert_uint_eq(send_request(c), 1);
	}
	header(4, ZK_OP_PING);
	ck_assert_uint_eq(send_request(c), 0);
	while (server_next_dirty(&server) != NULL)
		;
	sync_log();
	ck_assert_ptr_eq(server_next_dirty(&server), &c->conn);
	ck_assert(!server_conn_blocked(&server, &c->conn));
}
END_TEST

START_TEST(a_snapshot_is_due_between_half_and_the_whole_of_snap_count)
{
	int txns = 1; /* the session's */

	join(&clients[0]);
	while (!server_snapshot_due(&server)) {
		do_create(&clients[0], "/a", ZK_SEQUENTIAL);
		txns++;
	}
	ck_assert_int_ge(txns, 5);
	ck_assert_int_le(txns, 10);
	ck_assert(!server_snapshot_due(&server));
}
END_TEST

START_TEST(large_transactions_make_a_snapshot_due_before_many_do)
{
	static const char data[3000] = "x";
	char path[16];
	int made = 0;

	server.settings.snap_count = 100000;
	server.settings.snap_bytes = 30000;
	join(&clients[0]);
	server.snapshot_at = 100000;
	server.snapshot_at_bytes = 15000;
	for (; !server_snapshot_due(&server); made++) {
		snprintf(path, sizeof path, "/n%d", made);
		header(1, ZK_OP_CREATE);
		jute_put_text(&request, path);
		jute_put_bytes(&request, (struct jute_bytes){(const uint8_t *)data, sizeof data});
		buf_append(&request, WORLD_ALL, sizeof WORLD_ALL - 1);
		jute_put_i32(&request, ZK_PERSISTENT);
		send_request(&clients[0]);
		sync_log();
	}
	ck_assert_int_eq(made, 5);
	ck_assert_uint_ge(server.snapshot_at_bytes, 15000);
	ck_assert_uint_lt(server.snapshot_at_bytes, 30000);
}
END_TEST

START_TEST(the_log_replays_to_the_same_tree)
{
	static const struct hash_key key = {5, 6};
	struct jute_reader r;
	struct db copy;

	join(&clients[0]);
	do_create(&clients[0], "/a", 0);
	do_create(&clients[0], "/a/e", ZK_EPHEMERAL);
	do_version(&clients[0], ZK_OP_SET_DATA, "/a", 0);
	do_version(&clients[0], ZK_OP_DELETE, "/no", 0);
	ck_assert(db_init(&copy, &key, TICK_MS));
	r = jute_reader(logged.data, logged.len);
	for (int twice = 0; twice < 2; twice++) {
		r = jute_reader(logged.data, logged.len);
		while (jute_left(&r) > 0) {
			struct jute_bytes txn = jute_get_bytes(&r);

			ck_assert_int_eq(
			    db_apply(&copy, txn.data, (size_t)txn.len, 0, NULL, NULL, NULL),
			    APPLY_OK);
		}
	}
	tree_check(&copy.tree);
	ck_assert_uint_eq(copy.tree.digest, db.tree.digest);
	ck_assert_int_eq(copy.last_zxid, db.last_zxid);
	ck_assert_uint_eq(session_count(&copy.sessions), 1);
	db_fini(&copy);
}
END_TEST

START_TEST(who_counts_very_many_nodes_lets_others_go_first)
{
	struct client *c = &clients[0];
	struct server_frame frames[2];
	uint8_t bytes[64];
	size_t size;

	join(c);
	do_create(c, "/many", 0);
	for (int i = 0; i < SERVER_WALK_MAX; i++) {
		header(7, ZK_OP_CREATE);
		put_create("/many/n", "", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_SEQUENTIAL);
		ck_assert_uint_eq(send_request(c), 1);
		if (i % 500 == 499 || i == SERVER_WALK_MAX - 1) {
			sync_log();
			buf_clear(&c->out);
			c->at = 0;
		}
	}
	header(8, ZK_OP_GET_ALL_CHILDREN_NUMBER);
	jute_put_text(&request, "/many");
	memcpy(bytes, request.data, size = request.len);
	for (int i = 0; i < 2; i++)
		frames[i] = (struct server_frame){.bytes = bytes, .size = (uint32_t)size};
	ck_assert_uint_eq(server_frames(&server, &c->conn, frames, 2), 1);
	ck_assert_ptr_eq(server_next_resting(&server), &c->conn);
	ck_assert_ptr_null(server_next_resting(&server));
	ck_assert_uint_eq(server_frames(&server, &c->conn, frames + 1, 1), 1);
	ck_assert_ptr_null(server_next_resting(&server)); /* it has nothing more to ask */
	for (int i = 0; i < 2; i++) {
		struct reply reply = next_reply(c);

		ck_assert_int_eq(jute_get_i32(&reply.r), SERVER_WALK_MAX);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_bounds");
	TCase *c = tcase_create("bounds");

	tcase_add_checked_fixture(c, rig_setup, rig_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_session_with_very_many_nodes_is_closed_without_naming_them);
	tcase_add_test(c, an_unknown_operation_is_answered_and_ends_the_connection);
	tcase_add_test(c, what_stands_behind_an_unknown_operation_is_carried_out_unanswered);
	tcase_add_test(c, every_truncated_request_is_a_marshalling_error_and_harms_nobody);
	tcase_add_test(c, random_bytes_never_break_the_server);
	tcase_add_test(c, a_slow_reader_is_not_served_further_and_dropped_at_the_bound);
	tcase_add_test(c, a_full_pipeline_stalls_connections_until_there_is_room);
	tcase_add_test(c, a_snapshot_is_due_between_half_and_the_whole_of_snap_count);
	tcase_add_test(c, large_transactions_make_a_snapshot_due_before_many_do);
	tcase_add_test(c, the_log_replays_to_the_same_tree);
	tcase_add_test(c, who_counts_very_many_nodes_lets_others_go_first);
	suite_add_tcase(s, c);
	return s;
}
