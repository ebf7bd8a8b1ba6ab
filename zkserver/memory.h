/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory there is for this process. */
#ifndef CORRAL_ZKSERVER_MEMORY_H
#define CORRAL_ZKSERVER_MEMORY_H

#include <stdint.h>

/*
 * The machine's memory, or what the control groups leave of it (memory.max of cgroup v2,
 * memory.limit_in_bytes of v1, of the process's group and those above). 0: unknown.
 * proc_cgroup: normally "/proc/self/cgroup"; mount: "/sys/fs/cgroup".
 */
uint64_t memory_available_bytes(const char *proc_cgroup, const char *mount);

#endif
