/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member of an ensemble as a process: the peer's core between its two ports, the log and the
 * server. Everything here is called by run.c, and does nothing in a server that stands alone.
 */
#ifndef CORRAL_ZKSERVER_ENSEMBLE_H
#define CORRAL_ZKSERVER_ENSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zkserver/core/peer.h"
#include "zkserver/core/recover.h"
#include "zkserver/daemon.h"
#include "zkserver/standing.h"

/*
 * Make the member and load what is on disk into d->db. 0, or a negative errno with *f. *report is
 * for the log.
 */
int ensemble_load(struct daemon *d, const struct recover_options *options,
    struct recover_report *report, struct fault *f);

/* Open both ports and look for a leader; d->server and d->log are there. False: error[size]. */
bool ensemble_open(struct daemon *d, char *error, size_t size);
void ensemble_close(struct daemon *d);

/* Everything up to zxid is durable. */
void ensemble_synced(struct daemon *d, int64_t zxid);

/* Behind inputs: what follows from them; then, when the log has its records, what links have. */
void ensemble_turn(struct daemon *d);
void ensemble_flush(struct daemon *d);

/* When ensemble_tick() is due. */
uint64_t ensemble_deadline_ms(const struct daemon *d);
void ensemble_tick(struct daemon *d);

/* False: it stands alone, or its ports are not open yet. */
bool ensemble_standing(const struct daemon *d, struct standing *to);

#endif
