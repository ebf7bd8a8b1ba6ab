/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First-fit placement: nodes stand in a stable order, and the first that has what a task needs
 * takes it. Exactly first-fit, for every workload; how fast it is found is the only thing that
 * varies.
 *
 * An array-shaped binary tree lies over the nodes. Each inner node holds, per dimension, the
 * maximum that is free below it, and five "balance keys": maxima of min(4a, b), min(a, b), min(a,
 * 4b), min(a, 16b) and min(a, 64b), where a is the free cpu and b the free memory in the scale of
 * the largest node. A subtree whose maximum lies below the request in any of the eight holds no
 * fit. The maxima alone let a search walk everything when cpu is free on some nodes and memory on
 * others; the keys see that no node has both.
 *
 * Cost: O(log n) where the maxima come from nodes that fit. The bound that always holds is 2n tree
 * nodes; a shape that was found to fit nowhere is remembered until something is freed, so that such
 * a walk is paid once for a shape and not once for a task.
 */
#ifndef CORRAL_MASTER_PLACE_H
#define CORRAL_MASTER_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/core/resources.h"

enum {
	PLACE_NODES_MAX = 1 << 20,
	PLACE_BALANCES = 5,
	PLACE_FAILED_MAX = 8, /* shapes remembered; the oldest is forgotten first */
};

#define PLACE_NONE UINT32_MAX

struct place_key {
	struct resources most;
	uint32_t balance[PLACE_BALANCES];
};

struct place_node {
	struct resources free;
	bool open; /* takes tasks */
};

struct place {
	struct place_key *tree; /* [1] is the root, [size + i] the leaf of node i */
	struct place_node *nodes;
	uint32_t size;	/* leaves, a power of two; 0 before the first node */
	uint32_t count; /* numbers given so far */
	uint32_t shift; /* memory >> shift is in the scale of cpu_milli */
	struct resources largest;
	struct resources failed[PLACE_FAILED_MAX];
	uint32_t failed_count, failed_next;
	uint64_t visited; /* tree nodes looked at, ever */
};

void place_init(struct place *p);
void place_fini(struct place *p);

/*
 * Add a node at the end of the order; it is closed. Gives its number. PLACE_NONE: no memory, or
 * PLACE_NODES_MAX reached.
 */
uint32_t place_node_add(struct place *p, const struct resources *free_amount);

/* Closed nodes keep their amounts and take nothing. */
void place_node_open(struct place *p, uint32_t node, bool open);

/* Set what is free on a node. */
void place_node_set(struct place *p, uint32_t node, const struct resources *free_amount);

/*
 * Take room for up to `count` tasks that need `need` each (not zero in every dimension), all on the
 * first node at or behind *cursor that has room for one; as many of them as it holds. Returns how
 * many, 0 if none fits; *node is the node. The cursor starts at 0 and is moved on; it may be kept
 * over calls with the same need as long as nothing was freed in between. A caller that does not
 * want the node gives the room back and goes on with a cursor of *node + 1.
 */
uint32_t place_fill(struct place *p, const struct resources *need, uint32_t count, uint32_t *cursor,
    uint32_t *node);

/* Take room on one node, as for a task that runs there already; false if it has not that much. */
bool place_take(struct place *p, uint32_t node, const struct resources *need);

/* Give back what `times` tasks took. */
void place_give(struct place *p, uint32_t node, const struct resources *need, uint32_t times);

/* Every inner node is what its children say, every leaf what its node has. For tests and sampling.
 */
bool place_check(const struct place *p);

#endif
