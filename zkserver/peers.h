/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many connections each address has, and each IPv6 network of 64 bits, which is what one
 * machine may have for itself.
 */
#ifndef CORRAL_ZKSERVER_PEERS_H
#define CORRAL_ZKSERVER_PEERS_H

#include <stdint.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/hmap.h"

#define PEERS_NETWORK_SHARE 16 /* a network may have as many as so many addresses */

struct peers {
	struct hmap map;
	struct hash_key key;
};

enum peers_answer { PEERS_OK, PEERS_ADDRESS_FULL, PEERS_NETWORK_FULL, PEERS_NO_MEMORY };

void peers_init(struct peers *p, const struct hash_key *key);
void peers_fini(struct peers *p);

/* One connection more of this address; max of one address, 0: no limit. Counted if PEERS_OK. */
enum peers_answer peers_add(struct peers *p, const char *ip, uint32_t max);
void peers_drop(struct peers *p, const char *ip);

#endif
