/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/net.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/unit.h"

struct loop *net_loop;
struct net_end net_client, net_server;
struct listener *net_listener;
char net_address[64];

static struct timer deadline;

const struct link_limits net_limits = {
    .frame_bytes_max = 1 << 20,
    .queue_bytes_max = 4 << 20,
    .handshake_ms = NET_DEADLINE_MS,
    .idle_ms = 0,
};

static void
end_up(void *arg, struct link *l)
{
	struct net_end *e = arg;

	e->link = l;
	e->ups++;
}

static void
end_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	struct net_end *e = arg;

	(void)l;
	e->frames++;
	e->last_size = size;
	snprintf(e->last, sizeof e->last, "%.*s", (int)size, (const char *)bytes);
}

static void
end_writable(void *arg, struct link *l)
{
	struct net_end *e = arg;

	(void)l;
	e->writables++;
}

static void
end_down(void *arg, struct link *l, const char *why)
{
	struct net_end *e = arg;

	e->downs++;
	e->turned_away = link_was_turned_away(l);
	e->link = NULL;
	snprintf(e->why, sizeof e->why, "%s", why);
}

const struct link_ops net_ops = {
    .up = end_up,
    .frame = end_frame,
    .writable = end_writable,
    .down = end_down,
};

static void
too_late(void *arg)
{
	(void)arg;
	ck_abort_msg("waited in vain: client %d up, %d down (%s); server %d up, %d down (%s)",
	    net_client.ups, net_client.downs, net_client.why, net_server.ups, net_server.downs,
	    net_server.why);
}

void
net_setup(void)
{
	net_loop = loop_new();
	ck_assert_ptr_nonnull(net_loop);
	timer_init(&deadline, net_loop, too_late, NULL);
	ck_assert(timer_set(&deadline, clock_boot_ms() + NET_DEADLINE_MS));
}

void
net_teardown(void)
{
	if (net_client.link != NULL)
		link_abort(net_client.link);
	if (net_server.link != NULL)
		link_abort(net_server.link);
	listener_close(net_listener);
	timer_cancel(&deadline);
	loop_free(net_loop);
}

struct wait {
	const int *counter;
	int least;
};

static void
check_wait(void *arg)
{
	const struct wait *w = arg;

	if (*w->counter >= w->least)
		loop_stop(net_loop, 0);
}

void
net_wait(const int *counter, int least)
{
	struct wait w = {counter, least};

	if (*counter < least)
		loop_run(net_loop, check_wait, &w);
}

static void
accepted(void *arg, struct link *l)
{
	(void)arg;
	net_server.link = l;
	link_set_arg(l, &net_ops, &net_server);
}

void
net_listen(struct tls *tls, const struct link_limits *limits)
{
	char error[256];

	net_listener = listener_open(
	    net_loop, "127.0.0.1:0", tls, limits, 8, accepted, NULL, error, sizeof error);
	ck_assert_msg(net_listener != NULL, "%s", error);
	snprintf(net_address, sizeof net_address, "127.0.0.1:%u", listener_port(net_listener));
}

void
net_connect(struct tls *tls, const struct link_limits *limits)
{
	net_client.link =
	    link_connect(net_loop, net_address, tls, NULL, limits, &net_ops, &net_client);
	ck_assert_ptr_nonnull(net_client.link);
}

void
net_connect_up(struct tls *tls, const struct link_limits *limits)
{
	net_connect(tls, limits);
	net_wait(&net_client.ups, 1);
	net_wait(&net_server.ups, 1);
}

void
net_make_ca(const char *name)
{
	char dir[PATH_MAX], error[256];

	snprintf(dir, sizeof dir, "%s/%s", unit_tmpdir(), name);
	ck_assert_msg(cert_ca_create(dir, name, false, error, sizeof error), "%s", error);
}

void
net_issue(const char *ca, enum tls_role role, const char *name, int days)
{
	const struct cert_request request = {
	    .role = role,
	    .name = name,
	    .dns = (const char *const[]){"localhost"},
	    .dns_count = 1,
	    .ips = (const char *const[]){"127.0.0.1"},
	    .ip_count = 1,
	    .days = days,
	};
	char dir[PATH_MAX], cert[PATH_MAX], key[PATH_MAX], error[256];

	snprintf(dir, sizeof dir, "%s/%s", unit_tmpdir(), ca);
	snprintf(cert, sizeof cert, "%s/%s.pem", unit_tmpdir(), name);
	snprintf(key, sizeof key, "%s/%s-key.pem", unit_tmpdir(), name);
	ck_assert_msg(cert_issue(dir, &request, cert, key, error, sizeof error), "%s", error);
}

struct tls *
net_make_tls(const char *ca, const char *believed, enum tls_role role, const char *name, int days)
{
	char ca_pem[PATH_MAX], cert[PATH_MAX], key[PATH_MAX], error[256];
	struct tls_files files = {ca_pem, cert, key};
	struct tls *tls;

	net_issue(ca, role, name, days);
	snprintf(ca_pem, sizeof ca_pem, "%s/%s/ca.pem", unit_tmpdir(), believed);
	snprintf(cert, sizeof cert, "%s/%s.pem", unit_tmpdir(), name);
	snprintf(key, sizeof key, "%s/%s-key.pem", unit_tmpdir(), name);
	tls = tls_new(&files, true, error, sizeof error);
	ck_assert_msg(tls != NULL, "%s", error);
	return tls;
}
