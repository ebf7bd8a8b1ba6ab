/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest transactions that were applied here, kept in memory for learners that lack only these:
 * everything above `base`, in order and without a gap, bounded by a count and by bytes. Knows no
 * disk: what is older is in the log.
 */
#ifndef CORRAL_ZKSERVER_CORE_HISTORY_H
#define CORRAL_ZKSERVER_CORE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_COUNT_MIN 500 /* commitLogCount, as Apache's server has it */

struct history_entry {
	int64_t zxid;
	size_t at, size; /* its bytes, in one piece */
};

struct history {
	size_t count_max, bytes_max;
	struct history_entry *ring; /* of count_max */
	size_t first, count;
	uint8_t *bytes; /* of bytes_max, a ring as well */
	size_t end;	/* in bytes, of the newest one */
	int64_t base;	/* what lies behind this zxid is here */
};

/* bytes_max: a single txn that is larger leaves the history empty. False: no memory. */
bool history_init(struct history *h, size_t count_max, size_t bytes_max);
void history_fini(struct history *h);

/* Forget everything: what follows `base` is appended next (the database was loaded anew). */
void history_reset(struct history *h, int64_t base);

/* The next one. Older ones go where there is no room; this one, too, if it is larger than that. */
void history_append(struct history *h, int64_t zxid, const uint8_t *bytes, size_t size);

/* The zxid of the newest one, base if there is none. */
int64_t history_last(const struct history *h);

/* Is this the base, or one of those that are here? */
bool history_knows(const struct history *h, int64_t zxid);

/* The first one above zxid, which must not be below base. False: there is none. */
bool history_after(
    const struct history *h, int64_t zxid, int64_t *next, const uint8_t **bytes, size_t *size);

/* Order and the absence of gaps, for tests. */
void history_check(const struct history *h);

#endif
