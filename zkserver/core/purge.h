/* SPDX-License-Identifier: Apache-2.0 */
/* Removing old snapshots and logs (autopurge): never one that a recovery could need. */
#ifndef CORRAL_ZKSERVER_PURGE_H
#define CORRAL_ZKSERVER_PURGE_H

#include "libcommon/base/store.h"
#include "zkserver/core/datadir.h"

/* autopurge.snapRetainCount's least and default value. */
#define PURGE_RETAIN_MIN 3

/*
 * Keep the `retain` (at least PURGE_RETAIN_MIN) newest snapshots that are whole, verified by
 * reading them, and every log from the one that holds the oldest kept snapshot's zxid on. Nothing
 * is removed while fewer are whole. The number of files removed, or a negative errno and *f.
 */
int purge(struct store *snapshots, struct store *logs, unsigned retain, struct fault *f);

#endif
