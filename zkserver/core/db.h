/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ensemble agrees on: the tree and the sessions, as of a zxid. Applying a committed txn is
 * the only way to change it; a start loads it from a snapshot and applies the log's txns after
 * that.
 */
#ifndef CORRAL_ZKSERVER_CORE_DB_H
#define CORRAL_ZKSERVER_CORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/core/session.h"
#include "zkserver/core/tree.h"
#include "zkserver/core/txn.h"
#include "zkserver/core/watch.h"

#define DB_DIGEST_EVERY 128 /* zxids between two digests that are remembered, as Apache's server   \
			     */
#define DB_DIGESTS_MAX 1024

struct db_digest {
	int64_t zxid;
	uint64_t digest;
};

struct db {
	struct tree tree;
	struct session_table sessions;
	struct tree_rules rules; /* the tree's, whatever becomes of it */
	int64_t last_zxid;	 /* of the last txn applied */
	int64_t
	    digest_from_zxid; /* digests of txns up to here are not compared: a fuzzy snapshot's */
	uint64_t digest_mismatches;
	int64_t digest_mismatch_zxid; /* of the first one; 0: none */
	int64_t digest_match_zxid;    /* the last one whose digest was the tree's */
	/* To be compared between servers: the digest after every zxid that DB_DIGEST_EVERY divides,
	 * the last DB_DIGESTS_MAX of them in a ring. */
	struct db_digest digests[DB_DIGESTS_MAX];
	uint64_t digest_count; /* ever remembered: digests[digest_count % DB_DIGESTS_MAX] is next */
};

/* A new, empty database. False: no memory. */
bool db_init(struct db *db, const struct hash_key *key, uint32_t tick_ms);
void db_fini(struct db *db);

/* Which owners are no sessions; of a database that was just made. */
void db_set_rules(struct db *db, const struct tree_rules *rules);

/* Make it empty again; or bare (the root only, no sessions, zxid 0) for loading a snapshot into
 * it. False: no memory. */
bool db_reset(struct db *db);
bool db_reset_bare(struct db *db);

/*
 * The path of a node that is a TTL node where extended types are enabled; without them it looks as
 * if a session had owned it, and db_finish_load() would remove it. False: there is none.
 */
bool db_find_hidden_ttl(const struct db *db, struct buf *path);

/*
 * The path of a node whose access list was neither in its snapshot nor in what was applied since.
 * False: there is none.
 */
bool db_find_unlisted(const struct db *db, struct buf *path);

/* Is there an ephemeral node whose session is none? */
bool db_has_orphans(const struct db *db);

/*
 * After a snapshot and the log were loaded: remove ephemeral nodes whose session does not exist,
 * create /zookeeper/config if it is missing, drop unused ACLs. False: no memory.
 */
bool db_finish_load(struct db *db);

enum apply_status {
	APPLY_OK,
	APPLY_BAD,	 /* the bytes are no txn: a broken log; nothing was changed */
	APPLY_NO_MEMORY, /* the tree may be half changed: the server must stop */
};

/* What was computed when a single create, delete or set was made, so that it need not be again. */
struct apply_known {
	uint32_t hash;	     /* tree_hash() of its path */
	uint32_t above_hash; /* and of its parent's; create*, delete* */
	uint32_t crc;	     /* tree_crc() of path and data; create*, setData */
};

/* The same of a txn that another server made, while its bytes are at hand. False: of none such. */
bool db_know(const struct db *db, const struct txn *txn, struct apply_known *known);

/*
 * What the server gives that applies a txn of its own; NULL at a replay. `changed` hears of each
 * change right after it happened. acl is the ACL by which it may be seen: of the node (of a
 * deleted one, what it had), for WATCH_CHILDREN_CHANGED of the parent, which `path` then names.
 */
struct apply_live {
	void (*changed)(void *arg, enum watch_event event, struct jute_bytes path, uint32_t acl);
	void *arg;
	const struct apply_known *known; /* of this txn, a single write; NULL: it is none */
};

/* What came out, part by part for a multi (parts may be NULL when nobody asks). */
struct apply_part {
	int32_t type, error;	     /* of enum zk_opcode, enum zk_rc */
	struct jute_bytes path;	     /* create*: borrowed from the txn's bytes */
	uint8_t stat[ZK_STAT_BYTES]; /* the node's Stat right after, for those that answer one */
	bool has_stat;
};

/* The Stat that clients see of a node. */
void db_put_stat(const struct db *db, const struct tree_node *n, uint8_t stat[ZK_STAT_BYTES]);

/*
 * Apply one committed txn. A change that finds its node missing or present (replay over a fuzzy
 * snapshot) is no failure. now_ms is the monotonic time, for a new session's expiry.
 */
enum apply_status db_apply(struct db *db, const void *bytes, size_t size, uint64_t now_ms,
    const struct apply_live *live, void (*part)(void *arg, const struct apply_part *p), void *arg);
/* The same for one that was decoded; its bytes must be there still. */
enum apply_status db_apply_txn(struct db *db, const struct txn *txn, uint64_t now_ms,
    const struct apply_live *live, void (*part)(void *arg, const struct apply_part *p), void *arg);

#endif
