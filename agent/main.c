/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/helper_process.h"
#include "agent/privilege.h"
#include "config.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/corral_conf.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"

static const char version[] = "corral-agent (corral) " PACKAGE_VERSION "\n";

static const char usage[] =
    "usage: corral-agent run|check|status [--config FILE] [--log-level LEVEL]\n"
    "\n"
    "run       the agent, in the foreground\n"
    "check     read the configuration, name every fault, exit 78 if there is one\n"
    "status    is an agent running on this configuration's state directory? exit 1 if not\n"
    "\n"
    "  -c, --config FILE     instead of " CORRAL_SYSCONFDIR "/corral.conf\n"
    "  -l, --log-level LEVEL error, warn, info or debug\n"
    "      --help            this text\n"
    "      --version         the version\n"
    "\n"
    "See corral-agent(8) and corral.conf(5).\n";

/* What a caller of the shell wants, or the status to exit with. */
struct arguments {
	const char *verb;
	const char *config; /* NULL: the system's */
	int status;	    /* -1: go on */
};

static struct arguments
parse(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	    {"log-level", required_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
	struct arguments a = {.status = -1};
	enum log_level level;
	int c;

	while ((c = getopt_long(argc, argv, "c:l:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			a.config = optarg;
			break;
		case 'l':
			if (!log_level_parse(optarg, &level)) {
				log_error("--log-level %s: not error, warn, info or debug", optarg);
				a.status = EX_USAGE;
				return a;
			}
			log_set_level(level);
			break;
		case 'h':
			a.status = fputs(usage, stdout) < 0 ? EX_IOERR : EX_OK;
			return a;
		case 'V':
			a.status = fputs(version, stdout) < 0 ? EX_IOERR : EX_OK;
			return a;
		default:
			fputs("Try 'corral-agent --help'.\n", stderr);
			a.status = EX_USAGE;
			return a;
		}
	}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		a.status = EX_USAGE;
		return a;
	}
	a.verb = argv[optind];
	return a;
}

/* ---- check ---- */

/* What the files cannot say of themselves: a program that is not there, a path that is too long. */
static bool
check_paths(const struct corral_conf *conf)
{
	bool ok = true;

	if (strlen(conf->agent.state_dir) > PATH_MAX / 2) {
		log_error("[agent] state_dir: longer than %d bytes", PATH_MAX / 2);
		ok = false;
	}
	if (access(conf->agent.executor, X_OK) != 0) {
		log_error_errno("[agent] executor=%s", conf->agent.executor);
		ok = false;
	}
	return ok;
}

/*
 * The executor of the tree that we were built in, if the installed one is not there and the
 * configuration names no other: so that a build runs without an installation.
 */
static bool
use_built_executor(struct corral_conf *conf)
{
	static const char name[] = "corral-executor";
	char path[PATH_MAX];
	ssize_t n;
	char *slash;

	if (strcmp(conf->agent.executor, CORRAL_LIBEXECDIR "/corral-executor") != 0 ||
	    access(conf->agent.executor, X_OK) == 0)
		return true;
	if ((n = readlink("/proc/self/exe", path, sizeof path - sizeof name)) <= 0)
		return true;
	path[n] = '\0';
	if ((slash = strrchr(path, '/')) == NULL)
		return true;
	memcpy(slash + 1, name, sizeof name);
	if (access(path, X_OK) != 0)
		return true;
	free(conf->agent.executor);
	conf->agent.executor = strdup(path);
	return conf->agent.executor != NULL;
}

/* ---- run ---- */

/* The state directory, the tasks' way through it, and the checkpoint's part for the agent alone. */
static bool
prepare_state(const char *state_dir, const struct privilege *p)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/" AGENT_CHECKPOINT_DIRECTORY, state_dir);
	if (!fsutil_mkdirs(state_dir, 0711) || !fsutil_mkdirs(path, 0700) ||
	    chmod(path, 0700) != 0 || (p->change && chown(path, p->uid, p->gid) != 0)) {
		log_error_errno("[agent] state_dir=%s", state_dir);
		return false;
	}
	return true;
}

static int
run(const struct corral_conf *conf)
{
	struct helper_conf helper_conf = {
	    conf->agent.state_dir, conf->agent.executor, &conf->agent.run_as, 0, 0};
	struct privilege p;
	struct helper *helper;
	int helper_fd = -1, status;

	if (!privilege_find(conf->agent.user, &p))
		return EX_CONFIG;
	if (!prepare_state(conf->agent.state_dir, &p))
		return EX_CANTCREAT;
	helper_conf.agent_uid = p.uid;
	helper_conf.agent_gid = p.gid;
	if ((helper = helper_new(&helper_conf)) == NULL)
		return EX_CANTCREAT;
	if (*helper_missing_text(helper) != '\0')
		log_warn("isolation that this node cannot give: %s%s", helper_missing_text(helper),
		    geteuid() != 0 ? " (the agent does not run as root)" : "");
	if (geteuid() == 0 && (helper_fd = helper_process_start(helper)) < 0) {
		log_error_errno("starting the helper");
		return EX_OSERR;
	}
	status = p.change && !privilege_drop(&p) ? EX_NOPERM : agent_run(conf, helper, helper_fd);
	helper_free(helper);
	return status;
}

/* ---- status ---- */

static int
status(const struct corral_conf *conf)
{
	char path[PATH_MAX];
	bool running;

	snprintf(path, sizeof path, "%s/" AGENT_CHECKPOINT_DIRECTORY, conf->agent.state_dir);
	if (!agent_is_running(path, &running)) {
		log_error_errno("%s", path);
		return errno == EACCES ? EX_NOPERM : EXIT_FAILURE;
	}
	printf("corral-agent: %s (state %s)\n", running ? "running" : "not running",
	    conf->agent.state_dir);
	return running ? EX_OK : EXIT_FAILURE;
}

static int
main_verb(const struct arguments *a, struct corral_conf *conf)
{
	if (strcmp(a->verb, "status") == 0)
		return status(conf);
	if (!use_built_executor(conf)) {
		log_error("no memory");
		return EX_OSERR;
	}
	if (!check_paths(conf))
		return EX_CONFIG;
	if (strcmp(a->verb, "check") == 0)
		return EX_OK;
	if (strcmp(a->verb, "run") == 0)
		return run(conf);
	log_error("%s: not run, check or status; see corral-agent --help", a->verb);
	return EX_USAGE;
}

int
main(int argc, char **argv)
{
	struct arguments a;
	struct corral_conf conf = {0};
	struct faults faults;
	int code = EX_CONFIG;

	log_init("corral-agent", LOG_LEVEL_INFO);
	a = parse(argc, argv);
	if (a.status >= 0)
		return a.status;
	faults_init(&faults);
	if (corral_conf_load(&conf, a.config, &faults))
		code = main_verb(&a, &conf);
	else
		fprintf(stderr, "%s\n", faults_text(&faults));
	corral_conf_fini(&conf);
	faults_fini(&faults);
	return code;
}
