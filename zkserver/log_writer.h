/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit beside the loop: transactions gather in a batch while the one before it is on its
 * way to the disk. Two ways there: asynchronous direct writes (io_uring, O_DIRECT | O_DSYNC) where
 * kernel and file system take them, and a thread with pwrite and fdatasync, which also does what
 * may block (new files, room ahead). What goes where is decided by core/txnlog.
 *
 * A failed write or sync ends the process (status 74) with one message: what the page cache says
 * afterwards cannot be trusted.
 */
#ifndef CORRAL_ZKSERVER_LOG_WRITER_H
#define CORRAL_ZKSERVER_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/store.h"
#include "libcommon/io/loop.h"

struct log_writer;

/* BEST: asynchronous writes as far as kernel and file system take them. */
enum log_backend { LOG_BACKEND_BEST, LOG_BACKEND_THREAD };

struct log_writer_config {
	struct loop *loop;
	struct store
	    *store; /* of libcommon/sys/store_posix: the log's directory; must outlive the writer */
	uint64_t preallocate_bytes; /* preAllocSize * 1024; 0: none */
	uint64_t file_bytes;	    /* txnLogSizeLimitInKb * 1024; 0: no limit */
	enum log_backend backend;
	bool sync; /* false: never wait for the disk (forceSync=no); implies the thread */

	/* In the loop: all transactions up to last_zxid are durable. */
	void (*durable)(void *arg, uint64_t last_zxid);
	/* Before that: a batch of so many transactions took so long. NULL: nobody counts. */
	void (*timed)(void *arg, uint64_t ms, uint64_t transactions);
	void *arg;
};

/* NULL with errno set. */
struct log_writer *log_writer_new(const struct log_writer_config *config);

/* Waits for the batch on its way; what was appended and not submitted is dropped. */
void log_writer_free(struct log_writer *w);

/*
 * Append one transaction to the batch that fills (bytes as they stand in the log; zxids rise). The
 * process ends (71) if there is no memory: the transaction was promised a place.
 */
void log_append(struct log_writer *w, const void *txn, size_t size);

/*
 * Start the batch that filled, if there is one and none is on its way; otherwise it starts by
 * itself when that one is done. Call it at the end of each turn of the loop.
 */
void log_submit(struct log_writer *w);

/* More waits than a batch holds: take no more requests until this is false (asked again after
 * durable()). */
bool log_writer_full(const struct log_writer *w);

/* The next transaction begins a new file (call it when a snapshot starts). */
void log_writer_roll(struct log_writer *w);

/* "io_uring" or "thread", for the log; whether the former works shows with the first file. */
const char *log_writer_backend(const struct log_writer *w);

#endif
