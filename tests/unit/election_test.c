/* SPDX-License-Identifier: Apache-2.0 */
/* One server's part in an election, message by message. */
#include "zkserver/core/election.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/codec/jute.h"
#include "tests/lib/unit.h"

#define SENT_MAX 64
#define MAJORITY "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"
#define OBSERVED MAJORITY "server.4=d:1:2:observer\n"

static struct {
	int64_t to;
	struct notification n;
} sent[SENT_MAX];
static size_t sent_count;
static struct election e;
static struct members now, next;
static uint64_t now_ms;
static int64_t newer_version; /* of the configuration that was reported; -1: none */
static bool adopt;

static void
on_send(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	(void)arg;
	ck_assert_uint_lt(sent_count, SENT_MAX);
	sent[sent_count].to = sid;
	ck_assert(notification_decode(&sent[sent_count].n, bytes, size));
	sent_count++;
}

static bool
on_newer(void *arg, int64_t sid, const struct members *newer)
{
	(void)arg;
	(void)sid;
	newer_version = newer->version;
	return adopt;
}

static const struct election_ops OPS = {on_send, on_newer};

static void
parse(struct members *m, const char *text)
{
	struct fault f = {{0}};

	ck_assert_msg(members_parse(m, text, strlen(text), &f) == 0, "%s", f.text);
}

/* A server of an ensemble, not started; it takes the place of the one before. */
static void
begin(int64_t sid, const char *text)
{
	const struct election_settings settings = {
	    sid, ELECTION_NOTIFY_MIN_MS, ELECTION_NOTIFY_MAX_MS, ELECTION_FINALIZE_MS};

	election_fini(&e);
	parse(&now, text);
	now_ms = 1000;
	sent_count = 0;
	newer_version = -1;
	adopt = false;
	election_init(&e, &settings, &OPS, NULL);
	ck_assert(election_set_members(&e, &now, NULL));
}

/* The same, looking, with this zxid and epoch 1. */
static void
begin_looking(int64_t sid, const char *text, int64_t zxid)
{
	begin(sid, text);
	election_start(&e, now_ms, zxid, 1, false);
}

static void
hear_version(int64_t from, enum peer_state state, struct vote vote, int32_t version)
{
	const struct notification n = {.vote = vote};
	struct buf b;

	sent_count = 0;
	buf_init(&b, NOTIFICATION_FRAME_BYTES_MAX);
	notification_encode(&b, &n);
	jute_set_i32(&b, 0, (int32_t)state);
	election_heard(&e, now_ms, from, b.data, version == 0 ? 40 : b.len);
	buf_fini(&b);
}

static void
hear(int64_t from, enum peer_state state, struct vote vote)
{
	hear_version(from, state, vote, NOTIFICATION_VERSION);
}

static void
hear_config(int64_t from, const char *text)
{
	const struct notification n = {.state = PEER_LOOKING,
	    .vote = {from, 1, 1, 1},
	    .config = (const uint8_t *)text,
	    .config_size = strlen(text)};
	struct buf b;

	buf_init(&b, NOTIFICATION_FRAME_BYTES_MAX);
	notification_encode(&b, &n);
	election_heard(&e, now_ms, from, b.data, b.len);
	buf_fini(&b);
}

static void
assert_leads(int64_t leader, enum peer_state state)
{
	ck_assert_ptr_nonnull(election_result(&e));
	ck_assert_int_eq(e.vote.leader, leader);
	ck_assert_int_eq(e.state, state);
	ck_assert_uint_eq(election_deadline_ms(&e), UINT64_MAX);
}

static void
assert_looking(void)
{
	ck_assert_ptr_null(election_result(&e));
	ck_assert_int_eq(e.state, PEER_LOOKING);
}

/* All that was sent: to these, in this order, the proposal in its round. */
static void
assert_said(const char *to, int64_t leader, int64_t zxid, int64_t round)
{
	char text[SENT_MAX * 4] = "";
	size_t len = 0;

	for (size_t i = 0; i < sent_count; i++) {
		len += (size_t)snprintf(
		    text + len, sizeof text - len, "%s%d", i > 0 ? " " : "", (int)sent[i].to);
		ck_assert_int_eq(sent[i].n.vote.leader, leader);
		ck_assert_int_eq(sent[i].n.vote.zxid, zxid);
		ck_assert_int_eq(sent[i].n.vote.round, round);
	}
	ck_assert_str_eq(text, to);
}

START_TEST(a_voter_alone_leads_at_once)
{
	begin_looking(7, "server.7=a:1:2\n", 5);
	assert_leads(7, PEER_LEADING);
	ck_assert_uint_eq(sent_count, 0);
}
END_TEST

START_TEST(an_election_begins_with_the_own_vote_to_all_voters)
{
	begin_looking(2, OBSERVED, 5);
	assert_looking();
	assert_said("1 3", 2, 5, 1);
	ck_assert_int_eq(sent[0].n.state, PEER_LOOKING);
	ck_assert_int_eq(sent[0].n.vote.epoch, 1);
	ck_assert_uint_eq(sent[0].n.config_size, e.config.len);
	ck_assert_mem_eq(sent[0].n.config, e.config.data, e.config.len);
}
END_TEST

START_TEST(a_better_vote_is_taken_over_and_passed_on)
{
	begin_looking(1, MAJORITY, 5);
	hear(3, PEER_LOOKING, (struct vote){3, 6, 1, 1});
	assert_said("2 3", 3, 6, 1);
	hear(2, PEER_LOOKING, (struct vote){2, 6, 1, 1}); /* a lower sid */
	ck_assert_uint_eq(sent_count, 0);
	hear(2, PEER_LOOKING, (struct vote){2, 5, 1, 2}); /* a higher epoch */
	assert_said("2 3", 2, 5, 1);
}
END_TEST

START_TEST(an_election_on_which_all_agree_is_over_at_once)
{
	begin_looking(3, MAJORITY, 5);
	hear(1, PEER_LOOKING, (struct vote){3, 5, 1, 1});
	assert_looking();
	hear(2, PEER_LOOKING, (struct vote){3, 5, 1, 1});
	assert_leads(3, PEER_LEADING);
}
END_TEST

START_TEST(nobody_waits_for_a_voter_that_is_known_to_be_down)
{
	begin_looking(2, MAJORITY, 5);
	election_link_is(&e, now_ms, 3, ELECTION_LINK_DOWN);
	assert_looking();
	hear(1, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	assert_leads(2, PEER_LEADING);
	/* And the same when that is found out last. */
	begin_looking(1, MAJORITY, 5);
	hear(2, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	assert_looking();
	election_link_is(&e, now_ms, 3, ELECTION_LINK_DOWN);
	assert_leads(2, PEER_FOLLOWING);
}
END_TEST

START_TEST(a_quorum_waits_a_moment_for_those_that_may_be_there)
{
	begin_looking(2, MAJORITY, 5);
	election_link_is(&e, now_ms, 3, ELECTION_LINK_UP);
	now_ms += 150;
	hear(1, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	assert_looking();
	/* Repetition in between changes nothing about it. */
	election_tick(&e, now_ms + ELECTION_FINALIZE_MS - 1);
	assert_looking();
	election_tick(&e, now_ms + ELECTION_FINALIZE_MS);
	assert_leads(2, PEER_LEADING);
}
END_TEST

START_TEST(a_better_vote_in_that_moment_puts_it_back)
{
	begin_looking(2, MAJORITY, 5);
	hear(1, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	ck_assert_uint_eq(e.finalize_at_ms, now_ms + ELECTION_FINALIZE_MS);
	hear(3, PEER_LOOKING, (struct vote){3, 6, 1, 1});
	assert_said("1 3", 3, 6, 1);
	/* 2 and 3 are a quorum, and 1 may still know better. */
	ck_assert_uint_eq(e.finalize_at_ms, now_ms + ELECTION_FINALIZE_MS);
	hear(1, PEER_LOOKING, (struct vote){3, 6, 1, 1});
	assert_leads(3, PEER_FOLLOWING);
}
END_TEST

START_TEST(a_later_round_starts_afresh)
{
	begin_looking(2, MAJORITY, 5);
	hear(1, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	hear(3, PEER_LOOKING, (struct vote){3, 4, 9, 1});
	assert_said("1 3", 2, 5, 9); /* ours is the better one */
	ck_assert_uint_eq(e.finalize_at_ms, UINT64_MAX);
	hear(3, PEER_LOOKING, (struct vote){2, 5, 9, 1});
	ck_assert_uint_ne(e.finalize_at_ms, UINT64_MAX);
	hear(1, PEER_LOOKING, (struct vote){2, 5, 9, 1});
	assert_leads(2, PEER_LEADING);
	ck_assert_int_eq(e.vote.round, 9);
	election_leave(&e);
	election_start(&e, now_ms, 5, 1, false);
	ck_assert_int_eq(e.round, 10);
}
END_TEST

START_TEST(who_lags_behind_is_answered_with_our_round)
{
	begin_looking(2, MAJORITY, 5);
	hear(3, PEER_LOOKING, (struct vote){3, 4, 9, 1});
	hear(1, PEER_LOOKING, (struct vote){1, 6, 8, 1});
	assert_said("1", 2, 5, 9);
	ck_assert(!sid_set_has(&e.votes.from, 1));
}
END_TEST

START_TEST(an_established_leader_is_followed_when_it_says_so_itself)
{
	begin_looking(1, MAJORITY, 5);
	hear(2, PEER_FOLLOWING, (struct vote){3, 7, 4, 2});
	assert_looking();
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	assert_leads(3, PEER_FOLLOWING);
	ck_assert_int_eq(e.round, 4);
	ck_assert_int_eq(e.vote.round, 4);
	ck_assert_int_eq(e.vote.epoch, 2);
	/* In an ensemble of five, two that say so are not enough; nor is a quorum without it. */
	begin_looking(1, MAJORITY "server.4=d:1:2\nserver.5=e:1:2\n", 5);
	hear(2, PEER_FOLLOWING, (struct vote){3, 7, 4, 2});
	hear(4, PEER_FOLLOWING, (struct vote){3, 7, 4, 2});
	hear(5, PEER_FOLLOWING, (struct vote){3, 7, 4, 2});
	assert_looking();
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	assert_leads(3, PEER_FOLLOWING);
}
END_TEST

/* ZOOKEEPER-1732: members that joined at different times report different rounds and zxids. */
START_TEST(members_of_an_ensemble_may_have_joined_in_different_rounds)
{
	begin_looking(1, MAJORITY, 5);
	hear(2, PEER_FOLLOWING, (struct vote){3, 6, 11, 2});
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	assert_leads(3, PEER_FOLLOWING);
	begin_looking(1, MAJORITY, 5);
	hear(2, PEER_FOLLOWING, (struct vote){3, 7, 4, 1}); /* not in sync yet */
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	assert_looking();
	hear(2, PEER_FOLLOWING, (struct vote){3, 7, 4, 2});
	assert_leads(3, PEER_FOLLOWING);
}
END_TEST

START_TEST(the_epoch_does_not_count_between_a_vote_with_and_one_without_a_version)
{
	begin_looking(1, MAJORITY, 5);
	hear_version(2, PEER_FOLLOWING, (struct vote){3, 7, 4, 1}, 0);
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	assert_leads(3, PEER_FOLLOWING);
	begin_looking(1, MAJORITY, 5);
	hear_version(2, PEER_FOLLOWING, (struct vote){3, 7, 4, 1}, 0);
	hear_version(3, PEER_LEADING, (struct vote){3, 7, 4, 2}, 0);
	assert_looking();
}
END_TEST

START_TEST(in_its_own_round_a_leader_needs_our_vote_and_its_word_only)
{
	begin_looking(1, MAJORITY, 5);
	hear(3, PEER_LOOKING, (struct vote){3, 7, 1, 1});
	hear(3, PEER_LEADING, (struct vote){3, 7, 1, 1});
	assert_leads(3, PEER_FOLLOWING);
	/* Not if it says that it follows us, who are still looking. */
	begin_looking(1, MAJORITY, 5);
	hear(3, PEER_FOLLOWING, (struct vote){2, 7, 1, 1});
	assert_looking();
}
END_TEST

/* ZOOKEEPER-975: who comes back must not lead because others still follow what it was before. */
START_TEST(others_that_follow_us_count_for_what_we_have_in_this_round_only)
{
	begin_looking(3, MAJORITY, 5);
	hear(1, PEER_FOLLOWING, (struct vote){3, 5, 8, 1});
	hear(2, PEER_FOLLOWING, (struct vote){3, 5, 8, 1});
	assert_looking();
	begin_looking(3, MAJORITY, 5);
	hear(1, PEER_FOLLOWING, (struct vote){3, 4, 1, 1});
	hear(2, PEER_FOLLOWING, (struct vote){3, 4, 1, 1});
	assert_looking();
	begin_looking(3, MAJORITY, 5);
	hear(1, PEER_FOLLOWING, (struct vote){3, 5, 1, 1});
	assert_leads(3, PEER_LEADING);
}
END_TEST

START_TEST(a_server_without_weight_is_not_elected)
{
	const char *text = MAJORITY "group.1=1:2:3\nweight.1=1\nweight.2=1\nweight.3=0\n";

	begin_looking(2, text, 5);
	hear(3, PEER_LOOKING, (struct vote){3, 6, 1, 1});
	ck_assert_uint_eq(sent_count, 0);
	hear(1, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	hear(3, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	assert_leads(2, PEER_LEADING);
}
END_TEST

START_TEST(groups_decide_when_most_of_them_agree)
{
	const char *text = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\n"
			   "server.5=e:1:2\nserver.6=f:1:2\nserver.7=g:1:2\nserver.8=h:1:2\n"
			   "server.9=i:1:2\ngroup.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9\n";

	begin_looking(6, text, 9);
	hear(1, PEER_LOOKING, (struct vote){6, 9, 1, 1});
	hear(5, PEER_LOOKING, (struct vote){6, 9, 1, 1});
	ck_assert_uint_eq(e.finalize_at_ms, UINT64_MAX);
	hear(2, PEER_LOOKING, (struct vote){6, 9, 1, 1});
	ck_assert_uint_ne(e.finalize_at_ms, UINT64_MAX);
}
END_TEST

START_TEST(an_observer_finds_the_leader_without_a_vote)
{
	begin(4, OBSERVED);
	election_start(&e, now_ms, 99, 9, true);
	assert_said("1 2 3", VOTE_NOBODY, INT64_MIN, 1);
	ck_assert_int_eq(sent[0].n.vote.epoch, INT64_MIN);
	hear(1, PEER_FOLLOWING, (struct vote){3, 7, 4, 2});
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	assert_leads(3, PEER_OBSERVING);
	/* Or while they elect one. */
	begin(4, OBSERVED);
	election_start(&e, now_ms, 99, 9, true);
	for (int64_t sid = 1; sid <= 3; sid++)
		hear(sid, PEER_LOOKING, (struct vote){3, 7, 4, 2});
	assert_leads(3, PEER_OBSERVING);
}
END_TEST

START_TEST(who_is_to_join_and_does_not_vote_yet_follows)
{
	begin(9, MAJORITY);
	election_start(&e, now_ms, 5, 1, false);
	assert_said("1 2 3", VOTE_NOBODY, 5, 1);
	hear(2, PEER_FOLLOWING, (struct vote){3, 7, 4, 2});
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	assert_leads(3, PEER_FOLLOWING);
}
END_TEST

START_TEST(a_zxid_of_minus_one_is_no_vote)
{
	begin_looking(2, MAJORITY, 5);
	hear(1, PEER_LOOKING, (struct vote){1, -1, 9, 2});
	ck_assert_uint_eq(sent_count, 0);
	ck_assert_int_eq(e.round, 1);
	begin_looking(2, MAJORITY, -1);
	hear(1, PEER_LOOKING, (struct vote){2, -1, 1, 1});
	hear(3, PEER_LOOKING, (struct vote){3, 7, 1, 1});
	assert_looking();
	ck_assert_uint_eq(sent_count, 0);
	/* Such a one may follow. */
	hear(1, PEER_FOLLOWING, (struct vote){3, 7, 1, 2});
	hear(3, PEER_LEADING, (struct vote){3, 7, 1, 2});
	assert_leads(3, PEER_FOLLOWING);
}
END_TEST

START_TEST(a_server_with_a_role_answers_who_is_looking)
{
	begin_looking(2, OBSERVED, 5);
	hear(1, PEER_FOLLOWING, (struct vote){3, 7, 4, 2});
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	hear(1, PEER_LOOKING, (struct vote){1, 9, 9, 9});
	assert_said("1", 3, 7, 4);
	ck_assert_int_eq(sent[0].n.state, PEER_FOLLOWING);
	ck_assert_int_eq(sent[0].n.vote.epoch, 2);
	hear(1, PEER_FOLLOWING, (struct vote){1, 9, 9, 9});
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	ck_assert_uint_eq(sent_count, 0);
}
END_TEST

START_TEST(who_does_not_vote_is_always_answered_and_told_the_end)
{
	begin_looking(2, OBSERVED, 5);
	hear(4, PEER_LOOKING, (struct vote){VOTE_NOBODY, INT64_MIN, 1, INT64_MIN});
	assert_said("4", 2, 5, 1);
	ck_assert_int_eq(sent[0].n.state, PEER_LOOKING);
	hear(9, PEER_OBSERVING, (struct vote){3, 5, 1, 1}); /* is to join */
	assert_said("9", 2, 5, 1);
	hear(1, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	hear(3, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	assert_leads(2, PEER_LEADING);
	assert_said("4", 2, 5, 1);
	ck_assert_int_eq(sent[0].n.state, PEER_LEADING);
}
END_TEST

START_TEST(after_synchronization_votes_name_the_new_epoch)
{
	begin_looking(3, OBSERVED, 5);
	hear(1, PEER_LOOKING, (struct vote){3, 5, 1, 1});
	hear(2, PEER_LOOKING, (struct vote){3, 5, 1, 1});
	hear(1, PEER_LOOKING, (struct vote){1, 5, 2, 1});
	assert_said("1", 3, 5, 1);
	ck_assert_int_eq(sent[0].n.vote.epoch, 1);
	/* Who has heard the old one is told. */
	sent_count = 0;
	election_synced(&e, 2);
	assert_said("1", 3, 5, 1);
	ck_assert_int_eq(sent[0].n.vote.epoch, 2);
	hear(2, PEER_LOOKING, (struct vote){2, 5, 2, 1});
	ck_assert_int_eq(sent[0].n.vote.epoch, 2);
}
END_TEST

START_TEST(votes_of_and_for_others_than_voters_do_not_count)
{
	begin_looking(2, OBSERVED, 5);
	hear(1, PEER_LOOKING, (struct vote){4, 9, 1, 9});
	hear(1, PEER_LOOKING, (struct vote){77, 9, 1, 9});
	hear(1, PEER_LOOKING, (struct vote){INT64_MAX, 9, 1, 9});
	hear(1, PEER_LOOKING, (struct vote){-1, 9, 1, 9});
	hear(1, (enum peer_state)4, (struct vote){3, 9, 1, 9});
	hear(1, PEER_OBSERVING, (struct vote){3, 9, 1, 9});
	hear(2, PEER_LOOKING, (struct vote){3, 9, 1, 9}); /* from ourselves */
	hear(-5, PEER_LOOKING, (struct vote){3, 9, 1, 9});
	hear(256, PEER_LOOKING, (struct vote){3, 9, 1, 9});
	hear(1, PEER_LOOKING, (struct vote){3, 9, -1, 9});
	election_heard(&e, now_ms, 1, (const uint8_t *)"", 0);
	ck_assert_int_eq(e.proposal.leader, 2);
	ck_assert_int_eq(e.round, 1);
	ck_assert(!sid_set_has(&e.votes.from, 1));
}
END_TEST

START_TEST(a_forged_round_does_not_end_elections)
{
	begin_looking(2, MAJORITY, 5);
	hear(1, PEER_LOOKING, (struct vote){1, 4, INT64_MAX, 1});
	ck_assert_int_eq(e.round, 1 + ELECTION_ROUND_STEP_MAX);
	ck_assert(!sid_set_has(&e.votes.from, 1));
	assert_said("1 3", 2, 5, 1 + ELECTION_ROUND_STEP_MAX);
	/* The others go along, or are ahead by less than a step. */
	hear(1, PEER_LOOKING, (struct vote){2, 5, 9 + ELECTION_ROUND_STEP_MAX, 1});
	hear(3, PEER_LOOKING, (struct vote){2, 5, 9 + ELECTION_ROUND_STEP_MAX, 1});
	assert_leads(2, PEER_LEADING);
	/* Somebody who is really so far ahead is caught up with. */
	begin_looking(2, MAJORITY, 5);
	for (int i = 0; i < 4; i++)
		hear(1, PEER_LOOKING, (struct vote){1, 4, 3 * ELECTION_ROUND_STEP_MAX, 1});
	ck_assert_int_eq(e.round, 3 * ELECTION_ROUND_STEP_MAX);
	ck_assert(sid_set_has(&e.votes.from, 1));
	/* Nor does one that comes with a role. */
	begin_looking(1, MAJORITY, 5);
	hear(2, PEER_FOLLOWING, (struct vote){3, 7, INT64_MAX, 2});
	hear(3, PEER_LEADING, (struct vote){3, 7, INT64_MAX, 2});
	assert_leads(3, PEER_FOLLOWING);
	ck_assert_int_le(e.round, 1 + ELECTION_ROUND_STEP_MAX);
}
END_TEST

START_TEST(a_vote_for_us_that_claims_more_than_we_have_begins_a_new_round)
{
	begin_looking(2, MAJORITY, 5);
	hear(1, PEER_LOOKING, (struct vote){2, 8, 6, 1}); /* before a TRUNC and a restart, say */
	assert_said("1 3", 2, 5, 7);
	hear(1, PEER_LOOKING, (struct vote){1, 6, 7, 1});
	assert_said("1 3", 1, 6, 7);
}
END_TEST

/* ZOOKEEPER-2212. */
START_TEST(a_newer_configuration_is_reported_while_looking)
{
	begin_looking(2, MAJORITY "version=10", 5);
	hear_config(1, MAJORITY "version=10");
	hear_config(1, MAJORITY "version=f");
	hear_config(1, "server.1=nonsense\nversion=20");
	ck_assert_int_eq(newer_version, -1);
	ck_assert(sid_set_has(&e.votes.from, 1));
	adopt = true;
	hear_config(3, MAJORITY "version=11");
	ck_assert_int_eq(newer_version, 0x11);
	ck_assert(!sid_set_has(&e.votes.from, 3));
	adopt = false;
	hear_config(3, MAJORITY "version=12");
	ck_assert_int_eq(newer_version, 0x12);
	ck_assert(sid_set_has(&e.votes.from, 3));
	/* From one that it makes a voter, too; not when we have a role. */
	hear_config(5, MAJORITY "server.5=e:1:2\nversion=13");
	ck_assert_int_eq(newer_version, 0x13);
	hear(1, PEER_LOOKING, (struct vote){3, 9, 1, 1});
	hear(3, PEER_LOOKING, (struct vote){3, 9, 1, 1});
	assert_leads(3, PEER_FOLLOWING);
	hear_config(1, MAJORITY "version=14");
	ck_assert_int_eq(newer_version, 0x13);
}
END_TEST

START_TEST(a_newer_configuration_that_was_seen_must_agree_too)
{
	begin(2, MAJORITY);
	parse(&next, "server.2=b:1:2\nserver.5=e:1:2\nserver.6=f:1:2\nversion=1");
	ck_assert(election_set_members(&e, &now, &next));
	election_start(&e, now_ms, 5, 1, false);
	assert_said("1 3 5 6", 2, 5, 1);
	hear(1, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	hear(3, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	ck_assert_uint_eq(e.finalize_at_ms, UINT64_MAX);
	hear(6, PEER_LOOKING, (struct vote){2, 5, 1, 1});
	ck_assert_uint_ne(e.finalize_at_ms, UINT64_MAX);
	hear(5, PEER_LOOKING, (struct vote){5, 7, 1, 1});
	assert_said("1 3 5 6", 5, 7, 1); /* one of the new configuration may lead */
}
END_TEST

START_TEST(who_can_be_reached_again_is_told_how_things_stand)
{
	begin_looking(1, OBSERVED, 5);
	sent_count = 0;
	election_link_is(&e, now_ms, 3, ELECTION_LINK_UP);
	assert_said("3", 1, 5, 1);
	election_link_is(&e, now_ms, 4, ELECTION_LINK_UP); /* an observer asks for itself */
	ck_assert_uint_eq(sent_count, 1);
	hear(2, PEER_FOLLOWING, (struct vote){3, 7, 4, 2});
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	election_link_is(&e, now_ms, 2, ELECTION_LINK_UP);
	assert_said("2", 3, 7, 4);
	ck_assert_int_eq(sent[0].n.state, PEER_FOLLOWING);
}
END_TEST

START_TEST(the_word_of_a_server_that_is_lost_or_looks_again_is_not_counted)
{
	begin_looking(1, MAJORITY, 5);
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	election_link_is(&e, now_ms, 3, ELECTION_LINK_DOWN);
	hear(2, PEER_FOLLOWING, (struct vote){3, 7, 4, 2});
	assert_looking();
	begin_looking(1, MAJORITY, 5);
	hear(3, PEER_LEADING, (struct vote){3, 7, 4, 2});
	hear(3, PEER_LOOKING, (struct vote){3, 7, 5, 2});
	hear(2, PEER_FOLLOWING, (struct vote){3, 7, 4, 2});
	assert_looking();
}
END_TEST

START_TEST(votes_are_repeated_ever_more_rarely)
{
	uint64_t wait_ms = ELECTION_NOTIFY_MIN_MS;

	begin_looking(2, MAJORITY, 5);
	for (int i = 0; i < 12; i++) {
		ck_assert_uint_eq(election_deadline_ms(&e), now_ms + wait_ms);
		sent_count = 0;
		election_tick(&e, now_ms + wait_ms - 1);
		ck_assert_uint_eq(sent_count, 0);
		now_ms += wait_ms;
		election_tick(&e, now_ms);
		assert_said("1 3", 2, 5, 1);
		wait_ms *= 2;
		if (wait_ms > ELECTION_NOTIFY_MAX_MS)
			wait_ms = ELECTION_NOTIFY_MAX_MS;
	}
	ck_assert_uint_eq(wait_ms, ELECTION_NOTIFY_MAX_MS);
	/* Where there is a leader it will not be long. */
	hear(1, PEER_FOLLOWING, (struct vote){3, 7, 4, 1});
	now_ms += wait_ms;
	election_tick(&e, now_ms);
	ck_assert_uint_eq(election_deadline_ms(&e), now_ms + ELECTION_NOTIFY_MIN_MS);
}
END_TEST

/* ZOOKEEPER-3109: it changed its mind late. */
START_TEST(a_leader_that_looks_further_is_given_up)
{
	begin_looking(1, MAJORITY, 5);
	hear(3, PEER_LOOKING, (struct vote){3, 7, 1, 1});
	hear(2, PEER_LOOKING, (struct vote){3, 7, 1, 1});
	assert_leads(3, PEER_FOLLOWING);
	ck_assert(!election_forsaken(&e));
	hear(3, PEER_LOOKING, (struct vote){3, 7, 1, 1}); /* is not through yet */
	ck_assert(!election_forsaken(&e));
	hear(2, PEER_LOOKING, (struct vote){2, 8, 1, 1}); /* somebody else may */
	ck_assert(!election_forsaken(&e));
	hear(3, PEER_LOOKING, (struct vote){2, 8, 1, 1});
	ck_assert(election_forsaken(&e));
	hear(3, PEER_LEADING, (struct vote){3, 7, 1, 1});
	ck_assert(!election_forsaken(&e));
	hear(3, PEER_LOOKING, (struct vote){3, 7, 2, 1});
	ck_assert(election_forsaken(&e));
	hear(3, PEER_FOLLOWING, (struct vote){2, 8, 1, 1});
	ck_assert(election_forsaken(&e));
	election_leave(&e);
	ck_assert(!election_forsaken(&e));
}
END_TEST

START_TEST(a_leader_whose_quorum_looks_further_is_given_up)
{
	begin_looking(3, MAJORITY, 5);
	hear(1, PEER_LOOKING, (struct vote){3, 5, 1, 1});
	hear(2, PEER_LOOKING, (struct vote){3, 5, 1, 1});
	assert_leads(3, PEER_LEADING);
	hear(1, PEER_LOOKING, (struct vote){1, 5, 1, 1}); /* of the round that is over */
	hear(1, PEER_LOOKING, (struct vote){1, 5, 2, 1});
	ck_assert(!election_forsaken(&e)); /* 2 and 3 are a quorum */
	hear(2, PEER_LOOKING, (struct vote){2, 5, 2, 1});
	ck_assert(election_forsaken(&e));
	hear(1, PEER_FOLLOWING, (struct vote){3, 5, 1, 1});
	ck_assert(!election_forsaken(&e));
}
END_TEST

START_TEST(who_heard_us_in_its_role_is_told_again_when_it_looks)
{
	begin_looking(2, MAJORITY, 5);
	hear(1, PEER_FOLLOWING, (struct vote){3, 7, 0, 1});
	hear(1, PEER_LOOKING, (struct vote){1, 5, 1, 1});
	assert_said("1", 2, 5, 1);
	hear(1, PEER_LOOKING, (struct vote){1, 5, 1, 1});
	ck_assert_uint_eq(sent_count, 0);
}
END_TEST

START_TEST(what_is_heard_between_two_roles_counts_in_the_election)
{
	begin(1, OBSERVED);
	hear(2, PEER_LOOKING, (struct vote){3, 7, 6, 1});
	hear(3, PEER_LOOKING, (struct vote){2, 6, 6, 1});
	hear(3, PEER_LOOKING, (struct vote){3, 7, 6, 1});
	hear(4, PEER_LOOKING, (struct vote){VOTE_NOBODY, INT64_MIN, 1, INT64_MIN});
	ck_assert_uint_eq(sent_count, 0);
	election_start(&e, now_ms, 5, 1, false);
	assert_leads(3, PEER_FOLLOWING);
	ck_assert_int_eq(e.vote.round, 6);
	ck_assert_int_eq(sent[sent_count - 1].to, 4);
	ck_assert_int_eq(sent[sent_count - 1].n.state, PEER_FOLLOWING);
}
END_TEST

static void
stop(void)
{
	election_fini(&e);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("election");
	TCase *t = tcase_create("election");

	tcase_add_checked_fixture(t, NULL, stop);
	tcase_add_test(t, a_voter_alone_leads_at_once);
	tcase_add_test(t, an_election_begins_with_the_own_vote_to_all_voters);
	tcase_add_test(t, a_better_vote_is_taken_over_and_passed_on);
	tcase_add_test(t, an_election_on_which_all_agree_is_over_at_once);
	tcase_add_test(t, nobody_waits_for_a_voter_that_is_known_to_be_down);
	tcase_add_test(t, a_quorum_waits_a_moment_for_those_that_may_be_there);
	tcase_add_test(t, a_better_vote_in_that_moment_puts_it_back);
	tcase_add_test(t, a_later_round_starts_afresh);
	tcase_add_test(t, who_lags_behind_is_answered_with_our_round);
	tcase_add_test(t, an_established_leader_is_followed_when_it_says_so_itself);
	tcase_add_test(t, members_of_an_ensemble_may_have_joined_in_different_rounds);
	tcase_add_test(t, the_epoch_does_not_count_between_a_vote_with_and_one_without_a_version);
	tcase_add_test(t, in_its_own_round_a_leader_needs_our_vote_and_its_word_only);
	tcase_add_test(t, others_that_follow_us_count_for_what_we_have_in_this_round_only);
	tcase_add_test(t, a_server_without_weight_is_not_elected);
	tcase_add_test(t, groups_decide_when_most_of_them_agree);
	tcase_add_test(t, an_observer_finds_the_leader_without_a_vote);
	tcase_add_test(t, who_is_to_join_and_does_not_vote_yet_follows);
	tcase_add_test(t, a_zxid_of_minus_one_is_no_vote);
	tcase_add_test(t, a_server_with_a_role_answers_who_is_looking);
	tcase_add_test(t, who_does_not_vote_is_always_answered_and_told_the_end);
	tcase_add_test(t, after_synchronization_votes_name_the_new_epoch);
	tcase_add_test(t, votes_of_and_for_others_than_voters_do_not_count);
	tcase_add_test(t, a_forged_round_does_not_end_elections);
	tcase_add_test(t, a_vote_for_us_that_claims_more_than_we_have_begins_a_new_round);
	tcase_add_test(t, a_newer_configuration_is_reported_while_looking);
	tcase_add_test(t, a_newer_configuration_that_was_seen_must_agree_too);
	tcase_add_test(t, who_can_be_reached_again_is_told_how_things_stand);
	tcase_add_test(t, the_word_of_a_server_that_is_lost_or_looks_again_is_not_counted);
	tcase_add_test(t, votes_are_repeated_ever_more_rarely);
	tcase_add_test(t, a_leader_that_looks_further_is_given_up);
	tcase_add_test(t, a_leader_whose_quorum_looks_further_is_given_up);
	tcase_add_test(t, who_heard_us_in_its_role_is_told_again_when_it_looks);
	tcase_add_test(t, what_is_heard_between_two_roles_counts_in_the_election);
	suite_add_tcase(s, t);
	return s;
}
