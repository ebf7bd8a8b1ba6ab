/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs of zk(1) share: the session with the ensemble, waiting for one answer after the
 * other, and what is said and returned when one is bad.
 */
#ifndef CORRAL_CLI_ZK_RUN_H
#define CORRAL_CLI_ZK_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/client_conf.h"
#include "cli/options.h"
#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"
#include "libcommon/zk/zk.h"

#define ZK_RUN_PATH_MAX 65536 /* of a path that is put together */
#define ZK_RUN_DEPTH_MAX 1000 /* of a tree that is walked */

/* The options of all verbs; each has the rows of those that mean something to it. */
struct zk_options {
	struct client_options client;
	const char *hosts;
	uint64_t timeout_ms;
	struct option_texts auths; /* SCHEME:DATA */
	struct option_texts acls;  /* SCHEME:ID:PERMS */
	uint32_t version;	   /* UINT32_MAX: any */
	bool json, show_version;
	bool recursive, long_form, stat, ephemeral, sequential, parents, once;
};

/* The rows that every verb has. */
#define ZK_COMMON_ROWS                                                                             \
	{.name = "hosts",                                                                          \
	    .kind = OPTION_TEXT,                                                                   \
	    .offset = offsetof(struct zk_options, hosts),                                          \
	    .argument = "HOST:PORT,...",                                                           \
	    .help = "the servers; default: ZK_HOSTS, corral.conf(5), this machine"},               \
	    {.name = "timeout",                                                                    \
		.kind = OPTION_TIME,                                                               \
		.offset = offsetof(struct zk_options, timeout_ms),                                 \
		.argument = "TIME",                                                                \
		.help = "wait so long for a connection and for each answer (10s)"},                \
	    {.name = "auth",                                                                       \
		.kind = OPTION_TEXTS,                                                              \
		.offset = offsetof(struct zk_options, auths),                                      \
		.argument = "SCHEME:DATA",                                                         \
		.help = "authenticate, as digest:USER:PASSWORD; may be repeated"},                 \
	    {.name = "json",                                                                       \
		.kind = OPTION_FLAG,                                                               \
		.offset = offsetof(struct zk_options, json),                                       \
		.help = "print JSON"},                                                             \
	    CLIENT_OPTION_ROWS(struct zk_options)

struct zk_run {
	const struct zk_options *options;
	struct loop *loop;
	struct tls *tls; /* NULL: plain */
	struct zk *zk;
	struct timer limit;
	bool answered, out_of_time;
	int signo; /* that told us to stop; 0: none */
	int rc;
	void (*answer)(struct zk_run *run, const struct zk_result *result, void *arg);
	void *answer_arg;
};

/* Handles a good answer; the result is gone when it returns. */
typedef void zk_run_answer(struct zk_run *run, const struct zk_result *result, void *arg);

/* Connect. An exit status: 0, or what was said on stderr. zk_run_close() in either case. */
int zk_run_open(struct zk_run *run, const struct zk_options *options);

/* Close the session and release everything. */
void zk_run_close(struct zk_run *run);

/*
 * One request and its answer. The result is the code of zk_err.h, ZK_OPERATIONTIMEOUT when there
 * was no answer in time; answer (may be NULL) is called for ZK_OK only.
 */
int zk_run_request(struct zk_run *run, const struct zk_op *op, zk_run_answer *answer, void *arg);

/* Turn the loop until done() says true, the session ends, or a signal tells us to stop. */
void zk_run_until(struct zk_run *run, bool (*done)(void *arg), void *arg);

/*
 * Say "zk: PATH: what" on stderr and return the exit status for the code. Silent: ZK_OK (0), and
 * after a signal (128 and its number).
 */
int zk_run_fail(const struct zk_run *run, const char *path, int rc);

/* The names of a node's children, in bytewise order; zk_names_free() releases them. */
struct zk_names {
	char **items;
	size_t count;
};
int zk_run_children(struct zk_run *run, const char *path, struct zk_names *names);
void zk_names_free(struct zk_names *names);

/*
 * A walk down a tree keeps one path: push appends "/NAME" and returns the length before, to which
 * the caller cuts the path again; SIZE_MAX, with the path as it was, if it does not fit.
 */
size_t zk_path_push(char path[ZK_RUN_PATH_MAX], const char *name);

/* "SCHEME:ID:PERMS" to an entry, in which the text is cut up. False: it is none. */
bool zk_acl_parse(char *text, struct zk_acl *acl);
/* "cdrwa" as far as perms has them. */
void zk_perms_text(char to[6], int32_t perms);

/* The verbs: an exit status each. argv are the operands, argc at least and at most as the verb
 * says. */
int zk_verb_ls(struct zk_run *run, int argc, char **argv);
int zk_verb_get(struct zk_run *run, int argc, char **argv);
int zk_verb_stat(struct zk_run *run, int argc, char **argv);
int zk_verb_watch(struct zk_run *run, int argc, char **argv);
int zk_verb_create(struct zk_run *run, int argc, char **argv);
int zk_verb_set(struct zk_run *run, int argc, char **argv);
int zk_verb_rm(struct zk_run *run, int argc, char **argv);
int zk_verb_acl(struct zk_run *run, int argc, char **argv);
int zk_verb_sync(struct zk_run *run, int argc, char **argv);

#endif
