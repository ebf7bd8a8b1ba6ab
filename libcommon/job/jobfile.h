/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job files (corral-job(5)): a text in, a checked job out, and from that what each task is to run.
 * Pure: no files, no clock; the command line and the master read the same text to the same job.
 */
#ifndef CORRAL_JOB_JOBFILE_H
#define CORRAL_JOB_JOBFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/job_name.h"
#include "libcommon/sys/faults.h"
#include "proto/corral.pb-c.h"

#define JOBFILE_TEXT_MAX (512u * 1024) /* bytes of a job file */
#define JOBFILE_COUNT_MAX 1000000u
#define JOBFILE_SINGLETONS_MAX 1000u
#define JOBFILE_WORDS_MAX 1024 /* of a command, of an environment */
#define JOBFILE_CONSTRAINTS_MAX 32
#define JOBFILE_PRE_MAX 32

#define JOBFILE_CPU_DEFAULT_MILLI 1000u
#define JOBFILE_MEMORY_DEFAULT (UINT64_C(256) << 20)
#define JOBFILE_TIME_MAX_MS UINT64_C(3155760000000) /* a hundred years, "infinity" */
#define JOBFILE_RETRIES_UNLIMITED UINT32_MAX
#define JOBFILE_WAIT_MS UINT64_MAX	     /* OnDisconnect=wait */
#define JOBFILE_SCRIPT_MAX (128u * 1024 - 1) /* bytes: Linux' limit for one argument */

/* Tasks of `corral run`, whose output goes through one connection; masters and clients refuse more.
 */
#define RUN_COUNT_MAX 1000
#define RUN_COUNT_TEXT_OF(number) #number
#define RUN_COUNT_TEXT(number) RUN_COUNT_TEXT_OF(number)
#define RUN_COUNT_RANGE "1 to " RUN_COUNT_TEXT(RUN_COUNT_MAX)
#define RUN_COUNT_FAULT                                                                            \
	"expected " RUN_COUNT_RANGE ": corral submit takes a job file with a larger Count="

enum jobfile_type { JOBFILE_BATCH, JOBFILE_SERVICE };
enum jobfile_restart { JOBFILE_RESTART_NO, JOBFILE_RESTART_ON_FAILURE, JOBFILE_RESTART_ALWAYS };

struct jobfile_words {
	char **items; /* count texts, then NULL; NULL when there are none */
	size_t count;
};

/* A command, unquoted; specifiers and variables are still in its words. */
struct jobfile_command {
	struct jobfile_words argv;
	bool ignore_failure; /* prefix "-" */
	bool no_variables;   /* prefix ":" */
	bool literal;	     /* nothing is replaced: a script's text */
	unsigned line;
};

/* attribute == value, or != : "node" is the node's name, "attr.X" its attribute X. */
struct jobfile_constraint {
	char *attribute;
	char *value;
	bool equal;
};

struct jobfile {
	char name[JOB_NAME_MAX + 1];
	char *description; /* NULL: none */
	char *documentation;
	enum jobfile_type type;
	uint32_t count;
	char *role;		 /* NULL: the default, "*" */
	uint32_t priority;	 /* 0 to 100, 50 by default; higher first */
	uint64_t runtime_max_ms; /* 0: none */

	struct jobfile_command *pre; /* ExecStartPre=, in order */
	size_t pre_count;
	struct jobfile_command start;
	char *working_directory;	  /* NULL: the sandbox */
	char *user;			  /* NULL: the agent decides */
	struct jobfile_words environment; /* NAME=value, specifiers still in it */
	enum jobfile_restart restart;	  /* by default no, for a service always */
	uint64_t restart_ms;		  /* pause before a retry */
	uint32_t retries_max; /* StartLimitBurst=; by default 5, for a service no limit */
	int kill_signal;
	uint64_t timeout_stop_ms; /* at most JOBFILE_TIME_MAX_MS */

	uint64_t cpu_milli, memory_bytes, disk_bytes;
	uint64_t memory_max_bytes; /* 0: memory_bytes */

	struct jobfile_constraint *constraints;
	size_t constraint_count;
	bool singleton; /* never two attempts at one index at once */
	/* How long a task is waited for whose node is unreachable; 0: it is replaced at once. */
	uint64_t disconnect_ms;
};

/*
 * The job's name that `path` suggests: its last component without ".job". False (to is empty) if
 * that is no name for a job.
 */
bool jobfile_name_from_path(const char *path, char to[JOB_NAME_MAX + 1]);

/*
 * Read a job file or a script with #CORRAL comments. `file` is its name in messages. NULL if
 * anything is wrong; every fault is then in faults. Free with jobfile_free().
 */
struct jobfile *jobfile_parse(
    const char *name, const char *file, const char *text, size_t size, struct faults *faults);
void jobfile_free(struct jobfile *job); /* NULL is allowed */

struct jobfile_launch {
	uint32_t index;	  /* 0 to count - 1 */
	uint32_t attempt; /* from 1 */
	const char *node; /* where it will run: %H */
	uint64_t fence;	  /* of a singleton: CORRAL_FENCE */
};

/*
 * What one attempt is to run: specifiers and variables replaced, CORRAL_JOB, CORRAL_INDEX,
 * CORRAL_COUNT, CORRAL_ATTEMPT and CORRAL_NODE set, and CORRAL_FENCE of a singleton. Free with
 * corral__task_spec__free_unpacked(spec, NULL). NULL when there is no memory.
 */
Corral__TaskSpec *jobfile_task_spec(const struct jobfile *job, const struct jobfile_launch *launch);

/* Does a node satisfy the constraints? attributes[count] are its own. */
bool jobfile_allows_node(const struct jobfile *job, const char *node,
    Corral__Attribute *const *attributes, size_t count);

/* An example job file, as `corral init` prints it. */
extern const char jobfile_example[];

#endif
