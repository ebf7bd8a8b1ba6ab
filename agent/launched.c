/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/launched.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/sandbox.h"
#include "libcommon/base/str.h"

#define FILE_NAME "executor"
#define LINE_BYTES 128
#define CMDLINE_BYTES 8192

bool
launched_note(const char *state_dir, const char *name, const struct proc_id *id)
{
	char boot_id[PROC_BOOT_ID_BYTES], line[LINE_BYTES];

	if (!proc_boot_id(boot_id))
		return false;
	snprintf(line, sizeof line, "%d %" PRIu64 " %s\n", (int)id->pid, id->start_time, boot_id);
	return sandbox_write_file(state_dir, "run", name, FILE_NAME, line, strlen(line));
}

static bool
read_line(const char *state_dir, const char *name, char to[LINE_BYTES])
{
	int fd = sandbox_open_file(state_dir, "run", name, FILE_NAME);
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid())
		n = read(fd, to, LINE_BYTES - 1);
	close(fd);
	to[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool
read_note(const char *state_dir, const char *name, struct proc_id *to)
{
	char boot_id[PROC_BOOT_ID_BYTES], line[LINE_BYTES], *start, *boot;
	uint64_t pid;

	if (!proc_boot_id(boot_id) || !read_line(state_dir, name, line) ||
	    (start = strchr(line, ' ')) == NULL || (boot = strchr(start + 1, ' ')) == NULL)
		return false;
	*start++ = *boot++ = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	if (strcmp(boot, boot_id) != 0 || !str_to_u64(line, 1, INT32_MAX, &pid) ||
	    !str_to_u64(start, 0, UINT64_MAX, &to->start_time))
		return false;
	to->pid = (pid_t)pid;
	return true;
}

struct executor_walk {
	const char *name;
	struct proc_id found;
};

/* `corral-executor attempt NAME`, of our account: anyone can choose the words of his own. */
static bool
visit_executor(void *arg, pid_t pid, const struct proc_stat *st)
{
	static const char verb[] = "attempt";
	struct executor_walk *w = arg;
	char path[64], line[CMDLINE_BYTES];
	uid_t uid;
	ssize_t n;
	char *at;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	if (st->state == 'Z' || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return true;
	n = read(fd, line, sizeof line - 1);
	close(fd);
	if (n <= 0)
		return true;
	line[n] = '\0';
	at = line + strlen(line) + 1;
	if (at + sizeof verb >= line + n || strcmp(at, verb) != 0 ||
	    strcmp(at + sizeof verb, w->name) != 0 || !proc_uid(pid, &uid) || uid != geteuid())
		return true;
	w->found = (struct proc_id){pid, st->start_time};
	return false;
}

bool
launched_find(const char *state_dir, const char *name, struct proc_id *to)
{
	struct executor_walk w = {.name = name};

	if (read_note(state_dir, name, to))
		return true;
	proc_each(visit_executor, &w);
	*to = w.found;
	return w.found.pid > 0;
}
