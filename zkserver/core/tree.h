/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data tree: nodes by path, their children in order of name, who owns the ephemeral ones, and
 * the tree's digest. Knows what a committed change does to the tree, not whether it was allowed.
 *
 * A node is one allocation and may move when its data changes: a pointer to it is good until the
 * next change of the tree. Paths are jute bytes: "/" is the root, otherwise "/a/b" (never a
 * trailing slash); the root's other name "" is accepted.
 */
#ifndef CORRAL_ZKSERVER_CORE_TREE_H
#define CORRAL_ZKSERVER_CORE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/hash.h"
#include "libcommon/base/hmap.h"
#include "libcommon/codec/jute.h"
#include "zkserver/core/acl.h"

enum tree_result {
	TREE_OK,
	TREE_NO_NODE, /* the node, or the parent of one to be created, is missing */
	TREE_NODE_EXISTS,
	TREE_NO_MEMORY,
	TREE_BAD, /* no path, or a key that no list has: a broken file */
};

/* What is stored of a node besides its data and its ACL: StatPersisted. */
struct tree_stat {
	int64_t czxid, mzxid, ctime, mtime; /* times are ms of the wall clock */
	int32_t version, cversion,
	    aversion; /* cversion counts the creates below (not what Stat shows) */
	int64_t ephemeral_owner;
	int64_t pzxid;
};

struct tree_children;

struct tree_node {
	int64_t czxid, mzxid, ctime, mtime, pzxid;
	struct tree_children *kids; /* NULL while it never had any */
	int32_t version, cversion, aversion;
	uint32_t acl;	     /* key in the tree's ACL table, referenced */
	uint32_t id, parent; /* ids; the root's parent is 0 */
	uint32_t digest;     /* its part of the tree's; 0 below /zookeeper/ */
	uint32_t data_len;
	uint32_t name_len : 28;
	uint32_t data_null : 1;	 /* null is not the same as empty */
	uint32_t owned : 1;	 /* its owner is in tree->owned */
	uint32_t undigested : 1; /* below /zookeeper/ */
	char name_and_data[];
};

struct tree_index; /* the table of paths */

/* Nodes by id lie in segments of so many. */
#define TREE_SEGMENT_BITS 12
#define TREE_SEGMENT_NODES (1u << TREE_SEGMENT_BITS)

/* Which owners are no sessions; both as Apache's server has them set when it wrote the data. */
struct tree_rules {
	bool extended_types; /* 0xff...: TTL nodes (extendedTypesEnabled) */
	bool emulate_353;    /* any negative one: TTL nodes of 3.5.3 (emulate353TTLNodes) */
};

struct tree {
	struct hash_key hash_key;
	struct acl_table acls;
	struct tree_index *index;
	struct tree_node ***segments; /* id -> node */
	size_t segment_count;
	uint32_t id_end, id_free; /* ids below id_end were given out; id_free heads the list of
				     those free again */
	struct hmap owned;	  /* node id -> owner */
	struct hmap owners;	  /* session -> its nodes, in order of creation */
	struct list reapable;	  /* container and TTL nodes: struct tree_owned.of_owner */
	uint64_t reapable_count;
	uint64_t limits_count; /* nodes named zookeeper_limits (quota.h) */
	uint32_t loaded_last;  /* the node that was loaded last, and its parent; 0: none */
	uint32_t loaded_below;
	bool loading;	       /* between tree_load_begin() and its end: */
	uint32_t *load_hashes; /* of each id's path */
	size_t load_cap;
	struct tree_rules rules; /* set before anything is loaded */
	uint64_t node_count, ephemeral_count;
	uint64_t data_bytes; /* of paths and data: "approximate data size" */
	uint64_t digest;
};

/* With the four nodes of a new ensemble: /, /zookeeper, /zookeeper/quota, /zookeeper/config. */
bool tree_init(struct tree *t, const struct hash_key *key);
/* With the root only, for loading a snapshot. */
bool tree_init_bare(struct tree *t, const struct hash_key *key);
void tree_fini(struct tree *t);

/* Make /zookeeper/config if data from older servers lacks it. False: no memory. */
bool tree_add_config(struct tree *t);

/*
 * Looking up, in three steps so that many can overlap their cache misses; or at once. The root's
 * hash is 0, whichever name it has.
 */
uint32_t tree_hash(const struct tree *t, struct jute_bytes path);
void tree_prefetch_slot(const struct tree *t, uint32_t hash);
void tree_prefetch_node(const struct tree *t, uint32_t hash);
/* The same where so many bytes of it are about to be written. */
void tree_prefetch_write(const struct tree *t, uint32_t hash, size_t size);
struct tree_node *tree_find_hashed(const struct tree *t, struct jute_bytes path, uint32_t hash);
struct tree_node *tree_find(const struct tree *t, struct jute_bytes path);

static inline struct jute_bytes
tree_node_name(const struct tree_node *n)
{
	return (struct jute_bytes){(const uint8_t *)n->name_and_data, (int32_t)n->name_len};
}

static inline struct jute_bytes
tree_node_data(const struct tree_node *n)
{
	if (n->data_null)
		return (struct jute_bytes){NULL, -1};
	return (struct jute_bytes){
	    (const uint8_t *)n->name_and_data + n->name_len, (int32_t)n->data_len};
}

uint32_t tree_child_count(const struct tree_node *n);
int64_t tree_node_owner(const struct tree *t, const struct tree_node *n); /* 0: persistent */
struct tree_stat tree_node_stat(const struct tree *t, const struct tree_node *n);

/* Append the node's path to *path ("" for the root). */
void tree_node_path(const struct tree *t, const struct tree_node *n, struct buf *path);

/* Visit the children in order of name. */
void tree_children(const struct tree *t, const struct tree_node *n,
    void (*each)(void *arg, const struct tree_node *child), void *arg);

/* The node after `at` among those at and below `top`, parents first; NULL at the end. */
struct tree_node *tree_next_below(
    const struct tree *t, const struct tree_node *top, const struct tree_node *at);

/* Count the nodes below n, at any depth; visits each, but for the root. False: no memory. */
bool tree_count_below(const struct tree *t, const struct tree_node *n, uint64_t *count);

/* Where a change happens; the hashes are tree_hash() of the path and of its parent's. */
struct tree_place {
	struct jute_bytes path;
	uint32_t hash, above_hash; /* tree_set_*() ask for the first only */
};

struct tree_place tree_place(const struct tree *t, struct jute_bytes path);

/*
 * The committed changes, idempotent as a replay over a fuzzy snapshot needs them: a parent's
 * cversion and pzxid are only ever raised. create: parent_cversion is the parent's new one, -1 for
 * "one more"; acl's reference goes over to the tree whatever comes out. On TREE_NODE_EXISTS the
 * parent was raised, and the node has the new ACL.
 */
struct tree_create {
	struct tree_place at;
	struct jute_bytes data;
	uint32_t crc; /* tree_crc() of path and data */
	uint32_t acl;
	int64_t owner;
	int32_t parent_cversion;
	int64_t zxid, time_ms;
	struct tree_node *node, *parent; /* what came out, if it is TREE_OK */
};
enum tree_result tree_create(struct tree *t, struct tree_create *c);

struct tree_delete {
	struct tree_place at;
	int64_t zxid;
	/* What came out, if it is TREE_OK: the parent, and the ACL that the node had, whose
	 * reference is the caller's. */
	struct tree_node *parent;
	uint32_t acl;
};
enum tree_result tree_delete(struct tree *t, struct tree_delete *d);

struct tree_set {
	struct tree_place at;
	struct jute_bytes data; /* tree_set_data() */
	uint32_t crc;		/* the same: tree_crc() of path and data */
	uint32_t acl;		/* tree_set_acl(), which takes the reference */
	int32_t version;	/* of the one or the other */
	int64_t zxid, time_ms;
	struct tree_node *node; /* what came out, if it is TREE_OK */
};
enum tree_result tree_set_data(struct tree *t, struct tree_set *s);
enum tree_result tree_set_acl(struct tree *t, struct tree_set *s);

/*
 * Loading a snapshot: a node exactly as stored, after its parent; takes a reference on acl itself.
 * "" replaces what the root holds.
 */
void tree_load_begin(struct tree *t); /* of a bare tree; until the end, nodes are not found */
bool tree_load_end(struct tree *t);   /* False: no memory */
enum tree_result tree_load(struct tree *t, struct jute_bytes path, struct jute_bytes data,
    uint32_t acl, const struct tree_stat *stat);

/*
 * Writing one: *path moves to the node that follows it, parents before children and siblings in
 * order of name; NULL at the end. Start with the root, whose path is "" (an empty buffer), before
 * the first call. Only the path is kept between calls, so the tree may change meanwhile: that is a
 * fuzzy walk.
 */
struct tree_node *tree_next(const struct tree *t, struct buf *path);

/* Owners of ephemeral nodes. */
struct tree_owner {
	struct hmap_node link; /* in tree->owners */
	int64_t session;
	struct list nodes; /* struct tree_owned.of_owner, in order of creation */
	size_t count;
};
struct tree_owned {
	struct hmap_node link; /* in tree->owned */
	struct list of_owner;
	int64_t owner;
	uint32_t id;
};
struct tree_owner *tree_owner_find(const struct tree *t, int64_t session);

static inline struct tree_node *
tree_by_id(const struct tree *t, uint32_t id)
{
	return t->segments[id >> TREE_SEGMENT_BITS][id & (TREE_SEGMENT_NODES - 1)];
}

/* What an ephemeralOwner says. Of a container it is the least there is; of a TTL node it has a top
 * byte of ones, and the time in its lowest 40 bits. */
#define TREE_CONTAINER_OWNER INT64_MIN
#define TREE_TTL_MAX_MS INT64_C(0xFFFFFFFFFF)
enum tree_owner_kind { TREE_OWNER_NONE, TREE_OWNER_CONTAINER, TREE_OWNER_TTL, TREE_OWNER_SESSION };
enum tree_owner_kind tree_owner_kind(const struct tree *t, int64_t owner);
int64_t tree_ttl_owner(int64_t ttl_ms);
bool tree_is_ttl_owner(int64_t owner); /* where extended types are enabled */
int64_t tree_ttl_ms(int64_t owner);

/*
 * The next container or TTL node, each in its turn, without end; NULL: there is none. A round is
 * reapable_count of them.
 */
struct tree_node *tree_next_reapable(struct tree *t);

/* A node's digest (version 2) from the CRC of path and data, and that CRC. */
uint32_t tree_crc(struct jute_bytes path, struct jute_bytes data);
uint32_t tree_digest_of(uint32_t crc, const struct tree_stat *stat);
/* The digest of the same node when these bits of its stat have flipped. */
uint32_t tree_digest_flip(uint32_t digest, const struct tree_stat *bits);

/* Assert every invariant; visits each node. */
void tree_check(const struct tree *t);

#endif
