/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection from an agent, as far as it is decided what becomes of what came on it: only a
 * leader within its right to act reads; a connection's first message is a registration, and what
 * comes after it is of that registration; the newest registration discards an older connection,
 * unread. A core: the shell has the bytes, and does what is said here.
 */
#ifndef CORRAL_MASTER_CONN_H
#define CORRAL_MASTER_CONN_H

#include "master/core/elect.h"

enum { CONN_WHY_MAX = 400 };

struct conn {
	void *link;			 /* the shell's, as struct agent.link has it */
	char name[CLUSTER_NAME_MAX + 1]; /* as the certificate has it */
	struct agent *agent;		 /* NULL before it is registered */
	uint64_t registration;
	Corral__Register *pending; /* came before the store was read */
};

enum conn_then {
	CONN_NOTHING,	 /* it is no news, or waits for the store to be read */
	CONN_END,	 /* we do not lead: the agent goes on to the next master */
	CONN_REFUSED,	 /* say why, and end the connection */
	CONN_REGISTERED, /* discard news.old, if there is one */
	CONN_HEARD,	 /* acknowledge the heartbeat */
	CONN_UPDATED,	 /* outcomes were taken */
	CONN_OTHER,	 /* of this registration, and nothing that the core knows */
};

struct conn_news {
	char why[CONN_WHY_MAX];
	struct agent *again; /* the agent that was registered before this; NULL: none was */
	void *old;	     /* its connection, another one than this */
};

void conn_init(struct conn *k, void *link);
/*
 * A message has come. loaded: the store was read, and cluster is there. Takes a registration out of
 * the message.
 */
enum conn_then conn_take(struct conn *k, struct cluster *c, const struct elect *e, bool loaded,
    uint64_t now_ms, Corral__AgentToMaster *message, struct conn_news *news);
/* The store was read: what waited for that. */
enum conn_then conn_loaded(
    struct conn *k, struct cluster *c, uint64_t now_ms, struct conn_news *news);
/* It is discarded: its end is no news of its agent. */
void conn_forsake(struct conn *k);
/* Is this its agent's newest connection, so that its end is news? */
bool conn_is_newest(const struct conn *k, bool loaded);
/* It has ended. */
void conn_fini(struct conn *k, struct cluster *c, bool loaded, uint64_t now_ms);

#endif
