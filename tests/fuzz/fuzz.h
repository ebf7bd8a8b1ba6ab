/* SPDX-License-Identifier: Apache-2.0 */
/* What a fuzz target defines: take the bytes, return 0; a fault is a crash or a failed assert(). */
#ifndef CORRAL_TESTS_FUZZ_H
#define CORRAL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
