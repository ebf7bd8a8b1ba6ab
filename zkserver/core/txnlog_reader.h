/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the transaction log (format: txnlog.h), ours or Apache ZooKeeper's: the records above a
 * zxid, in order, over all files; and cutting it.
 *
 * Where the records of a file end is decided so that nothing acknowledged is ever taken for an end:
 * - Zeros are the end only if everything behind them in the file is zero.
 * - A record that is not whole is a torn write, and ends the file, if nothing valid follows it and
 * its end is missing. It is also one if valid records follow but a whole 512-byte sector (or the
 * rest of one) of it holds zeros still and all that follows can be of the same batch (its last
 * record begins within TXNLOG_BATCH_FULL_BYTES): power loss keeps any subset of the sectors of the
 * last batch, which nobody was told about. A sector that has a part of what follows was written,
 * and its zeros are no torn write. Anything else is corruption.
 *   A sector that became zero later, so near to the end, cannot be told from that: the format does
 * not say where batches ended, and one batch of n records leaves the same bytes as n of one.
 * - What was torn in an older file must be made good by the next one: zxids must follow each other.
 */
#ifndef CORRAL_ZKSERVER_TXNLOG_READER_H
#define CORRAL_ZKSERVER_TXNLOG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/store.h"
#include "zkserver/core/datadir.h"

struct txnlog_record {
	uint64_t zxid;
	const uint8_t *txn; /* header, body, digest; valid until the next call */
	size_t size;
	uint64_t file_zxid; /* it lies in log.FILE_ZXID ... */
	uint64_t offset;    /* ... from here to next_offset */
	uint64_t next_offset;
};

struct txnlog_reader {
	struct store *store;
	struct datadir_list files;
	size_t file_index; /* of the file in use; files.count at the end */
	struct store_file *file;
	char name[DATADIR_NAME_BYTES];
	uint64_t size; /* of the file */
	uint64_t pos;  /* of the next record */
	uint64_t after_zxid, last_zxid;
	bool any_start;	       /* the first record need not follow after_zxid */
	uint64_t file_records; /* in the file in use, skipped ones included */

	/* The newest record, skipped ones included: its file, where it begins and ends; 0: none. */
	uint64_t end_file_zxid, end_record_offset, end_offset;

	/* A window of the file. */
	uint8_t *window;
	size_t window_len, window_cap;
	uint64_t window_at;

	/* The newest file's unusable end, valid after the last record: cut it before writing goes
	 * on. */
	bool torn;
	uint64_t torn_file_zxid, torn_offset;
	bool torn_file_empty; /* no record is left before torn_offset */
};

/*
 * Read the records with zxid > after_zxid. 0, or a negative errno with *f set. Close it in any
 * case. No file at all is no error: the first next() then says that this is the end.
 */
int txnlog_reader_open(
    struct txnlog_reader *r, struct store *s, uint64_t after_zxid, struct fault *f);
void txnlog_reader_close(struct txnlog_reader *r);

/* 1: *record is the next one; 0: there is none; otherwise a negative errno (DATADIR_CORRUPT) and
 * *f. */
int txnlog_reader_next(struct txnlog_reader *r, struct txnlog_record *record, struct fault *f);

/* Read one file as it stands, without a check that it follows another (for printing it). */
int txnlog_reader_open_file(
    struct txnlog_reader *r, struct store *s, uint64_t file_zxid, struct fault *f);

/*
 * After DATADIR_CORRUPT of a reader of one file: go on with the next valid record behind the
 * damage, to see what is there. 1; 0: there is none; or a negative errno and *f.
 */
int txnlog_reader_resume(struct txnlog_reader *r, struct fault *f);

/*
 * Cut a file at an offset, durably; a file without a record before it is removed. For what a reader
 * found torn.
 */
int txnlog_cut(struct store *s, uint64_t file_zxid, uint64_t offset, bool remove, struct fault *f);

/*
 * Make what was read from a file durable, up to the newest record, from record_offset to
 * end_offset: a process that was killed, or that a failed sync ended, may have left it in the page
 * cache only, and even there as clean. What could be a batch is written again, and synced, before
 * anything builds on it.
 */
int txnlog_settle(struct store *s, uint64_t file_zxid, uint64_t record_offset, uint64_t end_offset,
    struct fault *f);

/*
 * Forget all records above zxid, durably: the file with the first of them is cut there, newer ones
 * are removed. What lies above must follow `zxid`, of which a snapshot may stand for the record.
 * Snapshots above zxid must be removed by the caller, before.
 */
int txnlog_forget_after(struct store *s, uint64_t zxid, struct fault *f);

/* Remove what a crash left of files in the making. No log may be open for writing. */
int txnlog_clean(struct store *s, struct fault *f);

#endif
