/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage to the files of a member that is down: a bit flips, a record becomes zeros, a file is
 * gone, an epoch's file holds no number; and what must become of that.
 *
 * Left out is what nobody can see, as the files are Apache's. An epoch's file has no checksum: a
 * digit that becomes another one is not tried. Zeros over whole sectors near the log's end are
 * what a torn write leaves (txnlog_reader.h), and of a log that goes with the end of its epoch
 * the next epoch's first zxid says nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/ens_check.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txnlog.h"

/* A record and the one behind it in its file. */
struct place {
	uint64_t file_zxid, offset, end;
};

static bool
put(struct ens_node *n, const char *name, enum store_open how, const void *bytes, size_t size,
    uint64_t at)
{
	struct store_file *file;
	bool good;

	if (store_open(n->store, name, how, &file) != 0)
		return false;
	good = (size == 0 || store_pwrite(file, bytes, size, at) == 0) && store_sync(file) == 0;
	store_close(file);
	return store_sync_dir(n->store) == 0 && good;
}

static struct datadir_list
list_of(struct ens_node *n, const char *prefix)
{
	struct datadir_list list = {0};
	struct fault f = {{0}};

	if (datadir_list(n->store, prefix, &list, &f) != 0)
		exit(70);
	return list;
}

/*
 * What it would start with now; -1: not at all. *snapshot, unless snapshot is NULL: a snapshot of
 * that, malloc()ed.
 */
static int64_t
whole_zxid(struct ens_node *n, uint8_t **snapshot, size_t *size)
{
	const struct recover_options options = {.read_only = true, .leader_has_more = true};
	struct simdisk *copy = simdisk_copy(n->disk);
	struct recover_report report;
	char name[DATADIR_NAME_BYTES];
	struct fault f = {{0}};
	int64_t zxid = -1;
	struct store *s;
	struct db db;

	if (copy == NULL || !db_init(&db, &ens_check_key, n->e->tick_ms))
		exit(71);
	s = simdisk_store(copy);
	if (recover(s, s, &options, &db, &report, &f) == 0)
		zxid = db.last_zxid;
	if (zxid >= 0 && snapshot != NULL) {
		datadir_name(name, "snapshot", (uint64_t)zxid);
		if (snapshot_write(s, &db, &f) != 0 ||
		    (*snapshot = ens_disk_read(s, name, size)) == NULL)
			exit(70);
	}
	db_fini(&db);
	simdisk_free(copy);
	return zxid;
}

/*
 * Does damage from at to end leave a record in place behind it, or hit none? In an older file it
 * does: what follows is in the next one.
 */
static bool
is_followed(struct ens_node *n, uint64_t file_zxid, uint64_t at, uint64_t end)
{
	struct datadir_list list = list_of(n, "log");
	bool newest = list.count > 0 && list.entries[list.count - 1].zxid == file_zxid,
	     followed = !newest;
	struct txnlog_record record = {0};
	struct txnlog_reader r;
	struct fault f = {{0}};
	int got = txnlog_reader_open_file(&r, n->store, file_zxid, &f);

	while (got == 0 && (got = txnlog_reader_next(&r, &record, &f)) == 1) {
		followed = followed || record.offset >= end;
		got = 0;
	}
	if (got == 0 && record.next_offset <= at)
		followed = true;
	txnlog_reader_close(&r);
	datadir_list_free(&list);
	return got == 0 && followed;
}

static void
note(struct ens_node *n, bool must_tell, const char *predicate, const char *what, const char *name)
{
	struct ens_disk *k = &n->checked;

	k->must_tell = must_tell;
	snprintf(k->damage, sizeof k->damage, "%s: %s %s", predicate, what, name);
	world_trace(&n->e->world, "%lld: damage: %s %s", (long long)n->sid, what, name);
	n->rotten = true;
}

/* P2 */
static bool
flip(struct ens_node *n, struct rng *r)
{
	struct datadir_list logs = list_of(n, "log"), snapshots = list_of(n, "snapshot");
	uint64_t which = rng_below(r, logs.count + snapshots.count + 1), zxid, at;
	bool log = which < logs.count, done = false;
	char name[DATADIR_NAME_BYTES];
	size_t size = 0;
	uint8_t *bytes;

	if (which < logs.count + snapshots.count) {
		zxid = log ? logs.entries[which].zxid : snapshots.entries[which - logs.count].zxid;
		datadir_name(name, log ? "log" : "snapshot", zxid);
		if ((bytes = ens_disk_read(n->store, name, &size)) != NULL && size > 0) {
			at = rng_below(
			    r, rng_below(r, 2) == 0 && size > 4096 ? (uint64_t)4096 : size);
			note(n, !log || is_followed(n, zxid, at, at + 1), "P2",
			    "a bit has flipped in", name);
			done = simdisk_flip_bit(n->disk, name, at, (unsigned)rng_below(r, 8));
		}
		free(bytes);
	}
	datadir_list_free(&logs);
	datadir_list_free(&snapshots);
	return done;
}

/* A record, drawn, in one sector with the beginning of the next one. */
static bool
draw_record(struct ens_node *n, struct rng *r, struct place *p)
{
	struct datadir_list list = list_of(n, "log");
	unsigned seen = 0;

	for (size_t i = 0; i < list.count; i++) {
		struct txnlog_record record, last = {.next_offset = 0};
		struct txnlog_reader reader;
		struct fault f = {{0}};
		int got = txnlog_reader_open_file(&reader, n->store, list.entries[i].zxid, &f);

		while (got == 0 && txnlog_reader_next(&reader, &record, &f) == 1) {
			if (last.next_offset > 0 &&
			    last.offset / SIMDISK_SECTOR_BYTES ==
				(record.offset + TXNLOG_RECORD_HEAD_BYTES) / SIMDISK_SECTOR_BYTES &&
			    rng_below(r, ++seen) == 0)
				*p = (struct place){last.file_zxid, last.offset, last.next_offset};
			last = record;
		}
		txnlog_reader_close(&reader);
	}
	datadir_list_free(&list);
	return seen > 0;
}

/* P3 */
static bool
blank(struct ens_node *n, struct rng *r)
{
	static const uint8_t zeros[SIMDISK_SECTOR_BYTES];
	char name[DATADIR_NAME_BYTES];
	struct place p;

	if (!draw_record(n, r, &p))
		return false;
	datadir_name(name, "log", p.file_zxid);
	note(n, true, "P3", "a record is zeros in", name);
	return put(n, name, STORE_OPEN_WRITE, zeros, (size_t)(p.end - p.offset), p.offset);
}

static bool
remove_file(struct ens_node *n, const char *prefix, uint64_t zxid, const char *predicate)
{
	char name[DATADIR_NAME_BYTES];

	datadir_name(name, prefix, zxid);
	note(n, true, predicate, "somebody has removed", name);
	n->checked.gone = true;
	return store_unlink(n->store, name) == 0 && store_sync_dir(n->store) == 0;
}

/* P4: a log goes, others of its epoch follow; or the newest snapshot, older ones stay. */
static bool
remove_one(struct ens_node *n, struct rng *r)
{
	bool log = rng_below(r, 2) == 0, done = false;
	struct datadir_list list = list_of(n, log ? "log" : "snapshot");
	size_t i = list.count > 1 ? (size_t)rng_below(r, list.count - 1) : 0;

	if (list.count > 1 && log) {
		uint64_t next = list.entries[i + 1].zxid;

		/* Of one epoch: named after its first record, which is not that epoch's first. */
		if ((uint32_t)next > 1 && next >> 32 == list.entries[i].zxid >> 32)
			done = remove_file(n, "log", list.entries[i].zxid, "P4");
	} else if (list.count > 1)
		done = remove_file(n, "snapshot", list.entries[list.count - 1].zxid, "P4");
	datadir_list_free(&list);
	return done;
}

/* P9 */
static bool
spoil_epoch(struct ens_node *n, struct rng *r)
{
	static const char *const names[] = {"acceptedEpoch", "currentEpoch"};
	const char *name = names[rng_below(r, 2)];
	uint64_t way = rng_below(r, 3);
	size_t size = 0;
	uint8_t *bytes = ens_disk_read(n->store, name, &size);
	bool done = false;

	if (bytes != NULL && size > 0) {
		if (way == 0)
			size = 0;
		else if (way == 1)
			memset(bytes, 0, size);
		else
			bytes[rng_below(r, size)] ^= 0x40; /* no digit any more */
		note(n, false, "P9",
		    way == 0   ? "empty is"
		    : way == 1 ? "zeros are in"
			       : "no number is in",
		    name);
		n->checked.epoch_damaged = true;
		done = put(n, name, STORE_OPEN_REPLACE, bytes, size, 0);
	}
	free(bytes);
	return done;
}

bool
ens_damage(struct ens_node *n, struct rng *r)
{
	static bool (*const kinds[])(struct ens_node * n, struct rng * r) = {
	    flip, flip, blank, remove_one, spoil_epoch};
	int64_t whole = n->checked.changing ? -1 : whole_zxid(n, NULL, NULL);

	if (whole < 0)
		return false;
	n->checked.whole_zxid = ens_book_place(&n->e->check, whole);
	return kinds[rng_below(r, sizeof kinds / sizeof kinds[0])](n, r);
}

/*
 * It ends somewhere; where servers of older versions end theirs, too, and then it is one.
 */
void
ens_damage_torn_snapshot(struct ens_node *n, struct rng *r)
{
	struct ens_disk *k = &n->checked;
	struct datadir_list list = list_of(n, "snapshot");
	char name[DATADIR_NAME_BYTES];
	uint8_t *bytes = NULL;
	size_t size = 0;
	int64_t zxid = -1;

	if (!k->changing && !n->rotten && list.count > 0 && k->torn_count < ENS_TORN_MAX)
		zxid = whole_zxid(n, &bytes, &size);
	if (zxid >= 0 && list.entries[list.count - 1].zxid < (uint64_t)zxid) {
		datadir_name(name, "snapshot", (uint64_t)zxid);
		world_trace(
		    &n->e->world, "%lld: leaves the beginning of %s", (long long)n->sid, name);
		k->torn[k->torn_count++] = (uint64_t)zxid;
		put(n, name, STORE_OPEN_REPLACE, bytes, (size_t)rng_below(r, size), 0);
	}
	free(bytes);
	datadir_list_free(&list);
}
