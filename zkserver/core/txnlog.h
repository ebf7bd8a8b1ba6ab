/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing ZooKeeper's transaction log: what bytes go where. Records gather in a batch; a sealed
 * batch says which blocks of which file it fills; whoever carries it out (txnlog_write(), or a
 * direct write of the shell where txnlog_in_place() says that this is all) makes it durable as a
 * whole. Batches are carried out one at a time, in the order in which they were sealed, so that
 * whatever of a batch is on disk, all batches before it are whole.
 *
 *   log.HEXZXID := "ZKLG" i32 2 i64 0, record*, zeros      (all integers big-endian)
 *   record      := i64 adler32(txn), i32 length of txn, txn, 'B'
 *
 * A file is made under a temporary name, and gets its own when its first batch is durable: a file
 * named log.* has its header and at least one whole record. It ends in zeros that were written and
 * synced before any record lies there, so that a record that power loss tore shows whole missing
 * sectors of zeros (txnlog_reader.h relies on it). A file is never appended to after a restart.
 */
#ifndef CORRAL_ZKSERVER_TXNLOG_H
#define CORRAL_ZKSERVER_TXNLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/store.h"
#include "zkserver/core/datadir.h"

#define TXNLOG_MAGIC 0x5A4B4C47
#define TXNLOG_VERSION 2
#define TXNLOG_HEADER_BYTES 16
#define TXNLOG_RECORD_HEAD_BYTES 12
#define TXNLOG_RECORD_OVERHEAD_BYTES 13
#define TXNLOG_BLOCK_BYTES 4096

/* A transaction is its header at least; the most is what a request may have (32 MiB), twice. */
#define TXNLOG_TXN_MIN_BYTES 32
#define TXNLOG_TXN_MAX_BYTES ((size_t)64 << 20)

/* A batch takes records up to here, and one more that passes it. */
#define TXNLOG_BATCH_FULL_BYTES ((size_t)4 << 20)
#define TXNLOG_BATCH_MAX_BYTES                                                                     \
	(TXNLOG_BATCH_FULL_BYTES + TXNLOG_TXN_MAX_BYTES + (size_t)2 * TXNLOG_BLOCK_BYTES)

/* The first file after a start is this long; a spare one is four times the one in use. */
#define TXNLOG_FIRST_BYTES ((uint64_t)256 * 1024)
#define TXNLOG_SPARE_SHARE 8 /* a spare file is made when so much of the one in use is used */
/* One that is full, and whose spare is not ready, grows by so much at a time. */
#define TXNLOG_GROW_BYTES ((uint64_t)1 << 20)
/* A file is not left with more zeros in it than this and than what it holds. */
#define TXNLOG_ROLL_WASTE_BYTES ((uint64_t)4 << 20)

/* Names of files in the making; what a crash left there holds nothing acknowledged. */
#define TXNLOG_NEW_NAME "new.log"
#define TXNLOG_SPARE_NAME "spare.log"

struct txnlog_batch {
	uint8_t *bytes; /* aligned to TXNLOG_BLOCK_BYTES; whole blocks once sealed */
	size_t len, cap;
	unsigned count; /* records */
	uint64_t first_zxid, last_zxid;

	/* Where it goes; complete once sealed. */
	uint64_t offset;      /* of bytes in the file; a multiple of TXNLOG_BLOCK_BYTES */
	uint64_t allocate_to; /* the size that the file must be given first; 0: it has it */
	bool new_file, from_spare;
	struct store_file *spare; /* for a new file: the prepared one, or NULL to make one */
};

struct txnlog {
	/* Of whoever carries batches out. */
	struct store *store;
	bool no_sync; /* set after init: batches count as durable when the system has them */
	struct store_file *file; /* NULL before the first batch */

	/* Of whoever fills batches: the file as it will be after the last sealed batch. */
	uint64_t preallocate_bytes; /* how long files may grow ahead; 0: no longer than needed */
	uint64_t file_bytes; /* set after init: a file with more is the last one; 0: no limit */
	uint64_t end;	     /* bytes in use; 0: no file yet */
	uint64_t size;	     /* bytes allocated */
	uint64_t last_zxid;
	uint64_t last_bytes; /* of the batch sealed last */
	bool roll;	     /* the next batch starts a new file */
	bool spare_unnamed;  /* a batch has taken the spare file, which keeps its name until then */
	struct store_file *spare;
	uint64_t spare_size;
	uint8_t tail[TXNLOG_BLOCK_BYTES]; /* the last block, as far as it is in use */
};

void txnlog_init(struct txnlog *log, struct store *s, uint64_t preallocate_bytes);

/* Close the files. No batch may be under way. */
void txnlog_fini(struct txnlog *log);

void txnlog_batch_init(struct txnlog_batch *b);
void txnlog_batch_fini(struct txnlog_batch *b);

/* Whoever fills batches knows now that this one was carried out: empty it, for use again. */
void txnlog_batch_clear(struct txnlog *log, struct txnlog_batch *b);

/*
 * Append one transaction (header, body, digest as zookeeper's wire has them) to the batch that
 * comes after all sealed ones. Zxids must rise. 0, -ENOMEM, or -ENOBUFS: seal this batch and take
 * another.
 */
int txnlog_append(struct txnlog *log, struct txnlog_batch *b, const void *txn, size_t size);

/* Fix where the batch (of at least one record) goes. Nothing can be appended to it any more. */
void txnlog_seal(struct txnlog *log, struct txnlog_batch *b);

/* A sealed batch needs nothing but its one write and a sync of that file. */
bool txnlog_in_place(const struct txnlog_batch *b);

/*
 * Carry a sealed batch out and make it durable. After an error (a negative errno, *f says what and
 * where) nothing that the disk says about the log can be trusted: stop.
 */
int txnlog_write(struct txnlog *log, struct txnlog_batch *b, struct fault *f);

/*
 * Let the next batch start a new file (before a snapshot): old logs can go sooner. Not if most of a
 * large file is unused: its zeros have been written for nothing then.
 */
void txnlog_roll(struct txnlog *log);

/*
 * The next file, made ahead of time by someone who may block: wanted_bytes > 0 when the file in use
 * is used to its TXNLOG_SPARE_SHARE and there is no spare; make() then writes the zeros; adopt()
 * hands it over.
 */
uint64_t txnlog_spare_wanted_bytes(const struct txnlog *log);
int txnlog_spare_make(
    struct store *s, uint64_t size_bytes, struct store_file **file, struct fault *f);
void txnlog_spare_adopt(struct txnlog *log, struct store_file *file, uint64_t size_bytes);

/* Whether this store takes and syncs a block now: 0, -ENOSPC, or another negative errno. */
int txnlog_probe(struct store *s, struct fault *f);

#endif
