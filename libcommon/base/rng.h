/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small seeded generator (xoshiro256**, Blackman and Vigna) for what must be repeatable: jitter
 * in cores, the simulator, benches. Never for secrets: those come from RAND_bytes() in a shell.
 */
#ifndef CORRAL_BASE_RNG_H
#define CORRAL_BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);

/* A number in [0, bound), without bias; bound > 0. */
uint64_t rng_below(struct rng *r, uint64_t bound);

#endif
