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

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mend.h"
#include "tests/lib/onefile.h"
#include "zkserver/core/db.h"
#include "zkserver/core/txnlog_reader.h"

enum { PUT_HEADER = 1, MEND_SEALS = 2, MEND_ZXIDS = 4 };

static const struct hash_key KEY = {1, 2};

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
	if ((how & PUT_HEADER) != 0)
		mend_log_header(disk.bytes, disk.size);
	if ((how & MEND_SEALS) != 0)
		mend_log(disk.bytes, disk.size, (how & MEND_ZXIDS) != 0);
	read_twice(&disk);
	onefile_fini(&disk);
	return 0;
}
