/* SPDX-License-Identifier: Apache-2.0 */
/* The rig's clients, one a node. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/peer_rig.h"
#include "tests/lib/unit.h"

#define OUT_MAX ((size_t)64 << 20)

static const uint8_t WORLD_ALL[28] = "\0\0\0\1\0\0\0\37\0\0\0\5world\0\0\0\6anyone";

void
rig_disconnect(unsigned i)
{
	struct rig_node *n = &rig_nodes[i];

	if (n->client.open)
		server_conn_close(&n->server, &n->client.conn);
	buf_fini(&n->client.out);
	n->client = (struct rig_client){0};
}

static void
send_frame(struct rig_node *n, const struct buf *b)
{
	struct server_frame f = {.bytes = b->data, .size = (uint32_t)b->len};

	rig_set_time(n);
	ck_assert_uint_eq(server_frames(&n->server, &n->client.conn, &f, 1), 1);
}

unsigned
rig_answers(unsigned i, int32_t *error)
{
	struct rig_client *c = &rig_nodes[i].client;
	unsigned count = 0;

	while (c->out.len >= c->at + 20) {
		struct jute_reader r = jute_reader(c->out.data + c->at, c->out.len - c->at);
		int32_t size = jute_get_i32(&r);

		jute_get_i32(&r);
		jute_get_i64(&r);
		*error = jute_get_i32(&r);
		c->at += 4 + (size_t)size;
		count++;
	}
	return count;
}

static bool
is_connected(void *arg)
{
	const struct rig_client *c = arg;

	return c->out.len > 0 || c->gone;
}

void
rig_connect(unsigned i)
{
	static const uint8_t password[16];
	struct rig_node *n = &rig_nodes[i];
	struct rig_client *c = &n->client;
	struct buf b;

	rig_disconnect(i);
	buf_init(&c->out, OUT_MAX);
	ck_assert(server_conn_open(&n->server, &c->conn, &c->out, "127.0.0.1"));
	c->open = true;
	buf_init(&b, 1024);
	jute_put_i32(&b, 0);
	jute_put_i64(&b, 0);
	jute_put_i32(&b, 30000);
	jute_put_i64(&b, 0);
	jute_put_bytes(&b, (struct jute_bytes){password, sizeof password});
	send_frame(n, &b);
	buf_fini(&b);
	ck_assert(rig_run_until(is_connected, c, 20000));
	ck_assert(!c->gone);
	c->at = c->out.len;
}

static void
ask_create(unsigned i, const char *path, size_t size, int32_t flags)
{
	struct rig_client *c = &rig_nodes[i].client;
	uint8_t *data = calloc(1, size + 1);
	struct buf b;

	ck_assert(c->open && data != NULL);
	buf_init(&b, size + 4096);
	jute_put_i32(&b, ++c->xid);
	jute_put_i32(&b, ZK_OP_CREATE);
	jute_put_text(&b, path);
	jute_put_bytes(&b, (struct jute_bytes){data, (int32_t)size});
	buf_append(&b, WORLD_ALL, sizeof WORLD_ALL - 1);
	jute_put_i32(&b, flags);
	send_frame(&rig_nodes[i], &b);
	buf_fini(&b);
	free(data);
}

void
rig_ask_create(unsigned i, const char *path, size_t size)
{
	ask_create(i, path, size, 0);
}

void
rig_ask_ephemeral(unsigned i, const char *path)
{
	ask_create(i, path, 0, ZK_EPHEMERAL);
}

void
rig_ask_sync(unsigned i)
{
	struct rig_client *c = &rig_nodes[i].client;
	struct buf b;

	buf_init(&b, 4096);
	jute_put_i32(&b, ++c->xid);
	jute_put_i32(&b, ZK_OP_SYNC);
	jute_put_text(&b, "/");
	send_frame(&rig_nodes[i], &b);
	buf_fini(&b);
}

static void
put_text(struct buf *b, const char *text)
{
	if (text != NULL)
		jute_put_text(b, text);
	else
		jute_put_i32(b, -1);
}

void
rig_ask_reconfig(
    unsigned i, const char *joining, const char *leaving, const char *whole, int64_t base)
{
	struct rig_client *c = &rig_nodes[i].client;
	struct buf b;

	ck_assert(c->open);
	buf_init(&b, 8192);
	jute_put_i32(&b, ++c->xid);
	jute_put_i32(&b, ZK_OP_RECONFIG);
	put_text(&b, joining);
	put_text(&b, leaving);
	put_text(&b, whole);
	jute_put_i64(&b, base);
	send_frame(&rig_nodes[i], &b);
	buf_fini(&b);
}

static bool
is_answered(void *arg)
{
	const struct rig_client *c = arg;

	return c->out.len > c->at || c->gone;
}

int32_t
rig_reconfig(unsigned i, const char *joining, const char *leaving, const char *whole)
{
	struct rig_client *c = &rig_nodes[i].client;
	int32_t error = -1;

	if (!c->open)
		rig_connect(i);
	rig_ask_reconfig(i, joining, leaving, whole, -1);
	ck_assert_msg(rig_run_until(is_answered, c, 20000) && !c->gone, "no answer to a reconfig");
	ck_assert_uint_eq(rig_answers(i, &error), 1);
	return error;
}

void
rig_create_sized(unsigned i, const char *path, size_t size)
{
	struct rig_client *c = &rig_nodes[i].client;
	int32_t error = -1;

	if (!c->open)
		rig_connect(i);
	rig_ask_create(i, path, size);
	ck_assert_msg(rig_run_until(is_answered, c, 20000) && !c->gone, "no answer for %s", path);
	ck_assert_uint_eq(rig_answers(i, &error), 1);
	ck_assert_int_eq(error, 0);
}

void
rig_create(unsigned i, const char *path)
{
	rig_create_sized(i, path, 5);
}

void
rig_log_alone(unsigned leader, const char *path)
{
	rig_connect(leader);
	rig_run(100);
	rig_ask_create(leader, path, 5);
	rig_isolate(leader, true);
	rig_run(10);
}

void
rig_start_three_with(const char *path)
{
	rig_start_all();
	ck_assert_int_eq(rig_settle(), 2);
	rig_create(2, path);
	rig_run(100);
}
