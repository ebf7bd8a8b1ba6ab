/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent must remember over its own death: one file of records (libcommon/codec/record.h,
 * each a CheckpointRecord), appended to, and written anew when it is opened and when it has grown.
 * Knows the file, not what the records mean.
 */
#ifndef CORRAL_AGENT_CHECKPOINT_H
#define CORRAL_AGENT_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/store.h"
#include "proto/corral.pb-c.h"

#define CHECKPOINT_NAME "checkpoint"
#define CHECKPOINT_FILE_BYTES_MAX (1u << 30)

struct checkpoint {
	struct store *store;
	struct store_file *file;
	uint64_t end_bytes;   /* of the file */
	uint64_t fresh_bytes; /* of the file when it was last written anew */
	struct buf pending;   /* appended, not written */
	bool pending_sync;    /* some of it must be durable before anything follows from it */
};

/* What was wrong with the file; `damaged` false and cut_bytes 0: nothing. */
struct checkpoint_faults {
	bool damaged;	       /* a record that is no tail of a cut write: the file is kept as
				  checkpoint.damaged */
	uint64_t offset_bytes; /* where */
	uint64_t cut_bytes;    /* how much behind the last whole record was left out */
};

typedef bool checkpoint_visit(
    void *arg, const Corral__CheckpointRecord *record); /* false: no memory */

void checkpoint_init(struct checkpoint *c, struct store *store);
void checkpoint_fini(struct checkpoint *c);

/*
 * Read the file, if there is one, record by record up to the first that is not whole. 0 or -errno.
 * checkpoint_rewrite() must follow before anything is appended.
 */
int checkpoint_read(
    struct checkpoint *c, checkpoint_visit *visit, void *arg, struct checkpoint_faults *faults);

/* Write a new file with what `fill` appends, durable, in the place of the old one. 0 or -errno. */
int checkpoint_rewrite(
    struct checkpoint *c, void (*fill)(void *arg, struct checkpoint *c), void *arg, bool keep_old);

/* Append one record to what is pending. A failure shows in checkpoint_flush(). */
void checkpoint_append(struct checkpoint *c, const Corral__CheckpointRecord *record, bool sync);

/* Write what is pending, and sync it if a record asked for it. 0 or -errno: then stop, trust
 * nothing. */
int checkpoint_flush(struct checkpoint *c);

/* Enough was appended that a rewrite pays. */
bool checkpoint_has_grown(const struct checkpoint *c);

#endif
