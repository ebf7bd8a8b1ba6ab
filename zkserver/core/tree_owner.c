/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns which node: kept beside the nodes, since few have an owner. */
#include <assert.h>
#include <stdlib.h>

#include "zkserver/core/tree_priv.h"

#define EXTENDED_MASK (UINT64_C(0xFF) << 56)
#define FEATURE_MASK (UINT64_C(0xFFFF) << 40) /* 0: a TTL; there are no others */

enum tree_owner_kind
tree_owner_kind(const struct tree *t, int64_t owner)
{
	uint64_t bits = (uint64_t)owner;

	if (owner == 0)
		return TREE_OWNER_NONE;
	if (owner == TREE_CONTAINER_OWNER)
		return TREE_OWNER_CONTAINER;
	if (t->rules.extended_types && t->rules.emulate_353 && owner < 0)
		return TREE_OWNER_TTL;
	if (t->rules.extended_types && (bits & EXTENDED_MASK) == EXTENDED_MASK)
		return (bits & FEATURE_MASK) == 0 ? TREE_OWNER_TTL : TREE_OWNER_NONE;
	return TREE_OWNER_SESSION;
}

int64_t
tree_ttl_owner(int64_t ttl_ms)
{
	return (int64_t)(EXTENDED_MASK | ((uint64_t)ttl_ms & (uint64_t)TREE_TTL_MAX_MS));
}

bool
tree_is_ttl_owner(int64_t owner)
{
	return tree_ttl_owner(tree_ttl_ms(owner)) == owner;
}

int64_t
tree_ttl_ms(int64_t owner)
{
	return owner & TREE_TTL_MAX_MS;
}

struct tree_owner *
tree_owner_find(const struct tree *t, int64_t session)
{
	struct hmap_node *h;

	for (h = hmap_first(&t->owners, hash_u64((uint64_t)session)); h != NULL; h = hmap_next(h)) {
		struct tree_owner *o = CONTAINER_OF(h, struct tree_owner, link);

		if (o->session == session)
			return o;
	}
	return NULL;
}

static struct tree_owned *
owned_find(const struct tree *t, uint32_t id)
{
	struct hmap_node *h;

	for (h = hmap_first(&t->owned, hash_u64(id)); h != NULL; h = hmap_next(h)) {
		struct tree_owned *o = CONTAINER_OF(h, struct tree_owned, link);

		if (o->id == id)
			return o;
	}
	return NULL;
}

int64_t
tree_node_owner(const struct tree *t, const struct tree_node *n)
{
	return n->owned ? owned_find(t, n->id)->owner : 0;
}

static struct tree_owner *
owner_get(struct tree *t, int64_t session)
{
	struct tree_owner *o = tree_owner_find(t, session);

	if (o != NULL || (o = calloc(1, sizeof *o)) == NULL)
		return o;
	o->session = session;
	list_init(&o->nodes);
	if (!hmap_insert(&t->owners, &o->link, hash_u64((uint64_t)session))) {
		free(o);
		return NULL;
	}
	return o;
}

static void
owner_put(struct tree *t, struct tree_owner *o)
{
	if (o->count > 0)
		return;
	hmap_remove(&t->owners, &o->link);
	free(o);
}

static bool
is_reapable(enum tree_owner_kind kind)
{
	return kind == TREE_OWNER_CONTAINER || kind == TREE_OWNER_TTL;
}

struct tree_node *
tree_next_reapable(struct tree *t)
{
	struct list *first = list_first(&t->reapable);

	if (first == NULL)
		return NULL;
	list_remove(first);
	list_append(&t->reapable, first);
	return tree_by_id(t, CONTAINER_OF(first, struct tree_owned, of_owner)->id);
}

bool
tree_owner_add(struct tree *t, struct tree_node *n, int64_t owner)
{
	enum tree_owner_kind kind = tree_owner_kind(t, owner);
	struct tree_owned *o;
	struct tree_owner *of = NULL;

	if (owner == 0)
		return true;
	if ((o = calloc(1, sizeof *o)) == NULL)
		return false;
	o->owner = owner;
	o->id = n->id;
	list_init(&o->of_owner);
	if (!hmap_insert(&t->owned, &o->link, hash_u64(n->id))) {
		free(o);
		return false;
	}
	if (is_reapable(kind)) {
		list_append(&t->reapable, &o->of_owner);
		t->reapable_count++;
	} else if (kind == TREE_OWNER_SESSION) {
		if ((of = owner_get(t, owner)) == NULL) {
			hmap_remove(&t->owned, &o->link);
			free(o);
			return false;
		}
		list_append(&of->nodes, &o->of_owner);
		of->count++;
		t->ephemeral_count++;
	}
	n->owned = 1;
	return true;
}

void
tree_owner_drop(struct tree *t, struct tree_node *n)
{
	enum tree_owner_kind kind;
	struct tree_owned *o;

	if (!n->owned)
		return;
	o = owned_find(t, n->id);
	kind = tree_owner_kind(t, o->owner);
	if (is_reapable(kind)) {
		list_remove(&o->of_owner);
		t->reapable_count--;
	} else if (kind == TREE_OWNER_SESSION) {
		struct tree_owner *of = tree_owner_find(t, o->owner);

		list_remove(&o->of_owner);
		of->count--;
		t->ephemeral_count--;
		owner_put(t, of);
	}
	hmap_remove(&t->owned, &o->link);
	free(o);
	n->owned = 0;
}

void
tree_owners_fini(struct tree *t)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &t->owned)
		free(HMAP_ENTRY(it, struct tree_owned, link));
	HMAP_EACH(it, nx, &t->owners)
		free(HMAP_ENTRY(it, struct tree_owner, link));
	hmap_fini(&t->owned);
	hmap_fini(&t->owners);
}
