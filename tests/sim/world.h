/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of a simulation: virtual time, events in order of (time, sequence), generators that are
 * independent of each other, a trace whose hash is the same whenever the seed is, and the first
 * violation of what must hold. Knows nothing of what is simulated.
 */
#ifndef CORRAL_TESTS_SIM_WORLD_H
#define CORRAL_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/rng.h"

#define WORLD_TRACE_LINES 200
#define WORLD_LINE_BYTES 200

/* token: what was given to world_at(), for the owner to see whether the event still concerns it. */
typedef void world_fn(void *arg, uint64_t token);

struct world_event {
	uint64_t at_ms, sequence, token;
	world_fn *fn;
	void *arg;
};

struct world {
	uint64_t seed, now_ms, sequence, steps;
	struct world_event *heap;
	size_t count, cap;
	bool print; /* each trace line goes to standard output as well */
	uint64_t hash, line_count;
	char lines[WORLD_TRACE_LINES][WORLD_LINE_BYTES]; /* the last ones, as a ring */
	char violation[WORLD_LINE_BYTES * 3];		 /* empty: all holds */
};

void world_init(struct world *w, uint64_t seed, bool print);
void world_fini(struct world *w);

/* A generator of its own for a component: drawing more in one does not shift the others. */
void world_rng(const struct world *w, const char *component, struct rng *rng);

/* Call fn(arg, token) delay_ms from now; of those at the same time, in order of calls. */
void world_at(struct world *w, uint64_t delay_ms, world_fn *fn, void *arg, uint64_t token);

/* Take the next event; false when there is none, or something was violated. */
bool world_step(struct world *w);

void world_trace(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Something that must hold does not; the first one is kept. */
void world_violation(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print the last trace lines and the violation. */
void world_explain(const struct world *w);

#endif
