/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/memory.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/str.h"

#define LINE_MAX_BYTES 4096

/* The number in a file; UINT64_MAX: there is none ("max", no such file). */
static uint64_t
read_limit(const char *path)
{
	char line[64];
	uint64_t n = UINT64_MAX;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return UINT64_MAX;
	if (fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (!str_to_u64(line, 0, UINT64_MAX, &n))
			n = UINT64_MAX;
	}
	fclose(f);
	return n;
}

/* The least limit of a group and of those above it. */
static uint64_t
least_limit(const char *mount, char *group, const char *file)
{
	uint64_t least = UINT64_MAX;
	char path[2 * LINE_MAX_BYTES];
	char *slash;

	for (;;) {
		uint64_t n;

		snprintf(path, sizeof path, "%s%s/%s", mount, group, file);
		n = read_limit(path);
		least = n < least ? n : least;
		if ((slash = strrchr(group, '/')) == NULL)
			return least;
		*slash = '\0';
	}
}

/* A line "0::/group" (v2) or "N:...memory...:/group" (v1). */
static uint64_t
limit_of_line(const char *mount, char *line)
{
	char *controllers = strchr(line, ':'), *group;
	char memory[PATH_MAX];

	if (controllers == NULL || (group = strchr(controllers + 1, ':')) == NULL)
		return UINT64_MAX;
	*controllers++ = '\0';
	*group++ = '\0';
	if (controllers[0] == '\0')
		return least_limit(mount, group, "memory.max");
	if (strcmp(controllers, "memory") != 0)
		return UINT64_MAX;
	snprintf(memory, sizeof memory, "%s/memory", mount);
	return least_limit(memory, group, "memory.limit_in_bytes");
}

uint64_t
memory_available_bytes(const char *proc_cgroup, const char *mount)
{
	long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
	uint64_t least =
	    pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : UINT64_MAX;
	char line[LINE_MAX_BYTES];
	FILE *f = fopen(proc_cgroup, "re");

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		uint64_t n;

		line[strcspn(line, "\n")] = '\0';
		n = limit_of_line(mount, line);
		least = n < least ? n : least;
	}
	if (f != NULL)
		fclose(f);
	return least == UINT64_MAX ? 0 : least;
}
