/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes to an agent: messages of masters, executors and its helper, final statuses of
 * executors, in any order, and restarts in between. Whatever comes, its books balance, what it says
 * can be read, and its checkpoint, too.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/codec/message.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/agent_bed.h"

enum kind {
	MASTER,	  /* as it came */
	COMMAND,  /* in the term and the registration that hold */
	EXECUTOR, /* of the attempt that the peer's number says, among those that are active */
	HELPER,	  /* a reply; with the id of the request that waits, unless the peer is 0 */
	STATUS,	  /* in a run directory */
	WELCOME,  /* so long a lease */
	LINK,	  /* the master's goes down, and up again */
	TIME,
	RESTART, /* 0: the agent, 1: after a crash, 2: the machine, 3: after a power loss; 4 more:
		    its helper has not ended what the checkpoint lacks */
	KINDS
};

const ProtobufCMessageDescriptor *const frame_types[] = {
    [MASTER] = &corral__master_to_agent__descriptor,
    [COMMAND] = &corral__master_to_agent__descriptor,
    [EXECUTOR] = &corral__executor_to_agent__descriptor,
    [HELPER] = &corral__helper_reply__descriptor,
    [STATUS] = &corral__status_update__descriptor,
    [RESTART] = NULL};
const size_t frame_type_count = KINDS;
const size_t frame_peers = 4;
const char *const frame_texts[] = {
    "", "job", "n1", "A1", "true", "sleep 1", "../../etc", "a\nb", "\x01\xff", "operator:o", NULL};

static struct agent_bed bed;
static uint64_t asked; /* the oldest request to the helper that is not answered */

static void
read_frame(const ProtobufCMessageDescriptor *type, const struct agent_out *out)
{
	ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, out->size, out->bytes);

	assert(m != NULL);
	protobuf_c_message_free_unpacked(m, NULL);
}

/* As the shell does it: durable first, then what follows. */
static void
drain(void)
{
	struct agent_out out;

	for (;;) {
		assert(agent_core_commit(bed.core) == 0);
		if (!agent_core_next(bed.core, &out))
			break;
		if (out.kind == AGENT_OUT_MASTER)
			read_frame(&corral__agent_to_master__descriptor, &out);
		else if (out.kind == AGENT_OUT_EXECUTOR)
			read_frame(&corral__agent_to_executor__descriptor, &out);
		else if (out.kind == AGENT_OUT_HELPER)
			read_frame(&corral__helper_request__descriptor, &out);
		else if (out.kind == AGENT_OUT_MASTER_DROP)
			agent_core_master_down(bed.core);
		agent_out_fini(&out);
	}
	agent_core_check(bed.core);
}

/* The helper has met nothing that the checkpoint lacks. */
static void
answer_sweep(void)
{
	Corral__HelperReply r = CORRAL__HELPER_REPLY__INIT;
	const char *error;

	if (!agent_core_is_sweeping(bed.core, &error))
		return;
	agent_core_tick(bed.core, bed.now_ms);
	drain();
	r.id = asked++;
	r.has_alive = true;
	agent_core_helper_reply(bed.core, &r, bed.now_ms);
	drain();
	assert(!agent_core_is_sweeping(bed.core, &error));
}

static void
boot(bool swept)
{
	struct checkpoint_faults faults;

	assert(agent_bed_boot(&bed, &faults) == 0);
	assert(!faults.damaged);
	asked = 1;
	drain();
	if (swept)
		answer_sweep();
	agent_core_master_up(bed.core, bed.now_ms);
}

static void
restart(uint64_t how)
{
	agent_core_free(bed.core);
	if (how % 4 == 1)
		simdisk_crash(bed.disk);
	if (how % 4 == 3)
		simdisk_power_loss(bed.disk);
	if (how % 4 >= 2)
		bed.boot_id = bed.boot_id[5] == '1' ? "boot-2" : "boot-1";
	boot(how % 8 < 4);
}

static void
correct_term(Corral__Term *term)
{
	term->era = bed.term.era;
	term->czxid = bed.term.czxid;
}

static void
take_master(const struct script_line *l, bool right)
{
	Corral__MasterToAgent *m = (Corral__MasterToAgent *)message_unpack(
	    &corral__master_to_agent__descriptor, l->size, l->bytes);

	if (m == NULL)
		return;
	if (right) {
		correct_term(m->term);
		m->has_registration = true;
		m->registration = agent_core_registration(bed.core);
	}
	for (size_t i = 0; right && m->body_case == CORRAL__MASTER_TO_AGENT__BODY_LAUNCH &&
			   i < m->launch->n_tasks;
	     i++)
		correct_term(m->launch->tasks[i]->key->term);
	agent_core_master_message(bed.core, m, bed.now_ms);
	/* A later term that was obeyed is the one that holds. */
	if (!right && term_compare(m->term, &bed.term) > 0) {
		bed.term.era = m->term->era;
		bed.term.czxid = m->term->czxid;
	}
	corral__master_to_agent__free_unpacked(m, NULL);
}

static const struct attempt *
active(uint8_t number)
{
	const struct list *all = agent_core_active(bed.core);
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)all)
		if (number-- % frame_peers == 0)
			return CONTAINER_OF(it, struct attempt, link);
	return NULL;
}

/* What comes over its link is by its key an attempt's; a hello may say another one. */
static void
take_executor(const struct script_line *l)
{
	Corral__ExecutorToAgent *m = (Corral__ExecutorToAgent *)message_unpack(
	    &corral__executor_to_agent__descriptor, l->size, l->bytes);
	const struct attempt *a = active(l->peer);
	struct taskkey key;

	if (m == NULL || a == NULL) {
		corral__executor_to_agent__free_unpacked(m, NULL);
		return;
	}
	key = a->key;
	switch (m->body_case) {
	case CORRAL__EXECUTOR_TO_AGENT__BODY_HELLO:
		if (l->peer < frame_peers) {
			corral__task_key__free_unpacked(m->hello->key, NULL);
			m->hello->key = attempt_copy_key(a->key_message);
		}
		if (!agent_core_hello(bed.core, m->hello, bed.now_ms))
			agent_core_executor_down(bed.core, &key, bed.now_ms);
		break;
	case CORRAL__EXECUTOR_TO_AGENT__BODY_UPDATE:
		agent_core_executor_update(bed.core, &key, m->update, bed.now_ms);
		break;
	case CORRAL__EXECUTOR_TO_AGENT__BODY_STUCK:
		agent_core_executor_stuck(bed.core, &key, bed.now_ms);
		break;
	case CORRAL__EXECUTOR_TO_AGENT__BODY_INPUT_ACK: /* the shell's; here it hangs up */
		agent_core_executor_down(bed.core, &key, bed.now_ms);
		break;
	default:
		break;
	}
	corral__executor_to_agent__free_unpacked(m, NULL);
}

static void
take_helper(const struct script_line *l)
{
	Corral__HelperReply *r = corral__helper_reply__unpack(NULL, l->size, l->bytes);

	if (r == NULL)
		return;
	if (l->peer % frame_peers != 0)
		r->id = asked++;
	agent_core_helper_reply(bed.core, r, bed.now_ms);
	corral__helper_reply__free_unpacked(r, NULL);
}

static void
take_status(const struct script_line *l)
{
	Corral__StatusUpdate *u = (Corral__StatusUpdate *)message_unpack(
	    &corral__status_update__descriptor, l->size, l->bytes);
	const struct attempt *a = active(l->peer);
	struct taskkey key;

	if (a != NULL) {
		key = a->key;
		agent_core_status(bed.core, &key, u, bed.now_ms);
	}
	if (u != NULL)
		corral__status_update__free_unpacked(u, NULL);
}

static void
take(const struct script_line *l)
{
	switch (l->kind % KINDS) {
	case MASTER:
	case COMMAND:
		take_master(l, l->kind % KINDS == COMMAND);
		break;
	case EXECUTOR:
		take_executor(l);
		break;
	case HELPER:
		take_helper(l);
		break;
	case STATUS:
		take_status(l);
		break;
	case WELCOME:
		agent_bed_welcome(&bed, frame_number(l), l->peer);
		break;
	case LINK:
		agent_core_master_down(bed.core);
		drain();
		agent_core_master_up(bed.core, bed.now_ms);
		break;
	case TIME:
		bed.now_ms += frame_number(l) % (1 << 20);
		agent_core_tick(bed.core, bed.now_ms);
		break;
	case RESTART:
		restart(frame_number(l));
		break;
	}
	drain();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct script_line l;
	size_t at = 0;

	agent_bed_init(&bed, 1000, 5000);
	bed.capacity.has_cpu_milli = bed.capacity.has_memory_bytes = true;
	boot(true);
	while (script_next(bytes, size, &at, &l))
		take(&l);
	agent_bed_fini(&bed);
	return 0;
}
