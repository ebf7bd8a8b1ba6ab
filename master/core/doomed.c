/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts that an agent came back with and nobody wants any more: replaced, given up, or of a job
 * that is not ours. Each is killed, and its resources stay booked until its agent says that it is
 * over, registers without it, or is given up itself. One that was a singleton's holds its index
 * back for as long: it was given up because its lease is over, but a machine that has slept through
 * that has only now begun to end it.
 */
#include <stdlib.h>
#include <string.h>

#include "master/core/inside.h"

static uint64_t
hash_of(const struct cluster *c, const char *job, uint32_t index)
{
	return hash_u64(cluster_hash_text(c, job) + index);
}

static struct doomed *
doomed_add(struct cluster *c, struct agent *a, const struct task_key *key)
{
	struct doomed *d = calloc(1, sizeof *d);

	if (d == NULL || !hmap_insert(&c->doomed, &d->by_index, hash_of(c, key->job, key->index))) {
		c->failed = true;
		free(d);
		return NULL;
	}
	d->key = *key;
	list_append(&a->doomed, &d->in_agent);
	return d;
}

static void
emit_kill(struct cluster *c, struct agent *a, const struct task_key *key)
{
	struct out *o = cluster_emit(c, OUT_KILL, a, NULL);

	if (o != NULL)
		o->key = *key;
}

static void
book(struct doomed *d, struct role *role, const struct resources *need)
{
	d->booked = true;
	d->role = role == NULL ? NULL : share_hold(role);
	d->need = *need;
}

void
doom_reported(struct cluster *c, struct agent *a, const struct task_key *key, struct role *role,
    const struct resources *need)
{
	struct doomed *d;

	if (!job_is_unread(c, key->job))
		emit_kill(c, a, key);
	if ((d = doomed_add(c, a, key)) != NULL && books_lease(&c->books, role, a->node, need))
		book(d, role, need);
}

void
doom_replaced(struct cluster *c, struct attempt *t)
{
	struct task_key key;
	struct doomed *d;

	cluster_key(t, &key);
	emit_kill(c, t->agent, &key);
	if ((d = doomed_add(c, t->agent, &key)) == NULL)
		return;
	book(d, t->job->role, &t->job->need);
	t->booked = false;
}

static void
doomed_release(struct cluster *c, struct agent *a, struct doomed *d)
{
	if (d->booked)
		books_release(&c->books, d->role, a->node, &d->need);
	if (d->role != NULL)
		share_drop(&c->books.share, d->role);
	c->unplaced = true;
	hmap_remove(&c->doomed, &d->by_index);
	list_remove(&d->in_agent);
	free(d);
}

void
doomed_release_all(struct cluster *c, struct agent *a)
{
	struct list *first;

	while ((first = list_first(&a->doomed)) != NULL)
		doomed_release(c, a, CONTAINER_OF(first, struct doomed, in_agent));
}

void
doom_admitting(struct cluster *c, struct agent *a)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->doomed) /* of a registration before this one */
		if (!CONTAINER_OF(it, struct doomed, in_agent)->booked)
			doomed_release(c, a, CONTAINER_OF(it, struct doomed, in_agent));
	for (size_t i = 0; i < a->report->n_tasks; i++) {
		const Corral__TaskReport *r = a->report->tasks[i];
		const struct job *j = cluster_job(c, r->key->job);
		const struct attempt *t = attempt_find(c, r->key);
		struct task_key key;

		if (j != NULL && j->singles != NULL && (t == NULL || t->agent != a) &&
		    !task_state_terminal(r->state) && task_key_read(&key, r->key))
			(void)doomed_add(c, a, &key);
	}
}

void
doomed_over(struct cluster *c, struct agent *a, const struct task_key *key)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->doomed) {
		struct doomed *d = CONTAINER_OF(it, struct doomed, in_agent);

		if (d->key.incarnation == key->incarnation && d->key.index == key->index &&
		    d->key.attempt == key->attempt && term_equal(d->key.term, key->term))
			doomed_release(c, a, d);
	}
}

bool
doomed_has(const struct cluster *c, const struct job *j, uint32_t index)
{
	struct hmap_node *n = hmap_first(&c->doomed, hash_of(c, j->name, index));

	for (; n != NULL; n = hmap_next(n)) {
		const struct doomed *d = CONTAINER_OF(n, struct doomed, by_index);

		if (d->key.index == index && strcmp(d->key.job, j->name) == 0)
			return true;
	}
	return false;
}
