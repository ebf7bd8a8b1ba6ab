/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/utf8.h"

#include <string.h>

#include "tests/lib/unit.h"

START_TEST(every_code_point_is_written_and_found_again)
{
	char to[UTF8_BYTES_MAX];
	uint32_t wrong = 0; /* ck_assert() a million times takes seconds */

	for (uint32_t code = 1; code <= 0x10ffff; code++) {
		size_t n;

		if (code >= 0xd800 && code <= 0xdfff)
			continue;
		n = utf8_put(to, code);
		if (utf8_char_bytes(to, n) != n || utf8_char_bytes(to, n - 1) != 0)
			wrong = code;
	}
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(overlong_forms_surrogates_and_stray_bytes_are_none)
{
	static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
	    "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
	    "\xc3(", "\xe2\x82(", "\xf0\x9f\x98("};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_uint_eq(utf8_char_bytes(bad[i], strlen(bad[i])), 0);
	ck_assert_uint_eq(utf8_bad_offset("a\xc3\xa4z", 4), 4);
	ck_assert_uint_eq(utf8_bad_offset("a\xc3\xa4\xff", 4), 3);
	ck_assert_uint_eq(utf8_bad_offset("", 0), 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("utf8");
	TCase *t = tcase_create("utf8");

	tcase_add_test(t, every_code_point_is_written_and_found_again);
	tcase_add_test(t, overlong_forms_surrogates_and_stray_bytes_are_none);
	suite_add_tcase(s, t);
	return s;
}
