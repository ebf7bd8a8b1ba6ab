/* SPDX-License-Identifier: Apache-2.0 */
/* Whole ensembles of cores: elections, broadcast, synchronization. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/peer_rig.h"
#include "tests/lib/unit.h"

static void
create_many(unsigned i, const char *prefix, unsigned count)
{
	char path[64];

	for (unsigned k = 0; k < count; k++) {
		snprintf(path, sizeof path, "%s%u", prefix, k);
		rig_create(i, path);
	}
}

/* All have had so many writes by now, and a snapshot at the last of them. */
static void
jump_to(int64_t zxid)
{
	for (unsigned i = 0; i < rig_count; i++) {
		struct rig_node *n = &rig_nodes[i];
		struct peer *p = &n->peer;
		const struct list *links = &p->zab.links;

		n->db.last_zxid = n->server.synced_zxid = n->server.committed_zxid = zxid;
		n->server.prep.last_zxid = zxid;
		history_reset(&p->zab.history, zxid);
		p->leader.committed = p->learner.committed = p->learner.acked = zxid;
		for (const struct list *it = links->next; it != links; it = it->next) {
			struct peer_link *l = CONTAINER_OF(it, struct peer_link, link);

			l->sent = l->committed = l->acked = zxid;
		}
		rig_snapshot(i);
	}
}

/* Writes while the last zxids of an epoch are used up: another epoch follows at once, and what was
 * acknowledged stays. */
START_TEST(an_epoch_without_further_zxids_is_followed_by_the_next)
{
	bool acknowledged[40] = {false};
	unsigned count = 0;
	char path[32];
	int32_t error;

	rig_start_all();
	rig_settle();
	rig_create(0, "/before");
	rig_run(100);
	jump_to((INT64_C(1) << 32) + UINT32_MAX - 15);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(path, sizeof path, "/n%u", i);
		if (!rig_nodes[i % 3].client.open)
			rig_connect(i % 3);
		rig_ask_create(i % 3, path, 5);
		rig_run(10);
		rig_settle();
		acknowledged[i] = rig_answers(i % 3, &error) == 1 && error == 0;
		count += acknowledged[i];
	}
	ck_assert_uint_ge(count, 38); /* an answer may be lost with the leader */
	rig_check_same();
	for (unsigned i = 0; i < 40; i++) {
		snprintf(path, sizeof path, "/n%u", i);
		ck_assert(!acknowledged[i] || rig_has(2, path));
	}
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(rig_nodes[i].peer.zab.epochs.current, 2);
		ck_assert(rig_has(i, "/before"));
		ck_assert(rig_has(i, "/n39"));
	}
}
END_TEST

START_TEST(three_servers_elect_one_leader_and_all_serve)
{
	rig_start_all();
	ck_assert_int_eq(rig_settle(), 2); /* all are empty: the highest id wins */
	ck_assert_int_eq(rig_nodes[0].peer.zab.epochs.current, 1);
	rig_check_same();
}
END_TEST

START_TEST(what_is_written_at_any_server_is_at_all)
{
	rig_start_all();
	rig_settle();
	rig_create(0, "/a");
	rig_create(1, "/b");
	rig_create(2, "/c");
	rig_check_same();
	ck_assert(rig_has(0, "/c") && rig_has(1, "/a") && rig_has(2, "/b"));
}
END_TEST

START_TEST(two_of_three_are_enough_and_one_is_not)
{
	rig_start(0);
	rig_run(60000);
	ck_assert(!rig_serves(0));
	rig_start(1);
	ck_assert_int_eq(rig_settle(), 1);
	rig_create(0, "/a");
	rig_crash(0, false);
	rig_run(100);
	ck_assert(!rig_serves(1));
}
END_TEST

START_TEST(who_finds_no_leader_serves_reads_until_there_is_one)
{
	rig_zab_settings.read_only = true;
	rig_start(0);
	rig_run(RIG_TICK_MS - 100);
	ck_assert_int_eq(rig_nodes[0].server.role, SERVER_IDLE);
	rig_run(200);
	ck_assert_int_eq(rig_nodes[0].server.role, SERVER_READ_ONLY);
	rig_start(1);
	ck_assert_int_eq(rig_settle(), 1);
	ck_assert_int_eq(rig_nodes[0].server.role, SERVER_FOLLOWER);
	rig_create(0, "/a");
	rig_crash(1, false);
	rig_run(RIG_TICK_MS + 100);
	ck_assert_int_eq(rig_nodes[0].server.role, SERVER_READ_ONLY);
	ck_assert(rig_has(0, "/a"));
	rig_start(2);
	rig_settle();
	rig_check_same();
}
END_TEST

START_TEST(a_follower_that_missed_little_gets_only_that)
{
	rig_start_all();
	rig_settle();
	rig_create(2, "/before");
	rig_crash(0, true);
	create_many(2, "/while", 20);
	rig_start(0);
	rig_settle();
	rig_check_same();
	ck_assert(rig_has(0, "/before") && rig_has(0, "/while19"));
	ck_assert_uint_eq(rig_nodes[0].snapshots_taken + rig_nodes[0].truncations, 0);
}
END_TEST

START_TEST(what_memory_has_no_longer_comes_from_the_log)
{
	rig_zab_settings.history_count = 3;
	rig_zab_settings.log_sync_percent = INT32_MAX / 2;
	rig_start_all();
	rig_settle();
	rig_create(2, "/before");
	rig_crash(0, false);
	create_many(2, "/while", 50);
	rig_start(0);
	rig_settle();
	rig_check_same();
	ck_assert_uint_eq(rig_nodes[0].snapshots_taken, 0);
}
END_TEST

START_TEST(where_the_log_is_longer_than_a_snapshot_that_is_sent)
{
	rig_zab_settings.history_count = 3;
	rig_start_all();
	rig_settle();
	rig_create(2, "/before");
	rig_crash(0, false);
	create_many(2, "/while", 50);
	rig_start(0);
	rig_settle();
	rig_check_same();
	ck_assert_uint_eq(rig_nodes[0].snapshots_taken, 1);
	rig_crash(0, true);
	rig_start(0);
	rig_settle();
	rig_create(0, "/after");
	rig_check_same();
}
END_TEST

START_TEST(writes_go_on_while_a_snapshot_is_received_in_small_pieces)
{
	rig_zab_settings.force_snapshot_sync = true;
	rig_start_all();
	rig_settle();
	for (unsigned i = 0; i < 20; i++) {
		char path[32];

		snprintf(path, sizeof path, "/big%u", i);
		rig_create_sized(2, path, 50000);
	}
	rig_crash(0, false);
	create_many(2, "/more", 3);
	rig_set_link_bytes(777);
	rig_start(0);
	for (unsigned i = 0; !rig_serves(0) && i < 1000; i++) {
		char path[32];

		snprintf(path, sizeof path, "/live%u", i);
		rig_create(2, path);
	}
	ck_assert(rig_serves(0));
	rig_check_same();
}
END_TEST

START_TEST(when_the_leader_dies_the_others_go_on_and_it_comes_back)
{
	int leader;

	rig_start_all();
	ck_assert_int_eq(rig_settle(), 2);
	rig_create(0, "/a");
	rig_crash(2, true);
	leader = rig_settle();
	ck_assert_int_ne(leader, 2);
	rig_create((unsigned)leader, "/b");
	rig_start(2);
	rig_settle();
	rig_create(2, "/c");
	rig_check_same();
	ck_assert(rig_has(2, "/b"));
}
END_TEST

START_TEST(the_others_elect_at_once_when_the_leader_is_gone)
{
	uint64_t since_ms;

	rig_start_all();
	rig_settle();
	since_ms = rig_now_ms;
	rig_crash(2, false);
	rig_settle();
	/* The clock of the rig moves when somebody waits only. */
	ck_assert_uint_le(rig_now_ms - since_ms, 1);
}
END_TEST

START_TEST(a_leader_that_is_cut_off_serves_no_longer_and_follows_later)
{
	rig_start_all();
	rig_settle();
	rig_create(2, "/a");
	rig_isolate(2, true);
	rig_run(10000);
	ck_assert(!rig_serves(2));
	ck_assert_int_ge(rig_leader(), 0);
	rig_create((unsigned)rig_leader(), "/b");
	rig_isolate(2, false);
	rig_settle();
	ck_assert_int_ne(rig_leader(), 2);
	rig_check_same();
}
END_TEST

START_TEST(a_silent_network_ends_roles_by_time)
{
	/* The links stay, but nothing passes: nobody is told. */
	rig_start_all();
	rig_settle();
	rig_freeze(2, true);
	rig_run(30000);
	ck_assert(!rig_serves(2));
	ck_assert_int_ge(rig_leader(), 0);
	rig_freeze(2, false);
	rig_settle();
	rig_create(1, "/a");
	rig_check_same();
}
END_TEST

START_TEST(a_sync_is_answered_at_leader_and_follower)
{
	int32_t error = -1;

	rig_start_all();
	rig_settle();
	for (unsigned i = 0; i < 3; i++) {
		rig_connect(i);
		rig_ask_sync(i);
		rig_run(100);
		ck_assert_uint_eq(rig_answers(i, &error), 1);
		ck_assert_int_eq(error, 0);
	}
}
END_TEST

START_TEST(a_leader_that_hears_of_nobody_answers_no_sync)
{
	int32_t error;

	rig_start_all();
	rig_settle();
	rig_connect(2);
	rig_freeze(2, true);
	rig_ask_sync(2);
	rig_run(5000);
	ck_assert_uint_eq(rig_answers(2, &error), 0);
}
END_TEST

/* Is there more for a learner of it than its link takes now? Then it wants another turn. */
static bool
has_more(unsigned i)
{
	const struct list *links = &rig_nodes[i].peer.zab.links;
	bool more = false;

	for (const struct list *it = links->next; it != links; it = it->next)
		more = more || CONTAINER_OF(it, struct peer_link, link)->more;
	return more;
}

START_TEST(a_slow_follower_is_brought_up_from_history_and_log)
{
	rig_zab_settings.history_count = 3;
	rig_zab_settings.out_soft_bytes = 2000;
	rig_start_all();
	rig_settle();
	rig_create(2, "/a");
	rig_throttle(0, true); /* nothing reaches it */
	create_many(2, "/while", 60);
	ck_assert(has_more(2));
	rig_throttle(0, false);
	rig_run(100);
	rig_check_same();
	ck_assert(!has_more(2));
	ck_assert_uint_eq(rig_nodes[0].snapshots_taken, 0);
}
END_TEST

/* The promise of an election that came to nothing. */
static void
promise_more(unsigned i, int32_t epoch)
{
	struct fault note = {{0}}, f = {{0}};
	struct epochs e;

	rig_crash(i, false);
	ck_assert_int_eq(epochs_load(rig_nodes[i].store, 1, &e, &note, &f), 0);
	ck_assert_int_eq(epochs_accept(rig_nodes[i].store, &e, epoch, &f), 0);
	rig_start(i);
}

START_TEST(a_member_that_promised_more_is_taken_in_by_a_newer_epoch)
{
	rig_start_all();
	rig_settle();
	rig_create(2, "/a");
	promise_more(0, 3);
	rig_settle();
	ck_assert(rig_serves(0));
	ck_assert_int_gt(rig_nodes[0].peer.zab.epochs.current, 3);
	rig_create(0, "/b");
	rig_check_same();
}
END_TEST

START_TEST(who_promised_more_ends_no_leadership_that_has_only_begun)
{
	uint64_t elections;

	rig_start_all();
	rig_settle();
	elections = rig_nodes[1].peer.elections;
	promise_more(0, 3);
	rig_run(RIG_INIT_LIMIT * RIG_TICK_MS / 2);
	ck_assert(rig_leader() == 2 && rig_serves(1) && !rig_serves(0));
	ck_assert_uint_eq(rig_nodes[1].peer.elections, elections);
}
END_TEST

START_TEST(an_observer_has_everything_and_counts_for_nothing)
{
	rig_start_all();
	rig_settle();
	rig_create(3, "/a");
	rig_create(2, "/b");
	rig_check_same();
	ck_assert_int_eq(rig_nodes[3].server.role, SERVER_OBSERVER);
	rig_crash(0, false);
	rig_crash(1, false);
	rig_run(100);
	ck_assert(!rig_serves(2) && !rig_serves(3));
	rig_start(0);
	rig_settle();
	rig_create(3, "/c");
	rig_check_same();
}
END_TEST

START_TEST(one_server_alone_is_an_ensemble)
{
	rig_start_all();
	ck_assert_int_eq(rig_settle(), 0);
	rig_create(0, "/a");
	rig_ask_sync(0);
	rig_run(10);
	rig_crash(0, true);
	rig_start(0);
	rig_settle();
	ck_assert(rig_has(0, "/a"));
	rig_check_same();
}
END_TEST

START_TEST(five_servers_lose_any_two)
{
	rig_start_all();
	rig_settle();
	for (unsigned i = 0; i < 5; i++) {
		unsigned k = (i + 2) % 5;
		char path[32];
		int leader;

		rig_crash(i, i % 2 == 0);
		rig_crash(k, i % 2 == 1);
		leader = rig_settle();
		snprintf(path, sizeof path, "/x%u", i);
		rig_create((unsigned)leader, path);
		rig_start(i);
		rig_start(k);
		rig_settle();
		rig_check_same();
	}
	for (unsigned i = 0; i < 5; i++)
		ck_assert(rig_has(i, "/x0") && rig_has(i, "/x4"));
}
END_TEST

START_TEST(much_that_is_proposed_and_not_committed_does_not_stop_a_follower)
{
	unsigned dials;
	int32_t error;

	rig_start_all();
	rig_settle();
	rig_connect(2);
	rig_run(100);
	dials = rig_nodes[0].dial_count;
	rig_nodes[1].hold_sync = rig_nodes[2].hold_sync = true;
	for (unsigned i = 0; i < 48; i++) {
		char path[32];

		snprintf(path, sizeof path, "/large%u", i);
		rig_ask_create(2, path, 900000);
		rig_run(0);
	}
	ck_assert_uint_gt(rig_nodes[0].server.pending.len, LEARNER_PENDING_SOFT_BYTES);
	rig_run(RIG_TICK_MS);
	rig_nodes[1].hold_sync = rig_nodes[2].hold_sync = false;
	rig_run(RIG_TICK_MS);
	ck_assert_uint_eq(rig_answers(2, &error), 48);
	ck_assert_uint_eq(rig_nodes[0].dial_count, dials);
	rig_check_same();
}
END_TEST

static void
setup_one(void)
{
	rig_setup(1, 0);
}

static void
setup_observer(void)
{
	rig_setup(3, 1);
}

static void
setup_five(void)
{
	rig_setup(5, 0);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("peer");
	TCase *one = tcase_create("one"), *three = tcase_create("three"),
	      *observer = tcase_create("observer"), *five = tcase_create("five");

	tcase_add_checked_fixture(one, setup_one, rig_teardown);
	tcase_add_checked_fixture(three, rig_setup_three, rig_teardown);
	tcase_set_timeout(three, 60);
	tcase_add_checked_fixture(observer, setup_observer, rig_teardown);
	tcase_add_checked_fixture(five, setup_five, rig_teardown);
	tcase_add_test(one, one_server_alone_is_an_ensemble);
	tcase_add_test(three, three_servers_elect_one_leader_and_all_serve);
	tcase_add_test(three, an_epoch_without_further_zxids_is_followed_by_the_next);
	tcase_add_test(three, what_is_written_at_any_server_is_at_all);
	tcase_add_test(three, two_of_three_are_enough_and_one_is_not);
	tcase_add_test(three, who_finds_no_leader_serves_reads_until_there_is_one);
	tcase_add_test(three, a_follower_that_missed_little_gets_only_that);
	tcase_add_test(three, what_memory_has_no_longer_comes_from_the_log);
	tcase_add_test(three, where_the_log_is_longer_than_a_snapshot_that_is_sent);
	tcase_add_test(three, writes_go_on_while_a_snapshot_is_received_in_small_pieces);
	tcase_add_test(three, when_the_leader_dies_the_others_go_on_and_it_comes_back);
	tcase_add_test(three, the_others_elect_at_once_when_the_leader_is_gone);
	tcase_add_test(three, a_leader_that_is_cut_off_serves_no_longer_and_follows_later);
	tcase_add_test(three, a_silent_network_ends_roles_by_time);
	tcase_add_test(three, a_sync_is_answered_at_leader_and_follower);
	tcase_add_test(three, a_leader_that_hears_of_nobody_answers_no_sync);
	tcase_add_test(three, much_that_is_proposed_and_not_committed_does_not_stop_a_follower);
	tcase_add_test(three, a_slow_follower_is_brought_up_from_history_and_log);
	tcase_add_test(three, a_member_that_promised_more_is_taken_in_by_a_newer_epoch);
	tcase_add_test(three, who_promised_more_ends_no_leadership_that_has_only_begun);
	tcase_add_test(observer, an_observer_has_everything_and_counts_for_nothing);
	tcase_add_test(five, five_servers_lose_any_two);
	suite_add_tcase(s, one);
	suite_add_tcase(s, three);
	suite_add_tcase(s, observer);
	suite_add_tcase(s, five);
	return s;
}
