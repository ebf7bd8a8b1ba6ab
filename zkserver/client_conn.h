/* SPDX-License-Identifier: Apache-2.0 */
/* One client's connection: bytes and TLS on one side, the core's frames on the other. */
#ifndef CORRAL_ZKSERVER_CLIENT_CONN_H
#define CORRAL_ZKSERVER_CLIENT_CONN_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include <openssl/types.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "zkserver/core/server.h"

#define CLIENT_ADDRESS_MAX 80
#define CLIENT_READ_BYTES ((size_t)256 << 10) /* of one read */
#define CLIENT_OUT_MAX_BYTES                                                                       \
	((size_t)64 << 20) /* unsent: a client that does not read is dropped                       \
			    */
#define CLIENT_SESSIONLESS_MS 10000

struct admin_job;
struct admin_jobs;
struct client_port;

/* What all connections share; owned by the client port. */
struct client_shared {
	struct event_base *base;
	struct server *server;
	const struct zoo_conf *conf;
	const struct auth *auth;
	struct admin *admin;
	struct admin_jobs *jobs;
	uint32_t frame_bytes_max;
	uint8_t *read;	/* CLIENT_READ_BYTES */
	struct buf out; /* the replies of one read */
	void (*closed)(
	    struct client_port *p, const char *ip); /* a connection from this address is gone */
	struct tls *unify; /* for plain connections that turn out to be TLS; NULL: none may */
	bool (*may_shake_hands)(struct client_port *p, const char *ip);
	struct client_port *port;
	struct list young; /* client_conn.young: without a session, or ending; oldest first */
	size_t handshakes; /* that are going on */
	bool gone;	   /* set by client_conn_close(), for a caller that must know */
};

struct client_conn {
	struct server_conn core;
	struct client_shared *shared;
	struct list young;
	uint64_t young_ms; /* since when */
	struct event readable;
	struct event *writable; /* NULL until it had to wait for the first time */
	int fd;
	bool unknown; /* its first byte will tell whether it is TLS */
	bool handshaking;
	bool reading, write_wanted; /* events that are set */
	bool stuck;		    /* a whole frame in `in` waits until the core takes it */
	bool broken;		    /* to be closed at once */
	SSL *ssl;		    /* NULL: plain */
	struct sasl *sasl;	    /* an exchange that has begun */
	struct admin_job *job;	    /* makes the answer to a word; NULL: none */
	struct buf in,
	    out;     /* the incomplete rest of what was read; what could not be sent at once */
	char ip[64]; /* address without port */
	uint16_t port;
};

/* Take an accepted, non-blocking socket. False: no memory; the socket is closed. */
bool client_conn_open(
    struct client_shared *shared, int fd, SSL *ssl, const char *ip, uint16_t port);
void client_conn_close(struct client_conn *c);

/* The core has marked it: send, close, go on reading. May close it. */
void client_conn_attend(struct client_conn *c);

/* Be told when the socket takes bytes again, or no longer. */
void client_conn_want_write(struct client_conn *c, bool on);

/* "ADDRESS:PORT", valid until the next call. */
const char *client_conn_address(const struct client_conn *c);
int client_conn_interest(const struct client_conn *c); /* 1: reads, 4: waits to write, 5: both */

bool client_conn_is_secure(const struct client_conn *c);

/*
 * Is this a four-letter word, the first thing that came? Then it is answered (true), once it is
 * complete: until then *used is 0.
 */
bool client_word(struct client_conn *c, const uint8_t *bytes, size_t size, size_t *used);
/* Some of the answer was sent: more may be made. */
void client_word_sent(struct client_conn *c);

#endif
