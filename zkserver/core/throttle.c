/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/throttle.h"

bool
throttle_take(struct throttle *t, const struct throttle_rate *rate, uint32_t need, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms > t->filled_ms ? now_ms - t->filled_ms : 0;

	if (rate->tokens_max == 0)
		return true;
	if (t->filled_ms == 0 || passed_ms > UINT32_MAX) {
		t->tokens = rate->tokens_max;
		t->filled_ms = now_ms;
	} else if (passed_ms > rate->fill_ms) { /* not at once: the part of a token would be lost */
		uint64_t tokens = t->tokens + passed_ms * rate->fill_count / rate->fill_ms;

		t->tokens = tokens < rate->tokens_max ? (uint32_t)tokens : rate->tokens_max;
		t->filled_ms = now_ms;
	}
	if (t->tokens < need)
		return false;
	t->tokens -= need;
	return true;
}
