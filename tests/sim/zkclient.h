/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random clients of a simulated server: sessions that are opened, moved, left alone until they
 * expire, closed; every kind of request, several on their way at once; one-shot watches, or, at
 * every fourth client, persistent ones. Each frame that the server sends is checked against the
 * model (reliability of replies, order, watches).
 */
#ifndef CORRAL_TESTS_SIM_ZKCLIENT_H
#define CORRAL_TESTS_SIM_ZKCLIENT_H

#include "tests/sim/zknode.h"
#include "tests/sim/zkstream.h"

#define ZKCLIENT_MAX 12
#define ZKCLIENT_REQUESTS_MAX 32
#define ZKCLIENT_WATCHES_MAX 64
#define ZKCLIENT_PATH_BYTES 80
#define ZKCLIENT_DATA_BYTES 3000

enum zkclient_state { ZKCLIENT_AWAY, ZKCLIENT_CONNECTING, ZKCLIENT_CONNECTED };

/* What a multi is about, if it is about a quota. */
enum zkclient_quota { ZKCLIENT_QUOTA_NONE, ZKCLIENT_QUOTA_BEGINS, ZKCLIENT_QUOTA_ENDS };

struct zkclient_request {
	int32_t xid, op, version;
	enum zkclient_quota quota;
	bool watch;
	char path[ZKCLIENT_PATH_BYTES], data[ZKCLIENT_DATA_BYTES];
};

struct zkclient_watch {
	char path[ZKCLIENT_PATH_BYTES];
	bool children;
	int64_t since_zxid;
};

struct zkclient {
	struct zknode *node;
	unsigned number;
	struct rng rng;
	enum zkclient_state state;
	uint64_t connection; /* counts the connections; events of an earlier one are void */
	struct server_conn core;
	struct buf out, in; /* of the server's end: what it sends, what has arrived */
	struct buf wire;    /* sent, not yet arrived */
	int64_t session;
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout_ms, next_xid;
	int32_t least_timeout_ms; /* of the session's connections: a restarted server knows one of
				     them */
	bool closing;		  /* asked for the session's end on this connection */
	int64_t asked_session;	  /* the last session whose end it asked for */
	uint64_t heard_ms;	  /* when the server last took something of it */
	int64_t last_zxid;	  /* the highest one in a reply of this session */
	int64_t event_zxid;	  /* the change that the last event told of */
	struct zkclient_request requests[ZKCLIENT_REQUESTS_MAX]; /* on their way, in order */
	size_t request_count;
	struct zkclient_watch watches[ZKCLIENT_WATCHES_MAX];
	size_t watch_count;
	bool listens; /* has persistent watches, and no others */
	struct zkstream stream;
	bool quiet; /* the end of the run: no new requests */
	uint64_t replies, events, sessions, expired, exceeded;
};

bool zkclients_init(struct zknode *n);
void zkclients_fini(struct zknode *n);

/* Begin the random life of each; quiet ends it: what is on its way is still answered. */
void zkclients_start(struct zknode *n);
void zkclients_quiet(struct zknode *n, bool quiet);
bool zkclients_idle(const struct zknode *n);

/* Drop the connection, at both ends. */
void zkclient_cut(struct zkclient *c);

/* A list of ACLs that lets everybody do everything. */
void zkclient_put_acl(struct buf *b);

/* For the node: check and deliver what the server has for its connections, and let them go on. */
void zkclient_serve_all(struct zknode *n);

/* For the node: a record is on its way to the log. */
void zkclient_logged(struct zknode *n, const uint8_t *bytes, size_t size);

#endif
