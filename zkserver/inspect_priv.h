/* SPDX-License-Identifier: Apache-2.0 */
/* What the inspectors of files share. */
#ifndef CORRAL_ZKSERVER_INSPECT_PRIV_H
#define CORRAL_ZKSERVER_INSPECT_PRIV_H

#include <limits.h>

#include "zkserver/core/db.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txn.h"
#include "zkserver/core/txnlog_reader.h"
#include "zkserver/report.h"

#define EXIT_DAMAGED 1
#define INSPECT_TICK_MS 2000 /* of a database that never serves */

/* A file or a directory of files, split so that a store can be opened. */
struct place {
	char directory[PATH_MAX];
	const char *name; /* NULL: the directory's */
};

/* Say it on standard error, and return the status. */
int inspect_complain(const char *path, const char *what, int status);

/* A file, or the directory that has the files: DIR, or DIR/version-2. False: too long. */
bool inspect_place(const char *path, struct place *p);

/* The place of a log file. False: its name is none of a log, or too long. */
bool inspect_log_place(const char *path, struct place *p, struct datadir_entry *entry);

/* An empty database. False: no memory. */
bool inspect_db(struct db *db);

const char *inspect_type(int32_t type);

/* As JSON: one transaction, in an array; a database, in an object. */
void inspect_json_record(struct json *j, const struct txnlog_record *record);
void inspect_json_database(struct json *j, const struct db *db, const struct snapshot_info *info);

#endif
