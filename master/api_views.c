/* SPDX-License-Identifier: Apache-2.0 */
/* What the API shows of the core's state. Messages borrow from the core, for the length of an
 * answer. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/amount.h"
#include "libcommon/base/str.h"
#include "master/master.h"
#include "master/why_reasons.h"

#define SET(v, field, value) ((v)->has_##field = 1, (v)->field = (value))

enum { TASKS_SHOWN = 10000, TASKS_SHOWN_MAX = 200000, WHY_NODES_MAX = 200 };

static const char *
reason_name(unsigned reason)
{
	static const char *const names[] = {"", "exit", "signal", "out of memory", "time limit",
	    "stopped", "cannot execute", "refused by the agent", "executor lost", "node lost",
	    "reboot", "old term", "disk limit", "lease ended"};

	return reason < sizeof names / sizeof *names ? names[reason] : "unknown";
}

static int64_t
wall_of(uint64_t boot_ms)
{
	return clock_wall_ms() - (int64_t)(clock_boot_ms() - boot_ms);
}

static void
set_resources(Corral__Resources *to, const struct resources *r)
{
	corral__resources__init(to);
	SET(to, cpu_milli, r->cpu_milli);
	SET(to, memory_bytes, r->memory_bytes);
	SET(to, disk_bytes, r->disk_bytes);
}

void
view_job(const struct master *m, const struct job *j, Corral__Api__Job *v)
{
	(void)m;
	corral__api__job__init(v);
	v->name = (char *)j->name;
	v->type = (char *)(j->policy.service ? "service" : "batch");
	v->state = (char *)job_state_name(j->state == JOB_CREATING ? JOB_RUNNING : j->state);
	SET(v, count, j->count);
	SET(v, waiting,
	    j->in_state[CELL_PENDING] + j->in_state[CELL_DELAYED] + j->in_state[CELL_UNKNOWN]);
	SET(v, running, j->in_state[CELL_LIVE]);
	SET(v, finished, j->in_state[CELL_FINISHED]);
	SET(v, failed, j->in_state[CELL_FAILED]);
	SET(v, stopped, j->in_state[CELL_STOPPED]);
	SET(v, lost, j->lost);
	SET(v, retries, j->retries);
	SET(v, submitted_wall_ms, j->submitted_wall_ms);
	v->submitted_by = (char *)j->by;
	v->role = j->role->name;
	SET(v, priority, j->policy.priority);
}

static const char *
cell_state_name(const struct cell *cell)
{
	static const char *const names[CELL_STATES] = {
	    "recovering", "waiting", "waiting", "running", "finished", "failed", "killed"};

	return names[cell->state];
}

static void
set_code(Corral__Api__Task *v, unsigned reason, uint8_t code)
{
	if (reason == CORRAL__TASK_REASON__REASON_NONE)
		return;
	v->reason = (char *)reason_name(reason);
	if (reason == CORRAL__TASK_REASON__REASON_SIGNAL)
		SET(v, signal, code);
	else if (reason == CORRAL__TASK_REASON__REASON_EXIT ||
		 reason == CORRAL__TASK_REASON__REASON_CANNOT_EXECUTE)
		SET(v, exit_code, code);
}

void
view_task(const struct master *m, const struct job *j, uint32_t index, Corral__Api__Task *v,
    Corral__Resources *resources)
{
	const struct cell *cell = &j->cells[index];
	const struct attempt *t =
	    cell->state == CELL_LIVE ? cluster_live_attempt(&m->cluster, j, index) : NULL;

	corral__api__task__init(v);
	set_resources(resources, &j->policy.need);
	v->job = (char *)j->name;
	v->index = index;
	v->resources = resources;
	v->state = (char *)(t != NULL ? task_state_name(t->state) : cell_state_name(cell));
	if (cell->attempts > 0) {
		SET(v, attempt, cell->attempts);
		SET(v, retries, cell->attempts - 1);
	}
	if (cell->agent < m->cluster.agent_count && cell->state != CELL_PENDING)
		v->node = m->cluster.by_number[cell->agent]->name;
	if (t != NULL)
		SET(v, since_wall_ms, wall_of(t->since_ms));
	else
		SET(v, since_wall_ms, wall_of(j->since_ms));
	if (cell->state == CELL_UNKNOWN)
		v->message = (char *)"may run on a node that has not come back since the election";
	else if (t == NULL)
		set_code(v, cell->reason, cell->code);
}

void
view_out_task(const struct master *m, const struct out *o, Corral__Api__Task *v)
{
	(void)m;
	corral__api__task__init(v);
	v->job = (char *)o->key.job;
	v->index = o->key.index;
	SET(v, attempt, o->key.attempt);
	SET(v, retries, o->key.attempt - 1);
	v->state = (char *)task_state_name(o->state);
	v->node = o->agent == NULL ? NULL : o->agent->name;
	SET(v, since_wall_ms, clock_wall_ms());
	if (o->message[0] != '\0')
		v->message = (char *)o->message;
	if (task_state_terminal(o->state))
		set_code(v, o->reason, o->code);
}

/* What people want to know first. */
static const char *
node_state(const struct agent *a)
{
	enum drain_phase phase = cluster_drain_phase(a);

	if (a->gone)
		return "gone";
	if (a->state == AGENT_READY && a->stuck_count > 0)
		return "stuck";
	if (a->state == AGENT_READY && phase >= DRAIN_GOING_ON)
		return phase == DRAIN_DONE ? "drained" : "draining";
	return agent_state_name(a->state);
}

static void
set_drain(const struct master *m, Corral__Api__Node *v, const struct drain *d)
{
	int64_t offset = m->cluster.settings.wall_offset_ms;

	if (!d->wanted)
		return;
	SET(v, drain_from_wall_ms, (int64_t)d->from_ms + offset);
	if (d->stop_ms != UINT64_MAX)
		SET(v, drain_stop_wall_ms, (int64_t)d->stop_ms + offset);
	if (d->until_ms != UINT64_MAX)
		SET(v, drain_until_wall_ms, (int64_t)d->until_ms + offset);
}

void
view_node(const struct master *m, const struct agent *a, struct node_view *n)
{
	static const struct resources none;
	const struct account *account =
	    a->node == PLACE_NONE ? NULL : &m->cluster.books.accounts[a->node];

	memset(n, 0, sizeof *n);
	corral__api__node__init(&n->v);
	set_resources(&n->capacity, account == NULL ? &none : &account->total);
	set_resources(&n->used, account == NULL ? &none : &account->leased);
	corral__node_usage__init(&n->usage);
	SET(&n->usage, cpu_used_milli, a->used.cpu_milli);
	SET(&n->usage, memory_used_bytes, a->used.memory_bytes);
	SET(&n->usage, disk_free_bytes, a->used.disk_bytes);
	SET(&n->usage, load_1m_milli, a->load_milli);
	n->v.name = (char *)a->name;
	n->v.id = (char *)a->id;
	n->v.state = (char *)node_state(a);
	set_drain(m, &n->v, &a->drain);
	n->v.capacity = &n->capacity;
	n->v.used = &n->used;
	n->v.usage = &n->usage;
	SET(&n->v, tasks, account == NULL ? 0 : account->leases);
	SET(&n->v, seen_ms_ago, (int64_t)(clock_boot_ms() - a->heard_ms));
	if (a->report == NULL)
		return;
	n->v.address = a->report->api_address;
	n->v.version = a->report->version;
	n->v.n_missing_isolation = a->report->n_missing_isolation;
	n->v.missing_isolation = a->report->missing_isolation;
	n->v.n_attributes = a->report->n_attributes;
	n->v.attributes = a->report->attributes;
}

/* Ourselves first, then the others in the order in which they would succeed. */
struct masters_view {
	Corral__Api__Master items[MASTERS_MAX + 1], *pointers[MASTERS_MAX + 1];
	size_t count;
};

static void
add_master(struct masters_view *v, const struct master_info *info, const char *state)
{
	Corral__Api__Master *item = &v->items[v->count];

	corral__api__master__init(item);
	item->name = (char *)info->name;
	item->state = (char *)state;
	item->address = (char *)info->api_address;
	item->version = (char *)info->version;
	v->pointers[v->count++] = item;
}

static void
view_masters(const struct master *m, struct masters_view *v)
{
	v->count = 0;
	add_master(v, &m->info, "leading");
	for (size_t i = 0; i < m->masters.count; i++) {
		const struct candidate *c = &m->masters.items[i];

		if (c->known && strcmp(c->node, m->elect.own) != 0)
			add_master(v, &c->info, "standby");
	}
}

void
view_status(struct master *m, struct http_request *r)
{
	Corral__Api__ClusterStatus v = CORRAL__API__CLUSTER_STATUS__INIT;
	Corral__Term term = CORRAL__TERM__INIT;
	Corral__Resources capacity, used;
	const struct cluster *c = &m->cluster;
	struct masters_view masters;
	uint32_t ready = 0, total = 0, waiting = 0;
	struct list *it, *nx;

	for (uint32_t i = 0; i < c->agent_count; i++) {
		ready += c->by_number[i]->state == AGENT_READY;
		total += !c->by_number[i]->gone;
	}
	LIST_EACH(it, nx, (struct list *)&c->live)
	{
		const struct job *j = CONTAINER_OF(it, struct job, in_order);

		waiting += j->in_state[CELL_PENDING] + j->in_state[CELL_DELAYED] +
			   j->in_state[CELL_UNKNOWN];
	}
	set_resources(&capacity, &c->books.total);
	set_resources(&used, &c->books.leased);
	term.era = c->term.era;
	term.czxid = c->term.czxid;
	v.cluster = m->conf.cluster.name;
	v.version = m->info.version;
	v.leader = m->info.api_address;
	v.term = &term;
	view_masters(m, &masters);
	v.masters = masters.pointers;
	v.n_masters = masters.count;
	v.ensemble = m->zk == NULL ? NULL : (char *)zk_server(m->zk);
	SET(&v, nodes_ready, ready);
	SET(&v, nodes_total, total);
	v.capacity = &capacity;
	v.used = &used;
	SET(&v, jobs, c->in_job_state[JOB_RUNNING] + c->in_job_state[JOB_STOPPING]);
	SET(&v, tasks_running, c->in_task_state[CORRAL__TASK_STATE__RUNNING]);
	SET(&v, tasks_waiting, waiting);
	SET(&v, leading_ms, (int64_t)(clock_boot_ms() - m->leading_since_ms));
	api_reply(m, r, 200, &v.base);
}

void
view_jobs(struct master *m, struct http_request *r)
{
	Corral__Api__JobList list = CORRAL__API__JOB_LIST__INIT;
	size_t count = m->cluster.jobs.count;
	Corral__Api__Job *jobs = calloc(count + 1, sizeof *jobs),
			 **pointers = calloc(count + 1, sizeof *pointers);
	struct list *it, *nx;

	if (jobs == NULL || pointers == NULL) {
		api_error(m, r, 503, "out of memory");
		goto done;
	}
	HMAP_EACH(it, nx, &m->cluster.jobs)
	{
		pointers[list.n_jobs] = &jobs[list.n_jobs];
		view_job(m, HMAP_ENTRY(it, struct job, by_name), &jobs[list.n_jobs++]);
	}
	list.jobs = pointers;
	api_reply(m, r, 200, &list.base);
done:
	free(jobs);
	free(pointers);
}

/* The tasks of one job, or of all, from an index on; as many as asked for. */
struct task_page {
	Corral__Api__Task *tasks, **pointers;
	Corral__Resources *resources;
	size_t count, limit;
};

static void
add_tasks(const struct master *m, const struct job *j, uint32_t from, struct task_page *page)
{
	for (uint32_t i = from; i < j->count && page->count < page->limit; i++) {
		page->pointers[page->count] = &page->tasks[page->count];
		view_task(m, j, i, &page->tasks[page->count], &page->resources[page->count]);
		page->count++;
	}
}

/* In a list of everything, runs that are over would hide the rest. */
static void
add_listed(const struct master *m, const struct job *j, struct task_page *page)
{
	bool over = j->state == JOB_STOPPED || j->state == JOB_FINISHED || j->state == JOB_FAILED;

	if (!over || !j->policy.once)
		add_tasks(m, j, 0, page);
}

static uint64_t
query_number(struct http_request *r, const char *name, uint64_t otherwise, uint64_t most)
{
	const char *text = http_request_query(r, name);
	uint64_t value = otherwise;

	if (text != NULL && !str_to_u64(text, 0, most, &value))
		value = otherwise;
	return value;
}

void
view_tasks(struct master *m, struct http_request *r)
{
	Corral__Api__TaskList list = CORRAL__API__TASK_LIST__INIT;
	const char *name = http_request_query(r, "job");
	uint32_t from = (uint32_t)query_number(r, "from", 0, UINT32_MAX);
	struct task_page page = {.limit = query_number(r, "limit", TASKS_SHOWN, TASKS_SHOWN_MAX)};
	struct job *j = name == NULL ? NULL : cluster_job(&m->cluster, name);
	struct list *it, *nx;

	if (name != NULL && j == NULL) {
		api_error(m, r, 404, "there is no job '%s'", name);
		return;
	}
	if (page.limit > m->cluster.index_count)
		page.limit = m->cluster.index_count;
	page.tasks = calloc(page.limit + 1, sizeof *page.tasks);
	page.pointers = calloc(page.limit + 1, sizeof *page.pointers);
	page.resources = calloc(page.limit + 1, sizeof *page.resources);
	if (page.tasks == NULL || page.pointers == NULL || page.resources == NULL) {
		api_error(m, r, 503, "out of memory");
	} else {
		if (j != NULL)
			add_tasks(m, j, from, &page);
		else
			HMAP_EACH(it, nx, &m->cluster.jobs)
		add_listed(m, HMAP_ENTRY(it, struct job, by_name), &page);
		list.tasks = page.pointers;
		list.n_tasks = page.count;
		api_reply(m, r, 200, &list.base);
	}
	free(page.tasks);
	free(page.pointers);
	free(page.resources);
}

void
view_nodes(struct master *m, struct http_request *r)
{
	Corral__Api__NodeList list = CORRAL__API__NODE_LIST__INIT;
	uint32_t count = m->cluster.agent_count;
	struct node_view *nodes = calloc(count + 1, sizeof *nodes);
	Corral__Api__Node **pointers = calloc(count + 1, sizeof *pointers);

	if (nodes == NULL || pointers == NULL) {
		api_error(m, r, 503, "out of memory");
	} else {
		list.nodes = pointers;
		for (uint32_t i = 0; i < count; i++) {
			if (m->cluster.by_number[i]->gone)
				continue;
			view_node(m, m->cluster.by_number[i], &nodes[i]);
			pointers[list.n_nodes++] = &nodes[i].v;
		}
		api_reply(m, r, 200, &list.base);
	}
	free(nodes);
	free(pointers);
}

/* --- why a task waits: for each node the first thing that it lacks --- */

struct why {
	Corral__Api__WhyNode nodes[WHY_NODES_MAX], *pointers[WHY_NODES_MAX];
	char texts[WHY_NODES_MAX][128];
	uint32_t shown;
	struct why_sum sum;
	struct why_reasons reasons;
	char held[160], next[200];
};

static void
print_lack(enum books_lack lack, const struct resources *need, const struct resources *free_now,
    const struct resources *total, char text[128])
{
	char a[AMOUNT_TEXT_MAX], b[AMOUNT_TEXT_MAX], d[AMOUNT_TEXT_MAX];

	if (lack == BOOKS_LACK_CPU)
		snprintf(text, 128, "needs %s, %s of %s free", amount_print_cpu(a, need->cpu_milli),
		    amount_print_cpu(b, free_now->cpu_milli),
		    amount_print_cpu(d, total->cpu_milli));
	else if (lack == BOOKS_LACK_MEMORY)
		snprintf(text, 128, "needs %s, %s of %s free",
		    amount_print_size(a, need->memory_bytes),
		    amount_print_size(b, free_now->memory_bytes),
		    amount_print_size(d, total->memory_bytes));
	else
		snprintf(text, 128, "needs %s, %s of %s free",
		    amount_print_size(a, need->disk_bytes),
		    amount_print_size(b, free_now->disk_bytes),
		    amount_print_size(d, total->disk_bytes));
}

static void
why_not(const struct master *m, const struct job *j, const struct agent *a, struct why *w)
{
	static const char *const names[WHY_KINDS] = {
	    "", "state", "state", "singleton", "constraint", "held", "cpu", "memory", "disk"};
	Corral__Api__WhyNode *n = &w->nodes[w->shown];
	enum why_kind kind = cluster_why_node(&m->cluster, j, a);
	struct resources free_now;
	char *text = w->texts[w->shown];

	if (a->gone || kind == WHY_FITS)
		return;
	corral__api__why_node__init(n);
	n->node = (char *)a->name;
	n->text = text;
	n->resource = (char *)names[kind];
	if (kind == WHY_STATE || kind == WHY_DRAINED) {
		snprintf(text, 128, "is %s%s", node_state(a),
		    a->closed ? ", and takes no tasks until it is undrained" : "");
	} else if (kind == WHY_SINGLETON) {
		snprintf(text, 128, "takes no singletons: %s", cluster_lacks_for_singletons(a));
	} else if (kind == WHY_CONSTRAINT) {
		snprintf(text, 128, "a Constraint= of the job does not allow it");
	} else if (kind == WHY_HELD) {
		snprintf(text, 128, "is held for job %s", a->held_for->name);
	} else {
		free_now = books_free(&m->cluster.books, a->node);
		print_lack((enum books_lack)(BOOKS_LACK_CPU + (kind - WHY_CPU)), &j->need,
		    &free_now, &m->cluster.books.accounts[a->node].total, text);
	}
	w->pointers[w->shown] = n;
	w->shown++;
}

/* The first of those that may run tasks which this leader has never heard of. */
static const char *
unheard_node(const struct cluster *c)
{
	for (uint32_t i = 0; i < c->agent_count; i++)
		if (c->by_number[i]->unheard)
			return c->by_number[i]->name;
	return "a node";
}

/* When OnDisconnect= lets the next attempt go. */
static void
print_replaced(struct why *w, const char *node, uint64_t at_ms, Corral__Api__Why *v)
{
	uint64_t now_ms = clock_boot_ms();

	if (at_ms == UINT64_MAX)
		snprintf(w->next, sizeof w->next,
		    "when %s is back, or was forgotten (OnDisconnect=wait): corral nodes --forget "
		    "%s",
		    node, node);
	else
		snprintf(w->next, sizeof w->next,
		    "when %s is back, or its time is over (OnDisconnect=replace): in %" PRIu64
		    " s.",
		    node, at_ms > now_ms ? (at_ms - now_ms + 999) / 1000 : 0);
	v->next = w->next;
}

static void
explain_unknown(struct master *m, const struct job *j, Corral__Api__Why *v, struct why *w)
{
	uint64_t until_ms = cluster_unheard_until_ms(&m->cluster, j);
	const char *node = unheard_node(&m->cluster);

	v->summary = (char *)"it may run on a node that has not come back since the election";
	v->next = (char *)"when all nodes of the registry are back or given up.";
	if (m->cluster.awaited > 0 || until_ms == 0)
		return;
	snprintf(w->held, sizeof w->held,
	    "it may run on %s, which was not heard since the election and is unreachable", node);
	v->summary = w->held;
	print_replaced(w, node, until_ms, v);
}

static void
explain_waiting(struct master *m, const struct job *j, const struct cell *cell, Corral__Api__Why *v,
    struct why *w)
{
	if (cell->state == CELL_UNKNOWN) {
		explain_unknown(m, j, v, w);
		return;
	}
	if (cell->state == CELL_DELAYED) {
		v->summary = (char *)"its last attempt failed, and it pauses before the next";
		v->next = (char *)"when RestartSec= is over.";
		return;
	}
	for (uint32_t i = 0; i < m->cluster.agent_count && w->shown < WHY_NODES_MAX; i++)
		why_not(m, j, m->cluster.by_number[i], w);
	cluster_why(&m->cluster, j, &w->sum);
	why_reasons(&w->sum, j, &w->reasons);
	v->nodes = w->pointers;
	v->n_nodes = w->shown;
	v->reasons = w->reasons.pointers;
	v->n_reasons = w->reasons.count;
	SET(v, nodes_total, w->sum.looked_at);
	SET(v, nodes_fit, w->sum.nodes[WHY_FITS]);
	v->summary = (char *)(w->sum.barred.bar == SHARE_BAR_LIMIT ? "its role is at its limit"
			      : w->sum.barred.bar == SHARE_BAR_GUARANTEE
				  ? "what is free is kept for guarantees"
			      : w->sum.nodes[WHY_FITS] > 0 ? "it is about to be placed"
							   : "no node fits");
	v->next = (char *)(w->sum.barred.bar == SHARE_BAR_LIMIT
			       ? "when a task of its role ends, or the limit is raised."
			       : "when a task ends or a node joins.");
}

/*
 * A singleton whose node is not heard: the next attempt waits for the end of this one. True: it is
 * one, and that was said.
 */
static bool
explain_lease(
    const struct master *m, const struct job *j, uint32_t index, Corral__Api__Why *v, struct why *w)
{
	const struct attempt *t =
	    j->policy.singleton ? cluster_live_attempt(&m->cluster, j, index) : NULL;
	uint64_t now_ms = clock_boot_ms(), at_ms;

	if (t == NULL || (t->agent->state == AGENT_READY && !t->stuck && !t->orphan))
		return false;
	at_ms = cluster_give_up_at_ms(&m->cluster, t);
	snprintf(w->held, sizeof w->held, "its attempt %" PRIu32 " may still run on %s, which %s",
	    t->attempt, t->agent->name,
	    t->stuck	? "cannot end it"
	    : t->orphan ? "has lost its records"
			: "is not heard");
	v->summary = w->held;
	if (at_ms == UINT64_MAX)
		snprintf(w->next, sizeof w->next,
		    "when %s has ended it, was started anew, or was powered off and forgotten: "
		    "corral-recovery(7).",
		    t->agent->name);
	else
		snprintf(w->next, sizeof w->next,
		    "when %s is heard, or its lease is over for sure: in %" PRIu64 " s.",
		    t->agent->name, at_ms > now_ms ? (at_ms - now_ms + 999) / 1000 : 0);
	v->next = w->next;
	return true;
}

/* Likewise one whose node is unreachable, which its job waits for. */
static bool
explain_kept(
    const struct master *m, const struct job *j, uint32_t index, Corral__Api__Why *v, struct why *w)
{
	const struct attempt *t = cluster_live_attempt(&m->cluster, j, index);
	uint64_t at_ms = t == NULL ? 0 : cluster_replaced_at_ms(t);

	if (at_ms == 0)
		return false;
	snprintf(w->held, sizeof w->held,
	    "its attempt %" PRIu32 " may still run on %s, which is unreachable", t->attempt,
	    t->agent->name);
	v->summary = w->held;
	print_replaced(w, t->agent->name, at_ms, v);
	return true;
}

/* How an ended task ended, and where: "exit status 5 on n1". */
static void
explain_end(const Corral__Api__Task *t, char *text, size_t size)
{
	const char *on = t->node != NULL ? " on " : "", *node = t->node != NULL ? t->node : "";

	if (t->has_exit_code && strcmp(t->reason, "exit") == 0)
		snprintf(text, size, "exit status %d%s%s", (int)t->exit_code, on, node);
	else if (t->has_signal)
		snprintf(text, size, "killed by signal %d (%s)%s%s", (int)t->signal,
		    strsignal((int)t->signal), on, node);
	else
		snprintf(text, size, "%s%s%s", t->reason != NULL ? t->reason : "ended", on, node);
}

void
view_why(struct master *m, struct http_request *r, const char *task)
{
	Corral__Api__Why v = CORRAL__API__WHY__INIT;
	Corral__Api__Task shown;
	Corral__Resources resources;
	char name[CLUSTER_NAME_MAX + 1] = "", ended[CLUSTER_NAME_MAX + 128];
	size_t size = strcspn(task, ".");
	uint64_t index = 0;
	struct job *j;
	struct why *w;

	if (size <= CLUSTER_NAME_MAX)
		memcpy(name, task, size);
	j = cluster_job(&m->cluster, name);
	if (j == NULL ||
	    (task[size] == '.' && !str_to_u64(task + size + 1, 0, j->count - 1, &index))) {
		api_error(m, r, 404, "there is no task '%s'", task);
		return;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		api_error(m, r, 503, "out of memory");
		return;
	}
	view_task(m, j, (uint32_t)index, &shown, &resources);
	v.task = (char *)task;
	v.state = shown.state;
	if (explain_lease(m, j, (uint32_t)index, &v, w) ||
	    explain_kept(m, j, (uint32_t)index, &v, w)) {
		SET(&v, waiting_ms, (int64_t)(clock_boot_ms() - j->since_ms));
	} else if (strcmp(shown.state, "waiting") == 0 || strcmp(shown.state, "recovering") == 0) {
		SET(&v, waiting_ms, (int64_t)(clock_boot_ms() - j->since_ms));
		explain_waiting(m, j, &j->cells[index], &v, w);
	} else if (shown.reason != NULL) {
		explain_end(&shown, ended, sizeof ended);
		v.summary = ended;
	} else {
		v.summary = shown.node;
	}
	api_reply(m, r, 200, &v.base);
	free(w);
}
