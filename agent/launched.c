/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/launched.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/sandbox.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/fsutil.h"

#define FILE_NAME "executor"
#define LINE_BYTES 128
#define CMDLINE_BYTES 8192
#define STATUS_BYTES 4096

bool
launched_note(const char *state_dir, const char *name, const struct proc_id *id)
{
	char boot_id[PROC_BOOT_ID_BYTES], line[LINE_BYTES];

	if (!proc_boot_id(boot_id))
		return false;
	snprintf(line, sizeof line, "%d %" PRIu64 " %s\n", (int)id->pid, id->start_time, boot_id);
	return sandbox_write_file(state_dir, "run", name, FILE_NAME, line, strlen(line));
}

bool
launched_forget(const char *state_dir, const char *name)
{
	return sandbox_remove_file(state_dir, "run", name, FILE_NAME);
}

/* Nothing was noted. (What is no plain file of ours there is no note, whoever put it there.) */
static bool
is_no_note(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EACCES ||
	       error == ENXIO;
}

/* Its length; 0: there is none; -1 with errno. */
static ssize_t
read_line(const char *state_dir, const char *name, char to[LINE_BYTES])
{
	int fd = sandbox_open_file(state_dir, "run", name, FILE_NAME), error;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return is_no_note(errno) ? 0 : -1;
	if (fstat(fd, &st) != 0)
		n = -1;
	else if (st.st_uid == geteuid())
		n = read(fd, to, LINE_BYTES - 1);
	error = errno;
	close(fd);
	errno = error;
	to[n > 0 ? n : 0] = '\0';
	return n;
}

/* 1: *to was noted in this boot; 0: nothing was; -1 with errno. */
static int
read_note(const char *state_dir, const char *name, struct proc_id *to)
{
	char boot_id[PROC_BOOT_ID_BYTES], line[LINE_BYTES], *start, *boot;
	ssize_t n = read_line(state_dir, name, line);
	uint64_t pid;

	if (n <= 0)
		return (int)n;
	if (!proc_boot_id(boot_id))
		return -1;
	if ((start = strchr(line, ' ')) == NULL || (boot = strchr(start + 1, ' ')) == NULL)
		return 0;
	*start++ = *boot++ = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	if (strcmp(boot, boot_id) != 0 || !str_to_u64(line, 1, INT32_MAX, &pid) ||
	    !str_to_u64(start, 0, UINT64_MAX, &to->start_time))
		return 0;
	to->pid = (pid_t)pid;
	return 1;
}

/* ---- Processes. ---- */

struct executor_walk {
	const char *state_dir;
	launched_visit *visit;
	void *arg;
	int error; /* of a process that could not be looked at; 0: there was none */
};

/* Always false. One that has ended, or that /proc hides from us (hidepid=), is none of ours. */
static bool
not_read(struct executor_walk *w)
{
	if (errno != ENOENT && errno != ESRCH && errno != EPERM && errno != EACCES)
		w->error = errno;
	return false;
}

/* The command line of a process of our account, each word with its NUL. 0: none. */
static size_t
read_command(struct executor_walk *w, pid_t pid, char to[CMDLINE_BYTES])
{
	char path[64];
	ssize_t n;
	uid_t uid;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return not_read(w);
	if ((n = read(fd, to, CMDLINE_BYTES - 1)) < 0)
		not_read(w);
	close(fd);
	if (n <= 0)
		return 0;
	if (!proc_uid(pid, &uid))
		return not_read(w);
	to[n] = '\0';
	return uid == geteuid() ? (size_t)n : 0;
}

/* The word behind this one; NULL: it is the last. */
static const char *
next_word(const char *word, const char *end)
{
	word += strlen(word) + 1;
	return word < end ? word : NULL;
}

/*
 * It is in no PID namespace below ours, where nothing is that a helper started. (It has a number in
 * each: "NSpid: 4711 8".)
 */
static bool
is_not_nested(struct executor_walk *w, pid_t pid)
{
	char path[64], text[STATUS_BYTES];
	const char *line;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (!fsutil_read_text(path, text, sizeof text))
		return not_read(w);
	if ((line = strstr(text, "\nNSpid:\t")) == NULL)
		return true;
	line += strlen("\nNSpid:\t");
	return line[strcspn(line, "\t\n")] != '\t';
}

/*
 * `corral-executor attempt NAME STATE_DIR`, of our account: anyone can choose the words of his own.
 * The name alone could be of another agent's on this machine, in a cluster that began with the same
 * numbers; and one of a container, or of a task, may have a state directory that is called as ours.
 */
static bool
visit_executor(void *arg, pid_t pid, const struct proc_stat *st)
{
	struct executor_walk *w = arg;
	struct proc_id id = {pid, st->start_time};
	const char *verb, *name, *state_dir;
	char line[CMDLINE_BYTES];
	size_t size;

	if (st->state == 'Z' || (size = read_command(w, pid, line)) == 0 ||
	    (verb = next_word(line, line + size)) == NULL || strcmp(verb, "attempt") != 0 ||
	    (name = next_word(verb, line + size)) == NULL ||
	    (state_dir = next_word(name, line + size)) == NULL ||
	    strcmp(state_dir, w->state_dir) != 0 || !is_not_nested(w, pid))
		return true;
	return w->visit(w->arg, name, &id);
}

static bool
each_executor(const char *state_dir, launched_visit *visit, void *arg)
{
	struct executor_walk w = {state_dir, visit, arg, 0};

	return proc_each(visit_executor, &w) && (errno = w.error) == 0;
}

/* ---- Questions. ---- */

struct search {
	const char *name;
	struct proc_id found;
};

static bool
visit_named(void *arg, const char *name, const struct proc_id *id)
{
	struct search *s = arg;

	if (strcmp(name, s->name) == 0)
		s->found = *id;
	return s->found.pid == 0;
}

int
launched_find(const char *state_dir, const char *name, struct proc_id *to)
{
	struct search s = {.name = name};
	int rc = read_note(state_dir, name, to);
	bool seen_all;

	if (rc != 0)
		return rc;
	seen_all = each_executor(state_dir, visit_named, &s);
	*to = s.found;
	if (s.found.pid > 0)
		return 1;
	return seen_all ? 0 : -1;
}

struct note_walk {
	const char *state_dir;
	launched_visit *visit;
	void *arg;
	bool done;
	int error; /* of a note that could not be read; 0: there was none */
};

static bool
visit_note(void *arg, const char *name)
{
	struct note_walk *w = arg;
	struct proc_id id;
	int rc = read_note(w->state_dir, name, &id);

	if (rc < 0)
		w->error = errno;
	else if (rc > 0)
		w->done = !w->visit(w->arg, name, &id);
	return !w->done;
}

bool
launched_each(const char *state_dir, launched_visit *visit, void *arg)
{
	struct note_walk w = {state_dir, visit, arg, false, 0};

	if (!sandbox_each(state_dir, "run", visit_note, &w))
		return false;
	return w.done || (each_executor(state_dir, visit, arg) && (errno = w.error) == 0);
}
