/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a learner connects to: its leader; or, where followers take observers, an observer one of
 * those. Each in turn, and every observer begins with another one, so that they are spread. The
 * leader, which has enough to do, comes last: when nobody else would take us for a while.
 */
#include "zkserver/core/learner.h"
#include "zkserver/core/mark.h"

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
