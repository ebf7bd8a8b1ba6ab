/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leader election: ZooKeeper's FastLeaderElection as a state machine. Each voter proposes the best
 * candidate that it knows of, and tells the others when it learns of a better one; when a quorum
 * proposes the same one in the same round, or says that it follows one that says that it leads, the
 * election is over. What it ends with is a guess: Zab's discovery makes sure of it (a candidate
 * that lacks something gives up there), so that nothing a peer may claim here loses a transaction.
 *
 * Knows no connections: it is told of notifications and of which voters can be reached, and says
 * what to send. Never waits where all is known: it ends at once when every voter agrees or is
 * known to be down, and finalize_ms after a quorum agreed otherwise.
 *
 * Beyond Apache's: a vote for this server that claims more than it has is from an earlier life of
 * it, or forged, and begins a new round with what is true; a peer that can be reached again is told
 * at once how things stand; who asked while its answer was still to change is told again.
 */
#ifndef CORRAL_ZKSERVER_CORE_ELECTION_H
#define CORRAL_ZKSERVER_CORE_ELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "zkserver/core/members.h"
#include "zkserver/core/notification.h"

#define ELECTION_NOTIFY_MIN_MS 200 /* fastleader.minNotificationInterval */
#define ELECTION_NOTIFY_MAX_MS 60000
#define ELECTION_FINALIZE_MS 200

/*
 * The most that one notification moves our round. Rounds are counted from the start of a process,
 * so that no honest one is so far ahead; and a forged one of 2^63-1 costs a step, not the counter:
 * whoever is really far ahead answers with its round until we have caught up with it.
 */
#define ELECTION_ROUND_STEP_MAX (INT64_C(1) << 32)

struct election_settings {
	int64_t sid;
	uint32_t notify_min_ms, notify_max_ms; /* between repetitions, doubling */
	uint32_t finalize_ms;
};

/* Called from within election_*(); must not call back. */
struct election_ops {
	/* A notification for a server; it is borrowed. Newer ones replace those not sent yet. */
	void (*send)(void *arg, int64_t sid, const uint8_t *bytes, size_t size);
	/*
	 * We are looking, and a server knows a newer configuration. True: it will be adopted, with
	 * election_set_members() and election_start(), so that the notification is not looked at.
	 * NULL: configurations of others do not count.
	 */
	bool (*newer_config)(void *arg, int64_t sid, const struct members *newer);
};

/* Can a voter be reached? */
enum election_link {
	ELECTION_LINK_UNKNOWN, /* being tried */
	ELECTION_LINK_UP,
	ELECTION_LINK_DOWN, /* the last attempt failed */
};

enum election_phase {
	ELECTION_AWAY,	  /* no role yet, or it has ended: what is heard waits for the start */
	ELECTION_LOOKING, /* an election is going on */
	ELECTION_OVER,	  /* `vote` is its result, `state` our role */
};

/* What a server said last. */
struct election_word {
	struct vote vote;
	int32_t state, version;
};

struct election_words {
	struct sid_set from;
	struct election_word of[MEMBERS_SID_MAX + 1]; /* by sid, of those in `from` */
};

struct election {
	struct election_settings settings;
	const struct election_ops *ops;
	void *arg;
	const struct members *now, *next; /* borrowed; next NULL: none newer than now was seen */
	struct buf config;		  /* the text of now */
	struct buf out;
	struct members *parsed; /* for texts that are heard; NULL until one is */

	enum election_phase phase;
	enum peer_state state;
	bool observer;
	int64_t round;		   /* the logical clock */
	struct vote own, proposal; /* what we have; the best that we know of */
	struct vote vote;	   /* the result of the last election */
	bool forsaken;
	struct sid_set deserters; /* voters that look further, while we lead */

	struct election_words votes; /* of this round ("recvset") */
	struct election_words roles; /* of those that lead or follow ("outofelection") */
	struct election_words held;  /* heard while away */
	struct sid_set askers;	     /* who may have had an answer from us that is not the last */
	int64_t claimed[MEMBERS_SID_MAX + 1]; /* election_claimed_epoch() */
	enum election_link links[MEMBERS_SID_MAX + 1];

	uint32_t interval_ms;
	uint64_t notify_at_ms, finalize_at_ms; /* UINT64_MAX: not set */
};

/* Memory the caller owns. ops and arg are borrowed. */
void election_init(struct election *e, const struct election_settings *settings,
    const struct election_ops *ops, void *arg);
void election_fini(struct election *e);

/*
 * The committed configuration, and the last seen one if it is newer (NULL: there is none); both
 * borrowed until the next call. Not while looking, unless election_start() follows. False: no
 * memory, and the ones before are kept.
 */
bool election_set_members(
    struct election *e, const struct members *now, const struct members *next);

/*
 * Begin an election; election_set_members() was called before. zxid and epoch: the last logged
 * zxid and currentEpoch; they do not count for an observer.
 */
void election_start(
    struct election *e, uint64_t now_ms, int64_t zxid, int64_t epoch, bool observer);

/*
 * A role has ended, election_start() follows when what it left is on disk: what others say until
 * then is kept. So it is after election_init(), too.
 */
void election_leave(struct election *e);

/*
 * Instead of an election, when a reconfig has said who leads on; election_leave() was called
 * before.
 */
void election_appoint(
    struct election *e, int64_t leader, int64_t zxid, int64_t epoch, bool observer);

/* A notification, as bytes from the wire; what it breaks rules with is ignored. */
void election_heard(
    struct election *e, uint64_t now_ms, int64_t sid, const uint8_t *bytes, size_t size);

/* Whether a server can be reached has changed. */
void election_link_is(struct election *e, uint64_t now_ms, int64_t sid, enum election_link link);

/* Call election_tick() then; UINT64_MAX: never. */
uint64_t election_deadline_ms(const struct election *e);
void election_tick(struct election *e, uint64_t now_ms);

/* The result: leader, zxid, round, epoch. NULL while there is none. */
const struct vote *election_result(const struct election *e);

/*
 * This server and its leader have synchronized: votes name the new epoch from now on, without
 * which a server that comes later could not see a quorum of equal ones.
 */
void election_synced(struct election *e, int64_t epoch);

/*
 * The leader that was elected has said since that it does not lead, but looks further or follows
 * somebody; or, if it is us, so many voters look further that the others are no quorum. No use in
 * waiting. A hint, for those that are not yet in sync: a notification may have been on its way for
 * long.
 */
bool election_forsaken(const struct election *e);

/*
 * The currentEpoch that a voter had when it last proposed itself over the link that is up; -1: it
 * has not.
 */
int64_t election_claimed_epoch(const struct election *e, int64_t sid);

/* Voters that agree with our proposal in this round, us included. For reports. */
void election_agreeing(const struct election *e, struct sid_set *set);

#endif
