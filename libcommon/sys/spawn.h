/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start a program. The child is made by vfork(), so that the parent's memory is not copied, or by
 * clone3() where it is to be born in a cgroup: moving it there later waits for an RCU grace period,
 * 10 to 30 ms. Both suspend the parent until the exec, so that errors come back without a pipe. The
 * order in the child: signals to default, new session or process group, cgroups, namespaces,
 * limits, standard streams, working directory, credentials, parent-death signal, all other
 * descriptors closed, a look at the clock, exec.
 */
#ifndef CORRAL_SYS_SPAWN_H
#define CORRAL_SYS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define SPAWN_GROUPS_MAX 64
#define SPAWN_KEEP_MAX 4
#define SPAWN_NAMESPACES_MAX 2

/* An account's numbers. Looked up before the spawn: nothing of libc's name service runs in the
 * child. */
struct spawn_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[SPAWN_GROUPS_MAX];
	size_t group_count;
};

struct spawn_limit {
	unsigned int resource; /* RLIMIT_... */
	struct rlimit value;
};

struct spawn {
	const char *path;		    /* looked up in PATH of env if it has no '/' */
	const char *const *argv;	    /* ends with NULL */
	const char *const *env;		    /* ends with NULL */
	int stdin_fd, stdout_fd, stderr_fd; /* -1: /dev/null */
	int keep_fds[SPAWN_KEEP_MAX];	    /* become descriptors 3, 4 ... in the child */
	size_t keep_count;
	const int *cgroup_fds; /* open cgroup.procs files that the child enters; may be NULL */
	size_t cgroup_count;
	const int *namespace_fds; /* of namespaces that the child enters (setns(2)) */
	size_t namespace_count;
	int cgroup_directory_fd; /* of cgroup2, in which the child is born; -1: none */
	int directory_fd;	 /* working directory; -1: as the parent's */
	const char
	    *directory; /* the same as a path, looked up from there with the child's rights */
	const struct spawn_user *user; /* NULL: as the parent */
	const struct spawn_limit *limits;
	size_t limit_count;
	int death_signal; /* sent to the child when its parent ends; 0: none */
	/* On CLOCK_BOOTTIME: from then on the exec is refused with ETIME, as step "lease"; 0: never
	 */
	uint64_t start_by_ms;
	bool new_session; /* setsid(), else setpgid(0, 0) if new_group */
	bool new_group;
	bool no_new_privs;
};

/* All fields at their least: /dev/null everywhere, nothing inherited but the working directory. */
void spawn_init(struct spawn *s, const char *path, const char *const *argv, const char *const *env);

/*
 * The child's pid, or -1 with errno of the step that failed; *step then says which ("exec",
 * "chdir", "setuid" ...), and no child is left behind. step may be NULL.
 */
pid_t spawn_run(const struct spawn *s, const char **step);

/* Numbers of the account `name`. False: errno is 0 if there is no such account. */
bool spawn_user_find(const char *name, struct spawn_user *to);

/* What an exec failure means as an exit status: 127 not found, 126 anything else (env(1)). */
int spawn_exit_status(int error);

#endif
