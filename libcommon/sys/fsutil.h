/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and random bytes. On failure each function returns false with errno set and leaves nothing
 * half made.
 */
#ifndef CORRAL_SYS_FSUTIL_H
#define CORRAL_SYS_FSUTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "libcommon/base/buf.h"

/*
 * Append a whole file of at most max bytes to out. EFBIG if it is larger, ENOMEM if out is too
 * small.
 */
bool fsutil_read(const char *path, size_t max, struct buf *out);

/*
 * The first size - 1 bytes of a small file, as text: of /proc and /sys, where one read(2) gives one
 * state.
 */
bool fsutil_read_text(const char *path, char *to, size_t size);

/*
 * Make path hold exactly these bytes with this mode, or leave it as it was: written beside it,
 * synced, renamed over it, directory synced. Readers see the old file or the new one.
 */
bool fsutil_write_atomic(const char *path, const void *bytes, size_t size, mode_t mode);

/*
 * The same without waiting for the disk, for what nobody needs after a power loss: then path may
 * have the old bytes, the new ones, or none.
 */
bool fsutil_write_fleeting(const char *path, const void *bytes, size_t size, mode_t mode);

/*
 * Make a directory and its missing parents, each with this mode; existing ones are left as they
 * are.
 */
bool fsutil_mkdirs(const char *path, mode_t mode);

/*
 * Remove `name` below the directory dirfd (AT_FDCWD is allowed) with all that it holds. Symbolic
 * links are removed, never followed, whatever others do to the tree meanwhile. True if it is gone
 * (or never was). Mounts below it are not crossed: EXDEV.
 */
bool fsutil_remove_tree(int dirfd, const char *name);

/* Sync the directory that holds path. */
bool fsutil_sync_parent(const char *path);

/* Write all bytes to a descriptor, through short writes and EINTR. */
bool fsutil_write_all(int fd, const void *bytes, size_t size);

/*
 * The mode of a file of secrets that others can read or change; 0: its owner alone can, or it is
 * root's and a group may read it, or it is no file.
 */
unsigned fsutil_open_mode(const char *path);

/* Random bytes fit for keys. */
bool fsutil_random(void *bytes, size_t size);

#endif
