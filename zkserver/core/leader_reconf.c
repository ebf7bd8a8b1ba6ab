/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A leader that changes its ensemble's members. A configuration is proposed like any transaction,
 * and from then on a quorum is one of both; when it is committed, it is in force. If the leader
 * itself is no longer a voter where it was, it says with the commit who leads on, commits nothing
 * more, and ends when its followers have gone there.
 */
#include <string.h>

#include "libcommon/codec/zk_err.h"
#include "zkserver/core/leader_priv.h"
#include "zkserver/core/reconf.h"

/* Do those that are in sync make a quorum of it? Observers cannot acknowledge anything. */
static bool
is_ready(const struct leader *l, const struct members *m)
{
	const struct peer_link *link = NULL;
	struct sid_set set = {0};

	sid_set_add(&set, l->z->settings.sid);
	while ((link = leader_next(l, link)) != NULL) {
		if (link->stage >= LEARNER_SYNCED && !link->observer)
			sid_set_add(&set, link->sid);
	}
	return members_quorum(m, &set);
}

int
leader_judge(struct leader *l, const struct reconf_request *r, int64_t zxid, struct buf *text)
{
	struct zab *z = l->z;
	struct fault f = {0};
	int rc;

	if (l->phase != LEADER_ACTIVE || l->retire_at_ms > 0)
		return ZK_RECONFIGINPROGRESS;
	rc = reconf_apply(
	    zab_newest(z), z->members->version, r, zxid, z->settings.standalone, &l->next, &f);
	if (rc == ZK_OK && !is_ready(l, &l->next))
		rc = ZK_NEWCONFIGNOQUORUM;
	if (f.text[0] != '\0')
		zab_say(z, "a reconfig was refused: %s", f.text);
	if (rc == ZK_OK)
		members_print(&l->next, text);
	return rc;
}

int
leader_propose_members(struct leader *l)
{
	struct fault f = {0};

	if (zab_see(l->z, &l->next, &f))
		return ZK_OK;
	zab_say(l->z, "a reconfig was refused: %s", f.text);
	return ZK_SYSTEMERROR;
}

/* The voter of the new configuration that has most, and has at least this. */
static int64_t
choose(const struct leader *l, const struct members *m, int64_t zxid)
{
	const struct peer_link *link = NULL, *best = NULL;

	while ((link = leader_next(l, link)) != NULL) {
		if (link->stage >= LEARNER_SYNCED && !link->observer &&
		    members_weight(m, link->sid) > 0 && link->acked >= zxid &&
		    (best == NULL || link->acked > best->acked))
			best = link;
	}
	return best != NULL ? best->sid : l->z->settings.sid;
}

static void
forget_old(struct leader *l)
{
	const struct peer_link *link = NULL;
	int64_t told = INT64_MAX;
	struct leader_reconfig oldest;

	while ((link = leader_next(l, link)) != NULL) {
		if (link->stage >= LEARNER_CATCHING_UP && link->committed < told)
			told = link->committed;
	}
	while (l->reconfigs.len > 0) {
		memcpy(&oldest, l->reconfigs.data, sizeof oldest);
		if (oldest.zxid > told)
			return;
		buf_consume(&l->reconfigs, sizeof oldest);
	}
}

void
leader_adopt(struct leader *l, int64_t zxid)
{
	struct zab *z = l->z;
	int64_t self = z->settings.sid;
	struct leader_reconfig r = {.zxid = zxid, .leader = self};

	if (!zab_stays(z->members, z->seen, self))
		r.leader = choose(l, z->seen, zxid);
	forget_old(l);
	buf_append(&l->reconfigs, &r, sizeof r);
	if (l->reconfigs.failed)
		leader_fail(l, "no memory for a reconfig");
	zab_adopt(z, z->seen);
	if (r.leader == self)
		return;
	l->appointed = r.leader;
	l->retire_at_ms = z->now_ms + z->settings.tick_ms;
	zab_say(z, "server %lld leads on, in the new configuration", (long long)r.leader);
}

bool
leader_reconfig_at(const struct leader *l, int64_t zxid, int64_t *leader)
{
	const struct leader_reconfig *r = (const void *)l->reconfigs.data;
	size_t count = l->reconfigs.len / sizeof *r;

	for (size_t i = count; i > 0 && r[i - 1].zxid >= zxid; i--) {
		if (r[i - 1].zxid == zxid) {
			*leader = r[i - 1].leader;
			return true;
		}
	}
	return false;
}
