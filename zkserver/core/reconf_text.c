/* SPDX-License-Identifier: Apache-2.0 */
/* The files that remember an ensemble's configuration, as texts. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "zkserver/core/reconf.h"

#define BLANKS " \t\f"
#define PROPERTY_PREFIX "zookeeper."

/* Longer keys than this are kept whatever they are. */
#define KEY_BYTES 64

/* Servers, and for each possible one a group and a weight; and the version. */
#define LINES_MAX (MEMBERS_MAX + 2 * (MEMBERS_SID_MAX + 1) + 1)

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of a text, which is taken apart. */
static size_t
split_lines(char *text, char *lines[LINES_MAX])
{
	size_t count = 0;

	for (char *p = text; p != NULL && count < LINES_MAX; count++) {
		lines[count] = p;
		if ((p = strchr(p, '\n')) != NULL)
			*p++ = '\0';
	}
	return count;
}

void
reconf_dynamic_text(const struct members *m, bool with_version, struct buf *to)
{
	char *lines[LINES_MAX];
	struct buf text;
	size_t count;

	buf_init(&text, MEMBERS_TEXT_BYTES_MAX + 1);
	members_print(m, &text);
	if (buf_text(&text) == NULL) {
		to->failed = true;
		buf_fini(&text);
		return;
	}
	count = split_lines((char *)text.data, lines);
	if (!with_version)
		count--; /* it is the last one */
	qsort(lines, count, sizeof lines[0], by_bytes);
	for (size_t i = 0; i < count; i++)
		buf_printf(to, "%s%s", i > 0 ? "\n" : "", lines[i]);
	buf_fini(&text);
}

/* Bytes of the line at the start of the text, with what ends it. */
static size_t
line_size(const char *text, size_t size)
{
	size_t len = 0;

	while (len < size && text[len] != '\n' && text[len] != '\r')
		len++;
	if (len + 1 < size && text[len] == '\r' && text[len + 1] == '\n')
		return len + 2;
	return len < size ? len + 1 : len;
}

static bool
is_line_end(char c)
{
	return c == '\n' || c == '\r';
}

/* Does the next line belong to this one? An odd number of backslashes ends it then. */
static bool
goes_on(const char *line, size_t size)
{
	size_t slashes = 0;

	while (size > 0 && is_line_end(line[size - 1]))
		size--;
	while (size > 0 && line[size - 1] == '\\') {
		slashes++;
		size--;
	}
	return slashes % 2 == 1;
}

static size_t
blanks(const char *text, size_t size)
{
	size_t n = 0;

	while (n < size && strchr(BLANKS, text[n]) != NULL && text[n] != '\0')
		n++;
	return n;
}

static bool
is_comment(const char *text, size_t size)
{
	size_t n = blanks(text, size);

	return n == size || is_line_end(text[n]) || text[n] == '#' || text[n] == '!';
}

/* Bytes of the entry, comment or empty line at the start of the text. */
static size_t
entry_size(const char *text, size_t size)
{
	size_t len = line_size(text, size), used = len;

	if (is_comment(text, size))
		return len;
	while (used < size && goes_on(text + used - len, len)) {
		len = line_size(text + used, size - used);
		used += len;
	}
	return used;
}

/*
 * The key of an entry, escapes taken as they are meant (\uXXXX aside: no key that matters needs
 * one); empty for comments.
 */
static void
entry_key(const char *text, size_t size, char key[KEY_BYTES])
{
	size_t len = 0, i = blanks(text, size);

	key[0] = '\0';
	if (is_comment(text, size))
		return;
	for (; i < size && len < KEY_BYTES - 1; i++) {
		if (text[i] == '=' || text[i] == ':' || is_line_end(text[i]) ||
		    blanks(text + i, 1) > 0)
			break;
		if (text[i] == '\\') {
			if (++i == size)
				break;
			if (is_line_end(text[i])) { /* the key goes on in the next line */
				if (text[i] == '\r' && i + 1 < size && text[i + 1] == '\n')
					i++;
				i += blanks(text + i + 1, size - i - 1);
				continue;
			}
		}
		key[len++] = text[i];
	}
	key[len] = '\0';
}

/* server.N, but not server.realm. */
static bool
is_member_key(const char *key)
{
	return members_key(key) && isdigit((unsigned char)key[strcspn(key, ".") + 1]);
}

static bool
is_dropped(const char *key, bool drop_client)
{
	if (str_starts(key, PROPERTY_PREFIX))
		key += sizeof PROPERTY_PREFIX - 1;
	return is_member_key(key) || strcmp(key, "dynamicConfigFile") == 0 ||
	       strcmp(key, "peerType") == 0 ||
	       (drop_client &&
		   (strcmp(key, "clientPort") == 0 || strcmp(key, "clientPortAddress") == 0));
}

/* An entry of the file; a backslash at the end of the file must not swallow what follows. */
static void
keep(const char *text, size_t used, bool last, struct buf *to)
{
	size_t len = used;

	buf_append(to, text, used);
	if (!last)
		return;
	if (!is_line_end(text[used - 1]))
		buf_append(to, "\n", 1);
	while (len > 1 && is_line_end(text[len - 1]))
		len--;
	if (!is_comment(text, used) && goes_on(text, len))
		buf_printf(to, "%s\n", text[used - 1] == '\r' ? "\n" : "");
}

/* Bytes above ASCII would be read as Latin-1. */
static bool
is_plain(const char *path)
{
	for (; *path != '\0'; path++) {
		if (*path < ' ' || *path > '~')
			return false;
	}
	return true;
}

int
reconf_static_text(const char *text, size_t size, const char *path, bool drop_client,
    struct buf *to, struct fault *f)
{
	if (!is_plain(path))
		return fault_set(f, -EINVAL,
		    "the dynamic file's path has other characters than ASCII's: move zoo.cfg");
	while (size > 0) {
		size_t used = entry_size(text, size);
		char key[KEY_BYTES];

		entry_key(text, used, key);
		if (!is_dropped(key, drop_client))
			keep(text, used, used == size, to);
		text += used;
		size -= used;
	}
	buf_printf(to, "dynamicConfigFile=");
	for (; *path != '\0'; path++)
		buf_printf(to, "%s%c", *path == '\\' ? "\\" : "", *path);
	buf_append(to, "\n", 1);
	return 0;
}

bool
reconf_dynamic_name(char to[RECONF_PATH_MAX], const char *file, int64_t version)
{
	int n = snprintf(to, RECONF_PATH_MAX, "%s.dynamic.%llx", file, (unsigned long long)version);

	return n > 0 && n < RECONF_PATH_MAX;
}
