/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/lease_rig.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/unit.h"

static char node[] = "n1", job[] = "job", word[] = "true", *argv[] = {word}, agent_id[] = "A1";
Corral__Term rig_term = CORRAL__TERM__INIT;
struct lease_rig *rig;

static void
make_random(void *arg, void *bytes, size_t size)
{
	(void)arg;
	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)hash_u64(++rig->random);
}

static int64_t
make_wall_ms(void *arg)
{
	(void)arg;
	return (int64_t)rig->now_ms;
}

static Corral__TaskKey
make_key(void)
{
	Corral__TaskKey key = CORRAL__TASK_KEY__INIT;

	key.job = job;
	key.incarnation = 9;
	key.attempt = 1;
	key.term = &rig_term;
	return key;
}

struct taskkey
rig_key(void)
{
	Corral__TaskKey key = make_key();

	return taskkey_of(&key);
}

/* ---- The executor. ---- */

static void
executor_send(unsigned n)
{
	const struct life_update *u = &rig->life.update[n];
	Corral__StatusUpdate m = CORRAL__STATUS_UPDATE__INIT;
	Corral__TaskKey key = make_key();
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
	agent_core_executor_update(rig->core, &k, &m, rig->now_ms);
}

static void
task_dies(int signo)
{
	struct life_exit e = {.wait_status = signo};

	if (rig->gone_ms == 0)
		rig->gone_ms = rig->now_ms;
	life_exited(&rig->life, &e, rig->now_ms, 1);
	life_swept(&rig->life, rig->now_ms);
}

static void
executor_drain(void)
{
	struct life_act act;

	while (rig->lives && life_next(&rig->life, &act)) {
		switch (act.kind) {
		case LIFE_ACT_START:
			rig->started_ms = rig->now_ms;
			life_started(&rig->life, 0, 0, "exec", rig->now_ms, 1);
			break;
		case LIFE_ACT_SIGNAL:
			rig->signalled_ms = rig->now_ms; /* which this task ignores */
			break;
		case LIFE_ACT_KILL:
			rig->dies_ms = rig->now_ms + rig->kill_takes_ms;
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
	switch (m->body_case) {
	case CORRAL__AGENT_TO_EXECUTOR__BODY_START:
		life_word(&rig->life, rig->now_ms);
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_STOP:
		life_stop(&rig->life, false, rig->now_ms);
		break;
	case CORRAL__AGENT_TO_EXECUTOR__BODY_LEASE_END:
		life_lease(&rig->life, m->lease_end->end_boot_ms, rig->now_ms);
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
	Corral__ExecutorHello hello = CORRAL__EXECUTOR_HELLO__INIT;
	Corral__TaskKey key = make_key();

	hello.key = &key;
	hello.pid = 100;
	hello.start_time = 5;
	hello.state = life_task_state(&rig->life);
	rig->linked = agent_core_hello(rig->core, &hello, rig->now_ms);
	life_link(&rig->life, rig->linked, rig->now_ms);
	executor_drain();
	rig_drain();
}

/* ---- The agent's shell. ---- */

static void
acknowledge_update(Corral__StatusUpdate *u)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__UpdateAcks acks = CORRAL__UPDATE_ACKS__INIT;
	Corral__UpdateAck ack = CORRAL__UPDATE_ACK__INIT, *list = &ack;

	rig->state = u->state;
	rig->reason = u->reason;
	ack.key = u->key;
	ack.uuid = u->uuid;
	acks.n_acks = 1;
	acks.acks = &list;
	m.term = &rig_term;
	m.has_registration = true;
	m.registration = rig->registration;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_UPDATE_ACKS;
	m.update_acks = &acks;
	agent_core_master_message(rig->core, &m, rig->now_ms);
}

static void
to_master(const struct agent_out *out)
{
	Corral__AgentToMaster *m = corral__agent_to_master__unpack(NULL, out->size, out->bytes);

	ck_assert_ptr_nonnull(m);
	if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_REGISTER)
		rig->incomplete = m->register_->incomplete;
	if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_HEARTBEAT) {
		rig->heartbeat_ms = m->heartbeat->sent_boot_ms;
		rig->stuck = m->heartbeat->n_stuck;
	}
	if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_UPDATES)
		acknowledge_update(m->updates->updates[0]);
	corral__agent_to_master__free_unpacked(m, NULL);
}

static void
fork_executor(const Corral__HelperLaunch *l)
{
	uint8_t uuids[2 * LIFE_UUID_BYTES];

	make_random(NULL, uuids, sizeof uuids);
	corral__task_spec__free_unpacked(rig->spec, NULL);
	rig->spec = attempt_copy_spec(l->spec);
	life_init(&rig->life, rig->spec, uuids, 1000000, rig->now_ms);
	life_lease(&rig->life, l->lease_end_boot_ms, rig->now_ms);
	rig->lives = true;
	rig->forks++;
}

static void
to_helper(const struct agent_out *out)
{
	Corral__HelperRequest *r = corral__helper_request__unpack(NULL, out->size, out->bytes);
	Corral__HelperReply reply = CORRAL__HELPER_REPLY__INIT;

	ck_assert_ptr_nonnull(r);
	reply.id = r->id;
	reply.has_alive = true;
	if (r->body_case == CORRAL__HELPER_REQUEST__BODY_LAUNCH) {
		fork_executor(r->launch);
		reply.has_pid = reply.has_start_time = true;
		reply.pid = 100;
		reply.start_time = 5;
	} else if (r->body_case == CORRAL__HELPER_REQUEST__BODY_KILL) {
		rig->kills++;
		reply.alive = rig->kill_fails;
		rig->gone_ms = rig->gone_ms == 0 && !rig->kill_fails ? rig->now_ms : rig->gone_ms;
		rig->lives = rig->linked = rig->kill_fails;
	} else if (r->body_case == CORRAL__HELPER_REQUEST__BODY_PROBE)
		reply.alive = rig->lives;
	agent_core_helper_reply(rig->core, &reply, rig->now_ms);
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
		agent_core_status(rig->core, &out->key, NULL, rig->now_ms);
		break;
	}
}

void
rig_drain(void)
{
	struct agent_out out;

	for (;;) {
		ck_assert_int_eq(agent_core_commit(rig->core), 0);
		if (!agent_core_next(rig->core, &out))
			return;
		perform(&out);
		agent_out_fini(&out);
	}
}

void
rig_boot(void)
{
	struct agent_core_conf conf = {
	    .identity = &rig->identity,
	    .boot_id = rig->boot_id,
	    .executor_address = "127.0.0.1:1",
	    .state_dir = "/state",
	    .hash_key = {1, 2},
	    .sandbox_keep_ms = 1000000,
	    .recovery_ms = 1000000,
	    .random = make_random,
	    .wall_ms = make_wall_ms,
	    .arg = rig,
	};
	struct checkpoint_faults faults;

	rig->core = agent_core_new(&conf, simdisk_store(rig->disk));
	ck_assert_ptr_nonnull(rig->core);
	ck_assert_int_eq(agent_core_open(rig->core, rig->now_ms, &faults), 0);
	rig_drain();
}

void
rig_agent_dies(void)
{
	agent_core_free(rig->core);
	rig->core = NULL;
	rig->linked = false;
	life_link(&rig->life, false, rig->now_ms);
	for (size_t i = 0; i < rig->mail_count; i++)
		corral__agent_to_executor__free_unpacked(rig->mail[i], NULL);
	rig->mail_count = 0;
	simdisk_crash(rig->disk);
}

void
rig_setup(void)
{
	rig = calloc(1, sizeof *rig);
	ck_assert_ptr_nonnull(rig);
	rig->disk = simdisk_new(1, UINT64_MAX);
	rig->now_ms = 100000;
	rig->boot_id = "boot-1";
	rig_term.era = 1;
	rig_term.czxid = 7;
	corral__register__init(&rig->identity);
	corral__resources__init(&rig->capacity);
	rig->capacity.cpu_milli = 1000;
	rig->capacity.memory_bytes = rig->capacity.disk_bytes = 1 << 30;
	rig->identity.node = node;
	rig->identity.capacity = &rig->capacity;
	ck_assert_ptr_nonnull(rig->disk);
	rig_boot();
}

void
rig_teardown(void)
{
	agent_core_free(rig->core);
	for (size_t i = 0; i < rig->mail_count; i++)
		corral__agent_to_executor__free_unpacked(rig->mail[i], NULL);
	corral__task_spec__free_unpacked(rig->spec, NULL);
	simdisk_free(rig->disk);
	free(rig);
}

/* ---- The master. ---- */

static enum agent_verdict
master_says(Corral__MasterToAgent *m)
{
	enum agent_verdict verdict;

	m->term = &rig_term;
	m->has_registration = true;
	m->registration = rig->registration;
	verdict = agent_core_master_message(rig->core, m, rig->now_ms);
	rig_drain();
	return verdict;
}

void
rig_register(void)
{
	rig->dropped = false;
	agent_core_master_up(rig->core, rig->now_ms);
	rig_drain();
}

void
rig_welcome(bool fresh)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Welcome welcome = CORRAL__WELCOME__INIT;

	rig->registration++;
	welcome.agent_id = agent_id;
	welcome.lease_ms = RIG_LEASE_MS;
	welcome.heartbeat_ms = RIG_LEASE_MS / 5;
	welcome.has_fresh = welcome.fresh = fresh;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_WELCOME;
	m.welcome = &welcome;
	master_says(&m);
}

void
rig_acknowledge(uint64_t sent_ms)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__HeartbeatAck ack = CORRAL__HEARTBEAT_ACK__INIT;

	ack.sent_boot_ms = sent_ms;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_HEARTBEAT_ACK;
	m.heartbeat_ack = &ack;
	master_says(&m);
}

enum agent_verdict
rig_launch(void)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Launch launch = CORRAL__LAUNCH__INIT;
	Corral__TaskLaunch task = CORRAL__TASK_LAUNCH__INIT, *list = &task;
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	Corral__TaskKey key = make_key();

	spec.argv = argv;
	spec.n_argv = 1;
	spec.has_singleton = spec.singleton = true;
	spec.has_timeout_stop_ms = true;
	spec.timeout_stop_ms = RIG_STOP_MS;
	task.key = &key;
	task.spec = &spec;
	launch.n_tasks = 1;
	launch.tasks = &list;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_LAUNCH;
	m.launch = &launch;
	return master_says(&m);
}

void
rig_kill(void)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Kill kill = CORRAL__KILL__INIT;
	Corral__TaskKey key = make_key(), *list = &key;

	kill.n_keys = 1;
	kill.keys = &list;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_KILL;
	m.kill = &kill;
	master_says(&m);
}

void
rig_run(void)
{
	rig_register();
	rig_welcome(true);
	ck_assert_int_eq(rig_launch(), AGENT_DONE);
	ck_assert_uint_eq(rig->forks, 1);
	rig_executor_connects();
	rig_deliver();
	ck_assert_int_eq(rig->state, CORRAL__TASK_STATE__RUNNING);
}

void
rig_pass(uint64_t ms)
{
	for (uint64_t end_ms = rig->now_ms + ms; rig->now_ms < end_ms;) {
		rig->now_ms += end_ms - rig->now_ms < 100 ? end_ms - rig->now_ms : 100;
		if (rig->core != NULL) {
			agent_core_tick(rig->core, rig->now_ms);
			rig_drain();
			agent_core_check(rig->core);
		}
		if (rig->lives && !rig->frozen) {
			life_tick(&rig->life, rig->now_ms);
			if (rig->kill_takes_ms != 0 && rig->dies_ms != 0 &&
			    rig->now_ms >= rig->dies_ms)
				task_dies(SIGKILL);
			executor_drain();
			if (rig->core != NULL)
				rig_deliver();
		}
	}
}
