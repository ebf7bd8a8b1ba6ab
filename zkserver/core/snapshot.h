/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots in ZooKeeper's format (2): sessions, ACL lists, nodes, each part sealed by a checksum;
 * the tree's digest; since 3.9 the last zxid. They are complete or do not exist: written under a
 * temporary name, synced, renamed. Loading takes Apache ZooKeeper's own, plain, gz or
 * snappy, of 3.5 to 3.9.
 */
#ifndef CORRAL_ZKSERVER_SNAPSHOT_H
#define CORRAL_ZKSERVER_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/store.h"
#include "zkserver/core/datadir.h"
#include "zkserver/core/db.h"

#define SNAPSHOT_MAGIC 0x5A4B534E
#define SNAPSHOT_VERSION 2
#define SNAPSHOT_NEW_NAME "new.snapshot"

/* A longer string or buffer in a snapshot is damage. */
#define SNAPSHOT_FIELD_MAX_BYTES ((uint32_t)64 << 20)

/* Write snapshot.ZXID for zxid = db->last_zxid, durably. 0, or a negative errno and *f. */
int snapshot_write(struct store *s, const struct db *db, struct fault *f);
/* The same, packed: snapshot.ZXID.gz or snapshot.ZXID.snappy. */
int snapshot_write_as(struct store *s, const struct db *db, enum pack_kind kind, struct fault *f);

/*
 * What a leader sends of it: sessions, access lists and nodes as in the file, without header and
 * checksums, and behind them what marks the end. put() takes chunks; an error of its ends the walk.
 * 0, or a negative errno.
 */
int snapshot_stream(
    const struct db *db, int (*put)(void *arg, const uint8_t *bytes, size_t size), void *arg);

/* The digest section: what the tree's digest is once last_zxid has been applied; zxid 0: unknown.
 */
struct snapshot_info {
	uint64_t digest_zxid;
	uint64_t digest;
	bool has_digest;
	uint64_t sessions, nodes;
};

/* Can the digest be compared when zxid was applied? Apache's of an empty tree says nothing: 0. */
static inline bool
snapshot_digest_is_of(const struct snapshot_info *info, uint64_t zxid)
{
	return info->has_digest && info->digest_zxid != 0 && info->digest_zxid == zxid;
}

/*
 * Load one snapshot into *db, which is made bare first; last_zxid becomes the name's. 0,
 * DATADIR_CORRUPT or another negative errno and *f; *db is then bare or half loaded and must be
 * made bare again.
 */
int snapshot_load(struct store *s, struct datadir_entry which, struct db *db,
    struct snapshot_info *info, struct fault *f);

/* The same of SNAPSHOT_NEW_NAME, which was received as a snapshot of zxid. */
int snapshot_load_new(struct store *s, uint64_t zxid, struct db *db, struct fault *f);

/* The file is complete and its checksums are right; nothing is loaded. 0, or as snapshot_load(). */
int snapshot_verify(struct store *s, struct datadir_entry which, struct fault *f);

/*
 * Does it end as one that was written to its end? What is wrong with it is damage then, and not a
 * write that was torn. False of a packed one, where that does not show.
 */
bool snapshot_has_end(struct store *s, struct datadir_entry which);

/* The file's name. */
void snapshot_name(char to[DATADIR_NAME_BYTES], struct datadir_entry which);

/* Remove what a crash left of a snapshot in the making. */
int snapshot_clean(struct store *s, struct fault *f);

#endif
