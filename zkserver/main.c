/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "libcommon/io/address.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "zkserver/conf.h"
#include "zkserver/inspect.h"
#include "zkserver/run.h"

#define STATUS_TIMEOUT_S 5

static const char USAGE[] =
    "usage: zkserver run [--config FILE] [--debug]\n"
    "                                        serve; without a file alone on 127.0.0.1:2181\n"
    "       zkserver check --config FILE     say what is wrong with a zoo.cfg\n"
    "       zkserver status [HOST:PORT]      ask a running server; status 1 if it does not serve\n"
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
usage_error(void)
{
	fputs(USAGE, stderr);
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
run(const struct options *o)
{
	static struct zoo_conf conf;

	log_init("zkserver", o->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	load_conf(&conf, o->config);
	return zkserver_run(&conf);
}

static int
check(const struct options *o)
{
	static struct zoo_conf conf;
	char why[512];

	if (o->config == NULL)
		usage_error();
	log_init("zkserver", LOG_LEVEL_INFO);
	load_conf(&conf, o->config);
	if (!zkserver_check(&conf, why, sizeof why)) {
		fprintf(stderr, "%s: %s\n", o->config, why);
		return EX_CONFIG;
	}
	printf("%s: no faults\n", o->config);
	return EX_OK;
}

static int
connect_to(const char *host, const char *port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const struct timeval limit = {STATUS_TIMEOUT_S, 0};
	struct addrinfo *all, *ai;
	int fd = -1;

	if (getaddrinfo(host, port, &hints, &all) != 0)
		return -1;
	for (ai = all; ai != NULL && fd < 0; ai = ai->ai_next) {
		if ((fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
		if (connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(all);
	return fd;
}

static int
status(const char *address)
{
	char host[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE], text[4096];
	size_t total = 0;
	ssize_t n = 0;
	int fd;

	if (!address_split(address, host, port)) {
		fprintf(stderr, "zkserver: %s: not HOST:PORT\n", address);
		return EX_USAGE;
	}
	if ((fd = connect_to(host, port)) < 0 || !fsutil_write_all(fd, "srvr", 4)) {
		fprintf(stderr, "zkserver: %s: cannot be reached: %s\n", address, strerror(errno));
		return EX_UNAVAILABLE;
	}
	while (total < sizeof text - 1 &&
	       (n = read(fd, text + total, sizeof text - 1 - total)) > 0)
		total += (size_t)n;
	close(fd);
	text[total] = '\0';
	if (n < 0 || total == 0) {
		fprintf(stderr, "zkserver: %s: no answer: is it a ZooKeeper server?\n", address);
		return EX_UNAVAILABLE;
	}
	fputs(text, stdout);
	return strstr(text, "\nMode: ") != NULL ? EX_OK : 1; /* it may not serve (yet) */
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

	while ((c = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
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
		default:
			usage_error();
		}
	}
}

int
main(int argc, char **argv)
{
	struct options o = {0};
	int left;

	read_options(argc, argv, &o);
	left = argc - optind;
	if (left == 1 && strcmp(argv[optind], "run") == 0)
		return run(&o);
	if (left == 1 && strcmp(argv[optind], "check") == 0)
		return check(&o);
	if ((left == 1 || left == 2) && strcmp(argv[optind], "status") == 0)
		return status(left == 2 ? argv[optind + 1] : "127.0.0.1:2181");
	if (left == 2 && o.recover && strcmp(argv[optind], "txnlog") == 0)
		return inspect_recover(argv[optind + 1]);
	if (left == 2 && strcmp(argv[optind], "txnlog") == 0)
		return inspect_txnlog(argv[optind + 1], o.json);
	if ((left == 2 || left == 3) && o.verify && strcmp(argv[optind], "snapshot") == 0)
		return inspect_verify(argv[optind + 1], left == 3 ? argv[optind + 2] : NULL);
	if (left == 2 && strcmp(argv[optind], "snapshot") == 0)
		return inspect_snapshot(argv[optind + 1], o.json);
	usage_error();
}
