/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the audit trail goes: a file (audit.file), each line as log4j writes it, or else our log. A
 * turn's lines are written together before its replies. A file that cannot be written does not stop
 * the server: the log says how many lines were lost.
 */
#ifndef CORRAL_ZKSERVER_AUDIT_LOG_H
#define CORRAL_ZKSERVER_AUDIT_LOG_H

#include <stdbool.h>

#include "zkserver/core/audit.h"

struct audit_log {
	struct audit core;
	const char *path; /* "": our log */
	int fd;
	struct buf lines;     /* of this turn */
	uint64_t count, lost; /* lines in it; lines lost since it was said last */
};

/* False with errno: the file cannot be opened. path is kept by reference. */
bool audit_log_open(struct audit_log *l, const char *path);
void audit_log_close(struct audit_log *l);

/* The file was renamed: go on in a new one. If it cannot be opened the old one stays, and that is
 * logged. */
void audit_log_reopen(struct audit_log *l);

void audit_log_flush(struct audit_log *l);

#endif
