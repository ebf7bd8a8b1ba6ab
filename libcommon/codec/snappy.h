/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snappy's raw format (google/snappy, format_description.txt): a length, then literals and copies
 * of what came before. Its own library is C++ and costs every process 1.3 MiB, used or not.
 */
#ifndef CORRAL_CODEC_SNAPPY_H
#define CORRAL_CODEC_SNAPPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNAPPY_PACK_BYTES_MAX ((size_t)1 << 16) /* of one snappy_pack() */

/* No packed form of size bytes is longer, of ours or of others that do as the format's authors. */
#define SNAPPY_PACKED_BYTES_MAX(size) (32 + (size) + (size) / 6)

/* Write at most SNAPPY_PACKED_BYTES_MAX(size) bytes to `to`; returns how many. */
size_t snappy_pack(uint8_t *to, const uint8_t *bytes, size_t size);

/* The size that packed bytes claim to have unpacked. */
bool snappy_unpacked_size(size_t *size, const uint8_t *packed, size_t packed_size);

/* False: they are not exactly `size` bytes, packed. */
bool snappy_unpack(uint8_t *to, size_t size, const uint8_t *packed, size_t packed_size);

#endif
