/* SPDX-License-Identifier: Apache-2.0 */
/* What the node has and what of it is in use. */
#ifndef CORRAL_AGENT_MEASURE_H
#define CORRAL_AGENT_MEASURE_H

#include <stdint.h>

#include "proto/corral.pb-c.h"

struct measure {
	const char *directory;		/* whose file system is the node's disk; borrowed */
	uint64_t busy_ticks, all_ticks; /* of the last look */
};

void measure_init(struct measure *m, const char *directory);

/* Cpus that we may use, memory of the machine, size of the directory's file system. What cannot be
 * read is 0. */
void measure_capacity(const struct measure *m, Corral__Resources *to);

/* Use since the last call (of cpus), and now (the rest). */
void measure_usage(struct measure *m, Corral__NodeUsage *to);

#endif
