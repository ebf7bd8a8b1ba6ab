/* SPDX-License-Identifier: Apache-2.0 */
/* What the leader's files share. */
#ifndef CORRAL_ZKSERVER_CORE_LEADER_PRIV_H
#define CORRAL_ZKSERVER_CORE_LEADER_PRIV_H

#include "zkserver/core/leader.h"

/* The next learner's link behind `at`; NULL to begin with, NULL at the end. */
struct peer_link *leader_next(const struct leader *l, const struct peer_link *at);

/* It cannot lead any longer; the first reason counts. */
void leader_fail(struct leader *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Does its vote count? */
bool leader_is_voter(const struct leader *l, const struct peer_link *link);

/* The epoch is fixed: tell it. */
void leader_greet(struct leader *l, struct peer_link *link);

/* A sync waits from now on. False: too many do. */
bool leader_park(struct leader *l, struct buf *syncs);

/* leader_reconf.c: a quorum has what was proposed: it is in force. */
void leader_adopt(struct leader *l, int64_t zxid);

/* Is that zxid a reconfig's? Then *leader is who leads from there. */
bool leader_reconfig_at(const struct leader *l, int64_t zxid, int64_t *leader);

#endif
