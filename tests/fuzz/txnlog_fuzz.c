/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log file: its records in order and then its end, or damage that is named. What a torn end
 * leaves after the cut reads the same again. Each record is applied to a tree, as a recovery does.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/lib/simdisk.h"
#include "zkserver/core/db.h"
#include "zkserver/core/txnlog_reader.h"

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

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct simdisk *disk = simdisk_new(1, UINT64_MAX);
	struct txnlog_reader r, again;
	struct fault fault = {0};
	struct store_file *file;
	struct store *s;
	struct db db;
	long count;

	assert(disk != NULL && db_init(&db, &KEY, 2000));
	s = simdisk_store(disk);
	assert(store_open(s, "log.1", STORE_OPEN_CREATE, &file) == 0);
	assert(store_pwrite(file, bytes, size, 0) == 0);
	store_close(file);
	count = read_all(s, &db, &r);
	tree_check(&db.tree);
	if (count >= 0 && r.torn && !r.torn_file_empty) {
		assert(txnlog_cut(s, 1, r.torn_offset, false, &fault) == 0);
		assert(read_all(s, NULL, &again) == count && !again.torn);
		txnlog_reader_close(&again);
	}
	txnlog_reader_close(&r);
	db_fini(&db);
	simdisk_free(disk);
	return 0;
}
