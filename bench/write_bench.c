/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write_bench [OPERATIONS [LOAD]]: what zkserver's core and the encoding of its log cost for each
 * request, in ns of processor time: no sockets and no disk. Clients send pipelined requests, and a
 * batch of them at a time is logged, applied and answered. The best of some rounds is printed,
 * since what else the machine does only ever adds.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "libcommon/base/rng.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/core/server.h"
#include "zkserver/core/txnlog.h"

#define CLIENTS 32
#define PIPELINE 16 /* requests of one client at a time; half of the clients fill a batch */
#define CLIENTS_A_BATCH (CLIENTS / 2)
#define KEYS 1000
#define VALUE_BYTES 1024
#define PARENTS 64
#define FRAME_BYTES (VALUE_BYTES + 256)
#define ROUNDS 9
#define OPERATIONS 100000
#define READS_IN_TEN 9

enum load { SET, GET, MIXED, CREATE, CREATE_DELETE, LOADS };
static const char *const NAMES[LOADS] = {"set", "get", "9 get, 1 set", "create", "create, delete"};
static const uint8_t WORLD_ALL[] = "\0\0\0\1\0\0\0\37\0\0\0\5world\0\0\0\6anyone";

struct client {
	struct server_conn conn;
	struct buf out, requests;
	uint64_t made; /* nodes, or halves of a create and a delete */
	int32_t xid;
};

struct world {
	struct db db;
	struct server server;
	struct txnlog log;
	struct txnlog_batch batch;
	struct rng rng;
	struct client clients[CLIENTS];
	uint64_t requests;
	uint64_t now_ms;
};

static void
need(bool ok, const char *what)
{
	if (!ok)
		bench_die(what);
}

/* What waits goes to the log; it is durable at once. */
static void
commit(struct world *w)
{
	const uint8_t *bytes;
	size_t size;
	int64_t zxid = 0;

	while (server_next_record(&w->server, &zxid, &bytes, &size))
		need(txnlog_append(&w->log, &w->batch, bytes, size) == 0, "a batch is full");
	if (zxid == 0)
		return;
	txnlog_seal(&w->log, &w->batch);
	txnlog_batch_clear(&w->log, &w->batch);
	w->server.now_ms += w->requests % 2; /* some batches a millisecond */
	server_synced(&w->server, zxid);
	while (server_next_dirty(&w->server) != NULL)
		continue;
}

/* ---- requests ---- */

static size_t
begin(struct buf *b, int32_t xid, int32_t op)
{
	size_t at = b->len;

	jute_put_i32(b, 0);
	jute_put_i32(b, xid);
	jute_put_i32(b, op);
	return at;
}

static void
end(struct buf *b, size_t at)
{
	jute_set_i32(b, at, (int32_t)(b->len - at - 4));
}

static void
put_create(struct buf *b, int32_t xid, const char *path, struct jute_bytes value)
{
	size_t at = begin(b, xid, ZK_OP_CREATE);

	jute_put_text(b, path);
	jute_put_bytes(b, value);
	buf_append(b, WORLD_ALL, sizeof WORLD_ALL - 1);
	jute_put_i32(b, 0);
	end(b, at);
}

static void
put_key(struct world *w, struct client *c, bool set, struct jute_bytes value)
{
	size_t at = begin(&c->requests, ++c->xid, set ? ZK_OP_SET_DATA : ZK_OP_GET_DATA);
	char path[64];

	snprintf(path, sizeof path, "/bench/k/k%08u", (unsigned)rng_below(&w->rng, KEYS));
	jute_put_text(&c->requests, path);
	if (set) {
		jute_put_bytes(&c->requests, value);
		jute_put_i32(&c->requests, -1);
	} else
		jute_put_bool(&c->requests, false);
	end(&c->requests, at);
}

static void
put_made(struct world *w, struct client *c, bool remove, struct jute_bytes value)
{
	uint64_t number = remove ? c->made / 2 : c->made;
	int of = (int)(c - w->clients);
	char path[96];
	size_t at;

	c->made++;
	snprintf(path, sizeof path, "/bench/c/p%04d/%d-%llu", of % PARENTS, of,
	    (unsigned long long)number);
	if (!remove || c->made % 2 == 1) {
		put_create(&c->requests, ++c->xid, path, value);
		return;
	}
	at = begin(&c->requests, ++c->xid, ZK_OP_DELETE);
	jute_put_text(&c->requests, path);
	jute_put_i32(&c->requests, -1);
	end(&c->requests, at);
}

static void
put_request(struct world *w, struct client *c, enum load load)
{
	static const uint8_t bytes[VALUE_BYTES] = "v";
	const struct jute_bytes value = {bytes, VALUE_BYTES};

	switch (load) {
	case SET:
	case GET:
		put_key(w, c, load == SET, value);
		break;
	case MIXED:
		put_key(w, c, rng_below(&w->rng, 10) >= READS_IN_TEN, value);
		break;
	default:
		put_made(w, c, load == CREATE_DELETE, value);
	}
}

/* ---- a server with clients ---- */

/* Hand in all of a client's requests, as they come from one read. */
static void
submit(struct world *w, struct client *c)
{
	struct server_frame frames[SERVER_BATCH_MAX];
	struct jute_reader r = jute_reader(c->requests.data, c->requests.len);
	size_t count = 0;

	while (jute_left(&r) > 0) {
		struct jute_bytes frame = jute_get_bytes(&r);

		frames[count++] =
		    (struct server_frame){.bytes = frame.data, .size = (uint32_t)frame.len};
	}
	need(server_frames(&w->server, &c->conn, frames, count) == count, "requests must wait");
	w->requests += count;
}

static void
join(struct world *w, struct client *c)
{
	static const uint8_t password[SESSION_PASSWORD_BYTES];

	buf_init(&c->out, SERVER_REPLY_BYTES_MAX);
	buf_init(&c->requests, (size_t)SERVER_BATCH_MAX * FRAME_BYTES);
	need(server_conn_open(&w->server, &c->conn, &c->out, "127.0.0.1"), "no memory");
	jute_put_i32(&c->requests, 0);
	jute_put_i32(&c->requests, 0);
	jute_put_i64(&c->requests, 0);
	jute_put_i32(&c->requests, 30000);
	jute_put_i64(&c->requests, 0);
	jute_put_bytes(&c->requests, (struct jute_bytes){password, sizeof password});
	end(&c->requests, 0);
	submit(w, c);
	commit(w);
	buf_clear(&c->requests);
}

static void
make(struct world *w, const char *path)
{
	struct client *c = &w->clients[0];

	put_create(&c->requests, ++c->xid, path, (struct jute_bytes){(const uint8_t *)"", 0});
	submit(w, c);
	commit(w);
	buf_clear(&c->requests);
	buf_clear(&c->out);
}

static void
make_nodes(struct world *w)
{
	char path[64];

	make(w, "/bench");
	make(w, "/bench/k");
	make(w, "/bench/c");
	for (unsigned i = 0; i < KEYS; i++) {
		snprintf(path, sizeof path, "/bench/k/k%08u", i);
		make(w, path);
	}
	for (unsigned i = 0; i < PARENTS; i++) {
		snprintf(path, sizeof path, "/bench/c/p%04u", i);
		make(w, path);
	}
}

static void
world_init(struct world *w)
{
	static const struct hash_key key = {1, 2};
	const struct server_settings settings = {
	    .tick_ms = 2000,
	    .min_timeout_ms = 4000,
	    .max_timeout_ms = 40000,
	    .frame_bytes_max = 0xfffff,
	    .snap_count = 100000,
	    .outstanding_max = 1000,
	    .sid = 1,
	};

	memset(w, 0, sizeof *w);
	need(db_init(&w->db, &key, settings.tick_ms), "no memory");
	server_init(&w->server, &settings, &w->db, 1, 1000, 1700000000000);
	rng_init(&w->rng, 1);
	txnlog_init(&w->log, NULL, 0);
	txnlog_batch_init(&w->batch);
	for (int i = 0; i < CLIENTS; i++)
		join(w, &w->clients[i]);
	make_nodes(w);
}

static void
world_fini(struct world *w)
{
	for (int i = 0; i < CLIENTS; i++) {
		server_conn_close(&w->server, &w->clients[i].conn);
		buf_fini(&w->clients[i].out);
		buf_fini(&w->clients[i].requests);
	}
	server_fini(&w->server);
	db_fini(&w->db);
	txnlog_batch_fini(&w->batch);
}

/* ns for each of so many requests; the clients' own work is not counted. */
static double
run(struct world *w, enum load load, uint64_t operations)
{
	uint64_t end_at = w->requests + operations;
	uint64_t spent = 0, begun;

	for (int first = 0; w->requests < end_at; first = CLIENTS_A_BATCH - first) {
		struct client *c = &w->clients[first];

		for (int i = 0; i < CLIENTS_A_BATCH; i++) {
			buf_clear(&c[i].requests);
			buf_clear(&c[i].out);
			for (int j = 0; j < PIPELINE; j++)
				put_request(w, &c[i], load);
		}
		begun = bench_ns(CLOCK_PROCESS_CPUTIME_ID);
		for (int i = 0; i < CLIENTS_A_BATCH; i++)
			submit(w, &c[i]);
		commit(w);
		spent += bench_ns(CLOCK_PROCESS_CPUTIME_ID) - begun;
	}
	return (double)spent / (double)operations;
}

int
main(int argc, char **argv)
{
	static struct world w;
	uint64_t operations = OPERATIONS;

	need(argc < 2 || str_to_u64(argv[1], 1, UINT32_MAX, &operations), "no number");
	printf("%-24s %12s\n", "zkserver's core", "CPU ns each");
	for (enum load load = 0; load < LOADS; load++) {
		double best = 0;

		if (argc > 2 && strcmp(argv[2], NAMES[load]) != 0)
			continue;

		for (int round = 0; round < ROUNDS; round++) {
			double ns;

			world_init(&w);
			ns = run(&w, load, operations);
			best = round == 0 || ns < best ? ns : best;
			world_fini(&w);
		}
		printf("%-24s %12.0f\n", NAMES[load], best);
	}
	return EXIT_SUCCESS;
}
