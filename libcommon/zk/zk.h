/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ensemble's client: one session with a ZooKeeper ensemble (zkserver's or Apache's), kept over
 * changes of the server. Asynchronous, in the loop; session.h decides, this file moves bytes.
 *
 * A request made while there is no connection waits for one. A request that was sent when the
 * connection broke completes with ZK_CONNECTIONLOSS: it may or may not have been carried out.
 * Requests of one handle are carried out in the order in which they were made. A handle ends with
 * ZK_EXPIRED or ZK_AUTH_FAILED: everything completes, the owner frees it and makes a new one.
 *
 * Every request that was accepted (the call returned ZK_OK) completes exactly once, never from
 * within the call that made it. Callbacks may use the handle in any way, zk_free() included.
 */
#ifndef CORRAL_ZK_ZK_H
#define CORRAL_ZK_ZK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"
#include "libcommon/zk/proto.h"
#include "libcommon/zk/session.h"
#include "libcommon/codec/zk_err.h"

#define ZK_TIMEOUT_MS_DEFAULT 10000

struct zk;

/* Called for each change of state, from the loop, after the completions that the change brings. */
typedef void zk_state_fn(void *arg, struct zk *z, enum zk_state state);

/*
 * hosts: "HOST:PORT,..." (the port may be missing: 2181), tried in an order that is shuffled once.
 * tls NULL: plain; else referenced. timeout_ms is what is asked for, the ensemble decides.
 * NULL: the reason is in error[size].
 */
struct zk *zk_new(struct loop *loop, const char *hosts, struct tls *tls, uint32_t timeout_ms,
    zk_state_fn *on_state, void *arg, char *error, size_t size);

/*
 * The largest request that is sent, ZK_FRAME_BYTES_MAX unless set, at most ZK_UNSENT_BYTES_MAX.
 * A server that takes less closes the connection, so that it may look as if none served.
 */
void zk_set_request_bytes_max(struct zk *z, size_t bytes);

/*
 * Before the first turn of the loop: a server without a leader, which serves reads only, will do;
 * writes end with ZK_NOTREADONLY there.
 */
void zk_set_read_only(struct zk *z);

/*
 * End the session: what was made before is still sent, then the closing. The handle is gone after
 * closed() (may be NULL), which comes when the server has answered or after 2 s at the latest; if
 * it did not answer, ephemeral nodes stay until the session times out. No other callback comes
 * after the call but completions and lost watches.
 */
void zk_close(struct zk *z, void (*closed)(void *arg), void *arg);

/* Drop everything at once; the session is left to its time-out. Open requests and watches complete
 * with ZK_CLOSING and ZK_EVENT_LOST within the call; the state callback does not come any more. */
void zk_free(struct zk *z);

enum zk_state zk_state(const struct zk *z);
const char *zk_state_name(enum zk_state state);
int64_t zk_session_id(const struct zk *z);	    /* 0 before the first connection */
uint32_t zk_session_timeout_ms(const struct zk *z); /* as negotiated; before that as asked for */
const char *zk_server(const struct zk *z);	    /* "HOST:PORT" that is or was tried last */
/* Why the last connection failed, or the last that a host took; "" if none did. */
const char *zk_why(const struct zk *z);
size_t zk_failures(const struct zk *z); /* hosts that failed since the last session was up */
size_t zk_host_count(const struct zk *z);
/* Each host failed since, and none so much as took the connection, or with TLS, us. */
bool zk_is_refused(const struct zk *z);

/*
 * Requests. Everything is copied. Result: ZK_OK, or why the request was refused: ZK_BADARGUMENTS (a
 * bad path), ZK_TOOLARGE, ZK_OVERLOADED, ZK_NOMEMORY, ZK_SESSIONEXPIRED, ZK_AUTHFAILED, ZK_CLOSING;
 * then done() is not called. done NULL: nobody is told. watch NULL: none. zk_request() makes one of
 * any type but multi; the others are short for it.
 */
int zk_request(struct zk *z, const struct zk_op *op, const struct zk_watch *watch, zk_done_fn *done,
    void *arg);
int zk_create(struct zk *z, const char *path, const void *data, size_t size,
    const struct zk_acl *acls, size_t acl_count, int flags, zk_done_fn *done, void *arg);
int zk_delete(struct zk *z, const char *path, int32_t version, zk_done_fn *done, void *arg);
int zk_exists(
    struct zk *z, const char *path, const struct zk_watch *watch, zk_done_fn *done, void *arg);
int zk_get(
    struct zk *z, const char *path, const struct zk_watch *watch, zk_done_fn *done, void *arg);
int zk_set(struct zk *z, const char *path, const void *data, size_t size, int32_t version,
    zk_done_fn *done, void *arg);
int zk_children(
    struct zk *z, const char *path, const struct zk_watch *watch, zk_done_fn *done, void *arg);

/*
 * A persistent watch on a node that need not exist, on its data and children, or, recursive, on it
 * and all nodes below it (without ZK_EVENT_CHILDREN). What changes while there is no connection is
 * not told: whoever keeps a picture reads it again when the state is ZK_CONNECTED again. Servers
 * from 3.6 on. Up to 3.8 they have one watch of a session at a path: a one-shot watch on the same
 * path ends the persistent one there.
 */
int zk_add_watch(struct zk *z, const char *path, bool recursive, const struct zk_watch *watch,
    zk_done_fn *done, void *arg);

/*
 * Take off all watches of this path, one-shot ones too; each gets ZK_EVENT_LOST. ZK_NOWATCHER: the
 * server has none. local: they go even if the connection is lost meanwhile.
 */
int zk_remove_watches(struct zk *z, const char *path, bool local, zk_done_fn *done, void *arg);

int zk_get_acl(struct zk *z, const char *path, zk_done_fn *done, void *arg);
int zk_set_acl(struct zk *z, const char *path, const struct zk_acl *acls, size_t acl_count,
    int32_t aversion, zk_done_fn *done, void *arg);
int zk_sync(struct zk *z, const char *path, zk_done_fn *done, void *arg);

/* All of them or none. Types: the creates, ZK_OP_DELETE, ZK_OP_SET_DATA, ZK_OP_CHECK. */
int zk_multi(struct zk *z, const struct zk_op *ops, size_t count, zk_done_fn *done, void *arg);

/* Shown to this and to each later server; a refusal makes the state ZK_AUTH_FAILED. */
int zk_add_auth(struct zk *z, const char *scheme, const void *data, size_t size);

#endif
