/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/dev.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/cgroup.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/proc.h"

#define FAMILY_MAX 65536
#define ROUNDS_MAX 100
/* A process that was killed and is not gone by then hangs in the kernel. */
#define DEATH_MS 2000

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
kill_marked(const struct family *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->members[i].ours)
			proc_signal(&f->members[i].id, SIGKILL);
	for (size_t i = 0; i < f->count; i++) {
		struct pollfd p = {.fd = -1, .events = POLLIN};

		if (!f->members[i].ours || (p.fd = proc_open(&f->members[i].id)) < 0)
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
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		struct family f = {0};
		bool listed = proc_each(note_process, &f) && !f.failed;
		size_t marked = listed ? mark_descendants(&f) : 0;

		if (marked > 0)
			kill_marked(&f);
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

/* What an agent that was killed left of its attempts' control groups. */
static bool
remove_cgroups(const struct dev *dev)
{
	char state[PATH_MAX], group[CGROUP_BASE_NAME_BYTES];
	struct cgroup_host host;
	bool clean = true;

	cgroup_host_probe(&host, "/proc/self/mounts");
	for (size_t i = 0; i < dev->daemon_count && host.can_track; i++) {
		if (dev->daemons[i].kind != DEV_AGENT)
			continue;
		dev_layout_path(dev, state, "%s", dev->daemons[i].name);
		cgroup_base_name(state, group);
		cgroup_kill(&host, group);
		if (!cgroup_remove(&host, group) && errno != ENOENT) {
			fprintf(stderr, "corral: cannot remove the control group %s: %s\n", group,
			    strerror(errno));
			clean = false;
		}
	}
	return clean;
}

bool
dev_sweep(struct dev *dev)
{
	char mount_point[PATH_MAX];
	bool clean = end_descendants();

	if (!clean)
		fprintf(stderr, "corral: some processes of the cluster could not be ended\n");
	clean = remove_cgroups(dev) && clean;
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
