/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 of RFC 4648, section 4: padded, without line breaks. */
#ifndef CORRAL_CODEC_BASE64_H
#define CORRAL_CODEC_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of text for size bytes, without a NUL. */
#define BASE64_TEXT_BYTES(size) (((size) + 2) / 3 * 4)

/* Write BASE64_TEXT_BYTES(size) characters and a NUL. */
void base64_encode(char *to, const void *bytes, size_t size);

/*
 * Decode length characters into to, which has room for length / 4 * 3 bytes; *size says how many
 * there are. False for any text that base64_encode() does not write.
 */
bool base64_decode(uint8_t *to, size_t *size, const char *text, size_t length);

#endif
