/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/jute.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

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
