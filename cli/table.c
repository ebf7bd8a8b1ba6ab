/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The columns of one printing: indices, and the width of each. */
struct layout {
	size_t columns[TABLE_COLUMNS_MAX];
	size_t widths[TABLE_COLUMNS_MAX];
	size_t count;
};

void
table_init(struct table *t, const struct table_column *columns, size_t count)
{
	assert(count > 0 && count <= TABLE_COLUMNS_MAX);
	t->columns = columns;
	t->column_count = count;
	t->cell_count = 0;
	buf_init(&t->cells, TABLE_BYTES_MAX);
}

void
table_fini(struct table *t)
{
	buf_fini(&t->cells);
}

void
table_add(struct table *t, const char *fmt, ...)
{
	size_t start = t->cells.len;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&t->cells, fmt, ap);
	va_end(ap);
	if (t->cells.failed)
		return;
	for (size_t i = start; i < t->cells.len; i++)
		if (t->cells.data[i] < 0x20 || t->cells.data[i] == 0x7f)
			t->cells.data[i] = '?';
	if (t->cells.len == start)
		buf_append(&t->cells, "-", 1);
	buf_append(&t->cells, "", 1);
	t->cell_count++;
}

/* The width of a text on a terminal, as far as UTF-8's continuation bytes tell. */
static size_t
text_width(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static bool
find_column(const struct table *t, const char *name, size_t len, size_t *column)
{
	for (size_t i = 0; i < t->column_count; i++) {
		if (strlen(t->columns[i].name) == len &&
		    strncasecmp(t->columns[i].name, name, len) == 0) {
			*column = i;
			return true;
		}
	}
	return false;
}

static void
say_unknown(const struct table *t, const char *program, const char *name, size_t len)
{
	fprintf(stderr, "%s: -o %.*s: no such column; there are", program, (int)len, name);
	for (size_t i = 0; i < t->column_count; i++) {
		fputc(i == 0 ? ' ' : ',', stderr);
		for (const char *c = t->columns[i].name; *c != '\0'; c++)
			fputc(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c, stderr);
	}
	fputc('\n', stderr);
}

static bool
choose_named(const struct table *t, const char *names, const char *program, struct layout *l)
{
	while (*names != '\0') {
		size_t len = strcspn(names, ",");

		if (l->count == TABLE_COLUMNS_MAX ||
		    !find_column(t, names, len, &l->columns[l->count])) {
			say_unknown(t, program, names, len);
			return false;
		}
		l->count++;
		names += len + (names[len] == ',');
	}
	return true;
}

static bool
choose(const struct table *t, const struct table_view *view, const char *id, const char *program,
    struct layout *l)
{
	memset(l, 0, sizeof *l);
	if (view->quiet)
		return choose_named(t, id, program, l);
	if (view->columns != NULL)
		return choose_named(t, view->columns, program, l);
	for (size_t i = 0; i < t->column_count; i++)
		if (!t->columns[i].hidden)
			l->columns[l->count++] = i;
	return true;
}

/* The start of each cell: the caller frees it. NULL: no memory. */
static const char **
index_cells(const struct table *t)
{
	const char **cells = calloc(t->cell_count + 1, sizeof *cells);
	const char *at = (const char *)t->cells.data;

	for (size_t i = 0; cells != NULL && i < t->cell_count; i++) {
		cells[i] = at;
		at += strlen(at) + 1;
	}
	return cells;
}

static void
measure(const struct table *t, const char *const *cells, bool header, struct layout *l)
{
	for (size_t i = 0; i < l->count; i++) {
		l->widths[i] = header ? strlen(t->columns[l->columns[i]].name) : 0;
		for (size_t cell = l->columns[i]; cell < t->cell_count; cell += t->column_count) {
			size_t width = text_width(cells[cell]);

			if (width > l->widths[i])
				l->widths[i] = width;
		}
	}
}

static void
print_cell(const struct table *t, const struct layout *l, size_t i, const char *text, FILE *to)
{
	int pad = (int)(l->widths[i] - text_width(text));
	bool last = i + 1 == l->count;

	if (t->columns[l->columns[i]].right)
		fprintf(to, "%*s%s", pad, "", text);
	else
		fprintf(to, "%s%*s", text, last ? 0 : pad, "");
	fputs(last ? "\n" : "  ", to);
}

bool
table_print(
    struct table *t, const struct table_view *view, const char *id, const char *program, FILE *to)
{
	bool header = !view->no_header && !view->quiet;
	const char **cells;
	struct layout l;

	assert(t->cell_count % t->column_count == 0 || t->cells.failed);
	if (!choose(t, view, id, program, &l))
		return false;
	cells = t->cells.failed ? NULL : index_cells(t);
	if (cells == NULL) {
		fprintf(stderr, "%s: no memory for the table\n", program);
		return false;
	}
	measure(t, cells, header, &l);
	for (size_t i = 0; header && i < l.count; i++)
		print_cell(t, &l, i, t->columns[l.columns[i]].name, to);
	for (size_t row = 0; row < t->cell_count; row += t->column_count)
		for (size_t i = 0; i < l.count; i++)
			print_cell(t, &l, i, cells[row + l.columns[i]], to);
	free(cells);
	return true;
}
