/* SPDX-License-Identifier: Apache-2.0 */
/* From paths to nodes, from nodes to paths, and from one node to the next. */
#include <string.h>

#include "zkserver/core/tree_priv.h"

#define CACHE_LINE_BYTES 64
#define PREFETCH_BYTES_MAX 2048

static bool
is_root(struct jute_bytes path)
{
	return path.len == 0 || (path.len == 1 && path.data[0] == '/');
}

bool
tree_path_split(struct jute_bytes path, struct jute_bytes *parent, struct jute_bytes *name)
{
	int32_t at = path.len;

	while (at > 0 && path.data[at - 1] != '/')
		at--;
	if (at <= 0 || at == path.len)
		return false;
	/* "//a": what stands before the name is not the root, which is "". */
	if (at == 2 && path.data[0] == '/')
		return false;
	*parent = (struct jute_bytes){path.data, at - 1};
	*name = (struct jute_bytes){path.data + at, path.len - at};
	return true;
}

bool
tree_path_next_name(struct jute_bytes path, int32_t *at, struct jute_bytes *name)
{
	int32_t start;

	while (*at < path.len && path.data[*at] == '/')
		(*at)++;
	for (start = *at; *at < path.len && path.data[*at] != '/'; (*at)++)
		continue;
	*name = (struct jute_bytes){path.data + start, *at - start};
	return name->len > 0;
}

bool
tree_path_is(const struct tree *t, const struct tree_node *n, struct jute_bytes path)
{
	uint32_t left = (uint32_t)path.len;

	for (; n->id != TREE_ROOT_ID; n = tree_by_id(t, n->parent)) {
		uint32_t len = n->name_len;

		if (left < len + 1 || path.data[left - len - 1] != '/' ||
		    memcmp(path.data + left - len, n->name_and_data, len) != 0)
			return false;
		left -= len + 1;
	}
	return left == 0;
}

uint32_t
tree_hash(const struct tree *t, struct jute_bytes path)
{
	return path.len > 1 ? (uint32_t)hash_bytes(&t->hash_key, path.data, (size_t)path.len) : 0;
}

void
tree_prefetch_slot(const struct tree *t, uint32_t hash)
{
	tree_index_prefetch(t->index, hash);
}

void
tree_prefetch_node(const struct tree *t, uint32_t hash)
{
	uint32_t id = tree_index_guess(t->index, hash);
	const char *n;

	if (id == 0)
		return;
	n = (const char *)tree_by_id(t, id);
	__builtin_prefetch(n);
	__builtin_prefetch(n + 64);
	__builtin_prefetch(n + 128);
	__builtin_prefetch(n + 192);
}

void
tree_prefetch_write(const struct tree *t, uint32_t hash, size_t size)
{
	uint32_t id = tree_index_guess(t->index, hash);
	const char *n;

	if (id == 0)
		return;
	n = (const char *)tree_by_id(t, id);
	for (size_t at = 0; at < size && at < PREFETCH_BYTES_MAX; at += CACHE_LINE_BYTES)
		__builtin_prefetch(n + at, 1);
}

struct tree_node *
tree_find_hashed(const struct tree *t, struct jute_bytes path, uint32_t hash)
{
	uint32_t id;

	if (path.len < 0)
		return NULL;
	if (is_root(path))
		return tree_by_id(t, TREE_ROOT_ID);
	id = tree_index_find(t->index, t, path, hash);
	return id != 0 ? tree_by_id(t, id) : NULL;
}

struct tree_node *
tree_find(const struct tree *t, struct jute_bytes path)
{
	return tree_find_hashed(t, path, tree_hash(t, path));
}

void
tree_node_path(const struct tree *t, const struct tree_node *n, struct buf *path)
{
	size_t size = 0, at;
	uint8_t *to;

	for (const struct tree_node *up = n; up->id != TREE_ROOT_ID; up = tree_by_id(t, up->parent))
		size += up->name_len + 1;
	if (size == 0 || (to = buf_reserve(path, size)) == NULL)
		return;
	buf_commit(path, size);
	for (at = size; n->id != TREE_ROOT_ID; n = tree_by_id(t, n->parent)) {
		at -= n->name_len;
		memcpy(to + at, n->name_and_data, n->name_len);
		to[--at] = '/';
	}
}

/* Make *path that of a child. */
static struct tree_node *
step_down(struct buf *path, struct tree_node *n)
{
	buf_append(path, "/", 1);
	buf_append(path, n->name_and_data, n->name_len);
	return path->failed ? NULL : n;
}

struct tree_node *
tree_next(const struct tree *t, struct buf *path)
{
	struct jute_bytes at = {path->data, (int32_t)path->len}, above, name;
	struct tree_node *n = tree_find(t, at);

	if (n != NULL && (n = tree_kids_first(t, n)) != NULL)
		return step_down(path, n);
	while (tree_path_split(at, &above, &name)) {
		if ((n = tree_find(t, above)) != NULL &&
		    (n = tree_kids_after(t, n, name)) != NULL) {
			buf_truncate(path, (size_t)above.len);
			return step_down(path, n);
		}
		at = above;
	}
	return NULL;
}
