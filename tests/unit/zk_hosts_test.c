/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/zk/hosts.h"

#include <string.h>

#include "tests/lib/unit.h"

START_TEST(hosts_get_the_usual_port_when_they_have_none)
{
	struct zk_hosts h;
	char error[256];

	ck_assert(zk_hosts_parse(&h, "a, b:1,[::1],[fe80::1]:65535", error, sizeof error));
	ck_assert_uint_eq(h.count, 4);
	ck_assert_str_eq(h.items[0], "a:2181");
	ck_assert_str_eq(h.items[1], "b:1");
	ck_assert_str_eq(h.items[2], "[::1]:2181");
	ck_assert_str_eq(h.items[3], "[fe80::1]:65535");
}
END_TEST

START_TEST(a_bad_list_is_refused_with_its_bad_member)
{
	static const char *const bad[][2] = {
	    {"", "missing"},
	    {"a,,b", "missing"},
	    {":1", "missing"},
	    {"a:0", "a:0"},
	    {"a:65536", "65535"},
	    {"a:1/chroot", "path"},
	    {"::1", "missing"},
	    {"fe80::1", "IPv6"},
	    {"[::1", "]"},
	    {"[::1]x:1", "]"},
	};
	struct zk_hosts h;
	char error[512], many[256];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ck_assert_msg(!zk_hosts_parse(&h, bad[i][0], error, sizeof error), "%s", bad[i][0]);
		ck_assert_msg(strstr(error, bad[i][1]) != NULL, "%s: %s", bad[i][0], error);
	}
	for (size_t i = 0; i <= ZK_HOSTS_MAX; i++)
		memcpy(many + 2 * i, "a,", 3);
	ck_assert(!zk_hosts_parse(&h, many, error, sizeof error));
	ck_assert_ptr_nonnull(strstr(error, "too many"));
}
END_TEST

START_TEST(a_shuffle_keeps_every_host)
{
	struct zk_hosts h;
	struct rng rng;
	char error[256];
	int first_b = 0;

	rng_init(&rng, 7);
	for (int round = 0; round < 100; round++) {
		unsigned seen = 0;

		ck_assert(zk_hosts_parse(&h, "a:1,b:1,c:1", error, sizeof error));
		zk_hosts_shuffle(&h, &rng);
		for (size_t i = 0; i < 3; i++)
			seen |= 1u << (h.items[i][0] - 'a');
		ck_assert_uint_eq(seen, 7);
		first_b += h.items[0][0] == 'b';
	}
	ck_assert_int_gt(first_b, 10);
	ck_assert_int_lt(first_b, 60);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("zk_hosts");
	TCase *t = tcase_create("hosts");

	tcase_add_test(t, hosts_get_the_usual_port_when_they_have_none);
	tcase_add_test(t, a_bad_list_is_refused_with_its_bad_member);
	tcase_add_test(t, a_shuffle_keeps_every_host);
	suite_add_tcase(s, t);
	return s;
}
