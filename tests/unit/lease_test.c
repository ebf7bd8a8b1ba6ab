/* SPDX-License-Identifier: Apache-2.0 */
/* Leases, from the master's acknowledgement to the end of a singleton's last process. */
#include <string.h>

#include "tests/lib/lease_rig.h"
#include "tests/lib/unit.h"

/* ---- What holds. ---- */

START_TEST(a_lease_counts_from_when_the_acknowledged_heartbeat_was_sent)
{
	uint64_t sent_ms;

	rig_run();
	rig_pass(RIG_LEASE_MS / 5);
	sent_ms = rig->heartbeat_ms;
	ck_assert_uint_eq(sent_ms, rig->bed.now_ms);
	rig_pass(1900); /* before the next heartbeat */
	rig_acknowledge(sent_ms);
	rig_deliver();
	ck_assert_uint_eq(rig->life.lease_end_ms, sent_ms + RIG_LEASE_MS);
}
END_TEST

START_TEST(a_lease_counts_from_when_the_registration_was_sent)
{
	uint64_t sent_ms = rig->bed.now_ms;

	rig_register();
	rig->bed.now_ms += 4000;
	rig_welcome();
	rig_launch();
	rig_executor_connects();
	rig_deliver();
	ck_assert_uint_eq(rig->life.lease_end_ms, sent_ms + RIG_LEASE_MS);
}
END_TEST

START_TEST(an_executor_is_told_when_its_lease_ends_however_long_the_word_takes)
{
	uint64_t sent_ms;

	rig_run();
	rig_pass(RIG_LEASE_MS / 5);
	sent_ms = rig->heartbeat_ms;
	rig_acknowledge(sent_ms);
	rig->bed.now_ms += 3000; /* in the queue */
	rig_deliver();
	ck_assert_uint_eq(rig->life.lease_end_ms, sent_ms + RIG_LEASE_MS);
}
END_TEST

/* It waits no longer than its own lease for what it launches, whatever the last one gave. */
START_TEST(a_leader_with_a_shorter_lease_is_not_outlived_by_what_it_launches)
{
	uint64_t sent_ms;

	rig_register();
	agent_bed_welcome(&rig->bed, 6 * RIG_LEASE_MS, RIG_LEASE_MS);
	rig_drain();
	rig_pass(1000);
	rig_register();
	sent_ms = rig->bed.now_ms;
	rig_welcome();
	rig_launch();
	rig_executor_connects();
	rig_deliver();
	ck_assert_int_eq(rig->state, CORRAL__TASK_STATE__RUNNING);
	ck_assert_uint_eq(rig->life.lease_end_ms, sent_ms + RIG_LEASE_MS);
	rig_pass(RIG_LEASE_MS + RIG_STOP_MS + 1000);
	ck_assert(rig->dropped);
	ck_assert_uint_gt(rig->gone_ms, 0);
	ck_assert_uint_le(rig->gone_ms, sent_ms + RIG_LEASE_MS + RIG_STOP_MS);
}
END_TEST

/* The store says how long the last leader's lease was, and the new one waits for that. */
START_TEST(what_runs_already_keeps_the_end_that_it_was_told)
{
	uint64_t end_ms;

	rig_run();
	end_ms = rig->life.lease_end_ms;
	rig_register();
	agent_bed_welcome(&rig->bed, RIG_LEASE_MS / 5, RIG_LEASE_MS);
	rig_drain();
	rig_deliver();
	ck_assert_uint_eq(rig->life.lease_end_ms, end_ms);
	rig_pass(end_ms - 100 - rig->bed.now_ms);
	ck_assert(rig->dropped);
	ck_assert_uint_eq(rig->signalled_ms, 0);
	rig_pass(RIG_STOP_MS + 1000);
	ck_assert_uint_eq(rig->signalled_ms, end_ms);
	ck_assert_uint_eq(rig->kills, 0);
}
END_TEST

START_TEST(a_heartbeat_that_was_never_sent_extends_nothing)
{
	uint64_t end_ms;

	rig_run();
	end_ms = rig->life.lease_end_ms;
	rig_acknowledge(rig->bed.now_ms + 5000);
	rig_deliver();
	ck_assert_uint_eq(rig->life.lease_end_ms, end_ms);
}
END_TEST

START_TEST(a_singleton_is_gone_a_grace_after_its_lease_whatever_it_does)
{
	uint64_t end_ms;

	rig_run();
	end_ms = rig->life.lease_end_ms;
	rig_pass(2 * RIG_LEASE_MS); /* nothing is acknowledged */
	ck_assert(rig->dropped);
	ck_assert_uint_eq(rig->signalled_ms, end_ms);
	ck_assert_uint_le(rig->gone_ms, end_ms + RIG_STOP_MS);
	ck_assert_uint_gt(rig->gone_ms, 0);
	rig_register();
	rig_welcome();
	ck_assert_int_eq(rig->state, CORRAL__TASK_STATE__KILLED);
	ck_assert_int_eq(rig->reason, CORRAL__TASK_REASON__REASON_LEASE_ENDED);
	ck_assert_uint_eq(rig->kills, 0);
}
END_TEST

/* The task takes all that it may: it ignores the signal, and what is killed lives on for a while.
 */
START_TEST(a_singleton_that_dies_slowly_is_gone_two_seconds_after_its_grace)
{
	uint64_t sent_ms;

	rig_run();
	rig_pass(RIG_LEASE_MS / 5);
	sent_ms = rig->heartbeat_ms;
	rig_acknowledge(sent_ms);
	rig_deliver();
	rig->kill_takes_ms = 2000;
	rig->kill_fails = true; /* the agent's doing is no faster */
	rig_pass(3 * RIG_LEASE_MS);
	/* On the node's clock, from the heartbeat that it sent: L + G (see singles_test). */
	ck_assert_uint_eq(rig->gone_ms - sent_ms, RIG_LEASE_MS + RIG_STOP_MS + 2000);
}
END_TEST

START_TEST(a_renewal_behind_the_leases_end_revokes_nothing)
{
	uint64_t end_ms;

	rig_run();
	end_ms = rig->life.lease_end_ms;
	rig->frozen = true; /* the executor: it does not see the end */
	rig_pass(RIG_LEASE_MS + 500);
	rig_register();
	rig_welcome(); /* another lease, in time for the old one's grace */
	rig->frozen = false;
	rig_deliver();
	ck_assert_uint_gt(rig->life.lease_end_ms, end_ms);
	ck_assert_uint_eq(rig->signalled_ms, rig->bed.now_ms);
	rig_pass(RIG_STOP_MS);
	ck_assert_uint_le(rig->gone_ms, end_ms + RIG_STOP_MS);
}
END_TEST

START_TEST(an_executor_that_does_not_do_its_part_is_killed_with_its_singleton)
{
	uint64_t end_ms;

	rig_run();
	end_ms = rig->life.lease_end_ms;
	rig->frozen = true;
	rig_pass(RIG_LEASE_MS + 500);
	rig_register();
	rig_welcome(); /* and a new lease saves it from nothing */
	rig_pass(RIG_STOP_MS + AGENT_LEASE_KILL_MS);
	ck_assert_uint_ge(rig->kills, 1);
	ck_assert_uint_le(rig->gone_ms, end_ms + RIG_STOP_MS + AGENT_LEASE_KILL_MS + 100);
	ck_assert_int_eq(rig->state, CORRAL__TASK_STATE__LOST);
	ck_assert_int_eq(rig->reason, CORRAL__TASK_REASON__REASON_LEASE_ENDED);
}
END_TEST

START_TEST(a_stop_that_a_frozen_executor_does_not_hear_ends_all_the_same)
{
	rig_run();
	rig->frozen = true;
	rig_kill();
	for (int i = 0; i < 4; i++) {
		rig_pass(RIG_LEASE_MS / 5);
		rig_acknowledge(rig->heartbeat_ms);
	}
	ck_assert_uint_ge(rig->kills, 1);
	ck_assert_int_eq(rig->state, CORRAL__TASK_STATE__KILLED);
	ck_assert_int_eq(rig->reason, CORRAL__TASK_REASON__REASON_STOPPED);
}
END_TEST

START_TEST(a_frozen_agent_wakes_up_and_takes_nothing_from_its_buffer)
{
	rig_register();
	rig_welcome();
	rig->bed.now_ms += RIG_LEASE_MS;
	ck_assert_int_eq(rig_launch(), AGENT_IGNORED);
	ck_assert(rig->dropped);
	ck_assert_ptr_nonnull(strstr(rig->why, "the lease has ended"));
	ck_assert_int_eq(rig_launch(), AGENT_IGNORED); /* the rest of the buffer */
	ck_assert_uint_eq(rig->forks, 0);
	rig_acknowledge(rig->heartbeat_ms);
	ck_assert(!agent_core_registered(rig->bed.core));
}
END_TEST

START_TEST(a_launch_of_the_old_connection_is_none_of_the_new_one)
{
	rig_register();
	rig_welcome();
	rig->bed.now_ms += RIG_LEASE_MS;
	agent_core_tick(rig->bed.core, rig->bed.now_ms);
	rig_drain();
	rig_register();
	rig_welcome();
	rig->bed.registration--; /* read only now */
	ck_assert_int_eq(rig_launch(), AGENT_IGNORED);
	ck_assert_uint_eq(rig->forks, 0);
	rig->bed.registration++;
	ck_assert_int_eq(rig_launch(), AGENT_DONE);
	ck_assert_uint_eq(rig->forks, 1);
}
END_TEST

START_TEST(a_master_of_an_older_term_launches_nothing)
{
	rig_register();
	rig_welcome();
	rig->bed.term.czxid--;
	ck_assert_int_eq(rig_launch(), AGENT_IGNORED);
	ck_assert(rig->dropped);
	ck_assert_ptr_nonnull(strstr(rig->why, "is older than"));
	ck_assert_uint_eq(rig->forks, 0);
}
END_TEST

START_TEST(a_singleton_is_not_taken_within_a_second_of_the_leases_end)
{
	rig_register();
	rig_welcome();
	rig->bed.now_ms += RIG_LEASE_MS - AGENT_LEASE_MARGIN_MS;
	ck_assert_int_eq(rig_launch(), AGENT_DONE);
	ck_assert_uint_eq(rig->forks, 0);
	ck_assert_int_eq(rig->state, CORRAL__TASK_STATE__LOST);
	ck_assert_int_eq(rig->reason, CORRAL__TASK_REASON__REASON_LEASE_ENDED);
}
END_TEST

START_TEST(a_launch_that_the_helper_is_late_with_is_no_failure_though_the_lease_was_renewed)
{
	rig_register();
	rig_welcome();
	rig->helper_late_ms = RIG_LEASE_MS - AGENT_LEASE_MARGIN_MS;
	rig_launch();
	ck_assert_uint_eq(rig->forks, 0);
	ck_assert_int_eq(rig->state, CORRAL__TASK_STATE__LOST);
	ck_assert_int_eq(rig->reason, CORRAL__TASK_REASON__REASON_LEASE_ENDED);
}
END_TEST

START_TEST(an_executor_that_is_slow_to_report_does_not_start_a_singleton_too_late)
{
	rig_register();
	rig_welcome();
	rig_launch();
	rig->bed.now_ms += RIG_LEASE_MS - LIFE_LEASE_MARGIN_MS;
	rig_executor_connects();
	rig_deliver();
	ck_assert_uint_eq(rig->started_ms, 0);
	ck_assert_int_eq(rig->life.update[1].reason, CORRAL__TASK_REASON__REASON_LEASE_ENDED);
}
END_TEST

START_TEST(an_executor_that_reports_under_a_later_lease_does_not_start_a_singleton)
{
	rig_register();
	rig_welcome();
	rig_launch();
	rig->bed.now_ms += RIG_LEASE_MS; /* the master may have placed it elsewhere since */
	agent_core_tick(rig->bed.core, rig->bed.now_ms);
	rig_drain();
	rig_register();
	rig_welcome();
	rig_executor_connects();
	rig_deliver();
	ck_assert_uint_eq(rig->started_ms, 0);
	ck_assert_int_eq(rig->life.update[1].reason, CORRAL__TASK_REASON__REASON_LEASE_ENDED);
}
END_TEST

START_TEST(an_agent_that_starts_anew_has_no_lease_to_give_before_its_welcome)
{
	uint64_t end_ms, sent_ms;

	rig_run();
	end_ms = rig->life.lease_end_ms;
	rig_agent_dies();
	rig_pass(1000);
	rig_boot();
	rig_register();
	sent_ms = rig->bed.now_ms;
	rig_executor_connects();
	rig_deliver();
	ck_assert_uint_eq(rig->life.lease_end_ms, end_ms);
	rig_pass(1000);
	rig_welcome();
	rig_deliver();
	ck_assert_uint_eq(rig->life.lease_end_ms, sent_ms + RIG_LEASE_MS);
	rig_pass(2 * RIG_LEASE_MS);
	ck_assert_uint_eq(rig->signalled_ms, sent_ms + RIG_LEASE_MS);
}
END_TEST

START_TEST(a_singleton_without_its_agent_ends_with_its_lease)
{
	uint64_t end_ms;

	rig_run();
	end_ms = rig->life.lease_end_ms;
	rig_agent_dies();
	rig_pass(2 * RIG_LEASE_MS);
	ck_assert_uint_eq(rig->signalled_ms, end_ms);
	ck_assert_uint_eq(rig->gone_ms, end_ms + RIG_STOP_MS);
	rig_boot();
	rig_register();
	rig_welcome();
	rig_executor_connects();
	rig_deliver();
	ck_assert_int_eq(rig->reason, CORRAL__TASK_REASON__REASON_LEASE_ENDED);
}
END_TEST

/* The agent starts without the checkpoint that the one before it had. */
static void
start_without_checkpoint(void)
{
	rig_agent_dies();
	rig_lose_checkpoint();
	rig_boot();
}

START_TEST(what_a_lost_checkpoint_had_is_ended_before_the_node_registers)
{
	rig_run();
	rig->sweeps = rig->registrations = 0;
	rig->sweeps_meet = 3; /* they die slowly */
	start_without_checkpoint();
	ck_assert(!rig->lives);
	ck_assert_uint_eq(rig->sweeps, 1);
	ck_assert_uint_eq(rig->kept, 0);
	rig_register();
	ck_assert_uint_eq(rig->registrations, 0);
	rig_pass(500);
	ck_assert_uint_eq(rig->sweeps, 5); /* the last one met nothing */
	ck_assert_uint_eq(rig->registrations, 1);
	rig_welcome();
	rig_pass(RIG_LEASE_MS / 2);
	ck_assert_uint_eq(rig->sweeps, 5);
	ck_assert(!rig->dropped);
}
END_TEST

START_TEST(a_node_whose_helper_ends_nothing_does_not_register)
{
	rig_run();
	rig->registrations = rig->sweeps = 0;
	rig->sweeps_fail = 1000;
	start_without_checkpoint();
	rig_register();
	rig_pass(10 * RIG_LEASE_MS);
	ck_assert_uint_eq(rig->registrations, 0);
	ck_assert(!rig->dropped);
	ck_assert_uint_gt(rig->sweeps, 40); /* every 2 s at least, and not without a break */
	ck_assert_uint_lt(rig->sweeps, 80);
	rig->sweeps_fail = 0;
	rig_pass(4200); /* the first of these has killed it, the second meets nothing */
	ck_assert_uint_eq(rig->registrations, 1);
}
END_TEST

START_TEST(a_master_is_not_heard_while_attempts_are_ended)
{
	rig_run();
	rig->registrations = rig->forks = 0;
	rig->helper_silent = true;
	start_without_checkpoint();
	rig_register();
	rig_welcome(); /* of a registration that it has never sent */
	rig_launch();
	rig_pass(2 * RIG_LEASE_MS);
	ck_assert_uint_eq(rig->forks, 0);
	ck_assert_uint_eq(rig->sweeps, 2); /* one at each start, unanswered */
	rig_answer_sweep();
	rig_drain();
	rig->helper_silent = false;
	rig_pass(100);
	ck_assert_uint_eq(rig->registrations, 1);
	rig_welcome();
	rig_launch();
	ck_assert_uint_eq(rig->forks, 1);
}
END_TEST

START_TEST(an_agent_that_dies_in_a_sweep_begins_anew_with_it)
{
	rig_run();
	rig->sweeps = 0;
	rig->helper_silent = true;
	start_without_checkpoint();
	rig_agent_dies();
	rig_boot();
	ck_assert_uint_eq(rig->sweeps, 2);
	rig_answer_sweep(); /* something was met */
	rig_drain();
	rig_agent_dies();
	rig_boot();
	ck_assert_uint_eq(rig->sweeps, 3);
	rig_answer_sweep();
	rig_drain();
	rig_agent_dies();
	rig_boot();
	ck_assert_uint_eq(rig->sweeps, 3); /* it was done */
	rig_register();
	ck_assert_uint_eq(rig->registrations, 2);
}
END_TEST

/* What is known of it goes on. */
START_TEST(a_damaged_checkpoint_keeps_what_stands_in_it)
{
	struct store_file *f;
	uint64_t size;

	rig_run();
	rig->sweeps = 0;
	rig_agent_dies();
	ck_assert_int_eq(
	    store_open(simdisk_store(rig->bed.disk), CHECKPOINT_NAME, STORE_OPEN_WRITE, &f), 0);
	ck_assert_int_eq(store_size(f, &size), 0);
	ck_assert_int_eq(store_pwrite(f, "\x08\0\0\0rotten..rotten..", 20, size), 0);
	store_close(f);
	rig_boot();
	ck_assert_uint_eq(rig->sweeps, 1);
	ck_assert_uint_eq(rig->kept, 1);
	ck_assert(rig->lives);
	rig_executor_connects();
	rig_register();
	rig_welcome();
	rig_pass(RIG_LEASE_MS / 2);
	ck_assert(rig->lives);
	ck_assert_int_eq(rig->state, CORRAL__TASK_STATE__RUNNING);
}
END_TEST

START_TEST(what_ran_in_another_boot_needs_no_sweep)
{
	rig->helper_silent = true;
	start_without_checkpoint(); /* which it remembers */
	rig->sweeps = rig->registrations = 0;
	rig_agent_dies();
	rig->bed.boot_id = "boot-2";
	rig_boot();
	rig_register();
	ck_assert_uint_eq(rig->sweeps, 0);
	ck_assert_uint_eq(rig->registrations, 1);
}
END_TEST

START_TEST(what_does_not_die_is_named_in_every_heartbeat_until_it_has)
{
	struct taskkey key = rig_key();

	rig_run();
	rig->kill_fails = true;
	rig->frozen = true;
	rig_kill();
	for (int i = 0; i < 10; i++) {
		rig_pass(RIG_LEASE_MS / 5);
		rig_acknowledge(rig->heartbeat_ms);
	}
	ck_assert_uint_ge(rig->kills, 2);
	ck_assert_uint_eq(rig->stuck, 1);
	ck_assert(agent_core_find(rig->bed.core, &key)->stuck);
	rig->kill_fails = false;
	rig_pass(RIG_LEASE_MS / 5);
	rig_acknowledge(rig->heartbeat_ms);
	rig_pass(RIG_LEASE_MS / 5);
	ck_assert_uint_eq(rig->stuck, 0);
	ck_assert_int_eq(rig->state, CORRAL__TASK_STATE__KILLED);
}
END_TEST

START_TEST(an_executor_that_cannot_kill_says_so)
{
	struct taskkey key = rig_key();

	rig_run();
	agent_core_executor_stuck(rig->bed.core, &key, rig->bed.now_ms);
	rig_pass(100);
	ck_assert_uint_eq(rig->stuck, 1);
}
END_TEST

/* The executor has heard of it from an agent that has forgotten it: its checkpoint was damaged. */
static Corral__Term
later_term(void)
{
	Corral__Term term = rig->bed.term;

	term.czxid += 5;
	ck_assert(life_term(&rig->life, &term));
	return term;
}

static void
cut_executor(void)
{
	struct taskkey key = rig_key();

	rig->linked = false;
	agent_core_executor_down(rig->bed.core, &key, rig->bed.now_ms);
	rig_drain();
}

/* Of the one attempt, by a leader of that term. */
static void
kill_in(Corral__Term term)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Kill kill = CORRAL__KILL__INIT;
	Corral__TaskKey key = agent_bed_key(&rig->bed), *keys = &key;
	Corral__Term launched = rig->bed.term;

	key.term = &launched;
	kill.n_keys = 1;
	kill.keys = &keys;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_KILL;
	m.kill = &kill;
	rig->bed.term = term;
	(void)agent_bed_say(&rig->bed, &m);
	rig->bed.term = launched;
	rig_drain();
}

START_TEST(an_executor_stops_for_no_leader_before_one_that_it_has_heard_of)
{
	Corral__Term earlier, later;

	rig_run();
	earlier = rig->bed.term;
	cut_executor();
	later = later_term();
	kill_in(earlier); /* which the agent has for it when it comes */
	rig_executor_connects();
	rig_deliver();
	ck_assert_uint_eq(rig->signalled_ms, 0);
	kill_in(earlier); /* and by now the agent knows better */
	ck_assert(rig->dropped);
	ck_assert_ptr_nonnull(strstr(rig->why, "is older than"));
	later.czxid++;
	rig_register();
	rig->bed.term = later;
	rig_welcome();
	rig->bed.term = earlier; /* of the key */
	rig_deliver();
	ck_assert_uint_eq(rig->signalled_ms, 0);
	kill_in(later);
	rig_deliver();
	ck_assert_uint_gt(rig->signalled_ms, 0);
}
END_TEST

/* Which nobody has stopped, and which otherwise would wait for its word for ever. */
START_TEST(what_an_earlier_leader_wanted_stopped_goes_on)
{
	rig_register();
	rig_welcome();
	rig_launch();
	(void)later_term();
	kill_in(rig->bed.term);
	rig_executor_connects();
	rig_deliver();
	ck_assert_int_eq(rig->state, CORRAL__TASK_STATE__RUNNING);
	ck_assert_uint_eq(rig->signalled_ms, 0);
	rig_pass(RIG_LEASE_MS - 1000);
	ck_assert_uint_eq(rig->kills, 0);
}
END_TEST

START_TEST(a_stop_is_obeyed_though_another_leader_follows_before_it_is_passed_on)
{
	Corral__Term launched;

	rig_run();
	launched = rig->bed.term;
	cut_executor();
	kill_in(launched);
	rig_register();
	rig->bed.term.czxid++;
	rig_welcome(); /* with a lease in its term */
	rig->bed.term = launched;
	rig_executor_connects();
	rig_deliver();
	ck_assert_uint_gt(rig->signalled_ms, 0);
}
END_TEST

START_TEST(an_agent_that_forgot_the_highest_term_hears_it_from_its_executors)
{
	rig_run();
	cut_executor();
	(void)later_term();
	rig_executor_connects();
	rig_agent_dies();
	rig_boot(); /* it is in the checkpoint again */
	rig_register();
	rig_welcome();
	ck_assert(rig->dropped);
	ck_assert_ptr_nonnull(strstr(rig->why, "is older than"));
}
END_TEST

START_TEST(a_lease_of_an_earlier_leaders_keeps_no_singleton)
{
	uint64_t end_ms;

	rig_run();
	cut_executor();
	(void)later_term();
	end_ms = rig->life.lease_end_ms;
	rig_pass(RIG_LEASE_MS / 5);
	rig_acknowledge(rig->heartbeat_ms);
	rig_executor_connects();
	rig_deliver();
	ck_assert_uint_eq(rig->life.lease_end_ms, end_ms);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("lease");
	TCase *t = tcase_create("lease");

	tcase_add_checked_fixture(t, rig_setup, rig_teardown);
	tcase_add_test(t, a_lease_counts_from_when_the_acknowledged_heartbeat_was_sent);
	tcase_add_test(t, a_lease_counts_from_when_the_registration_was_sent);
	tcase_add_test(t, an_executor_is_told_when_its_lease_ends_however_long_the_word_takes);
	tcase_add_test(t, a_leader_with_a_shorter_lease_is_not_outlived_by_what_it_launches);
	tcase_add_test(t, what_runs_already_keeps_the_end_that_it_was_told);
	tcase_add_test(t, a_heartbeat_that_was_never_sent_extends_nothing);
	tcase_add_test(t, a_singleton_is_gone_a_grace_after_its_lease_whatever_it_does);
	tcase_add_test(t, a_singleton_that_dies_slowly_is_gone_two_seconds_after_its_grace);
	tcase_add_test(t, a_renewal_behind_the_leases_end_revokes_nothing);
	tcase_add_test(t, an_executor_that_does_not_do_its_part_is_killed_with_its_singleton);
	tcase_add_test(t, a_stop_that_a_frozen_executor_does_not_hear_ends_all_the_same);
	tcase_add_test(t, a_frozen_agent_wakes_up_and_takes_nothing_from_its_buffer);
	tcase_add_test(t, a_launch_of_the_old_connection_is_none_of_the_new_one);
	tcase_add_test(t, a_master_of_an_older_term_launches_nothing);
	tcase_add_test(t, a_singleton_is_not_taken_within_a_second_of_the_leases_end);
	tcase_add_test(
	    t, a_launch_that_the_helper_is_late_with_is_no_failure_though_the_lease_was_renewed);
	tcase_add_test(t, an_executor_that_is_slow_to_report_does_not_start_a_singleton_too_late);
	tcase_add_test(t, an_executor_that_reports_under_a_later_lease_does_not_start_a_singleton);
	tcase_add_test(t, an_agent_that_starts_anew_has_no_lease_to_give_before_its_welcome);
	tcase_add_test(t, a_singleton_without_its_agent_ends_with_its_lease);
	tcase_add_test(t, what_a_lost_checkpoint_had_is_ended_before_the_node_registers);
	tcase_add_test(t, a_node_whose_helper_ends_nothing_does_not_register);
	tcase_add_test(t, a_master_is_not_heard_while_attempts_are_ended);
	tcase_add_test(t, an_agent_that_dies_in_a_sweep_begins_anew_with_it);
	tcase_add_test(t, a_damaged_checkpoint_keeps_what_stands_in_it);
	tcase_add_test(t, what_ran_in_another_boot_needs_no_sweep);
	tcase_add_test(t, what_does_not_die_is_named_in_every_heartbeat_until_it_has);
	tcase_add_test(t, an_executor_that_cannot_kill_says_so);
	tcase_add_test(t, an_executor_stops_for_no_leader_before_one_that_it_has_heard_of);
	tcase_add_test(t, what_an_earlier_leader_wanted_stopped_goes_on);
	tcase_add_test(t, a_stop_is_obeyed_though_another_leader_follows_before_it_is_passed_on);
	tcase_add_test(t, an_agent_that_forgot_the_highest_term_hears_it_from_its_executors);
	tcase_add_test(t, a_lease_of_an_earlier_leaders_keeps_no_singleton);
	suite_add_tcase(s, t);
	return s;
}
