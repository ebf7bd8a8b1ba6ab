/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quorum port: the links between a leader and its learners, with or without TLS. Listens all
 * the time, so that a learner that is faster than we are needs no second attempt. Turns bytes into
 * events of the peer's core and back; decides nothing.
 */
#ifndef CORRAL_ZKSERVER_QUORUM_PORT_H
#define CORRAL_ZKSERVER_QUORUM_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"
#include "zkserver/conf.h"
#include "zkserver/core/peer.h"

struct quorum_port;

struct quorum_port_config {
	struct loop *loop;
	struct peer *peer;
	const struct zoo_ensemble *conf;
	const struct members *members; /* where the others are; borrowed, may change */
	struct tls *tls;	       /* NULL: plain */
	const struct db *db;	       /* what a learner is sent */
	/* Before inputs: the time must be set. */
	void (*clock)(void *arg);
	void *arg;
};

/* NULL: the reason is in error[size]. */
struct quorum_port *quorum_port_open(
    const struct quorum_port_config *config, char *error, size_t size);
void quorum_port_close(struct quorum_port *q);

/* Connect to a server; the attempt before is given up. */
void quorum_port_dial(struct quorum_port *q, int64_t sid);
/* The same, at the port where it takes observers. */
void quorum_port_dial_master(struct quorum_port *q, int64_t sid);

/* The members are others: listen where this one is now. False: no memory. */
bool quorum_port_moved(struct quorum_port *q);

/* HOST:PORT of a link's other end; "" if it is down. */
const char *quorum_port_address(const struct peer_link *link);

/* Send what links have, close those that ended. At the end of each turn. */
void quorum_port_flush(struct quorum_port *q);

#endif
