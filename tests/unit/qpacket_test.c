/* SPDX-License-Identifier: Apache-2.0 */
/* Packets between leader and learner, the history in memory, a snapshot that is received. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/simdisk.h"
#include "tests/lib/unit.h"
#include "zkserver/core/history.h"
#include "zkserver/core/qpacket.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/snapstream.h"

static struct buf b;

static void
setup(void)
{
	buf_init(&b, 16 << 20);
}

static void
teardown(void)
{
	buf_fini(&b);
}

static void
expect_bytes(const char *hex)
{
	size_t n = 0;

	for (; *hex != '\0'; hex++) {
		char digits[3] = {hex[0], hex[1], '\0'};

		if (*hex == ' ')
			continue;
		ck_assert_uint_lt(n, b.len);
		ck_assert_uint_eq(b.data[n++], strtoul(digits, NULL, 16));
		hex++;
	}
	ck_assert_uint_eq(n, b.len);
	buf_clear(&b);
}

START_TEST(a_handshake_has_the_bytes_that_apaches_servers_sent)
{
	const struct learner_info info = {.sid = 1, .protocol = QPACKET_PROTOCOL};

	learner_info_put(&b, QPACKET_FOLLOWERINFO, 0, &info);
	expect_bytes("0000000b 0000000000000000 00000014 0000000000000001 00010000 "
		     "0000000000000000 ffffffff");
	qpacket_put_leader_info(&b, 1);
	expect_bytes("00000011 0000000100000000 00000004 00010000 ffffffff");
	qpacket_put_ack_epoch(&b, 0, 0);
	expect_bytes("00000012 0000000000000000 00000004 00000000 ffffffff");
	qpacket_put(&b, QPACKET_DIFF, 0, NULL, 0);
	expect_bytes("0000000d 0000000000000000 ffffffff ffffffff");
	qpacket_put(&b, QPACKET_ACK, INT64_C(1) << 32, NULL, 0);
	expect_bytes("00000003 0000000100000000 ffffffff ffffffff");
	qpacket_put(&b, QPACKET_UPTODATE, -1, NULL, 0);
	expect_bytes("0000000c ffffffffffffffff ffffffff ffffffff");
	qpacket_put(&b, QPACKET_PING, INT64_C(1) << 32, "", 0);
	expect_bytes("00000005 0000000100000000 00000000 ffffffff");
}
END_TEST

START_TEST(a_request_carries_its_clients_identities)
{
	struct qpacket_request q;
	struct acl_ids who, got;
	struct qpacket p;
	size_t used;

	acl_ids_init(&who);
	ck_assert(acl_ids_add(&who, "ip", "127.0.0.1"));
	ck_assert(acl_ids_add(&who, "digest", "a:b"));
	qpacket_put_request(&b, 7, 3, 1, (const uint8_t *)"body", 4, &who);
	ck_assert_int_eq(qpacket_decode(&p, b.data, b.len, 1 << 20, &used), QPACKET_WHOLE);
	ck_assert_uint_eq(used, b.len);
	ck_assert(qpacket_request_decode(&p, &q));
	ck_assert_int_eq(q.session, 7);
	ck_assert_int_eq(q.cxid, 3);
	ck_assert_int_eq(q.type, 1);
	ck_assert_uint_eq(jute_left(&q.body), 4);
	ck_assert(qpacket_ids(&p, &got));
	ck_assert_int_eq(got.count, 2);
	ck_assert(acl_ids_has(&got, "digest", "a:b"));
	acl_ids_fini(&who);
}
END_TEST

START_TEST(a_packet_that_comes_byte_by_byte_is_whole_at_its_last)
{
	struct acl_ids who;
	struct qpacket p;
	size_t used;

	acl_ids_init(&who);
	ck_assert(acl_ids_add(&who, "ip", "::1"));
	qpacket_put_request(&b, 7, 3, 1, (const uint8_t *)"body", 4, &who);
	for (size_t n = 0; n < b.len; n++) {
		ck_assert_int_eq(qpacket_decode(&p, b.data, n, 1 << 20, &used), QPACKET_SHORT);
		ck_assert_uint_gt(used, n);
		ck_assert_uint_le(used, b.len);
	}
	acl_ids_fini(&who);
}
END_TEST

START_TEST(impossible_lengths_are_refused_at_once)
{
	static const int32_t data[] = {-2, INT32_MIN, INT32_MAX, 101};
	static const int32_t ids[] = {-2, INT32_MIN, INT32_MAX, 20000};
	struct qpacket p;
	size_t used;

	for (size_t i = 0; i < 4; i++) {
		buf_clear(&b);
		jute_put_i32(&b, QPACKET_PING);
		jute_put_i64(&b, 0);
		jute_put_i32(&b, data[i]);
		ck_assert_int_eq(qpacket_decode(&p, b.data, b.len, 100, &used), QPACKET_BAD);
		buf_truncate(&b, 12);
		jute_put_i32(&b, -1);
		jute_put_i32(&b, ids[i]);
		ck_assert_int_eq(qpacket_decode(&p, b.data, b.len, 100, &used), QPACKET_BAD);
		buf_truncate(&b, 16);
		jute_put_i32(&b, 1);
		jute_put_i32(&b, data[i] == 101 ? 1 << 20 : data[i]);
		ck_assert_int_eq(qpacket_decode(&p, b.data, b.len, 100, &used), QPACKET_BAD);
	}
}
END_TEST

START_TEST(old_learners_say_less_of_themselves)
{
	uint8_t bytes[20] = {0, 0, 0, 0, 0, 0, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
	struct learner_info info;

	ck_assert(learner_info_decode(&info, (struct jute_bytes){bytes, 20}));
	ck_assert(info.sid == 5 && info.protocol == QPACKET_PROTOCOL && info.config_version == 9);
	ck_assert(learner_info_decode(&info, (struct jute_bytes){bytes, 12}));
	ck_assert(info.sid == 5 && info.protocol == QPACKET_PROTOCOL && info.config_version == 0);
	ck_assert(learner_info_decode(&info, (struct jute_bytes){bytes, 8}));
	ck_assert(info.sid == 5 && info.protocol == 0);
	ck_assert(!learner_info_decode(&info, (struct jute_bytes){bytes, 7}));
	ck_assert(learner_info_decode(&info, (struct jute_bytes){NULL, -1}) && info.anonymous);
}
END_TEST

/* ---- history ---- */

static void
append(struct history *h, int64_t zxid, size_t size)
{
	uint8_t bytes[1000];

	memset(bytes, (int)(zxid & 0xff), sizeof bytes);
	history_append(h, zxid, bytes, size);
	history_check(h);
}

START_TEST(the_history_keeps_the_newest_within_its_bounds)
{
	const uint8_t *bytes;
	struct history h;
	int64_t next;
	size_t size;

	ck_assert(history_init(&h, 4, 1000));
	history_reset(&h, 0x100000007);
	ck_assert(history_knows(&h, 0x100000007) && !history_knows(&h, 0x100000006));
	for (int i = 1; i <= 3; i++)
		append(&h, 0x200000000 + i, 10);
	append(&h, 0x300000001, 10);
	ck_assert_int_eq(h.base, 0x100000007);
	append(&h, 0x300000002, 10);
	ck_assert_int_eq(h.base, 0x200000001);
	ck_assert(history_knows(&h, 0x200000001) && !history_knows(&h, 0x200000004));
	ck_assert(history_after(&h, 0x200000003, &next, &bytes, &size));
	ck_assert_int_eq(next, 0x300000001);
	ck_assert_uint_eq(bytes[0], 1);
	ck_assert(history_after(&h, 0x200000009, &next, &bytes, &size));
	ck_assert_int_eq(next, 0x300000001);
	ck_assert(!history_after(&h, 0x300000002, &next, &bytes, &size));
	append(&h, 0x300000003, 950);
	ck_assert_uint_eq(h.count, 4); /* it fills the ring to its end */
	append(&h, 0x300000004, 25);
	ck_assert_int_eq(h.base, 0x200000003); /* at the ring's beginning, which was free */
	append(&h, 0x300000005, 20);
	ck_assert_int_eq(h.base, 0x300000002); /* where the two oldest lay */
	ck_assert(history_after(&h, 0x300000003, &next, &bytes, &size));
	ck_assert(next == 0x300000004 && size == 25 && bytes[24] == 4);
	append(&h, 0x300000006, 10);
	ck_assert_uint_eq(h.count, 3); /* in the way of the large one */
	append(&h, 0x300000007, 1000);
	ck_assert_uint_eq(h.count, 1);
	ck_assert_int_eq(history_last(&h), 0x300000007);
	history_fini(&h);
}
END_TEST

START_TEST(what_is_larger_than_the_history_leaves_it_empty)
{
	struct history h;

	ck_assert(history_init(&h, 4, 100));
	append(&h, 1, 50);
	append(&h, 2, 101);
	ck_assert_uint_eq(h.count, 0);
	ck_assert_int_eq(h.base, 2);
	append(&h, 3, 100);
	ck_assert_int_eq(history_last(&h), 3);
	history_fini(&h);
}
END_TEST

/* ---- a snapshot that is received ---- */

static const struct hash_key KEY = {3, 4};
static const uint8_t ACL[] = "\0\0\0\1\0\0\0\1\0\0\0\2ip\0\0\0\7"
			     "1.2.3.4";

static int
put(void *arg, const uint8_t *bytes, size_t size)
{
	buf_append(arg, bytes, size);
	return 0;
}

/* A database with sessions, an access list and a few nodes; its stream in b. */
static void
make_stream(struct db *db)
{
	const struct txn_header header = {.session = 77, .zxid = 5, .type = ZK_OP_CREATE};
	const struct txn_body body = {.type = ZK_OP_CREATE,
	    .path = {(const uint8_t *)"/a", 2},
	    .data = {(const uint8_t *)"data", 4},
	    .acl = {ACL, sizeof ACL - 1},
	    .version = 1};

	ck_assert(db_init(db, &KEY, 2000));
	ck_assert_ptr_nonnull(session_add(&db->sessions, 77, 4000, 0));
	buf_clear(&b);
	txn_put_header(&b, &header);
	txn_put_body(&b, &body);
	ck_assert_int_eq(db_apply(db, b.data, b.len, 0, NULL, NULL, NULL), APPLY_OK);
	ck_assert_uint_ge(acl_count(&db->tree.acls), 1);
	buf_clear(&b);
	ck_assert_int_eq(snapshot_stream(db, put, &b), 0);
}

START_TEST(a_snapshot_in_pieces_of_any_size_is_the_same_database)
{
	struct db db, got;

	make_stream(&db);
	for (size_t piece = 1; piece <= b.len; piece += piece < 20 ? 1 : 37) {
		struct simdisk *disk = simdisk_new(1, UINT64_MAX);
		struct store *store = simdisk_store(disk);
		struct fault f = {0};
		struct snapstream s;
		size_t at = 0, used;
		int result = 0;

		buf_append(&b, "rest", 4);
		ck_assert_int_eq(snapstream_begin(&s, store, &f), 0);
		while (result == 0) {
			size_t n = b.len - at < piece ? b.len - at : piece;

			ck_assert_uint_gt(n, 0);
			result = snapstream_feed(&s, b.data + at, n, &used, &f);
			ck_assert(used <= n && (used == n || result == 1));
			at += used;
		}
		ck_assert_msg(result == 1, "%s", f.text);
		ck_assert_uint_eq(at, b.len - 4);
		buf_truncate(&b, b.len - 4);
		snapstream_end(&s);
		ck_assert(db_init(&got, &KEY, 2000));
		ck_assert_msg(snapshot_load_new(store, 5, &got, &f) == 0, "%s", f.text);
		ck_assert_uint_eq(got.tree.digest, db.tree.digest);
		ck_assert_uint_eq(session_count(&got.sessions), 1);
		ck_assert_int_eq(got.last_zxid, 5);
		db_fini(&got);
		simdisk_free(disk);
	}
	db_fini(&db);
}
END_TEST

/* Feed b with one byte changed: it must end in an error, or in something that loads. */
static void
feed_changed(size_t at, uint8_t xor)
{
	struct simdisk *disk = simdisk_new(1, UINT64_MAX);
	struct store *store = simdisk_store(disk);
	struct fault f = {0};
	struct snapstream s;
	struct db got;
	size_t used;
	int result;

	b.data[at] ^= xor;
	ck_assert_int_eq(snapstream_begin(&s, store, &f), 0);
	result = snapstream_feed(&s, b.data, b.len, &used, &f);
	snapstream_end(&s);
	ck_assert(result == 0 || result == 1 || result == DATADIR_CORRUPT);
	ck_assert((result < 0) == (f.text[0] != '\0'));
	if (result == 1) {
		ck_assert(db_init(&got, &KEY, 2000));
		result = snapshot_load_new(store, 5, &got, &f);
		ck_assert(result == 0 || result == DATADIR_CORRUPT);
		db_fini(&got);
	}
	b.data[at] ^= xor;
	simdisk_free(disk);
}

START_TEST(a_changed_byte_is_an_error_or_another_snapshot_but_no_crash)
{
	struct db db;

	make_stream(&db);
	for (size_t at = 0; at < b.len; at++) {
		feed_changed(at, 0x80);
		feed_changed(at, 0x01);
		feed_changed(at, 0xff);
	}
	db_fini(&db);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("qpacket");
	TCase *t = tcase_create("packets");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_handshake_has_the_bytes_that_apaches_servers_sent);
	tcase_add_test(t, a_request_carries_its_clients_identities);
	tcase_add_test(t, a_packet_that_comes_byte_by_byte_is_whole_at_its_last);
	tcase_add_test(t, impossible_lengths_are_refused_at_once);
	tcase_add_test(t, old_learners_say_less_of_themselves);
	tcase_add_test(t, the_history_keeps_the_newest_within_its_bounds);
	tcase_add_test(t, what_is_larger_than_the_history_leaves_it_empty);
	tcase_add_test(t, a_snapshot_in_pieces_of_any_size_is_the_same_database);
	tcase_add_test(t, a_changed_byte_is_an_error_or_another_snapshot_but_no_crash);
	suite_add_tcase(s, t);
	return s;
}
