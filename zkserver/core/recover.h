/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a data directory to a database: the newest snapshot that is whole, and the log's
 * transactions after it. What a crash left half done is cleaned up first, and a torn end of the log
 * is cut, so that writing can go on in a new file.
 */
#ifndef CORRAL_ZKSERVER_RECOVER_H
#define CORRAL_ZKSERVER_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/store.h"
#include "zkserver/core/datadir.h"
#include "zkserver/core/db.h"

struct recover_options {
	bool trust_empty; /* snapshot.trust.empty: replay a log that has no snapshot, once */
	bool read_only;	  /* change no file, only say what would be done */
	uint64_t now_ms;  /* monotonic, for the sessions */
	/* Access lists that the snapshot's nodes have may be missing until the leader has sent what
	 * follows: recover_check_acls() is asked then. */
	bool leader_has_more;
	/* Hears of each transaction of the log that was applied. NULL: nobody. */
	void (*replayed)(void *arg, int64_t zxid, const uint8_t *bytes, size_t size);
	void *arg;
};

struct recover_report {
	uint64_t snapshot_zxid; /* 0 with found_snapshot false: there was none */
	bool found_snapshot;
	uint64_t
	    bad_snapshots; /* newer ones that were not whole; the first one's fault is in `bad` */
	struct fault bad;
	uint64_t reached_zxid; /* where one of these was that is no torn one: the log leads there */
	uint64_t replayed;     /* transactions */
	bool cut;	       /* a torn end was cut: */
	uint64_t cut_file_zxid, cut_offset;
	bool digest_checked, digest_wrong; /* the snapshot's digest was compared; it differed */
};

/*
 * Recover into an initialised *db (whatever it holds is dropped). snapshots and logs may be the
 * same store. 0; or a negative errno and *f: DATADIR_CORRUPT for damage, for a history that ends
 * before it did, for logs without a snapshot, or no snapshot that is whole. An empty directory
 * gives a new, empty database at zxid 0. Where there was no snapshot one is written, so that from
 * then on a log without means that it was lost.
 */
int recover(struct store *snapshots, struct store *logs, const struct recover_options *options,
    struct db *db, struct recover_report *report, struct fault *f);

/*
 * Where the setting that makes them TTL nodes is missing, those in a snapshot would go as ephemeral
 * nodes without a session do. -EINVAL with *f, which names one: it has such nodes.
 */
int recover_check_ttl(const struct db *db, struct fault *f);

/*
 * A snapshot of Apache's server may have nodes whose access list is in the log behind it only.
 * DATADIR_CORRUPT with *f, which names one that was not there either.
 */
int recover_check_acls(const struct db *db, struct fault *f);

#endif
