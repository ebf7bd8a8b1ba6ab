/* SPDX-License-Identifier: Apache-2.0 */
/* The end of an executor's task, over files that stand for the kernel's of a control group. */
#include "executor/task.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/sys/fsutil.h"
#include "tests/lib/unit.h"

static struct task task;

static const char *
path_of(const char *file)
{
	static char path[PATH_MAX + 32];

	snprintf(path, sizeof path, "%s/group/%s", task.host.unified, file);
	return path;
}

static void
put(const char *file, const char *text)
{
	ck_assert(fsutil_write_fleeting(path_of(file), text, strlen(text), 0600));
}

/* A task that sleeps, in a group of a kernel that has cgroup.kill. */
static void
setup(void)
{
	static const char *const argv[] = {"/bin/sleep", "600", NULL}, *const env[] = {NULL};
	const char *what;
	char text[32];

	task_init(&task);
	ck_assert_int_eq(task_start(&task, argv, env, -1, &what), 0);
	task.cgroup = "group";
	task.host.v2_track = task.host.can_track = true;
	snprintf(task.host.unified, sizeof task.host.unified, "%s", unit_tmpdir());
	ck_assert(fsutil_mkdirs(path_of(""), 0700));
	snprintf(text, sizeof text, "%d\n", (int)task.pid);
	put("cgroup.procs", text);
	put("cgroup.freeze", "0");
	put("cgroup.events", "populated 1\nfrozen 1\n");
}

static void
reaped(void)
{
	siginfo_t info;

	ck_assert_int_eq(waitid(P_PID, (id_t)task.pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert(task_reap(&task).ended);
}

START_TEST(where_cgroup_kill_refuses_the_frozen_are_killed_one_by_one)
{
	ck_assert_int_eq(mkdir(path_of("cgroup.kill"), 0700), 0); /* whoever writes to it fails */
	ck_assert(!task_sweep(&task));
	reaped();
	ck_assert(!task_sweep(&task)); /* the kernel says that somebody is in it yet */
	put("cgroup.events", "populated 0\nfrozen 0\n");
	ck_assert(task_sweep(&task));
	ck_assert(!task.unseen);
}
END_TEST

START_TEST(a_task_is_not_over_before_its_group_was_seen_empty)
{
	ck_assert_int_eq(unlink(path_of("cgroup.events")), 0);
	ck_assert_int_eq(mkdir(path_of("cgroup.events"), 0700), 0); /* it cannot be read */
	ck_assert(!task_sweep(&task));
	reaped(); /* the task itself was ended all the same */
	ck_assert(!task_sweep(&task));
	ck_assert(task.unseen);
	ck_assert_int_eq(rmdir(path_of("cgroup.events")), 0);
	put("cgroup.events", "populated 0\nfrozen 0\n");
	ck_assert(task_sweep(&task));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("task");
	TCase *t = tcase_create("task");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, where_cgroup_kill_refuses_the_frozen_are_killed_one_by_one);
	tcase_add_test(t, a_task_is_not_over_before_its_group_was_seen_empty);
	suite_add_tcase(s, t);
	return s;
}
