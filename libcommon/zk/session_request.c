/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller asks of a session: requests, authentication, closing. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/zk/session_internal.h"

#define SCHEME_BYTES_MAX 256

void
zk_session_set_request_bytes_max(struct zk_session *s, size_t bytes)
{
	assert(bytes <= ZK_UNSENT_BYTES_MAX);
	s->request_bytes_max = bytes;
}

void
zk_session_set_read_only(struct zk_session *s)
{
	s->read_only = true;
}

/* ZK_OK, or why no request is taken now. */
static int
session_refusal(const struct zk_session *s)
{
	if (s->closing)
		return ZK_CLOSING;
	if (s->state == ZK_EXPIRED)
		return ZK_SESSIONEXPIRED;
	if (s->state == ZK_AUTH_FAILED)
		return ZK_AUTHFAILED;
	return s->request_count < ZK_REQUESTS_MAX ? ZK_OK : ZK_OVERLOADED;
}

static int32_t
session_next_xid(struct zk_session *s)
{
	s->last_xid = s->last_xid < INT32_MAX ? s->last_xid + 1 : 1;
	return s->last_xid;
}

/* A request of the caller's. Its frame may outgrow what may be sent: session_queue() says so then.
 */
static struct zk_request *
session_request_new(struct zk_session *s, enum zk_opcode type, zk_done_fn *done, void *arg)
{
	struct zk_request *q = zk_request_new(type, session_next_xid(s), ZK_UNSENT_BYTES_MAX);

	if (q != NULL) {
		q->done = done;
		q->arg = arg;
	}
	return q;
}

/* Takes q. */
static int
session_queue(struct zk_session *s, struct zk_request *q)
{
	int rc = ZK_OK;

	if (q->frame.failed)
		rc = ZK_NOMEMORY;
	else if (q->frame.len > s->request_bytes_max)
		rc = ZK_TOOLARGE;
	else if (s->unsent_bytes + q->frame.len > ZK_UNSENT_BYTES_MAX)
		rc = ZK_OVERLOADED;
	if (rc != ZK_OK) {
		zk_request_free(q);
		return rc;
	}
	s->unsent_bytes += q->frame.len;
	s->watch_asked_count += q->watch != NULL;
	s->request_count++;
	list_append(&s->unsent, &q->link);
	return ZK_OK;
}

/* What can be said against one part before anything is encoded. */
static int
op_refusal(const struct zk_session *s, const struct zk_op *op)
{
	if (op->type != ZK_OP_WHO_AM_I && zk_path_fault(op->path) != NULL)
		return ZK_BADARGUMENTS;
	return op->size <= s->request_bytes_max && op->acl_count <= ZK_FRAME_BYTES_MAX
		   ? ZK_OK
		   : ZK_TOOLARGE;
}

int
zk_session_request(struct zk_session *s, const struct zk_op *op, const struct zk_watch *watch,
    zk_done_fn *done, void *arg)
{
	static const struct zk_watch nobody;
	int rc = session_refusal(s);
	struct zk_request *q;

	if (rc == ZK_OK)
		rc = op_refusal(s, op);
	if (rc == ZK_OK && watch != NULL &&
	    s->watches.map.count + s->watch_asked_count >= ZK_WATCHES_MAX)
		rc = ZK_OVERLOADED;
	if (rc != ZK_OK)
		return rc;
	q = session_request_new(s, op->type, done, arg);
	if (q == NULL)
		return ZK_NOMEMORY;
	if (watch == NULL && op->type == ZK_OP_REMOVE_WATCHES)
		watch = &nobody; /* it holds the path until the answer */
	if (watch != NULL) {
		q->watch = watch_new(watch, op->path);
		if (q->watch == NULL) {
			zk_request_free(q);
			return ZK_NOMEMORY;
		}
		q->watch->kind =
		    op->flags == ZK_ADD_WATCH_RECURSIVE ? WATCH_RECURSIVE : WATCH_PERSISTENT;
	}
	q->local = op->local;
	zk_request_encode(&q->frame, q->xid, op, watch != NULL);
	return session_queue(s, q);
}

int
zk_session_multi(
    struct zk_session *s, const struct zk_op *ops, size_t count, zk_done_fn *done, void *arg)
{
	int rc = session_refusal(s);
	struct zk_request *q;

	for (size_t i = 0; i < count && rc == ZK_OK; i++)
		rc = op_refusal(s, &ops[i]);
	if (rc != ZK_OK)
		return rc;
	q = session_request_new(s, ZK_OP_MULTI, done, arg);
	if (q == NULL)
		return ZK_NOMEMORY;
	zk_multi_encode(&q->frame, q->xid, ops, count);
	return session_queue(s, q);
}

static struct zk_auth *
auth_new(const char *scheme, const void *data, size_t size)
{
	struct zk_auth *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	list_init(&a->link);
	a->scheme = strdup(scheme);
	a->data = malloc(size + 1); /* not zero bytes */
	a->size = size;
	if (a->scheme == NULL || a->data == NULL) {
		zk_auth_free(a);
		return NULL;
	}
	if (size > 0)
		memcpy(a->data, data, size);
	return a;
}

int
zk_session_add_auth(struct zk_session *s, const char *scheme, const void *data, size_t size)
{
	int rc = session_refusal(s);
	struct zk_auth *a;

	if (rc == ZK_OK && s->auth_count >= ZK_AUTHS_MAX)
		rc = ZK_OVERLOADED;
	if (rc == ZK_OK && (size > ZK_FRAME_BYTES_MAX / 2 || strlen(scheme) > SCHEME_BYTES_MAX))
		rc = ZK_TOOLARGE;
	if (rc != ZK_OK)
		return rc;
	a = auth_new(scheme, data, size);
	if (a == NULL)
		return ZK_NOMEMORY;
	list_append(&s->auths, &a->link);
	s->auth_count++;
	if (s->link == LINK_READY)
		zk_session_send_auth(s, a);
	return ZK_OK;
}

void
zk_session_close(struct zk_session *s)
{
	struct zk_request *q;

	if (s->closing)
		return;
	if (zk_session_is_final(s) || (s->id == 0 && s->request_count == 0)) {
		s->closing = s->closed = true;
		return;
	}
	q = session_request_new(s, ZK_OP_CLOSE_SESSION, NULL, NULL);
	s->closing = true;
	if (q != NULL) {
		zk_header_encode(&q->frame, q->xid, ZK_OP_CLOSE_SESSION);
		if (session_queue(s, q) == ZK_OK)
			return;
	}
	zk_session_abandon(s, ZK_CLOSING); /* no memory: the session is left to its time-out */
	s->closed = true;
}
