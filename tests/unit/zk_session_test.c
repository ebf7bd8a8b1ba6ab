/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/zk/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/unit.h"

#define T0 1000000
#define SESSION INT64_C(0x010000128fd30000)

/* What came out of the session, in order: "done(rc) event(type,path) state(n) drop closed". */
static char told[4096];
static struct zk_result last;

static const struct zk_session_config config = {.timeout_ms = 6000, .connect_timeout_ms = 2000};

static void __attribute__((format(printf, 1, 2))) tell(const char *fmt, ...)
{
	size_t len = strlen(told);
	va_list ap;

	va_start(ap, fmt);
	ck_assert_int_lt(
	    vsnprintf(told + len, sizeof told - len, fmt, ap), (int)(sizeof told - len));
	va_end(ap);
}

static void
on_done(void *arg, const struct zk_result *result)
{
	tell("%s=%s ", (const char *)arg, zk_rc_name(result->rc));
	last = *result;
}

static void
on_event(void *arg, enum zk_event event, const char *path)
{
	tell("%s:%d%s ", (const char *)arg, event, path);
}

static const char *
drain(struct zk_session *s)
{
	struct zk_output out;

	told[0] = '\0';
	while (zk_session_next(s, &out)) {
		switch (out.type) {
		case ZK_OUTPUT_DONE:
			if (out.done != NULL)
				out.done(out.arg, &out.result);
			break;
		case ZK_OUTPUT_EVENT:
			out.watch->call.fire(
			    out.watch->call.arg, out.watch->event, out.watch->path);
			break;
		case ZK_OUTPUT_STATE:
			tell("state%d ", out.state);
			break;
		case ZK_OUTPUT_DROP:
			tell("drop ");
			zk_session_down(s);
			break;
		case ZK_OUTPUT_CLOSED:
			tell("closed ");
		}
		zk_output_fini(&out);
	}
	return told;
}

/* Send the next frame and compare it with hex (blanks are skipped), NULL: there must be none. */
static void
expect_frame(struct zk_session *s, uint64_t now_ms, const char *hex)
{
	char got[8192] = "", want[8192] = "";
	const uint8_t *frame;
	size_t size, len = 0;

	frame = zk_session_unsent(s, &size);
	if (hex == NULL) {
		ck_assert_ptr_null(frame);
		return;
	}
	ck_assert_ptr_nonnull(frame);
	ck_assert_uint_lt(size, sizeof got / 2);
	for (size_t i = 0; i < size; i++)
		snprintf(got + 2 * i, 3, "%02x", frame[i]);
	for (; *hex != '\0'; hex++) {
		if (*hex != ' ')
			want[len++] = *hex;
	}
	ck_assert_str_eq(got, want);
	zk_session_sent(s, now_ms);
}

static void
receive(struct zk_session *s, uint64_t now_ms, const char *hex)
{
	uint8_t bytes[4096];
	size_t size = 0;

	for (; *hex != '\0'; hex++) {
		if (*hex == ' ')
			continue;
		ck_assert_int_eq(sscanf(hex, "%2hhx", &bytes[size]), 1);
		size++;
		hex++;
	}
	zk_session_frame(s, now_ms, bytes, size);
}

#define CONNECT_NEW                                                                                \
	"00000000 0000000000000000 00001770 0000000000000000 00000010 "                            \
	"00000000000000000000000000000000 00"
#define WELCOME "00000000 00001770 010000128fd30000 00000010 efad48d650fa1ff0e53f42c2193b5b4e 00"
#define STAT                                                                                       \
	"0000000000000005 0000000000000006 0000000000000007 0000000000000008 00000001 00000002 "   \
	"00000003 0000000000000000 00000004 00000000 0000000000000009"

static struct zk_session *
connected(void)
{
	struct zk_session *s = zk_session_new(&config);

	ck_assert_ptr_nonnull(s);
	zk_session_up(s, T0);
	expect_frame(s, T0, CONNECT_NEW);
	expect_frame(s, T0, NULL);
	receive(s, T0, WELCOME);
	ck_assert_str_eq(drain(s), "state1 ");
	return s;
}

static int
get(struct zk_session *s, const char *path, const struct zk_watch *watch, const char *name)
{
	const struct zk_op op = {.type = ZK_OP_GET_DATA, .path = path};

	return zk_session_request(s, &op, watch, on_done, (void *)(uintptr_t)name);
}

static int
exists(struct zk_session *s, const char *path, const struct zk_watch *watch, const char *name)
{
	const struct zk_op op = {.type = ZK_OP_EXISTS, .path = path};

	return zk_session_request(s, &op, watch, on_done, (void *)(uintptr_t)name);
}

START_TEST(a_new_session_is_what_apache_shows_on_the_wire)
{
	struct zk_session *s = connected();

	ck_assert_int_eq(zk_session_get_id(s), SESSION);
	ck_assert_uint_eq(zk_session_get_timeout_ms(s), 6000);
	zk_session_free(s);
}
END_TEST

START_TEST(requests_wait_for_a_session_and_go_out_in_order)
{
	struct zk_session *s = zk_session_new(&config);

	ck_assert_int_eq(get(s, "/a", NULL, "a"), ZK_OK);
	ck_assert_int_eq(get(s, "/b", NULL, "b"), ZK_OK);
	expect_frame(s, T0, NULL);
	zk_session_up(s, T0);
	expect_frame(s, T0, CONNECT_NEW);
	expect_frame(s, T0, NULL);
	receive(s, T0, WELCOME);
	expect_frame(s, T0 + 1, "00000001 00000004 00000002 2f61 00");
	expect_frame(s, T0 + 2, "00000002 00000004 00000002 2f62 00");
	ck_assert_uint_eq(zk_session_outstanding(s), 2);
	receive(s, T0 + 3, "00000001 0000000000000007 ffffff9b");
	receive(s, T0 + 3, "00000002 0000000000000008 00000000 00000003 787879" STAT);
	ck_assert_str_eq(drain(s), "a=NONODE b=OK state1 ");
	ck_assert_uint_eq(zk_session_outstanding(s), 0);
	zk_session_free(s);
}
END_TEST

START_TEST(a_result_carries_the_zxid_and_the_time_of_sending)
{
	struct zk_session *s = connected();

	ck_assert_int_eq(get(s, "/a", NULL, "a"), ZK_OK);
	expect_frame(s, T0 + 17, "00000001 00000004 00000002 2f61 00");
	receive(s, T0 + 99, "00000001 0000000000000042 00000000 ffffffff" STAT);
	ck_assert_str_eq(drain(s), "a=OK ");
	ck_assert_int_eq(last.zxid, 0x42);
	ck_assert_uint_eq(last.sent_ms, T0 + 17);
	ck_assert_ptr_null(last.data);
	ck_assert_int_eq(last.stat.czxid, 5);
	ck_assert_int_eq(last.stat.pzxid, 9);
	ck_assert_int_eq(last.stat.aversion, 3);
	zk_session_free(s);
}
END_TEST

START_TEST(a_ping_goes_out_after_a_third_of_the_timeout_without_sending)
{
	struct zk_session *s = connected();

	ck_assert_uint_eq(zk_session_deadline_ms(s), T0 + 2000);
	zk_session_tick(s, T0 + 1999);
	expect_frame(s, T0, NULL);
	zk_session_tick(s, T0 + 2000);
	zk_session_tick(s, T0 + 2001);
	expect_frame(s, T0 + 2001, "fffffffe 0000000b");
	expect_frame(s, T0, NULL);
	ck_assert_uint_eq(zk_session_deadline_ms(s), T0 + 4000);
	receive(s, T0 + 2002, "fffffffe 0000000000000001 00000000");
	ck_assert_uint_eq(zk_session_deadline_ms(s), T0 + 4001);
	ck_assert_str_eq(drain(s), "");
	zk_session_free(s);
}
END_TEST

START_TEST(silence_for_two_thirds_of_the_timeout_costs_the_connection)
{
	struct zk_session *s = connected();

	ck_assert_int_eq(get(s, "/a", NULL, "sent"), ZK_OK);
	expect_frame(s, T0 + 3000, "00000001 00000004 00000002 2f61 00");
	zk_session_tick(s, T0 + 3999);
	ck_assert_str_eq(drain(s), "");
	ck_assert_int_eq(get(s, "/b", NULL, "unsent"), ZK_OK);
	zk_session_tick(s, T0 + 4000);
	ck_assert_str_eq(drain(s), "drop sent=CONNECTIONLOSS state2 ");
	ck_assert_uint_eq(zk_session_outstanding(s), 1);
	zk_session_free(s);
}
END_TEST

START_TEST(a_session_goes_on_at_another_server_with_its_password_and_zxid)
{
	struct zk_session *s = connected();

	ck_assert_int_eq(get(s, "/a", NULL, "a"), ZK_OK);
	expect_frame(s, T0, "00000001 00000004 00000002 2f61 00");
	receive(s, T0, "00000001 0000000000000042 ffffff9b");
	zk_session_down(s);
	ck_assert_str_eq(drain(s), "a=NONODE state2 ");
	ck_assert_int_eq(get(s, "/b", NULL, "b"), ZK_OK);
	zk_session_up(s, T0);
	expect_frame(s, T0,
	    "00000000 0000000000000042 00001770 010000128fd30000 00000010 "
	    "efad48d650fa1ff0e53f42c2193b5b4e 00");
	receive(s, T0, WELCOME);
	expect_frame(s, T0, "00000002 00000004 00000002 2f62 00");
	ck_assert_str_eq(drain(s), "state1 ");
	zk_session_free(s);
}
END_TEST

START_TEST(an_expired_session_fails_everything_and_is_final)
{
	const struct zk_watch watch = {on_event, (void *)(uintptr_t) "w"};
	struct zk_session *s = connected();

	ck_assert_int_eq(exists(s, "/a", &watch, "a"), ZK_OK);
	expect_frame(s, T0, "00000001 00000003 00000002 2f61 01");
	receive(s, T0, "00000001 0000000000000042 ffffff9b");
	ck_assert_str_eq(drain(s), "a=NONODE ");
	ck_assert(last.watching);
	zk_session_down(s);
	ck_assert_int_eq(get(s, "/b", NULL, "b"), ZK_OK);
	zk_session_up(s, T0);
	zk_session_sent(s, T0);
	receive(s, T0,
	    "00000000 00000000 0000000000000000 00000010 00000000000000000000000000000000 00");
	ck_assert_str_eq(drain(s), "b=SESSIONEXPIRED w:-1/a state3 drop ");
	ck_assert_int_eq(get(s, "/c", NULL, "c"), ZK_SESSIONEXPIRED);
	zk_session_free(s);
}
END_TEST

START_TEST(watches_are_set_again_after_a_reconnect_and_fire_once)
{
	const struct zk_watch watch = {on_event, (void *)(uintptr_t) "w"};
	struct zk_session *s = connected();
	const struct zk_op children = {.type = ZK_OP_GET_CHILDREN2, .path = "/c"};

	ck_assert_int_eq(get(s, "/a", &watch, "a"), ZK_OK);
	ck_assert_int_eq(exists(s, "/b", &watch, "b"), ZK_OK);
	ck_assert_int_eq(
	    zk_session_request(s, &children, &watch, on_done, (void *)(uintptr_t) "c"), ZK_OK);
	for (int i = 0; i < 3; i++)
		zk_session_sent(s, T0);
	receive(s, T0, "00000001 0000000000000042 00000000 00000000" STAT);
	receive(s, T0, "00000002 0000000000000042 ffffff9b");
	receive(s, T0, "00000003 0000000000000042 00000000 00000001 00000001 78" STAT);
	ck_assert_str_eq(drain(s), "a=OK b=NONODE c=OK ");
	zk_session_down(s);
	zk_session_up(s, T0);
	zk_session_sent(s, T0);
	receive(s, T0, WELCOME);
	expect_frame(s, T0,
	    "fffffff8 00000065 0000000000000042 00000001 00000002 2f61 00000001 00000002 2f62 "
	    "00000001 00000002 2f63");
	ck_assert_str_eq(drain(s), "");
	receive(s, T0, "ffffffff ffffffffffffffff 00000000 00000003 00000003 00000002 2f61");
	receive(s, T0, "ffffffff ffffffffffffffff 00000000 00000001 00000003 00000002 2f62");
	receive(s, T0, "ffffffff ffffffffffffffff 00000000 00000003 00000003 00000002 2f61");
	receive(s, T0, "fffffff8 0000000000000042 00000000");
	ck_assert_str_eq(drain(s), "w:3/a w:1/b ");
	zk_session_free(s);
}
END_TEST

static int
add_watch(struct zk_session *s, const char *path, bool recursive, const struct zk_watch *watch)
{
	const struct zk_op op = {.type = ZK_OP_ADD_WATCH, .path = path, .flags = recursive};

	return zk_session_request(s, &op, watch, on_done, (void *)(uintptr_t) "add");
}

static int
remove_watches(struct zk_session *s, const char *path, bool local)
{
	const struct zk_op op = {
	    .type = ZK_OP_REMOVE_WATCHES, .path = path, .flags = ZK_WATCHER_ANY, .local = local};

	return zk_session_request(s, &op, NULL, on_done, (void *)(uintptr_t) "remove");
}

START_TEST(a_persistent_watch_tells_each_time_and_is_set_again_after_a_reconnect)
{
	const struct zk_watch watch = {on_event, (void *)(uintptr_t) "w"};
	struct zk_session *s = connected();

	ck_assert_int_eq(add_watch(s, "/a", false, &watch), ZK_OK);
	ck_assert_int_eq(add_watch(s, "/r", true, &watch), ZK_OK);
	expect_frame(s, T0, "00000001 0000006a 00000002 2f61 00000000");
	expect_frame(s, T0, "00000002 0000006a 00000002 2f72 00000001");
	receive(s, T0, "00000001 0000000000000042 00000000 00000000");
	receive(s, T0, "00000002 0000000000000042 00000000 00000000");
	ck_assert_str_eq(drain(s), "add=OK add=OK ");
	ck_assert(last.watching);
	for (int i = 0; i < 2; i++) {
		receive(
		    s, T0, "ffffffff ffffffffffffffff 00000000 00000003 00000003 00000002 2f61");
		receive(
		    s, T0, "ffffffff ffffffffffffffff 00000000 00000004 00000003 00000002 2f61");
		ck_assert_str_eq(drain(s), "w:3/a w:4/a ");
	}
	zk_session_down(s);
	zk_session_up(s, T0);
	zk_session_sent(s, T0);
	receive(s, T0, WELCOME);
	expect_frame(s, T0,
	    "fffffff8 00000069 0000000000000042 00000000 00000000 00000000 00000001 00000002 2f61 "
	    "00000001 00000002 2f72");
	(void)drain(s);
	receive(s, T0, "ffffffff ffffffffffffffff 00000000 00000002 00000003 00000002 2f61");
	ck_assert_str_eq(drain(s), "w:2/a ");
	zk_session_abandon(s, ZK_CLOSING);
	ck_assert_str_eq(drain(s), "w:-1/a w:-1/r ");
	zk_session_free(s);
}
END_TEST

START_TEST(a_recursive_watch_is_told_of_what_is_below_and_once_of_each)
{
	const struct zk_watch r = {on_event, (void *)(uintptr_t) "r"},
			      p = {on_event, (void *)(uintptr_t) "p"};
	struct zk_session *s = connected();

	ck_assert_int_eq(add_watch(s, "/", true, &r), ZK_OK);
	ck_assert_int_eq(add_watch(s, "/a", true, &r), ZK_OK);
	ck_assert_int_eq(add_watch(s, "/a", false, &p), ZK_OK);
	for (int i = 1; i <= 3; i++) {
		char reply[48];

		zk_session_sent(s, T0);
		snprintf(reply, sizeof reply, "%08x00000000000000420000000000000000", (unsigned)i);
		receive(s, T0, reply);
	}
	(void)drain(s);
	receive(s, T0, "ffffffff ffffffffffffffff 00000000 00000001 00000003 00000004 2f612f62");
	ck_assert_str_eq(drain(s), "r:1/a/b ");
	receive(s, T0, "ffffffff ffffffffffffffff 00000000 00000003 00000003 00000002 2f61");
	ck_assert_str_eq(drain(s), "p:3/a r:3/a ");
	receive(s, T0, "ffffffff ffffffffffffffff 00000000 00000004 00000003 00000002 2f61");
	ck_assert_str_eq(drain(s), "p:4/a ");
	receive(s, T0, "ffffffff ffffffffffffffff 00000000 00000002 00000003 00000003 2f6162");
	ck_assert_str_eq(drain(s), "r:2/ab "); /* of "/", as /ab is not below /a */
	zk_session_free(s);
}
END_TEST

START_TEST(watches_that_are_taken_off_are_lost)
{
	const struct zk_watch watch = {on_event, (void *)(uintptr_t) "w"};
	struct zk_session *s = connected();

	ck_assert_int_eq(add_watch(s, "/a", true, &watch), ZK_OK);
	ck_assert_int_eq(remove_watches(s, "/a", false), ZK_OK);
	ck_assert_int_eq(remove_watches(s, "/b", false), ZK_OK);
	zk_session_sent(s, T0);
	expect_frame(s, T0, "00000002 00000012 00000002 2f61 00000003");
	zk_session_sent(s, T0);
	receive(s, T0, "00000001 0000000000000042 00000000 00000000");
	receive(s, T0, "00000002 0000000000000042 00000000");
	receive(s, T0, "00000003 0000000000000042 ffffff87");
	ck_assert_str_eq(drain(s), "add=OK remove=OK remove=NOWATCHER w:-1/a ");
	receive(s, T0, "ffffffff ffffffffffffffff 00000000 00000001 00000003 00000002 2f61");
	ck_assert_str_eq(drain(s), "");
	zk_session_free(s);
}
END_TEST

START_TEST(a_lost_connection_takes_off_watches_only_if_that_was_asked_for)
{
	const struct zk_watch watch = {on_event, (void *)(uintptr_t) "w"};

	for (int local = 0; local < 2; local++) {
		struct zk_session *s = connected();

		ck_assert_int_eq(add_watch(s, "/a", false, &watch), ZK_OK);
		zk_session_sent(s, T0);
		receive(s, T0, "00000001 0000000000000042 00000000 00000000");
		ck_assert_int_eq(remove_watches(s, "/a", local == 1), ZK_OK);
		zk_session_sent(s, T0);
		zk_session_down(s);
		ck_assert_str_eq(drain(s), local == 1
					       ? "add=OK remove=CONNECTIONLOSS w:-1/a state2 "
					       : "add=OK remove=CONNECTIONLOSS state2 ");
		zk_session_free(s);
	}
}
END_TEST

/* ZOOKEEPER-1412: with an older zxid than what was seen, watches would tell what is no news. */
START_TEST(zk1412_what_was_seen_never_goes_back)
{
	struct zk_session *s = connected();

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(get(s, "/a", NULL, "g"), ZK_OK);
		zk_session_sent(s, T0);
	}
	receive(s, T0, "00000001 0000000000000042 ffffff9b");
	receive(s, T0, "00000002 ffffffffffffffff ffffff9b");
	receive(s, T0, "00000003 0000000000000000 ffffff9b");
	receive(s, T0, "fffffffe ffffffffffffffff 00000000");
	(void)drain(s);
	zk_session_down(s);
	zk_session_up(s, T0);
	expect_frame(s, T0,
	    "00000000 0000000000000042 00001770 010000128fd30000 00000010 "
	    "efad48d650fa1ff0e53f42c2193b5b4e 00");
	zk_session_free(s);
}
END_TEST

/* ZOOKEEPER-706: all of them in one request would be longer than a server takes. */
START_TEST(many_watches_are_set_again_in_batches)
{
	const struct zk_watch watch = {on_event, (void *)(uintptr_t) "w"};
	struct zk_session *s = connected();
	char path[1002], reply[33];
	size_t size, frames = 0, bytes = 0;

	memset(path, 'x', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	for (int i = 0; i < 300; i++) {
		snprintf(path + 997, 5, "%04d", i);
		ck_assert_int_eq(exists(s, path, &watch, "e"), ZK_OK);
		zk_session_sent(s, T0);
		snprintf(reply, sizeof reply, "%08x0000000000000042ffffff9b", (unsigned)i + 1);
		receive(s, T0, reply);
		(void)drain(s);
	}
	zk_session_down(s);
	zk_session_up(s, T0);
	zk_session_sent(s, T0);
	receive(s, T0, WELCOME);
	for (; zk_session_unsent(s, &size) != NULL; frames++) {
		ck_assert_uint_lt(size, ZK_SET_WATCHES_BYTES + 2048);
		bytes += size;
		zk_session_sent(s, T0);
	}
	ck_assert_uint_eq(frames, 3); /* 300 paths of 1001 bytes, at most 130 in 128 KiB */
	ck_assert_uint_gt(bytes, 300u * 1005);
	zk_session_free(s);
}
END_TEST

START_TEST(one_caller_hears_once_of_a_node_whose_data_and_children_it_watches)
{
	const struct zk_watch watch = {on_event, (void *)(uintptr_t) "w"};
	const struct zk_watch other = {on_event, (void *)(uintptr_t) "o"};
	const struct zk_op children = {.type = ZK_OP_GET_CHILDREN2, .path = "/a"};
	struct zk_session *s = connected();

	ck_assert_int_eq(get(s, "/a", &watch, "1"), ZK_OK);
	ck_assert_int_eq(get(s, "/a", &watch, "2"), ZK_OK);
	ck_assert_int_eq(get(s, "/a", &other, "3"), ZK_OK);
	ck_assert_int_eq(
	    zk_session_request(s, &children, &watch, on_done, (void *)(uintptr_t) "4"), ZK_OK);
	for (int i = 0; i < 4; i++)
		zk_session_sent(s, T0);
	receive(s, T0, "00000001 0000000000000042 00000000 00000000" STAT);
	receive(s, T0, "00000002 0000000000000042 00000000 00000000" STAT);
	receive(s, T0, "00000003 0000000000000042 00000000 00000000" STAT);
	receive(s, T0, "00000004 0000000000000042 00000000 00000000" STAT);
	(void)drain(s);
	receive(s, T0, "ffffffff ffffffffffffffff 00000000 00000002 00000003 00000002 2f61");
	drain(s);
	ck_assert_ptr_nonnull(strstr(told, "w:2/a "));
	ck_assert_ptr_nonnull(strstr(told, "o:2/a "));
	ck_assert_uint_eq(strlen(told), strlen("w:2/a o:2/a "));
	zk_session_free(s);
}
END_TEST

START_TEST(authentication_is_shown_to_each_server_before_anything_else)
{
	struct zk_session *s = zk_session_new(&config);

	ck_assert_int_eq(zk_session_add_auth(s, "digest", "a:b", 3), ZK_OK);
	ck_assert_int_eq(get(s, "/a", NULL, "a"), ZK_OK);
	for (int round = 0; round < 2; round++) {
		zk_session_up(s, T0);
		zk_session_sent(s, T0);
		receive(s, T0, WELCOME);
		expect_frame(
		    s, T0, "fffffffc 00000064 00000000 00000006 646967657374 00000003 613a62");
		(void)drain(s);
		if (round == 0)
			zk_session_down(s);
	}
	receive(s, T0, "fffffffc 0000000000000000 ffffff8d");
	ck_assert_str_eq(drain(s), "a=AUTHFAILED state4 drop ");
	zk_session_free(s);
}
END_TEST

START_TEST(closing_goes_out_last_and_ends_with_the_servers_answer)
{
	struct zk_session *s = connected();

	ck_assert_int_eq(get(s, "/a", NULL, "a"), ZK_OK);
	zk_session_close(s);
	ck_assert_int_eq(get(s, "/b", NULL, "b"), ZK_CLOSING);
	expect_frame(s, T0, "00000001 00000004 00000002 2f61 00");
	expect_frame(s, T0, "00000002 fffffff5");
	receive(s, T0, "00000001 0000000000000042 ffffff9b");
	ck_assert_str_eq(drain(s), "a=NONODE ");
	receive(s, T0, "00000002 0000000000000043 00000000");
	ck_assert_str_eq(drain(s), "closed ");
	zk_session_free(s);
}
END_TEST

START_TEST(closing_ends_with_the_connection_too)
{
	struct zk_session *s = connected();

	ck_assert_int_eq(get(s, "/a", NULL, "a"), ZK_OK);
	zk_session_close(s);
	zk_session_down(s);
	ck_assert_str_eq(drain(s), "a=CONNECTIONLOSS state2 closed ");
	zk_session_free(s);
	s = zk_session_new(&config);
	zk_session_close(s);
	ck_assert_str_eq(drain(s), "closed ");
	zk_session_free(s);
}
END_TEST

START_TEST(a_multi_tells_which_part_failed)
{
	const struct zk_op ops[] = {
	    {.type = ZK_OP_CHECK, .path = "/a", .version = 3},
	    {.type = ZK_OP_CREATE2, .path = "/b", .data = "x", .size = 1},
	    {.type = ZK_OP_SET_DATA, .path = "/c", .version = -1},
	    {.type = ZK_OP_DELETE, .path = "/d", .version = -1},
	};
	struct zk_session *s = connected();

	ck_assert_int_eq(zk_session_multi(s, ops, 4, on_done, (void *)(uintptr_t) "m"), ZK_OK);
	expect_frame(s, T0,
	    "00000001 0000000e 0000000d 00 ffffffff 00000002 2f61 00000003"
	    "0000000f 00 ffffffff 00000002 2f62 00000001 78 00000001 0000001f 00000005 776f726c64"
	    "00000006 616e796f6e65 00000000"
	    "00000005 00 ffffffff 00000002 2f63 ffffffff ffffffff"
	    "00000002 00 ffffffff 00000002 2f64 ffffffff"
	    "ffffffff 01 ffffffff");
	receive(s, T0,
	    "00000001 0000000000000042 00000000"
	    "ffffffff 00 00000000 00000000 ffffffff 00 ffffff92 ffffff92"
	    "ffffffff 00 fffffffe fffffffe ffffffff 00 fffffffe fffffffe ffffffff 01 ffffffff");
	ck_assert_str_eq(drain(s), "m=NODEEXISTS ");
	ck_assert_uint_eq(last.op_count, 4);
	zk_session_free(s);
}
END_TEST

START_TEST(bytes_that_make_no_sense_cost_the_connection_only)
{
	static const char *const bad[] = {
	    "00",					   /* no header */
	    "00000005 0000000000000001 00000000",	   /* another request's reply */
	    "00000001 0000000000000001 00000000 7fffffff", /* an impossible length */
	    "ffffffff 0000000000000001 00000000 00000009 00000003 00000001 2f", /* no such event */
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct zk_session *s = connected();

		ck_assert_int_eq(get(s, "/a", NULL, "a"), ZK_OK);
		zk_session_sent(s, T0);
		receive(s, T0, bad[i]);
		drain(s);
		ck_assert_ptr_nonnull(strstr(told, "drop "));
		ck_assert_ptr_nonnull(strstr(told, "state2 "));
		ck_assert_uint_eq(zk_session_outstanding(s), 0);
		zk_session_free(s);
	}
}
END_TEST

START_TEST(what_cannot_be_sent_is_refused_at_once)
{
	const struct zk_op path = {.type = ZK_OP_GET_DATA, .path = "/a//b"};
	struct zk_op large = {.type = ZK_OP_SET_DATA, .path = "/a", .size = ZK_FRAME_BYTES_MAX};
	struct zk_session *s = zk_session_new(&config);
	int rc = ZK_OK, count = 0;

	large.data = calloc(1, ZK_FRAME_BYTES_MAX);
	ck_assert_ptr_nonnull(large.data);
	ck_assert_int_eq(zk_session_request(s, &path, NULL, on_done, NULL), ZK_BADARGUMENTS);
	ck_assert_int_eq(zk_session_request(s, &large, NULL, on_done, NULL), ZK_TOOLARGE);
	large.size = 1 << 19;
	for (; rc == ZK_OK; count++)
		rc = zk_session_request(s, &large, NULL, NULL, NULL);
	ck_assert_int_eq(rc, ZK_OVERLOADED);
	ck_assert_int_eq(
	    count, ZK_UNSENT_BYTES_MAX / (1 << 19)); /* their heads take the room of one */
	zk_session_abandon(s, ZK_CLOSING);
	(void)drain(s);
	for (count = 0; (rc = get(s, "/a", NULL, "a")) == ZK_OK;)
		count++;
	ck_assert_int_eq(rc, ZK_OVERLOADED);
	ck_assert_int_eq(count, ZK_REQUESTS_MAX);
	free((void *)(uintptr_t)large.data);
	zk_session_free(s);
}
END_TEST

START_TEST(a_server_that_does_not_answer_to_connecting_is_left)
{
	struct zk_session *s = zk_session_new(&config);

	zk_session_up(s, T0);
	zk_session_sent(s, T0);
	ck_assert_uint_eq(zk_session_deadline_ms(s), T0 + 2000);
	zk_session_tick(s, T0 + 2000);
	ck_assert_str_eq(drain(s), "drop ");
	zk_session_up(s, T0);
	zk_session_sent(s, T0);
	receive(s, T0, "48545450"); /* HTTP */
	ck_assert_str_eq(drain(s), "drop ");
	zk_session_free(s);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zk_session");
	TCase *t = tcase_create("session");

	tcase_add_test(t, a_new_session_is_what_apache_shows_on_the_wire);
	tcase_add_test(t, requests_wait_for_a_session_and_go_out_in_order);
	tcase_add_test(t, a_result_carries_the_zxid_and_the_time_of_sending);
	tcase_add_test(t, a_ping_goes_out_after_a_third_of_the_timeout_without_sending);
	tcase_add_test(t, silence_for_two_thirds_of_the_timeout_costs_the_connection);
	tcase_add_test(t, a_session_goes_on_at_another_server_with_its_password_and_zxid);
	tcase_add_test(t, an_expired_session_fails_everything_and_is_final);
	tcase_add_test(t, watches_are_set_again_after_a_reconnect_and_fire_once);
	tcase_add_test(t, a_persistent_watch_tells_each_time_and_is_set_again_after_a_reconnect);
	tcase_add_test(t, a_recursive_watch_is_told_of_what_is_below_and_once_of_each);
	tcase_add_test(t, watches_that_are_taken_off_are_lost);
	tcase_add_test(t, a_lost_connection_takes_off_watches_only_if_that_was_asked_for);
	tcase_add_test(t, zk1412_what_was_seen_never_goes_back);
	tcase_add_test(t, many_watches_are_set_again_in_batches);
	tcase_add_test(t, one_caller_hears_once_of_a_node_whose_data_and_children_it_watches);
	tcase_add_test(t, authentication_is_shown_to_each_server_before_anything_else);
	tcase_add_test(t, closing_goes_out_last_and_ends_with_the_servers_answer);
	tcase_add_test(t, closing_ends_with_the_connection_too);
	tcase_add_test(t, a_multi_tells_which_part_failed);
	tcase_add_test(t, bytes_that_make_no_sense_cost_the_connection_only);
	tcase_add_test(t, what_cannot_be_sent_is_refused_at_once);
	tcase_add_test(t, a_server_that_does_not_answer_to_connecting_is_left);
	suite_add_tcase(s, t);
	return s;
}
