/* SPDX-License-Identifier: Apache-2.0 */
/* Servers in roles: what is applied when, and what their clients see of it. */
#include <string.h>

#include "tests/lib/ensemble_rig.h"
#include "tests/lib/unit.h"

static struct client *const at_leader = &clients[0], *const at_learner = &clients[1],
			    *const elsewhere = &clients[2];

START_TEST(a_learners_write_is_answered_when_it_is_committed_and_on_its_own_disk)
{
	ensemble_join(at_learner, 1);
	ensemble_create(at_learner, 1, "/a", 0);
	ck_assert(ensemble_to_leader(1));
	ck_assert(ensemble_disk(0));
	ck_assert(!has_reply(at_learner));
	while (ensemble_from_leader(2))
		;
	ck_assert(ensemble_disk(2)); /* these two are a majority */
	ck_assert(ensemble_to_leader(2));
	ck_assert(ensemble_has(0, "/a"));
	while (ensemble_from_leader(1))
		;
	ck_assert(!ensemble_has(1, "/a") && !has_reply(at_learner));
	ck_assert(ensemble_disk(1));
	ensemble_expect(at_learner, 1, ZK_OK);
	ck_assert(ensemble_has(1, "/a"));
}
END_TEST

START_TEST(a_learner_applies_nothing_that_is_not_committed)
{
	ensemble_join(at_learner, 1);
	ensemble_create(at_learner, 1, "/a", 0);
	ensemble_to_leader(1);
	while (ensemble_from_leader(1))
		;
	ck_assert(ensemble_disk(1));
	ck_assert(!ensemble_has(1, "/a") && !has_reply(at_learner));
}
END_TEST

START_TEST(a_refused_write_of_a_learner_is_answered_in_its_turn)
{
	ensemble_join(at_learner, 1);
	ensemble_create(at_learner, 1, "/a/b", 0);
	ensemble_create(at_learner, 2, "/a", 0);
	ensemble_create(at_learner, 3, "/a", 0);
	ensemble_ask(at_learner, 4, ZK_OP_EXISTS, "/a");
	ensemble_settle();
	ensemble_expect(at_learner, 1, ZK_NONODE);
	ensemble_expect(at_learner, 2, ZK_OK);
	ensemble_expect(at_learner, 3, ZK_NODEEXISTS);
	ensemble_expect(at_learner, 4, ZK_OK);
}
END_TEST

START_TEST(a_multi_of_a_learner_is_answered_whole)
{
	struct reply reply;

	ensemble_join(at_learner, 2);
	header(1, ZK_OP_MULTI);
	for (int i = 0; i < 2; i++) {
		put_part(ZK_OP_CREATE);
		put_create(i == 0 ? "/m" : "/m/n", "", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	}
	put_parts_end();
	ensemble_send(at_learner);
	ensemble_settle();
	reply = next_reply(at_learner);
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert_int_eq(jute_get_i32(&reply.r), ZK_OP_CREATE);
	jute_get_bool(&reply.r);
	jute_get_i32(&reply.r);
	expect_text(&reply.r, "/m");
	ck_assert(ensemble_has(0, "/m/n") && ensemble_has(1, "/m/n") && ensemble_has(2, "/m/n"));
}
END_TEST

START_TEST(requests_of_a_connection_that_is_gone_are_carried_out)
{
	ensemble_join(at_learner, 1);
	ensemble_create(at_learner, 1, "/a", 0);
	ensemble_ask(at_learner, 2, ZK_OP_SYNC, "/a");
	ensemble_close(at_learner);
	ck_assert_uint_eq(nodes[1].server.forwarded_count, 0);
	ensemble_settle();
	ck_assert(ensemble_has(0, "/a") && ensemble_has(1, "/a") && ensemble_has(2, "/a"));
	ck_assert_uint_eq(nodes[1].server.parked.len, 0);
}
END_TEST

START_TEST(what_a_learner_has_asked_for_is_bounded)
{
	ensemble_join(at_learner, 1);
	ensemble_join(elsewhere, 1);
	nodes[1].server.settings.outstanding_max = 2;
	ensemble_create(at_learner, 1, "/a", 0);
	ensemble_create(at_learner, 2, "/b", 0);
	ck_assert(server_conn_blocked(&nodes[1].server, &elsewhere->conn));
	header(1, ZK_OP_PING);
	ck_assert_uint_eq(ensemble_send(elsewhere), 0);
	while (server_next_dirty(&nodes[1].server) != NULL)
		;
	ensemble_settle();
	ck_assert(!server_conn_blocked(&nodes[1].server, &elsewhere->conn));
	ck_assert(!list_empty(&elsewhere->conn.dirty)); /* it may go on */
}
END_TEST

START_TEST(a_learner_may_not_ask_for_what_no_client_may)
{
	static const uint8_t body[] = "\0\0\0\2/c";
	int64_t id = ensemble_join(at_learner, 1);

	header(1, ZK_OP_CREATE_CONTAINER);
	put_create("/c", "", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_CONTAINER);
	ensemble_send(at_learner);
	ensemble_settle();
	server_remote_request(&nodes[0].server, 1, id, 2, ZK_OP_DELETE_CONTAINER,
	    jute_reader(body, sizeof body - 1), NULL);
	server_remote_request(
	    &nodes[0].server, 1, id, 3, 12345, jute_reader(body, sizeof body - 1), NULL);
	ensemble_settle();
	ck_assert(ensemble_has(0, "/c"));
	ck_assert_int_eq(nodes[0].db.last_zxid & 0xffff, 4); /* each became a txn all the same */
}
END_TEST

START_TEST(a_sync_is_answered_behind_what_was_proposed_before_it)
{
	ensemble_join(at_leader, 0);
	ensemble_join(at_learner, 1);
	ensemble_create(at_leader, 1, "/a", 0);
	ensemble_ask(at_learner, 1, ZK_OP_SYNC, "/a");
	ensemble_ask(at_learner, 2, ZK_OP_EXISTS, "/a");
	ensemble_ask(at_learner, 3, ZK_OP_SYNC, "/a");
	while (ensemble_to_leader(1) || ensemble_from_leader(1))
		;
	ck_assert(!has_reply(at_learner));
	ck_assert(ensemble_disk(0));
	while (ensemble_from_leader(2) || ensemble_disk(2) || ensemble_to_leader(2))
		;
	ensemble_expect(at_leader, 1, ZK_OK);
	while (ensemble_from_leader(1))
		;
	ck_assert(!has_reply(at_learner)); /* the leader has said so; the disk has not */
	ensemble_disk(1);
	ensemble_expect(at_learner, 1, ZK_OK);
	ensemble_expect(at_learner, 2, ZK_OK);
	ensemble_settle();
	ensemble_expect(at_learner, 3, ZK_OK);
}
END_TEST

START_TEST(syncs_of_several_clients_are_answered_each_in_its_turn)
{
	ensemble_join(at_learner, 1);
	ensemble_join(elsewhere, 1);
	ensemble_ask(at_learner, 1, ZK_OP_SYNC, "/");
	ensemble_ask(elsewhere, 1, ZK_OP_SYNC, "/");
	ensemble_ask(at_learner, 2, ZK_OP_SYNC, "/");
	ensemble_create(elsewhere, 2, "/a", 0);
	ensemble_settle();
	ensemble_expect(at_learner, 1, ZK_OK);
	ensemble_expect(at_learner, 2, ZK_OK);
	ensemble_expect(elsewhere, 1, ZK_OK);
	ensemble_expect(elsewhere, 2, ZK_OK);
}
END_TEST

/* At the leader, and at a learner. One client's queue does not hold as many. */
START_TEST(syncs_that_wait_are_bounded_and_so_is_who_may_ask)
{
	struct server *s = &nodes[_i].server;
	struct client *late = &clients[3];
	unsigned asked = 0;

	for (int i = 0; i < CLIENTS; i++)
		ensemble_join(&clients[i], _i);
	while (!server_conn_blocked(s, &late->conn)) {
		ensemble_ask(&clients[asked % 3], (int32_t)asked, ZK_OP_SYNC, "/");
		ck_assert_uint_le(++asked, SERVER_QUESTIONS_MAX);
	}
	ck_assert_uint_eq(asked, SERVER_QUESTIONS_MAX);
	ensemble_close(&clients[0]); /* what it has asked for is awaited nevertheless */
	ck_assert(server_conn_blocked(s, &late->conn));
	header(1, ZK_OP_PING);
	ck_assert_uint_eq(ensemble_send(late), 0);
	ensemble_settle();
	ck_assert(!server_conn_blocked(s, &late->conn));
	ck_assert(!list_empty(&late->conn.dirty)); /* it may go on */
	for (unsigned i = 0; i < asked; i++) {
		if (i % 3 != 0)
			ensemble_expect(&clients[i % 3], (int32_t)i, ZK_OK);
	}
}
END_TEST

START_TEST(a_leaders_own_sync_waits_for_its_peer)
{
	struct server *s = &nodes[0].server;

	ensemble_join(at_leader, 0);
	ensemble_create(at_leader, 1, "/a", 0);
	ensemble_ask(at_leader, 2, ZK_OP_SYNC, "/");
	ensemble_ask(at_leader, 3, ZK_OP_EXISTS, "/a");
	server_sync_done(s); /* leadership is confirmed before /a is committed */
	ck_assert(!has_reply(at_leader));
	buf_clear(&nodes[0].waiting);
	ensemble_settle();
	ensemble_expect(at_leader, 1, ZK_OK);
	ensemble_expect(at_leader, 2, ZK_OK);
	ensemble_expect(at_leader, 3, ZK_OK);
	server_sync_done(s); /* nothing is parked */
}
END_TEST

START_TEST(a_watch_at_a_learner_is_told_before_any_reply_that_shows_the_change)
{
	ensemble_join(at_learner, 1);
	ensemble_join(at_leader, 0);
	header(1, ZK_OP_EXISTS);
	jute_put_text(&request, "/w");
	jute_put_bool(&request, true);
	ensemble_send(at_learner);
	ensemble_expect(at_learner, 1, ZK_NONODE);
	ensemble_create(at_leader, 1, "/w", 0);
	ensemble_ask(at_learner, 2, ZK_OP_SYNC, "/w");
	ensemble_ask(at_learner, 3, ZK_OP_EXISTS, "/w");
	ensemble_settle();
	expect_event(at_learner, WATCH_NODE_CREATED, "/w");
	ensemble_expect(at_learner, 2, ZK_OK);
	ensemble_expect(at_learner, 3, ZK_OK);
}
END_TEST

START_TEST(who_has_seen_more_than_a_server_is_sent_elsewhere)
{
	for (int i = 0; i < NODES; i++) {
		ensemble_connect(at_learner, i, nodes[0].db.last_zxid + 1, 0, NULL);
		ck_assert(ensemble_ended(at_learner) && !has_reply(at_learner));
		ensemble_close(at_learner);
	}
}
END_TEST

START_TEST(without_a_role_nobody_is_served)
{
	struct server *s = &nodes[1].server;

	server_idle(s);
	ck_assert(!server_serves(s));
	ensemble_connect(at_learner, 1, 0, 0, NULL);
	ck_assert(ensemble_ended(at_learner) && !has_reply(at_learner));
	ensemble_close(at_learner);
	server_sync_begin(s);
	ck_assert(!server_serves(s));
	ensemble_connect(at_learner, 1, 0, 0, NULL);
	ck_assert(ensemble_ended(at_learner) && !has_reply(at_learner));
}
END_TEST

START_TEST(the_end_of_a_role_ends_connections_without_a_word)
{
	ensemble_join(at_leader, 0);
	ensemble_join(at_learner, 1);
	header(1, ZK_OP_EXISTS);
	jute_put_text(&request, "/a");
	jute_put_bool(&request, true);
	ensemble_send(at_learner);
	ensemble_expect(at_learner, 1, ZK_NONODE);
	ensemble_create(at_learner, 2, "/a", 0);
	ensemble_ask(at_learner, 3, ZK_OP_SYNC, "/a");
	ensemble_create(at_leader, 1, "/b", 0);
	while (ensemble_to_leader(1))
		;
	while (ensemble_from_leader(1) || ensemble_disk(1))
		;
	ck_assert(!ensemble_has(1, "/a"));
	ensemble_elect(1); /* which has it all on disk */
	ck_assert_int_eq(leader, 0);
	ck_assert(ensemble_has(0, "/a") && ensemble_has(1, "/a") && ensemble_has(2, "/b"));
	ck_assert(ensemble_ended(at_leader) && !has_reply(at_leader));
	ck_assert(ensemble_ended(at_learner) && !has_reply(at_learner));
	ck_assert_uint_eq(nodes[1].server.watches.count[WATCH_DATA], 0);
	header(4, ZK_OP_PING);
	ck_assert_uint_eq(ensemble_send(at_learner), 0);
}
END_TEST

/* ZOOKEEPER-1277. */
START_TEST(an_epoch_ends_with_its_last_zxid)
{
	struct server *s = &nodes[0].server;
	int64_t last = ((int64_t)1 << 32) + 0xfffffffd;

	ensemble_join(at_leader, 0);
	for (int i = 0; i < NODES; i++)
		nodes[i].db.last_zxid = nodes[i].sent = nodes[i].acked = last;
	s->prep.last_zxid = s->synced_zxid = s->committed_zxid = last;
	ensemble_create(at_leader, 1, "/a", 0);
	ck_assert(!s->zxids_end);
	ensemble_create(at_leader, 2, "/b", 0);
	ck_assert(s->zxids_end);
	header(3, ZK_OP_PING);
	ck_assert_uint_eq(ensemble_send(at_leader), 0);
	server_remote_request(s, 1, 1234, 0, ZK_OP_CREATE_SESSION, jute_reader(NULL, 0), NULL);
	ensemble_settle();
	ensemble_expect(at_leader, 1, ZK_OK);
	ensemble_expect(at_leader, 2, ZK_OK);
	ensemble_pass(100 * TICK_MS); /* its session's time is over, but cannot end now */
	ck_assert_int_eq(s->prep.last_zxid, last + 2);
	ck_assert_int_eq(nodes[2].db.last_zxid, last + 2);
	ensemble_elect(0);
	ck_assert(!s->zxids_end);
	ensemble_pass(100 * TICK_MS);
	ck_assert_int_eq(nodes[2].db.last_zxid, ((int64_t)2 << 32) + 1);
}
END_TEST

START_TEST(a_proposal_is_the_next_one_and_a_txn_or_it_is_refused)
{
	static const uint8_t noise[40] = {1};
	struct server *s = &nodes[1].server;
	int64_t epoch_start = nodes[0].db.last_zxid, zxid;
	struct server_cursor at = {0};
	const uint8_t *bytes;
	uint8_t copy[1000];
	size_t size;

	ensemble_join(at_leader, 0);
	ensemble_create(at_leader, 1, "/a", 0);
	ck_assert(server_pending_after(&nodes[0].server, 0, &at, &zxid, &bytes, &size));
	ck_assert_int_eq(zxid, epoch_start + 2);
	ck_assert_uint_le(size, sizeof copy);
	memcpy(copy, bytes, size);
	ck_assert(!server_propose(s, zxid, noise, sizeof noise));
	ck_assert(!server_propose(s, zxid + 1, copy, size));
	ck_assert(!server_propose(s, zxid, copy, size - 20));
	ck_assert(server_propose(s, zxid, copy, size));
	ck_assert(!server_propose(s, zxid, copy, size)); /* again */
	copy[TXN_HEADER_BYTES - 13] += 2;		 /* its zxid leaves a hole */
	ck_assert(!server_propose(s, zxid + 2, copy, size));
	ck_assert_int_eq(server_last_zxid(s), zxid);
}
END_TEST

START_TEST(pending_records_are_found_again_after_others_were_applied)
{
	struct server *s = &nodes[0].server;
	struct server_cursor at = {0}, other = {0};
	int64_t zxid, before;
	const uint8_t *bytes;
	size_t size;

	ensemble_join(at_leader, 0);
	before = nodes[0].db.last_zxid;
	ck_assert(!server_pending_after(s, before, &at, &zxid, &bytes, &size));
	ensemble_create(at_leader, 1, "/a", 0);
	ensemble_create(at_leader, 2, "/b", 0);
	ck_assert(server_pending_after(s, before, &at, &zxid, &bytes, &size));
	ck_assert_int_eq(zxid, before + 1);
	ck_assert(server_pending_after(s, zxid, &at, &zxid, &bytes, &size));
	ck_assert_int_eq(zxid, before + 2);
	ck_assert(!server_pending_after(s, zxid, &at, &zxid, &bytes, &size));
	ensemble_settle();
	ensemble_create(at_leader, 3, "/c", 0);
	ck_assert(server_pending_after(s, before + 2, &at, &zxid, &bytes, &size));
	ck_assert_int_eq(zxid, before + 3);
	ck_assert(server_pending_after(s, before, &other, &zxid, &bytes, &size));
	ck_assert_int_eq(zxid, before + 3); /* those between are history */
}
END_TEST

START_TEST(an_empty_container_is_deleted_once_by_the_leader)
{
	ensemble_join(at_learner, 1);
	header(1, ZK_OP_CREATE_CONTAINER);
	put_create("/c", "", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_CONTAINER);
	ensemble_send(at_learner);
	ensemble_create(at_learner, 2, "/c/x", ZK_EPHEMERAL);
	ensemble_settle();
	for (int i = 0; i < 15; i++)
		ensemble_pass(TICK_MS);
	ck_assert(!ensemble_has_any("/c/x"));
	ck_assert(ensemble_has(0, "/c"));
	for (int i = 0; i < 120; i++)
		ensemble_pass(TICK_MS);
	ck_assert(!ensemble_has_any("/c"));
	ck_assert_int_eq(nodes[1].db.last_zxid, ((int64_t)1 << 32) + 5);
}
END_TEST

START_TEST(identities_are_those_at_the_time_of_the_request)
{
	static const uint8_t auth_all[] = "\0\0\0\1\0\0\0\37\0\0\0\4auth\0\0\0\0";

	ensemble_join(at_learner, 1);
	header(1, ZK_OP_CREATE);
	put_create("/mine", "", auth_all, sizeof auth_all - 1, 0);
	ensemble_send(at_learner);
	server_conn_identify(&at_learner->conn, "digest", "me:hash");
	header(2, ZK_OP_CREATE);
	put_create("/mine", "", auth_all, sizeof auth_all - 1, 0);
	ensemble_send(at_learner);
	ensemble_settle();
	ensemble_expect(at_learner, 1, ZK_INVALIDACL);
	ensemble_expect(at_learner, 2, ZK_OK);
	ensemble_ask(at_learner, 3, ZK_OP_GET_DATA, "/mine");
	ensemble_expect(at_learner, 3, ZK_OK);
	ensemble_join(at_leader, 0);
	ensemble_ask(at_leader, 1, ZK_OP_GET_DATA, "/mine");
	ensemble_expect(at_leader, 1, ZK_NOAUTH);
}
END_TEST

static int
next_members(void *arg, const struct reconf_request *r, int64_t zxid, struct buf *text)
{
	(void)arg;
	ck_assert_int_eq(r->joining.len, -1);
	ck_assert_int_eq(r->leaving.len, 1);
	buf_printf(text, "version=%llx", (unsigned long long)zxid);
	return r->base == 7 ? ZK_OK : ZK_BADVERSION;
}

static void
ask_reconfig(struct client *c, int32_t xid, int64_t base)
{
	header(xid, ZK_OP_RECONFIG);
	jute_put_text(&request, NULL);
	jute_put_text(&request, "3");
	jute_put_text(&request, NULL);
	jute_put_i64(&request, base);
	ck_assert_uint_eq(ensemble_send(c), 1);
	ensemble_settle();
}

START_TEST(a_reconfig_is_what_the_leaders_peer_makes_of_it)
{
	struct reply reply;

	ensemble_join(at_learner, 1);
	ask_reconfig(at_learner, 1, 7);
	ensemble_expect(at_learner, 1, ZK_RECONFIGDISABLED);
	nodes[0].server.prep.reconfig_enabled = true;
	ask_reconfig(at_learner, 2, 7);
	ensemble_expect(at_learner, 2, ZK_UNIMPLEMENTED);
	nodes[0].server.prep.reconfig = next_members;
	ask_reconfig(at_learner, 3, 6);
	ensemble_expect(at_learner, 3, ZK_BADVERSION);
	ask_reconfig(at_learner, 4, 7);
	ensemble_expect(at_learner, 4, ZK_NOAUTH);
	nodes[0].db.tree.acls.policy.skip = true;
	ask_reconfig(at_learner, 5, 7);
	reply = next_reply(at_learner);
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_text(&reply.r, "version=100000006");
	ck_assert_int_eq(get_stat(&reply.r).version, -1);
	ck_assert_uint_eq(nodes[0].db.digest_mismatches + nodes[2].db.digest_mismatches, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_roles");
	TCase *c = tcase_create("ensemble");

	tcase_add_checked_fixture(c, ensemble_setup, ensemble_teardown);
	tcase_add_test(c, a_learners_write_is_answered_when_it_is_committed_and_on_its_own_disk);
	tcase_add_test(c, a_learner_applies_nothing_that_is_not_committed);
	tcase_add_test(c, a_refused_write_of_a_learner_is_answered_in_its_turn);
	tcase_add_test(c, a_multi_of_a_learner_is_answered_whole);
	tcase_add_test(c, requests_of_a_connection_that_is_gone_are_carried_out);
	tcase_add_test(c, what_a_learner_has_asked_for_is_bounded);
	tcase_add_test(c, a_learner_may_not_ask_for_what_no_client_may);
	tcase_add_test(c, a_sync_is_answered_behind_what_was_proposed_before_it);
	tcase_add_test(c, syncs_of_several_clients_are_answered_each_in_its_turn);
	tcase_add_loop_test(c, syncs_that_wait_are_bounded_and_so_is_who_may_ask, 0, 2);
	tcase_add_test(c, a_leaders_own_sync_waits_for_its_peer);
	tcase_add_test(c, a_watch_at_a_learner_is_told_before_any_reply_that_shows_the_change);
	tcase_add_test(c, who_has_seen_more_than_a_server_is_sent_elsewhere);
	tcase_add_test(c, without_a_role_nobody_is_served);
	tcase_add_test(c, the_end_of_a_role_ends_connections_without_a_word);
	tcase_add_test(c, an_epoch_ends_with_its_last_zxid);
	tcase_add_test(c, a_proposal_is_the_next_one_and_a_txn_or_it_is_refused);
	tcase_add_test(c, pending_records_are_found_again_after_others_were_applied);
	tcase_add_test(c, an_empty_container_is_deleted_once_by_the_leader);
	tcase_add_test(c, identities_are_those_at_the_time_of_the_request);
	tcase_add_test(c, a_reconfig_is_what_the_leaders_peer_makes_of_it);
	suite_add_tcase(s, c);
	return s;
}
