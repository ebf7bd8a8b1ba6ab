/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/sketch.h"

#include "tests/lib/unit.h"

static struct sketch s;

static void
setup(void)
{
	s = (struct sketch){0};
}

START_TEST(an_empty_sketch_is_all_zero)
{
	ck_assert_uint_eq(sketch_quantile(&s, 0.5), 0);
	ck_assert_uint_eq(s.count, 0);
}
END_TEST

START_TEST(small_numbers_are_exact)
{
	for (uint64_t i = 0; i < 10; i++)
		sketch_add(&s, i);
	ck_assert_uint_eq(s.count, 10);
	ck_assert_uint_eq(s.sum, 45);
	ck_assert_uint_eq(s.min, 0);
	ck_assert_uint_eq(s.max, 9);
	ck_assert_uint_eq(sketch_quantile(&s, 0), 0);
	ck_assert_uint_eq(sketch_quantile(&s, 0.5), 4);
	ck_assert_uint_eq(sketch_quantile(&s, 0.99), 9);
	ck_assert_uint_eq(sketch_quantile(&s, 1), 9);
}
END_TEST

START_TEST(a_quantile_is_at_most_a_sixteenth_beside_the_true_one)
{
	for (uint64_t i = 1; i <= 100000; i++)
		sketch_add(&s, i);
	for (int percent = 1; percent <= 100; percent++) {
		double truth = 1000.0 * percent, got = (double)sketch_quantile(&s, percent / 100.0);

		ck_assert_double_ge(got, truth * 15 / 16);
		ck_assert_double_le(got, truth * 17 / 16);
	}
}
END_TEST

START_TEST(every_number_of_every_size_has_a_bucket_near_it)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int64_t beside = -1; beside <= 1; beside++) {
			uint64_t value = (UINT64_C(1) << bit) + (uint64_t)beside, got;

			s = (struct sketch){0};
			sketch_add(&s, value);
			got = sketch_quantile(&s, 0.5);
			ck_assert_uint_eq(got, value); /* clamped to the least and the most */
		}
	}
	ck_assert_uint_eq(s.count, 1);
}
END_TEST

START_TEST(a_full_bucket_keeps_the_shares)
{
	sketch_add(&s, 1);
	s.buckets[1] = UINT32_MAX;
	s.buckets[3] = UINT32_MAX - 1;
	sketch_add(&s, 1);
	ck_assert_uint_eq(s.buckets[1], UINT32_MAX / 2 + 1);
	ck_assert_uint_eq(s.buckets[3], UINT32_MAX / 2);
	ck_assert_uint_eq(s.count, 2);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("sketch");
	TCase *c = tcase_create("sketch");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, an_empty_sketch_is_all_zero);
	tcase_add_test(c, small_numbers_are_exact);
	tcase_add_test(c, a_quantile_is_at_most_a_sixteenth_beside_the_true_one);
	tcase_add_test(c, every_number_of_every_size_has_a_bucket_near_it);
	tcase_add_test(c, a_full_bucket_keeps_the_shares);
	suite_add_tcase(suite, c);
	return suite;
}
