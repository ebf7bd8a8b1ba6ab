/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placement of what waits: the role whose turn it is (share.h), its jobs in order of priority and
 * then of age, the equal tasks of a job in one descent as long as nobody else contends.
 */
#include "libcommon/base/mark.h"
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

bool
job_waits(const struct job *j)
{
	return j->state == JOB_RUNNING && j->in_state[CELL_PENDING] > 0;
}

/* --- the job of a role that is next --- */

static struct job *
job_at(struct role *r)
{
	for (;; r->at = r->at->next) {
		while (r->at == &r->jobs[r->priority]) {
			if (r->priority == 0)
				return NULL;
			r->at = r->jobs[--r->priority].next;
		}
		if (job_waits(CONTAINER_OF(r->at, struct job, in_role)))
			return CONTAINER_OF(r->at, struct job, in_role);
	}
}

/* No more of the job at hand in this turn. */
static void
job_done(struct role *r)
{
	r->at = r->at->next;
	r->cursor = r->index = 0;
}

static void
contend(struct share *s, struct role *r)
{
	r->priority = SHARE_PRIORITIES - 1;
	r->at = r->jobs[r->priority].next;
	r->cursor = r->index = 0;
	if (job_at(r) != NULL)
		share_contend(s, r);
}

static void
turn_begin(struct cluster *c)
{
	struct share *s = &c->books.share;
	struct resources available = books_available(&c->books);

	share_begin(s, &available);
	for (uint32_t i = 0; i < s->count; i++)
		contend(s, s->roles[i]);
	share_ready(s);
}

/* --- placement --- */

/*
 * The next index that may be launched; count: there is none. A singleton's waits until the attempt
 * before it is given up, and is no more where it came back.
 */
static uint32_t
next_index(const struct cluster *c, struct job *j)
{
	uint32_t i = next_pending(j);

	if (j->singles == NULL)
		return i;
	for (i = j->role->index > i ? j->role->index : i; i < j->count; i++)
		if (j->cells[i].state == CELL_PENDING && single_is_free(c, j, i))
			break;
	j->role->index = i;
	return i;
}

bool
job_suits(const struct cluster *c, const struct job *j, const struct agent *a)
{
	return (j->singles == NULL || cluster_lacks_for_singletons(a) == NULL) &&
	       (!j->policy.constrained || c->ops.allows(j->definition, a));
}

/* Up to `most` tasks of a job on the next node that has room and that suits it; how many. */
static uint32_t
place_next(struct cluster *c, struct job *j, uint32_t most, uint32_t *node)
{
	struct role *r = j->role;
	uint32_t n;

	for (;;) {
		n = books_fill(&c->books, r, &j->need, most, &r->cursor, node);
		if (n == 0 || job_suits(c, j, agent_on(c, *node)))
			return n;
		while (n-- > 0)
			books_release(&c->books, r, *node, &j->need);
		r->cursor = *node + 1;
	}
}

/* One task on a node of which something is reserved for its role; *amount is the rest. */
static bool
place_on_reserved(struct cluster *c, struct job *j, uint32_t *node, struct resources *amount)
{
	static const struct resources none;
	struct role *r = j->role;
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->reserving) {
		struct agent *a = CONTAINER_OF(it, struct agent, in_reserving);
		struct resources reserved = reserve_unused(a, r), usable;

		if (resources_is_zero(&reserved) || !agent_takes_tasks(a) || a->held_for != NULL ||
		    !job_suits(c, j, a))
			continue;
		usable = reserve_usable(c, a, r);
		*amount = resources_beyond(&j->need, &reserved);
		if (!resources_fits(&j->need, &usable) ||
		    !reserve_admits(c, a, r, &j->need, &none) ||
		    !books_lease(&c->books, r, a->node, &j->need))
			continue;
		*node = a->node;
		return true;
	}
	return false;
}

/* Some tasks of a job that is next in its role; at most `most`, 0 if it can have none. */
static uint32_t
launch_next(struct cluster *c, uint64_t now_ms, struct job *j, uint32_t most)
{
	struct share *s = &c->books.share;
	struct role *r = j->role;
	struct resources amount = {0};
	struct share_barred why;
	uint32_t node, n = 0;

	if (j->in_state[CELL_PENDING] < most)
		most = j->in_state[CELL_PENDING];
	if (j->singles != NULL || !share_alone(s))
		most = 1;
	if (next_index(c, j) == j->count) {
		job_done(r);
		return 0;
	}
	if (!list_empty(&c->reserving) && place_on_reserved(c, j, &node, &amount)) {
		MARK("launch: on what is reserved");
		n = 1;
	} else if ((most = share_room(s, r, &j->need, most, &why)) > 0 &&
		   (n = place_next(c, j, most, &node)) > 0) {
		amount = (struct resources){0};
		resources_add(&amount, &j->need, n);
	}
	if (n > 0) {
		j->stuck_ms = 0;
	} else {
		j->stuck_ms = j->stuck_ms == 0 ? now_ms : j->stuck_ms;
		j->barred = why.bar;
	}
	for (uint32_t i = 0; i < n; i++)
		launch_one(c, now_ms, j, agent_on(c, node), next_index(c, j));
	if (n > 0 && !list_empty(&agent_on(c, node)->reservations))
		reserve_settle(c, agent_on(c, node));
	if (n > 0)
		share_granted(s, r, &amount);
	if (n == 0 || !job_waits(j))
		job_done(r);
	return n;
}

/* On a node that is held for a job, as soon as that fits. */
static void
launch_held(struct cluster *c, uint64_t now_ms, struct agent *a, const struct resources *elsewhere)
{
	static const struct resources none;
	struct job *j = a->held_for;
	struct resources available, usable;

	while (a->held_for != NULL && job_waits(j) && agent_takes_tasks(a)) {
		j->role->index = 0;
		usable = reserve_usable(c, a, j->role);
		if (next_index(c, j) == j->count || !resources_fits(&j->need, &usable))
			return;
		available = books_free(&c->books, a->node);
		resources_add(&available, elsewhere, 1);
		share_begin(&c->books.share, &available);
		if (!reserve_admits(c, a, j->role, &j->need, &none) ||
		    !books_lease(&c->books, j->role, a->node, &j->need))
			return;
		MARK("launch: on a node that was held");
		launch_one(c, now_ms, j, a, next_index(c, j));
		reserve_settle(c, a);
		j->stuck_ms = 0;
		hold_placed(c, a);
	}
}

static void
launch_all_held(struct cluster *c, uint64_t now_ms)
{
	struct resources elsewhere;
	struct list *it, *nx;

	if (list_empty(&c->holding))
		return;
	elsewhere = books_available(&c->books);
	LIST_EACH(it, nx, &c->holding)
		launch_held(c, now_ms, CONTAINER_OF(it, struct agent, in_holding), &elsewhere);
}

void
cluster_launch(struct cluster *c, uint64_t now_ms)
{
	uint32_t room = CLUSTER_PLACED_MAX;
	struct job *j;
	struct role *r;

	reserve_settle_all(c);
	launch_all_held(c, now_ms);
	turn_begin(c);
	while (room > 0 && (r = share_pick(&c->books.share)) != NULL) {
		if ((j = job_at(r)) == NULL)
			share_withdraw(&c->books.share, r);
		else
			room -= launch_next(c, now_ms, j, room);
	}
	c->unplaced = room == 0; /* then the next turn goes on */
}
