/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that go from server to server, and hold each answer against what was committed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/codec/jute.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "tests/sim/ens.h"

#define BUFFER_MAX_BYTES ((size_t)4 << 20)
#define LENGTH_BYTES 4
#define REPLY_HEADER_BYTES 16

static const struct hash_key KEY = {1, 2}; /* as ens_check.c's */

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
	c->connected = false;
	c->connection++;
	c->request_count = 0;
	for (unsigned i = 0; i < ENS_PATHS; i++)
		c->missed[i] = 0;
	c->event_zxid = 0;
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

/* Hand over the frames that have arrived, as far as the server takes them. */
static void
feed(struct ens_client *c)
{
	while (c->node != NULL && c->core.end == SERVER_OPEN && c->in.len >= LENGTH_BYTES) {
		struct jute_reader r = jute_reader(c->in.data, LENGTH_BYTES);
		uint32_t size = (uint32_t)jute_get_i32(&r);
		struct server_frame f = {.bytes = c->in.data + LENGTH_BYTES, .size = size};

		if (server_frames(&c->node->server, &c->core, &f, 1) == 0)
			return;
		buf_consume(&c->in, LENGTH_BYTES + size);
		if (c->connected && c->node != NULL && c->node->server.role == SERVER_LEADER) {
			c->touched = c->node;
			c->touched_life = c->node->life;
			c->touched_ms = c->e->world.now_ms;
		}
	}
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

static void
connect_session(struct ens_client *c)
{
	static const uint8_t zeros[SESSION_PASSWORD_BYTES];
	struct ens_node *n = &c->e->nodes[rng_below(&c->rng, c->e->count)];
	size_t at;

	if (!n->up)
		return;
	if (!server_conn_open(&n->server, &c->core, &c->out, "10.0.0.1"))
		exit(71);
	c->node = n;
	if (c->session != 0 && rng_below(&c->rng, 20) == 0)
		c->session = 0; /* a client that forgot: the old session must expire */
	world_trace(&c->e->world, "client %u: connects to %lld for session 0x%llx, next is %d",
	    c->number, (long long)n->sid, (unsigned long long)c->session, c->next_xid + 1);
	at = begin_frame(c);
	jute_put_i32(&c->wire, 0);
	jute_put_i64(&c->wire, c->seen_zxid);
	jute_put_i32(&c->wire, (int32_t)((4 + rng_below(&c->rng, 12)) * c->e->tick_ms));
	jute_put_i64(&c->wire, c->session);
	jute_put_bytes(&c->wire,
	    (struct jute_bytes){c->session != 0 ? c->password : zeros, SESSION_PASSWORD_BYTES});
	jute_put_bool(&c->wire, false);
	end_frame(c, at);
}

/* ---- requests ---- */

static struct jute_bytes
path_text(char text[8], unsigned path)
{
	int len = snprintf(text, 8, "/k%u", path);

	return (struct jute_bytes){(const uint8_t *)text, len};
}

static void
put_value(struct ens_client *c)
{
	char text[4096];
	unsigned more = c->e->value_bytes;
	int len =
	    snprintf(text, sizeof text, "%u.%llu", c->number, (unsigned long long)++c->values);

	more = more > 0 ? (unsigned)rng_below(&c->rng, more) : 0;
	memset(text + len, '.', more);
	text[(unsigned)len + more] = '\0';
	jute_put_text(&c->wire, text);
}

static void
put_create(struct ens_client *c, struct jute_bytes path, int32_t flags)
{
	jute_put_bytes(&c->wire, path);
	put_value(c);
	jute_put_i32(&c->wire, 1);
	jute_put_i32(&c->wire, 31);
	jute_put_text(&c->wire, "world");
	jute_put_text(&c->wire, "anyone");
	jute_put_i32(&c->wire, flags);
}

static void
put_set(struct ens_client *c, struct jute_bytes path)
{
	jute_put_bytes(&c->wire, path);
	put_value(c);
	jute_put_i32(&c->wire, -1);
}

static void
put_part(struct ens_client *c, int32_t op, bool done)
{
	jute_put_i32(&c->wire, op);
	jute_put_bool(&c->wire, done);
	jute_put_i32(&c->wire, -1);
}

/* W5: what changed behind what it has seen it is to be told of at once. */
static void
put_watches(struct ens_client *c)
{
	char text[8];
	int32_t count = 0;

	for (unsigned i = 0; i < ENS_PATHS; i++) {
		c->missed[i] = c->watched[i] < 0 ? -1 : 0;
		count += c->watched[i] >= 0;
	}
	jute_put_i64(&c->wire, c->seen_zxid);
	jute_put_i32(&c->wire, count);
	for (unsigned i = 0; i < ENS_PATHS; i++)
		if (c->watched[i] >= 0)
			jute_put_bytes(&c->wire, path_text(text, i));
	jute_put_i32(&c->wire, 0);
	jute_put_i32(&c->wire, 0);
}

static void
put_body(struct ens_client *c, const struct ens_request *q)
{
	char text[8], other[8];
	struct jute_bytes path = path_text(text, q->path);

	switch (q->op) {
	case ENS_SET:
		put_set(c, path);
		break;
	case ENS_CREATE:
		put_create(c, path, ZK_PERSISTENT);
		break;
	case ENS_EPHEMERAL:
		put_create(c, path, ZK_EPHEMERAL);
		break;
	case ENS_DELETE:
		jute_put_bytes(&c->wire, path);
		jute_put_i32(&c->wire, -1);
		break;
	case ENS_MULTI:
		put_part(c, ZK_OP_SET_DATA, false);
		put_set(c, path);
		put_part(c, ZK_OP_SET_DATA, false);
		put_set(c, path_text(other, (q->path + 1) % ENS_PATHS));
		put_part(c, -1, true);
		break;
	case ENS_BAD_MULTI:
		put_part(c, ZK_OP_SET_DATA, false);
		put_set(c, path);
		put_part(c, ZK_OP_DELETE, false);
		jute_put_text(&c->wire, "/nowhere");
		jute_put_i32(&c->wire, -1);
		put_part(c, -1, true);
		break;
	case ENS_CLOSE:
		c->closing = true;
		c->asked_end = c->session;
		break;
	case ENS_GET:
		jute_put_bytes(&c->wire, path);
		jute_put_bool(&c->wire, q->watch);
		break;
	case ENS_SYNC:
		jute_put_bytes(&c->wire, path);
		break;
	case ENS_SET_WATCHES:
		put_watches(c);
		break;
	case ENS_RECONFIG:
		ens_reconf_put(c->e, &c->rng, &c->wire);
		break;
	}
}

static const int32_t codes[] = {[ENS_SET] = ZK_OP_SET_DATA,
    [ENS_CREATE] = ZK_OP_CREATE,
    [ENS_DELETE] = ZK_OP_DELETE,
    [ENS_MULTI] = ZK_OP_MULTI,
    [ENS_GET] = ZK_OP_GET_DATA,
    [ENS_SYNC] = ZK_OP_SYNC,
    [ENS_EPHEMERAL] = ZK_OP_CREATE,
    [ENS_BAD_MULTI] = ZK_OP_MULTI,
    [ENS_CLOSE] = ZK_OP_CLOSE_SESSION,
    [ENS_RECONFIG] = ZK_OP_RECONFIG,
    [ENS_SET_WATCHES] = ZK_OP_SET_WATCHES};

static void
set_watches(struct ens_client *c)
{
	struct ens_request *q = &c->requests[c->request_count++];
	size_t at = begin_frame(c);

	*q = (struct ens_request){.xid = ZK_XID_SET_WATCHES,
	    .op = ENS_SET_WATCHES,
	    .must_zxid = c->e->check.answered_zxid};
	jute_put_i32(&c->wire, q->xid);
	jute_put_i32(&c->wire, codes[q->op]);
	put_body(c, q);
	end_frame(c, at);
}

static void
send_request(struct ens_client *c)
{
	static const enum ens_op ops[] = {ENS_SET, ENS_SET, ENS_SET, ENS_CREATE, ENS_CREATE,
	    ENS_DELETE, ENS_MULTI, ENS_GET, ENS_GET, ENS_GET, ENS_SYNC, ENS_EPHEMERAL,
	    ENS_BAD_MULTI};
	struct ens_request *q = &c->requests[c->request_count++];
	size_t at = begin_frame(c);

	*q = (struct ens_request){.xid = ++c->next_xid,
	    .op = ops[rng_below(&c->rng, sizeof ops / sizeof ops[0])],
	    .path = (unsigned)rng_below(&c->rng, ENS_PATHS),
	    .watch = rng_below(&c->rng, 2) == 0,
	    .must_zxid = c->e->check.answered_zxid};
	if (rng_below(&c->rng, 200) == 0)
		q->op = ENS_CLOSE;
	if (c->e->reconfig && c->number == 0 && rng_below(&c->rng, 25) == 0)
		q->op = ENS_RECONFIG;
	jute_put_i32(&c->wire, q->xid);
	jute_put_i32(&c->wire, codes[q->op]);
	put_body(c, q);
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

/* C4: what is read is what was there at the answer's zxid. */
static void
check_read(struct ens_client *c, const struct ens_request *q, int64_t zxid, int32_t error,
    struct jute_reader r)
{
	const struct ens_state *state = ens_check_state(&c->e->check, q->path, zxid);
	struct jute_bytes data;

	c->e->check.reads++;
	if (zxid < c->synced_zxid)
		VIOLATION(c, "C5: client %u reads at 0x%llx behind a sync that saw 0x%llx",
		    c->number, (unsigned long long)zxid, (unsigned long long)c->synced_zxid);
	if (error != (state->exists ? ZK_OK : ZK_NONODE)) {
		VIOLATION(c, "C4: client %u: reading /k%u at 0x%llx fails with %d, it %s",
		    c->number, q->path, (unsigned long long)zxid, error,
		    state->exists ? "exists" : "does not");
		return;
	}
	if (error != ZK_OK)
		return;
	data = jute_get_bytes(&r);
	if (hash_bytes(&KEY, data.data, (size_t)(data.len > 0 ? data.len : 0)) != state->data)
		VIOLATION(c,
		    "C4: client %u reads /k%u at 0x%llx: %.*s is not what 0x%llx put there",
		    c->number, q->path, (unsigned long long)zxid, data.len > 0 ? data.len : 0,
		    (const char *)data.data, (unsigned long long)state->zxid);
}

/* W1: whoever sees a change was told of it, if there was a watch. */
static void
check_untold(struct ens_client *c, int64_t zxid)
{
	for (unsigned i = 0; i < ENS_PATHS; i++) {
		const struct ens_state *change =
		    c->watched[i] < 0 ? NULL
				      : ens_check_change(&c->e->check, i, c->watched[i]);

		if (change != NULL && change->zxid <= zxid)
			VIOLATION(c, "W1: client %u is answered at 0x%llx, was not told of 0x%llx",
			    c->number, (unsigned long long)zxid, (unsigned long long)change->zxid);
	}
}

/*
 * W5: the watches that were set again are there, or what was missed was told: of what the node is
 * by the answer, not of all that it was meanwhile.
 */
static void
check_missed(struct ens_client *c, int64_t zxid)
{
	for (unsigned i = 0; i < ENS_PATHS; i++) {
		const struct ens_state *state = ens_check_state(&c->e->check, i, zxid);

		if (c->missed[i] > 0 && c->missed[i] != (state->exists ? 3 : 2))
			VIOLATION(c,
			    "W5: client %u is told of event %d at /k%u, which by 0x%llx %s",
			    c->number, c->missed[i], i, (unsigned long long)zxid,
			    state->exists ? "exists" : "does not exist");
		c->missed[i] = 0;
	}
}

static bool
sets_watches(const struct ens_client *c)
{
	return c->request_count > 0 && c->requests[0].op == ENS_SET_WATCHES;
}

/*
 * W2 to W4: an event is of a watch, once, and of the first change behind it; and they come in the
 * order of the changes. Those that were missed come all at once, in the order of the request.
 */
static void
take_event(struct ens_client *c, struct jute_reader r)
{
	const struct ens_state *change = NULL;
	struct jute_bytes path;
	int32_t type = jute_get_i32(&r);
	unsigned at;

	jute_get_i32(&r);
	path = jute_get_bytes(&r);
	at = path.len == 3 ? (unsigned)(path.data[2] - '0') : ENS_PATHS;
	c->events++;
	if (at < ENS_PATHS && c->watched[at] >= 0)
		change = ens_check_change(&c->e->check, at, c->watched[at]);
	if (change != NULL && sets_watches(c)) {
		c->missed[at] = type;
		c->watched[at] = -1;
		return;
	}
	if (change == NULL || type != (change->exists ? 3 : 2)) {
		VIOLATION(c, "W3: client %u is told of event %d at %.*s, which it has no watch for",
		    c->number, type, path.len, (const char *)path.data);
		return;
	}
	c->watched[at] = -1;
	if (change->zxid < c->event_zxid)
		VIOLATION(c, "W2: client %u is told of 0x%llx behind 0x%llx", c->number,
		    (unsigned long long)change->zxid, (unsigned long long)c->event_zxid);
	c->event_zxid = change->zxid;
}

static void
take_reply(struct ens_client *c, struct jute_reader r)
{
	struct ens_request q = c->requests[0];
	int32_t xid = jute_get_i32(&r);
	int64_t zxid = jute_get_i64(&r);
	int32_t error = jute_get_i32(&r);
	bool write = q.op != ENS_GET && q.op != ENS_SYNC && q.op != ENS_SET_WATCHES;

	if (xid == -1) {
		take_event(c, r);
		return;
	}

	if (c->request_count == 0 || xid != q.xid) {
		VIOLATION(c, "C2: client %u is answered xid %d, waits for %d", c->number, xid,
		    c->request_count > 0 ? q.xid : 0);
		return;
	}
	memmove(c->requests, c->requests + 1, --c->request_count * sizeof q);
	c->replies++;
	if (error == ZK_SESSIONMOVED || error == ZK_SESSIONEXPIRED)
		return; /* it says nothing of the tree, and comes from a server that it leaves */
	if (zxid < c->seen_zxid)
		VIOLATION(c, "C3: client %u has seen 0x%llx, is answered at 0x%llx", c->number,
		    (unsigned long long)c->seen_zxid, (unsigned long long)zxid);
	c->seen_zxid = zxid > c->seen_zxid ? zxid : c->seen_zxid;
	if (write) {
		if (zxid > ens_check_last(&c->e->check))
			VIOLATION(c, "C9: client %u is told of 0x%llx, which is not committed",
			    c->number, (unsigned long long)zxid);
		if (zxid <= q.must_zxid)
			VIOLATION(c,
			    "C1: client %u: 0x%llx comes before 0x%llx, which was answered "
			    "before it was asked for",
			    c->number, (unsigned long long)zxid, (unsigned long long)q.must_zxid);
		if (zxid > c->e->check.answered_zxid)
			c->e->check.answered_zxid = zxid;
		c->e->check.refused_reconfigs += error != ZK_OK && q.op == ENS_RECONFIG;
		c->e->check.acked_writes += error == ZK_OK && q.op != ENS_BAD_MULTI;
	} else if (q.op == ENS_SYNC && error == ZK_OK) {
		c->e->check.syncs++;
		c->synced_zxid = q.must_zxid > c->synced_zxid ? q.must_zxid : c->synced_zxid;
	} else if (q.op == ENS_GET) {
		check_read(c, &q, zxid, error, r);
		if (q.watch && error == ZK_OK && c->watched[q.path] < 0)
			c->watched[q.path] = zxid;
	}
	if (zxid < c->event_zxid)
		VIOLATION(c, "W2: client %u is answered at 0x%llx behind an event of 0x%llx",
		    c->number, (unsigned long long)zxid, (unsigned long long)c->event_zxid);
	check_untold(c, zxid);
	if (q.op == ENS_SET_WATCHES)
		check_missed(c, zxid);
	if (q.op == ENS_BAD_MULTI && error == ZK_OK && jute_get_i32(&r) != ZK_OP_ERROR)
		VIOLATION(c, "C6: client %u: a multi with a part that fails succeeds", c->number);
	if (q.op == ENS_CLOSE)
		c->session = 0;
}

static void
take_connected(struct ens_client *c, struct jute_reader r)
{
	int64_t session;

	jute_get_i32(&r);
	c->timeout_ms = jute_get_i32(&r);
	session = jute_get_i64(&r);
	if (session == 0) {
		c->expired++;
		c->session = 0;
		return; /* the server closes */
	}
	if (session != c->session) {
		c->sessions++;
		for (unsigned i = 0; i < ENS_PATHS; i++)
			c->watched[i] = -1;
	}
	c->closing = false;
	c->session = session;
	memcpy(c->password, jute_get_bytes(&r).data, sizeof c->password);
	c->connected = true;
	c->synced_zxid = 0;
	for (unsigned i = 0; i < ENS_PATHS; i++)
		if (c->watched[i] >= 0) {
			set_watches(c);
			return;
		}
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

		*c = (struct ens_client){.e = e, .number = i};
		for (unsigned k = 0; k < ENS_PATHS; k++)
			c->watched[k] = -1;
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
