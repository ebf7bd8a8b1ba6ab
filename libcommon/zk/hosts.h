/* SPDX-License-Identifier: Apache-2.0 */
/* The list of servers as users write it: "HOST[:PORT],..." Pure. */
#ifndef CORRAL_ZK_HOSTS_H
#define CORRAL_ZK_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/base/rng.h"

#define ZK_HOSTS_MAX 32
#define ZK_HOST_BYTES_MAX 272 /* a DNS name, brackets, port, NUL */
#define ZK_PORT_DEFAULT 2181

struct zk_hosts {
	char items[ZK_HOSTS_MAX][ZK_HOST_BYTES_MAX]; /* "HOST:PORT", "[V6]:PORT" */
	size_t count;
};

/* False: the reason is in error[size]. */
bool zk_hosts_parse(struct zk_hosts *h, const char *text, char *error, size_t size);

/* So that the clients of an ensemble spread over its servers. */
void zk_hosts_shuffle(struct zk_hosts *h, struct rng *rng);

#endif
