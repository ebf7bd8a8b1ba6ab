/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches: two tables, data and child, from a path (of a node that exists or not) to the watchers
 * that wait there. A trigger tells each watcher once and takes off the watches that are for one
 * time. Where these are many, it leaves them for later: watch_tell_next() tells them one by one,
 * and watch_settle() whoever must not be answered before it was told.
 *
 * A watcher has one watch at a path in a table, whose mode is the one that it asked for last: so
 * do Apache's servers up to 3.8 (WatchManager, WatcherModeManager); 3.9 keeps several modes beside
 * each other.
 */
#ifndef CORRAL_ZKSERVER_CORE_WATCH_H
#define CORRAL_ZKSERVER_CORE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/hmap.h"
#include "libcommon/base/list.h"
#include "libcommon/codec/jute.h"

enum watch_event {
	WATCH_NODE_CREATED = 1,
	WATCH_NODE_DELETED = 2,
	WATCH_DATA_CHANGED = 3,
	WATCH_CHILDREN_CHANGED = 4,
};

enum watch_kind { WATCH_DATA, WATCH_CHILD, WATCH_KINDS };

enum watch_mode {
	WATCH_ONCE,
	WATCH_PERSISTENT, /* stays when it has told */
	WATCH_RECURSIVE,  /* stays, and hears of all nodes below; of no WATCH_CHILDREN_CHANGED */
	WATCH_MODES,
};

/* What one watcher may make us keep: some 400,000 watches at paths of usual lengths. */
#define WATCHER_BYTES_MAX ((size_t)64 << 20)

/* Embedded in a connection. */
struct watcher {
	struct list watches; /* struct watch.of_watcher */
	size_t count, bytes;
	uint64_t told;	  /* number of the trigger that told it last */
	uint64_t settled; /* of the last trigger when nothing older was left to tell it */
};

/* At most so many of one time are told by the trigger itself, at most so many triggers wait. */
#define WATCH_AT_ONCE_MAX 32
#define WATCH_WAITING_MAX 16

/* What happened; zxid and acl are the listener's. */
struct watch_change {
	enum watch_event event;
	int64_t zxid;
	uint32_t acl;
	uint64_t told; /* whom it was told to: the listener counts */
};

struct watch_listener {
	void (*tell)(
	    void *arg, struct watcher *who, struct watch_change *change, struct jute_bytes path);
	/* A change that had to wait was told to all. */
	void (*over)(void *arg, const struct watch_change *change);
	void *arg;
};

struct watch_table {
	struct hash_key hash_key;
	struct hmap paths[WATCH_KINDS];
	size_t count[WATCH_KINDS];	     /* watches: pairs of path and watcher */
	size_t recursive_count[WATCH_KINDS]; /* of them: without any, nobody looks above a path */
	uint64_t triggers;
	uint32_t at_once_max; /* WATCH_AT_ONCE_MAX, unless a test has set another */
	struct list waiting;  /* triggers that left watches for later, oldest first */
	size_t waiting_count;
	struct watch_listener listener;
};

void watch_table_init(
    struct watch_table *t, const struct hash_key *key, const struct watch_listener *listener);
void watch_table_fini(struct watch_table *t);
void watcher_init(struct watcher *w);

/*
 * Have the watcher told of changes at path; asking again sets the mode. False: no memory, or the
 * watcher has as many as it may.
 */
bool watch_add(struct watch_table *t, enum watch_kind kind, enum watch_mode mode,
    struct jute_bytes path, struct watcher *who);

/* Has this watcher a watch at path, of whatever mode? */
bool watch_has(
    struct watch_table *t, enum watch_kind kind, struct jute_bytes path, struct watcher *who);

/* Take it off; false: it had none there. */
bool watch_remove(
    struct watch_table *t, enum watch_kind kind, struct jute_bytes path, struct watcher *who);

/*
 * Tell all that wait at path in these tables (bits, 1 << kind), and above it those whose watch is
 * recursive; each watcher once. True: some are left for later, and *change was copied.
 */
bool watch_trigger(
    struct watch_table *t, unsigned kinds, struct watch_change *change, struct jute_bytes path);

/* Tell one of those that were left for later, the oldest change first; NULL: nobody is. */
struct watcher *watch_tell_next(struct watch_table *t);

/* Tell this one now what was left for later: before it is answered, or sets or asks for watches. */
void watch_settle(struct watch_table *t, struct watcher *who);

/* Remove all watches of a watcher that goes away. */
void watch_remove_all(struct watch_table *t, struct watcher *who);

/* Visit, for a report: each path of a table; each watcher at one; each path of a watcher. */
struct watch_path;
void watch_each_path(const struct watch_table *t, enum watch_kind kind,
    void (*each)(void *arg, const struct watch_path *p, struct jute_bytes path), void *arg);
void watch_each_watcher(
    const struct watch_path *p, void (*each)(void *arg, const struct watcher *who), void *arg);
void watch_each_of(const struct watcher *who, enum watch_kind kind,
    void (*each)(void *arg, struct jute_bytes path), void *arg);

#endif
