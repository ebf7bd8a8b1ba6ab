/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/helper_server.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/message.h"
#include "libcommon/io/loop.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/notify.h"

/* Agents that wait while another is served: one after a restart, and room for mistakes. */
#define BACKLOG_MAX 4
/* For the rest of a frame that began, and for a reply to be taken. */
#define STALL_S 30

struct server {
	struct helper *helper;
	int signal_fd;
	int listen_fd; /* -1: the agent at fd is the only one */
	int fd;	       /* of the agent that is served; -1: none */
	uid_t uid;     /* of agents */
	bool stopping;
	uint64_t watchdog_ms, watchdog_at_ms; /* between two words to systemd (0: none), the next */
};

/* ---- One request. ---- */

/* False: the agent has ended, or is stuck. */
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
	uint8_t head[HELPER_FRAME_HEAD_BYTES];
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
	    (request = (Corral__HelperRequest *)message_unpack(
		 &corral__helper_request__descriptor, size, frame)) != NULL) {
		buf_append(&reply, head, sizeof head); /* room for the length */
		helper_handle(h, request, &reply);
		corral__helper_request__free_unpacked(request, NULL);
		size = (uint32_t)(reply.len - sizeof head);
		if (!reply.failed) {
			for (int i = 0; i < HELPER_FRAME_HEAD_BYTES; i++)
				reply.data[i] = (uint8_t)(size >> (24 - 8 * i));
			ok = fsutil_write_all(fd, reply.data, reply.len);
		}
	}
	free(frame);
	buf_fini(&reply);
	return ok;
}

/* ---- The process. ---- */

static void
on_signal(struct server *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof info) == sizeof info)
		s->stopping = s->stopping || info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
	helper_reap(s->helper);
}

/* The listening process ends by SIGTERM; the forked one leaves the terminal's and the service
 * manager's signals to its agent, and ends when that does. */
static bool
prepare_process(struct server *s)
{
	sigset_t set;

	prctl(PR_SET_NAME, "corral-helper", 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (s->listen_fd >= 0) {
		sigaddset(&set, SIGTERM);
		sigaddset(&set, SIGINT);
	} else {
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, SIG_IGN);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	return (s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) >= 0;
}

/* The kernel says who connects. */
static bool
peer_may(const struct server *s, int fd, pid_t *pid)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
		log_error_errno("asking who connected");
		return false;
	}
	*pid = peer.pid;
	if (peer.uid == s->uid || peer.uid == 0)
		return true;
	log_warn("process %d of uid %u connected: only the agent's account (uid %u) and root may",
	    (int)peer.pid, (unsigned)peer.uid, (unsigned)s->uid);
	return false;
}

static void
accept_agent(struct server *s)
{
	struct timeval stall = {.tv_sec = STALL_S};
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	pid_t pid;

	if (fd < 0)
		return; /* it gave up meanwhile */
	if (!peer_may(s, fd, &pid) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof stall) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof stall) != 0) {
		close(fd);
		return;
	}
	s->fd = fd;
	log_info("serving the agent, process %d", (int)pid);
	notify_status("serving the agent, process %d", (int)pid);
}

static void
agent_gone(struct server *s)
{
	close(s->fd);
	s->fd = -1;
	if (s->listen_fd >= 0)
		notify_status("no agent; executors go on");
}

/* Say that we live, when it is time. So many ms poll(2) may wait for the next; -1: for ever. */
static int
watchdog_turn(struct server *s)
{
	uint64_t now_ms = clock_boot_ms(), wait_ms;

	if (s->watchdog_ms == 0)
		return -1;
	if (now_ms >= s->watchdog_at_ms) {
		notify_watchdog();
		s->watchdog_at_ms = now_ms + s->watchdog_ms;
	}
	wait_ms = s->watchdog_at_ms - now_ms;
	return wait_ms < INT_MAX ? (int)wait_ms : INT_MAX;
}

/* Until there is nobody left to serve. */
static int
serve(struct server *s)
{
	struct pollfd polled[2] = {{.fd = s->signal_fd, .events = POLLIN}, {.events = POLLIN}};

	while (!s->stopping && (s->fd >= 0 || s->listen_fd >= 0)) {
		polled[1].fd = s->fd >= 0 ? s->fd : s->listen_fd;
		if (poll(polled, 2, watchdog_turn(s)) < 0) {
			if (errno == EINTR)
				continue;
			return EX_OSERR;
		}
		if (polled[0].revents != 0)
			on_signal(s);
		if (polled[1].revents == 0)
			continue;
		if (s->fd < 0)
			accept_agent(s);
		else if (!serve_one(s->helper, s->fd))
			agent_gone(s);
	}
	return EX_OK;
}

int
helper_server_fork(struct helper *h)
{
	struct server s = {.helper = h, .listen_fd = -1};
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	if ((pid = fork()) == 0) {
		close(pair[0]);
		s.fd = pair[1];
		_exit(prepare_process(&s) ? serve(&s) : EX_OSERR);
	}
	close(pair[1]);
	if (pid > 0)
		return pair[0];
	close(pair[0]);
	return -1;
}

/* ---- The socket. ---- */

/* Remove the file of a helper that is gone; false with errno EADDRINUSE if one listens. */
static bool
remove_old(const struct sockaddr_un *at)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc, error;

	if (fd < 0)
		return false;
	rc = connect(fd, (const struct sockaddr *)at, sizeof *at);
	error = errno;
	close(fd);
	if (rc == 0 || error == EAGAIN) {
		errno = EADDRINUSE;
		return false;
	}
	return error != ECONNREFUSED || unlink(at->sun_path) == 0;
}

/* The listening descriptor, -1 with errno. */
static int
open_socket(const char *path, gid_t gid)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd, saved;
	mode_t mask;
	bool bound;

	if (!str_copy(at.sun_path, sizeof at.sun_path, path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (!remove_old(&at) || (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return -1;
	mask = umask(0177);
	bound = bind(fd, (const struct sockaddr *)&at, sizeof at) == 0;
	umask(mask);
	/* The group may connect only when somebody listens. */
	if (bound && listen(fd, BACKLOG_MAX) == 0 && chown(path, (uid_t)-1, gid) == 0 &&
	    chmod(path, 0660) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
helper_server_run(struct helper *h, const char *path, uid_t uid, gid_t gid)
{
	struct server s = {.helper = h, .uid = uid, .fd = -1};
	int status;

	if ((s.listen_fd = open_socket(path, gid)) < 0) {
		log_error_errno("[agent] helper=%s: cannot listen", path);
		return EX_UNAVAILABLE;
	}
	if (!helper_claim(h)) {
		status = EX_TEMPFAIL;
	} else if (!prepare_process(&s)) {
		log_error_errno("signals");
		status = EX_OSERR;
	} else {
		notify_ready("no agent yet");
		s.watchdog_ms = notify_watchdog_ms();
		status = serve(&s);
		notify_stopping();
		close(s.signal_fd);
	}
	if (s.fd >= 0)
		close(s.fd);
	close(s.listen_fd);
	unlink(path);
	return status;
}
