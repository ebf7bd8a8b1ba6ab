/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's launch of an executor that it cannot look at, over a machine that is made up here.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/helper_internal.h"
#include "agent/launched.h"
#include "agent/sandbox.h"
#include "libcommon/base/str.h"
#include "tests/lib/unit.h"

static struct helper helper;
static char error[HELPER_ERROR_BYTES];
static pid_t executor;

/* --- the machine --- */

void
spawn_init(struct spawn *s, const char *path, const char *const *argv, const char *const *env)
{
	(void)path;
	(void)argv;
	(void)env;
	*s = (struct spawn){.cgroup_directory_fd = -1};
}

bool
spawn_user_find(const char *name, struct spawn_user *to)
{
	(void)name;
	(void)to;
	errno = 0;
	return false;
}

pid_t
spawn_run(const struct spawn *s, const char **step)
{
	(void)s;
	(void)step;
	if ((executor = fork()) == 0)
		for (;;)
			pause();
	ck_assert_int_gt(executor, 0);
	return executor;
}

bool
proc_identify(pid_t pid, struct proc_id *to)
{
	(void)pid;
	(void)to;
	errno = ENOMEM;
	return false;
}

bool
cgroup_make(const struct cgroup_host *h, const char *group, const struct cgroup_limits *limits,
    char place[PATH_MAX])
{
	(void)h;
	(void)group;
	(void)limits;
	(void)place;
	return true;
}

int
cgroup_open_birthplace(const struct cgroup_host *h, const char *group)
{
	(void)h;
	(void)group;
	return -1;
}

int
cgroup_open_procs(const struct cgroup_host *h, const char *group, int fds[CGROUP_HIERARCHIES_MAX])
{
	(void)h;
	(void)group;
	(void)fds;
	return 0;
}

bool
cgroup_remove(const struct cgroup_host *h, const char *group)
{
	(void)h;
	(void)group;
	return true;
}

void
cgroup_remove_if_empty(const struct cgroup_host *h, const char *group)
{
	(void)h;
	(void)group;
}

bool
sandbox_make(const char *state_dir, const char *name, const struct sandbox_owner *task,
    gid_t reader_gid, const char **what)
{
	(void)state_dir;
	(void)name;
	(void)task;
	(void)reader_gid;
	(void)what;
	return true;
}

bool
launched_note(const char *state_dir, const char *name, const struct proc_id *id)
{
	(void)state_dir;
	(void)name;
	(void)id;
	ck_abort_msg("there is nothing to be noted");
	return false;
}

/* --- helper.c --- */

bool
helper_refuse(char *to, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to, HELPER_ERROR_BYTES, fmt, ap);
	va_end(ap);
	return false;
}

bool
helper_path_is(const char *given, const char *state_dir, const char *part, const char *name)
{
	(void)given;
	(void)state_dir;
	(void)part;
	(void)name;
	return true;
}

void
helper_group_name(const struct helper *h, const char *name, const char *part, char to[PATH_MAX])
{
	snprintf(to, PATH_MAX, "%s/%s/%s", h->base, name, part);
}

/* --- tests --- */

static bool
launch(Corral__HelperReply *reply)
{
	Corral__HelperLaunch r = CORRAL__HELPER_LAUNCH__INIT;
	Corral__TaskKey key = CORRAL__TASK_KEY__INIT;
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	Corral__Term term = CORRAL__TERM__INIT;
	static char address[] = "127.0.0.1:1", path[] = "/state";

	key.term = &term;
	r.key = &key;
	r.spec = &spec;
	r.agent_address = address;
	r.sandbox = r.run_directory = path;
	error[0] = '\0';
	return helper_launch(&helper, "1-0-1-1-1", &r, reply, error);
}

static void
setup(void)
{
	str_copy(helper.base, sizeof helper.base, "base");
	helper.conf.state_dir = "/state";
	helper.conf.executor_listen = "127.0.0.1:0";
	helper.host.v2_limits = true;
}

START_TEST(one_in_a_cgroup_runs_and_says_itself_who_it_is)
{
	Corral__HelperReply reply = CORRAL__HELPER_REPLY__INIT;

	helper.host.can_track = true;
	ck_assert_msg(launch(&reply), "%s", error);
	ck_assert_str_eq(error, "");
	ck_assert(!reply.has_pid && !reply.has_start_time);
	ck_assert_int_eq(waitpid(executor, NULL, WNOHANG), 0);
	kill(executor, SIGKILL);
	ck_assert_int_eq(waitpid(executor, NULL, 0), executor);
}
END_TEST

START_TEST(one_without_a_cgroup_is_ended_before_the_launch_is_refused)
{
	Corral__HelperReply reply = CORRAL__HELPER_REPLY__INIT;
	siginfo_t info;

	helper.host.can_track = false;
	ck_assert(!launch(&reply));
	ck_assert_ptr_nonnull(strstr(error, strerror(ENOMEM)));
	kill(executor, SIGTERM); /* else this would be what ends it */
	ck_assert_int_eq(waitid(P_PID, (id_t)executor, &info, WEXITED), 0);
	ck_assert_int_eq(info.si_status, SIGKILL);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("launch");
	TCase *t = tcase_create("launch");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, one_in_a_cgroup_runs_and_says_itself_who_it_is);
	tcase_add_test(t, one_without_a_cgroup_is_ended_before_the_launch_is_refused);
	suite_add_tcase(s, t);
	return s;
}
