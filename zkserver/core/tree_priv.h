/* SPDX-License-Identifier: Apache-2.0 */
/* What the tree's files share among themselves: the table of paths, child lists, owners. */
#ifndef CORRAL_ZKSERVER_CORE_TREE_PRIV_H
#define CORRAL_ZKSERVER_CORE_TREE_PRIV_H

#include "zkserver/core/tree.h"

#define TREE_ROOT_ID 1u
#define TREE_PATH_BYTES_MAX ((size_t)64 << 20) /* far above any frame: a path is part of one */
#define TREE_NAME_BYTES_MAX ((1u << 28) - 1)

/* Ids: 0 when there is no memory. An id that is free holds no node, but the next free one. */
uint32_t tree_id_take(struct tree *t);
void tree_id_give(struct tree *t, uint32_t id);
void tree_id_set(struct tree *t, uint32_t id, void *value);
bool tree_id_is_free(const struct tree_node *n);

/* A node beside the tree; NULL: no memory. */
struct tree_node *tree_node_new(struct jute_bytes name, struct jute_bytes data);
void tree_node_set_stat(struct tree_node *n, const struct tree_stat *s);

/* Link a node below its parent; takes the reference on acl. NULL: no memory, nothing changed. */
struct tree_node *tree_node_insert(struct tree *t, struct tree_node *parent,
    const struct tree_place *at, struct jute_bytes name, struct jute_bytes data, uint32_t crc,
    uint32_t acl, const struct tree_stat *stat);
/* Take a childless node out and free it. */
void tree_node_remove(struct tree *t, struct tree_node *n, const struct tree_place *at);
/*
 * Give a node other data; it may move. NULL: no memory, nothing was changed. Its digest is that of
 * the old data still.
 */
struct tree_node *tree_node_replace_data(
    struct tree *t, struct tree_node *n, struct jute_bytes data);
/* What it adds to the tree's digest from now on; nothing below /zookeeper/. */
void tree_node_set_digest(struct tree *t, struct tree_node *n, uint32_t digest);

/* Split a path at its last slash; false if it has none or nothing behind it, or begins "//". */
bool tree_path_split(struct jute_bytes path, struct jute_bytes *parent, struct jute_bytes *name);
/* The next name of the path from *at on, 0 at its beginning; false at its end. */
bool tree_path_next_name(struct jute_bytes path, int32_t *at, struct jute_bytes *name);
/* Does the node have this path (not the root's)? */
bool tree_path_is(const struct tree *t, const struct tree_node *n, struct jute_bytes path);

/* The table of paths: 32-bit hash -> id. It grows and shrinks a few slots at a time. */
struct tree_index *tree_index_new(void);
void tree_index_free(struct tree_index *x);
bool tree_index_insert(struct tree_index *x, uint32_t hash, uint32_t id);
void tree_index_remove(struct tree_index *x, uint32_t hash, uint32_t id);
uint32_t tree_index_find(
    const struct tree_index *x, const struct tree *t, struct jute_bytes path, uint32_t hash);
uint32_t tree_index_guess(
    const struct tree_index *x, uint32_t hash); /* the first with this hash, or 0 */
void tree_index_prefetch(const struct tree_index *x, uint32_t hash);
/* Fill an empty table with the ids from first to end - 1, whose hashes[id] these are. */
bool tree_index_fill(struct tree_index *x, const uint32_t *hashes, uint32_t first, uint32_t end);
size_t tree_index_count(const struct tree_index *x);

/* While a snapshot is loaded: the node's path will be found by this hash. False: no memory. */
bool tree_load_note(struct tree *t, uint32_t id, uint32_t hash);

/* Child lists: ids in order of name. */
bool tree_kids_insert(struct tree *t, struct tree_node *parent, const struct tree_node *child);
void tree_kids_remove(struct tree *t, struct tree_node *parent, const struct tree_node *child);
struct tree_node *tree_kids_first(const struct tree *t, const struct tree_node *parent);
struct tree_node *tree_kids_find(
    const struct tree *t, const struct tree_node *parent, struct jute_bytes name);
/* The first whose name comes after this one. */
struct tree_node *tree_kids_after(
    const struct tree *t, const struct tree_node *parent, struct jute_bytes name);
void tree_kids_free(struct tree_node *n);
void tree_kids_check(const struct tree *t, const struct tree_node *n);

/* Owners. */
bool tree_owner_add(struct tree *t, struct tree_node *n, int64_t owner);
void tree_owner_drop(struct tree *t, struct tree_node *n);
void tree_owners_fini(struct tree *t);

#endif
