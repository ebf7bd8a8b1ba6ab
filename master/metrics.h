/* SPDX-License-Identifier: Apache-2.0 */
/* The master's metrics (corral-master(8) lists them). */
#ifndef CORRAL_MASTER_METRICS_H
#define CORRAL_MASTER_METRICS_H

#include "libcommon/base/metrics.h"
#include "master/core/cluster.h"

struct master_metrics {
	struct metrics all;
	struct metric build, leader;
	struct metric tasks[8], waiting;
	struct metric nodes[5];
	struct metric jobs[6];
	struct metric capacity_cpu, capacity_memory, leased_cpu, leased_memory;
	struct metric placements, visited, elections, commits;
	struct metric_histogram placement;  /* microseconds a placement */
	struct metric_histogram allocation; /* a job's acceptance to a first launch */
	struct metric_histogram start;	    /* a launch to its RUNNING */
	struct metric_histogram commit;	    /* a batch to its answer */
	uint64_t commit_sent_us;
};

void master_metrics_init(struct master_metrics *x);

/* Bring the gauges up to date; cluster NULL: this master does not lead. */
void master_metrics_update(struct master_metrics *x, const struct cluster *c);

#endif
