/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One peer, and at the other end of its link a test: a leader that says things in this order or
 * that, learners that are not what they should be, and what a leader decides for each.
 */
#include <stdio.h>
#include <string.h>

#include "tests/lib/peer_rig.h"
#include "tests/lib/peer_wire.h"
#include "tests/lib/unit.h"
#include "zkserver/core/txn.h"

#define EPOCH (INT64_C(1) << 32)

static struct wire wire, other;

static struct peer *
peer_of(unsigned i)
{
	return &rig_nodes[i].peer;
}

/* ---- a leader that is scripted ---- */

/* Server 1 follows a test that says that it is server 3. */
static void
follow_script(void)
{
	rig_start(0);
	wire_follow(&wire, 0, 3, false);
}

static void
lead_to_sync(void)
{
	follow_script();
	wire_say_leaderinfo(&wire, 0, EPOCH);
	wire_expect(&wire, QPACKET_ACKEPOCH, 0);
	wire_say_packet(&wire, 0, QPACKET_DIFF, 0, NULL, 0);
}

static void
act(char what, unsigned txn)
{
	if (what == 'P')
		wire_propose_create(&wire, 0, EPOCH + txn, EPOCH + txn, 0);
	else if (what == 'C')
		wire_say_packet(&wire, 0, QPACKET_COMMIT, EPOCH + txn, NULL, 0);
	else if (what == 'N')
		wire_say_packet(&wire, 0, QPACKET_NEWLEADER, EPOCH, "", 0);
	else
		wire_say_packet(&wire, 0, QPACKET_UPTODATE, -1, NULL, 0);
}

/* Every order of three proposals, three commits, NEWLEADER and UPTODATE that a leader may choose.
 */
static unsigned
try_orders(char *script, unsigned len, unsigned p, unsigned c, unsigned marks)
{
	unsigned orders = 0;

	if (p == 3 && c == 3 && marks == 2) {
		unsigned proposed = 0, committed = 0;

		script[len] = '\0';
		rig_setup(3, 0);
		lead_to_sync();
		for (unsigned i = 0; i < len; i++) {
			act(script[i], script[i] == 'P'	  ? ++proposed
				       : script[i] == 'C' ? ++committed
							  : 0);
			ck_assert_msg(wire.link.end == PEER_LINK_OPEN, "%s at %u: %s", script, i,
			    wire.link.why);
			/* Applied exactly as far as committed; and the marks answered. */
			for (unsigned k = 1; k <= 3; k++) {
				char path[8];

				snprintf(path, sizeof path, "/%u", k);
				ck_assert_msg(rig_has(0, path) == (k <= committed), "%s at %u: %s",
				    script, i, path);
			}
		}
		ck_assert(rig_serves(0));
		rig_check_disk(0);
		wire_close(&wire, 0);
		rig_teardown();
		return 1;
	}
	if (p < 3) {
		script[len] = 'P';
		orders += try_orders(script, len + 1, p + 1, c, marks);
	}
	if (c < p) {
		script[len] = 'C';
		orders += try_orders(script, len + 1, p, c + 1, marks);
	}
	if (marks < 2) {
		script[len] = marks == 0 ? 'N' : 'U';
		orders += try_orders(script, len + 1, p, c, marks + 1);
	}
	return orders;
}

START_TEST(zk4394_commits_come_in_any_order_with_newleader_and_uptodate)
{
	char script[16];

	ck_assert_uint_eq(try_orders(script, 0, 0, 0, 0), 140);
}
END_TEST

START_TEST(proposals_are_acknowledged_behind_newleader_each_once_and_in_order)
{
	lead_to_sync();
	act('P', 1);
	act('C', 1);
	act('P', 2);
	act('N', 0);
	wire_expect(&wire, QPACKET_ACK, EPOCH);
	wire_expect(&wire, QPACKET_ACK, EPOCH + 2);
	act('P', 3);
	wire_expect(&wire, QPACKET_ACK, EPOCH + 3);
	act('U', 0);
	wire_expect(&wire, QPACKET_ACK, EPOCH);
	wire_say_packet(&wire, 0, QPACKET_PING, EPOCH + 3, NULL, 0);
	wire_expect(&wire, QPACKET_PING, EPOCH + 3);
	ck_assert_uint_eq(wire.out.len, 0);
	wire_close(&wire, 0);
}
END_TEST

/* The link must end when, after so many steps of a good script, this comes. */
static const struct fault_script {
	const char *script; /* as act() reads it, a good beginning */
	int32_t type;
	int64_t zxid;
	const char *why;
} faults[] = {
    {"", QPACKET_UPTODATE, -1, "UPTODATE"},
    {"", QPACKET_SYNC, 0, "SYNC"},
    {"", QPACKET_DIFF, 0, "DIFF"},
    {"", QPACKET_NEWLEADER, 2 * EPOCH, "NEWLEADER"},
    {"", QPACKET_COMMIT, EPOCH + 1, "commits"},
    {"", QPACKET_PROPOSAL, EPOCH + 1, "no transaction"},
    {"", QPACKET_INFORM, EPOCH + 1, "observers"},
    {"", 77, 0, "type 77"},
    {"N", QPACKET_NEWLEADER, EPOCH, "NEWLEADER"},
    {"NU", QPACKET_UPTODATE, -1, "UPTODATE"},
    {"NUPP", QPACKET_COMMIT, EPOCH + 2, "commits"},
    {"NUPC", QPACKET_COMMIT, EPOCH + 1, "commits"},
    {"NUPC", QPACKET_SNAP, EPOCH, "SNAP"},
    {"NUPC", QPACKET_REVALIDATE, -1, "REVALIDATE"},
};

START_TEST(a_leader_that_breaks_the_order_is_left)
{
	const struct fault_script *f = &faults[_i];
	unsigned p = 0, c = 0;

	lead_to_sync();
	for (const char *s = f->script; *s != '\0'; s++)
		act(*s, *s == 'P' ? ++p : *s == 'C' ? ++c : 0);
	ck_assert_int_eq(wire.link.end, PEER_LINK_OPEN);
	wire_say_packet(&wire, 0, f->type, f->zxid, NULL, 0);
	ck_assert_msg(wire_ended(&wire, f->why), "%s", wire.link.why);
	ck_assert_int_eq(peer_of(0)->phase, PEER_ELECTING);
	rig_check_disk(0);
	wire_close(&wire, 0);
}
END_TEST

START_TEST(a_proposal_that_does_not_follow_is_refused)
{
	static const int64_t zxids[] = {EPOCH + 1, EPOCH + 3, EPOCH, 2, 2 * EPOCH + 1};

	for (size_t i = 0; i < sizeof zxids / sizeof zxids[0]; i++) {
		rig_setup(3, 0);
		lead_to_sync();
		act('P', 1);
		wire_propose_create(&wire, 0, zxids[i], zxids[i], 0);
		ck_assert_msg(wire_ended(&wire, "does not follow"), "%s", wire.link.why);
		wire_close(&wire, 0);
		rig_teardown();
	}
	rig_setup(3, 0);
	lead_to_sync();
	wire_propose_create(&wire, 0, EPOCH + 1, EPOCH + 2, 0); /* its header says otherwise */
	ck_assert(wire_ended(&wire, "no transaction"));
	wire_close(&wire, 0);
	rig_teardown();
}
END_TEST

START_TEST(a_leader_of_an_epoch_beyond_belief_is_left)
{
	follow_script();
	wire_say_leaderinfo(&wire, 0, INT64_MAX);
	ck_assert(wire_ended(&wire, "wants to lead"));
	ck_assert_int_eq(peer_of(0)->zab.epochs.accepted, 0);
	wire_close(&wire, 0);
}
END_TEST

START_TEST(a_snapshot_that_is_none_costs_nothing)
{
	struct buf b;

	follow_script();
	wire_say_leaderinfo(&wire, 0, EPOCH);
	wire_expect(&wire, QPACKET_ACKEPOCH, 0);
	buf_init(&b, 4096);
	qpacket_put(&b, QPACKET_SNAP, 5, NULL, 0);
	jute_put_i32(&b, 0); /* sessions */
	jute_put_i32(&b, 0); /* access lists */
	jute_put_text(&b, "/child/without/parent");
	jute_put_i32(&b, -1);
	for (int i = 0; i < 17; i++)
		jute_put_i32(&b, i < 2 ? -1 : 0);
	jute_put_text(&b, "/");
	jute_put_text(&b, "BenWasHere");
	wire_say(&wire, 0, &b);
	ck_assert_msg(wire_ended(&wire, "parent"), "%s", wire.link.why);
	buf_fini(&b);
	rig_check_disk(0);
	wire_close(&wire, 0);
}
END_TEST

/* A snapshot of zxid 5 with an ephemeral node of session 7, which it does not have. */
static void
send_fuzzy_snapshot(void)
{
	struct buf b;

	follow_script();
	wire_say_leaderinfo(&wire, 0, EPOCH);
	wire_expect(&wire, QPACKET_ACKEPOCH, 0);
	buf_init(&b, 4096);
	qpacket_put(&b, QPACKET_SNAP, 5, NULL, 0);
	jute_put_i32(&b, 0); /* sessions */
	jute_put_i32(&b, 0); /* access lists */
	for (int i = 0; i < 2; i++) {
		jute_put_text(&b, i == 0 ? "" : "/own");
		jute_put_i32(&b, -1);
		jute_put_i64(&b, -1); /* open to all */
		for (int k = 0; k < 4; k++)
			jute_put_i64(&b, i == 0 ? 0 : 7);
		for (int k = 0; k < 3; k++)
			jute_put_i32(&b, 0);
		jute_put_i64(&b, i == 0 ? 0 : 7); /* its owner */
		jute_put_i64(&b, 7);
	}
	jute_put_text(&b, "/");
	jute_put_text(&b, "BenWasHere");
	wire_say(&wire, 0, &b);
	ck_assert_msg(wire.link.end == PEER_LINK_OPEN, "%s", wire.link.why);
	buf_fini(&b);
	ck_assert(rig_has(0, "/own"));
}

static void
propose_session(int64_t zxid)
{
	const struct txn_header header = {.session = 7, .zxid = zxid, .type = ZK_OP_CREATE_SESSION};
	struct txn_body body = {.type = ZK_OP_CREATE_SESSION, .timeout_ms = 4000};
	struct buf b;

	buf_init(&b, 4096);
	txn_put_header(&b, &header);
	txn_put_body(&b, &body);
	wire_say_packet(&wire, 0, QPACKET_PROPOSAL, zxid, b.data, b.len);
	buf_fini(&b);
	wire_say_packet(&wire, 0, QPACKET_COMMIT, zxid, NULL, 0);
}

START_TEST(a_snapshots_node_whose_session_comes_behind_it_stays)
{
	send_fuzzy_snapshot();
	propose_session(6);
	wire_say_packet(&wire, 0, QPACKET_NEWLEADER, EPOCH, "", 0);
	ck_assert(rig_has(0, "/own"));
	wire_say_packet(&wire, 0, QPACKET_UPTODATE, -1, NULL, 0);
	ck_assert(rig_serves(0));
	rig_check_disk(0);
	wire_close(&wire, 0);
}
END_TEST

START_TEST(a_snapshots_node_without_a_session_is_gone_at_newleader)
{
	send_fuzzy_snapshot();
	wire_say_packet(&wire, 0, QPACKET_NEWLEADER, EPOCH, "", 0);
	ck_assert(!rig_has(0, "/own"));
	rig_check_disk(0);
	wire_close(&wire, 0);
}
END_TEST

/* Whatever of it was applied: memory is what a start would make of the disk. */
START_TEST(a_sync_that_ends_behind_a_snapshot_leaves_what_is_on_disk)
{
	send_fuzzy_snapshot();
	if (_i > 0)
		wire_propose_create(&wire, 0, 6, 6, 0);
	if (_i > 1)
		wire_say_packet(&wire, 0, QPACKET_COMMIT, 6, NULL, 0);
	wire_close(&wire, 0);
	rig_run(0);
	ck_assert(!rig_has(0, "/own"));
	ck_assert(rig_has(0, "/6") == (_i > 0));
	rig_check_disk(0);
}
END_TEST

/* A leader of the first epoch sends a snapshot with so many nodes, and so many percent of it. */
static void
follow_with_snapshot(int64_t zxid, unsigned nodes, size_t percent)
{
	char path[16];
	struct buf b;

	wire_follow(&wire, 0, 3, false);
	wire_say_leaderinfo(&wire, 0, EPOCH);
	buf_init(&b, 4 << 20);
	qpacket_put(&b, QPACKET_SNAP, zxid, NULL, 0);
	jute_put_i32(&b, 0); /* sessions */
	jute_put_i32(&b, 0); /* access lists */
	wire_put_node(&b, "", -1);
	for (unsigned i = 0; i < nodes; i++) {
		snprintf(path, sizeof path, "/s%u", i);
		wire_put_node(&b, path, -1);
	}
	jute_put_text(&b, "/");
	jute_put_text(&b, "BenWasHere");
	b.len = b.len * percent / 100;
	wire_say(&wire, 0, &b);
	buf_fini(&b);
	ck_assert_msg(wire.link.end == PEER_LINK_OPEN, "%s", wire.link.why);
}

/*
 * A half of a large one, of which much is on disk; a small one, and it again: no NEWLEADER comes
 * behind any but the last.
 */
START_TEST(etcd18055_one_snapshot_behind_another_is_taken)
{
	rig_start(0);
	follow_with_snapshot(5, 20000, 50);
	wire_close(&wire, 0);
	rig_run(1);
	for (int i = 0; i < 2; i++) {
		follow_with_snapshot(6, 2, 100);
		ck_assert(rig_has(0, "/s1") && !rig_has(0, "/s2"));
		wire_close(&wire, 0);
		rig_run(1);
	}
	follow_with_snapshot(7, 3, 100);
	act('N', 0);
	act('U', 0);
	ck_assert_msg(rig_serves(0), "%s", wire.link.why);
	ck_assert(rig_has(0, "/s2") && !rig_has(0, "/s3"));
	rig_check_disk(0);
	wire_close(&wire, 0);
}
END_TEST

/* ---- learners that are scripted; server 3 of 1 and 3 leads ---- */

static void
lead(void)
{
	rig_start(0);
	rig_start(2);
	ck_assert_int_eq(rig_settle(), 2);
	rig_create(2, "/a");
	wire_accept(&wire, 2);
}

static void
still_leads(void)
{
	wire_close(&wire, 2);
	rig_run(3000);
	ck_assert_int_eq(rig_leader(), 2);
	rig_create(2, "/still");
	rig_check_same();
}

START_TEST(who_is_no_member_or_ourselves_or_ahead_by_a_million_epochs_is_refused)
{
	static const struct {
		int64_t sid;
		int32_t epoch;
		const char *why;
	} cases[] = {{4, 0, "no member"}, {-1, 0, "no member"}, {INT64_MAX, 0, "no member"},
	    {3, 0, "this server"}, {2, INT32_MAX, "beyond belief"}, {2, -5, "beyond belief"},
	    {2, 1000, "has accepted epoch"}};

	lead();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		wire_say_info(&wire, 2, QPACKET_FOLLOWERINFO, cases[i].sid, cases[i].epoch);
		ck_assert_msg(wire_ended(&wire, cases[i].why), "%zu: %s", i, wire.link.why);
		wire_close(&wire, 2);
		wire_accept(&wire, 2);
	}
	still_leads();
}
END_TEST

START_TEST(what_does_not_begin_as_a_learner_is_refused)
{
	struct buf b;

	lead();
	wire_say_packet(&wire, 2, QPACKET_PING, 0, NULL, 0);
	ck_assert(wire_ended(&wire, "does not begin"));
	wire_close(&wire, 2);
	wire_accept(&wire, 2);
	wire_say_packet(&wire, 2, QPACKET_FOLLOWERINFO, 0, "1234567", 7);
	ck_assert(wire_ended(&wire, "does not begin"));
	wire_close(&wire, 2);
	wire_accept(&wire, 2);
	buf_init(&b, 4096);
	buf_printf(&b, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	wire_say(&wire, 2, &b);
	ck_assert(wire_ended(&wire, "impossible length"));
	buf_fini(&b);
	still_leads();
}
END_TEST

/* Server 2, played by the test, up to where it serves. */
static void
promise_as_two(struct wire *w)
{
	struct buf b;

	wire_say_info(w, 2, QPACKET_FOLLOWERINFO, 2, 0);
	wire_expect(w, QPACKET_LEADERINFO, EPOCH);
	buf_init(&b, 4096);
	qpacket_put_ack_epoch(&b, 0, 0);
	wire_say(w, 2, &b);
	buf_fini(&b);
}

static void
join_as_two(struct wire *w)
{
	promise_as_two(w);
	wire_expect(w, QPACKET_DIFF, zab_last_zxid(&peer_of(2)->zab));
}

static void
finish_as_two(struct wire *w)
{
	buf_clear(&w->out); /* proposals, commits, NEWLEADER */
	wire_say_packet(w, 2, QPACKET_ACK, EPOCH, NULL, 0);
	wire_expect(w, QPACKET_UPTODATE, -1);
	buf_clear(&w->out);
}

START_TEST(who_waits_for_its_turn_to_get_a_snapshot_is_not_silent)
{
	rig_zab_settings.force_snapshot_sync = true;
	lead();
	rig_nodes[2].hold_snapshots = true;
	promise_as_two(&wire);
	rig_run(3 * RIG_INIT_LIMIT * RIG_TICK_MS);
	rig_set_time(&rig_nodes[2]);
	ck_assert(wire.link.end == PEER_LINK_OPEN);
	peer_link_snapshot_begin(peer_of(2), &wire.link);
	rig_run(2 * RIG_TICK_MS);
	ck_assert_msg(wire.link.end == PEER_LINK_OPEN, "%s", wire.link.why);
	wire_expect(&wire, QPACKET_SNAP, zab_last_zxid(&peer_of(2)->zab));
	rig_run(3 * RIG_INIT_LIMIT * RIG_TICK_MS);
	ck_assert(wire_ended(&wire, "said nothing"));
	still_leads();
}
END_TEST

START_TEST(acknowledgements_of_what_was_never_proposed_end_the_link)
{
	lead();
	join_as_two(&wire);
	finish_as_two(&wire);
	wire_say_packet(&wire, 2, QPACKET_ACK, EPOCH, NULL, 0);
	wire_say_packet(&wire, 2, QPACKET_ACK, EPOCH + 1, NULL, 0); /* old news */
	ck_assert_int_eq(wire.link.end, PEER_LINK_OPEN);
	wire_say_packet(&wire, 2, QPACKET_ACK, EPOCH + 1000, NULL, 0);
	ck_assert(wire_ended(&wire, "not proposed"));
	still_leads();
}
END_TEST

START_TEST(zk4685_an_acknowledgement_before_that_of_newleader_is_harmless)
{
	lead();
	join_as_two(&wire);
	wire_say_packet(&wire, 2, QPACKET_ACK, EPOCH + 1, NULL, 0);
	ck_assert_int_eq(wire.link.end, PEER_LINK_OPEN);
	finish_as_two(&wire);
	still_leads();
}
END_TEST

static void
observe(void)
{
	struct buf b;

	lead();
	wire_say_info(&wire, 2, QPACKET_OBSERVERINFO, 2, 0);
	wire_expect(&wire, QPACKET_LEADERINFO, EPOCH);
	buf_clear(&wire.out);
	buf_init(&b, 4096);
	qpacket_put_ack_epoch(&b, 0, 0);
	wire_say(&wire, 2, &b);
	buf_fini(&b);
}

START_TEST(an_observer_that_was_told_more_before_it_had_all_owes_nothing)
{
	observe();
	rig_create(2, "/between");
	finish_as_two(&wire);
	for (unsigned i = 0; i < 4 * RIG_SYNC_LIMIT; i++) {
		rig_run(RIG_TICK_MS / 2);
		rig_set_time(&rig_nodes[2]);
		wire_say_packet(&wire, 2, QPACKET_PING, EPOCH, NULL, 0);
	}
	ck_assert_msg(wire.link.end == PEER_LINK_OPEN, "%s", wire.link.why);
	still_leads();
}
END_TEST

/* It acknowledges, in half ticks: always the proposal of so long ago, or only every other one. */
static void
acknowledge(unsigned behind, bool falls_behind)
{
	int64_t proposed[12 * RIG_SYNC_LIMIT];
	char path[32];

	lead();
	join_as_two(&wire);
	finish_as_two(&wire);
	for (unsigned i = 0; i < 12 * RIG_SYNC_LIMIT && wire.link.end == PEER_LINK_OPEN; i++) {
		snprintf(path, sizeof path, "/n%u", i);
		rig_create(2, path);
		proposed[i] = zab_last_zxid(&peer_of(2)->zab);
		rig_run(RIG_TICK_MS / 2);
		rig_set_time(&rig_nodes[2]);
		buf_clear(&wire.out);
		if (i >= behind)
			wire_say_packet(&wire, 2, QPACKET_ACK,
			    proposed[falls_behind ? i / 2 : i - behind], NULL, 0);
	}
}

START_TEST(a_follower_that_falls_further_and_further_behind_is_let_go)
{
	acknowledge(0, true);
	ck_assert(wire_ended(&wire, "has not acknowledged a proposal"));
	still_leads();
}
END_TEST

START_TEST(a_follower_that_is_a_little_behind_all_the_time_stays)
{
	acknowledge(RIG_SYNC_LIMIT, false);
	ck_assert_msg(wire.link.end == PEER_LINK_OPEN, "%s", wire.link.why);
	still_leads();
}
END_TEST

START_TEST(an_observer_that_acknowledges_is_let_go)
{
	observe();
	finish_as_two(&wire);
	wire_say_packet(&wire, 2, QPACKET_ACK, EPOCH + 1, NULL, 0);
	ck_assert(wire_ended(&wire, "as an observer"));
	still_leads();
}
END_TEST

START_TEST(a_server_that_comes_again_replaces_its_old_link)
{
	lead();
	join_as_two(&wire);
	finish_as_two(&wire);
	wire_accept(&other, 2);
	join_as_two(&other);
	ck_assert(wire_ended(&wire, "came again"));
	finish_as_two(&other);
	ck_assert_int_eq(other.link.end, PEER_LINK_OPEN);
	wire_close(&other, 2);
	still_leads();
}
END_TEST

START_TEST(requests_before_it_is_up_to_date_and_broken_ones_end_the_link)
{
	lead();
	join_as_two(&wire);
	wire_say_packet(&wire, 2, QPACKET_REQUEST, -1, "0123456789abcdef", 16);
	ck_assert(wire_ended(&wire, "REQUEST"));
	wire_close(&wire, 2);
	wire_accept(&wire, 2);
	join_as_two(&wire);
	finish_as_two(&wire);
	wire_say_packet(&wire, 2, QPACKET_REQUEST, -1, "0123456789abcde", 15);
	ck_assert(wire_ended(&wire, "REQUEST"));
	still_leads();
}
END_TEST

static void
request_put(struct buf *b, int32_t cxid, int32_t op)
{
	struct buf data;

	buf_init(&data, 64);
	jute_put_i64(&data, INT64_C(2) << 56);
	jute_put_i32(&data, cxid);
	jute_put_i32(&data, op);
	qpacket_put(b, QPACKET_REQUEST, -1, data.data, data.len);
	buf_fini(&data);
}

/* What comes next that is no PING; 0: nothing. */
static int32_t
next_but_pings(struct wire *w)
{
	struct qpacket p;
	size_t used;

	while (qpacket_decode(&p, w->out.data, w->out.len, 1 << 20, &used) == QPACKET_WHOLE) {
		int32_t type = p.type;

		buf_consume(&w->out, used);
		if (type != QPACKET_PING)
			return type;
	}
	return 0;
}

/* Apache's followers match the answers to all that they forwarded, syncs among it, in one order. */
START_TEST(what_was_asked_for_after_a_sync_is_committed_after_its_answer)
{
	struct buf b;
	int64_t zxid;

	lead();
	join_as_two(&wire);
	finish_as_two(&wire);
	wire_say_packet(&wire, 2, QPACKET_PING, EPOCH, "", 0);
	ck_assert_int_eq(next_but_pings(&wire), 0);
	rig_freeze(0, true);
	buf_init(&b, 4096);
	request_put(&b, 1, ZK_OP_SYNC);
	request_put(&b, 2, ZK_OP_SET_DATA);
	wire_say(&wire, 2, &b);
	buf_fini(&b);
	zxid = server_last_zxid(&rig_nodes[2].server);
	ck_assert_int_eq(next_but_pings(&wire), QPACKET_PROPOSAL);
	wire_say_packet(&wire, 2, QPACKET_ACK, zxid, NULL, 0);
	ck_assert_int_eq(peer_of(2)->leader.committed, zxid);
	ck_assert_int_eq(next_but_pings(&wire), 0);
	wire_say_packet(&wire, 2, QPACKET_PING, EPOCH, "", 0);
	ck_assert_int_eq(next_but_pings(&wire), QPACKET_SYNC);
	ck_assert_int_eq(next_but_pings(&wire), QPACKET_COMMIT);
	ck_assert_int_eq(next_but_pings(&wire), 0);
	rig_freeze(0, false);
	still_leads();
}
END_TEST

START_TEST(there_are_only_so_many_links)
{
	static struct wire many[40];
	unsigned ended_count = 0;

	lead();
	for (unsigned i = 0; i < 40; i++) {
		wire_accept(&many[i], 2);
		ended_count += many[i].link.end != PEER_LINK_OPEN;
	}
	ck_assert_uint_ge(ended_count, 40 - rig_zab_settings.links_max);
	for (unsigned i = 0; i < 40; i++)
		wire_close(&many[i], 2);
	still_leads();
}
END_TEST

/* ---- decisions ---- */

/* The leader's history: epochs 1 to 3 with so many txns each, of which the last `kept` are in
 * memory. */
static void
check_decision(struct zab *z, const int64_t *zxids, size_t count, size_t kept, int64_t learner)
{
	size_t before = count - kept;
	int64_t cut = -1, base = before > 0 ? zxids[before - 1] : 0;
	bool has = learner == 0 && before == 0;
	int64_t last = count > 0 ? zxids[count - 1] : 0;

	history_reset(&z->history, base);
	for (size_t i = before; i < count; i++)
		history_append(&z->history, zxids[i], (const uint8_t *)"x", 1);
	z->db->last_zxid = last;
	for (size_t i = 0; i < count; i++)
		has = has || zxids[i] == learner;
	switch (leader_sync_decide(z, learner, &cut)) {
	case LEADER_DIFF:
		/* It has a zxid of ours, or one where an epoch began, which is no txn. */
		ck_assert(has || (uint32_t)learner == 0);
		ck_assert_int_ge(learner, base);
		ck_assert_int_le(learner, last);
		break;
	case LEADER_TRUNC:
		ck_assert(!has && learner > last);
		ck_assert_int_eq(cut, last);
		ck_assert_uint_ne((uint32_t)cut, 0);
		ck_assert_uint_ne((uint32_t)learner, 0);
		break;
	case LEADER_SNAP:
		break;
	case LEADER_DIFF_FROM_LOG:
		ck_abort_msg("there is no log");
	}
}

START_TEST(zk3526_a_decision_always_leads_to_the_leaders_history)
{
	struct zab *z;

	rig_start(0);
	z = &peer_of(0)->zab;
	for (unsigned shape = 0; shape < 64; shape++) {
		int64_t zxids[12];
		size_t count = 0;

		for (int64_t epoch = 1; epoch <= 3; epoch++) {
			for (int64_t k = 1; k <= (shape >> (2 * (epoch - 1)) & 3); k++)
				zxids[count++] = epoch << 32 | k;
		}
		for (size_t kept = 0; kept <= count; kept++) {
			for (int64_t epoch = 0; epoch <= 4; epoch++) {
				for (int64_t k = 0; k <= 5; k++)
					check_decision(z, zxids, count, kept, epoch << 32 | k);
			}
		}
	}
	history_reset(&z->history, 0);
	z->db->last_zxid = 0;
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("links");
	TCase *t = tcase_create("scripts"), *own = tcase_create("loops");

	tcase_add_checked_fixture(t, rig_setup_three, rig_teardown);
	tcase_set_timeout(own, 60);
	tcase_add_test(own, zk4394_commits_come_in_any_order_with_newleader_and_uptodate);
	tcase_add_test(own, a_proposal_that_does_not_follow_is_refused);
	tcase_add_test(t, proposals_are_acknowledged_behind_newleader_each_once_and_in_order);
	tcase_add_loop_test(
	    t, a_leader_that_breaks_the_order_is_left, 0, sizeof faults / sizeof faults[0]);
	tcase_add_test(t, a_leader_of_an_epoch_beyond_belief_is_left);
	tcase_add_test(t, a_snapshot_that_is_none_costs_nothing);
	tcase_add_test(t, a_snapshots_node_whose_session_comes_behind_it_stays);
	tcase_add_test(t, a_snapshots_node_without_a_session_is_gone_at_newleader);
	tcase_add_loop_test(t, a_sync_that_ends_behind_a_snapshot_leaves_what_is_on_disk, 0, 3);
	tcase_add_test(t, etcd18055_one_snapshot_behind_another_is_taken);
	tcase_add_test(t, who_is_no_member_or_ourselves_or_ahead_by_a_million_epochs_is_refused);
	tcase_add_test(t, what_does_not_begin_as_a_learner_is_refused);
	tcase_add_test(t, who_waits_for_its_turn_to_get_a_snapshot_is_not_silent);
	tcase_add_test(t, acknowledgements_of_what_was_never_proposed_end_the_link);
	tcase_add_test(t, zk4685_an_acknowledgement_before_that_of_newleader_is_harmless);
	tcase_add_test(t, an_observer_that_was_told_more_before_it_had_all_owes_nothing);
	tcase_add_test(t, an_observer_that_acknowledges_is_let_go);
	tcase_add_test(t, a_follower_that_falls_further_and_further_behind_is_let_go);
	tcase_add_test(t, a_follower_that_is_a_little_behind_all_the_time_stays);
	tcase_add_test(t, a_server_that_comes_again_replaces_its_old_link);
	tcase_add_test(t, requests_before_it_is_up_to_date_and_broken_ones_end_the_link);
	tcase_add_test(t, what_was_asked_for_after_a_sync_is_committed_after_its_answer);
	tcase_add_test(t, there_are_only_so_many_links);
	tcase_add_test(t, zk3526_a_decision_always_leads_to_the_leaders_history);
	suite_add_tcase(s, t);
	suite_add_tcase(s, own);
	return s;
}
