/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/role.h"

#include <string.h>

#define PART_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

static bool
part_ok(const char *part, size_t size)
{
	bool dots =
	    (size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.');

	return size > 0 && part[0] != '-' && !dots;
}

bool
role_name_ok(const char *name)
{
	if (strcmp(name, ROLE_DEFAULT) == 0)
		return true;
	if (strlen(name) > ROLE_NAME_MAX)
		return false;
	for (int depth = 1; depth <= ROLE_DEPTH_MAX; depth++) {
		size_t size = strspn(name, PART_BYTES);

		if (!part_ok(name, size))
			return false;
		if (name[size] == '\0')
			return true;
		if (name[size] != '/')
			return false;
		name += size + 1;
	}
	return false;
}
