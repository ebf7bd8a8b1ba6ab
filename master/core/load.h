/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a new leader reads from the ensemble, in which order, and what it makes of it: quotas and
 * weights before all else, since nothing is placed without them; the registry, the reservations on
 * its agents, the join tokens; then the jobs, each with its state, its results and where its
 * singletons run. A core: load_next() says what to read, load_node() and load_listed() take what
 * was there.
 */
#ifndef CORRAL_MASTER_LOAD_H
#define CORRAL_MASTER_LOAD_H

#include "master/core/cluster.h"

enum { LOAD_PATH_MAX = 160 };

struct load_ops {
	/* What a job's text says, for cluster_load_job(); NULL with the reason in error[size]. */
	void *(*parse)(const char *name, const char *text, size_t text_size, uint32_t *count,
	    struct job_policy *policy, char *error, size_t size);
	/* A node that cannot be read, and what comes of that. The rest is loaded all the same. */
	void (*left_alone)(void *arg, const char *path, const char *why);
};

/* Into a cluster that was just made; ops and arg are borrowed. NULL: no memory. */
struct load *load_new(struct cluster *c, const struct load_ops *ops, void *arg);
void load_free(struct load *l); /* NULL: nothing */

/* DONE: the cluster has all. FAILED: load_error() says where and why; leadership is given up. */
enum load_step { LOAD_NODE, LOAD_CHILDREN, LOAD_DONE, LOAD_FAILED };
enum load_step load_next(struct load *l);
const char *load_path(const struct load *l); /* of the node that is to be read */
const char *load_error(const struct load *l);

/* The answer to LOAD_NODE; found false: there is no such node. */
void load_node(struct load *l, bool found, int64_t czxid, const void *data, size_t size);
/* The answer to LOAD_CHILDREN. */
void load_listed(struct load *l, const char *const *names, size_t count);
/* It could not be answered. */
void load_fail(struct load *l, const char *why);

#endif
