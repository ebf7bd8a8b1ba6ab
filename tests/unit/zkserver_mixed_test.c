/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that do anything at any of three servers, in an order drawn from a seed: messages, disks,
 * moves, elections. What each client sees must fit what it did, and all servers end up with the
 * same.
 */
#include <stdio.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "tests/lib/ensemble_rig.h"
#include "tests/lib/unit.h"

#define SEEDS 40
#define STEPS 4000
#define ASKED_MAX 64
#define PATH_BYTES 32

enum asked_kind {
	ASKED_SET,
	ASKED_GET,
	ASKED_OTHER,
};

struct asked {
	enum asked_kind kind;
	int32_t xid;
	int32_t value; /* of a set */
};

/* A client's session, and what it knows. */
struct user {
	struct client *c;
	bool connected, connecting;
	int64_t session, seen;
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t xid, issued, known; /* the values of its node: set last, seen last */
	struct asked asked[ASKED_MAX];
	int count;
};

static struct user users[CLIENTS];
static struct rng rng;
static int answers, expired;

static int
draw(int bound)
{
	return (int)rng_below(&rng, (uint64_t)bound);
}

static void
own_path(const struct user *u, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "/own%d", (int)(u - users));
}

static void
forget(struct user *u)
{
	*u = (struct user){.c = u->c, .issued = u->issued}; /* a new session has seen nothing */
}

static void
disconnect(struct user *u)
{
	ensemble_close(u->c);
	u->connected = u->connecting = false;
	u->count = 0;
}

static void
connect_somewhere(struct user *u)
{
	ensemble_connect(
	    u->c, draw(NODES), u->seen, u->session, u->session != 0 ? u->password : NULL);
	u->connecting = true;
	u->xid = 0; /* as some clients do */
}

static void
hear_connected(struct user *u)
{
	int32_t timeout, size;
	int64_t id = connect_reply(u->c, &timeout, u->password, &size);

	u->connecting = false;
	if (id == 0) {
		disconnect(u);
		forget(u);
		expired++;
		return;
	}
	ck_assert(u->session == 0 || u->session == id);
	u->session = id;
	u->connected = true;
}

static void
hear_value(struct user *u, struct jute_reader *r)
{
	struct jute_bytes data = jute_get_bytes(r);
	int32_t value;

	ck_assert_int_eq(data.len, 4);
	*r = jute_reader(data.data, 4);
	value = jute_get_i32(r);
	ck_assert_int_ge(value, u->known);
	ck_assert_int_le(value, u->issued);
	u->known = value;
}

static void
hear(struct user *u)
{
	struct reply reply = next_reply(u->c);
	struct asked a = u->asked[0];

	ck_assert_int_gt(u->count, 0);
	ck_assert_int_eq(reply.xid, a.xid);
	memmove(u->asked, u->asked + 1, (size_t)--u->count * sizeof *u->asked);
	ck_assert_int_ge(reply.zxid, u->seen);
	u->seen = reply.zxid;
	answers++;
	if (a.kind == ASKED_OTHER)
		return;
	ck_assert_int_eq(reply.error, ZK_OK);
	if (a.kind == ASKED_GET)
		hear_value(u, &reply.r);
	else
		u->known = a.value;
}

static void
hear_all(void)
{
	for (struct user *u = users; u < users + CLIENTS; u++) {
		while (u->c->conn.out != NULL && has_reply(u->c)) {
			if (u->connecting)
				hear_connected(u);
			else
				hear(u);
		}
		if (u->c->conn.out != NULL && u->c->conn.end != SERVER_OPEN)
			disconnect(u);
	}
}

/* What is in `request` is sent, if the server takes it. */
static void
say(struct user *u, enum asked_kind kind)
{
	if (ensemble_send(u->c) == 1)
		u->asked[u->count++] = (struct asked){kind, u->xid, u->issued};
}

static void
set_own(struct user *u)
{
	char path[PATH_BYTES];

	own_path(u, path);
	header(++u->xid, ZK_OP_SET_DATA);
	jute_put_text(&request, path);
	jute_put_i32(&request, 4);
	jute_put_i32(&request, ++u->issued);
	jute_put_i32(&request, -1);
	say(u, ASKED_SET);
}

static void
get_own(struct user *u)
{
	char path[PATH_BYTES];

	own_path(u, path);
	header(++u->xid, ZK_OP_GET_DATA);
	jute_put_text(&request, path);
	jute_put_bool(&request, false);
	say(u, ASKED_GET);
}

static void
create_any(struct user *u, int32_t flags)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof path, "/x%d", draw(10));
	header(++u->xid, ZK_OP_CREATE);
	put_create(path, "", WORLD_ALL, sizeof WORLD_ALL - 1, flags);
	say(u, ASKED_OTHER);
}

static void
delete_any(struct user *u)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof path, "/x%d", draw(10));
	header(++u->xid, ZK_OP_DELETE);
	jute_put_text(&request, path);
	jute_put_i32(&request, -1);
	say(u, ASKED_OTHER);
}

static void
sync_now(struct user *u)
{
	header(++u->xid, ZK_OP_SYNC);
	jute_put_text(&request, "/");
	say(u, ASKED_OTHER);
}

static void
close_session(struct user *u)
{
	header(++u->xid, ZK_OP_CLOSE_SESSION);
	say(u, ASKED_OTHER);
}

static void
act(struct user *u)
{
	static const int32_t flags[] = {
	    ZK_PERSISTENT, ZK_EPHEMERAL, ZK_EPHEMERAL, ZK_EPHEMERAL_SEQUENTIAL};
	int what = draw(40);

	if (!u->connected && !u->connecting)
		connect_somewhere(u);
	else if (!u->connected || u->count == ASKED_MAX)
		return;
	else if (what == 0)
		disconnect(u);
	else if (what == 1)
		close_session(u);
	else if (what < 10)
		set_own(u);
	else if (what < 20)
		get_own(u);
	else if (what < 28)
		create_any(u, flags[draw(4)]);
	else if (what < 36)
		delete_any(u);
	else
		sync_now(u);
}

static void
step(void)
{
	int n = draw(NODES);

	switch (draw(12)) {
	case 0:
	case 1:
	case 2:
		ensemble_to_leader(n);
		break;
	case 3:
	case 4:
	case 5:
		ensemble_from_leader(n);
		break;
	case 6:
	case 7:
		ensemble_disk(n);
		break;
	case 8:
		if (draw(100) == 0)
			ensemble_elect(draw(NODES));
		else if (draw(100) == 0)
			ensemble_pass((uint64_t)draw(4000));
		break;
	default:
		act(&users[draw(CLIENTS)]);
	}
}

static void
compare(const struct node *a, const struct node *b)
{
	struct list *it, *nx;

	ck_assert_uint_eq(a->db.tree.digest, b->db.tree.digest);
	ck_assert_uint_eq(a->db.tree.node_count, b->db.tree.node_count);
	ck_assert_uint_eq(a->db.digest_mismatches, 0);
	ck_assert_uint_eq(a->history.len, b->history.len);
	ck_assert_mem_eq(a->history.data, b->history.data, a->history.len);
	ck_assert_uint_eq(session_count(&a->db.sessions), session_count(&b->db.sessions));
	HMAP_EACH(it, nx, &a->db.sessions.by_id)
		ck_assert_ptr_nonnull(
		    session_find(&b->db.sessions, HMAP_ENTRY(it, struct session, by_id)->id));
	HMAP_EACH(it, nx, &a->db.tree.owners)
		ck_assert_ptr_nonnull(session_find(
		    &a->db.sessions, HMAP_ENTRY(it, struct tree_owner, link)->session));
}

static void
make_nodes(void)
{
	char path[PATH_BYTES];

	ensemble_join(users[0].c, 0);
	for (struct user *u = users; u < users + CLIENTS; u++) {
		own_path(u, path);
		header(1, ZK_OP_CREATE);
		jute_put_text(&request, path);
		jute_put_i32(&request, 4);
		jute_put_i32(&request, 0);
		buf_append(&request, WORLD_ALL, sizeof WORLD_ALL - 1);
		jute_put_i32(&request, 0);
		ensemble_send(users[0].c);
	}
	ensemble_settle();
	ensemble_close(users[0].c);
}

START_TEST(whatever_happens_clients_see_one_order_and_servers_end_up_equal)
{
	rng_init(&rng, (uint64_t)_i + 1);
	answers = expired = 0;
	for (int i = 0; i < CLIENTS; i++)
		users[i] = (struct user){.c = &clients[i]};
	for (int i = 0; i < NODES; i++) /* sessions are local in every third round */
		nodes[i].server.settings.local_sessions = nodes[i].server.settings.local_upgrade =
		    _i % 3 == 0;
	make_nodes();
	for (int i = 0; i < STEPS; i++) {
		step();
		hear_all();
	}
	ensemble_settle();
	hear_all();
	for (struct user *u = users; u < users + CLIENTS; u++)
		ck_assert_int_eq(u->count, 0); /* all were answered */
	for (int i = 1; i < NODES; i++)
		compare(&nodes[0], &nodes[i]);
	ck_assert_int_gt(answers, 100);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver_mixed");
	TCase *c = tcase_create("ensemble");

	tcase_add_checked_fixture(c, ensemble_setup, ensemble_teardown);
	tcase_add_loop_test(
	    c, whatever_happens_clients_see_one_order_and_servers_end_up_equal, 0, SEEDS);
	suite_add_tcase(s, c);
	return s;
}
