/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server and its client against each other, and the server against raw bytes. */
#include "libcommon/io/http.h"

#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/net.h"
#include "tests/lib/unit.h"

/* What the client has seen of its call. */
static struct {
	int ended; /* done, failed or upgraded */
	int status;
	char body[1024];
	char type[64];
	char why[512];
	int lines;
	char last_line[64];
} reply;

static struct http_server *server, *other;
static struct tls *server_tls, *client_tls;
static struct http_request *held; /* by the route /hold */
static int handled, held_count, gone_count;
static char other_address[64];
static enum tls_role wanted_role; /* of the server, by the calls to come */

static void
call_done(void *arg, const struct http_response *r)
{
	(void)arg;
	reply.ended++;
	reply.status = r->status;
	snprintf(reply.body, sizeof reply.body, "%s", r->body);
	snprintf(reply.type, sizeof reply.type, "%s", r->content_type);
}

static void
call_failed(void *arg, const char *why)
{
	(void)arg;
	reply.ended++;
	snprintf(reply.why, sizeof reply.why, "%s", why);
}

static void
call_line(void *arg, const char *line, size_t size)
{
	(void)arg;
	ck_assert_uint_eq(strlen(line), size);
	reply.lines++;
	snprintf(reply.last_line, sizeof reply.last_line, "%s", line);
}

static void
call_upgraded(void *arg, struct link *l)
{
	(void)arg;
	reply.ended++;
	net_client.link = l;
	net_client.ups++;
	link_set_arg(l, &net_ops, &net_client);
}

static const struct http_call_ops call_ops = {
    .done = call_done,
    .failed = call_failed,
    .upgraded = call_upgraded,
};

static const struct http_call_ops line_ops = {
    .done = call_done,
    .failed = call_failed,
    .line = call_line,
};

static void
handle_echo(void *arg, struct http_request *r)
{
	size_t size;
	const uint8_t *body = http_request_body(r, &size);
	const char *q = http_request_query(r, "q");
	char text[1024];

	(void)arg;
	handled++;
	snprintf(text, sizeof text, "%s %s q=%s from=%s body=%.*s", http_request_method(r),
	    http_request_path(r), q != NULL ? q : "-", http_request_peer(r)->name, (int)size,
	    (const char *)body);
	ck_assert(http_reply_header(r, "X-Test", "yes"));
	ck_assert(!http_reply_header(r, "X-Forged", "a\r\nb: c"));
	http_reply(r, 200, "text/plain", text, strlen(text));
}

static void
handle_health(void *arg, struct http_request *r)
{
	(void)arg;
	http_reply_text(r, 200, "well\n");
}

static void
request_gone(void *arg, struct http_request *r)
{
	ck_assert_ptr_eq(arg, &held);
	ck_assert_ptr_eq(r, held);
	held = NULL;
	gone_count++;
}

static void
handle_hold(void *arg, struct http_request *r)
{
	(void)arg;
	held = r;
	held_count++;
	http_request_on_gone(r, request_gone, &held);
}

static void
handle_stream(void *arg, struct http_request *r)
{
	handle_hold(arg, r);
	http_stream_start(r, 200, "text/plain");
	ck_assert(http_stream_send(r, "one\ntw", 6));
}

static void
handle_redirect(void *arg, struct http_request *r)
{
	(void)arg;
	http_redirect(r, other_address);
}

static void
handle_upgrade(void *arg, struct http_request *r)
{
	(void)arg;
	if (!http_request_wants_upgrade(r)) {
		http_reply_text(r, 426, "upgrade to %s\n", HTTP_UPGRADE_PROTOCOL);
		return;
	}
	net_server.link = http_upgrade(r, &net_limits, &net_ops, &net_server);
	ck_assert_ptr_nonnull(net_server.link);
	ck_assert(link_send(net_server.link, "first", 5));
}

static const struct http_route routes[] = {
    {"GET", "/echo", false, handle_echo, 0},
    {"POST", "/echo", false, handle_echo, 0},
    {NULL, "/echo/any", false, handle_echo, 0},
    {"GET", "/health", true, handle_health, 0},
    {"GET", "/hold", false, handle_hold, 0},
    {"GET", "/stream", false, handle_stream, 0},
    {NULL, "/redirect", false, handle_redirect, 0},
    {"GET", "/frames", false, handle_upgrade, 0},
    {"POST", "/small", true, handle_echo, 10},
};

static struct http_config config = {
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .connections_max = 8,
    .body_bytes_max = 1000,
    .queue_bytes_max = 64 << 10,
    .handshake_ms = NET_DEADLINE_MS,
    .request_ms = NET_DEADLINE_MS,
    .idle_ms = NET_DEADLINE_MS,
};

static struct http_server *
open_server(struct tls *tls, char address[64])
{
	char error[256];
	struct http_server *s =
	    http_server_open(net_loop, "127.0.0.1:0", tls, &config, NULL, error, sizeof error);

	ck_assert_msg(s != NULL, "%s", error);
	snprintf(address, 64, "127.0.0.1:%u", http_server_port(s));
	return s;
}

static struct tls *
open_tls(bool with_certificate, bool require_peer)
{
	char ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX], error[256];
	struct tls_files files = {
	    ca, with_certificate ? cert : NULL, with_certificate ? key : NULL};
	struct tls *tls;

	snprintf(ca, sizeof ca, "%s/blue/ca.pem", unit_tmpdir());
	snprintf(cert, sizeof cert, "%s/m1.pem", unit_tmpdir());
	snprintf(key, sizeof key, "%s/m1-key.pem", unit_tmpdir());
	tls = tls_new(&files, require_peer, error, sizeof error);
	ck_assert_msg(tls != NULL, "%s", error);
	return tls;
}

static void
setup_tls(void)
{
	net_setup();
	net_make_ca("blue");
	net_issue("blue", TLS_ROLE_MASTER, "m1", 100);
	server_tls = open_tls(true, false);
	client_tls = net_make_tls("blue", "blue", TLS_ROLE_USER, "alice", 100);
	server = open_server(server_tls, net_address);
}

static void
setup_plain(void)
{
	net_setup();
	config.anonymous = true;
	server = open_server(NULL, net_address);
}

static void raw_close(void);

static void
teardown(void)
{
	http_server_close(server);
	http_server_close(other);
	raw_close();
	net_teardown();
	tls_unref(server_tls);
	tls_unref(client_tls);
}

static struct http_call *
start_call(
    const char *method, const char *target, const char *body, const struct http_call_ops *ops)
{
	struct http_call_spec spec = {
	    .address = net_address,
	    .peer_role = wanted_role,
	    .method = method,
	    .target = target,
	    .body = body,
	    .body_size = body != NULL ? strlen(body) : 0,
	    .reply_bytes_max = 4096,
	    .connect_ms = NET_DEADLINE_MS,
	    .reply_ms = NET_DEADLINE_MS,
	    .upgrade = ops->upgraded != NULL && strncmp(target, "/frames", 7) == 0,
	    .link_limits = net_limits,
	    .link_ops = &net_ops,
	};
	struct http_call *c = http_call(net_loop, client_tls, &spec, ops, NULL);

	ck_assert_ptr_nonnull(c);
	return c;
}

static void
call(const char *method, const char *target, const char *body)
{
	int before = reply.ended;

	start_call(method, target, body, &call_ops);
	net_wait(&reply.ended, before + 1);
}

START_TEST(a_get_and_a_post_are_answered_and_the_caller_is_known)
{
	call("GET", "/echo/some%20where?x=1&q=a+b%26c", NULL);
	ck_assert_str_eq(reply.why, "");
	ck_assert_int_eq(reply.status, 200);
	ck_assert_str_eq(reply.body, "GET /echo/some where q=a b&c from=alice body=");
	ck_assert_str_eq(reply.type, "text/plain");
	call("POST", "/echo", "hello");
	ck_assert_str_eq(reply.body, "POST /echo q=- from=alice body=hello");
}
END_TEST

START_TEST(a_server_of_another_role_is_not_asked)
{
	wanted_role = TLS_ROLE_MASTER;
	call("GET", "/health", NULL);
	ck_assert_str_eq(reply.why, "");
	ck_assert_int_eq(reply.status, 200);
	wanted_role = TLS_ROLE_ZKSERVER;
	call("GET", "/echo", NULL);
	ck_assert_ptr_nonnull(strstr(reply.why, "is that of a master, and not that of a zkserver"));
	ck_assert_int_eq(handled, 0);
	wanted_role = TLS_ROLE_NONE;
}
END_TEST

START_TEST(without_a_certificate_only_open_routes_answer)
{
	tls_unref(client_tls);
	client_tls = open_tls(false, false);
	call("GET", "/echo", NULL);
	ck_assert_int_eq(reply.status, 401);
	ck_assert_int_eq(handled, 0);
	call("GET", "/health", NULL);
	ck_assert_int_eq(reply.status, 200);
	ck_assert_str_eq(reply.body, "well\n");
}
END_TEST

START_TEST(paths_methods_and_segments_are_told_apart)
{
	call("GET", "/nothing", NULL);
	ck_assert_int_eq(reply.status, 404);
	call("GET", "/echoes", NULL);
	ck_assert_int_eq(reply.status, 404);
	call("DELETE", "/echo/x", NULL);
	ck_assert_int_eq(reply.status, 405);
	call("DELETE", "/echo/any/x", NULL);
	ck_assert_int_eq(reply.status, 200);
	call("HEAD", "/echo", NULL);
	ck_assert_int_eq(reply.status, 200);
	ck_assert_str_eq(reply.body, "");
	call("GET", "/echo/%zz", NULL);
	ck_assert_int_eq(reply.status, 400);
}
END_TEST

START_TEST(a_body_larger_than_the_limit_is_refused_and_the_refusal_arrives)
{
	char *body = calloc(1, (4 << 20) + 1);

	memset(body, 'x', 1000);
	call("POST", "/echo", body);
	ck_assert_int_eq(reply.status, 200);
	memset(body, 'x', 4 << 20);
	call("POST", "/echo", body);
	ck_assert_str_eq(reply.why, "");
	ck_assert_int_eq(reply.status, 413);
	ck_assert_int_eq(handled, 1);
	free(body);
}
END_TEST

START_TEST(a_reply_larger_than_the_client_takes_is_an_error_that_names_the_place)
{
	struct http_call_spec spec = {
	    .address = net_address,
	    .method = "GET",
	    .target = "/echo",
	    .reply_bytes_max = 4,
	    .connect_ms = NET_DEADLINE_MS,
	    .reply_ms = NET_DEADLINE_MS,
	};

	ck_assert_ptr_nonnull(http_call(net_loop, client_tls, &spec, &call_ops, NULL));
	net_wait(&reply.ended, 1);
	ck_assert_ptr_nonnull(strstr(reply.why, "larger than 4 bytes"));
	ck_assert_ptr_nonnull(strstr(reply.why, net_address));
}
END_TEST

START_TEST(a_streamed_answer_arrives_line_by_line_while_it_is_made)
{
	start_call("GET", "/stream", NULL, &line_ops);
	net_wait(&reply.lines, 1);
	ck_assert_str_eq(reply.last_line, "one");
	ck_assert_int_eq(reply.ended, 0);
	ck_assert(http_stream_send(held, "o\n\nlast", 7));
	net_wait(&reply.lines, 3);
	ck_assert_str_eq(reply.last_line, "");
	http_stream_end(held);
	net_wait(&reply.ended, 1);
	ck_assert_int_eq(reply.lines, 4);
	ck_assert_str_eq(reply.last_line, "last");
	ck_assert_int_eq(reply.status, 200);
	ck_assert_int_eq(gone_count, 0);
}
END_TEST

START_TEST(a_client_that_goes_away_is_reported_to_who_was_about_to_answer)
{
	struct http_call *c = start_call("GET", "/hold", NULL, &call_ops);

	net_wait(&held_count, 1);
	http_call_cancel(c);
	net_wait(&gone_count, 1);
	c = start_call("GET", "/stream", NULL, &line_ops);
	net_wait(&reply.lines, 1);
	http_call_cancel(c);
	net_wait(&gone_count, 2);
	ck_assert_int_eq(reply.ended, 0);
}
END_TEST

START_TEST(an_answer_may_come_later)
{
	start_call("GET", "/hold", NULL, &call_ops);
	net_wait(&held_count, 1);
	http_reply_text(held, 202, "in the end\n");
	net_wait(&reply.ended, 1);
	ck_assert_int_eq(reply.status, 202);
	ck_assert_int_eq(gone_count, 0);
}
END_TEST

START_TEST(a_client_gives_up_when_no_answer_comes_in_time)
{
	struct http_call_spec spec = {
	    .address = net_address,
	    .method = "GET",
	    .target = "/hold",
	    .reply_bytes_max = 4,
	    .connect_ms = NET_DEADLINE_MS,
	    .reply_ms = 20,
	};

	ck_assert_ptr_nonnull(http_call(net_loop, client_tls, &spec, &call_ops, NULL));
	net_wait(&reply.ended, 1);
	ck_assert_ptr_nonnull(strstr(reply.why, "no answer within 20 ms"));
}
END_TEST

START_TEST(a_redirect_is_followed_once_and_takes_the_body_along)
{
	static const struct http_route leader_routes[] = {
	    {"POST", "/redirect", false, handle_echo, 0}};

	config.routes = leader_routes;
	config.route_count = 1;
	other = open_server(server_tls, other_address);
	call("POST", "/redirect/x?q=1", "hello");
	ck_assert_int_eq(reply.status, 200);
	ck_assert_str_eq(reply.body, "POST /redirect/x q=1 from=alice body=hello");
}
END_TEST

START_TEST(a_second_redirect_is_not_followed)
{
	other = open_server(server_tls, other_address);
	call("GET", "/redirect", NULL);
	ck_assert_int_eq(reply.status, 307);
}
END_TEST

START_TEST(a_connection_becomes_a_link_with_frames_both_ways)
{
	start_call("GET", "/frames?x=1", NULL, &call_ops);
	net_wait(&net_client.ups, 1);
	net_wait(&net_client.frames, 1);
	ck_assert_str_eq(net_client.last, "first");
	ck_assert_str_eq(link_peer(net_server.link)->name, "alice");
	ck_assert(link_send(net_client.link, "second", 6));
	net_wait(&net_server.frames, 1);
	ck_assert_str_eq(net_server.last, "second");
	/* The link does not end with the server that it came from. */
	http_server_close(server);
	server = NULL;
	ck_assert(link_send(net_server.link, "third", 5));
	net_wait(&net_client.frames, 2);
	link_close(net_server.link);
	net_server.link = NULL;
	net_wait(&net_client.downs, 1);
}
END_TEST

START_TEST(an_upgrade_that_is_refused_is_an_ordinary_answer)
{
	start_call("GET", "/frames", NULL, &line_ops);
	net_wait(&reply.ended, 1);
	ck_assert_int_eq(reply.status, 426);
}
END_TEST

START_TEST(nobody_there_is_an_error_in_plain_words)
{
	http_server_close(server);
	server = NULL;
	call("GET", "/health", NULL);
	ck_assert_ptr_nonnull(strstr(reply.why, net_address));
	ck_assert_ptr_nonnull(strstr(reply.why, "Connection refused"));
}
END_TEST

START_TEST(closing_the_server_tells_who_was_about_to_answer)
{
	start_call("GET", "/hold", NULL, &call_ops);
	net_wait(&held_count, 1);
	http_server_close(server);
	server = NULL;
	ck_assert_int_eq(gone_count, 1);
	net_wait(&reply.ended, 1);
	ck_assert_str_ne(reply.why, "");
}
END_TEST

/* Raw bytes to the plain server. */

static int raw = -1;
static struct fd_watch *raw_watch;
static char raw_reply[65536];
static size_t raw_size;
static int raw_ended;

static void
raw_close(void)
{
	fd_watch_free(raw_watch);
	raw_watch = NULL;
	if (raw >= 0)
		close(raw);
	raw = -1;
}

static void
raw_ready(void *arg, int what)
{
	ssize_t got =
	    recv(raw, raw_reply + raw_size, sizeof raw_reply - 1 - raw_size, MSG_DONTWAIT);

	(void)arg;
	(void)what;
	ck_assert_int_ge(got, 0);
	raw_size += (size_t)got;
	raw_reply[raw_size] = '\0';
	if (got == 0) {
		raw_close();
		raw_ended++;
	}
}

/* Connect and send; nothing is read before raw_listen(). */
static void
raw_send(const char *bytes)
{
	struct sockaddr_in in = {
	    .sin_family = AF_INET, .sin_port = htons(http_server_port(server))};

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(raw, (struct sockaddr *)&in, sizeof in), 0);
	ck_assert_int_eq(send(raw, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
}

static void
raw_listen(void)
{
	raw_size = 0;
	raw_reply[0] = '\0';
	raw_watch = fd_watch_new(net_loop, raw, FD_READ, raw_ready, NULL);
	ck_assert_ptr_nonnull(raw_watch);
}

/* Send bytes, and read until the server closes; the reply is in raw_reply. */
static void
raw_talk(const char *bytes)
{
	int before = raw_ended;

	raw_send(bytes);
	raw_listen();
	net_wait(&raw_ended, before + 1);
}

static int
count(const char *text)
{
	int n = 0;

	for (const char *at = raw_reply; (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

START_TEST(pipelined_requests_are_answered_in_order_on_one_connection)
{
	raw_talk("GET /echo?q=1 HTTP/1.1\r\nHost: a\r\n\r\n"
		 "POST /echo?q=2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
		 "POST /echo?q=3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n"
		 "GET /echo?q=4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	ck_assert_int_eq(count("HTTP/1.1 200 OK\r\n"), 4);
	ck_assert_int_eq(count("X-Test: yes\r\n"), 4);
	ck_assert_int_eq(count("X-Forged"), 0);
	ck_assert_ptr_nonnull(strstr(raw_reply, "q=2 from= body=abc"));
	ck_assert_ptr_nonnull(strstr(raw_reply, "q=3 from= body=xyz"));
	ck_assert_ptr_nonnull(strstr(strstr(raw_reply, "q=3"), "Connection: close\r\n"));
}
END_TEST

static const struct {
	const char *bytes, *status;
} bad[] = {
    {"GET\r\n\r\n", "400"},
    {"GET /echo HTTP/1.1\r\n\r\n", "400"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	"400"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", "413"},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n", "413"},
    {"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", "413"}, /* its own bound */
    {"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n", "413"},
    {"GET /nothing HTTP/1.0\r\n\r\n", "404"},
};

START_TEST(a_bad_request_is_answered_once_and_costs_its_connection)
{
	char bytes[8192];

	/* What follows a refused request on its connection is not read as a request. */
	snprintf(bytes, sizeof bytes, "%s%02000d\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
	    bad[_i].bytes, 0);
	raw_talk(bytes);
	ck_assert_msg(strstr(raw_reply, bad[_i].status) == raw_reply + 9, "%s", raw_reply);
	ck_assert_int_eq(count("HTTP/1.1 "), 1);
	ck_assert_int_eq(handled, 0);
}
END_TEST

START_TEST(a_head_without_an_end_is_refused_at_its_limit)
{
	static char bytes[2 * HTTP_HEAD_BYTES_MAX];

	memset(bytes, 'a', sizeof bytes - 1);
	raw_talk(bytes);
	ck_assert_int_eq(count("HTTP/1.1 431 "), 1);
}
END_TEST

START_TEST(a_request_that_does_not_arrive_in_time_is_answered_408)
{
	http_server_close(server);
	config.request_ms = 20;
	server = open_server(NULL, net_address);
	raw_talk("GET /echo HTT");
	ck_assert_int_eq(count("HTTP/1.1 408 "), 1);
	raw_talk("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab");
	ck_assert_int_eq(count("HTTP/1.1 408 "), 1);
}
END_TEST

START_TEST(a_connection_without_a_request_is_closed_without_a_word)
{
	http_server_close(server);
	config.idle_ms = 20;
	server = open_server(NULL, net_address);
	raw_talk("");
	ck_assert_str_eq(raw_reply, "");
}
END_TEST

START_TEST(a_client_that_expects_to_be_told_is_told_to_continue)
{
	raw_talk("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
		 "Connection: close\r\n\r\nok");
	ck_assert_ptr_eq(
	    strstr(raw_reply, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), raw_reply);
}
END_TEST

START_TEST(a_stream_for_an_old_client_ends_with_its_connection)
{
	raw_send("GET /stream HTTP/1.0\r\n\r\n");
	net_wait(&held_count, 1);
	http_stream_end(held);
	raw_listen();
	net_wait(&raw_ended, 1);
	ck_assert_ptr_nonnull(strstr(raw_reply, "\r\n\r\none\ntw"));
	ck_assert_int_eq(count("chunked"), 0);
}
END_TEST

static int writables;

static void
stream_writable(void *arg, struct http_request *r)
{
	ck_assert_ptr_eq(arg, &held);
	ck_assert_ptr_eq(r, held);
	writables++;
}

START_TEST(a_stream_whose_reader_does_not_read_is_dropped_at_its_bound)
{
	static const char block[8192];
	int turns = 0;

	raw_send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
	net_wait(&held_count, 1);
	while (http_stream_send(held, block, sizeof block)) {
		ck_assert_uint_le(http_stream_queued(held), config.queue_bytes_max);
		ck_assert_int_lt(++turns, 1000);
	}
	ck_assert_int_eq(gone_count, 0);
	net_wait(&gone_count, 1);
	raw_close();
}
END_TEST

START_TEST(a_producer_that_waits_is_told_when_there_is_room)
{
	static const char block[8192];

	raw_send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
	net_wait(&held_count, 1);
	http_stream_on_writable(held, stream_writable);
	raw_listen();
	while (http_stream_queued(held) < config.queue_bytes_max / 2)
		ck_assert(http_stream_send(held, block, sizeof block));
	net_wait(&writables, 1);
	ck_assert_uint_le(http_stream_queued(held), config.queue_bytes_max / 2);
	http_stream_end(held);
	raw_close();
}
END_TEST

START_TEST(a_unix_socket_tells_who_asks)
{
	char error[256];

	snprintf(net_address, sizeof net_address, "%.48s/s", unit_tmpdir());
	other = http_server_open(net_loop, net_address, NULL, &config, NULL, error, sizeof error);
	ck_assert_msg(other != NULL, "%s", error);
	start_call("GET", "/hold", NULL, &call_ops);
	net_wait(&held_count, 1);
	{
		uid_t uid = (uid_t)-1;
		pid_t pid = 0;

		ck_assert(http_request_cred(held, &uid, &pid));
		ck_assert_uint_eq(uid, getuid());
		ck_assert_int_eq(pid, getpid());
	}
	http_reply_text(held, 200, "you");
	net_wait(&reply.ended, 1);
	ck_assert_str_eq(reply.body, "you");
}
END_TEST

static TCase *
tls_cases(void)
{
	TCase *t = tcase_create("tls");

	tcase_add_checked_fixture(t, setup_tls, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_get_and_a_post_are_answered_and_the_caller_is_known);
	tcase_add_test(t, a_server_of_another_role_is_not_asked);
	tcase_add_test(t, without_a_certificate_only_open_routes_answer);
	tcase_add_test(t, paths_methods_and_segments_are_told_apart);
	tcase_add_test(t, a_body_larger_than_the_limit_is_refused_and_the_refusal_arrives);
	tcase_add_test(t, a_reply_larger_than_the_client_takes_is_an_error_that_names_the_place);
	tcase_add_test(t, a_streamed_answer_arrives_line_by_line_while_it_is_made);
	tcase_add_test(t, a_client_that_goes_away_is_reported_to_who_was_about_to_answer);
	tcase_add_test(t, an_answer_may_come_later);
	tcase_add_test(t, a_client_gives_up_when_no_answer_comes_in_time);
	tcase_add_test(t, a_redirect_is_followed_once_and_takes_the_body_along);
	tcase_add_test(t, a_second_redirect_is_not_followed);
	tcase_add_test(t, a_connection_becomes_a_link_with_frames_both_ways);
	tcase_add_test(t, an_upgrade_that_is_refused_is_an_ordinary_answer);
	tcase_add_test(t, nobody_there_is_an_error_in_plain_words);
	tcase_add_test(t, closing_the_server_tells_who_was_about_to_answer);
	return t;
}

static TCase *
plain_cases(void)
{
	TCase *t = tcase_create("plain");

	tcase_add_checked_fixture(t, setup_plain, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, pipelined_requests_are_answered_in_order_on_one_connection);
	tcase_add_loop_test(t, a_bad_request_is_answered_once_and_costs_its_connection, 0,
	    sizeof bad / sizeof bad[0]);
	tcase_add_test(t, a_head_without_an_end_is_refused_at_its_limit);
	tcase_add_test(t, a_request_that_does_not_arrive_in_time_is_answered_408);
	tcase_add_test(t, a_connection_without_a_request_is_closed_without_a_word);
	tcase_add_test(t, a_client_that_expects_to_be_told_is_told_to_continue);
	tcase_add_test(t, a_stream_for_an_old_client_ends_with_its_connection);
	tcase_add_test(t, a_stream_whose_reader_does_not_read_is_dropped_at_its_bound);
	tcase_add_test(t, a_producer_that_waits_is_told_when_there_is_room);
	tcase_add_test(t, a_unix_socket_tells_who_asks);
	return t;
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("http");

	suite_add_tcase(s, tls_cases());
	suite_add_tcase(s, plain_cases());
	return s;
}
