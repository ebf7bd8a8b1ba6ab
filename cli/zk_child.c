/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/zk_child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/sys/spawn.h"

/* Make a group the one that the terminal's keys reach, if we have a terminal to give. */
static void
terminal_give(pid_t group)
{
	void (*before)(int);

	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) < 0)
		return;
	before = signal(SIGTTOU, SIG_IGN); /* that is what a background group gets for asking */
	(void)tcsetpgrp(STDIN_FILENO, group);
	(void)signal(SIGTTOU, before);
}

/* The environment and the variables before it, which getenv() finds first. NULL: no memory. */
static const char **
environment(const char *const *variables)
{
	size_t count = 0, at = 0;
	const char **all;

	while (environ[count] != NULL)
		count++;
	all = calloc(count + ZK_CHILD_VARIABLES_MAX + 1, sizeof *all);
	for (; all != NULL && variables[at] != NULL; at++)
		all[at] = variables[at];
	for (size_t i = 0; all != NULL && i < count; i++) {
		size_t name = strcspn(environ[i], "=") + 1;
		bool ours = false;

		for (size_t j = 0; variables[j] != NULL; j++)
			ours = ours || strncmp(environ[i], variables[j], name) == 0;
		if (!ours)
			all[at++] = environ[i];
	}
	return all;
}

int
zk_child_start(
    struct zk_child *child, bool foreground, const char *const *argv, const char *const *variables)
{
	const char **env = environment(variables), *step = "memory";
	struct spawn spawn;
	int error = ENOMEM;

	*child = (struct zk_child){0, 0, foreground};
	if (env != NULL) {
		spawn_init(&spawn, argv[0], argv, env);
		spawn.stdin_fd = foreground ? STDIN_FILENO : -1;
		spawn.stdout_fd = STDOUT_FILENO;
		spawn.stderr_fd = STDERR_FILENO;
		spawn.new_group = foreground;
		spawn.death_signal = SIGKILL;
		child->pid = spawn_run(&spawn, &step);
		error = errno;
		free(env);
	}
	if (child->pid > 0) {
		if (foreground)
			terminal_give(child->pid);
		return 0;
	}
	child->pid = 0;
	fprintf(stderr, "zk: %s: %s: %s\n", argv[0], step, strerror(error));
	return strcmp(step, "exec") == 0 ? spawn_exit_status(error) : 125;
}

/* What waitpid() told. A command that its terminal stopped goes on: it holds what others wait for.
 */
static void
child_told(struct zk_child *child, int status)
{
	if (WIFSTOPPED(status) && !child->foreground)
		return;
	if (WIFSTOPPED(status)) {
		if (WSTOPSIG(status) == SIGTSTP)
			fprintf(stderr, "zk: the command cannot be stopped while others wait\n");
		terminal_give(child->pid);
		(void)kill(-child->pid, SIGCONT);
		return;
	}
	child->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	child->pid = 0;
	if (child->foreground)
		terminal_give(getpgrp());
}

void
zk_child_check(struct zk_child *child)
{
	int status;

	while (child->pid > 0 && waitpid(child->pid, &status, WNOHANG | WUNTRACED) == child->pid)
		child_told(child, status);
}

void
zk_child_wait(struct zk_child *child)
{
	int status;

	while (child->pid > 0) {
		if (waitpid(child->pid, &status, WUNTRACED) == child->pid)
			child_told(child, status);
		else if (errno != EINTR)
			child->pid = 0;
	}
}

void
zk_child_kill(const struct zk_child *child, int signo)
{
	if (child->pid > 0)
		(void)kill(child->foreground ? -child->pid : child->pid, signo);
}
