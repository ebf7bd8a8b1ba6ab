/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/client_conf.h"
#include "cli/dev.h"
#include "libcommon/base/str.h"

/* Lock the directory's lock file, which the kernel gives back when we end, however that is. */
static int
lock_directory(const char *dir)
{
	char path[PATH_MAX];
	int fd, n = snprintf(path, sizeof path, "%s/lock", dir);

	if (n < 0 || n >= PATH_MAX)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

void
dev_publish(struct dev *dev)
{
	char dir[PATH_MAX], path[PATH_MAX];

	dev->client_lock = -1;
	if (!client_conf_dev_dir(dir) || strlen(dir) + sizeof "/corral.conf" > sizeof path)
		return;
	mkdir(dir, 0700);
	if (!client_conf_dev_dir_trusted(dir))
		return;
	dev->client_lock = lock_directory(dir);
	if (dev->client_lock < 0)
		return;
	memcpy(path, dir, strlen(dir));
	memcpy(path + strlen(dir), "/corral.conf", sizeof "/corral.conf");
	if (dev_layout_write_client_conf(dev, path))
		str_copy(dev->client_dir, sizeof dev->client_dir, dir);
}

void
dev_unpublish(struct dev *dev)
{
	int dir;

	if (dev->client_lock < 0)
		return;
	dir = open(dev->client_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir >= 0) {
		unlinkat(dir, "corral.conf", 0);
		unlinkat(dir, "lock", 0);
		close(dir);
		rmdir(dev->client_dir);
	}
	close(dev->client_lock);
	dev->client_lock = -1;
	dev->client_dir[0] = '\0';
}
