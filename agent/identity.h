/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent says of its node when it registers. */
#ifndef CORRAL_AGENT_IDENTITY_H
#define CORRAL_AGENT_IDENTITY_H

#include <stdbool.h>

#include "agent/helper.h"
#include "libcommon/sys/corral_conf.h"
#include "libcommon/sys/proc.h"

#define IDENTITY_ATTRIBUTES_MAX 256

struct identity {
	Corral__Register message; /* points into the rest */
	Corral__Resources capacity;
	Corral__Attribute attributes[IDENTITY_ATTRIBUTES_MAX];
	Corral__Attribute *attribute_list[IDENTITY_ATTRIBUTES_MAX];
	const char *missing[ISOLATION_NAMES_MAX];
	char node[256];
	char boot_id[PROC_BOOT_ID_BYTES];
};

/* False: said on stderr. Borrows from conf and isolation; *id must not move. */
bool identity_init(
    struct identity *id, const struct corral_conf *conf, const struct isolation *isolation);

/*
 * What a new configuration says the node offers and what its attributes are, in place of the old.
 * False: said on stderr, and nothing has changed, because it cannot be so, or is less than in_use.
 * *changed: there is something to tell the master.
 */
bool identity_change(struct identity *id, const struct corral_conf *conf,
    const Corral__Resources *in_use, bool *changed);
void identity_fini(struct identity *id);

#endif
