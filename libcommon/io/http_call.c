/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP call by a client, on a connection of its own. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"
#include "libcommon/io/address.h"
#include "libcommon/io/http.h"
#include "libcommon/io/link_internal.h"

#define CALL_REQUEST_BYTES_MAX ((size_t)64 << 20)
#define CALL_WHY_SIZE 512
#define CALL_LOCATION_SIZE 2048
#define CALL_METHOD_SIZE 16

struct http_call {
	struct loop *loop;
	struct tls *tls;
	const struct http_call_ops *ops;
	void *arg;
	char method[CALL_METHOD_SIZE];
	uint32_t connect_ms, reply_ms;
	size_t reply_bytes_max;
	bool upgrade;
	struct link_limits link_limits;
	const struct link_ops *link_ops;
	char *address, *peer_name, *target;
	enum tls_role peer_role;
	struct buf
	    fields; /* the caller's header lines and the body, behind the lines that we make */
	struct stream *stream;
	struct timer deadline;
	struct deferral release;
	bool over; /* reported or cancelled */
	bool redirected;

	bool head_read;
	char *head_text;
	struct http_head head;
	struct http_body framing;
	bool by_line;	 /* the reply goes to line() */
	struct buf body; /* of the reply; with by_line, the line at hand */
};

static bool call_begin(struct http_call *c);

static void
call_release(void *arg)
{
	struct http_call *c = arg;

	tls_unref(c->tls);
	free(c->address);
	free(c->peer_name);
	free(c->target);
	free(c->head_text);
	buf_fini(&c->fields);
	buf_fini(&c->body);
	free(c);
}

/*
 * Nothing is called any more; the memory stays until the end of the turn, for callers up the stack.
 */
static void
call_end(struct http_call *c)
{
	c->over = true;
	timer_cancel(&c->deadline);
	if (c->stream != NULL)
		stream_abort(c->stream);
	c->stream = NULL;
	deferral_set(c->loop, &c->release);
}

__attribute__((format(printf, 2, 3))) static void
call_fail(struct http_call *c, const char *fmt, ...)
{
	char what[CALL_WHY_SIZE - 256], why[CALL_WHY_SIZE];
	va_list ap;

	if (c->over)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	snprintf(why, sizeof why, "%.200s: %s", c->address, what);
	call_end(c);
	c->ops->failed(c->arg, why);
}

static void
call_done(struct http_call *c)
{
	const char *type = http_head_get(&c->head, "content-type");
	const char *location = http_head_get(&c->head, "location");
	const char *last_line = buf_text(&c->body); /* or the whole body */
	struct http_response response = {
	    .status = c->head.status,
	    .content_type = type != NULL ? type : "",
	    .location = location != NULL ? location : "",
	    .body = c->by_line && last_line != NULL ? "" : last_line,
	    .size = c->by_line ? 0 : c->body.len,
	};

	if (response.body == NULL) {
		call_fail(c, "no memory for the reply");
		return;
	}
	if (c->by_line && c->body.len > 0)
		c->ops->line(c->arg, last_line, c->body.len);
	if (c->over)
		return; /* cancelled by line() */
	call_end(c);
	c->ops->done(c->arg, &response);
}

static void
call_deadline(void *arg)
{
	struct http_call *c = arg;

	call_fail(c, "no answer within %u ms", c->reply_ms);
}

/* A request line and what belongs to this connection; the caller's fields and the body follow. */
static void
call_up(void *arg)
{
	struct http_call *c = arg;
	const struct tls_peer *peer = stream_peer(c->stream);
	struct buf head;
	struct stream_part parts[2];

	/* Whoever has a certificate of the same CA for that host is not therefore who we want. */
	if (c->tls != NULL && c->peer_role != TLS_ROLE_NONE && peer->role != c->peer_role) {
		call_fail(c, "its certificate is %s%s, and not that of a %s",
		    peer->role == TLS_ROLE_NONE ? "nobody's" : "that of a ",
		    peer->role == TLS_ROLE_NONE ? "" : tls_role_name(peer->role),
		    tls_role_name(c->peer_role));
		return;
	}
	buf_init(&head, HTTP_HEAD_BYTES_MAX);
	buf_printf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n", c->method, c->target,
	    address_is_unix(c->address) ? "localhost" : c->address);
	parts[0] = (struct stream_part){head.data, head.len};
	parts[1] = (struct stream_part){c->fields.data, c->fields.len};
	if (head.failed || !stream_send_whole(c->stream, parts, 2))
		call_fail(c, "no memory for the request");
	else if (c->reply_ms != 0 && !timer_set(&c->deadline, loop_now_ms(c->loop) + c->reply_ms))
		call_fail(c, "no memory");
	buf_fini(&head);
}

static void
call_down(void *arg, const char *why)
{
	struct http_call *c = arg;

	c->stream = NULL;
	if (c->head_read && c->framing.kind == HTTP_BODY_TO_CLOSE)
		call_done(c);
	else if (c->head_read)
		call_fail(c, "the connection ended within the reply: %s", why);
	else
		call_fail(c, "%s", why);
}

static void
call_upgraded(struct http_call *c)
{
	struct stream *stream = c->stream;
	struct link *l;

	if (!c->upgrade || !http_head_has_token(&c->head, "upgrade", HTTP_UPGRADE_PROTOCOL)) {
		call_fail(c, "the server switches to a protocol that was not asked for");
		return;
	}
	l = link_adopt_stream(c->loop, stream, &c->link_limits, c->link_ops, NULL);
	if (l == NULL) {
		call_fail(c, "no memory for the link");
		return;
	}
	c->stream = NULL;
	call_end(c);
	c->ops->upgraded(c->arg, l);
}

/* Split "https://HOST:PORT/TARGET" of the same scheme as the call at hand. */
static bool
call_parse_location(struct http_call *c, const char *location)
{
	const char *scheme = c->tls != NULL ? "https://" : "http://";
	const char *host = location + strlen(scheme), *target;
	char *address, *new_target;

	if (!str_starts(location, scheme) || strlen(location) >= CALL_LOCATION_SIZE)
		return false;
	target = strchr(host, '/');
	if (target == NULL)
		return false;
	address = strndup(host, (size_t)(target - host));
	new_target = strdup(target);
	if (address == NULL || new_target == NULL) {
		free(address);
		free(new_target);
		return false;
	}
	free(c->address);
	free(c->target);
	free(c->peer_name); /* it named the other server */
	c->address = address;
	c->target = new_target;
	c->peer_name = NULL;
	return true;
}

static void
call_follow(struct http_call *c)
{
	const char *location = http_head_get(&c->head, "location");

	if (location == NULL || !call_parse_location(c, location)) {
		call_fail(c, "redirected to '%s', which is not a place to go",
		    location != NULL ? location : "");
		return;
	}
	timer_cancel(&c->deadline);
	stream_abort(c->stream);
	c->stream = NULL;
	c->redirected = true;
	c->head_read = false;
	if (!call_begin(c))
		call_fail(c, "no memory to connect");
}

/* True: a head that leads to a body was read. */
static bool
call_read_head(struct http_call *c)
{
	struct evbuffer *input = stream_input(c->stream);
	size_t have = evbuffer_get_length(input);
	size_t look = have < HTTP_HEAD_BYTES_MAX ? have : HTTP_HEAD_BYTES_MAX;
	const uint8_t *bytes = evbuffer_pullup(input, (ev_ssize_t)look);
	size_t size = bytes == NULL ? 0 : http_head_size(bytes, look);
	const char *why;

	if (size == 0) {
		if (have >= HTTP_HEAD_BYTES_MAX)
			call_fail(c, "the head of the reply is too large");
		return false;
	}
	free(c->head_text);
	c->head_text = malloc(size + 1);
	if (c->head_text == NULL) {
		call_fail(c, "no memory");
		return false;
	}
	(void)evbuffer_remove(input, c->head_text, size);
	if (!http_head_parse_response(c->head_text, size, &c->head, &why) ||
	    !http_body_of_response(&c->framing, &c->head, &why)) {
		call_fail(c, "not an HTTP reply: %s", why);
		return false;
	}
	return true;
}

/* What a head that was read means. False: it was an interim one, or this was the end. */
static bool
call_judge_head(struct http_call *c)
{
	int status = c->head.status;

	if (status == 101) {
		call_upgraded(c);
		return false;
	}
	if (status < 200) {
		stream_input_again(c->stream);
		return false;
	}
	if ((status == 307 || status == 308) && !c->redirected && !address_is_unix(c->address)) {
		call_follow(c);
		return false;
	}
	if (strcmp(c->method, "HEAD") == 0)
		c->framing = (struct http_body){0};
	c->head_read = true;
	c->by_line = c->ops->line != NULL && status < 300;
	if (c->by_line)
		timer_cancel(&c->deadline);
	return true;
}

/* Hand on each whole line of data; what is left of it waits in body. */
static void
call_take_lines(struct http_call *c, const uint8_t *data, size_t size)
{
	while (size > 0 && !c->over) {
		const uint8_t *newline = memchr(data, '\n', size);
		size_t part = newline == NULL ? size : (size_t)(newline - data);
		const char *line;

		buf_append(&c->body, data, part);
		if (newline == NULL)
			return;
		line = buf_text(&c->body);
		if (line == NULL)
			return;
		c->ops->line(c->arg, line, c->body.len);
		buf_clear(&c->body);
		data += part + 1;
		size -= part + 1;
	}
}

static void
call_read_body(struct http_call *c)
{
	struct evbuffer *input = stream_input(c->stream);
	enum http_body_result result;
	struct evbuffer_iovec piece = {0};
	size_t used, data_size;
	const uint8_t *data;

	do {
		if (evbuffer_peek(input, -1, NULL, &piece, 1) < 1)
			piece.iov_len = 0;
		result = http_body_step(
		    &c->framing, piece.iov_base, piece.iov_len, &used, &data, &data_size);
		if (result == HTTP_BODY_DATA && c->by_line)
			call_take_lines(c, data, data_size);
		else if (result == HTTP_BODY_DATA)
			buf_append(&c->body, data, data_size);
		if (c->over)
			return;
		(void)evbuffer_drain(input, used);
		if (c->body.failed) {
			call_fail(c, "the reply is larger than %zu bytes", c->reply_bytes_max);
			return;
		}
	} while (result == HTTP_BODY_DATA || (result == HTTP_BODY_MORE && used > 0));
	if (result == HTTP_BODY_BAD)
		call_fail(c, "the chunks of the reply are malformed");
	else if (result == HTTP_BODY_DONE)
		call_done(c);
}

static void
call_input(void *arg)
{
	struct http_call *c = arg;

	if (!c->head_read && (!call_read_head(c) || !call_judge_head(c)))
		return;
	call_read_body(c);
}

static const struct stream_ops call_stream_ops = {
    .up = call_up,
    .input = call_input,
    .down = call_down,
};

/* False: no memory. */
static bool
call_begin(struct http_call *c)
{
	const struct stream_limits limits = {
	    .input_bytes_max = 4 * HTTP_HEAD_BYTES_MAX,
	    .queue_bytes_max = CALL_REQUEST_BYTES_MAX,
	    .handshake_ms = c->connect_ms,
	};

	c->stream =
	    stream_connect(c->loop, c->address, c->tls, c->peer_name, &limits, &call_stream_ops, c);
	return c->stream != NULL;
}

static bool
call_put_fields(struct http_call *c, const struct http_call_spec *spec)
{
	buf_init(&c->fields, CALL_REQUEST_BYTES_MAX);
	for (size_t i = 0; spec->headers != NULL && spec->headers[i] != NULL; i++)
		buf_printf(&c->fields, "%s\r\n", spec->headers[i]);
	if (spec->upgrade)
		buf_printf(
		    &c->fields, "Connection: Upgrade\r\nUpgrade: %s\r\n", HTTP_UPGRADE_PROTOCOL);
	else
		buf_printf(&c->fields, "Connection: close\r\n");
	if (spec->body_size > 0 || strcmp(spec->method, "POST") == 0 ||
	    strcmp(spec->method, "PUT") == 0)
		buf_printf(&c->fields, "Content-Length: %zu\r\n", spec->body_size);
	buf_append(&c->fields, "\r\n", 2);
	buf_append(&c->fields, spec->body, spec->body_size);
	return !c->fields.failed;
}

struct http_call *
http_call(struct loop *loop, struct tls *tls, const struct http_call_spec *spec,
    const struct http_call_ops *ops, void *arg)
{
	struct http_call *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->loop = loop;
	c->tls = tls_ref(tls);
	c->ops = ops;
	c->arg = arg;
	c->connect_ms = spec->connect_ms;
	c->reply_ms = spec->reply_ms;
	c->reply_bytes_max = spec->reply_bytes_max;
	c->upgrade = spec->upgrade;
	c->peer_role = spec->peer_role;
	c->link_limits = spec->link_limits;
	c->link_ops = spec->link_ops;
	c->address = strdup(spec->address);
	c->target = strdup(spec->target);
	c->peer_name = spec->peer_name != NULL ? strdup(spec->peer_name) : NULL;
	timer_init(&c->deadline, loop, call_deadline, c);
	deferral_init(&c->release, call_release, c);
	buf_init(&c->body, spec->reply_bytes_max);
	if (!str_copy(c->method, sizeof c->method, spec->method) || !call_put_fields(c, spec) ||
	    c->address == NULL || c->target == NULL ||
	    (spec->peer_name != NULL && c->peer_name == NULL) || !call_begin(c)) {
		call_release(c);
		return NULL;
	}
	return c;
}

void
http_call_cancel(struct http_call *c)
{
	if (c != NULL && !c->over)
		call_end(c);
}
