/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/peer_listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/list.h"
#include "libcommon/base/plants.h"
#include "libcommon/io/address.h"
#include "libcommon/io/link_internal.h"
#include "libcommon/sys/log.h"

#define CONNECTIONS_MAX 4096 /* the owner has bounds of its own */
#define WHY_SIZE 512

struct peer_listener {
	struct peer_listener_config config;
	char address[ADDRESS_TEXT_SIZE];
	struct listener *listener; /* NULL: not listening yet */
	struct timer retry;
	uint32_t tries;
	char why[WHY_SIZE];
	struct list silent; /* oldest first */
	unsigned silent_count;
};

/* A connection that has not shown yet of which kind it is. */
struct silent {
	struct list link;
	struct peer_listener *owner;
	struct fd_watch *watch;
	struct timer deadline;
	int fd;
};

/* Returns the descriptor. */
static int
silent_free(struct silent *s)
{
	int fd = s->fd;

	fd_watch_free(s->watch);
	timer_cancel(&s->deadline);
	list_remove(&s->link);
	s->owner->silent_count--;
	free(s);
	return fd;
}

static void
on_first_byte(void *arg, int what)
{
	struct silent *s = arg;
	struct peer_listener *l = s->owner;
	uint8_t first;
	ssize_t got = recv(s->fd, &first, 1, MSG_PEEK);
	int fd;

	(void)what;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	fd = silent_free(s);
	if (got == 1)
		l->config.accepted(l->config.arg, fd, first == PEER_TLS_FIRST_BYTE);
	else
		close(fd);
}

static void
on_silence(void *arg)
{
	close(silent_free(arg));
}

static void
watch_for_kind(struct peer_listener *l, int fd)
{
	struct silent *s;

	if (l->silent_count >= PEER_LISTENER_SILENT_MAX)
		close(silent_free(CONTAINER_OF(list_first(&l->silent), struct silent, link)));
	if ((s = calloc(1, sizeof *s)) == NULL) {
		close(fd);
		return;
	}
	s->owner = l;
	s->fd = fd;
	list_append(&l->silent, &s->link);
	l->silent_count++;
	timer_init(&s->deadline, l->config.loop, on_silence, s);
	s->watch = fd_watch_new(l->config.loop, fd, FD_READ, on_first_byte, s);
	if (s->watch == NULL ||
	    !timer_set(&s->deadline, loop_now_ms(l->config.loop) + l->config.detect_ms))
		close(silent_free(s));
}

/* The listener is told that there is no stream: who owns connections counts them itself. */
static struct stream *
on_accept(void *arg, int fd)
{
	struct peer_listener *l = arg;
	int one = 1;

	if (l->config.keep_alive)
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	if (l->config.unify)
		watch_for_kind(l, fd);
	else
		l->config.accepted(l->config.arg, fd, l->config.encrypted);
	return NULL;
}

static void
try_to_listen(void *arg)
{
	struct peer_listener *l = arg;
	const struct peer_listener_config *c = &l->config;

	l->listener = listener_open_raw(
	    c->loop, l->address, CONNECTIONS_MAX, on_accept, l, l->why, sizeof l->why);
	if (l->listener != NULL) {
		if (l->tries > 0)
			log_info("%s port: listening on %s", c->name, l->address);
		return;
	}
	l->tries++;
	if ((c->tries > 0 && l->tries >= c->tries) || ZAB_PLANTED(PLANT_LISTENS_ONCE)) {
		c->failed(c->arg, l->why);
		return;
	}
	log_warn("%s port: %s; trying again every second", c->name, l->why);
	if (!timer_set(&l->retry, loop_now_ms(c->loop) + PEER_LISTENER_RETRY_MS))
		c->failed(c->arg, "no memory for a timer");
}

struct peer_listener *
peer_listener_new(const struct peer_listener_config *config)
{
	struct peer_listener *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->config = *config;
	snprintf(l->address, sizeof l->address, "%s", config->address);
	l->config.address = l->address;
	list_init(&l->silent);
	timer_init(&l->retry, config->loop, try_to_listen, l);
	/* From the loop also the first time: its failure may be the only one. */
	if (timer_set(&l->retry, 0))
		return l;
	free(l);
	return NULL;
}

void
peer_listener_free(struct peer_listener *l)
{
	if (l == NULL)
		return;
	while (!list_empty(&l->silent))
		close(silent_free(CONTAINER_OF(list_first(&l->silent), struct silent, link)));
	timer_cancel(&l->retry);
	listener_close(l->listener);
	free(l);
}

uint16_t
peer_listener_port(const struct peer_listener *l)
{
	return l->listener != NULL ? listener_port(l->listener) : 0;
}
