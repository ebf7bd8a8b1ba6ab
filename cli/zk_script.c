/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/zk_script.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "libcommon/base/amount.h"
#include "libcommon/base/str.h"
#include "libcommon/base/utf8.h"

#define WORDS_MAX 256
#define PLACE_BYTES_MAX 300

/* The words of one line, cut from its text; each ends with a NUL and may have more inside. */
struct words {
	char *items[WORDS_MAX + 1];
	size_t sizes[WORDS_MAX];
	int count;
};

static const struct option_row create_rows[] = {ZK_CREATE_ROWS};
static const struct option_row set_rows[] = {
    ZK_NULL_ROW, ZK_VERSION_ROW("only if the node has this version")};
static const struct option_row version_rows[] = {
    ZK_VERSION_ROW("only if the node has this version")};

#define VERB(name_, operands_, most, rows_)                                                        \
	{                                                                                          \
		.program = "zk", .name = name_, .operands = operands_, .rows = rows_,              \
		.row_count = sizeof rows_ / sizeof rows_[0], .operands_min = 1,                    \
		.operands_max = most, .command = true                                              \
	}

static const struct {
	struct option_verb verb;
	enum zk_opcode type; /* of create: zk_change_create() says it */
} verbs[] = {
    {VERB("create", "PATH [DATA]", 2, create_rows), ZK_OP_CREATE2},
    {VERB("set", "PATH [DATA]", 2, set_rows), ZK_OP_SET_DATA},
    {VERB("rm", "PATH", 1, version_rows), ZK_OP_DELETE},
    {VERB("check", "PATH", 1, version_rows), ZK_OP_CHECK},
};

#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static enum zk_script_result __attribute__((format(printf, 2, 3)))
script_wrong(const struct zk_script *script, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "zk: %s:%u: ", script->name, script->line);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return ZK_SCRIPT_WRONG;
}

/* What stands behind a backslash, to *to; the bytes that it took, 0 if it is no escape. */
static size_t
unescape(const char *at, const char *end, char *to)
{
	static const char letters[] = "\"\\nrt", bytes[] = "\"\\\n\r\t";
	const char *letter = at < end && *at != '\0' ? strchr(letters, *at) : NULL;

	if (letter != NULL) {
		*to = bytes[letter - letters];
		return 1;
	}
	if (end - at < 3 || *at != 'x' || str_digit(at[1]) > 15 || str_digit(at[2]) > 15)
		return 0;
	*to = (char)(str_digit(at[1]) << 4 | str_digit(at[2]));
	return 3;
}

/* A word in quotes, unescaped in place; the byte behind it, or NULL with *fault. */
static char *
quoted_word(char *at, const char *end, size_t *size, const char **fault)
{
	char *to = at, *start = at;

	*fault = "a quote is not closed in this line";
	while (at < end && *at != '"') {
		if (*at != '\\') {
			*to++ = *at++;
			continue;
		}
		size_t taken = unescape(at + 1, end, to);

		if (taken == 0) {
			*fault = "a backslash in quotes is followed by one of \" \\ n r t xHH";
			return NULL;
		}
		to++;
		at += 1 + taken;
	}
	if (at == end)
		return NULL;
	*size = (size_t)(to - start);
	*to = '\0';
	return at + 1;
}

/* Cut a line up. A fault's text, or NULL. */
static const char *
words_cut(struct words *words, char *at, char *end)
{
	const char *fault = NULL;

	for (words->count = 0;; words->count++) {
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		words->items[words->count] = NULL;
		if (at == end)
			return NULL;
		if (words->count == WORDS_MAX)
			return "there are more words than a change can have";
		words->items[words->count] = *at == '"' ? at + 1 : at;
		if (*at == '"') {
			at = quoted_word(at + 1, end, &words->sizes[words->count], &fault);
			if (at == NULL)
				return fault;
		} else {
			char *start = at;

			while (at < end && *at != ' ' && *at != '\t')
				at++;
			words->sizes[words->count] = (size_t)(at - start);
		}
		if (at < end && *at != ' ' && *at != '\t')
			return "words are separated by blanks";
		*at++ = '\0';
		if (at > end)
			at = end;
	}
}

static bool
script_fill(struct zk_change *change, const struct zk_options *options, const struct words *words,
    int first, const char *place)
{
	struct zk_op *op = &change->op;

	op->path = words->items[first];
	op->version = (int32_t)options->version;
	op->data = options->null ? NULL : "";
	if (first + 1 < words->count) {
		op->data = words->items[first + 1];
		op->size = words->sizes[first + 1];
	}
	return op->type != ZK_OP_CREATE2 || zk_change_create(change, options, place);
}

/* A word but the data, in which it is any byte, that a zero byte would cut short; or NULL. */
static const char *
words_cut_short(const struct words *words, int data)
{
	for (int i = 0; i < words->count; i++) {
		if (i != data && strlen(words->items[i]) != words->sizes[i])
			return words->items[i];
	}
	return NULL;
}

static enum zk_script_result
script_change(const struct zk_script *script, struct zk_change *change, struct words *words)
{
	struct zk_options options = {.version = UINT32_MAX, .ttl_ms = AMOUNT_TIME_FOREVER};
	char place[PLACE_BYTES_MAX];
	struct option_verb verb;
	const char *fault;
	size_t i = 0;
	int first;

	while (i < VERB_COUNT && strcmp(verbs[i].verb.name, words->items[0]) != 0)
		i++;
	if (i == VERB_COUNT)
		return script_wrong(
		    script, "'%s' is no change: it is create, set, rm or check", words->items[0]);
	snprintf(place, sizeof place, "%s:%u", script->name, script->line);
	verb = verbs[i].verb;
	verb.place = place;
	if (options_parse(&verb, words->count, words->items, &options, &first) != OPTIONS_GO)
		return ZK_SCRIPT_WRONG;
	if ((fault = words_cut_short(words, first + 1)) != NULL)
		return script_wrong(
		    script, "'%s' goes on with a zero byte, which only data can have", fault);
	change->op.type = verbs[i].type;
	if (!script_fill(change, &options, words, first, place))
		return ZK_SCRIPT_WRONG;
	fault = zk_path_fault(change->op.path);
	if (fault != NULL)
		return script_wrong(script, "%s: not a path: %s", change->op.path, fault);
	return ZK_SCRIPT_CHANGE;
}

static void
script_mark(struct zk_script *script, const char *line)
{
	script->begun = script->begun || strcmp(line, ZK_SCRIPT_BEGIN) == 0;
	script->ended = strcmp(line, ZK_SCRIPT_END_MARK) == 0;
}

enum zk_script_result
zk_script_next(struct zk_script *script, struct zk_change *change)
{
	struct words words;
	size_t size = 0;
	const char *fault;
	ssize_t len;

	*change = (struct zk_change){.acls = NULL};
	do {
		errno = 0;
		len = getline(&change->line, &size, script->from);
		if (len < 0) {
			if (errno == 0 && !ferror(script->from))
				return ZK_SCRIPT_END;
			return script_wrong(script, "%s", strerror(errno));
		}
		script->line++;
		if (len > 0 && change->line[len - 1] == '\n')
			change->line[--len] = '\0';
		if (change->line[0] == '#') {
			script_mark(script, change->line);
			len = 0;
		}
		fault = words_cut(&words, change->line, change->line + len);
		if (fault != NULL)
			return script_wrong(script, "%s", fault);
	} while (words.count == 0);
	return script_change(script, change, &words);
}

void
zk_script_quote(struct buf *b, const void *bytes, size_t size)
{
	static const char letters[] = "\"\\nrt", plain[] = "\"\\\n\r\t";
	const char *at = bytes, *end = at + size;

	buf_append(b, "\"", 1);
	while (at < end) {
		size_t n = utf8_char_bytes(at, (size_t)(end - at));
		const char *special = n == 1 && *at != '\0' ? strchr(plain, *at) : NULL;

		if (special != NULL)
			buf_printf(b, "\\%c", letters[special - plain]);
		else if (n > 1 || (n == 1 && *at >= ' ' && *at != 0x7f))
			buf_append(b, at, n);
		else
			buf_printf(b, "\\x%02x", (unsigned char)*at);
		at += n > 0 ? n : 1;
	}
	buf_append(b, "\"", 1);
}
