/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/taskkey.h"

#include <inttypes.h>
#include <stdio.h>

struct taskkey
taskkey_of(const Corral__TaskKey *key)
{
	return (struct taskkey){
	    key->incarnation, key->index, key->attempt, key->term->era, key->term->czxid};
}

bool
taskkey_equal(const struct taskkey *a, const struct taskkey *b)
{
	return a->incarnation == b->incarnation && a->index == b->index &&
	       a->attempt == b->attempt && a->era == b->era && a->czxid == b->czxid;
}

void
taskkey_name(const struct taskkey *key, char to[TASKKEY_NAME_BYTES])
{
	snprintf(to, TASKKEY_NAME_BYTES, "%" PRIx64 "-%" PRIu32 "-%" PRIu32 "-%" PRIu64 "-%" PRIx64,
	    (uint64_t)key->incarnation, key->index, key->attempt, key->era, (uint64_t)key->czxid);
}

int
term_compare(const Corral__Term *a, const Corral__Term *b)
{
	if (a->era != b->era)
		return a->era < b->era ? -1 : 1;
	return a->czxid < b->czxid ? -1 : a->czxid > b->czxid;
}
