/* SPDX-License-Identifier: Apache-2.0 */
/* Which process is an attempt's: one that was noted, one that was not, and what cannot be seen. */
#include "agent/launched.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/sandbox.h"
#include "libcommon/base/str.h"
#include "tests/lib/unit.h"

#define NAME "1-0-1-1-1"
#define LEAST_MAX 32 /* descriptors; a look takes less */

static char state[PATH_MAX];
static pid_t executor;

/* `sh attempt NAME STATE`, where the script stands still. */
static pid_t
start_executor(void)
{
	int script = open("attempt", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), ready[2];
	pid_t pid;
	char c;

	ck_assert_int_ge(script, 0);
	ck_assert_int_gt(dprintf(script, "echo; kill -STOP $$\n"), 0);
	ck_assert_int_eq(close(script), 0);
	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	if ((pid = fork()) == 0) {
		dup2(ready[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "attempt", NAME, state, (char *)NULL);
		_exit(1);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void
setup(void)
{
	char path[PATH_MAX + 64];

	str_copy(state, sizeof state, unit_tmpdir());
	ck_assert_int_eq(chdir(state), 0);
	ck_assert(sandbox_prepare(state, getegid()));
	snprintf(path, sizeof path, "%s/run/" NAME, state);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	executor = start_executor();
}

static void
teardown(void)
{
	unit_leave_descriptors(UNIT_ALL_DESCRIPTORS);
	kill(executor, SIGKILL);
	waitpid(executor, NULL, 0);
}

static bool
count_executor(void *arg, const char *name, const struct proc_id *id)
{
	unsigned *count = arg;

	(void)name;
	*count += id->pid == executor;
	return true;
}

/* With each number of descriptors that is left: it is found, or it cannot be seen. */
static void
look_with_ever_more_descriptors(void)
{
	unsigned blind = 0, count, left = 0;
	struct proc_id id;
	int rc;

	for (rc = 0; rc != 1; left++, blind += rc < 0) {
		unit_leave_descriptors(left);
		ck_assert_uint_lt(left, LEAST_MAX);
		ck_assert_int_ne(rc = launched_find(state, NAME, &id), 0);
		ck_assert(rc == 1 || errno == EMFILE);
	}
	ck_assert_int_eq(id.pid, executor);
	ck_assert_uint_gt(blind, 1);
	for (left = 0;; left++) {
		unit_leave_descriptors(left);
		ck_assert_uint_lt(left, LEAST_MAX);
		count = 0;
		if (launched_each(state, count_executor, &count))
			break;
		ck_assert_int_eq(errno, EMFILE);
	}
	ck_assert_uint_ge(count, 1);
}

START_TEST(an_executor_that_runs_is_found_or_cannot_be_seen)
{
	look_with_ever_more_descriptors();
}
END_TEST

START_TEST(an_executor_that_was_noted_is_found_or_cannot_be_seen)
{
	struct proc_id id;

	ck_assert(proc_identify(executor, &id));
	ck_assert(launched_note(state, NAME, &id));
	look_with_ever_more_descriptors();
}
END_TEST

START_TEST(one_that_is_not_there_is_not_found_and_that_is_no_error)
{
	struct proc_id id;
	unsigned count = 0;

	kill(executor, SIGKILL);
	waitpid(executor, NULL, 0);
	ck_assert_int_eq(launched_find(state, NAME, &id), 0);
	ck_assert_int_eq(launched_find(state, "2-0-1-1-1", &id), 0);
	ck_assert(launched_each(state, count_executor, &count));
	ck_assert_uint_eq(count, 0);
	executor = start_executor();
}
END_TEST

/* What a task of our own account may have put there. */
START_TEST(what_is_no_plain_file_is_no_note)
{
	char path[PATH_MAX + 64];
	struct proc_id id;

	snprintf(path, sizeof path, "%s/run/" NAME "/executor", state);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(launched_find(state, NAME, &id), 1);
	ck_assert_int_eq(remove(path), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	ck_assert_int_eq(launched_find(state, NAME, &id), 1);
	ck_assert_int_eq(id.pid, executor);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("launched");
	TCase *t = tcase_create("launched");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_executor_that_runs_is_found_or_cannot_be_seen);
	tcase_add_test(t, an_executor_that_was_noted_is_found_or_cannot_be_seen);
	tcase_add_test(t, one_that_is_not_there_is_not_found_and_that_is_no_error);
	tcase_add_test(t, what_is_no_plain_file_is_no_note);
	suite_add_tcase(s, t);
	return s;
}
