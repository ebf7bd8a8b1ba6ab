/* SPDX-License-Identifier: Apache-2.0 */
/* The splitter for systemd.syntax(7), as systemd's config_parse() reads it, with strict keys. */
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/sys/ini.h"
#include "libcommon/sys/ini_split.h"

#define BLANKS " \t"

static const char name_bytes[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

static size_t
trimmed_bytes(const char *text, size_t size)
{
	while (size > 0 && strchr(BLANKS, text[size - 1]) != NULL)
		size--;
	return size;
}

/* "[name]", alone on its line. */
static bool
take_section(struct ini_statements *st, const char *text, size_t size, unsigned line)
{
	if (text[size - 1] != ']') {
		faults_add(st->faults, st->file, line, "expected [SECTION], alone on its line");
		return true;
	}
	if (size - 2 > INI_SECTION_BYTES_MAX || size == 2 ||
	    strspn(text + 1, name_bytes) != size - 2) {
		faults_add(st->faults, st->file, line,
		    "%.60s: not a section's name (letters, digits, . _ -)", text);
		return true;
	}
	return ini_statements_add(st, text + 1, size - 2, NULL, 0, line);
}

static bool
take_assignment(struct ini_statements *st, const char *text, size_t size, unsigned line)
{
	const char *equals = memchr(text, '=', size);
	const char *value;
	size_t name_size;

	if (equals == NULL) {
		faults_add(st->faults, st->file, line,
		    "expected KEY=VALUE or [SECTION], found \"%.60s\"", text);
		return true;
	}
	name_size = trimmed_bytes(text, (size_t)(equals - text));
	if (name_size == 0 || name_size > INI_NAME_BYTES_MAX ||
	    strspn(text, name_bytes) < name_size) {
		faults_add(st->faults, st->file, line,
		    "\"%.*s\": not a key (letters, digits, . _ -)",
		    (int)(name_size < 60 ? name_size : 60), text);
		return true;
	}
	value = equals + 1 + strspn(equals + 1, BLANKS);
	return ini_statements_add(st, text, name_size, value, size - (size_t)(value - text), line);
}

/* One line, joined and with leading blanks gone. False if the splitter must stop. */
static bool
take_line(struct ini_statements *st, struct buf *joined, unsigned line)
{
	const char *text = buf_text(joined);
	size_t size;

	if (text == NULL) {
		faults_add(
		    st->faults, st->file, line, "a line longer than %d bytes", INI_LINE_BYTES_MAX);
		return true;
	}
	size = trimmed_bytes(text, joined->len);
	joined->data[size] = '\0';
	if (size == 0)
		return true;
	if (utf8_bad_offset(text, size) != size) {
		faults_add(st->faults, st->file, line, "the line is not UTF-8");
		return true;
	}
	return text[0] == '[' ? take_section(st, text, size, line)
			      : take_assignment(st, text, size, line);
}

/* Does the line end in a backslash that is not itself escaped? */
static bool
is_continued(const char *text, size_t size)
{
	bool escaped = false;

	while (size > 0 && text[--size] == '\\')
		escaped = !escaped;
	return escaped;
}

void
ini_split_systemd(struct ini_statements *st, const char *text, size_t size)
{
	const char *end = text + size, *next;
	struct buf joined;
	unsigned line = 0, first = 0; /* first: where the line under way began; 0: none is */
	bool go_on = true;

	buf_init(&joined, INI_LINE_BYTES_MAX + 1);
	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	for (; text < end && go_on; text = next) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((newline != NULL ? newline : end) - text);
		bool continued;

		next = newline != NULL ? newline + 1 : end;
		line++;
		if (len > 0 && text[len - 1] == '\r')
			len--;
		for (; len > 0 && strchr(BLANKS, *text) != NULL; len--)
			text++;
		if (len > 0 && (*text == '#' || *text == ';'))
			continue;
		if (first == 0)
			first = line;
		continued = is_continued(text, len);
		buf_append(&joined, text, len - continued);
		if (continued) {
			buf_append(&joined, " ", 1);
			continue;
		}
		go_on = take_line(st, &joined, first);
		buf_clear(&joined);
		first = 0;
	}
	if (first != 0 && go_on)
		take_line(st, &joined, first);
	buf_fini(&joined);
}
