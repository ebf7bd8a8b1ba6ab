/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/zkserver_rig.h"

#include <string.h>

#include "tests/lib/unit.h"

#define OUT_MAX (64u << 20)
#define START_MS 500000

static const struct hash_key KEY = {3, 4};

const uint8_t WORLD_ALL[28] = "\0\0\0\1\0\0\0\37\0\0\0\5world\0\0\0\6anyone";
const uint8_t AUTH_ALL[21] = "\0\0\0\1\0\0\0\37\0\0\0\4auth\0\0\0\0";

struct db db;
struct server server;
struct client clients[CLIENTS];
struct buf request, logged;
static uint64_t now_ms;
static int64_t start_wall_ms;
static int64_t durable; /* zxid handed to the log last */

void
rig_setup(void)
{
	rig_setup_at(WALL_MS);
}

void
rig_setup_at(int64_t wall_ms)
{
	struct server_settings settings = {
	    .tick_ms = TICK_MS,
	    .min_timeout_ms = 2 * TICK_MS,
	    .max_timeout_ms = 20 * TICK_MS,
	    .frame_bytes_max = 0xfffff,
	    .snap_count = 10,
	    .outstanding_max = 1000,
	    .sid = 1,
	};

	now_ms = START_MS;
	start_wall_ms = wall_ms;
	ck_assert(db_init(&db, &KEY, TICK_MS));
	server_init(&server, &settings, &db, 1, now_ms, wall_ms);
	buf_init(&request, OUT_MAX);
	buf_init(&logged, OUT_MAX);
}

void
rig_setup_reaping(int64_t wall_ms)
{
	static const struct tree_rules extended = {.extended_types = true};

	rig_setup_at(wall_ms);
	server.settings.reap_interval_ms = REAP_ROUND_MS;
	server.settings.reap_max_per_minute = 60000;
	server.reap_round_ms = server.reap_at_ms = server.now_ms + REAP_ROUND_MS;
	db_set_rules(&db, &extended);
}

void
close_client(struct client *c)
{
	if (c->conn.out == NULL)
		return;
	server_conn_close(&server, &c->conn);
	buf_fini(&c->out);
	*c = (struct client){0};
}

void
rig_teardown(void)
{
	for (int i = 0; i < CLIENTS; i++)
		close_client(&clients[i]);
	tree_check(&db.tree);
	server_fini(&server);
	db_fini(&db);
	buf_fini(&request);
	buf_fini(&logged);
}

void
open_client(struct client *c)
{
	*c = (struct client){0};
	buf_init(&c->out, OUT_MAX);
	ck_assert(server_conn_open(&server, &c->conn, &c->out, "127.0.0.1"));
}

void
take_records(void)
{
	const uint8_t *bytes;
	size_t size;

	while (server_next_record(&server, &durable, &bytes, &size)) {
		jute_put_i32(&logged, (int32_t)size);
		buf_append(&logged, bytes, size);
	}
}

void
sync_log(void)
{
	take_records();
	server_synced(&server, durable);
}

void
pass_time(uint64_t ms)
{
	now_ms += ms;
	server_set_time(&server, now_ms, start_wall_ms + (int64_t)(now_ms - START_MS));
	server_tick(&server);
	sync_log();
}

void
live_on(struct client *c, uint64_t ms)
{
	while (ms > 0) {
		uint64_t step_ms = ms < TICK_MS / 2 ? ms : TICK_MS / 2;

		exists(c, "/");
		pass_time(step_ms);
		ms -= step_ms;
	}
}

void
set_wall(int64_t wall_ms)
{
	start_wall_ms = wall_ms - (int64_t)(now_ms - START_MS);
	pass_time(0);
}

size_t
send_request(struct client *c)
{
	struct server_frame f = {.bytes = request.data, .size = (uint32_t)request.len};
	size_t taken = server_frames(&server, &c->conn, &f, 1);

	buf_clear(&request);
	return taken;
}

void
header(int32_t xid, int32_t op)
{
	buf_clear(&request);
	jute_put_i32(&request, xid);
	jute_put_i32(&request, op);
}

struct reply
next_reply(struct client *c)
{
	struct reply reply = {0};
	struct jute_reader r = jute_reader(c->out.data + c->at, c->out.len - c->at);

	reply.size = (uint32_t)jute_get_i32(&r);
	ck_assert(!r.bad);
	ck_assert_uint_le(reply.size, jute_left(&r));
	reply.xid = jute_get_i32(&r);
	reply.zxid = jute_get_i64(&r);
	reply.error = jute_get_i32(&r);
	r.end = c->out.data + c->at + 4 + reply.size;
	reply.r = r;
	c->at += 4 + reply.size;
	return reply;
}

bool
has_reply(const struct client *c)
{
	return c->at < c->out.len;
}

void
send_connect(struct client *c, int64_t seen, int32_t timeout, int64_t session,
    const uint8_t *password, bool read_only)
{
	static const uint8_t zero[SESSION_PASSWORD_BYTES];

	buf_clear(&request);
	jute_put_i32(&request, 0);
	jute_put_i64(&request, seen);
	jute_put_i32(&request, timeout);
	jute_put_i64(&request, session);
	jute_put_bytes(&request,
	    (struct jute_bytes){password != NULL ? password : zero, SESSION_PASSWORD_BYTES});
	if (read_only)
		jute_put_bool(&request, false);
	send_request(c);
	sync_log();
}

int64_t
connect_reply(
    struct client *c, int32_t *timeout, uint8_t password[SESSION_PASSWORD_BYTES], int32_t *size)
{
	struct jute_reader r = jute_reader(c->out.data + c->at, c->out.len - c->at);
	struct jute_bytes p;
	int64_t id;

	*size = jute_get_i32(&r);
	ck_assert_int_eq(jute_get_i32(&r), 0);
	*timeout = jute_get_i32(&r);
	id = jute_get_i64(&r);
	p = jute_get_bytes(&r);
	ck_assert_int_eq(p.len, SESSION_PASSWORD_BYTES);
	memcpy(password, p.data, SESSION_PASSWORD_BYTES);
	c->at += 4 + (size_t)*size;
	return id;
}

int64_t
join(struct client *c)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;

	open_client(c);
	send_connect(c, 0, 10000, 0, NULL, true);
	return connect_reply(c, &timeout, password, &size);
}

void
put_create(const char *path, const char *data, const uint8_t *acl, size_t acl_size, int32_t flags)
{
	jute_put_text(&request, path);
	jute_put_text(&request, data);
	buf_append(&request, acl, acl_size);
	jute_put_i32(&request, flags);
}

void
put_part(int32_t op)
{
	jute_put_i32(&request, op);
	jute_put_bool(&request, false);
	jute_put_i32(&request, -1);
}

void
put_parts_end(void)
{
	jute_put_i32(&request, -1);
	jute_put_bool(&request, true);
	jute_put_i32(&request, -1);
}

struct reply
do_multi(struct client *c)
{
	put_parts_end();
	send_request(c);
	sync_log();
	return next_reply(c);
}

struct reply
do_create_op(struct client *c, int32_t op, const char *path, int32_t flags, int64_t ttl_ms)
{
	header(1, op);
	put_create(path, "data", WORLD_ALL, sizeof WORLD_ALL - 1, flags);
	if (op == ZK_OP_CREATE_TTL)
		jute_put_i64(&request, ttl_ms);
	send_request(c);
	sync_log();
	return next_reply(c);
}

struct reply
do_create_acl(
    struct client *c, const char *path, const uint8_t *acl, size_t acl_size, int32_t flags)
{
	header(7, ZK_OP_CREATE);
	put_create(path, "data", acl, acl_size, flags);
	ck_assert_uint_eq(send_request(c), 1);
	sync_log();
	return next_reply(c);
}

struct reply
do_create(struct client *c, const char *path, int32_t flags)
{
	return do_create_acl(c, path, WORLD_ALL, sizeof WORLD_ALL - 1, flags);
}

struct reply
do_version(struct client *c, int32_t op, const char *path, int32_t version)
{
	header(8, op);
	jute_put_text(&request, path);
	if (op == ZK_OP_SET_DATA)
		jute_put_text(&request, "other");
	jute_put_i32(&request, version);
	ck_assert_uint_eq(send_request(c), 1);
	sync_log();
	return next_reply(c);
}

struct reply
do_read(struct client *c, int32_t op, const char *path, bool watch)
{
	header(9, op);
	jute_put_text(&request, path);
	if (op != ZK_OP_SYNC && op != ZK_OP_GET_ACL)
		jute_put_bool(&request, watch);
	ck_assert_uint_eq(send_request(c), 1);
	return next_reply(c);
}

struct stat
get_stat(struct jute_reader *r)
{
	struct stat s;

	s.czxid = jute_get_i64(r);
	s.mzxid = jute_get_i64(r);
	s.ctime = jute_get_i64(r);
	s.mtime = jute_get_i64(r);
	s.version = jute_get_i32(r);
	s.cversion = jute_get_i32(r);
	s.aversion = jute_get_i32(r);
	s.owner = jute_get_i64(r);
	s.data_len = jute_get_i32(r);
	s.children = jute_get_i32(r);
	s.pzxid = jute_get_i64(r);
	ck_assert(!r->bad);
	return s;
}

struct stat
stat_of(struct client *c, const char *path)
{
	struct reply reply = do_read(c, ZK_OP_EXISTS, path, false);

	ck_assert_int_eq(reply.error, ZK_OK);
	return get_stat(&reply.r);
}

bool
exists(struct client *c, const char *path)
{
	return do_read(c, ZK_OP_EXISTS, path, false).error == ZK_OK;
}

void
expect_text(struct jute_reader *r, const char *text)
{
	struct jute_bytes b = jute_get_bytes(r);

	ck_assert_int_eq(b.len, (int)strlen(text));
	ck_assert_mem_eq(b.data, text, strlen(text));
}

void
expect_event(struct client *c, enum watch_event event, const char *path)
{
	struct reply e = next_reply(c);

	ck_assert_int_eq(e.xid, ZK_XID_EVENT);
	ck_assert_int_eq(jute_get_i32(&e.r), event);
	ck_assert_int_eq(jute_get_i32(&e.r), ZK_STATE_CONNECTED);
	expect_text(&e.r, path);
}
