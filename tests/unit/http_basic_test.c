/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/http_basic.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/codec/base64.h"
#include "tests/lib/unit.h"

static bool
read_text(struct http_basic *b, const char *scheme, const char *text, size_t size)
{
	char value[4096];
	int n = snprintf(value, sizeof value, "%s", scheme);

	base64_encode(value + n, text, size);
	return http_basic_read(b, value);
}

START_TEST(name_and_secret_are_parted_at_the_first_colon)
{
	struct http_basic b;

	ck_assert(http_basic_read(&b, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")); /* RFC 7617 */
	ck_assert_str_eq(b.name, "Aladdin");
	ck_assert_str_eq(b.secret, "open sesame");
	ck_assert(read_text(&b, "basic   ", "a:b:c", 5));
	ck_assert_str_eq(b.name, "a");
	ck_assert_str_eq(b.secret, "b:c");
	ck_assert(read_text(&b, "BASIC ", ":", 1));
	ck_assert_str_eq(b.name, "");
	ck_assert_str_eq(b.secret, "");
}
END_TEST

START_TEST(anything_else_is_none)
{
	struct http_basic b;
	char many[2048];

	memset(many, 'x', sizeof many);
	many[3] = ':';
	ck_assert(!http_basic_read(&b, ""));
	ck_assert(!http_basic_read(&b, "Basic"));
	ck_assert(!http_basic_read(&b, "Basic "));
	ck_assert(!http_basic_read(&b, "Basic ===="));
	ck_assert(!http_basic_read(&b, "Basic a:b"));
	ck_assert(!http_basic_read(&b, "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
	ck_assert(!read_text(&b, "Basic ", "no colon", 8));
	ck_assert(!read_text(&b, "Basic ", "a:b\0c", 5));
	ck_assert(!read_text(&b, "Basic ", many, sizeof many));
	ck_assert(read_text(&b, "Basic ", many, 300));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("http_basic");
	TCase *t = tcase_create("http_basic");

	tcase_add_test(t, name_and_secret_are_parted_at_the_first_colon);
	tcase_add_test(t, anything_else_is_none);
	suite_add_tcase(s, t);
	return s;
}
