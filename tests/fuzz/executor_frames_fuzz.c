/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes to an executor: frames of its agent, steps and the task that start, fail and end, and
 * time. It acts in the order of its states, starts the task once at most, and says one outcome.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "executor/core/life.h"
#include "libcommon/codec/taskspec.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzz.h"

enum kind {
	AGENT,
	SPEC,	/* at the beginning: what it runs */
	FAIL,	/* the next start does, with this errno, or for the lease's end */
	EXITED, /* with this status of waitpid(2) */
	SWEPT,
	LINK,
	TIME,
	KINDS
};

const ProtobufCMessageDescriptor *const frame_types[] = {
    [AGENT] = &corral__agent_to_executor__descriptor,
    [SPEC] = &corral__task_spec__descriptor,
    [TIME] = NULL};
const size_t frame_type_count = KINDS;
const size_t frame_peers = 2;
const char *const frame_texts[] = {"", "true", "sleep 1", "A=b", "=", "A", "x\n", NULL};

static struct life life;
static uint64_t now_ms;
static unsigned task_starts;
static int start_error;

static void
answer_start(const struct life_act *act)
{
	int error = start_error;

	assert(!life.process_runs);
	assert(act->step == LIFE_MAIN || act->step < life.spec->n_exec_start_pre);
	start_error = 0;
	task_starts += act->step == LIFE_MAIN;
	life_started(&life, error, 127, error == ETIME ? LIFE_STEP_LEASE : "exec", now_ms, 1);
}

/* As the shell does it. */
static void
drain(void)
{
	struct life_act act;

	while (life_next(&life, &act)) {
		switch (act.kind) {
		case LIFE_ACT_START:
			answer_start(&act);
			break;
		case LIFE_ACT_SIGNAL:
			assert(act.signo > 0 && act.signo < NSIG);
			break;
		case LIFE_ACT_SAVE:
		case LIFE_ACT_SEND:
			assert(act.update < 2 && life.update[act.update].made);
			break;
		case LIFE_ACT_LEAVE:
			assert(!life.process_runs);
			break;
		case LIFE_ACT_KILL:
		case LIFE_ACT_STUCK:
			break;
		}
	}
	assert(task_starts <= 1);
	assert(life_deadline_ms(&life) > 0);
	assert(life.state < LIFE_ENDED || life.update[1].made);
}

/* As executor/attempt.c has it. */
static void
take_agent(const struct script_line *l)
{
	Corral__AgentToExecutor *m = corral__agent_to_executor__unpack(NULL, l->size, l->bytes);

	if (m == NULL)
		return;
	if (!life_term(&life, m->term))
		goto out;
	if (m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_START)
		life_word(&life, now_ms);
	else if (m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_STOP)
		life_stop(&life, m->stop->has_now && m->stop->now, now_ms);
	else if (m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_SIGNAL && m->signal->signal > 0 &&
		 m->signal->signal < NSIG)
		life_signal(&life, m->signal->signal);
	else if (m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_UPDATE_ACK) {
		if (l->peer % 2 == 1) /* of the final one */
			life_acked(&life, life.update[1].uuid, LIFE_UUID_BYTES);
		else
			life_acked(&life, m->update_ack->uuid.data, m->update_ack->uuid.len);
	} else if (m->body_case == CORRAL__AGENT_TO_EXECUTOR__BODY_LEASE_END)
		life_lease(
		    &life, m->lease_end->end_boot_ms + (l->peer % 2 == 1 ? now_ms : 0), now_ms);
out:
	corral__agent_to_executor__free_unpacked(m, NULL);
}

static void
take(const struct script_line *l)
{
	struct life_exit e = {
	    .wait_status = (int)(frame_number(l) & 0xff7f), .out_of_memory = l->peer % 2 == 1};

	switch (l->kind % KINDS) {
	case AGENT:
		take_agent(l);
		break;
	case FAIL:
		start_error = (int)(frame_number(l) % 134);
		break;
	case EXITED:
		if (life.process_runs)
			life_exited(&life, &e, now_ms, 1);
		break;
	case SWEPT:
		life_swept(&life, now_ms);
		break;
	case LINK:
		life_link(&life, l->peer % 2 == 0, now_ms);
		break;
	case TIME:
		now_ms += frame_number(l) % (1 << 20);
		life_tick(&life, now_ms);
		break;
	default:
		break;
	}
	drain();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const uint8_t uuids[2 * LIFE_UUID_BYTES] = {1, [LIFE_UUID_BYTES] = 2};
	Corral__TaskSpec *spec = NULL;
	struct script_line l;
	size_t at = 0;

	if (script_next(bytes, size, &at, &l))
		spec = corral__task_spec__unpack(NULL, l.size, l.bytes);
	if (spec == NULL || taskspec_fault(spec) != NULL) {
		if (spec != NULL)
			corral__task_spec__free_unpacked(spec, NULL);
		return 0;
	}
	now_ms = 1000;
	task_starts = 0;
	start_error = 0;
	life_init(&life, spec, uuids, 900000, now_ms);
	while (script_next(bytes, size, &at, &l))
		take(&l);
	corral__task_spec__free_unpacked(spec, NULL);
	return 0;
}
