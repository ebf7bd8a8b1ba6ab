/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotas: of a path /p, the node /zookeeper/quota/p/zookeeper_limits says what may lie at and below
 * it, and zookeeper_stats, which the server keeps, what does. Both are text that Apache's tools
 * write and read: "count=N,bytes=M=;byteHardLimit=B;countHardLimit=C", the parts behind the odd '='
 * only where there are hard limits. Clients make and remove the nodes; the deepest quota above a
 * node is the one that counts it.
 */
#ifndef CORRAL_ZKSERVER_CORE_QUOTA_H
#define CORRAL_ZKSERVER_CORE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "zkserver/core/tree.h"

/* Nodes and bytes of data; -1: no limit, or not known. */
struct quota {
	int64_t count, bytes, count_hard, bytes_hard;
};

struct quota quota_parse(struct jute_bytes text);

/* What was exceeded: how often so far, and the last one in words. */
struct quota_notice {
	uint64_t count;
	char text[256];
};

/*
 * May the path have so many more bytes and nodes, judged by what is applied? ZK_OK, with a soft
 * limit's notice; or ZK_QUOTAEXCEEDED where a hard limit says no, with one as well.
 */
int quota_check(const struct tree *t, struct jute_bytes path, int64_t bytes, int64_t count,
    struct quota_notice *notice);

/* The path has so many more bytes and nodes (or fewer). False: no memory. */
bool quota_add(struct tree *t, struct jute_bytes path, int64_t bytes, int64_t count);

/* This node was made: if it is a zookeeper_stats, count what it is for. False: no memory. */
bool quota_created(struct tree *t, const struct tree_node *n);

/* A snapshot was loaded: count for each quota. False: no memory. */
bool quota_recount(struct tree *t);

/* Is it a zookeeper_limits? (For the tree, which counts them.) */
bool quota_is_limits(const struct tree_node *n);

#endif
