/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/recover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "zkserver/core/adopt.h"
#include "libcommon/base/mark.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txnlog.h"
#include "zkserver/core/txnlog_reader.h"

/* As Apache's server: so many snapshots are tried before it gives up. */
#define SNAPSHOTS_TRIED_MAX 100

/* The snapshots that are there; the first `left` were not tried yet. */
struct candidates {
	struct datadir_list list;
	size_t left, tried;
};

static bool
is_left(const struct candidates *c)
{
	return c->left > 0 && c->tried < SNAPSHOTS_TRIED_MAX;
}

static void
note_bad(struct recover_report *report, const struct fault *bad)
{
	if (report->bad_snapshots++ == 0)
		report->bad = *bad;
}

/*
 * It was whole once: there was a history here that led to it. Where it has the name of an epoch's
 * beginning, there is no transaction of that zxid; who knows which was the last one before it.
 */
static void
note_reached(struct recover_report *report, uint64_t zxid)
{
	if ((uint32_t)zxid > 0 && zxid > report->reached_zxid)
		report->reached_zxid = zxid;
}

/* Load the newest snapshot left that is whole. 0, or a negative errno; none at all is 0. */
static int
load_newest(struct store *s, struct candidates *c, struct db *db, struct snapshot_info *info,
    struct recover_report *report, struct fault *f)
{
	while (is_left(c)) {
		struct datadir_entry which = c->list.entries[--c->left];
		struct fault bad = {0};
		int err = snapshot_load(s, which, db, info, &bad);

		c->tried++;
		if (err == 0) {
			report->found_snapshot = true;
			report->snapshot_zxid = which.zxid;
			return 0;
		}
		if (err != DATADIR_CORRUPT)
			return fault_set(f, err, "%s", bad.text);
		note_bad(report, &bad);
		if (snapshot_has_end(s, which))
			note_reached(report, which.zxid);
	}
	if (report->bad_snapshots == 0)
		return 0;
	return fault_set(f, DATADIR_CORRUPT, "no snapshot is whole: %s; restore one from a backup",
	    report->bad.text);
}

/*
 * Compare the snapshot's digest once the transaction that it stands for was applied. Apache's
 * server takes it while it applies the next one, of which the nodes may have something by then: the
 * next one's own digest says then whether the tree is right.
 */
static void
check_digest(struct db *db, const struct snapshot_info *info, struct recover_report *report)
{
	if (snapshot_digest_is_of(info, (uint64_t)db->last_zxid)) {
		report->digest_checked = true;
		report->digest_wrong = info->digest != db->tree.digest;
		if (!report->digest_wrong)
			db->digest_match_zxid = db->last_zxid;
	} else if (info->digest_zxid > report->snapshot_zxid)
		report->digest_wrong = false;
}

static void
count_digest(struct db *db, const struct snapshot_info *info, const struct recover_report *report)
{
	if (!report->digest_wrong)
		return;
	db->digest_mismatches++;
	db->digest_mismatch_zxid = (int64_t)info->digest_zxid;
}

static int
apply_record(const struct recover_options *options, struct db *db,
    const struct txnlog_record *record, struct fault *f)
{
	switch (db_apply(db, record->txn, record->size, options->now_ms, NULL, NULL, NULL)) {
	case APPLY_OK:
		return 0;
	case APPLY_NO_MEMORY:
		return fault_set(f, -ENOMEM, "log.%llx: no memory to apply zxid 0x%llx",
		    (unsigned long long)record->file_zxid, (unsigned long long)record->zxid);
	case APPLY_BAD:
		break;
	}
	return fault_set(f, DATADIR_CORRUPT,
	    "log.%llx: the record at offset %llu, zxid 0x%llx, has the right checksum but is no "
	    "transaction",
	    (unsigned long long)record->file_zxid, (unsigned long long)record->offset,
	    (unsigned long long)record->zxid);
}

/*
 * A file that is gone together with the end of its epoch leaves no gap in the zxids. But the first
 * transaction of the next epoch, which then begins a file, has the digest of its tree; `agreed` is
 * whether the digest of what was before it is right. Ephemeral nodes without a session, which one
 * of Apache's servers may have logged, every start has removed: the trees may differ for that.
 */
static int
check_epoch_end(
    const struct db *db, const struct txnlog_record *record, bool agreed, struct fault *f)
{
	if (!agreed || record->offset != TXNLOG_HEADER_BYTES || (uint32_t)record->zxid > 1 ||
	    db->digest_mismatch_zxid != (int64_t)record->zxid || db_has_orphans(db) ||
	    ZAB_PLANTED(PLANT_GAP_ENDS))
		return 0;
	MARK("recover: the end of an epoch is missing");
	return fault_set(f, DATADIR_CORRUPT,
	    "log.%llx: its first transaction, which begins an epoch, was made on another tree than "
	    "what is here before it: the end of the epoch before is missing; restore the files "
	    "from a backup",
	    (unsigned long long)record->file_zxid);
}

static int
replay(struct store *logs, const struct recover_options *options, struct db *db,
    const struct snapshot_info *info, struct recover_report *report, struct fault *f)
{
	struct txnlog_record record;
	struct txnlog_reader r;
	int got = txnlog_reader_open(&r, logs, report->snapshot_zxid, f);

	/* A snapshot may be fuzzy up to where its digest was taken; without one, who knows how far.
	 */
	if (report->found_snapshot)
		db->digest_from_zxid = info->has_digest ? (int64_t)info->digest_zxid : INT64_MAX;
	check_digest(db, info, report);
	while (got == 0 && (got = txnlog_reader_next(&r, &record, f)) == 1) {
		bool agreed = db->digest_match_zxid == db->last_zxid;

		if ((got = apply_record(options, db, &record, f)) != 0)
			break;
		report->replayed++;
		if (options->replayed != NULL)
			options->replayed(
			    options->arg, (int64_t)record.zxid, record.txn, record.size);
		check_digest(db, info, report);
		got = check_epoch_end(db, &record, agreed, f);
	}
	if (got == 0 && r.torn) {
		report->cut = true;
		report->cut_file_zxid = r.torn_file_zxid;
		report->cut_offset = r.torn_offset;
		if (!options->read_only)
			got =
			    txnlog_cut(logs, r.torn_file_zxid, r.torn_offset, r.torn_file_empty, f);
	}
	if (got == 0 && r.end_offset > 0 && !options->read_only)
		got = txnlog_settle(logs, r.end_file_zxid, r.end_record_offset, r.end_offset, f);
	txnlog_reader_close(&r);
	count_digest(db, info, report);
	db->digest_from_zxid = db->last_zxid;
	return got;
}

/* Without a snapshot only an empty directory, or an explicit wish, is a beginning. */
static int
begin_empty(
    struct store *logs, const struct recover_options *options, struct db *db, struct fault *f)
{
	struct datadir_list list;
	size_t count;
	int err = datadir_list(logs, "log", &list, f);

	if (err != 0)
		return err;
	count = list.count;
	datadir_list_free(&list);
	if (count > 0 && !options->trust_empty && !ZAB_PLANTED(PLANT_STARTS_EMPTY))
		return fault_set(f, DATADIR_CORRUPT,
		    "%zu log files but no snapshot: one was lost; restore it, or set "
		    "snapshot.trust.empty=true "
		    "once if the log is known to be whole from the first transaction on",
		    count);
	return db_reset(db) ? 0 : fault_set(f, -ENOMEM, "no memory for a tree");
}

int
recover_check_ttl(const struct db *db, struct fault *f)
{
	struct buf path;
	int err = 0;

	buf_init(&path, SNAPSHOT_FIELD_MAX_BYTES);
	if (db_find_hidden_ttl(db, &path))
		err = fault_set(f, -EINVAL,
		    "%.*s is a TTL node, and would be lost without extendedTypesEnabled=true: put "
		    "that into zoo.cfg (Apache's server may have had it from its JVM's flags)",
		    (int)path.len, (const char *)path.data);
	buf_fini(&path);
	return err;
}

/* Drop what a crash left half done. */
static int
clean(struct store *snapshots, struct store *logs, struct fault *f)
{
	uint64_t adopted;
	int err;

	if ((err = adopt_resume(snapshots, logs, &adopted, f)) != 0)
		return err;
	err = txnlog_clean(logs, f);
	return err != 0 ? err : snapshot_clean(snapshots, f);
}

/* The snapshot that was loaded: its contents are durable, its name may not be yet. */
static int
settle_name(struct store *snapshots, struct fault *f)
{
	int err = store_sync_dir(snapshots);

	return err == 0 ? 0
			: fault_set(f, err, "cannot sync the directory of the snapshots: %s",
			      strerror(-err));
}

static int
check_reached(const struct db *db, const struct recover_report *report, struct fault *f)
{
	if ((uint64_t)db->last_zxid >= report->reached_zxid)
		return 0;
	return fault_set(f, DATADIR_CORRUPT,
	    "%s; and the log leads to zxid 0x%llx only, where it went to 0x%llx at least: restore "
	    "the files from a backup",
	    report->bad.text, (unsigned long long)db->last_zxid,
	    (unsigned long long)report->reached_zxid);
}

/* One snapshot, and what the log has behind it. */
static int
load(struct store *snapshots, struct store *logs, const struct recover_options *options,
    struct candidates *c, struct db *db, struct recover_report *report, struct fault *f)
{
	struct snapshot_info info = {0};
	int err;

	report->found_snapshot = report->digest_checked = report->digest_wrong = false;
	report->replayed = 0;
	if ((err = load_newest(snapshots, c, db, &info, report, f)) != 0)
		return err;
	if (!report->found_snapshot)
		err = begin_empty(logs, options, db, f);
	else if (!options->read_only)
		err = settle_name(snapshots, f);
	if (err == 0)
		err = replay(logs, options, db, &info, report, f);
	return err != 0 ? err : check_reached(db, report, f);
}

int
recover_check_acls(const struct db *db, struct fault *f)
{
	struct buf path;
	int err = 0;

	buf_init(&path, SNAPSHOT_FIELD_MAX_BYTES);
	if (db_find_unlisted(db, &path))
		err = fault_set(f, DATADIR_CORRUPT,
		    "the access list of %.*s is neither in the snapshot nor in what follows it",
		    (int)path.len, (const char *)path.data);
	buf_fini(&path);
	return err;
}

/*
 * The log does not have what the snapshot lacks. Is there one before it of which all is here? A
 * member of an ensemble may start with the first: its leader has the rest.
 */
static int
load_earlier(struct store *snapshots, struct store *logs, const struct recover_options *options,
    struct candidates *c, struct db *db, struct recover_report *report, struct fault *f)
{
	struct candidates again = {.list = c->list, .left = c->left + 1};
	const struct recover_report first = *report;
	struct fault lacks = {0}, earlier = {0};
	int err = 0;

	while (err == 0 && recover_check_acls(db, &lacks) != 0) {
		struct fault bad = {0};

		fault_set(&bad, DATADIR_CORRUPT, "snapshot.%llx: %s",
		    (unsigned long long)report->snapshot_zxid, lacks.text);
		note_bad(report, &bad);
		note_reached(report, report->snapshot_zxid);
		lacks.text[0] = '\0';
		err = load(snapshots, logs, options, c, db, report, &earlier);
	}
	if (err != 0 && err != DATADIR_CORRUPT)
		return fault_set(f, err, "%s", earlier.text);
	if (err != 0 && options->leader_has_more) {
		MARK("recover: a member starts with a snapshot that lacks access lists");
		*report = first;
		return load(snapshots, logs, options, &again, db, report, f);
	}
	return err == 0
		   ? 0
		   : fault_set(f, err, "%s; restore a snapshot from a backup", report->bad.text);
}

static int
finish(struct store *snapshots, const struct recover_options *options, struct db *db,
    const struct recover_report *report, struct fault *f)
{
	int err = recover_check_ttl(db, f);

	if (err != 0)
		return err;
	if (!db_finish_load(db))
		return fault_set(f, -ENOMEM, "no memory to finish loading");
	/* A log without a snapshot before it cannot be told from one whose snapshot was lost. */
	return report->found_snapshot || options->read_only ? 0 : snapshot_write(snapshots, db, f);
}

int
recover(struct store *snapshots, struct store *logs, const struct recover_options *options,
    struct db *db, struct recover_report *report, struct fault *f)
{
	struct candidates c = {0};
	int err;

	*report = (struct recover_report){0};
	if (!options->read_only && (err = clean(snapshots, logs, f)) != 0)
		return err;
	if ((err = datadir_list(snapshots, "snapshot", &c.list, f)) != 0)
		return err;
	c.left = c.list.count;
	err = load(snapshots, logs, options, &c, db, report, f);
	if (err == 0 && db->tree.acls.unlisted > 0)
		err = load_earlier(snapshots, logs, options, &c, db, report, f);
	datadir_list_free(&c.list);
	return err != 0 ? err : finish(snapshots, options, db, report, f);
}
