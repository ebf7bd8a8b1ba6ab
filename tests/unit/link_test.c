/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, bounds and ends of links, and the dialer, over real sockets without TLS. */
#include "libcommon/io/link.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/net.h"
#include "tests/lib/unit.h"

/* The other end of net_server.link, for bytes that no link would send. */
static int raw = -1;

static void
adopt_with(const struct link_limits *limits)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	raw = fds[0];
	net_server.link = link_adopt(net_loop, fds[1], NULL, true, limits, &net_ops, &net_server);
	ck_assert_ptr_nonnull(net_server.link);
	net_wait(&net_server.ups, 1);
}

/* Connect a socket that is no link to net_listen()'s port. */
static void
raw_connect(void)
{
	struct sockaddr_in in = {
	    .sin_family = AF_INET, .sin_port = htons(listener_port(net_listener))};

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(raw, (struct sockaddr *)&in, sizeof in), 0);
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(net_loop, 0);
}

static void
raw_write(const void *bytes, size_t size)
{
	ck_assert_int_eq(write(raw, bytes, size), (ssize_t)size);
}

static void
teardown(void)
{
	net_teardown();
	if (raw >= 0)
		close(raw);
}

START_TEST(a_frame_goes_each_way_and_closing_sends_what_is_queued)
{
	net_listen(NULL, &net_limits);
	net_connect_up(NULL, &net_limits);
	ck_assert(link_send(net_client.link, "hello", 5));
	net_wait(&net_server.frames, 1);
	ck_assert_str_eq(net_server.last, "hello");
	ck_assert_str_eq(link_peer_address(net_client.link), net_address);
	ck_assert(link_send2(net_server.link, "good ", 5, "bye", 3));
	link_close(net_server.link);
	net_server.link = NULL;
	net_wait(&net_client.downs, 1);
	ck_assert_str_eq(net_client.last, "good bye");
	ck_assert_str_eq(net_client.why, "closed by the peer");
}
END_TEST

START_TEST(a_large_queue_is_sent_whole_before_the_close)
{
	char *frame = calloc(1, net_limits.frame_bytes_max);

	net_listen(NULL, &net_limits);
	net_connect_up(NULL, &net_limits);
	for (int i = 0; i < 3; i++)
		ck_assert(link_send(net_server.link, frame, net_limits.frame_bytes_max));
	link_close(net_server.link);
	net_server.link = NULL;
	net_wait(&net_client.downs, 1);
	ck_assert_int_eq(net_client.frames, 3);
	ck_assert_uint_eq(net_client.last_size, net_limits.frame_bytes_max);
	free(frame);
}
END_TEST

START_TEST(a_frame_in_single_bytes_is_put_together_and_an_empty_frame_is_one)
{
	const char bytes[] = "\0\0\0\3abc\0\0\0\0";

	adopt_with(&net_limits);
	for (size_t i = 0; i < sizeof bytes - 1; i++)
		raw_write(bytes + i, 1);
	net_wait(&net_server.frames, 2);
	ck_assert_uint_eq(net_server.last_size, 0);
}
END_TEST

START_TEST(a_frame_announced_larger_than_the_limit_ends_the_link)
{
	const uint8_t two_gigabytes[] = {0x7f, 0xff, 0xff, 0xff};

	adopt_with(&net_limits);
	raw_write(two_gigabytes, sizeof two_gigabytes);
	net_wait(&net_server.downs, 1);
	ck_assert_ptr_nonnull(strstr(net_server.why, "larger than the limit"));
	ck_assert_int_eq(net_server.frames, 0);
}
END_TEST

START_TEST(a_frame_of_the_limit_is_taken_and_one_byte_more_is_not)
{
	struct link_limits limits = net_limits;

	limits.frame_bytes_max = 8;
	adopt_with(&limits);
	ck_assert(!link_send(net_server.link, "123456789", 9));
	raw_write("\0\0\0\010"
		  "12345678",
	    12);
	net_wait(&net_server.frames, 1);
	raw_write("\0\0\0\011"
		  "123456789",
	    13);
	net_wait(&net_server.downs, 1);
	ck_assert_int_eq(net_server.frames, 1);
}
END_TEST

START_TEST(a_truncated_frame_is_not_handed_on)
{
	adopt_with(&net_limits);
	raw_write("\0\0\0\5ab", 6);
	close(raw);
	raw = -1;
	net_wait(&net_server.downs, 1);
	ck_assert_int_eq(net_server.frames, 0);
	ck_assert_str_eq(net_server.why, "closed by the peer");
}
END_TEST

/* Queue frames until no more is taken; returns how many. */
static int
fill(struct link *l, size_t frame_bytes)
{
	static const char zeros[4096];
	int sent = 0;

	while (link_send(l, zeros, frame_bytes)) {
		sent++;
		ck_assert_int_lt(sent, 100000);
	}
	return sent;
}

START_TEST(a_full_queue_refuses_and_says_when_it_has_drained)
{
	struct link_limits limits = net_limits;
	int sent;

	limits.queue_bytes_max = 64 << 10;
	net_listen(NULL, &limits);
	net_connect_up(NULL, &limits);
	sent = fill(net_client.link, 4096);
	ck_assert_int_eq(sent, (64 << 10) / (4096 + 4));
	ck_assert_uint_le(link_queued_bytes(net_client.link), limits.queue_bytes_max);
	ck_assert_int_eq(net_client.writables, 0);
	net_wait(&net_client.writables, 1);
	ck_assert_uint_le(link_queued_bytes(net_client.link), limits.queue_bytes_max / 2);
	ck_assert(link_send(net_client.link, "x", 1));
	net_wait(&net_server.frames, sent + 1);
}
END_TEST

/* Talk on, but never listen. */
static void
raw_talk(void *arg)
{
	(void)arg;
	if (net_server.downs > 0)
		loop_stop(net_loop, 0);
	else
		raw_write("\0\0\0\0", 4);
}

START_TEST(a_peer_that_never_reads_costs_a_queue_and_then_its_link)
{
	struct link_limits limits = net_limits;

	limits.queue_bytes_max = 1 << 20;
	limits.idle_ms = 50;
	adopt_with(&limits);
	fill(net_server.link, 4096);
	loop_run(net_loop, raw_talk, NULL);
	ck_assert_int_gt(net_server.frames, 0);
	ck_assert_str_eq(net_server.why, "the peer takes nothing of what was sent");
}
END_TEST

START_TEST(a_paused_link_reads_nothing_until_it_is_resumed)
{
	net_listen(NULL, &net_limits);
	net_connect_up(NULL, &net_limits);
	link_pause(net_server.link, true);
	ck_assert(link_send(net_client.link, "one", 3));
	ck_assert(link_send(net_server.link, "two", 3));
	net_wait(&net_client.frames, 1);
	ck_assert_int_eq(net_server.frames, 0);
	link_pause(net_server.link, false);
	net_wait(&net_server.frames, 1);
}
END_TEST

static void
pause_after_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	net_ops.frame(arg, l, bytes, size);
	link_pause(l, true);
}

START_TEST(a_link_paused_by_a_frame_keeps_the_next_one_back)
{
	struct link_ops ops = net_ops;

	ops.frame = pause_after_frame;
	adopt_with(&net_limits);
	link_set_arg(net_server.link, &ops, &net_server);
	raw_write("\0\0\0\1a\0\0\0\1b", 10);
	net_wait(&net_server.frames, 1);
	ck_assert_str_eq(net_server.last, "a");
	link_pause(net_server.link, false);
	net_wait(&net_server.frames, 2);
	ck_assert_str_eq(net_server.last, "b");
}
END_TEST

static void
abort_in_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	net_ops.frame(arg, l, bytes, size);
	net_server.link = NULL;
	link_abort(l);
	loop_stop(net_loop, 0);
}

START_TEST(a_link_aborted_in_its_own_callback_hands_on_nothing_more)
{
	struct link_ops ops = net_ops;

	ops.frame = abort_in_frame;
	adopt_with(&net_limits);
	link_set_arg(net_server.link, &ops, &net_server);
	raw_write("\0\0\0\1a\0\0\0\1b", 10);
	loop_run(net_loop, NULL, NULL);
	ck_assert_int_eq(net_server.frames, 1);
	ck_assert_int_eq(net_server.downs, 0);
}
END_TEST

START_TEST(silence_longer_than_the_limit_ends_the_link)
{
	struct link_limits limits = net_limits;

	limits.idle_ms = 20;
	adopt_with(&limits);
	net_wait(&net_server.downs, 1);
	ck_assert_str_eq(net_server.why, "nothing received for too long");
}
END_TEST

static const uint8_t psk[TLS_PSK_BYTES] = {1};

START_TEST(a_peer_that_does_not_shake_hands_in_time_is_dropped)
{
	struct link_limits limits = net_limits;
	struct tls *tls = tls_new_psk_client("x", psk);
	int fds[2];

	limits.handshake_ms = 20;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	raw = fds[0];
	net_client.link = link_adopt(net_loop, fds[1], tls, false, &limits, &net_ops, &net_client);
	net_wait(&net_client.downs, 1);
	ck_assert_int_eq(net_client.ups, 0);
	ck_assert_str_eq(net_client.why, "no TLS handshake within the time limit");
	tls_unref(tls);
}
END_TEST

START_TEST(nobody_listening_and_malformed_addresses_are_reported_not_returned)
{
	static const char *const bad[] = {
	    "127.0.0.1", "127.0.0.1:99999", ":80", "::1:80", "/nowhere/at/all"};

	net_listen(NULL, &net_limits);
	listener_close(net_listener);
	net_listener = NULL;
	net_connect(NULL, &net_limits);
	ck_assert_int_eq(net_client.downs, 0);
	net_wait(&net_client.downs, 1);
	ck_assert_str_eq(net_client.why, "cannot connect: Connection refused");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(net_address, sizeof net_address, "%s", bad[i]);
		net_connect(NULL, &net_limits);
		net_wait(&net_client.downs, (int)i + 2);
		ck_assert_int_eq(net_client.ups, 0);
	}
}
END_TEST

START_TEST(a_name_is_looked_up_in_the_hosts_file)
{
	net_listen(NULL, &net_limits);
	snprintf(net_address, sizeof net_address, "localhost:%u", listener_port(net_listener));
	net_connect_up(NULL, &net_limits);
}
END_TEST

START_TEST(a_unix_socket_tells_who_connects_and_a_stale_one_is_replaced)
{
	char path[64], error[256];
	uid_t uid;
	pid_t pid;
	struct stat st;

	net_listen(NULL, &net_limits);
	snprintf(path, sizeof path, "%.48s/socket", unit_tmpdir());
	for (int round = 0; round < 2; round++) {
		struct listener *l = listener_open(
		    net_loop, path, NULL, &net_limits, 1, NULL, NULL, error, sizeof error);

		ck_assert_msg(l != NULL, "%s", error);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0600);
		/* A second one on the same path is refused while the first lives. */
		ck_assert_ptr_null(listener_open(
		    net_loop, path, NULL, &net_limits, 1, NULL, NULL, error, sizeof error));
		listener_close(l);
	}
	adopt_with(&net_limits);
	ck_assert(link_peer_cred(net_server.link, &uid, &pid));
	ck_assert_uint_eq(uid, getuid());
	ck_assert_int_eq(pid, getpid());
	ck_assert_str_eq(link_peer_address(net_server.link), "unix");
}
END_TEST

START_TEST(more_connections_than_allowed_are_closed_and_a_closed_one_makes_room)
{
	struct net_end others[8] = {0};

	net_listen(NULL, &net_limits);
	for (int i = 0; i < 8; i++) {
		others[i].link = link_connect(
		    net_loop, net_address, NULL, NULL, &net_limits, &net_ops, &others[i]);
		net_wait(&net_server.ups, i + 1);
	}
	net_connect(NULL, &net_limits);
	net_wait(&net_client.downs, 1);
	ck_assert_int_eq(net_server.ups, 8);
	for (int i = 0; i < 8; i++)
		link_abort(others[i].link);
	net_wait(&net_server.downs, 8);
	net_connect(NULL, &net_limits);
	net_wait(&net_server.ups, 9);
}
END_TEST

/* One turn that does not wait. */
static void
turn(void)
{
	ck_assert(loop_defer(net_loop, stop, NULL));
	loop_run(net_loop, NULL, NULL);
}

START_TEST(a_listener_out_of_descriptors_waits_and_then_accepts)
{
	struct rlimit old, none;

	net_listen(NULL, &net_limits);
	raw_connect();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	turn();
	ck_assert_ptr_null(net_server.link);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	net_wait(&net_server.ups, 1);
}
END_TEST

START_TEST(the_dialer_goes_on_to_the_second_address_and_comes_back_after_a_close)
{
	char unused[64];
	const char *addresses[2] = {unused, net_address};
	struct dialer *d;

	net_listen(NULL, &net_limits);
	memcpy(unused, net_address, sizeof unused);
	listener_close(net_listener);
	net_listen(NULL, &net_limits);
	d = dialer_new(net_loop, addresses, 2, NULL, &net_limits, &net_ops, &net_client);
	ck_assert_ptr_nonnull(d);
	net_wait(&net_client.ups, 1);
	ck_assert_int_eq(net_client.downs, 1);
	net_wait(&net_server.ups, 1);
	link_close(net_server.link);
	net_wait(&net_client.ups, 2);
	/* Closed by its user: the dialer replaces it all the same. */
	link_close(net_client.link);
	net_wait(&net_client.ups, 3);
	net_wait(&net_server.ups, 3);
	dialer_free(d);
	net_client.link = NULL;
	net_wait(&net_server.downs, 2);
}
END_TEST

START_TEST(the_dialer_takes_up_new_addresses)
{
	const char *address = "127.0.0.1:1";
	const char *better = net_address;
	struct dialer *d;

	net_listen(NULL, &net_limits);
	d = dialer_new(net_loop, &address, 1, NULL, &net_limits, &net_ops, &net_client);
	net_wait(&net_client.downs, 1);
	ck_assert(dialer_set_addresses(d, &better, 1));
	net_wait(&net_client.ups, 1);
	dialer_free(d);
	net_client.link = NULL;
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("link");
	TCase *t = tcase_create("link");

	tcase_add_checked_fixture(t, net_setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_frame_goes_each_way_and_closing_sends_what_is_queued);
	tcase_add_test(t, a_large_queue_is_sent_whole_before_the_close);
	tcase_add_test(t, a_frame_in_single_bytes_is_put_together_and_an_empty_frame_is_one);
	tcase_add_test(t, a_frame_announced_larger_than_the_limit_ends_the_link);
	tcase_add_test(t, a_frame_of_the_limit_is_taken_and_one_byte_more_is_not);
	tcase_add_test(t, a_truncated_frame_is_not_handed_on);
	tcase_add_test(t, a_full_queue_refuses_and_says_when_it_has_drained);
	tcase_add_test(t, a_peer_that_never_reads_costs_a_queue_and_then_its_link);
	tcase_add_test(t, a_paused_link_reads_nothing_until_it_is_resumed);
	tcase_add_test(t, a_link_paused_by_a_frame_keeps_the_next_one_back);
	tcase_add_test(t, a_link_aborted_in_its_own_callback_hands_on_nothing_more);
	tcase_add_test(t, silence_longer_than_the_limit_ends_the_link);
	tcase_add_test(t, a_peer_that_does_not_shake_hands_in_time_is_dropped);
	tcase_add_test(t, nobody_listening_and_malformed_addresses_are_reported_not_returned);
	tcase_add_test(t, a_name_is_looked_up_in_the_hosts_file);
	tcase_add_test(t, a_unix_socket_tells_who_connects_and_a_stale_one_is_replaced);
	tcase_add_test(t, more_connections_than_allowed_are_closed_and_a_closed_one_makes_room);
	tcase_add_test(t, a_listener_out_of_descriptors_waits_and_then_accepts);
	tcase_add_test(t, the_dialer_goes_on_to_the_second_address_and_comes_back_after_a_close);
	tcase_add_test(t, the_dialer_takes_up_new_addresses);
	suite_add_tcase(s, t);
	return s;
}
