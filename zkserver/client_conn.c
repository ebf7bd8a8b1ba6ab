/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/client_conn.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "libcommon/base/str.h"
#include "libcommon/io/address.h"
#include "libcommon/io/loop.h"
#include "libcommon/io/tls_ssl.h"
#include "libcommon/sys/log.h"
#include "zkserver/admin_job.h"
#include "zkserver/client_auth.h"
#include "zkserver/client_handshake.h"

#define KEEP_SHARED_BYTES ((size_t)4 << 20)
#define TLS_RECORD_BYTES 16384
#define UNREAD_READS_MAX 16 /* of CLIENT_READ_BYTES, from a connection that ends */
#define LENGTH_BYTES 4
#define TLS_HANDSHAKE 0x1603 /* the first bytes of every TLS connection */

enum { IO_AGAIN = 0, IO_DOWN = -1 };

const char *
client_conn_address(const struct client_conn *c)
{
	static char text[CLIENT_ADDRESS_MAX];

	address_join(text, sizeof text, c->ip, c->port);
	return text;
}

int
client_conn_interest(const struct client_conn *c)
{
	bool reads = c->reading && c->core.end == SERVER_OPEN;

	return (reads ? 1 : 0) | (c->write_wanted ? 4 : 0);
}

bool
client_conn_is_secure(const struct client_conn *c)
{
	return c->ssl != NULL;
}

/* libevent refuses an event only when there is no memory: then this connection cannot live. */
static void
want(struct client_conn *c, struct event *e, bool *state, bool on)
{
	if (on == *state)
		return;
	*state = on;
	if ((on ? event_add(e, NULL) : event_del(e)) != 0)
		c->broken = true;
}

static void
want_read(struct client_conn *c, bool on)
{
	want(c, &c->readable, &c->reading, on);
}

/* Unread bytes would turn the close into a reset, which can overtake the last reply. */
static void
close_socket(struct client_conn *c)
{
	for (int i = 0; i < UNREAD_READS_MAX && c->core.end == SERVER_CLOSE_FLUSHED; i++) {
		if (recv(c->fd, c->shared->read, CLIENT_READ_BYTES, MSG_DONTWAIT) <= 0)
			break;
		if (i == 0)
			shutdown(c->fd, SHUT_WR);
	}
	close(c->fd);
}

void
client_conn_close(struct client_conn *c)
{
	struct client_shared *shared = c->shared;
	char ip[sizeof c->ip];

	if (c->core.why != NULL)
		log_peer("%s: %s: closing", client_conn_address(c), c->core.why);
	memcpy(ip, c->ip, sizeof ip);
	if (c->ssl != NULL) {
		if (c->handshaking)
			shared->handshakes--;
		else
			SSL_shutdown(c->ssl);
		SSL_free(c->ssl);
		ERR_clear_error();
	}
	if (c->job != NULL)
		admin_job_cancel(c->job);
	event_del(&c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	client_auth_forget(c);
	server_conn_close(shared->server, &c->core);
	list_remove(&c->young);
	close_socket(c);
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
	shared->gone = true;
	shared->closed(shared->port, ip);
}

/* What an SSL call's failure asks for. */
static int
ssl_outcome(struct client_conn *c, int result)
{
	switch (SSL_get_error(c->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return IO_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		client_conn_want_write(c, true);
		return IO_AGAIN;
	default:
		ERR_clear_error();
		return IO_DOWN;
	}
}

/* As io_read(). All records that have come, for their frames are served, and answered, together. */
static ssize_t
ssl_read(struct client_conn *c, uint8_t *to, size_t size)
{
	size_t sum = 0;
	int got, outcome;

	do {
		if ((got = SSL_read(c->ssl, to + sum, (int)(size - sum))) > 0)
			sum += (size_t)got;
	} while (got > 0 && sum < size && SSL_has_pending(c->ssl));
	if (got > 0)
		return (ssize_t)sum;
	outcome = ssl_outcome(c, got);
	if (sum == 0)
		return outcome;
	if (outcome == IO_DOWN)
		event_active(&c->readable, EV_READ, 0); /* what came before is served first */
	return (ssize_t)sum;
}

/* Bytes read, IO_AGAIN, or IO_DOWN (the end of the stream too). */
static ssize_t
io_read(struct client_conn *c, uint8_t *to, size_t size)
{
	ssize_t n;

	if (c->ssl != NULL)
		return ssl_read(c, to, size);
	n = recv(c->fd, to, size, 0);
	if (n > 0)
		return n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? IO_AGAIN : IO_DOWN;
}

/* The socket is closed as soon as all is sent: its end goes out with the last reply. */
static bool
is_last(const struct client_conn *c)
{
	return c->core.end == SERVER_CLOSE_FLUSHED && c->job == NULL;
}

static ssize_t
io_write(struct client_conn *c, const uint8_t *bytes, size_t size)
{
	ssize_t n;

	if (c->ssl != NULL) {
		int put = SSL_write(
		    c->ssl, bytes, (int)(size < TLS_RECORD_BYTES ? size : TLS_RECORD_BYTES));

		return put > 0 ? put : ssl_outcome(c, put);
	}
	n = send(c->fd, bytes, size, MSG_NOSIGNAL | (is_last(c) ? MSG_MORE : 0));
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? IO_AGAIN : IO_DOWN;
}

/* Send as much as goes; false: the connection is down. */
static bool
drain(struct client_conn *c, struct buf *b)
{
	while (b->len > 0) {
		ssize_t n = io_write(c, b->data, b->len);

		if (n == IO_DOWN)
			return false;
		if (n == IO_AGAIN)
			return true;
		buf_consume(b, (size_t)n);
	}
	return true;
}

static void
release_if_empty(struct buf *b, size_t keep_bytes)
{
	if (b->len == 0 && b->cap > keep_bytes)
		buf_fini(b);
}

/* Send what there is; what does not go now stays in c->out. */
static void
push(struct client_conn *c)
{
	struct buf *shared = &c->shared->out;
	bool up;

	if (c->core.out == shared) {
		c->core.out = &c->out;
		up = drain(c, shared);
		buf_append(&c->out, shared->data, shared->len);
		buf_clear(shared);
		release_if_empty(shared, KEEP_SHARED_BYTES);
	} else
		up = drain(c, &c->out);
	if (!up || c->out.failed)
		c->broken = true;
	release_if_empty(&c->out, 0);
	client_conn_want_write(c, c->out.len > 0);
	client_word_sent(c);
}

static uint32_t
get_length(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
refuse_length(struct client_conn *c, uint32_t length)
{
	const char *hint = length >> 16 == TLS_HANDSHAKE
			       ? " (it speaks TLS: secureClientPort is the one for it)"
			       : "";

	log_peer("%s: a frame of %u bytes was announced (at most %u are taken)%s: closing",
	    client_conn_address(c), length, c->shared->frame_bytes_max, hint);
	c->broken = true;
}

/* Find whole frames; a length that is none (or too large) breaks the connection. */
static size_t
gather(struct client_conn *c, const uint8_t *bytes, size_t size,
    struct server_frame frames[SERVER_BATCH_MAX])
{
	size_t count = 0;

	while (count < SERVER_BATCH_MAX && size >= LENGTH_BYTES) {
		uint32_t length = get_length(bytes);

		if (length > c->shared->frame_bytes_max) {
			refuse_length(c, length);
			break;
		}
		if (size - LENGTH_BYTES < length)
			break;
		frames[count++] =
		    (struct server_frame){.bytes = bytes + LENGTH_BYTES, .size = length};
		bytes += LENGTH_BYTES + length;
		size -= LENGTH_BYTES + length;
	}
	return count;
}

/* Replies that piled up within one batch go out before more are made. */
static bool
make_room(struct client_conn *c)
{
	if (c->core.end != SERVER_OPEN || c->core.out->len <= SERVER_OUT_SOFT_BYTES)
		return false;
	push(c);
	if (c->out.len > SERVER_OUT_SOFT_BYTES || c->broken)
		return false;
	if (c->out.len == 0)
		c->core.out = &c->shared->out;
	return true;
}

/* Hand frames to the core; returns the bytes that it took. c->stuck: a whole frame must wait. */
static size_t
feed(struct client_conn *c, const uint8_t *bytes, size_t size)
{
	struct server_frame frames[SERVER_BATCH_MAX];
	size_t done = 0, count, taken;

	c->stuck = false;
	if (client_word(c, bytes, size, &done))
		return done;
	while (!c->broken && (count = gather(c, bytes + done, size - done, frames)) > 0) {
		taken = server_frames(c->shared->server, &c->core, frames, count);
		for (size_t i = 0; i < taken; i++)
			done += LENGTH_BYTES + frames[i].size;
		if (taken == count)
			continue;
		if (!server_conn_blocked(c->shared->server, &c->core) &&
		    server_frame_is_auth(&c->core, &frames[taken])) {
			server_conn_received(
			    c->shared->server, &c->core, LENGTH_BYTES + frames[taken].size);
			client_auth(c, &frames[taken]);
			done += LENGTH_BYTES + frames[taken].size;
		} else if (!make_room(c)) {
			c->stuck = true;
			break;
		}
	}
	return done;
}

/* Close if that is due; false: it is gone. */
static bool
survives(struct client_conn *c)
{
	bool flushed = c->core.end == SERVER_CLOSE_FLUSHED;

	if (c->broken || c->core.end == SERVER_CLOSE_NOW || (is_last(c) && c->out.len == 0)) {
		client_conn_close(c);
		return false;
	}
	if (flushed && list_empty(&c->young)) { /* it has so long to take the rest */
		c->young_ms = clock_boot_ms();
		list_append(&c->shared->young, &c->young);
	}
	return true;
}

static void
use_shared_out(struct client_conn *c)
{
	if (c->out.len == 0)
		c->core.out = &c->shared->out;
}

/* Serve what waits in c->in; false: the connection is gone. */
static bool
resume(struct client_conn *c)
{
	use_shared_out(c);
	buf_consume(&c->in, feed(c, c->in.data, c->in.len));
	release_if_empty(&c->in, 0);
	push(c);
	server_attended(&c->core);
	if (!survives(c))
		return false;
	want_read(c, !c->stuck && c->core.end == SERVER_OPEN);
	return true;
}

/* One read into the buffer that all share, or behind an incomplete frame. IO_AGAIN, IO_DOWN, or
 * bytes. */
static ssize_t
read_once(struct client_conn *c)
{
	struct client_shared *shared = c->shared;
	ssize_t n;
	size_t done;

	if (c->in.len > 0) {
		size_t room = c->in.max_bytes - c->in.len;
		uint8_t *to =
		    buf_reserve(&c->in, room < CLIENT_READ_BYTES ? room : CLIENT_READ_BYTES);

		if (to == NULL)
			return IO_DOWN;
		if ((n = io_read(c, to, room < CLIENT_READ_BYTES ? room : CLIENT_READ_BYTES)) <= 0)
			return n;
		buf_commit(&c->in, (size_t)n);
		return resume(c) ? n : IO_DOWN;
	}
	if ((n = io_read(c, shared->read, CLIENT_READ_BYTES)) <= 0)
		return n;
	use_shared_out(c);
	done = feed(c, shared->read, (size_t)n);
	buf_append(&c->in, shared->read + done, (size_t)n - done);
	c->broken |= c->in.failed;
	push(c);
	server_attended(&c->core);
	if (!survives(c))
		return IO_DOWN;
	want_read(c, !c->stuck && c->core.end == SERVER_OPEN);
	return n;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct client_conn *c = arg;
	struct client_shared *shared = c->shared;
	ssize_t n;

	(void)fd;
	(void)what;
	server_set_time(shared->server, clock_boot_ms(), clock_wall_ms());
	if ((c->unknown && !client_tell_tls(c)) || (c->handshaking && !client_handshake(c)))
		return;
	do {
		shared->gone = false;
		n = read_once(c);
		if (shared->gone)
			return;
	} while (n > 0 && c->ssl != NULL && c->reading && SSL_has_pending(c->ssl));
	if (n == IO_DOWN)
		client_conn_close(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct client_conn *c = arg;

	(void)fd;
	(void)what;
	server_set_time(c->shared->server, clock_boot_ms(), clock_wall_ms());
	if (c->handshaking) {
		if (client_handshake(c) && SSL_has_pending(c->ssl))
			event_active(&c->readable, EV_READ, 0);
		return;
	}
	client_conn_attend(c);
}

void
client_conn_want_write(struct client_conn *c, bool on)
{
	if (on && c->writable == NULL)
		c->writable =
		    event_new(c->shared->base, c->fd, EV_WRITE | EV_PERSIST, on_writable, c);
	if (c->writable != NULL)
		want(c, c->writable, &c->write_wanted, on);
	else if (on)
		c->broken = true;
}

void
client_conn_attend(struct client_conn *c)
{
	bool was_reading = c->reading;

	push(c);
	if (!survives(c) || c->handshaking)
		return;
	if (c->core.end == SERVER_OPEN && c->out.len <= SERVER_OUT_SOFT_BYTES && c->stuck &&
	    !resume(c))
		return;
	/* What OpenSSL holds already wakes nobody. */
	if (c->ssl != NULL && c->reading && !was_reading && SSL_has_pending(c->ssl))
		event_active(&c->readable, EV_READ, 0);
}

bool
client_conn_open(struct client_shared *shared, int fd, SSL *ssl, const char *ip, uint16_t port)
{
	struct client_conn *c = calloc(1, sizeof *c);

	if (c == NULL || !server_conn_open(shared->server, &c->core, &c->out, ip)) {
		SSL_free(ssl);
		close(fd);
		free(c);
		return false;
	}
	c->shared = shared;
	c->fd = fd;
	c->port = port;
	str_copy(c->ip, sizeof c->ip, ip);
	buf_init(&c->in, LENGTH_BYTES + (size_t)shared->frame_bytes_max + CLIENT_READ_BYTES);
	buf_init(&c->out, CLIENT_OUT_MAX_BYTES);
	list_init(&c->young);
	list_append(&shared->young, &c->young);
	c->young_ms = clock_boot_ms();
	if (ssl != NULL)
		client_take_ssl(c, ssl);
	else
		c->unknown = shared->unify != NULL;
	event_assign(&c->readable, shared->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	want_read(c, true);
	return survives(c);
}
