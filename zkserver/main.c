/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "libcommon/sys/log.h"
#include "zkserver/conf.h"
#include "zkserver/inspect.h"
#include "zkserver/run.h"
#include "zkserver/status.h"

static const char USAGE[] =
    "usage: zkserver run [--config FILE] [--debug]\n"
    "                                        serve; without a file alone on 127.0.0.1:2181\n"
    "       zkserver check --config FILE     say what is wrong with a zoo.cfg\n"
    "       zkserver status [--json] [HOST:PORT]\n"
    "                                        ask a running server; status 1 if it does not serve\n"
    "       zkserver status [--json] --config FILE\n"
    "                                        ask every member; status 1 if no quorum serves\n"
    "       zkserver txnlog [--json] FILE    print the transactions of a log file\n"
    "       zkserver txnlog --recover FILE   copy what stands before the damage of a log file\n"
    "       zkserver snapshot [--json] FILE|DIR\n"
    "                                        print a snapshot; of a directory the newest whole\n"
    "       zkserver snapshot --verify DIR [LOGDIR]\n"
    "                                        check a directory; say what a start would do\n"
    "       zkserver --help | --version\n";

struct options {
	const char *config;
	bool debug, json, recover, verify;
};

static _Noreturn void
usage_error(const char *word, const char *what)
{
	fprintf(stderr, "zkserver: %s %s\n%s", word, what, USAGE);
	exit(EX_USAGE);
}

/* Where data lies without a configuration: what systemd says, or the system's place for root, or
 * the user's. */
static void
default_data_dir(char *to, size_t size)
{
	const char *state = getenv("STATE_DIRECTORY"), *home = getenv("HOME"),
		   *xdg = getenv("XDG_STATE_HOME");

	if (state != NULL)
		snprintf(to, size, "%s", state);
	else if (geteuid() == 0)
		snprintf(to, size, "%s/zkserver", CORRAL_LOCALSTATEDIR);
	else if (xdg != NULL && xdg[0] == '/')
		snprintf(to, size, "%s/corral/zkserver", xdg);
	else
		snprintf(to, size, "%s/.local/state/corral/zkserver", home != NULL ? home : "");
}

/* Read the file, or take the defaults; exits with every fault said. */
static void
load_conf(struct zoo_conf *conf, const char *path)
{
	struct faults faults;
	char dir[ZOO_PATH_MAX];

	if (path == NULL) {
		default_data_dir(dir, sizeof dir);
		zoo_conf_default(conf, dir);
		return;
	}
	faults_init(&faults);
	if (!zoo_conf_load(conf, path, &faults)) {
		fprintf(stderr, "%s\n", faults_text(&faults));
		exit(EX_CONFIG);
	}
	faults_fini(&faults);
}

static int
run(const struct options *o, int argc, char **argv)
{
	static struct zoo_conf conf;

	(void)argc;
	(void)argv;
	log_init("zkserver", o->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	load_conf(&conf, o->config);
	return zkserver_run(&conf);
}

static int
check(const struct options *o, int argc, char **argv)
{
	static struct zoo_conf conf;
	char why[512];

	(void)argc;
	(void)argv;
	if (o->config == NULL)
		usage_error("check", "wants to know what to look at: --config FILE");
	log_init("zkserver", LOG_LEVEL_INFO);
	load_conf(&conf, o->config);
	if (!zkserver_check(&conf, why, sizeof why)) {
		fprintf(stderr, "%s: %s\n", o->config, why);
		return EX_CONFIG;
	}
	printf("%s: no faults\n", o->config);
	return EX_OK;
}

/* Whoever asks need not be a member, nor see what only members may. */
static void
load_members(struct zoo_conf *conf, const char *path)
{
	struct faults faults;

	faults_init(&faults);
	if (!zoo_conf_load_members(conf, path, &faults)) {
		fprintf(stderr, "%s\n", faults_text(&faults));
		exit(EX_CONFIG);
	}
	faults_fini(&faults);
}

/* Of the members of a configuration, or of one server. */
static int
status(const struct options *o, int argc, char **argv)
{
	static struct zoo_conf conf;

	if (o->config == NULL)
		return status_of_server(argc > 0 ? argv[0] : "127.0.0.1:2181", o->json);
	if (argc > 0)
		usage_error(argv[0], "is one operand too many beside --config");
	log_init("zkserver", LOG_LEVEL_ERROR);
	load_members(&conf, o->config);
	if (!zoo_conf_distributed(&conf))
		load_conf(&conf, o->config);
	return status_of_ensemble(&conf, o->json);
}

static int
txnlog(const struct options *o, int argc, char **argv)
{
	(void)argc;
	return o->recover ? inspect_recover(argv[0]) : inspect_txnlog(argv[0], o->json);
}

static int
snapshot(const struct options *o, int argc, char **argv)
{
	if (o->verify)
		return inspect_verify(argv[0], argc > 1 ? argv[1] : NULL);
	if (argc > 1)
		usage_error(argv[1], "is one operand too many without --verify");
	return inspect_snapshot(argv[0], o->json);
}

static void
read_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"debug", no_argument, NULL, 'd'},
	    {"json", no_argument, NULL, 'j'},
	    {"recover", no_argument, NULL, 'r'},
	    {"verify", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":hV", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 'd':
			o->debug = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'r':
			o->recover = true;
			break;
		case 'v':
			o->verify = true;
			break;
		case 'h':
			fputs(USAGE, stdout);
			exit(EX_OK);
		case 'V':
			puts("zkserver (corral) " PACKAGE_VERSION);
			exit(EX_OK);
		case ':':
			usage_error(argv[optind - 1], "wants a value behind it");
		default:
			usage_error(argv[optind - 1], "is no option");
		}
	}
}

/* What is to be done, and how many operands it has. */
static const struct verb {
	const char *name;
	int operands_min, operands_max;
	int (*run)(const struct options *o, int argc, char **argv);
} verbs[] = {
    {"run", 0, 0, run},
    {"check", 0, 0, check},
    {"status", 0, 1, status},
    {"txnlog", 1, 1, txnlog},
    {"snapshot", 1, 2, snapshot},
};

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	usage_error(name, "is no command");
}

int
main(int argc, char **argv)
{
	const struct verb *verb;
	struct options o = {0};

	read_options(argc, argv, &o);
	argc -= optind;
	argv += optind;
	if (argc == 0)
		usage_error("COMMAND", "is missing");
	verb = find_verb(argv[0]);
	if (argc - 1 < verb->operands_min)
		usage_error(verb->name, "wants to know what to look at");
	if (argc - 1 > verb->operands_max)
		usage_error(argv[verb->operands_max + 1], "is one operand too many");
	return verb->run(&o, argc - 1, argv + 1);
}
