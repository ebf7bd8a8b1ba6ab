/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's connections: its master, found in a list or in the ensemble, and its executors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "tests/sim/cl_check.h"
#include "tests/sim/cl_host.h"
#include "tests/sim/cl_master.h"

#define DIAL_MS_MIN 100
#define DIAL_MS_MAX 5000
#define RETRY_MS 1000

static uint64_t
now(const struct cl_host *h)
{
	return cl_now(h->machine);
}

/* ---- The master. ---- */

/* ---- A shell that hands on what it should have left unread: the core must not mind. ---- */

struct late {
	struct cl_host *host;
	size_t size;
	uint8_t *bytes;
	struct list link;
};

static void
take_message(struct cl_host *h, const uint8_t *bytes, size_t size, bool late)
{
	Corral__MasterToAgent *m = corral__master_to_agent__unpack(NULL, size, bytes);
	uint64_t registration;
	bool registered = agent_core_registered(h->core);

	if (m == NULL) {
		world_violation(&h->c->world, "a master's message cannot be read");
		return;
	}
	registration = m->registration;
	if (h->c->plant == CL_PLANT_REGISTRATION_IGNORED && agent_core_registered(h->core))
		m->registration = agent_core_registration(h->core);
	cl_check_before_message(h, m, registration);
	cl_check_after_message(h, m, registration, agent_core_master_message(h->core, m, now(h)));
	if (late && !registered && agent_core_registered(h->core))
		world_violation(&h->c->world,
		    "L4: %s takes the answer to an earlier registration for its newest one's",
		    h->machine->name);
	corral__master_to_agent__free_unpacked(m, NULL);
	cl_agent_turn(h);
}

static void
on_late(void *arg, uint64_t token)
{
	struct cl_host *h = arg;
	struct late *l = CONTAINER_OF(h->late.next, struct late, link);

	(void)token;
	if (list_empty(&h->late))
		return;
	if (cl_agent_runs(h)) {
		h->c->lates++;
		take_message(h, l->bytes, l->size, true);
	}
	list_remove(&l->link);
	free(l->bytes);
	free(l);
}

static void
keep(struct cl_host *h, uint8_t *bytes, size_t size)
{
	struct late *l = cl_alloc(sizeof *l);
	uint64_t most_ms = rng_below(&h->c->rng_host, 2) == 0 ? 3000 : 60000;

	*l = (struct late){.host = h, .size = size, .bytes = bytes};
	list_append(&h->late, &l->link);
	world_at(&h->c->world, rng_below(&h->c->rng_host, most_ms), on_late, h, 0);
}

static bool
reads_late(const struct cl_host *h)
{
	return h->c->conf.reads_late && !h->c->calm;
}

static void
keep_unread(struct cl_host *h, struct cl_conn *conn)
{
	uint8_t *bytes;
	size_t size;

	for (int i = 0; i < 4 && reads_late(h); i++) {
		if (!cl_take_unread(conn, &h->proc, &bytes, &size))
			return;
		keep(h, bytes, size);
	}
}

void
cl_agent_late_free(struct cl_host *h)
{
	struct list *first;

	while ((first = list_first(&h->late)) != NULL) {
		list_remove(first);
		free(CONTAINER_OF(first, struct late, link)->bytes);
		free(CONTAINER_OF(first, struct late, link));
	}
}

static void
master_frame(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size)
{
	struct cl_host *h = owner;
	uint8_t *copy;

	if (h->master != conn)
		return;
	if (!reads_late(h) || rng_below(&h->c->rng_host, 60) > 0) {
		take_message(h, bytes, size, false);
		return;
	}
	/* The connection breaks with this unread. */
	copy = cl_alloc(size + 1);
	memcpy(copy, bytes, size);
	keep(h, copy, size);
	cl_agent_master_drop(h);
	cl_agent_turn(h);
}

static void
dial_later(struct cl_host *h)
{
	h->dial_at_ms = now(h) + h->dial_wait_ms;
	h->dial_wait_ms = h->dial_wait_ms * 2 < DIAL_MS_MAX ? h->dial_wait_ms * 2 : DIAL_MS_MAX;
	cl_timer(&h->proc, h->dial_at_ms);
}

static void
master_down(void *owner, struct cl_conn *conn)
{
	struct cl_host *h = owner;

	if (h->master != conn)
		return;
	h->master = NULL;
	agent_core_master_down(h->core);
	dial_later(h);
	cl_agent_turn(h);
}

void
cl_agent_master_drop(struct cl_host *h)
{
	if (h->master == NULL)
		return;
	keep_unread(h, h->master);
	cl_close(h->master, &h->proc);
	h->master = NULL;
	agent_core_master_down(h->core);
	dial_later(h);
}

/* The bug: what it has not heard again is not in the report. */
static void
send_known(struct cl_host *h, const struct agent_out *out)
{
	Corral__AgentToMaster *m = corral__agent_to_master__unpack(NULL, out->size, out->bytes);
	Corral__Register *r = m->register_;
	uint8_t *bytes = cl_alloc(out->size + 1);
	size_t kept = 0;

	for (size_t i = 0; m->body_case == CORRAL__AGENT_TO_MASTER__BODY_REGISTER && i < r->n_tasks;
	     i++)
		if (r->tasks[i]->state == CORRAL__TASK_STATE__RECOVERING)
			corral__task_report__free_unpacked(r->tasks[i], NULL);
		else
			r->tasks[kept++] = r->tasks[i];
	if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_REGISTER)
		r->n_tasks = kept;
	cl_send(h->master, &h->proc, bytes, corral__agent_to_master__pack(m, bytes));
	corral__agent_to_master__free_unpacked(m, NULL);
	free(bytes);
}

void
cl_agent_master_send(struct cl_host *h, const struct agent_out *out)
{
	if (h->master == NULL)
		return;
	if (h->c->plant == CL_PLANT_RECOVERING_UNTOLD)
		send_known(h, out);
	else
		cl_send(h->master, &h->proc, out->bytes, out->size);
}

static void
master_up(void *owner, struct cl_conn *conn, uint64_t token)
{
	struct cl_host *h = owner;

	if (token != h->dial || h->core == NULL) {
		if (conn != NULL)
			cl_close(conn, &h->proc);
		return;
	}
	h->dialing = false;
	if (conn == NULL) {
		dial_later(h);
		return;
	}
	h->master = conn;
	h->dial_wait_ms = DIAL_MS_MIN;
	agent_core_master_up(h->core, now(h));
	cl_agent_turn(h);
}

static void
dial(struct cl_host *h)
{
	static const struct cl_end_ops ops = {master_frame, master_down};
	unsigned to = h->address++ % h->c->conf.masters;

	if (h->c->conf.discover && h->leader < 0) {
		h->dial_at_ms = 0; /* when somebody leads */
		return;
	}
	if (h->c->conf.discover)
		to = (unsigned)h->leader;
	h->dialing = true;
	cl_dial(&h->proc, &h->c->masters[to]->port, master_up, &ops, h, ++h->dial);
}

/* ---- Who leads (agent/leader.c). ---- */

static void look(struct cl_host *h);

static void
say(struct cl_host *h, int leader)
{
	if (leader == h->leader)
		return;
	h->leader = leader;
	h->dial++; /* an attempt that is under way is not wanted any more */
	h->dialing = false;
	h->dial_wait_ms = DIAL_MS_MIN;
	h->dial_at_ms = now(h);
	if (h->master != NULL)
		cl_agent_master_drop(h);
	cl_timer(&h->proc, h->dial_at_ms);
}

static void
look_later(struct cl_host *h)
{
	h->look_at_ms = now(h) + RETRY_MS;
	cl_timer(&h->proc, h->look_at_ms);
}

static void
on_data(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_host *h = owner;
	char text[16] = "";
	uint64_t leader;

	(void)arg;
	if (r->rc != CL_OK || r->size >= sizeof text) {
		look_later(h);
		return;
	}
	memcpy(text, r->data, r->size);
	if (str_to_u64(text, 0, CL_MASTERS_MAX - 1, &leader))
		say(h, (int)leader);
	cl_agent_turn(h);
}

static void
on_children(void *owner, const struct cl_zk_result *r, uintptr_t arg)
{
	struct cl_host *h = owner;
	const char *lowest = NULL, *at = (const char *)r->data;

	(void)arg;
	if (r->rc != CL_OK) {
		look_later(h);
		return;
	}
	for (unsigned i = 0; i < r->count; i++, at += strlen(at) + 1)
		if (lowest == NULL || strcmp(at, lowest) < 0)
			lowest = at;
	if (lowest == NULL) {
		say(h, -1);
		cl_agent_turn(h);
		return;
	}
	snprintf(h->leader_node, sizeof h->leader_node, CL_ELECTION "/%.100s", lowest);
	cl_zk_get(h->zk, h->leader_node, on_data, 0);
}

static void
on_changed(void *owner)
{
	look(owner);
}

static void
on_state(void *owner, enum cl_zk_state state)
{
	struct cl_host *h = owner;

	h->forsake_at_ms = 0;
	if (state == CL_ZK_CONNECTED) {
		look(h);
	} else if (state == CL_ZK_SUSPENDED) {
		h->forsake_at_ms = now(h) + 2 * h->c->conf.session_ms;
	} else if (state == CL_ZK_EXPIRED) {
		cl_zk_free(h->zk);
		h->zk = NULL;
		look_later(h);
	}
}

static void
look(struct cl_host *h)
{
	static const struct cl_zk_ops ops = {on_state, on_changed, NULL};

	h->look_at_ms = 0;
	if (h->zk == NULL)
		h->zk = cl_zk_new(&h->proc, &ops, h);
	else
		cl_zk_children(h->zk, CL_ELECTION, true, on_children, 0);
}

/* Nobody has taken the session back: it is over anyway, and was perhaps never heard of. */
static void
forsake(struct cl_host *h)
{
	h->forsake_at_ms = 0;
	cl_zk_free(h->zk);
	h->zk = NULL;
	look(h);
}

/* ---- Executors. ---- */

struct xlink {
	struct list link;
	struct cl_host *host;
	struct cl_conn *conn;
	struct taskkey key;
	bool greeted;
};

static struct xlink *
find(struct cl_host *h, const struct taskkey *key)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &h->links) {
		struct xlink *x = CONTAINER_OF(it, struct xlink, link);

		if (x->greeted && taskkey_equal(&x->key, key))
			return x;
	}
	return NULL;
}

static void
forget(struct xlink *x, bool tell)
{
	struct cl_host *h = x->host;
	struct taskkey key = x->key;
	bool greeted = x->greeted;

	list_remove(&x->link);
	free(x);
	if (greeted && tell)
		agent_core_executor_down(h->core, &key, now(h));
}

static void
hang_up(struct xlink *x)
{
	cl_close(x->conn, &x->host->proc);
	forget(x, true);
}

static void
take_hello(struct xlink *x, const Corral__ExecutorHello *hello)
{
	struct cl_host *h = x->host;
	struct xlink *old;

	x->key = taskkey_of(hello->key);
	if ((old = find(h, &x->key)) != NULL) {
		cl_close(old->conn, &h->proc);
		forget(old, true);
	}
	x->greeted = true;
	if (!agent_core_hello(h->core, hello, now(h)))
		hang_up(x);
	else
		cl_check_adopted(h, hello);
}

static void
executor_frame(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size)
{
	struct xlink *x = owner;
	struct cl_host *h = x->host;
	Corral__ExecutorToAgent *m = corral__executor_to_agent__unpack(NULL, size, bytes);

	(void)conn;
	if (m == NULL) {
		world_violation(&h->c->world, "an executor's message cannot be read");
		return;
	}
	if (!x->greeted && m->body_case == CORRAL__EXECUTOR_TO_AGENT__BODY_HELLO)
		take_hello(x, m->hello);
	else if (x->greeted && m->body_case == CORRAL__EXECUTOR_TO_AGENT__BODY_UPDATE)
		agent_core_executor_update(h->core, &x->key, m->update, now(h));
	else if (x->greeted && m->body_case == CORRAL__EXECUTOR_TO_AGENT__BODY_STUCK)
		agent_core_executor_stuck(h->core, &x->key, now(h));
	corral__executor_to_agent__free_unpacked(m, NULL);
	cl_agent_turn(h);
}

static void
executor_down(void *owner, struct cl_conn *conn)
{
	struct xlink *x = owner;
	struct cl_host *h = x->host;

	(void)conn;
	forget(x, true);
	cl_agent_turn(h);
}

/* The key is what an executor proves itself by. */
void *
cl_agent_accept(void *owner, struct cl_conn *conn, const struct cl_end_ops **ops)
{
	static const struct cl_end_ops executor_ops = {executor_frame, executor_down};
	struct cl_host *h = owner;
	const struct cl_group *g = cl_peer_owner(conn);
	uint8_t psk[ATTEMPT_PSK_BYTES];
	struct xlink *x;

	if (h->core == NULL || !agent_core_psk(h->core, g->name, psk) ||
	    memcmp(psk, g->psk, sizeof psk) != 0)
		return NULL;
	x = cl_alloc(sizeof *x);
	x->host = h;
	x->conn = conn;
	list_append(&h->links, &x->link);
	*ops = &executor_ops;
	return x;
}

void
cl_agent_executor_send(struct cl_host *h, const struct agent_out *out)
{
	struct xlink *x = find(h, &out->key);

	if (x != NULL)
		cl_send(x->conn, &h->proc, out->bytes, out->size);
}

/* ---- All of them. ---- */

void
cl_agent_links_start(struct cl_host *h)
{
	h->leader = -1;
	h->dialing = false;
	h->dial++;
	h->dial_wait_ms = DIAL_MS_MIN;
	h->dial_at_ms = now(h);
	h->look_at_ms = h->forsake_at_ms = 0;
	if (h->c->conf.discover)
		look(h);
	cl_timer(&h->proc, h->dial_at_ms);
}

/* With the process: nobody is told. */
void
cl_agent_links_end(struct cl_host *h)
{
	struct list *first;

	if (h->zk != NULL)
		cl_zk_free(h->zk);
	h->zk = NULL;
	if (h->master != NULL)
		cl_close(h->master, &h->proc);
	h->master = NULL;
	h->dial++;
	while ((first = list_first(&h->links)) != NULL) {
		cl_close(CONTAINER_OF(first, struct xlink, link)->conn, &h->proc);
		forget(CONTAINER_OF(first, struct xlink, link), false);
	}
}

void
cl_agent_links_tick(struct cl_host *h)
{
	if (h->zk != NULL)
		cl_zk_tick(h->zk);
	if (h->forsake_at_ms != 0 && now(h) >= h->forsake_at_ms)
		forsake(h);
	if (h->look_at_ms != 0 && now(h) >= h->look_at_ms)
		look(h);
	if (h->master == NULL && !h->dialing && h->dial_at_ms != 0 && now(h) >= h->dial_at_ms)
		dial(h);
}

void
cl_agent_links_timer(struct cl_host *h)
{
	if (h->zk != NULL)
		cl_timer(&h->proc, cl_zk_deadline(h->zk));
	if (h->look_at_ms != 0)
		cl_timer(&h->proc, h->look_at_ms);
	if (h->forsake_at_ms != 0)
		cl_timer(&h->proc, h->forsake_at_ms);
	if (h->master == NULL && !h->dialing && h->dial_at_ms != 0)
		cl_timer(&h->proc, h->dial_at_ms);
}
