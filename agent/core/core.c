/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/core.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/core_internal.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/taskspec.h"

/* ---- The queue of what is to be done. ---- */

struct core_output {
	struct list link;
	struct agent_out out;
};

static struct agent_out *
push_output(struct agent_core *c, enum agent_out_kind kind)
{
	struct core_output *o = calloc(1, sizeof *o);

	if (o == NULL) {
		c->no_memory = true;
		return NULL;
	}
	o->out.kind = kind;
	list_append(&c->outputs, &o->link);
	return &o->out;
}

void
core_push(struct agent_core *c, enum agent_out_kind kind, const struct taskkey *key,
    const ProtobufCMessage *m)
{
	struct agent_out *out = push_output(c, kind);

	if (out == NULL)
		return;
	if (key != NULL)
		out->key = *key;
	if (m == NULL)
		return;
	out->size = protobuf_c_message_get_packed_size(m);
	if ((out->bytes = malloc(out->size > 0 ? out->size : 1)) == NULL)
		c->no_memory = true;
	else
		protobuf_c_message_pack(m, out->bytes);
}

void
core_drop_master(struct agent_core *c, const char *fmt, ...)
{
	struct agent_out *out = push_output(c, AGENT_OUT_MASTER_DROP);
	va_list ap;

	agent_core_master_down(c);
	if (out == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(out->text, sizeof out->text, fmt, ap);
	va_end(ap);
}

void
core_to_executor(struct agent_core *c, const struct attempt *a, Corral__AgentToExecutor *m)
{
	if (a->linked)
		core_push(c, AGENT_OUT_EXECUTOR, &a->key, &m->base);
}

void
core_pass_on(struct agent_core *c, const struct attempt *a, Corral__AgentToExecutor *m,
    const Corral__Term *term)
{
	m->term = (Corral__Term *)(uintptr_t)term;
	core_to_executor(c, a, m);
}

bool
agent_core_next(struct agent_core *c, struct agent_out *out)
{
	struct list *first = list_first(&c->outputs);
	struct core_output *o;

	/* What depends on the checkpoint leaves only after it is durable. */
	assert(c->checkpoint.pending.len == 0 && !c->no_memory);
	if (first == NULL)
		return false;
	o = CONTAINER_OF(first, struct core_output, link);
	list_remove(&o->link);
	*out = o->out;
	free(o);
	return true;
}

void
agent_out_fini(struct agent_out *out)
{
	if (out->bytes != NULL)
		explicit_bzero(out->bytes, out->size); /* a launch carries a key */
	free(out->bytes);
	out->bytes = NULL;
}

/* ---- Records. ---- */

static void
record(struct agent_core *c, Corral__CheckpointRecord *r, bool sync)
{
	checkpoint_append(&c->checkpoint, r, sync);
}

void
core_record_node(struct agent_core *c)
{
	Corral__CheckpointRecord r = CORRAL__CHECKPOINT_RECORD__INIT;
	Corral__CheckpointNode node = CORRAL__CHECKPOINT_NODE__INIT;

	node.agent_id = c->agent_id;
	node.boot_id = (char *)(uintptr_t)c->conf.boot_id;
	node.has_executor_port = true;
	node.executor_port = c->executor_port;
	node.has_incomplete = true;
	node.incomplete = c->incomplete;
	r.body_case = CORRAL__CHECKPOINT_RECORD__BODY_NODE;
	r.node = &node;
	record(c, &r, true);
}

void
core_record_term(struct agent_core *c)
{
	Corral__CheckpointRecord r = CORRAL__CHECKPOINT_RECORD__INIT;

	r.body_case = CORRAL__CHECKPOINT_RECORD__BODY_HIGHEST_TERM;
	r.highest_term = &c->highest_term;
	record(c, &r, true);
}

void
core_record_attempt(struct agent_core *c, const struct attempt *a)
{
	Corral__CheckpointRecord r = CORRAL__CHECKPOINT_RECORD__INIT;
	Corral__CheckpointAttempt at = CORRAL__CHECKPOINT_ATTEMPT__INIT;

	at.key = a->key_message;
	at.spec = a->spec;
	at.has_psk = true;
	at.psk.data = (uint8_t *)(uintptr_t)a->psk;
	at.psk.len = sizeof a->psk;
	r.body_case = CORRAL__CHECKPOINT_RECORD__BODY_ATTEMPT;
	r.attempt = &at;
	record(c, &r, true);
}

void
core_record_executor(struct agent_core *c, const struct attempt *a)
{
	Corral__CheckpointRecord r = CORRAL__CHECKPOINT_RECORD__INIT;
	Corral__CheckpointExecutor e = CORRAL__CHECKPOINT_EXECUTOR__INIT;

	e.key = a->key_message;
	e.pid = a->pid;
	e.start_time = a->start_time;
	r.body_case = CORRAL__CHECKPOINT_RECORD__BODY_EXECUTOR;
	r.executor = &e;
	record(c, &r, true);
}

void
core_record_update(struct agent_core *c, Corral__StatusUpdate *update)
{
	Corral__CheckpointRecord r = CORRAL__CHECKPOINT_RECORD__INIT;

	r.body_case = CORRAL__CHECKPOINT_RECORD__BODY_UPDATE;
	r.update = update;
	record(c, &r, true);
}

void
core_record_ack(struct agent_core *c, const struct attempt *a, const Corral__StatusUpdate *update)
{
	Corral__CheckpointRecord r = CORRAL__CHECKPOINT_RECORD__INIT;
	Corral__UpdateAck ack = CORRAL__UPDATE_ACK__INIT;

	ack.key = a->key_message;
	ack.uuid = update->uuid;
	r.body_case = CORRAL__CHECKPOINT_RECORD__BODY_ACK;
	r.ack = &ack;
	/* Not synced: lost in a power cut, the update is sent again under the same uuid. */
	record(c, &r, false);
}

void
core_record_forget(struct agent_core *c, const struct attempt *a)
{
	Corral__CheckpointRecord r = CORRAL__CHECKPOINT_RECORD__INIT;
	Corral__CheckpointForget f = CORRAL__CHECKPOINT_FORGET__INIT;

	f.key = a->key_message;
	r.body_case = CORRAL__CHECKPOINT_RECORD__BODY_FORGET;
	r.forget = &f;
	record(c, &r, false);
}

/*
 * The last update that was acknowledged: of those only the number (the next one goes on from it),
 * the state and the uuid still matter.
 */
static void
dump_acked(struct agent_core *c, const struct attempt *a)
{
	uint32_t sequence = a->sequence - a->update_count;
	Corral__StatusUpdate u = CORRAL__STATUS_UPDATE__INIT;
	unsigned acked = a->seen_count - a->update_count;

	if (a->sequence <= a->update_count || a->seen_count <= a->update_count)
		return;
	u.key = a->key_message;
	u.sequence = sequence;
	u.state = a->update_count == 0 ? a->state : CORRAL__TASK_STATE__RUNNING;
	u.uuid.data = (uint8_t *)(uintptr_t)a->seen_uuids[(acked - 1) % ATTEMPT_UPDATES_MAX];
	u.uuid.len = ATTEMPT_UUID_BYTES;
	core_record_update(c, &u);
	core_record_ack(c, a, &u);
}

/* Everything that is still true of it, as records that lead to it. */
static void
dump_attempt(struct agent_core *c, struct attempt *a)
{
	struct list *it, *nx;

	core_record_attempt(c, a);
	if (a->executor_known)
		core_record_executor(c, a);
	dump_acked(c, a);
	LIST_EACH(it, nx, &a->updates)
		core_record_update(c, CONTAINER_OF(it, struct attempt_update, link)->message);
}

static void
dump(void *arg, struct checkpoint *checkpoint)
{
	struct agent_core *c = arg;
	struct list *it, *nx;

	assert(checkpoint == &c->checkpoint);
	core_record_node(c);
	if (c->has_term)
		core_record_term(c);
	LIST_EACH(it, nx, &c->settled)
		dump_attempt(c, CONTAINER_OF(it, struct attempt, link));
	LIST_EACH(it, nx, &c->active)
		dump_attempt(c, CONTAINER_OF(it, struct attempt, link));
}

/* ---- Recovery. ---- */

struct recovery {
	struct agent_core *core;
	char boot_id[64]; /* of the last run */
};

static void
replay_attempt(struct agent_core *c, const Corral__CheckpointAttempt *r)
{
	struct taskkey key = taskkey_of(r->key);
	struct attempt *a;

	if (attempt_find(&c->table, &key) != NULL)
		return;
	if ((a = core_add_attempt(c, r->key, r->spec)) == NULL)
		return;
	a->phase = ATTEMPT_RECOVERING;
	if (r->has_psk && r->psk.len == sizeof a->psk)
		memcpy(a->psk, r->psk.data, sizeof a->psk);
}

static void
replay_update(struct agent_core *c, struct attempt *a, const Corral__StatusUpdate *u)
{
	if (a->phase >= ATTEMPT_OVER)
		return;
	if (!attempt_add_update(a, u)) {
		c->no_memory = true;
		return;
	}
	attempt_saw_uuid(a, &u->uuid);
	if (attempt_state_is_terminal(u->state))
		a->phase = ATTEMPT_OVER;
}

static void
replay_ack(struct attempt *a, const Corral__UpdateAck *ack)
{
	Corral__StatusUpdate *first = attempt_first_update(a);

	if (first == NULL || first->uuid.len != ack->uuid.len ||
	    memcmp(first->uuid.data, ack->uuid.data, ack->uuid.len) != 0)
		return;
	attempt_drop_first_update(a);
}

static void
replay_node(struct recovery *r, const Corral__CheckpointNode *node)
{
	str_copy(r->core->agent_id, sizeof r->core->agent_id,
	    node->agent_id != NULL ? node->agent_id : "");
	str_copy(r->boot_id, sizeof r->boot_id, node->boot_id);
	r->core->incomplete = node->has_incomplete && node->incomplete;
	if (node->has_executor_port && node->executor_port <= UINT16_MAX)
		r->core->executor_port = (uint16_t)node->executor_port;
}

static struct attempt *
find_message(struct agent_core *c, const Corral__TaskKey *key)
{
	struct taskkey k = taskkey_of(key);

	return attempt_find(&c->table, &k);
}

static bool
replay(void *arg, const Corral__CheckpointRecord *r)
{
	struct recovery *recovery = arg;
	struct agent_core *c = recovery->core;
	struct attempt *a;

	switch (r->body_case) {
	case CORRAL__CHECKPOINT_RECORD__BODY_NODE:
		replay_node(recovery, r->node);
		break;
	case CORRAL__CHECKPOINT_RECORD__BODY_HIGHEST_TERM:
		c->highest_term.era = r->highest_term->era;
		c->highest_term.czxid = r->highest_term->czxid;
		c->has_term = true;
		break;
	case CORRAL__CHECKPOINT_RECORD__BODY_ATTEMPT:
		replay_attempt(c, r->attempt);
		break;
	case CORRAL__CHECKPOINT_RECORD__BODY_EXECUTOR:
		if ((a = find_message(c, r->executor->key)) != NULL) {
			a->pid = r->executor->pid;
			a->start_time = r->executor->start_time;
			a->executor_known = true;
		}
		break;
	case CORRAL__CHECKPOINT_RECORD__BODY_UPDATE:
		if ((a = find_message(c, r->update->key)) != NULL)
			replay_update(c, a, r->update);
		break;
	case CORRAL__CHECKPOINT_RECORD__BODY_ACK:
		if ((a = find_message(c, r->ack->key)) != NULL)
			replay_ack(a, r->ack);
		break;
	case CORRAL__CHECKPOINT_RECORD__BODY_FORGET:
		if ((a = find_message(c, r->forget->key)) != NULL && a->phase == ATTEMPT_OVER) {
			c->active_count--;
			attempt_free(&c->table, a);
		}
		break;
	default: /* of a newer agent: what it says cannot be kept */
		break;
	}
	return !c->no_memory;
}

int
agent_core_open(struct agent_core *c, uint64_t now_ms, struct checkpoint_faults *faults)
{
	struct recovery r = {.core = c};
	struct list *it, *nx;
	int rc;

	c->incomplete = true; /* unless the checkpoint says otherwise */
	if ((rc = checkpoint_read(&c->checkpoint, replay, &r, faults)) != 0)
		return rc;
	c->incomplete = c->incomplete || faults->damaged;
	if (r.boot_id[0] != '\0' && strcmp(r.boot_id, c->conf.boot_id) != 0)
		c->incomplete = false; /* what ran in another boot does not run */
	if ((rc = checkpoint_rewrite(&c->checkpoint, dump, c, faults->damaged)) != 0)
		return rc;
	LIST_EACH(it, nx, &c->active)
		core_recover(c, CONTAINER_OF(it, struct attempt, link),
		    strcmp(r.boot_id, c->conf.boot_id) == 0, now_ms);
	if (c->incomplete)
		core_sweep_begin(c, now_ms);
	return 0;
}

int
agent_core_commit(struct agent_core *c)
{
	int rc;

	if (c->no_memory)
		return -ENOMEM;
	if ((rc = checkpoint_flush(&c->checkpoint)) != 0)
		return rc;
	if (checkpoint_has_grown(&c->checkpoint))
		return checkpoint_rewrite(&c->checkpoint, dump, c, false);
	return 0;
}

/* ---- The rest. ---- */

struct agent_core *
agent_core_new(const struct agent_core_conf *conf, struct store *store)
{
	struct agent_core *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->conf = *conf;
	checkpoint_init(&c->checkpoint, store);
	corral__term__init(&c->highest_term);
	corral__node_usage__init(&c->usage);
	hmap_init(&c->table.map);
	c->table.hash_key = conf->hash_key;
	list_init(&c->active);
	list_init(&c->settled);
	list_init(&c->helper_waits);
	list_init(&c->outputs);
	return c;
}

void
agent_core_free(struct agent_core *c)
{
	struct list *it, *nx;

	if (c == NULL)
		return;
	LIST_EACH(it, nx, &c->outputs) {
		agent_out_fini(&CONTAINER_OF(it, struct core_output, link)->out);
		free(CONTAINER_OF(it, struct core_output, link));
	}
	LIST_EACH(it, nx, &c->helper_waits)
		free(CONTAINER_OF(it, struct helper_wait, link));
	HMAP_EACH(it, nx, &c->table.map)
		attempt_free(&c->table, HMAP_ENTRY(it, struct attempt, node));
	hmap_fini(&c->table.map);
	checkpoint_fini(&c->checkpoint);
	free(c);
}

uint16_t
agent_core_executor_port(const struct agent_core *c)
{
	return c->executor_port;
}

void
agent_core_set_executor_port(struct agent_core *c, uint16_t port)
{
	if (port == c->executor_port)
		return;
	c->executor_port = port;
	core_record_node(c);
}

void
agent_core_set_usage(struct agent_core *c, const Corral__NodeUsage *usage)
{
	c->usage = *usage;
}

bool
agent_core_psk(const struct agent_core *c, const char *name, uint8_t psk[ATTEMPT_PSK_BYTES])
{
	const struct attempt *a = attempt_find_name(&c->table, name);

	if (a == NULL || a->phase == ATTEMPT_SETTLED)
		return false;
	memcpy(psk, a->psk, ATTEMPT_PSK_BYTES);
	return true;
}

const struct attempt *
agent_core_find(const struct agent_core *c, const struct taskkey *key)
{
	return attempt_find(&c->table, key);
}

const struct list *
agent_core_active(const struct agent_core *c)
{
	return &c->active;
}

bool
agent_core_registered(const struct agent_core *c)
{
	return c->registered;
}

uint64_t
agent_core_register_number(const struct agent_core *c)
{
	return c->register_number;
}

uint64_t
agent_core_registration(const struct agent_core *c)
{
	return c->registration;
}

static bool
path_below(const struct agent_core *c, const char *folder, const char *name, char *to, size_t size)
{
	int n = snprintf(to, size, "%s/%s/%s", c->conf.state_dir, folder, name);

	return n > 0 && (size_t)n < size;
}

bool
agent_core_sandbox(const struct agent_core *c, const char *name, char *to, size_t size)
{
	return path_below(c, "sandbox", name, to, size);
}

bool
agent_core_run_directory(const struct agent_core *c, const char *name, char *to, size_t size)
{
	return path_below(c, "run", name, to, size);
}

void
agent_core_in_use(const struct agent_core *c, Corral__Resources *to)
{
	struct list *it, *nx;

	corral__resources__init(to);
	LIST_EACH(it, nx, (struct list *)&c->active) {
		const struct attempt *a = CONTAINER_OF(it, struct attempt, link);

		if (a->phase == ATTEMPT_OVER || a->spec == NULL || a->spec->resources == NULL)
			continue;
		to->cpu_milli += a->spec->resources->cpu_milli;
		to->memory_bytes +=
		    a->spec->resources->memory_bytes + TASKSPEC_EXECUTOR_MEMORY_BYTES;
		to->disk_bytes += a->spec->resources->disk_bytes;
	}
}

void
agent_core_check(const struct agent_core *c)
{
	uint64_t cpu = 0, memory = 0;
	size_t active = 0, settled = 0, stuck = 0;
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->active) {
		const struct attempt *a = CONTAINER_OF(it, struct attempt, link);

		active++;
		stuck += a->stuck;
		assert(!a->stuck || a->phase < ATTEMPT_OVER);
		assert(a->phase != ATTEMPT_SETTLED);
		assert((a->phase == ATTEMPT_OVER) == attempt_state_is_terminal(a->state));
		assert(a->phase == ATTEMPT_OVER || a->spec != NULL);
		if (a->phase != ATTEMPT_OVER && a->spec->resources != NULL) {
			cpu += a->spec->resources->cpu_milli;
			memory += a->spec->resources->memory_bytes;
		}
	}
	LIST_EACH(it, nx, &c->settled) {
		settled++;
		assert(CONTAINER_OF(it, struct attempt, link)->phase == ATTEMPT_SETTLED);
	}
	assert(active == c->active_count && settled == c->settled_count);
	assert(stuck == c->stuck_count);
	assert(c->table.map.count == active + settled);
	assert(cpu <= c->conf.identity->capacity->cpu_milli);
	assert(memory <= c->conf.identity->capacity->memory_bytes);
	assert(!c->registered || (c->up && !c->incomplete));
}
