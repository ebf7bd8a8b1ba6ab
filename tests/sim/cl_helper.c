/* SPDX-License-Identifier: Apache-2.0 */
/* A node's helper, and the groups and processes that its kernel has. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cl_check.h"
#include "tests/sim/cl_host.h"

#define PIDS 40 /* so few that they come again */
#define PID_FIRST 300
#define LEASE_MARGIN_MS 1000
#define SLEEP_MS_MAX 120000

struct item {
	struct list link;
	uint8_t *bytes;
	size_t size;
};

static void
item_add(struct list *list, const void *bytes, size_t size)
{
	struct item *i = cl_alloc(sizeof *i);

	i->bytes = cl_alloc(size + 1);
	i->size = size;
	memcpy(i->bytes, bytes, size);
	list_append(list, &i->link);
}

static void
item_free(struct item *i)
{
	list_remove(&i->link);
	free(i->bytes);
	free(i);
}

static void
items_free(struct list *list)
{
	struct list *first;

	while ((first = list_first(list)) != NULL)
		item_free(CONTAINER_OF(first, struct item, link));
}

/* ---- Groups. ---- */

struct cl_group *
cl_group_find(struct cl_host *h, const struct taskkey *key)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &h->groups) {
		struct cl_group *g = CONTAINER_OF(it, struct cl_group, link);

		if (!g->forgotten && taskkey_equal(&g->key, key))
			return g;
	}
	return NULL;
}

bool
cl_group_empty(const struct cl_group *g)
{
	return !g->task.main_runs && g->task.strays == 0;
}

void
cl_group_free(struct cl_group *g)
{
	list_remove(&g->link);
	if (g->proc.up)
		cl_proc_end(&g->proc);
	cl_proc_fini(&g->proc);
	corral__task_key__free_unpacked(g->key_message, NULL);
	corral__task_spec__free_unpacked(g->spec, NULL);
	free(g->status);
	free(g);
}

/* ---- The task's processes. ---- */

static void on_end(void *arg, uint64_t token);
static void on_dead(void *arg, uint64_t token);

static bool
later_if_asleep(struct cl_group *g, world_fn *fn, uint64_t token)
{
	uint64_t now = g->host->c->world.now_ms, until = g->host->machine->asleep_until_ms;

	if (now >= until)
		return false;
	world_at(
	    &g->host->c->world, until - now + rng_below(&g->host->c->rng_host, 20), fn, g, token);
	return true;
}

static void
main_ends(struct cl_group *g, int status)
{
	struct cl_task *t = &g->task;

	t->main_runs = false;
	t->ended = true;
	t->end_status = status;
	cl_check_task_ended(g);
	/* The first process of a PID namespace takes the others with it. */
	if (t->strays > 0 && g->host->c->conf.isolates)
		cl_task_kill(g);
}

static void
on_end(void *arg, uint64_t token)
{
	struct cl_group *g = arg;

	if (g->task.number != token >> 8 || !g->task.main_runs || later_if_asleep(g, on_end, token))
		return;
	main_ends(g, (token & 0xff) != 0 ? (int)(token & 0xff) : g->task.status);
	cl_exec_child(g);
}

static void
on_dead(void *arg, uint64_t token)
{
	struct cl_group *g = arg;
	struct cl_task *t = &g->task;

	if (t->number != token || cl_group_empty(g) || later_if_asleep(g, on_dead, token))
		return;
	t->strays = 0;
	t->dying = false;
	if (t->main_runs)
		main_ends(g, SIGKILL);
	cl_exec_child(g);
}

void
cl_task_start(struct cl_group *g)
{
	struct cl_host *h = g->host;
	struct rng *r = &h->c->rng_host;
	unsigned long long min = 0, max = 0;
	unsigned fail = 0, stubborn = 0, stray = 0;
	struct cl_task *t = &g->task;

	sscanf(g->spec->argv[0], "%llu %llu %u %u %u", &min, &max, &fail, &stubborn, &stray);
	*t = (struct cl_task){
	    .main_runs = true, .number = ++h->next_run, .started_ms = h->c->world.now_ms};
	t->status = rng_below(r, 100) < fail ? (int)(1 + rng_below(r, 3)) << 8 : 0;
	t->stubborn = rng_below(r, 100) < stubborn;
	t->strays = rng_below(r, 100) < stray ? 1 + (unsigned)rng_below(r, 3) : 0;
	g->starts++;
	if (max > 0)
		world_at(
		    &h->c->world, min + rng_below(r, max - min + 1), on_end, g, t->number << 8);
}

void
cl_task_signal(struct cl_group *g, int signo)
{
	struct cl_task *t = &g->task;

	if (signo == SIGKILL) {
		cl_task_kill(g);
		return;
	}
	if (t->main_runs && !t->stubborn)
		world_at(&g->host->c->world, 1 + rng_below(&g->host->c->rng_host, 400), on_end, g,
		    t->number << 8 | (uint64_t)signo);
}

void
cl_task_kill(struct cl_group *g)
{
	struct cl *c = g->host->c;
	struct rng *r = &c->rng_host;

	if (g->task.dying || cl_group_empty(g))
		return;
	g->task.dying = true;
	g->task.sleeps = c->conf.sleepers && !c->calm && rng_below(r, 60) == 0;
	world_at(&c->world,
	    g->task.sleeps ? rng_below(r, SLEEP_MS_MAX)
			   : rng_below(r, rng_below(r, 20) == 0 ? CL_DEAD_MS_MAX : 6),
	    on_dead, g, g->task.number);
}

/* The kernel ends the first process, and in a PID namespace all of them. */
void
cl_task_orphan(struct cl_group *g)
{
	if (g->host->c->conf.isolates)
		cl_task_kill(g);
	else if (g->task.main_runs)
		world_at(&g->host->c->world, rng_below(&g->host->c->rng_host, 6), on_end, g,
		    g->task.number << 8 | SIGKILL);
}

void
cl_task_vanish(struct cl_group *g)
{
	g->task.main_runs = false;
	g->task.strays = 0;
	g->task.number = ++g->host->next_run;
}

/* ---- The helper. ---- */

static void
launch(struct cl_host *h, const Corral__HelperLaunch *l, Corral__HelperReply *reply, char *error,
    size_t size)
{
	struct taskkey key = taskkey_of(l->key);
	struct cl_group *g = cl_group_find(h, &key);

	if (l->spec->singleton && cl_now(h->machine) + LEASE_MARGIN_MS >= l->lease_end_boot_ms) {
		snprintf(error, size, "the node's lease has ended or is about to");
		return;
	}
	if (g != NULL && (cl_exec_alive(g) || !cl_group_empty(g))) {
		snprintf(error, size, "cgroup %s is there already", g->name);
		return;
	}
	if (g == NULL) {
		g = cl_alloc(sizeof *g);
		g->host = h;
		g->key = key;
		taskkey_name(&key, g->name);
		g->key_message = attempt_copy_key(l->key);
		g->spec = attempt_copy_spec(l->spec);
		list_append(&h->groups, &g->link);
	}
	g->removed = false;
	memcpy(g->psk, l->psk.data, sizeof g->psk);
	g->lease_end_ms = l->has_lease_end_boot_ms ? l->lease_end_boot_ms : 0;
	g->pid = h->next_pid;
	h->next_pid = PID_FIRST + (h->next_pid + 1 - PID_FIRST) % PIDS;
	g->start_time = cl_now(h->machine) / 10;
	cl_exec_start(g);
	reply->has_pid = reply->has_start_time = true;
	reply->pid = g->pid;
	reply->start_time = g->start_time;
}

static bool
kill_group(struct cl_group *g)
{
	bool alive = g != NULL && !g->removed && (cl_exec_alive(g) || !cl_group_empty(g));

	if (!alive)
		return false;
	cl_check_group_killed(g);
	cl_exec_kill(g);
	cl_task_kill(g);
	return true;
}

static bool
is_named(const struct cl_group *g, const Corral__HelperSweep *s)
{
	for (size_t i = 0; i < s->n_keep; i++) {
		struct taskkey key = taskkey_of(s->keep[i]);

		if (taskkey_equal(&key, &g->key))
			return true;
	}
	return false;
}

/* One round: whether anything was met. */
static bool
sweep(struct cl_host *h, const Corral__HelperSweep *s)
{
	struct list *it, *nx;
	bool met = false;

	LIST_EACH(it, nx, &h->groups) {
		struct cl_group *g = CONTAINER_OF(it, struct cl_group, link);

		if (is_named(g, s) || (!cl_exec_alive(g) && cl_group_empty(g)))
			continue;
		cl_check_group_swept(g);
		cl_exec_kill(g);
		cl_task_kill(g);
		met = true;
	}
	return met;
}

static void
remove_group(struct cl_group *g, bool all, char *error, size_t size)
{
	if (g == NULL)
		return;
	if (cl_exec_alive(g) || !cl_group_empty(g)) {
		snprintf(error, size, "cgroup %s: busy", g->name);
		return;
	}
	g->removed = true;
	g->forgotten = g->forgotten || all;
}

static void
handle(struct cl_host *h, const Corral__HelperRequest *r, Corral__HelperReply *reply, char *error,
    size_t size)
{
	struct taskkey key;

	switch (r->body_case) {
	case CORRAL__HELPER_REQUEST__BODY_LAUNCH:
		launch(h, r->launch, reply, error, size);
		break;
	case CORRAL__HELPER_REQUEST__BODY_KILL:
		key = taskkey_of(r->kill->key);
		reply->has_alive = true;
		reply->alive = kill_group(cl_group_find(h, &key));
		break;
	case CORRAL__HELPER_REQUEST__BODY_PROBE:
		key = taskkey_of(r->probe->key);
		reply->has_alive = true;
		reply->alive =
		    cl_group_find(h, &key) != NULL && cl_exec_alive(cl_group_find(h, &key));
		break;
	case CORRAL__HELPER_REQUEST__BODY_SWEEP:
		reply->has_alive = true;
		reply->alive = sweep(h, r->sweep);
		break;
	case CORRAL__HELPER_REQUEST__BODY_REMOVE:
		key = taskkey_of(r->remove->key);
		remove_group(cl_group_find(h, &key), r->remove->sandbox != NULL, error, size);
		break;
	default:
		break;
	}
}

/* Do the first request. */
static void
do_first(struct cl_host *h, bool reply_wanted)
{
	Corral__HelperReply reply = CORRAL__HELPER_REPLY__INIT;
	struct item *i = CONTAINER_OF(h->requests.next, struct item, link);
	Corral__HelperRequest *r = corral__helper_request__unpack(NULL, i->size, i->bytes);
	char error[160] = "";
	uint8_t bytes[512];

	item_free(i);
	if (r == NULL)
		return;
	reply.id = r->id;
	handle(h, r, &reply, error, sizeof error);
	if (error[0] != '\0')
		reply.error = error;
	if (reply_wanted)
		item_add(&h->replies, bytes, corral__helper_reply__pack(&reply, bytes));
	corral__helper_request__free_unpacked(r, NULL);
}

void
cl_helper_deliver(struct cl_host *h)
{
	struct list *first;

	while (cl_agent_runs(h) && (first = list_first(&h->replies)) != NULL) {
		struct item *i = CONTAINER_OF(first, struct item, link);
		Corral__HelperReply *reply = corral__helper_reply__unpack(NULL, i->size, i->bytes);

		item_free(i);
		agent_core_helper_reply(h->core, reply, cl_now(h->machine));
		corral__helper_reply__free_unpacked(reply, NULL);
		cl_agent_turn(h);
	}
}

static void
on_reply(void *arg, uint64_t token)
{
	struct cl_host *h = arg;

	if (h->proc.life == token)
		cl_helper_deliver(h);
}

static void
on_request(void *arg, uint64_t token)
{
	struct cl_host *h = arg;

	if (h->proc.life != token || list_empty(&h->requests))
		return;
	if (cl_is_asleep(h->machine)) {
		world_at(&h->c->world, 100, on_request, h, token);
		return;
	}
	do_first(h, true);
	world_at(&h->c->world, rng_below(&h->c->rng_host, 3), on_reply, h, token);
}

void
cl_helper_ask(struct cl_host *h, const struct agent_out *out)
{
	item_add(&h->requests, out->bytes, out->size);
	world_at(&h->c->world, rng_below(&h->c->rng_host, 15), on_request, h, h->proc.life);
}

void
cl_helper_lose(struct cl_host *h)
{
	while (h->powered && !list_empty(&h->requests) && rng_below(&h->c->rng_host, 2) == 0)
		do_first(h, false);
	items_free(&h->requests);
	items_free(&h->replies);
}
