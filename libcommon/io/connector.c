/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/connector.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/util.h>

#include "libcommon/io/address.h"

#define CONNECTOR_WHY_SIZE 192

/*
 * A name being looked up. It outlives a connector that was cancelled: libevent calls back all the
 * same. Made for one look-up, so that it reads resolv.conf and hosts as they are now.
 */
struct lookup {
	struct loop *loop;
	struct connector *owner; /* NULL: cancelled */
	struct evdns_base *dns;
	struct evdns_getaddrinfo_request *request;
	struct deferral release;
};

struct connector {
	struct loop *loop;
	void (*done)(void *arg, int fd, const char *why);
	void *arg;
	struct lookup *lookup;
	struct evutil_addrinfo *found, *next; /* next: to be tried after the one at hand */
	int fd;
	struct fd_watch *watch;
	struct deferral step; /* what must not happen in the callback at hand */
	bool finished;
	char why[CONNECTOR_WHY_SIZE];
};

static void
lookup_release(void *arg)
{
	struct lookup *k = arg;

	evdns_base_free(k->dns, 0);
	free(k);
}

static void
connector_drop_socket(struct connector *c)
{
	fd_watch_free(c->watch);
	c->watch = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void
connector_cancel(struct connector *c)
{
	if (c == NULL)
		return;
	if (c->lookup != NULL) {
		c->lookup->owner = NULL;
		evdns_getaddrinfo_cancel(c->lookup->request);
	}
	connector_drop_socket(c);
	deferral_cancel(&c->step);
	if (c->found != NULL)
		evutil_freeaddrinfo(c->found);
	free(c);
}

/* Say how it ended, at the end of the turn. */
__attribute__((format(printf, 2, 3))) static void
connector_fail(struct connector *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, sizeof c->why, fmt, ap);
	va_end(ap);
	connector_drop_socket(c);
	c->finished = true;
	deferral_set(c->loop, &c->step);
}

static void
connector_finish(struct connector *c)
{
	void (*done)(void *arg, int fd, const char *why) = c->done;
	void *arg = c->arg;
	char why[CONNECTOR_WHY_SIZE];
	int fd = c->fd;

	fd_watch_free(c->watch);
	c->watch = NULL;
	c->fd = -1;
	memcpy(why, c->why, sizeof why);
	connector_cancel(c);
	done(arg, fd, why);
}

static void
connector_writable(void *arg, int what)
{
	struct connector *c = arg;
	int error = 0;
	socklen_t size = sizeof error;

	(void)what;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error == 0) {
		connector_finish(c);
		return;
	}
	connector_drop_socket(c);
	if (c->next != NULL)
		deferral_set(c->loop, &c->step);
	else
		connector_fail(c, "cannot connect: %s", strerror(error));
}

/* Start to connect; 0, or the errno of what failed at once. */
static int
connector_try(struct connector *c, int family, const struct sockaddr *sa, socklen_t size)
{
	int error;

	c->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return errno;
	if (connect(c->fd, sa, size) < 0 && errno != EINPROGRESS) {
		error = errno;
		connector_drop_socket(c);
		return error;
	}
	c->watch = fd_watch_new(c->loop, c->fd, FD_WRITE, connector_writable, c);
	if (c->watch == NULL) {
		connector_drop_socket(c);
		return ENOMEM;
	}
	return 0;
}

static void
connector_try_next(struct connector *c)
{
	const struct evutil_addrinfo *ai;
	int error = ENOENT;

	while ((ai = c->next) != NULL) {
		c->next = ai->ai_next;
		error = connector_try(c, ai->ai_family, ai->ai_addr, (socklen_t)ai->ai_addrlen);
		if (error == 0)
			return;
	}
	connector_fail(c, "cannot connect: %s", strerror(error));
}

static void
connector_step(void *arg)
{
	struct connector *c = arg;

	if (c->finished)
		connector_finish(c);
	else
		connector_try_next(c);
}

static void
connector_found(int result, struct evutil_addrinfo *found, void *arg)
{
	struct lookup *k = arg;
	struct connector *c = k->owner;

	deferral_set(k->loop, &k->release);
	if (c == NULL) {
		if (found != NULL)
			evutil_freeaddrinfo(found);
		return;
	}
	c->lookup = NULL;
	if (result != 0 || found == NULL) {
		connector_fail(c, "cannot find the host: %s", evutil_gai_strerror(result));
		return;
	}
	c->found = c->next = found;
	deferral_set(c->loop, &c->step);
}

static void
connector_resolve(struct connector *c, const char *host, const char *port)
{
	struct evutil_addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct evdns_getaddrinfo_request *request;
	struct lookup *k;

	hints.ai_flags = EVUTIL_AI_NUMERICHOST;
	if (evutil_getaddrinfo(host, port, &hints, &c->found) == 0) {
		c->next = c->found;
		deferral_set(c->loop, &c->step);
		return;
	}
	hints.ai_flags = 0;
	k = calloc(1, sizeof *k);
	if (k != NULL)
		k->dns =
		    evdns_base_new(loop_event_base(c->loop), EVDNS_BASE_INITIALIZE_NAMESERVERS);
	if (k == NULL || k->dns == NULL) {
		free(k);
		connector_fail(
		    c, "cannot find the host: no resolver (is /etc/resolv.conf readable?)");
		return;
	}
	k->loop = c->loop;
	k->owner = c;
	c->lookup = k;
	deferral_init(&k->release, lookup_release, k);
	request = evdns_getaddrinfo(k->dns, host, port, &hints, connector_found, k);
	if (request != NULL)
		k->request = request; /* else connector_found() was called already */
}

static void
connector_begin(struct connector *c, const char *address)
{
	char host[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE];
	struct sockaddr_un un;
	int error;

	if (address_is_unix(address)) {
		if (!address_unix(address, &un)) {
			connector_fail(c, "the path of the socket is too long");
			return;
		}
		error = connector_try(c, AF_UNIX, (const struct sockaddr *)&un, sizeof un);
		if (error != 0)
			connector_fail(c, "cannot connect: %s", strerror(error));
	} else if (!address_split(address, host, port) || host[0] == '\0') {
		connector_fail(c, "the address is not of the form HOST:PORT");
	} else {
		connector_resolve(c, host, port);
	}
}

struct connector *
connector_start(struct loop *loop, const char *address,
    void (*done)(void *arg, int fd, const char *why), void *arg)
{
	struct connector *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->loop = loop;
	c->done = done;
	c->arg = arg;
	c->fd = -1;
	deferral_init(&c->step, connector_step, c);
	connector_begin(c, address);
	return c;
}
