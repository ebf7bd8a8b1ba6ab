/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The books: what each node has in all, and what of it is leased to tasks. The only module that
 * books and frees; at every instant total = free + leased for every node (books_check()). What is
 * free lies in the placement tree, so that booking and placing are one act.
 */
#ifndef CORRAL_MASTER_BOOKS_H
#define CORRAL_MASTER_BOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "master/core/resources.h"
#include "master/core/place.h"

struct account {
	struct resources total;
	struct resources leased;
	uint32_t leases;
};

struct books {
	struct place place;
	struct account *accounts;	/* by node number */
	uint32_t capacity;		/* accounts allocated */
	struct resources total, leased; /* over all nodes that are in the books */
};

/* Where a node lacks what a task needs, in the order in which people ask. */
enum books_lack { BOOKS_LACK_NOTHING, BOOKS_LACK_CPU, BOOKS_LACK_MEMORY, BOOKS_LACK_DISK };

void books_init(struct books *b);
void books_fini(struct books *b);

/* A node, closed and without leases; PLACE_NONE as place_node_add(). */
uint32_t books_node_add(struct books *b, const struct resources *total);

/* Another total; false, with nothing changed, if it is less than what is leased. */
bool books_node_resize(struct books *b, uint32_t node, const struct resources *total);

/* First-fit for up to `count` equal tasks, as place_fill(). */
uint32_t books_fill(struct books *b, const struct resources *need, uint32_t count, uint32_t *cursor,
    uint32_t *node);

/* Book a task that a node runs already; false if it would exceed the node's total. */
bool books_lease(struct books *b, uint32_t node, const struct resources *need);
void books_release(struct books *b, uint32_t node, const struct resources *need);

struct resources books_free(const struct books *b, uint32_t node);
enum books_lack books_lacking(const struct books *b, uint32_t node, const struct resources *need);

/* total = free + leased for every node and in sum, and the tree agrees. */
bool books_check(const struct books *b);

#endif
