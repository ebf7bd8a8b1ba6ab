/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jute, ZooKeeper's encoding: big-endian integers; strings, buffers and vectors led by an i32
 * count, of which -1 means null (which is not the same as empty, and the difference is kept).
 *
 * The reader carries its error: a field that is short or has an impossible length sets `bad`, it
 * and all later fields read as zero or null, and the caller asks once at the end.
 */
#ifndef CORRAL_CODEC_JUTE_H
#define CORRAL_CODEC_JUTE_H

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/base/buf.h"

struct jute_reader {
	const uint8_t *pos, *end;
	bool bad;
};

/* A string or buffer inside the bytes that were read: borrowed. Null: data NULL, len -1. */
struct jute_bytes {
	const uint8_t *data;
	int32_t len;
};

static inline struct jute_reader
jute_reader(const void *bytes, size_t size)
{
	const uint8_t *p = bytes;

	return (struct jute_reader){p, size > 0 ? p + size : p, false};
}

static inline size_t
jute_left(const struct jute_reader *r)
{
	return (size_t)(r->end - r->pos);
}

/* The next size bytes, or NULL with `bad` set. */
static inline const uint8_t *
jute_take(struct jute_reader *r, size_t size)
{
	const uint8_t *p = r->pos;

	if (r->bad || size > jute_left(r)) {
		r->bad = true;
		return NULL;
	}
	r->pos += size;
	return p;
}

static inline uint8_t
jute_get_u8(struct jute_reader *r)
{
	const uint8_t *p = jute_take(r, 1);

	return p != NULL ? *p : 0;
}

static inline bool
jute_get_bool(struct jute_reader *r)
{
	return jute_get_u8(r) != 0;
}

static inline int32_t
jute_get_i32(struct jute_reader *r)
{
	const uint8_t *p = jute_take(r, 4);
	uint32_t v;

	if (p == NULL)
		return 0;
	memcpy(&v, p, sizeof v);
	return (int32_t)be32toh(v);
}

static inline int64_t
jute_get_i64(struct jute_reader *r)
{
	const uint8_t *p = jute_take(r, 8);
	uint64_t v;

	if (p == NULL)
		return 0;
	memcpy(&v, p, sizeof v);
	return (int64_t)be64toh(v);
}

static inline struct jute_bytes
jute_get_bytes(struct jute_reader *r)
{
	static const struct jute_bytes null = {NULL, -1};
	int32_t len = jute_get_i32(r);
	const uint8_t *p;

	if (r->bad || len == -1)
		return null;
	if (len < 0) {
		r->bad = true;
		return null;
	}
	p = jute_take(r, (size_t)len);
	return p != NULL ? (struct jute_bytes){p, len} : null;
}

/*
 * A vector's count: -1 for null, otherwise what `min_item_bytes` (at least 1) and the bytes that
 * are left allow; more sets `bad` and gives 0. So a count never makes a caller allocate more than
 * it got.
 */
int32_t jute_get_count(struct jute_reader *r, size_t min_item_bytes);

static inline void
jute_put_u8(struct buf *b, uint8_t v)
{
	buf_append(b, &v, 1);
}

static inline void
jute_put_bool(struct buf *b, bool v)
{
	jute_put_u8(b, v ? 1 : 0);
}

static inline void
jute_put_i32(struct buf *b, int32_t v)
{
	uint32_t be = htobe32((uint32_t)v);

	buf_append(b, &be, sizeof be);
}

static inline void
jute_put_i64(struct buf *b, int64_t v)
{
	uint64_t be = htobe64((uint64_t)v);

	buf_append(b, &be, sizeof be);
}

static inline void
jute_put_bytes(struct buf *b, struct jute_bytes bytes)
{
	if (bytes.data == NULL) {
		jute_put_i32(b, -1);
		return;
	}
	assert(bytes.len >= 0);
	jute_put_i32(b, bytes.len);
	buf_append(b, bytes.data, (size_t)bytes.len);
}

void jute_put_text(struct buf *b, const char *text); /* NULL is null */

/* Overwrite the i32 at `offset` of the contents, as for a length that is known only later. */
void jute_set_i32(struct buf *b, size_t offset, int32_t v);

#endif
