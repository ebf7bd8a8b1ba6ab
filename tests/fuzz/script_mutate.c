/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/script_mutate.h"

#include <string.h>

struct rng script_rng;

size_t
script_below(size_t n)
{
	return (size_t)rng_below(&script_rng, n);
}

size_t
script_insert(struct script_line *lines, size_t count, size_t max, struct script_line l)
{
	size_t at = script_below(count + 1);

	if (count == max)
		return count;
	memmove(&lines[at + 1], &lines[at], (count - at) * sizeof *lines);
	lines[at] = l;
	return count + 1;
}

size_t
script_remove(struct script_line *lines, size_t count, size_t at)
{
	memmove(&lines[at], &lines[at + 1], (count - at - 1) * sizeof *lines);
	return count - 1;
}

void
script_swap(struct script_line *a, struct script_line *b)
{
	struct script_line kept = *a;

	*a = *b;
	*b = kept;
}

size_t
script_write(const struct script_line *lines, size_t count, uint8_t *to, size_t max_size)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		const struct script_line *l = &lines[i];

		if (l->size > UINT16_MAX || max_size - at < SCRIPT_LINE_HEAD_BYTES + l->size)
			break;
		to[at++] = l->kind;
		to[at++] = l->peer;
		to[at++] = (uint8_t)(l->size >> 8);
		to[at++] = (uint8_t)l->size;
		if (l->size > 0)
			memcpy(to + at, l->bytes, l->size);
		at += l->size;
	}
	return at;
}
