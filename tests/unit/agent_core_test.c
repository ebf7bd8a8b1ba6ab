/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's core in a small world of fakes: a disk, a helper, one executor, a master that
 * launches one task. The world is stopped at every operation of the disk and before every act, and
 * started again: each time the task was started once or never, and exactly one outcome is reported.
 */
#include "agent/core/core.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/simdisk.h"
#include "tests/lib/unit.h"

#define TURNS_MAX 400
#define TURN_MS 50

struct fake_executor {
	unsigned forks; /* how often it was started */
	bool alive, linked, has_word, stopped, status_written;
	unsigned said; /* updates made: RUNNING, the final one */
	unsigned acked;
	Corral__TaskState outcome;
};

struct world {
	struct simdisk *disk;
	struct agent_core *core;
	Corral__Register identity;
	Corral__Resources capacity;
	const char *boot_id;
	uint64_t now_ms;
	uint64_t random;
	/* Where it is stopped: before the act of this number; where the executor dies. 0: nowhere.
	 */
	uint64_t acts, crash_at_act, executor_dies_at_act;
	bool crashed;
	struct fake_executor executor;
	/* The master. */
	bool connected, launched;
	unsigned starts; /* of the task */
	uint64_t registration;
	Corral__TaskState outcome; /* 0: none yet */
	uint32_t last_sequence;
	unsigned outcomes; /* different terminal updates */
	uint8_t outcome_uuid[ATTEMPT_UUID_BYTES];
};

static char node[] = "n1", job[] = "job", word[] = "true", *argv[] = {word}, agent_id[] = "A1";
static Corral__Term term = CORRAL__TERM__INIT;

static void
make_random(void *arg, void *bytes, size_t size)
{
	struct world *w = arg;
	uint8_t *to = bytes;

	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)hash_u64(++w->random);
}

static int64_t
make_wall_ms(void *arg)
{
	return (int64_t)((struct world *)arg)->now_ms;
}

static Corral__TaskKey
make_key(void)
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
from_master(struct world *w, Corral__MasterToAgent *m)
{
	m->term = &term;
	m->has_registration = true;
	m->registration = w->registration;
	agent_core_master_message(w->core, m, w->now_ms);
}

static void
master_launch(struct world *w)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Launch launch = CORRAL__LAUNCH__INIT;
	Corral__TaskLaunch task = CORRAL__TASK_LAUNCH__INIT, *list = &task;
	Corral__TaskSpec spec = CORRAL__TASK_SPEC__INIT;
	Corral__Resources want = CORRAL__RESOURCES__INIT;
	Corral__TaskKey key = make_key();

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
	from_master(w, &m);
}

static void
master_kill(struct world *w)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Kill kill = CORRAL__KILL__INIT;
	Corral__TaskKey key = make_key(), *list = &key;

	kill.n_keys = 1;
	kill.keys = &list;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_KILL;
	m.kill = &kill;
	from_master(w, &m);
}

static void
master_registered(struct world *w, const Corral__Register *r)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Welcome welcome = CORRAL__WELCOME__INIT;

	w->registration++;
	welcome.agent_id = agent_id;
	welcome.lease_ms = 1000000;
	welcome.heartbeat_ms = 1000000;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_WELCOME;
	m.welcome = &welcome;
	from_master(w, &m);
	if (!w->launched)
		master_launch(w);
	else if (r->n_tasks == 0 && w->outcome == 0)
		master_kill(w); /* lost on the way: it is never to start */
}

static void
master_update(struct world *w, Corral__StatusUpdate *u)
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
	from_master(w, &m);
}

static void
to_master(struct world *w, const struct agent_out *out)
{
	Corral__AgentToMaster *m = corral__agent_to_master__unpack(NULL, out->size, out->bytes);

	ck_assert_ptr_nonnull(m);
	if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_REGISTER)
		master_registered(w, m->register_);
	else if (m->body_case == CORRAL__AGENT_TO_MASTER__BODY_UPDATES)
		master_update(w, m->updates->updates[0]);
	corral__agent_to_master__free_unpacked(m, NULL);
}

/* ---- Executor and helper. ---- */

static void
executor_message(struct world *w, unsigned n, Corral__StatusUpdate *u, Corral__TaskKey *key)
{
	static uint8_t uuids[2][ATTEMPT_UUID_BYTES] = {{0xaa, 1}, {0xaa, 2}};

	*key = make_key();
	corral__status_update__init(u);
	u->key = key;
	u->sequence = n + 1;
	u->uuid.data = uuids[n];
	u->uuid.len = ATTEMPT_UUID_BYTES;
	u->state = n == 0 ? CORRAL__TASK_STATE__RUNNING : w->executor.outcome;
}

static void
executor_turn(struct world *w)
{
	struct fake_executor *e = &w->executor;
	Corral__ExecutorHello hello = CORRAL__EXECUTOR_HELLO__INIT;
	Corral__StatusUpdate u;
	Corral__TaskKey key = make_key();
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
		executor_message(w, n, &u, &key);
		if (n == 1 || e->has_word)
			agent_core_executor_update(w->core, &k, &u, w->now_ms);
	}
}

static void
executor_gone(struct world *w)
{
	Corral__TaskKey key = make_key();
	struct taskkey k = taskkey_of(&key);
	bool linked = w->executor.linked;

	w->executor.alive = w->executor.linked = false;
	if (linked && w->core != NULL)
		agent_core_executor_down(w->core, &k, w->now_ms);
}

static void
to_executor(struct world *w, const struct agent_out *out)
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
to_helper(struct world *w, const struct agent_out *out)
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
read_status(struct world *w, const struct taskkey *key)
{
	Corral__StatusUpdate u;
	Corral__TaskKey message;

	executor_message(w, 1, &u, &message);
	agent_core_status(w->core, key, w->executor.status_written ? &u : NULL, w->now_ms);
}

/* ---- The agent's shell. ---- */

static void
crash(struct world *w)
{
	agent_core_free(w->core);
	w->core = NULL;
	w->crashed = true;
	w->connected = false;
	w->executor.linked = false;
	simdisk_stop_at(w->disk, 0);
}

static void
perform(struct world *w, const struct agent_out *out)
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
drain(struct world *w)
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

static bool
boot(struct world *w)
{
	struct agent_core_conf conf = {
	    .identity = &w->identity,
	    .boot_id = w->boot_id,
	    .executor_address = "127.0.0.1:1",
	    .state_dir = "/state",
	    .hash_key = {1, 2},
	    .sandbox_keep_ms = 1000000,
	    .recovery_ms = 5000,
	    .random = make_random,
	    .wall_ms = make_wall_ms,
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

static void
world_init(struct world *w)
{
	*w =
	    (struct world){.disk = simdisk_new(1, UINT64_MAX), .now_ms = 1000, .boot_id = "boot-1"};
	corral__register__init(&w->identity);
	corral__resources__init(&w->capacity);
	w->capacity.cpu_milli = 1000;
	w->capacity.memory_bytes = w->capacity.disk_bytes = 1 << 30;
	w->identity.node = node;
	w->identity.capacity = &w->capacity;
	ck_assert_ptr_nonnull(w->disk);
}

static void
world_fini(struct world *w)
{
	agent_core_free(w->core);
	simdisk_free(w->disk);
}

/* Turn until the master has the outcome; with `power`, a crash is a power loss and another boot. */
static void
run(struct world *w, bool power)
{
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		bool lives = true;

		w->now_ms += TURN_MS;
		if (w->core == NULL)
			lives = boot(w);
		if (lives && !w->connected) {
			w->connected = true;
			agent_core_master_up(w->core, w->now_ms);
		}
		if (lives)
			executor_turn(w);
		if (lives)
			agent_core_tick(w->core, w->now_ms);
		if (!lives || !drain(w)) {
			crash(w);
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
static void
check_world(const struct world *w, const char *what, uint64_t at)
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

START_TEST(without_a_fault_the_task_is_started_once_and_finishes)
{
	struct world w;

	world_init(&w);
	run(&w, false);
	check_world(&w, "no fault", 0);
	ck_assert_int_eq(w.outcome, CORRAL__TASK_STATE__FINISHED);
	ck_assert_uint_eq(w.starts, 1);
	ck_assert_uint_eq(w.last_sequence, 2);
	world_fini(&w);
}
END_TEST

START_TEST(a_kill_of_the_agent_before_any_act_leaves_one_outcome)
{
	struct world w;
	uint64_t at = 1;

	for (bool reached = true; reached; at++) {
		world_init(&w);
		w.crash_at_act = at;
		run(&w, false);
		reached = w.crashed;
		check_world(&w, "agent killed", at);
		/* Once the word was given and executors live on, nothing is lost. */
		if (w.starts == 1)
			ck_assert_int_eq(w.outcome, CORRAL__TASK_STATE__FINISHED);
		world_fini(&w);
	}
	ck_assert_uint_gt(at, 10);
}
END_TEST

START_TEST(a_kill_of_the_agent_at_any_disk_operation_leaves_one_outcome)
{
	struct world w;
	uint64_t at = 1;

	for (bool reached = true; reached; at++) {
		world_init(&w);
		simdisk_stop_at(w.disk, at);
		run(&w, false);
		reached = w.crashed;
		check_world(&w, "agent killed at disk operation", at);
		world_fini(&w);
	}
	ck_assert_uint_gt(at, 10);
}
END_TEST

START_TEST(a_power_loss_at_any_disk_operation_leaves_one_outcome)
{
	struct world w;
	uint64_t at = 1;

	for (bool reached = true; reached; at++) {
		world_init(&w);
		simdisk_stop_at(w.disk, at);
		run(&w, true);
		reached = w.crashed;
		check_world(&w, "power lost at disk operation", at);
		world_fini(&w);
	}
	ck_assert_uint_gt(at, 10);
}
END_TEST

START_TEST(a_kill_of_the_executor_at_any_act_leaves_one_outcome)
{
	struct world w;
	uint64_t acts = 1;

	for (uint64_t at = 1; at <= acts; at++) {
		world_init(&w);
		w.executor_dies_at_act = at;
		run(&w, false);
		check_world(&w, "executor killed", at);
		acts = w.acts;
		world_fini(&w);
	}
	ck_assert_uint_gt(acts, 5);
}
END_TEST

START_TEST(a_term_that_is_lower_than_one_seen_is_refused_after_a_restart_as_well)
{
	struct world w;
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Term old = CORRAL__TERM__INIT;
	struct agent_out out;
	bool dropped = false;

	world_init(&w);
	run(&w, false);
	crash(&w);
	simdisk_crash(w.disk);
	ck_assert(boot(&w));
	agent_core_master_up(w.core, w.now_ms);
	old.era = 1;
	old.czxid = 6;
	m.term = &old;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_KILL;
	ck_assert_int_eq(agent_core_master_message(w.core, &m, w.now_ms), AGENT_IGNORED);
	ck_assert_int_eq(agent_core_commit(w.core), 0);
	while (agent_core_next(w.core, &out)) {
		dropped = dropped || (out.kind == AGENT_OUT_MASTER_DROP &&
					 strstr(out.text, "is older than") != NULL);
		agent_out_fini(&out);
	}
	ck_assert(dropped);
	world_fini(&w);
}
END_TEST

START_TEST(a_lease_that_ends_drops_the_master)
{
	struct world w;
	struct agent_out out;
	bool dropped = false;

	world_init(&w);
	run(&w, false);
	ck_assert(agent_core_registered(w.core));
	agent_core_tick(w.core, w.now_ms + 2000000);
	ck_assert(!agent_core_registered(w.core));
	ck_assert_int_eq(agent_core_commit(w.core), 0);
	while (agent_core_next(w.core, &out)) {
		dropped = dropped || out.kind == AGENT_OUT_MASTER_DROP;
		agent_out_fini(&out);
	}
	ck_assert(dropped);
	world_fini(&w);
}
END_TEST

/* What comes out of the core says Register, with this agent id. */
static bool
registers_as(struct world *w, const char *id)
{
	struct agent_out out;
	bool found = false;

	while (agent_core_next(w->core, &out)) {
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

static int
open_again(struct world *w, struct checkpoint_faults *faults)
{
	struct agent_core_conf conf = {.identity = &w->identity,
	    .boot_id = w->boot_id,
	    .state_dir = "/state",
	    .executor_address = "",
	    .random = make_random,
	    .wall_ms = make_wall_ms,
	    .arg = w};

	w->core = agent_core_new(&conf, simdisk_store(w->disk));
	return agent_core_open(w->core, w->now_ms, faults);
}

START_TEST(rot_in_the_checkpoint_is_named_and_the_file_is_kept)
{
	struct world w;
	struct checkpoint_faults faults;
	struct store_file *f;

	world_init(&w);
	run(&w, false);
	crash(&w);
	simdisk_settle(w.disk);
	simdisk_crash(w.disk);
	ck_assert(simdisk_flip_bit(w.disk, CHECKPOINT_NAME, 60, 3));
	ck_assert_int_eq(open_again(&w, &faults), 0);
	ck_assert(faults.damaged);
	ck_assert_uint_gt(faults.cut_bytes, 0);
	ck_assert_int_eq(
	    store_open(simdisk_store(w.disk), "checkpoint.damaged", STORE_OPEN_READ, &f), 0);
	store_close(f);
	world_fini(&w);
}
END_TEST

static void
damage_last_record(struct world *w)
{
	struct store_file *f;
	uint64_t size;

	ck_assert_int_eq(
	    store_open(simdisk_store(w->disk), CHECKPOINT_NAME, STORE_OPEN_READ, &f), 0);
	ck_assert_int_eq(store_size(f, &size), 0);
	store_close(f);
	ck_assert(simdisk_flip_bit(w->disk, CHECKPOINT_NAME, size - 1, 3));
}

/* Who the node is stands before the damage, and is known whenever it was stopped. */
START_TEST(a_stop_while_damage_is_put_aside_leaves_a_checkpoint)
{
	struct checkpoint_faults faults;
	bool reached = true;
	struct world w;
	uint64_t at = 1;

	for (; reached; at++) {
		world_init(&w);
		run(&w, false);
		crash(&w);
		simdisk_settle(w.disk);
		simdisk_crash(w.disk);
		damage_last_record(&w);
		simdisk_stop_at(w.disk, simdisk_ops(w.disk) + at);
		reached = open_again(&w, &faults) != 0;
		crash(&w);
		if (_i == 0)
			simdisk_crash(w.disk);
		else
			simdisk_power_loss(w.disk);
		ck_assert_int_eq(open_again(&w, &faults), 0);
		agent_core_master_up(w.core, w.now_ms);
		ck_assert_int_eq(agent_core_commit(w.core), 0);
		ck_assert(registers_as(&w, agent_id));
		world_fini(&w);
	}
	ck_assert_uint_gt(at, 5);
}
END_TEST

/* The last request to the helper that comes out now; 0: there is none. */
static uint64_t
take_request(struct world *w, Corral__HelperRequest__BodyCase *kind)
{
	struct agent_out out;
	uint64_t id = 0;

	ck_assert_int_eq(agent_core_commit(w->core), 0);
	while (agent_core_next(w->core, &out)) {
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
reply_alive(struct world *w, uint64_t id, bool alive)
{
	Corral__HelperReply reply = CORRAL__HELPER_REPLY__INIT;

	reply.id = id;
	reply.has_alive = true;
	reply.alive = alive;
	agent_core_helper_reply(w->core, &reply, w->now_ms);
}

static void
executor_says_hello(struct world *w, const Corral__TaskKey *key)
{
	Corral__ExecutorHello hello = CORRAL__EXECUTOR_HELLO__INIT;

	hello.key = (Corral__TaskKey *)(uintptr_t)key;
	hello.pid = 100;
	hello.start_time = 5;
	hello.state = CORRAL__TASK_STATE__RUNNING;
	ck_assert(agent_core_hello(w->core, &hello, w->now_ms));
}

/* An executor runs its task, and its link is down. */
static void
start_and_lose_link(struct world *w, const Corral__TaskKey *key)
{
	Corral__HelperRequest__BodyCase kind = CORRAL__HELPER_REQUEST__BODY__NOT_SET;
	struct taskkey k = taskkey_of(key);
	uint64_t id;

	ck_assert(boot(w));
	agent_core_master_up(w->core, w->now_ms);
	take_request(w, &kind);
	master_registered(w, NULL);
	id = take_request(w, &kind);
	ck_assert_int_eq(kind, CORRAL__HELPER_REQUEST__BODY_LAUNCH);
	reply_alive(w, id, true);
	executor_says_hello(w, key);
	agent_core_executor_down(w->core, &k, w->now_ms);
}

/* Its time was over at once, and it had nobody to report to. */
START_TEST(an_executor_is_not_given_up_for_the_time_that_its_agent_stood_still)
{
	Corral__HelperRequest__BodyCase kind = CORRAL__HELPER_REQUEST__BODY__NOT_SET;
	Corral__TaskKey key = make_key();
	struct world w;

	world_init(&w);
	start_and_lose_link(&w, &key);
	w.now_ms += 90000;
	agent_core_tick(w.core, w.now_ms);
	for (int look = 0; look < 2; look++) {
		reply_alive(&w, take_request(&w, &kind), true);
		ck_assert_int_eq(kind, CORRAL__HELPER_REQUEST__BODY_PROBE);
		w.now_ms += 2000;
		agent_core_tick(w.core, w.now_ms);
	}
	executor_says_hello(&w, &key);
	world_fini(&w);
}
END_TEST

/* It was silent, and reports its end while the helper is asked to kill it. */
START_TEST(an_attempt_that_ends_while_it_is_being_killed_is_cleaned_up)
{
	Corral__HelperRequest__BodyCase kind = CORRAL__HELPER_REQUEST__BODY__NOT_SET;
	Corral__TaskKey key = make_key(), message;
	struct taskkey k = taskkey_of(&key);
	Corral__StatusUpdate u;
	struct world w;
	uint64_t id = 0;

	world_init(&w);
	start_and_lose_link(&w, &key);
	while (kind != CORRAL__HELPER_REQUEST__BODY_KILL && w.now_ms < 100000) {
		if ((id = take_request(&w, &kind)) != 0 &&
		    kind != CORRAL__HELPER_REQUEST__BODY_KILL)
			reply_alive(&w, id, true);
		w.now_ms += kind == CORRAL__HELPER_REQUEST__BODY_KILL ? 0 : 1000;
		if (kind != CORRAL__HELPER_REQUEST__BODY_KILL)
			agent_core_tick(w.core, w.now_ms);
	}
	ck_assert_int_eq(kind, CORRAL__HELPER_REQUEST__BODY_KILL);
	executor_says_hello(&w, &key);
	w.executor.outcome = CORRAL__TASK_STATE__FINISHED;
	executor_message(&w, 1, &u, &message);
	agent_core_executor_update(w.core, &k, &u, w.now_ms);
	agent_core_executor_down(w.core, &k, w.now_ms);
	reply_alive(&w, id, true);
	ck_assert_uint_ne(take_request(&w, &kind), 0);
	ck_assert_int_eq(kind, CORRAL__HELPER_REQUEST__BODY_REMOVE);
	world_fini(&w);
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
	tcase_add_test(t, rot_in_the_checkpoint_is_named_and_the_file_is_kept);
	tcase_add_test(t, an_executor_is_not_given_up_for_the_time_that_its_agent_stood_still);
	tcase_add_test(t, an_attempt_that_ends_while_it_is_being_killed_is_cleaned_up);
	tcase_add_loop_test(t, a_stop_while_damage_is_put_aside_leaves_a_checkpoint, 0, 2);
	suite_add_tcase(s, t);
	return s;
}
