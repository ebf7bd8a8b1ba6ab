/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the other servers of an ensemble connect: listening, again and again while the address is
 * taken by somebody else; and, where both kinds are taken, telling TLS from plain ones by the first
 * byte. What comes of a connection is its owner's business.
 */
#ifndef CORRAL_ZKSERVER_PEER_LISTENER_H
#define CORRAL_ZKSERVER_PEER_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/io/loop.h"

#define PEER_TLS_FIRST_BYTE 0x16 /* nothing that servers say begins with it */
#define PEER_LISTENER_RETRY_MS 1000
/* Connections of which no byte has come yet; the oldest makes room. */
#define PEER_LISTENER_SILENT_MAX 64

struct peer_listener;

struct peer_listener_config {
	struct loop *loop;
	const char *address; /* HOST:PORT; ":PORT" for all; copied */
	const char *name;    /* of the port, for messages: "election"; borrowed */
	uint32_t tries;	     /* to listen, one a second; 0: for ever */
	bool encrypted;	     /* connections are TLS */
	bool unify;	     /* either kind, told apart within detect_ms */
	uint32_t detect_ms;
	bool keep_alive; /* by the system */
	/* Takes the descriptor, which does not block. */
	void (*accepted)(void *arg, int fd, bool encrypted);
	/* Nothing came of the tries; called once, from the loop. */
	void (*failed)(void *arg, const char *why);
	void *arg;
};

/* The first try is made when the loop runs. NULL: no memory. */
struct peer_listener *peer_listener_new(const struct peer_listener_config *config);
void peer_listener_free(struct peer_listener *l); /* accepts NULL */

/* The port that was bound; 0 while there is none. */
uint16_t peer_listener_port(const struct peer_listener *l);

#endif
