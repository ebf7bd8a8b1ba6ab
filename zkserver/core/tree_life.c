/* SPDX-License-Identifier: Apache-2.0 */
/* A tree's beginning and end, and what must hold between. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "zkserver/core/tree_priv.h"

bool
tree_init_bare(struct tree *t, const struct hash_key *key)
{
	static const struct jute_bytes empty = {(const uint8_t *)"", 0};
	static const struct tree_stat none;
	struct tree_node *root;

	*t = (struct tree){.hash_key = *key, .id_end = TREE_ROOT_ID};
	acl_table_init(&t->acls, key);
	hmap_init(&t->owned);
	hmap_init(&t->owners);
	list_init(&t->reapable);
	if ((t->index = tree_index_new()) == NULL || (root = tree_node_new(empty, empty)) == NULL)
		goto fail;
	if ((root->id = tree_id_take(t)) != TREE_ROOT_ID) {
		free(root);
		goto fail;
	}
	tree_id_set(t, TREE_ROOT_ID, root);
	t->node_count = 1;
	tree_node_set_digest(t, root, tree_digest_of(tree_crc(empty, empty), &none));
	return true;
fail:
	tree_fini(t);
	return false;
}

static bool
load_builtin(struct tree *t, const char *path, uint32_t acl, int32_t aversion)
{
	const struct tree_stat stat = {.aversion = aversion};
	struct jute_bytes p = {(const uint8_t *)path, (int32_t)strlen(path)};

	return tree_load(t, p, (struct jute_bytes){(const uint8_t *)"", 0}, acl, &stat) == TREE_OK;
}

/* world:anyone may read: the ACL of /zookeeper/config, whose aversion is -1 at Apache's servers. */
static bool
load_config(struct tree *t)
{
	static const uint8_t readable[] = "\0\0\0\1"
					  "\0\0\0\1"
					  "\0\0\0\5world"
					  "\0\0\0\6anyone";
	uint32_t acl = acl_intern(&t->acls, (struct jute_bytes){readable, sizeof readable - 1});
	bool ok;

	if (acl == ACL_KEY_NONE)
		return false;
	ok = load_builtin(t, "/zookeeper/config", acl, -1);
	acl_unref(&t->acls, acl);
	return ok;
}

bool
tree_add_config(struct tree *t)
{
	static const char path[] = "/zookeeper/config", above[] = "/zookeeper";

	if (tree_find(t, (struct jute_bytes){(const uint8_t *)path, sizeof path - 1}) != NULL)
		return true;
	if (tree_find(t, (struct jute_bytes){(const uint8_t *)above, sizeof above - 1}) == NULL &&
	    !load_builtin(t, above, ACL_KEY_OPEN, 0))
		return false;
	return load_config(t);
}

bool
tree_init(struct tree *t, const struct hash_key *key)
{
	if (!tree_init_bare(t, key))
		return false;
	if (load_builtin(t, "/zookeeper", ACL_KEY_OPEN, 0) &&
	    load_builtin(t, "/zookeeper/quota", ACL_KEY_OPEN, 0) && tree_add_config(t))
		return true;
	tree_fini(t);
	return false;
}

void
tree_fini(struct tree *t)
{
	for (uint32_t id = TREE_ROOT_ID; id < t->id_end; id++) {
		struct tree_node *n = tree_by_id(t, id);

		if (tree_id_is_free(n))
			continue;
		tree_kids_free(n);
		free(n);
	}
	for (size_t i = 0; i < t->segment_count; i++)
		free(t->segments[i]);
	free(t->segments);
	free(t->load_hashes);
	tree_index_free(t->index);
	tree_owners_fini(t);
	acl_table_fini(&t->acls);
	*t = (struct tree){.id_end = TREE_ROOT_ID};
}

static void
node_check(const struct tree *t, struct tree_node *n, struct buf *path)
{
	struct tree_stat stat = tree_node_stat(t, n);
	struct jute_bytes p;

	buf_clear(path);
	tree_node_path(t, n, path);
	assert(!path->failed);
	p = (struct jute_bytes){path->data, (int32_t)path->len};
	assert(tree_find(t, p) == n);
	assert(n->digest ==
	       (n->undigested ? 0 : tree_digest_of(tree_crc(p, tree_node_data(n)), &stat)));
	assert(acl_has(&t->acls, n->acl));
	assert(n->id == TREE_ROOT_ID || !tree_id_is_free(tree_by_id(t, n->parent)));
	tree_kids_check(t, n);
}

void
tree_check(const struct tree *t)
{
	uint64_t nodes = 0, digest = 0, bytes = 0, kids = 0;
	struct buf path;

	buf_init(&path, TREE_PATH_BYTES_MAX);
	for (uint32_t id = TREE_ROOT_ID; id < t->id_end; id++) {
		struct tree_node *n = tree_by_id(t, id);

		if (tree_id_is_free(n))
			continue;
		node_check(t, n, &path);
		nodes++;
		kids += tree_child_count(n);
		digest += n->digest;
		bytes += path.len + n->data_len;
	}
	assert(nodes == t->node_count && kids == nodes - 1);
	assert(digest == t->digest && bytes == t->data_bytes);
	assert(tree_index_count(t->index) == nodes - 1);
	buf_fini(&path);
}
