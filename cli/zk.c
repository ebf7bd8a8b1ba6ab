/* SPDX-License-Identifier: Apache-2.0 */
/* zk: the command line of the ensemble, zk(1). */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/options.h"
#include "cli/zk_run.h"
#include "config.h"
#include "libcommon/sys/log.h"

#define TIMEOUT_MS 10000

#define ROWS(name) name, sizeof name / sizeof name[0]

static const struct option_row program_rows[] = {
    ZK_FLAG(show_version, "version", 'V', "print the version"),
    ZK_COMMON_ROWS,
};

static const struct option_row ls_rows[] = {
    ZK_FLAG(recursive, "recursive", 'R', "all below the node, as whole paths"),
    ZK_FLAG(long_form, "stat", 's', "with version, size, children, owner, time"),
    ZK_COMMON_ROWS,
};

static const struct option_row get_rows[] = {
    ZK_FLAG(recursive, "recursive", 'R', "all below the node too, each under its path"),
    ZK_FLAG(stat, "stat", 's', "the node's facts on standard error"),
    ZK_COMMON_ROWS,
};

static const struct option_row plain_rows[] = {
    ZK_COMMON_ROWS,
};

static const struct option_row watch_rows[] = {
    ZK_FLAG(once, "once", '1', "end after the first event"),
    ZK_COMMON_ROWS,
};

static const struct option_row create_rows[] = {
    ZK_CREATE_ROWS,
    ZK_FLAG(parents, "parents", 'p', "make missing parents too"),
    ZK_COMMON_ROWS,
};

static const struct option_row set_rows[] = {
    ZK_NULL_ROW,
    ZK_VERSION_ROW("only if the node has this version"),
    ZK_COMMON_ROWS,
};

static const struct option_row rm_rows[] = {
    ZK_FLAG(recursive, "recursive", 'r', "all below the node too"),
    ZK_VERSION_ROW("only if the node has this version"),
    ZK_COMMON_ROWS,
};

static const struct option_row acl_rows[] = {
    ZK_VERSION_ROW("only if the access control has this version"),
    ZK_COMMON_ROWS,
};

static const struct option_row import_rows[] = {
    ZK_FLAG(parents, "parents", 'p', "make missing parents of PATH too"),
    ZK_FLAG(replace, "replace", 'r', "give nodes that exist the data and access control"),
    ZK_COMMON_ROWS,
};

static const struct option_verb program = {
    .program = "zk",
    .operands = "COMMAND [OPERAND]...",
    .summary = "Read and write the nodes of a ZooKeeper ensemble.",
    .rows = program_rows,
    .row_count = sizeof program_rows / sizeof program_rows[0],
    .operands_max = 1000,
    .command = true,
};

struct verb {
	struct option_verb options;
	int (*run)(struct zk_run *run, int argc, char **argv);
};

#define VERB(name_, operands_, least, most, rows_, summary_)                                       \
	{                                                                                          \
		{"zk", #name_, operands_, summary_, ROWS(rows_), least, most, false, NULL},        \
		    zk_verb_##name_                                                                \
	}

static const struct verb verbs[] = {
    VERB(ls, "[PATH]", 0, 1, ls_rows, "List the children of a node, / by default."),
    VERB(get, "PATH", 1, 1, get_rows, "Write a node's data to standard output, byte by byte."),
    VERB(set, "PATH [DATA|-]", 1, 2, set_rows,
	"Replace a node's data; - reads it from standard input."),
    VERB(create, "PATH [DATA|-]", 1, 2, create_rows, "Make a node and print its path."),
    VERB(rm, "PATH", 1, 1, rm_rows, "Remove a node."),
    VERB(stat, "PATH", 1, 1, plain_rows,
	"Print the facts about a node: times, zxids, versions, sizes."),
    VERB(watch, "PATH", 1, 1, watch_rows,
	"Print one line for each change of a node until interrupted."),
    VERB(acl, "PATH [SCHEME:ID:PERMS]...", 1, 65, acl_rows,
	"Print who may do what with a node, or set it."),
    VERB(multi, "", 0, 0, plain_rows,
	"Make the changes that standard input lists, all of them or none."),
    VERB(export, "[PATH]", 0, 1, plain_rows,
	"Write a tree of nodes as text, for import and for diff."),
    VERB(import, "[PATH]", 0, 1, import_rows,
	"Make the nodes of an export, from standard input, below a node."),
    VERB(count, "[PATH]", 0, 1, plain_rows, "Print how many nodes are below a node."),
    VERB(whoami, "", 0, 0, plain_rows, "Print as whom the server knows this session."),
    VERB(sync, "[PATH]", 0, 1, plain_rows,
	"Wait until the server has all that was committed before."),
};

#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static void
print_verbs(FILE *to)
{
	fprintf(to, "\ncommands ('zk COMMAND --help' has their options):\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		fprintf(to, "  %-7s %-27s %s\n", verbs[i].options.name, verbs[i].options.operands,
		    verbs[i].options.summary);
}

static int
print_version(void)
{
	printf("zk (corral) %s\nLicense: Apache-2.0\n", PACKAGE_VERSION);
	return 0;
}

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (strcmp(verbs[i].options.name, name) == 0)
			return &verbs[i];
	}
	fprintf(stderr, "zk: '%s' is no command\n", name);
	print_verbs(stderr);
	return NULL;
}

/* The exit status of a parse that does not go on. */
static int
parse_status(enum options_result result)
{
	return result == OPTIONS_HELP ? 0 : EX_USAGE;
}

static int
run_verb(const struct verb *verb, int argc, char **argv, struct zk_options *options)
{
	enum options_result result;
	struct zk_run run;
	int first, status;

	result = options_parse(&verb->options, argc, argv, options, &first);
	if (result != OPTIONS_GO)
		return parse_status(result);
	status = zk_run_open(&run, options);
	if (status == 0)
		status = verb->run(&run, argc - first, argv + first);
	zk_run_close(&run);
	if (status == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
		perror("zk: standard output");
		status = EX_IOERR;
	}
	return status;
}

int
main(int argc, char **argv)
{
	struct zk_options options = {.timeout_ms = TIMEOUT_MS, .version = UINT32_MAX};
	enum options_result result;
	const struct verb *verb;
	int first;

	log_init("zk", LOG_LEVEL_ERROR); /* what the client's library warns of, we say ourselves */
	result = options_parse(&program, argc, argv, &options, &first);
	if (result == OPTIONS_HELP)
		print_verbs(stdout);
	if (result != OPTIONS_GO)
		return parse_status(result);
	if (options.show_version)
		return print_version();
	if (first == argc) {
		fprintf(stderr, "zk: a command is missing\n");
		print_verbs(stderr);
		return EX_USAGE;
	}
	verb = find_verb(argv[first]);
	return verb != NULL ? run_verb(verb, argc - first, argv + first, &options) : EX_USAGE;
}
