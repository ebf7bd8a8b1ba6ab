/* SPDX-License-Identifier: Apache-2.0 */
/* Placement of what waits: jobs in order of age, the equal tasks of a job in one descent. */
#include "master/core/inside.h"

static void
launch_one(struct cluster *c, uint64_t now_ms, struct job *j, struct agent *a, uint32_t index)
{
	struct attempt *t = attempt_new(c, now_ms, j, a, index, j->cells[index].attempts + 1,
	    c->term, CORRAL__TASK_STATE__LAUNCHING);
	struct out *o;

	if (t == NULL) {
		c->failed = true;
		return;
	}
	t->booked = true;
	j->cells[index].attempts++;
	j->cells[index].agent = a->number;
	j->cells[index].term = 0;
	cell_enter(c, j, index, CELL_LIVE);
	c->placements++;
	if (j->singles != NULL) {
		single_place(c, t);
		return;
	}
	if ((o = cluster_emit(c, OUT_LAUNCH, a, j)) == NULL)
		return;
	cluster_key(t, &o->key);
	o->state = t->state;
}

static uint32_t
next_pending(struct job *j)
{
	while (j->next_pending < j->count && j->cells[j->next_pending].state != CELL_PENDING)
		j->next_pending++;
	return j->next_pending;
}

static struct agent *
agent_on(const struct cluster *c, uint32_t node)
{
	return c->by_node[node];
}

/* Place up to `room` tasks of a job; gives how many. */
static uint32_t
launch_job(struct cluster *c, uint64_t now_ms, struct job *j, uint32_t room)
{
	uint32_t cursor = 0, node, placed = 0, want, n;

	while (placed < room && j->in_state[CELL_PENDING] > 0) {
		want = j->in_state[CELL_PENDING] < room - placed ? j->in_state[CELL_PENDING]
								 : room - placed;
		n = books_fill(&c->books, &j->need, want, &cursor, &node);
		if (n == 0)
			break;
		if (j->policy.constrained && !c->ops.allows(j->definition, agent_on(c, node))) {
			while (n-- > 0)
				books_release(&c->books, node, &j->need);
			cursor = node + 1;
			continue;
		}
		placed += n;
		while (n-- > 0)
			launch_one(c, now_ms, j, agent_on(c, node), next_pending(j));
	}
	return placed;
}

/* Room for one task on a node that can end singletons; false: there is none. */
static bool
book_for_singleton(struct cluster *c, struct job *j, uint32_t *node)
{
	uint32_t cursor = 0;

	while (books_fill(&c->books, &j->need, 1, &cursor, node) > 0) {
		struct agent *a = agent_on(c, *node);

		if (cluster_lacks_for_singletons(a) == NULL &&
		    (!j->policy.constrained || c->ops.allows(j->definition, a)))
			return true;
		books_release(&c->books, *node, &j->need);
		cursor = *node + 1;
	}
	return false;
}

static uint32_t
launch_singletons(struct cluster *c, uint64_t now_ms, struct job *j, uint32_t room)
{
	uint32_t placed = 0, node;

	for (uint32_t i = next_pending(j); i < j->count && placed < room; i++) {
		if (j->cells[i].state != CELL_PENDING || !single_is_free(j, i))
			continue;
		if (!book_for_singleton(c, j, &node))
			break;
		launch_one(c, now_ms, j, agent_on(c, node), i);
		placed++;
	}
	return placed;
}

void
cluster_launch(struct cluster *c, uint64_t now_ms)
{
	uint32_t room = CLUSTER_PLACED_MAX;
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->live)
	{
		struct job *j = CONTAINER_OF(it, struct job, in_order);

		if (j->state != JOB_RUNNING || j->in_state[CELL_PENDING] == 0)
			continue;
		room -= j->singles != NULL ? launch_singletons(c, now_ms, j, room)
					   : launch_job(c, now_ms, j, room);
		if (room == 0)
			return; /* the next turn goes on */
	}
	c->unplaced = false;
}
