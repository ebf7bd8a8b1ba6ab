/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns the acts of the core (core/life.h) into processes and timers, and what happens into its
 * inputs. Where updates go is its owner's: the link to an agent, or nowhere in the foreground.
 */
#ifndef CORRAL_EXECUTOR_RUNNER_H
#define CORRAL_EXECUTOR_RUNNER_H

#include <stdbool.h>

#include "executor/core/life.h"
#include "executor/task.h"
#include "libcommon/io/loop.h"

/* The exit status of a task that failed by what is ours, as env(1) has it. */
#define STATUS_OWN_FAILURE 125

struct runner_ops {
	/* Write the final status to disk, synced. May be NULL. */
	void (*save)(void *arg, const struct life_update *u);
	/* Tell the agent. May be NULL. */
	void (*send)(void *arg, const struct life_update *u, unsigned number);
	/* Nothing more is to be done: end the loop. */
	void (*leave)(void *arg);
	/* The task itself was started, or will never be. May be NULL. */
	void (*started)(void *arg);
	/* What was killed does not die. May be NULL. */
	void (*stuck)(void *arg);
};

struct runner {
	struct loop *loop;
	struct life life;
	struct task task;
	const Corral__TaskKey *key;
	const Corral__TaskSpec *spec;
	const char *sandbox;
	int stdin_fd; /* of the task itself; -1: /dev/null */
	struct timer deadline, sweep;
	uint32_t sweep_wait_ms;
	const struct runner_ops *ops;
	void *arg;
};

/* r->task was filled by the caller. False with errno. One runner a process: it takes SIGCHLD. */
bool runner_init(struct runner *r, struct loop *loop, const Corral__TaskKey *key,
    const Corral__TaskSpec *spec, const char *sandbox, uint64_t recovery_timeout_ms,
    const struct runner_ops *ops, void *arg);

/* Do what the core asks for, after each input to r->life; sets the timer. */
void runner_drain(struct runner *r);

#endif
