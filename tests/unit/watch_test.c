/* SPDX-License-Identifier: Apache-2.0 */
/* The table of watches by itself: who is told of what, and what remains. */
#include <string.h>

#include "tests/lib/unit.h"
#include "zkserver/core/watch.h"

#define BOTH (1u << WATCH_DATA | 1u << WATCH_CHILD)

static const struct hash_key KEY = {1, 2};

static struct watch_table t;
static struct watcher a, b;
static int told_a, told_b;
static struct jute_bytes changed;
static int64_t zxids[4]; /* of what a was told, in order */
static uint64_t over;	 /* told of changes that had to wait, when they were over */

static void
tell(void *arg, struct watcher *who, struct watch_change *change, struct jute_bytes path)
{
	ck_assert_ptr_null(arg);
	ck_assert_int_eq(path.len, changed.len);
	ck_assert_mem_eq(path.data, changed.data, (size_t)path.len);
	ck_assert(who == &a || who == &b);
	if (who == &a && told_a < 4)
		zxids[told_a] = change->zxid;
	*(who == &a ? &told_a : &told_b) += 1;
	change->told++;
}

static void
count_over(void *arg, const struct watch_change *change)
{
	ck_assert_ptr_null(arg);
	over += change->told;
}

static void
setup(void)
{
	watch_table_init(&t, &KEY, &(struct watch_listener){tell, count_over, NULL});
	watcher_init(&a);
	watcher_init(&b);
}

static void
teardown(void)
{
	watch_remove_all(&t, &a);
	watch_remove_all(&t, &b);
	ck_assert_uint_eq(a.count + b.count + a.bytes + b.bytes, 0);
	for (int k = 0; k < WATCH_KINDS; k++) {
		ck_assert_uint_eq(t.count[k] + t.recursive_count[k], 0);
		ck_assert_uint_eq(t.paths[k].count, 0);
	}
	watch_table_fini(&t);
}

static struct jute_bytes
text(const char *s)
{
	return (struct jute_bytes){(const uint8_t *)s, (int32_t)strlen(s)};
}

/* True: it left some for later. */
static bool
happen(unsigned kinds, enum watch_event event, int64_t zxid, const char *at)
{
	struct watch_change change = {.event = event, .zxid = zxid};

	told_a = told_b = 0;
	changed = text(at);
	return watch_trigger(&t, kinds, &change, changed);
}

/* How often a and b were told. */
static void
expect_of(unsigned kinds, enum watch_event event, const char *at, int want_a, int want_b)
{
	ck_assert(!happen(kinds, event, 1, at));
	ck_assert_int_eq(told_a, want_a);
	ck_assert_int_eq(told_b, want_b);
}

static void
expect(enum watch_kind kind, enum watch_event event, const char *at, int want_a, int want_b)
{
	expect_of(1u << kind, event, at, want_a, want_b);
}

static void
add(enum watch_kind kind, enum watch_mode mode, const char *path, struct watcher *who)
{
	ck_assert(watch_add(&t, kind, mode, text(path), who));
	ck_assert(watch_has(&t, kind, text(path), who));
}

START_TEST(a_watch_tells_once_and_twice_the_same_is_one)
{
	add(WATCH_DATA, WATCH_ONCE, "/x", &a);
	add(WATCH_DATA, WATCH_ONCE, "/x", &a);
	add(WATCH_CHILD, WATCH_ONCE, "/x", &a);
	add(WATCH_DATA, WATCH_ONCE, "/x", &b);
	add(WATCH_DATA, WATCH_ONCE, "/y", &b);
	ck_assert_uint_eq(t.count[WATCH_DATA], 3);
	expect_of(BOTH, WATCH_NODE_DELETED, "/x", 1, 1);
	expect(WATCH_DATA, WATCH_NODE_DELETED, "/x", 0, 0);
	ck_assert(!watch_has(&t, WATCH_DATA, text("/x"), &a));
	ck_assert(watch_has(&t, WATCH_DATA, text("/y"), &b));
}
END_TEST

START_TEST(a_persistent_watch_tells_each_time_of_its_own_path)
{
	add(WATCH_DATA, WATCH_PERSISTENT, "/x", &a);
	add(WATCH_CHILD, WATCH_PERSISTENT, "/x", &a);
	for (int i = 0; i < 3; i++) {
		expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x", 1, 0);
		expect(WATCH_CHILD, WATCH_CHILDREN_CHANGED, "/x", 1, 0);
	}
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x/y", 0, 0);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/", 0, 0);
}
END_TEST

START_TEST(a_recursive_watch_hears_of_all_below_but_of_no_children)
{
	add(WATCH_DATA, WATCH_RECURSIVE, "/x", &a);
	add(WATCH_CHILD, WATCH_RECURSIVE, "/x", &a);
	add(WATCH_DATA, WATCH_RECURSIVE, "/", &b);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x", 1, 1);
	expect(WATCH_DATA, WATCH_NODE_CREATED, "/x/y/z", 1, 1);
	expect_of(BOTH, WATCH_NODE_DELETED, "/x/y", 1, 1);
	expect(WATCH_CHILD, WATCH_CHILDREN_CHANGED, "/x", 0, 0);
	expect(WATCH_CHILD, WATCH_CHILDREN_CHANGED, "/x/y", 0, 0);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/xy", 0, 1); /* no path below /x */
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/", 0, 1);
}
END_TEST

/* Would all that is above be looked at from its first byte, this did not come to an end. */
START_TEST(a_recursive_watch_hears_of_what_is_as_deep_as_a_path_can_be)
{
	static char path[400001];

	for (size_t i = 0; i + 1 < sizeof path; i += 2)
		memcpy(path + i, "/n", 2);
	add(WATCH_DATA, WATCH_RECURSIVE, "/", &a);
	add(WATCH_DATA, WATCH_RECURSIVE, "/n/n/n", &b);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, path, 1, 1);
}
END_TEST

START_TEST(who_holds_watches_on_the_way_up_is_told_once)
{
	add(WATCH_DATA, WATCH_ONCE, "/x/y", &a);
	add(WATCH_DATA, WATCH_RECURSIVE, "/x", &a);
	add(WATCH_DATA, WATCH_RECURSIVE, "/", &a);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x/y", 1, 0);
	ck_assert(!watch_has(&t, WATCH_DATA, text("/x/y"), &a)); /* used up all the same */
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x/y", 1, 0);
}
END_TEST

START_TEST(the_mode_asked_for_last_is_the_one_that_counts)
{
	add(WATCH_DATA, WATCH_RECURSIVE, "/x", &a);
	ck_assert_uint_eq(t.recursive_count[WATCH_DATA], 1);
	add(WATCH_DATA, WATCH_PERSISTENT, "/x", &a);
	ck_assert_uint_eq(t.recursive_count[WATCH_DATA], 0);
	ck_assert_uint_eq(a.count, 1);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x/y", 0, 0);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x", 1, 0);
	add(WATCH_DATA, WATCH_ONCE, "/x", &a);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x", 1, 0);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x", 0, 0);
}
END_TEST

START_TEST(a_watch_is_taken_off_for_its_owner_and_table_only)
{
	add(WATCH_DATA, WATCH_RECURSIVE, "/x", &a);
	add(WATCH_CHILD, WATCH_PERSISTENT, "/x", &a);
	add(WATCH_DATA, WATCH_ONCE, "/x", &b);
	ck_assert(watch_remove(&t, WATCH_DATA, text("/x"), &a));
	ck_assert(!watch_remove(&t, WATCH_DATA, text("/x"), &a));
	ck_assert(!watch_remove(&t, WATCH_DATA, text("/x/y"), &b));
	ck_assert_uint_eq(t.recursive_count[WATCH_DATA], 0);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x", 0, 1);
	expect(WATCH_CHILD, WATCH_CHILDREN_CHANGED, "/x", 1, 0);
}
END_TEST

START_TEST(nothing_happens_at_no_path)
{
	const struct jute_bytes none = {NULL, -1};

	ck_assert(watch_add(&t, WATCH_DATA, WATCH_PERSISTENT, none, &a));
	ck_assert(!watch_has(&t, WATCH_DATA, none, &a));
	ck_assert(!watch_remove(&t, WATCH_DATA, none, &a));
	add(WATCH_DATA, WATCH_RECURSIVE, "", &a);
	add(WATCH_DATA, WATCH_RECURSIVE, "x", &a);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x", 0, 0);
}
END_TEST

START_TEST(where_many_watch_for_one_time_they_are_told_later_one_by_one)
{
	t.at_once_max = 1;
	add(WATCH_DATA, WATCH_ONCE, "/x", &a);
	expect(WATCH_DATA, WATCH_DATA_CHANGED, "/x", 1, 0); /* one is not many */
	add(WATCH_DATA, WATCH_ONCE, "/x", &a);
	add(WATCH_DATA, WATCH_ONCE, "/x", &b);
	ck_assert(happen(1u << WATCH_DATA, WATCH_DATA_CHANGED, 5, "/x"));
	ck_assert_int_eq(told_a + told_b, 0);
	ck_assert(!watch_has(&t, WATCH_DATA, text("/x"), &a)); /* it will tell of this, no more */
	ck_assert_ptr_eq(watch_tell_next(&t), &a);
	ck_assert_int_eq(told_a, 1);
	ck_assert_int_eq(zxids[0], 5);
	ck_assert_uint_eq(over, 0);
	ck_assert_ptr_eq(watch_tell_next(&t), &b);
	ck_assert_ptr_null(watch_tell_next(&t));
	ck_assert_uint_eq(over, 2);
	ck_assert_int_eq(told_a + told_b, 2);
}
END_TEST

START_TEST(who_is_settled_was_told_of_all_that_waits_in_the_order_of_the_changes)
{
	t.at_once_max = 0;
	for (int64_t zxid = 1; zxid <= 3; zxid++) {
		add(WATCH_DATA, WATCH_ONCE, "/x", &b);
		add(WATCH_DATA, WATCH_ONCE, "/x", &a);
		add(WATCH_CHILD, WATCH_ONCE, "/x", &a);
		ck_assert(happen(BOTH, WATCH_NODE_DELETED, zxid, "/x"));
	}
	watch_settle(&t, &a);
	ck_assert_int_eq(told_a, 3); /* once of each, with two watches */
	ck_assert_int_eq(told_b, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(zxids[i], i + 1);
	watch_settle(&t, &a);
	while (watch_tell_next(&t) != NULL)
		;
	ck_assert_int_eq(told_a, 3);
	ck_assert_int_eq(told_b, 3);
	ck_assert_uint_eq(over, 6);
}
END_TEST

START_TEST(what_waits_is_told_before_what_a_later_change_tells_at_once)
{
	t.at_once_max = 0;
	add(WATCH_DATA, WATCH_ONCE, "/x", &a);
	ck_assert(happen(1u << WATCH_DATA, WATCH_DATA_CHANGED, 1, "/x"));
	add(WATCH_DATA, WATCH_PERSISTENT, "/x", &a);
	ck_assert(!happen(1u << WATCH_DATA, WATCH_DATA_CHANGED, 2, "/x"));
	ck_assert_int_eq(told_a, 2);
	ck_assert_int_eq(zxids[0], 1);
	ck_assert_int_eq(zxids[1], 2);
}
END_TEST

START_TEST(watches_that_stay_are_told_at_once_and_remain_when_the_others_wait)
{
	t.at_once_max = 0;
	add(WATCH_DATA, WATCH_ONCE, "/x", &a);
	add(WATCH_DATA, WATCH_RECURSIVE, "/x", &b);
	ck_assert(happen(1u << WATCH_DATA, WATCH_DATA_CHANGED, 1, "/x"));
	ck_assert_int_eq(told_a, 0);
	ck_assert_int_eq(told_b, 1);
	ck_assert(watch_has(&t, WATCH_DATA, text("/x"), &b));
	ck_assert(!happen(1u << WATCH_DATA, WATCH_DATA_CHANGED, 2, "/x"));
	ck_assert_int_eq(told_b, 1);
	ck_assert(watch_remove(&t, WATCH_DATA, text("/x"), &b));
	ck_assert_ptr_eq(watch_tell_next(&t), &a);
	ck_assert_ptr_null(watch_tell_next(&t));
}
END_TEST

START_TEST(who_goes_away_is_told_nothing_and_what_nobody_waits_for_ends)
{
	t.at_once_max = 0;
	add(WATCH_DATA, WATCH_ONCE, "/x", &a);
	add(WATCH_CHILD, WATCH_ONCE, "/x", &a);
	ck_assert(happen(BOTH, WATCH_NODE_DELETED, 1, "/x"));
	add(WATCH_DATA, WATCH_ONCE, "/x", &a);
	watch_remove_all(&t, &a);
	ck_assert_ptr_null(watch_tell_next(&t));
	ck_assert_int_eq(told_a, 0);
	ck_assert_uint_eq(t.waiting_count, 0);
}
END_TEST

START_TEST(so_many_changes_wait_and_one_more_tells_all_of_the_oldest)
{
	t.at_once_max = 0;
	for (int64_t zxid = 1; zxid <= WATCH_WAITING_MAX + 1; zxid++) {
		add(WATCH_DATA, WATCH_ONCE, "/x", &a);
		add(WATCH_DATA, WATCH_ONCE, "/x", &b);
		ck_assert(happen(1u << WATCH_DATA, WATCH_DATA_CHANGED, zxid, "/x"));
		ck_assert_uint_le(t.waiting_count, WATCH_WAITING_MAX);
	}
	ck_assert_int_eq(told_a, 1);
	ck_assert_int_eq(told_b, 1);
	ck_assert_int_eq(zxids[0], 1);
	ck_assert_uint_eq(over, 2);
}
END_TEST

START_TEST(a_watcher_holds_so_many_bytes_and_what_it_lets_go_it_may_hold_again)
{
	static uint8_t path[1 << 20];
	struct jute_bytes p = {path, sizeof path};
	uint32_t held = 0;

	while (watch_add(&t, WATCH_DATA, WATCH_ONCE, p, &a)) {
		ck_assert_uint_lt(held, 1000);
		held++;
		memcpy(path, &held, sizeof held);
	}
	ck_assert_uint_eq(held, WATCHER_BYTES_MAX / sizeof path);
	ck_assert_uint_eq(a.count, held);
	ck_assert(watch_add(&t, WATCH_DATA, WATCH_ONCE, p, &b)); /* another's share is its own */
	held = 0;
	memcpy(path, &held, sizeof held);
	told_a = 0;
	changed = p;
	watch_trigger(&t, 1u << WATCH_DATA, &(struct watch_change){.event = WATCH_NODE_DELETED}, p);
	ck_assert_int_eq(told_a, 1);
	ck_assert(watch_add(&t, WATCH_DATA, WATCH_ONCE, p, &a));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("watch");
	TCase *c = tcase_create("watch");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_watch_tells_once_and_twice_the_same_is_one);
	tcase_add_test(c, a_persistent_watch_tells_each_time_of_its_own_path);
	tcase_add_test(c, a_recursive_watch_hears_of_all_below_but_of_no_children);
	tcase_add_test(c, a_recursive_watch_hears_of_what_is_as_deep_as_a_path_can_be);
	tcase_add_test(c, who_holds_watches_on_the_way_up_is_told_once);
	tcase_add_test(c, the_mode_asked_for_last_is_the_one_that_counts);
	tcase_add_test(c, a_watch_is_taken_off_for_its_owner_and_table_only);
	tcase_add_test(c, nothing_happens_at_no_path);
	tcase_add_test(c, where_many_watch_for_one_time_they_are_told_later_one_by_one);
	tcase_add_test(c, who_is_settled_was_told_of_all_that_waits_in_the_order_of_the_changes);
	tcase_add_test(c, what_waits_is_told_before_what_a_later_change_tells_at_once);
	tcase_add_test(c, watches_that_stay_are_told_at_once_and_remain_when_the_others_wait);
	tcase_add_test(c, who_goes_away_is_told_nothing_and_what_nobody_waits_for_ends);
	tcase_add_test(c, so_many_changes_wait_and_one_more_tells_all_of_the_oldest);
	tcase_add_test(c, a_watcher_holds_so_many_bytes_and_what_it_lets_go_it_may_hold_again);
	suite_add_tcase(s, c);
	return s;
}
