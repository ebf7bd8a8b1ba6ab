/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a job's node in the ensemble says that is to be run: a job file, or (for `corral run`) the
 * request as JSON, which begins with a brace. From it come the core's policy and each attempt's
 * spec.
 */
#ifndef CORRAL_MASTER_DEFINITION_H
#define CORRAL_MASTER_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/base/buf.h"
#include "libcommon/job/jobfile.h"
#include "libcommon/sys/faults.h"
#include "master/core/cluster.h"
#include "proto/api.pb-c.h"

struct definition {
	struct jobfile *file; /* one of the two */
	Corral__Api__RunRequest *run;
};

/* NULL: every fault is in faults. */
struct definition *definition_parse(
    const char *name, const char *file, const char *text, size_t size, struct faults *faults);
/* Takes the request, and puts the text that is to be stored for it into out. NULL: the fault is in
 * error[size]. */
struct definition *definition_of_run(
    Corral__Api__RunRequest *run, struct buf *out, char *error, size_t size);
void definition_free(void *definition);

uint32_t definition_policy(
    const struct definition *d, struct job_policy *policy); /* gives the count */
/* The account that it names, or NULL. */
const char *definition_user(const struct definition *d);
bool definition_allows(const void *definition, const struct agent *a);

/* For one attempt; free with corral__task_spec__free_unpacked(spec, NULL). NULL: no memory. */
Corral__TaskSpec *definition_spec(
    const struct definition *d, const struct job *j, const struct task_key *key, const char *node);

#endif
