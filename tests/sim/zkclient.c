/* SPDX-License-Identifier: Apache-2.0 */
/* What clients do; zkcheck.c has what the server's answers are held against. */
#include "tests/sim/zkclient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/codec/jute.h"
#include "tests/sim/zkcheck.h"
#include "tests/sim/zkkinds.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/core/txn.h"

#define BUFFER_MAX_BYTES ((size_t)4 << 20)
#define LENGTH_BYTES 4
#define ROOTS 3
#define LEAVES 3

static void plan(struct zkclient *c, uint64_t delay_ms);
static void feed(struct zkclient *c);

static struct jute_bytes
text(const char *s)
{
	return (struct jute_bytes){(const uint8_t *)s, (int32_t)strlen(s)};
}

void
zkclient_cut(struct zkclient *c)
{
	if (c->state == ZKCLIENT_AWAY)
		return;
	server_conn_close(&c->node->server, &c->core);
	c->state = ZKCLIENT_AWAY;
	c->connection++;
	c->request_count = c->watch_count = 0;
	zkstream_end(&c->stream);
	c->event_zxid = 0;
	buf_clear(&c->out);
	buf_clear(&c->in);
	buf_clear(&c->wire);
}

/* ---- sending ---- */

static void
on_arrival(void *arg, uint64_t token)
{
	struct zkclient *c = arg;

	if (c->connection != token || c->state == ZKCLIENT_AWAY)
		return;
	buf_append(&c->in, c->wire.data, c->wire.len);
	buf_clear(&c->wire);
	zknode_set_time(c->node);
	feed(c);
	zknode_turn(c->node);
}

/* Begin a frame; end_frame() fills its length in and sends it. */
static size_t
begin_frame(struct zkclient *c)
{
	size_t at = c->wire.len;

	jute_put_i32(&c->wire, 0);
	return at;
}

static void
end_frame(struct zkclient *c, size_t at)
{
	jute_set_i32(&c->wire, at, (int32_t)(c->wire.len - at - LENGTH_BYTES));
	world_at(c->node->world, rng_below(&c->rng, 20), on_arrival, c, c->connection);
}

static void
connect_session(struct zkclient *c)
{
	static const uint8_t zeros[SESSION_PASSWORD_BYTES];
	size_t at;

	c->state = ZKCLIENT_CONNECTING;
	if (!server_conn_open(&c->node->server, &c->core, &c->out, "10.0.0.1")) {
		world_violation(c->node->world, "no memory for a connection");
		return;
	}
	if (c->session != 0 && rng_below(&c->rng, 6) == 0)
		c->session = 0; /* a client that forgot: the old session must expire */
	if (c->session == 0)
		c->last_zxid = 0;
	at = begin_frame(c);
	jute_put_i32(&c->wire, 0);
	jute_put_i64(&c->wire, c->last_zxid);
	jute_put_i32(&c->wire, (int32_t)(rng_below(&c->rng, 12) * c->node->settings.tick_ms));
	jute_put_i64(&c->wire, c->session);
	jute_put_bytes(&c->wire,
	    (struct jute_bytes){c->session != 0 ? c->password : zeros, SESSION_PASSWORD_BYTES});
	jute_put_bool(&c->wire, false);
	c->closing = false;
	world_trace(c->node->world, "client %u connects, session 0x%llx", c->number,
	    (unsigned long long)c->session);
	end_frame(c, at);
}

static void
random_path(struct zkclient *c, char path[ZKCLIENT_PATH_BYTES])
{
	unsigned root = (unsigned)rng_below(&c->rng, ROOTS),
		 leaf = (unsigned)rng_below(&c->rng, 2 * LEAVES);

	if (leaf < LEAVES)
		snprintf(path, ZKCLIENT_PATH_BYTES, "/k%u/c%u", root, leaf);
	else
		snprintf(path, ZKCLIENT_PATH_BYTES, "/k%u", root);
}

void
zkclient_put_acl(struct buf *b)
{
	jute_put_i32(b, 1);
	jute_put_i32(b, 31);
	jute_put_text(b, "world");
	jute_put_text(b, "anyone");
}

/* The body of a create: sequential ones are not told apart from others by the model. */
static void
put_create(struct zkclient *c, const struct zkclient_request *q, int32_t flags)
{
	jute_put_bytes(&c->wire, text(q->path));
	jute_put_bytes(&c->wire, text(q->data));
	zkclient_put_acl(&c->wire);
	jute_put_i32(&c->wire, flags);
}

static void
put_multi_head(struct buf *b, int32_t op, bool done)
{
	jute_put_i32(b, op);
	jute_put_bool(b, done);
	jute_put_i32(b, -1);
}

/* Two creates and a set, or a check that may fail all of it. */
static void
put_multi(struct zkclient *c, const struct zkclient_request *q)
{
	struct zkclient_request other = *q;

	put_multi_head(&c->wire, ZK_OP_CREATE, false);
	put_create(c, q, ZK_SEQUENTIAL);
	random_path(c, other.path);
	put_multi_head(&c->wire, ZK_OP_CREATE, false);
	put_create(c, &other, rng_below(&c->rng, 2) == 0 ? ZK_EPHEMERAL : ZK_PERSISTENT);
	put_multi_head(&c->wire, ZK_OP_SET_DATA, false);
	jute_put_bytes(&c->wire, text(other.path));
	jute_put_bytes(&c->wire, text(q->data));
	jute_put_i32(&c->wire, 0);
	if (rng_below(&c->rng, 3) == 0) {
		put_multi_head(&c->wire, ZK_OP_CHECK, false);
		jute_put_bytes(&c->wire, text("/k0"));
		jute_put_i32(&c->wire, 1);
	}
	if (rng_below(&c->rng, 3) == 0) {
		put_multi_head(&c->wire, ZK_OP_DELETE, false);
		jute_put_bytes(&c->wire, text(other.path));
		jute_put_i32(&c->wire, -1);
	}
	put_multi_head(&c->wire, -1, true);
}

/* setWatches2 with this path among the persistent or the recursive ones. */
static void
put_rewatch(struct zkclient *c, const struct zkclient_request *q)
{
	jute_put_i64(&c->wire, c->last_zxid);
	for (int list = 0; list < 5; list++) {
		bool named = list == (q->watch ? 4 : 3);

		jute_put_i32(&c->wire, named ? 1 : 0);
		if (named)
			jute_put_bytes(&c->wire, text(q->path));
	}
}

static void
put_body(struct zkclient *c, struct zkclient_request *q)
{
	switch (q->op) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
		put_create(c, q, (int32_t)rng_below(&c->rng, 4));
		break;
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		put_create(c, q, zkkinds_flags(c, q));
		if (q->op == ZK_OP_CREATE_TTL)
			zkkinds_put_ttl(c);
		break;
	case ZK_OP_SET_DATA:
		jute_put_bytes(&c->wire, text(q->path));
		jute_put_bytes(&c->wire, text(q->data));
		jute_put_i32(&c->wire, q->version);
		break;
	case ZK_OP_SET_ACL:
		jute_put_bytes(&c->wire, text(q->path));
		zkclient_put_acl(&c->wire);
		jute_put_i32(&c->wire, -1);
		break;
	case ZK_OP_DELETE:
		jute_put_bytes(&c->wire, text(q->path));
		jute_put_i32(&c->wire, q->version);
		break;
	case ZK_OP_EXISTS:
	case ZK_OP_GET_DATA:
	case ZK_OP_GET_CHILDREN2:
		jute_put_bytes(&c->wire, text(q->path));
		jute_put_bool(&c->wire, q->watch);
		break;
	case ZK_OP_ADD_WATCH:
		jute_put_bytes(&c->wire, text(q->path));
		jute_put_i32(&c->wire, q->watch ? ZK_ADD_WATCH_RECURSIVE : ZK_ADD_WATCH_PERSISTENT);
		break;
	case ZK_OP_CHECK_WATCHES:
	case ZK_OP_REMOVE_WATCHES:
		jute_put_bytes(&c->wire, text(q->path));
		jute_put_i32(&c->wire, ZK_WATCHER_ANY);
		break;
	case ZK_OP_SET_WATCHES2:
		put_rewatch(c, q);
		break;
	case ZK_OP_SYNC:
		jute_put_bytes(&c->wire, text(q->path));
		break;
	case ZK_OP_MULTI:
		if (q->quota != ZKCLIENT_QUOTA_NONE)
			zkkinds_put_quota(c, q);
		else
			put_multi(c, q);
		break;
	default:
		break;
	}
}

static const int32_t watch_ops[] = {
    ZK_OP_ADD_WATCH,
    ZK_OP_ADD_WATCH,
    ZK_OP_SET_WATCHES2,
    ZK_OP_CHECK_WATCHES,
    ZK_OP_REMOVE_WATCHES,
};

static bool
is_watch_op(int32_t op)
{
	for (size_t i = 0; i < sizeof(watch_ops) / sizeof(watch_ops[0]); i++)
		if (watch_ops[i] == op)
			return true;
	return false;
}

static void
send_request(struct zkclient *c, int32_t op)
{
	struct zkclient_request *q = &c->requests[c->request_count++];
	size_t at = begin_frame(c);

	*q = (struct zkclient_request){
	    .xid = op == ZK_OP_PING ? ZK_XID_PING : ++c->next_xid,
	    .op = op,
	    .version = rng_below(&c->rng, 2) == 0 ? -1 : (int32_t)rng_below(&c->rng, 4),
	};
	random_path(c, q->path);
	if (is_watch_op(op)) {
		q->watch = rng_below(&c->rng, 2) == 0;
		if (rng_below(&c->rng, 8) == 0)
			snprintf(q->path, sizeof(q->path), "/");
	} else if (!c->listens && c->watch_count + c->request_count < ZKCLIENT_WATCHES_MAX / 2)
		q->watch = rng_below(&c->rng, 2) == 0;
	snprintf(q->data, sizeof(q->data), "%u.%d.", c->number, c->next_xid);
	if (rng_below(&c->rng, 5) == 0)
		memset(q->data + strlen(q->data), 'x', rng_below(&c->rng, sizeof(q->data) - 32));
	if (c->node->kinds)
		zkkinds_choose(c, q);
	if (op == ZK_OP_CLOSE_SESSION) {
		c->closing = true;
		c->asked_session = c->session;
	}
	jute_put_i32(&c->wire, q->xid);
	jute_put_i32(&c->wire, op);
	put_body(c, q);
	end_frame(c, at);
}

static int32_t
random_op(struct zkclient *c)
{
	static const int32_t ops[] = {
	    ZK_OP_CREATE,
	    ZK_OP_CREATE,
	    ZK_OP_CREATE2,
	    ZK_OP_CREATE,
	    ZK_OP_SET_DATA,
	    ZK_OP_SET_DATA,
	    ZK_OP_SET_ACL,
	    ZK_OP_DELETE,
	    ZK_OP_DELETE,
	    ZK_OP_EXISTS,
	    ZK_OP_GET_DATA,
	    ZK_OP_GET_DATA,
	    ZK_OP_GET_CHILDREN2,
	    ZK_OP_SYNC,
	    ZK_OP_MULTI,
	    ZK_OP_PING,
	};

	if (rng_below(&c->rng, 60) == 0)
		return ZK_OP_CLOSE_SESSION;
	if (c->node->kinds && rng_below(&c->rng, 5) == 0)
		return zkkinds_op(c);
	if (c->listens && rng_below(&c->rng, 3) == 0)
		return watch_ops[rng_below(&c->rng, sizeof(watch_ops) / sizeof(watch_ops[0]))];
	return ops[rng_below(&c->rng, sizeof(ops) / sizeof(ops[0]))];
}

/* ---- the random life ---- */

static void
on_act(void *arg, uint64_t token)
{
	struct zkclient *c = arg;
	uint64_t what = rng_below(&c->rng, 100);

	if (c->connection != token)
		return;
	if (!c->node->up) {
		plan(c, 50 + rng_below(&c->rng, 200));
		return;
	}
	zknode_set_time(c->node);
	if (c->state == ZKCLIENT_AWAY) {
		if (c->quiet)
			return;
		connect_session(c);
	} else if (c->state == ZKCLIENT_CONNECTED && !c->closing && !c->quiet && what < 95 &&
		   c->request_count + 8 < ZKCLIENT_REQUESTS_MAX) {
		for (uint64_t burst = 1 + rng_below(&c->rng, 6); burst > 0 && !c->closing; burst--)
			send_request(c, random_op(c));
	} else if (what == 99 && !c->quiet) {
		world_trace(c->node->world, "client %u drops its connection", c->number);
		zkclient_cut(c);
	}
	/* A long pause now and then lets the session expire. */
	plan(c, rng_below(&c->rng, 25) == 0 ? rng_below(&c->rng, 15 * c->node->settings.tick_ms)
					    : rng_below(&c->rng, 200));
}

static void
plan(struct zkclient *c, uint64_t delay_ms)
{
	world_at(c->node->world, delay_ms, on_act, c, c->connection);
}

/* ---- the server's end of the connection ---- */

/* Hand over the frames that have arrived, as far as the server takes them. */
static void
feed(struct zkclient *c)
{
	struct server *s = &c->node->server;

	while (c->state != ZKCLIENT_AWAY && c->core.end == SERVER_OPEN) {
		struct server_frame frames[SERVER_BATCH_MAX];
		size_t count = 0, at = 0, taken;

		while (count < SERVER_BATCH_MAX && c->in.len - at >= LENGTH_BYTES) {
			struct jute_reader r = jute_reader(c->in.data + at, LENGTH_BYTES);
			int32_t size = jute_get_i32(&r);

			frames[count++] = (struct server_frame){
			    .bytes = c->in.data + at + LENGTH_BYTES, .size = (uint32_t)size};
			at += LENGTH_BYTES + (size_t)size;
		}
		if (count == 0)
			return;
		taken = server_frames(s, &c->core, frames, count);
		if (taken > 0)
			c->heard_ms = c->node->world->now_ms;
		for (size_t i = 0; i < taken; i++)
			buf_consume(&c->in, LENGTH_BYTES + frames[i].size);
		if (taken == 0)
			return;
	}
}

static void
serve(struct zkclient *c)
{
	zkcheck_frames(c);
	if (c->core.end != SERVER_OPEN) {
		world_trace(c->node->world, "client %u: the server closes", c->number);
		zkclient_cut(c);
		plan(c, rng_below(&c->rng, 300));
		return;
	}
	feed(c);
}

/* The shell does so when there is much to tell, and serves requests in between. */
static bool
leaves_telling_for_later(struct zknode *n)
{
	return server_only_tells(&n->server) && rng_below(&n->turns, 4) == 0;
}

void
zkclient_serve_all(struct zknode *n)
{
	struct server_conn *core;

	model_advance(&n->model, n->db.last_zxid);
	while (n->world->violation[0] == '\0' && !leaves_telling_for_later(n) &&
	       (core = server_next_dirty(&n->server)) != NULL)
		serve(CONTAINER_OF(core, struct zkclient, core));
}

void
zkclient_logged(struct zknode *n, const uint8_t *bytes, size_t size)
{
	struct txn_header h;

	if (!txn_decode_header(&h, bytes, size) || h.type != ZK_OP_CLOSE_SESSION)
		return;
	for (unsigned i = 0; i < n->client_count; i++) {
		struct zkclient *c = &n->clients[i];
		bool since_start = c->heard_ms > n->started_ms;
		uint64_t quiet_ms = n->world->now_ms - (since_start ? c->heard_ms : n->started_ms);
		int32_t timeout_ms = since_start ? c->timeout_ms : c->least_timeout_ms;

		if (c->session != h.session || c->asked_session == h.session)
			continue;
		c->expired++;
		if (quiet_ms < (uint64_t)timeout_ms)
			world_violation(n->world,
			    "S2: session 0x%llx ends %llu ms after it was heard of, its time-out "
			    "is %d ms",
			    (unsigned long long)h.session, (unsigned long long)quiet_ms,
			    timeout_ms);
	}
}

/* ---- all of them ---- */

bool
zkclients_init(struct zknode *n)
{
	struct rng rng;
	char name[32];

	world_rng(n->world, "clients", &rng);
	n->client_count = 1 + (unsigned)rng_below(&rng, ZKCLIENT_MAX - 1);
	if ((n->clients = calloc(n->client_count, sizeof(*n->clients))) == NULL)
		return false;
	for (unsigned i = 0; i < n->client_count; i++) {
		struct zkclient *c = &n->clients[i];

		c->node = n;
		c->number = i;
		c->listens = i % 4 == 1;
		snprintf(name, sizeof(name), "client %u", i);
		world_rng(n->world, name, &c->rng);
		buf_init(&c->out, BUFFER_MAX_BYTES);
		buf_init(&c->in, BUFFER_MAX_BYTES);
		buf_init(&c->wire, BUFFER_MAX_BYTES);
	}
	return true;
}

void
zkclients_fini(struct zknode *n)
{
	for (unsigned i = 0; i < n->client_count; i++) {
		buf_fini(&n->clients[i].out);
		buf_fini(&n->clients[i].in);
		buf_fini(&n->clients[i].wire);
	}
	free(n->clients);
}

void
zkclients_start(struct zknode *n)
{
	for (unsigned i = 0; i < n->client_count; i++)
		plan(&n->clients[i], rng_below(&n->clients[i].rng, 300));
}

void
zkclients_quiet(struct zknode *n, bool quiet)
{
	for (unsigned i = 0; i < n->client_count; i++)
		n->clients[i].quiet = quiet;
}

bool
zkclients_idle(const struct zknode *n)
{
	for (unsigned i = 0; i < n->client_count; i++)
		if (n->clients[i].request_count > 0 || n->clients[i].state == ZKCLIENT_CONNECTING)
			return false;
	return true;
}
