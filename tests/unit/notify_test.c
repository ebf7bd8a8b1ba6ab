/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/unit.h"

static int fd;

/* Listen as the manager would, under a name that NOTIFY_SOCKET gives. */
static void
listen_at(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	ck_assert_uint_lt(strlen(name), sizeof at.sun_path);
	memcpy(at.sun_path, name, strlen(name));
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
	    0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static const char *
received(void)
{
	static char text[2048];
	ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	return text;
}

START_TEST(each_message_is_what_systemd_expects)
{
	char name[300];

	snprintf(name, sizeof name, "%s/notify", unit_tmpdir());
	listen_at(name);
	ck_assert(notify_ready("leader, 3 nodes"));
	ck_assert_str_eq(received(), "READY=1\nSTATUS=leader, 3 nodes");
	ck_assert(notify_ready(NULL));
	ck_assert_str_eq(received(), "READY=1");
	ck_assert(notify_status("%d of %d\nSTOPPING=1", 1, 2));
	ck_assert_str_eq(received(), "STATUS=1 of 2 STOPPING=1");
	ck_assert(notify_reloading());
	ck_assert_int_eq(strncmp(received(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	ck_assert(notify_stopping());
	ck_assert_str_eq(received(), "STOPPING=1");
	ck_assert(notify_watchdog());
	ck_assert_str_eq(received(), "WATCHDOG=1");
}
END_TEST

START_TEST(an_abstract_socket_is_reached)
{
	char name[60];

	snprintf(name, sizeof name, "@corral-notify-test-%d", (int)getpid());
	listen_at(name);
	ck_assert(notify_stopping());
	ck_assert_str_eq(received(), "STOPPING=1");
}
END_TEST

START_TEST(a_manager_that_does_not_read_holds_no_daemon_up)
{
	char name[300];
	int sent = 0;

	snprintf(name, sizeof name, "%s/full", unit_tmpdir());
	listen_at(name);
	while (notify_watchdog())
		ck_assert_int_lt(++sent, 100000);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert(!notify_status("leader") && errno == EAGAIN);
	for (; sent > 0; sent--)
		ck_assert_str_eq(received(), "WATCHDOG=1");
	ck_assert(notify_watchdog());
	ck_assert_str_eq(received(), "WATCHDOG=1\nSTATUS=leader");
	ck_assert(notify_watchdog());
	ck_assert_str_eq(received(), "WATCHDOG=1");
}
END_TEST

START_TEST(without_a_manager_nothing_happens_and_a_lost_one_is_an_error)
{
	unsetenv("NOTIFY_SOCKET");
	ck_assert(notify_ready("x"));
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	ck_assert(!notify_ready("x"));
	ck_assert_int_eq(errno, ENOENT);
	setenv("NOTIFY_SOCKET", "relative", 1);
	ck_assert(!notify_ready("x"));
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(the_watchdog_is_ours_only_if_its_pid_is)
{
	char pid[20];

	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	ck_assert_uint_eq(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "20000000", 1);
	ck_assert_uint_eq(notify_watchdog_ms(), 10000);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_uint_eq(notify_watchdog_ms(), 0);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	ck_assert_uint_eq(notify_watchdog_ms(), 10000);
	setenv("WATCHDOG_USEC", "soon", 1);
	ck_assert_uint_eq(notify_watchdog_ms(), 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("notify");
	TCase *t = tcase_create("notify");

	tcase_add_test(t, each_message_is_what_systemd_expects);
	tcase_add_test(t, an_abstract_socket_is_reached);
	tcase_add_test(t, a_manager_that_does_not_read_holds_no_daemon_up);
	tcase_add_test(t, without_a_manager_nothing_happens_and_a_lost_one_is_an_error);
	tcase_add_test(t, the_watchdog_is_ours_only_if_its_pid_is);
	suite_add_tcase(s, t);
	return s;
}
