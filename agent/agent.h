/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's process that faces the network: what its core asks for is done here. */
#ifndef CORRAL_AGENT_AGENT_H
#define CORRAL_AGENT_AGENT_H

#include "agent/helper_client.h"
#include "libcommon/sys/corral_conf.h"

#define AGENT_CHECKPOINT_DIRECTORY "checkpoint" /* below the state directory, mode 0700 */

/* Run until SIGTERM; executors go on. Takes way->fd. The status to exit with. */
int agent_run(
    const struct corral_conf *conf, const char *config_path, const struct helper_way *way);

/*
 * Nobody is seen to run on the checkpoint directory `path`; agent_run() makes sure of it. False:
 * said on stderr.
 */
bool agent_is_alone(const char *path);

/* Does an agent hold the lock of the checkpoint directory `path`? False with errno. */
bool agent_is_running(const char *path, bool *running);

#endif
