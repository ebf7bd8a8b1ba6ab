/* SPDX-License-Identifier: Apache-2.0 */
/* What the leader's files share. */
#ifndef CORRAL_ZKSERVER_CORE_LEADER_PRIV_H
#define CORRAL_ZKSERVER_CORE_LEADER_PRIV_H

#include "zkserver/core/leader.h"
#include "zkserver/core/qpacket.h"

/* The next learner's link behind `at`; NULL to begin with, NULL at the end. */
struct peer_link *leader_next(const struct leader *l, const struct peer_link *at);

/* Does its vote count? */
bool leader_is_voter(const struct leader *l, const struct peer_link *link);

/*
 * From now on a follower is timed by the last proposal that it was sent: it has syncLimit to
 * acknowledge it, so that none waits for longer than twice that, however it acknowledges others.
 */
void leader_await(const struct leader *l, struct peer_link *link);

/* The epoch is fixed: tell it. */
void leader_greet(struct leader *l, struct peer_link *link);

/* A sync waits from now on. False: too many do. */
bool leader_park(struct leader *l, struct buf *syncs);

/* leader_reconf.c: a quorum has what was proposed: it is in force. */
void leader_adopt(struct leader *l, int64_t zxid);

/* Does it serve, and what it takes: as a leader, or as one that relays? */
static inline bool
leader_serves(const struct leader *l)
{
	return l->phase >= LEADER_ACTIVE;
}

/* Answer what the learner asked and was told enough for. */
void leader_answer(struct leader *l, struct peer_link *link);

/* leader_relay.c: the parts of leader_turn(), of requests, of a link's end; and the one of the
 * choice for a learner: false, and it has ended, if that has what has not come here yet. */
void leader_relay_turn(struct leader *l);
void leader_relay_request(struct leader *l, struct peer_link *link, const struct qpacket_request *q,
    const struct acl_ids *who);
void leader_relay_lost(struct leader *l, const struct peer_link *link);
bool leader_relay_serves(struct leader *l, struct peer_link *link);

/* Is that zxid a reconfig's? Then *leader is who leads from there. */
bool leader_reconfig_at(const struct leader *l, int64_t zxid, int64_t *leader);

#endif
