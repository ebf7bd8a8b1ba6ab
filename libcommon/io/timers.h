/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop's timers: a binary heap by (time, order of setting) over pointers to timers that live in
 * their owners. Knows neither clock nor kernel; loop.c gives it both. For libcommon/io only.
 */
#ifndef CORRAL_IO_TIMERS_H
#define CORRAL_IO_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/io/loop.h"

struct timers {
	struct timer **heap; /* heap[0] is the earliest; heap[i] has slot i + 1 */
	size_t count, cap;
	uint64_t orders; /* given out so far */
};

void timers_fini(struct timers *ts);

/* Insert, or move if it is set already. False: no memory, nothing has changed. */
bool timers_set(struct timers *ts, struct timer *t, uint64_t at_ms);
void timers_remove(struct timers *ts, struct timer *t);

/* The earliest, NULL if there is none. */
struct timer *timers_first(const struct timers *ts);

#endif
