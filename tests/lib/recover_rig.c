/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/recover_rig.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/codec/zk_wire.h"
#include "tests/lib/unit.h"
#include "zkserver/core/snapshot.h"

const struct hash_key RIG_KEY = {3, 4};
const struct recover_options RIG_OPTIONS = {.now_ms = 1000};
struct simdisk *rig_disk;
struct store *rig_store;
struct db rig_db;
struct txnlog rig_txnlog;

void
rig_setup(void)
{
	rig_disk = simdisk_new(11, UINT64_MAX);
	ck_assert_ptr_nonnull(rig_disk);
	rig_store = simdisk_store(rig_disk);
	ck_assert(db_init(&rig_db, &RIG_KEY, 2000));
	txnlog_init(&rig_txnlog, rig_store, (uint64_t)1 << 20);
}

void
rig_teardown(void)
{
	txnlog_fini(&rig_txnlog);
	db_fini(&rig_db);
	simdisk_free(rig_disk);
}

/* Log one transaction durably, with the tree's digest after it, and apply it. */
void
rig_log_txn(struct buf *txn)
{
	struct txnlog_batch batch;
	struct fault fault = {0};

	ck_assert(!txn->failed);
	ck_assert_int_eq(db_apply(&rig_db, txn->data, txn->len, 0, NULL, NULL, NULL), APPLY_OK);
	txn_put_digest(txn, rig_db.tree.digest);
	ck_assert(!txn->failed);
	txnlog_batch_init(&batch);
	ck_assert_int_eq(txnlog_append(&rig_txnlog, &batch, txn->data, txn->len), 0);
	txnlog_seal(&rig_txnlog, &batch);
	ck_assert_msg(txnlog_write(&rig_txnlog, &batch, &fault) == 0, "%s", fault.text);
	txnlog_batch_fini(&batch);
}

struct jute_bytes
rig_text(const char *s)
{
	return (struct jute_bytes){(const uint8_t *)s, (int32_t)strlen(s)};
}

struct txn_header
rig_next_header(int32_t type)
{
	return (struct txn_header){
	    .session = RIG_SESSION, .zxid = rig_db.last_zxid + 1, .time_ms = 5, .type = type};
}

void
rig_change(const struct txn_body *body)
{
	struct txn_header h = rig_next_header(body->type);
	struct buf txn;

	buf_init(&txn, 1 << 20);
	txn_put_header(&txn, &h);
	txn_put_body(&txn, body);
	rig_log_txn(&txn);
	buf_fini(&txn);
}

struct txn_body
rig_create_body(const char *path, const char *data, bool ephemeral)
{
	struct jute_bytes parent = {(const uint8_t *)path, (int32_t)(strrchr(path, '/') - path)};
	static const uint8_t acl[] = {0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 'w', 'o', 'r', 'l', 'd',
	    0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e'};

	return (struct txn_body){
	    .type = ZK_OP_CREATE,
	    .path = rig_text(path),
	    .data = data != NULL ? rig_text(data) : (struct jute_bytes){NULL, -1},
	    .acl = {acl, sizeof(acl)},
	    .ephemeral = ephemeral,
	    .version = tree_find(&rig_db.tree, parent)->cversion + 1,
	};
}

void
rig_create(const char *path, const char *data, bool ephemeral)
{
	struct txn_body body = rig_create_body(path, data, ephemeral);

	rig_change(&body);
}

/* A tree with all that a snapshot holds: a session, an ACL, null and empty data, an ephemeral node.
 */
void
rig_populate(int nodes)
{
	char path[32];

	rig_change(&(struct txn_body){.type = ZK_OP_CREATE_SESSION, .timeout_ms = 4000});
	rig_create("/a", NULL, false);
	rig_create("/a/empty", "", false);
	rig_create("/a/owned", "mine", true);
	for (int i = 0; i < nodes; i++) {
		snprintf(path, sizeof(path), "/a/node-%d", i);
		rig_create(path, "some data", false);
	}
}

void
rig_recover_into(struct db *got)
{
	struct recover_report report;
	struct fault fault = {0};

	ck_assert_msg(recover(rig_store, rig_store, &RIG_OPTIONS, got, &report, &fault) == 0, "%s",
	    fault.text);
}

struct recover_report
rig_recovered(const struct db *same)
{
	struct recover_report report;
	struct fault fault = {0};
	struct db got;

	ck_assert(db_init(&got, &RIG_KEY, 2000));
	ck_assert_msg(recover(rig_store, rig_store, &RIG_OPTIONS, &got, &report, &fault) == 0, "%s",
	    fault.text);
	tree_check(&got.tree);
	ck_assert_int_eq(got.last_zxid, same->last_zxid);
	ck_assert_uint_eq(got.tree.digest, same->tree.digest);
	ck_assert_uint_eq(got.tree.node_count, same->tree.node_count);
	ck_assert_uint_eq(got.tree.ephemeral_count, same->tree.ephemeral_count);
	ck_assert_uint_eq(session_count(&got.sessions), session_count(&same->sessions));
	ck_assert_uint_eq(acl_count(&got.tree.acls), acl_count(&same->tree.acls));
	ck_assert(!report.digest_wrong);
	ck_assert_uint_eq(got.digest_mismatches, 0);
	db_fini(&got);
	return report;
}

int
rig_recover_error(char text[384])
{
	struct recover_report report;
	struct fault fault = {0};
	struct db got;
	int err;

	ck_assert(db_init(&got, &RIG_KEY, 2000));
	err = recover(rig_store, rig_store, &RIG_OPTIONS, &got, &report, &fault);
	ck_assert_int_eq(err != 0, fault.text[0] != '\0');
	memcpy(text, fault.text, sizeof(fault.text));
	db_fini(&got);
	return err;
}

uint64_t
rig_file_size(const char *name)
{
	struct store_file *file;
	uint64_t size;

	ck_assert_int_eq(store_open(rig_store, name, STORE_OPEN_READ, &file), 0);
	ck_assert_int_eq(store_size(file, &size), 0);
	store_close(file);
	return size;
}

void
rig_snapshot(void)
{
	struct fault fault = {0};

	ck_assert_msg(snapshot_write(rig_store, &rig_db, &fault) == 0, "%s", fault.text);
	txnlog_roll(&rig_txnlog);
}
