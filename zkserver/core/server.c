/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/server.h"

#include <assert.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "zkserver/core/server_priv.h"

#define QUEUE_COUNT_MAX 2000
#define QUEUE_BYTES_SOFT ((size_t)1 << 20)
#define PENDING_BYTES_SOFT ((size_t)64 << 20)
#define QUOTA_NOTICE_MS 60000

/* From half of the limit to the whole of it, as Apache's server has it. */
static uint64_t
draw(struct server *s, uint64_t limit)
{
	return limit / 2 + rng_below(&s->rng, limit / 2 > 0 ? limit / 2 : 1);
}

static void
next_snapshot(struct server *s)
{
	s->txns = 0;
	s->txn_bytes = 0;
	s->snapshot_at = (uint32_t)draw(s, s->settings.snap_count);
	s->snapshot_at_bytes =
	    s->settings.snap_bytes > 0 ? draw(s, s->settings.snap_bytes) : UINT64_MAX;
}

void
server_init(struct server *s, const struct server_settings *settings, struct db *db, uint64_t seed,
    uint64_t now_ms, int64_t wall_ms)
{
	*s = (struct server){.settings = *settings,
	    .db = db,
	    .now_ms = now_ms,
	    .started_ms = now_ms,
	    .wall_ms = wall_ms};
	prep_init(&s->prep, db);
	s->prep.limits = &s->settings.limits;
	s->prep.refused = &s->refused;
	s->prep.reconfig_enabled = settings->reconfig_enabled;
	s->prep.enforce_quota = settings->enforce_quota;
	watches_init(s);
	zk_metrics_reset(&s->metrics);
	rng_init(&s->rng, seed);
	list_init(&s->conns);
	list_init(&s->dirty);
	list_init(&s->told);
	list_init(&s->resting);
	list_init(&s->stalled);
	/* What one request adds to these is bounded by its frame, or by the nodes that its session
	 * has. */
	buf_init(&s->pending, SIZE_MAX / 4);
	buf_init(&s->record_part, SIZE_MAX / 4);
	list_init(&s->creating);
	list_init(&s->revalidating);
	buf_init(&s->asked, SIZE_MAX / 4);  /* questions_are_full() before it is */
	buf_init(&s->parked, SIZE_MAX / 4); /* one for each sync in a connection's queue */
	s->synced_zxid = db->last_zxid;
	s->committed_zxid = INT64_MAX;
	s->next_session = session_first_id(settings->sid, wall_ms);
	session_start(&db->sessions, now_ms);
	session_table_init(&s->local, settings->tick_ms);
	reap_init(s);
	next_snapshot(s);
}

void
server_fini(struct server *s)
{
	assert(list_empty(&s->conns));
	prep_fini(&s->prep);
	watch_table_fini(&s->watches);
	buf_fini(&s->pending);
	buf_fini(&s->record_part);
	buf_fini(&s->asked);
	buf_fini(&s->parked);
	session_table_fini(&s->local);
}

void
server_set_time(struct server *s, uint64_t now_ms, int64_t wall_ms)
{
	s->now_ms = now_ms;
	s->wall_ms = wall_ms;
}

bool
server_conn_open(struct server *s, struct server_conn *c, struct buf *out, const char *ip)
{
	*c = (struct server_conn){
	    .out = out, .since_ms = s->now_ms, .last_xid = -1, .last_op = -1, .last_zxid = -1};
	acl_ids_init(&c->ids);
	if (!acl_ids_add(&c->ids, "ip", ip)) {
		acl_ids_fini(&c->ids);
		return false;
	}
	watcher_init(&c->watcher);
	list_init(&c->dirty);
	list_init(&c->told);
	list_init(&c->waiting);
	list_init(&c->awaiting);
	buf_init(&c->queue, QUEUE_BYTES_SOFT + s->settings.frame_bytes_max + sizeof(struct queued));
	list_append(&s->conns, &c->link);
	s->conn_count++;
	return true;
}

bool
server_conn_identify(struct server_conn *c, const char *scheme, const char *id)
{
	return acl_ids_add(&c->ids, scheme, id);
}

void
server_forget_records(struct server *s, const struct server_conn *c)
{
	struct server_record r;

	for (size_t at = 0; at < s->pending.len; at += sizeof r + r.size) {
		memcpy(&r, s->pending.data + at, sizeof r);
		if (r.conn == NULL || (c != NULL && r.conn != c))
			continue;
		r.conn = NULL;
		memcpy(s->pending.data + at, &r, sizeof r);
	}
}

void
server_forget_queue(struct server *s, struct server_conn *c)
{
	if (s->up != NULL)
		learner_forget(s, c);
	buf_fini(&c->queue);
	c->queue_count = 0;
}

void
server_conn_close(struct server *s, struct server_conn *c)
{
	if (c->queue_count > 0 && !server_is_learner(s))
		server_forget_records(s, c);
	server_forget_queue(s, c);
	if (c->session != NULL)
		c->session->conn = NULL;
	if (!ZAB_PLANTED(PLANT_WATCHES_STAY))
		watch_remove_all(&s->watches, &c->watcher);
	list_remove(&c->link);
	server_attended(c);
	list_remove(&c->waiting);
	acl_ids_fini(&c->ids);
	s->conn_count--;
}

struct server_conn *
server_next_dirty(struct server *s)
{
	struct server_conn *c;
	struct watcher *who;
	struct list *first;

	if ((first = list_first(&s->dirty)) != NULL)
		c = CONTAINER_OF(first, struct server_conn, dirty);
	else if ((first = list_first(&s->told)) != NULL)
		c = CONTAINER_OF(first, struct server_conn, told);
	else if ((who = watch_tell_next(&s->watches)) != NULL)
		c = CONTAINER_OF(who, struct server_conn, watcher);
	else
		return NULL;
	server_attended(c);
	return c;
}

struct server_conn *
server_next_resting(struct server *s)
{
	struct list *first = list_first(&s->resting);

	if (first == NULL)
		return NULL;
	list_remove(first);
	return CONTAINER_OF(first, struct server_conn, waiting);
}

bool
server_only_tells(const struct server *s)
{
	return list_empty(&s->dirty);
}

bool
server_has_more(const struct server *s)
{
	return !list_empty(&s->dirty) || !list_empty(&s->told) || !list_empty(&s->resting) ||
	       s->watches.waiting_count > 0;
}

void
server_attended(struct server_conn *c)
{
	list_remove(&c->dirty);
	list_remove(&c->told);
}

/* What a learner has pending is its leader's, who sees to that. */
bool
server_is_full(const struct server *s)
{
	if (s->up != NULL && questions_are_full(s))
		return true;
	if (server_is_learner(s))
		return s->forwarded_count >= s->settings.outstanding_max ||
		       s->forwarded_bytes > PENDING_BYTES_SOFT;
	return s->pending_count >= s->settings.outstanding_max ||
	       s->pending.len > PENDING_BYTES_SOFT || s->zxids_end;
}

bool
server_conn_blocked(const struct server *s, const struct server_conn *c)
{
	return c->end != SERVER_OPEN || c->connecting || c->queue_count >= QUEUE_COUNT_MAX ||
	       c->queue.len > QUEUE_BYTES_SOFT || c->out->len > SERVER_OUT_SOFT_BYTES ||
	       s->failed || server_is_full(s) ||
	       (ZAB_PLANTED(PLANT_WAITS_FOR_LEADER) && s->forwarded_count > 0);
}

void
server_enqueue(
    struct server *s, struct server_conn *c, const struct queued *q, const uint8_t *bytes)
{
	buf_append(&c->queue, q, sizeof *q);
	if (bytes != NULL)
		buf_append(&c->queue, bytes, q->size);
	c->queue_count++;
	if (c->queue.failed)
		server_end_conn(s, c, SERVER_CLOSE_NOW);
}

void
server_own(struct server *s, int64_t session, int64_t owner)
{
	struct session *found = session_find_any(&s->db->sessions, session);

	if (found != NULL)
		found->owner = owner;
}

/* It may be in use at a learner before it is applied here. */
static void
expect_session(struct server *s, const struct prep_request *q)
{
	struct jute_reader body = q->body;

	if (session_expect(&s->db->sessions, q->session, jute_get_i32(&body), s->now_ms) == NULL)
		s->failed = true;
	server_own(s, q->session, SESSION_OWNER_SELF);
}

static void
count_proposal(struct server *s, size_t size)
{
	struct server_stats *stats = &s->stats;

	stats->proposal_last = size;
	if (stats->proposal_min == 0 || size < stats->proposal_min)
		stats->proposal_min = size;
	if (size > stats->proposal_max)
		stats->proposal_max = size;
	zk_metrics_count(&s->metrics, ZK_COUNTER_PROPOSAL_COUNT, 1);
}

void
server_submit(struct server *s, struct server_conn *c, const struct prep_request *q)
{
	size_t at = s->pending.len, size;
	int64_t zxid;

	if (s->zxids_end) {
		if (c != NULL)
			server_end_conn(s, c, SERVER_CLOSE_NOW);
		return;
	}
	if (s->role == SERVER_LEADER && q->type == ZK_OP_CREATE_SESSION)
		expect_session(s, q);
	if (buf_reserve(&s->pending, sizeof(struct server_record)) != NULL)
		buf_commit(&s->pending, sizeof(struct server_record));
	if (!prep_txn(&s->prep, q, &s->pending)) {
		s->failed = true;
		return;
	}
	zxid = s->last_pending_zxid = s->prep.last_zxid;
	s->zxids_end = s->role == SERVER_LEADER && (uint32_t)zxid == UINT32_MAX &&
		       !ZAB_PLANTED(PLANT_ZXIDS_WRAP);
	size = s->pending.len - at - sizeof(struct server_record);
	server_record_put(
	    s->pending.data + at, c, zxid, size, s->prep.is_known ? &s->prep.known : NULL);
	s->pending_count++;
	if (s->role == SERVER_LEADER)
		count_proposal(s, size);
	zk_metrics_count(&s->metrics, ZK_COUNTER_SYNC_PROCESSOR_REQUEST_QUEUED, 1);
	if (c != NULL && s->audit != NULL && !audit_submitted(s->audit, q, zxid)) {
		s->failed = true;
		return;
	}
}

bool
server_next_record(struct server *s, int64_t *zxid, const uint8_t **bytes, size_t *size)
{
	struct server_record r;

	if (s->unlogged >= s->pending.len || s->failed)
		return false;
	memcpy(&r, s->pending.data + s->unlogged, sizeof r);
	*zxid = r.zxid;
	*bytes = s->pending.data + s->unlogged + sizeof r;
	*size = r.size;
	s->unlogged += sizeof r + r.size;
	return true;
}

static bool
lives(const struct server_conn *c)
{
	return c->session != NULL && !c->session->closing;
}

/* Every request shows that the session lives. False: the session ends or has ended. */
static bool
touch(struct server *s, struct server_conn *c)
{
	if (!lives(c))
		return false;
	if (c->touched_ms == s->now_ms)
		return true;
	c->touched_ms = s->now_ms;
	return c->session->local
		   ? local_touch(s, c->session, c->timeout_ms)
		   : session_touch(&s->db->sessions, c->session, c->timeout_ms, s->now_ms);
}

/* A write goes on its way; the place in the queue is the caller's. */
static void
send_write(struct server *s, struct server_conn *c, struct queued *q, struct jute_reader body,
    uint32_t hash)
{
	const struct prep_request w = {
	    c->session_id, q->xid, q->op, body, &c->ids, s->wall_ms, ZK_OK, hash};

	q->kind = QUEUED_WRITE;
	if (server_is_learner(s))
		learner_forward(s, c, q, body, &c->ids);
	else
		server_submit(s, c, &w);
}

/* What is held behind the end of its session is not sent; a local one's end stands behind it. */
static bool
may_send(const struct server_conn *c)
{
	return lives(c) || (c->session != NULL && c->session->local);
}

void
server_send_held(struct server *s, struct server_conn *c)
{
	struct queued q;

	for (size_t at = 0; at < c->queue.len && may_send(c); at += sizeof q + q.size) {
		const uint8_t *bytes = c->queue.data + at + sizeof q;

		memcpy(&q, c->queue.data + at, sizeof q);
		if (q.kind != QUEUED_HELD)
			continue;
		send_write(s, c, &q,
		    jute_reader(bytes + REQUEST_HEADER_BYTES, q.size - REQUEST_HEADER_BYTES), 0);
		memcpy(c->queue.data + at, &q, sizeof q);
	}
}

/*
 * Behind a sync that is parked it is held: else it could be committed before the leader says that
 * the sync is done, and would have to be answered after it. A learner's that is audited is kept.
 */
static void
request_write(struct server *s, struct server_conn *c, struct queued *q,
    const struct server_frame *f, struct jute_reader body)
{
	if (c->syncs_parked > 0)
		q->kind = QUEUED_HELD;
	else
		send_write(s, c, q, body, f->hash);
	if (q->kind == QUEUED_WRITE && (s->audit == NULL || !server_is_learner(s)))
		q->size = 0;
	server_enqueue(s, c, q, f->bytes);
}

static void
request_here(struct server *s, struct server_conn *c, const struct queued *q, const uint8_t *bytes)
{
	if (c->queue_count > 0)
		server_enqueue(s, c, q, bytes);
	else
		local_answer(s, c, q);
}

static void
request(struct server *s, struct server_conn *c, const struct server_frame *f)
{
	struct jute_reader r = jute_reader(f->bytes, f->size);
	struct queued q = {.xid = jute_get_i32(&r), .since_ms = s->now_ms, .size = f->size};

	q.op = jute_get_i32(&r);
	if (r.bad) {
		server_refuse_conn(s, c, SERVER_CLOSE_NOW, "a request shorter than its header");
		return;
	}
	if (!touch(s, c))
		return; /* the connection is about to be closed */
	if (c->session->local && local_takes(s, c, &q, r))
		request_here(s, c, &q, f->bytes);
	else if (prep_takes(q.op, r))
		request_write(s, c, &q, f, r);
	else if (q.op == ZK_OP_SYNC && s->up != NULL) {
		q.kind = QUEUED_SYNC;
		server_enqueue(s, c, &q, f->bytes);
		sync_park(s, c);
	} else if (c->queue_count > 0)
		server_enqueue(s, c, &q, f->bytes);
	else
		server_serve(s, c, &q, r, f->hash);
}

/* Start the cache misses of the whole batch before the first is needed. */
static void
prefetch(const struct server *s, struct server_frame *frames, size_t count)
{
	const struct tree *t = &s->db->tree;

	for (size_t i = 0; i < count; i++) {
		frames[i].hash = tree_hash(t, frame_path(&frames[i]));
		tree_prefetch_slot(t, frames[i].hash);
	}
	for (size_t i = 0; count > 1 && i < count; i++)
		tree_prefetch_node(t, frames[i].hash);
}

void
server_conn_received(struct server *s, struct server_conn *c, size_t bytes)
{
	c->received++;
	s->stats.received++;
	zk_metrics_count(&s->metrics, ZK_COUNTER_BYTES_RECEIVED_COUNT, bytes);
}

void
server_conn_sent(struct server *s, struct server_conn *c)
{
	c->sent++;
	s->stats.sent++;
}

size_t
server_frames(struct server *s, struct server_conn *c, struct server_frame *frames, size_t count)
{
	size_t i;

	assert(count <= SERVER_BATCH_MAX);
	watch_settle(&s->watches, &c->watcher);
	prefetch(s, frames, count);
	s->walked = 0;
	for (i = 0; i < count && s->walked < SERVER_WALK_MAX && !server_conn_blocked(s, c); i++) {
		if (server_frame_is_auth(c, &frames[i]))
			break;
		server_conn_received(s, c, sizeof(uint32_t) + frames[i].size);
		if (c->session_id == 0)
			connect_request(s, c, &frames[i]);
		else if (auth_is_enough(s, c, &frames[i]))
			request(s, c, &frames[i]);
	}
	if (i < count && list_empty(&c->waiting)) {
		if (s->walked >= SERVER_WALK_MAX)
			list_append(&s->resting, &c->waiting);
		else if (server_is_full(s))
			list_append(&s->stalled, &c->waiting);
	}
	return i;
}

uint64_t
server_deadline_ms(const struct server *s)
{
	uint64_t at_ms = session_deadline_ms(&s->db->sessions),
		 local_ms = session_deadline_ms(&s->local);

	/* With no room for their ends, sessions expire as soon as there is: server_synced() sees to
	 * it. */
	if (server_is_full(s))
		return UINT64_MAX;
	if (local_ms < at_ms)
		at_ms = local_ms;
	return reap_at_ms(s) < at_ms ? reap_at_ms(s) : at_ms;
}

void
server_tick(struct server *s)
{
	static const struct acl_ids nobody;
	struct session *session;

	local_expire(s);
	while (!s->failed && !server_is_full(s) &&
	       (session = session_expire(&s->db->sessions, s->now_ms)) != NULL) {
		struct prep_request q = {.session = session->id,
		    .type = ZK_OP_CLOSE_SESSION,
		    .who = &nobody,
		    .time_ms = s->wall_ms};

		server_submit(s, NULL, &q);
		zk_metrics_count(&s->metrics, ZK_COUNTER_STALE_SESSIONS_EXPIRED, 1);
	}
	if (!s->failed && !server_is_full(s))
		reap(s);
}

const char *
server_quota_notice(struct server *s, uint64_t *count)
{
	const struct quota_notice *notice = &s->prep.quota;

	*count = notice->count - s->quota_said;
	if (*count == 0 || s->now_ms < s->quota_say_ms)
		return NULL;
	s->quota_said = notice->count;
	s->quota_say_ms = s->now_ms + QUOTA_NOTICE_MS;
	return notice->text;
}

bool
server_snapshot_due(struct server *s)
{
	if (!server_serves(s) || s->role == SERVER_READ_ONLY || /* nobody confirmed what it has */
	    (s->txns < s->snapshot_at && s->txn_bytes < s->snapshot_at_bytes))
		return false;
	next_snapshot(s);
	return true;
}
