/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work on the data directories in a forked child, which has the server's memory as it was: one
 * child of a chore at a time, which says what failed through a pipe and exits.
 */
#ifndef CORRAL_ZKSERVER_CHORE_H
#define CORRAL_ZKSERVER_CHORE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "libcommon/base/store.h"
#include "libcommon/io/loop.h"
#include "zkserver/core/datadir.h"

struct chore {
	/* Set by the owner. */
	const char *name; /* for messages: "snapshot" */
	struct loop *loop;
	struct store *stores[2]; /* of libcommon/sys/store_posix: what the child may use */
	/* In the child. What is in *f afterwards is what failed. */
	void (*work)(void *arg, struct fault *f);
	/* In the loop, when the child has ended: its fault ("": none), and its wait status. */
	void (*done)(void *arg, const char *fault, int status);
	void *arg;

	/* The chore's own; 0 to begin with. */
	pid_t child; /* 0: none */
	int pipe_fd; /* the child's message comes here; its end says that the child is done */
	struct fd_watch *watch;
	struct fault fault; /* as far as it came */
	size_t fault_len;
};

/* False: its child is at work, or none could be made (logged). */
bool chore_start(struct chore *c);
bool chore_busy(const struct chore *c);

/* Kill and reap a child that is at work; done() is not called. */
void chore_stop(struct chore *c);

#endif
