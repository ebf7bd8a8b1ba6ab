/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model of an ensemble, as far as masters and agents can see it: one order of writes, agreed on
 * by quorums of reigns; servers that know a prefix of it, and that go on answering pings and reads
 * for syncLimit ticks after they were cut off, while the touches of their sessions reach nobody;
 * sessions, ephemeral and sequential nodes, multi, and a watch on the children of /corral/master.
 * And the client's handle, with the shipped one's ways (libcommon/zk/zk.h).
 */
#ifndef CORRAL_TESTS_SIM_CL_ZK_H
#define CORRAL_TESTS_SIM_CL_ZK_H

#include "libcommon/base/hmap.h"
#include "tests/sim/cl.h"

#define CL_ELECTION "/corral/master"
#define CL_CANDIDATE "json.info_"
#define CL_PATH_BYTES 160

/* ---- The tree, with its past (cl_tree.c) ---- */

struct cl_version {
	uint64_t at; /* number of the commit that made it so */
	bool exists;
	int64_t czxid, owner;
	uint8_t *data;
	size_t size;
};

struct cl_node {
	struct hmap_node by_path;
	char path[CL_PATH_BYTES];
	struct cl_version *versions;
	size_t count, cap;
	uint32_t sequence;
};

struct cl_tree {
	struct hmap nodes;
};

enum cl_op_kind { CL_OP_CREATE, CL_OP_SET, CL_OP_DELETE, CL_OP_CHECK };

struct cl_op {
	enum cl_op_kind kind;
	bool ephemeral; /* and sequential */
	const char *path;
	const void *data;
	size_t size;
};

enum cl_rc {
	CL_OK = 0,
	CL_NONODE = -101,
	CL_NODEEXISTS = -110,
	CL_EXPIRED = -112,
	CL_MOVED = -118,
	CL_LOSS = -4,
};

struct cl_outcome {
	int rc;
	size_t failed_at;	  /* the operation that failed */
	char path[CL_PATH_BYTES]; /* of what was created */
	int64_t czxid;
	bool election; /* the children of CL_ELECTION changed */
};

void cl_tree_init(struct cl_tree *t);
void cl_tree_fini(struct cl_tree *t);
/* As commit number `at` with this zxid; all or nothing. */
void cl_tree_apply(struct cl_tree *t, uint64_t at, int64_t zxid, int64_t session,
    const uint8_t *ops, size_t size, struct cl_outcome *o);
/* The session is over: its ephemeral nodes go. True: some did. */
bool cl_tree_end_session(struct cl_tree *t, uint64_t at, int64_t session);
/* As commit number `at`, whatever there was: as in v, NULL: nothing. */
void cl_tree_set(struct cl_tree *t, const char *path, uint64_t at, const struct cl_version *v,
    uint32_t sequence);
/* The node as it was after commit `at`; NULL: there was none. */
const struct cl_version *cl_tree_get(const struct cl_tree *t, const char *path, uint64_t at);
/* Names of the children, each with its NUL, in no certain order; gives how many. */
unsigned cl_tree_children(
    const struct cl_tree *t, const char *path, uint64_t at, struct buf *names);

/* Operations as bytes: what is sent, proposed and applied. */
void cl_ops_put(struct buf *b, const struct cl_op *op);
bool cl_ops_get(const uint8_t **at, const uint8_t *end, struct cl_op *op);

/* ---- Between client and server ---- */

enum cl_zm_type {
	ZM_CONNECT, /* session (0: a new one), zxid seen */
	ZM_PING,
	ZM_WRITE,    /* ops */
	ZM_GET,	     /* path */
	ZM_CHILDREN, /* path, watch */
	ZM_WATCH,    /* the watch that was set on another server; zxid seen */
	ZM_CLOSE,
	ZM_CONNECTED, /* session, 0: it is over */
	ZM_PONG,
	ZM_REPLY,
	ZM_EVENT,
};

struct cl_zm {
	enum cl_zm_type type;
	bool watch;
	int32_t xid, rc;
	uint32_t count, failed_at; /* children */
	int64_t session, zxid, czxid, owner;
	uint32_t size; /* of the body behind it */
};

/* ---- The ensemble (cl_ens.c) ---- */

void cl_ens_new(struct cl *c);
void cl_ens_free(struct cl *c);
const struct cl_listener *cl_ens_listener(const struct cl *c, unsigned server);
void cl_ens_crash(struct cl *c, unsigned server, uint64_t down_ms);
struct cl_proc *cl_ens_proc(struct cl *c, unsigned server);
/* The server that leads, -1: none does. */
int cl_ens_leader(const struct cl *c);
/* The server that a session's client is connected to; -1: none. */
int cl_ens_server_of(const struct cl *c, int64_t session);
/* The tree as it is agreed on, and its last commit's number. */
const struct cl_tree *cl_ens_tree(const struct cl *c, uint64_t *at);
/* Has this session's end not been agreed on? */
bool cl_ens_session_lives(const struct cl *c, int64_t session);
/* Make a copy, in place of an earlier one; begin anew from it, when all masters are stopped. */
void cl_ens_copy(struct cl *c);
bool cl_ens_has_copy(const struct cl *c);
void cl_ens_restore(struct cl *c);
/* A follower goes on serving, and for so long applies nothing that is agreed on. */
void cl_ens_fall_behind(struct cl *c, unsigned server, uint64_t ms);
/* Somebody who is neither master nor agent writes this. False: nobody can now. */
bool cl_ens_write(struct cl *c, const struct buf *ops, uint32_t timeout_ms);
/*
 * A session of nobody's has so many nodes in the election's directory until it expires: of masters
 * that are dead. False: nobody could write that now.
 */
bool cl_ens_haunt(struct cl *c, unsigned count, uint32_t timeout_ms);
/* End a session as if it had expired. */
void cl_ens_expire(struct cl *c, int64_t session);

/* ---- The client's handle (cl_zk.c) ---- */

struct cl_zk_result {
	int rc;
	const uint8_t
	    *data; /* of a node; names of children, each with its NUL; a path that was made */
	size_t size;
	unsigned count, failed_at;
	int64_t czxid, owner;
};

typedef void cl_zk_then(void *owner, const struct cl_zk_result *r, uintptr_t arg);

enum cl_zk_state { CL_ZK_CONNECTING, CL_ZK_CONNECTED, CL_ZK_SUSPENDED, CL_ZK_EXPIRED };

struct cl_zk;

struct cl_zk_ops {
	void (*state)(void *owner, enum cl_zk_state state);
	void (*changed)(void *owner); /* the watch on CL_ELECTION's children fired */
	void (*pinged)(void *owner, uint64_t sent_ms); /* may be NULL: a ping was answered */
};

struct cl_zk *cl_zk_new(struct cl_proc *p, const struct cl_zk_ops *ops, void *owner);
/* The session is ended, if the server can be told. */
void cl_zk_close(struct cl_zk *z);
/* The process is gone: nobody is told. */
void cl_zk_free(struct cl_zk *z);
/* At the very end: the memory of all handles. */
void cl_zk_free_all(struct cl *c);
int64_t cl_zk_session(const struct cl_zk *z);
enum cl_zk_state cl_zk_state(const struct cl_zk *z);
/* Callbacks as of zk.h: what was sent when the connection broke has CL_LOSS. */
void cl_zk_get(struct cl_zk *z, const char *path, cl_zk_then *then, uintptr_t arg);
void cl_zk_children(struct cl_zk *z, const char *path, bool watch, cl_zk_then *then, uintptr_t arg);
void cl_zk_write(struct cl_zk *z, const struct buf *ops, cl_zk_then *then, uintptr_t arg);
void cl_zk_tick(struct cl_zk *z);
uint64_t cl_zk_deadline(const struct cl_zk *z); /* boot time */

#endif
