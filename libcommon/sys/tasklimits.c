/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/tasklimits.h"

void
tasklimits_of(const Corral__TaskSpec *spec, struct cgroup_limits *to)
{
	*to = (struct cgroup_limits){.memory_bytes = spec->memory_max_bytes};
	if (spec->resources == NULL)
		return;
	to->cpu_share_milli = spec->resources->cpu_milli;
	if (to->memory_bytes == 0)
		to->memory_bytes = spec->resources->memory_bytes;
}
