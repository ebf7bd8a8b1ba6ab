/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who leads, from the ensemble: the lowest of /corral/master/json.info_N, whose data (a MasterInfo
 * as JSON) carries the address for agents in its member "agent_address". Public ZooKeeper protocol
 * only.
 */
#ifndef CORRAL_AGENT_LEADER_H
#define CORRAL_AGENT_LEADER_H

#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"
#include "libcommon/sys/corral_conf.h"

struct leader;

/* changed() is called with HOST:PORT, or NULL while nobody leads. NULL: said on stderr. */
struct leader *leader_new(struct loop *loop, const struct corral_conf *conf, struct tls *tls,
    void (*changed)(void *arg, const char *address), void *arg);
void leader_free(struct leader *l);

#endif
