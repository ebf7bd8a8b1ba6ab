/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt under an agent: what `corral-executor attempt NAME` does, started by the agent's
 * helper. */
#ifndef CORRAL_EXECUTOR_ATTEMPT_H
#define CORRAL_EXECUTOR_ATTEMPT_H

#define ATTEMPT_BOOT_FD 3

/* Runs until the final status is acknowledged or nobody asks for it; the status to exit with. */
int attempt_run(void);

#endif
