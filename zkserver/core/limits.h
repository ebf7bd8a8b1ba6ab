/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much clients may make the server hold: nodes, memory, sessions, and ephemeral nodes of one
 * session. A request beyond fails, and is counted; nothing that exists is touched. What is on its
 * way to the log is not counted, so that a burst may pass a limit by as much.
 */
#ifndef CORRAL_ZKSERVER_CORE_LIMITS_H
#define CORRAL_ZKSERVER_CORE_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "zkserver/core/throttle.h"
#include "zkserver/core/tree.h"

/* What a node takes besides its path and data, about. */
#define LIMITS_NODE_BYTES 128

/* A path that is made is no longer and no deeper: what walks up or down has its end. */
#define LIMITS_PATH_BYTES_MAX 4096
#define LIMITS_DEPTH_MAX 256

/* 0: no limit. */
struct limits {
	uint64_t memory_bytes; /* of the tree, about */
	uint32_t nodes;
	uint32_t ephemerals; /* of one session */
	uint32_t sessions;
	struct throttle_rate connects;
	uint32_t connect_cost, reconnect_cost; /* tokens of `connects` */
};

enum limit {
	LIMIT_MEMORY,
	LIMIT_NODES,
	LIMIT_EPHEMERALS,
	LIMIT_SESSIONS,
	LIMIT_CONNECTS,
	LIMIT_PATH,
	LIMIT_REPLY, /* SERVER_REPLY_BYTES_MAX */
	LIMIT_COUNT,
};

struct limits_refused {
	uint64_t count[LIMIT_COUNT];
};

/* A write, as far as it matters here. */
struct limits_write {
	int64_t session;
	int32_t type;  /* of enum zk_opcode */
	int32_t flags; /* of a create */
	struct jute_bytes path;
};

/* May it be? ZK_OK; ZK_QUOTAEXCEEDED, or ZK_BADARGUMENTS for its path, and it is counted. */
int limits_check(const struct limits *l, struct limits_refused *refused, const struct tree *t,
    const struct limits_write *w);

#endif
