/* SPDX-License-Identifier: Apache-2.0 */
/* Inside jobfile: what the table of keys and the reader share. */
#ifndef CORRAL_JOB_JOBFILE_PARSE_H
#define CORRAL_JOB_JOBFILE_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/job/jobfile.h"

#define JOBFILE_MANUAL "corral-job(5)"

/* A job file on its way: where its faults go, and what was given, where a default depends on it. */
struct jobfile_reading {
	struct jobfile *job;
	const char *file;
	struct faults *faults;
	unsigned line; /* of the entry at hand */
	bool script;   /* the text is a script: the command is given */
	bool restart_given, retries_given;
	unsigned memory_max_line;
	unsigned singleton_line, timeout_stop_line, count_line, disconnect_line; /* 0: not given */
	bool stop_forever; /* TimeoutStopSec=infinity */
};

/*
 * A key that we implement: `set` stores the value and returns NULL, or says what is wrong with it.
 * `argument` is the row's own (an offset, a bound).
 */
struct jobfile_key {
	const char *section, *name;
	const char *(*set)(
	    struct jobfile_reading *r, const struct jobfile_key *key, const char *value);
	size_t offset;
};

extern const struct jobfile_key jobfile_keys[];
extern const size_t jobfile_key_count;

/*
 * Why a key or a section (name NULL) that systemd or a later version has is not taken here; NULL if
 * it is none of these.
 */
const char *jobfile_refusal(const char *section, const char *name);

/* Checks of a command's words once the whole file is known: specifiers and variables that exist. */
void jobfile_check_command(
    struct jobfile_reading *r, const struct jobfile_command *command, const char *key);
void jobfile_check_specifiers(
    struct jobfile_reading *r, const char *text, const char *key, unsigned line);

#endif
