/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/session.h"

#include <assert.h>
#include <stdlib.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/plants.h"

#define PASSWORD_SECRET UINT64_C(0xB3415C00)
#define RANDOM_MULTIPLIER UINT64_C(0x5DEECE66D)
#define RANDOM_MASK ((UINT64_C(1) << 48) - 1)

void
session_table_init(struct session_table *t, uint32_t tick_ms)
{
	assert(tick_ms > 0);
	*t = (struct session_table){.tick_ms = tick_ms};
	hmap_init(&t->by_id);
	hmap_init(&t->coming);
	hmap_init(&t->ended);
	list_init(&t->touched);
	for (size_t i = 0; i < SESSION_WHEEL_SLOTS; i++)
		list_init(&t->wheel[i]);
}

static void
free_all(struct hmap *m)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, m)
		free(HMAP_ENTRY(it, struct session, by_id));
	hmap_fini(m);
}

void
session_table_fini(struct session_table *t)
{
	free_all(&t->by_id);
	free_all(&t->coming);
	free_all(&t->ended);
	session_table_init(t, t->tick_ms);
}

static struct session *
find(const struct hmap *m, int64_t id)
{
	struct hmap_node *h;

	for (h = hmap_first(m, hash_u64((uint64_t)id)); h != NULL; h = hmap_next(h)) {
		struct session *s = CONTAINER_OF(h, struct session, by_id);

		if (s->id == id)
			return s;
	}
	return NULL;
}

struct session *
session_find(const struct session_table *t, int64_t id)
{
	return find(&t->by_id, id);
}

struct session *
session_find_any(const struct session_table *t, int64_t id)
{
	struct session *s = find(&t->by_id, id);

	return s != NULL || t->coming.count == 0 ? s : find(&t->coming, id);
}

/* Put the session into the bucket of its end: the first multiple of the tick after now + timeout.
 */
static void
schedule(struct session_table *t, struct session *s, uint64_t now_ms)
{
	uint64_t bucket = (now_ms + (uint32_t)s->timeout_ms) / t->tick_ms + 1;

	if (!t->started || s->expires_ms == bucket * t->tick_ms)
		return;
	s->expires_ms = bucket * t->tick_ms;
	list_remove(&s->bucket);
	list_append(&t->wheel[bucket % SESSION_WHEEL_SLOTS], &s->bucket);
}

static struct session *
make(struct hmap *m, int64_t id)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->id = id;
	s->owner = SESSION_OWNER_NONE;
	list_init(&s->bucket);
	if (!hmap_insert(m, &s->by_id, hash_u64((uint64_t)id))) {
		free(s);
		return NULL;
	}
	return s;
}

static void
set_timeout(struct session_table *t, struct session *s, int32_t timeout_ms, uint64_t now_ms)
{
	s->timeout_ms = timeout_ms > 0 ? timeout_ms : 0;
	schedule(t, s, now_ms);
}

/* The same struct, as connections and the wheel know it. */
static struct session *
come(struct session_table *t, struct session *s)
{
	hmap_remove(&t->coming, &s->by_id);
	if (hmap_insert(&t->by_id, &s->by_id, hash_u64((uint64_t)s->id)))
		return s;
	list_remove(&s->bucket);
	free(s);
	return NULL;
}

struct session *
session_add(struct session_table *t, int64_t id, int32_t timeout_ms, uint64_t now_ms)
{
	struct session *s = session_find_any(t, id);

	if (s == NULL)
		s = make(&t->by_id, id);
	else if (t->coming.count > 0 && find(&t->coming, id) == s)
		return come(t, s);
	if (s != NULL)
		set_timeout(t, s, timeout_ms, now_ms);
	return s;
}

struct session *
session_expect(struct session_table *t, int64_t id, int32_t timeout_ms, uint64_t now_ms)
{
	struct session *s = session_find_any(t, id);

	if (s == NULL && (s = make(&t->coming, id)) != NULL)
		set_timeout(t, s, timeout_ms, now_ms);
	return s;
}

/* Without memory for it, this end is forgotten at once. */
static bool
remember(struct session_table *t, struct session *s)
{
	if (!t->remembers || !hmap_insert(&t->ended, &s->by_id, s->by_id.hash))
		return false;
	if (t->ended.count > SESSION_ENDED_MAX) {
		struct session *oldest = HMAP_ENTRY(t->ended.order.next, struct session, by_id);

		hmap_remove(&t->ended, &oldest->by_id);
		free(oldest);
	}
	return true;
}

void
session_remove(struct session_table *t, int64_t id)
{
	struct session *s = session_find(t, id);

	if (s == NULL)
		return;
	list_remove(&s->bucket);
	hmap_remove(&t->by_id, &s->by_id);
	if (!remember(t, s))
		free(s);
}

void
session_remember(struct session_table *t)
{
	t->remembers = true;
}

bool
session_has_ended(const struct session_table *t, int64_t id)
{
	return find(&t->ended, id) != NULL;
}

size_t
session_count(const struct session_table *t)
{
	return t->by_id.count;
}

struct session *
session_next(const struct session_table *t, struct list **at)
{
	*at = *at == NULL ? t->by_id.order.next : (*at)->next;
	if (*at == &t->by_id.order)
		return NULL;
	return HMAP_ENTRY(*at, struct session, by_id);
}

void
session_start(struct session_table *t, uint64_t now_ms)
{
	struct list *it, *nx;

	session_stop(t);
	t->started = true;
	t->checked_ms = now_ms / t->tick_ms * t->tick_ms;
	HMAP_EACH(it, nx, &t->by_id)
		schedule(t, HMAP_ENTRY(it, struct session, by_id), now_ms);
}

void
session_stop(struct session_table *t)
{
	struct list *it, *nx;

	t->started = t->collecting = t->remembers = false;
	free_all(&t->ended);
	HMAP_EACH(it, nx, &t->coming)
		list_remove(&HMAP_ENTRY(it, struct session, by_id)->bucket);
	free_all(&t->coming);
	HMAP_EACH(it, nx, &t->by_id) {
		struct session *s = HMAP_ENTRY(it, struct session, by_id);

		list_remove(&s->bucket);
		s->expires_ms = 0;
		s->owner = SESSION_OWNER_NONE;
		s->closing = false;
	}
}

void
session_collect(struct session_table *t)
{
	session_stop(t);
	t->collecting = true;
}

struct session *
session_take_touched(struct session_table *t)
{
	struct list *l = list_first(&t->touched);

	if (l == NULL)
		return NULL;
	list_remove(l);
	return CONTAINER_OF(l, struct session, bucket);
}

bool
session_touch(struct session_table *t, struct session *s, int32_t timeout_ms, uint64_t now_ms)
{
	if (s->closing)
		return false;
	s->timeout_ms = timeout_ms;
	if (t->collecting && list_empty(&s->bucket))
		list_append(&t->touched, &s->bucket);
	schedule(t, s, now_ms);
	return true;
}

struct session *
session_expire(struct session_table *t, uint64_t now_ms)
{
	struct list *it, *nx;

	if (!t->started)
		return NULL;
	for (; t->checked_ms + t->tick_ms <= now_ms; t->checked_ms += t->tick_ms) {
		uint64_t due = t->checked_ms + t->tick_ms;

		LIST_EACH(it, nx, &t->wheel[due / t->tick_ms % SESSION_WHEEL_SLOTS]) {
			struct session *s = CONTAINER_OF(it, struct session, bucket);

			if (s->expires_ms > due)
				continue; /* a later round of the wheel */
			list_remove(&s->bucket);
			s->closing = true;
			return s;
		}
	}
	return NULL;
}

uint64_t
session_deadline_ms(const struct session_table *t)
{
	return t->started ? t->checked_ms + t->tick_ms : UINT64_MAX;
}

/* java.util.Random, seeded with the id and a secret that every server knows; each draw
 * little-endian. */
void
session_password(int64_t id, uint8_t password[SESSION_PASSWORD_BYTES])
{
	uint64_t state = (((uint64_t)id ^ PASSWORD_SECRET) ^ RANDOM_MULTIPLIER) & RANDOM_MASK;

	for (int i = 0; i < SESSION_PASSWORD_BYTES; i += 4) {
		uint32_t draw;

		state = (state * RANDOM_MULTIPLIER + 0xB) & RANDOM_MASK;
		draw = (uint32_t)(state >> 16);
		for (int k = 0; k < 4; k++)
			password[i + k] = (uint8_t)(draw >> (8 * k));
	}
}

int64_t
session_first_id(uint8_t sid, int64_t wall_ms)
{
	uint64_t id = ((uint64_t)wall_ms << 24 >> 8) | (uint64_t)sid << 56;

	if (ZAB_PLANTED(PLANT_SIGNED_IDS))
		id = (uint64_t)((int64_t)((uint64_t)wall_ms << 24) >> 8) | (uint64_t)sid << 56;
	if (ZAB_PLANTED(PLANT_IDS_BEGIN_ANEW))
		id = (uint64_t)sid << 56 | 1;
	if (id == UINT64_C(1) << 63)
		id++;
	return (int64_t)id;
}
