/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member of an ensemble without its sockets: it looks for a leader, becomes one or follows one,
 * and looks again when that ends. Drives the server through its roles, and what is on disk through
 * synchronization.
 *
 * The shell
 *	- sets the time before each batch of inputs, the server's (server_set_time()) and
 *	  this one's,
 *	- hands in what comes: notifications, which election links there are, links to and from the
 *	  quorum port and their bytes; and what the log has made durable (peer_synced(), which tells
 *	  the server, too),
 *	- calls peer_turn() behind each batch of inputs, the server's included,
 *	- then takes the server's records for the log, and attends to dirty links
 *	  (peer_next_dirty()): sends `out`, closes what has ended, starts snapshots,
 *	- calls peer_tick() when peer_deadline_ms() has come.
 *
 * Same inputs, same outputs.
 */
#ifndef CORRAL_ZKSERVER_CORE_PEER_H
#define CORRAL_ZKSERVER_CORE_PEER_H

#include "zkserver/core/election.h"
#include "zkserver/core/leader.h"
#include "zkserver/core/learner.h"
#include "zkserver/core/zab.h"

enum peer_phase {
	PEER_DRAINING, /* a role has ended: the log takes what is pending */
	PEER_ELECTING,
	PEER_LEADS,
	PEER_FOLLOWS,
	PEER_OBSERVES,
};

struct peer {
	struct zab zab;
	enum peer_phase phase;
	struct election election;
	struct leader leader;
	struct learner learner;
	struct server_upstream upstream;
	struct members gossip; /* a newer configuration that somebody knows */
	bool has_gossip;
	int64_t appointed;   /* who leads next, as a reconfig has it; -1: an election */
	uint64_t elections;  /* ended ones */
	uint64_t looking_ms; /* since when it has no role */
	bool voted;	     /* the election was told that its leader is in sync */
	int64_t logged;	     /* durable here when this role last looked; -1: it has not */
	uint64_t logged_ms;  /* since when it has not become more though something waits */
};

/* Whom and where; all borrowed, the stores are the server's. */
struct peer_config {
	struct zab_settings settings;
	struct election_settings election;
	const struct members *members; /* in force, and */
	const struct members *seen;    /* one that was proposed; NULL: none. Both are copied */
	struct store *snapshots, *logs;
	const struct peer_ops *ops;
	void *arg;
};

/*
 * Before peer_start(): recover db, fill the history, read the epochs. 0, or a negative errno with
 * *f, and nothing is left to be released. *report and *note are for the log.
 */
int peer_init(struct peer *p, const struct peer_config *config, struct db *db,
    struct recover_report *report, struct fault *note, struct fault *f);
void peer_fini(struct peer *p);

/* The server was made over the db by now: look for a leader. */
void peer_start(struct peer *p, struct server *server, uint64_t now_ms);

void peer_set_time(struct peer *p, uint64_t now_ms);
void peer_turn(struct peer *p);
void peer_tick(struct peer *p);
uint64_t peer_deadline_ms(const struct peer *p);

/* Election. */
void peer_heard(struct peer *p, int64_t sid, const uint8_t *bytes, size_t size);
void peer_election_link(struct peer *p, int64_t sid, enum election_link link);

/* All records up to zxid are durable. */
void peer_synced(struct peer *p, int64_t zxid);

/* A link that somebody opened to our quorum port; or the one that ops->dial() asked for. */
void peer_link_accepted(struct peer *p, struct peer_link *l, struct buf *out);
/* The same, of somebody who came to the port for observers. */
void peer_observer_accepted(struct peer *p, struct peer_link *l, struct buf *out);
/* Is there to be a port for observers? A follower's, with settings.observer_masters. */
bool peer_takes_observers(const struct peer *p);
void peer_link_dialled(struct peer *p, struct peer_link *l, struct buf *out, int64_t sid);
void peer_dial_failed(struct peer *p, int64_t sid);

/*
 * Where at most *size bytes that come shall go, NULL if none are wanted (it is paused, or has
 * ended); and that so many are there.
 */
uint8_t *peer_link_room(struct peer *p, struct peer_link *l, size_t *size);
void peer_link_took(struct peer *p, struct peer_link *l, size_t size);
/* A part of `out` was sent, it holds less than half of out_soft_bytes. */
void peer_link_drained(struct peer *p, struct peer_link *l);
/*
 * A snapshot that l->wants_snapshot asked for starts now, of the database as it is in this moment;
 * what snapshot_stream() makes of it goes out behind what is in `out`, and nothing else until
 * peer_link_snapshot_sent().
 */
void peer_link_snapshot_begin(struct peer *p, struct peer_link *l);
void peer_link_snapshot_sent(struct peer *p, struct peer_link *l);
/* It is closed, by whomever. The last call for this link; it may come at any time. */
void peer_link_closed(struct peer *p, struct peer_link *l);

/* The next link that wants the shell's attention; NULL: none. */
struct peer_link *peer_next_dirty(struct peer *p);

/* For reports: "leader", "follower", "observer", "looking". */
const char *peer_role_name(const struct peer *p);

#endif
