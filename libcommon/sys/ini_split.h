/* SPDX-License-Identifier: Apache-2.0 */
/* Inside ini.c: what a grammar's splitter makes of a text before inih sees it. */
#ifndef CORRAL_SYS_INI_SPLIT_H
#define CORRAL_SYS_INI_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/sys/faults.h"

struct ini_statement {
	const char *name;  /* a key, or a section's name */
	const char *value; /* NULL: it opens a section */
	unsigned line;
};

struct ini_statements {
	const char *file;
	struct faults *faults;
	struct ini_statement *items;
	size_t count, capacity;
	char *strings; /* all names and values, one allocation of string_bytes */
	size_t strings_used, string_bytes;
};

/*
 * Keep name and value (NULL: a section). False, with a fault, when there is no room; the splitter
 * then stops.
 */
bool ini_statements_add(struct ini_statements *st, const char *name, size_t name_size,
    const char *value, size_t value_size, unsigned line);

/* Split text[size]; faults are added to st->faults. */
void ini_split_systemd(struct ini_statements *st, const char *text, size_t size);
void ini_split_properties(struct ini_statements *st, const char *text, size_t size);

#endif
