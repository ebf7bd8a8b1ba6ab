/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/elect.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/unit.h"

#define T 10000

static struct elect e;

static void
expect(enum elect_act act, const char *name)
{
	ck_assert_uint_eq(e.out_count, 1);
	ck_assert_int_eq(e.out[0].act, act);
	ck_assert_str_eq(e.out[0].name, name);
	elect_out_clear(&e);
}

static void
list(const char *a, const char *b, const char *c)
{
	const char *names[3] = {a, b, c};
	size_t count = a == NULL ? 0 : b == NULL ? 1 : c == NULL ? 2 : 3;

	elect_listed(&e, 1000, ELECT_OK, names, count);
}

static void
setup(void)
{
	elect_init(&e);
	elect_session(&e, 77, T);
	expect(ELECT_LIST, "");
}

/* To leadership at time 1000, with node 5. */
static void
lead(void)
{
	list(NULL, NULL, NULL);
	expect(ELECT_CREATE, "");
	elect_created(&e, ELECT_OK);
	expect(ELECT_LIST, "");
	list("json.info_0000000005", NULL, NULL);
	expect(ELECT_READ, "json.info_0000000005");
	elect_read(&e, 1000, ELECT_OK, 77);
	expect(ELECT_RENEW, "json.info_0000000005");
	elect_renewed(&e, 1010, ELECT_OK, 0x51);
	expect(ELECT_ERA, "");
	ck_assert(elect_era(&e, 1020, "3", 1));
	expect(ELECT_LEAD, "");
}

START_TEST(a_lone_master_leads_under_the_era_and_its_nodes_czxid)
{
	lead();
	ck_assert_uint_eq(e.term.era, 3);
	ck_assert_int_eq(e.term.czxid, 0x51);
	ck_assert(elect_may_act(&e, 1020));
}
END_TEST

START_TEST(the_lowest_number_leads_and_other_children_do_not_count)
{
	list("log_replicas", "json.info_0000000009", "json.info_0000000010");
	expect(ELECT_READ, "json.info_0000000009");
	elect_read(&e, 1, ELECT_OK, 5);
	expect(ELECT_READ, "json.info_0000000010");
	elect_read(&e, 1, ELECT_OK, 6);
	expect(ELECT_CREATE, "");
	elect_created(&e, ELECT_OK);
	expect(ELECT_LIST, "");
	list("json.info_0000000011", "json.info_0000000010", "json.info_x");
	expect(ELECT_READ, "json.info_0000000010");
	elect_read(&e, 1, ELECT_OK, 6);
	expect(ELECT_READ, "json.info_0000000011");
	elect_read(&e, 1, ELECT_OK, 77);
	ck_assert_uint_eq(e.out_count, 0);
	ck_assert_int_eq(e.state, ELECT_STANDBY);
	ck_assert_str_eq(e.leader, "json.info_0000000010");
	elect_changed(&e);
	expect(ELECT_LIST, "");
	list("json.info_0000000011", NULL, NULL);
	expect(ELECT_RENEW, "json.info_0000000011");
}
END_TEST

START_TEST(after_a_lost_reply_the_own_node_is_found_and_no_second_one_made)
{
	list(NULL, NULL, NULL);
	expect(ELECT_CREATE, "");
	elect_created(&e, ELECT_AGAIN);
	expect(ELECT_LIST, "");
	list("json.info_0000000004", "json.info_0000000005", NULL);
	expect(ELECT_READ, "json.info_0000000004");
	elect_read(&e, 1, ELECT_GONE, 0);
	expect(ELECT_READ, "json.info_0000000005");
	elect_read(&e, 1, ELECT_OK, 77);
	ck_assert_str_eq(e.own, "json.info_0000000005");
	ck_assert_int_eq(e.state, ELECT_STANDBY);
}
END_TEST

/* The server of the new connection had not heard of the first one when it was asked. */
START_TEST(of_two_nodes_of_one_session_the_lower_one_contends)
{
	list(NULL, NULL, NULL);
	expect(ELECT_CREATE, "");
	elect_created(&e, ELECT_AGAIN);
	expect(ELECT_LIST, "");
	list(NULL, NULL, NULL);
	expect(ELECT_CREATE, "");
	elect_created(&e, ELECT_OK);
	expect(ELECT_LIST, "");
	list("json.info_0000000006", "json.info_0000000005", NULL);
	expect(ELECT_READ, "json.info_0000000005");
	elect_read(&e, 1000, ELECT_OK, 77);
	expect(ELECT_RENEW, "json.info_0000000005");
	ck_assert_int_eq(e.state, ELECT_PROVING);
}
END_TEST

/* The lowest is named last: whoever takes no more than it has room for would lead beside it. */
START_TEST(however_many_contend_the_lowest_leads)
{
	static char texts[ELECT_CANDIDATES_MAX + 1][ELECT_NODE_MAX];
	const char *names[ELECT_CANDIDATES_MAX + 1];
	size_t count = ELECT_CANDIDATES_MAX + 1;

	list("json.info_0000000098", "json.info_0000000099", NULL);
	elect_read(&e, 1, ELECT_OK, 6);
	elect_read(&e, 1, ELECT_OK, 77);
	ck_assert_int_eq(e.state, ELECT_STANDBY);
	elect_changed(&e);
	for (size_t i = 0; i < count; i++) {
		snprintf(texts[i], sizeof texts[i], "json.info_%010zu", 99 + count - 1 - i);
		names[i] = texts[i];
	}
	names[count - 1] = "json.info_0000000007";
	names[0] = "json.info_0000000099";
	elect_listed(&e, 1000, ELECT_OK, names, count);
	ck_assert_str_eq(e.leader, "json.info_0000000007");
	ck_assert_int_eq(e.state, ELECT_STANDBY);
}
END_TEST

START_TEST(one_more_than_there_is_room_for_makes_no_node)
{
	static char texts[ELECT_CANDIDATES_MAX + 1][ELECT_NODE_MAX];
	const char *names[ELECT_CANDIDATES_MAX + 1];

	for (size_t i = 0; i <= ELECT_CANDIDATES_MAX; i++) {
		snprintf(texts[i], sizeof texts[i], "json.info_%010zu", i);
		names[i] = texts[i];
	}
	elect_listed(&e, 1000, ELECT_OK, names, ELECT_CANDIDATES_MAX + 1);
	expect(ELECT_DROP, "");
}
END_TEST

START_TEST(a_leader_acts_for_half_a_time_out_after_it_sent_what_was_answered)
{
	lead(); /* renewal sent at 1000 */
	ck_assert(elect_may_act(&e, 1000 + T / 2 - 1));
	ck_assert(!elect_may_act(&e, 1000 + T / 2));
	ck_assert_uint_eq(elect_deadline_ms(&e), 1000 + T / 10);
	elect_tick(&e, 2000);
	expect(ELECT_RENEW, "json.info_0000000005");
	elect_tick(&e, 3000);
	expect(ELECT_RENEW, "json.info_0000000005");
	elect_renewed(&e, 5500, ELECT_OK, 0x51); /* the first: what counts is when it was sent */
	ck_assert(elect_may_act(&e, 6999));
	ck_assert(!elect_may_act(&e, 7000));
	elect_renewed(&e, 5600, ELECT_AGAIN, 0); /* a lost one proves nothing */
	ck_assert(!elect_may_act(&e, 7000));
}
END_TEST

START_TEST(a_leader_past_its_bound_drops_all_and_contends_with_a_new_session)
{
	lead();
	elect_tick(&e, 1000 + T / 2);
	expect(ELECT_DROP, "");
	elect_renewed(&e, 7000, ELECT_OK, 0x51); /* too late: a term is never resumed */
	ck_assert(!elect_may_act(&e, 7000));
	ck_assert_uint_eq(e.out_count, 0);
	elect_session(&e, 78, T);
	expect(ELECT_LIST, "");
	ck_assert_str_eq(e.own, "");
}
END_TEST

START_TEST(a_master_whose_node_is_gone_drops_all)
{
	if (_i == 0) {
		lead();
		elect_tick(&e, 2000);
		elect_out_clear(&e);
		elect_renewed(&e, 2010, ELECT_GONE, 0);
	} else {
		list("json.info_0000000005", "json.info_0000000004", NULL);
		elect_read(&e, 1, ELECT_OK, 6);
		elect_read(&e, 1, ELECT_OK, 77);
		elect_changed(&e);
		elect_out_clear(&e);
		list("json.info_0000000006", NULL, NULL);
	}
	elect_expired(&e);
	expect(ELECT_DROP, "");
}
END_TEST

START_TEST(who_cannot_make_its_node_or_read_the_era_leads_nobody)
{
	static const char *const none[] = {"", "0", "-1", "1\n", "99999999999999999999", "one"};

	list(NULL, NULL, NULL);
	expect(ELECT_CREATE, "");
	if (_i == 0) {
		elect_created(&e, ELECT_GONE);
	} else {
		elect_created(&e, ELECT_OK);
		expect(ELECT_LIST, "");
		list("json.info_0000000005", NULL, NULL);
		expect(ELECT_READ, "json.info_0000000005");
		elect_read(&e, 1000, ELECT_OK, 77);
		expect(ELECT_RENEW, "json.info_0000000005");
		elect_renewed(&e, 1010, ELECT_OK, 0x51);
		expect(ELECT_ERA, "");
		ck_assert(!elect_era(
		    &e, 1020, _i == 1 ? NULL : none[_i - 2], _i == 1 ? 0 : strlen(none[_i - 2])));
	}
	expect(ELECT_DROP, "");
	ck_assert(!elect_may_act(&e, 1020));
}
END_TEST

/* Before it came to contending: else nothing would ever open another one. */
START_TEST(a_session_that_expires_at_once_is_replaced_too)
{
	lead();
	elect_expired(&e);
	expect(ELECT_DROP, "");
	elect_expired(&e);
	expect(ELECT_DROP, "");
	elect_session(&e, 78, T);
	expect(ELECT_LIST, "");
}
END_TEST

START_TEST(a_change_during_the_listing_is_not_missed)
{
	elect_changed(&e);
	list("json.info_0000000001", NULL, NULL);
	expect(ELECT_LIST, "");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("elect");
	TCase *t = tcase_create("elect");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_lone_master_leads_under_the_era_and_its_nodes_czxid);
	tcase_add_test(t, the_lowest_number_leads_and_other_children_do_not_count);
	tcase_add_test(t, after_a_lost_reply_the_own_node_is_found_and_no_second_one_made);
	tcase_add_test(t, of_two_nodes_of_one_session_the_lower_one_contends);
	tcase_add_test(t, however_many_contend_the_lowest_leads);
	tcase_add_test(t, one_more_than_there_is_room_for_makes_no_node);
	tcase_add_test(t, a_leader_acts_for_half_a_time_out_after_it_sent_what_was_answered);
	tcase_add_test(t, a_leader_past_its_bound_drops_all_and_contends_with_a_new_session);
	tcase_add_loop_test(t, a_master_whose_node_is_gone_drops_all, 0, 2);
	tcase_add_loop_test(t, who_cannot_make_its_node_or_read_the_era_leads_nobody, 0, 8);
	tcase_add_test(t, a_session_that_expires_at_once_is_replaced_too);
	tcase_add_test(t, a_change_during_the_listing_is_not_missed);
	suite_add_tcase(s, t);
	return s;
}
