/* SPDX-License-Identifier: Apache-2.0 */
/* What a member of an ensemble says of itself in each role. */
#include <string.h>

#include "tests/lib/ensemble_rig.h"
#include "tests/lib/unit.h"
#include "zkserver/admin.h"

static struct zoo_conf conf = {.words = "*"};
static struct admin admin;
static char text[8192];

static const char *
finish(struct report *r)
{
	ck_assert(report_finish(r));
	ck_assert_uint_lt(r->buf.len, sizeof text);
	memcpy(text, r->buf.data, r->buf.len);
	text[r->buf.len] = '\0';
	report_fini(r);
	return text;
}

/* What node n answers to a word. */
static const char *
word(int n, const char *name)
{
	struct admin_call q = {.admin = &admin, .word = (const uint8_t *)name};
	struct report r;

	admin_init(&admin, &conf, &nodes[n].server);
	report_init(&r, -1);
	admin_put_text(&q, admin_find_word((const uint8_t *)name), &r);
	admin_fini(&admin);
	return finish(&r);
}

static const char *
command(int n, const char *name)
{
	struct admin_call q = {.admin = &admin};
	struct report r;

	admin_init(&admin, &conf, &nodes[n].server);
	report_init(&r, -1);
	admin_put_json(&q, admin_find_name(name), &r);
	admin_fini(&admin);
	return finish(&r);
}

START_TEST(a_leader_and_a_follower_name_themselves)
{
	ck_assert_ptr_nonnull(strstr(word(0, "srvr"), "\nMode: leader\n"));
	ck_assert_ptr_nonnull(strstr(word(0, "srvr"), "\nProposal sizes last/min/max: -1/-1/-1\n"));
	ck_assert_ptr_nonnull(strstr(word(1, "srvr"), "\nMode: follower\n"));
	ck_assert_ptr_null(strstr(word(1, "srvr"), "Proposal sizes"));
	ck_assert_ptr_nonnull(strstr(command(1, "srvr"), "\"server_state\" : \"follower\""));
	ensemble_join(&clients[0], 1);
	ck_assert_ptr_null(strstr(word(0, "srvr"), "last/min/max: -1/-1/-1\n"));
	ck_assert_ptr_nonnull(strstr(command(0, "srvr"), "\"proposal_stats\""));
	ck_assert_str_eq(word(0, "isro"), "rw");
	ck_assert_ptr_nonnull(strstr(word(1, "dump"), "\nGlobal Sessions(1):\n0x2"));
	ck_assert_ptr_nonnull(strstr(word(0, "dump"), "\nSession Sets (1)/(1):\n"));
}
END_TEST

START_TEST(without_a_role_it_says_that_it_does_not_serve)
{
	static const char not_serving[] =
	    "This ZooKeeper instance is not currently serving requests\n";

	server_idle(&nodes[2].server);
	ck_assert_str_eq(word(2, "srvr"), not_serving);
	ck_assert_str_eq(word(2, "stat"), not_serving);
	ck_assert_str_eq(word(2, "mntr"), not_serving);
	ck_assert_str_eq(word(2, "ruok"), "imok");
	ck_assert_str_eq(word(2, "isro"), "null");
	ck_assert_int_eq(strncmp(word(2, "envi"), "Environment:\n", 13), 0);
	ck_assert_ptr_nonnull(strstr(
	    command(2, "srvr"), "\"error\" : \"This ZooKeeper instance is not currently serving"));
	ck_assert_ptr_nonnull(strstr(command(2, "sysp"), "\"error\" : null"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("admin_roles");
	TCase *c = tcase_create("ensemble");

	tcase_add_checked_fixture(c, ensemble_setup, ensemble_teardown);
	tcase_add_test(c, a_leader_and_a_follower_name_themselves);
	tcase_add_test(c, without_a_role_it_says_that_it_does_not_serve);
	suite_add_tcase(s, c);
	return s;
}
