/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's core in a program that has the master's, too: both speak of attempts. Here, and
 * where the core is compiled for such a program, the agent's have other names.
 */
#ifndef CORRAL_TESTS_SIM_CL_AGENT_CORE_H
#define CORRAL_TESTS_SIM_CL_AGENT_CORE_H

#define attempt_new agent_attempt_new
#define attempt_free agent_attempt_free
#define attempt_find agent_attempt_find

#ifndef CL_AGENT_ALONE
/* What has a member of that name keeps it. */
#include "libcommon/codec/taskkey.h"
#include "proto/corral.pb-c.h"

#define attempt agent_attempt
#include "agent/core/core.h"

#undef attempt
#undef attempt_new
#undef attempt_free
#undef attempt_find
#endif

#endif
