/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that one member knows alone, and a server that may only be read. */
#include "tests/lib/ensemble_rig.h"
#include "tests/lib/unit.h"

static struct client *const at_leader = &clients[0], *const at_learner = &clients[1],
			    *const elsewhere = &clients[2];

static void
setup(void)
{
	ensemble_setup();
	for (int i = 0; i < NODES; i++)
		nodes[i].server.settings.local_sessions = nodes[i].server.settings.local_upgrade =
		    true;
}

static int64_t
join_with(struct client *c, int n, uint8_t password[SESSION_PASSWORD_BYTES])
{
	int32_t timeout, size;

	ensemble_connect(c, n, 0, 0, NULL);
	return connect_reply(c, &timeout, password, &size); /* at once */
}

static int64_t
answered_session(struct client *c)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;

	return connect_reply(c, &timeout, password, &size);
}

static void
close_session(struct client *c, int32_t xid)
{
	header(xid, ZK_OP_CLOSE_SESSION);
	ck_assert_uint_eq(ensemble_send(c), 1);
}

/* Sessions that all know, as each of them sees it. */
static void
expect_global(size_t count)
{
	for (int i = 0; i < NODES; i++)
		ck_assert_uint_eq(session_count(&nodes[i].db.sessions), count);
}

static void
expect_equal_trees(void)
{
	for (int i = 1; i < NODES; i++)
		ck_assert_uint_eq(nodes[i].db.tree.digest, nodes[0].db.tree.digest);
}

START_TEST(a_local_session_costs_the_ensemble_nothing_and_writes)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t before = nodes[0].db.last_zxid;

	ck_assert_int_ne(join_with(at_learner, 1, password), 0);
	join_with(at_leader, 0, password);
	ck_assert_int_eq(nodes[0].db.last_zxid, before);
	ensemble_create(at_learner, 1, "/a", 0);
	ensemble_create(at_leader, 1, "/b", 0);
	ensemble_ask(at_learner, 2, ZK_OP_EXISTS, "/a");
	close_session(at_learner, 3);
	ensemble_settle();
	ensemble_expect(at_learner, 1, ZK_OK);
	ensemble_expect(at_learner, 2, ZK_OK);
	ensemble_expect(at_learner, 3, ZK_OK);
	ensemble_expect(at_leader, 1, ZK_OK);
	ck_assert_int_eq(at_learner->conn.end, SERVER_CLOSE_FLUSHED);
	ck_assert_int_eq(nodes[0].db.last_zxid, before + 2);
	ck_assert_uint_eq(session_count(&nodes[1].server.local), 0);
	expect_global(0);
}
END_TEST

START_TEST(a_local_session_comes_back_at_its_server_only)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(at_learner, 1, password);

	ensemble_connect(elsewhere, 1, 0, id, password);
	ck_assert_int_eq(answered_session(elsewhere), id);
	ck_assert(ensemble_ended(at_learner));
	ensemble_close(at_learner);
	ensemble_connect(at_learner, 2, 0, id, password);
	ensemble_settle();
	ck_assert_int_eq(answered_session(at_learner), 0);
	password[0] ^= 1;
	ensemble_connect(at_leader, 1, 0, id, password);
	ck_assert_int_eq(answered_session(at_leader), 0);
	ck_assert_int_eq(elsewhere->conn.end, SERVER_OPEN);
}
END_TEST

START_TEST(a_silent_local_session_ends_where_it_is)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t before = nodes[0].db.last_zxid;

	join_with(at_learner, 1, password);
	for (int i = 0; i < 9; i++)
		ensemble_pass(TICK_MS);
	ck_assert_uint_eq(session_count(&nodes[1].server.local), 1);
	ensemble_ping(at_learner);
	ensemble_expect(at_learner, ZK_XID_PING, ZK_OK);
	for (int i = 0; i < 9; i++)
		ensemble_pass(TICK_MS);
	ck_assert_int_eq(at_learner->conn.end, SERVER_OPEN);
	for (int i = 0; i < 3; i++)
		ensemble_pass(TICK_MS);
	ck_assert(ensemble_ended(at_learner));
	ck_assert_uint_eq(session_count(&nodes[1].server.local), 0);
	ck_assert_int_eq(nodes[0].db.last_zxid, before);
}
END_TEST

static void
becomes_global(struct client *c, int n)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(c, n, password);

	ensemble_create(c, 1, "/e", ZK_EPHEMERAL);
	ensemble_create(c, 2, "/f", ZK_EPHEMERAL);
	ensemble_settle();
	ensemble_expect(c, 1, ZK_OK);
	ensemble_expect(c, 2, ZK_OK);
	expect_global(1);
	ck_assert_uint_eq(session_count(&nodes[n].server.local), 0);
	for (int i = 0; i < 20; i++) {
		ensemble_pass(TICK_MS);
		ensemble_ping(c);
		ensemble_expect(c, ZK_XID_PING, ZK_OK);
	}
	ensemble_connect(elsewhere, 2, 0, id, password);
	ensemble_settle();
	ck_assert_int_eq(answered_session(elsewhere), id);
	for (int i = 0; i < 12; i++)
		ensemble_pass(TICK_MS);
	ck_assert(!ensemble_has_any("/e") && !ensemble_has_any("/f"));
	expect_global(0);
}

START_TEST(an_ephemeral_node_makes_a_learners_local_session_everybodys)
{
	becomes_global(at_learner, 1);
}
END_TEST

START_TEST(an_ephemeral_node_makes_the_leaders_local_session_everybodys)
{
	becomes_global(at_leader, 0);
}
END_TEST

START_TEST(a_multi_with_an_ephemeral_node_does_so_too)
{
	uint8_t password[SESSION_PASSWORD_BYTES];

	join_with(at_learner, 1, password);
	header(1, ZK_OP_MULTI);
	put_part(ZK_OP_CREATE);
	put_create("/m", "", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_EPHEMERAL_SEQUENTIAL);
	put_parts_end();
	ensemble_send(at_learner);
	ensemble_settle();
	ensemble_expect(at_learner, 1, ZK_OK);
	expect_global(1);
}
END_TEST

START_TEST(without_upgrading_an_ephemeral_node_is_refused_in_its_turn)
{
	uint8_t password[SESSION_PASSWORD_BYTES];

	nodes[1].server.settings.local_upgrade = false;
	join_with(at_learner, 1, password);
	ensemble_create(at_learner, 1, "/a", 0);
	ensemble_create(at_learner, 2, "/a/e", ZK_EPHEMERAL);
	ensemble_create(at_learner, 3, "/b", 0);
	ck_assert(!has_reply(at_learner));
	ensemble_settle();
	ensemble_expect(at_learner, 1, ZK_OK);
	ensemble_expect(at_learner, 2, ZK_EPHEMERALONLOCALSESSION);
	ensemble_expect(at_learner, 3, ZK_OK);
	expect_global(0);
}
END_TEST

/* Once everybody's timeouts are over, no ephemeral node of these tests is anywhere. */
static void
expect_nothing_left(void)
{
	for (int i = 0; i < 13; i++)
		ensemble_pass(TICK_MS);
	expect_global(0);
	ck_assert(!ensemble_has_any("/e") && !ensemble_has_any("/late"));
	ck_assert(!ensemble_has_any("/there"));
	expect_equal_trees();
}

/* Session upgrade and its end in one breath, cut at each point: no ephemeral node outlives it. */
START_TEST(an_upgrade_and_the_sessions_end_race_without_a_trace)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(at_learner, 1, password);

	ensemble_create(at_learner, 1, "/e", ZK_EPHEMERAL);
	for (int i = 0; i < _i; i++) {
		if (!ensemble_to_leader(1) && !ensemble_from_leader(1))
			ensemble_disk(i % 2);
	}
	close_session(at_learner, 2);
	ensemble_create(at_learner, 3, "/late", ZK_EPHEMERAL);
	ensemble_connect(elsewhere, 2, 0, id, password);
	ensemble_settle();
	if (answered_session(elsewhere) != 0 && elsewhere->conn.end == SERVER_OPEN) {
		ensemble_create(elsewhere, 1, "/there", ZK_EPHEMERAL);
		ensemble_settle();
	}
	expect_nothing_left();
}
END_TEST

/* Time goes on while no disk writes, and the learner tells who has shown itself. */
static void
pass_stalled(struct client *c)
{
	struct buf touched;

	buf_init(&touched, 1000);
	for (int i = 0; i < NODES; i++) {
		struct server *s = &nodes[i].server;

		server_set_time(s, s->now_ms + TICK_MS, s->wall_ms + TICK_MS);
		server_tick(s);
	}
	ensemble_ping(c);
	server_take_touched(&nodes[1].server, &touched);
	for (struct jute_reader r = jute_reader(touched.data, touched.len); jute_left(&r) > 0;) {
		int64_t id = jute_get_i64(&r);

		server_remote_touch(&nodes[0].server, id, jute_get_i32(&r));
	}
	buf_fini(&touched);
}

/* Who waits for the commit of an upgrade, and says so, is not silent. */
START_TEST(a_session_that_is_being_upgraded_lives_as_long_as_it_shows_itself)
{
	struct client *c = _i == 0 ? at_leader : at_learner;
	uint8_t password[SESSION_PASSWORD_BYTES];

	join_with(c, _i, password);
	ensemble_create(c, 1, "/e", ZK_EPHEMERAL);
	while (ensemble_to_leader(1))
		continue;
	for (int i = 0; i < 30; i++)
		pass_stalled(c);
	ensemble_settle();
	ensemble_expect(c, 1, ZK_OK);
	ck_assert_int_eq(c->conn.end, SERVER_OPEN);
	ck_assert(ensemble_has(0, "/e"));
	expect_global(1);
}
END_TEST

/*
 * The leader's own: behind the end that its client asked for, before the upgrade is committed,
 * nothing more is made for it, on this connection or the next, nor behind a sync that waits.
 */
START_TEST(a_session_that_ends_while_it_is_upgraded_owns_nothing_afterwards)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(at_leader, 0, password);

	ensemble_create(at_leader, 1, "/e", ZK_EPHEMERAL);
	if (_i == 1)
		ensemble_ask(at_leader, 2, ZK_OP_SYNC, "/");
	close_session(at_leader, 3);
	ensemble_create(at_leader, 4, "/late", ZK_EPHEMERAL);
	ensemble_connect(elsewhere, 0, 0, id, password);
	if (_i == 2) {
		ck_assert_int_eq(answered_session(elsewhere), 0);
		ck_assert_int_eq(elsewhere->conn.end, SERVER_CLOSE_FLUSHED);
	} else if (elsewhere->conn.end == SERVER_OPEN)
		ensemble_create(elsewhere, 1, "/there", ZK_EPHEMERAL);
	ensemble_settle();
	expect_nothing_left();
}
END_TEST

/* ZOOKEEPER-2926 and -3471. */
START_TEST(the_leader_refuses_ephemeral_nodes_of_sessions_that_it_does_not_know)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id = join_with(at_learner, 1, password);

	header(0, 0);
	put_create("/e", "", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_EPHEMERAL);
	server_remote_request(&nodes[0].server, 1, id, 1, ZK_OP_CREATE,
	    jute_reader(request.data + 8, request.len - 8), NULL);
	ensemble_settle();
	ck_assert(!ensemble_has_any("/e"));
}
END_TEST

/* Unlike one that only its own server knows, it is not unknown to the leader for that. */
START_TEST(what_comes_to_the_leader_behind_its_sessions_end_is_not_carried_out)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t id;

	ensemble_elect(0);
	id = join_with(at_learner, 1, password);
	ensemble_create(at_learner, 1, "/e", ZK_EPHEMERAL); /* all know the session now */
	ensemble_settle();
	close_session(at_learner, 2);
	ensemble_settle();
	expect_global(0);
	header(0, 0);
	put_create("/late", "", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	server_remote_request(&nodes[0].server, 1, id, 3, ZK_OP_CREATE,
	    jute_reader(request.data + 8, request.len - 8), NULL);
	ensemble_settle();
	ck_assert(!ensemble_has_any("/late"));
}
END_TEST

/* ZOOKEEPER-1754. */
START_TEST(a_read_only_server_is_read_by_those_who_want_no_more)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	struct server *s = &nodes[2].server;
	int32_t timeout, size;
	struct jute_reader r;

	nodes[0].server.settings.local_sessions = false;
	ensemble_join(at_leader, 0);
	ensemble_create(at_leader, 1, "/a", 0);
	ensemble_settle();
	server_idle(s);
	server_fast_forward(s);
	server_read_only(s);
	ck_assert(server_serves(s));
	ensemble_connect(elsewhere, 2, 0, 0, NULL); /* it does not say that it wants no more */
	ck_assert(ensemble_ended(elsewhere) && !has_reply(elsewhere));
	ensemble_close(elsewhere);
	ensemble_open(elsewhere, 2);
	jute_put_i32(&request, 0);
	jute_put_i64(&request, 0);
	jute_put_i32(&request, 10 * TICK_MS);
	jute_put_i64(&request, 0);
	jute_put_bytes(&request, (struct jute_bytes){password, sizeof password});
	jute_put_bool(&request, true);
	ensemble_send(elsewhere);
	ck_assert_int_ne(connect_reply(elsewhere, &timeout, password, &size), 0);
	r = jute_reader(elsewhere->out.data + elsewhere->at - 1, 1);
	ck_assert(jute_get_bool(&r)); /* the answer's last byte */
	ensemble_ask(elsewhere, 1, ZK_OP_EXISTS, "/a");
	ensemble_expect(elsewhere, 1, ZK_OK);
	ensemble_create(elsewhere, 2, "/b", ZK_EPHEMERAL);
	ensemble_expect(elsewhere, 2, ZK_NOTREADONLY);
	ensemble_ask(elsewhere, 3, ZK_OP_SYNC, "/a");
	ensemble_expect(elsewhere, 3, ZK_NOTREADONLY);
	close_session(elsewhere, 4);
	ensemble_expect(elsewhere, 4, ZK_OK);
	ck_assert_int_eq(elsewhere->conn.end, SERVER_CLOSE_FLUSHED);
	server_idle(s);
	ck_assert_uint_eq(session_count(&s->local), 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_local");
	TCase *c = tcase_create("ensemble");

	tcase_add_checked_fixture(c, setup, ensemble_teardown);
	tcase_add_test(c, a_local_session_costs_the_ensemble_nothing_and_writes);
	tcase_add_test(c, a_local_session_comes_back_at_its_server_only);
	tcase_add_test(c, a_silent_local_session_ends_where_it_is);
	tcase_add_test(c, an_ephemeral_node_makes_a_learners_local_session_everybodys);
	tcase_add_test(c, an_ephemeral_node_makes_the_leaders_local_session_everybodys);
	tcase_add_test(c, a_multi_with_an_ephemeral_node_does_so_too);
	tcase_add_test(c, without_upgrading_an_ephemeral_node_is_refused_in_its_turn);
	tcase_add_loop_test(
	    c, a_session_that_is_being_upgraded_lives_as_long_as_it_shows_itself, 0, 2);
	tcase_add_loop_test(
	    c, a_session_that_ends_while_it_is_upgraded_owns_nothing_afterwards, 0, 3);
	tcase_add_loop_test(c, an_upgrade_and_the_sessions_end_race_without_a_trace, 0, 16);
	tcase_add_test(c, the_leader_refuses_ephemeral_nodes_of_sessions_that_it_does_not_know);
	tcase_add_test(c, what_comes_to_the_leader_behind_its_sessions_end_is_not_carried_out);
	tcase_add_test(c, a_read_only_server_is_read_by_those_who_want_no_more);
	suite_add_tcase(s, c);
	return s;
}
