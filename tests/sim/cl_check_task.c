/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of agents, executors and tasks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/sim/cl_check_in.h"

/* An executor that has stood still has reported in again by then. */
#define SILENT_MS 10000
#define EXECUTOR_BYTES (UINT64_C(2) << 20)

/* ---- What comes from a master. ---- */

static struct term
term_of(const Corral__MasterToAgent *m)
{
	return (struct term){m->term->era, m->term->czxid};
}

void
cl_check_before_message(struct cl_host *h, const Corral__MasterToAgent *m, uint64_t registration)
{
	struct cl_check *k = h->c->check;

	if (m->body_case != CORRAL__MASTER_TO_AGENT__BODY_KILL || !agent_core_registered(h->core) ||
	    registration != agent_core_registration(h->core))
		return;
	for (size_t i = 0; i < m->kill->n_keys; i++) {
		struct taskkey key = taskkey_of(m->kill->keys[i]);
		struct seen_attempt *a = seen(k, &key);

		a->kill_before = agent_core_find(h->core, &key) == NULL;
	}
}

static void
note_kills(struct cl_host *h, const Corral__MasterToAgent *m)
{
	for (size_t i = 0; i < m->kill->n_keys; i++) {
		struct taskkey key = taskkey_of(m->kill->keys[i]);
		struct seen_attempt *a = seen(h->c->check, &key);

		a->kill_seen = true;
		a->kill_first = a->kill_first || a->kill_before;
	}
}

static void
note_acks(struct cl_host *h, const Corral__MasterToAgent *m)
{
	for (size_t i = 0; i < m->update_acks->n_acks; i++) {
		const Corral__UpdateAck *ack = m->update_acks->acks[i];
		struct taskkey key = taskkey_of(ack->key);
		struct seen_attempt *a = seen(h->c->check, &key);

		for (unsigned u = 0; u < a->update_count; u++)
			if (ack->uuid.len == ATTEMPT_UUID_BYTES &&
			    memcmp(a->updates[u].uuid, ack->uuid.data, ATTEMPT_UUID_BYTES) == 0 &&
			    a->updates[u].sequence > a->acked)
				a->acked = a->updates[u].sequence;
	}
}

void
cl_check_after_message(struct cl_host *h, const Corral__MasterToAgent *m, uint64_t registration,
    enum agent_verdict verdict)
{
	struct seen_agent *a = &h->c->check->agents[h->number];
	bool of_registration = m->body_case != CORRAL__MASTER_TO_AGENT__BODY_WELCOME &&
			       m->body_case != CORRAL__MASTER_TO_AGENT__BODY_REFUSED;

	if (verdict == AGENT_IGNORED)
		return;
	if (term_order(term_of(m), a->highest) < 0)
		VIOLATED(h->c, "L1: %s obeys a term that is older than one that it has obeyed",
		    h->machine->name);
	if (of_registration && agent_core_registered(h->core) &&
	    registration != agent_core_registration(h->core))
		VIOLATED(h->c, "L4: %s obeys a message of another registration than its newest",
		    h->machine->name);
	if (term_order(term_of(m), a->pending) > 0)
		a->pending = term_of(m);
	if (m->body_case == CORRAL__MASTER_TO_AGENT__BODY_KILL)
		note_kills(h, m);
	else if (m->body_case == CORRAL__MASTER_TO_AGENT__BODY_UPDATE_ACKS)
		note_acks(h, m);
}

/* What was decided is durable. */
void
cl_check_agent_committed(struct cl_host *h)
{
	struct seen_agent *a = &h->c->check->agents[h->number];

	if (term_order(a->pending, a->highest) > 0)
		a->highest = a->pending;
}

/* T8: number and start time are those of the process that was forked for it, in this boot. */
void
cl_check_adopted(struct cl_host *h, const Corral__ExecutorHello *hello)
{
	struct taskkey key = taskkey_of(hello->key);
	const struct agent_attempt *a = agent_core_find(h->core, &key);
	const struct cl_group *g = cl_group_find(h, &key);

	if (a->phase != ATTEMPT_LIVE)
		return;
	if (g == NULL || hello->pid != g->pid || hello->start_time != g->start_time)
		VIOLATED(h->c, "T8: %s takes another process for the executor of %s",
		    h->machine->name, a->name);
}

/* ---- What goes out of an agent. ---- */

static const char *
state_text(Corral__TaskState s)
{
	return task_state_name(s);
}

/* T5 at its source. */
static void
check_end(struct cl_host *h, const struct seen_attempt *a, const Corral__StatusUpdate *u)
{
	bool exited = a->ended && WIFEXITED(a->wait_status);

	if (u->state == CORRAL__TASK_STATE__FINISHED && (!exited || a->wait_status != 0))
		VIOLATED(h->c, "T5: %s is said to have finished, and did not", a->name);
	if (u->reason == CORRAL__TASK_REASON__REASON_EXIT && u->has_exit_code &&
	    (!exited || WEXITSTATUS(a->wait_status) != u->exit_code))
		VIOLATED(h->c, "T5: %s is said to have ended with %d, and did not", a->name,
		    u->exit_code);
}

/* T7: an end is told when nothing of the task is left. */
static void
check_gone(struct cl_host *h, const struct seen_attempt *a)
{
	const struct cl_group *g = cl_group_find(h, &a->key);

	if (g != NULL && !cl_group_empty(g))
		VIOLATED(h->c, "T7: %s is said to be over, and processes of it are left", a->name);
}

static void
note_update(struct cl_host *h, const Corral__StatusUpdate *u)
{
	struct taskkey key = taskkey_of(u->key);
	struct seen_attempt *a = seen(h->c->check, &key);
	bool terminal = task_state_terminal(u->state);

	a->host = (int)h->number;
	if (u->sequence > a->acked + 1 && !a->rotten)
		VIOLATED(h->c, "T3: update %u of %s is sent, and %u is not acknowledged",
		    u->sequence, a->name, a->acked + 1);
	for (unsigned i = 0; i < a->update_count; i++)
		if (a->updates[i].sequence == u->sequence) {
			if (a->rotten)
				return;
			if (a->updates[i].state != u->state ||
			    memcmp(a->updates[i].uuid, u->uuid.data, ATTEMPT_UUID_BYTES) != 0)
				VIOLATED(h->c,
				    "T3: update %u of %s is another one now: %s, it was %s",
				    u->sequence, a->name, state_text(u->state),
				    state_text(a->updates[i].state));
			return;
		}
	if (a->over)
		VIOLATED(
		    h->c, "T3: %s was over, and goes on with %s", a->name, state_text(u->state));
	if (a->update_count < UPDATES_MAX) {
		struct seen_update *s = &a->updates[a->update_count++];

		s->sequence = u->sequence;
		s->state = u->state;
		memcpy(s->uuid, u->uuid.data, ATTEMPT_UUID_BYTES);
	}
	if (u->reason == CORRAL__TASK_REASON__REASON_REFUSED && u->message != NULL &&
	    strstr(u->message, "lease") == NULL)
		VIOLATED(h->c, "R1: %s is refused by its agent: %s", a->name,
		    u->message == NULL ? "" : u->message);
	if (u->sequence > a->made)
		a->made = u->sequence;
	cl_trace(h->c, "%s: update %u of %s: %s, reason %d", h->machine->name, u->sequence, a->name,
	    state_text(u->state), (int)u->reason);
	if (!terminal)
		return;
	a->over = true;
	check_gone(h, a);
	check_end(h, a, u);
}

static void
check_to_master(struct cl_host *h, const struct agent_out *out)
{
	Corral__AgentToMaster *m = corral__agent_to_master__unpack(NULL, out->size, out->bytes);

	if (m != NULL && m->body_case == CORRAL__AGENT_TO_MASTER__BODY_UPDATES)
		for (size_t i = 0; i < m->updates->n_updates; i++)
			note_update(h, m->updates->updates[i]);
	if (m != NULL)
		corral__agent_to_master__free_unpacked(m, NULL);
}

static void
check_to_executor(struct cl_host *h, const struct agent_out *out)
{
	Corral__AgentToExecutor *m = corral__agent_to_executor__unpack(NULL, out->size, out->bytes);

	if (m != NULL && m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_START)
		seen(h->c->check, &out->key)->word_given = true;
	if (m != NULL)
		corral__agent_to_executor__free_unpacked(m, NULL);
}

static void
check_to_helper(struct cl_host *h, const struct agent_out *out)
{
	Corral__HelperRequest *r = corral__helper_request__unpack(NULL, out->size, out->bytes);
	struct seen_attempt *a = seen(h->c->check, &out->key);

	if (r != NULL && r->body_case == CORRAL__HELPER_REQUEST__BODY_LAUNCH) {
		a->launch_asked = true;
		a->host = (int)h->number;
	} else if (r != NULL && r->body_case == CORRAL__HELPER_REQUEST__BODY_REMOVE &&
		   r->remove->sandbox != NULL) {
		a->launch_asked = a->word_given = false; /* forgotten, with its sandbox */
	}
	if (r != NULL)
		corral__helper_request__free_unpacked(r, NULL);
}

void
cl_check_agent_out(struct cl_host *h, const struct agent_out *out)
{
	if (out->kind == AGENT_OUT_MASTER)
		check_to_master(h, out);
	else if (out->kind == AGENT_OUT_EXECUTOR)
		check_to_executor(h, out);
	else if (out->kind == AGENT_OUT_HELPER)
		check_to_helper(h, out);
}

/*
 * Its checkpoint has rotted: what it knew of any attempt there, and of terms, may be lost. What
 * still holds of those: nothing of them is ever told as it was not, and singletons are alone.
 */
static void
note_rot(struct cl_host *h)
{
	struct cl_check *k = h->c->check;
	struct list *it, *nx;

	memset(&k->agents[h->number].highest, 0, sizeof k->agents[h->number].highest);
	HMAP_EACH(it, nx, &k->attempts) {
		struct seen_attempt *a = HMAP_ENTRY(it, struct seen_attempt, node);

		a->rotten = a->rotten || a->host == (int)h->number;
	}
	LIST_EACH(it, nx, &h->groups)
		CONTAINER_OF(it, struct cl_group, link)->rotten = true;
	h->rotten = false;
}

/* A5: what was done is known after each start. */
void
cl_check_recovered(struct cl_host *h, const struct checkpoint_faults *faults)
{
	struct cl_check *k = h->c->check;
	struct list *it, *nx;

	if (h->rotten)
		note_rot(h);
	/* (What it obeyed last may not have become durable.) */
	k->agents[h->number].pending = k->agents[h->number].highest;
	if (faults->damaged || faults->cut_bytes > 0)
		cl_trace(h->c, "%s: of its checkpoint %llu bytes are left out", h->machine->name,
		    (unsigned long long)faults->cut_bytes);
	HMAP_EACH(it, nx, &k->attempts) {
		struct seen_attempt *a = HMAP_ENTRY(it, struct seen_attempt, node);
		const struct agent_attempt *own;

		if (a->host != (int)h->number || !a->launch_asked || a->rotten)
			continue;
		own = agent_core_find(h->core, &a->key);
		if (own == NULL)
			VIOLATED(
			    h->c, "A5: %s was launched, and the agent has forgotten it", a->name);
		else if (a->word_given && !own->executor_known && own->phase < ATTEMPT_OVER)
			VIOLATED(h->c, "A5: %s had the word, and the agent has forgotten to whom",
			    a->name);
		else if (own->sequence < a->made)
			VIOLATED(h->c,
			    "A5: update %u of %s was sent, and the agent has forgotten it", a->made,
			    a->name);
	}
}

/* ---- Tasks. ---- */

/* And for so long after that its job would have waited for its node. */
static bool
marked_between(
    const struct seen_agent *a, uint64_t from_ms, uint64_t to_ms, const struct seen_job *j)
{
	uint64_t patience_ms = j->def.policy.disconnect_ms / 100 * 98; /* by any clock */

	if (patience_ms > 0 && !a->forgotten)
		to_ms = to_ms < patience_ms ? 0 : to_ms - patience_ms;
	for (unsigned i = 0; i < a->mark_count && i < MARKS_MAX; i++)
		if (a->marks_ms[i] >= from_ms && a->marks_ms[i] <= to_ms)
			return true;
	return false;
}

/*
 * What remains of a singleton that was given up: its machine slept through lease and grace, and no
 * instruction of anybody's can run there before it wakes. Then the executor's timer is due, and
 * until its first instructions (here: none else's in the very millisecond) have killed the task,
 * that may run. What was killed runs no more, but is in the kernel until that has taken it away.
 * Neither can be known elsewhere before its agent has reported it; then S2 is the check.
 */
static void
on_awake(void *arg, uint64_t token)
{
	struct cl_group *g = arg;
	const struct cl_machine *m = g->host->machine;
	struct world *w = &g->host->c->world;

	if (g->task.number != token || cl_group_empty(g) || g->task.sleeps)
		return;
	if (cl_is_asleep(m))
		world_at(w, m->asleep_until_ms - w->now_ms, on_awake, g, token);
	else if (g->task.dying && w->now_ms < m->woke_ms + CL_DEAD_MS_MAX)
		world_at(w, m->woke_ms + CL_DEAD_MS_MAX - w->now_ms, on_awake, g, token);
	else
		VIOLATED(g->host->c,
		    "S1: %s goes on after its machine has woken, and another attempt has run "
		    "meanwhile",
		    g->name);
}

/* Does it not run, or no more, though nobody has killed it in time? */
static bool
is_remainder(const struct cl_group *g)
{
	const struct cl_machine *m = g->host->machine;

	return cl_is_asleep(m) || g->task.sleeps ||
	       (g->task.dying && m->woke_ms > 0 &&
		   m->c->world.now_ms < m->woke_ms + CL_DEAD_MS_MAX);
}

/* A store that was restored from a copy need not know of it. */
static bool
lost_with_store(const struct cl_check *k, const struct seen_attempt *a)
{
	return k->restored_ms != 0 && a->launch_sent_ms <= k->restored_ms;
}

/* Another attempt at the same index has processes: may that be? */
static void
check_other(struct cl_group *g, const struct seen_attempt *a, struct cl_group *other)
{
	struct cl *c = g->host->c;
	struct cl_check *k = c->check;
	const struct seen_attempt *o = seen(k, &other->key);
	/* Which of them was given up when the other was launched? */
	bool later = a->launch_sent_ms > o->launch_sent_ms;
	unsigned given_up = later ? other->host->number : g->host->number;

	/* What is no singleton, and forgotten, runs on until its node registers, whatever its job's
	 * name is given to meanwhile. */
	if (other->rotten && other->key.incarnation != g->key.incarnation &&
	    !other->spec->singleton)
		return;
	if (g->spec->singleton && is_remainder(other))
		on_awake(other, other->task.number);
	else if (g->spec->singleton)
		VIOLATED(c, "S1: %s starts on %s while %s runs on %s", a->name,
		    g->host->machine->name, o->name, other->host->machine->name);
	else if (other->key.incarnation == g->key.incarnation && !lost_with_store(k, a) &&
		 !lost_with_store(k, o) &&
		 !marked_between(&k->agents[given_up],
		     later ? o->launch_sent_ms : a->launch_sent_ms,
		     later ? a->launch_sent_ms : o->launch_sent_ms,
		     seen_job(k, g->key.incarnation)))
		VIOLATED(c, "T1: %s starts on %s while %s runs on %s, which was not given up",
		    a->name, g->host->machine->name, o->name, other->host->machine->name);
}

static const char *
job_name(struct cl_check *k, const struct cl_group *g)
{
	const struct seen_job *j = seen_job(k, g->key.incarnation);

	return j == NULL ? "" : j->name;
}

static void
check_others(struct cl_group *g, const struct seen_attempt *a)
{
	struct cl *c = g->host->c;
	struct list *it, *nx;

	for (unsigned i = 0; i < c->conf.agents; i++)
		LIST_EACH(it, nx, &c->hosts[i]->groups) {
			struct cl_group *o = CONTAINER_OF(it, struct cl_group, link);

			if (o != g && !cl_group_empty(o) && o->key.index == g->key.index &&
			    strcmp(job_name(c->check, o), job_name(c->check, g)) == 0)
				check_other(g, a, o);
		}
}

/* R1 on the node: what runs there, with its executors, is not more than there is. */
static void
check_room(struct cl_host *h)
{
	uint64_t cpu = 0, memory = 0;
	struct list *it, *nx;

	LIST_EACH(it, nx, &h->groups) {
		const struct cl_group *g = CONTAINER_OF(it, struct cl_group, link);

		if (cl_group_empty(g) && (!cl_exec_alive(g) || g->life.state >= LIFE_ENDED))
			continue;
		cpu += g->spec->resources->cpu_milli;
		memory += g->spec->resources->memory_bytes + EXECUTOR_BYTES;
	}
	if (cpu > h->capacity.cpu_milli || memory > h->capacity.memory_bytes)
		VIOLATED(h->c, "R1: %s runs more than it has", h->machine->name);
}

void
cl_check_task_starts(struct cl_group *g)
{
	struct cl *c = g->host->c;
	struct seen_attempt *a = seen(c->check, &g->key);

	c->check->totals.starts++;
	cl_trace(c, "%s: %s runs", g->host->machine->name, g->name);
	if (++a->starts > 1)
		VIOLATED(c, "T1: %s is started a second time", a->name);
	if (a->over)
		VIOLATED(c, "T1: %s is started after its end was told", a->name);
	if (a->kill_first)
		VIOLATED(c, "T6: %s is started after it was killed", a->name);
	if (!a->word_given)
		VIOLATED(c, "T1: %s is started without the word", a->name);
	check_others(g, a);
	check_room(g->host);
}

/* L4, A1: an ordinary task is left alone unless somebody wanted its end. */
void
cl_check_task_stops(struct cl_group *g)
{
	const struct seen_attempt *a = seen(g->host->c->check, &g->key);

	if (!g->task.main_runs || !g->life.stopping)
		return;
	if (g->life.stop_reason == CORRAL__TASK_REASON__REASON_STOPPED && !a->kill_seen)
		VIOLATED(g->host->c, "L4: %s is stopped, and no master wanted that", a->name);
	if (g->life.stop_reason == CORRAL__TASK_REASON__REASON_AGENT_LOST && !g->spec->singleton)
		VIOLATED(
		    g->host->c, "L4: %s is stopped for a lease that it does not need", a->name);
}

void
cl_check_task_ended(struct cl_group *g)
{
	struct seen_attempt *a = seen(g->host->c->check, &g->key);

	a->ended = true;
	a->wait_status = g->task.end_status;
}

void
cl_check_forked(struct cl_group *g)
{
	check_room(g->host);
}

/* A1: the agent has an executor killed that runs its task, and nobody asked for it. */
void
cl_check_group_killed(struct cl_group *g)
{
	const struct seen_attempt *a = seen(g->host->c->check, &g->key);

	/* (A singleton's lease may have ended; one that stands still is given up after a while.) */
	if (cl_exec_alive(g) &&
	    (g->proc.paused_until_ms == 0 ||
		g->host->c->world.now_ms > g->proc.paused_until_ms + SILENT_MS) &&
	    g->task.main_runs && !a->kill_seen && !g->spec->singleton)
		VIOLATED(g->host->c,
		    "A1: %s is killed with its executor, and no master wanted that", a->name);
}

void
cl_check_group_swept(struct cl_group *g)
{
	const struct seen_attempt *a = seen(g->host->c->check, &g->key);

	if (g->task.main_runs && !a->over && !g->rotten)
		VIOLATED(
		    g->host->c, "A1: %s is ended as unknown, and no checkpoint was lost", a->name);
}

/* A8: a node that offers room has no task that nobody books. */
void
cl_check_agent(struct cl_host *h)
{
	struct list *it, *nx;

	if (!agent_core_registered(h->core))
		return;
	LIST_EACH(it, nx, &h->groups) {
		const struct cl_group *g = CONTAINER_OF(it, struct cl_group, link);

		if (!cl_group_empty(g) && agent_core_find(h->core, &g->key) == NULL)
			VIOLATED(h->c, "A8: %s offers its room, and runs %s unseen",
			    h->machine->name, g->name);
	}
}

/* ---- The end. ---- */

static bool
host_is_quiet(struct cl_host *h)
{
	struct list *it, *nx;

	if (h->core == NULL || !list_empty(agent_core_active(h->core)) ||
	    !agent_core_registered(h->core))
		return false;
	LIST_EACH(it, nx, &h->groups) {
		const struct cl_group *g = CONTAINER_OF(it, struct cl_group, link);

		if (!cl_group_empty(g) || cl_exec_alive(g))
			return false;
	}
	return true;
}

static bool
master_is_quiet(struct cl_master *m)
{
	return m->cluster.books.leased.cpu_milli == 0 &&
	       m->cluster.books.leased.memory_bytes == 0 && list_empty(&m->cluster.live) &&
	       list_empty(&m->cluster.ending) && list_empty(&m->cluster.committing);
}

bool
cl_check_is_quiet(struct cl *c)
{
	struct cl_check *k = c->check;
	bool leads = false;

	for (unsigned i = 0; i < c->conf.agents; i++)
		if (!host_is_quiet(c->hosts[i]))
			return false;
	for (unsigned i = 0; i < c->conf.masters; i++)
		if (cl_master_serves(c->masters[i])) {
			leads = true;
			if (!master_is_quiet(c->masters[i]))
				return false;
		}
	for (size_t i = 0; i < k->job_count; i++)
		if (!k->jobs[i].removed && !k->jobs[i].ended)
			return false;
	return leads;
}

static void
say_host(struct cl_host *h)
{
	struct list *it, *nx;

	if (h->core == NULL || !agent_core_registered(h->core)) {
		VIOLATED(h->c,
		    "A6: %s is not registered after all was healed (up %d, paused %d, cut %d, "
		    "master %d, dialing %d, leader %d)",
		    h->machine->name, h->proc.up, !cl_runs(&h->proc), h->in_turn, h->master != NULL,
		    h->dialing, h->leader);
		return;
	}
	LIST_EACH(it, nx, (struct list *)(uintptr_t)agent_core_active(h->core)) {
		const struct agent_attempt *a = CONTAINER_OF(it, struct agent_attempt, link);

		const struct cl_group *g = cl_group_find(h, &a->key);

		VIOLATED(h->c,
		    "T2: %s is not settled on %s after all was healed: phase %d, %u updates, "
		    "executor %s, task %s",
		    a->name, h->machine->name, (int)a->phase, a->update_count,
		    g == NULL || !cl_exec_alive(g) ? "gone" : "alive",
		    g == NULL || cl_group_empty(g) ? "gone" : "alive");
	}
	LIST_EACH(it, nx, &h->groups) {
		const struct cl_group *g = CONTAINER_OF(it, struct cl_group, link);

		if (!cl_group_empty(g))
			VIOLATED(
			    h->c, "T7: %s still has processes on %s", g->name, h->machine->name);
		if (cl_exec_alive(g))
			VIOLATED(
			    h->c, "T7: %s still has an executor on %s", g->name, h->machine->name);
	}
}

/* It is not quiet: what is left over? */
void
cl_check_quiet(struct cl *c)
{
	struct cl_check *k = c->check;

	for (unsigned i = 0; i < c->conf.agents; i++)
		say_host(c->hosts[i]);
	for (size_t i = 0; i < k->job_count; i++)
		if (!k->jobs[i].removed && !k->jobs[i].ended)
			VIOLATED(
			    c, "T2: job %s has not ended after all was healed", k->jobs[i].name);
	for (unsigned i = 0; i < c->conf.masters; i++)
		if (cl_master_serves(c->masters[i]) && !master_is_quiet(c->masters[i]))
			VIOLATED(c, "R2: master-%u has leased something to nobody", i);
	VIOLATED(c, "T2: nobody leads after all was healed");
}
