/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/utf8.h"

size_t
utf8_char_bytes(const void *text, size_t size)
{
	const uint8_t *p = text;
	size_t n;
	uint8_t low = 0x80, high = 0xbf; /* what the second byte may be */

	if (size == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n > size)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

size_t
utf8_bad_offset(const void *text, size_t size)
{
	const uint8_t *p = text;
	size_t at = 0;

	while (at < size) {
		size_t n = utf8_char_bytes(p + at, size - at);

		if (n == 0)
			break;
		at += n;
	}
	return at;
}

size_t
utf8_put(char to[UTF8_BYTES_MAX], uint32_t code)
{
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; code >>= 6)
		to[i] = (char)(0x80 | (code & 0x3f));
	to[0] = (char)(lead[n] | code);
	return n;
}
