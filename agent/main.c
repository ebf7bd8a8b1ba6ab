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
#include "agent/helper_client.h"
#include "agent/helper_server.h"
#include "agent/privilege.h"
#include "config.h"
#include "libcommon/base/str.h"
#include "libcommon/io/tls.h"
#include "libcommon/sys/corral_conf.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"

static const char version[] = "corral-agent (corral) " PACKAGE_VERSION "\n";

static const char usage[] =
    "usage: corral-agent run|helper|check|status [--config FILE] [--log-level LEVEL]\n"
    "\n"
    "run       the agent, in the foreground\n"
    "helper    the part of the agent that needs root, as a service of its own\n"
    "check     read the configuration, name every fault, exit 78 if there is one\n"
    "status    is an agent running on this configuration's state directory? exit 1 if not\n"
    "\n"
    "  -c, --config FILE     instead of " CORRAL_SYSCONFDIR "/corral.conf\n"
    "  -l, --log-level LEVEL error, warn, info or debug\n"
    "  -n, --namespaces-of PID\n"
    "                        helper: start executors in the network and mounts of process PID\n"
    "      --help            this text\n"
    "      --version         the version\n"
    "\n"
    "See corral-agent(8) and corral.conf(5).\n";

/* What a caller of the shell wants. */
struct arguments {
	const char *verb;
	const char *config;  /* NULL: the system's */
	pid_t namespaces_of; /* 0: our own */
};

/* Ends the program where there is nothing more to do. */
static struct arguments
parse(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	    {"log-level", required_argument, NULL, 'l'},
	    {"namespaces-of", required_argument, NULL, 'n'}, {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
	struct arguments a = {0};
	enum log_level level;
	uint64_t pid;
	int c;

	while ((c = getopt_long(argc, argv, "c:l:n:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			a.config = optarg;
			break;
		case 'l':
			if (!log_level_parse(optarg, &level))
				log_die(EX_USAGE, "--log-level %s: not error, warn, info or debug",
				    optarg);
			log_set_level(level);
			break;
		case 'n':
			if (!str_to_u64(optarg, 1, INT32_MAX, &pid))
				log_die(EX_USAGE, "--namespaces-of %s: not the number of a process",
				    optarg);
			a.namespaces_of = (pid_t)pid;
			break;
		case 'h':
			exit(fputs(usage, stdout) < 0 ? EX_IOERR : EX_OK);
		case 'V':
			exit(fputs(version, stdout) < 0 ? EX_IOERR : EX_OK);
		default:
			fputs("Try 'corral-agent --help'.\n", stderr);
			exit(EX_USAGE);
		}
	}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		exit(EX_USAGE);
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

/* Key, certificate and CA are there and belong together. */
static bool
check_certificate(const struct corral_conf *conf)
{
	struct tls_files files = {conf->tls.ca, conf->agent.cert, conf->agent.key};
	char error[512];
	struct tls *t = tls_new(&files, true, error, sizeof error);

	if (t == NULL)
		log_error("[tls]: %s", error);
	tls_unref(t);
	return t != NULL;
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

/* The agent may write its checkpoint, and nothing that the helper takes for its own work. */
static bool
check_owner(const char *state_dir)
{
	struct stat st;

	if (stat(state_dir, &st) != 0) {
		log_error_errno("[agent] state_dir=%s", state_dir);
		return false;
	}
	if (st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return true;
	log_error("[agent] state_dir=%s: belongs to uid %u, mode %04o: it must be root's, and "
		  "nobody else may write it (chown root, chmod 0711)",
	    state_dir, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777);
	return false;
}

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
	return !p->change || check_owner(state_dir);
}

/* NULL: said on stderr. */
static struct helper *
make_helper(const struct corral_conf *conf, const struct privilege *p, pid_t namespaces_of)
{
	const struct helper_conf helper_conf = {
	    .state_dir = conf->agent.state_dir,
	    .executor = conf->agent.executor,
	    .executor_listen = conf->agent.executor_listen,
	    .run_as = &conf->agent.run_as,
	    .default_user = conf->agent.default_user,
	    .agent_uid = p->uid,
	    .agent_gid = p->gid,
	    .namespaces_of = namespaces_of,
	};

	return prepare_state(conf->agent.state_dir, p) ? helper_new(&helper_conf) : NULL;
}

static void
say_isolation(const struct isolation *isolation, const char *why)
{
	if (isolation->text[0] != '\0')
		log_warn("isolation that this node cannot give: %s%s", isolation->text, why);
}

/* As the agent's own account, with a helper that was started by itself. */
static int
run_with_helper(const struct corral_conf *conf, const char *config)
{
	struct helper_way way;

	if (!privilege_seal())
		return EX_NOPERM;
	if (!helper_connect(conf->agent.helper, conf->agent.state_dir, &way))
		return EX_TEMPFAIL;
	say_isolation(&way.isolation, "");
	return agent_run(conf, config, &way);
}

static void
checkpoint_directory(const struct corral_conf *conf, char to[PATH_MAX])
{
	snprintf(to, PATH_MAX, "%s/" AGENT_CHECKPOINT_DIRECTORY, conf->agent.state_dir);
}

/* A helper that has lost its agent is waited for, one that serves another agent is not. */
static int
claim(const struct corral_conf *conf, struct helper *h)
{
	char path[PATH_MAX];

	checkpoint_directory(conf, path);
	if (!agent_is_alone(path))
		return EX_CANTCREAT;
	return helper_claim(h) ? EX_OK : EX_TEMPFAIL;
}

static int
run(const struct corral_conf *conf, const char *config)
{
	struct helper_way way = {.fd = -1};
	struct privilege p;
	int status;

	if (!privilege_find(conf->agent.user, &p))
		return EX_CONFIG;
	if (p.own && conf->agent.helper != NULL)
		return run_with_helper(conf, config);
	if ((way.local = make_helper(conf, &p, 0)) == NULL)
		return EX_CANTCREAT;
	if ((status = claim(conf, way.local)) != EX_OK) {
		helper_free(way.local);
		return status;
	}
	helper_isolation(way.local, &way.isolation);
	say_isolation(&way.isolation, p.root ? "" : " (the agent does not run as root)");
	if (p.root && (way.fd = helper_server_fork(way.local)) < 0) {
		log_error_errno("starting the helper");
		return EX_OSERR;
	}
	status = p.change && !privilege_drop(&p) ? EX_NOPERM : agent_run(conf, config, &way);
	helper_free(way.local);
	return status;
}

/* ---- helper ---- */

static int
run_helper(const struct corral_conf *conf, pid_t namespaces_of)
{
	struct isolation isolation;
	struct privilege p;
	struct helper *helper;
	int status;

	if (conf->agent.helper == NULL) {
		log_error("[agent] helper= is empty: there is no socket to listen on");
		return EX_CONFIG;
	}
	if (!privilege_find(conf->agent.user, &p))
		return EX_CONFIG;
	if (!p.root) {
		log_error("the helper needs root");
		return EX_NOPERM;
	}
	if ((helper = make_helper(conf, &p, namespaces_of)) == NULL)
		return EX_CANTCREAT;
	helper_isolation(helper, &isolation);
	say_isolation(&isolation, "");
	status = helper_server_run(helper, conf->agent.helper, p.uid, p.gid);
	helper_free(helper);
	return status;
}

/* ---- status ---- */

static int
status(const struct corral_conf *conf)
{
	char path[PATH_MAX];
	bool running;

	checkpoint_directory(conf, path);
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
		return check_certificate(conf) ? EX_OK : EX_CONFIG;
	if (strcmp(a->verb, "run") == 0)
		return run(conf, a->config);
	if (strcmp(a->verb, "helper") == 0)
		return run_helper(conf, a->namespaces_of);
	log_error("%s: not run, helper, check or status; see corral-agent --help", a->verb);
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
	faults_init(&faults);
	if (corral_conf_load(&conf, a.config, &faults))
		code = main_verb(&a, &conf);
	else
		fprintf(stderr, "%s\n", faults_text(&faults));
	corral_conf_fini(&conf);
	faults_fini(&faults);
	return code;
}
