/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that go from server to server, and hold each answer against what was committed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/codec/jute.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "tests/sim/ens.h"

#define BUFFER_MAX_BYTES ((size_t)4 << 20)
#define LENGTH_BYTES 4

static void plan(struct ens_client *c, uint64_t delay_ms);

#define VIOLATION(c, ...) world_violation(&(c)->e->world, __VA_ARGS__)

/* ---- connections ---- */

static void
cut(struct ens_client *c)
{
	if (c->node == NULL)
		return;
	server_conn_close(&c->node->server, &c->core);
	c->node = NULL;
	c->connected = c->read_only = false;
	c->connection++;
	c->request_count = 0;
	buf_clear(&c->out);
	buf_clear(&c->in);
	buf_clear(&c->wire);
}

void
ens_clients_gone(struct ens_node *n)
{
	for (unsigned i = 0; i < ENS_CLIENTS; i++)
		if (n->e->clients[i].node == n) {
			cut(&n->e->clients[i]);
			plan(&n->e->clients[i], rng_below(&n->e->clients[i].rng, 200));
		}
}

/* What a server's shell does with an auth packet; false: it must wait, or is none. */
static bool
authenticate(struct ens_client *c, const struct server_frame *f)
{
	struct jute_reader r = jute_reader(f->bytes, f->size);

	if (server_conn_blocked(&c->node->server, &c->core) || !server_frame_is_auth(&c->core, f))
		return false;
	jute_get_i32(&r);
	jute_get_i32(&r);
	if (!server_conn_identify(&c->core, "digest", ens_work_user((unsigned)jute_get_i32(&r))))
		exit(71);
	server_auth(&c->node->server, &c->core, ZK_XID_AUTH, true);
	return true;
}

/* Hand over the frames that have arrived, as far as the server takes them. */
static void
feed(struct ens_client *c)
{
	while (c->node != NULL && c->core.end == SERVER_OPEN && c->in.len >= LENGTH_BYTES) {
		struct jute_reader r = jute_reader(c->in.data, LENGTH_BYTES);
		uint32_t size = (uint32_t)jute_get_i32(&r);
		struct server_frame f = {.bytes = c->in.data + LENGTH_BYTES, .size = size};

		bool served = server_frames(&c->node->server, &c->core, &f, 1) > 0;

		if (!served && !authenticate(c, &f))
			return;
		buf_consume(&c->in, LENGTH_BYTES + size);
		/* An auth packet is no request: as at Apache's, the session does not show itself.
		 */
		if (served && c->connected && c->node != NULL &&
		    c->node->server.role == SERVER_LEADER) {
			c->touched = c->node;
			c->touched_life = c->node->life;
			c->touched_ms = c->e->world.now_ms;
		}
	}
}

/* S6: who holds the session keeps it when somebody comes who does not know its password. */
static void
feed_stranger(struct ens_client *c)
{
	const struct ens_node *n = c->node;
	const struct ens_client *owner = NULL;

	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		const struct ens_client *other = &c->e->clients[i];

		if (other != c && other->node == n && other->connected &&
		    other->session == c->asked_session && other->core.end == SERVER_OPEN)
			owner = other;
	}
	feed(c);
	if (owner != NULL && owner->core.end != SERVER_OPEN)
		VIOLATION(c, "S6: client %u takes session 0x%llx from its owner", c->number,
		    (unsigned long long)c->asked_session);
}

static void
on_arrival(void *arg, uint64_t token)
{
	struct ens_client *c = arg;
	struct ens_node *n = c->node;

	if (c->connection != token || n == NULL || ens_node_sleeps(n, on_arrival, arg, token))
		return;
	buf_append(&c->in, c->wire.data, c->wire.len);
	buf_clear(&c->wire);
	ens_node_set_time(n);
	if (c->stranger && !c->connected)
		feed_stranger(c);
	else
		feed(c);
	ens_node_turn(n);
}

static size_t
begin_frame(struct ens_client *c)
{
	size_t at = c->wire.len;

	jute_put_i32(&c->wire, 0);
	return at;
}

static void
end_frame(struct ens_client *c, size_t at)
{
	jute_set_i32(&c->wire, at, (int32_t)(c->wire.len - at - LENGTH_BYTES));
	world_at(&c->e->world, rng_below(&c->rng, 5), on_arrival, c, c->connection);
}

/* Now and then it comes to a session, its own or another's, with a password that is wrong. */
static void
draw_stranger(struct ens_client *c)
{
	c->stranger = ens_work_does(c->e, ENS_KIND_STRANGERS) && rng_below(&c->rng, 8) == 0;
	if (c->stranger && rng_below(&c->rng, 2) == 0)
		c->asked_session = c->e->clients[rng_below(&c->rng, ENS_CLIENTS)].session;
	c->stranger = c->stranger && c->asked_session != 0;
}

static int32_t
draw_timeout(struct ens_client *c)
{
	int32_t tick_ms = (int32_t)c->e->tick_ms,
		odd[] = {0, -1, 1, tick_ms, 40 * tick_ms, INT32_MAX};

	if (ens_work_does(c->e, ENS_KIND_TIMEOUTS) && rng_below(&c->rng, 3) == 0)
		return odd[rng_below(&c->rng, sizeof odd / sizeof odd[0])];
	return (int32_t)(4 + rng_below(&c->rng, 12)) * tick_ms;
}

static void
put_password(struct ens_client *c)
{
	static const int32_t sizes[] = {SESSION_PASSWORD_BYTES, SESSION_PASSWORD_BYTES,
	    SESSION_PASSWORD_BYTES + 1, SESSION_PASSWORD_BYTES - 1, 0};
	uint8_t bytes[SESSION_PASSWORD_BYTES + 1] = {0};
	int32_t size = SESSION_PASSWORD_BYTES;

	if (c->asked_session == c->session && c->session != 0)
		memcpy(bytes, c->password, sizeof c->password);
	if (c->stranger) {
		bytes[rng_below(&c->rng, SESSION_PASSWORD_BYTES)] ^=
		    (uint8_t)(1 + rng_below(&c->rng, 255));
		size = sizes[rng_below(&c->rng, sizeof sizes / sizeof sizes[0])];
	}
	jute_put_bytes(&c->wire, (struct jute_bytes){bytes, size});
}

static void
connect_session(struct ens_client *c)
{
	struct ens_node *n = &c->e->nodes[rng_below(&c->rng, c->e->count)];
	size_t at;

	if (!n->up)
		return;
	if (!server_conn_open(&n->server, &c->core, &c->out, "10.0.0.1"))
		exit(71);
	c->node = n;
	if (c->session != 0 && rng_below(&c->rng, 20) == 0)
		c->session = 0; /* a client that forgot: the old session must expire */
	c->asked_session = c->session;
	draw_stranger(c);
	c->asked_local = ens_session_is_local(c->e, c->asked_session);
	c->asked_timeout_ms = draw_timeout(c);
	/* The leader goes by it from now on, even if the answer never comes. */
	if (!c->stranger && ens_session_timeout(c) < c->least_timeout_ms)
		c->least_timeout_ms = ens_session_timeout(c);
	world_trace(&c->e->world, "client %u: connects to %lld for session 0x%llx, next is %d",
	    c->number, (long long)n->sid, (unsigned long long)c->asked_session, c->next_xid + 1);
	at = begin_frame(c);
	jute_put_i32(&c->wire, 0);
	jute_put_i64(&c->wire, c->seen_zxid);
	jute_put_i32(&c->wire, c->asked_timeout_ms);
	jute_put_i64(&c->wire, c->asked_session);
	put_password(c);
	jute_put_bool(&c->wire, c->asks_read_only);
	end_frame(c, at);
}

static void
send_request(struct ens_client *c)
{
	size_t at = begin_frame(c);

	ens_work_request(c);
	end_frame(c, at);
}

static void
on_act(void *arg, uint64_t token)
{
	struct ens_client *c = arg;

	if (c->connection != token)
		return;
	if (c->e->rest_until_ms > c->e->world.now_ms) {
		plan(c, c->e->rest_until_ms - c->e->world.now_ms + rng_below(&c->rng, 400));
		return;
	}
	if (c->node == NULL) {
		if (!c->e->quiet)
			connect_session(c);
	} else if (c->connected && !c->e->quiet && !c->closing && rng_below(&c->rng, 100) < 97) {
		for (uint64_t burst = 1 + rng_below(&c->rng, 4);
		     burst > 0 && !c->closing && c->request_count + 1 < ENS_REQUESTS_MAX; burst--)
			send_request(c);
	} else if (!c->e->quiet && (!c->closing || rng_below(&c->rng, 8) == 0))
		cut(c); /* it waited too long, or wants another server */
	plan(c, rng_below(&c->rng, 60) == 0 ? rng_below(&c->rng, 15 * c->e->tick_ms)
					    : rng_below(&c->rng, 400));
}

static void
plan(struct ens_client *c, uint64_t delay_ms)
{
	world_at(&c->e->world, delay_ms, on_act, c, c->connection);
}

/* ---- answers ---- */

/* C2: they come in the order of the requests. */
static void
take_reply(struct ens_client *c, struct jute_reader r)
{
	struct ens_request q = c->requests[0];
	int32_t xid = jute_get_i32(&r);
	int64_t zxid = jute_get_i64(&r);
	int32_t error = jute_get_i32(&r);

	if (xid == ZK_XID_AUTH)
		return;
	if (xid == ZK_XID_EVENT) {
		ens_watch_event(c, zxid, r);
		return;
	}
	if (c->request_count == 0 || xid != q.xid) {
		VIOLATION(c, "C2: client %u is answered xid %d, waits for %d", c->number, xid,
		    c->request_count > 0 ? q.xid : 0);
		return;
	}
	memmove(c->requests, c->requests + 1, --c->request_count * sizeof q);
	c->replies++;
	ens_answer(c, &q, zxid, error, r);
}

/* Who it is, and what it watches, before anything else. */
static void
introduce(struct ens_client *c)
{
	size_t at;

	for (unsigned user = 0; user < ENS_USERS; user++) {
		if ((c->users >> user & 1) == 0)
			continue;
		at = begin_frame(c);
		ens_work_auth(c, user);
		end_frame(c, at);
	}
	if (c->watch_count == 0)
		return;
	at = begin_frame(c);
	ens_work_set_watches(c);
	end_frame(c, at);
}

static void
take_connected(struct ens_client *c, struct jute_reader r)
{
	int32_t timeout_ms;
	int64_t session;
	struct jute_bytes password;
	bool read_only;

	jute_get_i32(&r);
	timeout_ms = jute_get_i32(&r);
	session = jute_get_i64(&r);
	password = jute_get_bytes(&r);
	read_only = jute_get_bool(&r);
	ens_session_answered(c, timeout_ms, session, password, read_only);
	if (session == 0) {
		c->expired++;
		if (!c->stranger)
			c->session = 0;
		return; /* the server closes */
	}
	if (session != c->session) {
		c->sessions++;
		c->least_timeout_ms = timeout_ms;
		ens_watch_forget(c);
	}
	c->closing = false;
	c->session = session;
	c->timeout_ms = timeout_ms;
	memcpy(c->password, password.data, sizeof c->password);
	c->connected = true;
	c->read_only = read_only;
	c->synced_zxid = 0;
	ens_watch_connected(c);
	introduce(c);
}

static void
take_frames(struct ens_client *c)
{
	while (c->out.len >= LENGTH_BYTES && c->e->world.violation[0] == '\0') {
		struct jute_reader r = jute_reader(c->out.data, LENGTH_BYTES);
		size_t size = (size_t)jute_get_i32(&r);

		r = jute_reader(c->out.data + LENGTH_BYTES, size);
		if (c->connected)
			take_reply(c, r);
		else
			take_connected(c, r);
		buf_consume(&c->out, LENGTH_BYTES + size);
	}
}

bool
ens_clients_serve(struct ens_node *n)
{
	struct server_conn *core;
	bool any = false;

	while (n->e->world.violation[0] == '\0' && (core = server_next_dirty(&n->server)) != NULL) {
		struct ens_client *c = CONTAINER_OF(core, struct ens_client, core);

		any = true;
		if (core->end != SERVER_CLOSE_NOW)
			take_frames(c);
		if (core->end != SERVER_OPEN) {
			cut(c);
			plan(c, rng_below(&c->rng, 300));
		} else
			feed(c);
	}
	return any;
}

void
ens_clients_init(struct ens *e)
{
	char name[32];

	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		struct ens_client *c = &e->clients[i];

		*c = (struct ens_client){.e = e,
		    .number = i,
		    .users = ens_work_does(e, ENS_KIND_ACLS) ? i % (1u << ENS_USERS) : 0,
		    .asks_read_only = ens_work_does(e, ENS_KIND_READ_ONLY) && i % 2 == 0};
		snprintf(name, sizeof name, "client %u", i);
		world_rng(&e->world, name, &c->rng);
		buf_init(&c->out, BUFFER_MAX_BYTES);
		buf_init(&c->in, BUFFER_MAX_BYTES);
		buf_init(&c->wire, BUFFER_MAX_BYTES);
	}
}

void
ens_clients_fini(struct ens *e)
{
	for (unsigned i = 0; i < ENS_CLIENTS; i++) {
		buf_fini(&e->clients[i].out);
		buf_fini(&e->clients[i].in);
		buf_fini(&e->clients[i].wire);
	}
}

void
ens_clients_start(struct ens *e)
{
	for (unsigned i = 0; i < ENS_CLIENTS; i++)
		plan(&e->clients[i], rng_below(&e->clients[i].rng, 1000));
}

bool
ens_clients_idle(const struct ens *e)
{
	for (unsigned i = 0; i < ENS_CLIENTS; i++)
		if (e->clients[i].node != NULL &&
		    members_find(&e->check.in_force, e->clients[i].node->sid) != NULL &&
		    (e->clients[i].request_count > 0 || !e->clients[i].connected))
			return false;
	return true;
}
