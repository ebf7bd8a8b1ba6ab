/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A leader: discovery (a new epoch that a quorum promises to follow), synchronization (each learner
 * is brought to this server's history; leader_sync.c), broadcast. Each learner is a cursor into the
 * history, never a queue. What a learner does wrong costs its own link only.
 */
#ifndef CORRAL_ZKSERVER_CORE_LEADER_H
#define CORRAL_ZKSERVER_CORE_LEADER_H

#include "zkserver/core/learner.h"
#include "zkserver/core/zab.h"

/* Syncs that wait for a confirmation, of one learner: its clients' and those of its observers. */
#define LEADER_SYNCS_MAX (2 * SERVER_QUESTIONS_MAX)

/* A learner's requests are refused when so many bytes wait for the log. */
#define LEADER_PENDING_BYTES_MAX ((size_t)256 << 20)

enum leader_phase {
	LEADER_AWAY,
	LEADER_DISCOVERY, /* a quorum's FOLLOWERINFO is awaited */
	LEADER_PROMISE,	  /* the epoch is fixed; a quorum's ACKEPOCH is awaited */
	LEADER_SYNC,	  /* a quorum's ACK of NEWLEADER is awaited */
	LEADER_ACTIVE,
	LEADER_RELAYS, /* no leader: a follower that takes observers; leader_relay.c */
};

struct leader {
	struct zab *z;
	enum leader_phase phase;
	char why[PEER_WHY_BYTES]; /* it gave up */
	int32_t epoch;
	int32_t proposed_epoch; /* one more than the largest accepted one that was heard of */
	int32_t start_current;	/* currentEpoch and last zxid when it began */
	int64_t start_zxid;
	struct sid_set known, promised; /* whoever was heard of, whoever promised */
	uint64_t phase_until_ms;	/* give up then, unless somebody makes progress */
	uint64_t active_since_ms;
	uint64_t tick_at_ms, ping_at_ms;
	int64_t committed;
	/* Of pings that confirm the leadership: the last begun, the last that a quorum answered. */
	uint64_t round, confirmed;
	uint64_t wanted;	  /* the round that whoever waits waits for */
	struct buf syncs;	  /* our own clients' parked ones */
	struct members next;	  /* of a reconfig that is being prepared */
	struct buf reconfigs;	  /* of this epoch, committed: struct leader_reconfig */
	int64_t appointed;	  /* who is to lead on, as the configuration wants it; -1: nobody */
	uint64_t retire_at_ms;	  /* it commits nothing more, and ends now at the latest; 0: no */
	struct learner *upstream; /* who asks the leader, of one that relays */
};

/* A parked sync is answered when both have come. */
struct leader_sync {
	int64_t zxid;	/* committed, and told */
	uint64_t round; /* confirmed */
	/* Of one that relays, whose leader has answered already: */
	bool revalidation; /* it is no sync, but this */
	bool valid;
	int64_t session;
};

/* A reconfig that was committed, and who was chosen to lead from there. */
struct leader_reconfig {
	int64_t zxid, leader;
};

void leader_init(struct leader *l, struct zab *z);
void leader_fini(struct leader *l);

/* The role begins: the server is idle, nothing is pending. */
void leader_start(struct leader *l);

/* It ends: the links of all learners end. */
void leader_stop(struct leader *l, const char *why);

/* A learner's link that was accepted or held. */
void leader_take(struct leader *l, struct peer_link *link);

/* Bytes came in link->in. */
void leader_read(struct leader *l, struct peer_link *link);

/* A part of what waited for this learner was sent: it is busy with what it gets. */
void leader_progress(struct leader *l, struct peer_link *link);

/* A link ended, whoever wanted it. */
void leader_lost(struct leader *l, struct peer_link *link);

/* The shell starts the snapshot now, of db as it is: its SNAP packet goes out. And: it was sent. */
void leader_snapshot_begin(struct leader *l, struct peer_link *link);
void leader_snapshot_sent(struct leader *l, struct peer_link *link);

/* What follows from what has happened: phases, commits, proposals to whoever has room. */
void leader_turn(struct leader *l);

/* It cannot lead any longer; the first reason counts. */
void leader_fail(struct leader *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

bool leader_lives(const struct leader *l);
uint64_t leader_deadline_ms(const struct leader *l);
void leader_tick(struct leader *l);

/* One of our own clients' syncs was parked. */
void leader_own_sync(struct leader *l);

/*
 * leader_reconf.c, for the preparation: the text of the configuration that a reconfig asks for, or
 * why not (enum zk_rc); and: it was proposed.
 */
int leader_judge(struct leader *l, const struct reconf_request *r, int64_t zxid, struct buf *text);
int leader_propose_members(struct leader *l);

/*
 * leader_relay.c: a follower that serves takes observers from now on, until leader_stop(); what it
 * does with them is what a leader does, but that it decides nothing. leader_turn() is called after
 * learner_turn().
 */
void leader_relay(struct leader *l, struct learner *upstream);
/* For it: the leader has committed a reconfig, and said who leads on; has answered an observer's
 * sync, or its question about a session. */
void leader_relay_reconfig(struct leader *l, int64_t zxid, int64_t leader);
void leader_relay_synced(struct leader *l, struct peer_link *link);
void leader_relay_revalidated(struct leader *l, const struct learner_question *q, bool valid);

/* leader_sync.c: choose how to bring the learner up to date; then send what there is room for. */
void leader_sync_choose(struct leader *l, struct peer_link *link);
void leader_sync_pump(struct leader *l, struct peer_link *link);
void leader_sync_drop(struct peer_link *link);

/* What a history can do for a learner that has `zxid`: as ZooKeeper's servers decide, but where
 * leader_sync.c says otherwise. */
enum leader_choice { LEADER_DIFF, LEADER_TRUNC, LEADER_SNAP, LEADER_DIFF_FROM_LOG };
enum leader_choice leader_sync_decide(const struct zab *z, int64_t zxid, int64_t *cut_to);

#endif
