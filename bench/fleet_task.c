/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks of the fleet: launched once, running for a while, and two updates each, of which the second
 * is sent when the first is acknowledged. What the master is caught at (over-commitment, a second
 * launch of a key) is counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/fleet.h"

enum { SEND_MS_MIN = 10000, SEND_MS_MAX = 600000, FAILS_ONE_IN = 1000, RELEASE_MS = 1000 };

void
fleet_task_key(const struct fleet_task *t, Corral__TaskKey *key, Corral__Term *term)
{
	corral__task_key__init(key);
	corral__term__init(term);
	term->era = t->era;
	term->czxid = t->czxid;
	key->job = t->job->name;
	key->incarnation = t->incarnation;
	key->index = t->index;
	key->attempt = t->attempt;
	key->term = term;
}

/* What the checkpoint of a real agent would say of it. */
Corral__TaskState
fleet_task_state(const struct fleet_task *t)
{
	return t->phase == TASK_STARTING  ? CORRAL__TASK_STATE__LAUNCHING
	       : t->phase == TASK_RUNNING ? CORRAL__TASK_STATE__RUNNING
					  : t->end;
}

static struct fleet_task *
find(struct fleet_agent *a, const Corral__TaskKey *key)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->tasks) {
		struct fleet_task *t = CONTAINER_OF(it, struct fleet_task, in_agent);

		if (t->index == key->index && t->incarnation == key->incarnation &&
		    t->attempt == key->attempt && t->czxid == key->term->czxid &&
		    t->era == key->term->era)
			return t;
	}
	return NULL;
}

/* --- updates --- */

static void
send_update(struct fleet_task *t)
{
	Corral__AgentToMaster m = CORRAL__AGENT_TO_MASTER__INIT;
	Corral__Updates updates = CORRAL__UPDATES__INIT;
	Corral__StatusUpdate u = CORRAL__STATUS_UPDATE__INIT, *list = &u;
	Corral__TaskKey key;
	Corral__Term term;

	fleet_task_key(t, &key, &term);
	u.key = &key;
	u.sequence = t->told;
	u.uuid.data = t->uuid;
	u.uuid.len = sizeof t->uuid;
	u.state = t->told == 1 ? CORRAL__TASK_STATE__RUNNING : t->end;
	u.has_at_wall_ms = true;
	u.at_wall_ms = clock_wall_ms();
	if (t->told == 2) {
		u.has_reason = u.has_exit_code = true;
		u.reason = t->end == CORRAL__TASK_STATE__KILLED
			       ? CORRAL__TASK_REASON__REASON_STOPPED
			       : CORRAL__TASK_REASON__REASON_EXIT;
		u.exit_code = t->job->codes[t->index];
	}
	updates.n_updates = 1;
	updates.updates = &list;
	m.body_case = CORRAL__AGENT_TO_MASTER__BODY_UPDATES;
	m.updates = &updates;
	fleet_agent_send(t->agent, &m);
	t->wait_ms = t->wait_ms == 0 ? SEND_MS_MIN : 2 * t->wait_ms;
	if (t->wait_ms > SEND_MS_MAX)
		t->wait_ms = SEND_MS_MAX;
	wheel_set(t->agent->fleet, &t->again, t->wait_ms);
}

/* The next update if there is one and the one before it is acknowledged. */
static void
pump(struct fleet_task *t)
{
	struct fleet *f = t->agent->fleet;

	if (t->told == t->acked &&
	    (t->acked == 0 ? t->phase >= TASK_RUNNING : t->phase == TASK_ENDED)) {
		t->told++;
		t->wait_ms = 0;
		for (size_t i = 0; i < sizeof t->uuid; i += 8)
			memcpy(t->uuid + i, &(uint64_t){rng_u64(&f->rng)}, 8);
		t->sent_us = clock_boot_us();
		if (t->agent->registered)
			send_update(t);
	}
}

static void
on_again(struct fleet *f, struct due *d)
{
	struct fleet_task *t = CONTAINER_OF(d, struct fleet_task, again);

	if (!t->agent->registered)
		return; /* with the next registration */
	f->counts.repeated++;
	send_update(t);
}

void
fleet_pump_all(struct fleet_agent *a)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->tasks) {
		struct fleet_task *t = CONTAINER_OF(it, struct fleet_task, in_agent);

		t->wait_ms = 0;
		if (t->told > t->acked) {
			a->fleet->counts.repeated++;
			send_update(t);
		} else {
			pump(t);
		}
	}
}

/* --- life --- */

static void
end(struct fleet *f, struct fleet_task *t, Corral__TaskState state)
{
	wheel_cancel(&t->life);
	t->phase = TASK_ENDED;
	t->end = state;
	t->agent->used.cpu_milli -= t->need.cpu_milli;
	t->agent->used.memory_bytes -= t->need.memory_bytes;
	t->job->ended++;
	f->counts.ended++;
	pump(t);
}

static void
on_life(struct fleet *f, struct due *d)
{
	struct fleet_task *t = CONTAINER_OF(d, struct fleet_task, life);
	uint64_t spread = f->o.run_max_ms - f->o.run_min_ms;

	if (t->phase == TASK_STARTING) {
		t->phase = TASK_RUNNING;
		if (!t->job->holds)
			wheel_set(f, &t->life, f->o.run_min_ms + rng_below(&f->rng, spread + 1));
		pump(t);
		return;
	}
	if (rng_below(&f->rng, FAILS_ONE_IN) == 0) {
		t->job->codes[t->index] = (uint8_t)(1 + rng_below(&f->rng, 255));
		t->job->failed++;
		f->counts.failed++;
		end(f, t, CORRAL__TASK_STATE__FAILED);
	} else {
		end(f, t, CORRAL__TASK_STATE__FINISHED);
	}
}

static void
judge_launch(struct fleet_agent *a, const struct fleet_task *t)
{
	struct fleet *f = a->fleet;
	struct fleet_job *j = t->job;

	a->used.cpu_milli += t->need.cpu_milli;
	a->used.memory_bytes += t->need.memory_bytes;
	if (a->used.cpu_milli > f->o.slots * 1000 || a->used.memory_bytes > f->o.slots << 30)
		f->counts.overcommitted++;
	if (j->launches[t->index]++ > 0)
		f->counts.relaunched++;
	else
		j->launched++;
	f->counts.launched++;
	samples_add(&f->placed, clock_boot_us() - j->posted_us);
}

void
fleet_launch(struct fleet_agent *a, const Corral__TaskLaunch *l)
{
	struct fleet *f = a->fleet;
	struct fleet_job *j = fleet_job_named(f, l->key->job);
	struct fleet_task *t;

	if (j == NULL || l->key->index >= j->count || l->spec->resources == NULL ||
	    find(a, l->key) != NULL) {
		f->counts.strange++;
		return;
	}
	t = calloc(1, sizeof *t);
	if (t == NULL)
		fleet_die("no memory for a task");
	t->agent = a;
	t->job = j;
	t->incarnation = l->key->incarnation;
	t->index = l->key->index;
	t->attempt = l->key->attempt;
	t->era = l->key->term->era;
	t->czxid = l->key->term->czxid;
	t->need =
	    (struct fleet_need){l->spec->resources->cpu_milli, l->spec->resources->memory_bytes};
	t->life.fire = on_life;
	t->again.fire = on_again;
	list_init(&t->life.in_slot);
	list_init(&t->again.in_slot);
	list_append(&a->tasks, &t->in_agent);
	judge_launch(a, t);
	wheel_set(f, &t->life, 0);
}

void
fleet_kill(struct fleet_agent *a, const Corral__TaskKey *key)
{
	struct fleet_task *t = find(a, key);

	a->fleet->counts.killed++;
	if (t != NULL && t->phase < TASK_ENDED)
		end(a->fleet, t, CORRAL__TASK_STATE__KILLED);
}

void
fleet_ack(struct fleet_agent *a, const Corral__UpdateAck *ack)
{
	struct fleet *f = a->fleet;
	struct fleet_task *t = find(a, ack->key);

	if (t == NULL || t->told == t->acked || ack->uuid.len != sizeof t->uuid ||
	    memcmp(ack->uuid.data, t->uuid, sizeof t->uuid) != 0) {
		f->counts.strange++;
		return;
	}
	if (f->o.deaf > 0 && rng_below(&f->rng, f->o.deaf) == 0) {
		f->counts.unheard++;
		return;
	}
	t->acked++;
	wheel_cancel(&t->again);
	if (t->acked == 1) {
		f->counts.running_acked++;
		t->job->running++;
		pump(t);
		return;
	}
	samples_add(&f->committed, clock_boot_us() - t->sent_us);
	f->counts.acked++;
	t->job->acked++;
	list_remove(&t->in_agent);
	free(t);
}

void
fleet_release(struct fleet *f)
{
	struct list *it, *nx;

	for (uint64_t i = 0; i < f->o.agents; i++)
		LIST_EACH(it, nx, &f->agents[i].tasks) {
			struct fleet_task *t = CONTAINER_OF(it, struct fleet_task, in_agent);

			if (t->job->holds && t->phase == TASK_RUNNING)
				wheel_set(f, &t->life, rng_below(&f->rng, RELEASE_MS));
		}
}
