/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators do in a life: they drain nodes, give them up, forget them, and share the cluster
 * otherwise. They are honest: who says that a machine is powered off has powered it off.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/cl_life.h"

const char *const cl_deed_names[CLD_KINDS] = {"drain", "undrain", "node marked unreachable",
    "node forgotten", "node powered off and forgotten", "quota", "weight", "reservation",
    "era raised", "copy of the ensemble", "job by hand", "ensemble restored"};

static const char *const roles[] = {"*", "a", "a/b", "c"};

#define ROLES (sizeof roles / sizeof *roles)

const char *
cl_any_role(struct rng *r)
{
	return roles[rng_below(r, ROLES)];
}

static struct agent *
any_agent(struct cl_life *l, struct cl_master *m)
{
	unsigned i = (unsigned)rng_below(&l->rng_deeds, l->c->conf.agents);

	return cluster_agent(&m->cluster, l->c->hosts[i]->machine->name);
}

static struct cl_host *
host_of(struct cl_life *l, const struct agent *a)
{
	return l->c->hosts[cl_check_agent_named(l->c, a->name)];
}

static bool
drain(struct cl_life *l, struct cl_master *m, struct agent *a)
{
	struct rng *r = &l->rng_deeds;
	uint64_t now_ms = cl_now(m->proc.machine);
	struct drain d = {.wanted = true,
	    .from_ms = now_ms + rng_below(r, 3) * 5000,
	    .stop_ms = UINT64_MAX,
	    .until_ms = UINT64_MAX};

	if (rng_below(r, 3) > 0)
		d.stop_ms = d.from_ms + rng_below(r, 4) * 10000;
	if (rng_below(r, 3) > 0)
		d.until_ms = d.from_ms + 1 + rng_below(r, 90000);
	cluster_drain(&m->cluster, now_ms, a, &d);
	return true;
}

static bool
undrain(struct cl_master *m, struct agent *a)
{
	static const struct drain none;

	if (!a->drain.wanted)
		return false;
	cluster_drain(&m->cluster, cl_now(m->proc.machine), a, &none);
	return true;
}

static bool
forget(struct cl_life *l, struct cl_master *m, struct agent *a, bool powered_off)
{
	char error[400];

	if (powered_off && host_of(l, a)->powered)
		return false;
	if (!cluster_forget(
		&m->cluster, cl_now(m->proc.machine), a, powered_off, error, sizeof error))
		return false;
	cl_check_asked(l->c, a->name, true);
	if (powered_off)
		cl_check_powered_off(l->c, a->name);
	return true;
}

static bool
mark(struct cl_life *l, struct cl_master *m, struct agent *a)
{
	if (!cluster_mark_unreachable(&m->cluster, a))
		return false;
	cl_check_asked(l->c, a->name, false);
	return true;
}

static bool
set_quota(struct cl_life *l, struct cl_master *m)
{
	struct rng *r = &l->rng_deeds;
	struct quota q = {{0, 0, 0},
	    {rng_below(r, 2) == 0 ? QUOTA_NO_LIMIT : 500 * rng_below(r, 12),
		rng_below(r, 3) > 0 ? QUOTA_NO_LIMIT : (UINT64_C(256) << 20) * rng_below(r, 12),
		QUOTA_NO_LIMIT}};
	const char *role = cl_any_role(r);
	bool force = rng_below(r, 2) == 0;
	char error[300];

	if (rng_below(r, 24) == 0)
		q.guarantee.memory_bytes = UINT64_MAX / 2048 - rng_below(r, 1000);
	q.guarantee.cpu_milli = rng_below(r, 3) == 0 ? 1000 * rng_below(r, 3) : 0;
	return cluster_set_quota(&m->cluster, role, &q, force, error, sizeof error);
}

static bool
set_weight(struct cl_life *l, struct cl_master *m)
{
	const char *role = cl_any_role(&l->rng_deeds);
	char error[300];

	return cluster_set_weight(
	    &m->cluster, role, 500 * (1 + rng_below(&l->rng_deeds, 4)), error, sizeof error);
}

static bool
reserve(struct cl_life *l, struct cl_master *m, struct agent *a)
{
	const char *role = cl_any_role(&l->rng_deeds);
	struct resources amount = {500 * rng_below(&l->rng_deeds, 4), 0, 0};
	char error[300];

	return cluster_reserve(&m->cluster, a, role, &amount, error, sizeof error);
}

static void
on_restore(void *arg, uint64_t token)
{
	struct cl_life *l = arg;

	(void)token;
	cl_trace(l->c, "operator: the ensemble has its copy now");
	cl_ens_restore(l->c);
}

/*
 * All masters are stopped first, and for as long as a singleton that the copy does not know may
 * run. A machine that stands still cannot be seen to.
 */
static bool
restore(struct cl_life *l)
{
	struct cl *c = l->c;
	uint64_t lease_ms =
	    c->conf.lease_most_ms > c->conf.lease_ms ? c->conf.lease_most_ms : c->conf.lease_ms;
	uint64_t ms = (lease_ms + 5000) * 104 / 100;

	if (!cl_ens_has_copy(c) || rng_below(&l->rng_deeds, 4) > 0)
		return false;
	for (unsigned i = 0; i < c->conf.masters; i++)
		if (cl_is_asleep(c->masters[i]->proc.machine))
			return false;
	c->masters_off_ms = c->world.now_ms + ms + 1;
	for (unsigned i = 0; i < c->conf.masters; i++)
		if (c->masters[i]->proc.up)
			c->masters[i]->proc.die(&c->masters[i]->proc);
	world_at(&c->world, ms, on_restore, l, 0);
	return true;
}

void
cl_mend_era(struct cl_life *l, struct cl_master *m)
{
	if (m->cluster.seen.era == 0 || m->bump != 0)
		return;
	l->deeds[CLD_ERA]++;
	cl_master_bump_era(m);
}

static bool
bump(struct cl_life *l, struct cl_master *m)
{
	if (m->bump != 0 || rng_below(&l->rng_deeds, 4) > 0)
		return false;
	cl_master_bump_era(m);
	return true;
}

/* With a text that is none, and with or without a state. */
static bool
write_by_hand(struct cl_life *l)
{
	struct rng *r = &l->rng_deeds;
	char path[CL_PATH_BYTES], state[CL_PATH_BYTES], text[24];
	struct cl_op op = {CL_OP_CREATE, false, path, text, sizeof text};
	struct buf ops;
	bool ok;

	snprintf(path, sizeof path, CL_HAND_MADE "%llu", (unsigned long long)l->deeds[CLD_HAND]);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)rng_u64(r);
	buf_init(&ops, 1024);
	cl_ops_put(&ops, &op);
	if (rng_below(r, 2) == 0) {
		snprintf(state, sizeof state, "%.100s/state", path);
		op.path = state;
		cl_ops_put(&ops, &op);
	}
	ok = cl_ens_write(l->c, &ops, l->c->conf.session_ms);
	buf_fini(&ops);
	return ok;
}

static bool
operate(struct cl_life *l, struct cl_master *m, enum cl_deed deed)
{
	struct agent *a = any_agent(l, m);

	if (deed == CLD_QUOTA)
		return set_quota(l, m);
	if (deed == CLD_WEIGHT)
		return set_weight(l, m);
	if (deed == CLD_ERA)
		return bump(l, m);
	if (deed == CLD_HAND)
		return write_by_hand(l);
	if (deed == CLD_RESTORE)
		return restore(l);
	if (deed == CLD_COPY) {
		cl_ens_copy(l->c);
		return true;
	}
	if (a == NULL || a->gone)
		return false;
	switch (deed) {
	case CLD_DRAIN:
		return drain(l, m, a);
	case CLD_UNDRAIN:
		return undrain(m, a);
	case CLD_MARK:
		return mark(l, m, a);
	case CLD_RESERVE:
		return reserve(l, m, a);
	default:
		return forget(l, m, a, deed == CLD_FORGET_OFF);
	}
}

void
cl_operate(struct cl_life *l, struct cl_master *m)
{
	enum cl_deed deed = (enum cl_deed)rng_below(&l->rng_deeds, CLD_KINDS);

	if (!l->wanted_deeds[deed] || !operate(l, m, deed))
		return;
	l->deeds[deed]++;
	cl_trace(l->c, "operator: %s", cl_deed_names[deed]);
	if (m->proc.up)
		cl_master_turn(m);
}

/* A machine that is taken out of service, and forgotten by and by. */
void
cl_retire_node(struct cl_life *l)
{
	unsigned i = (unsigned)rng_below(&l->rng_deeds, l->c->conf.agents);

	if (l->wanted_deeds[CLD_FORGET_OFF])
		cl_host_power_loss(l->c->hosts[i], 30000 + rng_below(&l->rng_deeds, 120000));
}

/* ---- In the end nothing bars any role, and all nodes take tasks. ---- */

static void
lift_quotas(struct cluster *c)
{
	static const struct quota none = {
	    .limit = {QUOTA_NO_LIMIT, QUOTA_NO_LIMIT, QUOTA_NO_LIMIT}};
	char error[300];

	for (size_t i = 0; i < ROLES; i++) {
		const struct role *r = share_find(&c->books.share, roles[i]);

		if (r != NULL && !quota_is_none(&r->quota))
			cluster_set_quota(c, roles[i], &none, true, error, sizeof error);
	}
}

static void
lift_reservations(struct cluster *c, struct agent *a)
{
	static const struct resources nothing;
	char error[300];

	for (size_t i = 0; i < ROLES && !list_empty(&a->reservations); i++)
		cluster_reserve(c, a, roles[i], &nothing, error, sizeof error);
}

void
cl_lift_all(struct cl_master *m)
{
	struct cluster *c = &m->cluster;

	lift_quotas(c);
	for (uint32_t i = 0; i < c->agent_count; i++) {
		lift_reservations(c, c->by_number[i]);
		(void)undrain(m, c->by_number[i]);
	}
	cl_master_turn(m);
}
