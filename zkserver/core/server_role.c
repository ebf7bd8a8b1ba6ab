/* SPDX-License-Identifier: Apache-2.0 */
/* A member of an ensemble: its roles, and the records that it has from its leader or for its
 * learners. */
#include <assert.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "zkserver/core/server_priv.h"

static void
set_marks(struct server *s)
{
	s->synced_zxid = s->committed_zxid = s->db->last_zxid;
}

void
server_join(struct server *s, const struct server_upstream *up)
{
	assert(s->role == SERVER_STANDALONE && s->pending_count == 0 && s->conn_count == 0);
	s->up = up;
	s->role = SERVER_IDLE;
	session_stop(&s->db->sessions);
	set_marks(s);
}

void
server_idle(struct server *s)
{
	struct list *it, *nx;

	server_forget_records(s, NULL);
	LIST_EACH(it, nx, &s->conns) {
		struct server_conn *c = CONTAINER_OF(it, struct server_conn, link);

		server_forget_queue(s, c);
		watch_remove_all(&s->watches, &c->watcher);
		if (c->session != NULL)
			c->session->conn = NULL;
		c->session = NULL;
		server_end_conn(s, c, SERVER_CLOSE_NOW);
	}
	learner_reset(s);
	session_table_fini(&s->local);
	s->role = SERVER_IDLE;
	s->zxids_end = false;
	session_stop(&s->db->sessions);
	prep_reset(&s->prep);
}

void
server_fast_forward(struct server *s)
{
	assert(s->role == SERVER_IDLE && s->unlogged == s->pending.len);
	s->synced_zxid = s->committed_zxid = server_last_zxid(s);
	server_progress(s);
	set_marks(s);
}

void
server_reloaded(struct server *s)
{
	assert(s->role == SERVER_IDLE || s->role == SERVER_SYNCING);
	s->pending_base += s->pending.len;
	buf_clear(&s->pending);
	s->pending_count = s->unlogged = 0;
	if (s->audit != NULL)
		audit_forget(s->audit);
	session_stop(&s->db->sessions);
	prep_reset(&s->prep);
	reap_init(s);
	set_marks(s);
}

bool
server_show_config(struct server *s, const uint8_t *text, size_t size, int64_t version)
{
	static const char path[] = "/zookeeper/config";
	struct tree *t = &s->db->tree;
	struct tree_set set = {
	    .at = {.path = {(const uint8_t *)path, sizeof path - 1}},
	    .data = {text, (int32_t)size},
	    .version = -1,
	    .zxid = version,
	    .time_ms = s->wall_ms,
	};

	assert(!server_serves(s));
	set.at.hash = tree_hash(t, set.at.path);
	set.crc = tree_crc(set.at.path, set.data);
	return tree_set_data(t, &set) == TREE_OK;
}

void
server_sync_begin(struct server *s)
{
	assert(s->role == SERVER_IDLE && s->pending_count == 0);
	s->role = SERVER_SYNCING;
	set_marks(s);
}

void
server_follow(struct server *s, bool observer)
{
	assert(s->role == SERVER_SYNCING);
	s->role = observer ? SERVER_OBSERVER : SERVER_FOLLOWER;
	session_collect(&s->db->sessions);
	session_start(&s->local, s->now_ms);
}

void
server_read_only(struct server *s)
{
	assert(s->role == SERVER_IDLE && s->pending_count == 0);
	s->role = SERVER_READ_ONLY;
	session_start(&s->local, s->now_ms);
}

void
server_lead(struct server *s, int32_t epoch)
{
	int64_t first = (int64_t)epoch << 32;

	assert(s->role == SERVER_IDLE && s->pending_count == 0 && first >= s->db->last_zxid);
	s->role = SERVER_LEADER;
	s->db->last_zxid = first;
	prep_reset(&s->prep);
	session_start(&s->db->sessions, s->now_ms);
	if (s->settings.local_sessions)
		session_remember(&s->db->sessions);
	session_start(&s->local, s->now_ms);
	reap_init(s);
	set_marks(s);
}

const char *
server_mode(const struct server *s)
{
	static const char *const modes[] = {
	    [SERVER_STANDALONE] = "standalone",
	    [SERVER_IDLE] = "idle", /* nobody is told so: it does not serve */
	    [SERVER_SYNCING] = "idle",
	    [SERVER_LEADER] = "leader",
	    [SERVER_FOLLOWER] = "follower",
	    [SERVER_OBSERVER] = "observer",
	    [SERVER_READ_ONLY] = "read-only",
	};

	return modes[s->role];
}

int64_t
server_synced_zxid(const struct server *s)
{
	return s->synced_zxid;
}

void
server_committed(struct server *s, int64_t zxid)
{
	if (zxid > s->committed_zxid) {
		/* Without holes, unless it is the first of an epoch. */
		zk_metrics_count(&s->metrics,
		    s->role == SERVER_LEADER ? ZK_COUNTER_COMMIT_COUNT
					     : ZK_COUNTER_LEARNER_COMMIT_RECEIVED_COUNT,
		    zxid >> 32 == s->committed_zxid >> 32 ? (uint64_t)(zxid - s->committed_zxid)
							  : 1);
		s->committed_zxid = zxid;
	}
	server_progress(s);
}

int64_t
server_last_zxid(const struct server *s)
{
	return s->pending_count > 0 ? s->last_pending_zxid : s->db->last_zxid;
}

/* Within an epoch there are no holes. */
static bool
follows(int64_t zxid, int64_t last)
{
	if (zxid >> 32 == last >> 32)
		return zxid == last + 1;
	return zxid > last && (uint32_t)zxid == 1;
}

/* Could it be applied? */
static bool
is_whole(const struct txn *txn)
{
	struct jute_reader r = txn->body.rest;
	struct txn_body part;

	if (txn->header.type != ZK_OP_MULTI)
		return true;
	for (int32_t i = 0; i < txn->body.count; i++) {
		if (!txn_next_part(&r, &txn->header, &part))
			return false;
	}
	return true;
}

/* Is the session open when all that is pending has been applied? */
static bool
stays_open(const struct server *s, int64_t session)
{
	bool open = session_find(&s->db->sessions, session) != NULL;
	struct server_record r;
	struct txn_header h;

	for (size_t off = 0; off < s->pending.len; off += sizeof r + r.size) {
		memcpy(&r, s->pending.data + off, sizeof r);
		if (!txn_decode_header(&h, s->pending.data + off + sizeof r, r.size) ||
		    h.session != session)
			continue;
		if (h.type == ZK_OP_CREATE_SESSION)
			open = true;
		else if (h.type == ZK_OP_CLOSE_SESSION)
			open = false;
	}
	return open;
}

/* Does it make a TTL node where these look like ephemeral ones, of a session that is none? */
static bool
hides_ttl(const struct server *s, const struct txn_body *b)
{
	bool creates = b->type == ZK_OP_CREATE || b->type == ZK_OP_CREATE2;

	if (s->db->rules.extended_types)
		return false;
	return b->type == ZK_OP_CREATE_TTL ||
	       (creates && tree_is_ttl_owner(b->owner) && !stays_open(s, b->owner));
}

static bool
find_hidden_ttl(const struct server *s, const struct txn *txn, struct jute_bytes *path)
{
	struct jute_reader r = txn->body.rest;
	struct txn_body part = txn->body;
	int32_t parts = txn->header.type == ZK_OP_MULTI ? txn->body.count : 1;

	for (int32_t i = 0; i < parts; i++) {
		if (txn->header.type == ZK_OP_MULTI && !txn_next_part(&r, &txn->header, &part))
			return false;
		*path = part.path;
		if (hides_ttl(s, &part))
			return true;
	}
	return false;
}

bool
server_finds_hidden_ttl(
    const struct server *s, const uint8_t *bytes, size_t size, struct jute_bytes *path)
{
	struct txn txn;

	return txn_decode(&txn, bytes, size) && find_hidden_ttl(s, &txn, path);
}

bool
server_propose(struct server *s, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct apply_known known;
	struct jute_bytes path;
	struct txn txn;
	uint8_t *to;

	assert(s->role == SERVER_SYNCING || server_is_learner(s));
	if (!txn_decode(&txn, bytes, size) || txn.header.zxid != zxid || !is_whole(&txn) ||
	    find_hidden_ttl(s, &txn, &path) ||
	    (!follows(zxid, server_last_zxid(s)) && !ZAB_PLANTED(PLANT_HOLE_TAKEN)))
		return false;
	if ((to = buf_reserve(&s->pending, sizeof(struct server_record) + size)) == NULL) {
		s->failed = true;
		return true;
	}
	server_record_put(to, NULL, zxid, size, db_know(s->db, &txn, &known) ? &known : NULL);
	memcpy(to + sizeof(struct server_record), bytes, size);
	buf_commit(&s->pending, sizeof(struct server_record) + size);
	s->last_pending_zxid = zxid;
	s->pending_count++;
	zk_metrics_count(&s->metrics, ZK_COUNTER_LEARNER_PROPOSAL_RECEIVED_COUNT, 1);
	return true;
}

bool
server_pending_after(const struct server *s, int64_t zxid, struct server_cursor *at, int64_t *next,
    const uint8_t **bytes, size_t *size)
{
	bool known = at->zxid == zxid && at->end >= s->pending_base;
	size_t off = known ? (size_t)(at->end - s->pending_base) : 0;
	struct server_record r;

	for (; off < s->pending.len; off += sizeof r + r.size) {
		memcpy(&r, s->pending.data + off, sizeof r);
		if (r.zxid > zxid)
			break;
	}
	if (off >= s->pending.len)
		return false;
	*next = r.zxid;
	*bytes = s->pending.data + off + sizeof r;
	*size = r.size;
	*at = (struct server_cursor){r.zxid, s->pending_base + off + sizeof r + r.size};
	return true;
}

int64_t
server_pending_next(const struct server *s, int64_t zxid, struct server_cursor *at)
{
	int64_t next = zxid + 1, last = server_last_zxid(s);
	const uint8_t *bytes;
	size_t size;

	/* The record need not be looked at: there are no holes within an epoch. */
	if (next > s->db->last_zxid && next <= last && next >> 32 == last >> 32 &&
	    next >> 32 == zxid >> 32)
		return next;
	return server_pending_after(s, zxid, at, &next, &bytes, &size) ? next : -1;
}
