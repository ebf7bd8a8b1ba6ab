/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/tree.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "zkserver/core/tree_priv.h"

#define SEGMENT_BITS 12
#define SEGMENT_NODES (1u << SEGMENT_BITS)
#define ROOT_ID 1u
#define TREE_PATH_MAX ((size_t)64 << 20) /* far above any frame: a path is part of one */
#define TREE_NAME_MAX ((1u << 28) - 1)
#define DIGEST_STAT_BYTES 60

static const char ROOT_ONLY_ZOOKEEPER[] = "zookeeper";

/* Segments hold nodes, and for ids that are free the next free one, marked by its lowest bit. */

struct tree_node *
tree_by_id(const struct tree *t, uint32_t id)
{
	return t->segments[id >> SEGMENT_BITS][id & (SEGMENT_NODES - 1)];
}

static void
id_set(struct tree *t, uint32_t id, void *value)
{
	t->segments[id >> SEGMENT_BITS][id & (SEGMENT_NODES - 1)] = value;
}

static uint32_t
id_take(struct tree *t)
{
	uint32_t id = t->id_free;
	struct tree_node ***dir, **segment;

	if (id != 0) {
		t->id_free = (uint32_t)((uintptr_t)tree_by_id(t, id) >> 1);
		return id;
	}
	if (t->id_end >> SEGMENT_BITS >= t->segment_count) {
		if ((dir = realloc(t->segments, (t->segment_count + 1) * sizeof *dir)) == NULL)
			return 0;
		t->segments = dir;
		if ((segment = calloc(SEGMENT_NODES, sizeof *segment)) == NULL)
			return 0;
		t->segments[t->segment_count++] = segment;
	}
	if (t->id_end == UINT32_MAX)
		return 0;
	return t->id_end++;
}

static void
id_give(struct tree *t, uint32_t id)
{
	id_set(t, id, (void *)(((uintptr_t)t->id_free << 1) | 1));
	t->id_free = id;
}

static bool
is_root(struct jute_bytes path)
{
	return path.len == 0 || (path.len == 1 && path.data[0] == '/');
}

/* Split a path at its last slash; false if it has none or nothing behind it. */
static bool
path_split(struct jute_bytes path, struct jute_bytes *parent, struct jute_bytes *name)
{
	int32_t at = path.len;

	while (at > 0 && path.data[at - 1] != '/')
		at--;
	if (at <= 0 || at == path.len)
		return false;
	*parent = (struct jute_bytes){path.data, at - 1};
	*name = (struct jute_bytes){path.data + at, path.len - at};
	return true;
}

uint32_t
tree_crc(struct jute_bytes path, struct jute_bytes data)
{
	uLong crc = crc32(0, Z_NULL, 0);

	if (path.len > 1 || (path.len == 1 && path.data[0] != '/'))
		crc = crc32(crc, path.data, (uInt)path.len);
	if (data.len > 0)
		crc = crc32(crc, data.data, (uInt)data.len);
	return (uint32_t)crc;
}

static uint8_t *
put_be64(uint8_t *p, int64_t v)
{
	uint64_t be = htobe64((uint64_t)v);

	memcpy(p, &be, sizeof be);
	return p + sizeof be;
}

static uint8_t *
put_be32(uint8_t *p, int32_t v)
{
	uint32_t be = htobe32((uint32_t)v);

	memcpy(p, &be, sizeof be);
	return p + sizeof be;
}

uint32_t
tree_digest_of(uint32_t crc, const struct tree_stat *s)
{
	uint8_t bytes[DIGEST_STAT_BYTES], *p = bytes;

	p = put_be64(p, s->czxid);
	p = put_be64(p, s->mzxid);
	p = put_be64(p, s->pzxid);
	p = put_be64(p, s->ctime);
	p = put_be64(p, s->mtime);
	p = put_be32(p, s->version);
	p = put_be32(p, s->cversion);
	p = put_be32(p, s->aversion);
	p = put_be64(p, s->ephemeral_owner);
	return (uint32_t)crc32(crc, bytes, (uInt)(p - bytes));
}

struct tree_stat
tree_node_stat(const struct tree *t, const struct tree_node *n)
{
	return (struct tree_stat){
	    .czxid = n->czxid,
	    .mzxid = n->mzxid,
	    .ctime = n->ctime,
	    .mtime = n->mtime,
	    .version = n->version,
	    .cversion = n->cversion,
	    .aversion = n->aversion,
	    .ephemeral_owner = tree_node_owner(t, n),
	    .pzxid = n->pzxid,
	};
}

/* What the node adds to the tree's digest; taken off before a change, put on after it. */
static uint64_t
digest_share(const struct tree *t, const struct tree_node *n)
{
	struct tree_stat stat;

	if (n->undigested)
		return 0;
	stat = tree_node_stat(t, n);
	return tree_digest_of(n->crc, &stat);
}

bool
tree_path_is(const struct tree *t, const struct tree_node *n, struct jute_bytes path)
{
	uint32_t left = (uint32_t)path.len;

	for (; n->id != ROOT_ID; n = tree_by_id(t, n->parent)) {
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
	return path.len > 0 ? (uint32_t)hash_bytes(&t->hash_key, path.data, (size_t)path.len) : 0;
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

struct tree_node *
tree_find_hashed(const struct tree *t, struct jute_bytes path, uint32_t hash)
{
	uint32_t id;

	if (path.len < 0)
		return NULL;
	if (is_root(path))
		return tree_by_id(t, ROOT_ID);
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

	for (const struct tree_node *up = n; up->id != ROOT_ID; up = tree_by_id(t, up->parent))
		size += up->name_len + 1;
	if (size == 0 || (to = buf_reserve(path, size)) == NULL)
		return;
	buf_commit(path, size);
	for (at = size; n->id != ROOT_ID; n = tree_by_id(t, n->parent)) {
		at -= n->name_len;
		memcpy(to + at, n->name_and_data, n->name_len);
		to[--at] = '/';
	}
}

static void
node_set_data(struct tree_node *n, struct jute_bytes data)
{
	n->data_null = data.len < 0;
	n->data_len = data.len > 0 ? (uint32_t)data.len : 0;
	if (data.len > 0)
		memcpy(n->name_and_data + n->name_len, data.data, (size_t)data.len);
}

static size_t
node_bytes(uint32_t name_len, struct jute_bytes data)
{
	size_t bytes = offsetof(struct tree_node, name_and_data) + name_len +
		       (data.len > 0 ? (size_t)data.len : 0);

	return bytes < sizeof(struct tree_node) ? sizeof(struct tree_node) : bytes;
}

static struct tree_node *
node_new(struct jute_bytes name, struct jute_bytes data)
{
	struct tree_node *n = malloc(node_bytes((uint32_t)name.len, data));

	if (n == NULL)
		return NULL;
	memset(n, 0, sizeof *n);
	n->name_len = (uint32_t)name.len & TREE_NAME_MAX;
	if (name.len > 0)
		memcpy(n->name_and_data, name.data, (size_t)name.len);
	node_set_data(n, data);
	return n;
}

static void
node_set_stat(struct tree_node *n, const struct tree_stat *s)
{
	n->czxid = s->czxid;
	n->mzxid = s->mzxid;
	n->ctime = s->ctime;
	n->mtime = s->mtime;
	n->pzxid = s->pzxid;
	n->version = s->version;
	n->cversion = s->cversion;
	n->aversion = s->aversion;
}

static bool
below_zookeeper(const struct tree_node *parent)
{
	size_t len = sizeof ROOT_ONLY_ZOOKEEPER - 1;

	return parent->undigested || (parent->parent == ROOT_ID && parent->name_len == len &&
	    memcmp(parent->name_and_data, ROOT_ONLY_ZOOKEEPER, len) == 0);
}

/* Link a node below its parent; takes the reference on acl. NULL: no memory, nothing was changed.
 */
static struct tree_node *
node_insert(struct tree *t, struct tree_node *parent, struct jute_bytes path,
    struct jute_bytes name, struct jute_bytes data, uint32_t crc, uint32_t acl,
    const struct tree_stat *stat)
{
	struct tree_node *n = node_new(name, data);
	uint32_t hash = tree_hash(t, path);

	if (n == NULL)
		return NULL;
	if ((n->id = id_take(t)) == 0)
		goto no_id;
	id_set(t, n->id, n);
	n->parent = parent->id;
	n->undigested = below_zookeeper(parent);
	node_set_stat(n, stat);
	if (!tree_owner_add(t, n, stat->ephemeral_owner))
		goto no_owner;
	if (!tree_index_insert(t->index, hash, n->id))
		goto no_slot;
	if (!tree_kids_insert(t, parent, n))
		goto no_place;
	n->acl = acl;
	n->crc = crc;
	t->node_count++;
	t->data_bytes += (uint64_t)path.len + n->data_len;
	t->digest += digest_share(t, n);
	return n;
no_place:
	tree_index_remove(t->index, hash, n->id);
no_slot:
	tree_owner_drop(t, n);
no_owner:
	id_give(t, n->id);
no_id:
	free(n);
	return NULL;
}

/* Take a childless node out and free it. */
static void
node_remove(struct tree *t, struct tree_node *n, struct jute_bytes path)
{
	assert(tree_child_count(n) == 0);
	t->digest -= digest_share(t, n);
	t->node_count--;
	t->data_bytes -= (uint64_t)path.len + n->data_len;
	tree_kids_remove(t, tree_by_id(t, n->parent), n);
	tree_index_remove(t->index, tree_hash(t, path), n->id);
	tree_owner_drop(t, n);
	acl_unref(&t->acls, n->acl);
	id_give(t, n->id);
	free(n);
}

/* Raise the parent's cversion and pzxid, never lower them. */
static void
raise_parent(struct tree *t, struct tree_node *parent, int32_t cversion, int64_t zxid)
{
	if (cversion <= parent->cversion)
		return;
	t->digest -= digest_share(t, parent);
	parent->cversion = cversion;
	parent->pzxid = zxid;
	t->digest += digest_share(t, parent);
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

	if (!path_split(c->path, &above, &name) || (uint32_t)name.len > TREE_NAME_MAX ||
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
	if (node_insert(t, parent, c->path, name, c->data, c->crc, c->acl, &stat) == NULL) {
		acl_unref(&t->acls, c->acl);
		return TREE_NO_MEMORY;
	}
	raise_parent(t, parent, cversion, c->zxid);
	return TREE_OK;
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
	buf_init(&below, TREE_PATH_MAX);
	while (ok && (kid = tree_kids_first(t, n)) != NULL) {
		while (tree_child_count(kid) > 0)
			kid = tree_kids_first(t, kid);
		buf_clear(&below);
		tree_node_path(t, kid, &below);
		if (!(ok = !below.failed))
			break;
		node_remove(t, kid, (struct jute_bytes){below.data, (int32_t)below.len});
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

	if (!path_split(path, &above, &name) || (parent = tree_find(t, above)) == NULL)
		return TREE_NO_NODE;
	if (zxid > parent->pzxid) {
		t->digest -= digest_share(t, parent);
		parent->pzxid = zxid;
		t->digest += digest_share(t, parent);
	}
	if ((n = tree_find(t, path)) == NULL)
		return TREE_NO_NODE;
	if (!remove_below(t, n, path))
		return TREE_NO_MEMORY;
	node_remove(t, n, path);
	return TREE_OK;
}

/* Give a node other data; it may move. NULL: no memory, nothing was changed. */
static struct tree_node *
replace_data(struct tree *t, struct tree_node *n, struct jute_bytes data, uint32_t crc)
{
	size_t size = node_bytes(n->name_len, data);
	struct tree_node *moved = n;

	if (size != node_bytes(n->name_len, tree_node_data(n)) &&
	    (moved = realloc(n, size)) == NULL)
		return NULL;
	t->data_bytes -= moved->data_len;
	id_set(t, moved->id, moved);
	node_set_data(moved, data);
	t->data_bytes += moved->data_len;
	moved->crc = crc;
	return moved;
}

enum tree_result
tree_set_data(struct tree *t, struct jute_bytes path, struct jute_bytes data, uint32_t crc,
    int32_t version, int64_t zxid, int64_t time_ms)
{
	struct tree_node *n = tree_find(t, path);
	uint64_t share;

	if (n == NULL)
		return TREE_NO_NODE;
	share = digest_share(t, n);
	if ((n = replace_data(t, n, data, crc)) == NULL)
		return TREE_NO_MEMORY;
	n->version = version;
	n->mzxid = zxid;
	n->mtime = time_ms;
	t->digest += digest_share(t, n) - share;
	return TREE_OK;
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
	share = digest_share(t, n);
	set_acl(t, n, acl);
	n->aversion = version;
	t->digest += digest_share(t, n) - share;
	return TREE_OK;
}

static enum tree_result
load_root(struct tree *t, struct jute_bytes data, uint32_t acl, const struct tree_stat *stat)
{
	static const struct jute_bytes path = {(const uint8_t *)"", 0};
	struct tree_node *n = tree_by_id(t, ROOT_ID);
	uint64_t share = digest_share(t, n);

	if ((n = replace_data(t, n, data, tree_crc(path, data))) == NULL)
		return TREE_NO_MEMORY;
	acl_ref(&t->acls, acl);
	set_acl(t, n, acl);
	node_set_stat(n, stat);
	t->digest += digest_share(t, n) - share;
	return TREE_OK;
}

enum tree_result
tree_load(struct tree *t, struct jute_bytes path, struct jute_bytes data, uint32_t acl,
    const struct tree_stat *stat)
{
	struct tree_node *parent;
	struct jute_bytes above, name;

	if (!acl_has(&t->acls, acl))
		return TREE_BAD;
	if (path.len == 0)
		return load_root(t, data, acl, stat);
	if (!path_split(path, &above, &name) || (uint32_t)name.len > TREE_NAME_MAX ||
	    path.data[0] != '/')
		return TREE_BAD;
	if ((parent = tree_find(t, above)) == NULL)
		return TREE_NO_NODE;
	if (tree_find(t, path) != NULL)
		return TREE_NODE_EXISTS;
	if (node_insert(t, parent, path, name, data, tree_crc(path, data), acl, stat) == NULL)
		return TREE_NO_MEMORY;
	acl_ref(&t->acls, acl);
	return TREE_OK;
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
	while (path_split(at, &above, &name)) {
		if ((n = tree_find(t, above)) != NULL &&
		    (n = tree_kids_after(t, n, name)) != NULL) {
			buf_truncate(path, (size_t)above.len);
			return step_down(path, n);
		}
		at = above;
	}
	return NULL;
}

bool
tree_init_bare(struct tree *t, const struct hash_key *key)
{
	static const struct jute_bytes empty = {(const uint8_t *)"", 0};
	struct tree_node *root;

	*t = (struct tree){.hash_key = *key, .id_end = ROOT_ID};
	acl_table_init(&t->acls, key);
	hmap_init(&t->owned);
	hmap_init(&t->owners);
	if ((t->index = tree_index_new()) == NULL || (root = node_new(empty, empty)) == NULL)
		goto fail;
	if ((root->id = id_take(t)) != ROOT_ID) {
		free(root);
		goto fail;
	}
	id_set(t, ROOT_ID, root);
	root->crc = tree_crc(empty, empty);
	t->node_count = 1;
	t->digest = digest_share(t, root);
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
	static const uint8_t readable[] = "\0\0\0\1" "\0\0\0\1" "\0\0\0\5world" "\0\0\0\6anyone";
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

static bool
id_is_free(const struct tree_node *n)
{
	return n == NULL || ((uintptr_t)n & 1) != 0;
}

void
tree_fini(struct tree *t)
{
	for (uint32_t id = ROOT_ID; id < t->id_end; id++) {
		struct tree_node *n = tree_by_id(t, id);

		if (id_is_free(n))
			continue;
		tree_kids_free(n);
		free(n);
	}
	for (size_t i = 0; i < t->segment_count; i++)
		free(t->segments[i]);
	free(t->segments);
	tree_index_free(t->index);
	tree_owners_fini(t);
	acl_table_fini(&t->acls);
	*t = (struct tree){.id_end = ROOT_ID};
}

static void
node_check(const struct tree *t, struct tree_node *n, struct buf *path)
{
	struct jute_bytes p;

	buf_clear(path);
	tree_node_path(t, n, path);
	assert(!path->failed);
	p = (struct jute_bytes){path->data, (int32_t)path->len};
	assert(tree_find(t, p) == n);
	assert(n->crc == tree_crc(p, tree_node_data(n)));
	assert(acl_has(&t->acls, n->acl));
	assert(n->id == ROOT_ID || !id_is_free(tree_by_id(t, n->parent)));
	tree_kids_check(t, n);
}

void
tree_check(const struct tree *t)
{
	uint64_t nodes = 0, digest = 0, bytes = 0, kids = 0;
	struct buf path;

	buf_init(&path, TREE_PATH_MAX);
	for (uint32_t id = ROOT_ID; id < t->id_end; id++) {
		struct tree_node *n = tree_by_id(t, id);

		if (id_is_free(n))
			continue;
		node_check(t, n, &path);
		nodes++;
		kids += tree_child_count(n);
		digest += digest_share(t, n);
		bytes += path.len + n->data_len;
	}
	assert(nodes == t->node_count && kids == nodes - 1);
	assert(digest == t->digest && bytes == t->data_bytes);
	assert(tree_index_count(t->index) == nodes - 1);
	buf_fini(&path);
}
