/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scripts of zk(1): what multi and import read and export writes. One change in each line, in the
 * words of the command line:
 *
 *     create [-c|-e|-s|-t TIME] [-n] [-a ACL]... PATH [DATA]
 *     set [-n] [-v N] PATH [DATA]
 *     rm [-v N] PATH
 *     check [-v N] PATH
 *
 * Words are separated by blanks; a word in double quotes may have blanks, \" \\ \n \r \t and \xHH
 * for any byte. A line that is empty or begins with # is none.
 */
#ifndef CORRAL_CLI_ZK_SCRIPT_H
#define CORRAL_CLI_ZK_SCRIPT_H

#include <stdio.h>

#include "cli/zk_change.h"
#include "libcommon/base/buf.h"

/* The first and the last line of an export: what was cut short lacks the second. */
#define ZK_SCRIPT_BEGIN "# zk export 1"
#define ZK_SCRIPT_END_MARK "# zk export ends"

struct zk_script {
	FILE *from;
	const char *name;  /* of the file, for faults */
	unsigned line;	   /* the last one that was read */
	bool begun, ended; /* the marks of an export were seen */
};

enum zk_script_result { ZK_SCRIPT_CHANGE, ZK_SCRIPT_END, ZK_SCRIPT_WRONG };

/* The next change; WRONG was said on stderr with the line. *change is set in every case. */
enum zk_script_result zk_script_next(struct zk_script *script, struct zk_change *change);

/* The bytes as one word of a script, in double quotes. */
void zk_script_quote(struct buf *b, const void *bytes, size_t size);

#endif
