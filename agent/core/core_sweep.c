/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint that was lost or damaged in this boot may lack attempts whose executors and tasks
 * live: nobody would book the room that they use, and masters would make them again. The helper
 * ends all that the checkpoint does not have, and only when it has met nothing more of it does the
 * node register. Until then the checkpoint says that this is to be done: who is killed meanwhile
 * begins anew with it.
 */
#include <stdlib.h>

#include "agent/core/core_internal.h"
#include "libcommon/base/mark.h"
#include "libcommon/base/plants.h"
#include "libcommon/base/str.h"

/* What may run by the checkpoint: its keys, in one block, for the helper only. NULL: no memory. */
static Corral__TaskKey **
kept_new(const struct agent_core *c, size_t *count)
{
	static char no_job[] = ""; /* up to 64 bytes each, and no part of the identity */
	Corral__TaskKey **list = calloc(c->active_count + 1, sizeof *list + sizeof **list), *items;
	struct list *it, *nx;
	size_t n = 0;

	if (list == NULL)
		return NULL;
	items = (Corral__TaskKey *)(list + c->active_count + 1);
	LIST_EACH(it, nx, &c->active) {
		const struct attempt *a = CONTAINER_OF(it, struct attempt, link);

		if (a->phase >= ATTEMPT_OVER)
			continue;
		items[n] = *a->key_message;
		items[n].job = no_job;
		list[n] = &items[n];
		n++;
	}
	*count = n;
	return list;
}

static void
ask_sweep(struct agent_core *c)
{
	Corral__HelperRequest r = CORRAL__HELPER_REQUEST__INIT;
	Corral__HelperSweep s = CORRAL__HELPER_SWEEP__INIT;

	if ((s.keep = kept_new(c, &s.n_keep)) == NULL) {
		c->no_memory = true;
		return;
	}
	r.body_case = CORRAL__HELPER_REQUEST__BODY_SWEEP;
	r.sweep = &s;
	c->sweep_asked = true;
	core_ask_helper(c, NULL, HELPER_SWEEP, &r);
	free(s.keep);
}

void
core_sweep_begin(struct agent_core *c, uint64_t now_ms)
{
	if (ZAB_PLANTED(PLANT_STRANGERS_STAY)) {
		c->incomplete = false;
		return;
	}
	c->sweep_at_ms = now_ms; /* with the next tick: the helper's link has come up by then */
}

void
core_sweep_tick(struct agent_core *c, uint64_t now_ms)
{
	if (c->incomplete && !c->sweep_asked && now_ms >= c->sweep_at_ms)
		ask_sweep(c);
}

uint64_t
core_sweep_deadline_ms(const struct agent_core *c)
{
	return c->incomplete && !c->sweep_asked ? c->sweep_at_ms : UINT64_MAX;
}

void
core_swept(struct agent_core *c, const Corral__HelperReply *reply, uint64_t now_ms)
{
	const char *error = reply->error != NULL ? reply->error : "";

	c->sweep_asked = false;
	str_copy(c->sweep_error, sizeof c->sweep_error, error);
	if (*error != '\0' || !reply->has_alive || reply->alive) {
		MARK("sweep: something was met");
		c->sweep_wait_ms = core_longer_wait_ms(c->sweep_wait_ms);
		c->sweep_at_ms = now_ms + c->sweep_wait_ms;
		return;
	}
	c->incomplete = false;
	core_record_node(c); /* which the registration waits for */
	if (c->up)
		core_register(c, now_ms);
}

bool
agent_core_is_sweeping(const struct agent_core *c, const char **error)
{
	*error = c->sweep_error;
	return c->incomplete;
}
