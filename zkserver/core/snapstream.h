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

/* What the next bytes are. */
enum snapstream_part {
	SNAPSTREAM_SESSION_COUNT,
	SNAPSTREAM_SESSION,
	SNAPSTREAM_ACL_COUNT,
	SNAPSTREAM_ACL,	   /* its key, and how many entries */
	SNAPSTREAM_SCHEME, /* permissions and a scheme */
	SNAPSTREAM_ID,
	SNAPSTREAM_PATH,
	SNAPSTREAM_DATA,
	SNAPSTREAM_STAT,
	SNAPSTREAM_SLASH, /* the path that ends the nodes */
	SNAPSTREAM_SIGN,
	SNAPSTREAM_END,
};

struct snapstream {
	struct store *store;
	struct store_file *file;
	struct buf chunk; /* not written yet */
	uint64_t offset;  /* in the file */
	uint32_t adler;
	uint64_t bytes; /* of the stream, so far */
	enum snapstream_part part;
	int64_t items, entries; /* left: sessions or access lists; entries of the one at hand */
	uint64_t skip;		/* bytes of a string that are still to come */
	uint8_t head[80];	/* the start of the item at hand, as far as it came */
	size_t head_len;
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
