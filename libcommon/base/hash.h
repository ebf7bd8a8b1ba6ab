/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyed hashing for tables whose keys come from outside: SipHash-1-3 (Aumasson, Bernstein 2012; the
 * variant that Rust and the Linux kernel use for hash tables). The key is drawn once by the shell
 * and handed to whoever hashes, so that a core stays deterministic and nobody can aim collisions.
 */
#ifndef CORRAL_BASE_HASH_H
#define CORRAL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k0, k1;
};

uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t size);

/* The hashes of ever longer beginnings of some bytes, of which each is looked at once. */
struct hash_prefixes {
	uint64_t v0, v1, v2, v3;
	const uint8_t *bytes; /* borrowed */
	size_t done;
};

void hash_prefixes_init(struct hash_prefixes *h, const struct hash_key *key, const void *bytes);

/* hash_bytes() of the first `size` bytes; it does not become smaller from call to call. */
uint64_t hash_prefixes_next(struct hash_prefixes *h, size_t size);

/* Mix an integer that nobody outside chooses (an id of our own making). */
static inline uint64_t
hash_u64(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

#endif
