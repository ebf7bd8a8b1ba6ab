/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: their indexes, what becomes of an index when an attempt ends, and when a job is over. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "libcommon/base/plants.h"
#include "libcommon/base/str.h"
#include "master/core/inside.h"

enum { REFUSALS_MAX = 5 };

struct job *
cluster_job(const struct cluster *c, const char *name)
{
	struct hmap_node *n = hmap_first(&c->jobs, cluster_hash_text(c, name));

	for (; n != NULL; n = hmap_next(n)) {
		struct job *j = CONTAINER_OF(n, struct job, by_name);

		if (strcmp(j->name, name) == 0)
			return j;
	}
	return NULL;
}

bool
job_is_unread(const struct cluster *c, const char *name)
{
	for (size_t i = 0; i < c->unread_count; i++)
		if (strcmp(c->unread[i], name) == 0)
			return !ZAB_PLANTED(PLANT_UNREAD_FORGOTTEN);
	return false;
}

void
cluster_load_unread(struct cluster *c, const char *name)
{
	char(*names)[CLUSTER_NAME_MAX + 1] =
	    realloc(c->unread, (c->unread_count + 1) * sizeof *names);

	if (names == NULL) {
		c->failed = true;
		return;
	}
	c->unread = names;
	(void)str_copy(names[c->unread_count++], sizeof *names, name);
}

static bool
has_ended(const struct job *j)
{
	return j->state == JOB_STOPPED || j->state == JOB_FINISHED || j->state == JOB_FAILED;
}

static bool
job_allocate(struct job *j, const char *text, size_t text_size)
{
	j->cells = calloc(j->count, sizeof *j->cells);
	j->pieces = calloc(j->count / RESULTS_PIECE + 1, 1);
	j->text = malloc(text_size + 1);
	if (!singles_allocate(j) || j->cells == NULL || j->pieces == NULL || j->text == NULL)
		return false;
	memcpy(j->text, text, text_size);
	j->text[text_size] = '\0';
	j->text_size = text_size;
	return true;
}

struct job *
job_new(struct cluster *c, const char *name, uint32_t count, const struct job_policy *policy,
    void *definition, const char *text, size_t text_size, enum cell_state first)
{
	struct job *j = calloc(1, sizeof *j);

	if (j == NULL) {
		c->ops.release(definition);
		return NULL;
	}
	list_init(&j->in_order);
	list_init(&j->in_dirty);
	list_init(&j->attempts);
	list_init(&j->delayed);
	list_init(&j->in_delaying);
	list_init(&j->in_role);
	j->definition = definition;
	j->count = count;
	j->policy = *policy;
	j->need = resources_sum(&policy->need, &c->settings.executor);
	if (ZAB_PLANTED(PLANT_NEED_WRAPS)) {
		j->need = policy->need;
		resources_add(&j->need, &c->settings.executor, 1);
	}
	j->state = JOB_CREATING;
	c->in_job_state[j->state]++;
	c->index_count += count;
	j->role = share_take(&c->books.share, policy->role == NULL ? ROLE_DEFAULT : policy->role);
	j->policy.role = NULL;
	if (j->role == NULL || !str_copy(j->name, sizeof j->name, name) ||
	    !job_allocate(j, text, text_size) ||
	    !hmap_insert(&c->jobs, &j->by_name, cluster_hash_text(c, name))) {
		j->hidden = true;
		job_free(c, j);
		return NULL;
	}
	for (uint32_t i = 0; i < count; i++) {
		j->cells[i].state = first & 15;
		j->cells[i].agent = CLUSTER_NO_AGENT;
	}
	j->in_state[first] = count;
	if (first == CELL_UNKNOWN)
		share_unsettled(j->role, &j->need, count);
	list_append(&c->live, &j->in_order);
	list_append(&j->role->jobs[policy->priority], &j->in_role);
	return j;
}

static void
delay_free(struct job *j, struct delay *d)
{
	list_remove(&d->in_job);
	free(d);
	if (list_empty(&j->delayed))
		list_remove(&j->in_delaying);
}

static void
delay_free_of(struct job *j, uint32_t index)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &j->delayed) {
		struct delay *d = CONTAINER_OF(it, struct delay, in_job);

		if (d->index != index)
			continue;
		delay_free(j, d);
		return;
	}
}

static void
delay_free_all(struct job *j)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &j->delayed)
		delay_free(j, CONTAINER_OF(it, struct delay, in_job));
}

void
job_free(struct cluster *c, struct job *j)
{
	delay_free_all(j);
	if (!j->hidden)
		hmap_remove(&c->jobs, &j->by_name);
	list_remove(&j->in_order);
	list_remove(&j->in_dirty);
	list_remove(&j->in_role);
	if (j->role != NULL) {
		if (!has_ended(j))
			share_unsettled(j->role, &j->need, -(int64_t)j->in_state[CELL_UNKNOWN]);
		share_drop(&c->books.share, j->role);
	}
	c->in_job_state[j->state]--;
	c->index_count -= j->count;
	c->ops.release(j->definition);
	free(j->cells);
	free(j->pieces);
	free(j->singles);
	free(j->text);
	free(j);
}

void
job_dirty(struct cluster *c, struct job *j)
{
	if (list_empty(&j->in_dirty))
		list_append(&c->dirty, &j->in_dirty);
}

void
results_dirty(struct cluster *c, struct job *j, uint32_t index)
{
	j->pieces[index / RESULTS_PIECE] |= PIECE_DIRTY;
	j->results_dirty = true;
	job_dirty(c, j);
}

/* A job that is not to be found any more; its nodes go with the next commit. */
static void
remove_ended(struct cluster *c, struct job *j)
{
	hmap_remove(&c->jobs, &j->by_name);
	j->hidden = true;
	list_remove(&j->in_order);
	list_append(&c->removed, &j->in_order);
	c->ended_count--;
}

void
job_keep(struct cluster *c, struct job *j)
{
	if (!hmap_insert(&c->jobs, &j->by_name, cluster_hash_text(c, j->name))) {
		c->failed = true;
		return;
	}
	j->hidden = false;
	j->kept = true;
	list_remove(&j->in_order);
	list_append(&c->ended, &j->in_order);
	c->ended_count++;
}

void
job_enter(struct cluster *c, struct job *j, enum job_state state)
{
	c->in_job_state[j->state]--;
	if (state != JOB_RUNNING)
		hold_end_all(c, j);
	j->state = state;
	c->in_job_state[state]++;
	if (!has_ended(j))
		return;
	list_remove(&j->in_role);
	share_unsettled(j->role, &j->need, -(int64_t)j->in_state[CELL_UNKNOWN]);
	c->unplaced = true;
	list_remove(&j->in_order);
	list_append(&c->ended, &j->in_order);
	c->ended_count++;
}

void
cell_enter(struct cluster *c, struct job *j, uint32_t index, enum cell_state state)
{
	struct cell *cell = &j->cells[index];

	/* What may run for all we know counts against the limit of its role. */
	if ((cell->state == CELL_UNKNOWN) != (state == CELL_UNKNOWN) && !has_ended(j))
		share_unsettled(j->role, &j->need, state == CELL_UNKNOWN ? 1 : -1);
	if (cell->state == CELL_UNKNOWN)
		c->unplaced = true; /* others of the role may be */
	if (cell->state == CELL_DELAYED)
		delay_free_of(j, index);
	j->in_state[cell->state]--;
	j->in_state[state]++;
	cell->state = state & 15;
	if (state == CELL_PENDING) {
		if (index < j->next_pending)
			j->next_pending = index;
		c->unplaced = true;
	}
}

/* To be tried again after the job's pause; one that had to leave its node, at once. */
static void
retry(struct cluster *c, uint64_t now_ms, struct job *j, uint32_t index, bool moved)
{
	struct delay *d = moved || j->policy.restart_ms == 0 ? NULL : calloc(1, sizeof *d);

	j->retries++;
	if (d == NULL) {
		cell_enter(c, j, index, CELL_PENDING);
		return;
	}
	d->index = index;
	d->at_ms = now_ms + j->policy.restart_ms;
	list_append(&j->delayed, &d->in_job);
	if (list_empty(&j->in_delaying))
		list_append(&c->delaying, &j->in_delaying);
	cell_enter(c, j, index, CELL_DELAYED);
}

/*
 * An earlier leader's attempt has ended: that leader may have made the next one, on an agent that
 * has not registered yet. (Of singletons the store names the last one.)
 */
static bool
is_maybe_replaced(const struct cluster *c, uint64_t now_ms, const struct attempt *t)
{
	if (t->job->policy.singleton || term_equal(t->term, c->term))
		return false;
	return c->awaited > 0 || (t->told_over && job_is_held_up(c, now_ms, t->job));
}

/* To be tried again when all agents have said what they run. */
static void
try_unknown(struct cluster *c, struct job *j, uint32_t index)
{
	j->retries++;
	cell_enter(c, j, index, CELL_UNKNOWN);
}

/*
 * A lost attempt, and a singleton's that ended with its node's lease, is not the task's failure and
 * is always tried again; nor is one that a master had stopped while its job goes on, an earlier
 * leader perhaps. A failure counts against the limit, unless it is a service's that had run
 * steadily. An agent that refuses may do so because its picture of what runs there is a moment
 * ahead of ours, or for good: that is tried a few times.
 */
static bool
wants_retry(struct job *j, struct cell *cell, const struct attempt *t, uint64_t now_ms,
    Corral__TaskReason reason)
{
	uint32_t most = j->policy.retries_max;

	if (j->policy.service && now_ms - t->launched_ms >= CLUSTER_STEADY_MS)
		cell->failures = 0;
	if (reason == CORRAL__TASK_REASON__REASON_LEASE_ENDED ||
	    reason == CORRAL__TASK_REASON__REASON_STOPPED ||
	    (t->state == CORRAL__TASK_STATE__LOST && reason != CORRAL__TASK_REASON__REASON_REFUSED))
		return !j->policy.once;
	if (t->state == CORRAL__TASK_STATE__FINISHED)
		return j->policy.restart == JOB_RESTART_ALWAYS;
	if (reason == CORRAL__TASK_REASON__REASON_REFUSED)
		most = j->policy.once ? 0 : REFUSALS_MAX;
	else if (j->policy.restart == JOB_RESTART_NO)
		most = 0;
	if (cell->failures >= most)
		return false;
	if (cell->failures < UINT16_MAX)
		cell->failures++;
	return true;
}

/* It takes an agent or a store that cannot be to come there. */
static bool
has_number_left(const struct cell *cell)
{
	if (cell->attempts < CLUSTER_ATTEMPTS_MAX)
		return true;
	MARK("attempt: no number is left");
	return false;
}

bool
cell_outcome(struct cluster *c, uint64_t now_ms, struct job *j, const struct attempt *t,
    Corral__TaskReason reason, uint8_t code)
{
	struct cell *cell = &j->cells[t->index];
	bool finished = t->state == CORRAL__TASK_STATE__FINISHED, again = false;

	cell->reason = reason & 15;
	cell->code = code;
	if (t->state == CORRAL__TASK_STATE__LOST)
		j->lost++;
	if (j->state != JOB_RUNNING)
		cell_enter(c, j, t->index,
		    finished				     ? CELL_FINISHED
		    : t->state == CORRAL__TASK_STATE__FAILED ? CELL_FAILED
							     : CELL_STOPPED);
	else if ((again = wants_retry(j, cell, t, now_ms, reason) && has_number_left(cell)) &&
		 is_maybe_replaced(c, now_ms, t))
		try_unknown(c, j, t->index);
	else if (again)
		retry(c, now_ms, j, t->index, t->moved);
	else
		cell_enter(c, j, t->index, finished ? CELL_FINISHED : CELL_FAILED);
	results_dirty(c, j, t->index);
	return !again;
}

void
job_settle(struct cluster *c, uint64_t now_ms, struct job *j)
{
	uint32_t left = j->in_state[CELL_UNKNOWN] + j->in_state[CELL_PENDING] +
			j->in_state[CELL_DELAYED] + j->in_state[CELL_LIVE];

	if (left > 0 || (j->state != JOB_RUNNING && j->state != JOB_STOPPING))
		return;
	if (j->state == JOB_STOPPING)
		job_enter(c, j, JOB_STOPPED);
	else
		job_enter(c, j, j->in_state[CELL_FAILED] > 0 ? JOB_FAILED : JOB_FINISHED);
	j->since_ms = now_ms;
	j->state_dirty = true;
	job_dirty(c, j);
}

static bool
is_settled(const struct job *j)
{
	return list_empty(&j->attempts) && list_empty(&j->in_dirty) && !j->in_commit;
}

/*
 * The oldest ended jobs go, and those that were run for a client, who has its answer, after a short
 * while. Not while an acknowledgement is still to come out of them.
 */
static void
trim_ended(struct cluster *c, uint64_t now_ms)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->ended) {
		struct job *j = CONTAINER_OF(it, struct job, in_order);

		if (is_settled(j) && !j->kept &&
		    (c->ended_count > CLUSTER_ENDED_MAX ||
			(j->policy.once && now_ms - j->since_ms >= CLUSTER_ONCE_KEPT_MS)))
			remove_ended(c, j);
	}
}

/* Room under a name: nothing of it is left, or what is left has ended and was stored. */
static enum submit_result
make_room(struct cluster *c, const char *name)
{
	struct job *j = cluster_job(c, name);

	if (job_is_unread(c, name))
		return SUBMIT_UNREAD;
	if (j == NULL)
		return SUBMIT_OK;
	if (!has_ended(j) || !is_settled(j))
		return SUBMIT_IN_USE;
	if (j->kept)
		return SUBMIT_KEPT;
	remove_ended(c, j);
	return SUBMIT_OK;
}

enum submit_result
cluster_submit(struct cluster *c, uint64_t now_ms, const char *name, uint32_t count,
    const struct job_policy *policy, void *definition, const char *text, size_t text_size,
    const char *by, int64_t wall_ms, struct job **job)
{
	enum submit_result room;
	struct job *j;

	trim_ended(c, now_ms);
	if (c->jobs.count >= CLUSTER_JOBS_MAX || c->index_count + count > CLUSTER_INDEXES_MAX) {
		c->ops.release(definition);
		return SUBMIT_FULL;
	}
	if ((room = make_room(c, name)) != SUBMIT_OK) {
		c->ops.release(definition);
		return room;
	}
	j = job_new(c, name, count, policy, definition, text, text_size, CELL_PENDING);
	if (j == NULL)
		return SUBMIT_NO_MEMORY;
	if (!str_copy(j->by, sizeof j->by, by))
		j->by[0] = '\0';
	j->submitted_wall_ms = wall_ms;
	j->since_ms = now_ms;
	job_dirty(c, j);
	*job = j;
	return SUBMIT_OK;
}

static void
stop_waiting(struct cluster *c, struct job *j)
{
	delay_free_all(j);
	for (uint32_t i = 0; i < j->count; i++)
		if (j->cells[i].state == CELL_PENDING || j->cells[i].state == CELL_DELAYED) {
			cell_enter(c, j, i, CELL_STOPPED);
			results_dirty(c, j, i);
		}
}

bool
cluster_stop(struct cluster *c, uint64_t now_ms, struct job *j, const char *by)
{
	if (has_ended(j))
		return false;
	if (j->state == JOB_STOPPING)
		return true;
	if (!str_copy(j->stopped_by, sizeof j->stopped_by, by))
		j->stopped_by[0] = '\0';
	if (j->state == JOB_CREATING)
		j->since_ms = now_ms;
	job_enter(c, j, JOB_STOPPING);
	j->stopped_live = j->in_state[CELL_LIVE];
	stop_waiting(c, j);
	j->state_dirty = true;
	job_dirty(c, j);
	job_settle(c, now_ms, j);
	return true;
}

void
job_kill_all(struct cluster *c, struct job *j)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &j->attempts) {
		struct attempt *t = CONTAINER_OF(it, struct attempt, in_job);
		struct out *o;

		if (task_state_terminal(t->state) || t->unsent ||
		    (o = cluster_emit(c, OUT_KILL, t->agent, NULL)) == NULL)
			continue;
		cluster_key(t, &o->key);
	}
}

void
cell_settle(struct cluster *c, struct job *j, uint32_t index)
{
	bool stops = j->state == JOB_STOPPING;

	if (!stops && has_number_left(&j->cells[index])) {
		cell_enter(c, j, index, CELL_PENDING);
		return;
	}
	cell_enter(c, j, index, stops ? CELL_STOPPED : CELL_FAILED);
	results_dirty(c, j, index);
}

/* Is there an index of which nobody knows where its last attempt is, or will be when one has ended?
 */
static bool
has_unknown(const struct job *j)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&j->attempts)
		if (CONTAINER_OF(it, struct attempt, in_job)->told_over)
			return true;
	return j->in_state[CELL_UNKNOWN] > 0;
}

void
jobs_recovered(struct cluster *c, uint64_t now_ms)
{
	struct list *it, *nx;
	bool held_up = false;

	LIST_EACH(it, nx, &c->live) {
		struct job *j = CONTAINER_OF(it, struct job, in_order);

		if (job_is_held_up(c, now_ms, j)) {
			held_up = held_up || has_unknown(j);
			continue;
		}
		for (uint32_t i = 0; i < j->count && j->in_state[CELL_UNKNOWN] > 0; i++)
			if (j->cells[i].state == CELL_UNKNOWN)
				cell_settle(c, j, i);
		job_settle(c, now_ms, j);
	}
	if (!held_up)
		unheard_settled(c);
}

void
jobs_delays(struct cluster *c, uint64_t now_ms)
{
	struct list *it, *nx, *first;

	LIST_EACH(it, nx, &c->delaying) {
		struct job *j = CONTAINER_OF(it, struct job, in_delaying);

		while ((first = list_first(&j->delayed)) != NULL) {
			struct delay *d = CONTAINER_OF(first, struct delay, in_job);

			if (d->at_ms > now_ms)
				break;
			cell_enter(c, j, d->index, CELL_PENDING);
		}
	}
}
