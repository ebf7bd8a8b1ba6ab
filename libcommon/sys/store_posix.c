/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/store_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libcommon/base/list.h"

/* Zeros are written in pieces of this size, so many with one call: few calls, each soon done. */
#define ZEROS_BYTES ((size_t)256 * 1024)
#define ZEROS_PIECES 4
#define DIRECT_BYTES 4096 /* what direct writes are a multiple of, at least */

struct posix_store {
	struct store store;
	int dir_fd;
};

/*
 * After so much the disk is to begin with it: a gigabyte that comes all at once with the sync holds
 * up for seconds who else writes to that disk.
 */
#define BEGIN_BYTES ((size_t)4 << 20)

struct posix_file {
	struct store_file file;
	int fd;
	size_t waiting_bytes; /* written, and the disk was not told yet */
};

static struct posix_store *
to_store(struct store *s)
{
	return CONTAINER_OF(s, struct posix_store, store);
}

static struct posix_file *
to_file(struct store_file *f)
{
	return CONTAINER_OF(f, struct posix_file, file);
}

static int
posix_open(struct store *s, const char *name, enum store_open how, struct store_file **file)
{
	static const int flags[] = {
	    [STORE_OPEN_READ] = O_RDONLY,
	    [STORE_OPEN_WRITE] = O_RDWR,
	    [STORE_OPEN_CREATE] = O_RDWR | O_CREAT | O_EXCL,
	    [STORE_OPEN_REPLACE] = O_RDWR | O_CREAT | O_TRUNC,
	};
	struct posix_file *f = malloc(sizeof(*f));
	int err;

	if (f == NULL)
		return -ENOMEM;
	f->file.ops = s->ops;
	f->waiting_bytes = 0;
	f->fd = openat(to_store(s)->dir_fd, name, flags[how] | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->fd < 0) {
		err = errno;
		free(f);
		return -err;
	}
	*file = &f->file;
	return 0;
}

static void
posix_close(struct store_file *file)
{
	struct posix_file *f = to_file(file);

	close(f->fd);
	free(f);
}

static int
posix_size(struct store_file *file, uint64_t *size_bytes)
{
	struct stat st;

	if (fstat(to_file(file)->fd, &st) != 0)
		return -errno;
	*size_bytes = (uint64_t)st.st_size;
	return 0;
}

static ssize_t
posix_pread(struct store_file *file, void *to, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(
		    to_file(file)->fd, (char *)to + done, size - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Only a hint: what becomes of it the sync will say. */
static void
begin_writing(struct posix_file *f, size_t size)
{
	f->waiting_bytes += size;
	if (f->waiting_bytes < BEGIN_BYTES)
		return;
	f->waiting_bytes = 0;
	(void)sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static int
posix_pwrite(struct store_file *file, const void *bytes, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pwrite(to_file(file)->fd, (const char *)bytes + done, size - done,
		    (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	begin_writing(to_file(file), size);
	return 0;
}

/* Not const: unwritten it is the kernel's page of zeros, and no part of the program's file. */
static char zeros[ZEROS_BYTES] __attribute__((aligned(4096)));

/* A second descriptor of the file that goes past the page cache, -1 where there is none such. */
static int
open_direct(int fd)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
}

/* Write as many zeros as one call takes, at most `size` bytes. Bytes written, or as pwrite(2). */
static ssize_t
fill_some(int fd, uint64_t at, uint64_t size)
{
	struct iovec pieces[ZEROS_PIECES];
	int count = 0;

	for (; count < ZEROS_PIECES && size > 0; count++) {
		size_t n = size < ZEROS_BYTES ? (size_t)size : ZEROS_BYTES;

		pieces[count] = (struct iovec){(void *)(uintptr_t)zeros, n};
		size -= n;
	}
	return pwritev(fd, pieces, count, (off_t)at);
}

/*
 * Whole blocks are written past the page cache, which would cost a copy of each page, and another
 * to throw it out again when the log is written there. What the direct way does not take is left.
 */
static uint64_t
fill_direct(int fd, uint64_t at, uint64_t end_bytes)
{
	uint64_t whole = end_bytes - end_bytes % DIRECT_BYTES;
	int direct = at % DIRECT_BYTES == 0 && at < whole ? open_direct(fd) : -1;
	ssize_t n = 0;

	for (; direct >= 0 && at < whole && n >= 0 && n % DIRECT_BYTES == 0; at += (uint64_t)n) {
		if ((n = fill_some(direct, at, whole - at)) <= 0)
			break;
	}
	if (direct >= 0)
		close(direct);
	return at;
}

static int
posix_allocate(struct store_file *file, uint64_t end_bytes)
{
	uint64_t at;
	int err = posix_size(file, &at);

	if (err == 0 && at < end_bytes)
		at = fill_direct(to_file(file)->fd, at, end_bytes);
	while (err == 0 && at < end_bytes) {
		uint64_t n = end_bytes - at < ZEROS_BYTES ? end_bytes - at : ZEROS_BYTES;

		err = posix_pwrite(file, zeros, (size_t)n, at);
		at += n;
	}
	return err;
}

static int
posix_truncate(struct store_file *file, uint64_t size_bytes)
{
	return ftruncate(to_file(file)->fd, (off_t)size_bytes) == 0 ? 0 : -errno;
}

static int
posix_sync(struct store_file *file)
{
	return fdatasync(to_file(file)->fd) == 0 ? 0 : -errno;
}

static int
posix_rename(struct store *s, const char *from, const char *to)
{
	int fd = to_store(s)->dir_fd;

	return renameat(fd, from, fd, to) == 0 ? 0 : -errno;
}

static int
posix_unlink(struct store *s, const char *name)
{
	return unlinkat(to_store(s)->dir_fd, name, 0) == 0 ? 0 : -errno;
}

static int
not_dots(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
posix_list(struct store *s, store_visit *visit, void *arg)
{
	struct dirent **entries;
	int count = scandirat(to_store(s)->dir_fd, ".", &entries, not_dots, by_bytes);
	int result = 0;

	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		if (result == 0)
			result = visit(arg, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return result;
}

static int
posix_sync_dir(struct store *s)
{
	return fsync(to_store(s)->dir_fd) == 0 ? 0 : -errno;
}

static const struct store_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .size = posix_size,
    .pread = posix_pread,
    .pwrite = posix_pwrite,
    .allocate = posix_allocate,
    .truncate = posix_truncate,
    .sync = posix_sync,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .list = posix_list,
    .sync_dir = posix_sync_dir,
};

struct store *
store_posix_open(const char *directory)
{
	struct posix_store *s = malloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->store.ops = &posix_ops;
	s->dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0) {
		int err = errno;

		free(s);
		errno = err;
		return NULL;
	}
	return &s->store;
}

void
store_posix_close(struct store *s)
{
	if (s == NULL)
		return;
	close(to_store(s)->dir_fd);
	free(to_store(s));
}

int
store_posix_fd(struct store_file *f)
{
	return to_file(f)->fd;
}

int
store_posix_dir_fd(struct store *s)
{
	return to_store(s)->dir_fd;
}
