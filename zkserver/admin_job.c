/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/admin_job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "zkserver/child.h"

#define CHILD_NICE 10

struct admin_job {
	struct list link; /* in admin_jobs.all */
	struct admin_jobs *jobs;
	const struct admin_job_ops *ops; /* NULL: cancelled, and waiting for the child's end */
	void *arg;
	pid_t child;
	int fd;
	struct fd_watch *watch; /* NULL while held */
};

void
admin_jobs_init(struct admin_jobs *jobs, struct loop *loop)
{
	*jobs = (struct admin_jobs){.loop = loop};
	list_init(&jobs->all);
}

/* Its pipe has ended, or it was killed: this does not wait long. */
static bool
reap(struct admin_job *j)
{
	int status = 0;

	while (waitpid(j->child, &status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool
job_free(struct admin_job *j)
{
	bool whole = reap(j);

	if (j->watch != NULL)
		fd_watch_free(j->watch);
	close(j->fd);
	list_remove(&j->link);
	j->jobs->running--;
	free(j);
	return whole;
}

void
admin_jobs_fini(struct admin_jobs *jobs)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &jobs->all) {
		struct admin_job *j = CONTAINER_OF(it, struct admin_job, link);

		kill(j->child, SIGKILL);
		job_free(j);
	}
}

static void
on_readable(void *arg, int what)
{
	static uint8_t piece[REPORT_PIECE_BYTES];
	struct admin_job *j = arg;
	const struct admin_job_ops *ops = j->ops;
	void *whom = j->arg;
	ssize_t n = read(j->fd, piece, sizeof piece);
	bool whole;

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		if (ops != NULL)
			ops->bytes(whom, piece, (size_t)n);
		return;
	}
	whole = job_free(j);
	if (ops != NULL)
		ops->done(whom, whole);
}

static _Noreturn void
run_child(int fd, void (*make)(void *arg, struct report *r), void *arg)
{
	struct report r;

	child_begin(&fd, 1);
	alarm(ADMIN_JOB_MAX_S);
	/* Clients come first; where that cannot be had it goes without. */
	(void)setpriority(PRIO_PROCESS, 0, CHILD_NICE);
	report_init(&r, fd);
	make(arg, &r);
	_exit(!report_finish(&r));
}

/* The child and the pipe from it. False with errno. */
static bool
start_child(struct admin_job *j, void (*make)(void *arg, struct report *r), void *arg)
{
	int fds[2], saved;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return false;
	j->fd = fds[0];
	j->watch = fd_watch_new(j->jobs->loop, fds[0], FD_READ, on_readable, j);
	j->child = j->watch == NULL ? -1 : child_fork();
	if (j->child == 0)
		run_child(fds[1], make, arg);
	saved = errno;
	close(fds[1]);
	if (j->child > 0)
		return true;
	if (j->watch != NULL)
		fd_watch_free(j->watch);
	close(fds[0]);
	errno = saved;
	return false;
}

struct admin_job *
admin_job_start(struct admin_jobs *jobs, void (*make)(void *arg, struct report *r), void *make_arg,
    const struct admin_job_ops *ops, void *arg)
{
	struct admin_job *j;
	int saved;

	if (jobs->running >= ADMIN_JOBS_MAX) {
		errno = EAGAIN;
		return NULL;
	}
	if ((j = calloc(1, sizeof *j)) == NULL)
		return NULL;
	j->jobs = jobs;
	j->ops = ops;
	j->arg = arg;
	if (!start_child(j, make, make_arg)) {
		saved = errno;
		free(j);
		errno = saved;
		return NULL;
	}
	list_init(&j->link);
	list_append(&jobs->all, &j->link);
	jobs->running++;
	return j;
}

void
admin_job_hold(struct admin_job *j, bool held)
{
	if (held == (j->watch == NULL))
		return;
	if (held) {
		fd_watch_free(j->watch);
		j->watch = NULL;
		return;
	}
	j->watch = fd_watch_new(j->jobs->loop, j->fd, FD_READ, on_readable, j);
	if (j->watch == NULL)
		kill(j->child, SIGKILL); /* no memory: admin_jobs_fini() sees to the rest */
}

void
admin_job_cancel(struct admin_job *j)
{
	j->ops = NULL;
	kill(j->child, SIGKILL);
	admin_job_hold(j, false); /* its end comes through the pipe */
}
