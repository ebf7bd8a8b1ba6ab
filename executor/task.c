/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/task.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executor/init.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/proc.h"

void
task_init(struct task *t)
{
	*t = (struct task){.directory_fd = -1,
	    .stdout_fd = -1,
	    .stderr_fd = -1,
	    .start_by_ms = UINT64_MAX,
	    .init_fd = -1};
}

static bool
has_cgroup(const struct task *t)
{
	return t->cgroup != NULL && *t->cgroup != '\0';
}

/* ---- Starting. ---- */

static void
forget_init(struct task *t)
{
	if (t->init_fd >= 0)
		close(t->init_fd);
	t->init_fd = -1;
}

static int
start_below_init(struct task *t, const struct spawn *s, const char **what)
{
	static char step[sizeof((struct init_report *)0)->what];
	struct init_report r;
	ssize_t n;

	*what = "namespace";
	if ((t->pid = init_start(s, &t->init_fd)) < 0) {
		t->pid = 0;
		return errno;
	}
	while ((n = recv(t->init_fd, &r, sizeof r, 0)) < 0 && errno == EINTR)
		;
	if (n == sizeof r && r.kind == INIT_STARTED)
		return 0;
	forget_init(t);
	waitpid(t->pid, NULL, 0);
	t->pid = 0;
	if (n != sizeof r || r.kind != INIT_FAILED)
		return ECHILD;
	r.what[sizeof r.what - 1] = '\0';
	str_copy(step, sizeof step, r.what);
	*what = step;
	return r.value != 0 ? r.value : ECHILD;
}

int
task_start(struct task *t, const char *const *argv, const char *const *env, int stdin_fd,
    const char **what)
{
	int fds[CGROUP_HIERARCHIES_MAX], count = 0, error = 0;
	struct spawn s;

	spawn_init(&s, argv[0], argv, env);
	s.stdin_fd = stdin_fd;
	s.stdout_fd = t->stdout_fd;
	s.stderr_fd = t->stderr_fd;
	s.directory_fd = t->directory_fd;
	s.directory = t->directory;
	s.user = t->user;
	s.new_group = true;
	s.no_new_privs = true;
	s.death_signal = SIGKILL;
	/* Time 0 was over when this machine was started. */
	s.start_by_ms = t->start_by_ms == UINT64_MAX ? 0 : t->start_by_ms > 0 ? t->start_by_ms : 1;
	if (has_cgroup(t) && (count = cgroup_open_procs(&t->host, t->cgroup, fds)) < 0) {
		*what = "cgroup";
		return errno;
	}
	s.cgroup_fds = fds;
	s.cgroup_count = (size_t)count;
	if (has_cgroup(t))
		s.cgroup_directory_fd = cgroup_open_birthplace(&t->host, t->cgroup);
	if (t->pid_namespace)
		error = start_below_init(t, &s, what);
	else if ((t->pid = spawn_run(&s, what)) < 0) {
		error = errno;
		t->pid = 0;
	}
	while (count > 0)
		close(fds[--count]);
	if (s.cgroup_directory_fd >= 0)
		close(s.cgroup_directory_fd);
	return error;
}

/* ---- While it runs. ---- */

void
task_signal(struct task *t, int signo)
{
	int32_t number = signo;

	if (t->pid == 0)
		return;
	/* Our own child, not reaped: the number cannot be another's. */
	if (t->init_fd >= 0)
		(void)!send(t->init_fd, &number, sizeof number, MSG_NOSIGNAL);
	else if (kill(-t->pid, signo) != 0)
		kill(t->pid, signo);
}

/* The init has ended: what it said of the program; an init that was killed took the program with
 * it. */
static int
status_from_init(struct task *t, int init_status)
{
	struct init_report r;
	int status = WIFSIGNALED(init_status) ? init_status : SIGKILL;

	if (recv(t->init_fd, &r, sizeof r, MSG_DONTWAIT) == sizeof r && r.kind == INIT_ENDED)
		status = r.value;
	forget_init(t);
	return status;
}

struct task_end
task_reap(struct task *t)
{
	struct task_end e = {0};
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != t->pid)
			continue; /* an orphan that came to us */
		e.ended = true;
		e.wait_status = t->init_fd >= 0 ? status_from_init(t, status) : status;
		t->pid = 0;
	}
	return e;
}

/* ---- The end. ---- */

static bool
kill_child(void *arg, pid_t pid, const struct proc_stat *st)
{
	pid_t *self = arg;

	/* A child of ours that is not reaped keeps its number: no other can be met. */
	if (st->parent == *self)
		kill(pid, SIGKILL);
	return true;
}

/* Kill our children; theirs then become ours. The program's own end stays for task_reap(). */
static bool
sweep_children(struct task *t)
{
	siginfo_t info = {0};
	pid_t self = getpid();

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD)
		return true;
	proc_each(kill_child, &self);
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
	       info.si_pid != t->pid)
		waitpid(info.si_pid, NULL, 0);
	return false;
}

bool
task_sweep(struct task *t)
{
	int left = 1;

	if (t->init_fd >= 0 && t->pid > 0)
		kill(t->pid, SIGKILL);
	if (has_cgroup(t) && (left = cgroup_kill(&t->host, t->cgroup)) < 0 && !t->unseen) {
		t->unseen = true;
		log_error_errno("cgroup %s: what is left in it cannot be killed or seen; the task "
				"is not over before that, and it is tried again and again",
		    t->cgroup);
	}
	if (left == 0)
		return false;
	if (t->pid > 0) {
		if (t->init_fd < 0)
			kill(t->pid, SIGKILL);
		return false;
	}
	return sweep_children(t) && left > 0;
}

void
task_usage(const struct task *t, struct cgroup_usage *to)
{
	*to = (struct cgroup_usage){0};
	if (has_cgroup(t))
		cgroup_usage(&t->host, t->cgroup, to);
}
