/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child list is a row of blocks of ids, all in order of name: a change moves the ids of one
 * block, a walk sorts nothing. Names that grow (sequential nodes) fill block after block.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "zkserver/core/tree_priv.h"

#define KIDS_BLOCK_MAX 512
#define PLACE_BITS 9 /* of KIDS_BLOCK_MAX */
#define KIDS_BLOCK_MIN 4

struct block {
	uint32_t count, cap;
	uint32_t ids[];
};

struct tree_children {
	uint32_t count; /* children in all blocks */
	uint32_t block_count, block_cap;
	uint32_t last;	       /* place of the last change: a block, and where in it (PLACE_BITS) */
	struct block **blocks; /* none is empty */
};

/* Where a name is, or would be inserted. */
struct place {
	uint32_t block, at;
	bool found;
};

static int
name_compare(struct jute_bytes a, struct jute_bytes b)
{
	int32_t common = a.len < b.len ? a.len : b.len;
	int order = memcmp(a.data, b.data, (size_t)common);

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int
kid_compare(const struct tree *t, uint32_t id, struct jute_bytes name)
{
	return name_compare(tree_node_name(tree_by_id(t, id)), name);
}

/* The first place in the block whose name is not less. */
static uint32_t
block_lower(const struct tree *t, const struct block *b, struct jute_bytes name, bool *found)
{
	uint32_t low = 0, high = b->count;

	*found = false;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = kid_compare(t, b->ids[mid], name);

		if (order == 0) {
			*found = true;
			return mid;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The last block whose first name is not greater; the first block if there is none. */
static uint32_t
kids_block(const struct tree *t, const struct tree_children *k, struct jute_bytes name)
{
	uint32_t low = 0, high = k->block_count - 1;

	if (kid_compare(t, k->blocks[high]->ids[0], name) <= 0)
		return high;
	while (low < high) {
		uint32_t mid = low + (high - low + 1) / 2;

		if (kid_compare(t, k->blocks[mid]->ids[0], name) <= 0)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

/*
 * Is the name's place that of the last change, or right behind it in the same block? Names that
 * count up have it there, and two comparisons are enough.
 */
static bool
is_near_last(
    const struct tree *t, const struct tree_children *k, struct jute_bytes name, struct place *p)
{
	uint32_t block = k->last >> PLACE_BITS, at = k->last & (KIDS_BLOCK_MAX - 1);
	const struct block *b;
	int order;

	if (block >= k->block_count || at >= (b = k->blocks[block])->count ||
	    (order = kid_compare(t, b->ids[at], name)) > 0)
		return false;
	if (order < 0 && (++at == b->count || (order = kid_compare(t, b->ids[at], name)) < 0))
		return false;
	*p = (struct place){block, at, order == 0};
	return true;
}

static struct place
kids_find(const struct tree *t, const struct tree_children *k, struct jute_bytes name)
{
	const struct block *b = k->blocks[k->block_count - 1];
	struct place p = {.block = k->block_count - 1, .at = b->count};

	/* Behind all others: so come sequential nodes, and those of a snapshot. */
	if (kid_compare(t, b->ids[b->count - 1], name) < 0 || is_near_last(t, k, name, &p))
		return p;
	p.block = kids_block(t, k, name);
	p.at = block_lower(t, k->blocks[p.block], name, &p.found);
	return p;
}

static struct block *
block_resize(struct block *b, uint32_t cap)
{
	struct block *r = realloc(b, sizeof *r + cap * sizeof r->ids[0]);

	if (r == NULL)
		return NULL;
	if (b == NULL)
		r->count = 0;
	r->cap = cap;
	return r;
}

/* Put a new block at a place of the row. */
static bool
kids_add_block(struct tree_children *k, uint32_t at, struct block *b)
{
	if (k->block_count == k->block_cap) {
		uint32_t cap = k->block_cap > 0 ? k->block_cap * 2 : 1;
		struct block **r = realloc(k->blocks, cap * sizeof *r);

		if (r == NULL)
			return false;
		k->blocks = r;
		k->block_cap = cap;
	}
	memmove(&k->blocks[at + 1], &k->blocks[at], (k->block_count - at) * sizeof *k->blocks);
	k->blocks[at] = b;
	k->block_count++;
	return true;
}

/* Divide the full block at p, or begin a new one behind the last, and move p to where there is
 * room. */
static bool
kids_split(struct tree_children *k, struct place *p)
{
	struct block *b = k->blocks[p->block], *next;
	bool append = p->block == k->block_count - 1 && p->at == b->count;
	uint32_t keep = append ? b->count : b->count / 2, moved = b->count - keep;

	if ((next = block_resize(NULL, append ? KIDS_BLOCK_MIN : KIDS_BLOCK_MAX)) == NULL)
		return false;
	if (!kids_add_block(k, p->block + 1, next)) {
		free(next);
		return false;
	}
	memcpy(next->ids, &b->ids[keep], moved * sizeof b->ids[0]);
	next->count = moved;
	b->count = keep;
	if (p->at > keep || append) {
		p->block++;
		p->at -= keep;
	}
	return true;
}

/* Make room in the block at p for one more. */
static bool
kids_room(struct tree_children *k, struct place *p)
{
	struct block *b;

	if (k->block_count == 0) {
		if ((b = block_resize(NULL, KIDS_BLOCK_MIN)) == NULL)
			return false;
		if (kids_add_block(k, 0, b))
			return true;
		free(b);
		return false;
	}
	if (k->blocks[p->block]->count == KIDS_BLOCK_MAX && !kids_split(k, p))
		return false;
	b = k->blocks[p->block];
	if (b->count < b->cap)
		return true;
	if ((b = block_resize(b, b->cap * 2)) == NULL)
		return false;
	k->blocks[p->block] = b;
	return true;
}

bool
tree_kids_insert(struct tree *t, struct tree_node *parent, const struct tree_node *child)
{
	struct tree_children *k = parent->kids;
	struct place p = {0};
	struct block *b;

	if (k == NULL && (k = parent->kids = calloc(1, sizeof *k)) == NULL)
		return false;
	if (k->block_count > 0)
		p = kids_find(t, k, tree_node_name(child));
	assert(!p.found);
	if (!kids_room(k, &p))
		return false;
	b = k->blocks[p.block];
	memmove(&b->ids[p.at + 1], &b->ids[p.at], (b->count - p.at) * sizeof b->ids[0]);
	b->ids[p.at] = child->id;
	b->count++;
	k->count++;
	k->last = p.block << PLACE_BITS | p.at;
	return true;
}

void
tree_kids_remove(struct tree *t, struct tree_node *parent, const struct tree_node *child)
{
	struct tree_children *k = parent->kids;
	struct place p = kids_find(t, k, tree_node_name(child));
	struct block *b = k->blocks[p.block], *smaller;

	assert(p.found && b->ids[p.at] == child->id);
	b->count--;
	k->count--;
	k->last = p.block << PLACE_BITS | (p.at > 0 ? p.at - 1 : 0);
	memmove(&b->ids[p.at], &b->ids[p.at + 1], (b->count - p.at) * sizeof b->ids[0]);
	if (b->count == 0) {
		free(b);
		k->block_count--;
		memmove(&k->blocks[p.block], &k->blocks[p.block + 1],
		    (k->block_count - p.block) * sizeof *k->blocks);
	} else if (b->cap > KIDS_BLOCK_MIN && b->count <= b->cap / 4 &&
		   (smaller = block_resize(b, b->cap / 2)) != NULL)
		k->blocks[p.block] = smaller;
	if (k->count == 0)
		tree_kids_free(parent);
}

void
tree_kids_free(struct tree_node *n)
{
	if (n->kids == NULL)
		return;
	for (uint32_t i = 0; i < n->kids->block_count; i++)
		free(n->kids->blocks[i]);
	free(n->kids->blocks);
	free(n->kids);
	n->kids = NULL;
}

struct tree_node *
tree_kids_first(const struct tree *t, const struct tree_node *parent)
{
	if (tree_child_count(parent) == 0)
		return NULL;
	return tree_by_id(t, parent->kids->blocks[0]->ids[0]);
}

struct tree_node *
tree_kids_find(const struct tree *t, const struct tree_node *parent, struct jute_bytes name)
{
	const struct tree_children *k = parent->kids;
	struct place p;

	if (tree_child_count(parent) == 0)
		return NULL;
	p = kids_find(t, k, name);
	return p.found ? tree_by_id(t, k->blocks[p.block]->ids[p.at]) : NULL;
}

struct tree_node *
tree_kids_after(const struct tree *t, const struct tree_node *parent, struct jute_bytes name)
{
	const struct tree_children *k = parent->kids;
	struct place p;

	if (tree_child_count(parent) == 0)
		return NULL;
	p = kids_find(t, k, name);
	if (p.found)
		p.at++;
	if (p.at == k->blocks[p.block]->count) {
		p.at = 0;
		if (++p.block == k->block_count)
			return NULL;
	}
	return tree_by_id(t, k->blocks[p.block]->ids[p.at]);
}

uint32_t
tree_child_count(const struct tree_node *n)
{
	return n->kids != NULL ? n->kids->count : 0;
}

void
tree_children(const struct tree *t, const struct tree_node *n,
    void (*each)(void *arg, const struct tree_node *child), void *arg)
{
	if (n->kids == NULL)
		return;
	for (uint32_t i = 0; i < n->kids->block_count; i++) {
		const struct block *b = n->kids->blocks[i];

		for (uint32_t j = 0; j < b->count; j++)
			each(arg, tree_by_id(t, b->ids[j]));
	}
}

void
tree_kids_check(const struct tree *t, const struct tree_node *n)
{
	const struct tree_node *last = NULL;
	uint32_t count = 0;

	for (uint32_t i = 0; n->kids != NULL && i < n->kids->block_count; i++) {
		const struct block *b = n->kids->blocks[i];

		assert(b->count > 0 && b->count <= b->cap);
		for (uint32_t j = 0; j < b->count; j++, count++) {
			const struct tree_node *kid = tree_by_id(t, b->ids[j]);

			assert(kid != NULL && kid->parent == n->id);
			assert(last == NULL ||
			       name_compare(tree_node_name(last), tree_node_name(kid)) < 0);
			last = kid;
		}
	}
	assert(count == tree_child_count(n));
}

struct tree_node *
tree_next_below(const struct tree *t, const struct tree_node *top, const struct tree_node *at)
{
	struct tree_node *next = tree_kids_first(t, at);

	while (next == NULL && at != top) {
		const struct tree_node *parent = tree_by_id(t, at->parent);

		next = tree_kids_after(t, parent, tree_node_name(at));
		at = parent;
	}
	return next;
}

/* The nodes that have children and are still to be visited, the last one first. */
struct counting {
	uint64_t count;
	struct buf inner; /* const struct tree_node * */
};

static void
count_child(void *arg, const struct tree_node *child)
{
	struct counting *c = arg;

	c->count++;
	if (child->kids != NULL)
		buf_append(&c->inner, &child, sizeof child);
}

bool
tree_count_below(const struct tree *t, const struct tree_node *n, uint64_t *count)
{
	struct counting c = {0};
	bool ok;

	*count = t->node_count - 1;
	if (n->parent == 0)
		return true;
	buf_init(&c.inner, SIZE_MAX / 2); /* no larger than the tree */
	tree_children(t, n, count_child, &c);
	while (!c.inner.failed && c.inner.len > 0) {
		size_t last = c.inner.len - sizeof n;

		memcpy(&n, c.inner.data + last, sizeof n);
		buf_truncate(&c.inner, last);
		tree_children(t, n, count_child, &c);
	}
	ok = !c.inner.failed;
	*count = c.count;
	buf_fini(&c.inner);
	return ok;
}
