/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log file: its records in order and then its end, or damage that is named. What a torn end
 * leaves after the cut reads the same again. Each record is applied to a tree, as a recovery does.
 *
 * The first byte says how the rest is made ready, so that more than the first checksum is reached:
 * bit 0, a header is put in front; bit 1, the seals of records that fit are made right, from the
 * first on; bit 2, so are their zxids.
 */
#include <assert.h>
#include <string.h>
#include <libdeflate.h>

#include "tests/fuzz/fuzz.h"
#include "tests/lib/onefile.h"
#include "zkserver/core/db.h"
#include "zkserver/core/txnlog.h"
#include "zkserver/core/txnlog_reader.h"

#define ZXID_OFFSET 12 /* of a txn's header */

enum { PUT_HEADER = 1, MEND_SEALS = 2, MEND_ZXIDS = 4 };

static const struct hash_key KEY = {1, 2};

static void
put_bytes(uint8_t *to, uint64_t value, int count)
{
	for (int i = 0; i < count; i++)
		to[i] = (uint8_t)(value >> 8 * (count - 1 - i));
}

static void
mend(uint8_t *bytes, size_t size, uint8_t how)
{
	size_t at = TXNLOG_HEADER_BYTES;
	uint64_t zxid = 0;

	while (at < size && size - at >= TXNLOG_RECORD_OVERHEAD_BYTES + TXNLOG_TXN_MIN_BYTES) {
		uint8_t *txn = bytes + at + TXNLOG_RECORD_HEAD_BYTES;
		size_t len = (size_t)txn[-4] << 24 | txn[-3] << 16 | txn[-2] << 8 | txn[-1];

		if (len < TXNLOG_TXN_MIN_BYTES || len > size - at - TXNLOG_RECORD_OVERHEAD_BYTES)
			break;
		if (how & MEND_ZXIDS)
			put_bytes(txn + ZXID_OFFSET, ++zxid, 8);
		put_bytes(bytes + at, libdeflate_adler32(1, txn, len), 8);
		txn[len] = 'B';
		at += len + TXNLOG_RECORD_OVERHEAD_BYTES;
	}
}

/* Read all; the number of records, or -1 for damage. */
static long
read_all(struct store *s, struct db *db, struct txnlog_reader *r)
{
	struct txnlog_record record;
	struct fault fault = {0};
	uint64_t last = 0;
	long count = 0;
	int got;

	assert(txnlog_reader_open_file(r, s, 1, &fault) == 0);
	while ((got = txnlog_reader_next(r, &record, &fault)) == 1) {
		assert(count == 0 || record.zxid > last);
		assert(record.next_offset > record.offset);
		last = record.zxid;
		count++;
		if (db != NULL)
			db_apply(db, record.txn, record.size, 0, NULL, NULL, NULL);
	}
	assert((got < 0) == (fault.text[0] != '\0'));
	return got < 0 ? -1 : count;
}

static void
read_twice(struct onefile *disk)
{
	struct txnlog_reader r, again;
	struct fault fault = {0};
	struct db db;
	long count;

	assert(db_init(&db, &KEY, 2000));
	count = read_all(&disk->store, &db, &r);
	tree_check(&db.tree);
	if (count >= 0 && r.torn && !r.torn_file_empty) {
		assert(txnlog_cut(&disk->store, 1, r.torn_offset, false, &fault) == 0);
		assert(read_all(&disk->store, NULL, &again) == count && !again.torn);
		txnlog_reader_close(&again);
	}
	txnlog_reader_close(&r);
	db_fini(&db);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t how = size > 0 ? bytes[0] : 0;
	struct onefile disk;

	onefile_init(&disk, size > 0 ? bytes + 1 : NULL, size > 0 ? size - 1 : 0);
	if ((how & PUT_HEADER) != 0 && disk.size >= TXNLOG_HEADER_BYTES) {
		put_bytes(disk.bytes, TXNLOG_MAGIC, 4);
		put_bytes(disk.bytes + 4, TXNLOG_VERSION, 4);
	}
	if ((how & MEND_SEALS) != 0)
		mend(disk.bytes, disk.size, how);
	read_twice(&disk);
	onefile_fini(&disk);
	return 0;
}
