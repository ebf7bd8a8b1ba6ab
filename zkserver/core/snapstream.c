/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/snapstream.h"

#include <errno.h>
#include <string.h>
#include <libdeflate.h>

#include "libcommon/base/plants.h"
#include "libcommon/codec/jute.h"
#include "zkserver/core/snapshot.h"

#define CHUNK_BYTES ((size_t)256 * 1024)
#define SESSION_BYTES 12
#define STAT_BYTES 68 /* a node's access list's key, its stat */
#define LEN_BYTES 4
#define SIGNATURE_BYTES 10

_Static_assert(sizeof(SNAPSTREAM_SIGNATURE) == SIGNATURE_BYTES + 1, "its length");

int
snapstream_begin(struct snapstream *s, struct store *store, struct fault *f)
{
	int err;

	*s = (struct snapstream){.store = store, .adler = 1};
	buf_init(&s->chunk, 2 * CHUNK_BYTES);
	err = ZAB_PLANTED(PLANT_SPOOLS_OVER)
		  ? store_open(store, SNAPSHOT_NEW_NAME, STORE_OPEN_WRITE, &s->file)
		  : -ENOENT;
	if (err == -ENOENT)
		err = store_open(store, SNAPSHOT_NEW_NAME, STORE_OPEN_REPLACE, &s->file);
	if (err != 0)
		return fault_set(f, err, "cannot create %s: %s", SNAPSHOT_NEW_NAME, strerror(-err));
	jute_put_i32(&s->chunk, SNAPSHOT_MAGIC);
	jute_put_i32(&s->chunk, SNAPSHOT_VERSION);
	jute_put_i64(&s->chunk, -1);
	return 0;
}

void
snapstream_end(struct snapstream *s)
{
	store_close(s->file);
	buf_fini(&s->chunk);
	*s = (struct snapstream){0};
}

static int
flush(struct snapstream *s, struct fault *f)
{
	int err = s->chunk.failed ? -ENOMEM
				  : store_pwrite(s->file, s->chunk.data, s->chunk.len, s->offset);

	if (err != 0)
		return fault_set(f, err, "cannot write a received snapshot: %s", strerror(-err));
	s->adler = libdeflate_adler32(s->adler, s->chunk.data, s->chunk.len);
	s->offset += s->chunk.len;
	buf_clear(&s->chunk);
	return 0;
}

static int
spool(struct snapstream *s, const uint8_t *bytes, size_t size, struct fault *f)
{
	while (size > 0) {
		size_t n = CHUNK_BYTES - s->chunk.len < size ? CHUNK_BYTES - s->chunk.len : size;
		int err;

		buf_append(&s->chunk, bytes, n);
		bytes += n;
		size -= n;
		if (s->chunk.len >= CHUNK_BYTES && (err = flush(s, f)) != 0)
			return err;
	}
	return 0;
}

/* Seal it as a snapshot of ZooKeeper 3.5, which has no digest, and make it durable. */
static int
seal(struct snapstream *s, struct fault *f)
{
	int err = flush(s, f);

	if (err != 0)
		return err;
	jute_put_i64(&s->chunk, s->adler);
	jute_put_text(&s->chunk, "/");
	if ((err = flush(s, f)) != 0)
		return err;
	err = store_sync(s->file);
	return err == 0 ? 0
			: fault_set(f, err, "cannot sync a received snapshot: %s", strerror(-err));
}

static int
bad(const struct snapstream *s, const char *what, struct fault *f)
{
	return fault_set(f, DATADIR_CORRUPT, "the snapshot that was sent: at byte %llu: %s",
	    (unsigned long long)s->bytes, what);
}

static int64_t
get_i32(const uint8_t *p)
{
	struct jute_reader r = jute_reader(p, 4);

	return jute_get_i32(&r);
}

/* An item is a head of a known size, behind which a string may come whose bytes pass unseen. */
static size_t
head_bytes(enum snapstream_part part)
{
	switch (part) {
	case SNAPSTREAM_SESSION:
		return SESSION_BYTES;
	case SNAPSTREAM_ACL:
		return 8 + LEN_BYTES;
	case SNAPSTREAM_SCHEME:
		return 4 + LEN_BYTES;
	case SNAPSTREAM_STAT:
		return STAT_BYTES;
	case SNAPSTREAM_SLASH:
		return 1;
	case SNAPSTREAM_SIGN:
		return LEN_BYTES + SIGNATURE_BYTES;
	default:
		return LEN_BYTES; /* a count, or a string's length */
	}
}

static int
take_count(
    struct snapstream *s, enum snapstream_part item, enum snapstream_part behind, struct fault *f)
{
	if ((s->items = get_i32(s->head)) < 0)
		return bad(s, "a count is negative", f);
	s->part = s->items > 0 ? item : behind;
	return 0;
}

/* The string whose length stands at p comes next, and then `behind`. */
static int
take_string(struct snapstream *s, const uint8_t *p, enum snapstream_part behind, struct fault *f)
{
	int64_t len = get_i32(p);

	if (len < -1 || len > (int64_t)SNAPSHOT_FIELD_MAX_BYTES)
		return bad(s, "a field's length is impossible", f);
	s->skip = len > 0 ? (uint64_t)len : 0;
	s->part = behind;
	return 0;
}

static enum snapstream_part
acl_done(struct snapstream *s)
{
	return --s->items > 0 ? SNAPSTREAM_ACL : SNAPSTREAM_PATH;
}

static int
take_acl(struct snapstream *s, struct fault *f)
{
	if ((s->entries = get_i32(s->head + 8)) < -1)
		return bad(s, "an access list's count is negative", f);
	s->part = s->entries > 0 ? SNAPSTREAM_SCHEME : acl_done(s);
	return 0;
}

static int
take_signature(struct snapstream *s, struct fault *f)
{
	if (get_i32(s->head) != SIGNATURE_BYTES ||
	    memcmp(s->head + LEN_BYTES, SNAPSTREAM_SIGNATURE, SIGNATURE_BYTES) != 0)
		return bad(s, "its signature is missing", f);
	s->part = SNAPSTREAM_END;
	return seal(s, f);
}

/* The head is whole. */
static int
take_head(struct snapstream *s, struct fault *f)
{
	switch (s->part) {
	case SNAPSTREAM_SESSION_COUNT:
		return take_count(s, SNAPSTREAM_SESSION, SNAPSTREAM_ACL_COUNT, f);
	case SNAPSTREAM_SESSION:
		s->part = --s->items > 0 ? SNAPSTREAM_SESSION : SNAPSTREAM_ACL_COUNT;
		return 0;
	case SNAPSTREAM_ACL_COUNT:
		return take_count(s, SNAPSTREAM_ACL, SNAPSTREAM_PATH, f);
	case SNAPSTREAM_ACL:
		return take_acl(s, f);
	case SNAPSTREAM_SCHEME:
		return take_string(s, s->head + 4, SNAPSTREAM_ID, f);
	case SNAPSTREAM_ID:
		return take_string(
		    s, s->head, --s->entries > 0 ? SNAPSTREAM_SCHEME : acl_done(s), f);
	case SNAPSTREAM_PATH:
		if (get_i32(s->head) != 1)
			return take_string(s, s->head, SNAPSTREAM_DATA, f);
		s->part = SNAPSTREAM_SLASH;
		return 0;
	case SNAPSTREAM_DATA:
		return take_string(s, s->head, SNAPSTREAM_STAT, f);
	case SNAPSTREAM_STAT:
		s->part = SNAPSTREAM_PATH;
		return 0;
	case SNAPSTREAM_SLASH:
		if (s->head[0] != '/')
			return bad(s, "a node's path is none", f);
		s->part = SNAPSTREAM_SIGN;
		return 0;
	case SNAPSTREAM_SIGN:
		return take_signature(s, f);
	case SNAPSTREAM_END:
		break;
	}
	return bad(s, "bytes behind its end", f);
}

/* Take as much of a head or a string as there is; returns how much. */
static int
take_some(struct snapstream *s, const uint8_t *bytes, size_t size, size_t *taken, struct fault *f)
{
	size_t want = s->skip > 0 ? (size_t)s->skip : head_bytes(s->part) - s->head_len;
	size_t n = want < size ? want : size;
	int err = 0;

	if (s->skip > 0)
		s->skip -= n;
	else {
		memcpy(s->head + s->head_len, bytes, n);
		s->head_len += n;
	}
	if (s->part != SNAPSTREAM_SIGN)
		err = spool(s, bytes, n, f);
	s->bytes += n;
	*taken = n;
	if (err == 0 && s->head_len > 0 && s->head_len == head_bytes(s->part)) {
		s->head_len = 0;
		err = take_head(s, f);
	}
	return err;
}

int
snapstream_feed(
    struct snapstream *s, const uint8_t *bytes, size_t size, size_t *used, struct fault *f)
{
	*used = 0;
	while (*used < size && s->part != SNAPSTREAM_END) {
		size_t n;
		int err = take_some(s, bytes + *used, size - *used, &n, f);

		if (err != 0)
			return err;
		*used += n;
	}
	return s->part == SNAPSTREAM_END ? 1 : 0;
}
