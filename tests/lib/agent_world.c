/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/agent_world.h"

#include <string.h>

#include "tests/lib/unit.h"

#define TURNS_MAX 400
#define TURN_MS 50

/* ---- Master. ---- */

static void
launch(struct agent_world *w)
{
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	Corral__Resources want = CORRAL__RESOURCES__INIT;

	want.has_cpu_milli = true;
	want.cpu_milli = 600;
	spec.resources = &want;
	w->launched = true;
	agent_bed_launch(&w->bed, &spec);
}

void
agent_world_welcome(struct agent_world *w, const Corral__Register *r)
{
	agent_bed_welcome(&w->bed, 1000000, 1000000);
	if (!w->launched)
		launch(w);
	else if (r->n_tasks == 0 && w->outcome == 0)
		agent_bed_kill(&w->bed); /* lost on the way: it is never to start */
}

static void
master_update(struct agent_world *w, Corral__StatusUpdate *u)
{
	ck_assert_uint_le(u->sequence, w->last_sequence + 1); /* no gap */
	if (u->sequence > w->last_sequence)
		w->last_sequence = u->sequence;
	if (attempt_state_is_terminal(u->state) &&
	    (w->outcomes == 0 || memcmp(w->outcome_uuid, u->uuid.data, ATTEMPT_UUID_BYTES) != 0)) {
		w->outcomes++;
		w->outcome = u->state;
		memcpy(w->outcome_uuid, u->uuid.data, ATTEMPT_UUID_BYTES);
	}
	agent_bed_acknowledge(&w->bed, u);
}

static void
to_master(struct agent_world *w, const struct agent_out *out)
{
	Corral__AgentToMaster *m = corral__agent_to_master__unpack(NULL, out->size, out->bytes);

	ck_assert_ptr_nonnull(m);
	if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_REGISTER)
		agent_world_welcome(w, m->register_);
	else if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_UPDATES)
		master_update(w, m->updates->updates[0]);
	corral__agent_to_master__free_unpacked(m, NULL);
}

/* ---- Executor and helper. ---- */

void
agent_world_executor_message(
    struct agent_world *w, unsigned n, Corral__StatusUpdate *u, Corral__TaskKey *key)
{
	static uint8_t uuids[2][ATTEMPT_UUID_BYTES] = {{0xaa, 1}, {0xaa, 2}};

	*key = agent_bed_key(&w->bed);
	corral__status_update__init(u);
	u->key = key;
	u->sequence = n + 1;
	u->uuid.data = uuids[n];
	u->uuid.len = ATTEMPT_UUID_BYTES;
	u->state = n == 0 ? CORRAL__TASK_STATE__RUNNING : w->executor.outcome;
}

static void
executor_turn(struct agent_world *w)
{
	struct fake_executor *e = &w->executor;
	Corral__StatusUpdate u;
	Corral__TaskKey key = agent_bed_key(&w->bed);
	struct taskkey k = taskkey_of(&key);

	if (!e->alive)
		return;
	if (!e->linked) {
		e->linked = agent_bed_hello(&w->bed, e->said > 1   ? e->outcome
						     : e->has_word ? CORRAL__TASK_STATE__RUNNING
								   : CORRAL__TASK_STATE__LAUNCHING);
		return;
	}
	if (e->stopped && e->said < 2) {
		e->outcome = CORRAL__TASK_STATE__KILLED;
		e->said = 2;
	} else if (e->has_word && e->said < 2)
		e->said++;
	e->status_written = e->said == 2;
	for (unsigned n = e->acked; n < e->said; n++) {
		agent_world_executor_message(w, n, &u, &key);
		if (n == 1 || e->has_word)
			agent_core_executor_update(w->bed.core, &k, &u, w->bed.now_ms);
	}
}

static void
executor_gone(struct agent_world *w)
{
	Corral__TaskKey key = agent_bed_key(&w->bed);
	struct taskkey k = taskkey_of(&key);
	bool linked = w->executor.linked;

	w->executor.alive = w->executor.linked = false;
	if (linked && w->bed.core != NULL)
		agent_core_executor_down(w->bed.core, &k, w->bed.now_ms);
}

static void
to_executor(struct agent_world *w, const struct agent_out *out)
{
	Corral__AgentToExecutor *m = corral__agent_to_executor__unpack(NULL, out->size, out->bytes);
	struct fake_executor *e = &w->executor;

	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(
	    m->term != NULL, m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_STOP ||
				 m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_SIGNAL ||
				 m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_LEASE_END);
	ck_assert(m->term == NULL || term_compare(m->term, &w->bed.term) == 0);
	if (e->alive && m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_START && !e->has_word &&
	    !e->stopped) {
		e->has_word = true;
		w->starts++;
	} else if (m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_STOP)
		e->stopped = true;
	else if (m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_UPDATE_ACK) {
		e->acked =
		    m->update_ack->uuid.data[1] > e->acked ? m->update_ack->uuid.data[1] : e->acked;
		if (e->acked == 2)
			executor_gone(w);
	}
	corral__agent_to_executor__free_unpacked(m, NULL);
}

static void
to_helper(struct agent_world *w, const struct agent_out *out)
{
	Corral__HelperRequest *r = corral__helper_request__unpack(NULL, out->size, out->bytes);
	Corral__HelperReply reply = CORRAL__HELPER_REPLY__INIT;
	static char busy[] = "busy";

	ck_assert_ptr_nonnull(r);
	reply.id = r->id;
	reply.has_alive = true;
	switch (r->body_case) {
	case CORRAL__HELPER_REQUEST__BODY_LAUNCH:
		w->executor = (struct fake_executor){.alive = true,
		    .forks = w->executor.forks + 1,
		    .outcome = CORRAL__TASK_STATE__FINISHED};
		reply.has_pid = reply.has_start_time = true;
		reply.pid = 100;
		reply.start_time = 5;
		break;
	case CORRAL__HELPER_REQUEST__BODY_KILL:
		executor_gone(w);
		break;
	case CORRAL__HELPER_REQUEST__BODY_PROBE:
		reply.alive = w->executor.alive;
		break;
	case CORRAL__HELPER_REQUEST__BODY_SWEEP: /* it has launched one at most */
		if (w->executor.alive && r->sweep->n_keep == 0) {
			executor_gone(w);
			reply.alive = true;
		}
		break;
	default:
		reply.error = w->executor.alive ? busy : NULL;
		break;
	}
	agent_core_helper_reply(w->bed.core, &reply, w->bed.now_ms);
	corral__helper_request__free_unpacked(r, NULL);
}

static void
read_status(struct agent_world *w, const struct taskkey *key)
{
	Corral__StatusUpdate u;
	Corral__TaskKey message;

	agent_world_executor_message(w, 1, &u, &message);
	agent_core_status(w->bed.core, key, w->executor.status_written ? &u : NULL, w->bed.now_ms);
}

/* ---- The agent's shell. ---- */

void
agent_world_crash(struct agent_world *w)
{
	agent_core_free(w->bed.core);
	w->bed.core = NULL;
	w->crashed = true;
	w->connected = false;
	w->executor.linked = false;
	simdisk_stop_at(w->bed.disk, 0);
}

static void
perform(struct agent_world *w, const struct agent_out *out)
{
	switch (out->kind) {
	case AGENT_OUT_MASTER:
		to_master(w, out);
		break;
	case AGENT_OUT_EXECUTOR:
		if (w->executor.linked)
			to_executor(w, out);
		break;
	case AGENT_OUT_HELPER:
		to_helper(w, out);
		break;
	case AGENT_OUT_READ_STATUS:
		read_status(w, &out->key);
		break;
	case AGENT_OUT_MASTER_DROP:
		w->connected = false;
		break;
	}
}

/* False: the agent is gone. */
static bool
agent_world_drain(struct agent_world *w)
{
	struct agent_out out;

	for (;;) {
		if (agent_core_commit(w->bed.core) != 0)
			return false;
		if (!agent_core_next(w->bed.core, &out))
			return true;
		w->acts++;
		if (w->acts == w->executor_dies_at_act)
			executor_gone(w);
		if (w->acts == w->crash_at_act) {
			agent_out_fini(&out);
			return false;
		}
		if (agent_core_commit(w->bed.core) != 0) {
			agent_out_fini(&out);
			return false;
		}
		perform(w, &out);
		agent_out_fini(&out);
		agent_core_check(w->bed.core);
	}
}

bool
agent_world_boot(struct agent_world *w)
{
	struct checkpoint_faults faults;

	if (agent_bed_boot(&w->bed, &faults) != 0)
		return false;
	ck_assert(!faults.damaged);
	return true;
}

void
agent_world_init(struct agent_world *w)
{
	memset(w, 0, sizeof *w);
	agent_bed_init(&w->bed, 1000, 5000);
}

void
agent_world_fini(struct agent_world *w)
{
	agent_bed_fini(&w->bed);
}

/* Turn until the master has the outcome; with `power`, a crash is a power loss and another boot. */
void
agent_world_run(struct agent_world *w, bool power)
{
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		bool lives = true;

		w->bed.now_ms += TURN_MS;
		if (w->bed.core == NULL)
			lives = agent_world_boot(w);
		if (lives && !w->connected) {
			w->connected = true;
			agent_core_master_up(w->bed.core, w->bed.now_ms);
		}
		if (lives)
			executor_turn(w);
		if (lives)
			agent_core_tick(w->bed.core, w->bed.now_ms);
		if (!lives || !agent_world_drain(w)) {
			agent_world_crash(w);
			if (!power)
				simdisk_crash(w->bed.disk);
			else {
				simdisk_power_loss(w->bed.disk);
				executor_gone(w);
				w->bed.boot_id = "boot-2";
			}
		}
	}
}

/* What must hold in the end, whatever happened. */
void
agent_world_check(const struct agent_world *w, const char *what, uint64_t at)
{
	ck_assert_msg(
	    w->outcomes == 1, "%s at %lu: %u outcomes", what, (unsigned long)at, w->outcomes);
	ck_assert_msg(w->starts <= 1 && w->executor.forks <= 1, "%s at %lu: started %u times", what,
	    (unsigned long)at, w->starts);
	ck_assert_msg(w->starts == 1 || w->outcome != CORRAL__TASK_STATE__FINISHED,
	    "%s at %lu: never started and finished", what, (unsigned long)at);
	ck_assert_msg(
	    !w->executor.alive, "%s at %lu: an executor is left", what, (unsigned long)at);
}
