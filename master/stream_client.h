/* SPDX-License-Identifier: Apache-2.0 */
/* A client of streams, between the requests that make one and the relaying. */
#ifndef CORRAL_MASTER_STREAM_CLIENT_H
#define CORRAL_MASTER_STREAM_CLIENT_H

#include "master/master.h"

struct client {
	struct list in_all;
	struct master *m;
	struct link *link;
	struct job *job;     /* of a run, until it has ended */
	int64_t incarnation; /* of logs' job */
	char name[CLUSTER_NAME_MAX + 1];
	bool run, follow, input;
	int64_t tail_lines;
	struct list relays;
	size_t open;
	uint32_t next_index, end_index; /* logs: indexes that are still to be opened */
	struct buf early;		/* input before there is a stream for it */
	bool early_eof;
	bool launched, ended;
	int32_t signal; /* the last that the client sent */
	int32_t status;
	char message[256];
	struct timer timer; /* not placed in time; then: the rest of the output */
};

struct relay {
	struct list in_client;
	struct client *client;
	struct agent *agent;
	uint64_t registration;
	uint64_t number;
	uint32_t index;
};

/* Upgrade the request's connection. NULL: no memory; the request is gone either way. */
struct client *client_new(struct master *m, struct http_request *r, struct job *j);

/* Whether it is time for the last word; the client may be gone after this. */
void client_settle(struct client *c);

#endif
