/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/access.h"

#include <stdio.h>
#include <string.h>

const struct access_grant *
access_too_wide(const struct access_grant *grants, size_t count, const char *masters, bool readable)
{
	for (size_t i = 0; i < count; i++) {
		const struct access_grant *g = &grants[i];
		bool master = strcmp(g->scheme, "x509") == 0 && strcmp(g->id, masters) == 0;
		int32_t more = readable ? g->perms & ~ACCESS_READ : g->perms;

		if (!master && more != 0)
			return g;
	}
	return NULL;
}

void
access_print(const struct access_grant *grant, char *to, size_t size)
{
	static const struct {
		int32_t bit;
		char letter;
	} letters[] = {{4, 'c'}, {8, 'd'}, {1, 'r'}, {2, 'w'}, {16, 'a'}};
	char perms[sizeof letters / sizeof *letters + 1], *at = perms;

	for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
		if (grant->perms & letters[i].bit)
			*at++ = letters[i].letter;
	*at = '\0';
	snprintf(to, size, "%s:%s:%s", grant->scheme, grant->id, perms);
}
