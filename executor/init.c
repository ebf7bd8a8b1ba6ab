/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/init.h"

#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/ownproc.h"

static void
report(int fd, int32_t kind, int32_t value, const char *what)
{
	struct init_report r = {.kind = kind, .value = value};

	str_copy(r.what, sizeof r.what, what);
	/* A failed send means that the executor is gone, which the next poll shows. */
	if (send(fd, &r, sizeof r, MSG_NOSIGNAL) != sizeof r)
		_exit(0);
}

static _Noreturn void
fail(int fd, const char *what)
{
	report(fd, INIT_FAILED, errno, what);
	_exit(0);
}

/* Reap all that ended; the program's end is ours. */
static void
reap(int fd, pid_t program)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == program) {
			report(fd, INIT_ENDED, status, "");
			_exit(0);
		}
	}
}

static void
pass_signal(int fd, pid_t program)
{
	int32_t signo;

	if (recv(fd, &signo, sizeof signo, 0) != sizeof signo)
		_exit(0);
	if (kill(-program, signo) != 0)
		kill(program, signo);
}

/*
 * Let go of all else that was the executor's, above all of the pipe that is the program's standard
 * input: its reader would never see the end while we hold the other side.
 */
static bool
keep_only(int a, int b)
{
	unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

	return (low <= 3 || syscall(SYS_close_range, 3u, low - 1, 0) == 0) &&
	       (high == low + 1 || syscall(SYS_close_range, low + 1, high - 1, 0) == 0) &&
	       syscall(SYS_close_range, high + 1, ~0U, 0) == 0;
}

/*
 * Has the executor ended before its death would have been told to us? Its end of the pair says so;
 * getppid() gives 0 for every parent outside of our namespace.
 */
static bool
executor_lives(int fd)
{
	struct pollfd polled = {.fd = fd};

	return poll(&polled, 1, 0) == 0;
}

static _Noreturn void
init_main(const struct spawn *s, int fd)
{
	struct pollfd polled[2] = {{.fd = fd, .events = POLLIN}, {.events = POLLIN}};
	struct spawn own = *s;
	const char *what;
	sigset_t chld;
	pid_t program;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
	    prctl(PR_SET_NAME, "corral-init", 0, 0, 0) != 0)
		fail(fd, "prctl");
	if (!executor_lives(fd))
		_exit(0);
	if (!ownproc_mount(&what))
		fail(fd, what);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_SETMASK, &chld, NULL);
	if ((polled[1].fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
		fail(fd, "signalfd");
	own.death_signal = 0;	      /* the namespace sees to that */
	own.cgroup_directory_fd = -1; /* we were born there */
	if ((program = spawn_run(&own, &what)) < 0)
		fail(fd, what);
	if (!keep_only(fd, polled[1].fd))
		fail(fd, "close_range");
	report(fd, INIT_STARTED, 0, "");
	for (;;) {
		struct signalfd_siginfo info;

		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			_exit(0);
		if (polled[1].revents != 0) {
			while (read(polled[1].fd, &info, sizeof info) == sizeof info)
				;
			reap(fd, program);
		}
		if (polled[0].revents != 0)
			pass_signal(fd, program);
	}
}

pid_t
init_start(const struct spawn *s, int *fd)
{
	struct clone_args args = {.flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD};
	int pair[2], saved;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	if (s->cgroup_directory_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned int)s->cgroup_directory_fd;
	}
	/* As fork(), in new namespaces; we have one thread, so that the child may go on as it is.
	 */
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0) {
		close(pair[0]);
		init_main(s, pair[1]);
	}
	saved = errno;
	close(pair[1]);
	if (pid < 0)
		close(pair[0]);
	*fd = pid < 0 ? -1 : pair[0];
	errno = saved;
	return pid;
}
