/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/cgroup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/spawn.h"
#include "tests/lib/unit.h"

static struct cgroup_host host;
static char group[64];

static void
setup(void)
{
	cgroup_host_probe(&host, "/proc/self/mounts");
	snprintf(group, sizeof group, "corral-unit.%d/a/task", (int)getpid());
}

static void
teardown(void)
{
	char top[64];

	snprintf(top, sizeof top, "corral-unit.%d", (int)getpid());
	if (!host.can_track)
		return;
	while (cgroup_kill(&host, top) == 0)
		waitpid(-1, NULL, WNOHANG);
	ck_assert(cgroup_remove(&host, top));
}

/* Start a shell in the group. */
static pid_t
start(const char *script)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
	int fds[CGROUP_HIERARCHIES_MAX], count;
	struct spawn s;
	pid_t pid;

	spawn_init(&s, "sh", argv, env);
	ck_assert_int_ge(count = cgroup_open_procs(&host, group, fds), 0);
	s.cgroup_directory_fd = cgroup_open_birthplace(&host, group);
	ck_assert_int_eq(s.cgroup_directory_fd >= 0, host.v2_track);
	s.cgroup_fds = fds;
	s.cgroup_count = (size_t)count;
	ck_assert_int_gt(pid = spawn_run(&s, NULL), 0);
	while (count > 0)
		close(fds[--count]);
	if (s.cgroup_directory_fd >= 0)
		close(s.cgroup_directory_fd);
	return pid;
}

static int
wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(processes_that_fork_and_ignore_signals_are_all_killed)
{
	pid_t pid;

	ck_assert(cgroup_make(&host, group, NULL, NULL));
	ck_assert_int_eq(cgroup_populated(&host, group), 0);
	pid = start("trap '' TERM; for i in 1 2 3 4; do (setsid sh -c 'sleep 600 & sleep 600') & "
		    "done; sleep 600");
	ck_assert_int_eq(cgroup_populated(&host, group), 1);
	ck_assert(!cgroup_remove(&host, group));
	ck_assert_int_eq(errno, EBUSY);
	while (cgroup_kill(&host, group) == 0)
		waitpid(pid, NULL, WNOHANG);
	ck_assert_int_eq(cgroup_populated(&host, group), 0);
	ck_assert(cgroup_remove(&host, group));
}
END_TEST

START_TEST(the_freezer_kills_as_well_as_cgroup2)
{
	pid_t pid;

	if (host.freezer[0] == '\0')
		return;
	host.v2_track = false;
	ck_assert(cgroup_make(&host, group, NULL, NULL));
	pid =
	    start("for i in 1 2 3 4; do (setsid sh -c 'sleep 600 & sleep 600') & done; sleep 600");
	ck_assert_int_eq(cgroup_populated(&host, group), 1);
	while (cgroup_kill(&host, group) == 0)
		waitpid(pid, NULL, WNOHANG);
	ck_assert_int_eq(cgroup_populated(&host, group), 0);
	ck_assert(cgroup_remove(&host, group));
}
END_TEST

/* A value to a file of the v1 freezer's group below ours. */
static void
write_below(const char *file, const char *value)
{
	char path[PATH_MAX + 200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s/below/%s", host.freezer, group, file);
	ck_assert_ptr_nonnull(f = fopen(path, "we"));
	ck_assert_int_gt(fprintf(f, "%s", value), 0);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(what_was_left_frozen_dies_too)
{
	char below[PATH_MAX + 200], number[16];
	pid_t pid;

	if (host.freezer[0] == '\0')
		return;
	host.v2_track = false;
	ck_assert(cgroup_make(&host, group, NULL, NULL));
	pid = start("exec sleep 600");
	snprintf(below, sizeof below, "%s/%s/below", host.freezer, group);
	ck_assert_int_eq(mkdir(below, 0700), 0);
	snprintf(number, sizeof number, "%d", (int)pid);
	write_below("cgroup.procs", number);
	write_below("freezer.state", "FROZEN");
	ck_assert_int_eq(cgroup_kill(&host, group), 0);
	ck_assert(WIFSIGNALED(wait_for(pid)));
	ck_assert(cgroup_remove(&host, group));
}
END_TEST

START_TEST(too_much_memory_is_a_kill_that_the_group_counts)
{
	struct cgroup_limits limits = {.memory_bytes = 16 << 20};
	struct cgroup_usage usage;
	int status;

	if (!host.can_limit_memory)
		return;
	ck_assert(cgroup_make(&host, group, &limits, NULL));
	status = wait_for(start("exec dd bs=128M count=1 if=/dev/zero of=/dev/null"));
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
	ck_assert(cgroup_usage(&host, group, &usage));
	ck_assert_uint_ge(usage.oom_kills, 1);
}
END_TEST

START_TEST(a_kill_by_another_hand_is_not_taken_for_want_of_memory)
{
	struct cgroup_limits limits = {.memory_bytes = 64 << 20};
	struct cgroup_usage usage;
	int status;

	ck_assert(cgroup_make(&host, group, &limits, NULL));
	status = wait_for(start("kill -9 $$"));
	ck_assert(WIFSIGNALED(status));
	ck_assert(cgroup_usage(&host, group, &usage));
	ck_assert_uint_eq(usage.oom_kills, 0);
}
END_TEST

START_TEST(no_more_processes_than_allowed_and_cpu_time_is_counted)
{
	struct cgroup_limits limits = {.pid_count = 3, .cpu_milli = 1000, .cpu_share_milli = 500};
	struct cgroup_usage usage;

	if (!host.can_limit_pids || !host.can_limit_cpu)
		return;
	ck_assert(cgroup_make(&host, group, &limits, NULL));
	ck_assert(cgroup_make(&host, group, &limits, NULL)); /* again is no error */
	ck_assert_int_ne(
	    wait_for(
		start("n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done; for i in 1 2 3 4 5; do "
		      "sleep 600 & done; wait")),
	    0);
	ck_assert(cgroup_usage(&host, group, &usage));
	ck_assert_uint_gt(usage.cpu_us, 0);
}
END_TEST

START_TEST(a_group_that_is_not_there_is_empty_and_removed)
{
	struct cgroup_usage usage;

	ck_assert_int_eq(cgroup_kill(&host, group), 1);
	ck_assert_int_eq(cgroup_populated(&host, group), 0);
	ck_assert(cgroup_remove(&host, group));
	ck_assert(!cgroup_usage(&host, group, &usage));
}
END_TEST

static bool
count_name(void *arg, const char *name)
{
	unsigned *count = arg;

	ck_assert(name[0] == 'a' || name[0] == 'b');
	return ++*count < 2;
}

START_TEST(the_groups_right_below_one_are_named)
{
	char below[PATH_MAX];
	unsigned count = 0;

	ck_assert(cgroup_each(&host, group, count_name, &count));
	ck_assert_uint_eq(count, 0);
	snprintf(below, sizeof below, "%s/a/not-this", group);
	ck_assert(cgroup_make(&host, below, NULL, NULL));
	ck_assert(cgroup_each(&host, group, count_name, &count));
	ck_assert_uint_eq(count, 1);
	for (const char *name = "bbb"; *name != '\0'; name++) {
		snprintf(below, sizeof below, "%s/%s", group, name);
		ck_assert(cgroup_make(&host, below, NULL, NULL));
	}
	count = 0;
	ck_assert(cgroup_each(&host, group, count_name, &count));
	ck_assert_uint_eq(count, 2); /* and then it ends */
}
END_TEST

/* A hierarchy that is made up, where cgroup.procs opens and does not let itself be read. */
static void
make_unreadable(char root[PATH_MAX], struct cgroup_host *to, const char *const files[][2])
{
	char path[PATH_MAX + 64];

	str_copy(root, PATH_MAX, unit_tmpdir());
	*to = (struct cgroup_host){.can_track = true};
	snprintf(path, sizeof path, "%s/a", root);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/a/cgroup.procs", root);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	for (size_t i = 0; files[i][0] != NULL; i++) {
		FILE *f;

		snprintf(path, sizeof path, "%s/a/%s", root, files[i][0]);
		ck_assert_ptr_nonnull(f = fopen(path, "we"));
		ck_assert_int_ge(fprintf(f, "%s", files[i][1]), 0);
		ck_assert_int_eq(fclose(f), 0);
	}
}

START_TEST(a_group_that_cannot_be_read_is_not_taken_for_empty)
{
	static const char *const v1[][2] = {{"freezer.state", "THAWED"}, {NULL, NULL}};
	struct cgroup_host h;
	char root[PATH_MAX];

	make_unreadable(root, &h, v1);
	str_copy(h.freezer, sizeof h.freezer, root);
	ck_assert_int_eq(cgroup_populated(&h, "a"), -1);
	ck_assert_int_eq(errno, EISDIR);
	ck_assert_int_eq(cgroup_kill(&h, "a"), -1);
	ck_assert_int_eq(cgroup_populated(&h, "b"), 0); /* which is not there */
}
END_TEST

START_TEST(a_kill_on_cgroup2_that_cannot_see_whom_it_kills_fails)
{
	static const char *const v2[][2] = {
	    {"cgroup.freeze", "0"}, {"cgroup.events", "populated 1\nfrozen 1\n"}, {NULL, NULL}};
	struct cgroup_host h;
	char root[PATH_MAX];

	make_unreadable(root, &h, v2);
	h.v2_track = true;
	str_copy(h.unified, sizeof h.unified, root);
	ck_assert_int_eq(cgroup_kill(&h, "a"), -1);
}
END_TEST

START_TEST(without_mounts_everything_is_named_as_missing)
{
	char text[200];

	cgroup_host_probe(&host, "/dev/null");
	ck_assert(!host.can_track);
	ck_assert(!cgroup_make(&host, group, NULL, NULL));
	ck_assert_int_eq(errno, ENOTSUP);
	cgroup_host_missing(&host, text, sizeof text);
	ck_assert_str_eq(
	    text, "process tracking by cgroup, cpu limit, memory limit, process count limit");
}
END_TEST

START_TEST(a_list_of_mounts_that_cannot_be_read_is_not_empty)
{
	ck_assert(cgroup_host_probe(&host, "/proc/no-such-file"));
	unit_leave_descriptors(0);
	ck_assert(!cgroup_host_probe(&host, "/proc/self/mounts"));
	ck_assert_int_eq(errno, EMFILE);
	unit_leave_descriptors(1);
	ck_assert(!cgroup_host_probe(&host, "/proc"));
	ck_assert_int_eq(errno, EISDIR);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("cgroup");
	TCase *t = tcase_create("groups"), *none = tcase_create("none");

	cgroup_host_probe(&host, "/proc/self/mounts");
	tcase_add_checked_fixture(t, setup, teardown);
	if (host.can_track) { /* that is, as root where cgroups are mounted */
		tcase_add_test(t, processes_that_fork_and_ignore_signals_are_all_killed);
		tcase_add_test(t, the_freezer_kills_as_well_as_cgroup2);
		tcase_add_test(t, what_was_left_frozen_dies_too);
		tcase_add_test(t, too_much_memory_is_a_kill_that_the_group_counts);
		tcase_add_test(t, a_kill_by_another_hand_is_not_taken_for_want_of_memory);
		tcase_add_test(t, no_more_processes_than_allowed_and_cpu_time_is_counted);
		tcase_add_test(t, the_groups_right_below_one_are_named);
		tcase_add_test(t, a_group_that_is_not_there_is_empty_and_removed);
	}
	tcase_add_test(none, a_group_that_cannot_be_read_is_not_taken_for_empty);
	tcase_add_test(none, a_kill_on_cgroup2_that_cannot_see_whom_it_kills_fails);
	tcase_add_test(none, a_list_of_mounts_that_cannot_be_read_is_not_empty);
	tcase_add_test(none, without_mounts_everything_is_named_as_missing);
	suite_add_tcase(s, t);
	suite_add_tcase(s, none);
	return s;
}
