/* SPDX-License-Identifier: Apache-2.0 */
/*
 * More bugs that ZooKeeper's servers had, in ensembles of the shipped cores: disks that fail,
 * tails, networks that are half there. The number is that of ZooKeeper's issue; see recipes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/peer_rig.h"
#include "tests/lib/unit.h"

/* The first of these has what came in its synchronization for those that it leads itself. */
START_TEST(zk4925_what_came_in_a_synchronization_is_sent_on)
{
	rig_start_three_with("/a");
	rig_crash(0, false);
	rig_connect(2);
	rig_run(100);
	rig_isolate(2, true);
	for (unsigned i = 0; i < 3; i++)
		rig_ask_create(2, (const char *[]){"/p", "/q", "/r"}[i], 5);
	rig_run(1);
	rig_crash(1, false);
	rig_crash(2, false);
	rig_isolate(2, false);
	rig_start(1);
	rig_start(2);
	ck_assert_int_eq(rig_settle(), 2);
	rig_crash(2, false);
	rig_start(0);
	ck_assert_int_eq(rig_settle(), 1);
	ck_assert_uint_eq(rig_nodes[0].snapshots_taken, 0);
	ck_assert(rig_has(0, "/p") && rig_has(0, "/q") && rig_has(0, "/r"));
	rig_check_same();
}
END_TEST

/* Server 0's log fails once, then its disk is well again. */
static void
fail_once(bool sync)
{
	rig_start_three_with("/a");
	rig_connect(2);
	rig_run(100);
	simdisk_fail_at(rig_nodes[0].disk, simdisk_ops(rig_nodes[0].disk) + (sync ? 2 : 1), -EIO);
	rig_create(2, "/p");
	rig_run(100);
	ck_assert_uint_gt(simdisk_fault_count(rig_nodes[0].disk, SIMDISK_SYNC_ERROR) +
			      simdisk_fault_count(rig_nodes[0].disk, SIMDISK_WRITE_ERROR),
	    0);
}

START_TEST(zk4882_what_a_failing_disk_lost_is_never_counted)
{
	fail_once(_i == 1);
	ck_assert(!rig_serves(0));
	rig_crash(0, true);
	rig_start(0);
	rig_settle();
	rig_create(2, "/q");
	rig_run(100);
	rig_crash(2, false);
	rig_crash(0, true);
	rig_start(0);
	rig_crash(1, true);
	rig_start(1);
	rig_settle();
	rig_check_same();
	ck_assert(rig_has(0, "/p") && rig_has(0, "/q"));
}
END_TEST

START_TEST(zk2247_a_leader_whose_log_fails_leads_no_longer)
{
	int32_t error;

	rig_start_three_with("/a");
	rig_connect(2);
	rig_run(100);
	simdisk_fail_at(rig_nodes[2].disk, simdisk_ops(rig_nodes[2].disk) + 1, -ENOSPC);
	rig_ask_create(2, "/p", 5);
	rig_run(100);
	ck_assert(!rig_serves(2));
	ck_assert_uint_eq(rig_answers(2, &error), 0);
	rig_crash(2, false);
	rig_create((unsigned)rig_settle(), "/q");
}
END_TEST

/* No error: its disk only takes nothing more. Its clients would wait for answers for ever. */
START_TEST(zk2247_a_leader_whose_log_hangs_gives_up_and_others_go_on)
{
	rig_start_three_with("/a");
	rig_connect(2);
	rig_run(100);
	rig_nodes[2].hold_sync = true;
	rig_ask_create(2, "/p", 5);
	rig_run((RIG_SYNC_LIMIT + 2) * RIG_TICK_MS);
	ck_assert(!rig_serves(2) && rig_nodes[2].client.gone);
	rig_create((unsigned)rig_settle_others(2), "/q");
	ck_assert(!rig_serves(2)); /* nor does it follow before its log has all */
	rig_nodes[2].hold_sync = false;
	rig_settle();
	ck_assert(rig_has(2, "/p") && rig_has(2, "/q")); /* two of three had p */
	rig_check_same();
}
END_TEST

/* The leader goes on without a follower, and does not see what an observer has on disk. */
START_TEST(zk2247_a_learner_whose_log_hangs_serves_no_longer)
{
	unsigned learner = _i == 0 ? 0 : 3;

	rig_setup(3, 1);
	rig_start_all();
	ck_assert_int_eq(rig_settle(), 2);
	rig_connect(learner);
	rig_nodes[learner].hold_sync = true;
	rig_create(2, "/p");
	rig_run((RIG_SYNC_LIMIT + 3) * RIG_TICK_MS);
	ck_assert(!rig_serves(learner) && rig_nodes[learner].client.gone);
	ck_assert(rig_serves(2));
	rig_nodes[learner].hold_sync = false;
	rig_settle();
	rig_check_same();
	rig_teardown();
}
END_TEST

/* It had nothing to take while there was no role; when there is one, its time begins anew. */
START_TEST(zk2247_a_log_that_had_nothing_to_do_did_not_hang)
{
	rig_start_three_with("/a");
	rig_connect(2);
	rig_run(100);
	rig_isolate(0, true);
	rig_run((RIG_SYNC_LIMIT + 2) * RIG_TICK_MS);
	rig_isolate(0, false);
	rig_nodes[0].hold_sync = true;
	for (unsigned i = 0; i < 200 && !rig_serves(0); i++) {
		char path[32];

		snprintf(path, sizeof path, "/p%u", i);
		if (rig_nodes[0].peer.learner.phase >= LEARNER_FOLLOWING_UP)
			rig_ask_create(2, path, 5);
		if (!rig_step())
			rig_now_ms++;
	}
	ck_assert(rig_serves(0));
	ck_assert_uint_gt(rig_nodes[0].server.pending_count, 0);
	rig_run(1000);
	ck_assert(rig_serves(0));
	rig_nodes[0].hold_sync = false;
	rig_settle();
	rig_check_same();
}
END_TEST

/* How much the leader has committed when it asks 0 whether it is in sync; -1: not yet. */
static int64_t
asked(void)
{
	const struct list *links = &rig_nodes[2].peer.zab.links;

	for (const struct list *it = links->next; it != links; it = it->next) {
		const struct peer_link *l = CONTAINER_OF(it, struct peer_link, link);

		if (l->sid == 1 && l->end == PEER_LINK_OPEN && l->stage == LEARNER_ASKED)
			return rig_nodes[2].peer.leader.committed;
	}
	return -1;
}

START_TEST(zk3104_who_agrees_has_all_that_was_committed_beside_its_snapshot)
{
	int64_t had = -1;

	rig_zab_settings.force_snapshot_sync = true;
	rig_start_three_with("/a");
	rig_crash(0, false);
	rig_connect(2);
	rig_run(100);
	rig_set_link_bytes(100);
	rig_start(0);
	for (unsigned i = 0; i < 500 && rig_nodes[0].peer.learner.phase < LEARNER_AGREED; i++) {
		char path[32];

		snprintf(path, sizeof path, "/p%u", i);
		rig_ask_create(2, path, 5);
		rig_step();
		if (had < 0)
			had = asked();
	}
	ck_assert_int_ge(had, 0);
	ck_assert_int_ge(rig_nodes[0].peer.learner.phase, LEARNER_AGREED);
	rig_crash(0, true);
	rig_start(0);
	ck_assert_int_ge(zab_last_zxid(&rig_nodes[0].peer.zab), had);
	rig_settle();
	rig_check_same();
}
END_TEST

/* What is in memory shows in the vote, what is on disk after a restart: they must be the same. */
START_TEST(zk2678_memory_is_what_is_on_disk_whenever_a_role_ends)
{
	rig_start_three_with("/a");
	for (unsigned i = 0; i < 6; i++) {
		unsigned leads = (unsigned)rig_settle();
		char path[32];

		snprintf(path, sizeof path, "/p%u", i);
		rig_log_alone(leads, path);
		rig_check_disk(leads);
		rig_settle_others(leads);
		for (unsigned k = 0; k < 3; k++)
			rig_check_disk(k);
		rig_isolate(leads, false);
	}
	rig_settle();
	rig_check_same();
}
END_TEST

/* Server 1 alone has p; 0 and 2 begin an epoch without it and write snapshots that are named so. */
START_TEST(zk2832_an_epoch_without_a_transaction_counts_against_a_tail)
{
	rig_start(0);
	rig_start(1);
	ck_assert_int_eq(rig_settle(), 1);
	rig_start(2);
	rig_settle();
	rig_create(1, "/a");
	rig_log_alone(1, "/p");
	rig_crash(1, false);
	rig_isolate(1, false);
	ck_assert_int_eq(rig_settle(), 2);
	rig_snapshot(0);
	rig_snapshot(2);
	rig_crash(_i == 0 ? 0 : 2, false);
	rig_crash(_i == 0 ? 2 : 0, false);
	rig_start(1);
	rig_start(_i == 0 ? 2 : 0);
	ck_assert_int_ne(rig_settle(), 1);
	rig_start(_i == 0 ? 0 : 2);
	rig_settle();
	rig_check_same();
	for (unsigned i = 0; i < 3; i++)
		ck_assert(!rig_has(i, "/p"));
}
END_TEST

/* The leader dies while it sends p, an ephemeral node; 0 alone has heard of it. */
START_TEST(zk5010_an_ephemeral_node_that_was_not_committed_is_in_no_memory)
{
	rig_start_three_with("/a");
	rig_connect(2);
	rig_run(100);
	rig_nodes[2].hold_sync = true;
	rig_cut(1, 2, true);
	rig_throttle(2, true); /* it does not hear what 0 acknowledges */
	rig_ask_ephemeral(2, "/p");
	rig_run(10);
	rig_crash(2, true);
	rig_throttle(2, false);
	rig_cut(1, 2, false);
	rig_isolate(0, true);
	rig_start(2);
	rig_settle_others(0);
	ck_assert(rig_has(0, "/p"));
	rig_isolate(0, false);
	rig_settle();
	for (unsigned i = 0; i < 3; i++)
		ck_assert(!rig_has(i, "/p"));
	rig_create(0, "/q");
	rig_check_same();
}
END_TEST

/* Flip a bit of the newest file. False: it is not so long. */
static bool
damage_log(unsigned i, uint64_t offset)
{
	struct datadir_list list;
	struct fault f = {0};
	char name[DATADIR_NAME_BYTES];

	ck_assert_int_eq(datadir_list(rig_nodes[i].store, "log", &list, &f), 0);
	ck_assert_uint_gt(list.count, 0);
	datadir_name(name, "log", list.entries[list.count - 1].zxid);
	datadir_list_free(&list);
	return simdisk_flip_bit(rig_nodes[i].disk, name, offset, 3);
}

/* A bit of its log flips while it is down; the others have what it had. */
START_TEST(zab_a_damaged_member_does_not_vote_and_is_made_anew_from_the_others)
{
	struct rig_node *n = &rig_nodes[0];

	rig_start_three_with("/a");
	rig_create(2, "/p");
	rig_create(2, "/q");
	rig_run(100);
	rig_crash(0, false);
	ck_assert(simdisk_flip_bit(n->disk, "log.100000001", 200, 3));
	ck_assert(!rig_try_start(0));
	ck_assert_ptr_nonnull(strstr(n->fatal, "log.100000001: no valid record at offset"));
	/* As it says: its directory is emptied. */
	simdisk_free(n->disk);
	n->disk = simdisk_new(77, UINT64_MAX);
	n->store = simdisk_store(n->disk);
	rig_start(0);
	rig_settle();
	ck_assert(rig_has(0, "/p") && rig_has(0, "/q"));
	rig_check_same();
}
END_TEST

/* What a learner lacks is in the leader's log alone, and a bit of that has flipped. */
START_TEST(zab_a_leader_whose_log_is_damaged_sends_a_snapshot)
{
	rig_zab_settings.history_count = 3;
	rig_zab_settings.log_sync_percent = 1 << 20;
	rig_start_three_with("/a");
	rig_snapshot(2);
	rig_create_sized(2, "/b", 500);
	rig_run(100);
	rig_crash(0, false);
	for (unsigned i = 0; i < 20; i++) {
		char path[32];

		snprintf(path, sizeof path, "/p%u", i);
		rig_create_sized(2, path, 500);
	}
	ck_assert(damage_log(2, 10 * 500));
	rig_start(0);
	rig_settle();
	ck_assert_uint_eq(rig_nodes[0].snapshots_taken, 1);
	ck_assert(rig_has(0, "/p19"));
	ck_assert_int_eq(rig_leader(), 2);
}
END_TEST

/* Server 0 is sent what it lacks for three times as long as the limits allow without it. */
/* Nor does anybody wait for one that is only about to be sent. */
START_TEST(zk4858_writes_and_syncs_go_on_beside_a_snapshot)
{
	int32_t error;

	rig_zab_settings.force_snapshot_sync = true;
	rig_start_three_with("/a");
	rig_crash(0, false);
	rig_connect(2);
	rig_run(100);
	rig_nodes[2].hold_snapshots = true;
	rig_start(0);
	rig_run(2 * RIG_TICK_MS);
	ck_assert(!rig_serves(0));
	rig_ask_create(2, "/b", 5);
	rig_ask_sync(2);
	rig_run(100);
	ck_assert_uint_eq(rig_answers(2, &error), 2);
	ck_assert_int_eq(error, 0);
	rig_nodes[2].hold_snapshots = false;
	rig_settle();
	ck_assert_uint_gt(rig_nodes[0].snapshots_taken, 0);
	rig_check_same();
}
END_TEST

START_TEST(zk1697_a_synchronization_may_take_longer_than_the_limits)
{
	const unsigned seconds = 3 * RIG_TICK_MS * RIG_INIT_LIMIT / 1000;

	rig_zab_settings.out_soft_bytes = 2000;
	rig_start_three_with("/a");
	rig_crash(0, false);
	for (unsigned i = 0; i < seconds; i++) {
		char path[32];

		snprintf(path, sizeof path, "/large-%u", i);
		rig_create_sized(2, path, 1000);
	}
	rig_crash(1, false);
	rig_run(30000);
	rig_throttle(0, true);
	rig_start(0); /* it and 2 are a quorum when it is in sync */
	rig_set_link_bytes(1000);
	for (unsigned i = 0; i < seconds; i++) {
		rig_run(1000);
		rig_throttle(0, false);
		rig_step();
		rig_throttle(0, true);
	}
	ck_assert(rig_leader() < 0);
	rig_throttle(0, false);
	ck_assert_int_eq(rig_settle(), 2);
	ck_assert_int_eq(rig_nodes[2].peer.zab.epochs.current, 2); /* at the first attempt */
	ck_assert_uint_eq(rig_nodes[0].snapshots_taken, 0);
	rig_check_same();
}
END_TEST

/* When two of three stop hearing each other. */
enum moment {
	BEFORE_ALL,
	IN_THE_ELECTION,
	WHEN_ALL_SERVE,
	IN_A_WRITE,
	IN_A_SYNCHRONIZATION,
	IN_A_SNAPSHOT,
	WITH_A_CLIENT,
	MOMENTS
};

static void
let_server_0_come_back(void)
{
	rig_settle();
	rig_crash(0, false);
	for (unsigned i = 0; i < 5; i++) {
		char path[32];

		snprintf(path, sizeof path, "/s%u", i);
		rig_create_sized(2, path, 300);
	}
	rig_set_link_bytes(50);
	rig_start(0);
	for (unsigned i = 0; i < 20; i++)
		rig_step();
	ck_assert(!rig_serves(0));
	rig_set_link_bytes(0);
}

static void
come_to(enum moment m, unsigned client_at)
{
	rig_zab_settings.force_snapshot_sync = m == IN_A_SNAPSHOT;
	rig_start_all();
	if (m == BEFORE_ALL)
		return;
	if (m == IN_THE_ELECTION) {
		rig_step();
		return;
	}
	ck_assert_int_eq(rig_settle(), 2);
	if (m == IN_A_SYNCHRONIZATION || m == IN_A_SNAPSHOT)
		let_server_0_come_back();
	if (m != IN_A_WRITE && m != WITH_A_CLIENT)
		return;
	rig_connect(client_at);
	rig_ask_ephemeral(client_at, "/mine");
	if (m == WITH_A_CLIENT)
		rig_run(100);
	else
		rig_step();
}

/* The third hears both: no leader is left for that more than once. */
START_TEST(zab_half_a_partition_changes_no_leader_for_ever)
{
	static const unsigned pairs[3][2] = {{0, 1}, {0, 2}, {1, 2}};
	const unsigned *pair = pairs[_i / MOMENTS];
	unsigned leader;
	int32_t before, epoch;

	rig_cut(pair[0], pair[1], _i % MOMENTS == BEFORE_ALL);
	come_to((enum moment)(_i % MOMENTS), pair[0]);
	before = rig_nodes[2].peer.zab.epochs.current;
	rig_cut(pair[0], pair[1], true);
	rig_run(60000);
	ck_assert_int_ge(rig_leader(), 0);
	leader = (unsigned)rig_leader();
	epoch = rig_nodes[leader].peer.zab.epochs.current;
	ck_assert_int_le(epoch, before + 1);
	for (unsigned i = 0; i < 10; i++) {
		char path[32];

		snprintf(path, sizeof path, "/p%u", i);
		rig_connect(leader);
		rig_create(leader, path);
		rig_disconnect(leader);
		rig_run(60000);
	}
	ck_assert_int_eq(rig_leader(), (int)leader);
	ck_assert_int_eq(rig_nodes[leader].peer.zab.epochs.current, epoch);
	rig_disconnect(pair[0]);
	rig_cut(pair[0], pair[1], false);
	rig_settle();
	rig_run(60000);
	ck_assert(!rig_has(leader, "/mine"));
	rig_check_same();
}
END_TEST

/* What etcd had as issue 14370: a server alone answered before its own disk. */
START_TEST(zab_a_server_alone_answers_what_its_disk_has)
{
	int32_t error;

	rig_setup(1, 0);
	rig_start(0);
	rig_settle();
	rig_connect(0);
	rig_nodes[0].hold_sync = true;
	rig_ask_create(0, "/p", 5);
	rig_run(1000);
	ck_assert_uint_eq(rig_answers(0, &error), 0);
	ck_assert(!rig_has(0, "/p"));
	rig_nodes[0].hold_sync = false;
	rig_run(10);
	ck_assert_uint_eq(rig_answers(0, &error), 1);
	rig_crash(0, true);
	rig_start(0);
	ck_assert(rig_has(0, "/p"));
	rig_teardown();
}
END_TEST

#define SERVER(n) "server." #n "=10.0.0." #n ":2888:3888:participant;2181\n"

/* Without reconfiguration each is started again with the new list. */
START_TEST(zk2819_members_that_are_added_by_restarts_count)
{
	rig_setup(5, 0);
	for (unsigned i = 0; i < 3; i++)
		rig_write_members(i, SERVER(1) SERVER(2) SERVER(3));
	for (unsigned i = 0; i < 3; i++)
		rig_start(i);
	rig_create((unsigned)rig_settle(), "/a");
	for (unsigned i = 5; i-- > 0;) {
		rig_crash(i, false);
		rig_write_members(i, SERVER(1) SERVER(2) SERVER(3) SERVER(4) SERVER(5));
		rig_start(i);
		rig_run(60000);
	}
	rig_create((unsigned)rig_settle(), "/b");
	rig_check_same();
	rig_crash(0, false);
	rig_crash(1, false);
	rig_create((unsigned)rig_settle(), "/c"); /* three of five */
	rig_crash(2, false);
	rig_run(60000);
	ck_assert_int_eq(rig_leader(), -1);
	rig_teardown();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("recipes");
	TCase *t = tcase_create("three"), *own = tcase_create("others");

	tcase_add_checked_fixture(t, rig_setup_three, rig_teardown);
	tcase_add_test(t, zk4925_what_came_in_a_synchronization_is_sent_on);
	tcase_add_loop_test(t, zk4882_what_a_failing_disk_lost_is_never_counted, 0, 2);
	tcase_add_test(t, zk2247_a_leader_whose_log_fails_leads_no_longer);
	tcase_add_test(t, zk2247_a_leader_whose_log_hangs_gives_up_and_others_go_on);
	tcase_add_test(t, zk2247_a_log_that_had_nothing_to_do_did_not_hang);
	tcase_add_test(t, zk3104_who_agrees_has_all_that_was_committed_beside_its_snapshot);
	tcase_add_test(t, zk2678_memory_is_what_is_on_disk_whenever_a_role_ends);
	tcase_add_loop_test(t, zk2832_an_epoch_without_a_transaction_counts_against_a_tail, 0, 2);
	tcase_add_test(t, zk5010_an_ephemeral_node_that_was_not_committed_is_in_no_memory);
	tcase_add_test(t, zab_a_damaged_member_does_not_vote_and_is_made_anew_from_the_others);
	tcase_add_test(t, zab_a_leader_whose_log_is_damaged_sends_a_snapshot);
	tcase_add_test(t, zk4858_writes_and_syncs_go_on_beside_a_snapshot);
	tcase_add_test(t, zk1697_a_synchronization_may_take_longer_than_the_limits);
	tcase_add_loop_test(t, zab_half_a_partition_changes_no_leader_for_ever, 0, 3 * MOMENTS);
	tcase_add_loop_test(own, zk2247_a_learner_whose_log_hangs_serves_no_longer, 0, 2);
	tcase_add_test(own, zab_a_server_alone_answers_what_its_disk_has);
	tcase_add_test(own, zk2819_members_that_are_added_by_restarts_count);
	suite_add_tcase(s, t);
	suite_add_tcase(s, own);
	return s;
}
