/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/ensemble_rig.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/unit.h"

#define OUT_MAX (64u << 20)
#define START_MS 500000
#define MAJORITY (NODES / 2)
#define WAITING_BYTES 24

enum kind {
	MSG_REQUEST,
	MSG_REVALIDATE,
	MSG_SYNC,
	MSG_ACK,
	MSG_TOUCH,
	MSG_PROPOSE,
	MSG_COMMIT,
};

struct message {
	struct list link;
	enum kind kind;
	int64_t zxid, session;
	int32_t cxid, type, timeout_ms;
	bool valid, nobody;
	struct buf bytes;
	struct acl_ids who;
};

struct node nodes[NODES];
int leader;
static int32_t epoch;
static uint64_t now_ms;

static struct message *
post(struct list *to, enum kind kind, const uint8_t *bytes, size_t size)
{
	struct message *m = calloc(1, sizeof *m);

	ck_assert_ptr_nonnull(m);
	m->kind = kind;
	buf_init(&m->bytes, OUT_MAX);
	buf_append(&m->bytes, bytes, size);
	acl_ids_init(&m->who);
	list_append(to, &m->link);
	return m;
}

static void
message_free(struct message *m)
{
	list_remove(&m->link);
	buf_fini(&m->bytes);
	acl_ids_fini(&m->who);
	free(m);
}

static struct message *
first(struct list *l)
{
	struct list *at = list_first(l);

	return at != NULL ? CONTAINER_OF(at, struct message, link) : NULL;
}

static void
drop_all(struct list *l)
{
	while (first(l) != NULL)
		message_free(first(l));
}

static void
on_request(void *arg, int64_t session, int32_t cxid, int32_t type, const uint8_t *body, size_t size,
    const struct acl_ids *who)
{
	struct node *n = arg;
	struct message *m = post(&n->outbox, MSG_REQUEST, body, size);

	m->session = session;
	m->cxid = cxid;
	m->type = type;
	m->nobody = who == NULL;
	if (who != NULL) {
		buf_append(&m->who.ids, who->ids.data, who->ids.len);
		m->who.count = who->count;
	}
}

static void
on_revalidate(void *arg, int64_t session, int32_t timeout_ms)
{
	struct node *n = arg;
	struct message *m = post(&n->outbox, MSG_REVALIDATE, NULL, 0);

	m->session = session;
	m->timeout_ms = timeout_ms;
}

/* An answer that follows the commit of all that was proposed by now. */
static void
answer_later(struct node *to, enum kind kind, int64_t session)
{
	struct node *l = &nodes[leader];

	jute_put_i32(&l->waiting, (int32_t)(to - nodes));
	jute_put_i64(&l->waiting, l->server.prep.last_zxid);
	jute_put_i32(&l->waiting, (int32_t)kind);
	jute_put_i64(&l->waiting, session);
}

static void
on_sync(void *arg)
{
	struct node *n = arg;

	if (n == &nodes[leader])
		answer_later(n, MSG_SYNC, 0);
	else
		post(&n->outbox, MSG_SYNC, NULL, 0);
}

static void
on_applied(void *arg, int64_t zxid, const uint8_t *bytes, size_t size)
{
	struct node *n = arg;

	jute_put_i64(&n->history, zxid);
	jute_put_bytes(&n->history, (struct jute_bytes){bytes, (int32_t)size});
}

/* What the leader has made since the last time goes to all. */
static void
pump(void)
{
	const uint8_t *bytes;
	size_t size;
	int64_t zxid;

	for (int i = 0; i < NODES; i++) {
		struct node *n = &nodes[i];

		while (i != leader && server_pending_after(&nodes[leader].server, n->sent,
					  &n->cursor, &zxid, &bytes, &size)) {
			ck_assert_int_eq(zxid,
			    (n->sent >> 32) == epoch ? n->sent + 1 : (int64_t)epoch << 32 | 1);
			post(&n->inbox, MSG_PROPOSE, bytes, size)->zxid = zxid;
			n->sent = zxid;
		}
	}
}

static void
release_answers(int64_t committed)
{
	struct node *l = &nodes[leader];

	while (l->waiting.len > 0) {
		struct jute_reader r = jute_reader(l->waiting.data, l->waiting.len);
		int who = jute_get_i32(&r);
		struct message *m;

		if (jute_get_i64(&r) > committed)
			break;
		if (who == leader)
			server_sync_done(&l->server);
		else {
			m = post(&nodes[who].inbox, (enum kind)jute_get_i32(&r), NULL, 0);
			m->session = jute_get_i64(&r);
			m->valid = true;
		}
		buf_consume(&l->waiting, WAITING_BYTES);
	}
}

/* Commit what a majority has. */
static void
tally(void)
{
	struct node *l = &nodes[leader];
	int64_t committed = l->server.committed_zxid;

	l->acked = server_synced_zxid(&l->server);
	for (int i = 0; i < NODES; i++) {
		int more = 0;

		for (int k = 0; k < NODES; k++)
			more += nodes[k].acked >= nodes[i].acked;
		if (more > MAJORITY && nodes[i].acked > committed)
			committed = nodes[i].acked;
	}
	if (committed > l->server.committed_zxid) {
		for (int i = 0; i < NODES; i++) {
			if (i != leader)
				post(&nodes[i].inbox, MSG_COMMIT, NULL, 0)->zxid = committed;
		}
		server_committed(&l->server, committed);
	}
	release_answers(committed);
	pump();
}

static void
touch_all(struct server *s, const struct buf *touched)
{
	struct jute_reader r = jute_reader(touched->data, touched->len);

	while (jute_left(&r) > 0) {
		int64_t session = jute_get_i64(&r);

		server_remote_touch(s, session, jute_get_i32(&r));
	}
}

static void
serve_learner(struct node *n, struct message *m)
{
	struct server *s = &nodes[leader].server;

	switch (m->kind) {
	case MSG_REQUEST:
		server_remote_request(s, n - nodes, m->session, m->cxid, m->type,
		    jute_reader(m->bytes.data, m->bytes.len), m->nobody ? NULL : &m->who);
		break;
	case MSG_REVALIDATE:
		if (server_remote_revalidate(s, n - nodes, m->session, m->timeout_ms))
			answer_later(n, MSG_REVALIDATE, m->session);
		else
			post(&n->inbox, MSG_REVALIDATE, NULL, 0)->session = m->session;
		break;
	case MSG_SYNC:
		answer_later(n, MSG_SYNC, 0);
		break;
	case MSG_ACK:
		n->acked = m->zxid;
		break;
	case MSG_TOUCH:
		touch_all(s, &m->bytes);
		break;
	default:
		ck_abort();
	}
	message_free(m);
}

bool
ensemble_to_leader(int n)
{
	struct message *m = first(&nodes[n].outbox);

	if (m == NULL)
		return false;
	serve_learner(&nodes[n], m);
	pump();
	tally();
	return true;
}

bool
ensemble_from_leader(int n)
{
	struct message *m = first(&nodes[n].inbox);
	struct server *s = &nodes[n].server;

	if (m == NULL)
		return false;
	switch (m->kind) {
	case MSG_PROPOSE:
		ck_assert(server_propose(s, m->zxid, m->bytes.data, m->bytes.len));
		break;
	case MSG_COMMIT:
		server_committed(s, m->zxid);
		break;
	case MSG_REVALIDATE:
		server_revalidated(s, m->session, m->valid);
		break;
	case MSG_SYNC:
		server_sync_done(s);
		break;
	default:
		ck_abort();
	}
	message_free(m);
	return true;
}

static bool
take(struct node *n)
{
	const uint8_t *bytes;
	size_t size;
	bool any = false;

	while (server_next_record(&n->server, &n->given, &bytes, &size))
		any = true;
	return any;
}

bool
ensemble_disk(int i)
{
	struct node *n = &nodes[i];

	if (!take(n))
		return false;
	server_synced(&n->server, n->given);
	if (i == leader)
		tally();
	else
		post(&n->outbox, MSG_ACK, NULL, 0)->zxid = n->given;
	return true;
}

void
ensemble_settle(void)
{
	bool any = true;

	while (any) {
		tally();
		any = false;
		for (int i = 0; i < NODES; i++) {
			any |= ensemble_disk(i);
			any |= ensemble_to_leader(i);
			any |= ensemble_from_leader(i);
		}
	}
}

static void
init_node(struct node *n)
{
	static const struct hash_key key = {5, 6};
	int id = (int)(n - nodes);
	struct server_settings settings = {
	    .tick_ms = TICK_MS,
	    .min_timeout_ms = 2 * TICK_MS,
	    .max_timeout_ms = 20 * TICK_MS,
	    .frame_bytes_max = 0xfffff,
	    .snap_count = 100000,
	    .outstanding_max = 1000,
	    .sid = (uint8_t)(id + 1),
	    .reap_interval_ms = 60000,
	    .reap_max_per_minute = 10000,
	};

	*n = (struct node){.up = {on_request, on_revalidate, on_sync, on_applied, n}};
	ck_assert(db_init(&n->db, &key, TICK_MS));
	server_init(&n->server, &settings, &n->db, 1, now_ms, WALL_MS);
	server_join(&n->server, &n->up);
	list_init(&n->inbox);
	list_init(&n->outbox);
	buf_init(&n->history, OUT_MAX);
	buf_init(&n->waiting, OUT_MAX);
}

void
ensemble_setup(void)
{
	rig_setup();
	now_ms = START_MS;
	epoch = 0;
	for (int i = 0; i < NODES; i++)
		init_node(&nodes[i]);
	ensemble_elect(0);
}

void
ensemble_close(struct client *c)
{
	int n = ensemble_node_of(c);

	if (n < 0)
		return;
	server_conn_close(&nodes[n].server, &c->conn);
	buf_fini(&c->out);
	*c = (struct client){0};
}

void
ensemble_teardown(void)
{
	for (int i = 0; i < CLIENTS; i++)
		ensemble_close(&clients[i]);
	for (int i = 0; i < NODES; i++) {
		drop_all(&nodes[i].inbox);
		drop_all(&nodes[i].outbox);
		tree_check(&nodes[i].db.tree);
		server_fini(&nodes[i].server);
		db_fini(&nodes[i].db);
		buf_fini(&nodes[i].history);
		buf_fini(&nodes[i].waiting);
	}
	rig_teardown();
}

static void
end_role(struct node *n)
{
	drop_all(&n->inbox);
	drop_all(&n->outbox);
	buf_clear(&n->waiting);
	take(n);
	server_idle(&n->server);
	server_fast_forward(&n->server);
	n->given = n->db.last_zxid;
}

/* It gets what it misses of the leader's history. */
static void
catch_up(struct node *n)
{
	struct jute_reader r = jute_reader(nodes[leader].history.data, nodes[leader].history.len);

	server_sync_begin(&n->server);
	while (jute_left(&r) > 0) {
		int64_t zxid = jute_get_i64(&r);
		struct jute_bytes txn = jute_get_bytes(&r);

		if (zxid <= server_last_zxid(&n->server))
			continue;
		ck_assert(server_propose(&n->server, zxid, txn.data, (size_t)txn.len));
		server_committed(&n->server, zxid);
	}
	take(n);
	server_synced(&n->server, n->given);
	server_follow(&n->server, false);
}

void
ensemble_elect(int who)
{
	leader = who;
	for (int i = 0; i < NODES; i++) {
		end_role(&nodes[i]);
		if (nodes[i].db.last_zxid > nodes[leader].db.last_zxid)
			leader = i;
	}
	for (int i = 0; i < NODES; i++) {
		if (nodes[i].db.last_zxid > nodes[leader].db.last_zxid)
			leader = i;
	}
	epoch++;
	for (int i = 0; i < NODES; i++) {
		if (i != leader)
			catch_up(&nodes[i]);
		nodes[i].acked = nodes[i].sent = (int64_t)epoch << 32;
	}
	server_lead(&nodes[leader].server, epoch);
}

void
ensemble_pass(uint64_t ms)
{
	now_ms += ms;
	for (int i = 0; i < NODES; i++)
		server_set_time(&nodes[i].server, now_ms, WALL_MS + (int64_t)(now_ms - START_MS));
	for (int i = 0; i < NODES; i++) {
		if (i != leader)
			server_take_touched(
			    &nodes[i].server, &post(&nodes[i].outbox, MSG_TOUCH, NULL, 0)->bytes);
		server_tick(&nodes[i].server);
	}
	ensemble_settle();
}

void
ensemble_open(struct client *c, int n)
{
	*c = (struct client){0};
	buf_init(&c->out, OUT_MAX);
	ck_assert(server_conn_open(&nodes[n].server, &c->conn, &c->out, "127.0.0.1"));
}

/* Where it is connected: the server's list of connections ends in the server. */
int
ensemble_node_of(const struct client *c)
{
	struct list *it, *nx;

	for (int i = 0; i < NODES; i++) {
		LIST_EACH(it, nx, &nodes[i].server.conns) {
			if (it == &c->conn.link)
				return i;
		}
	}
	return -1;
}

size_t
ensemble_send(struct client *c)
{
	struct server_frame f = {.bytes = request.data, .size = (uint32_t)request.len};
	int n = ensemble_node_of(c);
	size_t taken = server_frames(&nodes[n].server, &c->conn, &f, 1);

	buf_clear(&request);
	if (n == leader)
		pump();
	return taken;
}

void
ensemble_connect(struct client *c, int n, int64_t seen, int64_t session, const uint8_t *password)
{
	static const uint8_t zero[SESSION_PASSWORD_BYTES];

	ensemble_open(c, n);
	buf_clear(&request);
	jute_put_i32(&request, 0);
	jute_put_i64(&request, seen);
	jute_put_i32(&request, 10 * TICK_MS);
	jute_put_i64(&request, session);
	jute_put_bytes(&request,
	    (struct jute_bytes){password != NULL ? password : zero, SESSION_PASSWORD_BYTES});
	jute_put_bool(&request, false);
	ensemble_send(c);
}

int64_t
ensemble_join(struct client *c, int n)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;

	ensemble_connect(c, n, 0, 0, NULL);
	ensemble_settle();
	return connect_reply(c, &timeout, password, &size);
}

void
ensemble_create(struct client *c, int32_t xid, const char *path, int32_t flags)
{
	header(xid, ZK_OP_CREATE);
	put_create(path, "data", WORLD_ALL, sizeof WORLD_ALL - 1, flags);
	ck_assert_uint_eq(ensemble_send(c), 1);
}

void
ensemble_ask(struct client *c, int32_t xid, int32_t op, const char *path)
{
	header(xid, op);
	jute_put_text(&request, path);
	if (op != ZK_OP_SYNC)
		jute_put_bool(&request, false);
	ck_assert_uint_eq(ensemble_send(c), 1);
}

void
ensemble_ping(struct client *c)
{
	header(ZK_XID_PING, ZK_OP_PING);
	ck_assert_uint_eq(ensemble_send(c), 1);
}

void
ensemble_expect(struct client *c, int32_t xid, int32_t error)
{
	struct reply reply;

	ck_assert_msg(has_reply(c), "no reply to %d", xid);
	reply = next_reply(c);
	ck_assert_int_eq(reply.xid, xid);
	ck_assert_int_eq(reply.error, error);
}

bool
ensemble_has(int n, const char *path)
{
	return tree_find(&nodes[n].db.tree,
		   (struct jute_bytes){(const uint8_t *)path, (int32_t)strlen(path)}) != NULL;
}

bool
ensemble_has_any(const char *path)
{
	return ensemble_has(0, path) || ensemble_has(1, path) || ensemble_has(2, path);
}

bool
ensemble_ended(const struct client *c)
{
	return c->conn.end == SERVER_CLOSE_NOW;
}
