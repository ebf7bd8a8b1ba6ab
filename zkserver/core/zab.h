/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of a member's peer share: settings, the world's ends, a link between a leader and
 * a learner. peer.h ties them together; leader.h and learner.h are the two roles.
 */
#ifndef CORRAL_ZKSERVER_CORE_ZAB_H
#define CORRAL_ZKSERVER_CORE_ZAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "libcommon/base/store.h"
#include "zkserver/core/datadir.h"
#include "zkserver/core/epochs.h"
#include "zkserver/core/history.h"
#include "zkserver/core/members.h"
#include "zkserver/core/recover.h"
#include "zkserver/core/server.h"
#include "zkserver/core/txnlog_reader.h"

#define PEER_WHY_BYTES 200

/* An epoch that is so much ahead of ours is no honest server's. */
#define ZAB_EPOCH_JUMP_MAX (1 << 20)

/* A first packet is no longer; what comes before it was understood is bounded by it. */
#define ZAB_HELLO_BYTES_MAX 1024

struct zab_settings {
	int64_t sid;
	uint32_t tick_ms, init_limit, sync_limit; /* the limits in ticks */
	size_t packet_bytes_max;  /* of a packet's data: jute.maxbuffer and what is put around it */
	size_t out_soft_bytes;	  /* a learner's link is filled up to here, then waits */
	size_t out_bytes_max;	  /* a link with more unsent bytes is given up */
	unsigned links_max;	  /* that others opened */
	uint32_t hold_ms;	  /* so long a learner may wait for us to become leader */
	bool force_snapshot_sync; /* zookeeper.forceSnapshotSync */
	bool reconfig;		  /* reconfigEnabled: members change, and others may join */
	bool standalone;	  /* standaloneEnabled: no change leaves one voter alone */
	bool observer_masters;	  /* observerMasterPort: followers take observers */
	bool read_only;		  /* readonlymode.enabled: reads are served without a leader */
	uint32_t observer_delay_ms; /* the most that an observer waits before it connects */
	int32_t log_sync_percent;   /* of the newest snapshot's size: as much of the log is sent
				     instead of it; negative: never (snapshotSizeFactor) */
	size_t history_count, history_bytes;
	struct recover_options recover; /* for a reload after TRUNC and SNAP */
};

/* What a peer wants of the world. Called from within peer_*(); must not call back. */
struct peer_ops {
	/* An election's notification; it replaces what is still unsent to this server. */
	void (*notify)(void *arg, int64_t sid, const uint8_t *bytes, size_t size);
	/* Connect to a server's quorum port; peer_link_dialled() or peer_dial_failed() answers. The
	 * one before is no longer wanted. */
	void (*dial)(void *arg, int64_t sid);
	/* The same of a follower's port for observers; only with settings.observer_masters. */
	void (*dial_master)(void *arg, int64_t sid);
	/* All that was handed to the log is durable, and its files are about to be changed: close
	 * them; and then: go on, in a new file. */
	void (*log_release)(void *arg);
	void (*log_reopen)(void *arg);
	/*
	 * This configuration was proposed: remember it durably. False: that failed, *f says how.
	 * And: one is in force, which may be any newer one. NULL: nothing is remembered.
	 */
	bool (*members_seen)(void *arg, const struct members *m, struct fault *f);
	void (*members_adopted)(void *arg, const struct members *m);
	/* A line for the log of the process. */
	void (*say)(void *arg, const char *text);
	/* It cannot go on: the process must end. Nothing is called any more. */
	void (*fatal)(void *arg, const char *why);
};

enum peer_link_end {
	PEER_LINK_OPEN,
	PEER_LINK_CLOSE_FLUSHED, /* close when `out` was sent */
	PEER_LINK_CLOSE,
};

/* What a link is for us. */
enum peer_link_use {
	PEER_LINK_HELD,	   /* a learner's that came before we lead */
	PEER_LINK_LEARNER, /* a learner's; we lead */
	PEER_LINK_LEADER,  /* to our leader */
	PEER_LINK_DONE,	   /* ended */
};

/* How far a leader is with a learner. */
enum learner_stage {
	LEARNER_NEW,	  /* FOLLOWERINFO is awaited */
	LEARNER_KNOWN,	  /* it came; LEADERINFO goes out when the epoch is fixed */
	LEARNER_EPOCH,	  /* LEADERINFO went out, ACKEPOCH is awaited */
	LEARNER_ACCEPTED, /* it came; synchronization waits for the quorum of them */
	LEARNER_SNAPSHOT, /* a snapshot is to be sent, or on its way */
	LEARNER_CATCHING_UP,
	LEARNER_ASKED,	/* NEWLEADER went out, its ACK is awaited; proposals flow */
	LEARNER_SYNCED, /* it is there; UPTODATE when we are active */
	LEARNER_SERVING,
};

/*
 * A link between a leader and a learner, embedded in the shell's. The shell sets `out`, reads
 * `end`, `why`, `wants_snapshot` and `paused`, and leaves the rest alone.
 */
struct peer_link {
	struct buf *out;
	enum peer_link_end end;
	char why[PEER_WHY_BYTES]; /* what ended it; "" if nobody is to blame */
	bool wants_snapshot;	  /* start one with peer_link_snapshot_begin() */
	bool paused;		  /* while set, read nothing from it; dirty when that changes */
	bool more;   /* `out` is full: a turn with an empty one gives more, whatever else happens */
	int64_t sid; /* of the other end; -1 while it is not known */
	struct list dirty;

	enum peer_link_use use;
	bool counted;	  /* among those that others opened */
	struct list link; /* of all that are in use */
	struct buf in;	  /* received, not understood yet */
	uint64_t since_ms, heard_ms;

	/* A leader's. */
	enum learner_stage stage;
	bool observer, snapshot_under_way;
	int32_t accepted_epoch;
	int64_t last_zxid;	 /* what it has, as ACKEPOCH says */
	int64_t sent, committed; /* proposed to it; told of as committed (or informed of) */
	int64_t asked_zxid;	 /* what it had been sent when NEWLEADER went out */
	int64_t acked;		 /* durable there */
	uint64_t pings_sent, pings_answered; /* since it serves: it answers each of these */
	uint64_t ping_mark, ping_round;	     /* answered so many: it has confirmed that round */
	int64_t awaited;	 /* of all that was proposed, what it is timed by; and */
	uint64_t waits_since_ms; /* since when that is not acknowledged; 0: it is */
	struct server_cursor cursor;
	struct txnlog_reader *reader; /* while it is sent what only the log has */
	struct buf syncs;	      /* parked: struct leader_sync */
};

/* A member's state that its role works on. */
struct zab {
	struct zab_settings settings;
	const struct peer_ops *ops;
	void *arg;
	const struct members *members;	    /* in force */
	const struct members *seen;	    /* proposed, and newer than those; NULL: none */
	struct members committed, proposed; /* what these two point at */
	bool observer;			    /* the kind of this server; else a participant */
	struct election *election;
	struct server *server;
	struct db *db;
	struct store *snapshots, *logs;
	struct epochs epochs;
	int64_t epoch_leader;	    /* who led epochs.current; -1: not known since the start */
	uint64_t digest_mismatches; /* the database's, when they were looked at last */
	int32_t accepted_elsewhere; /* by a member that came while we led an older one */
	struct history history;
	struct list links, dirty;
	unsigned link_count; /* of those that others opened */
	uint64_t now_ms;
	bool was_busy; /* a long step has ended: who seemed silent meanwhile may not have been */
	bool log_unreadable; /* sending from it failed once: snapshots are sent instead */
	bool failed;	     /* ops->fatal() was called */
};

/* Load db from the stores, and the history with it. 0, or a negative errno with *f. */
int zab_load(struct zab *z, struct recover_report *report, struct fault *f);

/* Say, once for each time that it was loaded, that the tree is no longer what the leaders' was. */
void zab_compare_digests(struct zab *z);

/* The last zxid that has a record here: what a vote and an ACKEPOCH name. */
int64_t zab_last_zxid(const struct zab *z);

/*
 * zab_members.c. From when a configuration was proposed until it is in force, a quorum is one of
 * both, and a voter is one of either.
 */
bool zab_quorum(const struct zab *z, const struct sid_set *set);
bool zab_is_voter(const struct zab *z, int64_t sid);

/* The last one that was heard of. */
const struct members *zab_newest(const struct zab *z);

/* `m` (may be one of z) was proposed. False: it cannot be remembered, and must not be agreed to. */
bool zab_see(struct zab *z, const struct members *m, struct fault *f);

/* The same of a record, if it is a reconfig's; of any other: true. */
bool zab_see_record(struct zab *z, const uint8_t *txn, size_t size, struct fault *f);

/*
 * The same of the configuration that /zookeeper/config has, if it is newer: whoever has a reconfig
 * in its history knows of it, even if it came within a snapshot. Before that is what this server
 * has on disk, and not at a start: an operator may have written another configuration since.
 */
bool zab_see_tree(struct zab *z, struct fault *f);

/* `m` is in force from now on, unless it is an older one. True: this server's kind is another. */
bool zab_adopt(struct zab *z, const struct members *m);

/* Is a server's quorum port the same in both, and does it vote in both? */
bool zab_stays(const struct members *a, const struct members *b, int64_t sid);

/* /zookeeper/config has what is in force: before a role in which the server serves. */
void zab_show_members(struct zab *z);

void zab_say(struct zab *z, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void zab_fatal(struct zab *z, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Have the shell look at the link. */
void zab_link_touch(struct zab *z, struct peer_link *l);

/* End it; the reason is for the log of whoever ended it. */
void zab_link_end(struct zab *z, struct peer_link *l, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
