/* SPDX-License-Identifier: Apache-2.0 */
/* The standard input of an interactive task: bytes from the agent into a pipe. */
#ifndef CORRAL_EXECUTOR_INPUT_H
#define CORRAL_EXECUTOR_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/io/loop.h"

/* The sender's window (proto/corral.proto, streams); what comes beyond it closes the input. */

struct input {
	struct loop *loop;
	int read_fd, write_fd; /* -1: closed */
	bool eof;
	struct buf waiting;
	struct fd_watch *watch; /* while the pipe is full */
	void (*taken)(void *arg, uint64_t bytes);
	void *arg;
};

void input_init(struct input *in);

/* The end for the task, or -1 with errno. taken() is told of bytes that need no window any more. */
int input_open(
    struct input *in, struct loop *loop, void (*taken)(void *arg, uint64_t bytes), void *arg);

/* The task has its end: close ours. */
void input_started(struct input *in);

/* Bytes from the agent, and whether they are the last. Without a reader they are dropped. */
void input_take(struct input *in, const void *bytes, size_t size, bool eof);

void input_close(struct input *in);

#endif
