/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/share.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/unit.h"

static struct share s;

static void
setup(void)
{
	share_init(&s);
	s.total = (struct resources){9000, 18 << 10, 0};
}

static void
teardown(void)
{
	ck_assert(share_check(&s));
	share_fini(&s);
}

static struct role *
role(const char *name)
{
	struct role *r = share_take(&s, name);

	ck_assert_ptr_nonnull(r);
	return r;
}

static struct resources
amount(uint64_t cpu_milli, uint64_t memory)
{
	return (struct resources){cpu_milli, memory, 0};
}

/* Progressive filling: one task after the other to whoever is next, until nobody's fits. */
static void
fill(struct role *const *roles, const struct resources *needs, uint32_t *got, int count)
{
	struct resources left = s.total;
	struct share_barred why;
	struct role *r;

	share_begin(&s, &left);
	for (int i = 0; i < count; i++)
		share_contend(&s, roles[i]);
	share_ready(&s);
	while ((r = share_pick(&s)) != NULL) {
		int i = 0;

		while (roles[i] != r)
			i++;
		if (!resources_fits(&needs[i], &left) ||
		    share_room(&s, r, &needs[i], 1, &why) == 0) {
			share_withdraw(&s, r);
			continue;
		}
		resources_subtract(&left, &needs[i], 1);
		share_lease(r, &needs[i], 1);
		share_granted(&s, r, &needs[i]);
		got[i]++;
	}
}

START_TEST(the_example_of_the_paper_gives_each_two_thirds_of_its_dominant_resource)
{
	struct role *roles[] = {role("a"), role("b")};
	struct resources needs[] = {amount(1000, 4 << 10), amount(3000, 1 << 10)};
	uint32_t got[2] = {0};

	fill(roles, needs, got, 2);
	ck_assert_uint_eq(got[0], 3);
	ck_assert_uint_eq(got[1], 2);
	ck_assert_uint_eq(share_of(&s, roles[0]), SHARE_ONE * 2 / 3);
	ck_assert_uint_eq(share_of(&s, roles[1]), SHARE_ONE * 2 / 3);
}
END_TEST

START_TEST(twice_the_weight_is_twice_the_share)
{
	struct role *roles[] = {role("a"), role("b")};
	struct resources needs[] = {amount(100, 1), amount(100, 1)};
	uint32_t got[2] = {0};

	share_set_weight(roles[1], 2 * SHARE_WEIGHT_ONE);
	fill(roles, needs, got, 2);
	ck_assert_uint_eq(got[0], 30);
	ck_assert_uint_eq(got[1], 60);
}
END_TEST

/* eng and ops have the same; inside eng its own jobs are a sibling of its two children. */
START_TEST(a_subtree_shares_what_its_top_has)
{
	struct role *roles[] = {role("ops"), role("eng/web"), role("eng/batch"), role("eng")};
	struct resources needs[] = {amount(100, 1), amount(100, 1), amount(100, 1), amount(100, 1)};
	uint32_t got[4] = {0};

	s.total = amount(9000, 90);
	fill(roles, needs, got, 4);
	ck_assert_uint_eq(got[0], 45);
	for (int i = 1; i < 4; i++)
		ck_assert_uint_eq(got[i], 15);
}
END_TEST

START_TEST(a_limit_holds_for_all_below_it_and_is_named)
{
	struct role *roles[] = {role("eng/web"), role("eng/batch"), role("ops")};
	struct resources needs[] = {amount(1000, 1), amount(1000, 1), amount(1000, 1)};
	struct quota q = {.limit = {4500, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	uint32_t got[3] = {0};
	struct share_barred why;

	share_set_quota(share_find(&s, "eng"), &q);
	fill(roles, needs, got, 3);
	ck_assert_uint_eq(got[0] + got[1], 4);
	ck_assert_uint_eq(got[2], 5);
	ck_assert_uint_eq(share_room(&s, roles[0], &needs[0], 9, &why), 0);
	ck_assert_int_eq(why.bar, SHARE_BAR_LIMIT);
	ck_assert_int_eq(why.resource, RESOURCE_CPU);
	ck_assert_str_eq(why.at->name, "eng");
	share_set_quota(share_find(&s, "eng"),
	    &(struct quota){.limit = {QUOTA_NO_LIMIT, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}});
}
END_TEST

START_TEST(head_room_is_kept_for_a_guarantee_that_nobody_uses)
{
	struct role *roles[] = {role("a"), role("b")};
	struct resources needs[] = {amount(1000, 1), amount(1000, 1)};
	struct quota q = {{6000, 0, 0}, {QUOTA_NO_LIMIT, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	uint32_t got[2] = {0};
	struct share_barred why;

	share_set_quota(roles[1], &q);
	fill(roles, needs, got, 1); /* only a contends */
	ck_assert_uint_eq(got[0], 3);
	ck_assert_uint_eq(share_room(&s, roles[0], &needs[0], 9, &why), 0);
	ck_assert_int_eq(why.bar, SHARE_BAR_GUARANTEE);
	ck_assert_uint_eq(share_room(&s, roles[1], &needs[1], 9, &why), 6);
}
END_TEST

START_TEST(a_guarantee_goes_before_shares_until_it_is_met)
{
	struct role *roles[] = {role("a"), role("b")};
	struct resources needs[] = {amount(1000, 1), amount(1000, 1)};
	struct quota q = {{6000, 0, 0}, {QUOTA_NO_LIMIT, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	uint32_t got[2] = {0};

	share_set_quota(roles[1], &q);
	fill(roles, needs, got, 2);
	ck_assert_uint_eq(got[0], 3);
	ck_assert_uint_eq(got[1], 6);
}
END_TEST

START_TEST(a_reservation_counts_as_consumed_whether_it_is_used_or_not)
{
	struct role *r = role("a");
	struct resources reserved = amount(2000, 10), none = {0}, used = amount(1000, 10),
			 need = amount(3000, 10), unreserved = amount(2000, 0);
	struct quota q = {.limit = {5000, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	struct share_barred why;

	share_reserve(r, &reserved, &none);
	share_set_quota(r, &q);
	share_begin(&s, &s.total);
	ck_assert_uint_eq(share_room(&s, r, &unreserved, 9, &why), 1);
	share_lease(r, &need, 1); /* 1000 of it on the reservation */
	share_reserved_use(r, &used, &none);
	ck_assert_uint_eq(share_consumed(r).cpu_milli, 4000);
	share_reserved_use(r, &none, &used);
	share_release(r, &need);
	share_reserve(r, &none, &reserved);
	ck_assert_uint_eq(share_consumed(r).cpu_milli, 0);
}
END_TEST

START_TEST(tasks_of_unknown_state_count_against_a_limit_however_many)
{
	struct role *r = role("a/b");
	struct resources need = amount(1000, UINT64_C(1) << 56);
	struct quota q = {.limit = {QUOTA_NO_LIMIT, UINT64_C(1) << 60, QUOTA_NO_LIMIT}};
	struct share_barred why;

	share_set_quota(share_find(&s, "a"), &q);
	share_begin(&s, &s.total);
	ck_assert_uint_eq(share_room(&s, r, &need, 99, &why), 16);
	share_unsettled(r, &need, 10000000); /* 2^79 bytes */
	ck_assert_uint_eq(share_room(&s, r, &need, 99, &why), 0);
	share_unsettled(r, &need, -9999990);
	ck_assert_uint_eq(share_room(&s, r, &need, 99, &why), 6);
	share_unsettled(r, &need, -10);
}
END_TEST

START_TEST(a_limit_that_is_raised_or_dropped_holds_until_that_is_stored)
{
	struct role *r = role("a");
	struct resources need = amount(1000, 0);
	const struct resources none = {QUOTA_NO_LIMIT, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT};
	struct quota low = {.limit = {2000, none.memory_bytes, none.disk_bytes}},
		     high = {.limit = {5000, none.memory_bytes, none.disk_bytes}},
		     nothing = {.limit = none};
	struct share_barred why;

	share_begin(&s, &s.total);
	share_set_quota(r, &low);
	ck_assert_uint_eq(share_room(&s, r, &need, 9, &why), 2); /* at once */
	share_quota_in_batch(&s);
	share_set_quota(r, &high); /* while that batch is out */
	ck_assert_uint_eq(share_room(&s, r, &need, 9, &why), 2);
	share_quota_stored(&s);
	ck_assert_uint_eq(share_room(&s, r, &need, 9, &why), 2);
	share_quota_in_batch(&s);
	ck_assert_uint_eq(share_room(&s, r, &need, 9, &why), 2);
	share_quota_stored(&s);
	ck_assert_uint_eq(share_room(&s, r, &need, 9, &why), 5);
	share_set_quota(r, &nothing);
	share_drop(&s, r);
	r = share_find(&s, "a"); /* nobody's, but it is not to be forgotten yet */
	ck_assert_ptr_nonnull(r);
	ck_assert_uint_eq(share_room(&s, r, &need, 9, &why), 5);
	share_quota_in_batch(&s);
	share_quota_stored(&s);
	ck_assert_ptr_null(share_find(&s, "a"));
}
END_TEST

START_TEST(a_role_is_known_as_long_as_something_speaks_of_it)
{
	struct role *web = role("eng/web"), *again = role("eng/web");

	ck_assert_ptr_eq(web, again);
	ck_assert_uint_eq(s.count, 2);
	share_drop(&s, web);
	ck_assert_ptr_eq(share_find(&s, "eng/web"), web);
	share_set_weight(share_find(&s, "eng"), 2000);
	share_drop(&s, web);
	ck_assert_ptr_null(share_find(&s, "eng/web"));
	ck_assert_ptr_nonnull(share_find(&s, "eng"));
	share_set_weight(share_find(&s, "eng"), SHARE_WEIGHT_ONE);
	share_drop(&s, role("eng"));
	ck_assert_uint_eq(s.count, 0);
}
END_TEST

START_TEST(there_are_no_more_roles_than_the_bound)
{
	char name[16];

	for (int i = 0; i < SHARE_ROLES_MAX - 1; i++) {
		snprintf(name, sizeof name, "r%d", i);
		role(name);
	}
	ck_assert_ptr_null(share_take(&s, "a/b")); /* its parent would have found room */
	ck_assert_uint_eq(s.count, SHARE_ROLES_MAX - 1);
	ck_assert_ptr_nonnull(share_take(&s, "a"));
	ck_assert_ptr_null(share_take(&s, "b"));
}
END_TEST

START_TEST(names_of_roles_are_those_of_mesos_without_what_needs_quoting)
{
	static const char *const good[] = {"*", "a", "eng/web", "A_b.c-d/1", "a/b/c/d/e/f/g/h"};
	static const char *const bad[] = {"", "/", "a/", "/a", "a//b", "-a", "a/-b", ".", "a/..",
	    "a b", "*/a", "a/*", "\xc3\xa9", "a/b/c/d/e/f/g/h/i",
	    "a123456789b123456789c123456789d123456789e123456789f123456789abcd"};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		ck_assert_msg(role_name_ok(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!role_name_ok(bad[i]), "%s", bad[i]);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("share");
	TCase *t = tcase_create("share");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_example_of_the_paper_gives_each_two_thirds_of_its_dominant_resource);
	tcase_add_test(t, twice_the_weight_is_twice_the_share);
	tcase_add_test(t, a_subtree_shares_what_its_top_has);
	tcase_add_test(t, a_limit_holds_for_all_below_it_and_is_named);
	tcase_add_test(t, head_room_is_kept_for_a_guarantee_that_nobody_uses);
	tcase_add_test(t, a_guarantee_goes_before_shares_until_it_is_met);
	tcase_add_test(t, a_reservation_counts_as_consumed_whether_it_is_used_or_not);
	tcase_add_test(t, tasks_of_unknown_state_count_against_a_limit_however_many);
	tcase_add_test(t, a_limit_that_is_raised_or_dropped_holds_until_that_is_stored);
	tcase_add_test(t, a_role_is_known_as_long_as_something_speaks_of_it);
	tcase_add_test(t, there_are_no_more_roles_than_the_bound);
	tcase_add_test(t, names_of_roles_are_those_of_mesos_without_what_needs_quoting);
	suite_add_tcase(suite, t);
	return suite;
}
