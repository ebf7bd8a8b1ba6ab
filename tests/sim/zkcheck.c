/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/zkcheck.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/codec/jute.h"
#include "tests/sim/zkclient.h"
#include "tests/sim/zkkinds.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"

#define LENGTH_BYTES 4

enum { EVENT_CREATED = 1, EVENT_DELETED = 2, EVENT_CHANGED = 3, EVENT_CHILDREN = 4 };

struct reply {
	int32_t xid, err;
	int64_t zxid;
	struct jute_reader body;
};

static void
violated(
    struct zkclient *c, const struct reply *r, const struct zkclient_request *q, const char *what)
{
	world_violation(c->node->world, "client %u, xid %d, op %d on %s, error %d, zxid 0x%llx: %s",
	    c->number, r->xid, q->op, q->path, r->err, (unsigned long long)r->zxid, what);
}

static void
check_connect(struct zkclient *c, struct jute_reader *r)
{
	struct jute_bytes password;
	int64_t session;

	jute_get_i32(r);
	c->timeout_ms = jute_get_i32(r);
	session = jute_get_i64(r);
	password = jute_get_bytes(r);
	if (r->bad || password.len != SESSION_PASSWORD_BYTES) {
		world_violation(
		    c->node->world, "client %u: a connect response that is none", c->number);
		return;
	}
	world_trace(c->node->world, "client %u: session 0x%llx for %d ms", c->number,
	    (unsigned long long)session, c->timeout_ms);
	if (session != 0 && !model_has_session(&c->node->model, session))
		world_violation(c->node->world, "client %u: session 0x%llx is none", c->number,
		    (unsigned long long)session);
	if (session == 0) {
		if (c->session != 0 && model_has_session(&c->node->model, c->session) &&
		    !model_is_ending(&c->node->model, c->session))
			world_violation(c->node->world,
			    "client %u: session 0x%llx is refused but lives", c->number,
			    (unsigned long long)c->session);
		c->session = 0;
		return;
	}
	if (c->session != session) {
		c->sessions++;
		c->least_timeout_ms = c->timeout_ms;
	} else if (c->timeout_ms < c->least_timeout_ms)
		c->least_timeout_ms = c->timeout_ms;
	c->session = session;
	memcpy(c->password, password.data, SESSION_PASSWORD_BYTES);
	c->state = ZKCLIENT_CONNECTED;
	zkstream_begin(&c->stream, &c->node->model);
}

/* ---- watches ---- */

static void
add_watch(struct zkclient *c, const struct zkclient_request *q, bool children, int64_t zxid)
{
	struct zkclient_watch *w;

	for (size_t i = 0; i < c->watch_count; i++)
		if (c->watches[i].children == children && strcmp(c->watches[i].path, q->path) == 0)
			return; /* the same watch: it stands since then */
	if (c->watch_count == ZKCLIENT_WATCHES_MAX) {
		world_violation(
		    c->node->world, "client %u: too many watches for the simulation", c->number);
		return;
	}
	w = &c->watches[c->watch_count++];
	*w = (struct zkclient_watch){.children = children, .since_zxid = zxid};
	memcpy(w->path, q->path, sizeof(w->path));
}

/* W1: whatever a reply shows, the events of the changes up to it came before. */
static void
check_events_before(struct zkclient *c, int64_t zxid)
{
	for (size_t i = 0; i < c->watch_count; i++) {
		const struct zkclient_watch *w = &c->watches[i];
		int64_t fires = model_fires(&c->node->model, w->path, w->children, w->since_zxid);

		if (fires != 0 && fires <= zxid)
			world_violation(c->node->world,
			    "W1: client %u sees zxid 0x%llx, but no event of 0x%llx on %s (%s, "
			    "watched since 0x%llx)",
			    c->number, (unsigned long long)zxid, (unsigned long long)fires, w->path,
			    w->children ? "children" : "data", (unsigned long long)w->since_zxid);
	}
}

/* Whether an event of this type belongs to the watch. */
static bool
event_matches(const struct zkclient_watch *w, int32_t type, struct jute_bytes path)
{
	if (path.len != (int32_t)strlen(w->path) ||
	    memcmp(path.data, w->path, (size_t)path.len) != 0)
		return false;
	return type == EVENT_DELETED || w->children == (type == EVENT_CHILDREN);
}

static void
check_event(struct zkclient *c, struct jute_reader *r)
{
	int32_t type = jute_get_i32(r);
	struct jute_bytes path;
	bool known = false;

	jute_get_i32(r); /* the state */
	path = jute_get_bytes(r);
	world_trace(c->node->world, "client %u: event %d on %.*s", c->number, type,
	    path.len > 0 ? path.len : 0, (const char *)path.data);
	c->events++;
	for (size_t i = 0; i < c->watch_count && !r->bad;) {
		struct zkclient_watch *w = &c->watches[i];
		int64_t fires;

		if (!event_matches(w, type, path)) {
			i++;
			continue;
		}
		fires = model_fires(&c->node->model, w->path, w->children, w->since_zxid);
		if (fires != 0 && fires < c->event_zxid)
			world_violation(c->node->world,
			    "W2: client %u is told of zxid 0x%llx after 0x%llx", c->number,
			    (unsigned long long)fires, (unsigned long long)c->event_zxid);
		known = known || fires != 0;
		c->event_zxid = fires != 0 ? fires : c->event_zxid;
		*w = c->watches[--c->watch_count];
	}
	if (!known)
		world_violation(c->node->world,
		    "W3: client %u gets event %d on %.*s that no watch asked for", c->number, type,
		    path.len > 0 ? path.len : 0, (const char *)path.data);
}

/* ---- persistent watches ---- */

static void
check_stream_event(struct zkclient *c, int64_t zxid, struct jute_reader *r)
{
	int32_t type = jute_get_i32(r);
	struct jute_bytes path;
	const char *wrong;

	jute_get_i32(r); /* the state */
	path = jute_get_bytes(r);
	world_trace(c->node->world, "client %u: event %d on %.*s", c->number, type,
	    path.len > 0 ? path.len : 0, (const char *)path.data);
	c->events++;
	wrong = zkstream_event(&c->stream, &c->node->model, zxid, type, path);
	if (wrong != NULL)
		world_violation(c->node->world, "client %u, event %d on %.*s, zxid 0x%llx: %s",
		    c->number, type, path.len > 0 ? path.len : 0, (const char *)path.data,
		    (unsigned long long)zxid, wrong);
}

static void
check_stream_reply(struct zkclient *c, int64_t zxid)
{
	const struct model_event *e = zkstream_reply(&c->stream, &c->node->model, zxid);

	if (e != NULL)
		world_violation(c->node->world,
		    "W1: client %u sees zxid 0x%llx, but was not told of event %d on %s, 0x%llx",
		    c->number, (unsigned long long)zxid, e->type, e->path,
		    (unsigned long long)e->zxid);
}

/* A request about watches was answered. */
static const char *
check_watching(struct zkclient *c, const struct zkclient_request *q, const struct reply *r)
{
	bool has = zkstream_watches(&c->stream, q->path);

	if (q->op == ZK_OP_CHECK_WATCHES || q->op == ZK_OP_REMOVE_WATCHES) {
		if (r->err != (has ? ZK_OK : ZK_NOWATCHER))
			return has ? "it has a watch there" : "it has no watch there";
		if (q->op == ZK_OP_REMOVE_WATCHES && has)
			zkstream_unwatch(&c->stream, q->path);
		return NULL;
	}
	if (r->err != ZK_OK)
		return "it cannot fail";
	zkstream_watch(&c->stream, q->path, q->watch);
	return NULL;
}

static bool
is_watching(int32_t op)
{
	return op == ZK_OP_ADD_WATCH || op == ZK_OP_SET_WATCHES2 || op == ZK_OP_CHECK_WATCHES ||
	       op == ZK_OP_REMOVE_WATCHES;
}

/* ---- replies ---- */

/* A Stat against the state that it describes. Only sessions show as owners. */
static bool
stat_is(struct zkclient *c, struct jute_reader *r, const struct model_state *s, const char *path,
    int64_t zxid)
{
	int64_t czxid = jute_get_i64(r), mzxid = jute_get_i64(r), owner, pzxid;
	int32_t version, data_len, children;

	jute_get_i64(r);
	jute_get_i64(r);
	version = jute_get_i32(r);
	jute_get_i32(r); /* cversion: counts differently in a Stat */
	jute_get_i32(r);
	owner = jute_get_i64(r);
	data_len = jute_get_i32(r);
	children = jute_get_i32(r);
	pzxid = jute_get_i64(r);
	return !r->bad && czxid == s->czxid && mzxid == s->mzxid && version == s->version &&
	       owner == (s->owner > 0 ? s->owner : 0) && pzxid == s->pzxid &&
	       data_len == (s->len > 0 ? s->len : 0) &&
	       children == model_children(&c->node->model, path, zxid);
}

static const char *
check_read(struct zkclient *c, const struct zkclient_request *q, struct reply *r)
{
	const struct model_state *s = model_at(&c->node->model, q->path, r->zxid);
	bool exists = s != NULL && s->exists, children = q->op == ZK_OP_GET_CHILDREN2;

	if (r->err != (exists ? ZK_OK : ZK_NONODE))
		return exists ? "the node exists" : "the node does not exist";
	if (q->watch && (exists || q->op == ZK_OP_EXISTS))
		add_watch(c, q, children, r->zxid);
	if (!exists)
		return NULL;
	if (q->op == ZK_OP_GET_DATA) {
		struct jute_bytes data = jute_get_bytes(&r->body);

		if (data.len != s->len ||
		    (s->len > 0 && memcmp(data.data, s->data, (size_t)s->len) != 0))
			return "the data is not that of this zxid";
	}
	if (children) {
		int32_t count = jute_get_count(&r->body, 4);

		if (count != model_children(&c->node->model, q->path, r->zxid))
			return "the children are not those of this zxid";
		for (int32_t i = 0; i < count; i++)
			jute_get_bytes(&r->body);
	}
	return stat_is(c, &r->body, s, q->path, r->zxid) ? NULL
							 : "the stat is not that of this zxid";
}

static bool
is_create(int32_t op)
{
	return op == ZK_OP_CREATE || op == ZK_OP_CREATE2 || op == ZK_OP_CREATE_CONTAINER ||
	       op == ZK_OP_CREATE_TTL;
}

static const char *
check_created(struct zkclient *c, const struct zkclient_request *q, struct reply *r)
{
	struct jute_bytes path = jute_get_bytes(&r->body);
	const struct model_state *s;
	char text[128];

	snprintf(text, sizeof(text), "%.*s", path.len > 0 ? path.len : 0, (const char *)path.data);
	if (strncmp(text, q->path, strlen(q->path)) != 0)
		return "another path was created";
	s = model_at(&c->node->model, text, r->zxid);
	if (s == NULL || !s->exists || s->czxid != r->zxid)
		return "nothing was created";
	if (q->op != ZK_OP_CREATE && !stat_is(c, &r->body, s, text, r->zxid))
		return "the stat is not that of this zxid";
	return NULL;
}

/* What an error says of the state that it was given in. */
static const char *
check_refusal(struct zkclient *c, const struct zkclient_request *q, const struct reply *r)
{
	const struct model_state *s = model_at(&c->node->model, q->path, r->zxid);
	bool exists = s != NULL && s->exists, create = is_create(q->op);

	switch (r->err) {
	case ZK_NODEEXISTS:
		return exists ? NULL : "the node does not exist";
	case ZK_NONODE:
		return !exists || create ? NULL : "the node exists";
	case ZK_BADVERSION:
		return exists && q->version != -1 && s->version != q->version
			   ? NULL
			   : "the version is right";
	case ZK_NOTEMPTY:
		return model_children(&c->node->model, q->path, r->zxid) > 0
			   ? NULL
			   : "there are no children";
	case ZK_QUOTAEXCEEDED:
		c->exceeded++;
		return zkkinds_may_exceed(c->node, q->path, r->zxid) ? NULL : "there is no quota";
	case ZK_NOCHILDRENFOREPHEMERALS:
	case ZK_SESSIONEXPIRED:
	case ZK_SESSIONMOVED:
		return NULL;
	default:
		return "an error that this request cannot have";
	}
}

static const char *
check_write(struct zkclient *c, const struct zkclient_request *q, struct reply *r)
{
	const struct model_state *s;

	if (q->op == ZK_OP_MULTI || q->op == ZK_OP_SYNC || q->op == ZK_OP_PING ||
	    q->op == ZK_OP_CLOSE_SESSION)
		return r->err == ZK_OK || r->err == ZK_SESSIONEXPIRED ? NULL : "it cannot fail";
	if (r->err != ZK_OK)
		return check_refusal(c, q, r);
	if (is_create(q->op))
		return check_created(c, q, r);
	s = model_at(&c->node->model, q->path, r->zxid);
	if (q->op == ZK_OP_DELETE)
		return s != NULL && !s->exists && s->zxid == r->zxid ? NULL : "nothing was deleted";
	if (s == NULL || !s->exists || s->zxid != r->zxid)
		return "nothing was changed";
	return stat_is(c, &r->body, s, q->path, r->zxid) ? NULL
							 : "the stat is not that of this zxid";
}

static void
check_reply(struct zkclient *c, struct reply *r)
{
	struct zkclient_request q = c->requests[0];
	const char *wrong;

	if (c->request_count == 0 || q.xid != r->xid) {
		world_violation(c->node->world, "client %u: a reply to xid %d, where %d was due",
		    c->number, r->xid, c->request_count == 0 ? 0 : q.xid);
		return;
	}
	memmove(c->requests, c->requests + 1, --c->request_count * sizeof(c->requests[0]));
	c->replies++;
	world_trace(c->node->world, "client %u: xid %d, op %d, %s: %d at 0x%llx", c->number, r->xid,
	    q.op, q.path, r->err, (unsigned long long)r->zxid);
	if (r->zxid < c->last_zxid)
		violated(c, r, &q, "an earlier reply had a higher zxid");
	if (r->zxid > c->node->db.last_zxid)
		violated(c, r, &q, "this zxid is not yet applied");
	c->last_zxid = r->zxid;
	if (c->node->seen_zxid < r->zxid)
		c->node->seen_zxid = r->zxid;
	check_events_before(c, r->zxid);
	check_stream_reply(c, r->zxid);
	if (is_watching(q.op))
		wrong = check_watching(c, &q, r);
	else if (q.op == ZK_OP_EXISTS || q.op == ZK_OP_GET_DATA || q.op == ZK_OP_GET_CHILDREN2)
		wrong = check_read(c, &q, r);
	else
		wrong = check_write(c, &q, r);
	if (wrong != NULL)
		violated(c, r, &q, wrong);
}

static void
check_frame(struct zkclient *c, struct jute_reader frame)
{
	struct reply r;

	if (c->state == ZKCLIENT_CONNECTING) {
		check_connect(c, &frame);
		/* What a session's beginning shows must survive as what replies show. */
		if (c->node->seen_zxid < c->node->db.last_zxid)
			c->node->seen_zxid = c->node->db.last_zxid;
		return;
	}
	r.xid = jute_get_i32(&frame);
	r.zxid = jute_get_i64(&frame);
	r.err = jute_get_i32(&frame);
	r.body = frame;
	if (frame.bad)
		world_violation(c->node->world, "client %u: a reply without a header", c->number);
	else if (r.xid == ZK_XID_EVENT && c->listens)
		check_stream_event(c, r.zxid, &frame);
	else if (r.xid == ZK_XID_EVENT)
		check_event(c, &frame);
	else
		check_reply(c, &r);
}

void
zkcheck_frames(struct zkclient *c)
{
	while (c->out.len > 0 && c->node->world->violation[0] == '\0') {
		struct jute_reader r = jute_reader(c->out.data, c->out.len);
		int32_t size = jute_get_i32(&r);

		if (r.bad || size < 0 || (size_t)size > jute_left(&r)) {
			world_violation(
			    c->node->world, "client %u: a frame that is not whole", c->number);
			return;
		}
		check_frame(c, jute_reader(r.pos, (size_t)size));
		buf_consume(&c->out, LENGTH_BYTES + (size_t)size);
	}
}
