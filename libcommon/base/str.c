/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/str.h"

#include <string.h>

#define DISTANCE_TEXT_MAX 64

unsigned
str_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

static bool
to_u64(const char *text, unsigned base, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		unsigned digit = str_digit(*text);

		if (digit >= base || v > (UINT64_MAX - digit) / base)
			return false;
		v = v * base + digit;
	}
	if (v < min || v > max)
		return false;
	*value = v;
	return true;
}

bool
str_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	return to_u64(text, 10, min, max, value);
}

bool
str_decode_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	text += *text == '+';
	if (*text == '#')
		return to_u64(text + 1, 16, min, max, value);
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return to_u64(text + 2, 16, min, max, value);
	return to_u64(text, *text == '0' ? 8 : 10, min, max, value);
}

bool
str_to_i64(const char *text, int64_t min, int64_t max, int64_t *value)
{
	bool negative = *text == '-';
	uint64_t magnitude;
	int64_t v;

	if (!str_to_u64(text + negative, 0, (uint64_t)INT64_MAX + negative, &magnitude))
		return false;
	/* -(2^63) has no positive twin: negate in unsigned arithmetic. */
	v = (int64_t)(negative ? -magnitude : magnitude);
	if (v < min || v > max)
		return false;
	*value = v;
	return true;
}

bool
str_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool
str_copy(char *to, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len >= size) {
		to[0] = '\0';
		return false;
	}
	memcpy(to, text, len + 1);
	return true;
}

void
str_hex(char *to, const void *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = bytes;

	for (size_t i = 0; i < size; i++) {
		*to++ = digits[p[i] >> 4];
		*to++ = digits[p[i] & 15];
	}
	*to = '\0';
}

size_t
str_distance(const char *a, const char *b)
{
	size_t row[DISTANCE_TEXT_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > DISTANCE_TEXT_MAX || lb > DISTANCE_TEXT_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			if (change < row[j])
				row[j] = change;
		}
	}
	return row[lb];
}
