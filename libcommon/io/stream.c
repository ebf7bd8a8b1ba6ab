/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "libcommon/base/str.h"
#include "libcommon/io/address.h"
#include "libcommon/io/connector.h"
#include "libcommon/io/tls_ssl.h"

#define STREAM_WHY_SIZE 512
/* What one read or write takes at once; libevent's own read takes 4 KiB. */
#define STREAM_READ_BYTES ((size_t)64 << 10)
#define STREAM_LIBEVENT_READ_BYTES 4096
#define STREAM_WRITE_BYTES ((size_t)256 << 10)

enum stream_state {
	STREAM_CONNECTING, /* no socket yet */
	STREAM_SHAKING,	   /* TLS handshake, or a plain socket whose up() is still to be called */
	STREAM_UP,
	STREAM_CLOSING,	  /* flushing; what arrives is thrown away */
	STREAM_LINGERING, /* all sent and our end shut: until the peer closes */
	STREAM_DEAD,	  /* to be released at the end of the turn */
};

struct stream {
	struct loop *loop;
	struct tls *tls;
	char *peer_name; /* a client's expectation */
	struct connector *connector;
	struct bufferevent *bev;
	int fd;			/* the bufferevent's, for questions to the kernel; -1 before */
	struct event *readable; /* where room() says where what is read goes; NULL: elsewhere */
	enum stream_state state;
	bool refused; /* writable() is due when the queue has drained to half */
	bool paused;
	bool heard;	  /* something was received */
	bool turned_away; /* stream_was_turned_away() */
	char *end;	  /* why it is over, of which the owner is still to hear; NULL: it is not */
	struct stream_limits limits;
	const struct stream_ops *ops;
	void *arg;
	struct timer deadline; /* of the handshake, of silence, or of closing */
	struct deferral later; /* up() of a plain socket, the next input(), or the end */
	struct deferral release;
	uint64_t input_ms;  /* when something was received last */
	uint64_t output_ms; /* when the kernel took something of the queue last, or it was empty */
	struct tls_peer *peer; /* NULL: nobody known */
	void (*released)(void *arg);
	void *released_arg;
	char address[ADDRESS_TEXT_SIZE];
};

static void
stream_release(void *arg)
{
	struct stream *s = arg;

	timer_cancel(&s->deadline);
	deferral_cancel(&s->later);
	connector_cancel(s->connector);
	if (s->readable != NULL)
		event_free(s->readable);
	if (s->bev != NULL)
		bufferevent_free(s->bev);
	if (s->released != NULL)
		s->released(s->released_arg);
	tls_unref(s->tls);
	free(s->peer_name);
	free(s->peer);
	free(s->end);
	free(s);
}

static void
stream_die(struct stream *s)
{
	if (s->state == STREAM_DEAD)
		return;
	s->state = STREAM_DEAD;
	timer_cancel(&s->deadline);
	deferral_cancel(&s->later);
	connector_cancel(s->connector);
	s->connector = NULL;
	if (s->readable != NULL)
		(void)event_del(s->readable);
	if (s->bev != NULL) {
		bufferevent_setcb(s->bev, NULL, NULL, NULL, NULL);
		bufferevent_disable(s->bev, EV_READ | EV_WRITE);
	}
	deferral_cancel(&s->release);
	deferral_set(s->loop, &s->release);
}

void
stream_fail(struct stream *s, const char *why)
{
	bool owned = s->state < STREAM_CLOSING;

	if (s->state == STREAM_DEAD)
		return;
	stream_die(s);
	if (owned)
		s->ops->down(s->arg, why);
}

static size_t
stream_output_bytes(const struct stream *s)
{
	return s->bev == NULL ? 0 : evbuffer_get_length(bufferevent_get_output(s->bev));
}

static void
stream_set_deadline(struct stream *s, uint64_t at_ms)
{
	if (!timer_set(&s->deadline, at_ms))
		stream_fail(s, "no memory");
}

/* When a silence that began at since_ms is too long; never for a limit of 0. */
static uint64_t
silence_end(uint64_t since_ms, uint32_t limit_ms)
{
	return limit_ms == 0 ? UINT64_MAX : since_ms + limit_ms;
}

/* Silence is judged when the timer fires, so that traffic costs no timer. */
static void
stream_check_silence(struct stream *s)
{
	uint64_t now = loop_now_ms(s->loop);
	/* While paused the silence is ours, and an empty queue is nobody's fault. */
	uint64_t idle_end = silence_end(s->paused ? now : s->input_ms, s->limits.idle_ms);
	uint64_t stall_end =
	    silence_end(stream_output_bytes(s) == 0 ? now : s->output_ms, s->limits.stall_ms);

	if (stall_end <= now)
		stream_fail(s, "the peer takes nothing of what was sent");
	else if (idle_end <= now)
		stream_fail(s, "nothing received for too long");
	else
		stream_set_deadline(s, idle_end < stall_end ? idle_end : stall_end);
}

static void
stream_deadline(void *arg)
{
	struct stream *s = arg;

	switch (s->state) {
	case STREAM_CONNECTING:
		stream_fail(s, "cannot connect: no answer within the time limit");
		break;
	case STREAM_SHAKING:
		stream_fail(s, "no TLS handshake within the time limit");
		break;
	case STREAM_UP:
		stream_check_silence(s);
		break;
	default:
		stream_die(s);
		break;
	}
}

static void
stream_watch_silence(struct stream *s)
{
	s->input_ms = s->output_ms = loop_now_ms(s->loop);
	if (s->limits.idle_ms == 0 && s->limits.stall_ms == 0)
		timer_cancel(&s->deadline);
	else
		stream_check_silence(s);
}

/*
 * With TLS, libevent tells of the end from within the read that found it, before the input has what
 * the same read brought. So the owner hears of it at the end of the turn, when he has taken that.
 */
static void
stream_end(struct stream *s, const char *why)
{
	if (s->end != NULL)
		return;
	if (s->state == STREAM_UP && s->tls != NULL && (s->end = strdup(why)) != NULL)
		deferral_set(s->loop, &s->later);
	else
		stream_fail(s, why);
}

/* The stream has come to its end, or to an error of the system's. */
static void
stream_broke(struct stream *s, int error)
{
	SSL *ssl = s->tls == NULL ? NULL : bufferevent_openssl_get_ssl(s->bev);
	unsigned long tls_error = ssl == NULL ? 0 : bufferevent_get_openssl_error(s->bev);
	char why[STREAM_WHY_SIZE], reason[STREAM_WHY_SIZE - 160];
	const char *hint = "";
	bool shaking;

	s->turned_away = s->turned_away || (!s->heard && tls_error_is_alert(tls_error));
	shaking = ssl != NULL && (s->state == STREAM_SHAKING || s->turned_away);
	if (tls_error != 0 || error == 0)
		tls_handshake_error_text(ssl, tls_error, reason, sizeof reason);
	else
		snprintf(reason, sizeof reason, "%s", strerror(error));
	if (ssl != NULL && !s->heard && (error == 0 || error == ECONNRESET) &&
	    !tls_error_is_alert(tls_error))
		hint = tls_end_hint(ssl, s->state == STREAM_UP);
	snprintf(why, sizeof why, "%s%s%s", shaking ? "TLS handshake failed: " : "", reason, hint);
	stream_end(s, why);
}

static void
stream_ready_to_read(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;
	size_t size;
	uint8_t *to = s->ops->room(s->arg, &size);
	ssize_t got;

	(void)what;
	if (to == NULL)
		return;
	got = recv(fd, to, size, MSG_DONTWAIT);
	if (got > 0) {
		s->input_ms = loop_now_ms(s->loop);
		s->ops->took(s->arg, (size_t)got);
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		stream_broke(s, got == 0 ? 0 : errno);
}

/* From here on the bufferevent only writes. */
static bool
stream_read_directly(struct stream *s)
{
	s->readable = event_new(
	    loop_event_base(s->loop), s->fd, EV_READ | EV_PERSIST, stream_ready_to_read, s);
	return s->readable != NULL && bufferevent_disable(s->bev, EV_READ) == 0 &&
	       (s->paused || event_add(s->readable, NULL) == 0);
}

static void
stream_go_up(struct stream *s)
{
	SSL *ssl = s->tls == NULL ? NULL : bufferevent_openssl_get_ssl(s->bev);

	if (ssl != NULL) {
		s->peer = calloc(1, sizeof *s->peer);
		if (s->peer == NULL) {
			stream_fail(s, "no memory");
			return;
		}
		tls_peer_read(ssl, s->peer);
	}
	if (s->ops->room != NULL && s->tls == NULL && !stream_read_directly(s)) {
		stream_fail(s, "no memory");
		return;
	}
	s->state = STREAM_UP;
	stream_watch_silence(s);
	if (s->state == STREAM_UP)
		s->ops->up(s->arg);
}

static void
stream_linger(struct stream *s)
{
	SSL *ssl = s->tls == NULL ? NULL : bufferevent_openssl_get_ssl(s->bev);

	if (ssl != NULL) {
		(void)SSL_shutdown(ssl);
		ERR_clear_error();
	}
	/*
	 * Closing a socket with unread input would reset it, and the peer could lose our last
	 * bytes.
	 */
	if (shutdown(s->fd, SHUT_WR) < 0)
		stream_die(s);
	else
		s->state = STREAM_LINGERING;
}

static void
stream_discard_input(struct stream *s)
{
	struct evbuffer *input = bufferevent_get_input(s->bev);

	evbuffer_drain(input, evbuffer_get_length(input));
}

/*
 * libevent reads 4 KiB a turn of the loop: what else the socket holds is read here, so that a full
 * link costs a turn for 64 KiB. An end or an error is left for libevent to find. Not before the
 * stream is up: nobody takes the input then, and libevent goes round for ever, within one turn,
 * with as much as input_bytes_max that nobody takes.
 */
static void
stream_read_more(struct stream *s)
{
	struct evbuffer *input = bufferevent_get_input(s->bev);
	size_t have = evbuffer_get_length(input), max = s->limits.input_bytes_max;
	size_t room = max == 0 ? STREAM_READ_BYTES : max > have ? max - have : 0;
	struct evbuffer_iovec part;
	ssize_t got;

	if (s->state != STREAM_UP || s->tls != NULL || s->paused ||
	    have < STREAM_LIBEVENT_READ_BYTES || room == 0)
		return;
	if (room > STREAM_READ_BYTES)
		room = STREAM_READ_BYTES;
	(void)evbuffer_unfreeze(input, 0);
	if (evbuffer_reserve_space(input, (ev_ssize_t)room, &part, 1) == 1) {
		got = recv(s->fd, part.iov_base, room, MSG_DONTWAIT);
		part.iov_len = got > 0 ? (size_t)got : 0;
		(void)evbuffer_commit_space(input, &part, 1);
	}
	(void)evbuffer_freeze(input, 0);
}

/* To where the owner wants it. */
static void
stream_pass_input(struct stream *s)
{
	struct evbuffer *input = bufferevent_get_input(s->bev);
	uint8_t *to;
	size_t size;
	int got;

	if (s->ops->room == NULL) {
		s->ops->input(s->arg);
		return;
	}
	while (s->state == STREAM_UP && !s->paused && evbuffer_get_length(input) > 0 &&
	       (to = s->ops->room(s->arg, &size)) != NULL &&
	       (got = evbuffer_remove(input, to, size)) > 0)
		s->ops->took(s->arg, (size_t)got);
}

static void
stream_readable(struct bufferevent *bev, void *arg)
{
	struct stream *s = arg;

	(void)bev;
	if (s->state >= STREAM_CLOSING) {
		stream_discard_input(s);
		return;
	}
	stream_read_more(s);
	s->heard = true;
	s->input_ms = loop_now_ms(s->loop);
	if (s->state == STREAM_UP && !s->paused)
		stream_pass_input(s);
}

static void
stream_flushed(struct bufferevent *bev, void *arg)
{
	struct stream *s = arg;

	(void)bev;
	if (s->state == STREAM_CLOSING && stream_output_bytes(s) == 0) {
		stream_linger(s);
	} else if (s->state == STREAM_UP && s->refused) {
		s->refused = false;
		if (s->ops->writable != NULL)
			s->ops->writable(s->arg);
	}
}

/* The kernel (or OpenSSL) took bytes of the queue. */
static void
stream_output_moved(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
	struct stream *s = arg;

	(void)output;
	if (info->n_deleted > 0 || info->orig_size == 0)
		s->output_ms = loop_now_ms(s->loop);
}

static void
stream_event(struct bufferevent *bev, short what, void *arg)
{
	struct stream *s = arg;
	int error = EVUTIL_SOCKET_ERROR();

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		if (s->state == STREAM_SHAKING)
			stream_go_up(s);
		return;
	}
	stream_broke(s, what & BEV_EVENT_EOF ? 0 : error);
}

static void
stream_apply_limits(struct stream *s)
{
	bufferevent_setwatermark(s->bev, EV_READ, 0, s->limits.input_bytes_max);
	bufferevent_setwatermark(s->bev, EV_WRITE, s->limits.queue_bytes_max / 2, 0);
}

static void
stream_later(void *arg)
{
	struct stream *s = arg;

	if (s->state == STREAM_SHAKING)
		stream_go_up(s);
	else if (s->state == STREAM_UP && !s->paused &&
		 evbuffer_get_length(bufferevent_get_input(s->bev)) > 0)
		stream_pass_input(s);
	if (s->end != NULL)
		stream_fail(s, s->end);
}

static struct bufferevent *
stream_new_bufferevent(struct stream *s, int fd, bool server)
{
	struct event_base *base = loop_event_base(s->loop);
	struct bufferevent *bev;
	SSL *ssl;

	if (s->tls == NULL)
		return bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	ssl = tls_new_ssl(s->tls, server);
	if (ssl == NULL)
		return NULL;
	if (s->peer_name != NULL && !tls_ssl_expect(s->tls, ssl, s->peer_name)) {
		SSL_free(ssl);
		return NULL;
	}
	bev = bufferevent_openssl_socket_new(base, fd, ssl,
	    server ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		SSL_free(ssl);
	return bev;
}

/* Takes fd, also when it fails. */
static bool
stream_start(struct stream *s, int fd, bool server)
{
	struct sockaddr_storage sa = {0};
	socklen_t size = sizeof sa;
	int one = 1;

	s->state = STREAM_SHAKING;
	s->bev = stream_new_bufferevent(s, fd, server);
	if (s->bev == NULL) {
		close(fd);
		return false;
	}
	s->fd = fd;
	if (getpeername(fd, (struct sockaddr *)&sa, &size) == 0)
		address_text(s->address, (struct sockaddr *)&sa, size);
	if (sa.ss_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	stream_apply_limits(s);
	(void)bufferevent_set_max_single_read(s->bev, STREAM_READ_BYTES);
	(void)bufferevent_set_max_single_write(s->bev, STREAM_WRITE_BYTES);
	bufferevent_setcb(s->bev, stream_readable, stream_flushed, stream_event, s);
	if (evbuffer_add_cb(bufferevent_get_output(s->bev), stream_output_moved, s) == NULL ||
	    bufferevent_enable(s->bev, EV_READ | EV_WRITE) < 0)
		return false;
	if (s->tls == NULL)
		deferral_set(s->loop, &s->later);
	return true;
}

static void
stream_connected(void *arg, int fd, const char *why)
{
	struct stream *s = arg;

	s->connector = NULL;
	if (fd < 0)
		stream_fail(s, why);
	else if (!stream_start(s, fd, false))
		stream_fail(s, "no memory, or a peer name that cannot be in a certificate");
}

static struct stream *
stream_new(struct loop *loop, struct tls *tls, const struct stream_limits *limits,
    const struct stream_ops *ops, void *arg)
{
	struct stream *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->loop = loop;
	s->tls = tls_ref(tls);
	s->fd = -1;
	s->limits = *limits;
	s->ops = ops;
	s->arg = arg;
	timer_init(&s->deadline, loop, stream_deadline, s);
	deferral_init(&s->later, stream_later, s);
	deferral_init(&s->release, stream_release, s);
	return s;
}

static bool
stream_copy_names(struct stream *s, const char *address, const char *peer_name)
{
	char host[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE];

	snprintf(s->address, sizeof s->address, "%s", address_is_unix(address) ? "unix" : address);
	if (s->tls == NULL)
		return true;
	if (peer_name == NULL && !address_is_unix(address) && address_split(address, host, port))
		peer_name = host;
	/* A socket file of our own needs no name; the certificate is verified all the same. */
	if (peer_name == NULL)
		return true;
	s->peer_name = strdup(peer_name);
	return s->peer_name != NULL;
}

struct stream *
stream_connect(struct loop *loop, const char *address, struct tls *tls, const char *peer_name,
    const struct stream_limits *limits, const struct stream_ops *ops, void *arg)
{
	struct stream *s = stream_new(loop, tls, limits, ops, arg);

	if (s == NULL)
		return NULL;
	if (stream_copy_names(s, address, peer_name) &&
	    timer_set(&s->deadline, clock_boot_ms() + limits->handshake_ms))
		s->connector = connector_start(loop, address, stream_connected, s);
	if (s->connector == NULL) {
		stream_release(s);
		return NULL;
	}
	return s;
}

struct stream *
stream_adopt(struct loop *loop, int fd, struct tls *tls, bool server,
    const struct stream_limits *limits, const struct stream_ops *ops, void *arg)
{
	struct stream *s = stream_new(loop, tls, limits, ops, arg);

	if (s == NULL) {
		close(fd);
		return NULL;
	}
	snprintf(s->address, sizeof s->address, "unix");
	if (evutil_make_socket_nonblocking(fd) < 0) {
		close(fd);
		stream_release(s);
		return NULL;
	}
	if (!stream_start(s, fd, server) ||
	    !timer_set(&s->deadline, clock_boot_ms() + limits->handshake_ms)) {
		stream_release(s);
		return NULL;
	}
	return s;
}

void
stream_set_owner(struct stream *s, const struct stream_ops *ops, void *arg)
{
	s->ops = ops;
	s->arg = arg;
}

void
stream_set_limits(struct stream *s, const struct stream_limits *limits)
{
	s->limits = *limits;
	if (s->state != STREAM_UP)
		return;
	stream_apply_limits(s);
	stream_watch_silence(s);
}

struct evbuffer *
stream_input(struct stream *s)
{
	return bufferevent_get_input(s->bev);
}

void
stream_input_again(struct stream *s)
{
	if (s->state == STREAM_UP)
		deferral_set(s->loop, &s->later);
}

size_t
stream_send_now(struct stream *s, const void *bytes, size_t size)
{
	ssize_t sent;

	if (s->state != STREAM_UP || s->tls != NULL || stream_output_bytes(s) > 0)
		return 0;
	sent = send(s->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0)
		s->output_ms = loop_now_ms(s->loop);
	return sent > 0 ? (size_t)sent : 0;
}

bool
stream_send_whole(struct stream *s, const struct stream_part *parts, size_t count)
{
	struct evbuffer *output;
	size_t size = 0;

	if (s->state != STREAM_UP)
		return false;
	for (size_t i = 0; i < count; i++)
		size += parts[i].size;
	/* Room first, so that the parts come whole or not at all. */
	output = bufferevent_get_output(s->bev);
	if (evbuffer_expand(output, size) < 0)
		return false;
	for (size_t i = 0; i < count; i++)
		(void)evbuffer_add(output, parts[i].bytes, parts[i].size);
	return true;
}

bool
stream_send(struct stream *s, const struct stream_part *parts, size_t count)
{
	size_t queued = stream_output_bytes(s);
	size_t room = queued < s->limits.queue_bytes_max ? s->limits.queue_bytes_max - queued : 0;

	for (size_t i = 0; i < count; i++) {
		if (parts[i].size > room) {
			s->refused = true;
			return false;
		}
		room -= parts[i].size;
	}
	return stream_send_whole(s, parts, count);
}

bool
stream_want_writable(struct stream *s)
{
	if (stream_output_bytes(s) > s->limits.queue_bytes_max / 2)
		s->refused = true;
	return s->refused;
}

size_t
stream_queued_bytes(const struct stream *s)
{
	return stream_output_bytes(s);
}

void
stream_pause(struct stream *s, bool paused)
{
	if (s->paused == paused)
		return;
	s->paused = paused;
	if (s->state != STREAM_UP)
		return;
	if (!paused) {
		s->input_ms = loop_now_ms(s->loop);
		stream_input_again(s);
	}
	if (s->readable == NULL)
		(void)(paused ? bufferevent_disable : bufferevent_enable)(s->bev, EV_READ);
	else if ((paused ? event_del(s->readable) : event_add(s->readable, NULL)) != 0)
		stream_fail(s, "no memory");
}

void
stream_close(struct stream *s)
{
	if (s->state >= STREAM_CLOSING)
		return;
	if (s->state != STREAM_UP || s->end != NULL) {
		stream_die(s);
		return;
	}
	s->state = STREAM_CLOSING;
	deferral_cancel(&s->later);
	deferral_set_at_free(s->loop, &s->release);
	stream_set_deadline(s, loop_now_ms(s->loop) + s->limits.handshake_ms);
	if (s->state != STREAM_CLOSING)
		return;
	if (s->readable != NULL)
		(void)event_del(s->readable);
	bufferevent_setwatermark(s->bev, EV_READ, 0, 0);
	bufferevent_setwatermark(s->bev, EV_WRITE, 0, 0);
	stream_discard_input(s);
	bufferevent_enable(s->bev, EV_READ);
	if (stream_output_bytes(s) == 0)
		stream_linger(s);
}

void
stream_abort(struct stream *s)
{
	stream_die(s);
}

bool
stream_is_tls(const struct stream *s)
{
	return s->tls != NULL;
}

const struct tls_peer *
stream_peer(const struct stream *s)
{
	static const struct tls_peer nobody;

	return s->peer != NULL ? s->peer : &nobody;
}

const char *
stream_peer_address(const struct stream *s)
{
	return s->address;
}

bool
stream_was_turned_away(const struct stream *s)
{
	return s->turned_away;
}

bool
stream_peer_named(const struct stream *s, const char *name)
{
	SSL *ssl = s->tls == NULL || s->bev == NULL ? NULL : bufferevent_openssl_get_ssl(s->bev);
	X509 *cert = ssl == NULL ? NULL : SSL_get0_peer_certificate(ssl);
	int ip, host;

	if (cert == NULL || name[0] == '\0')
		return false;
	ip = X509_check_ip_asc(cert, name, 0);
	host = X509_check_host(cert, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL);
	ERR_clear_error();
	return ip == 1 || host == 1;
}

bool
stream_peer_cred(const struct stream *s, uid_t *uid, pid_t *pid)
{
	struct ucred cred;
	socklen_t size = sizeof cred;
	int domain;
	socklen_t domain_size = sizeof domain;

	if (s->fd < 0 || getsockopt(s->fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) < 0 ||
	    domain != AF_UNIX || getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return false;
	*uid = cred.uid;
	*pid = cred.pid;
	return true;
}

void
stream_on_release(struct stream *s, void (*released)(void *arg), void *arg)
{
	s->released = released;
	s->released_arg = arg;
}
