/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process of a task's PID namespace: starts the program, reaps orphans, passes signals
 * on, reports how the program ended, and ends itself, upon which the kernel ends all that is left
 * in the namespace. It ends also when the executor does.
 */
#ifndef CORRAL_EXECUTOR_INIT_H
#define CORRAL_EXECUTOR_INIT_H

#include <stdint.h>
#include <sys/types.h>

#include "libcommon/sys/spawn.h"

enum init_report_kind { INIT_STARTED = 1, INIT_FAILED, INIT_ENDED };

/* Init to executor, over the socket pair. */
struct init_report {
	int32_t kind;
	int32_t value; /* INIT_FAILED: errno; INIT_ENDED: the wait status */
	char what[24]; /* INIT_FAILED: the step */
};

/*
 * Make the namespaces (PID, mount with a /proc of its own) and the init in them, which runs `s`.
 * The init's pid, or -1 with errno; *fd is our end of the socket pair: read struct init_report from
 * it, write one int32_t per signal to it.
 */
pid_t init_start(const struct spawn *s, int *fd);

#endif
