/* SPDX-License-Identifier: Apache-2.0 */
/* Updates as messages, and the final one as a file in the run directory. */
#ifndef CORRAL_EXECUTOR_STATUS_H
#define CORRAL_EXECUTOR_STATUS_H

#include <stdbool.h>

#include "executor/core/life.h"

/* A StatusUpdate that borrows from *u and *key. */
struct status_message {
	Corral__StatusUpdate update;
	Corral__Usage usage;
};
void status_message_fill(
    struct status_message *s, Corral__TaskKey *key, const struct life_update *u, uint32_t sequence);

/* Write DIRECTORY/status, one record (libcommon/codec/record.h), synced. False with errno. */
bool status_write(
    const char *directory, Corral__TaskKey *key, const struct life_update *u, uint32_t sequence);

#endif
