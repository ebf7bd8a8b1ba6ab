/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/path.h"

#include <stdint.h>
#include <string.h>

/* The next character, moving *at behind it; UINT32_MAX if the bytes are no UTF-8 of up to three
 * bytes. */
static uint32_t
next_char(struct jute_bytes path, int32_t *at)
{
	const uint8_t *p = path.data + *at;
	int32_t more = p[0] < 0x80 ? 0 : (p[0] & 0xE0) == 0xC0 ? 1 : (p[0] & 0xF0) == 0xE0 ? 2 : -1;
	uint32_t c;

	if (more < 0 || more >= path.len - *at)
		return UINT32_MAX;
	c = more == 0 ? p[0] : more == 1 ? p[0] & 0x1F : p[0] & 0x0F;
	for (int32_t i = 1; i <= more; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return UINT32_MAX;
		c = c << 6 | (p[i] & 0x3F);
	}
	if ((more == 1 && c < 0x80) || (more == 2 && c < 0x800))
		return UINT32_MAX;
	*at += more + 1;
	return c;
}

static bool
char_is_valid(uint32_t c)
{
	return c > 0x1F && (c < 0x7F || c > 0x9F) && (c < 0xD800 || c > 0xF8FF) && c < 0xFFF0;
}

/* What most paths consist of: nothing has to be looked at. */
static inline bool
is_plain(uint32_t c)
{
	return c > 0x1F && c < 0x7F && c != '/';
}

static bool
component_is_valid(const uint8_t *start, int32_t len)
{
	return len > 0 && !(len == 1 && start[0] == '.') &&
	       !(len == 2 && start[0] == '.' && start[1] == '.');
}

bool
path_is_valid(struct jute_bytes path)
{
	int32_t at = 0, start = 1;

	if (path.len <= 0 || path.data[0] != '/')
		return false;
	if (path.len == 1)
		return true;
	while (at < path.len) {
		int32_t here = at;
		uint32_t c = path.data[at];

		if (is_plain(c)) {
			at++;
			continue;
		}
		if (!char_is_valid(c = next_char(path, &at)))
			return false;
		if (c != '/' || here == 0)
			continue;
		if (!component_is_valid(path.data + start, here - start))
			return false;
		start = at;
	}
	return component_is_valid(path.data + start, path.len - start);
}

bool
path_parent(struct jute_bytes path, struct jute_bytes *parent)
{
	int32_t at = path.len;

	if (path.len <= 0 || memchr(path.data, '\0', (size_t)path.len) != NULL)
		return false;
	while (at > 0 && path.data[at - 1] != '/')
		at--;
	if (at == 0)
		return false;
	*parent = at == 1 ? (struct jute_bytes){(const uint8_t *)"/", 1}
			  : (struct jute_bytes){path.data, at - 1};
	return true;
}

bool
path_equals(struct jute_bytes path, const char *text)
{
	return path.len >= 0 && strlen(text) == (size_t)path.len &&
	       memcmp(path.data, text, (size_t)path.len) == 0;
}
