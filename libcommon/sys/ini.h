/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one reader of configuration and job files: text in memory to a list of entries, over inih.
 * inih as distributions build it cuts values at " ;", lines at 200 bytes and section names at 50,
 * so a stream in front of it assembles whole lines and hands inih a short token in place of each
 * value.
 *
 * INI_SYSTEMD (systemd.syntax(7)): [section], KEY=VALUE, comments are whole lines that begin with
 * '#' or ';', a backslash at the end of a line joins the next one with a blank (comment lines
 * between are skipped), blanks around key and value are dropped. Text must be UTF-8. Repeated keys
 * are entries of their own.
 *
 * INI_PROPERTIES (java.util.Properties.load(InputStream)): no sections; '=', ':' or blanks
 * separate;
 * '#' and '!' begin comments; backslash escapes, \uXXXX and continuation; bytes are Latin-1 and
 * come out as UTF-8. Of a repeated key the last one wins: there is one entry a key.
 */
#ifndef CORRAL_SYS_INI_H
#define CORRAL_SYS_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/sys/faults.h"

#define INI_LINE_BYTES_MAX 65536 /* of a line after joining */
#define INI_TEXT_BYTES_MAX (4u << 20)
#define INI_ENTRIES_MAX 65536
#define INI_NAME_BYTES_MAX 120 /* of a key; INI_SYSTEMD only */
#define INI_SECTION_BYTES_MAX 48

enum ini_grammar { INI_SYSTEMD, INI_PROPERTIES };

struct ini_entry {
	const char *section; /* "" before the first one and in INI_PROPERTIES */
	const char *name;
	const char *value;
	unsigned line; /* where the entry begins, from 1 */
};

struct ini {
	char *file; /* the name for messages */
	struct ini_entry *entries;
	size_t count;
	char *strings; /* what the entries point into */
};

/*
 * Read text[size]. `file` is used in messages only and copied. False if a fault was added to
 * faults; *ini then still holds the entries that could be read, so that their faults can be found,
 * too. The caller releases it with ini_fini() in either case.
 */
bool ini_parse_text(struct ini *ini, enum ini_grammar grammar, const char *file, const char *text,
    size_t size, struct faults *faults);

/* The same from a file. */
bool ini_read_file(
    struct ini *ini, enum ini_grammar grammar, const char *path, struct faults *faults);

void ini_fini(struct ini *ini);

#endif
