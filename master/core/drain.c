/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draining nodes, and forgetting them: what an operator does before and after work on a machine.
 * The registry has it, in times of the day, so that the next leader goes on with it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/mark.h"
#include "libcommon/base/plants.h"
#include "libcommon/base/str.h"
#include "master/core/inside.h"

bool
agent_takes_tasks(const struct agent *a)
{
	return a->state == AGENT_READY && (!a->closed || ZAB_PLANTED(PLANT_DRAIN_IGNORED));
}

/* Its tasks go elsewhere; each is told once for every registration. */
static void
move_tasks(struct cluster *c, struct agent *a)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &a->attempts) {
		struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);
		struct out *o;

		if (t->moved || t->unsent || task_state_terminal(t->state) ||
		    (o = cluster_emit(c, OUT_KILL, a, NULL)) == NULL)
			continue;
		MARK("drain: a task is moved");
		t->moved = true;
		cluster_key(t, &o->key);
	}
}

void
drain_scan(struct cluster *c, uint64_t now_ms, struct agent *a)
{
	bool closed;

	if (a->drain.wanted && now_ms >= a->drain.until_ms) {
		a->drain.wanted = false;
		registry_dirty(c, a);
	}
	closed = a->drain.wanted && now_ms >= a->drain.from_ms;
	if (closed != a->closed) {
		a->closed = closed;
		if (a->node != PLACE_NONE)
			place_node_open(
			    &c->books.place, a->node, agent_takes_tasks(a) && a->held_for == NULL);
		c->unplaced = c->unplaced || agent_takes_tasks(a);
		cluster_emit(c, OUT_NODE, a, NULL);
	}
	if (closed && now_ms >= a->drain.stop_ms && a->state == AGENT_READY && a->connected)
		move_tasks(c, a);
}

void
cluster_drain(struct cluster *c, uint64_t now_ms, struct agent *a, const struct drain *drain)
{
	a->drain = *drain;
	registry_dirty(c, a);
	drain_scan(c, now_ms, a);
}

enum drain_phase
cluster_drain_phase(const struct agent *a)
{
	if (!a->drain.wanted)
		return DRAIN_NONE;
	if (!a->closed)
		return DRAIN_PLANNED;
	return list_empty(&a->attempts) && list_empty(&a->doomed) ? DRAIN_DONE : DRAIN_GOING_ON;
}

/* --- in the registry: "drain=FROM,STOP,UNTIL", milliseconds since 1970 or "-" for never --- */

static void
encode_time(const struct cluster *c, uint64_t at_ms, struct buf *out)
{
	if (at_ms == UINT64_MAX)
		buf_printf(out, "-");
	else
		buf_printf(out, "%" PRId64, (int64_t)at_ms + c->settings.wall_offset_ms);
}

void
drain_encode(const struct cluster *c, const struct drain *d, struct buf *out)
{
	if (!d->wanted)
		return;
	buf_printf(out, " drain=");
	encode_time(c, d->from_ms, out);
	buf_printf(out, ",");
	encode_time(c, d->stop_ms, out);
	buf_printf(out, ",");
	encode_time(c, d->until_ms, out);
}

/* What lies before our clock's beginning is over, and so is 0. */
static bool
decode_time(const struct cluster *c, const char *text, uint64_t *at_ms)
{
	int64_t wall_ms;

	*at_ms = UINT64_MAX;
	if (strcmp(text, "-") == 0)
		return true;
	if (!str_to_i64(text, 0, INT64_MAX / 2, &wall_ms))
		return false;
	wall_ms -= c->settings.wall_offset_ms;
	*at_ms = wall_ms < 0 ? 0 : (uint64_t)wall_ms;
	return true;
}

bool
drain_decode(const struct cluster *c, const char *text, struct drain *d)
{
	char from[24], stop[24], until[24];
	int used = 0;

	*d = (struct drain){0};
	if (text[0] == '\0')
		return true;
	if (sscanf(text, " drain=%23[^,],%23[^,],%23s%n", from, stop, until, &used) != 3 ||
	    text[used] != '\0')
		return false;
	d->wanted = true;
	return decode_time(c, from, &d->from_ms) && decode_time(c, stop, &d->stop_ms) &&
	       decode_time(c, until, &d->until_ms);
}

/* --- forgetting --- */

/* A singleton's attempt that may run there until its lease is over; NULL: none. */
static const struct attempt *
leased_singleton(const struct agent *a)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, (struct list *)&a->attempts) {
		const struct attempt *t = CONTAINER_OF(it, struct attempt, in_agent);

		if (t->job->singles != NULL && !t->unsent && !task_state_terminal(t->state))
			return t;
	}
	return NULL;
}

bool
cluster_forget(struct cluster *c, uint64_t now_ms, struct agent *a, bool powered_off, char *error,
    size_t error_size)
{
	const struct attempt *t = leased_singleton(a);

	if (a->connected) {
		snprintf(error, error_size,
		    "node %s is connected: stop its agent first; to keep tasks away from it, "
		    "corral drain %s",
		    a->name, a->name);
		return false;
	}
	if (t != NULL && !powered_off) {
		MARK("forget: a singleton may run");
		snprintf(error, error_size,
		    "%s.%" PRIu32 " is a singleton that may still run on %s: wait until its lease "
		    "is over (corral why %s.%" PRIu32 "), or power the machine off and say so by "
		    "--i-have-powered-it-off",
		    t->job->name, t->index, a->name, t->job->name, t->index);
		return false;
	}
	a->gone = true;
	a->off = powered_off;
	a->drain = (struct drain){0};
	a->closed = false;
	registry_dirty(c, a);
	if (powered_off)
		return cluster_powered_off(c, now_ms, a);
	if (a->state == AGENT_UNREACHABLE)
		agent_given_up(c, now_ms, a); /* the mark is stored already */
	return cluster_mark_unreachable(c, a);
}

bool
agent_revive(struct cluster *c, struct agent *a, const char *id)
{
	MARK("register: a node that was forgotten");
	if (!str_copy(a->id, sizeof a->id, id))
		return false;
	a->gone = a->off = false;
	registry_dirty(c, a);
	return true;
}

/* --- the era --- */

uint64_t
cluster_era_bump(struct cluster *c)
{
	c->era_next = (c->seen.era > c->term.era ? c->seen.era : c->term.era) + 1;
	c->era_dirty = true;
	return c->era_next;
}
