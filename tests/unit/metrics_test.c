/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/metrics.h"

#include <string.h>

#include "tests/lib/unit.h"

static struct metrics registry;

static const char *
printed(void)
{
	static struct buf out;

	buf_fini(&out);
	buf_init(&out, 1 << 16);
	metrics_print(&registry, &out);
	return buf_text(&out);
}

START_TEST(a_family_prints_as_one_block_under_one_head)
{
	struct metric a, b, c;

	metrics_init(&registry);
	metrics_counter(&registry, &a, "t_tasks_total", "Tasks.", "state=\"failed\"");
	metrics_gauge(&registry, &b, "t_uptime_seconds", "Up.", NULL);
	metrics_counter(&registry, &c, "t_tasks_total", "Tasks.", "state=\"finished\"");
	a.value++;
	b.decimals = 3;
	b.value = -1250;
	c.value += 7;
	ck_assert_str_eq(printed(),
	    "# HELP t_tasks_total Tasks.\n# TYPE t_tasks_total counter\n"
	    "t_tasks_total{state=\"failed\"} 1\nt_tasks_total{state=\"finished\"} 7\n"
	    "# HELP t_uptime_seconds Up.\n# TYPE t_uptime_seconds gauge\nt_uptime_seconds -1.25\n");
}
END_TEST

START_TEST(buckets_are_cumulative_and_hold_their_bound)
{
	static const uint64_t bounds[] = {1000, 10000, 2500000};
	struct metric_histogram h;

	metrics_init(&registry);
	metrics_histogram(&registry, &h, "t_delay_seconds", "Delay.", "op=\"read\"", 6, bounds, 3);
	metric_observe(&h, 0);
	metric_observe(&h, 1000);
	metric_observe(&h, 1001);
	metric_observe(&h, 3000000);
	ck_assert_str_eq(printed(),
	    "# HELP t_delay_seconds Delay.\n# TYPE t_delay_seconds histogram\n"
	    "t_delay_seconds_bucket{op=\"read\",le=\"0.001\"} 2\n"
	    "t_delay_seconds_bucket{op=\"read\",le=\"0.01\"} 3\n"
	    "t_delay_seconds_bucket{op=\"read\",le=\"2.5\"} 3\n"
	    "t_delay_seconds_bucket{op=\"read\",le=\"+Inf\"} 4\n"
	    "t_delay_seconds_sum{op=\"read\"} 3.002001\nt_delay_seconds_count{op=\"read\"} 4\n");
}
END_TEST

START_TEST(the_extremes_of_a_gauge_print)
{
	struct metric m;

	metrics_init(&registry);
	metrics_gauge(&registry, &m, "t_x", "X.", NULL);
	m.value = INT64_MIN;
	ck_assert_ptr_nonnull(strstr(printed(), "\nt_x -9223372036854775808\n"));
	m.value = INT64_MAX;
	m.decimals = 18;
	ck_assert_ptr_nonnull(strstr(printed(), "\nt_x 9.223372036854775807\n"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("metrics");
	TCase *t = tcase_create("metrics");

	tcase_add_test(t, a_family_prints_as_one_block_under_one_head);
	tcase_add_test(t, buckets_are_cumulative_and_hold_their_bound);
	tcase_add_test(t, the_extremes_of_a_gauge_print);
	suite_add_tcase(s, t);
	return s;
}
