/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/unit.h"

static const char *const env[] = {"PATH=/usr/bin:/bin", "ANSWER=42", NULL};

/* Run a shell script with its standard output in text; returns its wait status. */
static int
run_script(struct spawn *s, const char *script, char *text, size_t size)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	int out[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	s->path = "sh";
	s->argv = argv;
	s->env = env;
	s->stdout_fd = out[1];
	pid = spawn_run(s, NULL);
	close(out[1]);
	ck_assert_int_gt(pid, 0);
	while ((n = read(out[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(out[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(a_program_that_is_not_there_is_an_errno_and_no_child)
{
	const char *const argv[] = {"x", NULL};
	const char *step = NULL;
	struct spawn s;

	spawn_init(&s, "/no/such/program", argv, env);
	ck_assert_int_eq(spawn_run(&s, &step), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(step, "exec");
	ck_assert_int_eq(spawn_exit_status(errno), 127);
	s.path = "/etc/passwd";
	ck_assert_int_eq(spawn_run(&s, &step), -1);
	ck_assert_int_eq(spawn_exit_status(errno), 126);
	s.path = "no-such-program-anywhere";
	ck_assert_int_eq(spawn_run(&s, &step), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(the_child_has_only_what_it_was_given)
{
	int leak = open("/dev/null", O_RDONLY), kept = open("/etc/passwd", O_RDONLY);
	char text[PATH_MAX];
	struct spawn s;

	spawn_init(&s, NULL, NULL, NULL);
	s.keep_fds[0] = kept;
	s.keep_count = 1;
	ck_assert_int_ge(leak, 0);
	ck_assert_int_eq(run_script(&s,
			     "readlink /proc/$$/fd/0 /proc/$$/fd/3; ls -m /proc/$$/fd; "
			     "echo $ANSWER; set | grep -c HOME",
			     text, sizeof text),
	    256);
	ck_assert_str_eq(text, "/dev/null\n/etc/passwd\n0, 1, 2, 3\n42\n0\n");
	close(leak);
	close(kept);
}
END_TEST

START_TEST(session_directory_limits_and_signals_are_set)
{
	struct spawn_limit limit = {RLIMIT_NOFILE, {77, 77}};
	char text[PATH_MAX], want[PATH_MAX];
	struct spawn s;

	signal(SIGUSR1, SIG_IGN);
	spawn_init(&s, NULL, NULL, NULL);
	ck_assert_int_ge(s.directory_fd = open(unit_tmpdir(), O_PATH | O_DIRECTORY), 0);
	s.new_session = true;
	s.limits = &limit;
	s.limit_count = 1;
	ck_assert_int_eq(run_script(&s,
			     "pwd; ulimit -n; grep SigIgn /proc/self/status | cut -f2;"
			     "set -- $(cat /proc/$$/stat); test $1 = $6 && echo leader",
			     text, sizeof text),
	    0);
	snprintf(want, sizeof want, "%s\n77\n0000000000000000\nleader\n", unit_tmpdir());
	ck_assert_str_eq(text, want);
	close(s.directory_fd);
}
END_TEST

START_TEST(a_handler_of_ours_is_back_after_the_spawn)
{
	const char *const argv[] = {"true", NULL};
	struct sigaction sa;
	sigset_t mask;
	struct spawn s;
	pid_t pid;

	signal(SIGUSR1, SIG_IGN);
	spawn_init(&s, "true", argv, env);
	ck_assert_int_gt(pid = spawn_run(&s, NULL), 0);
	sigaction(SIGUSR1, NULL, &sa);
	ck_assert(sa.sa_handler == SIG_IGN);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	ck_assert(!sigismember(&mask, SIGTERM));
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(another_account_is_taken_with_its_groups_and_keeps_nothing_of_ours)
{
	struct spawn_user user;
	char text[PATH_MAX];
	struct spawn s;

	if (geteuid() != 0)
		return; /* the next test has what an ordinary user sees */
	ck_assert(spawn_user_find("nobody", &user));
	spawn_init(&s, NULL, NULL, NULL);
	s.user = &user;
	s.no_new_privs = true;
	s.death_signal = SIGKILL;
	ck_assert_int_eq(
	    run_script(&s, "id -un; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status | cut -f2",
		text, sizeof text),
	    0);
	ck_assert_str_eq(text, "nobody\n0000000000000000\n1\n");
}
END_TEST

START_TEST(without_the_right_another_account_is_refused_by_name_of_the_step)
{
	const char *const argv[] = {"true", NULL};
	struct spawn_user user = {.uid = 4242, .gid = 4242};
	const char *step = NULL;
	struct spawn s;

	if (geteuid() == 0)
		ck_assert_int_eq(setresuid(1000, 1000, 1000), 0);
	spawn_init(&s, "true", argv, env);
	s.user = &user;
	ck_assert_int_eq(spawn_run(&s, &step), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_str_eq(step, "setuid");
}
END_TEST

START_TEST(an_unknown_account_is_no_error_of_the_system)
{
	struct spawn_user user;

	ck_assert(!spawn_user_find("no-such-account", &user));
	ck_assert_int_eq(errno, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("spawn");
	TCase *t = tcase_create("spawn");

	tcase_add_test(t, a_program_that_is_not_there_is_an_errno_and_no_child);
	tcase_add_test(t, the_child_has_only_what_it_was_given);
	tcase_add_test(t, session_directory_limits_and_signals_are_set);
	tcase_add_test(t, a_handler_of_ours_is_back_after_the_spawn);
	tcase_add_test(t, another_account_is_taken_with_its_groups_and_keeps_nothing_of_ours);
	tcase_add_test(t, without_the_right_another_account_is_refused_by_name_of_the_step);
	tcase_add_test(t, an_unknown_account_is_no_error_of_the_system);
	suite_add_tcase(s, t);
	return s;
}
