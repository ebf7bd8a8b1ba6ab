/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/agent_world.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/unit.h"

#define TURNS_MAX 400
#define TURN_MS 50

char agent_world_agent_id[] = "A1";
static char node[] = "n1", job[] = "job", word[] = "true", *argv[] = {word};
static Corral__Term term = CORRAL__TERM__INIT;

void
agent_world_random(void *arg, void *bytes, size_t size)
{
	struct agent_world *w = arg;
	uint8_t *to = bytes;

	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)hash_u64(++w->random);
}

int64_t
agent_world_wall_ms(void *arg)
{
	return (int64_t)((struct agent_world *)arg)->now_ms;
}

Corral__TaskKey
agent_world_key(void)
{
	Corral__TaskKey key = CORRAL__TASK_KEY__INIT;

	term.era = 1;
	term.czxid = 7;
	key.job = job;
	key.incarnation = 9;
	key.attempt = 1;
	key.term = &term;
	return key;
}

/* ---- Master. ---- */

static void
agent_world_from_master(struct agent_world *w, Corral__MasterToAgent *m)
{
	m->term = &term;
	m->has_registration = true;
	m->registration = w->registration;
	agent_core_master_message(w->core, m, w->now_ms);
}

static void
agent_world_launch(struct agent_world *w)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Launch launch = CORRAL__LAUNCH__INIT;
	Corral__TaskLaunch task = CORRAL__TASK_LAUNCH__INIT, *list = &task;
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	Corral__Resources want = CORRAL__RESOURCES__INIT;
	Corral__TaskKey key = agent_world_key();

	want.has_cpu_milli = true;
	want.cpu_milli = 600;
	spec.argv = argv;
	spec.n_argv = 1;
	spec.resources = &want;
	task.key = &key;
	task.spec = &spec;
	launch.n_tasks = 1;
	launch.tasks = &list;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_LAUNCH;
	m.launch = &launch;
	w->launched = true;
	agent_world_from_master(w, &m);
}

static void
master_kill(struct agent_world *w)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Kill kill = CORRAL__KILL__INIT;
	Corral__TaskKey key = agent_world_key(), *list = &key;

	kill.n_keys = 1;
	kill.keys = &list;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_KILL;
	m.kill = &kill;
	agent_world_from_master(w, &m);
}

void
agent_world_welcome(struct agent_world *w, const Corral__Register *r)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Welcome welcome = CORRAL__WELCOME__INIT;

	w->registration++;
	welcome.agent_id = agent_world_agent_id;
	welcome.lease_ms = 1000000;
	welcome.heartbeat_ms = 1000000;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_WELCOME;
	m.welcome = &welcome;
	agent_world_from_master(w, &m);
	if (!w->launched)
		agent_world_launch(w);
	else if (r->n_tasks == 0 && w->outcome == 0)
		master_kill(w); /* lost on the way: it is never to start */
}

static void
master_update(struct agent_world *w, Corral__StatusUpdate *u)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__UpdateAcks acks = CORRAL__UPDATE_ACKS__INIT;
	Corral__UpdateAck ack = CORRAL__UPDATE_ACK__INIT, *list = &ack;

	ck_assert_uint_le(u->sequence, w->last_sequence + 1); /* no gap */
	if (u->sequence > w->last_sequence)
		w->last_sequence = u->sequence;
	if (attempt_state_is_terminal(u->state) &&
	    (w->outcomes == 0 || memcmp(w->outcome_uuid, u->uuid.data, ATTEMPT_UUID_BYTES) != 0)) {
		w->outcomes++;
		w->outcome = u->state;
		memcpy(w->outcome_uuid, u->uuid.data, ATTEMPT_UUID_BYTES);
	}
	ack.key = u->key;
	ack.uuid = u->uuid;
	acks.n_acks = 1;
	acks.acks = &list;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_UPDATE_ACKS;
	m.update_acks = &acks;
	agent_world_from_master(w, &m);
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

	*key = agent_world_key();
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
	Corral__ExecutorHello hello = CORRAL__EXECUTOR_HELLO__INIT;
	Corral__StatusUpdate u;
	Corral__TaskKey key = agent_world_key();
	struct taskkey k = taskkey_of(&key);

	if (!e->alive)
		return;
	if (!e->linked) {
		hello.key = &key;
		hello.pid = 100;
		hello.start_time = 5;
		hello.state = e->said > 1   ? e->outcome
			      : e->has_word ? CORRAL__TASK_STATE__RUNNING
					    : CORRAL__TASK_STATE__LAUNCHING;
		e->linked = agent_core_hello(w->core, &hello, w->now_ms);
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
			agent_core_executor_update(w->core, &k, &u, w->now_ms);
	}
}

static void
executor_gone(struct agent_world *w)
{
	Corral__TaskKey key = agent_world_key();
	struct taskkey k = taskkey_of(&key);
	bool linked = w->executor.linked;

	w->executor.alive = w->executor.linked = false;
	if (linked && w->core != NULL)
		agent_core_executor_down(w->core, &k, w->now_ms);
}

static void
to_executor(struct agent_world *w, const struct agent_out *out)
{
	Corral__AgentToExecutor *m = corral__agent_to_executor__unpack(NULL, out->size, out->bytes);
	struct fake_executor *e = &w->executor;

	ck_assert_ptr_nonnull(m);
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
	default:
		reply.error = w->executor.alive ? busy : NULL;
		break;
	}
	agent_core_helper_reply(w->core, &reply, w->now_ms);
	corral__helper_request__free_unpacked(r, NULL);
}

static void
read_status(struct agent_world *w, const struct taskkey *key)
{
	Corral__StatusUpdate u;
	Corral__TaskKey message;

	agent_world_executor_message(w, 1, &u, &message);
	agent_core_status(w->core, key, w->executor.status_written ? &u : NULL, w->now_ms);
}

/* ---- The agent's shell. ---- */

void
agent_world_crash(struct agent_world *w)
{
	agent_core_free(w->core);
	w->core = NULL;
	w->crashed = true;
	w->connected = false;
	w->executor.linked = false;
	simdisk_stop_at(w->disk, 0);
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
		if (agent_core_commit(w->core) != 0)
			return false;
		if (!agent_core_next(w->core, &out))
			return true;
		w->acts++;
		if (w->acts == w->executor_dies_at_act)
			executor_gone(w);
		if (w->acts == w->crash_at_act) {
			agent_out_fini(&out);
			return false;
		}
		if (agent_core_commit(w->core) != 0) {
			agent_out_fini(&out);
			return false;
		}
		perform(w, &out);
		agent_out_fini(&out);
		agent_core_check(w->core);
	}
}

bool
agent_world_boot(struct agent_world *w)
{
	struct agent_core_conf conf = {
	    .identity = &w->identity,
	    .boot_id = w->boot_id,
	    .executor_address = "127.0.0.1:1",
	    .state_dir = "/state",
	    .hash_key = {1, 2},
	    .sandbox_keep_ms = 1000000,
	    .recovery_ms = 5000,
	    .random = agent_world_random,
	    .wall_ms = agent_world_wall_ms,
	    .arg = w,
	};
	struct checkpoint_faults faults;

	w->core = agent_core_new(&conf, simdisk_store(w->disk));
	ck_assert_ptr_nonnull(w->core);
	if (agent_core_open(w->core, w->now_ms, &faults) != 0)
		return false;
	ck_assert(!faults.damaged);
	return true;
}

void
agent_world_init(struct agent_world *w)
{
	*w = (struct agent_world){
	    .disk = simdisk_new(1, UINT64_MAX), .now_ms = 1000, .boot_id = "boot-1"};
	corral__register__init(&w->identity);
	corral__resources__init(&w->capacity);
	w->capacity.cpu_milli = 1000;
	w->capacity.memory_bytes = w->capacity.disk_bytes = 1 << 30;
	w->identity.node = node;
	w->identity.capacity = &w->capacity;
	ck_assert_ptr_nonnull(w->disk);
}

void
agent_world_fini(struct agent_world *w)
{
	agent_core_free(w->core);
	simdisk_free(w->disk);
}

/* Turn until the master has the outcome; with `power`, a crash is a power loss and another boot. */
void
agent_world_run(struct agent_world *w, bool power)
{
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		bool lives = true;

		w->now_ms += TURN_MS;
		if (w->core == NULL)
			lives = agent_world_boot(w);
		if (lives && !w->connected) {
			w->connected = true;
			agent_core_master_up(w->core, w->now_ms);
		}
		if (lives)
			executor_turn(w);
		if (lives)
			agent_core_tick(w->core, w->now_ms);
		if (!lives || !agent_world_drain(w)) {
			agent_world_crash(w);
			if (!power)
				simdisk_crash(w->disk);
			else {
				simdisk_power_loss(w->disk);
				executor_gone(w);
				w->boot_id = "boot-2";
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
