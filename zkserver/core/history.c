/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/history.h"

#include <assert.h>
#include <stdlib.h>

bool
history_init(struct history *h, size_t count_max, size_t bytes_max)
{
	assert(count_max > 0);
	*h = (struct history){.count_max = count_max, .bytes_max = bytes_max};
	buf_init(&h->bytes, bytes_max);
	h->ring = calloc(count_max, sizeof h->ring[0]);
	return h->ring != NULL;
}

void
history_fini(struct history *h)
{
	free(h->ring);
	buf_fini(&h->bytes);
	*h = (struct history){0};
}

static struct history_entry *
entry(const struct history *h, size_t i)
{
	return &h->ring[(h->first + i) % h->count_max];
}

void
history_reset(struct history *h, int64_t base)
{
	h->dropped += h->bytes.len;
	buf_clear(&h->bytes);
	h->first = h->count = 0;
	h->base = base;
}

static void
drop_oldest(struct history *h)
{
	const struct history_entry *e = entry(h, 0);

	h->base = e->zxid;
	h->dropped += e->size;
	buf_consume(&h->bytes, e->size);
	h->first = (h->first + 1) % h->count_max;
	h->count--;
}

/* Within an epoch there are no holes; a new epoch begins with 1, or with 0 in Apache's old logs. */
static bool
follows(int64_t zxid, int64_t last)
{
	if (zxid >> 32 == last >> 32)
		return zxid == last + 1;
	return zxid > last && (uint32_t)zxid <= 1;
}

void
history_append(struct history *h, int64_t zxid, const uint8_t *bytes, size_t size)
{
	uint64_t at = h->dropped + h->bytes.len;

	assert(follows(zxid, history_last(h)));
	while (h->count > 0 && (h->count == h->count_max || h->bytes.len + size > h->bytes_max))
		drop_oldest(h);
	at = h->dropped + h->bytes.len;
	buf_append(&h->bytes, bytes, size);
	if (h->bytes.failed) {
		history_reset(h, zxid);
		return;
	}
	*entry(h, h->count) = (struct history_entry){zxid, at, size};
	h->count++;
}

int64_t
history_last(const struct history *h)
{
	return h->count > 0 ? entry(h, h->count - 1)->zxid : h->base;
}

/* The index of the first entry above zxid; count if there is none. */
static size_t
index_after(const struct history *h, int64_t zxid)
{
	size_t from = 0, to = h->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (entry(h, middle)->zxid > zxid)
			to = middle;
		else
			from = middle + 1;
	}
	return from;
}

bool
history_knows(const struct history *h, int64_t zxid)
{
	size_t i = index_after(h, zxid);

	return i > 0 ? entry(h, i - 1)->zxid == zxid : zxid == h->base;
}

bool
history_after(
    const struct history *h, int64_t zxid, int64_t *next, const uint8_t **bytes, size_t *size)
{
	size_t i = index_after(h, zxid);
	const struct history_entry *e;

	assert(zxid >= h->base);
	if (i == h->count)
		return false;
	e = entry(h, i);
	*next = e->zxid;
	*bytes = h->bytes.data + (e->at - h->dropped);
	*size = e->size;
	return true;
}

void
history_check(const struct history *h)
{
	int64_t last = h->base;
	uint64_t at = h->dropped;

	assert(h->count <= h->count_max && h->bytes.len <= h->bytes_max);
	for (size_t i = 0; i < h->count; i++) {
		const struct history_entry *e = entry(h, i);

		assert(follows(e->zxid, last));
		assert(e->at == at);
		last = e->zxid;
		at += e->size;
	}
	assert(at == h->dropped + h->bytes.len);
}
