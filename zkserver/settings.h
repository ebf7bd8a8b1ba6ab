/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of zoo.cfg, one row each: what its value may be and where it goes, or why it has no
 * effect here. A new setting is a member of struct zoo_conf, a row, and a line in zkserver(8).
 */
#ifndef CORRAL_ZKSERVER_SETTINGS_H
#define CORRAL_ZKSERVER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum setting_kind {
	SETTING_U32,	/* uint32_t, from min to max */
	SETTING_PORT,	/* int32_t */
	SETTING_TEXT,	/* char[], of at most max bytes */
	SETTING_LIST,	/* char[], each key's value a line of it, of at most max bytes in all */
	SETTING_BOOL,	/* bool: yes, no, true, false */
	SETTING_CHOICE, /* int: the place of the word among those of `words`, blanks between */
	SETTING_FORM,	/* no member: the value says something else than its row: conf.c knows */
	SETTING_ONLY,	/* no member: one of `words` is what this server does; others are refused */
	SETTING_NOTHING, /* no member: needless here, which is said at the start */
};

/* Flags. */
#define SETTING_LIVE 1u	 /* SIGHUP changes it in a running server */
#define SETTING_UNSET 2u /* "-1" leaves the member as it is, as it does in Apache's files */
#define SETTING_JAVA 4u	 /* read as Integer.getInteger() does: 0x10 and 020 are 16 */
#define SETTING_FLOOR 8u /* a number below min is min, as Apache's server takes it */

struct setting {
	const char *key; /* with a '*' at its end: all keys that begin so */
	enum setting_kind kind;
	unsigned flags;
	size_t offset;
	uint64_t min, max;
	const char *words;
	const char *why; /* ONLY, NOTHING: the reason, to stand behind a colon; U32: of its max */
};

/* All of them; *count is set. */
const struct setting *settings_table(size_t *count);

/* The row of a key (without a prefix "zookeeper."); NULL: it is unknown. */
const struct setting *setting_find(const char *key);

/* The place of the word among words[] (letter case aside), or -1. */
int setting_word(const char *words, const char *word);

/* Bytes of the row's member; 0 if it has none. */
size_t setting_size(const struct setting *s);

#endif
