/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of the HTTP server; http_server.c reads on it, http_reply.c answers. */
#ifndef CORRAL_IO_HTTP_SERVER_H
#define CORRAL_IO_HTTP_SERVER_H

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "libcommon/io/http.h"
#include "libcommon/io/link_internal.h"

#define HTTP_QUERY_MAX 32
#define HTTP_EXTRA_BYTES_MAX 2048 /* of headers by http_reply_header() */

enum http_phase {
	HTTP_HEAD,	/* waiting for a head, or for the rest of it */
	HTTP_BODY,	/* the head is there, the route found */
	HTTP_ANSWERING, /* the handler was called and has not begun to answer */
	HTTP_STREAMING, /* between http_stream_start() and _end() */
	HTTP_OVER,	/* the stream is closed or somebody else's */
};

struct http_param {
	char *name, *value;
};

/* One connection, and the request on it: one at a time. */
struct http_request {
	struct list link; /* in the server's list */
	struct http_server *server;
	struct loop *loop;
	struct stream *stream;
	enum http_phase phase;
	struct timer deadline; /* of the head and the body */
	struct deferral drop;  /* a stream that overran its bound */
	struct deferral release;

	bool up;	 /* the handshake is done */
	bool begun;	 /* the first bytes of the head are there, and its time runs */
	char *head_text; /* what head points into */
	struct http_head head;
	char *path;  /* decoded */
	char *query; /* what params point into */
	struct http_param params[HTTP_QUERY_MAX];
	size_t param_count;
	struct http_body framing;
	struct buf body;
	const struct http_route *route;
	struct tls_peer *basic; /* whose credentials were right; NULL: none were asked for */
	bool keep_alive;

	struct buf extra; /* header lines of the answer */
	bool chunked;	  /* the streamed answer is */
	void (*gone)(void *arg, struct http_request *r);
	void *gone_arg;
	void (*writable)(void *arg, struct http_request *r);
};

struct http_server {
	struct loop *loop;
	struct listener *listener;
	struct tls *tls;
	struct http_config config;
	void *arg;
	struct list connections;
	struct deferral release;
};

/* The answer is complete: wait for the next request, or close. */
void http_request_finish(struct http_request *r);

/* Nothing more happens here; memory goes at the end of the turn. The stream is the caller's. */
void http_request_end(struct http_request *r);

#endif
