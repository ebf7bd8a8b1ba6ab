/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/fsutil.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 16384
#define TREE_DEPTH_MAX                                                                             \
	64 /* descriptors held at once while a tree is removed; deeper parts are lifted first */

static void
close_keeping_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

bool
fsutil_read(const char *path, size_t max, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t before = out->len;
	uint8_t chunk[READ_BYTES];
	ssize_t n;

	if (fd < 0)
		return false;
	for (;;) {
		n = read(fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		buf_append(out, chunk, (size_t)n);
		if (out->len - before > max || out->failed) {
			errno = out->len - before > max || out->len + (size_t)n > out->max_bytes
				    ? EFBIG
				    : ENOMEM;
			n = -1;
			break;
		}
	}
	close_keeping_errno(fd);
	if (n < 0)
		buf_truncate(out, before);
	return n == 0;
}

bool
fsutil_write_all(int fd, const void *bytes, size_t size)
{
	const uint8_t *p = bytes;

	while (size > 0) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

bool
fsutil_sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";
	size_t size = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
	bool ok;
	int fd;

	if (size >= sizeof dir) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (size > 0) {
		memcpy(dir, path, size);
		dir[size] = '\0';
	}
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return false;
	ok = fsync(fd) == 0;
	close_keeping_errno(fd);
	return ok;
}

static bool
write_beside(const char *path, const void *bytes, size_t size, mode_t mode, bool synced)
{
	char temporary[PATH_MAX];
	int fd;
	bool ok;

	if ((size_t)snprintf(temporary, sizeof temporary, "%s.new.XXXXXX", path) >=
	    sizeof temporary) {
		errno = ENAMETOOLONG;
		return false;
	}
	if ((fd = mkostemp(temporary, O_CLOEXEC)) < 0)
		return false;
	ok = fsutil_write_all(fd, bytes, size) && fchmod(fd, mode) == 0 &&
	     (!synced || fsync(fd) == 0);
	close_keeping_errno(fd);
	if (!ok || rename(temporary, path) != 0) {
		int saved = errno;

		unlink(temporary);
		errno = saved;
		return false;
	}
	return !synced || fsutil_sync_parent(path);
}

bool
fsutil_write_atomic(const char *path, const void *bytes, size_t size, mode_t mode)
{
	return write_beside(path, bytes, size, mode, true);
}

bool
fsutil_write_fleeting(const char *path, const void *bytes, size_t size, mode_t mode)
{
	return write_beside(path, bytes, size, mode, false);
}

/* mkdir that is content with a directory, or a link to one, that is there. */
static bool
make_directory(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return true;
	if (errno != EEXIST || stat(path, &st) != 0)
		return false;
	if (S_ISDIR(st.st_mode))
		return true;
	errno = ENOTDIR;
	return false;
}

bool
fsutil_mkdirs(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t size = strlen(path);

	if (size == 0 || size >= sizeof part) {
		errno = size == 0 ? ENOENT : ENAMETOOLONG;
		return false;
	}
	memcpy(part, path, size + 1);
	for (char *p = part + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (!make_directory(part, mode))
			return false;
		*p = '/';
	}
	return make_directory(part, mode);
}

/* One removal: where deep directories are lifted to, and what must not be crossed. */
struct removal {
	int top;
	dev_t device;
	unsigned lifted;
};

/* Open a directory for emptying, and give ourselves the right to where its owner, we, took it away.
 */
static int
open_for_removal(int dirfd, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dirfd, name, flags);
	char self[32];
	struct stat st;
	int handle;

	if (fd < 0 && errno == EACCES &&
	    (handle = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0) {
		/* By descriptor, since chmod() by name would follow a link put in its place. */
		snprintf(self, sizeof self, "/proc/self/fd/%d", handle);
		if (chmod(self, 0700) == 0)
			fd = openat(dirfd, name, flags);
		close_keeping_errno(handle);
	}
	if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700 &&
	    fchmod(fd, 0700) != 0) {
		close_keeping_errno(fd);
		return -1;
	}
	return fd;
}

static bool empty_directory(struct removal *r, int fd, unsigned depth);

/* Remove one entry of the directory dirfd. */
static bool
remove_entry(struct removal *r, int dirfd, const char *name, unsigned depth)
{
	char lifted[32];
	struct stat st;
	bool ok;
	int fd;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return true;
	/* Linux says EISDIR, POSIX EPERM. */
	if (errno != EISDIR && errno != EPERM)
		return false;
	if (depth >= TREE_DEPTH_MAX) {
		snprintf(lifted, sizeof lifted, ".removing-%u", r->lifted++);
		return renameat(dirfd, name, r->top, lifted) == 0 || errno == EEXIST ||
		       errno == ENOTEMPTY;
	}
	if ((fd = open_for_removal(dirfd, name)) < 0)
		return errno == ENOENT;
	ok = fstat(fd, &st) == 0;
	if (ok && st.st_dev != r->device) {
		errno = EXDEV;
		ok = false;
	}
	/* Emptying closes fd. */
	if (ok)
		ok = empty_directory(r, fd, depth + 1);
	else
		close_keeping_errno(fd);
	return ok && (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT);
}

/* Remove all entries, pass by pass until one finds none. Takes fd. */
static bool
empty_directory(struct removal *r, int fd, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	bool ok = true, found = true;

	if (dir == NULL) {
		close_keeping_errno(fd);
		return false;
	}
	while (ok && found) {
		found = false;
		rewinddir(dir);
		while (ok && (errno = 0, entry = readdir(dir)) != NULL) {
			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			found = true;
			ok = remove_entry(r, fd, entry->d_name, depth);
		}
		ok = ok && errno == 0;
	}
	fd = errno;
	closedir(dir);
	errno = fd;
	return ok;
}

bool
fsutil_remove_tree(int dirfd, const char *name)
{
	struct removal r = {0};
	struct stat st;
	bool ok;
	int fd;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR && errno != EPERM)
		return false;
	if ((r.top = open_for_removal(dirfd, name)) < 0)
		return errno == ENOENT;
	ok = fstat(r.top, &st) == 0 && (fd = fcntl(r.top, F_DUPFD_CLOEXEC, 0)) >= 0;
	if (ok) {
		r.device = st.st_dev;
		ok = empty_directory(&r, fd, 1);
	}
	close_keeping_errno(r.top);
	return ok && (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT);
}

bool
fsutil_read_text(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, to, size - 1);
	close_keeping_errno(fd);
	if (n < 0)
		return false;
	to[n] = '\0';
	return true;
}

bool
fsutil_random(void *bytes, size_t size)
{
	uint8_t *p = bytes;

	while (size > 0) {
		ssize_t n = getrandom(p, size, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

unsigned
fsutil_open_mode(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	return (st.st_mode & (st.st_uid == 0 ? 027 : 077)) != 0 ? st.st_mode & 07777 : 0;
}
