/* SPDX-License-Identifier: Apache-2.0 */
/* Texts and JSON as Jackson lays it out. */
#include "zkserver/report.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/unit.h"

static struct report r;
static struct json j;

static void
setup(void)
{
	report_init(&r, -1);
	json_init(&j, &r);
}

static void
teardown(void)
{
	report_fini(&r);
}

static void
expect(const char *text)
{
	ck_assert(report_finish(&r));
	ck_assert_str_eq(buf_text(&r.buf), text);
}

START_TEST(an_average_is_written_as_java_writes_a_double)
{
	static const struct {
		uint64_t sum, count;
		const char *text;
	} cases[] = {
	    {0, 0, "0.0"}, {6, 3, "2.0"}, {1, 3, "0.3333"}, {1, 2, "0.5"}, {20000, 2, "10000.0"}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		buf_clear(&r.buf);
		report_average(&r, cases[i].sum, cases[i].count);
		expect(cases[i].text);
	}
}
END_TEST

START_TEST(objects_and_arrays_are_laid_out_as_jackson_does)
{
	json_object(&j);
	json_put_int(&j, "a", -1);
	json_key(&j, "none");
	json_array(&j);
	json_close(&j);
	json_key(&j, "empty");
	json_object(&j);
	json_close(&j);
	json_key(&j, "list");
	json_array(&j);
	json_int(&j, 1);
	json_int(&j, 2);
	json_close(&j);
	json_key(&j, "objects");
	json_array(&j);
	json_object(&j);
	json_put_bool(&j, "b", true);
	json_close(&j);
	json_object(&j);
	json_key(&j, "n");
	json_null(&j);
	json_close(&j);
	json_close(&j);
	json_close(&j);
	expect("{\n  \"a\" : -1,\n  \"none\" : [ ],\n  \"empty\" : { },\n  \"list\" : [ 1, 2 ],\n"
	       "  \"objects\" : [ {\n    \"b\" : true\n  }, {\n    \"n\" : null\n  } ]\n}");
}
END_TEST

START_TEST(bytes_from_outside_cannot_break_out_of_a_text)
{
	static const uint8_t bytes[] = "a\"\\\n\t\x01\x7f\xc3\xa9\xff\xe2\x82";

	json_bytes(&j, (struct jute_bytes){bytes, sizeof bytes - 1});
	expect("\"a\\\"\\\\\\n\\t\\u0001\\u007F\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}
END_TEST

START_TEST(a_report_to_a_descriptor_keeps_no_more_than_a_piece)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof path, "%s/report", unit_tmpdir());
	ck_assert_int_ge(r.fd = open(path, O_RDWR | O_CREAT, 0600), 0);
	for (int i = 0; i < 20000; i++) {
		report_printf(&r, "line %08d\n", i);
		ck_assert_uint_lt(r.buf.len, REPORT_PIECE_BYTES);
	}
	ck_assert(report_finish(&r));
	ck_assert_int_eq(fstat(r.fd, &st), 0);
	ck_assert_int_eq(st.st_size, 20000 * 14);
	close(r.fd);
}
END_TEST

START_TEST(a_descriptor_that_takes_nothing_fails_the_report)
{
	ck_assert_int_ge(r.fd = open("/dev/full", O_WRONLY), 0);
	report_printf(&r, "x");
	ck_assert(!report_finish(&r));
	close(r.fd);
}
END_TEST

START_TEST(an_answer_that_is_kept_whole_has_a_bound)
{
	static const char line[1024];

	for (size_t i = 0; i <= REPORT_BYTES_MAX / sizeof line; i++)
		report_bytes(&r, line, sizeof line);
	ck_assert(!report_finish(&r));
	ck_assert_uint_le(r.buf.len, REPORT_BYTES_MAX);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("report");
	TCase *c = tcase_create("report");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, an_average_is_written_as_java_writes_a_double);
	tcase_add_test(c, objects_and_arrays_are_laid_out_as_jackson_does);
	tcase_add_test(c, bytes_from_outside_cannot_break_out_of_a_text);
	tcase_add_test(c, a_report_to_a_descriptor_keeps_no_more_than_a_piece);
	tcase_add_test(c, a_descriptor_that_takes_nothing_fails_the_report);
	tcase_add_test(c, an_answer_that_is_kept_whole_has_a_bound);
	suite_add_tcase(s, c);
	return s;
}
