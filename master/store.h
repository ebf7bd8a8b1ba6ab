/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the ensemble whose answers are dropped when the session is no longer the one they
 * came from. */
#ifndef CORRAL_MASTER_STORE_H
#define CORRAL_MASTER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/zk/zk.h"
#include "master/core/cluster.h"

struct master;

#define STORE_ELECTION "/corral/master" /* the masters' nodes are below it */

typedef void store_then(struct master *m, const struct zk_result *result, void *arg);

/*
 * The argument for a request whose callback is store_done(): `then` is called with the answer,
 * unless the session has ended by then (what `arg` points to must therefore belong to somebody who
 * learns of that). NULL: no memory. store_asked() looks at what the request returned; false: it was
 * not made, the argument is released and leadership given up.
 */
void *store_call(struct master *m, store_then *then, void *arg);
zk_done_fn *store_done(void);
bool store_asked(struct master *m, void *call, int rc, const char *what);

#endif
