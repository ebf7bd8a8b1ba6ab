/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OnDisconnect=: tasks that their job waits for when their node is unreachable.
 *
 * The mark of a node ends what runs there (agents.c), but for these: such an attempt stays its
 * index's live one until its node is back, its time is over, or the node is forgotten. Which tasks
 * run is in no store, so a leader that has not heard the node since its election waits for the
 * indexes of unknown state of such jobs instead; the registry says "away" of a node of which it has
 * to be so.
 */
#include "master/core/inside.h"

static bool
job_is_patient(const struct job *j)
{
	return j->policy.disconnect_ms > 0 && j->singles == NULL && j->state == JOB_RUNNING;
}

static uint64_t
later(uint64_t from_ms, uint64_t ms)
{
	return ms > UINT64_MAX - from_ms ? UINT64_MAX : from_ms + ms;
}

uint64_t
cluster_replaced_at_ms(const struct attempt *t)
{
	const struct agent *a = t->agent;

	if (a->state != AGENT_UNREACHABLE || a->gone || a->powered_off || !job_is_patient(t->job))
		return 0;
	return later(a->marked_ms, t->job->policy.disconnect_ms);
}

bool
attempt_is_kept(const struct attempt *t, uint64_t now_ms)
{
	const struct agent *a = t->agent;

	return job_is_patient(t->job) && !a->gone && !a->powered_off &&
	       now_ms < later(a->marked_ms, t->job->policy.disconnect_ms);
}

uint64_t
cluster_unheard_until_ms(const struct cluster *c, const struct job *j)
{
	if (c->unheard == 0 || !job_is_patient(j))
		return 0;
	return later(c->unheard_ms, j->policy.disconnect_ms);
}

bool
job_is_held_up(const struct cluster *c, uint64_t now_ms, const struct job *j)
{
	return now_ms < cluster_unheard_until_ms(c, j);
}

/* Does anything that may run on a node which was not heard belong to a job that would wait? */
static bool
unknown_are_waited_for(const struct cluster *c)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&c->live) {
		const struct job *j = CONTAINER_OF(it, struct job, in_order);

		if (job_is_patient(j) && j->in_state[CELL_UNKNOWN] > 0)
			return true;
	}
	return false;
}

static bool
has_patient_task(const struct agent *a)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&a->attempts) {
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);

		if (!task_state_terminal(t->state) && job_is_patient(t->job))
			return true;
	}
	return false;
}

bool
agent_is_waited_for(const struct cluster *c, const struct agent *a)
{
	if (a->gone || a->powered_off)
		return false;
	/* Who can read a job that we cannot may find that it waits. */
	return c->unread_count > 0 || has_patient_task(a) ||
	       ((a->awaited || a->unheard) && unknown_are_waited_for(c));
}

void
agent_unheard(struct cluster *c, uint64_t now_ms, struct agent *a)
{
	c->awaited -= a->awaited;
	c->unheard += !a->unheard;
	a->awaited = false;
	a->unheard = true;
	c->unheard_ms = now_ms;
	if (c->awaited == 0)
		jobs_recovered(c, now_ms);
}

/* The next leader need not wait for it, if there is no job of which we do not know that. */
static void
not_away(struct cluster *c, struct agent *a)
{
	if (c->unread_count > 0)
		return;
	a->away = false;
	registry_dirty(c, a);
}

void
unheard_settled(struct cluster *c)
{
	for (uint32_t i = 0; c->unheard > 0 && i < c->agent_count; i++) {
		struct agent *a = c->by_number[i];

		if (!a->unheard)
			continue;
		a->unheard = false;
		c->unheard--;
		if (a->away)
			not_away(c, a);
	}
}

void
disconnect_scan(struct cluster *c, uint64_t now_ms)
{
	if (c->unheard > 0 && c->awaited == 0)
		jobs_recovered(c, now_ms);
	for (uint32_t i = 0; i < c->agent_count; i++) {
		struct agent *a = c->by_number[i];

		if (!a->away || a->state != AGENT_UNREACHABLE)
			continue;
		agent_end_tasks(c, now_ms, a);
		if (!a->unheard && !has_patient_task(a))
			not_away(c, a);
	}
}
