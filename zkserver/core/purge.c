/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/purge.h"

#include <errno.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "zkserver/core/snapshot.h"

#define HOUR_MS UINT64_C(3600000)

bool
purge_clock_due(struct purge_clock *c, uint64_t now_ms)
{
	uint64_t interval_ms = c->hours * HOUR_MS;

	if (c->hours == 0 || (c->started && now_ms < c->due_ms))
		return false;
	if (!c->started)
		c->due_ms = now_ms;
	c->started = true;
	c->due_ms += (now_ms - c->due_ms) / interval_ms * interval_ms + interval_ms;
	return true;
}

static int
remove_file(struct store *s, const char *name, int *removed, struct fault *f)
{
	int err = store_unlink(s, name);

	if (err != 0 && err != -ENOENT)
		return fault_set(f, err, "cannot remove %s: %s", name, strerror(-err));
	*removed += err == 0;
	return 0;
}

/* The index of the oldest of the `retain` newest whole snapshots; list->count if fewer are whole.
 */
static size_t
oldest_kept(struct store *s, const struct datadir_list *list, unsigned retain)
{
	unsigned whole = 0;

	for (size_t i = list->count; i > 0; i--) {
		struct fault ignored = {0};

		if ((ZAB_PLANTED(PLANT_PURGE_COUNTS_ALL) ||
			snapshot_verify(s, list->entries[i - 1], &ignored) == 0) &&
		    ++whole == retain)
			return i - 1;
	}
	return list->count;
}

static int
remove_logs(struct store *logs, uint64_t kept_zxid, int *removed, struct fault *f)
{
	size_t by_next = ZAB_PLANTED(PLANT_PURGE_BY_FIRST) ? 0 : 1;
	struct datadir_list list;
	int err = datadir_list(logs, "log", &list, f);

	if (err != 0)
		return err;
	/* The newest file that begins at or below the snapshot may hold what comes after it. */
	for (size_t i = 0;
	     i + by_next < list.count && list.entries[i + by_next].zxid <= kept_zxid && err == 0;
	     i++) {
		char name[DATADIR_NAME_BYTES];

		datadir_name(name, "log", list.entries[i].zxid);
		err = remove_file(logs, name, removed, f);
	}
	datadir_list_free(&list);
	return err;
}

int
purge(struct store *snapshots, struct store *logs, unsigned retain, struct fault *f)
{
	struct datadir_list list;
	int removed = 0, err = datadir_list(snapshots, "snapshot", &list, f);
	size_t kept;

	if (err != 0)
		return err;
	kept = oldest_kept(snapshots, &list, retain < PURGE_RETAIN_MIN ? PURGE_RETAIN_MIN : retain);
	/* Logs first, and from the oldest on: whatever a crash leaves, no kept snapshot has a gap
	 * behind it. */
	if (kept < list.count)
		err = remove_logs(logs, list.entries[kept].zxid, &removed, f);
	for (size_t i = 0; kept < list.count && i < kept && err == 0; i++) {
		char name[DATADIR_NAME_BYTES];

		snapshot_name(name, list.entries[i]);
		err = remove_file(snapshots, name, &removed, f);
	}
	datadir_list_free(&list);
	return err != 0 ? err : removed;
}
