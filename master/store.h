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

/*
 * store_access.c: the ACL for a node that is made: all to masters, and everybody may read it if
 * `readable`. acls point to id; gives their number.
 */
#define STORE_ACL_ID 320
size_t store_acls(
    const struct master *m, bool readable, char id[STORE_ACL_ID], struct zk_acl acls[2]);
/*
 * Is the answer to zk_get_acl() no wider than that? If not, this master ends (EX_CONFIG), having
 * said which command mends it. An answer that is no ACL is nobody's fault here.
 */
bool store_acl_is_right(
    struct master *m, const struct zk_result *r, const char *path, bool readable);

#endif
