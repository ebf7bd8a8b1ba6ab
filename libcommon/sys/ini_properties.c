/* SPDX-License-Identifier: Apache-2.0 */
/* The splitter for java.util.Properties.load(InputStream), after its specification in Java SE 17.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/base/utf8.h"
#include "libcommon/sys/ini.h"
#include "libcommon/sys/ini_split.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

static bool
is_line_end(char c)
{
	return c == '\n' || c == '\r';
}

struct cursor {
	const char *at, *end;
	unsigned line;
};

/* Step over one line end: \n, \r or \r\n. */
static void
skip_line_end(struct cursor *c)
{
	if (c->at < c->end && *c->at++ == '\r' && c->at < c->end && *c->at == '\n')
		c->at++;
	c->line++;
}

static void
skip_blanks(struct cursor *c)
{
	while (c->at < c->end && is_blank(*c->at))
		c->at++;
}

/* Step to the first byte of the next line that holds something; false at the end of the text. */
static bool
skip_empty_lines(struct cursor *c)
{
	for (;;) {
		skip_blanks(c);
		if (c->at == c->end)
			return false;
		if (*c->at == '#' || *c->at == '!') {
			while (c->at < c->end && !is_line_end(*c->at))
				c->at++;
		} else if (!is_line_end(*c->at))
			return true;
		skip_line_end(c);
	}
}

/*
 * The next logical line without its leading blanks, continuations joined, escapes as they are.
 * *first is the line it begins on. False at the end of the text. Only a lone backslash as the last
 * byte, or before one, makes an empty line; Java reads an empty key from it, and so do we.
 */
static bool
next_logical_line(struct cursor *c, struct buf *to, unsigned *first)
{
	ptrdiff_t left;
	bool escaped;

	buf_clear(to);
	do {
		const char *start;

		/*
		 * While nothing was gathered a comment is still a comment, even behind a
		 * continuation.
		 */
		if (to->len == 0) {
			if (!skip_empty_lines(c))
				return false;
			*first = c->line;
		}
		skip_blanks(c);
		escaped = false;
		for (start = c->at; c->at < c->end && !is_line_end(*c->at); c->at++)
			escaped = *c->at == '\\' && !escaped;
		buf_append(to, start, (size_t)(c->at - start) - escaped);
		left = c->end - c->at;
		skip_line_end(c);
	} while (escaped && c->at < c->end);
	return to->len > 0 || to->failed || left <= 1;
}

/* Four hex digits at p; false if there are fewer before end. */
static bool
scan_hex4(const char *p, const char *end, uint32_t *code)
{
	*code = 0;
	if (end - p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		unsigned digit = str_digit(p[i]);

		if (digit > 15)
			return false;
		*code = *code << 4 | digit;
	}
	return true;
}

/*
 * \uXXXX at *p (behind the 'u'), with its second half if it is a pair: a code point; NULL or a
 * fault.
 */
static const char *
scan_unicode(const char **p, const char *end, uint32_t *code)
{
	uint32_t low;

	if (!scan_hex4(*p, end, code))
		return "\\u needs four hexadecimal digits";
	*p += 4;
	if (*code == 0)
		return "\\u0000 cannot be part of a text";
	if (*code < 0xd800 || *code > 0xdfff)
		return NULL;
	if (*code > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u' ||
	    !scan_hex4(*p + 2, end, &low) || low < 0xdc00 || low > 0xdfff)
		return "half of a surrogate pair";
	*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
	*p += 6;
	return NULL;
}

/* Append p to end to `to` as UTF-8, with escapes replaced. NULL, or what is wrong. */
static const char *
unescape(const char *p, const char *end, struct buf *to)
{
	static const char letters[] = "trnf", meanings[] = "\t\r\n\f";

	while (p < end) {
		uint32_t code = (unsigned char)*p++;
		char bytes[UTF8_BYTES_MAX];

		if (code == '\\' && p < end) {
			char c = *p++;
			const char *letter = strchr(letters, c);
			const char *wrong = NULL;

			code = letter != NULL ? (unsigned char)meanings[letter - letters]
					      : (unsigned char)c;
			if (c == 'u')
				wrong = scan_unicode(&p, end, &code);
			if (wrong != NULL)
				return wrong;
		}
		buf_append(to, bytes, utf8_put(bytes, code));
	}
	return NULL;
}

/* Where the key ends and where the value begins. */
static void
find_value(const char *text, const char *end, const char **key_end, const char **value)
{
	bool escaped = false, separated = false;
	const char *p = text;

	for (; p < end; p++) {
		if (!escaped && (*p == '=' || *p == ':' || is_blank(*p)))
			break;
		escaped = *p == '\\' && !escaped;
	}
	*key_end = p;
	for (; p < end; p++) {
		if (!separated && (*p == '=' || *p == ':'))
			separated = true;
		else if (!is_blank(*p))
			break;
	}
	*value = p;
}

/* False if the splitter must stop. */
static bool
take_line(struct ini_statements *st, const struct buf *joined, struct buf *plain, unsigned line)
{
	const char *text = joined->len > 0 ? (const char *)joined->data : "",
		   *end = text + joined->len;
	const char *key_end, *value, *wrong;
	size_t key_size;

	if (joined->failed) {
		faults_add(
		    st->faults, st->file, line, "a line longer than %d bytes", INI_LINE_BYTES_MAX);
		return true;
	}
	find_value(text, end, &key_end, &value);
	buf_clear(plain);
	wrong = unescape(text, key_end, plain);
	key_size = plain->len;
	if (wrong == NULL)
		wrong = unescape(value, end, plain);
	if (wrong != NULL) {
		faults_add(st->faults, st->file, line, "%s", wrong);
		return true;
	}
	if (plain->failed) {
		faults_add(st->faults, st->file, line, "out of memory");
		return false;
	}
	/* A key may be empty, and then nothing was allocated. */
	return ini_statements_add(st, plain->len > 0 ? (const char *)plain->data : "", key_size,
	    plain->len > 0 ? (const char *)plain->data + key_size : "", plain->len - key_size,
	    line);
}

static int
compare_names(const void *a, const void *b)
{
	const struct ini_statement *const *x = a, *const *y = b;
	int order = strcmp((*x)->name, (*y)->name);

	return order != 0 ? order : *x < *y ? -1 : *x > *y;
}

/* Of each key keep the last statement, in place. */
static bool
keep_last(struct ini_statements *st)
{
	struct ini_statement **sorted = calloc(st->count + 1, sizeof(*sorted));
	size_t kept = 0;

	if (sorted == NULL) {
		faults_add(st->faults, st->file, 0, "out of memory");
		return false;
	}
	for (size_t i = 0; i < st->count; i++)
		sorted[i] = &st->items[i];
	qsort(sorted, st->count, sizeof(*sorted), compare_names);
	for (size_t i = 0; i + 1 < st->count; i++) {
		if (strcmp(sorted[i]->name, sorted[i + 1]->name) == 0)
			sorted[i]->line = 0; /* replaced later */
	}
	free(sorted);
	for (size_t i = 0; i < st->count; i++) {
		if (st->items[i].line != 0)
			st->items[kept++] = st->items[i];
	}
	st->count = kept;
	return true;
}

void
ini_split_properties(struct ini_statements *st, const char *text, size_t size)
{
	struct cursor c = {.at = text, .end = text + size, .line = 1};
	struct buf joined, plain;
	unsigned line = 0;

	buf_init(&joined, INI_LINE_BYTES_MAX);
	buf_init(&plain, 2 * INI_LINE_BYTES_MAX);
	while (next_logical_line(&c, &joined, &line)) {
		if (!take_line(st, &joined, &plain, line))
			break;
	}
	buf_fini(&joined);
	buf_fini(&plain);
	keep_last(st);
}
