/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pending changes: what the nodes will be once all txns that were made, but not yet applied, are.
 * Each write is checked against this view, so that many can be on their way to the log at once.
 */
#ifndef CORRAL_ZKSERVER_CORE_CHANGE_H
#define CORRAL_ZKSERVER_CORE_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "zkserver/core/tree.h"

/* A node as it will be. */
struct change_node {
	bool exists;
	bool undigested; /* below /zookeeper/ */
	uint32_t digest; /* its part of the tree's; 0 if it does not exist or is undigested */
	uint32_t was;	 /* the digest when changes_look() said so; changes_put() takes that off */
	uint32_t kids;
	uint32_t acl;
	uint32_t data_len;
	struct tree_stat stat;
};

struct changes {
	struct tree *tree;
	struct hmap
	    by_path;	 /* in order of the zxid that touched them last, rolled back ones aside */
	uint64_t digest; /* of the tree as it will be */
	bool trying;	 /* between changes_try() and its end */
	uint64_t tries;
	uint64_t try_digest;
	struct buf undo;
	struct list spare; /* entries that are kept for use again: struct hmap_node.order */
	size_t spare_count;
};

void changes_init(struct changes *c, struct tree *tree);
void changes_fini(struct changes *c);

/*
 * The node at path as it will be; false (and *node->exists) if there is none. Here and below, hash
 * is tree_hash() of the path.
 */
bool changes_look(
    const struct changes *c, struct jute_bytes path, uint32_t hash, struct change_node *node);

/*
 * It will be so from this zxid on; node is what changes_look() gave last for the path, and then was
 * changed. Takes a reference on node.acl itself. False: no memory.
 */
bool changes_put(struct changes *c, struct jute_bytes path, uint32_t hash,
    const struct change_node *node, int64_t zxid);

/* Several changes that hold together or not at all (a multi). */
void changes_try(struct changes *c);
void changes_keep(struct changes *c);
void changes_undo(struct changes *c);

/* Everything up to this zxid is in the tree now. */
void changes_applied(struct changes *c, int64_t zxid);

/* Visit those that will be owned by this session and are not (or not its own) in the tree yet. */
void changes_owned(const struct changes *c, int64_t session,
    void (*each)(void *arg, struct jute_bytes path), void *arg);

#endif
