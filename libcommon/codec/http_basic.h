/* SPDX-License-Identifier: Apache-2.0 */
/* Basic credentials (RFC 7617) as an Authorization header has them. */
#ifndef CORRAL_CODEC_HTTP_BASIC_H
#define CORRAL_CODEC_HTTP_BASIC_H

#include <stdbool.h>

enum { HTTP_BASIC_TEXT_MAX = 1024 };

struct http_basic {
	char text[HTTP_BASIC_TEXT_MAX]; /* both, with a NUL between them: wipe it */
	const char *name, *secret;	/* in text; the secret may have colons in it */
};

/* False: another scheme, no Base64, no colon, a NUL, or too long. */
bool http_basic_read(struct http_basic *b, const char *value);

#endif
