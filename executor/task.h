/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of one attempt: start one, signal it, learn how it ended, kill all that is left.
 *
 * With `pid_namespace` each process is started below an init of ours (init.h) in a namespace of its
 * own, so that the kernel ends the whole tree when the executor ends. With a cgroup the tree is
 * killed by it. Without either, what a process leaves behind becomes the executor's child (it is a
 * subreaper) and is killed as such.
 */
#ifndef CORRAL_EXECUTOR_TASK_H
#define CORRAL_EXECUTOR_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcommon/sys/cgroup.h"
#include "libcommon/sys/spawn.h"

#define TASK_PATH_BYTES 4096

struct task {
	struct cgroup_host host;
	const char *cgroup;	       /* "" or NULL: none */
	const struct spawn_user *user; /* NULL: ours */
	int directory_fd;
	const char *directory; /* NULL: directory_fd; else looked up with the task's rights */
	int stdout_fd, stderr_fd;
	bool pid_namespace;
	bool unseen;	      /* it was said that the cgroup cannot be emptied */
	uint64_t start_by_ms; /* on CLOCK_BOOTTIME: the last time to start; UINT64_MAX: any */
	pid_t pid;	      /* our child: the program, or its init; 0: none */
	int init_fd;	      /* to the init; -1 */
};

/* How it ended. */
struct task_end {
	int wait_status;
	bool ended; /* else nothing has ended yet */
};

void task_init(struct task *t);

/*
 * Start argv with env (both end with NULL). stdin_fd -1: /dev/null. Returns 0, or the errno of what
 * failed; *what then names it ("exec", "chdir" ...).
 */
int task_start(struct task *t, const char *const *argv, const char *const *env, int stdin_fd,
    const char **what);

/* To the process and its process group. */
void task_signal(struct task *t, int signo);

/* Reap what has ended, after SIGCHLD. */
struct task_end task_reap(struct task *t);

/*
 * SIGKILL to all that is alive: true when nothing is, the cgroup having been seen empty. Call again
 * until then.
 */
bool task_sweep(struct task *t);

/* Of the cgroup; zeros without one. */
void task_usage(const struct task *t, struct cgroup_usage *to);

#endif
