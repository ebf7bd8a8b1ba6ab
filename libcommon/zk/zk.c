/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/zk/zk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "libcommon/base/rng.h"
#include "libcommon/io/link.h"
#include "libcommon/sys/log.h"
#include "libcommon/zk/hosts.h"
#include "libcommon/zk/session.h"

#define REPLY_BYTES_MAX (64u << 20) /* a long list of children passes jute.maxbuffer */
#define QUEUE_BYTES_MAX (4u << 20)
#define FRAME_HEAD_BYTES 4
#define CONNECT_MS_MIN 500
#define BACKOFF_MS_MIN 50
#define BACKOFF_MS_MAX 1000
#define CLOSE_MS_MAX 2000
#define WHY_BYTES_MAX 512
#define ROUNDS_PER_WARNING 60 /* at the longest back-off: about a minute */

struct zk {
	struct loop *loop;
	struct tls *tls;
	zk_state_fn *on_state;
	void *arg;
	struct zk_session *session;
	struct zk_hosts hosts;
	size_t next;	 /* the host to try next */
	size_t tried;	 /* hosts tried in vain since the last session or pause */
	size_t failures; /* since the last session was up */
	bool taken;	 /* and a host took a connection, and lost it, since */
	uint64_t backoff_ms;
	struct link_limits limits;
	struct link *link; /* NULL between attempts */
	bool up;
	struct timer timer; /* one for all: the earliest of the three below and the session's own */
	uint64_t retry_ms;  /* connect then; UINT64_MAX: no */
	uint64_t give_up_ms; /* of zk_close(); UINT64_MAX: not closing */
	void (*closed)(void *arg);
	void *closed_arg;
	struct rng rng;
	const char *server;
	char why[WHY_BYTES_MAX];
	unsigned depth; /* of callbacks: the memory stays until the outermost has returned */
	bool freed;
};

static void zk_turn(struct zk *z);

static bool
zk_is_final(const struct zk *z)
{
	enum zk_state state = zk_session_state(z->session);

	return state == ZK_EXPIRED || state == ZK_AUTH_FAILED;
}

/* At once while there are hosts that were not tried, else after a pause that grows. */
static void
zk_schedule_retry(struct zk *z)
{
	uint64_t half = z->backoff_ms / 2;

	z->retry_ms = UINT64_MAX;
	if (zk_is_final(z))
		return;
	z->retry_ms = clock_boot_ms();
	if (z->tried < z->hosts.count)
		return;
	z->tried = 0;
	z->retry_ms += half + rng_below(&z->rng, half + 1);
	if (z->backoff_ms < BACKOFF_MS_MAX)
		z->backoff_ms *= 2;
}

static void
zk_lost(struct zk *z, const char *why)
{
	bool taken = z->up && !link_was_turned_away(z->link);

	if (taken || !z->taken) /* those who took us have more to say */
		snprintf(z->why, sizeof z->why, "%s: %s", z->server, why);
	z->link = NULL;
	z->up = false;
	z->taken = z->taken || taken;
	z->failures++;
	if (z->failures % (z->hosts.count * ROUNDS_PER_WARNING) == z->hosts.count)
		log_warn("no server of the ensemble answers, trying on: %s", z->why);
	zk_session_down(z->session);
	zk_schedule_retry(z);
}

/* Hand to the link what it takes. */
static void
zk_flush(struct zk *z)
{
	const uint8_t *frame;
	uint64_t now_ms;
	size_t size;

	while (z->up && (frame = zk_session_unsent(z->session, &size)) != NULL) {
		now_ms = clock_boot_ms();
		if (!link_send(z->link, frame, size))
			break;
		zk_session_sent(z->session, now_ms);
	}
}

static void
on_up(void *arg, struct link *l)
{
	struct zk *z = arg;

	(void)l;
	z->up = true;
	zk_session_up(z->session, clock_boot_ms());
	zk_turn(z);
}

static void
on_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	struct zk *z = arg;

	(void)l;
	zk_session_frame(z->session, clock_boot_ms(), bytes, size);
	zk_turn(z);
}

static void
on_writable(void *arg, struct link *l)
{
	(void)l;
	zk_flush(arg);
}

static void
on_down(void *arg, struct link *l, const char *why)
{
	struct zk *z = arg;

	(void)l;
	zk_lost(z, why);
	zk_turn(z);
}

static const struct link_ops zk_link_ops = {on_up, on_frame, on_writable, on_down};

static void
zk_connect(struct zk *z)
{
	z->retry_ms = UINT64_MAX;
	z->server = z->hosts.items[z->next];
	z->next = (z->next + 1) % z->hosts.count;
	z->tried++;
	z->link = link_connect(z->loop, z->server, z->tls, NULL, &z->limits, &zk_link_ops, z);
	if (z->link == NULL)
		zk_lost(z, "out of memory");
}

static void
zk_hang_up(struct zk *z)
{
	if (z->link != NULL)
		link_abort(z->link);
	z->link = NULL;
	z->up = false;
}

static void
zk_tell_state(struct zk *z, enum zk_state state)
{
	if (state == ZK_CONNECTED) {
		z->tried = z->failures = 0;
		z->taken = false;
		z->backoff_ms = BACKOFF_MS_MIN;
	}
	if (!z->freed && z->give_up_ms == UINT64_MAX && z->on_state != NULL)
		z->on_state(z->arg, z, state);
}

/* The end of zk_close(). */
static void
zk_finish(struct zk *z)
{
	void (*closed)(void *arg) = z->closed;
	void *arg = z->closed_arg;

	zk_free(z);
	if (closed != NULL)
		closed(arg);
}

static void
zk_handle(struct zk *z, struct zk_output *out)
{
	switch (out->type) {
	case ZK_OUTPUT_DONE:
		if (out->done != NULL)
			out->done(out->arg, &out->result);
		break;
	case ZK_OUTPUT_EVENT:
		out->watch->call.fire(out->watch->call.arg, out->watch->event, out->watch->path);
		break;
	case ZK_OUTPUT_STATE:
		zk_tell_state(z, out->state);
		break;
	case ZK_OUTPUT_DROP:
		if (z->link != NULL) {
			link_abort(z->link);
			zk_lost(z, out->why);
		}
		break;
	case ZK_OUTPUT_CLOSED:
		if (!z->freed)
			zk_finish(z);
	}
}

static void
zk_drain(struct zk *z)
{
	struct zk_output out;

	z->depth++;
	while (zk_session_next(z->session, &out)) {
		zk_handle(z, &out);
		zk_output_fini(&out);
	}
	z->depth--;
}

static void
zk_destroy(struct zk *z)
{
	zk_session_free(z->session);
	tls_unref(z->tls);
	free(z);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void
zk_set_timer(struct zk *z)
{
	uint64_t at_ms =
	    earlier(zk_session_deadline_ms(z->session), earlier(z->retry_ms, z->give_up_ms));

	/* The timer has its place in the loop's heap since zk_new(): setting it again cannot fail.
	 */
	if (at_ms != UINT64_MAX)
		(void)timer_set(&z->timer, at_ms);
}

/* After each input: hand on what came of it. The handle may be gone afterwards. */
static void
zk_turn(struct zk *z)
{
	zk_drain(z);
	if (!z->freed) {
		zk_flush(z);
		zk_set_timer(z);
	} else if (z->depth == 0) {
		zk_destroy(z);
	}
}

static void
on_timer(void *arg)
{
	struct zk *z = arg;
	uint64_t now_ms = clock_boot_ms();

	if (now_ms >= z->give_up_ms) {
		zk_finish(z);
		return;
	}
	if (now_ms >= z->retry_ms)
		zk_connect(z);
	zk_session_tick(z->session, now_ms);
	zk_turn(z);
}

static struct zk_session *
zk_session_make(struct zk *z, uint32_t timeout_ms)
{
	struct zk_session_config config = {.timeout_ms = timeout_ms};

	config.connect_timeout_ms = timeout_ms / (uint32_t)z->hosts.count;
	if (config.connect_timeout_ms < CONNECT_MS_MIN)
		config.connect_timeout_ms = CONNECT_MS_MIN;
	z->limits = (struct link_limits){
	    .frame_bytes_max = REPLY_BYTES_MAX,
	    .queue_bytes_max = QUEUE_BYTES_MAX,
	    .handshake_ms = config.connect_timeout_ms,
	};
	if (getrandom(&config.hash, sizeof config.hash, 0) != (ssize_t)sizeof config.hash)
		return NULL;
	return zk_session_new(&config);
}

struct zk *
zk_new(struct loop *loop, const char *hosts, struct tls *tls, uint32_t timeout_ms,
    zk_state_fn *on_state, void *arg, char *error, size_t size)
{
	struct zk *z = calloc(1, sizeof *z);
	uint64_t seed;

	if (z == NULL || getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		goto refused;
	z->loop = loop;
	z->on_state = on_state;
	z->arg = arg;
	z->backoff_ms = BACKOFF_MS_MIN;
	z->give_up_ms = UINT64_MAX;
	rng_init(&z->rng, seed);
	timer_init(&z->timer, loop, on_timer, z);
	if (!zk_hosts_parse(&z->hosts, hosts, error, size)) {
		free(z);
		return NULL;
	}
	zk_hosts_shuffle(&z->hosts, &z->rng);
	z->server = z->hosts.items[0];
	z->session = zk_session_make(z, timeout_ms < INT32_MAX ? timeout_ms : INT32_MAX);
	if (z->session == NULL || !timer_set(&z->timer, clock_boot_ms()))
		goto refused;
	z->tls = tls != NULL ? tls_ref(tls) : NULL;
	return z;

refused:
	snprintf(error, size, "client of the ensemble at %s: out of memory", hosts);
	if (z != NULL)
		zk_session_free(z->session);
	free(z);
	return NULL;
}

void
zk_set_request_bytes_max(struct zk *z, size_t bytes)
{
	zk_session_set_request_bytes_max(z->session, bytes);
	if (z->limits.queue_bytes_max < FRAME_HEAD_BYTES + bytes)
		z->limits.queue_bytes_max = FRAME_HEAD_BYTES + bytes;
}

void
zk_set_read_only(struct zk *z)
{
	zk_session_set_read_only(z->session);
}

void
zk_close(struct zk *z, void (*closed)(void *arg), void *arg)
{
	if (z->freed || z->give_up_ms != UINT64_MAX)
		return;
	z->closed = closed;
	z->closed_arg = arg;
	z->give_up_ms = clock_boot_ms() + CLOSE_MS_MAX;
	zk_session_close(z->session);
	zk_flush(z);
	(void)timer_set(
	    &z->timer, clock_boot_ms()); /* a turn, for a session that is closed already */
}

void
zk_free(struct zk *z)
{
	if (z == NULL || z->freed)
		return;
	z->freed = true;
	timer_cancel(&z->timer);
	zk_hang_up(z);
	zk_session_close(z->session);
	zk_session_abandon(z->session, ZK_CLOSING);
	zk_turn(z);
}

enum zk_state
zk_state(const struct zk *z)
{
	return zk_session_state(z->session);
}

const char *
zk_state_name(enum zk_state state)
{
	static const char *const names[] = {
	    [ZK_CONNECTING] = "connecting",
	    [ZK_CONNECTED] = "connected",
	    [ZK_SUSPENDED] = "suspended",
	    [ZK_EXPIRED] = "expired",
	    [ZK_AUTH_FAILED] = "authentication failed",
	};

	return names[state];
}

int64_t
zk_session_id(const struct zk *z)
{
	return zk_session_get_id(z->session);
}

uint32_t
zk_session_timeout_ms(const struct zk *z)
{
	return zk_session_get_timeout_ms(z->session);
}

const char *
zk_server(const struct zk *z)
{
	return z->server;
}

const char *
zk_why(const struct zk *z)
{
	return z->why;
}

size_t
zk_failures(const struct zk *z)
{
	return z->failures;
}

bool
zk_is_refused(const struct zk *z)
{
	return z->failures >= z->hosts.count && !z->taken;
}

size_t
zk_host_count(const struct zk *z)
{
	return z->hosts.count;
}

int
zk_request(
    struct zk *z, const struct zk_op *op, const struct zk_watch *watch, zk_done_fn *done, void *arg)
{
	int rc = zk_session_request(z->session, op, watch, done, arg);

	zk_flush(z);
	return rc;
}

int
zk_create(struct zk *z, const char *path, const void *data, size_t size, const struct zk_acl *acls,
    size_t acl_count, int flags, zk_done_fn *done, void *arg)
{
	struct zk_op op = {.type = ZK_OP_CREATE2,
	    .path = path,
	    .data = data,
	    .size = size,
	    .acls = acls,
	    .acl_count = acl_count,
	    .flags = flags};

	return zk_request(z, &op, NULL, done, arg);
}

int
zk_delete(struct zk *z, const char *path, int32_t version, zk_done_fn *done, void *arg)
{
	struct zk_op op = {.type = ZK_OP_DELETE, .path = path, .version = version};

	return zk_request(z, &op, NULL, done, arg);
}

int
zk_exists(struct zk *z, const char *path, const struct zk_watch *watch, zk_done_fn *done, void *arg)
{
	struct zk_op op = {.type = ZK_OP_EXISTS, .path = path};

	return zk_request(z, &op, watch, done, arg);
}

int
zk_get(struct zk *z, const char *path, const struct zk_watch *watch, zk_done_fn *done, void *arg)
{
	struct zk_op op = {.type = ZK_OP_GET_DATA, .path = path};

	return zk_request(z, &op, watch, done, arg);
}

int
zk_set(struct zk *z, const char *path, const void *data, size_t size, int32_t version,
    zk_done_fn *done, void *arg)
{
	struct zk_op op = {
	    .type = ZK_OP_SET_DATA, .path = path, .data = data, .size = size, .version = version};

	return zk_request(z, &op, NULL, done, arg);
}

int
zk_children(
    struct zk *z, const char *path, const struct zk_watch *watch, zk_done_fn *done, void *arg)
{
	struct zk_op op = {.type = ZK_OP_GET_CHILDREN2, .path = path};

	return zk_request(z, &op, watch, done, arg);
}

int
zk_add_watch(struct zk *z, const char *path, bool recursive, const struct zk_watch *watch,
    zk_done_fn *done, void *arg)
{
	struct zk_op op = {.type = ZK_OP_ADD_WATCH,
	    .path = path,
	    .flags = recursive ? ZK_ADD_WATCH_RECURSIVE : ZK_ADD_WATCH_PERSISTENT};

	return zk_request(z, &op, watch, done, arg);
}

int
zk_remove_watches(struct zk *z, const char *path, bool local, zk_done_fn *done, void *arg)
{
	struct zk_op op = {
	    .type = ZK_OP_REMOVE_WATCHES, .path = path, .flags = ZK_WATCHER_ANY, .local = local};

	return zk_request(z, &op, NULL, done, arg);
}

int
zk_get_acl(struct zk *z, const char *path, zk_done_fn *done, void *arg)
{
	struct zk_op op = {.type = ZK_OP_GET_ACL, .path = path};

	return zk_request(z, &op, NULL, done, arg);
}

int
zk_set_acl(struct zk *z, const char *path, const struct zk_acl *acls, size_t acl_count,
    int32_t aversion, zk_done_fn *done, void *arg)
{
	struct zk_op op = {.type = ZK_OP_SET_ACL,
	    .path = path,
	    .acls = acls,
	    .acl_count = acl_count,
	    .version = aversion};

	return zk_request(z, &op, NULL, done, arg);
}

int
zk_sync(struct zk *z, const char *path, zk_done_fn *done, void *arg)
{
	struct zk_op op = {.type = ZK_OP_SYNC, .path = path};

	return zk_request(z, &op, NULL, done, arg);
}

int
zk_multi(struct zk *z, const struct zk_op *ops, size_t count, zk_done_fn *done, void *arg)
{
	int rc = zk_session_multi(z->session, ops, count, done, arg);

	zk_flush(z);
	return rc;
}

int
zk_add_auth(struct zk *z, const char *scheme, const void *data, size_t size)
{
	int rc = zk_session_add_auth(z->session, scheme, data, size);

	zk_flush(z);
	return rc;
}
