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
/* How many of the committed ones are below zxid. */
size_t ens_committed_below(const struct ens_check *c, int64_t zxid);
/* The transaction that a history at zxid ends with: the one before, at an epoch's beginning. */
int64_t ens_book_place(struct ens_check *c, int64_t zxid);

/* ---- what happened: ens_check.c ---- */

bool ens_is_durable_at_quorum(const struct ens *e, const struct members *members, int64_t zxid);

/* ---- order, holes and who counts: ens_zab.c ---- */

/* A member has loaded what it has, or applies one more. */
void ens_zab_loaded(struct ens_node *n);
void ens_zab_applied(struct ens_node *n, const struct ens_txn *t);
/* A leader makes the first transaction of its epoch. */
void ens_zab_first(struct ens_node *n, int64_t zxid);
/* zxid is taken for committed; no quorum of these members has it: which predicate is that of? */
const char *ens_zab_no_quorum(const struct ens *e, const struct members *m, int64_t zxid);
/* It has another role, or looks for one. */
void ens_zab_role(struct ens_node *n);
/* The predicate's name, and that of observers' if it is one. */
const char *ens_zab_name(const struct ens_node *n, const char *name);

/* ---- what it does: ens_effect.c ---- */

/* A leader has made a transaction: may the session end? */
void ens_check_expiry(struct ens_node *n, const uint8_t *bytes, size_t size);
/* A transaction is committed: to the tree, and to its session. */
void ens_check_replay(struct ens_node *n, const uint8_t *bytes, size_t size);
void ens_check_session(struct ens_node *n, const uint8_t *bytes, size_t size);

/* ---- files: ens_disk.c ---- */

/* All of a file, malloc()ed; NULL: there is none. */
uint8_t *ens_disk_read(struct store *s, const char *name, size_t *size);

#endif
