/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/sketch.h"

#define EXACT_BITS 4 /* of SKETCH_EXACT */
#define PART_BITS 3  /* eight buckets to each doubling */

static unsigned
bucket_of(uint64_t value)
{
	unsigned bits;

	if (value < SKETCH_EXACT)
		return (unsigned)value;
	bits = 64 - (unsigned)__builtin_clzll(value);
	if (bits > SKETCH_BITS_MAX)
		return SKETCH_BUCKETS - 1;
	return SKETCH_EXACT + (bits - EXACT_BITS - 1) * (1U << PART_BITS) +
	       (unsigned)(value >> (bits - 1 - PART_BITS) & ((1U << PART_BITS) - 1));
}

/* The middle of a bucket. */
static uint64_t
value_of(unsigned bucket)
{
	unsigned bits, part;
	uint64_t width;

	if (bucket < SKETCH_EXACT)
		return bucket;
	bits = (bucket - SKETCH_EXACT) / (1U << PART_BITS) + EXACT_BITS + 1;
	part = (bucket - SKETCH_EXACT) % (1U << PART_BITS);
	width = UINT64_C(1) << (bits - 1 - PART_BITS);
	return ((UINT64_C(1) << PART_BITS) + part) * width + width / 2;
}

/* A bucket is full after 2^32 numbers: all are halved, which keeps their shares. */
static void
halve(struct sketch *s)
{
	for (unsigned i = 0; i < SKETCH_BUCKETS; i++)
		s->buckets[i] /= 2;
}

void
sketch_add(struct sketch *s, uint64_t value)
{
	uint32_t *b = &s->buckets[bucket_of(value)];

	if (*b == UINT32_MAX)
		halve(s);
	(*b)++;
	if (s->count++ == 0 || value < s->min)
		s->min = value;
	if (value > s->max)
		s->max = value;
	s->sum += value;
}

uint64_t
sketch_quantile(const struct sketch *s, double q)
{
	uint64_t total = 0, seen = 0;
	unsigned i;

	for (i = 0; i < SKETCH_BUCKETS; i++)
		total += s->buckets[i];
	if (total == 0)
		return 0;
	for (i = 0; i < SKETCH_BUCKETS - 1; i++) {
		seen += s->buckets[i];
		if (seen > 0 && (double)seen >= q * (double)total)
			break;
	}
	if (value_of(i) < s->min)
		return s->min;
	return value_of(i) > s->max ? s->max : value_of(i);
}
