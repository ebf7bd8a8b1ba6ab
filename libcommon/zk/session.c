/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/zk/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "libcommon/base/plants.h"
#include "libcommon/codec/jute.h"
#include "libcommon/zk/session_internal.h"

#define CONNECT_BYTES_MAX 64
#define PING_BYTES 8

struct zk_session *
zk_session_new(const struct zk_session_config *config)
{
	struct zk_session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->config = *config;
	s->timeout_ms = config->timeout_ms;
	s->request_bytes_max = ZK_FRAME_BYTES_MAX;
	s->state = s->told = ZK_CONNECTING;
	list_init(&s->control);
	list_init(&s->unsent);
	list_init(&s->sent);
	list_init(&s->done);
	list_init(&s->fired);
	list_init(&s->auths);
	watches_init(&s->watches, &config->hash);
	return s;
}

void
zk_request_free(struct zk_request *q)
{
	buf_fini(&q->frame);
	watch_free(q->watch);
	zk_result_fini(&q->result);
	free(q);
}

static void
requests_free(struct list *head)
{
	struct list *it, *next;

	LIST_EACH(it, next, head) {
		list_remove(it);
		zk_request_free(CONTAINER_OF(it, struct zk_request, link));
	}
}

void
zk_auth_free(struct zk_auth *a)
{
	free(a->scheme);
	free(a->data);
	free(a);
}

void
zk_session_free(struct zk_session *s)
{
	struct list *it, *next;

	if (s == NULL)
		return;
	requests_free(&s->control);
	requests_free(&s->unsent);
	requests_free(&s->sent);
	requests_free(&s->done);
	LIST_EACH(it, next, &s->fired)
		watch_free(CONTAINER_OF(it, struct watch, link));
	LIST_EACH(it, next, &s->auths)
		zk_auth_free(CONTAINER_OF(it, struct zk_auth, link));
	watches_fini(&s->watches);
	free(s);
}

struct zk_request *
zk_request_new(enum zk_opcode type, int32_t xid, size_t bytes_max)
{
	struct zk_request *q = calloc(1, sizeof *q);

	if (q == NULL)
		return NULL;
	list_init(&q->link);
	q->type = type;
	q->xid = xid;
	buf_init(&q->frame, bytes_max);
	return q;
}

/* Queue a frame of our own. What cannot be made for want of memory costs the connection. */
static struct buf *
session_control(struct zk_session *s, enum zk_opcode type, int32_t xid, size_t bytes_max)
{
	struct zk_request *q = zk_request_new(type, xid, bytes_max);

	if (q == NULL) {
		s->drop = "out of memory";
		return NULL;
	}
	list_append(&s->control, &q->link);
	return &q->frame;
}

static void
session_control_check(struct zk_session *s, const struct buf *frame)
{
	if (frame->failed)
		s->drop = "out of memory";
}

/* A request has its result: tell it. */
static void
session_complete(struct zk_session *s, struct zk_request *q, int rc)
{
	list_remove(&q->link);
	buf_fini(&q->frame);
	if (q->watch != NULL) {
		watch_free(q->watch);
		q->watch = NULL;
		s->watch_asked_count--;
	}
	q->result.rc = rc;
	list_append(&s->done, &q->link);
}

static void
session_complete_all(struct zk_session *s, struct list *head, int rc)
{
	struct list *it, *next;

	LIST_EACH(it, next, head) {
		struct zk_request *q = CONTAINER_OF(it, struct zk_request, link);

		(void)zk_session_watch_answered(s, q, rc); /* sets none, as it is an error */
		session_complete(s, q, rc);
	}
}

void
zk_session_abandon(struct zk_session *s, int rc)
{
	session_complete_all(s, &s->sent, rc);
	session_complete_all(s, &s->unsent, rc);
	s->unsent_bytes = 0;
	watches_lose(&s->watches, &s->fired);
}

static void
session_die(struct zk_session *s, enum zk_state state, int rc, const char *why)
{
	s->state = state;
	s->drop = why;
	zk_session_abandon(s, rc);
	s->closed = s->closing;
}

bool
zk_session_is_final(const struct zk_session *s)
{
	return s->state == ZK_EXPIRED || s->state == ZK_AUTH_FAILED;
}

/* The connect request comes first on each link; it names the session to go on with, if there is
 * one. */
void
zk_session_up(struct zk_session *s, uint64_t now_ms)
{
	struct buf *b;

	assert(s->link == LINK_DOWN && !zk_session_is_final(s));
	s->link = LINK_GREETING;
	s->up_ms = s->received_ms = s->sent_ms = now_ms;
	b = session_control(s, 0, 0, CONNECT_BYTES_MAX);
	if (b == NULL)
		return;
	jute_put_i32(b, 0); /* protocol version */
	jute_put_i64(b, s->last_zxid);
	jute_put_i32(b, (int32_t)s->config.timeout_ms);
	jute_put_i64(b, s->id);
	jute_put_bytes(b, (struct jute_bytes){s->password, ZK_PASSWORD_BYTES});
	jute_put_bool(b, s->read_only);
	session_control_check(s, b);
}

void
zk_session_down(struct zk_session *s)
{
	s->link = LINK_DOWN;
	s->drop = NULL;
	requests_free(&s->control);
	session_complete_all(s, &s->sent, ZK_CONNECTIONLOSS);
	if (s->state == ZK_CONNECTED)
		s->state = ZK_SUSPENDED;
	if (s->closing && !s->closed) {
		zk_session_abandon(s, ZK_CONNECTIONLOSS);
		s->closed = true;
	}
}

void
zk_session_send_auth(struct zk_session *s, const struct zk_auth *a)
{
	struct buf *b = session_control(s, ZK_OP_AUTH, ZK_XID_AUTH, ZK_FRAME_BYTES_MAX);

	if (b == NULL)
		return;
	zk_header_encode(b, ZK_XID_AUTH, ZK_OP_AUTH);
	jute_put_i32(b, 0); /* type: unused */
	jute_put_text(b, a->scheme);
	jute_put_bytes(b, (struct jute_bytes){a->data, (int32_t)a->size});
	session_control_check(s, b);
}

static void
session_send_watches(struct zk_session *s)
{
	/* Servers before 3.6 know the former only. */
	enum zk_opcode op =
	    s->watches.persistent_count == 0 ? ZK_OP_SET_WATCHES : ZK_OP_SET_WATCHES2;
	const struct list *at = NULL;
	struct buf *b;

	if (s->watches.map.count == 0)
		return;
	do {
		b = session_control(s, op, ZK_XID_SET_WATCHES, 2 * ZK_FRAME_BYTES_MAX);
		if (b == NULL)
			return;
		zk_header_encode(b, ZK_XID_SET_WATCHES, op);
		watches_encode(&s->watches, s->last_zxid,
		    ZAB_PLANTED(PLANT_WATCHES_AT_ONCE) ? SIZE_MAX : ZK_SET_WATCHES_BYTES, &at, b);
		session_control_check(s, b);
	} while (at != NULL && s->drop == NULL);
}

static void
session_send_ping(struct zk_session *s)
{
	struct buf *b = session_control(s, ZK_OP_PING, ZK_XID_PING, PING_BYTES);

	if (b == NULL)
		return;
	zk_header_encode(b, ZK_XID_PING, ZK_OP_PING);
	session_control_check(s, b);
}

/* The answer to the connect request. */
static void
session_welcome(struct zk_session *s, uint64_t now_ms, struct jute_reader *r)
{
	struct list *it, *next;
	struct jute_bytes password;
	int32_t timeout_ms;
	int64_t id;

	(void)jute_get_i32(r); /* protocol version */
	timeout_ms = jute_get_i32(r);
	id = jute_get_i64(r);
	password = jute_get_bytes(r);
	if (r->bad || password.len != ZK_PASSWORD_BYTES) {
		s->drop = "its answer to connecting makes no sense: it is no ZooKeeper server";
		return;
	}
	if (timeout_ms <= 0) {
		session_die(s, ZK_EXPIRED, ZK_SESSIONEXPIRED, "the session has expired");
		return;
	}
	if (s->id != 0 && id != s->id) {
		s->drop = "it answered with another session than the one that was asked for";
		return;
	}
	s->id = id;
	s->timeout_ms = (uint32_t)timeout_ms;
	memcpy(s->password, password.data, ZK_PASSWORD_BYTES);
	s->link = LINK_READY;
	s->state = ZK_CONNECTED;
	s->sent_ms = now_ms;
	LIST_EACH(it, next, &s->auths)
		zk_session_send_auth(s, CONTAINER_OF(it, struct zk_auth, link));
	session_send_watches(s);
}

static void
session_reply(struct zk_session *s, const struct zk_reply_header *h, struct jute_reader *r)
{
	struct list *first = list_first(&s->sent);
	struct zk_request *q = first != NULL ? CONTAINER_OF(first, struct zk_request, link) : NULL;
	int rc = h->err;

	if (q == NULL || q->xid != h->xid) {
		s->drop = "it sent a reply to another request than the next one";
		return;
	}
	if (h->zxid > s->last_zxid || ZAB_PLANTED(PLANT_ANY_ZXID_SEEN))
		s->last_zxid = h->zxid;
	q->result.zxid = h->zxid;
	if (rc == ZK_OK) {
		(void)zk_result_decode(r, q->type, &q->result);
		rc = q->result.rc;
	}
	if (rc == ZK_PROTOCOL)
		s->drop = "it sent a reply that cannot be read";
	if (!zk_session_watch_answered(s, q, rc))
		rc = ZK_NOMEMORY;
	if (q->type == ZK_OP_CLOSE_SESSION)
		s->closed = true;
	session_complete(s, q, rc);
	if (s->closed)
		zk_session_abandon(s, ZK_CLOSING);
}

void
zk_session_frame(struct zk_session *s, uint64_t now_ms, const uint8_t *bytes, size_t size)
{
	struct jute_reader r = jute_reader(bytes, size);
	struct zk_reply_header h;

	s->received_ms = now_ms;
	if (s->drop != NULL || s->link == LINK_DOWN)
		return;
	if (s->link == LINK_GREETING) {
		session_welcome(s, now_ms, &r);
		return;
	}
	if (!zk_reply_header_decode(&r, &h)) {
		s->drop = "it sent a reply that is too short";
		return;
	}
	switch (h.xid) {
	case ZK_XID_EVENT:
		zk_session_event(s, &r);
		break;
	case ZK_XID_PING:
	case ZK_XID_SET_WATCHES:
		break;
	case ZK_XID_AUTH:
		if (h.err != 0)
			session_die(
			    s, ZK_AUTH_FAILED, ZK_AUTHFAILED, "it refused the authentication");
		break;
	default:
		session_reply(s, &h, &r);
	}
}

static uint64_t
session_silence_ms(const struct zk_session *s)
{
	return (uint64_t)s->timeout_ms * 2 / 3;
}

static uint64_t
session_ping_ms(const struct zk_session *s)
{
	return s->timeout_ms / 3 < ZK_PING_MS_MAX ? s->timeout_ms / 3 : ZK_PING_MS_MAX;
}

void
zk_session_tick(struct zk_session *s, uint64_t now_ms)
{
	if (s->drop != NULL || s->link == LINK_DOWN)
		return;
	if (s->link == LINK_GREETING) {
		if (now_ms >= s->up_ms + s->config.connect_timeout_ms)
			s->drop = "it did not answer to connecting in time";
	} else if (now_ms >= s->received_ms + session_silence_ms(s)) {
		s->drop = "it was silent for two thirds of the session's time-out";
	} else if (now_ms >= s->sent_ms + session_ping_ms(s) && list_empty(&s->control)) {
		session_send_ping(s);
	}
}

uint64_t
zk_session_deadline_ms(const struct zk_session *s)
{
	uint64_t silence_ms, ping_ms;

	if (s->link == LINK_DOWN)
		return UINT64_MAX;
	if (s->link == LINK_GREETING)
		return s->up_ms + s->config.connect_timeout_ms;
	silence_ms = s->received_ms + session_silence_ms(s);
	ping_ms = s->sent_ms + session_ping_ms(s);
	return list_empty(&s->control) && ping_ms < silence_ms ? ping_ms : silence_ms;
}

static struct zk_request *
session_first_unsent(const struct zk_session *s)
{
	const struct list *it = NULL;

	if (s->link == LINK_DOWN || s->drop != NULL)
		return NULL;
	if (!list_empty(&s->control))
		it = s->control.next;
	else if (s->link == LINK_READY && !list_empty(&s->unsent))
		it = s->unsent.next;
	return it != NULL ? CONTAINER_OF(it, struct zk_request, link) : NULL;
}

const uint8_t *
zk_session_unsent(const struct zk_session *s, size_t *size)
{
	const struct zk_request *q = session_first_unsent(s);

	if (q == NULL)
		return NULL;
	*size = q->frame.len;
	return q->frame.data;
}

void
zk_session_sent(struct zk_session *s, uint64_t now_ms)
{
	struct zk_request *q = session_first_unsent(s);

	assert(q != NULL);
	s->sent_ms = now_ms;
	list_remove(&q->link);
	if (q->xid <= 0) {
		zk_request_free(q);
		return;
	}
	s->unsent_bytes -= q->frame.len;
	q->result.sent_bytes = q->frame.len;
	buf_fini(&q->frame);
	q->result.sent_ms = now_ms;
	list_append(&s->sent, &q->link);
}

static void
output_done(struct zk_session *s, struct zk_request *q, struct zk_output *out)
{
	*out = (struct zk_output){
	    .type = ZK_OUTPUT_DONE, .done = q->done, .arg = q->arg, .result = q->result};
	q->result.memory = NULL;
	list_remove(&q->link);
	zk_request_free(q);
	s->request_count--;
}

static void
output_event(struct list *first, struct zk_output *out)
{
	list_remove(first);
	*out = (struct zk_output){
	    .type = ZK_OUTPUT_EVENT, .watch = CONTAINER_OF(first, struct watch, link)};
}

bool
zk_session_next(struct zk_session *s, struct zk_output *out)
{
	if (!list_empty(&s->done)) {
		output_done(s, CONTAINER_OF(s->done.next, struct zk_request, link), out);
	} else if (!list_empty(&s->fired)) {
		output_event(s->fired.next, out);
	} else if (s->told != s->state) {
		s->told = s->state;
		*out = (struct zk_output){.type = ZK_OUTPUT_STATE, .state = s->state};
	} else if (s->closed && !s->closed_told) {
		s->closed_told = true;
		*out = (struct zk_output){.type = ZK_OUTPUT_CLOSED};
	} else if (s->drop != NULL) {
		*out = (struct zk_output){.type = ZK_OUTPUT_DROP, .why = s->drop};
		s->drop = NULL;
	} else {
		return false;
	}
	return true;
}

void
zk_output_fini(struct zk_output *out)
{
	zk_result_fini(&out->result);
	watch_free(out->watch);
}

enum zk_state
zk_session_state(const struct zk_session *s)
{
	return s->state;
}

int64_t
zk_session_get_id(const struct zk_session *s)
{
	return s->id;
}

uint32_t
zk_session_get_timeout_ms(const struct zk_session *s)
{
	return s->timeout_ms;
}

size_t
zk_session_outstanding(const struct zk_session *s)
{
	return s->request_count;
}
