/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots that never stop the server: a forked child, which has the database as it was, writes
 * the file and exits. A failure is logged and costs nothing but a longer log.
 */
#ifndef CORRAL_ZKSERVER_SNAPSHOT_WRITER_H
#define CORRAL_ZKSERVER_SNAPSHOT_WRITER_H

#include <stdbool.h>

#include "libcommon/base/store.h"
#include "libcommon/io/loop.h"
#include "zkserver/core/db.h"
#include "zkserver/core/pack.h"

struct snapshot_writer;

struct snapshot_writer_config {
	struct loop *loop;
	struct store *snapshots, *logs; /* of libcommon/sys/store_posix; must outlive the writer */
	enum pack_kind kind;
	/* A snapshot was written, in so many milliseconds. NULL: nobody counts. */
	void (*written)(void *arg, uint64_t ms);
	void *arg;
};

/* NULL with errno set. */
struct snapshot_writer *snapshot_writer_new(const struct snapshot_writer_config *config);

/* Kills and reaps a child that is still writing: what it leaves has a temporary name. */
void snapshot_writer_free(struct snapshot_writer *w);

/*
 * Start a snapshot of *db as it is now; false if one is being written, or if fork failed (logged).
 * Roll the log at the same moment. Call it between transactions only.
 */
bool snapshot_writer_start(struct snapshot_writer *w, const struct db *db);
/* Give up the one at work, if there is one. */
void snapshot_writer_stop(struct snapshot_writer *w);
bool snapshot_writer_busy(const struct snapshot_writer *w);

/*
 * Is it time for another? Not while one is written, and not for three times as long as that took: a
 * large tree under load would be written without end.
 */
bool snapshot_writer_rested(const struct snapshot_writer *w);

#endif
