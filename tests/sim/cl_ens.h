/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ensemble's model share. */
#ifndef CORRAL_TESTS_SIM_CL_ENS_H
#define CORRAL_TESTS_SIM_CL_ENS_H

#include "tests/sim/cl_zk.h"

#define CL_SESSION_FIRST 0x1000

enum cl_prop_kind { PROP_WRITE, PROP_OPEN, PROP_CLOSE };

struct cl_proposal {
	int origin; /* the server whose client waits; -1: none */
	enum cl_prop_kind kind;
	bool moved; /* it came by way of a server that the session has left */
	int64_t session;
	int32_t xid;
	uint8_t *ops;
	size_t size;
	uint64_t commit; /* its number; 0: not agreed on */
};

struct cl_reign {
	struct list link;
	uint64_t epoch, zxid_epoch;
	uint32_t zxid_from;
	unsigned leader;
	struct cl_reign *base; /* the history that it began with ended there */
	unsigned base_count;
	bool closed; /* another one was elected */
	struct cl_proposal *props;
	unsigned count, cap, agreed_count, told_count;
};

struct cl_commit {
	int64_t zxid, session;
	int origin;
	int32_t xid;
	enum cl_prop_kind kind;
	struct cl_outcome outcome;
};

/* By the server that leads, where it says so: what each believes. */
struct cl_session {
	bool alive;
	uint32_t timeout_ms;
	const struct cl_reign *closing;
	uint64_t expires_ms[CL_SERVERS_MAX];
	int owner[CL_SERVERS_MAX];
	bool touched[CL_SERVERS_MAX]; /* at a follower, not told to the leader yet */
};

enum cl_role { LOOKING, FOLLOWING, LEADING };

struct cl_follower {
	struct cl_conn *conn;
	bool synced;
	unsigned logged; /* proposals of this reign */
	uint64_t heard_ms;
};

struct cl_server {
	struct cl_ens *e;
	unsigned number;
	struct cl_proc proc;
	struct cl_listener peers, port;
	enum cl_role role;
	bool active;		    /* serves clients */
	struct cl_reign *reign;	    /* promised */
	struct cl_reign *log_reign; /* whose proposals its log ends with, and how many */
	unsigned logged;
	uint64_t applied;
	uint64_t known; /* commits up to this one it has heard of */
	bool behind;	/* ... and applies them later */
	struct cl_conn *leader_conn;
	uint64_t heard_ms, led_ms;
	struct cl_follower follower[CL_SERVERS_MAX];
	struct list clients;
};

struct cl_ens {
	struct cl *c;
	unsigned count;
	struct rng rng;
	struct cl_server servers[CL_SERVERS_MAX];
	struct list reigns;
	uint64_t epoch;	     /* of the last reign: never goes back */
	uint64_t zxid_epoch; /* ... in zxids: does when a copy is restored */
	uint32_t zxid_from;
	struct cl_copy *copy;
	struct cl_tree tree;
	struct cl_session *sessions;
	size_t session_count, session_cap;
	struct cl_commit *commits; /* from 1 on */
	size_t commit_count, commit_cap;
};

enum cl_sm_type {
	SM_JOIN,
	SM_SYNC,
	SM_SYNCED,
	SM_PROPOSE,
	SM_ACK,
	SM_COMMIT,
	SM_PING,
	SM_TOUCH,
	SM_WRITE,
	SM_VALIDATE,
	SM_VALID,
};

struct cl_sm {
	enum cl_sm_type type;
	unsigned from;
	uint64_t number, epoch, upto;
	int64_t session;
	int32_t xid;
	enum cl_prop_kind kind;
	bool valid;
	uint32_t size; /* of the body behind it */
};

/* cl_ens_book.c */
int64_t cl_session_new(struct cl_ens *e, uint32_t timeout_ms);
struct cl_session *cl_session_at(const struct cl_ens *e, int64_t id); /* NULL: there was none */
/* All that there was when the reign began, and its own up to proposal `count`. */
void cl_agree_all(struct cl_ens *e, struct cl_reign *r, unsigned count);

/* The last commit is what a copy ends with. */
void cl_commit_restored(struct cl_ens *e, int64_t zxid);

/* cl_ens_copy.c */
void cl_ens_copy_free(struct cl *c);

/* cl_ens.c */
void cl_touch(struct cl_server *s, int64_t session);
void cl_propose(struct cl_server *s, const struct cl_proposal *p);
/* A client's write, on to the leader. */
void cl_server_write(struct cl_server *s, int64_t session, int32_t xid, enum cl_prop_kind kind,
    const uint8_t *ops, size_t size);
void cl_server_validate(struct cl_server *s, int64_t session);

/* cl_clients.c: a server's clients */
void *cl_clients_accept(void *owner, struct cl_conn *conn, const struct cl_end_ops **ops);
void cl_clients_applied(struct cl_server *s, const struct cl_commit *m);
void cl_clients_validated(struct cl_server *s, int64_t session, bool valid);
void cl_clients_drop(struct cl_server *s);

#endif
