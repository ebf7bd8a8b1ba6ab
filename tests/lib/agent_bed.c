/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/agent_bed.h"

#include "tests/lib/unit.h"

static char node[] = "n1", job[] = "job", word[] = "true", *argv[] = {word},
	    agent_id[] = AGENT_BED_ID;

static void
make_random(void *arg, void *bytes, size_t size)
{
	struct agent_bed *b = arg;
	uint8_t *to = bytes;

	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)hash_u64(++b->random);
}

static int64_t
wall_ms(void *arg)
{
	return (int64_t)((struct agent_bed *)arg)->now_ms;
}

void
agent_bed_init(struct agent_bed *b, uint64_t now_ms, uint64_t recovery_ms)
{
	*b = (struct agent_bed){.disk = simdisk_new(1, UINT64_MAX),
	    .boot_id = "boot-1",
	    .now_ms = now_ms,
	    .recovery_ms = recovery_ms};
	ck_assert_ptr_nonnull(b->disk);
	corral__term__init(&b->term);
	b->term.era = 1;
	b->term.czxid = 7;
	corral__register__init(&b->identity);
	corral__resources__init(&b->capacity);
	b->capacity.cpu_milli = 1000;
	b->capacity.memory_bytes = b->capacity.disk_bytes = 1 << 30;
	b->identity.node = node;
	b->identity.capacity = &b->capacity;
}

void
agent_bed_fini(struct agent_bed *b)
{
	agent_core_free(b->core);
	simdisk_free(b->disk);
}

int
agent_bed_boot(struct agent_bed *b, struct checkpoint_faults *faults)
{
	struct agent_core_conf conf = {
	    .identity = &b->identity,
	    .boot_id = b->boot_id,
	    .executor_address = "127.0.0.1:1",
	    .state_dir = "/state",
	    .hash_key = {1, 2},
	    .sandbox_keep_ms = 1000000,
	    .recovery_ms = b->recovery_ms,
	    .random = make_random,
	    .wall_ms = wall_ms,
	    .arg = b,
	};

	b->core = agent_core_new(&conf, simdisk_store(b->disk));
	ck_assert_ptr_nonnull(b->core);
	return agent_core_open(b->core, b->now_ms, faults);
}

Corral__TaskKey
agent_bed_key(struct agent_bed *b)
{
	Corral__TaskKey key = CORRAL__TASK_KEY__INIT;

	key.job = job;
	key.incarnation = 9;
	key.attempt = 1;
	key.term = &b->term;
	return key;
}

bool
agent_bed_hello(struct agent_bed *b, Corral__TaskState state)
{
	return agent_bed_hello_of(b, state, NULL, false);
}

bool
agent_bed_hello_of(
    struct agent_bed *b, Corral__TaskState state, const Corral__Term *highest, bool stopping)
{
	Corral__ExecutorHello hello = CORRAL__EXECUTOR_HELLO__INIT;
	Corral__TaskKey key = agent_bed_key(b);

	hello.key = &key;
	hello.pid = 100;
	hello.start_time = 5;
	hello.state = state;
	hello.highest_term = (Corral__Term *)(uintptr_t)highest;
	hello.has_stopping = hello.stopping = stopping;
	return agent_core_hello(b->core, &hello, b->now_ms);
}

enum agent_verdict
agent_bed_say(struct agent_bed *b, Corral__MasterToAgent *m)
{
	m->term = &b->term;
	m->has_registration = true;
	m->registration = b->registration;
	return agent_core_master_message(b->core, m, b->now_ms);
}

enum agent_verdict
agent_bed_welcome(struct agent_bed *b, uint64_t lease_ms, uint64_t heartbeat_ms)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Welcome welcome = CORRAL__WELCOME__INIT;

	b->registration++;
	welcome.agent_id = agent_id;
	welcome.lease_ms = lease_ms;
	welcome.heartbeat_ms = heartbeat_ms;
	welcome.has_answers = true;
	welcome.answers = agent_core_register_number(b->core);
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_WELCOME;
	m.welcome = &welcome;
	return agent_bed_say(b, &m);
}

enum agent_verdict
agent_bed_launch(struct agent_bed *b, Corral__TaskSpec *spec)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Launch launch = CORRAL__LAUNCH__INIT;
	Corral__TaskLaunch task = CORRAL__TASK_LAUNCH__INIT, *list = &task;
	Corral__TaskKey key = agent_bed_key(b);

	spec->argv = argv;
	spec->n_argv = 1;
	task.key = &key;
	task.spec = spec;
	launch.n_tasks = 1;
	launch.tasks = &list;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_LAUNCH;
	m.launch = &launch;
	return agent_bed_say(b, &m);
}

enum agent_verdict
agent_bed_kill(struct agent_bed *b)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__Kill kill = CORRAL__KILL__INIT;
	Corral__TaskKey key = agent_bed_key(b), *list = &key;

	kill.n_keys = 1;
	kill.keys = &list;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_KILL;
	m.kill = &kill;
	return agent_bed_say(b, &m);
}

enum agent_verdict
agent_bed_acknowledge(struct agent_bed *b, const Corral__StatusUpdate *u)
{
	Corral__MasterToAgent m = CORRAL__MASTER_TO_AGENT__INIT;
	Corral__UpdateAcks acks = CORRAL__UPDATE_ACKS__INIT;
	Corral__UpdateAck ack = CORRAL__UPDATE_ACK__INIT, *list = &ack;

	ack.key = u->key;
	ack.uuid = u->uuid;
	acks.n_acks = 1;
	acks.acks = &list;
	m.body_case = CORRAL__MASTER_TO_AGENT__BODY_UPDATE_ACKS;
	m.update_acks = &acks;
	return agent_bed_say(b, &m);
}
