/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer with a bound. Appending never needs a test of its own: the first append
 * that does not fit, or that finds no memory, sets `failed`, later ones do nothing, and the caller
 * asks once at the end. Bytes may be consumed from the front, so that a buffer serves as a queue.
 */
#ifndef CORRAL_BASE_BUF_H
#define CORRAL_BASE_BUF_H

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
	uint8_t *data;	  /* the first byte that is not consumed; NULL while empty and never used */
	size_t len;	  /* bytes from data on */
	size_t head;	  /* bytes consumed in front of data, in the same allocation */
	size_t cap;	  /* bytes allocated, head included */
	size_t max_bytes; /* len never passes this */
	bool failed;	  /* an append did not fit or found no memory; contents are as before it */
};

/* Make *b empty; it will never hold more than max_bytes. Nothing is allocated yet. */
void buf_init(struct buf *b, size_t max_bytes);

/* Release the memory; the buffer is as after buf_init(). */
void buf_fini(struct buf *b);

/* Forget the contents and the failure, keep the memory. */
void buf_clear(struct buf *b);

/* Give back what is allocated beyond the contents: of a buffer that will stay as it is. */
void buf_trim(struct buf *b);

/* buf_reserve() where the bytes do not fit behind the contents as they lie. */
uint8_t *buf_reserve_more(struct buf *b, size_t size);

/*
 * Make room for size bytes behind the contents and return it, or NULL (then `failed` is set). The
 * caller fills it and calls buf_commit() with what it used. Valid until the next call on *b.
 */
static inline uint8_t *
buf_reserve(struct buf *b, size_t size)
{
	if (b->data != NULL && !b->failed && size <= b->max_bytes - b->len &&
	    size <= b->cap - b->head - b->len)
		return b->data + b->len;
	return buf_reserve_more(b, size);
}

static inline void
buf_commit(struct buf *b, size_t size)
{
	assert(size <= b->cap - b->head - b->len);
	b->len += size;
}

/* Append size bytes. */
static inline void
buf_append(struct buf *b, const void *bytes, size_t size)
{
	uint8_t *to;

	if (size == 0 || (to = buf_reserve(b, size)) == NULL)
		return;
	memcpy(to, bytes, size);
	buf_commit(b, size);
}

/* Append formatted text, without a NUL. */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Append a NUL that is not counted, and return the contents as text; NULL if the buffer failed. */
const char *buf_text(struct buf *b);

/* Drop size bytes from the front; size <= len. */
void buf_consume(struct buf *b, size_t size);

/* Shorten the contents to size bytes; size <= len. */
void buf_truncate(struct buf *b, size_t size);

#endif
