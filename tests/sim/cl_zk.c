/* SPDX-License-Identifier: Apache-2.0 */
/* A client's handle of the ensemble's model. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cl_zk.h"

#define PING_MS_MAX 10000
#define AGAIN_MS 50 /* between two servers */

struct call {
	struct list link;
	struct cl_zm m;
	uint8_t *body;
	cl_zk_then *then;
	uintptr_t arg;
};

struct cl_zk {
	struct list link;
	struct cl_proc *p;
	const struct cl_zk_ops *ops;
	void *owner;
	enum cl_zk_state state;
	struct cl_conn *conn;
	bool asked; /* CONNECT was sent on it */
	bool dialing;
	uint64_t dial; /* the number of the attempt */
	unsigned order[CL_SERVERS_MAX], next;
	int64_t session, seen;
	bool watch;
	int32_t xid;
	uint64_t sent_ms, heard_ms, up_ms, again_ms, pinged_ms;
	struct list sent, unsent;
	bool dead;
};

static void take(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size);
static void lost(void *owner, struct cl_conn *conn);

static const struct cl_end_ops conn_ops = {take, lost};

static uint64_t
now(const struct cl_zk *z)
{
	return cl_now(z->p->machine);
}

static uint64_t
timeout(const struct cl_zk *z)
{
	return z->p->c->conf.session_ms;
}

static uint64_t
ping_ms(const struct cl_zk *z)
{
	return timeout(z) / 3 < PING_MS_MAX ? timeout(z) / 3 : PING_MS_MAX;
}

/* When nothing was sent for some time. (Pings that are to prove something come in any case.) */
static uint64_t
ping_at_ms(const struct cl_zk *z)
{
	bool prove = z->p->c->plant == CL_PLANT_PINGS_PROVE;

	return (prove ? z->pinged_ms : z->sent_ms) + ping_ms(z);
}

static uint64_t
connect_ms(const struct cl_zk *z)
{
	uint64_t ms = timeout(z) / z->p->c->conf.servers;

	return ms < 1000 ? 1000 : ms;
}

static void
on_up(void *owner, struct cl_conn *conn, uint64_t token)
{
	struct cl_zk *z = owner;
	struct cl_zm m = {.type = ZM_CONNECT, .session = z->session, .zxid = z->seen};

	if (token != z->dial || z->dead) {
		if (conn != NULL)
			cl_close(conn, z->p);
		return;
	}
	z->dialing = false;
	if (conn == NULL) {
		z->again_ms = now(z) + AGAIN_MS;
		cl_timer(z->p, z->again_ms);
		return;
	}
	z->conn = conn;
	z->up_ms = z->heard_ms = z->sent_ms = z->pinged_ms = now(z);
	cl_send(conn, z->p, &m, sizeof m);
	cl_timer(z->p, cl_zk_deadline(z));
}

static void
dial_next(struct cl_zk *z)
{
	z->again_ms = 0;
	z->dialing = true;
	z->up_ms = now(z);
	z->next = (z->next + 1) % z->p->c->conf.servers;
	cl_dial(z->p, cl_ens_listener(z->p->c, z->order[z->next]), on_up, &conn_ops, z, ++z->dial);
}

struct cl_zk *
cl_zk_new(struct cl_proc *p, const struct cl_zk_ops *ops, void *owner)
{
	struct cl_zk *z = cl_alloc(sizeof *z);

	z->p = p;
	z->ops = ops;
	z->owner = owner;
	list_init(&z->sent);
	list_init(&z->unsent);
	for (unsigned i = 0; i < p->c->conf.servers; i++) {
		unsigned k = (unsigned)rng_below(&p->c->rng_core, i + 1);

		z->order[i] = z->order[k];
		z->order[k] = i;
	}
	list_append(&p->c->zks, &z->link);
	dial_next(z);
	return z;
}

static void
call_free(struct call *k)
{
	list_remove(&k->link);
	free(k->body);
	free(k);
}

static void
calls_free(struct list *calls)
{
	struct list *first;

	while ((first = list_first(calls)) != NULL)
		call_free(CONTAINER_OF(first, struct call, link));
}

/* Dial attempts and events may still name it: its memory goes with the whole. */
void
cl_zk_free(struct cl_zk *z)
{
	z->dead = true;
	z->dial++;
	if (z->conn != NULL)
		cl_close(z->conn, z->p);
	z->conn = NULL;
	calls_free(&z->sent);
	calls_free(&z->unsent);
}

void
cl_zk_close(struct cl_zk *z)
{
	struct cl_zm m = {.type = ZM_CLOSE, .xid = ++z->xid};

	if (z->conn != NULL && z->state == CL_ZK_CONNECTED)
		cl_send(z->conn, z->p, &m, sizeof m);
	cl_zk_free(z);
}

void
cl_zk_free_all(struct cl *c)
{
	struct list *first;

	while ((first = list_first(&c->zks)) != NULL) {
		list_remove(first);
		free(CONTAINER_OF(first, struct cl_zk, link));
	}
}

int64_t
cl_zk_session(const struct cl_zk *z)
{
	return z->session;
}

enum cl_zk_state
cl_zk_state(const struct cl_zk *z)
{
	return z->state;
}

/* ---- Requests. ---- */

static void
send_call(struct cl_zk *z, struct call *k)
{
	uint8_t small[1024], *bytes = small;
	size_t size = sizeof k->m + k->m.size;

	if (size > sizeof small)
		bytes = cl_alloc(size);
	memcpy(bytes, &k->m, sizeof k->m);
	if (k->m.size > 0)
		memcpy(bytes + sizeof k->m, k->body, k->m.size);
	list_remove(&k->link);
	list_append(&z->sent, &k->link);
	z->sent_ms = now(z);
	cl_send(z->conn, z->p, bytes, size);
	if (bytes != small)
		free(bytes);
}

static void
request(struct cl_zk *z, enum cl_zm_type type, bool watch, const void *body, size_t size,
    cl_zk_then *then, uintptr_t arg)
{
	struct call *k = cl_alloc(sizeof *k);

	k->m =
	    (struct cl_zm){.type = type, .watch = watch, .xid = ++z->xid, .size = (uint32_t)size};
	k->then = then;
	k->arg = arg;
	if (size > 0) {
		k->body = cl_alloc(size);
		memcpy(k->body, body, size);
	}
	list_append(&z->unsent, &k->link);
	if (z->state == CL_ZK_CONNECTED)
		send_call(z, k);
}

void
cl_zk_get(struct cl_zk *z, const char *path, cl_zk_then *then, uintptr_t arg)
{
	request(z, ZM_GET, false, path, strlen(path) + 1, then, arg);
}

void
cl_zk_children(struct cl_zk *z, const char *path, bool watch, cl_zk_then *then, uintptr_t arg)
{
	request(z, ZM_CHILDREN, watch, path, strlen(path) + 1, then, arg);
}

void
cl_zk_write(struct cl_zk *z, const struct buf *ops, cl_zk_then *then, uintptr_t arg)
{
	request(z, ZM_WRITE, false, ops->data, ops->len, then, arg);
}

/* ---- The connection. ---- */

static void
complete(struct cl_zk *z, struct call *k, const struct cl_zk_result *r)
{
	cl_zk_then *then = k->then;
	uintptr_t arg = k->arg;

	if (k->m.type == ZM_CHILDREN && k->m.watch && r->rc == CL_OK)
		z->watch = true;
	call_free(k);
	if (then != NULL)
		then(z->owner, r, arg);
}

/* What was sent may or may not have been done. */
static void
lose_sent(struct cl_zk *z, int rc)
{
	static const struct cl_zk_result none;
	struct cl_zk_result r = none;
	struct list sent, *first;

	r.rc = rc;
	list_init(&sent);
	while ((first = list_first(&z->sent)) != NULL) {
		list_remove(first);
		list_append(&sent, first);
	}
	while ((first = list_first(&sent)) != NULL) {
		if (z->dead)
			call_free(CONTAINER_OF(first, struct call, link));
		else
			complete(z, CONTAINER_OF(first, struct call, link), &r);
	}
}

static void
lose(struct cl_zk *z)
{
	z->conn = NULL;
	if (z->state == CL_ZK_CONNECTED) {
		z->state = CL_ZK_SUSPENDED;
		lose_sent(z, CL_LOSS);
		if (!z->dead)
			z->ops->state(z->owner, z->state);
	}
	if (z->dead)
		return;
	z->again_ms = now(z) + AGAIN_MS;
	cl_timer(z->p, z->again_ms);
}

static void
lost(void *owner, struct cl_conn *conn)
{
	struct cl_zk *z = owner;

	if (z->conn == conn)
		lose(z);
}

static void
hang_up(struct cl_zk *z)
{
	if (z->conn != NULL)
		cl_close(z->conn, z->p);
	z->dial++;
	z->dialing = false;
	lose(z);
}

static void
take_connected(struct cl_zk *z, const struct cl_zm *m)
{
	struct cl_zm watch = {.type = ZM_WATCH, .zxid = z->seen};

	if (m->session == 0) {
		z->state = CL_ZK_EXPIRED;
		cl_close(z->conn, z->p);
		z->conn = NULL;
		z->ops->state(z->owner, z->state);
		return;
	}
	z->session = m->session;
	z->state = CL_ZK_CONNECTED;
	if (z->watch)
		cl_send(z->conn, z->p, &watch, sizeof watch);
	while (!list_empty(&z->unsent))
		send_call(z, CONTAINER_OF(z->unsent.next, struct call, link));
	z->ops->state(z->owner, z->state);
}

static void
take_reply(struct cl_zk *z, const struct cl_zm *m, const uint8_t *body)
{
	struct cl_zk_result r = {.rc = m->rc,
	    .data = body,
	    .size = m->size,
	    .count = m->count,
	    .failed_at = m->failed_at,
	    .czxid = m->czxid,
	    .owner = m->owner};
	struct list *first = list_first(&z->sent);
	struct call *k = first == NULL ? NULL : CONTAINER_OF(first, struct call, link);

	if (k == NULL || k->m.xid != m->xid) {
		world_violation(&z->p->c->world, "the model's server answers out of order");
		return;
	}
	if (m->rc == CL_EXPIRED || m->rc == CL_MOVED)
		return; /* the server closes the connection: then it is a loss */
	complete(z, k, &r);
}

static void
take(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size)
{
	struct cl_zk *z = owner;
	struct cl_zm m;

	(void)size;
	if (z->dead || z->conn != conn)
		return;
	memcpy(&m, bytes, sizeof m);
	z->heard_ms = now(z);
	if (m.type == ZM_CONNECTED) {
		take_connected(z, &m);
		return;
	}
	if (m.zxid > z->seen)
		z->seen = m.zxid;
	switch (m.type) {
	case ZM_REPLY:
		take_reply(z, &m, bytes + sizeof m);
		break;
	case ZM_EVENT:
		z->watch = false;
		z->ops->changed(z->owner);
		break;
	case ZM_PONG:
		if (z->ops->pinged != NULL)
			z->ops->pinged(z->owner, (uint64_t)m.czxid);
		break;
	default:
		break;
	}
}

/* ---- Time. ---- */

void
cl_zk_tick(struct cl_zk *z)
{
	struct cl_zm ping = {.type = ZM_PING, .czxid = (int64_t)now(z)};

	if (z->dead || z->state == CL_ZK_EXPIRED)
		return;
	if (z->conn == NULL) {
		if (z->dialing && now(z) >= z->up_ms + connect_ms(z))
			hang_up(z);
		else if (!z->dialing && now(z) >= z->again_ms)
			dial_next(z);
	} else if (z->state != CL_ZK_CONNECTED) {
		if (now(z) >= z->up_ms + connect_ms(z))
			hang_up(z);
	} else if (now(z) >= z->heard_ms + timeout(z) * 2 / 3) {
		hang_up(z);
	} else if (now(z) >= ping_at_ms(z)) {
		z->sent_ms = z->pinged_ms = now(z);
		cl_send(z->conn, z->p, &ping, sizeof ping);
	}
	if (!z->dead)
		cl_timer(z->p, cl_zk_deadline(z));
}

uint64_t
cl_zk_deadline(const struct cl_zk *z)
{
	uint64_t silence, ping;

	if (z->dead || z->state == CL_ZK_EXPIRED)
		return UINT64_MAX;
	if (z->conn == NULL)
		return z->dialing ? z->up_ms + connect_ms(z) : z->again_ms;
	if (z->state != CL_ZK_CONNECTED)
		return z->up_ms + connect_ms(z);
	silence = z->heard_ms + timeout(z) * 2 / 3;
	ping = ping_at_ms(z);
	return ping < silence ? ping : silence;
}
