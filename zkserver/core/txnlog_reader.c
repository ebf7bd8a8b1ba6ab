/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/txnlog_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libdeflate.h>

#include "libcommon/base/plants.h"
#include "zkserver/core/txnlog.h"

#define WINDOW_BYTES ((size_t)64 * 1024)
#define SECTOR_BYTES 512

/* Zeros are skipped by this much where they are many. */
#define JUMP_BYTES ((size_t)4096)

/* The zxid's place in a transaction's header: behind i64 client and i32 cxid. */
#define ZXID_OFFSET 12

static uint32_t
get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t
get_u64(const uint8_t *p)
{
	return (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}

static int
window_grow(struct txnlog_reader *r, size_t need)
{
	size_t cap = need > WINDOW_BYTES ? need : WINDOW_BYTES;
	uint8_t *grown;

	if (cap <= r->window_cap)
		return 0;
	if ((grown = realloc(r->window, cap)) == NULL)
		return -ENOMEM;
	r->window = grown;
	r->window_cap = cap;
	return 0;
}

/* The file's bytes from pos on, of which `size` must exist; NULL with *f and *err set if not
 * readable. */
static const uint8_t *
bytes_at(struct txnlog_reader *r, uint64_t pos, size_t size, int *err, struct fault *f)
{
	ssize_t n;

	if (pos >= r->window_at && pos + size <= r->window_at + r->window_len)
		return r->window + (pos - r->window_at);
	if ((*err = window_grow(r, size)) != 0) {
		fault_set(f, *err, "%s: no memory for a record of %zu bytes", r->name, size);
		return NULL;
	}
	n = store_pread(r->file, r->window, r->window_cap, pos);
	r->window_at = pos;
	r->window_len = n > 0 ? (size_t)n : 0;
	if (r->window_len >= size)
		return r->window;
	*err = n < 0 ? (int)n : -EIO;
	fault_set(f, *err, "%s: cannot read %zu bytes at offset %llu: %s", r->name, size,
	    (unsigned long long)pos, n < 0 ? strerror(-*err) : "the file became shorter");
	return NULL;
}

/* What lies at an offset. */
enum found { FOUND_RECORD, FOUND_ZEROS, FOUND_NONE };

struct probe {
	enum found found;
	uint64_t end; /* of the record, or of what its length says; 0: the length is impossible */
	bool unterminated; /* the byte at the end is 0 or lies behind the file: the write did not
			      get there */
	const uint8_t *txn;
	size_t size;
};

static int
probe_record(struct txnlog_reader *r, uint64_t pos, struct probe *p, struct fault *f)
{
	const uint8_t *head, *record;
	uint64_t sum;
	size_t size;
	int err;

	*p = (struct probe){.found = FOUND_NONE, .unterminated = true};
	if (r->size - pos < TXNLOG_RECORD_HEAD_BYTES)
		return 0;
	if ((head = bytes_at(r, pos, TXNLOG_RECORD_HEAD_BYTES, &err, f)) == NULL)
		return err;
	sum = get_u64(head);
	size = get_u32(head + 8);
	if (sum == 0 && size == 0)
		p->found = FOUND_ZEROS;
	if (size < TXNLOG_TXN_MIN_BYTES || size > TXNLOG_TXN_MAX_BYTES)
		return 0;
	p->end = pos + size + TXNLOG_RECORD_OVERHEAD_BYTES;
	if (p->end > r->size)
		return 0;
	if ((record = bytes_at(r, pos, size + TXNLOG_RECORD_OVERHEAD_BYTES, &err, f)) == NULL)
		return err;
	p->unterminated = record[size + TXNLOG_RECORD_HEAD_BYTES] == 0;
	if (record[size + TXNLOG_RECORD_HEAD_BYTES] != 'B')
		return 0;
	p->txn = record + TXNLOG_RECORD_HEAD_BYTES;
	p->size = size;
	if (sum == libdeflate_adler32(1, p->txn, size))
		p->found = FOUND_RECORD;
	return 0;
}

/* A header could stand here: cheap enough to ask at every byte. */
static bool
looks_like_head(const uint8_t *p)
{
	uint32_t size = get_u32(p + 8);

	return get_u32(p) == 0 && get_u32(p + 4) != 0 && size >= TXNLOG_TXN_MIN_BYTES &&
	       size <= TXNLOG_TXN_MAX_BYTES;
}

/* What follows an offset where no record is. */
struct rest {
	uint64_t data_end; /* behind the last byte that is not zero; pos if there is none */
	uint64_t valid_at; /* the next valid record's offset; 0: none */
	uint64_t valid_zxid;
	uint64_t last_at, last_end; /* the last valid record */
};

/* All of the next JUMP_BYTES, and a record's head that begins in them, are zeros. */
static bool
zeros_at(struct txnlog_reader *r, uint64_t at, int *err, struct fault *f)
{
	size_t n = JUMP_BYTES + TXNLOG_RECORD_HEAD_BYTES;
	const uint8_t *p;

	if (r->size - at < n || (p = bytes_at(r, at, n, err, f)) == NULL)
		return false;
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static void
take_valid(struct rest *rest, uint64_t at, const struct probe *p)
{
	if (rest->valid_at == 0) {
		rest->valid_at = at;
		rest->valid_zxid = get_u64(p->txn + ZXID_OFFSET);
	}
	rest->last_at = at;
	rest->last_end = rest->data_end = p->end;
}

/* Look for valid records from pos on, and for the last byte that is not zero. */
static int
scan_rest(struct txnlog_reader *r, uint64_t pos, struct rest *rest, struct fault *f)
{
	int err = 0;

	*rest = (struct rest){.data_end = pos};
	for (uint64_t at = pos; at < r->size; at++) {
		bool head = r->size - at >= TXNLOG_RECORD_HEAD_BYTES;
		const uint8_t *p;
		struct probe probe;

		while (at % JUMP_BYTES == 0 && zeros_at(r, at, &err, f))
			at += JUMP_BYTES;
		if (err != 0)
			return err;
		if ((p = bytes_at(r, at, head ? TXNLOG_RECORD_HEAD_BYTES : 1, &err, f)) == NULL)
			return err;
		if (*p != 0)
			rest->data_end = at + 1;
		if (!head || !looks_like_head(p))
			continue;
		if ((err = probe_record(r, at, &probe, f)) != 0)
			return err;
		if (probe.found == FOUND_RECORD &&
		    get_u64(probe.txn + ZXID_OFFSET) > r->last_zxid) {
			take_valid(rest, at, &probe);
			at = probe.end - 1;
		}
	}
	return 0;
}

/*
 * Could all that follows pos have been written with it? A batch that is full takes no further
 * record, so that its last one begins within TXNLOG_BATCH_FULL_BYTES of its start, which is at pos
 * or before.
 */
static bool
is_one_batch(uint64_t pos, const struct rest *rest)
{
	uint64_t last = rest->data_end > rest->last_end ? rest->last_end : rest->last_at;

	return last < pos + TXNLOG_BATCH_FULL_BYTES &&
	       rest->data_end - pos <= TXNLOG_BATCH_MAX_BYTES;
}

/*
 * Whether a sector of the record from pos to end was never written: from pos to its sector's end, a
 * whole sector, or a last one that the record ends in, all zero. Five bytes at least: a checksum's
 * upper four are zero anyway. Sets *missing.
 */
static int
find_missing_sector(
    struct txnlog_reader *r, uint64_t pos, uint64_t end, bool *missing, struct fault *f)
{
	uint64_t run = 0;
	int err = 0;

	*missing = false;
	for (uint64_t at = pos; at < end && at < r->size; at++) {
		const uint8_t *p = bytes_at(r, at, 1, &err, f);

		if (p == NULL)
			return err;
		run = *p == 0 ? run + 1 : 0;
		if ((at + 1) % SECTOR_BYTES != 0 && at + 1 != end)
			continue;
		if (run >= 5 &&
		    run >= at + 1 - (at - at % SECTOR_BYTES > pos ? at - at % SECTOR_BYTES : pos))
			*missing = true;
		run = 0;
	}
	return 0;
}

static int
corrupt(
    const struct txnlog_reader *r, const struct rest *rest, const struct probe *p, struct fault *f)
{
	unsigned long long pos = r->pos, zxid = r->last_zxid + 1;
	char why[128];

	if (rest->valid_at > 0)
		snprintf(why, sizeof(why), "a valid one, zxid 0x%llx, follows at offset %llu",
		    (unsigned long long)rest->valid_zxid, (unsigned long long)rest->valid_at);
	else
		snprintf(why, sizeof(why), "%s",
		    p->end > 0 ? "its end is in place, its checksum is wrong"
			       : "its length is impossible");
	return fault_set(f, DATADIR_CORRUPT,
	    "%s: no valid record at offset %llu, where zxid 0x%llx or the file's end was expected "
	    "(%s): "
	    "the file is damaged; restore it from a backup, or see --recover in zkserver(8)",
	    r->name, pos, zxid, why);
}

/*
 * A last record that is whole up to data_end but for its length: damage, since a torn write would
 * have lost the end of the record.
 */
static int
whole_but_length(struct txnlog_reader *r, uint64_t data_end, bool *whole, struct fault *f)
{
	uint64_t size = data_end - r->pos;
	const uint8_t *p;
	int err = 0;

	*whole = false;
	if (size < TXNLOG_TXN_MIN_BYTES + TXNLOG_RECORD_OVERHEAD_BYTES ||
	    size > TXNLOG_TXN_MAX_BYTES)
		return 0;
	if ((p = bytes_at(r, r->pos, (size_t)size, &err, f)) == NULL)
		return err;
	size -= TXNLOG_RECORD_OVERHEAD_BYTES;
	*whole = p[size + TXNLOG_RECORD_HEAD_BYTES] == 'B' &&
		 get_u64(p) == libdeflate_adler32(1, p + TXNLOG_RECORD_HEAD_BYTES, size);
	return 0;
}

/* No record at r->pos: is this where the file's records end (0), or is it corruption? */
static int
judge_end(struct txnlog_reader *r, const struct probe *p, struct fault *f)
{
	bool missing = false, whole = false, torn;
	struct rest rest;
	uint64_t end;
	int err;

	if ((err = scan_rest(r, r->pos, &rest, f)) != 0)
		return err;
	if (rest.data_end == r->pos || ZAB_PLANTED(PLANT_DAMAGE_ENDS) ||
	    (ZAB_PLANTED(PLANT_ZEROS_END) && p->found == FOUND_ZEROS))
		return 0;
	end = rest.valid_at > 0 ? rest.valid_at : rest.data_end;
	if (rest.valid_at > 0) /* what its sector holds of it was written with the rest of it */
		end = rest.valid_at - rest.valid_at % SECTOR_BYTES + SECTOR_BYTES;
	else if (p->end > end && p->end <= r->size)
		end = p->end;
	if ((err = find_missing_sector(r, r->pos, end, &missing, f)) != 0)
		return err;
	if ((err = whole_but_length(r, rest.data_end, &whole, f)) != 0)
		return err;
	if (rest.valid_at > 0)
		torn = missing && is_one_batch(r->pos, &rest);
	else
		torn = missing || (p->unterminated && p->end > 0) ||
		       rest.data_end < r->pos + TXNLOG_RECORD_HEAD_BYTES;
	if (!torn || whole)
		return corrupt(r, &rest, p, f);
	r->torn = true;
	r->torn_file_zxid = r->files.entries[r->file_index].zxid;
	r->torn_offset = r->pos;
	r->torn_file_empty = r->file_records == 0;
	return 0;
}

static int
check_header(struct txnlog_reader *r, struct fault *f)
{
	const uint8_t *p;
	int err = 0;

	if (r->size < TXNLOG_HEADER_BYTES)
		return fault_set(f, DATADIR_CORRUPT,
		    "%s: %llu bytes, where a header of %d was expected", r->name,
		    (unsigned long long)r->size, TXNLOG_HEADER_BYTES);
	if ((p = bytes_at(r, 0, TXNLOG_HEADER_BYTES, &err, f)) == NULL)
		return err;
	if (get_u32(p) != TXNLOG_MAGIC || get_u32(p + 4) != TXNLOG_VERSION)
		return fault_set(f, DATADIR_CORRUPT,
		    "%s: begins with %08x %08x, where a log's %08x %08x was due", r->name,
		    get_u32(p), get_u32(p + 4), TXNLOG_MAGIC, TXNLOG_VERSION);
	return 0;
}

/*
 * Servers that died, or whose disk was full, while they made their newest file leave it empty, with
 * zeros for a header or with a part of one.
 */
static int
is_blank(struct txnlog_reader *r, bool *blank, struct fault *f)
{
	static const uint8_t begin[] = {'Z', 'K', 'L', 'G', 0, 0, 0, TXNLOG_VERSION};
	size_t size = r->size < sizeof begin ? (size_t)r->size : sizeof begin;
	const uint8_t *p;
	struct rest rest;
	int err = scan_rest(r, 0, &rest, f);

	*blank = err == 0 && rest.data_end == 0;
	if (err != 0 || *blank || r->size >= TXNLOG_HEADER_BYTES)
		return err;
	if ((p = bytes_at(r, 0, size, &err, f)) == NULL)
		return err;
	*blank = memcmp(p, begin, size) == 0 && !ZAB_PLANTED(PLANT_HEADER_OR_NOTHING);
	return 0;
}

static int
open_next_file(struct txnlog_reader *r, struct fault *f)
{
	bool newest = r->file_index + 1 == r->files.count, blank = false;
	int err;

	r->window_len = 0;
	r->file_records = 0;
	r->torn = false;
	datadir_name(r->name, "log", r->files.entries[r->file_index].zxid);
	err = store_open(r->store, r->name, STORE_OPEN_READ, &r->file);
	if (err == 0)
		err = store_size(r->file, &r->size);
	if (err != 0)
		return fault_set(f, err, "cannot open %s: %s", r->name, strerror(-err));
	r->pos = TXNLOG_HEADER_BYTES;
	if (newest && (err = is_blank(r, &blank, f)) != 0)
		return err;
	if (!newest || !blank)
		return check_header(r, f);
	r->torn = r->torn_file_empty = true;
	r->torn_file_zxid = r->files.entries[r->file_index].zxid;
	r->torn_offset = 0;
	r->pos = r->size;
	return 0;
}

int
txnlog_reader_open(struct txnlog_reader *r, struct store *s, uint64_t after_zxid, struct fault *f)
{
	int err;

	*r = (struct txnlog_reader){.store = s, .after_zxid = after_zxid};
	if ((err = datadir_list(s, "log", &r->files, f)) != 0)
		return err;
	/* Start with the newest file that begins at or below after_zxid. */
	while (r->file_index + 1 < r->files.count &&
	       r->files.entries[r->file_index + 1].zxid <= after_zxid)
		r->file_index++;
	return 0;
}

int
txnlog_reader_open_file(
    struct txnlog_reader *r, struct store *s, uint64_t file_zxid, struct fault *f)
{
	*r = (struct txnlog_reader){.store = s, .any_start = true};
	if ((r->files.entries = malloc(sizeof(r->files.entries[0]))) == NULL)
		return fault_set(f, -ENOMEM, "no memory");
	r->files.entries[0] = (struct datadir_entry){.zxid = file_zxid};
	r->files.count = 1;
	return 0;
}

void
txnlog_reader_close(struct txnlog_reader *r)
{
	store_close(r->file);
	datadir_list_free(&r->files);
	free(r->window);
	*r = (struct txnlog_reader){0};
}

/* The next record or the end of this file. 1, 0, or a negative errno. */
static int
next_in_file(struct txnlog_reader *r, struct txnlog_record *record, struct fault *f)
{
	struct probe p;
	int err;

	if (r->pos >= r->size)
		return 0;
	if ((err = probe_record(r, r->pos, &p, f)) != 0)
		return err;
	if (p.found != FOUND_RECORD)
		return judge_end(r, &p, f);
	*record = (struct txnlog_record){
	    .zxid = get_u64(p.txn + ZXID_OFFSET),
	    .txn = p.txn,
	    .size = p.size,
	    .file_zxid = r->files.entries[r->file_index].zxid,
	    .offset = r->pos,
	    .next_offset = p.end,
	};
	r->pos = p.end;
	r->file_records++;
	r->end_file_zxid = record->file_zxid;
	r->end_record_offset = record->offset;
	r->end_offset = p.end;
	return 1;
}

/* In one epoch each zxid is one more than the last; a new epoch begins with 1 (or a bare 0). */
static bool
zxid_follows(uint64_t last, uint64_t next)
{
	if (next >> 32 == last >> 32)
		return next == last + 1;
	return next > last && (next & UINT32_MAX) <= 1;
}

static int
check_order(struct txnlog_reader *r, const struct txnlog_record *record, struct fault *f)
{
	uint64_t last = r->last_zxid > r->after_zxid ? r->last_zxid : r->after_zxid;

	if (record->zxid <= r->last_zxid)
		return fault_set(f, DATADIR_CORRUPT,
		    "%s: zxid 0x%llx at offset %llu comes after 0x%llx", r->name,
		    (unsigned long long)record->zxid, (unsigned long long)record->offset,
		    (unsigned long long)r->last_zxid);
	if (record->zxid > r->after_zxid && !zxid_follows(last, record->zxid))
		return fault_set(f, DATADIR_CORRUPT,
		    "%s: zxid 0x%llx at offset %llu follows 0x%llx: the transactions between are "
		    "missing; restore the files from a backup",
		    r->name, (unsigned long long)record->zxid, (unsigned long long)record->offset,
		    (unsigned long long)last);
	return 0;
}

int
txnlog_reader_next(struct txnlog_reader *r, struct txnlog_record *record, struct fault *f)
{
	for (;;) {
		int got;

		if (r->file == NULL) {
			if (r->file_index >= r->files.count)
				return 0;
			if ((got = open_next_file(r, f)) != 0)
				return got;
		}
		got = next_in_file(r, record, f);
		if (got == 1 && !(r->any_start && r->last_zxid == 0))
			got = check_order(r, record, f) == 0 ? 1
			      : ZAB_PLANTED(PLANT_GAP_ENDS)  ? 0
							     : DATADIR_CORRUPT;
		if (got < 0)
			return got;
		if (got == 0) {
			store_close(r->file);
			r->file = NULL;
			r->file_index++;
			continue;
		}
		r->last_zxid = record->zxid;
		if (record->zxid > r->after_zxid)
			return 1;
	}
}

int
txnlog_reader_resume(struct txnlog_reader *r, struct fault *f)
{
	struct rest rest;
	int err;

	if (r->file == NULL)
		return 0;
	if ((err = scan_rest(r, r->pos, &rest, f)) != 0)
		return err;
	if (rest.valid_at == 0)
		return 0;
	r->pos = rest.valid_at;
	r->last_zxid = 0;
	return 1;
}

int
txnlog_cut(struct store *s, uint64_t file_zxid, uint64_t offset, bool remove, struct fault *f)
{
	struct store_file *file = NULL;
	char name[DATADIR_NAME_BYTES];
	int err;

	datadir_name(name, "log", file_zxid);
	if (remove) {
		err = store_unlink(s, name);
		if (err == 0)
			err = store_sync_dir(s);
	} else {
		err = store_open(s, name, STORE_OPEN_WRITE, &file);
		if (err == 0)
			err = store_truncate(file, offset);
		if (err == 0 && !ZAB_PLANTED(PLANT_CUT_UNSYNCED))
			err = store_sync(file);
		store_close(file);
	}
	return err == 0 ? 0
			: fault_set(f, err, "cannot cut %s at offset %llu: %s", name,
			      (unsigned long long)offset, strerror(-err));
}

/* Write the bytes from..to of a file again. */
static int
write_again(struct store_file *file, uint64_t from, uint64_t to)
{
	uint8_t *chunk = malloc(WINDOW_BYTES);
	int err = chunk != NULL ? 0 : -ENOMEM;

	while (err == 0 && from < to) {
		size_t size = to - from < WINDOW_BYTES ? (size_t)(to - from) : WINDOW_BYTES;
		ssize_t n = store_pread(file, chunk, size, from);

		if (n <= 0)
			err = n < 0 ? (int)n : -EIO;
		else
			err = store_pwrite(file, chunk, (size_t)n, from);
		from += n > 0 ? (uint64_t)n : 0;
	}
	free(chunk);
	return err;
}

int
txnlog_settle(struct store *s, uint64_t file_zxid, uint64_t record_offset, uint64_t end_offset,
    struct fault *f)
{
	uint64_t from =
	    record_offset > TXNLOG_BATCH_FULL_BYTES ? record_offset - TXNLOG_BATCH_FULL_BYTES : 0;
	struct store_file *file = NULL;
	char name[DATADIR_NAME_BYTES];
	int err;

	datadir_name(name, "log", file_zxid);
	err = store_open(s, name, STORE_OPEN_WRITE, &file);
	if (err == 0)
		err = write_again(file, from, end_offset);
	if (err == 0)
		err = store_sync(file);
	store_close(file);
	if (err == 0)
		err = store_sync_dir(s);
	return err == 0
		   ? 0
		   : fault_set(f, err, "cannot make %s durable again: %s", name, strerror(-err));
}

/* Remove the files above file_zxid, the newest first, so that what is left has no gap. */
static int
remove_newer(struct store *s, const struct datadir_list *files, uint64_t file_zxid, struct fault *f)
{
	int err = 0;

	for (size_t i = files->count; i > 0 && files->entries[i - 1].zxid > file_zxid; i--) {
		char name[DATADIR_NAME_BYTES];

		datadir_name(name, "log", files->entries[i - 1].zxid);
		if ((err = store_unlink(s, name)) != 0 || (err = store_sync_dir(s)) != 0)
			return fault_set(f, err, "cannot remove %s: %s", name, strerror(-err));
	}
	return 0;
}

int
txnlog_forget_after(struct store *s, uint64_t zxid, struct fault *f)
{
	struct txnlog_record record;
	struct txnlog_reader r;
	int err = txnlog_reader_open(&r, s, zxid, f);

	if (err == 0)
		err = txnlog_reader_next(&r, &record, f);
	if (err == 1 && (err = remove_newer(s, &r.files, record.file_zxid, f)) == 0)
		err = txnlog_cut(s, record.file_zxid,
		    ZAB_PLANTED(PLANT_CUT_SHORT) ? record.next_offset : record.offset,
		    record.offset == TXNLOG_HEADER_BYTES, f);
	txnlog_reader_close(&r);
	return err;
}

int
txnlog_clean(struct store *s, struct fault *f)
{
	static const char *const names[] = {TXNLOG_NEW_NAME, TXNLOG_SPARE_NAME};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int err = store_unlink(s, names[i]);

		if (err != 0 && err != -ENOENT)
			return fault_set(f, err, "cannot remove %s: %s", names[i], strerror(-err));
	}
	return 0;
}
