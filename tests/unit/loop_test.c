/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/loop.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/rng.h"
#include "tests/lib/unit.h"

/* A text that can be a callback's argument. */
#define TEXT(text) ((char[]){text})

static struct loop *loop;
static char trace[64]; /* what ran, in order */

static void
setup(void)
{
	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	trace[0] = '\0';
}

static void
teardown(void)
{
	loop_free(loop);
}

static void
note(const char *what)
{
	ck_assert_uint_lt(strlen(trace) + strlen(what), sizeof trace);
	strncat(trace, what, sizeof trace - strlen(trace) - 1);
}

static void
note_arg(void *arg)
{
	note(arg);
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop, 7);
}

START_TEST(timers_fire_in_the_order_of_their_times_and_then_of_their_settings)
{
	struct timer a, b, c, d, end;
	uint64_t now = clock_boot_ms();

	timer_init(&a, loop, note_arg, TEXT("a"));
	timer_init(&b, loop, note_arg, TEXT("b"));
	timer_init(&c, loop, note_arg, TEXT("c"));
	timer_init(&d, loop, note_arg, TEXT("d"));
	timer_init(&end, loop, stop, NULL);
	ck_assert(timer_set(&end, now + 5));
	ck_assert(timer_set(&c, now + 3));
	ck_assert(timer_set(&a, 0));
	ck_assert(timer_set(&d, now + 3));
	ck_assert(timer_set(&b, now + 1));
	ck_assert_int_eq(loop_run(loop, NULL, NULL), 7);
	ck_assert_str_eq(trace, "abcd");
	ck_assert_uint_ge(clock_boot_ms(), now + 5);
}
END_TEST

START_TEST(a_cancelled_timer_does_not_fire_and_one_that_is_set_again_fires_once)
{
	struct timer a, b, end;
	uint64_t now = clock_boot_ms();

	timer_init(&a, loop, note_arg, TEXT("a"));
	timer_init(&b, loop, note_arg, TEXT("b"));
	timer_init(&end, loop, stop, NULL);
	ck_assert(timer_set(&a, now));
	ck_assert(timer_set(&b, now));
	ck_assert(timer_set(&b, now + 2));
	ck_assert(timer_set(&end, now + 4));
	timer_cancel(&a);
	timer_cancel(&a);
	loop_run(loop, NULL, NULL);
	ck_assert_str_eq(trace, "b");
}
END_TEST

static int refires;
static struct timer refiring;

static void
refire(void *arg)
{
	(void)arg;
	if (++refires == 3)
		loop_stop(loop, 0);
	else
		ck_assert(timer_set(&refiring, 0));
}

static void
count_turn(void *arg)
{
	++*(int *)arg;
}

START_TEST(a_timer_set_in_the_past_by_its_own_callback_fires_in_the_next_turn)
{
	int turns = 0;

	timer_init(&refiring, loop, refire, NULL);
	ck_assert(timer_set(&refiring, 0));
	loop_run(loop, count_turn, &turns);
	ck_assert_int_eq(refires, 3);
	ck_assert_int_ge(turns, 3);
}
END_TEST

static struct timer many[1000];
static uint64_t last_at_ms;
static size_t fired;

static void
check_order(void *arg)
{
	const struct timer *t = arg;

	ck_assert_uint_ge(t->at_ms, last_at_ms);
	last_at_ms = t->at_ms;
	fired++;
}

START_TEST(a_thousand_timers_set_moved_and_cancelled_at_random_fire_in_order)
{
	uint64_t now = clock_boot_ms();
	struct timer end;
	size_t set = 0;
	struct rng rng;

	rng_init(&rng, 4711);
	for (size_t i = 0; i < 1000; i++)
		timer_init(&many[i], loop, check_order, &many[i]);
	for (size_t i = 0; i < 3000; i++) {
		ck_assert(timer_set(&many[i % 1000], now - rng_below(&rng, 1000)));
		timer_cancel(&many[rng_below(&rng, 1000)]);
	}
	for (size_t i = 0; i < 1000; i++)
		set += many[i].slot != 0;
	timer_init(&end, loop, stop, NULL);
	ck_assert(timer_set(&end, now));
	loop_run(loop, NULL, NULL);
	ck_assert_uint_gt(set, 100);
	ck_assert_uint_eq(fired, set);
}
END_TEST

static void
defer_again(void *arg)
{
	static char third[] = "3";

	note(arg);
	ck_assert(loop_defer(loop, note_arg, third));
	ck_assert(loop_defer(loop, stop, NULL));
}

static void
note_turn(void *arg)
{
	note(arg);
}

START_TEST(what_is_deferred_runs_in_order_before_the_end_of_the_turn_and_not_within_itself)
{
	ck_assert(loop_defer(loop, note_arg, TEXT("1")));
	ck_assert(loop_defer(loop, defer_again, TEXT("2")));
	loop_run(loop, note_turn, TEXT("|"));
	ck_assert_str_eq(trace, "12|3|");
}
END_TEST

START_TEST(an_embedded_deferral_runs_once_and_can_be_taken_back)
{
	struct deferral a, b;

	deferral_init(&a, note_arg, TEXT("a"));
	deferral_init(&b, note_arg, TEXT("b"));
	deferral_set(loop, &a);
	deferral_set(loop, &b);
	deferral_set(loop, &a);
	deferral_cancel(&b);
	ck_assert(loop_defer(loop, stop, NULL));
	loop_run(loop, NULL, NULL);
	ck_assert_str_eq(trace, "a");
}
END_TEST

static int pipe_fds[2];

static void
pipe_ready(void *arg, int what)
{
	char byte;

	(void)arg;
	ck_assert_int_eq(what, FD_READ);
	ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
	note((const char[]){byte, '\0'});
	if (byte == 'z')
		loop_stop(loop, 0);
}

START_TEST(a_watched_descriptor_is_reported_until_it_is_drained)
{
	struct fd_watch *w;

	ck_assert_int_eq(pipe(pipe_fds), 0);
	ck_assert_int_eq(write(pipe_fds[1], "xyz", 3), 3);
	w = fd_watch_new(loop, pipe_fds[0], FD_READ, pipe_ready, NULL);
	ck_assert_ptr_nonnull(w);
	loop_run(loop, NULL, NULL);
	ck_assert_str_eq(trace, "xyz");
	fd_watch_free(w);
}
END_TEST

static void
on_signal(void *arg, int signo)
{
	ck_assert_int_eq(signo, SIGHUP);
	note(arg);
	loop_stop(loop, 0);
}

START_TEST(a_signal_is_handled_in_the_loop)
{
	ck_assert(loop_on_signal(loop, SIGHUP, on_signal, TEXT("hup")));
	ck_assert_int_eq(raise(SIGHUP), 0);
	ck_assert_str_eq(trace, "");
	loop_run(loop, NULL, NULL);
	ck_assert_str_eq(trace, "hup");
}
END_TEST

static void
never(void *arg)
{
	ck_abort_msg("ran: %s", (const char *)arg);
}

START_TEST(freeing_the_loop_drops_what_was_deferred_by_others)
{
	struct loop *other = loop_new();

	ck_assert(loop_defer(other, never, TEXT("deferred")));
	loop_free(other);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("loop");
	TCase *t = tcase_create("loop");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, timers_fire_in_the_order_of_their_times_and_then_of_their_settings);
	tcase_add_test(t, a_cancelled_timer_does_not_fire_and_one_that_is_set_again_fires_once);
	tcase_add_test(t, a_timer_set_in_the_past_by_its_own_callback_fires_in_the_next_turn);
	tcase_add_test(t, a_thousand_timers_set_moved_and_cancelled_at_random_fire_in_order);
	tcase_add_test(
	    t, what_is_deferred_runs_in_order_before_the_end_of_the_turn_and_not_within_itself);
	tcase_add_test(t, an_embedded_deferral_runs_once_and_can_be_taken_back);
	tcase_add_test(t, a_watched_descriptor_is_reported_until_it_is_drained);
	tcase_add_test(t, a_signal_is_handled_in_the_loop);
	tcase_add_test(t, freeing_the_loop_drops_what_was_deferred_by_others);
	suite_add_tcase(s, t);
	return s;
}
