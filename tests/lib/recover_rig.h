/* SPDX-License-Identifier: Apache-2.0 */
/* A database that is logged on the simulated disk, and what a start makes of that. */
#ifndef CORRAL_TESTS_RECOVER_RIG_H
#define CORRAL_TESTS_RECOVER_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "tests/lib/simdisk.h"
#include "zkserver/core/recover.h"
#include "zkserver/core/txnlog.h"

#define RIG_SESSION 0x100000000000077

extern const struct hash_key RIG_KEY;
extern const struct recover_options RIG_OPTIONS;
extern struct simdisk *rig_disk;
extern struct store *rig_store;
extern struct db rig_db;
extern struct txnlog rig_txnlog;

void rig_setup(void);
void rig_teardown(void);

struct jute_bytes rig_text(const char *s);
struct txn_header rig_next_header(int32_t type);
struct txn_body rig_create_body(const char *path, const char *data, bool ephemeral);

/* Log one transaction durably, with the tree's digest after it, and apply it. */
void rig_log_txn(struct buf *txn);
void rig_change(const struct txn_body *body);
void rig_create(const char *path, const char *data, bool ephemeral);

/* A tree with all that a snapshot holds: a session, an ACL, null and empty data, an ephemeral node.
 */
void rig_populate(int nodes);

/* A snapshot of it; the next transaction begins a log file. */
void rig_snapshot(void);

/* A start must give something, the same database, or an error with its text. */
void rig_recover_into(struct db *got);
struct recover_report rig_recovered(const struct db *same);
int rig_recover_error(char text[384]);

uint64_t rig_file_size(const char *name);

#endif
