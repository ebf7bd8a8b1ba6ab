/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/core/life.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "tests/lib/unit.h"

#define RECOVERY_MS 1000

static Corral__TaskSpec spec;
static char program[] = "/bin/task", *argv[] = {program};
static struct life l;
static uint8_t uuids[2 * LIFE_UUID_BYTES];

static void
setup(void)
{
	corral__task_spec__init(&spec);
	spec.argv = argv;
	spec.n_argv = 1;
	memset(uuids, 1, LIFE_UUID_BYTES);
	memset(uuids + LIFE_UUID_BYTES, 2, LIFE_UUID_BYTES);
	life_init(&l, &spec, uuids, RECOVERY_MS, 100);
}

/* The next act is of this kind. */
static struct life_act
expect(enum life_act_kind kind)
{
	struct life_act act;

	ck_assert(life_next(&l, &act));
	ck_assert_int_eq(act.kind, kind);
	return act;
}

static void
expect_none(void)
{
	struct life_act act;

	ck_assert(!life_next(&l, &act));
}

static void
start_task(void)
{
	life_link(&l, true, 100);
	life_word(&l, 100);
	ck_assert(expect(LIFE_ACT_START).step == LIFE_MAIN);
	life_started(&l, 0, 0, "exec", 100, 1);
	ck_assert_uint_eq(expect(LIFE_ACT_SEND).update, 0);
	expect_none();
}

/* wait(2)'s encodings. */
static void
end_task(int wait_status, bool out_of_memory)
{
	struct life_exit e = {.wait_status = wait_status, .out_of_memory = out_of_memory};

	life_exited(&l, &e, 200, 2);
	expect(LIFE_ACT_KILL);
	expect_none();
	life_swept(&l, 200);
}

static void
expect_outcome(Corral__TaskState state, Corral__TaskReason reason)
{
	ck_assert_uint_eq(expect(LIFE_ACT_SAVE).update, 1);
	ck_assert_uint_eq(expect(LIFE_ACT_SEND).update, 1);
	expect_none();
	ck_assert_int_eq(l.update[1].state, state);
	ck_assert_int_eq(l.update[1].reason, reason);
}

START_TEST(the_word_starts_the_task_once_and_its_end_is_saved_before_it_is_sent)
{
	start_task();
	life_word(&l, 101); /* again is nothing */
	expect_none();
	end_task(3 << 8, false);
	expect_outcome(CORRAL__TASK_STATE__FAILED, CORRAL__TASK_REASON__REASON_EXIT);
	ck_assert_int_eq(life_exit_status(&l), 3);
	life_acked(&l, uuids, LIFE_UUID_BYTES);
	expect_none(); /* that was RUNNING's */
	life_acked(&l, uuids + LIFE_UUID_BYTES, LIFE_UUID_BYTES);
	expect(LIFE_ACT_LEAVE);
	expect_none();
}
END_TEST

START_TEST(nothing_is_said_of_the_end_before_all_that_was_left_behind_is_dead)
{
	struct life_exit e = {.wait_status = 0};

	start_task();
	life_exited(&l, &e, 200, 2);
	expect(LIFE_ACT_KILL);
	expect_none();
	ck_assert(!l.update[1].made);
	ck_assert_int_eq(life_task_state(&l), CORRAL__TASK_STATE__RUNNING);
	life_swept(&l, 210);
	expect_outcome(CORRAL__TASK_STATE__FINISHED, CORRAL__TASK_REASON__REASON_EXIT);
}
END_TEST

START_TEST(a_stop_before_the_word_means_that_the_task_is_never_started)
{
	life_link(&l, true, 100);
	life_stop(&l, false, 110);
	expect(LIFE_ACT_KILL);
	life_swept(&l, 110);
	expect_outcome(CORRAL__TASK_STATE__KILLED, CORRAL__TASK_REASON__REASON_STOPPED);
	life_word(&l, 111);
	expect_none();
}
END_TEST

START_TEST(a_stop_signals_waits_its_grace_and_kills)
{
	start_task();
	spec.timeout_stop_ms = 50;
	life_stop(&l, false, 200);
	ck_assert_int_eq(expect(LIFE_ACT_SIGNAL).signo, SIGTERM);
	life_stop(&l, false, 210); /* begun is begun */
	expect_none();
	ck_assert_uint_eq(life_deadline_ms(&l), 250);
	life_tick(&l, 249);
	expect_none();
	life_tick(&l, 250);
	expect(LIFE_ACT_KILL);
	end_task(SIGKILL, false);
	expect_outcome(CORRAL__TASK_STATE__KILLED, CORRAL__TASK_REASON__REASON_STOPPED);
	ck_assert_int_eq(l.update[1].signal, SIGKILL);
}
END_TEST

START_TEST(a_stop_at_once_has_no_grace)
{
	start_task();
	life_stop(&l, true, 200);
	expect(LIFE_ACT_SIGNAL);
	expect(LIFE_ACT_KILL);
	expect_none();
}
END_TEST

START_TEST(the_time_limit_is_a_failure_of_its_own_kind)
{
	spec.runtime_max_ms = 30;
	start_task();
	ck_assert_uint_eq(life_deadline_ms(&l), 130);
	life_tick(&l, 130);
	expect(LIFE_ACT_SIGNAL);
	end_task(SIGTERM, false);
	expect_outcome(CORRAL__TASK_STATE__FAILED, CORRAL__TASK_REASON__REASON_TIME_LIMIT);
}
END_TEST

START_TEST(a_signal_and_want_of_memory_are_told_apart)
{
	start_task();
	end_task(SIGKILL, true);
	expect_outcome(CORRAL__TASK_STATE__FAILED, CORRAL__TASK_REASON__REASON_OUT_OF_MEMORY);
	setup();
	start_task();
	end_task(SIGSEGV, false);
	expect_outcome(CORRAL__TASK_STATE__FAILED, CORRAL__TASK_REASON__REASON_SIGNAL);
	ck_assert_int_eq(life_exit_status(&l), 128 + SIGSEGV);
	setup();
	start_task();
	end_task(0, true); /* a child was killed, the task did without */
	expect_outcome(CORRAL__TASK_STATE__FINISHED, CORRAL__TASK_REASON__REASON_EXIT);
}
END_TEST

START_TEST(a_program_that_cannot_run_is_126_or_127)
{
	life_link(&l, true, 100);
	life_word(&l, 100);
	expect(LIFE_ACT_START);
	life_started(&l, ENOENT, 127, "exec", 100, 1);
	expect(LIFE_ACT_KILL);
	life_swept(&l, 100);
	expect_outcome(CORRAL__TASK_STATE__FAILED, CORRAL__TASK_REASON__REASON_CANNOT_EXECUTE);
	ck_assert_int_eq(life_exit_status(&l), 127);
	ck_assert_ptr_nonnull(strstr(l.update[1].message, program));
}
END_TEST

START_TEST(steps_run_in_order_and_a_failed_one_is_the_end_unless_it_may_fail)
{
	Corral__ExecStep steps[2], *list[] = {&steps[0], &steps[1]};
	struct life_exit failed = {.wait_status = 1 << 8};

	for (int i = 0; i < 2; i++) {
		corral__exec_step__init(&steps[i]);
		steps[i].argv = argv;
		steps[i].n_argv = 1;
	}
	steps[0].ignore_failure = true;
	spec.exec_start_pre = list;
	spec.n_exec_start_pre = 2;
	life_link(&l, true, 100);
	life_word(&l, 100);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(expect(LIFE_ACT_START).step, i);
		life_started(&l, 0, 0, "exec", 100, 1);
		life_exited(&l, &failed, 110, 1);
	}
	expect(LIFE_ACT_KILL);
	life_swept(&l, 120);
	expect_outcome(CORRAL__TASK_STATE__FAILED, CORRAL__TASK_REASON__REASON_EXIT);
}
END_TEST

START_TEST(without_an_agent_a_task_goes_on_and_its_status_waits)
{
	start_task();
	life_link(&l, false, 150);
	life_tick(&l, 150 + 10 * RECOVERY_MS);
	expect_none();
	end_task(0, false);
	expect(LIFE_ACT_SAVE);
	expect_none();
	life_tick(&l, 199 + RECOVERY_MS);
	expect_none();
	life_link(&l, true, 199 + RECOVERY_MS);
	ck_assert_uint_eq(expect(LIFE_ACT_SEND).update, 0); /* both, in order */
	ck_assert_uint_eq(expect(LIFE_ACT_SEND).update, 1);
	life_link(&l, false, 2000);
	life_tick(&l, 2000 + RECOVERY_MS);
	expect(LIFE_ACT_LEAVE);
}
END_TEST

START_TEST(an_executor_that_nobody_gives_the_word_leaves_without_having_started)
{
	life_tick(&l, 99 + RECOVERY_MS);
	expect_none();
	ck_assert_uint_eq(life_deadline_ms(&l), 100 + RECOVERY_MS);
	life_tick(&l, 100 + RECOVERY_MS);
	expect(LIFE_ACT_KILL);
	life_swept(&l, 100 + RECOVERY_MS);
	expect(LIFE_ACT_SAVE);
	ck_assert_int_eq(l.update[1].state, CORRAL__TASK_STATE__LOST);
	life_tick(&l, 100 + 2 * RECOVERY_MS);
	expect(LIFE_ACT_LEAVE);
}
END_TEST

START_TEST(a_singleton_is_not_started_near_its_leases_end_and_is_stopped_at_it)
{
	spec.singleton = true;
	life_link(&l, true, 100);
	life_lease(&l, 1100, 100);
	life_word(&l, 100); /* ends within a second */
	expect(LIFE_ACT_KILL);
	ck_assert_int_eq(l.update[1].state, CORRAL__TASK_STATE__KILLED);
	ck_assert_int_eq(l.update[1].reason, CORRAL__TASK_REASON__REASON_LEASE_ENDED);

	setup();
	spec.singleton = true;
	life_lease(&l, 2000, 50);
	ck_assert_uint_eq(life_start_by_ms(&l), 1000);
	start_task();
	life_lease(&l, 1500, 110); /* an older word of it changes nothing */
	life_tick(&l, 1999);
	expect_none();
	life_lease(&l, 3000, 1999);
	life_tick(&l, 2000);
	expect_none();
	ck_assert_uint_eq(life_deadline_ms(&l), 3000);
	life_tick(&l, 3000);
	expect(LIFE_ACT_SIGNAL);
	life_lease(&l, 9000, 3001); /* too late */
	ck_assert_uint_eq(life_deadline_ms(&l), 3000 + spec.timeout_stop_ms);
	end_task(SIGTERM, false);
	expect_outcome(CORRAL__TASK_STATE__KILLED, CORRAL__TASK_REASON__REASON_LEASE_ENDED);
}
END_TEST

START_TEST(a_renewal_that_comes_behind_the_leases_end_revokes_no_stop)
{
	spec.singleton = true;
	life_lease(&l, 2000, 50);
	start_task();
	/* Frozen until then: the renewal is read before the clock is looked at. */
	life_lease(&l, 9000, 2500);
	expect(LIFE_ACT_SIGNAL);
	ck_assert(l.stopping);
	/* The grace is counted from the lease's end and not from when it was noticed. */
	life_tick(&l, 2000 + spec.timeout_stop_ms - 1);
	expect_none();
	life_tick(&l, 2000 + spec.timeout_stop_ms);
	expect(LIFE_ACT_KILL);
}
END_TEST

START_TEST(a_renewal_that_comes_behind_the_end_of_the_launchs_lease_starts_nothing)
{
	spec.singleton = true;
	life_lease(&l, 2000, 50);
	life_link(&l, true, 100);
	ck_assert_uint_eq(life_deadline_ms(&l), 2000);
	life_lease(&l, 9000, 2500);
	life_word(&l, 2501);
	expect(LIFE_ACT_KILL);
	expect_none();
	life_swept(&l, 2501);
	expect_outcome(CORRAL__TASK_STATE__KILLED, CORRAL__TASK_REASON__REASON_LEASE_ENDED);
}
END_TEST

START_TEST(an_executor_that_wakes_up_long_after_the_leases_end_kills_at_once)
{
	spec.singleton = true;
	life_lease(&l, 2000, 50);
	start_task();
	life_stop(&l, false, 2000 + spec.timeout_stop_ms + 1); /* read before the clock was */
	expect(LIFE_ACT_SIGNAL);
	life_tick(&l, 2000 + spec.timeout_stop_ms + 1);
	expect(LIFE_ACT_KILL);
}
END_TEST

START_TEST(a_singleton_whose_lease_ends_between_its_steps_goes_no_further)
{
	Corral__ExecStep step = CORRAL__EXEC_STEP__INIT, *steps[] = {&step};

	step.argv = argv;
	step.n_argv = 1;
	spec.singleton = true;
	spec.exec_start_pre = steps;
	spec.n_exec_start_pre = 1;
	life_link(&l, true, 100);
	life_lease(&l, 2000, 100);
	life_word(&l, 100);
	expect(LIFE_ACT_START);
	life_started(&l, 0, 0, NULL, 110, 1);
	life_exited(&l, &(struct life_exit){.wait_status = 0}, 1500, 1);
	expect(LIFE_ACT_KILL);
	expect_none();
	ck_assert_int_eq(l.update[1].reason, CORRAL__TASK_REASON__REASON_LEASE_ENDED);
}
END_TEST

START_TEST(the_last_look_at_the_clock_is_right_before_the_exec)
{
	spec.singleton = true;
	life_link(&l, true, 100);
	life_lease(&l, 2000, 100);
	life_word(&l, 100);
	expect(LIFE_ACT_START);
	life_started(&l, ETIME, 125, LIFE_STEP_LEASE, 1200, 1);
	expect(LIFE_ACT_KILL);
	ck_assert_int_eq(l.update[1].state, CORRAL__TASK_STATE__KILLED);
	ck_assert_int_eq(l.update[1].reason, CORRAL__TASK_REASON__REASON_LEASE_ENDED);
}
END_TEST

START_TEST(what_is_killed_and_does_not_die_is_told_once)
{
	struct life_exit e = {.wait_status = 0};

	start_task();
	life_exited(&l, &e, 200, 2);
	expect(LIFE_ACT_KILL);
	life_tick(&l, life_deadline_ms(&l) - 1);
	expect_none();
	life_tick(&l, life_deadline_ms(&l));
	expect(LIFE_ACT_STUCK);
	life_tick(&l, 100 + 10 * LIFE_STUCK_MS);
	expect_none();
	life_link(&l, false, 200 + LIFE_STUCK_MS);
	life_link(&l, true, 300 + LIFE_STUCK_MS); /* to another agent: it has to know, too */
	expect(LIFE_ACT_SEND);
	expect(LIFE_ACT_STUCK);
	life_swept(&l, 400 + LIFE_STUCK_MS);
	ck_assert(!l.stuck);
}
END_TEST

START_TEST(what_comes_in_a_lower_term_than_one_before_is_not_obeyed)
{
	Corral__Term term = CORRAL__TERM__INIT, highest;

	ck_assert(!life_highest_term(&l, &highest));
	term.era = 1;
	term.czxid = 9;
	ck_assert(life_term(&l, &term));
	ck_assert(life_term(&l, &term)); /* the same one goes on */
	term.czxid = 8;
	ck_assert(!life_term(&l, &term));
	term.era = 2; /* counts before the zxid */
	ck_assert(life_term(&l, &term));
	term.era = 1;
	term.czxid = 100;
	ck_assert(!life_term(&l, &term));
	ck_assert(life_term(&l, NULL)); /* the agent's own word */
	ck_assert(!life_term(&l, &term));
	ck_assert(life_highest_term(&l, &highest));
	ck_assert_uint_eq(highest.era, 2);
	ck_assert_int_eq(highest.czxid, 8);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("life");
	TCase *t = tcase_create("life");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, the_word_starts_the_task_once_and_its_end_is_saved_before_it_is_sent);
	tcase_add_test(t, nothing_is_said_of_the_end_before_all_that_was_left_behind_is_dead);
	tcase_add_test(t, a_stop_before_the_word_means_that_the_task_is_never_started);
	tcase_add_test(t, a_stop_signals_waits_its_grace_and_kills);
	tcase_add_test(t, a_stop_at_once_has_no_grace);
	tcase_add_test(t, the_time_limit_is_a_failure_of_its_own_kind);
	tcase_add_test(t, a_signal_and_want_of_memory_are_told_apart);
	tcase_add_test(t, a_program_that_cannot_run_is_126_or_127);
	tcase_add_test(t, steps_run_in_order_and_a_failed_one_is_the_end_unless_it_may_fail);
	tcase_add_test(t, without_an_agent_a_task_goes_on_and_its_status_waits);
	tcase_add_test(t, an_executor_that_nobody_gives_the_word_leaves_without_having_started);
	tcase_add_test(t, a_singleton_is_not_started_near_its_leases_end_and_is_stopped_at_it);
	tcase_add_test(t, a_renewal_that_comes_behind_the_leases_end_revokes_no_stop);
	tcase_add_test(t, a_renewal_that_comes_behind_the_end_of_the_launchs_lease_starts_nothing);
	tcase_add_test(t, an_executor_that_wakes_up_long_after_the_leases_end_kills_at_once);
	tcase_add_test(t, a_singleton_whose_lease_ends_between_its_steps_goes_no_further);
	tcase_add_test(t, the_last_look_at_the_clock_is_right_before_the_exec);
	tcase_add_test(t, what_is_killed_and_does_not_die_is_told_once);
	tcase_add_test(t, what_comes_in_a_lower_term_than_one_before_is_not_obeyed);
	suite_add_tcase(s, t);
	return s;
}
