/* SPDX-License-Identifier: Apache-2.0 */
/* `zkserver txnlog FILE` and `zkserver snapshot FILE|DIR`: what is in the files, and what can be
 * had of them. */
#ifndef CORRAL_ZKSERVER_INSPECT_H
#define CORRAL_ZKSERVER_INSPECT_H

#include <stdbool.h>

/*
 * Print a log file's transactions, one a line. 0; 1 if it is damaged (said on stderr after what
 * could be read); or another status of sysexits(3). The file is not changed.
 */
int inspect_txnlog(const char *path, bool as_json);

/*
 * Copy what stands before the damage of a log file to FILE.recovered, and say what is behind. 0,
 * also if there is no damage; 1 if nothing can be kept; or another status. The file is not changed.
 */
int inspect_recover(const char *path);

/* Print a snapshot's sessions and nodes, of a directory the newest one that is whole. As above. */
int inspect_snapshot(const char *path, bool as_json);

/*
 * Look through a data directory (log_dir NULL: the logs are there too): every file's checksums and
 * digests, that the log has no gap, and what a start would do. Nothing is changed. 0; 1 if anything
 * is damaged; or another status of sysexits(3).
 */
int inspect_verify(const char *data_dir, const char *log_dir);

#endif
