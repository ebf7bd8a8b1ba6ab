/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/amount.h"

#include <string.h>

#include "tests/lib/unit.h"

#define KIB UINT64_C(1024)

START_TEST(sizes_are_binary_as_systemd_has_them)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
	    {"0", 0},
	    {"4096", 4096},
	    {"7B", 7},
	    {"256M", 256 * KIB * KIB},
	    {"1.5G", 3 * KIB * KIB * KIB / 2},
	    {"1G 512M", 3 * KIB * KIB * KIB / 2},
	    {"1G512M", 3 * KIB * KIB * KIB / 2},
	    {" 64 K ", 64 * KIB},
	    {"0.1K", 102},
	    {"15E", 15 * (UINT64_C(1) << 60)},
	    {"15.999999999E", 18446744072556630111u},
	    {"18446744073709551615", UINT64_MAX},
	};
	static const char *const bad[] = {"", " ", "-1", "+1", "lots", "1.", "1..2", ".5G", "50%",
	    "1Ki", "1GiB", "1g", "nan", "inf", "16E", "18446744073709551616", "15E 1024P", "1M 1G",
	    "1.0000000001G", "1 2", "0x10", "1e3"};
	uint64_t bytes = 7;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!amount_parse_size(bad[i], &bytes) && bytes == 7, "%s", bad[i]);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert_msg(amount_parse_size(good[i].text, &bytes), "%s", good[i].text);
		ck_assert_msg(
		    bytes == good[i].bytes, "%s: %llu", good[i].text, (unsigned long long)bytes);
	}
}
END_TEST

START_TEST(times_are_sums_with_units_and_seconds_without)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
	    {"0", 0},
	    {"90", 90000},
	    {"1h 30s", 3630000},
	    {"1h30", 3630000},
	    {"30s 1h", 3630000},
	    {"5min", 300000},
	    {"5m", 300000},
	    {"100ms", 100},
	    {"1.5h", 5400000},
	    {"0.25", 250},
	    {"1us", 1},
	    {"1001us", 2},
	    {"2days 4 hours", 187200000},
	    {"1w", 604800000},
	    {"1month", 2629800000},
	    {"1M", 2629800000},
	    {"1y", 31557600000},
	    {"infinity", AMOUNT_TIME_FOREVER},
	    {"584542y", 18446742619200000},
	};
	static const char *const bad[] = {
	    "", "-1s", "soon", "1x", "1h-", "s", "5 s s", "infinity 1s", "584943y", "1,5s", "5ns"};
	uint64_t ms = 7;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!amount_parse_time(bad[i], &ms) && ms == 7, "%s", bad[i]);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert_msg(amount_parse_time(good[i].text, &ms), "%s", good[i].text);
		ck_assert_msg(ms == good[i].ms, "%s: %llu", good[i].text, (unsigned long long)ms);
	}
}
END_TEST

START_TEST(cpus_have_three_decimals_at_most)
{
	static const char *const bad[] = {
	    "", "-1", "0.0005", "1.", ".5", "1e3", "1 ", "1000000", "4294967296000", "50%", "nan"};
	uint64_t milli = 7;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!amount_parse_cpu(bad[i], &milli) && milli == 7, "%s", bad[i]);
	ck_assert(amount_parse_cpu("0.5", &milli) && milli == 500);
	ck_assert(amount_parse_cpu("64", &milli) && milli == 64000);
	ck_assert(amount_parse_cpu("0.125", &milli) && milli == 125);
	ck_assert(amount_parse_cpu("0.05", &milli) && milli == 50);
	ck_assert(amount_parse_cpu("999999.999", &milli) && milli == 999999999);
}
END_TEST

START_TEST(sizes_print_in_the_largest_unit_that_fits)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
	    {0, "0 B"},
	    {1023, "1023 B"},
	    {1024, "1 KiB"},
	    {1536, "1.5 KiB"},
	    {64 * KIB * KIB, "64 MiB"},
	    {KIB * KIB - 1, "1.0 MiB"},
	    {25125558681, "23.4 GiB"},
	    {1023 * KIB, "1023 KiB"},
	    {1024 * KIB * KIB * KIB - 1, "1.0 TiB"},
	    {UINT64_MAX, "16.0 EiB"},
	    {UINT64_C(1) << 63, "8 EiB"},
	};
	char to[AMOUNT_TEXT_MAX];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_str_eq(amount_print_size(to, rows[i].bytes), rows[i].text);
}
END_TEST

START_TEST(times_print_for_people)
{
	static const struct {
		uint64_t ms;
		const char *time, *age;
	} rows[] = {
	    {0, "0.00 s", "0s"},
	    {20, "0.02 s", "0s"},
	    {9994, "9.99 s", "9s"},
	    {9995, "10.0 s", "9s"},
	    {12345, "12.3 s", "12s"},
	    {59949, "59.9 s", "59s"},
	    {59950, "1m00s", "59s"},
	    {252000, "4m12s", "4m12s"},
	    {7500000, "2h05m", "2h05m"},
	    {273600000, "3d04h", "3d04h"},
	    {AMOUNT_TIME_FOREVER, "forever", "forever"},
	};
	char to[AMOUNT_TEXT_MAX];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ck_assert_str_eq(amount_print_time(to, rows[i].ms), rows[i].time);
		ck_assert_str_eq(amount_print_age(to, rows[i].ms), rows[i].age);
	}
}
END_TEST

START_TEST(what_is_formatted_reads_back_as_it_was)
{
	static const uint64_t values[] = {0, 1, 999, 1000, 1024, 1500, 3630000, 86400000, 90061001,
	    1048576, UINT64_MAX / 2, UINT64_MAX / 1000 - 1, UINT64_MAX};
	char to[AMOUNT_TEXT_MAX];
	uint64_t back;

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		ck_assert(amount_parse_size(amount_format_size(to, values[i]), &back));
		ck_assert_uint_eq(back, values[i]);
		if (values[i] < UINT64_MAX / 1000 || values[i] == AMOUNT_TIME_FOREVER) {
			ck_assert_msg(
			    amount_parse_time(amount_format_time(to, values[i]), &back), "%s", to);
			ck_assert_uint_eq(back, values[i]);
		}
		if (values[i] < AMOUNT_CPU_MAX_MILLI) {
			ck_assert(amount_parse_cpu(amount_print_cpu(to, values[i]), &back));
			ck_assert_uint_eq(back, values[i]);
		}
	}
	ck_assert_str_eq(amount_format_size(to, 256 * KIB * KIB), "256M");
	ck_assert_str_eq(amount_format_time(to, 3630000), "1h 30s");
	ck_assert_str_eq(amount_print_cpu(to, 2000), "2.0");
	ck_assert_str_eq(amount_print_cpu(to, 500), "0.5");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("amount");
	TCase *t = tcase_create("amount");

	tcase_add_test(t, sizes_are_binary_as_systemd_has_them);
	tcase_add_test(t, times_are_sums_with_units_and_seconds_without);
	tcase_add_test(t, cpus_have_three_decimals_at_most);
	tcase_add_test(t, sizes_print_in_the_largest_unit_that_fits);
	tcase_add_test(t, times_print_for_people);
	tcase_add_test(t, what_is_formatted_reads_back_as_it_was);
	suite_add_tcase(s, t);
	return s;
}
