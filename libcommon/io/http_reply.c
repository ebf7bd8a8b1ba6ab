/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler of the HTTP server asks about its request, and how it answers. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "libcommon/base/str.h"
#include "libcommon/io/http_server.h"
#include "libcommon/sys/log.h"

#define REPLY_HEAD_BYTES_MAX (HTTP_EXTRA_BYTES_MAX + 1024)
#define REPLY_TEXT_BYTES_MAX 4096
#define LOGGED_BYTES_MAX 200 /* of an answer's text */

const char *
http_request_method(const struct http_request *r)
{
	return r->head.method;
}

const char *
http_request_path(const struct http_request *r)
{
	return r->path;
}

const char *
http_request_query(struct http_request *r, const char *name)
{
	for (size_t i = 0; i < r->param_count; i++) {
		if (strcmp(r->params[i].name, name) == 0)
			return r->params[i].value;
	}
	return NULL;
}

const char *
http_request_target(const struct http_request *r)
{
	return r->head.target;
}

const char *
http_request_header(const struct http_request *r, const char *name)
{
	return http_head_get(&r->head, name);
}

const uint8_t *
http_request_body(const struct http_request *r, size_t *size)
{
	static const uint8_t empty[1];

	*size = r->body.len;
	return r->body.len == 0 ? empty : r->body.data;
}

const struct tls_peer *
http_request_peer(const struct http_request *r)
{
	return r->basic != NULL ? r->basic : stream_peer(r->stream);
}

bool
http_request_has_certificate(const struct http_request *r)
{
	return stream_peer(r->stream)->role != TLS_ROLE_NONE;
}

bool
http_request_cred(const struct http_request *r, uid_t *uid, pid_t *pid)
{
	return stream_peer_cred(r->stream, uid, pid);
}

bool
http_request_wants_upgrade(const struct http_request *r)
{
	return r->head.minor == 1 && http_head_has_token(&r->head, "connection", "upgrade") &&
	       http_head_has_token(&r->head, "upgrade", HTTP_UPGRADE_PROTOCOL);
}

void
http_request_on_gone(
    struct http_request *r, void (*gone)(void *arg, struct http_request *r), void *arg)
{
	r->gone = gone;
	r->gone_arg = arg;
}

/* A line break in a value would forge header lines. */
static bool
value_is_clean(const char *value)
{
	for (; *value != '\0'; value++) {
		if ((unsigned char)*value < ' ' || *value == 0x7f)
			return false;
	}
	return true;
}

bool
http_reply_header(struct http_request *r, const char *name, const char *value)
{
	size_t before = r->extra.len;

	if (!value_is_clean(value))
		return false;
	buf_printf(&r->extra, "%s: %s\r\n", name, value);
	if (!r->extra.failed)
		return true;
	r->extra.failed = false;
	buf_truncate(&r->extra, before);
	return false;
}

static void
reply_put_date(struct buf *head)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	char text[40];
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL &&
	    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
		buf_printf(head, "Date: %s\r\n", text);
}

/* The head of an answer up to what says how its body ends. */
static void
reply_put_head(struct http_request *r, struct buf *head, int status, const char *content_type)
{
	buf_init(head, REPLY_HEAD_BYTES_MAX);
	buf_printf(head, "HTTP/1.1 %d %s\r\n", status, http_status_text(status));
	reply_put_date(head);
	if (content_type != NULL && value_is_clean(content_type))
		buf_printf(
		    head, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n", content_type);
	buf_append(head, r->extra.data, r->extra.len);
	if (status != 101 && !r->keep_alive)
		buf_printf(head, "Connection: close\r\n");
}

static bool
request_is_head(const struct http_request *r)
{
	/* A head that could not be parsed has no method. */
	return r->head.method != NULL && strcmp(r->head.method, "HEAD") == 0;
}

/*
 * What clients did wrong, and what went wrong here, is said in the log. Not that there is nothing,
 * or that it is in use, to somebody whom we know: that is an answer. Nor that we cannot serve now.
 */
static void
log_fault(const struct http_request *r, int status, const char *body, size_t size)
{
	const struct tls_peer *peer = http_request_peer(r);
	size_t line = 0;

	if (status < 400 || status == 503 ||
	    (peer->role != TLS_ROLE_NONE && (status == 404 || status == 409 || status == 423)))
		return;
	while (line < size && line < LOGGED_BYTES_MAX && body[line] != '\n')
		line++;
	log_peer("HTTP from %s%s%s: %s %.100s: %d %.*s", stream_peer_address(r->stream),
	    peer->role == TLS_ROLE_NONE ? "" : ", ", peer->name,
	    r->head.method == NULL ? "-" : r->head.method, r->path == NULL ? "-" : r->path, status,
	    (int)line, body);
}

void
http_reply(
    struct http_request *r, int status, const char *content_type, const void *body, size_t size)
{
	struct stream_part parts[2] = {{0}};
	struct buf head;

	if (r->phase == HTTP_OVER)
		return;
	assert(r->phase == HTTP_ANSWERING);
	log_fault(r, status, body, size);
	reply_put_head(r, &head, status, content_type);
	if (status != 204 && status != 304)
		buf_printf(&head, "Content-Length: %zu\r\n", size);
	buf_append(&head, "\r\n", 2);
	parts[0] = (struct stream_part){head.data, head.len};
	parts[1] = (struct stream_part){body, request_is_head(r) || status == 204 ? 0 : size};
	if (head.failed || !stream_send_whole(r->stream, parts, 2))
		r->keep_alive =
		    false; /* no memory: the client sees the connection end without an answer */
	buf_fini(&head);
	http_request_finish(r);
}

void
http_reply_text(struct http_request *r, int status, const char *fmt, ...)
{
	char text[REPLY_TEXT_BYTES_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	http_reply(r, status, "text/plain; charset=utf-8", text, strlen(text));
}

void
http_redirect(struct http_request *r, const char *host_port)
{
	char location[HTTP_EXTRA_BYTES_MAX];
	int len = snprintf(location, sizeof location, "%s://%s%s",
	    stream_is_tls(r->stream) ? "https" : "http", host_port, r->head.target);

	if (len < 0 || (size_t)len >= sizeof location ||
	    !http_reply_header(r, "Location", location))
		http_reply_text(r, 503, "ask %s instead\n", host_port);
	else
		http_reply_text(r, 307, "ask %s instead\n", host_port);
}

void
http_stream_start(struct http_request *r, int status, const char *content_type)
{
	struct stream_part part;
	struct buf head;

	if (r->phase == HTTP_OVER)
		return;
	assert(r->phase == HTTP_ANSWERING);
	r->phase = HTTP_STREAMING;
	r->chunked = r->head.minor == 1;
	if (!r->chunked)
		r->keep_alive = false;
	reply_put_head(r, &head, status, content_type);
	buf_printf(&head, "%s\r\n", r->chunked ? "Transfer-Encoding: chunked\r\n" : "");
	part = (struct stream_part){head.data, head.len};
	if (head.failed || !stream_send_whole(r->stream, &part, 1))
		deferral_set(r->loop, &r->drop);
	buf_fini(&head);
}

bool
http_stream_send(struct http_request *r, const void *bytes, size_t size)
{
	struct stream_part parts[3];
	char line[24];
	bool sent;

	if (r->phase != HTTP_STREAMING || !list_empty(&r->drop.link))
		return false;
	if (size == 0 || request_is_head(r))
		return true; /* an empty chunk would be the last one */
	snprintf(line, sizeof line, "%zx\r\n", size);
	parts[0] = (struct stream_part){line, r->chunked ? strlen(line) : 0};
	parts[1] = (struct stream_part){bytes, size};
	parts[2] = (struct stream_part){"\r\n", r->chunked ? 2 : 0};
	sent = stream_send(r->stream, parts, 3);
	if (sent)
		(void)stream_want_writable(r->stream);
	else
		deferral_set(r->loop, &r->drop);
	return sent;
}

void
http_stream_on_writable(struct http_request *r, void (*writable)(void *arg, struct http_request *r))
{
	r->writable = writable;
}

size_t
http_stream_queued(const struct http_request *r)
{
	return r->phase == HTTP_OVER ? 0 : stream_queued_bytes(r->stream);
}

void
http_stream_end(struct http_request *r)
{
	static const char last[] = "0\r\n\r\n";
	struct stream_part part = {last, r->chunked && !request_is_head(r) ? sizeof last - 1 : 0};

	if (r->phase == HTTP_OVER)
		return;
	assert(r->phase == HTTP_STREAMING);
	if (!list_empty(&r->drop.link)) {
		/* It overran its bound and is about to be dropped; nobody waits for that. */
		r->gone = NULL;
		return;
	}
	if (!stream_send_whole(r->stream, &part, 1))
		r->keep_alive = false;
	http_request_finish(r);
}

struct link *
http_upgrade(
    struct http_request *r, const struct link_limits *limits, const struct link_ops *ops, void *arg)
{
	struct stream_part part;
	struct link *l = NULL;
	struct buf head;

	if (r->phase == HTTP_OVER)
		return NULL;
	assert(r->phase == HTTP_ANSWERING);
	reply_put_head(r, &head, 101, NULL);
	buf_printf(&head, "Connection: Upgrade\r\nUpgrade: %s\r\n\r\n", HTTP_UPGRADE_PROTOCOL);
	part = (struct stream_part){head.data, head.len};
	if (!head.failed && stream_send_whole(r->stream, &part, 1))
		l = link_adopt_stream(r->loop, r->stream, limits, ops, arg);
	if (l == NULL)
		stream_abort(r->stream);
	http_request_end(r);
	buf_fini(&head);
	return l;
}
