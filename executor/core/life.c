/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/core/life.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "libcommon/base/mark.h"
#include "libcommon/base/plants.h"
#include "libcommon/codec/taskkey.h"

#define STATUS_NONE 125
#define UPDATE_RUNNING 0
#define UPDATE_FINAL 1

/* ---- The queue of acts. ---- */

static struct life_act *
push(struct life *l, enum life_act_kind kind)
{
	struct life_act *act;

	assert(l->act_count < LIFE_ACTS_MAX);
	act = &l->acts[(l->act_head + l->act_count++) % LIFE_ACTS_MAX];
	*act = (struct life_act){.kind = kind};
	return act;
}

bool
life_next(struct life *l, struct life_act *act)
{
	if (l->act_count == 0)
		return false;
	*act = l->acts[l->act_head];
	l->act_head = (l->act_head + 1) % LIFE_ACTS_MAX;
	l->act_count--;
	return true;
}

/* ---- Outcomes. ---- */

static void
make_update(struct life *l, unsigned n)
{
	l->update[n].made = true;
	if (n == UPDATE_FINAL)
		push(l, LIFE_ACT_SAVE)->update = n;
	if (l->linked)
		push(l, LIFE_ACT_SEND)->update = n;
}

static void
leave(struct life *l)
{
	if (l->state == LIFE_GONE)
		return;
	l->state = LIFE_GONE;
	push(l, LIFE_ACT_LEAVE);
}

/* Everything of the task is killed from now on, until life_swept(). */
static void
begin_kill(struct life *l, uint64_t now_ms)
{
	if (l->killed_at_ms == 0)
		l->killed_at_ms = now_ms;
	push(l, LIFE_ACT_KILL);
}

/* The task is over with this outcome; what it left behind is swept before anybody hears of it. */
static void
end(struct life *l, Corral__TaskState state, Corral__TaskReason reason, uint64_t now_ms)
{
	struct life_update *u = &l->update[UPDATE_FINAL];

	assert(l->state < LIFE_SWEEPING);
	u->state = state;
	u->reason = reason;
	l->state = LIFE_SWEEPING;
	l->kill_at_ms = 0;
	l->limit_at_ms = 0;
	begin_kill(l, now_ms);
}

/* An end of ours: the state that goes with the reason of the stop. */
static Corral__TaskState
stopped_state(const struct life *l)
{
	return l->stop_reason == CORRAL__TASK_REASON__REASON_TIME_LIMIT
		   ? CORRAL__TASK_STATE__FAILED
		   : CORRAL__TASK_STATE__KILLED;
}

static void
end_stopped(struct life *l, uint64_t now_ms)
{
	end(l, stopped_state(l), l->stop_reason, now_ms);
}

/* The grace ends so long after now, and for a singleton so long after its lease at the latest. */
static uint64_t
grace_end_ms(const struct life *l, uint64_t now_ms)
{
	uint64_t from_ms = now_ms;

	if (l->spec->singleton && l->lease_end_ms < from_ms)
		from_ms = l->lease_end_ms;
	return from_ms + l->spec->timeout_stop_ms;
}

static void
begin_stop(struct life *l, Corral__TaskReason reason, uint64_t now_ms)
{
	if (l->stopping || l->state >= LIFE_SWEEPING)
		return;
	l->stopping = true;
	l->stop_reason = reason;
	if (!l->process_runs) {
		end_stopped(l, now_ms);
		return;
	}
	l->kill_at_ms = grace_end_ms(l, now_ms);
	push(l, LIFE_ACT_SIGNAL)->signo = l->spec->kill_signal;
}

static void
end_unstarted(struct life *l, uint64_t now_ms)
{
	MARK("life: the lease ends before the task is started");
	snprintf(l->update[UPDATE_FINAL].message, LIFE_MESSAGE_BYTES,
	    "not started: the node's lease has ended or is about to");
	end(l, CORRAL__TASK_STATE__KILLED, CORRAL__TASK_REASON__REASON_LEASE_ENDED, now_ms);
}

/* Step `step` of those before the task, or the task behind the last of them. */
static void
start(struct life *l, size_t step, uint64_t now_ms)
{
	if (now_ms >= life_start_by_ms(l)) {
		end_unstarted(l, now_ms);
		return;
	}
	l->step = step < l->spec->n_exec_start_pre ? step : LIFE_MAIN;
	push(l, LIFE_ACT_START)->step = l->step;
}

/* ---- Inputs. ---- */

void
life_init(struct life *l, const Corral__TaskSpec *spec, const uint8_t uuids[2 * LIFE_UUID_BYTES],
    uint64_t recovery_timeout_ms, uint64_t now_ms)
{
	*l = (struct life){.spec = spec, .recovery_timeout_ms = recovery_timeout_ms};
	memcpy(l->update[UPDATE_RUNNING].uuid, uuids, LIFE_UUID_BYTES);
	memcpy(l->update[UPDATE_FINAL].uuid, uuids + LIFE_UUID_BYTES, LIFE_UUID_BYTES);
	l->leave_at_ms = now_ms + recovery_timeout_ms;
}

void
life_link(struct life *l, bool up, uint64_t now_ms)
{
	l->linked = up;
	if (!up) {
		/* A task that runs is never left alone: the patience counts before and after it
		 * only. */
		l->leave_at_ms = now_ms + l->recovery_timeout_ms;
		return;
	}
	l->leave_at_ms = 0;
	for (unsigned n = UPDATE_RUNNING; n <= UPDATE_FINAL; n++) {
		if (l->update[n].made && !l->update[n].acked)
			push(l, LIFE_ACT_SEND)->update = n;
	}
	if (l->stuck)
		push(l, LIFE_ACT_STUCK);
}

bool
life_term(struct life *l, const Corral__Term *term)
{
	Corral__Term highest;

	if (term == NULL)
		return true;
	if (life_highest_term(l, &highest) && term_compare(term, &highest) < 0) {
		MARK("life: a command of an earlier term");
		return false;
	}
	l->has_term = true;
	l->era = term->era;
	l->czxid = term->czxid;
	return true;
}

bool
life_highest_term(const struct life *l, Corral__Term *to)
{
	corral__term__init(to);
	to->era = l->era;
	to->czxid = l->czxid;
	return l->has_term;
}

void
life_word(struct life *l, uint64_t now_ms)
{
	if (l->state != LIFE_WAITING)
		return;
	l->state = LIFE_STEPS;
	start(l, 0, now_ms);
}

void
life_started(
    struct life *l, int error, int exit_status, const char *what, uint64_t now_ms, int64_t wall_ms)
{
	struct life_update *u = &l->update[UPDATE_FINAL];

	assert(l->state == LIFE_STEPS && !l->process_runs);
	if (error != 0 && strcmp(what, LIFE_STEP_LEASE) == 0) {
		end_unstarted(l, now_ms);
		return;
	}
	if (error != 0) {
		u->at_wall_ms = wall_ms;
		u->has_exit_code = true;
		u->exit_code = exit_status;
		snprintf(u->message, sizeof u->message, "%s: %s: %s",
		    l->step == LIFE_MAIN ? l->spec->argv[0]
					 : l->spec->exec_start_pre[l->step]->argv[0],
		    what, strerror(error));
		end(l, CORRAL__TASK_STATE__FAILED, CORRAL__TASK_REASON__REASON_CANNOT_EXECUTE,
		    now_ms);
		return;
	}
	l->process_runs = true;
	if (l->step != LIFE_MAIN)
		return;
	l->state = LIFE_RUNNING;
	if (l->spec->runtime_max_ms != 0)
		l->limit_at_ms = now_ms + l->spec->runtime_max_ms;
	l->update[UPDATE_RUNNING].state = CORRAL__TASK_STATE__RUNNING;
	l->update[UPDATE_RUNNING].at_wall_ms = wall_ms;
	make_update(l, UPDATE_RUNNING);
}

void
life_stop(struct life *l, bool at_once, uint64_t now_ms)
{
	begin_stop(l, CORRAL__TASK_REASON__REASON_STOPPED, now_ms);
	if (at_once && l->process_runs && l->kill_at_ms > now_ms) {
		l->kill_at_ms = now_ms;
		life_tick(l, now_ms);
	}
}

void
life_signal(struct life *l, int signo)
{
	if (l->process_runs && l->state < LIFE_SWEEPING)
		push(l, LIFE_ACT_SIGNAL)->signo = signo;
}

/*
 * At its lease's end a singleton is stopped, or not started any more, once and for all: a late
 * renewal revokes nothing. Whoever launched it may have launched another one instead by then.
 */
static void
tick_lease(struct life *l, uint64_t now_ms)
{
	if (!l->spec->singleton || l->lease_end_ms == 0 || now_ms < l->lease_end_ms)
		return;
	if (l->state == LIFE_WAITING)
		end_unstarted(l, now_ms);
	else if (l->state == LIFE_STEPS || l->state == LIFE_RUNNING)
		begin_stop(l, CORRAL__TASK_REASON__REASON_LEASE_ENDED, now_ms);
}

void
life_lease(struct life *l, uint64_t end_ms, uint64_t now_ms)
{
	if (ZAB_PLANTED(PLANT_LEASE_DURATION))
		end_ms += now_ms;
	tick_lease(l, now_ms);
	if (end_ms > l->lease_end_ms)
		l->lease_end_ms = end_ms;
}

uint64_t
life_start_by_ms(const struct life *l)
{
	if (!l->spec->singleton)
		return UINT64_MAX;
	return l->lease_end_ms > LIFE_LEASE_MARGIN_MS ? l->lease_end_ms - LIFE_LEASE_MARGIN_MS : 0;
}

/* A step before the task has ended: true if the next one may start. */
static bool
step_passed(const struct life *l, int wait_status)
{
	return (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) ||
	       l->spec->exec_start_pre[l->step]->ignore_failure;
}

static void
end_exited(struct life *l, const struct life_exit *e, uint64_t now_ms)
{
	bool clean = WIFEXITED(e->wait_status) && WEXITSTATUS(e->wait_status) == 0;

	Corral__TaskReason reason = CORRAL__TASK_REASON__REASON_EXIT;

	if (l->stopping) {
		end_stopped(l, now_ms);
		return;
	}
	if (e->out_of_memory && !clean)
		reason = CORRAL__TASK_REASON__REASON_OUT_OF_MEMORY;
	else if (WIFSIGNALED(e->wait_status))
		reason = CORRAL__TASK_REASON__REASON_SIGNAL;
	end(l, clean ? CORRAL__TASK_STATE__FINISHED : CORRAL__TASK_STATE__FAILED, reason, now_ms);
}

static void
note_exit(struct life_update *u, const struct life_exit *e, int64_t wall_ms)
{
	u->at_wall_ms = wall_ms;
	u->cpu_ms = e->cpu_ms;
	u->memory_bytes = e->memory_bytes;
	u->has_exit_code = WIFEXITED(e->wait_status);
	u->exit_code = u->has_exit_code ? WEXITSTATUS(e->wait_status) : 0;
	u->has_signal = WIFSIGNALED(e->wait_status);
	u->signal = u->has_signal ? WTERMSIG(e->wait_status) : 0;
}

void
life_exited(struct life *l, const struct life_exit *e, uint64_t now_ms, int64_t wall_ms)
{
	if (!l->process_runs)
		return;
	l->process_runs = false;
	if (l->state >= LIFE_SWEEPING)
		return;
	if (l->step != LIFE_MAIN && !l->stopping && step_passed(l, e->wait_status)) {
		start(l, l->step + 1, now_ms);
		return;
	}
	note_exit(&l->update[UPDATE_FINAL], e, wall_ms);
	if (l->step != LIFE_MAIN)
		snprintf(l->update[UPDATE_FINAL].message, LIFE_MESSAGE_BYTES,
		    "step %zu before the task failed: %s", l->step + 1,
		    l->spec->exec_start_pre[l->step]->argv[0]);
	end_exited(l, e, now_ms);
}

void
life_swept(struct life *l, uint64_t now_ms)
{
	if (l->state != LIFE_SWEEPING)
		return;
	l->process_runs = false;
	l->killed_at_ms = 0;
	l->stuck = false;
	l->state = LIFE_ENDED;
	if (!l->linked)
		l->leave_at_ms = now_ms + l->recovery_timeout_ms;
	make_update(l, UPDATE_FINAL);
}

void
life_acked(struct life *l, const uint8_t *uuid, size_t size)
{
	for (unsigned n = UPDATE_RUNNING; n <= UPDATE_FINAL; n++) {
		struct life_update *u = &l->update[n];

		if (u->made && size == LIFE_UUID_BYTES && memcmp(u->uuid, uuid, size) == 0)
			u->acked = true;
	}
	if (l->state == LIFE_ENDED && l->update[UPDATE_FINAL].acked)
		leave(l);
}

/* Nobody came to give the word, or to take the final status. */
static void
tick_patience(struct life *l, uint64_t now_ms)
{
	if (l->linked || l->leave_at_ms == 0 || now_ms < l->leave_at_ms)
		return;
	if (l->state == LIFE_ENDED) {
		MARK("life: nobody takes its status");
		leave(l);
	} else if (l->state == LIFE_WAITING) {
		MARK("life: no word");
		snprintf(l->update[UPDATE_FINAL].message, LIFE_MESSAGE_BYTES,
		    "not started: the agent gave no word");
		end(l, CORRAL__TASK_STATE__LOST, CORRAL__TASK_REASON__REASON_AGENT_LOST, now_ms);
	}
}

/* SIGKILL does not end what is in uninterruptible sleep: people have to know. */
static void
tick_stuck(struct life *l, uint64_t now_ms)
{
	if (l->stuck || l->killed_at_ms == 0 || now_ms < l->killed_at_ms + LIFE_STUCK_MS)
		return;
	MARK("life: what was killed does not die");
	l->stuck = true;
	if (l->linked)
		push(l, LIFE_ACT_STUCK);
}

void
life_tick(struct life *l, uint64_t now_ms)
{
	if (l->limit_at_ms != 0 && now_ms >= l->limit_at_ms) {
		l->limit_at_ms = 0;
		begin_stop(l, CORRAL__TASK_REASON__REASON_TIME_LIMIT, now_ms);
	}
	tick_lease(l, now_ms);
	if (l->kill_at_ms != 0 && now_ms >= l->kill_at_ms && l->state < LIFE_SWEEPING) {
		MARK("life: its grace is over");
		l->kill_at_ms = 0;
		begin_kill(l, now_ms);
	}
	tick_stuck(l, now_ms);
	tick_patience(l, now_ms);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return b != 0 && b < a ? b : a;
}

uint64_t
life_deadline_ms(const struct life *l)
{
	uint64_t at = UINT64_MAX;

	at = earlier(at, l->limit_at_ms);
	at = earlier(at, l->kill_at_ms);
	if (l->spec->singleton && (l->process_runs || l->state == LIFE_WAITING) && !l->stopping)
		at = earlier(at, l->lease_end_ms);
	if (l->killed_at_ms != 0 && !l->stuck)
		at = earlier(at, l->killed_at_ms + LIFE_STUCK_MS);
	if (!l->linked && (l->state == LIFE_WAITING || l->state == LIFE_ENDED))
		at = earlier(at, l->leave_at_ms);
	return at;
}

Corral__TaskState
life_task_state(const struct life *l)
{
	switch (l->state) {
	case LIFE_WAITING:
	case LIFE_STEPS:
		return CORRAL__TASK_STATE__LAUNCHING;
	case LIFE_RUNNING:
	case LIFE_SWEEPING:
		return CORRAL__TASK_STATE__RUNNING;
	case LIFE_ENDED:
	case LIFE_GONE:
		break;
	}
	return l->update[UPDATE_FINAL].state;
}

int
life_exit_status(const struct life *l)
{
	const struct life_update *u = &l->update[UPDATE_FINAL];

	if (!u->made)
		return STATUS_NONE;
	if (u->has_exit_code)
		return u->exit_code;
	return u->has_signal ? 128 + u->signal : STATUS_NONE;
}
