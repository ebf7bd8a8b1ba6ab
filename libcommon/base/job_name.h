/* SPDX-License-Identifier: Apache-2.0 */
/* Names of jobs: [a-z0-9][a-z0-9-]{0,62}. */
#ifndef CORRAL_BASE_JOB_NAME_H
#define CORRAL_BASE_JOB_NAME_H

#include <stdbool.h>

#define JOB_NAME_MAX 63 /* bytes */

bool job_name_ok(const char *name);

#endif
