/* SPDX-License-Identifier: Apache-2.0 */
/* Followers that take observers: observerMasterPort. Sid i + 1 is node i. */
#include <stdio.h>

#include "libcommon/codec/zk_err.h"
#include "tests/lib/peer_feed.h"
#include "tests/lib/peer_rig.h"
#include "tests/lib/unit.h"
#include "zkserver/core/qpacket.h"

#define VOTERS                                                                                     \
	"server.1=10.0.0.1:2888:3888:participant;2181\n"                                           \
	"server.2=10.0.0.2:2888:3888:participant;2181\n"                                           \
	"server.3=10.0.0.3:2888:3888:participant;2181"

/* Three that vote, of which the last leads, and two observers. */
static void
start(void)
{
	rig_zab_settings.observer_masters = true;
	rig_start_all();
	ck_assert_int_eq(rig_settle(), 2);
}

static int64_t
master_of(unsigned i)
{
	return rig_nodes[i].peer.learner.master;
}

static unsigned
learners_of(unsigned i)
{
	const struct list *links = &rig_nodes[i].peer.zab.links;
	unsigned count = 0;

	for (const struct list *it = links->next; it != links; it = it->next)
		count += CONTAINER_OF(it, struct peer_link, link)->use == PEER_LINK_LEARNER;
	return count;
}

START_TEST(observers_are_spread_over_the_followers_and_the_leader_has_none)
{
	start();
	ck_assert_int_eq(master_of(3), 1);
	ck_assert_int_eq(master_of(4), 2);
	ck_assert_uint_eq(learners_of(0), 1);
	ck_assert_uint_eq(learners_of(1), 1);
	ck_assert_uint_eq(learners_of(2), 2);
	rig_create(2, "/at-the-leader");
	rig_create(0, "/at-a-follower");
	rig_create(3, "/at-an-observer");
	rig_create(4, "/at-another");
	rig_check_same();
	ck_assert(rig_has(4, "/at-an-observer") && rig_has(3, "/at-another"));
}
END_TEST

START_TEST(without_the_setting_observers_go_to_the_leader)
{
	rig_start_all();
	ck_assert_int_eq(rig_settle(), 2);
	ck_assert_int_eq(master_of(3), 3);
	ck_assert_uint_eq(learners_of(2), 4);
}
END_TEST

START_TEST(an_observer_that_missed_something_gets_it_from_a_follower)
{
	start();
	rig_create(0, "/before");
	rig_crash(3, true);
	rig_create(0, "/while");
	rig_start(3);
	rig_settle();
	ck_assert_int_ne(master_of(3), 3);
	ck_assert_uint_eq(rig_nodes[3].snapshots_taken, 0);
	rig_check_same();
}
END_TEST

START_TEST(an_observer_gets_a_followers_snapshot)
{
	rig_zab_settings.history_count = 3;
	start();
	rig_crash(3, true);
	for (unsigned i = 0; i < 20; i++) {
		char path[32];

		snprintf(path, sizeof path, "/n%u", i);
		rig_create(0, path);
	}
	rig_start(3);
	rig_settle();
	ck_assert_int_ne(master_of(3), 3);
	ck_assert_uint_eq(rig_nodes[3].snapshots_taken, 1);
	rig_create(3, "/after");
	rig_check_same();
}
END_TEST

/* The leader says to the follower "a sync is done", and not whose. */
START_TEST(answers_to_syncs_go_to_whoever_asked)
{
	int32_t error = -1;

	start();
	rig_connect(0);
	rig_connect(3);
	for (unsigned round = 0; round < 5; round++) {
		rig_ask_sync(3);
		rig_ask_sync(0);
		rig_ask_create(3, round == 0 ? "/a" : "/a-again", 5);
		rig_ask_sync(3);
		rig_run(100);
		ck_assert_uint_eq(rig_answers(0, &error), 1);
		ck_assert_int_eq(error, 0);
		ck_assert_uint_eq(rig_answers(3, &error), 3);
		ck_assert_int_eq(error, 0);
	}
	ck_assert_uint_eq(rig_nodes[0].peer.learner.syncs.len, 0);
}
END_TEST

/* A follower may hear of a write and of the end of a sync behind it in one breath. */
START_TEST(a_sync_at_an_observer_is_answered_behind_what_was_written_before_it)
{
	int32_t error = -1;
	unsigned answers = 0;

	start();
	rig_connect(3);
	rig_run(RIG_TICK_MS);
	ck_assert(rig_hold_link(0, true));
	rig_create(2, "/before");
	rig_ask_sync(3);
	rig_run(10);
	ck_assert_uint_eq(rig_answers(3, &error), 0);
	ck_assert(!rig_has(3, "/before"));
	rig_hold_link(0, false);
	for (unsigned i = 0; i < 100 && answers == 0; i++) {
		rig_step();
		answers = rig_answers(3, &error);
	}
	ck_assert_uint_eq(answers, 1);
	ck_assert(rig_has(3, "/before"));
}
END_TEST

START_TEST(what_an_observer_that_is_gone_has_asked_is_answered_to_nobody)
{
	int32_t error = -1;

	start();
	rig_connect(0);
	rig_connect(3);
	rig_throttle(0, true);
	rig_ask_sync(3);
	rig_step();
	rig_throttle(0, false);
	rig_step();
	rig_ask_sync(0);
	rig_crash(3, false);
	rig_ask_sync(0);
	rig_run(100);
	ck_assert_uint_eq(rig_answers(0, &error), 2);
	ck_assert_uint_eq(rig_nodes[0].peer.learner.syncs.len, 0);
}
END_TEST

/* The client asks for nothing but syncs, which alone keep no session: the touches do. */
START_TEST(sessions_at_observers_live_as_long_as_they_show_themselves)
{
	int64_t session;
	int32_t error;

	start();
	rig_connect(3);
	session = rig_nodes[3].client.conn.session_id;
	for (unsigned i = 0; i < 20; i++) {
		rig_run(10000);
		rig_ask_sync(3);
		rig_run(10);
		ck_assert_uint_eq(rig_answers(3, &error), 1);
	}
	ck_assert_ptr_nonnull(session_find(&rig_nodes[2].db.sessions, session));
	rig_run(60000);
	ck_assert_ptr_null(session_find(&rig_nodes[2].db.sessions, session));
	ck_assert_ptr_null(session_find(&rig_nodes[3].db.sessions, session));
}
END_TEST

START_TEST(an_observer_whose_follower_dies_goes_to_the_next)
{
	start();
	rig_create(3, "/a");
	rig_crash(0, true);
	rig_run(10);
	rig_settle();
	ck_assert_int_eq(master_of(3), 2);
	ck_assert_uint_eq(learners_of(1), 2);
	rig_create(3, "/b");
	rig_check_same();
}
END_TEST

START_TEST(a_new_leader_ends_what_followers_of_the_old_one_tell)
{
	start();
	rig_create(3, "/a");
	rig_crash(2, true);
	ck_assert_int_eq(rig_settle(), 1);
	ck_assert_int_eq(master_of(3), 1);
	ck_assert_int_eq(master_of(4), 1);
	ck_assert_int_eq(rig_nodes[3].peer.zab.epochs.current, 2);
	rig_start(2);
	rig_settle();
	rig_create(4, "/b");
	rig_check_same();
}
END_TEST

/* A single voter has no followers; and those of a leader that do not take observers are as good as
 * none. */
START_TEST(where_no_follower_takes_observers_the_leader_does)
{
	for (unsigned i = 0; i < 3; i++)
		rig_start(i);
	rig_settle();
	rig_zab_settings.observer_masters = true;
	rig_start(3);
	rig_settle();
	ck_assert_int_eq(master_of(3), 3);
	rig_create(3, "/a");
	rig_check_same();
}
END_TEST

START_TEST(an_observer_hears_of_a_reconfig_through_its_follower)
{
	rig_zab_settings.reconfig = rig_zab_settings.standalone = true;
	start();
	ck_assert_int_eq(
	    rig_reconfig(3, "server.5=10.0.0.5:2888:3888:participant;2181", NULL, NULL), ZK_OK);
	rig_settle();
	rig_check_same();
	for (unsigned i = 0; i < rig_count; i++)
		ck_assert_uint_eq(members_voter_count(rig_nodes[i].peer.zab.members), 4);
	ck_assert_int_eq(rig_nodes[4].server.role, SERVER_FOLLOWER);
	rig_create(3, "/a");
	rig_create(4, "/b");
	rig_check_same();
}
END_TEST

/* What it has was committed; but this follower has not heard of it yet. */
START_TEST(an_observer_that_is_ahead_of_a_follower_is_not_cut_back)
{
	rig_zab_settings.observer_masters = true;
	rig_start_all();
	rig_settle();
	rig_connect(2);
	ck_assert(rig_hold_link(0, true));
	rig_cut(3, 0, true); /* to the other follower */
	rig_run(10);
	rig_settle();
	ck_assert_int_eq(master_of(3), 2);
	rig_create(2, "/new");
	rig_run(10);
	ck_assert(rig_has(3, "/new") && !rig_has(0, "/new"));
	rig_cut(3, 0, false);
	rig_cut(3, 1, true); /* and back */
	rig_run(500);
	ck_assert(rig_has(3, "/new") && !rig_has(0, "/new"));
	ck_assert_uint_eq(rig_nodes[3].truncations + rig_nodes[3].snapshots_taken, 0);
	rig_hold_link(0, false);
	rig_settle();
	rig_check_same();
	ck_assert_uint_eq(rig_nodes[3].truncations, 0);
}
END_TEST

/* A follower does not hold for the leader what observers send, be it as much as it may. */
START_TEST(observers_wait_while_the_leader_takes_nothing)
{
	int32_t error;

	start();
	rig_connect(3);
	rig_throttle(2, true);
	for (unsigned i = 0; i < 40; i++) {
		char path[32];

		snprintf(path, sizeof path, "/n%u", i);
		rig_ask_create(3, path, 30000);
		rig_step();
	}
	ck_assert(learner_is_choked(&rig_nodes[0].peer.learner));
	ck_assert_uint_lt(rig_nodes[0].peer.learner.link->out->len, 5 * 64 << 10);
	rig_throttle(2, false);
	rig_run(1000);
	ck_assert_uint_eq(rig_answers(3, &error), 40);
	rig_check_same();
}
END_TEST

/* Nor does it hold the questions without end: one observer asks for many sessions at once. */
START_TEST(observers_wait_while_the_leader_has_many_questions_to_answer)
{
	struct learner *l = &rig_nodes[0].peer.learner;
	struct peer_link *link;
	size_t fed = 0;
	struct buf b;

	start();
	link = CONTAINER_OF(rig_nodes[0].peer.zab.links.next, struct peer_link, link);
	rig_throttle(0, true);
	while (link->use != PEER_LINK_LEARNER)
		link = CONTAINER_OF(link->link.next, struct peer_link, link);
	buf_init(&b, 4 << 20);
	for (unsigned i = 0; i < SERVER_QUESTIONS_MAX + 100; i++)
		qpacket_put_revalidate(&b, 4711 + i, 30000);
	rig_set_time(&rig_nodes[0]);
	for (; fed < b.len && !link->paused; rig_step())
		fed += peer_feed(&rig_nodes[0].peer, link, b.data + fed,
		    b.len - fed < 1000 ? b.len - fed : 1000);
	buf_fini(&b);
	ck_assert(learner_is_choked(l) && link->paused);
	ck_assert_uint_eq(
	    l->revalidations.len, SERVER_QUESTIONS_MAX * sizeof(struct learner_question));
	rig_throttle(0, false);
	rig_run(1000);
	ck_assert(!link->paused && l->revalidations.len == 0);
	ck_assert_int_eq(link->end, PEER_LINK_OPEN);
	rig_check_same();
}
END_TEST

START_TEST(requests_of_a_session_that_has_moved_on_go_no_further)
{
	struct server *s = &rig_nodes[0].server;
	int64_t session;

	start();
	rig_connect(3);
	rig_run(10);
	session = rig_nodes[3].client.conn.session_id;
	ck_assert(server_passes(s, 4, session, ZK_OP_CREATE));
	ck_assert(!server_passes(s, 5, session, ZK_OP_CREATE));
	server_passed_on(s, 5, session, 30000);
	ck_assert(server_passes(s, 5, session, ZK_OP_CREATE));
	ck_assert(!server_passes(s, 4, session, ZK_OP_CREATE));
	ck_assert(server_passes(s, 4, session, ZK_OP_CLOSE_SESSION));
	ck_assert(server_passes(s, 4, session + 1, ZK_OP_CREATE)); /* not known here yet */
}
END_TEST

/* With reconfig or without it, with masters or not: as Apache's servers take it. */
START_TEST(an_observer_that_no_voter_knows_is_taken)
{
	rig_zab_settings.observer_masters = _i == 1;
	for (unsigned i = 0; i < 3; i++)
		rig_write_members(i, VOTERS);
	rig_write_members(3, VOTERS "\nserver.4=10.0.0.4:2888:3888:observer;2181");
	for (unsigned i = 0; i < 4; i++)
		rig_start(i);
	ck_assert_int_eq(rig_settle(), 2);
	ck_assert_int_eq(master_of(3), _i == 1 ? 1 : 3);
	rig_create(3, "/a");
	rig_crash(0, true);
	rig_run(10);
	rig_settle();
	rig_create(3, "/b");
	rig_check_same();
}
END_TEST

START_TEST(a_participant_that_no_voter_knows_is_not)
{
	for (unsigned i = 0; i < 3; i++)
		rig_write_members(i, VOTERS);
	rig_write_members(3, VOTERS "\nserver.4=10.0.0.4:2888:3888:participant;2181");
	for (unsigned i = 0; i < 4; i++)
		rig_start(i);
	rig_run(60000);
	ck_assert(rig_leader() >= 0 && !rig_serves(3));
	ck_assert_uint_lt(rig_nodes[3].dial_count, 60); /* it asks more and more rarely */
}
END_TEST

static void
setup(void)
{
	rig_setup(3, 2);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("observer_master");
	TCase *tc = tcase_create("observer_master");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, rig_teardown);
	tcase_add_test(tc, observers_are_spread_over_the_followers_and_the_leader_has_none);
	tcase_add_test(tc, without_the_setting_observers_go_to_the_leader);
	tcase_add_test(tc, an_observer_that_missed_something_gets_it_from_a_follower);
	tcase_add_test(tc, an_observer_gets_a_followers_snapshot);
	tcase_add_test(tc, answers_to_syncs_go_to_whoever_asked);
	tcase_add_test(tc, a_sync_at_an_observer_is_answered_behind_what_was_written_before_it);
	tcase_add_test(tc, what_an_observer_that_is_gone_has_asked_is_answered_to_nobody);
	tcase_add_test(tc, sessions_at_observers_live_as_long_as_they_show_themselves);
	tcase_add_test(tc, an_observer_whose_follower_dies_goes_to_the_next);
	tcase_add_test(tc, a_new_leader_ends_what_followers_of_the_old_one_tell);
	tcase_add_test(tc, where_no_follower_takes_observers_the_leader_does);
	tcase_add_test(tc, an_observer_hears_of_a_reconfig_through_its_follower);
	tcase_add_test(tc, an_observer_that_is_ahead_of_a_follower_is_not_cut_back);
	tcase_add_test(tc, observers_wait_while_the_leader_takes_nothing);
	tcase_add_test(tc, observers_wait_while_the_leader_has_many_questions_to_answer);
	tcase_add_test(tc, requests_of_a_session_that_has_moved_on_go_no_further);
	tcase_add_loop_test(tc, an_observer_that_no_voter_knows_is_taken, 0, 2);
	tcase_add_test(tc, a_participant_that_no_voter_knows_is_not);
	suite_add_tcase(s, tc);
	return s;
}
