/* SPDX-License-Identifier: Apache-2.0 */
/* The argument list and the environment of a task. */
#ifndef CORRAL_EXECUTOR_TASKENV_H
#define CORRAL_EXECUTOR_TASKENV_H

#include <stddef.h>

#include "proto/corral.pb-c.h"

/* The items and a NULL, borrowing the texts; free() it. NULL: no memory. */
const char **taskenv_list(char *const *items, size_t count);

/*
 * CORRAL_JOB, CORRAL_INDEX, CORRAL_ATTEMPT, CORRAL_SANDBOX, PATH and HOME, each only where the spec
 * does not set it, and all that the spec sets; nothing of ours. NULL: no memory.
 */
const char **taskenv_new(
    const Corral__TaskKey *key, const Corral__TaskSpec *spec, const char *sandbox);
void taskenv_free(const char **env);

#endif
