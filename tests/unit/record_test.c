/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/record.h"

#include <string.h>

#include "tests/lib/unit.h"

static struct buf b;

static void
setup(void)
{
	buf_init(&b, 4096);
	record_put(&b, "first", 5);
	record_put(&b, "", 0);
	record_put(&b, "third", 5);
}

static void
teardown(void)
{
	buf_fini(&b);
}

START_TEST(records_come_back_whole_and_in_order)
{
	static const char *const texts[] = {"first", "", "third"};
	const uint8_t *contents;
	size_t offset = 0, length;

	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(record_get(b.data, b.len, &offset, &contents, &length), RECORD_OK);
		ck_assert_uint_eq(length, strlen(texts[i]));
		ck_assert(memcmp(contents, texts[i], length) == 0);
	}
	ck_assert_int_eq(record_get(b.data, b.len, &offset, &contents, &length), RECORD_END);
}
END_TEST

START_TEST(a_file_cut_anywhere_gives_whole_records_and_then_says_so)
{
	for (size_t cut = 0; cut < b.len; cut++) {
		const uint8_t *contents;
		enum record_next next;
		size_t offset = 0, length;

		while ((next = record_get(b.data, cut, &offset, &contents, &length)) == RECORD_OK)
			;
		ck_assert_int_eq(next, offset == cut ? RECORD_END : RECORD_CUT);
	}
}
END_TEST

START_TEST(every_flipped_bit_is_noticed)
{
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		const uint8_t *contents;
		size_t offset = 0, length;
		unsigned whole = 0;

		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		while (record_get(b.data, b.len, &offset, &contents, &length) == RECORD_OK)
			whole++;
		ck_assert_uint_lt(whole, 3);
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

START_TEST(zeros_are_no_record)
{
	uint8_t zeros[64] = {0};
	const uint8_t *contents;
	size_t offset = 0, length;

	ck_assert_int_eq(record_get(zeros, sizeof zeros, &offset, &contents, &length), RECORD_BAD);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("record");
	TCase *t = tcase_create("record");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, records_come_back_whole_and_in_order);
	tcase_add_test(t, a_file_cut_anywhere_gives_whole_records_and_then_says_so);
	tcase_add_test(t, every_flipped_bit_is_noticed);
	tcase_add_test(t, zeros_are_no_record);
	suite_add_tcase(s, t);
	return s;
}
