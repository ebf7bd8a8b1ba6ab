/* SPDX-License-Identifier: Apache-2.0 */
/* What the API shows of the core's state. Messages borrow from the core, for the length of an
 * answer. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "master/master.h"

#define SET(v, field, value) ((v)->has_##field = 1, (v)->field = (value))

enum { TASKS_SHOWN = 10000, TASKS_SHOWN_MAX = 200000 };

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

const char *
view_node_state(const struct agent *a)
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
	n->v.state = (char *)view_node_state(a);
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
	LIST_EACH(it, nx, (struct list *)&c->live) {
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
	HMAP_EACH(it, nx, &m->cluster.jobs) {
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
