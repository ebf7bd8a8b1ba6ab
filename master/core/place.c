/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/place.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_FIRST_SIZE = 16 };

void
place_init(struct place *p)
{
	*p = (struct place){0};
}

void
place_fini(struct place *p)
{
	free(p->tree);
	free(p->nodes);
	place_init(p);
}

static uint32_t
clamp_u32(uint64_t x)
{
	return x > UINT32_MAX ? UINT32_MAX : (uint32_t)x;
}

static uint32_t
min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Each step is monotone in each dimension, so that a fit in the amounts is a fit in the keys. */
static struct place_key
key_of(const struct place *p, const struct resources *a)
{
	uint64_t cpu = clamp_u32(a->cpu_milli), memory = clamp_u32(a->memory_bytes >> p->shift);
	struct place_key k = {.most = *a};

	k.balance[0] = min_u32(clamp_u32(4 * cpu), clamp_u32(memory));
	for (int i = 1; i < PLACE_BALANCES; i++)
		k.balance[i] = min_u32(clamp_u32(cpu), clamp_u32(memory << 2 * (i - 1)));
	return k;
}

static bool
key_admits(const struct place_key *have, const struct place_key *need)
{
	bool admits = resources_fits(&need->most, &have->most);

	for (int i = 0; i < PLACE_BALANCES; i++)
		admits = admits && need->balance[i] <= have->balance[i];
	return admits;
}

static uint64_t
max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static struct place_key
key_max(const struct place_key *a, const struct place_key *b)
{
	struct place_key k = {
	    .most =
		{
		    max_u64(a->most.cpu_milli, b->most.cpu_milli),
		    max_u64(a->most.memory_bytes, b->most.memory_bytes),
		    max_u64(a->most.disk_bytes, b->most.disk_bytes),
		},
	};

	for (int i = 0; i < PLACE_BALANCES; i++)
		k.balance[i] = a->balance[i] > b->balance[i] ? a->balance[i] : b->balance[i];
	return k;
}

static bool
key_equal(const struct place_key *a, const struct place_key *b)
{
	bool equal = resources_equal(&a->most, &b->most);

	for (int i = 0; i < PLACE_BALANCES; i++)
		equal = equal && a->balance[i] == b->balance[i];
	return equal;
}

static struct place_key
leaf_of(const struct place *p, uint32_t node)
{
	const struct place_node *n = &p->nodes[node];

	if (node >= p->count || !n->open)
		return (struct place_key){0};
	return key_of(p, &n->free);
}

/* Write a node's leaf and what follows from it upwards, as far as anything changes. */
static void
refresh(struct place *p, uint32_t node)
{
	uint32_t i = p->size + node;
	struct place_key k = leaf_of(p, node);

	for (;;) {
		if (key_equal(&p->tree[i], &k))
			return;
		p->tree[i] = k;
		if (i == 1)
			return;
		i /= 2;
		k = key_max(&p->tree[2 * i], &p->tree[2 * i + 1]);
	}
}

static void
rebuild(struct place *p)
{
	for (uint32_t i = 0; i < p->size; i++)
		p->tree[p->size + i] = leaf_of(p, i);
	for (uint32_t i = p->size - 1; i > 0; i--)
		p->tree[i] = key_max(&p->tree[2 * i], &p->tree[2 * i + 1]);
}

/* Something is free that was not: a remembered shape may fit now. */
static void
forget_failed(struct place *p)
{
	p->failed_count = p->failed_next = 0;
}

static bool
has_failed(const struct place *p, const struct resources *need)
{
	for (uint32_t i = 0; i < p->failed_count; i++)
		if (resources_fits(&p->failed[i], need))
			return true;
	return false;
}

static void
remember_failed(struct place *p, const struct resources *need)
{
	p->failed[p->failed_next] = *need;
	p->failed_next = (p->failed_next + 1) % PLACE_FAILED_MAX;
	if (p->failed_count < PLACE_FAILED_MAX)
		p->failed_count++;
}

/* The scale follows the largest node: cpu_milli and memory >> shift are then of one size. */
static bool
scale_changes(struct place *p, const struct resources *a)
{
	uint32_t shift = 0;

	p->largest.cpu_milli = max_u64(p->largest.cpu_milli, a->cpu_milli);
	p->largest.memory_bytes = max_u64(p->largest.memory_bytes, a->memory_bytes);
	while (p->largest.memory_bytes >> shift > p->largest.cpu_milli && shift < 63)
		shift++;
	if (shift == p->shift)
		return false;
	p->shift = shift;
	return true;
}

static bool
grow(struct place *p)
{
	uint32_t size = p->size == 0 ? PLACE_FIRST_SIZE : 2 * p->size;
	struct place_node *nodes = realloc(p->nodes, size * sizeof *nodes);
	struct place_key *tree;

	if (nodes == NULL)
		return false;
	p->nodes = nodes;
	tree = realloc(p->tree, 2 * (size_t)size * sizeof *tree);
	if (tree == NULL)
		return false;
	memset(p->nodes + p->size, 0, (size - p->size) * sizeof *p->nodes);
	memset(tree, 0, 2 * (size_t)size * sizeof *tree);
	p->tree = tree;
	p->size = size;
	rebuild(p);
	return true;
}

uint32_t
place_node_add(struct place *p, const struct resources *free_amount)
{
	uint32_t node = p->count;

	if (node == PLACE_NODES_MAX || (node == p->size && !grow(p)))
		return PLACE_NONE;
	p->count++;
	p->nodes[node] = (struct place_node){.free = *free_amount};
	if (scale_changes(p, free_amount))
		rebuild(p);
	return node;
}

void
place_node_open(struct place *p, uint32_t node, bool open)
{
	assert(node < p->count);
	if (open && !p->nodes[node].open)
		forget_failed(p);
	p->nodes[node].open = open;
	refresh(p, node);
}

void
place_node_set(struct place *p, uint32_t node, const struct resources *free_amount)
{
	assert(node < p->count);
	p->nodes[node].free = *free_amount;
	forget_failed(p);
	if (scale_changes(p, free_amount))
		rebuild(p);
	else
		refresh(p, node);
}

/*
 * The leftmost leaf at or behind `from` that admits the request: look at a subtree, go into it if
 * it may hold a fit, else on to the next one to the right.
 */
static uint32_t
search(struct place *p, const struct place_key *need, uint32_t from)
{
	uint32_t i = p->size + from;

	p->visited++;
	if (key_admits(&p->tree[i], need))
		return from; /* the common case of going on where the last one was placed */
	while (i % 2 == 0)
		i /= 2; /* the largest subtree that starts at `from` */
	for (;;) {
		p->visited++;
		if (key_admits(&p->tree[i], need)) {
			if (i >= p->size)
				return i - p->size;
			i *= 2;
			continue;
		}
		while (i % 2 == 1)
			i /= 2;
		if (i == 0)
			return PLACE_NONE;
		i++;
	}
}

uint32_t
place_fill(
    struct place *p, const struct resources *need, uint32_t count, uint32_t *cursor, uint32_t *node)
{
	struct place_key key = key_of(p, need);
	uint32_t found, times;

	assert(!resources_is_zero(need));
	if (count == 0 || *cursor >= p->count || has_failed(p, need))
		return 0;
	found = search(p, &key, *cursor);
	if (found == PLACE_NONE) {
		if (*cursor == 0)
			remember_failed(p, need);
		*cursor = p->count;
		return 0;
	}
	times = resources_times(need, &p->nodes[found].free, count);
	resources_subtract(&p->nodes[found].free, need, times);
	refresh(p, found);
	*cursor = *node = found;
	return times;
}

bool
place_take(struct place *p, uint32_t node, const struct resources *need)
{
	assert(node < p->count);
	if (!resources_fits(need, &p->nodes[node].free))
		return false;
	resources_subtract(&p->nodes[node].free, need, 1);
	refresh(p, node);
	return true;
}

void
place_give(struct place *p, uint32_t node, const struct resources *need, uint32_t times)
{
	assert(node < p->count);
	resources_add(&p->nodes[node].free, need, times);
	if (p->nodes[node].open)
		forget_failed(p);
	refresh(p, node);
}

bool
place_check(const struct place *p)
{
	for (uint32_t i = 0; i < p->size; i++) {
		struct place_key k = leaf_of(p, i);

		if (!key_equal(&p->tree[p->size + i], &k))
			return false;
	}
	for (uint32_t i = 1; i < p->size; i++) {
		struct place_key k = key_max(&p->tree[2 * i], &p->tree[2 * i + 1]);

		if (!key_equal(&p->tree[i], &k))
			return false;
	}
	return true;
}
