/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/access.h"

#include "tests/lib/unit.h"

#define MASTERS "CN=master,O=prod"

static const struct access_grant masters = {ACCESS_ALL, "x509", MASTERS};

static bool
wide(int32_t perms, const char *scheme, const char *id, bool readable)
{
	const struct access_grant grants[] = {masters, {perms, scheme, id}};

	return access_too_wide(grants, 2, MASTERS, readable) == &grants[1];
}

START_TEST(what_masters_make_is_not_too_wide)
{
	const struct access_grant closed[] = {masters};
	const struct access_grant readable[] = {masters, {ACCESS_READ, "world", "anyone"}};

	ck_assert_ptr_null(access_too_wide(closed, 1, MASTERS, false));
	ck_assert_ptr_null(access_too_wide(readable, 2, MASTERS, true));
	ck_assert_ptr_null(access_too_wide(closed, 0, MASTERS, false));
}
END_TEST

START_TEST(any_permission_of_anybody_else_is_found)
{
	static const char *const others[][2] = {
	    {"world", "anyone"},
	    {"x509", "CN=agent,O=prod"},
	    {"x509", "CN=master,O=other"},
	    {"x509", "CN=master,O=prod,OU=x"},
	    {"x509", "CN=master"},
	    {"digest", MASTERS},
	    {"ip", "10.0.0.0/8"},
	    {"auth", ""},
	};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		for (int32_t bit = 1; bit <= ACCESS_ALL; bit *= 2) {
			ck_assert(wide(bit, others[i][0], others[i][1], false));
			ck_assert(
			    wide(bit, others[i][0], others[i][1], true) == (bit != ACCESS_READ));
		}
	ck_assert(!wide(0, "world", "anyone", false));
}
END_TEST

START_TEST(a_grant_is_printed_as_zk_takes_it)
{
	const struct access_grant some = {1 | 4 | 16, "world", "anyone"};
	char text[64];

	access_print(&masters, text, sizeof text);
	ck_assert_str_eq(text, "x509:" MASTERS ":cdrwa");
	access_print(&some, text, sizeof text);
	ck_assert_str_eq(text, "world:anyone:cra");
	access_print(&some, text, 8);
	ck_assert_str_eq(text, "world:a");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("access");
	TCase *t = tcase_create("access");

	tcase_add_test(t, what_masters_make_is_not_too_wide);
	tcase_add_test(t, any_permission_of_anybody_else_is_found);
	tcase_add_test(t, a_grant_is_printed_as_zk_takes_it);
	suite_add_tcase(s, t);
	return s;
}
