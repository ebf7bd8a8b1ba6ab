/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sandbox.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"

/* One step down the tree, by no symbolic link. */
static int
open_below(int dir_fd, const char *name, int flags)
{
	assert(strchr(name, '/') == NULL && strcmp(name, "..") != 0);
	return openat(dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC);
}

/* Close dir_fd and hand fd on, with the errno that there was. */
static int
after_closing(int dir_fd, int fd)
{
	int saved = errno;

	close(dir_fd);
	errno = saved;
	return fd;
}

static int
open_part(const char *state_dir, const char *part)
{
	int state_fd = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (state_fd < 0)
		return -1;
	return after_closing(state_fd, open_below(state_fd, part, O_PATH | O_DIRECTORY));
}

/* PART/NAME itself. */
static int
open_own(const char *state_dir, const char *part, const char *name)
{
	int part_fd = open_part(state_dir, part);

	if (part_fd < 0)
		return -1;
	return after_closing(part_fd, open_below(part_fd, name, O_PATH | O_DIRECTORY));
}

static bool
make_part(const char *state_dir, const char *part, mode_t mode, gid_t gid)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/%s", state_dir, part);

	if (n < 0 || (size_t)n >= sizeof path) {
		log_error("%s: too long for a state directory", state_dir);
		return false;
	}
	if (!fsutil_mkdirs(path, mode) || chmod(path, mode) != 0 ||
	    (geteuid() == 0 && chown(path, 0, gid) != 0)) {
		log_error_errno("%s", path);
		return false;
	}
	return true;
}

bool
sandbox_prepare(const char *state_dir, gid_t reader_gid)
{
	/* A task passes through to its own sandbox, and sees no other's name. */
	return make_part(state_dir, "sandbox", 0711, reader_gid) &&
	       make_part(state_dir, "run", 0750, reader_gid);
}

/* Make part/name with this mode and owner. */
static bool
make_directory(
    const char *state_dir, const char *part, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	int part_fd = open_part(state_dir, part), fd = -1, saved;
	bool ok = false;

	if (part_fd < 0)
		return false;
	if (mkdirat(part_fd, name, 0700) != 0 && errno != EEXIST)
		goto out;
	if ((fd = open_below(part_fd, name, O_RDONLY | O_DIRECTORY)) < 0)
		goto out;
	ok = (geteuid() != 0 || fchown(fd, uid, gid) == 0) && fchmod(fd, mode) == 0;
out:
	saved = errno;
	if (fd >= 0)
		close(fd);
	close(part_fd);
	errno = saved;
	return ok;
}

bool
sandbox_make(const char *state_dir, const char *name, const struct sandbox_owner *task,
    gid_t reader_gid, const char **what)
{
	*what = "sandbox";
	if (!make_directory(state_dir, "sandbox", name, 0750, task->uid, reader_gid))
		return false;
	*what = "run directory";
	return make_directory(state_dir, "run", name, 0750, geteuid(), reader_gid);
}

static bool
remove_from(const char *state_dir, const char *part, const char *name)
{
	int part_fd = open_part(state_dir, part), saved;
	bool ok;

	if (part_fd < 0)
		return errno == ENOENT;
	ok = fsutil_remove_tree(part_fd, name);
	saved = errno;
	close(part_fd);
	errno = saved;
	return ok;
}

bool
sandbox_remove(const char *state_dir, const char *name)
{
	bool sandbox = remove_from(state_dir, "sandbox", name);

	return remove_from(state_dir, "run", name) && sandbox;
}

bool
sandbox_write_file(const char *state_dir, const char *part, const char *name, const char *file,
    const void *bytes, size_t size)
{
	int dir_fd = open_own(state_dir, part, name), fd = -1;
	bool ok = false;

	if (dir_fd < 0)
		return false;
	if (unlinkat(dir_fd, file, 0) == 0 || errno == ENOENT)
		fd = openat(dir_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		ok = fsutil_write_all(fd, bytes, size);
		after_closing(fd, -1);
	}
	after_closing(dir_fd, -1);
	return ok;
}

bool
sandbox_remove_file(const char *state_dir, const char *part, const char *name, const char *file)
{
	int dir_fd = open_own(state_dir, part, name);
	bool ok;

	if (dir_fd < 0)
		return errno == ENOENT;
	ok = unlinkat(dir_fd, file, 0) == 0 || errno == ENOENT;
	after_closing(dir_fd, -1);
	return ok;
}

bool
sandbox_each(
    const char *state_dir, const char *part, bool (*visit)(void *arg, const char *name), void *arg)
{
	int part_fd = open_part(state_dir, part), fd;
	struct dirent *entry;
	bool ok;
	DIR *dir;

	if (part_fd < 0)
		return errno == ENOENT;
	fd = after_closing(part_fd, open_below(part_fd, ".", O_RDONLY | O_DIRECTORY));
	if (fd < 0)
		return false;
	if ((dir = fdopendir(fd)) == NULL) {
		after_closing(fd, -1);
		return false;
	}
	while ((errno = 0, entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.' && !visit(arg, entry->d_name))
			break;
	}
	ok = entry != NULL || errno == 0;
	for (int error = errno; dir != NULL; dir = NULL, errno = error)
		closedir(dir);
	return ok;
}

int
sandbox_open_file(const char *state_dir, const char *part, const char *name, const char *file)
{
	int dir_fd = open_own(state_dir, part, name), fd;
	struct stat st;

	if (dir_fd < 0)
		return -1;
	fd = after_closing(dir_fd, open_below(dir_fd, file, O_RDONLY | O_NONBLOCK));
	/* Not what the task may have put in its place: a pipe, a device, another name of a
	 * stranger's file. */
	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)) {
		close(fd);
		errno = EACCES;
		return -1;
	}
	return fd;
}
