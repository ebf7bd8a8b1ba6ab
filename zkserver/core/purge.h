/* SPDX-License-Identifier: Apache-2.0 */
/* Removing old snapshots and logs (autopurge): never one that a recovery could need. */
#ifndef CORRAL_ZKSERVER_PURGE_H
#define CORRAL_ZKSERVER_PURGE_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/store.h"
#include "zkserver/core/datadir.h"

/* autopurge.snapRetainCount's least and default value. */
#define PURGE_RETAIN_MIN 3

/* When to purge: at the start, and then each so many hours. 0 to begin with, but for the hours. */
struct purge_clock {
	unsigned hours; /* autopurge.purgeInterval; 0: never */
	bool started;
	uint64_t due_ms;
};

/*
 * True each time it is due. now_ms is monotonic. What was due while nobody asked (the machine
 * slept) is made up for once.
 */
bool purge_clock_due(struct purge_clock *c, uint64_t now_ms);

/*
 * Keep the `retain` (at least PURGE_RETAIN_MIN) newest snapshots that are whole, verified by
 * reading them, and every log from the one that holds the oldest kept snapshot's zxid on. Nothing
 * is removed while fewer are whole. The number of files removed, or a negative errno and *f.
 */
int purge(struct store *snapshots, struct store *logs, unsigned retain, struct fault *f);

#endif
