/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The books: what each node has in all, what of it is leased to tasks, of which role, and what is
 * held back for reservations. The only module that books and frees; at every instant total = free +
 * held + leased for every node (books_check()). What is free lies in the placement tree, so that
 * booking and placing are one act.
 */
#ifndef CORRAL_MASTER_BOOKS_H
#define CORRAL_MASTER_BOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "master/core/resources.h"
#include "master/core/place.h"
#include "master/core/share.h"

struct account {
	struct resources total;
	struct resources leased;
	struct resources to_hold; /* unused parts of reservations */
	struct resources held;	  /* of these, as much as is not leased */
	uint32_t leases;
};

struct books {
	struct place place;
	struct share share;
	struct account *accounts;	/* by node number */
	uint32_t capacity;		/* accounts allocated */
	struct resources total, leased; /* over all nodes that are in the books */
};

/* Where a node lacks what a task needs, in the order in which people ask. */

void books_init(struct books *b);
void books_fini(struct books *b);

/* A node, closed and without leases; PLACE_NONE as place_node_add(). */
uint32_t books_node_add(struct books *b, const struct resources *total);

/* Another total; false, with nothing changed, if it is less than what is leased. */
bool books_node_resize(struct books *b, uint32_t node, const struct resources *total);

/* First-fit for up to `count` equal tasks of a role, as place_fill(). */
uint32_t books_fill(struct books *b, struct role *role, const struct resources *need,
    uint32_t count, uint32_t *cursor, uint32_t *node);

/*
 * Book a task on this node, on what is held back too; false if it would exceed the node's total.
 * role NULL: nobody's that we know.
 */
bool books_lease(struct books *b, struct role *role, uint32_t node, const struct resources *need);
void books_release(struct books *b, struct role *role, uint32_t node, const struct resources *need);

/* Hold so much back on a node, as far as it is not leased. */
void books_hold(struct books *b, uint32_t node, const struct resources *amount);

struct resources books_free(const struct books *b, uint32_t node);
/* What is free on all nodes that take tasks. */
struct resources books_available(const struct books *b);

/* total = free + held + leased for every node and in sum, tree and roles agree. */
bool books_check(const struct books *b);

#endif
