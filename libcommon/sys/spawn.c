/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/sched.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/str.h"

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
#define FIRST_KEPT_FD 3
#define SPARE_FD_MIN (FIRST_KEPT_FD + SPAWN_KEEP_MAX)

/* In memory shared with the child until it has executed. */
struct spawn_call {
	const struct spawn *s;
	char path[PATH_MAX];
	pid_t parent;
	sigset_t mask; /* the child's */
	volatile int error;
	const char *volatile step;
};

void
spawn_init(struct spawn *s, const char *path, const char *const *argv, const char *const *env)
{
	*s = (struct spawn){
	    .path = path,
	    .argv = argv,
	    .env = env,
	    .stdin_fd = -1,
	    .stdout_fd = -1,
	    .stderr_fd = -1,
	    .directory_fd = -1,
	    .cgroup_directory_fd = -1,
	};
}

/* The directories of PATH in env, or the usual ones. */
static const char *
search_path(const char *const *env)
{
	for (; env != NULL && *env != NULL; env++) {
		if (str_starts(*env, "PATH=") && (*env)[5] != '\0')
			return *env + 5;
	}
	return PATH_DEFAULT;
}

/* Find the program as execvp(3) does, relative names below PATH only. False with errno. */
static bool
resolve(struct spawn_call *c)
{
	const char *name = c->s->path, *dir = search_path(c->s->env);
	int error = ENOENT;

	if (strchr(name, '/') != NULL) {
		errno = ENAMETOOLONG;
		return str_copy(c->path, sizeof c->path, name);
	}
	for (size_t len; *name != '\0' && *dir != '\0'; dir += len + (dir[len] == ':')) {
		len = strcspn(dir, ":");
		int n = snprintf(c->path, sizeof c->path, "%.*s/%s", (int)len, dir, name);

		if (len == 0 || n < 0 || (size_t)n >= sizeof c->path)
			continue;
		if (faccessat(AT_FDCWD, c->path, X_OK, AT_EACCESS) == 0)
			return true;
		if (errno == EACCES)
			error = EACCES;
	}
	errno = error;
	return false;
}

/* ---- In the child: raw system calls only, since libc's would act on the parent's threads. ---- */

static void
child_reset_signals(void)
{
	/*
	 * By the kernel's own struct (all zero: SIG_DFL), since libc's call refuses the two signals
	 * that it keeps for itself, and a parent started by posix_spawn() has those ignored.
	 */
	static const unsigned char action[64];

	for (int signo = 1; signo < NSIG; signo++) {
		if (signo != SIGKILL && signo != SIGSTOP)
			syscall(SYS_rt_sigaction, signo, action, NULL, sizeof(uint64_t));
	}
}

static bool
child_enter_cgroups(const struct spawn *s)
{
	for (size_t i = 0; i < s->cgroup_count; i++) {
		if (write(s->cgroup_fds[i], "0", 1) != 1)
			return false;
	}
	return true;
}

/* Entering a mount namespace leads to its root directory. */
static bool
child_enter_namespaces(const struct spawn *s)
{
	for (size_t i = 0; i < s->namespace_count; i++) {
		if (syscall(SYS_setns, s->namespace_fds[i], 0) != 0)
			return false;
	}
	return true;
}

static bool
child_set_limits(const struct spawn *s)
{
	for (size_t i = 0; i < s->limit_count; i++) {
		if (setrlimit(s->limits[i].resource, &s->limits[i].value) != 0)
			return false;
	}
	return true;
}

/* Put `from` (or /dev/null) at the descriptor `to`, without close-on-exec. */
static bool
child_place_fd(int from, int to, int mode)
{
	int fd = from >= 0 ? from : open("/dev/null", mode);

	if (fd < 0)
		return false;
	if (fd == to)
		return fcntl(fd, F_SETFD, 0) == 0;
	return dup2(fd, to) == to;
}

/* Lift all descriptors that we pass out of the low numbers first, so that none overwrites another.
 */
static bool
child_place_fds(const struct spawn *s)
{
	int in[3] = {s->stdin_fd, s->stdout_fd, s->stderr_fd}, keep[SPAWN_KEEP_MAX];

	for (int i = 0; i < 3; i++) {
		if (in[i] >= 0 && (in[i] = fcntl(in[i], F_DUPFD_CLOEXEC, SPARE_FD_MIN)) < 0)
			return false;
	}
	for (size_t i = 0; i < s->keep_count; i++) {
		if ((keep[i] = fcntl(s->keep_fds[i], F_DUPFD_CLOEXEC, SPARE_FD_MIN)) < 0)
			return false;
	}
	for (int i = 0; i < 3; i++) {
		if (!child_place_fd(in[i], i, i == 0 ? O_RDONLY : O_WRONLY))
			return false;
	}
	for (size_t i = 0; i < s->keep_count; i++) {
		if (dup2(keep[i], FIRST_KEPT_FD + (int)i) < 0)
			return false;
	}
	return true;
}

static bool
child_set_user(const struct spawn_user *u)
{
	return syscall(SYS_setgroups, u->group_count, u->groups) == 0 &&
	       syscall(SYS_setresgid, u->gid, u->gid, u->gid) == 0 &&
	       syscall(SYS_setresuid, u->uid, u->uid, u->uid) == 0;
}

/* PR_SET_PDEATHSIG is cleared by a change of credentials: set it after, and look whether it was too
 * late. */
static bool
child_bind_to_parent(const struct spawn_call *c)
{
	return prctl(PR_SET_PDEATHSIG, c->s->death_signal, 0, 0, 0) == 0 &&
	       syscall(SYS_getppid) == c->parent;
}

/* The last look at the clock; false with errno when it is too late to start. */
static bool
child_is_in_time(uint64_t start_by_ms)
{
	struct timespec ts;

	if (start_by_ms == 0)
		return true;
	if (syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &ts) != 0)
		return false;
	errno = ETIME;
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000 < start_by_ms;
}

static void
child_try(struct spawn_call *c, const char *step, bool ok)
{
	if (ok)
		return;
	c->error = errno != 0 ? errno : ECANCELED;
	c->step = step;
	_exit(127);
}

static _Noreturn void
child_main(struct spawn_call *c)
{
	const struct spawn *s = c->s;

	child_reset_signals();
	sigprocmask(SIG_SETMASK, &c->mask, NULL);
	if (s->new_session)
		child_try(c, "setsid", syscall(SYS_setsid) >= 0);
	else if (s->new_group)
		child_try(c, "setpgid", syscall(SYS_setpgid, 0, 0) == 0);
	child_try(c, "cgroup", child_enter_cgroups(s));
	child_try(c, "setns", child_enter_namespaces(s));
	child_try(c, "setrlimit", child_set_limits(s));
	if (s->user != NULL)
		child_try(c, "setuid", child_set_user(s->user));
	if (s->directory_fd >= 0)
		child_try(c, "chdir", fchdir(s->directory_fd) == 0);
	if (s->directory != NULL)
		child_try(c, "working directory", syscall(SYS_chdir, s->directory) == 0);
	child_try(c, "dup", child_place_fds(s));
	if (s->no_new_privs)
		child_try(c, "no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (s->death_signal != 0)
		child_try(c, "prctl", child_bind_to_parent(c));
	/* Close-on-exec instead of a close: a failed exec may leave the caller's table as it was.
	 */
	child_try(c, "close_range",
	    syscall(SYS_close_range, FIRST_KEPT_FD + s->keep_count, ~0U,
		4 /* CLOSE_RANGE_CLOEXEC */) == 0);
	child_try(c, "lease", child_is_in_time(s->start_by_ms));
	/* execve(2) changes neither; its prototype is older than const. */
	execve(c->path, (char *const *)(uintptr_t)s->argv, (char *const *)(uintptr_t)s->env);
	child_try(c, "exec", false);
	_exit(127);
}

/* ---- In the parent. ---- */

/* vfork() in a function of its own: nothing of the caller's frame is shared with the child. */
static __attribute__((noinline)) pid_t
call_vfork(struct spawn_call *c)
{
	pid_t pid = vfork();

	if (pid == 0)
		child_main(c);
	return pid;
}

/* As vfork(), but with memory of its own, and born in the cgroup. */
static pid_t
call_clone3(struct spawn_call *c)
{
	struct clone_args args = {
	    .flags = CLONE_VFORK | CLONE_INTO_CGROUP,
	    .exit_signal = SIGCHLD,
	    .cgroup = (unsigned int)c->s->cgroup_directory_fd,
	};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

	if (pid == 0)
		child_main(c);
	return pid;
}

/* Make the child with all signals blocked: no handler of ours may run in it. The pid or -1;
 * c->error. */
static pid_t
make_child(struct spawn_call *c)
{
	sigset_t all, saved;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &saved);
	sigemptyset(&c->mask);
	pid = c->s->cgroup_directory_fd >= 0 ? call_clone3(c) : call_vfork(c);
	if (pid < 0)
		c->error = errno;
	else if (c->error != 0)
		waitpid(pid, NULL, 0);
	sigprocmask(SIG_SETMASK, &saved, NULL);
	return pid;
}

pid_t
spawn_run(const struct spawn *s, const char **step)
{
	const char *failed = "exec";
	struct spawn_call *c =
	    mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = -1;
	int error = ENOMEM;

	assert(s->keep_count <= SPAWN_KEEP_MAX);
	if (c != MAP_FAILED) {
		c->s = s;
		c->parent = getpid();
		c->step = "fork";
		if (resolve(c)) {
			pid = make_child(c);
			error = c->error;
			failed = c->step;
		} else
			error = errno;
		munmap(c, sizeof *c);
	}
	if (error == 0)
		return pid;
	if (step != NULL)
		*step = failed;
	errno = error;
	return -1;
}

bool
spawn_user_find(const char *name, struct spawn_user *to)
{
	int count = SPAWN_GROUPS_MAX;
	struct passwd *pw;

	errno = 0;
	if ((pw = getpwnam(name)) == NULL)
		return false;
	to->uid = pw->pw_uid;
	to->gid = pw->pw_gid;
	if (getgrouplist(name, pw->pw_gid, to->groups, &count) < 0) {
		errno = E2BIG;
		return false;
	}
	to->group_count = (size_t)count;
	return true;
}

int
spawn_exit_status(int error)
{
	return error == ENOENT || error == ENOTDIR ? 127 : 126;
}
