/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/job/words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"
#include "libcommon/base/utf8.h"
#include "libcommon/sys/ini.h"

#define BLANKS " \t\n\r"

bool
words_add(struct jobfile_words *words, const char *text, size_t size)
{
	char **items;

	if (words->count == JOBFILE_WORDS_MAX)
		return false;
	if ((items = reallocarray(words->items, words->count + 2, sizeof *items)) == NULL)
		return false;
	words->items = items;
	items[words->count] = NULL;
	if ((items[words->count] = strndup(text, size)) == NULL)
		return false;
	items[++words->count] = NULL;
	return true;
}

void
words_clear(struct jobfile_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->items[i]);
	free(words->items);
	*words = (struct jobfile_words){0};
}

/* `digits` digits of this base at *p; false if there are fewer. */
static bool
scan_digits(const char **p, int digits, unsigned base, uint32_t *code)
{
	*code = 0;
	for (int i = 0; i < digits; i++) {
		unsigned digit = str_digit((*p)[i]);

		if (digit >= base)
			return false;
		*code = *code * base + digit;
	}
	*p += digits;
	return true;
}

/* An escape that stands for a number, behind its backslash: \xHH, \OOO, \uHHHH, \UHHHHHHHH. */
static bool
scan_numeric(const char **p, struct buf *word, const char **wrong)
{
	const char *at = *p;
	char bytes[UTF8_BYTES_MAX];
	uint32_t code;
	bool is_byte = *at == 'x' || (*at >= '0' && *at <= '7');

	if (*at == 'x' || *at == 'u' || *at == 'U') {
		at++;
		if (!scan_digits(&at, **p == 'x' ? 2 : **p == 'u' ? 4 : 8, 16, &code))
			return false;
	} else if (!scan_digits(&at, 3, 8, &code))
		return false;
	if (code == 0)
		*wrong = "an escape for NUL, which no argument can hold";
	else if ((is_byte && code > 0xff) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		*wrong = "an escape for no character";
	else if (is_byte) {
		bytes[0] = (char)code;
		buf_append(word, bytes, 1);
	} else
		buf_append(word, bytes, utf8_put(bytes, code));
	*p = at;
	return true;
}

/* An escape, *p behind its backslash. */
static void
scan_escape(const char **p, struct buf *word, const char **wrong)
{
	static const char letters[] = "abfnrtvs\\\"'", meanings[] = "\a\b\f\n\r\t\v \\\"'";
	const char *letter;

	if (**p == '\0') {
		*wrong = "a backslash at the end";
		return;
	}
	if ((letter = strchr(letters, **p)) != NULL) {
		buf_append(word, &meanings[letter - letters], 1);
		++*p;
	} else if (!scan_numeric(p, word, wrong)) {
		/* Unknown: kept, as systemd does. */
		buf_append(word, "\\", 1);
		buf_append(word, (*p)++, 1);
	}
}

/* One word, *p at its first character, into word. */
static const char *
scan_word(const char **p, struct buf *word)
{
	const char *wrong = NULL;
	char quote = '\0';

	while (wrong == NULL && **p != '\0' && (quote != '\0' || strchr(BLANKS, **p) == NULL)) {
		char c = *(*p)++;

		if (c == '\\')
			scan_escape(p, word, &wrong);
		else if (c == quote)
			quote = '\0';
		else if (quote == '\0' && (c == '\'' || c == '"'))
			quote = c;
		else
			buf_append(word, &c, 1);
	}
	if (wrong == NULL && quote != '\0')
		wrong = quote == '"' ? "a \" without its end" : "a ' without its end";
	return wrong;
}

/* Is this text behind p the end of a word? */
static bool
is_word_end(const char *p)
{
	return *p == '\0' || strchr(BLANKS, *p) != NULL;
}

const char *
words_split(struct jobfile_words *words, const char *line, bool command)
{
	const char *wrong = NULL, *p = line;
	struct buf word;

	buf_init(&word, INI_LINE_BYTES_MAX);
	for (p += strspn(p, BLANKS); wrong == NULL && *p != '\0'; p += strspn(p, BLANKS)) {
		buf_clear(&word);
		if (command && *p == ';' && is_word_end(p + 1)) {
			wrong =
			    "several commands in one line; use sh -c '...', or \\; for a ';' of "
			    "its own";
		} else if (command && p[0] == '\\' && p[1] == ';' && is_word_end(p + 2)) {
			buf_append(&word, ";", 1);
			p += 2;
		} else
			wrong = scan_word(&p, &word);
		if (wrong == NULL &&
		    (word.failed ||
			!words_add(words, word.len > 0 ? (char *)word.data : "", word.len)))
			wrong =
			    words->count == JOBFILE_WORDS_MAX ? "too many words" : "out of memory";
	}
	buf_fini(&word);
	return wrong;
}
