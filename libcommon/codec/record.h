/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in files of our own (the agent's checkpoint, an executor's final status): a 4-byte
 * big-endian length, a 4-byte big-endian CRC-32 of length and contents, and the contents. A record
 * that was cut by a crash, or that rotted, is told from a whole one.
 */
#ifndef CORRAL_CODEC_RECORD_H
#define CORRAL_CODEC_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"

#define RECORD_HEAD_BYTES 8
#define RECORD_BYTES_MAX (1 << 20) /* of contents; a longer one is bad */

/* Append one record; size is at most RECORD_BYTES_MAX. */
void record_put(struct buf *b, const void *bytes, size_t size);

enum record_next {
	RECORD_OK,
	RECORD_END, /* nothing is left */
	RECORD_CUT, /* what is left is shorter than it says: the tail of a write that was cut */
	RECORD_BAD, /* impossible length or wrong sum */
};

/*
 * The record at *offset of bytes[size]: *contents and *length are set and *offset moves behind it
 * only with RECORD_OK.
 */
enum record_next record_get(
    const uint8_t *bytes, size_t size, size_t *offset, const uint8_t **contents, size_t *length);

#endif
