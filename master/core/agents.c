/* SPDX-License-Identifier: Apache-2.0 */
/* Agents: registration, leases by heartbeat, silence, and giving up those that are unreachable. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "libcommon/base/plants.h"
#include "libcommon/base/str.h"
#include "master/core/inside.h"

enum {
	SCAN_MS = 500,
	MARK_SLOT_MS = 1000,
	ALARM_AGENTS_MIN = 4,
	REPORT_TASKS_MAX = 100000,
};

struct agent *
cluster_agent(const struct cluster *c, const char *name)
{
	struct hmap_node *n = hmap_first(&c->agents, cluster_hash_text(c, name));

	for (; n != NULL; n = hmap_next(n)) {
		struct agent *a = CONTAINER_OF(n, struct agent, by_name);

		if (strcmp(a->name, name) == 0)
			return a;
	}
	return NULL;
}

static bool
grow_tables(struct cluster *c)
{
	uint32_t capacity = c->agent_capacity == 0 ? 16 : 2 * c->agent_capacity;
	struct agent **p;

	if (c->agent_count >= CLUSTER_AGENTS_MAX)
		return false;
	if (c->agent_count < c->agent_capacity)
		return true;
	if ((p = realloc(c->by_number, capacity * sizeof *p)) == NULL)
		return false;
	c->by_number = p;
	if ((p = realloc(c->by_node, capacity * sizeof *p)) == NULL)
		return false;
	c->by_node = p;
	c->agent_capacity = capacity;
	return true;
}

struct agent *
agent_new(struct cluster *c, const char *name, const char *id)
{
	struct agent *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	list_init(&a->attempts);
	list_init(&a->doomed);
	list_init(&a->in_admitting);
	list_init(&a->in_holding);
	list_init(&a->reservations);
	list_init(&a->in_reserving);
	a->node = PLACE_NONE;
	if (!str_copy(a->name, sizeof a->name, name) || !str_copy(a->id, sizeof a->id, id) ||
	    !grow_tables(c) || !hmap_insert(&c->agents, &a->by_name, cluster_hash_text(c, name))) {
		free(a);
		return NULL;
	}
	a->number = c->agent_count;
	c->by_number[c->agent_count++] = a;
	return a;
}

static void
report_free(Corral__Register *report)
{
	if (report != NULL)
		corral__register__free_unpacked(report, NULL);
}

void
agent_free(struct agent *a)
{
	report_free(a->report);
	free(a);
}

void
registry_dirty(struct cluster *c, const struct agent *a)
{
	c->registry[a->number / REGISTRY_PIECE] |= PIECE_DIRTY;
	c->registry_dirty = true;
}

void
agent_enter(struct cluster *c, struct agent *a, enum agent_state state)
{
	if (a->state == state)
		return;
	a->state = state;
	if (a->node != PLACE_NONE)
		place_node_open(
		    &c->books.place, a->node, agent_takes_tasks(a) && a->held_for == NULL);
	if (state == AGENT_READY)
		c->unplaced = true;
	cluster_emit(c, OUT_NODE, a, NULL);
}

/* Indexes of unknown state wait for this agent no longer. */
static void
agent_accounted(struct cluster *c, uint64_t now_ms, struct agent *a)
{
	if (!a->awaited && !a->unheard)
		return;
	c->awaited -= a->awaited;
	c->unheard -= a->unheard;
	a->awaited = a->unheard = false;
	if (c->awaited == 0)
		jobs_recovered(c, now_ms);
}

static void
refuse(Corral__Register *report, char *error, size_t size, const char *why)
{
	report_free(report);
	snprintf(error, size, "%s", why);
}

static bool
term_is_newer(const Corral__Term *t, struct term than)
{
	return t != NULL && (t->era > than.era || (t->era == than.era && t->czxid > than.czxid));
}

/* Of a term that the agent has seen. */
static const char *
term_fault(const struct cluster *c, const Corral__Term *seen, char *text, size_t size)
{
	if (!term_is_newer(seen, c->term))
		return NULL;
	MARK("register: a later term was seen");
	snprintf(text, size,
	    "term (%" PRIu64 ", 0x%" PRIx64 ") is older than (%" PRIu64 ", 0x%" PRIx64
	    "), which the agent has seen: was the ensemble restored? see "
	    "corral-recovery(7)",
	    c->term.era, (uint64_t)c->term.czxid, seen->era, (uint64_t)seen->czxid);
	return text;
}

/* An attempt of a later leader has been seen, too, if a damaged checkpoint has its term no more. */
static const char *
task_fault(const struct cluster *c, const Corral__TaskReport *t, char *text, size_t size)
{
	if ((unsigned)t->state >= 8 || strlen(t->key->job) > CLUSTER_NAME_MAX)
		return "the report names a task that cannot be";
	if (t->key->attempt == 0 || t->key->attempt > CLUSTER_ATTEMPTS_MAX) {
		snprintf(text, size,
		    "the report names attempt %" PRIu32 " at task %" PRIu32
		    " of job %s, a number that no master gives",
		    t->key->attempt, t->key->index, t->key->job);
		return text;
	}
	return term_fault(c, t->key->term, text, size);
}

/* What is wrong with a registration by itself; NULL: nothing. */
static const char *
report_fault(const struct cluster *c, const Corral__Register *r, char *text, size_t size)
{
	const char *why = term_fault(c, r->highest_term, text, size);

	if (why != NULL)
		return why;
	if (r->capacity->cpu_milli == 0 || r->capacity->memory_bytes == 0)
		return "the node offers no cpu or no memory: see [agent] cpus= and memory= in "
		       "corral.conf(5)";
	if (r->capacity->cpu_milli > UINT64_C(1) << 40 ||
	    r->capacity->memory_bytes > UINT64_C(1) << 56 ||
	    r->capacity->disk_bytes > UINT64_C(1) << 60)
		return "the node offers more than any machine has: see [agent] in corral.conf(5)";
	if (r->n_tasks > REPORT_TASKS_MAX)
		return "the report names too many tasks";
	for (size_t i = 0; i < r->n_tasks && why == NULL; i++)
		why = task_fault(c, r->tasks[i], text, size);
	return why;
}

static bool
id_taken(const struct cluster *c, const char *id)
{
	for (uint32_t i = 0; i < c->agent_count; i++)
		if (strcmp(c->by_number[i]->id, id) == 0)
			return true;
	return false;
}

/* Words of the registry's lines, which the next leader has to read. */
static bool
is_plain(const char *word)
{
	for (const char *at = word; *at != '\0'; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	return word[0] != '\0';
}

static uint32_t
agents_max(const struct cluster *c)
{
	return c->settings.agents_max != 0 ? c->settings.agents_max : CLUSTER_AGENTS_MAX;
}

/* The registry's entry for a name, made if there is none; NULL with the reason. */
static struct agent *
entry_for(struct cluster *c, const char *name, const Corral__Register *r, const char **why)
{
	const char *id = r->agent_id == NULL ? "" : r->agent_id;
	char made[CLUSTER_ID_MAX + 1];
	struct agent *a = cluster_agent(c, name);

	if (a != NULL && !a->gone && id[0] != '\0' && strcmp(id, a->id) != 0) {
		MARK("register: another id");
		*why = "the registry has another agent id for this name: two machines with one "
		       "certificate, or a"
		       " state directory of another cluster; empty the agent's state directory if "
		       "its tasks are over";
		return NULL;
	}
	if (a != NULL && (!a->gone || strcmp(id, a->id) == 0)) {
		return a->gone && !agent_revive(c, a, id) ? NULL : a;
	}
	if (!is_plain(name) || (id[0] != '\0' && (!is_plain(id) || strlen(id) > CLUSTER_ID_MAX))) {
		*why = "its name or its agent id is not what a master gives or signs";
		return NULL;
	}
	if (id[0] != '\0' && id_taken(c, id)) {
		MARK("register: the id of another");
		*why = "another agent has this agent id: the state directory was copied; empty it "
		       "on this machine";
		return NULL;
	}
	if (id[0] == '\0') {
		snprintf(made, sizeof made, "%" PRIx64 "-%" PRIx64 "-%" PRIu64, c->term.era,
		    (uint64_t)c->term.czxid, c->registrations);
		id = made;
	}
	if (a != NULL) /* forgotten, and its state directory is another one */
		return agent_revive(c, a, id) ? a : NULL;
	if (c->agent_count >= agents_max(c)) {
		*why =
		    "the cluster has as many nodes as [master] agents_max allows, those that were "
		    "forgotten included";
		return NULL;
	}
	a = agent_new(c, name, id);
	if (a == NULL)
		*why = "the master has no memory or place for another agent";
	else
		registry_dirty(c, a);
	return a;
}

/* An agent that has seen a later term than ours obeys us only when the era is raised above it. */
static void
note_term(struct cluster *c, const Corral__Term *t)
{
	if (term_is_newer(t, c->term) && term_is_newer(t, c->seen))
		c->seen = (struct term){t->era, t->czxid};
}

struct agent *
cluster_register(struct cluster *c, uint64_t now_ms, const char *name, Corral__Register *report,
    void *link, char *error, size_t error_size)
{
	const Corral__Resources *r = report->capacity;
	struct resources capacity = {r->cpu_milli, r->memory_bytes, r->disk_bytes};
	char text[256];
	const char *why = report_fault(c, report, text, sizeof text);
	struct agent *a;

	note_term(c, report->highest_term);
	for (size_t i = 0; i < report->n_tasks; i++)
		note_term(c, report->tasks[i]->key->term);
	if (why == NULL && !attempts_report_fits(c, report, &capacity))
		why = "the node offers less than its running tasks were promised: raise [agent] "
		      "cpus= and memory="
		      " to what they were, or stop the tasks first";
	a = why == NULL ? entry_for(c, name, report, &why) : NULL;
	if (why != NULL) {
		refuse(report, error, error_size, why);
		return NULL;
	}
	report_free(a->report);
	a->report = report;
	a->registration = ++c->registrations;
	a->connected = true;
	a->heard_ms = now_ms;
	a->link = link;
	a->powered_off = false;
	if (a->marked) {
		a->marked = a->away = false;
		a->marking = MARKING_NOT;
		registry_dirty(c, a);
	}
	if (a->stored && !singles_hold(a, false)) {
		agent_admitted(c, now_ms, a);
		return a;
	}
	agent_enter(c, a, AGENT_ADMITTING);
	doom_admitting(c, a);
	if (list_empty(&a->in_admitting))
		list_append(
		    a->stored && !singles_hold(a, true) ? &c->admitting_in_batch : &c->admitting,
		    &a->in_admitting);
	return a;
}

static void
forget_reported_tasks(Corral__Register *r)
{
	for (size_t i = 0; i < r->n_tasks; i++)
		corral__task_report__free_unpacked(r->tasks[i], NULL);
	free(r->tasks);
	r->tasks = NULL;
	r->n_tasks = 0;
}

void
agent_admitted(struct cluster *c, uint64_t now_ms, struct agent *a)
{
	const Corral__Resources *r = a->report->capacity;
	struct resources capacity = {r->cpu_milli, r->memory_bytes, r->disk_bytes};

	if (!a->connected) {
		MARK("register: gone before it was stored");
		agent_enter(c, a, AGENT_SILENT);
		return;
	}
	if (a->node == PLACE_NONE) {
		a->node = books_node_add(&c->books, &capacity);
		if (a->node == PLACE_NONE) {
			c->failed = true;
			return;
		}
		c->by_node[a->node] = a;
	}
	cluster_emit(c, OUT_WELCOME, a, NULL);
	attempts_settle_report(c, now_ms, a);
	forget_reported_tasks(a->report);
	agent_accounted(c, now_ms, a);
	agent_enter(c, a, AGENT_READY);
	c->unplaced = true; /* it may offer more, or have other attributes */
	drain_scan(c, now_ms, a);
}

void
cluster_agent_down(struct cluster *c, uint64_t now_ms, struct agent *a, uint64_t registration)
{
	(void)now_ms;
	if (a->registration != registration || !a->connected)
		return;
	a->connected = false;
	a->link = NULL;
	if (a->state == AGENT_READY)
		agent_enter(c, a, AGENT_SILENT);
}

void
cluster_heartbeat(
    struct cluster *c, uint64_t now_ms, struct agent *a, const Corral__NodeUsage *usage)
{
	a->heard_ms = now_ms;
	if (usage != NULL) {
		a->used = (struct resources){
		    usage->cpu_used_milli, usage->memory_used_bytes, usage->disk_free_bytes};
		a->load_milli = usage->load_1m_milli;
	}
	if (a->state == AGENT_SILENT && a->connected && !a->marked)
		agent_enter(c, a, AGENT_READY);
}

static bool
is_silent(const struct agent *a)
{
	return !a->marked && (a->state == AGENT_SILENT || a->state == AGENT_AWAITED);
}

static void
mark(struct cluster *c, struct agent *a)
{
	a->marked = true;
	a->away = agent_is_waited_for(c, a);
	a->stored = false;
	a->marking = MARKING_WANTED;
	c->marking = true;
	registry_dirty(c, a);
}

bool
cluster_mark_unreachable(struct cluster *c, struct agent *a)
{
	if (a->connected)
		return false;
	if (!a->marked)
		mark(c, a);
	return true;
}

/* Those marked in the last minute: one that slides, at whose end as many more would be too many. */
static uint32_t
marked_of_late(struct cluster *c, uint64_t now_ms)
{
	uint64_t slot = now_ms / MARK_SLOT_MS;
	uint32_t sum = 0;

	if (slot - c->mark_slot >= CLUSTER_MARK_SLOTS)
		memset(c->marks, 0, sizeof c->marks);
	else
		while (c->mark_slot < slot)
			c->marks[++c->mark_slot % CLUSTER_MARK_SLOTS] = 0;
	c->mark_slot = slot;
	for (unsigned i = 0; i < CLUSTER_MARK_SLOTS; i++)
		sum += c->marks[i];
	return sum;
}

/*
 * At most a tenth of the agents a minute, and none while more than half of them are silent: then it
 * is rather the master that is cut off, and the operator decides.
 */
static bool
may_mark(struct cluster *c, uint64_t now_ms, uint32_t present, uint32_t silent)
{
	uint32_t most = present / 10 > 1 ? present / 10 : 1;

	c->alarm = present >= ALARM_AGENTS_MIN && silent > present / 2;
	if (c->alarm)
		MARK("silence: alarm");
	return !c->alarm && marked_of_late(c, now_ms) < most;
}

void
agents_scan(struct cluster *c, uint64_t now_ms)
{
	uint32_t present = 0, silent = 0;

	c->scan_ms = now_ms + SCAN_MS;
	singles_scan(c, now_ms);
	disconnect_scan(c, now_ms);
	for (uint32_t i = 0; i < c->agent_count; i++) {
		struct agent *a = c->by_number[i];

		if (a->state == AGENT_READY && now_ms - a->heard_ms > c->settings.lease_ms)
			agent_enter(c, a, AGENT_SILENT);
		drain_scan(c, now_ms, a);
		present += !a->marked;
		silent += is_silent(a);
	}
	for (uint32_t i = 0; i < c->agent_count && silent > 0; i++) {
		struct agent *a = c->by_number[i];

		if (!is_silent(a) || now_ms - a->heard_ms < c->settings.unreachable_after_ms)
			continue;
		if (!may_mark(c, now_ms, present, silent))
			return;
		c->marks[c->mark_slot % CLUSTER_MARK_SLOTS]++;
		mark(c, a);
	}
	if (silent == 0)
		c->alarm = false;
}

/* Is an attempt over with its agent's mark? A singleton waits out its lease, whatever the mark. */
static bool
ends_with_mark(const struct agent *a, const struct attempt *t, uint64_t now_ms)
{
	if (task_state_terminal(t->state))
		return false;
	if (t->job->singles != NULL)
		return t->unsent || a->powered_off || ZAB_PLANTED(PLANT_MARK_ENDS_SINGLES);
	return !attempt_is_kept(t, now_ms);
}

void
agent_end_tasks(struct cluster *c, uint64_t now_ms, struct agent *a)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->attempts) {
		struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);

		if (ends_with_mark(a, t, now_ms))
			attempt_over(c, now_ms, t, CORRAL__TASK_STATE__LOST,
			    CORRAL__TASK_REASON__REASON_AGENT_LOST, 0, NULL);
		else if (!task_state_terminal(t->state) && t->job->singles == NULL)
			attempt_recovering(c, now_ms, t);
	}
}

void
agent_given_up(struct cluster *c, uint64_t now_ms, struct agent *a)
{
	static const struct resources none;

	a->marking = MARKING_NOT;
	doomed_release_all(c, a);
	if (a->state != AGENT_UNREACHABLE)
		a->marked_ms = now_ms;
	agent_end_tasks(c, now_ms, a);
	agent_enter(c, a, AGENT_UNREACHABLE);
	if ((a->awaited || a->unheard) && a->away && !a->gone && !a->powered_off)
		agent_unheard(c, now_ms, a);
	else
		agent_accounted(c, now_ms, a);
	if (a->gone && a->node != PLACE_NONE)
		(void)books_node_resize(&c->books, a->node, &none); /* what it had, nobody has */
}
