/* SPDX-License-Identifier: Apache-2.0 */
/* A node's id, its memory, and its place in the tables. */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "zkserver/core/quota.h"
#include "zkserver/core/tree_priv.h"

static const char ROOT_ONLY_ZOOKEEPER[] = "zookeeper";

/* Segments hold nodes, and for ids that are free the next free one, marked by its lowest bit. */

void
tree_id_set(struct tree *t, uint32_t id, void *value)
{
	t->segments[id >> TREE_SEGMENT_BITS][id & (TREE_SEGMENT_NODES - 1)] = value;
}

uint32_t
tree_id_take(struct tree *t)
{
	uint32_t id = t->id_free;
	struct tree_node ***dir, **segment;

	if (id != 0) {
		t->id_free = (uint32_t)((uintptr_t)tree_by_id(t, id) >> 1);
		return id;
	}
	if (t->id_end >> TREE_SEGMENT_BITS >= t->segment_count) {
		if ((dir = realloc(t->segments, (t->segment_count + 1) * sizeof *dir)) == NULL)
			return 0;
		t->segments = dir;
		if ((segment = calloc(TREE_SEGMENT_NODES, sizeof *segment)) == NULL)
			return 0;
		t->segments[t->segment_count++] = segment;
	}
	if (t->id_end == UINT32_MAX)
		return 0;
	return t->id_end++;
}

void
tree_id_give(struct tree *t, uint32_t id)
{
	tree_id_set(t, id, (void *)(((uintptr_t)t->id_free << 1) | 1));
	t->id_free = id;
}

bool
tree_id_is_free(const struct tree_node *n)
{
	return n == NULL || ((uintptr_t)n & 1) != 0;
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

struct tree_node *
tree_node_new(struct jute_bytes name, struct jute_bytes data)
{
	struct tree_node *n = malloc(node_bytes((uint32_t)name.len, data));

	if (n == NULL)
		return NULL;
	memset(n, 0, sizeof *n);
	n->name_len = (uint32_t)name.len & TREE_NAME_BYTES_MAX;
	if (name.len > 0)
		memcpy(n->name_and_data, name.data, (size_t)name.len);
	node_set_data(n, data);
	return n;
}

void
tree_node_set_stat(struct tree_node *n, const struct tree_stat *s)
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

	return parent->undigested ||
	       (parent->parent == TREE_ROOT_ID && parent->name_len == len &&
		   memcmp(parent->name_and_data, ROOT_ONLY_ZOOKEEPER, len) == 0);
}

void
tree_node_set_digest(struct tree *t, struct tree_node *n, uint32_t digest)
{
	if (n->undigested)
		return;
	t->digest += (uint64_t)digest - n->digest;
	n->digest = digest;
}

struct tree_node *
tree_node_insert(struct tree *t, struct tree_node *parent, const struct tree_place *at,
    struct jute_bytes name, struct jute_bytes data, uint32_t crc, uint32_t acl,
    const struct tree_stat *stat)
{
	struct tree_node *n;

	if (!t->loading) /* it is far, and there is something to do */
		tree_index_prefetch(t->index, at->hash);
	if ((n = tree_node_new(name, data)) == NULL)
		return NULL;
	if ((n->id = tree_id_take(t)) == 0)
		goto no_id;
	tree_id_set(t, n->id, n);
	n->parent = parent->id;
	n->undigested = below_zookeeper(parent);
	tree_node_set_stat(n, stat);
	if (!tree_owner_add(t, n, stat->ephemeral_owner))
		goto no_owner;
	if (t->loading ? !tree_load_note(t, n->id, at->hash)
		       : !tree_index_insert(t->index, at->hash, n->id))
		goto no_slot;
	if (!tree_kids_insert(t, parent, n))
		goto no_place;
	n->acl = acl;
	t->node_count++;
	t->data_bytes += (uint64_t)at->path.len + n->data_len;
	tree_node_set_digest(t, n, tree_digest_of(crc, stat));
	t->limits_count += quota_is_limits(n);
	return n;
no_place:
	if (!t->loading)
		tree_index_remove(t->index, at->hash, n->id);
no_slot:
	tree_owner_drop(t, n);
no_owner:
	tree_id_give(t, n->id);
no_id:
	free(n);
	return NULL;
}

void
tree_node_remove(struct tree *t, struct tree_node *n, const struct tree_place *at)
{
	assert(tree_child_count(n) == 0);
	t->digest -= n->digest;
	t->node_count--;
	t->limits_count -= quota_is_limits(n);
	t->data_bytes -= (uint64_t)at->path.len + n->data_len;
	tree_kids_remove(t, tree_by_id(t, n->parent), n);
	tree_index_remove(t->index, at->hash, n->id);
	tree_owner_drop(t, n);
	acl_unref(&t->acls, n->acl);
	tree_id_give(t, n->id);
	free(n);
}

struct tree_node *
tree_node_replace_data(struct tree *t, struct tree_node *n, struct jute_bytes data)
{
	size_t size = node_bytes(n->name_len, data);
	struct tree_node *moved = n;

	if (size != node_bytes(n->name_len, tree_node_data(n)) &&
	    (moved = realloc(n, size)) == NULL)
		return NULL;
	t->data_bytes -= moved->data_len;
	tree_id_set(t, moved->id, moved);
	node_set_data(moved, data);
	t->data_bytes += moved->data_len;
	return moved;
}
