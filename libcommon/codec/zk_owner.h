/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ephemeralOwner of a node says besides a session: 0 is a persistent node, the least
 * number a container, and a first byte of 0xff, with zeros in the two behind it, a time to live in
 * the last 40 bits. Source: EphemeralType of Apache ZooKeeper.
 */
#ifndef CORRAL_CODEC_ZK_OWNER_H
#define CORRAL_CODEC_ZK_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#define ZK_OWNER_CONTAINER INT64_MIN

static inline bool
zk_owner_is_ttl(int64_t owner)
{
	return (uint64_t)owner >> 40 == 0xff0000;
}

static inline int64_t
zk_owner_ttl_ms(int64_t owner)
{
	return owner & INT64_C(0xffffffffff);
}

static inline bool
zk_owner_is_session(int64_t owner)
{
	return owner != 0 && owner != ZK_OWNER_CONTAINER && !zk_owner_is_ttl(owner);
}

#endif
