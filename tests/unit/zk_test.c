/* SPDX-License-Identifier: Apache-2.0 */
/* The client's shell against a small server of our own, in one loop, over real sockets. */
#include "libcommon/zk/zk.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/codec/jute.h"
#include "libcommon/io/link.h"
#include "tests/lib/unit.h"

#define SESSION 77
#define LIMIT_MS 20000

static struct loop *loop;
static struct listener *listener;
static struct timer guard;
static char hosts[64];

/* What the server does, and what it has seen. */
static struct {
	struct link *link; /* the last one */
	bool greeted, mute, expire;
	int connects, closes;
	int64_t asked_session;
} server;

/* What the client was told. */
static struct {
	enum zk_state states[16];
	int state_count, done_count, closed_count, lost_count, rc;
	uint64_t sent_ms;
} told;

static const struct link_limits limits = {
    .frame_bytes_max = 1 << 20, .queue_bytes_max = 4 << 20, .handshake_ms = 5000};

static void
server_welcome(struct link *l, struct jute_reader *r)
{
	struct buf b;

	(void)jute_get_i32(r);
	(void)jute_get_i64(r);
	(void)jute_get_i32(r);
	server.asked_session = jute_get_i64(r);
	server.connects++;
	server.greeted = true;
	buf_init(&b, 64);
	jute_put_i32(&b, 0);
	jute_put_i32(&b, server.expire ? 0 : 10000);
	jute_put_i64(&b, server.expire ? 0 : SESSION);
	jute_put_bytes(&b, (struct jute_bytes){(const uint8_t *)"0123456789abcdef", 16});
	ck_assert(link_send(l, b.data, b.len));
	buf_fini(&b);
}

/* Each request is answered with NONODE, the closing with success. */
static void
server_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	struct jute_reader r = jute_reader(bytes, size);
	int32_t xid, type;
	struct buf b;

	(void)arg;
	if (!server.greeted) {
		server_welcome(l, &r);
		return;
	}
	xid = jute_get_i32(&r);
	type = jute_get_i32(&r);
	server.closes += type == ZK_OP_CLOSE_SESSION;
	if (server.mute)
		return;
	buf_init(&b, 64);
	jute_put_i32(&b, xid);
	jute_put_i64(&b, 5);
	jute_put_i32(&b, type == ZK_OP_CLOSE_SESSION ? ZK_OK : ZK_NONODE);
	ck_assert(link_send(l, b.data, b.len));
	buf_fini(&b);
}

static void
server_up(void *arg, struct link *l)
{
	(void)arg;
	(void)l;
}

static void
server_down(void *arg, struct link *l, const char *why)
{
	(void)arg;
	(void)why;
	if (server.link == l)
		server.link = NULL;
}

static const struct link_ops server_ops = {server_up, server_frame, NULL, server_down};

static void
server_accepted(void *arg, struct link *l)
{
	(void)arg;
	server.link = l;
	server.greeted = false;
	link_set_arg(l, &server_ops, NULL);
}

static void
guard_fired(void *arg)
{
	(void)arg;
	ck_abort_msg("what was waited for did not come");
}

static void
setup(void)
{
	char error[256];

	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	listener = listener_open(
	    loop, "127.0.0.1:0", NULL, &limits, 8, server_accepted, NULL, error, sizeof error);
	ck_assert_msg(listener != NULL, "%s", error);
	snprintf(hosts, sizeof hosts, "127.0.0.1:%u", listener_port(listener));
	timer_init(&guard, loop, guard_fired, NULL);
	ck_assert(timer_set(&guard, clock_boot_ms() + LIMIT_MS));
}

static void
teardown(void)
{
	timer_cancel(&guard);
	if (server.link != NULL)
		link_abort(server.link);
	listener_close(listener);
	loop_free(loop);
}

static const int *waited;
static int waited_least;

static void
check_wait(void *arg)
{
	(void)arg;
	if (*waited >= waited_least)
		loop_stop(loop, 0);
}

static void
wait_for(const int *value, int least)
{
	waited = value;
	waited_least = least;
	if (*value < least)
		loop_run(loop, check_wait, NULL);
}

static void
on_state(void *arg, struct zk *z, enum zk_state state)
{
	(void)arg;
	(void)z;
	ck_assert_int_lt(told.state_count, 16);
	told.states[told.state_count++] = state;
}

static void
on_done(void *arg, const struct zk_result *result)
{
	(void)arg;
	told.rc = result->rc;
	told.sent_ms = result->sent_ms;
	told.done_count++;
}

static void
on_closed(void *arg)
{
	(void)arg;
	told.closed_count++;
}

static struct zk *
client(const char *where)
{
	char error[256];
	struct zk *z = zk_new(loop, where, NULL, 10000, on_state, NULL, error, sizeof error);

	ck_assert_msg(z != NULL, "%s", error);
	return z;
}

START_TEST(a_request_made_before_the_connection_is_answered)
{
	uint64_t before_ms = clock_boot_ms();
	struct zk *z = client(hosts);

	ck_assert_int_eq(zk_get(z, "/a", NULL, on_done, NULL), ZK_OK);
	wait_for(&told.done_count, 1);
	ck_assert_int_eq(told.rc, ZK_NONODE);
	ck_assert_uint_ge(told.sent_ms, before_ms);
	ck_assert_uint_le(told.sent_ms, clock_boot_ms());
	ck_assert_int_eq(zk_session_id(z), SESSION);
	ck_assert_int_eq(zk_state(z), ZK_CONNECTED);
	ck_assert_str_eq(zk_server(z), hosts);
	zk_free(z);
}
END_TEST

START_TEST(a_host_that_refuses_is_passed_over)
{
	char both[128];
	struct zk *z;

	snprintf(both, sizeof both, "127.0.0.1:1,%s", hosts);
	for (int round = 1; round <= 4; round++) { /* the order is random */
		z = client(both);
		ck_assert_int_eq(zk_get(z, "/a", NULL, on_done, NULL), ZK_OK);
		wait_for(&told.done_count, round);
		ck_assert_int_eq(told.rc, ZK_NONODE);
		zk_free(z);
	}
}
END_TEST

START_TEST(nobody_there_is_counted_and_said)
{
	struct zk *z = client("127.0.0.1:1");

	for (int round = 0; zk_failures(z) < 3; round++) {
		waited = &told.closed_count; /* any turn of the loop will do */
		waited_least = 0;
		loop_run(loop, check_wait, NULL);
	}
	ck_assert_ptr_nonnull(strstr(zk_why(z), "127.0.0.1:1: "));
	ck_assert_int_eq(zk_state(z), ZK_CONNECTING);
	zk_free(z);
}
END_TEST

START_TEST(a_broken_connection_is_made_again_for_the_same_session)
{
	struct zk *z = client(hosts);

	wait_for(&told.state_count, 1);
	server.mute = true;
	ck_assert_int_eq(zk_get(z, "/a", NULL, on_done, NULL), ZK_OK);
	link_abort(server.link);
	server.link = NULL;
	wait_for(&told.done_count, 1);
	ck_assert_int_eq(told.rc, ZK_CONNECTIONLOSS);
	wait_for(&told.state_count, 3);
	ck_assert_int_eq(told.states[0], ZK_CONNECTED);
	ck_assert_int_eq(told.states[1], ZK_SUSPENDED);
	ck_assert_int_eq(told.states[2], ZK_CONNECTED);
	ck_assert_int_eq(server.asked_session, SESSION);
	zk_free(z);
}
END_TEST

START_TEST(an_expired_session_is_not_tried_again)
{
	struct zk *z = client(hosts);

	wait_for(&told.state_count, 1);
	server.expire = true;
	link_abort(server.link);
	server.link = NULL;
	wait_for(&told.state_count, 3);
	ck_assert_int_eq(told.states[2], ZK_EXPIRED);
	ck_assert_int_eq(zk_get(z, "/a", NULL, on_done, NULL), ZK_SESSIONEXPIRED);
	ck_assert_int_eq(server.connects, 2);
	zk_close(z, on_closed, NULL);
	wait_for(&told.closed_count, 1);
}
END_TEST

START_TEST(closing_waits_for_the_servers_answer)
{
	struct zk *z = client(hosts);

	ck_assert_int_eq(zk_get(z, "/a", NULL, on_done, NULL), ZK_OK);
	zk_close(z, on_closed, NULL);
	ck_assert_int_eq(zk_get(z, "/b", NULL, on_done, NULL), ZK_CLOSING);
	wait_for(&told.closed_count, 1);
	ck_assert_int_eq(told.done_count, 1);
	ck_assert_int_eq(server.closes, 1);
	ck_assert_int_eq(told.state_count, 0);
}
END_TEST

START_TEST(closing_is_bounded_when_the_server_is_silent)
{
	struct zk *z = client(hosts);

	wait_for(&told.state_count, 1);
	server.mute = true;
	ck_assert_int_eq(zk_get(z, "/a", NULL, on_done, NULL), ZK_OK);
	zk_close(z, on_closed, NULL);
	wait_for(&told.closed_count, 1);
	ck_assert_int_eq(told.done_count, 1);
	ck_assert_int_eq(told.rc, ZK_CLOSING);
}
END_TEST

static void
free_it(void *arg, const struct zk_result *result)
{
	ck_assert_int_eq(result->rc, ZK_NONODE);
	zk_free(arg);
	told.closed_count++;
}

static void
on_fire(void *arg, enum zk_event event, const char *path)
{
	(void)arg;
	ck_assert_str_eq(path, "/w");
	told.lost_count += event == ZK_EVENT_LOST;
}

START_TEST(a_handle_may_be_freed_in_a_callback_and_all_else_completes)
{
	const struct zk_watch watch = {on_fire, NULL};
	struct zk *z = client(hosts);

	ck_assert_int_eq(zk_exists(z, "/w", &watch, on_done, NULL), ZK_OK);
	ck_assert_int_eq(zk_get(z, "/a", NULL, free_it, z), ZK_OK);
	ck_assert_int_eq(zk_get(z, "/b", NULL, on_done, NULL), ZK_OK);
	wait_for(&told.closed_count, 1);
	ck_assert_int_eq(told.done_count, 2);
	ck_assert_int_eq(told.rc, ZK_CLOSING);
	ck_assert_int_eq(told.lost_count, 1);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zk");
	TCase *t = tcase_create("zk");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_request_made_before_the_connection_is_answered);
	tcase_add_test(t, a_host_that_refuses_is_passed_over);
	tcase_add_test(t, nobody_there_is_counted_and_said);
	tcase_add_test(t, a_broken_connection_is_made_again_for_the_same_session);
	tcase_add_test(t, an_expired_session_is_not_tried_again);
	tcase_add_test(t, closing_waits_for_the_servers_answer);
	tcase_add_test(t, closing_is_bounded_when_the_server_is_silent);
	tcase_add_test(t, a_handle_may_be_freed_in_a_callback_and_all_else_completes);
	suite_add_tcase(s, t);
	return s;
}
