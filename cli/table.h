/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people and for awk: an upper-case header, two blanks between columns, no borders,
 * nothing cut off. The same rows serve -o COLUMNS, --no-header and -q.
 */
#ifndef CORRAL_CLI_TABLE_H
#define CORRAL_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "libcommon/base/buf.h"

#define TABLE_COLUMNS_MAX 24
#define TABLE_BYTES_MAX (256u << 20) /* of all cells; beyond it the table is refused as a whole */

struct table_column {
	const char *name; /* the header; -o takes it in lower case */
	bool right;	  /* numbers: aligned to the right */
	bool hidden;	  /* shown only when -o names it */
};

struct table {
	const struct table_column *columns; /* borrowed */
	size_t column_count;
	struct buf cells; /* texts, each ended by a NUL, row after row */
	size_t cell_count;
};

struct table_view {
	const char *columns; /* -o: "a,b,c"; NULL: all that are not hidden */
	bool no_header;
	bool quiet; /* -q: the column `id` only, without header */
};

void table_init(struct table *t, const struct table_column *columns, size_t count);
void table_fini(struct table *t);

/* Add the next cell, from left to right, row after row; control characters come out as '?'; "" is
 * shown as "-". */
void table_add(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Print. `id` is the column that -q prints. False: -o names an unknown column (said on stderr as
 * "program: ..." with the known ones), or memory was short; nothing was printed.
 */
bool table_print(
    struct table *t, const struct table_view *view, const char *id, const char *program, FILE *to);

#endif
