/* SPDX-License-Identifier: Apache-2.0 */
/* Histories of which a part is gone, so that what is left looks whole. */
#include <string.h>

#include "tests/lib/recover_rig.h"
#include "tests/lib/unit.h"
#include "zkserver/core/snapshot.h"

/* What leads to it is gone too: an older state is not what was there. */
START_TEST(a_damaged_snapshot_that_the_log_does_not_lead_to_is_the_end_of_a_history)
{
	struct store_file *file;
	char name[DATADIR_NAME_BYTES], wrong[384];
	struct db empty;

	rig_snapshot();
	rig_populate(30);
	rig_snapshot();
	snapshot_name(name, (struct datadir_entry){.zxid = (uint64_t)rig_db.last_zxid});
	ck_assert(simdisk_flip_bit(rig_disk, name, 700, 3));
	ck_assert_int_eq(store_unlink(rig_store, "log.1"), 0);
	ck_assert_int_eq(rig_recover_error(wrong), DATADIR_CORRUPT);
	ck_assert_msg(strstr(wrong, "leads to zxid 0x0 only") != NULL, "%s", wrong);
	/* One that was never written to its end may have had its name in vain. */
	ck_assert_int_eq(store_open(rig_store, name, STORE_OPEN_WRITE, &file), 0);
	ck_assert_int_eq(store_truncate(file, rig_file_size(name) - 1), 0);
	store_close(file);
	ck_assert(db_init(&empty, &RIG_KEY, 2000));
	rig_recovered(&empty);
	db_fini(&empty);
}
END_TEST

static void
begin_epoch(int64_t epoch)
{
	txnlog_roll(&rig_txnlog);
	rig_db.last_zxid = epoch << 32;
}

START_TEST(a_damaged_snapshot_of_an_epochs_beginning_needs_no_transaction_of_it)
{
	char name[DATADIR_NAME_BYTES];
	int64_t last;

	rig_snapshot();
	rig_populate(30);
	last = rig_db.last_zxid;
	begin_epoch(2);
	rig_snapshot();
	snapshot_name(name, (struct datadir_entry){.zxid = (uint64_t)rig_db.last_zxid});
	ck_assert(simdisk_flip_bit(rig_disk, name, 700, 3));
	rig_db.last_zxid = last;
	ck_assert_uint_eq(rig_recovered(&rig_db).bad_snapshots, 1);
}
END_TEST

START_TEST(a_file_that_is_gone_with_the_end_of_its_epoch_is_missed_by_the_tree)
{
	char name[DATADIR_NAME_BYTES], wrong[384];

	rig_snapshot();
	rig_populate(3);
	txnlog_roll(&rig_txnlog);
	datadir_name(name, "log", (uint64_t)rig_db.last_zxid + 1);
	rig_create("/b", "x", false);
	begin_epoch(2);
	rig_create("/c", "x", false);
	rig_create("/d", "x", false);
	rig_recovered(&rig_db);
	ck_assert_int_eq(store_unlink(rig_store, name), 0);
	ck_assert_int_eq(rig_recover_error(wrong), DATADIR_CORRUPT);
	ck_assert_msg(strncmp(wrong, "log.200000001: ", 15) == 0, "%s", wrong);
	ck_assert_msg(strstr(wrong, "the end of the epoch before is missing") != NULL, "%s", wrong);
}
END_TEST

/* The trees may have differed before: of that the digests tell, and it is no gap. */
START_TEST(an_epoch_that_begins_on_a_tree_that_differed_before_is_no_gap)
{
	struct recover_report report;
	struct fault fault = {0};
	struct db got;

	rig_snapshot();
	rig_populate(3);
	rig_db.tree.digest ^= 1;
	rig_create("/b", "x", false);
	begin_epoch(2);
	rig_create("/c", "x", false);
	ck_assert(db_init(&got, &RIG_KEY, 2000));
	ck_assert_msg(recover(rig_store, rig_store, &RIG_OPTIONS, &got, &report, &fault) == 0, "%s",
	    fault.text);
	ck_assert_uint_eq(got.digest_mismatches, 2);
	db_fini(&got);
}
END_TEST

/* As Apache's servers do it with a node that was made behind the end of its session. */
START_TEST(what_a_start_has_removed_without_a_transaction_is_no_gap)
{
	struct recover_report report;
	struct fault fault = {0};
	struct db got;

	rig_snapshot();
	rig_create("/owned", "x", true);
	ck_assert(db_has_orphans(&rig_db) && db_finish_load(&rig_db) && !db_has_orphans(&rig_db));
	begin_epoch(2);
	rig_create("/c", "x", false);
	ck_assert(db_init(&got, &RIG_KEY, 2000));
	ck_assert_msg(recover(rig_store, rig_store, &RIG_OPTIONS, &got, &report, &fault) == 0, "%s",
	    fault.text);
	ck_assert_uint_eq(got.digest_mismatches, 1);
	ck_assert_uint_eq(got.tree.node_count, rig_db.tree.node_count);
	db_fini(&got);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("recover_gap");
	TCase *t = tcase_create("recover_gap");

	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_test(t, a_damaged_snapshot_that_the_log_does_not_lead_to_is_the_end_of_a_history);
	tcase_add_test(t, a_damaged_snapshot_of_an_epochs_beginning_needs_no_transaction_of_it);
	tcase_add_test(t, a_file_that_is_gone_with_the_end_of_its_epoch_is_missed_by_the_tree);
	tcase_add_test(t, an_epoch_that_begins_on_a_tree_that_differed_before_is_no_gap);
	tcase_add_test(t, what_a_start_has_removed_without_a_transaction_is_no_gap);
	suite_add_tcase(s, t);
	return s;
}
