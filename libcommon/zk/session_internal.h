/* SPDX-License-Identifier: Apache-2.0 */
/* The insides of a session: session.c has the connection's side, session_request.c the caller's. */
#ifndef CORRAL_ZK_SESSION_INTERNAL_H
#define CORRAL_ZK_SESSION_INTERNAL_H

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "libcommon/codec/jute.h"
#include "libcommon/zk/session.h"

enum link_state { LINK_DOWN, LINK_GREETING, LINK_READY };

/* A frame on its way: a caller's request (xid > 0), or one of the session's own. */
struct zk_request {
	struct list link; /* in control or unsent; then in sent; then in done */
	int32_t xid;
	enum zk_opcode type;
	zk_done_fn *done;
	void *arg;
	struct watch *watch; /* to be set when the answer says so */
	bool local;	     /* of ZK_OP_REMOVE_WATCHES: without an answer they go all the same */
	struct buf frame;
	struct zk_result result;
};

struct zk_auth {
	struct list link;
	char *scheme;
	uint8_t *data;
	size_t size;
};

struct zk_session {
	struct zk_session_config config;
	enum zk_state state, told; /* told: what the last ZK_OUTPUT_STATE said */
	enum link_state link;
	int64_t id, last_zxid;
	uint8_t password[ZK_PASSWORD_BYTES];
	uint32_t timeout_ms;
	uint64_t up_ms, received_ms, sent_ms;
	int32_t last_xid;
	struct list control; /* our own requests: sent first, never completed to anyone */
	struct list unsent, sent;
	struct list done;	  /* requests that completed and were not told */
	struct list fired;	  /* watches likewise: told after `done` */
	size_t request_bytes_max; /* of a caller's frame */
	bool read_only;		  /* a server without a leader is enough */
	size_t request_count, unsent_bytes, watch_asked_count;
	struct list auths;
	size_t auth_count;
	struct watches watches;
	const char *drop; /* why the link has to be dropped; NULL: it has not */
	bool closing, closed, closed_told;
};

/* Nothing is allocated for the frame yet, which may grow to bytes_max. NULL: no memory. */
struct zk_request *zk_request_new(enum zk_opcode type, int32_t xid, size_t bytes_max);
void zk_request_free(struct zk_request *q);
void zk_auth_free(struct zk_auth *a);

/* Expired, or not authenticated: there will be no other state. */
bool zk_session_is_final(const struct zk_session *s);

/* What a server tells of a change. */
void zk_session_event(struct zk_session *s, struct jute_reader *r);

/* Do what the end of a request means for watches. False: no memory to set one. */
bool zk_session_watch_answered(struct zk_session *s, struct zk_request *q, int rc);

/* Queue an auth packet. What cannot be made for want of memory costs the connection. */
void zk_session_send_auth(struct zk_session *s, const struct zk_auth *a);

#endif
