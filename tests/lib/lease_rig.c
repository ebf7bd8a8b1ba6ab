/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/lease_rig.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/unit.h"

struct lease_rig *rig;

struct taskkey
rig_key(void)
{
	Corral__TaskKey key = agent_bed_key(&rig->bed);

	return taskkey_of(&key);
}

/* ---- The executor. ---- */

static void
executor_send(unsigned n)
{
	const struct life_update *u = &rig->life.update[n];
	Corral__StatusUpdate m = CORRAL__STATUS_UPDATE__INIT;
	Corral__TaskKey key = agent_bed_key(&rig->bed);
	struct taskkey k = rig_key();

	if (!rig->linked)
		return;
	m.key = &key;
	m.sequence = n + 1;
	m.uuid.data = (uint8_t *)(uintptr_t)u->uuid;
	m.uuid.len = LIFE_UUID_BYTES;
	m.state = u->state;
	m.has_reason = true;
	m.reason = u->reason;
	agent_core_executor_update(rig->bed.core, &k, &m, rig->bed.now_ms);
}

static void
task_dies(int signo)
{
	struct life_exit e = {.wait_status = signo};

	if (rig->gone_ms == 0)
		rig->gone_ms = rig->bed.now_ms;
	life_exited(&rig->life, &e, rig->bed.now_ms, 1);
	life_swept(&rig->life, rig->bed.now_ms);
}

static void
executor_drain(void)
{
	struct life_act act;

	while (rig->lives && life_next(&rig->life, &act)) {
		switch (act.kind) {
		case LIFE_ACT_START:
			rig->started_ms = rig->bed.now_ms;
			life_started(&rig->life, 0, 0, "exec", rig->bed.now_ms, 1);
			break;
		case LIFE_ACT_SIGNAL:
			rig->signalled_ms = rig->bed.now_ms; /* which this task ignores */
			break;
		case LIFE_ACT_KILL:
			rig->dies_ms = rig->bed.now_ms + rig->kill_takes_ms;
			if (rig->kill_takes_ms == 0)
				task_dies(SIGKILL);
			break;
		case LIFE_ACT_SEND:
			executor_send(act.update);
			break;
		case LIFE_ACT_LEAVE:
			rig->lives = false;
			break;
		case LIFE_ACT_SAVE:
		case LIFE_ACT_STUCK:
			break;
		}
	}
}

static void
executor_takes(const Corral__AgentToExecutor *m)
{
	switch (life_term(&rig->life, m->term) ? m->body_case
					       : CORRAL__AGENT_TO_EXECUTOR__BODY__NOT_SET) {
	case CORRAL__AGENT_TO_EXECUTOR__BODY_START:
		life_word(&rig->life, rig->bed.now_ms);
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_STOP:
		life_stop(&rig->life, false, rig->bed.now_ms);
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_LEASE_END:
		life_lease(&rig->life, m->lease_end->end_boot_ms, rig->bed.now_ms);
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_UPDATE_ACK:
		life_acked(&rig->life, m->update_ack->uuid.data, m->update_ack->uuid.len);
		break;
	default:
		break;
	}
	executor_drain();
}

void
rig_deliver(void)
{
	for (size_t i = 0; i < rig->mail_count; i++) {
		if (rig->lives && rig->linked)
			executor_takes(rig->mail[i]);
		corral__agent_to_executor__free_unpacked(rig->mail[i], NULL);
	}
	rig->mail_count = 0;
	rig_drain();
}

void
rig_executor_connects(void)
{
	Corral__Term highest;
	bool has = life_highest_term(&rig->life, &highest);

	rig->linked = agent_bed_hello_of(
	    &rig->bed, life_task_state(&rig->life), has ? &highest : NULL, rig->life.stopping);
	life_link(&rig->life, rig->linked, rig->bed.now_ms);
	executor_drain();
	rig_drain();
}

/* ---- The agent's shell. ---- */

static void
to_master(const struct agent_out *out)
{
	Corral__AgentToMaster *m = corral__agent_to_master__unpack(NULL, out->size, out->bytes);

	ck_assert_ptr_nonnull(m);
	if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_REGISTER)
		rig->registrations++;
	if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_HEARTBEAT) {
		rig->heartbeat_ms = m->heartbeat->sent_boot_ms;
		rig->stuck = m->heartbeat->n_stuck;
	}
	if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_UPDATES) {
		rig->state = m->updates->updates[0]->state;
		rig->reason = m->updates->updates[0]->reason;
		agent_bed_acknowledge(&rig->bed, m->updates->updates[0]);
	}
	corral__agent_to_master__free_unpacked(m, NULL);
}

static void
fork_executor(const Corral__HelperLaunch *l)
{
	uint8_t uuids[2 * LIFE_UUID_BYTES];

	for (size_t i = 0; i < sizeof uuids; i++)
		uuids[i] = (uint8_t)(rig->forks * sizeof uuids + i);
	corral__task_spec__free_unpacked(rig->spec, NULL);
	rig->spec = attempt_copy_spec(l->spec);
	life_init(&rig->life, rig->spec, uuids, 1000000, rig->bed.now_ms);
	(void)life_term(&rig->life, l->key->term);
	life_lease(&rig->life, l->lease_end_boot_ms, rig->bed.now_ms);
	rig->lives = true;
	rig->forks++;
}

/* A heartbeat is acknowledged while the helper stands still. */
static void
refuse_late(Corral__HelperReply *reply)
{
	static char why[] = "the node's lease has ended or is about to";

	rig->bed.now_ms += rig->helper_late_ms;
	rig_acknowledge(rig->bed.now_ms);
	reply->error = why;
}

void
rig_answer_sweep(void)
{
	static char why[] = "cgroup corral-1: Input/output error";
	Corral__HelperReply reply = CORRAL__HELPER_REPLY__INIT;

	reply.id = rig->sweep_id;
	reply.has_alive = true;
	reply.alive = rig->sweeps_meet > 0;
	if (rig->sweeps_fail > 0) {
		rig->sweeps_fail--;
		reply.alive = false;
		reply.error = why;
	} else if (reply.alive)
		rig->sweeps_meet--;
	agent_core_helper_reply(rig->bed.core, &reply, rig->bed.now_ms);
}

static void
take_sweep(uint64_t id, const Corral__HelperSweep *s)
{
	struct taskkey own = rig_key();
	bool keeps = false;

	rig->sweeps++;
	rig->sweep_id = id;
	rig->kept = s->n_keep;
	for (size_t i = 0; i < s->n_keep; i++) {
		struct taskkey key = taskkey_of(s->keep[i]);

		keeps = keeps || taskkey_equal(&key, &own);
	}
	if (rig->lives && !keeps) {
		rig->lives = rig->linked = false;
		rig->gone_ms = rig->bed.now_ms;
		rig->sweeps_meet++;
	}
	if (!rig->helper_silent)
		rig_answer_sweep();
}

static void
to_helper(const struct agent_out *out)
{
	Corral__HelperRequest *r = corral__helper_request__unpack(NULL, out->size, out->bytes);
	Corral__HelperReply reply = CORRAL__HELPER_REPLY__INIT;

	ck_assert_ptr_nonnull(r);
	if (r->body_case == CORRAL__HELPER_REQUEST__BODY_SWEEP) {
		take_sweep(r->id, r->sweep);
		corral__helper_request__free_unpacked(r, NULL);
		return;
	}
	reply.id = r->id;
	reply.has_alive = true;
	if (r->body_case == CORRAL__HELPER_REQUEST__BODY_LAUNCH && rig->helper_late_ms > 0) {
		refuse_late(&reply);
	} else if (r->body_case == CORRAL__HELPER_REQUEST__BODY_LAUNCH) {
		fork_executor(r->launch);
		reply.has_pid = reply.has_start_time = true;
		reply.pid = 100;
		reply.start_time = 5;
	} else if (r->body_case == CORRAL__HELPER_REQUEST__BODY_KILL) {
		rig->kills++;
		reply.alive = rig->kill_fails;
		rig->gone_ms =
		    rig->gone_ms == 0 && !rig->kill_fails ? rig->bed.now_ms : rig->gone_ms;
		rig->lives = rig->linked = rig->kill_fails;
	} else if (r->body_case == CORRAL__HELPER_REQUEST__BODY_PROBE)
		reply.alive = rig->lives;
	agent_core_helper_reply(rig->bed.core, &reply, rig->bed.now_ms);
	corral__helper_request__free_unpacked(r, NULL);
}

static void
perform(const struct agent_out *out)
{
	switch (out->kind) {
	case AGENT_OUT_MASTER:
		to_master(out);
		break;
	case AGENT_OUT_MASTER_DROP:
		rig->dropped = true;
		memcpy(rig->why, out->text, sizeof rig->why);
		break;
	case AGENT_OUT_EXECUTOR:
		ck_assert_uint_lt(rig->mail_count, RIG_MAIL_MAX);
		rig->mail[rig->mail_count] =
		    corral__agent_to_executor__unpack(NULL, out->size, out->bytes);
		ck_assert_ptr_nonnull(rig->mail[rig->mail_count++]);
		break;
	case AGENT_OUT_HELPER:
		to_helper(out);
		break;
	case AGENT_OUT_READ_STATUS:
		agent_core_status(rig->bed.core, &out->key, NULL, rig->bed.now_ms);
		break;
	}
}

void
rig_drain(void)
{
	struct agent_out out;

	for (;;) {
		ck_assert_int_eq(agent_core_commit(rig->bed.core), 0);
		if (!agent_core_next(rig->bed.core, &out))
			return;
		perform(&out);
		agent_out_fini(&out);
	}
}

void
rig_boot(void)
{
	struct checkpoint_faults faults;

	ck_assert_int_eq(agent_bed_boot(&rig->bed, &faults), 0);
	rig_drain();
	agent_core_tick(rig->bed.core, rig->bed.now_ms);
	rig_drain();
}

static void
drop_mail(void)
{
	while (rig->mail_count > 0)
		corral__agent_to_executor__free_unpacked(rig->mail[--rig->mail_count], NULL);
}

void
rig_agent_dies(void)
{
	agent_core_free(rig->bed.core);
	rig->bed.core = NULL;
	rig->linked = false;
	life_link(&rig->life, false, rig->bed.now_ms);
	drop_mail();
	simdisk_crash(rig->bed.disk);
}

void
rig_lose_checkpoint(void)
{
	static uint64_t seed = 1;

	simdisk_free(rig->bed.disk);
	rig->bed.disk = simdisk_new(++seed, UINT64_MAX);
	ck_assert_ptr_nonnull(rig->bed.disk);
}

void
rig_setup(void)
{
	rig = calloc(1, sizeof *rig);
	ck_assert_ptr_nonnull(rig);
	agent_bed_init(&rig->bed, 100000, 1000000);
	rig_boot();
}

void
rig_teardown(void)
{
	drop_mail();
	corral__task_spec__free_unpacked(rig->spec, NULL);
	agent_bed_fini(&rig->bed);
	free(rig);
}

/* ---- The master. ---- */

void
rig_register(void)
{
	rig->dropped = false;
	agent_core_master_up(rig->bed.core, rig->bed.now_ms);
	rig_drain();
}

void
rig_welcome(void)
{
	agent_bed_welcome(&rig->bed, RIG_LEASE_MS, RIG_LEASE_MS / 5);
	rig_drain();
}

void
rig_acknowledge(uint64_t sent_ms)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__HeartbeatAck ack = CORRAL__HEARTBEAT_ACK__INIT;

	ack.sent_boot_ms = sent_ms;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_HEARTBEAT_ACK;
	m.heartbeat_ack = &ack;
	agent_bed_say(&rig->bed, &m);
	rig_drain();
}

enum agent_verdict
rig_launch(void)
{
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	enum agent_verdict verdict;

	spec.has_singleton = spec.singleton = true;
	spec.has_timeout_stop_ms = true;
	spec.timeout_stop_ms = RIG_STOP_MS;
	verdict = agent_bed_launch(&rig->bed, &spec);
	rig_drain();
	return verdict;
}

void
rig_kill(void)
{
	agent_bed_kill(&rig->bed);
	rig_drain();
}

void
rig_run(void)
{
	rig_register();
	rig_welcome();
	ck_assert_int_eq(rig_launch(), AGENT_DONE);
	ck_assert_uint_eq(rig->forks, 1);
	rig_executor_connects();
	rig_deliver();
	ck_assert_int_eq(rig->state, CORRAL__TASK_STATE__RUNNING);
}

void
rig_pass(uint64_t ms)
{
	for (uint64_t end_ms = rig->bed.now_ms + ms; rig->bed.now_ms < end_ms;) {
		rig->bed.now_ms += end_ms - rig->bed.now_ms < 100 ? end_ms - rig->bed.now_ms : 100;
		if (rig->bed.core != NULL) {
			agent_core_tick(rig->bed.core, rig->bed.now_ms);
			rig_drain();
			agent_core_check(rig->bed.core);
		}
		if (rig->lives && !rig->frozen) {
			life_tick(&rig->life, rig->bed.now_ms);
			if (rig->kill_takes_ms != 0 && rig->dies_ms != 0 &&
			    rig->bed.now_ms >= rig->dies_ms)
				task_dies(SIGKILL);
			executor_drain();
			if (rig->bed.core != NULL)
				rig_deliver();
		}
	}
}
