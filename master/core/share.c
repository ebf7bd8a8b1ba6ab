/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/share.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/plants.h"

static const struct resources no_limit = {QUOTA_NO_LIMIT, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT};

static void
role_init(struct role *r, struct role *parent)
{
	*r = (struct role){.parent = parent, .weight = SHARE_WEIGHT_ONE};
	r->quota.limit = r->limit = r->limit_in_batch = r->limit_stored = no_limit;
	for (int i = 0; i < SHARE_PRIORITIES; i++)
		list_init(&r->jobs[i]);
}

void
share_init(struct share *s)
{
	*s = (struct share){0};
	role_init(&s->root, NULL);
}

void
share_fini(struct share *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		free(s->roles[i]->heap);
		free(s->roles[i]);
	}
	free(s->roles);
	free(s->root.heap);
	share_init(s);
}

/* Where the name stands among the roles, or would stand. */
static uint32_t
place_of(const struct share *s, const char *name)
{
	uint32_t low = 0, high = s->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (strcmp(s->roles[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct role *
share_find(const struct share *s, const char *name)
{
	uint32_t at = place_of(s, name);

	return at < s->count && strcmp(s->roles[at]->name, name) == 0 ? s->roles[at] : NULL;
}

/* Room for one more child, so that a turn allocates nothing. */
static bool
heap_grow(struct role *parent)
{
	uint32_t capacity = parent->heap_capacity == 0 ? 4 : 2 * parent->heap_capacity;
	struct share_entry *heap;

	if (parent->heap_capacity >= parent->children + 2)
		return true;
	heap = realloc(parent->heap, capacity * sizeof *heap);
	if (heap == NULL)
		return false;
	parent->heap = heap;
	parent->heap_capacity = capacity;
	return true;
}

static bool
table_grow(struct share *s)
{
	uint32_t capacity = s->capacity == 0 ? 16 : 2 * s->capacity;
	struct role **roles;

	if (s->count == SHARE_ROLES_MAX)
		return false;
	if (s->count < s->capacity)
		return true;
	roles = realloc(s->roles, capacity * sizeof *roles);
	if (roles == NULL)
		return false;
	s->roles = roles;
	s->capacity = capacity;
	return true;
}

static struct role *
role_add(struct share *s, struct role *parent, const char *name, size_t size)
{
	struct role *r;
	uint32_t at;

	if (!table_grow(s) || !heap_grow(parent) || (r = malloc(sizeof *r)) == NULL)
		return NULL;
	role_init(r, parent);
	if (!heap_grow(r)) {
		free(r);
		return NULL;
	}
	memcpy(r->name, name, size);
	at = place_of(s, r->name);
	memmove(s->roles + at + 1, s->roles + at, (s->count - at) * sizeof *s->roles);
	s->roles[at] = r;
	s->count++;
	parent->children++;
	return r;
}

/* Is there anything to know of it? */
static bool
role_is_wanted(const struct role *r)
{
	const struct quota stored = {.limit = resources_min(&r->limit_in_batch, &r->limit_stored)};

	return r->users > 0 || r->children > 0 || r->weight != SHARE_WEIGHT_ONE ||
	       !quota_is_none(&r->quota) || !quota_is_none(&stored) ||
	       !resources_is_zero(&r->reserved);
}

static void
role_forget(struct share *s, struct role *r)
{
	while (r->parent != NULL && !role_is_wanted(r)) {
		struct role *parent = r->parent;
		uint32_t at = place_of(s, r->name);

		s->count--;
		memmove(s->roles + at, s->roles + at + 1, (s->count - at) * sizeof *s->roles);
		parent->children--;
		free(r->heap);
		free(r);
		r = parent;
	}
}

struct role *
share_take(struct share *s, const char *name)
{
	struct role *r = &s->root, *next;
	char part[ROLE_NAME_MAX + 1];
	size_t size = 0;

	assert(role_name_ok(name));
	do {
		size += strcspn(name + size, "/");
		memcpy(part, name, size);
		part[size] = '\0';
		next = share_find(s, part);
		if (next == NULL)
			next = role_add(s, r, part, size);
		if (next == NULL) {
			role_forget(s, r);
			return NULL;
		}
		r = next;
	} while (name[size++] == '/');
	r->users++;
	return r;
}

struct role *
share_hold(struct role *r)
{
	r->users++;
	return r;
}

void
share_drop(struct share *s, struct role *r)
{
	assert(r->users > 0);
	r->users--;
	role_forget(s, r);
}

void
share_set_weight(struct role *r, uint32_t weight)
{
	assert(weight > 0 && weight <= SHARE_WEIGHT_MAX);
	r->weight = weight;
}

static void
limit_follow(struct role *r)
{
	r->limit = resources_min(&r->limit_in_batch, &r->limit_stored);
	if (ZAB_PLANTED(PLANT_LIMIT_UNSTORED))
		r->limit = r->quota.limit;
	r->limit = resources_min(&r->limit, &r->quota.limit);
}

void
share_set_quota(struct role *r, const struct quota *q)
{
	assert(resources_fits(&q->guarantee, &q->limit));
	assert(role_is_top(r) || resources_is_zero(&q->guarantee));
	r->quota = *q;
	limit_follow(r);
}

void
share_quota_in_batch(struct share *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		s->roles[i]->limit_in_batch = s->roles[i]->quota.limit;
		limit_follow(s->roles[i]);
	}
}

void
share_quota_stored(struct share *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		s->roles[i]->limit_stored = s->roles[i]->limit_in_batch;
		limit_follow(s->roles[i]);
	}
	/* A parent stands before its children: what goes with a role stands before it. */
	for (uint32_t i = s->count; i > 0; i = i - 1 < s->count ? i - 1 : s->count)
		role_forget(s, s->roles[i - 1]);
}

/* --- what roles have --- */

void
share_lease(struct role *r, const struct resources *need, uint32_t times)
{
	resources_add(&r->own, need, times);
	r->own_tasks += times;
	for (; r != NULL; r = r->parent) {
		resources_add(&r->used, need, times);
		r->tasks += times;
	}
}

void
share_release(struct role *r, const struct resources *need)
{
	assert(r->own_tasks > 0 && resources_fits(need, &r->own));
	resources_subtract(&r->own, need, 1);
	r->own_tasks--;
	for (; r != NULL; r = r->parent) {
		resources_subtract(&r->used, need, 1);
		r->tasks--;
	}
}

void
share_reserve(struct role *r, const struct resources *more, const struct resources *less)
{
	for (; r != NULL; r = r->parent) {
		resources_add(&r->reserved, more, 1);
		resources_subtract(&r->reserved, less, 1);
	}
}

void
share_reserved_use(struct role *r, const struct resources *more, const struct resources *less)
{
	for (; r != NULL; r = r->parent) {
		resources_add(&r->reserved_used, more, 1);
		resources_subtract(&r->reserved_used, less, 1);
	}
}

void
share_unsettled(struct role *r, const struct resources *need, int64_t tasks)
{
	for (; r != NULL; r = r->parent)
		for (int d = 0; d < RESOURCE_COUNT; d++) {
			share_wide amount = resources_get(need, d);

			if (tasks >= 0)
				r->unsettled[d] += amount * (uint64_t)tasks;
			else
				r->unsettled[d] -= amount * (uint64_t)-tasks;
		}
}

struct resources
share_consumed(const struct role *r)
{
	/* What has ended may be counted as on a reservation until that is reckoned anew. */
	struct resources a = resources_beyond(&r->used, &r->reserved_used);

	resources_add(&a, &r->reserved, 1);
	return a;
}

static uint64_t
dominant(const struct share *s, const struct resources *used, uint32_t weight)
{
	share_wide most = 0;

	for (int d = 0; d < RESOURCE_COUNT; d++) {
		share_wide total = resources_get(&s->total, d), part;

		if (total == 0)
			continue;
		part = (share_wide)resources_get(used, d) * SHARE_WEIGHT_ONE * SHARE_ONE /
		       (total * weight);
		if (part > most)
			most = part;
	}
	return most > UINT64_MAX ? UINT64_MAX : (uint64_t)most;
}

uint64_t
share_of(const struct share *s, const struct role *r)
{
	return dominant(s, &r->used, r->weight);
}

/* --- the heaps of a turn --- */

static const struct share_key *
key_of(const struct share_entry *e)
{
	return e->own ? &e->role->as_own : &e->role->as_child;
}

/* Does a go before b? Both stand below the same role, whose own jobs come before its children. */
static bool
goes_before(const struct share_entry *a, const struct share_entry *b)
{
	const struct share_key *x = key_of(a), *y = key_of(b);

	if (x->content != y->content)
		return !x->content;
	if (x->share != y->share)
		return x->share < y->share;
	if (x->tasks != y->tasks)
		return x->tasks < y->tasks;
	if (a->own != b->own)
		return a->own;
	return strcmp(a->role->name, b->role->name) < 0;
}

static void
sift_down(struct role *parent, uint32_t i)
{
	struct share_entry *h = parent->heap, e;

	for (;;) {
		uint32_t first = i, left = 2 * i + 1;

		for (uint32_t k = left; k < left + 2 && k < parent->heap_count; k++)
			if (goes_before(&h[k], &h[first]))
				first = k;
		if (first == i)
			return;
		e = h[i];
		h[i] = h[first];
		h[first] = e;
		i = first;
	}
}

/* As long as it has reached its guarantee in no resource. */
static bool
is_short(const struct role *r)
{
	bool any = false;

	for (int d = 0; d < RESOURCE_COUNT; d++) {
		if (resources_get(&r->quota.guarantee, d) == 0)
			continue;
		if (resources_get(&r->unmet, d) == 0)
			return false;
		any = true;
	}
	return any;
}

static void
set_child_key(const struct share *s, struct role *r)
{
	uint32_t weight = ZAB_PLANTED(PLANT_WEIGHTS_IGNORED) ? SHARE_WEIGHT_ONE : r->weight;

	r->as_child = (struct share_key){!is_short(r), dominant(s, &r->used, weight), r->tasks};
}

static void
set_own_key(const struct share *s, struct role *r)
{
	r->as_own = (struct share_key){true, dominant(s, &r->own, SHARE_WEIGHT_ONE), r->own_tasks};
}

static void
set_unmet(struct share *s, struct role *r)
{
	struct resources consumed;

	if (!role_is_top(r) || resources_is_zero(&r->quota.guarantee))
		return;
	consumed = share_consumed(r);
	resources_subtract(&s->required, &r->unmet, 1);
	r->unmet = resources_beyond(&r->quota.guarantee, &consumed);
	resources_add(&s->required, &r->unmet, 1);
}

void
share_begin(struct share *s, const struct resources *available)
{
	s->turn++;
	s->available = *available;
	s->required = (struct resources){0};
	s->root.heap_count = 0;
	for (uint32_t i = 0; i < s->count; i++) {
		s->roles[i]->heap_count = 0;
		s->roles[i]->unmet = (struct resources){0};
		set_unmet(s, s->roles[i]);
	}
}

static void
join(struct role *parent, struct role *r, bool own)
{
	assert(parent->heap_count < parent->heap_capacity);
	parent->heap[parent->heap_count++] = (struct share_entry){r, own};
}

void
share_contend(struct share *s, struct role *r)
{
	set_own_key(s, r);
	join(r, r, true);
	for (; r->parent != NULL && r->turn != s->turn; r = r->parent) {
		r->turn = s->turn;
		set_child_key(s, r);
		join(r->parent, r, false);
	}
}

void
share_ready(struct share *s)
{
	for (uint32_t i = s->root.heap_count; i-- > 0;)
		sift_down(&s->root, i);
	for (uint32_t k = 0; k < s->count; k++)
		for (uint32_t i = s->roles[k]->heap_count; i-- > 0;)
			sift_down(s->roles[k], i);
}

struct role *
share_pick(const struct share *s)
{
	const struct role *r = &s->root;

	while (r->heap_count > 0) {
		if (r->heap[0].own)
			return r->heap[0].role;
		r = r->heap[0].role;
	}
	return NULL;
}

bool
share_alone(const struct share *s)
{
	const struct role *r = &s->root;

	while (r->heap_count == 1 && !r->heap[0].own)
		r = r->heap[0].role;
	return r->heap_count == 1;
}

void
share_granted(struct share *s, struct role *r, const struct resources *amount)
{
	resources_subtract(&s->available, amount, 1);
	set_own_key(s, r);
	for (struct role *x = r; x->parent != NULL; x = x->parent) {
		set_unmet(s, x);
		set_child_key(s, x);
		sift_down(x, 0);
	}
	sift_down(&s->root, 0);
}

static void
leave(struct role *parent)
{
	parent->heap[0] = parent->heap[--parent->heap_count];
	sift_down(parent, 0);
}

void
share_withdraw(struct share *s, struct role *r)
{
	assert(share_pick(s) == r);
	leave(r);
	for (; r->parent != NULL && r->heap_count == 0; r = r->parent)
		leave(r->parent);
}

/* --- what bars a role --- */

/* What is left of a limit. */
static uint64_t
left_of_limit(const struct role *r, const struct resources *consumed, int d)
{
	share_wide taken =
	    resources_get(consumed, d) + (ZAB_PLANTED(PLANT_LIMIT_FORGETS) ? 0 : r->unsettled[d]);
	uint64_t limit = resources_get(&r->limit, d);

	if (limit == QUOTA_NO_LIMIT)
		return UINT64_MAX;
	return taken >= limit ? 0 : limit - (uint64_t)taken;
}

static void
bound(uint32_t *room, uint64_t left, uint64_t need, const struct share_barred *by,
    struct share_barred *why)
{
	if (left / need >= *room)
		return;
	*room = (uint32_t)(left / need);
	*why = *by;
}

/* What a top-level role may have beyond what all guarantees need, when it consumes so much. */
static uint64_t
left_of_headroom(const struct share *s, const struct role *top, const struct resources *consumed,
    const struct resources *back, int d)
{
	struct resources unmet = resources_beyond(&top->quota.guarantee, consumed);
	uint64_t available = resources_get(&s->available, d) + resources_get(back, d),
		 required = resources_get(&s->required, d) - resources_get(&top->unmet, d) +
			    resources_get(&unmet, d);

	if (required == 0)
		return UINT64_MAX;
	return resources_get(&unmet, d) + (available > required ? available - required : 0);
}

uint32_t
share_room_at(const struct share *s, const struct role *r, const struct resources *need,
    const struct resources *back, uint32_t most, struct share_barred *why)
{
	struct resources consumed = share_consumed(r);

	consumed = resources_beyond(&consumed, back);
	for (int d = 0; d < RESOURCE_COUNT; d++) {
		uint64_t each = resources_get(need, d);
		struct share_barred limit = {SHARE_BAR_LIMIT, (enum resource)d, r},
				    headroom = {SHARE_BAR_GUARANTEE, (enum resource)d, r};

		if (each == 0)
			continue;
		bound(&most, left_of_limit(r, &consumed, d), each, &limit, why);
		if (role_is_top(r))
			bound(&most, left_of_headroom(s, r, &consumed, back, d), each, &headroom,
			    why);
	}
	return most;
}

uint32_t
share_room(const struct share *s, const struct role *r, const struct resources *need, uint32_t most,
    struct share_barred *why)
{
	static const struct resources none;

	*why = (struct share_barred){.bar = SHARE_BAR_NOT};
	for (; r->parent != NULL; r = r->parent)
		most = share_room_at(s, r, need, &none, most, why);
	return most;
}

/* --- checks --- */

/* A role's sums without its own, taken from its parent's: what is left at the end is the own. */
bool
share_check(const struct share *s)
{
	bool good = true;

	for (uint32_t i = 0; i <= s->count; i++) {
		const struct role *r = i == s->count ? &s->root : s->roles[i];
		struct resources used = r->own;
		uint32_t tasks = r->own_tasks, children = 0;

		for (uint32_t k = 0; k < s->count; k++) {
			if (s->roles[k]->parent != r)
				continue;
			children++;
			tasks += s->roles[k]->tasks;
			resources_add(&used, &s->roles[k]->used, 1);
		}
		good = good && resources_equal(&used, &r->used) && tasks == r->tasks &&
		       children == r->children && (r->parent == NULL || role_is_wanted(r));
		good = good && resources_fits(&r->reserved_used, &r->reserved);
	}
	return good;
}
