/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session with a ZooKeeper ensemble as a client holds it: a pure state machine. Inputs are what
 * the link does, the time, and the caller's requests; outputs are frames to send, completions,
 * watches that fired, changes of state. zk.h is its shell. Source: ClientCnxn of Apache ZooKeeper
 * 3.8: a ping after a third of the session's time-out without sending, a dead connection after two
 * thirds without receiving, watches set again after a change of server.
 */
#ifndef CORRAL_ZK_SESSION_H
#define CORRAL_ZK_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/hash.h"
#include "libcommon/zk/proto.h"
#include "libcommon/zk/watches.h"

#define ZK_REQUESTS_MAX 65536		/* not yet answered: more are refused with ZK_OVERLOADED */
#define ZK_UNSENT_BYTES_MAX (64u << 20) /* waiting for a connection: the same */
#define ZK_WATCHES_MAX (1u << 20)	/* set, or asked for: the same */
#define ZK_AUTHS_MAX 16			/* the same */
#define ZK_SET_WATCHES_BYTES (128u << 10) /* of paths in one request after a change of server */
#define ZK_PING_MS_MAX 10000		  /* a ping at least so often, however long the time-out */

enum zk_state {
	ZK_CONNECTING, /* no session yet */
	ZK_CONNECTED,
	ZK_SUSPENDED,	/* the connection is lost, the session may live: reconnecting */
	ZK_EXPIRED,	/* final: the ensemble ended the session, its ephemeral nodes are gone */
	ZK_AUTH_FAILED, /* final */
};

typedef void zk_done_fn(void *arg, const struct zk_result *result);

struct zk_session;

struct zk_session_config {
	uint32_t timeout_ms;	     /* what is asked for */
	uint32_t connect_timeout_ms; /* from a link that is up to the session's being up */
	struct hash_key hash;
};

enum zk_output_type {
	ZK_OUTPUT_DONE,	 /* a request completed: call done(arg, &result) */
	ZK_OUTPUT_EVENT, /* a watch fired: watch->call */
	ZK_OUTPUT_STATE, /* the state is another one */
	ZK_OUTPUT_DROP,	 /* close the link and say zk_session_down() with this `why` */
	ZK_OUTPUT_CLOSED /* the closing is complete: free the session */
};

struct zk_output {
	enum zk_output_type type;
	zk_done_fn *done;
	void *arg;
	struct zk_result result; /* of DONE */
	struct watch *watch;	 /* of EVENT */
	enum zk_state state;
	const char *why;
};

struct zk_session *zk_session_new(const struct zk_session_config *config); /* NULL: no memory */
void zk_session_free(struct zk_session *s); /* accepts NULL; completes nothing */

/* The largest frame of a request that is taken from now on, ZK_FRAME_BYTES_MAX before. */
void zk_session_set_request_bytes_max(struct zk_session *s, size_t bytes);
/* From the next link on also a server without a leader will do, which takes no writes. */
void zk_session_set_read_only(struct zk_session *s);

/* The link is up, is down, has received a frame; time has passed. Frames are read, not kept. */
void zk_session_up(struct zk_session *s, uint64_t now_ms);
void zk_session_down(struct zk_session *s);
void zk_session_frame(struct zk_session *s, uint64_t now_ms, const uint8_t *bytes, size_t size);
void zk_session_tick(struct zk_session *s, uint64_t now_ms);
uint64_t zk_session_deadline_ms(
    const struct zk_session *s); /* of the next tick; UINT64_MAX: none */

/*
 * The next frame for the link, NULL if none may be sent now; once the link has taken it, say so
 * with the time that was read before it was handed over.
 */
const uint8_t *zk_session_unsent(const struct zk_session *s, size_t *size);
void zk_session_sent(struct zk_session *s, uint64_t now_ms);

/* Take the next output; false: none is left. zk_output_fini() releases what it holds. */
bool zk_session_next(struct zk_session *s, struct zk_output *out);
void zk_output_fini(struct zk_output *out);

/* As zk_get() and so on of zk.h have it. */
int zk_session_request(struct zk_session *s, const struct zk_op *op, const struct zk_watch *watch,
    zk_done_fn *done, void *arg);
int zk_session_multi(
    struct zk_session *s, const struct zk_op *ops, size_t count, zk_done_fn *done, void *arg);
int zk_session_add_auth(struct zk_session *s, const char *scheme, const void *data, size_t size);

/* Close the session after what was requested before; then ZK_OUTPUT_CLOSED comes. */
void zk_session_close(struct zk_session *s);

/* Give up: all requests complete with this code, all watches are lost. */
void zk_session_abandon(struct zk_session *s, int rc);

enum zk_state zk_session_state(const struct zk_session *s);
int64_t zk_session_get_id(const struct zk_session *s);
uint32_t zk_session_get_timeout_ms(const struct zk_session *s);
size_t zk_session_outstanding(const struct zk_session *s);

#endif
