/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/cgroup.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/fsutil.h"

#define VALUE_BYTES_MAX 4096
#define CPU_PERIOD_US 100000
#define CPU_QUOTA_US_MIN 1000 /* the kernel's own least */
#define DEPTH_MAX 8
#define FREEZE_LOOKS_MAX 1000
#define KILL_PIDS_MAX 65536

/* ---- Small files. ---- */

static bool
join(char to[PATH_MAX], const char *root, const char *group, const char *file)
{
	int n = snprintf(to, PATH_MAX, "%s/%s%s%s", root, group, *file != '\0' ? "/" : "", file);

	if (n < 0 || n >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	return true;
}

static bool
write_value(
    const char *root, const char *group, const char *file, const char *value, char place[PATH_MAX])
{
	size_t len = strlen(value);
	int fd, saved;
	bool ok;

	if (!join(place, root, group, file) || (fd = open(place, O_WRONLY | O_CLOEXEC)) < 0)
		return false;
	ok = write(fd, value, len) == (ssize_t)len;
	saved = errno;
	close(fd);
	errno = saved;
	return ok;
}

static bool
write_number(
    const char *root, const char *group, const char *file, uint64_t value, char place[PATH_MAX])
{
	char text[32];

	snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	return write_value(root, group, file, text, place);
}

/* Of a group that was removed, before we opened its file or since. */
static bool
is_gone(int error)
{
	return error == ENOENT || error == ENODEV;
}

static bool
read_value(const char *root, const char *group, const char *file, char to[VALUE_BYTES_MAX])
{
	char path[PATH_MAX];

	return join(path, root, group, file) && fsutil_read_text(path, to, VALUE_BYTES_MAX);
}

/* The number behind `key` at the start of a line of "key value" lines; 0 if it is not there. */
static uint64_t
keyed_number(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line != NULL && *line != '\0';) {
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtoull(line + len + 1, NULL, 10);
		if ((line = strchr(line, '\n')) != NULL)
			line++;
	}
	return 0;
}

/* ---- What the machine has. ---- */

static bool
has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)) != NULL; at += len) {
		bool starts = at == list || strchr(", \n", at[-1]) != NULL;

		if (starts && (at[len] == '\0' || strchr(", \n", at[len]) != NULL))
			return true;
	}
	return false;
}

static void
note_mount(struct cgroup_host *h, const struct mntent *m)
{
	const struct {
		const char *option;
		char *to;
	} v1[] = {{"cpu", h->cpu}, {"cpuacct", h->cpuacct}, {"memory", h->memory},
	    {"pids", h->pids}, {"freezer", h->freezer}};

	if (access(m->mnt_dir, W_OK) != 0)
		return;
	if (strcmp(m->mnt_type, "cgroup2") == 0 && h->unified[0] == '\0')
		str_copy(h->unified, PATH_MAX, m->mnt_dir);
	if (strcmp(m->mnt_type, "cgroup") != 0)
		return;
	for (size_t i = 0; i < sizeof v1 / sizeof *v1; i++) {
		if (has_word(m->mnt_opts, v1[i].option) && v1[i].to[0] == '\0')
			str_copy(v1[i].to, PATH_MAX, m->mnt_dir);
	}
}

/* The group has the file cgroup.kill, which came with Linux 5.14. */
static bool
group_can_be_killed(const char *unified, const char *group)
{
	char path[PATH_MAX];

	return join(path, unified, group, "cgroup.kill") && access(path, W_OK) == 0;
}

/* The root group never has it: any other shows it, one made for that if there is none. */
static bool
unified_can_kill(const char *unified)
{
	char name[32], path[PATH_MAX];
	DIR *dir = opendir(unified);
	struct dirent *entry;
	bool ok;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		ok = group_can_be_killed(unified, entry->d_name);
		closedir(dir);
		return ok;
	}
	if (dir != NULL)
		closedir(dir);
	snprintf(name, sizeof name, "corral-probe.%d", (int)getpid());
	if (!join(path, unified, name, "") || mkdir(path, 0755) != 0)
		return false;
	ok = group_can_be_killed(unified, name);
	rmdir(path);
	return ok;
}

bool
cgroup_host_probe(struct cgroup_host *h, const char *proc_mounts)
{
	char controllers[VALUE_BYTES_MAX] = "";
	FILE *f = setmntent(proc_mounts, "re");
	struct mntent *m;
	bool failed;

	*h = (struct cgroup_host){0};
	if (f == NULL)
		return errno == ENOENT;
	while ((errno = 0, m = getmntent(f)) != NULL)
		note_mount(h, m);
	failed = ferror(f) != 0;
	for (int error = errno; f != NULL; f = NULL, errno = error)
		endmntent(f);
	if (failed)
		return false;
	if (h->unified[0] != '\0') {
		h->v2_track = unified_can_kill(h->unified);
		read_value(h->unified, ".", "cgroup.controllers", controllers);
		h->v2_limits = h->v2_track && has_word(controllers, "memory");
	}
	h->can_track = h->v2_track || h->freezer[0] != '\0';
	h->can_limit_cpu = h->v2_limits ? has_word(controllers, "cpu") : h->cpu[0] != '\0';
	h->can_limit_memory = h->v2_limits || h->memory[0] != '\0';
	h->can_limit_pids = h->v2_limits ? has_word(controllers, "pids") : h->pids[0] != '\0';
	return true;
}

void
cgroup_host_missing(const struct cgroup_host *h, char *to, size_t size)
{
	bool track = h->can_track;

	snprintf(to, size, "%s%s%s%s", track ? "" : ", process tracking by cgroup",
	    track && h->can_limit_cpu ? "" : ", cpu limit",
	    track && h->can_limit_memory ? "" : ", memory limit",
	    track && h->can_limit_pids ? "" : ", process count limit");
	if (to[0] == ',')
		memmove(to, to + 2, strlen(to + 2) + 1);
}

/* The roots of all hierarchies that may hold a group, each once; tracking is the first. */
static size_t
roots(const struct cgroup_host *h, const char *to[CGROUP_HIERARCHIES_MAX])
{
	const char *all[] = {h->v2_track ? h->unified : h->freezer, h->v2_limits ? "" : h->memory,
	    h->v2_limits ? "" : h->cpu, h->v2_limits ? "" : h->pids, h->v2_track ? "" : h->cpuacct};
	size_t count = 0;

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		bool seen = all[i][0] == '\0';

		for (size_t k = 0; k < count; k++)
			seen = seen || strcmp(to[k], all[i]) == 0;
		if (!seen)
			to[count++] = all[i];
	}
	return count;
}

/* ---- Making. ---- */

/* mkdir -p below root; with `delegate`, each parent hands its controllers on (v2). */
static bool
make_path(const char *root, const char *group, const char *delegate, char place[PATH_MAX])
{
	char part[PATH_MAX];

	for (const char *end = group;; end++) {
		end += strcspn(end, "/");
		if (!str_copy(part, sizeof part, group) || !join(place, root, part, "")) {
			errno = ENAMETOOLONG;
			return false;
		}
		part[end - group] = '\0';
		if (delegate != NULL) {
			char *slash = strrchr(part, '/'), saved = '\0';
			const char *parent = slash != NULL ? part : ".";

			if (slash != NULL) {
				saved = *slash;
				*slash = '\0';
			}
			if (!write_value(root, parent, "cgroup.subtree_control", delegate, place))
				return false;
			if (slash != NULL)
				*slash = saved;
		}
		if (!join(place, root, part, "") || (mkdir(place, 0755) != 0 && errno != EEXIST))
			return false;
		if (*end == '\0')
			return true;
	}
}

static bool
limit_cpu(const struct cgroup_host *h, const char *group, const struct cgroup_limits *l,
    char place[PATH_MAX])
{
	uint64_t quota = l->cpu_milli * (CPU_PERIOD_US / 1000), share;
	char text[64];

	if (quota != 0 && quota < CPU_QUOTA_US_MIN)
		quota = CPU_QUOTA_US_MIN;
	if (h->v2_limits) {
		/* A whole cpu weighs 100, the default of a group that sets none. */
		share = l->cpu_share_milli / 10;
		share = share < 1 ? 1 : share > 10000 ? 10000 : share;
		snprintf(text, sizeof text, "%llu %d", (unsigned long long)quota, CPU_PERIOD_US);
		return (l->cpu_share_milli == 0 ||
			   write_number(h->unified, group, "cpu.weight", share, place)) &&
		       (quota == 0 || write_value(h->unified, group, "cpu.max", text, place));
	}
	share = l->cpu_share_milli * 1024 / 1000;
	share = share < 2 ? 2 : share > 262144 ? 262144 : share;
	return (l->cpu_share_milli == 0 ||
		   write_number(h->cpu, group, "cpu.shares", share, place)) &&
	       (quota == 0 ||
		   (write_number(h->cpu, group, "cpu.cfs_period_us", CPU_PERIOD_US, place) &&
		       write_number(h->cpu, group, "cpu.cfs_quota_us", quota, place)));
}

static bool
limit_memory(const struct cgroup_host *h, const char *group, uint64_t bytes, char place[PATH_MAX])
{
	if (h->v2_limits) {
		/* One process too many ends the task as a whole; swap would only put that off. */
		if (!write_value(h->unified, group, "memory.oom.group", "1", place) &&
		    errno != ENOENT)
			return false;
		if (!write_value(h->unified, group, "memory.swap.max", "0", place) &&
		    errno != ENOENT)
			return false;
		return write_number(h->unified, group, "memory.max", bytes, place);
	}
	if (!write_number(h->memory, group, "memory.limit_in_bytes", bytes, place))
		return false;
	/* Memory and swap together: the file exists only where the kernel counts swap. */
	return write_number(h->memory, group, "memory.memsw.limit_in_bytes", bytes, place) ||
	       errno == ENOENT;
}

static bool
make_v1(const char *root, const char *group, char place[PATH_MAX])
{
	return make_path(root, group, NULL, place);
}

static bool
set_limits(const struct cgroup_host *h, const char *group, const struct cgroup_limits *l,
    char place[PATH_MAX])
{
	bool v1 = !h->v2_limits;

	if ((l->cpu_milli != 0 || l->cpu_share_milli != 0) && h->can_limit_cpu &&
	    ((v1 && !make_v1(h->cpu, group, place)) || !limit_cpu(h, group, l, place)))
		return false;
	if (l->memory_bytes != 0 && h->can_limit_memory &&
	    ((v1 && !make_v1(h->memory, group, place)) ||
		!limit_memory(h, group, l->memory_bytes, place)))
		return false;
	if (l->pid_count != 0 && h->can_limit_pids &&
	    ((v1 && !make_v1(h->pids, group, place)) ||
		!write_number(v1 ? h->pids : h->unified, group, "pids.max", l->pid_count, place)))
		return false;
	/* Pure v1: only cpuacct counts processor time. */
	return h->v2_track || h->cpuacct[0] == '\0' || make_v1(h->cpuacct, group, place);
}

bool
cgroup_make(const struct cgroup_host *h, const char *group, const struct cgroup_limits *limits,
    char place[PATH_MAX])
{
	const char *track = h->v2_track ? h->unified : h->freezer;
	char delegate[64] = "", own_place[PATH_MAX];

	if (place == NULL)
		place = own_place;
	place[0] = '\0';
	if (!h->can_track) {
		errno = ENOTSUP;
		return false;
	}
	if (limits != NULL && h->v2_limits)
		snprintf(delegate, sizeof delegate, "%s%s+memory", h->can_limit_cpu ? "+cpu " : "",
		    h->can_limit_pids ? "+pids " : "");
	return make_path(track, group, delegate[0] != '\0' ? delegate : NULL, place) &&
	       (limits == NULL || set_limits(h, group, limits, place));
}

int
cgroup_open_birthplace(const struct cgroup_host *h, const char *group)
{
	char path[PATH_MAX];

	if (!h->v2_track) {
		errno = ENOTSUP;
		return -1;
	}
	return join(path, h->unified, group, "") ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)
						 : -1;
}

int
cgroup_open_procs(const struct cgroup_host *h, const char *group, int fds[CGROUP_HIERARCHIES_MAX])
{
	const char *root[CGROUP_HIERARCHIES_MAX];
	size_t root_count = roots(h, root);
	char path[PATH_MAX];
	int count = 0;

	for (size_t i = h->v2_track ? 1 : 0; i < root_count; i++) {
		if (!join(path, root[i], group, "cgroup.procs"))
			goto fail;
		if ((fds[count] = open(path, O_WRONLY | O_CLOEXEC)) >= 0)
			count++;
		else if (errno != ENOENT)
			goto fail;
	}
	return count;
fail:
	for (int error = errno; count > 0; errno = error)
		close(fds[--count]);
	return -1;
}

/* ---- Walking the groups below one. ---- */

typedef bool group_visit(void *arg, const char *root, const char *group);

/* Children first. False as soon as a visit says so, with its errno. */
static bool
walk(const char *root, const char *group, unsigned depth, group_visit *visit, void *arg)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool ok = true;
	DIR *dir;

	if (!join(path, root, group, ""))
		return false;
	if ((dir = opendir(path)) == NULL)
		return errno == ENOENT;
	while (ok && (errno = 0, entry = readdir(dir)) != NULL) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (depth == DEPTH_MAX || !join(path, group, entry->d_name, "")) {
			errno = ELOOP;
			ok = false;
		} else
			ok = walk(root, path, depth + 1, visit, arg);
	}
	ok = ok && errno == 0;
	for (int error = errno; dir != NULL; dir = NULL, errno = error)
		closedir(dir);
	return ok && visit(arg, root, group);
}

/* ---- Killing. ---- */

struct pid_walk {
	bool kill;
	unsigned met_count;
};

/*
 * What cannot be read to its end is not empty. (The processes of a threaded group are listed by the
 * one above it: EOPNOTSUPP.)
 */
static bool
visit_pids(void *arg, const char *root, const char *group)
{
	struct pid_walk *w = arg;
	char path[PATH_MAX];
	FILE *f;
	int pid, error;

	if (!join(path, root, group, "cgroup.procs"))
		return false;
	if ((f = fopen(path, "re")) == NULL)
		return is_gone(errno);
	/* Frozen, so that none of these numbers can change hands meanwhile. */
	while (w->met_count < KILL_PIDS_MAX && (errno = 0, fscanf(f, "%d", &pid)) == 1) {
		w->met_count++;
		if (w->kill && pid > 1)
			kill(pid, SIGKILL);
	}
	error = ferror(f) ? errno : 0;
	fclose(f);
	errno = error;
	return error == 0 || is_gone(error) || error == EOPNOTSUPP;
}

static bool
freezer_wait(const struct cgroup_host *h, const char *group)
{
	char state[VALUE_BYTES_MAX];

	for (int look = 0; look < FREEZE_LOOKS_MAX; look++) {
		if (!read_value(h->freezer, group, "freezer.state", state))
			return false;
		if (strncmp(state, "FROZEN", 6) == 0)
			return true;
		sched_yield();
	}
	return true; /* one in uninterruptible sleep: kill the rest all the same */
}

static bool
visit_thaw(void *arg, const char *root, const char *group)
{
	char place[PATH_MAX];

	(void)arg;
	return write_value(root, group, "freezer.state", "THAWED", place) || errno == ENOENT;
}

/*
 * Freeze, kill, thaw: a v1 process dies only after the thaw, and cannot fork before it. Each group
 * below is thawed by itself, too: whoever froze it may have died before its own thaw.
 */
static int
kill_v1(const struct cgroup_host *h, const char *group)
{
	struct pid_walk w = {.kill = true};
	char place[PATH_MAX];
	bool ok;

	if (!write_value(h->freezer, group, "freezer.state", "FROZEN", place))
		return errno == ENOENT ? 1 : -1;
	ok = freezer_wait(h, group) && walk(h->freezer, group, 0, visit_pids, &w);
	if (!walk(h->freezer, group, 0, visit_thaw, NULL))
		return -1;
	return !ok ? -1 : w.met_count == 0;
}

/* The same with v2's freezer, where cgroup.kill refuses: what is frozen dies there and then. */
static int
kill_v2_by_pids(const struct cgroup_host *h, const char *group)
{
	struct pid_walk w = {.kill = true};
	char place[PATH_MAX], text[VALUE_BYTES_MAX] = "";
	bool ok;

	if (!write_value(h->unified, group, "cgroup.freeze", "1", place))
		return errno == ENOENT && cgroup_populated(h, group) == 0 ? 1 : -1;
	for (int look = 0; look < FREEZE_LOOKS_MAX && keyed_number(text, "frozen") == 0; look++) {
		sched_yield();
		if (!read_value(h->unified, group, "cgroup.events", text))
			break;
	}
	ok = walk(h->unified, group, 0, visit_pids, &w);
	return write_value(h->unified, group, "cgroup.freeze", "0", place) && ok ? 0 : -1;
}

int
cgroup_kill(const struct cgroup_host *h, const char *group)
{
	char place[PATH_MAX];
	int populated;

	if (!h->v2_track)
		return kill_v1(h, group);
	if ((populated = cgroup_populated(h, group)) <= 0)
		return populated == 0 ? 1 : -1;
	return write_value(h->unified, group, "cgroup.kill", "1", place)
		   ? 0
		   : kill_v2_by_pids(h, group);
}

int
cgroup_populated(const struct cgroup_host *h, const char *group)
{
	struct pid_walk w = {.kill = false};
	char text[VALUE_BYTES_MAX];

	if (h->v2_track) {
		if (!read_value(h->unified, group, "cgroup.events", text))
			return is_gone(errno) ? 0 : -1;
		return keyed_number(text, "populated") != 0;
	}
	return walk(h->freezer, group, 0, visit_pids, &w) ? w.met_count > 0 : -1;
}

bool
cgroup_each(const struct cgroup_host *h, const char *group,
    bool (*visit)(void *arg, const char *name), void *arg)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool ok;
	DIR *dir;

	if (!join(path, h->v2_track ? h->unified : h->freezer, group, ""))
		return false;
	if ((dir = opendir(path)) == NULL)
		return errno == ENOENT;
	while ((errno = 0, entry = readdir(dir)) != NULL) {
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    !visit(arg, entry->d_name))
			break;
	}
	ok = entry != NULL || errno == 0;
	for (int error = errno; dir != NULL; dir = NULL, errno = error)
		closedir(dir);
	return ok;
}

/* ---- Usage and removal. ---- */

bool
cgroup_usage(const struct cgroup_host *h, const char *group, struct cgroup_usage *to)
{
	char text[VALUE_BYTES_MAX];

	*to = (struct cgroup_usage){0};
	if (h->v2_track) {
		if (!read_value(h->unified, group, "cpu.stat", text))
			return false;
		to->cpu_us = keyed_number(text, "usage_usec");
	} else if (h->cpuacct[0] != '\0' && read_value(h->cpuacct, group, "cpuacct.usage", text))
		to->cpu_us = strtoull(text, NULL, 10) / 1000;
	if (h->v2_limits) {
		if (read_value(h->unified, group, "memory.current", text))
			to->memory_bytes = strtoull(text, NULL, 10);
		if (read_value(h->unified, group, "memory.events", text))
			to->oom_kills = keyed_number(text, "oom_kill");
	} else if (h->memory[0] != '\0') {
		if (read_value(h->memory, group, "memory.usage_in_bytes", text))
			to->memory_bytes = strtoull(text, NULL, 10);
		if (read_value(h->memory, group, "memory.oom_control", text))
			to->oom_kills = keyed_number(text, "oom_kill");
	}
	return true;
}

static bool
visit_remove(void *arg, const char *root, const char *group)
{
	char path[PATH_MAX];

	(void)arg;
	return join(path, root, group, "") && (rmdir(path) == 0 || errno == ENOENT);
}

bool
cgroup_remove(const struct cgroup_host *h, const char *group)
{
	const char *root[CGROUP_HIERARCHIES_MAX];
	size_t count = roots(h, root);
	int error = 0;

	if (cgroup_populated(h, group) == 1) {
		errno = EBUSY;
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!walk(root[i], group, 0, visit_remove, NULL))
			error = errno;
	}
	errno = error;
	return error == 0;
}

void
cgroup_remove_if_empty(const struct cgroup_host *h, const char *group)
{
	const char *root[CGROUP_HIERARCHIES_MAX];
	size_t count = roots(h, root);
	char path[PATH_MAX];

	for (size_t i = 0; i < count; i++) {
		if (join(path, root[i], group, ""))
			rmdir(path); /* EBUSY, ENOTEMPTY, ENOENT: as asked for */
	}
}

int
cgroup_open_shared(const struct cgroup_host *h, char place[PATH_MAX])
{
	const char *root = h->v2_track ? h->unified : h->freezer;

	return join(place, root, "cgroup.procs", "") ? open(place, O_RDWR | O_CLOEXEC) : -1;
}

void
cgroup_base_name(const char *state_dir, char to[CGROUP_BASE_NAME_BYTES])
{
	static const struct hash_key fixed = {0, 0}; /* the same name in each run */

	snprintf(to, CGROUP_BASE_NAME_BYTES, "corral-%08x",
	    (unsigned)hash_bytes(&fixed, state_dir, strlen(state_dir)));
}
