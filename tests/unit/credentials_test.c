/* SPDX-License-Identifier: Apache-2.0 */
#include "master/credentials.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/codec/base64.h"
#include "libcommon/codec/http_basic.h"
#include "tests/lib/unit.h"

static char path[512], error[512];

static struct credentials *
read_text(const char *text, mode_t mode)
{
	int fd;

	snprintf(path, sizeof path, "%s/credentials", unit_tmpdir());
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
	error[0] = '\0';
	return credentials_read(path, error, sizeof error);
}

START_TEST(who_has_the_secret_of_a_name_is_its_holder)
{
	struct credentials *c = read_text("# those without certificates\n\n"
					  "operator:ci  correct horse\nalice\tbattery staple\r\n"
					  "user:bob 12345678",
	    0600);
	struct tls_peer who;

	ck_assert_msg(c != NULL, "%s", error);
	ck_assert(credentials_check(c, "ci", "correct horse", &who));
	ck_assert_int_eq(who.role, TLS_ROLE_OPERATOR);
	ck_assert_str_eq(who.name, "ci");
	ck_assert(credentials_check(c, "alice", "battery staple", &who));
	ck_assert_int_eq(who.role, TLS_ROLE_USER);
	ck_assert(credentials_check(c, "bob", "12345678", &who));
	ck_assert(!credentials_check(c, "alice", "correct horse", &who)); /* another's */
	ck_assert(!credentials_check(c, "alice", "battery stapl", &who));
	ck_assert(!credentials_check(c, "alice", "battery staplee", &who));
	ck_assert(!credentials_check(c, "alice", "", &who));
	ck_assert(!credentials_check(c, "", "", &who));
	ck_assert(!credentials_check(c, "operator:ci", "correct horse", &who));
	ck_assert(!credentials_check(c, "mallory", "battery staple", &who));
	credentials_free(c);
}
END_TEST

/* Of number i: a name and a secret as long as these may be. */
static void
longest(char name[CREDENTIALS_NAME_MAX + 1], char secret[CREDENTIALS_SECRET_MAX + 1], int i)
{
	memset(secret, 's', CREDENTIALS_SECRET_MAX);
	secret[CREDENTIALS_SECRET_MAX] = '\0';
	snprintf(name, CREDENTIALS_NAME_MAX + 1, "%0*d", CREDENTIALS_NAME_MAX, i);
	memcpy(secret, name + CREDENTIALS_NAME_MAX - 5, 5);
}

/* Not only held: a client can send it. */
static bool
is_let_in(const struct credentials *c, int i)
{
	char name[CREDENTIALS_NAME_MAX + 1], secret[CREDENTIALS_SECRET_MAX + 1];
	char both[sizeof name + sizeof secret], header[2 * sizeof both] = "Basic ";
	struct http_basic basic;
	struct tls_peer who;

	longest(name, secret, i);
	snprintf(both, sizeof both, "%s:%s", name, secret);
	base64_encode(header + strlen(header), both, strlen(both));
	return http_basic_read(&basic, header) &&
	       credentials_check(c, basic.name, basic.secret, &who) &&
	       who.role == TLS_ROLE_OPERATOR;
}

START_TEST(as_many_and_as_long_ones_as_there_may_be_are_held)
{
	char name[CREDENTIALS_NAME_MAX + 1], secret[CREDENTIALS_SECRET_MAX + 1];
	struct credentials *c;
	struct buf b;

	buf_init(&b, SIZE_MAX);
	for (int i = 0; i < CREDENTIALS_MAX; i++) {
		longest(name, secret, i);
		buf_printf(&b, "operator:%s %s\r\n", name, secret);
	}
	c = read_text(buf_text(&b), 0600);
	ck_assert_msg(c != NULL, "%s", error);
	ck_assert(is_let_in(c, 0) && is_let_in(c, CREDENTIALS_MAX - 1));
	credentials_free(c);
	buf_printf(&b, "# no name\n\none-more 12345678\n");
	ck_assert_ptr_null(read_text(buf_text(&b), 0600));
	ck_assert_msg(strstr(error, ":10003: more than 10000 names") != NULL, "%s", error);
	buf_fini(&b);
}
END_TEST

START_TEST(a_secret_that_no_client_could_send_is_refused)
{
	char line[CREDENTIALS_SECRET_MAX + 16] = "alice ";

	memset(line + 6, 's', CREDENTIALS_SECRET_MAX + 1);
	ck_assert_ptr_null(read_text(line, 0600));
	ck_assert_msg(strstr(error, ":1: the secret is longer") != NULL, "%s", error);
}
END_TEST

START_TEST(a_file_that_others_can_read_is_refused)
{
	static const mode_t modes[] = {0644, 0604, 0602, 0660, 0622};

	ck_assert_ptr_null(read_text("alice battery-staple\n", modes[_i]));
	ck_assert_msg(strstr(error, "lets others read it") != NULL, "%s", error);
}
END_TEST

START_TEST(a_bad_line_is_named)
{
	static const char *const bad[][2] = {{"ok 12345678\nalice\n", ":2: it has no secret"},
	    {"alice 1234567\n", ":1: the secret is shorter"},
	    {"master:m1 12345678\n", ":1: the role before the colon"},
	    {"agent:n1 12345678\n", ":1: the role before the colon"},
	    {":alice 12345678\n", ":1: the role before the colon"},
	    {"user: 12345678\n", ":1: the name has other"},
	    {"al/ice 12345678\n", ":1: the name has other"},
	    {"a-name-that-is-longer-than-any-name-of-a-holder-of-credentials-may-be-x 12345678\n",
		":1: the name has other"},
	    {"alice 12345678\n\n#\noperator:alice 87654321\n", ":4: the name is there already"}};

	ck_assert_ptr_null(read_text(bad[_i][0], 0600));
	ck_assert_msg(strstr(error, bad[_i][1]) != NULL, "%s", error);
	ck_assert_ptr_null(strstr(error, "12345678")); /* no secret is told */
}
END_TEST

START_TEST(a_file_that_is_not_there_is_said)
{
	ck_assert_ptr_null(credentials_read("/nowhere/x", error, sizeof error));
	ck_assert_msg(strstr(error, "/nowhere/x: No such file") != NULL, "%s", error);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("credentials");
	TCase *t = tcase_create("credentials");

	tcase_add_test(t, who_has_the_secret_of_a_name_is_its_holder);
	tcase_add_test(t, as_many_and_as_long_ones_as_there_may_be_are_held);
	tcase_add_test(t, a_secret_that_no_client_could_send_is_refused);
	tcase_add_loop_test(t, a_file_that_others_can_read_is_refused, 0, 5);
	tcase_add_loop_test(t, a_bad_line_is_named, 0, 9);
	tcase_add_test(t, a_file_that_is_not_there_is_said);
	suite_add_tcase(s, t);
	return s;
}
