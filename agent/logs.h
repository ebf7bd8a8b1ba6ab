/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams between a client (by way of the master) and a task: its stdout and stderr, read from the
 * sandbox and followed, and its standard input. At most STREAM_WINDOW_BYTES are on their way
 * unacknowledged per stream and direction.
 */
#ifndef CORRAL_AGENT_LOGS_H
#define CORRAL_AGENT_LOGS_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/codec/taskkey.h"
#include "libcommon/io/loop.h"
#include "proto/corral.pb-c.h"

#define LOGS_STREAMS_MAX 1024 /* more are refused with StreamClose */

/* What the attempt is, to a stream. */
enum logs_attempt {
	LOGS_UNKNOWN, /* no such attempt: its sandbox may still be there */
	LOGS_RUNS,    /* more output may come */
	LOGS_OVER,    /* all output is written */
};

struct logs_ops {
	/* Send to the master: StreamData, StreamAck or StreamClose. False: not now, writable will
	 * be said. */
	bool (*send)(void *arg, Corral__AgentToMaster *m);
	/* Pass input to the executor. False: it has no link now. */
	bool (*input)(void *arg, const struct taskkey *key, Corral__StreamData *data);
	enum logs_attempt (*attempt)(void *arg, const struct taskkey *key);
};

struct logs;

/* NULL with errno. state_dir is borrowed. */
struct logs *logs_new(
    struct loop *loop, const char *state_dir, const struct logs_ops *ops, void *arg);
void logs_free(struct logs *l);

/* A message of the master for a stream. */
void logs_message(struct logs *l, const Corral__MasterToAgent *m);

/* The attempt started, or is over, or its executor is back: look again. */
void logs_attempt_changed(struct logs *l, const struct taskkey *key);

/* Some attempt may be over: the streams of those that are end once all is sent. */
void logs_end_those_over(struct logs *l);

/* The executor took so many bytes of input. */
void logs_input_taken(struct logs *l, const struct taskkey *key, uint64_t bytes);

/* The link to the master has room again; it is gone, and all streams with it. */
void logs_writable(struct logs *l);
void logs_master_down(struct logs *l);

#endif
