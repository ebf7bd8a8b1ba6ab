/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing with linear probing; a slot holds the hash too, so that a miss touches no node.
 * When a table is three quarters full (removed slots included) a new one is allocated that fits
 * what lives, and each later change moves a few slots: no single operation pays for a million.
 */
#include <assert.h>
#include <stdlib.h>

#include "zkserver/core/tree_priv.h"

#define INDEX_FIRST_SLOTS 64
#define INDEX_MOVES 32 /* old slots looked at per change */
#define INDEX_GUESSES 8
#define FILL_AHEAD 24 /* slots that are fetched before they are written */
#define SLOT_EMPTY 0u
#define SLOT_REMOVED UINT32_MAX

struct slot {
	uint32_t hash, id;
};

struct index_table {
	struct slot *slots;
	size_t size; /* a power of two */
	size_t live; /* slots with an id */
	size_t used; /* and those removed */
};

struct tree_index {
	struct index_table cur, old; /* old.slots NULL unless a move is under way */
	size_t moved;		     /* slots of old before this one are moved */
};

static bool
table_init(struct index_table *x, size_t size)
{
	*x = (struct index_table){.slots = calloc(size, sizeof *x->slots), .size = size};
	return x->slots != NULL;
}

static void
table_insert(struct index_table *x, uint32_t hash, uint32_t id)
{
	size_t at = hash & (x->size - 1);

	assert(x->used < x->size);
	while (x->slots[at].id != SLOT_EMPTY)
		at = (at + 1) & (x->size - 1);
	x->slots[at] = (struct slot){hash, id};
	x->live++;
	x->used++;
}

static bool
table_remove(struct index_table *x, uint32_t hash, uint32_t id)
{
	size_t at;

	if (x->slots == NULL)
		return false;
	for (at = hash & (x->size - 1); x->slots[at].id != SLOT_EMPTY;
	     at = (at + 1) & (x->size - 1)) {
		if (x->slots[at].id == id) {
			x->slots[at].id = SLOT_REMOVED;
			x->live--;
			return true;
		}
	}
	return false;
}

static uint32_t
table_find(const struct index_table *x, const struct tree *t, struct jute_bytes path, uint32_t hash)
{
	size_t at;

	for (at = hash & (x->size - 1); x->slots[at].id != SLOT_EMPTY;
	     at = (at + 1) & (x->size - 1)) {
		const struct slot *s = &x->slots[at];

		if (s->hash == hash && s->id != SLOT_REMOVED &&
		    tree_path_is(t, tree_by_id(t, s->id), path))
			return s->id;
	}
	return 0;
}

struct tree_index *
tree_index_new(void)
{
	struct tree_index *x = calloc(1, sizeof *x);

	if (x == NULL)
		return NULL;
	if (!table_init(&x->cur, INDEX_FIRST_SLOTS)) {
		free(x);
		return NULL;
	}
	return x;
}

void
tree_index_free(struct tree_index *x)
{
	if (x == NULL)
		return;
	free(x->cur.slots);
	free(x->old.slots);
	free(x);
}

/* Move some slots of the old table over, and drop it when it is empty. */
static void
index_move(struct tree_index *x, size_t count)
{
	if (x->old.slots == NULL)
		return;
	for (; count > 0 && x->moved < x->old.size; count--, x->moved++) {
		struct slot *s = &x->old.slots[x->moved];

		if (s->id == SLOT_EMPTY || s->id == SLOT_REMOVED)
			continue;
		table_insert(&x->cur, s->hash, s->id);
		s->id = SLOT_REMOVED;
		x->old.live--;
	}
	if (x->moved == x->old.size) {
		assert(x->old.live == 0);
		free(x->old.slots);
		x->old = (struct index_table){0};
	}
}

/* Make room for one more; false when the table is full and there is no memory for another. */
static bool
index_room(struct tree_index *x)
{
	struct index_table next;
	size_t size = INDEX_FIRST_SLOTS;

	if ((x->cur.used + 1) * 4 <= x->cur.size * 3)
		return true;
	index_move(x, SIZE_MAX);
	while (size < x->cur.live * 2 + 2)
		size *= 2;
	if (!table_init(&next, size))
		return x->cur.used + 1 <
		       x->cur.size; /* fuller is slower, and it still ends at an empty slot */
	x->old = x->cur;
	x->cur = next;
	x->moved = 0;
	return true;
}

bool
tree_index_insert(struct tree_index *x, uint32_t hash, uint32_t id)
{
	assert(id != SLOT_EMPTY && id != SLOT_REMOVED);
	if (!index_room(x))
		return false;
	table_insert(&x->cur, hash, id);
	index_move(x, INDEX_MOVES);
	return true;
}

void
tree_index_remove(struct tree_index *x, uint32_t hash, uint32_t id)
{
	bool found = table_remove(&x->cur, hash, id) || table_remove(&x->old, hash, id);

	assert(found);
	index_move(x, INDEX_MOVES);
}

uint32_t
tree_index_find(
    const struct tree_index *x, const struct tree *t, struct jute_bytes path, uint32_t hash)
{
	uint32_t id = table_find(&x->cur, t, path, hash);

	if (id == 0 && x->old.slots != NULL)
		id = table_find(&x->old, t, path, hash);
	return id;
}

uint32_t
tree_index_guess(const struct tree_index *x, uint32_t hash)
{
	size_t at = hash & (x->cur.size - 1);

	for (int i = 0; i < INDEX_GUESSES && x->cur.slots[at].id != SLOT_EMPTY; i++) {
		const struct slot *s = &x->cur.slots[at];

		if (s->hash == hash && s->id != SLOT_REMOVED)
			return s->id;
		at = (at + 1) & (x->cur.size - 1);
	}
	return 0;
}

void
tree_index_prefetch(const struct tree_index *x, uint32_t hash)
{
	__builtin_prefetch(&x->cur.slots[hash & (x->cur.size - 1)]);
}

bool
tree_index_fill(struct tree_index *x, const uint32_t *hashes, uint32_t first, uint32_t end)
{
	size_t size = INDEX_FIRST_SLOTS;
	struct index_table filled;

	assert(tree_index_count(x) == 0 && x->old.slots == NULL);
	while (size < (size_t)(end - first) * 2 + 2)
		size *= 2;
	if (!table_init(&filled, size))
		return false;
	for (uint32_t id = first; id < end; id++) {
		if (id + FILL_AHEAD < end)
			__builtin_prefetch(&filled.slots[hashes[id + FILL_AHEAD] & (size - 1)], 1);
		table_insert(&filled, hashes[id], id);
	}
	free(x->cur.slots);
	x->cur = filled;
	return true;
}

size_t
tree_index_count(const struct tree_index *x)
{
	return x->cur.live + x->old.live;
}
