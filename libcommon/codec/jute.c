/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/jute.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* The next size bytes, or NULL with `bad` set. */
static const uint8_t *
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

uint8_t
jute_get_u8(struct jute_reader *r)
{
	const uint8_t *p = jute_take(r, 1);

	return p != NULL ? *p : 0;
}

bool
jute_get_bool(struct jute_reader *r)
{
	return jute_get_u8(r) != 0;
}

int32_t
jute_get_i32(struct jute_reader *r)
{
	const uint8_t *p = jute_take(r, 4);
	uint32_t v;

	if (p == NULL)
		return 0;
	memcpy(&v, p, sizeof v);
	return (int32_t)be32toh(v);
}

int64_t
jute_get_i64(struct jute_reader *r)
{
	const uint8_t *p = jute_take(r, 8);
	uint64_t v;

	if (p == NULL)
		return 0;
	memcpy(&v, p, sizeof v);
	return (int64_t)be64toh(v);
}

struct jute_bytes
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

int32_t
jute_get_count(struct jute_reader *r, size_t min_item_bytes)
{
	int32_t count = jute_get_i32(r);

	assert(min_item_bytes > 0);
	if (r->bad || count == -1)
		return r->bad ? 0 : -1;
	if (count < 0 || (size_t)count > jute_left(r) / min_item_bytes) {
		r->bad = true;
		return 0;
	}
	return count;
}

void
jute_put_u8(struct buf *b, uint8_t v)
{
	buf_append(b, &v, 1);
}

void
jute_put_bool(struct buf *b, bool v)
{
	jute_put_u8(b, v ? 1 : 0);
}

void
jute_put_i32(struct buf *b, int32_t v)
{
	uint32_t be = htobe32((uint32_t)v);

	buf_append(b, &be, sizeof be);
}

void
jute_put_i64(struct buf *b, int64_t v)
{
	uint64_t be = htobe64((uint64_t)v);

	buf_append(b, &be, sizeof be);
}

void
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

void
jute_put_text(struct buf *b, const char *text)
{
	size_t len;

	if (text == NULL) {
		jute_put_i32(b, -1);
		return;
	}
	len = strlen(text);
	if (len > INT32_MAX) {
		b->failed = true;
		return;
	}
	jute_put_bytes(b, (struct jute_bytes){(const uint8_t *)text, (int32_t)len});
}

void
jute_set_i32(struct buf *b, size_t offset, int32_t v)
{
	uint32_t be = htobe32((uint32_t)v);

	if (b->failed)
		return;
	assert(offset <= b->len && b->len - offset >= sizeof be);
	memcpy(b->data + offset, &be, sizeof be);
}
