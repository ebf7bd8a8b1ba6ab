/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/change.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define UNDO_BYTES_MAX ((size_t)256 << 20) /* far above what the ops of one frame need */

struct change {
	struct hmap_node link;
	struct change_node node;
	int64_t zxid;
	uint64_t tried; /* number of the try that has saved it */
	int32_t len;
	uint8_t path[];
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
}

static void
change_free(struct changes *c, struct change *change)
{
	hmap_remove(&c->by_path, &change->link);
	acl_unref(&c->tree->acls, change->node.acl);
	free(change);
}

void
changes_fini(struct changes *c)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &c->by_path)
		change_free(c, HMAP_ENTRY(it, struct change, link));
	hmap_fini(&c->by_path);
	buf_fini(&c->undo);
}

static uint64_t
path_hash(const struct changes *c, struct jute_bytes path)
{
	return hash_bytes(&c->tree->hash_key, path.data, (size_t)path.len);
}

static struct change *
change_find(const struct changes *c, struct jute_bytes path, uint64_t hash)
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

static struct change_node
node_in_tree(const struct changes *c, struct jute_bytes path)
{
	const struct tree_node *n = tree_find(c->tree, path);
	struct change_node node = {0};

	if (n == NULL)
		return node;
	node.exists = true;
	node.crc = n->crc;
	node.kids = tree_child_count(n);
	node.acl = n->acl;
	node.data_len = n->data_len;
	node.stat = tree_node_stat(c->tree, n);
	return node;
}

struct change_node
changes_look(const struct changes *c, struct jute_bytes path)
{
	const struct change *change = NULL;

	if (path.len <= 0)
		return (struct change_node){0};
	if (c->by_path.count > 0)
		change = change_find(c, path, path_hash(c, path));
	return change != NULL ? change->node : node_in_tree(c, path);
}

static uint64_t
digest_share(struct jute_bytes path, const struct change_node *n)
{
	static const char below[] = "/zookeeper/";
	size_t len = sizeof below - 1;

	if (!n->exists || ((size_t)path.len >= len && memcmp(path.data, below, len) == 0))
		return 0;
	return tree_digest_of(n->crc, &n->stat);
}

static struct change *
change_new(struct changes *c, struct jute_bytes path, uint64_t hash)
{
	struct change *change = malloc(sizeof *change + (size_t)path.len);

	if (change == NULL)
		return NULL;
	*change = (struct change){.node = {.acl = ACL_KEY_OPEN}, .len = path.len};
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
	struct undo u = {change, change->node, change->zxid, fresh};

	if (!c->trying || change->tried == c->tries)
		return true;
	buf_append(&c->undo, &u, sizeof u);
	if (c->undo.failed)
		return false;
	acl_ref(&c->tree->acls, u.node.acl);
	change->tried = c->tries;
	return true;
}

bool
changes_put(struct changes *c, struct jute_bytes path, const struct change_node *node, int64_t zxid)
{
	uint64_t hash = path_hash(c, path);
	struct change *change = change_find(c, path, hash);
	struct change_node before = change != NULL ? change->node : node_in_tree(c, path);
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
	c->digest += digest_share(path, node) - digest_share(path, &before);
	return true;
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
	buf_fini(&c->undo);
	c->trying = false;
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
	buf_fini(&c->undo);
	c->digest = c->try_digest;
	c->trying = false;
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
