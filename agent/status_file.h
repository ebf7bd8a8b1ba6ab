/* SPDX-License-Identifier: Apache-2.0 */
/* The final status that an executor left in its run directory. */
#ifndef CORRAL_AGENT_STATUS_FILE_H
#define CORRAL_AGENT_STATUS_FILE_H

#include "libcommon/codec/taskkey.h"

/* NULL: there is none that is whole and of this attempt. The caller frees it. */
Corral__StatusUpdate *status_file_read(const char *state_dir, const struct taskkey *key);

#endif
