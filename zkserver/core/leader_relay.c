/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An observer master: a follower that keeps observers in step, so that the leader has them all for
 * the price of one follower. It is the leader's code that handles them, up to what the leader has
 * told this follower is committed. What they ask for is passed on, and comes back on the follower's
 * own link.
 */
#include <string.h>

#include "zkserver/core/leader_priv.h"
#include "libcommon/base/mark.h"

void
leader_relay(struct leader *l, struct learner *upstream)
{
	struct zab *z = l->z;

	buf_fini(&l->syncs);
	buf_clear(&l->reconfigs);
	*l = (struct leader){.z = z,
	    .syncs = l->syncs,
	    .reconfigs = l->reconfigs,
	    .appointed = -1,
	    .phase = LEADER_RELAYS,
	    .epoch = upstream->epoch,
	    .committed = upstream->committed,
	    .upstream = upstream,
	    .tick_at_ms = z->now_ms + z->settings.tick_ms,
	    .ping_at_ms = z->now_ms + z->settings.tick_ms / 2};
	upstream->relay = l;
}

void
leader_relay_turn(struct leader *l)
{
	struct peer_link *link = NULL;

	l->committed = l->upstream->committed;
	while ((link = leader_next(l, link)) != NULL) {
		if (!link->paused || learner_is_choked(l->upstream))
			continue;
		link->paused = false;
		link->heard_ms = l->z->now_ms;
		zab_link_touch(l->z, link);
		leader_read(l, link);
	}
}

void
leader_relay_lost(struct leader *l, const struct peer_link *link)
{
	if (l->upstream != NULL)
		learner_forget_link(l->upstream, link);
}

/*
 * What was committed in this epoch stays, and an observer may have heard of it elsewhere before it
 * came here. Cut back to what is here, it would take back what its clients have read; so it has to
 * look for somebody who knows as much.
 */
bool
leader_relay_serves(struct leader *l, struct peer_link *link)
{
	int64_t zxid = link->last_zxid, last = server_last_zxid(l->z->server);

	if (zxid <= last || (uint32_t)zxid == 0 || zxid >> 32 != l->epoch)
		return true;
	MARK("relay: an observer is ahead");
	zab_link_end(l->z, link, "server %lld has zxid 0x%llx, which has not come here yet",
	    (long long)link->sid, (unsigned long long)zxid);
	return false;
}

void
leader_relay_reconfig(struct leader *l, int64_t zxid, int64_t leader)
{
	const struct leader_reconfig r = {.zxid = zxid, .leader = leader};

	buf_append(&l->reconfigs, &r, sizeof r);
	if (l->reconfigs.failed)
		zab_fatal(l->z, "no memory for a reconfig");
}

void
leader_relay_request(struct leader *l, struct peer_link *link, const struct qpacket_request *q,
    const struct acl_ids *who)
{
	if (q->type == ZK_OP_SYNC)
		learner_pass_sync(l->upstream, link, q->session, q->cxid, q->body, who);
	else if (server_passes(l->z->server, link->sid, q->session, q->type))
		learner_send_request(l->upstream, q->session, q->cxid, q->type, q->body.pos,
		    jute_left(&q->body), who);
	else
		MARK("relay: a request of a session that has moved on");
}

/* It goes out behind what was committed before it, and before what is committed then. */
static void
park(struct leader *l, struct peer_link *link, struct leader_sync s)
{
	s.zxid = l->upstream->committed;
	buf_append(&link->syncs, &s, sizeof s);
	if (link->syncs.failed)
		zab_link_end(
		    l->z, link, "server %lld does not take its answers", (long long)link->sid);
}

void
leader_relay_synced(struct leader *l, struct peer_link *link)
{
	park(l, link, (struct leader_sync){0});
}

void
leader_relay_revalidated(struct leader *l, const struct learner_question *q, bool valid)
{
	park(l, q->link,
	    (struct leader_sync){.revalidation = true, .valid = valid, .session = q->session});
}
