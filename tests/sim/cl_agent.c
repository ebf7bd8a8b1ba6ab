/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's process, as agent/agent.c has it, and the machine that it runs on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "libcommon/codec/record.h"
#include "tests/sim/cl_check.h"
#include "tests/sim/cl_host.h"

#define SANDBOX_KEEP_MS (3600 * 1000)
#define RECOVERY_MS 60000
#define LENGTH_BYTES 4 /* of a record's head */

static uint64_t
now(const struct cl_host *h)
{
	return cl_now(h->machine);
}

static void
make_random(void *arg, void *bytes, size_t size)
{
	struct cl_host *h = arg;
	uint8_t *to = bytes;

	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)rng_u64(&h->c->rng_core);
}

static int64_t
wall_ms(void *arg)
{
	return cl_wall_ms(((struct cl_host *)arg)->machine);
}

bool
cl_agent_runs(const struct cl_host *h)
{
	return h->core != NULL && cl_runs(&h->proc);
}

/* ---- Its end. ---- */

static void on_start(void *arg, uint64_t token);

static void
forget_core(struct cl_host *h)
{
	cl_agent_links_end(h);
	if (h->holds)
		agent_out_fini(&h->held);
	h->holds = false;
	agent_core_free(h->core);
	h->core = NULL;
	h->in_turn = false;
}

static void
die(struct cl_proc *p)
{
	struct cl_host *h = p->owner;

	cl_trace(h->c, "%s: the agent dies", h->machine->name);
	forget_core(h);
	cl_helper_lose(h);
	cl_proc_end(p);
	if (h->before != NULL) {
		/* (The planted bug: what it did last came before it was written.) */
		simdisk_free(h->disk);
		h->disk = h->before;
		h->before = NULL;
	} else {
		simdisk_crash(h->disk);
	}
	world_at(&h->c->world, 200 + rng_below(&h->c->rng_host, h->c->calm ? 2000 : 30000),
	    on_start, h, h->power);
}

void
cl_agent_kill(struct cl_host *h)
{
	if (h->proc.up)
		die(&h->proc);
}

/* ---- Turns. ---- */

static void
read_status(struct cl_host *h, const struct taskkey *key)
{
	struct cl_group *g = cl_group_find(h, key);
	Corral__StatusUpdate *u = NULL;

	if (g != NULL && g->status != NULL)
		u = corral__status_update__unpack(NULL, g->status_size, g->status);
	agent_core_status(h->core, key, u, now(h));
	if (u != NULL)
		corral__status_update__free_unpacked(u, NULL);
}

static void
perform(struct cl_host *h, const struct agent_out *out)
{
	cl_check_agent_out(h, out);
	switch (out->kind) {
	case AGENT_OUT_MASTER:
		cl_agent_master_send(h, out);
		break;
	case AGENT_OUT_MASTER_DROP:
		cl_trace(h->c, "%s: leaves its master: %s", h->machine->name, out->text);
		cl_agent_master_drop(h);
		break;
	case AGENT_OUT_EXECUTOR:
		cl_agent_executor_send(h, out);
		break;
	case AGENT_OUT_HELPER:
		cl_helper_ask(h, out);
		break;
	case AGENT_OUT_READ_STATUS:
		read_status(h, &out->key);
		break;
	}
}

static void
disk_failed(struct cl_host *h, int rc)
{
	cl_trace(h->c, "%s: the checkpoint cannot be written: %d", h->machine->name, rc);
	if (rc == SIMDISK_STOPPED)
		cl_host_power_loss(h, 1000 + rng_below(&h->c->rng_host, 30000));
	else
		die(&h->proc);
}

/* The next thing to do, or the one before which the turn was cut; false: there is none. */
static bool
next_out(struct cl_host *h)
{
	if (!h->holds)
		h->holds = agent_core_next(h->core, &h->held);
	return h->holds;
}

static void
turn(struct cl_proc *p)
{
	struct cl_host *h = p->owner;
	enum cl_go go = CL_GO;
	int rc;

	if (h->core == NULL)
		return;
	if (p->gathered > 2)
		MARK("turn: an agent's, of three events or more");
	p->gathered = 0;
	h->in_turn = true;
	if (h->c->plant == CL_PLANT_OUTPUT_FIRST && h->before == NULL)
		h->before = simdisk_copy(h->disk);
	while ((rc = agent_core_commit(h->core)) == 0) {
		cl_check_agent_committed(h);
		if (!next_out(h))
			break;
		if ((go = cl_output(&h->proc)) != CL_GO)
			return;
		perform(h, &h->held);
		agent_out_fini(&h->held);
		h->holds = false;
	}
	if (rc != 0) {
		disk_failed(h, rc);
		return;
	}
	h->in_turn = false;
	if (h->before != NULL)
		simdisk_free(h->before);
	h->before = NULL;
	agent_core_check(h->core);
	cl_check_agent(h);
	cl_timer(&h->proc, agent_core_deadline_ms(h->core));
	cl_agent_links_timer(h);
}

void
cl_agent_turn(struct cl_host *h)
{
	if (h->core != NULL && !cl_gather(&h->proc))
		turn(&h->proc);
}

static void
tick(struct cl_proc *p)
{
	struct cl_host *h = p->owner;

	if (h->core == NULL)
		return;
	if (now(h) >= agent_core_deadline_ms(h->core))
		agent_core_tick(h->core, now(h));
	cl_agent_links_tick(h);
	cl_agent_turn(h);
}

static void
resume(struct cl_proc *p)
{
	struct cl_host *h = p->owner;

	if (h->in_turn)
		turn(p);
	if (cl_runs(p))
		cl_helper_deliver(h);
	if (cl_runs(p))
		tick(p);
}

/* ---- Its start. ---- */

static bool
open_core(struct cl_host *h)
{
	struct agent_core_conf conf = {
	    .identity = &h->identity,
	    .boot_id = h->machine->boot_id,
	    .executor_address = "127.0.0.1:5061",
	    .state_dir = "/s",
	    .hash_key = {7, 8},
	    .sandbox_keep_ms = SANDBOX_KEEP_MS,
	    .recovery_ms = RECOVERY_MS,
	    .random = make_random,
	    .wall_ms = wall_ms,
	    .arg = h,
	};
	struct checkpoint_faults faults;
	int rc;

	if ((h->core = agent_core_new(&conf, simdisk_store(h->disk))) == NULL)
		exit(71);
	rc = agent_core_open(h->core, now(h), &faults);
	if (rc == 0) {
		cl_check_recovered(h, &faults);
		return true;
	}
	disk_failed(h, rc);
	return false;
}

static void
on_start(void *arg, uint64_t token)
{
	struct cl_host *h = arg;

	if (h->proc.up || !h->powered || h->power != token)
		return;
	if (cl_is_asleep(h->machine)) {
		world_at(&h->c->world, 1000, on_start, h, token);
		return;
	}
	cl_proc_start(&h->proc);
	h->starts++;
	cl_trace(h->c, "%s: the agent starts", h->machine->name);
	if (!open_core(h))
		return;
	cl_agent_links_start(h);
	cl_agent_turn(h);
}

/* ---- Rot. ---- */

static size_t
read_checkpoint(struct cl_host *h, uint8_t **bytes)
{
	struct store_file *f;
	uint64_t size = 0;
	ssize_t n = 0;

	*bytes = NULL;
	if (store_open(simdisk_store(h->disk), CHECKPOINT_NAME, STORE_OPEN_READ, &f) != 0)
		return 0;
	if (store_size(f, &size) == 0 && size > 0) {
		*bytes = cl_alloc(size);
		n = store_pread(f, *bytes, size, 0);
	}
	store_close(f);
	return n < 0 ? 0 : (size_t)n;
}

/*
 * In half of all rot the head of a record. (Not the last one's length: one that says too much there
 * cannot be told from the end of a write that was cut.)
 */
static size_t
any_byte(struct cl_host *h, const uint8_t *bytes, size_t size)
{
	struct rng *r = &h->c->rng_disk;
	bool heads = rng_below(r, 2) == 0;
	size_t at = rng_below(r, size), next = 0, last = 0, count = 0, length;
	const uint8_t *contents;

	while (record_get(bytes, size, &next, &contents, &length) == RECORD_OK) {
		if (heads && rng_below(r, ++count) == 0)
			at = last + rng_below(r, RECORD_HEAD_BYTES);
		if (next < size)
			last = next;
	}
	return at >= last && at < last + LENGTH_BYTES ? at + LENGTH_BYTES : at;
}

static void
flip(struct cl_host *h)
{
	uint8_t *bytes;
	size_t size = read_checkpoint(h, &bytes);

	if (size > RECORD_HEAD_BYTES)
		(void)simdisk_flip_bit(h->disk, CHECKPOINT_NAME, any_byte(h, bytes, size),
		    (unsigned)rng_below(&h->c->rng_disk, 8));
	free(bytes);
}

void
cl_host_rot(struct cl_host *h, bool all)
{
	struct store *s = simdisk_store(h->disk);

	simdisk_settle(h->disk);
	h->rotten = true;
	if (!all)
		flip(h);
	else if (store_unlink(s, CHECKPOINT_NAME) == 0)
		(void)store_sync_dir(s);
}

/* ---- The machine. ---- */

static void
on_boot(void *arg, uint64_t token)
{
	struct cl_host *h = arg;

	if (h->power == token)
		cl_host_boot(h);
}

void
cl_host_boot(struct cl_host *h)
{
	h->powered = true;
	h->machine->dark = false;
	cl_reboot_clock(h->machine);
	h->next_pid = 300;
	cl_trace(h->c, "%s: boots", h->machine->name);
	on_start(h, h->power);
}

void
cl_host_power_loss(struct cl_host *h, uint64_t down_ms)
{
	struct list *it, *nx;

	if (!h->powered)
		return;
	cl_trace(h->c, "%s: power loss", h->machine->name);
	h->powered = false;
	h->power++;
	h->machine->dark = true;
	h->machine->asleep_until_ms = 0;
	if (h->proc.up) {
		forget_core(h);
		cl_helper_lose(h);
		cl_proc_end(&h->proc);
	}
	if (h->before != NULL)
		simdisk_free(h->before);
	h->before = NULL;
	LIST_EACH(it, nx, &h->groups) {
		struct cl_group *g = CONTAINER_OF(it, struct cl_group, link);

		cl_exec_kill(g);
		cl_task_vanish(g);
		g->removed = true; /* groups are the kernel's */
	}
	simdisk_power_loss(h->disk);
	world_at(&h->c->world, down_ms, on_boot, h, h->power);
}

static char lacking[] = "pid-namespace";

struct cl_host *
cl_host_new(struct cl *c, unsigned number, uint64_t cpu_milli, uint64_t memory)
{
	struct cl_host *h = cl_alloc(sizeof *h);

	h->c = c;
	h->number = number;
	h->machine = &c->machines[cl_agent_machine(c, number)];
	h->proc.owner = h;
	h->proc.die = die;
	h->proc.resume = resume;
	h->proc.tick = tick;
	h->proc.turn = turn;
	cl_proc_init(&h->proc, h->machine);
	h->port = (struct cl_listener){&h->proc, cl_agent_accept, h};
	list_init(&h->groups);
	list_init(&h->links);
	list_init(&h->requests);
	list_init(&h->replies);
	list_init(&h->late);
	corral__register__init(&h->identity);
	corral__resources__init(&h->capacity);
	h->capacity.has_cpu_milli = h->capacity.has_memory_bytes = true;
	h->capacity.cpu_milli = cpu_milli;
	h->capacity.memory_bytes = memory;
	h->identity.node = h->machine->name;
	h->identity.capacity = &h->capacity;
	if (!c->conf.isolates) {
		h->missing[0] = lacking;
		h->identity.missing_isolation = h->missing;
		h->identity.n_missing_isolation = 1;
	}
	h->disk = simdisk_new(rng_u64(&c->rng_disk), UINT64_MAX);
	if (h->disk == NULL)
		exit(71);
	return h;
}

void
cl_host_free(struct cl_host *h)
{
	struct list *first;

	if (h->proc.up) {
		if (h->core != NULL)
			forget_core(h);
		cl_helper_lose(h);
		cl_proc_end(&h->proc);
	}
	if (h->before != NULL)
		simdisk_free(h->before);
	while ((first = list_first(&h->groups)) != NULL)
		cl_group_free(CONTAINER_OF(first, struct cl_group, link));
	simdisk_free(h->disk);
	cl_agent_late_free(h);
	cl_proc_fini(&h->proc);
	free(h);
}
