/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a leader does for its learners' clients. A session is owned by the server that its client is
 * connected to: what still comes from another is refused, so that nothing is carried out that the
 * client has given up.
 */
#include <assert.h>

#include "libcommon/base/plants.h"
#include "libcommon/base/mark.h"
#include "zkserver/core/server_priv.h"

/*
 * Another server's, which only that one knows. Apache's leader takes one that has ended for such a
 * session too, and carries out what was on its way here when its end was decided.
 */
static bool
may_be_local(const struct server *s, int64_t session)
{
	return s->settings.local_sessions &&
	       (uint64_t)session >> SESSION_SID_SHIFT != s->settings.sid &&
	       !session_has_ended(&s->db->sessions, session);
}

/* What no client may ask for is a learner's mistake. */
static int
check_remote(struct server *s, int64_t owner, const struct prep_request *q)
{
	struct session *session;

	if (q->type == ZK_OP_CREATE_SESSION || q->type == ZK_OP_CLOSE_SESSION)
		return ZK_OK;
	if (!prep_takes(q->type, q->body) && q->type != ZK_OP_CHECK)
		return ZK_UNIMPLEMENTED;
	session = session_find_any(&s->db->sessions, q->session);
	if (session == NULL && may_be_local(s, q->session)) {
		MARK("leader: a write of a session that it does not know");
		return prep_makes_ephemeral(q->type, q->body) && !ZAB_PLANTED(PLANT_STRANGERS_OWN)
			   ? ZK_SESSIONEXPIRED
			   : ZK_OK;
	}
	if (ZAB_PLANTED(PLANT_WRITES_AFTER_CLOSE) && session != NULL)
		return ZK_OK;
	if (session == NULL || session->closing)
		return ZK_SESSIONEXPIRED;
	if (session->owner == SESSION_OWNER_NONE)
		session->owner = owner;
	else if (session->owner != owner && !ZAB_PLANTED(PLANT_MOVED_RUNS)) {
		MARK("leader: a request from where its session has left");
		return ZK_SESSIONMOVED;
	}
	session_touch(&s->db->sessions, session, session->timeout_ms, s->now_ms);
	return ZK_OK;
}

void
server_remote_request(struct server *s, int64_t owner, int64_t session, int32_t cxid, int32_t type,
    struct jute_reader body, const struct acl_ids *who)
{
	static const struct acl_ids nobody;
	struct prep_request q = {.session = session,
	    .cxid = cxid,
	    .type = type,
	    .body = body,
	    .who = who != NULL ? who : &nobody,
	    .time_ms = s->wall_ms};

	assert(s->role == SERVER_LEADER);
	if (s->failed || s->zxids_end)
		return; /* the learner loses its leader */
	q.error = check_remote(s, owner, &q);
	server_submit(s, NULL, &q);
	if (type == ZK_OP_CREATE_SESSION)
		server_own(s, session, owner);
}

/* Whoever serves it here is told to go. */
static void
give(struct server *s, struct session *session, int64_t owner)
{
	struct server_conn *c = session->conn;

	session->owner = owner;
	if (c == NULL)
		return;
	MARK("leader: a session leaves it for a learner");
	session->conn = c->session = NULL;
	server_end_conn(s, c, SERVER_CLOSE_NOW);
}

bool
server_remote_revalidate(struct server *s, int64_t owner, int64_t session, int32_t timeout_ms)
{
	struct session *found = session_find_any(&s->db->sessions, session);

	assert(s->role == SERVER_LEADER);
	if (found == NULL || !session_touch(&s->db->sessions, found, timeout_ms, s->now_ms))
		return false;
	give(s, found, owner);
	return true;
}

void
server_passed_on(struct server *s, int64_t owner, int64_t session, int32_t timeout_ms)
{
	struct session *found = session_find(&s->db->sessions, session);

	if (found != NULL && session_touch(&s->db->sessions, found, timeout_ms, s->now_ms))
		give(s, found, owner);
}

bool
server_passes(struct server *s, int64_t owner, int64_t session, int32_t type)
{
	struct session *found = session_find(&s->db->sessions, session);

	if (found == NULL || type == ZK_OP_CREATE_SESSION || type == ZK_OP_CLOSE_SESSION)
		return true;
	if (found->owner == SESSION_OWNER_NONE)
		found->owner = owner;
	return found->owner == owner;
}

bool
server_remote_touch(struct server *s, int64_t session, int32_t timeout_ms)
{
	struct session *found = session_find_any(&s->db->sessions, session);

	return found != NULL && session_touch(&s->db->sessions, found, timeout_ms, s->now_ms);
}
