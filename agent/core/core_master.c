/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent towards its master: registration, lease, terms, launches, kills, and the stream of
 * updates. Only the newest registration and the highest term are obeyed.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/core_internal.h"
#include "libcommon/base/mark.h"
#include "libcommon/base/plants.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/taskspec.h"

#define WELCOME_MS_MAX 15000 /* a master that has not answered Register by then is none */
#define SEND_MS_MIN 10000
#define SEND_MS_MAX 600000

/* ---- To the master. ---- */

static void
send_master(struct agent_core *c, Corral__AgentToMaster *m)
{
	if (m->body_case != CORRAL__AGENT_TO_MASTER__BODY_REGISTER) {
		m->has_registration = true;
		m->registration = c->registration;
	}
	core_push(c, AGENT_OUT_MASTER, NULL, &m->base);
}

/* Each attempt that is not settled, as the checkpoint has it, in one block. NULL: no memory. */
static Corral__TaskReport **
reports_new(struct agent_core *c, size_t *count)
{
	Corral__TaskReport **list = calloc(c->active_count + 1, sizeof *list + sizeof **list),
			   *items;
	struct list *it, *nx;
	size_t n = 0;

	if (list == NULL)
		return NULL;
	items = (Corral__TaskReport *)(list + c->active_count + 1);
	LIST_EACH(it, nx, &c->active) {
		struct attempt *a = CONTAINER_OF(it, struct attempt, link);
		Corral__TaskReport *r = &items[n];

		if (a->phase == ATTEMPT_OVER && list_empty(&a->updates))
			continue; /* acknowledged */
		corral__task_report__init(r);
		r->key = a->key_message;
		r->state = a->state;
		if (a->phase == ATTEMPT_RECOVERING || a->phase == ATTEMPT_READING ||
		    a->phase == ATTEMPT_KILLING) {
			r->state = CORRAL__TASK_STATE__RECOVERING;
			a->recovering_told = true;
		}
		if (a->spec != NULL)
			r->resources = a->spec->resources;
		r->has_stuck = r->stuck = a->stuck;
		list[n++] = r;
	}
	*count = n;
	return list;
}

void
core_register(struct agent_core *c, uint64_t now_ms)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__Register r = *c->conf.identity;

	c->register_ms = now_ms;
	/* An agent that was started anew goes on above what the one before it gave. */
	c->register_number = now_ms > c->register_number ? now_ms : c->register_number + 1;
	r.has_number = true;
	r.number = c->register_number;
	r.agent_id = c->agent_id;
	r.boot_id = (char *)(uintptr_t)c->conf.boot_id;
	r.highest_term = c->has_term ? &c->highest_term : NULL;
	if ((r.tasks = reports_new(c, &r.n_tasks)) == NULL) {
		c->no_memory = true;
		return;
	}
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_REGISTER;
	m.register_ = &r;
	send_master(c, &m);
	free(r.tasks);
}

void
agent_core_master_up(struct agent_core *c, uint64_t now_ms)
{
	c->up = true;
	c->registered = false;
	/* No room is free for sure while attempts may run that nobody knows. */
	if (!c->incomplete)
		core_register(c, now_ms);
	else
		MARK("register: when the sweep is done");
}

void
agent_core_master_down(struct agent_core *c)
{
	c->up = false;
	c->registered = false;
}

void
core_pump(struct agent_core *c, struct attempt *a, uint64_t now_ms)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__Updates updates = CORRAL__UPDATES__INIT;
	Corral__StatusUpdate *first = attempt_first_update(a);

	if (!c->registered || first == NULL || now_ms < a->send_at_ms)
		return;
	updates.n_updates = 1;
	updates.updates = &first;
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_UPDATES;
	m.updates = &updates;
	send_master(c, &m);
	a->send_wait_ms = a->send_wait_ms == 0 ? SEND_MS_MIN : a->send_wait_ms * 2;
	if (a->send_wait_ms > SEND_MS_MAX)
		a->send_wait_ms = SEND_MS_MAX;
	a->send_at_ms = now_ms + a->send_wait_ms;
}

void
core_repeat_outcome(struct agent_core *c, struct attempt *a, uint64_t now_ms)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__Updates updates = CORRAL__UPDATES__INIT;
	Corral__StatusUpdate u = CORRAL__STATUS_UPDATE__INIT, *list = &u;

	a->send_at_ms = now_ms;
	if (!list_empty(&a->updates) || !c->registered || a->seen_count == 0) {
		core_pump(c, a, now_ms);
		return;
	}
	/* Acknowledged before: state and number are what is kept of it. */
	MARK("update: of one that was acknowledged");
	u.key = a->key_message;
	u.sequence = a->sequence;
	u.state = a->state;
	u.uuid.data = a->seen_uuids[(a->seen_count - 1) % ATTEMPT_UPDATES_MAX];
	u.uuid.len = ATTEMPT_UUID_BYTES;
	updates.n_updates = 1;
	updates.updates = &list;
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_UPDATES;
	m.updates = &updates;
	send_master(c, &m);
}

/* The keys of all attempts that do not die; NULL with *count 0: there are none, or no memory. */
static Corral__TaskKey **
stuck_new(struct agent_core *c, size_t *count)
{
	Corral__TaskKey **keys;
	struct list *it, *nx;

	*count = 0;
	if (c->stuck_count == 0)
		return NULL;
	if ((keys = calloc(c->stuck_count, sizeof *keys)) == NULL) {
		c->no_memory = true;
		return NULL;
	}
	LIST_EACH(it, nx, &c->active) {
		struct attempt *a = CONTAINER_OF(it, struct attempt, link);

		if (a->stuck)
			keys[(*count)++] = a->key_message;
	}
	return keys;
}

static void
send_heartbeat(struct agent_core *c, uint64_t now_ms)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__Heartbeat h = CORRAL__HEARTBEAT__INIT;

	h.sent_boot_ms = now_ms;
	h.usage = &c->usage;
	if ((h.stuck = stuck_new(c, &h.n_stuck)) == NULL)
		h.n_stuck = 0;
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_HEARTBEAT;
	m.heartbeat = &h;
	send_master(c, &m);
	free(h.stuck);
	c->heartbeat_at_ms = now_ms + c->heartbeat_ms;
}

static bool
awaits_welcome(const struct agent_core *c)
{
	return c->up && !c->registered && !c->incomplete;
}

void
core_master_tick(struct agent_core *c, uint64_t now_ms)
{
	if (awaits_welcome(c) && now_ms >= c->register_ms + WELCOME_MS_MAX) {
		MARK("master: no answer to a registration");
		core_drop_master(
		    c, "it has not answered the registration for %d ms", WELCOME_MS_MAX);
		return;
	}
	if (c->registered && now_ms >= c->lease_end_ms) {
		core_drop_master(c,
		    "the lease has ended: no heartbeat was acknowledged for %" PRIu64 " ms",
		    c->lease_ms);
		return;
	}
	if (c->registered && now_ms >= c->heartbeat_at_ms)
		send_heartbeat(c, now_ms);
}

/* ---- From the master. ---- */

static void
take_welcome(struct agent_core *c, const Corral__MasterToAgent *m, uint64_t now_ms)
{
	const Corral__Welcome *w = m->welcome;
	uint64_t end_ms = c->register_ms + w->lease_ms;
	struct list *it, *nx;

	if (strcmp(c->agent_id, w->agent_id) != 0) {
		if (!str_copy(c->agent_id, sizeof c->agent_id, w->agent_id)) {
			core_drop_master(c,
			    "the master gave an agent id that is longer than %zu bytes",
			    sizeof c->agent_id - 1);
			return;
		}
		core_record_node(c);
	}
	c->registered = true;
	c->registration = m->registration;
	if (end_ms < c->lease_end_ms) {
		MARK("welcome: the lease ends before the last leader's");
		if (ZAB_PLANTED(PLANT_LEASE_KEPT))
			end_ms = c->lease_end_ms;
	}
	core_set_lease(c, end_ms, now_ms);
	c->lease_ms = w->lease_ms;
	c->heartbeat_ms = w->heartbeat_ms > 0 ? w->heartbeat_ms : 1;
	send_heartbeat(c, now_ms);
	LIST_EACH(it, nx, &c->active) {
		struct attempt *a = CONTAINER_OF(it, struct attempt, link);

		a->send_at_ms = now_ms;
		a->send_wait_ms = 0;
		core_pump(c, a, now_ms);
	}
}

static void
take_heartbeat_ack(struct agent_core *c, const Corral__HeartbeatAck *ack, uint64_t now_ms)
{
	uint64_t from_ms = ack->sent_boot_ms;

	if (ZAB_PLANTED(PLANT_LEASE_FROM_ARRIVAL))
		from_ms = now_ms;
	/* From when that heartbeat was sent; one that was never sent extends nothing. */
	if (from_ms <= now_ms && from_ms + c->lease_ms > c->lease_end_ms)
		core_set_lease(c, from_ms + c->lease_ms, now_ms);
}

/* A task's memory with its executor's, as the master books it. */
static uint64_t
with_executor(uint64_t memory_bytes)
{
	return memory_bytes > UINT64_MAX - TASKSPEC_EXECUTOR_MEMORY_BYTES
		   ? UINT64_MAX
		   : memory_bytes + TASKSPEC_EXECUTOR_MEMORY_BYTES;
}

/* Why the launch cannot be taken: the node's own books are the last judge. NULL: it can. */
static const char *
launch_fault(const struct agent_core *c, const Corral__TaskLaunch *l, const Corral__Term *term,
    uint64_t now_ms, Corral__TaskReason *reason, char *text, size_t size)
{
	const Corral__Resources *have = c->conf.identity->capacity, *want = l->spec->resources;
	Corral__Resources used;
	const char *fault;

	*reason = CORRAL__TASK_REASON__REASON_REFUSED;
	if (term_compare(l->key->term, term) != 0)
		return "its key carries another term than its launch";
	if ((fault = taskspec_fault(l->spec)) != NULL)
		return fault;
	if (l->spec->singleton && core_lease_is_short(c, now_ms)) {
		MARK("launch: a singleton, and the lease is short");
		*reason = CORRAL__TASK_REASON__REASON_LEASE_ENDED;
		return "the node's lease has ended or is about to";
	}
	if (c->active_count >= AGENT_ATTEMPTS_MAX)
		return "the node has as many attempts as it can keep";
	if (want == NULL)
		return NULL;
	agent_core_in_use(c, &used);
	if (want->cpu_milli <= have->cpu_milli &&
	    used.cpu_milli <= have->cpu_milli - want->cpu_milli &&
	    with_executor(want->memory_bytes) <= have->memory_bytes &&
	    used.memory_bytes <= have->memory_bytes - with_executor(want->memory_bytes) &&
	    want->disk_bytes <= have->disk_bytes &&
	    used.disk_bytes <= have->disk_bytes - want->disk_bytes)
		return NULL;
	snprintf(text, size,
	    "the node has not enough left: %" PRIu64 " of %" PRIu64 " thousandths of cpu, %" PRIu64
	    " of %" PRIu64 " bytes of memory, %" PRIu64 " of %" PRIu64 " bytes of disk are taken",
	    used.cpu_milli, have->cpu_milli, used.memory_bytes, have->memory_bytes, used.disk_bytes,
	    have->disk_bytes);
	return text;
}

static void
take_launch(
    struct agent_core *c, const Corral__TaskLaunch *l, const Corral__Term *term, uint64_t now_ms)
{
	struct taskkey key = taskkey_of(l->key);
	struct attempt *a = attempt_find(&c->table, &key);
	Corral__TaskReason reason;
	const char *fault;
	char text[256];

	if (a != NULL) {
		/* A key is launched at most once: what is known of it is what there is to say. */
		MARK("launch: a key that is known");
		if (a->phase >= ATTEMPT_OVER)
			core_repeat_outcome(c, a, now_ms);
		return;
	}
	fault = launch_fault(c, l, term, now_ms, &reason, text, sizeof text);
	if ((a = core_add_attempt(c, l->key, fault == NULL ? l->spec : NULL)) == NULL)
		return;
	if (fault == NULL) {
		core_launch(c, a);
		return;
	}
	a->cleaned = true;
	core_record_attempt(c, a);
	core_make_update(c, a, CORRAL__TASK_STATE__LOST, reason, fault, now_ms);
}

static void
take_kill(struct agent_core *c, const Corral__TaskKey *message, uint64_t now_ms)
{
	struct taskkey key = taskkey_of(message);
	struct attempt *a = attempt_find(&c->table, &key);

	if (a != NULL) {
		core_kill(c, a, now_ms);
		return;
	}
	/* Unknown: remembered as killed, so that a launch that comes later is none. */
	MARK("kill: of a key that is not known");
	if (c->active_count >= AGENT_ATTEMPTS_MAX ||
	    (a = core_add_attempt(c, message, NULL)) == NULL)
		return;
	a->cleaned = true;
	core_record_attempt(c, a);
	core_make_update(
	    c, a, CORRAL__TASK_STATE__KILLED, CORRAL__TASK_REASON__REASON_STOPPED, NULL, now_ms);
}

static void
take_signal(struct agent_core *c, Corral__TaskSignal *signal)
{
	struct taskkey key = taskkey_of(signal->key);
	struct attempt *a = attempt_find(&c->table, &key);
	Corral__AgentToExecutor m = CORRAL__AGENT_TO_EXECUTOR__INIT;

	if (a == NULL)
		return;
	m.body_case = CORRAL__AGENT_TO_EXECUTOR__BODY_SIGNAL;
	m.signal = signal;
	core_pass_on(c, a, &m, &c->highest_term);
}

static void
take_update_ack(struct agent_core *c, const Corral__UpdateAck *ack, uint64_t now_ms)
{
	struct taskkey key = taskkey_of(ack->key);
	struct attempt *a = attempt_find(&c->table, &key);
	Corral__StatusUpdate *first = a != NULL ? attempt_first_update(a) : NULL;

	if (first == NULL || ack->uuid.len != first->uuid.len ||
	    memcmp(ack->uuid.data, first->uuid.data, ack->uuid.len) != 0)
		return; /* of one that was acknowledged before */
	core_record_ack(c, a, first);
	attempt_drop_first_update(a);
	a->send_at_ms = now_ms;
	a->send_wait_ms = 0;
	core_pump(c, a, now_ms);
	core_settle(c, a, now_ms);
}

static void
keep_term(struct agent_core *c, const Corral__Term *term)
{
	c->highest_term.era = term->era;
	c->highest_term.czxid = term->czxid;
	c->has_term = true;
	if (!ZAB_PLANTED(PLANT_TERM_IN_MEMORY))
		core_record_term(c);
}

void
core_heard_of_term(struct agent_core *c, const Corral__Term *term)
{
	if (c->has_term && term_compare(term, &c->highest_term) <= 0)
		return;
	MARK("term: heard of from elsewhere");
	keep_term(c, term);
}

/* The term is the highest so far (and remembered as such). False: it is older, and the link is
 * dropped. */
static bool
take_term(struct agent_core *c, const Corral__Term *term)
{
	int order = c->has_term ? term_compare(term, &c->highest_term) : 1;

	if (c->has_term && ZAB_PLANTED(PLANT_ERA_IGNORED))
		order =
		    term->czxid < c->highest_term.czxid ? -1 : term->czxid > c->highest_term.czxid;
	if (order < 0 && ZAB_PLANTED(PLANT_TERM_UNCHECKED))
		return true;
	if (order < 0) {
		core_drop_master(c,
		    "term (%" PRIu64 ", 0x%" PRIx64 ") is older than (%" PRIu64 ", 0x%" PRIx64
		    ") seen before: was the ensemble restored? see corral-recovery(7)",
		    term->era, (uint64_t)term->czxid, c->highest_term.era,
		    (uint64_t)c->highest_term.czxid);
		return false;
	}
	if (order > 0)
		keep_term(c, term);
	return true;
}

enum agent_verdict
agent_core_master_message(struct agent_core *c, const Corral__MasterToAgent *m, uint64_t now_ms)
{
	if (!c->up || !take_term(c, m->term))
		return AGENT_IGNORED;
	if (m->body_case == CORRAL__MASTER_TO_AGENT__BODY_WELCOME) {
		if (!awaits_welcome(c) || !m->has_registration ||
		    m->welcome->answers != c->register_number)
			return AGENT_IGNORED;
		take_welcome(c, m, now_ms);
		return AGENT_DONE;
	}
	if (m->body_case == CORRAL__MASTER_TO_AGENT__BODY_REFUSED) {
		core_drop_master(c, "the master refused this agent: %s", m->refused->why);
		return AGENT_DONE;
	}
	/* A frozen agent wakes up: what lies unread in its buffer is of a lease that is over. */
	core_master_tick(c, now_ms);
	if (!c->registered || !m->has_registration || m->registration != c->registration)
		return AGENT_IGNORED;
	switch (m->body_case) {
	case CORRAL__MASTER_TO_AGENT__BODY_HEARTBEAT_ACK:
		take_heartbeat_ack(c, m->heartbeat_ack, now_ms);
		return AGENT_DONE;
	case CORRAL__MASTER_TO_AGENT__BODY_LAUNCH:
		for (size_t i = 0; i < m->launch->n_tasks; i++)
			take_launch(c, m->launch->tasks[i], m->term, now_ms);
		return AGENT_DONE;
	case CORRAL__MASTER_TO_AGENT__BODY_KILL:
		for (size_t i = 0; i < m->kill->n_keys; i++)
			take_kill(c, m->kill->keys[i], now_ms);
		return AGENT_DONE;
	case CORRAL__MASTER_TO_AGENT__BODY_UPDATE_ACKS:
		for (size_t i = 0; i < m->update_acks->n_acks; i++)
			take_update_ack(c, m->update_acks->acks[i], now_ms);
		return AGENT_DONE;
	case CORRAL__MASTER_TO_AGENT__BODY_TASK_SIGNAL:
		take_signal(c, m->task_signal);
		return AGENT_DONE;
	case CORRAL__MASTER_TO_AGENT__BODY_STREAM_OPEN:
	case CORRAL__MASTER_TO_AGENT__BODY_STREAM_DATA:
	case CORRAL__MASTER_TO_AGENT__BODY_STREAM_CLOSE:
	case CORRAL__MASTER_TO_AGENT__BODY_STREAM_ACK:
		return AGENT_STREAM;
	default: /* of a newer master */
		return AGENT_IGNORED;
	}
}

/* ---- Time. ---- */

void
agent_core_tick(struct agent_core *c, uint64_t now_ms)
{
	struct list *it, *nx;

	core_master_tick(c, now_ms);
	core_sweep_tick(c, now_ms);
	LIST_EACH(it, nx, &c->active) {
		struct attempt *a = CONTAINER_OF(it, struct attempt, link);

		core_task_tick(c, a, now_ms);
		core_pump(c, a, now_ms);
	}
	core_forget_old(c, now_ms);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return b < a ? b : a;
}

uint64_t
agent_core_deadline_ms(const struct agent_core *c)
{
	uint64_t at = core_sweep_deadline_ms(c);
	struct list *it, *nx;

	if (awaits_welcome(c))
		at = earlier(at, c->register_ms + WELCOME_MS_MAX);
	if (c->registered)
		at = earlier(earlier(at, c->lease_end_ms), c->heartbeat_at_ms);
	LIST_EACH(it, nx, &c->active) {
		const struct attempt *a = CONTAINER_OF(it, struct attempt, link);

		at = earlier(at, core_task_deadline_ms(c, a));
		if (c->registered && !list_empty(&a->updates))
			at = earlier(at, a->send_at_ms);
	}
	if (c->settled_count > 0)
		at =
		    earlier(at, CONTAINER_OF(c->settled.next, struct attempt, link)->settled_at_ms +
				    c->conf.sandbox_keep_ms);
	return at;
}
