/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/input.h"
#include "libcommon/codec/frame_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void
input_init(struct input *in)
{
	*in = (struct input){.read_fd = -1, .write_fd = -1};
	buf_init(&in->waiting, STREAM_WINDOW_BYTES);
}

int
input_open(struct input *in, struct loop *loop, void (*taken)(void *arg, uint64_t bytes), void *arg)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	if (fcntl(fds[1], F_SETFL, O_NONBLOCK) != 0) {
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	in->loop = loop;
	in->read_fd = fds[0];
	in->write_fd = fds[1];
	in->taken = taken;
	in->arg = arg;
	return fds[0];
}

void
input_started(struct input *in)
{
	if (in->read_fd >= 0)
		close(in->read_fd);
	in->read_fd = -1;
}

static void
close_pipe(struct input *in)
{
	fd_watch_free(in->watch);
	in->watch = NULL;
	if (in->write_fd >= 0)
		close(in->write_fd);
	in->write_fd = -1;
}

static void flush(struct input *in);

static void
on_writable(void *arg, int what)
{
	struct input *in = arg;

	(void)what;
	fd_watch_free(in->watch);
	in->watch = NULL;
	flush(in);
}

/* Drop all that waits: nobody reads it, and its sender need not wait for that. */
static void
drop(struct input *in)
{
	size_t size = in->waiting.len;

	close_pipe(in);
	buf_clear(&in->waiting);
	if (size > 0)
		in->taken(in->arg, size);
}

static void
flush(struct input *in)
{
	uint64_t written = 0;
	ssize_t n;

	while (in->waiting.len > 0) {
		if ((n = write(in->write_fd, in->waiting.data, in->waiting.len)) > 0) {
			buf_consume(&in->waiting, (size_t)n);
			written += (uint64_t)n;
		} else if (errno == EAGAIN) {
			in->watch = fd_watch_new(in->loop, in->write_fd, FD_WRITE, on_writable, in);
			break;
		} else if (errno != EINTR)
			break;
	}
	if (written > 0)
		in->taken(in->arg, written);
	if (in->waiting.len > 0 && in->watch == NULL)
		drop(in);
	else if (in->eof && in->waiting.len == 0)
		close_pipe(in);
}

void
input_take(struct input *in, const void *bytes, size_t size, bool eof)
{
	if (in->taken == NULL)
		return; /* not an interactive task */
	if (in->write_fd < 0 || in->eof) {
		if (size > 0)
			in->taken(in->arg, size);
		return;
	}
	in->eof = eof;
	buf_append(&in->waiting, bytes, size);
	if (in->waiting.failed)
		drop(in);
	else if (in->watch == NULL)
		flush(in);
}

void
input_close(struct input *in)
{
	input_started(in);
	close_pipe(in);
	buf_fini(&in->waiting);
}
