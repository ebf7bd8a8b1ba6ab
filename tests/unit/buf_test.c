/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/buf.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/unit.h"

START_TEST(an_append_past_the_bound_fails_and_keeps_what_was_there)
{
	struct buf b;

	buf_init(&b, 4);
	buf_append(&b, "abc", 3);
	buf_append(&b, "de", 2);
	ck_assert(b.failed);
	buf_append(&b, "f", 1); /* would fit, but the failure is sticky */
	ck_assert_uint_eq(b.len, 3);
	ck_assert_mem_eq(b.data, "abc", 3);
	buf_clear(&b);
	buf_append(&b, "wxyz", 4);
	ck_assert(!b.failed);
	ck_assert_mem_eq(b.data, "wxyz", 4);
	buf_fini(&b);
}
END_TEST

START_TEST(a_queue_of_bytes_comes_out_as_it_went_in)
{
	struct buf b;
	uint8_t in = 0, out = 0;

	buf_init(&b, 10000);
	for (int round = 0; round < 1000; round++) {
		for (int i = 0; i < round % 97; i++, in++)
			buf_append(&b, &in, 1);
		for (size_t take = b.len / 2; take > 0; take--, out++) {
			ck_assert_uint_eq(b.data[0], out);
			buf_consume(&b, 1);
		}
	}
	ck_assert(!b.failed);
	buf_fini(&b);
}
END_TEST

START_TEST(a_buffer_that_is_trimmed_has_its_contents_and_no_more)
{
	struct buf b;

	buf_init(&b, 1000);
	buf_append(&b, "some text", 9);
	buf_consume(&b, 5);
	buf_trim(&b);
	ck_assert_uint_eq(b.cap, 4);
	buf_append(&b, "ure", 3);
	ck_assert_uint_eq(b.len, 7);
	ck_assert_mem_eq(b.data, "texture", 7);
	buf_clear(&b);
	buf_trim(&b);
	ck_assert_ptr_null(b.data);
	ck_assert_uint_eq(b.cap, 0);
}
END_TEST

START_TEST(formatted_text_is_followed_by_a_nul_that_is_not_counted)
{
	struct buf b;

	buf_init(&b, 64);
	buf_printf(&b, "%s=%d", "x", 7);
	ck_assert_uint_eq(b.len, 3);
	ck_assert_str_eq(buf_text(&b), "x=7");
	ck_assert_uint_eq(b.len, 3);
	buf_fini(&b);
}
END_TEST

/* Of every length around what the first allocation has left. */
START_TEST(a_text_is_whole_whether_or_not_it_fits_behind_the_contents)
{
	char text[300], expected[640];
	struct buf b;

	for (int length = 1; length < (int)sizeof text; length++) {
		memset(text, 'a' + length % 26, (size_t)length);
		text[length] = '\0';
		buf_init(&b, 1024);
		buf_printf(&b, "%s", "begin");
		buf_consume(&b, 2);
		buf_printf(&b, "%s.%s", text, text);
		snprintf(expected, sizeof expected, "gin%s.%s", text, text);
		ck_assert_str_eq(buf_text(&b), expected);
		buf_fini(&b);
	}
}
END_TEST

START_TEST(a_text_past_the_bound_fails_and_keeps_what_was_there)
{
	struct buf b;

	buf_init(&b, 8);
	buf_printf(&b, "%s", "begin");
	buf_printf(&b, "%s", "too long");
	ck_assert(b.failed);
	ck_assert_uint_eq(b.len, 5);
	ck_assert_mem_eq(b.data, "begin", 5);
	buf_fini(&b);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("buf");
	TCase *t = tcase_create("buf");

	tcase_add_test(t, an_append_past_the_bound_fails_and_keeps_what_was_there);
	tcase_add_test(t, a_queue_of_bytes_comes_out_as_it_went_in);
	tcase_add_test(t, a_buffer_that_is_trimmed_has_its_contents_and_no_more);
	tcase_add_test(t, formatted_text_is_followed_by_a_nul_that_is_not_counted);
	tcase_add_test(t, a_text_is_whole_whether_or_not_it_fits_behind_the_contents);
	tcase_add_test(t, a_text_past_the_bound_fails_and_keeps_what_was_there);
	suite_add_tcase(s, t);
	return s;
}
