/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the oracle share. */
#ifndef CORRAL_TESTS_SIM_ENS_CHECK_H
#define CORRAL_TESTS_SIM_ENS_CHECK_H

#include "libcommon/base/hash.h"
#include "tests/sim/ens.h"

#define ENS_EPOCHS_MAX (1 << 12)

#define ENS_VIOLATION(n, ...) world_violation(&(n)->e->world, __VA_ARGS__)

extern const struct hash_key ens_check_key;

/* ---- the book: ens_book.c ---- */

/* Room for one element more; the array may have moved. */
void *ens_book_grow(void *array, size_t *cap, size_t count, size_t size);
/* NULL: no leader has made it, and no epoch begins with it. */
struct ens_txn *ens_book_find(struct ens_check *c, int64_t zxid);
/* It must not be there yet. Void when the next one is inserted. */
struct ens_txn *ens_book_insert(struct ens_check *c, int64_t zxid);
bool ens_is_committed(const struct ens_check *c, int64_t zxid);

/* ---- what happened: ens_check.c ---- */

bool ens_is_durable_at_quorum(const struct ens *e, const struct members *members, int64_t zxid);

/* ---- what it does: ens_effect.c ---- */

/* A leader has made a transaction: may the session end? */
void ens_check_expiry(struct ens_node *n, const uint8_t *bytes, size_t size);
/* A transaction is committed: to paths, and to its session. */
void ens_check_replay(struct ens_check *c, const uint8_t *bytes, size_t size);
void ens_check_session(struct ens_node *n, const uint8_t *bytes, size_t size);

#endif
