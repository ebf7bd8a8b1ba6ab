/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reservations: amounts of a node that only tasks of one role, and of roles below it, may have. A
 * task counts against the reservations of its node that it may use, that of the lowest role first,
 * and the rest of it is unreserved. What is reserved and not in use is held back in the books.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/amount.h"
#include "libcommon/base/str.h"
#include "master/core/inside.h"

static bool
is_at_or_below(const struct role *r, const struct role *top)
{
	for (; r != NULL; r = r->parent)
		if (r == top)
			return true;
	return false;
}

/* What is left of a reservation. */
static struct resources
unused(const struct reservation *v)
{
	return resources_beyond(&v->amount, &v->used);
}

static void
cover(struct agent *a, const struct role *role, const struct resources *need)
{
	struct resources left = *need;
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->reservations) {
		struct reservation *v = CONTAINER_OF(it, struct reservation, in_agent);
		struct resources rest = unused(v), part = resources_min(&left, &rest);

		if (role == NULL || !is_at_or_below(role, v->role))
			continue;
		resources_add(&v->used, &part, 1);
		resources_subtract(&left, &part, 1);
	}
}

void
reserve_settle(struct cluster *c, struct agent *a)
{
	struct resources to_hold = {0}, none = {0};
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->reservations) {
		struct reservation *v = CONTAINER_OF(it, struct reservation, in_agent);

		share_reserved_use(v->role, &none, &v->used);
		v->used = none;
	}
	LIST_EACH(it, nx, &a->attempts) {
		struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);

		if (t->booked)
			cover(a, t->job->role, &t->job->need);
	}
	LIST_EACH(it, nx, &a->doomed) {
		struct doomed *d = CONTAINER_OF(it, struct doomed, in_agent);

		if (d->booked)
			cover(a, d->role, &d->need);
	}
	LIST_EACH(it, nx, &a->reservations) {
		struct reservation *v = CONTAINER_OF(it, struct reservation, in_agent);
		struct resources rest = unused(v);

		share_reserved_use(v->role, &v->used, &none);
		resources_add(&to_hold, &rest, 1);
	}
	if (a->node != PLACE_NONE)
		books_hold(&c->books, a->node, &to_hold);
}

void
reserve_settle_all(struct cluster *c)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->reserving)
		reserve_settle(c, CONTAINER_OF(it, struct agent, in_reserving));
}

struct resources
reserve_unused(const struct agent *a, const struct role *role)
{
	struct resources sum = {0};
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&a->reservations) {
		const struct reservation *v = CONTAINER_OF(it, struct reservation, in_agent);
		struct resources rest = unused(v);

		if (is_at_or_below(role, v->role))
			resources_add(&sum, &rest, 1);
	}
	return sum;
}

struct resources
reserve_usable(const struct cluster *c, const struct agent *a, const struct role *role)
{
	struct resources usable = books_free(&c->books, a->node), left;
	const struct account *account = &c->books.accounts[a->node];
	struct resources rest;

	if (list_empty(&a->reservations))
		return usable;
	rest = reserve_unused(a, role);
	left = resources_beyond(&account->total, &account->leased);
	resources_add(&usable, &rest, 1);
	return resources_min(&usable, &left);
}

/* What is used, and what is left, of the reservations that a role has there at or below `top`. */
static void
add_below(const struct agent *a, const struct role *role, const struct role *top,
    struct resources *used, struct resources *left)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&a->reservations) {
		const struct reservation *v = CONTAINER_OF(it, struct reservation, in_agent);
		struct resources rest = unused(v);

		if (!is_at_or_below(role, v->role) || !is_at_or_below(v->role, top))
			continue;
		resources_add(used, &v->used, 1);
		resources_add(left, &rest, 1);
	}
}

bool
reserve_admits(const struct cluster *c, const struct agent *a, const struct role *role,
    const struct resources *need, const struct resources *back)
{
	struct share_barred why;

	/* What is reserved above a role is not consumed by it before it is used. */
	for (const struct role *at = role; at->parent != NULL; at = at->parent) {
		struct resources used = {0}, left = {0}, to_reserved, back_beyond, amount;

		add_below(a, role, at, &used, &left);
		to_reserved = resources_min(back, &used);
		back_beyond = resources_beyond(back, &to_reserved);
		resources_add(&left, &to_reserved, 1);
		amount = resources_beyond(need, &left);
		if (share_room_at(&c->books.share, at, &amount, &back_beyond, 1, &why) == 0)
			return false;
	}
	return true;
}

/* A service is on what is reserved for it first; what is left of its need. */
static struct resources
beside_reserved(const struct agent *a, const struct attempt *service,
    struct resources reserved[CLUSTER_RESERVATIONS_MAX])
{
	struct resources left = service->job->need, *at = reserved;
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&a->reservations) {
		struct resources part = resources_min(&left, at);

		if (is_at_or_below(
			service->job->role, CONTAINER_OF(it, struct reservation, in_agent)->role)) {
			resources_subtract(at, &part, 1);
			resources_subtract(&left, &part, 1);
		}
		at++;
	}
	return left;
}

struct resources
reserve_usable_later(const struct cluster *c, const struct agent *a, const struct role *role)
{
	struct resources usable = c->books.accounts[a->node].total,
			 reserved[CLUSTER_RESERVATIONS_MAX] = {0}, *at = reserved;
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&a->reservations) {
		const struct reservation *v = CONTAINER_OF(it, struct reservation, in_agent);

		if (!is_at_or_below(role, v->role))
			*at = v->amount;
		usable = resources_beyond(&usable, at++);
	}
	LIST_EACH(it, nx, (struct list *)&a->attempts) {
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);
		struct resources rest;

		if (!t->booked || !t->job->policy.service)
			continue;
		rest = beside_reserved(a, t, reserved);
		usable = resources_beyond(&usable, &rest);
	}
	return usable;
}

/* --- making and removing them --- */

static struct reservation *
find(const struct agent *a, const char *role, uint32_t *count)
{
	struct reservation *found = NULL;
	struct list *it, *nx;

	*count = 0;
	LIST_EACH(it, nx, (struct list *)&a->reservations) {
		struct reservation *v = CONTAINER_OF(it, struct reservation, in_agent);

		++*count;
		if (strcmp(v->role->name, role) == 0)
			found = v;
	}
	return found;
}

static uint32_t
depth(const struct role *r)
{
	uint32_t n = 0;

	for (; r->parent != NULL; r = r->parent)
		n++;
	return n;
}

/* Lower roles stand before those above them: theirs is used first. */
static struct reservation *
reservation_new(struct cluster *c, struct agent *a, const char *role)
{
	struct reservation *v = calloc(1, sizeof *v);
	struct list *at = a->reservations.next;

	if (v == NULL || (v->role = share_take(&c->books.share, role)) == NULL) {
		free(v);
		return NULL;
	}
	while (at != &a->reservations &&
	       depth(CONTAINER_OF(at, struct reservation, in_agent)->role) >= depth(v->role))
		at = at->next;
	list_insert_before(at, &v->in_agent);
	if (list_empty(&a->in_reserving))
		list_append(&c->reserving, &a->in_reserving);
	return v;
}

static void
reservation_free(struct cluster *c, struct agent *a, struct reservation *v)
{
	list_remove(&v->in_agent);
	share_drop(&c->books.share, v->role);
	free(v);
	if (list_empty(&a->reservations))
		list_remove(&a->in_reserving);
}

static void
set(struct cluster *c, struct agent *a, struct reservation *v, const struct resources *amount)
{
	struct resources none = {0};

	share_reserved_use(v->role, &none, &v->used);
	v->used = none;
	share_reserve(v->role, amount, &v->amount);
	v->amount = *amount;
	reserve_settle(c, a);
	if (resources_is_zero(amount))
		reservation_free(c, a, v);
	c->unplaced = true;
}

/* Is what is asked for there, free of tasks of others and of other reservations? */
static bool
is_there(const struct cluster *c, const struct agent *a, const struct reservation *v,
    const struct resources *amount)
{
	struct resources have;

	if (a->node == PLACE_NONE)
		return false;
	have = books_free(&c->books, a->node);
	if (v != NULL)
		resources_add(&have, &v->amount, 1);
	return resources_fits(amount, &have);
}

static bool
within_limits(const struct cluster *c, const char *role, const struct reservation *v,
    const struct resources *amount)
{
	static const struct resources none;
	const struct resources *old = v == NULL ? &none : &v->amount;
	char name[ROLE_NAME_MAX + 1];
	char *slash;
	bool within = true;

	if (!str_copy(name, sizeof name, role))
		return false;
	do {
		const struct role *r = share_find(&c->books.share, name);
		struct resources consumed = r == NULL ? none : share_consumed(r);

		for (int d = 0; d < RESOURCE_COUNT && r != NULL; d++)
			within = within && (resources_get(amount, d) <= resources_get(old, d) ||
					       resources_get(&consumed, d) - resources_get(old, d) +
						       resources_get(amount, d) <=
						   resources_get(&r->limit, d));
		slash = strrchr(name, '/');
		if (slash != NULL)
			*slash = '\0';
	} while (slash != NULL);
	return within;
}

bool
cluster_reserve(struct cluster *c, struct agent *a, const char *role,
    const struct resources *amount, char *error, size_t size)
{
	struct reservation *v;
	uint32_t count;
	const char *why = NULL;

	reserve_settle_all(c);
	v = find(a, role, &count);
	if (!role_name_ok(role) || strcmp(role, ROLE_DEFAULT) == 0)
		why = "nothing can be reserved for it: name a role, as eng or eng/web";
	else if (resources_is_zero(amount) && v == NULL)
		why = "it has no reservation there";
	else if (resources_is_zero(amount))
		why = NULL;
	else if (!is_there(c, a, v, amount))
		why = "so much is not free there; what runs there is left alone, drain the node "
		      "first";
	else if (!within_limits(c, role, v, amount))
		why = "it would be above its limit, which counts what is reserved";
	else if (v == NULL && count == CLUSTER_RESERVATIONS_MAX)
		why = "the node has as many reservations as it can have";
	else if (v == NULL && (v = reservation_new(c, a, role)) == NULL)
		why = "there are too many roles, or memory is short";
	if (why != NULL) {
		snprintf(error, size, "role %s on node %s: %s", role, a->name, why);
		return false;
	}
	set(c, a, v, amount);
	c->reserved[a->number / RESERVED_PIECE] |= PIECE_DIRTY;
	c->reserved_dirty = true;
	return true;
}

void
reserve_free_all(struct cluster *c, struct agent *a)
{
	struct list *first;

	while ((first = list_first(&a->reservations)) != NULL)
		reservation_free(c, a, CONTAINER_OF(first, struct reservation, in_agent));
}

/* --- /corral/roles/reserved-K: "NODE ROLE AMOUNTS" --- */

void
reserved_encode(const struct cluster *c, uint32_t piece, struct buf *out)
{
	uint32_t first = piece * RESERVED_PIECE;
	struct list *it, *nx;

	for (uint32_t i = first; i < c->agent_count && i < first + RESERVED_PIECE; i++)
		LIST_EACH(it, nx, &c->by_number[i]->reservations) {
			const struct reservation *v =
			    CONTAINER_OF(it, struct reservation, in_agent);
			char text[ROLE_AMOUNTS_MAX];

			buf_printf(out, "%s %s %s\n", c->by_number[i]->name, v->role->name,
			    role_print_amounts(text, &v->amount, 0));
		}
}

bool
reserved_load_line(struct cluster *c, char *words[3])
{
	struct resources amount = {0};
	struct agent *a = cluster_agent(c, words[0]);
	struct reservation *v;
	uint32_t count;

	if (a == NULL || !role_name_ok(words[1]) || strcmp(words[1], ROLE_DEFAULT) == 0 ||
	    !amount_parse_resources(
		words[2], &amount.cpu_milli, &amount.memory_bytes, &amount.disk_bytes) ||
	    resources_is_zero(&amount) || find(a, words[1], &count) != NULL ||
	    count == CLUSTER_RESERVATIONS_MAX || (v = reservation_new(c, a, words[1])) == NULL)
		return false;
	set(c, a, v, &amount);
	return true;
}
