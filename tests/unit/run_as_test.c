/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/run_as.h"

#include "tests/lib/unit.h"

static const char *const listed[] = {"build", "www-data"};
static const struct run_as people = {.agent_uid = 990};
static const struct run_as named = {.accounts = listed, .count = 2, .agent_uid = 990};

START_TEST(an_operator_has_accounts_of_people_or_those_that_are_named)
{
	ck_assert_ptr_null(run_as_refusal(&people, "operator:ann", "bob", 1000));
	ck_assert_ptr_nonnull(run_as_refusal(&people, "operator:ann", "daemon", 999));
	ck_assert_ptr_nonnull(run_as_refusal(&people, "operator:ann", "root", 0));
	ck_assert_ptr_null(run_as_refusal(&named, "operator:ann", "www-data", 33));
	ck_assert_ptr_nonnull(run_as_refusal(&named, "operator:ann", "bob", 1000));
	ck_assert_ptr_nonnull(run_as_refusal(&named, "operator:ann", "buil", 1001));
	ck_assert_ptr_nonnull(run_as_refusal(&named, "operator:ann", "builds", 1001));
	ck_assert_ptr_nonnull(run_as_refusal(&named, "operator:ann", "root", 0));
	ck_assert_ptr_null(run_as_refusal(&named, "operator:ann", "corral-agent", 990));
	/* A master that does not tell who submitted is one of an earlier version. */
	ck_assert_ptr_nonnull(run_as_refusal(&people, "", "root", 0));
	ck_assert_ptr_null(run_as_refusal(&people, "", "bob", 1000));
}
END_TEST

START_TEST(root_is_there_for_those_to_whom_it_is_named)
{
	static const char *const root[] = {"root"};
	const struct run_as rules = {.accounts = root, .count = 1, .agent_uid = 990};

	ck_assert_ptr_null(run_as_refusal(&rules, "operator:ann", "root", 0));
	ck_assert_ptr_null(run_as_refusal(&rules, "user:root", "root", 0));
	ck_assert_ptr_nonnull(run_as_refusal(&rules, "user:ann", "root", 0));
}
END_TEST

START_TEST(a_user_has_its_own_account_alone)
{
	ck_assert_ptr_null(run_as_refusal(&people, "user:bob", "bob", 1000));
	/* run_as is for operators. */
	ck_assert_ptr_null(run_as_refusal(&named, "user:bob", "bob", 1000));
	ck_assert_ptr_nonnull(run_as_refusal(&named, "user:bob", "build", 1001));
	ck_assert_ptr_nonnull(run_as_refusal(&people, "user:bob", "bobby", 1001));
	ck_assert_ptr_nonnull(run_as_refusal(&people, "user:bo", "bob", 1000));
	ck_assert_ptr_nonnull(run_as_refusal(&people, "user:", "bob", 1000));
	ck_assert_ptr_nonnull(run_as_refusal(&people, "user:daemon", "daemon", 1));
	ck_assert_ptr_nonnull(run_as_refusal(&people, "user:corral-agent", "corral-agent", 990));
	ck_assert(run_as_is_user("user:bob") && !run_as_is_user("operator:user:bob") &&
		  !run_as_is_user(""));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("run_as");
	TCase *t = tcase_create("run_as");

	tcase_add_test(t, an_operator_has_accounts_of_people_or_those_that_are_named);
	tcase_add_test(t, root_is_there_for_those_to_whom_it_is_named);
	tcase_add_test(t, a_user_has_its_own_account_alone);
	suite_add_tcase(s, t);
	return s;
}
