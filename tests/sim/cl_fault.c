/* SPDX-License-Identifier: Apache-2.0 */
/* Faults, one by one. */
#include <errno.h>
#include <stdlib.h>

#include "tests/sim/cl_life.h"

const char *const cl_fault_names[CLF_KINDS] = {"agent killed", "agent killed between outputs",
    "agent stopped", "agent stopped between outputs", "master killed",
    "master killed between outputs", "master stopped", "master stopped between outputs",
    "executor killed", "executor killed between acts", "executor stopped", "power loss",
    "power loss in a write", "power loss of all", "disk error", "disk full", "sleep",
    "master's sleep", "isolation", "one-way cut", "cut of a pair", "leader cut from the ensemble",
    "stale side", "agent cut from the ensemble", "split", "server crash", "leading server's crash",
    "server stopped", "reset", "lag", "heal", "agent's session expired", "drift", "wall clock step",
    "rot in a checkpoint", "checkpoint lost", "dead candidates"};

static struct cl_host *
any_host(struct cl_life *l)
{
	return l->c->hosts[rng_below(&l->rng, l->c->conf.agents)];
}

/* The leader more often than not. */
static struct cl_master *
any_master(struct cl_life *l)
{
	struct cl *c = l->c;

	for (unsigned i = 0; i < c->conf.masters; i++)
		if (c->masters[i]->leading && rng_below(&l->rng, 4) > 0)
			return c->masters[i];
	return c->masters[rng_below(&l->rng, c->conf.masters)];
}

static unsigned
any_machine(struct cl_life *l)
{
	return (unsigned)rng_below(&l->rng, l->c->machine_count);
}

static unsigned
master_machine(struct cl_life *l)
{
	return any_master(l)->proc.machine->number;
}

static bool
runs_singleton(const struct cl_host *h)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&h->groups) {
		const struct cl_group *g = CONTAINER_OF(it, struct cl_group, link);

		if (g->spec->singleton && !cl_group_empty(g))
			return true;
	}
	return false;
}

/* One that runs a singleton, if there is any. */
static struct cl_host *
singleton_host(struct cl_life *l)
{
	unsigned first = (unsigned)rng_below(&l->rng, l->c->conf.agents);

	for (unsigned i = 0; i < l->c->conf.agents; i++) {
		struct cl_host *h = l->c->hosts[(first + i) % l->c->conf.agents];

		if (runs_singleton(h))
			return h;
	}
	return l->c->hosts[first];
}

static struct cl_group *
any_group(struct cl_life *l)
{
	struct cl_host *h = any_host(l);
	struct cl_group *found = NULL;
	struct list *it, *nx;
	unsigned seen = 0;

	LIST_EACH(it, nx, &h->groups) {
		struct cl_group *g = CONTAINER_OF(it, struct cl_group, link);

		if (cl_exec_alive(g) && rng_below(&l->rng, ++seen) == 0)
			found = g;
	}
	return found;
}

/* Mostly some session time-outs or leases, now and then far more. */
static uint64_t
a_while(struct cl_life *l)
{
	uint64_t longest = rng_below(&l->rng, 8) == 0	? 90000
			   : rng_below(&l->rng, 2) == 0 ? 3 * l->c->conf.session_ms
							: 3 * l->c->conf.lease_ms;

	return 1 + rng_below(&l->rng, longest);
}

static void
cut(struct cl *c, unsigned a, unsigned b)
{
	cl_block(c, a, b, true);
	cl_block(c, b, a, true);
}

static void
cut_off(struct cl *c, unsigned a, bool in, bool out)
{
	for (unsigned b = 0; b < c->machine_count; b++) {
		if (in)
			cl_block(c, b, a, true);
		if (out)
			cl_block(c, a, b, true);
	}
}

static void
split(struct cl *c, uint64_t side)
{
	for (unsigned a = 0; a < c->machine_count; a++)
		for (unsigned b = 0; b < c->machine_count; b++)
			if ((side >> a & 1) != (side >> b & 1))
				cl_block(c, a, b, true);
}

static void
cut_from_ensemble(struct cl *c, unsigned machine)
{
	for (unsigned s = 0; s < c->conf.servers; s++)
		cut(c, machine, cl_server_machine(s));
}

/* The leader's own server does not know yet that it follows nobody. */
static void
stale_side(struct cl_life *l)
{
	struct cl *c = l->c;
	struct cl_master *m = any_master(l);
	int server = m->zk == NULL ? -1 : cl_ens_server_of(c, cl_zk_session(m->zk));
	uint64_t side =
	    UINT64_C(1) << m->proc.machine->number | UINT64_C(1) << any_host(l)->machine->number;

	if (server < 0) {
		l->faults[CLF_STALE_SIDE]--;
		return;
	}
	split(c, side | UINT64_C(1) << cl_server_machine((unsigned)server));
}

static void
on_heal(void *arg, uint64_t token)
{
	struct cl_life *l = arg;

	(void)token;
	if (!l->c->calm)
		cl_heal(l->c);
}

static void
on_cut(void *arg, uint64_t token)
{
	struct cl_life *l = arg;

	if (l->c->calm)
		return;
	cut_off(l->c, (unsigned)token, rng_below(&l->rng, 2) == 0, true);
	world_at(&l->c->world, 1000 + 4 * l->c->conf.lease_ms, on_heal, l, 0);
}

/*
 * An agent is cut off, and what was on its way to it for long may come yet: acknowledgements of
 * heartbeats that were sent and received long before.
 */
static void
lag_and_cut(struct cl_life *l)
{
	unsigned a = singleton_host(l)->machine->number;

	l->c->lag_ms[a] = 5000 + (uint32_t)rng_below(&l->rng, 7000);
	world_at(&l->c->world, 3000 + rng_below(&l->rng, 9000), on_cut, l, a);
}

static void
inject_network(struct cl_life *l, enum cl_fault kind)
{
	struct cl *c = l->c;
	unsigned a = any_machine(l), b = any_machine(l);

	switch (kind) {
	case CLF_ISOLATE:
		cut_off(
		    c, rng_below(&l->rng, 2) == 0 ? any_host(l)->machine->number : a, true, true);
		break;
	case CLF_ONE_WAY:
		cut_off(c, a, rng_below(&l->rng, 2) == 0, true);
		break;
	case CLF_PAIR:
		cut(c, any_host(l)->machine->number, master_machine(l));
		break;
	case CLF_LEADER_ENSEMBLE:
		cut_from_ensemble(c, master_machine(l));
		break;
	case CLF_AGENT_ENSEMBLE:
		cut_from_ensemble(c, any_host(l)->machine->number);
		break;
	case CLF_STALE_SIDE:
		stale_side(l);
		break;
	case CLF_SPLIT:
		split(c, rng_u64(&l->rng));
		break;
	case CLF_RESET:
		cl_reset_between(c, a, rng_below(&l->rng, 2) == 0 ? b : master_machine(l));
		return;
	case CLF_LAG:
		if (rng_below(&l->rng, 2) == 0)
			lag_and_cut(l);
		else
			c->lag_ms[a] = (uint32_t)rng_below(&l->rng, 4000);
		return;
	default:
		cl_heal(c);
		return;
	}
	if (rng_below(&l->rng, 3) > 0)
		world_at(&c->world, a_while(l), on_heal, l, 0);
}

static void
on_space(void *arg, uint64_t token)
{
	(void)token;
	simdisk_set_capacity(((struct cl_host *)arg)->disk, UINT64_MAX);
}

static void
inject_disk(struct cl_life *l, enum cl_fault kind)
{
	struct cl_host *h = any_host(l);
	uint64_t op = simdisk_ops(h->disk) + 1 + rng_below(&l->rng, 12);

	if (h->before != NULL)
		return;
	if (kind == CLF_POWER_IN_WRITE)
		simdisk_stop_at(h->disk, op);
	else if (kind == CLF_DISK_ERROR)
		simdisk_fail_at(h->disk, op, rng_below(&l->rng, 2) == 0 ? -EIO : -ENOSPC);
	else {
		simdisk_set_capacity(h->disk, 0);
		world_at(&l->c->world, rng_below(&l->rng, 20000), on_space, h, 0);
	}
}

static void
inject_rot(struct cl_life *l, enum cl_fault kind)
{
	struct cl_host *h = rng_below(&l->rng, 2) == 0 ? singleton_host(l) : any_host(l);

	if (!h->proc.up || h->before != NULL) {
		l->faults[kind]--;
		return;
	}
	cl_agent_kill(h);
	cl_host_rot(h, kind == CLF_CHECKPOINT_LOST);
}

static void
inject_agent(struct cl_life *l, enum cl_fault kind)
{
	struct cl_host *h = any_host(l);
	struct cl_group *g = any_group(l);

	switch (kind) {
	case CLF_AGENT_KILL:
		cl_agent_kill(h);
		break;
	case CLF_AGENT_CRASH_AT:
		h->proc.crash_in = 1 + (unsigned)rng_below(&l->rng, 12);
		break;
	case CLF_AGENT_PAUSE:
		cl_pause(&h->proc, a_while(l));
		break;
	case CLF_AGENT_PAUSE_AT:
		h->proc.pause_ms = a_while(l);
		h->proc.pause_in = 1 + (unsigned)rng_below(&l->rng, 12);
		break;
	case CLF_EXECUTOR_KILL:
		if (g != NULL)
			cl_exec_kill(g);
		break;
	case CLF_EXECUTOR_CRASH_AT:
		if (g != NULL)
			g->proc.crash_in = 1 + (unsigned)rng_below(&l->rng, 4);
		break;
	case CLF_EXECUTOR_PAUSE: /* (who stops a singleton must not stand still) */
		if (g != NULL && !g->spec->singleton)
			cl_pause(&g->proc, a_while(l));
		break;
	case CLF_POWER:
		cl_host_power_loss(h, 1000 + a_while(l));
		break;
	case CLF_EXPIRE: /* a master's would not be fair: it counts on its time-out */
		if (h->zk != NULL)
			cl_ens_expire(l->c, cl_zk_session(h->zk));
		break;
	case CLF_ALL_POWER:
		for (unsigned i = 0; i < l->c->conf.agents; i++)
			cl_host_power_loss(l->c->hosts[i], 1000 + rng_below(&l->rng, 30000));
		break;
	default:
		cl_sleep(h->machine, a_while(l));
		break;
	}
}

static void
inject_master(struct cl_life *l, enum cl_fault kind)
{
	struct cl_master *m = any_master(l);

	switch (kind) {
	case CLF_MASTER_KILL:
		if (m->proc.up)
			m->proc.die(&m->proc);
		break;
	case CLF_MASTER_CRASH_AT:
		m->proc.crash_in = 1 + (unsigned)rng_below(&l->rng, 20);
		break;
	case CLF_MASTER_PAUSE:
		cl_pause(&m->proc, a_while(l));
		break;
	case CLF_MASTER_PAUSE_AT:
		m->proc.pause_ms = a_while(l);
		m->proc.pause_in = 1 + (unsigned)rng_below(&l->rng, 20);
		break;
	default:
		cl_sleep(m->proc.machine, a_while(l));
		break;
	}
}

/* Now and then more of them than a master can keep. */
static void
haunt(struct cl_life *l)
{
	unsigned count = rng_below(&l->rng, 2) == 0 ? 1 + (unsigned)rng_below(&l->rng, 5)
						    : 60 + (unsigned)rng_below(&l->rng, 40);

	if (rng_below(&l->rng, 3) > 0 ||
	    !cl_ens_haunt(
		l->c, count, l->c->conf.session_ms * (1 + (uint32_t)rng_below(&l->rng, 3))))
		l->faults[CLF_GHOSTS]--;
}

static void
inject_server(struct cl_life *l, enum cl_fault kind)
{
	unsigned s = (unsigned)rng_below(&l->rng, l->c->conf.servers);

	if (kind == CLF_SERVER_LEADER_CRASH && cl_ens_leader(l->c) >= 0)
		s = (unsigned)cl_ens_leader(l->c);
	if (kind == CLF_SERVER_PAUSE)
		cl_pause(cl_ens_proc(l->c, s), a_while(l));
	else
		cl_ens_crash(l->c, s, 100 + rng_below(&l->rng, 30000));
}

static void
inject_clock(struct cl_life *l, enum cl_fault kind)
{
	struct cl_machine *m = &l->c->machines[any_machine(l)];

	if (kind == CLF_WALL)
		m->wall_offset_ms += (int64_t)rng_below(&l->rng, 2 * 86400000) - 86400000;
	else if (rng_below(&l->rng, 2) == 0)
		cl_set_drift(m, rng_below(&l->rng, 2) == 0 ? CL_DRIFT_PPM : -CL_DRIFT_PPM);
	else
		cl_set_drift(m, (int32_t)rng_below(&l->rng, 2 * CL_DRIFT_PPM + 1) - CL_DRIFT_PPM);
}

void
cl_inject(struct cl_life *l, enum cl_fault kind)
{
	cl_trace(l->c, "fault: %s", cl_fault_names[kind]);
	l->faults[kind]++;
	switch (kind) {
	case CLF_MASTER_KILL:
	case CLF_MASTER_CRASH_AT:
	case CLF_MASTER_PAUSE:
	case CLF_MASTER_PAUSE_AT:
	case CLF_MASTER_SLEEP:
		inject_master(l, kind);
		break;
	case CLF_POWER_IN_WRITE:
	case CLF_DISK_ERROR:
	case CLF_DISK_FULL:
		inject_disk(l, kind);
		break;
	case CLF_SERVER_CRASH:
	case CLF_SERVER_LEADER_CRASH:
	case CLF_SERVER_PAUSE:
		inject_server(l, kind);
		break;
	case CLF_ROT:
	case CLF_CHECKPOINT_LOST:
		inject_rot(l, kind);
		break;
	case CLF_GHOSTS:
		haunt(l);
		break;
	case CLF_DRIFT:
	case CLF_WALL:
		inject_clock(l, kind);
		break;
	default:
		if (kind >= CLF_ISOLATE && kind <= CLF_HEAL)
			inject_network(l, kind);
		else
			inject_agent(l, kind);
		break;
	}
}
