/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a member of an ensemble stands, for operators: role, epoch, whom it follows, who follows it,
 * and, while it does not serve, what it waits for in words.
 */
#ifndef CORRAL_ZKSERVER_STANDING_H
#define CORRAL_ZKSERVER_STANDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zkserver/core/peer.h"

#define STANDING_WHY_BYTES 512
#define STANDING_UNKNOWN (-1)

struct standing {
	int64_t sid;
	const char *role;  /* "leader", "follower", "observer", "read-only", "looking" */
	const char *phase; /* "election", "discovery", "synchronization", "broadcast" */
	char state[48];	   /* "leading - broadcast", as Apache's server says it */
	bool serves, voting;
	char why[STANDING_WHY_BYTES]; /* it does not serve; "" if it does */
	int64_t leader;		      /* its sid; STANDING_UNKNOWN: none */
	int64_t master;	   /* whom it is connected to: the leader, or for an observer a follower */
	int32_t epoch;	   /* of the role; while there is none the last one's */
	int64_t zxid;	   /* the last applied */
	int64_t round;	   /* of the election */
	int64_t lag;	   /* transactions that were received and not applied yet */
	uint64_t since_ms; /* in this role for so long */
	unsigned voters;
	bool takes_observers; /* a follower; the figures below are then its observers' */
	/* A leader's. */
	unsigned learners, synced_followers, synced_non_voting, synced_observers;
	uint64_t pending_syncs;
};

/* A leader's learner, or a follower's observer. */
struct standing_learner {
	const struct peer_link *link; /* to find the next */
	int64_t sid, acked;
	int64_t lag; /* transactions behind what is committed; STANDING_UNKNOWN: of another epoch */
	bool observer, synced;
	const char *stage;
	size_t unsent; /* bytes */
	uint64_t since_ms;
};

/* Why a server cannot be reached; "" if nothing is known against it. */
typedef const char *standing_trouble_fn(void *arg, int64_t sid);

/* since_ms is left alone. */
void standing_of(
    struct standing *to, const struct peer *p, standing_trouble_fn *trouble, void *arg);

/* The next learner behind *l; l->link NULL to begin with. False: there is none. */
bool standing_next(struct standing_learner *l, const struct peer *p);

/* Can a server be reached for elections: "up", "down", "trying". */
const char *standing_link(const struct peer *p, int64_t sid);

#endif
