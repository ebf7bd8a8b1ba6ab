/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that are held for a job: nobody else is placed there until its tasks are. A job of higher
 * priority holds nodes on which it has tasks of lower ones of its role stopped (preemption); the
 * first one of a role that fits nowhere holds the node that comes closest, so that smaller ones
 * behind it do not take for ever what frees up there. Others go round a held node.
 * corral-sharing(7) has the rules.
 */
#include <stdio.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "master/core/inside.h"

enum {
	HOLDS_MAX = 64,
	LOOKED_AT_MAX = 16, /* waiting jobs of a role, and jobs that preempt in one scan */
	MISSING_ONE = 1 << 20,
};

void
hold_end(struct cluster *c, struct agent *a)
{
	if (a->held_for == NULL)
		return;
	a->held_for->held_tasks -= a->held_tasks;
	a->held_for = NULL;
	a->held_tasks = 0;
	list_remove(&a->in_holding);
	c->hold_count--;
	place_node_open(&c->books.place, a->node, agent_takes_tasks(a));
	c->unplaced = true;
}

void
hold_end_all(struct cluster *c, struct job *j)
{
	struct list *it, *nx;

	if (j->held_tasks == 0)
		return;
	LIST_EACH(it, nx, &c->holding)
		if (CONTAINER_OF(it, struct agent, in_holding)->held_for == j)
			hold_end(c, CONTAINER_OF(it, struct agent, in_holding));
}

void
hold_placed(struct cluster *c, struct agent *a)
{
	a->held_tasks--;
	a->held_for->held_tasks--;
	if (a->held_tasks == 0)
		hold_end(c, a);
}

static void
hold(struct cluster *c, uint64_t now_ms, struct agent *a, struct job *j, uint32_t tasks)
{
	a->held_for = j;
	a->held_tasks = tasks;
	a->held_until_ms = now_ms + CLUSTER_HOLD_MS;
	j->held_tasks += tasks;
	list_append(&c->holding, &a->in_holding);
	c->hold_count++;
	place_node_open(&c->books.place, a->node, false);
	c->unplaced = true;
}

static bool
may_hold(const struct cluster *c, const struct agent *a, const struct job *j)
{
	return agent_takes_tasks(a) && a->held_for == NULL && job_suits(c, j, a);
}

/* --- preemption --- */

/* Singletons and the tasks of corral run, which are not made again, are left alone. */
static bool
is_victim(const struct attempt *t, const struct job *by)
{
	const struct job *j = t->job;

	return j->role == by->role && j->policy.priority < by->policy.priority && !j->policy.once &&
	       !j->policy.singleton && j->state == JOB_RUNNING && t->booked && !t->moved &&
	       (t->state == CORRAL__TASK_STATE__LAUNCHING ||
		   t->state == CORRAL__TASK_STATE__RUNNING);
}

static struct resources
victims_have(const struct agent *a, const struct job *by)
{
	struct resources sum = {0};
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&a->attempts) {
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);

		if (is_victim(t, by))
			resources_add(&sum, &t->job->need, 1);
	}
	return sum;
}

/* The lowest priority first, and of equal ones the youngest. */
static struct attempt *
next_victim(const struct agent *a, const struct job *by)
{
	struct attempt *best = NULL;
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&a->attempts) {
		struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);

		if (is_victim(t, by) &&
		    (best == NULL || t->job->policy.priority < best->job->policy.priority ||
			(t->job->policy.priority == best->job->policy.priority &&
			    t->launched_ms >= best->launched_ms)))
			best = t;
	}
	return best;
}

static void
stop_victim(struct cluster *c, struct attempt *t, const struct job *by)
{
	struct out *kill = cluster_emit(c, OUT_KILL, t->agent, NULL), *event;

	if (kill == NULL)
		return;
	MARK("hold: a task is stopped for another");
	t->moved = true;
	cluster_key(t, &kill->key);
	if ((event = cluster_emit(c, OUT_TASK, t->agent, t->job)) == NULL)
		return;
	cluster_key(t, &event->key);
	event->state = t->state;
	snprintf(event->message, sizeof event->message,
	    "is stopped for job %s, of priority %u, and will be made again", by->name,
	    by->policy.priority);
}

/*
 * What the task that a node is held for will have beyond what its victims give back. It counts as
 * the role's while nodes are chosen: what a limit leaves is not promised twice.
 */
static void
count_hold(const struct agent *a, bool on)
{
	const struct job *j = a->held_for;
	struct resources more = {0}, back = {0};
	struct list *it, *nx;

	resources_add(&more, &j->need, a->held_tasks);
	LIST_EACH(it, nx, (struct list *)&a->attempts) {
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);

		if (t->moved && t->booked && t->job->role == j->role)
			resources_add(&back, &t->job->need, 1);
	}
	more = resources_beyond(&more, &back);
	if (on)
		share_lease(j->role, &more, 1);
	else
		share_release(j->role, &more);
}

static void
count_holds(struct cluster *c, bool on)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->holding)
		count_hold(CONTAINER_OF(it, struct agent, in_holding), on);
}

static void
turn_begin(struct cluster *c)
{
	struct resources available = books_available(&c->books);

	share_begin(&c->books.share, &available);
}

/* Could so many tasks of the job be placed there when victims have given so much back? */
static bool
fits_when_back(const struct cluster *c, const struct agent *a, const struct job *j, uint32_t tasks,
    const struct resources *back)
{
	struct resources need = {0}, room = reserve_usable(c, a, j->role);

	resources_add(&need, &j->need, tasks);
	resources_add(&room, back, 1);
	return resources_fits(&need, &room) && reserve_admits(c, a, j->role, &need, back);
}

/* So many of its tasks could be placed there if all that may be stopped for it were. */
static uint32_t
tasks_by_victims(const struct cluster *c, const struct agent *a, const struct job *j)
{
	struct resources back = victims_have(a, j), room = reserve_usable(c, a, j->role);
	uint32_t tasks;

	if (resources_is_zero(&back))
		return 0;
	resources_add(&room, &back, 1);
	tasks = resources_times(&j->need, &room, j->in_state[CELL_PENDING] - j->held_tasks);
	if (tasks == 0 || !fits_when_back(c, a, j, 1, &back))
		return 0;
	while (!fits_when_back(c, a, j, tasks, &back))
		tasks--;
	return tasks;
}

static void
preempt_on(struct cluster *c, uint64_t now_ms, struct job *j, struct agent *a)
{
	uint32_t tasks = tasks_by_victims(c, a, j);
	struct resources back = {0};
	struct attempt *t;

	if (tasks == 0)
		return;
	while (!fits_when_back(c, a, j, tasks, &back) && (t = next_victim(a, j)) != NULL) {
		resources_add(&back, &t->job->need, 1);
		stop_victim(c, t, j);
	}
	hold(c, now_ms, a, j, tasks);
	count_hold(a, true);
	turn_begin(c);
}

/* Is there anything of lower priority in its role? */
static bool
has_lower(const struct job *j)
{
	struct list *it, *nx;

	for (uint32_t p = 0; p < j->policy.priority; p++)
		LIST_EACH(it, nx, &j->role->jobs[p])
			if (CONTAINER_OF(it, struct job, in_role)->in_state[CELL_LIVE] > 0)
				return true;
	return false;
}

static void
preempt_for(struct cluster *c, uint64_t now_ms, struct job *j)
{
	if (!has_lower(j))
		return;
	count_holds(c, true);
	turn_begin(c);
	for (uint32_t i = 0; i < c->books.place.count && c->hold_count < HOLDS_MAX &&
			     j->held_tasks < j->in_state[CELL_PENDING];
	     i++)
		if (may_hold(c, c->by_node[i], j))
			preempt_on(c, now_ms, j, c->by_node[i]);
	count_holds(c, false);
}

/* --- the first of a role --- */

/* Of the resource of which most is missing, the missing part of what is needed. */
static uint64_t
missing(const struct resources *need, const struct resources *have)
{
	uint64_t most = 0;

	for (int d = 0; d < RESOURCE_COUNT; d++) {
		share_wide n = resources_get(need, d), h = resources_get(have, d);
		uint64_t part = h >= n ? 0 : (uint64_t)((n - h) * MISSING_ONE / n);

		if (part > most)
			most = part;
	}
	return most;
}

static void
hold_for_first(struct cluster *c, uint64_t now_ms, struct job *j)
{
	struct agent *best = NULL;
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < c->books.place.count; i++) {
		struct agent *a = c->by_node[i];
		struct resources have = books_free(&c->books, i), later;
		uint64_t part = missing(&j->need, &have);

		if (part >= least || !may_hold(c, a, j))
			continue;
		later = reserve_usable_later(c, a, j->role);
		if (!resources_fits(&j->need, &later))
			continue;
		best = a;
		least = part;
	}
	if (best != NULL) {
		MARK("hold: for the first of a role");
		hold(c, now_ms, best, j, 1);
	}
}

static void
scan_role(struct cluster *c, uint64_t now_ms, struct role *r)
{
	uint32_t looked_at = 0, most = c->agent_count / 10 > 1 ? c->agent_count / 10 : 1;
	struct list *it, *nx;

	for (int p = SHARE_PRIORITIES; p-- > 0;)
		LIST_EACH(it, nx, &r->jobs[p]) {
			struct job *j = CONTAINER_OF(it, struct job, in_role);

			if (!job_waits(j) || j->stuck_ms == 0)
				continue;
			preempt_for(c, now_ms, j);
			if (looked_at == 0 && j->held_tasks == 0 && j->barred == SHARE_BAR_NOT &&
			    c->hold_count < most && now_ms >= j->hold_pause_ms &&
			    now_ms - j->stuck_ms >= CLUSTER_HOLD_AFTER_MS)
				hold_for_first(c, now_ms, j);
			if (++looked_at == LOOKED_AT_MAX)
				return;
		}
}

void
holds_scan(struct cluster *c, uint64_t now_ms)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->holding) {
		struct agent *a = CONTAINER_OF(it, struct agent, in_holding);

		if (now_ms >= a->held_until_ms)
			a->held_for->hold_pause_ms = now_ms + CLUSTER_HOLD_MS;
		else if (job_waits(a->held_for) && a->state == AGENT_READY && !a->closed)
			continue;
		hold_end(c, a);
	}
	for (uint32_t i = 0; i < c->books.share.count; i++)
		scan_role(c, now_ms, c->books.share.roles[i]);
}
