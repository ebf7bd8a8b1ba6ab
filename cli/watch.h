/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's progress: a view that renews itself where stderr is a terminal, else one plain line per
 * change of a task. Outlives a failover: while no master leads it waits.
 */
#ifndef CORRAL_CLI_WATCH_H
#define CORRAL_CLI_WATCH_H

#include "cli/corral.h"

/* Until the job is over: 0 if it finished, 1 if it failed or was stopped, else as api_call(). */
int watch_job(struct corral *c, const char *name);

#endif
