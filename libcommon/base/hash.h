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

/* Mix an integer that nobody outside chooses (an id of our own making). */
static inline uint64_t
hash_u64(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

#endif
