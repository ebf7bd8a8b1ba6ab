/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool
history_init(struct history *h, size_t count_max, size_t bytes_max)
{
	assert(count_max > 0);
	*h = (struct history){.count_max = count_max, .bytes_max = bytes_max};
	h->ring = calloc(count_max, sizeof h->ring[0]);
	h->bytes = malloc(bytes_max);
	if (h->ring != NULL && h->bytes != NULL)
		return true;
	history_fini(h);
	return false;
}

void
history_fini(struct history *h)
{
	free(h->ring);
	free(h->bytes);
	*h = (struct history){0};
}

static struct history_entry *
entry(const struct history *h, size_t i)
{
	size_t at = h->first + i;

	return &h->ring[at < h->count_max ? at : at - h->count_max];
}

void
history_reset(struct history *h, int64_t base)
{
	h->first = h->count = h->end = 0;
	h->base = base;
}

static void
drop_oldest(struct history *h)
{
	h->base = entry(h, 0)->zxid;
	h->first = h->first + 1 < h->count_max ? h->first + 1 : 0;
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

/* The oldest go that lie between the newest one's end and `to`. */
static void
clear_up_to(struct history *h, size_t to)
{
	while (h->count > 0 && entry(h, 0)->at >= h->end && entry(h, 0)->at < to)
		drop_oldest(h);
}

/* Room in one piece behind the newest one, or at the ring's beginning. */
static uint8_t *
make_room(struct history *h, size_t size)
{
	if (size > h->bytes_max)
		return NULL;
	if (size > h->bytes_max - h->end) {
		clear_up_to(h, h->bytes_max);
		h->end = 0;
	}
	clear_up_to(h, h->end + size);
	if (h->count == h->count_max)
		drop_oldest(h);
	return h->bytes + h->end;
}

void
history_append(struct history *h, int64_t zxid, const uint8_t *bytes, size_t size)
{
	uint8_t *to;

	assert(follows(zxid, history_last(h)) && size > 0);
	if ((to = make_room(h, size)) == NULL) {
		history_reset(h, zxid);
		return;
	}
	memcpy(to, bytes, size);
	*entry(h, h->count) = (struct history_entry){zxid, h->end, size};
	h->count++;
	h->end += size;
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
	int64_t last = history_last(h);

	/* Most often it is of the epoch of the newest one, in which there are no holes. */
	if (zxid >> 32 == last >> 32 && zxid <= last && (uint64_t)(last - zxid) <= h->count)
		return h->count - (size_t)(last - zxid);
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
	*bytes = h->bytes + e->at;
	*size = e->size;
	return true;
}

void
history_check(const struct history *h)
{
	int64_t last = h->base;
	size_t at = 0, turns = 0;

	assert(h->count <= h->count_max && h->end <= h->bytes_max);
	for (size_t i = 0; i < h->count; i++) {
		const struct history_entry *e = entry(h, i);

		assert(follows(e->zxid, last) && e->size <= h->bytes_max - e->at);
		assert(i == 0 || e->at == at || e->at == 0);
		turns += i > 0 && e->at == 0;
		last = e->zxid;
		at = e->at + e->size;
	}
	assert(h->count == 0 || at == h->end);
	assert(turns == 0 || (turns == 1 && entry(h, 0)->at >= h->end));
}
