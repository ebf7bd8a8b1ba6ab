/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree as it is now, as the stream that a learner takes: a forked child makes it and waits
 * while its pipe is full, so that a learner that takes its time costs this process a few KiB.
 */
#ifndef CORRAL_ZKSERVER_SNAPSHOT_FEED_H
#define CORRAL_ZKSERVER_SNAPSHOT_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcommon/io/loop.h"
#include "zkserver/core/db.h"

struct snapshot_feed {
	pid_t child; /* 0: none */
	int fd;
	struct fd_watch *watch; /* NULL while nobody wants to read */
	struct loop *loop;
	void (*ready)(void *arg);
	void *arg;
};

enum snapshot_feed_state { SNAPSHOT_FEED_MORE, SNAPSHOT_FEED_END, SNAPSHOT_FEED_FAILED };

/* ready() is called from the loop when there is something to read. False with a line in the log. */
bool snapshot_feed_start(struct snapshot_feed *f, struct loop *loop, const struct db *db,
    void (*ready)(void *arg), void *arg);

/* Call ready() from now on, or not. False: no memory. */
bool snapshot_feed_want(struct snapshot_feed *f, bool want);

/* Read what is there; *got may be 0. */
enum snapshot_feed_state snapshot_feed_read(
    struct snapshot_feed *f, uint8_t *to, size_t size, size_t *got);

/* Its child is ended, if there is one. */
void snapshot_feed_stop(struct snapshot_feed *f);

#endif
