/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The election of the leading master and its right to act. Masters contend with ephemeral
 * sequential nodes /corral/master/json.info_N; the lowest that lives leads. After a reply that was
 * lost a master looks for a node of its own session before it creates one. It looks after that as
 * well: the server of a new connection may not have had the node yet that an earlier request made,
 * and of two nodes of one session the lower one is its own.
 *
 * A leader renews itself by writes to its own node every T/10 (T: the session time-out) and may act
 * only within T/2 of the sending time of the last one that was answered with success; pings and
 * reads prove nothing. Past its bound it drops everything, ends its session and contends anew: a
 * term is never resumed. The term is (era, czxid of the node).
 *
 * A core: each function takes an event and the time, and appends to elect->out what is to be done.
 */
#ifndef CORRAL_MASTER_ELECT_H
#define CORRAL_MASTER_ELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/core/cluster.h"

enum { ELECT_NODE_MAX = 64, ELECT_OUT_MAX = 8, ELECT_RENEWALS_MAX = 16, ELECT_CANDIDATES_MAX = 64 };

#define ELECT_PREFIX "json.info_"

enum elect_state {
	ELECT_IDLE,	 /* no session */
	ELECT_LISTING,	 /* the children of /corral/master are being read, with a watch */
	ELECT_SEARCHING, /* one child after the other is read: is it ours? */
	ELECT_CREATING,
	ELECT_STANDBY, /* a lower node lives: until the watch fires */
	ELECT_PROVING, /* lowest: the first renewal is under way, then the era is read */
	ELECT_LEADING,
	ELECT_DROPPED, /* everything is to be dropped and the session closed */
};

enum elect_act {
	ELECT_LIST, /* read the children, with a watch: elect_listed(), and later elect_changed() */
	ELECT_READ, /* read the node `name`: elect_read() */
	ELECT_CREATE, /* create the node: elect_created() */
	ELECT_RENEW,  /* write own node `name`: elect_renewed() */
	ELECT_ERA,    /* read the era: elect_era() */
	ELECT_LEAD,   /* elect->term is ours: read the store and begin */
	ELECT_DROP,   /* drop all state, close the session, open another: elect_session() */
};

enum elect_result {
	ELECT_OK,
	ELECT_GONE,  /* the node does not exist */
	ELECT_AGAIN, /* the connection was lost: it may or may not have been done */
};

struct elect_out {
	enum elect_act act;
	char name[ELECT_NODE_MAX];
};

struct elect {
	enum elect_state state;
	int64_t session_id;
	uint64_t timeout_ms;	     /* T */
	char own[ELECT_NODE_MAX];    /* "" while not known */
	char leader[ELECT_NODE_MAX]; /* the lowest node seen; "" if there is none */
	char candidates[ELECT_CANDIDATES_MAX][ELECT_NODE_MAX];
	size_t candidate_count, candidate_next; /* the lowest ones, in order */
	bool crowded;				/* there are more than those */
	bool own_found;				/* among all of them */
	uint64_t sent_ms[ELECT_RENEWALS_MAX];	/* renewals under way, in order */
	size_t renewals;
	uint64_t next_renewal_ms;
	uint64_t renewed_ms; /* sending time of the last renewal that succeeded */
	bool changed;	     /* the watch fired while something else was under way */
	struct term term;
	const char *why; /* of the last drop, for the log */
	struct elect_out out[ELECT_OUT_MAX];
	size_t out_count;
};

void elect_init(struct elect *e);

/* A session is there (or again, on another server: then nothing happens). */
void elect_session(struct elect *e, int64_t session_id, uint64_t timeout_ms);
/* The session has expired. */
void elect_expired(struct elect *e);

/* Answers to what was asked for; names are the children's names, in any order. */
void elect_listed(struct elect *e, uint64_t now_ms, enum elect_result result,
    const char *const *names, size_t count);
void elect_read(
    struct elect *e, uint64_t now_ms, enum elect_result result, int64_t ephemeral_owner);
void elect_created(struct elect *e, enum elect_result result);
void elect_renewed(struct elect *e, uint64_t now_ms, enum elect_result result, int64_t czxid);
/* What /corral/era has; NULL: it could not be read. False: that is no era, and leads nobody. */
bool elect_era(struct elect *e, uint64_t now_ms, const void *text, size_t size);
/* The watch on the children fired. */
void elect_changed(struct elect *e);

/* To be called at the deadline. */
void elect_tick(struct elect *e, uint64_t now_ms);
uint64_t elect_deadline_ms(const struct elect *e);

/* Asked before anything is read from, decided for, or sent to an agent or a client. */
bool elect_may_act(const struct elect *e, uint64_t now_ms);

/* Give leadership up for a reason of ours, or a session that is not contended with yet. */
void elect_drop(struct elect *e, const char *why);

void elect_out_clear(struct elect *e);

#endif
