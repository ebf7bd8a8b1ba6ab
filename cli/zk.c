/* SPDX-License-Identifier: Apache-2.0 */
/* zk: the command line of the ensemble, zk(1). */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/options.h"
#include "cli/zk_run.h"
#include "config.h"
#include "libcommon/base/amount.h"
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

static const struct option_row ephemerals_rows[] = {
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
    ZK_FLAG(recursive, "recursive", 'R', "the node and all below it"),
    ZK_ROW(exec, "exec", 'x', OPTION_TEXT, "COMMAND",
	"run this in the shell for each change, with ZK_EVENT and ZK_NODE"),
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

static const struct option_row lock_rows[] = {
    ZK_ROW(wait_ms, "wait", 'w', OPTION_TIME, "TIME", "give up after so long (infinity)"),
    ZK_ROW(session_ms, "session", 0, OPTION_TIME, "TIME",
	"the time after which the ensemble takes us for dead (10s)"),
    ZK_COMMON_ROWS,
};

static const struct option_row quota_rows[] = {
    ZK_ROW(count_soft, "count", 0, OPTION_U32, "N", "warn above so many nodes"),
    ZK_ROW(count_hard, "count-hard", 0, OPTION_U32, "N", "refuse more nodes than that"),
    ZK_ROW(bytes_soft, "bytes", 0, OPTION_SIZE, "SIZE", "warn above so much data"),
    ZK_ROW(bytes_hard, "bytes-hard", 0, OPTION_SIZE, "SIZE", "refuse more data than that"),
    ZK_FLAG(remove, "remove", 0, "remove the quota"),
    ZK_COMMON_ROWS,
};

static const struct option_row config_rows[] = {
    ZK_FLAG(clients, "clients", 'c', "only where they take clients: HOST:PORT,..."),
    ZK_COMMON_ROWS,
};

static const struct option_row reconfig_rows[] = {
    ZK_ROW(adds, "add", 'a', OPTION_TEXTS, "server.N=ADDRESS",
	"add or change this server; may be repeated"),
    ZK_ROW(removes, "remove", 'r', OPTION_TEXTS, "N", "remove this server; may be repeated"),
    ZK_ROW(members, "members", 'm', OPTION_TEXT, "server.N=ADDRESS,...", "these, and no others"),
    ZK_ROW(file, "file", 'f', OPTION_TEXT, "FILE", "the same from a file, a line each"),
    ZK_ROW(base, "version", 'v', OPTION_TEXT, "HEX", "only if this version is in force"),
    ZK_COMMON_ROWS,
};

static const struct option_row bench_rows[] = {
    ZK_ROW(sessions, "sessions", 's', OPTION_U32, "N", "how many sessions (32)"),
    ZK_ROW(outstanding, "outstanding", 'o', OPTION_U32, "N", "requests on their way in each (16)"),
    ZK_ROW(rate, "rate", 'r', OPTION_U32, "N", "send so many a second of all, at their time"),
    ZK_ROW(bytes, "bytes", 'b', OPTION_SIZE, "SIZE", "data of each node (1K)"),
    ZK_ROW(lasting_ms, "time", 't', OPTION_TIME, "TIME", "how long for each request (3s)"),
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
	zk_verb_fn *run;
};

#define VERB(name_, operands_, least, most, rows_, summary_)                                       \
	{                                                                                          \
		{"zk", #name_, operands_, summary_, ROWS(rows_), least, most, false, NULL},        \
		    zk_verb_##name_                                                                \
	}

/* One that runs a command, and passes its exit status on. */
#define COMMAND_VERB(name_, rows_, summary_)                                                       \
	{                                                                                          \
		{"zk", #name_, "NAME -- COMMAND...", summary_, ROWS(rows_), 2, UINT_MAX, true,     \
		    NULL},                                                                         \
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
    COMMAND_VERB(lock, lock_rows, "Run a command while nobody else holds the lock NAME."),
    COMMAND_VERB(elect, lock_rows, "Run a command while we are the leader for NAME."),
    VERB(multi, "", 0, 0, plain_rows,
	"Make the changes that standard input lists, all of them or none."),
    VERB(export, "[PATH]", 0, 1, plain_rows,
	"Write a tree of nodes as text, for import and for diff."),
    VERB(import, "[PATH]", 0, 1, import_rows,
	"Make the nodes of an export, from standard input, below a node."),
    VERB(quota, "PATH", 1, 1, quota_rows,
	"Print how much a tree of nodes has and may have, or set it."),
    VERB(config, "", 0, 0, config_rows, "Print who the members of the ensemble are."),
    VERB(reconfig, "", 0, 0, reconfig_rows, "Change the members of the ensemble, and print them."),
    VERB(ephemerals, "[PATH]", 0, 1, ephemerals_rows,
	"List the nodes below a node that end with a session."),
    VERB(count, "[PATH]", 0, 1, plain_rows, "Print how many nodes are below a node."),
    VERB(whoami, "", 0, 0, plain_rows, "Print as whom the server knows this session."),
    VERB(bench, "", 0, 0, bench_rows,
	"Measure how many requests a second the servers answer, and how fast."),
    VERB(sync, "[PATH]", 0, 1, plain_rows,
	"Wait until the server has all that was committed before."),
};

#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static void
print_verbs(FILE *to)
{
	fprintf(to, "\ncommands ('zk COMMAND --help' has their options):\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		fprintf(to, "  %-10s %-27s %s\n", verbs[i].options.name, verbs[i].options.operands,
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

/* What a command's exit status is passed on by has one status for failures of its own, env(1). */
static int
own_status(const struct verb *verb, int status)
{
	return verb->options.command && status != 0 && status < 128 ? ZK_OWN_FAILURE : status;
}

static int
run_verb(const struct verb *verb, int argc, char **argv, struct zk_options *options)
{
	enum options_result result;
	struct zk_run run;
	int first, status;

	result = options_parse(&verb->options, argc, argv, options, &first);
	if (result != OPTIONS_GO)
		return own_status(verb, parse_status(result));
	status = own_status(verb, zk_run_open(&run, options));
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
	struct zk_options options = {.timeout_ms = TIMEOUT_MS,
	    .session_ms = ZK_TIMEOUT_MS_DEFAULT,
	    .sessions = 32,
	    .outstanding = 16,
	    .bytes = 1024,
	    .lasting_ms = 3000,
	    .wait_ms = AMOUNT_TIME_FOREVER,
	    .ttl_ms = AMOUNT_TIME_FOREVER,
	    .version = UINT32_MAX,
	    .count_soft = UINT32_MAX,
	    .count_hard = UINT32_MAX,
	    .bytes_soft = UINT64_MAX,
	    .bytes_hard = UINT64_MAX};
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
