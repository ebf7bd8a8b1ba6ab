/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots, recovery and purging, on the simulated disk. */
#include "zkserver/core/recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/buf.h"
#include "tests/lib/recover_rig.h"
#include "tests/lib/unit.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/core/purge.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txnlog.h"
#include "zkserver/core/txnlog_reader.h"

START_TEST(an_empty_directory_becomes_an_empty_database_with_its_snapshot)
{
	struct recover_report report = rig_recovered(&rig_db);

	ck_assert(!report.found_snapshot);
	report = rig_recovered(&rig_db);
	ck_assert(report.found_snapshot);
	ck_assert_uint_eq(report.snapshot_zxid, 0);
}
END_TEST

START_TEST(a_snapshot_and_the_log_after_it_give_the_same_database)
{
	struct recover_report report;

	rig_snapshot();
	rig_populate(500);
	report = rig_recovered(&rig_db);
	ck_assert_uint_eq(report.replayed, (uint64_t)rig_db.last_zxid);
	rig_snapshot();
	report = rig_recovered(&rig_db);
	ck_assert_uint_eq(report.replayed, 0);
	ck_assert(report.digest_checked);
	rig_create("/late", "x", false);
	report = rig_recovered(&rig_db);
	ck_assert_uint_eq(report.replayed, 1);
}
END_TEST

START_TEST(a_log_over_a_newer_tree_changes_nothing)
{
	/* The snapshot of now under an older name: what a fuzzy one may hold at most. */
	char name[DATADIR_NAME_BYTES];
	int64_t now;

	rig_snapshot();
	rig_populate(20);
	rig_change(&(struct txn_body){.type = ZK_OP_DELETE, .path = rig_text("/a/node-3")});
	rig_change(&(struct txn_body){.type = ZK_OP_SET_DATA,
	    .path = rig_text("/a/node-4"),
	    .data = rig_text("new"),
	    .version = 1});
	now = rig_db.last_zxid;
	rig_snapshot();
	snapshot_name(name, (struct datadir_entry){.zxid = (uint64_t)now});
	ck_assert_int_eq(store_rename(rig_store, name, "snapshot.5"), 0);
	ck_assert_uint_eq(rig_recovered(&rig_db).replayed, (uint64_t)now - 5);
}
END_TEST

/* What a database is after this, in a snapshot that is named after the transaction before. */
static void
fuzzy_snapshot(const struct db *fuzzy, int64_t zxid)
{
	char name[DATADIR_NAME_BYTES], early[DATADIR_NAME_BYTES];
	struct store_file *file;
	struct fault fault = {0};

	ck_assert_int_eq(snapshot_write(rig_store, fuzzy, &fault), 0);
	snapshot_name(name, (struct datadir_entry){.zxid = (uint64_t)fuzzy->last_zxid});
	snapshot_name(early, (struct datadir_entry){.zxid = (uint64_t)zxid});
	ck_assert_int_eq(store_rename(rig_store, name, early), 0);
	/* Its digest is of neither; those of servers before 3.6 have none. */
	ck_assert_int_eq(store_open(rig_store, early, STORE_OPEN_WRITE, &file), 0);
	ck_assert_int_eq(store_truncate(file, rig_file_size(early) - 54), 0);
	store_close(file);
}

/* ZOOKEEPER-3127, and what follows from it: replayed, a multi is carried out whole. */
START_TEST(zk3127_a_multi_of_which_a_snapshot_has_a_half_is_whole_after_it)
{
	struct txn_header h;
	struct txn_body parts[3];
	struct db half;
	struct buf txn;

	rig_snapshot();
	rig_populate(3);
	ck_assert(db_init(&half, &RIG_KEY, 2000));
	rig_recover_into(&half);
	h = rig_next_header(ZK_OP_MULTI);
	parts[0] = rig_create_body("/m", "first", false);
	parts[1] = (struct txn_body){.type = ZK_OP_SET_DATA,
	    .path = rig_text("/a/node-1"),
	    .data = rig_text("2nd"),
	    .version = 1};
	parts[2] = (struct txn_body){.type = ZK_OP_DELETE, .path = rig_text("/a/node-2")};
	buf_init(&txn, 1 << 20);
	txn_put_header(&txn, &h);
	jute_put_i32(&txn, 3);
	for (size_t i = 0; i < 3; i++) {
		size_t at;

		jute_put_i32(&txn, parts[i].type);
		at = txn.len;
		jute_put_i32(&txn, 0);
		txn_put_body(&txn, &parts[i]);
		jute_set_i32(&txn, at, (int32_t)(txn.len - at - 4));
	}
	rig_log_txn(&txn);
	buf_clear(&txn);
	h.type = ZK_OP_CREATE;
	txn_put_header(&txn, &h);
	txn_put_body(&txn, &parts[0]);
	ck_assert_int_eq(db_apply(&half, txn.data, txn.len, 0, NULL, NULL, NULL), APPLY_OK);
	fuzzy_snapshot(&half, h.zxid - 1);
	ck_assert_uint_eq(rig_recovered(&rig_db).replayed, 1);
	buf_fini(&txn);
	db_fini(&half);
}
END_TEST

static void
close_session(void)
{
	struct txn_header h = rig_next_header(ZK_OP_CLOSE_SESSION);
	struct buf txn;

	buf_init(&txn, 4096);
	txn_put_header(&txn, &h);
	jute_put_i32(&txn, 0);
	rig_log_txn(&txn);
	buf_fini(&txn);
}

/* ZOOKEEPER-3144: what a snapshot is named after is in it, sessions too. */
START_TEST(zk3144_a_snapshot_has_all_of_the_transaction_that_it_is_named_after)
{
	rig_snapshot();
	rig_change(&(struct txn_body){.type = ZK_OP_CREATE_SESSION, .timeout_ms = 4000});
	rig_snapshot();
	rig_create("/owned", "mine", true);
	ck_assert_uint_eq(rig_recovered(&rig_db).replayed, 1);
	rig_snapshot();
	close_session();
	ck_assert_uint_eq(rig_db.tree.ephemeral_count, 0);
	ck_assert_uint_eq(rig_recovered(&rig_db).replayed, 1);
	rig_snapshot();
	rig_create("/after", "x", false);
	ck_assert_uint_eq(rig_recovered(&rig_db).replayed, 1);
}
END_TEST

/* ZOOKEEPER-3125: the node was made behind its parent's place in the snapshot. */
START_TEST(zk3125_a_parent_that_is_older_than_its_child_is_raised)
{
	static const int32_t types[] = {ZK_OP_CREATE, ZK_OP_CREATE2};
	struct txn_body body;
	struct tree_create c;
	struct db fuzzy;

	rig_snapshot();
	rig_populate(1);
	ck_assert(db_init(&fuzzy, &RIG_KEY, 2000));
	rig_recover_into(&fuzzy);
	body = rig_create_body("/a/late", "x", false);
	body.type = types[_i];
	rig_change(&body);
	c = (struct tree_create){.at = tree_place(&fuzzy.tree, body.path),
	    .data = body.data,
	    .crc = tree_crc(body.path, body.data),
	    .acl = acl_intern(&fuzzy.tree.acls, body.acl),
	    .parent_cversion = 0,
	    .zxid = rig_db.last_zxid,
	    .time_ms = 5};
	ck_assert_int_eq(tree_create(&fuzzy.tree, &c), TREE_OK);
	fuzzy_snapshot(&fuzzy, rig_db.last_zxid - 1);
	ck_assert_uint_eq(rig_recovered(&rig_db).replayed, 1);
	db_fini(&fuzzy);
}
END_TEST

/* ZOOKEEPER-1573: the snapshot was written when it was gone again. */
START_TEST(zk1573_what_came_and_went_while_a_snapshot_was_written_is_replayed)
{
	int64_t before;

	rig_snapshot();
	rig_populate(1);
	before = rig_db.last_zxid;
	rig_create("/p", "x", false);
	rig_create("/p/c", "x", false);
	rig_change(&(struct txn_body){.type = ZK_OP_SET_DATA,
	    .path = rig_text("/p/c"),
	    .data = rig_text("new"),
	    .version = 1});
	rig_change(&(struct txn_body){.type = ZK_OP_DELETE, .path = rig_text("/p/c")});
	rig_change(&(struct txn_body){.type = ZK_OP_DELETE, .path = rig_text("/p")});
	fuzzy_snapshot(&rig_db, before);
	ck_assert_uint_eq(rig_recovered(&rig_db).replayed, 5);
	/* And here when it had come but for what is above it. */
	fuzzy_snapshot(&rig_db, before + 1);
	ck_assert_uint_eq(rig_recovered(&rig_db).replayed, 4);
}
END_TEST

START_TEST(ephemeral_nodes_without_a_session_go)
{
	rig_snapshot();
	rig_populate(1);
	session_remove(&rig_db.sessions, RIG_SESSION);
	rig_snapshot();
	ck_assert_uint_eq(rig_db.tree.ephemeral_count, 1);
	ck_assert(db_finish_load(&rig_db));
	ck_assert_uint_eq(rig_db.tree.ephemeral_count, 0);
	rig_recovered(&rig_db);
}
END_TEST

/* No server makes such: what is read from a file has to be survived all the same. */
START_TEST(an_ephemeral_node_goes_with_one_above_it_that_has_no_session)
{
	struct tree_create c = {.owner = 98, .parent_cversion = -1};

	c.at = tree_place(&rig_db.tree, rig_text("/e"));
	ck_assert_int_eq(tree_create(&rig_db.tree, &c), TREE_OK);
	c.owner = 99;
	c.at = tree_place(&rig_db.tree, rig_text("/e/f"));
	ck_assert_int_eq(tree_create(&rig_db.tree, &c), TREE_OK);
	ck_assert(db_finish_load(&rig_db));
	ck_assert_uint_eq(rig_db.tree.ephemeral_count, 0);
	ck_assert_ptr_null(tree_find(&rig_db.tree, rig_text("/e")));
}
END_TEST

/* ZOOKEEPER-2325, -3056, -3644, -3781. */
START_TEST(a_log_without_a_snapshot_is_refused_unless_told)
{
	struct recover_options trust = {.trust_empty = true};
	struct recover_report report;
	struct fault fault = {0};
	char wrong[384];
	struct db got;

	rig_populate(3);
	ck_assert_int_eq(rig_recover_error(wrong), DATADIR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(wrong, "snapshot.trust.empty"));
	ck_assert(db_init(&got, &RIG_KEY, 2000));
	ck_assert_int_eq(recover(rig_store, rig_store, &trust, &got, &report, &fault), 0);
	ck_assert_uint_eq(got.tree.digest, rig_db.tree.digest);
	db_fini(&got);
}
END_TEST

START_TEST(a_damaged_snapshot_is_passed_over_for_an_older_one)
{
	struct recover_report report;
	char name[DATADIR_NAME_BYTES], wrong[384];

	rig_snapshot();
	rig_populate(30);
	rig_snapshot();
	snapshot_name(name, (struct datadir_entry){.zxid = (uint64_t)rig_db.last_zxid});
	ck_assert(simdisk_flip_bit(rig_disk, name, 700, 3));
	report = rig_recovered(&rig_db);
	ck_assert_uint_eq(report.snapshot_zxid, 0);
	ck_assert_uint_eq(report.bad_snapshots, 1);
	ck_assert_ptr_nonnull(strstr(report.bad.text, name));
	/* The log before it is gone: now nothing can be trusted. */
	ck_assert_int_eq(store_unlink(rig_store, "log.1"), 0);
	rig_create("/more", "x", false);
	ck_assert_int_eq(rig_recover_error(wrong), DATADIR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(wrong, "follows 0x0"));
	ck_assert_int_eq(store_unlink(rig_store, "snapshot.0"), 0);
	ck_assert_int_eq(rig_recover_error(wrong), DATADIR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(wrong, "no snapshot is whole"));
}
END_TEST

START_TEST(any_flipped_bit_and_any_cut_of_a_snapshot_is_found)
{
	struct datadir_entry which;
	char name[DATADIR_NAME_BYTES];
	struct snapshot_info info;
	struct store_file *file;
	struct db got;
	uint64_t size;

	ck_assert(db_init(&got, &RIG_KEY, 2000));
	rig_populate(5);
	rig_snapshot();
	which = (struct datadir_entry){.zxid = (uint64_t)rig_db.last_zxid};
	snapshot_name(name, which);
	size = rig_file_size(name);
	for (uint64_t at = 0; at < size; at++) {
		struct fault verify = {0}, load = {0};

		ck_assert(simdisk_flip_bit(rig_disk, name, at, (unsigned)at));
		ck_assert_msg(snapshot_verify(rig_store, which, &verify) == DATADIR_CORRUPT,
		    "byte %d", (int)at);
		ck_assert_int_eq(
		    snapshot_load(rig_store, which, &got, &info, &load), DATADIR_CORRUPT);
		simdisk_flip_bit(rig_disk, name, at, (unsigned)at);
	}
	ck_assert_int_eq(store_open(rig_store, name, STORE_OPEN_WRITE, &file), 0);
	for (uint64_t at = size - 1; at > 0; at--) {
		struct fault fault = {0};

		/* Between sections it is what an older server wrote. */
		if (at == size - 21 || at == size - 54)
			continue;
		ck_assert_int_eq(store_truncate(file, at), 0);
		ck_assert_int_eq(snapshot_verify(rig_store, which, &fault), DATADIR_CORRUPT);
	}
	store_close(file);
	db_fini(&got);
}
END_TEST

START_TEST(snapshots_of_older_servers_end_earlier)
{
	char name[DATADIR_NAME_BYTES];
	struct store_file *file;
	uint64_t size;

	rig_snapshot();
	rig_populate(5);
	rig_snapshot();
	snapshot_name(name, (struct datadir_entry){.zxid = (uint64_t)rig_db.last_zxid});
	size = rig_file_size(name);
	ck_assert_int_eq(store_open(rig_store, name, STORE_OPEN_WRITE, &file), 0);
	ck_assert_int_eq(store_truncate(file, size - 21), 0);
	ck_assert(rig_recovered(&rig_db).digest_checked);
	ck_assert_int_eq(store_truncate(file, size - 54), 0);
	ck_assert(!rig_recovered(&rig_db).digest_checked);
	store_close(file);
}
END_TEST

START_TEST(a_tree_that_is_not_the_snapshots_is_counted)
{
	struct recover_report report;
	struct fault fault = {0};
	struct db got;

	rig_populate(5);
	rig_db.tree.digest ^= 1;
	rig_snapshot();
	ck_assert(db_init(&got, &RIG_KEY, 2000));
	ck_assert_int_eq(recover(rig_store, rig_store, &RIG_OPTIONS, &got, &report, &fault), 0);
	ck_assert(report.digest_checked && report.digest_wrong);
	ck_assert_uint_eq(got.digest_mismatches, 1);
	ck_assert_int_eq(got.digest_mismatch_zxid, rig_db.last_zxid);
	db_fini(&got);
}
END_TEST

/* Apache's servers go on while they write one: it has the name of its beginning and what came
 * later. */
START_TEST(the_digests_below_a_fuzzy_snapshots_own_are_not_compared)
{
	char early[DATADIR_NAME_BYTES], late[DATADIR_NAME_BYTES];
	struct store_file *file;

	rig_populate(2);
	snapshot_name(early, (struct datadir_entry){.zxid = (uint64_t)rig_db.last_zxid});
	rig_create("/a/later", "x", false);
	rig_create("/a/latest", "x", false);
	rig_snapshot();
	snapshot_name(late, (struct datadir_entry){.zxid = (uint64_t)rig_db.last_zxid});
	ck_assert_int_eq(store_rename(rig_store, late, early), 0);
	rig_create("/a/after", "x", false);
	ck_assert(rig_recovered(&rig_db).digest_checked);
	/* Killed between the tree and the digest. */
	ck_assert_int_eq(store_open(rig_store, early, STORE_OPEN_WRITE, &file), 0);
	ck_assert_int_eq(store_truncate(file, rig_file_size(early) - 54), 0);
	store_close(file);
	ck_assert(!rig_recovered(&rig_db).digest_checked);
}
END_TEST

/* The snapshot has something of the transaction behind the one whose digest it has. */
START_TEST(a_fuzzy_snapshots_digest_is_judged_by_what_follows)
{
	char early[DATADIR_NAME_BYTES], late[DATADIR_NAME_BYTES];
	struct recover_report report;
	struct fault fault = {0};
	struct db got;

	rig_populate(2);
	snapshot_name(early, (struct datadir_entry){.zxid = (uint64_t)rig_db.last_zxid});
	rig_create("/a/later", "x", false);
	rig_db.tree.digest ^= 1;
	rig_snapshot();
	rig_db.tree.digest ^= 1;
	snapshot_name(late, (struct datadir_entry){.zxid = (uint64_t)rig_db.last_zxid});
	ck_assert_int_eq(store_rename(rig_store, late, early), 0);
	ck_assert(db_init(&got, &RIG_KEY, 2000));
	ck_assert_int_eq(recover(rig_store, rig_store, &RIG_OPTIONS, &got, &report, &fault), 0);
	ck_assert(report.digest_wrong);
	ck_assert_uint_eq(got.digest_mismatches, 1);
	ck_assert_int_eq(got.digest_mismatch_zxid, rig_db.last_zxid);
	db_fini(&got);
	rig_create("/a/after", "x", false);
	ck_assert(rig_recovered(&rig_db).digest_checked);
}
END_TEST

START_TEST(a_packed_snapshot_is_read_and_each_damage_to_it_seen)
{
	enum pack_kind kind = (enum pack_kind)_i;
	struct datadir_entry which;
	char name[DATADIR_NAME_BYTES];
	struct fault fault = {0};
	uint64_t size;
	int err, seen = 0;

	rig_snapshot();
	rig_populate(3000);
	which = (struct datadir_entry){(uint64_t)rig_db.last_zxid, kind};
	ck_assert_int_eq(snapshot_write_as(rig_store, &rig_db, kind, &fault), 0);
	ck_assert(rig_recovered(&rig_db).digest_checked);
	snapshot_name(name, which);
	size = rig_file_size(name);
	for (int i = 0; i < 40; i++) {
		ck_assert(simdisk_flip_bit(rig_disk, name, size * (unsigned)i / 40, 1));
		fault = (struct fault){0};
		/* Some bits make no difference: other repetitions that are the same. */
		err = snapshot_verify(rig_store, which, &fault);
		ck_assert(err == 0 || err == DATADIR_CORRUPT);
		seen += err == DATADIR_CORRUPT;
		ck_assert(simdisk_flip_bit(rig_disk, name, size * (unsigned)i / 40, 1));
	}
	ck_assert_int_ge(seen, 35);
	ck_assert_int_eq(snapshot_verify(rig_store, which, &fault), 0);
}
END_TEST

START_TEST(a_packed_snapshot_that_ends_early_is_none)
{
	struct datadir_entry which = {0, (enum pack_kind)_i};
	char name[DATADIR_NAME_BYTES];
	struct store_file *file;

	rig_snapshot();
	rig_populate(1000);
	which.zxid = (uint64_t)rig_db.last_zxid;
	ck_assert_int_eq(snapshot_write_as(rig_store, &rig_db, which.kind, &(struct fault){0}), 0);
	snapshot_name(name, which);
	ck_assert_int_eq(store_open(rig_store, name, STORE_OPEN_WRITE, &file), 0);
	for (uint64_t left = rig_file_size(name); left > 0; left -= left > 997 ? 997 : left) {
		ck_assert_int_eq(store_truncate(file, left - 1), 0);
		ck_assert_int_eq(
		    snapshot_verify(rig_store, which, &(struct fault){0}), DATADIR_CORRUPT);
	}
	store_close(file);
}
END_TEST

START_TEST(a_snapshot_interrupted_anywhere_leaves_the_older_state)
{
	rig_snapshot();
	rig_populate(30);
	simdisk_settle(rig_disk);
	for (int ops = 1; ops < 8; ops++) {
		struct fault fault = {0};

		simdisk_stop_at(rig_disk, simdisk_ops(rig_disk) + (uint64_t)ops);
		snapshot_write(rig_store, &rig_db, &fault);
		/* The log's open file is the process's: it goes with it. */
		txnlog_fini(&rig_txnlog);
		simdisk_power_loss(rig_disk);
		txnlog_init(&rig_txnlog, rig_store, (uint64_t)1 << 20);
		rig_recovered(&rig_db);
	}
}
END_TEST

static unsigned
count_files(const char *prefix)
{
	struct datadir_list list;
	struct fault fault = {0};
	unsigned count;

	ck_assert_int_eq(datadir_list(rig_store, prefix, &list, &fault), 0);
	count = (unsigned)list.count;
	datadir_list_free(&list);
	return count;
}

/* ZOOKEEPER-3231: those that are damaged do not count. */
START_TEST(purging_keeps_three_whole_snapshots_and_the_logs_they_need)
{
	char path[16], name[DATADIR_NAME_BYTES];
	struct fault fault = {0};
	struct recover_report report;

	rig_snapshot();
	rig_populate(2);
	for (int i = 0; i < 6; i++) {
		snprintf(path, sizeof(path), "/p%d", i);
		rig_create(path, "x", false);
		rig_snapshot();
		rig_create(path, "again", false);
	}
	ck_assert_uint_eq(count_files("snapshot"), 7);
	/* One of the newest three is damaged: it does not count. */
	snapshot_name(name, (struct datadir_entry){.zxid = (uint64_t)rig_db.last_zxid - 3});
	ck_assert(simdisk_flip_bit(rig_disk, name, 100, 0));
	ck_assert_int_gt(purge(rig_store, rig_store, 1, &fault), 0);
	ck_assert_uint_eq(count_files("snapshot"), 4);
	/* One for each kept snapshot, and the one that holds the oldest one's zxid. */
	ck_assert_uint_eq(count_files("log"), 5);
	report = rig_recovered(&rig_db);
	ck_assert_uint_eq(report.replayed, 1);
	/* Even if the two newest go bad, the oldest kept one leads to the same state. */
	snapshot_name(name, (struct datadir_entry){.zxid = (uint64_t)rig_db.last_zxid - 1});
	ck_assert(simdisk_flip_bit(rig_disk, name, 100, 0));
	report = rig_recovered(&rig_db);
	ck_assert_uint_eq(report.bad_snapshots, 2);
	fault = (struct fault){0};
	ck_assert_int_eq(purge(rig_store, rig_store, 3, &fault), 0);
}
END_TEST

/*
 * Three snapshots of which none has the end of the log, and that is of transactions that leave no
 * node: only the log says how far this server is.
 */
START_TEST(etcd17780_no_interrupted_purge_takes_a_transaction_back)
{
	char path[16];

	rig_snapshot();
	rig_populate(2);
	for (int i = 0; i < 5; i++) {
		struct fault fault = {0};

		snprintf(path, sizeof(path), "/p%d", i);
		rig_create(path, "x", false);
		ck_assert_int_eq(snapshot_write(rig_store, &rig_db, &fault), 0);
	}
	rig_change(&(struct txn_body){.type = ZK_OP_DELETE, .path = rig_text("/p4")});
	close_session();
	simdisk_settle(rig_disk);
	for (int ops = 1; ops < 8; ops++) {
		struct fault fault = {0};

		simdisk_stop_at(rig_disk, simdisk_ops(rig_disk) + (uint64_t)ops);
		purge(rig_store, rig_store, 1, &fault);
		txnlog_fini(&rig_txnlog);
		simdisk_power_loss(rig_disk);
		txnlog_init(&rig_txnlog, rig_store, (uint64_t)1 << 20);
		rig_recovered(&rig_db);
	}
	ck_assert_uint_eq(count_files("snapshot"), 3);
}
END_TEST

START_TEST(purging_is_due_at_the_start_and_each_interval)
{
	struct purge_clock never = {0}, clock = {.hours = 2};
	const uint64_t hour = 3600000, at = 777;

	ck_assert(!purge_clock_due(&never, at));
	ck_assert(purge_clock_due(&clock, at));
	ck_assert(!purge_clock_due(&clock, at));
	ck_assert(!purge_clock_due(&clock, at + 2 * hour - 1));
	ck_assert(purge_clock_due(&clock, at + 2 * hour));
	/* Late by a while is no reason to be late for ever. */
	ck_assert(purge_clock_due(&clock, at + 4 * hour + 50));
	ck_assert(purge_clock_due(&clock, at + 6 * hour));
	/* After a long sleep once. */
	ck_assert(purge_clock_due(&clock, at + 101 * hour));
	ck_assert(!purge_clock_due(&clock, at + 102 * hour - 1));
	ck_assert(purge_clock_due(&clock, at + 102 * hour));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("recover");
	TCase *t = tcase_create("recover");

	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_empty_directory_becomes_an_empty_database_with_its_snapshot);
	tcase_add_test(t, a_snapshot_and_the_log_after_it_give_the_same_database);
	tcase_add_test(t, a_log_over_a_newer_tree_changes_nothing);
	tcase_add_test(t, zk3127_a_multi_of_which_a_snapshot_has_a_half_is_whole_after_it);
	tcase_add_test(t, zk3144_a_snapshot_has_all_of_the_transaction_that_it_is_named_after);
	tcase_add_loop_test(t, zk3125_a_parent_that_is_older_than_its_child_is_raised, 0, 2);
	tcase_add_test(t, zk1573_what_came_and_went_while_a_snapshot_was_written_is_replayed);
	tcase_add_test(t, ephemeral_nodes_without_a_session_go);
	tcase_add_test(t, an_ephemeral_node_goes_with_one_above_it_that_has_no_session);
	tcase_add_test(t, a_log_without_a_snapshot_is_refused_unless_told);
	tcase_add_test(t, a_damaged_snapshot_is_passed_over_for_an_older_one);
	tcase_add_test(t, any_flipped_bit_and_any_cut_of_a_snapshot_is_found);
	tcase_add_test(t, snapshots_of_older_servers_end_earlier);
	tcase_add_test(t, a_tree_that_is_not_the_snapshots_is_counted);
	tcase_add_test(t, the_digests_below_a_fuzzy_snapshots_own_are_not_compared);
	tcase_add_test(t, a_fuzzy_snapshots_digest_is_judged_by_what_follows);
	tcase_add_loop_test(
	    t, a_packed_snapshot_is_read_and_each_damage_to_it_seen, PACK_GZ, PACK_SNAPPY + 1);
	tcase_add_loop_test(t, a_packed_snapshot_that_ends_early_is_none, PACK_GZ, PACK_SNAPPY + 1);
	tcase_add_test(t, a_snapshot_interrupted_anywhere_leaves_the_older_state);
	tcase_add_test(t, purging_is_due_at_the_start_and_each_interval);
	tcase_add_test(t, etcd17780_no_interrupted_purge_takes_a_transaction_back);
	tcase_add_test(t, purging_keeps_three_whole_snapshots_and_the_logs_they_need);
	suite_add_tcase(s, t);
	return s;
}
