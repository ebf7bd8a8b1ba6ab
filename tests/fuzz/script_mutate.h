/* SPDX-License-Identifier: Apache-2.0 */
/* What the mutators of scripts (client_script.h) share: steps that come, go and are written. */
#ifndef CORRAL_TESTS_SCRIPT_MUTATE_H
#define CORRAL_TESTS_SCRIPT_MUTATE_H

#include "libcommon/base/rng.h"
#include "tests/fuzz/client_script.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

extern struct rng script_rng; /* seeded anew for each change of an input */

size_t script_below(size_t n);

/* The new count of lines. A line more goes anywhere, as long as there are fewer than `max`. */
size_t script_insert(struct script_line *lines, size_t count, size_t max, struct script_line l);
size_t script_remove(struct script_line *lines, size_t count, size_t at);
void script_swap(struct script_line *a, struct script_line *b);

/* As many as fit; the size. */
size_t script_write(const struct script_line *lines, size_t count, uint8_t *to, size_t max_size);

#endif
