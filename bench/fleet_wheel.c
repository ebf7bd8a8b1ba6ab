/* SPDX-License-Identifier: Apache-2.0 */
/* A timing wheel for what is due within a minute or so, and the samples of delays. */
#include <stdlib.h>

#include "bench/fleet.h"

void
wheel_init(struct fleet *f)
{
	for (size_t i = 0; i < FLEET_SLOTS; i++)
		list_init(&f->wheel[i]);
	f->tick = clock_boot_ms() / FLEET_TICK_MS;
}

void
wheel_set(struct fleet *f, struct due *d, uint64_t after_ms)
{
	d->tick = f->tick + 1 + after_ms / FLEET_TICK_MS;
	list_remove(&d->in_slot);
	list_append(&f->wheel[d->tick % FLEET_SLOTS], &d->in_slot);
}

void
wheel_cancel(struct due *d)
{
	list_remove(&d->in_slot);
}

static void
fire_slot(struct fleet *f, struct list *slot)
{
	struct list now, *first;

	if (list_empty(slot))
		return;
	now = *slot;
	now.next->prev = now.prev->next = &now;
	list_init(slot);
	while ((first = list_first(&now)) != NULL) {
		struct due *d = CONTAINER_OF(first, struct due, in_slot);

		list_remove(first);
		if (d->tick > f->tick)
			list_append(slot, first); /* a later round */
		else
			d->fire(f, d);
	}
}

void
wheel_turn(struct fleet *f)
{
	uint64_t now = clock_boot_ms() / FLEET_TICK_MS;

	while (f->tick < now) {
		f->tick++;
		fire_slot(f, &f->wheel[f->tick % FLEET_SLOTS]);
	}
}

void
samples_add(struct fleet_samples *s, uint64_t us)
{
	if (s->count == s->capacity) {
		s->capacity = s->capacity == 0 ? 1 << 16 : 2 * s->capacity;
		s->items = realloc(s->items, s->capacity * sizeof *s->items);
		if (s->items == NULL)
			fleet_die("no memory for samples");
	}
	s->items[s->count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

double
samples_ms(struct fleet_samples *s, double quantile)
{
	if (s->count == 0)
		return 0;
	qsort(s->items, s->count, sizeof *s->items, by_value);
	return s->items[(size_t)(quantile * (double)(s->count - 1))] / 1e3;
}
