/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"

/* FNV-1a, 64 bits. */
#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t
fnv(uint64_t hash, const char *text)
{
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * FNV_PRIME;
	return hash;
}

void
world_init(struct world *w, uint64_t seed, bool print)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->print = print;
	w->hash = FNV_BASIS;
}

void
world_fini(struct world *w)
{
	free(w->heap);
	w->heap = NULL;
	w->count = w->cap = 0;
}

void
world_rng(const struct world *w, const char *component, struct rng *rng)
{
	rng_init(rng, hash_u64(w->seed) ^ fnv(FNV_BASIS, component));
}

static bool
before(const struct world_event *a, const struct world_event *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->sequence < b->sequence;
}

static void
swap(struct world_event *a, struct world_event *b)
{
	struct world_event t = *a;

	*a = *b;
	*b = t;
}

void
world_at(struct world *w, uint64_t delay_ms, world_fn *fn, void *arg, uint64_t token)
{
	size_t i = w->count;

	if (w->count == w->cap) {
		w->cap = w->cap > 0 ? 2 * w->cap : 256;
		if ((w->heap = realloc(w->heap, w->cap * sizeof(*w->heap))) == NULL) {
			fputs("zksim: no memory for events\n", stderr);
			exit(71);
		}
	}
	w->heap[w->count++] =
	    (struct world_event){w->now_ms + delay_ms, w->sequence++, token, fn, arg};
	for (; i > 0 && before(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&w->heap[i], &w->heap[(i - 1) / 2]);
}

static struct world_event
take_first(struct world *w)
{
	struct world_event first = w->heap[0];
	size_t i = 0;

	w->heap[0] = w->heap[--w->count];
	for (;;) {
		size_t least = i;

		for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < w->count; k++)
			if (before(&w->heap[k], &w->heap[least]))
				least = k;
		if (least == i)
			return first;
		swap(&w->heap[i], &w->heap[least]);
		i = least;
	}
}

bool
world_step(struct world *w)
{
	struct world_event e;

	if (w->count == 0 || w->violation[0] != '\0')
		return false;
	e = take_first(w);
	w->now_ms = e.at_ms;
	w->steps++;
	e.fn(e.arg, e.token);
	return true;
}

void
world_trace(struct world *w, const char *fmt, ...)
{
	char *line = w->lines[w->line_count++ % WORLD_TRACE_LINES];
	int n = snprintf(line, WORLD_LINE_BYTES, "%8llu ", (unsigned long long)w->now_ms);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + n, WORLD_LINE_BYTES - (size_t)n, fmt, ap);
	va_end(ap);
	w->hash = fnv(w->hash, line);
	if (w->print)
		puts(line);
}

void
world_violation(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->violation[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(w->violation, sizeof(w->violation), fmt, ap);
	va_end(ap);
}

void
world_explain(const struct world *w)
{
	uint64_t from = w->line_count > WORLD_TRACE_LINES ? w->line_count - WORLD_TRACE_LINES : 0;

	for (uint64_t i = from; !w->print && i < w->line_count; i++)
		puts(w->lines[i % WORLD_TRACE_LINES]);
	printf("seed %llu, time %llu ms, step %llu: VIOLATED: %s\n", (unsigned long long)w->seed,
	    (unsigned long long)w->now_ms, (unsigned long long)w->steps, w->violation);
}
