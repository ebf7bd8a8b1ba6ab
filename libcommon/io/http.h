/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1: a server with routes, and one call at a time for clients. Over TCP, TLS or a Unix
 * socket; replies whole, streamed in chunks, redirected, or upgraded to a link (frames).
 *
 * Bounds: heads of HTTP_HEAD_BYTES_MAX, bodies and queues of the given sizes, connections by
 * number, time for the handshake, for a request's arrival, and between requests. A client that
 * breaks one gets the fitting 4xx where it can still be told, and the connection closes. The server
 * logs what clients do wrong, by log_peer().
 */
#ifndef CORRAL_IO_HTTP_H
#define CORRAL_IO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcommon/codec/http_head.h"
#include "libcommon/io/link.h"
#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"

#define HTTP_UPGRADE_PROTOCOL "corral-frames"

struct http_server;

/* A request at the server, from its handler's call until its answer is complete. */
struct http_request;

struct http_route {
	const char *method; /* NULL: any; a path that is known under other methods only gets 405 */
	const char *prefix; /* "/a/b" is itself and "/a/b/..."; "/" is all; the longest one wins */
	bool open; /* answered without certificate and credentials; otherwise that gets 401 */
	void (*handle)(void *arg, struct http_request *r);
	size_t body_bytes_max; /* 0: as in http_config; less where anybody may ask */
};

struct http_config {
	const struct http_route *routes; /* kept by reference */
	size_t route_count;
	size_t connections_max;
	size_t body_bytes_max;	/* a request's body: 413 above */
	size_t queue_bytes_max; /* a stream's bytes that its reader has not fetched */
	uint32_t handshake_ms;
	uint32_t request_ms; /* from a request's first byte to its last */
	uint32_t idle_ms;    /* between two requests */
	/*
	 * Every route is open: for a Unix socket (http_request_cred() tells who asks) and for a
	 * plain listener whose handlers check a secret themselves.
	 */
	bool anonymous;
	/*
	 * Is this the secret of the holder of this name (Basic credentials, RFC 7617, where there
	 * is no client certificate)? Then *who is filled, and the request is the holder's. NULL:
	 * they are not taken. realm goes into the challenge.
	 */
	bool (*authenticate)(void *arg, const char *name, const char *secret, struct tls_peer *who);
	const char *realm;
};

/* NULL: the reason is in error[size]. tls NULL: plain; else one without require_peer. */
struct http_server *http_server_open(struct loop *loop, const char *address, struct tls *tls,
    const struct http_config *config, void *arg, char *error, size_t size);
/* Drops all its connections (gone() is called); links that came of it go on. */
void http_server_close(struct http_server *s);
uint16_t http_server_port(const struct http_server *s);

/* Reading a request. Texts live as long as the request. */
const char *http_request_method(const struct http_request *r);
const char *http_request_path(const struct http_request *r);   /* decoded, without the query */
const char *http_request_target(const struct http_request *r); /* as it came */
const char *http_request_header(const struct http_request *r, const char *name); /* or NULL */
/* The decoded value of a query parameter, NULL if there is none (first one wins). */
const char *http_request_query(struct http_request *r, const char *name);
const uint8_t *http_request_body(const struct http_request *r, size_t *size);
/* Who asks, by certificate or by Basic credentials. */
const struct tls_peer *http_request_peer(const struct http_request *r);
bool http_request_has_certificate(const struct http_request *r);
/* Who is at the other end of a Unix socket (SO_PEERCRED); false elsewhere. */
bool http_request_cred(const struct http_request *r, uid_t *uid, pid_t *pid);
bool http_request_wants_upgrade(const struct http_request *r); /* to corral-frames */

/*
 * A handler that answers later says whom to tell when the client is gone before that: then the
 * request is gone, and must not be answered.
 */
void http_request_on_gone(
    struct http_request *r, void (*gone)(void *arg, struct http_request *r), void *arg);

/*
 * Answering: exactly one of http_reply(), http_reply_text(), http_redirect(), http_upgrade(), or
 * http_stream_start() to http_stream_end(). The request is gone after the call that completes it.
 * http_reply_header() adds a header beforehand (no more than fit in 2 KiB; false: it did not).
 */
bool http_reply_header(struct http_request *r, const char *name, const char *value);
void http_reply(
    struct http_request *r, int status, const char *content_type, const void *body, size_t size);
void http_reply_text(struct http_request *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* 307 to "https://HOST:PORT" + target (or http, as this server is plain). */
void http_redirect(struct http_request *r, const char *host_port);

/*
 * A streamed answer. http_stream_send() returns false when the queue is full: the connection is
 * then dropped and gone() is called from the loop. http_stream_queued() lets a producer wait
 * instead; writable() is called when the queue has drained to half after it was fuller. Both
 * callbacks get the arg of http_request_on_gone().
 */
void http_stream_start(struct http_request *r, int status, const char *content_type);
bool http_stream_send(struct http_request *r, const void *bytes, size_t size);
void http_stream_on_writable(
    struct http_request *r, void (*writable)(void *arg, struct http_request *r));
size_t http_stream_queued(const struct http_request *r);
void http_stream_end(struct http_request *r);

/* 101, and the connection is a link, up already: up() is not called. NULL: no memory. */
struct link *http_upgrade(struct http_request *r, const struct link_limits *limits,
    const struct link_ops *ops, void *arg);

/* One call by a client. Everything in it is copied, but for link_ops. */
struct http_call_spec {
	const char *address;   /* "HOST:PORT", or "/path" of a Unix socket */
	const char *peer_name; /* as link_connect() has it */
	/* What the server's certificate must say over TLS; NONE: a name that fits is enough. */
	enum tls_role peer_role;
	const char *method;
	const char *target;	    /* path and query, encoded */
	const char *const *headers; /* "Name: value", ended by NULL; may be NULL */
	const void *body;
	size_t body_size;
	size_t reply_bytes_max; /* of a whole reply, or of one line of a stream */
	uint32_t connect_ms;	/* connecting and handshake, per address */
	/* From then to the reply's last byte (a stream's: its head); 0: for ever. */
	uint32_t reply_ms;
	/* Ask for corral-frames: upgraded() is called, or done() if it was refused. */
	bool upgrade;
	struct link_limits link_limits; /* for the link after the upgrade */
	const struct link_ops *link_ops;
};

struct http_response {
	int status;
	const char *content_type; /* "" if it had none */
	const char *location;	  /* "" likewise */
	const char *body;	  /* a NUL follows; empty for a stream */
	size_t size;
};

/*
 * One of done(), failed(), upgraded() is called, once, from the loop; the call is gone after it.
 * With line() set, a reply of 2xx is handed on line by line (without the newline) as it arrives.
 * A redirect (307, 308) is followed once, to the same scheme.
 */
struct http_call_ops {
	void (*done)(void *arg, const struct http_response *response);
	void (*failed)(void *arg, const char *why); /* a text for the user: where and what */
	void (*line)(void *arg, const char *line, size_t size);
	void (*upgraded)(void *arg, struct link *l); /* set its arg here, with link_set_arg() */
};

struct http_call;
/* NULL: no memory. */
struct http_call *http_call(struct loop *loop, struct tls *tls, const struct http_call_spec *spec,
    const struct http_call_ops *ops, void *arg);
void http_call_cancel(struct http_call *c); /* nothing is called any more */

#endif
