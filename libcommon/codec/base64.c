/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(char *to, const void *bytes, size_t size)
{
	const uint8_t *p = bytes;

	for (; size >= 3; size -= 3, p += 3) {
		uint32_t group = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		for (int shift = 18; shift >= 0; shift -= 6)
			*to++ = alphabet[group >> shift & 63];
	}
	if (size > 0) {
		uint32_t group = (uint32_t)p[0] << 16 | (size == 2 ? (uint32_t)p[1] << 8 : 0);

		*to++ = alphabet[group >> 18];
		*to++ = alphabet[group >> 12 & 63];
		*to++ = size == 2 ? alphabet[group >> 6 & 63] : '=';
		*to++ = '=';
	}
	*to = '\0';
}

bool
base64_decode(uint8_t *to, size_t *size, const char *text, size_t length)
{
	size_t pad = 0, used = 0;

	if (length % 4 != 0)
		return false;
	if (length > 0)
		pad = text[length - 1] != '=' ? 0 : text[length - 2] != '=' ? 1 : 2;
	for (size_t i = 0; i < length; i += 4) {
		size_t last = i + 4 == length ? pad : 0; /* '=' signs in this group */
		uint32_t group = 0;

		for (size_t k = 0; k < 4 - last; k++) {
			const char *at = text[i + k] != '\0' ? strchr(alphabet, text[i + k]) : NULL;

			if (at == NULL)
				return false;
			group |= (uint32_t)(at - alphabet) << (18 - 6 * k);
		}
		/* Bits that the encoder leaves at zero. */
		if ((group & ((1u << 8 * last) - 1)) != 0)
			return false;
		for (size_t k = 0; k < 3 - last; k++)
			to[used++] = (uint8_t)(group >> (16 - 8 * k));
	}
	*size = used;
	return true;
}
