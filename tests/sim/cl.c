/* SPDX-License-Identifier: Apache-2.0 */
/* The whole cluster: made, started, and taken apart. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/cl_check.h"

#define MIB (UINT64_C(1) << 20)

static void
add_machine(struct cl *c, const char *kind, unsigned number)
{
	struct cl_machine *m = &c->machines[c->machine_count];

	m->c = c;
	m->number = c->machine_count++;
	snprintf(m->name, sizeof m->name, "%s-%u", kind, number);
	list_init(&m->procs);
	m->drift_ppm = (int32_t)rng_below(&c->rng_host, 2 * CL_DRIFT_PPM + 1) - CL_DRIFT_PPM;
	cl_reboot_clock(m);
}

static void
add_machines(struct cl *c)
{
	for (unsigned i = 0; i < c->conf.servers; i++)
		add_machine(c, "server", i);
	for (unsigned i = 0; i < c->conf.masters; i++)
		add_machine(c, "master", i);
	for (unsigned i = 0; i < c->conf.agents; i++)
		add_machine(c, "agent", i);
}

struct cl *
cl_new(uint64_t seed, const struct cl_conf *conf, enum cl_plant plant, bool trace)
{
	struct cl *c = cl_alloc(sizeof *c);

	world_init(&c->world, seed, trace);
	c->conf = *conf;
	c->plant = plant;
	world_rng(&c->world, "network", &c->rng_net);
	world_rng(&c->world, "disks", &c->rng_disk);
	world_rng(&c->world, "hosts", &c->rng_host);
	world_rng(&c->world, "cores", &c->rng_core);
	world_rng(&c->world, "turns", &c->rng_turn);
	world_rng(&c->world, "settings", &c->rng_set);
	list_init(&c->conns);
	list_init(&c->closed_conns);
	list_init(&c->dials);
	list_init(&c->zks);
	add_machines(c);
	cl_check_new(c);
	cl_ens_new(c);
	for (unsigned i = 0; i < conf->masters; i++)
		c->masters[i] = cl_master_new(c, i);
	for (unsigned i = 0; i < conf->agents; i++)
		c->hosts[i] = cl_host_new(c, i, 1000 * (2 + rng_below(&c->rng_host, 7)),
		    512 * MIB * (2 + rng_below(&c->rng_host, 7)));
	for (unsigned i = 0; i < conf->masters; i++)
		cl_master_start(c->masters[i]);
	for (unsigned i = 0; i < conf->agents; i++)
		cl_host_boot(c->hosts[i]);
	return c;
}

void
cl_free(struct cl *c)
{
	for (unsigned i = 0; i < c->conf.agents; i++)
		cl_host_free(c->hosts[i]);
	for (unsigned i = 0; i < c->conf.masters; i++)
		cl_master_free(c->masters[i]);
	cl_ens_free(c);
	cl_net_fini(c);
	cl_zk_free_all(c);
	cl_check_free(c);
	world_fini(&c->world);
	free(c);
}
