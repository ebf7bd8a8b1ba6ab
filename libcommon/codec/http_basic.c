/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/http_basic.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "libcommon/codec/base64.h"

#define SCHEME "Basic "

bool
http_basic_read(struct http_basic *b, const char *value)
{
	size_t size, length;
	char *colon;

	if (strncasecmp(value, SCHEME, strlen(SCHEME)) != 0)
		return false;
	value += strlen(SCHEME);
	value += strspn(value, " ");
	length = strlen(value);
	/* What it becomes is shorter than its text. */
	if (length >= sizeof b->text || !base64_decode((uint8_t *)b->text, &size, value, length) ||
	    memchr(b->text, '\0', size) != NULL)
		return false;
	b->text[size] = '\0';
	if ((colon = strchr(b->text, ':')) == NULL)
		return false;
	*colon = '\0';
	b->name = b->text;
	b->secret = colon + 1;
	return true;
}
