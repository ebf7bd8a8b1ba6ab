/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the command lines find their cluster, and as whom they go there. For each setting the first
 * that names it wins: option, environment (CORRAL_MASTER, CORRAL_TLS_CA, _CERT, _KEY), the user's
 * corral.conf, the system's. --config and CORRAL_CONFIG_DIR take the place of both files. Where
 * none of these exists, the cluster that `corral dev` runs for this user, if there is one, is
 * meant.
 */
#ifndef CORRAL_CLI_CLIENT_CONF_H
#define CORRAL_CLI_CLIENT_CONF_H

#include <limits.h>
#include <stdbool.h>

#include "libcommon/sys/corral_conf.h"

struct client_options {
	const char *config; /* FILE */
	const char *master; /* HOST:PORT,... */
	const char *ca, *cert, *key;
};

/* The rows of these options for an option table; `type` has them in its member `client`. */
#define CLIENT_OPTION_ROWS(type)                                                                   \
	{.name = "config",                                                                         \
	    .kind = OPTION_TEXT,                                                                   \
	    .offset = offsetof(type, client.config),                                               \
	    .argument = "FILE",                                                                    \
	    .help = "read this corral.conf(5) instead of the usual ones"},                         \
	    {.name = "ca",                                                                         \
		.kind = OPTION_TEXT,                                                               \
		.offset = offsetof(type, client.ca),                                               \
		.argument = "FILE",                                                                \
		.help = "the cluster's CA"},                                                       \
	    {.name = "cert",                                                                       \
		.kind = OPTION_TEXT,                                                               \
		.offset = offsetof(type, client.cert),                                             \
		.argument = "FILE",                                                                \
		.help = "the certificate to show"},                                                \
	{                                                                                          \
		.name = "key", .kind = OPTION_TEXT, .offset = offsetof(type, client.key),          \
		.argument = "FILE", .help = "its key"                                              \
	}

/*
 * Fill *conf: [client] master, ca, cert and key are settled, [cluster] ensemble is as the files
 * have it. False: the reasons are in faults. corral_conf_fini() in either case.
 */
bool client_conf_load(
    struct corral_conf *conf, const struct client_options *options, struct faults *faults);

/*
 * The directory in which `corral dev` leaves its corral.conf for this user:
 * $XDG_RUNTIME_DIR/corral-dev, else corral-dev-UID below $TMPDIR or /tmp. False if it does not
 * fit.
 */
bool client_conf_dev_dir(char to[PATH_MAX]);

/* The same directory exists, is ours alone, and is no link: what lies in it may be believed. */
bool client_conf_dev_dir_trusted(const char *dir);

#endif
