/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines by table: one row an option, from which parsing, --help and the checks of values
 * follow. Wrong usage is said on stderr and ends with 64 (EX_USAGE); --help goes to stdout.
 */
#ifndef CORRAL_CLI_OPTIONS_H
#define CORRAL_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_ROWS_MAX 48
#define OPTIONS_TEXTS_MAX 256

enum option_kind {
	OPTION_FLAG,  /* bool */
	OPTION_TEXT,  /* const char *, borrowed from argv */
	OPTION_TEXTS, /* struct option_texts: each occurrence adds one */
	OPTION_U32,   /* uint32_t */
	OPTION_CPU,   /* uint64_t, thousandths of a cpu */
	OPTION_SIZE,  /* uint64_t, bytes */
	OPTION_TIME,  /* uint64_t, milliseconds */
};

struct option_texts {
	const char *items[OPTIONS_TEXTS_MAX];
	size_t count;
};

struct option_row {
	const char *name; /* without the dashes */
	char letter;	  /* 0: none */
	enum option_kind kind;
	size_t offset;	      /* of the member in the options' struct */
	const char *argument; /* for --help: "N", "FILE"; NULL for a flag */
	const char *help;
};

struct option_verb {
	const char *program;  /* "corral" */
	const char *name;     /* "submit"; NULL: the program has no verbs */
	const char *operands; /* for --help: "FILE..." */
	const char *summary;
	const struct option_row *rows;
	size_t row_count;
	unsigned operands_min, operands_max;
	bool command; /* options end at the first operand: the rest is somebody else's command line
		       */
	const char *place; /* "FILE:LINE" if the words stand in a script; NULL: command line */
};

enum options_result {
	OPTIONS_GO,    /* *first is the index of the first operand in argv, which may have been
			  permuted */
	OPTIONS_HELP,  /* --help was asked for and printed: exit 0 */
	OPTIONS_WRONG, /* said on stderr: exit 64 */
};

/*
 * Read argv[1] to argv[argc - 1] into *options, whose members were set to their defaults by the
 * caller; argv[0] is not looked at.
 */
enum options_result options_parse(
    const struct option_verb *verb, int argc, char **argv, void *options, int *first);

#endif
