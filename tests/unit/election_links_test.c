/* SPDX-License-Identifier: Apache-2.0 */
/* Which of two servers' connections stays, and what is said on it. */
#include "zkserver/core/election_links.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/unit.h"

#define ENSEMBLE "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer\n"

static struct election_links l;
static struct members now, next, later;
static uint64_t now_ms;
static bool started, full;    /* full: nothing can be sent */
static char log_text[1024];   /* what it did since the last look */
static const char *answer_up; /* what is sent from within changed(), once; NULL: nothing */

/* Links, told apart by their first letter. */
static char link_a[] = "A", link_b[] = "B", link_c[] = "C";

__attribute__((format(printf, 1, 2))) static void
note(const char *fmt, ...)
{
	size_t len = strlen(log_text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(log_text + len, sizeof log_text - len, fmt, ap);
	va_end(ap);
}

static void
on_dial(void *arg, int64_t sid, const char *address)
{
	(void)arg;
	note("dial %d%s%s; ", (int)sid, address != NULL ? " at " : "",
	    address != NULL ? address : "");
}

static void
on_give_up(void *arg, int64_t sid)
{
	(void)arg;
	note("give up %d; ", (int)sid);
}

static void
on_hang_up(void *arg, void *link, bool flush)
{
	(void)arg;
	note("%s %s; ", flush ? "flush" : "close", (const char *)link);
}

static void
on_hello(void *arg, void *link)
{
	(void)arg;
	note("hello %s; ", (const char *)link);
}

static bool
on_send(void *arg, void *link, const uint8_t *bytes, size_t size)
{
	(void)arg;
	if (full)
		return false;
	note("%s<%.*s; ", (const char *)link, (int)size, (const char *)bytes);
	return true;
}

static void
say(int64_t sid, const char *text)
{
	election_links_send(&l, now_ms, sid, (const uint8_t *)text, strlen(text));
}

static void
on_changed(void *arg, int64_t sid, enum election_link state)
{
	static const char *const words[] = {"unknown", "up", "down"};
	const char *answer = answer_up;

	(void)arg;
	note("%d %s; ", (int)sid, words[state]);
	answer_up = NULL;
	if (answer != NULL)
		say(sid, answer);
}

static const struct election_links_ops OPS = {
    on_dial, on_give_up, on_hang_up, on_hello, on_send, on_changed};

static void
parse(struct members *m, const char *text)
{
	struct fault f = {{0}};

	ck_assert_msg(members_parse(m, text, strlen(text), &f) == 0, "%s", f.text);
}

#define assert_did(text)                                                                           \
	do {                                                                                       \
		ck_assert_str_eq(log_text, text);                                                  \
		log_text[0] = '\0';                                                                \
	} while (0)

static void
begin(int64_t sid, bool members_move)
{
	const struct election_links_settings settings = {sid, ELECTION_CONNECT_MS, members_move};

	if (started)
		election_links_fini(&l);
	started = true;
	full = false;
	answer_up = NULL;
	log_text[0] = '\0';
	now_ms = 5000;
	parse(&now, ENSEMBLE);
	election_links_init(&l, &settings, &OPS, NULL);
	ck_assert(election_links_set_members(&l, now_ms, &now, NULL));
}

/* The same with the first attempts begun. */
static void
begin_dialled(int64_t sid, bool members_move)
{
	begin(sid, members_move);
	election_links_tick(&l, now_ms);
	log_text[0] = '\0';
}

static enum election_hello
greet(int64_t sid, void *link, const char *address)
{
	const struct hello h = {sid, (const uint8_t *)address, strlen(address)};

	return election_links_hello(&l, now_ms, link, &h);
}

static void
pass(uint64_t ms)
{
	now_ms += ms;
	election_links_tick(&l, now_ms);
}

/* ZOOKEEPER-2164, -3756, -2930: one that does not answer holds up no other. */
START_TEST(all_voters_are_connected_to_at_once_and_at_the_same_time)
{
	begin(2, false);
	ck_assert_uint_eq(election_links_deadline_ms(&l), now_ms);
	election_links_tick(&l, now_ms);
	assert_did("dial 1; dial 3; ");
	begin(4, false);
	election_links_tick(&l, now_ms);
	assert_did("dial 1; dial 2; dial 3; ");
}
END_TEST

START_TEST(the_larger_id_connects_and_keeps_the_link)
{
	begin_dialled(2, false);
	election_links_dialled(&l, now_ms, 1, link_a);
	assert_did("hello A; 1 up; ");
	say(1, "x");
	assert_did("A<x; ");
}
END_TEST

START_TEST(the_smaller_id_asks_to_be_called_and_hangs_up)
{
	begin_dialled(2, false);
	election_links_dialled(&l, now_ms, 3, link_a);
	assert_did("hello A; flush A; ");
	ck_assert_int_eq(greet(3, link_b, "c:2"), ELECTION_HELLO_KEPT);
	assert_did("3 up; ");
	/* Not called back within a while: again. */
	begin_dialled(2, false);
	election_links_dialled(&l, now_ms, 3, link_a);
	log_text[0] = '\0';
	pass(ELECTION_CALL_BACK_MS);
	assert_did("dial 3; ");
}
END_TEST

START_TEST(who_is_called_in_the_meantime_does_not_ask)
{
	begin_dialled(2, false);
	ck_assert_int_eq(greet(3, link_a, "c:2"), ELECTION_HELLO_KEPT);
	assert_did("give up 3; 3 up; ");
	election_links_dialled(&l, now_ms, 3, link_b); /* it was on its way */
	assert_did("close B; ");
	say(3, "x");
	assert_did("A<x; ");
}
END_TEST

START_TEST(a_smaller_id_is_called_back_and_its_link_replaced)
{
	begin_dialled(2, false);
	election_links_dialled(&l, now_ms, 1, link_a);
	now_ms += ELECTION_SETTLED_MS;
	log_text[0] = '\0';
	ck_assert_int_eq(greet(1, link_b, "a:2"), ELECTION_HELLO_CALL_BACK);
	assert_did("close A; 1 unknown; dial 1; ");
	election_links_dialled(&l, now_ms, 1, link_c);
	assert_did("hello C; 1 up; ");
}
END_TEST

START_TEST(a_call_that_crosses_ours_changes_nothing)
{
	begin_dialled(2, false);
	ck_assert_int_eq(greet(1, link_a, "a:2"), ELECTION_HELLO_CALL_BACK);
	assert_did("");
	election_links_dialled(&l, now_ms, 1, link_b);
	log_text[0] = '\0';
	ck_assert_int_eq(greet(1, link_c, "a:2"), ELECTION_HELLO_CALL_BACK);
	assert_did("");
	/* An attempt that was begun before it could succeed is begun anew. */
	begin_dialled(2, false);
	now_ms += ELECTION_STUCK_DIAL_MS;
	ck_assert_int_eq(greet(1, link_a, "a:2"), ELECTION_HELLO_CALL_BACK);
	assert_did("give up 1; dial 1; ");
}
END_TEST

START_TEST(a_larger_id_replaces_its_link_at_any_time)
{
	begin_dialled(2, false);
	(void)greet(3, link_a, "c:2");
	log_text[0] = '\0';
	ck_assert_int_eq(greet(3, link_b, "c:2"), ELECTION_HELLO_KEPT);
	assert_did("close A; 3 unknown; 3 up; ");
	election_links_closed(&l, now_ms, 3, link_a); /* not mentioned any more */
	assert_did("");
}
END_TEST

START_TEST(impossible_ids_are_refused)
{
	begin_dialled(2, true);
	ck_assert_int_eq(greet(2, link_a, "b:2"), ELECTION_HELLO_OURSELVES);
	ck_assert_int_eq(greet(-1, link_a, "b:2"), ELECTION_HELLO_IMPOSSIBLE);
	ck_assert_int_eq(greet(256, link_a, "b:2"), ELECTION_HELLO_IMPOSSIBLE);
	ck_assert_int_eq(greet(INT64_MAX, link_a, "b:2"), ELECTION_HELLO_IMPOSSIBLE);
	assert_did("");
}
END_TEST

/* An observer need not be known to the others. */
START_TEST(strangers_may_come_and_are_called_back_where_they_say)
{
	begin_dialled(2, false);
	say(9, "nobody");
	assert_did("");
	ck_assert_int_eq(greet(9, link_a, "x:2"), ELECTION_HELLO_KEPT);
	assert_did("9 up; ");
	ck_assert_int_eq(greet(0, link_b, "y:2"), ELECTION_HELLO_CALL_BACK);
	assert_did("dial 0 at y:2; ");
	election_links_dialled(&l, now_ms, 0, link_c);
	assert_did("hello C; 0 up; ");
}
END_TEST

START_TEST(strangers_are_bounded_and_leave_their_places)
{
	begin_dialled(2, false);
	for (int sid = 10; sid < 10 + ELECTION_STRANGERS_MAX; sid++)
		ck_assert_int_eq(greet(sid, link_a, "x:2"), ELECTION_HELLO_KEPT);
	ck_assert_int_eq(greet(99, link_a, "x:2"), ELECTION_HELLO_UNKNOWN);
	log_text[0] = '\0';
	election_links_closed(&l, now_ms, 10, link_a);
	assert_did("10 unknown; ");
	ck_assert_int_eq(greet(99, link_a, "x:2"), ELECTION_HELLO_KEPT);
	ck_assert_int_eq(greet(0, link_a, "x:2"), ELECTION_HELLO_UNKNOWN);
}
END_TEST

START_TEST(where_a_member_says_that_it_is_counts_once_and_if_members_may_move)
{
	begin_dialled(2, false);
	election_links_dial_failed(&l, now_ms, 1);
	(void)greet(1, link_a, "moved:2");
	assert_did("1 down; 1 unknown; dial 1; ");
	begin_dialled(2, true);
	election_links_dial_failed(&l, now_ms, 1);
	(void)greet(1, link_a, "moved:2");
	assert_did("1 down; 1 unknown; dial 1 at moved:2; ");
	election_links_dial_failed(&l, now_ms, 1);
	log_text[0] = '\0';
	pass(2 * ELECTION_DIAL_MIN_MS);
	assert_did("dial 1; ");
}
END_TEST

/* ZOOKEEPER-2982: a name that is not found today may be found tomorrow. */
START_TEST(attempts_become_rarer_and_each_peer_has_its_own)
{
	uint64_t wait_ms = ELECTION_DIAL_MIN_MS;

	begin_dialled(2, false);
	for (int i = 0; i < 10; i++) {
		election_links_dial_failed(&l, now_ms, 1);
		ck_assert_uint_eq(election_links_deadline_ms(&l),
		    now_ms + wait_ms < 5000 + ELECTION_CONNECT_MS ? now_ms + wait_ms
								  : 5000 + ELECTION_CONNECT_MS);
		if (now_ms + wait_ms >= 5000 + ELECTION_CONNECT_MS)
			break; /* the one to 3, which nobody answers */
		log_text[0] = '\0';
		pass(wait_ms - 1);
		assert_did("");
		pass(1);
		assert_did("dial 1; ");
		wait_ms *= 2;
		if (wait_ms > ELECTION_DIAL_MAX_MS)
			wait_ms = ELECTION_DIAL_MAX_MS;
	}
	ck_assert_uint_eq(wait_ms, ELECTION_DIAL_MAX_MS);
	log_text[0] = '\0';
	pass(5000 + ELECTION_CONNECT_MS - now_ms);
	assert_did("give up 3; 3 down; ");
}
END_TEST

START_TEST(a_message_hurries_the_next_attempt)
{
	begin_dialled(2, false);
	for (int i = 0; i < 6; i++) {
		election_links_dial_failed(&l, now_ms, 1);
		pass(ELECTION_DIAL_MAX_MS);
	}
	election_links_dial_failed(&l, now_ms, 1);
	log_text[0] = '\0';
	say(1, "x");
	pass(ELECTION_DIAL_MIN_MS - 1);
	assert_did("");
	pass(1);
	assert_did("dial 1; ");
}
END_TEST

START_TEST(a_good_link_that_is_lost_is_made_anew_at_once)
{
	begin_dialled(2, false);
	election_links_dialled(&l, now_ms, 1, link_a);
	(void)greet(3, link_b, "c:2");
	now_ms += ELECTION_LIVED_MS;
	log_text[0] = '\0';
	election_links_closed(&l, now_ms, 1, link_a);
	election_links_closed(&l, now_ms, 3, link_b);
	election_links_tick(&l, now_ms);
	assert_did("1 unknown; 3 unknown; dial 1; dial 3; ");
	election_links_dial_failed(&l, now_ms, 3);
	assert_did("3 down; ");
}
END_TEST

START_TEST(a_link_that_does_not_last_is_not_made_in_a_hurry)
{
	begin_dialled(2, false);
	election_links_dialled(&l, now_ms, 1, link_a);
	election_links_closed(&l, now_ms, 1, link_a);
	log_text[0] = '\0';
	pass(ELECTION_DIAL_MIN_MS - 1);
	assert_did("");
	pass(1);
	assert_did("dial 1; ");
}
END_TEST

START_TEST(the_newest_message_waits_and_no_other)
{
	begin_dialled(2, false);
	say(1, "old");
	say(1, "new");
	election_links_dialled(&l, now_ms, 1, link_a);
	assert_did("hello A; 1 up; A<new; ");
	full = true;
	say(1, "x");
	say(1, "y");
	full = false;
	election_links_writable(&l, 1, link_a);
	election_links_writable(&l, 1, link_a);
	assert_did("A<y; ");
}
END_TEST

START_TEST(the_last_message_is_said_again_on_a_fresh_link)
{
	begin_dialled(2, false);
	(void)greet(3, link_a, "c:2");
	say(3, "last");
	log_text[0] = '\0';
	(void)greet(3, link_b, "c:2");
	assert_did("close A; 3 unknown; 3 up; B<last; ");
	/* Unless there is something newer to say just then. */
	answer_up = "newest";
	election_links_closed(&l, now_ms, 3, link_b);
	answer_up = "newest";
	log_text[0] = '\0';
	(void)greet(3, link_c, "c:2");
	assert_did("3 up; C<newest; ");
}
END_TEST

START_TEST(who_does_not_vote_is_called_when_there_is_something_to_say)
{
	begin_dialled(2, false);
	say(4, "x");
	election_links_tick(&l, now_ms);
	assert_did("dial 4; ");
	election_links_dial_failed(&l, now_ms, 4);
	pass(ELECTION_DIAL_MAX_MS);
	election_links_dial_failed(&l, now_ms, 4);
	pass(ELECTION_DIAL_MAX_MS);
	election_links_dial_failed(&l, now_ms, 4);
	log_text[0] = '\0';
	pass(ELECTION_DIAL_MAX_MS); /* the attempts to reach others end meanwhile */
	ck_assert_ptr_null(strstr(log_text, "dial 4"));
	(void)greet(4, link_a, "d:2");
	log_text[0] = '\0';
	election_links_closed(&l, now_ms, 4, link_a);
	pass(ELECTION_DIAL_MAX_MS);
	ck_assert_ptr_null(strstr(log_text, "dial 4"));
}
END_TEST

/* Who was one may still ask, and may become one again. */
START_TEST(members_come_and_go)
{
	begin_dialled(2, false);
	(void)greet(3, link_a, "c:2");
	log_text[0] = '\0';
	parse(&next, "server.2=b:1:2\nserver.3=c:1:2\nserver.5=e:1:2\nversion=1");
	ck_assert(election_links_set_members(&l, now_ms, &now, &next));
	election_links_tick(&l, now_ms);
	assert_did("dial 5; ");
	ck_assert(election_links_set_members(&l, now_ms, &next, NULL));
	assert_did("");
	parse(&later, "server.2=b:1:2\nserver.5=e:1:2\nversion=2");
	ck_assert(election_links_set_members(&l, now_ms, &later, NULL));
	ck_assert_uint_eq(l.stranger_count, 2); /* 1 is being called still */
	say(3, "x");
	ck_assert_ptr_nonnull(strstr(log_text, "A<x"));
	ck_assert(election_links_set_members(&l, now_ms, &next, NULL));
	ck_assert_uint_eq(l.stranger_count, 1);
}
END_TEST

START_TEST(who_is_no_member_any_more_goes_where_there_is_no_place)
{
	begin_dialled(2, false);
	(void)greet(3, link_a, "c:2");
	for (int sid = 10; sid < 10 + ELECTION_STRANGERS_MAX; sid++)
		(void)greet(sid, link_b, "x:2");
	log_text[0] = '\0';
	parse(&next, "server.2=b:1:2\nserver.5=e:1:2\nversion=1");
	ck_assert(election_links_set_members(&l, now_ms, &next, NULL));
	assert_did("give up 1; close A; 3 unknown; ");
	ck_assert_int_eq(greet(1, link_c, "a:2"), ELECTION_HELLO_UNKNOWN);
}
END_TEST

static void
stop(void)
{
	election_links_fini(&l);
}

Suite *
unit_suite(void)
{
	Suite *s = suite_create("election_links");
	TCase *t = tcase_create("election_links");

	tcase_add_checked_fixture(t, NULL, stop);
	tcase_add_test(t, all_voters_are_connected_to_at_once_and_at_the_same_time);
	tcase_add_test(t, the_larger_id_connects_and_keeps_the_link);
	tcase_add_test(t, the_smaller_id_asks_to_be_called_and_hangs_up);
	tcase_add_test(t, who_is_called_in_the_meantime_does_not_ask);
	tcase_add_test(t, a_smaller_id_is_called_back_and_its_link_replaced);
	tcase_add_test(t, a_call_that_crosses_ours_changes_nothing);
	tcase_add_test(t, a_larger_id_replaces_its_link_at_any_time);
	tcase_add_test(t, impossible_ids_are_refused);
	tcase_add_test(t, strangers_may_come_and_are_called_back_where_they_say);
	tcase_add_test(t, strangers_are_bounded_and_leave_their_places);
	tcase_add_test(t, where_a_member_says_that_it_is_counts_once_and_if_members_may_move);
	tcase_add_test(t, attempts_become_rarer_and_each_peer_has_its_own);
	tcase_add_test(t, a_message_hurries_the_next_attempt);
	tcase_add_test(t, a_good_link_that_is_lost_is_made_anew_at_once);
	tcase_add_test(t, a_link_that_does_not_last_is_not_made_in_a_hurry);
	tcase_add_test(t, the_newest_message_waits_and_no_other);
	tcase_add_test(t, the_last_message_is_said_again_on_a_fresh_link);
	tcase_add_test(t, who_does_not_vote_is_called_when_there_is_something_to_say);
	tcase_add_test(t, members_come_and_go);
	tcase_add_test(t, who_is_no_member_any_more_goes_where_there_is_no_place);
	suite_add_tcase(s, t);
	return s;
}
