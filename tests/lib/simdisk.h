/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated disk: a struct store in memory that loses, tears and refuses as real ones do, all of
 * it drawn from a seed. It keeps what a process sees (page cache) apart from what is durable:
 * - written sectors (512 bytes) become durable by sync(), sizes too; names by sync_dir();
 * - at a power loss each sector that was written since is kept or lost on its own, a size that
 *   changed is the old or the new one, and of the directory's changes any prefix is kept;
 * - a sync() that fails drops what it was to write and reports it once, as Linux does.
 */
#ifndef CORRAL_TESTS_SIMDISK_H
#define CORRAL_TESTS_SIMDISK_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/store.h"

#define SIMDISK_SECTOR_BYTES 512

/* What an operation returns when the power went before it. */
#define SIMDISK_STOPPED (-108) /* -ESHUTDOWN */

enum simdisk_fault {
	SIMDISK_CRASH,	    /* the process died; the page cache survived */
	SIMDISK_POWER_LOSS, /* ... and some unsynced sectors, sizes or names did not */
	SIMDISK_TORN,	    /* a power loss that kept a part of one file's unsynced sectors */
	SIMDISK_NAME_LOST,  /* a power loss that dropped a change of the directory */
	SIMDISK_WRITE_ERROR,
	SIMDISK_SYNC_ERROR,
	SIMDISK_NO_SPACE,
	SIMDISK_BIT_FLIP,
	SIMDISK_FAULT_KINDS
};

extern const char *const simdisk_fault_names[SIMDISK_FAULT_KINDS];

struct simdisk;

/* NULL: no memory. capacity_bytes bounds the sum of the files' sizes; UINT64_MAX for no bound. */
struct simdisk *simdisk_new(uint64_t seed, uint64_t capacity_bytes);
/* Another disk with what a process sees of this one now, all of it durable. NULL: no memory. */
struct simdisk *simdisk_copy(const struct simdisk *d);
void simdisk_free(struct simdisk *d);
struct store *simdisk_store(struct simdisk *d);
void simdisk_set_capacity(struct simdisk *d, uint64_t capacity_bytes);

/* Each operation that changes something has a number, from 1; this is the last one's. */
uint64_t simdisk_ops(const struct simdisk *d);

/*
 * From the operation with this number on the power is off: it takes effect in part (a write reaches
 * the cache, a sync writes some sectors), and it and all later ones return SIMDISK_STOPPED until
 * simdisk_crash() or simdisk_power_loss(). 0: never.
 */
void simdisk_stop_at(struct simdisk *d, uint64_t op);
bool simdisk_stopped(const struct simdisk *d);

/* The operation with this number fails with `error` (-EIO, -ENOSPC); a failing sync drops sectors.
 */
void simdisk_fail_at(struct simdisk *d, uint64_t op, int error);

/* A bug on purpose: sync() of files, or of the directory, succeeds and does nothing. */
void simdisk_ignore_sync(struct simdisk *d, bool files, bool directory);

/* The process is gone. Files it had open are invalid from now on: the owner must have let go of
 * them. */
void simdisk_crash(struct simdisk *d);
void simdisk_power_loss(struct simdisk *d);

/* Flip a bit of a file, durably. False: no such file, or the offset is behind its end. */
bool simdisk_flip_bit(struct simdisk *d, const char *name, uint64_t offset, unsigned bit);

/* Everything unsynced is durable from now on: a disk that was left alone for long enough. */
void simdisk_settle(struct simdisk *d);

/* How often each kind of fault took place. */
uint64_t simdisk_fault_count(const struct simdisk *d, enum simdisk_fault kind);

/* Told of each changing operation, before it: for a trace. */
typedef void simdisk_trace(
    void *arg, const char *what, const char *name, uint64_t offset, uint64_t size);
void simdisk_set_trace(struct simdisk *d, simdisk_trace *trace, void *arg);

#endif
