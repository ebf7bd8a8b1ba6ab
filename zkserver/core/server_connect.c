/* SPDX-License-Identifier: Apache-2.0 */
/* Connect requests: new sessions, and sessions that come back. */
#include <string.h>

#include "libcommon/base/plants.h"
#include "libcommon/base/mark.h"
#include "zkserver/core/server_priv.h"

struct connect {
	int64_t last_zxid_seen, session;
	int32_t timeout_ms;
	struct jute_bytes password;
	bool read_only; /* that is enough for it */
};

static bool
derive_password(const struct server *s, int64_t id, uint8_t password[SESSION_PASSWORD_BYTES])
{
	if (s->settings.password != NULL)
		return s->settings.password(s->settings.password_arg, id, password);
	session_password(id, password);
	return true;
}

void
connect_answer(struct server *s, struct server_conn *c, bool valid)
{
	uint8_t password[SESSION_PASSWORD_BYTES] = {0};
	size_t at = c->out->len;

	if (valid && !derive_password(s, c->session_id, password)) {
		server_refuse_conn(s, c, SERVER_CLOSE_NOW, "its session's password has no memory");
		return;
	}
	jute_put_i32(c->out, 0);
	jute_put_i32(c->out, 0); /* protocol version */
	jute_put_i32(c->out, valid ? c->timeout_ms : 0);
	jute_put_i64(c->out, valid ? c->session_id : 0);
	jute_put_bytes(c->out, (struct jute_bytes){password, sizeof password});
	if (c->read_only_byte)
		jute_put_bool(c->out, s->role == SERVER_READ_ONLY);
	if (!c->out->failed)
		jute_set_i32(c->out, at, (int32_t)(c->out->len - at - 4));
	c->connecting = false;
	server_end_conn(s, c,
	    c->out->failed ? SERVER_CLOSE_NOW
	    : valid	   ? SERVER_OPEN
			   : SERVER_CLOSE_FLUSHED);
}

static bool
may_connect(struct server *s, struct server_conn *c, bool again)
{
	const struct limits *l = &s->settings.limits;
	enum limit which = LIMIT_COUNT;

	if (!throttle_take(
		&s->connects, &l->connects, again ? l->reconnect_cost : l->connect_cost, s->now_ms))
		which = LIMIT_CONNECTS;
	else if (!again && l->sessions > 0 &&
		 session_count(&s->db->sessions) + session_count(&s->local) >= l->sessions)
		which = LIMIT_SESSIONS;
	if (which == LIMIT_COUNT)
		return true;
	s->refused.count[which]++;
	zk_metrics_count(&s->metrics, ZK_COUNTER_CONNECTION_REJECTED, 1);
	server_end_conn(s, c, SERVER_CLOSE_NOW); /* without a word: it tries another server */
	return false;
}

static void
connect_new(struct server *s, struct server_conn *c)
{
	uint8_t body[4];
	struct buf b = {.data = body, .cap = sizeof body, .max_bytes = sizeof body};
	struct queued entry = {
	    .op = ZK_OP_CREATE_SESSION, .since_ms = s->now_ms, .kind = QUEUED_WRITE};
	struct prep_request q = {
	    .type = ZK_OP_CREATE_SESSION, .who = &c->ids, .time_ms = s->wall_ms};

	while (session_find_any(&s->db->sessions, s->next_session) != NULL ||
	       local_find(s, s->next_session) != NULL)
		s->next_session++; /* the clock went back since that one was made */
	q.session = s->next_session++;
	jute_put_i32(&b, c->timeout_ms);
	q.body = jute_reader(body, sizeof body);
	c->session_id = q.session;
	if (local_is_wanted(s)) {
		if (!local_create(s, c))
			server_end_conn(s, c, SERVER_CLOSE_NOW);
		return;
	}
	c->connecting = true;
	if (server_is_learner(s))
		learner_create(s, c, &entry, q.body);
	else
		server_submit(s, c, &q);
	server_enqueue(s, c, &entry, NULL);
}

static bool
password_is_right(const struct server *s, int64_t session, struct jute_bytes password)
{
	uint8_t right[SESSION_PASSWORD_BYTES];
	uint8_t diff = 0;

	if (session == 0 || password.len != sizeof right || !derive_password(s, session, right))
		return false;
	for (size_t i = 0; i < sizeof right; i++)
		diff |= right[i] ^ password.data[i];
	return diff == 0 || ZAB_PLANTED(PLANT_ANY_PASSWORD);
}

void
connect_take(struct server *s, struct server_conn *c, struct session *session)
{
	struct server_conn *old = session->conn;

	if (old != NULL) {
		MARK("connect: the session's old connection here ends");
		old->session = NULL;
		server_end_conn(s, old, SERVER_CLOSE_NOW);
	}
	c->session = session;
	session->conn = c;
	session->owner = SESSION_OWNER_SELF;
}

/* Who has a session of the ensemble's keeps it, and finds another server. */
static void
again_read_only(struct server *s, struct server_conn *c, bool known)
{
	if (known) {
		MARK("read-only: a session of the ensemble's goes elsewhere");
		server_end_conn(s, c, SERVER_CLOSE_NOW);
	} else
		connect_answer(s, c, false);
}

/*
 * The session moves here, from a connection that holds it still. Whoever does not know the password
 * must not end that one, as at Apache's servers anybody can who guesses the id.
 */
static void
connect_again(struct server *s, struct server_conn *c, const struct connect *q)
{
	struct session *local = local_find(s, q->session),
		       *session = session_find_any(&s->db->sessions, q->session);
	bool right = password_is_right(s, q->session, q->password);

	if (local != NULL)
		session = local;
	else if (s->role == SERVER_READ_ONLY) {
		again_read_only(s, c, session != NULL);
		return;
	}
	if (!right && session != NULL)
		MARK("connect: a wrong password");
	if (right && local == NULL && server_is_learner(s)) {
		c->session_id = q->session;
		learner_revalidate(s, c);
		return;
	}
	if (!right || session == NULL ||
	    !(local != NULL ? local_touch(s, local, c->timeout_ms)
			    : session_touch(&s->db->sessions, session, c->timeout_ms, s->now_ms))) {
		connect_answer(s, c, false);
		return;
	}
	c->session_id = q->session;
	connect_take(s, c, session);
	zk_metrics_count(&s->metrics, ZK_COUNTER_CONNECTION_REVALIDATE_COUNT, 1);
	connect_answer(s, c, true);
}

static bool
connect_read(struct connect *q, struct server_conn *c, const struct server_frame *f)
{
	struct jute_reader r = jute_reader(f->bytes, f->size);

	jute_get_i32(&r); /* protocol version */
	q->last_zxid_seen = jute_get_i64(&r);
	q->timeout_ms = jute_get_i32(&r);
	q->session = jute_get_i64(&r);
	q->password = jute_get_bytes(&r);
	if (r.bad)
		return false;
	c->read_only_byte = jute_left(&r) > 0; /* clients before 3.4 end here */
	q->read_only = c->read_only_byte && jute_get_bool(&r);
	return true;
}

void
connect_request(struct server *s, struct server_conn *c, const struct server_frame *f)
{
	const struct server_settings *set = &s->settings;
	struct connect q;

	zk_metrics_count(&s->metrics, ZK_COUNTER_CONNECTION_REQUEST_COUNT, 1);
	if (!connect_read(&q, c, f)) {
		server_refuse_conn(s, c, SERVER_CLOSE_NOW, "its first frame is no connect request");
		return;
	}
	if (!server_serves(s) || (s->role == SERVER_READ_ONLY && !q.read_only)) {
		server_end_conn(s, c, SERVER_CLOSE_NOW);
		return;
	}
	if (!may_connect(s, c, q.session != 0))
		return;
	/* Who has seen more than we have finds another server. */
	if (q.last_zxid_seen > s->db->last_zxid) {
		MARK("connect: it has seen a later zxid");
		server_refuse_conn(
		    s, c, SERVER_CLOSE_NOW, "it has seen a later zxid than this server");
		return;
	}
	c->timeout_ms = q.timeout_ms < set->min_timeout_ms ? set->min_timeout_ms
			: q.timeout_ms > set->max_timeout_ms && !ZAB_PLANTED(PLANT_ANY_TIMEOUT)
			    ? set->max_timeout_ms
			    : q.timeout_ms;
	if (q.session == 0)
		connect_new(s, c);
	else
		connect_again(s, c, &q);
}
