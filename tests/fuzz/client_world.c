/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/client_world.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD (1 << 20) /* far above any that is real */
#define FIRST_PORT 40000
#define IN_BYTES_MAX ((size_t)4 << 20)
#define OUT_BYTES_MAX ((size_t)256 << 20)

struct world_peer world_peers[WORLD_PEERS];
uint64_t world_boot_ms;
static struct event *listener;
static bool want_listener;
static int accepting = -1; /* the peer that stands at the door */

/* The linker's: __wrap_X is called for X, and __real_X is the one of the system. */
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *size, int flags);
int __wrap_close(int fd);
int __wrap_event_add(struct event *e, const struct timeval *timeout);
int __wrap_event_del(struct event *e);
int __wrap_shutdown(int fd, int how);
ssize_t __wrap_recv(int fd, void *to, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
uint64_t __wrap_clock_boot_ms(void);
int64_t __wrap_clock_wall_ms(void);
bool __wrap_fsutil_random(void *bytes, size_t size);
int __real_accept4(int fd, struct sockaddr *addr, socklen_t *size, int flags);
int __real_close(int fd);
int __real_event_add(struct event *e, const struct timeval *timeout);
int __real_event_del(struct event *e);
int __real_shutdown(int fd, int how);
ssize_t __real_recv(int fd, void *to, size_t size, int flags);
ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);

static struct world_peer *
peer_of(int fd)
{
	return fd >= FIRST_FD && fd < FIRST_FD + WORLD_PEERS ? &world_peers[fd - FIRST_FD] : NULL;
}

int
__wrap_accept4(int fd, struct sockaddr *addr, socklen_t *size, int flags)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int peer = accepting;

	if (listener == NULL || fd != event_get_fd(listener))
		return __real_accept4(fd, addr, size, flags);
	accepting = -1;
	if (peer < 0) {
		errno = EAGAIN;
		return -1;
	}
	assert(*size >= sizeof in);
	in.sin_port = htons((uint16_t)(FIRST_PORT + peer));
	memcpy(addr, &in, sizeof in);
	*size = sizeof in;
	return FIRST_FD + peer;
}

int
__wrap_close(int fd)
{
	struct world_peer *p = peer_of(fd);

	if (p == NULL)
		return __real_close(fd);
	assert(p->open);
	p->open = false;
	p->readable = p->writable = NULL;
	return 0;
}

int
__wrap_shutdown(int fd, int how)
{
	return peer_of(fd) != NULL ? 0 : __real_shutdown(fd, how);
}

int
__wrap_event_add(struct event *e, const struct timeval *timeout)
{
	struct world_peer *p = peer_of(event_get_fd(e));

	if (p == NULL) {
		if (want_listener)
			listener = e;
		want_listener = false;
		return __real_event_add(e, timeout);
	}
	if ((event_get_events(e) & EV_READ) != 0)
		p->readable = e;
	else
		p->writable = e;
	return 0;
}

int
__wrap_event_del(struct event *e)
{
	struct world_peer *p = peer_of(event_get_fd(e));

	if (p == NULL)
		return __real_event_del(e);
	if ((event_get_events(e) & EV_READ) != 0)
		p->readable = NULL;
	else
		p->writable = NULL;
	return 0;
}

ssize_t
__wrap_recv(int fd, void *to, size_t size, int flags)
{
	struct world_peer *p = peer_of(fd);
	size_t n;

	if (p == NULL)
		return __real_recv(fd, to, size, flags);
	assert(p->open);
	n = p->in.len < p->piece ? p->in.len : p->piece;
	n = n < size ? n : size;
	if (n == 0 && !p->ended) {
		errno = EAGAIN;
		return -1;
	}
	if (n > 0)
		memcpy(to, p->in.data, n);
	buf_consume(&p->in, n);
	return (ssize_t)n;
}

ssize_t
__wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	struct world_peer *p = peer_of(fd);
	size_t n;

	if (p == NULL)
		return __real_send(fd, bytes, size, flags);
	assert(p->open && size > 0);
	n = size < p->window ? size : p->window;
	if (n == 0) {
		errno = EAGAIN;
		return -1;
	}
	p->window -= n;
	buf_append(&p->out, bytes, n);
	assert(!p->out.failed);
	return (ssize_t)n;
}

uint64_t
__wrap_clock_boot_ms(void)
{
	return world_boot_ms;
}

int64_t
__wrap_clock_wall_ms(void)
{
	return WORLD_WALL_MS + (int64_t)world_boot_ms;
}

bool
__wrap_fsutil_random(void *bytes, size_t size)
{
	memset(bytes, 7, size);
	return true;
}

void
world_begin(void)
{
	want_listener = true;
}

void
world_reset(uint64_t boot_ms)
{
	assert(listener != NULL);
	world_boot_ms = boot_ms;
	for (size_t i = 0; i < WORLD_PEERS; i++) {
		struct world_peer *p = &world_peers[i];

		assert(!p->open);
		buf_fini(&p->in);
		buf_fini(&p->out);
		*p = (struct world_peer){.piece = SIZE_MAX, .window = SIZE_MAX};
		buf_init(&p->in, IN_BYTES_MAX);
		buf_init(&p->out, OUT_BYTES_MAX);
	}
}

static void
call(struct event *e, short what)
{
	event_get_callback(e)(event_get_fd(e), what, event_get_callback_arg(e));
}

bool
world_connect(size_t peer)
{
	struct world_peer *p = &world_peers[peer];

	assert(!p->open);
	p->open = true;
	p->ended = false;
	p->piece = p->window = SIZE_MAX;
	buf_clear(&p->in);
	buf_clear(&p->out);
	accepting = (int)peer;
	call(listener, EV_READ);
	return p->open;
}

void
world_deliver(size_t peer)
{
	struct world_peer *p = &world_peers[peer];

	while (p->readable != NULL && (p->in.len > 0 || p->ended))
		call(p->readable, EV_READ);
	if (p->writable != NULL && p->window > 0)
		call(p->writable, EV_WRITE);
}
