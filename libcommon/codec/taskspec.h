/* SPDX-License-Identifier: Apache-2.0 */
/* What a task must have before anybody stores, launches or starts it: one rule for all of them. */
#ifndef CORRAL_CODEC_TASKSPEC_H
#define CORRAL_CODEC_TASKSPEC_H

#include "proto/corral.pb-c.h"

/* Packed. With what goes along it fits a record of a checkpoint, and what an executor inherits. */
#define TASKSPEC_BYTES_MAX ((1 << 20) - (32 << 10))

/* What each executor needs for itself: masters and agents count it with its task's own. */
#define TASKSPEC_EXECUTOR_MEMORY_BYTES (UINT64_C(2) << 20)

/* NULL: nothing is wrong with it. */
const char *taskspec_fault(const Corral__TaskSpec *spec);

#endif
