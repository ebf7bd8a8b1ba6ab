/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A summary of numbers in fixed memory: how many, their sum, least and most, and quantiles. Numbers
 * are counted in buckets that are exact up to SKETCH_EXACT and an eighth of their value wide above,
 * so that a quantile is at most a sixteenth beside the true one. All zero is an empty sketch.
 */
#ifndef CORRAL_BASE_SKETCH_H
#define CORRAL_BASE_SKETCH_H

#include <stdint.h>

#define SKETCH_EXACT 16
#define SKETCH_BITS_MAX 32 /* larger numbers are counted with those of so many bits */
#define SKETCH_BUCKETS (SKETCH_EXACT + (SKETCH_BITS_MAX - 4) * 8)

struct sketch {
	uint64_t count, sum, min, max; /* min and max: 0 while empty */
	uint32_t buckets[SKETCH_BUCKETS];
};

void sketch_add(struct sketch *s, uint64_t value);

/* The value below which a share q (0 to 1) of the numbers lies; 0 of an empty sketch. */
uint64_t sketch_quantile(const struct sketch *s, double q);

#endif
