/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/amount.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/faults.h"

/* Numbers of getopt_long() for rows without a letter, above every letter. */
#define ROW_BASE 1000
#define HELP_VALUE (ROW_BASE - 1)

struct getopt_tables {
	struct option longs[OPTIONS_ROWS_MAX + 2];
	char letters[2 * OPTIONS_ROWS_MAX + 4];
};

static void
build_tables(const struct option_verb *verb, struct getopt_tables *t)
{
	char *to = t->letters;

	assert(verb->row_count <= OPTIONS_ROWS_MAX);
	memset(t, 0, sizeof *t);
	if (verb->command)
		*to++ = '+';
	*to++ = ':';
	for (size_t i = 0; i < verb->row_count; i++) {
		const struct option_row *row = &verb->rows[i];
		bool takes = row->kind != OPTION_FLAG;

		t->longs[i] = (struct option){
		    row->name, takes ? required_argument : no_argument, NULL, ROW_BASE + (int)i};
		if (row->letter != 0)
			*to++ = row->letter;
		if (row->letter != 0 && takes)
			*to++ = ':';
	}
	*to++ = 'h';
	t->longs[verb->row_count] = (struct option){"help", no_argument, NULL, HELP_VALUE};
}

static const struct option_row *
find_row(const struct option_verb *verb, int value)
{
	if (value >= ROW_BASE)
		return &verb->rows[value - ROW_BASE];
	for (size_t i = 0; i < verb->row_count; i++)
		if (verb->rows[i].letter != 0 && verb->rows[i].letter == value)
			return &verb->rows[i];
	return NULL;
}

static bool
add_text(struct option_texts *texts, const char *value)
{
	if (texts->count == OPTIONS_TEXTS_MAX)
		return false;
	texts->items[texts->count++] = value;
	return true;
}

/* The text of an option's argument to its member. False: it is not one of its kind. */
static bool
store(const struct option_row *row, const char *value, void *options)
{
	void *member = (char *)options + row->offset;
	uint64_t number;

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)member = true;
		return true;
	case OPTION_TEXT:
		*(const char **)member = value;
		return true;
	case OPTION_TEXTS:
		return add_text(member, value);
	case OPTION_U32:
		if (!str_to_u64(value, 0, UINT32_MAX, &number))
			return false;
		*(uint32_t *)member = (uint32_t)number;
		return true;
	case OPTION_CPU:
		return amount_parse_cpu(value, member);
	case OPTION_SIZE:
		return amount_parse_size(value, member);
	case OPTION_TIME:
		return amount_parse_time(value, member);
	}
	return false;
}

static const char *
kind_example(enum option_kind kind)
{
	switch (kind) {
	case OPTION_U32:
		return "a whole number";
	case OPTION_CPU:
		return "a number such as 2 or 0.5";
	case OPTION_SIZE:
		return "a size such as 256M or 1.5G";
	case OPTION_TIME:
		return "a time such as 90, 5min or 1h 30s";
	default:
		return "fewer of them";
	}
}

static void
say_usage(const struct option_verb *verb, FILE *to)
{
	fprintf(to, "usage: %s%s%s [OPTION]...%s%s\n", verb->program, verb->name != NULL ? " " : "",
	    verb->name != NULL ? verb->name : "", verb->operands[0] != '\0' ? " " : "",
	    verb->operands);
}

/* What a fault begins with: "corral: ", or "zk: FILE:LINE: " in a script. */
static void
say_place(const struct option_verb *verb)
{
	fprintf(stderr, "%s: ", verb->program);
	if (verb->place != NULL)
		fprintf(stderr, "%s: %s: ", verb->place, verb->name);
}

static enum options_result
wrong(const struct option_verb *verb)
{
	if (verb->place != NULL)
		return OPTIONS_WRONG;
	say_usage(verb, stderr);
	fprintf(stderr, "'%s%s%s --help' has the options.\n", verb->program,
	    verb->name != NULL ? " " : "", verb->name != NULL ? verb->name : "");
	return OPTIONS_WRONG;
}

static void
print_help(const struct option_verb *verb)
{
	say_usage(verb, stdout);
	printf("%s\n\n", verb->summary);
	for (size_t i = 0; i < verb->row_count; i++) {
		const struct option_row *row = &verb->rows[i];
		char head[64];

		snprintf(head, sizeof head, "%c%c%s --%s%s%s", row->letter != 0 ? '-' : ' ',
		    row->letter != 0 ? row->letter : ' ', row->letter != 0 ? "," : " ", row->name,
		    row->argument != NULL ? " " : "", row->argument != NULL ? row->argument : "");
		printf("  %-28s %s\n", head, row->help);
	}
	printf("  %-28s this text\n", "-h, --help");
}

/* A word --NAME[=VALUE] that is no option: too short, a flag with a value, or unknown. */
static void
say_unknown(const struct option_verb *verb, const char *word)
{
	const char *name = word + strspn(word, "-"), *nearest;
	const char *names[OPTIONS_ROWS_MAX + 1];
	size_t size = strcspn(name, "="), alike = 0;
	bool exact = false;

	for (size_t i = 0; i < verb->row_count; i++) {
		names[i] = verb->rows[i].name;
		alike += strncmp(names[i], name, size) == 0;
		exact = exact || (strlen(names[i]) == size && strncmp(names[i], name, size) == 0);
	}
	names[verb->row_count] = "help";
	nearest = faults_nearest(name, names, verb->row_count + 1);
	if (alike > 1 && !exact)
		fprintf(stderr, "option %s may be one of several: write it out\n", word);
	else if (alike > 0)
		fprintf(stderr, "option --%.*s takes no argument\n", (int)size, name);
	else if (nearest != NULL)
		fprintf(stderr, "unknown option %s, did you mean --%s?\n", word, nearest);
	else
		fprintf(stderr, "unknown option %s\n", word);
}

/* What getopt_long() refused: value is '?' (unknown) or ':' (its argument is missing). */
static enum options_result
refuse(const struct option_verb *verb, int value, char **argv)
{
	const char *word = argv[optind - 1];

	say_place(verb);
	if (value == ':')
		fprintf(stderr, "option %s needs an argument\n", word);
	else if (optopt != 0 && optopt < ROW_BASE - 1)
		fprintf(stderr, "unknown option -%c\n", optopt);
	else
		say_unknown(verb, word);
	return wrong(verb);
}

static enum options_result
check_operands(const struct option_verb *verb, int argc, char **argv)
{
	unsigned count = (unsigned)(argc - optind);

	if (count < verb->operands_min) {
		say_place(verb);
		fprintf(stderr, "%s is missing\n", verb->operands);
		return wrong(verb);
	}
	if (count > verb->operands_max) {
		say_place(verb);
		fprintf(stderr, "'%s' is one operand too many\n",
		    argv[optind + (int)verb->operands_max]);
		return wrong(verb);
	}
	return OPTIONS_GO;
}

enum options_result
options_parse(const struct option_verb *verb, int argc, char **argv, void *options, int *first)
{
	struct getopt_tables tables;
	int value;

	build_tables(verb, &tables);
	optind = 0;
	opterr = 0;
	while ((value = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
		const struct option_row *row;

		if (value == HELP_VALUE || value == 'h') {
			print_help(verb);
			return OPTIONS_HELP;
		}
		if (value == '?' || value == ':')
			return refuse(verb, value, argv);
		row = find_row(verb, value);
		assert(row != NULL);
		if (!store(row, optarg, options)) {
			say_place(verb);
			fprintf(stderr, "--%s=%s: expected %s\n", row->name, optarg,
			    kind_example(row->kind));
			return wrong(verb);
		}
	}
	*first = optind;
	return check_operands(verb, argc, argv);
}
