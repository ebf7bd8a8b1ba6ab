/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bugs that ZooKeeper's servers had, each as the story that showed it: what was logged before it
 * was durable, epochs before histories, memory and disk that disagree after a change of roles. The
 * number is that of ZooKeeper's issue. Each is run with a bug planted, too, that it must find: see
 * recipes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/peer_rig.h"
#include "tests/lib/unit.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txn.h"

START_TEST(zk335_a_tail_of_an_old_leader_is_gone_for_good)
{
	rig_start_three_with("/a");
	rig_log_alone(2, "/p");
	for (unsigned i = 0; i < 3; i++)
		rig_crash(i, false);
	rig_isolate(2, false);
	rig_start(0);
	rig_start(1);
	rig_create((unsigned)rig_settle(), "/q");
	rig_start(2);
	rig_settle();
	rig_check_same();
	for (unsigned i = 0; i < 3; i++)
		ck_assert(rig_has(i, "/q") && !rig_has(i, "/p"));
}
END_TEST

START_TEST(zk2845_a_tail_is_cut_from_memory_and_disk_without_a_restart)
{
	rig_start_three_with("/a");
	rig_log_alone(2, "/p");
	ck_assert(rig_has(2, "/p")); /* all that it has logged it shows in its vote */
	rig_settle_others(2);
	rig_isolate(2, false);
	rig_settle();
	rig_check_same();
	for (unsigned i = 0; i < 3; i++)
		ck_assert(!rig_has(i, "/p"));
	ck_assert_uint_eq(rig_nodes[2].truncations, 1);
	rig_crash(2, true);
	rig_start(2);
	rig_settle();
	ck_assert(!rig_has(2, "/p"));
}
END_TEST

START_TEST(zk2845_and_so_it_is_after_the_others_have_written)
{
	rig_start_three_with("/a");
	rig_log_alone(2, "/p");
	rig_settle_others(2);
	rig_create((unsigned)rig_leader(), "/q");
	rig_isolate(2, false);
	rig_settle();
	rig_check_same();
	for (unsigned i = 0; i < 3; i++)
		ck_assert(rig_has(i, "/q") && !rig_has(i, "/p"));
}
END_TEST

/* p is on the disk of one, which becomes leader of two others whose disks are slow. */
static void
lead_slow_ones(void)
{
	rig_start_three_with("/a");
	rig_connect(2);
	rig_run(100);
	rig_ask_create(2, "/p", 5);
	rig_crash(0, false);
	rig_crash(1, false);
	rig_run(10);
	rig_start(0);
	rig_start(1);
	rig_nodes[0].hold_sync = rig_nodes[1].hold_sync = true;
	rig_run(3000);
}

START_TEST(zk3911_nobody_agrees_before_it_has_the_history_on_disk)
{
	bool served;

	lead_slow_ones();
	served = rig_serves(2);
	rig_crash(2, false);
	rig_crash(0, true);
	rig_crash(1, true);
	rig_start(0);
	rig_start(1);
	rig_settle();
	ck_assert_msg(!served || rig_has(0, "/p"), "p was served, and is lost");
	ck_assert(!served);
}
END_TEST

START_TEST(zk4646_a_slow_sync_is_waited_for)
{
	lead_slow_ones();
	ck_assert(!rig_serves(2));
	rig_nodes[0].hold_sync = rig_nodes[1].hold_sync = false;
	ck_assert_int_eq(rig_settle(), 2);
	rig_crash(2, false);
	rig_crash(0, true);
	rig_crash(1, true);
	rig_start(0);
	rig_start(1);
	rig_settle();
	ck_assert(rig_has(0, "/p") && rig_has(1, "/p"));
}
END_TEST

/*
 * Lives in which a disk fails at the first operation, the second, and so on, until one does not
 * come so far, which it says; the process ends with the disk, or the power goes.
 */
static void
fail_at_each_operation(bool (*life)(uint64_t op, bool power), uint64_t operations_min)
{
	for (int power = 0; power < 2; power++) {
		uint64_t op = 1;

		while (!life(op, power) && op < 500)
			op++;
		ck_assert_uint_gt(op, operations_min);
		ck_assert_uint_lt(op, 500);
	}
}

/* The power of server 0 goes at its disk's operation number `op` of a synchronization. */
static bool
sync_up_to(uint64_t op, bool power)
{
	struct epochs epochs;
	bool reached, has;

	rig_setup(3, 0);
	rig_start_three_with("/a");
	rig_crash(0, false);
	rig_create(2, "/p");
	rig_crash(1, false);
	rig_run(10);
	simdisk_stop_at(rig_nodes[0].disk, simdisk_ops(rig_nodes[0].disk) + op);
	if (!rig_try_start(0)) {
		rig_crash(0, power);
		rig_teardown();
		return false;
	}
	rig_run(5000);
	reached = simdisk_stopped(rig_nodes[0].disk);
	rig_crash(0, power);
	simdisk_stop_at(rig_nodes[0].disk, 0);
	rig_crash(2, false);
	rig_start(0);
	epochs = rig_nodes[0].peer.zab.epochs;
	has = rig_has(0, "/p");
	ck_assert_msg(epochs.current < 2 || has,
	    "operation %llu: it says that it is in epoch %d and lacks what its leader had",
	    (unsigned long long)op, (int)epochs.current);
	rig_teardown();
	return !reached;
}

START_TEST(zk4643_an_epoch_is_entered_behind_the_history_of_its_leader)
{
	fail_at_each_operation(sync_up_to, 5);
}
END_TEST

static bool
serves_first(void *arg)
{
	(void)arg;
	return rig_serves(0);
}

START_TEST(zk3023_who_serves_has_applied_what_was_committed)
{
	rig_start_three_with("/a");
	rig_crash(0, false);
	rig_create(2, "/p");
	rig_set_link_bytes(64);
	rig_start(0);
	ck_assert(rig_run_until(serves_first, NULL, 20000));
	ck_assert(rig_has(0, "/p"));
}
END_TEST

START_TEST(zk3642_an_interrupted_snapshot_leaves_the_old_history_or_the_new)
{
	for (size_t bytes = 50; bytes < 4000; bytes += 41) {
		rig_setup(3, 0);
		rig_zab_settings.force_snapshot_sync = true;
		rig_start_three_with("/a");
		rig_crash(0, false);
		for (unsigned i = 0; i < 20; i++) {
			char path[32];

			snprintf(path, sizeof path, "/p%u", i);
			rig_create(2, path);
		}
		rig_set_link_bytes(31);
		rig_start(0);
		while (!rig_break_link_after(0, bytes))
			rig_step();
		rig_settle();
		rig_check_same();
		rig_crash(0, true);
		rig_start(0);
		ck_assert(rig_has(0, "/p19"));
		rig_teardown();
	}
}
END_TEST

static struct datadir_list
files(unsigned i, const char *prefix)
{
	struct datadir_list list;
	struct fault f = {0};

	ck_assert_int_eq(datadir_list(rig_nodes[i].store, prefix, &list, &f), 0);
	return list;
}

/* Of the log's files; UINT64_MAX: there is none. */
static uint64_t
oldest_log(unsigned i)
{
	struct datadir_list list = files(i, "log");
	uint64_t zxid = list.count > 0 ? list.entries[0].zxid : UINT64_MAX;

	datadir_list_free(&list);
	return zxid;
}

static uint64_t
newest_snapshot(unsigned i)
{
	struct datadir_list list = files(i, "snapshot");
	uint64_t zxid = list.entries[list.count - 1].zxid;

	datadir_list_free(&list);
	return zxid;
}

/* Server 0, which has a tail of its own, gets a snapshot; its power goes at operation `op`. */
static bool
receive_up_to(uint64_t op, bool power)
{
	bool reached, older, newer;

	rig_setup(3, 0);
	rig_zab_settings.force_snapshot_sync = true;
	rig_start(0);
	rig_start(1);
	ck_assert_int_eq(rig_settle(), 1);
	rig_start(2);
	rig_settle();
	rig_create(1, "/a");
	rig_log_alone(1, "/p");
	rig_settle_others(1);
	rig_create((unsigned)rig_leader(), "/q");
	simdisk_stop_at(rig_nodes[1].disk, simdisk_ops(rig_nodes[1].disk) + op);
	rig_isolate(1, false);
	rig_run(10000);
	reached = simdisk_stopped(rig_nodes[1].disk);
	rig_crash(1, power);
	simdisk_stop_at(rig_nodes[1].disk, 0);
	rig_start(1);
	older = rig_has(1, "/a") && rig_has(1, "/p") && !rig_has(1, "/q");
	newer = rig_has(1, "/a") && !rig_has(1, "/p") && rig_has(1, "/q");
	ck_assert_msg(older || newer, "operation %llu: neither the old history nor the new",
	    (unsigned long long)op);
	/* Nothing old may lie before what was received, where a gap would not be seen. */
	if (newer)
		ck_assert_uint_gt(oldest_log(1), newest_snapshot(1));
	rig_settle();
	rig_check_same();
	rig_teardown();
	return !reached;
}

START_TEST(zk2872_a_crash_in_the_middle_of_taking_a_snapshot_over_mixes_nothing)
{
	fail_at_each_operation(receive_up_to, 10);
}
END_TEST

/* The same for a truncation, with a snapshot above it. */
static bool
truncate_up_to(uint64_t op, bool power)
{
	bool reached;

	rig_setup(3, 0);
	rig_start_three_with("/a");
	rig_log_alone(2, "/p");
	rig_snapshot(2);
	rig_settle_others(2);
	simdisk_stop_at(rig_nodes[2].disk, simdisk_ops(rig_nodes[2].disk) + op);
	rig_isolate(2, false);
	rig_run(10000);
	reached = simdisk_stopped(rig_nodes[2].disk);
	rig_crash(2, power);
	simdisk_stop_at(rig_nodes[2].disk, 0);
	rig_start(2);
	ck_assert(rig_has(2, "/a"));
	rig_settle();
	rig_check_same();
	ck_assert(!rig_has(2, "/p"));
	rig_teardown();
	return !reached;
}

START_TEST(zk1489_a_crash_in_the_middle_of_a_truncation_loses_nothing_else)
{
	fail_at_each_operation(truncate_up_to, 5);
}
END_TEST

START_TEST(zk5094_an_interrupted_truncation_leaves_no_gap)
{
	for (size_t bytes = 30; bytes < 700; bytes += 7) {
		rig_setup(3, 0);
		rig_start_three_with("/a");
		rig_log_alone(2, "/p");
		rig_settle_others(2);
		rig_set_link_bytes(13);
		rig_isolate(2, false);
		while (!rig_break_link_after(2, bytes))
			rig_step();
		rig_settle();
		rig_create((unsigned)rig_leader(), "/q");
		rig_check_same();
		rig_crash(2, true);
		rig_start(2);
		rig_settle();
		rig_check_same();
		ck_assert(rig_has(2, "/q") && !rig_has(2, "/p"));
		rig_teardown();
	}
}
END_TEST

START_TEST(zk4541_what_is_queued_for_a_slow_disk_is_logged_before_the_vote)
{
	rig_start_three_with("/a");
	rig_connect(2);
	rig_run(100);
	rig_nodes[0].hold_sync = true;
	rig_ask_create(2, "/p", 5);
	rig_run(10);
	ck_assert_uint_gt(rig_nodes[0].server.pending_count, 0);
	rig_crash(2, true);
	rig_run(3000);
	/* It must not take part with less than its log will have. */
	ck_assert(!rig_serves(0) && !rig_serves(1));
	rig_nodes[0].hold_sync = false;
	rig_settle();
	ck_assert(rig_has(0, "/p") && rig_has(1, "/p")); /* 1 has logged it, it was committed */
	rig_start(2);
	rig_settle();
	rig_check_same();
}
END_TEST

START_TEST(zk1549_a_snapshot_of_what_is_cut_does_not_bring_it_back)
{
	rig_start_three_with("/a");
	rig_log_alone(2, "/p");
	rig_snapshot(2); /* as a server of Apache's takes it at its start */
	rig_settle_others(2);
	rig_isolate(2, false);
	rig_settle();
	ck_assert_uint_eq(rig_nodes[2].truncations, 1);
	ck_assert(!rig_has(2, "/p"));
	rig_check_same();
	rig_crash(2, true);
	rig_start(2);
	ck_assert(!rig_has(2, "/p"));
	rig_settle();
	rig_check_same();
}
END_TEST

START_TEST(zk4837_a_cut_below_the_only_snapshot_asks_for_another)
{
	rig_start_three_with("/a");
	rig_log_alone(2, "/p");
	rig_snapshot(2);
	rig_remove_snapshots_but_newest(2);
	rig_settle_others(2);
	rig_isolate(2, false);
	rig_settle();
	ck_assert_uint_eq(rig_nodes[2].truncations, 0);
	ck_assert_uint_eq(rig_nodes[2].snapshots_taken, 1);
	rig_check_same();
	ck_assert(!rig_has(2, "/p"));
}
END_TEST

/* Its newest snapshot is behind the damage, so that it has started all the same. */
START_TEST(a_cut_in_a_log_that_is_damaged_below_it_asks_for_a_snapshot)
{
	struct rig_node *n = &rig_nodes[2];

	rig_start_three_with("/a");
	rig_log_alone(2, "/p");
	rig_snapshot(2);
	if (_i == 0)
		ck_assert(simdisk_flip_bit(n->disk, "log.100000001", 200, 3));
	else
		ck_assert_int_eq(store_unlink(n->store, "log.100000001"), 0);
	rig_settle_others(2);
	rig_isolate(2, false);
	rig_settle();
	ck_assert(!n->failed);
	ck_assert_uint_eq(n->truncations, 0);
	ck_assert_uint_eq(n->snapshots_taken, 1);
	rig_check_same();
	ck_assert(!rig_has(2, "/p"));
}
END_TEST

START_TEST(zk2355_a_proposal_that_was_cut_in_the_middle_comes_again)
{
	for (size_t bytes = 1; bytes < 300; bytes += 11) {
		rig_setup(3, 0);
		rig_start_three_with("/a");
		rig_connect(2);
		rig_run(100);
		rig_set_link_bytes(17);
		rig_break_link_after(0, bytes);
		rig_create(2, "/p");
		rig_create(2, "/q");
		rig_settle();
		rig_check_same();
		ck_assert(rig_has(0, "/p") && rig_has(0, "/q"));
		rig_teardown();
	}
}
END_TEST

START_TEST(zab_nothing_is_acknowledged_before_it_is_durable)
{
	int32_t error;

	rig_start_three_with("/a");
	rig_connect(2);
	rig_run(100);
	for (unsigned i = 0; i < 3; i++)
		rig_nodes[i].hold_sync = true;
	rig_ask_create(2, "/p", 5);
	rig_run(1000);
	ck_assert_uint_eq(rig_answers(2, &error), 0);
	rig_nodes[0].hold_sync = rig_nodes[1].hold_sync = false;
	rig_run(10);
	/* Committed by a quorum without the leader's disk; its own answer waits for that. */
	ck_assert(rig_has(0, "/p") && rig_has(1, "/p"));
	rig_crash(2, true);
	rig_settle();
	ck_assert(rig_has((unsigned)rig_leader(), "/p"));
}
END_TEST

START_TEST(a_reconnecting_follower_keeps_what_its_leader_has_not_committed_yet)
{
	unsigned dials, taken;

	rig_zab_settings.force_snapshot_sync = _i == 1;
	rig_start_three_with("/a");
	rig_connect(2);
	rig_run(100);
	/* p is durable at 0 only; 2, which leads, and 1 are slow. */
	rig_nodes[1].hold_sync = rig_nodes[2].hold_sync = true;
	rig_ask_create(2, "/p", 5);
	rig_run(10);
	dials = rig_nodes[0].dial_count;
	taken = rig_nodes[0].snapshots_taken;
	rig_break_link_after(0, 1);
	rig_run(RIG_TICK_MS); /* a ping comes, and breaks it */
	ck_assert_uint_gt(rig_nodes[0].dial_count, dials);
	ck_assert_uint_eq(rig_nodes[0].truncations, 0);
	ck_assert_uint_eq(rig_nodes[0].snapshots_taken, taken);
	ck_assert(!rig_serves(0)); /* it has more than is committed */
	rig_nodes[1].hold_sync = rig_nodes[2].hold_sync = false;
	rig_settle();
	ck_assert(rig_has(0, "/p"));
	rig_check_same();
}
END_TEST

/* The last record that each has; the first two lack those of the last, which so leads. */
static void
write_old_epoch(unsigned i, int64_t from, int64_t to)
{
	struct rig_node *n = &rig_nodes[i];
	const struct hash_key key = {1, 2};
	struct txnlog_batch batch;
	struct fault f = {0};
	struct txnlog log;
	struct db db;

	ck_assert(db_init(&db, &key, RIG_TICK_MS));
	db.last_zxid = from;
	ck_assert_int_eq(snapshot_write(n->store, &db, &f), 0);
	db_fini(&db);
	txnlog_init(&log, n->store, 0);
	txnlog_batch_init(&batch);
	for (int64_t zxid = from + 1; zxid <= to; zxid++) {
		struct txn_header header = {.zxid = zxid, .type = ZK_OP_ERROR};
		struct txn_body body = {.type = ZK_OP_ERROR, .error = -1};
		struct buf b;

		buf_init(&b, 4096);
		txn_put_header(&b, &header);
		txn_put_body(&b, &body);
		ck_assert_int_eq(txnlog_append(&log, &batch, b.data, b.len), 0);
		buf_fini(&b);
	}
	if (batch.count > 0) {
		txnlog_seal(&log, &batch);
		ck_assert_int_eq(txnlog_write(&log, &batch, &f), 0);
	}
	txnlog_batch_clear(&log, &batch);
	txnlog_batch_fini(&batch);
	txnlog_fini(&log);
}

START_TEST(zk1277_an_epoch_that_ended_with_its_last_zxid_is_followed_by_the_next)
{
	int64_t last = (INT64_C(1) << 32) + UINT32_MAX;

	for (unsigned i = 0; i < 3; i++)
		write_old_epoch(i, last - 15, i == 0 ? last - 15 : i == 1 ? last - 5 : last);
	rig_start_all();
	ck_assert_int_eq(rig_settle(), 2);
	rig_create(0, "/a");
	rig_run(100);
	rig_check_same();
	ck_assert_int_eq(rig_nodes[2].peer.zab.epochs.current, 2);
	ck_assert_int_eq(zab_last_zxid(&rig_nodes[0].peer.zab) >> 32, 2);
	for (unsigned i = 0; i < 3; i++) {
		rig_crash(i, true);
		rig_start(i);
	}
	rig_settle();
	rig_check_same();
	for (unsigned i = 0; i < 3; i++)
		ck_assert(rig_has(i, "/a"));
}
END_TEST

/* That the server sets this behind 0xffffffff is zkserver_roles_test's. */
START_TEST(zk1277_a_leadership_ends_before_its_zxids_do)
{
	rig_start_three_with("/a");
	rig_nodes[2].server.zxids_end = true;
	rig_run(1);
	rig_create((unsigned)rig_settle(), "/b");
	rig_run(100);
	rig_check_same();
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(rig_nodes[i].peer.zab.epochs.current, 2);
		ck_assert(rig_has(i, "/a") && rig_has(i, "/b"));
	}
}
END_TEST

/* Its files say that it has promised this epoch, and been in that one. */
static void
rewrite_epochs(unsigned i, int32_t accepted, int32_t current)
{
	struct rig_node *n = &rig_nodes[i];
	struct epochs e = {0};
	struct fault f = {0};

	if (current > 0)
		ck_assert_int_eq(epochs_accept(n->store, &e, current, &f), 0);
	if (current > 0)
		ck_assert_int_eq(epochs_enter(n->store, &e, current, &f), 0);
	ck_assert_int_eq(epochs_accept(n->store, &e, accepted, &f), 0);
}

/* A member starts with such files while the others have been led for long. */
static int
lead_and_start_with_epochs(int32_t accepted, int32_t current)
{
	int leader;

	rig_start_three_with("/a");
	rig_crash(0, false);
	rig_run(2 * RIG_INIT_LIMIT * RIG_TICK_MS);
	leader = rig_leader();
	rewrite_epochs(0, accepted, current);
	rig_start(0);
	rig_run(4 * RIG_INIT_LIMIT * RIG_TICK_MS);
	return leader;
}

START_TEST(a_directory_of_another_ensemble_does_not_take_over_one_that_is_led)
{
	int leader = lead_and_start_with_epochs(30, 30);
	const struct rig_node *n;

	ck_assert_int_eq(rig_leader(), leader);
	n = &rig_nodes[leader];
	ck_assert_int_eq(n->peer.zab.epochs.current, 1);
	ck_assert(!rig_serves(0));
	ck_assert_msg(
	    strstr(rig_nodes[0].said, "another ensemble's") != NULL, "%s", rig_nodes[0].said);
	rig_create((unsigned)leader, "/b");
}
END_TEST

START_TEST(who_has_promised_more_is_taken_in_by_a_newer_epoch)
{
	(void)lead_and_start_with_epochs(30, 1);
	ck_assert(rig_serves(0));
	ck_assert_int_eq(rig_nodes[0].peer.zab.epochs.current, 31);
	rig_check_same();
	ck_assert(rig_has(0, "/a"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("recipes");
	TCase *t = tcase_create("three"), *own = tcase_create("loops");

	tcase_add_checked_fixture(t, rig_setup_three, rig_teardown);
	tcase_set_timeout(own, 60);
	tcase_add_test(t, zk335_a_tail_of_an_old_leader_is_gone_for_good);
	tcase_add_test(t, zk2845_a_tail_is_cut_from_memory_and_disk_without_a_restart);
	tcase_add_test(t, zk2845_and_so_it_is_after_the_others_have_written);
	tcase_add_test(t, zk3911_nobody_agrees_before_it_has_the_history_on_disk);
	tcase_add_test(t, zk4646_a_slow_sync_is_waited_for);
	tcase_add_test(t, zk3023_who_serves_has_applied_what_was_committed);
	tcase_add_test(t, zk4541_what_is_queued_for_a_slow_disk_is_logged_before_the_vote);
	tcase_add_test(t, zk1549_a_snapshot_of_what_is_cut_does_not_bring_it_back);
	tcase_add_test(t, zk4837_a_cut_below_the_only_snapshot_asks_for_another);
	tcase_add_loop_test(t, a_cut_in_a_log_that_is_damaged_below_it_asks_for_a_snapshot, 0, 2);
	tcase_add_test(t, zab_nothing_is_acknowledged_before_it_is_durable);
	tcase_add_loop_test(
	    t, a_reconnecting_follower_keeps_what_its_leader_has_not_committed_yet, 0, 2);
	tcase_add_test(t, zk1277_an_epoch_that_ended_with_its_last_zxid_is_followed_by_the_next);
	tcase_add_test(t, zk1277_a_leadership_ends_before_its_zxids_do);
	tcase_add_test(t, a_directory_of_another_ensemble_does_not_take_over_one_that_is_led);
	tcase_add_test(t, who_has_promised_more_is_taken_in_by_a_newer_epoch);
	tcase_add_test(own, zk4643_an_epoch_is_entered_behind_the_history_of_its_leader);
	tcase_add_test(own, zk3642_an_interrupted_snapshot_leaves_the_old_history_or_the_new);
	tcase_add_test(own, zk2872_a_crash_in_the_middle_of_taking_a_snapshot_over_mixes_nothing);
	tcase_add_test(own, zk1489_a_crash_in_the_middle_of_a_truncation_loses_nothing_else);
	tcase_add_test(own, zk5094_an_interrupted_truncation_leaves_no_gap);
	tcase_add_test(own, zk2355_a_proposal_that_was_cut_in_the_middle_comes_again);
	suite_add_tcase(s, t);
	suite_add_tcase(s, own);
	return s;
}
