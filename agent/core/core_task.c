/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts on this node: from the launch over the executor's word to the outcome, and back to it
 * after a crash. A crash between any two steps leads to exactly one of: launched once, or reported
 * lost:
 *
 *   checkpoint attempt | helper forks | hello | checkpoint executor | word | update | checkpoint
 * update
 *
 * After a crash each attempt without an outcome is RECOVERING. Its executor comes back: it knows
 * itself whether it had the word. It is dead: its final status is read, else what it left is killed
 * and it is lost.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/core_internal.h"
#include "libcommon/base/mark.h"
#include "libcommon/base/plants.h"

#define LOOK_MS_MIN 10
#define LOOK_MS_MAX 2000

struct attempt *
core_add_attempt(struct agent_core *c, const Corral__TaskKey *key, const Corral__TaskSpec *spec)
{
	struct attempt *a = attempt_new(&c->table, key, spec);

	if (a == NULL) {
		c->no_memory = true;
		return NULL;
	}
	list_append(&c->active, &a->link);
	c->active_count++;
	return a;
}

/* ---- Requests to the helper. ---- */

void
core_ask_helper(struct agent_core *c, const struct taskkey *key, enum helper_kind kind,
    Corral__HelperRequest *r)
{
	struct helper_wait *w = calloc(1, sizeof *w);

	if (w == NULL) {
		c->no_memory = true;
		return;
	}
	w->id = r->id = ++c->next_request;
	w->kind = kind;
	if (key != NULL)
		w->key = *key;
	list_append(&c->helper_waits, &w->link);
	core_push(c, AGENT_OUT_HELPER, key, &r->base);
}

static void
ask_helper(struct agent_core *c, struct attempt *a, enum helper_kind kind, Corral__HelperRequest *r)
{
	a->asked = true;
	core_ask_helper(c, &a->key, kind, r);
}

void
core_launch(struct agent_core *c, struct attempt *a)
{
	Corral__HelperRequest r = CORRAL__HELPER_REQUEST__INIT;
	Corral__HelperLaunch l = CORRAL__HELPER_LAUNCH__INIT;
	char sandbox[4096], run_directory[4096];

	c->conf.random(c->conf.arg, a->psk, sizeof a->psk);
	core_record_attempt(c, a);
	if (!agent_core_sandbox(c, a->name, sandbox, sizeof sandbox) ||
	    !agent_core_run_directory(c, a->name, run_directory, sizeof run_directory)) {
		c->no_memory = true; /* checked when the agent started: a state directory that long
					is refused */
		return;
	}
	l.key = a->key_message;
	l.spec = a->spec;
	l.psk.data = a->psk;
	l.psk.len = sizeof a->psk;
	l.agent_address = (char *)(uintptr_t)c->conf.executor_address;
	l.sandbox = sandbox;
	l.run_directory = run_directory;
	l.has_lease_end_boot_ms = a->spec->singleton;
	l.lease_end_boot_ms = a->lease_end_ms = c->lease_end_ms;
	r.body_case = CORRAL__HELPER_REQUEST__BODY_LAUNCH;
	r.launch = &l;
	ask_helper(c, a, HELPER_LAUNCH, &r);
}

static void
ask_probe(struct agent_core *c, struct attempt *a)
{
	Corral__HelperRequest r = CORRAL__HELPER_REQUEST__INIT;
	Corral__HelperProbe p = CORRAL__HELPER_PROBE__INIT;

	p.key = a->key_message;
	r.body_case = CORRAL__HELPER_REQUEST__BODY_PROBE;
	r.probe = &p;
	ask_helper(c, a, HELPER_PROBE, &r);
}

static void
ask_kill(struct agent_core *c, struct attempt *a)
{
	Corral__HelperRequest r = CORRAL__HELPER_REQUEST__INIT;
	Corral__HelperKill k = CORRAL__HELPER_KILL__INIT;

	k.key = a->key_message;
	r.body_case = CORRAL__HELPER_REQUEST__BODY_KILL;
	r.kill = &k;
	ask_helper(c, a, HELPER_KILL, &r);
}

/* Remove the cgroups, and with `all` the sandbox and the run directory. */
static void
ask_remove(struct agent_core *c, struct attempt *a, bool all)
{
	Corral__HelperRequest r = CORRAL__HELPER_REQUEST__INIT;
	Corral__HelperRemove m = CORRAL__HELPER_REMOVE__INIT;
	char sandbox[4096];

	m.key = a->key_message;
	if (all && agent_core_sandbox(c, a->name, sandbox, sizeof sandbox))
		m.sandbox = sandbox;
	r.body_case = CORRAL__HELPER_REQUEST__BODY_REMOVE;
	r.remove = &m;
	ask_helper(c, a, all ? HELPER_FORGET : HELPER_CLEAN, &r);
}

uint64_t
core_longer_wait_ms(uint64_t wait_ms)
{
	wait_ms = wait_ms == 0 ? LOOK_MS_MIN : wait_ms * 2;
	return wait_ms < LOOK_MS_MAX ? wait_ms : LOOK_MS_MAX;
}

/* Look again after a while that grows. */
static void
look_later(struct attempt *a, uint64_t now_ms)
{
	a->look_wait_ms = core_longer_wait_ms(a->look_wait_ms);
	a->look_at_ms = now_ms + a->look_wait_ms;
}

static void
look_now(struct attempt *a, uint64_t now_ms)
{
	a->look_wait_ms = 0;
	a->look_at_ms = now_ms;
}

static void
enter_killing(struct attempt *a, uint64_t now_ms)
{
	a->phase = ATTEMPT_KILLING;
	a->killed_at_ms = now_ms;
	look_now(a, now_ms);
}

/* It is not connected: how long it may be silent. */
static void
wait_for_executor(const struct agent_core *c, struct attempt *a, uint64_t now_ms)
{
	a->give_up_at_ms = now_ms + c->conf.recovery_ms;
	a->looks = 0;
}

/* ---- Updates and outcomes. ---- */

void
core_enter_over(struct agent_core *c, struct attempt *a, uint64_t now_ms)
{
	a->phase = ATTEMPT_OVER;
	c->stuck_count -= a->stuck;
	a->stuck = false;
	a->killed_at_ms = 0;
	corral__task_spec__free_unpacked(a->spec, NULL);
	a->spec = NULL;
	if (!a->linked)
		look_now(a, now_ms); /* to remove its cgroups */
}

void
core_take_update(
    struct agent_core *c, struct attempt *a, const Corral__StatusUpdate *update, uint64_t now_ms)
{
	Corral__StatusUpdate ours = *update;
	bool first = list_empty(&a->updates);

	assert(a->phase < ATTEMPT_OVER);
	attempt_saw_uuid(a, &update->uuid);
	ours.key = a->key_message;
	ours.sequence = a->sequence + 1;
	if (!attempt_add_update(a, &ours)) {
		c->no_memory = true;
		return;
	}
	core_record_update(c, &ours);
	if (attempt_state_is_terminal(ours.state))
		core_enter_over(c, a, now_ms);
	if (first) {
		a->send_at_ms = now_ms;
		a->send_wait_ms = 0;
	}
	core_pump(c, a, now_ms);
}

void
core_make_update(struct agent_core *c, struct attempt *a, Corral__TaskState state,
    Corral__TaskReason reason, const char *message, uint64_t now_ms)
{
	Corral__StatusUpdate u = CORRAL__STATUS_UPDATE__INIT;
	uint8_t uuid[ATTEMPT_UUID_BYTES];

	c->conf.random(c->conf.arg, uuid, sizeof uuid);
	u.key = a->key_message;
	u.uuid.data = uuid;
	u.uuid.len = sizeof uuid;
	u.state = state;
	u.has_reason = true;
	u.reason = reason;
	u.message = (char *)(uintptr_t)message;
	u.has_at_wall_ms = true;
	u.at_wall_ms = c->conf.wall_ms(c->conf.arg);
	core_take_update(c, a, &u, now_ms);
}

void
core_settle(struct agent_core *c, struct attempt *a, uint64_t now_ms)
{
	if (a->phase != ATTEMPT_OVER || !a->cleaned || !list_empty(&a->updates))
		return;
	a->phase = ATTEMPT_SETTLED;
	a->settled_at_ms = now_ms;
	list_remove(&a->link);
	list_append(&c->settled, &a->link);
	c->active_count--;
	c->settled_count++;
}

/* Nothing of it is alive and nobody knows how it ended. */
static void
make_lost(struct agent_core *c, struct attempt *a, uint64_t now_ms)
{
	if (a->kill_wanted)
		core_make_update(c, a, CORRAL__TASK_STATE__KILLED,
		    CORRAL__TASK_REASON__REASON_STOPPED, NULL, now_ms);
	else
		core_make_update(c, a, CORRAL__TASK_STATE__LOST, a->lost_reason,
		    a->lost_reason == CORRAL__TASK_REASON__REASON_REBOOT
			? "the node was started anew"
		    : a->lost_reason == CORRAL__TASK_REASON__REASON_LEASE_ENDED
			? "its executor did not stop it at the end of the node's lease"
			: "its executor ended without a final status",
		    now_ms);
}

/* ---- Executors. ---- */

static void
send_start(struct agent_core *c, const struct attempt *a)
{
	Corral__AgentToExecutor m = CORRAL__AGENT_TO_EXECUTOR__INIT;
	Corral__StartTask start = CORRAL__START_TASK__INIT;

	m.body_case = CORRAL__AGENT_TO_EXECUTOR__BODY_START;
	m.start = &start;
	core_to_executor(c, a, &m);
}

static void
send_stop(struct agent_core *c, const struct attempt *a)
{
	Corral__AgentToExecutor m = CORRAL__AGENT_TO_EXECUTOR__INIT;
	Corral__StopTask stop = CORRAL__STOP_TASK__INIT;

	m.body_case = CORRAL__AGENT_TO_EXECUTOR__BODY_STOP;
	m.stop = &stop;
	core_pass_on(c, a, &m, &a->kill_term);
}

static void
send_ack(struct agent_core *c, const struct attempt *a, const Corral__StatusUpdate *update)
{
	Corral__AgentToExecutor m = CORRAL__AGENT_TO_EXECUTOR__INIT;
	Corral__UpdateAck ack = CORRAL__UPDATE_ACK__INIT;

	ack.key = a->key_message;
	ack.uuid = update->uuid;
	m.body_case = CORRAL__AGENT_TO_EXECUTOR__BODY_UPDATE_ACK;
	m.update_ack = &ack;
	core_to_executor(c, a, &m);
}

/* The executor of a live attempt: known before, or now for the first time. */
static bool
hello_fits(const struct attempt *a, const Corral__ExecutorHello *hello)
{
	return hello->pid > 0 &&
	       (a->pid == 0 || (a->pid == hello->pid && (a->start_time == hello->start_time ||
							    ZAB_PLANTED(PLANT_PID_ALONE))));
}

/*
 * A kill of a leader whom later ones have followed, as the executor knows and we had forgotten: it
 * is not obeyed there, and must not be waited for. What it has obeyed goes on.
 */
static void
forget_refused_kill(struct attempt *a, const Corral__ExecutorHello *hello)
{
	if (!a->kill_wanted || hello->highest_term == NULL || hello->stopping ||
	    term_compare(hello->highest_term, &a->kill_term) <= 0)
		return;
	MARK("kill: of an earlier leader");
	a->kill_wanted = false;
	a->end_by_ms = 0;
}

/* Its word if it waits for it, and to the master that it is back. */
static void
answer_state(struct agent_core *c, struct attempt *a, Corral__TaskState state, uint64_t now_ms)
{
	if (a->kill_wanted)
		return;
	if (state == CORRAL__TASK_STATE__LAUNCHING)
		send_start(c, a);
	else if (a->recovering_told && state == CORRAL__TASK_STATE__RUNNING &&
		 a->state == CORRAL__TASK_STATE__RUNNING)
		core_make_update(c, a, CORRAL__TASK_STATE__RUNNING,
		    CORRAL__TASK_REASON__REASON_NONE, "its executor is back", now_ms);
}

bool
agent_core_hello(struct agent_core *c, const Corral__ExecutorHello *hello, uint64_t now_ms)
{
	struct taskkey key = taskkey_of(hello->key);
	struct attempt *a = attempt_find(&c->table, &key);

	if (a == NULL || !hello_fits(a, hello)) {
		MARK("executor: is none of ours");
		return false;
	}
	a->linked = true;
	if (hello->highest_term != NULL)
		core_heard_of_term(c, hello->highest_term);
	if (a->phase >= ATTEMPT_OVER)
		return true; /* it has its outcome acknowledged again, and leaves */
	if (a->phase == ATTEMPT_KILLING || a->phase == ATTEMPT_READING)
		return true; /* taken for silent and being killed: let that end */
	a->pid = hello->pid;
	a->start_time = hello->start_time;
	a->phase = ATTEMPT_LIVE;
	a->look_at_ms = 0;
	if (!a->executor_known) {
		a->executor_known = true;
		core_record_executor(c, a);
	}
	/* Before the lease, which may be of a later leader. */
	if (a->kill_wanted)
		send_stop(c, a);
	forget_refused_kill(a, hello);
	if (a->spec->singleton)
		core_send_lease(c, a, now_ms);
	answer_state(c, a, hello->state, now_ms);
	a->recovering_told = false;
	return true;
}

void
agent_core_executor_update(struct agent_core *c, const struct taskkey *key,
    const Corral__StatusUpdate *update, uint64_t now_ms)
{
	struct attempt *a = attempt_find(&c->table, key);

	if (a == NULL || !a->linked)
		return;
	if (a->phase < ATTEMPT_OVER && !attempt_saw_uuid(a, &update->uuid) &&
	    (update->state == CORRAL__TASK_STATE__RUNNING ||
		attempt_state_is_terminal(update->state)))
		core_take_update(c, a, update, now_ms);
	send_ack(c, a, update); /* leaves after the commit */
}

static void
note_stuck(struct agent_core *c, struct attempt *a, uint64_t now_ms)
{
	if (a->stuck || a->phase >= ATTEMPT_OVER)
		return;
	MARK("executor: what it ran does not die");
	a->stuck = true;
	c->stuck_count++;
	c->heartbeat_at_ms = now_ms; /* the next one says so */
}

void
agent_core_executor_stuck(struct agent_core *c, const struct taskkey *key, uint64_t now_ms)
{
	struct attempt *a = attempt_find(&c->table, key);

	if (a != NULL && a->linked)
		note_stuck(c, a, now_ms);
}

void
agent_core_executor_down(struct agent_core *c, const struct taskkey *key, uint64_t now_ms)
{
	struct attempt *a = attempt_find(&c->table, key);

	if (a == NULL || !a->linked)
		return;
	a->linked = false;
	if (a->phase == ATTEMPT_LIVE) {
		a->phase = ATTEMPT_RECOVERING;
		wait_for_executor(c, a, now_ms);
	}
	if (!a->asked && !a->cleaned)
		look_now(a, now_ms);
	core_task_tick(c, a, now_ms);
}

void
core_kill(struct agent_core *c, struct attempt *a, uint64_t now_ms)
{
	if (a->phase >= ATTEMPT_OVER) {
		core_repeat_outcome(c, a, now_ms); /* the master asks because it has not heard it */
		return;
	}
	/* Again, too: the executor may have refused an earlier leader's. */
	a->kill_wanted = true;
	a->kill_term = c->highest_term;
	if (core_is_running_singleton(a))
		core_end_singleton(a, now_ms);
	send_stop(c, a);
}

/* ---- Looking after what is not connected. ---- */

void
core_recover(struct agent_core *c, struct attempt *a, bool same_boot, uint64_t now_ms)
{
	a->send_at_ms = now_ms;
	if (a->phase == ATTEMPT_OVER) {
		core_enter_over(c, a, now_ms);
		return;
	}
	if (a->spec == NULL) {
		/* A kill of an unknown key, whose outcome was cut off behind it in the file. */
		MARK("recover: a kill without its outcome");
		core_make_update(c, a, CORRAL__TASK_STATE__KILLED,
		    CORRAL__TASK_REASON__REASON_STOPPED, NULL, now_ms);
		return;
	}
	if (same_boot) {
		a->phase = ATTEMPT_RECOVERING;
		wait_for_executor(c, a, now_ms);
		look_now(a, now_ms);
		return;
	}
	MARK("recover: another boot");
	/* Another boot: no process of then is left, and no number of then means anything. */
	a->pid = 0;
	a->lost_reason = CORRAL__TASK_REASON__REASON_REBOOT;
	a->phase = ATTEMPT_READING;
	core_push(c, AGENT_OUT_READ_STATUS, &a->key, NULL);
}

uint64_t
core_task_deadline_ms(const struct agent_core *c, const struct attempt *a)
{
	uint64_t at = UINT64_MAX;

	if (core_is_running_singleton(a) && a->end_by_ms != 0)
		at = a->end_by_ms;
	else if (core_is_running_singleton(a) && core_lease_end_ms(c, a) != 0)
		at = core_lease_end_ms(c, a);
	if (a->look_at_ms != 0 && !a->asked && a->look_at_ms < at)
		at = a->look_at_ms;
	if (a->phase == ATTEMPT_KILLING && !a->stuck && a->killed_at_ms + AGENT_STUCK_MS < at)
		at = a->killed_at_ms + AGENT_STUCK_MS;
	return at;
}

void
core_task_tick(struct agent_core *c, struct attempt *a, uint64_t now_ms)
{
	core_task_lease(c, a, now_ms);
	if (a->end_by_ms != 0 && now_ms >= a->end_by_ms && core_is_running_singleton(a)) {
		MARK("executor: has not ended its singleton");
		a->lost_reason = CORRAL__TASK_REASON__REASON_LEASE_ENDED;
		enter_killing(a, now_ms);
	}
	if (a->phase == ATTEMPT_KILLING && now_ms >= a->killed_at_ms + AGENT_STUCK_MS)
		note_stuck(c, a, now_ms);
	if (a->look_at_ms == 0 || now_ms < a->look_at_ms || a->asked)
		return;
	a->look_at_ms = 0;
	switch (a->phase) {
	case ATTEMPT_LAUNCHING:
	case ATTEMPT_RECOVERING:
		ask_probe(c, a);
		break;
	case ATTEMPT_KILLING:
		ask_kill(c, a);
		break;
	case ATTEMPT_OVER:
		if (!a->cleaned)
			ask_remove(c, a, false);
		break;
	case ATTEMPT_LIVE:
	case ATTEMPT_READING:
	case ATTEMPT_SETTLED:
		break;
	}
}

void
agent_core_status(struct agent_core *c, const struct taskkey *key,
    const Corral__StatusUpdate *update, uint64_t now_ms)
{
	struct attempt *a = attempt_find(&c->table, key);

	if (a == NULL || a->phase != ATTEMPT_READING)
		return;
	if (update != NULL && attempt_state_is_terminal(update->state)) {
		MARK("executor: its status is read");
		core_take_update(c, a, update, now_ms);
		return;
	}
	if (a->lost_reason == CORRAL__TASK_REASON__REASON_REBOOT) {
		make_lost(c, a, now_ms);
		return;
	}
	enter_killing(a, now_ms);
	core_task_tick(c, a, now_ms);
}

/*
 * Its time is over, and we have looked all that time: while the agent itself, or the machine, stood
 * still the clock went on and the executor had nobody to report to.
 */
static bool
is_given_up(const struct agent_core *c, const struct attempt *a, uint64_t now_ms)
{
	return a->give_up_at_ms != 0 && now_ms >= a->give_up_at_ms &&
	       a->looks >= c->conf.recovery_ms / LOOK_MS_MAX;
}

static void
took_probe(
    struct agent_core *c, struct attempt *a, const Corral__HelperReply *reply, uint64_t now_ms)
{
	if (a->phase != ATTEMPT_RECOVERING && a->phase != ATTEMPT_LAUNCHING)
		return;
	if (reply->error != NULL && *reply->error != '\0') {
		look_later(a, now_ms);
		return;
	}
	if (!reply->alive) {
		a->phase = ATTEMPT_READING;
		core_push(c, AGENT_OUT_READ_STATUS, &a->key, NULL);
	} else if (is_given_up(c, a, now_ms)) {
		MARK("executor: lives and is silent");
		enter_killing(a, now_ms); /* it lives and is silent: it is ended */
	} else {
		a->looks++;
		look_later(a, now_ms);
	}
}

static void
took_launch(
    struct agent_core *c, struct attempt *a, const Corral__HelperReply *reply, uint64_t now_ms)
{
	if (reply->error != NULL && *reply->error != '\0') {
		/* (A renewal that came meanwhile is not one of the lease that the helper knew.) */
		if (a->phase == ATTEMPT_LAUNCHING && a->spec->singleton &&
		    now_ms + AGENT_LEASE_MARGIN_MS >= a->lease_end_ms)
			core_make_update(c, a, CORRAL__TASK_STATE__LOST,
			    CORRAL__TASK_REASON__REASON_LEASE_ENDED, reply->error, now_ms);
		else if (a->phase == ATTEMPT_LAUNCHING)
			core_make_update(c, a, CORRAL__TASK_STATE__FAILED,
			    CORRAL__TASK_REASON__REASON_REFUSED, reply->error, now_ms);
		return;
	}
	if (a->phase != ATTEMPT_LAUNCHING)
		return;
	a->pid = reply->pid;
	a->start_time = reply->start_time;
	/* An executor that does not report in is looked for as one that was lost. */
	wait_for_executor(c, a, now_ms);
	a->look_wait_ms = LOOK_MS_MAX;
	a->look_at_ms = now_ms + LOOK_MS_MAX;
}

static void
took_kill(
    struct agent_core *c, struct attempt *a, const Corral__HelperReply *reply, uint64_t now_ms)
{
	if (a->phase != ATTEMPT_KILLING)
		return;
	if (reply->alive || (reply->error != NULL && *reply->error != '\0'))
		look_later(a, now_ms);
	else
		make_lost(c, a, now_ms);
}

static void
took_remove(
    struct agent_core *c, struct attempt *a, const Corral__HelperReply *reply, uint64_t now_ms)
{
	if (reply->error == NULL || *reply->error == '\0') {
		a->cleaned = true;
		core_settle(c, a, now_ms);
	} else
		look_later(a, now_ms); /* its executor is about to leave */
}

void
agent_core_helper_reply(struct agent_core *c, const Corral__HelperReply *reply, uint64_t now_ms)
{
	struct list *first = list_first(&c->helper_waits);
	struct helper_wait *w;
	struct attempt *a;

	if (first == NULL || (w = CONTAINER_OF(first, struct helper_wait, link))->id != reply->id)
		return;
	list_remove(&w->link);
	if (w->kind == HELPER_SWEEP)
		core_swept(c, reply, now_ms);
	else if ((a = attempt_find(&c->table, &w->key)) != NULL) {
		a->asked = false;
		switch (w->kind) {
		case HELPER_LAUNCH:
			took_launch(c, a, reply, now_ms);
			break;
		case HELPER_PROBE:
			took_probe(c, a, reply, now_ms);
			break;
		case HELPER_KILL:
			took_kill(c, a, reply, now_ms);
			break;
		case HELPER_CLEAN:
		case HELPER_FORGET:
			took_remove(c, a, reply, now_ms);
			break;
		case HELPER_SWEEP: /* is no attempt's */
			break;
		}
		/* It ended while something else was asked, which nobody needs any more. */
		if (a->phase == ATTEMPT_OVER && !a->linked && !a->cleaned && a->look_at_ms == 0)
			look_now(a, now_ms);
		core_task_tick(c, a, now_ms);
	}
	free(w);
}

/* ---- The end of settled attempts. ---- */

/* A settled attempt whose time is over goes, with its sandbox. The key goes with it. */
void
core_forget_old(struct agent_core *c, uint64_t now_ms)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->settled) {
		struct attempt *a = CONTAINER_OF(it, struct attempt, link);

		if (c->settled_count <= AGENT_SETTLED_MAX &&
		    now_ms < a->settled_at_ms + c->conf.sandbox_keep_ms)
			return;
		if (a->asked)
			return; /* in order of settlement: the rest can wait, too */
		ask_remove(c, a, true);
		core_record_forget(c, a);
		c->settled_count--;
		attempt_free(&c->table, a);
	}
}
