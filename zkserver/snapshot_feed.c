/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/snapshot_feed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/sys/log.h"
#include "zkserver/child.h"
#include "zkserver/core/snapshot.h"

#define PIPE_BYTES (1 << 20)
#define CHILD_BUFFER_BYTES ((size_t)64 << 10)

struct child_out {
	int fd;
	size_t len;
	uint8_t bytes[CHILD_BUFFER_BYTES];
};

static int
write_all(struct child_out *o)
{
	size_t at = 0;

	while (at < o->len) {
		ssize_t n = write(o->fd, o->bytes + at, o->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	o->len = 0;
	return 0;
}

static int
put(void *arg, const uint8_t *bytes, size_t size)
{
	struct child_out *o = arg;
	int err;

	while (size > 0) {
		size_t room = sizeof o->bytes - o->len;
		size_t n = size < room ? size : room;

		memcpy(o->bytes + o->len, bytes, n);
		o->len += n;
		bytes += n;
		size -= n;
		if (o->len == sizeof o->bytes && (err = write_all(o)) != 0)
			return err;
	}
	return 0;
}

static _Noreturn void
run_child(const struct db *db, int fd)
{
	static struct child_out out;
	int keep[] = {fd};

	child_begin(keep, 1);
	out.fd = fd;
	_exit(snapshot_stream(db, put, &out) == 0 && write_all(&out) == 0 ? 0 : 1);
}

static void
on_readable(void *arg, int what)
{
	struct snapshot_feed *f = arg;

	(void)what;
	f->ready(f->arg);
}

bool
snapshot_feed_want(struct snapshot_feed *f, bool want)
{
	if (want == (f->watch != NULL))
		return true;
	if (!want) {
		fd_watch_free(f->watch);
		f->watch = NULL;
		return true;
	}
	f->watch = fd_watch_new(f->loop, f->fd, FD_READ, on_readable, f);
	return f->watch != NULL;
}

bool
snapshot_feed_start(struct snapshot_feed *f, struct loop *loop, const struct db *db,
    void (*ready)(void *arg), void *arg)
{
	int fds[2];

	*f = (struct snapshot_feed){.loop = loop, .ready = ready, .arg = arg, .fd = -1};
	if (pipe2(fds, O_CLOEXEC) != 0) {
		log_error_errno("a snapshot for a learner: no pipe");
		return false;
	}
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES); /* fewer turns; a small pipe does, too */
	if ((f->child = child_fork()) == 0)
		run_child(db, fds[1]);
	close(fds[1]);
	f->fd = fds[0];
	if (f->child > 0 && fcntl(f->fd, F_SETFL, O_NONBLOCK) == 0)
		return true;
	log_error_errno("a snapshot for a learner: its child cannot be started");
	if (f->child < 0)
		f->child = 0;
	snapshot_feed_stop(f);
	return false;
}

static int
reap(struct snapshot_feed *f)
{
	int status = 0;

	while (waitpid(f->child, &status, 0) < 0 && errno == EINTR)
		continue;
	f->child = 0;
	return status;
}

enum snapshot_feed_state
snapshot_feed_read(struct snapshot_feed *f, uint8_t *to, size_t size, size_t *got)
{
	ssize_t n = read(f->fd, to, size);

	*got = n > 0 ? (size_t)n : 0;
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return SNAPSHOT_FEED_MORE;
	if (n == 0 && reap(f) == 0)
		return SNAPSHOT_FEED_END;
	return SNAPSHOT_FEED_FAILED;
}

void
snapshot_feed_stop(struct snapshot_feed *f)
{
	if (f->watch != NULL)
		fd_watch_free(f->watch);
	f->watch = NULL;
	if (f->child > 0) {
		kill(f->child, SIGKILL);
		reap(f);
	}
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}
