/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets that are fed with messages of proto/: their inputs are steps as client_script.h has them,
 * and the kind of a step says which message its bytes are. The mutator (frames_mutate.c) makes and
 * changes messages by their schema, so that nearly all of them can be read, and some cannot.
 */
#ifndef CORRAL_TESTS_FRAMES_H
#define CORRAL_TESTS_FRAMES_H

#include <protobuf-c/protobuf-c.h>

#include "tests/fuzz/client_script.h"

/* Defined by the target. */
extern const ProtobufCMessageDescriptor *const frame_types[]; /* by kind; NULL: a number */
extern const size_t frame_type_count;
extern const size_t frame_peers;
extern const char *const frame_texts[]; /* what a field of text may have; ends with NULL */

/* A number of up to eight bytes, big-endian. */
static inline uint64_t
frame_number(const struct script_line *l)
{
	uint64_t number = 0;

	for (size_t i = 0; i < l->size && i < sizeof number; i++)
		number = number << 8 | l->bytes[i];
	return number;
}

#endif
