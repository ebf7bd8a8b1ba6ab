/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few members of an ensemble in one process: the shipped cores (peer, server, what is on disk) on
 * simulated disks, with links in memory between them and one clock that jumps to whatever comes
 * next. Everything is done in one fixed order. One ensemble a test: rig_setup() and rig_teardown().
 */
#ifndef CORRAL_TESTS_PEER_RIG_H
#define CORRAL_TESTS_PEER_RIG_H

#include "tests/lib/simdisk.h"
#include "zkserver/core/peer.h"
#include "zkserver/core/txnlog.h"

#define RIG_NODES_MAX 5
#define RIG_TICK_MS 2000
#define RIG_INIT_LIMIT 10
#define RIG_SYNC_LIMIT 5

struct rig_client {
	struct server_conn conn;
	struct buf out;
	bool open, gone;
	size_t at; /* of `out`: what was looked at */
	int32_t xid;
};

struct rig_node {
	int64_t sid;
	bool up, failed;
	struct simdisk *disk;
	struct store *store;
	struct db db;
	struct server server;
	struct server_settings settings;
	struct peer peer;
	struct txnlog log;
	struct txnlog_batch batch;
	bool log_open;
	bool hold_sync;	     /* while set, the disk takes nothing */
	bool hold_snapshots; /* while set, no snapshot to a learner begins */
	int64_t appended;    /* the last record in the batch */
	struct rig_client client;
	struct members committed, seen; /* what its files say; seen.version -1: nothing */
	bool forgets;			/* its files cannot be written */
	struct buf mail[RIG_NODES_MAX]; /* notifications for each other, the newest counts */
	bool dialling, dials_master;
	int64_t dials;
	unsigned dial_count;
	unsigned truncations, snapshots_taken, restarts;
	char said[512], fatal[512];
};

extern struct rig_node rig_nodes[RIG_NODES_MAX]; /* sid i + 1 is rig_nodes[i] */
extern unsigned rig_count;
extern struct zab_settings rig_zab_settings; /* changed before rig_start() */
extern uint64_t rig_now_ms;

/* `voters` members that vote, and behind them observers. Nothing runs yet. */
void rig_setup(unsigned voters, unsigned observers);
void rig_setup_three(void); /* a fixture: three voters */
void rig_teardown(void);

/* Tell the node what the time is: before something is handed in. */
void rig_set_time(struct rig_node *n);

/* What its files say of the members, as lines; version 0. rig_setup() has them all. */
void rig_write_members(unsigned i, const char *text);

/* From what is on its disk. */
void rig_start(unsigned i);
void rig_start_all(void);
/* False: its disk fails meanwhile. */
bool rig_try_start(unsigned i);

/* Its process ends; power: what its disk has not synced goes, too. */
void rig_crash(unsigned i, bool power);

/* Nothing passes between these two; what is under way is lost. Or it passes again. */
void rig_cut(unsigned a, unsigned b, bool cut);
void rig_isolate(unsigned i, bool cut);

/* Nothing passes to or from it, but nobody is told: links stay. Or nothing of the links passes to
 * it. */
void rig_freeze(unsigned i, bool on);
void rig_throttle(unsigned i, bool on);

/* Nothing comes to this learner from whom it has dialled. False: from nobody. */
bool rig_hold_link(unsigned learner, bool on);

/* At most so many bytes of each link pass in one step; 0: all. */
void rig_set_link_bytes(size_t bytes);

/*
 * The link from a learner to its leader breaks when it has so many bytes more from it. False: it
 * has none.
 */
bool rig_break_link_after(unsigned learner, size_t bytes);

/* Let time pass: until nothing happens in it, or until done() is true: false if it never was. */
void rig_run(uint64_t ms);
bool rig_run_until(bool (*done)(void *arg), void *arg, uint64_t ms);

/* One exchange of whatever waits, in which no time passes. False: nothing waited. */
bool rig_step(void);

/* The node that leads and serves; -1: none. */
int rig_leader(void);
/* A leader and all others that are up serve; fails the test if that does not come about. */
int rig_settle(void);
/* The same without this one. */
int rig_settle_others(unsigned i);
bool rig_serves(unsigned i);

/* A session at the node, created by the ensemble: waited for. */
void rig_connect(unsigned i);
void rig_disconnect(unsigned i);
/* Ask for a node to be made or set, without waiting. The payload has size bytes. */
void rig_ask_create(unsigned i, const char *path, size_t size);
void rig_ask_ephemeral(unsigned i, const char *path);
void rig_ask_sync(unsigned i);
/* A reconfig; NULL: none of the kind. base -1: of whatever version. */
void rig_ask_reconfig(
    unsigned i, const char *joining, const char *leaving, const char *whole, int64_t base);
/* How many answers came since the last time; *error is the last one's. */
unsigned rig_answers(unsigned i, int32_t *error);
/* The same, and waited for. */
void rig_create(unsigned i, const char *path);
/* The same of a reconfig; returns the error. */
int32_t rig_reconfig(unsigned i, const char *joining, const char *leaving, const char *whole);
void rig_create_sized(unsigned i, const char *path, size_t size);

/* Three members, of which 2 leads, with this node in the tree. */
void rig_start_three_with(const char *path);
/* The leader logs a node that nobody else ever hears of, and is cut off. */
void rig_log_alone(unsigned leader, const char *path);

/* Is there such a node in its tree? */
bool rig_has(unsigned i, const char *path);

/* All that are up have the same tree, sessions and last zxid, and what is on disk is the same. */
void rig_check_same(void);

/* Like what is on its disk, read anew: the tree's digest and the last zxid. */
void rig_check_disk(unsigned i);

/* Write a snapshot of the node as it is (nothing is purged). */
void rig_snapshot(unsigned i);
void rig_remove_snapshots_but_newest(unsigned i);

#endif
