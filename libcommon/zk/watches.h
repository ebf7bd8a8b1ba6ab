/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watches of a session: which callbacks wait for which path, and what the next server
 * must be told to watch. Pure. Source: ZKWatchManager and ClientCnxn.primeConnection of Apache
 * ZooKeeper 3.8.
 */
#ifndef CORRAL_ZK_WATCHES_H
#define CORRAL_ZK_WATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/hash.h"
#include "libcommon/base/hmap.h"
#include "libcommon/base/list.h"

enum zk_event {
	ZK_EVENT_LOST = -1, /* the watch ended: it was taken off, or its session or handle ended */
	ZK_EVENT_CREATED = 1,
	ZK_EVENT_DELETED = 2,
	ZK_EVENT_CHANGED = 3,
	ZK_EVENT_CHILDREN = 4,
};

/*
 * A watch: if the request's result says `watching`, a one-shot one is called exactly once; a
 * persistent one with the path that changed, each time, and at last with ZK_EVENT_LOST. Otherwise
 * it is never called. It outlives changes of the server. The same (fire, arg) on the same path and
 * kind is one watch.
 */
struct zk_watch {
	void (*fire)(void *arg, enum zk_event event, const char *path);
	void *arg;
};

enum watch_kind {
	WATCH_DATA,  /* of a get, or of an exists that found the node */
	WATCH_EXIST, /* of an exists that did not find it */
	WATCH_CHILD,
	WATCH_PERSISTENT, /* of the node and of its list of children */
	WATCH_RECURSIVE,  /* of the node and all below it */
};

/* One watch; on a list of those that fired it is the receiver's, who calls watch_free(). */
struct watch {
	struct hmap_node node;
	struct list link;
	enum watch_kind kind;
	enum zk_event event;
	struct zk_watch call;
	char path[];
};

struct watches {
	struct hmap map;
	struct hash_key key;
	size_t persistent_count, recursive_count;
};

void watches_init(struct watches *w, const struct hash_key *key);
void watches_fini(struct watches *w); /* nobody is called */

/* A watch that is not set yet: made with the request, so that setting it cannot fail. NULL: no
 * memory. */
struct watch *watch_new(const struct zk_watch *call, const char *path);
void watch_free(struct watch *watch); /* accepts NULL */

/* Takes the watch. False: no memory, and it was freed. */
bool watches_add(struct watches *w, struct watch *watch, enum watch_kind kind);

/*
 * Move to *fired the watches that the event concerns, or copies of those that stay; of the same
 * (fire, arg) one is left. False: no memory for a copy.
 */
bool watches_fire(struct watches *w, enum zk_event event, const char *path, struct list *fired);

/* Move all of this path to *fired with ZK_EVENT_LOST. */
void watches_remove(struct watches *w, const char *path, struct list *fired);

/* Move all to *fired with ZK_EVENT_LOST. */
void watches_lose(struct watches *w, struct list *fired);

/*
 * Append to b the record of one SetWatches request, or if there are persistent ones of
 * SetWatches2: up to `path_bytes_max` of paths (or one
 * path), from *at on, which starts NULL and is NULL again after the last. w does not change
 * meanwhile.
 */
void watches_encode(const struct watches *w, int64_t zxid, size_t path_bytes_max,
    const struct list **at, struct buf *b);

#endif
