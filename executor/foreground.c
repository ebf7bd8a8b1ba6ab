/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "executor/runner.h"
#include "executor/spec.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/tasklimits.h"

struct foreground {
	struct runner runner;
	struct spawn_user user;
	char cgroup[64];
	char directory[PATH_MAX];
	bool interrupted;
};

static void
on_leave(void *arg)
{
	struct foreground *f = arg;

	loop_stop(f->runner.loop, 0);
}

/* The final status is at home as soon as it is made. */
static void
on_save(void *arg, const struct life_update *u)
{
	struct foreground *f = arg;

	if (u->message[0] != '\0')
		log_error("%s", u->message);
	else if (u->reason == CORRAL__TASK_REASON__REASON_OUT_OF_MEMORY)
		log_error("the task was killed for want of memory: it may have %llu bytes",
		    (unsigned long long)f->runner.spec->memory_max_bytes);
	else if (u->reason == CORRAL__TASK_REASON__REASON_TIME_LIMIT)
		log_error("the task was stopped at its time limit of %llu ms",
		    (unsigned long long)f->runner.spec->runtime_max_ms);
	life_acked(&f->runner.life, u->uuid, sizeof u->uuid);
}

/* The first signal stops with grace, the second at once. */
static void
on_stop(void *arg, int signo)
{
	struct foreground *f = arg;

	(void)signo;
	life_stop(&f->runner.life, f->interrupted, loop_now_ms(f->runner.loop));
	f->interrupted = true;
	runner_drain(&f->runner);
}

static bool
prepare_cgroup(struct foreground *f, const Corral__TaskSpec *spec)
{
	struct task *t = &f->runner.task;
	struct cgroup_limits limits;
	char place[PATH_MAX];

	if (!cgroup_host_probe(&t->host, "/proc/self/mounts")) {
		log_error_errno("/proc/self/mounts");
		return false;
	}
	if (!t->host.can_track) {
		cgroup_host_missing(&t->host, place, sizeof place);
		log_warn("this task runs without: %s (needs root)", place);
		return true;
	}
	tasklimits_of(spec, &limits);
	snprintf(f->cgroup, sizeof f->cgroup, "corral-run.%d", (int)getpid());
	/* Of a process of our number that was killed: what it left is not ours to enter. */
	if (!cgroup_remove(&t->host, f->cgroup)) {
		log_error_errno("cgroup %s is there already", f->cgroup);
		f->cgroup[0] = '\0';
		return false;
	}
	if (!cgroup_make(&t->host, f->cgroup, &limits, place)) {
		log_error_errno("%s", place);
		return false;
	}
	t->cgroup = f->cgroup;
	t->pid_namespace = geteuid() == 0;
	return true;
}

static bool
prepare(struct foreground *f, const Corral__TaskSpec *spec)
{
	struct task *t = &f->runner.task;
	const char *directory = spec->working_directory;

	task_init(t);
	t->stdout_fd = STDOUT_FILENO;
	t->stderr_fd = STDERR_FILENO;
	if (getcwd(f->directory, sizeof f->directory) == NULL) {
		log_error_errno("the current directory");
		return false;
	}
	if ((t->directory_fd = open(f->directory, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) {
		log_error_errno("%s", f->directory);
		return false;
	}
	t->directory = directory != NULL && *directory != '\0' ? directory : NULL;
	if (spec->user != NULL && *spec->user != '\0') {
		if (!spawn_user_find(spec->user, &f->user)) {
			log_error("account %s: %s", spec->user,
			    errno == 0 ? "there is none of that name" : strerror(errno));
			return false;
		}
		if (f->user.uid != geteuid())
			t->user = &f->user;
	}
	return prepare_cgroup(f, spec);
}

static const struct runner_ops foreground_ops = {.save = on_save, .leave = on_leave};

static int
run(struct foreground *f, const Corral__TaskSpec *spec)
{
	Corral__Term term = CORRAL__TERM__INIT;
	Corral__TaskKey key = CORRAL__TASK_KEY__INIT;
	struct loop *loop = loop_new();
	static char job[] = "run";

	key.job = job;
	key.attempt = 1;
	key.term = &term;
	if (loop == NULL || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 ||
	    !runner_init(&f->runner, loop, &key, spec, f->directory, 0, &foreground_ops, f) ||
	    !loop_on_signal(loop, SIGTERM, on_stop, f) ||
	    !loop_on_signal(loop, SIGINT, on_stop, f) ||
	    !loop_on_signal(loop, SIGHUP, on_stop, f)) {
		log_error_errno("starting");
		return STATUS_OWN_FAILURE;
	}
	f->runner.stdin_fd = STDIN_FILENO;
	life_lease(&f->runner.life, UINT64_MAX, clock_boot_ms());
	life_word(&f->runner.life, clock_boot_ms());
	runner_drain(&f->runner);
	if (f->runner.life.state != LIFE_GONE)
		loop_run(loop, NULL, NULL);
	loop_free(loop);
	return life_exit_status(&f->runner.life);
}

int
foreground_run(const char *spec_path)
{
	struct foreground f = {0};
	Corral__TaskSpec *spec = spec_read(spec_path);
	int status = STATUS_OWN_FAILURE;

	if (spec == NULL)
		return STATUS_OWN_FAILURE;
	if (prepare(&f, spec))
		status = run(&f, spec);
	if (f.cgroup[0] != '\0' && !cgroup_remove(&f.runner.task.host, f.cgroup))
		log_warn_errno("removing cgroup %s", f.cgroup);
	if (f.runner.task.directory_fd >= 0)
		close(f.runner.task.directory_fd);
	corral__task_spec__free_unpacked(spec, NULL);
	return status;
}
