/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged part of the agent: it launches executors, kills, probes and removes what belongs
 * to an attempt, ends those that the agent does not know, and nothing else. Each request is checked
 * against the configuration; names and paths are made here from the attempt's key and only compared
 * with what the request says. As root it is a process of its own (helper_process.h); as an ordinary
 * user the agent calls it directly.
 */
#ifndef CORRAL_AGENT_HELPER_H
#define CORRAL_AGENT_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "libcommon/base/buf.h"
#include "libcommon/sys/conf.h"
#include "proto/corral.pb-c.h"

/* Largest request or reply: 64 bytes for each of AGENT_ATTEMPTS_MAX keys. */
#define HELPER_FRAME_BYTES_MAX (4 << 20)

struct helper_conf {
	const char *state_dir;	     /* sandbox/ and run/ below it */
	const char *executor;	     /* program */
	const char *executor_listen; /* HOST:PORT; an executor reports to no other host */
	const struct conf_list *run_as;
	const char *default_user; /* of tasks that name none; NULL: those are refused */
	uid_t agent_uid;	  /* account of the agent's network process */
	gid_t agent_gid;
	/*
	 * Start executors in the network and mount namespaces of this process, normally 1, whatever
	 * we are confined to; 0: in ours.
	 */
	pid_t namespaces_of;
};

#define ISOLATION_NAMES_MAX 4
#define ISOLATION_NAME_BYTES 32
#define ISOLATION_TEXT_BYTES 160

/* The isolation that a helper cannot give. */
struct isolation {
	char names[ISOLATION_NAMES_MAX][ISOLATION_NAME_BYTES]; /* of Register.missing_isolation */
	size_t count;
	char text[ISOLATION_TEXT_BYTES]; /* for people; "": nothing is missing */
};

struct helper;

/* NULL: said on stderr. conf is copied, what it points to is borrowed. */
struct helper *helper_new(const struct helper_conf *conf);
void helper_free(struct helper *h);

/*
 * Be the only helper of the state directory and of its cgroup, for as long as we, or who was forked
 * with the lock, live. Waits half a minute at most for one that is still at work. False: said on
 * stderr.
 */
bool helper_claim(struct helper *h);

/* Do what the request asks, and append the HelperReply to it. */
void helper_handle(struct helper *h, const Corral__HelperRequest *request, struct buf *reply);

/* Reap executors that ended, after SIGCHLD. */
void helper_reap(struct helper *h);

void helper_isolation(const struct helper *h, struct isolation *to);

#endif
