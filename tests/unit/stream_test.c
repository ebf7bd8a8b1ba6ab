/* SPDX-License-Identifier: Apache-2.0 */
/* Streams whose owner says where what is received goes, plain and over TLS. */
#include "libcommon/io/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/net.h"
#include "tests/lib/unit.h"

#define SENT_BYTES 100000

/* One end: it takes `most` bytes at once, and none at SENT_BYTES. */
struct end {
	struct stream *stream;
	int ups, downs, received, most;
	bool ends_itself; /* in took() */
	char why[128];
	uint8_t bytes[SENT_BYTES];
};

static struct end sender = {.most = SENT_BYTES}, receiver;

static void
on_up(void *arg)
{
	((struct end *)arg)->ups++;
}

static void
on_down(void *arg, const char *why)
{
	struct end *e = arg;

	e->downs++;
	e->stream = NULL;
	strncpy(e->why, why, sizeof e->why - 1);
}

static uint8_t *
on_room(void *arg, size_t *size)
{
	struct end *e = arg;
	int left = SENT_BYTES - e->received;

	*size = (size_t)(left < e->most ? left : e->most);
	return left > 0 ? e->bytes + e->received : NULL;
}

static void
on_took(void *arg, size_t size)
{
	struct end *e = arg;

	ck_assert(e->downs == 0 && e->stream != NULL && size > 0 && (int)size <= e->most);
	e->received += (int)size;
	if (!e->ends_itself)
		return;
	stream_abort(e->stream);
	e->stream = NULL;
}

static const struct stream_ops ops = {
    .up = on_up, .down = on_down, .room = on_room, .took = on_took};

static const struct stream_limits limits = {
    .input_bytes_max = 1 << 20, .queue_bytes_max = 1 << 20, .handshake_ms = NET_DEADLINE_MS};

static void
connect_ends(struct tls *client, struct tls *server)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	sender.stream = stream_adopt(net_loop, fds[0], client, false, &limits, &ops, &sender);
	receiver.stream = stream_adopt(net_loop, fds[1], server, true, &limits, &ops, &receiver);
	ck_assert(sender.stream != NULL && receiver.stream != NULL);
	net_wait(&sender.ups, 1);
	net_wait(&receiver.ups, 1);
}

static void
send_all(void)
{
	static uint8_t bytes[SENT_BYTES];
	const struct stream_part part = {bytes, sizeof bytes};

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7);
	ck_assert(stream_send(sender.stream, &part, 1));
}

static void
check_received(int count)
{
	for (int i = 0; i < count; i++)
		ck_assert_uint_eq(receiver.bytes[i], (uint8_t)(i * 7));
}

static void
teardown(void)
{
	if (sender.stream != NULL)
		stream_abort(sender.stream);
	if (receiver.stream != NULL)
		stream_abort(receiver.stream);
	net_teardown();
}

/* Turn the loop a few times. */
static void
turns(int count)
{
	int done = 0;

	while (done++ < count) {
		loop_defer(net_loop, on_up, &sender);
		net_wait(&sender.ups, sender.ups + 1);
	}
}

START_TEST(what_comes_goes_where_the_owner_says_piece_by_piece)
{
	receiver.most = 1000;
	connect_ends(NULL, NULL);
	send_all();
	net_wait(&receiver.received, SENT_BYTES);
	check_received(SENT_BYTES);
	stream_close(sender.stream);
	sender.stream = NULL;
	turns(3);
	ck_assert_int_eq(receiver.downs, 0); /* it has room for nothing, and has not looked */
	receiver.received = 0;
	net_wait(&receiver.downs, 1);
	ck_assert_str_eq(receiver.why, "closed by the peer");
}
END_TEST

START_TEST(over_tls_it_is_the_same)
{
	struct tls *client, *server;

	net_make_ca("ca");
	client = net_make_tls("ca", "ca", TLS_ROLE_MASTER, "c", 100);
	server = net_make_tls("ca", "ca", TLS_ROLE_ZKSERVER, "s", 100);
	receiver.most = 1000;
	connect_ends(client, server);
	tls_unref(client);
	tls_unref(server);
	send_all();
	net_wait(&receiver.received, SENT_BYTES);
	check_received(SENT_BYTES);
	stream_close(sender.stream);
	sender.stream = NULL;
	net_wait(&receiver.downs, 1);
}
END_TEST

START_TEST(a_paused_stream_reads_nothing_until_it_is_resumed)
{
	receiver.most = 1000;
	connect_ends(NULL, NULL);
	stream_pause(receiver.stream, true);
	send_all();
	turns(5);
	ck_assert_int_eq(receiver.received, 0);
	stream_pause(receiver.stream, false);
	net_wait(&receiver.received, SENT_BYTES);
	check_received(SENT_BYTES);
}
END_TEST

START_TEST(a_stream_that_its_owner_ends_while_it_takes_hands_on_nothing_more)
{
	receiver.most = 1000;
	receiver.ends_itself = true;
	connect_ends(NULL, NULL);
	send_all();
	net_wait(&receiver.received, 1);
	turns(5);
	ck_assert_int_eq(receiver.received, 1000);
	ck_assert_int_eq(receiver.downs, 0);
}
END_TEST

START_TEST(a_stream_that_closes_throws_away_what_still_comes)
{
	receiver.most = 1000;
	connect_ends(NULL, NULL);
	stream_close(receiver.stream);
	receiver.stream = NULL;
	send_all();
	net_wait(&sender.downs, 1);
	ck_assert_int_eq(receiver.received, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("stream");
	TCase *t = tcase_create("stream");

	tcase_add_checked_fixture(t, net_setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_comes_goes_where_the_owner_says_piece_by_piece);
	tcase_add_test(t, over_tls_it_is_the_same);
	tcase_add_test(t, a_paused_stream_reads_nothing_until_it_is_resumed);
	tcase_add_test(t, a_stream_that_its_owner_ends_while_it_takes_hands_on_nothing_more);
	tcase_add_test(t, a_stream_that_closes_throws_away_what_still_comes);
	suite_add_tcase(s, t);
	return s;
}
