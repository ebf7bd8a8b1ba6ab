/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/timers.h"

#include <stdlib.h>

#define TIMERS_CAP_FIRST 16

static bool
timer_before(const struct timer *a, const struct timer *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void
timers_place(struct timers *ts, size_t at, struct timer *t)
{
	ts->heap[at] = t;
	t->slot = at + 1;
}

static void
timers_rise(struct timers *ts, size_t at, struct timer *t)
{
	while (at > 0 && timer_before(t, ts->heap[(at - 1) / 2])) {
		timers_place(ts, at, ts->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	timers_place(ts, at, t);
}

static void
timers_sink(struct timers *ts, size_t at, struct timer *t)
{
	size_t child;

	while ((child = 2 * at + 1) < ts->count) {
		if (child + 1 < ts->count && timer_before(ts->heap[child + 1], ts->heap[child]))
			child++;
		if (!timer_before(ts->heap[child], t))
			break;
		timers_place(ts, at, ts->heap[child]);
		at = child;
	}
	timers_place(ts, at, t);
}

static bool
timers_grow(struct timers *ts)
{
	size_t cap = ts->cap == 0 ? TIMERS_CAP_FIRST : 2 * ts->cap;
	struct timer **heap = reallocarray(ts->heap, cap, sizeof *heap);

	if (heap == NULL)
		return false;
	ts->heap = heap;
	ts->cap = cap;
	return true;
}

void
timers_fini(struct timers *ts)
{
	for (size_t i = 0; i < ts->count; i++)
		ts->heap[i]->slot = 0;
	free(ts->heap);
	*ts = (struct timers){0};
}

bool
timers_set(struct timers *ts, struct timer *t, uint64_t at_ms)
{
	if (t->slot == 0 && ts->count == ts->cap && !timers_grow(ts))
		return false;
	timers_remove(ts, t);
	t->at_ms = at_ms;
	t->order = ++ts->orders;
	timers_rise(ts, ts->count++, t);
	return true;
}

void
timers_remove(struct timers *ts, struct timer *t)
{
	size_t at = t->slot - 1;
	struct timer *last;

	if (t->slot == 0)
		return;
	t->slot = 0;
	last = ts->heap[--ts->count];
	if (last == t)
		return;
	if (at > 0 && timer_before(last, ts->heap[(at - 1) / 2]))
		timers_rise(ts, at, last);
	else
		timers_sink(ts, at, last);
}

struct timer *
timers_first(const struct timers *ts)
{
	return ts->count == 0 ? NULL : ts->heap[0];
}
