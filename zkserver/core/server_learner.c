/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a member's clients wait for from the leader: at a learner writes, new sessions and sessions
 * that come back; at a learner and at the leader itself syncs. Each client's requests are answered
 * in order, as what waits stands in its connection's queue.
 */
#include <assert.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "zkserver/core/server_priv.h"

struct parked {
	struct server_conn *conn; /* NULL: it is gone, and the answer is still to come */
	int64_t after_zxid;	  /* answered when it is applied */
};

static bool
is_applied(const struct server *s, int64_t zxid)
{
	struct server_record r;

	if (s->pending_count == 0)
		return true;
	memcpy(&r, s->pending.data, sizeof r);
	return r.zxid > zxid;
}

void
learner_forward(struct server *s, struct server_conn *c, struct queued *q, struct jute_reader body,
    const struct acl_ids *who)
{
	size_t size = jute_left(&body);

	q->forwarded = (uint32_t)size;
	c->forwarded_count++;
	c->forwarded_bytes += size;
	s->forwarded_count++;
	s->forwarded_bytes += size;
	s->up->request(s->up->arg, c->session_id, q->xid, q->op, body.pos, size, who);
}

void
learner_create(struct server *s, struct server_conn *c, struct queued *q, struct jute_reader body)
{
	list_append(&s->creating, &c->awaiting);
	learner_forward(s, c, q, body, NULL);
}

/* The leader says of which session its answer is, not of which connection: the oldest's. */
struct asked {
	int64_t session;
	uint64_t number;
};

void
learner_revalidate(struct server *s, struct server_conn *c)
{
	struct asked q = {.session = c->session_id, .number = ++s->asked_count};

	server_passed_on(s, SESSION_OWNER_SELF, c->session_id, c->timeout_ms);
	c->connecting = true;
	c->valid_at = -1;
	c->asked = q.number;
	buf_append(&s->asked, &q, sizeof q);
	s->failed |= s->asked.failed;
	list_append(&s->revalidating, &c->awaiting);
	s->up->revalidate(s->up->arg, c->session_id, c->timeout_ms);
}

bool
questions_are_full(const struct server *s)
{
	return s->parked.len / sizeof(struct parked) >= SERVER_QUESTIONS_MAX ||
	       s->asked.len / sizeof(struct asked) >= SERVER_QUESTIONS_MAX;
}

/* They are made in the order in which they were asked for: the first is the one. */
static struct server_conn *
find_creating(struct server *s, int64_t session)
{
	struct list *it, *nx;

	if ((uint64_t)session >> SESSION_SID_SHIFT != s->settings.sid)
		return NULL;
	LIST_EACH(it, nx, &s->creating) {
		struct server_conn *c = CONTAINER_OF(it, struct server_conn, awaiting);

		if (c->session_id == session)
			return c;
	}
	return NULL;
}

/*
 * A session's requests come back in order, but not all of them are of this connection: some were
 * made on another before the session came here, and its end may be nobody's wish.
 */
struct server_conn *
learner_find(struct server *s, const struct txn_header *h)
{
	struct session *session;
	struct server_conn *c;
	struct queued q;

	if (h->type == ZK_OP_CREATE_SESSION)
		return find_creating(s, h->session);
	if ((session = session_find(&s->db->sessions, h->session)) == NULL)
		session = local_find(s, h->session);
	if (session == NULL || (c = session->conn) == NULL || c->queue_count == 0)
		return NULL;
	memcpy(&q, c->queue.data, sizeof q);
	if (q.kind != QUEUED_WRITE || q.xid != h->cxid ||
	    (h->type != q.op && h->type != ZK_OP_ERROR))
		return NULL;
	return c;
}

bool
learner_audit(struct server *s, const struct server_conn *c, const struct txn_header *h)
{
	struct prep_request asked = {
	    .session = h->session, .cxid = h->cxid, .who = &c->ids, .time_ms = h->time_ms};
	const uint8_t *bytes = c->queue.data + sizeof(struct queued);
	struct queued q;

	memcpy(&q, c->queue.data, sizeof q);
	if (q.size < REQUEST_HEADER_BYTES)
		return true; /* a session, or it came before the audit began */
	asked.type = q.op;
	asked.body = jute_reader(bytes + REQUEST_HEADER_BYTES, q.size - REQUEST_HEADER_BYTES);
	return audit_submitted(s->audit, &asked, h->zxid);
}

static void
forget_forwarded(struct server *s, struct server_conn *c, uint32_t count, size_t bytes)
{
	c->forwarded_count -= count;
	c->forwarded_bytes -= bytes;
	s->forwarded_count -= count;
	s->forwarded_bytes -= bytes;
}

void
learner_answered(struct server *s, struct server_conn *c, const struct queued *q)
{
	forget_forwarded(s, c, 1, q->forwarded);
	list_remove(&c->awaiting);
}

void
learner_forget(struct server *s, struct server_conn *c)
{
	struct parked p;

	list_remove(&c->awaiting);
	forget_forwarded(s, c, c->forwarded_count, c->forwarded_bytes);
	for (size_t at = 0; c->syncs_parked > 0 && at < s->parked.len; at += sizeof p) {
		memcpy(&p, s->parked.data + at, sizeof p);
		if (p.conn != c)
			continue;
		p.conn = NULL;
		memcpy(s->parked.data + at, &p, sizeof p);
		c->syncs_parked--;
	}
}

void
sync_park(struct server *s, struct server_conn *c)
{
	const struct parked p = {c, s->prep.last_zxid};

	buf_append(&s->parked, &p, sizeof p);
	if (s->parked.failed) {
		s->failed = true;
		return;
	}
	c->syncs_parked++;
	s->up->sync(s->up->arg);
}

void
server_sync_done(struct server *s)
{
	size_t at = s->parked_done * sizeof(struct parked);
	struct parked p;

	if (at >= s->parked.len)
		return;
	if (server_is_learner(s)) {
		memcpy(&p, s->parked.data + at, sizeof p);
		p.after_zxid = s->committed_zxid;
		memcpy(s->parked.data + at, &p, sizeof p);
	}
	s->parked_done++;
	server_progress(s);
}

/* The oldest question about the session, taken off; 0: there is none. */
static uint64_t
take_asked(struct server *s, int64_t session)
{
	struct asked q;

	for (size_t at = 0; at < s->asked.len; at += sizeof q) {
		memcpy(&q, s->asked.data + at, sizeof q);
		if (q.session != session)
			continue;
		memmove(s->asked.data + sizeof q, s->asked.data, at);
		buf_consume(&s->asked, sizeof q);
		return q.number;
	}
	return 0;
}

/*
 * The answer is for who asked, and for nobody if that client has gone since: when it comes again it
 * asks again, and until then its session may be given to another server.
 */
void
server_revalidated(struct server *s, int64_t session, bool valid)
{
	uint64_t number = take_asked(s, session);
	struct list *it, *nx;

	LIST_EACH(it, nx, &s->revalidating) {
		struct server_conn *c = CONTAINER_OF(it, struct server_conn, awaiting);

		if (c->asked != number || c->valid_at >= 0)
			continue;
		if (valid)
			c->valid_at = s->committed_zxid;
		else {
			list_remove(&c->awaiting);
			connect_answer(s, c, false);
		}
		break;
	}
	server_progress(s);
}

/* A session that ended right after the leader said yes is asked for again. */
static void
come_back(struct server *s, struct server_conn *c)
{
	struct session *session = session_find(&s->db->sessions, c->session_id);

	list_remove(&c->awaiting);
	if (session == NULL) {
		MARK("learner: a session that comes back has just ended");
		server_end_conn(s, c, SERVER_CLOSE_NOW);
		return;
	}
	session_touch(&s->db->sessions, session, c->timeout_ms, s->now_ms);
	connect_take(s, c, session);
	zk_metrics_count(&s->metrics, ZK_COUNTER_CONNECTION_REVALIDATE_COUNT, 1);
	connect_answer(s, c, true);
}

void
learner_progress(struct server *s)
{
	struct list *it, *nx;
	struct parked p;

	LIST_EACH(it, nx, &s->revalidating) {
		struct server_conn *c = CONTAINER_OF(it, struct server_conn, awaiting);

		if (c->valid_at < 0 || !is_applied(s, c->valid_at))
			break;
		come_back(s, c);
	}
	while (s->parked_done > 0) {
		memcpy(&p, s->parked.data, sizeof p);
		if (!is_applied(s, p.after_zxid))
			break;
		buf_consume(&s->parked, sizeof p);
		s->parked_done--;
		if (p.conn == NULL)
			continue;
		p.conn->syncs_parked--;
		p.conn->syncs_done++;
		server_serve_queue(s, p.conn);
		if (p.conn->syncs_parked == 0)
			server_send_held(s, p.conn);
	}
}

void
learner_reset(struct server *s)
{
	assert(list_empty(&s->creating) && list_empty(&s->revalidating));
	assert(s->forwarded_count == 0 && s->forwarded_bytes == 0);
	buf_fini(&s->parked);
	s->parked_done = 0;
	buf_clear(&s->asked);
}

void
server_take_touched(struct server *s, struct buf *to)
{
	const struct session *session;

	while ((session = session_take_touched(&s->db->sessions)) != NULL) {
		jute_put_i64(to, session->id);
		jute_put_i32(to, session->timeout_ms);
	}
	local_take_touched(s, to);
}
