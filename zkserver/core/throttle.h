/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket of tokens: what costs some of them passes while there are enough, and they come back at
 * a steady rate, so that bursts pass and a flood does not. Source: BlueThrottle of Apache
 * ZooKeeper, without its dropping at random.
 */
#ifndef CORRAL_ZKSERVER_CORE_THROTTLE_H
#define CORRAL_ZKSERVER_CORE_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct throttle_rate {
	uint32_t tokens_max; /* in a full bucket; 0: no throttle */
	uint32_t fill_ms;    /* at least 1 */
	uint32_t fill_count; /* tokens that come in each fill_ms */
};

/* All zero: full, as one that nobody used for long. */
struct throttle {
	uint32_t tokens;
	uint64_t filled_ms;
};

/* Take `need` tokens; false: there are not so many, and none was taken. */
bool throttle_take(
    struct throttle *t, const struct throttle_rate *rate, uint32_t need, uint64_t now_ms);

#endif
