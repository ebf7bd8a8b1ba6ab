/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/dev.h"
#include "libcommon/base/str.h"
#include "libcommon/io/loop.h"
#include "libcommon/sys/cgroup.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/proc.h"

#define FAMILY_MAX 65536
/* A process that was killed and is not gone by then hangs in the kernel. */
#define DEATH_MS 2000
/* For all of them together. */
#define END_MS 10000

struct member {
	struct proc_id id;
	pid_t parent;
	bool ours;
};

struct family {
	struct member *members;
	size_t count, cap;
	bool failed;
};

static bool
note_process(void *arg, pid_t pid, const struct proc_stat *stat)
{
	struct family *f = arg;

	if (f->count == f->cap) {
		size_t cap = f->cap == 0 ? 256 : 2 * f->cap;
		struct member *more =
		    cap > FAMILY_MAX ? NULL : realloc(f->members, cap * sizeof *more);

		f->failed = more == NULL;
		if (f->failed)
			return false;
		f->members = more;
		f->cap = cap;
	}
	f->members[f->count++] = (struct member){{pid, stat->start_time}, stat->parent, false};
	return true;
}

static bool
is_ours(const struct family *f, pid_t pid)
{
	if (pid == getpid())
		return true;
	for (size_t i = 0; i < f->count; i++)
		if (f->members[i].ours && f->members[i].id.pid == pid)
			return true;
	return false;
}

/* Mark who descends from us: we are the subreaper, so that no orphan of ours leads elsewhere. */
static size_t
mark_descendants(struct family *f)
{
	size_t marked = 0;
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < f->count; i++) {
			struct member *m = &f->members[i];

			if (m->ours || !is_ours(f, m->parent))
				continue;
			m->ours = more = true;
			marked++;
		}
	}
	return marked;
}

static void
kill_marked(const struct family *f, uint64_t until_ms)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->members[i].ours)
			proc_signal(&f->members[i].id, SIGKILL);
	for (size_t i = 0; i < f->count; i++) {
		struct pollfd p = {.fd = -1, .events = POLLIN};

		if (!f->members[i].ours || clock_boot_ms() >= until_ms ||
		    (p.fd = proc_open(&f->members[i].id)) < 0)
			continue;
		poll(&p, 1, DEATH_MS);
		close(p.fd);
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* Until none is left: what was killed may have forked just before. */
static bool
end_descendants(void)
{
	const uint64_t until_ms = clock_boot_ms() + END_MS;

	while (clock_boot_ms() < until_ms) {
		struct family f = {0};
		bool listed = proc_each(note_process, &f) && !f.failed;
		size_t marked = listed ? mark_descendants(&f) : 0;

		if (marked > 0)
			kill_marked(&f, until_ms);
		free(f.members);
		if (!listed || marked == 0)
			return listed;
	}
	return false;
}

/* The mount points below the state directory, the last mounted first; false: none. */
static bool
last_mount(const char *state, char to[PATH_MAX])
{
	char line[2 * PATH_MAX], where[PATH_MAX];
	size_t len = strlen(state);
	bool found = false;
	FILE *f = fopen("/proc/self/mounts", "re");

	if (f == NULL)
		return false;
	while (fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "%*s %4095s", where) == 1 && str_starts(where, state) &&
		    where[len] == '/')
			found = str_copy(to, PATH_MAX, where);
	}
	fclose(f);
	return found;
}

/* Call fn for the group of each agent, if there are groups. False: one of the calls was. */
static bool
each_group(const struct dev *dev, bool (*fn)(const struct cgroup_host *host, const char *group))
{
	char state[PATH_MAX], group[CGROUP_BASE_NAME_BYTES];
	struct cgroup_host host;
	bool all = cgroup_host_probe(&host, "/proc/self/mounts");

	for (size_t i = 0; i < dev->daemon_count && host.can_track; i++) {
		if (dev->daemons[i].kind != DEV_AGENT)
			continue;
		dev_layout_path(dev, state, "%s", dev->daemons[i].name);
		cgroup_base_name(state, group);
		all = fn(&host, group) && all;
	}
	return all;
}

/* Frozen processes, of a helper that died before the thaw, do not end by a signal alone. */
static bool
kill_group(const struct cgroup_host *host, const char *group)
{
	return cgroup_kill(host, group) >= 0;
}

static bool
remove_group(const struct cgroup_host *host, const char *group)
{
	if (cgroup_remove(host, group) || errno == ENOENT)
		return true;
	fprintf(stderr, "corral: cannot remove the control group %s: %s\n", group, strerror(errno));
	return false;
}

/* The groups of one agent of a cluster that is gone. */
static void
remove_leftover(const struct cgroup_host *host, const char *state, const char *agent)
{
	char directory[2 * PATH_MAX], group[CGROUP_BASE_NAME_BYTES];

	snprintf(directory, sizeof directory, "%s/%s", state, agent);
	cgroup_base_name(directory, group);
	if (cgroup_populated(host, group) == 0)
		cgroup_remove(host, group); /* what is entered meanwhile cannot be removed */
}

/* Of all agents in the list that dev_layout_write_daemons() left. */
static void
sweep_leftover(const struct cgroup_host *host, const char *state)
{
	char path[PATH_MAX], line[256], name[DEV_NAME_MAX], kind[16];
	FILE *f;

	if (snprintf(path, sizeof path, "%s/daemons", state) >= (int)sizeof path ||
	    (f = fopen(path, "re")) == NULL)
		return;
	while (fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "%63s %15s", name, kind) == 2 && strcmp(kind, "agent") == 0)
			remove_leftover(host, state, name);
	}
	fclose(f);
}

/* A state directory of ours that no cluster holds; locked until the descriptor is closed. */
static int
open_leftover(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	close(fd);
	return -1;
}

void
dev_sweep_leftovers(const struct dev *dev)
{
	char parent[PATH_MAX], state[PATH_MAX];
	struct cgroup_host host;
	struct dirent *entry;
	DIR *dir;
	int fd;

	(void)cgroup_host_probe(&host, "/proc/self/mounts"); /* else the next start removes them */
	str_copy(parent, sizeof parent, dev->state);
	*strrchr(parent, '/') = '\0';
	if (!host.can_track || (dir = opendir(parent)) == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (!str_starts(entry->d_name, DEV_STATE_PREFIX) ||
		    snprintf(state, sizeof state, "%s/%s", parent, entry->d_name) >=
			(int)sizeof state ||
		    (fd = open_leftover(dirfd(dir), entry->d_name)) < 0)
			continue;
		sweep_leftover(&host, state);
		close(fd);
	}
	closedir(dir);
}

bool
dev_sweep(struct dev *dev)
{
	char mount_point[PATH_MAX];
	bool clean;

	(void)each_group(dev, kill_group); /* what is left will not go: it is said then */
	clean = end_descendants();
	if (!clean)
		fprintf(stderr, "corral: some processes of the cluster could not be ended\n");
	clean = each_group(dev, remove_group) && clean;
	while (last_mount(dev->state, mount_point)) {
		if (umount2(mount_point, MNT_DETACH) != 0) {
			fprintf(stderr, "corral: cannot unmount %s: %s\n", mount_point,
			    strerror(errno));
			return false;
		}
	}
	if (!dev->keep_state && !fsutil_remove_tree(AT_FDCWD, dev->state)) {
		fprintf(stderr, "corral: cannot remove %s: %s\n", dev->state, strerror(errno));
		return false;
	}
	return clean;
}
