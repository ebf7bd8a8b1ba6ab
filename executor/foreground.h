/* SPDX-License-Identifier: Apache-2.0 */
/* `corral-executor run`: one task in the foreground, without an agent. */
#ifndef CORRAL_EXECUTOR_FOREGROUND_H
#define CORRAL_EXECUTOR_FOREGROUND_H

/* The status to exit with: the task's own as env(1) has it, 125 for failures of ours. */
int foreground_run(const char *spec_path);

#endif
