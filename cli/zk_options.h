/* SPDX-License-Identifier: Apache-2.0 */
/* The options of zk(1), and the rows that more than one command has. */
#ifndef CORRAL_CLI_ZK_OPTIONS_H
#define CORRAL_CLI_ZK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/client_conf.h"
#include "cli/options.h"

/* The options of all commands; each has the rows of those that mean something to it. */
struct zk_options {
	struct client_options client;
	const char *hosts;
	uint64_t timeout_ms;
	struct option_texts auths; /* SCHEME:DATA */
	struct option_texts acls;  /* SCHEME:ID:PERMS */
	uint32_t version;	   /* UINT32_MAX: any */
	uint64_t ttl_ms;	   /* AMOUNT_TIME_FOREVER: not given */
	bool container, ephemeral, sequential, null, parents;
	bool json, show_version, read_only;
	bool recursive, long_form, stat, once, replace, remove;
	const char *exec, *data;
	struct option_texts adds, removes; /* of reconfig, like the next three */
	const char *members, *file, *base;
	bool clients;
	uint64_t session_ms;		      /* the session's time-out */
	uint64_t wait_ms;		      /* AMOUNT_TIME_FOREVER: as long as it takes */
	uint32_t sessions, outstanding, rate; /* of bench, like the next two */
	uint64_t bytes, lasting_ms;
	uint32_t count_soft, count_hard; /* UINT32_MAX: not given */
	uint64_t bytes_soft, bytes_hard; /* UINT64_MAX: not given */
};

#define ZK_ROW(member, name_, letter_, kind_, argument_, help_)                                    \
	{                                                                                          \
		.name = name_, .letter = letter_, .kind = kind_,                                   \
		.offset = offsetof(struct zk_options, member), .argument = argument_,              \
		.help = help_                                                                      \
	}
#define ZK_FLAG(member, name_, letter_, help_)                                                     \
	ZK_ROW(member, name_, letter_, OPTION_FLAG, NULL, help_)

#define ZK_VERSION_ROW(help_) ZK_ROW(version, "version", 'v', OPTION_U32, "N", help_)
#define ZK_NULL_ROW ZK_FLAG(null, "null", 'n', "no data at all, which is not the same as empty")

/* What a new node is, but for its path and data. */
#define ZK_CREATE_ROWS                                                                             \
	ZK_FLAG(container, "container", 'c', "the server removes the node after its last child"),  \
	    ZK_FLAG(ephemeral, "ephemeral", 'e', "the node lives as long as its session"),         \
	    ZK_FLAG(                                                                               \
		sequential, "sequential", 's', "the server adds a number that grows to the name"), \
	    ZK_ROW(ttl_ms, "ttl", 't', OPTION_TIME, "TIME",                                        \
		"the server removes the node when it is so old and has no child"),                 \
	    ZK_ROW(acls, "acl", 'a', OPTION_TEXTS, "SCHEME:ID:PERMS",                              \
		"who may do what; may be repeated (world:anyone:cdrwa)"),                          \
	    ZK_NULL_ROW

/* The rows that every command has. */
#define ZK_COMMON_ROWS                                                                             \
	ZK_ROW(hosts, "hosts", 0, OPTION_TEXT, "HOST:PORT,...",                                    \
	    "the servers; default: ZK_HOSTS, corral.conf(5), this machine"),                       \
	    ZK_ROW(timeout_ms, "timeout", 0, OPTION_TIME, "TIME",                                  \
		"wait so long for a connection and for each answer (10s)"),                        \
	    ZK_ROW(auths, "auth", 0, OPTION_TEXTS, "SCHEME:DATA",                                  \
		"authenticate, as digest:USER:PASSWORD; may be repeated"),                         \
	    ZK_FLAG(read_only, "read-only", 0, "a server without a leader will do, for reads"),    \
	    ZK_FLAG(json, "json", 0, "print JSON"), CLIENT_OPTION_ROWS(struct zk_options)

#endif
