/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fair sharing by its definition, to compare the master with: one task after the other to the role
 * whose turn it is, every sum reckoned anew for each from what every task has, shares compared as
 * fractions, nodes looked at one by one. Written after master/core/share.h's text, not its code.
 * Nodes may be closed to more tasks, and tasks that may run for all that is known count against
 * limits; of reservations and held nodes it knows nothing. Amounts are small: products of two of
 * them times two weights fit 64 bits.
 */
#ifndef CORRAL_TESTS_FAIR_ORACLE_H
#define CORRAL_TESTS_FAIR_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

enum { FAIR_NODES_MAX = 32, FAIR_ROLES_MAX = 16, FAIR_JOBS_MAX = 64, FAIR_KINDS = 2 };
#define FAIR_NO_LIMIT UINT64_MAX

/* Of tasks that no node may have room for: a sum of such needs is more than 64 bits. */
__extension__ typedef unsigned __int128 fair_wide;

struct fair_role {
	const char *name;
	int parent; /* -1: a top-level role */
	uint64_t weight;
	uint64_t guarantee[FAIR_KINDS], limit[FAIR_KINDS];
	fair_wide unsettled[FAIR_KINDS]; /* may be used by its own tasks, besides */
};

struct fair_job { /* in order of age */
	int role; /* -1: nobody's that is known */
	uint32_t priority, pending;
	uint64_t need[FAIR_KINDS];
	uint32_t on[FAIR_NODES_MAX]; /* tasks by node */
	bool done;		     /* nothing more of it in this turn */
};

struct fair {
	uint64_t nodes[FAIR_NODES_MAX][FAIR_KINDS]; /* what each has in all */
	bool closed[FAIR_NODES_MAX];
	uint64_t own_weight; /* of a role's own jobs beside its children, in the unit of weights */
	int node_count, role_count, job_count;
	struct fair_role roles[FAIR_ROLES_MAX];
	struct fair_job jobs[FAIR_JOBS_MAX];
};

/* Place all that can be placed. */
void fair_turn(struct fair *f);
/* What a role and all below it have of one kind. */
uint64_t fair_used(const struct fair *f, int role, int kind);
/* What a limit has to hold for: used, or maybe used. */
fair_wide fair_at_most_used(const struct fair *f, int role, int kind);

#endif
