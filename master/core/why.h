/* SPDX-License-Identifier: Apache-2.0 */
/* Why a task of a job waits: what bars its role, and what each node lacks, counted. */
#ifndef CORRAL_MASTER_WHY_H
#define CORRAL_MASTER_WHY_H

#include "master/core/cluster.h"

/* The first thing that a node lacks, in this order. */
enum why_kind {
	WHY_FITS,
	WHY_STATE,
	WHY_DRAINED,
	WHY_SINGLETON,
	WHY_CONSTRAINT,
	WHY_HELD,
	WHY_CPU,
	WHY_MEMORY,
	WHY_DISK,
	WHY_KINDS
};

struct why_sum {
	uint32_t looked_at, nodes[WHY_KINDS];
	struct resources most_free;  /* of each resource, on nodes that lack it first */
	struct resources most_total; /* of each resource, on any node */
	const char *lacks;	     /* what the first node lacks that takes no singletons */
	const char *held_for;	     /* a job for which a node is held; NULL: none is */
	struct share_barred barred;
	bool unsettled; /* tasks of unknown state count against the limit that bars */
	/* Of a limit that bars: it, and what counts against it. Of a guarantee: what is free, and
	 * what is kept for others. */
	uint64_t bound, taken;
};

enum why_kind cluster_why_node(const struct cluster *c, const struct job *j, const struct agent *a);
/* Not during a turn. */
void cluster_why(struct cluster *c, const struct job *j, struct why_sum *sum);

#endif
