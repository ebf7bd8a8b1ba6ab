/* SPDX-License-Identifier: Apache-2.0 */
/* The clients of a server of the ensemble's model: answered in the order in which they asked. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cl_ens.h"

struct pending {
	struct list link;
	struct cl_zm ask;
	uint8_t *body;
	bool done; /* a write that took effect, with this outcome */
	struct cl_outcome outcome;
	int64_t zxid;
};

struct client {
	struct list link;
	struct cl_server *server;
	struct cl_conn *conn;
	int64_t session;
	bool validating;
	bool watch;
	struct list pending;
};

static void take(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size);
static void lost(void *owner, struct cl_conn *conn);

static const struct cl_end_ops ops = {take, lost};

static void
pending_free(struct pending *p)
{
	list_remove(&p->link);
	free(p->body);
	free(p);
}

static void
client_free(struct client *k)
{
	struct list *first;

	while ((first = list_first(&k->pending)) != NULL)
		pending_free(CONTAINER_OF(first, struct pending, link));
	list_remove(&k->link);
	free(k);
}

static void
drop(struct client *k)
{
	cl_close(k->conn, &k->server->proc);
	client_free(k);
}

void
cl_clients_drop(struct cl_server *s)
{
	struct list *first;

	while ((first = list_first(&s->clients)) != NULL)
		drop(CONTAINER_OF(first, struct client, link));
}

static void
lost(void *owner, struct cl_conn *conn)
{
	(void)conn;
	client_free(owner);
}

void *
cl_clients_accept(void *owner, struct cl_conn *conn, const struct cl_end_ops **end_ops)
{
	struct cl_server *s = owner;
	struct client *k;

	if (!s->active)
		return NULL;
	k = cl_alloc(sizeof *k);
	k->server = s;
	k->conn = conn;
	list_init(&k->pending);
	list_append(&s->clients, &k->link);
	*end_ops = &ops;
	return k;
}

static int64_t
applied_zxid(const struct cl_server *s)
{
	return s->applied == 0 ? 0 : s->e->commits[s->applied].zxid;
}

static void
answer(struct client *k, struct cl_zm *m, const void *body, size_t size)
{
	uint8_t small[1024], *bytes = small;

	m->zxid = applied_zxid(k->server);
	m->size = (uint32_t)size;
	if (sizeof *m + size > sizeof small)
		bytes = cl_alloc(sizeof *m + size);
	memcpy(bytes, m, sizeof *m);
	if (size > 0)
		memcpy(bytes + sizeof *m, body, size);
	cl_send(k->conn, &k->server->proc, bytes, sizeof *m + size);
	if (bytes != small)
		free(bytes);
}

static void
answer_write(struct client *k, const struct pending *p)
{
	struct cl_zm m = {.type = ZM_REPLY,
	    .xid = p->ask.xid,
	    .rc = p->outcome.rc,
	    .failed_at = (uint32_t)p->outcome.failed_at,
	    .czxid = p->outcome.czxid};

	answer(k, &m, p->outcome.path, strlen(p->outcome.path));
}

static void
answer_get(struct client *k, const struct pending *p)
{
	const struct cl_version *v =
	    cl_tree_get(&k->server->e->tree, (const char *)p->body, k->server->applied);
	struct cl_zm m = {.type = ZM_REPLY, .xid = p->ask.xid, .rc = v == NULL ? CL_NONODE : CL_OK};

	if (v != NULL) {
		m.czxid = v->czxid;
		m.owner = v->owner;
	}
	answer(k, &m, v == NULL ? NULL : v->data, v == NULL ? 0 : v->size);
}

static void
answer_children(struct client *k, const struct pending *p)
{
	struct cl_zm m = {.type = ZM_REPLY, .xid = p->ask.xid};
	struct buf names;

	buf_init(&names, 1 << 20);
	m.count = cl_tree_children(
	    &k->server->e->tree, (const char *)p->body, k->server->applied, &names);
	k->watch = k->watch || p->ask.watch;
	answer(k, &m, names.data, names.len);
	buf_fini(&names);
}

/* Answer what can be answered, in order: a read waits for the writes before it. */
static void
pump(struct client *k)
{
	struct list *first;

	while ((first = list_first(&k->pending)) != NULL) {
		struct pending *p = CONTAINER_OF(first, struct pending, link);
		bool over = p->done && (p->outcome.rc == CL_EXPIRED || p->outcome.rc == CL_MOVED);

		if ((p->ask.type == ZM_WRITE || p->ask.type == ZM_CLOSE) && !p->done)
			return;
		if (p->ask.type == ZM_WRITE || p->ask.type == ZM_CLOSE)
			answer_write(k, p);
		else if (p->ask.type == ZM_GET)
			answer_get(k, p);
		else
			answer_children(k, p);
		pending_free(p);
		if (over)
			return; /* the connection ends with this */
	}
}

static void
fire(struct client *k)
{
	struct cl_zm m = {.type = ZM_EVENT};

	k->watch = false;
	answer(k, &m, NULL, 0);
}

static void
connected(struct client *k, bool valid)
{
	struct cl_zm m = {.type = ZM_CONNECTED, .session = valid ? k->session : 0};

	k->validating = false;
	answer(k, &m, NULL, 0);
	if (!valid)
		drop(k);
}

void
cl_clients_validated(struct cl_server *s, int64_t session, bool valid)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &s->clients) {
		struct client *k = CONTAINER_OF(it, struct client, link);

		if (k->session == session && k->validating) {
			connected(k, valid);
			return;
		}
	}
}

static void
take_commit(struct client *k, const struct cl_commit *m)
{
	struct list *it, *nx;

	if (m->kind == PROP_OPEN && k->validating) {
		connected(k, true);
		return;
	}
	LIST_EACH(it, nx, &k->pending) {
		struct pending *p = CONTAINER_OF(it, struct pending, link);

		if (p->ask.xid != m->xid || p->done)
			continue;
		p->done = true;
		p->outcome = m->outcome;
		p->zxid = m->zxid;
		break;
	}
	pump(k);
}

void
cl_clients_applied(struct cl_server *s, const struct cl_commit *m)
{
	struct list *it, *nx;

	/* An event comes before every answer that shows the change. */
	LIST_EACH(it, nx, &s->clients) {
		struct client *k = CONTAINER_OF(it, struct client, link);

		if (m->outcome.election && k->watch)
			fire(k);
	}
	LIST_EACH(it, nx, &s->clients) {
		struct client *k = CONTAINER_OF(it, struct client, link);
		bool over = m->kind == PROP_CLOSE || m->outcome.rc == CL_EXPIRED ||
			    m->outcome.rc == CL_MOVED;

		if (k->session != m->session)
			continue;
		if (m->origin == (int)s->number)
			take_commit(k, m);
		if (over && !k->validating)
			drop(k);
		break;
	}
}

/* A session that comes again has left the connection that it had here. */
static void
drop_before(const struct client *k, int64_t session)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &k->server->clients) {
		struct client *old = CONTAINER_OF(it, struct client, link);

		if (old != k && old->session == session)
			drop(old);
	}
}

static void
begin(struct client *k, const struct cl_zm *m)
{
	struct cl_server *s = k->server;

	if (m->zxid > applied_zxid(s)) {
		drop(k); /* it has seen more than we have */
		return;
	}
	k->validating = true;
	if (m->session != 0) {
		drop_before(k, m->session);
		k->session = m->session;
		cl_server_validate(s, m->session);
		return;
	}
	k->session = cl_session_new(s->e, s->e->c->conf.session_ms);
	cl_server_write(s, k->session, 0, PROP_OPEN, NULL, 0);
}

static void
add_pending(struct client *k, const struct cl_zm *m, const uint8_t *body)
{
	struct pending *p = cl_alloc(sizeof *p);

	p->ask = *m;
	if (m->size > 0) {
		p->body = cl_alloc(m->size + 1);
		memcpy(p->body, body, m->size);
	}
	list_append(&k->pending, &p->link);
}

static void
take(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size)
{
	struct client *k = owner;
	struct cl_server *s = k->server;
	struct cl_zm m, pong = {.type = ZM_PONG};
	const uint8_t *body = bytes + sizeof m;

	(void)conn;
	(void)size;
	memcpy(&m, bytes, sizeof m);
	if (m.type == ZM_CONNECT) {
		begin(k, &m);
		return;
	}
	cl_touch(s, k->session);
	switch (m.type) {
	case ZM_PING:
		pong.czxid = m.czxid;
		answer(k, &pong, NULL, 0);
		break;
	case ZM_WRITE:
	case ZM_CLOSE:
		add_pending(k, &m, body);
		cl_server_write(s, k->session, m.xid, m.type == ZM_CLOSE ? PROP_CLOSE : PROP_WRITE,
		    body, m.size);
		break;
	case ZM_WATCH:
		k->watch = true;
		for (uint64_t i = s->applied; i > 0 && s->e->commits[i].zxid > m.zxid; i--)
			if (s->e->commits[i].outcome.election) {
				fire(k);
				break;
			}
		break;
	default:
		add_pending(k, &m, body);
		pump(k);
		break;
	}
}

int
cl_ens_server_of(const struct cl *c, int64_t session)
{
	for (unsigned i = 0; i < c->ens->count; i++)
		for (struct list *it = c->ens->servers[i].clients.next;
		     it != &c->ens->servers[i].clients; it = it->next)
			if (CONTAINER_OF(it, struct client, link)->session == session)
				return (int)i;
	return -1;
}
