/* SPDX-License-Identifier: Apache-2.0 */
/* Text that people and configuration files hand in: strict numbers, amounts and times. */
#ifndef CORRAL_BASE_STR_H
#define CORRAL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The whole of `text` as a decimal number within [min, max]: no blanks, no plus sign, no empty
 * text. On false *value is untouched.
 */
bool str_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value);
bool str_to_i64(const char *text, int64_t min, int64_t max, int64_t *value);

/*
 * The same in any of the forms that Java's Integer.decode() takes: decimal, with a plus sign, hex
 * behind 0x, 0X or #, octal behind 0.
 */
bool str_decode_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* A digit's value, also of a hex one in either case; 16: it is none. */
unsigned str_digit(char c);

/* "text" starts with "prefix". */
bool str_starts(const char *text, const char *prefix);

/* Copy text and its NUL into to[size]; false, with to empty, if it does not fit. size > 0. */
bool str_copy(char *to, size_t size, const char *text);

/* Lower-case hex of size bytes into to, which has 2 * size + 1 bytes. */
void str_hex(char *to, const void *bytes, size_t size);

/*
 * The edit distance (Levenshtein) of two short texts, for "did you mean"; long texts count as far.
 */
size_t str_distance(const char *a, const char *b);

#endif
