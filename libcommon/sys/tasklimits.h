/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of a task's cgroup, the same whoever makes it. */
#ifndef CORRAL_SYS_TASKLIMITS_H
#define CORRAL_SYS_TASKLIMITS_H

#include "libcommon/sys/cgroup.h"
#include "proto/corral.pb-c.h"

/*
 * Cpu as a share under contention, not as a ceiling (what is idle may be used); memory as a hard
 * limit: memory_max_bytes, or what was booked.
 */
void tasklimits_of(const Corral__TaskSpec *spec, struct cgroup_limits *to);

#endif
