/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link to the leading master: mutual TLS, found among `[agent] masters=` or through the
 * ensemble (leader.h). Bytes only: the core says what they mean.
 */
#ifndef CORRAL_AGENT_MASTER_LINK_H
#define CORRAL_AGENT_MASTER_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"
#include "proto/corral.pb-c.h"

struct master_link;

struct master_link_ops {
	void (*up)(void *arg);
	void (*message)(void *arg, const Corral__MasterToAgent *m);
	void (*writable)(void *arg);
	void (*down)(void *arg);
};

/*
 * NULL: no memory. Addresses as in dialer_new(); none yet is allowed. cluster (borrowed): whose
 * masters' certificates are taken.
 */
struct master_link *master_link_new(struct loop *loop, struct tls *tls, const char *cluster,
    const char *const *addresses, size_t count, const struct master_link_ops *ops, void *arg);
void master_link_free(struct master_link *l);

/* Other masters; a link to one that is not among them is dropped. */
void master_link_set_addresses(struct master_link *l, const char *const *addresses, size_t count);

/* False: there is no link, or its queue is full (then writable() will come). */
bool master_link_send(struct master_link *l, const void *bytes, size_t size);
bool master_link_send_message(struct master_link *l, const Corral__AgentToMaster *message);

/* Close the link; another is dialed. down() is called. */
void master_link_drop(struct master_link *l, const char *why);

#endif
