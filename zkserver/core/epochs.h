/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two promises that a member of an ensemble keeps on disk, beside its snapshots: acceptedEpoch,
 * the newest epoch it has promised to follow, and currentEpoch, the newest one whose leader's
 * history it has. Decimal text as Apache's server writes it. A file's value is replaced as a whole
 * and durably before the function that changes it returns.
 */
#ifndef CORRAL_ZKSERVER_EPOCHS_H
#define CORRAL_ZKSERVER_EPOCHS_H

#include <stdint.h>

#include "libcommon/base/store.h"
#include "zkserver/core/datadir.h"

struct epochs {
	int32_t accepted, current; /* current <= accepted */
};

/*
 * Read both at the start of a member whose last logged zxid is `last_zxid`, and bring the files in
 * order: those that are missing are made from last_zxid (0 in a new directory), and what a crash
 * has left between two steps is finished, of which *note tells. Records of an epoch above the
 * current one are no fault: a member that died in the middle of its synchronization has them.
 *
 * 0; or a negative errno with *f: a file that is there and does not hold a number is never taken
 * for 0, and an epoch of last_zxid above the accepted one means that files of two histories are
 * mixed here (DATADIR_CORRUPT).
 */
int epochs_load(
    struct store *s, int64_t last_zxid, struct epochs *e, struct fault *note, struct fault *f);

/*
 * Raise one; lowering, or a current epoch above the accepted one, is the caller's fault. 0 when it
 * is durable, and only then is *e changed; or a negative errno with *f: then nothing more may be
 * promised until the files were read anew.
 */
int epochs_accept(struct store *s, struct epochs *e, int32_t epoch, struct fault *f);
int epochs_enter(struct store *s, struct epochs *e, int32_t epoch, struct fault *f);

#endif
