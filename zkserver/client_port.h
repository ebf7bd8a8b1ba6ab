/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client ports: accepting, the limits per address and in all, deadlines of connections without
 * a session, and the per-turn work of sending what the core has made. Plain libevent events with
 * own buffers: bufferevents cost twice the CPU here.
 */
#ifndef CORRAL_ZKSERVER_CLIENT_PORT_H
#define CORRAL_ZKSERVER_CLIENT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"
#include "zkserver/admin.h"
#include "zkserver/auth.h"
#include "zkserver/conf.h"
#include "zkserver/core/server.h"

struct client_port;

struct client_port_config {
	struct loop *loop;
	struct server *server;
	const struct zoo_conf *conf;
	const struct auth *auth;
	struct tls *tls;     /* of the secure port; NULL without one */
	struct admin *admin; /* answers four-letter words */
	struct admin_jobs *jobs;
};

/* Listen as the configuration says. NULL: the reason is in error[size]. */
struct client_port *client_port_open(
    const struct client_port_config *config, char *error, size_t size);

/*
 * Listen for plain connections there instead, from now on; those that are open stay. False: it
 * cannot, as error[size] says, and listens nowhere.
 */
bool client_port_move(
    struct client_port *p, const char *address, int port, char *error, size_t size);

/* Close everything at once. */
void client_port_close(struct client_port *p);

/* The port that was bound; -1 if there is none. */
int client_port_number(const struct client_port *p, bool secure);

/* TLS handshakes that are going on. */
int64_t client_port_handshakes(const struct client_port *p);

/* At the end of a turn: send and close what the core has marked, let go on what may go on. */
void client_port_flush(struct client_port *p);

/* The trust store or the revocation lists were read again: close those that they refuse now. */
void client_port_judge(struct client_port *p);

/* The settings have changed. */
void client_port_adopt(struct client_port *p);

/* Close connections that have had no session for too long, or do not end. */
void client_port_expire(struct client_port *p);

#endif
