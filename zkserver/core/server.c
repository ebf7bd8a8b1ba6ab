/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/server.h"

#include <assert.h>
#include <string.h>

#include "zkserver/core/server_priv.h"

#define QUEUE_COUNT_MAX 2000
#define QUEUE_BYTES_SOFT ((size_t)1 << 20)
#define PENDING_BYTES_SOFT ((size_t)64 << 20)
#define QUOTA_NOTICE_MS 60000
#define KEEP_BYTES ((size_t)4 << 20) /* an empty buffer keeps so much memory */

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
	buf_init(&s->parked, SIZE_MAX / 4); /* one for each sync in a connection's queue */
	s->synced_zxid = db->last_zxid;
	s->committed_zxid = INT64_MAX;
	s->next_session = session_first_id(settings->sid, wall_ms);
	session_start(&db->sessions, now_ms);
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
	buf_fini(&s->parked);
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
	*c = (struct server_conn){.out = out, .since_ms = s->now_ms,
	    .last_xid = -1,
	    .last_op = -1,
	    .last_zxid = -1};
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
	       s->failed || server_is_full(s);
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
	struct server_record r = {.conn = c};
	size_t at = s->pending.len;

	if (s->zxids_end) {
		if (c != NULL)
			server_end_conn(s, c, SERVER_CLOSE_NOW);
		return;
	}
	if (s->role == SERVER_LEADER && q->type == ZK_OP_CREATE_SESSION)
		expect_session(s, q);
	buf_append(&s->pending, &r, sizeof r);
	if (!prep_txn(&s->prep, q, &s->pending)) {
		s->failed = true;
		return;
	}
	r.zxid = s->last_pending_zxid = s->prep.last_zxid;
	s->zxids_end = s->role == SERVER_LEADER && (uint32_t)r.zxid == UINT32_MAX;
	r.size = s->pending.len - at - sizeof r;
	r.is_known = s->prep.is_known;
	r.known = s->prep.known;
	memcpy(s->pending.data + at, &r, sizeof r);
	s->pending_count++;
	if (s->role == SERVER_LEADER)
		count_proposal(s, r.size);
	zk_metrics_count(&s->metrics, ZK_COUNTER_SYNC_PROCESSOR_REQUEST_QUEUED, 1);
	if (c != NULL && s->audit != NULL && !audit_submitted(s->audit, q, r.zxid)) {
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

static void
count_latency(
    struct server *s, struct server_conn *c, uint64_t since_ms, enum zk_summary summary)
{
	uint64_t ms = s->now_ms - since_ms;

	zk_metrics_observe(&s->metrics, summary, ms);
	if (s->stats.latency_count++ == 0 || ms < s->stats.latency_min_ms)
		s->stats.latency_min_ms = ms;
	if (ms > s->stats.latency_max_ms)
		s->stats.latency_max_ms = ms;
	s->stats.latency_sum_ms += ms;
	c->latency_min_ms = c->sent <= 1 || ms < c->latency_min_ms ? ms : c->latency_min_ms;
	c->latency_max_ms = ms > c->latency_max_ms ? ms : c->latency_max_ms;
	c->latency_last_ms = ms;
	c->latency_sum_ms += ms;
	c->answered_ms = s->now_ms;
	c->last_zxid = s->db->last_zxid;
}

static void
serve(struct server *s, struct server_conn *c, const struct queued *q, struct jute_reader body,
    uint32_t hash)
{
	read_serve(s, c, q->xid, q->op, body, hash);
	c->last_xid = q->xid >= 0 ? q->xid : c->last_xid;
	c->last_op = q->op;
	count_latency(s, c, q->since_ms, ZK_SUMMARY_READLATENCY);
}

/* The head of the queue is done. Who waits for nothing keeps no memory for it. */
static void
dequeue(struct server_conn *c, size_t size)
{
	buf_consume(&c->queue, size);
	if (--c->queue_count == 0)
		buf_fini(&c->queue);
}

/* Serve the reads that stood behind a write that was answered, up to the next write. */
void
server_serve_queue(struct server *s, struct server_conn *c)
{
	struct queued q;

	while (c->queue_count > 0 && c->end == SERVER_OPEN) {
		struct server_frame f;
		struct jute_reader r;

		memcpy(&q, c->queue.data, sizeof q);
		if (q.kind >= QUEUED_HELD || (q.kind == QUEUED_SYNC && c->syncs_done == 0))
			return;
		if (q.kind == QUEUED_SYNC)
			c->syncs_done--;
		f = (struct server_frame){c->queue.data + sizeof q, q.size, 0};
		r = jute_reader(f.bytes + REQUEST_HEADER_BYTES,
		    f.size - REQUEST_HEADER_BYTES);
		serve(s, c, &q, r, tree_hash(&s->db->tree, frame_path(&f)));
		dequeue(c, sizeof q + q.size);
	}
}

/* db_apply() reports each part; the record of the reply grows. */
static void
answer_part(void *arg, const struct apply_part *p)
{
	struct server *s = arg;
	struct buf *b = &s->record_part;
	bool multi = s->applying_type == ZK_OP_MULTI;
	bool create2 = p->type == ZK_OP_CREATE2 || p->type == ZK_OP_CREATE_CONTAINER ||
		       p->type == ZK_OP_CREATE_TTL;

	if (multi) {
		jute_put_i32(b, create2 ? ZK_OP_CREATE2 : p->type);
		jute_put_bool(b, false);
		jute_put_i32(b, p->error);
		if (p->type == ZK_OP_ERROR)
			jute_put_i32(b, p->error);
	}
	s->applying_error = p->error;
	if (s->audit != NULL)
		audit_part(s->audit, p);
	if (p->error != ZK_OK)
		return;
	if (p->type == ZK_OP_CREATE || create2)
		jute_put_bytes(b, p->path);
	if (p->type == ZK_OP_RECONFIG) { /* as a read of the node */
		const struct tree_node *n = tree_find(&s->db->tree, p->path);

		jute_put_bytes(b, n != NULL ? tree_node_data(n) : (struct jute_bytes){NULL, -1});
	}
	if (p->has_stat)
		buf_append(b, p->stat, sizeof p->stat);
}

static void
answer_multi_end(struct buf *b)
{
	jute_put_i32(b, -1);
	jute_put_bool(b, true);
	jute_put_i32(b, -1);
}

/*
 * Answer the write at the head of the connection's queue, then what waited behind it. What stood
 * behind a request that has ended the connection is carried out unanswered, and is still queued.
 */
static void
answer(struct server *s, struct server_conn *c, int64_t zxid)
{
	struct queued q;

	if (c->end != SERVER_OPEN)
		return;
	assert(c->queue_count > 0);
	memcpy(&q, c->queue.data, sizeof q);
	assert(q.kind == QUEUED_WRITE);
	if (server_is_learner(s))
		learner_answered(s, c, &q);
	dequeue(c, sizeof q + q.size);
	if (q.op == ZK_OP_CREATE_SESSION) {
		connect_take(s, c, session_find(&s->db->sessions, c->session_id));
		c->last_op = q.op;
		c->last_xid = 0;
		connect_answer(s, c, true);
		count_latency(s, c, q.since_ms, ZK_SUMMARY_UPDATELATENCY);
		return;
	}
	if (s->applying_type == ZK_OP_ERROR && s->applying_error == ZK_SESSIONMOVED) {
		/* Its client is elsewhere, as Apache's servers see it. */
		server_end_conn(s, c, SERVER_CLOSE_NOW);
		return;
	}
	if (s->applying_type == ZK_OP_MULTI) {
		answer_multi_end(&s->record_part);
		s->applying_error = ZK_OK;
	}
	if (s->record_part.failed) {
		server_end_conn(s, c, SERVER_CLOSE_NOW);
		return;
	}
	reply_send(s, c, q.xid, zxid, s->applying_error, &s->record_part);
	c->last_xid = q.xid >= 0 ? q.xid : c->last_xid;
	c->last_op = s->applying_type == ZK_OP_ERROR ? -1 : q.op; /* Apache's server: NA */
	count_latency(s, c, q.since_ms, ZK_SUMMARY_UPDATELATENCY);
	if (q.op == ZK_OP_CLOSE_SESSION)
		server_end_conn(s, c, SERVER_CLOSE_FLUSHED);
	else
		server_serve_queue(s, c);
}

/* A session ends: whoever holds it loses it, without a word unless it asked for the end itself. */
static void
detach(struct server *s, int64_t id, const struct server_conn *asked)
{
	struct session *session = session_find(&s->db->sessions, id);
	struct server_conn *c = session != NULL ? session->conn : NULL;

	if (c == NULL)
		return;
	c->session = NULL;
	session->conn = NULL;
	if (c != asked)
		server_refuse_conn(s, c, SERVER_CLOSE_NOW, "its session ended while it was silent");
}

void
server_apply(struct server *s, const struct server_record *r, const uint8_t *bytes)
{
	const struct apply_live live = {watches_changed, s, r->is_known ? &r->known : NULL};
	struct server_conn *c = r->conn;
	struct txn txn;
	const struct txn_header *h = &txn.header;
	bool known = txn_decode(&txn, bytes, r->size);

	assert(known);
	if (server_is_learner(s))
		c = learner_find(s, h);
	buf_clear(&s->record_part);
	s->applying_zxid = r->zxid;
	s->applying_type = h->type;
	s->applying_session = h->session;
	if (s->audit != NULL)
		audit_begin(s->audit, r->zxid);
	if (h->type == ZK_OP_CLOSE_SESSION)
		detach(s, h->session, c);
	if (db_apply_txn(s->db, &txn, s->now_ms, &live,
		c != NULL || s->audit != NULL ? answer_part : NULL, s) != APPLY_OK) {
		s->failed = true;
		return;
	}
	if (s->audit != NULL)
		audit_end(s->audit);
	prep_applied(&s->prep, r->zxid);
	s->txns++;
	s->txn_bytes += r->size;
	if (s->wall_ms >= h->time_ms)
		zk_metrics_observe(&s->metrics, ZK_SUMMARY_PROPAGATION_LATENCY,
		    (uint64_t)(s->wall_ms - h->time_ms));
	if (s->up != NULL)
		s->up->applied(s->up->arg, r->zxid, bytes, r->size);
	if (c != NULL)
		answer(s, c, r->zxid);
}

/* Those that waited for room may go on. */
static void
resume_stalled(struct server *s)
{
	struct list *l;

	if (server_is_full(s))
		return;
	while ((l = list_first(&s->stalled)) != NULL) {
		list_remove(l);
		server_mark_dirty(s, CONTAINER_OF(l, struct server_conn, waiting));
	}
}

static void
release_if_empty(struct buf *b)
{
	if (b->len == 0 && b->cap > KEEP_BYTES)
		buf_fini(b);
}

/* Apply what is pending up to zxid. */
static void
apply_up_to(struct server *s, int64_t zxid)
{
	struct server_record r;

	while (s->pending_count > 0 && !s->failed) {
		memcpy(&r, s->pending.data, sizeof r);
		if (r.zxid > zxid)
			break;
		assert(s->unlogged >= sizeof r + r.size);
		server_apply(s, &r, s->pending.data + sizeof r);
		buf_consume(&s->pending, sizeof r + r.size);
		s->unlogged -= sizeof r + r.size;
		s->pending_base += sizeof r + r.size;
		s->pending_count--;
	}
	release_if_empty(&s->pending);
	buf_clear(&s->record_part);
	release_if_empty(&s->record_part);
}

void
server_progress(struct server *s)
{
	apply_up_to(s, s->synced_zxid < s->committed_zxid ? s->synced_zxid : s->committed_zxid);
	if (s->up != NULL)
		learner_progress(s);
	resume_stalled(s);
	server_tick(s);
}

void
server_synced(struct server *s, int64_t zxid)
{
	s->synced_zxid = zxid;
	server_progress(s);
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
	return session_touch(&s->db->sessions, c->session, c->timeout_ms, s->now_ms);
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

void
server_send_held(struct server *s, struct server_conn *c)
{
	struct queued q;

	for (size_t at = 0; at < c->queue.len && lives(c); at += sizeof q + q.size) {
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
	if (prep_takes(q.op, r))
		request_write(s, c, &q, f, r);
	else if (q.op == ZK_OP_SYNC && s->up != NULL) {
		q.kind = QUEUED_SYNC;
		server_enqueue(s, c, &q, f->bytes);
		sync_park(s, c);
	} else if (c->queue_count > 0)
		server_enqueue(s, c, &q, f->bytes);
	else
		serve(s, c, &q, r, f->hash);
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
	uint64_t at_ms = session_deadline_ms(&s->db->sessions);

	/* With no room for their ends, sessions expire as soon as there is: server_synced() sees to
	 * it. */
	if (server_is_full(s))
		return UINT64_MAX;
	return reap_at_ms(s) < at_ms ? reap_at_ms(s) : at_ms;
}

void
server_tick(struct server *s)
{
	static const struct acl_ids nobody;
	struct session *session;

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
	if (!server_serves(s) || (s->txns < s->snapshot_at && s->txn_bytes < s->snapshot_at_bytes))
		return false;
	next_snapshot(s);
	return true;
}
