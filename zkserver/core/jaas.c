/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/jaas.h"

#include <string.h>

enum token { TOKEN_END, TOKEN_WORD, TOKEN_MARK, TOKEN_BAD };

struct lexer {
	const char *p, *end;
	unsigned line;
	const char *why;
	enum token token; /* the one that is looked at */
	char mark;	  /* of TOKEN_MARK: one of "{};=" */
	char text[JAAS_WORD_MAX];
};

static bool
starts(const struct lexer *l, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(l->end - l->p) >= len && memcmp(l->p, text, len) == 0;
}

static void
advance(struct lexer *l)
{
	if (*l->p++ == '\n')
		l->line++;
}

static enum token
bad(struct lexer *l, const char *why)
{
	l->why = why;
	return TOKEN_BAD;
}

/* Blanks and comments of all three kinds; false: a comment does not end. */
static bool
skip_blanks(struct lexer *l)
{
	while (l->p < l->end) {
		if (strchr(" \t\r\n\f", *l->p) != NULL && *l->p != '\0')
			advance(l);
		else if (*l->p == '#' || starts(l, "//")) {
			while (l->p < l->end && *l->p != '\n')
				l->p++;
		} else if (starts(l, "/*")) {
			for (l->p += 2; l->p < l->end && !starts(l, "*/");)
				advance(l);
			if (l->p == l->end)
				return false;
			l->p += 2;
		} else
			break;
	}
	return true;
}

static enum token
put_char(struct lexer *l, size_t *len)
{
	if (*l->p == '\0')
		return bad(l, "a NUL byte");
	if (*len + 1 >= sizeof l->text)
		return bad(l, "a name or value of more than 1023 bytes");
	l->text[(*len)++] = *l->p;
	advance(l);
	return TOKEN_WORD;
}

/* "...", with Java's backslashes before quotes and backslashes. */
static enum token
read_quoted(struct lexer *l)
{
	size_t len = 0;

	l->p++;
	while (l->p < l->end && *l->p != '"' && *l->p != '\n') {
		if (*l->p == '\\' && l->p + 1 < l->end && (l->p[1] == '"' || l->p[1] == '\\'))
			l->p++;
		if (put_char(l, &len) == TOKEN_BAD)
			return TOKEN_BAD;
	}
	if (l->p == l->end || *l->p != '"')
		return bad(l, "a quoted value does not end on its line");
	l->p++;
	l->text[len] = '\0';
	return TOKEN_WORD;
}

static enum token
read_word(struct lexer *l)
{
	size_t len = 0;

	while (l->p < l->end && strchr(" \t\r\n\f{};=\"", *l->p) == NULL) {
		if (put_char(l, &len) == TOKEN_BAD)
			return TOKEN_BAD;
	}
	if (len == 0)
		return bad(l, "a NUL byte");
	l->text[len] = '\0';
	return TOKEN_WORD;
}

static enum token
next(struct lexer *l)
{
	if (!skip_blanks(l))
		return l->token = bad(l, "a comment does not end");
	if (l->p == l->end)
		return l->token = TOKEN_END;
	if (*l->p != '\0' && strchr("{};=", *l->p) != NULL) {
		l->mark = *l->p++;
		return l->token = TOKEN_MARK;
	}
	return l->token = *l->p == '"' ? read_quoted(l) : read_word(l);
}

static bool
is_mark(const struct lexer *l, char mark)
{
	return l->token == TOKEN_MARK && l->mark == mark;
}

/* Past the mark that must stand here. */
static bool
expect(struct lexer *l, char mark, const char *why)
{
	if (!is_mark(l, mark)) {
		if (l->token != TOKEN_BAD)
			bad(l, why);
		return false;
	}
	return next(l) != TOKEN_BAD;
}

/* The word that is looked at, copied, and past it. */
static bool
take_word(struct lexer *l, char to[JAAS_WORD_MAX], const char *why)
{
	if (l->token != TOKEN_WORD) {
		if (l->token != TOKEN_BAD)
			bad(l, why);
		return false;
	}
	memcpy(to, l->text, strlen(l->text) + 1);
	return next(l) != TOKEN_BAD;
}

static bool
report(struct lexer *l, jaas_entry *entry, void *arg, const char *module, const char *key,
    const char *value)
{
	const char *why = entry != NULL ? entry(arg, module, key, value) : NULL;

	if (why != NULL)
		bad(l, why);
	return why == NULL;
}

/* MODULE FLAG KEY=VALUE ... ; entry NULL: of a section that nobody asked for. */
static bool
parse_module(struct lexer *l, jaas_entry *entry, void *arg)
{
	char module[JAAS_WORD_MAX], key[JAAS_WORD_MAX], value[JAAS_WORD_MAX];

	if (!take_word(l, module, "a module's class is expected") ||
	    !take_word(l, value, "a flag (required, optional, ...) is expected") ||
	    !report(l, entry, arg, module, NULL, NULL))
		return false;
	while (l->token == TOKEN_WORD) {
		if (!take_word(l, key, "") || !expect(l, '=', "an option has no '='") ||
		    !take_word(l, value, "an option has no value") ||
		    !report(l, entry, arg, module, key, value))
			return false;
	}
	return expect(l, ';', "a module's options end with a ';'");
}

static bool
parse_section(struct lexer *l, jaas_entry *entry, void *arg)
{
	if (!expect(l, '{', "a section's name is followed by a '{'"))
		return false;
	while (l->token == TOKEN_WORD) {
		if (!parse_module(l, entry, arg))
			return false;
	}
	return expect(l, '}', "a section ends with a '}'") &&
	       expect(l, ';', "a section ends with a ';' behind its '}'");
}

enum jaas_result
jaas_parse(const char *text, size_t size, const char *section, jaas_entry *entry, void *arg,
    struct jaas_fault *fault)
{
	struct lexer l = {.p = text, .end = text + size, .line = 1};
	enum jaas_result result = JAAS_NO_SECTION;
	char name[JAAS_WORD_MAX];
	bool ok = next(&l) != TOKEN_BAD;

	while (ok && l.token != TOKEN_END) {
		bool wanted;

		ok = take_word(&l, name, "a section's name is expected");
		wanted = ok && strcmp(name, section) == 0;
		ok = ok && parse_section(&l, wanted ? entry : NULL, arg);
		if (wanted)
			result = JAAS_FOUND;
	}
	*fault = (struct jaas_fault){l.line, l.why};
	return ok ? result : JAAS_BAD;
}
