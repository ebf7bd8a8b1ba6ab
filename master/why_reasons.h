/* SPDX-License-Identifier: Apache-2.0 */
/* The reasons for which a task waits, in words, and what would change each. */
#ifndef CORRAL_MASTER_WHY_REASONS_H
#define CORRAL_MASTER_WHY_REASONS_H

#include "master/core/why.h"
#include "proto/api.pb-c.h"

struct why_reasons {
	Corral__Api__WhyReason items[WHY_KINDS], *pointers[WHY_KINDS];
	char texts[WHY_KINDS][200], changes[WHY_KINDS][200];
	size_t count;
};

/* What bars the role, if anything does, then what nodes lack. */
void why_reasons(const struct why_sum *sum, const struct job *j, struct why_reasons *r);

#endif
