/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/adopt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "libcommon/base/mark.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txnlog_reader.h"

/*
 * Why no crash leaves a mix. The received snapshot is whole and durable under its temporary name,
 * and was loaded once; the old history is untouched. The one step that decides is its renaming to
 * adopt.ZXID: before it is durable a start finds the old history (and drops the temporary file);
 * afterwards a start finds adopt.ZXID and goes on from there, whatever was removed already. Nothing
 * old is left, durably, when the last renaming makes it an ordinary snapshot. Older snapshots and
 * logs do not stay, as they may be of a history that the leader does not have: a later start that
 * fell back to them, or a learner that was sent them from the log, would have a gap.
 *
 * A snapshot of an Apache server is fuzzy: it may hold effects of txns above its zxid, which the
 * leader sends again before NEWLEADER. Who dies before they came has the effects without the txns;
 * that matters only if it is then elected. Each such txn was applied by an active leader of epoch
 * e: it is committed, and in the logs of a quorum that has entered e. Here currentEpoch is raised
 * behind NEWLEADER only. If it is below e, whoever in an electing quorum has entered e wins. If it
 * is e already (a follower that came back to the same leader), whoever has the txn wins, as it has
 * more. That fails in one case: the quorum counted this server, which had acknowledged the txn
 * and now gave up the record for a snapshot that is older than it. Ours send no such snapshot (see
 * leader_sync_decide()); Apache's do under forceSnapshotSync, or if the truncation that they ask
 * for first is impossible here. The window is closed by NEWLEADER's ACK; zkserver-ensemble(7) has
 * it.
 */

static int
sync_dirs(struct store *snapshots, struct store *logs, struct fault *f)
{
	int err = store_sync_dir(logs);

	if (err == 0 && snapshots != logs)
		err = store_sync_dir(snapshots);
	return err == 0 ? 0
			: fault_set(f, err, "cannot sync the data directory: %s", strerror(-err));
}

static int
remove_one(struct store *s, const char *name, struct fault *f)
{
	int err = store_unlink(s, name);

	if (err == 0 || err == -ENOENT)
		return 0;
	return fault_set(f, err, "cannot remove %s: %s", name, strerror(-err));
}

/* Remove the files of a prefix, the newest first. */
static int
remove_all(struct store *s, const char *prefix, struct fault *f)
{
	struct datadir_list list;
	int err = datadir_list(s, prefix, &list, f);

	for (size_t i = list.count; err == 0 && i > 0; i--) {
		char name[DATADIR_NAME_BYTES + 8];

		datadir_name(name, prefix, list.entries[i - 1].zxid);
		strncat(
		    name, datadir_suffix(list.entries[i - 1].kind), sizeof name - 1 - strlen(name));
		err = remove_one(s, name, f);
	}
	datadir_list_free(&list);
	return err;
}

/* adopt.ZXID is there and durable. */
static int
finish(struct store *snapshots, struct store *logs, uint64_t zxid, struct fault *f)
{
	char from[DATADIR_NAME_BYTES], to[DATADIR_NAME_BYTES];
	int err;

	if ((err = remove_all(logs, "log", f)) != 0 ||
	    (err = remove_all(snapshots, "snapshot", f)) != 0 ||
	    (err = sync_dirs(snapshots, logs, f)) != 0)
		return err;
	datadir_name(from, ADOPT_PREFIX, zxid);
	datadir_name(to, "snapshot", zxid);
	err = store_rename(snapshots, from, to);
	if (err == 0)
		err = store_sync_dir(snapshots);
	return err == 0 ? 0
			: fault_set(f, err, "cannot rename %s to %s: %s", from, to, strerror(-err));
}

int
adopt_snapshot(struct store *snapshots, struct store *logs, uint64_t zxid, struct fault *f)
{
	char name[DATADIR_NAME_BYTES];
	int err;

	datadir_name(name, ZAB_PLANTED(PLANT_ADOPT_IN_PLACE) ? "snapshot" : ADOPT_PREFIX, zxid);
	err = store_rename(snapshots, SNAPSHOT_NEW_NAME, name);
	if (err == 0)
		err = store_sync_dir(snapshots);
	if (err != 0)
		return fault_set(
		    f, err, "cannot rename %s to %s: %s", SNAPSHOT_NEW_NAME, name, strerror(-err));
	return ZAB_PLANTED(PLANT_ADOPT_IN_PLACE) ? 0 : finish(snapshots, logs, zxid, f);
}

int
adopt_resume(struct store *snapshots, struct store *logs, uint64_t *zxid, struct fault *f)
{
	struct datadir_list list;
	int err = datadir_list(snapshots, ADOPT_PREFIX, &list, f);

	if (err == 0 && list.count > 0) {
		/* Its name was seen; before anything goes it must be durable. */
		MARK("adopt: a crash in the middle is finished");
		*zxid = list.entries[list.count - 1].zxid;
		err = store_sync_dir(snapshots);
		if (err != 0)
			fault_set(f, err, "cannot sync the directory of the snapshots: %s",
			    strerror(-err));
		else
			err = finish(snapshots, logs, *zxid, f);
	}
	datadir_list_free(&list);
	return err;
}

/* Does the log lead from this snapshot to zxid? 1, 0, or a negative errno. */
static int
leads_to(struct store *logs, uint64_t from, uint64_t zxid, struct fault *f)
{
	struct txnlog_record record = {.zxid = from};
	struct txnlog_reader r;
	int got;

	if (from == zxid)
		return 1;
	got = txnlog_reader_open(&r, logs, from, f);
	while (got == 0 && record.zxid < zxid && (got = txnlog_reader_next(&r, &record, f)) == 1)
		got = 0;
	txnlog_reader_close(&r);
	return got < 0 ? got : record.zxid == zxid;
}

/* Remove the snapshots above zxid, the newest first, so that what is left is always a history. */
static int
remove_above(struct store *s, const struct datadir_list *list, uint64_t zxid, struct fault *f)
{
	for (size_t i = list->count; i > 0 && list->entries[i - 1].zxid > zxid; i--) {
		char name[DATADIR_NAME_BYTES];
		int err;

		MARK("truncation: a snapshot lies above the cut");
		snapshot_name(name, list->entries[i - 1]);
		if ((err = remove_one(s, name, f)) != 0)
			return err;
		if ((err = store_sync_dir(s)) != 0)
			return fault_set(f, err, "cannot sync the directory of the snapshots: %s",
			    strerror(-err));
	}
	return 0;
}

/*
 * A snapshot from which zxid can be reached: 1; 0: there is none. Damage on the way is in *damage
 * then; it ends nothing, since a newer snapshot stands for what is damaged, and a leader has all.
 */
static int
find_start(struct store *snapshots, struct store *logs, const struct datadir_list *list,
    uint64_t zxid, struct fault *damage, struct fault *f)
{
	for (size_t i = list->count; i > 0; i--) {
		struct fault ignored = {0}, wrong = {0};
		int got;

		if (list->entries[i - 1].zxid > zxid ||
		    snapshot_verify(snapshots, list->entries[i - 1], &ignored) != 0)
			continue;
		got = leads_to(logs, list->entries[i - 1].zxid, zxid, &wrong);
		if (got > 0)
			return got;
		if (got < 0 && got != DATADIR_CORRUPT)
			return fault_set(f, got, "%s", wrong.text);
		if (got < 0)
			*damage = wrong;
	}
	return 0;
}

int
adopt_truncation(struct store *snapshots, struct store *logs, uint64_t zxid, struct fault *f)
{
	struct fault damage = {0};
	struct datadir_list list;
	int err = datadir_list(snapshots, "snapshot", &list, f);
	int got;

	if (err != 0)
		return err;
	got = ZAB_PLANTED(PLANT_CUT_ANYWAY) ? 1
					    : find_start(snapshots, logs, &list, zxid, &damage, f);
	if (got == 0)
		MARK("truncation: nothing here leads to the cut");
	if (got == 0)
		err = fault_set(f, -ENOENT,
		    "no snapshot and log here lead to zxid 0x%llx, where the history was to be "
		    "cut%s%s",
		    (unsigned long long)zxid, damage.text[0] != '\0' ? ": " : "", damage.text);
	else if (got < 0)
		err = got;
	if (err == 0 && !ZAB_PLANTED(PLANT_SNAPSHOT_STAYS))
		err = remove_above(snapshots, &list, zxid, f);
	if (err == 0)
		err = txnlog_forget_after(logs, zxid, f);
	datadir_list_free(&list);
	return err;
}
