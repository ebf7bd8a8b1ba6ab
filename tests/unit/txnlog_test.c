/* SPDX-License-Identifier: Apache-2.0 */
/* The transaction log, written and read on the simulated disk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/rng.h"
#include "libcommon/codec/jute.h"
#include "tests/lib/simdisk.h"
#include "tests/lib/unit.h"
#include "zkserver/core/txnlog.h"
#include "zkserver/core/txnlog_reader.h"

#define PREALLOCATE ((uint64_t)1 << 20)

/* A txn of this zxid whose body is `size` bytes, none of them zero. */
static void
make_txn(struct buf *b, uint64_t zxid, size_t size)
{
	buf_clear(b);
	jute_put_i64(b, 7);
	jute_put_i32(b, 1);
	jute_put_i64(b, (int64_t)zxid);
	jute_put_i64(b, 1700000000000);
	jute_put_i32(b, 5);
	for (size_t i = 0; i < size; i++)
		jute_put_u8(b, (uint8_t)(1 + (zxid + i) % 255));
	ck_assert(!b->failed);
}

/* Append the records first..last in one batch and carry it out. */
static int
write_batch(struct txnlog *log, uint64_t first, uint64_t last, size_t body)
{
	struct txnlog_batch batch;
	struct fault fault = {0};
	struct buf txn;
	int err;

	buf_init(&txn, TXNLOG_TXN_MAX_BYTES);
	txnlog_batch_init(&batch);
	for (uint64_t z = first; z <= last; z++) {
		make_txn(&txn, z, body);
		ck_assert_int_eq(txnlog_append(log, &batch, txn.data, txn.len), 0);
	}
	txnlog_seal(log, &batch);
	err = txnlog_write(log, &batch, &fault);
	ck_assert_int_eq(err == 0, fault.text[0] == '\0');
	txnlog_batch_clear(log, &batch);
	txnlog_batch_fini(&batch);
	buf_fini(&txn);
	return err;
}

/* What reading everything above `after` gives: the last zxid, or the error. */
struct outcome {
	int err;
	uint64_t last, count;
	bool torn, torn_empty;
	uint64_t torn_file, torn_offset;
	char text[384];
};

static struct outcome
read_all(struct store *s, uint64_t after)
{
	struct outcome o = {.last = after};
	struct txnlog_record record;
	struct fault fault = {0};
	struct txnlog_reader r;
	struct buf txn;
	int got = 1;

	buf_init(&txn, TXNLOG_TXN_MAX_BYTES);
	o.err = txnlog_reader_open(&r, s, after, &fault);
	while (o.err == 0 && (got = txnlog_reader_next(&r, &record, &fault)) == 1) {
		ck_assert_uint_gt(record.zxid, o.last);
		make_txn(&txn, record.zxid, record.size - TXNLOG_TXN_MIN_BYTES);
		ck_assert_mem_eq(record.txn, txn.data, txn.len);
		o.last = record.zxid;
		o.count++;
	}
	if (o.err == 0 && got < 0)
		o.err = got;
	o.torn = r.torn;
	o.torn_empty = r.torn_file_empty;
	o.torn_file = r.torn_file_zxid;
	o.torn_offset = r.torn_offset;
	memcpy(o.text, fault.text, sizeof(o.text));
	ck_assert_int_eq(o.err != 0, o.text[0] != '\0');
	txnlog_reader_close(&r);
	buf_fini(&txn);
	return o;
}

static struct simdisk *
new_disk(uint64_t seed)
{
	struct simdisk *d = simdisk_new(seed, UINT64_MAX);

	ck_assert_ptr_nonnull(d);
	return d;
}

START_TEST(what_was_written_is_read_back_in_order)
{
	struct simdisk *d = new_disk(1);
	struct txnlog log;
	struct outcome o;

	txnlog_init(&log, simdisk_store(d), PREALLOCATE);
	ck_assert_int_eq(write_batch(&log, 1, 1, 16), 0);
	ck_assert_int_eq(write_batch(&log, 2, 40, 900), 0);
	ck_assert_int_eq(write_batch(&log, 41, 41, 100000), 0);
	txnlog_fini(&log);
	o = read_all(simdisk_store(d), 0);
	ck_assert_int_eq(o.err, 0);
	ck_assert_uint_eq(o.count, 41);
	ck_assert(!o.torn);
	o = read_all(simdisk_store(d), 17);
	ck_assert_uint_eq(o.count, 24);
	simdisk_free(d);
}
END_TEST

START_TEST(the_bytes_are_those_of_zookeepers_log)
{
	/* The record of a real log: its checksum, length and terminator. */
	static const uint8_t session[48] = {
	    0x01,
	    0x00,
	    0x01,
	    0x23,
	    0x45,
	    0x67,
	    0x89,
	    0xab,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0,
	    1,
	};
	struct simdisk *d = new_disk(1);
	struct txnlog_batch batch;
	struct fault fault = {0};
	struct store_file *file;
	struct txnlog log;
	uint8_t head[16 + 12 + 48 + 1];
	uint64_t size;

	txnlog_batch_init(&batch);
	txnlog_init(&log, simdisk_store(d), PREALLOCATE);
	ck_assert_int_eq(txnlog_append(&log, &batch, session, sizeof(session)), 0);
	txnlog_seal(&log, &batch);
	ck_assert_int_eq(txnlog_write(&log, &batch, &fault), 0);
	ck_assert_int_eq(store_open(simdisk_store(d), "log.1", STORE_OPEN_READ, &file), 0);
	ck_assert_int_eq(store_pread(file, head, sizeof(head), 0), sizeof(head));
	ck_assert_mem_eq(head, "ZKLG\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	ck_assert_mem_eq(head + 24, "\0\0\0\60", 4);
	ck_assert_mem_eq(head + 28, session, sizeof(session));
	ck_assert_uint_eq(head[76], 'B');
	ck_assert_int_eq(store_size(file, &size), 0);
	ck_assert_uint_eq(size, TXNLOG_FIRST_BYTES);
	store_close(file);
	txnlog_batch_fini(&batch);
	txnlog_fini(&log);
	simdisk_free(d);
}
END_TEST

START_TEST(a_full_file_goes_on_in_the_spare_one)
{
	struct simdisk *d = new_disk(2);
	struct datadir_list files;
	struct fault fault = {0};
	struct txnlog log;
	struct outcome o;

	txnlog_init(&log, simdisk_store(d), PREALLOCATE);
	ck_assert_uint_eq(txnlog_spare_wanted_bytes(&log), 0);
	for (uint64_t z = 1; z <= 900; z += 3) {
		uint64_t wanted = txnlog_spare_wanted_bytes(&log);
		struct store_file *spare;

		if (wanted > 0) {
			ck_assert_int_eq(
			    txnlog_spare_make(simdisk_store(d), wanted, &spare, &fault), 0);
			txnlog_spare_adopt(&log, spare, wanted);
		}
		ck_assert_int_eq(write_batch(&log, z, z + 2, 3000), 0);
	}
	txnlog_fini(&log);
	ck_assert_int_eq(datadir_list(simdisk_store(d), "log", &files, &fault), 0);
	ck_assert_uint_ge(files.count, 3);
	datadir_list_free(&files);
	o = read_all(simdisk_store(d), 0);
	ck_assert_int_eq(o.err, 0);
	ck_assert_uint_eq(o.last, 900);
	simdisk_free(d);
}
END_TEST

START_TEST(a_file_that_has_passed_its_limit_is_the_last)
{
	static const uint64_t preallocate[] = {0, PREALLOCATE, 64 << 20};

	for (size_t i = 0; i < sizeof(preallocate) / sizeof(preallocate[0]); i++) {
		struct simdisk *d = new_disk(3);
		struct datadir_list files;
		struct fault fault = {0};
		struct txnlog log;

		txnlog_init(&log, simdisk_store(d), preallocate[i]);
		log.file_bytes = 10000;
		/* 1 to 10 end at 9466; the eleventh passes the limit. */
		for (uint64_t z = 1; z <= 23; z++)
			ck_assert_int_eq(write_batch(&log, z, z, 900), 0);
		txnlog_fini(&log);
		ck_assert_uint_eq(read_all(simdisk_store(d), 0).last, 23);
		ck_assert_int_eq(datadir_list(simdisk_store(d), "log", &files, &fault), 0);
		ck_assert_uint_eq(files.count, 3);
		ck_assert_uint_eq(files.entries[1].zxid, 12);
		ck_assert_uint_eq(files.entries[2].zxid, 23);
		datadir_list_free(&files);
		simdisk_free(d);
	}
}
END_TEST

START_TEST(no_spare_is_made_while_a_batch_has_the_last_one)
{
	struct simdisk *d = new_disk(2);
	struct txnlog_batch batch;
	struct store_file *spare;
	struct fault fault = {0};
	struct txnlog log;
	struct buf txn;

	buf_init(&txn, TXNLOG_TXN_MAX_BYTES);
	txnlog_batch_init(&batch);
	txnlog_init(&log, simdisk_store(d), PREALLOCATE);
	ck_assert_int_eq(write_batch(&log, 1, 1, 200000), 0);
	ck_assert_uint_gt(txnlog_spare_wanted_bytes(&log), 0);
	ck_assert_int_eq(txnlog_spare_make(simdisk_store(d), 1 << 20, &spare, &fault), 0);
	txnlog_spare_adopt(&log, spare, 1 << 20);
	txnlog_roll(&log);
	make_txn(&txn, 2, 900000);
	ck_assert_int_eq(txnlog_append(&log, &batch, txn.data, txn.len), 0);
	ck_assert_uint_eq(txnlog_spare_wanted_bytes(&log), 0);
	txnlog_seal(&log, &batch);
	ck_assert_uint_eq(txnlog_spare_wanted_bytes(&log), 0);
	ck_assert_int_eq(txnlog_write(&log, &batch, &fault), 0);
	txnlog_batch_clear(&log, &batch);
	ck_assert_uint_gt(txnlog_spare_wanted_bytes(&log), 0);
	ck_assert_uint_eq(read_all(simdisk_store(d), 0).last, 2);
	txnlog_batch_fini(&batch);
	txnlog_fini(&log);
	buf_fini(&txn);
	simdisk_free(d);
}
END_TEST

START_TEST(without_a_spare_the_file_grows)
{
	struct simdisk *d = new_disk(2);
	struct txnlog log;
	struct outcome o;

	txnlog_init(&log, simdisk_store(d), 0);
	for (uint64_t z = 1; z <= 200; z++)
		ck_assert_int_eq(write_batch(&log, z, z, z * 37), 0);
	txnlog_fini(&log);
	o = read_all(simdisk_store(d), 0);
	ck_assert_int_eq(o.err, 0);
	ck_assert_uint_eq(o.last, 200);
	simdisk_free(d);
}
END_TEST

/* Some batches, the power gone at operation `op`; returns the last zxid acknowledged. */
static uint64_t
run_until(struct simdisk *d, uint64_t op, uint64_t from, size_t body)
{
	uint64_t acknowledged = from - 1;
	struct txnlog log;

	simdisk_stop_at(d, op);
	txnlog_init(&log, simdisk_store(d), PREALLOCATE);
	for (int i = 0; i < 12; i++) {
		uint64_t last = acknowledged + 1 + (uint64_t)i % 5;

		if (i == 6)
			txnlog_roll(&log);
		if (write_batch(&log, acknowledged + 1, last, body) != 0)
			break;
		acknowledged = last;
	}
	txnlog_fini(&log);
	return acknowledged;
}

/* Recover as the server does: read, cut what is torn, read again. Returns the last zxid. */
static uint64_t
recover(struct simdisk *d)
{
	struct store *s = simdisk_store(d);
	struct outcome o = read_all(s, 0);
	struct fault fault = {0};
	struct outcome again;

	ck_assert_msg(o.err == 0, "%s", o.text);
	if (o.torn)
		ck_assert_int_eq(
		    txnlog_cut(s, o.torn_file, o.torn_offset, o.torn_empty, &fault), 0);
	ck_assert_int_eq(txnlog_clean(s, &fault), 0);
	again = read_all(s, 0);
	ck_assert_msg(again.err == 0, "%s", again.text);
	ck_assert(!again.torn);
	ck_assert_uint_eq(again.last, o.last);
	return o.last;
}

START_TEST(a_power_loss_at_any_operation_loses_nothing_acknowledged)
{
	static const size_t bodies[] = {4, 200, 700, 5000};
	uint64_t torn = 0;

	for (uint64_t op = 1; op < 60; op++)
		for (uint64_t seed = 0; seed < 12; seed++) {
			struct simdisk *d = new_disk(seed * 1000 + op);
			size_t body = bodies[seed % 4];
			uint64_t acknowledged = run_until(d, op, 1, body), last;

			simdisk_power_loss(d);
			last = recover(d);
			ck_assert_uint_ge(last, acknowledged);
			/* Life goes on behind it, through another loss. */
			acknowledged = run_until(d, simdisk_ops(d) + 1 + seed, last + 1, body);
			simdisk_power_loss(d);
			ck_assert_uint_ge(recover(d), acknowledged);
			torn += simdisk_fault_count(d, SIMDISK_TORN);
			simdisk_free(d);
		}
	ck_assert_uint_gt(torn, 100);
}
END_TEST

START_TEST(a_crash_at_any_operation_loses_nothing_acknowledged)
{
	for (uint64_t op = 1; op < 60; op++) {
		struct simdisk *d = new_disk(op);
		uint64_t acknowledged = run_until(d, op, 1, 700);

		simdisk_crash(d);
		ck_assert_uint_ge(recover(d), acknowledged);
		simdisk_free(d);
	}
}
END_TEST

START_TEST(a_failed_write_or_sync_is_an_error_and_loses_nothing_acknowledged)
{
	static const int errors[] = {-EIO, -ENOSPC};

	for (uint64_t op = 1; op < 60; op++)
		for (int e = 0; e < 2; e++) {
			struct simdisk *d = new_disk(op);
			uint64_t acknowledged;

			simdisk_fail_at(d, op, errors[e]);
			acknowledged = run_until(d, 0, 1, 700);
			if (simdisk_ops(d) >= op)
				ck_assert_uint_lt(acknowledged, 34);
			simdisk_power_loss(d);
			ck_assert_uint_ge(recover(d), acknowledged);
			simdisk_free(d);
		}
}
END_TEST

/* 30 records in three batches of one file, all durable. */
static struct simdisk *
written_disk(void)
{
	struct simdisk *d = new_disk(5);
	struct txnlog log;

	txnlog_init(&log, simdisk_store(d), PREALLOCATE);
	for (uint64_t z = 1; z <= 30; z += 10)
		ck_assert_int_eq(write_batch(&log, z, z + 9, 600), 0);
	txnlog_fini(&log);
	return d;
}

#define RECORD_BYTES (600 + TXNLOG_TXN_MIN_BYTES + TXNLOG_RECORD_OVERHEAD_BYTES)

START_TEST(any_flipped_bit_is_corruption_and_named)
{
	uint64_t end = TXNLOG_HEADER_BYTES + 30 * RECORD_BYTES;
	struct simdisk *d = written_disk();

	for (uint64_t at = 0; at < end; at += at < 1000 || at > end - 1000 ? 1 : 97) {
		struct outcome o;

		/* The database id in the header means nothing. */
		if (at >= 8 && at < TXNLOG_HEADER_BYTES)
			continue;
		ck_assert(simdisk_flip_bit(d, "log.1", at, (unsigned)at));
		o = read_all(simdisk_store(d), 0);
		ck_assert_msg(o.err == DATADIR_CORRUPT, "offset %llu: %d, %llu records, torn %d",
		    (unsigned long long)at, o.err, (unsigned long long)o.count, o.torn);
		ck_assert_ptr_nonnull(strstr(o.text, "log.1: "));
		if (at >= TXNLOG_HEADER_BYTES) {
			char offset[40];

			snprintf(offset, sizeof(offset), "at offset %llu",
			    (unsigned long long)((at - 16) / RECORD_BYTES * RECORD_BYTES + 16));
			ck_assert_msg(strstr(o.text, offset) != NULL, "%s: %s", offset, o.text);
		}
		simdisk_flip_bit(d, "log.1", at, (unsigned)at);
	}
	ck_assert_int_eq(read_all(simdisk_store(d), 0).err, 0);
	simdisk_free(d);
}
END_TEST

/* Overwrite part of log.1 with zeros. */
static void
zero(struct simdisk *d, uint64_t from, uint64_t to)
{
	uint8_t *zeros = calloc(1, to - from);
	struct store_file *file;

	ck_assert_int_eq(store_open(simdisk_store(d), "log.1", STORE_OPEN_WRITE, &file), 0);
	ck_assert_int_eq(store_pwrite(file, zeros, to - from, from), 0);
	store_close(file);
	free(zeros);
}

START_TEST(zeros_further_from_the_end_than_a_batch_are_corruption)
{
	struct simdisk *d = new_disk(5);
	struct txnlog log;
	struct outcome o;

	txnlog_init(&log, simdisk_store(d), (uint64_t)64 << 20);
	for (uint64_t z = 1; z <= 6; z++)
		ck_assert_int_eq(write_batch(&log, z, z, (size_t)1 << 20), 0);
	txnlog_fini(&log);
	/* A batch that began with the third could have the sixth. */
	zero(d, (5 << 20) / 2, (5 << 20) / 2 + 4096);
	o = read_all(simdisk_store(d), 0);
	ck_assert_int_eq(o.err, 0);
	ck_assert_uint_eq(o.last, 2);
	/* One that began with the second was full behind the fifth. */
	zero(d, (3 << 20) / 2, (3 << 20) / 2 + 4096);
	o = read_all(simdisk_store(d), 0);
	ck_assert_int_eq(o.err, DATADIR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(o.text, "log.1: no valid record at offset 1048637"));
	simdisk_free(d);
}
END_TEST

START_TEST(a_last_batch_with_missing_sectors_is_cut)
{
	struct simdisk *d = written_disk();
	struct outcome o;

	/* Record 28 starts here; a sector of it goes, 29 and 30 stay whole. */
	uint64_t at = TXNLOG_HEADER_BYTES + 27 * RECORD_BYTES, sector = (at / 512 + 1) * 512;

	zero(d, sector, at + RECORD_BYTES < sector + 512 ? at + RECORD_BYTES : sector + 512);
	zero(d, at, sector);
	o = read_all(simdisk_store(d), 0);
	ck_assert_int_eq(o.err, 0);
	ck_assert_uint_eq(o.last, 27);
	ck_assert(o.torn);
	ck_assert_uint_eq(o.torn_offset, at);
	ck_assert_uint_eq(recover(d), 27);
	simdisk_free(d);
}
END_TEST

START_TEST(zeros_in_a_sector_that_was_written_are_corruption)
{
	struct simdisk *d = new_disk(5);
	struct txnlog log;
	struct outcome o;
	uint64_t size = TXNLOG_TXN_MIN_BYTES + 40 + TXNLOG_RECORD_OVERHEAD_BYTES;

	txnlog_init(&log, simdisk_store(d), TXNLOG_FIRST_BYTES);
	for (uint64_t z = 1; z <= 5; z++)
		ck_assert_int_eq(write_batch(&log, z, z, 40), 0);
	txnlog_fini(&log);
	zero(d, TXNLOG_HEADER_BYTES + size, TXNLOG_HEADER_BYTES + 2 * size);
	o = read_all(simdisk_store(d), 0);
	ck_assert_int_eq(o.err, DATADIR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(o.text, "a valid one, zxid 0x3, follows"));
	simdisk_free(d);
}
END_TEST

START_TEST(what_a_torn_older_file_lost_must_come_in_the_next)
{
	struct simdisk *d = written_disk();
	uint64_t at = TXNLOG_HEADER_BYTES + 29 * RECORD_BYTES;
	struct txnlog log;
	struct outcome o;

	zero(d, at, at + RECORD_BYTES);
	txnlog_init(&log, simdisk_store(d), PREALLOCATE);
	ck_assert_int_eq(write_batch(&log, 31, 32, 10), 0);
	txnlog_fini(&log);
	o = read_all(simdisk_store(d), 0);
	ck_assert_int_eq(o.err, DATADIR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(o.text, "log.1f: zxid 0x1f at offset 16 follows 0x1d"));
	/* From a snapshot at 30 on nothing is missing. */
	ck_assert_int_eq(read_all(simdisk_store(d), 30).err, 0);
	simdisk_free(d);
}
END_TEST

START_TEST(a_new_epoch_begins_with_one)
{
	struct simdisk *d = written_disk();
	struct txnlog log;

	txnlog_init(&log, simdisk_store(d), PREALLOCATE);
	ck_assert_int_eq(write_batch(&log, 0x100000001, 0x100000003, 10), 0);
	ck_assert_int_eq(write_batch(&log, 0x300000002, 0x300000002, 10), 0);
	txnlog_fini(&log);
	ck_assert_int_eq(read_all(simdisk_store(d), 0x300000001).err, 0);
	ck_assert_int_eq(read_all(simdisk_store(d), 0x100000002).err, DATADIR_CORRUPT);
	simdisk_free(d);
}
END_TEST

START_TEST(an_empty_newest_file_is_removed_and_an_empty_older_one_refused)
{
	struct simdisk *d = written_disk();
	struct store_file *file;
	struct txnlog log;

	ck_assert_int_eq(store_open(simdisk_store(d), "log.1f", STORE_OPEN_CREATE, &file), 0);
	store_close(file);
	ck_assert_uint_eq(recover(d), 30);
	ck_assert_int_eq(store_open(simdisk_store(d), "log.1f", STORE_OPEN_READ, &file), -ENOENT);
	ck_assert_int_eq(store_open(simdisk_store(d), "log.1f", STORE_OPEN_CREATE, &file), 0);
	store_close(file);
	txnlog_init(&log, simdisk_store(d), PREALLOCATE);
	ck_assert_int_eq(write_batch(&log, 32, 32, 10), 0);
	txnlog_fini(&log);
	ck_assert_int_eq(read_all(simdisk_store(d), 0).err, DATADIR_CORRUPT);
	simdisk_free(d);
}
END_TEST

START_TEST(forgetting_keeps_the_record_it_names_and_nothing_after)
{
	struct simdisk *d = written_disk();
	struct fault fault = {0};
	struct txnlog log;

	txnlog_init(&log, simdisk_store(d), PREALLOCATE);
	ck_assert_int_eq(write_batch(&log, 31, 40, 10), 0);
	txnlog_fini(&log);
	ck_assert_int_eq(txnlog_forget_after(simdisk_store(d), 40, &fault), 0);
	ck_assert_uint_eq(read_all(simdisk_store(d), 0).last, 40);
	ck_assert_int_eq(txnlog_forget_after(simdisk_store(d), 17, &fault), 0);
	simdisk_power_loss(d);
	ck_assert_uint_eq(read_all(simdisk_store(d), 0).last, 17);
	simdisk_free(d);
}
END_TEST

/* ZOOKEEPER-1489: what comes next stands right behind what was kept. */
START_TEST(zk1489_what_is_logged_after_a_cut_follows_it)
{
	struct simdisk *d = written_disk();
	struct fault fault = {0};
	struct txnlog log;

	for (uint64_t cut = 29; cut > 7; cut -= 7) {
		ck_assert_int_eq(txnlog_forget_after(simdisk_store(d), cut, &fault), 0);
		txnlog_init(&log, simdisk_store(d), PREALLOCATE);
		ck_assert_int_eq(write_batch(&log, cut + 1, cut + 3, 40), 0);
		txnlog_fini(&log);
		simdisk_power_loss(d);
		ck_assert_uint_eq(recover(d), cut + 3);
	}
	simdisk_free(d);
}
END_TEST

/* ZOOKEEPER-2249: a record that is larger than what a file grows by. */
START_TEST(zk2249_a_record_larger_than_any_step_is_whole)
{
	static const uint64_t preallocate[] = {0, TXNLOG_BLOCK_BYTES};

	for (size_t i = 0; i < sizeof preallocate / sizeof preallocate[0]; i++) {
		struct simdisk *d = new_disk(3);
		struct txnlog log;

		txnlog_init(&log, simdisk_store(d), preallocate[i]);
		for (uint64_t z = 1; z <= 3; z++)
			ck_assert_int_eq(write_batch(&log, z, z, (1 << 20) / z - 70), 0);
		txnlog_fini(&log);
		simdisk_power_loss(d);
		ck_assert_uint_eq(recover(d), 3);
		simdisk_free(d);
	}
}
END_TEST

/* ZOOKEEPER-1621: the disk was full when the newest file was begun. */
START_TEST(zk1621_a_newest_file_without_a_whole_header_is_removed)
{
	static const uint8_t header[] = "ZKLG\0\0\0\2\0\0\0\0\0\0\0";
	struct simdisk *d = written_disk();
	struct store_file *file;

	for (size_t size = 0; size < TXNLOG_HEADER_BYTES; size++) {
		ck_assert_int_eq(
		    store_open(simdisk_store(d), "log.1f", STORE_OPEN_CREATE, &file), 0);
		ck_assert_int_eq(store_pwrite(file, header, size, 0), 0);
		store_close(file);
		ck_assert_uint_eq(recover(d), 30);
	}
	/* What is none of it is damage. */
	ck_assert_int_eq(store_open(simdisk_store(d), "log.1f", STORE_OPEN_CREATE, &file), 0);
	ck_assert_int_eq(store_pwrite(file, "ZKSN", 4, 0), 0);
	store_close(file);
	ck_assert_int_eq(read_all(simdisk_store(d), 0).err, DATADIR_CORRUPT);
	simdisk_free(d);
}
END_TEST

START_TEST(a_batch_takes_only_so_much)
{
	struct simdisk *d = new_disk(1);
	struct txnlog_batch a, b;
	struct fault fault = {0};
	struct txnlog log;
	struct buf txn;
	uint64_t z = 1;

	buf_init(&txn, TXNLOG_TXN_MAX_BYTES);
	txnlog_batch_init(&a);
	txnlog_batch_init(&b);
	txnlog_init(&log, simdisk_store(d), PREALLOCATE);
	do
		make_txn(&txn, z, 100000);
	while (txnlog_append(&log, &a, txn.data, txn.len) == 0 && ++z < 1000);
	ck_assert_uint_eq(z, TXNLOG_BATCH_FULL_BYTES / 100045 + 2);
	txnlog_seal(&log, &a);
	ck_assert_int_eq(txnlog_append(&log, &b, txn.data, txn.len), 0);
	txnlog_seal(&log, &b);
	ck_assert_int_eq(txnlog_write(&log, &a, &fault), 0);
	ck_assert_int_eq(txnlog_write(&log, &b, &fault), 0);
	ck_assert_uint_eq(read_all(simdisk_store(d), 0).last, z);
	txnlog_batch_fini(&a);
	txnlog_batch_fini(&b);
	txnlog_fini(&log);
	buf_fini(&txn);
	simdisk_free(d);
}
END_TEST

START_TEST(random_bytes_never_read_as_a_log)
{
	struct rng rng;

	rng_init(&rng, 99);
	for (int i = 0; i < 300; i++) {
		struct simdisk *d = new_disk(1);
		struct store_file *file;
		uint8_t bytes[3000];
		size_t size = (size_t)rng_below(&rng, sizeof(bytes));

		for (size_t k = 0; k < size; k++)
			bytes[k] = (uint8_t)rng_below(&rng, i % 2 == 0 ? 256 : 3);
		if (i % 3 > 0 && size > 8)
			memcpy(bytes, "ZKLG\0\0\0\2", 8);
		ck_assert_int_eq(
		    store_open(simdisk_store(d), "log.1", STORE_OPEN_CREATE, &file), 0);
		ck_assert_int_eq(store_pwrite(file, bytes, size, 0), 0);
		store_close(file);
		ck_assert_uint_eq(read_all(simdisk_store(d), 0).count, 0);
		simdisk_free(d);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("txnlog");
	TCase *t = tcase_create("txnlog");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, what_was_written_is_read_back_in_order);
	tcase_add_test(t, the_bytes_are_those_of_zookeepers_log);
	tcase_add_test(t, a_full_file_goes_on_in_the_spare_one);
	tcase_add_test(t, a_file_that_has_passed_its_limit_is_the_last);
	tcase_add_test(t, no_spare_is_made_while_a_batch_has_the_last_one);
	tcase_add_test(t, without_a_spare_the_file_grows);
	tcase_add_test(t, a_power_loss_at_any_operation_loses_nothing_acknowledged);
	tcase_add_test(t, a_crash_at_any_operation_loses_nothing_acknowledged);
	tcase_add_test(t, a_failed_write_or_sync_is_an_error_and_loses_nothing_acknowledged);
	tcase_add_test(t, any_flipped_bit_is_corruption_and_named);
	tcase_add_test(t, zeros_further_from_the_end_than_a_batch_are_corruption);
	tcase_add_test(t, a_last_batch_with_missing_sectors_is_cut);
	tcase_add_test(t, zeros_in_a_sector_that_was_written_are_corruption);
	tcase_add_test(t, what_a_torn_older_file_lost_must_come_in_the_next);
	tcase_add_test(t, a_new_epoch_begins_with_one);
	tcase_add_test(t, an_empty_newest_file_is_removed_and_an_empty_older_one_refused);
	tcase_add_test(t, forgetting_keeps_the_record_it_names_and_nothing_after);
	tcase_add_test(t, zk1489_what_is_logged_after_a_cut_follows_it);
	tcase_add_test(t, zk2249_a_record_larger_than_any_step_is_whole);
	tcase_add_test(t, zk1621_a_newest_file_without_a_whole_header_is_removed);
	tcase_add_test(t, a_batch_takes_only_so_much);
	tcase_add_test(t, random_bytes_never_read_as_a_log);
	suite_add_tcase(s, t);
	return s;
}
