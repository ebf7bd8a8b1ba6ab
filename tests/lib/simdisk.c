/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/simdisk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/list.h"
#include "libcommon/base/rng.h"

#define NAMES_MAX 4096
#define CHANGES_MAX 16384
#define FIRST_ROOM 2 /* a power of two */

/* From begin_op(): the power goes during this operation, which reaches the cache and no further. */
#define HALF_DONE 1

_Static_assert(SIMDISK_STOPPED == -ESHUTDOWN, "the header names the value");

const char *const simdisk_fault_names[SIMDISK_FAULT_KINDS] = {
    [SIMDISK_CRASH] = "process crash",
    [SIMDISK_POWER_LOSS] = "power loss",
    [SIMDISK_TORN] = "torn write",
    [SIMDISK_NAME_LOST] = "directory change lost",
    [SIMDISK_WRITE_ERROR] = "write error",
    [SIMDISK_SYNC_ERROR] = "sync error",
    [SIMDISK_NO_SPACE] = "disk full",
    [SIMDISK_BIT_FLIP] = "bit flip",
};

/* A file's contents, as seen and as durable. Both buffers have `cap` bytes, zero behind the size.
 */
struct inode {
	struct list link; /* in simdisk.inodes */
	uint8_t *seen, *durable;
	bool *dirty; /* by sector: written since the last sync */
	uint64_t cap, seen_size, durable_size;
	unsigned marks; /* references found by sweep(), and handles */
	unsigned handles;
};

struct name {
	char text[STORE_NAME_MAX + 1];
	struct inode *inode;
};

struct names {
	struct name *list; /* in bytewise order */
	size_t count;
};

/* An unsynced change of the directory: `name` stands for `inode` now, or for nothing (NULL). */
struct change {
	char name[STORE_NAME_MAX + 1], gone[STORE_NAME_MAX + 1]; /* gone: a rename's old name */
	struct inode *inode;
};

struct handle {
	struct store_file file;
	struct list link; /* in simdisk.handles */
	struct simdisk *disk;
	struct inode *inode;
	char name[STORE_NAME_MAX + 1];
};

struct simdisk {
	struct store store;
	struct rng rng;
	struct list inodes, handles;
	struct names seen, durable;
	struct change *changes;
	size_t change_count;
	uint64_t capacity, ops, stop_at, fail_at;
	int fail_error;
	bool stopped, ignore_sync, ignore_dir_sync;
	uint64_t faults[SIMDISK_FAULT_KINDS];
	simdisk_trace *trace;
	void *trace_arg;
};

static struct simdisk *
to_disk(struct store *s)
{
	return CONTAINER_OF(s, struct simdisk, store);
}

static struct handle *
to_handle(struct store_file *f)
{
	return CONTAINER_OF(f, struct handle, file);
}

/* ---- names ---- */

static struct name *
names_find(const struct names *n, const char *text)
{
	for (size_t i = 0; i < n->count; i++)
		if (strcmp(n->list[i].text, text) == 0)
			return &n->list[i];
	return NULL;
}

/* Room for one more item behind `count`; most disks of tests hold few. */
static void *
make_room(void *list, size_t count, size_t item_bytes)
{
	if (count > 0 && (count < FIRST_ROOM || (count & (count - 1)) != 0))
		return list;
	list = realloc(list, (count < FIRST_ROOM ? FIRST_ROOM : 2 * count) * item_bytes);
	assert(list != NULL);
	return list;
}

/* Let `text` stand for the inode; NULL removes the name. */
static void
names_set(struct names *n, const char *text, struct inode *inode)
{
	struct name *found = names_find(n, text);
	size_t at = 0;

	if (found != NULL && inode != NULL) {
		found->inode = inode;
		return;
	}
	if (found != NULL) {
		at = (size_t)(found - n->list);
		memmove(found, found + 1, (n->count - at - 1) * sizeof(*found));
		n->count--;
		return;
	}
	if (inode == NULL)
		return;
	assert(n->count < NAMES_MAX && strlen(text) <= STORE_NAME_MAX);
	n->list = make_room(n->list, n->count, sizeof(n->list[0]));
	while (at < n->count && strcmp(n->list[at].text, text) < 0)
		at++;
	memmove(&n->list[at + 1], &n->list[at], (n->count - at) * sizeof(n->list[0]));
	n->count++;
	n->list[at].inode = inode;
	memcpy(n->list[at].text, text, strlen(text) + 1);
}

static void
apply_change(struct names *n, const struct change *c)
{
	if (c->gone[0] != '\0')
		names_set(n, c->gone, NULL);
	names_set(n, c->name, c->inode);
}

static void
change_names(struct simdisk *d, const char *name, const char *gone, struct inode *inode)
{
	struct change *c;

	assert(d->change_count < CHANGES_MAX);
	d->changes = make_room(d->changes, d->change_count, sizeof(d->changes[0]));
	c = &d->changes[d->change_count++];
	*c = (struct change){.inode = inode};
	memcpy(c->name, name, strlen(name) + 1);
	memcpy(c->gone, gone, strlen(gone) + 1);
	apply_change(&d->seen, c);
}

/* ---- inodes ---- */

static struct inode *
inode_new(struct simdisk *d)
{
	struct inode *n = calloc(1, sizeof(*n));

	if (n != NULL)
		list_append(&d->inodes, &n->link);
	return n;
}

static void
inode_free(struct inode *n)
{
	list_remove(&n->link);
	free(n->seen);
	free(n->durable);
	free(n->dirty);
	free(n);
}

static void
mark_names(const struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		n->list[i].inode->marks++;
}

/* Free the inodes that nothing stands for any more. */
static void
sweep(struct simdisk *d)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &d->inodes) {
		struct inode *n = CONTAINER_OF(it, struct inode, link);

		n->marks = n->handles;
	}
	mark_names(&d->seen);
	mark_names(&d->durable);
	for (size_t i = 0; i < d->change_count; i++)
		if (d->changes[i].inode != NULL)
			d->changes[i].inode->marks++;
	LIST_EACH(it, nx, &d->inodes) {
		struct inode *n = CONTAINER_OF(it, struct inode, link);

		if (n->marks == 0)
			inode_free(n);
	}
}

static bool
inode_reserve(struct inode *n, uint64_t size)
{
	uint64_t cap = n->cap > 0 ? n->cap : SIMDISK_SECTOR_BYTES;
	uint8_t *seen, *durable;
	bool *dirty;

	if (size <= n->cap)
		return true;
	while (cap < size)
		cap *= 2;
	seen = calloc(1, cap);
	durable = calloc(1, cap);
	dirty = calloc(cap / SIMDISK_SECTOR_BYTES, sizeof(*dirty));
	if (seen == NULL || durable == NULL || dirty == NULL) {
		free(seen);
		free(durable);
		free(dirty);
		return false;
	}
	if (n->cap > 0) {
		memcpy(seen, n->seen, n->cap);
		memcpy(durable, n->durable, n->cap);
		memcpy(dirty, n->dirty, n->cap / SIMDISK_SECTOR_BYTES * sizeof(*dirty));
	}
	free(n->seen);
	free(n->durable);
	free(n->dirty);
	n->seen = seen;
	n->durable = durable;
	n->dirty = dirty;
	n->cap = cap;
	return true;
}

static void
inode_touch(struct inode *n, uint64_t from, uint64_t to)
{
	for (uint64_t s = from / SIMDISK_SECTOR_BYTES; s * SIMDISK_SECTOR_BYTES < to; s++)
		n->dirty[s] = true;
}

static void
inode_resize(struct inode *n, uint64_t size)
{
	uint64_t old = n->seen_size;

	if (size < old) {
		memset(n->seen + size, 0, old - size);
		inode_touch(n, size, old);
	}
	n->seen_size = size;
}

/* Make each dirty sector durable (percent in 100 of them), or else lose it. The number lost. */
static uint64_t
inode_flush(struct simdisk *d, struct inode *n, unsigned percent, bool lose)
{
	uint64_t lost = 0;

	for (uint64_t s = 0; s * SIMDISK_SECTOR_BYTES < n->cap; s++) {
		uint64_t at = s * SIMDISK_SECTOR_BYTES;

		if (!n->dirty[s])
			continue;
		if (percent >= 100 || rng_below(&d->rng, 100) < percent) {
			memcpy(n->durable + at, n->seen + at, SIMDISK_SECTOR_BYTES);
			n->dirty[s] = false;
			continue;
		}
		lost++;
		if (lose) {
			memcpy(n->seen + at, n->durable + at, SIMDISK_SECTOR_BYTES);
			n->dirty[s] = false;
		}
	}
	return lost;
}

static uint64_t
used_bytes(const struct simdisk *d)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < d->seen.count; i++)
		sum += d->seen.list[i].inode->seen_size;
	return sum;
}

/* ---- operations ---- */

/* Number a changing operation: 0 to go on, HALF_DONE, or the error to return. */
static int
begin_op(struct simdisk *d, const char *what, const char *name, uint64_t offset, uint64_t size)
{
	if (d->stopped)
		return SIMDISK_STOPPED;
	d->ops++;
	if (d->trace != NULL)
		d->trace(d->trace_arg, what, name, offset, size);
	if (d->ops == d->stop_at) {
		d->stopped = true;
		return HALF_DONE;
	}
	if (d->ops == d->fail_at)
		return d->fail_error;
	return 0;
}

static int
sim_open(struct store *s, const char *name, enum store_open how, struct store_file **file)
{
	struct simdisk *d = to_disk(s);
	struct name *found = names_find(&d->seen, name);
	struct handle *h;
	int err = 0;

	if (d->stopped)
		return SIMDISK_STOPPED;
	if (found == NULL && (how == STORE_OPEN_READ || how == STORE_OPEN_WRITE))
		return -ENOENT;
	if (found != NULL && how == STORE_OPEN_CREATE)
		return -EEXIST;
	if (how == STORE_OPEN_CREATE || how == STORE_OPEN_REPLACE)
		err = begin_op(d, "create", name, 0, 0);
	if (err < 0)
		return err;
	if (found == NULL) {
		struct inode *n = inode_new(d);

		if (n == NULL)
			return -ENOMEM;
		change_names(d, name, "", n);
		found = names_find(&d->seen, name);
	} else if (how == STORE_OPEN_REPLACE)
		inode_resize(found->inode, 0);
	if (err == HALF_DONE)
		return SIMDISK_STOPPED;
	if ((h = calloc(1, sizeof(*h))) == NULL)
		return -ENOMEM;
	h->file.ops = s->ops;
	h->disk = d;
	h->inode = found->inode;
	h->inode->handles++;
	memcpy(h->name, name, strlen(name) + 1);
	list_append(&d->handles, &h->link);
	*file = &h->file;
	return 0;
}

static void
sim_close(struct store_file *f)
{
	struct handle *h = to_handle(f);

	h->inode->handles--;
	list_remove(&h->link);
	free(h);
}

static int
sim_size(struct store_file *f, uint64_t *size_bytes)
{
	struct handle *h = to_handle(f);

	*size_bytes = h->inode->seen_size;
	return h->disk->stopped ? SIMDISK_STOPPED : 0;
}

static ssize_t
sim_pread(struct store_file *f, void *to, size_t size, uint64_t offset)
{
	const struct inode *n = to_handle(f)->inode;

	if (to_handle(f)->disk->stopped)
		return SIMDISK_STOPPED;
	if (offset >= n->seen_size)
		return 0;
	if (size > n->seen_size - offset)
		size = n->seen_size - offset;
	memcpy(to, n->seen + offset, size);
	return (ssize_t)size;
}

/* Write to the cache; a full disk takes what fits. */
static int
put_bytes(struct handle *h, const void *bytes, size_t size, uint64_t offset)
{
	struct inode *n = h->inode;
	uint64_t used = used_bytes(h->disk), end = offset + size;
	int err = 0;

	if (end > n->seen_size && used + (end - n->seen_size) > h->disk->capacity) {
		uint64_t room = h->disk->capacity > used ? h->disk->capacity - used : 0;

		end = n->seen_size + room;
		size = end > offset ? (size_t)(end - offset) : 0;
		h->disk->faults[SIMDISK_NO_SPACE]++;
		err = -ENOSPC;
	}
	if (size == 0)
		return err;
	if (!inode_reserve(n, end))
		return -ENOMEM;
	if (bytes != NULL)
		memcpy(n->seen + offset, bytes, size);
	else
		memset(n->seen + offset, 0, size);
	inode_touch(n, offset, end);
	if (end > n->seen_size)
		n->seen_size = end;
	return err;
}

static int
sim_pwrite(struct store_file *f, const void *bytes, size_t size, uint64_t offset)
{
	struct handle *h = to_handle(f);
	int err = begin_op(h->disk, "write", h->name, offset, size), put;

	if (err == SIMDISK_STOPPED)
		return err;
	if (err < 0) {
		h->disk->faults[SIMDISK_WRITE_ERROR]++;
		size = (size_t)rng_below(&h->disk->rng, size + 1);
	}
	put = put_bytes(h, bytes, size, offset);
	if (err == HALF_DONE)
		return SIMDISK_STOPPED;
	return err != 0 ? err : put;
}

static int
sim_allocate(struct store_file *f, uint64_t end_bytes)
{
	struct handle *h = to_handle(f);
	uint64_t size = h->inode->seen_size;
	int err = begin_op(h->disk, "allocate", h->name, size, end_bytes), put;

	if (err < 0 || end_bytes <= size)
		return err == HALF_DONE ? SIMDISK_STOPPED : err;
	put = put_bytes(h, NULL, (size_t)(end_bytes - size), size);
	return err == HALF_DONE ? SIMDISK_STOPPED : put;
}

static int
sim_truncate(struct store_file *f, uint64_t size_bytes)
{
	struct handle *h = to_handle(f);
	int err = begin_op(h->disk, "truncate", h->name, size_bytes, 0);

	if (err < 0)
		return err;
	if (!inode_reserve(h->inode, size_bytes))
		return -ENOMEM;
	inode_resize(h->inode, size_bytes);
	return err == HALF_DONE ? SIMDISK_STOPPED : 0;
}

static int
sim_sync(struct store_file *f)
{
	struct handle *h = to_handle(f);
	struct simdisk *d = h->disk;
	int err = begin_op(d, "sync", h->name, 0, 0);

	if (err == HALF_DONE || err == SIMDISK_STOPPED)
		return SIMDISK_STOPPED;
	if (err < 0) {
		/*
		 * Linux marks the pages clean after reporting. What was not written is gone, or
		 * stands in the cache as if it were durable until the power goes.
		 */
		d->faults[SIMDISK_SYNC_ERROR]++;
		inode_flush(
		    d, h->inode, (unsigned)rng_below(&d->rng, 100), rng_below(&d->rng, 2) == 0);
		memset(h->inode->dirty, 0, h->inode->cap / SIMDISK_SECTOR_BYTES * sizeof(bool));
		return err;
	}
	if (d->ignore_sync)
		return 0;
	inode_flush(d, h->inode, 100, false);
	h->inode->durable_size = h->inode->seen_size;
	return 0;
}

static int
sim_rename(struct store *s, const char *from, const char *to)
{
	struct simdisk *d = to_disk(s);
	struct name *found = names_find(&d->seen, from);
	int err = begin_op(d, "rename", to, 0, 0);

	if (err < 0)
		return err;
	if (found == NULL)
		return -ENOENT;
	change_names(d, to, from, found->inode);
	return err == HALF_DONE ? SIMDISK_STOPPED : 0;
}

static int
sim_unlink(struct store *s, const char *name)
{
	struct simdisk *d = to_disk(s);
	int err;

	if (names_find(&d->seen, name) == NULL)
		return d->stopped ? SIMDISK_STOPPED : -ENOENT;
	if ((err = begin_op(d, "unlink", name, 0, 0)) < 0)
		return err;
	change_names(d, name, "", NULL);
	return err == HALF_DONE ? SIMDISK_STOPPED : 0;
}

static int
sim_list(struct store *s, store_visit *visit, void *arg)
{
	struct simdisk *d = to_disk(s);
	int result = 0;

	if (d->stopped)
		return SIMDISK_STOPPED;
	for (size_t i = 0; i < d->seen.count && result == 0; i++)
		result = visit(arg, d->seen.list[i].text);
	return result;
}

static int
sim_sync_dir(struct store *s)
{
	struct simdisk *d = to_disk(s);
	int err = begin_op(d, "sync the directory", "", 0, 0);

	if (err != 0)
		return err == HALF_DONE ? SIMDISK_STOPPED : err;
	if (d->ignore_dir_sync)
		return 0;
	for (size_t i = 0; i < d->change_count; i++)
		apply_change(&d->durable, &d->changes[i]);
	d->change_count = 0;
	sweep(d);
	return 0;
}

static const struct store_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .size = sim_size,
    .pread = sim_pread,
    .pwrite = sim_pwrite,
    .allocate = sim_allocate,
    .truncate = sim_truncate,
    .sync = sim_sync,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .list = sim_list,
    .sync_dir = sim_sync_dir,
};

/* ---- the disk as tests see it ---- */

struct simdisk *
simdisk_new(uint64_t seed, uint64_t capacity_bytes)
{
	struct simdisk *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->store.ops = &sim_ops;
	d->capacity = capacity_bytes;
	rng_init(&d->rng, seed);
	list_init(&d->inodes);
	list_init(&d->handles);
	return d;
}

struct simdisk *
simdisk_copy(const struct simdisk *d)
{
	struct simdisk *copy = simdisk_new(0, UINT64_MAX);

	for (size_t i = 0; copy != NULL && i < d->seen.count; i++) {
		const struct inode *from = d->seen.list[i].inode;
		struct inode *n = inode_new(copy);

		if (n == NULL || !inode_reserve(n, from->seen_size)) {
			simdisk_free(copy);
			return NULL;
		}
		if (from->seen_size > 0) {
			memcpy(n->seen, from->seen, from->seen_size);
			memcpy(n->durable, from->seen, from->seen_size);
		}
		n->seen_size = n->durable_size = from->seen_size;
		names_set(&copy->seen, d->seen.list[i].text, n);
		names_set(&copy->durable, d->seen.list[i].text, n);
	}
	return copy;
}

void
simdisk_free(struct simdisk *d)
{
	struct list *it, *nx;

	if (d == NULL)
		return;
	LIST_EACH(it, nx, &d->handles)
		sim_close(&CONTAINER_OF(it, struct handle, link)->file);
	LIST_EACH(it, nx, &d->inodes)
		inode_free(CONTAINER_OF(it, struct inode, link));
	free(d->seen.list);
	free(d->durable.list);
	free(d->changes);
	free(d);
}

struct store *
simdisk_store(struct simdisk *d)
{
	return &d->store;
}

void
simdisk_set_capacity(struct simdisk *d, uint64_t capacity_bytes)
{
	d->capacity = capacity_bytes;
}

uint64_t
simdisk_ops(const struct simdisk *d)
{
	return d->ops;
}

void
simdisk_stop_at(struct simdisk *d, uint64_t op)
{
	d->stop_at = op;
}

bool
simdisk_stopped(const struct simdisk *d)
{
	return d->stopped;
}

void
simdisk_fail_at(struct simdisk *d, uint64_t op, int error)
{
	d->fail_at = op;
	d->fail_error = error;
}

void
simdisk_ignore_sync(struct simdisk *d, bool files, bool directory)
{
	d->ignore_sync = files;
	d->ignore_dir_sync = directory;
}

static void
restart(struct simdisk *d)
{
	assert(list_empty(&d->handles));
	d->stopped = false;
	d->stop_at = 0;
	d->fail_at = 0;
}

void
simdisk_crash(struct simdisk *d)
{
	d->faults[SIMDISK_CRASH]++;
	restart(d);
}

/* Some of the unsynced sectors and the old or the new size survive. */
static void
inode_power_loss(struct simdisk *d, struct inode *n)
{
	/* All, none, or any subset: the extremes are as likely in life. */
	static const unsigned percents[] = {0, 20, 50, 80, 100};
	unsigned percent = percents[rng_below(&d->rng, 5)];
	uint64_t dirty = 0, lost;

	for (uint64_t s = 0; s * SIMDISK_SECTOR_BYTES < n->cap; s++)
		dirty += n->dirty[s];
	lost = inode_flush(d, n, percent, true);
	if (lost > 0 && lost < dirty)
		d->faults[SIMDISK_TORN]++;
	if (n->seen_size != n->durable_size && rng_below(&d->rng, 2) == 0)
		n->durable_size = n->seen_size;
	n->seen_size = n->durable_size;
	if (n->cap > n->seen_size)
		memset(n->durable + n->seen_size, 0, n->cap - n->seen_size);
	if (n->cap > 0)
		memcpy(n->seen, n->durable, n->cap);
}

static void
names_copy(struct names *to, const struct names *from)
{
	for (to->count = 0; to->count < from->count; to->count++) {
		to->list = make_room(to->list, to->count, sizeof(to->list[0]));
		to->list[to->count] = from->list[to->count];
	}
}

void
simdisk_power_loss(struct simdisk *d)
{
	size_t kept = (size_t)rng_below(&d->rng, d->change_count + 1);
	struct list *it, *nx;

	d->faults[SIMDISK_POWER_LOSS]++;
	if (kept < d->change_count)
		d->faults[SIMDISK_NAME_LOST]++;
	for (size_t i = 0; i < kept; i++)
		apply_change(&d->durable, &d->changes[i]);
	d->change_count = 0;
	names_copy(&d->seen, &d->durable);
	restart(d);
	sweep(d);
	LIST_EACH(it, nx, &d->inodes)
		inode_power_loss(d, CONTAINER_OF(it, struct inode, link));
}

bool
simdisk_flip_bit(struct simdisk *d, const char *name, uint64_t offset, unsigned bit)
{
	struct name *found = names_find(&d->seen, name);

	if (found == NULL || offset >= found->inode->seen_size)
		return false;
	found->inode->seen[offset] ^= (uint8_t)(1U << (bit % 8));
	found->inode->durable[offset] ^= (uint8_t)(1U << (bit % 8));
	d->faults[SIMDISK_BIT_FLIP]++;
	return true;
}

void
simdisk_settle(struct simdisk *d)
{
	struct list *it, *nx;

	for (size_t i = 0; i < d->change_count; i++)
		apply_change(&d->durable, &d->changes[i]);
	d->change_count = 0;
	LIST_EACH(it, nx, &d->inodes) {
		struct inode *n = CONTAINER_OF(it, struct inode, link);

		inode_flush(d, n, 100, false);
		n->durable_size = n->seen_size;
	}
	sweep(d);
}

uint64_t
simdisk_fault_count(const struct simdisk *d, enum simdisk_fault kind)
{
	return d->faults[kind];
}

void
simdisk_set_trace(struct simdisk *d, simdisk_trace *trace, void *arg)
{
	d->trace = trace;
	d->trace_arg = arg;
}
