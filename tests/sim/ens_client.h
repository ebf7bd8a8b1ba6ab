/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the simulated ensemble: what it has asked for, and what it holds the answers against.
 * Each reply, each event and each connection is judged by what is committed.
 */
#ifndef CORRAL_TESTS_SIM_ENS_CLIENT_H
#define CORRAL_TESTS_SIM_ENS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/rng.h"
#include "libcommon/codec/jute.h"
#include "zkserver/core/server.h"

#define ENS_REQUESTS_MAX 24
#define ENS_PARTS_MAX 3
#define ENS_PATH_BYTES 24
#define ENS_WATCHES_MAX 48
#define ENS_RECENT 4 /* names with numbers that a client remembers */
#define ENS_USERS 2
#define ENS_ACLS 5

struct ens;
struct ens_node;
struct txn_header;

/* What clients do besides the plain; a life has some of these. */
enum ens_kind {
	ENS_KIND_NUMBERS,    /* names with numbers */
	ENS_KIND_CONTAINERS, /* containers and nodes with a TTL */
	ENS_KIND_ACLS,
	ENS_KIND_WATCHES, /* of children, of what is not there, persistent ones; taken off again */
	ENS_KIND_LOCAL,	  /* sessions are local at first */
	ENS_KIND_UPGRADE, /* and may become everybody's */
	ENS_KIND_READ_ONLY,
	ENS_KIND_STRANGERS, /* come to sessions with wrong passwords */
	ENS_KIND_TIMEOUTS,  /* that are too short or too long are asked for */
	ENS_KIND_VERSIONS,  /* are asked for, too */
	ENS_KINDS
};

/* What a client asks for. Several parts are a multi. */
struct ens_part {
	int32_t op, flags, version;
	unsigned acl;  /* one of ENS_ACLS */
	uint64_t data; /* a hash */
	char path[ENS_PATH_BYTES];
};

struct ens_request {
	int32_t xid, op, mode; /* mode: of addWatch, removeWatches, checkWatches */
	unsigned count;
	struct ens_part parts[ENS_PARTS_MAX];
	bool watch;
	int64_t must_zxid; /* committed and answered by somebody when it was asked for */
};

/* In the server's two tables: as Apache's 3.8, one at a path in each, of the mode asked for last.
 */
struct ens_watch {
	enum watch_kind kind;
	enum watch_mode mode;
	bool exist; /* nothing was there */
	uint32_t hash;
	char path[ENS_PATH_BYTES];
};

/* Told when watches are set again: of what was missed. */
struct ens_missed {
	int32_t type;
	char path[ENS_PATH_BYTES];
};

struct ens_client {
	struct ens *e;
	unsigned number;
	struct rng rng;
	struct ens_node *node; /* NULL: away */
	uint64_t connection;
	struct server_conn core;
	struct buf out, in, wire;
	bool connected, read_only;     /* read_only: as the server has said */
	bool asks_read_only, stranger; /* in this connect request: it does not know the password */
	unsigned users;	  /* of ENS_USERS, a bit each: who it is, on every connection */
	bool asked_local; /* nobody else knew the session then */
	int64_t session, asked_session; /* asked: in this connect request */
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t asked_timeout_ms, timeout_ms, next_xid;
	int32_t least_timeout_ms; /* an election brings back the session's first one */
	int32_t floor_xid;	  /* requests up to here were made on earlier connections */
	int32_t floor_epoch;	  /* of the server that took the session over from them */
	int64_t seen_zxid, synced_zxid;
	struct ens_request requests[ENS_REQUESTS_MAX];
	size_t request_count;
	char recent[ENS_RECENT][ENS_PATH_BYTES];
	unsigned recent_count;
	struct ens_watch watches[ENS_WATCHES_MAX];
	size_t watch_count;
	size_t event_at; /* in the model's: those before were told, or are not of these watches */
	int64_t looked_zxid;   /* the server has applied so much, and it was told of all of that */
	int64_t relative_zxid; /* what was missed behind it is told when watches are set again */
	struct ens_missed missed[ENS_WATCHES_MAX];
	size_t missed_count;
	int64_t event_zxid;	   /* what it was last told of, on this connection */
	bool closing;		   /* it has asked for its session's end, and sends nothing more */
	int64_t asked_end;	   /* the session; what was forwarded may come late */
	int64_t committed_session; /* whose last committed request that is: */
	int32_t committed_cxid;
	struct ens_node *touched; /* who has heard of the session, as leader, in this life */
	uint64_t touched_life, touched_ms;
	uint64_t replies, sessions, expired, values, events;
};

/* ---- ens_client.c: connections ---- */

void ens_clients_init(struct ens *e);
void ens_clients_fini(struct ens *e);
void ens_clients_start(struct ens *e);
bool ens_clients_idle(const struct ens *e);
/* Deliver what the node's server has for its connections. False: there was nothing. */
bool ens_clients_serve(struct ens_node *n);
/* The node's process is gone. */
void ens_clients_gone(struct ens_node *n);

/* ---- ens_work.c: what they ask for ---- */

void ens_work_draw_kinds(struct ens *e);
bool ens_work_does(const struct ens *e, enum ens_kind kind);
/* Append a request's frame, without its length, and remember it. */
void ens_work_request(struct ens_client *c);
void ens_work_set_watches(struct ens_client *c);
void ens_work_auth(struct ens_client *c, unsigned user);
/* "digest", and what a client who is that user is known by. */
const char *ens_work_user(unsigned user);
/* May somebody who is these users do this? acl: the model's. */
bool ens_work_may(const struct ens *e, uint64_t acl, unsigned users, int32_t perm);

/* ---- ens_answer.c: the replies ---- */

/* A reply, behind its header. */
void ens_answer(struct ens_client *c, const struct ens_request *q, int64_t zxid, int32_t error,
    struct jute_reader r);

/* ---- ens_watch.c ---- */

/* A connection begins; a session does, without any. */
void ens_watch_connected(struct ens_client *c);
void ens_watch_forget(struct ens_client *c);
/* The server has it from this reply on. */
void ens_watch_add(
    struct ens_client *c, enum watch_kind kind, enum watch_mode mode, bool exist, const char *path);
bool ens_watch_has_room(const struct ens_client *c);
void ens_watch_event(struct ens_client *c, int64_t zxid, struct jute_reader r);
/* W1: a reply shows this zxid. */
void ens_watch_reply(struct ens_client *c, int64_t zxid);
/* The replies to setWatches, addWatch, checkWatches and removeWatches. */
void ens_watch_set_again(struct ens_client *c, int64_t zxid);
void ens_watch_answer(struct ens_client *c, const struct ens_request *q, int32_t error);
/* Append the lists of a setWatches2. */
void ens_watch_put(struct ens_client *c);
/* Behind a turn: who is connected there was told of all that is applied, and nobody else waits. */
void ens_watch_turn(struct ens_node *n);

/* ---- ens_session.c ---- */

/* When each transaction was committed. */
struct ens_time {
	int64_t zxid;
	uint64_t at_ms;
};

/* A session that ever was. */
struct ens_session {
	int64_t id;
	bool given;   /* a client was told of it */
	bool created; /* everybody knows it, since this epoch: */
	int32_t epoch;
	bool ending;	/* a leader has decided its end */
	bool read_only; /* of a server without a leader */
};

struct ens_sessions {
	struct ens_session *of;
	size_t count, cap;
	struct ens_time *times;
	size_t times_count, times_cap;
};

void ens_sessions_fini(struct ens *e);
/* A leader makes a transaction; it is committed. */
void ens_session_made(struct ens_node *n, const struct txn_header *h);
void ens_session_committed(struct ens_node *n, const struct txn_header *h);
/* The answer to a connect request. */
void ens_session_answered(struct ens_client *c, int32_t timeout_ms, int64_t session,
    struct jute_bytes password, bool read_only);
/* What a server makes of the timeout that the client asks for. */
int32_t ens_session_timeout(const struct ens_client *c);
/* Is it one that its server alone knows? */
bool ens_session_is_local(const struct ens *e, int64_t session);
/* C10: a read is answered at this zxid. */
void ens_session_read(struct ens_client *c, int64_t zxid);

#endif
