/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/corral.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "libcommon/codec/pbjson.h"
#include "libcommon/job/jobfile.h"

#define JSON_BYTES_MAX (256u << 20)

#define AT(member) offsetof(struct corral_options, member)
#define ROW_MASTER                                                                                 \
	{                                                                                          \
		"master", 'm', OPTION_TEXT, AT(client.master), "HOST:PORT",                        \
		    "the master to ask, or several apart by commas"                                \
	}
#define ROWS_CLIENT ROW_MASTER, CLIENT_OPTION_ROWS(struct corral_options)
#define ROWS_JSON                                                                                  \
	{"json", 0, OPTION_FLAG, AT(json), NULL, "the API's message (corral-api(7))"},             \
	{                                                                                          \
		"json-lines", 0, OPTION_FLAG, AT(json_lines), NULL, "the same, one object a line"  \
	}
#define ROWS_TABLE                                                                                 \
	{"output", 'o', OPTION_TEXT, AT(view.columns), "COLUMNS",                                  \
	    "show these columns, apart by commas"},                                                \
	    {"no-header", 0, OPTION_FLAG, AT(view.no_header), NULL, "leave out the header"},       \
	    {"quiet", 'q', OPTION_FLAG, AT(view.quiet), NULL, "print names only"}, ROWS_JSON
#define ROWS(rows) rows, sizeof rows / sizeof *rows

static const struct option_row client_rows[] = {ROWS_CLIENT};
static const struct option_row table_rows[] = {ROWS_CLIENT, ROWS_TABLE};
static const struct option_row json_rows[] = {ROWS_CLIENT, ROWS_JSON};
static const struct option_row dev_rows[] = {{"agents", 0, OPTION_U32, AT(dev.agents), "N",
						 "nodes; several share this machine unequally (1)"},
    {"agent", 0, OPTION_TEXTS, AT(dev.agent), "AMOUNTS",
	"what a node offers: cpus=2,memory=1G,disk=10G; repeatable"},
    {"servers", 0, OPTION_U32, AT(dev.servers), "N",
	"zkservers, of which one leads: 1, 3 or 5 (1)"},
    {"masters", 0, OPTION_U32, AT(dev.masters), "N", "masters, of which one leads (1)"},
    {"state", 0, OPTION_TEXT, AT(dev.state), "DIR", "keep the cluster's state here"}};
static const struct option_row nodes_rows[] = {ROWS_CLIENT, ROWS_TABLE,
    {"forget", 0, OPTION_TEXT, AT(forget), "NODE", "take a node that is gone from the registry"},
    {"i-have-powered-it-off", 0, OPTION_FLAG, AT(powered_off), NULL,
	"forget: make its singletons again at once"},
    {"mark-unreachable", 0, OPTION_TEXT, AT(mark_unreachable), "NODE",
	"make the tasks of a silent node again elsewhere"}};
static const struct option_row drain_rows[] = {
    {"from", 0, OPTION_TIME, AT(from_ms), "TIME", "begin in so long (at once)"},
    {"deadline", 0, OPTION_TIME, AT(deadline_ms), "TIME",
	"stop the tasks so long after that; 0: at once (they are left alone)"},
    {"for", 0, OPTION_TIME, AT(length_ms), "TIME", "end it so long after that (undrain does)"},
    ROWS_JSON, ROWS_CLIENT};
static const struct option_row era_rows[] = {
    {"old-masters-are-stopped", 0, OPTION_FLAG, AT(old_masters_are_stopped), NULL,
	"bump: no master of before can still lead"},
    ROWS_JSON, ROWS_CLIENT};
static const struct option_row submit_rows[] = {
    {"name", 'n', OPTION_TEXT, AT(name), "NAME", "of the job, instead of the file's name"},
    {"watch", 'w', OPTION_FLAG, AT(watch), NULL, "stay and show its progress"}, ROWS_JSON,
    ROWS_CLIENT};
static const struct option_row logs_rows[] = {
    {"follow", 'f', OPTION_FLAG, AT(follow), NULL, "go on until the tasks are over"},
    {"tail", 0, OPTION_U32, AT(tail), "N", "only the last N lines of each task"}, ROWS_CLIENT};
static const struct option_row run_rows[] = {
    {"cpus", 0, OPTION_CPU, AT(cpu_milli), "N", "cpus of each task (1)"},
    {"mem", 0, OPTION_SIZE, AT(memory_bytes), "SIZE", "memory of each task (256M)"},
    {"disk", 0, OPTION_SIZE, AT(disk_bytes), "SIZE", "disk of each task (none)"},
    {"count", 'c', OPTION_U32, AT(count), "N", "run so many tasks, " RUN_COUNT_RANGE " (1)"},
    {"name", 'n', OPTION_TEXT, AT(name), "NAME", "of the job (run- and a random number)"},
    {"env", 'e', OPTION_TEXTS, AT(env), "NAME=VALUE", "set a variable; repeatable"},
    {"user", 'u', OPTION_TEXT, AT(user), "NAME", "run as this account"},
    {"directory", 'd', OPTION_TEXT, AT(directory), "DIR", "working directory (the sandbox)"},
    {"timeout", 't', OPTION_TIME, AT(timeout_ms), "TIME", "give up if there is no place by then"},
    {"role", 0, OPTION_TEXT, AT(role), "ROLE", "whose share of the cluster it has (*)"},
    {"priority", 0, OPTION_U32, AT(priority), "N", "0 to 100, higher ones go first (50)"},
    ROWS_CLIENT};
static const struct option_row roles_rows[] = {
    {"weight", 0, OPTION_CPU, AT(weight_milli), "N", "2 has twice the share of 1"}, ROWS_TABLE,
    ROWS_CLIENT};
static const struct option_row quota_rows[] = {
    {"guarantee", 0, OPTION_TEXT, AT(guarantee), "AMOUNTS",
	"kept free for the role: cpus=2,memory=1G,disk=10G"},
    {"limit", 0, OPTION_TEXT, AT(limit), "AMOUNTS", "the role never has more"},
    {"force", 0, OPTION_FLAG, AT(force), NULL, "even if it cannot hold at the moment"}, ROWS_TABLE,
    ROWS_CLIENT};
static const struct option_row tls_rows[] = {
    {"dir", 0, OPTION_TEXT, AT(dir), "DIR",
	"where CA and certificates are (" CORRAL_SYSCONFDIR "/tls)"},
    {"cluster", 0, OPTION_TEXT, AT(cluster), "NAME", "of the cluster, for init (corral)"},
    {"dns", 0, OPTION_TEXTS, AT(dns), "NAME",
	"a host name that the certificate is good for; repeatable"},
    {"ip", 0, OPTION_TEXTS, AT(ip), "ADDRESS", "an IP address that it is good for; repeatable"},
    {"days", 0, OPTION_U32, AT(days), "N", "how long it is valid (365)"},
    {"within", 0, OPTION_TIME, AT(within_ms), "TIME",
	"renew: only if the certificate ends by then (at once)"},
    ROWS_CLIENT};
static const struct option_row token_rows[] = {
    {"role", 0, OPTION_TEXT, AT(role), "ROLE", "what its holders become (agent)"},
    {"name", 'n', OPTION_TEXT, AT(name), "NAME", "of its holder (any that no node has)"},
    {"ttl", 0, OPTION_TIME, AT(ttl_ms), "TIME", "how long it is good (1h)"},
    {"uses", 0, OPTION_U32, AT(uses), "N", "how many certificates it is good for (1)"}, ROWS_TABLE,
    ROWS_CLIENT};
static const struct option_row join_rows[] = {
    {"role", 0, OPTION_TEXT, AT(role), "ROLE", "as the token has it (agent)"},
    {"name", 'n', OPTION_TEXT, AT(name), "NAME", "of the holder (this host's name)"},
    {"dir", 0, OPTION_TEXT, AT(dir), "DIR",
	"where CA, certificate and key go (" CORRAL_SYSCONFDIR "/tls)"},
    {"dns", 0, OPTION_TEXTS, AT(dns), "NAME", "a further host name, of a master or zkserver"},
    {"ip", 0, OPTION_TEXTS, AT(ip), "ADDRESS", "an IP address of it"},
    {"replace", 0, OPTION_FLAG, AT(replace), NULL, "a certificate that is there already"},
    ROW_MASTER};

struct verb {
	struct option_verb option;
	corral_verb *run;
};

#define VERB(name, operands, summary, rows, min, max, command, run)                                \
	{                                                                                          \
		{"corral", name, operands, summary, ROWS(rows), min, max, command, NULL}, run      \
	}

static const struct verb verbs[] = {
    VERB("dev", "[-- COMMAND...]",
	"Run a whole cluster on this machine, until Ctrl-C or COMMAND's end.", dev_rows, 0,
	UINT_MAX, true, verb_dev),
    VERB("run", "-- COMMAND...",
	"Run a command somewhere; its output, input, signals and exit status are ours.", run_rows,
	1, UINT_MAX, true, verb_run),
    VERB("init", "", "Print an example job file.", client_rows, 0, 0, false, verb_init),
    VERB("submit", "FILE",
	"Start the job that a job file (corral-job(5)) describes; - is standard input.",
	submit_rows, 1, 1, false, verb_submit),
    VERB("watch", "JOB", "Show a job's progress until it ends; exit 1 if it failed.", client_rows,
	1, 1, false, verb_watch),
    VERB("jobs", "", "List the jobs.", table_rows, 0, 0, false, verb_jobs),
    VERB("ps", "[JOB]", "List the tasks, of all jobs or of one.", table_rows, 0, 1, false, verb_ps),
    VERB("why", "JOB.INDEX", "Say why a task waits, or how it ended.", json_rows, 1, 1, false,
	verb_why),
    VERB("logs", "JOB[.INDEX[.ATTEMPT]]", "Print what tasks wrote.", logs_rows, 1, 1, false,
	verb_logs),
    VERB("stop", "JOB...", "Stop jobs.", json_rows, 1, UINT_MAX, false, verb_stop),
    VERB("nodes", "", "List the nodes with what they have and what of it is in use.", nodes_rows, 0,
	0, false, verb_nodes),
    VERB("drain", "NODE", "Give a node no more tasks; with --deadline, stop those that it has.",
	drain_rows, 1, 1, false, verb_drain),
    VERB("undrain", "NODE", "Give a node tasks again.", json_rows, 1, 1, false, verb_undrain),
    VERB("era", "[bump]", "Show the era, or raise it after the ensemble was restored.", era_rows, 0,
	1, false, verb_era),
    VERB("roles", "[set ROLE]", "List the roles that share the cluster; set a role's weight.",
	roles_rows, 0, 2, false, verb_roles),
    VERB("quota", "[set ROLE | remove ROLE]", "List, set or remove guarantees and limits of roles.",
	quota_rows, 0, 2, false, verb_quota),
    VERB("reserve", "[ROLE NODE AMOUNTS]",
	"List what of nodes is reserved for roles; reserve cpus=2,memory=1G,disk=10G of one.",
	table_rows, 0, 3, false, verb_reserve),
    VERB("unreserve", "ROLE NODE", "Take a reservation back.", json_rows, 2, 2, false,
	verb_unreserve),
    VERB("status", "", "Show the cluster in a few lines, and its masters.", table_rows, 0, 0, false,
	verb_status),
    VERB("token", "create | list | revoke ID",
	"Make a token with which others join, list those there are, or take one back.", token_rows,
	1, 2, false, verb_token),
    VERB("join", "[TOKEN | -]", "Get this host a certificate by a token.", join_rows, 0, 1, false,
	verb_join),
    VERB("tls", "init | issue ROLE NAME | renew",
	"Make the cluster's CA, or a certificate by it, or renew the one that is shown.", tls_rows,
	1, 3, false, verb_tls),
};
#define VERB_COUNT (sizeof verbs / sizeof *verbs)

void
corral_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("corral: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

int
corral_connect(struct corral *c)
{
	struct faults faults;
	char why[API_ERROR_MAX];
	int status = 0;

	faults_init(&faults);
	if (!client_conf_load(&c->conf, &c->options.client, &faults)) {
		corral_say("%s", faults_text(&faults));
		status = EX_CONFIG;
	} else if ((c->loop = loop_new()) == NULL) {
		corral_say("no event loop: out of memory or descriptors");
		status = EX_OSERR;
	} else if ((c->api = api_open(c->loop, &c->conf, why, sizeof why)) == NULL) {
		corral_say("%s", why);
		status = EX_CONFIG;
	}
	faults_fini(&faults);
	return status;
}

int
corral_get(struct corral *c, const ProtobufCMessageDescriptor *type, ProtobufCMessage **message,
    const char *fmt, ...)
{
	char target[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(target, sizeof target, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof target) {
		corral_say("that name is too long");
		return EX_USAGE;
	}
	return api_call(c->api,
	    &(struct api_request){.method = "GET", .target = target, .reply = type}, message);
}

int
corral_post(struct corral *c, const char *target, const ProtobufCMessage *body,
    const ProtobufCMessageDescriptor *type, ProtobufCMessage **message)
{
	return api_call(c->api,
	    &(struct api_request){.method = "POST", .target = target, .body = body, .reply = type},
	    message);
}

ProtobufCMessage *const *
corral_members(const ProtobufCMessage *message, const char *field, size_t *count)
{
	const ProtobufCFieldDescriptor *f =
	    protobuf_c_message_descriptor_get_field_by_name(message->descriptor, field);
	const char *base = (const char *)message;

	*count = *(const size_t *)(const void *)(base + f->quantifier_offset);
	return *(ProtobufCMessage *const *const *)(const void *)(base + f->offset);
}

static void
print_message(const ProtobufCMessage *message, bool as_set)
{
	struct buf text;

	buf_init(&text, JSON_BYTES_MAX);
	if (pbjson_encode(message, as_set ? 0 : PBJSON_DEFAULTS, &text))
		printf("%.*s\n", (int)text.len, (const char *)text.data);
	else
		corral_say("no memory for the JSON");
	buf_fini(&text);
}

static void
print_members(const struct corral *c, const ProtobufCMessage *message, const char *lines)
{
	size_t count;
	ProtobufCMessage *const *members = corral_members(message, lines, &count);

	for (size_t i = 0; i < count; i++)
		print_message(members[i], c->json_as_set);
}

bool
corral_print_json(const struct corral *c, const ProtobufCMessage *message, const char *lines)
{
	size_t rows = 1;

	if (!c->options.json && !c->options.json_lines)
		return false;
	if (c->options.json_lines && lines != NULL) {
		print_members(c, message, lines);
		return true;
	}
	if (lines != NULL)
		corral_members(message, lines, &rows);
	print_message(message, c->json_as_set && rows > 0); /* [] where there are none */
	return true;
}

static void
print_usage(FILE *to)
{
	fprintf(to, "usage: corral VERB [OPTION]... [OPERAND]...\n\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		fprintf(to, "  %-9s %s\n", verbs[i].option.name, verbs[i].option.summary);
	fprintf(to, "\n'corral VERB --help' has the options of a verb, 'corral --version' the "
		    "version; corral(1) is the manual.\n");
}

static void
print_version(void)
{
	printf("corral (corral) " PACKAGE_VERSION "\nLicence: Apache-2.0. There is no warranty.\n");
}

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (strcmp(verbs[i].option.name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int
unknown_verb(const char *name)
{
	const char *names[VERB_COUNT], *nearest;

	for (size_t i = 0; i < VERB_COUNT; i++)
		names[i] = verbs[i].option.name;
	nearest = faults_nearest(name, names, VERB_COUNT);
	if (nearest != NULL)
		corral_say("there is no verb '%s', did you mean '%s'?", name, nearest);
	else
		corral_say("there is no verb '%s'; 'corral --help' lists them", name);
	return EX_USAGE;
}

static int
run_verb(const struct verb *v, int argc, char **argv)
{
	static struct corral c; /* large: a dev cluster's plan is in it */
	int first, status;

	c.options.dev.agents = c.options.dev.masters = c.options.dev.servers = 1;
	c.options.count = 1;
	c.options.priority = 50;
	c.options.cpu_milli = JOBFILE_CPU_DEFAULT_MILLI;
	c.options.memory_bytes = JOBFILE_MEMORY_DEFAULT;
	c.options.days = 365;
	c.options.uses = 1;
	c.options.from_ms = c.options.deadline_ms = c.options.length_ms = c.options.ttl_ms =
	    OPTION_NO_TIME;
	c.options.weight_milli = OPTION_NO_CPU;
	c.options.tail = UINT32_MAX;
	switch (options_parse(&v->option, argc, argv, &c.options, &first)) {
	case OPTIONS_HELP:
		return 0;
	case OPTIONS_WRONG:
		/* A status that no command of the user's can be taken for (env(1)). */
		return v->run == verb_run ? 125 : EX_USAGE;
	case OPTIONS_GO:
		break;
	}
	status = v->run(&c, argc - first, argv + first);
	api_close(c.api);
	if (c.loop != NULL)
		loop_free(c.loop);
	corral_conf_fini(&c.conf);
	/* The reader of a pipe that has seen enough is no trouble, and not worth a word. */
	if (fflush(stdout) != 0 && errno == EPIPE)
		return 128 + SIGPIPE;
	if (ferror(stdout) && status == 0) {
		corral_say("cannot write to standard output: %s", strerror(errno));
		return EX_IOERR;
	}
	return status;
}

int
main(int argc, char **argv)
{
	const struct verb *v;

	if (argc < 2) {
		print_usage(stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		print_version();
		return 0;
	}
	v = find_verb(argv[1]);
	if (v == NULL)
		return unknown_verb(argv[1]);
	return run_verb(v, argc - 1, argv + 1);
}
