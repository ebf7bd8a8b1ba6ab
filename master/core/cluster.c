/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "libcommon/base/plants.h"
#include "libcommon/base/str.h"
#include "master/core/inside.h"

void
cluster_set_unreachable_after(struct cluster *c, uint64_t ms)
{
	uint64_t least = c->settings.lease_ms * (1000 + 3 * c->settings.drift_permille) / 1000;

	c->settings.unreachable_after_ms = ms < least ? least : ms;
}

bool
cluster_init(struct cluster *c, const struct cluster_settings *settings,
    const struct cluster_ops *ops, const struct hash_key *hash, struct term term, uint64_t now_ms)
{
	uint16_t ours;

	memset(c, 0, sizeof *c);
	c->settings = *settings;
	cluster_set_unreachable_after(c, settings->unreachable_after_ms);
	c->ops = *ops;
	c->hash = *hash;
	c->term = term;
	c->elected_ms = now_ms;
	books_init(&c->books);
	tokens_init(&c->tokens);
	hmap_init(&c->agents);
	hmap_init(&c->jobs);
	hmap_init(&c->attempts);
	hmap_init(&c->doomed);
	list_init(&c->admitting);
	list_init(&c->admitting_in_batch);
	list_init(&c->live);
	list_init(&c->holding);
	list_init(&c->reserving);
	list_init(&c->ended);
	list_init(&c->removed);
	list_init(&c->removing);
	list_init(&c->delaying);
	list_init(&c->dirty);
	list_init(&c->in_batch);
	list_init(&c->ending);
	list_init(&c->committing);
	list_init(&c->placing);
	list_init(&c->placing_in_batch);
	list_init(&c->placed);
	buf_init(&c->commit.data, 2 * COMMIT_BYTES_MAX);
	c->registry = calloc(CLUSTER_AGENTS_MAX / REGISTRY_PIECE + 1, 1);
	c->reserved = calloc(CLUSTER_AGENTS_MAX / RESERVED_PIECE + 1, 1);
	return c->registry != NULL && c->reserved != NULL && cluster_term_number(c, term, &ours);
}

static void
free_jobs(struct cluster *c, struct list *jobs)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, jobs)
		job_free(c, CONTAINER_OF(it, struct job, in_order));
}

void
cluster_fini(struct cluster *c)
{
	struct list *it, *nx;

	HMAP_EACH(it, nx, &c->attempts)
		attempt_free(c, HMAP_ENTRY(it, struct attempt, by_key));
	free_jobs(c, &c->live);
	free_jobs(c, &c->ended);
	free_jobs(c, &c->removed);
	free_jobs(c, &c->removing);
	HMAP_EACH(it, nx, &c->doomed)
		free(HMAP_ENTRY(it, struct doomed, by_index));
	for (uint32_t i = 0; i < c->agent_count; i++) {
		reserve_free_all(c, c->by_number[i]);
		agent_free(c->by_number[i]);
	}
	free(c->by_number);
	free(c->by_node);
	free(c->registry);
	free(c->reserved);
	free(c->terms);
	free(c->unread);
	free(c->out.items);
	buf_fini(&c->commit.data);
	hmap_fini(&c->agents);
	hmap_fini(&c->jobs);
	hmap_fini(&c->attempts);
	hmap_fini(&c->doomed);
	books_fini(&c->books);
	tokens_fini(&c->tokens);
	memset(c, 0, sizeof *c);
}

void
cluster_start(struct cluster *c, uint64_t now_ms)
{
	c->elected_ms = c->unheard_ms = now_ms;
	for (uint32_t i = 0; i < c->agent_count; i++) {
		struct agent *a = c->by_number[i];

		a->heard_ms = now_ms;
		a->awaited = !a->marked;
		a->marked_ms = now_ms;
		a->unheard = a->away;
		c->unheard += a->unheard;
		c->awaited += a->awaited;
	}
	singles_recover(c, now_ms);
	if (c->awaited == 0)
		jobs_recovered(c, now_ms);
	c->unplaced = true;
}

void
cluster_turn(struct cluster *c, uint64_t now_ms)
{
	bool scan = now_ms >= c->scan_ms;

	c->pausing = now_ms < c->pause_end_ms;
	singles_send(c, now_ms);
	jobs_delays(c, now_ms);
	if (scan)
		agents_scan(c, now_ms);
	if (c->unplaced)
		cluster_launch(c, now_ms);
	if (!scan)
		return;
	/* Only now is it known what fits nowhere. */
	holds_scan(c, now_ms);
	if (c->unplaced)
		cluster_launch(c, now_ms);
}

uint64_t
cluster_deadline_ms(const struct cluster *c, uint64_t now_ms)
{
	uint64_t at = c->unplaced ? now_ms : c->scan_ms;
	struct list *it, *nx;

	if (c->pausing && c->pause_end_ms < at && commit_wanted(c))
		at = c->pause_end_ms;
	LIST_EACH(it, nx, (struct list *)&c->delaying) {
		struct job *j = CONTAINER_OF(it, struct job, in_delaying);
		uint64_t first = CONTAINER_OF(j->delayed.next, struct delay, in_job)->at_ms;

		at = first < at ? first : at;
	}
	return at;
}

struct out *
cluster_emit(struct cluster *c, enum out_kind kind, struct agent *a, struct job *j)
{
	struct cluster_out *o = &c->out;

	if (o->count == o->capacity) {
		size_t capacity = o->capacity == 0 ? 64 : 2 * o->capacity;
		struct out *items = realloc(o->items, capacity * sizeof *items);

		if (items == NULL) {
			c->failed = true;
			return NULL;
		}
		o->items = items;
		o->capacity = capacity;
	}
	o->items[o->count] = (struct out){.kind = kind, .agent = a, .job = j};
	if (a != NULL)
		o->items[o->count].registration = a->registration;
	return &o->items[o->count++];
}

void *
cluster_out_link(const struct out *o)
{
	if (o->kind > OUT_ACK || o->agent == NULL)
		return NULL;
	if (o->registration != o->agent->registration && !ZAB_PLANTED(PLANT_WORDS_OUTLIVE)) {
		MARK("out: of another registration");
		return NULL;
	}
	return o->agent->link;
}

bool
task_key_read(struct task_key *to, const Corral__TaskKey *key)
{
	*to = (struct task_key){
	    .incarnation = key->incarnation,
	    .index = key->index,
	    .attempt = key->attempt,
	    .term = {key->term->era, key->term->czxid},
	};
	return str_copy(to->job, sizeof to->job, key->job);
}

void
cluster_emit_key(struct cluster *c, enum out_kind kind, struct agent *a, const Corral__TaskKey *key)
{
	struct out *o = cluster_emit(c, kind, a, NULL);

	if (o != NULL)
		(void)task_key_read(&o->key, key); /* its name was looked at when it came */
}

void
cluster_out_clear(struct cluster *c)
{
	c->out.count = 0;
}

uint64_t
cluster_hash_text(const struct cluster *c, const char *text)
{
	return hash_bytes(&c->hash, text, strlen(text));
}

void
cluster_key(const struct attempt *t, struct task_key *key)
{
	*key = (struct task_key){
	    .incarnation = t->job->incarnation,
	    .index = t->index,
	    .attempt = t->attempt,
	    .term = t->term,
	};
	memcpy(key->job, t->job->name, sizeof key->job);
}

struct agent *
cluster_last_attempt(
    const struct cluster *c, const struct job *j, uint32_t index, struct task_key *key)
{
	const struct cell *cell = &j->cells[index];

	if (cell->agent == CLUSTER_NO_AGENT || cell->agent >= c->agent_count)
		return NULL;
	*key = (struct task_key){
	    .incarnation = j->incarnation,
	    .index = index,
	    .attempt = cell->attempts,
	    .term = c->terms[cell->term],
	};
	memcpy(key->job, j->name, sizeof key->job);
	return c->by_number[cell->agent];
}

bool
cluster_term_number(struct cluster *c, struct term term, uint16_t *number)
{
	struct term *terms;

	for (size_t i = c->term_count; i-- > 0;)
		if (term_equal(c->terms[i], term)) {
			*number = (uint16_t)i;
			return true;
		}
	if (c->term_count == CLUSTER_TERMS_MAX)
		return false;
	if ((terms = realloc(c->terms, (c->term_count + 1) * sizeof *terms)) == NULL) {
		c->failed = true;
		return false;
	}
	c->terms = terms;
	terms[c->term_count] = term;
	*number = (uint16_t)c->term_count++;
	return true;
}

const char *
agent_state_name(enum agent_state state)
{
	static const char *const names[] = {
	    "awaited", "admitting", "ready", "silent", "unreachable"};

	return names[state];
}

const char *
job_state_name(enum job_state state)
{
	static const char *const names[] = {
	    "creating", "running", "stopping", "stopped", "finished", "failed"};

	return names[state];
}

bool
task_state_terminal(Corral__TaskState state)
{
	return state == CORRAL__TASK_STATE__FINISHED || state == CORRAL__TASK_STATE__FAILED ||
	       state == CORRAL__TASK_STATE__KILLED || state == CORRAL__TASK_STATE__LOST;
}

const char *
task_state_name(Corral__TaskState state)
{
	static const char *const names[] = {"waiting", "launching", "running", "recovering",
	    "finished", "failed", "killed", "lost"};

	return (unsigned)state < 8 ? names[state] : "unknown";
}

static bool
job_check(const struct cluster *c, const struct job *j)
{
	uint32_t in_state[CELL_STATES] = {0}, live = 0, delayed = 0;
	struct list *it, *nx;

	for (uint32_t i = 0; i < j->count; i++) {
		in_state[j->cells[i].state]++;
		if (j->cells[i].state == CELL_PENDING && i < j->next_pending)
			return false;
		if ((j->cells[i].state == CELL_LIVE) != (cluster_live_attempt(c, j, i) != NULL))
			return false;
	}
	LIST_EACH(it, nx, (struct list *)&j->attempts)
		live += !task_state_terminal(CONTAINER_OF(it, struct attempt, in_job)->state);
	LIST_EACH(it, nx, (struct list *)&j->delayed)
		delayed +=
		    j->cells[CONTAINER_OF(it, struct delay, in_job)->index].state == CELL_DELAYED;
	return memcmp(in_state, j->in_state, sizeof in_state) == 0 && live == in_state[CELL_LIVE] &&
	       delayed == in_state[CELL_DELAYED] &&
	       list_empty(&j->delayed) == list_empty(&j->in_delaying);
}

static bool
agent_check(const struct cluster *c, const struct agent *a)
{
	static const struct resources none;
	struct resources sum = none;
	struct list *it, *nx;
	uint32_t count = 0, stuck = 0;

	LIST_EACH(it, nx, (struct list *)&a->attempts) {
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);

		count++;
		stuck += t->stuck;
		if (t->booked)
			resources_add(&sum, &t->job->need, 1);
		if (t->booked && task_state_terminal(t->state))
			return false;
	}
	LIST_EACH(it, nx, (struct list *)&a->doomed)
		if (CONTAINER_OF(it, struct doomed, in_agent)->booked)
			resources_add(&sum, &CONTAINER_OF(it, struct doomed, in_agent)->need, 1);
	return count == a->attempt_count && stuck == a->stuck_count &&
	       (a->node == PLACE_NONE ? resources_equal(&sum, &none)
				      : resources_equal(&sum, &c->books.accounts[a->node].leased));
}

bool
cluster_check(const struct cluster *c)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&c->live)
		if (!job_check(c, CONTAINER_OF(it, struct job, in_order)))
			return false;
	for (uint32_t i = 0; i < c->agent_count; i++)
		if (!agent_check(c, c->by_number[i]))
			return false;
	return books_check(&c->books);
}
