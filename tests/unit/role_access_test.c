/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/role_access.h"

#include <string.h>

#include "tests/lib/unit.h"

static const char *const rules[] = {"eng=alice", "eng=bob", "eng/web=carol", "ops/night=dora"};
static const char *const closed[] = {"*=alice", "eng=bob"};

static bool
may(const char *const *list, size_t count, const char *role, const char *user)
{
	char names[ROLE_ACCESS_NAMES_MAX];
	const char *by;

	return role_access_allows(list, count, role, user, &by, names);
}

START_TEST(without_rules_every_role_is_open)
{
	ck_assert(may(NULL, 0, "eng", "alice"));
	ck_assert(may(NULL, 0, NULL, "alice"));
}
END_TEST

START_TEST(a_role_with_rules_is_for_those_that_they_name)
{
	ck_assert(may(rules, 4, "eng", "alice"));
	ck_assert(may(rules, 4, "eng", "bob"));
	ck_assert(!may(rules, 4, "eng", "carol"));
	ck_assert(!may(rules, 4, "eng", "alic"));
	ck_assert(!may(rules, 4, "eng", "alicex"));
	ck_assert(!may(rules, 4, "eng", ""));
	ck_assert(may(rules, 4, "other", "carol")); /* no rule says a thing of it */
	ck_assert(may(rules, 4, NULL, "carol"));
}
END_TEST

START_TEST(the_nearest_role_above_decides)
{
	ck_assert(may(rules, 4, "eng/batch", "alice"));
	ck_assert(!may(rules, 4, "eng/batch", "carol"));
	ck_assert(may(rules, 4, "eng/web", "carol"));
	ck_assert(!may(rules, 4, "eng/web", "alice"));
	ck_assert(may(rules, 4, "eng/web/front", "carol"));
	ck_assert(!may(rules, 4, "eng/web/front", "bob"));
	ck_assert(may(rules, 4, "ops", "alice"));
	ck_assert(may(rules, 4, "engine", "carol")); /* no child of eng */
}
END_TEST

START_TEST(the_default_role_is_above_all)
{
	ck_assert(may(closed, 2, NULL, "alice"));
	ck_assert(may(closed, 2, "*", "alice"));
	ck_assert(!may(closed, 2, NULL, "bob"));
	ck_assert(may(closed, 2, "other/deep", "alice"));
	ck_assert(!may(closed, 2, "other/deep", "bob"));
	ck_assert(!may(closed, 2, "eng", "alice"));
	ck_assert(may(closed, 2, "eng", "bob"));
}
END_TEST

START_TEST(a_refusal_names_the_rule_and_who_may)
{
	char names[ROLE_ACCESS_NAMES_MAX];
	const char *by = NULL;

	ck_assert(!role_access_allows(rules, 4, "eng/batch", "carol", &by, names));
	ck_assert_str_eq(names, "alice, bob");
	ck_assert_str_eq(by, "eng=bob");
}
END_TEST

START_TEST(what_is_no_rule_is_named)
{
	static const char *const bad[] = {
	    "eng", "eng=", "=alice", "en g=alice", "/eng=alice", "eng/=alice", "..=alice"};
	const char *list[] = {"eng=alice", bad[_i]};

	ck_assert_ptr_null(role_access_fault(rules, 4));
	ck_assert_ptr_eq(role_access_fault(list, 2), bad[_i]);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("role access");
	TCase *t = tcase_create("role access");

	tcase_add_test(t, without_rules_every_role_is_open);
	tcase_add_test(t, a_role_with_rules_is_for_those_that_they_name);
	tcase_add_test(t, the_nearest_role_above_decides);
	tcase_add_test(t, the_default_role_is_above_all);
	tcase_add_test(t, a_refusal_names_the_rule_and_who_may);
	tcase_add_loop_test(t, what_is_no_rule_is_named, 0, 7);
	suite_add_tcase(s, t);
	return s;
}
