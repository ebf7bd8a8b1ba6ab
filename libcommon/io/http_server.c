/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/http_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/http_basic.h"
#include "libcommon/sys/log.h"

#define HTTP_STALL_MS 30000

static void http_input(void *arg);

static void
request_release(void *arg)
{
	struct http_request *r = arg;

	free(r->head_text);
	free(r->path);
	free(r->query);
	free(r->basic);
	buf_fini(&r->body);
	buf_fini(&r->extra);
	free(r);
}

void
http_request_end(struct http_request *r)
{
	if (r->phase == HTTP_OVER)
		return;
	r->phase = HTTP_OVER;
	list_remove(&r->link);
	timer_cancel(&r->deadline);
	deferral_cancel(&r->drop);
	deferral_set(r->loop, &r->release);
}

/* The connection is lost: tell whoever was about to answer. */
static void
request_lost(struct http_request *r)
{
	bool asked = r->phase == HTTP_ANSWERING || r->phase == HTTP_STREAMING;

	http_request_end(r);
	if (asked && r->gone != NULL)
		r->gone(r->gone_arg, r);
}

static void
http_down(void *arg, const char *why)
{
	struct http_request *r = arg;

	if (!r->up)
		log_peer("HTTP from %s: %s", stream_peer_address(r->stream), why);
	request_lost(r);
}

/* Arm the deadline of a phase; without memory for it the connection cannot be bounded, and goes. */
static bool
request_set_deadline(struct http_request *r, uint32_t delay_ms)
{
	if (timer_set(&r->deadline, loop_now_ms(r->loop) + delay_ms))
		return true;
	stream_abort(r->stream);
	http_request_end(r);
	return false;
}

static void
http_up(void *arg)
{
	struct http_request *r = arg;

	r->up = true;
	(void)request_set_deadline(r, r->server->config.idle_ms);
}

static void
request_reset(struct http_request *r)
{
	free(r->head_text);
	free(r->path);
	free(r->query);
	free(r->basic);
	r->head_text = r->path = r->query = NULL;
	r->basic = NULL;
	r->head.method = r->head.target = NULL;
	r->head.field_count = 0;
	r->begun = false;
	r->param_count = 0;
	buf_fini(&r->body);
	buf_fini(&r->extra);
	buf_init(&r->body, r->server->config.body_bytes_max);
	buf_init(&r->extra, HTTP_EXTRA_BYTES_MAX);
	r->route = NULL;
	r->keep_alive = false;
	r->gone = NULL;
	r->gone_arg = NULL;
	r->writable = NULL;
	r->phase = HTTP_HEAD;
}

void
http_request_finish(struct http_request *r)
{
	if (r->phase == HTTP_OVER)
		return;
	if (!r->keep_alive) {
		stream_close(r->stream);
		http_request_end(r);
		return;
	}
	request_reset(r);
	if (request_set_deadline(r, r->server->config.idle_ms))
		stream_input_again(r->stream);
}

static void
http_writable(void *arg)
{
	struct http_request *r = arg;

	if (r->phase == HTTP_STREAMING && r->writable != NULL)
		r->writable(r->gone_arg, r);
	else if (r->phase == HTTP_HEAD)
		http_input(r);
}

/*
 * Answer a request that no handler will see, and close: what follows on the connection is not read.
 */
static void
request_refuse(struct http_request *r, int status, const char *why)
{
	r->keep_alive = false;
	r->phase = HTTP_ANSWERING;
	timer_cancel(&r->deadline);
	http_reply_text(r, status, "%s\n", why);
}

static void
request_deadline(void *arg)
{
	struct http_request *r = arg;

	if (r->phase == HTTP_HEAD && evbuffer_get_length(stream_input(r->stream)) == 0) {
		stream_close(r->stream);
		http_request_end(r);
	} else {
		request_refuse(r, 408, "the request did not arrive in time");
	}
}

static bool
path_has_prefix(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(path, prefix, len) != 0)
		return false;
	return path[len] == '\0' || path[len] == '/' || (len > 0 && prefix[len - 1] == '/');
}

static bool
method_fits(const char *wanted, const char *method)
{
	return wanted == NULL || strcmp(wanted, method) == 0 ||
	       (strcmp(wanted, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* The route of the longest prefix that has the method; NULL with 404 or 405 in *status. */
static const struct http_route *
server_find_route(const struct http_server *s, const char *path, const char *method, int *status)
{
	const struct http_route *found = NULL;
	size_t longest = 0;

	*status = 404;
	for (size_t i = 0; i < s->config.route_count; i++) {
		const struct http_route *route = &s->config.routes[i];
		size_t len = strlen(route->prefix);

		if (!path_has_prefix(path, route->prefix) || (len < longest))
			continue;
		if (len > longest)
			found = NULL;
		longest = len;
		*status = 405;
		if (found == NULL && method_fits(route->method, method))
			found = route;
	}
	return found;
}

/* Split the target into the decoded path and the query's parameters. */
static bool
request_split_target(struct http_request *r)
{
	const char *mark = strchr(r->head.target, '?');
	char *at, *pair, *equals;

	r->path = mark == NULL ? strdup(r->head.target)
			       : strndup(r->head.target, (size_t)(mark - r->head.target));
	if (r->path == NULL || !http_decode(r->path, false))
		return false;
	if (mark == NULL)
		return true;
	r->query = at = strdup(mark + 1);
	if (at == NULL)
		return false;
	while ((pair = strsep(&at, "&")) != NULL) {
		if (*pair == '\0')
			continue;
		if (r->param_count == HTTP_QUERY_MAX)
			return false;
		equals = strchr(pair, '=');
		if (equals != NULL)
			*equals++ = '\0';
		else
			equals = pair + strlen(pair);
		if (!http_decode(pair, true) || !http_decode(equals, true))
			return false;
		r->params[r->param_count++] = (struct http_param){pair, equals};
	}
	return true;
}

/* By its Basic credentials. */
static bool
request_authenticate(struct http_request *r)
{
	const struct http_config *config = &r->server->config;
	const char *value = http_head_get(&r->head, "authorization");
	struct http_basic basic;
	bool good = false;

	if (config->authenticate == NULL || value == NULL ||
	    (r->basic = calloc(1, sizeof *r->basic)) == NULL)
		return false;
	if (http_basic_read(&basic, value))
		good = config->authenticate(r->server->arg, basic.name, basic.secret, r->basic);
	explicit_bzero(&basic, sizeof basic);
	if (good)
		return true;
	free(r->basic);
	r->basic = NULL;
	return false;
}

static bool
request_is_allowed(struct http_request *r)
{
	return r->route->open || r->server->config.anonymous || http_request_has_certificate(r) ||
	       request_authenticate(r);
}

/* With each failure goes the connection: who guesses makes a handshake for each guess. */
static void
request_challenge(struct http_request *r)
{
	const struct http_config *config = &r->server->config;
	char challenge[128];

	if (config->authenticate == NULL) {
		request_refuse(r, 401, "a client certificate of the cluster is needed");
		return;
	}
	snprintf(
	    challenge, sizeof challenge, "Basic realm=\"%.64s\", charset=\"UTF-8\"", config->realm);
	(void)http_reply_header(r, "WWW-Authenticate", challenge);
	request_refuse(r, 401,
	    http_head_get(&r->head, "authorization") == NULL
		? "a client certificate of the cluster, or Basic credentials, are needed"
		: "these are not the credentials of anybody here");
}

/* With the head at hand: who may ask what, and how much will follow. False: it was refused. */
static bool
request_admit(struct http_request *r)
{
	const char *why;
	int status;

	r->keep_alive = r->head.minor == 1 && !http_head_has_token(&r->head, "connection", "close");
	if (!request_split_target(r)) {
		request_refuse(r, 400, "the target cannot be decoded, or has too many parameters");
		return false;
	}
	if (!http_body_of_request(&r->framing, &r->head, &why)) {
		request_refuse(r, 400, why);
		return false;
	}
	r->route = server_find_route(r->server, r->path, r->head.method, &status);
	if (r->route == NULL) {
		request_refuse(r, status,
		    status == 404 ? "there is nothing here"
				  : "this path does not take that method");
		return false;
	}
	if (!request_is_allowed(r)) {
		request_challenge(r);
		return false;
	}
	if (r->route->body_bytes_max != 0)
		r->body.max_bytes = r->route->body_bytes_max; /* nothing is in it yet */
	if (r->framing.kind == HTTP_BODY_LENGTH && r->framing.left > r->body.max_bytes) {
		request_refuse(r, 413, "the body is too large");
		return false;
	}
	return true;
}

static void
request_say_continue(struct http_request *r)
{
	static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct stream_part part = {line, sizeof line - 1};

	if (r->framing.kind != HTTP_BODY_NONE &&
	    http_head_has_token(&r->head, "expect", "100-continue"))
		(void)stream_send_whole(r->stream, &part, 1);
}

/* True: a head was read, and the request goes on with its body. */
static bool
request_read_head(struct http_request *r)
{
	struct evbuffer *input = stream_input(r->stream);
	size_t have = evbuffer_get_length(input);
	size_t look = have < HTTP_HEAD_BYTES_MAX ? have : HTTP_HEAD_BYTES_MAX;
	const uint8_t *bytes;
	const char *why;
	size_t size;

	if (have == 0 || stream_want_writable(r->stream))
		return false; /* the last answers are still to be fetched: no more until then */
	if (!r->begun && !request_set_deadline(r, r->server->config.request_ms))
		return false;
	r->begun = true;
	bytes = evbuffer_pullup(input, (ev_ssize_t)look);
	size = bytes == NULL ? 0 : http_head_size(bytes, look);
	if (size == 0) {
		if (have >= HTTP_HEAD_BYTES_MAX)
			request_refuse(r, 431, "the head of the request is too large");
		return false;
	}
	r->head_text = malloc(size + 1);
	if (r->head_text == NULL) {
		request_refuse(r, 503, "no memory");
		return false;
	}
	(void)evbuffer_remove(input, r->head_text, size);
	if (!http_head_parse_request(r->head_text, size, &r->head, &why)) {
		request_refuse(r, 400, why);
		return false;
	}
	if (!request_admit(r))
		return false;
	request_say_continue(r);
	r->phase = HTTP_BODY;
	return true;
}

/* True: the body is complete. */
static bool
request_read_body(struct http_request *r)
{
	struct evbuffer *input = stream_input(r->stream);
	enum http_body_result result = HTTP_BODY_MORE;
	struct evbuffer_iovec piece = {0};
	size_t used, data_size;
	const uint8_t *data;

	do {
		if (evbuffer_peek(input, -1, NULL, &piece, 1) < 1)
			piece.iov_len = 0;
		result = http_body_step(
		    &r->framing, piece.iov_base, piece.iov_len, &used, &data, &data_size);
		if (result == HTTP_BODY_DATA)
			buf_append(&r->body, data, data_size);
		(void)evbuffer_drain(input, used);
		if (r->body.failed) {
			request_refuse(r, 413, "the body is too large");
			return false;
		}
	} while (result == HTTP_BODY_DATA || (result == HTTP_BODY_MORE && used > 0));
	if (result == HTTP_BODY_BAD)
		request_refuse(r, 400, "the chunks of the body are malformed");
	return result == HTTP_BODY_DONE;
}

static void
http_input(void *arg)
{
	struct http_request *r = arg;

	if (r->phase == HTTP_HEAD && !request_read_head(r))
		return;
	if (r->phase == HTTP_BODY && request_read_body(r)) {
		r->phase = HTTP_ANSWERING;
		timer_cancel(&r->deadline);
		r->route->handle(r->server->arg, r);
	}
}

static const struct stream_ops http_stream_ops = {
    .up = http_up,
    .input = http_input,
    .writable = http_writable,
    .down = http_down,
};

static void
request_drop(void *arg)
{
	struct http_request *r = arg;

	stream_abort(r->stream);
	request_lost(r);
}

static struct stream *
server_accept(void *arg, int fd)
{
	struct http_server *s = arg;
	const struct stream_limits limits = {
	    .input_bytes_max = HTTP_HEAD_BYTES_MAX + 4096,
	    .queue_bytes_max = s->config.queue_bytes_max,
	    .handshake_ms = s->config.handshake_ms,
	    .stall_ms = HTTP_STALL_MS,
	};
	struct http_request *r = calloc(1, sizeof *r);

	if (r == NULL) {
		close(fd);
		return NULL;
	}
	r->server = s;
	r->loop = s->loop;
	list_init(&r->link);
	timer_init(&r->deadline, s->loop, request_deadline, r);
	deferral_init(&r->drop, request_drop, r);
	deferral_init(&r->release, request_release, r);
	request_reset(r);
	r->stream = stream_adopt(s->loop, fd, s->tls, true, &limits, &http_stream_ops, r);
	if (r->stream == NULL) {
		request_release(r);
		return NULL;
	}
	list_append(&s->connections, &r->link);
	return r->stream;
}

static void
server_release(void *arg)
{
	struct http_server *s = arg;

	tls_unref(s->tls);
	free(s);
}

struct http_server *
http_server_open(struct loop *loop, const char *address, struct tls *tls,
    const struct http_config *config, void *arg, char *error, size_t size)
{
	struct http_server *s = calloc(1, sizeof *s);

	if (s == NULL) {
		snprintf(error, size, "%s: no memory to listen", address);
		return NULL;
	}
	s->loop = loop;
	s->tls = tls_ref(tls);
	s->config = *config;
	s->arg = arg;
	list_init(&s->connections);
	deferral_init(&s->release, server_release, s);
	s->listener = listener_open_raw(
	    loop, address, config->connections_max, server_accept, s, error, size);
	if (s->listener == NULL) {
		server_release(s);
		return NULL;
	}
	return s;
}

void
http_server_close(struct http_server *s)
{
	struct http_request *r;

	if (s == NULL)
		return;
	listener_close(s->listener);
	while (!list_empty(&s->connections)) {
		r = CONTAINER_OF(list_first(&s->connections), struct http_request, link);
		stream_abort(r->stream);
		request_lost(r);
	}
	deferral_set(s->loop, &s->release);
}

uint16_t
http_server_port(const struct http_server *s)
{
	return listener_port(s->listener);
}
