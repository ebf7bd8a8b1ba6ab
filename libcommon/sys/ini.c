/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three steps. The grammar's own splitter turns the text into statements: a section, or a key with
 * its value whole, and the line. Each statement becomes a line of a few bytes ("key=#7", or "k7=#7"
 * where the grammar lets a key hold anything), which inih reads through shielded_line(). inih's
 * events, looked up again by number, are the entries.
 */
#include "libcommon/sys/ini.h"

#include <errno.h>
#include <ini.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/ini_split.h"

/* inih takes lines of 200 bytes: key, '=', token, newline and NUL fit. */
_Static_assert(INI_NAME_BYTES_MAX + 24 < 200, "a shielded line must fit inih's buffer");

struct reading {
	struct ini *ini;
	const struct ini_statements *statements;
	enum ini_grammar grammar;
	size_t next;	     /* statement that shielded_line() hands out next */
	const char *section; /* opened by the last section statement handed out */
};

bool
ini_statements_add(struct ini_statements *st, const char *name, size_t name_size, const char *value,
    size_t value_size, unsigned line)
{
	size_t capacity = st->capacity > 0 ? st->capacity * 2 : 64;
	struct ini_statement *items;
	char *to;

	if (st->count == INI_ENTRIES_MAX) {
		faults_add(st->faults, st->file, line, "more than %d entries", INI_ENTRIES_MAX);
		return false;
	}
	if (st->count == st->capacity) {
		if ((items = reallocarray(st->items, capacity, sizeof *items)) == NULL) {
			faults_add(st->faults, st->file, line, "out of memory");
			return false;
		}
		st->items = items;
		st->capacity = capacity;
	}
	to = st->strings + st->strings_used;
	memcpy(to, name, name_size);
	to[name_size] = '\0';
	st->items[st->count] = (struct ini_statement){.name = to, .line = line};
	st->strings_used += name_size + 1;
	if (value != NULL) {
		to += name_size + 1;
		memcpy(to, value, value_size);
		to[value_size] = '\0';
		st->items[st->count].value = to;
		st->strings_used += value_size + 1;
	}
	st->count++;
	return true;
}

/* inih's fgets: one statement, as a line that it cannot misread. */
static char *
shielded_line(char *to, int size, void *stream)
{
	struct reading *r = stream;
	const struct ini_statement *s;

	if (r->next == r->statements->count)
		return NULL;
	s = &r->statements->items[r->next];
	if (s->value == NULL) {
		snprintf(to, (size_t)size, "[%s]\n", s->name);
		r->section = s->name;
	} else if (r->grammar == INI_SYSTEMD)
		snprintf(to, (size_t)size, "%s=#%zu\n", s->name, r->next);
	else
		snprintf(to, (size_t)size, "k%zu=#%zu\n", r->next, r->next);
	r->next++;
	return to;
}

/* inih's handler: 0 stands for an error. */
static int
take_event(void *user, const char *section, const char *name, const char *token)
{
	struct reading *r = user;
	const struct ini_statement *s;
	uint64_t at;

	if (token[0] != '#' || !str_to_u64(token + 1, 0, r->statements->count - 1, &at))
		return 0;
	s = &r->statements->items[at];
	if (strcmp(section, r->section) != 0 ||
	    (r->grammar == INI_SYSTEMD && strcmp(name, s->name) != 0))
		return 0;
	r->ini->entries[r->ini->count++] = (struct ini_entry){
	    .section = r->section, .name = s->name, .value = s->value, .line = s->line};
	return 1;
}

/* Let inih read the statements into ini->entries. */
static bool
read_statements(struct ini *ini, const struct ini_statements *st, enum ini_grammar grammar)
{
	struct reading r = {.ini = ini, .statements = st, .grammar = grammar, .section = ""};

	ini->entries = calloc(st->count + 1, sizeof *ini->entries);
	if (ini->entries == NULL) {
		faults_add(st->faults, ini->file, 0, "out of memory");
		return false;
	}
	if (ini_parse_stream(shielded_line, &r, take_event, &r) != 0) {
		faults_add(
		    st->faults, ini->file, 0, "inih read it differently: report this as a bug");
		return false;
	}
	return true;
}

/* What no grammar takes: too much text, or a NUL in it. */
static bool
text_is_plain(const char *file, const char *text, size_t size, struct faults *faults)
{
	const char *nul = size > 0 ? memchr(text, '\0', size) : NULL;
	unsigned line = 1;

	if (size > INI_TEXT_BYTES_MAX) {
		faults_add(faults, file, 0, "larger than %u bytes", INI_TEXT_BYTES_MAX);
		return false;
	}
	if (nul == NULL)
		return true;
	for (const char *p = text; p < nul; p++)
		line += *p == '\n';
	faults_add(faults, file, line, "a NUL byte: this is not a text file");
	return false;
}

bool
ini_parse_text(struct ini *ini, enum ini_grammar grammar, const char *file, const char *text,
    size_t size, struct faults *faults)
{
	struct ini_statements st = {.file = file, .faults = faults};
	size_t faults_before = faults->count;

	*ini = (struct ini){.file = strdup(file)};
	if (!text_is_plain(file, text, size, faults))
		return false;
	/* A line of n bytes and its end hold at most 2n bytes of UTF-8 and two NULs. */
	st.string_bytes = 2 * size + 2;
	st.strings = ini->strings = malloc(st.string_bytes);
	if (ini->file == NULL || st.strings == NULL) {
		faults_add(faults, file, 0, "out of memory");
		return false;
	}
	if (grammar == INI_SYSTEMD)
		ini_split_systemd(&st, text, size);
	else
		ini_split_properties(&st, text, size);
	read_statements(ini, &st, grammar);
	free(st.items);
	return faults->count == faults_before;
}

bool
ini_read_file(struct ini *ini, enum ini_grammar grammar, const char *path, struct faults *faults)
{
	struct buf text;
	bool ok;

	*ini = (struct ini){0};
	buf_init(&text, INI_TEXT_BYTES_MAX);
	ok = fsutil_read(path, INI_TEXT_BYTES_MAX, &text);
	if (ok)
		ok = ini_parse_text(ini, grammar, path, (const char *)text.data, text.len, faults);
	else
		faults_add(faults, path, 0, "cannot read it: %s", strerror(errno));
	buf_fini(&text);
	return ok;
}

void
ini_fini(struct ini *ini)
{
	free(ini->file);
	free(ini->entries);
	free(ini->strings);
	*ini = (struct ini){0};
}
