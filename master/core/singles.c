/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Singletons: never two attempts at one index at once (the cluster protocol's leases).
 *
 * An attempt's number and its agent are in the store before it is sent, so that a new leader knows
 * whom to wait for. It may run only as long as its node holds a lease, and a grace longer; so it is
 * given up when the node was not heard for (L + G)(1 + 3d), counted from what we received, and only
 * the commit that names the next agent lets the next attempt go. The results of the job say which
 * attempts are over: the store's last attempt may run if its number is above those.
 */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "libcommon/base/plants.h"
#include "master/core/inside.h"

bool
singles_allocate(struct job *j)
{
	if (!j->policy.singleton)
		return true;
	j->singles = calloc(j->count, sizeof *j->singles);
	return j->singles != NULL;
}

/*
 * How long after it was last heard a node's singletons are certainly over: (L + G) x (1 + 3d), L
 * the lease's length, G the grace and what it takes to kill (cluster protocol, leases).
 */
static uint64_t
wait_ms(const struct cluster *c, const struct job *j, uint64_t lease_ms)
{
	uint64_t grace_ms = j->policy.stop_ms + CLUSTER_STOP_MARGIN_MS;

	if (ZAB_PLANTED(PLANT_GRACE_FORGOTTEN))
		grace_ms = 0;
	/* One more: what we received was received within a millisecond. */
	return (lease_ms + grace_ms) * (1000 + 3 * c->settings.drift_permille) / 1000 + 1;
}

uint64_t
cluster_give_up_at_ms(const struct cluster *c, const struct attempt *t)
{
	const struct single *s = &t->job->singles[t->index];
	uint64_t lease_ms = s->lease_ms;

	if (t->stuck)
		return UINT64_MAX;
	if (lease_ms < c->settings.lease_ms)
		lease_ms = c->settings.lease_ms;
	if (lease_ms > c->settings.lease_ms)
		MARK("single: an earlier leader's lease was longer");
	return t->agent->heard_ms + wait_ms(c, t->job, lease_ms);
}

const char *
cluster_lacks_for_singletons(const struct agent *a)
{
	static const char *const needed[][2] = {
	    {"user", "its agent does not run as root"},
	    {"cgroup", "it has no cgroups"},
	    {"pid-namespace", "it has no PID namespaces"},
	};

	for (size_t i = 0; a->report != NULL && i < sizeof needed / sizeof *needed; i++)
		for (size_t k = 0; k < a->report->n_missing_isolation; k++)
			if (strcmp(a->report->missing_isolation[k], needed[i][0]) == 0)
				return needed[i][1];
	return NULL;
}

uint64_t
cluster_fence(const struct task_key *key)
{
	return (uint64_t)key->incarnation + key->attempt;
}

/* --- placing --- */

static void
single_dirty(struct cluster *c, struct job *j, uint32_t index)
{
	j->singles[index].flags |= PIECE_DIRTY;
	j->singles_dirty = true;
	job_dirty(c, j);
}

bool
single_is_free(const struct cluster *c, const struct job *j, uint32_t index)
{
	return !(j->singles[index].flags & (PIECE_DIRTY | PIECE_IN_BATCH)) &&
	       !doomed_has(c, j, index);
}

static void
send_launch(struct cluster *c, const struct attempt *t)
{
	struct out *o = cluster_emit(c, OUT_LAUNCH, t->agent, t->job);

	if (o == NULL)
		return;
	cluster_key(t, &o->key);
	o->state = t->state;
}

void
single_place(struct cluster *c, struct attempt *t)
{
	struct single *s = &t->job->singles[t->index];

	s->attempt = t->attempt;
	s->agent = t->agent->number;
	s->term = 0; /* ours */
	s->lease_ms = c->settings.lease_ms;
	s->raised = false;
	s->stuck = false;
	single_dirty(c, t->job, t->index);
	t->unsent = true;
	list_append(&c->placing, &t->in_ending);
	if (ZAB_PLANTED(PLANT_LAUNCH_UNCOMMITTED))
		send_launch(c, t);
}

void
singles_collect(struct cluster *c)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->placing) {
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_ending);

		if (t->job->singles[t->index].flags & PIECE_DIRTY)
			continue;
		list_remove(it);
		list_append(&c->placing_in_batch, it);
	}
}

/*
 * The store names the agent: now the attempt may be sent, with what this turn of the master's has
 * heard besides. If its job was stopped meanwhile, the
 * agent's connection lost, the agent not welcomed again yet, or an earlier attempt reported that is
 * still being ended, it never was.
 */
static void
placed(struct cluster *c, uint64_t now_ms, struct attempt *t)
{
	list_remove(&t->in_ending);
	t->unsent = false;
	if (t->job->state != JOB_RUNNING) {
		MARK("single: stopped before it was sent");
		attempt_over(c, now_ms, t, CORRAL__TASK_STATE__KILLED,
		    CORRAL__TASK_REASON__REASON_STOPPED, 0, NULL);
	} else if (!t->agent->connected || t->agent->state == AGENT_ADMITTING ||
		   doomed_has(c, t->job, t->index)) {
		MARK("single: no more to be sent");
		attempt_over(c, now_ms, t, CORRAL__TASK_STATE__LOST,
		    CORRAL__TASK_REASON__REASON_AGENT_LOST, 0, NULL);
	} else if (!ZAB_PLANTED(PLANT_LAUNCH_UNCOMMITTED))
		send_launch(c, t);
}

void
singles_committed(struct cluster *c, uint64_t now_ms)
{
	struct list *first;

	for (size_t i = 0; i < c->commit.count; i++) {
		struct single *s = c->commit.ops[i].single;

		if (s == NULL)
			continue;
		s->flags &= (uint8_t)~PIECE_IN_BATCH;
		s->raised = s->raised && (s->flags & PIECE_DIRTY);
		c->unplaced = true; /* its index may be placed again */
	}
	while ((first = list_first(&c->placing_in_batch)) != NULL) {
		list_remove(first);
		list_append(&c->placed, first);
	}
	if (ZAB_PLANTED(PLANT_LAUNCH_AT_ONCE) || ZAB_PLANTED(PLANT_WORDS_OUTLIVE))
		singles_send(c, now_ms);
}

void
singles_send(struct cluster *c, uint64_t now_ms)
{
	struct list *first;

	while ((first = list_first(&c->placed)) != NULL)
		placed(c, now_ms, CONTAINER_OF(first, struct attempt, in_ending));
}

/* --- after an election --- */

/* Before an agent has a longer lease from us, whoever leads after us must know how long. */
static void
raise_lease(struct cluster *c, struct job *j, uint32_t index)
{
	struct single *s = &j->singles[index];

	if (s->lease_ms >= c->settings.lease_ms)
		return;
	s->lease_ms = c->settings.lease_ms;
	s->raised = true;
	single_dirty(c, j, index);
}

bool
singles_hold(const struct agent *a, bool dirty)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)(uintptr_t)&a->attempts) {
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);
		const struct single *s =
		    t->job->singles == NULL ? NULL : &t->job->singles[t->index];

		if (s != NULL && s->raised && (!dirty || s->flags & PIECE_DIRTY))
			return true;
	}
	return false;
}

/* What the store names, and no result has as over: it may run until its agent says otherwise. */
static bool
recover_one(struct cluster *c, uint64_t now_ms, struct job *j, uint32_t index)
{
	const struct single *s = &j->singles[index];
	struct cell *cell = &j->cells[index];
	struct attempt *t;

	if (s->attempt <= cell->attempts)
		return false;
	/* The operator says that it was powered off: nothing runs there. */
	if (s->agent >= c->agent_count || c->by_number[s->agent]->off) {
		MARK("single: its node was powered off");
		cell->attempts = s->attempt;
		return false;
	}
	t = attempt_new(c, now_ms, j, c->by_number[s->agent], index, s->attempt, c->terms[s->term],
	    CORRAL__TASK_STATE__RECOVERING);
	if (t == NULL) {
		c->failed = true;
		return true;
	}
	t->registration = 0;
	cell->attempts = s->attempt;
	cell->agent = s->agent;
	cell->term = s->term;
	cell_enter(c, j, index, CELL_LIVE);
	attempt_unsettled(c, t, true);
	attempt_stuck(c, t, s->stuck);
	raise_lease(c, j, index);
	return true;
}

static void
recover_job(struct cluster *c, uint64_t now_ms, struct job *j)
{
	for (uint32_t i = 0; i < j->count; i++)
		if (j->cells[i].state == CELL_UNKNOWN && !recover_one(c, now_ms, j, i))
			cell_settle(c, j, i);
	job_settle(c, now_ms, j);
}

void
singles_recover(struct cluster *c, uint64_t now_ms)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->live) {
		struct job *j = CONTAINER_OF(it, struct job, in_order);

		if (j->singles != NULL)
			recover_job(c, now_ms, j);
	}
}

/* --- giving up --- */

static void
scan_job(struct cluster *c, uint64_t now_ms, struct job *j)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &j->attempts) {
		struct attempt *t = CONTAINER_OF(it, struct attempt, in_job);

		if (!task_state_terminal(t->state) && !t->unsent &&
		    now_ms >= cluster_give_up_at_ms(c, t)) {
			MARK("single: its lease is waited out");
			attempt_over(c, now_ms, t, CORRAL__TASK_STATE__LOST,
			    CORRAL__TASK_REASON__REASON_AGENT_LOST, 0, NULL);
		}
	}
}

void
singles_scan(struct cluster *c, uint64_t now_ms)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->live) {
		struct job *j = CONTAINER_OF(it, struct job, in_order);

		if (j->singles != NULL)
			scan_job(c, now_ms, j);
	}
}

void
attempt_stuck(struct cluster *c, struct attempt *t, bool stuck)
{
	if (t->stuck == stuck)
		return;
	MARK("stuck, or no longer");
	t->stuck = stuck;
	t->agent->stuck_count += stuck ? 1 : -1u;
	if (t->job->singles == NULL || t->job->singles[t->index].stuck == stuck)
		return;
	/* The next leader has to know, too, should the agent be gone by then. */
	t->job->singles[t->index].stuck = stuck;
	single_dirty(c, t->job, t->index);
}

static bool
is_named(
    const struct attempt *t, Corral__TaskKey *const *keys, size_t count, const struct cluster *c)
{
	for (size_t i = 0; i < count; i++)
		if (attempt_find(c, keys[i]) == t)
			return true;
	return false;
}

void
cluster_stuck(struct cluster *c, struct agent *a, Corral__TaskKey *const *keys, size_t count)
{
	uint32_t before = a->stuck_count;
	struct list *it, *nx;

	for (size_t i = 0; i < count; i++) {
		struct attempt *t = attempt_find(c, keys[i]);

		if (t != NULL && t->agent == a && !task_state_terminal(t->state))
			attempt_stuck(c, t, true);
	}
	if (a->stuck_count > count) {
		LIST_EACH(it, nx, &a->attempts) {
			struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);

			if (t->stuck && !is_named(t, keys, count, c))
				attempt_stuck(c, t, false);
		}
	}
	if ((before == 0) != (a->stuck_count == 0))
		cluster_emit(c, OUT_NODE, a, NULL);
}

bool
cluster_powered_off(struct cluster *c, uint64_t now_ms, struct agent *a)
{
	if (!cluster_mark_unreachable(c, a))
		return false;
	a->powered_off = true;
	if (a->state == AGENT_UNREACHABLE)
		agent_given_up(c, now_ms, a); /* the mark is stored already */
	return true;
}
