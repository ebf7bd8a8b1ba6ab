/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How roles share the cluster: a tree of roles with weights, guarantees and limits, and what each
 * has at the moment. Whose turn it is follows Dominant Resource Fairness (A. Ghodsi et al.,
 * "Dominant Resource Fairness: Fair Allocation of Multiple Resource Types", NSDI 2011, algorithm
 * 1), in the hierarchical and weighted form of Mesos' DRF sorter:
 *
 *     share(c) = max over resources r of (used_r(c) / total_r) / weight(c)
 *
 * where used(c) is what tasks of c and of all roles below it have, on reserved amounts too, and
 * total is the sum over all registered nodes. The next task goes to the role with the least share
 * among its siblings, from the top of the tree down; an inner role's own jobs are one more sibling
 * of its children, of weight 1. Equal shares: fewer tasks first, then by name.
 *
 * Guarantees are of top-level roles. A role goes before all others as long as it has reached its
 * guarantee in no resource; and what is missing to all guarantees together is kept free:
 *
 *     required  = sum over roles of max(0, guarantee - consumed)
 *     available = free on nodes that take tasks, without reservations
 *
 * a task may have of a resource what is missing to its own role's guarantee, and beyond that at
 * most available - required. A limit holds for a role and all below it. What is consumed of
 * guarantee and limit is all that is reserved for the role, in use or not, and what it uses beyond
 * that; for a limit also what tasks may use whose state is unknown since the election.
 *
 * Integers throughout. A share is used * 2^40 / (total * weight), rounded down once; shares that
 * differ by less than 2^-40 of the cluster count as equal.
 *
 * Knows neither nodes nor jobs: books.h says what is leased, launch.c asks whose turn it is.
 */
#ifndef CORRAL_MASTER_SHARE_H
#define CORRAL_MASTER_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/list.h"
#include "libcommon/base/role.h"
#include "master/core/resources.h"

enum {
	SHARE_ROLES_MAX = 1024,
	SHARE_PRIORITIES = 101, /* 0 to 100 */
	SHARE_WEIGHT_ONE = 1000,
	SHARE_WEIGHT_MAX = 1000000, /* thousandths */
};

__extension__ typedef unsigned __int128 share_wide;

#define QUOTA_NO_LIMIT UINT64_MAX

struct quota {
	struct resources guarantee; /* 0: none */
	struct resources limit;	    /* QUOTA_NO_LIMIT: none */
};

/* Before which of its siblings a role goes: first in a heap is whoever is next. */
struct share_key {
	bool content; /* not short of its guarantee */
	uint64_t share;
	uint32_t tasks;
};

struct share_entry {
	struct role *role;
	bool own; /* the jobs of the role itself, beside its children */
};

struct role {
	char name[ROLE_NAME_MAX + 1];
	struct role *parent; /* NULL: the root, which is no role of anybody's */
	uint32_t children, users;
	uint32_t weight; /* thousandths */
	struct quota quota;
	/* A limit that is raised holds until the store has it, as does one that is lowered. */
	struct resources limit, limit_in_batch, limit_stored;

	struct resources used, own; /* by it and all below it; by its own tasks */
	uint32_t tasks, own_tasks;
	struct resources reserved, reserved_used; /* on nodes, for it and all below it */
	share_wide unsettled[RESOURCE_COUNT];
	struct list jobs[SHARE_PRIORITIES]; /* launch.c's */

	/* of the turn at hand */
	struct share_key as_child, as_own;
	struct share_entry *heap; /* contenders among its children and its own jobs */
	uint32_t heap_count, heap_capacity;
	uint64_t turn;		/* in which it last contended as a child */
	struct resources unmet; /* to the guarantee */
	struct list *at;	/* launch.c's: the job that is looked at, of this priority */
	uint32_t priority, cursor, index;
};

struct share {
	struct role root;
	struct role **roles; /* by name */
	uint32_t count, capacity;
	struct resources total; /* the sum over all registered nodes, as books.c keeps it */
	uint64_t turn;
	struct resources available, required; /* of the turn at hand */
};

void share_init(struct share *s);
void share_fini(struct share *s);

/* --- the tree --- */
struct role *share_find(const struct share *s, const char *name);
/*
 * The role of this name, made if need be with all above it, for one more user; share_drop() when
 * that one is gone. A role without users, children, quota, weight and reservations is forgotten.
 * NULL: SHARE_ROLES_MAX is reached, or no memory.
 */
struct role *share_take(struct share *s, const char *name);
/* One more user of a role that is there. */
struct role *share_hold(struct role *r);
void share_drop(struct share *s, struct role *r);
static inline bool
role_is_top(const struct role *r)
{
	return r->parent != NULL && r->parent->parent == NULL;
}

void share_set_weight(struct role *r, uint32_t weight);
/* Guarantee <= limit, and a guarantee for top-level roles only: the caller checked it. */
void share_set_quota(struct role *r, const struct quota *q);
/* The quotas as they are go into a batch; that batch is stored. */
void share_quota_in_batch(struct share *s);
void share_quota_stored(struct share *s);
static inline bool
quota_is_none(const struct quota *q)
{
	return resources_is_zero(&q->guarantee) && q->limit.cpu_milli == QUOTA_NO_LIMIT &&
	       q->limit.memory_bytes == QUOTA_NO_LIMIT && q->limit.disk_bytes == QUOTA_NO_LIMIT;
}

/* --- what roles have --- */
void share_lease(struct role *r, const struct resources *need, uint32_t times);
void share_release(struct role *r, const struct resources *need);
/* Reservations for the role itself, and what of them is in use, change. */
void share_reserve(struct role *r, const struct resources *more, const struct resources *less);
void share_reserved_use(struct role *r, const struct resources *more, const struct resources *less);
/* So many tasks of unknown state more (or less, if negative). */
void share_unsettled(struct role *r, const struct resources *need, int64_t tasks);

/* Consumed of guarantee and limit, without tasks of unknown state. */
struct resources share_consumed(const struct role *r);
/* In units of 2^-40 of the cluster, weighted. */
#define SHARE_ONE (UINT64_C(1) << 40)
uint64_t share_of(const struct share *s, const struct role *r);

/* --- whose turn it is --- */
/* A turn begins, with this much free on nodes that take tasks. Nobody contends yet. */
void share_begin(struct share *s, const struct resources *available);
void share_contend(struct share *s, struct role *r);
/* All that contend are known. */
void share_ready(struct share *s);
/* The role whose job is next; NULL: nobody contends. */
struct role *share_pick(const struct share *s);
/* Nobody but this one contends: it may have as many as it likes. */
bool share_alone(const struct share *s);
/* The picked role got leases of so much that is not reserved. */
void share_granted(struct share *s, struct role *r, const struct resources *amount);
/* The picked role has nothing more that could be placed. */
void share_withdraw(struct share *s, struct role *r);

/* What bars a role from more: *at is the role that has the limit, or NULL. */
enum share_bar { SHARE_BAR_NOT, SHARE_BAR_LIMIT, SHARE_BAR_GUARANTEE };
struct share_barred {
	enum share_bar bar;
	enum resource resource;
	const struct role *at;
};
/*
 * How often the role may lease so much unreserved, at most `most`; if less, *why says what bars it.
 * During a turn.
 */
uint32_t share_room(const struct share *s, const struct role *r, const struct resources *need,
    uint32_t most, struct share_barred *why);
/*
 * The same by this role alone, and not by those above it, once it has given back so much that is
 * not reserved. *why is left as it is if nothing bars it.
 */
uint32_t share_room_at(const struct share *s, const struct role *r, const struct resources *need,
    const struct resources *back, uint32_t most, struct share_barred *why);

/* The sums up the tree agree. For tests and sampling. */
bool share_check(const struct share *s);

#endif
