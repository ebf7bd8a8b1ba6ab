/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/str.h"

#include <limits.h>
#include <string.h>

#include "tests/lib/unit.h"

START_TEST(only_whole_decimal_numbers_in_range_are_numbers)
{
	static const char *const bad[] = {
	    "", " 1", "1 ", "+1", "-", "0x10", "1e3", "18446744073709551616", "1000001"};
	uint64_t u = 7;
	int64_t i;

	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
		ck_assert_msg(!str_to_u64(bad[k], 0, 1000000, &u), "%s", bad[k]);
	ck_assert_uint_eq(u, 7);
	ck_assert(str_to_u64("18446744073709551615", 0, UINT64_MAX, &u));
	ck_assert_uint_eq(u, UINT64_MAX);
	ck_assert(str_to_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &i));
	ck_assert_int_eq(i, INT64_MIN);
	ck_assert(!str_to_i64("9223372036854775808", INT64_MIN, INT64_MAX, &i));
}
END_TEST

START_TEST(a_digit_is_a_hex_one_in_either_case_or_none)
{
	static const char digits[] = "0123456789abcdefABCDEF";

	for (int c = CHAR_MIN; c <= CHAR_MAX; c++) {
		const char *at = memchr(digits, c, sizeof digits - 1);
		unsigned value = at == NULL ? 16 : (unsigned)(at - digits);

		if (at != NULL && value >= 16) /* a capital */
			value -= 6;
		ck_assert_uint_eq(str_digit((char)c), value);
	}
}
END_TEST

START_TEST(javas_forms_of_a_number_are_told_by_what_they_begin_with)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {{"0", 0}, {"0xfffff", 1048575}, {"0XfF", 255}, {"#10", 16}, {"010", 8},
	    {"+12", 12}, {"90", 90}};
	static const char *const bad[] = {
	    "", "+", "0x", "#", "08", "0xg", "12 ", "f", "-1", "++1", "101"};
	uint64_t u = 7;

	for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
		ck_assert_msg(str_decode_u64(good[k].text, 0, 1 << 20, &u), "%s", good[k].text);
		ck_assert_uint_eq(u, good[k].value);
	}
	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
		ck_assert_msg(!str_decode_u64(bad[k], 0, 100, &u), "%s", bad[k]);
}
END_TEST

START_TEST(a_text_that_does_not_fit_is_not_cut)
{
	char to[4];

	ck_assert(str_copy(to, sizeof to, "abc"));
	ck_assert_str_eq(to, "abc");
	ck_assert(!str_copy(to, sizeof to, "abcd"));
	ck_assert_str_eq(to, "");
}
END_TEST

START_TEST(a_slip_of_the_finger_is_near)
{
	ck_assert_uint_eq(str_distance("Memry", "Memory"), 1);
	ck_assert_uint_eq(str_distance("", "abc"), 3);
	ck_assert_uint_eq(str_distance("kitten", "sitting"), 3);
}
END_TEST

START_TEST(bytes_print_as_lower_case_hex)
{
	char to[7];

	str_hex(to, "\x00\xab\x7f", 3);
	ck_assert_str_eq(to, "00ab7f");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("str");
	TCase *t = tcase_create("str");

	tcase_add_test(t, only_whole_decimal_numbers_in_range_are_numbers);
	tcase_add_test(t, a_digit_is_a_hex_one_in_either_case_or_none);
	tcase_add_test(t, javas_forms_of_a_number_are_told_by_what_they_begin_with);
	tcase_add_test(t, a_text_that_does_not_fit_is_not_cut);
	tcase_add_test(t, a_slip_of_the_finger_is_near);
	tcase_add_test(t, bytes_print_as_lower_case_hex);
	suite_add_tcase(s, t);
	return s;
}
