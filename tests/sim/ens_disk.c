/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle: what must be on a member's disk. P2, P3, P4 and P9 are asked when it starts behind
 * damage that ens_damage.c did, P5 in ens_check_loaded() when its snapshots are fuzzy.
 *
 * P12 cannot be asked here, there is no other kind of server: tests/compat opens each kind's
 * directory with the other one. Of P11 the shell's part, the process that writes the log and ends,
 * is log_writer_test's: here the simulated shell stands in for it, and held is that whatever fails
 * within the cores and the log's own code is not passed over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libdeflate.h>

#include "tests/sim/ens_check.h"
#include "zkserver/core/purge.h"
#include "zkserver/core/snapshot.h"

#define SEAL_BYTES 13 /* i64 sum, "/" with its length */

/* ---- P11 ---- */

/* Of the log or of an epoch's file, and what was to be written. */
static bool
must_not_fail(const char *what, const char *name)
{
	static const char *const names[] = {
	    "log.", "new.log", "spare.log", "acceptedEpoch", "currentEpoch"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strncmp(name, names[i], strlen(names[i])) == 0)
			return strcmp(what, "unlink") != 0;
	return false;
}

static void
note_failed(struct ens_disk *k)
{
	if (k->op_matters && k->failed[0] == '\0')
		snprintf(k->failed, sizeof k->failed, "%s", k->op);
}

/* The disk was full in the last operation. */
static void
note_full(struct ens_node *n)
{
	struct ens_disk *k = &n->checked;
	uint64_t full = simdisk_fault_count(n->disk, SIMDISK_NO_SPACE);

	if (full != k->full_seen)
		note_failed(k);
	k->full_seen = full;
}

static void
on_op(void *arg, const char *what, const char *name, uint64_t offset, uint64_t size)
{
	struct ens_node *n = arg;
	struct ens_disk *k = &n->checked;

	note_full(n);
	k->op_matters = must_not_fail(what, name);
	if (k->op_matters)
		snprintf(k->op, sizeof k->op, "%s of %s", what, name);
	if (simdisk_ops(n->disk) == k->fails_at)
		note_failed(k);
	if (n->e->world.print)
		world_trace(&n->e->world, "%lld: disk: %s %s %llu %llu", (long long)n->sid, what,
		    name, (unsigned long long)offset, (unsigned long long)size);
}

void
ens_disk_fail_at(struct ens_node *n, uint64_t op, int error)
{
	n->checked.fails_at = op;
	simdisk_fail_at(n->disk, op, error);
}

/* P11: what has failed is not passed over. */
void
ens_disk_stops(struct ens_node *n)
{
	if (!n->up || simdisk_stopped(n->disk))
		return;
	note_full(n);
	if (n->checked.failed[0] != '\0')
		ENS_VIOLATION(n, "P11: server %lld goes on, its %s has failed", (long long)n->sid,
		    n->checked.failed);
}

void
ens_disk_down(struct ens_node *n)
{
	n->checked.failed[0] = '\0';
	n->checked.op_matters = false;
	n->checked.fails_at = 0;
	n->checked.full_seen = simdisk_fault_count(n->disk, SIMDISK_NO_SPACE);
}

void
ens_disk_begin(struct ens_node *n)
{
	n->checked = (struct ens_disk){0};
	simdisk_set_trace(n->disk, on_op, n);
}

/* ---- snapshots ---- */

/* The file's bytes, malloc()ed; NULL: there is none. */
uint8_t *
ens_disk_read(struct store *s, const char *name, size_t *size)
{
	struct store_file *file;
	uint64_t bytes = 0;
	uint8_t *to;

	if (store_open(s, name, STORE_OPEN_READ, &file) != 0)
		return NULL;
	store_size(file, &bytes);
	if ((to = malloc((size_t)bytes + 1)) == NULL)
		exit(71);
	if (store_pread(file, to, (size_t)bytes, 0) != (ssize_t)bytes)
		exit(70);
	store_close(file);
	*size = (size_t)bytes;
	return to;
}

/* It ends with the checksum of all that stands before; asked of no code of the server's. */
static bool
is_sealed(struct store *s, uint64_t zxid)
{
	static const uint8_t mark[] = {0, 0, 0, 1, '/'};
	char name[DATADIR_NAME_BYTES];
	size_t size = 0;
	uint8_t *bytes;
	uint64_t sum = 0;
	bool sealed = false;

	datadir_name(name, "snapshot", zxid);
	if ((bytes = ens_disk_read(s, name, &size)) != NULL && size > SEAL_BYTES) {
		for (size_t i = 0; i < 8; i++)
			sum = sum << 8 | bytes[size - SEAL_BYTES + i];
		sealed = memcmp(bytes + size - sizeof mark, mark, sizeof mark) == 0 &&
			 sum == libdeflate_adler32(1, bytes, size - SEAL_BYTES);
	}
	free(bytes);
	return sealed;
}

static struct datadir_list
list_of(struct ens_node *n, const char *prefix)
{
	struct datadir_list list = {0};
	struct fault f = {{0}};

	if (datadir_list(n->store, prefix, &list, &f) != 0)
		list = (struct datadir_list){0}; /* the power is off */
	return list;
}

static bool
is_torn(const struct ens_disk *k, uint64_t zxid)
{
	for (unsigned i = 0; i < k->torn_count; i++)
		if (k->torn[i] == zxid)
			return true;
	return false;
}

/* P7: what has a snapshot's name is whole, whenever the power went. */
void
ens_disk_starts(struct ens_node *n)
{
	struct datadir_list list = list_of(n, "snapshot");

	for (size_t i = 0; i < list.count && !n->rotten; i++)
		if (!is_torn(&n->checked, list.entries[i].zxid) &&
		    !is_sealed(n->store, list.entries[i].zxid))
			ENS_VIOLATION(n, "P7: server %lld finds snapshot.%llx without its end",
			    (long long)n->sid, (unsigned long long)list.entries[i].zxid);
	datadir_list_free(&list);
}

/*
 * The newest snapshot; NULL: there is none. What a fault has left without its end is none: it may
 * be named after what the log has lost since in a power loss.
 */
static const struct datadir_entry *
newest_of(struct ens_node *n, const struct datadir_list *list)
{
	size_t i = list->count;

	while (i > 0 && is_torn(&n->checked, list->entries[i - 1].zxid) &&
	       !is_sealed(n->store, list->entries[i - 1].zxid))
		i--;
	return i > 0 ? &list->entries[i - 1] : NULL;
}

/* P6: the name is the zxid of what is in it. It has nothing that is above that. */
void
ens_disk_snapshot(struct ens_node *n)
{
	struct datadir_list list = list_of(n, "snapshot");
	const struct datadir_entry *newest = newest_of(n, &list);
	struct snapshot_info info = {0};
	struct fault f = {{0}};
	struct db db;

	if (newest == NULL) {
		datadir_list_free(&list);
		return;
	}
	if (newest->zxid > (uint64_t)n->db.last_zxid)
		ENS_VIOLATION(n, "P6: server %lld is at 0x%llx, and has snapshot.%llx",
		    (long long)n->sid, (unsigned long long)n->db.last_zxid,
		    (unsigned long long)newest->zxid);
	else if (newest->zxid == (uint64_t)n->db.last_zxid && rng_below(&n->rng, 8) == 0) {
		if (!db_init(&db, &ens_check_key, n->e->tick_ms))
			exit(71);
		if (snapshot_load(n->store, *newest, &db, &info, &f) != 0 ||
		    ens_digest(&db) != ens_digest(&n->db))
			ENS_VIOLATION(n, "P6: snapshot.%llx of server %lld is another state %s",
			    (unsigned long long)newest->zxid, (long long)n->sid, f.text);
		db_fini(&db);
	}
	datadir_list_free(&list);
}

/* ---- P8 ---- */

static bool
has_entry(const struct datadir_list *list, uint64_t zxid)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->entries[i].zxid == zxid)
			return true;
	return false;
}

static void
check_kept(struct ens_node *n, const struct datadir_list *before, const char *prefix, uint64_t from)
{
	struct datadir_list now = list_of(n, prefix);
	size_t first = 0;

	/* Of the logs the one counts, too, that holds `from`. */
	while (first + 1 < before->count && before->entries[first + 1].zxid <= from)
		first++;
	for (size_t i = first; i < before->count; i++)
		if (!has_entry(&now, before->entries[i].zxid))
			ENS_VIOLATION(n, "P8: server %lld removes %s.%llx, needed from 0x%llx on",
			    (long long)n->sid, prefix, (unsigned long long)before->entries[i].zxid,
			    (unsigned long long)from);
	n->purged += before->count - now.count;
	datadir_list_free(&now);
}

/* P8: so many whole snapshots stay, and the logs from the oldest of these on. */
void
ens_disk_purge(struct ens_node *n)
{
	struct datadir_list snapshots = list_of(n, "snapshot"), logs = list_of(n, "log");
	unsigned whole = 0;
	struct fault f = {{0}};
	size_t i = snapshots.count;

	while (i > 0 && whole < PURGE_RETAIN_MIN)
		whole += is_sealed(n->store, snapshots.entries[--i].zxid);
	purge(n->store, n->store, PURGE_RETAIN_MIN, &f);
	if (!simdisk_stopped(n->disk) && snapshots.count > 0 && logs.count > 0) {
		uint64_t from = whole < PURGE_RETAIN_MIN ? 0 : snapshots.entries[i].zxid;

		check_kept(n, &snapshots, "snapshot", from);
		check_kept(n, &logs, "log", from);
	}
	datadir_list_free(&snapshots);
	datadir_list_free(&logs);
}

/* ---- P10 ---- */

/* The leader whose word changes its history; NULL: one of whom nothing can be said any more. */
static struct ens_node *
leader_of(struct ens_node *n)
{
	const struct learner *l = &n->peer.learner;
	struct ens_node *leader = &n->e->nodes[l->leader - 1];

	/* An observer at a follower's port: the follower may have another leader by now. */
	if ((l->master >= 0 && l->master != l->leader) || !leader->up ||
	    leader->peer.phase != PEER_LEADS || leader->peer.zab.epochs.accepted != l->epoch)
		return NULL;
	return leader;
}

/* The last of its history that is not above this one. */
static int64_t
last_in_history(struct ens_node *leader, int64_t zxid)
{
	struct ens_check *c = &leader->e->check;
	int64_t at = ens_book_place(c, server_last_zxid(&leader->server));
	const struct ens_txn *t;

	while (at > zxid && (t = ens_book_find(c, at)) != NULL)
		at = ens_book_place(c, t->prev);
	return at;
}

/* What one leader wanted cut, another one may have, and bring it back. */
void
ens_disk_changes(struct ens_node *n)
{
	const struct ens_check *c = &n->e->check;
	struct ens_disk *k = &n->checked;
	size_t below = ens_committed_below(c, n->durable_zxid + 1);
	struct ens_node *leader = leader_of(n);
	int64_t back = leader == NULL ? k->cut_to : last_in_history(leader, k->cut_to);

	k->changing = true;
	k->was_zxid = n->durable_zxid;
	k->floor_zxid = below > 0 ? c->committed[below - 1] : 0;
	if (k->cut_from < back)
		k->cut_from = back;
}

/* P10: what is left here is what its leader has, if both go on. */
static void
check_left(struct ens_node *n)
{
	const struct learner *l = &n->peer.learner;
	int64_t place = ens_book_place(&n->e->check, n->db.last_zxid);
	struct ens_node *leader = leader_of(n);

	if (l->link == NULL || l->link->end != PEER_LINK_OPEN || leader == NULL)
		return;
	if (last_in_history(leader, place) != place)
		ENS_VIOLATION(n, "P10: server %lld is at 0x%llx, which server %lld wanted cut",
		    (long long)n->sid, (unsigned long long)place, (long long)l->leader);
}

/* P10: no snapshot is above what the history was cut to. */
void
ens_disk_changed(struct ens_node *n)
{
	struct ens_disk *k = &n->checked;
	struct datadir_list list = list_of(n, "snapshot");

	for (size_t i = 0; i < list.count; i++)
		if (list.entries[i].zxid > (uint64_t)n->db.last_zxid)
			ENS_VIOLATION(n, "P10: server %lld keeps snapshot.%llx, is cut to 0x%llx",
			    (long long)n->sid, (unsigned long long)list.entries[i].zxid,
			    (unsigned long long)n->db.last_zxid);
	datadir_list_free(&list);
	check_left(n);
	k->changing = false;
	k->cut_from = n->db.last_zxid;
	k->cut_to = k->was_zxid;
}

void
ens_disk_written(struct ens_node *n)
{
	n->checked.cut_to = 0;
}

/* ---- starts ---- */

/* What is left of damage that was found, or that did no harm, is as good as none. */
static void
check_damaged(struct ens_node *n, int64_t place)
{
	struct ens_disk *k = &n->checked;

	if (k->epoch_damaged)
		ENS_VIOLATION(n, "P9: server %lld starts, %s", (long long)n->sid, k->damage);
	if (k->must_tell && place < k->whole_zxid)
		ENS_VIOLATION(n, "%s; server %lld starts with 0x%llx, it had 0x%llx", k->damage,
		    (long long)n->sid, (unsigned long long)place,
		    (unsigned long long)k->whole_zxid);
	if (k->must_tell && k->gone)
		n->rotten = false;
	k->must_tell = k->gone = k->epoch_damaged = false;
}

void
ens_disk_loaded(struct ens_node *n, const struct recover_report *report)
{
	struct ens_disk *k = &n->checked;
	struct ens_check *c = &n->e->check;
	int64_t place = ens_book_place(c, n->db.last_zxid),
		least = ens_book_place(c, k->changing ? k->floor_zxid : n->durable_zxid);

	if (place < least && !n->rotten)
		ENS_VIOLATION(n, "P1: server %lld starts with 0x%llx, it had 0x%llx durably",
		    (long long)n->sid, (unsigned long long)place, (unsigned long long)least);
	if (place > k->cut_from && place <= k->cut_to)
		ENS_VIOLATION(n, "P10: server %lld starts with 0x%llx, it was cut to 0x%llx",
		    (long long)n->sid, (unsigned long long)place, (unsigned long long)k->cut_from);
	if (report->found_snapshot && !is_sealed(n->store, report->snapshot_zxid))
		ENS_VIOLATION(n, "P7: server %lld starts from snapshot.%llx, which has no end",
		    (long long)n->sid, (unsigned long long)report->snapshot_zxid);
	check_damaged(n, place);
	k->changing = false;
	n->durable_zxid = n->db.last_zxid; /* whether the start goes further or not */
}
