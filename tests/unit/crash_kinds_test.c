/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers, TTL nodes and quotas on a disk that loses power at every one of its operations: what
 * was acknowledged is there, and the tree, its digest, the nodes to be reaped and the quotas'
 * counts are those that the same transactions gave without a crash.
 */
#include <stdio.h>
#include <string.h>

#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "tests/lib/simdisk.h"
#include "tests/lib/unit.h"
#include "zkserver/core/prep.h"
#include "zkserver/core/purge.h"
#include "zkserver/core/recover.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txnlog.h"

#define SESSION 0x100000000000077
#define ROUNDS 6
#define TXNS_MAX 100
#define STATS_BYTES 64
#define FRAME_BYTES_MAX (1u << 20)
#define PREALLOCATE_BYTES ((uint64_t)64 << 10)

static const struct hash_key KEY = {3, 4};
static const struct tree_rules RULES = {.extended_types = true};
static const struct recover_options OPTIONS = {.now_ms = 1000};
static const uint8_t WORLD[] = "\0\0\0\1\0\0\0\37\0\0\0\5world\0\0\0\6anyone";

/* What there is after each zxid, in a life without a crash. */
static struct {
	uint64_t digest, nodes, reapable;
	char stats[STATS_BYTES];
} expected[TXNS_MAX];
static int64_t last_expected;

/* One server's life: it ends early when the disk does. */
struct life {
	struct simdisk *disk;
	struct store *store;
	struct db db;
	struct prep prep;
	struct txnlog log;
	bool over, reference;
	int64_t acknowledged;
};

static void
stats_of(const struct db *db, char to[STATS_BYTES])
{
	static const char path[] = "/zookeeper/quota/q/zookeeper_stats";
	const struct tree_node *n =
	    tree_find(&db->tree, (struct jute_bytes){(const uint8_t *)path, sizeof path - 1});
	struct jute_bytes data = n != NULL ? tree_node_data(n) : (struct jute_bytes){NULL, 0};

	snprintf(to, STATS_BYTES, "%.*s", data.len, data.len > 0 ? (const char *)data.data : "");
}

static void
note(const struct db *db)
{
	int64_t zxid = db->last_zxid;

	ck_assert_int_lt(zxid, TXNS_MAX);
	expected[zxid].digest = db->tree.digest;
	expected[zxid].nodes = db->tree.node_count;
	expected[zxid].reapable = db->tree.reapable_count;
	stats_of(db, expected[zxid].stats);
	last_expected = zxid;
}

static void
expect_as_noted(const struct db *db)
{
	char stats[STATS_BYTES];
	int64_t zxid = db->last_zxid;

	tree_check(&db->tree);
	stats_of(db, stats);
	ck_assert_uint_eq(db->tree.digest, expected[zxid].digest);
	ck_assert_uint_eq(db->tree.node_count, expected[zxid].nodes);
	ck_assert_uint_eq(db->tree.reapable_count, expected[zxid].reapable);
	ck_assert_str_eq(stats, expected[zxid].stats);
	ck_assert_uint_eq(db->digest_mismatches, 0);
}

/* Log a transaction durably, then apply it. */
static void
carry_out(struct life *l, const struct buf *txn)
{
	struct txnlog_batch batch;
	struct fault fault = {{0}};

	txnlog_batch_init(&batch);
	ck_assert_int_eq(txnlog_append(&l->log, &batch, txn->data, txn->len), 0);
	txnlog_seal(&l->log, &batch);
	l->over = txnlog_write(&l->log, &batch, &fault) != 0;
	txnlog_batch_fini(&batch);
	if (l->over)
		return;
	ck_assert_int_eq(db_apply(&l->db, txn->data, txn->len, 0, NULL, NULL, NULL), APPLY_OK);
	prep_applied(&l->prep, l->db.last_zxid);
	l->acknowledged = l->db.last_zxid;
	if (l->reference)
		note(&l->db);
}

static void
request(struct life *l, int32_t type, const struct buf *body)
{
	static const struct acl_ids nobody;
	struct prep_request q = {.session = SESSION,
	    .type = type,
	    .body = jute_reader(body->data, body->len),
	    .who = &nobody,
	    .time_ms = 5};
	struct txn_header h;
	struct buf txn;

	if (l->over)
		return;
	buf_init(&txn, FRAME_BYTES_MAX);
	ck_assert(prep_txn(&l->prep, &q, &txn));
	ck_assert(txn_decode_header(&h, txn.data, txn.len));
	ck_assert_int_eq(h.type, type); /* and no error */
	carry_out(l, &txn);
	buf_fini(&txn);
}

static void
create(struct life *l, int32_t op, const char *path, const char *data, int32_t mode)
{
	struct buf body;

	buf_init(&body, FRAME_BYTES_MAX);
	jute_put_text(&body, path);
	jute_put_text(&body, data);
	buf_append(&body, WORLD, sizeof WORLD - 1);
	jute_put_i32(&body, mode);
	if (op == ZK_OP_CREATE_TTL)
		jute_put_i64(&body, 1000);
	request(l, op, &body);
	buf_fini(&body);
}

static void
change(struct life *l, int32_t op, const char *path, const char *data)
{
	struct buf body;

	buf_init(&body, FRAME_BYTES_MAX);
	jute_put_text(&body, path);
	if (data != NULL)
		jute_put_text(&body, data);
	if (op != ZK_OP_DELETE_CONTAINER)
		jute_put_i32(&body, -1);
	request(l, op, &body);
	buf_fini(&body);
}

static void
take_snapshot(struct life *l, enum pack_kind kind)
{
	struct fault fault = {{0}};

	if (l->over)
		return;
	txnlog_roll(&l->log);
	l->over = snapshot_write_as(l->store, &l->db, kind, &fault) != 0 ||
		  purge(l->store, l->store, 3, &fault) < 0;
}

static void
one_round(struct life *l, int round)
{
	char path[32];

	snprintf(path, sizeof path, "/q/c%d", round);
	create(l, ZK_OP_CREATE_CONTAINER, path, "1234", ZK_CONTAINER);
	snprintf(path, sizeof path, "/q/c%d/kid", round);
	create(l, ZK_OP_CREATE, path, "12", ZK_PERSISTENT);
	change(l, ZK_OP_SET_DATA, path, "123456");
	snprintf(path, sizeof path, "/q/t%d", round);
	create(l, ZK_OP_CREATE_TTL, path, "1", ZK_PERSISTENT_TTL);
	if (round % 2 == 0)
		take_snapshot(l, (enum pack_kind)(round / 2 % 3));
	change(l, ZK_OP_DELETE_CONTAINER, path, NULL);
	snprintf(path, sizeof path, "/q/c%d/kid", round);
	change(l, ZK_OP_DELETE, path, NULL);
	if (round % 3 == 0)
		return;
	path[strlen(path) - 4] = '\0';
	change(l, ZK_OP_DELETE_CONTAINER, path, NULL);
}

static void
live(struct life *l)
{
	struct buf body;

	buf_init(&body, FRAME_BYTES_MAX);
	jute_put_i32(&body, 4000);
	request(l, ZK_OP_CREATE_SESSION, &body);
	buf_fini(&body);
	create(l, ZK_OP_CREATE, "/q", "12345", ZK_PERSISTENT);
	create(l, ZK_OP_CREATE, "/zookeeper/quota/q", "", ZK_PERSISTENT);
	create(l, ZK_OP_CREATE, "/zookeeper/quota/q/zookeeper_limits", "count=9,bytes=9", 0);
	create(l, ZK_OP_CREATE, "/zookeeper/quota/q/zookeeper_stats", "", 0);
	for (int round = 0; round < ROUNDS; round++)
		one_round(l, round);
}

/* The database that the disk gives, in *db. */
static void
recover_into(struct life *l, struct db *db)
{
	struct recover_report report;
	struct fault fault = {{0}};

	ck_assert(db_init(db, &KEY, 2000));
	db_set_rules(db, &RULES);
	ck_assert_msg(
	    recover(l->store, l->store, &OPTIONS, db, &report, &fault) == 0, "%s", fault.text);
	ck_assert(!report.digest_wrong);
}

/* A life whose disk stops at this operation; 0: it does not. Returns the operations that it had. */
static uint64_t
run(uint64_t stop_at, bool power)
{
	struct life l = {.disk = simdisk_new(stop_at + 7, UINT64_MAX), .reference = stop_at == 0};
	struct recover_report report;
	struct fault fault = {{0}};
	struct db again;
	uint64_t ops;

	ck_assert_ptr_nonnull(l.disk);
	l.store = simdisk_store(l.disk);
	simdisk_stop_at(l.disk, stop_at);
	ck_assert(db_init(&l.db, &KEY, 2000));
	db_set_rules(&l.db, &RULES);
	l.over = recover(l.store, l.store, &OPTIONS, &l.db, &report, &fault) != 0;
	if (l.reference)
		note(&l.db);
	txnlog_init(&l.log, l.store, PREALLOCATE_BYTES);
	prep_init(&l.prep, &l.db);
	live(&l);
	ops = simdisk_ops(l.disk);
	ck_assert(l.over == (stop_at > 0));
	prep_fini(&l.prep);
	txnlog_fini(&l.log);
	db_fini(&l.db);
	if (power)
		simdisk_power_loss(l.disk);
	else
		simdisk_crash(l.disk);
	for (int i = 0; i < 2; i++) { /* a second start finds the same */
		recover_into(&l, &again);
		ck_assert_int_ge(again.last_zxid, l.acknowledged);
		expect_as_noted(&again);
		db_fini(&again);
	}
	simdisk_free(l.disk);
	return ops;
}

START_TEST(every_operation_of_the_disk_may_be_its_last)
{
	uint64_t ops = run(0, false);

	ck_assert_int_gt(last_expected, 40);
	ck_assert_str_eq(expected[last_expected].stats, "count=3,bytes=13");
	for (uint64_t op = 1; op <= ops; op++) {
		run(op, true);
		run(op, false);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("crash_kinds");
	TCase *c = tcase_create("crash_kinds");

	tcase_set_timeout(c, 120);
	tcase_add_test(c, every_operation_of_the_disk_may_be_its_last);
	suite_add_tcase(s, c);
	return s;
}
