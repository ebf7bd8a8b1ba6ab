/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of libcommon/io share: a loop with a deadline, links whose callbacks count, and
 * certificates of a CA made for the test. One test a process, so the state is global.
 */
#ifndef CORRAL_TESTS_NET_H
#define CORRAL_TESTS_NET_H

#include "libcommon/io/cert.h"
#include "libcommon/io/link.h"

/* Long enough for a loaded machine; no test waits for it unless it fails. */
#define NET_DEADLINE_MS 20000

/* What one end of a link has seen. */
struct net_end {
	struct link *link;
	int ups, downs, writables, frames;
	size_t last_size;
	char last[256];
	char why[256];
	bool turned_away; /* link_was_turned_away() when it went down */
};

extern struct loop *net_loop;
extern struct net_end net_client, net_server;
extern struct listener *net_listener;
extern char net_address[64];
extern const struct link_ops net_ops; /* arg: a struct net_end */
extern const struct link_limits net_limits;

/* Fixtures. */
void net_setup(void);
void net_teardown(void);

/* Turn the loop until *counter is at least `least`; the test fails at the deadline. */
void net_wait(const int *counter, int least);

/* Listen on a free port of loopback (net_address), whose links go to net_server. */
void net_listen(struct tls *tls, const struct link_limits *limits);
void net_connect(struct tls *tls, const struct link_limits *limits);

/* Connect and wait until both ends are up. */
void net_connect_up(struct tls *tls, const struct link_limits *limits);

/* A CA in unit_tmpdir()/NAME. */
void net_make_ca(const char *name);

/*
 * A context with a certificate of that CA for 127.0.0.1 and localhost; it believes the CA
 * `believed`.
 */
struct tls *net_make_tls(
    const char *ca, const char *believed, enum tls_role role, const char *name, int days);

/* Issue the certificate of net_make_tls() again. */
void net_issue(const char *ca, enum tls_role role, const char *name, int days);

#endif
