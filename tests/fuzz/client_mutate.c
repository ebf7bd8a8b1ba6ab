/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How libFuzzer changes scripts: whole steps come, go and change places, new ones are requests that
 * can be read, and bytes change within a step. Without it nearly every change would end in a frame
 * that is none.
 */
#include <string.h>

#include "libcommon/codec/jute.h"
#include "libcommon/codec/zk_wire.h"
#include "tests/fuzz/client_world.h"
#include "tests/fuzz/script_mutate.h"

#define LINES_MAX 96
#define BODY_BYTES_MAX 2048
#define PARTS_MAX 4

static const char *
any_of(const char *const *texts, size_t count)
{
	return texts[script_below(count)];
}

static const char *
any_path(void)
{
	static const char *const paths[] = {"/", "/a", "/a", "/a", "/a/b", "/a/b", "/a/b/c", "/e",
	    "/a/e", "/c", "/c/x", "/t", "/q", "/q/x", "/a/s-", "/a/s-0000000000", "/zookeeper",
	    "/zookeeper/config", "/zookeeper/quota", "/zookeeper/quota/q",
	    "/zookeeper/quota/q/zookeeper_limits", "/zookeeper/quota/q/zookeeper_stats", "", "a",
	    "/a/", "//a", "/a/../b", "/\xc3\xa4"};

	return any_of(paths, sizeof paths / sizeof paths[0]);
}

static void
put_data(struct buf *b)
{
	static const char *const data[] = {"", "x", "data", "count=1,bytes=-1", "count=1,bytes=4",
	    "bytes=10,byteHardLimit=12;count=1,countHardLimit=2"};
	uint8_t many[200];

	if (script_below(8) == 0)
		jute_put_text(b, NULL);
	else if (script_below(4) != 0)
		jute_put_text(b, any_of(data, sizeof data / sizeof data[0]));
	else {
		memset(many, 'd', sizeof many);
		jute_put_bytes(b, (struct jute_bytes){many, (int32_t)script_below(sizeof many)});
	}
}

static void
put_acl(struct buf *b)
{
	static const char *const entries[][2] = {{"world", "anyone"}, {"world", "anyone"},
	    {"auth", ""}, {"digest", "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="}, {"ip", "127.0.0.1"},
	    {"ip", "127.0.0.0/8"}, {"sasl", "bob"}, {"x509", "CN=x"}, {"none", "x"}};
	size_t count = script_below(8) == 0 ? script_below(4) : 1;

	jute_put_i32(b, (int32_t)count);
	for (size_t i = 0; i < count; i++) {
		size_t which = script_below(sizeof entries / sizeof entries[0]);

		jute_put_i32(b, script_below(3) != 0 ? 31 : (int32_t)script_below(32));
		jute_put_text(b, entries[which][0]);
		jute_put_text(b, entries[which][1]);
	}
}

static int32_t
any_version(void)
{
	return (int32_t)script_below(4) - 1;
}

static void
put_paths(struct buf *b, size_t lists)
{
	for (; lists > 0; lists--) {
		size_t count = script_below(3);

		jute_put_i32(b, (int32_t)count);
		for (; count > 0; count--)
			jute_put_text(b, any_path());
	}
}

static void put_body(struct buf *b, int32_t op);

static void
put_parts(struct buf *b, const int32_t *ops, size_t count)
{
	for (size_t parts = script_below(PARTS_MAX + 1); parts > 0; parts--) {
		int32_t op = ops[script_below(count)];

		jute_put_i32(b, op);
		jute_put_bool(b, false);
		jute_put_i32(b, -1);
		put_body(b, op);
	}
	jute_put_i32(b, -1);
	jute_put_bool(b, true);
	jute_put_i32(b, -1);
}

static void
put_identity(struct buf *b)
{
	static const char *const ids[][2] = {{"digest", "u:p"}, {"digest", "super:secret"},
	    {"ip", ""}, {"ensemble", "x"}, {"none", "x"}, {"digest", ""}};
	size_t which = script_below(sizeof ids / sizeof ids[0]);

	jute_put_i32(b, 0);
	jute_put_text(b, ids[which][0]);
	jute_put_text(b, ids[which][1]);
}

/* The record of an operation that has a path first. */
static void
put_body_of_path(struct buf *b, int32_t op)
{
	jute_put_text(b, any_path());
	switch (op) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		put_data(b);
		put_acl(b);
		jute_put_i32(b, (int32_t)script_below(8));
		if (op == ZK_OP_CREATE_TTL)
			jute_put_i64(b, (int64_t)script_below(100000));
		break;
	case ZK_OP_SET_DATA:
		put_data(b);
		jute_put_i32(b, any_version());
		break;
	case ZK_OP_SET_ACL:
		put_acl(b);
		jute_put_i32(b, any_version());
		break;
	case ZK_OP_DELETE:
	case ZK_OP_CHECK:
		jute_put_i32(b, any_version());
		break;
	case ZK_OP_EXISTS:
	case ZK_OP_GET_DATA:
	case ZK_OP_GET_CHILDREN:
	case ZK_OP_GET_CHILDREN2:
		jute_put_bool(b, script_below(2) == 0);
		break;
	case ZK_OP_CHECK_WATCHES:
	case ZK_OP_REMOVE_WATCHES:
	case ZK_OP_ADD_WATCH:
		jute_put_i32(b, (int32_t)script_below(4));
		break;
	}
}

static void
put_body(struct buf *b, int32_t op)
{
	static const int32_t writes[] = {ZK_OP_CREATE, ZK_OP_CREATE2, ZK_OP_CREATE_CONTAINER,
	    ZK_OP_CREATE_TTL, ZK_OP_DELETE, ZK_OP_SET_DATA, ZK_OP_CHECK, ZK_OP_SET_ACL};
	static const int32_t reads[] = {ZK_OP_GET_DATA, ZK_OP_GET_CHILDREN};

	switch (op) {
	case ZK_OP_MULTI:
		put_parts(b, writes, sizeof writes / sizeof writes[0]);
		break;
	case ZK_OP_MULTI_READ:
		put_parts(b, reads, sizeof reads / sizeof reads[0]);
		break;
	case ZK_OP_SET_WATCHES:
	case ZK_OP_SET_WATCHES2:
		jute_put_i64(b, (int64_t)script_below(8));
		put_paths(b, op == ZK_OP_SET_WATCHES ? 3 : 5);
		break;
	case ZK_OP_AUTH:
		put_identity(b);
		break;
	case ZK_OP_SASL:
		jute_put_text(
		    b, script_below(2) == 0 ? "" : "username=\"bob\",realm=\"zk-sasl-md5\"");
		break;
	case ZK_OP_RECONFIG:
		jute_put_text(b, "server.1=a:1:2:participant;3");
		jute_put_text(b, NULL);
		jute_put_text(b, NULL);
		jute_put_i64(b, -1);
		break;
	default:
		put_body_of_path(b, op);
	}
}

static void
put_request(struct buf *b)
{
	static const int32_t ops[] = {ZK_OP_CREATE, ZK_OP_CREATE, ZK_OP_CREATE, ZK_OP_CREATE2,
	    ZK_OP_CREATE_CONTAINER, ZK_OP_CREATE_TTL, ZK_OP_DELETE, ZK_OP_DELETE, ZK_OP_EXISTS,
	    ZK_OP_GET_DATA, ZK_OP_SET_DATA, ZK_OP_SET_DATA, ZK_OP_GET_ACL, ZK_OP_SET_ACL,
	    ZK_OP_GET_CHILDREN, ZK_OP_GET_CHILDREN2, ZK_OP_SYNC, ZK_OP_PING, ZK_OP_CHECK,
	    ZK_OP_MULTI, ZK_OP_MULTI, ZK_OP_MULTI, ZK_OP_MULTI_READ, ZK_OP_RECONFIG,
	    ZK_OP_CHECK_WATCHES, ZK_OP_REMOVE_WATCHES, ZK_OP_ADD_WATCH, ZK_OP_ADD_WATCH,
	    ZK_OP_SET_WATCHES, ZK_OP_SET_WATCHES2, ZK_OP_AUTH, ZK_OP_SASL, ZK_OP_GET_EPHEMERALS,
	    ZK_OP_GET_ALL_CHILDREN_NUMBER, ZK_OP_WHO_AM_I, ZK_OP_CLOSE_SESSION,
	    ZK_OP_CREATE_SESSION, ZK_OP_DELETE_CONTAINER, ZK_OP_ERROR, 0, 99};
	int32_t op = ops[script_below(sizeof ops / sizeof ops[0])];

	jute_put_i32(b, op == ZK_OP_PING ? ZK_XID_PING : (int32_t)script_below(100));
	jute_put_i32(b, op);
	put_body(b, op);
}

static void
put_raw(struct buf *b)
{
	static const char *const words[] = {"ruok", "stat", "srvr", "mntr", "cons", "crst", "srst",
	    "dump", "wchs", "wchc", "wchp", "conf", "envi", "dirs", "isro", "hash", "gtmk",
	    "stmk\0\0\0\0"};

	switch (script_below(4)) {
	case 0:
		jute_put_i32(b, (int32_t)(script_below(0x1000) << script_below(20)));
		break;
	case 1: /* a frame and the beginning of one */
		jute_put_i32(b, 8);
		jute_put_i32(b, ZK_XID_PING);
		jute_put_i32(b, ZK_OP_PING);
		jute_put_u8(b, 0);
		break;
	default:
		buf_append(b, any_of(words, sizeof words / sizeof words[0]), 4);
	}
}

/* A new step; its bytes are in b. */
static struct script_line
make_line(struct buf *b)
{
	static const uint8_t kinds[] = {
	    STEP_BYTES, STEP_RESUME, STEP_HANG_UP, STEP_TIME, STEP_SYNC, STEP_WINDOW, STEP_PIECE};
	struct script_line l = {.kind = STEP_FRAME, .peer = (uint8_t)script_below(2)};

	if (script_below(8) == 0)
		l.peer = (uint8_t)script_below(WORLD_PEERS);
	buf_clear(b);
	if (script_below(4) == 0)
		l.kind = kinds[script_below(sizeof kinds)];
	if (l.kind == STEP_FRAME)
		put_request(b);
	else if (l.kind == STEP_BYTES)
		put_raw(b);
	else if (l.kind != STEP_HANG_UP)
		jute_put_i32(b, (int32_t)script_below((size_t)1 << script_below(18)));
	l.bytes = b->data;
	l.size = b->len;
	return l;
}

static size_t
read_lines(const uint8_t *data, size_t size, struct script_line lines[LINES_MAX])
{
	size_t count = 0, at = 1;

	while (count < LINES_MAX && size > 0 && script_next(data, size, &at, &lines[count]))
		count++;
	return count;
}

/* Bytes of one step; they end up in b. */
static void
change_bytes(struct script_line *l, struct buf *b)
{
	uint8_t *to;

	buf_clear(b);
	if (l->size > BODY_BYTES_MAX || (to = buf_reserve(b, BODY_BYTES_MAX + 64)) == NULL)
		return;
	if (l->size > 0)
		memcpy(to, l->bytes, l->size);
	if (l->size >= 4 && script_below(3) == 0) { /* a number that begins somewhere */
		static const uint8_t numbers[][4] = {{0}, {0, 0, 0, 1}, {255, 255, 255, 255},
		    {127, 255, 255, 255}, {128}, {0, 0, 1}, {0, 16}};

		memcpy(
		    to + script_below(l->size - 3), numbers[script_below(sizeof numbers / 4)], 4);
	} else
		l->size = LLVMFuzzerMutate(to, l->size, l->size + 32);
	l->bytes = to;
}

static size_t
change_lines(struct script_line *lines, size_t count, struct buf *b)
{
	size_t at = count > 0 ? script_below(count) : 0,
	       other = count > 0 ? script_below(count) : 0;

	switch (count > 0 ? script_below(10) : 0) {
	case 0:
	case 1:
	case 2:
		return script_insert(lines, count, LINES_MAX, make_line(b));
	case 3:
		lines[at] = make_line(b);
		return count;
	case 4:
		return script_remove(lines, count, at);
	case 5:
		return script_insert(lines, count, LINES_MAX, lines[at]);
	case 6:
		script_swap(&lines[at], &lines[other]);
		return count;
	case 7:
		lines[at].peer = (uint8_t)script_below(WORLD_PEERS);
		return count;
	default:
		change_bytes(&lines[at], b);
		return count;
	}
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	static struct script_line lines[LINES_MAX];
	static uint8_t made[1 << 17];
	static struct buf bytes[4];
	size_t count, changes;

	rng_init(&script_rng, seed);
	if (max_size > sizeof made || size == 0 || script_below(20) == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	made[0] = data[0];
	if (script_below(8) == 0)
		made[0] ^= (uint8_t)(1 << script_below(8));
	count = read_lines(data, size, lines);
	changes = 1 + script_below(3);
	for (size_t i = 0; i < changes; i++) {
		if (bytes[i].max_bytes == 0)
			buf_init(&bytes[i], 1 << 16);
		count = change_lines(lines, count, &bytes[i]);
	}
	size = 1 + script_write(lines, count, made + 1, max_size - 1);
	memcpy(data, made, size);
	return size;
}
