/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The election port: connections between the servers of an ensemble, plain or TLS, that carry
 * notifications. What they mean is core/election.h's business, which of them stay
 * core/election_links.h's; here are the sockets, whom we believe, and what is logged.
 */
#ifndef CORRAL_ZKSERVER_ELECTION_PORT_H
#define CORRAL_ZKSERVER_ELECTION_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"
#include "zkserver/core/election.h"
#include "zkserver/core/members.h"

/* Of a process that could not listen on it, as Apache's server has it. */
#define ELECTION_PORT_EXIT_STATUS 14

/* Connections of which it is not known yet who they are; the oldest makes room. */
#define ELECTION_PORT_YOUNG_MAX 64
/* What is queued for one that takes nothing; then it gets the newest message only, or is cut. */
#define ELECTION_PORT_QUEUE_BYTES (NOTIFICATION_FRAME_BYTES_MAX + 4)
#define ELECTION_PORT_STALL_MS 30000
/* The same trouble with one server is said once in so long. */
#define ELECTION_PORT_SAY_AGAIN_MS 60000
/* A link that comes up more often in that time is told of as trouble instead. */
#define ELECTION_PORT_UPS_MAX 8

struct election_port;

/* Called from the loop. They may call election_port_send(), and nothing else here. */
struct election_port_ops {
	void (*heard)(void *arg, int64_t sid, const uint8_t *bytes, size_t size);
	void (*link)(void *arg, int64_t sid, enum election_link state);
	void (*failed)(void *arg, const char *why); /* cannot listen: the process has no use */
};

struct election_port_config {
	struct loop *loop;
	int64_t sid;
	bool listen_on_all; /* not only this member's host */
	uint32_t bind_tries;
	uint32_t connect_ms, hello_ms;
	bool keep_alive;
	bool members_move; /* where one says that it is counts: reconfigEnabled */
	struct tls *tls;   /* NULL: plain */
	bool unify;	   /* with tls: plain ones are taken, too */
	bool dial_plain;   /* with tls and unify: our own connections are plain still */
	/* With TLS: a server's certificate names its member's host (SAN, or else CN). */
	bool check_names, check_client_names; /* of those we connect to; of those that connect */
	const struct election_port_ops *ops;
	void *arg;
};

/*
 * Listen at this member's address, and connect to the others'. Members are borrowed until
 * election_port_set_members(); next may be NULL. NULL: no memory, or we are no member, which is
 * said in error[size].
 */
struct election_port *election_port_open(const struct election_port_config *config,
    const struct members *now, const struct members *next, char *error, size_t size);
void election_port_close(struct election_port *p); /* accepts NULL */

/*
 * Another configuration is in force, or was seen. If our own address is another one, it is listened
 * on instead. False: no memory; call it again.
 */
bool election_port_set_members(
    struct election_port *p, const struct members *now, const struct members *next);

/* A notification for a server, copied: it goes out now or when there is a connection. */
void election_port_send(struct election_port *p, int64_t sid, const uint8_t *bytes, size_t size);

/* What went wrong with a server's link last; "" if nothing did, or it is up. */
const char *election_port_trouble(const struct election_port *p, int64_t sid);

/* The port that was bound; 0 while there is none. */
uint16_t election_port_number(const struct election_port *p);

#endif
