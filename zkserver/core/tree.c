/* SPDX-License-Identifier: Apache-2.0 */
/* What committed changes do to the tree. */
#include "zkserver/core/tree.h"

#include "libcommon/base/plants.h"
#include "zkserver/core/quota.h"
#include "zkserver/core/tree_priv.h"

struct tree_place
tree_place(const struct tree *t, struct jute_bytes path)
{
	struct tree_place at = {path, tree_hash(t, path), 0};
	struct jute_bytes above, name;

	if (tree_path_split(path, &above, &name))
		at.above_hash = tree_hash(t, above);
	return at;
}

/* The only changes of a stat where path and data stay. */
static void
restat(struct tree *t, struct tree_node *n, int32_t cversion, int32_t aversion, int64_t pzxid)
{
	const struct tree_stat bits = {
	    .cversion = n->cversion ^ cversion,
	    .aversion = n->aversion ^ aversion,
	    .pzxid = n->pzxid ^ pzxid,
	};

	n->cversion = cversion;
	n->aversion = aversion;
	n->pzxid = pzxid;
	tree_node_set_digest(t, n, tree_digest_flip(n->digest, &bits));
}

/* Raise the parent's cversion and pzxid, never lower them. */
static void
raise_parent(struct tree *t, struct tree_node *parent, int32_t cversion, int64_t zxid)
{
	if (cversion > parent->cversion)
		restat(t, parent, cversion, parent->aversion, zxid);
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

/* What a create's path names: its parent and its last name; false if there is no such parent. */
static bool
find_parent(const struct tree *t, const struct tree_place *at, struct tree_node **parent,
    struct jute_bytes *name)
{
	struct jute_bytes above;

	return tree_path_split(at->path, &above, name) &&
	       (*parent = tree_find_hashed(t, above, at->above_hash)) != NULL;
}

enum tree_result
tree_create(struct tree *t, struct tree_create *c)
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
	uint32_t id, parent_id;
	struct jute_bytes name;
	int32_t cversion;
	int64_t bytes;

	if (!find_parent(t, &c->at, &parent, &name) || (uint32_t)name.len > TREE_NAME_BYTES_MAX) {
		acl_unref(&t->acls, c->acl);
		return TREE_NO_NODE;
	}
	cversion = c->parent_cversion == -1 ? next_cversion(parent->cversion) : c->parent_cversion;
	if ((n = tree_find_hashed(t, c->at.path, c->at.hash)) != NULL) {
		if (ZAB_PLANTED(PLANT_ACL_STAYS))
			acl_unref(&t->acls, c->acl);
		else
			set_acl(t, n, c->acl);
		if (!ZAB_PLANTED(PLANT_PARENT_STAYS))
			raise_parent(t, parent, cversion, c->zxid);
		return TREE_NODE_EXISTS;
	}
	n = tree_node_insert(t, parent, &c->at, name, c->data, c->crc, c->acl, &stat);
	if (n == NULL) {
		acl_unref(&t->acls, c->acl);
		return TREE_NO_MEMORY;
	}
	raise_parent(t, parent, cversion, c->zxid);
	bytes = n->data_len;
	id = n->id; /* nodes may move when a quota is counted */
	parent_id = parent->id;
	if (!quota_created(t, n) || !quota_add(t, c->at.path, bytes, 1))
		return TREE_NO_MEMORY;
	c->node = tree_by_id(t, id);
	c->parent = tree_by_id(t, parent_id);
	return TREE_OK;
}

/* Take a childless node out, and off its quota. */
static bool
remove_counted(struct tree *t, struct tree_node *n, const struct tree_place *at)
{
	int64_t bytes = n->data_len;

	tree_node_remove(t, n, at);
	return quota_add(t, at->path, -bytes, -1);
}

/*
 * Remove whatever is below n, deepest first. Only a replay over a fuzzy snapshot finds something
 * here: nodes that a later txn of the log creates again.
 */
static bool
remove_below(struct tree *t, struct tree_node *n)
{
	struct buf below;
	struct tree_node *kid;
	bool ok = true;

	if (tree_child_count(n) == 0)
		return true;
	buf_init(&below, TREE_PATH_BYTES_MAX);
	while (ok && (kid = tree_kids_first(t, n)) != NULL) {
		struct tree_place at;

		while (tree_child_count(kid) > 0)
			kid = tree_kids_first(t, kid);
		buf_clear(&below);
		tree_node_path(t, kid, &below);
		at = tree_place(t, (struct jute_bytes){below.data, (int32_t)below.len});
		ok = !below.failed && remove_counted(t, kid, &at);
	}
	buf_fini(&below);
	return ok;
}

enum tree_result
tree_delete(struct tree *t, struct tree_delete *d)
{
	struct tree_node *parent, *n;
	struct jute_bytes name;
	uint32_t id, parent_id;

	if (!find_parent(t, &d->at, &parent, &name))
		return TREE_NO_NODE;
	if (d->zxid > parent->pzxid)
		restat(t, parent, parent->cversion, parent->aversion, d->zxid);
	if ((n = tree_find_hashed(t, d->at.path, d->at.hash)) == NULL)
		return TREE_NO_NODE;
	id = n->id; /* nodes may move when a quota is counted */
	parent_id = parent->id;
	if (!remove_below(t, n))
		return TREE_NO_MEMORY;
	n = tree_by_id(t, id);
	d->acl = n->acl;
	acl_ref(&t->acls, d->acl);
	if (!remove_counted(t, n, &d->at)) {
		acl_unref(&t->acls, d->acl);
		return TREE_NO_MEMORY;
	}
	d->parent = tree_by_id(t, parent_id);
	return TREE_OK;
}

enum tree_result
tree_set_data(struct tree *t, struct tree_set *s)
{
	struct tree_node *n = tree_find_hashed(t, s->at.path, s->at.hash);
	struct tree_stat stat;
	uint32_t id, digest;
	int64_t more;

	if (n == NULL)
		return TREE_NO_NODE;
	/* What is read is read before the data is written, and so does not wait for that. */
	stat = tree_node_stat(t, n);
	stat.version = s->version;
	stat.mzxid = s->zxid;
	stat.mtime = s->time_ms;
	digest = tree_digest_of(s->crc, &stat);
	more = -(int64_t)n->data_len;
	if ((n = tree_node_replace_data(t, n, s->data)) == NULL)
		return TREE_NO_MEMORY;
	more += n->data_len;
	n->version = s->version;
	n->mzxid = s->zxid;
	n->mtime = s->time_ms;
	tree_node_set_digest(t, n, digest);
	id = n->id; /* it may move when its quota is counted */
	if (!quota_add(t, s->at.path, more, 0))
		return TREE_NO_MEMORY;
	s->node = tree_by_id(t, id);
	return TREE_OK;
}

enum tree_result
tree_set_acl(struct tree *t, struct tree_set *s)
{
	struct tree_node *n = tree_find_hashed(t, s->at.path, s->at.hash);

	if (n == NULL) {
		acl_unref(&t->acls, s->acl);
		return TREE_NO_NODE;
	}
	set_acl(t, n, s->acl);
	restat(t, n, n->cversion, s->version, n->pzxid);
	s->node = n;
	return TREE_OK;
}
