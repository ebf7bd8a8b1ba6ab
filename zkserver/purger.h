/* SPDX-License-Identifier: Apache-2.0 */
/* autopurge: old snapshots and logs are removed at the start and by the clock, in a child. */
#ifndef CORRAL_ZKSERVER_PURGER_H
#define CORRAL_ZKSERVER_PURGER_H

#include <stdint.h>

#include "libcommon/base/store.h"
#include "libcommon/io/loop.h"
#include "zkserver/chore.h"
#include "zkserver/core/purge.h"

struct purger {
	struct chore chore;
	struct purge_clock clock;
	unsigned retain;
};

/*
 * hours: autopurge.purgeInterval, 0: never; retain: autopurge.snapRetainCount. The stores must
 * outlive the purger.
 */
void purger_init(struct purger *p, struct loop *loop, struct store *snapshots, struct store *logs,
    unsigned hours, unsigned retain);

/* Ends a child that is at work: what it has not removed, the next one does. */
void purger_fini(struct purger *p);

/* Start the work if it is due; call it now and then. */
void purger_tick(struct purger *p, uint64_t now_ms);

#endif
