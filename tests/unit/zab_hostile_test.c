/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may come to the ports between servers from somebody who is not what it says that it is: each
 * costs its own link, and neither the ensemble nor what is on disk.
 */
#include <stdio.h>
#include <string.h>

#include "libcommon/codec/zk_err.h"
#include "tests/lib/peer_rig.h"
#include "tests/lib/peer_wire.h"
#include "tests/lib/unit.h"
#include "zkserver/core/txn.h"

#define EPOCH (INT64_C(1) << 32)
#define SESSIONS 300000 /* as many as one packet holds in the rig */

static struct wire wire;

static void
put_ack_epoch(int64_t zxid, int32_t current, unsigned node)
{
	struct buf b;

	buf_init(&b, 4096);
	qpacket_put_ack_epoch(&b, zxid, current);
	wire_say(&wire, node, &b);
	buf_fini(&b);
}

/* ---- a leader, of a server that has /a and /b of epoch 1 ---- */

static void
follow_with_history(int32_t epoch, int64_t zxid)
{
	for (unsigned i = 0; i < 3; i++)
		rig_start(i);
	ck_assert_int_eq(rig_settle(), 2);
	rig_create(0, "/a");
	rig_create(0, "/b");
	rig_run(100);
	for (unsigned i = 0; i < 3; i++)
		rig_crash(i, true);
	rig_start(0);
	wire_follow(&wire, 0, 3, false);
	wire_say_leaderinfo(&wire, 0, epoch * EPOCH);
	if (epoch > 1)
		wire_expect(&wire, QPACKET_ACKEPOCH, zxid);
}

static void
keeps_what_it_has(void)
{
	wire_close(&wire, 0);
	rig_run(1);
	ck_assert(!rig_nodes[0].failed);
	ck_assert(rig_has(0, "/a") && rig_has(0, "/b"));
	rig_check_disk(0);
}

START_TEST(what_cannot_be_cut_stays_and_a_snapshot_is_asked_for)
{
	static const int64_t to[] = {-1, INT64_MIN, EPOCH + 77, INT64_MAX};

	follow_with_history(2, EPOCH + 3);
	wire_say_packet(&wire, 0, QPACKET_TRUNC, to[_i], NULL, 0);
	ck_assert_msg(wire_ended(&wire, "cannot be"), "%s", wire.link.why);
	keeps_what_it_has();
	rig_crash(0, false);
	rig_start(0);
	ck_assert(rig_has(0, "/b"));
}
END_TEST

START_TEST(who_asks_for_a_snapshot_names_a_zxid_that_nothing_can_follow)
{
	follow_with_history(2, EPOCH + 3);
	wire_say_packet(&wire, 0, QPACKET_TRUNC, -1, NULL, 0);
	wire_close(&wire, 0);
	rig_run(1);
	wire_follow(&wire, 0, 3, false);
	wire_say_leaderinfo(&wire, 0, 2 * EPOCH);
	wire_expect(&wire, QPACKET_ACKEPOCH, 3 * EPOCH);
	keeps_what_it_has();
}
END_TEST

START_TEST(a_deposed_leader_is_not_followed)
{
	follow_with_history(0, 0);
	ck_assert_msg(wire_ended(&wire, "wants to lead"), "%s", wire.link.why);
	keeps_what_it_has();
}
END_TEST

/* 0: its end is another, 1: a node stands in it twice, 2: fewer than no sessions, 3: or access
 * lists, 4: a session without an end, 5: it is of a future epoch, 6: it is good, 7: the access list
 * of /x came later. */
static void
put_bad_snapshot(struct buf *b, int kind)
{
	qpacket_put(b, QPACKET_SNAP, kind == 5 ? 9 * EPOCH : EPOCH + 5, NULL, 0);
	jute_put_i32(b, kind == 2 ? -2 : kind == 4 ? 1 : 0);
	if (kind == 4)
		jute_put_i32(b, 1);
	jute_put_i32(b, kind == 3 ? -2 : 0);
	wire_put_node(b, "", -1);
	wire_put_node(b, kind == 8 ? "/x/y" : "/x", kind == 7 ? 9 : -1);
	if (kind == 1)
		wire_put_node(b, "/x", -1);
	jute_put_text(b, "/");
	jute_put_text(b, kind == 0 ? "BenWasThere" : "BenWasHere");
}

START_TEST(a_snapshot_that_is_none_leaves_what_there_is)
{
	struct buf b;

	follow_with_history(2, EPOCH + 3);
	buf_init(&b, 4096);
	put_bad_snapshot(&b, _i < 6 ? _i : 8);
	wire_say(&wire, 0, &b);
	buf_fini(&b);
	if (wire.link.end == PEER_LINK_OPEN)
		wire_close(&wire, 0); /* it waits for more */
	keeps_what_it_has();
	ck_assert_uint_eq(rig_nodes[0].snapshots_taken, 0);
}
END_TEST

/* The leader has extendedTypesEnabled, and this member has not. */
START_TEST(a_snapshot_with_ttl_nodes_is_refused_where_they_are_none)
{
	struct buf b;

	follow_with_history(2, EPOCH + 3);
	buf_init(&b, 4096);
	put_bad_snapshot(&b, 6);
	jute_set_i32(&b, b.len - 14 - 5 - 16, (int32_t)0xff000000); /* the owner of /x */
	wire_say(&wire, 0, &b);
	buf_fini(&b);
	ck_assert_msg(wire_ended(&wire, "/x is a TTL node"), "%s", wire.link.why);
	keeps_what_it_has();
}
END_TEST

START_TEST(a_snapshot_that_ends_anywhere_leaves_what_there_is)
{
	struct buf b;

	follow_with_history(2, EPOCH + 3);
	buf_init(&b, 4096);
	put_bad_snapshot(&b, 6);
	b.len = b.len * (size_t)_i / 20;
	wire_say(&wire, 0, &b);
	buf_fini(&b);
	keeps_what_it_has();
}
END_TEST

static void
say_snapshot(int kind)
{
	struct buf b;

	buf_init(&b, 4096);
	put_bad_snapshot(&b, kind);
	wire_say(&wire, 0, &b);
	buf_fini(&b);
}

/* What is committed: a txn of a session, in a multi or alone. */
static void
say_txn(int64_t zxid, int64_t session, const struct txn_body *body, bool in_multi)
{
	const struct txn_header header = {
	    .session = session, .zxid = zxid, .type = in_multi ? ZK_OP_MULTI : body->type};
	struct buf b, part;

	buf_init(&b, 4096);
	buf_init(&part, 4096);
	txn_put_header(&b, &header);
	txn_put_body(in_multi ? &part : &b, body);
	if (in_multi) {
		jute_put_i32(&b, 1);
		jute_put_i32(&b, body->type);
		jute_put_bytes(&b, (struct jute_bytes){part.data, (int32_t)part.len});
	}
	wire_say_packet(&wire, 0, QPACKET_PROPOSAL, zxid, b.data, b.len);
	wire_say_packet(&wire, 0, QPACKET_COMMIT, zxid, NULL, 0);
	buf_fini(&part);
	buf_fini(&b);
}

static struct txn_body
create_body(int32_t type, const char *path)
{
	static const uint8_t acl[] = "\0\0\0\1"
				     "\0\0\0\3"
				     "\0\0\0\5world"
				     "\0\0\0\6anyone";

	return (struct txn_body){.type = type,
	    .path = {(const uint8_t *)path, (int32_t)strlen(path)},
	    .data = {NULL, -1},
	    .acl = {acl, sizeof acl - 1},
	    .version = 1};
}

static void
say_create(int64_t zxid, const char *path)
{
	const struct txn_body body = create_body(ZK_OP_CREATE, path);

	say_txn(zxid, 0, &body, false);
}

/* A leader with extendedTypesEnabled, as Apache's, in one ensemble with this one without. */
START_TEST(a_ttl_node_is_refused_before_it_is_in_the_log_where_it_is_none)
{
	struct txn_body body = create_body(_i < 4 ? ZK_OP_CREATE_TTL : ZK_OP_CREATE, "/t");

	body.owner = tree_ttl_owner(7);
	body.ephemeral = _i == 4;
	follow_with_history(2, EPOCH + 3);
	if ((_i & 1) != 0)
		say_snapshot(6);
	else
		wire_say_packet(&wire, 0, QPACKET_DIFF, EPOCH + 4, NULL, 0);
	say_txn(EPOCH + ((_i & 1) != 0 ? 6 : 4), tree_ttl_owner(7), &body, (_i & 2) != 0);
	ck_assert_msg(wire_ended(&wire, "makes /t, a TTL node"), "%s", wire.link.why);
	wire_close(&wire, 0);
	rig_run(1);
	rig_crash(0, false);
	rig_start(0);
	ck_assert(!rig_has(0, "/t"));
	rig_check_disk(0);
}
END_TEST

/* Server 255's sessions look like TTL nodes. */
START_TEST(an_ephemeral_node_whose_session_looks_like_a_time_is_taken)
{
	struct txn_body body = create_body(ZK_OP_CREATE, "/e");
	const struct txn_body session = {.type = ZK_OP_CREATE_SESSION, .timeout_ms = 4000};

	body.ephemeral = true;
	follow_with_history(2, EPOCH + 3);
	wire_say_packet(&wire, 0, QPACKET_DIFF, EPOCH + 4, NULL, 0);
	say_txn(EPOCH + 4, tree_ttl_owner(7), &session, false);
	say_txn(EPOCH + 5, tree_ttl_owner(7), &body, false);
	wire_say_packet(&wire, 0, QPACKET_NEWLEADER, 2 * EPOCH, NULL, 0);
	rig_run(100);
	wire_expect(&wire, QPACKET_ACK, 2 * EPOCH);
	wire_close(&wire, 0);
	rig_run(1);
	rig_crash(0, false);
	rig_start(0);
	ck_assert(rig_has(0, "/e"));
	rig_check_disk(0);
}
END_TEST

/* It has a list that the snapshot has not, and that is proposed again. */
START_TEST(zk3306_a_list_that_came_while_a_snapshot_was_sent_comes_behind_it)
{
	follow_with_history(2, EPOCH + 3);
	say_snapshot(7);
	if (_i == 1) { /* the synchronization is interrupted */
		wire_close(&wire, 0);
		rig_run(1);
		rig_crash(0, false);
		rig_start(0);
		wire_follow(&wire, 0, 3, false);
		wire_say_leaderinfo(&wire, 0, 3 * EPOCH);
		wire_expect(&wire, QPACKET_ACKEPOCH, EPOCH + 5);
		wire_say_packet(&wire, 0, QPACKET_DIFF, EPOCH + 6, NULL, 0);
	}
	say_create(EPOCH + 6, "/x");
	wire_say_packet(&wire, 0, QPACKET_NEWLEADER, (2 + _i) * EPOCH, NULL, 0);
	rig_run(100);
	wire_expect(&wire, QPACKET_ACK, (2 + _i) * EPOCH);
	wire_close(&wire, 0);
	rig_crash(0, false);
	rig_start(0);
	ck_assert(rig_has(0, "/x"));
	rig_check_disk(0);
}
END_TEST

START_TEST(a_list_that_does_not_come_either_has_another_snapshot_asked_for)
{
	follow_with_history(2, EPOCH + 3);
	say_snapshot(7);
	say_create(EPOCH + 6, "/y");
	wire_say_packet(&wire, 0, QPACKET_NEWLEADER, 2 * EPOCH, NULL, 0);
	rig_run(100);
	ck_assert_msg(wire_ended(&wire, "the access list of /x is neither"), "%s", wire.link.why);
	wire_close(&wire, 0);
	rig_run(1);
	wire_follow(&wire, 0, 3, false);
	wire_say_leaderinfo(&wire, 0, 2 * EPOCH);
	wire_expect(&wire, QPACKET_ACKEPOCH, 3 * EPOCH);
	say_snapshot(6);
	wire_say_packet(&wire, 0, QPACKET_NEWLEADER, 2 * EPOCH, NULL, 0);
	rig_run(100);
	wire_expect(&wire, QPACKET_ACK, 2 * EPOCH);
	wire_close(&wire, 0);
}
END_TEST

/* A create of /N, N the counter; its digest is that of no tree. */
static void
propose_with_wrong_digest(int64_t zxid)
{
	wire_propose_create(&wire, 0, zxid, zxid, 4711);
	wire_say_packet(&wire, 0, QPACKET_COMMIT, zxid, NULL, 0);
}

/*
 * As at Apache's servers it is taken, since who is wrong cannot be known here. The log says so
 * once, and mntr counts them.
 */
START_TEST(proposals_whose_digest_is_another_are_taken_counted_and_told)
{
	struct rig_node *n = &rig_nodes[0];

	follow_with_history(2, EPOCH + 3);
	wire_say_packet(&wire, 0, QPACKET_DIFF, EPOCH + 3, NULL, 0);
	wire_say_packet(&wire, 0, QPACKET_NEWLEADER, 2 * EPOCH, NULL, 0);
	wire_say_packet(&wire, 0, QPACKET_UPTODATE, -1, NULL, 0);
	ck_assert(rig_serves(0));
	propose_with_wrong_digest(2 * EPOCH + 1);
	ck_assert_msg(strstr(n->said, "the tree here differs from its leader's: the digest of zxid "
				      "0x200000001 is another one") != NULL,
	    "%s", n->said);
	n->said[0] = '\0';
	propose_with_wrong_digest(2 * EPOCH + 2);
	ck_assert_str_eq(n->said, "");
	ck_assert_uint_eq(n->db.digest_mismatches, 2);
	ck_assert(wire.link.end == PEER_LINK_OPEN && rig_has(0, "/1") && rig_has(0, "/2"));
	wire_close(&wire, 0);
	rig_run(1);
	ck_assert(!n->failed);
}
END_TEST

/* ---- two leaders with one epoch ---- */

START_TEST(an_epoch_that_was_entered_has_one_leader)
{
	follow_with_history(2, EPOCH + 3);
	wire_say_packet(&wire, 0, QPACKET_DIFF, EPOCH + 3, NULL, 0);
	wire_say_packet(&wire, 0, QPACKET_NEWLEADER, 2 * EPOCH, NULL, 0);
	wire_close(&wire, 0);
	rig_run(1);
	wire_follow(&wire, 0, 2, false);
	wire_say_leaderinfo(&wire, 0, 2 * EPOCH);
	ck_assert_msg(wire_ended(&wire, "it wants to lead epoch 2, which server 3 has led"), "%s",
	    wire.link.why);
	wire_close(&wire, 0);
	rig_run(1);
	wire_follow(&wire, 0, 3, false); /* whose link was lost */
	wire_say_leaderinfo(&wire, 0, 2 * EPOCH);
	ck_assert_int_eq(wire.link.end, PEER_LINK_OPEN);
	keeps_what_it_has();
}
END_TEST

/* The first of the two had no quorum, as this server has promised it nothing else. */
START_TEST(an_epoch_is_promised_to_one_leader_and_may_be_anothers)
{
	struct qpacket p;
	int32_t current;
	size_t used;

	follow_with_history(2, EPOCH + 3);
	wire_close(&wire, 0);
	rig_run(1);
	wire_follow(&wire, 0, 2, false);
	wire_say_leaderinfo(&wire, 0, 2 * EPOCH);
	ck_assert_int_eq(
	    qpacket_decode(&p, wire.out.data, wire.out.len, 1 << 20, &used), QPACKET_WHOLE);
	ck_assert_int_eq(p.type, QPACKET_ACKEPOCH);
	ck_assert(qpacket_ack_epoch_decode(&p, &current));
	ck_assert_int_eq(current, -1); /* it does not count */
	keeps_what_it_has();
}
END_TEST

START_TEST(who_has_promised_an_epoch_to_another_counts_for_no_leader)
{
	struct peer *peer = &rig_nodes[2].peer;

	rig_start(2);
	peer->phase = PEER_LEADS;
	peer->voted = true; /* there was no election */
	leader_start(&peer->leader);
	wire_accept(&wire, 2);
	wire_say_info(&wire, 2, QPACKET_FOLLOWERINFO, 2, 0);
	wire_expect(&wire, QPACKET_LEADERINFO, EPOCH);
	put_ack_epoch(0, _i == 0 ? -1 : 0, 2);
	ck_assert_int_eq(peer->leader.phase, _i == 0 ? LEADER_PROMISE : LEADER_SYNC);
	ck_assert_int_eq(peer->zab.epochs.current, _i);
	wire_close(&wire, 2);
}
END_TEST

START_TEST(a_proposal_of_an_unknown_kind_is_refused)
{
	const struct txn_header header = {.zxid = 2 * EPOCH + 1, .type = 4711};
	struct buf b;

	follow_with_history(2, EPOCH + 3);
	wire_say_packet(&wire, 0, QPACKET_DIFF, EPOCH + 3, NULL, 0);
	buf_init(&b, 4096);
	txn_put_header(&b, &header);
	jute_put_i32(&b, 0);
	wire_say_packet(&wire, 0, QPACKET_PROPOSAL, 2 * EPOCH + 1, b.data, b.len);
	buf_fini(&b);
	ck_assert_msg(wire_ended(&wire, "no transaction"), "%s", wire.link.why);
	keeps_what_it_has();
}
END_TEST

/* ---- learners; server 3 leads, or server 1 follows it ---- */

/* Who says that it is server 9 observes, served by this node. */
static void
observe(unsigned node)
{
	rig_zab_settings.observer_masters = true;
	rig_start_all();
	ck_assert_int_eq(rig_settle(), 2);
	rig_create(2, "/a");
	rig_run(RIG_TICK_MS);
	if (node == 2)
		wire_accept(&wire, node);
	else
		wire_accept_observer(&wire, node);
	wire_say_info(&wire, node, QPACKET_OBSERVERINFO, 9, 0);
	wire_expect(&wire, QPACKET_LEADERINFO, EPOCH);
	put_ack_epoch(0, 0, node);
	wire_say_packet(&wire, node, QPACKET_ACK, EPOCH, NULL, 0);
	ck_assert_msg(wire.link.stage == LEARNER_SERVING, "%s", wire.link.why);
	buf_clear(&wire.out);
}

static void
unharmed(unsigned node)
{
	wire_close(&wire, node);
	rig_run(3000);
	ck_assert_int_eq(rig_leader(), 2);
	ck_assert_int_eq(rig_nodes[0].peer.zab.epochs.current, 1);
	rig_create(node, "/still");
	rig_check_same();
}

START_TEST(sessions_that_nobody_has_are_touched_in_vain)
{
	unsigned node = _i == 0 ? 2 : 0;
	struct buf b;

	observe(node);
	buf_init(&b, 4 << 20);
	for (int64_t i = 0; i < SESSIONS; i++) {
		jute_put_i64(&b, i * 77);
		jute_put_i32(&b, INT32_MAX);
	}
	wire_say_packet(&wire, node, QPACKET_PING, EPOCH, b.data, b.len);
	wire_say_packet(&wire, node, QPACKET_PING, EPOCH, b.data, b.len - 3);
	buf_fini(&b);
	ck_assert_int_eq(wire.link.end, PEER_LINK_OPEN);
	unharmed(node);
}
END_TEST

START_TEST(a_session_that_nobody_has_is_not_valid)
{
	unsigned node = _i == 0 ? 2 : 0;
	struct qpacket p;
	bool valid = true;
	int64_t session;
	struct buf b;
	size_t used;

	observe(node);
	buf_init(&b, 4096);
	qpacket_put_revalidate(&b, 4711, 30000);
	wire_say(&wire, node, &b);
	buf_fini(&b);
	rig_run(10);
	ck_assert_int_eq(
	    qpacket_decode(&p, wire.out.data, wire.out.len, 1 << 20, &used), QPACKET_WHOLE);
	ck_assert_int_eq(p.type, QPACKET_REVALIDATE);
	ck_assert(qpacket_revalidated_decode(&p, &session, &valid));
	ck_assert(session == 4711 && !valid);
	wire_say_packet(&wire, node, QPACKET_REVALIDATE, -1, "1234567", 7);
	ck_assert_msg(wire_ended(&wire, "REVALIDATE that is none"), "%s", wire.link.why);
	unharmed(node);
}
END_TEST

/* What no client may ask for, of a session that does not exist. */
START_TEST(forged_requests_change_nothing)
{
	static const int32_t types[] = {ZK_OP_CREATE, ZK_OP_DELETE, ZK_OP_ERROR, ZK_OP_RECONFIG,
	    ZK_OP_CLOSE_SESSION, 4711, ZK_OP_MULTI};
	unsigned node = _i == 0 ? 2 : 0;
	static const struct acl_ids nobody;
	uint64_t before;
	struct buf b;

	observe(node);
	before = rig_nodes[2].db.tree.digest;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		buf_init(&b, 4096);
		qpacket_put_request(&b, 4711, 1, types[i],
		    (const uint8_t *)"\0\0\0\2/x\377\377\377\377\0\0\0\0\0\0\0\0", 18, &nobody);
		wire_say(&wire, node, &b);
		buf_fini(&b);
		rig_run(10);
	}
	rig_run(100);
	ck_assert_uint_eq(rig_nodes[2].db.tree.digest, before);
	ck_assert_int_eq(wire.link.end, PEER_LINK_OPEN);
	unharmed(node);
}
END_TEST

START_TEST(who_has_what_was_never_proposed_is_cut_back_or_gets_a_snapshot)
{
	static const struct {
		int64_t zxid;
		int32_t type;
	} cases[] = {{7 * EPOCH + 5, QPACKET_TRUNC}, {7 * EPOCH, QPACKET_SNAP},
	    {EPOCH + 100, QPACKET_TRUNC}, {INT64_MAX, QPACKET_TRUNC}};
	struct qpacket p;
	size_t used;

	rig_start_all();
	ck_assert_int_eq(rig_settle(), 2);
	rig_create(2, "/a");
	wire_accept(&wire, 2);
	wire_say_info(&wire, 2, QPACKET_OBSERVERINFO, 9, 0);
	wire_expect(&wire, QPACKET_LEADERINFO, EPOCH);
	put_ack_epoch(cases[_i].zxid, INT32_MAX, 2);
	rig_run(0);
	ck_assert_int_eq(
	    qpacket_decode(&p, wire.out.data, wire.out.len, 1 << 20, &used), QPACKET_WHOLE);
	ck_assert_int_eq(p.type, cases[_i].type);
	unharmed(2);
}
END_TEST

/* ---- at the port for observers ---- */

START_TEST(the_port_for_observers_takes_nobody_else)
{
	static const struct {
		int32_t type;
		int64_t sid;
		int32_t epoch;
		const char *why;
	} cases[] = {{QPACKET_FOLLOWERINFO, 2, 0, "observers only"},
	    {QPACKET_OBSERVERINFO, 1, 0, "this server"},
	    {QPACKET_OBSERVERINFO, 256, 0, "none that is possible"},
	    {QPACKET_OBSERVERINFO, -1, 0, "none that is possible"},
	    {QPACKET_OBSERVERINFO, 9, INT32_MAX, "beyond belief"},
	    {QPACKET_OBSERVERINFO, 9, 1000, "has accepted epoch"},
	    {QPACKET_PING, 0, 0, "does not begin"}};

	rig_zab_settings.observer_masters = true;
	rig_start_all();
	ck_assert_int_eq(rig_settle(), 2);
	rig_run(10);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		wire_accept_observer(&wire, 0);
		wire_say_info(&wire, 0, cases[i].type, cases[i].sid, cases[i].epoch);
		ck_assert_msg(wire_ended(&wire, cases[i].why), "%zu: %s", i, wire.link.why);
		wire_close(&wire, 0);
	}
	wire_accept_observer(&wire, 2); /* the leader has no such port */
	ck_assert(wire_ended(&wire, "takes no observers"));
	unharmed(2);
}
END_TEST

START_TEST(an_observer_that_acknowledges_loses_its_follower)
{
	observe(0);
	wire_say_packet(&wire, 0, QPACKET_ACK, EPOCH + 1, NULL, 0);
	ck_assert_msg(wire_ended(&wire, "as an observer"), "%s", wire.link.why);
	unharmed(0);
}
END_TEST

static void
setup(void)
{
	rig_setup(3, 0);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("hostile");
	TCase *t = tcase_create("hostile");

	tcase_add_checked_fixture(t, setup, rig_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, what_cannot_be_cut_stays_and_a_snapshot_is_asked_for, 0, 4);
	tcase_add_test(t, who_asks_for_a_snapshot_names_a_zxid_that_nothing_can_follow);
	tcase_add_test(t, a_deposed_leader_is_not_followed);
	tcase_add_loop_test(t, a_snapshot_that_is_none_leaves_what_there_is, 0, 7);
	tcase_add_test(t, a_snapshot_with_ttl_nodes_is_refused_where_they_are_none);
	tcase_add_loop_test(
	    t, zk3306_a_list_that_came_while_a_snapshot_was_sent_comes_behind_it, 0, 2);
	tcase_add_test(t, a_list_that_does_not_come_either_has_another_snapshot_asked_for);
	tcase_add_loop_test(
	    t, a_ttl_node_is_refused_before_it_is_in_the_log_where_it_is_none, 0, 5);
	tcase_add_test(t, an_ephemeral_node_whose_session_looks_like_a_time_is_taken);
	tcase_add_loop_test(t, a_snapshot_that_ends_anywhere_leaves_what_there_is, 0, 20);
	tcase_add_test(t, a_proposal_of_an_unknown_kind_is_refused);
	tcase_add_test(t, proposals_whose_digest_is_another_are_taken_counted_and_told);
	tcase_add_test(t, an_epoch_that_was_entered_has_one_leader);
	tcase_add_test(t, an_epoch_is_promised_to_one_leader_and_may_be_anothers);
	tcase_add_loop_test(t, who_has_promised_an_epoch_to_another_counts_for_no_leader, 0, 2);
	tcase_add_loop_test(t, sessions_that_nobody_has_are_touched_in_vain, 0, 2);
	tcase_add_loop_test(t, a_session_that_nobody_has_is_not_valid, 0, 2);
	tcase_add_loop_test(t, forged_requests_change_nothing, 0, 2);
	tcase_add_loop_test(
	    t, who_has_what_was_never_proposed_is_cut_back_or_gets_a_snapshot, 0, 4);
	tcase_add_test(t, the_port_for_observers_takes_nobody_else);
	tcase_add_test(t, an_observer_that_acknowledges_loses_its_follower);
	suite_add_tcase(s, t);
	return s;
}
