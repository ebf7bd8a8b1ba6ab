/* SPDX-License-Identifier: Apache-2.0 */
/* The identity of an attempt as a value, and as a name for files and cgroups. */
#ifndef CORRAL_CODEC_TASKKEY_H
#define CORRAL_CODEC_TASKKEY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/corral.pb-c.h"

#define TASKKEY_NAME_BYTES 80

struct taskkey {
	int64_t incarnation;
	uint32_t index, attempt;
	uint64_t era;
	int64_t czxid;
};

/* The identity in a message (the job's name is no part of it). */
struct taskkey taskkey_of(const Corral__TaskKey *key);

bool taskkey_equal(const struct taskkey *a, const struct taskkey *b);

/* INCARNATION-INDEX-ATTEMPT-ERA-CZXID, zxids in hex: one name for each key, fit for a file. */
void taskkey_name(const struct taskkey *key, char to[TASKKEY_NAME_BYTES]);

/* Terms by (era, czxid): below, equal to or above 0. */
int term_compare(const Corral__Term *a, const Corral__Term *b);

#endif
