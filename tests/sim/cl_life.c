/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cl_life.h"

#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/amount.h"

#define MIB (UINT64_C(1) << 20)

/* How long faults go on, and how long it may take then until all is over. */
#define LIFE_MS 600000
#define CALM_MS 900000

static const struct cl_def nothing;

/* ---- Work. ---- */

static void
draw_job(struct cl_life *l, struct cl_def *d)
{
	struct rng *r = &l->rng_work;
	struct job_policy *p = &d->policy;

	*d = nothing;
	p->service = rng_below(r, 5) == 0;
	p->restart = p->service ? JOB_RESTART_ALWAYS : (enum job_restart)rng_below(r, 2);
	p->restart_ms = rng_below(r, 3) * 1000;
	p->retries_max = (uint32_t)rng_below(r, 4);
	p->need =
	    (struct resources){100 * (1 + rng_below(r, 12)), 32 * MIB * (1 + rng_below(r, 12)), 0};
	d->count = 1 + (uint32_t)rng_below(r, 12);
	if (rng_below(r, 3) == 0)
		p->disconnect_ms = rng_below(r, 4) == 0 ? UINT64_MAX : rng_below(r, 60000);
	if (rng_below(r, 24) == 0)
		p->need.cpu_milli = AMOUNT_CPU_MAX_MILLI;
	else if (rng_below(r, 24) == 0)
		p->need.memory_bytes = UINT64_MAX >> rng_below(r, 8);
	d->stop_ms = 500 * (1 + rng_below(r, 20));
	d->limit_ms = rng_below(r, 12) == 0 ? 20000 : 0;
	d->run_min_ms = p->service && rng_below(r, 2) == 0 ? 0 : 50;
	d->run_max_ms =
	    d->run_min_ms == 0 ? 0 : 100 + rng_below(r, rng_below(r, 4) == 0 ? 120000 : 20000);
	d->fail_percent = (unsigned)rng_below(r, 3) * 10;
	d->stubborn_percent = (unsigned)rng_below(r, 2) * 30;
	d->stray_percent = (unsigned)rng_below(r, 2) * 40;
	if (l->shared) {
		p->priority = (uint32_t)rng_below(r, 3) * 50;
		snprintf(d->role, sizeof d->role, "%s", cl_any_role(r));
	}
	if (l->singletons && rng_below(r, 3) == 0) {
		d->singleton = true;
		d->count = 1 + (uint32_t)rng_below(r, 2);
		p->service = true;
		p->restart = JOB_RESTART_ALWAYS;
		d->run_min_ms = d->run_max_ms = 0;
		/* Most use all of their grace, which is not much. */
		d->stubborn_percent = 70;
		d->stop_ms = 500 * (1 + rng_below(r, 5));
	}
}

static struct cl_master *
serving(struct cl *c)
{
	for (unsigned i = 0; i < c->conf.masters; i++)
		if (cl_master_serves(c->masters[i]))
			return c->masters[i];
	return NULL;
}

static void
submit(struct cl_life *l, struct cl_master *m)
{
	struct cl_def d;
	char name[16];

	draw_job(l, &d);
	d.release = m->release > 0 && rng_below(&l->rng_work, 3) == 0;
	snprintf(name, sizeof name, "job-%u",
	    rng_below(&l->rng_work, 6) == 0 ? (unsigned)rng_below(&l->rng_work, l->submitted + 1)
					    : l->submitted);
	if (cl_master_submit(m, name, &d)) {
		cl_trace(l->c, "work: %s, %u tasks%s%s", name, d.count,
		    d.policy.service ? ", service" : "", d.singleton ? ", singleton" : "");
		l->submitted++;
	}
}

static void
on_work(void *arg, uint64_t token)
{
	struct cl_life *l = arg;
	struct cl_master *m = serving(l->c);
	char name[16];

	(void)token;
	if (l->c->calm)
		return;
	if (m != NULL && l->submitted < l->wanted && rng_below(&l->rng_work, 3) > 0) {
		submit(l, m);
	} else if (m != NULL && l->submitted > 0 && rng_below(&l->rng_work, 5) == 0) {
		snprintf(
		    name, sizeof name, "job-%u", (unsigned)rng_below(&l->rng_work, l->submitted));
		if (cl_master_stop_job(m, name))
			cl_trace(l->c, "work: stops %s", name);
	}
	world_at(&l->c->world, 1 + rng_below(&l->rng_work, l->work_ms), on_work, l, 0);
}

static void
on_deed(void *arg, uint64_t token)
{
	struct cl_life *l = arg;
	struct cl_master *m = serving(l->c);

	(void)token;
	if (l->c->calm)
		return;
	if (rng_below(&l->rng_deeds, 12) == 0)
		cl_retire_node(l);
	else if (m != NULL && rng_below(&l->rng_deeds, 3) == 0)
		cl_mend_era(l, m);
	else if (m != NULL)
		cl_operate(l, m);
	world_at(&l->c->world, 1 + rng_below(&l->rng_deeds, l->deed_ms), on_deed, l, 0);
}

/*
 * One that had lost its id and got a new one, and then the store was restored with the old one: its
 * state directory is emptied, as the refusal says.
 */
static void
empty_estranged(struct cl_host *h)
{
	if (!h->estranged || !h->proc.up)
		return;
	h->estranged = false;
	cl_agent_kill(h);
	cl_host_rot(h, true);
}

/* What would go on for ever, or wait for ever. */
static void
end_all(struct cl_life *l)
{
	struct cl_master *m = serving(l->c);

	for (unsigned i = 0; i < l->c->conf.agents; i++)
		empty_estranged(l->c->hosts[i]);
	if (m == NULL)
		return;
	cl_mend_era(l, m);
	if (cl_master_serves(m))
		cl_lift_all(m);
	if (cl_master_serves(m))
		cl_master_stop_services(m);
}

/* ---- Faults. ---- */

static void
on_fault(void *arg, uint64_t token)
{
	struct cl_life *l = arg;
	enum cl_fault kind = (enum cl_fault)rng_below(&l->rng, CLF_KINDS);

	(void)token;
	if (l->c->calm)
		return;
	if (l->enabled[kind])
		cl_inject(l, kind);
	world_at(&l->c->world, 1 + rng_below(&l->rng, l->pace_ms), on_fault, l, 0);
}

static void
calm_down(struct cl_life *l)
{
	struct cl *c = l->c;

	cl_trace(c, "calm");
	c->calm = true;
	cl_heal(c);
	for (unsigned i = 0; i < c->conf.agents; i++) {
		c->hosts[i]->proc.crash_in = c->hosts[i]->proc.pause_in = 0;
		simdisk_stop_at(c->hosts[i]->disk, 0);
		simdisk_fail_at(c->hosts[i]->disk, 0, 0);
		simdisk_set_capacity(c->hosts[i]->disk, UINT64_MAX);
	}
	for (unsigned i = 0; i < c->conf.masters; i++) {
		struct cl_proc *p = &c->masters[i]->proc;

		p->crash_in = p->pause_in = 0;
		if (p->up && c->masters[i]->release == 0)
			p->die(p); /* and comes back with the newest release */
	}
}

/* ---- Lives. ---- */

static void
draw_conf(struct cl_life *l, struct cl_conf *conf)
{
	static const unsigned servers[] = {1, 3, 3, 3, 5}, gather_in[] = {0, 2, 6, 20};
	struct rng *r = &l->rng;

	conf->servers = servers[rng_below(r, 5)];
	conf->masters = rng_below(r, 16) == 0 ? 1 : 2 + (unsigned)rng_below(r, CL_MASTERS_MAX - 1);
	conf->agents = rng_below(r, 12) == 0 ? 3 + (unsigned)rng_below(r, 2)
					     : 5 + (unsigned)rng_below(r, CL_AGENTS_MAX - 4);
	conf->session_ms = 4000 + (uint32_t)rng_below(r, 3) * 3000;
	conf->tick_ms = conf->session_ms / (4 + (uint32_t)rng_below(r, 7));
	conf->sync_ticks = 2 + (uint32_t)rng_below(r, 9);
	conf->lease_ms = 3000 + rng_below(r, 5) * 3000;
	conf->heartbeat_ms = conf->lease_ms / 5;
	conf->unreachable_ms = 15000 + rng_below(r, 2) * 15000;
	conf->delay_ms = 1 + rng_below(r, rng_below(r, 2) == 0 ? 5 : 60);
	conf->discover = rng_below(r, 2) == 0;
	conf->isolates = rng_below(r, 3) > 0;
	conf->reads_late = rng_below(r, 3) == 0;
	conf->sleepers = rng_below(r, 4) == 0;
	conf->patience_ms = rng_below(r, 3) == 0 ? 15000 : 900000;
	conf->stale = conf->servers > 1 && rng_below(r, 2) == 0;
	conf->releases = rng_below(r, 3) == 0;
	conf->lease_most_ms = rng_below(r, 2) == 0 ? conf->unreachable_ms : 0;
	conf->gather_in = gather_in[rng_below(r, 4)];
}

struct cl_life *
cl_life_new(uint64_t seed, enum cl_plant plant, bool trace)
{
	struct cl_life *l = cl_alloc(sizeof *l);
	struct cl_conf conf = {0};
	struct world w;

	world_init(&w, seed, false);
	world_rng(&w, "faults", &l->rng);
	world_rng(&w, "work", &l->rng_work);
	world_rng(&w, "operators", &l->rng_deeds);
	draw_conf(l, &conf);
	for (int k = 0; k < CLF_KINDS; k++)
		l->enabled[k] = rng_below(&l->rng, 2) == 0;
	l->enabled[CLF_HEAL] = true;
	l->enabled[CLF_GHOSTS] = l->enabled[CLF_GHOSTS] && rng_below(&l->rng, 2) == 0;
	l->enabled[CLF_ALL_POWER] = l->enabled[CLF_ALL_POWER] && rng_below(&l->rng, 4) == 0;
	l->pace_ms = 500 + rng_below(&l->rng, 12000);
	l->work_ms = 2000 + rng_below(&l->rng, 20000);
	l->wanted = 12 + (unsigned)rng_below(&l->rng, 24);
	l->life_ms = LIFE_MS;
	l->singletons = rng_below(&l->rng, 3) > 0;
	for (int k = 0; k < CLD_KINDS; k++)
		l->wanted_deeds[k] = rng_below(&l->rng_deeds, 2) == 0;
	l->wanted_deeds[CLD_RESTORE] = l->wanted_deeds[CLD_RESTORE] && l->wanted_deeds[CLD_COPY];
	l->deed_ms = 2000 + rng_below(&l->rng_deeds, 20000);
	l->shared = rng_below(&l->rng_deeds, 3) > 0;
	l->c = cl_new(seed, &conf, plant, trace);
	cl_trace(l->c,
	    "%u servers, %u masters, %u agents; session %u ms, tick %u ms, lease %llu ms",
	    conf.servers, conf.masters, conf.agents, conf.session_ms, conf.tick_ms,
	    (unsigned long long)conf.lease_ms);
	world_at(&l->c->world, 1000, on_work, l, 0);
	world_at(&l->c->world, 5000, on_fault, l, 0);
	world_at(&l->c->world, 5000, on_deed, l, 0);
	return l;
}

void
cl_life_live(struct cl_life *l)
{
	struct cl *c = l->c;
	uint64_t look_ms = 0;

	while (c->world.now_ms < l->life_ms && world_step(&c->world))
		;
	calm_down(l);
	while (world_step(&c->world)) {
		if (c->world.now_ms < look_ms)
			continue;
		look_ms = c->world.now_ms + 1000;
		end_all(l);
		if (cl_check_is_quiet(c))
			return;
		if (c->world.now_ms > l->life_ms + CALM_MS) {
			cl_check_quiet(c);
			return;
		}
	}
}

void
cl_life_free(struct cl_life *l)
{
	cl_free(l->c);
	free(l);
}
