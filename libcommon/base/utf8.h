/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#ifndef CORRAL_BASE_UTF8_H
#define CORRAL_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_BYTES_MAX 4

/* Bytes of the character that text[size] begins with (1 to 4), 0 if it begins with none. */
size_t utf8_char_bytes(const void *text, size_t size);

/* The offset of the first byte that belongs to no character; size if there is none. */
size_t utf8_bad_offset(const void *text, size_t size);

/* Write a code point (no surrogate, at most U+10FFFF) and return its bytes. */
size_t utf8_put(char to[UTF8_BYTES_MAX], uint32_t code);

#endif
