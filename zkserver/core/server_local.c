/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a member answers without its ensemble: sessions that only it knows (localSessionsEnabled),
 * which become everybody's with their first ephemeral node, and all that a read-only server has.
 */
#include "libcommon/base/plants.h"
#include "libcommon/base/mark.h"
#include "zkserver/core/server_priv.h"

bool
local_is_wanted(const struct server *s)
{
	return s->role == SERVER_READ_ONLY || (s->up != NULL && s->settings.local_sessions);
}

bool
local_create(struct server *s, struct server_conn *c)
{
	struct session *session = session_add(&s->local, c->session_id, c->timeout_ms, s->now_ms);

	if (session == NULL)
		return false;
	session->local = true;
	connect_take(s, c, session);
	connect_answer(s, c, true);
	return true;
}

struct session *
local_find(const struct server *s, int64_t id)
{
	return session_count(&s->local) > 0 ? session_find(&s->local, id) : NULL;
}

static void
end_local(struct server *s, struct session *session)
{
	struct server_conn *c = session->conn;

	if (c != NULL)
		c->session = NULL;
	session_remove(&s->local, session->id);
}

void
local_expire(struct server *s)
{
	struct session *session;

	while ((session = session_expire(&s->local, s->now_ms)) != NULL) {
		if (session->conn != NULL)
			server_end_conn(s, session->conn, SERVER_CLOSE_NOW);
		end_local(s, session);
	}
}

/* One that is being made everybody's is the leader's to expire already; false: it has ended. */
static bool
touch_upgrading(struct server *s, struct session *session, int32_t timeout_ms)
{
	struct session *coming = session_find_any(&s->db->sessions, session->id);

	MARK("local session: shows itself while it becomes everybody's");
	if (server_is_learner(s))
		session->shown = s->local_shown = true;
	else if (coming != NULL)
		return session_touch(&s->db->sessions, coming, timeout_ms, s->now_ms);
	return true;
}

bool
local_touch(struct server *s, struct session *session, int32_t timeout_ms)
{
	if (session->upgrading && !touch_upgrading(s, session, timeout_ms))
		return false;
	return session_touch(&s->local, session, timeout_ms, s->now_ms);
}

void
local_take_touched(struct server *s, struct buf *to)
{
	struct list *at = NULL;
	struct session *session;

	if (!s->local_shown)
		return;
	s->local_shown = false;
	while ((session = session_next(&s->local, &at)) != NULL) {
		if (!session->shown)
			continue;
		session->shown = false;
		jute_put_i64(to, session->id);
		jute_put_i32(to, session->timeout_ms);
	}
}

/* The ensemble is asked to make the session, before what it is needed for. */
static void
upgrade(struct server *s, struct session *session)
{
	static const struct acl_ids nobody;
	uint8_t body[4];
	struct buf b = {.data = body, .cap = sizeof body, .max_bytes = sizeof body};
	struct prep_request q = {.session = session->id,
	    .type = ZK_OP_CREATE_SESSION,
	    .who = &nobody,
	    .time_ms = s->wall_ms};

	jute_put_i32(&b, session->timeout_ms);
	q.body = jute_reader(body, sizeof body);
	session->upgrading = true;
	if (server_is_learner(s))
		s->up->request(s->up->arg, q.session, 0, q.type, body, sizeof body, NULL);
	else
		server_submit(s, NULL, &q);
}

void
local_upgraded(struct server *s, int64_t id)
{
	struct session *local = local_find(s, id), *global = session_find(&s->db->sessions, id);
	struct server_conn *c;

	if (local == NULL || global == NULL)
		return;
	MARK("local session: becomes everybody's");
	c = local->conn;
	end_local(s, local);
	if (c == NULL) {
		MARK("local session: becomes everybody's, its client has gone");
		return;
	}
	connect_take(s, c, global);
	session_touch(&s->db->sessions, global, c->timeout_ms, s->now_ms);
}

bool
local_takes(struct server *s, struct server_conn *c, struct queued *q, struct jute_reader body)
{
	bool writes = prep_takes(q->op, body), closes = q->op == ZK_OP_CLOSE_SESSION;

	/* Nothing is taken behind its end, even if that is the ensemble's: it is being upgraded. */
	if (closes)
		c->session->closing = true;
	if (s->role == SERVER_READ_ONLY) {
		if (!writes && q->op != ZK_OP_SYNC)
			return false;
		MARK("read-only: a write or a sync is answered");
		q->error = closes || ZAB_PLANTED(PLANT_READ_ONLY_WRITES) ? ZK_OK : ZK_NOTREADONLY;
	} else if (closes && !c->session->upgrading)
		q->error = ZK_OK;
	else if (!writes || !prep_makes_ephemeral(q->op, body))
		return false;
	else if (s->settings.local_upgrade) {
		if (!c->session->upgrading && !ZAB_PLANTED(PLANT_NO_UPGRADE))
			upgrade(s, c->session);
		return false;
	} else {
		MARK("local session: an ephemeral node is refused");
		q->error = ZK_EPHEMERALONLOCALSESSION;
	}
	q->kind = QUEUED_HERE;
	return true;
}

void
local_answer(struct server *s, struct server_conn *c, const struct queued *q)
{
	reply_send(s, c, q->xid, s->db->last_zxid, q->error, NULL);
	if (q->op != ZK_OP_CLOSE_SESSION)
		return;
	if (c->session != NULL)
		end_local(s, c->session);
	server_end_conn(s, c, SERVER_CLOSE_FLUSHED);
}
