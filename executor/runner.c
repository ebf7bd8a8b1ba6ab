/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/runner.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "executor/taskenv.h"

#define SWEEP_WAIT_MS_MIN 1
#define SWEEP_WAIT_MS_MAX 1000

/* ---- Acts. ---- */

static void
start_process(struct runner *r, size_t step)
{
	bool main_step = step == LIFE_MAIN;
	Corral__ExecStep *pre = main_step ? NULL : r->spec->exec_start_pre[step];
	char **argv = main_step ? r->spec->argv : pre->argv;
	size_t count = main_step ? r->spec->n_argv : pre->n_argv;
	const char **list = taskenv_list(argv, count),
		   **env = taskenv_new(r->key, r->spec, r->sandbox);
	const char *what = "memory";
	int error = ENOMEM, status = STATUS_OWN_FAILURE;

	r->task.start_by_ms = life_start_by_ms(&r->life);
	if (list != NULL && env != NULL)
		error = task_start(&r->task, list, env, main_step ? r->stdin_fd : -1, &what);
	if (error != 0 && strcmp(what, "exec") == 0)
		status = spawn_exit_status(error);
	life_started(&r->life, error, status, what, clock_boot_ms(), clock_wall_ms());
	free(list);
	taskenv_free(env);
	if (main_step && r->ops->started != NULL)
		r->ops->started(r->arg);
}

/* Kill until nothing is left, looking again after a while that grows. */
static void
sweep(void *arg)
{
	struct runner *r = arg;

	if (task_sweep(&r->task)) {
		timer_cancel(&r->sweep);
		r->sweep_wait_ms = SWEEP_WAIT_MS_MIN;
		life_swept(&r->life, clock_boot_ms());
		runner_drain(r);
		return;
	}
	timer_set(&r->sweep, clock_boot_ms() + r->sweep_wait_ms);
	r->sweep_wait_ms =
	    r->sweep_wait_ms * 2 < SWEEP_WAIT_MS_MAX ? r->sweep_wait_ms * 2 : SWEEP_WAIT_MS_MAX;
}

static void
act(struct runner *r, const struct life_act *a)
{
	switch (a->kind) {
	case LIFE_ACT_START:
		start_process(r, a->step);
		break;
	case LIFE_ACT_SIGNAL:
		task_signal(&r->task, a->signo);
		break;
	case LIFE_ACT_KILL:
		r->sweep_wait_ms = SWEEP_WAIT_MS_MIN;
		sweep(r);
		break;
	case LIFE_ACT_SAVE:
		if (r->ops->save != NULL)
			r->ops->save(r->arg, &r->life.update[a->update]);
		break;
	case LIFE_ACT_SEND:
		if (r->ops->send != NULL)
			r->ops->send(r->arg, &r->life.update[a->update], a->update);
		break;
	case LIFE_ACT_STUCK:
		if (r->ops->stuck != NULL)
			r->ops->stuck(r->arg);
		break;
	case LIFE_ACT_LEAVE:
		r->ops->leave(r->arg);
		break;
	}
}

void
runner_drain(struct runner *r)
{
	uint64_t at_ms;
	struct life_act a;

	while (life_next(&r->life, &a))
		act(r, &a);
	if ((at_ms = life_deadline_ms(&r->life)) != UINT64_MAX)
		timer_set(&r->deadline, at_ms);
	else
		timer_cancel(&r->deadline);
}

/* ---- Events. ---- */

static void
on_deadline(void *arg)
{
	struct runner *r = arg;

	life_tick(&r->life, clock_boot_ms());
	runner_drain(r);
}

static void
on_child(void *arg, int signo)
{
	struct runner *r = arg;
	struct task_end end = task_reap(&r->task);
	struct cgroup_usage usage;

	(void)signo;
	if (end.ended) {
		struct life_exit e = {.wait_status = end.wait_status};

		task_usage(&r->task, &usage); /* before the group goes */
		e.out_of_memory = usage.oom_kills > 0;
		e.cpu_ms = usage.cpu_us / 1000;
		e.memory_bytes = usage.memory_bytes;
		life_exited(&r->life, &e, clock_boot_ms(), clock_wall_ms());
		runner_drain(r);
	}
	if (r->life.state == LIFE_SWEEPING)
		sweep(r);
}

bool
runner_init(struct runner *r, struct loop *loop, const Corral__TaskKey *key,
    const Corral__TaskSpec *spec, const char *sandbox, uint64_t recovery_timeout_ms,
    const struct runner_ops *ops, void *arg)
{
	uint8_t uuids[2 * LIFE_UUID_BYTES];

	if (getrandom(uuids, sizeof uuids, 0) != (ssize_t)sizeof uuids)
		return false;
	r->loop = loop;
	r->key = key;
	r->spec = spec;
	r->sandbox = sandbox;
	r->stdin_fd = -1;
	r->sweep_wait_ms = SWEEP_WAIT_MS_MIN;
	r->ops = ops;
	r->arg = arg;
	life_init(&r->life, spec, uuids, recovery_timeout_ms, clock_boot_ms());
	timer_init(&r->deadline, loop, on_deadline, r);
	timer_init(&r->sweep, loop, sweep, r);
	return loop_on_signal(loop, SIGCHLD, on_child, r);
}
