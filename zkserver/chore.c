/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/chore.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/sys/log.h"
#include "libcommon/sys/store_posix.h"
#include "zkserver/child.h"

static _Noreturn void
run_child(const struct chore *c, int pipe_fd)
{
	int keep[] = {store_posix_dir_fd(c->stores[0]), store_posix_dir_fd(c->stores[1]), pipe_fd};
	struct fault fault = {0};

	child_begin(keep, sizeof(keep) / sizeof(keep[0]));
	c->work(c->arg, &fault);
	if (fault.text[0] != '\0' && write(pipe_fd, fault.text, strlen(fault.text)) < 0)
		_exit(2);
	_exit(fault.text[0] != '\0');
}

static int
reap(struct chore *c)
{
	int status = 0;

	while (waitpid(c->child, &status, 0) < 0 && errno == EINTR)
		continue;
	fd_watch_free(c->watch);
	close(c->pipe_fd);
	c->watch = NULL;
	c->child = 0;
	return status;
}

static void
on_pipe(void *arg, int what)
{
	struct chore *c = arg;
	size_t room = sizeof(c->fault.text) - 1 - c->fault_len;
	ssize_t n = read(c->pipe_fd, c->fault.text + c->fault_len, room);

	(void)what;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		c->fault_len += (size_t)n;
	else
		c->done(c->arg, c->fault.text, reap(c));
}

bool
chore_start(struct chore *c)
{
	int fds[2];

	if (c->child != 0)
		return false;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		log_error_errno("%s: cannot make a pipe to its child", c->name);
		return false;
	}
	c->fault = (struct fault){0};
	c->fault_len = 0;
	c->watch = fd_watch_new(c->loop, fds[0], FD_READ, on_pipe, c);
	c->child = c->watch == NULL ? -1 : child_fork();
	if (c->child == 0)
		run_child(c, fds[1]);
	close(fds[1]);
	c->pipe_fd = fds[0];
	if (c->child > 0)
		return true;
	log_error_errno("%s: cannot start its child", c->name);
	if (c->watch != NULL)
		fd_watch_free(c->watch);
	c->watch = NULL;
	close(fds[0]);
	c->child = 0;
	return false;
}

bool
chore_busy(const struct chore *c)
{
	return c->child != 0;
}

void
chore_stop(struct chore *c)
{
	if (c->child == 0)
		return;
	kill(c->child, SIGKILL);
	reap(c);
}
