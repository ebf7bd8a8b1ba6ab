/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/jute.h"

#include <string.h>

#include "tests/lib/unit.h"

START_TEST(what_was_put_comes_back)
{
	struct buf b;
	struct jute_reader r;
	struct jute_bytes bytes;

	buf_init(&b, 1000);
	jute_put_i32(&b, -2);
	jute_put_i64(&b, INT64_MIN);
	jute_put_bool(&b, true);
	jute_put_text(&b, "/a");
	jute_put_text(&b, "");
	jute_put_text(&b, NULL);
	jute_set_i32(&b, 0, 77);
	r = jute_reader(b.data, b.len);
	ck_assert_int_eq(jute_get_i32(&r), 77);
	ck_assert_int_eq(jute_get_i64(&r), INT64_MIN);
	ck_assert(jute_get_bool(&r));
	bytes = jute_get_bytes(&r);
	ck_assert_int_eq(bytes.len, 2);
	ck_assert_mem_eq(bytes.data, "/a", 2);
	bytes = jute_get_bytes(&r);
	ck_assert_int_eq(bytes.len, 0);
	ck_assert_ptr_nonnull(bytes.data); /* empty is not null */
	ck_assert_int_eq(jute_get_bytes(&r).len, -1);
	ck_assert(!r.bad && jute_left(&r) == 0);
	buf_fini(&b);
}
END_TEST

START_TEST(an_impossible_length_is_bad_and_reads_as_null)
{
	static const char *const frames[] = {
	    "\x00\x00\x00\x03yz", "\x7f\xff\xff\xff", "\xff\xff\xff\xfe", "\x00\x00"};
	static const size_t sizes[] = {6, 4, 4, 2};

	for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
		struct jute_reader r = jute_reader(frames[i], sizes[i]);

		ck_assert_int_eq(jute_get_bytes(&r).len, -1);
		ck_assert(r.bad);
		ck_assert_int_eq(jute_get_i64(&r), 0);
	}
}
END_TEST

START_TEST(a_count_is_bounded_by_the_bytes_that_are_there)
{
	struct jute_reader r = jute_reader("\x00\x00\x00\x02zzzzzzz", 11);

	ck_assert_int_eq(jute_get_count(&r, 4), 0);
	ck_assert(r.bad);
	r = jute_reader("\xff\xff\xff\xff", 4);
	ck_assert_int_eq(jute_get_count(&r, 4), -1);
	ck_assert(!r.bad);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("jute");
	TCase *t = tcase_create("jute");

	tcase_add_test(t, what_was_put_comes_back);
	tcase_add_test(t, an_impossible_length_is_bad_and_reads_as_null);
	tcase_add_test(t, a_count_is_bounded_by_the_bytes_that_are_there);
	suite_add_tcase(s, t);
	return s;
}
