/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/ensemble_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/ini.h"
#include "zkserver/core/reconf.h"

#define PATH_SIZE (ZOO_PATH_MAX + 64)
#define NEW_FILE_MODE 0644

static bool
fail(char *why, size_t size, const char *path, const char *what)
{
	snprintf(why, size,
	    "%s: %s: %s; the server must be able to write there, or a restart forgets how its "
	    "ensemble was changed",
	    path, what, strerror(errno));
	return false;
}

/* zoo.cfg itself, whatever links lead there, so that its neighbours are found from anywhere. */
static bool
real_file(const struct zoo_conf *c, char to[ZOO_PATH_MAX], char *why, size_t size)
{
	char *path = realpath(c->file, NULL);
	bool fits = path != NULL && str_copy(to, ZOO_PATH_MAX, path);

	if (path != NULL && !fits)
		errno = ENAMETOOLONG;
	if (!fits)
		fail(why, size, c->file, "cannot be found");
	free(path);
	return fits;
}

static bool
write_members(const char *path, const struct members *m, bool with_version, char *why, size_t size)
{
	struct buf text;
	bool ok;

	buf_init(&text, MEMBERS_TEXT_BYTES_MAX);
	reconf_dynamic_text(m, with_version, &text);
	errno = ENOMEM;
	ok = !text.failed && fsutil_write_atomic(path, text.data, text.len, NEW_FILE_MODE);
	buf_fini(&text);
	return ok || fail(why, size, path, "cannot be written");
}

bool
ensemble_files_propose(struct zoo_conf *c, const struct members *m, char *why, size_t size)
{
	char file[ZOO_PATH_MAX], path[PATH_SIZE];

	if (c->file[0] != '\0') {
		if (!real_file(c, file, why, size))
			return false;
		snprintf(path, sizeof path, "%s.dynamic.next", file);
		if (!write_members(path, m, true, why, size))
			return false;
	}
	c->ensemble.proposed = *m;
	c->ensemble.has_proposed = m->version > c->ensemble.members.version;
	return true;
}

/* The member that this server is has its client address among the members. */
static bool
client_is_named(const struct zoo_conf *c, const struct members *m)
{
	const struct member *own = members_find(m, c->ensemble.sid);

	return own != NULL && own->client_port != 0;
}

/* zoo.cfg, pointing at `dynamic`; before the first time it is kept as FILE.bak. */
static bool
point(const struct zoo_conf *c, const char *file, const char *dynamic, bool drop_client, char *why,
    size_t size)
{
	char backup[PATH_SIZE];
	struct buf old, new;
	struct fault f = {{0}};
	struct stat st;
	bool ok = true;

	buf_init(&old, INI_TEXT_BYTES_MAX);
	buf_init(&new, INI_TEXT_BYTES_MAX);
	snprintf(backup, sizeof backup, "%s.bak", file);
	if (stat(file, &st) != 0 || !fsutil_read(file, INI_TEXT_BYTES_MAX, &old))
		ok = fail(why, size, file, "cannot be read");
	if (ok && c->ensemble.dynamic_file[0] == '\0' &&
	    !fsutil_write_atomic(backup, old.data, old.len, st.st_mode & 07777))
		ok = fail(why, size, backup, "cannot be written");
	if (ok && reconf_static_text(
		      (const char *)old.data, old.len, dynamic, drop_client, &new, &f) < 0) {
		snprintf(why, size, "%s: %s", file, f.text);
		ok = false;
	}
	errno = EFBIG;
	if (ok && (new.failed || !fsutil_write_atomic(file, new.data, new.len, st.st_mode & 07777)))
		ok = fail(why, size, file, "cannot be written");
	buf_fini(&old);
	buf_fini(&new);
	return ok;
}

static bool
commit_files(struct zoo_conf *c, const struct members *m, char *why, size_t size)
{
	char file[ZOO_PATH_MAX], dynamic[RECONF_PATH_MAX], path[PATH_SIZE];

	if (!real_file(c, file, why, size))
		return false;
	errno = ENAMETOOLONG;
	if (!reconf_dynamic_name(dynamic, file, m->version))
		return fail(why, size, file, "cannot be given a dynamic file");
	if (!write_members(dynamic, m, false, why, size) ||
	    !point(c, file, dynamic, client_is_named(c, m), why, size))
		return false;
	str_copy(c->ensemble.dynamic_file, sizeof c->ensemble.dynamic_file, dynamic);
	snprintf(path, sizeof path, "%s.dynamic.next", file);
	/* If it stays, by a failure or a crash, the next start sees that it is not newer. */
	if (!c->ensemble.has_proposed || c->ensemble.proposed.version <= m->version)
		unlink(path);
	return true;
}

bool
ensemble_files_commit(struct zoo_conf *c, const struct members *m, char *why, size_t size)
{
	struct zoo_ensemble *e = &c->ensemble;

	if (c->file[0] != '\0' && !commit_files(c, m, why, size))
		return false;
	e->members = *m;
	e->has_proposed = e->has_proposed && e->proposed.version > m->version;
	return true;
}
