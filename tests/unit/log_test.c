/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/unit.h"

#define FLOOD 5000

static char path[4096];

/* From here on stderr is a file. */
static void
catch_stderr(void)
{
	int fd;

	snprintf(path, sizeof path, "%s/log", unit_tmpdir());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
	log_init("test", LOG_LEVEL_INFO);
}

static unsigned
count_lines(const char *with)
{
	char line[8192];
	FILE *f = fopen(path, "r");
	unsigned count = 0;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof line, f) != NULL)
		count += strstr(line, with) != NULL;
	fclose(f);
	return count;
}

START_TEST(what_a_peer_did_cannot_flood_the_log_and_what_is_left_out_is_counted)
{
	unsigned said, left_out = 0, sent = 0, n;
	char line[8192], *at;
	FILE *f;

	catch_stderr();
	/* Until a second has ended in the middle of the flood: then the rest of it was counted. */
	while (count_lines("left out") == 0) {
		for (int i = 0; i < FLOOD; i++)
			log_peer("10.0.0.1:5: a bad frame");
		sent += FLOOD;
	}
	said = count_lines("a bad frame");
	ck_assert_uint_ge(said, LOG_PEER_PER_SECOND);
	ck_assert_uint_lt(said, sent / 10);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof line, f) != NULL) {
		if (strstr(line, "left out") != NULL && (at = strstr(line, "warning: ")) != NULL &&
		    sscanf(at, "warning: %u", &n) == 1)
			left_out += n;
	}
	fclose(f);
	ck_assert_uint_gt(left_out, 0);
	ck_assert_uint_le(said + left_out, sent);
}
END_TEST

START_TEST(a_line_from_outside_stays_one_line)
{
	catch_stderr();
	log_peer("%s", "x\n2026-01-01 forged\x1b[31m");
	ck_assert_uint_eq(count_lines("x\\x0a2026-01-01 forged\\x1b[31m"), 1);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("log");
	TCase *c = tcase_create("log");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, what_a_peer_did_cannot_flood_the_log_and_what_is_left_out_is_counted);
	tcase_add_test(c, a_line_from_outside_stays_one_line);
	suite_add_tcase(s, c);
	return s;
}
