/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three cores of zkserver tied into an ensemble by the simplest broadcast that there is: who leads
 * is said by the test, links are queues, a majority's disks commit. Nothing happens by itself: a
 * test moves a message, or has a disk write, when it wants to. Clients are those of zkserver_rig.h,
 * whose functions for making requests and reading replies work here too.
 */
#ifndef CORRAL_TESTS_ENSEMBLE_RIG_H
#define CORRAL_TESTS_ENSEMBLE_RIG_H

#include "tests/lib/zkserver_rig.h"

#define NODES 3

struct node {
	struct db db;
	struct server server;
	struct server_upstream up;
	struct list inbox;  /* messages on their way to it; a learner's are all the leader's */
	struct list outbox; /* to the leader, while it is a learner */
	struct buf history; /* each txn that was applied: zxid, then its bytes */
	struct buf waiting; /* a leader's: answers, each with the zxid whose commit it follows */
	int64_t given;	    /* zxid handed to the disk last */
	int64_t acked;	    /* as the leader knows it */
	int64_t sent;	    /* proposed to it last */
	struct server_cursor cursor;
};

extern struct node nodes[NODES];
extern int leader;

void ensemble_setup(void); /* 0 leads, the others follow; all are empty */
void ensemble_teardown(void);

/* All roles end, what is pending is applied, and who has most leads; `who` if it has as much. */
void ensemble_elect(int who);

/* One thing happens; false: there was nothing to do. */
bool ensemble_to_leader(int n);	  /* a message of this learner */
bool ensemble_from_leader(int n); /* a message to this learner */
bool ensemble_disk(int n);	  /* writes what it was given */
void ensemble_settle(void);	  /* everything, until nothing is left */

/* Clocks go on everywhere; learners tell who showed itself, all of it is settled. */
void ensemble_pass(uint64_t ms);

/* Clients: connected to a node; what they send is in `request`. */
void ensemble_open(struct client *c, int n);
size_t ensemble_send(struct client *c);
void ensemble_connect(
    struct client *c, int n, int64_t seen, int64_t session, const uint8_t *password);
int64_t ensemble_join(struct client *c, int n); /* settled */
void ensemble_close(struct client *c);
int ensemble_node_of(const struct client *c);

/* A create of "data" that anybody may do anything to; a read or a sync; a ping. */
void ensemble_create(struct client *c, int32_t xid, const char *path, int32_t flags);
void ensemble_ask(struct client *c, int32_t xid, int32_t op, const char *path);
void ensemble_ping(struct client *c);

/* This is the next reply. */
void ensemble_expect(struct client *c, int32_t xid, int32_t error);

bool ensemble_has(int n, const char *path);
bool ensemble_has_any(const char *path);
bool ensemble_ended(const struct client *c); /* without a word */

#endif
