/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/proc.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/unit.h"

static pid_t
sleeper(bool own_session)
{
	int ready[2];
	char c;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	if ((pid = fork()) == 0) {
		if (own_session)
			setsid();
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

START_TEST(a_process_is_known_by_its_number_and_its_start)
{
	struct proc_id me, other;
	pid_t pid = sleeper(false);

	ck_assert(proc_identify(getpid(), &me));
	ck_assert_int_eq(proc_is_alive(&me), 1);
	ck_assert(proc_identify(pid, &other));
	other.start_time++;
	ck_assert_int_eq(proc_is_alive(&other), 0);
	ck_assert(!proc_signal(&other, SIGKILL));
	ck_assert_int_eq(errno, ESRCH);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0); /* unharmed */
	other.start_time--;
	ck_assert(proc_signal(&other, SIGKILL));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(proc_is_alive(&other), 0);
}
END_TEST

START_TEST(a_zombie_is_not_alive_and_its_descriptor_is_readable)
{
	pid_t pid = sleeper(false);
	struct pollfd p = {.events = POLLIN};
	struct proc_id id;

	ck_assert(proc_identify(pid, &id));
	ck_assert_int_ge(p.fd = proc_open(&id), 0);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	kill(pid, SIGKILL);
	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	ck_assert_int_eq(proc_is_alive(&id), 0);
	close(p.fd);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(the_session_of_a_dead_leader_is_still_found_and_killed)
{
	pid_t leader, member;
	struct proc_id id;
	int pipefd[2];

	ck_assert_int_eq(pipe(pipefd), 0);
	if ((leader = fork()) == 0) {
		setsid();
		if ((member = fork()) > 0 &&
		    write(pipefd[1], &member, sizeof member) == sizeof member)
			pause();
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(pipefd[0], &member, sizeof member), sizeof member);
	ck_assert(proc_identify(leader, &id));
	ck_assert_int_eq(proc_count_session(&id), 2);
	kill(leader, SIGKILL);
	waitpid(leader, NULL, 0);
	ck_assert_int_eq(proc_count_session(&id), 1);
	while (proc_kill_session(&id) > 0)
		;
	ck_assert_int_eq(proc_count_session(&id), 0);
}
END_TEST

START_TEST(a_session_of_the_same_number_and_another_start_is_left_alone)
{
	pid_t pid = sleeper(true);
	struct proc_id id;

	ck_assert(proc_identify(pid, &id));
	ck_assert_int_eq(proc_count_session(&id), 1);
	id.start_time--;
	ck_assert_int_eq(proc_kill_session(&id), 0);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

/* One that leads its session with a member, one that leads none, and one that is not meant. */
START_TEST(many_sessions_are_killed_at_one_look)
{
	pid_t leader = sleeper(true), alone = sleeper(false), other = sleeper(true);
	struct proc_id ids[4];

	ck_assert(proc_identify(leader, &ids[0]) && proc_identify(alone, &ids[1]) &&
		  proc_identify(other, &ids[2]));
	ids[2].start_time--;
	ids[3] = (struct proc_id){0, 0};
	ck_assert_int_eq(proc_kill_sessions(ids, 4), 2);
	ck_assert_int_eq(waitpid(leader, NULL, 0), leader);
	ck_assert_int_eq(waitpid(alone, NULL, 0), alone);
	ck_assert_int_eq(waitpid(other, NULL, WNOHANG), 0);
	ck_assert_int_eq(proc_kill_sessions(ids, 2), 0);
	ck_assert_int_eq(proc_kill_sessions(NULL, 0), 0);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}
END_TEST

START_TEST(the_boot_id_is_a_uuid_and_stays)
{
	char a[PROC_BOOT_ID_BYTES], b[PROC_BOOT_ID_BYTES];

	ck_assert(proc_boot_id(a) && proc_boot_id(b));
	ck_assert_str_eq(a, b);
	ck_assert_int_eq(a[8], '-');
}
END_TEST

static bool
count_process(void *arg, pid_t pid, const struct proc_stat *st)
{
	unsigned *count = arg;

	(void)pid;
	(void)st;
	++*count;
	return true;
}

START_TEST(what_cannot_be_looked_at_is_not_taken_for_gone)
{
	pid_t leader = sleeper(true);
	struct proc_id id, copy;
	unsigned count = 0;

	ck_assert(proc_identify(leader, &id));
	copy = id;
	unit_leave_descriptors(0);
	ck_assert_int_eq(proc_is_alive(&id), -1);
	ck_assert_int_eq(errno, EMFILE);
	ck_assert_int_eq(proc_kill_session(&id), -1);
	ck_assert_int_eq(proc_kill_sessions(&copy, 1), -1);
	ck_assert_int_eq(errno, EMFILE);
	unit_leave_descriptors(1); /* for the list, or the process */
	ck_assert_int_eq(proc_is_alive(&id), 1);
	ck_assert_int_eq(proc_open(&id), -1);
	ck_assert_int_eq(errno, EMFILE);
	ck_assert(!proc_each(count_process, &count));
	ck_assert_int_eq(errno, EMFILE);
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(proc_count_session(&id), -1);
	unit_leave_descriptors(3); /* the list, the process, its descriptor */
	ck_assert(proc_each(count_process, &count));
	ck_assert_uint_gt(count, 1);
	ck_assert_int_eq(proc_kill_session(&id), 1);
	ck_assert_int_eq(waitpid(leader, NULL, 0), leader);
	ck_assert_int_eq(proc_is_alive(&id), 0);
}
END_TEST

/* A /proc with hidepid=, to an account that is not root. False: we may not make one. */
static bool
hide_processes(int level)
{
	char option[32];

	snprintf(option, sizeof option, "hidepid=%d", level);
	return unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("proc", "/proc", "proc", 0, option) == 0 &&
	       setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0;
}

/* (Who gave root up is not dumpable, and so hidden from its own account.) */
START_TEST(what_is_hidden_is_not_taken_for_gone)
{
	struct proc_id own, init = {.pid = 1};

	if (!hide_processes(_i))
		return;
	own = (struct proc_id){.pid = sleeper(true)};
	ck_assert_int_eq(proc_is_alive(&own), -1);
	ck_assert_int_eq(errno, EACCES);
	ck_assert_int_eq(proc_kill_session(&own), -1);
	ck_assert_int_eq(waitpid(own.pid, NULL, WNOHANG), 0);
	ck_assert_int_eq(proc_is_alive(&init), 0); /* another account's is none that we meant */
	kill(own.pid, SIGKILL);
	ck_assert_int_eq(waitpid(own.pid, NULL, 0), own.pid);
	ck_assert_int_eq(proc_is_alive(&own), 0);
	ck_assert_int_eq(proc_kill_session(&own), 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("proc");
	TCase *t = tcase_create("proc");

	tcase_add_test(t, a_process_is_known_by_its_number_and_its_start);
	tcase_add_test(t, a_zombie_is_not_alive_and_its_descriptor_is_readable);
	tcase_add_test(t, the_session_of_a_dead_leader_is_still_found_and_killed);
	tcase_add_test(t, a_session_of_the_same_number_and_another_start_is_left_alone);
	tcase_add_test(t, many_sessions_are_killed_at_one_look);
	tcase_add_test(t, what_cannot_be_looked_at_is_not_taken_for_gone);
	tcase_add_loop_test(t, what_is_hidden_is_not_taken_for_gone, 1, 3);
	tcase_add_test(t, the_boot_id_is_a_uuid_and_stays);
	suite_add_tcase(s, t);
	return s;
}
