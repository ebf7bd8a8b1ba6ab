/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/run_as.h"

#include "tests/lib/unit.h"

static const char *const listed[] = {"build", "www-data"};
static const struct run_as people = {.default_user = "nobody", .agent_uid = 990};
static const struct run_as named = {
    .accounts = listed, .count = 2, .default_user = "nobody", .agent_uid = 990};

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
	ck_assert_ptr_null(run_as_refusal(&named, "operator:ann", "nobody", 65534));
	/* A master that does not tell who submitted is one of an earlier version. */
	ck_assert_ptr_nonnull(run_as_refusal(&people, "", "root", 0));
	ck_assert_ptr_null(run_as_refusal(&people, "", "bob", 1000));
}
END_TEST

/* Whoever has it can read the agent's key, and end its processes. */
START_TEST(the_agents_own_account_is_there_only_if_named)
{
	static const char *const own[] = {"agent"};
	const struct run_as not_named = {.default_user = "nobody", .agent_uid = 1001},
			    in_list = {.accounts = own, .count = 1, .agent_uid = 1001},
			    as_default = {.default_user = "agent", .agent_uid = 1001};

	ck_assert_ptr_nonnull(run_as_refusal(&not_named, "operator:ann", "agent", 1001));
	ck_assert_ptr_nonnull(run_as_refusal(&not_named, "user:agent", "agent", 1001));
	ck_assert_ptr_nonnull(run_as_refusal(&people, "operator:ann", "corral-agent", 990));
	ck_assert_ptr_nonnull(run_as_refusal(&named, "operator:ann", "corral-agent", 990));
	ck_assert_ptr_null(run_as_refusal(&in_list, "operator:ann", "agent", 1001));
	ck_assert_ptr_null(run_as_refusal(&as_default, "operator:ann", "agent", 1001));
	ck_assert_ptr_nonnull(run_as_refusal(&as_default, "user:agent", "agent", 1001));
}
END_TEST

START_TEST(a_task_that_names_no_account_has_the_nodes_default)
{
	const struct run_as none = {.agent_uid = 990};
	const char *why = NULL;

	ck_assert_str_eq(run_as_account(&people, "operator:ann", "", &why), "nobody");
	ck_assert_str_eq(run_as_account(&people, "", NULL, &why), "nobody");
	ck_assert_str_eq(run_as_account(&none, "operator:ann", "bob", &why), "bob");
	ck_assert_ptr_null(why);
	ck_assert_ptr_null(run_as_account(&none, "operator:ann", "", &why));
	ck_assert(strstr(why, "default_user") != NULL);
	ck_assert_ptr_null(run_as_account(&people, "user:bob", "", &why));
	ck_assert(strstr(why, "own name only") != NULL);
	ck_assert_str_eq(run_as_account(&people, "operator:user:bob", "", &why), "nobody");
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
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("run_as");
	TCase *t = tcase_create("run_as");

	tcase_add_test(t, an_operator_has_accounts_of_people_or_those_that_are_named);
	tcase_add_test(t, the_agents_own_account_is_there_only_if_named);
	tcase_add_test(t, a_task_that_names_no_account_has_the_nodes_default);
	tcase_add_test(t, root_is_there_for_those_to_whom_it_is_named);
	tcase_add_test(t, a_user_has_its_own_account_alone);
	suite_add_tcase(s, t);
	return s;
}
