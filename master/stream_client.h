/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of streams (stream.c) and the relays of what they follow (relay.c). */
#ifndef CORRAL_MASTER_STREAM_CLIENT_H
#define CORRAL_MASTER_STREAM_CLIENT_H

#include "master/master.h"

/* How much of a task's output a client has. */
struct position {
	uint32_t index, attempt;
	uint64_t offset[2]; /* of standard output and error: the first byte that is missing */
	bool known[2];	    /* else nothing of it came, and tail_lines says where to begin */
};

struct client {
	struct list in_all;
	struct master *m;
	struct link *link;
	struct job *job;     /* of a run, until it has ended */
	int64_t incarnation; /* of the job */
	char name[CLUSTER_NAME_MAX + 1];
	bool run, follow, input;
	int64_t tail_lines;
	struct list relays;
	size_t open;
	/* logs: the indexes, of which those below next_index are done with */
	uint32_t first_index, next_index, end_index;
	uint32_t *read_attempts;    /* by index - first_index: whose output is through; 0: none's */
	struct position *positions; /* by index, that it came with */
	size_t position_count;
	bool look_again;  /* logs: something has become of its tasks */
	struct buf early; /* input before there is a stream for it, or while its agent is away */
	bool input_over;  /* there is no more than that */
	bool launched, ended;
	int32_t signal; /* the last that the client sent */
	int32_t status;
	char message[256];
	struct timer timer; /* not placed in time; then: the rest of the output */
};

/* One task's streams, between the client and the task's agent. */
struct relay {
	struct list in_client;
	struct hmap_node by_number;
	struct client *client;
	struct agent *agent;
	uint64_t registration; /* of the agent, when it was asked; 0: it is away, and waited for */
	uint64_t number;       /* of what the agent was asked for, a new one each time */
	struct task_key key;
	struct position at;
	uint64_t unacked_input_bytes;
};

/* Upgrade the request's connection. NULL: no memory; the request is gone either way. */
struct client *client_new(struct master *m, struct http_request *r, struct job *j);

/* Whether it is time for the last word; the client may be gone after this. */
void client_settle(struct client *c);

/* The same from the next turn of the loop, for callers that may be called by one of ours. */
void client_settle_later(struct client *c);

/* What becomes of the client's output, for people. */
void client_note(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* False: its queue is full. */
bool client_send(struct client *c, Corral__Api__MasterToClient *message);

/* The client does not read, or broke the rules: end its connection; it is gone after this. */
void client_end(struct client *c);

/*
 * relay.c. Open one: from where the client is (c->positions). An agent that is away is waited for
 * if the client follows; else, or without memory, false.
 */
bool relay_open(struct client *c, struct agent *a, const struct task_key *key);
/* Forget it, without a word to the agent. */
void relay_free(struct relay *r);
/* Tell the agent, and forget all of them. */
void relay_close_all(struct client *c);
struct relay *relay_of_index(struct client *c, uint64_t index);
/* Input of the client (false: the agent is away), or the taking of its output. */
bool relay_input(struct relay *r, const uint8_t *bytes, size_t size, bool eof);
void relay_ack(struct relay *r, uint64_t bytes);
/* An agent is back, or is given up. */
void relay_agent_up(struct master *m, struct agent *a);
void relay_agent_given_up(struct master *m, struct agent *a);

#endif
