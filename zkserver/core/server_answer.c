/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of requests: records are applied, and each client is answered in order. */
#include <assert.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "zkserver/core/server_priv.h"

#define KEEP_BYTES ((size_t)4 << 20) /* an empty buffer keeps so much memory */

static void
count_latency(struct server *s, struct server_conn *c, uint64_t since_ms, enum zk_summary summary)
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

void
server_serve(struct server *s, struct server_conn *c, const struct queued *q,
    struct jute_reader body, uint32_t hash)
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
		r = jute_reader(f.bytes + REQUEST_HEADER_BYTES, f.size - REQUEST_HEADER_BYTES);
		if (q.kind == QUEUED_HERE)
			local_answer(s, c, &q);
		else
			server_serve(s, c, &q, r, tree_hash(&s->db->tree, frame_path(&f)));
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

static void
apply_record(struct server *s, const struct server_record *r, const uint8_t *bytes)
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
	if (s->audit != NULL && c != NULL && server_is_learner(s) && !learner_audit(s, c, h)) {
		s->failed = true;
		return;
	}
	if (s->audit != NULL)
		audit_begin(s->audit, r->zxid);
	if (h->type == ZK_OP_CLOSE_SESSION)
		detach(s, h->session, c);
	if (db_apply_txn(s->db, &txn, s->now_ms, &live,
		c != NULL || s->audit != NULL ? answer_part : NULL, s) != APPLY_OK) {
		s->failed = true;
		return;
	}
	if (h->type == ZK_OP_CREATE_SESSION && s->up != NULL)
		local_upgraded(s, h->session);
	if (s->audit != NULL)
		audit_end(s->audit);
	prep_applied(&s->prep, r->zxid);
	s->txns++;
	s->txn_bytes += r->size;
	if (s->wall_ms >= h->time_ms)
		zk_metrics_observe(&s->metrics, ZK_SUMMARY_PROPAGATION_LATENCY,
		    (uint64_t)s->wall_ms - (uint64_t)h->time_ms);
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

/* Let the next record's node come while the first one is applied. */
static void
prefetch_next(const struct server *s, size_t at)
{
	struct server_record next;

	if (at >= s->pending.len)
		return;
	memcpy(&next, s->pending.data + at, sizeof next);
	if (next.is_known)
		tree_prefetch_write(&s->db->tree, next.known.hash, next.size);
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
		prefetch_next(s, sizeof r + r.size);
		apply_record(s, &r, s->pending.data + sizeof r);
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
	apply_up_to(s, s->synced_zxid < s->committed_zxid && !ZAB_PLANTED(PLANT_OWN_DISK_LATER)
			   ? s->synced_zxid
			   : s->committed_zxid);
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
