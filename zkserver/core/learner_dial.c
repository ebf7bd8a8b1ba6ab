/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a learner connects to: its leader; or, where followers take observers, an observer one of
 * those. Each in turn, and every observer begins with another one, so that they are spread. The
 * leader, which has enough to do, comes last: when nobody else would take us for a while.
 */
#include "libcommon/base/hash.h"
#include "zkserver/core/learner.h"
#include "libcommon/base/mark.h"

/* Voters that may follow the leader. */
static unsigned
list_masters(const struct learner *l, int64_t to[MEMBERS_MAX])
{
	const struct members *m = l->z->members;
	unsigned count = 0;

	for (unsigned i = 0; i < m->count && l->observer && l->z->settings.observer_masters; i++) {
		int64_t sid = m->list[i].sid;

		if (!m->list[i].observer && sid != l->leader && sid != l->z->settings.sid)
			to[count++] = sid;
	}
	return count;
}

void
learner_dial(struct learner *l)
{
	const struct zab *z = l->z;
	int64_t masters[MEMBERS_MAX];
	unsigned count = list_masters(l, masters);
	unsigned turn = l->master_turn % (count * LEARNER_DIALS_MAX + 1);

	l->dials++;
	l->dial_at_ms = UINT64_MAX;
	if (turn == count * LEARNER_DIALS_MAX) {
		l->master = l->leader;
		z->ops->dial(z->arg, l->leader);
		return;
	}
	l->master = masters[((uint64_t)z->settings.sid + turn) % count];
	z->ops->dial_master(z->arg, l->master);
}

/* An observer gives others a chance before it comes (back), by chance more or less of it. */
static uint64_t
pause_ms(const struct learner *l)
{
	uint64_t most_ms = l->observer ? l->z->settings.observer_delay_ms : 0;
	uint64_t draw = hash_u64((uint64_t)l->z->settings.sid << 48 ^ l->z->now_ms);
	uint64_t pause_ms = l->turned_away > 0 ? LEARNER_DIAL_PAUSE_MS : 0;

	for (unsigned n = LEARNER_PATIENCE; n < l->turned_away; n++)
		pause_ms = pause_ms < LEARNER_PAUSE_MAX_MS ? 2 * pause_ms : pause_ms;
	return pause_ms + (most_ms > 0 ? draw % most_ms : 0);
}

void
learner_dial_first(struct learner *l)
{
	uint64_t wait_ms = pause_ms(l);

	l->started_ms += wait_ms;
	if (wait_ms > 0)
		l->dial_at_ms = l->started_ms;
	else
		learner_dial(l);
}

bool
learner_dial_again(struct learner *l)
{
	int64_t masters[MEMBERS_MAX];
	unsigned count = list_masters(l, masters);

	l->master_turn++;
	if (l->master == l->leader && (count > 0 || l->dials >= LEARNER_DIALS_MAX)) {
		l->master = -1;
		return false;
	}
	MARK("learner: tries again to connect");
	l->dial_at_ms = l->z->now_ms;
	if (l->master == l->leader || (count > 0 && l->dials % count == 0))
		l->dial_at_ms += LEARNER_DIAL_PAUSE_MS;
	return true;
}

void
learner_dial_done(struct learner *l)
{
	int64_t masters[MEMBERS_MAX];
	unsigned count = list_masters(l, masters);

	if (count > 0 && l->master != l->leader)
		l->master_turn %= count;
}
