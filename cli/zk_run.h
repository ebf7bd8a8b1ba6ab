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

#include "cli/zk_options.h"
#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"
#include "libcommon/zk/zk.h"

#define ZK_RUN_PATH_MAX 65536 /* of a path that is put together */
#define ZK_OWN_FAILURE 125    /* of what passes a command's exit status on, env(1) */
#define ZK_HOSTS_BYTES_MAX 8192
#define ZK_RUN_REQUEST_BYTES_MAX (32u << 20) /* the most that zkserver's jute.maxbuffer says */
#define ZK_RUN_DEPTH_MAX 1000		     /* of a tree that is walked */

struct zk_run {
	const struct zk_options *options;
	struct loop *loop;
	char hosts[ZK_HOSTS_BYTES_MAX];
	struct tls *tls; /* NULL: plain */
	struct zk *zk;
	struct timer limit;
	bool answered, out_of_time;
	int signo; /* that told us to stop; 0: none */
	int rc;
	size_t sent_bytes; /* of the request that was answered last, or lost */
	void (*answer)(struct zk_run *run, const struct zk_result *result, void *arg);
	void *answer_arg;
};

/* One more session with the same servers and identities, NULL with the fault said. zk_free() it. */
struct zk *zk_run_session(struct zk_run *run);

/* Handles a good answer; the result is gone when it returns. */
typedef void zk_run_answer(struct zk_run *run, const struct zk_result *result, void *arg);

/* Connect. An exit status: 0, or what was said on stderr. zk_run_close() in either case. */
int zk_run_open(struct zk_run *run, const struct zk_options *options);

/* Close the session and release everything; once more has no effect. */
void zk_run_close(struct zk_run *run);

/*
 * One request and its answer. The result is the code of zk_err.h, ZK_OPERATIONTIMEOUT when there
 * was no answer in time, ZK_TOOLARGE when the server closed on a request that few servers take;
 * answer (may be NULL) is called for ZK_OK only.
 */
int zk_run_request(struct zk_run *run, const struct zk_op *op, zk_run_answer *answer, void *arg);

/* The same of a multi, whose answer is also handed on when it failed: result->ops says in what. */
int zk_run_multi(
    struct zk_run *run, const struct zk_op *ops, size_t count, zk_run_answer *answer, void *arg);

/* Turn the loop until done() says true, the session ends, or a signal tells us to stop. */
void zk_run_until(struct zk_run *run, bool (*done)(void *arg), void *arg);

/*
 * Say "zk: PATH: what" on stderr and return the exit status for the code. Silent: ZK_OK (0), and
 * after a signal (128 and its number).
 */
int zk_run_fail(const struct zk_run *run, const char *path, int rc);

/* The exit status for a code. */
int zk_run_status(int rc);

/* Make the nodes above path that are not there yet. ZK_OK, or what was wrong. */
int zk_run_parents(struct zk_run *run, const char *path);

/* The names of a node's children, in bytewise order; zk_names_free() releases them. */
struct zk_names {
	char **items;
	size_t count;
};
int zk_run_children(struct zk_run *run, const char *path, struct zk_names *names);
void zk_names_free(struct zk_names *names);

/*
 * A way down a tree keeps one path: push appends "/NAME" and returns the length before, to which
 * the caller cuts the path again; SIZE_MAX, with the path as it was, if it does not fit.
 */
size_t zk_path_push(char path[ZK_RUN_PATH_MAX], const char *name);

/*
 * All nodes below a node, each before its own children, in bytewise order, or with deep false its
 * children alone. visit() is called with walk->path as the node's, and returns ZK_OK or what ends
 * the walk; so does a request that fails, but for a node that vanished. The path is then where it
 * went wrong. It may set walk->leaf: nothing is below this one. A tolerant walk goes on where it
 * may not read a node below the first, says so, and sets walk->denied.
 */
struct zk_walk {
	struct zk_run *run;
	int (*visit)(struct zk_walk *walk);
	bool deep, tolerant;
	bool leaf, denied;
	char path[ZK_RUN_PATH_MAX];
};
int zk_walk(struct zk_walk *walk, const char *path);

/* "SCHEME:ID:PERMS" to an entry, in which the text is cut up. False: it is none. */
bool zk_acl_parse(char *text, struct zk_acl *acl);
/* "cdrwa" as far as perms has them. */
void zk_perms_text(char to[6], int32_t perms);

/* The commands: an exit status each. argv are the operands, argc at least and at most as the table
 * in zk.c says. */
typedef int zk_verb_fn(struct zk_run *run, int argc, char **argv);
zk_verb_fn zk_verb_acl, zk_verb_bench, zk_verb_config, zk_verb_count, zk_verb_create, zk_verb_elect,
    zk_verb_ephemerals, zk_verb_export, zk_verb_get, zk_verb_import, zk_verb_lock, zk_verb_ls,
    zk_verb_multi, zk_verb_quota, zk_verb_reconfig, zk_verb_rm, zk_verb_set, zk_verb_stat,
    zk_verb_sync, zk_verb_watch, zk_verb_whoami;

#endif
