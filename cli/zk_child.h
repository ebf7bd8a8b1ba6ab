/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command that zk(1) runs, and which is killed if zk dies. In the foreground it has a process
 * group of its own, which has the terminal and is signalled as a whole (what left the group is out
 * of reach); in the background it is of our group, and without standard input.
 */
#ifndef CORRAL_CLI_ZK_CHILD_H
#define CORRAL_CLI_ZK_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#define ZK_CHILD_VARIABLES_MAX 4

struct zk_child {
	pid_t pid;  /* 0: none runs */
	int status; /* of the last one, as env(1) has it: its own, or 128 and its signal */
	bool foreground;
};

/*
 * Start argv (ends with NULL) with this process's environment and variables ("NAME=VALUE", ended
 * by NULL, at most ZK_CHILD_VARIABLES_MAX). An exit status: 0, or 125 to 127 with the fault said.
 */
int zk_child_start(
    struct zk_child *child, bool foreground, const char *const *argv, const char *const *variables);

/* Take notice of what became of it, without waiting; call it after SIGCHLD. */
void zk_child_check(struct zk_child *child);

/* Wait for its end. */
void zk_child_wait(struct zk_child *child);

/* Signal the group of one that runs. */
void zk_child_kill(const struct zk_child *child, int signo);

#endif
