/* SPDX-License-Identifier: Apache-2.0 */
/* The core of the server, driven as its shell does it: frames in, records to a log, replies out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "tests/lib/unit.h"
#include "zkserver/core/server.h"

#define TICK_MS 1000
#define OUT_MAX (64u << 20)
#define CLIENTS 4
#define START_MS 500000
#define WALL_MS INT64_C(1700000000000)

static const struct hash_key KEY = {3, 4};
static const uint8_t WORLD_ALL[] = "\0\0\0\1\0\0\0\37\0\0\0\5world\0\0\0\6anyone";
static const uint8_t AUTH_ALL[] = "\0\0\0\1\0\0\0\37\0\0\0\4auth\0\0\0\0";
static const uint8_t WORLD_READ[] = "\0\0\0\1\0\0\0\1\0\0\0\5world\0\0\0\6anyone";

struct client {
	struct server_conn conn;
	struct buf out;
	size_t at; /* of `out`: what was looked at */
};

/* A reply or an event, its record in `r`. */
struct reply {
	int32_t xid, error;
	int64_t zxid;
	struct jute_reader r;
	uint32_t size;
};

struct stat {
	int64_t czxid, mzxid, ctime, mtime;
	int32_t version, cversion, aversion;
	int64_t owner;
	int32_t data_len, children;
	int64_t pzxid;
};

static struct db db;
static struct server server;
static struct client clients[CLIENTS];
static struct buf request, logged;
static uint64_t now_ms;
static int64_t durable; /* zxid handed to the log last */

static void
begin(uint32_t frame_bytes_max)
{
	struct server_settings settings = {
	    .tick_ms = TICK_MS,
	    .min_timeout_ms = 2 * TICK_MS,
	    .max_timeout_ms = 20 * TICK_MS,
	    .frame_bytes_max = frame_bytes_max,
	    .snap_count = 10,
	    .outstanding_max = 1000,
	    .sid = 1,
	};

	now_ms = START_MS;
	ck_assert(db_init(&db, &KEY, TICK_MS));
	server_init(&server, &settings, &db, 1, now_ms, WALL_MS);
	buf_init(&request, OUT_MAX);
	buf_init(&logged, OUT_MAX);
}

static void
setup(void)
{
	begin(0xfffff);
}

static void
close_client(struct client *c)
{
	if (c->conn.out == NULL)
		return;
	server_conn_close(&server, &c->conn);
	buf_fini(&c->out);
	*c = (struct client){0};
}

static void
teardown(void)
{
	for (int i = 0; i < CLIENTS; i++)
		close_client(&clients[i]);
	tree_check(&db.tree);
	server_fini(&server);
	db_fini(&db);
	buf_fini(&request);
	buf_fini(&logged);
}

static void
open_client(struct client *c)
{
	*c = (struct client){0};
	buf_init(&c->out, OUT_MAX);
	ck_assert(server_conn_open(&server, &c->conn, &c->out, "127.0.0.1"));
}

/* Take what is to be logged; nothing is durable yet. */
static void
take_records(void)
{
	const uint8_t *bytes;
	size_t size;

	while (server_next_record(&server, &durable, &bytes, &size)) {
		jute_put_i32(&logged, (int32_t)size);
		buf_append(&logged, bytes, size);
	}
}

static void
sync_log(void)
{
	take_records();
	server_synced(&server, durable);
}

/* Hand in one frame: what `request` holds. */
static size_t
send_request(struct client *c)
{
	struct server_frame f = {.bytes = request.data, .size = (uint32_t)request.len};
	size_t taken = server_frames(&server, &c->conn, &f, 1);

	buf_clear(&request);
	return taken;
}

static void
header(int32_t xid, int32_t op)
{
	buf_clear(&request);
	jute_put_i32(&request, xid);
	jute_put_i32(&request, op);
}

static struct reply
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

static bool
has_reply(const struct client *c)
{
	return c->at < c->out.len;
}

static void
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

/* The answer to a connect request; the session id, 0 if it was refused. */
static int64_t
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

static int64_t
join(struct client *c)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;

	open_client(c);
	send_connect(c, 0, 10000, 0, NULL, true);
	return connect_reply(c, &timeout, password, &size);
}

static void
put_create(const char *path, const char *data, const uint8_t *acl, size_t acl_size, int32_t flags)
{
	jute_put_text(&request, path);
	jute_put_text(&request, data);
	buf_append(&request, acl, acl_size);
	jute_put_i32(&request, flags);
}

static struct reply
do_create_acl(
    struct client *c, const char *path, const uint8_t *acl, size_t acl_size, int32_t flags)
{
	header(7, ZK_OP_CREATE);
	put_create(path, "data", acl, acl_size, flags);
	ck_assert_uint_eq(send_request(c), 1);
	sync_log();
	return next_reply(c);
}

static struct reply
do_create(struct client *c, const char *path, int32_t flags)
{
	return do_create_acl(c, path, WORLD_ALL, sizeof WORLD_ALL - 1, flags);
}

static struct reply
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

static struct reply
do_read(struct client *c, int32_t op, const char *path, bool watch)
{
	header(9, op);
	jute_put_text(&request, path);
	if (op != ZK_OP_SYNC && op != ZK_OP_GET_ACL)
		jute_put_bool(&request, watch);
	ck_assert_uint_eq(send_request(c), 1);
	return next_reply(c);
}

static struct stat
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

static struct stat
stat_of(struct client *c, const char *path)
{
	struct reply reply = do_read(c, ZK_OP_EXISTS, path, false);

	ck_assert_int_eq(reply.error, ZK_OK);
	return get_stat(&reply.r);
}

static void
expect_text(struct jute_reader *r, const char *text)
{
	struct jute_bytes b = jute_get_bytes(r);

	ck_assert_int_eq(b.len, (int)strlen(text));
	ck_assert_mem_eq(b.data, text, strlen(text));
}

static void
expect_event(struct client *c, enum watch_event event, const char *path)
{
	struct reply e = next_reply(c);

	ck_assert_int_eq(e.xid, ZK_XID_EVENT);
	ck_assert_int_eq(jute_get_i32(&e.r), event);
	ck_assert_int_eq(jute_get_i32(&e.r), ZK_STATE_CONNECTED);
	expect_text(&e.r, path);
}

START_TEST(a_new_session_is_answered_when_its_txn_is_durable)
{
	uint8_t password[SESSION_PASSWORD_BYTES], right[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;
	int64_t id;

	open_client(&clients[0]);
	buf_clear(&request);
	jute_put_i32(&request, 0);
	jute_put_i64(&request, 0);
	jute_put_i32(&request, 1);
	jute_put_i64(&request, 0);
	jute_put_bytes(&request, (struct jute_bytes){right, sizeof right});
	jute_put_bool(&request, true);
	ck_assert_uint_eq(send_request(&clients[0]), 1);
	take_records();
	ck_assert(!has_reply(&clients[0]));
	header(1, ZK_OP_PING);
	ck_assert_uint_eq(send_request(&clients[0]), 0); /* it has to wait */
	server_synced(&server, durable);
	id = connect_reply(&clients[0], &timeout, password, &size);
	ck_assert_int_eq(size, 37);
	ck_assert_int_eq(timeout, 2 * TICK_MS);
	ck_assert_int_eq((id >> 56) & 0xff, 1);
	session_password(id, right);
	ck_assert_mem_eq(password, right, sizeof right);
	ck_assert_uint_eq(session_count(&db.sessions), 1);
}
END_TEST

START_TEST(an_old_client_gets_no_read_only_byte_and_timeouts_are_clamped_above)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;

	open_client(&clients[0]);
	send_connect(&clients[0], 0, 100000000, 0, NULL, false);
	connect_reply(&clients[0], &timeout, password, &size);
	ck_assert_int_eq(size, 36);
	ck_assert_int_eq(timeout, 20 * TICK_MS);
}
END_TEST

START_TEST(a_session_moves_to_a_new_connection_with_its_password_only)
{
	uint8_t password[SESSION_PASSWORD_BYTES], wrong[SESSION_PASSWORD_BYTES] = {1};
	int32_t timeout, size;
	int64_t id;

	open_client(&clients[0]);
	send_connect(&clients[0], 0, 10000, 0, NULL, true);
	id = connect_reply(&clients[0], &timeout, password, &size);
	open_client(&clients[1]);
	send_connect(&clients[1], 0, 10000, id, wrong, true);
	ck_assert_int_eq(
	    clients[0].conn.end, SERVER_CLOSE_NOW); /* before the password is looked at */
	ck_assert_int_eq(connect_reply(&clients[1], &timeout, wrong, &size), 0);
	ck_assert_int_eq(timeout, 0);
	ck_assert_int_eq(clients[1].conn.end, SERVER_CLOSE_FLUSHED);
	open_client(&clients[2]);
	send_connect(&clients[2], 0, 8000, id, password, true);
	ck_assert_int_eq(connect_reply(&clients[2], &timeout, wrong, &size), id);
	ck_assert_int_eq(timeout, 8000);
	ck_assert_int_eq(do_create(&clients[2], "/a", 0).error, ZK_OK);
}
END_TEST

START_TEST(a_client_that_has_seen_more_is_sent_away_without_a_word)
{
	open_client(&clients[0]);
	send_connect(&clients[0], 99, 10000, 0, NULL, true);
	ck_assert(!has_reply(&clients[0]));
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_NOW);
}
END_TEST

START_TEST(an_unknown_session_is_told_that_it_is_over)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int32_t timeout, size;

	session_password(4711, password);
	open_client(&clients[0]);
	send_connect(&clients[0], 0, 10000, 4711, password, true);
	ck_assert_int_eq(connect_reply(&clients[0], &timeout, password, &size), 0);
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_FLUSHED);
}
END_TEST

START_TEST(a_created_node_has_the_stat_that_apaches_server_shows)
{
	struct reply reply;
	struct stat s;

	join(&clients[0]);
	reply = do_create(&clients[0], "/a", 0);
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert_int_eq(reply.zxid, 2);
	expect_text(&reply.r, "/a");
	s = stat_of(&clients[0], "/a");
	ck_assert_int_eq(s.czxid, 2);
	ck_assert_int_eq(s.mzxid, 2);
	ck_assert_int_eq(s.pzxid, 2);
	ck_assert_int_eq(s.ctime, WALL_MS);
	ck_assert_int_eq(s.data_len, 4);
	ck_assert_int_eq(s.version + s.cversion + s.aversion + s.children, 0);
	ck_assert_int_eq(s.owner, 0);
	ck_assert_int_eq(stat_of(&clients[0], "/zookeeper").cversion, -2);
}
END_TEST

START_TEST(cversion_counts_creates_and_deletes)
{
	join(&clients[0]);
	do_create(&clients[0], "/a", 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(
		    do_create(&clients[0], "/a/s-", ZK_SEQUENTIAL).error, ZK_OK);
	do_version(&clients[0], ZK_OP_DELETE, "/a/s-0000000001", -1);
	ck_assert_int_eq(stat_of(&clients[0], "/a").cversion, 4);
	ck_assert_int_eq(stat_of(&clients[0], "/a").children, 2);
}
END_TEST

START_TEST(a_sequence_counts_creates_and_no_deletion_disturbs_it)
{
	struct reply reply;

	join(&clients[0]);
	do_create(&clients[0], "/a", 0);
	do_create(&clients[0], "/a/x", ZK_SEQUENTIAL);
	do_version(&clients[0], ZK_OP_DELETE, "/a/x0000000000", -1);
	reply = do_create(&clients[0], "/a/", ZK_SEQUENTIAL);
	expect_text(&reply.r, "/a/0000000001");
}
END_TEST

START_TEST(creates_are_refused_in_apaches_order)
{
	static const uint8_t nobody[] = "\0\0\0\0", odd[] = "\0\0\0\1\0\0\0\37\0\0\0\3odd\0\0\0\1x";
	struct client *c = &clients[0];

	join(c);
	do_create(c, "/e", ZK_EPHEMERAL);
	ck_assert_int_eq(
	    do_create_acl(c, "nopath", nobody, 4, 99).error, ZK_BADARGUMENTS); /* the mode */
	ck_assert_int_eq(
	    do_create_acl(c, "/x", nobody, 4, ZK_PERSISTENT_TTL).error, ZK_UNIMPLEMENTED);
	ck_assert_int_eq(do_create_acl(c, "nopath", nobody, 4, 0).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(do_create_acl(c, "/no/x", nobody, 4, 0).error, ZK_INVALIDACL);
	ck_assert_int_eq(do_create_acl(c, "/no/x", odd, sizeof odd - 1, 0).error, ZK_INVALIDACL);
	ck_assert_int_eq(do_create(c, "/a//b", 0).error, ZK_NONODE);
	ck_assert_int_eq(do_create(c, "/e/.", 0).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(do_create(c, "/a\001", 0).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(do_create(c, "/e", 0).error, ZK_NODEEXISTS);
	ck_assert_int_eq(do_create(c, "/e/x", 0).error, ZK_NOCHILDRENFOREPHEMERALS);
	ck_assert_int_eq(do_create(c, "/", 0).error, ZK_NODEEXISTS);
}
END_TEST

START_TEST(deletes_and_sets_are_refused_in_apaches_order)
{
	struct client *c = &clients[0];

	join(c);
	do_create(c, "/a", 0);
	do_create(c, "/a/b", 0);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/", -1).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(
	    do_version(c, ZK_OP_DELETE, "/zookeeper/quota", -1).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/no/x", -1).error, ZK_NONODE);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/no", 5).error, ZK_NONODE);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/a", 5).error, ZK_BADVERSION);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/a", 0).error, ZK_NOTEMPTY);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/a/", -1).error, ZK_BADARGUMENTS);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/no", -1).error, ZK_NONODE);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/a", 3).error, ZK_BADVERSION);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/zookeeper/config", -1).error, ZK_NOAUTH);
	ck_assert_int_eq(do_version(c, ZK_OP_SET_DATA, "/a", 0).error, ZK_OK);
	ck_assert_int_eq(stat_of(c, "/a").version, 1);
	ck_assert_int_eq(do_version(c, ZK_OP_DELETE, "/a/b", 0).error, ZK_OK);
}
END_TEST

START_TEST(a_refused_write_uses_a_zxid_and_is_logged)
{
	struct reply reply;
	struct txn_header h;
	struct jute_reader r;

	join(&clients[0]);
	buf_clear(&logged);
	reply = do_version(&clients[0], ZK_OP_DELETE, "/no", -1);
	ck_assert_int_eq(reply.zxid, 2);
	ck_assert_uint_eq(reply.size, 16);
	r = jute_reader(logged.data, logged.len);
	ck_assert_int_eq(jute_get_i32(&r), TXN_HEADER_BYTES + 4); /* and no digest */
	ck_assert(txn_decode_header(&h, r.pos, jute_left(&r)));
	ck_assert_int_eq(h.type, ZK_OP_ERROR);
	ck_assert_int_eq(h.zxid, 2);
}
END_TEST

START_TEST(writes_in_flight_see_each_other)
{
	struct client *c = &clients[0];

	join(c);
	header(1, ZK_OP_CREATE);
	put_create("/a", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	send_request(c);
	header(2, ZK_OP_CREATE);
	put_create("/a/b", "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_SEQUENTIAL);
	send_request(c);
	header(3, ZK_OP_DELETE);
	jute_put_text(&request, "/a");
	jute_put_i32(&request, -1);
	send_request(c);
	ck_assert(!has_reply(c));
	sync_log();
	ck_assert_int_eq(next_reply(c).error, ZK_OK);
	ck_assert_int_eq(next_reply(c).error, ZK_OK);
	ck_assert_int_eq(next_reply(c).error, ZK_NOTEMPTY);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(reads_wait_behind_writes_of_their_own_session_only)
{
	struct reply reply;

	join(&clients[0]);
	join(&clients[1]);
	header(1, ZK_OP_CREATE);
	put_create("/a", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	send_request(&clients[0]);
	header(2, ZK_OP_EXISTS);
	jute_put_text(&request, "/a");
	jute_put_bool(&request, false);
	send_request(&clients[0]);
	header(3, ZK_OP_PING);
	send_request(&clients[0]);
	ck_assert(!has_reply(&clients[0]));
	ck_assert_int_eq(do_read(&clients[1], ZK_OP_EXISTS, "/a", false).error, ZK_NONODE);
	sync_log();
	ck_assert_int_eq(next_reply(&clients[0]).xid, 1);
	reply = next_reply(&clients[0]);
	ck_assert_int_eq(reply.xid, 2);
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert_int_eq(next_reply(&clients[0]).xid, ZK_XID_PING);
	ck_assert(!has_reply(&clients[0]));
}
END_TEST

START_TEST(a_connection_that_closes_leaves_its_writes_to_be_carried_out)
{
	join(&clients[0]);
	join(&clients[1]);
	header(1, ZK_OP_CREATE);
	put_create("/a", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	send_request(&clients[0]);
	close_client(&clients[0]);
	sync_log();
	ck_assert_int_eq(do_read(&clients[1], ZK_OP_EXISTS, "/a", false).error, ZK_OK);
}
END_TEST

/* One part of a multi. */
static void
part(int32_t op)
{
	jute_put_i32(&request, op);
	jute_put_bool(&request, false);
	jute_put_i32(&request, -1);
}

static void
part_version(int32_t op, const char *path, int32_t version)
{
	part(op);
	jute_put_text(&request, path);
	if (op == ZK_OP_SET_DATA)
		jute_put_text(&request, "multi");
	jute_put_i32(&request, version);
}

static struct reply
do_multi(struct client *c)
{
	jute_put_i32(&request, -1);
	jute_put_bool(&request, true);
	jute_put_i32(&request, -1);
	send_request(c);
	sync_log();
	return next_reply(c);
}

static void
expect_part(struct jute_reader *r, int32_t type, int32_t error)
{
	ck_assert_int_eq(jute_get_i32(r), type);
	ck_assert(!jute_get_bool(r));
	ck_assert_int_eq(jute_get_i32(r), error);
}

static void
expect_failed(struct jute_reader *r, int32_t error)
{
	expect_part(r, -1, error);
	ck_assert_int_eq(jute_get_i32(r), error);
}

static void
expect_end(struct jute_reader *r)
{
	ck_assert_int_eq(jute_get_i32(r), -1);
	ck_assert(jute_get_bool(r));
	ck_assert_int_eq(jute_get_i32(r), -1);
	ck_assert_uint_eq(jute_left(r), 0);
}

START_TEST(a_multi_has_one_zxid_and_its_parts_see_each_other)
{
	struct reply reply;
	struct stat s;

	join(&clients[0]);
	header(1, ZK_OP_MULTI);
	part(ZK_OP_CREATE2);
	put_create("/m", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	part_version(ZK_OP_SET_DATA, "/m", 0);
	part_version(ZK_OP_CHECK, "/m", 1);
	part(ZK_OP_CREATE);
	put_create("/m/s", "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_SEQUENTIAL);
	part_version(ZK_OP_DELETE, "/m/s0000000000", -1);
	reply = do_multi(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_part(&reply.r, ZK_OP_CREATE, 0); /* as Apache's: a create2 in a multi is a create */
	expect_text(&reply.r, "/m");
	expect_part(&reply.r, ZK_OP_SET_DATA, 0);
	s = get_stat(&reply.r);
	ck_assert_int_eq(s.version, 1);
	ck_assert_int_eq(s.mzxid, 2);
	expect_part(&reply.r, ZK_OP_CHECK, 0);
	expect_part(&reply.r, ZK_OP_CREATE, 0);
	expect_text(&reply.r, "/m/s0000000000");
	expect_part(&reply.r, ZK_OP_DELETE, 0);
	expect_end(&reply.r);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(a_multi_that_fails_changes_nothing_and_burns_no_sequence_number)
{
	uint64_t digest;
	struct reply reply;

	join(&clients[0]);
	do_create(&clients[0], "/m", 0);
	digest = db.tree.digest;
	header(1, ZK_OP_MULTI);
	part(ZK_OP_CREATE);
	put_create("/m/s", "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_SEQUENTIAL);
	part_version(ZK_OP_SET_DATA, "/m", -1);
	part_version(ZK_OP_CHECK, "/m", 77);
	part_version(ZK_OP_DELETE, "/m", -1);
	reply = do_multi(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_failed(&reply.r, ZK_OK);
	expect_failed(&reply.r, ZK_OK);
	expect_failed(&reply.r, ZK_BADVERSION);
	expect_failed(&reply.r, ZK_RUNTIMEINCONSISTENCY);
	expect_end(&reply.r);
	ck_assert_uint_eq(db.tree.digest, digest);
	ck_assert_uint_eq(db.digest_mismatches, 0);
	reply = do_create(&clients[0], "/m/s", ZK_SEQUENTIAL);
	expect_text(&reply.r, "/m/s0000000000");
	ck_assert_int_eq(stat_of(&clients[0], "/m").version, 0);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(an_empty_multi_is_answered_and_a_broken_one_is_a_marshalling_error)
{
	struct reply reply;

	join(&clients[0]);
	header(1, ZK_OP_MULTI);
	reply = do_multi(&clients[0]);
	ck_assert_int_eq(reply.zxid, 2);
	expect_end(&reply.r);
	header(2, ZK_OP_MULTI);
	part(ZK_OP_GET_DATA);
	ck_assert_int_eq(do_multi(&clients[0]).error, ZK_MARSHALLINGERROR);
	header(3, ZK_OP_MULTI);
	part(ZK_OP_CREATE);
	put_create("/x", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 99);
	reply = do_multi(&clients[0]); /* this could be read, so it fails as a part */
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert_int_eq(reply.zxid, 4);
	expect_failed(&reply.r, ZK_BADARGUMENTS);
	expect_end(&reply.r);
}
END_TEST

START_TEST(a_multi_that_would_outgrow_the_log_fails)
{
	static char user[1001];
	struct reply reply;

	join(&clients[0]);
	memset(user, 'u', sizeof user - 1);
	for (int i = 0; i < 20; i++) {
		user[0] = (char)('a' + i);
		ck_assert(server_conn_identify(&clients[0].conn, "digest", user));
	}
	header(1, ZK_OP_MULTI);
	/* Each "auth" becomes twenty entries of a kilobyte. */
	while (request.len < 100000) {
		part(ZK_OP_CREATE);
		put_create("/s", "x", AUTH_ALL, sizeof AUTH_ALL - 1, ZK_SEQUENTIAL);
	}
	reply = do_multi(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_failed(&reply.r, ZK_OK);
	ck_assert_uint_lt(logged.len, 16 << 20);
	ck_assert_int_eq(
	    do_read(&clients[0], ZK_OP_EXISTS, "/s0000000000", false).error, ZK_NONODE);
}
END_TEST

START_TEST(a_session_with_very_many_nodes_is_closed_without_naming_them)
{
	static char path[2001];
	struct txn_header h;

	join(&clients[0]);
	memset(path, 'p', sizeof path - 1);
	path[0] = '/';
	for (int i = 0; i < 4000; i++) {
		header(7, ZK_OP_CREATE);
		put_create(path, "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_EPHEMERAL_SEQUENTIAL);
		ck_assert_uint_eq(send_request(&clients[0]), 1);
		if (i % 200 == 199) {
			sync_log();
			buf_clear(&clients[0].out);
		}
	}
	ck_assert_uint_eq(db.tree.ephemeral_count, 4000);
	buf_clear(&logged);
	header(8, ZK_OP_CLOSE_SESSION);
	send_request(&clients[0]);
	sync_log();
	ck_assert(txn_decode_header(&h, logged.data + 4, logged.len - 4));
	ck_assert_int_eq(h.type, ZK_OP_CLOSE_SESSION);
	ck_assert_uint_lt(logged.len, 100);
	ck_assert_uint_eq(db.tree.ephemeral_count, 0);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(an_event_comes_before_the_reply_of_the_write_that_fired_it)
{
	struct client *c = &clients[0];

	join(c);
	do_read(c, ZK_OP_EXISTS, "/a", true);
	do_read(c, ZK_OP_GET_CHILDREN, "/", true);
	header(1, ZK_OP_CREATE);
	put_create("/a", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	send_request(c);
	sync_log();
	expect_event(c, WATCH_NODE_CREATED, "/a");
	expect_event(c, WATCH_CHILDREN_CHANGED, "/");
	ck_assert_int_eq(next_reply(c).xid, 1);
	ck_assert_int_eq(
	    do_version(c, ZK_OP_SET_DATA, "/a", -1).error, ZK_OK); /* one-shot: no event */
}
END_TEST

START_TEST(a_deletion_tells_a_connection_with_both_watches_once)
{
	struct client *c = &clients[0];

	join(c);
	join(&clients[1]);
	do_create(c, "/a", 0);
	do_read(&clients[1], ZK_OP_GET_DATA, "/a", true);
	do_read(&clients[1], ZK_OP_GET_CHILDREN2, "/a", true);
	do_read(&clients[1], ZK_OP_GET_CHILDREN2, "/", true);
	do_version(c, ZK_OP_DELETE, "/a", -1);
	expect_event(&clients[1], WATCH_NODE_DELETED, "/a");
	expect_event(&clients[1], WATCH_CHILDREN_CHANGED, "/");
	ck_assert(!has_reply(&clients[1]));
	ck_assert_uint_eq(server.watches.count[WATCH_DATA] + server.watches.count[WATCH_CHILD], 0);
}
END_TEST

START_TEST(a_read_that_fails_leaves_no_watch_except_exists)
{
	join(&clients[0]);
	ck_assert_int_eq(do_read(&clients[0], ZK_OP_GET_DATA, "/no", true).error, ZK_NONODE);
	ck_assert_int_eq(do_read(&clients[0], ZK_OP_GET_CHILDREN, "/no", true).error, ZK_NONODE);
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 0);
	ck_assert_int_eq(do_read(&clients[0], ZK_OP_EXISTS, "/no", true).error, ZK_NONODE);
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 1);
	close_client(&clients[0]);
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 0);
}
END_TEST

static void
put_paths(const char *a, const char *b)
{
	jute_put_i32(&request, 2);
	jute_put_text(&request, a);
	jute_put_text(&request, b);
}

START_TEST(set_watches_tells_what_was_missed_and_watches_the_rest)
{
	struct client *c = &clients[0];
	struct reply reply;

	join(c);
	do_create(c, "/old", 0); /* zxid 2 */
	do_create(c, "/new", 0); /* zxid 3 */
	header(ZK_XID_SET_WATCHES, ZK_OP_SET_WATCHES);
	jute_put_i64(&request, 2);
	put_paths("/old", "/gone");
	put_paths("/new", "/later");
	put_paths("/old", "/");
	send_request(c);
	expect_event(c, WATCH_NODE_DELETED, "/gone");
	expect_event(c, WATCH_NODE_CREATED, "/new");
	expect_event(c, WATCH_CHILDREN_CHANGED, "/");
	reply = next_reply(c);
	ck_assert_int_eq(reply.xid, ZK_XID_SET_WATCHES);
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 2);
	ck_assert_uint_eq(server.watches.count[WATCH_CHILD], 1);
}
END_TEST

static void
pass_time(uint64_t ms)
{
	now_ms += ms;
	server_set_time(&server, now_ms, WALL_MS + (int64_t)(now_ms - START_MS));
	server_tick(&server);
	sync_log();
}

START_TEST(a_silent_session_expires_with_its_ephemeral_nodes)
{
	int64_t id = join(&clients[0]); /* 10 s */

	join(&clients[1]);
	do_create(&clients[0], "/e", ZK_EPHEMERAL);
	ck_assert_int_eq(stat_of(&clients[1], "/e").owner, id);
	do_read(&clients[1], ZK_OP_EXISTS, "/e", true);
	pass_time(9000);
	header(1, ZK_OP_PING);
	send_request(&clients[1]);
	next_reply(&clients[1]);
	ck_assert_int_eq(clients[0].conn.end, SERVER_OPEN);
	pass_time(2500);
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_NOW);
	ck_assert_int_eq(clients[1].conn.end, SERVER_OPEN);
	expect_event(&clients[1], WATCH_NODE_DELETED, "/e");
	ck_assert_int_eq(do_read(&clients[1], ZK_OP_EXISTS, "/e", false).error, ZK_NONODE);
	ck_assert_ptr_null(session_find(&db.sessions, id));
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(closing_a_session_removes_even_what_it_creates_at_that_moment)
{
	struct client *c = &clients[0];
	struct reply reply;

	join(c);
	join(&clients[1]);
	do_create(c, "/e1", ZK_EPHEMERAL);
	header(1, ZK_OP_CREATE);
	put_create("/e2", "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_EPHEMERAL);
	send_request(c);
	header(2, ZK_OP_DELETE);
	jute_put_text(&request, "/e1");
	jute_put_i32(&request, -1);
	send_request(c);
	header(3, ZK_OP_CLOSE_SESSION);
	send_request(c);
	header(4, ZK_OP_CREATE);
	put_create("/late", "x", WORLD_ALL, sizeof WORLD_ALL - 1, 0);
	send_request(c);
	sync_log();
	ck_assert_int_eq(next_reply(c).xid, 1);
	ck_assert_int_eq(next_reply(c).xid, 2);
	reply = next_reply(c);
	ck_assert_int_eq(reply.xid, 3);
	ck_assert_int_eq(reply.error, ZK_OK);
	ck_assert(!has_reply(c));
	ck_assert_int_eq(c->conn.end, SERVER_CLOSE_FLUSHED);
	ck_assert_uint_eq(db.tree.ephemeral_count, 0);
	ck_assert_int_eq(do_read(&clients[1], ZK_OP_EXISTS, "/late", false).error, ZK_NONODE);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(acls_decide_who_may_do_what)
{
	struct client *owner = &clients[0], *other = &clients[1];
	struct reply reply;

	join(owner);
	join(other);
	ck_assert_int_eq(
	    do_create_acl(owner, "/a", AUTH_ALL, sizeof AUTH_ALL - 1, 0).error, ZK_INVALIDACL);
	ck_assert(server_conn_identify(&owner->conn, "x509", "CN=master,O=c"));
	ck_assert_int_eq(do_create_acl(owner, "/a", AUTH_ALL, sizeof AUTH_ALL - 1, 0).error, ZK_OK);
	ck_assert_int_eq(
	    do_create_acl(owner, "/r", WORLD_READ, sizeof WORLD_READ - 1, 0).error, ZK_OK);
	ck_assert_int_eq(do_create(other, "/a/b", 0).error, ZK_NOAUTH);
	ck_assert_int_eq(do_create(owner, "/a/b", 0).error, ZK_OK);
	ck_assert_int_eq(do_read(other, ZK_OP_GET_DATA, "/a", false).error, ZK_NOAUTH);
	ck_assert_int_eq(do_read(other, ZK_OP_EXISTS, "/a", false).error, ZK_NOAUTH);
	ck_assert_int_eq(do_read(other, ZK_OP_GET_CHILDREN, "/a", false).error, ZK_NOAUTH);
	ck_assert_int_eq(do_version(other, ZK_OP_SET_DATA, "/a", -1).error, ZK_NOAUTH);
	ck_assert_int_eq(do_version(other, ZK_OP_DELETE, "/a/b", -1).error, ZK_NOAUTH);
	ck_assert_int_eq(do_read(other, ZK_OP_GET_DATA, "/r", false).error, ZK_OK);
	ck_assert_int_eq(do_version(owner, ZK_OP_SET_DATA, "/r", -1).error, ZK_NOAUTH);
	reply = do_read(owner, ZK_OP_GET_ACL, "/a", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 1);
	ck_assert_int_eq(jute_get_i32(&reply.r), ACL_ALL);
	expect_text(&reply.r, "x509");
	expect_text(&reply.r, "CN=master,O=c");
}
END_TEST

START_TEST(who_may_not_read_a_node_is_not_told_of_it)
{
	join(&clients[0]);
	join(&clients[1]);
	ck_assert(server_conn_identify(&clients[0].conn, "digest", "u:hash"));
	do_read(&clients[1], ZK_OP_EXISTS, "/secret", true);
	do_create_acl(&clients[0], "/secret", AUTH_ALL, sizeof AUTH_ALL - 1, 0);
	ck_assert(!has_reply(&clients[1]));
	ck_assert_uint_eq(server.watches.count[WATCH_DATA], 0); /* and yet the watch is used up */
}
END_TEST

START_TEST(an_unknown_operation_is_answered_and_ends_the_connection)
{
	struct reply reply;

	join(&clients[0]);
	header(5, 4242);
	send_request(&clients[0]);
	reply = next_reply(&clients[0]);
	ck_assert_int_eq(reply.xid, 5);
	ck_assert_int_eq(reply.zxid, -1);
	ck_assert_int_eq(reply.error, ZK_UNIMPLEMENTED);
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_FLUSHED);
}
END_TEST

START_TEST(an_auth_packet_is_left_to_the_shell_and_a_refusal_ends_the_connection)
{
	join(&clients[0]);
	header(ZK_XID_AUTH, ZK_OP_AUTH);
	ck_assert_uint_eq(send_request(&clients[0]), 0);
	server_auth(&server, &clients[0].conn, ZK_XID_AUTH, true);
	ck_assert_int_eq(next_reply(&clients[0]).error, ZK_OK);
	ck_assert_int_eq(clients[0].conn.end, SERVER_OPEN);
	server_auth(&server, &clients[0].conn, ZK_XID_AUTH, false);
	ck_assert_int_eq(next_reply(&clients[0]).error, ZK_AUTHFAILED);
	ck_assert_int_eq(clients[0].conn.end, SERVER_CLOSE_FLUSHED);
}
END_TEST

START_TEST(every_truncated_request_is_a_marshalling_error_and_harms_nobody)
{
	static const int32_t ops[] = {ZK_OP_CREATE, ZK_OP_DELETE, ZK_OP_SET_DATA, ZK_OP_GET_DATA,
	    ZK_OP_EXISTS, ZK_OP_GET_CHILDREN, ZK_OP_GET_CHILDREN2, ZK_OP_GET_ACL, ZK_OP_SYNC,
	    ZK_OP_SET_ACL, ZK_OP_MULTI, ZK_OP_SET_WATCHES};

	join(&clients[0]);
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		header(1, ops[i]);
		send_request(&clients[0]);
		sync_log();
		ck_assert_int_eq(next_reply(&clients[0]).error, ZK_MARSHALLINGERROR);
		header(1, ops[i]);
		jute_put_i32(&request, 1000); /* a path that is not there */
		send_request(&clients[0]);
		sync_log();
		ck_assert_int_eq(next_reply(&clients[0]).error, ZK_MARSHALLINGERROR);
	}
	ck_assert_int_eq(clients[0].conn.end, SERVER_OPEN);
}
END_TEST

START_TEST(random_bytes_never_break_the_server)
{
	struct rng rng;
	uint8_t bytes[200];

	rng_init(&rng, 99);
	join(&clients[0]);
	for (int i = 0; i < 50000; i++) {
		struct client *c = &clients[1 + rng_below(&rng, 2)];
		size_t size = rng_below(&rng, sizeof bytes);

		if (c->conn.out == NULL)
			join(c);
		for (size_t k = 0; k < size; k++)
			bytes[k] = (uint8_t)(rng_below(&rng, 3) == 0 ? rng_below(&rng, 256) : 0);
		if (size >= 8 && rng_below(&rng, 2) == 0) {
			bytes[4] = bytes[5] = bytes[6] = 0;
			bytes[7] = (uint8_t)rng_below(&rng, 24);
		}
		buf_clear(&request);
		buf_append(&request, bytes, size);
		send_request(c);
		sync_log();
		if (c->conn.end != SERVER_OPEN || c->out.len > 1 << 20)
			close_client(c);
	}
	ck_assert(!server.failed);
	ck_assert_int_eq(do_create(&clients[0], "/alive", 0).error, ZK_OK);
	ck_assert_uint_eq(db.digest_mismatches, 0);
}
END_TEST

START_TEST(a_slow_reader_is_not_served_further_and_dropped_at_the_bound)
{
	struct client *c = &clients[0];
	struct reply reply;

	join(c);
	buf_fini(&c->out);
	buf_init(&c->out, 100);
	c->at = 0;
	do_create(c, "/a", 0);
	ck_assert_int_eq(do_read(c, ZK_OP_EXISTS, "/no", false).error, ZK_NONODE);
	header(1, ZK_OP_EXISTS);
	jute_put_text(&request, "/a");
	jute_put_bool(&request, false);
	send_request(c);
	ck_assert_int_eq(c->conn.end, SERVER_CLOSE_NOW);
	join(&clients[1]);
	reply = do_read(&clients[1], ZK_OP_SYNC, "/any", false);
	expect_text(&reply.r, "/any");
}
END_TEST

START_TEST(a_full_pipeline_stalls_connections_until_there_is_room)
{
	struct client *c = &clients[0];

	join(c);
	server.settings.outstanding_max = 3;
	for (int i = 0; i < 3; i++) {
		header(i, ZK_OP_CREATE);
		put_create("/a", "x", WORLD_ALL, sizeof WORLD_ALL - 1, ZK_SEQUENTIAL);
		ck_assert_uint_eq(send_request(c), 1);
	}
	header(4, ZK_OP_PING);
	ck_assert_uint_eq(send_request(c), 0);
	while (server_next_dirty(&server) != NULL)
		;
	sync_log();
	ck_assert_ptr_eq(server_next_dirty(&server), &c->conn);
	ck_assert(!server_conn_blocked(&server, &c->conn));
}
END_TEST

START_TEST(a_snapshot_is_due_between_half_and_the_whole_of_snap_count)
{
	int txns = 1; /* the session's */

	join(&clients[0]);
	while (!server_snapshot_due(&server)) {
		do_create(&clients[0], "/a", ZK_SEQUENTIAL);
		txns++;
	}
	ck_assert_int_ge(txns, 5);
	ck_assert_int_le(txns, 10);
	ck_assert(!server_snapshot_due(&server));
}
END_TEST

START_TEST(the_log_replays_to_the_same_tree)
{
	struct jute_reader r;
	struct db copy;

	join(&clients[0]);
	do_create(&clients[0], "/a", 0);
	do_create(&clients[0], "/a/e", ZK_EPHEMERAL);
	do_version(&clients[0], ZK_OP_SET_DATA, "/a", 0);
	do_version(&clients[0], ZK_OP_DELETE, "/no", 0);
	ck_assert(db_init(&copy, &KEY, TICK_MS));
	r = jute_reader(logged.data, logged.len);
	for (int twice = 0; twice < 2; twice++) {
		r = jute_reader(logged.data, logged.len);
		while (jute_left(&r) > 0) {
			struct jute_bytes txn = jute_get_bytes(&r);

			ck_assert_int_eq(
			    db_apply(&copy, txn.data, (size_t)txn.len, 0, NULL, NULL, NULL),
			    APPLY_OK);
		}
	}
	tree_check(&copy.tree);
	ck_assert_uint_eq(copy.tree.digest, db.tree.digest);
	ck_assert_int_eq(copy.last_zxid, db.last_zxid);
	ck_assert_uint_eq(session_count(&copy.sessions), 1);
	db_fini(&copy);
}
END_TEST

START_TEST(all_nodes_below_one_are_counted)
{
	static const char *const paths[] = {"/a", "/a/b", "/a/b/c", "/a/b/d", "/a/e", "/ab"};
	struct reply reply;

	join(&clients[0]);
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		ck_assert_int_eq(do_create(&clients[0], paths[i], ZK_PERSISTENT).error, ZK_OK);
	reply = do_read(&clients[0], ZK_OP_GET_ALL_CHILDREN_NUMBER, "/a", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 4);
	reply = do_read(&clients[0], ZK_OP_GET_ALL_CHILDREN_NUMBER, "/a/b/c", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 0);
	reply = do_read(&clients[0], ZK_OP_GET_ALL_CHILDREN_NUMBER, "/", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 9);
	reply = do_read(&clients[0], ZK_OP_GET_ALL_CHILDREN_NUMBER, "/none", false);
	ck_assert_int_eq(reply.error, ZK_NONODE);
}
END_TEST

START_TEST(a_session_finds_its_own_ephemeral_nodes_by_prefix)
{
	struct reply reply;

	join(&clients[0]);
	join(&clients[1]);
	do_create(&clients[0], "/a", ZK_EPHEMERAL);
	do_create(&clients[0], "/b", ZK_EPHEMERAL);
	do_create(&clients[0], "/bc", ZK_PERSISTENT);
	do_create(&clients[1], "/bd", ZK_EPHEMERAL);
	reply = do_read(&clients[0], ZK_OP_GET_EPHEMERALS, "/", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 2);
	expect_text(&reply.r, "/a");
	expect_text(&reply.r, "/b");
	reply = do_read(&clients[1], ZK_OP_GET_EPHEMERALS, "/b", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 1);
	expect_text(&reply.r, "/bd");
	reply = do_read(&clients[1], ZK_OP_GET_EPHEMERALS, "/a", false);
	ck_assert_int_eq(jute_get_i32(&reply.r), 0);
}
END_TEST

START_TEST(a_connection_is_told_who_it_is_without_its_hash)
{
	struct reply reply;

	join(&clients[0]);
	ck_assert(server_conn_identify(&clients[0].conn, "digest", "ann:hash"));
	header(9, ZK_OP_WHO_AM_I);
	ck_assert_uint_eq(send_request(&clients[0]), 1);
	reply = next_reply(&clients[0]);
	ck_assert_int_eq(jute_get_i32(&reply.r), 2);
	expect_text(&reply.r, "ip");
	expect_text(&reply.r, "127.0.0.1");
	expect_text(&reply.r, "digest");
	expect_text(&reply.r, "ann");
}
END_TEST

static void
put_read_part(int32_t op, const char *path)
{
	jute_put_i32(&request, op);
	jute_put_bool(&request, false);
	jute_put_i32(&request, -1);
	jute_put_text(&request, path);
	jute_put_bool(&request, true);
}

static void
put_parts_end(void)
{
	jute_put_i32(&request, -1);
	jute_put_bool(&request, true);
	jute_put_i32(&request, -1);
}

static void
expect_read_part(struct jute_reader *r, int32_t op, int32_t error)
{
	ck_assert_int_eq(jute_get_i32(r), op);
	ck_assert(jute_get_bool(r) == (op == -1 && error == -1));
	ck_assert_int_eq(jute_get_i32(r), error);
}

START_TEST(a_multi_read_answers_each_part_and_sets_no_watch)
{
	struct reply reply;

	join(&clients[0]);
	do_create(&clients[0], "/a", ZK_PERSISTENT);
	header(9, ZK_OP_MULTI_READ);
	put_read_part(ZK_OP_GET_DATA, "/none");
	put_read_part(ZK_OP_GET_DATA, "/a");
	put_read_part(ZK_OP_GET_CHILDREN, "/a");
	put_parts_end();
	ck_assert_uint_eq(send_request(&clients[0]), 1);
	reply = next_reply(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_OK);
	expect_read_part(&reply.r, ZK_OP_ERROR, ZK_NONODE);
	ck_assert_int_eq(jute_get_i32(&reply.r), ZK_NONODE);
	expect_read_part(&reply.r, ZK_OP_GET_DATA, ZK_OK);
	expect_text(&reply.r, "data");
	get_stat(&reply.r);
	expect_read_part(&reply.r, ZK_OP_GET_CHILDREN, ZK_OK);
	ck_assert_int_eq(jute_get_i32(&reply.r), 0);
	expect_read_part(&reply.r, -1, -1);
	ck_assert_uint_eq(jute_left(&reply.r), 0);
	ck_assert_uint_eq(clients[0].conn.watcher.count, 0);
}
END_TEST

START_TEST(a_multi_read_with_a_write_or_cut_short_is_refused_whole)
{
	struct reply reply;

	join(&clients[0]);
	header(9, ZK_OP_MULTI_READ);
	put_read_part(ZK_OP_GET_DATA, "/");
	put_read_part(ZK_OP_EXISTS, "/");
	put_parts_end();
	ck_assert_uint_eq(send_request(&clients[0]), 1);
	reply = next_reply(&clients[0]);
	ck_assert_int_eq(reply.error, ZK_MARSHALLINGERROR);
	ck_assert_uint_eq(jute_left(&reply.r), 0);
	header(10, ZK_OP_MULTI_READ);
	put_read_part(ZK_OP_GET_DATA, "/");
	ck_assert_uint_eq(send_request(&clients[0]), 1);
	ck_assert_int_eq(next_reply(&clients[0]).error, ZK_MARSHALLINGERROR);
}
END_TEST

static TCase *
session_tests(void)
{
	TCase *c = tcase_create("sessions");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_new_session_is_answered_when_its_txn_is_durable);
	tcase_add_test(c, an_old_client_gets_no_read_only_byte_and_timeouts_are_clamped_above);
	tcase_add_test(c, a_session_moves_to_a_new_connection_with_its_password_only);
	tcase_add_test(c, a_client_that_has_seen_more_is_sent_away_without_a_word);
	tcase_add_test(c, an_unknown_session_is_told_that_it_is_over);
	tcase_add_test(c, a_silent_session_expires_with_its_ephemeral_nodes);
	tcase_add_test(c, closing_a_session_removes_even_what_it_creates_at_that_moment);
	return c;
}

static TCase *
request_tests(void)
{
	TCase *c = tcase_create("requests");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_created_node_has_the_stat_that_apaches_server_shows);
	tcase_add_test(c, cversion_counts_creates_and_deletes);
	tcase_add_test(c, a_sequence_counts_creates_and_no_deletion_disturbs_it);
	tcase_add_test(c, creates_are_refused_in_apaches_order);
	tcase_add_test(c, deletes_and_sets_are_refused_in_apaches_order);
	tcase_add_test(c, a_refused_write_uses_a_zxid_and_is_logged);
	tcase_add_test(c, writes_in_flight_see_each_other);
	tcase_add_test(c, reads_wait_behind_writes_of_their_own_session_only);
	tcase_add_test(c, a_connection_that_closes_leaves_its_writes_to_be_carried_out);
	tcase_add_test(c, a_multi_has_one_zxid_and_its_parts_see_each_other);
	tcase_add_test(c, a_multi_that_fails_changes_nothing_and_burns_no_sequence_number);
	tcase_add_test(c, an_empty_multi_is_answered_and_a_broken_one_is_a_marshalling_error);
	tcase_add_test(c, acls_decide_who_may_do_what);
	tcase_add_test(c, an_unknown_operation_is_answered_and_ends_the_connection);
	tcase_add_test(c, an_auth_packet_is_left_to_the_shell_and_a_refusal_ends_the_connection);
	return c;
}

static TCase *
other_tests(void)
{
	TCase *c = tcase_create("watches and bounds");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, an_event_comes_before_the_reply_of_the_write_that_fired_it);
	tcase_add_test(c, a_deletion_tells_a_connection_with_both_watches_once);
	tcase_add_test(c, a_read_that_fails_leaves_no_watch_except_exists);
	tcase_add_test(c, set_watches_tells_what_was_missed_and_watches_the_rest);
	tcase_add_test(c, who_may_not_read_a_node_is_not_told_of_it);
	tcase_add_test(c, every_truncated_request_is_a_marshalling_error_and_harms_nobody);
	tcase_add_test(c, random_bytes_never_break_the_server);
	tcase_add_test(c, a_multi_that_would_outgrow_the_log_fails);
	tcase_add_test(c, a_session_with_very_many_nodes_is_closed_without_naming_them);
	tcase_add_test(c, a_slow_reader_is_not_served_further_and_dropped_at_the_bound);
	tcase_add_test(c, a_full_pipeline_stalls_connections_until_there_is_room);
	tcase_add_test(c, a_snapshot_is_due_between_half_and_the_whole_of_snap_count);
	tcase_add_test(c, the_log_replays_to_the_same_tree);
	tcase_add_test(c, all_nodes_below_one_are_counted);
	tcase_add_test(c, a_session_finds_its_own_ephemeral_nodes_by_prefix);
	tcase_add_test(c, a_connection_is_told_who_it_is_without_its_hash);
	tcase_add_test(c, a_multi_read_answers_each_part_and_sets_no_watch);
	tcase_add_test(c, a_multi_read_with_a_write_or_cut_short_is_refused_whole);
	return c;
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zkserver");

	suite_add_tcase(s, session_tests());
	suite_add_tcase(s, request_tests());
	suite_add_tcase(s, other_tests());
	return s;
}
