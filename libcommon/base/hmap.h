/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An intrusive hash map: the caller embeds a struct hmap_node, hashes the key itself (hash.h) and
 * compares it itself. Iteration is in the order of insertion, so that a core that walks a map does
 * the same on every machine.
 */
#ifndef CORRAL_BASE_HMAP_H
#define CORRAL_BASE_HMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/list.h"

struct hmap_node {
	struct list order;
	struct hmap_node *next;
	uint64_t hash;
};

struct hmap {
	struct list order;
	struct hmap_node **buckets;
	size_t bucket_count; /* a power of two, or 0 before the first insertion */
	size_t count;
};

/*
 * Visit each node in order of insertion; the one at hand may be removed. `it`, `nx` are struct
 * list *.
 */
#define HMAP_EACH(it, nx, map) LIST_EACH(it, nx, &(map)->order)
#define HMAP_ENTRY(it, type, member)                                                               \
	CONTAINER_OF(CONTAINER_OF(it, struct hmap_node, order), type, member)

void hmap_init(struct hmap *m);

/* Release the table; the nodes are the caller's. */
void hmap_fini(struct hmap *m);

/* Insert a node under its hash; false when there is no memory (nothing was changed). */
bool hmap_insert(struct hmap *m, struct hmap_node *n, uint64_t hash);

/* Remove a node that is in the map. */
void hmap_remove(struct hmap *m, struct hmap_node *n);

/*
 * The first node with this hash, and the next one after n: compare keys on each. NULL at the end.
 */
struct hmap_node *hmap_first(const struct hmap *m, uint64_t hash);
struct hmap_node *hmap_next(const struct hmap_node *n);

#endif
