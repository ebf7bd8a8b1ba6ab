/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/change.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define UNDO_BYTES_MAX ((size_t)256 << 20) /* far above what the ops of one frame need */
#define UNDO_KEEP_BYTES ((size_t)4 << 10)
#define SPARE_PATH_BYTES 96 /* longer paths have their entries made and freed */
#define SPARES_MAX 512

struct change {
	struct hmap_node link;
	struct change_node node;
	int64_t zxid;
	uint64_t tried; /* number of the try that has saved it */
	int32_t len;
	uint8_t path[]; /* room for SPARE_PATH_BYTES at least */
};

/* What a change was before a try; fresh: it was not there. */
struct undo {
	struct change *change;
	struct change_node node;
	int64_t zxid;
	bool fresh;
};

void
changes_init(struct changes *c, struct tree *tree)
{
	*c = (struct changes){.tree = tree, .digest = tree->digest};
	hmap_init(&c->by_path);
	buf_init(&c->undo, UNDO_BYTES_MAX);
	list_init(&c->spare);
}

static void
change_free(struct changes *c, struct change *change)
{
	hmap_remove(&c->by_path, &change->link);
	acl_unref(&c->tree->acls, change->node.acl);
	if (change->len > SPARE_PATH_BYTES || c->spare_count >= SPARES_MAX) {
		free(change);
		return;
	}
	list_insert_before(c->spare.next, &change->link.order);
	c->spare_count++;
}

/* An entry with room for the path: one that was used, most often. */
static struct change *
change_alloc(struct changes *c, int32_t path_len)
{
	struct list *spare = path_len <= SPARE_PATH_BYTES ? list_first(&c->spare) : NULL;
	int32_t room = path_len > SPARE_PATH_BYTES ? path_len : SPARE_PATH_BYTES;

	if (spare == NULL)
		return malloc(sizeof(struct change) + (size_t)room);
	list_remove(spare);
	c->spare_count--;
	return HMAP_ENTRY(spare, struct change, link);
}

void
changes_fini(struct changes *c)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &c->by_path)
		change_free(c, HMAP_ENTRY(it, struct change, link));
	LIST_EACH(it, nx, &c->spare)
		free(HMAP_ENTRY(it, struct change, link));
	hmap_fini(&c->by_path);
	buf_fini(&c->undo);
}

static struct change *
change_find(const struct changes *c, struct jute_bytes path, uint32_t hash)
{
	struct hmap_node *h;

	for (h = hmap_first(&c->by_path, hash); h != NULL; h = hmap_next(h)) {
		struct change *change = CONTAINER_OF(h, struct change, link);

		if (change->len == path.len &&
		    memcmp(change->path, path.data, (size_t)path.len) == 0)
			return change;
	}
	return NULL;
}

bool
changes_look(
    const struct changes *c, struct jute_bytes path, uint32_t hash, struct change_node *node)
{
	const struct change *change = NULL;
	const struct tree_node *n;

	if (path.len > 0 && c->by_path.count > 0)
		change = change_find(c, path, hash);
	if (change != NULL) {
		*node = change->node;
		node->was = node->digest;
		return node->exists;
	}
	if (path.len <= 0 || (n = tree_find_hashed(c->tree, path, hash)) == NULL) {
		*node = (struct change_node){0};
		return false;
	}
	node->exists = true;
	node->undigested = n->undigested;
	node->digest = node->was = n->digest;
	node->kids = tree_child_count(n);
	node->acl = n->acl;
	node->data_len = n->data_len;
	node->stat = tree_node_stat(c->tree, n);
	return true;
}

static struct change *
change_new(struct changes *c, struct jute_bytes path, uint32_t hash)
{
	struct change *change = change_alloc(c, path.len);

	if (change == NULL)
		return NULL;
	change->node.acl = ACL_KEY_OPEN;
	change->node.exists = false;
	change->tried = 0;
	change->len = path.len;
	memcpy(change->path, path.data, (size_t)path.len);
	if (!hmap_insert(&c->by_path, &change->link, hash)) {
		free(change);
		return NULL;
	}
	return change;
}

/* Within a try, keep what the change was at its beginning. The undo entry holds a reference on the
 * ACL. */
static bool
save(struct changes *c, struct change *change, bool fresh)
{
	struct undo u;

	if (!c->trying || change->tried == c->tries)
		return true;
	u = (struct undo){change, change->node, change->zxid, fresh};
	buf_append(&c->undo, &u, sizeof u);
	if (c->undo.failed)
		return false;
	acl_ref(&c->tree->acls, u.node.acl);
	change->tried = c->tries;
	return true;
}

bool
changes_put(struct changes *c, struct jute_bytes path, uint32_t hash,
    const struct change_node *node, int64_t zxid)
{
	struct change *change = change_find(c, path, hash);
	bool fresh = change == NULL;

	if (fresh && (change = change_new(c, path, hash)) == NULL)
		return false;
	if (!save(c, change, fresh)) {
		if (fresh)
			change_free(c, change);
		return false;
	}
	acl_ref(&c->tree->acls, node->acl);
	acl_unref(&c->tree->acls, change->node.acl);
	change->node = *node;
	change->zxid = zxid;
	list_remove(&change->link.order);
	list_append(&c->by_path.order, &change->link.order);
	c->digest += (uint64_t)node->digest - node->was;
	return true;
}

/* The undo entries are of no more use. */
static void
end_try(struct changes *c)
{
	if (c->undo.cap > UNDO_KEEP_BYTES)
		buf_fini(&c->undo);
	c->trying = false;
}

void
changes_try(struct changes *c)
{
	assert(!c->trying);
	c->trying = true;
	c->tries++;
	c->try_digest = c->digest;
	buf_clear(&c->undo);
}

void
changes_keep(struct changes *c)
{
	struct undo u;

	assert(c->trying);
	for (size_t at = 0; at < c->undo.len; at += sizeof u) {
		memcpy(&u, c->undo.data + at, sizeof u);
		acl_unref(&c->tree->acls, u.node.acl);
	}
	end_try(c);
}

void
changes_undo(struct changes *c)
{
	struct undo u;

	assert(c->trying);
	for (size_t at = 0; at < c->undo.len; at += sizeof u) {
		memcpy(&u, c->undo.data + at, sizeof u);
		if (u.fresh) {
			acl_unref(&c->tree->acls, u.node.acl);
			change_free(c, u.change);
			continue;
		}
		acl_unref(&c->tree->acls, u.change->node.acl);
		u.change->node = u.node;
		u.change->zxid = u.zxid;
	}
	c->digest = c->try_digest;
	end_try(c);
}

void
changes_applied(struct changes *c, int64_t zxid)
{
	struct list *first;

	/* One that was rolled back stands behind younger ones; until it goes it says what the tree
	 * says. */
	while ((first = list_first(&c->by_path.order)) != NULL) {
		struct change *change = HMAP_ENTRY(first, struct change, link);

		if (change->zxid > zxid)
			break;
		change_free(c, change);
	}
}

void
changes_owned(const struct changes *c, int64_t session,
    void (*each)(void *arg, struct jute_bytes path), void *arg)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &c->by_path) {
		const struct change *change = HMAP_ENTRY(it, struct change, link);
		struct jute_bytes path = {change->path, change->len};
		const struct tree_node *n;

		if (!change->node.exists || change->node.stat.ephemeral_owner != session)
			continue;
		if ((n = tree_find(c->tree, path)) == NULL ||
		    tree_node_owner(c->tree, n) != session)
			each(arg, path);
	}
}
