/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager hears of a running server: that it lives, and a line for systemctl. */
#ifndef CORRAL_ZKSERVER_UNIT_STATUS_H
#define CORRAL_ZKSERVER_UNIT_STATUS_H

#include "zkserver/core/server.h"

struct standing;

struct unit_status {
	uint64_t watchdog_ms; /* between two signs of life; 0: none are expected */
	uint64_t alive_ms, said_ms;
};

void unit_status_init(struct unit_status *u);

/* Call it once a second or so. NULL: it stands alone. */
void unit_status_tick(
    struct unit_status *u, const struct server *s, const struct standing *standing);

/* Something that systemctl shows has changed: say it at the next tick. */
void unit_status_now(struct unit_status *u);

#endif
