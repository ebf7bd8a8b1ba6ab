/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/books.h"

#include <assert.h>
#include <stdlib.h>

void
books_init(struct books *b)
{
	*b = (struct books){0};
	place_init(&b->place);
	share_init(&b->share);
}

void
books_fini(struct books *b)
{
	place_fini(&b->place);
	share_fini(&b->share);
	free(b->accounts);
	books_init(b);
}

static bool
has_room(struct books *b)
{
	uint32_t capacity = b->capacity == 0 ? 16 : 2 * b->capacity;
	struct account *accounts;

	if (b->place.count < b->capacity)
		return true;
	accounts = realloc(b->accounts, capacity * sizeof *accounts);
	if (accounts == NULL)
		return false;
	b->accounts = accounts;
	b->capacity = capacity;
	return true;
}

uint32_t
books_node_add(struct books *b, const struct resources *total)
{
	uint32_t node;

	if (!has_room(b))
		return PLACE_NONE;
	node = place_node_add(&b->place, total);
	if (node == PLACE_NONE)
		return PLACE_NONE;
	b->accounts[node] = (struct account){.total = *total};
	resources_add(&b->total, total, 1);
	b->share.total = b->total;
	return node;
}

/* What is neither leased nor held back is free. */
static void
place_follow(struct books *b, uint32_t node)
{
	struct account *a = &b->accounts[node];
	struct resources left = a->total;

	resources_subtract(&left, &a->leased, 1);
	a->held = resources_min(&a->to_hold, &left);
	resources_subtract(&left, &a->held, 1);
	place_node_set(&b->place, node, &left);
}

bool
books_node_resize(struct books *b, uint32_t node, const struct resources *total)
{
	struct account *a = &b->accounts[node];

	if (!resources_fits(&a->leased, total))
		return false;
	resources_subtract(&b->total, &a->total, 1);
	resources_add(&b->total, total, 1);
	b->share.total = b->total;
	a->total = *total;
	place_follow(b, node);
	return true;
}

static void
note_leased(
    struct books *b, struct role *role, uint32_t node, const struct resources *need, uint32_t times)
{
	resources_add(&b->accounts[node].leased, need, times);
	resources_add(&b->leased, need, times);
	b->accounts[node].leases += times;
	share_lease(role == NULL ? &b->share.root : role, need, times);
}

uint32_t
books_fill(struct books *b, struct role *role, const struct resources *need, uint32_t count,
    uint32_t *cursor, uint32_t *node)
{
	uint32_t times = place_fill(&b->place, need, count, cursor, node);

	if (times > 0)
		note_leased(b, role, *node, need, times);
	return times;
}

bool
books_lease(struct books *b, struct role *role, uint32_t node, const struct resources *need)
{
	struct account *a = &b->accounts[node];
	struct resources left = a->total;

	if (place_take(&b->place, node, need)) {
		note_leased(b, role, node, need, 1);
		return true;
	}
	resources_subtract(&left, &a->leased, 1);
	if (!resources_fits(need, &left))
		return false;
	note_leased(b, role, node, need, 1);
	place_follow(b, node);
	return true;
}

void
books_release(struct books *b, struct role *role, uint32_t node, const struct resources *need)
{
	struct account *a = &b->accounts[node];

	assert(a->leases > 0 && resources_fits(need, &a->leased));
	a->leases--;
	resources_subtract(&a->leased, need, 1);
	resources_subtract(&b->leased, need, 1);
	share_release(role == NULL ? &b->share.root : role, need);
	if (resources_equal(&a->held, &a->to_hold))
		place_give(&b->place, node, need, 1);
	else
		place_follow(b, node);
}

void
books_hold(struct books *b, uint32_t node, const struct resources *amount)
{
	if (resources_equal(&b->accounts[node].to_hold, amount))
		return;
	b->accounts[node].to_hold = *amount;
	place_follow(b, node);
}

struct resources
books_free(const struct books *b, uint32_t node)
{
	return b->place.nodes[node].free;
}

struct resources
books_available(const struct books *b)
{
	struct resources sum = {0};

	for (uint32_t i = 0; i < b->place.count; i++)
		if (b->place.nodes[i].open)
			resources_add(&sum, &b->place.nodes[i].free, 1);
	return sum;
}

bool
books_check(const struct books *b)
{
	struct resources total = {0}, leased = {0};

	for (uint32_t i = 0; i < b->place.count; i++) {
		const struct account *a = &b->accounts[i];
		struct resources sum = a->leased;

		resources_add(&sum, &a->held, 1);
		resources_add(&sum, &b->place.nodes[i].free, 1);
		if (!resources_equal(&sum, &a->total) || !resources_fits(&a->leased, &a->total))
			return false;
		resources_add(&total, &a->total, 1);
		resources_add(&leased, &a->leased, 1);
	}
	return resources_equal(&total, &b->total) && resources_equal(&leased, &b->leased) &&
	       resources_equal(&leased, &b->share.root.used) &&
	       resources_equal(&total, &b->share.total) && place_check(&b->place) &&
	       share_check(&b->share);
}
