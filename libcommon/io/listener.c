/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <netinet/in.h>

#include "libcommon/io/address.h"
#include "libcommon/io/link_internal.h"
#include "libcommon/sys/log.h"

#define LISTENER_BACKLOG 1024
#define LISTENER_BACK_OFF_MS 1000
/* A handshake is 0.2 to 0.6 ms of computing: others wait for so many of them at most. */
#define LISTENER_ACCEPTS_PER_TURN 8
#define LISTENER_ADDRESS_SIZE 288

/* Shared with the streams that it accepted, which count down when they end, also after it. */
struct connection_count {
	size_t now;
	size_t refs;
};

struct listener {
	struct loop *loop;
	int fd;
	struct fd_watch *watch;
	struct timer back_off;
	struct deferral release;
	bool full_logged; /* one line each time that the limit is reached */
	size_t connections_max;
	struct connection_count *count;
	char address[LISTENER_ADDRESS_SIZE];
	bool is_unix;
	struct stream *(*accepted_fd)(void *arg, int fd);
	void *accepted_fd_arg;

	/* For listener_open(): links. */
	struct tls *tls;
	struct link_limits limits;
	void (*accepted_link)(void *arg, struct link *l);
	void *accepted_link_arg;
};

static void
connection_count_unref(struct connection_count *c)
{
	if (--c->refs == 0)
		free(c);
}

static void
connection_released(void *arg)
{
	struct connection_count *c = arg;

	c->now--;
	connection_count_unref(c);
}

static void listener_resume(void *arg);

static void
listener_release(void *arg)
{
	struct listener *l = arg;

	connection_count_unref(l->count);
	tls_unref(l->tls);
	free(l);
}

static void
listener_back_off(struct listener *l)
{
	log_error_errno(
	    "%s: cannot accept connections: waiting a second (raise LimitNOFILE=?)", l->address);
	fd_watch_free(l->watch);
	l->watch = NULL;
	if (!timer_set(&l->back_off, loop_now_ms(l->loop) + LISTENER_BACK_OFF_MS))
		listener_resume(l);
}

static void
listener_take(struct listener *l, int fd)
{
	struct stream *s;

	if (l->count->now >= l->connections_max) {
		close(fd);
		if (!l->full_logged)
			log_warn("%s: refusing connections: %zu are open, and no more are allowed",
			    l->address, l->count->now);
		l->full_logged = true;
		return;
	}
	l->full_logged = false;
	s = l->accepted_fd(l->accepted_fd_arg, fd);
	if (s == NULL)
		return;
	l->count->now++;
	l->count->refs++;
	stream_on_release(s, connection_released, l->count);
}

static void
listener_ready(void *arg, int what)
{
	struct listener *l = arg;
	int fd;

	(void)what;
	for (int i = 0; i < LISTENER_ACCEPTS_PER_TURN && l->fd >= 0; i++) {
		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			listener_take(l, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			listener_back_off(l);
			return;
		} else if (errno == EAGAIN) {
			return;
		} /* else the connection at hand was at fault (accept(2)): the next one */
	}
}

static void
listener_resume(void *arg)
{
	struct listener *l = arg;

	l->watch = fd_watch_new(l->loop, l->fd, FD_READ, listener_ready, l);
	if (l->watch == NULL &&
	    !timer_set(&l->back_off, loop_now_ms(l->loop) + LISTENER_BACK_OFF_MS))
		log_error("%s: no memory to accept connections: restart the program", l->address);
}

__attribute__((format(printf, 3, 4))) static int
listener_fail(char *error, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	return -1;
}

/* A socket file that nobody listens on is left over from a crash. */
static bool
socket_is_stale(const struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;
	bool stale;

	if (fd < 0)
		return false;
	stale = lstat(un->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
		connect(fd, (const struct sockaddr *)un, sizeof *un) < 0 && errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static int
listener_bind_unix(const char *path, char *error, size_t size)
{
	struct sockaddr_un un;
	mode_t mask;
	int fd, result;

	if (!address_unix(path, &un))
		return listener_fail(error, size,
		    "%s: the path is too long for a socket (at most %zu bytes)", path,
		    sizeof un.sun_path - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return listener_fail(
		    error, size, "%s: cannot make a socket: %s", path, strerror(errno));
	if (socket_is_stale(&un))
		(void)unlink(path);
	mask = umask(0177);
	result = bind(fd, (const struct sockaddr *)&un, sizeof un);
	(void)umask(mask);
	if (result == 0)
		return fd;
	listener_fail(error, size, "%s: cannot listen: %s", path, strerror(errno));
	close(fd);
	return -1;
}

static int
listener_bind_found(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, error;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/*
 * Done at start-up only: names may block here. ":PORT" and "*:PORT" are all addresses, of V4 too.
 */
static int
listener_bind_tcp(const char *address, char *error, size_t size)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *found;
	char host[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE];
	int fd = -1, result;

	if (!address_split(address, host, port))
		return listener_fail(
		    error, size, "%s: not an address of the form HOST:PORT", address);
	if (strcmp(host, "*") == 0 || host[0] == '\0')
		(void)snprintf(host, sizeof host, "%s",
		    access("/proc/net/if_inet6", F_OK) == 0 ? "::" : "0.0.0.0");
	result = getaddrinfo(host, port, &hints, &found);
	if (result != 0)
		return listener_fail(
		    error, size, "%s: cannot find the address: %s", address, gai_strerror(result));
	for (const struct addrinfo *ai = found; ai != NULL && fd < 0; ai = ai->ai_next)
		fd = listener_bind_found(ai);
	freeaddrinfo(found);
	if (fd < 0)
		return listener_fail(
		    error, size, "%s: cannot listen: %s", address, strerror(errno));
	return fd;
}

struct listener *
listener_open_raw(struct loop *loop, const char *address, size_t connections_max,
    struct stream *(*accepted)(void *arg, int fd), void *arg, char *error, size_t size)
{
	struct listener *l = calloc(1, sizeof *l);

	if (l == NULL || (l->count = calloc(1, sizeof *l->count)) == NULL) {
		free(l);
		listener_fail(error, size, "%s: no memory to listen", address);
		return NULL;
	}
	l->count->refs = 1;
	l->loop = loop;
	l->connections_max = connections_max;
	l->accepted_fd = accepted;
	l->accepted_fd_arg = arg;
	l->is_unix = address_is_unix(address);
	snprintf(l->address, sizeof l->address, "%s", address);
	timer_init(&l->back_off, loop, listener_resume, l);
	deferral_init(&l->release, listener_release, l);
	l->fd = l->is_unix ? listener_bind_unix(address, error, size)
			   : listener_bind_tcp(address, error, size);
	if (l->fd < 0)
		goto fail;
	if (listen(l->fd, LISTENER_BACKLOG) < 0) {
		listener_fail(error, size, "%s: cannot listen: %s", address, strerror(errno));
		goto fail;
	}
	l->watch = fd_watch_new(loop, l->fd, FD_READ, listener_ready, l);
	if (l->watch != NULL)
		return l;
	listener_fail(error, size, "%s: no memory to listen", address);
fail:
	listener_close(l);
	return NULL;
}

static struct stream *
listener_make_link(void *arg, int fd)
{
	struct listener *l = arg;
	struct link *link = link_adopt(l->loop, fd, l->tls, true, &l->limits, NULL, NULL);

	if (link == NULL)
		return NULL;
	l->accepted_link(l->accepted_link_arg, link);
	if (!link_has_ops(link))
		link_abort(link);
	return link_stream(link);
}

struct listener *
listener_open(struct loop *loop, const char *address, struct tls *tls,
    const struct link_limits *limits, size_t connections_max,
    void (*accepted)(void *arg, struct link *l), void *arg, char *error, size_t size)
{
	struct listener *l = listener_open_raw(
	    loop, address, connections_max, listener_make_link, NULL, error, size);

	if (l == NULL)
		return NULL;
	l->accepted_fd_arg = l;
	l->tls = tls_ref(tls);
	l->limits = *limits;
	l->accepted_link = accepted;
	l->accepted_link_arg = arg;
	return l;
}

void
listener_close(struct listener *l)
{
	if (l == NULL)
		return;
	fd_watch_free(l->watch);
	l->watch = NULL;
	timer_cancel(&l->back_off);
	if (l->fd >= 0) {
		close(l->fd);
		if (l->is_unix)
			(void)unlink(l->address);
	}
	l->fd = -1;
	deferral_set(l->loop, &l->release);
}

uint16_t
listener_port(const struct listener *l)
{
	struct sockaddr_storage sa = {0};
	socklen_t size = sizeof sa;

	if (getsockname(l->fd, (struct sockaddr *)&sa, &size) < 0)
		return 0;
	if (sa.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&sa)->sin_port);
	return sa.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)&sa)->sin6_port) : 0;
}
