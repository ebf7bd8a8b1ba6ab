/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/link.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/unit.h"

/* Long enough for a loaded machine; no test waits for it unless it fails. */
#define DEADLINE_MS 20000

/* What one end of a link has seen. */
struct end {
	struct link *link;
	int ups, downs, writables;
	size_t frames;
	size_t last_size;
	char last[256];
	char why[256];
};

static struct loop *loop;
static struct end client, server;
static struct listener *listener;
static char address[32];
static struct timer deadline;

static const struct link_limits limits = {
	.frame_bytes_max = 1 << 20,
	.queue_bytes_max = 4 << 20,
	.handshake_ms = DEADLINE_MS,
	.idle_ms = 0,
};

static void
end_up(void *arg, struct link *l)
{
	struct end *e = arg;

	e->link = l;
	e->ups++;
}

static void
end_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	struct end *e = arg;

	(void)l;
	e->frames++;
	e->last_size = size;
	snprintf(e->last, sizeof e->last, "%.*s", (int)size, (const char *)bytes);
}

static void
end_writable(void *arg, struct link *l)
{
	struct end *e = arg;

	(void)l;
	e->writables++;
}

static void
end_down(void *arg, struct link *l, const char *why)
{
	struct end *e = arg;

	(void)l;
	e->downs++;
	e->link = NULL;
	snprintf(e->why, sizeof e->why, "%s", why);
}

static const struct link_ops end_ops = {
	.up = end_up,
	.frame = end_frame,
	.writable = end_writable,
	.down = end_down,
};

static void
too_late(void *arg)
{
	(void)arg;
	ck_abort_msg("nothing came of it: client up %d down %d (%s), server up %d down %d (%s)",
	    client.ups, client.downs, client.why, server.ups, server.downs, server.why);
}

/* Turn the loop until *flag is at least `least`. */
struct wait {
	const int *flag;
	int least;
};

static void
check_wait(void *arg)
{
	const struct wait *w = arg;

	if (*w->flag >= w->least)
		loop_stop(loop, 0);
}

static void
wait_for(const int *flag, int least)
{
	struct wait w = {flag, least};

	if (*flag < least)
		loop_run(loop, check_wait, &w);
}

static void
accepted(void *arg, struct link *l)
{
	(void)arg;
	server.link = l;
	link_set_arg(l, &end_ops, &server);
}

static void
setup(void)
{
	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	timer_init(&deadline, loop, too_late, NULL);
	ck_assert(timer_set(&deadline, clock_boot_ms() + DEADLINE_MS));
}

static void
teardown(void)
{
	if (client.link != NULL)
		link_abort(client.link);
	if (server.link != NULL)
		link_abort(server.link);
	listener_close(listener);
	timer_cancel(&deadline);
	loop_free(loop);
}

static void
listen_on_loopback(struct tls *tls, const struct link_limits *l)
{
	char error[256];

	listener = listener_open(loop, "127.0.0.1:0", tls, l, 8, accepted, NULL, error, sizeof error);
	ck_assert_msg(listener != NULL, "%s", error);
	snprintf(address, sizeof address, "127.0.0.1:%u", listener_port(listener));
}

static void
connect_client(struct tls *tls, const struct link_limits *l)
{
	client.link = link_connect(loop, address, tls, NULL, l, &end_ops, &client);
	ck_assert_ptr_nonnull(client.link);
}

START_TEST(a_frame_goes_each_way)
{
	int *frames = &(int){0};

	(void)frames;
	listen_on_loopback(NULL, &limits);
	connect_client(NULL, &limits);
	wait_for(&client.ups, 1);
	wait_for(&server.ups, 1);
	ck_assert(link_send(client.link, "hello", 5));
	link_close(client.link);
	client.link = NULL;
	wait_for(&server.downs, 1);
	ck_assert_str_eq(server.last, "hello");
	ck_assert_str_eq(server.why, "closed by the peer");
}
END_TEST

static const uint8_t psk[TLS_PSK_BYTES] = {1, 2, 3, 4};

static bool
find_key(void *arg, const char *identity, uint8_t key[TLS_PSK_BYTES])
{
	(void)arg;
	if (strcmp(identity, "attempt-1") != 0)
		return false;
	memcpy(key, psk, TLS_PSK_BYTES);
	return true;
}

START_TEST(a_preshared_key_opens_a_link_and_names_its_peer)
{
	struct tls *c = tls_new_psk_client("attempt-1", psk), *s = tls_new_psk_server(find_key, NULL);

	listen_on_loopback(s, &limits);
	connect_client(c, &limits);
	wait_for(&client.ups, 1);
	wait_for(&server.ups, 1);
	ck_assert_str_eq(link_peer(server.link)->psk_identity, "attempt-1");
	ck_assert_int_eq(link_peer(server.link)->role, TLS_ROLE_NONE);
	ck_assert(link_send2(server.link, "hel", 3, "lo", 2));
	link_close(server.link);
	server.link = NULL;
	wait_for(&client.downs, 1);
	ck_assert_str_eq(client.why, "closed by the peer");
	ck_assert_str_eq(client.last, "hello");
	tls_unref(c);
	tls_unref(s);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("link");
	TCase *t = tcase_create("link");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_frame_goes_each_way);
	tcase_add_test(t, a_preshared_key_opens_a_link_and_names_its_peer);
	suite_add_tcase(s, t);
	return s;
}
