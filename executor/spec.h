/* SPDX-License-Identifier: Apache-2.0 */
/* What an executor is to run: read from a file or an inherited descriptor, and checked. */
#ifndef CORRAL_EXECUTOR_SPEC_H
#define CORRAL_EXECUTOR_SPEC_H

#include "proto/corral.pb-c.h"

#define SPEC_BYTES_MAX (1 << 20)

/* A corral.TaskSpec in protobuf's encoding; "-" is standard input. NULL: said on stderr. */
Corral__TaskSpec *spec_read(const char *path);

/* A corral.ExecutorBoot from descriptor fd, which is closed. NULL: said on stderr. */
Corral__ExecutorBoot *spec_read_boot(int fd);

#endif
