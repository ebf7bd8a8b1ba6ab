/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent's checkpoint: records whose sums are right, whatever they say, and bytes between them.
 * Whatever it is, the agent starts, and what it takes from it is what the next start takes from the
 * file that it has written.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/codec/record.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/agent_bed.h"

#define FILE_BYTES_MAX (1 << 20)

enum kind { RECORD, BYTES, KINDS };

const ProtobufCMessageDescriptor *const frame_types[KINDS] = {
    [RECORD] = &corral__checkpoint_record__descriptor};
const size_t frame_type_count = KINDS;
const size_t frame_peers = 16; /* below 2, and it is a record: rarely */
const char *const frame_texts[] = {
    "", "job", "n1", "A1", "boot-1", "boot-2", "true", "A=b", "\x01\xff", NULL};

static struct agent_bed bed;

static void
write_file(const uint8_t *bytes, size_t size)
{
	struct store *store = simdisk_store(bed.disk);
	struct script_line l;
	struct store_file *f;
	struct buf b;
	size_t at = 0;

	buf_init(&b, FILE_BYTES_MAX);
	while (script_next(bytes, size, &at, &l))
		if (l.kind % KINDS == RECORD)
			record_put(&b, l.bytes, l.size);
		else if (l.peer % frame_peers < 2)
			buf_append(&b, l.bytes, l.size);
	assert(!b.failed);
	assert(store_open(store, CHECKPOINT_NAME, STORE_OPEN_REPLACE, &f) == 0);
	assert(b.len == 0 || store_pwrite(f, b.data, b.len, 0) == 0);
	assert(store_sync(f) == 0 && store_sync_dir(store) == 0);
	store_close(f);
	buf_fini(&b);
}

/* If more may run than the checkpoint has, the helper has ended it. */
static void
sweep(void)
{
	Corral__HelperReply r = CORRAL__HELPER_REPLY__INIT;
	struct agent_out out;
	const char *error;

	agent_core_tick(bed.core, bed.now_ms);
	assert(agent_core_commit(bed.core) == 0);
	while (agent_core_next(bed.core, &out)) {
		Corral__HelperRequest *q =
		    out.kind == AGENT_OUT_HELPER
			? corral__helper_request__unpack(NULL, out.size, out.bytes)
			: NULL;

		if (q != NULL && q->body_case == CORRAL__HELPER_REQUEST__BODY_SWEEP)
			r.id = q->id;
		if (q != NULL)
			corral__helper_request__free_unpacked(q, NULL);
		agent_out_fini(&out);
	}
	/* (It is the first request of all.) */
	assert(agent_core_is_sweeping(bed.core, &error) == (r.id != 0));
	r.has_alive = true;
	agent_core_helper_reply(bed.core, &r, bed.now_ms);
}

/* What it tells its master of its tasks; *count of them. */
static Corral__AgentToMaster *
report(void)
{
	Corral__AgentToMaster *m = NULL;
	struct agent_out out;

	agent_core_master_up(bed.core, bed.now_ms);
	assert(agent_core_commit(bed.core) == 0);
	while (agent_core_next(bed.core, &out)) {
		if (out.kind == AGENT_OUT_MASTER && m == NULL)
			m = corral__agent_to_master__unpack(NULL, out.size, out.bytes);
		agent_out_fini(&out);
	}
	assert(m != NULL && m->body_case == CORRAL__AGENT_TO_MASTER__BODY_REGISTER);
	return m;
}

static void
compare(const Corral__Register *a, const Corral__Register *b)
{
	assert(a->n_tasks == b->n_tasks);
	for (size_t i = 0; i < a->n_tasks; i++) {
		struct taskkey x = taskkey_of(a->tasks[i]->key), y = taskkey_of(b->tasks[i]->key);

		assert(taskkey_equal(&x, &y));
		assert(attempt_state_is_terminal(a->tasks[i]->state) ==
		       attempt_state_is_terminal(b->tasks[i]->state));
	}
	assert((a->highest_term == NULL) == (b->highest_term == NULL));
	assert(a->highest_term == NULL || term_compare(a->highest_term, b->highest_term) == 0);
	assert(strcmp(a->agent_id, b->agent_id) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct checkpoint_faults faults;
	Corral__AgentToMaster *first, *second;

	agent_bed_init(&bed, 1000, 5000);
	bed.capacity.cpu_milli = bed.capacity.memory_bytes = UINT64_MAX; /* it may have had more */
	write_file(bytes, size);
	assert(agent_bed_boot(&bed, &faults) == 0);
	agent_core_check(bed.core);
	sweep();
	first = report();
	agent_core_free(bed.core);
	assert(agent_bed_boot(&bed, &faults) == 0);
	assert(!faults.damaged && faults.cut_bytes == 0);
	sweep();
	second = report();
	compare(first->register_, second->register_);
	corral__agent_to_master__free_unpacked(first, NULL);
	corral__agent_to_master__free_unpacked(second, NULL);
	for (int i = 0; i < 4; i++) {
		bed.now_ms += 10000;
		agent_core_tick(bed.core, bed.now_ms);
		agent_core_check(bed.core);
	}
	agent_bed_fini(&bed);
	return 0;
}
