/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client port: a few clients send what they like to a server with its real shell, hang up, come
 * back, do not read, while time goes by and the log lags behind. Whatever they do: each answer is a
 * whole frame, each request is answered in its order, everything is given back at the end, and the
 * log alone makes the same tree.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/io/loop.h"
#include "libcommon/sys/log.h"
#include "tests/fuzz/client_script.h"
#include "tests/fuzz/client_world.h"
#include "tests/fuzz/fuzz.h"
#include "zkserver/admin.h"
#include "zkserver/admin_job.h"
#include "zkserver/auth.h"
#include "zkserver/client_port.h"

#define START_MS 500000
#define TICK_MS 1000
#define ASKED_MAX 256
#define QUIET_TURNS 64 /* in which everything that waits must have been done */
#define REPLAY_EVERY 4 /* inputs: it takes a third of the time */
#define LOG_BYTES_MAX ((size_t)64 << 20)

static const struct hash_key KEY = {1, 2};

/* What a peer has asked for, and what it was told. */
struct peer {
	uint8_t head[ADMIN_WORD_BYTES]; /* the first that it sent */
	size_t head_size;
	bool text;	 /* they are a word: no frames come back */
	bool greeted;	 /* the connect request was answered */
	bool in_order;	 /* its answers can be told apart, and must come in order */
	uint64_t frames; /* sent */
	size_t read;	 /* of out */
	int32_t asked[ASKED_MAX];
	size_t first, end; /* of asked: those that were not answered */
	int64_t zxid;
	int64_t session; /* the last that it had; it outlives the connection */
};

static struct zoo_conf conf;
static struct loop *loop;
static struct auth *auth;
static struct db db;
static struct server server;
static struct admin admin;
static struct admin_jobs jobs;
static struct audit audit;
static struct client_port *port;
static struct peer peers[WORLD_PEERS];
static struct buf logged; /* each record behind its length */
static int64_t handed, durable;
static uint8_t options;

/* SASL's users stand in a file, which has no name. */
static void
put_users(void)
{
	int fd = memfd_create("users", MFD_CLOEXEC);
	static const char users[] = "bob:word\n";

	assert(fd >= 0 && fchmod(fd, 0600) == 0);
	assert(write(fd, users, sizeof users - 1) == (ssize_t)sizeof users - 1);
	snprintf(conf.auth.users_file, sizeof conf.auth.users_file, "/proc/self/fd/%d", fd);
}

static void
begin(void)
{
	struct client_port_config config = {
	    .server = &server, .conf = &conf, .admin = &admin, .jobs = &jobs};
	char why[256] = "";

	log_init("client_fuzz", LOG_LEVEL_ERROR);
	zoo_conf_default(&conf, "/nonexistent");
	conf.client_port = 0;
	conf.max_client_cnxns = WORLD_PEERS - 1;
	/* Not mntr, which takes long: admin_fuzz has the texts of all. */
	snprintf(conf.words, sizeof conf.words,
	    "conf,cons,crst,dump,gtmk,hash,isro,ruok,srst,stat,stmk,wchc,wchp,wchs");
	/* The digest of super:secret. */
	snprintf(conf.auth.super_digest, sizeof conf.auth.super_digest,
	    "super:5gj5J+gY/cpwPGiOPjXbfMiA4IU=");
	conf.auth.ensemble = true;
	put_users();
	assert((loop = config.loop = loop_new()) != NULL);
	assert((auth = auth_open(&conf, why, sizeof why)) != NULL);
	config.auth = auth;
	admin_init(&admin, &conf, &server);
	admin_jobs_init(&jobs, loop);
	db.tree.hash_key = KEY; /* the port takes it over; the rest comes with start_server() */
	server.db = &db;
	world_begin();
	assert((port = client_port_open(&config, why, sizeof why)) != NULL);
	admin.clients = port;
	buf_init(&logged, LOG_BYTES_MAX);
}

static void
on_audit(void *arg, const char *text, size_t size, bool failure)
{
	(void)arg;
	(void)failure;
	for (size_t i = 0; i < size; i++)
		assert((unsigned char)text[i] >= ' ' || text[i] == '\t');
}

static void
start_server(void)
{
	bool tight = (options & SCRIPT_TIGHT) != 0;
	const struct server_settings settings = {
	    .tick_ms = TICK_MS,
	    .min_timeout_ms = 2 * TICK_MS,
	    .max_timeout_ms = 20 * TICK_MS,
	    .frame_bytes_max = conf.jute_max_bytes,
	    .snap_count = 100,
	    .outstanding_max = tight ? 2 : 1000,
	    .sid = 1,
	    .reap_interval_ms = 60000,
	    .reap_max_per_minute = 1000,
	    .reap_never_used_ms = 120000,
	    .enforce_quota = (options & SCRIPT_QUOTA) != 0,
	    .schemes = (options & SCRIPT_SASL) != 0 ? "sasl" : NULL,
	    .limits = {.memory_bytes = tight ? 20000 : 0,
		.nodes = tight ? 8 : 0,
		.ephemerals = tight ? 1 : 0,
		.sessions = tight ? 2 : 0,
		.connects = {tight ? 6 : 0, 1000, 1},
		.connect_cost = 2,
		.reconnect_cost = 1},
	};
	const struct tree_rules rules = {.extended_types = (options & SCRIPT_NO_TTL) == 0};

	assert(db_init(&db, &KEY, TICK_MS));
	db_set_rules(&db, &rules);
	conf.auth.skip_acl = (options & SCRIPT_SKIP_ACL) != 0;
	db.tree.acls.policy = auth_policy(auth);
	server_init(&server, &settings, &db, 1, START_MS, WORLD_WALL_MS + START_MS);
	if ((options & SCRIPT_AUDIT) != 0) {
		audit = (struct audit){.line = on_audit, .user = "me"};
		audit_init(&audit);
		server.audit = &audit;
	}
	buf_clear(&logged);
	handed = durable = 0;
	memset(peers, 0, sizeof peers);
	world_reset(START_MS);
}

/* ---- what is asked ---- */

static void
ask(struct peer *p, const uint8_t *bytes, size_t size)
{
	struct jute_reader r = jute_reader(bytes, size);
	int32_t xid = jute_get_i32(&r), op = jute_get_i32(&r);

	if (p->frames++ == 0) /* the connect request */
		return;
	/* An event, or what is answered before a write that it stands behind, looks the same. */
	if (r.bad || xid == ZK_XID_EVENT || op == ZK_OP_AUTH || op == ZK_OP_SASL ||
	    (op == ZK_OP_PING && xid != ZK_XID_PING) || p->end - p->first == ASKED_MAX)
		p->in_order = false;
	if (p->in_order)
		p->asked[p->end++ % ASKED_MAX] = xid;
}

static void
put(size_t i, const uint8_t *bytes, size_t size)
{
	struct peer *p = &peers[i];

	for (size_t k = 0; k < size && p->head_size < sizeof p->head; k++) {
		p->head[p->head_size++] = bytes[k];
		p->text = p->head_size == sizeof p->head && admin_find_word(p->head) != NULL;
	}
	buf_append(&world_peers[i].in, bytes, size);
}

static void
send_frame(size_t i, const uint8_t *bytes, size_t size)
{
	const uint8_t length[4] = {0, (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};

	put(i, length, sizeof length);
	put(i, bytes, size);
	ask(&peers[i], bytes, size);
}

static void
send_connect(size_t i, int64_t session)
{
	uint8_t password[SESSION_PASSWORD_BYTES] = {0};
	struct buf b;

	buf_init(&b, 64);
	jute_put_i32(&b, 0);
	jute_put_i64(&b, 0);
	jute_put_i32(&b, 10000);
	jute_put_i64(&b, session);
	if (session != 0)
		session_password(session, password);
	jute_put_bytes(&b, (struct jute_bytes){password, sizeof password});
	jute_put_bool(&b, false);
	send_frame(i, b.data, b.len);
	buf_fini(&b);
}

/* Have the peer connected, with a session or without. */
static bool
connect_peer(size_t i, bool joins)
{
	int64_t session = peers[i].session;

	if (world_peers[i].open)
		return !world_peers[i].ended;
	if (!world_connect(i))
		return false;
	peers[i] = (struct peer){.in_order = true, .session = session};
	if (joins)
		send_connect(i, 0);
	return true;
}

/* ---- what is answered ---- */

static void
take_greeting(struct peer *p, struct jute_reader *r, size_t size)
{
	struct jute_bytes password;
	int64_t session;
	int32_t timeout_ms;

	assert(jute_get_i32(r) == 0);
	timeout_ms = jute_get_i32(r);
	session = jute_get_i64(r);
	password = jute_get_bytes(r);
	assert(!r->bad && password.len == SESSION_PASSWORD_BYTES);
	assert(size == 36 || size == 37);
	assert((timeout_ms == 0) == (session == 0));
	p->greeted = true;
	if (session != 0)
		p->session = session;
}

static void
take_reply(struct peer *p, struct jute_reader *r)
{
	int32_t xid = jute_get_i32(r);
	int64_t zxid = jute_get_i64(r);

	jute_get_i32(r);
	assert(!r->bad);
	if (zxid > 0) { /* nobody sees time go back */
		assert(zxid >= p->zxid && zxid <= server.db->last_zxid);
		p->zxid = zxid;
	}
	if (!p->in_order || xid == ZK_XID_EVENT)
		return;
	assert(p->first < p->end);
	assert(xid == p->asked[p->first++ % ASKED_MAX]);
}

static void
take_answers(size_t i)
{
	struct buf *out = &world_peers[i].out;
	struct peer *p = &peers[i];

	while (!p->text && out->len >= 4) {
		struct jute_reader r = jute_reader(out->data, out->len);
		int32_t size = jute_get_i32(&r);

		assert(size >= 16 && (size_t)size <= SERVER_REPLY_BYTES_MAX + 64);
		if ((size_t)size > jute_left(&r))
			return;
		r.end = r.pos + size;
		if (p->greeted)
			take_reply(p, &r);
		else
			take_greeting(p, &r, (size_t)size);
		buf_consume(out, 4 + (size_t)size);
	}
}

/* ---- the rest of the daemon ---- */

static void
set_time(void)
{
	server_set_time(&server, world_boot_ms, WORLD_WALL_MS + (int64_t)world_boot_ms);
}

static void
take_records(void)
{
	const uint8_t *bytes;
	size_t size;

	while (server_next_record(&server, &handed, &bytes, &size)) {
		jute_put_bytes(&logged, (struct jute_bytes){bytes, (int32_t)size});
		assert(!logged.failed);
	}
}

/* So many records more are on the disk; 0: all that were handed to it. */
static void
sync_log(uint64_t count)
{
	take_records();
	durable =
	    count == 0 || (uint64_t)(handed - durable) < count ? handed : durable + (int64_t)count;
	set_time();
	server_synced(&server, durable);
}

static void
turn(void)
{
	uint64_t count;

	for (size_t i = 0; i < WORLD_PEERS; i++)
		world_deliver(i);
	take_records();
	client_port_flush(port);
	take_records();
	if ((options & SCRIPT_SLOW_LOG) == 0) {
		sync_log(0);
		client_port_flush(port);
	}
	(void)server_quota_notice(&server, &count);
	(void)server_snapshot_due(&server);
	for (size_t i = 0; i < WORLD_PEERS; i++)
		take_answers(i);
	assert(!server.failed);
}

/* ---- the script ---- */

static uint64_t
number_of(const struct script_line *l)
{
	uint64_t n = 0;

	for (size_t i = 0; i < l->size && i < 4; i++)
		n = n << 8 | l->bytes[i];
	return n;
}

/* Where frames begin is the server's to find out, and nothing about the answers can be said. */
static void
send_bytes(const struct script_line *l)
{
	peers[l->peer].in_order = false;
	peers[l->peer].frames++;
	put(l->peer, l->bytes, l->size);
}

static void
pass_time(uint64_t ms)
{
	world_boot_ms += ms;
	set_time();
	server_tick(&server);
	client_port_expire(port);
}

static void
do_step(const struct script_line *l)
{
	struct world_peer *w = &world_peers[l->peer];
	uint64_t n = number_of(l);
	bool joins = (options & SCRIPT_JOIN) != 0;

	switch ((enum script_step)(l->kind % STEP_KINDS)) {
	case STEP_FRAME:
		if (connect_peer(l->peer, joins))
			send_frame(l->peer, l->bytes, l->size);
		break;
	case STEP_BYTES:
		if (connect_peer(l->peer, false))
			send_bytes(l);
		break;
	case STEP_RESUME:
		if (connect_peer(l->peer, false))
			send_connect(l->peer, peers[n % WORLD_PEERS].session);
		break;
	case STEP_HANG_UP:
		w->ended = w->open;
		break;
	case STEP_TIME:
		pass_time(n % (1 << 20));
		break;
	case STEP_SYNC:
		sync_log(n);
		break;
	case STEP_WINDOW:
		w->window = (size_t)n;
		break;
	case STEP_PIECE:
		w->piece = n > 0 ? (size_t)n : SIZE_MAX;
		break;
	case STEP_KINDS:
		break;
	}
}

/* ---- the end ---- */

static bool
is_quiet(void)
{
	for (size_t i = 0; i < WORLD_PEERS; i++) {
		if (world_peers[i].open && world_peers[i].in.len > 0)
			return false;
	}
	return server.pending_count == 0 && list_empty(&server.dirty) && list_empty(&server.told) &&
	       list_empty(&server.resting) && list_empty(&server.stalled);
}

/* The disk is quick and everybody reads: then nobody waits. */
static void
settle(void)
{
	int turns = 0;

	options &= (uint8_t)~SCRIPT_SLOW_LOG;
	for (size_t i = 0; i < WORLD_PEERS; i++)
		world_peers[i].window = world_peers[i].piece = SIZE_MAX;
	do
		turn();
	while (!is_quiet() && ++turns < QUIET_TURNS);
	for (size_t i = 0; i < WORLD_PEERS; i++) {
		struct peer *p = &peers[i];

		if (!world_peers[i].open)
			continue;
		assert(world_peers[i].in.len == 0);
		assert(!p->in_order || p->first == p->end);
		assert(p->text || world_peers[i].out.len == 0);
	}
}

static void
hang_up_all(void)
{
	for (size_t i = 0; i < WORLD_PEERS; i++) {
		world_peers[i].ended = world_peers[i].open;
		world_deliver(i);
		assert(!world_peers[i].open);
	}
	assert(server.conn_count == 0 && server.pending_count == 0 && server.pending.len == 0);
	assert(server.watches.count[WATCH_DATA] == 0 && server.watches.count[WATCH_CHILD] == 0);
	assert(server.prep.last_zxid == db.last_zxid);
	assert((options & SCRIPT_AUDIT) == 0 || audit.waiting.len == 0);
}

/* Who starts again with nothing but the log has the same. */
static void
replay_log(void)
{
	struct jute_reader r = jute_reader(logged.data, logged.len);
	struct db again;

	assert(db_init(&again, &KEY, TICK_MS));
	db_set_rules(&again, &db.rules);
	while (jute_left(&r) > 0) {
		struct jute_bytes record = jute_get_bytes(&r);

		assert(!r.bad);
		assert(db_apply(&again, record.data, (size_t)record.len, 0, NULL, NULL, NULL) ==
		       APPLY_OK);
	}
	assert(again.last_zxid == db.last_zxid && again.tree.digest == db.tree.digest);
	assert(again.tree.node_count == db.tree.node_count);
	assert(again.tree.ephemeral_count == db.tree.ephemeral_count);
	assert(again.tree.data_bytes == db.tree.data_bytes);
	assert(session_count(&again.sessions) == session_count(&db.sessions));
	assert(again.digest_mismatches == 0 && db.digest_mismatches == 0);
	db_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static bool begun;
	struct script_line line;
	size_t at = 1;

	if (size == 0)
		return 0;
	if (!begun)
		begin();
	begun = true;
	options = bytes[0];
	start_server();
	while (script_next(bytes, size, &at, &line)) {
		line.peer %= WORLD_PEERS;
		do_step(&line);
		turn();
	}
	settle();
	hang_up_all();
	tree_check(&db.tree);
	if (size % REPLAY_EVERY == 0)
		replay_log();
	server_fini(&server);
	if ((options & SCRIPT_AUDIT) != 0)
		audit_fini(&audit);
	db_fini(&db);
	return 0;
}
