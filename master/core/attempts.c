/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts: from launch or report to the acknowledged end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "master/core/inside.h"

/* All attempts at one index, whatever their number, share a hash. */
static uint64_t
index_hash(int64_t incarnation, uint32_t index)
{
	return hash_u64((uint64_t)incarnation * UINT64_C(0x9e3779b97f4a7c15) + index);
}

struct attempt *
attempt_new(struct cluster *c, uint64_t now_ms, struct job *j, struct agent *a, uint32_t index,
    uint32_t number, struct term term, Corral__TaskState state)
{
	struct attempt *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->job = j;
	t->agent = a;
	t->term = term;
	t->index = index;
	t->attempt = number;
	t->state = state;
	t->registration = a->registration;
	t->since_ms = t->launched_ms = now_ms;
	if (!hmap_insert(&c->attempts, &t->by_key, index_hash(j->incarnation, index))) {
		free(t);
		return NULL;
	}
	list_append(&a->attempts, &t->in_agent);
	list_append(&j->attempts, &t->in_job);
	list_init(&t->in_ending);
	a->attempt_count++;
	c->in_task_state[state]++;
	return t;
}

void
attempt_free(struct cluster *c, struct attempt *t)
{
	hmap_remove(&c->attempts, &t->by_key);
	list_remove(&t->in_agent);
	list_remove(&t->in_job);
	list_remove(&t->in_ending);
	t->agent->attempt_count--;
	t->agent->stuck_count -= t->stuck;
	c->in_task_state[t->state]--;
	free(t);
}

struct attempt *
attempt_find(const struct cluster *c, const Corral__TaskKey *key)
{
	struct hmap_node *n = hmap_first(&c->attempts, index_hash(key->incarnation, key->index));

	for (; n != NULL; n = hmap_next(n)) {
		struct attempt *t = CONTAINER_OF(n, struct attempt, by_key);

		if (t->job->incarnation == key->incarnation && t->index == key->index &&
		    t->attempt == key->attempt &&
		    term_equal(t->term, (struct term){key->term->era, key->term->czxid}))
			return t;
	}
	return NULL;
}

struct attempt *
cluster_live_attempt(const struct cluster *c, const struct job *j, uint32_t index)
{
	struct hmap_node *n = hmap_first(&c->attempts, index_hash(j->incarnation, index));

	for (; n != NULL; n = hmap_next(n)) {
		struct attempt *t = CONTAINER_OF(n, struct attempt, by_key);

		if (t->job == j && t->index == index && !task_state_terminal(t->state))
			return t;
	}
	return NULL;
}

void
attempt_enter(struct cluster *c, struct attempt *t, Corral__TaskState state)
{
	c->in_task_state[t->state]--;
	t->state = state;
	c->in_task_state[state]++;
}

static struct out *
emit_task(struct cluster *c, uint64_t now_ms, const struct attempt *t)
{
	struct out *o = cluster_emit(c, OUT_TASK, t->agent, t->job);

	if (o == NULL)
		return NULL;
	cluster_key(t, &o->key);
	o->state = t->state;
	o->delay_ms = now_ms - t->launched_ms;
	return o;
}

void
attempt_recovering(struct cluster *c, uint64_t now_ms, struct attempt *t)
{
	if (t->state == CORRAL__TASK_STATE__RECOVERING)
		return;
	attempt_enter(c, t, CORRAL__TASK_STATE__RECOVERING);
	emit_task(c, now_ms, t);
}

void
attempt_unsettled(struct cluster *c, struct attempt *t, bool unsettled)
{
	if (t->unsettled == unsettled)
		return;
	t->unsettled = unsettled;
	share_unsettled(t->job->role, &t->job->need, unsettled ? 1 : -1);
	c->unplaced = true;
}

void
attempt_over(struct cluster *c, uint64_t now_ms, struct attempt *t, Corral__TaskState state,
    Corral__TaskReason reason, uint8_t code, const uint8_t *uuid)
{
	struct job *j = t->job;
	struct out *o;
	bool settled;

	if (t->booked) {
		books_release(&c->books, j->role, t->agent->node, &j->need);
		t->booked = false;
		c->unplaced = true;
	}
	attempt_unsettled(c, t, false);
	t->agent->stuck_count -= t->stuck;
	t->stuck = false;
	attempt_enter(c, t, state);
	settled = cell_outcome(c, now_ms, j, t, reason, code);
	o = emit_task(c, now_ms, t);
	if (o != NULL) {
		o->reason = reason;
		o->code = code;
		o->settled = settled;
	}
	if (uuid == NULL) {
		attempt_free(c, t);
	} else {
		memcpy(t->uuid, uuid, sizeof t->uuid);
		list_append(&c->ending, &t->in_ending);
	}
	job_settle(c, now_ms, j);
}

/* The job of a key, if it is the same one and not merely of the same name. */
static struct job *
job_of(const struct cluster *c, const Corral__TaskKey *key)
{
	struct job *j = cluster_job(c, key->job);

	if (j == NULL || j->incarnation != key->incarnation || key->index >= j->count)
		return NULL;
	return j;
}

/* What a reported attempt takes: as its job has it, or as the agent says where the job is not ours.
 */
static struct resources
report_need(const struct cluster *c, const Corral__TaskReport *r)
{
	const struct job *j = job_of(c, r->key);

	if (j != NULL)
		return j->need;
	if (r->resources != NULL) {
		struct resources own = {
		    r->resources->cpu_milli, r->resources->memory_bytes, r->resources->disk_bytes};

		return resources_sum(&c->settings.executor, &own);
	}
	return c->settings.executor;
}

bool
attempts_report_fits(
    const struct cluster *c, const Corral__Register *report, const struct resources *capacity)
{
	struct resources left = *capacity;

	for (size_t i = 0; i < report->n_tasks; i++) {
		struct resources need = report_need(c, report->tasks[i]);

		if (task_state_terminal(report->tasks[i]->state))
			continue;
		if (!resources_fits(&need, &left))
			return false;
		resources_subtract(&left, &need, 1);
	}
	return true;
}

static bool
term_is_newer(struct term t, const Corral__Term *than)
{
	return t.era > than->era || (t.era == than->era && t.czxid > than->czxid);
}

/* Of a reported attempt and the last one of its index that we know: > 0 if it was made later. */
static int
attempt_order(const struct cluster *c, const struct cell *cell, const Corral__TaskKey *key)
{
	struct term last = c->terms[cell->term];

	if (cell->attempts == 0)
		return 1;
	if (!term_equal(last, (struct term){key->term->era, key->term->czxid}))
		return term_is_newer(last, key->term) ? -1 : 1;
	return key->attempt < cell->attempts ? -1 : key->attempt > cell->attempts;
}

/*
 * May a reported attempt that we have no record of become the index's live one? A running one may
 * if nothing else has taken its place since; one that ended may if its outcome was not stored.
 */
static bool
adoptable(const struct cluster *c, const struct job *j, const Corral__TaskReport *r)
{
	const struct cell *cell = &j->cells[r->key->index];

	/*
	 * The store names the attempts at a singleton that may go on. One that was given up has
	 * been stopped by its executor, and the store may have its replacement at any moment.
	 */
	if (j->policy.singleton)
		return false;
	if (cell->state != CELL_UNKNOWN && cell->state != CELL_PENDING &&
	    cell->state != CELL_DELAYED)
		return false;
	return attempt_order(c, cell, r->key) >= (task_state_terminal(r->state) ? 1 : 0);
}

/* An attempt of an earlier leader's, or one that was given up and came back before it was replaced.
 */
static bool
adopt(
    struct cluster *c, uint64_t now_ms, struct agent *a, struct job *j, const Corral__TaskReport *r)
{
	struct cell *cell = &j->cells[r->key->index];
	bool over = task_state_terminal(r->state);
	struct term term = {r->key->term->era, r->key->term->czxid};
	struct attempt *t;
	uint16_t number;

	/* Of a term without a number its key could not be said: it is ended, and another begins. */
	if (!cluster_term_number(c, term, &number))
		return false;
	t = attempt_new(c, now_ms, j, a, r->key->index, r->key->attempt, term,
	    over ? CORRAL__TASK_STATE__RECOVERING : r->state);
	if (t == NULL)
		return false;
	t->told_over = over;
	t->booked = !over && books_lease(&c->books, j->role, a->node, &j->need);
	if (!over && !t->booked) {
		MARK("adopt: no room");
		attempt_free(c, t);
		return false;
	}
	/* (A later leader's may have a lower number than what it had not heard of.) */
	cell->attempts = t->attempt;
	cell->agent = a->number;
	cell->term = number;
	cell_enter(c, j, t->index, CELL_LIVE);
	emit_task(c, now_ms, t);
	if (j->state != JOB_RUNNING && !over)
		cluster_emit_key(c, OUT_KILL, a, r->key);
	return true;
}

/* An attempt that we know: its agent has it. After an election its room is booked only now. */
static void
back_with(struct cluster *c, struct agent *a, struct attempt *t, const Corral__TaskReport *r)
{
	if (task_state_terminal(t->state) || task_state_terminal(r->state))
		return;
	if (!t->booked)
		t->booked = books_lease(&c->books, t->job->role, a->node, &t->job->need);
	attempt_unsettled(c, t, t->unsettled && !t->booked);
	attempt_stuck(c, t, r->stuck);
}

/*
 * Of an index's attempts the newest counts, and its agent may be a later one to register: an older
 * one gives way, be it that it is over and nobody has acknowledged its outcome, or that it goes on.
 */
static void
give_way(struct cluster *c, struct job *j, const Corral__TaskReport *r)
{
	struct attempt *t = cluster_live_attempt(c, j, r->key->index);

	if (t == NULL || j->policy.singleton || (!t->told_over && !t->booked) ||
	    term_is_newer(t->term, r->key->term) ||
	    (term_equal(t->term, (struct term){r->key->term->era, r->key->term->czxid}) &&
		t->attempt >= r->key->attempt))
		return;
	MARK("register: a newer attempt is reported");
	if (t->booked)
		doom_replaced(c, t);
	cell_enter(c, j, t->index, CELL_UNKNOWN);
	attempt_free(c, t);
}

static void
settle_one(struct cluster *c, uint64_t now_ms, struct agent *a, const Corral__TaskReport *r)
{
	struct attempt *t = attempt_find(c, r->key);
	struct job *j = job_of(c, r->key);
	struct resources need;
	struct task_key key;

	if (j != NULL && t == NULL)
		give_way(c, j, r);

	if (t != NULL && t->agent == a) {
		back_with(c, a, t, r);
		if (!task_state_terminal(t->state) && !task_state_terminal(r->state) &&
		    r->state != t->state) {
			attempt_enter(c, t, r->state);
			emit_task(c, now_ms, t);
		}
		if ((t->job->state != JOB_RUNNING || t->moved) && !task_state_terminal(r->state))
			cluster_emit_key(c, OUT_KILL, a, r->key);
		return;
	}
	if (j != NULL && t == NULL && adoptable(c, j, r) && adopt(c, now_ms, a, j, r))
		return;
	if (task_state_terminal(r->state) || !task_key_read(&key, r->key))
		return;
	need = report_need(c, r);
	MARK("register: an attempt that nobody wants");
	doom_reported(c, a, &key, j == NULL ? NULL : j->role, &need);
}

/* The report is the whole checkpoint: what is not in it never started there, or is proven over. */
static void
lose_the_unreported(struct cluster *c, uint64_t now_ms, struct agent *a)
{
	struct list *it, *nx;

	for (size_t i = 0; i < a->report->n_tasks; i++) {
		struct attempt *t = attempt_find(c, a->report->tasks[i]->key);

		if (t != NULL && t->agent == a)
			t->registration = a->registration;
	}
	LIST_EACH(it, nx, &a->attempts) {
		struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);

		/* (One that was not sent could not be in it.) */
		if (t->registration != a->registration && !task_state_terminal(t->state) &&
		    !t->unsent)
			attempt_over(c, now_ms, t, CORRAL__TASK_STATE__LOST,
			    CORRAL__TASK_REASON__REASON_AGENT_LOST, 0, NULL);
	}
}

/*
 * What is reported fits (attempts_report_fits()). Of what is booked beside, that which was not sent
 * yet goes elsewhere if it has to.
 */
static void
resize_node(struct cluster *c, uint64_t now_ms, struct agent *a)
{
	const Corral__Resources *r = a->report->capacity;
	struct resources capacity = {r->cpu_milli, r->memory_bytes, r->disk_bytes};
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->attempts) {
		struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);

		if (books_node_resize(&c->books, a->node, &capacity))
			return;
		if (t->unsent)
			attempt_over(c, now_ms, t, CORRAL__TASK_STATE__LOST,
			    CORRAL__TASK_REASON__REASON_AGENT_LOST, 0, NULL);
	}
	(void)books_node_resize(&c->books, a->node, &capacity);
}

/* What it says is over takes no room there any more; the outcome comes with the update. */
static void
release_the_ended(struct cluster *c, struct agent *a)
{
	for (size_t i = 0; i < a->report->n_tasks; i++) {
		struct attempt *t = attempt_find(c, a->report->tasks[i]->key);

		if (t == NULL || t->agent != a || !t->booked ||
		    !task_state_terminal(a->report->tasks[i]->state))
			continue;
		books_release(&c->books, t->job->role, a->node, &t->job->need);
		t->booked = false;
		t->told_over = true;
	}
}

void
attempts_settle_report(struct cluster *c, uint64_t now_ms, struct agent *a)
{
	doomed_release_all(c, a);
	lose_the_unreported(c, now_ms, a);
	release_the_ended(c, a);
	resize_node(c, now_ms, a);
	for (size_t i = 0; i < a->report->n_tasks; i++)
		settle_one(c, now_ms, a, a->report->tasks[i]);
}

static void
acknowledge(struct cluster *c, struct agent *a, const Corral__StatusUpdate *u)
{
	size_t before = c->out.count;

	cluster_emit_key(c, OUT_ACK, a, u->key);
	if (c->out.count > before)
		memcpy(c->out.items[before].uuid, u->uuid.data, CLUSTER_UUID_BYTES);
}

/* The status that people see: 0 to 255, or the signal. */
static uint8_t
code_of(const Corral__StatusUpdate *u)
{
	int32_t code = u->reason == CORRAL__TASK_REASON__REASON_SIGNAL ? u->signal : u->exit_code;

	return code < 0 || code > 255 ? 255 : (uint8_t)code;
}

static bool
update_is_sound(const Corral__StatusUpdate *u)
{
	return u->uuid.len == CLUSTER_UUID_BYTES && (unsigned)u->state < 8 &&
	       (unsigned)u->reason < 16 && u->state != CORRAL__TASK_STATE__WAITING &&
	       strlen(u->key->job) <= CLUSTER_NAME_MAX;
}

/* The agent's words go with what was put out for this update. */
static void
add_message(struct cluster *c, size_t from, const char *message)
{
	for (size_t i = from; message != NULL && i < c->out.count; i++)
		if (c->out.items[i].kind == OUT_TASK)
			snprintf(
			    c->out.items[i].message, sizeof c->out.items[i].message, "%s", message);
}

static void
take_update(struct cluster *c, uint64_t now_ms, struct attempt *t, const Corral__StatusUpdate *u)
{
	size_t before = c->out.count;

	t->sequence = u->sequence;
	if (task_state_terminal(u->state)) {
		attempt_over(c, now_ms, t, u->state, u->reason, code_of(u), u->uuid.data);
		add_message(c, before, u->message);
		return;
	}
	if (u->state != t->state) {
		attempt_enter(c, t, u->state);
		t->since_ms = now_ms;
		emit_task(c, now_ms, t);
	}
	acknowledge(c, t->agent, u);
}

/*
 * An update of an attempt that we do not know is of one that was settled or replaced before: its
 * end is acknowledged, since nothing more is to be stored, and its going on is ended. One that
 * ended already waits for the commit of its outcome, and is acknowledged then. Of a job that this
 * master cannot read nothing is known to be settled. An end counts whatever its number: an agent
 * whose checkpoint has rotted numbers anew.
 */
void
cluster_update(struct cluster *c, uint64_t now_ms, struct agent *a, const Corral__StatusUpdate *u)
{
	struct task_key key;
	struct attempt *t;

	if (!update_is_sound(u))
		return;
	t = attempt_find(c, u->key);
	if (t == NULL || t->agent != a) {
		if (task_state_terminal(u->state) && task_key_read(&key, u->key))
			doomed_over(c, a, &key);
		if (job_is_unread(c, u->key->job)) {
			MARK("update: of a job that cannot be read");
			return;
		}
		acknowledge(c, a, u);
		MARK("update: of an attempt that is settled");
		if (!task_state_terminal(u->state))
			cluster_emit_key(c, OUT_KILL, a, u->key);
		return;
	}
	/* (One that was not sent yet is no agent's to tell of: its name was guessed.) */
	if (task_state_terminal(t->state) || t->unsent)
		return;
	if (u->sequence <= t->sequence && !task_state_terminal(u->state)) {
		MARK("update: again");
		acknowledge(c, a, u);
		return;
	}
	take_update(c, now_ms, t, u);
}
