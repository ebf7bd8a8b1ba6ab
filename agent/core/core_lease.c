/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's lease: until when singletons may run here. It is counted from the sending of what a
 * master acknowledged, and executors are told its absolute end. At the end each executor stops its
 * singleton by itself, and what such a stop has begun no later renewal revokes. A new leader's
 * lease may end before the one that the last leader gave: it waits no longer for what it launches
 * here. What runs already keeps the end that it was told, which the store knows of.
 */
#include "agent/core/core_internal.h"
#include "libcommon/base/plants.h"

uint64_t
core_lease_end_ms(const struct agent_core *c, const struct attempt *a)
{
	return a->lease_end_ms > c->lease_end_ms ? a->lease_end_ms : c->lease_end_ms;
}

void
core_send_lease(struct agent_core *c, struct attempt *a, uint64_t now_ms)
{
	Corral__AgentToExecutor m = CORRAL__AGENT_TO_EXECUTOR__INIT;
	Corral__LeaseEnd end = CORRAL__LEASE_END__INIT;

	if (c->lease_end_ms == 0)
		return;
	end.end_boot_ms = a->lease_end_ms = core_lease_end_ms(c, a);
	if (ZAB_PLANTED(PLANT_LEASE_DURATION))
		end.end_boot_ms -= now_ms;
	m.body_case = CORRAL__AGENT_TO_EXECUTOR__BODY_LEASE_END;
	m.lease_end = &end;
	core_pass_on(c, a, &m, &c->lease_term);
}

bool
core_is_running_singleton(const struct attempt *a)
{
	return a->spec != NULL && a->spec->singleton && a->executor_known &&
	       a->phase <= ATTEMPT_RECOVERING;
}

void
core_end_singleton(struct attempt *a, uint64_t from_ms)
{
	uint64_t by_ms = from_ms + a->spec->timeout_stop_ms + AGENT_LEASE_KILL_MS;

	if (a->end_by_ms == 0 || by_ms < a->end_by_ms)
		a->end_by_ms = by_ms;
}

void
core_task_lease(struct agent_core *c, struct attempt *a, uint64_t now_ms)
{
	uint64_t end_ms = core_lease_end_ms(c, a);

	if (end_ms != 0 && now_ms >= end_ms && core_is_running_singleton(a))
		core_end_singleton(a, end_ms);
}

void
core_set_lease(struct agent_core *c, uint64_t end_ms, uint64_t now_ms)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->active)
		core_task_lease(c, CONTAINER_OF(it, struct attempt, link), now_ms);
	c->lease_end_ms = end_ms;
	c->lease_term = c->highest_term;
	LIST_EACH(it, nx, &c->active) {
		struct attempt *a = CONTAINER_OF(it, struct attempt, link);

		if (a->linked && a->spec != NULL && a->spec->singleton)
			core_send_lease(c, a, now_ms);
	}
}

bool
core_lease_is_short(const struct agent_core *c, uint64_t now_ms)
{
	return now_ms + AGENT_LEASE_MARGIN_MS >= c->lease_end_ms;
}
