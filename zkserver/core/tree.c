/* SPDX-License-Identifier: Apache-2.0 */
/* What committed changes do to the tree. */
#include "zkserver/core/tree.h"

#include <assert.h>

#include "zkserver/core/quota.h"
#include "zkserver/core/tree_priv.h"

/* Raise the parent's cversion and pzxid, never lower them. */
static void
raise_parent(struct tree *t, struct tree_node *parent, int32_t cversion, int64_t zxid)
{
	if (cversion <= parent->cversion)
		return;
	t->digest -= tree_digest_share(t, parent);
	parent->cversion = cversion;
	parent->pzxid = zxid;
	t->digest += tree_digest_share(t, parent);
}

static void
set_acl(struct tree *t, struct tree_node *n, uint32_t acl)
{
	acl_unref(&t->acls, n->acl);
	n->acl = acl;
}

/* Java's servers compare as they are, too: a cversion that wraps is not raised any more. */
static int32_t
next_cversion(int32_t cversion)
{
	return (int32_t)((uint32_t)cversion + 1);
}

enum tree_result
tree_create(struct tree *t, const struct tree_create *c)
{
	struct tree_stat stat = {
	    .czxid = c->zxid,
	    .mzxid = c->zxid,
	    .pzxid = c->zxid,
	    .ctime = c->time_ms,
	    .mtime = c->time_ms,
	    .ephemeral_owner = c->owner,
	};
	struct tree_node *parent, *n;
	struct jute_bytes above, name;
	int32_t cversion;
	int64_t bytes;

	if (!tree_path_split(c->path, &above, &name) || (uint32_t)name.len > TREE_NAME_BYTES_MAX ||
	    (parent = tree_find(t, above)) == NULL) {
		acl_unref(&t->acls, c->acl);
		return TREE_NO_NODE;
	}
	cversion = c->parent_cversion == -1 ? next_cversion(parent->cversion) : c->parent_cversion;
	if ((n = tree_find(t, c->path)) != NULL) {
		set_acl(t, n, c->acl);
		if (c->raise_existing)
			raise_parent(t, parent, cversion, c->zxid);
		return TREE_NODE_EXISTS;
	}
	n = tree_node_insert(t, parent, c->path, name, c->data, c->crc, c->acl, &stat);
	if (n == NULL) {
		acl_unref(&t->acls, c->acl);
		return TREE_NO_MEMORY;
	}
	raise_parent(t, parent, cversion, c->zxid);
	bytes = n->data_len; /* n may move when its quota is counted */
	if (!quota_created(t, n) || !quota_add(t, c->path, bytes, 1))
		return TREE_NO_MEMORY;
	return TREE_OK;
}

/* Take a childless node out, and off its quota. */
static bool
remove_counted(struct tree *t, struct tree_node *n, struct jute_bytes path)
{
	int64_t bytes = n->data_len;

	tree_node_remove(t, n, path);
	return quota_add(t, path, -bytes, -1);
}

/*
 * Remove whatever is below n, deepest first. Only a replay over a fuzzy snapshot finds something
 * here: nodes that a later txn of the log creates again.
 */
static bool
remove_below(struct tree *t, struct tree_node *n, struct jute_bytes path)
{
	struct buf below;
	struct tree_node *kid;
	bool ok = true;

	if (tree_child_count(n) == 0)
		return true;
	buf_init(&below, TREE_PATH_BYTES_MAX);
	while (ok && (kid = tree_kids_first(t, n)) != NULL) {
		while (tree_child_count(kid) > 0)
			kid = tree_kids_first(t, kid);
		buf_clear(&below);
		tree_node_path(t, kid, &below);
		ok = !below.failed &&
		     remove_counted(t, kid, (struct jute_bytes){below.data, (int32_t)below.len});
	}
	assert(!ok || path.len > 0);
	buf_fini(&below);
	return ok;
}

enum tree_result
tree_delete(struct tree *t, struct jute_bytes path, int64_t zxid)
{
	struct tree_node *parent, *n;
	struct jute_bytes above, name;

	if (!tree_path_split(path, &above, &name) || (parent = tree_find(t, above)) == NULL)
		return TREE_NO_NODE;
	if (zxid > parent->pzxid) {
		t->digest -= tree_digest_share(t, parent);
		parent->pzxid = zxid;
		t->digest += tree_digest_share(t, parent);
	}
	if ((n = tree_find(t, path)) == NULL)
		return TREE_NO_NODE;
	if (!remove_below(t, n, path) || !remove_counted(t, n, path))
		return TREE_NO_MEMORY;
	return TREE_OK;
}

enum tree_result
tree_set_data(struct tree *t, struct jute_bytes path, struct jute_bytes data, uint32_t crc,
    int32_t version, int64_t zxid, int64_t time_ms)
{
	struct tree_node *n = tree_find(t, path);
	uint64_t share;
	int64_t more;

	if (n == NULL)
		return TREE_NO_NODE;
	share = tree_digest_share(t, n);
	more = -(int64_t)n->data_len;
	if ((n = tree_node_replace_data(t, n, data, crc)) == NULL)
		return TREE_NO_MEMORY;
	more += n->data_len;
	n->version = version;
	n->mzxid = zxid;
	n->mtime = time_ms;
	t->digest += tree_digest_share(t, n) - share;
	return quota_add(t, path, more, 0) ? TREE_OK : TREE_NO_MEMORY;
}

enum tree_result
tree_set_acl(struct tree *t, struct jute_bytes path, uint32_t acl, int32_t version)
{
	struct tree_node *n = tree_find(t, path);
	uint64_t share;

	if (n == NULL) {
		acl_unref(&t->acls, acl);
		return TREE_NO_NODE;
	}
	share = tree_digest_share(t, n);
	set_acl(t, n, acl);
	n->aversion = version;
	t->digest += tree_digest_share(t, n) - share;
	return TREE_OK;
}
