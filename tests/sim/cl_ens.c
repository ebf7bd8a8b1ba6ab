/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers of the ensemble's model. A reign is one leader's: it proposes in order, and what a quorum
 * has logged is agreed on. Servers that look for a leader find each other at once (an election is
 * one event here); the one with the most leads, and ends what it had of the reign before. A server
 * that promised a reign logs nothing of an older one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cl_check.h"
#include "tests/sim/cl_ens.h"

static void take_peer_leader(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size);
static void take_peer_follower(
    void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size);
static void leader_lost(void *owner, struct cl_conn *conn);
static void follower_lost(void *owner, struct cl_conn *conn);

static const struct cl_end_ops leader_side = {take_peer_leader, follower_lost};
static const struct cl_end_ops follower_side = {take_peer_follower, leader_lost};

/* The server knows commits up to this one. */
static void
apply_to(struct cl_server *s, uint64_t upto)
{
	while (s->applied < upto) {
		const struct cl_commit *m = &s->e->commits[++s->applied];

		cl_clients_applied(s, m);
	}
}

/* ---- Leading. ---- */

static unsigned
quorum(const struct cl_ens *e)
{
	return e->count / 2 + 1;
}

static void
send_peer(struct cl_server *s, struct cl_conn *conn, struct cl_sm *m, const void *body)
{
	uint8_t small[512], *bytes = small;
	size_t size = sizeof *m + m->size;

	if (size > sizeof small)
		bytes = cl_alloc(size);
	memcpy(bytes, m, sizeof *m);
	if (m->size > 0)
		memcpy(bytes + sizeof *m, body, m->size);
	cl_send(conn, &s->proc, bytes, size);
	if (bytes != small)
		free(bytes);
}

static void
tell_followers(struct cl_server *s, struct cl_sm *m)
{
	for (unsigned i = 0; i < s->e->count; i++)
		if (s->follower[i].conn != NULL)
			send_peer(s, s->follower[i].conn, m, NULL);
}

static void
agree_by_quorum(struct cl_server *s)
{
	struct cl_reign *r = s->reign;

	while (s->active && r->told_count < r->count) {
		unsigned k = r->told_count, n = 1;
		struct cl_sm m = {.type = SM_COMMIT, .number = k};

		for (unsigned i = 0; i < s->e->count; i++)
			n += i != s->number && s->follower[i].conn != NULL &&
			     s->follower[i].logged > k;
		if (n < quorum(s->e))
			return;
		/* (In a reign that is over, too: then the next one has it from this quorum.) */
		if (r->props[k].commit == 0)
			cl_agree_all(s->e, r, k + 1);
		r->told_count = k + 1;
		apply_to(s, r->props[k].commit);
		tell_followers(s, &m);
	}
}

void
cl_propose(struct cl_server *s, const struct cl_proposal *p)
{
	struct cl_reign *r = s->reign;
	struct cl_sm m = {.type = SM_PROPOSE, .number = r->count};

	if (r->count == r->cap) {
		r->cap = r->cap == 0 ? 64 : 2 * r->cap;
		if ((r->props = realloc(r->props, r->cap * sizeof *r->props)) == NULL)
			exit(71);
	}
	r->props[r->count] = *p;
	r->props[r->count].ops = NULL;
	if (p->size > 0) {
		r->props[r->count].ops = cl_alloc(p->size);
		memcpy(r->props[r->count].ops, p->ops, p->size);
	}
	r->count++;
	s->logged = r->count;
	tell_followers(s, &m);
	agree_by_quorum(s);
}

static uint64_t
local_ms(const struct cl_server *s)
{
	return cl_now(s->proc.machine);
}

void
cl_touch(struct cl_server *s, int64_t session)
{
	struct cl_session *t = cl_session_at(s->e, session);

	if (t == NULL)
		return;
	if (s->role == LEADING)
		t->expires_ms[s->number] = local_ms(s) + t->timeout_ms;
	else
		t->touched[s->number] = true;
}

/* The leader's word on a session that comes again: it lives, and belongs to that server now. */
static bool
revalidate(struct cl_server *s, int64_t session, unsigned owner)
{
	struct cl_session *t = cl_session_at(s->e, session);

	if (t == NULL || !t->alive || t->closing == s->reign)
		return false;
	t->owner[s->number] = (int)owner;
	cl_touch(s, session);
	return true;
}

/* A write that came to the leader, by way of server `origin`. */
static void
leader_write(struct cl_server *s, unsigned origin, int64_t session, int32_t xid,
    enum cl_prop_kind kind, const uint8_t *ops, size_t size)
{
	struct cl_session *t = cl_session_at(s->e, session);
	struct cl_proposal p = {.origin = (int)origin,
	    .kind = kind,
	    .session = session,
	    .xid = xid,
	    .ops = (uint8_t *)(uintptr_t)ops,
	    .size = size};

	if (kind == PROP_OPEN)
		t->owner[s->number] = (int)origin;
	if (t != NULL) {
		p.moved = t->owner[s->number] >= 0 && t->owner[s->number] != (int)origin;
		if (kind == PROP_CLOSE)
			t->closing = s->reign;
	}
	cl_touch(s, session);
	cl_propose(s, &p);
}

static void
expire_sessions(struct cl_server *s)
{
	for (size_t i = 0; i < s->e->session_count; i++) {
		struct cl_session *t = &s->e->sessions[i];

		if (!t->alive || t->closing == s->reign || local_ms(s) < t->expires_ms[s->number])
			continue;
		t->closing = s->reign;
		cl_propose(s, &(struct cl_proposal){.origin = -1,
				  .kind = PROP_CLOSE,
				  .session = (int64_t)i + CL_SESSION_FIRST});
	}
}

/* ---- Roles. ---- */

static void
look(struct cl_server *s, const char *why)
{
	if (s->role == LOOKING)
		return;
	cl_trace(s->e->c, "%s: %s, looks for a leader", s->proc.machine->name, why);
	s->role = LOOKING;
	s->active = false;
	cl_clients_drop(s);
	for (unsigned i = 0; i < s->e->count; i++) {
		if (s->follower[i].conn != NULL)
			cl_close(s->follower[i].conn, &s->proc);
		s->follower[i].conn = NULL;
	}
	if (s->leader_conn != NULL)
		cl_close(s->leader_conn, &s->proc);
	s->leader_conn = NULL;
}

static void
activate(struct cl_server *s)
{
	struct cl_reign *r = s->reign;
	uint64_t now = local_ms(s);

	s->active = true;
	cl_agree_all(s->e, r, 0);
	apply_to(s, s->e->commit_count);
	for (size_t i = 0; i < s->e->session_count; i++) {
		struct cl_session *t = &s->e->sessions[i];

		/* Each has its full time anew. */
		t->expires_ms[s->number] = now + t->timeout_ms;
		t->owner[s->number] = -1;
	}
	cl_trace(s->e->c, "%s: leads epoch %llu from commit %llu on", s->proc.machine->name,
	    (unsigned long long)r->epoch, (unsigned long long)s->applied);
}

/* What the reign has, to a follower that came; from now on it gets all that others get. */
static void
join(struct cl_server *s, unsigned i, struct cl_conn *conn)
{
	struct cl_sm m = {
	    .type = SM_SYNC, .number = s->reign->count, .upto = s->applied, .valid = s->active};

	s->follower[i] = (struct cl_follower){.conn = conn, .heard_ms = local_ms(s)};
	send_peer(s, conn, &m, NULL);
}

/* It has what was sent to it. With a quorum of those the reign begins. */
static void
synced(struct cl_server *s, unsigned i)
{
	struct cl_sm m = {.type = SM_SYNC, .valid = true};
	unsigned count = 1;

	s->follower[i].synced = true;
	for (unsigned k = 0; k < s->e->count; k++)
		count += s->follower[k].conn != NULL && s->follower[k].synced;
	if (s->active || count < quorum(s->e))
		return;
	activate(s);
	m.upto = s->applied;
	tell_followers(s, &m);
}

static void *
accept_peer(void *owner, struct cl_conn *conn, const struct cl_end_ops **ops)
{
	struct cl_server *s = owner;

	(void)conn;
	*ops = &leader_side;
	return s->role == LEADING ? s : NULL;
}

static void
take_peer_leader(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size)
{
	struct cl_server *s = owner;
	struct cl_sm m;
	struct cl_sm answer = {.type = SM_VALID};

	memcpy(&m, bytes, sizeof m);
	if (s->role != LEADING || (m.type == SM_JOIN && m.epoch != s->reign->epoch)) {
		cl_close(conn, &s->proc);
		return;
	}
	if (m.type == SM_JOIN) {
		if (s->follower[m.from].conn != NULL)
			cl_close(s->follower[m.from].conn, &s->proc);
		join(s, m.from, conn);
		return;
	}
	if (s->follower[m.from].conn != conn)
		return;
	s->follower[m.from].heard_ms = local_ms(s);
	switch (m.type) {
	case SM_SYNCED:
		synced(s, m.from);
		break;
	case SM_ACK:
		if (s->follower[m.from].logged < m.number + 1)
			s->follower[m.from].logged = (unsigned)m.number + 1;
		agree_by_quorum(s);
		break;
	case SM_TOUCH:
		for (size_t at = sizeof m; at + sizeof(int64_t) <= size; at += sizeof(int64_t)) {
			int64_t session;

			memcpy(&session, bytes + at, sizeof session);
			cl_touch(s, session);
		}
		break;
	case SM_WRITE:
		if (s->active)
			leader_write(s, m.from, m.session, m.xid, m.kind, bytes + sizeof m, m.size);
		break;
	case SM_VALIDATE:
		answer.session = m.session;
		answer.valid = s->active && revalidate(s, m.session, m.from);
		if (s->active)
			send_peer(s, conn, &answer, NULL);
		break;
	default:
		break;
	}
}

static void
follower_lost(void *owner, struct cl_conn *conn)
{
	struct cl_server *s = owner;

	for (unsigned i = 0; i < s->e->count; i++)
		if (s->follower[i].conn == conn)
			s->follower[i].conn = NULL;
}

/* ---- Following. ---- */

static void
send_touches(struct cl_server *s)
{
	int64_t list[64];
	struct cl_sm m = {.type = SM_TOUCH, .from = s->number};
	unsigned n = 0;

	for (size_t i = 0; i < s->e->session_count && n < 64; i++)
		if (s->e->sessions[i].touched[s->number]) {
			s->e->sessions[i].touched[s->number] = false;
			list[n++] = (int64_t)i + CL_SESSION_FIRST;
		}
	m.size = n * (uint32_t)sizeof list[0];
	send_peer(s, s->leader_conn, &m, list);
}

static void
take_sync(struct cl_server *s, const struct cl_sm *m)
{
	struct cl_sm done = {.type = SM_SYNCED, .from = s->number},
		     ack = {.type = SM_ACK, .from = s->number};

	if (s->log_reign != s->reign) {
		s->log_reign = s->reign;
		s->logged = 0;
		send_peer(s, s->leader_conn, &done, NULL);
	}
	if (m->number > s->logged)
		s->logged = (unsigned)m->number;
	if (s->logged > 0) {
		ack.number = s->logged - 1;
		send_peer(s, s->leader_conn, &ack, NULL);
	}
	if (m->valid) {
		apply_to(s, m->upto);
		s->active = true;
	}
}

static void
take_peer_follower(void *owner, struct cl_conn *conn, const uint8_t *bytes, size_t size)
{
	struct cl_server *s = owner;
	struct cl_sm m, answer = {.type = SM_ACK, .from = s->number};

	(void)size;
	memcpy(&m, bytes, sizeof m);
	if (s->role != FOLLOWING || s->leader_conn != conn)
		return;
	s->heard_ms = local_ms(s);
	switch (m.type) {
	case SM_SYNC:
		take_sync(s, &m);
		break;
	case SM_PROPOSE:
		if (s->logged < m.number + 1)
			s->logged = (unsigned)m.number + 1;
		answer.number = m.number;
		send_peer(s, conn, &answer, NULL);
		break;
	case SM_COMMIT:
		s->known = s->reign->props[m.number].commit;
		if (!s->behind)
			apply_to(s, s->known);
		break;
	case SM_PING:
		send_touches(s);
		break;
	case SM_VALID:
		cl_clients_validated(s, m.session, m.valid);
		break;
	default:
		break;
	}
}

static void
leader_lost(void *owner, struct cl_conn *conn)
{
	struct cl_server *s = owner;

	if (s->leader_conn != conn)
		return;
	s->leader_conn = NULL;
	look(s, "lost its leader");
}

static void
on_connected(void *owner, struct cl_conn *conn, uint64_t token)
{
	struct cl_server *s = owner;
	struct cl_sm m = {.type = SM_JOIN, .from = s->number, .epoch = token};

	if (s->role != FOLLOWING || s->reign->epoch != token || s->leader_conn != NULL) {
		if (conn != NULL)
			cl_close(conn, &s->proc);
		return;
	}
	if (conn == NULL) {
		look(s, "cannot reach its leader");
		return;
	}
	s->leader_conn = conn;
	send_peer(s, conn, &m, NULL);
}

static void
follow(struct cl_server *s, struct cl_reign *r)
{
	s->role = FOLLOWING;
	s->active = false;
	s->reign = r;
	s->heard_ms = local_ms(s);
	cl_dial(
	    &s->proc, &s->e->servers[r->leader].peers, on_connected, &follower_side, s, r->epoch);
}

/* ---- Elections. ---- */

static bool
linked(const struct cl_ens *e, unsigned a, unsigned b)
{
	return !cl_blocked(e->c, a, b) && !cl_blocked(e->c, b, a);
}

static bool
looks(const struct cl_server *s)
{
	return s->role == LOOKING && cl_runs(&s->proc);
}

/* What it has is more than what the other has. */
static bool
has_more(const struct cl_server *a, const struct cl_server *b)
{
	uint64_t x = a->log_reign == NULL ? 0 : a->log_reign->epoch,
		 y = b->log_reign == NULL ? 0 : b->log_reign->epoch;

	return x != y ? x > y : a->logged > b->logged;
}

static void
elect(struct cl_ens *e, struct cl_server *best)
{
	struct cl_reign *r = cl_alloc(sizeof *r);

	r->epoch = ++e->epoch;
	r->zxid_epoch = ++e->zxid_epoch;
	r->zxid_from = e->zxid_from;
	r->leader = best->number;
	r->base = best->log_reign;
	r->base_count = best->logged;
	list_append(&e->reigns, &r->link);
	for (unsigned i = 0; i < e->count; i++)
		if (e->servers[i].reign != NULL && e->servers[i].reign != r && i == best->number)
			e->servers[i].reign->closed = true;
	for (struct list *it = e->reigns.next; it != &e->reigns; it = it->next)
		if (CONTAINER_OF(it, struct cl_reign, link) != r)
			CONTAINER_OF(it, struct cl_reign, link)->closed = true;
	best->role = LEADING;
	best->active = false;
	best->reign = best->log_reign = r;
	best->logged = 0;
	best->led_ms = local_ms(best);
	memset(best->follower, 0, sizeof best->follower);
	if (e->count == 1)
		activate(best);
	for (unsigned i = 0; i < e->count; i++)
		if (&e->servers[i] != best && looks(&e->servers[i]) && linked(e, i, best->number))
			follow(&e->servers[i], r);
}

static void
find_leader(struct cl_ens *e)
{
	for (unsigned i = 0; i < e->count; i++) {
		struct cl_server *s = &e->servers[i];

		for (unsigned k = 0; k < e->count && looks(s); k++) {
			struct cl_server *l = &e->servers[k];

			if (l->role == LEADING && cl_runs(&l->proc) && linked(e, i, k) &&
			    l->reign->epoch >= (s->reign == NULL ? 0 : s->reign->epoch))
				follow(s, l->reign);
		}
	}
	for (unsigned i = 0; i < e->count; i++) {
		struct cl_server *s = &e->servers[i];
		unsigned with = 1;

		for (unsigned k = 0; k < e->count && looks(s); k++)
			if (k != i && looks(&e->servers[k]) && linked(e, i, k) &&
			    !has_more(&e->servers[k], s))
				with++;
		if (looks(s) && with >= quorum(e)) {
			elect(e, s);
			return;
		}
	}
}

static void
on_search(void *arg, uint64_t token)
{
	struct cl_ens *e = arg;
	bool some = false;

	(void)token;
	for (unsigned i = 0; i < e->count; i++)
		some = some || looks(&e->servers[i]);
	if (some)
		find_leader(e);
	world_at(&e->c->world, 200 + rng_below(&e->rng, e->c->conf.tick_ms), on_search, e, 0);
}

/* ---- Time. ---- */

static void
leader_tick(struct cl_server *s)
{
	uint64_t limit = (uint64_t)s->e->c->conf.tick_ms * s->e->c->conf.sync_ticks;
	struct cl_sm m = {.type = SM_PING};
	unsigned heard = 1;

	for (unsigned i = 0; i < s->e->count; i++)
		heard += i != s->number && s->follower[i].conn != NULL && s->follower[i].synced &&
			 local_ms(s) - s->follower[i].heard_ms < limit;
	if (heard < quorum(s->e) && local_ms(s) - s->led_ms >= limit) {
		look(s, "has lost its quorum");
		return;
	}
	tell_followers(s, &m);
	if (s->active)
		expire_sessions(s);
}

static void
tick(struct cl_proc *p)
{
	struct cl_server *s = p->owner;
	uint64_t limit = (uint64_t)s->e->c->conf.tick_ms * s->e->c->conf.sync_ticks;

	if (s->role == LEADING)
		leader_tick(s);
	else if (s->role == FOLLOWING && local_ms(s) - s->heard_ms >= limit)
		look(s, "has not heard its leader");
	cl_timer(p, local_ms(s) + s->e->c->conf.tick_ms / 2);
}

static void
die(struct cl_proc *p)
{
	struct cl_server *s = p->owner;

	look(s, "crashes");
	cl_proc_end(p);
}

static void
start(void *arg, uint64_t token)
{
	struct cl_server *s = arg;

	(void)token;
	if (s->proc.up)
		return;
	cl_proc_start(&s->proc);
	cl_trace(s->e->c, "%s: starts", s->proc.machine->name);
	tick(&s->proc);
}

/* ---- From outside. ---- */

void
cl_ens_new(struct cl *c)
{
	struct cl_ens *e = cl_alloc(sizeof *e);

	c->ens = e;
	e->c = c;
	e->count = c->conf.servers;
	list_init(&e->reigns);
	cl_tree_init(&e->tree);
	world_rng(&c->world, "ensemble", &e->rng);
	for (unsigned i = 0; i < e->count; i++) {
		struct cl_server *s = &e->servers[i];

		s->e = e;
		s->number = i;
		s->proc.owner = s;
		s->proc.die = die;
		s->proc.tick = s->proc.resume = tick;
		list_init(&s->clients);
		cl_proc_init(&s->proc, &c->machines[cl_server_machine(i)]);
		s->peers = (struct cl_listener){&s->proc, accept_peer, s};
		s->port = (struct cl_listener){&s->proc, cl_clients_accept, s};
		start(s, 0);
	}
	find_leader(e);
	on_search(e, 0);
}

void
cl_ens_free(struct cl *c)
{
	struct cl_ens *e = c->ens;
	struct list *first;

	cl_ens_copy_free(c);
	for (unsigned i = 0; i < e->count; i++)
		cl_clients_drop(&e->servers[i]);
	while ((first = list_first(&e->reigns)) != NULL) {
		struct cl_reign *r = CONTAINER_OF(first, struct cl_reign, link);

		list_remove(first);
		for (unsigned k = 0; k < r->count; k++)
			free(r->props[k].ops);
		free(r->props);
		free(r);
	}
	cl_tree_fini(&e->tree);
	free(e->sessions);
	free(e->commits);
	free(e);
	c->ens = NULL;
}

void
cl_server_write(struct cl_server *s, int64_t session, int32_t xid, enum cl_prop_kind kind,
    const uint8_t *ops, size_t size)
{
	struct cl_sm m = {.type = SM_WRITE,
	    .from = s->number,
	    .session = session,
	    .xid = xid,
	    .kind = kind,
	    .size = (uint32_t)size};

	if (s->role == LEADING && s->active)
		leader_write(s, s->number, session, xid, kind, ops, size);
	else if (s->role == FOLLOWING && s->leader_conn != NULL)
		send_peer(s, s->leader_conn, &m, ops);
}

void
cl_server_validate(struct cl_server *s, int64_t session)
{
	struct cl_sm m = {.type = SM_VALIDATE, .from = s->number, .session = session};

	if (s->role == LEADING)
		cl_clients_validated(s, session, revalidate(s, session, s->number));
	else if (s->leader_conn != NULL)
		send_peer(s, s->leader_conn, &m, NULL);
}

const struct cl_listener *
cl_ens_listener(const struct cl *c, unsigned server)
{
	return &c->ens->servers[server].port;
}

void
cl_ens_crash(struct cl *c, unsigned server, uint64_t down_ms)
{
	struct cl_server *s = &c->ens->servers[server];

	if (!s->proc.up)
		return;
	die(&s->proc);
	world_at(&c->world, down_ms, start, s, 0);
}

struct cl_proc *
cl_ens_proc(struct cl *c, unsigned server)
{
	return &c->ens->servers[server].proc;
}

int
cl_ens_leader(const struct cl *c)
{
	for (unsigned i = 0; i < c->ens->count; i++)
		if (c->ens->servers[i].role == LEADING && c->ens->servers[i].active &&
		    !c->ens->servers[i].reign->closed)
			return (int)i;
	return -1;
}

const struct cl_tree *
cl_ens_tree(const struct cl *c, uint64_t *at)
{
	*at = c->ens->commit_count;
	return &c->ens->tree;
}

bool
cl_ens_session_lives(const struct cl *c, int64_t session)
{
	const struct cl_session *s = cl_session_at(c->ens, session);

	return s != NULL && s->alive;
}

static void
on_caught_up(void *arg, uint64_t token)
{
	struct cl_server *s = arg;

	(void)token;
	s->behind = false;
	if (s->role == FOLLOWING && s->active)
		apply_to(s, s->known);
}

void
cl_ens_fall_behind(struct cl *c, unsigned server, uint64_t ms)
{
	struct cl_server *s = &c->ens->servers[server];

	if (s->behind)
		return;
	s->behind = true;
	world_at(&c->world, ms, on_caught_up, s, 0);
}

bool
cl_ens_write(struct cl *c, const struct buf *ops, uint32_t timeout_ms)
{
	int leader = cl_ens_leader(c);
	int64_t session;

	if (leader < 0)
		return false;
	session = cl_session_new(c->ens, timeout_ms);
	cl_server_write(&c->ens->servers[leader], session, 0, PROP_OPEN, NULL, 0);
	cl_server_write(&c->ens->servers[leader], session, 1, PROP_WRITE, ops->data, ops->len);
	return true;
}

bool
cl_ens_haunt(struct cl *c, unsigned count, uint32_t timeout_ms)
{
	static const struct cl_op op = {
	    CL_OP_CREATE, true, CL_ELECTION "/" CL_CANDIDATE, "0", sizeof "0" - 1};
	struct buf ops;
	bool ok;

	buf_init(&ops, 1 << 16);
	for (unsigned i = 0; i < count; i++)
		cl_ops_put(&ops, &op);
	ok = cl_ens_write(c, &ops, timeout_ms);
	buf_fini(&ops);
	return ok;
}

void
cl_ens_expire(struct cl *c, int64_t session)
{
	int leader = cl_ens_leader(c);
	struct cl_session *t = cl_session_at(c->ens, session);

	if (leader >= 0 && t != NULL && t->alive && t->closing != c->ens->servers[leader].reign)
		t->expires_ms[leader] = 0; /* at its next tick */
}
