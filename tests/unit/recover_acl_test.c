/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of Apache's server whose nodes have access lists that they have not: it writes the
 * lists first, and goes on while it writes the nodes. The log behind has them.
 */
#include <stdio.h>
#include <string.h>
#include <libdeflate.h>

#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "tests/lib/simdisk.h"
#include "tests/lib/unit.h"
#include "zkserver/core/recover.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txnlog.h"

#define ZXID 5
#define LISTED 7 /* the greatest key that the snapshot lists */

static const struct hash_key KEY = {3, 4};
static struct recover_options options;
static struct simdisk *disk;
static struct store *store;
static struct txnlog txnlog;
static struct db db;
static struct recover_report report;
static struct fault fault;
static int64_t last_zxid;

static void
setup(void)
{
	disk = simdisk_new(11, UINT64_MAX);
	ck_assert_ptr_nonnull(disk);
	store = simdisk_store(disk);
	ck_assert(db_init(&db, &KEY, 2000));
	txnlog_init(&txnlog, store, 0);
	options = (struct recover_options){.now_ms = 1000};
	last_zxid = ZXID;
}

static void
teardown(void)
{
	txnlog_fini(&txnlog);
	db_fini(&db);
	simdisk_free(disk);
}

/* world:anyone may do some things, which make it a list of its own. */
static struct jute_bytes
list(uint8_t perms)
{
	static const uint8_t who[] = {
	    0, 0, 0, 5, 'w', 'o', 'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e'};
	static uint8_t bytes[32][8 + sizeof who];

	bytes[perms][3] = 1;
	bytes[perms][7] = perms;
	memcpy(bytes[perms] + 8, who, sizeof who);
	return (struct jute_bytes){bytes[perms], sizeof bytes[perms]};
}

static void
put_list(struct buf *b, int64_t key, uint8_t perms)
{
	struct jute_bytes l = list(perms);

	jute_put_i64(b, key);
	buf_append(b, l.data, (size_t)l.len);
}

static void
put_node(struct buf *b, const char *path, int64_t acl)
{
	jute_put_text(b, path);
	jute_put_text(b, "data");
	jute_put_i64(b, acl);
	for (int i = 0; i < 15; i++)
		jute_put_i32(b, 0);
}

/* Lists 2 and LISTED; /a with the first of them, /b with this one. */
static void
put_snapshot(uint64_t zxid, int64_t acl)
{
	char name[DATADIR_NAME_BYTES];
	struct store_file *file;
	struct buf b;

	buf_init(&b, 1 << 16);
	jute_put_i32(&b, SNAPSHOT_MAGIC);
	jute_put_i32(&b, SNAPSHOT_VERSION);
	jute_put_i64(&b, -1);
	jute_put_i32(&b, 0);
	jute_put_i32(&b, 2);
	put_list(&b, LISTED, ACL_READ | ACL_WRITE);
	put_list(&b, 2, ACL_READ);
	put_node(&b, "", -1);
	put_node(&b, "/a", 2);
	put_node(&b, "/b", acl);
	jute_put_text(&b, "/");
	jute_put_i64(&b, (int64_t)libdeflate_adler32(1, b.data, b.len));
	jute_put_text(&b, "/");
	ck_assert(!b.failed);
	snapshot_name(name, (struct datadir_entry){.zxid = zxid});
	ck_assert_int_eq(store_open(store, name, STORE_OPEN_CREATE, &file), 0);
	ck_assert_int_eq(store_pwrite(file, b.data, b.len, 0), 0);
	ck_assert_int_eq(store_sync(file), 0);
	store_close(file);
	ck_assert_int_eq(store_sync_dir(store), 0);
	buf_fini(&b);
}

static void
put_txn(struct buf *txn, int32_t type, const char *path, uint8_t perms)
{
	const struct txn_header h = {.zxid = ++last_zxid, .time_ms = 5, .type = type};
	const struct txn_body body = {.type = type,
	    .path = {(const uint8_t *)path, (int32_t)strlen(path)},
	    .data = {NULL, -1},
	    .acl = list(perms),
	    .version = 1};

	buf_init(txn, 1 << 16);
	txn_put_header(txn, &h);
	txn_put_body(txn, &body);
	ck_assert(!txn->failed);
}

static void
log_txn(int32_t type, const char *path, uint8_t perms)
{
	struct txnlog_batch batch;
	struct buf txn;

	put_txn(&txn, type, path, perms);
	txnlog_batch_init(&batch);
	ck_assert_int_eq(txnlog_append(&txnlog, &batch, txn.data, txn.len), 0);
	txnlog_seal(&txnlog, &batch);
	ck_assert_msg(txnlog_write(&txnlog, &batch, &fault) == 0, "%s", fault.text);
	txnlog_batch_fini(&batch);
	buf_fini(&txn);
}

static int
start(void)
{
	fault.text[0] = '\0';
	return recover(store, store, &options, &db, &report, &fault);
}

static const struct tree_node *
node(const char *path)
{
	return tree_find(
	    &db.tree, (struct jute_bytes){(const uint8_t *)path, (int32_t)strlen(path)});
}

static void
has_list(const char *path, uint8_t perms)
{
	struct jute_bytes got, want = list(perms);

	ck_assert_ptr_nonnull(node(path));
	got = acl_bytes(&db.tree.acls, node(path)->acl);
	ck_assert_int_eq(got.len, want.len);
	ck_assert_int_eq(memcmp(got.data, want.data, (size_t)want.len), 0);
}

static void
is_whole(void)
{
	tree_check(&db.tree);
	ck_assert_uint_eq(db.tree.acls.unlisted, 0);
}

/* Another list has got the number by then that the node's had in the file. */
START_TEST(zk3306_a_node_that_came_while_a_snapshot_was_written_has_its_access_list)
{
	put_snapshot(ZXID, LISTED + 2);
	log_txn(ZK_OP_CREATE, "/c", ACL_CREATE);
	log_txn(ZK_OP_CREATE, "/d", ACL_DELETE);
	log_txn(ZK_OP_CREATE, "/b", ACL_ADMIN);
	log_txn(ZK_OP_CREATE, "/e", ACL_ADMIN);
	ck_assert_msg(start() == 0, "%s", fault.text);
	is_whole();
	has_list("/a", ACL_READ);
	has_list("/b", ACL_ADMIN);
	has_list("/d", ACL_DELETE);
	/* Keys go on behind the greatest; that of nobody has gone, as have the references. */
	ck_assert_uint_eq(node("/c")->acl, LISTED + 1);
	ck_assert_uint_eq(node("/b")->acl, LISTED + 3);
	ck_assert_uint_eq(node("/e")->acl, LISTED + 3);
	ck_assert_uint_eq(acl_count(&db.tree.acls), 4); /* /a has that of /zookeeper/config */
}
END_TEST

START_TEST(a_list_that_was_set_while_a_snapshot_was_written_is_the_nodes)
{
	put_snapshot(ZXID, LISTED + 1);
	log_txn(ZK_OP_SET_DATA, "/b", 0);
	log_txn(ZK_OP_SET_ACL, "/b", ACL_ADMIN);
	ck_assert_msg(start() == 0, "%s", fault.text);
	is_whole();
	has_list("/b", ACL_ADMIN);
}
END_TEST

START_TEST(a_node_that_goes_needs_no_list)
{
	put_snapshot(ZXID, LISTED + 1);
	log_txn(ZK_OP_DELETE, "/b", 0);
	ck_assert_msg(start() == 0, "%s", fault.text);
	is_whole();
	ck_assert_ptr_null(node("/b"));
}
END_TEST

START_TEST(a_list_that_is_nowhere_is_damage_and_named)
{
	put_snapshot(ZXID, LISTED + 1);
	log_txn(ZK_OP_CREATE, "/c", ACL_CREATE);
	ck_assert_int_eq(start(), DATADIR_CORRUPT);
	ck_assert_msg(
	    strstr(fault.text, "snapshot.5: the access list of /b") != NULL, "%s", fault.text);
}
END_TEST

START_TEST(a_snapshot_that_lacks_a_list_for_good_is_passed_over_for_an_older_one)
{
	last_zxid = ZXID - 2;
	put_snapshot(ZXID - 2, 2);
	log_txn(ZK_OP_CREATE, "/c", ACL_CREATE);
	log_txn(ZK_OP_SET_ACL, "/c", ACL_DELETE);
	put_snapshot(ZXID, LISTED + 1);
	log_txn(ZK_OP_CREATE, "/d", ACL_CREATE);
	ck_assert_msg(start() == 0, "%s", fault.text);
	is_whole();
	has_list("/b", ACL_READ);
	has_list("/c", ACL_DELETE);
	has_list("/d", ACL_CREATE);
	ck_assert_uint_eq(report.snapshot_zxid, ZXID - 2);
	ck_assert_uint_eq(report.replayed, 3);
	ck_assert_uint_eq(report.bad_snapshots, 1);
	ck_assert_ptr_nonnull(strstr(report.bad.text, "the access list of /b"));
}
END_TEST

/* The older one is not all that was here; what a leader has to add is added to the newer one. */
START_TEST(an_older_one_from_which_the_log_does_not_lead_to_it_is_not_taken_instead)
{
	last_zxid = ZXID - 2;
	put_snapshot(ZXID - 2, 2);
	log_txn(ZK_OP_CREATE, "/c", ACL_CREATE);
	put_snapshot(ZXID, LISTED + 1);
	ck_assert_int_eq(start(), DATADIR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(fault.text, "snapshot.5: the access list of /b"));
	options.leader_has_more = true;
	ck_assert_msg(start() == 0, "%s", fault.text);
	ck_assert_uint_eq(report.snapshot_zxid, ZXID);
	ck_assert_int_eq(db.last_zxid, ZXID);
}
END_TEST

/* A synchronization that was interrupted may have left this. */
START_TEST(a_member_starts_without_a_list_that_its_leader_sends_again)
{
	struct buf txn;

	options.leader_has_more = true;
	put_snapshot(ZXID, LISTED + 1);
	log_txn(ZK_OP_CREATE, "/c", ACL_CREATE);
	ck_assert_msg(start() == 0, "%s", fault.text);
	tree_check(&db.tree);
	ck_assert_uint_eq(report.replayed, 1);
	ck_assert_uint_eq(report.bad_snapshots, 0);
	ck_assert_int_eq(recover_check_acls(&db, &fault), DATADIR_CORRUPT);
	ck_assert(!acl_allows(&db.tree.acls, node("/b")->acl, ACL_READ, &(struct acl_ids){0}));
	/* It may write a snapshot meanwhile. */
	ck_assert_int_eq(snapshot_write(store, &db, &fault), 0);
	ck_assert_msg(start() == 0, "%s", fault.text);
	ck_assert_uint_eq(report.snapshot_zxid, ZXID + 1);
	put_txn(&txn, ZK_OP_CREATE, "/b", ACL_ADMIN);
	ck_assert_int_eq(db_apply(&db, txn.data, txn.len, 0, NULL, NULL, NULL), APPLY_OK);
	buf_fini(&txn);
	ck_assert_int_eq(recover_check_acls(&db, &fault), 0);
	is_whole();
	has_list("/b", ACL_ADMIN);
}
END_TEST

/* What was there when the lists were written would stand among them. */
START_TEST(a_list_that_is_missing_among_the_others_is_damage)
{
	static const int64_t keys[] = {1, LISTED - 1, 0, -2, INT64_MAX};

	put_snapshot(ZXID, keys[_i]);
	log_txn(ZK_OP_CREATE, "/b", ACL_ADMIN);
	ck_assert_int_eq(start(), DATADIR_CORRUPT);
	ck_assert_msg(
	    strstr(fault.text, "a node's access list does not exist") != NULL, "%s", fault.text);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("recover_acl");
	TCase *t = tcase_create("recover_acl");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, zk3306_a_node_that_came_while_a_snapshot_was_written_has_its_access_list);
	tcase_add_test(t, a_list_that_was_set_while_a_snapshot_was_written_is_the_nodes);
	tcase_add_test(t, a_node_that_goes_needs_no_list);
	tcase_add_test(t, a_list_that_is_nowhere_is_damage_and_named);
	tcase_add_test(t, a_snapshot_that_lacks_a_list_for_good_is_passed_over_for_an_older_one);
	tcase_add_test(t, an_older_one_from_which_the_log_does_not_lead_to_it_is_not_taken_instead);
	tcase_add_test(t, a_member_starts_without_a_list_that_its_leader_sends_again);
	tcase_add_loop_test(t, a_list_that_is_missing_among_the_others_is_damage, 0, 5);
	suite_add_tcase(s, t);
	return s;
}
