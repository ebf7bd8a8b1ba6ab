/* SPDX-License-Identifier: Apache-2.0 */
/* Container and TTL nodes: how they are made, and when they go. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/unit.h"
#include "tests/lib/zkserver_rig.h"

#define TTL_MS 5000

static void
setup(void)
{
	rig_setup_reaping(WALL_MS);
}

static int64_t
owner_in_tree(const char *path)
{
	struct jute_bytes p = {(const uint8_t *)path, (int32_t)strlen(path)};

	return tree_node_owner(&db.tree, tree_find(&db.tree, p));
}

START_TEST(a_container_looks_persistent_and_is_stored_with_an_owner_of_its_own)
{
	struct reply reply;

	join(&clients[0]);
	reply = do_create_op(&clients[0], ZK_OP_CREATE_CONTAINER, "/c", ZK_CONTAINER, 0);
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_text(&reply.r, "/c");
	ck_assert_int_eq(get_stat(&reply.r).owner, 0);
	ck_assert_int_eq(owner_in_tree("/c"), INT64_MIN);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(a_container_goes_once_its_last_child_has_gone)
{
	join(&clients[0]);
	do_create_op(&clients[0], ZK_OP_CREATE_CONTAINER, "/used", ZK_CONTAINER, 0);
	do_create_op(&clients[0], ZK_OP_CREATE_CONTAINER, "/new", ZK_CONTAINER, 0);
	do_create(&clients[0], "/used/kid", ZK_PERSISTENT);
	live_on(&clients[0], 2 * REAP_ROUND_MS);
	ck_assert(exists(&clients[0], "/used"));
	do_version(&clients[0], ZK_OP_DELETE, "/used/kid", -1);
	live_on(&clients[0], 2 * REAP_ROUND_MS);
	ck_assert(!exists(&clients[0], "/used"));
	ck_assert(exists(&clients[0], "/new"));
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(a_container_that_nobody_used_goes_only_where_a_setting_says_when)
{
	server.settings.reap_never_used_ms = 3 * REAP_ROUND_MS;
	join(&clients[0]);
	do_create_op(&clients[0], ZK_OP_CREATE_CONTAINER, "/new", ZK_CONTAINER, 0);
	live_on(&clients[0], 2 * REAP_ROUND_MS);
	ck_assert(exists(&clients[0], "/new"));
	live_on(&clients[0], 3 * REAP_ROUND_MS);
	ck_assert(!exists(&clients[0], "/new"));
}
END_TEST

START_TEST(a_ttl_node_goes_when_it_was_not_set_for_so_long)
{
	struct reply reply;

	join(&clients[0]);
	reply = do_create_op(
	    &clients[0], ZK_OP_CREATE_TTL, "/t", ZK_PERSISTENT_TTL, REAP_ROUND_MS + TTL_MS);
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_text(&reply.r, "/t");
	ck_assert_int_eq(get_stat(&reply.r).owner, 0);
	ck_assert_uint_eq(
	    (uint64_t)owner_in_tree("/t"), UINT64_C(0xFF) << 56 | (REAP_ROUND_MS + TTL_MS));
	live_on(&clients[0], REAP_ROUND_MS);
	do_version(&clients[0], ZK_OP_SET_DATA, "/t", -1);
	live_on(&clients[0], REAP_ROUND_MS);
	ck_assert(exists(&clients[0], "/t"));
	live_on(&clients[0], REAP_ROUND_MS);
	ck_assert(!exists(&clients[0], "/t"));
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(a_ttl_node_with_children_stays)
{
	join(&clients[0]);
	do_create_op(&clients[0], ZK_OP_CREATE_TTL, "/t", ZK_SEQUENTIAL_TTL, TTL_MS);
	do_create(&clients[0], "/t0000000000/kid", ZK_PERSISTENT);
	live_on(&clients[0], 3 * REAP_ROUND_MS);
	ck_assert(exists(&clients[0], "/t0000000000"));
	do_version(&clients[0], ZK_OP_DELETE, "/t0000000000/kid", -1);
	live_on(&clients[0], 2 * REAP_ROUND_MS);
	ck_assert(!exists(&clients[0], "/t0000000000"));
}
END_TEST

START_TEST(a_ttl_node_that_is_being_used_when_its_time_comes_stays)
{
	join(&clients[0]);
	do_create_op(&clients[0], ZK_OP_CREATE_TTL, "/t", ZK_PERSISTENT_TTL, TTL_MS);
	live_on(&clients[0], REAP_ROUND_MS - 500);
	server_set_time(&server, server.now_ms + 500, server.wall_ms + 500);
	header(1, ZK_OP_CREATE);
	put_create("/t/kid", "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_PERSISTENT);
	send_request(&clients[0]);
	server_tick(&server);
	ck_assert_uint_eq(server.pending_count, 1); /* the child, and no deletion of its parent */
	sync_log();
	ck_assert_int_eq(next_reply(&clients[0]).error, ZK_OK);
	ck_assert(exists(&clients[0], "/t/kid"));
}
END_TEST

START_TEST(no_more_nodes_than_allowed_go_in_a_minute)
{
	char path[16];

	server.settings.reap_max_per_minute = 60;
	join(&clients[0]);
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof path, "/t%d", i);
		do_create_op(&clients[0], ZK_OP_CREATE_TTL, path, ZK_PERSISTENT_TTL, 1);
	}
	live_on(&clients[0], REAP_ROUND_MS + 5000);
	ck_assert_uint_ge(db.tree.reapable_count, 14);
	ck_assert_uint_le(db.tree.reapable_count, 15);
	live_on(&clients[0], 20000);
	ck_assert_uint_eq(db.tree.reapable_count, 0);
}
END_TEST

START_TEST(modes_and_ttls_that_do_not_fit_are_refused)
{
	struct client *c = &clients[0];

	join(c);
	ck_assert_int_eq(
	    do_create_op(c, ZK_OP_CREATE_TTL, "/t", ZK_PERSISTENT_TTL, 0).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(
	    do_create_op(c, ZK_OP_CREATE_TTL, "/t", ZK_PERSISTENT_TTL, TREE_TTL_MAX_MS + 1).error,
	    ZK_BADARGUMENTS);
	ck_assert_int_eq(
	    do_create_op(c, ZK_OP_CREATE_TTL, "/t", ZK_PERSISTENT, 5).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(
	    do_create_op(c, ZK_OP_CREATE_TTL, "/t", ZK_PERSISTENT, -1).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(
	    do_create_op(c, ZK_OP_CREATE, "/t", ZK_PERSISTENT_TTL, 0).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(
	    do_create_op(c, ZK_OP_CREATE_CONTAINER, "/t", 7, 0).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(do_create_op(c, ZK_OP_CREATE, "/p", ZK_CONTAINER, 0).error, ZK_OK);
	ck_assert_int_eq(owner_in_tree("/p"), 0); /* the operation decides */
	ck_assert_int_eq(
	    do_create_op(c, ZK_OP_CREATE_TTL, "/t", ZK_PERSISTENT_TTL, TREE_TTL_MAX_MS).error,
	    ZK_OK);
}
END_TEST

START_TEST(without_extended_types_there_are_no_ttl_nodes)
{
	static const struct tree_rules plain = {.extended_types = false};
	struct client *c = &clients[0];

	db_set_rules(&db, &plain);
	join(c);
	ck_assert_int_eq(do_create_op(c, ZK_OP_CREATE_TTL, "/t", ZK_PERSISTENT_TTL, TTL_MS).error,
	    ZK_UNIMPLEMENTED);
	ck_assert_int_eq(
	    do_create_op(c, ZK_OP_CREATE_CONTAINER, "/c", ZK_CONTAINER, 0).error, ZK_OK);
	ck_assert_int_eq(tree_owner_kind(&db.tree, tree_ttl_owner(TTL_MS)), TREE_OWNER_SESSION);
}
END_TEST

START_TEST(owners_of_3_5_3_are_ttls_where_asked_for)
{
	static const struct tree_rules old = {.extended_types = true, .emulate_353 = true};

	ck_assert_int_eq(tree_owner_kind(&db.tree, INT64_MIN + 7), TREE_OWNER_SESSION);
	ck_assert_int_eq(tree_owner_kind(&db.tree, -(INT64_C(1) << 50)), TREE_OWNER_NONE);
	db_set_rules(&db, &old);
	ck_assert_int_eq(tree_owner_kind(&db.tree, INT64_MIN + 7), TREE_OWNER_TTL);
	ck_assert_int_eq(tree_ttl_ms(INT64_MIN + 7), 7);
	ck_assert_int_eq(tree_owner_kind(&db.tree, INT64_MIN), TREE_OWNER_CONTAINER);
	ck_assert_int_eq(tree_owner_kind(&db.tree, 1), TREE_OWNER_SESSION);
}
END_TEST

static void
put_create_part(int32_t op, const char *path, int32_t flags)
{
	put_part(op);
	put_create(path, "x", WORLD_ALL, sizeof WORLD_ALL - 1, flags);
	if (op == ZK_OP_CREATE_TTL)
		jute_put_i64(&request, TTL_MS);
}

START_TEST(a_multi_makes_all_kinds_and_answers_them_with_a_stat)
{
	static const char *const paths[] = {"/c1", "/c2", "/t"};
	struct reply reply;

	join(&clients[0]);
	header(1, ZK_OP_MULTI);
	put_create_part(ZK_OP_CREATE_CONTAINER, "/c1", ZK_CONTAINER);
	put_create_part(ZK_OP_CREATE, "/c2", ZK_CONTAINER); /* in a multi the mode decides */
	put_create_part(ZK_OP_CREATE_TTL, "/t", ZK_PERSISTENT_TTL);
	put_create_part(ZK_OP_CREATE_TTL, "/p", ZK_PERSISTENT);
	reply = do_multi(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_OK);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(jute_get_i32(&reply.r), ZK_OP_CREATE2);
		jute_get_bool(&reply.r);
		ck_assert_int_eq(jute_get_i32(&reply.r), ZK_OK);
		expect_text(&reply.r, paths[i]);
		ck_assert_int_eq(get_stat(&reply.r).czxid, 2);
	}
	ck_assert_int_eq(owner_in_tree("/c2"), INT64_MIN);
	ck_assert_int_eq(owner_in_tree("/p"), 0);
	ck_assert_uint_eq(db.tree.reapable_count, 3);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(a_multi_part_whose_mode_wants_a_ttl_that_it_lacks_fails_the_whole)
{
	struct reply reply;

	join(&clients[0]);
	header(1, ZK_OP_MULTI);
	put_create_part(ZK_OP_CREATE, "/a", ZK_PERSISTENT);
	put_create_part(ZK_OP_CREATE, "/t", ZK_PERSISTENT_TTL);
	reply = do_multi(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_MARSHALLINGERROR);
	ck_assert(!exists(&clients[0], "/a"));
	ck_assert_int_eq(do_create_op(&clients[0], ZK_OP_CREATE, "/a", 0, 0).error, ZK_OK);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(clients_cannot_delete_as_the_server_does)
{
	struct reply reply;

	join(&clients[0]);
	header(1, ZK_OP_DELETE_CONTAINER);
	jute_put_text(&request, "/c");
	send_request(&clients[0]);
	sync_log();
	reply = next_reply(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_UNIMPLEMENTED);
	ck_assert_int_ne(clients[0].conn.end, SERVER_OPEN);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_reap");
	TCase *c = tcase_create("reap");

	tcase_add_checked_fixture(c, setup, rig_teardown);
	tcase_add_test(c, a_container_looks_persistent_and_is_stored_with_an_owner_of_its_own);
	tcase_add_test(c, a_container_goes_once_its_last_child_has_gone);
	tcase_add_test(c, a_container_that_nobody_used_goes_only_where_a_setting_says_when);
	tcase_add_test(c, a_ttl_node_goes_when_it_was_not_set_for_so_long);
	tcase_add_test(c, a_ttl_node_with_children_stays);
	tcase_add_test(c, a_ttl_node_that_is_being_used_when_its_time_comes_stays);
	tcase_add_test(c, no_more_nodes_than_allowed_go_in_a_minute);
	tcase_add_test(c, modes_and_ttls_that_do_not_fit_are_refused);
	tcase_add_test(c, without_extended_types_there_are_no_ttl_nodes);
	tcase_add_test(c, owners_of_3_5_3_are_ttls_where_asked_for);
	tcase_add_test(c, a_multi_makes_all_kinds_and_answers_them_with_a_stat);
	tcase_add_test(c, a_multi_part_whose_mode_wants_a_ttl_that_it_lacks_fails_the_whole);
	tcase_add_test(c, clients_cannot_delete_as_the_server_does);
	suite_add_tcase(s, c);
	return s;
}
