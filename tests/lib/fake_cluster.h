/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world around the master's core in one process: an ensemble that is a list of texts, agents
 * that keep tasks on a disk that never fails, and links between them that can be cut. What happens
 * next is the caller's choice; nothing here has a clock or draws numbers.
 */
#ifndef CORRAL_TESTS_FAKE_CLUSTER_H
#define CORRAL_TESTS_FAKE_CLUSTER_H

#include "master/core/cluster.h"

enum { FAKE_AGENTS_MAX = 64, FAKE_TASKS_MAX = 256, FAKE_QUEUE_MAX = 1024, FAKE_NODES_MAX = 2048 };

struct fake_node {
	char path[160];
	uint64_t path_hash;
	char *data;
	size_t size;
	int64_t czxid;
};

struct fake_store {
	struct fake_node nodes[FAKE_NODES_MAX];
	size_t count;
	int64_t zxid;
};

struct fake_task {
	struct task_key key;
	struct resources need;
	Corral__TaskState state; /* terminal: its end waits to be acknowledged */
	uint32_t sequence;
	uint8_t code;
	Corral__TaskReason reason;
	uint8_t uuid[CLUSTER_UUID_BYTES];
};

struct fake_agent {
	char name[16], id[CLUSTER_ID_MAX + 1];
	struct resources capacity;
	struct fake_task tasks[FAKE_TASKS_MAX];
	size_t task_count;
	uint64_t registration; /* as the master gave it; 0: not welcomed */
	bool connected;
	const char *missing;		  /* isolation that it cannot give; NULL: none */
	struct out inbox[FAKE_QUEUE_MAX]; /* sent by the master, not read yet */
	size_t inbox_count;
	struct task_key refused[FAKE_TASKS_MAX]; /* killed before they came: never to be started */
	size_t refused_count;
};

struct fake {
	struct fake_store store;
	struct fake_agent agents[FAKE_AGENTS_MAX];
	size_t agent_count;
	struct cluster cluster;
	bool leading;
	uint64_t lease_ms;	 /* of the next leader */
	uint32_t drift_permille; /* the same */
	bool unreadable;	 /* what is in the store of a job may be so */
	uint32_t left_alone;	 /* so many were */
	struct term term;
	uint64_t now_ms;
	int64_t wall_offset_ms;	    /* of the leader to come: the time of the day, less now_ms */
	const struct commit *batch; /* out, not applied yet */
	uint64_t launches, kills, acks, accepted, welcomes; /* seen in the core's output */
	uint64_t refusals; /* launches that an agent had no room for: the master over-committed */
	uint64_t uuids;
};

void fake_init(struct fake *f);
void fake_fini(struct fake *f);
struct fake_agent *fake_add_agent(struct fake *f, uint64_t cpu_milli, uint64_t memory_mib);

/* A master is elected and reads the store; the one before it, if any, is gone, and all links with
 * it. */
void fake_elect(struct fake *f);
void fake_depose(struct fake *f);

/* Carry the core's output out: into inboxes. Then turn, and begin a batch. */
void fake_turn(struct fake *f);
/* The batch at hand reaches the store; told: and the master hears of it. */
void fake_commit(struct fake *f, bool told);
/* Turn and commit until nothing is left to store. */
void fake_settle(struct fake *f);

struct job *fake_submit(
    struct fake *f, const char *name, uint32_t count, const struct job_policy *policy);

void fake_connect(
    struct fake *f, struct fake_agent *a); /* a new connection, and a registration on it */
void fake_cut(struct fake *f, struct fake_agent *a); /* both ends know */
void fake_heartbeat(struct fake *f, struct fake_agent *a);
void fake_read(
    struct fake *f, struct fake_agent *a); /* the agent takes one message from its inbox */
void fake_read_all(struct fake *f, struct fake_agent *a);
void fake_send_update(struct fake *f, struct fake_agent *a, struct fake_task *t);
void fake_exit(struct fake *f, struct fake_agent *a, struct fake_task *t, uint8_t code);
void fake_lose_all(
    struct fake *f, struct fake_agent *a); /* the machine was reset: all tasks are lost */

/* By hand: a node more, or one less. */
void fake_put(struct fake *f, const char *path);
void fake_remove(struct fake *f, const char *path);
const struct fake_node *fake_find(const struct fake *f, const char *path);

#endif
