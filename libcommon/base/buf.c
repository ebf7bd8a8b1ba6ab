/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST_BYTES 256

void
buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){.max_bytes = max_bytes};
}

void
buf_fini(struct buf *b)
{
	if (b->data != NULL)
		free(b->data - b->head);
	buf_init(b, b->max_bytes);
}

void
buf_clear(struct buf *b)
{
	if (b->data != NULL)
		b->data -= b->head;
	b->head = 0;
	b->len = 0;
	b->failed = false;
}

/* Move the contents to the start of the allocation. */
static void
buf_compact(struct buf *b)
{
	uint8_t *start = b->data - b->head;

	memmove(start, b->data, b->len);
	b->data = start;
	b->head = 0;
}

/* Make the allocation hold `need` bytes behind a head of 0; false when there is no memory. */
static bool
buf_grow(struct buf *b, size_t need)
{
	size_t cap = b->cap > 0 ? b->cap : BUF_FIRST_BYTES;
	uint8_t *start;

	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (b->data != NULL)
		buf_compact(b);
	if ((start = realloc(b->data, cap)) == NULL)
		return false;
	b->data = start;
	b->cap = cap;
	return true;
}

void
buf_trim(struct buf *b)
{
	uint8_t *start;

	if (b->len == 0) {
		buf_fini(b);
		return;
	}
	buf_compact(b);
	if ((start = realloc(b->data, b->len)) == NULL)
		return; /* it stays as large as it was */
	b->data = start;
	b->cap = b->len;
}

uint8_t *
buf_reserve_more(struct buf *b, size_t size)
{
	assert(b->len <= b->max_bytes);
	if (b->failed)
		return NULL;
	if (size > b->max_bytes - b->len) {
		b->failed = true;
		return NULL;
	}
	if (b->data == NULL || size > b->cap - b->head - b->len) {
		bool fits = b->data != NULL && size <= b->cap - b->len;

		/* A compaction pays only if it moves no more than it frees: a queue that is always
		 * nearly full would be moved at every append. */
		if (fits && b->head >= b->len)
			buf_compact(b);
		else if (!buf_grow(b, fits ? b->cap + 1 : b->len + size)) {
			b->failed = true;
			return NULL;
		}
	}
	return b->data + b->len;
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	/* As a rule there is room, and formatting twice is what costs. */
	size_t room = b->data == NULL ? 0 : b->cap - b->head - b->len;
	va_list again;
	uint8_t *to;
	int n;

	va_copy(again, ap);
	n = vsnprintf(room > 0 ? (char *)b->data + b->len : NULL, room, fmt, ap);
	if (n < 0)
		b->failed = true;
	else if ((to = buf_reserve(b, (size_t)n + 1)) != NULL) {
		if ((size_t)n >= room)
			vsnprintf((char *)to, (size_t)n + 1, fmt, again);
		buf_commit(b, (size_t)n);
	}
	va_end(again);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

const char *
buf_text(struct buf *b)
{
	uint8_t *end = buf_reserve(b, 1);

	if (end == NULL)
		return NULL;
	*end = '\0';
	return (const char *)b->data;
}

void
buf_consume(struct buf *b, size_t size)
{
	assert(size <= b->len);
	if (b->data == NULL)
		return;
	b->data += size;
	b->head += size;
	b->len -= size;
	if (b->len == 0) {
		b->data -= b->head;
		b->head = 0;
	}
}

void
buf_truncate(struct buf *b, size_t size)
{
	assert(size <= b->len);
	b->len = size;
}
