/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's core is stopped at every operation of the disk and before every act, and started
 * again: each time the task was started once or never, and exactly one outcome is reported.
 */
#include "agent/core/core.h"

#include <string.h>

#include "libcommon/codec/taskspec.h"
#include "tests/lib/agent_world.h"
#include "tests/lib/unit.h"

START_TEST(without_a_fault_the_task_is_started_once_and_finishes)
{
	struct agent_world w;

	agent_world_init(&w);
	agent_world_run(&w, false);
	agent_world_check(&w, "no fault", 0);
	ck_assert_int_eq(w.outcome, CORRAL__TASK_STATE__FINISHED);
	ck_assert_uint_eq(w.starts, 1);
	ck_assert_uint_eq(w.last_sequence, 2);
	agent_world_fini(&w);
}
END_TEST

START_TEST(a_kill_of_the_agent_before_any_act_leaves_one_outcome)
{
	struct agent_world w;
	uint64_t at = 1;

	for (bool reached = true; reached; at++) {
		agent_world_init(&w);
		w.crash_at_act = at;
		agent_world_run(&w, false);
		reached = w.crashed;
		agent_world_check(&w, "agent killed", at);
		/* Once the word was given and executors live on, nothing is lost. */
		if (w.starts == 1)
			ck_assert_int_eq(w.outcome, CORRAL__TASK_STATE__FINISHED);
		agent_world_fini(&w);
	}
	ck_assert_uint_gt(at, 10);
}
END_TEST

START_TEST(a_kill_of_the_agent_at_any_disk_operation_leaves_one_outcome)
{
	struct agent_world w;
	uint64_t at = 1;

	for (bool reached = true; reached; at++) {
		agent_world_init(&w);
		simdisk_stop_at(w.bed.disk, at);
		agent_world_run(&w, false);
		reached = w.crashed;
		agent_world_check(&w, "agent killed at disk operation", at);
		agent_world_fini(&w);
	}
	ck_assert_uint_gt(at, 10);
}
END_TEST

START_TEST(a_power_loss_at_any_disk_operation_leaves_one_outcome)
{
	struct agent_world w;
	uint64_t at = 1;

	for (bool reached = true; reached; at++) {
		agent_world_init(&w);
		simdisk_stop_at(w.bed.disk, at);
		agent_world_run(&w, true);
		reached = w.crashed;
		agent_world_check(&w, "power lost at disk operation", at);
		agent_world_fini(&w);
	}
	ck_assert_uint_gt(at, 10);
}
END_TEST

START_TEST(a_kill_of_the_executor_at_any_act_leaves_one_outcome)
{
	struct agent_world w;
	uint64_t acts = 1;

	for (uint64_t at = 1; at <= acts; at++) {
		agent_world_init(&w);
		w.executor_dies_at_act = at;
		agent_world_run(&w, false);
		agent_world_check(&w, "executor killed", at);
		acts = w.acts;
		agent_world_fini(&w);
	}
	ck_assert_uint_gt(acts, 5);
}
END_TEST

START_TEST(a_term_that_is_lower_than_one_seen_is_refused_after_a_restart_as_well)
{
	struct agent_world w;
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Term old = CORRAL__TERM__INIT;
	struct agent_out out;
	bool dropped = false;

	agent_world_init(&w);
	agent_world_run(&w, false);
	agent_world_crash(&w);
	simdisk_crash(w.bed.disk);
	ck_assert(agent_world_boot(&w));
	agent_core_master_up(w.bed.core, w.bed.now_ms);
	old.era = 1;
	old.czxid = 6;
	m.term = &old;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_KILL;
	ck_assert_int_eq(agent_core_master_message(w.bed.core, &m, w.bed.now_ms), AGENT_IGNORED);
	ck_assert_int_eq(agent_core_commit(w.bed.core), 0);
	while (agent_core_next(w.bed.core, &out)) {
		dropped = dropped || (out.kind == AGENT_OUT_MASTER_DROP &&
					 strstr(out.text, "is older than") != NULL);
		agent_out_fini(&out);
	}
	ck_assert(dropped);
	agent_world_fini(&w);
}
END_TEST

START_TEST(a_lease_that_ends_drops_the_master)
{
	struct agent_world w;
	struct agent_out out;
	bool dropped = false;

	agent_world_init(&w);
	agent_world_run(&w, false);
	ck_assert(agent_core_registered(w.bed.core));
	agent_core_tick(w.bed.core, w.bed.now_ms + 2000000);
	ck_assert(!agent_core_registered(w.bed.core));
	ck_assert_int_eq(agent_core_commit(w.bed.core), 0);
	while (agent_core_next(w.bed.core, &out)) {
		dropped = dropped || out.kind == AGENT_OUT_MASTER_DROP;
		agent_out_fini(&out);
	}
	ck_assert(dropped);
	agent_world_fini(&w);
}
END_TEST

/* What comes out of the core says Register, with this agent id. */
static bool
registers_as(struct agent_world *w, const char *id)
{
	struct agent_out out;
	bool found = false;

	while (agent_core_next(w->bed.core, &out)) {
		Corral__AgentToMaster *m =
		    out.kind == AGENT_OUT_MASTER
			? corral__agent_to_master__unpack(NULL, out.size, out.bytes)
			: NULL;

		if (m != NULL && m->body_case == CORRAL__AGENT_TO_MASTER__BODY_REGISTER)
			found = strcmp(m->register_->agent_id, id) == 0;
		if (m != NULL)
			corral__agent_to_master__free_unpacked(m, NULL);
		agent_out_fini(&out);
	}
	return found;
}

/* In its contents, or in a length, which makes it look as if its end had never been written. */
START_TEST(rot_in_the_checkpoint_is_named_and_the_file_is_kept)
{
	static const struct {
		uint64_t offset;
		unsigned bit;
	} flips[] = {{60, 3}, {1, 0}};
	struct agent_world w;
	struct checkpoint_faults faults;
	struct store_file *f;

	agent_world_init(&w);
	agent_world_run(&w, false);
	agent_world_crash(&w);
	simdisk_settle(w.bed.disk);
	simdisk_crash(w.bed.disk);
	ck_assert(simdisk_flip_bit(w.bed.disk, CHECKPOINT_NAME, flips[_i].offset, flips[_i].bit));
	ck_assert_int_eq(agent_bed_boot(&w.bed, &faults), 0);
	ck_assert(faults.damaged);
	ck_assert_uint_gt(faults.cut_bytes, 0);
	ck_assert_int_eq(
	    store_open(simdisk_store(w.bed.disk), "checkpoint.damaged", STORE_OPEN_READ, &f), 0);
	store_close(f);
	agent_world_fini(&w);
}
END_TEST

/* The last request to the helper that comes out now; 0: there is none. */
static uint64_t
take_request(struct agent_world *w, Corral__HelperRequest__BodyCase *kind)
{
	struct agent_out out;
	uint64_t id = 0;

	ck_assert_int_eq(agent_core_commit(w->bed.core), 0);
	while (agent_core_next(w->bed.core, &out)) {
		Corral__HelperRequest *r =
		    out.kind == AGENT_OUT_HELPER
			? corral__helper_request__unpack(NULL, out.size, out.bytes)
			: NULL;

		if (r != NULL) {
			id = r->id;
			*kind = r->body_case;
			corral__helper_request__free_unpacked(r, NULL);
		}
		agent_out_fini(&out);
	}
	return id;
}

static void
reply_alive(struct agent_world *w, uint64_t id, bool alive)
{
	Corral__HelperReply reply = CORRAL__HELPER_REPLY__INIT;

	reply.id = id;
	reply.has_alive = true;
	reply.alive = alive;
	agent_core_helper_reply(w->bed.core, &reply, w->bed.now_ms);
}

/* The helper has met nothing that the checkpoint lacks. */
static void
answer_sweep(struct agent_world *w)
{
	Corral__HelperRequest__BodyCase kind = CORRAL__HELPER_REQUEST__BODY__NOT_SET;
	uint64_t id;

	agent_core_tick(w->bed.core, w->bed.now_ms);
	id = take_request(w, &kind);
	ck_assert_uint_eq(id, kind == CORRAL__HELPER_REQUEST__BODY_SWEEP ? 1 : 2);
	reply_alive(w, 1, false); /* it is the first that is asked for */
}

/* There was no checkpoint. */
static void
boot_swept(struct agent_world *w)
{
	ck_assert(agent_world_boot(w));
	answer_sweep(w);
}

static void
damage_last_record(struct agent_world *w)
{
	struct store_file *f;
	uint64_t size;

	ck_assert_int_eq(
	    store_open(simdisk_store(w->bed.disk), CHECKPOINT_NAME, STORE_OPEN_READ, &f), 0);
	ck_assert_int_eq(store_size(f, &size), 0);
	store_close(f);
	ck_assert(simdisk_flip_bit(w->bed.disk, CHECKPOINT_NAME, size - 1, 3));
}

/* Who the node is stands before the damage, and is known whenever it was stopped. */
START_TEST(a_stop_while_damage_is_put_aside_leaves_a_checkpoint)
{
	struct checkpoint_faults faults;
	bool reached = true;
	struct agent_world w;
	uint64_t at = 1;

	for (; reached; at++) {
		agent_world_init(&w);
		agent_world_run(&w, false);
		agent_world_crash(&w);
		simdisk_settle(w.bed.disk);
		simdisk_crash(w.bed.disk);
		damage_last_record(&w);
		simdisk_stop_at(w.bed.disk, simdisk_ops(w.bed.disk) + at);
		reached = agent_bed_boot(&w.bed, &faults) != 0;
		agent_world_crash(&w);
		if (_i == 0)
			simdisk_crash(w.bed.disk);
		else
			simdisk_power_loss(w.bed.disk);
		ck_assert_int_eq(agent_bed_boot(&w.bed, &faults), 0);
		answer_sweep(&w);
		agent_core_master_up(w.bed.core, w.bed.now_ms);
		ck_assert_int_eq(agent_core_commit(w.bed.core), 0);
		ck_assert(registers_as(&w, AGENT_BED_ID));
		agent_world_fini(&w);
	}
	ck_assert_uint_gt(at, 5);
}
END_TEST

/* A kill of what is not known says that it does not run: which holds when the rest is ended. */
START_TEST(a_kill_of_what_may_be_forgotten_ends_nothing)
{
	struct agent_world w;

	agent_world_init(&w);
	ck_assert(agent_world_boot(&w));
	agent_core_master_up(w.bed.core, w.bed.now_ms);
	ck_assert_int_eq(agent_bed_welcome(&w.bed, 15000, 3000), AGENT_IGNORED);
	ck_assert_int_eq(agent_bed_kill(&w.bed), AGENT_IGNORED);
	ck_assert(list_empty(agent_core_active(w.bed.core)));
	answer_sweep(&w);
	ck_assert_int_eq(agent_bed_welcome(&w.bed, 15000, 3000), AGENT_DONE);
	ck_assert_int_eq(agent_bed_kill(&w.bed), AGENT_DONE);
	ck_assert(!list_empty(agent_core_active(w.bed.core)));
	agent_world_fini(&w);
}
END_TEST

/* An executor runs its task, and its link is down. */
static void
start_and_lose_link(struct agent_world *w)
{
	Corral__HelperRequest__BodyCase kind = CORRAL__HELPER_REQUEST__BODY__NOT_SET;
	Corral__TaskKey key = agent_bed_key(&w->bed);
	struct taskkey k = taskkey_of(&key);
	uint64_t id;

	boot_swept(w);
	agent_core_master_up(w->bed.core, w->bed.now_ms);
	take_request(w, &kind);
	agent_world_welcome(w, NULL);
	id = take_request(w, &kind);
	ck_assert_int_eq(kind, CORRAL__HELPER_REQUEST__BODY_LAUNCH);
	reply_alive(w, id, true);
	ck_assert(agent_bed_hello(&w->bed, CORRAL__TASK_STATE__RUNNING));
	agent_core_executor_down(w->bed.core, &k, w->bed.now_ms);
}

/* Its time was over at once, and it had nobody to report to. */
START_TEST(an_executor_is_not_given_up_for_the_time_that_its_agent_stood_still)
{
	Corral__HelperRequest__BodyCase kind = CORRAL__HELPER_REQUEST__BODY__NOT_SET;
	struct agent_world w;

	agent_world_init(&w);
	start_and_lose_link(&w);
	w.bed.now_ms += 90000;
	agent_core_tick(w.bed.core, w.bed.now_ms);
	for (int look = 0; look < 2; look++) {
		reply_alive(&w, take_request(&w, &kind), true);
		ck_assert_int_eq(kind, CORRAL__HELPER_REQUEST__BODY_PROBE);
		w.bed.now_ms += 2000;
		agent_core_tick(w.bed.core, w.bed.now_ms);
	}
	ck_assert(agent_bed_hello(&w.bed, CORRAL__TASK_STATE__RUNNING));
	agent_world_fini(&w);
}
END_TEST

/* Its lease would count from when the newest was sent, and its master counts from when it came. */
START_TEST(the_answer_to_an_earlier_registration_welcomes_nobody)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Welcome late = CORRAL__WELCOME__INIT;
	struct agent_world w;

	agent_world_init(&w);
	boot_swept(&w);
	agent_core_master_up(w.bed.core, w.bed.now_ms);
	late.agent_id = (char *)(uintptr_t)AGENT_BED_ID;
	late.lease_ms = late.heartbeat_ms = 15000;
	late.has_answers = true;
	late.answers = agent_core_register_number(w.bed.core);
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_WELCOME;
	m.welcome = &late;
	agent_core_master_down(w.bed.core);
	agent_core_master_up(w.bed.core, w.bed.now_ms); /* in the same millisecond */
	w.bed.registration = 1;
	ck_assert_int_eq(agent_bed_say(&w.bed, &m), AGENT_IGNORED);
	ck_assert(!agent_core_registered(w.bed.core));
	late.has_answers = false;
	late.answers = 0; /* of a master that knows of no numbers */
	ck_assert_int_eq(agent_bed_say(&w.bed, &m), AGENT_IGNORED);
	agent_world_welcome(&w, NULL);
	ck_assert(agent_core_registered(w.bed.core));
	agent_world_fini(&w);
}
END_TEST

/* It was silent, and reports its end while the helper is asked to kill it. */
START_TEST(an_attempt_that_ends_while_it_is_being_killed_is_cleaned_up)
{
	Corral__HelperRequest__BodyCase kind = CORRAL__HELPER_REQUEST__BODY__NOT_SET;
	Corral__TaskKey message;
	struct taskkey k;
	Corral__StatusUpdate u;
	struct agent_world w;
	uint64_t id = 0;

	agent_world_init(&w);
	start_and_lose_link(&w);
	while (kind != CORRAL__HELPER_REQUEST__BODY_KILL && w.bed.now_ms < 100000) {
		if ((id = take_request(&w, &kind)) != 0 &&
		    kind != CORRAL__HELPER_REQUEST__BODY_KILL)
			reply_alive(&w, id, true);
		w.bed.now_ms += kind == CORRAL__HELPER_REQUEST__BODY_KILL ? 0 : 1000;
		if (kind != CORRAL__HELPER_REQUEST__BODY_KILL)
			agent_core_tick(w.bed.core, w.bed.now_ms);
	}
	ck_assert_int_eq(kind, CORRAL__HELPER_REQUEST__BODY_KILL);
	ck_assert(agent_bed_hello(&w.bed, CORRAL__TASK_STATE__RUNNING));
	w.executor.outcome = CORRAL__TASK_STATE__FINISHED;
	agent_world_executor_message(&w, 1, &u, &message);
	k = taskkey_of(&message);
	agent_core_executor_update(w.bed.core, &k, &u, w.bed.now_ms);
	agent_core_executor_down(w.bed.core, &k, w.bed.now_ms);
	reply_alive(&w, id, true);
	ck_assert_uint_ne(take_request(&w, &kind), 0);
	ck_assert_int_eq(kind, CORRAL__HELPER_REQUEST__BODY_REMOVE);
	agent_world_fini(&w);
}
END_TEST

/* --- what no honest master says --- */

/* The outputs of the kind, which are dropped with all others. */
static unsigned
count_requests(struct agent_world *w, Corral__HelperRequest__BodyCase kind)
{
	struct agent_out out;
	unsigned count = 0;

	ck_assert_int_eq(agent_core_commit(w->bed.core), 0);
	while (agent_core_next(w->bed.core, &out)) {
		if (out.kind == AGENT_OUT_HELPER) {
			Corral__HelperRequest *r =
			    corral__helper_request__unpack(NULL, out.size, out.bytes);

			count += r->body_case == kind;
			corral__helper_request__free_unpacked(r, NULL);
		}
		agent_out_fini(&out);
	}
	return count;
}

static void
say_launch(struct agent_world *w, Corral__TaskLaunch **list, size_t count)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Launch launch = CORRAL__LAUNCH__INIT;

	launch.n_tasks = count;
	launch.tasks = list;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_LAUNCH;
	m.launch = &launch;
	ck_assert_int_eq(agent_bed_say(&w->bed, &m), AGENT_DONE);
}

static void
welcomed(struct agent_world *w)
{
	agent_world_init(w);
	boot_swept(w);
	agent_core_master_up(w->bed.core, w->bed.now_ms);
	agent_bed_welcome(&w->bed, 15000, 3000);
}

START_TEST(a_task_that_is_named_twice_in_one_launch_is_started_once)
{
	Corral__TaskLaunch task = CORRAL__TASK_LAUNCH__INIT, *list[] = {&task, &task};
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	static char word[] = "true", *argv[] = {word};
	Corral__TaskKey key;
	struct agent_world w;

	welcomed(&w);
	key = agent_bed_key(&w.bed);
	spec.argv = argv;
	spec.n_argv = 1;
	task.key = &key;
	task.spec = &spec;
	say_launch(&w, list, 2);
	ck_assert_uint_eq(count_requests(&w, CORRAL__HELPER_REQUEST__BODY_LAUNCH), 1);
	agent_core_check(w.bed.core);
	agent_world_fini(&w);
}
END_TEST

START_TEST(a_task_that_has_ended_is_not_started_again)
{
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	struct agent_world w;

	agent_world_init(&w);
	agent_world_run(&w, false);
	ck_assert_int_eq(w.outcome, CORRAL__TASK_STATE__FINISHED);
	agent_bed_launch(&w.bed, &spec);
	ck_assert_uint_eq(count_requests(&w, CORRAL__HELPER_REQUEST__BODY_LAUNCH), 0);
	agent_world_fini(&w);
}
END_TEST

START_TEST(a_task_that_cannot_be_run_is_refused_before_anything_is_made)
{
	Corral__TaskLaunch task = CORRAL__TASK_LAUNCH__INIT, *list[] = {&task};
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	Corral__TaskKey key;
	struct agent_world w;
	struct taskkey k;

	welcomed(&w);
	key = agent_bed_key(&w.bed);
	k = taskkey_of(&key);
	task.key = &key;
	task.spec = &spec; /* no command */
	say_launch(&w, list, 1);
	ck_assert_uint_eq(count_requests(&w, CORRAL__HELPER_REQUEST__BODY_LAUNCH), 0);
	ck_assert_int_eq(agent_core_find(w.bed.core, &k)->state, CORRAL__TASK_STATE__LOST);
	agent_world_fini(&w);
}
END_TEST

START_TEST(room_is_counted_with_each_executors_own)
{
	static const uint64_t memory[] = {1 << 29, (1 << 29) - TASKSPEC_EXECUTOR_MEMORY_BYTES,
	    (1 << 29) - 2 * TASKSPEC_EXECUTOR_MEMORY_BYTES};
	static const Corral__TaskState state[] = {
	    CORRAL__TASK_STATE__LAUNCHING, CORRAL__TASK_STATE__LOST, CORRAL__TASK_STATE__LAUNCHING};
	static char word[] = "true", *argv[] = {word};
	Corral__TaskLaunch task = CORRAL__TASK_LAUNCH__INIT, *list[] = {&task};
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	Corral__Resources want = CORRAL__RESOURCES__INIT;
	struct agent_world w;

	welcomed(&w);
	spec.argv = argv;
	spec.n_argv = 1;
	spec.resources = &want;
	want.has_memory_bytes = true;
	for (unsigned i = 0; i < 3; i++) {
		Corral__TaskKey key = agent_bed_key(&w.bed);
		struct taskkey k;

		key.index = i;
		k = taskkey_of(&key);
		want.memory_bytes = memory[i];
		task.key = &key;
		task.spec = &spec;
		say_launch(&w, list, 1);
		ck_assert_int_eq(agent_core_find(w.bed.core, &k)->state, state[i]);
	}
	agent_world_fini(&w);
}
END_TEST

START_TEST(an_acknowledgement_of_what_was_never_said_changes_nothing)
{
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	Corral__StatusUpdate u;
	struct agent_world w;
	const struct attempt *a;
	Corral__TaskKey key;
	struct taskkey k;

	welcomed(&w);
	agent_world_executor_message(&w, 1, &u, &key);
	agent_bed_acknowledge(&w.bed, &u); /* of a task that nobody knows */
	k = taskkey_of(&key);
	ck_assert_ptr_null(agent_core_find(w.bed.core, &k));
	spec.has_kill_signal = true;
	spec.kill_signal = 0;
	agent_bed_launch(&w.bed, &spec); /* refused: its outcome waits */
	a = agent_core_find(w.bed.core, &k);
	ck_assert_uint_eq(a->update_count, 1);
	agent_bed_acknowledge(&w.bed, &u);
	u.uuid.len = 0;
	agent_bed_acknowledge(&w.bed, &u);
	ck_assert_uint_eq(a->update_count, 1);
	agent_world_fini(&w);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("agent_core");
	TCase *t = tcase_create("agent_core");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, without_a_fault_the_task_is_started_once_and_finishes);
	tcase_add_test(t, a_kill_of_the_agent_before_any_act_leaves_one_outcome);
	tcase_add_test(t, a_kill_of_the_agent_at_any_disk_operation_leaves_one_outcome);
	tcase_add_test(t, a_power_loss_at_any_disk_operation_leaves_one_outcome);
	tcase_add_test(t, a_kill_of_the_executor_at_any_act_leaves_one_outcome);
	tcase_add_test(t, a_term_that_is_lower_than_one_seen_is_refused_after_a_restart_as_well);
	tcase_add_test(t, a_lease_that_ends_drops_the_master);
	tcase_add_test(t, a_kill_of_what_may_be_forgotten_ends_nothing);
	tcase_add_loop_test(t, rot_in_the_checkpoint_is_named_and_the_file_is_kept, 0, 2);
	tcase_add_test(t, an_executor_is_not_given_up_for_the_time_that_its_agent_stood_still);
	tcase_add_test(t, the_answer_to_an_earlier_registration_welcomes_nobody);
	tcase_add_test(t, an_attempt_that_ends_while_it_is_being_killed_is_cleaned_up);
	tcase_add_loop_test(t, a_stop_while_damage_is_put_aside_leaves_a_checkpoint, 0, 2);
	tcase_add_test(t, a_task_that_is_named_twice_in_one_launch_is_started_once);
	tcase_add_test(t, a_task_that_has_ended_is_not_started_again);
	tcase_add_test(t, room_is_counted_with_each_executors_own);
	tcase_add_test(t, a_task_that_cannot_be_run_is_refused_before_anything_is_made);
	tcase_add_test(t, an_acknowledgement_of_what_was_never_said_changes_nothing);
	suite_add_tcase(s, t);
	return s;
}
