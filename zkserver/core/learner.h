/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A follower or an observer on its link to the leader: discovery, synchronization, broadcast. What
 * breaks the protocol's order ends the link with a reason, and with it the role.
 */
#ifndef CORRAL_ZKSERVER_CORE_LEARNER_H
#define CORRAL_ZKSERVER_CORE_LEARNER_H

#include "zkserver/core/snapstream.h"
#include "zkserver/core/zab.h"

#define LEARNER_DIALS_MAX 5
#define LEARNER_DIAL_PAUSE_MS 100
/* A leader that has turned us away more often than that is asked ever more rarely. */
#define LEARNER_PATIENCE 4
#define LEARNER_PAUSE_MAX_MS 1600

/* What the leader was asked and has not answered: whose it is. */
struct learner_question {
	struct peer_link *link; /* an observer's; NULL: nobody's any more, or ours */
	bool ours;		/* one of our own clients asked */
	int64_t session;	/* of a revalidation */
	int32_t timeout_ms;
};

/* So many bytes proposed to us may wait for our disk; then the link is not read. */
#define LEARNER_PENDING_SOFT_BYTES ((size_t)32 << 20)

enum learner_phase {
	LEARNER_AWAY, /* the role is over, or never began */
	LEARNER_DIALLING,
	LEARNER_GREETING,     /* FOLLOWERINFO went out, LEADERINFO is awaited */
	LEARNER_CHOOSING,     /* ACKEPOCH went out; DIFF, TRUNC or SNAP is awaited */
	LEARNER_RECEIVING,    /* a snapshot's bytes come */
	LEARNER_FOLLOWING_UP, /* proposals and commits up to NEWLEADER */
	LEARNER_SETTLING,     /* NEWLEADER came; everything before it must be durable */
	LEARNER_AGREED,	      /* its ACK went out, UPTODATE is awaited */
	LEARNER_SERVES,
};

struct learner {
	struct zab *z;
	enum learner_phase phase;
	bool observer;
	int64_t leader; /* its sid */
	int64_t master; /* whom it is connected to, or tries: the leader, or for an observer one
			   of its followers; -1: nobody yet */
	unsigned master_turn; /* of those that an observer tries; goes on from role to role */
	int32_t epoch;
	struct peer_link *link; /* NULL: none */
	int64_t turned_away_by; /* the last leader, if it did not take us; -1: it did */
	unsigned turned_away;	/* so often in a row */
	unsigned dials;
	uint64_t dial_at_ms; /* the next attempt; UINT64_MAX: one is under way, or none is due */
	uint64_t started_ms;
	struct snapstream snapstream;
	bool spooling;
	bool released; /* the log's files, for what is received */
	/* A snapshot came, and what it may hold already is sent again; to the end of a later role's
	 * sync, if this one's was interrupted. */
	bool fuzzy;
	bool unfinished; /* it was loaded, what ends a load is still to be done */
	struct server_cursor cursor;
	int64_t snapshot_zxid;
	int64_t settled_zxid; /* what must be durable before NEWLEADER's ACK */
	int64_t acked;	      /* up to here nothing is left to be acknowledged */
	int64_t committed;    /* the last COMMIT or INFORM, and as far as the server was told */
	int64_t delivered;
	/* A truncation that the leader asked for is impossible: ask for a snapshot next time. */
	bool wants_snapshot;
	struct members next; /* what NEWLEADER brought; version -1: nothing */
	int64_t appointed;   /* who leads on, if the role has ended with a reconfig; -1: vote */
	struct buf syncs, revalidations; /* asked for, the oldest first: struct learner_question */
	struct leader *relay;		 /* takes observers meanwhile; NULL: it does not */
};

void learner_init(struct learner *l, struct zab *z);

/* The role begins: the server is idle, nothing is pending. */
void learner_start(struct learner *l, int64_t leader, bool observer);

/* The role ends: the link is let go of. */
void learner_stop(struct learner *l);

/*
 * The role has ended, and all that is pending is on disk and applied. If its synchronization was
 * interrupted after a snapshot, what is in memory is thrown away, and loaded from the disk.
 */
void learner_reload(struct learner *l);

/* The link is there, or could not be made. */
void learner_dialled(struct learner *l, struct peer_link *link);
void learner_dial_failed(struct learner *l);

/* The link was closed. */
void learner_lost(struct learner *l);

/* Bytes came in link->in: take what is whole. */
void learner_read(struct learner *l);

/* What follows from what has happened: acknowledgements, the end of SETTLING, reading on. */
void learner_turn(struct learner *l);

/* False: the role is over (leader gone, time over, protocol broken). */
bool learner_lives(const struct learner *l);
uint64_t learner_deadline_ms(const struct learner *l);
void learner_tick(struct learner *l);

/*
 * learner_dial.c. Connect to whomever it is time for; and: nothing came of that. False: there is no
 * use in trying further.
 */
void learner_dial(struct learner *l);
/* The same when the role begins, or after a pause. */
void learner_dial_first(struct learner *l);
bool learner_dial_again(struct learner *l);
/* It was taken: when that ends, whoever is next is tried first. */
void learner_dial_done(struct learner *l);

/*
 * learner_ask.c. What the leader is asked for our own clients (the server's upstream), and for
 * those of an observer on `link`.
 */
void learner_send_request(struct learner *l, int64_t session, int32_t cxid, int32_t type,
    const uint8_t *body, size_t size, const struct acl_ids *who);
void learner_send_revalidate(struct learner *l, int64_t session, int32_t timeout_ms);
void learner_send_sync(struct learner *l);
void learner_pass_revalidate(
    struct learner *l, struct peer_link *link, int64_t session, int32_t timeout_ms);
void learner_pass_sync(struct learner *l, struct peer_link *link, int64_t session, int32_t cxid,
    struct jute_reader body, const struct acl_ids *who);
/* So much was asked that observers have to wait. */
bool learner_is_choked(const struct learner *l);
/* The answers. */
void learner_synced(struct learner *l);
void learner_revalidated(struct learner *l, int64_t session, bool valid);
/* The observer's link has ended; and: nothing will be answered any more. */
void learner_forget_link(struct learner *l, const struct peer_link *link);
void learner_forget_questions(struct learner *l);

#endif
