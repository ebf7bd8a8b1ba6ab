/* SPDX-License-Identifier: Apache-2.0 */
/* An amount of what a node has and a task needs. Integers only: thousandths of a cpu, bytes. */
#ifndef CORRAL_MASTER_RESOURCES_H
#define CORRAL_MASTER_RESOURCES_H

#include <stdbool.h>
#include <stdint.h>

struct resources {
	uint64_t cpu_milli;
	uint64_t memory_bytes;
	uint64_t disk_bytes;
};

/* The amounts of a struct resources one by one, for what is reckoned the same way for each. */
enum resource { RESOURCE_CPU, RESOURCE_MEMORY, RESOURCE_DISK, RESOURCE_COUNT };

static inline uint64_t
resources_get(const struct resources *a, int which)
{
	return which == RESOURCE_CPU	  ? a->cpu_milli
	       : which == RESOURCE_MEMORY ? a->memory_bytes
					  : a->disk_bytes;
}

static inline void
resources_set(struct resources *a, int which, uint64_t amount)
{
	*(which == RESOURCE_CPU	       ? &a->cpu_milli
	    : which == RESOURCE_MEMORY ? &a->memory_bytes
				       : &a->disk_bytes) = amount;
}

static inline bool
resources_fits(const struct resources *need, const struct resources *have)
{
	return need->cpu_milli <= have->cpu_milli && need->memory_bytes <= have->memory_bytes &&
	       need->disk_bytes <= have->disk_bytes;
}

static inline bool
resources_is_zero(const struct resources *a)
{
	return a->cpu_milli == 0 && a->memory_bytes == 0 && a->disk_bytes == 0;
}

static inline bool
resources_equal(const struct resources *a, const struct resources *b)
{
	return a->cpu_milli == b->cpu_milli && a->memory_bytes == b->memory_bytes &&
	       a->disk_bytes == b->disk_bytes;
}

/* *a += times * b. The caller knows that it does not overflow: a sum never passes a node's total.
 */
static inline void
resources_add(struct resources *a, const struct resources *b, uint64_t times)
{
	a->cpu_milli += times * b->cpu_milli;
	a->memory_bytes += times * b->memory_bytes;
	a->disk_bytes += times * b->disk_bytes;
}

static inline void
resources_subtract(struct resources *a, const struct resources *b, uint64_t times)
{
	a->cpu_milli -= times * b->cpu_milli;
	a->memory_bytes -= times * b->memory_bytes;
	a->disk_bytes -= times * b->disk_bytes;
}

/* a + b, where that may be more than can be counted: then as much as can. */
static inline struct resources
resources_sum(const struct resources *a, const struct resources *b)
{
	struct resources sum;

	for (int d = 0; d < RESOURCE_COUNT; d++) {
		uint64_t x = resources_get(a, d), y = resources_get(b, d);

		resources_set(&sum, d, x > UINT64_MAX - y ? UINT64_MAX : x + y);
	}
	return sum;
}

/* What a has more than b, and 0 where it has less. */
static inline struct resources
resources_beyond(const struct resources *a, const struct resources *b)
{
	return (struct resources){
	    a->cpu_milli > b->cpu_milli ? a->cpu_milli - b->cpu_milli : 0,
	    a->memory_bytes > b->memory_bytes ? a->memory_bytes - b->memory_bytes : 0,
	    a->disk_bytes > b->disk_bytes ? a->disk_bytes - b->disk_bytes : 0,
	};
}

static inline struct resources
resources_min(const struct resources *a, const struct resources *b)
{
	return (struct resources){
	    a->cpu_milli < b->cpu_milli ? a->cpu_milli : b->cpu_milli,
	    a->memory_bytes < b->memory_bytes ? a->memory_bytes : b->memory_bytes,
	    a->disk_bytes < b->disk_bytes ? a->disk_bytes : b->disk_bytes,
	};
}

/* How often `need` fits into `have`, at most `most`. */
static inline uint32_t
resources_times(const struct resources *need, const struct resources *have, uint32_t most)
{
	uint64_t n = most;

	if (need->cpu_milli != 0 && have->cpu_milli / need->cpu_milli < n)
		n = have->cpu_milli / need->cpu_milli;
	if (need->memory_bytes != 0 && have->memory_bytes / need->memory_bytes < n)
		n = have->memory_bytes / need->memory_bytes;
	if (need->disk_bytes != 0 && have->disk_bytes / need->disk_bytes < n)
		n = have->disk_bytes / need->disk_bytes;
	return (uint32_t)n;
}

#endif
