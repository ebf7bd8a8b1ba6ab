/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server's tree must be: a plain replay of the log's records, with every state that a path
 * ever had, so that a reply can be checked against the moment that it speaks of. Shares the
 * decoding of records with the server, and nothing else.
 */
#ifndef CORRAL_TESTS_SIM_MODEL_H
#define CORRAL_TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/codec/jute.h"

#define MODEL_SESSIONS_MAX 4096

/* A path from one zxid on. */
struct model_state {
	int64_t zxid;
	bool exists;
	int64_t czxid, mzxid, pzxid, ctime, mtime, owner;
	int32_t version, cversion, aversion;
	int32_t children, changes; /* there are, and creates and deletes of them */
	uint64_t acl;		   /* model_acl() of its list */
	uint8_t *data;
	int32_t len; /* -1: null */
};

struct model_node {
	char *path; /* "" is the root */
	uint32_t hash;
	struct model_state *states;
	size_t count, cap;
};

/* What watchers are told of, in the order in which it happened. */
struct model_event {
	int64_t zxid;
	int32_t type;	  /* as on the wire */
	uint32_t hash;	  /* model_hash() of the path */
	const char *path; /* borrowed */
	uint64_t acl;	  /* by which it may be told: the node's, as it was last */
};

struct model_record {
	uint8_t *bytes;
	size_t size;
};

struct model {
	struct model_record *records; /* of zxid 1, 2, ... as the server handed them out */
	size_t record_count, record_cap;
	int64_t applied; /* records up to here make up the nodes */
	struct model_node *nodes;
	size_t node_count, node_cap;
	uint32_t *index; /* of the nodes, plus one, by their paths' hash; 0: free */
	size_t index_size;
	struct model_event *events;
	size_t event_count, event_cap;
	int64_t sessions[MODEL_SESSIONS_MAX]; /* those that exist */
	size_t session_count;
	char wrong[160]; /* what no record may do was done */
};

void model_init(struct model *m);
void model_fini(struct model *m);

/* Take the record of the zxid that comes next. */
void model_record(struct model *m, const uint8_t *bytes, size_t size);

/* Apply one that is committed; of an ensemble, whose zxids are not one behind the other. */
void model_apply(struct model *m, const uint8_t *bytes, size_t size);

/* What stands for a path, and for an ACL (the bytes of its list, the count included). */
uint32_t model_hash(const char *path);
uint64_t model_acl(struct jute_bytes list);

/* Apply records up to zxid. */
void model_advance(struct model *m, int64_t zxid);

/* A recovery came out at zxid: later records never were. */
void model_rewind(struct model *m, int64_t zxid);

/* The tree's digest (version 2) as it is now. */
uint64_t model_digest(const struct model *m);

/* The state of a path at a zxid; NULL while it had none. */
const struct model_state *model_at(const struct model *m, const char *path, int64_t zxid);
bool model_exists(const struct model *m, const char *path, int64_t zxid);
int32_t model_children(const struct model *m, const char *path, int64_t zxid);
bool model_has_session(const struct model *m, int64_t session);

/* Nodes, and bytes of data, at the path and below it. */
void model_count(const struct model *m, const char *path, int64_t *count, int64_t *bytes);

/* Containers that were used and TTL nodes whose time is over, without children. */
size_t model_reapable(const struct model *m, int64_t wall_ms);

/* The session's end is on its way to the log. */
bool model_is_ending(const struct model *m, int64_t session);

/* The first event behind a zxid, as an index of m->events. */
size_t model_events_after(const struct model *m, int64_t zxid);

/* The first zxid after `after` at which a watch on the path fires: of its data, or of its children;
 * 0: none yet. */
int64_t model_fires(const struct model *m, const char *path, bool children, int64_t after);

#endif
