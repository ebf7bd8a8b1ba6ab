/* SPDX-License-Identifier: Apache-2.0 */
/* What a master told the agent to do, for the log: who was obeyed, of which term. */
#ifndef CORRAL_AGENT_TOLD_H
#define CORRAL_AGENT_TOLD_H

#include <stdbool.h>

#include "proto/corral.pb-c.h"

/* A line of level debug for each launch, kill, signal and acknowledgement in the message. */
void told_log(const Corral__MasterToAgent *m, bool obeyed);

#endif
