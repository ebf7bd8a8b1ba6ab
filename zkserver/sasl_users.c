/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/sasl_users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "zkserver/core/jaas.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define USER_OPTION "user_"

static void
wipe(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

static struct sasl_user *
find(const struct sasl_users *u, const char *name)
{
	for (size_t i = 0; i < u->count; i++) {
		if (strcmp(u->items[i].name, name) == 0)
			return &u->items[i];
	}
	return NULL;
}

/* Add a user, or give it this password. NULL, or why that cannot be. */
static const char *
put(struct sasl_users *u, const char *name, const char *password)
{
	struct sasl_user *items, *user = find(u, name);
	struct sasl_user added;

	if (user != NULL)
		return sasl_users_override(u, name, password) ? NULL : "out of memory";
	if (name[0] == '\0' || strlen(name) >= SASL_NAME_MAX)
		return "a user's name is empty or longer than 255 bytes";
	if (u->count == SASL_USERS_MAX)
		return "more than 10000 users";
	if ((items = reallocarray(u->items, u->count + 1, sizeof *items)) == NULL)
		return "out of memory";
	u->items = items;
	added = (struct sasl_user){strdup(name), strdup(password)};
	if (added.name == NULL || added.password == NULL) {
		wipe(added.name);
		wipe(added.password);
		return "out of memory";
	}
	u->items[u->count++] = added;
	return NULL;
}

bool
sasl_users_override(struct sasl_users *u, const char *name, const char *password)
{
	struct sasl_user *user = find(u, name);
	char *copy;

	if (user == NULL)
		return true;
	if ((copy = strdup(password)) == NULL)
		return false;
	wipe(user->password);
	user->password = copy;
	return true;
}

static const char *
take_option(void *arg, const char *module, const char *key, const char *value)
{
	size_t len = strlen(module);
	static const char ours[] = "DigestLoginModule", kerberos[] = "Krb5LoginModule";

	if (len >= sizeof kerberos - 1 &&
	    strcmp(module + len - (sizeof kerberos - 1), kerberos) == 0)
		return "Kerberos (GSSAPI) is not supported: list users with "
		       "org.apache.zookeeper.server.auth.DigestLoginModule, or take the key out";
	if (len < sizeof ours - 1 || strcmp(module + len - (sizeof ours - 1), ours) != 0)
		return "only org.apache.zookeeper.server.auth.DigestLoginModule is known";
	if (key == NULL || !str_starts(key, USER_OPTION))
		return NULL;
	return put(arg, key + sizeof USER_OPTION - 1, value);
}

/* The whole file; a warning if others can read it. */
static bool
read_secret(const char *path, struct buf *text, char *error, size_t size)
{
	struct stat st;

	buf_init(text, FILE_BYTES_MAX);
	if (!fsutil_read(path, FILE_BYTES_MAX, text)) {
		snprintf(error, size, "%s: cannot be read: %s", path, strerror(errno));
		buf_fini(text);
		return false;
	}
	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		log_warn("%s: the passwords are open to others (mode %04o): chmod 600 it", path,
		    (unsigned)(st.st_mode & 07777));
	return true;
}

static void
drop_secret(struct buf *text)
{
	if (text->data != NULL)
		explicit_bzero(text->data, text->cap);
	buf_fini(text);
}

bool
sasl_users_read_jaas(
    struct sasl_users *u, const char *path, const char *section, char *error, size_t size)
{
	struct jaas_fault fault;
	enum jaas_result result;
	struct buf text;

	if (!read_secret(path, &text, error, size))
		return false;
	result = jaas_parse((const char *)text.data, text.len, section, take_option, u, &fault);
	if (result == JAAS_BAD)
		snprintf(error, size, "%s:%u: %s", path, fault.line, fault.why);
	else if (result == JAAS_NO_SECTION)
		snprintf(error, size, "%s: it has no section %s", path, section);
	drop_secret(&text);
	return result == JAAS_FOUND;
}

static const char *
take_line(struct sasl_users *u, char *line)
{
	char *colon = strchr(line, ':');
	size_t len = strlen(line);

	if (len > 0 && line[len - 1] == '\r')
		line[len - 1] = '\0';
	if (line[0] == '\0' || line[0] == '#')
		return NULL;
	if (colon == NULL)
		return "not NAME:PASSWORD";
	*colon = '\0';
	return put(u, line, colon + 1);
}

bool
sasl_users_read_plain(struct sasl_users *u, const char *path, char *error, size_t size)
{
	const char *why = NULL;
	struct buf text;
	unsigned number = 0;

	if (!read_secret(path, &text, error, size))
		return false;
	buf_append(&text, "", 1);
	if (text.failed || strlen((const char *)text.data) + 1 != text.len)
		why = "a NUL byte, or no memory";
	for (char *line = (char *)text.data, *end; why == NULL && line != NULL;) {
		number++;
		if ((end = strchr(line, '\n')) != NULL)
			*end++ = '\0';
		why = take_line(u, line);
		line = end;
	}
	if (why != NULL)
		snprintf(error, size, "%s:%u: %s", path, number, why);
	drop_secret(&text);
	return why == NULL;
}

void
sasl_users_fini(struct sasl_users *u)
{
	for (size_t i = 0; i < u->count; i++) {
		wipe(u->items[i].name);
		wipe(u->items[i].password);
	}
	free(u->items);
	*u = (struct sasl_users){0};
}
