/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/job_name.h"

#include <string.h>

bool
job_name_ok(const char *name)
{
	size_t size = strlen(name);

	return size > 0 && size <= JOB_NAME_MAX && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == size;
}
