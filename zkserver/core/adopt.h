/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing what is on disk at a leader's word, so that a crash at any moment leaves the old history
 * or the new one and never a mix: taking over a snapshot in place of everything, and forgetting
 * what lies above a zxid. No log may be open for writing.
 */
#ifndef CORRAL_ZKSERVER_CORE_ADOPT_H
#define CORRAL_ZKSERVER_CORE_ADOPT_H

#include <stdint.h>

#include "libcommon/base/store.h"
#include "zkserver/core/datadir.h"

/* A received snapshot that is decided to be what this server has: adopt.HEXZXID. */
#define ADOPT_PREFIX "adopt"

/*
 * The snapshot that was spooled as SNAPSHOT_NEW_NAME, of zxid, replaces all snapshots and logs.
 * 0 when that is durable, or a negative errno with *f.
 */
int adopt_snapshot(struct store *snapshots, struct store *logs, uint64_t zxid, struct fault *f);

/* At a start, before recover(): finish what a crash left of it. *zxid is set if there was something
 * to finish. 0, or a negative errno with *f. */
int adopt_resume(struct store *snapshots, struct store *logs, uint64_t *zxid, struct fault *f);

/*
 * Forget everything above zxid. -ENOENT, and nothing is changed: the history here does not have
 * this zxid, or none of its snapshots reaches back so far. 0 when it is durable, or a negative
 * errno.
 */
int adopt_truncation(struct store *snapshots, struct store *logs, uint64_t zxid, struct fault *f);

#endif
