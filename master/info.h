/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a master says of itself in its election node: a MasterInfo as Apache Mesos writes it, in
 * JSON, so that Mesos' tools find the leader, and beside it the addresses of our own API and
 * agents' port.
 */
#ifndef CORRAL_MASTER_INFO_H
#define CORRAL_MASTER_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/base/buf.h"

struct master_info {
	char name[64];
	char id[40];		 /* drawn at start */
	char api_address[256];	 /* HOST:PORT */
	char agent_address[256]; /* HOST:PORT */
	char version[32];
};

/* False: no memory, or an address without a port. */
bool master_info_encode(const struct master_info *info, struct buf *out);

/* False: not the JSON of a master of ours; *info is then empty. */
bool master_info_decode(struct master_info *info, const char *text, size_t size);

#endif
