/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/admin_env.h"

#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "zkserver/admin.h"

struct surroundings {
	struct utsname os;
	char user[64], home[PATH_MAX], dir[PATH_MAX];
};

static void
look(struct surroundings *s)
{
	const struct passwd *pw = getpwuid(geteuid());
	const char *home = getenv("HOME");

	*s = (struct surroundings){0};
	if (uname(&s->os) != 0)
		s->os = (struct utsname){0};
	snprintf(s->user, sizeof s->user, "%s", pw != NULL ? pw->pw_name : "");
	snprintf(s->home, sizeof s->home, "%s", home != NULL ? home : pw != NULL ? pw->pw_dir : "");
	if (getcwd(s->dir, sizeof s->dir) == NULL)
		s->dir[0] = '\0';
}

/* Java's names for what uname() says. */
static const char *
java_arch(const char *machine)
{
	return strcmp(machine, "x86_64") == 0 ? "amd64" : machine;
}

static void
put_memory(void (*each)(void *arg, const char *key, const char *value), void *arg)
{
	struct sysinfo info;
	char text[32];

	if (sysinfo(&info) != 0)
		return;
	snprintf(text, sizeof text, "%" PRIu64 "MB", (uint64_t)info.freeram * info.mem_unit >> 20);
	each(arg, "os.memory.free", text);
	snprintf(text, sizeof text, "%" PRIu64 "MB", (uint64_t)info.totalram * info.mem_unit >> 20);
	each(arg, "os.memory.max", text);
	each(arg, "os.memory.total", text);
}

void
admin_env_each(void (*each)(void *arg, const char *key, const char *value), void *arg)
{
	struct surroundings s;

	look(&s);
	each(arg, "zookeeper.version", ADMIN_VERSION_TEXT);
	each(arg, "host.name", s.os.nodename);
	each(arg, "os.name", s.os.sysname);
	each(arg, "os.arch", java_arch(s.os.machine));
	each(arg, "os.version", s.os.release);
	each(arg, "user.name", s.user);
	each(arg, "user.home", s.home);
	each(arg, "user.dir", s.dir);
	put_memory(each, arg);
}

void
admin_properties_each(void (*each)(void *arg, const char *key, const char *value), void *arg)
{
	struct surroundings s;

	look(&s);
	each(arg, "file.encoding", "UTF-8");
	each(arg, "file.separator", "/");
	each(arg, "line.separator", "\n");
	each(arg, "os.arch", java_arch(s.os.machine));
	each(arg, "os.name", s.os.sysname);
	each(arg, "os.version", s.os.release);
	each(arg, "path.separator", ":");
	each(arg, "user.dir", s.dir);
	each(arg, "user.home", s.home);
	each(arg, "user.name", s.user);
}
