/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/proc.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/fsutil.h"

#define STAT_BYTES_MAX 1024
#define STATUS_BYTES_MAX 4096

bool
proc_stat(pid_t pid, struct proc_stat *to)
{
	char path[64], text[STAT_BYTES_MAX], *rest;
	unsigned long long utime, stime, start;
	int parent, group, session;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (!fsutil_read_text(path, text, sizeof text))
		return false;
	/* The name in parentheses may hold anything, a parenthesis too: fields begin after the
	 * last. */
	if ((rest = strrchr(text, ')')) == NULL ||
	    sscanf(rest + 1,
		" %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu",
		&to->state, &parent, &group, &session, &utime, &stime, &start) != 7) {
		errno = ESRCH;
		return false;
	}
	to->parent = parent;
	to->group = group;
	to->session = session;
	to->cpu_ticks = utime + stime;
	to->start_time = start;
	return true;
}

bool
proc_uid(pid_t pid, uid_t *to)
{
	char path[64], text[STATUS_BYTES_MAX];
	const char *line;
	unsigned uid;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (!fsutil_read_text(path, text, sizeof text))
		return false;
	/* A name in the first line has its newlines escaped. */
	if ((line = strstr(text, "\nUid:\t")) == NULL || sscanf(line, "\nUid:\t%u", &uid) != 1) {
		errno = ESRCH;
		return false;
	}
	*to = uid;
	return true;
}

bool
proc_identify(pid_t pid, struct proc_id *to)
{
	struct proc_stat st;

	if (!proc_stat(pid, &st))
		return false;
	*to = (struct proc_id){pid, st.start_time};
	return true;
}

static bool
state_is_alive(char state)
{
	return state != 'Z' && state != 'X' && state != 'x';
}

/* There is no such process, or none any more. */
static bool
is_gone(int error)
{
	return error == ENOENT || error == ESRCH;
}

/* hidepid= of /proc: another account's, or one of ours that is not dumpable. */
static bool
is_hidden(int error)
{
	return error == EPERM || error == EACCES;
}

enum look {
	LOOK_SAME,
	LOOK_OTHER, /* its number is another's */
	LOOK_GONE,
	LOOK_BLIND, /* errno says why */
};

/*
 * What /proc does not show may be hidden. A signal tells: of those that are hidden, we may send one
 * to just those of our account, and another account's is not the one that we once could look at.
 */
static enum look
look_at(const struct proc_id *id, struct proc_stat *to)
{
	if (id->pid <= 0)
		return LOOK_OTHER;
	if (proc_stat(id->pid, to))
		return to->start_time == id->start_time ? LOOK_SAME : LOOK_OTHER;
	if (!is_gone(errno) && !is_hidden(errno))
		return LOOK_BLIND;
	if (kill(id->pid, 0) != 0 && errno != EACCES)
		return errno == ESRCH ? LOOK_GONE : LOOK_OTHER;
	errno = EACCES;
	return LOOK_BLIND;
}

int
proc_is_alive(const struct proc_id *id)
{
	struct proc_stat st;

	switch (look_at(id, &st)) {
	case LOOK_SAME:
		return state_is_alive(st.state);
	case LOOK_BLIND:
		return -1;
	default:
		return 0;
	}
}

int
proc_open(const struct proc_id *id)
{
	struct proc_stat st;
	enum look look;
	int fd, error;

	if (id->pid <= 0) {
		errno = ESRCH;
		return -1;
	}
	if ((fd = (int)syscall(SYS_pidfd_open, id->pid, 0)) < 0)
		return -1;
	/* The descriptor holds the process that had the number a moment ago: is it the one we mean?
	 */
	if ((look = look_at(id, &st)) == LOOK_SAME)
		return fd;
	error = look == LOOK_BLIND ? errno : ESRCH;
	close(fd);
	errno = error;
	return -1;
}

bool
proc_signal(const struct proc_id *id, int signo)
{
	int fd = proc_open(id), saved;
	bool ok;

	if (fd < 0)
		return false;
	ok = syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) == 0;
	saved = errno;
	close(fd);
	errno = saved;
	return ok;
}

bool
proc_boot_id(char to[PROC_BOOT_ID_BYTES])
{
	if (!fsutil_read_text("/proc/sys/kernel/random/boot_id", to, PROC_BOOT_ID_BYTES))
		return false;
	if (strlen(to) != PROC_BOOT_ID_BYTES - 1) {
		errno = EINVAL;
		return false;
	}
	return true;
}

bool
proc_each(bool (*visit)(void *arg, pid_t pid, const struct proc_stat *stat), void *arg)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	struct proc_stat st;
	int error = 0;
	uint64_t pid;

	if (dir == NULL)
		return false;
	while ((errno = 0, entry = readdir(dir)) != NULL) {
		if (!str_to_u64(entry->d_name, 1, INT32_MAX, &pid))
			continue;
		if (!proc_stat((pid_t)pid, &st)) {
			if (!is_gone(errno) && !is_hidden(errno))
				error = errno;
		} else if (!visit(arg, (pid_t)pid, &st))
			break;
	}
	if (entry == NULL && errno != 0)
		error = errno;
	closedir(dir);
	errno = error;
	return error == 0;
}

/* ---- Sessions. ---- */

struct session_walk {
	struct proc_id *ids; /* by number */
	size_t count;
	bool kill;
	int alive_count;
};

static int
by_pid(const void *a, const void *b)
{
	pid_t x = ((const struct proc_id *)a)->pid, y = ((const struct proc_id *)b)->pid;

	return (x > y) - (x < y);
}

static const struct proc_id *
find_id(const struct session_walk *w, pid_t pid)
{
	struct proc_id key = {.pid = pid};

	return bsearch(&key, w->ids, w->count, sizeof *w->ids, by_pid);
}

static bool
session_visit(void *arg, pid_t pid, const struct proc_stat *st)
{
	struct session_walk *w = arg;
	const struct proc_id *leader = find_id(w, st->session), *self = find_id(w, pid);
	struct proc_id id = {pid, st->start_time};

	/* Nothing of the session is older than its leader. */
	if (!state_is_alive(st->state) ||
	    ((leader == NULL || st->start_time < leader->start_time) &&
		(self == NULL || st->start_time != self->start_time)))
		return true;
	w->alive_count++;
	if (w->kill)
		proc_signal(&id, SIGKILL);
	return true;
}

/* A session that we cannot tell from another of its number is not killed. */
static int
session_walk(struct proc_id *ids, size_t count, bool kill_them)
{
	struct session_walk w = {.ids = ids, .kill = kill_them};
	struct proc_stat st;
	int error = 0;

	for (size_t i = 0; i < count; i++) {
		enum look look = look_at(&ids[i], &st);

		if (look == LOOK_BLIND)
			error = errno;
		else if (look != LOOK_OTHER)
			ids[w.count++] = ids[i];
	}
	if (w.count > 0) {
		qsort(ids, w.count, sizeof *ids, by_pid);
		if (!proc_each(session_visit, &w))
			error = errno;
	}
	errno = error;
	return error == 0 ? w.alive_count : -1;
}

int
proc_kill_session(const struct proc_id *leader)
{
	struct proc_id one = *leader;

	return session_walk(&one, 1, true);
}

int
proc_count_session(const struct proc_id *leader)
{
	struct proc_id one = *leader;

	return session_walk(&one, 1, false);
}

int
proc_kill_sessions(struct proc_id *ids, size_t count)
{
	return session_walk(ids, count, true);
}
