/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/helper_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/io/link.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"

#define FRAME_HEAD_BYTES 4
#define QUEUE_BYTES_MAX (64 << 20)

/* ---- The helper's side: one request after the other, no loop, no network. ---- */

/* False: the agent has ended. */
static bool
read_all(int fd, void *to, size_t size)
{
	uint8_t *at = to;
	ssize_t n;

	while (size > 0) {
		if ((n = read(fd, at, size)) > 0) {
			at += n;
			size -= (size_t)n;
		} else if (n == 0 || errno != EINTR)
			return false;
	}
	return true;
}

static bool
serve_one(struct helper *h, int fd)
{
	uint8_t head[FRAME_HEAD_BYTES];
	Corral__HelperRequest *request;
	struct buf reply;
	uint8_t *frame;
	uint32_t size;
	bool ok = false;

	if (!read_all(fd, head, sizeof head))
		return false;
	size = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (size > HELPER_FRAME_BYTES_MAX || (frame = malloc(size > 0 ? size : 1)) == NULL)
		return false;
	buf_init(&reply, HELPER_FRAME_BYTES_MAX);
	if (read_all(fd, frame, size) &&
	    (request = corral__helper_request__unpack(NULL, size, frame)) != NULL) {
		buf_append(&reply, head, sizeof head); /* room for the length */
		helper_handle(h, request, &reply);
		corral__helper_request__free_unpacked(request, NULL);
		size = (uint32_t)(reply.len - sizeof head);
		if (!reply.failed) {
			for (int i = 0; i < FRAME_HEAD_BYTES; i++)
				reply.data[i] = (uint8_t)(size >> (24 - 8 * i));
			ok = fsutil_write_all(fd, reply.data, reply.len);
		}
	}
	free(frame);
	buf_fini(&reply);
	return ok;
}

static _Noreturn void
serve(struct helper *h, int fd)
{
	struct pollfd polled[2] = {{.fd = fd, .events = POLLIN}, {.events = POLLIN}};
	struct signalfd_siginfo info;
	sigset_t set;

	prctl(PR_SET_NAME, "corral-helper", 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	/* The terminal's and the service manager's signals are for the agent: we end when it does.
	 */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if ((polled[1].fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
		_exit(EX_OSERR);
	for (;;) {
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			_exit(EX_OSERR);
		if (polled[1].revents != 0) {
			while (read(polled[1].fd, &info, sizeof info) == sizeof info)
				;
			helper_reap(h);
		}
		if (polled[0].revents != 0 && !serve_one(h, fd))
			_exit(EX_OK);
	}
}

int
helper_process_start(struct helper *h)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	if ((pid = fork()) == 0) {
		close(pair[0]);
		serve(h, pair[1]);
	}
	close(pair[1]);
	if (pid > 0)
		return pair[0];
	close(pair[0]);
	return -1;
}

/* ---- The agent's side. ---- */

struct helper_client {
	struct helper *helper; /* called directly, unless there is a link */
	struct link *link;
	helper_reply_fn *reply;
	void (*down)(void *arg, const char *why);
	void *arg;
};

static void
deliver(struct helper_client *c, const void *bytes, size_t size)
{
	Corral__HelperReply *reply = corral__helper_reply__unpack(NULL, size, bytes);

	if (reply == NULL) {
		log_error("the helper's reply cannot be read");
		return;
	}
	c->reply(c->arg, reply);
	corral__helper_reply__free_unpacked(reply, NULL);
}

static void
on_frame(void *arg, struct link *l, const uint8_t *bytes, size_t size)
{
	(void)l;
	deliver(arg, bytes, size);
}

static void
on_down(void *arg, struct link *l, const char *why)
{
	struct helper_client *c = arg;

	(void)l;
	c->link = NULL;
	c->down(c->arg, why);
}

static void
on_up(void *arg, struct link *l)
{
	(void)arg;
	(void)l;
}

struct helper_client *
helper_client_new(struct loop *loop, struct helper *h, int fd, helper_reply_fn *reply,
    void (*down)(void *arg, const char *why), void *arg)
{
	static const struct link_limits limits = {
	    HELPER_FRAME_BYTES_MAX, QUEUE_BYTES_MAX, 10000, 0};
	static const struct link_ops ops = {.up = on_up, .frame = on_frame, .down = on_down};
	struct helper_client *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	*c = (struct helper_client){.helper = h, .reply = reply, .down = down, .arg = arg};
	if (fd >= 0 && (c->link = link_adopt(loop, fd, NULL, false, &limits, &ops, c)) == NULL) {
		free(c);
		return NULL;
	}
	if (fd >= 0)
		c->helper = NULL;
	return c;
}

void
helper_client_free(struct helper_client *c)
{
	if (c != NULL && c->link != NULL)
		link_abort(c->link);
	free(c);
}

static void
call_directly(struct helper_client *c, const void *bytes, size_t size)
{
	Corral__HelperRequest *request = corral__helper_request__unpack(NULL, size, bytes);
	struct buf reply;

	if (request == NULL)
		return;
	buf_init(&reply, HELPER_FRAME_BYTES_MAX);
	helper_handle(c->helper, request, &reply);
	corral__helper_request__free_unpacked(request, NULL);
	if (!reply.failed)
		deliver(c, reply.data, reply.len);
	buf_fini(&reply);
}

bool
helper_client_send(struct helper_client *c, const void *bytes, size_t size)
{
	if (c->helper != NULL) {
		call_directly(c, bytes, size);
		return true;
	}
	return c->link != NULL && link_send(c->link, bytes, size);
}
