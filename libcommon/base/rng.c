/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/rng.h"

#include <assert.h>

#include "libcommon/base/hash.h"

void
rng_init(struct rng *r, uint64_t seed)
{
	/* splitmix64, as its authors advise for seeding. */
	for (int i = 0; i < 4; i++) {
		seed += UINT64_C(0x9e3779b97f4a7c15);
		r->s[i] = hash_u64(seed);
	}
}

static inline uint64_t
rotl(uint64_t x, unsigned bits)
{
	return (x << bits) | (x >> (64 - bits));
}

uint64_t
rng_u64(struct rng *r)
{
	uint64_t result = rotl(r->s[1] * 5, 7) * 9;
	uint64_t t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = rotl(r->s[3], 45);
	return result;
}

uint64_t
rng_below(struct rng *r, uint64_t bound)
{
	uint64_t limit, x;

	assert(bound > 0);
	limit = UINT64_MAX - UINT64_MAX % bound;
	do
		x = rng_u64(r);
	while (x >= limit);
	return x % bound;
}
