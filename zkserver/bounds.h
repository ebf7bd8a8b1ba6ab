/* SPDX-License-Identifier: Apache-2.0 */
/* The core's limits: from the configuration, and, when they refuse clients, to the log. */
#ifndef CORRAL_ZKSERVER_BOUNDS_H
#define CORRAL_ZKSERVER_BOUNDS_H

#include <stdint.h>

#include "zkserver/conf.h"
#include "zkserver/core/server.h"

struct limits bounds_limits(const struct zoo_conf *c);

/* Writes that may be on their way to the log. */
uint32_t bounds_outstanding(const struct zoo_conf *c);

/* All zero at the start. */
struct bounds_log {
	uint64_t said[LIMIT_COUNT], said_ms[LIMIT_COUNT];
};

/* Say which limits refused clients since they were said last, and how often: once a minute each. */
void bounds_log(struct bounds_log *l, const struct server *s);

#endif
