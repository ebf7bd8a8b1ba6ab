/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a snapshot. While it lasts, the table of paths stays empty and only the nodes' hashes are
 * kept: at the end it is made in its final size, which is much faster than to let it grow.
 */
#include <assert.h>
#include <stdlib.h>

#include "zkserver/core/tree_priv.h"

#define LOAD_HASHES_FIRST 4096

static enum tree_result
load_root(struct tree *t, struct jute_bytes data, uint32_t acl, const struct tree_stat *stat)
{
	static const struct jute_bytes path = {(const uint8_t *)"", 0};
	struct tree_node *n = tree_by_id(t, TREE_ROOT_ID);
	struct tree_stat loaded;

	if ((n = tree_node_replace_data(t, n, data)) == NULL)
		return TREE_NO_MEMORY;
	acl_ref(&t->acls, acl);
	acl_unref(&t->acls, n->acl);
	n->acl = acl;
	tree_node_set_stat(n, stat);
	loaded = tree_node_stat(t, n);
	tree_node_set_digest(t, n, tree_digest_of(tree_crc(path, data), &loaded));
	return TREE_OK;
}

/* By the names of the path, for while the table of paths does not know the nodes. */
static struct tree_node *
find_by_names(const struct tree *t, struct jute_bytes path)
{
	struct tree_node *n = tree_by_id(t, TREE_ROOT_ID);
	struct jute_bytes name;
	int32_t at = 0;

	while (n != NULL && tree_path_next_name(path, &at, &name))
		n = tree_kids_find(t, n, name);
	return n != NULL && tree_path_is(t, n, path) ? n : NULL; /* "/a/" is none */
}

static bool
has_path(const struct tree *t, uint32_t id, struct jute_bytes path)
{
	const struct tree_node *n = id != 0 ? tree_by_id(t, id) : NULL;

	return n != NULL && !tree_id_is_free(n) && path.len > 0 && tree_path_is(t, n, path);
}

/* Siblings come one after the other, and children behind their parent. */
static struct tree_node *
load_parent(struct tree *t, struct jute_bytes path)
{
	struct tree_node *n;

	if (has_path(t, t->loaded_below, path))
		n = tree_by_id(t, t->loaded_below);
	else if (has_path(t, t->loaded_last, path))
		n = tree_by_id(t, t->loaded_last);
	else
		n = t->loading ? find_by_names(t, path) : tree_find(t, path);
	t->loaded_below = n != NULL ? n->id : 0;
	return n;
}

enum tree_result
tree_load(struct tree *t, struct jute_bytes path, struct jute_bytes data, uint32_t acl,
    const struct tree_stat *stat)
{
	struct tree_place at = {path, tree_hash(t, path), 0};
	struct tree_node *parent, *n;
	struct jute_bytes above, name;

	if (!acl_has(&t->acls, acl))
		return TREE_BAD;
	if (path.len == 0)
		return load_root(t, data, acl, stat);
	if (!tree_path_split(path, &above, &name) || (uint32_t)name.len > TREE_NAME_BYTES_MAX ||
	    path.data[0] != '/')
		return TREE_BAD;
	if ((parent = load_parent(t, above)) == NULL)
		return TREE_NO_NODE;
	if (tree_kids_find(t, parent, name) != NULL)
		return TREE_NODE_EXISTS;
	n = tree_node_insert(t, parent, &at, name, data, tree_crc(path, data), acl, stat);
	if (n == NULL)
		return TREE_NO_MEMORY;
	t->loaded_last = n->id;
	acl_ref(&t->acls, acl);
	return TREE_OK;
}

void
tree_load_begin(struct tree *t)
{
	assert(t->node_count == 1 && !t->loading);
	t->loading = true;
}

bool
tree_load_note(struct tree *t, uint32_t id, uint32_t hash)
{
	uint32_t *grown;
	size_t cap = t->load_cap > 0 ? t->load_cap * 2 : LOAD_HASHES_FIRST;

	if (id >= t->load_cap) {
		assert(id < cap);
		if ((grown = realloc(t->load_hashes, cap * sizeof *grown)) == NULL)
			return false;
		t->load_hashes = grown;
		t->load_cap = cap;
	}
	t->load_hashes[id] = hash;
	return true;
}

bool
tree_load_end(struct tree *t)
{
	bool ok = tree_index_fill(t->index, t->load_hashes, TREE_ROOT_ID + 1, t->id_end);

	free(t->load_hashes);
	t->load_hashes = NULL;
	t->load_cap = 0;
	t->loading = false;
	return ok;
}
