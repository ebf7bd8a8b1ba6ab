/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: one batch of store operations at a time, made of all that is dirty when the one
 * before is done, and has rested: a piece of results is written as a whole, so that many outcomes
 * should share it. What waits for the store (welcomes, acceptances, acknowledgements, giving agents
 * up) is remembered with the batch and comes out when it is stored.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "master/core/inside.h"

struct mark {
	size_t ops, bytes;
};

static struct mark
mark_here(const struct commit *m)
{
	return (struct mark){m->count, m->data.len};
}

/* Begin an operation; its data are what is appended to m->data until op_end(). NULL: the batch is
 * full. */
static struct store_op *op_begin(struct commit *m, enum store_op_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static struct store_op *
op_begin(struct commit *m, enum store_op_kind kind, const char *fmt, ...)
{
	struct store_op *op;
	va_list ap;

	if (m->count == COMMIT_OPS_MAX)
		return NULL;
	op = &m->ops[m->count++];
	*op = (struct store_op){.kind = kind, .offset = m->data.len};
	va_start(ap, fmt);
	vsnprintf(op->path, sizeof op->path, fmt, ap);
	va_end(ap);
	return op;
}

/* Close the operations since `since`; false if they made the batch too large: they are taken back.
 */
static bool
op_end(struct commit *m, struct mark since)
{
	for (size_t i = since.ops; i < m->count; i++)
		m->ops[i].size =
		    (i + 1 < m->count ? m->ops[i + 1].offset : m->data.len) - m->ops[i].offset;
	if (m->data.len <= COMMIT_BYTES_MAX || since.ops == 0)
		return true;
	buf_truncate(&m->data, since.bytes);
	m->count = since.ops;
	return false;
}

static enum store_op_kind
piece_kind(uint8_t piece)
{
	return piece & PIECE_STORED ? STORE_SET : STORE_CREATE;
}

/* Of a job that is removed. False: the batch is full; what is in it stays. */
static bool
add_single_removals(struct commit *m, struct job *j)
{
	for (uint32_t i = 0; j->singles != NULL && i < j->count; i++) {
		if (!(j->singles[i].flags & PIECE_STORED))
			continue;
		if (op_begin(m, STORE_DELETE, "/corral/jobs/%s/singleton-%u", j->name, i) == NULL)
			return false;
		j->singles[i].flags = 0;
	}
	return true;
}

static bool
add_removals(struct cluster *c)
{
	struct commit *m = &c->commit;
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->removed) {
		struct job *j = CONTAINER_OF(it, struct job, in_order);
		struct mark since;
		bool full = false;

		if (!add_single_removals(m, j))
			return false;
		since = mark_here(m);
		for (uint32_t p = 0; p <= j->count / RESULTS_PIECE; p++)
			if (j->pieces[p] & PIECE_STORED)
				full =
				    full || op_begin(m, STORE_DELETE, "/corral/jobs/%s/results-%u",
						j->name, p) == NULL;
		full = full || op_begin(m, STORE_DELETE, "/corral/jobs/%s/state", j->name) == NULL;
		full = full || op_begin(m, STORE_DELETE, "/corral/jobs/%s", j->name) == NULL;
		if (full) {
			m->count = since.ops;
			return false;
		}
		for (size_t i = since.ops; i < m->count; i++)
			m->ops[i].size = 0;
		list_remove(&j->in_order);
		list_append(&c->removing, &j->in_order);
	}
	return true;
}

typedef void encode_fn(const struct cluster *c, uint32_t piece, struct buf *out);

/* A node that is written whole when something in it has changed. */
static bool
add_piece(struct cluster *c, const char *path, uint8_t *flags, uint32_t piece, encode_fn *encode)
{
	struct commit *m = &c->commit;
	struct mark since = mark_here(m);

	if (!(*flags & PIECE_DIRTY))
		return true;
	if (op_begin(m, piece_kind(*flags), "%s", path) == NULL)
		return false;
	encode(c, piece, &m->data);
	if (!op_end(m, since))
		return false;
	*flags = PIECE_STORED;
	return true;
}

/* All pieces of this many agents each, which are named by their numbers. */
static bool
add_pieces(struct cluster *c, const char *path, uint8_t *flags, uint32_t agents, encode_fn *encode)
{
	char name[64];

	for (uint32_t p = 0; p <= c->agent_count / agents; p++) {
		snprintf(name, sizeof name, "%s-%" PRIu32, path, p);
		if (!add_piece(c, name, &flags[p], p, encode))
			return false;
	}
	return true;
}

static bool
add_registry(struct cluster *c)
{
	if (c->registry_dirty &&
	    !add_pieces(c, "/corral/registry/agents", c->registry, REGISTRY_PIECE, registry_encode))
		return false;
	c->registry_dirty = false;
	return true;
}

static bool
add_tokens(struct cluster *c)
{
	static const enum store_op_kind kinds[] = {
	    [TOKEN_TO_CREATE] = STORE_CREATE,
	    [TOKEN_TO_SET] = STORE_SET,
	    [TOKEN_TO_DELETE] = STORE_DELETE,
	};
	struct commit *m = &c->commit;
	struct list *it, *nx;

	if (!c->tokens.dirty)
		return true;
	LIST_EACH(it, nx, &c->tokens.all) {
		struct token *token = CONTAINER_OF(it, struct token, in_all);
		struct mark since = mark_here(m);

		if (token->store == TOKEN_STORED)
			continue;
		if (op_begin(m, kinds[token->store], "/corral/tokens/%s", token->id) == NULL)
			return false;
		if (token->store != TOKEN_TO_DELETE)
			token_encode(token, &m->data);
		if (!op_end(m, since))
			return false;
		tokens_written(&c->tokens, token);
	}
	c->tokens.dirty = false;
	return true;
}

static bool
add_era(struct cluster *c)
{
	struct commit *m = &c->commit;
	struct mark since = mark_here(m);

	if (!c->era_dirty)
		return true;
	if (op_begin(m, STORE_SET, "/corral/era") == NULL)
		return false;
	buf_printf(&m->data, "%" PRIu64, c->era_next);
	if (!op_end(m, since))
		return false;
	c->era_dirty = false;
	return true;
}

static bool
add_roles(struct cluster *c)
{
	bool quota = c->quota_piece & PIECE_DIRTY;

	if (!add_piece(c, "/corral/quota", &c->quota_piece, 0, quota_encode))
		return false;
	if (quota) {
		share_quota_in_batch(&c->books.share);
		c->quota_in_batch = true;
	}
	if (!add_piece(c, "/corral/roles", &c->weights_piece, 0, weights_encode))
		return false;
	if (c->reserved_dirty &&
	    !add_pieces(c, "/corral/roles/reserved", c->reserved, RESERVED_PIECE, reserved_encode))
		return false;
	c->reserved_dirty = false;
	return true;
}

/* A job's own node and its state. A stop may have come before the job was stored: both go at once.
 */
static bool
add_job_nodes(struct cluster *c, struct job *j)
{
	struct commit *m = &c->commit;
	struct mark since = mark_here(m);
	bool is_new = j->incarnation == 0 && !j->in_commit;
	struct store_op *op;

	if (!is_new && !j->state_dirty)
		return true;
	if (is_new) {
		if ((op = op_begin(m, STORE_CREATE, "/corral/jobs/%s", j->name)) == NULL)
			return false;
		op->job = j;
		buf_append(&m->data, j->text, j->text_size);
	}
	if (op_begin(m, is_new ? STORE_CREATE : STORE_SET, "/corral/jobs/%s/state", j->name) ==
	    NULL) {
		m->count = since.ops;
		buf_truncate(&m->data, since.bytes);
		return false;
	}
	job_state_encode(j, &m->data);
	if (!op_end(m, since))
		return false;
	j->state_dirty = job_is_being_stopped(j);
	j->in_commit = true;
	return true;
}

/* From where the batch before had no room for more: or the first pieces would go out each time. */
static bool
add_results(struct cluster *c, struct job *j)
{
	struct commit *m = &c->commit;
	uint32_t pieces = j->count / RESULTS_PIECE + 1;

	for (uint32_t n = 0; j->results_dirty && n < pieces; n++) {
		struct mark since = mark_here(m);
		uint32_t p = (j->next_piece + n) % pieces;

		if (!(j->pieces[p] & PIECE_DIRTY))
			continue;
		if (op_begin(m, piece_kind(j->pieces[p]), "/corral/jobs/%s/results-%u", j->name,
			p) == NULL ||
		    (results_encode(c, j, p, &m->data), !op_end(m, since))) {
			j->next_piece = p;
			return false;
		}
		j->pieces[p] = PIECE_STORED;
	}
	j->results_dirty = false;
	return true;
}

static bool
add_singles(struct cluster *c, struct job *j)
{
	struct commit *m = &c->commit;

	for (uint32_t i = 0; j->singles_dirty && i < j->count; i++) {
		struct single *s = &j->singles[i];
		struct mark since = mark_here(m);
		struct store_op *op;

		if (!(s->flags & PIECE_DIRTY))
			continue;
		if ((op = op_begin(m, piece_kind(s->flags), "/corral/jobs/%s/singleton-%u", j->name,
			 i)) == NULL)
			return false;
		op->single = s;
		single_encode(c, s, &m->data);
		if (!op_end(m, since))
			return false;
		s->flags = PIECE_STORED | PIECE_IN_BATCH;
	}
	j->singles_dirty = false;
	return true;
}

/*
 * More results than a batch takes go out in several, between which this leader may end. So what a
 * stop keeps from running is stored behind the stop, and what led to a job's end before the end.
 */
static bool
add_job(struct cluster *c, struct job *j)
{
	bool begins = j->incarnation == 0 || j->state == JOB_STOPPING || j->state == JOB_STOPPED;

	return (!begins || add_job_nodes(c, j)) && add_results(c, j) && add_singles(c, j) &&
	       add_job_nodes(c, j);
}

static void
add_jobs(struct cluster *c)
{
	struct list *it, *nx;
	bool creates = false;

	LIST_EACH(it, nx, &c->dirty) {
		struct job *j = CONTAINER_OF(it, struct job, in_dirty);

		/* One multi has one zxid, and the incarnations of two jobs must differ. */
		if (j->incarnation == 0 && creates)
			continue;
		creates = creates || j->incarnation == 0;
		if (!add_job(c, j))
			return;
		list_remove(&j->in_dirty);
		list_append(&c->in_batch, &j->in_dirty);
	}
}

/* What comes out when this batch is stored. */
static void
collect_waiters(struct cluster *c)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->ending) {
		struct attempt *t = CONTAINER_OF(it, struct attempt, in_ending);

		if (t->job->pieces[t->index / RESULTS_PIECE] & PIECE_DIRTY)
			continue;
		list_remove(&t->in_ending);
		list_append(&c->committing, &t->in_ending);
	}
	LIST_EACH(it, nx, &c->admitting) {
		struct agent *a = CONTAINER_OF(it, struct agent, in_admitting);

		if (c->registry[a->number / REGISTRY_PIECE] & PIECE_DIRTY || singles_hold(a, true))
			continue;
		list_remove(it);
		list_append(&c->admitting_in_batch, it);
	}
	for (uint32_t i = 0; c->marking && i < c->agent_count; i++)
		if (c->by_number[i]->marking == MARKING_WANTED &&
		    !(c->registry[i / REGISTRY_PIECE] & PIECE_DIRTY))
			c->by_number[i]->marking = MARKING_IN_BATCH;
}

bool
commit_wanted(const struct cluster *c)
{
	return !list_empty(&c->removed) || c->registry_dirty || c->tokens.dirty || c->era_dirty ||
	       c->reserved_dirty || ((c->quota_piece | c->weights_piece) & PIECE_DIRTY) ||
	       !list_empty(&c->dirty);
}

const struct commit *
cluster_commit_begin(struct cluster *c)
{
	struct commit *m = &c->commit;

	if (c->writing)
		return NULL;
	if (!commit_wanted(c)) {
		c->stored_ticket = c->tickets;
		return NULL;
	}
	if (c->pausing)
		return NULL;
	m->count = 0;
	buf_clear(&m->data);
	if (add_removals(c) && add_registry(c) && add_tokens(c) && add_era(c) && add_roles(c)) {
		c->batch_ticket = c->tickets;
		add_jobs(c);
	}
	if (m->data.failed)
		c->failed = true;
	collect_waiters(c);
	singles_collect(c);
	c->writing = true;
	return m;
}

static bool
is_removal_of(const struct store_op *op, const struct job *j)
{
	char path[sizeof op->path];
	int length = snprintf(path, sizeof path, "/corral/jobs/%s", j->name);

	return op->kind == STORE_DELETE && strncmp(op->path, path, (size_t)length) == 0 &&
	       (op->path[length] == '\0' || op->path[length] == '/');
}

/* NULL: it removes something else, or nothing. */
static struct job *
removed_by(const struct cluster *c, const struct store_op *op)
{
	const struct list *const lists[] = {&c->removing, &c->removed};
	struct list *it, *nx;

	for (int i = 0; i < 2; i++)
		LIST_EACH(it, nx, (struct list *)lists[i]) {
			struct job *j = CONTAINER_OF(it, struct job, in_order);

			if (is_removal_of(op, j))
				return j;
		}
	return NULL;
}

/*
 * Somebody made a node below one that is to be removed. The job stays as it was, unless its name
 * was given to another one meanwhile: the next leader knows of the child from the beginning.
 */
static bool
can_shorten(const struct cluster *c, size_t failed_at)
{
	const struct job *j = failed_at == 0 ? NULL : removed_by(c, &c->commit.ops[failed_at - 1]);

	return j != NULL && cluster_job(c, j->name) == NULL;
}

void
cluster_commit_shorten(struct cluster *c, size_t failed_at)
{
	struct commit *m = &c->commit;
	struct job *j = removed_by(c, &m->ops[failed_at - 1]);
	size_t kept = 0;

	MARK("batch: a job's node has a child of others");
	for (size_t i = 0; i < m->count; i++)
		if (!is_removal_of(&m->ops[i], j))
			m->ops[kept++] = m->ops[i];
	m->count = kept;
	job_keep(c, j);
}

/*
 * A create inside a multi is answered without its czxid, and a batch makes one job at most. We are
 * the only writer (the fence says so): a batch that fails the second time because its own nodes
 * exist, or are gone, was carried out the first time.
 */
enum commit_then
cluster_commit_answered(
    const struct cluster *c, enum commit_answer answer, bool again, size_t failed_at, size_t *made)
{
	const struct commit *m = &c->commit;

	if (answer == COMMIT_ANSWER_UNKNOWN) {
		MARK("batch: sent again");
		return COMMIT_AGAIN;
	}
	if (answer == COMMIT_ANSWER_CHILD)
		return can_shorten(c, failed_at) ? COMMIT_SHORTEN : COMMIT_GIVE_UP;
	if (answer == COMMIT_ANSWER_NODES && again && failed_at != 0)
		MARK("batch: was stored before");
	if (answer != COMMIT_ANSWER_OK &&
	    (answer != COMMIT_ANSWER_NODES || !again || failed_at == 0))
		return COMMIT_GIVE_UP;
	for (size_t i = 0; i < m->count; i++)
		if (m->ops[i].job != NULL) {
			*made = i;
			return COMMIT_LEARN;
		}
	return COMMIT_STORED;
}

static void
jobs_committed(struct cluster *c, uint64_t now_ms, const int64_t *czxids)
{
	struct list *it, *nx;

	for (size_t i = 0; i < c->commit.count; i++)
		if (c->commit.ops[i].job != NULL) {
			c->commit.ops[i].job->incarnation = czxids[i];
			cluster_emit(c, OUT_JOB_ACCEPTED, NULL, c->commit.ops[i].job);
		}
	LIST_EACH(it, nx, &c->in_batch) {
		struct job *j = CONTAINER_OF(it, struct job, in_dirty);
		bool had_state = j->in_commit;

		list_remove(&j->in_dirty);
		j->in_commit = false;
		if (j->state_dirty || j->results_dirty || j->singles_dirty)
			job_dirty(c, j);
		if (!had_state)
			continue;
		if (j->state == JOB_CREATING) {
			job_enter(c, j, JOB_RUNNING);
			j->since_ms = now_ms;
			c->unplaced = true;
		} else if (j->state == JOB_STOPPING && !j->state_dirty) {
			job_kill_all(c, j);
		}
		cluster_emit(c, OUT_JOB, NULL, j);
	}
}

static void
agents_committed(struct cluster *c, uint64_t now_ms)
{
	struct list *first;
	bool more = false;

	while ((first = list_first(&c->admitting_in_batch)) != NULL) {
		struct agent *a = CONTAINER_OF(first, struct agent, in_admitting);

		list_remove(first);
		a->stored = !a->marked; /* by an operator, meanwhile */
		agent_admitted(c, now_ms, a);
	}
	for (uint32_t i = 0; c->marking && i < c->agent_count; i++) {
		struct agent *a = c->by_number[i];

		if (a->marking == MARKING_IN_BATCH)
			agent_given_up(c, now_ms, a);
		more = more || a->marking == MARKING_WANTED;
	}
	c->marking = more;
}

static void
acknowledge_committed(struct cluster *c)
{
	struct list *first;

	while ((first = list_first(&c->committing)) != NULL) {
		struct attempt *t = CONTAINER_OF(first, struct attempt, in_ending);
		struct out *o = cluster_emit(c, OUT_ACK, t->agent, NULL);

		if (o != NULL) {
			cluster_key(t, &o->key);
			memcpy(o->uuid, t->uuid, sizeof o->uuid);
		}
		attempt_free(c, t);
	}
}

static void
removals_committed(struct cluster *c)
{
	struct list *first;

	while ((first = list_first(&c->removing)) != NULL)
		job_free(c, CONTAINER_OF(first, struct job, in_order));
}

void
cluster_committed(struct cluster *c, uint64_t now_ms, const int64_t *czxids)
{
	c->writing = false;
	c->stored_ticket = c->batch_ticket;
	c->pause_end_ms = now_ms + c->commit.data.len / COMMIT_BYTES_PER_MS;
	c->pausing = c->pause_end_ms > now_ms;
	if (c->quota_in_batch) {
		share_quota_stored(&c->books.share);
		c->quota_in_batch = false;
		c->unplaced = true;
	}
	removals_committed(c);
	acknowledge_committed(c);
	singles_committed(c, now_ms);
	jobs_committed(c, now_ms, czxids);
	agents_committed(c, now_ms);
}

uint64_t
cluster_ticket(struct cluster *c)
{
	return ++c->tickets;
}

bool
cluster_has_stored(const struct cluster *c, uint64_t ticket)
{
	return ticket <= c->stored_ticket;
}
