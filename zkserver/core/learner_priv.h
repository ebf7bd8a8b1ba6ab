/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a learner share: learner.c has the protocol, learner_sync.c the histories. */
#ifndef CORRAL_ZKSERVER_CORE_LEARNER_PRIV_H
#define CORRAL_ZKSERVER_CORE_LEARNER_PRIV_H

#include "zkserver/core/learner.h"

/* The role is over; the first reason counts. */
void learner_leave(struct learner *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* DIFF, TRUNC or SNAP is due, and this came. */
struct qpacket;
void learner_choose(struct learner *l, const struct qpacket *p);

/* A snapshot's bytes are in link->in: take them. */
void learner_receive(struct learner *l);

/*
 * All that a fuzzy snapshot may hold already has come again and is applied: an ephemeral node whose
 * session is still missing now has none. False: there is no memory, or a node has no access list
 * yet and the role is over.
 */
bool learner_finish_loading(struct learner *l);

/* If the log was released for what was to change its files, it goes on. */
void learner_reopen(struct learner *l);

#endif
