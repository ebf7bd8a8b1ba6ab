/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot that a leader sends, on its way to the disk: the stream (sessions, access lists,
 * nodes, then a signature; no length and no checksum) is followed to its end and spooled as a
 * snapshot file, whose checksum is counted on the way. Memory is bounded by the largest field.
 */
#ifndef CORRAL_ZKSERVER_CORE_SNAPSTREAM_H
#define CORRAL_ZKSERVER_CORE_SNAPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/store.h"
#include "zkserver/core/datadir.h"

#define SNAPSTREAM_SIGNATURE "BenWasHere"

enum snapstream_part {
	SNAPSTREAM_SESSIONS,
	SNAPSTREAM_ACLS,
	SNAPSTREAM_ACL_ENTRIES,
	SNAPSTREAM_NODES,
	SNAPSTREAM_SIGN,
	SNAPSTREAM_END,
};

struct snapstream {
	struct store *store;
	struct store_file *file;
	struct buf chunk; /* not written yet */
	uint64_t offset;
	uint32_t adler;
	enum snapstream_part part;
	bool counted; /* the count that leads this part was read */
	int64_t left; /* items of this part, of the access list at hand */
	int64_t acls_left;
	uint64_t skip;	   /* bytes of a field that are still to come */
	uint8_t head[128]; /* the start of an item, as far as it came */
	size_t head_len;
	uint64_t bytes;
};

/* Start spooling into SNAPSHOT_NEW_NAME. 0, or a negative errno with *f. */
int snapstream_begin(struct snapstream *s, struct store *store, struct fault *f);

/*
 * Take bytes up to the end of the stream; *used of them were its own. 1: it ended, and the file is
 * durable under its temporary name; 0: more must come; a negative errno: DATADIR_CORRUPT for a
 * stream that is none, otherwise the disk's.
 */
int snapstream_feed(
    struct snapstream *s, const uint8_t *bytes, size_t size, size_t *used, struct fault *f);

/* Let go of it; what was spooled and not adopted is overwritten by the next one. */
void snapstream_end(struct snapstream *s);

#endif
